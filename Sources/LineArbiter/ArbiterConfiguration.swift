/// Sizes and times of a ``LineArbiter``. All memory follows from it and is taken once, in `init`. Times are
/// nanoseconds on the clock whose instants the caller passes.
public struct ArbiterConfiguration: Equatable, Sendable {
  /// How many sequence numbers beyond the next one are kept: a power of two, 64...2^22. Four bytes each.
  public var windowMessages = 65_536
  /// Bytes for held messages (each takes its length + 16, rounded up to 16): 4 KiB...4 GiB.
  public var heldBytes = 8 << 20
  /// How long a line may still bring a range out of order after it passed it; see
  /// ``LineArbiter/linesDoneAt(_:now:)``.
  public var holdNanoseconds: UInt64 = 2_000_000
  /// How long after its detection a range is asked for even if a line may still bring it. Given up it is not then.
  public var lineWaitNanoseconds: UInt64 = 10_000_000
  /// Ranges that can be missing at once: 4...65,536. When more are, neighbours are joined.
  public var gapTableEntries = 256

  /// Whether and how missing ranges are asked for.
  public var retransmission = RungSettings(isEnabled: true)
  /// How the full image is asked for. Only used with ``UnrecoverablePolicy/snapshot``.
  public var snapshot = RungSettings(isEnabled: false)
  /// What is done with a range that no message source has any more.
  public var unrecoverable = UnrecoverablePolicy.stale
  /// From the detection of a range until a line fills it: longer ones are counted as violations. 0 = no objective.
  public var lineObjectiveNanoseconds: UInt64 = 0
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
  /// A packet, heartbeat or end of session that lies further ahead of what is known than this is believed only when
  /// a second one supports it: 1...2^62.
  public var farAheadMessages: UInt64 = 4_096
  /// Whether an end of session is believed only when the other line announces it too, or the same line again after
  /// the hold time.
  public var corroborateEnd = true
  /// Delivered messages that are remembered to compare later copies with: 0 = off, else a power of
  /// two up to 2^20; 64 bytes each. Costs a copy per message, and a comparison per duplicate.
  public var historyMessages = 0
  /// A line that is silent for longer counts as down. More than the venue's heartbeat interval, and than the hold time.
  public var lineSilenceNanoseconds: UInt64 = 3_000_000_000
  /// A line that has not shown, for longer than this, what had been delivered is down as well. Only for display and
  /// events: what is waited for follows the silence alone.
  public var lineLagNanoseconds: UInt64 = 10_000_000

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
    if !retransmission.isValid { return .retransmission }
    if !snapshot.isValid { return .snapshot }
    if case .snapshot = unrecoverable, !snapshot.isEnabled { return .unrecoverable }
    if requestMessages < 1 || requestMessages > 65_534 { return .requestMessages }
    if requestsInFlight < 1 || requestsInFlight > 64 { return .requestsInFlight }
    if maximumLagMessages != 0 && maximumLagMessages < UInt64(windowMessages) {
      return .maximumLagMessages
    }
    if farAheadMessages < 1 || farAheadMessages > 1 << 62 { return .farAheadMessages }
    if historyMessages != 0 && (!isPowerOfTwo(historyMessages) || historyMessages > 1 << 20) {
      return .historyMessages
    }
    return nil
  }
}

/// What happens when no message source has a missing range any more.
@frozen
public enum UnrecoverablePolicy: UInt8, Sendable, CaseIterable {
  /// The range is declared lost and the stream goes on.
  case stale = 0
  /// A full image takes the place of the range; if there is none either, as `stale`.
  case snapshot = 1
  /// The range is declared lost and nothing behind it goes out.
  case halt = 2
}

/// Which value of an ``ArbiterConfiguration`` is out of the range that its comment gives.
public enum ArbiterConfigurationError: String, Error, Sendable {
  case windowMessages
  case heldBytes
  case gapTableEntries
  case retransmission
  case snapshot
  case unrecoverable
  case requestMessages
  case requestsInFlight
  case maximumLagMessages
  case farAheadMessages
  case historyMessages
}
