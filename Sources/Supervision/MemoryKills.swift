/// Tells the kernel's kills for want of memory from anybody else's: both are a SIGKILL, but the kernel counts its own, for
/// each control group.
public struct MemoryKills: Sendable, Equatable {
  /// Kills of a group that are accounted for.
  private var accounted: [String: UInt64] = [:]

  public init() {}

  /// What a group's counter says while nobody has just died: none of those kills is one to come.
  public mutating func begin(group: String, kills: UInt64) {
    if accounted[group] == nil { accounted[group] = kills }
  }

  /// A process of the group died of a SIGKILL that we had not sent.
  /// - Parameter kills: what the group's counter says now.
  /// - Returns: whether the kernel killed it: once for each kill that it counted.
  public mutating func claim(group: String, kills: UInt64) -> Bool {
    let known = accounted[group] ?? kills
    // A group that was made anew counts from 0.
    guard kills > known else {
      accounted[group] = kills
      return false
    }
    accounted[group] = known + 1
    return true
  }

  /// The number behind `oom_kill` in memory.events, memory.oom_control or /proc/vmstat; nil when there is none.
  public static func kills(in text: [UInt8]) -> UInt64? { ProcessSample.value(of: "oom_kill", in: text) }
}
