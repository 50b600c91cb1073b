extension OrderBooks {
  /// What is inconsistent inside the books, or nil: level sums and counts against their orders, queue
  /// links, array order, cached best levels, free lists, probe counts. Slow; for tests and audits.
  public func checkInvariants() -> String? {
    if let problem = levels.checkInvariants() ?? orders.checkInvariants() { return problem }
    var total = 0
    for number in 0..<UInt32(levels.sideCount) {
      var inSide: UInt32 = 0
      for depth in 0..<Int(levels.side(number).pointee.levels) {
        let level = levels.level(side: number, depth: depth)
        if let problem = checkQueue(level) { return "side \(number), level \(level): \(problem)" }
        inSide += levels[level].pointee.orders
      }
      let counted = levels.side(number).pointee.orders
      if inSide != counted { return "side \(number): \(inSide) orders in its levels, \(counted) counted" }
      total += Int(inSide)
    }
    if total != orders.liveCount { return "\(total) orders in the levels, \(orders.liveCount) in the table" }
    if levels.liveCount > capacity.levels || total > capacity.orders {
      return "more is live than the capacity"
    }
    return nil
  }

  private func checkQueue(_ level: UInt32) -> String? {
    let record = levels[level].pointee
    if record.orders == 0 { return "it is empty and not removed" }
    var size: UInt64 = 0
    var count: UInt32 = 0
    var previous = OrderTable.none
    var slot = record.head
    while slot != OrderTable.none {
      let order = orders[slot].pointee
      if order.quantity == 0 { return "a free order slot is in its queue" }
      if order.level != level { return "order \(order.reference) says it is in level \(order.level)" }
      if order.previous != previous { return "order \(order.reference) has a wrong link back" }
      if orders.find(order.reference) != slot { return "order \(order.reference) cannot be found" }
      let (sum, overflow) = size.addingReportingOverflow(order.quantity)
      if overflow { return "the sum of its orders does not fit" }
      size = sum
      count += 1
      if count > record.orders { return "its queue is longer than its count" }
      previous = slot
      slot = order.next
    }
    if record.tail != previous { return "its tail is not the last order" }
    if count != record.orders { return "\(count) orders in its queue, \(record.orders) counted" }
    if size != record.size { return "its orders sum to \(size), its size is \(record.size)" }
    return nil
  }
}
