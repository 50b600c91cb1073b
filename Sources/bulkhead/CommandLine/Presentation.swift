import SetInspection
import Glibc

/// How numbers, times and verdicts look: the options `--raw`, `--local` and `--color`.
struct Presentation: Equatable, Sendable {
  var isRaw = false
  var isLocal = false
  var isColored = false

  /// Whether standard output is a terminal that shows colour, and nobody minds (no-color.org).
  static var terminalTakesColor: Bool {
    environmentValue("NO_COLOR") == nil && isatty(1) == 1
      && environmentValue("TERM").map { $0 != "dumb" } == true
  }

  /// "1,234,567", or raw "1234567".
  func count(_ value: UInt64) -> String { isRaw ? String(value) : grouped(value) }

  /// "3.40 ms", or raw nanoseconds.
  func span(_ nanoseconds: UInt64) -> String { isRaw ? String(nanoseconds) : duration(nanoseconds) }

  /// The time of the day of nanoseconds since 1970, in UTC or this host's zone; raw: the nanoseconds.
  func time(_ nanoseconds: UInt64, decimals: Int) -> String {
    if isRaw { return String(nanoseconds) }
    guard isLocal else { return timeText(nanoseconds, decimals: decimals) }
    var seconds = Int(nanoseconds / 1_000_000_000)
    var zoned = tm()
    localtime_r(&seconds, &zoned)
    let shifted = Int64(clamping: nanoseconds) &+ Int64(zoned.tm_gmtoff) &* 1_000_000_000
    return timeText(UInt64(max(0, shifted)), decimals: decimals)
  }

  enum Tone: String {
    case good = "32"
    case warning = "33"
    case bad = "31"
    case heading = "1"
  }

  /// The text in a tone; the tone never says what the text does not.
  func toned(_ text: String, _ tone: Tone?) -> String {
    guard isColored, let tone, !text.isEmpty else { return text }
    return "\u{1B}[\(tone.rawValue)m\(text)\u{1B}[0m"
  }

  /// The line with its first word, a verdict, in the verdict's tone.
  func verdict(_ line: String) -> String {
    let word = line.prefix { $0 != " " }
    let tone: Tone? =
      switch word {
      case "LIVE", "OK", "READY": .good
      case "DEGRADED", "SLOW", "CLOSE", "OPEN", "WARNING", "UNKNOWN", "DISAGREE": .warning
      case "STALE", "DOWN", "LOST", "LAPPED", "CRITICAL": .bad
      default: nil
      }
    return toned(String(word), tone) + line.dropFirst(word.count)
  }
}
