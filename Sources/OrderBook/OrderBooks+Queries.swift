extension OrderBooks {
  /// Live orders over all instruments.
  public var orderCount: Int { orders.liveCount }
  /// Live price levels over all instruments and both sides.
  public var levelCount: Int { levels.liveCount }

  /// How often the memory of the sorted level arrays was compacted: each time a pause linear in
  /// ``BookCapacity/levels``.
  public var compactionCount: Int { levels.compactionCount }

  /// Live orders on one side of one book; 0 for an instrument out of range. Linear in the side's levels.
  public func orderCount(instrument: UInt32, side: BookSide) -> Int {
    var count = 0
    forEachLevel(instrument: instrument, side: side) { count += Int($0.orders) }
    return count
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
    return slot == OrderTable.none ? nil : orders[slot].pointee.side &>> 1
  }

  /// Best prices and sizes; an instrument out of range has none.
  @inlinable @inline(__always) @_noLocks
  public func bestPrices(instrument: UInt32) -> BestPrices {
    guard Int(instrument) < capacity.instruments else {
      return BestPrices(bidPrice: 0, bidSize: 0, askPrice: 0, askSize: 0)
    }
    let bid = levels.side(instrument &* 2)
    let ask = levels.side(instrument &* 2 &+ 1)
    return BestPrices(
      bidPrice: bid.pointee.bestPrice, bidSize: bid.pointee.bestSize, askPrice: ask.pointee.bestPrice,
      askSize: ask.pointee.bestSize)
  }

  /// The best level of a side with its order count, or nil when the side is empty.
  public func bestLevel(instrument: UInt32, side: BookSide) -> BookLevel? {
    level(instrument: instrument, side: side, depth: 0)
  }

  /// The level at a distance from the best (0 = the best), or nil when there are not so many.
  public func level(instrument: UInt32, side: BookSide, depth: Int) -> BookLevel? {
    guard let number = sideNumber(instrument, side) else { return nil }
    return levels.level(side: number, depth: depth).map {
      Self.content(LevelStore.key($0.key, side: number), $0.level)
    }
  }

  /// The level at a price, or nil when no order lies there.
  public func level(instrument: UInt32, side: BookSide, price: Int64) -> BookLevel? {
    guard let number = sideNumber(instrument, side) else { return nil }
    return levels.find(side: number, price: price).map {
      Self.content(LevelStore.key($0.key, side: number), $0.level)
    }
  }

  /// Calls `body` with at most `limit` levels of a side, from the best on.
  public func forEachLevel(
    instrument: UInt32, side: BookSide, limit: Int = .max, _ body: (BookLevel) -> Void
  ) {
    guard let number = sideNumber(instrument, side) else { return }
    var depth = 0
    while depth < limit, let level = levels.level(side: number, depth: depth) {
      body(Self.content(LevelStore.key(level.key, side: number), level.level))
      depth += 1
    }
  }

  /// Calls `body` with the orders at a price in queue order (the longest waiting first).
  public func forEachOrder(
    instrument: UInt32, side: BookSide, price: Int64, _ body: (BookOrder) -> Void
  ) {
    guard let number = sideNumber(instrument, side) else { return }
    guard let level = levels.find(side: number, price: price) else { return }
    forEachOrder(level.level) { order, _ in body(order) }
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
      while let level = levels.level(side: number, depth: depth) {
        forEachOrder(level.level, body)
        depth += 1
      }
    }
  }

  /// Calls `level` with every level of a side from the worst to the best, and behind each one `order` with its orders in
  /// queue order. Books that take the orders in this order take each level at the end of its side, which is cheap.
  public func forEachLevelFromWorst(
    instrument: UInt32, side: BookSide, level body: (BookLevel) -> Void, order: (BookOrder) -> Void
  ) {
    guard let number = sideNumber(instrument, side) else { return }
    var depth = Int(levels.side(number).pointee.levels) - 1
    while let level = levels.level(side: number, depth: depth) {
      body(Self.content(LevelStore.key(level.key, side: number), level.level))
      forEachOrder(level.level) { one, _ in order(one) }
      depth -= 1
    }
  }

  /// The lowest instrument number from `first` on that has a live order, or nil. With
  /// ``forEachOrder(instrument:_:)`` this walks all books in canonical order.
  public func nextInstrument(from first: UInt32) -> UInt32? {
    var instrument = Int(first)
    while instrument < capacity.instruments {
      let number = UInt32(truncatingIfNeeded: instrument * 2)
      if levels.side(number).pointee.levels != 0 || levels.side(number + 1).pointee.levels != 0 {
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

  private func order(slot: UInt32) -> BookOrder {
    let entry = orders[slot].pointee
    return BookOrder(
      reference: entry.reference, instrument: entry.side >> 1, side: Self.side(entry.side),
      price: entry.price, quantity: entry.quantity)
  }

  /// The orders of a level, the longest waiting first. A level knows the newest only, so the way is walked twice.
  private func forEachOrder(_ level: LevelEntry, _ body: (BookOrder, UInt64) -> Void) {
    var slot = level.tail
    while orders[slot].pointee.previous != OrderTable.none { slot = orders[slot].pointee.previous }
    var position: UInt64 = 0
    while slot != OrderTable.none {
      body(order(slot: slot), position)
      slot = orders[slot].pointee.next
      position += 1
    }
  }
}
