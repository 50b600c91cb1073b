/// The time during which the supervisor was awake to see something.
///
/// Ages are made of the steps between two scans. When the supervisor itself was starved, stopped, or its machine was, the
/// step is long, and says nothing about the others: they may have been stopped with it, and have had no time since to beat.
/// So a step counts for at most ``longestStep``, and whoever is alive shows it before the next one. A clock that stands
/// still or goes back makes no age at all.
public struct WatchClock: Sendable {
  /// What one step counts for at most, in nanoseconds.
  public let longestStep: UInt64
  /// Steps that were longer, and the longest of all, in nanoseconds.
  public private(set) var lateScans: UInt64 = 0
  public private(set) var longestGap: UInt64 = 0
  private var last: UInt64?

  public init(longestStep: UInt64) { self.longestStep = longestStep }

  /// The watched time since the last call, in nanoseconds; 0 at the first. `now`: CLOCK_MONOTONIC, ns.
  public mutating func step(to now: UInt64) -> UInt64 {
    defer { last = now }
    guard let last, now > last else { return 0 }
    let gap = now &- last
    if gap > longestGap { longestGap = gap }
    guard gap > longestStep else { return gap }
    lateScans &+= 1
    return longestStep
  }
}
