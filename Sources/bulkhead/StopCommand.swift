import CLinux
import Glibc
import SetInspection
import StageRuntime

extension Command {
  static let stop = Command(
    name: "stop", group: .act, summary: "stop a running set in order",
    description: [
      "Stops the stages in flow order, each draining what the one before it left, and removes the set's files."
    ],
    options: [.name, .runDirectory, Option("--keep", "leave the files for a look at them")],
    exitCodes: [
      .init(ExitCode.success, "stopped"), .init(ExitCode.failure, "it would not stop"),
      .init(ExitCode.notRunning, "no such set runs"), .init(ExitCode.cannotTell, "it cannot be asked"),
      .usage,
    ],
    examples: [.init("stop --name demo", "stop the set called demo")]
  ) { arguments in stopCommand(arguments) }
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
  guard let view = try? SetView(directory: directory, names: SetStatus.flowOrder) else {
    narrate("bulkhead stop: no set \"\(name)\" in \(runDirectory)")
    return ExitCode.notRunning
  }
  guard view.supervisorAlive else {
    narrate(
      "bulkhead stop: watchdogd of \"\(name)\" is not running; start it again to take over what is left")
    return ExitCode.notRunning
  }
  if readText("/proc/\(view.supervisorPid)/cgroup")?.contains("/bulkhead-\(name)-watchdogd.service") == true {
    narrate("bulkhead stop: systemd runs \"\(name)\": systemctl stop bulkhead-\(name).target")
    return ExitCode.failure
  }
  guard kill(view.supervisorPid, SIGTERM) == 0 else {
    narrate("bulkhead stop: cannot signal process \(view.supervisorPid): \(String(cString: strerror(errno)))")
    return ExitCode.cannotTell
  }
  let deadline = bulkhead_monotonic_nanoseconds() + 60_000_000_000
  while view.supervisorAlive {
    if bulkhead_monotonic_nanoseconds() > deadline {
      narrate("bulkhead stop: \"\(name)\" has not stopped within 60 s")
      return ExitCode.failure
    }
    usleep(2000)
  }
  if !keep { InstanceFiles.remove(directory: directory, runDirectory: runDirectory) }
  print("stopped \(name)")
  return ExitCode.success
}
