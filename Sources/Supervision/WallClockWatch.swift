/// Whether the wall clock runs on as it did. Nothing is decided by it: liveness, deadlines and ages are of CLOCK_MONOTONIC. But what
/// carries its time (stamps in frames, records and logs) is suspect for a while when it was set.
public struct WallClockWatch: Sendable {
  public enum Change: Sendable, Equatable {
    /// It was set by so many nanoseconds, forward or back. Told once while it goes on being set; then it is suspect.
    case stepped(nanoseconds: Int64)
    /// It has run on evenly for ``calm``: it may be believed again.
    case steady(steps: UInt64)
  }

  /// What counts as a step between two looks, nanoseconds; slewing by a time daemon is far below.
  public static let tolerance: UInt64 = 100_000_000
  /// How long it must run evenly, nanoseconds.
  public static let calm: UInt64 = 10_000_000_000
  /// Two reads of one clock with the other between them; further apart they say nothing about both.
  static let longestReading: UInt64 = 1_000_000

  public private(set) var isSuspect = false
  /// Steps since the beginning.
  public private(set) var steps: UInt64 = 0
  private var offset: UInt64?
  private var lastStepAt: UInt64 = 0
  private var stepsBefore: UInt64 = 0

  public init() {}

  /// Takes one look: the wall clock, read between two reads of CLOCK_MONOTONIC, ns.
  /// - Returns: what is to be told; mostly nothing.
  public mutating func look(before: UInt64, wall: UInt64, after: UInt64) -> Change? {
    // Somebody else ran in between.
    guard after >= before, after &- before <= Self.longestReading else { return nil }
    let offset = wall &- before
    defer { self.offset = offset }
    if let last = self.offset {
      let step = Int64(bitPattern: offset &- last)
      if step.magnitude > Self.tolerance {
        steps &+= 1
        lastStepAt = before
        guard !isSuspect else { return nil }
        isSuspect = true
        stepsBefore = steps &- 1
        return .stepped(nanoseconds: step)
      }
    }
    if isSuspect, before &- lastStepAt >= Self.calm {
      isSuspect = false
      return .steady(steps: steps &- stepsBefore)
    }
    return nil
  }
}
