import Glibc
import OrderBook

/// Why the command ends early, for standard error.
struct BookFailure: Error {
  var code: Int32
  var text: String
}

/// What the user asked `bulkhead book` for.
struct BookOptions {
  var file = ""
  var symbol: String?
  var depth = 10
  var csv: String?
  var events: String?
  var isDigestOnly = false
  var isJSON = false
  var isHelp = false
  var capacity = BookCapacity()
  /// Part of each event's identity, and so of the stream digest.
  var channel: UInt8 = 1

  static let help = """
    usage: bulkhead book FILE [options]

    Build order books from ITCH 5.0 messages, each behind its length (two bytes, big-endian).
    FILE may be '-' for standard input.

      --symbol S         show this symbol's book at the end
      --depth N          levels a side to show, 1...1000 (10)
      --csv OUT          with --symbol: a row for every message that changes the book within --depth levels
      --events OUT       write the canonical encodings of all events (docs/DIGESTS.md)
      --digest           print nothing but the digests
      --json             print the summary as JSON
      --channel N        channel number in the events, as in the topology (1)
      --orders N         capacity in live orders (2000000)
      --levels N         capacity in live price levels (600000)
      --instruments N    instrument numbers below N have a book (65536)
    """

  private static let names = [
    "--symbol", "--depth", "--csv", "--events", "--digest", "--json", "--channel", "--orders", "--levels",
    "--instruments", "--help",
  ]

  /// - Parameter arguments: those behind `book`.
  init(_ arguments: [String]) throws(BookFailure) {
    var index = 0
    while index < arguments.count {
      var name = arguments[index]
      var value: String?
      if name.hasPrefix("--"), let equals = name.firstIndex(of: "=") {
        value = String(name[name.index(after: equals)...])
        name = String(name[..<equals])
      }
      index += 1
      switch name {
      case "--digest", "--json", "--help", "-h":
        if value != nil { throw Self.usage("\(name) takes no value") }
        if name == "--digest" { isDigestOnly = true }
        if name == "--json" { isJSON = true }
        if name == "--help" || name == "-h" { isHelp = true }
      case _ where Self.names.contains(name):
        if value == nil, index < arguments.count {
          value = arguments[index]
          index += 1
        }
        guard let value, !value.isEmpty else { throw Self.usage("\(name) needs a value") }
        try set(name, value)
      case _ where name.hasPrefix("-") && name != "-":
        let nearest = Self.nearest(to: name, among: Self.names, count: 1).first
        let hint = nearest.map { "; did you mean \($0)?" } ?? ""
        throw Self.usage("there is no option \(name)\(hint)")
      default:
        if !file.isEmpty { throw Self.usage("one FILE only, not \(file) and \(name)") }
        file = name
      }
    }
    if isHelp { return }
    if file.isEmpty { throw Self.usage("which FILE?") }
    if csv != nil, symbol == nil { throw Self.usage("--csv needs --symbol") }
    if let problem = capacity.problem { throw Self.usage("capacity: \(problem)") }
    let memory = sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE))
    if capacity.memoryBytes > memory {
      throw Self.usage("these capacities need \(capacity.memoryBytes) bytes; the machine has \(memory)")
    }
  }

  private mutating func set(_ name: String, _ value: String) throws(BookFailure) {
    switch name {
    case "--symbol": symbol = value
    case "--csv": csv = value
    case "--events": events = value
    case "--depth": depth = try Self.number(name, value, 1...1_000)
    case "--channel": channel = UInt8(try Self.number(name, value, 0...255))
    case "--orders": capacity.orders = try Self.number(name, value, 1...BookCapacity.ordersMax)
    case "--levels": capacity.levels = try Self.number(name, value, 1...BookCapacity.levelsMax)
    default: capacity.instruments = try Self.number(name, value, 1...BookCapacity.instrumentsMax)
    }
  }

  private static func number(
    _ name: String, _ value: String, _ range: ClosedRange<Int>
  ) throws(BookFailure) -> Int {
    guard let number = Int(value), range.contains(number) else {
      throw Self.usage(
        "\(name) must be a number from \(range.lowerBound) to \(range.upperBound), not '\(value)'")
    }
    return number
  }

  private static func usage(_ text: String) -> BookFailure {
    BookFailure(code: 64, text: "\(text)\nTry 'bulkhead book --help'.")
  }
}

extension BookOptions {
  /// The candidates that fewest edits turn `text` into, nearest first.
  static func nearest(to text: String, among candidates: [String], count: Int) -> [String] {
    let ranked = candidates.map { (distance: editDistance(text, $0), candidate: $0) }
    return ranked.sorted { $0 < $1 }.prefix(count).map(\.candidate)
  }

  /// Insertions, deletions and substitutions of bytes that turn one text into the other.
  private static func editDistance(_ left: String, _ right: String) -> Int {
    let right = Array(right.utf8)
    var row = Array(0...right.count)
    for (leftIndex, leftByte) in left.utf8.enumerated() {
      var diagonal = row[0]
      row[0] = leftIndex + 1
      for (rightIndex, rightByte) in right.enumerated() {
        let substituted = diagonal + (leftByte == rightByte ? 0 : 1)
        diagonal = row[rightIndex + 1]
        row[rightIndex + 1] = min(substituted, diagonal + 1, row[rightIndex] + 1)
      }
    }
    return row[right.count]
  }
}
