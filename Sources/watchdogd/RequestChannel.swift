import CLinux
import Glibc
import StageRuntime
import Supervision

/// Where operators' requests come in: a socket in the instance's directory that its owner alone may open (mode 0600), and that
/// looks at who the peer is besides. One record in, one record out, then the connection ends.
final class RequestChannel {
  /// Who asks, as the kernel says.
  struct Peer {
    let user: uid_t
    let process: pid_t
  }

  private struct Connection {
    let descriptor: Int32
    let peer: Peer
    let since: UInt64
  }

  private static let connectionLimit = 8
  /// A peer that says nothing for so long is left.
  private static let patienceNanoseconds: UInt64 = 1_000_000_000

  /// Readable when somebody connects; -1 without a channel.
  let descriptor: Int32
  private var connections: [Connection] = []

  /// A set without the channel runs on: it cannot be asked for anything, which is said.
  init(directory: String) {
    let result = bulkhead_open_request_listener(directory, InstanceFiles.requestSocket)
    if result < 0 {
      narrate(
        "watchdogd: takes no requests: \(directory)/\(InstanceFiles.requestSocket): \(String(cString: strerror(-result)))"
      )
    }
    descriptor = max(-1, result)
  }

  deinit {
    for connection in connections { close(connection.descriptor) }
    if descriptor >= 0 { close(descriptor) }
  }

  /// Whether there is anything to look at but new connections.
  var isBusy: Bool { !connections.isEmpty }

  /// Takes connections, reads what has come, and sends what `answer` says to each request.
  func serve(now: UInt64, answer: (ControlRequest, Peer) -> ControlAnswer) {
    while descriptor >= 0, connections.count < Self.connectionLimit {
      var user: UInt32 = 0
      var process: Int32 = 0
      let accepted = bulkhead_accept_request(descriptor, &user, &process)
      guard accepted >= 0 else { break }
      connections.append(
        Connection(descriptor: accepted, peer: Peer(user: user, process: process), since: now))
    }
    connections.removeAll { connection in
      guard serve(connection, answer: answer) || now &- connection.since > Self.patienceNanoseconds else {
        return false
      }
      close(connection.descriptor)
      return true
    }
  }

  /// True when the connection is of no more use.
  private func serve(
    _ connection: Connection, answer: (ControlRequest, Peer) -> ControlAnswer
  ) -> Bool {
    // A byte more than a request, so that a longer one is none.
    var bytes = [UInt8](repeating: 0, count: ControlRequest.bytes + 1)
    let count = bytes.withUnsafeMutableBytes {
      bulkhead_tcp_receive(connection.descriptor, $0.baseAddress, UInt($0.count))
    }
    if count == -Int(EAGAIN) { return false }
    guard count > 0 else { return true }
    let reply: ControlAnswer
    if let request = bytes.withUnsafeBytes({ ControlRequest(UnsafeRawBufferPointer(rebasing: $0[..<count])) })
    {
      reply = answer(request, connection.peer)
    } else {
      reply = ControlAnswer(.refused, "not a request, or one of another version than this watchdogd's")
    }
    _ = reply.encoded.withUnsafeBytes {
      bulkhead_tcp_send(connection.descriptor, $0.baseAddress, UInt($0.count))
    }
    return true
  }
}
