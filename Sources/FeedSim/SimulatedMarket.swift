/// The live orders of every instrument of a simulated day, with enough of a book to keep the flow honest:
/// executions hit the head of the best level, adds never lock or cross, and every order can be found again.
///
/// An instrument has a ladder of ``levelCount`` ticks around its anchor price. A level belongs to one side
/// at a time (bids lie below asks), so both sides share its queue and only the bit sets tell them apart.
/// Orders beyond the ladder are "far": they rest, are replaced or deleted, and never trade. All memory is
/// made at once; 32 bytes an order, 1 KiB an instrument.
struct SimulatedMarket: ~Copyable {
  struct Order {
    var reference: UInt64
    var shares: UInt32
    var price: UInt32
    /// Neighbours in the level's queue; `next` also chains free slots.
    var next: UInt32
    var previous: UInt32
    /// Index in the live list that holds the order.
    var livePosition: UInt32
    /// Index of the instrument, from 0 (locate - 1).
    var instrument: UInt16
    /// Level on the ladder, or ``SimulatedMarket/farLevel``.
    var level: UInt8
    /// ``SimulatedMarket/sellFlag``, ``SimulatedMarket/fleetingFlag``.
    var flags: UInt8

    var isSell: Bool { flags & SimulatedMarket.sellFlag != 0 }
  }

  struct Instrument {
    var stock: UInt64
    /// Levels that hold bids; bit n of the pair is level n.
    var bids: (UInt64, UInt64)
    var asks: (UInt64, UInt64)
    /// Price of level ``SimulatedMarket/anchorLevel``, in ticks.
    var anchorTicks: UInt32
    /// Level of the fair price.
    var fairLevel: Int32
  }

  private struct Level {
    var head: UInt32
    var tail: UInt32
  }

  static let levelCount = 128
  static let anchorLevel = 64
  /// How far the fair price may stray from the anchor.
  static let fairRange: Int32 = 40
  static let farLevel: UInt8 = 255
  static let none = UInt32.max
  static let sellFlag: UInt8 = 1
  static let fleetingFlag: UInt8 = 2
  /// Price units of a tick: one cent in 1/10000.
  static let tick: UInt32 = 100

  let orders: UnsafeMutablePointer<Order>
  let instruments: UnsafeMutablePointer<Instrument>
  private let levels: UnsafeMutablePointer<Level>
  private let fleeting: UnsafeMutablePointer<UInt32>
  private let resting: UnsafeMutablePointer<UInt32>
  private(set) var fleetingCount = 0
  private(set) var restingCount = 0
  private var freeHead = SimulatedMarket.none
  private var unusedFrom: UInt32 = 0
  let capacity: Int

  init(instrumentCount: Int, capacity: Int) {
    self.capacity = capacity
    orders = .allocate(capacity: capacity)
    instruments = .allocate(capacity: instrumentCount)
    levels = .allocate(capacity: instrumentCount * Self.levelCount)
    fleeting = .allocate(capacity: capacity)
    resting = .allocate(capacity: capacity)
    levels.initialize(
      repeating: Level(head: Self.none, tail: Self.none), count: instrumentCount * Self.levelCount)
    instruments.initialize(
      repeating: Instrument(
        stock: 0, bids: (0, 0), asks: (0, 0), anchorTicks: 1_000, fairLevel: Int32(Self.anchorLevel)),
      count: instrumentCount)
  }

  deinit {
    orders.deallocate()
    instruments.deallocate()
    levels.deallocate()
    fleeting.deallocate()
    resting.deallocate()
  }

  /// Live orders.
  var liveCount: Int { fleetingCount &+ restingCount }
  /// No slot is free.
  var isFull: Bool { liveCount >= capacity }

  /// Highest level with a bid, -1 when there is none.
  @inline(__always)
  func bestBid(_ instrument: Int) -> Int {
    let bids = instruments[instrument].bids
    if bids.1 != 0 { return 127 &- bids.1.leadingZeroBitCount }
    return 63 &- bids.0.leadingZeroBitCount
  }

  /// Lowest level with an ask, ``levelCount`` when there is none.
  @inline(__always)
  func bestAsk(_ instrument: Int) -> Int {
    let asks = instruments[instrument].asks
    if asks.0 != 0 { return asks.0.trailingZeroBitCount }
    return 64 &+ asks.1.trailingZeroBitCount
  }

  /// The first order in time at the best level of a side, ``none`` when the side is empty.
  @inline(__always)
  func head(_ instrument: Int, isSell: Bool) -> UInt32 {
    let level = isSell ? bestAsk(instrument) : bestBid(instrument)
    guard level >= 0, level < Self.levelCount else { return Self.none }
    return levels[instrument &* Self.levelCount &+ level].head
  }

  /// Price of a level, in price units.
  @inline(__always)
  func price(_ instrument: Int, level: Int) -> UInt32 {
    let ticks = Int(instruments[instrument].anchorTicks) &+ level &- Self.anchorLevel
    return UInt32(truncatingIfNeeded: ticks) &* Self.tick
  }

  /// A live order: from the short-lived ones, or from the others. At least one order must be live.
  @inline(__always)
  func pick(fleeting wantsFleeting: Bool, _ random: inout SeededRandom) -> UInt32 {
    let useFleeting = restingCount == 0 || (wantsFleeting && fleetingCount > 0)
    return useFleeting ? fleeting[random.below(fleetingCount)] : resting[random.below(restingCount)]
  }

  /// Adds an order at the tail of its level. The market must not be full.
  mutating func insert(
    instrument: Int, reference: UInt64, shares: UInt32, price: UInt32, level: UInt8, flags: UInt8
  ) {
    precondition(!isFull)
    let slot: UInt32
    if freeHead != Self.none {
      slot = freeHead
      freeHead = orders[Int(slot)].next
    } else {
      slot = unusedFrom
      unusedFrom &+= 1
    }
    let livePosition: Int
    if flags & Self.fleetingFlag != 0 {
      livePosition = fleetingCount
      fleeting[fleetingCount] = slot
      fleetingCount &+= 1
    } else {
      livePosition = restingCount
      resting[restingCount] = slot
      restingCount &+= 1
    }
    var order = Order(
      reference: reference, shares: shares, price: price, next: Self.none, previous: Self.none,
      livePosition: UInt32(truncatingIfNeeded: livePosition),
      instrument: UInt16(truncatingIfNeeded: instrument), level: level, flags: flags)
    if level != Self.farLevel {
      let index = instrument &* Self.levelCount &+ Int(level)
      let tail = levels[index].tail
      if tail == Self.none {
        levels[index] = Level(head: slot, tail: slot)
        setBit(instrument, level: level, isSell: order.isSell)
      } else {
        order.previous = tail
        orders[Int(tail)].next = slot
        levels[index].tail = slot
      }
    }
    orders[Int(slot)] = order
  }

  /// Removes a live order.
  mutating func remove(_ slot: UInt32) {
    let order = orders[Int(slot)]
    if order.level != Self.farLevel { unlink(order) }
    let position = Int(order.livePosition)
    if order.flags & Self.fleetingFlag != 0 {
      fleetingCount &-= 1
      let moved = fleeting[fleetingCount]
      fleeting[position] = moved
      orders[Int(moved)].livePosition = order.livePosition
    } else {
      restingCount &-= 1
      let moved = resting[restingCount]
      resting[position] = moved
      orders[Int(moved)].livePosition = order.livePosition
    }
    orders[Int(slot)].next = freeHead
    freeHead = slot
  }

  private mutating func unlink(_ order: Order) {
    let instrument = Int(order.instrument)
    let index = instrument &* Self.levelCount &+ Int(order.level)
    if order.previous == Self.none {
      levels[index].head = order.next
    } else {
      orders[Int(order.previous)].next = order.next
    }
    if order.next == Self.none {
      levels[index].tail = order.previous
    } else {
      orders[Int(order.next)].previous = order.previous
    }
    if levels[index].head == Self.none { clearBit(instrument, level: order.level, isSell: order.isSell) }
  }

  @inline(__always)
  private mutating func setBit(_ instrument: Int, level: UInt8, isSell: Bool) {
    let bit: UInt64 = 1 &<< UInt64(level & 63)
    switch (isSell, level < 64) {
    case (false, true): instruments[instrument].bids.0 |= bit
    case (false, false): instruments[instrument].bids.1 |= bit
    case (true, true): instruments[instrument].asks.0 |= bit
    case (true, false): instruments[instrument].asks.1 |= bit
    }
  }

  @inline(__always)
  private mutating func clearBit(_ instrument: Int, level: UInt8, isSell: Bool) {
    let bit: UInt64 = 1 &<< UInt64(level & 63)
    switch (isSell, level < 64) {
    case (false, true): instruments[instrument].bids.0 &= ~bit
    case (false, false): instruments[instrument].bids.1 &= ~bit
    case (true, true): instruments[instrument].asks.0 &= ~bit
    case (true, false): instruments[instrument].asks.1 &= ~bit
    }
  }
}
