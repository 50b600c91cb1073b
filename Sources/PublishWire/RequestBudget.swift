/// How many requests a client may make: a store that fills at a steady rate. Reads no clock.
public struct RequestBudget: Sendable {
  /// Requests that may come at once.
  public static let burst = 64
  /// Requests a second in the long run.
  public static let perSecond = 16

  private var stored = Self.burst
  private var since: UInt64?

  public init() {}

  /// Takes one request out; false when there is none left.
  /// - Parameter now: a monotonic clock, ns.
  public mutating func take(at now: UInt64) -> Bool {
    let nanoseconds = 1_000_000_000 / UInt64(Self.perSecond)
    let start = since ?? now
    let grown = now > start ? (now - start) / nanoseconds : 0
    if grown >= UInt64(Self.burst - stored) {
      stored = Self.burst
      since = now
    } else {
      stored += Int(grown)
      since = start + grown * nanoseconds
    }
    guard stored > 0 else { return false }
    stored -= 1
    return true
  }
}
