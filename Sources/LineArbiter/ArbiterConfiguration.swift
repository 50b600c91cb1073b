/// Sizes and times of a ``LineArbiter``. All memory follows from it and is taken once, in `init`. Times are
/// nanoseconds on the clock whose instants the caller passes.
public struct ArbiterConfiguration: Equatable, Sendable {
  /// How many sequence numbers beyond the next one are kept: a power of two, 64...2^22. Four bytes each.
  public var windowMessages = 65_536
  /// Bytes for held messages (each takes its length + 16, rounded up to 16): 4 KiB...4 GiB.
  public var heldBytes = 8 << 20
  /// How long a missing range may still come by itself (the lines' skew and reordering).
  public var holdNanoseconds: UInt64 = 2_000_000
  /// Ranges that can be missing at once: 4...65,536. When more are, neighbours are joined.
  public var gapTableEntries = 256

  /// Whether missing ranges are asked for at all.
  public var retransmissionEnabled = true
  /// How long the first request of a range waits for its answer: 1 ns...1 h with retransmission on.
  public var requestTimeoutNanoseconds: UInt64 = 50_000_000
  /// How much longer each further attempt waits: attempt n (from 1) waits timeout + (n - 1) × backoff. At most 1 h.
  public var requestBackoffNanoseconds: UInt64 = 50_000_000
  /// Unanswered requests for a range before it is given up: 1...1,000. Progress starts the count again.
  public var requestAttempts = 5
  /// Least time between two requests of any kind.
  public var requestIntervalNanoseconds: UInt64 = 100_000
  /// Most messages in one request: 1...65,534. What one answer holds is best: ranges wider than that are
  /// then asked for in parallel instead of one remainder after the other.
  public var requestMessages = 1_024
  /// Requests that may be unanswered at once: 1...64.
  public var requestsInFlight = 4
  /// How long after the last useful answer the rest of its request is asked for again. 0 for services that
  /// answer a request with one datagram; else longer than the time between datagrams of one answer.
  public var partialAnswerNanoseconds: UInt64 = 0

  /// When the stream is known to be further ahead of the next message than this, the range at the head is
  /// given up as far as needed to be inside the window again (`windowExceeded`). 0 = never, however long
  /// recovery takes; else at least `windowMessages`.
  public var maximumLagMessages: UInt64 = 0
  /// A number further ahead than this is not believed: 1...2^62.
  public var farAheadMessages: UInt64 = 1 << 40
  /// Delivered messages whose hash is remembered to compare later copies with: 0 = off, else a power of
  /// two up to 2^22; 16 bytes each. Costs a hash per message, and one more per duplicate.
  public var historyMessages = 0
  /// A line that is silent for longer counts as down. More than the venue's heartbeat interval.
  public var lineSilenceNanoseconds: UInt64 = 3_000_000_000

  public init() {}

  /// The first value that is out of its range, or nil. ``LineArbiter/init(configuration:firstSequence:)``
  /// traps unless this is nil: call it on everything that a user wrote.
  public func problem() -> ArbiterConfigurationError? {
    func isPowerOfTwo(_ value: Int) -> Bool { value > 0 && value & (value - 1) == 0 }
    if !isPowerOfTwo(windowMessages) || windowMessages < 64 || windowMessages > 1 << 22 {
      return .windowMessages
    }
    if heldBytes < 4_096 || heldBytes > 4 << 30 { return .heldBytes }
    if gapTableEntries < 4 || gapTableEntries > 65_536 { return .gapTableEntries }
    let hour: UInt64 = 3_600_000_000_000
    if retransmissionEnabled && requestTimeoutNanoseconds == 0 || requestTimeoutNanoseconds > hour {
      return .requestTimeoutNanoseconds
    }
    if requestBackoffNanoseconds > hour { return .requestBackoffNanoseconds }
    if requestAttempts < 1 || requestAttempts > 1_000 { return .requestAttempts }
    if requestMessages < 1 || requestMessages > 65_534 { return .requestMessages }
    if requestsInFlight < 1 || requestsInFlight > 64 { return .requestsInFlight }
    if maximumLagMessages != 0 && maximumLagMessages < UInt64(windowMessages) {
      return .maximumLagMessages
    }
    if farAheadMessages < 1 || farAheadMessages > 1 << 62 { return .farAheadMessages }
    if historyMessages != 0 && (!isPowerOfTwo(historyMessages) || historyMessages > 1 << 22) {
      return .historyMessages
    }
    return nil
  }
}

/// Which value of an ``ArbiterConfiguration`` is out of the range that its comment gives.
public enum ArbiterConfigurationError: String, Error, Sendable {
  case windowMessages
  case heldBytes
  case gapTableEntries
  case requestTimeoutNanoseconds
  case requestBackoffNanoseconds
  case requestAttempts
  case requestMessages
  case requestsInFlight
  case maximumLagMessages
  case farAheadMessages
  case historyMessages
}
