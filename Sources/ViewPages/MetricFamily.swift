/// One metric with all its samples, as Prometheus understands it.
public struct MetricFamily: Equatable, Sendable {
  public enum Kind: String, Sendable {
    case counter, gauge, histogram, summary
    /// Facts that are told by labels; the value is 1.
    case info
  }

  public struct Sample: Equatable, Sendable {
    /// What follows the family's name: "" or "_bucket", "_count", "_sum". That of the kind (`_total`, `_info`) is not part of it.
    public let suffix: String
    public let labels: [(name: String, value: String)]
    public let value: MetricValue

    public static func == (left: Sample, right: Sample) -> Bool {
      left.suffix == right.suffix && left.value == right.value
        && left.labels.elementsEqual(right.labels, by: { $0.name == $1.name && $0.value == $1.value })
    }
  }

  /// Without `_total` and `_info`.
  public let name: String
  public let help: String
  public let kind: Kind
  public private(set) var samples: [Sample] = []

  public init(_ name: String, _ kind: Kind, _ help: String) {
    self.name = name
    self.kind = kind
    self.help = help
  }

  /// The name under which samples and rules know it.
  public var sampleName: String {
    switch kind {
    case .counter: name + "_total"
    case .info: name + "_info"
    case .gauge, .histogram, .summary: name
    }
  }

  /// The last word of a name that is one of the base units.
  public var unit: String? {
    let last = name.split(separator: "_").last.map(String.init) ?? ""
    return ["seconds", "bytes", "ratio"].contains(last) ? last : nil
  }

  public mutating func add(_ value: MetricValue, _ labels: [(name: String, value: String)] = []) {
    samples.append(Sample(suffix: "", labels: labels, value: value))
  }

  public mutating func add(
    suffix: String, _ value: MetricValue, _ labels: [(name: String, value: String)] = []
  ) {
    samples.append(Sample(suffix: suffix, labels: labels, value: value))
  }
}

/// A number, kept exact: integers up to 2^64, durations in nanoseconds, ratios in millionths.
public enum MetricValue: Equatable, Sendable {
  case count(UInt64)
  case flag(Bool)
  /// Shown in seconds.
  case nanoseconds(UInt64)
  /// Parts of a million, shown as a ratio.
  case millionths(UInt64)

  /// As text: digits, with a fraction that ends with its last digit that is not zero.
  public var text: String {
    switch self {
    case .count(let value): String(value)
    case .flag(let value): value ? "1" : "0"
    case .nanoseconds(let value): Self.fixed(value, decimals: 9)
    case .millionths(let value): Self.fixed(value, decimals: 6)
    }
  }

  private static func fixed(_ value: UInt64, decimals: Int) -> String {
    var digits = String(value)
    if digits.utf8.count <= decimals {
      digits = String(repeating: "0", count: decimals + 1 - digits.utf8.count) + digits
    }
    var fraction = digits.suffix(decimals)
    while fraction.last == "0" { fraction.removeLast() }
    return String(digits.dropLast(decimals)) + (fraction.isEmpty ? "" : "." + fraction)
  }
}
