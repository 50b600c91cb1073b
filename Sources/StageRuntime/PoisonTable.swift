public import ShmRing
public import StageRecords

/// The table of messages that are passed over: see ``StageRecords/PoisonRecord``.
public enum PoisonTable {
  public static let name = "poison"
  public static func path(directory: String) -> String { "\(directory)/\(name).table" }
}

extension TableWriter {
  /// Stores what was decided as number `key`, from 0 on.
  public func store(_ record: PoisonRecord, key: Int) {
    withUnsafeTemporaryAllocation(byteCount: ConflatedTable.valueBytes, alignment: 8) { value in
      guard let base = value.baseAddress else { return }
      record.write(to: base)
      _ = store(key: key, value: UnsafeRawPointer(base))
    }
  }
}

extension TableReader {
  /// The decision number `key`, from 0 on; nil when there is none yet.
  public func poison(key: Int) -> PoisonRecord? {
    withUnsafeTemporaryAllocation(byteCount: ConflatedTable.valueBytes, alignment: 8) { value in
      guard let base = value.baseAddress, load(key: key, into: base) == .value else { return nil }
      return PoisonRecord(UnsafeRawBufferPointer(start: base, count: PoisonRecord.bytes))
    }
  }

  /// All decisions, in their order.
  public var poison: [PoisonRecord] {
    var records: [PoisonRecord] = []
    while records.count < PoisonRecord.entries, let record = poison(key: records.count) {
      records.append(record)
    }
    return records
  }
}
