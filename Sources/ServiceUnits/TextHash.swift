import CXXHash

/// XXH64 of texts, to tell them apart.
enum TextHash {
  /// 16 hexadecimal digits.
  static func of(_ text: String) -> String {
    var text = text
    let value = text.withUTF8 { XXH64($0.baseAddress, $0.count, 0) }
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  /// The first 8 of them.
  static func short(_ text: String) -> String { String(of(text).prefix(8)) }
}
