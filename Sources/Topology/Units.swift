// Durations and sizes as the file writes them: a whole number and a unit.

/// What a text says as a duration or a size.
enum Quantity: Equatable {
  /// Nanoseconds or bytes.
  case value(UInt64)
  /// Well-formed, but below the smallest: zero or negative.
  case notPositive
  /// Not of the form; with what was probably meant.
  case malformed(suggestion: String?)
}

/// A family of units.
struct UnitFamily {
  /// From the smallest (factor 1) to the largest.
  let units: [(name: String, factor: UInt64)]
  /// What people write instead (lower case), and the unit that they mean.
  let aliases: [String: String]

  static let durations = UnitFamily(
    units: [
      ("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000),
      ("h", 3_600_000_000_000),
    ],
    aliases: [
      "nsec": "ns", "nanos": "ns", "nanoseconds": "ns", "usec": "us", "µs": "us", "μs": "us",
      "micros": "us", "microseconds": "us", "msec": "ms", "millis": "ms", "milliseconds": "ms",
      "sec": "s", "secs": "s", "second": "s", "seconds": "s", "min": "m", "mins": "m", "minute": "m",
      "minutes": "m", "hr": "h", "hour": "h", "hours": "h",
    ])

  static let sizes = UnitFamily(
    units: [
      ("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40),
    ],
    aliases: [
      "byte": "B", "bytes": "B", "k": "KiB", "kb": "KiB", "ki": "KiB", "m": "MiB", "mb": "MiB",
      "mi": "MiB", "g": "GiB", "gb": "GiB", "gi": "GiB", "t": "TiB", "tb": "TiB", "ti": "TiB",
    ])

  /// Reads a whole number and a unit, nothing before, between or after them.
  func parse(_ text: String) -> Quantity {
    let isNegative = text.hasPrefix("-")
    let unsigned = isNegative ? text.dropFirst() : text[...]
    let digits = unsigned.prefix { $0.isASCII && $0.isNumber }
    let unit = unsigned.dropFirst(digits.count)
    guard !digits.isEmpty, let factor = units.first(where: { $0.name == unit })?.factor else {
      return .malformed(suggestion: suggestion(unsigned))
    }
    guard let number = UInt64(digits) else { return .malformed(suggestion: nil) }
    if isNegative || number == 0 { return .notPositive }
    let (value, overflow) = number.multipliedReportingOverflow(by: factor)
    return overflow || value > UInt64(Int64.max) ? .malformed(suggestion: nil) : .value(value)
  }

  /// The shortest exact form: 1500000 is `1500us`.
  func format(_ value: UInt64) -> String {
    let unit = units.last { value >= $0.factor && value % $0.factor == 0 } ?? units[0]
    return "\(value / unit.factor)\(unit.name)"
  }

  /// What was probably meant: a known alias of a unit, another case, spaces, or a decimal fraction.
  private func suggestion(_ text: Substring) -> String? {
    let compact = text.filter { $0 != " " && $0 != "_" }
    let number = compact.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    let written = String(compact.dropFirst(number.count))
    let lower = written.lowercased()
    let exact = units.first { $0.name == written } ?? units.first { $0.name.lowercased() == lower }
    guard let unit = exact ?? units.first(where: { $0.name == aliases[lower] }) else { return nil }
    let parts = number.split(separator: ".", omittingEmptySubsequences: false)
    guard let whole = parts.first.flatMap({ UInt64($0) }), parts.count <= 2 else { return nil }
    if parts.count == 1 { return whole > 0 ? "\(whole)\(unit.name)" : nil }
    guard let fraction = UInt64(parts[1]), parts[1].count <= 9 else { return nil }
    let scale = (0..<parts[1].count).reduce(UInt64(1)) { product, _ in product * 10 }
    let (wholePart, overflow) = whole.multipliedReportingOverflow(by: unit.factor)
    let (scaled, fractionOverflow) = fraction.multipliedReportingOverflow(by: unit.factor)
    let (value, sumOverflow) = wholePart.addingReportingOverflow(scaled / scale)
    guard !overflow, !fractionOverflow, !sumOverflow, scaled % scale == 0, value > 0 else { return nil }
    return format(value)
  }
}

/// A size for people: two decimals from 1 KiB on, as in `1.50 GiB`.
func readableSize(_ bytes: Int) -> String {
  let units = UnitFamily.sizes.units
  let magnitude = UInt64(bytes.magnitude)
  guard let unit = units.last(where: { magnitude >= $0.factor }), unit.factor > 1 else { return "\(bytes) B" }
  let whole = magnitude / unit.factor
  let rest = magnitude % unit.factor
  if rest == 0 { return "\(whole) \(unit.name)" }
  // The remainder is below 2^40, so that its hundredfold fits.
  let hundredths = rest * 100 / unit.factor
  return "\(whole).\(hundredths < 10 ? "0" : "")\(hundredths) \(unit.name)"
}
