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

extension ProbeTable.Value: TableRecord {
  static let bytes = 32

  init(_ bytes: UnsafeRawBufferPointer) {
    func word(_ index: Int) -> UInt64 { bytes.load(fromByteOffset: index * 8, as: UInt64.self) }
    self.init(sequence: word(0), instrument: word(1), digest: word(2), isWhole: word(3) == 1)
  }

  func write(to base: UnsafeMutableRawPointer) {
    base.storeBytes(of: sequence, as: UInt64.self)
    base.storeBytes(of: instrument, toByteOffset: 8, as: UInt64.self)
    base.storeBytes(of: digest, toByteOffset: 16, as: UInt64.self)
    base.storeBytes(of: isWhole ? 1 : 0, toByteOffset: 24, as: UInt64.self)
  }
}

extension TableWriter {
  public func store(_ probe: ProbeTable.Value, interval: UInt64) {
    store(
      record: probe, key: ProbeTable.key(probe.sequence, interval: interval, entries: entryCount))
  }
}

extension TableReader {
  /// The probe that stands where the one behind `sequence` belongs; nil when nothing does yet.
  public func probe(at sequence: UInt64, interval: UInt64) -> ProbeTable.Value? {
    record(key: ProbeTable.key(sequence, interval: interval, entries: entryCount))
  }
}
