/// Price-time order books of many instruments at full depth (every order), in fixed memory.
///
/// Knows no wire format, no clock and no process. Orders are found by reference over all instruments; each
/// price level keeps its orders in a queue by arrival; each side keeps its levels sorted. An operation
/// either happens completely or is a ``BookRejection`` and changes nothing. Nothing is allocated after
/// `init`, which the compiler checks for the operations (`@_noLocks`).
///
/// Prices are any Int64 and are stored exactly; quantities are UInt64. An order dies when nothing is left
/// of it. Nothing is assumed about which order of a level is executed: venues do report executions out of
/// queue order. A crossed book (bid above ask) is legal here. Not thread-safe.
///
/// Whether an order or a level fits depends only on how many are live, so two `OrderBooks` of one capacity
/// with equal content accept and refuse the same operations, whatever their history.
public struct OrderBooks: ~Copyable {
  /// What these books were made for.
  public let capacity: BookCapacity
  var orders: OrderTable
  var levels: LevelStore

  /// Maps and touches all memory (``BookCapacity/memoryBytes``). Traps when `capacity` has a
  /// ``BookCapacity/problem`` or the kernel refuses the memory: call it once, at start.
  public init(capacity: BookCapacity) {
    if let problem = capacity.problem { preconditionFailure(problem) }
    self.capacity = capacity
    orders = OrderTable(orders: capacity.orders)
    levels = LevelStore(levels: capacity.levels, instruments: capacity.instruments)
  }

  /// Adds an order at the tail of its level.
  ///
  /// Refusals, in this order: instrumentOutOfRange, quantityOutOfRange (0, or the level's size would exceed
  /// 64 bits), duplicateReference, ordersFull, levelsFull.
  @_noLocks
  public mutating func add(
    instrument: UInt32, side: BookSide, reference: UInt64, price: Int64, quantity: UInt64
  ) -> BookOutcome {
    guard Int(instrument) < capacity.instruments else { return .rejected(.instrumentOutOfRange) }
    guard quantity != 0 else { return .rejected(.quantityOutOfRange) }
    guard orders.find(reference) == OrderTable.none else { return .rejected(.duplicateReference) }
    guard orders.liveCount < orders.capacity else { return .rejected(.ordersFull) }
    let number = LevelStore.sideNumber(instrument, side)
    let (index, existing) = levels.position(side: number, price: price)
    var level = existing
    if level == LevelStore.none {
      guard levels.liveCount < levels.capacity else { return .rejected(.levelsFull) }
      level = levels.insert(side: number, price: price, index: index)
    } else if levels[level].pointee.size.addingReportingOverflow(quantity).overflow {
      return .rejected(.quantityOutOfRange)
    }
    append(reference, quantity: quantity, to: level)
    return .changed(
      BookChange(
        side: side, quantity: quantity, remaining: quantity, level: after(level),
        bestChanged: levels.side(number).pointee.bestLevel == level))
  }

  /// Takes `quantity` from an order, which dies when nothing is left; its place in the queue stays.
  ///
  /// Refusals, in this order: unknownReference, wrongInstrument, quantityOutOfRange (0), quantityExceeded.
  @_noLocks
  public mutating func reduce(
    instrument: UInt32, reference: UInt64, by quantity: UInt64
  ) -> BookOutcome {
    let slot = orders.find(reference)
    guard slot != OrderTable.none else { return .rejected(.unknownReference) }
    let order = orders[slot]
    let level = levels[order.pointee.level]
    guard level.pointee.side &>> 1 == instrument else { return .rejected(.wrongInstrument) }
    guard quantity != 0 else { return .rejected(.quantityOutOfRange) }
    guard quantity <= order.pointee.quantity else { return .rejected(.quantityExceeded) }
    if quantity == order.pointee.quantity { return .changed(removeWhole(slot)) }
    order.pointee.quantity &-= quantity
    level.pointee.size &-= quantity
    let number = level.pointee.side
    return .changed(
      BookChange(
        side: Self.side(number), quantity: quantity, remaining: order.pointee.quantity,
        level: after(order.pointee.level),
        bestChanged: levels.side(number).pointee.bestLevel == order.pointee.level))
  }

  /// Executes part or all of an order: the same effect and refusals as ``reduce(instrument:reference:by:)``.
  @_noLocks
  public mutating func execute(
    instrument: UInt32, reference: UInt64, quantity: UInt64
  ) -> BookOutcome {
    reduce(instrument: instrument, reference: reference, by: quantity)
  }

  /// Removes an order. Refusals, in this order: unknownReference, wrongInstrument.
  @_noLocks
  public mutating func delete(instrument: UInt32, reference: UInt64) -> BookOutcome {
    let slot = orders.find(reference)
    guard slot != OrderTable.none else { return .rejected(.unknownReference) }
    guard levels[orders[slot].pointee.level].pointee.side &>> 1 == instrument else {
      return .rejected(.wrongInstrument)
    }
    return .changed(removeWhole(slot))
  }

  /// Removes an order and adds another, of the same side, at the tail of the level at `price`.
  ///
  /// Refusals, in this order: unknownReference, wrongInstrument, quantityOutOfRange (0, or the new level's
  /// size would exceed 64 bits), duplicateReference (also when both references are equal), levelsFull (a
  /// level that the removal frees counts as room).
  @_noLocks
  public mutating func replace(
    instrument: UInt32, reference: UInt64, with newReference: UInt64, price: Int64, quantity: UInt64
  ) -> ReplaceOutcome {
    let slot = orders.find(reference)
    guard slot != OrderTable.none else { return .rejected(.unknownReference) }
    let oldLevel = orders[slot].pointee.level
    let number = levels[oldLevel].pointee.side
    guard number &>> 1 == instrument else { return .rejected(.wrongInstrument) }
    guard quantity != 0 else { return .rejected(.quantityOutOfRange) }
    guard orders.find(newReference) == OrderTable.none else { return .rejected(.duplicateReference) }
    let oldQuantity = orders[slot].pointee.quantity
    let oldPrice = levels[oldLevel].pointee.price
    let isSameLevel = oldPrice == price
    let (index, existing) = isSameLevel ? (0, oldLevel) : levels.position(side: number, price: price)
    var newLevel = existing
    if newLevel == LevelStore.none {
      let freed = levels[oldLevel].pointee.orders == 1 ? 1 : 0
      guard levels.liveCount &- freed < levels.capacity else { return .rejected(.levelsFull) }
    } else {
      let size = levels[newLevel].pointee.size &- (isSameLevel ? oldQuantity : 0)
      guard !size.addingReportingOverflow(quantity).overflow else { return .rejected(.quantityOutOfRange) }
    }
    let side = levels.side(number)
    let oldBestPrice = side.pointee.bestPrice
    let oldBestSize = levels[side.pointee.bestLevel].pointee.size
    // The new order first, so that a level that the two share is not removed and made again. Within one
    // level the sum of both must not be formed: it may not fit.
    if newLevel == LevelStore.none { newLevel = levels.insert(side: number, price: price, index: index) }
    if isSameLevel { levels[oldLevel].pointee.size &-= oldQuantity }
    append(newReference, quantity: quantity, to: newLevel)
    unlink(slot)
    if !isSameLevel { levels[oldLevel].pointee.size &-= oldQuantity }
    orders.remove(slot)
    var oldAfter = BookLevel(price: oldPrice, size: 0, orders: 0)
    if levels[oldLevel].pointee.orders == 0 { levels.remove(oldLevel) } else { oldAfter = after(oldLevel) }
    let bestChanged =
      side.pointee.bestPrice != oldBestPrice
      || levels[side.pointee.bestLevel].pointee.size != oldBestSize
    return .replaced(
      BookReplacement(
        side: Self.side(number), oldQuantity: oldQuantity, oldLevel: oldAfter, newLevel: after(newLevel),
        bestChanged: bestChanged))
  }

  // MARK: - Pieces of the operations

  @inline(__always)
  static func side(_ number: UInt32) -> BookSide { number & 1 == 0 ? .bid : .ask }

  @inline(__always)
  private func after(_ level: UInt32) -> BookLevel {
    let record = levels[level]
    return BookLevel(
      price: record.pointee.price, size: record.pointee.size, orders: record.pointee.orders)
  }

  /// Puts a new order at the tail of a level. The caller has checked everything.
  @inline(__always)
  private mutating func append(_ reference: UInt64, quantity: UInt64, to level: UInt32) {
    let slot = orders.insert(reference, quantity: quantity)
    let record = levels[level]
    let order = orders[slot]
    let tail = record.pointee.tail
    order.pointee.level = level
    order.pointee.previous = tail
    order.pointee.next = OrderTable.none
    if tail == OrderTable.none { record.pointee.head = slot } else { orders[tail].pointee.next = slot }
    record.pointee.tail = slot
    record.pointee.size &+= quantity
    record.pointee.orders &+= 1
    levels.side(record.pointee.side).pointee.orders &+= 1
  }

  /// Takes an order out of its level's queue and counts; the level's size is the caller's.
  @inline(__always)
  private mutating func unlink(_ slot: UInt32) {
    let order = orders[slot].pointee
    let record = levels[order.level]
    if order.previous == OrderTable.none {
      record.pointee.head = order.next
    } else {
      orders[order.previous].pointee.next = order.next
    }
    if order.next == OrderTable.none {
      record.pointee.tail = order.previous
    } else {
      orders[order.next].pointee.previous = order.previous
    }
    record.pointee.orders &-= 1
    levels.side(record.pointee.side).pointee.orders &-= 1
  }

  @inline(__always)
  private mutating func removeWhole(_ slot: UInt32) -> BookChange {
    let level = orders[slot].pointee.level
    let quantity = orders[slot].pointee.quantity
    let record = levels[level]
    let number = record.pointee.side
    let wasBest = levels.side(number).pointee.bestLevel == level
    unlink(slot)
    record.pointee.size &-= quantity
    orders.remove(slot)
    let after = after(level)
    if after.orders == 0 { levels.remove(level) }
    return BookChange(
      side: Self.side(number), quantity: quantity, remaining: 0, level: after, bestChanged: wasBest)
  }
}
