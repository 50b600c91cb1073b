import Glibc
import StageRecords
import StageRuntime
import Supervision
import Topology

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
    for index in components.indices {
      if let change = load.components[index].lookAtLatency(of: components[index], now) {
        tell(change, index, now)
      }
    }
    if let change = load.shed(windows) { shed(change, now) }
  }

  /// A component is slow, or is no longer.
  private func tell(_ change: LatencyWatch.Change, _ index: Int, _ now: UInt64) {
    let component = components[index]
    let watch = load.components[index].latency
    control.counter(SupervisorCounter.firstBaseline.rawValue + index).storeRelaxed(watch.baseline)
    control.counter(SupervisorCounter.firstDegraded.rawValue + index).storeRelaxed(watch.isDegraded ? 1 : 0)
    let usual = "\(watch.baseline / 1_000) us"
    let who = "watchdogd: \(component.name) (process \(component.pid))"
    switch change {
    case .learned: break
    case .degraded(let percentile), .lasting(let percentile):
      let isLasting = change == .lasting(percentile)
      if !isLasting { control.add(SupervisorCounter.degradations) }
      var record = loadRecord(.latencyDegraded, component, now)
      record.tier = isLasting ? LivenessTier.alarm.rawValue : 0
      record.value = percentile
      record.remark = usual
      journal.note(record)
      narrate(
        "\(who) is \(isLasting ? "still DEGRADED" : "DEGRADED"): p99 \(percentile / 1_000) us, more than \(watch.factor) times its usual \(usual)",
        as: isLasting ? .alarm : .remark, component.logFields)
    case .restored(let percentile):
      var record = loadRecord(.latencyRestored, component, now)
      record.value = percentile
      journal.note(record)
      narrate(
        "\(who) is no longer DEGRADED: p99 \(percentile / 1_000) us", as: .remark, component.logFields)
    }
  }

  /// Gives a step up, or takes it up again: the stage whose work it is reads so in its own time. A set without that stage has the
  /// step for nothing.
  private func shed(_ change: LoadShedding.Change, _ now: UInt64) {
    let place: Int
    let isShed: Bool
    switch change {
    case .shed(let step): (place, isShed) = (step, true)
    case .restored(let step): (place, isShed) = (step, false)
    }
    let work = load.order[place]
    let all = load.shedWork
    for index in components.indices {
      let own = load.order.filter { $0.stage(of: topology) == components[index].name }
        .reduce(into: OptionalWork()) { $0.insert($1.optional) }
      instructions.shed(all.intersection(own), of: components[index].name, key: index)
    }
    control.set(SupervisorCounter.shedLevel, UInt64(load.shedding.level))
    control.set(SupervisorCounter.shedWork, UInt64(all.rawValue))
    if isShed { control.add(SupervisorCounter.sheddings) }
    var record = SupervisionRecord(
      isShed ? .workShed : .workResumed, component: work.stage(of: topology) ?? InstanceFiles.supervisor,
      instant: now)
    record.value = UInt64(load.shedding.level)
    record.remark = work.rawValue
    journal.note(record)
    narrate(
      isShed
        ? "watchdogd: overload: \(work.rawValue) is given up"
        : "watchdogd: \(work.rawValue) goes on: no overload")
  }

  private func tell(_ change: NeighbourWatch.Change, _ index: Int, _ now: UInt64) {
    let component = components[index]
    let core: Int
    switch change {
    case .began(let found, let waited, let others):
      core = found
      control.add(SupervisorCounter.neighbours)
      var record = loadRecord(.neighbour, component, now)
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
