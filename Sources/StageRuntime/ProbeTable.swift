public import ShmRing

/// The last probes of bookd's books, by position: entry (sequence / interval) modulo the number of entries. Written by
/// bookd, read by the recorder.
///
/// ```
/// value  0 u64 sequence │ 8 u64 instrument │ 16 u64 digest │ 24 u64 1 = bookd vouches for its books │ 32 … zero
/// ```
public enum ProbeTable {
  public static let name = "book_probes"
  /// Probes that are kept: how far, in messages / interval, the recorder may be behind.
  public static let entries = 4_096

  public struct Value: Equatable, Sendable {
    public var sequence: UInt64
    public var instrument: UInt64
    public var digest: UInt64
    public var isWhole: Bool

    public init(sequence: UInt64, instrument: UInt64, digest: UInt64, isWhole: Bool) {
      self.sequence = sequence
      self.instrument = instrument
      self.digest = digest
      self.isWhole = isWhole
    }
  }

  public static func path(directory: String) -> String { "\(directory)/\(name).table" }

  static func key(_ sequence: UInt64, interval: UInt64, entries: Int) -> Int {
    Int(truncatingIfNeeded: sequence / max(1, interval) % UInt64(max(1, entries)))
  }
}

extension TableWriter {
  public func store(_ probe: ProbeTable.Value, interval: UInt64) {
    withUnsafeTemporaryAllocation(byteCount: ConflatedTable.valueBytes, alignment: 8) { value in
      guard let base = value.baseAddress else { return }
      let words = (probe.sequence, probe.instrument, probe.digest, probe.isWhole ? UInt64(1) : 0)
      base.storeBytes(of: words.0, as: UInt64.self)
      base.storeBytes(of: words.1, toByteOffset: 8, as: UInt64.self)
      base.storeBytes(of: words.2, toByteOffset: 16, as: UInt64.self)
      base.storeBytes(of: words.3, toByteOffset: 24, as: UInt64.self)
      (base + 32).initializeMemory(as: UInt8.self, repeating: 0, count: ConflatedTable.valueBytes - 32)
      _ = store(
        key: ProbeTable.key(probe.sequence, interval: interval, entries: entryCount),
        value: UnsafeRawPointer(base))
    }
  }
}

extension TableReader {
  /// The probe that stands where the one behind `sequence` belongs; nil when nothing does yet.
  public func probe(at sequence: UInt64, interval: UInt64) -> ProbeTable.Value? {
    withUnsafeTemporaryAllocation(byteCount: ConflatedTable.valueBytes, alignment: 8) { value in
      guard let base = value.baseAddress,
        load(key: ProbeTable.key(sequence, interval: interval, entries: entryCount), into: base) == .value
      else { return nil }
      return ProbeTable.Value(
        sequence: base.load(as: UInt64.self), instrument: base.load(fromByteOffset: 8, as: UInt64.self),
        digest: base.load(fromByteOffset: 16, as: UInt64.self),
        isWhole: base.load(fromByteOffset: 24, as: UInt64.self) == 1)
    }
  }
}
