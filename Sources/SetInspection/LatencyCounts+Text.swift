import LatencyHistogram

extension LatencyCounts {
  /// The whole distribution as the percentile output of HdrHistogram, which its plotters read: a line for each value that occurs, in
  /// nanoseconds.
  public var percentileText: String {
    let total = count
    var text = Self.left("Value", 12) + " " + Self.left("Percentile", 14) + " " + Self.left("TotalCount", 10)
    text += " " + Self.left("1/(1-Percentile)", 14) + "\n\n"
    var seen: UInt64 = 0
    var sum = 0.0
    var squares = 0.0
    forEachBucket { value, count in
      seen &+= count
      let value = min(value, max(maximum, 1))
      sum += Double(value) * Double(count)
      squares += Double(value) * Double(value) * Double(count)
      text += Self.left(Self.fixed(Double(value), 3), 12) + " "
      text += Self.left(Self.fixed(Double(seen) / Double(total), 12), 14) + " "
      text += Self.left(String(seen), 10)
      let rest = total - min(seen, total)
      text += rest == 0 ? "\n" : " " + Self.left(Self.fixed(Double(total) / Double(rest), 2), 14) + "\n"
    }
    let mean = total == 0 ? 0 : sum / Double(total)
    let variance = total == 0 ? 0 : max(0, squares / Double(total) - mean * mean)
    text += "#[Mean    = " + Self.left(Self.fixed(mean, 3), 12) + ", StdDeviation   = "
    text += Self.left(Self.fixed(variance.squareRoot(), 3), 12) + "]\n"
    text += "#[Max     = " + Self.left(Self.fixed(Double(maximum), 3), 12) + ", Total count    = "
    text += Self.left(String(total), 12) + "]\n"
    // Powers of two, and the linear steps within one.
    text += "#[Buckets = " + Self.left("59", 12) + ", SubBuckets     = " + Self.left("32", 12) + "]\n"
    return text
  }

  /// How many lasted 2^(n-1) ..< 2^n ns, for n in a range; what is outside of it is in the first and the last.
  public func powers(_ range: ClosedRange<Int>) -> [UInt64] {
    var powers = [UInt64](repeating: 0, count: range.count)
    forEachBucket { value, count in
      let power = min(max(64 - value.leadingZeroBitCount, range.lowerBound), range.upperBound)
      powers[power - range.lowerBound] &+= count
    }
    return powers
  }

  private static func left(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.utf8.count)) + text
  }

  /// A number that is not negative, with so many decimals, rounded.
  private static func fixed(_ value: Double, _ decimals: Int) -> String {
    let whole = value.rounded(.down)
    var scale = 1.0
    for _ in 0..<decimals { scale *= 10 }
    var fraction = ((value - whole) * scale).rounded()
    var integer = UInt64(exactly: min(whole, 9e18)) ?? 0
    if fraction >= scale {
      fraction = 0
      integer += 1
    }
    let digits = String(UInt64(exactly: fraction) ?? 0)
    return "\(integer)." + String(repeating: "0", count: decimals - digits.utf8.count) + digits
  }
}
