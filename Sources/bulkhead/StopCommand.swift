import CLinux
import Glibc
import SetInspection
import ShmRing
import StageRuntime

extension Command {
  static let stop = Command(
    name: "stop", group: .act, summary: "stop a running set in order, or one of its stages",
    description: [
      "A set, by --name: its stages in flow order, each draining what the one before it left; then its files are removed. "
        + "Somebody is asked, or --yes and --name are given.",
      "A stage: it hands on what it holds and ends, by force after 10 s, and stays down until `bulkhead start`, also under "
        + "another watchdogd. Asked of watchdogd, which writes down who asked, and why (`bulkhead events`).",
    ],
    operands: [Operand(.process, "one stage of the set; without it the whole set", isOptional: true)],
    options: ofActing.map {
      $0.name == "--timeout"
        ? waits("\(ActingCommand.usualTimeout); of a whole set \(ActingCommand.setTimeout)") : $0
    } + [Option("--keep", "of a whole set: leave the files for a look at them")],
    exitCodes: [
      .init(ExitCode.success, "stopped, or would be"),
      .init(ExitCode.failure, "refused, or it would not stop"),
      .init(ExitCode.notRunning, "no such set runs"), .init(ExitCode.cannotTell, "it cannot be asked"),
      .usage,
    ],
    examples: [
      .init("stop --name demo --yes", "stop the set called demo, without a question"),
      .init("stop pubd --reason 'bad clients' --yes", "stop one stage, and let it be down"),
    ]
  ) { arguments throws(ToolUsageError) in
    guard arguments.operands.isEmpty else { return try ActingCommand(.stop, arguments).run() }
    return try stopCommand(arguments)
  }
}

private func stopCommand(_ arguments: CommandArguments) throws(ToolUsageError) -> Int32 {
  let given = try RequestArguments(arguments)
  let name = arguments.value("--name")
  let runDirectory = arguments.value("--run-directory") ?? SetDirectory.defaultRunDirectory
  let keep = arguments.has("--keep")
  guard let name else {
    narrate("bulkhead stop: which set? --name INSTANCE (`bulkhead status` lists them)")
    return ExitCode.usage
  }
  // A name of the environment is what somebody looks at; to end that unseen, they have to say it.
  if arguments.has("--yes"), !given.isDryRun, !arguments.given.contains(where: { $0.name == "--name" }) {
    throw ToolUsageError(line: "--yes: --name \(name) is wanted too, BULKHEAD_NAME does not do")
  }
  let directory = "\(runDirectory)/\(name)"
  let set = JSONReport(
    schema: "asked", instance: name,
    configurationHash: SetDirectory(instance: name, path: directory)?.configurationHash)
  let view: SetView
  do throws(RingError) {
    view = try SetView(directory: directory, names: [])
  } catch {
    let options = SetOptions(name: name, runDirectory: runDirectory)
    if case .missing = error { return options.absenceCode { narrate("bulkhead stop: \($0)") } }
    narrate("bulkhead stop: \(error)")
    return ExitCode.cannotTell
  }
  guard view.supervisorAlive else {
    narrate(
      "bulkhead stop: watchdogd of \"\(name)\" is not running; start it again to take over what is left")
    return ExitCode.notRunning
  }
  let epoch = given.epoch ?? view.supervisorEpoch
  let subject = "\(name), watchdogd process \(view.supervisorPid), epoch \(view.supervisorEpoch)"
  // Of the very process: whatever its number comes to be while somebody is asked, nobody else is signalled.
  let process = bulkhead_pidfd_open(view.supervisorPid)
  defer { if process >= 0 { close(process) } }
  guard process >= 0, view.supervisorAlive else {
    narrate("bulkhead stop: watchdogd of \"\(name)\" has just ended")
    return ExitCode.notRunning
  }
  if readText("/proc/\(view.supervisorPid)/cgroup")?.contains("/bulkhead-\(name)-watchdogd.service") == true {
    narrate("bulkhead stop: systemd runs \"\(name)\": systemctl stop bulkhead-\(name).target")
    return ExitCode.failure
  }
  // It is shown what is there now, and refused when it is no longer that once somebody has agreed.
  if epoch == view.supervisorEpoch, !given.isDryRun,
    try !given.isAgreed("stop \(subject)", ActingCommand.terminalConfirmation)
  {
    narrate("bulkhead stop: not done")
    return ExitCode.failure
  }
  guard epoch == view.supervisorEpoch else {
    narrate(
      "bulkhead stop: refused: watchdogd of \"\(name)\" is at epoch \(view.supervisorEpoch), not \(epoch)")
    return ExitCode.failure
  }
  if given.isDryRun {
    tellStop(arguments, set, "would be stopped: \(subject)", isDone: nil)
    return ExitCode.success
  }
  let result = bulkhead_pidfd_signal(process, SIGTERM)
  ProcessLog.audit(
    instance: name, verb: "stop",
    text: "the whole set, watchdogd process \(view.supervisorPid)"
      + (given.reason.isEmpty ? "" : " (\(given.reason))"),
    outcome: result == 0 ? "accepted" : "refused", epoch: epoch)
  guard result == 0 else {
    narrate(
      "bulkhead stop: cannot signal process \(view.supervisorPid): \(String(cString: strerror(-result)))")
    return -result == ESRCH ? ExitCode.notRunning : ExitCode.cannotTell
  }
  let timeout = arguments.nanoseconds("--timeout") ?? ActingCommand.setTimeout * 1_000_000_000
  if timeout == 0 {
    tellStop(arguments, set, "\(name) was asked to stop", isDone: nil)
    return ExitCode.success
  }
  let deadline = bulkhead_monotonic_nanoseconds() &+ timeout
  while view.supervisorAlive {
    if bulkhead_monotonic_nanoseconds() > deadline {
      narrate("bulkhead stop: \"\(name)\" has not stopped within \(duration(timeout))")
      if arguments.has("--json") {
        tellStop(arguments, set, "not stopped within \(duration(timeout))", isDone: false)
      }
      return ExitCode.failure
    }
    usleep(2000)
  }
  if !keep { InstanceFiles.remove(directory: directory, runDirectory: runDirectory) }
  tellStop(arguments, set, "stopped \(name)", isDone: true)
  return ExitCode.success
}

/// - Parameters:
///   - set: as it was before, while its files were there.
///   - isDone: nil where nobody waited for it.
private func tellStop(_ arguments: CommandArguments, _ set: JSONReport, _ text: String, isDone: Bool?) {
  guard arguments.has("--json") else { return print(text) }
  print(
    set.text { json in
      json.field("verb", "stop")
      json.field("dryRun", arguments.has("--dry-run"))
      json.field("outcome", "accepted")
      json.field("text", text)
      if let isDone { json.field("done", isDone) }
    })
}
