/// Whether a component has become slow, against what it was like at first: told once when it begins, once more when it goes on
/// for long, and once when it is over.
///
/// Takes the 99th percentile of a window of about a second at a time. The first ``learning`` windows with enough in them make the
/// baseline, their median; from then on it stands, also under another supervisor, as long as the set's files do.
public struct LatencyWatch: Sendable {
  /// Windows that the baseline is made of.
  public static let learning = 10
  /// Samples without which a window says nothing.
  public static let leastSamples: UInt64 = 50
  /// So many windows in a row begin an episode, and end one.
  public static let windows = 3
  /// An episode that goes on for so many windows is an alarm.
  public static let windowsToAlarm = 30
  /// So many windows without enough in them end one: there is nothing that could be slow.
  static let windowsOfSilence = 10

  public enum Change: Sendable, Equatable {
    case learned
    /// The newest percentile, ns.
    case degraded(UInt64)
    case lasting(UInt64)
    case restored(UInt64)
  }

  /// How many times its baseline a component may take, and the least that is told at all, ns.
  public let factor: UInt64
  public let least: UInt64
  /// The median of the first windows, ns; 0 until there are enough of them.
  public private(set) var baseline: UInt64
  public private(set) var isDegraded: Bool
  private var learned: [UInt64] = []
  private var slow = 0
  private var calm = 0
  private var silent = 0

  /// - Parameters:
  ///   - baseline: what an earlier supervisor has learned; 0 for nothing.
  ///   - isDegraded: what it has said.
  public init(factor: UInt64, least: UInt64, baseline: UInt64 = 0, isDegraded: Bool = false) {
    self.factor = factor
    self.least = least
    self.baseline = baseline
    self.isDegraded = isDegraded && baseline > 0
  }

  /// What is too much, ns; 0 until there is a baseline.
  public var limit: UInt64 {
    guard baseline > 0 else { return 0 }
    let product = baseline.multipliedReportingOverflow(by: factor)
    return max(least, product.overflow ? .max : product.partialValue)
  }

  /// Takes a window.
  /// - Parameters:
  ///   - percentile: the 99th of its samples, ns.
  ///   - count: how many samples there were.
  public mutating func take(percentile: UInt64, count: UInt64) -> Change? {
    guard count >= Self.leastSamples else { return takeSilence() }
    silent = 0
    guard baseline > 0 else { return learn(percentile) }
    let wasSlow = slow
    slow = percentile > limit ? slow + 1 : isDegraded ? slow : 0
    calm = percentile <= limit / 2 ? calm + 1 : 0
    guard isDegraded else {
      guard slow >= Self.windows else { return nil }
      isDegraded = true
      calm = 0
      return .degraded(percentile)
    }
    if calm >= Self.windows { return restore(percentile) }
    return wasSlow < Self.windowsToAlarm && slow >= Self.windowsToAlarm ? .lasting(percentile) : nil
  }

  private mutating func takeSilence() -> Change? {
    guard isDegraded else {
      // Slow windows before it and after it are none in a row.
      slow = 0
      return nil
    }
    silent += 1
    return silent >= Self.windowsOfSilence ? restore(0) : nil
  }

  private mutating func restore(_ percentile: UInt64) -> Change {
    isDegraded = false
    (slow, calm, silent) = (0, 0, 0)
    return .restored(percentile)
  }

  private mutating func learn(_ percentile: UInt64) -> Change? {
    learned.append(percentile)
    guard learned.count >= Self.learning else { return nil }
    baseline = max(1, learned.sorted()[learned.count / 2])
    learned = []
    return .learned
  }
}
