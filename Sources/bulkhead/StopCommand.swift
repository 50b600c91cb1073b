import CLinux
import Glibc
import StageRuntime

/// `bulkhead stop`: asks a set's watchdogd to stop it in order, waits, and removes the files.
func stopCommand(_ arguments: [String]) -> Int32 {
  var name: String?
  var runDirectory = "/dev/shm/bulkhead"
  var keep = false
  var index = 0
  while index < arguments.count {
    switch arguments[index] {
    case "--name" where index + 1 < arguments.count:
      index += 1
      name = arguments[index]
    case "--run-directory" where index + 1 < arguments.count:
      index += 1
      runDirectory = arguments[index]
    case "--keep": keep = true
    case "--help", "-h":
      print(
        """
        usage: bulkhead stop --name INSTANCE [--keep] [--run-directory DIR]
        Stops the stages in flow order, each draining what the one before it left, and removes the set's files.
          --keep   leave the files for a look at them
        Exit: 0 stopped, 1 it would not stop, 3 no such set runs.
        """)
      return ExitCode.success
    default:
      narrate("bulkhead stop: unknown argument `\(arguments[index])`\ntry `bulkhead stop --help`")
      return ExitCode.usage
    }
    index += 1
  }
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
