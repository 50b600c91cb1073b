import FeedWire
import Foundation
import XCTest

final class ITCH50Tests: XCTestCase {
  /// The lengths of the specification, by letter.
  private static let lengths: [Character: Int] = [
    "S": 12, "R": 39, "H": 25, "Y": 20, "L": 26, "V": 35, "W": 12, "K": 28, "J": 35, "h": 21, "A": 36,
    "F": 40, "E": 31, "C": 36, "X": 23, "D": 19, "U": 35, "P": 44, "Q": 40, "B": 19, "I": 50, "N": 20,
    "O": 48,
  ]

  func testExpectedLengthKnowsEveryTypeAndNoOther() {
    XCTAssertEqual(ITCH50.MessageType.allCases.count, Self.lengths.count)
    for code in 0...255 {
      let letter = Character(Unicode.Scalar(UInt8(code)))
      XCTAssertEqual(ITCH50.expectedLength(UInt8(code)), Self.lengths[letter] ?? 0, "type \(code)")
      XCTAssertEqual(ITCH50.MessageType(rawValue: UInt8(code)) != nil, Self.lengths[letter] != nil)
    }
    XCTAssertEqual(Self.lengths.values.max(), ITCH50.messageBytesMax)
  }

  func testValidateNamesWhatIsWrong() {
    func validate(_ bytes: [UInt8]) -> ITCH50Malformed? { bytes.withUnsafeBytes { ITCH50.validate($0) } }
    XCTAssertEqual(validate([]), .empty)
    XCTAssertEqual(ITCH50.validate(UnsafeRawBufferPointer(start: nil, count: 0)), .empty)
    XCTAssertEqual(validate([0x7A, 0, 0]), .unknownType(0x7A))
    XCTAssertEqual(
      validate([0x44] + [UInt8](repeating: 0, count: 17)),
      .wrongLength(type: 0x44, expected: 19, actual: 18))
    XCTAssertEqual(
      validate([0x44] + [UInt8](repeating: 0, count: 19)),
      .wrongLength(type: 0x44, expected: 19, actual: 20))
    XCTAssertNil(validate([0x44] + [UInt8](repeating: 0, count: 18)))
    XCTAssertEqual(ITCH50Malformed.unknownType(0x7A).description, "no message type 'z'")
    XCTAssertEqual(ITCH50Malformed.unknownType(0).description, "no message type 0x0")
  }

  /// A message of a type whose byte at offset i is i: then a field's value tells its offset and width.
  private func numbered(_ letter: Character) -> [UInt8] {
    let length = Self.lengths[letter] ?? 0
    return [letter.asciiValue ?? 0] + (1..<length).map { UInt8($0) }
  }

  /// The value of the bytes `offset`..<`offset + width` of a numbered message.
  private func value(_ offset: Int, _ width: Int) -> UInt64 {
    (offset..<offset + width).reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// The bytes of a text field, which a view gives as they lie in memory.
  private func letters(_ offset: Int) -> UInt64 { value(offset, 8).byteSwapped }
  private func letters4(_ offset: Int) -> UInt32 { UInt32(value(offset, 4)).byteSwapped }

  private func view<View: ITCH50View>(_ letter: Character, _ type: View.Type, _ body: (View) -> Void) {
    let bytes = numbered(letter)
    bytes.withUnsafeBytes { buffer in
      guard let view = View(buffer) else { return XCTFail("\(letter) is not read as \(type)") }
      XCTAssertEqual(view.header.type, letter.asciiValue)
      XCTAssertEqual(view.header.locate, 0x0102)
      XCTAssertEqual(view.header.tracking, 0x0304)
      XCTAssertEqual(view.header.timestamp, 0x0506_0708_090A)
      body(view)
      XCTAssertNil(View(UnsafeRawBufferPointer(rebasing: buffer.dropLast())), "\(letter) one byte short")
    }
    var longer = bytes + [0]
    longer.withUnsafeBytes { XCTAssertNil(View($0), "\(letter) one byte long") }
    longer = bytes
    longer[0] = 0x7A
    longer.withUnsafeBytes { XCTAssertNil(View($0), "\(letter) with another type") }
  }

  func testOrderAndTradeFieldsLieWhereTheSpecificationSays() {
    view("A", ITCH50.AddOrder.self) {
      XCTAssertEqual($0.reference, value(11, 8))
      XCTAssertEqual($0.side, 19)
      XCTAssertEqual(UInt64($0.shares), value(20, 4))
      XCTAssertEqual($0.stock, letters(24))
      XCTAssertEqual(UInt64($0.price), value(32, 4))
    }
    view("F", ITCH50.AddOrderAttributed.self) {
      XCTAssertEqual($0.reference, value(11, 8))
      XCTAssertEqual($0.side, 19)
      XCTAssertEqual(UInt64($0.shares), value(20, 4))
      XCTAssertEqual($0.stock, letters(24))
      XCTAssertEqual(UInt64($0.price), value(32, 4))
      XCTAssertEqual($0.attribution, letters4(36))
    }
    view("E", ITCH50.OrderExecuted.self) {
      XCTAssertEqual($0.reference, value(11, 8))
      XCTAssertEqual(UInt64($0.shares), value(19, 4))
      XCTAssertEqual($0.match, value(23, 8))
    }
    view("C", ITCH50.OrderExecutedWithPrice.self) {
      XCTAssertEqual($0.reference, value(11, 8))
      XCTAssertEqual(UInt64($0.shares), value(19, 4))
      XCTAssertEqual($0.match, value(23, 8))
      XCTAssertEqual($0.printable, 31)
      XCTAssertEqual(UInt64($0.price), value(32, 4))
    }
    view("X", ITCH50.OrderCancel.self) {
      XCTAssertEqual($0.reference, value(11, 8))
      XCTAssertEqual(UInt64($0.shares), value(19, 4))
    }
    view("D", ITCH50.OrderDelete.self) { XCTAssertEqual($0.reference, value(11, 8)) }
    view("U", ITCH50.OrderReplace.self) {
      XCTAssertEqual($0.originalReference, value(11, 8))
      XCTAssertEqual($0.newReference, value(19, 8))
      XCTAssertEqual(UInt64($0.shares), value(27, 4))
      XCTAssertEqual(UInt64($0.price), value(31, 4))
    }
    view("P", ITCH50.Trade.self) {
      XCTAssertEqual($0.reference, value(11, 8))
      XCTAssertEqual($0.side, 19)
      XCTAssertEqual(UInt64($0.shares), value(20, 4))
      XCTAssertEqual($0.stock, letters(24))
      XCTAssertEqual(UInt64($0.price), value(32, 4))
      XCTAssertEqual($0.match, value(36, 8))
    }
    view("Q", ITCH50.CrossTrade.self) {
      XCTAssertEqual($0.shares, value(11, 8))
      XCTAssertEqual($0.stock, letters(19))
      XCTAssertEqual(UInt64($0.price), value(27, 4))
      XCTAssertEqual($0.match, value(31, 8))
      XCTAssertEqual($0.crossType, 39)
    }
    view("B", ITCH50.BrokenTrade.self) { XCTAssertEqual($0.match, value(11, 8)) }
  }

  func testInstrumentFieldsLieWhereTheSpecificationSays() {
    view("R", ITCH50.StockDirectory.self) {
      XCTAssertEqual($0.stock, letters(11))
      XCTAssertEqual($0.marketCategory, 19)
      XCTAssertEqual($0.financialStatus, 20)
      XCTAssertEqual(UInt64($0.roundLot), value(21, 4))
      XCTAssertEqual($0.roundLotsOnly, 25)
      XCTAssertEqual($0.issueClass, 26)
      XCTAssertEqual(UInt64($0.issueSubType), value(27, 2))
      XCTAssertEqual($0.authenticity, 29)
      XCTAssertEqual($0.shortSaleThreshold, 30)
      XCTAssertEqual($0.ipoFlag, 31)
      XCTAssertEqual($0.luldTier, 32)
      XCTAssertEqual($0.etpFlag, 33)
      XCTAssertEqual(UInt64($0.etpLeverage), value(34, 4))
      XCTAssertEqual($0.inverse, 38)
    }
    view("H", ITCH50.StockTradingAction.self) {
      XCTAssertEqual($0.stock, letters(11))
      XCTAssertEqual($0.state, 19)
      XCTAssertEqual($0.reason, letters4(21))
    }
    view("h", ITCH50.OperationalHalt.self) {
      XCTAssertEqual($0.stock, letters(11))
      XCTAssertEqual($0.market, 19)
      XCTAssertEqual($0.action, 20)
    }
    view("Y", ITCH50.ShortSaleRestriction.self) {
      XCTAssertEqual($0.stock, letters(11))
      XCTAssertEqual($0.action, 19)
    }
    view("L", ITCH50.MarketParticipantPosition.self) {
      XCTAssertEqual($0.participant, letters4(11))
      XCTAssertEqual($0.stock, letters(15))
      XCTAssertEqual($0.primaryMarketMaker, 23)
      XCTAssertEqual($0.marketMakerMode, 24)
      XCTAssertEqual($0.state, 25)
    }
    view("N", ITCH50.RetailInterest.self) {
      XCTAssertEqual($0.stock, letters(11))
      XCTAssertEqual($0.interest, 19)
    }
  }

  func testMarketAndAuctionFieldsLieWhereTheSpecificationSays() {
    view("S", ITCH50.SystemEvent.self) { XCTAssertEqual($0.event, 11) }
    view("V", ITCH50.MarketWideBreakerLevels.self) {
      XCTAssertEqual($0.level1, value(11, 8))
      XCTAssertEqual($0.level2, value(19, 8))
      XCTAssertEqual($0.level3, value(27, 8))
    }
    view("W", ITCH50.MarketWideBreakerStatus.self) { XCTAssertEqual($0.level, 11) }
    view("K", ITCH50.QuotingPeriodUpdate.self) {
      XCTAssertEqual($0.stock, letters(11))
      XCTAssertEqual(UInt64($0.releaseTime), value(19, 4))
      XCTAssertEqual($0.qualifier, 23)
      XCTAssertEqual(UInt64($0.price), value(24, 4))
    }
    view("J", ITCH50.AuctionCollar.self) {
      XCTAssertEqual($0.stock, letters(11))
      XCTAssertEqual(UInt64($0.referencePrice), value(19, 4))
      XCTAssertEqual(UInt64($0.upperPrice), value(23, 4))
      XCTAssertEqual(UInt64($0.lowerPrice), value(27, 4))
      XCTAssertEqual(UInt64($0.extensions), value(31, 4))
    }
    view("I", ITCH50.NetOrderImbalance.self) {
      XCTAssertEqual($0.pairedShares, value(11, 8))
      XCTAssertEqual($0.imbalanceShares, value(19, 8))
      XCTAssertEqual($0.direction, 27)
      XCTAssertEqual($0.stock, letters(28))
      XCTAssertEqual(UInt64($0.farPrice), value(36, 4))
      XCTAssertEqual(UInt64($0.nearPrice), value(40, 4))
      XCTAssertEqual(UInt64($0.referencePrice), value(44, 4))
      XCTAssertEqual($0.crossType, 48)
      XCTAssertEqual($0.variation, 49)
    }
    view("O", ITCH50.DirectListing.self) {
      XCTAssertEqual($0.stock, letters(11))
      XCTAssertEqual($0.eligible, 19)
      XCTAssertEqual(UInt64($0.minimumPrice), value(20, 4))
      XCTAssertEqual(UInt64($0.maximumPrice), value(24, 4))
      XCTAssertEqual(UInt64($0.nearPrice), value(28, 4))
      XCTAssertEqual($0.nearTime, value(32, 8))
      XCTAssertEqual(UInt64($0.lowerPrice), value(40, 4))
      XCTAssertEqual(UInt64($0.upperPrice), value(44, 4))
    }
  }

  func testTextFieldsRoundTrip() {
    XCTAssertEqual(ITCH50.field("ARL").map { ITCH50.text($0) }, "ARL")
    XCTAssertEqual(ITCH50.field("ABCDEFGH").map { ITCH50.text($0) }, "ABCDEFGH")
    XCTAssertNil(ITCH50.field("ABCDEFGHI"))
    XCTAssertNil(ITCH50.field("Ä"))
    XCTAssertEqual(ITCH50.text(0), "????????")
  }

  /// The first thousand messages of a real day: R 993, H 3, Y 3, S 1.
  func testRealOpeningDecodes() throws {
    let path = "../shared/data/itch/nasdaq_open_1000.itch"
    guard let file = FileManager.default.contents(atPath: path) else {
      throw XCTSkip("\(path) is not there")
    }
    var counts: [Character: Int] = [:]
    var symbols: Set<String> = []
    var lastTimestamp: UInt64 = 0
    file.withUnsafeBytes { bytes in
      var offset = 0
      while offset + 2 <= bytes.count {
        let length = Int(bytes[offset]) << 8 | Int(bytes[offset + 1])
        guard offset + 2 + length <= bytes.count else { return XCTFail("truncated at byte \(offset)") }
        let message = UnsafeRawBufferPointer(rebasing: bytes[offset + 2..<offset + 2 + length])
        XCTAssertNil(ITCH50.validate(message), "byte \(offset)")
        counts[Character(Unicode.Scalar(message[0])), default: 0] += 1
        guard let base = message.baseAddress else { return XCTFail("empty message at byte \(offset)") }
        let timestamp = ITCH50.Header(base: base).timestamp
        XCTAssertGreaterThanOrEqual(timestamp, lastTimestamp)
        lastTimestamp = timestamp
        if let directory = ITCH50.StockDirectory(message) {
          symbols.insert(ITCH50.text(directory.stock))
          XCTAssertEqual(directory.roundLotsOnly == 0x59 || directory.roundLotsOnly == 0x4E, true)
          XCTAssertEqual(directory.authenticity == 0x50 || directory.authenticity == 0x54, true)
        }
        offset += 2 + length
      }
      XCTAssertEqual(offset, bytes.count)
    }
    XCTAssertEqual(counts, ["R": 993, "H": 3, "Y": 3, "S": 1])
    XCTAssertEqual(symbols.count, 993)
    XCTAssertTrue(symbols.contains("AAPL"))
    XCTAssertLessThan(lastTimestamp, 86_400_000_000_000)
  }
}
