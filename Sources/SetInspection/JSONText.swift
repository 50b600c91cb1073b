/// Writes JSON: objects, arrays, strings, integers, numbers. Order of keys is the order of the calls.
public struct JSONText {
  public private(set) var text = ""
  private var needsComma = false

  public init() {}

  private mutating func separate() {
    if needsComma { text += "," }
    needsComma = true
  }

  /// An object; `key` is nil for the outermost or one in an array.
  public mutating func object(_ key: String? = nil, _ body: (inout JSONText) -> Void) {
    separate()
    if let key { text += Self.quoted(key) + ":" }
    text += "{"
    needsComma = false
    body(&self)
    text += "}"
    needsComma = true
  }

  public mutating func array(_ key: String, _ body: (inout JSONText) -> Void) {
    separate()
    text += Self.quoted(key) + ":["
    needsComma = false
    body(&self)
    text += "]"
    needsComma = true
  }

  public mutating func field(_ key: String, _ value: String) { raw(key, Self.quoted(value)) }
  public mutating func field(_ key: String, _ value: UInt64) { raw(key, String(value)) }
  public mutating func field(_ key: String, _ value: Int) { raw(key, String(value)) }
  public mutating func field(_ key: String, _ value: Bool) { raw(key, value ? "true" : "false") }

  /// A number with three decimals.
  public mutating func field(_ key: String, _ value: Double) {
    let thousandths = Int64((value.isFinite ? value : 0) * 1000)
    let fraction = String(abs(thousandths % 1000))
    let sign = thousandths < 0 ? "-" : ""
    raw(
      key,
      sign + String(abs(thousandths / 1000)) + "." + String(repeating: "0", count: 3 - fraction.count)
        + fraction)
  }

  /// A string in an array.
  public mutating func element(_ value: String) {
    separate()
    text += Self.quoted(value)
  }

  /// A value that is JSON already.
  public mutating func raw(_ key: String, _ value: String) {
    separate()
    text += Self.quoted(key) + ":" + value
  }

  public static func quoted(_ value: String) -> String {
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

extension JSONText {
  public mutating func null(_ key: String) { raw(key, "null") }

  public mutating func optional(_ key: String, _ value: String?) {
    if let value { field(key, value) } else { null(key) }
  }
}
