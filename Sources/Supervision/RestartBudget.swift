/// How often a component may be restarted: `limit` restarts within a sliding `windowNanoseconds`, then no more.
/// A pure state machine: it is told instants and answers; it starts nothing.
public struct RestartBudget: Sendable {
  public let limit: Int
  public let windowNanoseconds: UInt64
  /// Instants of the restarts that still count, oldest first.
  public private(set) var restarts: [UInt64]

  /// - Parameters:
  ///   - limit: restarts within the window; 0 never restarts.
  ///   - windowNanoseconds: how long a restart counts.
  ///   - earlier: restarts that an earlier supervisor granted, oldest first; they count like its own.
  public init(limit: Int, windowNanoseconds: UInt64, earlier: [UInt64] = []) {
    self.limit = limit
    self.windowNanoseconds = windowNanoseconds
    restarts = earlier
  }

  /// Asks for a restart at `now` (CLOCK_MONOTONIC, ns). True grants it and counts it.
  public mutating func allowsRestart(now: UInt64) -> Bool {
    restarts.removeAll { now >= $0 && now - $0 >= windowNanoseconds }
    guard restarts.count < limit else { return false }
    restarts.append(now)
    return true
  }
}

/// How long a restart waits: not at all, or longer each time within the budget's window.
public struct RestartBackoff: Sendable {
  /// The first restart's delay, ns; 0 for none.
  public let first: UInt64
  private var random: UInt64

  /// - Parameter seed: of the jitter, which keeps components that died together from starting together.
  public init(first: UInt64, seed: UInt64) {
    self.first = first
    random = seed
  }

  /// The delay of the restart number `attempt` (from 1) of the window, ns: doubled each time up to a thousand times the
  /// first, and off by up to a quarter either way.
  public mutating func delay(attempt: Int) -> UInt64 {
    guard first > 0 else { return 0 }
    let doublings = UInt64(min(max(attempt, 1) - 1, 10))
    let (product, isTooLong) = first.multipliedReportingOverflow(by: min(1 << doublings, 1_000))
    let delay = isTooLong ? UInt64.max / 2 : min(product, UInt64.max / 2)
    let spread = delay / 2
    return delay - spread / 2 + (spread == 0 ? 0 : next() % (spread + 1))
  }

  /// SplitMix64.
  private mutating func next() -> UInt64 {
    random &+= 0x9E37_79B9_7F4A_7C15
    var value = random
    value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    return value ^ (value >> 31)
  }
}

/// How many restarts a configuration can come to, as text for its author.
public enum RestartBound {
  public struct Component: Sendable {
    public let name: String
    /// 0 when it is never restarted.
    public let limit: Int
    public let windowNanoseconds: UInt64

    public init(name: String, limit: Int, windowNanoseconds: UInt64) {
      self.name = name
      self.limit = limit
      self.windowNanoseconds = windowNanoseconds
    }
  }

  /// The most restarts of all components within the longest of their windows: one that counts over a shorter window can
  /// use its budget several times in it, also across the edges.
  public static func total(_ components: [Component]) -> (restarts: Int, windowNanoseconds: UInt64) {
    let longest = components.filter { $0.limit > 0 }.map(\.windowNanoseconds).max() ?? 0
    let sum = components.reduce(0) { sum, component in
      guard component.limit > 0, component.windowNanoseconds > 0 else { return sum }
      let times = (longest &+ component.windowNanoseconds &- 1) / component.windowNanoseconds
      return sum &+ component.limit &* Int(clamping: times)
    }
    return (sum, longest)
  }
}
