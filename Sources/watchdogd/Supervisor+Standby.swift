import CLinux
import Glibc
import ShmRing
import StageRecords
import StageRuntime
import Supervision
import Topology

/// The order that a standby gets, as the supervisor writes it.
struct StandbyOrders: ~Copyable {
  private let table: TableWriter
  private(set) var newest: StandbyOrder?

  /// Nil without a standby.
  init?(topology: Topology, configurationHash: UInt64) throws(RingError) {
    guard topology.standbyStage != nil else { return nil }
    let path = StandbyTable.path(directory: topology.host.directory)
    newest = try TableReader.attach(path: path, configurationHash: configurationHash).standbyOrder
    table = try TableWriter.attach(path: path, configurationHash: configurationHash)
  }

  mutating func give(to standby: pid_t, dead: pid_t, isInStandbyUnit: Bool) {
    let order = StandbyOrder(
      number: (newest?.number ?? 0) + 1, standby: standby, dead: dead, isInStandbyUnit: isInStandbyUnit)
    table.store(order)
    newest = order
  }
}

/// The standby: who takes bookd's place, and when.
extension Supervisor {
  /// Looks for a standby when its place is empty, but not while its predecessor is still on its way into the other one.
  func startStandbyIfDue() {
    guard let standby, let book, standbyIsDue, book.isReady, book.pid > 0, standby.pid == 0,
      !standby.isStarting
    else { return }
    standbyIsDue = false
    guard let index = self.index(of: standby), !requests.held.contains(index),
      !requests.isInMaintenance
    else { return }
    start(standby)
    if standby.pid > 0 { narrate("watchdogd: \(standby.name) runs as process \(standby.pid)") }
  }

  /// The standby, when it could take bookd's place now. One that has been asked to end would end there.
  var standIn: SupervisedComponent? {
    guard let standby, standby.standsBy, upgrade.mayTakePlace(standby.pid),
      let index = self.index(of: standby), !requests.isEnding(index)
    else { return nil }
    return standby
  }

  /// Instead of starting a successor of a process whose death is confirmed: the standby takes its place, if there is one that is
  /// ready for it.
  func handOver(to component: SupervisedComponent) -> Bool {
    guard component === book, component.pid == 0, let standby = standIn else { return false }
    let dead = component.departed?.pid ?? component.lastPid ?? 0
    component.takeProcess(of: standby)
    orders?.give(
      to: component.pid, dead: dead, isInStandbyUnit: component.unit != component.name)
    standby.watch.end()
    standbyIsDue = true
    noteStart(of: component)
    return true
  }

  /// A bookd that was killed takes tens to hundreds of milliseconds to give its memory back. Its death is confirmed before that: its only
  /// thread is on its way out of the kernel, and will never run an instruction again. That is enough for the standby, which is there already.
  func handOverEarly(_ component: SupervisedComponent, at index: Int, _ now: UInt64) {
    guard component === book, requests.leavesToPolicy(index), standIn != nil, component.hasRunOut else {
      return
    }
    // Only where the policy would have it replaced at once; it is asked once.
    var asked = component.supervision
    guard asked.died(.killed, now: now) == .restart(after: 0) else { return }
    component.supervision = asked
    control.add(SupervisorCounter.deaths)
    component.depart()
    component.watch.end()
    start(component)
    countRestart(at: index, after: .killed)
    narrate("watchdogd: \(component.name) was killed; the standby takes its place, process \(component.pid)")
  }

  /// Writes down the death of a process whose place another has.
  func reapDeparted(_ component: SupervisedComponent, at index: Int) {
    guard let (gone, cause) = component.reapDeparted(&memory) else { return }
    control.flight.note(.died, count: UInt64(cause.code), UInt64(index), UInt64(gone.pid))
    journal.noteDeath(of: component.name, cause, pid: gone.pid, epoch: gone.epoch, atHand: gone.inputAtHand)
  }

  /// Both places are empty, or the standby's process is only starting, in the unit of the other: so that the units have their
  /// own components again. False while a process has to end before that.
  func settleUnits(before component: SupervisedComponent) -> Bool {
    guard let standby, let book, component === book, book.unit != book.name else {
      return !mustMakeRoom(component)
    }
    guard standby.pid == 0, !standby.isStarting else {
      if standby.pid > 0, standby.fencedAt == 0 { standby.fence(bulkhead_monotonic_nanoseconds()) }
      return false
    }
    book.swapUnits(with: standby)
    return true
  }

  /// The standby, while bookd waits for its unit: it comes back when bookd is READY.
  private func mustMakeRoom(_ component: SupervisedComponent) -> Bool {
    guard let book, component === standby, book.unit != book.name, book.restartAt != nil else { return false }
    standbyIsDue = true
    return true
  }

  /// At the take-over of a set: an order that an earlier supervisor gave may be on its way.
  func adoptStandbyOrder() {
    guard let standby, let book, let order = orders?.newest else { return }
    let isInPlace = book.lastPid == order.standby
    let isOnItsWay = !isInPlace && book.lastPid == order.dead && standby.lastPid == order.standby
    guard isInPlace || isOnItsWay, bulkhead_process_start_time(order.standby) != 0 else { return }
    if order.isInStandbyUnit, launcher.isShared { book.swapUnits(with: standby) }
    guard isOnItsWay else { return }
    book.await(process: order.standby)
    standbyIsDue = true
  }
}
