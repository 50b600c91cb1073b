/// A stretch of CLOCK_MONOTONIC, in nanoseconds; its end is not a part of it.
public struct Stretch: Sendable, Equatable {
  public let from, to: UInt64

  public init(from: UInt64, to: UInt64) {
    self.from = from
    self.to = max(from, to)
  }

  public var nanoseconds: UInt64 { to - from }

  /// What both have; empty where they do not meet.
  func common(_ other: Stretch) -> Stretch {
    Stretch(from: max(from, other.from), to: min(to, other.to))
  }
}

/// When a machine stood still: stretches in which none of its cores ran anything. That is the doing of whoever runs the machine (a
/// hypervisor that takes all virtual processors away at once), never of a process on it; what one core alone shows may be.
public struct MachineStalls: Sendable, Equatable {
  /// In order, without overlaps.
  public let stretches: [Stretch]

  /// - Parameter cores: of each core the stretches in which it ran nothing, in order and without overlaps; none: nothing is known.
  public init(cores: [[Stretch]]) {
    stretches = Self.common(cores) { $0.common($1) }
  }

  /// - Parameters:
  ///   - cores: as above.
  ///   - wakings: of each core every late waking, from the instant that was due to the one at which it came. Where all cores woke at the
  ///     same instant, whoever runs the machine woke them, also where the interrupt had come in time and only its thread had not: what
  ///     holds up one core in the kernel does not end on the other at that instant.
  public init(cores: [[Stretch]], wakings: [[Stretch]]) {
    // One core alone says nothing of the others.
    let resumed =
      wakings.count < 2
      ? []
      : Self.common(wakings) { left, right in
        let apart = max(left.to, right.to) - min(left.to, right.to)
        return apart <= Self.sameInstant ? left.common(right) : Stretch(from: left.from, to: left.from)
      }
    stretches = Self.union(Self.common(cores) { $0.common($1) }, resumed)
  }

  /// How far apart the cores of a machine may begin to run again, in nanoseconds.
  static let sameInstant: UInt64 = 500_000

  /// What all cores have.
  private static func common(_ cores: [[Stretch]], _ meet: (Stretch, Stretch) -> Stretch) -> [Stretch] {
    cores.dropFirst().reduce(cores.first ?? []) { all, core in
      var result: [Stretch] = []
      var (left, right) = (0, 0)
      while left < all.count, right < core.count {
        let common = meet(all[left], core[right])
        if common.nanoseconds > 0 { result.append(common) }
        if all[left].to < core[right].to { left += 1 } else { right += 1 }
      }
      return result
    }
  }

  /// What is in either, in order and without overlaps.
  private static func union(_ left: [Stretch], _ right: [Stretch]) -> [Stretch] {
    (left + right).sorted { $0.from < $1.from }.reduce(into: []) { all, next in
      if let last = all.last, next.from <= last.to {
        all[all.count - 1] = Stretch(from: last.from, to: max(last.to, next.to))
      } else {
        all.append(next)
      }
    }
  }

  public var total: UInt64 { stretches.reduce(0) { $0 &+ $1.nanoseconds } }
  public var longest: UInt64 { stretches.map(\.nanoseconds).max() ?? 0 }

  /// For how long of a stretch the machine stood still, in nanoseconds.
  public func within(_ stretch: Stretch) -> UInt64 {
    stretches.reduce(0) { $0 &+ stretch.common($1).nanoseconds }
  }

  /// The same of a stretch that is so long and ends somewhere from `earliest` to `latest`: the most that it may have been.
  public func most(of length: UInt64, endingFrom earliest: UInt64, to latest: UInt64) -> UInt64 {
    // Moving it on, it may lose something only behind a standstill's end: the most lies there, or at the ends of what is asked for.
    let ends = [earliest, latest] + stretches.map(\.to).filter { $0 > earliest && $0 < latest }
    return ends.reduce(0) { most, end in
      max(most, within(Stretch(from: end > length ? end - length : 0, to: end)))
    }
  }
}

/// What one core's watcher makes of its wakings: it sleeps to one instant after another, and is late when the core did not run it.
public struct CoreWatch: Sendable {
  /// From one instant to the next, in nanoseconds.
  public static let interval: UInt64 = 1_000_000
  /// How late a waking is that says something.
  public static let late: UInt64 = 1_000_000
  /// So many fill it; who watches further would forget.
  public static let capacity = 200_000

  public private(set) var stretches: [Stretch] = []
  /// Every late waking, from when it was due, whatever it waited for.
  public private(set) var wakings: [Stretch] = []
  public private(set) var isFull = false
  private var delayed: UInt64?

  public init() {
    stretches.reserveCapacity(1_024)
    wakings.reserveCapacity(1_024)
  }

  /// The next instant to sleep to.
  public static func due(after now: UInt64) -> UInt64 { (now / interval &+ 1) &* interval }

  /// Takes a waking.
  /// - Parameters:
  ///   - due: the instant that it was to come at.
  ///   - woke: when it came.
  ///   - delay: for how long the kernel has had the thread wait for the core since it began, in nanoseconds. Of a late waking only what
  ///     lies before that wait counts: the core took the interrupt at its end, and what it did since then was a process's or the
  ///     kernel's own.
  public mutating func take(due: UInt64, woke: UInt64, delay: UInt64) {
    let waited = delay &- (delayed ?? delay)
    delayed = delay
    guard woke > due, woke - due >= Self.late else { return }
    guard wakings.count < Self.capacity else {
      isFull = true
      return
    }
    wakings.append(Stretch(from: due, to: woke))
    if waited < woke - due { stretches.append(Stretch(from: due, to: woke - waited)) }
  }
}
