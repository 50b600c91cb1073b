public import Failpoints
import Glibc
import Synchronization

/// A table of the last value per key in shared memory: 64-byte entries, each under its own seqlock. One writer;
/// any number of readers, which map it read-only and never hold the writer up.
///
/// ```
/// header    identity as in RingLayout (kind 3; cells = entries)
/// entry k   at 4096 + 64 k:   0 version (even: whole, odd: being written, 0: never written) │ 8…63 value
/// ```
public enum ConflatedTable {
  /// Bytes of a value.
  public static let valueBytes = 56

  /// Makes a new table file.
  /// - Parameter entries: a power of two within ``RingLayout/cellCountRange``.
  public static func create(
    path: String, name: String, entries: Int, configurationHash: UInt64,
    placement: MemoryPlacement = MemoryPlacement()
  ) throws(RingError) {
    let geometry = try RingGeometry(cellCount: entries, maximumRecordBytes: valueBytes)
    let file = try SharedFile.create(path: path, byteCount: geometry.fileBytes, placement: placement)
    RingIdentity(kind: .table, geometry: geometry, configurationHash: configurationHash, name: name)
      .write(to: file.base, fileBytes: geometry.fileBytes)
  }

  /// Checks a mapped file; returns the number of entries.
  static func check(
    _ file: borrowing SharedFile, configurationHash: UInt64?
  ) throws(RingError) -> Int {
    let identity = try RingIdentity.read(from: file, expectedConfiguration: configurationHash)
    guard identity.kind == .table else {
      throw .header(
        path: file.path, field: "kind", found: UInt64(identity.kind.rawValue), expected: "3 (table)")
    }
    return identity.geometry.cellCount
  }
}

/// The one writer of a ``ConflatedTable``.
@frozen
public struct TableWriter: ~Copyable {
  @usableFromInline let file: SharedFile
  /// Keys are 0 ..< this.
  public let entryCount: Int

  public static func attach(path: String, configurationHash: UInt64) throws(RingError) -> TableWriter {
    let file = try SharedFile.open(
      path: path, access: .readWrite, minimumBytes: RingLayout.headerBytes, populate: true)
    let entries = try ConflatedTable.check(file, configurationHash: configurationHash)
    return TableWriter(file: file, entryCount: entries)
  }

  /// A writer of no table: it has no keys.
  public static func detached() throws(RingError) -> TableWriter {
    TableWriter(file: try SharedFile.anonymous(byteCount: RingLayout.headerBytes), entryCount: 0)
  }

  private init(file: consuming SharedFile, entryCount: Int) {
    self.file = file
    self.entryCount = entryCount
  }

  /// Replaces the value of `key` with ``ConflatedTable/valueBytes`` bytes. A key outside the table is ignored and
  /// answered with false.
  @inlinable @inline(__always)
  public func store(key: Int, value: UnsafeRawPointer) -> Bool {
    guard key >= 0, key < entryCount else { return false }
    let entry = file.base + RingLayout.headerBytes + key &* RingLayout.cellBytes
    let version = SharedWord(entry)
    // A predecessor may have died within a store and left an odd version; either way the next even one is ours.
    let writing = (version.loadRelaxed() | 1) &+ (version.loadRelaxed() & 1) &* 2
    version.storeRelaxed(writing)
    atomicMemoryFence(ordering: .releasing)
    SharedPayload.copyIn(to: entry + 8, from: value, byteCount: ConflatedTable.valueBytes)
    failpoint(41)  // the value is there, its version is odd
    version.storeReleasing(writing &+ 1)
    return true
  }
}

extension TableWriter {
  /// Whether anything was ever stored under `key`.
  public func hasValue(key: Int) -> Bool {
    guard key >= 0, key < entryCount else { return false }
    return SharedWord(file.base + RingLayout.headerBytes + key * RingLayout.cellBytes).loadRelaxed() != 0
  }

  /// Whether the value under `key` is there and whole: a predecessor may have died within a store.
  public func isWhole(key: Int) -> Bool {
    guard key >= 0, key < entryCount else { return false }
    let version = SharedWord(file.base + RingLayout.headerBytes + key * RingLayout.cellBytes).loadRelaxed()
    return version != 0 && version & 1 == 0
  }

  /// Copies the value that this writer, the only one, stored last. False when there is none.
  public func copyOwnValue(key: Int, into value: UnsafeMutableRawPointer) -> Bool {
    guard hasValue(key: key) else { return false }
    value.copyMemory(
      from: file.base + RingLayout.headerBytes + key * RingLayout.cellBytes + 8,
      byteCount: ConflatedTable.valueBytes)
    return true
  }
}

/// What a table look-up found.
@frozen
public enum TableRead: Sendable, Equatable {
  /// A whole value was copied.
  case value
  /// Nothing was ever stored under that key.
  case absent
  /// The entry kept changing, or its writer died within a store; try again later.
  case busy
}

/// A reader of a ``ConflatedTable``.
@frozen
public struct TableReader: ~Copyable {
  @usableFromInline let file: SharedFile
  public let entryCount: Int

  public static func attach(path: String, configurationHash: UInt64?) throws(RingError) -> TableReader {
    let file = try SharedFile.open(
      path: path, access: .readOnly, minimumBytes: RingLayout.headerBytes, populate: true)
    let entries = try ConflatedTable.check(file, configurationHash: configurationHash)
    return TableReader(file: file, entryCount: entries)
  }

  private init(file: consuming SharedFile, entryCount: Int) {
    self.file = file
    self.entryCount = entryCount
  }

  /// Copies the value of `key` to `value`, ``ConflatedTable/valueBytes`` writable bytes.
  @inlinable
  public func load(key: Int, into value: UnsafeMutableRawPointer) -> TableRead {
    guard key >= 0, key < entryCount else { return .absent }
    let entry = file.base + RingLayout.headerBytes + key &* RingLayout.cellBytes
    let version = SharedWord(entry)
    for _ in 0..<64 {
      let before = version.loadAcquiring()
      if before == 0 { return .absent }
      if before & 1 == 1 { continue }
      SharedPayload.copyOut(to: value, from: entry + 8, byteCount: ConflatedTable.valueBytes)
      atomicMemoryFence(ordering: .acquiring)
      if version.loadRelaxed() == before { return .value }
    }
    return .busy
  }
}
