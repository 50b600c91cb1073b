import CLinux
import StageRecords
import StageRuntime
import Supervision
import Topology

/// What operators ask about safety actions. Decided by ``OperatorRequests``; carried out here.
extension Supervisor {
  /// What holds the stream stale for an operator's mark: behind the stages and the lines.
  var operatorHolder: Int { components.count + 1 }

  /// The answer to a dry run: of a firing, what exactly would be done, and the bytes that would be sent.
  func preview(_ answer: ControlAnswer, _ action: OperatorRequests.Action) -> ControlAnswer {
    guard case .fire(let index) = action else { return answer }
    var answer = answer
    answer.text += ": \(actions.effect(index, topology))"
    answer.message = actions.message(index)
    return answer
  }

  /// Does what was asked, and tells what came of it.
  func carryOut(_ action: OperatorRequests.Action, _ answer: ControlAnswer) -> ControlAnswer {
    switch action {
    case .arm(let indices): for index in indices { arm(index) }
    case .disarm(let indices): for index in indices { actions.disarm(index) }
    case .fire(let index): return fireByHand(index, answer)
    case .none, .start, .startAll, .end, .snapshot, .log, .upgrade: break
    }
    return answer
  }

  private func arm(_ index: Int) {
    let slot = actions.slots[index]
    let stood = actions.isStanding(index)
    actions.arm(index, socket: socket(of: slot.stage))
    guard stood, slot.isOfStream, !actions.holdsStreamByHand else { return }
    let now = bulkhead_monotonic_nanoseconds()
    // A stage that is left down has ended the stream whatever operators do.
    guard unhalt(by: slot.component(in: topology), now: now) else { return }
    // A gap alone marks nothing.
    if actions.state == .live { actions.closeGap() }
    lift(operatorHolder, isWell: true, position: 0, frontier: 0, now: now)
  }

  /// A halted stream is only stale when nothing has ended it any more: every stage that can mark it shows that it is well.
  /// - Returns: false when it stays halted
  @discardableResult
  func unhalt(by component: String, now: UInt64) -> Bool {
    guard actions.state == .halted else { return true }
    guard !components.contains(where: \.supervision.isDown), !actions.holdsStreamByHand else { return false }
    actions.unhalt(component: component, now: now)
    for holder in 0..<linesHolder where actions.marksStale(holder) { _ = holds.fail(holder) }
    _ = holds.fail(operatorHolder)
    return true
  }

  /// The same way as for a failure; the decision is the operator's.
  private func fireByHand(_ index: Int, _ answer: ControlAnswer) -> ControlAnswer {
    var answer = answer
    let effect = actions.effect(index, topology)
    let slot = actions.slots[index]
    let before = bulkhead_thread_page_faults()
    let decision = bulkhead_monotonic_nanoseconds()
    let result = actions.fireByHand(index, decision: decision, socket: socket(of: slot.stage))
    let took = bulkhead_monotonic_nanoseconds() &- decision
    if slot.isOfStream { _ = holds.fail(operatorHolder) }
    noteFirings(since: before)
    let name = "\(slot.component(in: topology)):\(slot.name(in: topology))"
    if result == SafetyNumber.done {
      let stands = slot.message < 0 ? "; it stands until `bulkhead arm`" : ""
      answer.text = "\(name): fired in \((took + 999) / 1_000) us: \(effect)\(stands)"
    } else {
      answer.outcome = .refused
      answer.text = "\(name): fired, and not done: \(effect)"
    }
    narrate("watchdogd: \(answer.text), by an operator")
    return answer
  }
}
