extension OrderBooks {
  /// Removes an order and adds another, of the same side, at the tail of the level at `price`.
  ///
  /// Refusals, in this order: unknownReference, wrongInstrument, quantityOutOfRange (0, or the new level's
  /// size would exceed 64 bits), duplicateReference (also when both references are equal), levelsFull (a
  /// level that the removal frees counts as room).
  @inlinable @inline(__always) @_noLocks
  public mutating func replace(
    instrument: UInt32, reference: UInt64, with newReference: UInt64, price: Int64, quantity: UInt64
  ) -> ReplaceOutcome {
    let slot = orders.find(reference)
    guard slot != OrderTable.none else { return .rejected(.unknownReference) }
    let order = orders[slot]
    let number = order.pointee.side
    guard number &>> 1 == instrument else { return .rejected(.wrongInstrument) }
    guard quantity != 0 else { return .rejected(.quantityOutOfRange) }
    guard orders.find(newReference) == OrderTable.none else { return .rejected(.duplicateReference) }
    if order.pointee.price == price { return renew(slot, reference, newReference, quantity) }
    return move(slot, reference, newReference, price, quantity)
  }

  /// A replace at the same price: the order goes to the tail of its own level.
  @inlinable @inline(__always) @_noLocks
  mutating func renew(
    _ slot: UInt32, _ reference: UInt64, _ newReference: UInt64, _ quantity: UInt64
  ) -> ReplaceOutcome {
    let order = orders[slot]
    let number = order.pointee.side
    let side = levels.side(number)
    let count = Int(side.pointee.levels)
    let array = levels.array(side)
    let index = Self.levelIndex(order, array, count: count)
    let level = array.levels + index
    let oldQuantity = order.pointee.quantity
    let oldSize = level.pointee.size
    // The sum of both orders must not be formed: it may not fit.
    let (size, overflow) = (oldSize &- oldQuantity).addingReportingOverflow(quantity)
    if overflow { return .rejected(.quantityOutOfRange) }
    if level.pointee.tail == slot {
      orders.index.remove(reference, slot: slot)
      order.pointee.reference = newReference
      order.pointee.quantity = quantity
      orders.index.insert(newReference, slot: slot, side: number)
    } else {
      // The new one first, so that the level is never without an order.
      level.pointee.tail = enter(
        newReference, quantity, order.pointee.price, number, index, previous: level.pointee.tail)
      level.pointee.orders &+= 1
      _ = leave(slot, reference, level)
    }
    level.pointee.size = size
    levels.refreshBest(side: number)
    let after = Self.content(order.pointee.price, level.pointee)
    return .replaced(
      BookReplacement(
        side: Self.side(number), oldQuantity: oldQuantity, oldLevel: after, newLevel: after,
        bestChanged: index &+ 1 == count && size != oldSize))
  }

  /// A replace at another price.
  @inlinable @inline(__always) @_noLocks
  mutating func move(
    _ slot: UInt32, _ reference: UInt64, _ newReference: UInt64, _ price: Int64, _ quantity: UInt64
  ) -> ReplaceOutcome {
    let order = orders[slot]
    let number = order.pointee.side
    let oldPrice = order.pointee.price
    let oldQuantity = order.pointee.quantity
    let side = levels.side(number)
    let count = Int(side.pointee.levels)
    let array = levels.array(side)
    let key = LevelStore.key(price, side: number)
    let oldIndex = Self.levelIndex(order, array, count: count)
    var index = LevelStore.lowerBound(array.keys, count: count, key: key)
    let exists = index < count && array.keys[index] == key
    let freesLevel = array.levels[oldIndex].orders == 1
    if exists {
      if array.levels[index].size.addingReportingOverflow(quantity).overflow {
        return .rejected(.quantityOutOfRange)
      }
    } else if levels.liveCount &- (freesLevel ? 1 : 0) >= levels.capacity {
      return .rejected(.levelsFull)
    }
    let oldBestPrice = side.pointee.bestPrice
    let oldBestSize = side.pointee.bestSize
    var oldAfter = BookLevel(price: oldPrice, size: 0, orders: 0)
    if leave(slot, reference, array.levels + oldIndex) {
      array.levels[oldIndex].size &-= oldQuantity
      oldAfter.size = array.levels[oldIndex].size
      oldAfter.orders = array.levels[oldIndex].orders
    } else {
      levels.remove(at: oldIndex, side: number)
      if index > oldIndex { index &-= 1 }
    }
    if exists {
      let level = levels.array(side).levels + index
      let newSlot = enter(newReference, quantity, price, number, index, previous: level.pointee.tail)
      level.pointee.size &+= quantity
      level.pointee.orders &+= 1
      level.pointee.tail = newSlot
    } else {
      let newSlot = enter(newReference, quantity, price, number, index, previous: OrderTable.none)
      levels.insert(
        key, LevelEntry(size: quantity, orders: 1, tail: newSlot), at: index,
        side: number)
    }
    levels.refreshBest(side: number)
    return .replaced(
      BookReplacement(
        side: Self.side(number), oldQuantity: oldQuantity, oldLevel: oldAfter,
        newLevel: Self.content(price, levels.array(side).levels[index]),
        bestChanged: side.pointee.bestPrice != oldBestPrice || side.pointee.bestSize != oldBestSize))
  }
}
