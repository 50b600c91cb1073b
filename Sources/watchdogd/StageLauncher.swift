import CLinux
import Glibc
import StageRuntime
import Supervision

/// How a request to start a stage went.
enum Launch {
  /// It runs.
  case running(pid_t)
  /// It was asked for: its control page, or ``StageLauncher/failedStart(_:)``, will tell.
  case requested
  /// errno.
  case failed(Int32)
}

/// How a process ended, as the one who started it is told; neither when nobody knows.
struct ProcessEnding {
  var exitCode: Int32?
  var signal: Int32 = 0
}

/// How stages come to be and end: as children of this process, or as units of systemd. Decides nothing.
protocol StageLauncher: AnyObject {
  /// The stages are not this process's: it may end, and they may be stopped and started, without it.
  var isShared: Bool { get }
  /// Starts a stage.
  /// - Parameters:
  ///   - arguments: the command line, the program first
  ///   - sockets: become its descriptors 3, 4, …
  func start(_ component: String, arguments: [String], sockets: [Int32]) -> Launch
  /// Why a start that was requested will come to nothing; nil while it still may.
  func failedStart(_ component: String) -> ExitCause?
  /// Asks a stage to end in order.
  func requestStop(_ component: String, pid: pid_t)
  /// Ends this very process, whatever it does.
  func kill(_ component: String, pidDescriptor: Int32)
  /// How a process that is dead ended; nil while that is not known yet.
  func ending(_ component: String, pid: pid_t) -> ProcessEnding?
  /// The set is being stopped, not by this process.
  func isSetStopping() -> Bool
  /// To be called often: takes what has been answered meanwhile.
  func turn()
}

/// Stages as children: fork and exec, signals, wait.
final class ChildLauncher: StageLauncher {
  let isShared = false

  func start(_ component: String, arguments: [String], sockets: [Int32]) -> Launch {
    var strings: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
    var variables: [UnsafeMutablePointer<CChar>?] = []
    var walk = environ
    while let variable = walk.pointee {
      let text = String(cString: variable)
      if !text.hasPrefix("LISTEN_"), !text.hasPrefix("\(SupervisorTie.variable)=") {
        variables.append(strdup(text))
      }
      walk += 1
    }
    if !sockets.isEmpty { variables.append(strdup("LISTEN_FDS=\(sockets.count)")) }
    variables.append(strdup("\(SupervisorTie.variable)=\(getpid())"))
    variables.append(nil)
    defer { for text in strings + variables { free(text) } }
    // This thread has real-time priority and its child has not: who waits for it looks at nobody meanwhile.
    let result = bulkhead_spawn_at_once(arguments[0], &strings, &variables, sockets, Int32(sockets.count))
    return result > 0 ? .running(result) : .failed(-result)
  }

  func failedStart(_ component: String) -> ExitCause? { nil }

  func requestStop(_ component: String, pid: pid_t) { _ = Glibc.kill(pid, SIGTERM) }

  func kill(_ component: String, pidDescriptor: Int32) { _ = bulkhead_pidfd_signal(pidDescriptor, SIGKILL) }

  func ending(_ component: String, pid: pid_t) -> ProcessEnding? {
    var status: Int32 = 0
    guard waitpid(pid, &status, 0) > 0 else { return ProcessEnding() }
    let exited = bulkhead_wait_exited(status)
    return ProcessEnding(
      exitCode: exited ? bulkhead_wait_exit_code(status) : nil, signal: bulkhead_wait_signal(status))
  }

  func isSetStopping() -> Bool { false }

  func turn() {}
}
