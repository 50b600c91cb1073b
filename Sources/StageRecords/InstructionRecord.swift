/// Work without which the stream is as right as with it: given up while the set is overloaded.
public struct OptionalWork: OptionSet, Sendable, Hashable {
  public let rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// viewd looks at the set and tells its pages more seldom.
  public static let view = OptionalWork(rawValue: 1)
  /// The recorder puts off the snapshots that are due.
  public static let snapshots = OptionalWork(rawValue: 2)

  /// Each with its name in the topology.
  public static let all: [(work: OptionalWork, name: String)] = [(.view, "view"), (.snapshots, "snapshots")]

  public var names: [String] { Self.all.filter { contains($0.work) }.map(\.name) }
}

/// What operators and the supervisor want of a component while it runs, as an entry of the table `instructions`: written by the supervisor alone,
/// read by the component where it has time for it.
///
/// ```
/// value  0 u64 levelUntil │ 8 u64 snapshotsWanted │ 16 component[24], padded with zeros │ 40 u8 level │ 41 u8 shed │ 42 … zero
/// ```
public struct InstructionRecord: Equatable, Sendable {
  public static let bytes = 48
  public static let nameBytes = 24

  public var component: String
  /// The least urgent priority that it writes to its log (3...7); 0 for the usual one.
  public var level: UInt8 = 0
  /// When the usual one is back (CLOCK_MONOTONIC, ns); 0: not by itself.
  public var levelUntil: UInt64 = 0
  /// How many snapshots were asked for since the set was made.
  public var snapshotsWanted: UInt64 = 0
  /// What it is to leave undone because the set is overloaded.
  public var shed: OptionalWork = []

  public init(component: String) { self.component = component }

  /// Writes the record to ``bytes`` bytes.
  public func write(to base: UnsafeMutableRawPointer) {
    base.initializeMemory(as: UInt8.self, repeating: 0, count: Self.bytes)
    base.storeBytes(of: levelUntil, as: UInt64.self)
    base.storeBytes(of: snapshotsWanted, toByteOffset: 8, as: UInt64.self)
    for (index, byte) in component.utf8.prefix(Self.nameBytes).enumerated() {
      base.storeBytes(of: byte, toByteOffset: 16 + index, as: UInt8.self)
    }
    base.storeBytes(of: level, toByteOffset: 40, as: UInt8.self)
    base.storeBytes(of: shed.rawValue, toByteOffset: 41, as: UInt8.self)
  }

  /// Reads a record; nil for bytes that are none.
  public init?(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count >= Self.bytes else { return nil }
    component = String(decoding: bytes[16..<16 + Self.nameBytes].prefix { $0 != 0 }, as: UTF8.self)
    guard !component.isEmpty else { return nil }
    levelUntil = bytes.loadUnaligned(as: UInt64.self)
    snapshotsWanted = bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
    level = bytes[40]
    shed = OptionalWork(rawValue: bytes[41])
  }
}
