extension OrderBooks {
  /// Live orders over all instruments.
  public var orderCount: Int { orders.liveCount }
  /// Live price levels over all instruments and both sides.
  public var levelCount: Int { levels.liveCount }

  /// How often the memory of the sorted level arrays was compacted: each time a pause linear in
  /// ``BookCapacity/levels``.
  public var compactionCount: Int { levels.compactionCount }

  /// Live orders on one side of one book; 0 for an instrument out of range.
  public func orderCount(instrument: UInt32, side: BookSide) -> Int {
    guard let number = sideNumber(instrument, side) else { return 0 }
    return Int(levels.side(number).pointee.orders)
  }

  /// Live price levels on one side of one book; 0 for an instrument out of range.
  public func levelCount(instrument: UInt32, side: BookSide) -> Int {
    guard let number = sideNumber(instrument, side) else { return 0 }
    return Int(levels.side(number).pointee.levels)
  }

  /// A live order by its reference.
  public func order(reference: UInt64) -> BookOrder? {
    let slot = orders.find(reference)
    return slot == OrderTable.none ? nil : order(slot: slot)
  }

  /// The instrument of a live order, by the order's reference.
  @_noLocks
  public func instrument(reference: UInt64) -> UInt32? {
    let slot = orders.find(reference)
    return slot == OrderTable.none ? nil : levels[orders[slot].pointee.level].pointee.side &>> 1
  }

  /// Best prices and sizes; an instrument out of range has none.
  @_noLocks
  public func bestPrices(instrument: UInt32) -> BestPrices {
    guard Int(instrument) < capacity.instruments else {
      return BestPrices(bidPrice: 0, bidSize: 0, askPrice: 0, askSize: 0)
    }
    let bid = levels.side(instrument &* 2)
    let ask = levels.side(instrument &* 2 &+ 1)
    let bidLevel = bid.pointee.bestLevel
    let askLevel = ask.pointee.bestLevel
    return BestPrices(
      bidPrice: bid.pointee.bestPrice,
      bidSize: bidLevel == LevelStore.none ? 0 : levels[bidLevel].pointee.size,
      askPrice: ask.pointee.bestPrice,
      askSize: askLevel == LevelStore.none ? 0 : levels[askLevel].pointee.size)
  }

  /// The best level of a side with its order count, or nil when the side is empty.
  public func bestLevel(instrument: UInt32, side: BookSide) -> BookLevel? {
    level(instrument: instrument, side: side, depth: 0)
  }

  /// The level at a distance from the best (0 = the best), or nil when there are not so many.
  public func level(instrument: UInt32, side: BookSide, depth: Int) -> BookLevel? {
    guard let number = sideNumber(instrument, side) else { return nil }
    let level = levels.level(side: number, depth: depth)
    return level == LevelStore.none ? nil : levelContent(level)
  }

  /// The level at a price, or nil when no order lies there.
  public func level(instrument: UInt32, side: BookSide, price: Int64) -> BookLevel? {
    guard let number = sideNumber(instrument, side) else { return nil }
    let level = levels.position(side: number, price: price).level
    return level == LevelStore.none ? nil : levelContent(level)
  }

  /// Calls `body` with at most `limit` levels of a side, from the best on.
  public func forEachLevel(
    instrument: UInt32, side: BookSide, limit: Int = .max, _ body: (BookLevel) -> Void
  ) {
    guard let number = sideNumber(instrument, side) else { return }
    var depth = 0
    while depth < limit {
      let level = levels.level(side: number, depth: depth)
      if level == LevelStore.none { return }
      body(levelContent(level))
      depth += 1
    }
  }

  /// Calls `body` with the orders at a price in queue order (the longest waiting first).
  public func forEachOrder(
    instrument: UInt32, side: BookSide, price: Int64, _ body: (BookOrder) -> Void
  ) {
    guard let number = sideNumber(instrument, side) else { return }
    let level = levels.position(side: number, price: price).level
    if level != LevelStore.none { forEachOrder(level: level) { order, _ in body(order) } }
  }

  /// Calls `body` with every live order of an instrument in canonical order: bids from the best level to the
  /// worst, then asks from the best to the worst, each level in queue order. `queuePosition` counts from 0
  /// within the level.
  public func forEachOrder(
    instrument: UInt32, _ body: (_ order: BookOrder, _ queuePosition: UInt64) -> Void
  ) {
    for side in BookSide.allCases {
      guard let number = sideNumber(instrument, side) else { return }
      var depth = 0
      while true {
        let level = levels.level(side: number, depth: depth)
        if level == LevelStore.none { break }
        forEachOrder(level: level, body)
        depth += 1
      }
    }
  }

  /// The lowest instrument number from `first` on that has a live order, or nil. With
  /// ``forEachOrder(instrument:_:)`` this walks all books in canonical order.
  public func nextInstrument(from first: UInt32) -> UInt32? {
    var instrument = Int(first)
    while instrument < capacity.instruments {
      let number = UInt32(truncatingIfNeeded: instrument * 2)
      if levels.side(number).pointee.orders != 0 || levels.side(number + 1).pointee.orders != 0 {
        return UInt32(truncatingIfNeeded: instrument)
      }
      instrument += 1
    }
    return nil
  }

  private func sideNumber(_ instrument: UInt32, _ side: BookSide) -> UInt32? {
    guard Int(instrument) < capacity.instruments else { return nil }
    return LevelStore.sideNumber(instrument, side)
  }

  private func levelContent(_ level: UInt32) -> BookLevel {
    let record = levels[level].pointee
    return BookLevel(price: record.price, size: record.size, orders: record.orders)
  }

  private func order(slot: UInt32) -> BookOrder {
    let entry = orders[slot].pointee
    let record = levels[entry.level].pointee
    return BookOrder(
      reference: entry.reference, instrument: record.side >> 1, side: Self.side(record.side),
      price: record.price, quantity: entry.quantity)
  }

  private func forEachOrder(level: UInt32, _ body: (BookOrder, UInt64) -> Void) {
    var slot = levels[level].pointee.head
    var position: UInt64 = 0
    while slot != OrderTable.none {
      body(order(slot: slot), position)
      slot = orders[slot].pointee.next
      position += 1
    }
  }
}
