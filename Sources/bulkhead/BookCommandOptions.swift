import Glibc
import OrderBook
import StageRuntime

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
  var capacity = BookCapacity()
  /// Part of each event's identity, and so of the stream digest.
  var channel: UInt8 = 1

  init(_ arguments: CommandArguments) throws(ToolUsageError) {
    func number(_ name: String) -> Int? { arguments.number(name).map(Int.init(clamping:)) }
    file = arguments.operands.first ?? ""
    symbol = arguments.value("--symbol")
    depth = number("--depth") ?? depth
    csv = arguments.value("--csv")
    events = arguments.value("--events")
    isDigestOnly = arguments.has("--digest")
    isJSON = arguments.has("--json")
    channel = number("--channel").map(UInt8.init(clamping:)) ?? channel
    capacity.orders = number("--orders") ?? capacity.orders
    capacity.levels = number("--levels") ?? capacity.levels
    capacity.instruments = number("--instruments") ?? capacity.instruments
    if csv != nil, symbol == nil { throw ToolUsageError(line: "--csv needs --symbol") }
    if let problem = capacity.problem { throw ToolUsageError(line: "capacity: \(problem)") }
    let memory = sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE))
    if capacity.memoryBytes > memory {
      throw ToolUsageError(
        line: "these capacities need \(capacity.memoryBytes) bytes; the machine has \(memory)")
    }
  }
}

extension Command {
  static let book = Command(
    name: "book", group: .data, summary: "build books from an ITCH file in one process",
    description: ["The messages are of ITCH 5.0, each behind its length (two bytes, big-endian)."],
    operands: [Operand(.file("FILE"), "the messages; `-` for standard input")],
    options: [
      Option("--symbol", .text("S"), "show this symbol's book at the end"),
      Option("--depth", .number("N", 1...1_000), "levels a side to show (10)"),
      Option(
        "--csv", .file("OUT"),
        "with --symbol: a row for every message that changes the book within --depth levels"),
      Option("--events", .file("OUT"), "write the canonical encodings of all events (docs/DIGESTS.md)"),
      Option("--digest", "print nothing but the digests"), .json,
      Option("--channel", .number("N", 0...255), "channel number in the events, as in the topology (1)"),
      Option(
        "--orders", .number("N", 1...UInt64(BookCapacity.ordersMax)), "capacity in live orders (2000000)"),
      Option(
        "--levels", .number("N", 1...UInt64(BookCapacity.levelsMax)), "capacity in live price levels (600000)"
      ),
      Option(
        "--instruments", .number("N", 1...UInt64(BookCapacity.instrumentsMax)),
        "instrument numbers below N have a book (65536)"),
    ],
    exitCodes: [
      .init(ExitCode.success, "done"), .usage,
      .init(ExitCode.malformedInput, "the file is not what it should be or lacks the symbol"),
      .init(ExitCode.noInput, "the file cannot be read"),
      .init(ExitCode.cannotCreate, "an output file cannot be written"),
    ],
    examples: [
      .init("book FILE.itch --symbol ARL --depth 10 --csv levels.csv", "one symbol's levels through the day"),
      .init("book FILE.itch --digest", "what `run --replay` is compared with"),
    ]
  ) { arguments throws(ToolUsageError) in bookCommand(try BookOptions(arguments)) }
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
