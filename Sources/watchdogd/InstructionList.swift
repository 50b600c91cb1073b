import ShmRing
import StageRecords
import StageRuntime
import Supervision

/// The table of what is wanted of each component, as the supervisor writes it. What an earlier supervisor wrote stands.
struct InstructionList: ~Copyable {
  private let table: TableWriter
  private var records: [Int: InstructionRecord]

  /// Attaches to the instance's table.
  init(directory: String, configurationHash: UInt64) throws(RingError) {
    let path = InstructionTable.path(directory: directory)
    // All that can fail before anything is stored.
    let found = Self.read(try TableReader.attach(path: path, configurationHash: configurationHash))
    let writer = try TableWriter.attach(path: path, configurationHash: configurationHash)
    records = found
    table = writer
  }

  private static func read(_ table: borrowing TableReader) -> [Int: InstructionRecord] {
    var records: [Int: InstructionRecord] = [:]
    for key in 0..<InstructionTable.entries {
      if let record = table.instruction(key: key) { records[key] = record }
    }
    return records
  }

  /// - Parameter now: CLOCK_MONOTONIC, ns.
  mutating func set(_ wish: LogWish, of component: String, key: Int, now: UInt64) {
    change(component, key) { record in
      record.level = wish.level
      record.levelUntil = wish.seconds == 0 ? 0 : now &+ UInt64(wish.seconds) &* 1_000_000_000
    }
  }

  mutating func shed(_ work: OptionalWork, of component: String, key: Int) {
    guard (records[key]?.shed ?? []) != work else { return }
    change(component, key) { $0.shed = work }
  }

  mutating func askForSnapshot(_ component: String, key: Int) {
    change(component, key) { $0.snapshotsWanted &+= 1 }
  }

  private mutating func change(_ component: String, _ key: Int, _ body: (inout InstructionRecord) -> Void) {
    guard key < InstructionTable.entries else { return }
    var record = records[key] ?? InstructionRecord(component: component)
    body(&record)
    records[key] = record
    table.store(record, key: key)
  }
}
