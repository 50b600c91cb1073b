import BookBuilder
import FeedWire
import OrderBook
import SetInspection
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
      "events \(digest.eventCount)", "streamDigest \(hexadecimal(digest.value))",
      "bookDigest \(hexadecimal(builder.books.contentDigest()))",
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
    return JSONReport(schema: "book").text { json in
      json.field("events", digest.eventCount)
      json.field("streamDigest", hexadecimal(digest.value))
      json.field("bookDigest", hexadecimal(builder.books.contentDigest()))
      if isDigestOnly { return }
      json.field("messages", messageCount)
      json.object("types") { json in
        for type in ITCH50.MessageType.allCases {
          json.field(String(Self.letter(type)), typeCounts[Int(type.rawValue)])
        }
      }
      json.field("applied", counters.applied)
      json.field("rejected", counters.rejected)
      json.object("rejections") { json in
        for reason in MessageRejection.allCases { json.field(reason.name, counters.rejected(reason)) }
      }
      json.field("instruments", builder.instruments.definedCount)
      json.field("stale", builder.instruments.staleCount)
      json.field("orders", builder.books.orderCount)
      json.field("levels", builder.books.levelCount)
      json.field("crossed", counters.crossed)
      json.field("locked", counters.locked)
      json.field("nanosecondsPerMessage", Int(nanosecondsPerMessage))
      if let ladder { write(ladder, to: &json) }
    }
  }

  private func write(_ ladder: BookLadder, to json: inout JSONText) {
    json.object("symbol") { json in
      json.field("name", ladder.symbol)
      json.field("instrument", UInt64(ladder.instrument))
      json.field("live", builder.instruments.trustState(ladder.instrument) == .live)
      for (key, side) in [("bids", BookSide.bid), ("asks", BookSide.ask)] {
        json.array(key) { json in
          for level in ladder.levels(side) {
            json.object { json in
              json.raw("price", String(level.price))
              json.field("size", level.size)
              json.field("orders", UInt64(level.orders))
            }
          }
        }
      }
    }
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
