import SetInspection
import StageRecords
import StageRuntime
import Tape

extension TapeCommand {
  /// cat and export.
  func show(_ files: SystemTapeFiles) throws(TapeFileError) -> Int32 {
    var reader = try TapeReader(files: files, start: options.start)
    let isExport = options.action == .export
    if isExport, options.format == .csv { output.line(TapeExport.header) }
    var shown = 0
    var code = ExitCode.success
    while output.isOpen, shown < options.count ?? .max {
      do throws(TapeDamage) {
        guard let record = try reader.next() else { break }
        if let through = options.through, reader.nextSequence > through &+ 1 { break }
        if record.kind == TapeLayout.Kind.hole { code = ExitCode.failure }
        let line =
          isExport
          ? TapeExport.line(record, session: reader.session, run: reader.header?.run ?? 0, options.format)
          : catLine(record)
        if let line {
          output.line(line)
          shown += 1
        }
      } catch {
        code = ExitCode.failure
        say("\(error)")
        guard options.pastDamage else {
          say("the output ends here; --past-damage goes on behind it, `bulkhead tape verify` lists all of it")
          break
        }
        if let line = damageLine(error, isExport: isExport) { output.line(line) }
      }
    }
    return code
  }

  private func damageLine(_ damage: TapeDamage, isExport: Bool) -> String? {
    if isExport, options.format == .csv { return "damage,,,,,,,,,,,,,,\"\(damage)\"" }
    guard isExport || options.json else { return "damage \(damage)" }
    guard isExport else {
      return JSONReport(schema: "tape.cat").text { TapeCommand.write(damage, to: &$0) }
    }
    var json = JSONText()
    json.object { TapeCommand.write(damage, to: &$0) }
    return json.text
  }

  private func catLine(_ record: TapeRecord) -> String? {
    let decoded = Self.decode(record)
    guard decoded.matches(options.kinds) else { return nil }
    let wantsBytes = options.hex || decoded.kind == "unknown"
    if options.json {
      return JSONReport(schema: "tape.cat").text { json in
        json.field("segment", record.place.ordinal)
        json.field("offset", record.place.offset)
        json.field("ringPosition", record.ringPosition)
        decoded.write(to: &json)
        if wantsBytes { json.field("hex", hexadecimal(record.payload)) }
      }
    }
    return "\(record.place.ordinal):\(record.place.offset) \(decoded.text)"
      + (wantsBytes ? " hex=\(hexadecimal(record.payload))" : "")
  }

  static func decode(_ record: TapeRecord) -> DecodedRecord {
    guard record.kind == TapeLayout.Kind.hole, let hole = TapeHole(payload: record.payload) else {
      return RecordDecoder.decode(.merged, kind: record.kind, record.payload)
    }
    var decoded = DecodedRecord("hole")
    decoded.add("first", hole.first)
    decoded.add("last", hole.last)
    if let count = hole.count { decoded.add("messages", count) }
    decoded.add("reason", .text(HoleReason(rawValue: hole.reason)?.name ?? "unknown \(hole.reason)"))
    decoded.add("cellsFrom", hole.cellsFrom)
    decoded.add("cellsTo", hole.cellsTo)
    return decoded
  }
}

/// Records as other programs read them: one a line, the same bytes whenever the same tape is exported.
enum TapeExport {
  /// Columns of the message that a decoded record may have, in this order.
  private static let columns = [
    "type", "instrument", "venueTime", "reference", "side", "shares", "stock", "price", "match",
  ]

  static let header =
    "kind,run,session,sequence,last,receiveTime," + columns.joined(separator: ",") + ",message"

  static func line(
    _ record: TapeRecord, session: TapeSession, run: UInt64, _ format: TapeOptions.Format
  ) -> String? {
    let decoded = TapeCommand.decode(record)
    switch format {
    case .jsonl:
      var json = JSONText()
      json.object { json in
        json.field("run", run)
        json.field("session", printable(session.bytes))
        decoded.write(to: &json)
        if record.kind == MergedRecord.Kind.message {
          json.field("message", hexadecimal(message(record)))
        }
      }
      return json.text
    case .dbn, .arrow: return nil
    case .csv:
      let numbers = numbers(record)
      func text(_ number: UInt64?) -> String { number.map { String($0) } ?? "" }
      var line =
        "\(decoded.kind),\(run),\(quoted(printable(session.bytes))),"
        + "\(text(numbers.first)),\(text(numbers.last)),\(text(numbers.receiveTime))"
      for column in columns {
        line += ","
        if let field = decoded.fields.first(where: { $0.name == column }) { line += csv(field.value) }
      }
      return line + "," + (record.kind == MergedRecord.Kind.message ? hexadecimal(message(record)) : "")
    }
  }

  /// The numbers that every record of the merged ring begins with, as what they mean in a record of its kind.
  static func numbers(_ record: TapeRecord) -> (first: UInt64?, last: UInt64?, receiveTime: UInt64?) {
    guard record.payload.count >= 16, let base = record.payload.baseAddress else { return (nil, nil, nil) }
    let first = base.loadUnaligned(as: UInt64.self)
    let second = base.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
    switch record.kind {
    case MergedRecord.Kind.message: return (first, nil, second)
    case MergedRecord.Kind.gap, TapeLayout.Kind.hole: return (first, second, nil)
    default: return (first, nil, nil)
    }
  }

  static func message(_ record: TapeRecord) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: record.payload.dropFirst(MergedRecord.messageHeaderBytes))
  }

  /// Whole numbers as in JSON: prices in 1/10000, times in ns.
  private static func csv(_ value: DecodedRecord.Value) -> String {
    switch value {
    case .number(let number), .instant(let number), .timeOfDay(let number): String(number)
    case .price(let price, _): String(price)
    case .letter(let byte): quoted(printable([byte]))
    case .text(let text): quoted(text)
    case .flag(let flag): flag ? "1" : "0"
    case .names(let names): quoted(names.joined(separator: " "))
    }
  }

  private static func quoted(_ text: String) -> String {
    guard text.utf8.contains(where: { $0 == 0x2C || $0 == 0x22 || $0 < 0x20 }) else { return text }
    return "\"" + text.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"")
      + "\""
  }
}
