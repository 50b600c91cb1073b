import FIXSession

/// The bytes that a safety action sends, for people: its fields, if it is a FIX message, and every byte.
enum MessageText {
  /// The fields of a FIX message; none for other bytes.
  static func fields(_ bytes: [UInt8]) -> [(tag: String, name: String, value: String)] {
    guard bytes.starts(with: Array("8=FIX".utf8)) else { return [] }
    return bytes.split(separator: 0x01).map { field in
      let parts = field.split(separator: 0x3D, maxSplits: 1, omittingEmptySubsequences: false)
      let tag = String(decoding: parts[0], as: UTF8.self)
      let value = parts.count > 1 ? String(decoding: parts[1], as: UTF8.self) : ""
      return (tag, FIXFieldName.of(tag), value)
    }
  }

  static func lines(_ bytes: [UInt8]) -> [String] {
    guard !bytes.isEmpty else { return [] }
    var lines = fields(bytes).map { field in
      "  " + column(field.tag, 6) + column(field.name, 22) + field.value
    }
    if !lines.isEmpty { lines.append("") }
    for start in stride(from: 0, to: bytes.count, by: 16) {
      let row = bytes[start..<min(start + 16, bytes.count)]
      let text = String(decoding: row.map { (0x20..<0x7F).contains($0) ? $0 : 0x2E }, as: UTF8.self)
      lines.append("  " + column(padded(start), 6) + column(hexadecimal(row), 50) + text)
    }
    return lines
  }

  /// Two digits a byte, a space between them.
  static func hexadecimal(_ bytes: ArraySlice<UInt8>) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
  }

  private static func padded(_ offset: Int) -> String {
    let digits = String(offset, radix: 16)
    return String(repeating: "0", count: max(0, 4 - digits.utf8.count)) + digits
  }
}
