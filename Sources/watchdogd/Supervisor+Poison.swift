import CLinux
import ShmRing
import StageRecords
import StageRuntime
import Supervision

/// The table of messages that are passed over, as the supervisor writes it.
struct PoisonList: ~Copyable {
  private let table: TableWriter
  private var count = 0

  /// Attaches to the instance's table. What an earlier supervisor decided stands.
  init(directory: String, configurationHash: UInt64) throws(RingError) {
    table = try TableWriter.attach(
      path: PoisonTable.path(directory: directory), configurationHash: configurationHash)
    while count < table.entryCount, table.hasValue(key: count) { count += 1 }
  }

  /// False when the table is full.
  mutating func add(_ record: PoisonRecord) -> Bool {
    guard count < table.entryCount else { return false }
    table.store(record, key: count)
    count += 1
    return true
  }
}

/// Input that kills its reader.
extension Supervisor {
  /// Two deaths with one message at hand: the successor, which is not started yet, finds in the table that it is to pass it
  /// over.
  func quarantine(_ sequence: UInt64, of component: SupervisedComponent, _ causes: [ExitCause]) {
    let words = causes.map { "\($0)" }.joined(separator: ", then ")
    guard
      poison.add(
        PoisonRecord(sequence: sequence, component: component.name, causes: causes.map(\.code)))
    else {
      return narrate(
        "watchdogd: sequence \(sequence) kills \(component.name) (\(words)); \(PoisonRecord.entries) messages are passed over already, no more are",
        as: .quarantined, component.logFields + [(.firstSequence, String(sequence)), (.cause, words)])
    }
    var record = SupervisionRecord(
      .quarantined, component: component.name, instant: bulkhead_monotonic_nanoseconds())
    record.value = sequence
    record.epoch = component.epoch
    journal.note(record)
    narrate(
      "watchdogd: \(component.name) died \(causes.count) times with sequence \(sequence) at hand (\(words)): it is passed over from now on",
      as: .quarantined, component.logFields + [(.firstSequence, String(sequence)), (.cause, words)])
  }
}
