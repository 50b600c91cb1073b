import FeedSim
import XCTest

final class DayGeneratorTests: XCTestCase {
  /// FNV-1a over the length and the bytes of each message.
  private func hash(_ configuration: DayConfiguration, messages: Int) throws -> UInt64 {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    try forEachMessage(configuration, limit: messages) { _, message in
      for byte in [UInt8(message.count)] + message { hash = (hash ^ UInt64(byte)) &* 0x0100_0000_01B3 }
    }
    return hash
  }

  /// A seed means the same day for ever: a change here invalidates every report that names a seed.
  func testTheFirstHundredThousandMessagesOfASeedArePinned() throws {
    let day = DayConfiguration(seed: 20_260_101, messages: 1_000_000, instruments: 2_000)
    XCTAssertEqual(try hash(day, messages: 100_000), 4_284_351_475_050_760_132)
  }

  func testAnotherSeedIsAnotherDay() throws {
    let day = DayConfiguration(seed: 1, messages: 20_000, instruments: 50)
    var other = day
    other.seed = 2
    XCTAssertEqual(try hash(day, messages: 20_000), try hash(day, messages: 20_000))
    XCTAssertNotEqual(try hash(day, messages: 20_000), try hash(other, messages: 20_000))
  }

  func testTheNumberOfMessagesIsExactAndTheShortestDayHasEveryType() throws {
    for instruments in [1, 2, 7, 300] {
      let minimum = DayConfiguration(seed: 0, messages: 0, instruments: instruments).minimumMessages
      for extra: UInt64 in [0, 1, 2, 99, 100, 101, 5_000] {
        for seed: UInt64 in 0..<8 {
          let day = DayConfiguration(seed: seed, messages: minimum + extra, instruments: instruments)
          var types: Set<Character> = []
          var last: [UInt8] = []
          let count = try forEachMessage(day) { _, message in
            types.insert(message.type)
            last = message
          }
          XCTAssertEqual(UInt64(count), day.messages, "\(day)")
          XCTAssertEqual(types, Set(messageLengths.keys), "\(day)")
          XCTAssertEqual([last.type, Character(UnicodeScalar(last[11]))], ["S", "C"], "\(day)")
        }
      }
    }
  }

  func testImpossibleDaysAreRefused() {
    func refusal(_ day: DayConfiguration) -> DayGeneratorError? {
      do throws(DayGeneratorError) { _ = try DayGenerator(day) } catch { return error }
      return nil
    }
    let needed = DayConfiguration(seed: 1, messages: 0, instruments: 10).minimumMessages
    XCTAssertEqual(
      refusal(DayConfiguration(seed: 1, messages: needed - 1, instruments: 10)),
      .tooFewMessages(needed: needed, given: needed - 1, instruments: 10))
    XCTAssertEqual(
      refusal(DayConfiguration(seed: 1, messages: 99, instruments: 0)), .instrumentsOutOfRange(0))
    XCTAssertEqual(
      refusal(DayConfiguration(seed: 1, messages: .max, instruments: 65_536)), .instrumentsOutOfRange(65_536))
    XCTAssertEqual(
      refusal(DayConfiguration(seed: 1, messages: .max, instruments: .min)), .instrumentsOutOfRange(.min))
    XCTAssertEqual(
      refusal(DayConfiguration(seed: 1, messages: 9_999, instruments: 1, plateau: 999)),
      .plateauOutOfRange(999))
  }

  func testTheOrderOfTheDay() throws {
    var events: [Character] = []
    var directory: [Int: [Character]] = [:]
    var symbols: Set<UInt64> = []
    let day = DayConfiguration(seed: 3, messages: 30_000, instruments: 500)
    try forEachMessage(day) { index, message in
      if message.type == "S" {
        events.append(Character(UnicodeScalar(message[11])))
        XCTAssertEqual(message.locate, 0)
      } else if events == ["O"] {
        directory[message.locate, default: []].append(message.type)
        if message.type == "R" { symbols.insert(message.number(11, 8)) }
      } else if events.last == "E" {
        XCTAssertTrue("DB".contains(message.type), "message \(index) after E is a \(message.type)")
      }
    }
    XCTAssertEqual(events, ["O", "S", "Q", "M", "E", "C"])
    directory[0] = nil
    XCTAssertEqual(directory.count, 500)
    XCTAssertTrue(directory.values.allSatisfy { $0 == ["R", "H", "Y", "L"] })
    XCTAssertEqual(symbols.count, 500, "symbols repeat")
  }

  func testLifecyclesAreLegalAndBooksNeverLock() throws {
    for (seed, instruments, plateau) in [(1, 3, 1_000), (2, 40, 1_000), (3, 2_000, 4_000)] {
      var checker = LifecycleChecker()
      let day = DayConfiguration(
        seed: UInt64(seed), messages: 120_000, instruments: instruments, plateau: plateau)
      try forEachMessage(day) { index, message in
        if let complaint = checker.take(message) {
          XCTFail("seed \(seed), \(instruments) instruments, message \(index): \(complaint)")
          throw XCTSkip("the first complaint is enough")
        }
      }
      XCTAssertGreaterThan(checker.executions, 3_000)
    }
  }

  func testTheMixIsNearTheNominal() throws {
    var counts: [Character: Double] = [:]
    let day = DayConfiguration(seed: 5, messages: 400_000, instruments: 500, plateau: 10_000)
    try forEachMessage(day) { _, message in counts[message.type, default: 0] += 100 / 400_000 }
    let nominal: [(Character, ClosedRange<Double>)] = [
      ("A", 37...43), ("F", 3...5), ("D", 35...41), ("U", 9...11), ("E", 4...6), ("C", 0.35...0.65),
      ("X", 1.5...2.5), ("P", 0.7...1.3),
    ]
    for (type, range) in nominal {
      XCTAssertTrue(range.contains(counts[type] ?? 0), "\(type) is \(counts[type] ?? 0) % of the day")
    }
  }

  func testLiveOrdersSettleAtThePlateau() throws {
    let day = DayConfiguration(seed: 5, messages: 400_000, instruments: 200, plateau: 5_000)
    var generator = try DayGenerator(day)
    var buffer = [UInt8](repeating: 0, count: 64)
    var live: [Int] = []
    while buffer.withUnsafeMutableBytes({ generator.next(into: $0.baseAddress!) }) != nil {
      if generator.generated % 20_000 == 0 { live.append(generator.liveOrders) }
    }
    let settled = live[10..<19]
    XCTAssertTrue(settled.allSatisfy { (4_000...6_500).contains($0) }, "live orders: \(live)")
  }

  func testLiveOrdersAreThereFromTheBeginningOfTheFlow() throws {
    let day = DayConfiguration(seed: 5, messages: 300_000, instruments: 200, liveOrders: 50_000)
    let closing = 4_000
    var generator = try DayGenerator(day)
    var buffer = [UInt8](repeating: 0, count: 64)
    var live: [Int] = []
    while buffer.withUnsafeMutableBytes({ generator.next(into: $0.baseAddress!) }) != nil {
      live.append(generator.liveOrders)
    }
    XCTAssertEqual(live.count, 300_000)
    let flow = live[Int(day.minimumMessages)..<live.count - closing]
    XCTAssertGreaterThanOrEqual(flow.min() ?? 0, 50_000)
    XCTAssertLessThanOrEqual(flow.max() ?? 0, 60_000)
    var checker = LifecycleChecker()
    try forEachMessage(day) { index, message in
      if let complaint = checker.take(message) {
        XCTFail("message \(index): \(complaint)")
        throw XCTSkip("the first complaint is enough")
      }
    }
  }

  func testADayHasRoomForItsOpeningOrders() {
    func refusal(_ day: DayConfiguration) -> DayGeneratorError? {
      do throws(DayGeneratorError) { _ = try DayGenerator(day) } catch { return error }
      return nil
    }
    var day = DayConfiguration(seed: 1, messages: 0, instruments: 10, liveOrders: 6_400)
    let needed = day.minimumMessages
    XCTAssertEqual(needed, DayConfiguration(seed: 1, messages: 0, instruments: 10).minimumMessages + 6_500)
    XCTAssertEqual(refusal(day), .tooFewMessages(needed: needed, given: 0, instruments: 10))
    day.messages = needed
    XCTAssertNil(refusal(day))
    for wrong in [-1, .min, 7_201] {
      day.openingOrders = wrong
      XCTAssertEqual(refusal(day), .openingOrdersOutOfRange(wrong, plateau: 7_200))
    }
  }

  func testPopularityFallsWithTheRank() throws {
    var adds: [Int: Int] = [:]
    let day = DayConfiguration(seed: 9, messages: 300_000, instruments: 1_000, plateau: 10_000)
    try forEachMessage(day) { _, message in
      if message.type == "A" { adds[message.locate, default: 0] += 1 }
    }
    let ranked = adds.values.sorted(by: >)
    let total = Double(ranked.reduce(0, +))
    // Weight 1 / (rank + 10) over 1_000 ranks: H(1009) - H(9) = 4.665.
    XCTAssertEqual(Double(ranked[0]) / total, 0.1 / 4.665, accuracy: 0.003)
    XCTAssertEqual(Double(ranked[0]) / Double(ranked[90]), 10, accuracy: 1.5)
    XCTAssertGreaterThan(ranked.count, 990, "some instruments never trade")
  }
}

/// Follows orders by their references alone, sharing nothing with the generator.
struct LifecycleChecker {
  struct Order {
    var locate: Int
    var isSell: Bool
    var price: UInt64
    var shares: UInt64
  }
  private var orders: [UInt64: Order] = [:]
  private var used: Set<UInt64> = []
  private var lastReference: [UInt64: UInt64] = [:]
  private var depth: [Int: [Bool: [UInt64: Int]]] = [:]
  private var lastMatch: UInt64 = 0
  private var lastTime: UInt64 = 14_400_000_000_000
  private var paused: Set<Int> = []
  private(set) var executions = 0

  /// What is wrong with the message, `nil` when nothing is.
  mutating func take(_ message: [UInt8]) -> String? {
    guard message.count == messageLengths[message.type] else { return "wrong length \(message.count)" }
    guard message.timestamp >= lastTime else { return "time runs backwards" }
    lastTime = message.timestamp
    switch message.type {
    case "A", "F":
      return add(
        message.number(11, 8), locate: message.locate, isSell: message[19] == 0x53,
        shares: message.number(20, 4), price: message.number(32, 4))
    case "E", "C":
      executions += 1
      if paused.contains(message.locate) { return "execution while paused" }
      return execute(message)
    case "X":
      guard let order = orders[message.number(11, 8)] else { return "cancel of an order that is not live" }
      guard message.number(19, 4) > 0, message.number(19, 4) < order.shares else {
        return "cancel of \(message.number(19, 4)) out of \(order.shares)"
      }
      return reduce(message.number(11, 8), by: message.number(19, 4), locate: message.locate)
    case "D":
      guard let order = orders[message.number(11, 8)] else { return "delete of an order that is not live" }
      return reduce(message.number(11, 8), by: order.shares, locate: message.locate)
    case "U":
      guard let order = orders[message.number(11, 8)] else { return "replace of an order that is not live" }
      return reduce(message.number(11, 8), by: order.shares, locate: message.locate)
        ?? add(
          message.number(19, 8), locate: message.locate, isSell: order.isSell,
          shares: message.number(27, 4), price: message.number(31, 4))
    case "P": return match(message.number(36, 8))
    case "Q": return match(message.number(31, 8))
    case "H":
      if message[19] == 0x50 { paused.insert(message.locate) } else { paused.remove(message.locate) }
      return nil
    default: return nil
    }
  }

  private mutating func match(_ number: UInt64) -> String? {
    guard number > lastMatch else { return "match number \(number) after \(lastMatch)" }
    lastMatch = number
    return nil
  }

  private mutating func execute(_ message: [UInt8]) -> String? {
    let reference = message.number(11, 8)
    guard let order = orders[reference] else { return "execution of an order that is not live" }
    let better = depth[order.locate]?[order.isSell]?.keys.filter { price in
      // Far orders of the generator rest beyond its ladder of 128 ticks and cannot be better.
      order.isSell ? price < order.price : price > order.price
    }
    guard better?.isEmpty != false else { return "execution behind the best price" }
    return match(message.number(23, 8))
      ?? reduce(reference, by: message.number(19, 4), locate: message.locate)
  }

  private mutating func add(
    _ reference: UInt64, locate: Int, isSell: Bool, shares: UInt64, price: UInt64
  ) -> String? {
    guard used.insert(reference).inserted else { return "reference \(reference) is not unique" }
    let partition = reference % 4
    guard partition == UInt64(locate % 4) else { return "reference \(reference) outside its partition" }
    guard reference > lastReference[partition, default: 0] else { return "references do not increase" }
    lastReference[partition] = reference
    guard shares > 0, price > 0, price % 100 == 0 else { return "\(shares) shares at \(price)" }
    if let opposite = depth[locate]?[!isSell]?.keys,
      opposite.contains(where: { isSell ? $0 >= price : $0 <= price })
    {
      return "the add locks or crosses the book at \(price)"
    }
    orders[reference] = Order(locate: locate, isSell: isSell, price: price, shares: shares)
    depth[locate, default: [:]][isSell, default: [:]][price, default: 0] += 1
    return nil
  }

  private mutating func reduce(_ reference: UInt64, by shares: UInt64, locate: Int) -> String? {
    guard var order = orders[reference] else { return "order \(reference) is not live" }
    guard order.locate == locate else {
      return "order \(reference) belongs to \(order.locate), not \(locate)"
    }
    guard shares > 0, shares <= order.shares else { return "\(shares) shares taken out of \(order.shares)" }
    order.shares -= shares
    if order.shares > 0 {
      orders[reference] = order
    } else {
      orders[reference] = nil
      let left = (depth[locate]?[order.isSell]?[order.price] ?? 0) - 1
      depth[locate]?[order.isSell]?[order.price] = left > 0 ? left : nil
    }
    return nil
  }
}
