/// When a successor that has caught up takes the next piece of memory that it has not needed so far: each piece takes the kernel some
/// tenths of a millisecond, in which the stream waits. A pure core.
public struct MemoryPace {
  /// Half a gigabyte is there after a second, and nothing waits for more than one piece.
  static let interval: UInt64 = 5_000_000
  private var next: UInt64?

  /// - Parameter isLater: nothing is left to be taken where it is false
  public init(isLater: Bool) { next = isLater ? 0 : nil }

  /// Whether all is taken.
  public var isOver: Bool { next == nil }

  /// Whether a piece is due.
  /// - Parameter now: ns; never less than in a call before
  public func isDue(_ now: UInt64) -> Bool { next.map { now >= $0 } ?? false }

  /// One was taken.
  /// - Parameter hasMore: whether it was not the last
  public mutating func took(hasMore: Bool, _ now: UInt64) { next = hasMore ? now &+ Self.interval : nil }
}
