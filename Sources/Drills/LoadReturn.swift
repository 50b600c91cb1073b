/// What stages did within some milliseconds: those that are watched, together.
public struct LoadWindow: Sendable, Equatable {
  /// 99th percentile of a stage's loop latency, in nanoseconds, and the turns that it is of.
  public struct Latency: Sendable, Equatable {
    public let stage: String
    public let nanoseconds: UInt64
    public let turns: UInt64

    public init(stage: String, nanoseconds: UInt64, turns: UInt64) {
      self.stage = stage
      self.nanoseconds = nanoseconds
      self.turns = turns
    }
  }

  /// Fewer turns are none to speak of. (A receiver takes many packets in one; a percentile of a few turns is the longest of them.)
  public static let fewestTurns: UInt64 = 5

  /// Cells that they were behind on their input rings, all together, at the window's end. Who of them it is that the others wait
  /// for is another one from moment to moment.
  public let lag: UInt64
  public let latencies: [Latency]

  public init(lag: UInt64, latencies: [Latency]) {
    self.lag = lag
    self.latencies = latencies
  }

  /// Whether every stage turned often enough for a percentile.
  var counts: Bool { latencies.allSatisfy { $0.turns >= Self.fewestTurns } }
}

/// What is usual before a fault, and how far above it is still "back" (C12).
///
/// At full load on shared cores single windows differ much, so what is usual is a distribution: of the windows before
/// the fault the value that 95 % do not exceed, of the lag and of each stage's latency. "Back" is at most a tenth above.
public struct UsualLoad: Sendable, Equatable {
  /// Windows with percentiles that are wanted.
  public static let fewestWindows = 20

  /// The most that is "back", in cells.
  public let lagLimit: UInt64
  /// The same of each stage's latency, in nanoseconds, in the order of the windows.
  public let latencyLimits: [UInt64]
  public let stages: [String]

  /// Nil with too few windows to say what is usual.
  public init?(_ windows: [LoadWindow]) {
    let counted = windows.filter(\.counts)
    guard let latencies = counted.first?.latencies, !latencies.isEmpty, counted.count >= Self.fewestWindows
    else { return nil }
    stages = latencies.map(\.stage)
    lagLimit = Self.limit(counted.map(\.lag))
    latencyLimits = latencies.indices.map { index in
      Self.limit(counted.compactMap { index < $0.latencies.count ? $0.latencies[index].nanoseconds : nil })
    }
  }

  private static func limit(_ values: [UInt64]) -> UInt64 {
    guard let usual = values.sorted().ranked(950) else { return 0 }
    let (sum, isTooLarge) = usual.addingReportingOverflow(usual / 10)
    return isTooLarge ? .max : sum
  }

  /// What is beyond its limit in a window; nil when nothing is.
  func excess(of window: LoadWindow) -> String? {
    if window.lag > lagLimit { return "\(window.lag) cells behind, usual up to \(lagLimit)" }
    for (latency, limit) in zip(window.latencies, latencyLimits) where latency.turns >= LoadWindow.fewestTurns
    {
      if latency.nanoseconds > limit {
        return "\(latency.stage) p99 \(latency.nanoseconds / 1_000) µs, usual up to \(limit / 1_000) µs"
      }
    }
    return nil
  }
}

/// How a kill's aftermath ended, as far as load goes.
public enum LoadReturn: Sendable, Equatable {
  /// Lag and latency of the stage and of those behind it were as before in three windows one after the other.
  case back
  /// They were not within ``LoadReturnWatch/limitNanoseconds`` of READY; what was not, last.
  case late(String)
  /// The next blow or the day's end came before either: not judged.
  case cut
  /// There was no time to see what is usual: not judged.
  case noUsual

  /// For a record.
  public var words: String {
    switch self {
    case .back: "back"
    case .late(let what): "late: \(what)"
    case .cut: "cut short"
    case .noUsual: "nothing usual known"
    }
  }
}

/// Follows the windows behind a READY until load is as before, or it is too late. No clock of its own.
public struct LoadReturnWatch: Sendable {
  public static let limitNanoseconds: UInt64 = 5_000_000_000
  /// One good window may be luck.
  public static let windowsInARow = 3

  private let usual: UsualLoad?
  private let readyAt: UInt64
  /// When the present row of good windows began, and how long it is.
  private var row: (since: UInt64, length: Int) = (0, 0)
  private var lastExcess = "no window with enough turns"
  /// The end of the first good window of the row, from READY; nil before it is back.
  public private(set) var settledAfter: UInt64?
  public private(set) var result: LoadReturn?

  public init(usual: UsualLoad?, readyAt: UInt64) {
    self.usual = usual
    self.readyAt = readyAt
    if usual == nil { result = .noUsual }
  }

  /// Takes the window that ended at that instant. A row is broken by a window that exceeds, and is not made longer by one with too few
  /// turns: a stage that does nothing is not back.
  public mutating func take(_ window: LoadWindow, endingAt instant: UInt64) {
    guard result == nil, let usual else { return }
    if let excess = usual.excess(of: window) {
      lastExcess = excess
      row = (0, 0)
    } else if window.counts {
      if row.length == 0 { row.since = instant }
      row.length += 1
    }
    if row.length >= Self.windowsInARow {
      settledAfter = row.since > readyAt ? row.since - readyAt : 0
      result = .back
    } else if instant > readyAt, instant - readyAt > Self.limitNanoseconds {
      result = .late(lastExcess)
    }
  }
}
