import CLinux
import Glibc
import StageRecords
import StageRuntime
import Supervision

/// What follows a death.
extension Supervisor {
  /// A death that the kernel has confirmed.
  func respondToDeath(of component: SupervisedComponent) {
    let pid = component.pid
    let epoch = component.epoch
    let fencedAt = component.fencedAt
    guard let cause = component.reapIfDead() else { return }
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
    journal.noteDeath(of: component.name, cause, pid: pid, epoch: epoch)
    respond(to: cause, of: component)
  }

  private func respond(to cause: ExitCause, of component: SupervisedComponent) {
    control.add(SupervisorCounter.deaths)
    switch component.supervision.died(cause, now: bulkhead_monotonic_nanoseconds()) {
    case .restart:
      start(component)
      control.add(SupervisorCounter.restarts)
      if let index = components.firstIndex(where: { $0 === component }) {
        control.counter(SupervisorCounter.firstRestart.rawValue + index).addAsOnlyWriter(1)
      }
      narrate("watchdogd: \(component.name) \(cause); restarted as process \(component.pid)")
    case .halt(let reason):
      control.add(SupervisorCounter.halted)
      journal.note(.leftDown, component.name)
      narrate("watchdogd: \(component.name) \(cause); left down: \(reason)")
    }
  }

  /// Writes down that a component said READY, once for each incarnation.
  func noteReady(_ component: SupervisedComponent) {
    guard let instant = component.takeReadiness() else { return }
    var record = SupervisionRecord(.ready, component: component.name, instant: instant)
    record.pid = component.pid
    record.epoch = component.epoch
    journal.note(record)
  }
}
