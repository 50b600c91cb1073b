extension OrderBooks {
  /// Whether an instrument was closed with ``setClosed(_:instrument:)``. The mark lies where every operation on the
  /// instrument looks anyway; it keeps nobody from anything. False for an instrument out of range.
  @inlinable @inline(__always) @_noLocks
  public func isClosed(instrument: UInt32) -> Bool {
    Int(instrument) < capacity.instruments && levels.side(instrument &* 2).pointee.isClosed != 0
  }

  /// Marks an instrument whose orders are not to be kept, or takes the mark away. Does nothing for one out of range.
  @_noLocks
  public mutating func setClosed(_ isClosed: Bool, instrument: UInt32) {
    guard Int(instrument) < capacity.instruments else { return }
    levels.side(instrument &* 2).pointee.isClosed = isClosed ? 1 : 0
  }

  /// Removes every order of an instrument; its room is free for others. Linear in its orders. Does nothing for an
  /// instrument out of range.
  @_noLocks
  public mutating func removeAll(instrument: UInt32) {
    guard Int(instrument) < capacity.instruments else { return }
    removeAll(side: LevelStore.sideNumber(instrument, .bid))
    removeAll(side: LevelStore.sideNumber(instrument, .ask))
  }

  /// The best level first: a side is taken down from its array's end, so that nothing moves.
  @_noLocks
  private mutating func removeAll(side number: UInt32) {
    let side = levels.side(number)
    while side.pointee.levels != 0 {
      let last = Int(side.pointee.levels) &- 1
      var slot = levels.array(side).levels[last].tail
      while slot != OrderTable.none {
        let previous = orders[slot].pointee.previous
        orders.index.remove(orders[slot].pointee.reference, slot: slot)
        orders.free(slot)
        orders.liveCount &-= 1
        slot = previous
      }
      levels.remove(at: last, side: number)
    }
    levels.refreshBest(side: number)
  }
}
