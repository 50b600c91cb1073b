// What ITCH messages make of books, as one would write it first: dictionaries and arrays, every number computed from the
// orders when it is asked for. Shares nothing with the books under test, the decoding included.

struct NaiveOrder: Equatable {
  var locate: Int
  var isSell: Bool
  var price: Int64
  var shares: UInt64
}

struct NaiveLevel: Equatable {
  var price: Int64
  var size: UInt64
  var orders: UInt64
}

struct NaiveBest: Equatable {
  var bidPrice: Int64 = 0
  var bidSize: UInt64 = 0
  var askPrice: Int64 = 0
  var askSize: UInt64 = 0
}

/// An event that a message should make: its kind by the published number, its body as words.
struct NaiveEvent: Equatable {
  var kind: UInt8
  var isSell: Bool
  var words: [UInt64]
}

/// Reasons by their published numbers.
enum NaiveRejection: UInt8 {
  case impossibleField = 3
  case unknownReference = 4
  case duplicateReference = 5
  case quantityExceeded = 6
  case wrongInstrument = 7
}

struct NaiveMarket {
  struct Side {
    /// Ascending.
    var prices: [Int64] = []
    /// References by price, the longest waiting first.
    var queues: [Int64: [UInt64]] = [:]
  }

  private(set) var orders: [UInt64: NaiveOrder] = [:]
  private(set) var sides: [Int: Side] = [:]

  // MARK: - Questions

  func side(_ locate: Int, _ isSell: Bool) -> Side { sides[locate * 2 + (isSell ? 1 : 0)] ?? Side() }

  func level(_ locate: Int, _ isSell: Bool, _ price: Int64) -> NaiveLevel {
    let queue = sides[locate * 2 + (isSell ? 1 : 0)]?.queues[price] ?? []
    var size: UInt64 = 0
    for reference in queue { size += orders[reference]?.shares ?? 0 }
    return NaiveLevel(price: price, size: size, orders: UInt64(queue.count))
  }

  func queue(_ locate: Int, _ isSell: Bool, _ price: Int64) -> [UInt64] {
    sides[locate * 2 + (isSell ? 1 : 0)]?.queues[price] ?? []
  }

  func best(_ locate: Int) -> NaiveBest {
    var best = NaiveBest()
    if let price = sides[locate * 2]?.prices.last {
      best.bidPrice = price
      best.bidSize = level(locate, false, price).size
    }
    if let price = sides[locate * 2 + 1]?.prices.first {
      best.askPrice = price
      best.askSize = level(locate, true, price).size
    }
    return best
  }

  // MARK: - Messages

  /// What became of a message: the events of an order message, none for others; or why it is refused.
  enum Outcome {
    case events([NaiveEvent])
    case other
    case refused(NaiveRejection)
  }

  mutating func apply(_ message: [UInt8]) -> Outcome {
    let locate = Int(number(message, 1, 2))
    switch message[0] {
    case UInt8(ascii: "A"), UInt8(ascii: "F"):
      let side = message[19]
      guard locate != 0, side == UInt8(ascii: "B") || side == UInt8(ascii: "S") else {
        return .refused(.impossibleField)
      }
      return add(
        number(message, 11, 8),
        NaiveOrder(
          locate: locate, isSell: side == UInt8(ascii: "S"), price: Int64(number(message, 32, 4)),
          shares: number(message, 20, 4)))
    case UInt8(ascii: "D"): return take(message, locate, kind: 4, executed: nil, price: nil)
    case UInt8(ascii: "X"): return take(message, locate, kind: 3, executed: 19, price: nil)
    case UInt8(ascii: "E"): return take(message, locate, kind: 5, executed: 19, price: nil)
    case UInt8(ascii: "C"): return take(message, locate, kind: 5, executed: 19, price: 32)
    case UInt8(ascii: "U"): return replace(message, locate)
    default: return .other
    }
  }

  private func number(_ message: [UInt8], _ offset: Int, _ bytes: Int) -> UInt64 {
    var value: UInt64 = 0
    for byte in message[offset..<offset + bytes] { value = value << 8 | UInt64(byte) }
    return value
  }

  private mutating func add(_ reference: UInt64, _ order: NaiveOrder) -> Outcome {
    if order.shares == 0 { return .refused(.impossibleField) }
    if orders[reference] != nil { return .refused(.duplicateReference) }
    let before = best(order.locate)
    enter(reference, order)
    return .events(
      [NaiveEvent(kind: 2, isSell: order.isSell, words: [reference, bits(order.price), order.shares])]
        + levelEvents([order.price], order.locate, order.isSell, before))
  }

  private mutating func take(
    _ message: [UInt8], _ locate: Int, kind: UInt8, executed: Int?, price: Int?
  ) -> Outcome {
    let reference = number(message, 11, 8)
    if locate == 0 { return .refused(.impossibleField) }
    guard let order = orders[reference] else { return .refused(.unknownReference) }
    if order.locate != locate { return .refused(.wrongInstrument) }
    let shares = executed.map { number(message, $0, 4) } ?? order.shares
    if shares == 0 { return .refused(.impossibleField) }
    if shares > order.shares { return .refused(.quantityExceeded) }
    let before = best(locate)
    let left = order.shares - shares
    if left == 0 { leave(reference, order) } else { orders[reference]?.shares = left }
    let words: [UInt64] =
      switch kind {
      case 3: [reference, left, shares]
      case 4: [reference, bits(order.price), shares]
      default:
        [
          reference, price.map { number(message, $0, 4) } ?? bits(order.price), shares, left,
          number(message, 23, 8),
        ]
      }
    return .events(
      [NaiveEvent(kind: kind, isSell: order.isSell, words: words)]
        + levelEvents([order.price], locate, order.isSell, before))
  }

  private mutating func replace(_ message: [UInt8], _ locate: Int) -> Outcome {
    let (old, new) = (number(message, 11, 8), number(message, 19, 8))
    let (shares, price) = (number(message, 27, 4), Int64(number(message, 31, 4)))
    if locate == 0 { return .refused(.impossibleField) }
    guard let order = orders[old] else { return .refused(.unknownReference) }
    if order.locate != locate { return .refused(.wrongInstrument) }
    if shares == 0 { return .refused(.impossibleField) }
    if orders[new] != nil { return .refused(.duplicateReference) }
    let before = best(locate)
    leave(old, order)
    enter(new, NaiveOrder(locate: locate, isSell: order.isSell, price: price, shares: shares))
    return .events(
      [
        NaiveEvent(kind: 4, isSell: order.isSell, words: [old, bits(order.price), order.shares]),
        NaiveEvent(kind: 2, isSell: order.isSell, words: [new, bits(price), shares]),
      ]
        + levelEvents(order.price == price ? [price] : [order.price, price], locate, order.isSell, before))
  }

  // MARK: - Pieces

  private func bits(_ price: Int64) -> UInt64 { UInt64(bitPattern: price) }

  private func levelEvents(_ prices: [Int64], _ locate: Int, _ isSell: Bool, _ before: NaiveBest)
    -> [NaiveEvent]
  {
    var events: [NaiveEvent] = []
    for price in prices {
      let level = level(locate, isSell, price)
      events.append(NaiveEvent(kind: 6, isSell: isSell, words: [bits(price), level.size, level.orders]))
    }
    let best = best(locate)
    if best != before {
      events.append(
        NaiveEvent(
          kind: 7, isSell: false,
          words: [bits(best.bidPrice), best.bidSize, bits(best.askPrice), best.askSize]))
    }
    return events
  }

  private mutating func enter(_ reference: UInt64, _ order: NaiveOrder) {
    orders[reference] = order
    let key = order.locate * 2 + (order.isSell ? 1 : 0)
    if sides[key] == nil { sides[key] = Side() }
    if sides[key]?.queues[order.price] == nil {
      let prices = sides[key]?.prices ?? []
      var index = prices.count
      while index > 0, prices[index - 1] > order.price { index -= 1 }
      sides[key]?.prices.insert(order.price, at: index)
    }
    sides[key]?.queues[order.price, default: []].append(reference)
  }

  private mutating func leave(_ reference: UInt64, _ order: NaiveOrder) {
    orders[reference] = nil
    let key = order.locate * 2 + (order.isSell ? 1 : 0)
    guard let place = sides[key]?.queues[order.price]?.firstIndex(of: reference) else { return }
    sides[key]?.queues[order.price]?.remove(at: place)
    if sides[key]?.queues[order.price]?.isEmpty == true {
      sides[key]?.queues[order.price] = nil
      if let index = sides[key]?.prices.firstIndex(of: order.price) { sides[key]?.prices.remove(at: index) }
    }
  }
}
