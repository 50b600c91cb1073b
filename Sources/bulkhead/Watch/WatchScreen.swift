/// Draws a ladder as lines of text.
enum WatchScreen {
  /// What is known besides the book.
  struct Contact {
    var symbol: String
    /// Seconds since the newest event came; nil before the first.
    var eventAge: Double?
    /// Seconds since anything came, when that is too long; nil while there is contact.
    var lostFor: Double?
    /// A sentence in place of a book that is not there yet.
    var waitingFor: String?
  }

  /// The lines of one picture, without line ends.
  /// - Parameter depth: levels of each side.
  static func lines(_ book: WatchBook, _ contact: Contact, depth: Int) -> [String] {
    var lines: [String] = []
    let stale = book.staleReason
    let verdict = contact.lostFor != nil ? "LOST CONTACT" : stale != nil ? "STALE" : "LIVE"
    let number = book.instrument.map { " (\($0))" } ?? ""
    let age = contact.eventAge.map { "last event \(seconds($0)) ago" } ?? "no event yet"
    lines.append(
      "\(contact.symbol)\(number)  \(verdict)  seq \(book.sequence)  \(age)  "
        + "orders \(book.bidOrders) bid, \(book.askOrders) ask"
        + (book.lastTradePrice.map { "  last \(price($0))" } ?? ""))
    if let lost = contact.lostFor {
      lines += banner("LOST CONTACT")
      lines.append("nothing heard for \(seconds(lost)); what follows is old")
    } else if let stale {
      lines += banner("STALE")
      lines.append("do not trade on this book: \(stale)")
    }
    if let waiting = contact.waitingFor { lines.append(waiting) }
    if book.hasEnded { lines.append("the venue's session has ended") }
    lines.append(row("orders", "size", "bid", "ask", "size", "orders"))
    let bids = book.levels(isSell: false, depth: depth)
    let asks = book.levels(isSell: true, depth: depth)
    for index in 0..<max(bids.count, asks.count) {
      let bid = index < bids.count ? bids[index] : nil
      let ask = index < asks.count ? asks[index] : nil
      lines.append(
        row(
          bid.map { "\($0.orders)" } ?? "", bid.map { "\($0.size)" } ?? "", bid.map { price($0.price) } ?? "",
          ask.map { price($0.price) } ?? "", ask.map { "\($0.size)" } ?? "", ask.map { "\($0.orders)" } ?? "")
      )
    }
    return lines
  }

  private static func row(
    _ bidOrders: String, _ bidSize: String, _ bid: String, _ ask: String, _ askSize: String,
    _ askOrders: String
  ) -> String {
    let left = padded(bidOrders, 8) + padded(bidSize, 12) + padded(bid, 14) + " |"
    return ask.isEmpty ? left : left + padded(ask, 13) + padded(askSize, 12) + padded(askOrders, 8)
  }

  private static func padded(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.count)) + text
  }

  /// A price in units of 1/10000 as a decimal number.
  static func price(_ price: Int64) -> String {
    let units = price.magnitude
    let fraction = String(units % 10_000)
    return (price < 0 ? "-" : "") + "\(units / 10_000)." + String(repeating: "0", count: 4 - fraction.count)
      + fraction
  }

  /// "0.4 s".
  static func seconds(_ seconds: Double) -> String {
    let tenths = seconds.isFinite ? Int64(max(0, min(seconds, 1e9)) * 10) : 0
    return "\(tenths / 10).\(tenths % 10) s"
  }

  /// Words in letters five lines high.
  static func banner(_ words: String) -> [String] {
    (0..<5).map { line in
      words.map { letter in
        let rows = letters[letter] ?? [0, 0, 0, 0, 0]
        return (0..<5).map { column in rows[line] & (0x10 >> column) != 0 ? "#" : " " }.joined()
      }.joined(separator: "  ")
    }
  }

  private static let letters: [Character: [UInt8]] = [
    "A": [0x0E, 0x11, 0x1F, 0x11, 0x11], "C": [0x0F, 0x10, 0x10, 0x10, 0x0F],
    "E": [0x1F, 0x10, 0x1E, 0x10, 0x1F], "L": [0x10, 0x10, 0x10, 0x10, 0x1F],
    "N": [0x11, 0x19, 0x15, 0x13, 0x11], "O": [0x0E, 0x11, 0x11, 0x11, 0x0E],
    "S": [0x0F, 0x10, 0x0E, 0x01, 0x1E], "T": [0x1F, 0x04, 0x04, 0x04, 0x04],
  ]
}
