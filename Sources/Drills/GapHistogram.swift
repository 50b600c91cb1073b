/// How old beats were, in coarse classes that are published as they are.
public struct GapHistogram: Sendable, Equatable {
  /// Upper ends in milliseconds; the last class is open.
  public static let milliseconds: [UInt64] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000]

  public private(set) var counts = [UInt64](repeating: 0, count: milliseconds.count + 1)
  public private(set) var longest: UInt64 = 0

  public init() {}

  /// Takes one age in nanoseconds.
  public mutating func record(_ nanoseconds: UInt64) {
    longest = max(longest, nanoseconds)
    let index = Self.milliseconds.firstIndex { nanoseconds < $0 * 1_000_000 } ?? Self.milliseconds.count
    counts[index] += 1
  }

  public var total: UInt64 { counts.reduce(0, +) }

  public static var columns: [String] {
    milliseconds.map { "<\($0) ms" } + ["longer"]
  }

  /// Shares in parts of a million, as many as there are classes.
  public var cells: [String] { counts.map(String.init) }
}
