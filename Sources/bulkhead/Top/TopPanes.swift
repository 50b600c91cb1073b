import LatencyHistogram
import SetInspection
import ShmRing
import StageRecords
import StageRuntime
import Supervision

/// One table of `top`.
struct TopPane {
  enum Name: String, CaseIterable {
    case processes, rings, lines, gaps, clients, events
  }

  struct Column {
    let heading: String
    /// Columns of the lowest weight go first when the terminal is narrow; those of 9 stay.
    let weight: Int
    let isNumber: Bool

    init(_ heading: String, _ weight: Int, isNumber: Bool = false) {
      self.heading = heading
      self.weight = weight
      self.isNumber = isNumber
    }
  }

  struct Cell {
    let text: String
    /// What it is sorted by; nil: by its text.
    let value: Double?

    init(_ text: String, _ value: Double? = nil) {
      self.text = text
      self.value = value
    }
  }

  struct Row {
    let cells: [Cell]
    var tone: Presentation.Tone?
  }

  let columns: [Column]
  var rows: [Row]

  init(_ name: Name, _ now: SetReading, since earlier: SetReading, show: Presentation) {
    switch name {
    case .processes: (columns, rows) = Self.processes(now, earlier, show)
    case .rings: (columns, rows) = Self.rings(now, earlier, show)
    case .lines: (columns, rows) = Self.lines(now, show)
    case .gaps: (columns, rows) = Self.gaps(now, show)
    case .clients: (columns, rows) = Self.clients(now, earlier, show)
    case .events: (columns, rows) = Self.events(now, show)
    }
  }

  private static func number(_ value: UInt64, _ show: Presentation) -> Cell {
    Cell(show.count(value), Double(value))
  }

  private static func span(_ nanoseconds: UInt64, _ show: Presentation) -> Cell {
    Cell(show.span(nanoseconds).replacingSpaces, Double(nanoseconds))
  }

  /// "3(+1)": what it is, and what came since the last picture.
  private static func growing(_ now: UInt64, _ earlier: UInt64?, _ show: Presentation) -> Cell {
    let more = earlier.map { now > $0 ? now - $0 : 0 } ?? 0
    return Cell("\(show.count(now))(+\(show.count(more)))", Double(now))
  }

  private static func processes(
    _ now: SetReading, _ earlier: SetReading, _ show: Presentation
  ) -> ([Column], [Row]) {
    let columns = [
      Column("PROCESS", 9), Column("PID", 6, isNumber: true), Column("STATE", 9),
      Column("EPOCH", 5, isNumber: true), Column("UPTIME", 4, isNumber: true),
      Column("BEAT", 8, isNumber: true),
      Column("RESTARTS", 7, isNumber: true), Column("SEQUENCE", 6, isNumber: true),
      Column("BACKLOG", 2, isNumber: true), Column("P50", 3, isNumber: true),
      Column("P99", 3, isNumber: true),
      Column("P99.9", 1, isNumber: true), Column("MAX", 1, isNumber: true),
    ]
    let rows = now.components.map { component in
      let before = earlier.component(component.name)
      // Since the last picture, where there is one.
      let latency = before.map { component.latency.since($0.latency) } ?? component.latency
      func time(_ nanoseconds: UInt64) -> Cell {
        latency.count == 0 ? Cell("-", -1) : span(nanoseconds, show)
      }
      return Row(
        cells: [
          Cell(component.name), Cell(component.pid > 0 ? String(component.pid) : "-", Double(component.pid)),
          Cell(component.stateName), Cell(String(component.epoch), Double(component.epoch)),
          Cell(component.isAlive ? age(component.uptime) : "-", Double(component.uptime)),
          component.isAlive ? span(component.beatAge, show) : Cell("-", -1),
          growing(component.restarts, before?.restarts, show), number(component.appliedSequence, show),
          number(component.backlog, show), time(latency.value(at: 0.5)), time(latency.value(at: 0.99)),
          time(latency.value(at: 0.999)), time(latency.maximum),
        ],
        tone: !component.isAlive ? .bad : component.isReady ? nil : .warning)
    }
    return (columns, rows)
  }

  private static func rings(_ now: SetReading, _ earlier: SetReading, _ show: Presentation) -> (
    [Column], [Row]
  ) {
    let columns = [
      Column("RING", 9), Column("WRITER", 6), Column("RECORDS/S", 7, isNumber: true),
      Column("FILL%", 5, isNumber: true), Column("READER", 9), Column("STATE", 4),
      Column("LAG", 7, isNumber: true),
      Column("LAG%", 8, isNumber: true), Column("HIGH-WATER", 3, isNumber: true),
      Column("LAPS", 6, isNumber: true), Column("LOST", 2, isNumber: true), Column("NOTE", 1),
    ]
    var report = now.rings
    report.compare(with: earlier.rings)
    var rows: [Row] = []
    for ring in report.rings {
      let rate = ring.rate.map { Cell(short(UInt64(exactly: $0.rounded()) ?? 0), $0) } ?? Cell("-", -1)
      let head = [
        Cell(ring.name), Cell(ring.writer ?? "-"), rate, Cell(tenths(ring.fillPercent), ring.fillPercent),
      ]
      let before = earlier.rings.rings.first { $0.name == ring.name }
      for reader in ring.readers {
        let laps = before?.readers.first { $0.name == reader.name }?.words.laps
        rows.append(
          Row(
            cells: head + [
              Cell(reader.name), Cell(reader.state.rawValue),
              reader.lag.map { number($0, show) } ?? Cell("-", -1),
              reader.percent.map { Cell(tenths($0), $0) } ?? Cell("-", -1),
              number(reader.words.highWater, show), growing(reader.words.laps, laps, show),
              number(reader.words.lostCells, show),
              Cell(
                ([reader.level.note, reader.isSlowest ? "slowest" : nil].compactMap { $0 }).joined(
                  separator: ", ")),
            ],
            tone: reader.level >= .over95 ? .bad : reader.level > .ok ? .warning : nil))
      }
      if ring.readers.isEmpty {
        rows.append(Row(cells: head + Array(repeating: Cell("-", -1), count: columns.count - head.count)))
      }
    }
    return (columns, rows)
  }

  private static func lines(_ now: SetReading, _ show: Presentation) -> ([Column], [Row]) {
    let columns = [
      Column("LINE", 9), Column("STATE", 9), Column("PACKETS/S", 8, isNumber: true),
      Column("MESSAGES/S", 7, isNumber: true), Column("LAST", 6, isNumber: true),
      Column("LATER-P50", 4, isNumber: true), Column("LATER-P99", 4, isNumber: true),
      Column("MISSED", 5, isNumber: true), Column("ALONE", 3, isNumber: true),
      Column("HOLES", 3, isNumber: true),
      Column("DOWN", 5, isNumber: true), Column("DROPS", 6, isNumber: true),
      Column("DUPLICATES", 1, isNumber: true),
    ]
    let rows = (now.status?.lines ?? []).map { line in
      let drops = now.value("rxd@\(line.name)", ReceiverCounter.kernelDrops)
      return Row(
        cells: [
          Cell(line.name), Cell(line.isUp ? "UP" : "DOWN"), number(line.packetRate, show),
          number(line.messageRate, show),
          line.lastPacketAge.map { span($0, show) } ?? Cell("never", .infinity),
          span(line.lagMedian, show), span(line.lagHigh, show), number(line.missed, show),
          number(line.missedAlone, show), number(line.holes, show), number(line.downs, show),
          number(drops, show),
          number(line.duplicateMessages, show),
        ], tone: line.isUp ? drops > 0 ? .warning : nil : .bad)
    }
    return (columns, rows)
  }

  private static func gaps(_ now: SetReading, _ show: Presentation) -> ([Column], [Row]) {
    let columns = [
      Column("STATE", 9), Column("FIRST", 9, isNumber: true), Column("LAST", 6, isNumber: true),
      Column("MESSAGES", 8, isNumber: true), Column("DETECTED", 5), Column("LASTED", 7, isNumber: true),
      Column("RUNG", 3), Column("REQUESTS", 4, isNumber: true), Column("HOW", 2),
    ]
    guard let set = SetDirectory(instance: now.instance, path: now.directory) else { return (columns, []) }
    let report = GapsReport(set, openOnly: false)
    // The newest first: what is open, then what has ended.
    let rows = (report.open + report.finished.reversed()).map { gap in
      Row(
        cells: [
          Cell(gap.isOpen ? "open" : gap.isLost ? "LOST" : "filled"), number(gap.first, show),
          number(gap.last, show),
          number(gap.count, show),
          Cell(show.time(gap.detectedAt &+ report.clockOffset, decimals: 3), Double(gap.detectedAt)),
          span(report.age(gap), show), Cell(gap.rungName), number(gap.requests, show), Cell(gap.outcomeName),
        ], tone: gap.isOpen ? .warning : gap.isLost ? .bad : nil)
    }
    return (columns, rows)
  }

  private static func clients(_ now: SetReading, _ earlier: SetReading, _ show: Presentation) -> (
    [Column], [Row]
  ) {
    let columns = [
      Column("WHAT", 9), Column("COUNT", 9, isNumber: true), Column("PER-SECOND", 5, isNumber: true),
      Column("STATE", 6), Column("QUIET", 4, isNumber: true), Column("ROOM", 2, isNumber: true),
    ]
    guard let publisher = now.component("pubd") else { return (columns, []) }
    let seconds = max(
      1e-9, Double(now.monotonic > earlier.monotonic ? now.monotonic - earlier.monotonic : 1) / 1e9)
    let counts: [(String, PublishCounter, Bool)] = [
      ("clients connected", .clients, false), ("clients accepted", .clientsAccepted, true),
      ("clients refused", .clientsRefused, true), ("clients evicted", .clientsEvicted, true),
      ("snapshots served", .snapshotsServed, true), ("frames sent", .framesSent, true),
      ("bytes sent", .bytesSent, true), ("events read", .eventsRead, true), ("port", .port, false),
    ]
    var rows = counts.map { name, counter, isTotal in
      let value = publisher.value(counter)
      let before = earlier.value("pubd", counter)
      let rate = Double(value > before ? value - before : 0) / seconds
      return Row(
        cells: [
          Cell(name), counter == .port ? Cell(String(value), Double(value)) : number(value, show),
          isTotal ? Cell(short(UInt64(exactly: rate.rounded()) ?? 0), rate) : Cell("-", -1),
          Cell("-"), Cell("-", -1), Cell("-", -1),
        ], tone: counter == .clientsEvicted && value > before ? .warning : nil)
    }
    // Then the clients, those for whom most waits first.
    for client in now.clients.sorted(by: { $0.waitingBytes > $1.waitingBytes }) {
      let quiet = now.monotonic > client.lastTaken ? now.monotonic - client.lastTaken : 0
      rows.append(
        Row(
          cells: [
            Cell("\(client.addressText):\(client.port) waits for"), number(client.waitingBytes, show),
            Cell("-", -1),
            Cell(client.state.name), Cell(age(quiet), Double(quiet)), number(client.capacityBytes, show),
          ], tone: client.state == .slow || client.state == .closing ? .warning : nil))
    }
    return (columns, rows)
  }

  private static func events(_ now: SetReading, _ show: Presentation) -> ([Column], [Row]) {
    let columns = [
      Column("TIME", 7), Column("COMPONENT", 9), Column("EVENT", 9), Column("PID", 3, isNumber: true),
      Column("EPOCH", 2, isNumber: true), Column("PARTICULARS", 5),
    ]
    guard var reader = try? StatusReader(directory: now.directory) else { return (columns, []) }
    var rows: [Row] = []
    while let found = reader.next() {
      guard case .record(let record) = found else { continue }
      let time = StatusReader.timeOfDay(record.instant)
      let tone: Presentation.Tone? =
        switch record.event {
        case .died, .leftDown, .fenced: .bad
        case .alarm, .action, .dying: .warning
        default: nil
        }
      rows.append(
        Row(
          cells: [
            Cell(show.time(time, decimals: 3), Double(time)), Cell(record.component), Cell(record.event.name),
            Cell(record.pid != 0 ? String(record.pid) : "-", Double(record.pid)),
            Cell(record.epoch != 0 ? String(record.epoch) : "-", Double(record.epoch)),
            Cell(String(record.particulars.drop { $0 == ":" || $0 == " " })),
          ], tone: tone))
    }
    return (columns, rows.reversed())
  }
}
