import LineArbiter
import StageRecords
import StageRuntime

/// The tallies of the recovery page as an earlier incarnation left them. A copy is the same memory.
struct TallyBase {
  private let values: UnsafeMutablePointer<UInt64>

  init(_ page: borrowing RecoveryPage) {
    values = .allocate(capacity: RecoveryTally.allCases.count)
    for tally in RecoveryTally.allCases { values[tally.rawValue] = page.tally(tally) }
  }

  func value(_ tally: RecoveryTally) -> UInt64 { values[tally.rawValue] }
}

/// What `bulkhead gaps` and metrics read: the counts of the ladder, on the recovery page.
extension MergeStage {
  func writeTallies() {
    func total(_ tally: RecoveryTally, _ value: UInt64) {
      page.setTally(tally, tallyBase.value(tally) &+ value)
    }
    let counters = arbiter.counters
    let retransmissionRung = arbiter.statistics(of: RecoveryRung.retransmission)
    let snapshotRung = arbiter.statistics(of: RecoveryRung.snapshot)
    total(.rangesDetected, counters.gaps)
    total(.messagesMissing, counters.missing)
    total(.filledByLineA, counters.filledByLineA)
    total(.filledByLineB, counters.filledByLineB)
    total(.filledByRetransmission, counters.filledByRetransmission)
    total(.replacedBySnapshot, counters.filledBySnapshot)
    total(.messagesLost, counters.givenUp)
    total(.requests, counters.requests)
    total(.retries, counters.retries)
    total(.unanswered, counters.timeouts)
    total(.sendErrors, retransmission.sendErrors)
    total(.lateByLine, counters.lineObjectiveMissed)
    total(.lateByRetransmission, retransmissionRung.objectiveMissed)
    total(.lateBySnapshot, snapshotRung.objectiveMissed)
    total(.refusedByBreaker, retransmissionRung.refusedByBreaker &+ snapshotRung.refusedByBreaker)
    total(.imagesRequested, snapshotRung.requests)
    total(.imagesUsed, output.gaps(for: Int(GapReason.replacedBySnapshot.rawValue)))
    total(.imagesContradicted, contradictedImages)
    total(.lineADowns, arbiter.lineView(of: .lineA, now: 0).downs)
    total(.lineBDowns, arbiter.lineView(of: .lineB, now: 0).downs)
    for reason in 1...9 {
      guard let tally = RecoveryTally(rawValue: RecoveryTally.lostFirst.rawValue + reason) else { continue }
      total(tally, output.gaps(for: reason))
    }
    if let breaker = arbiter.breaker(of: .retransmission) {
      page.setTally(.breakerState, UInt64(breaker.state.rawValue))
      total(.breakerOpened, breaker.opened)
    }
    if let breaker = arbiter.breaker(of: .snapshot) {
      page.setTally(.snapshotBreakerState, UInt64(breaker.state.rawValue))
      total(.snapshotBreakerOpened, breaker.opened)
    }
  }

  /// When a line or the breaker of retransmission last changed.
  func noteTransition(_ event: ArbiterEvent, _ now: UInt64) {
    switch event {
    case .lineDown(let source, let at): page.setTally(source == .lineA ? .lineADownAt : .lineBDownAt, at)
    case .lineUp(let source, let at): page.setTally(source == .lineA ? .lineAUpAt : .lineBUpAt, at)
    case .breaker(.retransmission, .open): page.setTally(.breakerOpenedAt, now)
    case .breaker(.retransmission, .closed): page.setTally(.breakerClosedAt, now)
    default: break
    }
  }
}
