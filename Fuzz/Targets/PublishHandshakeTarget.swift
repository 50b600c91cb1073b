import CWebSockets
import Glibc
import PublishWire
import StageRecords

// What a connection may bring before and after its handshake, against the server that pubd runs: HTTP requests of any kind,
// tokens, subprotocols, WebSocket frames with any mask and length. scripts/fuzz compiles the server's sources into this target.

private struct NoBooks: SnapshotSource {
  var isReady: Bool { true }
  var instrumentLimit: UInt32 { 1 }
  func instrument(symbol: UInt64) -> UInt32? { nil }
  func lastSequence(instrument: UInt32) -> UInt64 { 0 }
  func orderCount(instrument: UInt32) -> Int { 0 }
  func exists(instrument: UInt32) -> Bool { false }
  func definition(instrument: UInt32, into body: UnsafeMutableRawPointer) -> Bool { false }
  func tradingState(instrument: UInt32, into body: UnsafeMutableRawPointer) -> Bool { false }
  func trust(instrument: UInt32) -> (state: UInt8, reason: UInt8) { (0, 0) }
  func forEachOrder(instrument: UInt32, _ body: (SnapshotOrder) -> Void) {}
}

/// In place of the one that tells of clients in the set's memory.
final class ClientReport {
  static func peer(of socket: Int32) -> (address: UInt32, port: UInt16) { (0, 0) }
  func tell(_ clients: ContiguousArray<PublishClient>, now: UInt64) {}
}

nonisolated(unsafe) private let server: PublishServer = {
  let tokens = "/tmp/bulkhead-fuzz-\(getpid()).tokens"
  let file = open(tokens, O_CREAT | O_WRONLY | O_TRUNC, 0o600)
  _ = write(file, "fuzzing-token-0123456789\n", 25)
  close(file)
  var configuration = PublishConfiguration(
    hello: HelloFields(server: "fuzz", instance: "fuzz", channel: 1, epoch: 1, configurationHash: "0"))
  configuration.port = 0
  configuration.maximumClients = 4
  configuration.limits.queueBytes = 65_536
  configuration.tokensFile = tokens
  configuration.socketPath = "/tmp/bulkhead-fuzz-\(getpid()).socket"
  atexit { unlink("/tmp/bulkhead-fuzz-\(getpid()).tokens") }
  do { return try PublishServer(configuration: configuration, snapshotSource: NoBooks()) } catch {
    violated("the server starts")
  }
}()

private func turn() {
  server.service(timeoutMilliseconds: 0)
  server.lookAtSockets()
}

/// A connection to the port (which asks for a token) or to the local socket (which does not).
private func connection(local: Bool) -> Int32 {
  let descriptor = socket(local ? AF_UNIX : AF_INET, Int32(SOCK_STREAM.rawValue), 0)
  require(descriptor >= 0, "there are sockets")
  var result: Int32 = -1
  if local {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let path = Array("/tmp/bulkhead-fuzz-\(getpid()).socket".utf8)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
    result = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
  } else {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(truncatingIfNeeded: server.port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    result = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    // Ends with a reset: so many connections would use the ports up.
    var end = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &end, socklen_t(MemoryLayout<linger>.size))
  }
  require(result == 0, "the server listens")
  return descriptor
}

/// The first byte: local or not, and how often the rest is cut in pieces that arrive one by one.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzPublishHandshake(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  guard let data, size > 1 else { return 0 }
  let before = server.statistics.accepted
  let descriptor = connection(local: data[0] & 1 == 1)
  turn()
  let pieces = 1 + Int(data[0] >> 1) % 4
  let length = max(1, (size - 1) / pieces)
  var at = 1
  while at < size {
    let count = min(length, size - at)
    let sent = send(descriptor, data + at, count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
    if sent <= 0 { break }
    at += sent
    turn()
    turn()
  }
  var answer = [UInt8](repeating: 0, count: 4096)
  let got = recv(descriptor, &answer, answer.count, Int32(MSG_DONTWAIT))
  if got > 12 {
    let start = String(decoding: answer.prefix(9), as: UTF8.self)
    require(start == "HTTP/1.1 " || start == "HTTP/1.0 ", "what comes first is an answer over HTTP")
    let status = answer[9..<12].reduce(0) { $0 * 10 + Int($1) - 48 }
    require((100..<600).contains(status), "its status is one", (UInt64(status), 0))
    if status == 101 { require(server.statistics.accepted == before &+ 1, "an upgrade makes a client") }
  }
  close(descriptor)
  var patience = 200
  while server.statistics.sockets > 0, patience > 0 {
    turn()
    patience -= 1
  }
  require(
    server.clientCount == 0, "nobody stays when the connection has gone", (UInt64(server.clientCount), 0))
  return 0
}
