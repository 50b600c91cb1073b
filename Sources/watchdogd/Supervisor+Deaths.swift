import CLinux
import Failpoints
import Glibc
import StageRecords
import StageRuntime
import Supervision
import SystemLog

/// What follows a death.
extension Supervisor {
  /// How long the stages may take to end after the whole set was asked to.
  private static let stopOfTheSetNanoseconds: UInt64 = 15_000_000_000

  /// A death that is under way. A book stage takes tens of milliseconds to give its memory back; until then its death is not
  /// confirmed, and nothing takes its place, but nobody is to trust what it left any longer.
  func noteDying(_ component: SupervisedComponent, at index: Int, step: UInt64, _ now: UInt64) {
    guard component.takeDying(step: step) else { return }
    if !isStopOfTheSet(component) { distrust(index, .death, now: now) }
    journal.note(.dying, component.name, pid: component.pid, epoch: component.epoch)
  }

  /// A death that the kernel has confirmed.
  func respondToDeath(of component: SupervisedComponent, at index: Int, _ now: UInt64) {
    if !component.isDying, !component.awaitsCause, !isStopOfTheSet(component) {
      distrust(index, .death, now: now)
    }
    let pid = component.pid
    let epoch = component.epoch
    let fencedAt = component.fencedAt
    let atHand = component.inputAtHand
    guard let cause = component.reapIfDead(&memory) else { return }
    control.flight.note(.died, count: UInt64(cause.code), UInt64(index), UInt64(pid))
    component.watch.end()
    if fencedAt > 0 {
      control.add(SupervisorCounter.fences)
      var record = SupervisionRecord(
        .fenced, component: component.name, instant: bulkhead_monotonic_nanoseconds())
      record.pid = pid
      record.epoch = epoch
      record.value = record.instant &- fencedAt
      journal.note(record)
    }
    failpoint(104)  // a death is written down on its page, not on the ring
    journal.noteDeath(of: component.name, cause, pid: pid, epoch: epoch, atHand: atHand)
    let isNewBuild = isOfUpgrade(component, pid: pid, epoch: epoch, cause, now)
    if isDeathAsAsked(component, index, cause) { return }
    // What a build does that was refused is held against nobody's budget.
    if isNewBuild { return startAsAsked(index) }
    if launcher.isShared, cause == .requested {
      // A stage ends so only when it is asked to; and that was not this process.
      if launcher.isSetStopping() { setStopSeenAt = now }
      // One that was called off has not reached those that were told already.
      component.endedWithSet = setStopSeenAt > 0 && now - setStopSeenAt < Self.stopOfTheSetNanoseconds
      if component.endedWithSet { return }
      return narrate(
        "watchdogd: \(component.name) was stopped from outside, and stays down until it is started so",
        as: .held,
        component.logFields)
    }
    if let causes = component.poison.died(cause, sequence: atHand) {
      quarantine(atHand, of: component, causes)
    }
    failpoint(105)  // a death is told, no successor started
    // What could not be executed a moment ago may be in a moment: memory or descriptors were short, or the file was being replaced.
    let isNotExecuted = cause == .failed(code: 127)
    respond(to: cause, of: component, atLeastAfter: isNotExecuted ? Self.failedStartNanoseconds : 0)
  }

  /// One of the stages that systemd stops one after the other, this process last: nothing has failed. Asked only about
  /// those that end in order.
  private func isStopOfTheSet(_ component: SupervisedComponent) -> Bool {
    launcher.isShared && component.isEndingInOrder && launcher.isSetStopping()
  }

  /// The stop of the set, of which the stages' ends were a part, has been called off (a start came before it was over): they
  /// are started again.
  func resumeIfStopIsOff(_ now: UInt64) {
    guard launcher.isShared, now >= nextLookAtStop, components.contains(where: \.endedWithSet) else { return }
    nextLookAtStop = now + 100_000_000
    guard !launcher.isSetStopping() else {
      setStopSeenAt = now
      return
    }
    narrate("watchdogd: the stop of the set was called off")
    for component in components where component.endedWithSet {
      component.endedWithSet = false
      if component.pid == 0, !component.isStarting { restart(component) }
    }
  }

  /// Looks for the process of a start that was asked for, or of one that somebody else asked for.
  func look(for component: SupervisedComponent) {
    if component.lookForStranger() {
      if let index = self.index(of: component) { requests.appeared(index) }
      journal.note(.adopted, component.name, pid: component.pid, epoch: component.epoch)
      watchMemory(of: component)
      return narrate(
        "watchdogd: \(component.name) was started from outside as process \(component.pid)",
        as: .stageStarted,
        component.logFields)
    }
    switch component.lookForStart() {
    case .running:
      noteStart(of: component)
      if hasComeUp {
        narrate(
          "watchdogd: \(component.name) runs as process \(component.pid)", as: .stageStarted,
          component.logFields)
      }
    case .failed(let cause):
      component.watch.end()
      journal.noteDeath(of: component.name, cause, pid: 0, epoch: component.epoch)
      guard hasComeUp || isAdopting else {
        narrate(
          "watchdogd: \(component.name) did not start: \(cause)", as: .died,
          component.logFields + [(.cause, "\(cause)")])
        giveUp(
          cause == .permanent(code: ExitCode.configuration) ? ExitCode.configuration : ExitCode.unavailable)
      }
      respond(to: cause, of: component, atLeastAfter: Self.failedStartNanoseconds)
    case nil: break
    }
  }

  /// - Parameter atLeastAfter: nanoseconds that a restart waits whatever the policy says.
  func respond(to cause: ExitCause, of component: SupervisedComponent, atLeastAfter wait: UInt64 = 0) {
    control.add(SupervisorCounter.deaths)
    component.endedBy = cause
    if cause == .failed(code: ExitCode.inputOutput), topology.tape?.onTrouble == .halt,
      component.name == topology.tapeStage
    {
      narrate(
        "watchdogd: \(component.name) cannot record: stopping the set, as tape.on_trouble says",
        as: .unjournaled,
        component.logFields)
      control.add(SupervisorCounter.halted)
      journal.note(.leftDown, component.name)
      mustStop = true
      return
    }
    let now = bulkhead_monotonic_nanoseconds()
    // Of the incarnation that has died.
    let fields: [(LogField, String)] = component.logFields + [(.cause, "\(cause)")]
    switch component.supervision.died(cause, now: now) {
    case .restart(let delay):
      let delay = max(delay, wait)
      guard delay == 0 else {
        component.restartAt = now + delay
        return narrate(
          "watchdogd: \(component.name) \(component.words(for: cause)); a successor starts in \(delay / 1_000_000) ms",
          as: .died, fields)
      }
      let takesPlace = component === book && standIn != nil
      restart(component)
      let successor =
        takesPlace
        ? "the standby takes its place, process \(component.pid)"
        : component.isStarting ? "a successor is asked for" : "restarted as process \(component.pid)"
      narrate(
        "watchdogd: \(component.name) \(component.words(for: cause)); \(successor)", as: .died, fields)
    case .halt(let reason):
      // A set that is not looked at lacks nothing.
      if component.name != topology.viewStage { control.add(SupervisorCounter.halted) }
      control.flight.note(.leftDown, UInt64(place(of: component)))
      giveUpOn(component)
      journal.note(.leftDown, component.name)
      narrate(
        "watchdogd: \(component.name) \(component.words(for: cause)); left down: \(reason)", as: .leftDown,
        fields)
    }
  }

  private func restart(_ component: SupervisedComponent) {
    let cause = component.endedBy
    component.endedBy = nil
    start(component)
    // Put off, or failed: counted when it comes to it.
    guard component.restartAt == nil else {
      if component.endedBy == nil { component.endedBy = cause }
      return
    }
    countRestart(at: place(of: component), after: cause)
  }

  /// - Parameter cause: how the predecessor ended; nil when the successor was asked for.
  func countRestart(at index: Int, after cause: ExitCause?) {
    control.add(SupervisorCounter.restarts)
    control.counter(SupervisorCounter.firstRestart.rawValue + index).addAsOnlyWriter(1)
    let counter = cause.flatMap { SupervisorCounter.restartCause(stage: index, cause: Int($0.code)) }
    if let counter { control.counter(counter).addAsOnlyWriter(1) }
  }

  /// A component's place in the topology, from 0.
  func place(of component: SupervisedComponent) -> Int {
    components.firstIndex { $0 === component } ?? components.count
  }

  /// Starts a successor whose wait is over.
  func restartIfDue(_ component: SupervisedComponent, _ now: UInt64) {
    guard let due = component.restartAt, now >= due else { return }
    restart(component)
    if component.pid > 0 {
      narrate(
        "watchdogd: \(component.name) restarted as process \(component.pid)", as: .stageStarted,
        component.logFields)
    }
  }

  /// Writes down that a component said READY, once for each incarnation.
  func noteReady(_ component: SupervisedComponent) {
    guard let instant = component.takeReadiness() else { return }
    settle(component)
    if component === book { follow(upgrade.becameReady(component.pid), bulkhead_monotonic_nanoseconds()) }
    var record = SupervisionRecord(.ready, component: component.name, instant: instant)
    record.pid = component.pid
    record.epoch = component.epoch
    journal.note(record)
  }
}
