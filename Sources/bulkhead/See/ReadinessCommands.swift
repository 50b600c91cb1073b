import CLinux
import Glibc
import SetInspection
import StageRuntime

extension Command {
  static let isLive = Command(
    name: "is-live", group: .decide, summary: "say by exit code whether every process of a set runs",
    description: [
      "Prints nothing on standard output without --json. One set: the one that runs, or --name."
    ],
    options: [.from, .name, .runDirectory, .json], exitCodes: readinessCodes,
    examples: [.init("is-live --name demo", "for a script, or a liveness probe")]
  ) { arguments in judge(SetOptions(arguments), "is-live", { $0.isLive }, { $0.mayBeLive }) }

  static let isReady = Command(
    name: "is-ready", group: .decide, summary: "say by exit code whether a set may be used",
    description: [
      "Yes when every process runs, every stage is READY, and no reason is known why the stream should not be believed. "
        + "Prints nothing on standard output without --json. One set: the one that runs, or --name."
    ],
    options: [.from, .name, .runDirectory, .json], exitCodes: readinessCodes,
    examples: [.init("is-ready --name demo", "for a script, or a readiness probe")]
  ) { arguments in judge(SetOptions(arguments), "is-ready", { $0.isReady }, { $0.mayBeReady }) }

  static let wait = Command(
    name: "wait", group: .decide, summary: "wait until a set is READY, or live, or gone",
    options: [
      .name, .runDirectory, .json, Option("--ready", "until it may be used, as is-ready says (default)"),
      Option("--live", "until every process runs"), Option("--gone", "until no process of it runs"),
      Option("--timeout", .seconds("SECONDS", 0...86_400), "for so long at most (30)"),
    ],
    exitCodes: [
      .init(ExitCode.success, "it is so"), .init(ExitCode.failure, "it is not so, and the time is over"),
      .init(ExitCode.cannotTell, "its pages cannot be read, and the time is over"), .usage,
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
    _ options: SetOptions, _ name: String, _ isSo: (SetReading) -> Bool, _ mayBeSo: (SetReading) -> Bool
  ) -> Int32 {
    func answer(_ code: Int32, _ set: SetDirectory?, _ why: String) -> Int32 {
      if options.json { print(answerText(name, isSo: code == ExitCode.success, set, why)) }
      if !why.isEmpty { narrate(why) }
      return code
    }
    switch options.onlySet() {
    case .failure(let failure): return answer(failure.code, nil, "bulkhead \(name): \(failure.line)")
    case .success(let set):
      let sample = SetReading(set)
      if sample.components.isEmpty {
        let why = "bulkhead \(name): no control page of \"\(set.instance)\" can be read"
        return answer(ExitCode.cannotTell, set, why)
      }
      if isSo(sample) { return answer(ExitCode.success, set, "") }
      if mayBeSo(sample) {
        let why = "\(set.instance): \(sample.whatIsMissing ?? "not everything can be read")"
        return answer(ExitCode.cannotTell, set, why)
      }
      if !sample.isAlive, sample.unreadable.isEmpty {
        return answer(ExitCode.notRunning, set, "no process of \"\(set.instance)\" runs")
      }
      return answer(ExitCode.failure, set, "\(set.instance): \(sample.whatIsMissing ?? "not so")")
    }
  }

  /// - Parameter why: why not; empty for yes.
  private static func answerText(
    _ question: String, isSo: Bool, _ set: SetDirectory?, _ why: String
  ) -> String {
    let head = set.map { JSONReport(schema: "answer", of: $0) } ?? JSONReport(schema: "answer")
    return head.text { json in
      json.field("question", question)
      json.field("yes", isSo)
      if !why.isEmpty { json.field("why", why) }
    }
  }

  private static func waitCommand(_ arguments: CommandArguments) throws(ToolUsageError) -> Int32 {
    let wanted = ["--ready", "--live", "--gone"].filter(arguments.has)
    guard wanted.count <= 1 else {
      throw ToolUsageError(line: "only one of \(wanted.joined(separator: ", "))")
    }
    let goal = wanted.first ?? "--ready"
    let options = SetOptions(arguments)
    func answer(_ isSo: Bool, _ set: SetDirectory?, _ why: String = "") {
      if options.json { print(answerText("wait \(goal)", isSo: isSo, set, why)) }
    }
    let timeout = arguments.nanoseconds("--timeout") ?? 30_000_000_000
    let start = bulkhead_monotonic_nanoseconds()
    bulkhead_install_stop_handler()
    while true {
      var state = options.absence
      var code = ExitCode.failure
      var last: SetDirectory?
      switch options.onlySet() {
      case .failure(let failure):
        if failure.code == ExitCode.usage { throw ToolUsageError(line: failure.line) }
        if failure.code == ExitCode.cannotTell {
          // It may run all the same.
          (state, code) = (failure.line, failure.code)
        } else if goal == "--gone" {
          answer(true, nil)
          return ExitCode.success
        }
      case .success(let set):
        let sample = SetReading(set)
        let isGone = !sample.isAlive && sample.unreadable.isEmpty
        let isSo = goal == "--ready" ? sample.isReady : goal == "--live" ? sample.isLive : isGone
        if isSo {
          answer(true, set)
          return ExitCode.success
        }
        last = set
        let mayBeGone = !sample.isAlive
        let mayBeSo = goal == "--ready" ? sample.mayBeReady : goal == "--live" ? sample.mayBeLive : mayBeGone
        if mayBeSo { code = ExitCode.cannotTell }
        state =
          "\(set.instance): "
          + (goal == "--gone" && sample.isAlive ? "it runs" : sample.whatIsMissing ?? "not so")
      }
      if bulkhead_monotonic_nanoseconds() &- start >= timeout || bulkhead_stop_requested() {
        answer(false, last, state)
        narrate("bulkhead wait: \(state)")
        return code
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
