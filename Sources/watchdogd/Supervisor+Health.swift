import CLinux
import Glibc
import StageRecords
import StageRuntime
import Supervision

/// What is looked at beside the stages' ladders: the wall clock, and memory that grows towards a limit. Both are told, and nothing
/// else follows.
extension Supervisor {
  private static let memoryLookNanoseconds: UInt64 = 1_000_000_000

  /// Whether the wall clock was set. Each scan: three reads of clocks.
  func watchWallClock() {
    let before = bulkhead_monotonic_nanoseconds()
    let wall = bulkhead_realtime_nanoseconds()
    let change = wallClock.look(before: before, wall: wall, after: bulkhead_monotonic_nanoseconds())
    control.set(SupervisorCounter.clockSteps, wallClock.steps)
    control.set(SupervisorCounter.clockSuspect, wallClock.isSuspect ? 1 : 0)
    switch change {
    case .stepped(let nanoseconds):
      var record = SupervisionRecord(.clockStepped, component: InstanceFiles.supervisor, instant: before)
      record.value = UInt64(nanoseconds.magnitude)
      record.code = nanoseconds < 0 ? -1 : 1
      journal.note(record)
      narrate(
        "watchdogd: the wall clock was set by \(nanoseconds / 1_000_000) ms: its stamps are suspect; nothing else depends on it"
      )
    case .steady(let steps):
      var record = SupervisionRecord(.clockSteady, component: InstanceFiles.supervisor, instant: before)
      record.value = steps
      journal.note(record)
      narrate("watchdogd: the wall clock runs evenly again, after \(steps) steps")
    case nil: break
    }
  }

  /// Whether anybody grows towards the limit of its control group. Once a second; a few small files for each process in a group that
  /// has a limit.
  func watchMemoryGrowth(_ now: UInt64) {
    guard now >= nextMemoryLook else { return }
    nextMemoryLook = now + Self.memoryLookNanoseconds
    for component in components where component.pid > 0 {
      component.lookForMemoryGroup()
      watchMemory(of: component)
      guard let trend = component.grows(to: ProcessProbe.memoryRoom(component.pid)) else { continue }
      control.add(SupervisorCounter.memoryAlarms)
      var record = SupervisionRecord(.memoryGrows, component: component.name, instant: now)
      record.pid = component.pid
      record.epoch = component.epoch
      record.value = trend.perSecond
      record.code = Int32(clamping: trend.seconds)
      journal.note(record)
      narrate(
        "watchdogd: \(component.name) (process \(component.pid)) grows by \(trend.perSecond) bytes/s, and comes to the limit of its control group in \(trend.seconds) s"
      )
    }
  }
}
