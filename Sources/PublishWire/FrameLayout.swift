import StageRecords

/// What a binary frame carries. The raw value is the header's `template` field.
public enum FrameTemplate: UInt16, Sendable, CaseIterable {
  /// Live events, in order; every one later than `prev_seq` and none later than `seq`.
  case events = 1
  /// The state of one instrument as of `seq` follows.
  case snapshotBegin = 2
  /// A part of that state, as events.
  case snapshotOrders = 3
  /// The state is complete.
  case snapshotEnd = 4
  /// The publisher lives, and there was nothing for this client up to `seq`.
  case heartbeat = 5
  /// What the publisher knows about its own input.
  case status = 6
  /// Events of the past for one subscription that began at a cursor. Its own numbers are in its block; the header's
  /// `seq` stays where the chain is.
  case replay = 7
  /// A checksum of one instrument's book as of `seq`.
  case checksum = 8
}

/// Bits of ``FrameHeader/flags``.
public enum FrameFlags {
  /// The last venue message of this frame did not fit; its remaining events open the next frame, whose
  /// `prev_seq` equals this frame's `seq`.
  public static let messageContinues: UInt16 = 0x0001
}

/// The 32 bytes in front of every binary frame, little-endian.
///
/// ```
/// offset  size  field
///      0     2  magic            0x4B42 ("BK" as bytes)
///      2     2  blockLength      bytes of the template's block, between this header and the first entry
///      4     2  template         FrameTemplate
///      6     2  schemaVersion    1
///      8     4  epoch            incarnation of the stream; a client never joins two epochs
///     12     2  flags            FrameFlags
///     14     2  count            entries after the block
///     16     8  sequence         the stream is complete for this client up to this venue sequence number
///     24     8  previousSequence `sequence` of the frame sent before on this connection; 0 on the first
/// ```
/// `previousSequence` of a frame equals `sequence` of the frame before: that equality, and nothing else, is
/// what a client of a filtered stream checks to know that it missed nothing.
public struct FrameHeader: Sendable, Equatable {
  public var blockLength: UInt16
  public var template: UInt16
  public var schemaVersion: UInt16
  public var epoch: UInt32
  public var flags: UInt16
  public var count: UInt16
  public var sequence: UInt64
  public var previousSequence: UInt64

  /// Bytes of a header.
  public static let bytes = 32
  /// First two bytes of every frame, as a little-endian integer.
  public static let magic: UInt16 = 0x4B42
  /// The version written by this code. Within protocol 1 blocks and bodies only ever grow at their end.
  public static let currentSchemaVersion: UInt16 = 1
  static let flagsOffset = 12
  static let countOffset = 14
  static let sequenceOffset = 16

  public init(
    template: FrameTemplate, blockLength: Int, epoch: UInt32, flags: UInt16 = 0, count: UInt16 = 0,
    sequence: UInt64, previousSequence: UInt64
  ) {
    self.blockLength = UInt16(truncatingIfNeeded: blockLength)
    self.template = template.rawValue
    self.schemaVersion = Self.currentSchemaVersion
    self.epoch = epoch
    self.flags = flags
    self.count = count
    self.sequence = sequence
    self.previousSequence = previousSequence
  }

  /// Reads a header whatever its magic says; `source` needs ``bytes`` readable bytes and no alignment.
  init(from source: UnsafeRawPointer) {
    blockLength = UInt16(littleEndian: source.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
    template = UInt16(littleEndian: source.loadUnaligned(fromByteOffset: 4, as: UInt16.self))
    schemaVersion = UInt16(littleEndian: source.loadUnaligned(fromByteOffset: 6, as: UInt16.self))
    epoch = UInt32(littleEndian: source.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
    flags = UInt16(littleEndian: source.loadUnaligned(fromByteOffset: 12, as: UInt16.self))
    count = UInt16(littleEndian: source.loadUnaligned(fromByteOffset: 14, as: UInt16.self))
    sequence = UInt64(littleEndian: source.loadUnaligned(fromByteOffset: 16, as: UInt64.self))
    previousSequence = UInt64(littleEndian: source.loadUnaligned(fromByteOffset: 24, as: UInt64.self))
  }

  /// Writes the 32 bytes; `target` needs no alignment.
  public func write(to target: UnsafeMutableRawPointer) {
    target.storeBytes(of: Self.magic.littleEndian, toByteOffset: 0, as: UInt16.self)
    target.storeBytes(of: blockLength.littleEndian, toByteOffset: 2, as: UInt16.self)
    target.storeBytes(of: template.littleEndian, toByteOffset: 4, as: UInt16.self)
    target.storeBytes(of: schemaVersion.littleEndian, toByteOffset: 6, as: UInt16.self)
    target.storeBytes(of: epoch.littleEndian, toByteOffset: 8, as: UInt32.self)
    target.storeBytes(of: flags.littleEndian, toByteOffset: Self.flagsOffset, as: UInt16.self)
    target.storeBytes(of: count.littleEndian, toByteOffset: Self.countOffset, as: UInt16.self)
    target.storeBytes(of: sequence.littleEndian, toByteOffset: Self.sequenceOffset, as: UInt64.self)
    target.storeBytes(of: previousSequence.littleEndian, toByteOffset: 24, as: UInt64.self)
  }
}

/// One event inside a frame: an 8-byte prefix, the event's 32-byte header, its body, zeros up to a multiple
/// of 8.
///
/// ```
/// offset  size  field
///      0     2  length   bytes of header + body, without prefix and padding
///      2     1  kind     BookEventKind
///      3     5  zero
///      8    32  BookEventHeader
///     40     n  body     see BookEventKind
/// ```
public enum FrameEntry {
  /// Bytes in front of an event's header.
  public static let prefixBytes = 8
  /// The longest event (header + body) that an entry can carry.
  public static let maximumEventBytes = 32_768

  /// Bytes that an event of `eventBytes` (header + body) takes in a frame.
  @inlinable @inline(__always)
  public static func size(eventBytes: Int) -> Int { (prefixBytes + eventBytes + 7) & ~7 }

  /// Writes an entry at `target` and returns its size. `target` has ``size(eventBytes:)`` writable bytes;
  /// `event` is a header and its body, at most ``maximumEventBytes`` bytes.
  @inlinable @inline(__always)
  public static func write(
    kind: UInt8, event: UnsafeRawBufferPointer, to target: UnsafeMutableRawPointer
  ) -> Int {
    let size = size(eventBytes: event.count)
    let prefix = UInt64(UInt16(truncatingIfNeeded: event.count)) | UInt64(kind) << 16
    // The last word first: the body then overwrites all but the padding.
    target.storeBytes(of: 0, toByteOffset: size - 8, as: UInt64.self)
    target.storeBytes(of: prefix.littleEndian, as: UInt64.self)
    if let source = event.baseAddress {
      (target + prefixBytes).copyMemory(from: source, byteCount: event.count)
    }
    return size
  }
}
