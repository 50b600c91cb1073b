import SoupBinTCP
import XCTest

/// A deterministic stream of numbers (xorshift64*), so that a seed replays a test.
struct TestRandom {
  private var state: UInt64
  init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }
  mutating func next() -> UInt64 {
    state ^= state >> 12
    state ^= state << 25
    state ^= state >> 27
    return state &* 0x2545_F491_4F6C_DD1D
  }
  mutating func below(_ bound: Int) -> Int { Int(next() >> 33) % max(bound, 1) }
}

func packet(_ type: Character, _ payload: [UInt8] = []) -> [UInt8] {
  let length = payload.count + 1
  return [UInt8(length >> 8), UInt8(length & 0xFF), type.asciiValue ?? 0] + payload
}

func text(_ string: String) -> [UInt8] { Array(string.utf8) }

/// `   OCT12021` and `                   7`, as the server sends them.
func accepted(session: String = "day1", sequence: String) -> [UInt8] {
  let left = String(repeating: " ", count: max(0, 10 - session.count)) + session
  let right = String(repeating: " ", count: max(0, 20 - sequence.count)) + sequence
  return packet("A", text(left + right))
}

let credentials = SoupCredentials(username: "user", password: "Secret12")!

func makeClient(_ change: (inout SoupConfiguration) -> Void = { _ in }) -> SoupClientSession {
  var configuration = SoupConfiguration()
  change(&configuration)
  return SoupClientSession(configuration, credentials: credentials)
}

func makeServer(_ change: (inout SoupConfiguration) -> Void = { _ in }) -> SoupServerSession {
  var configuration = SoupConfiguration()
  change(&configuration)
  return SoupServerSession(configuration)
}

func describe(_ event: SoupClientEvent) -> String {
  switch event {
  case .idle: "idle"
  case .accepted(let session, let next): "accepted \(session.text) \(next)"
  case .rejected(let reason): "rejected \(reason.name)"
  case .sequenced(let sequence, let message): "sequenced \(sequence) \(Array(message))"
  case .unsequenced(let message): "unsequenced \(Array(message))"
  case .debug(let text): "debug \(Array(text))"
  case .endOfSession(let next): "end \(next)"
  case .failed(let failure): "failed \(failure.name)"
  }
}

func describe(_ event: SoupServerEvent) -> String {
  switch event {
  case .idle: "idle"
  case .login(let login): "login \(login.session.text) \(login.sequence) \(login.credentials == credentials)"
  case .unsequenced(let message): "unsequenced \(Array(message))"
  case .debug(let text): "debug \(Array(text))"
  case .logout: "logout"
  case .failed(let failure): "failed \(failure.name)"
  }
}

extension SoupClientSession {
  /// Everything until idle.
  mutating func drain() -> [String] {
    var events: [String] = []
    while true {
      let event = next()
      if case .idle = event { return events }
      events.append(describe(event))
    }
  }

  /// Feeds the bytes in pieces that end at the given offsets, draining after each, and returns all events.
  mutating func feed(_ bytes: [UInt8], cuts: [Int] = [], now: UInt64 = 0) -> [String] {
    var events: [String] = []
    var from = 0
    for cut in cuts + [bytes.count] {
      var piece = bytes[from..<cut]
      while !piece.isEmpty {
        let taken = piece.withUnsafeBytes { receive($0, now: now) }
        piece = piece.dropFirst(taken)
        let drained = drain()
        events += drained
        if taken == 0 && drained.isEmpty { return events + ["stuck"] }
      }
      from = cut
    }
    return events
  }

  mutating func takeOutput(now: UInt64 = 0) -> [UInt8] {
    let bytes = Array(pendingOutput)
    sent(bytes.count, now: now)
    return bytes
  }
}

extension SoupServerSession {
  mutating func drain() -> [String] {
    var events: [String] = []
    while true {
      let event = next()
      if case .idle = event { return events }
      events.append(describe(event))
    }
  }

  mutating func feed(_ bytes: [UInt8], now: UInt64 = 0) -> [String] {
    var events: [String] = []
    var piece = bytes[...]
    while !piece.isEmpty {
      let taken = piece.withUnsafeBytes { receive($0, now: now) }
      piece = piece.dropFirst(taken)
      let drained = drain()
      events += drained
      if taken == 0 && drained.isEmpty { return events + ["stuck"] }
    }
    return events
  }

  mutating func takeOutput(now: UInt64 = 0) -> [UInt8] {
    let bytes = Array(pendingOutput)
    sent(bytes.count, now: now)
    return bytes
  }
}

/// Nothing vanishes, in either direction.
func checkAccounts(
  _ counters: SoupCounters, buffered: Int, pending: Int, _ context: String, file: StaticString = #filePath,
  line: UInt = #line
) {
  XCTAssertEqual(
    counters.bytesReceived, counters.bytesUsed + counters.bytesDiscarded + UInt64(buffered),
    "received: \(context)", file: file, line: line)
  XCTAssertEqual(
    counters.bytesQueued, counters.bytesSent + counters.bytesDropped + UInt64(pending), "queued: \(context)",
    file: file, line: line)
}
