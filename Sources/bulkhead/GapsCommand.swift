import CLinux
import Glibc
import SetInspection
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
    let reports = sets.map { GapsReport($0, openOnly: options.openOnly) }
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
        for line in report.lines(options.show) { output.line(line) }
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

extension GapsReport {
  private func verdict(_ show: Presentation) -> String {
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

  func lines(_ show: Presentation = Presentation()) -> [String] {
    var lines = [show.verdict(verdict(show))]
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
      for gap in open { lines.append(row(fields(gap, show), show.span(age(gap)))) }
      if openBeyondTable > 0 { lines.append("and \(show.count(openBeyondTable)) more") }
    }
    if !openOnly, !finished.isEmpty {
      lines.append("")
      lines.append(
        row(["ENDED RANGE", "MESSAGES", "DETECTED", "RUNG", "REQUESTS", "LAST"], "TOOK         HOW"))
      for gap in finished {
        let took = show.span(age(gap))
        lines.append(
          row(fields(gap, show), column(took, 13) + gap.outcomeName))
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
  private func fields(_ gap: GapRecord, _ show: Presentation) -> [String] {
    let last = gap.lastRequestAt > gap.detectedAt ? "+" + show.span(gap.lastRequestAt - gap.detectedAt) : "-"
    return [
      gap.first == gap.last ? "\(gap.first)" : "\(gap.first)...\(gap.last)", show.count(gap.count),
      show.time(gap.detectedAt &+ clockOffset, decimals: 3), gap.rungName, show.count(gap.requests),
      gap.requests == 0 ? "-" : last,
    ]
  }
}
