import FeedWire
import SetInspection
import StageRecords

extension RecordDecoder {
  /// Bytes of a body; those of a notice at least. As in the table at `BookEventKind`.
  private static func bodyBytes(_ kind: BookEventKind) -> Int {
    switch kind {
    case .tradeBroken, .tradingState, .notice: 8
    case .endOfSession: 16
    case .definition, .orderAdd, .orderReduce, .orderDelete, .level, .trust, .gap: 24
    case .bestPrices, .trade: 32
    case .orderExecute: 40
    }
  }

  private static func hasSide(_ kind: BookEventKind) -> Bool {
    switch kind {
    case .orderAdd, .orderReduce, .orderDelete, .orderExecute, .level, .trade: true
    default: false
    }
  }

  /// A book event: header, then the body's fields.
  static func event(_ kind: BookEventKind, _ bytes: RecordBytes) -> DecodedRecord {
    let wanted = BookEventHeader.bytes + bodyBytes(kind)
    guard bytes.count >= wanted else { return tooShort("\(kind)", bytes, wants: wanted) }
    let flags = bytes.byte(BookEventHeader.flagsOffset)
    let instrument = bytes.word32(BookEventHeader.instrumentOffset)
    var record = DecodedRecord("\(kind)")
    record.add("channel", UInt64(bytes.byte(BookEventHeader.channelOffset)))
    record.add("sequence", bytes.word64(BookEventHeader.sequenceOffset))
    record.add("index", bytes.word32(BookEventHeader.indexOffset) & 0xFFFF)
    record.add("instrument", instrument)
    record.add("venueTime", .timeOfDay(bytes.word64(BookEventHeader.venueTimeOffset)))
    record.add("receiveTime", .instant(bytes.word64(BookEventHeader.receiveTimeOffset)))
    if hasSide(kind) { record.add("side", .text(flags & EventFlags.sell != 0 ? "sell" : "buy")) }
    let body = RecordBytes(bytes.from(BookEventHeader.bytes))
    if kind == .notice {
      addNotice(
        body, instrument: instrument, time: bytes.word64(BookEventHeader.venueTimeOffset), to: &record)
    } else {
      addBody(kind, body, to: &record)
    }
    record.add("flags", .names(names(ofFlags: flags)))
    return record
  }

  private static func names(ofFlags flags: UInt8) -> [String] {
    let known: [(bit: UInt8, name: String)] = [
      (EventFlags.sell, "sell"), (EventFlags.last, "last"), (EventFlags.stale, "stale"),
      (EventFlags.replace, "replace"), (EventFlags.nonPrintable, "nonPrintable"),
    ]
    var names = known.filter { flags & $0.bit != 0 }.map(\.name)
    let rest = known.reduce(flags) { $0 & ~$1.bit }
    if rest != 0 { names.append("0x" + hexadecimalByte(rest)) }
    return names
  }

  private static func addBody(_ kind: BookEventKind, _ body: RecordBytes, to record: inout DecodedRecord) {
    switch kind {
    case .definition: addDefinition(body, to: &record)
    case .orderAdd, .orderDelete:
      record.add("reference", body.word64(0))
      record.add("price", price(body, 8))
      record.add("quantity", body.word64(16))
    case .orderReduce:
      record.add("reference", body.word64(0))
      record.add("remaining", body.word64(8))
      record.add("reducedBy", body.word64(16))
    case .orderExecute:
      record.add("reference", body.word64(0))
      record.add("price", price(body, 8))
      record.add("executed", body.word64(16))
      record.add("remaining", body.word64(24))
      record.add("match", body.word64(32))
    case .level:
      record.add("price", price(body, 0))
      record.add("size", body.word64(8))
      record.add("orders", body.word32(16))
    case .bestPrices:
      record.add("bidPrice", price(body, 0))
      record.add("bidSize", body.word64(8))
      record.add("askPrice", price(body, 16))
      record.add("askSize", body.word64(24))
    case .trade:
      record.add("price", price(body, 0))
      record.add("quantity", body.word64(8))
      record.add("match", body.word64(16))
      record.add("tradeType", .letter(body.byte(24)))
      record.add("printable", .flag(body.byte(25) != 0))
    case .tradeBroken: record.add("match", body.word64(0))
    case .tradingState:
      record.add("source", .letter(body.byte(0)))
      record.add("state", .letter(body.byte(1)))
      if body.byte(2) != 0 { record.add("market", .letter(body.byte(2))) }
      record.add("reason", .text(printable(body.from(4).prefix(4))))
    case .trust:
      let state = TrustState(rawValue: body.byte(0)).map { "\($0)" } ?? "unknown \(body.byte(0))"
      record.add("trust", .text(state))
      let reason = TrustReason(rawValue: body.byte(1))?.name ?? "unknown \(body.byte(1))"
      record.add("reason", .text(reason))
      if body.byte(2) != 0 { record.add("quarantined", .text("yes")) }
      record.add("first", body.word64(8))
      record.add("last", body.word64(16))
    case .gap:
      addRange(body, at: 0, to: &record)
      addGapReason(body.word64(16), to: &record)
    case .endOfSession:
      record.add("applied", body.word64(0))
      record.add("lost", body.word64(8))
    case .notice: break
    }
  }

  private static func price(_ body: RecordBytes, _ offset: Int) -> DecodedRecord.Value {
    .price(Int64(bitPattern: body.word64(offset)), decimals: 4)
  }

  private static func addDefinition(_ body: RecordBytes, to record: inout DecodedRecord) {
    record.add("symbol", .text(printable(body.from(0).prefix(8))))
    record.add("roundLot", body.word32(8))
    let letters = [
      "marketCategory", "financialStatus", "issueClass", "authenticity", "luldTier", "etpFlag",
    ]
    for (index, name) in letters.enumerated() { record.add(name, .letter(body.byte(12 + index))) }
  }

  /// A notice is a venue message without the header that the event has already: with it, it is decoded as one.
  private static func addNotice(
    _ body: RecordBytes, instrument: UInt32, time: UInt64, to record: inout DecodedRecord
  ) {
    var message = [
      body.byte(0), UInt8(truncatingIfNeeded: instrument >> 8), UInt8(truncatingIfNeeded: instrument),
    ]
    message += [0, 0]
    for shift in stride(from: 40, through: 0, by: -8) {
      message.append(UInt8(truncatingIfNeeded: time >> UInt64(shift)))
    }
    // Events are padded to whole words; the message is as long as its type says.
    let length = ITCH50.expectedLength(body.byte(0)) - ITCH50.headerBytes
    message += length > 0 ? Array(body.from(8).prefix(length)) : Array(body.from(8))
    message.withUnsafeBytes { addMessage($0, withHeader: false, to: &record) }
  }
}
