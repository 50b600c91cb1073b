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

/// Block of ``FrameTemplate/snapshotBegin``.
///
/// ```
/// offset  size  field
///      0     4  subscription
///      4     4  instrument
///      8     8  orders        live orders that follow; 0 where the subscription did not ask for orders
/// ```
public struct SnapshotBegin: Sendable, Equatable {
  public var subscription: UInt32
  public var instrument: UInt32
  public var orders: UInt64
  static let bytes = 16

  public init(subscription: UInt32, instrument: UInt32, orders: UInt64) {
    self.subscription = subscription
    self.instrument = instrument
    self.orders = orders
  }

  init(from source: UnsafeRawPointer) {
    subscription = UInt32(littleEndian: source.loadUnaligned(as: UInt32.self))
    instrument = UInt32(littleEndian: source.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
    orders = UInt64(littleEndian: source.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
  }

  func write(to target: UnsafeMutableRawPointer) {
    target.storeBytes(of: subscription.littleEndian, as: UInt32.self)
    target.storeBytes(of: instrument.littleEndian, toByteOffset: 4, as: UInt32.self)
    target.storeBytes(of: orders.littleEndian, toByteOffset: 8, as: UInt64.self)
  }
}

/// Block of ``FrameTemplate/snapshotEnd``: what was sent, so that the client can count.
///
/// ```
/// offset  size  field
///      0     4  subscription
///      4     4  instrument
///      8     8  orders        live orders that were sent
///     16     8  entries       entries of every kind that were sent since snapshotBegin
/// ```
public struct SnapshotEnd: Sendable, Equatable {
  public var subscription: UInt32
  public var instrument: UInt32
  public var orders: UInt64
  public var entries: UInt64
  static let bytes = 24

  public init(subscription: UInt32, instrument: UInt32, orders: UInt64, entries: UInt64) {
    self.subscription = subscription
    self.instrument = instrument
    self.orders = orders
    self.entries = entries
  }

  init(from source: UnsafeRawPointer) {
    let begin = SnapshotBegin(from: source)
    self.init(
      subscription: begin.subscription, instrument: begin.instrument, orders: begin.orders,
      entries: UInt64(littleEndian: source.loadUnaligned(fromByteOffset: 16, as: UInt64.self)))
  }

  func write(to target: UnsafeMutableRawPointer) {
    SnapshotBegin(subscription: subscription, instrument: instrument, orders: orders).write(to: target)
    target.storeBytes(of: entries.littleEndian, toByteOffset: 16, as: UInt64.self)
  }
}

/// Block of ``FrameTemplate/heartbeat``.
///
/// ```
/// offset  size  field
///      0     8  serverTime    ns since the Unix epoch, when the heartbeat was made
///      8     1  input         InputState
///      9     7  zero
/// ```
public struct Heartbeat: Sendable, Equatable {
  public var serverTime: UInt64
  public var input: UInt8
  static let bytes = 16

  public init(serverTime: UInt64, input: UInt8) {
    self.serverTime = serverTime
    self.input = input
  }

  init(from source: UnsafeRawPointer) {
    serverTime = UInt64(littleEndian: source.loadUnaligned(as: UInt64.self))
    input = source.load(fromByteOffset: 8, as: UInt8.self)
  }

  func write(to target: UnsafeMutableRawPointer) {
    target.storeBytes(of: serverTime.littleEndian, as: UInt64.self)
    target.storeBytes(of: UInt64(input).littleEndian, toByteOffset: 8, as: UInt64.self)
  }
}

/// Block of ``FrameTemplate/status``, sent when the state of the publisher's input changes.
///
/// ```
/// offset  size  field
///      0     1  input         InputState
///      1     7  zero
///      8     8  serverTime    ns since the Unix epoch
/// ```
public struct InputStatus: Sendable, Equatable {
  public var input: UInt8
  public var serverTime: UInt64
  static let bytes = 16

  public init(input: UInt8, serverTime: UInt64) {
    self.input = input
    self.serverTime = serverTime
  }

  init(from source: UnsafeRawPointer) {
    input = source.load(as: UInt8.self)
    serverTime = UInt64(littleEndian: source.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
  }

  func write(to target: UnsafeMutableRawPointer) {
    target.storeBytes(of: UInt64(input).littleEndian, as: UInt64.self)
    target.storeBytes(of: serverTime.littleEndian, toByteOffset: 8, as: UInt64.self)
  }
}

/// What the publisher knows about the stage in front of it. Trust in a book needs `live` here and a trust
/// event that does not say stale.
public enum InputState: UInt8, Sendable, CaseIterable {
  /// The book stage runs and the stream is up to date.
  case live = 0
  /// The book stage is silent, dead or being replaced: books may be out of date.
  case stale = 1
  /// The publisher is reading its way up to the present.
  case catchingUp = 2
  /// A stage of the stream is down and will not come back: nothing follows.
  case halted = 3

  /// The name used in every text and JSON output.
  public var name: String {
    switch self {
    case .live: "live"
    case .stale: "stale"
    case .catchingUp: "catching up"
    case .halted: "halted"
    }
  }
}

/// Version and layout of what binary frames carry, as the hello names it.
public enum PublishSchema {
  /// Number of the protocol; a change that an old client cannot skip raises it.
  public static let protocolVersion = 1
  /// Identifies this family of layouts.
  public static let identifier = 1
  /// WebSocket subprotocol.
  public static let subprotocol = "bulkhead.v1.bin"
  /// Path of the stream.
  public static let path = "/v1/stream"

  /// Bytes of the body that protocol 1 fixes for a kind; later minor versions may send more, never fewer.
  public static func bodyBytes(_ kind: BookEventKind) -> Int {
    switch kind {
    case .definition, .orderAdd, .orderReduce, .orderDelete, .level, .trust, .gap: 24
    case .orderExecute: 40
    case .bestPrices, .trade: 32
    case .tradeBroken, .tradingState, .notice: 8
    case .endOfSession: 16
    }
  }

  /// One line per layout: what ``hash`` is taken over.
  static var description: String {
    var text = "header 32 entry 8 event 32 begin 16 end 24 heartbeat 16 status 16\n"
    for template in FrameTemplate.allCases { text += "\(template)=\(template.rawValue)\n" }
    for kind in BookEventKind.allCases { text += "\(kind)=\(kind.rawValue):\(bodyBytes(kind))\n" }
    return text
  }

  /// FNV-1a (64 bit, 16 hex digits) over names, numbers and sizes of every layout.
  public static let hash: String = {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in description.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    let digits = String(hash, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }()
}
