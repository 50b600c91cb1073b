import CLinux
import Failpoints
import StageRecords
import StageRuntime
import Supervision
import Topology

/// Whether the stream may be believed: taken back the moment a stage of it fails, given again when its successor has caught
/// up.
extension Supervisor {
  /// For each stage, those that read what it writes and can hold the stream stale themselves.
  static func holders(of topology: Topology) -> TrustHolds {
    let stages = topology.stages
    let successors = stages.map { stage -> [Int] in
      guard let ring = topology.ring(writtenBy: stage.name) else { return [] }
      return stages.indices.filter {
        ring.readers.contains(stages[$0].name) && stages[$0].onAlarm.contains(.markStale)
      }
    }
    // Then the lines: merged has to read what they bring again. An operator's mark last: he takes it back himself.
    let merged = stages.indices.filter {
      stages[$0].name == "merged" && stages[$0].onAlarm.contains(.markStale)
    }
    return TrustHolds(successors: successors + [merged, []])
  }

  /// A stage reached the alarm or died: `now` is when that was decided. Before anything else is read or written about it.
  func distrust(_ index: Int, _ cause: ActionCause, now: UInt64) {
    fire(index, .alarm, cause, now)
    holdBack(index)
  }

  /// The same for an alarm of the scan under way: what was fired is written down behind it.
  func fireAlarm(_ index: Int, _ now: UInt64) {
    if faultsBeforeFirings == nil { faultsBeforeFirings = bulkhead_thread_page_faults() }
    fireActions(index, .alarm, .alarm, now)
    holdBack(index)
  }

  private func holdBack(_ index: Int) {
    failpoint(107)  // readers are told, nothing is written down
    control.flight.note(.distrusted, UInt64(index))
    if actions.marksStale(index) { _ = holds.fail(index) }
  }

  /// A stage is left down.
  func giveUpOn(_ component: SupervisedComponent) {
    guard let index = self.index(of: component) else { return }
    fire(index, .down, .leftDown, bulkhead_monotonic_nanoseconds())
  }

  func fire(_ index: Int, _ trigger: ArmedAction.Trigger, _ cause: ActionCause, _ now: UInt64) {
    // What alarms of this scan have fired already is written down here as well.
    let before = faultsBeforeFirings ?? bulkhead_thread_page_faults()
    faultsBeforeFirings = nil
    fireActions(index, trigger, cause, now)
    noteFirings(since: before)
  }

  private func fireActions(
    _ index: Int, _ trigger: ArmedAction.Trigger, _ cause: ActionCause, _ now: UInt64
  ) {
    actions.fire(
      stage: index, trigger: trigger.rawValue, cause: cause.rawValue, decision: now, socket: socket(of: index)
    )
  }

  /// The line's socket of a stage that has one.
  func socket(of index: Int) -> Int32 {
    index < components.count ? components[index].sockets.first ?? -1 : -1
  }

  /// Writes down what was fired, and what was due and is disarmed.
  /// - Parameter before: the thread's page faults in front of the firing; nil: not known.
  func noteFirings(since before: UInt64? = nil) {
    guard actions.hasNews else { return }
    let faults = before.map { UInt32(clamping: bulkhead_thread_page_faults() &- $0) } ?? 0
    actions.takeNews { slot in
      let component = slot.stage < components.count ? components[slot.stage] : nil
      let name = slot.name(in: topology)
      var record = SupervisionRecord(
        .action, component: component?.name ?? ArmedAction.lines, instant: slot.decidedAt)
      record.pid = component?.pid ?? 0
      record.epoch = component?.epoch ?? 0
      record.value = UInt64(slot.action)
      record.cause = slot.cause
      record.faults = faults
      record.remark = name
      if slot.result == 0 {
        record.tier = ActionResult.disarmed.rawValue
        narrate(
          "watchdogd: \(slot.component(in: topology)):\(name) is due (\(ActionCause(rawValue: slot.cause)?.name ?? "")), and not fired: it is disarmed"
        )
      } else {
        record.tier = (slot.result == SafetyNumber.failed ? ActionResult.failed : .done).rawValue
        record.code = Int32(clamping: slot.duration)
      }
      journal.note(record)
    }
  }

  /// A stage works: what was done about its failure is over.
  func settle(_ component: SupervisedComponent) {
    guard let index = self.index(of: component) else { return }
    actions.settle(stage: index, socket: component.sockets.first ?? -1)
  }

  /// Looks after the sessions that are held open for actions.
  func keepSessions(_ now: UInt64) {
    actions.keep(now: now) { name, change in
      var record = SupervisionRecord(.session, component: name, instant: now)
      switch change {
      case .loggedOn: record.value = 1
      case .ended(let end):
        record.code = Int32(end?.rawValue ?? 0)
        narrate(
          "watchdogd: the session of action \(name) ended: \(end?.name ?? "closed by the other side")",
          as: .session, [(.action, name)])
      case .answered(let outcome):
        record.event = .answered
        record.value = UInt64(outcome.rawValue)
        narrate(
          "watchdogd: action \(name): \(outcome.name) by the other side", as: .answered,
          [(.action, name), (.outcome, outcome.name)])
      }
      journal.note(record)
    }
    noteFirings()
  }

  /// Whether a stage that holds the stream stale may let go.
  func reconsider(_ index: Int, now: UInt64) {
    guard holds.isHeld(by: index) else { return }
    let component = components[index]
    let watch = component.watch
    // The position first: what is published meanwhile is still to be read.
    let position = watch.inputPosition
    let isWell = component.isReady && !component.isDying && watch.ladder.isWell
    lift(index, isWell: isWell, position: position, frontier: watch.inputFrontier, now: now)
  }

  /// Lets one who holds the stream stale look, and lifts the mark when nobody holds it any more.
  func lift(_ index: Int, isWell: Bool, position: UInt64, frontier: UInt64, now: UInt64) {
    guard holds.look(index, isWell: isWell, position: position, frontier: frontier), actions.state == .stale
    else { return }
    failpoint(108)  // about to lift the mark
    let component = index < components.count ? components[index] : nil
    let holder = index == operatorHolder ? "operator" : ArmedAction.lines
    actions.lift(now)
    control.flight.note(.trusted, UInt64(index))
    journal.note(
      .trusted, component?.name ?? holder, pid: component?.pid ?? 0, epoch: component?.epoch ?? 0)
    let why =
      component.map { "\($0.name) has caught up" }
      ?? (index == operatorHolder ? "the operator's mark is taken back" : "the lines speak")
    narrate("watchdogd: the stream may be believed again: \(why)", as: .trusted, component?.logFields ?? [])
  }

  /// At a take-over nobody knows who had marked the stream: every stage that can shows that it is well.
  func inheritTrust() {
    guard actions.state != .live else { return }
    for index in 0...linesHolder where actions.marksStale(index) { _ = holds.fail(index) }
    if actions.holdsStreamByHand { _ = holds.fail(operatorHolder) }
  }
}
