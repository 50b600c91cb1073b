import CLinux
import Glibc
import StageRecords
import StageRuntime
import Supervision

/// What operators ask for. Decided by ``OperatorRequests``; carried out and written down here.
extension Supervisor {
  /// Answers what has come, and ends by force what was to have ended by now.
  func serveRequests(_ now: UInt64, hasCome: Bool) {
    if hasCome || channel.isBusy { channel.serve(now: now) { answer($0, $1, now) } }
    for index in requests.overdue(now) {
      narrate(
        "watchdogd: \(components[index].name) has not ended in time; ended with SIGKILL", as: .fenced,
        components[index].logFields)
      components[index].fence(now)
    }
  }

  private func answer(_ request: ControlRequest, _ peer: RequestChannel.Peer, _ now: UInt64) -> ControlAnswer
  {
    guard peer.user == 0 || peer.user == geteuid() else {
      narrate(
        "watchdogd: user \(peer.user) (process \(peer.process)) may not ask for \(request.verb.name)",
        as: .requested,
        [
          (.verb, request.verb.name), (.outcome, "notPermitted"), (.askingUser, String(peer.user)),
          (.askingProcess, String(peer.process)),
        ])
      return ControlAnswer(.notPermitted, "only the owner of the set, or root")
    }
    let stages = components.map {
      RequestedStage(
        name: $0.name, epoch: $0.epoch, pid: $0.pid,
        writesSnapshots: $0.name == topology.tapeStage && topology.tape?.shadow == true,
        hasStandby: $0 === book)
    }
    var result = requests.take(
      request, stages: stages, actions: request.verb.isOfAction ? actions.requested(topology) : [],
      supervisorEpoch: control.epoch, isStopping: false, now: now)
    var order = ProgramUpgrade.Order.nothing
    if case .upgrade = result.action { (result.answer, order) = decide(request, result.answer, now) }
    if request.isDryRun { return preview(result.answer, result.action) }
    writeDown(request, result.answer, peer, now)
    if request.verb.isOfAction { return carryOut(result.action, result.answer) }
    let isHeldNow = result.answer.outcome == .nothingToDo && (request.verb == .stop || request.verb == .drain)
    if isHeldNow, let index = components.firstIndex(where: { $0.name == request.component }) {
      noteHeld(index)
    }
    if result.answer.outcome == .accepted, [.maintenanceOn, .maintenanceOff].contains(request.verb) {
      note(
        .maintenance, InstanceFiles.supervisor, value: request.verb == .maintenanceOn ? 1 : 0, request.reason)
    }
    carryOut(result.action)
    follow(order, now)
    return result.answer
  }

  private func carryOut(_ action: OperatorRequests.Action) {
    switch action {
    case .none, .arm, .disarm, .fire, .upgrade: break
    case .start(let index): startAsAsked(index)
    case .startAll(let indices): for index in indices where components[index].pid == 0 { startAsAsked(index) }
    case .end(let index):
      components[index].requestStop()
    case .snapshot(let index): instructions.askForSnapshot(components[index].name, key: index)
    case .log(let index, let wish):
      instructions.set(
        wish, of: index < components.count ? components[index].name : InstanceFiles.supervisor, key: index,
        now: bulkhead_monotonic_nanoseconds())
    }
  }

  func startAsAsked(_ index: Int) {
    let component = components[index]
    component.supervision.returnToService()
    // What its being left down had ended goes on.
    if actions.state == .halted {
      let now = bulkhead_monotonic_nanoseconds()
      if unhalt(by: component.name, now: now) {
        lift(operatorHolder, isWell: true, position: 0, frontier: 0, now: now)
      }
    }
    guard !component.isStarting else { return }
    component.endedBy = nil
    start(component)
    if component.pid > 0 {
      narrate(
        "watchdogd: \(component.name) started as process \(component.pid), as asked", as: .stageStarted,
        component.logFields)
    }
  }

  /// A confirmed death that a request has something to say about.
  /// - Returns: false when it is the restart policy's.
  func isDeathAsAsked(_ component: SupervisedComponent, _ index: Int, _ cause: ExitCause) -> Bool {
    switch requests.died(index) {
    case .policy: return false
    case .successor:
      startAsAsked(index)
      narrate(
        "watchdogd: \(component.name) \(cause); restarted as process \(component.pid), as asked",
        as: .stageStarted,
        component.logFields)
    case .held:
      noteHeld(index)
      narrate("watchdogd: \(component.name) \(cause); stays down, as asked", as: .held, component.logFields)
    case .waiting:
      narrate(
        "watchdogd: \(component.name) \(cause); not restarted: maintenance", as: .held, component.logFields)
    }
    return true
  }

  private func noteHeld(_ index: Int) {
    components[index].restartAt = nil
    note(.held, components[index].name)
  }

  private func note(_ event: SupervisionEvent, _ component: String, value: UInt64 = 0, _ remark: String = "")
  {
    var record = SupervisionRecord(event, component: component, instant: bulkhead_monotonic_nanoseconds())
    record.value = value
    record.remark = remark
    journal.note(record)
  }

  /// Who asked for what, why, and what came of it: on the status ring, on standard error, and in the system's journal.
  private func writeDown(
    _ request: ControlRequest, _ answer: ControlAnswer, _ peer: RequestChannel.Peer, _ now: UInt64
  ) {
    let target =
      !request.action.isEmpty
      ? request.action : request.component.isEmpty ? InstanceFiles.supervisor : request.component
    var record = SupervisionRecord(.requested, component: target, instant: now)
    record.pid = peer.process
    record.epoch = request.epoch
    record.code = Int32(bitPattern: peer.user)
    record.value = UInt64(request.verb.rawValue) | UInt64(answer.outcome.rawValue) << 8
    record.remark = request.reason
    journal.note(record)
    let reason = request.reason.isEmpty ? "" : " (\(request.reason))"
    narrate(
      "watchdogd: user \(peer.user), process \(peer.process), asks: \(request.verb.name) \(target)\(reason): \(answer.text)",
      as: .requested,
      [
        (.component, target), (.epoch, String(request.epoch)), (.verb, request.verb.name),
        (.outcome, "\(answer.outcome)"), (.reason, request.reason), (.askingUser, String(peer.user)),
        (.askingProcess, String(peer.process)),
      ])
  }
}
