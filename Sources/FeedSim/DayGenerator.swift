/// Generates a day of TotalView-ITCH 5.0, message by message, from a seed.
///
/// The day starts with the directory of every instrument and ends with the last system event. Between lies an
/// order flow (``DayMix``: adds, deletes, replaces, executions, partial cancels, hidden trades, and now and then
/// a halt, an imbalance, a broken trade …). Instruments
/// are drawn by popularity. Prices revert to an anchor. Orders join near the touch without locking the
/// book. Executions hit the oldest order at the best price. Most orders live for a few thousand messages, the
/// rest for long; the number of live orders rises to a plateau, or the flow begins with as many (opening orders). Time runs in bursts. References are unique
/// and increase with gaps within each of four partitions (reference modulo 4 = locate modulo 4).
///
/// Memory is fixed at the start, in proportion to the plateau and the instruments. Not thread-safe.
public struct DayGenerator: ~Copyable {
  let configuration: DayConfiguration
  let schedule: DaySchedule
  var random: SeededRandom
  var market: SimulatedMarket
  let popularity: ZipfTable
  /// Messages generated.
  public internal(set) var generated: UInt64 = 0

  var time = DaySchedule.startTime
  var burstLeft: UInt64 = 0
  var lastReference: (UInt64, UInt64, UInt64, UInt64)
  var lastMatch: UInt64 = 0
  var lastMatchInstrument = 0
  var previousInstrument = 0
  /// Instrument whose trading is paused, -1 for none; messages until it resumes.
  var pausedInstrument = -1
  var pauseLeft = 0
  /// Instrument that is halted on one market only, -1 for none.
  var haltedInstrument = -1
  /// Opening orders that are still to be placed.
  var openingOrdersLeft: Int
  /// 2600 / 2^16 of the mix for a full plateau, as a factor of 2^-32 for each live order.
  let pressurePerOrder: UInt64

  /// - Throws: ``DayGeneratorError`` when the configuration is out of range.
  public init(_ configuration: DayConfiguration) throws(DayGeneratorError) {
    guard (1...65_535).contains(configuration.instruments) else {
      throw .instrumentsOutOfRange(configuration.instruments)
    }
    guard (1_000...50_000_000).contains(configuration.plateau) else {
      throw .plateauOutOfRange(configuration.plateau)
    }
    guard (0...configuration.plateau).contains(configuration.openingOrders) else {
      throw .openingOrdersOutOfRange(configuration.openingOrders, plateau: configuration.plateau)
    }
    let needed = configuration.minimumMessages
    guard configuration.messages >= needed else {
      throw .tooFewMessages(
        needed: needed, given: configuration.messages, instruments: configuration.instruments)
    }
    self.configuration = configuration
    openingOrdersLeft = configuration.openingOrders
    schedule = DaySchedule(configuration)
    random = SeededRandom(seed: configuration.seed, stream: 0xDA7)
    let count = configuration.instruments
    market = SimulatedMarket(instrumentCount: count, capacity: configuration.plateau * 2)
    // The control below settles at about three quarters of its ceiling.
    pressurePerOrder = (2_600 << 32) * 3 / 4 / UInt64(configuration.plateau)
    lastReference = (0, 0, 0, 0)

    var order = (0..<UInt32(count)).map { $0 }
    for index in stride(from: count - 1, to: 0, by: -1) {
      order.swapAt(index, random.below(index + 1))
    }
    popularity = ZipfTable(order: order)
    for index in 0..<count {
      market.instruments[index].stock = Self.stock(index)
      market.instruments[index].anchorTicks = Self.anchorTicks(&random)
    }
    for partition in 0..<4 { setLastReference(partition, 4_000 + UInt64(partition)) }
  }

  /// Writes the next message at `target` and returns its length, or `nil` after the last message.
  ///
  /// - Parameter target: ``ITCHMessageWriter/maximumBytes`` writable bytes; needs no alignment
  public mutating func next(into target: UnsafeMutableRawPointer) -> Int? {
    let index = generated
    guard index <= schedule.last else { return nil }
    generated &+= 1
    if index >= schedule.flowFrom && index < schedule.closeFrom {
      advanceFlowTime()
      return flowMessage(target)
    }
    return scheduledMessage(index, target)
  }

  /// Live orders after the message generated last.
  public var liveOrders: Int { market.liveCount }

  /// The symbol of the instrument with that index, of every day.
  public static func symbol(_ index: Int) -> String {
    let packed = stock(index)
    let letters = (0..<8).map { UInt8(truncatingIfNeeded: packed >> UInt64($0 * 8)) }
    return String(decoding: letters.reversed().prefix { $0 != 0x20 }, as: UTF8.self)
  }

  // A name of four letters that no other index has: the factor shares no divisor with 26^4.
  private static func stock(_ index: Int) -> UInt64 {
    var number = (index * 123_457 + 7) % 456_976
    var packed: UInt64 = 0x2020_2020
    for position in 0..<4 {
      packed |= UInt64(0x41 + number % 26) << UInt64(32 + position * 8)
      number /= 26
    }
    return packed
  }

  // $3 to $800, most of them below $100.
  private static func anchorTicks(_ random: inout SeededRandom) -> UInt32 {
    let spread: UInt64 = random.below(8 as UInt64) == 0 ? 79_700 : 9_700
    return UInt32(truncatingIfNeeded: 300 &+ random.below(spread))
  }
}

/// Time and numbers.
extension DayGenerator {
  /// Moves venue time: messages come in bursts of up to 64, a few hundred nanoseconds apart, and the pauses
  /// between bursts are such that the flow ends near the market's close, and never after.
  @inline(__always)
  mutating func advanceFlowTime() {
    let end = DaySchedule.marketCloseTime
    if burstLeft == 0 {
      burstLeft = 1 &+ random.below(63 as UInt64)
      let messagesLeft = schedule.closeFrom &- generated &+ 1
      let perMessage = (end &- time) / messagesLeft
      let inside: UInt64 = 400
      let mean = perMessage > inside ? (perMessage &- inside) &* burstLeft : 0
      time = min(time &+ random.below(2 &* mean), end)
    }
    burstLeft &-= 1
    time = min(time &+ random.below(800 as UInt64), end)
  }

  @inline(__always)
  func header(_ instrument: Int) -> ITCHHeader {
    ITCHHeader(locate: UInt16(truncatingIfNeeded: instrument &+ 1), timestamp: time)
  }

  mutating func setLastReference(_ partition: Int, _ reference: UInt64) {
    switch partition & 3 {
    case 0: lastReference.0 = reference
    case 1: lastReference.1 = reference
    case 2: lastReference.2 = reference
    default: lastReference.3 = reference
    }
  }

  /// The next reference of the instrument's partition; gaps are orders that never were displayed.
  @inline(__always)
  mutating func nextReference(_ instrument: Int) -> UInt64 {
    let gap = 4 &* UInt64(1 &+ (random.next() | 1 << 40).trailingZeroBitCount)
    switch (instrument &+ 1) & 3 {
    case 0:
      lastReference.0 &+= gap
      return lastReference.0
    case 1:
      lastReference.1 &+= gap
      return lastReference.1
    case 2:
      lastReference.2 &+= gap
      return lastReference.2
    default:
      lastReference.3 &+= gap
      return lastReference.3
    }
  }

  @inline(__always)
  mutating func nextMatch(_ instrument: Int) -> UInt64 {
    lastMatchInstrument = instrument
    lastMatch &+= 1 &+ random.below(3 as UInt64)
    return lastMatch
  }
}
