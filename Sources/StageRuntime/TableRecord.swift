import ShmRing
public import StageRecords

/// What is kept as one value of a conflated table: at most ``ConflatedTable/valueBytes`` bytes, the rest zero.
protocol TableRecord {
  static var bytes: Int { get }
  /// Nil for bytes that no writer leaves.
  init?(_ bytes: UnsafeRawBufferPointer)
  /// Writes ``bytes`` bytes.
  func write(to base: UnsafeMutableRawPointer)
}

extension PoisonRecord: TableRecord {}
extension InstructionRecord: TableRecord {}

extension TableWriter {
  func store(record: some TableRecord, key: Int) {
    withUnsafeTemporaryAllocation(byteCount: ConflatedTable.valueBytes, alignment: 8) { value in
      guard let base = value.baseAddress else { return }
      base.initializeMemory(as: UInt8.self, repeating: 0, count: ConflatedTable.valueBytes)
      record.write(to: base)
      _ = store(key: key, value: UnsafeRawPointer(base))
    }
  }
}

extension TableReader {
  /// Nil when there is none yet, or while it is being written.
  func record<Record: TableRecord>(_: Record.Type = Record.self, key: Int) -> Record? {
    withUnsafeTemporaryAllocation(byteCount: ConflatedTable.valueBytes, alignment: 8) { value in
      guard let base = value.baseAddress, load(key: key, into: base) == .value else { return nil }
      return Record(UnsafeRawBufferPointer(start: base, count: Record.bytes))
    }
  }
}
