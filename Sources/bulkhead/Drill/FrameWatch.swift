import CLinux
import Drills
import FeedSim
import Glibc
import StageRuntime

/// A client of a drilled set's publisher, on a thread of its own: it asks for a few symbols, checks every byte that comes
/// (``FrameChecker``), and connects again when a connection ends (C3).
final class FrameWatch: @unchecked Sendable {
  /// How long it lets things gather, so that it takes little from those whom it looks at.
  private static let restMicroseconds: UInt32 = 5_000
  private static let symbolCount = 8
  /// The example of RFC 6455, 1.3: the answer to it is known.
  private static let key = "dGhlIHNhbXBsZSBub25jZQ=="
  private static let answer = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

  let port: UInt16
  private let monitor = Monitor()
  private var isOver = false
  private var isSubscribed = false
  private var hasThread = false
  private var inputs = InputStates()
  /// Of the thread alone.
  private var chunk = [UInt8](repeating: 0, count: 65_536)
  private var checks = FrameChecks()

  init(port: UInt16) { self.port = port }

  func begin() {
    hasThread =
      StageThread.start { [self] in
        while !monitor.locked({ isOver }) {
          connectOnce()
          monitor.locked { isSubscribed = false }
          usleep(Self.restMicroseconds)
        }
        monitor.locked { hasThread = false }
        monitor.signal()
      } == 0
  }

  /// Waits until it is connected and has asked for its symbols, at most that long.
  func awaitSubscription(milliseconds: UInt64) {
    let deadline = bulkhead_monotonic_nanoseconds() + milliseconds * 1_000_000
    while !monitor.locked({ isSubscribed }), bulkhead_monotonic_nanoseconds() < deadline { usleep(500) }
  }

  /// See ``InputStates/stale(since:)``.
  func toldStale(since instant: UInt64) -> UInt64? {
    monitor.locked { inputs.stale(since: instant) }
  }

  /// Ends it. Returns what it saw.
  func end() -> FrameChecks {
    monitor.locked {
      isOver = true
      while hasThread { monitor.wait() }
      return checks
    }
  }

  // MARK: One connection

  private struct Refusal: Error { let words: String }

  private func connectOnce() {
    guard let descriptor = connected() else { return }
    defer { close(descriptor) }
    var input = WebSocketInput()
    do {
      guard try shakeHands(descriptor, &input) else { return }
      monitor.locked { checks.connections += 1 }
      try follow(descriptor, &input)
    } catch let refusal as Refusal {
      monitor.locked { checks.refusals.append(refusal.words) }
    } catch let fault as FrameFault {
      monitor.locked { checks.refusals.append(fault.words) }
    } catch let fault as WebSocketInput.Fault {
      monitor.locked { checks.refusals.append(fault.rawValue) }
    } catch {}
    // A message of which only a part came is given to nobody.
    if input.isPartial { monitor.locked { checks.partial += 1 } }
  }

  private func connected() -> Int32? {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return nil }
    var limit = timeval(tv_sec: 0, tv_usec: 100_000)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    name.sin_port = port.bigEndian
    name.sin_addr.s_addr = inet_addr("127.0.0.1")
    let isConnected = withUnsafePointer(to: &name) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard isConnected == 0 else {
      close(descriptor)
      return nil
    }
    return descriptor
  }

  /// False when the connection ended before there was an answer.
  private func shakeHands(_ descriptor: Int32, _ input: inout WebSocketInput) throws -> Bool {
    let request =
      "GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      + "Sec-WebSocket-Key: \(Self.key)\r\nSec-WebSocket-Version: 13\r\n"
      + "Sec-WebSocket-Protocol: bulkhead.v1.bin\r\n\r\n"
    guard send(Array(request.utf8), to: descriptor) else { return false }
    var head: [UInt8] = []
    while true {
      guard let more = receive(descriptor) else { return false }
      head += more
      guard head.count <= 65_536 else { throw Refusal(words: "a handshake without an end") }
      guard
        let end = (3..<max(3, head.count)).first(where: { Array(head[($0 - 3)...$0]) == [13, 10, 13, 10] })
      else { continue }
      let text = String(decoding: head[...end], as: UTF8.self)
      // As many clients as allowed, or descriptors: a matter of the drill.
      if text.hasPrefix("HTTP/1.1 503") { return false }
      guard text.hasPrefix("HTTP/1.1 101"), text.contains(Self.answer) else {
        throw Refusal(words: "a handshake answered with \(text.prefix { $0 != "\r\n" })")
      }
      input.append(head[(end + 1)...])
      return true
    }
  }

  private func follow(_ descriptor: Int32, _ input: inout WebSocketInput) throws {
    var checker: FrameChecker?
    defer {
      if let checker {
        monitor.locked {
          checks.frames += checker.frames
          checks.entries += checker.entries
          checks.checksums += checker.checksums
          checks.hasEnded = checks.hasEnded || checker.hasEnded
        }
      }
    }
    while true {
      while let message = try input.next() {
        switch message {
        case .text(let text): try take(text, &checker, descriptor)
        case .binary(let frame):
          guard checker != nil else { throw Refusal(words: "a frame in front of the hello") }
          try checker?.take(frame)
          if let state = checker?.input {
            let now = bulkhead_monotonic_nanoseconds()
            monitor.locked { inputs.take(state, at: now) }
          }
        case .ping(let payload): _ = send(Self.frame(0x8A, payload), to: descriptor)
        case .pong: break
        case .close(let code):
          guard code.map({ [1000, 1001, 4005, 4007].contains($0) }) == true else {
            throw Refusal(words: "closed with \(code.map(String.init) ?? "no code")")
          }
          return
        }
      }
      usleep(Self.restMicroseconds)
      // The set has ended: what it sent is here, and its end after it.
      guard let more = receive(descriptor), !more.isEmpty || !monitor.locked({ isOver }) else { return }
      input.append(more)
    }
  }

  private func take(_ text: [UInt8], _ checker: inout FrameChecker?, _ descriptor: Int32) throws {
    let words = String(decoding: text, as: UTF8.self)
    guard let json = JSONValue(words), let type = json["type"]?.string else {
      throw Refusal(words: "a text without a type: \(words.prefix(80))")
    }
    switch type {
    case "hello":
      guard checker == nil, let epoch = json["epoch"]?.string.flatMap({ UInt32($0) }),
        let channel = json["channel"]?.unsigned.flatMap({ UInt8(exactly: $0) })
      else { throw Refusal(words: "a hello out of place, or without epoch and channel") }
      checker = FrameChecker(epoch: epoch, channel: channel)
      try subscribe(descriptor)
    case "subscribed":
      for (_, instrument) in json["instruments"]?.members ?? [] { expect(instrument, &checker) }
      monitor.locked { isSubscribed = true }
    case "resolved": expect(json["instrument"], &checker)
    case "caught_up":
      guard let checker, json["records"]?.unsigned == checker.snapshotEntries else {
        throw Refusal(words: "caught up with other snapshots than came: \(words)")
      }
    case "error":
      // The books are not complete yet.
      guard json["code"]?.string == "snapshot_unavailable" else { throw Refusal(words: words) }
      usleep(100_000)
      try subscribe(descriptor)
    case "shutdown": break
    default: throw Refusal(words: "a text of type \(type)")
    }
  }

  private func expect(_ instrument: JSONValue?, _ checker: inout FrameChecker?) {
    if let number = instrument?.unsigned.flatMap({ UInt32(exactly: $0) }) { checker?.expect(number) }
  }

  private func subscribe(_ descriptor: Int32) throws {
    let symbols = (0..<Self.symbolCount).map { "\"\(DayGenerator.symbol($0))\"" }.joined(separator: ",")
    let request =
      #"{"op":"subscribe","id":1,"symbols":[\#(symbols)],"#
      + #""channels":["orders","levels","bbo","trades","status","defs"],"start":"snapshot","checksum":"heartbeat"}"#
    _ = send(Self.frame(0x81, Array(request.utf8)), to: descriptor)
  }

  /// A client's frame, masked.
  private static func frame(_ head: UInt8, _ payload: [UInt8]) -> [UInt8] {
    let mask: [UInt8] = [0x5A, 0x13, 0xC7, 0x2E]
    let length: [UInt8] =
      payload.count < 126
      ? [0x80 | UInt8(payload.count)]
      : [0xFE, UInt8(truncatingIfNeeded: payload.count >> 8), UInt8(truncatingIfNeeded: payload.count)]
    return [head] + length + mask + payload.enumerated().map { $1 ^ mask[$0 & 3] }
  }

  private func send(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
    Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count
  }

  /// What has come; empty while nothing comes, nil at the end.
  private func receive(_ descriptor: Int32) -> ArraySlice<UInt8>? {
    while true {
      let count = recv(descriptor, &chunk, chunk.count, 0)
      if count > 0 { return chunk[..<count] }
      if count < 0, errno == EAGAIN { return [] }
      if count < 0, errno == EINTR { continue }
      return nil
    }
  }
}
