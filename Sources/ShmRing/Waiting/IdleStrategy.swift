import CLinux
import Glibc

/// What a stage does when it finds nothing to do. Chosen per stage in the topology.
public enum IdleStrategy: String, Sendable, CaseIterable {
  /// Burns its core; wants one of its own.
  case spin
  /// Lets others of the same core run between two looks.
  case yield
  /// Sleeps until the producer wakes it; a producer pays only when somebody sleeps.
  case park
}

/// Counts fruitless looks and decides when to really sleep: a few yields first, because on a shared core they
/// let the producer run and turn many small batches into one.
@frozen
public struct IdleBackoff: Sendable {
  @usableFromInline var fruitless = 0
  public let strategy: IdleStrategy
  /// Yields before a parking stage sleeps.
  @usableFromInline let yieldsBeforeParking: Int

  public init(strategy: IdleStrategy, yieldsBeforeParking: Int = 2) {
    self.strategy = strategy
    self.yieldsBeforeParking = yieldsBeforeParking
  }

  /// Work was found.
  @inlinable @inline(__always)
  public mutating func reset() { fruitless = 0 }

  /// Nothing was found: spins or yields, or returns true when it is time to park.
  @inlinable @inline(__always)
  public mutating func shouldPark() -> Bool {
    switch strategy {
    case .spin:
      bulkhead_spin_hint()
      return false
    case .yield:
      sched_yield()
      return false
    case .park:
      fruitless &+= 1
      if fruitless <= yieldsBeforeParking {
        sched_yield()
        return false
      }
      fruitless = 0
      return true
    }
  }
}
