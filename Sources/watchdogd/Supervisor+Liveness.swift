import CLinux
import Glibc
import StageRecords
import StageRuntime
import Supervision

/// The ladder's steps, and what each of them leads to.
extension Supervisor {
  /// SIGKILL is never refused, but a process in an uninterruptible system call obeys it only behind that.
  private static let confirmationNanoseconds: UInt64 = 1_000_000_000

  /// One look. What stages of the same scan come to is fired at once, and told behind all of them (``tellChanges(_:)``): no action
  /// waits until another stage's alarm is put into words.
  func scan(_ component: SupervisedComponent, at index: Int, step: UInt64, now: UInt64) {
    if component.fencedAt > 0 { return remindOfFence(component, now) }
    guard component.pid > 0, let change = component.watch.scan(socket: component.sockets.first, step: step)
    else { return }
    switch change.tier {
    case .clear: clear(component, change, now)
    case .mark: changes.append((component, change))
    case .alarm:
      fireAlarm(index, now)
      changes.append((component, change))
    case .fence: fence(component, change, now)
    }
  }

  /// Writes down what was fired, and the marks and alarms of this scan.
  func tellChanges(_ now: UInt64) {
    guard !changes.isEmpty else { return }
    noteFirings(since: faultsBeforeFirings)
    faultsBeforeFirings = nil
    for (component, change) in changes {
      if change.tier == .alarm { alarm(component, change, now) } else { mark(component, change, now) }
    }
    changes.removeAll(keepingCapacity: true)
  }

  private func mark(_ component: SupervisedComponent, _ change: LadderChange, _ now: UInt64) {
    let cause = component.watch.cause(of: change, pid: component.pid)
    note(change, component, cause, now)
    if ProcessLog.takesDetails {
      narrate(
        "watchdogd: \(component.name) (process \(component.pid)) \(Self.words(change)): \(cause.name); marked",
        as: .detail, component.logFields + [(.cause, cause.name)])
    }
  }

  private func alarm(_ component: SupervisedComponent, _ change: LadderChange, _ now: UInt64) {
    control.add(SupervisorCounter.alarms)
    let cause = component.watch.cause(of: change, pid: component.pid)
    note(change, component, cause, now)
    narrate(
      "watchdogd: \(component.name) (process \(component.pid)) \(Self.words(change)): \(cause.name)",
      as: .alarm,
      component.logFields + [(.cause, cause.name)])
  }

  /// Ends a process that is taken for dead. Its successor is started by its death, which the kernel confirms: never before.
  private func fence(_ component: SupervisedComponent, _ change: LadderChange, _ now: UInt64) {
    let cause = component.watch.cause(of: change, pid: component.pid)
    note(change, component, cause, now)
    if requests.isInMaintenance {
      component.watch.postponeFence()
      return narrate(
        "watchdogd: \(component.name) (process \(component.pid)) \(Self.words(change)): \(cause.name); not ended: maintenance",
        as: .alarm, component.logFields + [(.cause, cause.name)])
    }
    if component.watch.mayPostpone(cause) {
      narrate(
        "watchdogd: \(component.name) (process \(component.pid)) \(Self.words(change)): \(cause.name); not ended, a successor would fare no better",
        as: .alarm, component.logFields + [(.cause, cause.name)])
      return
    }
    component.fence(now)
    control.flight.note(.fenced, UInt64(place(of: component)), UInt64(component.pid))
    narrate(
      "watchdogd: \(component.name) (process \(component.pid)) \(Self.words(change)): \(cause.name); ended with SIGKILL",
      as: .fenced, component.logFields + [(.cause, cause.name)])
  }

  private func clear(_ component: SupervisedComponent, _ change: LadderChange, _ now: UInt64) {
    settle(component)
    var record = SupervisionRecord(.cleared, component: component.name, instant: now)
    record.pid = component.pid
    record.epoch = component.epoch
    record.tier = change.highest.rawValue
    journal.note(record)
    if change.highest >= .alarm {
      narrate(
        "watchdogd: \(component.name) (process \(component.pid)) works again", as: .cleared,
        component.logFields)
    }
  }

  /// Killed, and not dead: said once. There is no successor as long as it may still write.
  private func remindOfFence(_ component: SupervisedComponent, _ now: UInt64) {
    guard !component.wasReminded, now > component.fencedAt,
      now - component.fencedAt >= Self.confirmationNanoseconds
    else { return }
    component.wasReminded = true
    var record = SupervisionRecord(.alarm, component: component.name, instant: now)
    record.pid = component.pid
    record.epoch = component.epoch
    record.tier = LivenessTier.fence.rawValue
    record.cause = StallCause.blocked.rawValue
    record.value = now - component.fencedAt
    journal.note(record)
    narrate(
      "watchdogd: \(component.name) (process \(component.pid)) has not died of SIGKILL for a second; no successor before it does",
      as: .notDying, component.logFields)
  }

  private func note(
    _ change: LadderChange, _ component: SupervisedComponent, _ cause: StallCause, _ now: UInt64
  ) {
    var record = SupervisionRecord(.alarm, component: component.name, instant: now)
    record.pid = component.pid
    record.epoch = component.epoch
    record.tier = change.tier.rawValue
    record.cause = cause.rawValue
    record.code = Int32(change.missing.rawValue)
    record.value = change.age
    journal.note(record)
  }

  private static func words(_ change: LadderChange) -> String {
    "shows no \(change.missing.name) for \(change.age / 1_000_000) ms"
  }
}
