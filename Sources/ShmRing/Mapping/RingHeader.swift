import Glibc

/// The words of a mapped ring header that change while it is used.
@frozen
@usableFromInline
struct RingHeader {
  @usableFromInline let published: SharedWord
  @usableFromInline let claimed: SharedWord
  @usableFromInline let epoch: SharedWord
  @usableFromInline let producerPid: SharedWord
  @usableFromInline let producerStartTime: SharedWord
  @usableFromInline let records: SharedWord
  @usableFromInline let batches: SharedWord

  init(_ base: UnsafeMutableRawPointer) {
    published = SharedWord(base + RingLayout.publishedOffset)
    claimed = SharedWord(base + RingLayout.claimedOffset)
    epoch = SharedWord(base + RingLayout.epochOffset)
    producerPid = SharedWord(base + RingLayout.producerPidOffset)
    producerStartTime = SharedWord(base + RingLayout.producerStartTimeOffset)
    records = SharedWord(base + RingLayout.recordsOffset)
    batches = SharedWord(base + RingLayout.batchesOffset)
  }
}

/// What never changes in a ring file, as read and checked at attach.
public struct RingIdentity: Sendable, Equatable {
  public let kind: RingKind
  public let geometry: RingGeometry
  public let configurationHash: UInt64
  public let name: String

  /// Writes the identity of a new file; the magic goes last, so that a half-made file is never taken for one.
  func write(to base: UnsafeMutableRawPointer, fileBytes: Int) {
    base.storeBytes(of: RingLayout.version, toByteOffset: RingLayout.versionOffset, as: UInt32.self)
    base.storeBytes(of: kind.rawValue, toByteOffset: RingLayout.kindOffset, as: UInt32.self)
    base.storeBytes(of: RingLayout.byteOrderMark, toByteOffset: RingLayout.byteOrderOffset, as: UInt32.self)
    base.storeBytes(
      of: UInt32(RingLayout.cellBytes), toByteOffset: RingLayout.cellBytesOffset, as: UInt32.self)
    base.storeBytes(of: UInt64(geometry.cellCount), toByteOffset: RingLayout.cellCountOffset, as: UInt64.self)
    base.storeBytes(
      of: UInt64(geometry.segmentCells), toByteOffset: RingLayout.segmentCellsOffset, as: UInt64.self)
    base.storeBytes(
      of: UInt64(RingLayout.headerBytes), toByteOffset: RingLayout.dataOffsetOffset, as: UInt64.self)
    base.storeBytes(of: UInt64(fileBytes), toByteOffset: RingLayout.fileBytesOffset, as: UInt64.self)
    base.storeBytes(
      of: configurationHash, toByteOffset: RingLayout.configurationHashOffset, as: UInt64.self)
    for (index, byte) in name.utf8.prefix(RingLayout.nameBytes - 1).enumerated() {
      base.storeBytes(of: byte, toByteOffset: RingLayout.nameOffset + index, as: UInt8.self)
    }
    SharedWord(base + RingLayout.magicOffset).storeReleasing(RingLayout.magic)
  }

  /// The field of the header at `base` that no longer says what it said at attach; nil when all do.
  func changedField(at base: UnsafeRawPointer) -> RingField? {
    func word32(_ offset: Int) -> UInt32 { base.load(fromByteOffset: offset, as: UInt32.self) }
    func word64(_ offset: Int) -> UInt64 { base.load(fromByteOffset: offset, as: UInt64.self) }
    guard word64(RingLayout.magicOffset) == RingLayout.magic else { return .magic }
    guard word32(RingLayout.versionOffset) == RingLayout.version,
      word32(RingLayout.byteOrderOffset) == RingLayout.byteOrderMark,
      word32(RingLayout.kindOffset) == kind.rawValue,
      word32(RingLayout.cellBytesOffset) == UInt32(RingLayout.cellBytes),
      word64(RingLayout.cellCountOffset) == UInt64(geometry.cellCount),
      word64(RingLayout.segmentCellsOffset) == UInt64(geometry.segmentCells),
      word64(RingLayout.dataOffsetOffset) == UInt64(RingLayout.headerBytes),
      word64(RingLayout.fileBytesOffset) == UInt64(geometry.fileBytes),
      word64(RingLayout.configurationHashOffset) == configurationHash
    else { return .identity }
    return nil
  }

  /// Reads and checks the identity of a mapped file. Every field that this process will act on is checked
  /// here, copied, and never read again: a later scribble over the header cannot lead it outside its mapping.
  /// - Parameters:
  ///   - expectedConfiguration: the hash to insist on; nil accepts any (read-only tools).
  ///   - layoutVersion: what the caller reads; another one than this build's is a test of what such a build meets.
  static func read(
    from file: borrowing SharedFile, expectedConfiguration: UInt64?,
    layoutVersion: UInt32 = RingLayout.version
  ) throws(RingError) -> RingIdentity {
    let path = file.path
    let base = UnsafeRawPointer(file.base)
    guard file.byteCount >= RingLayout.headerBytes else { throw .notARing(path: path) }
    let magic = SharedWord(file.base + RingLayout.magicOffset).loadAcquiring()
    guard magic == RingLayout.magic else {
      throw magic.byteSwapped == RingLayout.magic ? .byteOrder(path: path) : .notARing(path: path)
    }
    func word32(_ offset: Int) -> UInt32 { base.load(fromByteOffset: offset, as: UInt32.self) }
    func word64(_ offset: Int) -> UInt64 { base.load(fromByteOffset: offset, as: UInt64.self) }
    func refuse(_ field: String, _ found: UInt64, _ expected: String) -> RingError {
      .header(path: path, field: field, found: found, expected: expected)
    }
    let version = word32(RingLayout.versionOffset)
    guard version == layoutVersion else {
      throw .layoutVersion(path: path, found: version, expected: layoutVersion)
    }
    let order = word32(RingLayout.byteOrderOffset)
    guard order == RingLayout.byteOrderMark else {
      throw refuse("byte order", UInt64(order), "\(RingLayout.byteOrderMark) (this machine's byte order)")
    }
    guard let kind = RingKind(rawValue: word32(RingLayout.kindOffset)) else {
      throw refuse("kind", UInt64(word32(RingLayout.kindOffset)), "1, 2 or 3")
    }
    let cellBytes = word32(RingLayout.cellBytesOffset)
    guard cellBytes == UInt32(RingLayout.cellBytes) else {
      throw refuse("cell bytes", UInt64(cellBytes), "64")
    }
    let cells = word64(RingLayout.cellCountOffset)
    guard cells <= UInt64(RingLayout.cellCountRange.upperBound),
      RingLayout.cellCountRange.contains(Int(cells)), cells & (cells - 1) == 0
    else { throw refuse("cells", cells, "a power of two from 4 to 2^28") }
    let segment = word64(RingLayout.segmentCellsOffset)
    guard segment > 0, segment & (segment - 1) == 0, segment <= cells / 4 else {
      throw refuse("segment cells", segment, "a power of two, at most \(cells / 4)")
    }
    let data = word64(RingLayout.dataOffsetOffset)
    guard data == UInt64(RingLayout.headerBytes) else { throw refuse("data offset", data, "4096") }
    let bytes = word64(RingLayout.fileBytesOffset)
    let geometry = RingGeometry(uncheckedCellCount: Int(cells), segmentCells: Int(segment))
    guard bytes == UInt64(file.byteCount), file.byteCount == geometry.fileBytes else {
      throw refuse("file bytes", bytes, "\(geometry.fileBytes); the file has \(file.byteCount)")
    }
    let hash = word64(RingLayout.configurationHashOffset)
    if let expectedConfiguration, hash != expectedConfiguration {
      throw .configuration(path: path, found: hash, expected: expectedConfiguration)
    }
    let nameBytes = UnsafeRawBufferPointer(start: base + RingLayout.nameOffset, count: RingLayout.nameBytes)
    return RingIdentity(
      kind: kind, geometry: geometry, configurationHash: hash,
      name: String(decoding: nameBytes.prefix { $0 != 0 }, as: UTF8.self))
  }
}
