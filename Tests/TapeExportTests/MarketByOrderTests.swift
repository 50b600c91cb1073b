import XCTest

@testable import TapeExport

/// Messages made by hand, and the records that they must become.
final class MarketByOrderTests: XCTestCase {
  private let midnight: UInt64 = 1_000_000_000_000
  private var translator = MarketByOrderTranslator(midnight: 1_000_000_000_000)
  private var sequence: UInt64 = 0

  override func setUp() {
    translator = MarketByOrderTranslator(midnight: midnight)
    sequence = 0
  }

  // MARK: One message each

  func testAnAddAndItsDelete() {
    XCTAssertEqual(
      send(add(7, "S", 300, 1_234_500)),
      [record(.add, .ask, order: 7, price: 123_450_000_000, size: 300, flags: last)])
    XCTAssertEqual(
      send(message("D", number(7))),
      [record(.cancel, .ask, order: 7, price: 123_450_000_000, size: 300, flags: last)])
    XCTAssertEqual(send(message("D", number(7))), [], "it is gone")
    XCTAssertEqual(translator.counts.unknownOrders, 1)
    XCTAssertEqual(translator.counts.records, 2)
  }

  func testAnAddWithAParticipant() {
    XCTAssertEqual(
      send(add(7, "B", 1, 1, attribution: "MPID")),
      [record(.add, .bid, order: 7, price: 100_000, size: 1, flags: last)])
  }

  func testAnExecutionIsATradeAFillAndACancel() {
    _ = send(add(7, "B", 300, 10_000))
    XCTAssertEqual(
      send(message("E", number(7), word(100), number(55))),
      [
        record(.trade, .ask, order: 0, price: 1_000_000_000, size: 100),
        record(.fill, .bid, order: 7, price: 1_000_000_000, size: 100),
        record(.cancel, .bid, order: 7, price: 1_000_000_000, size: 100, flags: last),
      ])
    _ = send(message("E", number(7), word(200), number(56)))
    XCTAssertEqual(send(message("X", number(7), word(1))), [], "nothing is left of it")
  }

  func testAnExecutionAtAnotherPriceTakesFromTheOrdersOwn() {
    _ = send(add(7, "S", 300, 10_000))
    XCTAssertEqual(
      send(message("C", number(7), word(100), number(55), letters("Y"), word(9_000))),
      [
        record(.trade, .bid, order: 0, price: 900_000_000, size: 100),
        record(.fill, .ask, order: 7, price: 900_000_000, size: 100),
        record(.cancel, .ask, order: 7, price: 1_000_000_000, size: 100, flags: last),
      ])
    XCTAssertEqual(
      send(message("C", number(7), word(100), number(56), letters("N"), word(9_000))),
      [
        record(.fill, .ask, order: 7, price: 900_000_000, size: 100),
        record(.cancel, .ask, order: 7, price: 1_000_000_000, size: 100, flags: last),
      ], "what is not to be printed is no trade")
    XCTAssertEqual(translator.counts.notPrintable, 1)
  }

  func testACancelLeavesTheRest() {
    _ = send(add(7, "B", 300, 10_000))
    XCTAssertEqual(
      send(message("X", number(7), word(100))),
      [record(.cancel, .bid, order: 7, price: 1_000_000_000, size: 100, flags: last)])
    XCTAssertEqual(
      send(message("D", number(7))),
      [record(.cancel, .bid, order: 7, price: 1_000_000_000, size: 200, flags: last)])
  }

  func testAReplacementIsACancelAndAnAddOfTheSameInstrumentAndSide() {
    _ = send(add(7, "S", 300, 10_000, instrument: 9))
    XCTAssertEqual(
      send(message("U", number(7), number(8), word(50), word(20_000), instrument: 5)),
      [
        record(.cancel, .ask, order: 7, price: 1_000_000_000, size: 300, instrument: 9),
        record(.add, .ask, order: 8, price: 2_000_000_000, size: 50, flags: last, instrument: 9),
      ])
  }

  func testTradesThatNoOrderOfTheBookMade() {
    XCTAssertEqual(
      send(message("P", number(0), letters("B"), word(100), letters("AAPL    "), word(10_000), number(3))),
      [record(.trade, .none, order: 0, price: 1_000_000_000, size: 100, flags: last)])
    XCTAssertEqual(
      send(cross(4_294_967_295)),
      [record(.trade, .none, order: 0, price: 1_000_000_000, size: .max, flags: last)])
    XCTAssertEqual(send(cross(4_294_967_296)), [])
    XCTAssertEqual(send(cross(0)), [])
    XCTAssertEqual(translator.counts.tooLarge, 1)
    XCTAssertEqual(translator.counts.emptyCrosses, 1)
  }

  func testWhatCannotBeSaidIsCounted() {
    XCTAssertEqual(send(message("B", number(3))), [])
    XCTAssertEqual(send(message("B", number(4))), [])
    XCTAssertEqual(send(message("S", letters("O"))), [])
    XCTAssertEqual(send([0x41, 0, 0]), [])
    XCTAssertEqual(send([]), [])
    XCTAssertEqual(translator.counts.notExpressed, [0x42: 2, 0x53: 1])
    XCTAssertEqual(translator.counts.malformed, 2)
    XCTAssertEqual(translator.counts.messages, 5)
  }

  func testContradictionsAreCountedAndDoNotTrap() {
    _ = send(add(7, "B", 300, 10_000))
    _ = send(add(7, "B", 100, .max))
    XCTAssertEqual(
      send(message("X", number(7), word(.max))),
      [record(.cancel, .bid, order: 7, price: 429_496_729_500_000, size: .max, flags: last)])
    XCTAssertEqual(send(message("E", number(7), word(1), number(1))), [])
    XCTAssertEqual(translator.counts.inconsistent, 2)
    XCTAssertEqual(translator.counts.unknownOrders, 1)
    var records: [DatabentoOrderRecord] = []
    add(9, "B", 1, 1).withUnsafeBytes { bytes in
      translator.translate(sequence: .max, receiveTime: 0, bytes, into: &records)
    }
    XCTAssertEqual(records.first?.sequence, .max)
    XCTAssertEqual(records.first?.flags, last | 0x08)
    XCTAssertEqual(translator.counts.longSequences, 1)
  }

  // MARK: What is lost, and comes back

  func testALossMarksAllThatFollowsUntilTheNextSession() {
    XCTAssertEqual(send(add(7, "B", 300, 10_000)).first?.flags, last)
    translator.lose(through: 20)
    XCTAssertEqual(send(add(8, "B", 300, 10_000, instrument: 4)).first?.flags, last | 0x04)
    var records: [DatabentoOrderRecord] = []
    translator.startSession(Array("OTHER     ".utf8), first: 1, into: &records)
    XCTAssertEqual(records.map(\.action), [.clear, .clear])
    XCTAssertEqual(records.map(\.instrument), [4, 5])
    XCTAssertEqual(records.map(\.price), [.max, .max])
    XCTAssertEqual(records.map(\.flags), [last, last])
    sequence = 0
    XCTAssertEqual(send(message("D", number(7))), [], "its books are new")
    XCTAssertEqual(send(add(8, "B", 300, 10_000)).first?.flags, last)
    XCTAssertEqual(translator.counts.losses, 1)
  }

  func testABeginningInTheMiddleIsDoubted() {
    sequence = 100
    XCTAssertEqual(send(add(7, "B", 300, 10_000)).first?.flags, last | 0x04)
  }

  func testASessionThatGoesOnChangesNothing() {
    let name = Array("SESSION   ".utf8)
    var records: [DatabentoOrderRecord] = []
    translator.startSession(name, first: 1, into: &records)
    _ = send(add(7, "B", 300, 10_000))
    translator.startSession(name, first: 2, into: &records)
    XCTAssertEqual(records, [])
    XCTAssertEqual(send(message("D", number(7))).count, 1)
  }

  func testAnImageTakesThePlaceOfTheBooks() {
    _ = send(add(7, "B", 300, 10_000))
    translator.lose(through: 20)
    translator.startImage()
    image(add(8, "S", 100, 10_000), 1)
    image(add(9, "S", 100, 10_000, instrument: 6), 2)
    image(add(10, "S", 100, 20_000), 3)
    var records: [DatabentoOrderRecord] = []
    translator.endImage(last: 20, count: 3, into: &records)
    XCTAssertEqual(records.map(\.action), [.clear, .add, .add, .add])
    XCTAssertEqual(records.map(\.order), [0, 8, 9, 10])
    XCTAssertEqual(
      records.map(\.flags), [0x20, 0x20, 0x20 | last, 0x20 | last], "the last one of each instrument")
    XCTAssertEqual(records.map(\.sequence), [20, 20, 20, 20])
    sequence = 20
    XCTAssertEqual(send(message("D", number(10), instrument: 5)).first?.flags, last, "exact again")
    XCTAssertEqual(send(message("D", number(7))), [])
  }

  func testAnImageThatIsNotWholeIsVoid() {
    _ = send(add(7, "B", 300, 10_000))
    var records: [DatabentoOrderRecord] = []
    // One message is missing at the end, one in the middle, another record comes between.
    translator.startImage()
    image(add(8, "S", 100, 10_000), 1)
    translator.endImage(last: 20, count: 2, into: &records)
    translator.startImage()
    image(add(8, "S", 100, 10_000), 2)
    translator.endImage(last: 20, count: 1, into: &records)
    translator.startImage()
    image(add(8, "S", 100, 10_000), 1)
    _ = send(message("S", letters("O")))
    translator.endImage(last: 20, count: 1, into: &records)
    translator.endImage(last: 20, count: 0, into: &records)
    XCTAssertEqual(records, [])
    XCTAssertEqual(send(message("D", number(7))).count, 1)
  }

  func testMappingsKeepTheFirstOfTwoDefinitions() {
    var mappings = MarketByOrderMappings()
    func define(_ symbol: String, _ instrument: UInt16) {
      var bytes = message("R", letters(symbol), [UInt8](repeating: 0x20, count: 20))
      bytes[1] = UInt8(instrument >> 8)
      bytes[2] = UInt8(instrument & 255)
      bytes.withUnsafeBytes { mappings.note($0) }
    }
    define("AAPL    ", 300)
    define("AAPL    ", 300)
    define("MSFT    ", 2)
    define("AAPL    ", 4)
    define("IBM     ", 2)
    add(1, "B", 1, 1).withUnsafeBytes { mappings.note($0) }
    XCTAssertEqual(
      mappings.mappings, [.init(symbol: "AAPL", instrument: 300), .init(symbol: "MSFT", instrument: 2)])
    XCTAssertEqual(mappings.conflicts, 2)
  }

  // MARK: Making them

  private let last = DatabentoOrderRecord.Flag.last

  private func send(_ message: [UInt8]) -> [DatabentoOrderRecord] {
    sequence += 1
    var records: [DatabentoOrderRecord] = []
    message.withUnsafeBytes { bytes in
      translator.translate(sequence: sequence, receiveTime: 5_000, bytes, into: &records)
    }
    return records
  }

  private func image(_ message: [UInt8], _ number: UInt64) {
    message.withUnsafeBytes { translator.addToImage($0, number: number) }
  }

  private func record(
    _ action: DatabentoOrderRecord.Action, _ side: DatabentoOrderRecord.Side, order: UInt64, price: Int64,
    size: UInt32, flags: UInt8 = 0, instrument: UInt32 = 5
  ) -> DatabentoOrderRecord {
    DatabentoOrderRecord(
      instrument: instrument, eventTime: midnight + 0x0102_0304_0506, order: order, price: price, size: size,
      flags: flags, action: action, side: side, receiveTime: 5_000, sequence: UInt32(sequence))
  }

  private func message(_ type: Character, _ parts: [UInt8]..., instrument: UInt8 = 5) -> [UInt8] {
    [type.asciiValue ?? 0, 0, instrument, 0, 0, 1, 2, 3, 4, 5, 6] + parts.flatMap { $0 }
  }

  private func add(
    _ reference: UInt64, _ side: String, _ shares: UInt32, _ price: UInt32, instrument: UInt8 = 5,
    attribution: String = ""
  ) -> [UInt8] {
    message(
      attribution.isEmpty ? "A" : "F", number(reference), letters(side), word(shares), letters("AAPL    "),
      word(price), letters(attribution), instrument: instrument)
  }

  private func cross(_ shares: UInt64) -> [UInt8] {
    message("Q", number(shares), letters("AAPL    "), word(10_000), number(9), letters("O"))
  }

  private func number(_ value: UInt64) -> [UInt8] { withUnsafeBytes(of: value.bigEndian) { [UInt8]($0) } }
  private func word(_ value: UInt32) -> [UInt8] { withUnsafeBytes(of: value.bigEndian) { [UInt8]($0) } }
  private func letters(_ text: String) -> [UInt8] { Array(text.utf8) }
}
