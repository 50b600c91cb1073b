/// The durations that a kill is judged by.
public enum KillMetric: String, Sendable, CaseIterable {
  /// From the kill to the supervisor's first record of it.
  case detect
  /// From the record of the confirmed death to the first beat of the successor.
  case restart
  /// From the kill to the successor's READY.
  case recover
  /// From the kill to the next record that the successor puts out.
  case flow
}

/// What was seen of one kill. Instants are nanoseconds of CLOCK_MONOTONIC.
public struct KillMeasurement: Sendable, Equatable {
  public let component: String
  public let round: Int
  public let killedAt: UInt64
  /// Durations in nanoseconds; a metric that does not apply, or was never seen, is missing.
  public private(set) var nanoseconds: [KillMetric: UInt64] = [:]
  /// The cause of death as the supervisor read it; empty when nobody recorded one.
  public var cause = ""

  public init(component: String, round: Int, killedAt: UInt64) {
    self.component = component
    self.round = round
    self.killedAt = killedAt
  }

  /// Takes down the duration from `from` to `to`; an instant of 0 was not seen. One that lies before (the clock is read
  /// by two processes) counts as none.
  public mutating func set(_ metric: KillMetric, from: UInt64, to: UInt64) {
    guard from > 0, to > 0 else { return }
    nanoseconds[metric] = to > from ? to - from : 0
  }
}

/// A distribution of durations in full.
public struct Percentiles: Sendable, Equatable {
  public let count: Int
  public let p50, p99, maximum: UInt64

  /// Nil without values. A percentile is the smallest value that at least so many per cent do not exceed.
  public init?(_ values: [UInt64]) {
    guard !values.isEmpty else { return nil }
    let sorted = values.sorted()
    func at(_ percent: Int) -> UInt64 { sorted[max(0, (sorted.count * percent + 99) / 100 - 1)] }
    count = sorted.count
    p50 = at(50)
    p99 = at(99)
    maximum = sorted[sorted.count - 1]
  }
}
