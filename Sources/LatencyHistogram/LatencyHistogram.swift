/// A fixed-size log-linear histogram of durations in nanoseconds, in memory that the caller provides, so that
/// it may lie in a page that another process reads. Values up to 31 are exact; above, a bucket is at most 1/32
/// of its value wide. Counts, never averages of percentiles: two histograms are merged by adding.
///
/// One writer; readers may look at any time and see each count either before or after an increment.
@frozen
public struct LatencyHistogram: @unchecked Sendable {
  /// Linear buckets per power of two, as a shift.
  @usableFromInline static let precisionBits = 5
  /// Number of 64-bit counts.
  public static let bucketCount = (64 - precisionBits + 1) << precisionBits
  /// Bytes of the memory that ``init(memory:)`` wants.
  public static let byteCount = bucketCount * 8 + 16

  @usableFromInline let counts: UnsafeMutablePointer<UInt64>

  /// - Parameter memory: ``byteCount`` bytes, 8-byte aligned, zeroed before first use; must outlive the value.
  @inlinable
  public init(memory: UnsafeMutableRawPointer) {
    counts = memory.assumingMemoryBound(to: UInt64.self)
  }

  @inlinable @inline(__always)
  static func bucket(of value: UInt64) -> Int {
    guard value >= 32 else { return Int(truncatingIfNeeded: value) }
    let exponent = 63 &- value.leadingZeroBitCount
    let shift = exponent &- precisionBits
    return ((shift &+ 1) << precisionBits) &+ (Int(truncatingIfNeeded: value >> UInt64(shift)) & 31)
  }

  /// The largest value that falls into a bucket.
  public static func upperBound(of bucket: Int) -> UInt64 {
    guard bucket >= 32 else { return UInt64(bucket) }
    let shift = UInt64((bucket >> precisionBits) - 1)
    let mantissa = UInt64(bucket & 31) + 32
    return (mantissa << shift) + ((1 << shift) - 1)
  }

  /// Counts one duration.
  @inlinable @inline(__always)
  public func record(_ nanoseconds: UInt64) {
    counts[Self.bucket(of: nanoseconds)] &+= 1
    counts[Self.bucketCount] &+= 1
    if nanoseconds > counts[Self.bucketCount &+ 1] { counts[Self.bucketCount &+ 1] = nanoseconds }
  }

  /// Durations counted.
  public var count: UInt64 { counts[Self.bucketCount] }
  /// Durations in one bucket; `bucket` is 0 ..< ``bucketCount``.
  public func count(inBucket bucket: Int) -> UInt64 {
    precondition((0..<Self.bucketCount).contains(bucket))
    return counts[bucket]
  }
  /// The longest duration, exact.
  public var maximum: UInt64 { counts[Self.bucketCount + 1] }

  /// Durations of at most `nanoseconds`: exact for one less than a power of two, else up to the end of its bucket.
  public func count(atMost nanoseconds: UInt64) -> UInt64 {
    var total: UInt64 = 0
    for bucket in 0...Self.bucket(of: nanoseconds) { total &+= counts[bucket] }
    return total
  }

  /// The duration that the fraction `quantile` of all does not exceed (upper bound of its bucket, at most the
  /// maximum); 0 when nothing was counted.
  public func value(at quantile: Double) -> UInt64 { sample().value(at: quantile) }

  /// The counts as they are now.
  public func sample() -> HistogramSample {
    HistogramSample(
      counts: Array(UnsafeBufferPointer(start: counts, count: Self.bucketCount)), maximum: maximum)
  }
}

/// What a histogram held at one moment, or between two. The memory it came from may be damaged: any counts will do.
public struct HistogramSample: Sendable {
  let counts: [UInt64]
  /// The longest duration, exact; of a difference the upper bound of its bucket.
  public let maximum: UInt64
  /// Durations counted.
  public let count: UInt64

  init(counts: [UInt64], maximum: UInt64) {
    self.counts = counts
    self.maximum = maximum
    count = counts.reduce(0, &+)
  }

  /// What was counted since an earlier sample of the same histogram; a count that is less than it was counts as none.
  public func since(_ earlier: HistogramSample) -> HistogramSample {
    let difference = zip(counts, earlier.counts).map { $0 > $1 ? $0 &- $1 : 0 }
    let last = difference.lastIndex { $0 > 0 }
    return HistogramSample(
      counts: difference, maximum: last.map { min(LatencyHistogram.upperBound(of: $0), maximum) } ?? 0)
  }

  /// As ``LatencyHistogram/value(at:)``.
  public func value(at quantile: Double) -> UInt64 {
    guard count > 0 else { return 0 }
    let share = (Double(count) * min(max(quantile, 0), 1)).rounded(.up)
    let rank = max(1, UInt64(exactly: share) ?? count)
    var seen: UInt64 = 0
    for bucket in counts.indices {
      seen &+= counts[bucket]
      if seen >= rank { return min(LatencyHistogram.upperBound(of: bucket), max(maximum, 1)) }
    }
    return maximum
  }
}
