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
  /// From the kill to the moment from which everybody can read that the component's output is stale; where the supervisor died as
  /// well, to the moment at which a client of the publisher was told.
  case stale
  /// From READY to lag and latency as they were before the kill (``LoadReturn``).
  case settle
  /// The longest time between two beats of a bystander, from the kill until all was as before, or the next blow; the machine's
  /// standstills are a part of it.
  case bystander
}

/// What was seen of one kill. Instants are nanoseconds of CLOCK_MONOTONIC.
public struct KillMeasurement: Sendable, Equatable {
  public let component: String
  public let round: Int
  public let killedAt: UInt64
  /// Of the process that was killed; 0 of more than one.
  public let pid: Int32
  /// Durations in nanoseconds; a metric that does not apply, or was never seen, is missing.
  public private(set) var nanoseconds: [KillMetric: UInt64] = [:]
  /// The cause of death as the supervisor read it; empty when nobody recorded one.
  public var cause = ""
  /// Whether the cause says anything: not of a death that nobody was there to write down.
  public var isCauseJudged = true
  /// The longest time between two beats of each bystander while the victim was replaced.
  public var bystanderGaps: [String: BystanderGap] = [:] {
    didSet { nanoseconds[.bystander] = bystanderGaps.values.map(\.longest).max() }
  }
  /// Whether lag and latency came back; nil where nobody looks.
  public var loadReturn: LoadReturn?

  public init(component: String, round: Int, killedAt: UInt64, pid: Int32 = 0) {
    self.component = component
    self.round = round
    self.killedAt = killedAt
    self.pid = pid
  }

  /// Takes down how the aftermath ended.
  public mutating func set(_ result: LoadReturn, settledAfter: UInt64?) {
    loadReturn = result
    nanoseconds[.settle] = settledAfter
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
    count = sorted.count
    p50 = sorted.ranked(500) ?? 0
    p99 = sorted.ranked(990) ?? 0
    maximum = sorted[sorted.count - 1]
  }
}

extension [UInt64] {
  /// Of sorted values the smallest that at least so many of a thousand do not exceed; nil without values.
  func ranked(_ perThousand: Int) -> UInt64? {
    isEmpty ? nil : self[Swift.max(0, (count * perThousand + 999) / 1_000 - 1)]
  }
}
