/// One step of the overload ladder: how much was sent, and where the first of it was lost.
public struct OverloadStep: Sendable, Equatable {
  /// Where a set can come to its end, in the order of the flow.
  public enum Limit: String, Sendable {
    /// The venue itself did not come to the rate: nothing was found out about the set.
    case venue = "the venue"
    case sockets = "a receiver's socket"
    case rings = "a ring"
    case retransmission = "lost on both lines and not repeated in time"
    /// Nothing was lost, but what came out came later and later.
    case backlog = "the stages, behind the lines"
  }

  /// Messages a second that were to be sent.
  public let wanted: UInt64
  public let outcome: DrillRound.Outcome

  public init(wanted: UInt64, outcome: DrillRound.Outcome) {
    self.wanted = wanted
    self.outcome = outcome
  }

  private static func rate(_ messages: UInt64, _ nanoseconds: UInt64) -> UInt64 {
    nanoseconds == 0 ? 0 : UInt64(Double(messages) / Double(nanoseconds) * 1e9)
  }

  /// Messages a second that were sent.
  public var sent: UInt64 { Self.rate(outcome.messagesSent, outcome.sendNanoseconds) }
  /// Messages a second that came out, exact; nothing of a day that is not.
  public var correct: UInt64 {
    outcome.digestsEqual ? Self.rate(outcome.messagesApplied, outcome.flowNanoseconds) : 0
  }

  /// What came in is what came out and what was declared lost.
  public var isConserved: Bool {
    outcome.messagesSent > 0 && outcome.messagesSent == outcome.messagesApplied + outcome.messagesLost
  }

  /// Where it came to its end first; nil when it bore the rate.
  public var limit: Limit? {
    if outcome.kernelDrops > 0 { return .sockets }
    if outcome.ringLaps > 0 { return .rings }
    if outcome.messagesLost > 0 { return .retransmission }
    if Double(sent) < 0.9 * Double(wanted) { return .venue }
    if Double(correct) < 0.9 * Double(sent) { return .backlog }
    return nil
  }
}

/// What a ladder of steps comes to.
public struct OverloadLadder: Sendable {
  public private(set) var steps: [OverloadStep] = []

  public init() {}

  public mutating func add(_ step: OverloadStep) { steps.append(step) }

  /// The first step that was not borne.
  public var first: OverloadStep? { steps.first { $0.limit != nil } }

  /// In thousandths of the rate that the set has when the venue waits for it.
  public static let shares: [UInt64] = [
    250, 500, 750, 1_000, 1_250, 1_500, 2_000, 2_500, 3_000, 4_000, 6_000, 8_000, 12_000, 16_000,
  ]

  /// Whether it was the set that came to its end, and not the venue in front of it.
  public var hasFoundLimit: Bool { first.map { $0.limit != .venue } ?? false }

  /// Whether it has been seen what happens at the first limit and at twice as much.
  public var isComplete: Bool {
    guard let first, let last = steps.last else { return false }
    // A venue that cannot send more has no second limit to show.
    return last.wanted >= 2 * first.wanted || last.limit == .venue
  }
}
