extension OrderBooks {
  /// What is inconsistent inside the books, or nil: level sums and counts against their orders, queue
  /// links, array order, cached best prices, free slots, index, probe counts. Slow; for tests
  /// and audits.
  public func checkInvariants() -> String? {
    if let problem = levels.checkInvariants() { return problem }
    var queued: [UInt32] = []
    for number in 0..<UInt32(levels.sideCount) {
      var depth = 0
      while let level = levels.level(side: number, depth: depth) {
        if let problem = checkQueue(level.key, level.level, number, &queued) {
          return "side \(number), level \(depth): \(problem)"
        }
        depth += 1
      }
    }
    if levels.liveCount > capacity.levels || orders.liveCount > capacity.orders {
      return "more is live than the capacity"
    }
    return orders.checkInvariants(queued: queued)
  }

  private func checkQueue(
    _ key: Int64, _ level: LevelEntry, _ number: UInt32, _ queued: inout [UInt32]
  ) -> String? {
    if level.orders == 0 { return "it is empty and not removed" }
    var size: UInt64 = 0
    var count: UInt32 = 0
    var next = OrderTable.none
    var slot = level.tail
    while slot != OrderTable.none {
      if Int(slot) >= orders.slotCount { return "its queue leads nowhere" }
      let order = orders[slot].pointee
      queued.append(slot)
      if order.quantity == 0 { return "a free order slot is in its queue" }
      if order.side != number || LevelStore.key(order.price, side: number) != key {
        return "order \(order.reference) says it is on side \(order.side) at \(order.price)"
      }
      if order.next != next { return "order \(order.reference) has a wrong link to the one behind it" }
      let (sum, overflow) = size.addingReportingOverflow(order.quantity)
      if overflow { return "the sum of its orders does not fit" }
      size = sum
      count += 1
      if count > level.orders { return "its queue is longer than its count" }
      next = slot
      slot = order.previous
    }
    if count != level.orders { return "\(count) orders in its queue, \(level.orders) counted" }
    if size != level.size { return "its orders sum to \(size), its size is \(level.size)" }
    return nil
  }
}
