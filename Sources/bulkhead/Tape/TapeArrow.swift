import Glibc
import SetInspection
import StageRecords
import StageRuntime
import Tape
import TapeExport

/// `bulkhead tape export --format arrow`: the columns of the csv export, typed, for whatever reads Arrow.
extension TapeCommand {
  func exportArrow(_ files: SystemTapeFiles) throws(TapeFileError) -> Int32 {
    guard isatty(STDOUT_FILENO) == 0 else {
      say("Arrow is binary: redirect the output into a file")
      return ExitCode.usage
    }
    var reader = try TapeReader(files: files, start: options.start)
    var table = ArrowFileWriter(columns: TapeExport.arrowColumns)
    var shown = 0
    var code = ExitCode.success
    while output.isOpen, shown < options.count ?? .max {
      do throws(TapeDamage) {
        guard let record = try reader.next() else { break }
        if let through = options.through, reader.nextSequence > through &+ 1 { break }
        if record.kind == TapeLayout.Kind.hole { code = ExitCode.failure }
        TapeExport.append(record, session: reader.session, run: reader.header?.run ?? 0, to: &table)
        shown += 1
      } catch {
        code = ExitCode.failure
        say("\(error)")
        guard options.pastDamage else {
          say("the output ends here; --past-damage goes on behind it, `bulkhead tape verify` lists all of it")
          break
        }
        TapeExport.appendDamage(to: &table)
      }
      output.bytes(table.take())
    }
    table.finish()
    output.bytes(table.take())
    return code
  }
}

extension TapeExport {
  static let arrowColumns = [
    ArrowColumn("kind", .text, isNullable: false), ArrowColumn("run", .uint64), ArrowColumn("session", .text),
    ArrowColumn("sequence", .uint64), ArrowColumn("last", .uint64), ArrowColumn("receiveTime", .instant),
    ArrowColumn("type", .text), ArrowColumn("instrument", .uint32), ArrowColumn("venueTime", .uint64),
    ArrowColumn("reference", .uint64), ArrowColumn("side", .text), ArrowColumn("shares", .uint64),
    ArrowColumn("stock", .text), ArrowColumn("price", .int64), ArrowColumn("match", .uint64),
    ArrowColumn("message", .bytes),
  ]

  static func append(
    _ record: TapeRecord, session: TapeSession, run: UInt64, to table: inout ArrowFileWriter
  ) {
    let decoded = TapeCommand.decode(record)
    table.append(decoded.kind)
    table.append(run)
    table.append(printable(session.bytes))
    let numbers = numbers(record)
    for number in [numbers.first, numbers.last, numbers.receiveTime] { append(number, to: &table) }
    for column in arrowColumns[6..<15] {
      let value = decoded.fields.first { $0.name == column.name }?.value
      switch (column.kind, value) {
      case (_, nil): table.appendNull()
      case (.text, .some(let value)): append(text(value), to: &table)
      case (_, .some(let value)): append(number(value), to: &table)
      }
    }
    if record.kind == MergedRecord.Kind.message { table.append(message(record)) } else { table.appendNull() }
  }

  /// A row that says that something cannot be read.
  static func appendDamage(to table: inout ArrowFileWriter) {
    table.append("damage")
    for _ in arrowColumns.dropFirst() { table.appendNull() }
  }

  private static func append(_ number: UInt64?, to table: inout ArrowFileWriter) {
    if let number { table.append(number) } else { table.appendNull() }
  }

  private static func append(_ text: String?, to table: inout ArrowFileWriter) {
    if let text { table.append(text) } else { table.appendNull() }
  }

  private static func number(_ value: DecodedRecord.Value) -> UInt64? {
    switch value {
    case .number(let number), .instant(let number), .timeOfDay(let number): number
    case .price(let price, _): UInt64(bitPattern: Int64(price))
    case .flag(let flag): flag ? 1 : 0
    case .letter, .text, .names: nil
    }
  }

  private static func text(_ value: DecodedRecord.Value) -> String? {
    switch value {
    case .letter(let byte): printable([byte])
    case .text(let text): text
    case .names(let names): names.joined(separator: " ")
    case .number(let number), .instant(let number), .timeOfDay(let number): String(number)
    case .price(let price, _): String(price)
    case .flag(let flag): flag ? "1" : "0"
    }
  }
}
