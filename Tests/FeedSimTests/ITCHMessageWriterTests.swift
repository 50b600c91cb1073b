import FeedSim
import XCTest

/// Every message type against bytes put together from the specification's tables by other means.
final class ITCHMessageWriterTests: XCTestCase {
  private let golden: [Character: String] = [
    "S": "53010203040a0b0c0d0e0f51",
    "R": "52010203040a0b0c0d0e0f424c4b4820202020514e000000644e435a205059203159000000034e",
    "H": "48010203040a0b0c0d0e0f424c4b482020202050204c554450",
    "Y": "59010203040a0b0c0d0e0f424c4b482020202031",
    "L": "4c010203040a0b0c0d0e0f414c4641424c4b4820202020594e41",
    "V": "56010203040a0b0c0d0e0f111213141516171821222324252627283132333435363738",
    "W": "57010203040a0b0c0d0e0f32",
    "K": "4b010203040a0b0c0d0e0f424c4b482020202000008598410001e208",
    "J": "4a010203040a0b0c0d0e0f424c4b48202020200007a120000802c800073f7800000001",
    "h": "68010203040a0b0c0d0e0f424c4b48202020205148",
    "A": "41010203040a0b0c0d0e0f1112131415161718420000012c424c4b48202020200012d644",
    "F": "46010203040a0b0c0d0e0f1112131415161718530000012c424c4b48202020200012d644414c4641",
    "E": "45010203040a0b0c0d0e0f11121314151617180000012c2122232425262728",
    "C": "43010203040a0b0c0d0e0f11121314151617180000012c21222324252627284e0012d644",
    "X": "58010203040a0b0c0d0e0f11121314151617180000012c",
    "D": "44010203040a0b0c0d0e0f1112131415161718",
    "U": "55010203040a0b0c0d0e0f111213141516171821222324252627280000012c0012d644",
    "P": "50010203040a0b0c0d0e0f0000000000000000420000012c424c4b48202020200012d6442122232425262728",
    "Q": "51010203040a0b0c0d0e0f1112131415161718424c4b48202020200012d64421222324252627284f",
    "B": "42010203040a0b0c0d0e0f2122232425262728",
    "I":
      "49010203040a0b0c0d0e0f1112131415161718212223242526272842424c4b4820202020000000010000000200000003434c",
    "N": "4e010203040a0b0c0d0e0f424c4b482020202041",
    "O":
      "4f010203040a0b0c0d0e0f424c4b4820202020590000000a000000140000001e11121314151617180000002800000032",
  ]
  private let header = ITCHHeader(locate: 0x0102, tracking: 0x0304, timestamp: 0x0A0B_0C0D_0E0F)
  private let first: UInt64 = 0x1112_1314_1516_1718
  private let second: UInt64 = 0x2122_2324_2526_2728
  private let stock = ITCHText.eight("BLKH")
  private let participant = ITCHText.four("ALFA")
  private let price: UInt32 = 1_234_500

  private func check(_ type: Character, _ write: (UnsafeMutableRawPointer) -> Int) {
    var buffer = [UInt8](repeating: 0xEE, count: 64)
    let length = buffer.withUnsafeMutableBytes { write($0.baseAddress! + 1) }
    let text = buffer[1..<(1 + length)].map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    XCTAssertEqual(text, golden[type], "type \(type)")
    XCTAssertEqual(length, messageLengths[type], "type \(type)")
    XCTAssertEqual(buffer[1 + length], 0xEE, "type \(type) wrote beyond its length")
  }

  func testOrdersAndTrades() {
    check("A") {
      ITCHMessageWriter.addOrder(
        header, reference: first, side: 0x42, shares: 300, stock: stock, price: price, to: $0)
    }
    check("F") {
      ITCHMessageWriter.addAttributedOrder(
        header, reference: first, side: 0x53, shares: 300, stock: stock, price: price,
        participant: participant, to: $0)
    }
    check("E") {
      ITCHMessageWriter.orderExecuted(header, reference: first, shares: 300, match: second, to: $0)
    }
    check("C") {
      ITCHMessageWriter.orderExecutedWithPrice(
        header, reference: first, shares: 300, match: second, printable: 0x4E, price: price, to: $0)
    }
    check("X") { ITCHMessageWriter.orderCancel(header, reference: first, shares: 300, to: $0) }
    check("D") { ITCHMessageWriter.orderDelete(header, reference: first, to: $0) }
    check("U") {
      ITCHMessageWriter.orderReplace(
        header, reference: first, newReference: second, shares: 300, price: price, to: $0)
    }
    check("P") {
      ITCHMessageWriter.trade(header, shares: 300, stock: stock, price: price, match: second, to: $0)
    }
    check("Q") {
      ITCHMessageWriter.crossTrade(
        header, shares: first, stock: stock, price: price, match: second, crossType: 0x4F, to: $0)
    }
    check("B") { ITCHMessageWriter.brokenTrade(header, match: second, to: $0) }
  }

  func testAdministrationAndAuctions() {
    check("S") { ITCHMessageWriter.systemEvent(header, event: 0x51, to: $0) }
    check("R") {
      var directory = ITCHStockDirectory(stock: stock)
      directory.shortSaleThreshold = 0x59
      directory.initialOffering = 0x20
      directory.exchangeTraded = 0x59
      directory.leverage = 3
      return ITCHMessageWriter.stockDirectory(header, directory, to: $0)
    }
    check("H") {
      ITCHMessageWriter.tradingAction(
        header, stock: stock, state: 0x50, reason: ITCHText.four("LUDP"), to: $0)
    }
    check("Y") { ITCHMessageWriter.shortSaleRestriction(header, stock: stock, action: 0x31, to: $0) }
    check("L") {
      ITCHMessageWriter.participantPosition(
        header, participant: participant, stock: stock, primary: 0x59, mode: 0x4E, state: 0x41, to: $0)
    }
    check("V") { ITCHMessageWriter.declineLevels(header, first, second, 0x3132_3334_3536_3738, to: $0) }
    check("W") { ITCHMessageWriter.declineBreach(header, level: 0x32, to: $0) }
    check("K") {
      ITCHMessageWriter.offeringQuotation(
        header, stock: stock, releaseTime: 34_200, qualifier: 0x41, price: 123_400, to: $0)
    }
    check("J") {
      ITCHMessageWriter.auctionCollar(
        header, stock: stock, reference: 500_000, upper: 525_000, lower: 475_000, extensions: 1, to: $0)
    }
    check("h") { ITCHMessageWriter.operationalHalt(header, stock: stock, market: 0x51, action: 0x48, to: $0) }
    check("I") {
      ITCHMessageWriter.imbalance(
        header, paired: first, imbalance: second, direction: 0x42, stock: stock, far: 1, near: 2,
        reference: 3, crossType: 0x43, variation: 0x4C, to: $0)
    }
    check("N") { ITCHMessageWriter.retailInterest(header, stock: stock, interest: 0x41, to: $0) }
    check("O") {
      ITCHMessageWriter.directListing(
        header, stock: stock, eligible: 0x59, minimum: 10, maximum: 20, near: 30, nearTime: first,
        lowerCollar: 40, upperCollar: 50, to: $0)
    }
  }
}
