import BookBuilder
import OrderBook
import SetInspection
import StageRecords
import StageRuntime
import StreamDigest
import Tape
import TapeShadow

/// Everything that reading a whole tape tells.
struct TapeVerdict {
  var records: UInt64 = 0
  var messages: UInt64 = 0
  var gaps: UInt64 = 0
  var segments: UInt64 = 0
  var runs: UInt64 = 0
  var holes: [(place: TapePlace, hole: TapeHole)] = []
  var damage: [TapeDamage] = []
  var end: SegmentEnd?
  var nextSequence: UInt64 = 1
  var session: TapeSession = .none
  /// Digests of the newest run's events and books, and events; nil if not asked for or not known.
  var digests: (stream: UInt64, book: UInt64, events: UInt64)?

  var isWhole: Bool { damage.isEmpty && holes.isEmpty }

  var endText: String {
    switch end {
    case .sealed(let seal): "closed (\(TapeCommand.reason(seal)))"
    case .open: "open"
    case .torn(let bytes): "open, with \(bytes) bytes of a record that was not finished"
    case nil: "-"
    }
  }
}

extension TapeCommand {
  func verify(_ files: SystemTapeFiles) -> Int32 {
    let verdict: TapeVerdict
    do throws(TapeFileError) { verdict = try examine(files) } catch {
      say("\(error)")
      return ExitCode.cannotTell
    }
    if options.json {
      output.line(json(verdict, files))
    } else {
      for line in text(verdict, files) { output.line(line) }
    }
    let areRight = snapshots(files).allSatisfy { $0.problem == nil }
    return verdict.isWhole && areRight ? ExitCode.success : ExitCode.failure
  }

  private func examine(_ files: SystemTapeFiles) throws(TapeFileError) -> TapeVerdict {
    var verdict = TapeVerdict()
    var reader = try TapeReader(files: files, start: options.digest ? .newestRun : .oldest)
    var player = TapePlayer(channel: try channel(files))
    var segment: UInt64 = 0
    var run: UInt64 = 0
    while true {
      do throws(TapeDamage) {
        guard let record = try reader.next() else { break }
        verdict.records += 1
        if record.place.ordinal != segment {
          segment = record.place.ordinal
          verdict.segments += 1
          if let header = reader.header, header.run != run {
            run = header.run
            verdict.runs += 1
          }
        }
        switch record.kind {
        case MergedRecord.Kind.message: verdict.messages += 1
        case MergedRecord.Kind.gap: verdict.gaps += 1
        case TapeLayout.Kind.hole:
          if let hole = TapeHole(payload: record.payload) { verdict.holes.append((record.place, hole)) }
        default: break
        }
        if options.digest { player.take(record) }
      } catch {
        verdict.damage.append(error)
        // A file that cannot be read is not read again and again.
        if case .unreadable = error, verdict.damage.count > 1_000 { break }
      }
    }
    verdict.end = reader.lastEnd
    verdict.nextSequence = reader.nextSequence
    verdict.session = reader.session
    if options.digest, verdict.isWhole { verdict.digests = player.digests }
    return verdict
  }

  private func channel(_ files: SystemTapeFiles) throws(TapeFileError) -> UInt8 {
    try TapeIndex(files).segments.last { $0.header != nil }?.header?.channel ?? 0
  }

  private func text(_ verdict: TapeVerdict, _ files: SystemTapeFiles) -> [String] {
    var lines: [String] = []
    let state = !verdict.damage.isEmpty ? "DAMAGED" : verdict.holes.isEmpty ? "WHOLE" : "HOLES"
    var summary = "\(state)  \(files.directory): \(grouped(verdict.records)) records"
    summary += " (\(grouped(verdict.messages)) messages) in \(grouped(verdict.segments)) segments"
    if verdict.runs != 1 { summary += " of \(verdict.runs) runs" }
    lines.append(summary)
    lines.append(
      "ends behind sequence \(grouped(verdict.nextSequence &- 1)) of session \"\(printable(verdict.session.bytes))\": \(verdict.endText)"
    )
    if verdict.gaps > 0 { lines.append("\(grouped(verdict.gaps)) gaps that the stream itself declares") }
    for (place, hole) in verdict.holes { lines.append("hole     \(place): \(Self.text(hole))") }
    for damage in verdict.damage { lines.append("damage   \(damage)") }
    lines += Self.lines(snapshots(files))
    if let digests = verdict.digests {
      lines.append("streamDigest \(hexadecimal(digests.stream)) of \(grouped(digests.events)) events")
      lines.append("bookDigest   \(hexadecimal(digests.book))")
    } else if options.digest {
      lines.append("no digests: the tape does not hold one session from its beginning")
    }
    return lines
  }

  static func text(_ hole: TapeHole) -> String {
    let reason = HoleReason(rawValue: hole.reason)?.name ?? "unknown reason \(hole.reason)"
    let cells = "cells \(hole.cellsFrom) ..< \(hole.cellsTo) of the ring"
    switch hole.count {
    case nil: return "all from sequence \(hole.first) to the end of its session (\(reason); \(cells))"
    case 0?: return "no sequence number, but \(cells) (\(reason))"
    case let count?: return "\(grouped(count)) messages \(hole.first)...\(hole.last) (\(reason); \(cells))"
    }
  }

  private func json(_ verdict: TapeVerdict, _ files: SystemTapeFiles) -> String {
    JSONReport(schema: "tape.verify").text { json in
      json.field("directory", files.directory)
      json.field("whole", verdict.isWhole)
      json.field("records", verdict.records)
      json.field("messages", verdict.messages)
      json.field("gaps", verdict.gaps)
      json.field("segments", verdict.segments)
      json.field("runs", verdict.runs)
      json.field("nextSequence", verdict.nextSequence)
      json.field("session", printable(verdict.session.bytes))
      json.field("end", verdict.endText)
      json.array("holes") { json in
        for (place, hole) in verdict.holes {
          json.object { json in
            json.field("segment", place.ordinal)
            json.field("offset", place.offset)
            json.field("first", hole.first)
            json.field("last", hole.last)
            json.field("reason", HoleReason(rawValue: hole.reason)?.name ?? "unknown")
            json.field("cellsFrom", hole.cellsFrom)
            json.field("cellsTo", hole.cellsTo)
          }
        }
      }
      Self.write(snapshots(files), to: &json)
      json.array("damage") { json in
        for damage in verdict.damage { json.object { Self.write(damage, to: &$0) } }
      }
      if let digests = verdict.digests {
        json.field("streamDigest", hexadecimal(digests.stream))
        json.field("bookDigest", hexadecimal(digests.book))
        json.field("events", digests.events)
      }
    }
  }

  /// The fields of its object.
  static func write(_ damage: TapeDamage, to json: inout JSONText) {
    json.field("kind", damage.name)
    json.field("segment", damage.place.ordinal)
    json.field("offset", damage.place.offset)
    json.field("text", "\(damage)")
  }
}

/// Plays a tape into books, as bookd does under `on_error = "alarm"`.
struct TapePlayer: ~Copyable {
  private var book: ShadowBook
  private let digest = RunningDigest()
  private let keep: (borrowing EventBatch) -> Void

  /// Nil when the books cannot be followed to the tape's end: it begins in the midst of a session, or holds another one.
  var digests: (stream: UInt64, book: UInt64, events: UInt64)? {
    book.blindness == nil
      ? (digest.value.value, book.builder.books.contentDigest(), digest.value.eventCount) : nil
  }

  /// Capacities as in the shipped topology.
  init(channel: UInt8) {
    let capacity = BookCapacity(orders: 1 << 22, levels: 1 << 20, instruments: 8_192)
    book = ShadowBook(rules: BookRules(capacity: capacity, takesImages: true), channel: channel)
    keep = { [digest] events in events.forEach { digest.value.update(kind: $0, event: $1) } }
  }

  mutating func take(_ record: TapeRecord) { _ = book.take(record, events: keep) }

  private final class RunningDigest {
    var value = StreamDigest()
  }
}
