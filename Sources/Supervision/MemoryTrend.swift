/// Whether a process takes more and more memory, so that it will come to its limit: told while somebody can still do something.
///
/// Takes one figure a second, and keeps the newest ``count``. A process that has come up to what it needs stands still; one that
/// leaks has grown in nearly every second, and by about as much in each half of the time.
public struct MemoryTrend: Sendable, Equatable {
  /// How many figures a trend is taken from.
  public static let count = 16
  /// What is told is less than that away, seconds.
  public static let horizon: UInt64 = 60
  /// Less than that a second is nobody's leak: a stage that goes on for a day with it takes a few hundred megabytes.
  static let leastPerSecond: UInt64 = 4_096

  private var bytes: [UInt64] = []
  private var isTold = false

  public init() { bytes.reserveCapacity(Self.count) }

  /// A new incarnation of the process.
  public mutating func begin() { self = MemoryTrend() }

  /// Takes the figure of one more second.
  /// - Parameters:
  ///   - used: bytes that the process has to itself.
  ///   - left: bytes that its control group may still take; nil without a limit.
  /// - Returns: seconds until it comes to its limit, and its growth in bytes a second, once for each process; else nil.
  public mutating func take(used: UInt64, left: UInt64?) -> (seconds: UInt64, perSecond: UInt64)? {
    if bytes.count == Self.count { bytes.removeFirst() }
    bytes.append(used)
    guard !isTold, let left, bytes.count == Self.count, let first = bytes.first, used > first else {
      return nil
    }
    let middle = bytes[Self.count / 2]
    var grown = 0
    for index in bytes.indices.dropFirst() where bytes[index] > bytes[index - 1] { grown += 1 }
    guard grown >= Self.count * 3 / 4, middle > first else { return nil }
    let seconds = UInt64(Self.count - 1)
    let perSecond = (used - first) / seconds
    let late = (used - min(middle, used)) / (seconds - UInt64(Self.count / 2))
    guard perSecond >= Self.leastPerSecond, late >= perSecond / 2 else { return nil }
    guard left / perSecond <= Self.horizon else { return nil }
    isTold = true
    return (left / perSecond, perSecond)
  }
}
