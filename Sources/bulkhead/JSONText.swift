/// Writes JSON: objects, arrays, strings, integers, numbers. Order of keys is the order of the calls.
struct JSONText {
  private(set) var text = ""
  private var needsComma = false

  private mutating func separate() {
    if needsComma { text += "," }
    needsComma = true
  }

  /// An object; `key` is nil for the outermost or one in an array.
  mutating func object(_ key: String? = nil, _ body: (inout JSONText) -> Void) {
    separate()
    if let key { text += Self.quoted(key) + ":" }
    text += "{"
    needsComma = false
    body(&self)
    text += "}"
    needsComma = true
  }

  mutating func array(_ key: String, _ body: (inout JSONText) -> Void) {
    separate()
    text += Self.quoted(key) + ":["
    needsComma = false
    body(&self)
    text += "]"
    needsComma = true
  }

  mutating func field(_ key: String, _ value: String) { raw(key, Self.quoted(value)) }
  mutating func field(_ key: String, _ value: UInt64) { raw(key, String(value)) }
  mutating func field(_ key: String, _ value: Int) { raw(key, String(value)) }
  mutating func field(_ key: String, _ value: Bool) { raw(key, value ? "true" : "false") }

  /// A number with three decimals.
  mutating func field(_ key: String, _ value: Double) {
    let thousandths = Int64((value.isFinite ? value : 0) * 1000)
    let fraction = String(abs(thousandths % 1000))
    let sign = thousandths < 0 ? "-" : ""
    raw(
      key,
      sign + String(abs(thousandths / 1000)) + "." + String(repeating: "0", count: 3 - fraction.count)
        + fraction)
  }

  /// A string in an array.
  mutating func element(_ value: String) {
    separate()
    text += Self.quoted(value)
  }

  /// A value that is JSON already.
  mutating func raw(_ key: String, _ value: String) {
    separate()
    text += Self.quoted(key) + ":" + value
  }

  static func quoted(_ value: String) -> String {
    var result = "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\t": result += "\\t"
      case "\r": result += "\\r"
      default:
        if scalar.value < 0x20 {
          let digits = String(scalar.value, radix: 16)
          result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        } else {
          result.unicodeScalars.append(scalar)
        }
      }
    }
    return result + "\""
  }
}

/// Sixteen lower-case hexadecimal digits.
func hexadecimal(_ value: UInt64) -> String {
  let digits = String(value, radix: 16)
  return String(repeating: "0", count: 16 - digits.count) + digits
}

/// "1,234,567".
func grouped(_ value: UInt64) -> String {
  var result = ""
  let digits = String(value)
  for (index, digit) in digits.enumerated() {
    if index > 0, (digits.count - index) % 3 == 0 { result.append(",") }
    result.append(digit)
  }
  return result
}

/// "812 ns", "41.2 µs", "3.40 ms", "1.20 s".
func duration(_ nanoseconds: UInt64) -> String {
  func scaled(_ divisor: UInt64, _ unit: String) -> String {
    let hundredths = nanoseconds * 100 / divisor
    let fraction = hundredths % 100
    return "\(hundredths / 100).\(fraction < 10 ? "0" : "")\(fraction) \(unit)"
  }
  switch nanoseconds {
  case 0..<1_000: return "\(nanoseconds) ns"
  case 1_000..<1_000_000: return scaled(1_000, "µs")
  case 1_000_000..<1_000_000_000: return scaled(1_000_000, "ms")
  case 1_000_000_000..<(UInt64.max / 100): return scaled(1_000_000_000, "s")
  default: return "\(nanoseconds / 1_000_000_000) s"
  }
}
