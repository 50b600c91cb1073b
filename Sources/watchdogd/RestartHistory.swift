import ShmRing
import StageRecords
import StageRuntime
import Supervision
import Topology

/// What earlier supervisors of this set did, as the status ring still tells: restarts count on, so that budgets do not
/// multiply by the deaths of supervisors, and what was left down stays down.
struct RestartHistory {
  /// Instants of the restarts of each component, oldest first.
  private(set) var restarts: [String: [UInt64]] = [:]
  private(set) var leftDown: Set<String> = []
  /// What each component has died of, with a message at hand.
  private(set) var poison: [String: PoisonWatch] = [:]
  /// Stages that an operator wants down.
  private(set) var held: Set<String> = []
  private(set) var isInMaintenance = false

  /// An empty one: of a new set.
  init() {}

  /// Reads the ring of an instance. A ring that cannot be read is said, and tells nothing.
  init(directory: String) {
    do throws(RingError) { try read(directory) } catch { narrate("watchdogd: \(error)") }
  }

  private mutating func read(_ directory: String) throws(RingError) {
    var ring = try RingObserver.attach(path: InstanceFiles.statusRingPath(directory: directory))
    ring.moveToOldest()
    // Without the beginning, the first start that is found may be a restart: it is counted as one.
    var known: Set<String> = []
    var asked: Set<String> = []
    let isWhole = ring.nextPosition == 0
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: ring.bufferBytes, alignment: 64)
    defer { buffer.deallocate() }
    while case .record(_, let bytes) = ring.poll(into: buffer) {
      guard let record = SupervisionRecord(UnsafeRawBufferPointer(start: buffer, count: bytes)) else {
        continue
      }
      switch record.event {
      case .started:
        // What an operator asked for is not charged.
        if asked.remove(record.component) == nil, !isWhole || known.contains(record.component) {
          restarts[record.component, default: []].append(record.instant)
        }
        leftDown.remove(record.component)
        held.remove(record.component)
        known.insert(record.component)
      case .died:
        guard let cause = ExitCause(code: record.cause, number: record.code) else { break }
        _ = poison[record.component, default: PoisonWatch()].died(
          cause, sequence: record.value)
      case .leftDown: leftDown.insert(record.component)
      case .adopted: held.remove(record.component)
      case .requested:
        let verb = ControlVerb(rawValue: UInt8(truncatingIfNeeded: record.value))
        let isAccepted = record.value >> 8 == UInt64(ControlAnswer.Outcome.accepted.rawValue)
        if isAccepted, verb == .start || verb == .restart { asked.insert(record.component) }
      // Bookd and its standby change places and builds at nobody's expense.
      case .upgrade:
        switch UpgradeStep(rawValue: record.code) {
        case .proving, .refused: asked.insert(Topology.standbyStage)
        case .moving, .returning: asked.formUnion([record.component, Topology.standbyStage])
        case .done, .rolledBack, nil: break
        }
      case .held: held.insert(record.component)
      case .maintenance: isInMaintenance = record.value == 1
      default: break
      }
    }
  }
}
