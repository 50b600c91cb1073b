/// The layout of a ring file. Written down here as a picture and as named offsets, in docs/MEMORY_LAYOUT.md
/// with the reasons, and pinned by `RingLayoutTests`.
///
/// ```
///            ┌──────────────────────────────────────────────────────────────┐
///   0x000    │ identity: written once at creation, magic last               │  line 0, 1
///            │   0 magic │ 8 version │ 12 kind │ 16 byte order │ 20 cell    │
///            │  24 cells │ 32 segment cells │ 40 data offset │ 48 file size │
///            │  56 configuration hash │ 64 name[56]                         │
///   0x080    │ published position (its low half is the futex word)          │  a line of its own
///            │   0x088 records published │ 0x090 batches published           │
///   0x0C0    │ claimed position │ 0x0C8 retired: 0, or all ones             │  a line of its own
///   0x100    │ producer: epoch │ pid │ start time                           │
///   0x140    │ producer: input position[4]                                  │
///   0x1000   ├──────────────────────────────────────────────────────────────┤
///            │ cell 0 │ cell 1 │ …                        64 bytes each     │
///            └──────────────────────────────────────────────────────────────┘
///
///   record    ┌ stamp (8) ┬ payload … ─────────────┐   starts at a cell, runs on through whole cells,
///             └───────────┴────────────────────────┘   never across the end of a segment
///   stamp     bits 63…24  lap + 1 (modulo 2^40)   bits 23…16  record kind   bits 15…0  payload bytes
/// ```
///
/// Who writes: the identity by the creator; everything else by the one producer. Readers map the file read-only.
///
/// Positions are 64-bit counts of cells since the ring was made and never wrap. The cell of position `p` is
/// `p mod cells`, its lap `p / cells`.
///
/// **Frontier rule.** The word at the position where the next record will start is no stamp of its lap before the
/// record in front of it becomes visible: the producer looks at it, and stores zero if it is one. So whatever payload
/// once lay there, a reader at the frontier never mistakes it for a stamp, and a successor of a dead producer finds
/// the exact end of the stream.
///
/// **Claim rule.** Before a cell of a segment is overwritten, `claimed` is moved past that segment's end. A
/// reader that copied a record at `p` and then still finds `p + cells >= claimed` has copied it whole. Readers
/// therefore watch a line that changes once a segment, not once a record. Every segment's start is a record's
/// start, so `claimed - cells` is the oldest position that is retained, and always a record boundary.
///
/// **Retirement rule.** A successor that cannot be sure of its predecessor's death sets `retired`, which no producer writes.
/// Readers look at it together with `claimed`, so from then on nothing of this file is accepted, whatever the predecessor
/// stores if it wakes up; it finds out at its next claim. The stream goes on in a new file of the same path.
public enum RingLayout {
  /// "BLKHRING" in memory order.
  public static let magic: UInt64 = 0x474E_4952_484B_4C42
  public static let version: UInt32 = 1
  public static let byteOrderMark: UInt32 = 0x0102_0304
  public static let headerBytes = 4096
  public static let cellBytes = 64
  public static let stampBytes = 8
  public static let nameBytes = 56

  public static let magicOffset = 0
  public static let versionOffset = 8
  public static let kindOffset = 12
  public static let byteOrderOffset = 16
  public static let cellBytesOffset = 20
  public static let cellCountOffset = 24
  public static let segmentCellsOffset = 32
  public static let dataOffsetOffset = 40
  public static let fileBytesOffset = 48
  public static let configurationHashOffset = 56
  public static let nameOffset = 64
  public static let publishedOffset = 0x80
  public static let claimedOffset = 0xC0
  public static let retiredOffset = 0xC8
  public static let epochOffset = 0x100
  public static let producerPidOffset = 0x108
  public static let producerStartTimeOffset = 0x110
  public static let inputPositionOffset = 0x140
  public static let inputPositionCount = 4
  public static let recordsOffset = 0x88
  public static let batchesOffset = 0x90

  /// What `retired` holds once the file is.
  public static let retiredMark = UInt64.max

  /// Fewest and most cells of a ring.
  public static let cellCountRange = 4...(1 << 28)
  /// Segments of a ring, unless a large record asks for longer ones.
  static let preferredSegments = 64
  /// Where a ring has room for it, a segment has at least so many cells: each claim takes the claimed line from the
  /// readers once, which costs a fourteenth of the throughput at 256 cells.
  static let preferredSegmentCells = 1024
}

/// What a ring file holds.
public enum RingKind: UInt32, Sendable {
  /// A stream whose producer never waits: a slow reader is lapped, and told so.
  case overwritingStream = 1
  /// A stream whose producer is refused while an attached reader has not caught up (``RingGate``).
  case gatedStream = 2
  /// The last value per key.
  case table = 3
}

/// The size and division of a stream ring.
public struct RingGeometry: Sendable, Equatable {
  /// Cells of the ring, a power of two.
  public let cellCount: Int
  /// Cells of a segment, a power of two that divides ``cellCount`` at least four times.
  public let segmentCells: Int

  /// - Parameters:
  ///   - cellCount: a power of two within ``RingLayout/cellCountRange``.
  ///   - maximumRecordBytes: payload bytes of the longest record, at most 65,535.
  /// - Throws: ``RingError/geometry(_:)``
  public init(cellCount: Int, maximumRecordBytes: Int) throws(RingError) {
    guard RingLayout.cellCountRange.contains(cellCount), cellCount & (cellCount - 1) == 0 else {
      throw .geometry("\(cellCount) cells: wants a power of two from 4 to \(1 << 28)")
    }
    guard (1...65_535).contains(maximumRecordBytes) else {
      throw .geometry("records of \(maximumRecordBytes) bytes: wants 1 to 65535")
    }
    let recordCells =
      (maximumRecordBytes + RingLayout.stampBytes + RingLayout.cellBytes - 1) / RingLayout.cellBytes
    var segment = max(1, cellCount / RingLayout.preferredSegments)
    if cellCount >= 16 * RingLayout.preferredSegmentCells {
      segment = max(segment, RingLayout.preferredSegmentCells)
    }
    while segment < recordCells { segment *= 2 }
    guard segment * 4 <= cellCount else {
      throw .geometry(
        "\(cellCount) cells cannot hold records of \(maximumRecordBytes) bytes: wants at least \(segment * 4) cells"
      )
    }
    self.cellCount = cellCount
    segmentCells = segment
  }

  init(uncheckedCellCount: Int, segmentCells: Int) {
    cellCount = uncheckedCellCount
    self.segmentCells = segmentCells
  }

  /// Longest payload that a record may have.
  public var maximumRecordBytes: Int {
    min(65_535, segmentCells * RingLayout.cellBytes - RingLayout.stampBytes)
  }

  /// Bytes of the whole file.
  public var fileBytes: Int { RingLayout.headerBytes + cellCount * RingLayout.cellBytes }
}

/// The word in front of a record: says that the record is there, for which lap, of which kind and length.
@usableFromInline
enum Stamp {
  /// Record kind of the filler at a segment's end. Never handed to a reader.
  @usableFromInline static let padKind: UInt8 = 255

  @inlinable @inline(__always)
  static func make(lap: UInt64, kind: UInt8, length: Int) -> UInt64 {
    lapField(lap) | rest(kind: kind, length: length)
  }

  /// A stamp without its lap.
  @inlinable @inline(__always)
  static func rest(kind: UInt8, length: Int) -> UInt64 {
    UInt64(kind) &<< 16 | UInt64(UInt16(truncatingIfNeeded: length))
  }

  /// The stamp's upper 40 bits for a record of `lap`, in place.
  @inlinable @inline(__always)
  static func lapField(_ lap: UInt64) -> UInt64 { (lap &+ 1) &<< 24 }

  /// Payload bytes that share the stamp's cell.
  @usableFromInline static let oneCellBytes = 56

  @inlinable @inline(__always)
  static func matches(_ stamp: UInt64, lap: UInt64) -> Bool { isPresent(stamp ^ lapField(lap)) }

  /// Whether a stamp with the expected lap field taken away (exclusive or) is one of that lap: nothing but kind
  /// and length is left. A kind is never 0, so an empty stamp is of no lap, not even of the one whose field
  /// wrapped to 0.
  @inlinable @inline(__always)
  static func isPresent(_ rest: UInt64) -> Bool { rest &- 0x01_0000 < 0xFF_0000 }

  /// The same for a record that is no padding: kind 1...254.
  @inlinable @inline(__always)
  static func isRecord(_ rest: UInt64) -> Bool { rest &- 0x01_0000 < 0xFE_0000 }

  @inlinable @inline(__always)
  static func kind(_ stamp: UInt64) -> UInt8 { UInt8(truncatingIfNeeded: stamp &>> 16) }

  @inlinable @inline(__always)
  static func length(_ stamp: UInt64) -> Int { Int(stamp & 0xFFFF) }

  /// Cells of a record with that payload length.
  @inlinable @inline(__always)
  static func cells(length: Int) -> Int { (length &+ 71) >> 6 }
}
