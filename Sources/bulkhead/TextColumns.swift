/// The text and spaces up to a column's end; at least one, however long the text.
func column(_ text: String, _ width: Int) -> String {
  text + String(repeating: " ", count: max(1, width - text.count))
}

/// Rows as lines whose columns are as wide as they must be, two spaces apart.
func aligned(_ rows: [[String]]) -> [String] {
  let widths = (0..<(rows.map(\.count).max() ?? 0)).map { column in
    rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
  }
  return rows.map { row in
    var line = ""
    for (column, cell) in row.enumerated() {
      line += cell + String(repeating: " ", count: widths[column] - cell.count + 2)
    }
    while line.last == " " { line.removeLast() }
    return line
  }
}

/// "3d07h", "2h11m", "5m03s", "12s": how long something has lasted.
func age(_ nanoseconds: UInt64) -> String {
  func two(_ value: UInt64) -> String { value < 10 ? "0\(value)" : "\(value)" }
  let seconds = nanoseconds / 1_000_000_000
  switch seconds {
  case 0..<60: return "\(seconds)s"
  case 60..<3_600: return "\(seconds / 60)m\(two(seconds % 60))s"
  case 3_600..<86_400: return "\(seconds / 3_600)h\(two(seconds / 60 % 60))m"
  default: return "\(seconds / 86_400)d\(two(seconds / 3_600 % 24))h"
  }
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
