import Glibc

/// A stage that its supervisor started as a child, and that has not taken its control page yet, belongs to that supervisor alone: the
/// next one finds stages by their pages, and starts one that has none. So who becomes an orphan before that must not go on, or two
/// would run.
public enum SupervisorTie {
  /// Set for its children by a supervisor: its own process.
  public static let variable = "BULKHEAD_SUPERVISOR"

  /// Whether the supervisor that started this process is gone; false of a process that no supervisor started as a child.
  static func isBroken() -> Bool {
    guard let text = getenv(variable), let supervisor = pid_t(String(cString: text)) else { return false }
    return getppid() != supervisor
  }
}
