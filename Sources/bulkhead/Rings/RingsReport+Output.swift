import SetInspection
import ShmRing

extension RingsReport {
  private static let unknown = "n/a"

  /// Verdict, then a line a ring, a line a reader, a line a table. No cell is empty or holds a space, except the
  /// notes at a line's end.
  var lines: [String] {
    var lines = ["\(verdict.rawValue)  \(instance): \(reason)"]
    for refusal in refusals { lines.append("unreadable  \(refusal.file): \(refusal.reason)") }
    if !rings.isEmpty { lines += [""] + aligned(ringRows) }
    let readerRows = readerRows
    if readerRows.count > 1 { lines += [""] + aligned(readerRows) }
    if !tables.isEmpty { lines += [""] + aligned(tableRows) }
    return lines
  }

  private var ringRows: [[String]] {
    var rows = [
      [
        "RING", "WRITER", "PID", "STATE", "EPOCH", "CELLS", "SEGMENT", "RECORD", "PUBLISHED", "OLDEST",
        "FILL%",
        "RECORDS", "BATCHES", "RECORDS/S", "NOTE",
      ]
    ]
    for ring in rings {
      let words = ring.words
      let ahead = ring.visible &- words.published
      rows.append([
        ring.name, ring.writer ?? Self.unknown, ring.writerState == .never ? "-" : String(words.producerPid),
        ring.writerState.rawValue, String(words.epoch), String(words.cells),
        String(ring.identity.geometry.segmentCells), String(ring.identity.geometry.maximumRecordBytes),
        String(words.published), String(words.oldest), tenths(ring.fillPercent), String(words.records),
        String(words.batches), ring.rate.map { String(UInt64($0)) } ?? Self.unknown,
        // A living producer is just about to say so itself.
        ahead > 0 && ring.writerState == .dead ? "\(ahead) more cells are visible" : "",
      ])
    }
    return rows
  }

  private var readerRows: [[String]] {
    var rows = [
      [
        "RING", "READER", "PID", "STATE", "POSITION", "LAG", "LAG%", "HIGH-WATER", "LAPS", "LOST", "SLEEPS",
        "NOTE",
      ]
    ]
    for ring in rings {
      for reader in ring.readers {
        let isKnown = reader.state != .never
        var notes: [String] = []
        if isKnown, reader.lag == nil { notes.append("damaged page") }
        if let note = reader.level.note { notes.append(note) }
        if reader.isSlowest { notes.append("slowest") }
        rows.append([
          ring.name, reader.name, isKnown ? String(reader.words.readerPid) : "-", reader.state.rawValue,
          isKnown ? String(reader.words.position) : "-", reader.lag.map { String($0) } ?? Self.unknown,
          reader.percent.map { tenths($0) } ?? Self.unknown, String(reader.words.highWater),
          String(reader.words.laps),
          String(reader.words.lostCells), reader.words.isSleeping ? "yes" : "no",
          notes.joined(separator: ", "),
        ])
      }
    }
    return rows
  }

  private var tableRows: [[String]] {
    [["TABLE", "ENTRIES", "USED", "BUSY"]]
      + tables.map { [$0.name, String($0.entries), String($0.used), String($0.busy)] }
  }

  // MARK: JSON

  /// One sample of any number of sets: one object.
  static func json(_ reports: [RingsReport], realTime: UInt64) -> String {
    JSONReport(schema: "rings", time: realTime).text { text in
      text.array("sets") { text in for report in reports { report.write(to: &text) } }
    }
  }

  private func write(to json: inout JSONText) {
    json.object { json in
      json.field("instance", instance)
      if let configurationHash { json.field("configurationHash", configurationHash) }
      json.field("verdict", verdict.rawValue)
      json.field("reason", reason)
      json.field("alive", isAlive)
      json.array("rings") { json in for ring in rings { Self.write(ring, to: &json) } }
      json.array("tables") { json in
        for table in tables {
          json.object { json in
            json.field("name", table.name)
            json.field("entries", table.entries)
            json.field("usedEntries", table.used)
            json.field("busyEntries", table.busy)
          }
        }
      }
      json.array("unreadable") { json in
        for refusal in refusals {
          json.object { json in
            json.field("file", refusal.file)
            json.field("reason", refusal.reason)
          }
        }
      }
    }
  }

  private static func write(_ ring: Ring, to json: inout JSONText) {
    json.object { json in
      json.field("name", ring.name)
      json.field("kind", ring.identity.kind == .gatedStream ? "gated stream" : "overwriting stream")
      json.field("configurationHash", hexadecimal(ring.identity.configurationHash))
      json.object("writer") { json in
        json.optional("component", ring.writer)
        json.field("pid", Int(ring.words.producerPid))
        json.field("state", ring.writerState.rawValue)
        json.field("epoch", ring.words.epoch)
      }
      json.field("cells", ring.words.cells)
      json.field("segmentCells", ring.identity.geometry.segmentCells)
      json.field("recordBytesLimit", ring.identity.geometry.maximumRecordBytes)
      json.field("publishedPosition", ring.words.published)
      json.field("visiblePosition", ring.visible)
      json.field("claimedPosition", ring.words.claimed)
      json.field("oldestPosition", ring.words.oldest)
      json.field("retainedCells", ring.retained)
      json.field("fillPercent", ring.fillPercent)
      json.field("retentionCells", ring.words.retention)
      json.field("recordsPublished", ring.words.records)
      json.field("batchesPublished", ring.words.batches)
      if let rate = ring.rate { json.field("recordsPerSecond", rate) } else { json.null("recordsPerSecond") }
      json.optional("slowestReader", ring.readers.first { $0.isSlowest }?.name)
      json.array("readers") { json in for reader in ring.readers { write(reader, to: &json) } }
    }
  }

  private static func write(_ reader: Reader, to json: inout JSONText) {
    json.object { json in
      json.field("name", reader.name)
      json.field("pid", Int(reader.words.readerPid))
      json.field("state", reader.state.rawValue)
      json.field("position", reader.words.position)
      if let lag = reader.lag, let percent = reader.percent {
        json.field("lagCells", lag)
        json.field("lagPercentOfRetention", percent)
      } else {
        json.null("lagCells")
        json.null("lagPercentOfRetention")
      }
      json.field("highWaterLagCells", reader.words.highWater)
      json.field("laps", reader.words.laps)
      json.field("lostCells", reader.words.lostCells)
      json.field("sleeping", reader.words.isSleeping)
      json.optional("note", reader.level.note)
      json.field("slowest", reader.isSlowest)
    }
  }
}
