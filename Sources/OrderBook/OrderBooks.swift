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
  private var memory: FixedMemory
  @usableFromInline var orders: OrderTable
  @usableFromInline var levels: LevelStore

  /// Maps all memory (``BookCapacity/memoryBytes``), and touches it as `touch` says. Traps when `capacity` has a
  /// ``BookCapacity/problem`` or the kernel refuses the memory: call it once, at start.
  public init(capacity: BookCapacity, touch: MemoryTouch = .atOnce) {
    if let problem = capacity.problem { preconditionFailure(problem) }
    self.capacity = capacity
    memory = FixedMemory(bytes: capacity.memoryBytes, touch: touch)
    var pieces = MemoryPieces(memory, bytes: capacity.memoryBytes)
    orders = OrderTable(orders: capacity.orders, &pieces)
    levels = LevelStore(levels: capacity.levels, instruments: capacity.instruments, &pieces)
  }

  /// With ``MemoryTouch/asNeeded``: takes the next piece of what was not needed yet, in some tenths of a millisecond.
  /// - Returns: false when all the memory is there.
  public mutating func touchMemory() -> Bool { memory.touchMore() }

  /// Adds an order at the tail of its level.
  ///
  /// Refusals, in this order: instrumentOutOfRange, quantityOutOfRange (0, or the level's size would exceed
  /// 64 bits), duplicateReference, ordersFull, levelsFull.
  @inlinable @inline(__always) @_noLocks
  public mutating func add(
    instrument: UInt32, side: BookSide, reference: UInt64, price: Int64, quantity: UInt64
  ) -> BookOutcome {
    guard Int(instrument) < capacity.instruments else { return .rejected(.instrumentOutOfRange) }
    guard quantity != 0 else { return .rejected(.quantityOutOfRange) }
    guard orders.find(reference) == OrderTable.none else { return .rejected(.duplicateReference) }
    guard orders.liveCount < orders.capacity else { return .rejected(.ordersFull) }
    let number = LevelStore.sideNumber(instrument, side)
    let entry = levels.side(number)
    let key = LevelStore.key(price, side: number)
    let count = Int(entry.pointee.levels)
    let array = levels.array(entry)
    let index = LevelStore.lowerBound(array.keys, count: count, key: key)
    if index < count, array.keys[index] == key {
      let level = array.levels + index
      let (sum, overflow) = level.pointee.size.addingReportingOverflow(quantity)
      if overflow { return .rejected(.quantityOutOfRange) }
      let slot = enter(reference, quantity, price, number, index, previous: level.pointee.tail)
      level.pointee.size = sum
      level.pointee.orders &+= 1
      level.pointee.tail = slot
    } else {
      guard levels.liveCount < levels.capacity else { return .rejected(.levelsFull) }
      let slot = enter(reference, quantity, price, number, index, previous: OrderTable.none)
      levels.insert(
        key, LevelEntry(size: quantity, orders: 1, tail: slot), at: index,
        side: number)
    }
    levels.refreshBest(side: number)
    return .changed(
      BookChange(
        side: side, quantity: quantity, remaining: quantity,
        level: Self.content(price, levels.array(entry).levels[index]),
        bestChanged: index &+ 1 == Int(entry.pointee.levels)))
  }

  /// Takes `quantity` from an order, which dies when nothing is left; its place in the queue stays.
  ///
  /// Refusals, in this order: unknownReference, wrongInstrument, quantityOutOfRange (0), quantityExceeded.
  @inlinable @inline(__always) @_noLocks
  public mutating func reduce(
    instrument: UInt32, reference: UInt64, by quantity: UInt64
  ) -> BookOutcome {
    let slot = orders.find(reference)
    guard slot != OrderTable.none else { return .rejected(.unknownReference) }
    let order = orders[slot]
    guard order.pointee.side &>> 1 == instrument else { return .rejected(.wrongInstrument) }
    guard quantity != 0 else { return .rejected(.quantityOutOfRange) }
    guard quantity <= order.pointee.quantity else { return .rejected(.quantityExceeded) }
    if quantity == order.pointee.quantity { return .changed(removeWhole(slot, reference)) }
    order.pointee.quantity &-= quantity
    let number = order.pointee.side
    let side = levels.side(number)
    let count = Int(side.pointee.levels)
    let array = levels.array(side)
    let index = Self.levelIndex(order, array, count: count)
    array.levels[index].size &-= quantity
    levels.refreshBest(side: number)
    return .changed(
      BookChange(
        side: Self.side(number), quantity: quantity, remaining: order.pointee.quantity,
        level: Self.content(order.pointee.price, array.levels[index]), bestChanged: index &+ 1 == count))
  }

  /// Executes part or all of an order: the same effect and refusals as ``reduce(instrument:reference:by:)``.
  @inlinable @inline(__always) @_noLocks
  public mutating func execute(
    instrument: UInt32, reference: UInt64, quantity: UInt64
  ) -> BookOutcome {
    reduce(instrument: instrument, reference: reference, by: quantity)
  }

  /// Removes an order. Refusals, in this order: unknownReference, wrongInstrument.
  @inlinable @inline(__always) @_noLocks
  public mutating func delete(instrument: UInt32, reference: UInt64) -> BookOutcome {
    let slot = orders.find(reference)
    guard slot != OrderTable.none else { return .rejected(.unknownReference) }
    guard orders[slot].pointee.side &>> 1 == instrument else { return .rejected(.wrongInstrument) }
    return .changed(removeWhole(slot, reference))
  }

  // MARK: - Pieces of the operations

  @inlinable @inline(__always) @_noLocks
  static func side(_ number: UInt32) -> BookSide { BookSide(half: UInt8(truncatingIfNeeded: number)) }

  @inlinable @inline(__always) @_noLocks
  static func content(_ price: Int64, _ level: LevelEntry) -> BookLevel {
    BookLevel(price: price, size: level.size, orders: level.orders)
  }

  /// The index of a live order's level.
  @inlinable @inline(__always) @_noLocks
  static func levelIndex(
    _ order: UnsafeMutablePointer<OrderEntry>, _ array: LevelArray, count: Int
  ) -> Int {
    let key = LevelStore.key(order.pointee.price, side: order.pointee.side)
    // A level more or less behind it since the order came is allowed for.
    var guess = min(Int(order.pointee.guess), count &- 1)
    let found = array.keys[guess]
    guess &+= oneIf(found < key)
    guess &-= oneIf(found > key)
    guess = min(max(guess, 0), count &- 1)
    if array.keys[guess] == key { return guess }
    return LevelStore.index(of: key, array.keys, count: count)
  }

  /// Takes a slot for a new order and enters it into the index. The caller has checked everything and makes
  /// the slot the tail of its level.
  @inlinable @inline(__always) @_noLocks
  mutating func enter(
    _ reference: UInt64, _ quantity: UInt64, _ price: Int64, _ number: UInt32, _ index: Int,
    previous: UInt32
  ) -> UInt32 {
    let slot = orders.take()
    let order = orders[slot]
    order.pointee.reference = reference
    order.pointee.quantity = quantity
    order.pointee.price = price
    order.pointee.previous = previous
    order.pointee.next = OrderTable.none
    order.pointee.side = number
    order.pointee.guess = UInt32(truncatingIfNeeded: index)
    orders[previous].pointee.next = slot
    orders.index.insert(reference, slot: slot, side: number)
    orders.liveCount &+= 1
    return slot
  }

  /// Takes a live order out of the index and out of its level's queue and count; the size is the caller's.
  /// False when the level has no order left.
  @inlinable @inline(__always) @_noLocks
  mutating func leave(
    _ slot: UInt32, _ reference: UInt64, _ level: UnsafeMutablePointer<LevelEntry>
  ) -> Bool {
    let order = orders[slot]
    orders.index.remove(reference, slot: slot)
    let previous = order.pointee.previous
    let next = order.pointee.next
    // Without branches; where there is no neighbour, slot 0 takes the store. Nothing is read of the
    // neighbours, so nobody waits for them.
    orders[previous].pointee.next = next
    orders[next].pointee.previous = previous
    level.pointee.tail = pick(next == OrderTable.none, previous, level.pointee.tail)
    orders.free(slot)
    orders.liveCount &-= 1
    level.pointee.orders &-= 1
    return level.pointee.orders != 0
  }

  @inlinable @inline(__always) @_noLocks
  mutating func removeWhole(_ slot: UInt32, _ reference: UInt64) -> BookChange {
    let order = orders[slot]
    let quantity = order.pointee.quantity
    let price = order.pointee.price
    let number = order.pointee.side
    let side = levels.side(number)
    let count = Int(side.pointee.levels)
    let array = levels.array(side)
    let index = Self.levelIndex(order, array, count: count)
    let level = array.levels + index
    var after = BookLevel(price: price, size: 0, orders: 0)
    if leave(slot, reference, level) {
      level.pointee.size &-= quantity
      after.size = level.pointee.size
      after.orders = level.pointee.orders
    } else {
      levels.remove(at: index, side: number)
    }
    levels.refreshBest(side: number)
    return BookChange(
      side: Self.side(number), quantity: quantity, remaining: 0, level: after,
      bestChanged: index &+ 1 == count)
  }
}
