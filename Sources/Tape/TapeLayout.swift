import CTapeHash

/// How a tape lies on disk. Little-endian; docs/TAPE.md has the picture.
///
/// ```
/// segment        header (256 bytes), then frames, each at a multiple of 8; the last frame of a closed segment is a seal
/// header   0x00  u64 magic "BLKHTAPE" │ 0x08 u32 version │ 0x0C u32 header bytes │ 0x10 u64 ordinal, from 1
///          0x18  u64 configuration hash │ 0x20 u64 run │ 0x28 u64 chain at the end of the segment before
///          0x30  u64 first sequence: the number that is due when the segment begins
///          0x38  u64 ring position at which it begins, in cells │ 0x40 u64 instant of its making, ns since 1970
///          0x48  session[10], zeros when none is known │ 0x52 u8 channel │ 0x53 zeros
///          0x58  build[32] │ 0x78 zeros │ 0xFC u32 CRC-32C of 0x00 ..< 0xFC
/// frame    0x00  u64 chain: XXH3 of 0x0C ..< end of the padding, seeded with the chain before
///          0x08  u32 CRC-32C of 0x00 ..< 0x08 and 0x0C ..< end of the padding
///          0x0C  u16 payload bytes │ 0x0E u8 kind │ 0x0F u8 zero │ 0x10 u64 ring position behind the record, in cells
///          0x18  payload, then zeros up to a multiple of 8
/// ```
public enum TapeLayout {
  public static let magic: UInt64 = 0x4550_4154_484B_4C42  // "BLKHTAPE"
  public static let version: UInt32 = 1
  public static let headerBytes = 256
  static let headerChecksumOffset = 0xFC
  public static let frameHeaderBytes = 24
  /// The longest payload: what a ring's stamp can say.
  public static let payloadBytesLimit = 0xFFFF
  /// Payload bytes of a ``Kind/hole`` and a ``Kind/seal``.
  public static let holeBytes = 40
  public static let sealBytes = 32

  /// Kinds of frames. Those of the merged ring go on the tape under their own numbers (1...31).
  public enum Kind {
    /// 0 u64 first, 8 u64 last lost sequence number (last < first: none is known to be lost; last = all ones: to the
    /// end of the session) │ 16 u64, 24 u64 ring cells from ..< to │ 32 u64 a ``HoleReason``
    public static let hole: UInt8 = 240
    /// 0 u64 frames before it │ 8 u64 sequence number that is due │ 16 u64 why: 1 another segment follows, 2 the
    /// recorder ended as asked, 3 closed by a successor │ 24 u64 instant, ns since 1970
    public static let seal: UInt8 = 241
  }

  /// Bytes of the frame of a payload.
  @inlinable @inline(__always)
  public static func frameBytes(payload: Int) -> Int { (frameHeaderBytes &+ payload &+ 7) & ~7 }

  public static let sealFrameBytes = frameBytes(payload: sealBytes)

  static func isKnown(kind: UInt8) -> Bool {
    (1...31).contains(kind) || kind == Kind.hole || kind == Kind.seal
  }

  /// The chain behind a frame whose bytes from 12 on are as they will stay.
  @usableFromInline
  static func chain(after previous: UInt64, _ frame: UnsafeRawPointer, bytes: Int) -> UInt64 {
    bulkhead_chain(previous, frame + 12, bytes &- 12)
  }

  /// The checksum of a frame that is whole but for that field.
  @usableFromInline
  static func checksum(_ frame: UnsafeRawPointer, bytes: Int) -> UInt32 {
    bulkhead_crc32c(bulkhead_crc32c(0, frame, 8), frame + 12, bytes &- 12)
  }

  /// "tape-0000000001.segment".
  public static func fileName(ordinal: UInt64) -> String {
    let digits = String(ordinal)
    return "tape-" + String(repeating: "0", count: max(0, 10 - digits.count)) + digits + ".segment"
  }

  /// The ordinal that a file's name says; nil for a file of another kind.
  public static func ordinal(fileName: String) -> UInt64? {
    guard fileName.hasPrefix("tape-"), fileName.hasSuffix(".segment") else { return nil }
    let digits = fileName.dropFirst(5).dropLast(8)
    guard digits.count >= 10, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
      let ordinal = UInt64(digits),
      ordinal > 0, self.fileName(ordinal: ordinal) == fileName
    else { return nil }
    return ordinal
  }
}

/// Why a hole is on the tape.
public enum HoleReason: UInt64, Sendable, CaseIterable {
  /// The ring overwrote what had not been recorded, while the disk was well.
  case lapped = 1
  /// The ring overwrote it while the disk was in trouble.
  case diskTrouble = 2
  /// What was on disk was damaged when the recorder came back, and the ring did not hold it any more.
  case damage = 3

  /// The name used in every text and JSON output.
  public var name: String {
    switch self {
    case .lapped: "lapped"
    case .diskTrouble: "disk trouble"
    case .damage: "damage"
    }
  }
}

/// Why a segment was closed.
public enum SealReason: UInt64, Sendable, CaseIterable {
  case full = 1
  case ended = 2
  case closedBySuccessor = 3

  public var name: String {
    switch self {
    case .full: "full"
    case .ended: "recorder ended"
    case .closedBySuccessor: "closed by a successor"
    }
  }
}

/// A session's identifier: ten bytes, zeros when none is known.
public struct TapeSession: Equatable, Sendable {
  var low: UInt64 = 0
  var high: UInt16 = 0

  public static let none = TapeSession()

  public init() {}

  /// Reads ten bytes; no alignment is needed.
  @inlinable
  public init(from source: UnsafeRawPointer) {
    self.init()
    set(from: source)
  }

  @usableFromInline
  mutating func set(from source: UnsafeRawPointer) {
    low = source.loadUnaligned(as: UInt64.self)
    high = source.loadUnaligned(fromByteOffset: 8, as: UInt16.self)
  }

  func store(to target: UnsafeMutableRawPointer) {
    target.storeBytes(of: low, as: UInt64.self)
    target.storeBytes(of: high, toByteOffset: 8, as: UInt16.self)
  }

  /// The ten bytes.
  public var bytes: [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: low >> (UInt64($0) * 8)) }
      + [UInt8(truncatingIfNeeded: high), UInt8(truncatingIfNeeded: high >> 8)]
  }
}

/// What a segment says of itself.
public struct SegmentHeader: Equatable, Sendable {
  public var ordinal: UInt64
  public var configurationHash: UInt64
  /// Tells one life of a set's rings from another: ring positions of two runs have nothing to do with each other.
  public var run: UInt64
  /// The chain at the end of the segment before; 0 in the first.
  public var predecessorChain: UInt64
  /// The sequence number that is due when the segment begins.
  public var firstSequence: UInt64
  /// Cells of the merged ring at which it begins.
  public var ringPosition: UInt64
  /// ns since 1970.
  public var createdAt: UInt64
  public var session: TapeSession
  public var channel: UInt8
  /// At most 32 bytes of ASCII.
  public var build: String

  public init(
    ordinal: UInt64, configurationHash: UInt64, run: UInt64, predecessorChain: UInt64, firstSequence: UInt64,
    ringPosition: UInt64, createdAt: UInt64, session: TapeSession, channel: UInt8, build: String
  ) {
    self.ordinal = ordinal
    self.configurationHash = configurationHash
    self.run = run
    self.predecessorChain = predecessorChain
    self.firstSequence = firstSequence
    self.ringPosition = ringPosition
    self.createdAt = createdAt
    self.session = session
    self.channel = channel
    self.build = build
  }

  /// Writes ``TapeLayout/headerBytes`` bytes.
  /// - Returns: the chain that the segment's first frame continues.
  @discardableResult
  public func write(to target: UnsafeMutableRawPointer) -> UInt64 {
    target.initializeMemory(as: UInt8.self, repeating: 0, count: TapeLayout.headerBytes)
    target.storeBytes(of: TapeLayout.magic, as: UInt64.self)
    target.storeBytes(of: TapeLayout.version, toByteOffset: 0x08, as: UInt32.self)
    target.storeBytes(of: UInt32(TapeLayout.headerBytes), toByteOffset: 0x0C, as: UInt32.self)
    target.storeBytes(of: ordinal, toByteOffset: 0x10, as: UInt64.self)
    target.storeBytes(of: configurationHash, toByteOffset: 0x18, as: UInt64.self)
    target.storeBytes(of: run, toByteOffset: 0x20, as: UInt64.self)
    target.storeBytes(of: predecessorChain, toByteOffset: 0x28, as: UInt64.self)
    target.storeBytes(of: firstSequence, toByteOffset: 0x30, as: UInt64.self)
    target.storeBytes(of: ringPosition, toByteOffset: 0x38, as: UInt64.self)
    target.storeBytes(of: createdAt, toByteOffset: 0x40, as: UInt64.self)
    session.store(to: target + 0x48)
    target.storeBytes(of: channel, toByteOffset: 0x52, as: UInt8.self)
    for (index, byte) in build.utf8.prefix(32).enumerated() {
      target.storeBytes(of: byte, toByteOffset: 0x58 + index, as: UInt8.self)
    }
    target.storeBytes(
      of: bulkhead_crc32c(0, target, TapeLayout.headerChecksumOffset),
      toByteOffset: TapeLayout.headerChecksumOffset, as: UInt32.self)
    return Self.startChain(target)
  }

  /// The chain with which a segment's frames begin: an edited header breaks it.
  static func startChain(_ header: UnsafeRawPointer) -> UInt64 {
    bulkhead_chain(
      header.loadUnaligned(fromByteOffset: 0x28, as: UInt64.self), header, TapeLayout.headerBytes)
  }

  /// Reads ``TapeLayout/headerBytes`` bytes.
  /// - Throws: the field that is wrong.
  public init(from source: UnsafeRawPointer) throws(HeaderDamage) {
    func word(_ offset: Int) -> UInt64 { source.loadUnaligned(fromByteOffset: offset, as: UInt64.self) }
    func half(_ offset: Int) -> UInt32 { source.loadUnaligned(fromByteOffset: offset, as: UInt32.self) }
    guard word(0) == TapeLayout.magic else { throw .magic(found: word(0)) }
    // The version before the checksum: another version may have it elsewhere.
    guard half(0x08) == TapeLayout.version else { throw .version(found: half(0x08)) }
    guard half(0x0C) == UInt32(TapeLayout.headerBytes),
      half(TapeLayout.headerChecksumOffset) == bulkhead_crc32c(0, source, TapeLayout.headerChecksumOffset)
    else { throw .checksum }
    ordinal = word(0x10)
    configurationHash = word(0x18)
    run = word(0x20)
    predecessorChain = word(0x28)
    firstSequence = word(0x30)
    ringPosition = word(0x38)
    createdAt = word(0x40)
    session = TapeSession(from: source + 0x48)
    channel = source.load(fromByteOffset: 0x52, as: UInt8.self)
    let text = UnsafeRawBufferPointer(start: source + 0x58, count: 32).prefix { $0 >= 0x20 && $0 < 0x7F }
    build = String(decoding: text, as: UTF8.self)
  }
}

/// What is wrong with a segment's header.
public enum HeaderDamage: Error, Equatable, Sendable, CustomStringConvertible {
  case tooShort(bytes: UInt64)
  case magic(found: UInt64)
  case version(found: UInt32)
  case checksum

  public var description: String {
    switch self {
    case .tooShort(let bytes): "\(bytes) bytes, shorter than a header"
    case .magic: "no segment of a tape: its first bytes are others"
    case .version(let found):
      "layout version \(found), this program reads version \(TapeLayout.version); use the tools of that build"
    case .checksum: "the checksum of its header does not fit"
    }
  }
}

/// What was lost to the tape.
public struct TapeHole: Equatable, Sendable {
  public var first: UInt64
  /// Inclusive. Before `first`: no sequence number is known to be lost; all ones: all to the end of the session.
  public var last: UInt64
  /// Cells of the ring, half open.
  public var cellsFrom: UInt64
  public var cellsTo: UInt64
  /// A ``HoleReason``.
  public var reason: UInt64

  public init(first: UInt64, last: UInt64, cellsFrom: UInt64, cellsTo: UInt64, reason: HoleReason) {
    self.first = first
    self.last = last
    self.cellsFrom = cellsFrom
    self.cellsTo = cellsTo
    self.reason = reason.rawValue
  }

  /// Reads the payload of a ``TapeLayout/Kind/hole``; nil when it is shorter than one.
  public init?(payload: UnsafeRawBufferPointer) {
    guard payload.count >= TapeLayout.holeBytes, let base = payload.baseAddress else { return nil }
    first = base.loadUnaligned(as: UInt64.self)
    last = base.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
    cellsFrom = base.loadUnaligned(fromByteOffset: 16, as: UInt64.self)
    cellsTo = base.loadUnaligned(fromByteOffset: 24, as: UInt64.self)
    reason = base.loadUnaligned(fromByteOffset: 32, as: UInt64.self)
  }

  /// Sequence numbers that are known to be lost; nil when that is all to the end of a session.
  public var count: UInt64? { last == .max ? nil : last >= first ? last &- first &+ 1 : 0 }

  func write(to target: UnsafeMutableRawPointer) {
    target.storeBytes(of: first, as: UInt64.self)
    target.storeBytes(of: last, toByteOffset: 8, as: UInt64.self)
    target.storeBytes(of: cellsFrom, toByteOffset: 16, as: UInt64.self)
    target.storeBytes(of: cellsTo, toByteOffset: 24, as: UInt64.self)
    target.storeBytes(of: reason, toByteOffset: 32, as: UInt64.self)
  }
}

/// What a closed segment says at its end.
public struct TapeSeal: Equatable, Sendable {
  /// Frames before the seal.
  public var frames: UInt64
  /// The sequence number that is due.
  public var nextSequence: UInt64
  /// A ``SealReason``.
  public var reason: UInt64
  /// ns since 1970.
  public var sealedAt: UInt64

  public init(frames: UInt64, nextSequence: UInt64, reason: SealReason, sealedAt: UInt64) {
    self.frames = frames
    self.nextSequence = nextSequence
    self.reason = reason.rawValue
    self.sealedAt = sealedAt
  }

  public init?(payload: UnsafeRawBufferPointer) {
    guard payload.count >= TapeLayout.sealBytes, let base = payload.baseAddress else { return nil }
    frames = base.loadUnaligned(as: UInt64.self)
    nextSequence = base.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
    reason = base.loadUnaligned(fromByteOffset: 16, as: UInt64.self)
    sealedAt = base.loadUnaligned(fromByteOffset: 24, as: UInt64.self)
  }

  func write(to target: UnsafeMutableRawPointer) {
    target.storeBytes(of: frames, as: UInt64.self)
    target.storeBytes(of: nextSequence, toByteOffset: 8, as: UInt64.self)
    target.storeBytes(of: reason, toByteOffset: 16, as: UInt64.self)
    target.storeBytes(of: sealedAt, toByteOffset: 24, as: UInt64.self)
  }
}

/// Where a tape ends, or ended at some moment: all that is needed to go on writing there.
public struct TapeTail: Equatable, Sendable {
  public var ordinal: UInt64
  /// Bytes of the segment: where its next frame goes.
  public var offset: UInt64
  public var chain: UInt64
  /// Frames of the segment.
  public var frames: UInt64
  public var run: UInt64
  /// Where the reader of the merged ring goes on, in cells.
  public var ringPosition: UInt64
  /// The sequence number that is due.
  public var nextSequence: UInt64
  public var session: TapeSession
  public var isSealed: Bool

  public init(
    ordinal: UInt64, offset: UInt64, chain: UInt64, frames: UInt64, run: UInt64, ringPosition: UInt64,
    nextSequence: UInt64, session: TapeSession, isSealed: Bool
  ) {
    self.ordinal = ordinal
    self.offset = offset
    self.chain = chain
    self.frames = frames
    self.run = run
    self.ringPosition = ringPosition
    self.nextSequence = nextSequence
    self.session = session
    self.isSealed = isSealed
  }

  /// Where a segment stands that holds nothing yet.
  init(_ header: SegmentHeader, chain: UInt64) {
    self.init(
      ordinal: header.ordinal, offset: UInt64(TapeLayout.headerBytes), chain: chain, frames: 0,
      run: header.run,
      ringPosition: header.ringPosition, nextSequence: header.firstSequence, session: header.session,
      isSealed: false)
  }
}
