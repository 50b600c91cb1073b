import SetInspection
import ShmRing
import StageRuntime
import Supervision

/// One incarnation of a process that is dead: what its supervisor saw, and what it wrote down of itself.
struct Postmortem {
  let component: String
  let epoch: UInt64
  let pid: Int32
  /// Its death as the supervisor wrote it down; nil when none did.
  let death: DeathRecord?
  /// Its last steps; nil when the page does not know them any more.
  let flight: FlightRecord?
  /// What its pages say: taken down at its death, or, of one that has no successor, as they still are.
  let page: DeathRecord?

  /// The incarnations of a component that are dead and known, oldest first.
  static func all(of component: String, in set: SetDirectory) -> [Postmortem] {
    var deaths: [DeathRecord] = []
    if let page = try? DeathPage.attach(directory: set.path, component: component, access: .readOnly) {
      deaths = page.deaths()
    }
    var present: DeathRecord?
    var isAlive = false
    if let control = try? ControlPage.attach(directory: set.path, component: component, access: .readOnly) {
      isAlive = control.isAlive
      if control.epoch > 0, control.pid > 0 { present = DeathRecord(control) }
    }
    var found: [Postmortem] = deaths.map { death in
      Postmortem(
        component: component, epoch: death.epoch, pid: death.pid, death: death,
        flight: Self.flight(component, set, epoch: death.epoch, pid: death.pid), page: death)
    }
    // Of the present incarnation only a page is left when its supervisor died too.
    if var page = present, !isAlive, !deaths.contains(where: { $0.epoch == page.epoch && $0.pid == page.pid })
    {
      page.rings = set.ringStands(of: component)
      found.append(
        Postmortem(
          component: component, epoch: page.epoch, pid: page.pid, death: nil,
          flight: Self.flight(component, set, epoch: page.epoch, pid: page.pid), page: page))
    }
    // What came before the deaths that are kept.
    let known = Set(found.map(\.epoch))
    if let page = try? FlightPage.attach(directory: set.path, component: component, access: .readOnly) {
      for epoch in page.epochs where !known.contains(epoch) && !(isAlive && epoch == present?.epoch) {
        guard let record = page.record(of: epoch) else { continue }
        found.append(
          Postmortem(
            component: component, epoch: epoch, pid: record.pid, death: nil, flight: record, page: nil))
      }
    }
    return found.sorted { ($0.epoch, $0.death?.number ?? .max) < ($1.epoch, $1.death?.number ?? .max) }
  }

  private static func flight(
    _ component: String, _ set: SetDirectory, epoch: UInt64, pid: Int32
  ) -> FlightRecord? {
    guard epoch > 0,
      let page = try? FlightPage.attach(directory: set.path, component: component, access: .readOnly),
      let record = page.record(of: epoch), record.pid == pid
    else { return nil }
    return record
  }

  // MARK: What it says

  /// Why it died: as its supervisor saw it, else as far as it could write that down itself.
  var cause: ExitCause {
    if let death, let cause = ExitCause(code: death.cause, number: death.causeNumber) { return cause }
    var evidence = DeathEvidence()
    if let trap = flight?.trap {
      evidence.recordedSignal = DeathEvidence.RecordedSignal(
        signal: trap.signal, isFromOutside: trap.isFromOutside(pid: pid))
    }
    evidence.recordedExit = flight?.exit?.code
    evidence.hadDrained = page?.state == StageState.drained.rawValue
    return ExitCause(evidence)
  }

  var began: UInt64? { nonzero(page?.began) ?? nonzero(flight?.began) }
  var diedAt: UInt64? { nonzero(death?.instant) }
  /// The last sign of life that there is.
  var lastSeen: UInt64? {
    let signs = [page?.beatTime, flight?.steps.map(\.instant).max(), flight?.trap?.instant].compactMap { $0 }
    return nonzero(signs.filter { diedAt == nil || $0 <= (diedAt ?? 0) }.max())
  }
  /// From the beginning to the death, or to the last sign of life.
  var lived: UInt64? { difference(began, diedAt ?? lastSeen) }

  private func nonzero(_ value: UInt64?) -> UInt64? { value == 0 ? nil : value }
}

/// From one instant to a later one; nil when either is missing, or they are not in that order.
func difference(_ from: UInt64?, _ to: UInt64?) -> UInt64? {
  guard let from, let to, from > 0, to >= from else { return nil }
  return to - from
}

extension SetDirectory {
  /// Where a component stands on the rings that it reads and writes, as their files say now.
  func ringStands(of component: String) -> [RingStand] {
    var stands: [RingStand] = []
    for name in rings {
      guard let ring = try? RingObserver.attach(path: ringPath(name)) else { continue }
      let published = ring.publishedPosition
      if RingObserver.readers(ofRing: ringPath(name)).contains(component),
        let cursor = try? CursorObserver.attach(ring: ringPath(name), reader: component)
      {
        stands.append(
          RingStand(ring: name, isReader: true, position: cursor.words.position, published: published))
      }
      if Self.writers[name] == component {
        stands.append(RingStand(ring: name, isReader: false, position: published, published: published))
      }
    }
    return stands
  }

  /// Who writes which ring, in a set as the embedded topology makes it.
  private static let writers = [
    "rx_a": "rxd@a", "rx_b": "rxd@b", "merged": "merged", "book": "bookd", "status": "watchdogd",
  ]
}
