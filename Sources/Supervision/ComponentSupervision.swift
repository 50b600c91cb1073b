/// What the supervisor does about a death.
public enum DeathDecision: Sendable, Equatable {
  /// A successor, after that many nanoseconds.
  case restart(after: UInt64)
  /// Leave it down, for the given reason.
  case halt(reason: String)
}

/// Decides about one component's deaths.
public struct ComponentSupervision: Sendable {
  /// The component's restart policy is `halt`: any death is final.
  public let neverRestarts: Bool
  public private(set) var budget: RestartBudget
  public private(set) var backoff: RestartBackoff
  /// No successor will come.
  public private(set) var isDown: Bool

  /// - Parameter isDown: an earlier supervisor had left it down.
  public init(
    neverRestarts: Bool, budget: RestartBudget, backoff: RestartBackoff = RestartBackoff(first: 0, seed: 0),
    isDown: Bool = false
  ) {
    self.neverRestarts = neverRestarts
    self.budget = budget
    self.backoff = backoff
    self.isDown = isDown
  }

  /// Decides about a death that nobody asked for, or about a start that failed.
  public mutating func died(_ cause: ExitCause, now: UInt64) -> DeathDecision {
    if case .permanent = cause { return halt(cause.description) }
    if neverRestarts { return halt("restart policy is halt") }
    guard budget.allowsRestart(now: now) else {
      return halt("\(budget.limit) restarts within \(budget.windowNanoseconds / 1_000_000_000) s are used up")
    }
    return .restart(after: backoff.delay(attempt: budget.restarts.count))
  }

  /// An operator has it started again, whatever was decided before.
  public mutating func returnToService() { isDown = false }

  private mutating func halt(_ reason: String) -> DeathDecision {
    isDown = true
    return .halt(reason: reason)
  }
}
