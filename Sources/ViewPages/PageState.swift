import SetInspection
import ShmRing
import StageRecords
import StageRuntime

/// What the operator's page is shown: samples in, JSON out. One object a frame; docs/VIEW.md has its fields.
public struct PageState {
  /// What one page has been sent already.
  public struct Place: Sendable {
    fileprivate var event: UInt64 = 0
    fileprivate var gap: UInt64 = 0
    fileprivate var slow: UInt64 = 0
    public init() {}
  }

  /// How pubd is spoken to; its port is among the counts.
  public struct Publisher: Sendable {
    public var isSecure: Bool
    public var asksForToken: Bool

    public init(isSecure: Bool = false, asksForToken: Bool = false) {
      self.isSecure = isSecure
      self.asksForToken = asksForToken
    }
  }

  private struct Item {
    let number: UInt64
    let json: String
  }

  /// Events and gaps that a page gets when it opens.
  public static let retainedItems = 200
  /// The most of each that goes into one later frame: of what is more than that, the newest.
  static let itemsPerFrame = 40
  private static let slowNanoseconds: UInt64 = 1_000_000_000
  /// Rows of the heat map: up to 1 µs, then a power of two each, up to 8.6 s and beyond.
  static let heatPowers = 10...34
  /// Latencies are those of the last ten seconds.
  private static let latencyWindow = 10

  private let version: String
  private let host: String
  private let publisher: Publisher
  private var events: [Item] = []
  private var eventNumber: UInt64 = 0
  private var gaps: [Item] = []
  private var verdict: SetStatus.Verdict?
  private var verdictSince: UInt64 = 0
  private var core = ""
  private var slow = ""
  private var slowNumber: UInt64 = 0
  private var slowInstant: UInt64 = 0
  private var earlier: SetSample?
  private var history: [SetSample] = []
  private var ringRates: [String: Double] = [:]
  private var sequenceRates: [String: Double] = [:]
  private var processorShares: [String: Double] = [:]

  public init(version: String, host: String, publisher: Publisher = Publisher()) {
    self.version = version
    self.host = host
    self.publisher = publisher
  }

  /// What the host says of its clock; nil when it does not.
  public var clock: SetMetrics.Clock?

  /// Frames so far.
  public private(set) var number: UInt64 = 0

  // MARK: In

  /// One record of the status ring, in its order.
  public mutating func take(_ record: SupervisionRecord, timeOfDay: UInt64) {
    eventNumber &+= 1
    var json = JSONText()
    json.object { json in
      json.field("id", eventNumber)
      json.field("time", timeOfDay / 1_000_000)
      json.field("component", record.component)
      json.field("event", record.event.name)
      json.field("pid", Int(record.pid))
      json.field("epoch", record.epoch)
      json.field("text", String(record.particulars.drop { $0 == ":" || $0 == " " }))
    }
    events.append(Item(number: eventNumber, json: json.text))
    if events.count > Self.retainedItems { events.removeFirst(events.count - Self.retainedItems) }
  }

  /// The set as it is now.
  public mutating func take(_ sample: SetSample) {
    number &+= 1
    if sample.status.verdict != verdict {
      verdict = sample.status.verdict
      verdictSince = sample.time
    }
    takeGaps(sample)
    if sample.instant &- slowInstant >= Self.slowNanoseconds || slowNumber == 0 {
      compare(sample)
      slowInstant = sample.instant
      slowNumber &+= 1
      slow = slowText(sample)
    }
    core = coreText(sample)
  }

  private mutating func takeGaps(_ sample: SetSample) {
    let newest = gaps.last?.number ?? 0
    for gap in sample.gaps.finished.suffix(Self.retainedItems) where gap.number > newest {
      var json = JSONText()
      json.object { json in Self.write(gap, of: sample.gaps, to: &json) }
      gaps.append(Item(number: gap.number, json: json.text))
    }
    if gaps.count > Self.retainedItems { gaps.removeFirst(gaps.count - Self.retainedItems) }
  }

  /// What only two samples can tell.
  private mutating func compare(_ sample: SetSample) {
    defer { earlier = sample }
    history.append(sample)
    if history.count > Self.latencyWindow + 1 { history.removeFirst() }
    guard let earlier, sample.instant > earlier.instant else { return }
    let seconds = Double(sample.instant &- earlier.instant) / 1e9
    func rate(_ now: UInt64, _ before: UInt64) -> Double {
      now >= before ? Double(now - before) / seconds : 0
    }
    for ring in sample.rings.rings {
      guard let before = earlier.rings.rings.first(where: { $0.name == ring.name }) else { continue }
      ringRates[ring.name] = rate(ring.words.records, before.words.records)
    }
    for process in sample.processes {
      guard let before = earlier.processes.first(where: { $0.name == process.name }) else { continue }
      sequenceRates[process.name] = rate(process.appliedSequence, before.appliedSequence)
      guard let now = process.figures, let then = before.figures, process.pid == before.pid else {
        processorShares[process.name] = nil
        continue
      }
      let ticks = rate(now.userTicks &+ now.systemTicks, then.userTicks &+ then.systemTicks)
      processorShares[process.name] = ticks * 100 / Double(clockTicksPerSecond)
    }
  }

  // MARK: Out

  /// The next frame of a page, and what it has been sent then.
  public func frame(after place: inout Place) -> String {
    var text = core
    text.removeLast()
    let isFirst = place.slow == 0
    if place.slow != slowNumber { text += "," + slow }
    text += list("events", events, after: place.event, isFirst: isFirst)
    text += list("ended", gaps, after: place.gap, isFirst: isFirst)
    place.slow = slowNumber
    place.event = events.last?.number ?? place.event
    place.gap = gaps.last?.number ?? place.gap
    return text + "}"
  }

  private func list(_ key: String, _ items: [Item], after number: UInt64, isFirst: Bool) -> String {
    let news = items.reversed().prefix { $0.number > number }
      .prefix(isFirst ? Self.retainedItems : Self.itemsPerFrame).reversed()
    if news.isEmpty, !isFirst { return "" }
    return ",\"\(key)\":[" + news.map(\.json).joined(separator: ",") + "]"
  }

  private func coreText(_ sample: SetSample) -> String {
    var json = JSONText()
    json.object { json in
      json.field("schema", "bulkhead.view")
      json.field("version", 1)
      json.field("frame", number)
      json.field("time", sample.time / 1_000_000)
      json.field("instance", sample.instance)
      json.field("verdict", sample.status.verdict.rawValue)
      json.field("reason", sample.status.reason)
      json.field("since", verdictSince / 1_000_000)
      json.field("publishScheme", publisher.isSecure ? "wss" : "ws")
      json.field("publishToken", publisher.asksForToken)
      json.field("trustworthy", sample.isTrustworthy)
      if let epoch = sample.streamEpoch { json.field("epoch", UInt64(epoch)) }
      // How long ago anything came from the venue, on whichever line.
      if let age = sample.status.lines.compactMap(\.lastPacketAge).min() { json.field("dataAge", age) }
      json.field("trust", sample.status.trust?.record?.state.name ?? "unknown")
      json.array("processes") { json in for process in sample.processes { write(process, to: &json) } }
      json.array("rings") { json in for ring in sample.rings.rings { write(ring, to: &json) } }
      json.array("lines") { json in
        for line in sample.status.lines { Self.write(line, sample, to: &json) }
      }
      json.array("open") { json in
        for gap in sample.gaps.open.prefix(Self.itemsPerFrame) {
          json.object { json in Self.write(gap, of: sample.gaps, to: &json) }
        }
      }
      json.object("counts") { json in
        for (key, value) in sample.status.counts { json.field(key, value) }
        json.field("gapsOpenNow", UInt64(sample.gaps.open.count) &+ sample.gaps.openBeyondTable)
        json.field("gapsEnded", sample.gaps.finishedCount)
        for (tally, value) in sample.gaps.tallies where !tally.isState {
          if let name = tally.name { json.field(name, value) }
        }
      }
    }
    return json.text
  }

  private func write(_ process: SetSample.Process, to json: inout JSONText) {
    json.object { json in
      json.field("name", process.name)
      json.field("pid", Int(process.pid))
      json.field("alive", process.isAlive)
      json.field("state", process.state.name)
      json.field("epoch", process.epoch)
      json.field("beat", process.beatAge)
      json.field("restarts", process.restarts)
      json.field("sequence", process.appliedSequence)
      json.field("rate", sequenceRates[process.name] ?? 0)
      json.field("started", process.startTime / 1_000_000)
      if let share = processorShares[process.name] { json.field("busy", share) }
      if let figures = process.figures {
        json.field("core", figures.processor)
        json.field("involuntary", figures.involuntarySwitches)
        json.field("majorFaults", figures.majorFaults)
      }
    }
  }

  private func write(_ ring: RingsReport.Ring, to json: inout JSONText) {
    json.object { json in
      json.field("name", ring.name)
      json.optional("writer", ring.writer)
      json.field("cells", ring.words.cells)
      json.field("fill", ring.fillPercent)
      json.field("records", ring.words.records)
      json.field("rate", ringRates[ring.name] ?? 0)
      json.array("readers") { json in
        for reader in ring.readers where reader.state != .never {
          json.object { json in
            json.field("name", reader.name)
            json.field("alive", reader.state == .alive || reader.state == .unverified)
            if let lag = reader.lag, let percent = reader.percent {
              json.field("lag", lag)
              json.field("percent", percent)
            }
            json.field("highWater", Double(reader.words.highWater) * 100 / Double(max(1, ring.words.cells)))
            json.field("laps", reader.words.laps)
            json.optional("note", reader.level.note)
          }
        }
      }
    }
  }

  private static func write(_ line: LineStatus, _ sample: SetSample, to json: inout JSONText) {
    json.object { json in
      json.field("name", line.name)
      json.field("up", line.isUp)
      json.field("packets", line.packetRate)
      json.field("messages", line.messageRate)
      if let age = line.lastPacketAge { json.field("age", age) }
      json.field("laterMedian", line.lagMedian)
      json.field("laterHigh", line.lagHigh)
      json.field("duplicates", line.duplicateMessages)
      json.field("missed", line.missed)
      json.field("missedAlone", line.missedAlone)
      json.field("holes", line.holes)
      json.field("downs", line.downs)
      json.field("kernelDrops", sample.view.value("rxd@\(line.name)", ReceiverCounter.kernelDrops))
      json.field("bytes", sample.view.value("rxd@\(line.name)", ReceiverCounter.bytes))
    }
  }

  private static func write(_ gap: GapRecord, of report: GapsReport, to json: inout JSONText) {
    if !gap.isOpen { json.field("number", gap.number) }
    json.field("first", gap.first)
    json.field("count", gap.count)
    json.field("detected", (gap.detectedAt &+ report.clockOffset) / 1_000_000)
    json.field("took", report.age(gap))
    json.field("rung", gap.rungName)
    json.field("state", gap.isOpen ? "open" : gap.isLost ? "lost" : "filled")
    json.field("outcome", gap.outcomeName)
    json.field("requests", gap.requests)
  }

  /// What changes slowly, once a second: members of an object, without its braces.
  private func slowText(_ sample: SetSample) -> String {
    var json = JSONText()
    json.object { json in
      json.field("program", version)
      json.field("host", host)
      json.field("configuration", hexadecimal(sample.configurationHash))
      if let clock {
        json.object("clock") { json in
          json.field("synchronized", clock.isSynchronized)
          json.field("error", clock.maximumError)
        }
      }
      json.array("latency") { json in
        for (stage, counts) in sample.latencies {
          let before = history.first?.latencies.first { $0.stage == stage }?.counts
          let isWindow = history.count > 1
          let recent = isWindow ? before.map { counts.since($0) } ?? counts : counts
          let values = recent.values(at: [0.5, 0.9, 0.99, 0.999])
          let whole = counts.values(at: [0.5, 0.99])
          json.object { json in
            json.field("stage", stage)
            json.field("count", recent.count)
            json.field("p50", values[0])
            json.field("p90", values[1])
            json.field("p99", values[2])
            json.field("p999", values[3])
            json.field("max", recent.maximum)
            json.field("wholeCount", counts.count)
            json.field("wholeP50", whole[0])
            json.field("wholeP99", whole[1])
            json.field("wholeMax", counts.maximum)
            // Of the last second, by powers of two: a column of the page's heat map.
            if let last = history.dropLast().last?.latencies.first(where: { $0.stage == stage })?.counts {
              let column = counts.since(last).powers(Self.heatPowers).map { String($0) }
              json.raw("heat", "[" + column.joined(separator: ",") + "]")
            }
          }
        }
      }
      json.array("cores") { json in
        let then = history.dropLast().last?.processors ?? []
        for core in sample.processors {
          guard let before = then.first(where: { $0.number == core.number }),
            core.totalTicks > before.totalTicks
          else { continue }
          let total = Double(core.totalTicks &- before.totalTicks)
          json.object { json in
            json.field("core", core.number)
            json.field("busy", Double(core.busyTicks &- min(core.busyTicks, before.busyTicks)) * 100 / total)
            json.field(
              "stolen", Double(core.stolenTicks &- min(core.stolenTicks, before.stolenTicks)) * 100 / total)
          }
        }
      }
      json.array("clients") { json in
        for client in Self.slowestFirst(sample.clients, sample.instant) {
          Self.write(client, sample, to: &json)
        }
      }
    }
    return String(json.text.dropFirst().dropLast())
  }

  /// Clients that a page is shown at most.
  static let clientsShown = 50

  /// By how long something has waited for them, then by how much.
  static func slowestFirst(_ clients: [ClientTable.Value], _ instant: UInt64) -> [ClientTable.Value] {
    func waits(_ client: ClientTable.Value) -> UInt64 {
      client.waitingBytes > 0 && instant > client.lastTaken ? instant - client.lastTaken : 0
    }
    return Array(
      clients.enumerated().sorted {
        (waits($0.element), $0.element.waitingBytes, $1.offset) > (
          waits($1.element), $1.element.waitingBytes, $0.offset
        )
      }.map(\.element).prefix(clientsShown))
  }

  private static func write(_ client: ClientTable.Value, _ sample: SetSample, to json: inout JSONText) {
    let address = (0..<4).map { String(client.address >> (24 - UInt32($0) * 8) & 255) }.joined(separator: ".")
    json.object { json in
      json.field("address", client.address == 0 ? "local" : "\(address):\(client.port)")
      json.field("state", client.state.name)
      json.field("since", (sample.time &- sample.instant &+ client.since) / 1_000_000)
      json.field("waiting", client.waitingBytes)
      json.field("capacity", client.capacityBytes)
      json.field("sent", client.sentBytes)
      json.field("subscriptions", client.subscriptions)
    }
  }
}
