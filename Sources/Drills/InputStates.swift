/// What a client was told of its publisher's input, and when.
public struct InputStates: Sendable, Equatable {
  private var changes: [(state: UInt8, at: UInt64)] = []

  public init() {}

  public static func == (left: InputStates, right: InputStates) -> Bool {
    left.changes.elementsEqual(right.changes, by: ==)
  }

  /// Takes a state (0: live) and when it came (CLOCK_MONOTONIC, ns), in that order.
  public mutating func take(_ state: UInt8, at instant: UInt64) {
    if changes.last?.state != state { changes.append((state, instant)) }
  }

  /// When it was told from that instant on that its input is not live: at once, when it knew that before; nil when it was not told.
  public func stale(since instant: UInt64) -> UInt64? {
    if let before = changes.last(where: { $0.at <= instant }), before.state != 0 { return instant }
    return changes.first { $0.at > instant && $0.state != 0 }?.at
  }
}
