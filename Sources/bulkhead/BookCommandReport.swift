import BookBuilder
import FeedWire
import OrderBook
import StageRecords

/// The visible book of one symbol, and the CSV of its changes.
struct BookLadder {
  let symbol: String
  let instrument: UInt32
  let depth: Int
  private let csv: BookOutput?
  private var visible: [BookLevel]

  init(symbol: String, instrument: UInt32, depth: Int, csvPath: String?) throws(BookFailure) {
    self.symbol = symbol
    self.instrument = instrument
    self.depth = depth
    visible = [BookLevel](repeating: Self.none, count: depth * 2)
    guard let csvPath else {
      csv = nil
      return
    }
    let file = try BookOutput(csvPath)
    let columns = (0..<depth).map { level in
      ["b", "a"].map { ",\($0)\(level)_px,\($0)\(level)_sz,\($0)\(level)_ct" }.joined()
    }
    try file.write("index\(columns.joined())\n")
    csv = file
  }

  /// Writes a row if a message, applied as the `index`-th of the file, changed the visible book. Only
  /// messages of its own instrument can.
  mutating func note(
    index: Int, _ message: UnsafeRawBufferPointer, _ books: borrowing OrderBooks
  ) throws(BookFailure) {
    guard let base = message.baseAddress, UInt32(ITCH50.Header(base: base).locate) == instrument else {
      return
    }
    var now: [BookLevel] = []
    now.reserveCapacity(depth * 2)
    for level in 0..<depth {
      for side in BookSide.allCases {
        now.append(books.level(instrument: instrument, side: side, depth: level) ?? Self.none)
      }
    }
    guard now != visible else { return }
    visible = now
    let columns = now.map { ",\($0.price),\($0.size),\($0.orders)" }.joined()
    try csv?.write("\(index)\(columns)\n")
  }

  func finish() throws(BookFailure) { try csv?.finish() }

  /// Levels of a side that exist, best first.
  func levels(_ side: BookSide) -> [BookLevel] {
    let offset = side == .bid ? 0 : 1
    return (0..<depth).map { visible[$0 * 2 + offset] }.filter { $0.size != 0 }
  }

  private static var none: BookLevel { BookLevel(price: 0, size: 0, orders: 0) }
}

extension BookRun {
  /// Prints what was asked for.
  func report() {
    switch (options.isJSON, options.isDigestOnly) {
    case (true, let isDigestOnly): print(json(isDigestOnly: isDigestOnly))
    case (false, true): print(digestLines.joined(separator: "\n"))
    case (false, false): print(summary)
    }
  }

  private var digestLines: [String] {
    [
      "events \(digest.eventCount)", "stream \(Self.hexadecimal(digest.value))",
      "book \(Self.hexadecimal(builder.books.contentDigest()))",
    ]
  }

  private var summary: String {
    let counters = builder.counters
    var lines = ["messages \(messageCount), \(Int(nanosecondsPerMessage)) ns each"]
    for type in ITCH50.MessageType.allCases where typeCounts[Int(type.rawValue)] != 0 {
      lines.append("  \(Self.letter(type)) \(Self.name(type)) \(typeCounts[Int(type.rawValue)])")
    }
    lines.append("applied \(counters.applied)")
    lines.append("rejected \(counters.rejected)")
    for reason in MessageRejection.allCases where counters.rejected(reason) != 0 {
      lines.append("  \(reason.name) \(counters.rejected(reason))")
    }
    lines.append("instruments \(builder.instruments.definedCount), stale \(builder.instruments.staleCount)")
    lines.append("live orders \(builder.books.orderCount), price levels \(builder.books.levelCount)")
    lines.append("crossed \(counters.crossed), locked \(counters.locked)")
    lines += digestLines
    if ladder != nil { lines += ["", ladderText] }
    return lines.joined(separator: "\n")
  }

  private var ladderText: String {
    guard let ladder else { return "" }
    let instrument = ladder.instrument
    let bids = ladder.levels(.bid)
    let asks = ladder.levels(.ask)
    let trust =
      builder.instruments.trustState(instrument) == .live
      ? "live" : "STALE: \(builder.instruments.trustReason(instrument).name)"
    var lines = ["\(ladder.symbol), instrument \(instrument), \(trust)"]
    lines.append("   orders        size         bid |         ask        size   orders")
    for row in 0..<max(bids.count, asks.count) {
      let bid = row < bids.count ? bids[row] : nil
      let ask = row < asks.count ? asks[row] : nil
      let left = [
        Self.right(bid.map { "\($0.orders)" }, 9), Self.right(bid.map { "\($0.size)" }, 12),
        Self.right(bid.map { Self.price($0.price) }, 12),
      ]
      let right = [
        Self.right(ask.map { Self.price($0.price) }, 12), Self.right(ask.map { "\($0.size)" }, 12),
        Self.right(ask.map { "\($0.orders)" }, 9),
      ]
      lines.append(left.joined() + " |" + right.joined())
    }
    if bids.isEmpty && asks.isEmpty { lines.append("   no orders") }
    return lines.joined(separator: "\n")
  }

  private func json(isDigestOnly: Bool) -> String {
    let counters = builder.counters
    var members = [
      "\"events\":\(digest.eventCount)", "\"stream\":\"\(Self.hexadecimal(digest.value))\"",
      "\"book\":\"\(Self.hexadecimal(builder.books.contentDigest()))\"",
    ]
    if isDigestOnly { return "{\(members.joined(separator: ","))}" }
    let types = ITCH50.MessageType.allCases.map {
      "\"\(Self.letter($0))\":\(typeCounts[Int($0.rawValue)])"
    }
    let reasons = MessageRejection.allCases.map { "\"\($0.name)\":\(counters.rejected($0))" }
    members += [
      "\"messages\":\(messageCount)", "\"types\":{\(types.joined(separator: ","))}",
      "\"applied\":\(counters.applied)", "\"rejected\":\(counters.rejected)",
      "\"rejections\":{\(reasons.joined(separator: ","))}",
      "\"instruments\":\(builder.instruments.definedCount)", "\"stale\":\(builder.instruments.staleCount)",
      "\"orders\":\(builder.books.orderCount)", "\"levels\":\(builder.books.levelCount)",
      "\"crossed\":\(counters.crossed)", "\"locked\":\(counters.locked)",
      "\"nanosecondsPerMessage\":\(Int(nanosecondsPerMessage))",
    ]
    if let ladder {
      let isLive = builder.instruments.trustState(ladder.instrument) == .live
      members.append(
        """
        "symbol":{"name":"\(Self.escaped(ladder.symbol))","instrument":\(ladder.instrument),"live":\(isLive),\
        "bids":[\(Self.json(ladder.levels(.bid)))],"asks":[\(Self.json(ladder.levels(.ask)))]}
        """)
    }
    return "{\(members.joined(separator: ","))}"
  }

  private static func json(_ levels: [BookLevel]) -> String {
    levels.map { "{\"price\":\($0.price),\"size\":\($0.size),\"orders\":\($0.orders)}" }
      .joined(separator: ",")
  }

  /// Symbols are printable ASCII (others are refused before), so two characters need an escape.
  private static func escaped(_ text: String) -> String {
    String(text.flatMap { $0 == "\"" || $0 == "\\" ? ["\\", $0] : [$0] })
  }

  private static func hexadecimal(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  private static func letter(_ type: ITCH50.MessageType) -> Character {
    Character(Unicode.Scalar(type.rawValue))
  }

  /// `addOrder` as `add order`.
  private static func name(_ type: ITCH50.MessageType) -> String {
    "\(type)".reduce(into: "") { text, letter in
      text += letter.isUppercase ? " \(letter.lowercased())" : String(letter)
    }
  }

  /// 1/10000 as a decimal number.
  private static func price(_ price: Int64) -> String {
    let digits = "\(price.magnitude % 10_000)"
    let fraction = String(repeating: "0", count: 4 - digits.count) + digits
    return "\(price < 0 ? "-" : "")\(price.magnitude / 10_000).\(fraction)"
  }

  private static func right(_ text: String?, _ width: Int) -> String {
    let text = text ?? ""
    return String(repeating: " ", count: max(0, width - text.count)) + text
  }
}
