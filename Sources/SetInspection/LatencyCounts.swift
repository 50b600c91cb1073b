import LatencyHistogram

/// A stage's latency histogram as it was at one moment: kernel receive stamp to the stage's output.
public struct LatencyCounts: Sendable {
  private var counts: [UInt64]
  /// The longest since the set was made, ns. Of a difference: the upper bound of its highest bucket.
  public private(set) var maximum: UInt64

  public init(_ histogram: LatencyHistogram) {
    counts = (0..<LatencyHistogram.bucketCount).map { histogram.count(inBucket: $0) }
    maximum = histogram.maximum
  }

  /// Each bucket that is not empty, rising: the largest value that falls into it, and its count.
  func forEachBucket(_ body: (_ value: UInt64, _ count: UInt64) -> Void) {
    for bucket in counts.indices where counts[bucket] > 0 {
      body(LatencyHistogram.upperBound(of: bucket), counts[bucket])
    }
  }

  /// Durations counted.
  public var count: UInt64 { counts.reduce(0, &+) }

  /// What was counted after `earlier`; everything if the page was made anew meanwhile.
  public func since(_ earlier: LatencyCounts) -> LatencyCounts {
    guard zip(counts, earlier.counts).allSatisfy({ $0 >= $1 }) else { return self }
    var difference = self
    for bucket in counts.indices { difference.counts[bucket] &-= earlier.counts[bucket] }
    let highest = difference.counts.lastIndex { $0 > 0 }
    difference.maximum = min(maximum, highest.map { LatencyHistogram.upperBound(of: $0) } ?? 0)
    return difference
  }

  /// The durations that the fractions of all do not exceed, ns; zeros when nothing was counted. `quantiles` rise.
  public func values(at quantiles: [Double]) -> [UInt64] {
    let total = count
    guard total > 0 else { return quantiles.map { _ in 0 } }
    var results: [UInt64] = []
    var seen: UInt64 = 0
    var bucket = 0
    for quantile in quantiles {
      let rank = max(1, UInt64((Double(total) * min(max(quantile, 0), 1)).rounded(.up)))
      while bucket < counts.count, seen &+ counts[bucket] < rank {
        seen &+= counts[bucket]
        bucket += 1
      }
      results.append(min(LatencyHistogram.upperBound(of: min(bucket, counts.count - 1)), max(maximum, 1)))
    }
    return results
  }

  /// How many lasted no longer than each of the rising bounds (ns), those in a bucket that a bound divides not among them.
  public func cumulative(_ bounds: [UInt64]) -> [UInt64] {
    var results: [UInt64] = []
    var seen: UInt64 = 0
    var bucket = 0
    for bound in bounds {
      while bucket < counts.count, LatencyHistogram.upperBound(of: bucket) <= bound {
        seen &+= counts[bucket]
        bucket += 1
      }
      results.append(seen)
    }
    return results
  }

  /// The durations together, ns, each taken for the upper bound of its bucket: at most 1/32 too much.
  public var sum: UInt64 {
    counts.indices.reduce(0) { total, bucket in
      counts[bucket] == 0 ? total : total &+ counts[bucket] &* LatencyHistogram.upperBound(of: bucket)
    }
  }
}
