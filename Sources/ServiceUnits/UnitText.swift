/// A unit file under construction.
struct UnitText {
  private(set) var text = ""

  mutating func section(_ name: String) {
    text += text.isEmpty ? "[\(name)]\n" : "\n[\(name)]\n"
  }

  mutating func set(_ key: String, _ value: String) { text += "\(key)=\(value)\n" }
  mutating func set(_ key: String, _ value: Int) { set(key, "\(value)") }
  mutating func comment(_ line: String) { text += "# \(line)\n" }

  /// Words of a command line, as the service manager takes them apart again.
  static func command(_ words: [String]) -> String { words.map(quoted).joined(separator: " ") }

  /// One word: `%` and `$` have meanings, and a space ends it.
  static func quoted(_ word: String) -> String {
    var escaped = ""
    for character in word {
      switch character {
      case "%": escaped += "%%"
      case "$": escaped += "$$"
      case "\\", "\"": escaped += "\\\(character)"
      default: escaped.append(character)
      }
    }
    let isPlain =
      !word.isEmpty && word.allSatisfy { $0 != " " && $0 != "\"" && $0 != "'" && $0 != ";" && $0 != "\\" }
    return isPlain ? escaped : "\"\(escaped)\""
  }

  /// A path as the value of a setting: `%` has a meaning there.
  static func path(_ path: String) -> String { String(path.flatMap { $0 == "%" ? "%%" : "\($0)" }) }

  /// A duration in milliseconds, rounded up.
  static func milliseconds(_ nanoseconds: UInt64) -> String { "\((nanoseconds + 999_999) / 1_000_000)ms" }
}
