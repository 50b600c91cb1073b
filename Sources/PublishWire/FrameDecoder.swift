import StageRecords

/// Why bytes are not a frame of protocol 1.
public enum FrameError: Error, Equatable, Sendable {
  /// Fewer bytes than a header.
  case truncatedHeader(bytes: Int)
  /// The first two bytes are another number.
  case wrongMagic(UInt16)
  /// Schema version 0 was never written.
  case unsupportedSchemaVersion(UInt16)
  /// The block reaches beyond the frame.
  case truncatedBlock(declared: Int, available: Int)
  /// The block is shorter than its template's.
  case shortBlock(template: UInt16, declared: Int, needed: Int)
  /// The prefix of entry `index`, or what it declares, reaches beyond the frame.
  case truncatedEntry(index: Int)
  /// Entry `index` declares fewer bytes than an event's header.
  case shortEntry(index: Int, declared: Int)
  /// The body of entry `index` is shorter than its kind's.
  case shortBody(index: Int, kind: UInt8, declared: Int)
  /// Bytes remain after the last declared entry.
  case trailingBytes(Int)

  /// One line for a log or a terminal.
  public var message: String {
    switch self {
    case .truncatedHeader(let bytes): "frame of \(bytes) bytes is shorter than its header"
    case .wrongMagic(let magic): "frame starts with \(magic) in place of \(FrameHeader.magic)"
    case .unsupportedSchemaVersion(let version): "schema version \(version) is not supported"
    case .truncatedBlock(let declared, let available):
      "block of \(declared) bytes in \(available) available"
    case .shortBlock(let template, let declared, let needed):
      "block of template \(template) has \(declared) bytes and needs \(needed)"
    case .truncatedEntry(let index): "entry \(index) reaches beyond the frame"
    case .shortEntry(let index, let declared): "entry \(index) has \(declared) bytes"
    case .shortBody(let index, let kind, let declared):
      "entry \(index) of kind \(kind) has \(declared) bytes"
    case .trailingBytes(let count): "\(count) bytes after the last entry"
    }
  }
}

/// The block between a frame's header and its entries.
public enum FrameBlock: Equatable, Sendable {
  case events
  case snapshotBegin(SnapshotBegin)
  case snapshotOrders
  case snapshotEnd(SnapshotEnd)
  case heartbeat(Heartbeat)
  case status(InputStatus)
  case replay(ReplayBlock)
  case checksum(BookChecksum)
  /// A template of a later version: skip the frame, but follow its sequence numbers.
  case unknown(template: UInt16)
}

/// One event of a frame, in place.
public struct DecodedEntry {
  /// BookEventKind, or a number that this version does not know (skip it).
  public let kind: UInt8
  /// Header and body, as they lie on the ring.
  public let event: UnsafeRawBufferPointer

  /// The event's header.
  public var header: BookEventHeader {
    // The decoder has checked that `event` holds a header.
    event.loadUnaligned(as: BookEventHeader.self)
  }

  /// The bytes behind the header.
  public var body: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: event[BookEventHeader.bytes...])
  }
}

/// A frame whose every length has been checked. Valid as long as the bytes that it was decoded from.
public struct DecodedFrame {
  public let header: FrameHeader
  public let block: FrameBlock
  let entries: UnsafeRawBufferPointer

  /// Checks `bytes` completely and returns the frame. Unknown templates and event kinds, longer blocks and
  /// longer bodies than this version knows are accepted: later versions may only add.
  public init(_ bytes: UnsafeRawBufferPointer) throws(FrameError) {
    guard let base = bytes.baseAddress, bytes.count >= FrameHeader.bytes else {
      throw .truncatedHeader(bytes: bytes.count)
    }
    let magic = UInt16(littleEndian: base.loadUnaligned(as: UInt16.self))
    guard magic == FrameHeader.magic else { throw .wrongMagic(magic) }
    header = FrameHeader(from: base)
    guard header.schemaVersion >= 1 else { throw .unsupportedSchemaVersion(header.schemaVersion) }
    let blockLength = Int(header.blockLength)
    let available = bytes.count - FrameHeader.bytes
    guard blockLength <= available else {
      throw .truncatedBlock(declared: blockLength, available: available)
    }
    block = try Self.block(header.template, base + FrameHeader.bytes, blockLength)
    entries = UnsafeRawBufferPointer(rebasing: bytes[(FrameHeader.bytes + blockLength)...])
    try Self.check(entries, count: Int(header.count))
  }

  /// Calls `body` with each entry, in order.
  public func forEach(_ body: (DecodedEntry) throws -> Void) rethrows {
    var offset = 0
    for _ in 0..<header.count {
      let length = Int(UInt16(littleEndian: entries.loadUnaligned(fromByteOffset: offset, as: UInt16.self)))
      let start = offset + FrameEntry.prefixBytes
      try body(
        DecodedEntry(
          kind: entries[offset + 2], event: UnsafeRawBufferPointer(rebasing: entries[start..<start + length]))
      )
      offset += FrameEntry.size(eventBytes: length)
    }
  }

  private static func block(
    _ template: UInt16, _ start: UnsafeRawPointer, _ length: Int
  ) throws(FrameError) -> FrameBlock {
    func need(_ bytes: Int) throws(FrameError) {
      guard length >= bytes else {
        throw .shortBlock(template: template, declared: length, needed: bytes)
      }
    }
    switch FrameTemplate(rawValue: template) {
    case .events: return .events
    case .snapshotBegin:
      try need(SnapshotBegin.bytesMin)
      return .snapshotBegin(SnapshotBegin(from: start, length: length))
    case .snapshotOrders: return .snapshotOrders
    case .snapshotEnd:
      try need(SnapshotEnd.bytes)
      return .snapshotEnd(SnapshotEnd(from: start))
    case .heartbeat:
      try need(Heartbeat.bytes)
      return .heartbeat(Heartbeat(from: start))
    case .status:
      try need(InputStatus.bytesMin)
      return .status(InputStatus(from: start, length: length))
    case .replay:
      try need(ReplayBlock.bytes)
      return .replay(ReplayBlock(from: start))
    case .checksum:
      try need(BookChecksum.bytes)
      return .checksum(BookChecksum(from: start))
    case nil: return .unknown(template: template)
    }
  }

  private static func check(_ entries: UnsafeRawBufferPointer, count: Int) throws(FrameError) {
    var offset = 0
    for index in 0..<count {
      guard entries.count - offset >= FrameEntry.prefixBytes else { throw .truncatedEntry(index: index) }
      let length = Int(UInt16(littleEndian: entries.loadUnaligned(fromByteOffset: offset, as: UInt16.self)))
      guard length >= BookEventHeader.bytes else { throw .shortEntry(index: index, declared: length) }
      let size = FrameEntry.size(eventBytes: length)
      guard entries.count - offset >= size else { throw .truncatedEntry(index: index) }
      let kind = entries[offset + 2]
      if let known = BookEventKind(rawValue: kind),
        length < BookEventHeader.bytes + PublishSchema.bodyBytes(known)
      {
        throw .shortBody(index: index, kind: kind, declared: length)
      }
      offset += size
    }
    guard offset == entries.count else { throw .trailingBytes(entries.count - offset) }
  }
}
