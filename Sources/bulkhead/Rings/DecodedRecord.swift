import SetInspection

/// A record taken apart: what it is, and its fields in the order in which they are shown. Made from bytes that may
/// be anything; shown as a line of text or as JSON.
struct DecodedRecord {
  var kind: String
  /// Other names under which `--kind` finds it: the venue message in it.
  var aliases: [String] = []
  var fields: [Field] = []

  struct Field: Equatable {
    let name: String
    let value: Value
  }

  enum Value: Equatable {
    case number(UInt64)
    case text(String)
    /// A one-letter code, as its byte.
    case letter(UInt8)
    case flag(Bool)
    case names([String])
    /// In units of 10^-decimals.
    case price(Int64, decimals: Int)
    /// Nanoseconds since the Unix epoch; 0 = none.
    case instant(UInt64)
    /// Nanoseconds since the venue's midnight.
    case timeOfDay(UInt64)
  }

  init(_ kind: String) { self.kind = kind }

  mutating func add(_ name: String, _ value: Value) { fields.append(Field(name: name, value: value)) }
  mutating func add(_ name: String, _ value: UInt64) { add(name, .number(value)) }
  mutating func add(_ name: String, _ value: UInt32) { add(name, .number(UInt64(value))) }
  mutating func add(_ name: String, _ value: Int) { add(name, .number(UInt64(clamping: value))) }
  /// ITCH prices: 1/10000.
  mutating func add(price name: String, _ value: UInt32) { add(name, .price(Int64(value), decimals: 4)) }

  func matches(_ names: [String]) -> Bool {
    names.isEmpty || names.contains(kind) || aliases.contains(where: names.contains)
  }

  /// "orderAdd sequence=12 price=10.0100 …": no value holds a space, unless it is in quotes.
  var text: String {
    var text = kind
    for field in fields { text += " \(field.name)=\(Self.text(field.value))" }
    return text
  }

  private static func text(_ value: Value) -> String {
    switch value {
    case .number(let number): return String(number)
    case .text(let text): return quotedIfNeeded(text)
    case .letter(let byte):
      guard byte >= 0x20, byte < 0x7F else { return "0x" + hexadecimalByte(byte) }
      return quotedIfNeeded(String(Character(Unicode.Scalar(byte))))
    case .flag(let flag): return flag ? "yes" : "no"
    case .names(let names): return names.isEmpty ? "-" : names.joined(separator: ",")
    case .price(let price, let decimals): return decimal(price, decimals)
    case .instant(let time): return time == 0 ? "none" : universalTime(time)
    case .timeOfDay(let time): return timeOfDay(time)
    }
  }

  private static func quotedIfNeeded(_ text: String) -> String {
    let isPlain = !text.isEmpty && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x22 && $0 != 0x3D }
    return isPlain ? text : JSONText.quoted(text)
  }

  /// Prices and times are whole numbers in JSON: units of 10^-4 (10^-8 for breaker levels), nanoseconds.
  func write(to json: inout JSONText) {
    json.field("kind", kind)
    for field in fields {
      switch field.value {
      case .number(let number): json.field(field.name, number)
      case .text(let text): json.field(field.name, text)
      case .letter(let byte):
        let isPrintable = byte >= 0x20 && byte < 0x7F
        json.field(
          field.name, isPrintable ? String(Character(Unicode.Scalar(byte))) : "0x" + hexadecimalByte(byte))
      case .flag(let flag): json.field(field.name, flag)
      case .names(let names): json.array(field.name) { json in for name in names { json.element(name) } }
      case .price(let price, _): json.raw(field.name, String(price))
      case .instant(let time): if time == 0 { json.null(field.name) } else { json.field(field.name, time) }
      case .timeOfDay(let time): json.field(field.name, time)
      }
    }
  }
}

// MARK: - Words for values
