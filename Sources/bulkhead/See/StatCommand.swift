import CLinux
import Glibc
import LatencyHistogram
import SetInspection
import ShmRing
import StageRuntime

extension Command {
  static let stat = Command(
    name: "stat", group: .see, summary: "print a line of rates and latencies every second",
    description: [
      "RX, MERGED, BOOK, PUB: packets received, messages merged, book events, frames sent, each a second. P50, P99, P99.9: "
        + "from the receive stamp to bookd's output, of the interval. GAPS: found in the interval; OPEN: open now. "
        + "RING%: the lag of the slowest reader, of the retention. DROPS: datagrams dropped by the kernel, EVICTED: "
        + "clients thrown out, in the interval.",
      "One set: the one that runs, or --name. Of a dead one with --from one line: the average over its life.",
    ],
    options: Option.ofSets + [
      Option("--interval", .seconds("SECONDS", 0.01...3_600), "time between two lines (1)"),
      Option("--count", .number("N", 1...1_000_000_000), "end after N lines"),
      Option("--no-headers", "no lines of headings"),
    ] + Option.ofTimes,
    exitCodes: [
      .init(ExitCode.success, "ended as asked"),
      .init(ExitCode.notRunning, "there is no such set, or it stopped"),
      .usage,
    ],
    examples: [
      .init("stat", "how much, how fast, every second"),
      .init("stat --interval 10 --count 6 --json", "a minute, one object every ten seconds"),
    ]
  ) { arguments in
    StatCommand(
      options: SetOptions(arguments), interval: arguments.nanoseconds("--interval") ?? 1_000_000_000,
      count: arguments.number("--count"), hasHeadings: !arguments.has("--no-headers"),
      show: arguments.presentation, output: .standard(), isKept: arguments.isKept
    ).run()
  }
}

/// What happened in a set between two samples.
struct SetRates {
  /// Each a second.
  let packets: UInt64
  let merged: UInt64
  let events: UInt64
  let frames: UInt64
  /// From the receive stamp to bookd's output.
  let latency: HistogramSample?
  let gapsFound: UInt64
  let gapsOpen: UInt64
  let highestLag: Double
  let kernelDrops: UInt64
  let clients: UInt64
  let evicted: UInt64

  init(_ now: SetReading, since earlier: SetReading) {
    let nanoseconds = max(1, now.monotonic > earlier.monotonic ? now.monotonic - earlier.monotonic : 1)
    func more<Counter: StageCounter>(_ names: [String], _ counter: Counter) -> UInt64 {
      names.reduce(0) { sum, name in
        let (after, before) = (now.value(name, counter), earlier.value(name, counter))
        return sum &+ (after > before ? after - before : 0)
      }
    }
    func rate(_ amount: UInt64) -> UInt64 {
      UInt64(exactly: (Double(amount) * 1e9 / Double(nanoseconds)).rounded()) ?? 0
    }
    let receivers = now.stages.map(\.name).filter { $0.hasPrefix("rxd") }
    packets = rate(more(receivers, ReceiverCounter.packets))
    merged = rate(more(["merged"], MergeCounter.messagesPublished))
    events = rate(more(["bookd"], BookCounter.eventsPublished))
    frames = rate(more(["pubd"], PublishCounter.framesSent))
    latency = now.component("bookd").map { book in
      earlier.component("bookd").map { book.latency.since($0.latency) } ?? book.latency
    }
    gapsFound = more(["merged"], MergeCounter.gapsDetected)
    gapsOpen = now.value("merged", MergeCounter.gapsOpen)
    highestLag = now.highestLag
    kernelDrops = more(receivers, ReceiverCounter.kernelDrops)
    clients = now.value("pubd", PublishCounter.clients)
    evicted = more(["pubd"], PublishCounter.clientsEvicted)
  }
}

struct StatCommand {
  static let headings = [
    "TIME", "RX/S", "MERGED/S", "BOOK/S", "PUB/S", "P50", "P99", "P99.9", "GAPS", "OPEN", "RING%", "DROPS",
    "CLIENTS", "EVICTED",
  ]
  private static let widths = [12, 10, 10, 10, 10, 9, 9, 9, 6, 6, 6, 7, 8, 8]
  private static let linesAPage: UInt64 = 20

  let options: SetOptions
  let interval: UInt64
  let count: UInt64?
  let hasHeadings: Bool
  let show: Presentation
  let output: LineOutput
  /// What is looked at was kept: of a set that is dead a line is shown, about its whole life.
  var isKept = false

  func run() -> Int32 {
    let set: SetDirectory
    switch options.onlySet() {
    case .failure(let failure):
      narrate("bulkhead stat: \(failure.line)")
      return failure.code
    case .success(let found): set = found
    }
    var earlier = SetReading(set)
    if isKept, !earlier.isAlive { return showLife(of: earlier) }
    guard earlier.isAlive else {
      narrate("bulkhead stat: no process of \"\(set.instance)\" runs")
      return ExitCode.notRunning
    }
    bulkhead_install_stop_handler()
    var printed: UInt64 = 0
    while output.isOpen, count.map({ printed < $0 }) ?? true {
      pause(nanoseconds: interval)
      if bulkhead_stop_requested() { break }
      guard let again = SetDirectory(instance: set.instance, path: set.path) else {
        narrate("bulkhead stat: \"\(set.instance)\" has gone")
        return ExitCode.notRunning
      }
      let now = SetReading(again)
      let rates = SetRates(now, since: earlier)
      if options.json {
        output.line(JSONReport(schema: "stat", time: now.realTime, of: now).text { write(rates, to: &$0) })
      } else {
        if hasHeadings, printed % Self.linesAPage == 0 { output.line(Self.line(Self.headings)) }
        output.line(Self.line(cells(rates, at: now.realTime)))
      }
      output.flush()
      printed += 1
      guard now.isAlive else {
        narrate("bulkhead stat: no process of \"\(set.instance)\" runs any longer")
        return ExitCode.notRunning
      }
      earlier = now
    }
    return ExitCode.success
  }

  private func showLife(of set: SetReading) -> Int32 {
    let (before, end) = set.life
    let rates = SetRates(end, since: before)
    if options.json {
      output.line(JSONReport(schema: "stat", time: end.realTime, of: end).text { write(rates, to: &$0) })
    } else {
      if hasHeadings { output.line(Self.line(Self.headings)) }
      output.line(Self.line(cells(rates, at: end.realTime)))
    }
    output.flush()
    return ExitCode.success
  }

  /// To the right of each column, so that digits stand below digits.
  static func line(_ cells: [String]) -> String {
    var line = ""
    for (cell, width) in zip(cells, widths) {
      line += String(repeating: " ", count: max(line.isEmpty ? 0 : 1, width - cell.count)) + cell
    }
    return line
  }

  func cells(_ rates: SetRates, at time: UInt64) -> [String] {
    func scaled(_ value: UInt64) -> String { show.isRaw ? String(value) : short(value) }
    let times = [0.5, 0.99, 0.999].map { quantile -> String in
      guard let latency = rates.latency, latency.count > 0 else { return "-" }
      return show.span(latency.value(at: quantile)).replacingSpaces
    }
    return [show.time(time, decimals: 3)]
      + [rates.packets, rates.merged, rates.events, rates.frames].map(scaled) + times + [
        scaled(rates.gapsFound), scaled(rates.gapsOpen), tenths(rates.highestLag), scaled(rates.kernelDrops),
        scaled(rates.clients), scaled(rates.evicted),
      ]
  }

  private func write(_ rates: SetRates, to json: inout JSONText) {
    json.field("packetsPerSecond", rates.packets)
    json.field("mergedPerSecond", rates.merged)
    json.field("eventsPerSecond", rates.events)
    json.field("framesPerSecond", rates.frames)
    if let latency = rates.latency, latency.count > 0 {
      json.object("bookLatency") { json in
        json.field("samples", latency.count)
        json.field("p50Nanoseconds", latency.value(at: 0.5))
        json.field("p99Nanoseconds", latency.value(at: 0.99))
        json.field("p999Nanoseconds", latency.value(at: 0.999))
        json.field("maximumNanoseconds", latency.maximum)
      }
    }
    json.field("gapsFound", rates.gapsFound)
    json.field("gapsOpen", rates.gapsOpen)
    json.field("highestLagPercent", rates.highestLag)
    json.field("kernelDrops", rates.kernelDrops)
    json.field("clients", rates.clients)
    json.field("evicted", rates.evicted)
  }
}

/// "212.4k", "9.9M": at most six characters.
func short(_ value: UInt64) -> String {
  for (unit, letter) in [(UInt64(1_000_000_000), "G"), (1_000_000, "M"), (10_000, "k")] where value >= unit {
    let divisor = unit == 10_000 ? 1_000 : unit
    return tenths(Double(value) / Double(divisor)) + letter
  }
  return String(value)
}
