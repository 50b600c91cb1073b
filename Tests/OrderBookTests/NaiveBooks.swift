import OrderBook

/// Order books as one would write them first: dictionaries and arrays, every number computed from the
/// orders. Shares nothing with the books under test but the types of the outcomes.
struct NaiveBooks {
  struct Side: Hashable {
    var instrument: UInt32
    var side: BookSide
  }

  let capacity: BookCapacity
  private(set) var orders: [UInt64: BookOrder] = [:]
  /// References by price, in queue order.
  private var queues: [Side: [Int64: [UInt64]]] = [:]
  /// Prices with orders, ascending.
  private var prices: [Side: [Int64]] = [:]

  init(capacity: BookCapacity) { self.capacity = capacity }

  var levelCount: Int { prices.values.reduce(0) { $0 + $1.count } }

  // MARK: - Queries

  func level(_ side: Side, _ price: Int64) -> BookLevel {
    let queue = queues[side]?[price] ?? []
    let size = queue.reduce(UInt64(0)) { $0 + (orders[$1]?.quantity ?? 0) }
    return BookLevel(price: price, size: size, orders: UInt32(queue.count))
  }

  /// Levels from the best on.
  func depth(_ side: Side, limit: Int) -> [BookLevel] {
    let sorted = prices[side] ?? []
    let best = side.side == .bid ? Array(sorted.suffix(limit).reversed()) : Array(sorted.prefix(limit))
    return best.map { level(side, $0) }
  }

  func queue(_ side: Side, _ price: Int64) -> [BookOrder] {
    (queues[side]?[price] ?? []).compactMap { orders[$0] }
  }

  func bestPrices(_ instrument: UInt32) -> BestPrices {
    let bid = depth(Side(instrument: instrument, side: .bid), limit: 1).first
    let ask = depth(Side(instrument: instrument, side: .ask), limit: 1).first
    return BestPrices(
      bidPrice: bid?.price ?? 0, bidSize: bid?.size ?? 0, askPrice: ask?.price ?? 0,
      askSize: ask?.size ?? 0)
  }

  // MARK: - Operations

  mutating func add(
    instrument: UInt32, side: BookSide, reference: UInt64, price: Int64, quantity: UInt64
  ) -> BookOutcome {
    if instrument >= capacity.instruments { return .rejected(.instrumentOutOfRange) }
    if quantity == 0 { return .rejected(.quantityOutOfRange) }
    if orders[reference] != nil { return .rejected(.duplicateReference) }
    if orders.count == capacity.orders { return .rejected(.ordersFull) }
    let key = Side(instrument: instrument, side: side)
    let old = level(key, price)
    if old.orders == 0 && levelCount == capacity.levels { return .rejected(.levelsFull) }
    if old.size.addingReportingOverflow(quantity).overflow { return .rejected(.quantityOutOfRange) }
    let best = bestPrices(instrument)
    insert(
      BookOrder(reference: reference, instrument: instrument, side: side, price: price, quantity: quantity))
    return .changed(
      BookChange(
        side: side, quantity: quantity, remaining: quantity, level: level(key, price),
        bestChanged: bestPrices(instrument) != best))
  }

  mutating func reduce(instrument: UInt32, reference: UInt64, by quantity: UInt64) -> BookOutcome {
    guard let order = orders[reference] else { return .rejected(.unknownReference) }
    if order.instrument != instrument { return .rejected(.wrongInstrument) }
    if quantity == 0 { return .rejected(.quantityOutOfRange) }
    if quantity > order.quantity { return .rejected(.quantityExceeded) }
    return change(order, by: quantity)
  }

  mutating func delete(instrument: UInt32, reference: UInt64) -> BookOutcome {
    guard let order = orders[reference] else { return .rejected(.unknownReference) }
    if order.instrument != instrument { return .rejected(.wrongInstrument) }
    return change(order, by: order.quantity)
  }

  mutating func replace(
    instrument: UInt32, reference: UInt64, with newReference: UInt64, price: Int64, quantity: UInt64
  ) -> ReplaceOutcome {
    guard let order = orders[reference] else { return .rejected(.unknownReference) }
    if order.instrument != instrument { return .rejected(.wrongInstrument) }
    if quantity == 0 { return .rejected(.quantityOutOfRange) }
    if orders[newReference] != nil { return .rejected(.duplicateReference) }
    let before = self
    let key = Side(instrument: instrument, side: order.side)
    remove(order)
    let target = level(key, price)
    if target.orders == 0 && levelCount == capacity.levels {
      self = before
      return .rejected(.levelsFull)
    }
    if target.size.addingReportingOverflow(quantity).overflow {
      self = before
      return .rejected(.quantityOutOfRange)
    }
    insert(
      BookOrder(
        reference: newReference, instrument: instrument, side: order.side, price: price,
        quantity: quantity))
    return .replaced(
      BookReplacement(
        side: order.side, oldQuantity: order.quantity, oldLevel: level(key, order.price),
        newLevel: level(key, price),
        bestChanged: bestPrices(instrument) != before.bestPrices(instrument)))
  }

  // MARK: - Pieces

  private mutating func change(_ order: BookOrder, by quantity: UInt64) -> BookOutcome {
    let best = bestPrices(order.instrument)
    if quantity == order.quantity { remove(order) } else { orders[order.reference]?.quantity -= quantity }
    let key = Side(instrument: order.instrument, side: order.side)
    return .changed(
      BookChange(
        side: order.side, quantity: quantity, remaining: order.quantity - quantity,
        level: level(key, order.price), bestChanged: bestPrices(order.instrument) != best))
  }

  private mutating func insert(_ order: BookOrder) {
    let key = Side(instrument: order.instrument, side: order.side)
    orders[order.reference] = order
    if queues[key, default: [:]][order.price, default: []].isEmpty {
      let index = prices[key, default: []].firstIndex { $0 > order.price } ?? prices[key, default: []].count
      prices[key, default: []].insert(order.price, at: index)
    }
    queues[key, default: [:]][order.price, default: []].append(order.reference)
  }

  private mutating func remove(_ order: BookOrder) {
    let key = Side(instrument: order.instrument, side: order.side)
    orders[order.reference] = nil
    queues[key]?[order.price]?.removeAll { $0 == order.reference }
    if queues[key]?[order.price]?.isEmpty == true {
      queues[key]?[order.price] = nil
      prices[key]?.removeAll { $0 == order.price }
    }
  }
}

/// SplitMix64: the same numbers from the same seed everywhere.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
