import CLinux
import Glibc
import SetInspection
import StageRecords
import StageRuntime
import Supervision
import Topology

extension Command {
  static let upgrade = Command(
    name: "upgrade", group: .act, summary: "have another build of bookd take over, without a lost event",
    description: [
      "The standby is started from the folder of the new build, and follows bookd: its books are compared with bookd's, one "
        + "instrument in 1,024 messages. When so many were equal, bookd ends in order, the standby compares every "
        + "instrument's best prices, and takes its place. One that differs, that cannot attach to the rings or that ends, is "
        + "refused: bookd goes on, and its standby comes from the former folder again.",
      "Before that the recorder writes a snapshot of its books and verifies it; without one the upgrade is refused.",
      "With --rollback back to the build before. Before bookd has been replaced, the new build is sent away; afterwards bookd "
        + "is ended, by force after a second, and started from the former folder: it goes on from the newest snapshot, "
        + "whatever the build that it follows has said of its books.", writtenDown,
    ],
    operands: [Operand(.process, "bookd")],
    options: [.json, .name, .runDirectory, epochThatIsMeant] + ofRequests + [
      confirmed,
      Option("--programs", .directory("DIR"), "the folder of the new build's programs"),
      Option("--rollback", "go back to the build before"),
      Option("--comparisons", .number("N", 1...1_000_000_000), "equal books that are wanted (64)"),
      Option("--no-snapshot", "take none before: for a set without a tape"),
      Option(
        "--timeout", .seconds("SECONDS", 0...86_400),
        "send the new build away when it is not done by then (60); 0: do not wait"),
    ],
    exitCodes: [
      .init(ExitCode.success, "done, or would be"),
      .init(ExitCode.failure, "refused, the new build differs, or not done in time"),
      .init(ExitCode.notRunning, "there is no such set, or its watchdogd does not run"),
      .init(ExitCode.cannotTell, "no permission, or no answer"), .usage,
    ],
    examples: [
      .init("upgrade bookd --programs /opt/bulkhead-2/bin --dry-run", "what would happen?"),
      .init("upgrade bookd --programs /opt/bulkhead-2/bin --reason 'release 2' --yes", "the new build"),
      .init("upgrade bookd --rollback --yes", "the former one again"),
    ]
  ) { arguments throws(ToolUsageError) in try UpgradeCommand(arguments).run() }
}

/// One upgrade, or the way back: a snapshot, the request, and what came of it.
struct UpgradeCommand {
  let component: String
  let isRollback: Bool
  /// As it was given.
  let programs: String
  let comparisons: UInt64
  let takesSnapshot: Bool
  let options: SetOptions
  let given: RequestArguments
  /// ns; 0: do not wait.
  let timeout: UInt64
  var say: (String) -> Void = narrate
  /// Asks a person; nil where there is none.
  var confirm: ((String) -> Bool)? = ActingCommand.terminalConfirmation

  init(_ arguments: CommandArguments) throws(ToolUsageError) {
    component = arguments.operands.first ?? ""
    isRollback = arguments.has("--rollback")
    programs = arguments.value("--programs") ?? ""
    comparisons = arguments.number("--comparisons") ?? 64
    takesSnapshot = !arguments.has("--no-snapshot")
    options = SetOptions(arguments)
    given = try RequestArguments(arguments)
    timeout = arguments.nanoseconds("--timeout") ?? 60_000_000_000
    guard component == Topology.bookStage else {
      throw ToolUsageError(
        line: "only \(Topology.bookStage) has a standby through which another build takes over")
    }
    guard isRollback != (arguments.value("--programs") != nil) else {
      throw ToolUsageError(line: "one of --programs DIR and --rollback is wanted")
    }
  }

  func run() throws(ToolUsageError) -> Int32 {
    let set: SetDirectory
    let before: SetReading
    switch try SupervisorRequest.findSet(options) {
    case .failure(let failure): return fail(failure)
    case .success(let found): (set, before) = (found.directory, found.reading)
    }
    guard let target = before.component(component) else {
      return fail(TapFailure(code: ExitCode.notRunning, line: "\"\(set.instance)\" has no \(component)"))
    }
    let verb: ControlVerb = isRollback ? .rollBack : .upgrade
    var request = given.request(verb, component: component, current: target.epoch)
    request.count = comparisons
    if !isRollback {
      guard let folder = Self.resolved(programs) else {
        let why = String(cString: strerror(errno))
        return fail(TapFailure(code: ExitCode.failure, line: "\(programs): \(why)"))
      }
      guard folder.utf8.count <= ControlRequest.folderBytes else {
        throw ToolUsageError(line: "--programs has room for \(ControlRequest.folderBytes) bytes")
      }
      request.folder = folder
    }
    let subject =
      "\(component) of \(set.instance) (process \(target.isAlive ? String(target.pid) : "none"), epoch \(request.epoch))"
    guard try given.isAgreed("\(verb.name) \(subject)", confirm) else {
      say("bulkhead upgrade: not done")
      return ExitCode.failure
    }
    // What would be refused is refused before anything is written.
    var question = request
    question.isDryRun = true
    switch ask(question, set) {
    case .failure(let failure): return fail(failure)
    case .success(let answer):
      guard answer.outcome == .accepted, !given.isDryRun else { return tell(answer, set) }
    }
    var snapshot: SnapshotCommand.Verified?
    if !isRollback, takesSnapshot {
      switch self.snapshot(of: set, before) {
      case .failure(let failure): return fail(failure)
      case .success(let found): snapshot = found
      }
    }
    request.argument = snapshot?.digest ?? 0
    let number = Self.state(of: set)?.number ?? 0
    let begun = bulkhead_monotonic_nanoseconds()
    switch ask(request, set) {
    case .failure(let failure): return fail(failure)
    case .success(let answer):
      guard answer.outcome == .accepted, timeout > 0 else { return tell(answer, set) }
      if !options.json { print(answer.text) }
      fflush(nil)
    }
    return follow(set, after: number, snapshot, since: begun)
  }

  private func fail(_ failure: TapFailure) -> Int32 {
    say("bulkhead upgrade: \(failure.line)")
    return failure.code
  }

  private func ask(_ request: ControlRequest, _ set: SetDirectory) -> Result<ControlAnswer, TapFailure> {
    SupervisorRequest.send(request, directory: set.path)
  }

  /// The folder without links, from the root on; nil with errno set.
  static func resolved(_ folder: String) -> String? {
    guard let path = realpath(folder, nil) else { return nil }
    defer { free(path) }
    return String(cString: path)
  }

  static func state(of set: SetDirectory) -> ProgramUpgrade? {
    InstanceFiles.upgradeText(directory: set.path).flatMap(ProgramUpgrade.init(text:))
  }

  /// The recorder's books as they are now, written, read back and compared.
  private func snapshot(
    of set: SetDirectory, _ before: SetReading
  ) -> Result<SnapshotCommand.Verified, TapFailure> {
    guard let recorder = before.component(SnapshotCommand.recorder) else {
      return .failure(
        TapFailure(
          code: ExitCode.failure,
          line:
            "refused: the set has no recorder, so there is no snapshot to go back to; --no-snapshot does without"
        ))
    }
    let request = ControlRequest(
      .snapshot, component: SnapshotCommand.recorder, epoch: recorder.epoch, reason: "before an upgrade")
    switch ask(request, set) {
    case .failure(let failure): return .failure(failure)
    case .success(let answer):
      guard answer.outcome == .accepted else {
        return .failure(TapFailure(code: answer.exitCode, line: "no snapshot: \(answer.text)"))
      }
    }
    switch SnapshotCommand.wait(set, timeout > 0 ? timeout : 60_000_000_000) {
    case .failure(let failure):
      return .failure(TapFailure(code: failure.code, line: "no snapshot: \(failure.line)"))
    case .success(let snapshot):
      if !options.json {
        print(
          "snapshot through sequence \(grouped(snapshot.through)): digest \(hexadecimal(snapshot.digest)), verified"
        )
      }
      return .success(snapshot)
    }
  }

  /// What watchdogd says at once: a refusal, or what would be done.
  private func tell(_ answer: ControlAnswer, _ set: SetDirectory) -> Int32 {
    if options.json {
      print(report(set, outcome: "\(answer.outcome)", text: answer.text, Self.state(of: set), nil, took: nil))
    } else if let refusal = answer.refusal {
      say("bulkhead upgrade: \(refusal)")
    } else {
      print(given.words(of: answer))
    }
    return answer.exitCode
  }

  /// Waits until the request has come to its end, and says what that is.
  private func follow(
    _ set: SetDirectory, after number: UInt64, _ snapshot: SnapshotCommand.Verified?, since begun: UInt64
  ) -> Int32 {
    var told = ""
    while bulkhead_monotonic_nanoseconds() &- begun < timeout {
      if let state = Self.state(of: set), state.number > number {
        if state.phase == .settled {
          return conclude(set, state, snapshot, took: bulkhead_monotonic_nanoseconds() &- begun)
        }
        let line = progress(set, state)
        if line != told, !options.json, isatty(2) == 1 { say(line) }
        told = line
      }
      pause(nanoseconds: 5_000_000)
    }
    say("bulkhead upgrade: not done after \(duration(timeout))\(told.isEmpty ? "" : " (\(told))")")
    guard !isRollback, let state = Self.state(of: set), state.phase == .proving,
      let target = SetReading(set).component(component)
    else { return ExitCode.failure }
    let request = ControlRequest(
      .rollBack, component: component, epoch: target.epoch, reason: "not compared in time")
    if case .success(let answer) = ask(request, set), answer.outcome == .accepted {
      say("bulkhead upgrade: the new build is sent away")
    }
    return ExitCode.failure
  }

  private func progress(_ set: SetDirectory, _ state: ProgramUpgrade) -> String {
    guard state.phase == .proving,
      let page = try? ControlPage.attach(
        directory: set.path, component: Topology.standbyStage, access: .readOnly),
      page.pid == state.process
    else { return state.phase.rawValue }
    return "\(page.value(BookCounter.booksCompared)) of \(state.comparisonsWanted) books compared, all equal"
  }

  private func conclude(
    _ set: SetDirectory, _ state: ProgramUpgrade, _ snapshot: SnapshotCommand.Verified?, took: UInt64
  ) -> Int32 {
    let isDone =
      state.outcome == (isRollback ? .rolledBack : .done) || isRollback && state.outcome == .refused
    if options.json {
      print(report(set, outcome: state.outcome.rawValue, text: state.words, state, snapshot, took: took))
    } else if isDone {
      let now = SetReading(set).component(component)
      print(
        "\(component) is READY as process \(now?.pid ?? 0), epoch \(now?.epoch ?? 0): \(state.words) (\(duration(took)))"
      )
    } else {
      say("bulkhead upgrade: refused: \(state.words); \(component) goes on as before")
    }
    return isDone ? ExitCode.success : ExitCode.failure
  }

  private func report(
    _ set: SetDirectory, outcome: String, text: String, _ state: ProgramUpgrade?,
    _ snapshot: SnapshotCommand.Verified?, took: UInt64?
  ) -> String {
    JSONReport(schema: "upgrade", of: set).text { json in
      json.field("component", component)
      json.field("verb", isRollback ? "rollback" : "upgrade")
      json.field("dryRun", given.isDryRun)
      json.field("outcome", outcome)
      json.field("text", text)
      if let state {
        json.field("programs", state.programs)
        if let previous = state.previous { json.field("previousPrograms", previous) }
      }
      if let snapshot {
        json.object("snapshot") { json in
          json.field("throughSequence", snapshot.through)
          json.field("bookDigest", hexadecimal(snapshot.digest))
        }
      }
      if let took { json.field("durationNanoseconds", took) }
    }
  }
}
