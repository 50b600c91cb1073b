/// What merged counts about missing ranges, on its recovery page: totals since the set was made, states, and instants
/// (CLOCK_MONOTONIC, ns; 0 = never). The raw value is the word on the page; new ones go to the end.
public enum RecoveryTally: Int, Sendable, CaseIterable {
  /// Ranges, and the messages in them.
  case rangesDetected
  case messagesMissing
  /// Messages that were missing, by who brought them or took their place.
  case filledByLineA
  case filledByLineB
  case filledByRetransmission
  case replacedBySnapshot
  case messagesLost
  /// Requests of retransmission; those that repeat one; those that nothing came of; those that could not be sent.
  case requests
  case retries
  case unanswered
  case sendErrors
  /// Ranges that were filled later than the rung's objective.
  case lateByLine
  case lateByRetransmission
  case lateBySnapshot
  /// Ranges that passed retransmission by because its breaker was open.
  case refusedByBreaker
  case breakerOpened
  case snapshotBreakerOpened
  /// Images asked for, those that took the place of a range, and those that contradicted the lines.
  case imagesRequested
  case imagesUsed
  case imagesContradicted
  case lineADowns
  case lineBDowns
  /// Ranges lost, by ``GapReason``: reason n is at ``lostFirst`` + n. What an image replaced is reason 9, and not lost.
  case lostFirst
  case lostRetransmissionOff
  case lostRetransmissionExhausted
  case lostWindowExceeded
  case lostRingOverrun
  case lostRestartWithoutState
  case lostRetransmissionUnavailable
  case lostSnapshotUnavailable
  case lostSessionOver
  case replacedRanges
  /// 0 closed, 1 open, 2 half open.
  case breakerState
  case snapshotBreakerState
  /// When the breaker of retransmission last opened, and closed.
  case breakerOpenedAt
  case breakerClosedAt
  case lineADownAt
  case lineAUpAt
  case lineBDownAt
  case lineBUpAt

  /// A state or an instant; else a total.
  public var isState: Bool { rawValue >= RecoveryTally.breakerState.rawValue }
  /// Its name in JSON; nil for one that only marks a place.
  public var name: String? { self == .lostFirst ? nil : "\(self)" }
}
