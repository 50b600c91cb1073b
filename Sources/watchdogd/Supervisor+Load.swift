import Glibc
import StageRecords
import StageRuntime
import Supervision

/// Who else wants the cores, and what that does to the components. Told, and no process is ended for it: a successor would fare no
/// better.
extension Supervisor {
  /// Once a second.
  func watchLoad(_ now: UInt64) {
    guard now >= load.nextLook else { return }
    load.nextLook = now + LoadWatch.lookNanoseconds
    let running = components.indices.filter { components[$0].pid > 0 }
    let samples = running.map { (pid: components[$0].pid, sample: ProcessProbe.times(components[$0].pid)) }
    let windows = load.windows(samples + [(getpid(), ProcessProbe.times(getpid()))])
    for (index, found) in zip(running, samples) {
      if let change = load.components[index].look(found.sample, of: found.pid, windows) {
        tell(change, index, now)
      }
    }
  }

  private func tell(_ change: NeighbourWatch.Change, _ index: Int, _ now: UInt64) {
    let component = components[index]
    let core: Int
    switch change {
    case .began(let found, let waited, let others):
      core = found
      control.add(SupervisorCounter.neighbours)
      var record = loadRecord(.neighbour, component, now)
      record.tier = LivenessTier.mark.rawValue
      record.cause = StallCause.starved.rawValue
      record.code = Int32(clamping: core)
      record.value = waited
      record.remark = "others \(others.others / 10) %, hypervisor \(others.stolen / 10) %"
      journal.note(record)
      narrate(
        "watchdogd: \(component.name) (process \(component.pid)) has a neighbour on core \(core): others take \(others.others / 10) % of it (the hypervisor \(others.stolen / 10) %), it waited \(waited / 1_000_000) ms of the last second",
        as: .remark, component.logFields)
    case .ended(let found, let windows):
      core = found
      var record = loadRecord(.neighbourGone, component, now)
      record.code = Int32(clamping: core)
      record.value = windows
      journal.note(record)
      narrate(
        "watchdogd: \(component.name) (process \(component.pid)) has core \(core) again, after \(windows) s",
        as: .remark, component.logFields)
    }
    let standing = load.components[index].neighbour.core.map { UInt64($0) + 1 } ?? 0
    control.counter(SupervisorCounter.firstNeighbour.rawValue + index).storeRelaxed(standing)
  }

  func loadRecord(
    _ event: SupervisionEvent, _ component: SupervisedComponent, _ now: UInt64
  ) -> SupervisionRecord {
    var record = SupervisionRecord(event, component: component.name, instant: now)
    record.pid = component.pid
    record.epoch = component.epoch
    return record
  }
}
