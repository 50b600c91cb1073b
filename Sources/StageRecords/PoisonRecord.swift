/// A message that the supervisor has found to kill its reader, as an entry of the table `poison`: written by the supervisor
/// alone, read by whoever applies messages. Entries are filled from 0 on and never change.
///
/// ```
/// value  0 u64 sequence │ 8 component[24], padded with zeros │ 32 u8 deaths │ 33 u8[7] their causes │ 40 … zero
/// ```
public struct PoisonRecord: Equatable, Sendable {
  /// Entries of the table: more are not passed over.
  public static let entries = 64
  public static let bytes = 56
  public static let nameBytes = 24
  static let causesLimit = 7

  public var sequence: UInt64
  /// The stage that died of it.
  public var component: String
  /// A code of the supervision's causes for each death.
  public var causes: [UInt8]

  public init(sequence: UInt64, component: String, causes: [UInt8]) {
    self.sequence = sequence
    self.component = component
    self.causes = Array(causes.prefix(Self.causesLimit))
  }

  /// Writes the record to ``bytes`` bytes.
  public func write(to base: UnsafeMutableRawPointer) {
    base.initializeMemory(as: UInt8.self, repeating: 0, count: Self.bytes)
    base.storeBytes(of: sequence, as: UInt64.self)
    for (index, byte) in component.utf8.prefix(Self.nameBytes).enumerated() {
      base.storeBytes(of: byte, toByteOffset: 8 + index, as: UInt8.self)
    }
    base.storeBytes(of: UInt8(truncatingIfNeeded: causes.count), toByteOffset: 32, as: UInt8.self)
    for (index, cause) in causes.prefix(Self.causesLimit).enumerated() {
      base.storeBytes(of: cause, toByteOffset: 33 + index, as: UInt8.self)
    }
  }

  /// Reads a record; nil for bytes that are none.
  public init?(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count >= Self.bytes else { return nil }
    sequence = bytes.loadUnaligned(as: UInt64.self)
    guard sequence > 0 else { return nil }
    component = String(decoding: bytes[8..<8 + Self.nameBytes].prefix { $0 != 0 }, as: UTF8.self)
    causes = Array(bytes[33...].prefix(min(Int(bytes[32]), Self.causesLimit)))
  }
}
