public import ShmRing
public import StageRecords

/// The table of messages that are passed over: see ``StageRecords/PoisonRecord``.
public enum PoisonTable {
  public static let name = "poison"
  public static func path(directory: String) -> String { "\(directory)/\(name).table" }
}

extension TableWriter {
  /// Stores what was decided as number `key`, from 0 on.
  public func store(_ decision: PoisonRecord, key: Int) { store(record: decision, key: key) }
}

extension TableReader {
  /// The decision number `key`, from 0 on; nil when there is none yet.
  public func poison(key: Int) -> PoisonRecord? { record(key: key) }

  /// All decisions, in their order.
  public var poison: [PoisonRecord] {
    var records: [PoisonRecord] = []
    while records.count < PoisonRecord.entries, let record = poison(key: records.count) {
      records.append(record)
    }
    return records
  }
}
