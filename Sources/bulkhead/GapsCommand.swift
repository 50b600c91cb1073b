import CLinux
import Glibc
import ShmRing
import StageRecords
import StageRuntime

/// What `bulkhead gaps` was asked for.
struct GapsOptions: Equatable {
  var set = SetOptions()
  var openOnly = false
  var show = Presentation()

  init(_ arguments: CommandArguments) {
    set = SetOptions(arguments)
    openOnly = arguments.has("--open")
    show = arguments.presentation
  }

  static func parse(_ arguments: [String]) throws(ToolUsageError) -> GapsOptions {
    GapsOptions(try CommandArguments(arguments, of: .gaps))
  }
}

extension Command {
  static let gaps = Command(
    name: "gaps", group: .see, summary: "show what was missing, who brought it, and what is lost",
    description: [
      "The missing ranges that merged has seen: what is open now, then the last 1,024 that have ended, oldest first; and "
        + "messages about which the lines disagreed. Reads the set's files only; works on a dead set too.",
      "DETECTED is the time of the day; LAST the last request after it. RUNG is where a range is on the ladder, or what "
        + "ended it; SINCE is how long it is open, TOOK how long it was. A range that is filled in pieces has a line "
        + "for each.",
    ],
    options: Option.ofSets + [Option("--open", "only what is open")] + Option.ofTimes,
    exitCodes: [
      .init(ExitCode.success, "nothing is open or lost"), .init(ExitCode.failure, "something is"),
      .notRunning,
      .init(ExitCode.cannotTell, "the file cannot be read"), .usage,
    ],
    examples: [
      .init("gaps", "everything that was missing"),
      .init("gaps --open --json", "what is missing now, for a program"),
    ]
  ) { arguments in GapsCommand(options: GapsOptions(arguments), output: .standard()).run() }
}

/// The running command.
struct GapsCommand {
  let options: GapsOptions
  let output: LineOutput
  var say: (String) -> Void = narrate

  func run() -> Int32 {
    let sets = SetDirectory.discover(runDirectory: options.set.runDirectory, name: options.set.name)
    let reports = sets.map { GapsReport($0, openOnly: options.openOnly, show: options.show) }
    if options.set.json {
      var json = JSONText()
      json.object { json in
        json.field("schema", "bulkhead.gaps")
        json.field("version", 1)
        json.array("sets") { json in for report in reports { report.write(to: &json) } }
      }
      output.line(json.text)
    } else {
      for (index, report) in reports.enumerated() {
        if index > 0 { output.line("") }
        for line in report.lines { output.line(line) }
      }
    }
    output.flush()
    guard !reports.isEmpty else {
      let directory = options.set.runDirectory
      say(options.set.name.map { "no set \"\($0)\" in \(directory)" } ?? "no set in \(directory)")
      return ExitCode.notRunning
    }
    return reports.map(\.exitCode).max() ?? ExitCode.success
  }
}

/// The missing ranges of one set.
struct GapsReport {
  let instance: String
  /// Why the file cannot be read; nil if it can.
  private(set) var problem: String?
  private(set) var mergedIsAlive = false
  private(set) var open: [GapRecord] = []
  private(set) var openBeyondTable: UInt64 = 0
  private(set) var finished: [GapRecord] = []
  private(set) var finishedCount: UInt64 = 0
  private(set) var disagreements: [DisagreementEntry] = []
  private(set) var disagreementCount: UInt64 = 0
  /// Totals since the set was made, states and instants.
  private(set) var tallies: [(tally: RecoveryTally, value: UInt64)] = []
  private var clockOffset: UInt64 = 0
  /// Until when open ranges are counted: now, or when a merged that is dead last wrote.
  private var now: UInt64 = 0
  private let openOnly: Bool
  private let show: Presentation

  init(_ set: SetDirectory, openOnly: Bool, show: Presentation = Presentation()) {
    instance = set.instance
    self.openOnly = openOnly
    self.show = show
    do {
      let page = try RecoveryPage.attach(directory: set.path, access: .readOnly)
      mergedIsAlive = set.components().contains { $0.name == "merged" && $0.isAlive }
      now = mergedIsAlive ? bulkhead_monotonic_nanoseconds() : page.writtenAt
      clockOffset = page.clockOffset
      if let gaps = page.openGaps() { open = gaps } else { problem = "the open ranges are never at rest" }
      openBeyondTable = page.openBeyondTable
      finished = page.finishedGaps()
      finishedCount = page.finishedCount
      disagreements = page.disagreements()
      disagreementCount = page.disagreementCount
      for tally in RecoveryTally.allCases { tallies.append((tally, page.tally(tally))) }
    } catch {
      problem = "\(error)"
    }
  }

  var lost: [GapRecord] { finished.filter(\.isLost) }

  var exitCode: Int32 {
    if problem != nil { return ExitCode.cannotTell }
    return open.isEmpty && lost.isEmpty && disagreementCount == 0 ? ExitCode.success : ExitCode.failure
  }

  private var verdict: String {
    if let problem { return "UNKNOWN  \(instance): \(problem)" }
    var parts: [String] = []
    if !open.isEmpty || openBeyondTable > 0 { parts.append("\(UInt64(open.count) &+ openBeyondTable) open") }
    if !lost.isEmpty { parts.append("\(lost.count) lost") }
    if disagreementCount > 0 { parts.append("\(show.count(disagreementCount)) disagreements") }
    let state = parts.isEmpty ? "OK" : open.isEmpty ? "LOST" : "OPEN"
    let summary = parts.isEmpty ? "nothing is missing" : parts.joined(separator: ", ")
    return "\(lost.isEmpty && open.isEmpty && !parts.isEmpty ? "DISAGREE" : state)  \(instance): \(summary)"
      + "; \(show.count(finishedCount)) ranges have ended\(mergedIsAlive ? "" : "; merged does not run")"
  }

  var lines: [String] {
    var lines = [show.verdict(verdict)]
    if problem != nil { return lines }
    let widths = [24, 12, 14, 16, 10, 12]
    func row(_ fields: [String], _ rest: String) -> String {
      var text = ""
      for (field, width) in zip(fields, widths) {
        text += column(field, width)
      }
      return text + rest
    }
    if !open.isEmpty {
      lines.append("")
      lines.append(row(["OPEN RANGE", "MESSAGES", "DETECTED", "RUNG", "REQUESTS", "LAST"], "SINCE"))
      for gap in open { lines.append(row(fields(gap), show.span(age(gap)))) }
      if openBeyondTable > 0 { lines.append("and \(show.count(openBeyondTable)) more") }
    }
    if !openOnly, !finished.isEmpty {
      lines.append("")
      lines.append(
        row(["ENDED RANGE", "MESSAGES", "DETECTED", "RUNG", "REQUESTS", "LAST"], "TOOK         HOW"))
      for gap in finished {
        let took = show.span(age(gap))
        lines.append(
          row(fields(gap), column(took, 13) + gap.outcomeName))
      }
    }
    if !openOnly, !disagreements.isEmpty {
      lines.append("")
      lines.append("DISAGREEMENT  REFUSED         KEPT AND REFUSED BYTES")
      for entry in disagreements {
        let sequence = show.count(entry.sequence)
        let source = Self.sourceName(entry.refusedSource)
        lines.append(
          column(sequence, 14) + column(source, 16) + Self.digits(entry.kept))
        lines.append(String(repeating: " ", count: 30) + Self.digits(entry.refused))
      }
    }
    return lines
  }

  /// What both tables have in common.
  private func fields(_ gap: GapRecord) -> [String] {
    let last = gap.lastRequestAt > gap.detectedAt ? "+" + show.span(gap.lastRequestAt - gap.detectedAt) : "-"
    return [
      gap.first == gap.last ? "\(gap.first)" : "\(gap.first)...\(gap.last)", show.count(gap.count),
      show.time(gap.detectedAt &+ clockOffset, decimals: 3), gap.rungName, show.count(gap.requests),
      gap.requests == 0 ? "-" : last,
    ]
  }

  private func age(_ gap: GapRecord) -> UInt64 {
    let end = gap.isOpen ? now : gap.finishedAt
    return end > gap.detectedAt ? end - gap.detectedAt : 0
  }

  private static func sourceName(_ source: UInt64) -> String {
    switch source {
    case 0: "line A"
    case 1: "line B"
    case 2: "retransmission"
    default: "unknown"
    }
  }

  private static func digits(_ bytes: [UInt8]) -> String { bytes.withUnsafeBytes { hexadecimal($0) } }

  func write(to json: inout JSONText) {
    json.object { json in
      json.field("instance", instance)
      if let problem { json.field("problem", problem) }
      json.field("mergedAlive", mergedIsAlive)
      json.array("open") { json in for gap in open { write(gap, to: &json) } }
      json.field("openBeyondTable", openBeyondTable)
      if !openOnly {
        json.array("ended") { json in for gap in finished { write(gap, to: &json) } }
        json.array("disagreements") { json in
          for entry in disagreements {
            json.object { json in
              json.field("sequence", entry.sequence)
              json.field("refused", Self.sourceName(entry.refusedSource))
              json.field("keptBytes", Self.digits(entry.kept))
              json.field("keptLength", entry.keptLength)
              json.field("refusedBytes", Self.digits(entry.refused))
              json.field("refusedLength", entry.refusedLength)
            }
          }
        }
      }
      // Add to an instant of CLOCK_MONOTONIC for those here.
      json.field("clockOffset", clockOffset)
      json.object("totals") { json in
        for entry in tallies where !entry.tally.isState {
          if let name = entry.tally.name { json.field(name, entry.value) }
        }
      }
      json.object("states") { json in
        for entry in tallies where entry.tally.isState {
          guard let name = entry.tally.name else { continue }
          let isInstant = entry.tally != .breakerState && entry.tally != .snapshotBreakerState
          json.field(name, isInstant && entry.value > 0 ? entry.value &+ clockOffset : entry.value)
        }
      }
      json.field("endedCount", finishedCount)
      json.field("disagreementCount", disagreementCount)
    }
  }

  private func write(_ gap: GapRecord, to json: inout JSONText) {
    func time(_ instant: UInt64) -> UInt64 { instant == 0 ? 0 : instant &+ clockOffset }
    json.object { json in
      if !gap.isOpen { json.field("number", gap.number) }
      json.field("first", gap.first)
      json.field("last", gap.last)
      json.field("state", gap.isOpen ? "open" : gap.isLost ? "lost" : "filled")
      json.field("outcome", gap.outcomeName)
      json.field("rung", gap.rungName)
      json.field("detectedAt", time(gap.detectedAt))
      json.field("firstRequestAt", time(gap.firstRequestAt))
      json.field("lastRequestAt", time(gap.lastRequestAt))
      json.field("finishedAt", time(gap.finishedAt))
      json.field("ageNanoseconds", age(gap))
      json.field("requests", gap.requests)
      json.field("epoch", gap.epoch)
      if gap.isOpen {
        json.field("filledByLineA", gap.filledByLineA)
        json.field("filledByLineB", gap.filledByLineB)
        json.field("filledByRetransmission", gap.filledByRetransmission)
      }
    }
  }
}
