/// The order flow between the market's open and close.
extension DayGenerator {
  /// Short-lived orders that are kept; when there are more, deletes take them first.
  private static let fleetingTarget = 2_000
  private static let participants: [UInt32] = [
    "NSDQ", "BLKH", "ALFA", "BRVO", "CHRL", "DLTA", "ECHO", "FXTR",
  ].map(ITCHText.four)

  static func participant(_ number: UInt64) -> UInt32 { participants[Int(number & 7)] }

  /// One message of the flow. What cannot be done (nothing to execute, say) becomes an add.
  mutating func flowMessage(_ target: UnsafeMutableRawPointer) -> Int {
    if pausedInstrument >= 0 {
      pauseLeft -= 1
      if pauseLeft <= 0 { return resumeMessage(target) }
    }
    let roll = random.next()
    if openingOrdersLeft > 0 {
      openingOrdersLeft -= 1
      let isAttributed = (roll >> 8) & 0xFFFF < configuration.mix.attributedAdds
      return add(flowInstrument(roll), isSell: roll & 1 != 0, attributed: isAttributed, target)
    }
    var left = Int(truncatingIfNeeded: roll >> 48)
    // Few live orders: more adds and fewer deletes, by up to 2 % of the flow; the reverse beyond the plateau.
    let pressure = Int(truncatingIfNeeded: (UInt64(market.liveCount) &* pressurePerOrder) >> 32)
    let shift = max(1_300 &- pressure, -6_000)
    let mix = configuration.mix

    left &-= mix.adds &+ shift
    if left < 0 {
      let instrument = flowInstrument(roll)
      return add(
        instrument, isSell: roll & 1 != 0, attributed: (roll >> 8) & 0xFFFF < mix.attributedAdds, target)
    }
    left &-= mix.deletes &- shift
    if left < 0 { return delete(pickOrder(roll), target) }
    left &-= mix.replaces
    if left < 0 { return replace(pickOrder(roll), target) }
    left &-= mix.executions
    if left < 0 { return execute(flowInstrument(roll), isSell: roll & 1 != 0, withPrice: false, target) }
    left &-= mix.executionsWithPrice
    if left < 0 { return execute(flowInstrument(roll), isSell: roll & 1 != 0, withPrice: true, target) }
    left &-= mix.cancels
    if left < 0 { return cancel(pickOrder(roll), target) }
    left &-= mix.trades
    if left < 0 { return trade(flowInstrument(roll), target) }
    return rareMessage(target)
  }

  /// Drawn by popularity; one message in four concerns the same instrument as the one before.
  @inline(__always)
  mutating func flowInstrument(_ roll: UInt64) -> Int {
    if (roll >> 1) & 3 != 0 { previousInstrument = popularity.draw(&random) }
    return previousInstrument
  }

  /// A live order, most often a short-lived one.
  @inline(__always)
  mutating func pickOrder(_ roll: UInt64) -> UInt32 {
    guard market.liveCount > 0 else { return SimulatedMarket.none }
    let wantsFleeting = (roll >> 8) & 0xFF < (market.fleetingCount > Self.fleetingTarget ? 243 : 150)
    return market.pick(fleeting: wantsFleeting, &random)
  }

  /// Places a price for `side`: a geometric distance behind the fair price, never at or through the other
  /// side, or (1 in 28) far from the market.
  @inline(__always)
  mutating func place(_ instrument: Int, isSell: Bool, mayBeFar: Bool = true) -> (level: UInt8, price: UInt32)
  {
    let roll = random.next()
    if (roll >> 32) & 0xFF < 9 && mayBeFar {
      let away = Int(truncatingIfNeeded: roll & 0x7F)
      let level = isSell ? SimulatedMarket.levelCount &+ away : -1 &- away
      return (SimulatedMarket.farLevel, market.price(instrument, level: level))
    }
    let distance = 3 &* (roll | 1 << 8).trailingZeroBitCount &+ Int(truncatingIfNeeded: (roll >> 16) & 3)
    driftFairPrice(instrument, roll >> 40)
    let fair = Int(market.instruments[instrument].fairLevel)
    let level: Int
    if isSell {
      level = min(
        max(fair &+ 1 &+ distance, market.bestBid(instrument) &+ 1), SimulatedMarket.levelCount &- 1)
    } else {
      level = max(min(fair &- 1 &- distance, market.bestAsk(instrument) &- 1), 0)
    }
    return (UInt8(truncatingIfNeeded: level), market.price(instrument, level: level))
  }

  /// One time in eight the fair price moves a tick, towards the anchor the likelier the farther it is.
  @inline(__always)
  mutating func driftFairPrice(_ instrument: Int, _ bits: UInt64) {
    guard bits & 7 == 0 else { return }
    let range = SimulatedMarket.fairRange
    let offset = market.instruments[instrument].fairLevel &- Int32(SimulatedMarket.anchorLevel)
    let up = Int32(truncatingIfNeeded: (bits >> 3) & 127) < 64 &- offset
    let moved = min(max(offset &+ (up ? 1 : -1), -range), range)
    market.instruments[instrument].fairLevel = Int32(SimulatedMarket.anchorLevel) &+ moved
  }

  /// Mostly round lots, some odd ones, now and then a block.
  @inline(__always)
  mutating func drawShares() -> UInt32 {
    let roll = random.next()
    let number = UInt32(truncatingIfNeeded: roll >> 32)
    switch roll & 0xFF {
    case 0..<140: return 100
    case 140..<220: return 100 &* (1 &+ number % 10)
    case 220..<255: return 1 &+ number % 99
    default: return 1_000 &* (1 &+ number % 20)
    }
  }

  mutating func add(
    _ instrument: Int, isSell: Bool, attributed: Bool, mayBeFar: Bool = true, minimumShares: UInt32 = 1,
    _ target: UnsafeMutableRawPointer
  ) -> Int {
    guard !market.isFull else { return delete(pickOrder(0), target) }
    let (level, price) = place(instrument, isSell: isSell, mayBeFar: mayBeFar)
    let reference = nextReference(instrument)
    let shares = max(drawShares(), minimumShares)
    let sideFlag = isSell ? SimulatedMarket.sellFlag : 0
    // Three in four near the touch are short-lived.
    let lives = random.next()
    let fleetingFlag =
      level != SimulatedMarket.farLevel && lives & 3 != 0 ? SimulatedMarket.fleetingFlag : 0
    market.insert(
      instrument: instrument, reference: reference, shares: shares, price: price, level: level,
      flags: sideFlag | fleetingFlag)
    let side = isSell ? UInt8(ascii: "S") : UInt8(ascii: "B")
    let stock = market.instruments[instrument].stock
    if attributed {
      return ITCHMessageWriter.addAttributedOrder(
        header(instrument), reference: reference, side: side, shares: shares, stock: stock, price: price,
        participant: Self.participant(lives >> 8), to: target)
    }
    return ITCHMessageWriter.addOrder(
      header(instrument), reference: reference, side: side, shares: shares, stock: stock, price: price,
      to: target)
  }

  mutating func delete(_ slot: UInt32, _ target: UnsafeMutableRawPointer) -> Int {
    guard slot != SimulatedMarket.none else { return addAnywhere(target) }
    let order = market.orders[Int(slot)]
    market.remove(slot)
    return ITCHMessageWriter.orderDelete(
      header(Int(order.instrument)), reference: order.reference, to: target)
  }

  mutating func replace(_ slot: UInt32, _ target: UnsafeMutableRawPointer) -> Int {
    guard slot != SimulatedMarket.none else { return addAnywhere(target) }
    let order = market.orders[Int(slot)]
    let instrument = Int(order.instrument)
    market.remove(slot)
    let (level, price) = place(instrument, isSell: order.isSell)
    let reference = nextReference(instrument)
    let shares = drawShares()
    market.insert(
      instrument: instrument, reference: reference, shares: shares, price: price, level: level,
      flags: order.flags)
    return ITCHMessageWriter.orderReplace(
      header(instrument), reference: order.reference, newReference: reference, shares: shares, price: price,
      to: target)
  }

  /// Part of an order, never all of it; an order of one share is deleted.
  mutating func cancel(_ slot: UInt32, _ target: UnsafeMutableRawPointer) -> Int {
    guard slot != SimulatedMarket.none else { return addAnywhere(target) }
    let order = market.orders[Int(slot)]
    guard order.shares > 1 else { return delete(slot, target) }
    let cancelled = 1 &+ UInt32(truncatingIfNeeded: random.below(UInt64(order.shares &- 1)))
    market.orders[Int(slot)].shares = order.shares &- cancelled
    return ITCHMessageWriter.orderCancel(
      header(Int(order.instrument)), reference: order.reference, shares: cancelled, to: target)
  }

  /// The oldest order at the best price of a side trades, two times in three to its end.
  mutating func execute(
    _ instrument: Int, isSell: Bool, withPrice: Bool, _ target: UnsafeMutableRawPointer
  ) -> Int {
    let slot = market.head(instrument, isSell: isSell)
    guard slot != SimulatedMarket.none, instrument != pausedInstrument else {
      return add(instrument, isSell: isSell, attributed: false, target)
    }
    let order = market.orders[Int(slot)]
    let roll = random.next()
    var shares = order.shares
    if roll % 3 == 0 && shares > 1 {
      shares = 1 &+ UInt32(truncatingIfNeeded: random.below(UInt64(shares &- 1)))
      market.orders[Int(slot)].shares = order.shares &- shares
    } else {
      market.remove(slot)
    }
    let match = nextMatch(instrument)
    guard withPrice else {
      return ITCHMessageWriter.orderExecuted(
        header(instrument), reference: order.reference, shares: shares, match: match, to: target)
    }
    // Half a tick better for the one who came.
    let price = isSell ? order.price &- SimulatedMarket.tick / 2 : order.price &+ SimulatedMarket.tick / 2
    return ITCHMessageWriter.orderExecutedWithPrice(
      header(instrument), reference: order.reference, shares: shares, match: match,
      printable: roll & 0x700 == 0 ? UInt8(ascii: "N") : UInt8(ascii: "Y"), price: price, to: target)
  }

  mutating func trade(_ instrument: Int, _ target: UnsafeMutableRawPointer) -> Int {
    guard instrument != pausedInstrument else {
      return add(instrument, isSell: false, attributed: false, target)
    }
    let price = market.price(instrument, level: Int(market.instruments[instrument].fairLevel))
    let shares = drawShares()
    return ITCHMessageWriter.trade(
      header(instrument), shares: shares, stock: market.instruments[instrument].stock, price: price,
      match: nextMatch(instrument), to: target)
  }

  private mutating func addAnywhere(_ target: UnsafeMutableRawPointer) -> Int {
    let roll = random.next()
    return add(flowInstrument(roll), isSell: roll & 1 != 0, attributed: false, target)
  }
}
