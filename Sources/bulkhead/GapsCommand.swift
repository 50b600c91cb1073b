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
  /// Only what was detected in the last so many nanoseconds.
  var since: UInt64?
  var follow = false
  var show = Presentation()

  init(_ arguments: CommandArguments) {
    set = SetOptions(arguments)
    openOnly = arguments.has("--open")
    since = arguments.nanoseconds("--since")
    follow = arguments.has("--follow")
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
    options: Option.ofSets + [
      Option("--open", "only what is open"),
      Option("--since", .seconds("SECONDS", 0...1_000_000_000), "only what was detected so long ago at most"),
      Option("--follow", "go on with what comes, until the set is stopped or this command is interrupted"),
    ] + Option.ofTimes,
    exitCodes: [
      .init(ExitCode.success, "nothing is open or lost"), .init(ExitCode.failure, "something is"),
      .notRunning,
      .init(ExitCode.cannotTell, "the file cannot be read"), .usage,
    ],
    examples: [
      .init("gaps", "everything that was missing"),
      .init("gaps --open --json", "what is missing now, for a program"),
      .init("gaps --since 600 --follow", "the last ten minutes, and what comes"),
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
    if options.follow, sets.count > 1 {
      say("bulkhead gaps: several sets: name one with --name")
      return ExitCode.usage
    }
    let looks = sets.map { GapsReport($0, openOnly: options.openOnly) }
    let reports = looks.map(recent)
    show(reports)
    output.flush()
    if options.follow, let set = sets.first { follow(set, after: looks[0]) }
    guard !reports.isEmpty else { return options.set.absenceCode(say) }
    return options.set.withUnreadable(reports.map(\.exitCode).max() ?? ExitCode.success, say)
  }
}

extension GapsCommand {
  private static let followInterval: UInt64 = 50_000_000

  /// What of it is young enough.
  private func recent(_ look: GapsReport) -> GapsReport {
    var report = look
    // A set that is dead has its past as far back from its end.
    if let since = options.since { report.leaveOut(before: report.now > since ? report.now - since : 0) }
    return report
  }

  private func show(_ reports: [GapsReport]) {
    if options.set.json {
      output.line(
        JSONReport(schema: "gaps").text { json in
          json.array("sets") { json in for report in reports { report.write(to: &json) } }
        })
    } else {
      for (index, report) in reports.enumerated() {
        if index > 0 { output.line("") }
        for line in report.lines(options.show) { output.line(line) }
      }
    }
  }

  /// Shows what was not there before, until the set goes.
  private func follow(_ set: SetDirectory, after first: GapsReport) {
    var earlier = first
    bulkhead_install_stop_handler()
    while output.isOpen, !bulkhead_stop_requested() {
      pause(nanoseconds: Self.followInterval)
      guard let again = SetDirectory(instance: set.instance, path: set.path) else { return }
      let now = GapsReport(again, openOnly: options.openOnly)
      // A look in vain is followed by another one.
      if now.problem != nil { continue }
      var news = now
      news.leaveOut(shownBy: earlier)
      earlier = now
      if news.isEmpty { continue }
      if !options.set.json { output.line("") }
      show([news])
      output.flush()
    }
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
