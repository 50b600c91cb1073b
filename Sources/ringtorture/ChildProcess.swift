import CLinux
import Glibc

/// A process of the torture, started from this very program. Ends with the torturer.
struct ChildProcess {
  let pid: Int32
  /// Which one of its role it is: 1, 2, …
  let spawn: UInt64

  enum End: Equatable {
    case exited(Int32)
    case signal(Int32)
  }

  init(_ arguments: [String], spawn: UInt64) throws(TortureFailure) {
    self.spawn = spawn
    var words: [UnsafeMutablePointer<CChar>?] = (["ringtorture"] + arguments).map { strdup($0) }
    words.append(nil)
    defer { for word in words { free(word) } }
    let found = bulkhead_spawn("/proc/self/exe", &words, environ, nil, 0, -1)
    guard found > 0 else { throw .failed("spawn: \(String(cString: strerror(-found)))") }
    pid = found
  }

  func kill(_ signal: Int32 = SIGKILL) { _ = Glibc.kill(pid, signal) }

  /// How it ended; nil while it runs.
  func poll() -> End? { wait(WNOHANG) }

  /// Waits for its end.
  func reap() -> End { wait(0) ?? .exited(-1) }

  /// Kills and reaps it.
  func end() {
    kill()
    _ = reap()
  }

  private func wait(_ options: Int32) -> End? {
    var status: Int32 = 0
    while true {
      let found = waitpid(pid, &status, options)
      if found == pid { break }
      if found == 0 { return nil }
      guard errno == EINTR else { return .exited(-1) }
    }
    return bulkhead_wait_exited(status)
      ? .exited(bulkhead_wait_exit_code(status)) : .signal(bulkhead_wait_signal(status))
  }

  /// Stops it and waits until it stands still.
  func stop() {
    kill(SIGSTOP)
    var status: Int32 = 0
    _ = waitpid(pid, &status, WUNTRACED)
  }
}

enum TortureFailure: Error, CustomStringConvertible {
  /// The torture itself could not go on, or a process did not end as it must.
  case failed(String)
  var description: String { if case .failed(let text) = self { text } else { "" } }
}

/// Waits so long, without sleeping: the kernel's timers are too coarse for a kill.
func pause(nanoseconds: UInt64) {
  let end = bulkhead_monotonic_nanoseconds() &+ nanoseconds
  while bulkhead_monotonic_nanoseconds() < end { bulkhead_spin_hint() }
}
