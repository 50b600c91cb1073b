import CLinux
import Glibc
import SetInspection
import ShmRing
import StageRuntime

/// What `bulkhead rings` was asked for.
struct RingsOptions: Equatable {
  var set = SetOptions()
  /// Time between two samples, ns; nil: show one and end.
  var interval: UInt64?
  var show = Presentation()

  init(_ arguments: CommandArguments) {
    set = SetOptions(arguments)
    interval = arguments.nanoseconds("--watch")
    show = arguments.presentation
  }

  static func parse(_ arguments: [String]) throws(ToolUsageError) -> RingsOptions {
    RingsOptions(try CommandArguments(arguments, of: .rings))
  }
}

extension Command {
  static let rings = Command(
    name: "rings", group: .see, summary: "show who writes and reads each ring, and how far behind",
    description: [
      "Reads the set's files only; works on a dead set too.",
      "LAG% is of the retention: at 100 a reader loses records. Verdict: OK; SLOW, CLOSE, CRITICAL: a reader is over "
        + "70, 85, 95 %; LAPPED: a reader lost records between the samples, or is about to find out; UNKNOWN: a file "
        + "cannot be read. HIGH-WATER: the most cells that a reader was behind at the end of a turn, to a segment.",
    ],
    options: Option.ofSets + [
      Option(
        "--watch", .seconds("SECONDS", 0.01...86_400), "show again and again; with --json one object a line"),
      .color,
    ],
    exitCodes: [
      .init(ExitCode.success, "OK or SLOW"), .init(ExitCode.failure, "worse"), .notRunning,
      .init(ExitCode.cannotTell, "UNKNOWN"), .usage,
    ],
    examples: [
      .init("rings", "who is slow, on every set"),
      .init("rings --name demo --watch 1", "look at one set every second"),
    ]
  ) { arguments in RingsCommand(options: RingsOptions(arguments), output: .standard()).run() }
}

/// The running command.
struct RingsCommand {
  let options: RingsOptions
  let output: LineOutput

  /// Time between the two samples that give a rate, ns.
  private static let sampleInterval: UInt64 = 200_000_000

  func run() -> Int32 {
    var earlier = sample()
    guard let interval = options.interval else {
      if earlier.contains(where: { $0.isAlive }) {
        pause(nanoseconds: Self.sampleInterval)
        return show(sample(), after: earlier)
      }
      return show(earlier, after: [])
    }
    bulkhead_install_stop_handler()
    var code = ExitCode.success
    var wait = min(interval, Self.sampleInterval)
    while !bulkhead_stop_requested() {
      pause(nanoseconds: wait)
      if bulkhead_stop_requested() { break }
      wait = interval
      let now = sample()
      code = show(now, after: earlier)
      guard code != ExitCode.notRunning, output.isOpen else { return code }
      earlier = now
    }
    return code
  }

  func sample() -> [RingsReport] {
    SetDirectory.discover(runDirectory: options.set.runDirectory, name: options.set.name).map {
      RingsReport($0)
    }
  }

  /// Prints a sample with what has changed since the earlier one; returns the exit code.
  func show(_ reports: [RingsReport], after earlier: [RingsReport]) -> Int32 {
    var reports = reports
    for index in reports.indices {
      if let before = earlier.first(where: { $0.instance == reports[index].instance }) {
        reports[index].compare(with: before)
      }
    }
    if options.set.json {
      output.line(RingsReport.json(reports, realTime: SetClock.realTime))
    } else {
      for (index, report) in reports.enumerated() {
        if index > 0 { output.line("") }
        for line in report.lines { output.line(options.show.verdict(line)) }
      }
      if options.interval != nil { output.line("") }
    }
    output.flush()
    guard !reports.isEmpty else { return options.set.absenceCode() }
    // 4, cannot tell, is worse than 1, a reader falls behind, is worse than 0.
    return options.set.withUnreadable(reports.map(\.verdict.exitCode).max() ?? ExitCode.success)
  }
}
