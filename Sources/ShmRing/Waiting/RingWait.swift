public import CLinux
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

/// How a loop waits between two fruitless looks: ``SpinWait``, ``YieldWait`` or ``ParkWait``. A loop that is generic over it is
/// compiled once for each, without a branch on the choice.
///
/// ```swift
/// func run<Wait: RingWait>(_ wait: inout Wait) {
///   while … {
///     if turn() { wait.reset(); continue }
///     if wait.idle() == .park { input.park(nanoseconds: limit) }
///   }
/// }
/// ```
public protocol RingWait: Sendable {
  init()
  /// Nothing was found: spins or yields, or says that it is time to sleep or to look at something else.
  mutating func idle() -> IdleStep
  /// Something was found.
  mutating func reset()
}

/// What a fruitless look leads to.
@frozen
public enum IdleStep: Sendable {
  /// Look again.
  case again
  /// Look again, and take the time for what is seldom needed, such as ``RingConsumer/checkHealth()``.
  case patrol
  /// Sleep until the producer wakes this reader, or a time is up; then as for `patrol`.
  case park
}

/// Burns its core, with the pause that lets the core's other half run. Never leaves the processor by itself: on a core
/// that it shares with its producer, a look takes a scheduler's slice.
@frozen
public struct SpinWait: RingWait {
  @usableFromInline var looks: UInt32 = 0
  public init() {}

  @inlinable @inline(__always)
  public mutating func idle() -> IdleStep {
    bulkhead_spin_hint()
    looks &+= 1
    return looks & 0x3FFF == 0 ? .patrol : .again
  }

  @inlinable @inline(__always)
  public mutating func reset() {}
}

/// Lets others of the same core run between two looks.
@frozen
public struct YieldWait: RingWait {
  @usableFromInline var looks: UInt32 = 0
  public init() {}

  @inlinable @inline(__always)
  public mutating func idle() -> IdleStep {
    yieldProcessor()
    looks &+= 1
    return looks & 0x3FF == 0 ? .patrol : .again
  }

  @inlinable @inline(__always)
  public mutating func reset() {}
}

/// Sleeps until the producer wakes it. A few yields first: on a shared core they let the producer run and turn many small
/// batches into one.
@frozen
public struct ParkWait: RingWait {
  /// Yields before it sleeps.
  public static let yields: UInt32 = 2
  @usableFromInline var looks: UInt32 = 0
  public init() {}

  @inlinable @inline(__always)
  public mutating func idle() -> IdleStep {
    guard looks < Self.yields else {
      looks = 0
      return .park
    }
    yieldProcessor()
    looks &+= 1
    return .again
  }

  @inlinable @inline(__always)
  public mutating func reset() { looks = 0 }
}

extension RingConsumer {
  /// The next record, waiting for it as `wait` does. Comes back with ``RingPoll/empty`` now and then, about every
  /// `nanoseconds` when parking, so that the caller can look at what else concerns it; the ring's health was looked at
  /// then.
  @inlinable @inline(__always)
  public mutating func next<Wait: RingWait>(
    into buffer: UnsafeMutableRawPointer, wait: inout Wait, nanoseconds: Int64 = 10_000_000
  ) -> RingPoll {
    while true {
      let found = poll(into: buffer)
      if found != .empty {
        wait.reset()
        return found
      }
      switch wait.idle() {
      case .again: continue
      case .patrol: break
      case .park: park(nanoseconds: nanoseconds)
      }
      return idleResult()
    }
  }

  /// What an idle reader answers after its look at the ring's health.
  @usableFromInline
  func idleResult() -> RingPoll {
    guard !hasNext, let halt = checkHealth() else { return .empty }
    return .halted(halt)
  }
}

@usableFromInline
func yieldProcessor() { sched_yield() }
