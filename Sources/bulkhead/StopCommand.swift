import CLinux
import Glibc
import SetInspection
import StageRuntime

extension Command {
  static let stop = Command(
    name: "stop", group: .act, summary: "stop a running set in order, or one of its stages",
    description: [
      "A set, by --name: its stages in flow order, each draining what the one before it left; then its files are removed.",
      "A stage: it hands on what it holds and ends, by force after 10 s, and stays down until `bulkhead start`, also under "
        + "another watchdogd. Asked of watchdogd, which writes down who asked, and why (`bulkhead events`).",
    ],
    operands: [Operand(.process, "one stage of the set; without it the whole set", isOptional: true)],
    options: ofActing + [Option("--keep", "of a whole set: leave the files for a look at them")],
    exitCodes: [
      .init(ExitCode.success, "stopped, or would be"),
      .init(ExitCode.failure, "refused, or it would not stop"),
      .init(ExitCode.notRunning, "no such set runs"), .init(ExitCode.cannotTell, "it cannot be asked"),
      .usage,
    ],
    examples: [
      .init("stop --name demo", "stop the set called demo"),
      .init("stop pubd --reason 'bad clients' --yes", "stop one stage, and let it be down"),
    ]
  ) { arguments throws(ToolUsageError) in
    guard arguments.operands.isEmpty else { return try ActingCommand(.stop, arguments).run() }
    return stopCommand(arguments)
  }
}

private func stopCommand(_ arguments: CommandArguments) -> Int32 {
  let name = arguments.value("--name")
  let runDirectory = arguments.value("--run-directory") ?? SetDirectory.defaultRunDirectory
  let keep = arguments.has("--keep")
  guard let name else {
    narrate("bulkhead stop: which set? --name INSTANCE (`bulkhead status` lists them)")
    return ExitCode.usage
  }
  let directory = "\(runDirectory)/\(name)"
  guard let view = try? SetView(directory: directory, names: SetStatus.stageNames(directory: directory))
  else {
    narrate("bulkhead stop: no set \"\(name)\" in \(runDirectory)")
    return ExitCode.notRunning
  }
  guard view.supervisorAlive else {
    narrate(
      "bulkhead stop: watchdogd of \"\(name)\" is not running; start it again to take over what is left")
    return ExitCode.notRunning
  }
  if arguments.has("--dry-run") {
    print("would be stopped: \(name), watchdogd process \(view.supervisorPid)")
    return ExitCode.success
  }
  if let wanted = arguments.number("--epoch"), wanted != view.supervisorEpoch {
    narrate(
      "bulkhead stop: refused: watchdogd of \"\(name)\" is at epoch \(view.supervisorEpoch), not \(wanted)")
    return ExitCode.failure
  }
  if readText("/proc/\(view.supervisorPid)/cgroup")?.contains("/bulkhead-\(name)-watchdogd.service") == true {
    narrate("bulkhead stop: systemd runs \"\(name)\": systemctl stop bulkhead-\(name).target")
    return ExitCode.failure
  }
  let result = kill(view.supervisorPid, SIGTERM)
  let reason = arguments.value("--reason").map { " (\($0))" } ?? ""
  ProcessLog.audit(
    instance: name, verb: "stop", text: "the whole set, watchdogd process \(view.supervisorPid)\(reason)",
    outcome: result == 0 ? "accepted" : "refused", epoch: view.supervisorEpoch)
  guard result == 0 else {
    narrate("bulkhead stop: cannot signal process \(view.supervisorPid): \(String(cString: strerror(errno)))")
    return ExitCode.cannotTell
  }
  let timeout = arguments.nanoseconds("--timeout") ?? 60_000_000_000
  if timeout == 0 {
    print("\(name) was asked to stop")
    return ExitCode.success
  }
  let deadline = bulkhead_monotonic_nanoseconds() &+ timeout
  while view.supervisorAlive {
    if bulkhead_monotonic_nanoseconds() > deadline {
      narrate("bulkhead stop: \"\(name)\" has not stopped within \(duration(timeout))")
      return ExitCode.failure
    }
    usleep(2000)
  }
  if !keep { InstanceFiles.remove(directory: directory, runDirectory: runDirectory) }
  print("stopped \(name)")
  return ExitCode.success
}
