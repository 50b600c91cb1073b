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
  var policy = Policy.stale
  var haltsOnLoss: Bool { policy == .halt }
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

  // The image's service, with the policy `snapshot`.
  var image = ImageRules()

  /// What becomes of a range that nobody has as messages.
  enum Policy { case stale, snapshot, halt }

  /// The rules of the image's rung as those of a service.
  var ofImages: Rules {
    var rules = self
    rules.interval = image.interval
    rules.budget = 0
    rules.breakerPercent = image.breakerPercent
    rules.breakerWindow = image.breakerWindow
    rules.breakerOpen = image.breakerOpen
    rules.breakerProbes = image.breakerProbes
    return rules
  }
}

struct ImageRules {
  /// Attempt n (from 1) waits for timeout + (n - 1) × backoff.
  var timeout: UInt64 = 5_000_000
  var backoff: UInt64 = 0
  var attempts = 3
  var interval: UInt64 = 100
  var breakerPercent = 0
  var breakerWindow = 4
  var breakerOpen: UInt64 = 5_000
  var breakerProbes = 2
  /// The end's number is that of the last message in the image, not of the first one behind it.
  var endIsLast = false
  var orders = 1_000
  var loginTimeout: UInt64 = 2_000_000
  var silence: UInt64 = 3_000_000
}

/// A record of the stage's output, as a client reads it.
enum Record: Equatable {
  case sessionStart([UInt8], first: UInt64)
  case message(UInt64, [UInt8], stamp: UInt64)
  /// The reason is that of the gap record on the ring `merged`.
  case gap(UInt64, UInt64, reason: UInt8)
  case endOfSession([UInt8], next: UInt64)
  /// An image is being fetched for the place of these, and its messages from 1 on; it counts with its end.
  case imageStart(UInt64, UInt64)
  case image(Int, [UInt8])
  case imageEnd(UInt64, UInt64, count: Int)

  var text: String {
    switch self {
    case .sessionStart(let session, let first):
      "session \(String(decoding: session, as: UTF8.self)) from \(first)"
    case .message(let number, let bytes, let stamp):
      "message \(number) (\(bytes.count) bytes, stamp \(stamp))"
    case .gap(let first, let last, let reason): "gap \(first)...\(last) reason \(reason)"
    case .endOfSession(_, let next): "end of session, next \(next)"
    case .imageStart(let first, let last): "an image is wanted for \(first)...\(last)"
    case .image(let number, let bytes): "message \(number) of an image (\(bytes.count) bytes)"
    case .imageEnd(let first, let last, let count):
      "an image of \(count) messages stands for \(first)...\(last)"
    }
  }
}

/// Where a datagram came from: 0 and 1 are the lines, 2 is the retransmission service.
typealias Origin = Int
let service: Origin = 2
