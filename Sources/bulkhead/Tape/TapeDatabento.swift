import FeedWire
import Glibc
import SetInspection
import StageRecords
import StageRuntime
import Tape
import TapeExport

/// `bulkhead tape export --format dbn`: market by order, for whatever reads Databento's binary encoding.
extension TapeCommand {
  private static let dataset = "XNAS.ITCH"
  /// Databento's number of this dataset.
  private static let publisher: UInt16 = 2

  func exportDatabento(_ files: SystemTapeFiles) throws(TapeFileError) -> Int32 {
    guard isatty(STDOUT_FILENO) == 0 else {
      say("DBN is binary: redirect the output into a file")
      return ExitCode.usage
    }
    // Symbols and times stand in front of the records, so the tape is read twice.
    var mappings = MarketByOrderMappings()
    var first: UInt64?
    var last: UInt64 = 0
    var channel: UInt8?
    let (count, code) = try walk(files, limit: options.count ?? .max, isQuiet: false) { item in
      channel = channel ?? item.channel
      guard let record = item.record, let parts = Self.parts(record) else { return }
      if record.kind == MergedRecord.Kind.message, parts.second > 0 {
        first = min(first ?? parts.second, parts.second)
        last = max(last, parts.second)
      }
      if let message = parts.message { mappings.note(message) }
    }
    let day: UInt64 = 86_400_000_000_000
    let start = first ?? 0
    let midnight = options.midnight.map { $0 &* 1_000_000_000 } ?? start / day * day
    let metadata = DatabentoMetadata(
      dataset: Self.dataset, start: start, end: last &+ 1, mappings: mappings.mappings)
    output.bytes(metadata.encoded())

    var translator = MarketByOrderTranslator(midnight: midnight)
    var records: [DatabentoOrderRecord] = []
    var bytes: [UInt8] = []
    _ = try walk(files, limit: count, isQuiet: true) { item in
      Self.translate(item, &translator, &records)
      for record in records { record.append(to: &bytes, publisher: Self.publisher, channel: channel ?? 0) }
      output.bytes(bytes)
      records.removeAll(keepingCapacity: true)
      bytes.removeAll(keepingCapacity: true)
    }
    for line in Self.lines(translator.counts, conflicts: mappings.conflicts) { say(line) }
    return code
  }

  // MARK: Reading

  private struct Item {
    /// Nil for damage.
    var record: TapeRecord?
    var channel: UInt8?
  }

  /// Hands over every record that was asked for, and where damage is. Returns how many, and the exit code.
  private func walk(
    _ files: SystemTapeFiles, limit: Int, isQuiet: Bool, _ body: (Item) -> Void
  ) throws(TapeFileError) -> (Int, Int32) {
    var reader = try TapeReader(files: files, start: options.start)
    var seen = 0
    var code = ExitCode.success
    while output.isOpen, seen < limit {
      do throws(TapeDamage) {
        guard let record = try reader.next() else { break }
        if let through = options.through, reader.nextSequence > through &+ 1 { break }
        if record.kind == TapeLayout.Kind.hole { code = ExitCode.failure }
        body(Item(record: record, channel: reader.header?.channel))
        seen += 1
      } catch {
        code = ExitCode.failure
        if !isQuiet { say("\(error)") }
        guard options.pastDamage else {
          if !isQuiet { say("the output ends here; --past-damage goes on behind it") }
          break
        }
        body(Item())
      }
    }
    return (seen, code)
  }

  /// The two numbers that every record of the merged ring begins with, and the message behind them.
  private static func parts(
    _ record: TapeRecord
  ) -> (first: UInt64, second: UInt64, message: UnsafeRawBufferPointer?)? {
    guard record.payload.count >= MergedRecord.messageHeaderBytes, let base = record.payload.baseAddress
    else {
      return nil
    }
    let hasMessage = record.kind == MergedRecord.Kind.message || record.kind == MergedRecord.Kind.image
    return (
      base.loadUnaligned(as: UInt64.self), base.loadUnaligned(fromByteOffset: 8, as: UInt64.self),
      hasMessage
        ? UnsafeRawBufferPointer(rebasing: record.payload.dropFirst(MergedRecord.messageHeaderBytes)) : nil
    )
  }

  private static func translate(
    _ item: Item, _ translator: inout MarketByOrderTranslator, _ records: inout [DatabentoOrderRecord]
  ) {
    guard let record = item.record, let parts = parts(record) else {
      translator.lose(through: nil)
      return
    }
    switch record.kind {
    case MergedRecord.Kind.message:
      guard let message = parts.message else { return }
      translator.translate(sequence: parts.first, receiveTime: parts.second, message, into: &records)
    case MergedRecord.Kind.gap, TapeLayout.Kind.hole:
      translator.lose(through: parts.second)
    case MergedRecord.Kind.sessionStart:
      guard record.payload.count >= 8 + MergedRecord.sessionIdentifierBytes else { return }
      let name = [UInt8](record.payload[8..<8 + MergedRecord.sessionIdentifierBytes])
      translator.startSession(name, first: parts.first, into: &records)
    case MergedRecord.Kind.imageStart:
      translator.startImage()
    case MergedRecord.Kind.image:
      if let message = parts.message { translator.addToImage(message, number: parts.second) }
    case MergedRecord.Kind.imageEnd:
      guard record.payload.count >= MergedRecord.imageEndBytes, let base = record.payload.baseAddress else {
        return
      }
      translator.endImage(
        last: parts.second, count: base.loadUnaligned(fromByteOffset: 16, as: UInt64.self), into: &records)
    default:
      break
    }
  }

  // MARK: What was left out

  static func lines(_ counts: MarketByOrderTranslator.Counts, conflicts: Int) -> [String] {
    var lines = ["\(grouped(UInt64(counts.messages))) messages, \(grouped(UInt64(counts.records))) records"]
    let types = counts.notExpressed.sorted { $0.key < $1.key }.map { type, count in
      "\(printable([type])) \(grouped(UInt64(count)))"
    }
    if !types.isEmpty { lines.append("DBN's schema mbo cannot say: " + types.joined(separator: ", ")) }
    let others = [
      (counts.notPrintable, "executions not to be printed, without a trade"),
      (counts.emptyCrosses, "crosses of no shares"),
      (counts.tooLarge, "crosses of too many shares for a record, left out"),
      (counts.unknownOrders, "messages for unknown orders, left out"),
      (counts.inconsistent, "contradictions between messages and orders"),
      (counts.malformed, "malformed messages, left out"),
      (counts.losses, "losses; all that follows has the flag F_MAYBE_BAD_BOOK"),
      (counts.longSequences, "sequence numbers cut to 32 bits"),
      (conflicts, "definitions that contradict an earlier one, left out of the metadata"),
    ]
    lines += others.filter { $0.0 > 0 }.map { "\(grouped(UInt64($0.0))) \($0.1)" }
    return lines
  }
}
