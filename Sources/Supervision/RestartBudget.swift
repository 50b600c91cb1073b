/// How often a component may be restarted: `limit` restarts within a sliding `windowNanoseconds`, then no more.
/// A pure state machine: it is told instants and answers; it starts nothing.
public struct RestartBudget: Sendable {
  public let limit: Int
  public let windowNanoseconds: UInt64
  /// Instants of the restarts that still count, oldest first.
  public private(set) var restarts: [UInt64] = []

  /// - Parameters:
  ///   - limit: restarts within the window; 0 never restarts.
  ///   - windowNanoseconds: how long a restart counts.
  public init(limit: Int, windowNanoseconds: UInt64) {
    self.limit = limit
    self.windowNanoseconds = windowNanoseconds
  }

  /// Asks for a restart at `now` (CLOCK_MONOTONIC, ns). True grants it and counts it.
  public mutating func allowsRestart(now: UInt64) -> Bool {
    restarts.removeAll { now >= $0 && now - $0 >= windowNanoseconds }
    guard restarts.count < limit else { return false }
    restarts.append(now)
    return true
  }
}
