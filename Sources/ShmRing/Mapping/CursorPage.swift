import Glibc

/// One reader's page beside a ring: where it is, what it lost, whether it sleeps. A file of its own, so that
/// the reader can write nothing but this page and the producer can map it read-only. It outlives its reader: a
/// successor of the same name continues where the cursor stands.
///
/// ```
/// 0x00  magic │ 0x08 version │ 0x10 reader pid
/// 0x40  position (cells)  │ 0x48 laps │ 0x50 cells lost to laps      written by the reader
/// 0x58  most cells that it was behind, in whole segments │ 0x60 generation (gated rings; see RingGate)
/// 0x80  sleeping: 0 awake, else ticket of this sleep << 32 │ published position seen, low half
/// 0x88  last ticket given
/// ```
/// The producer of an overwriting ring reads only `sleeping`; that of a gated ring position and generation too, and checks
/// both against what the reader can have reached.
public struct CursorPage: ~Copyable {
  public static let magic: UInt64 = 0x5253_5543_4B4C_4231  // "1BLKCURS"
  public static let version: UInt64 = 1
  public static let bytes = 4096
  static let versionOffset = 0x08
  static let readerPidOffset = 0x10
  static let positionOffset = 0x40
  static let lapsOffset = 0x48
  static let lostCellsOffset = 0x50
  static let highWaterOffset = 0x58
  static let generationOffset = 0x60
  static let sleepingOffset = 0x80
  static let lastTicketOffset = 0x88

  let file: SharedFile
  @usableFromInline let position: SharedWord
  @usableFromInline let laps: SharedWord
  @usableFromInline let lostCells: SharedWord
  @usableFromInline let highWater: SharedWord
  let generation: SharedWord
  @usableFromInline let sleeping: SharedWord
  @usableFromInline let lastTicket: SharedWord

  /// The path of the page of `reader` beside the ring at `ringPath`.
  public static func path(ring ringPath: String, reader: String) -> String {
    let stem = ringPath.hasSuffix(".ring") ? String(ringPath.dropLast(5)) : ringPath
    return "\(stem).\(reader).cursor"
  }

  init(file: consuming SharedFile) {
    position = SharedWord(file.base + Self.positionOffset)
    laps = SharedWord(file.base + Self.lapsOffset)
    lostCells = SharedWord(file.base + Self.lostCellsOffset)
    highWater = SharedWord(file.base + Self.highWaterOffset)
    generation = SharedWord(file.base + Self.generationOffset)
    sleeping = SharedWord(file.base + Self.sleepingOffset)
    lastTicket = SharedWord(file.base + Self.lastTicketOffset)
    self.file = file
  }

  /// Makes the page, at position 0.
  public static func create(path: String) throws(RingError) {
    let file = try SharedFile.create(path: path, byteCount: bytes)
    SharedWord(file.base + versionOffset).storeRelaxed(version)
    SharedWord(file.base + generationOffset).storeRelaxed(1)
    SharedWord(file.base).storeReleasing(magic)
  }

  /// Maps an existing page.
  public static func attach(path: String, access: SharedFile.Access) throws(RingError) -> CursorPage {
    let file = try SharedFile.open(path: path, access: access, minimumBytes: bytes, populate: true)
    guard SharedWord(file.base).loadAcquiring() == magic else { throw .notARing(path: path) }
    let found = SharedWord(file.base + versionOffset).loadRelaxed()
    guard found == version else {
      throw .layoutVersion(
        path: path, found: UInt32(truncatingIfNeeded: found), expected: UInt32(version))
    }
    if access == .readWrite {
      SharedWord(file.base + readerPidOffset).storeRelaxed(UInt64(getpid()))
    }
    return CursorPage(file: file)
  }

  /// The reader's position in cells, as it last said.
  public var reportedPosition: UInt64 { position.loadRelaxed() }
  /// How often the reader was lapped, and how many cells it lost.
  public var lapCount: UInt64 { laps.loadRelaxed() }
  public var lostCellCount: UInt64 { lostCells.loadRelaxed() }
  /// The most cells that the reader was behind when it reported, rounded up to the end of the producer's segment.
  public var highWaterCells: UInt64 { highWater.loadRelaxed() }
  public var readerPid: Int32 {
    Int32(truncatingIfNeeded: SharedWord(file.base + Self.readerPidOffset).loadRelaxed())
  }
}
