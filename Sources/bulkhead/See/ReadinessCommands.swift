import CLinux
import Glibc
import SetInspection
import StageRuntime

extension Command {
  static let isLive = Command(
    name: "is-live", group: .decide, summary: "say by exit code whether every process of a set runs",
    description: ["Prints nothing on standard output. One set: the one that runs, or --name."],
    options: [.name, .runDirectory], exitCodes: readinessCodes,
    examples: [.init("is-live --name demo", "for a script, or a liveness probe")]
  ) { arguments in judge(SetOptions(name: arguments), "is-live") { $0.isLive } }

  static let isReady = Command(
    name: "is-ready", group: .decide, summary: "say by exit code whether a set may be used",
    description: [
      "Yes when every process runs, every stage is READY, and no reason is known why the stream should not be believed. "
        + "Prints nothing on standard output. One set: the one that runs, or --name."
    ],
    options: [.name, .runDirectory], exitCodes: readinessCodes,
    examples: [.init("is-ready --name demo", "for a script, or a readiness probe")]
  ) { arguments in judge(SetOptions(name: arguments), "is-ready") { $0.isReady } }

  static let wait = Command(
    name: "wait", group: .decide, summary: "wait until a set is READY, or live, or gone",
    options: [
      .name, .runDirectory, Option("--ready", "until it may be used, as is-ready says (default)"),
      Option("--live", "until every process runs"), Option("--gone", "until no process of it runs"),
      Option("--timeout", .seconds("SECONDS", 0...86_400), "for so long at most (30)"),
    ],
    exitCodes: [
      .init(ExitCode.success, "it is so"), .init(ExitCode.failure, "it is not so, and the time is over"),
      .usage,
    ],
    examples: [
      .init("wait --name demo --ready --timeout 60", "before something that needs the set"),
      .init("wait --name demo --gone", "until it has stopped"),
    ]
  ) { arguments throws(ToolUsageError) in try waitCommand(arguments) }

  private static let readinessCodes: [ExitMeaning] = [
    .init(ExitCode.success, "yes"), .init(ExitCode.failure, "no; standard error says why"), .notRunning,
    .init(ExitCode.cannotTell, "its pages cannot be read"), .usage,
  ]

  private static func judge(
    _ options: SetOptions, _ name: String, _ isSo: (SetReading) -> Bool
  ) -> Int32 {
    switch options.onlySet() {
    case .failure(let failure):
      narrate("bulkhead \(name): \(failure.line)")
      return failure.code
    case .success(let set):
      let sample = SetReading(set)
      if sample.components.isEmpty {
        narrate("bulkhead \(name): no control page of \"\(set.instance)\" can be read")
        return ExitCode.cannotTell
      }
      if isSo(sample) { return ExitCode.success }
      if !sample.isAlive {
        narrate("no process of \"\(set.instance)\" runs")
        return ExitCode.notRunning
      }
      narrate("\(set.instance): \(sample.whatIsMissing ?? "not so")")
      return ExitCode.failure
    }
  }

  private static func waitCommand(_ arguments: CommandArguments) throws(ToolUsageError) -> Int32 {
    let wanted = ["--ready", "--live", "--gone"].filter(arguments.has)
    guard wanted.count <= 1 else {
      throw ToolUsageError(line: "only one of \(wanted.joined(separator: ", "))")
    }
    let goal = wanted.first ?? "--ready"
    let options = SetOptions(name: arguments)
    let timeout = arguments.nanoseconds("--timeout") ?? 30_000_000_000
    let start = bulkhead_monotonic_nanoseconds()
    bulkhead_install_stop_handler()
    while true {
      var state = options.absence
      switch options.onlySet() {
      case .failure(let failure):
        if failure.code == ExitCode.usage { throw ToolUsageError(line: failure.line) }
        if goal == "--gone" { return ExitCode.success }
      case .success(let set):
        let sample = SetReading(set)
        let isSo = goal == "--ready" ? sample.isReady : goal == "--live" ? sample.isLive : !sample.isAlive
        if isSo { return ExitCode.success }
        state = "\(set.instance): " + (goal == "--gone" ? "it runs" : sample.whatIsMissing ?? "not so")
      }
      if bulkhead_monotonic_nanoseconds() &- start >= timeout || bulkhead_stop_requested() {
        narrate("bulkhead wait: \(state)")
        return ExitCode.failure
      }
      pause(nanoseconds: 20_000_000)
    }
  }
}

extension SetOptions {
  /// Of a command that takes a name and a directory and prints no JSON.
  init(name arguments: CommandArguments) {
    self.init(
      name: arguments.value("--name"),
      runDirectory: arguments.value("--run-directory") ?? SetDirectory.defaultRunDirectory)
  }
}
