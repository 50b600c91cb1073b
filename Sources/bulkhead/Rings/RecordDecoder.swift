import FeedWire
import SetInspection
import StageRecords

/// What travels on a ring, told by the ring's name.
enum RingContents: Equatable {
  case packets
  case merged
  case events
  /// A ring that this version does not know: kind, length and bytes are shown.
  case unknown

  init(ring name: String) {
    switch name {
    case "rx_a", "rx_b": self = .packets
    case "merged": self = .merged
    case "book": self = .events
    default: self = .unknown
    }
  }

  /// What `--kind` may name.
  var kinds: [String] {
    switch self {
    case .packets: ["data", "heartbeat", "endOfSession", "malformed", "unknown"]
    case .merged:
      [
        "message", "gap", "sessionStart", "endOfSession", "imageStart", "image", "imageEnd", "recoveryStart",
        "recovery", "recoveryEnd", "malformed", "unknown",
      ]
        + ITCH50.MessageType.allCases.flatMap { ["\($0)", String(Character(Unicode.Scalar($0.rawValue)))] }
    case .events: BookEventKind.allCases.map { "\($0)" } + ["malformed", "unknown"]
    case .unknown: ["unknown"]
    }
  }
}

/// Takes records apart. Every byte may be hostile: whatever it holds, a record is decoded or called malformed.
enum RecordDecoder {
  /// - Parameters:
  ///   - kind: the ring record kind.
  ///   - record: the payload.
  static func decode(_ contents: RingContents, kind: UInt8, _ record: UnsafeRawBufferPointer) -> DecodedRecord
  {
    let bytes = RecordBytes(record)
    switch contents {
    case .packets where kind == PacketRecord.kind: return packet(bytes)
    case .merged: return merged(kind, bytes)
    case .events:
      if let kind = BookEventKind(rawValue: kind) { return event(kind, bytes) }
    default: break
    }
    return unknown(kind, bytes)
  }

  /// A record of a kind that has no name.
  static func unknown(_ kind: UInt8, _ bytes: RecordBytes) -> DecodedRecord {
    var record = DecodedRecord("unknown")
    record.add("recordKind", UInt64(kind))
    record.add("bytes", bytes.count)
    return record
  }

  /// A record that is shorter than its kind.
  static func tooShort(_ what: String, _ bytes: RecordBytes, wants: Int) -> DecodedRecord {
    var record = DecodedRecord("malformed")
    record.add("is", .text(what))
    record.add("reason", .text("\(bytes.count) bytes, wants \(wants)"))
    record.add("bytes", bytes.count)
    return record
  }

  private static func packet(_ bytes: RecordBytes) -> DecodedRecord {
    guard bytes.count >= PacketRecord.headerBytes else {
      return tooShort("packet", bytes, wants: PacketRecord.headerBytes)
    }
    let datagram = bytes.from(PacketRecord.headerBytes)
    var record: DecodedRecord
    switch MoldUDP64Packet.parse(datagram) {
    case .malformed(let reason):
      record = DecodedRecord("malformed")
      record.add("receiveTime", .instant(bytes.word64(0)))
      record.add("is", .text("packet"))
      record.add("reason", .text(reason.name))
    case .packet(let packet):
      switch packet.kind {
      case .data: record = DecodedRecord("data")
      case .heartbeat: record = DecodedRecord("heartbeat")
      case .endOfSession: record = DecodedRecord("endOfSession")
      }
      record.add("receiveTime", .instant(bytes.word64(0)))
      record.add("session", .text(packet.session.text))
      record.add("sequence", packet.sequence)
      record.add("count", packet.messageCount)
      record.add("next", packet.nextSequence)
    }
    record.add("bytes", datagram.count)
    return record
  }

  private static func merged(_ kind: UInt8, _ bytes: RecordBytes) -> DecodedRecord {
    switch kind {
    case MergedRecord.Kind.message:
      guard bytes.count >= MergedRecord.messageHeaderBytes else {
        return tooShort("message", bytes, wants: MergedRecord.messageHeaderBytes)
      }
      var record = DecodedRecord("message")
      record.add("sequence", bytes.word64(0))
      record.add("receiveTime", .instant(bytes.word64(8)))
      addMessage(bytes.from(MergedRecord.messageHeaderBytes), to: &record)
      return record
    case MergedRecord.Kind.gap:
      guard bytes.count >= MergedRecord.gapBytes else {
        return tooShort("gap", bytes, wants: MergedRecord.gapBytes)
      }
      var record = DecodedRecord("gap")
      addRange(bytes, at: 0, to: &record)
      addGapReason(bytes.word64(16), to: &record)
      return record
    case MergedRecord.Kind.sessionStart, MergedRecord.Kind.endOfSession:
      let isStart = kind == MergedRecord.Kind.sessionStart
      let name = isStart ? "sessionStart" : "endOfSession"
      guard bytes.count >= MergedRecord.sessionBytes else {
        return tooShort(name, bytes, wants: MergedRecord.sessionBytes)
      }
      var record = DecodedRecord(name)
      record.add(isStart ? "first" : "next", bytes.word64(0))
      record.add("session", .text(printable(bytes.from(8).prefix(MergedRecord.sessionIdentifierBytes))))
      return record
    case MergedRecord.Kind.imageStart: return image("imageStart", bytes, wants: MergedRecord.imageStartBytes)
    case MergedRecord.Kind.image:
      guard bytes.count >= MergedRecord.messageHeaderBytes else {
        return tooShort("image", bytes, wants: MergedRecord.messageHeaderBytes)
      }
      var record = DecodedRecord("image")
      record.add("first", bytes.word64(0))
      record.add("number", bytes.word64(8))
      addMessage(bytes.from(MergedRecord.messageHeaderBytes), to: &record)
      return record
    case MergedRecord.Kind.imageEnd: return image("imageEnd", bytes, wants: MergedRecord.imageEndBytes)
    case MergedRecord.Kind.recoveryStart:
      return recovery("recoveryStart", bytes, wants: MergedRecord.recoveryStartBytes)
    case MergedRecord.Kind.recovery:
      guard bytes.count >= MergedRecord.messageHeaderBytes else {
        return tooShort("recovery", bytes, wants: MergedRecord.messageHeaderBytes)
      }
      var record = DecodedRecord("recovery")
      record.add("next", bytes.word64(0))
      record.add("sequence", bytes.word64(8))
      addMessage(bytes.from(MergedRecord.messageHeaderBytes), to: &record)
      return record
    case MergedRecord.Kind.recoveryEnd:
      return recovery("recoveryEnd", bytes, wants: MergedRecord.recoveryEndBytes)
    default: return unknown(kind, bytes)
    }
  }

  private static func recovery(_ name: String, _ bytes: RecordBytes, wants size: Int) -> DecodedRecord {
    guard bytes.count >= size else { return tooShort(name, bytes, wants: size) }
    var record = DecodedRecord(name)
    record.add("next", bytes.word64(0))
    record.add("instrument", bytes.word64(8))
    if size == MergedRecord.recoveryEndBytes { record.add("count", bytes.word64(16)) }
    return record
  }

  private static func image(_ name: String, _ bytes: RecordBytes, wants size: Int) -> DecodedRecord {
    guard bytes.count >= size else { return tooShort(name, bytes, wants: size) }
    var record = DecodedRecord(name)
    addRange(bytes, at: 0, to: &record)
    if size == MergedRecord.imageEndBytes { record.add("count", bytes.word64(16)) }
    return record
  }

  /// First and last sequence number, and how many they are.
  static func addRange(_ bytes: RecordBytes, at offset: Int, to record: inout DecodedRecord) {
    let first = bytes.word64(offset)
    let last = bytes.word64(offset + 8)
    record.add("first", first)
    record.add("last", last)
    // A range that holds every number there is has one more than a word can say.
    if first <= last, last - first < .max { record.add("messages", last - first + 1) }
  }

  static func addGapReason(_ value: UInt64, to record: inout DecodedRecord) {
    let reason = UInt8(exactly: value).flatMap { GapReason(rawValue: $0) }
    record.add("reason", .text(reason?.name ?? "unknown \(value)"))
  }
}

/// The bytes of a record: little-endian words at any offset. Beyond the end there are zeros.
struct RecordBytes {
  private let bytes: UnsafeRawBufferPointer

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  var count: Int { bytes.count }

  /// Everything from `offset` on; empty beyond the end.
  func from(_ offset: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: bytes.dropFirst(max(0, offset)))
  }

  func byte(_ offset: Int) -> UInt8 { bytes.indices.contains(offset) ? bytes[offset] : 0 }

  func word64(_ offset: Int) -> UInt64 {
    (0..<8).reduce(UInt64(0)) { $0 | UInt64(byte(offset + $1)) << UInt64($1 * 8) }
  }

  func word32(_ offset: Int) -> UInt32 { UInt32(truncatingIfNeeded: word64(offset)) }
}
