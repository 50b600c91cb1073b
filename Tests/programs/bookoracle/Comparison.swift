import BookBuilder
import OrderBook
import StageRecords

/// The builder and the naive market side by side.
struct Comparison: ~Copyable {
  private var builder = BookBuilder(
    capacity: BookCapacity(orders: 400_000, levels: 400_000, instruments: 65_536), channel: 1)
  private var naive = NaiveMarket()
  private var batch = EventBatch()
  private var refused: UInt64 = 0
  private var refusedBy = [UInt64](repeating: 0, count: 16)
  private var sequence: UInt64 = 0
  var liveOrders: Int { builder.books.orderCount }
  var rejected: UInt64 { builder.counters.rejected }

  /// Applies a message to both. Returns where they differ, or nil.
  mutating func apply(_ message: [UInt8]) -> String? {
    sequence += 1
    message.withUnsafeBytes { builder.apply(sequence: sequence, receiveTime: 0, message: $0, into: &batch) }
    let locate = message.count > 2 ? Int(message[1]) << 8 | Int(message[2]) : 0
    switch naive.apply(message) {
    case .other: break
    case .refused(let reason):
      refused += 1
      guard let reason = MessageRejection(rawValue: reason.rawValue) else { return "an unknown reason" }
      refusedBy[Int(reason.rawValue)] += 1
      if builder.counters.rejected != refused
        || builder.counters.rejected(reason) != refusedBy[Int(reason.rawValue)]
      {
        return "not refused as \(reason.name)"
      }
      if let problem = trustOnly() { return problem }
    case .events(let wanted):
      if builder.counters.rejected != refused { return "refused" }
      if let problem = difference(wanted) { return problem }
      for event in wanted where event.kind == 6 {
        if let problem = levelDifference(locate, event.isSell, Int64(bitPattern: event.words[0])) {
          return problem
        }
      }
    }
    if builder.books.orderCount != naive.orders.count {
      return "\(builder.books.orderCount) orders instead of \(naive.orders.count)"
    }
    return bestDifference(locate)
  }

  private func trustOnly() -> String? {
    var problem: String?
    batch.forEach { kind, _ in
      if kind != BookEventKind.trust.rawValue { problem = "a refused message made an event of kind \(kind)" }
    }
    return problem
  }

  private func difference(_ wanted: [NaiveEvent]) -> String? {
    var problem: String?
    var index = 0
    batch.forEach { kind, event in
      guard problem == nil else { return }
      guard index < wanted.count, let base = event.baseAddress else {
        problem = "an event too many: kind \(kind)"
        return
      }
      let header = BookEventHeader(from: base)
      var words: [UInt64] = []
      for place in stride(from: BookEventHeader.bytes, to: event.count, by: 8) {
        words.append(UInt64(littleEndian: event.loadUnaligned(fromByteOffset: place, as: UInt64.self)))
      }
      let isSell = header.flags & EventFlags.sell != 0
      let got = NaiveEvent(kind: kind, isSell: isSell, words: words)
      let isLast = index == wanted.count - 1
      if got != wanted[index] {
        problem = "event \(index): \(got) instead of \(wanted[index])"
      } else if header.sequence != sequence || Int(header.index) != index
        || (header.flags & EventFlags.last != 0) != isLast
      {
        problem = "event \(index) has a wrong identity"
      }
      index += 1
    }
    if problem == nil, index != wanted.count { problem = "\(index) events instead of \(wanted.count)" }
    return problem
  }

  private func bestDifference(_ locate: Int) -> String? {
    let got = builder.books.bestPrices(instrument: UInt32(locate))
    let wanted = naive.best(locate)
    if got.bidPrice != wanted.bidPrice || got.bidSize != wanted.bidSize || got.askPrice != wanted.askPrice
      || got.askSize != wanted.askSize
    {
      return "best prices of \(locate): \(got) instead of \(wanted)"
    }
    return nil
  }

  private func levelDifference(_ locate: Int, _ isSell: Bool, _ price: Int64) -> String? {
    var references: [UInt64] = []
    var problem: String?
    builder.books.forEachOrder(instrument: UInt32(locate), side: isSell ? .ask : .bid, price: price) {
      order in
      references.append(order.reference)
      if naive.orders[order.reference]?.shares != order.quantity {
        problem = "order \(order.reference) has \(order.quantity)"
      }
    }
    if references != naive.queue(locate, isSell, price) {
      return "the queue at \(price) of \(locate) differs"
    }
    return problem
  }

  /// Every book, every level, every queue; and whether the books agree with themselves.
  func wholeDifference() -> String? {
    var levels = 0
    for (key, side) in naive.sides {
      let (locate, isSell) = (key / 2, key % 2 == 1)
      var prices: [Int64] = []
      builder.books.forEachLevel(instrument: UInt32(locate), side: isSell ? .ask : .bid) {
        prices.append($0.price)
      }
      if prices != (isSell ? side.prices : side.prices.reversed()) { return "the levels of \(locate) differ" }
      for price in prices {
        if let problem = levelDifference(locate, isSell, price) { return problem }
      }
      levels += prices.count
    }
    if builder.books.levelCount != levels { return "\(builder.books.levelCount) levels instead of \(levels)" }
    return builder.books.checkInvariants()
  }
}
