/// The numbers that arbiter and oracle are both told, as documented in docs/RECOVERY.md. Times in virtual ns.
struct Rules {
  var window = 64
  var heldBytes = 1 << 16
  var hold: UInt64 = 100
  var lineWait: UInt64 = 1_000
  var silence: UInt64 = 5_000
  var farAhead: UInt64 = 256
  var corroborateEnd = true
  var history = 0
  var maximumLag: UInt64 = 0
  var haltsOnLoss = false
  var gapTableEntries = 64

  var asks = true
  var timeout: UInt64 = 200
  var backoff: UInt64 = 50
  var attempts = 3
  var interval: UInt64 = 3
  var budget = 0
  var budgetPeriod: UInt64 = 1_000
  var requestMessages = 32
  var requestsInFlight = 4
  var partialAnswer: UInt64 = 0
  var breakerPercent = 0
  var breakerWindow = 8
  var breakerOpen: UInt64 = 5_000
  var breakerProbes = 2
}

/// A record of the stage's output, as a client reads it.
enum Record: Equatable {
  case sessionStart([UInt8], first: UInt64)
  case message(UInt64, [UInt8], stamp: UInt64)
  /// The reason is that of the gap record on the ring `merged`.
  case gap(UInt64, UInt64, reason: UInt8)
  case endOfSession([UInt8], next: UInt64)

  var text: String {
    switch self {
    case .sessionStart(let session, let first):
      "session \(String(decoding: session, as: UTF8.self)) from \(first)"
    case .message(let number, let bytes, let stamp):
      "message \(number) (\(bytes.count) bytes, stamp \(stamp))"
    case .gap(let first, let last, let reason): "gap \(first)...\(last) reason \(reason)"
    case .endOfSession(_, let next): "end of session, next \(next)"
    }
  }
}

/// Where a datagram came from: 0 and 1 are the lines, 2 is the retransmission service.
typealias Origin = Int
let service: Origin = 2
