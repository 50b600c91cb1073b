/// The text and spaces up to a column's end; at least one, however long the text.
func column(_ text: String, _ width: Int) -> String {
  text + String(repeating: " ", count: max(1, width - text.count))
}

/// The time of the day, UTC, of nanoseconds since 1970: "09:30:00.123", with so many decimals (1...9).
func timeText(_ nanoseconds: UInt64, decimals: Int) -> String {
  func digits(_ value: UInt64, _ count: Int) -> String {
    let text = String(value)
    return String(repeating: "0", count: max(0, count - text.count)) + text
  }
  var unit: UInt64 = 1_000_000_000
  for _ in 0..<decimals { unit /= 10 }
  let seconds = nanoseconds / 1_000_000_000
  return digits(seconds / 3_600 % 24, 2) + ":" + digits(seconds / 60 % 60, 2) + ":" + digits(seconds % 60, 2)
    + "." + digits(nanoseconds % 1_000_000_000 / unit, decimals)
}
