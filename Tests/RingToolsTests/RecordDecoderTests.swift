import FeedSim
import FeedWire
import Foundation
import StageRecords
import XCTest

@testable import SetInspection
@testable import ShmRing
@testable import bulkhead

final class RecordDecoderTests: XCTestCase {
  private func decode(_ contents: RingContents, _ kind: UInt8, _ bytes: [UInt8]) -> DecodedRecord {
    bytes.withUnsafeBytes { RecordDecoder.decode(contents, kind: kind, $0) }
  }

  private func event(_ kind: BookEventKind, flags: UInt8 = 0, body: [UInt8]) -> String {
    let header = BookEventHeader(
      sequence: 77, venueTime: 34_200_000_000_001, receiveTime: 1_700_000_000_123_456_789, instrument: 12,
      index: 2,
      channel: 3, flags: flags)
    return decode(.events, kind.rawValue, withUnsafeBytes(of: header) { Array($0) } + body).text
  }

  private static let identity =
    "channel=3 sequence=77 index=2 instrument=12 venueTime=09:30:00.000000001 "
    + "receiveTime=2023-11-14T22:13:20.123456789Z"

  /// One line of each event kind.
  func testEveryEventKind() {
    let symbol = Array("AB C    ".utf8)
    let expected: [(BookEventKind, UInt8, [UInt8], String)] = [
      (
        .definition, 2, symbol + [100, 0, 0, 0] + Array("QNCP1N".utf8) + [0, 0, 0, 0, 0, 0],
        "symbol=\"AB C\" roundLot=100 marketCategory=Q financialStatus=N issueClass=C authenticity=P luldTier=1 "
          + "etpFlag=N flags=last"
      ),
      (
        .orderAdd, 3, words(9, 123_400, 500),
        "side=sell reference=9 price=12.3400 quantity=500 flags=sell,last"
      ),
      (.orderReduce, 4, words(9, 8, 7), "side=buy reference=9 remaining=8 reducedBy=7 flags=stale"),
      (.orderDelete, 8, words(9, 1, 7), "side=buy reference=9 price=0.0001 quantity=7 flags=replace"),
      (
        .orderExecute, 0x10, words(9, 10_000, 3, 4, 5),
        "side=buy reference=9 price=1.0000 executed=3 remaining=4 match=5 flags=nonPrintable"
      ),
      (.level, 1, words(10_001, 6, 2), "side=sell price=1.0001 size=6 orders=2 flags=sell"),
      (
        .bestPrices, 0, words(10_000, 1, UInt64(bitPattern: -12_345), 2),
        "bidPrice=1.0000 bidSize=1 askPrice=-1.2345 askSize=2 flags=-"
      ),
      (
        .trade, 0, words(10_000, 5, 6, 0x0150),
        "side=buy price=1.0000 quantity=5 match=6 tradeType=P printable=yes flags=-"
      ),
      (.tradeBroken, 0, words(6), "match=6 flags=-"),
      (.tradingState, 0, Array("HT\0\0T1 \0".utf8), "source=H state=T reason=T1 flags=-"),
      (.tradingState, 0, Array("hHQ\0\0\0\0\0".utf8), "source=h state=H market=Q reason=\"\" flags=-"),
      (.notice, 0, Array("S\0\0\0\0\0\0\0Q\0\0\0\0\0\0\0".utf8), "type=S name=systemEvent event=Q flags=-"),
      (.notice, 0, Array("?\0\0\0\0\0\0\0".utf8), "malformed=\"no message type '?'\" bytes=11 flags=-"),
      (
        .trust, 0xE0, words(0x0201, 5, 6),
        "trust=stale reason=\"unknown reference\" first=5 last=6 flags=0xe0"
      ),
      (.trust, 0, words(0x6309, 5, 6), "trust=\"unknown 9\" reason=\"unknown 99\" first=5 last=6 flags=-"),
      (.gap, 0, words(5, 8, 3), "first=5 last=8 messages=4 reason=\"window exceeded\" flags=-"),
      (.endOfSession, 0, words(100, 4), "applied=100 lost=4 flags=-"),
    ]
    XCTAssertEqual(Set(expected.map(\.0)), Set(BookEventKind.allCases))
    for (kind, flags, body, text) in expected {
      XCTAssertEqual(event(kind, flags: flags, body: body), "\(kind) \(Self.identity) \(text)")
      // One byte less than the body has.
      if kind != .notice {
        let short = event(kind, flags: flags, body: Array(body.dropLast()))
        XCTAssertEqual(
          short,
          "malformed is=\(kind) reason=\"\(31 + body.count) bytes, wants \(32 + body.count)\" bytes=\(31 + body.count)"
        )
      }
    }
  }

  func testMergedRecords() {
    let session = Array("S-7       ".utf8) + [0, 0, 0, 0, 0, 0]
    XCTAssertEqual(
      decode(.merged, 2, words(1, 1, 1)).text, "gap first=1 last=1 messages=1 reason=\"retransmission off\"")
    XCTAssertEqual(
      decode(.merged, 2, words(0, .max, 77)).text,
      "gap first=0 last=18446744073709551615 reason=\"unknown 77\"")
    XCTAssertEqual(decode(.merged, 2, words(9, 1, 257)).text, "gap first=9 last=1 reason=\"unknown 257\"")
    XCTAssertEqual(decode(.merged, 3, words(1) + session).text, "sessionStart first=1 session=S-7")
    XCTAssertEqual(decode(.merged, 4, words(8) + session).text, "endOfSession next=8 session=S-7")
    XCTAssertEqual(decode(.merged, 77, words(8)).text, "unknown recordKind=77 bytes=8")
    XCTAssertEqual(decode(.merged, 8, words(7, 42)).text, "recoveryStart next=7 instrument=42")
    XCTAssertEqual(decode(.merged, 10, words(7, 42, 5)).text, "recoveryEnd next=7 instrument=42 count=5")
    XCTAssertEqual(
      decode(.merged, 9, words(8)).text, "malformed is=recovery reason=\"8 bytes, wants 16\" bytes=8")
    XCTAssertEqual(
      decode(.merged, 1, words(5, 0)).text,
      "message sequence=5 receiveTime=none malformed=\"the message is empty\" bytes=0")
    XCTAssertEqual(
      decode(.merged, 1, words(5, 0) + [0x41, 1]).text,
      "message sequence=5 receiveTime=none malformed=\"a message of type 'A' has 36 bytes, not 2\" bytes=2")
    XCTAssertEqual(decode(.merged, 5, words(7, 9)).text, "imageStart first=7 last=9 messages=3")
    XCTAssertEqual(
      decode(.merged, 6, words(7, 2) + [0x41, 1]).text,
      "image first=7 number=2 malformed=\"a message of type 'A' has 36 bytes, not 2\" bytes=2")
    XCTAssertEqual(
      decode(.merged, 7, words(7, 30, 500)).text, "imageEnd first=7 last=30 messages=24 count=500")
    for (kind, bytes) in [(1, 15), (2, 23), (3, 23), (4, 23), (5, 15), (6, 15), (7, 23)] as [(UInt8, Int)] {
      XCTAssertEqual(decode(.merged, kind, [UInt8](repeating: 1, count: bytes)).kind, "malformed")
    }
  }

  func testPackets() {
    var datagram = [UInt8](repeating: 0, count: 20)
    XCTAssertEqual(
      decode(.packets, 1, words(5) + datagram).text,
      "malformed receiveTime=1970-01-01T00:00:00.000000005Z is=packet reason=\"sequence zero\" bytes=20")
    datagram[17] = 9
    datagram[18] = 0xFF
    datagram[19] = 0xFF
    XCTAssertEqual(
      decode(.packets, 1, words(0) + datagram).text,
      "endOfSession receiveTime=none session=\"\" sequence=9 count=0 next=9 bytes=20")
    XCTAssertEqual(decode(.packets, 1, words(0)).kind, "malformed")
    XCTAssertEqual(decode(.packets, 1, [1]).text, "malformed is=packet reason=\"1 bytes, wants 8\" bytes=1")
    XCTAssertEqual(decode(.packets, 2, words(0)).kind, "unknown")
  }

  /// Every message type, written by the simulator's encoder.
  func testEveryMessageType() {
    let stock = ITCHText.eight("ABCD")
    let header = ITCHHeader(locate: 7, timestamp: 34_200_000_000_000)
    func letter(_ text: Unicode.Scalar) -> UInt8 { UInt8(ascii: text) }
    typealias Writer = ITCHMessageWriter
    let cases: [(String, (UnsafeMutableRawPointer) -> Int)] = [
      (
        "A addOrder reference=5 side=B shares=100 stock=ABCD price=12.3400",
        {
          Writer.addOrder(
            header, reference: 5, side: letter("B"), shares: 100, stock: stock, price: 123_400, to: $0)
        }
      ),
      (
        "F addOrderAttributed reference=5 side=S shares=100 stock=ABCD price=12.3400 attribution=FIRM",
        {
          Writer.addAttributedOrder(
            header, reference: 5, side: letter("S"), shares: 100, stock: stock, price: 123_400,
            participant: ITCHText.four("FIRM"), to: $0)
        }
      ),
      (
        "E orderExecuted reference=5 shares=10 match=6",
        { Writer.orderExecuted(header, reference: 5, shares: 10, match: 6, to: $0) }
      ),
      (
        "C orderExecutedWithPrice reference=5 shares=10 match=6 printable=N price=1.0000",
        {
          Writer.orderExecutedWithPrice(
            header, reference: 5, shares: 10, match: 6, printable: letter("N"), price: 10_000, to: $0)
        }
      ),
      (
        "X orderCancel reference=5 shares=10",
        { Writer.orderCancel(header, reference: 5, shares: 10, to: $0) }
      ),
      ("D orderDelete reference=5", { Writer.orderDelete(header, reference: 5, to: $0) }),
      (
        "U orderReplace reference=5 newReference=6 shares=10 price=1.0000",
        { Writer.orderReplace(header, reference: 5, newReference: 6, shares: 10, price: 10_000, to: $0) }
      ),
      (
        "P trade reference=0 side=B shares=10 stock=ABCD price=1.0000 match=6",
        { Writer.trade(header, shares: 10, stock: stock, price: 10_000, match: 6, to: $0) }
      ),
      (
        "Q crossTrade shares=10 stock=ABCD price=1.0000 match=6 crossType=O",
        {
          Writer.crossTrade(
            header, shares: 10, stock: stock, price: 10_000, match: 6, crossType: letter("O"), to: $0)
        }
      ),
      ("B brokenTrade match=6", { Writer.brokenTrade(header, match: 6, to: $0) }),
      ("S systemEvent event=Q", { Writer.systemEvent(header, event: letter("Q"), to: $0) }),
      (
        "R stockDirectory stock=ABCD marketCategory=Q financialStatus=N roundLot=100 roundLotsOnly=N issueClass=C "
          + "issueSubType=Z authenticity=P shortSaleThreshold=N ipoFlag=N luldTier=1 etpFlag=N etpLeverage=0 inverse=N",
        { Writer.stockDirectory(header, ITCHStockDirectory(stock: stock), to: $0) }
      ),
      (
        "H stockTradingAction stock=ABCD state=T reason=\"\"",
        { Writer.tradingAction(header, stock: stock, state: letter("T"), reason: ITCHText.four(""), to: $0) }
      ),
      (
        "Y shortSaleRestriction stock=ABCD action=1",
        { Writer.shortSaleRestriction(header, stock: stock, action: letter("1"), to: $0) }
      ),
      (
        "L marketParticipantPosition participant=FIRM stock=ABCD primaryMarketMaker=Y marketMakerMode=N state=A",
        {
          Writer.participantPosition(
            header, participant: ITCHText.four("FIRM"), stock: stock, primary: letter("Y"), mode: letter("N"),
            state: letter("A"), to: $0)
        }
      ),
      (
        "V marketWideBreakerLevels level1=1.00000000 level2=0.00000002 level3=92233720368.54775807",
        { Writer.declineLevels(header, 100_000_000, 2, .max, to: $0) }
      ),
      ("W marketWideBreakerStatus level=2", { Writer.declineBreach(header, level: letter("2"), to: $0) }),
      (
        "K quotingPeriodUpdate stock=ABCD releaseTime=09:30:01.000000000 qualifier=A price=1.0000",
        {
          Writer.offeringQuotation(
            header, stock: stock, releaseTime: 34_201, qualifier: letter("A"), price: 10_000, to: $0)
        }
      ),
      (
        "J auctionCollar stock=ABCD referencePrice=1.0000 upperPrice=2.0000 lowerPrice=0.5000 extensions=3",
        {
          Writer.auctionCollar(
            header, stock: stock, reference: 10_000, upper: 20_000, lower: 5_000, extensions: 3, to: $0)
        }
      ),
      (
        "h operationalHalt stock=ABCD market=Q action=H",
        { Writer.operationalHalt(header, stock: stock, market: letter("Q"), action: letter("H"), to: $0) }
      ),
      (
        "I netOrderImbalance pairedShares=1 imbalanceShares=2 direction=B stock=ABCD farPrice=0.0003 nearPrice=0.0004 "
          + "referencePrice=0.0005 crossType=O variation=L",
        {
          Writer.imbalance(
            header, paired: 1, imbalance: 2, direction: letter("B"), stock: stock, far: 3, near: 4,
            reference: 5,
            crossType: letter("O"), variation: letter("L"), to: $0)
        }
      ),
      (
        "N retailInterest stock=ABCD interest=A",
        { Writer.retailInterest(header, stock: stock, interest: letter("A"), to: $0) }
      ),
      (
        "O directListing stock=ABCD eligible=Y minimumPrice=0.0001 maximumPrice=0.0002 nearPrice=0.0003 "
          + "nearTime=09:30:00.000000000 lowerPrice=0.0004 upperPrice=0.0005",
        {
          Writer.directListing(
            header, stock: stock, eligible: letter("Y"), minimum: 1, maximum: 2, near: 3,
            nearTime: 34_200_000_000_000,
            lowerCollar: 4, upperCollar: 5, to: $0)
        }
      ),
    ]
    XCTAssertEqual(Set(cases.map { $0.0.utf8.first ?? 0 }), Set(ITCH50.MessageType.allCases.map(\.rawValue)))
    var target = [UInt8](repeating: 0, count: ITCHMessageWriter.maximumBytes)
    for (text, write) in cases {
      let length = target.withUnsafeMutableBytes { write($0.baseAddress!) }
      let record = decode(.merged, 1, words(1, 0) + target.prefix(length))
      let parts = text.split(separator: " ", maxSplits: 2).map(String.init)
      XCTAssertEqual(
        record.text,
        "message sequence=1 receiveTime=none type=\(parts[0]) name=\(parts[1]) instrument=7 "
          + "venueTime=09:30:00.000000000 \(parts[2])")
      XCTAssertTrue(record.matches([parts[0]]) && record.matches([parts[1]]) && record.matches(["message"]))
      XCTAssertFalse(record.matches(["gap"]))
    }
  }

  /// Beyond the end of a record there are zeros.
  func testBytesBeyondTheEnd() {
    let four: [UInt8] = [1, 2, 3, 4]
    four.withUnsafeBytes { memory in
      let bytes = RecordBytes(memory)
      XCTAssertEqual(bytes.word64(0), 0x0403_0201)
      XCTAssertEqual(bytes.word32(2), 0x0403)
      XCTAssertEqual(bytes.word64(-4), 0x0403_0201 << 32)
      XCTAssertEqual(bytes.byte(4), 0)
      XCTAssertEqual(bytes.from(3).count, 1)
      XCTAssertEqual(bytes.from(9).count, 0)
    }
    XCTAssertEqual(RecordBytes(UnsafeRawBufferPointer(start: nil, count: 0)).word64(0), 0)
  }

  func testWords() {
    XCTAssertEqual(universalTime(0), "1970-01-01T00:00:00.000000000Z")
    XCTAssertEqual(universalTime(951_782_400_000_000_000), "2000-02-29T00:00:00.000000000Z")
    XCTAssertEqual(universalTime(1_709_251_199_999_999_999), "2024-02-29T23:59:59.999999999Z")
    XCTAssertEqual(universalTime(4_107_542_400_000_000_000), "2100-03-01T00:00:00.000000000Z")
    XCTAssertEqual(universalTime(.max), "2554-07-21T23:34:33.709551615Z")
    XCTAssertEqual(timeOfDay(86_399_999_999_999), "23:59:59.999999999")
    XCTAssertEqual(timeOfDay(86_400_000_000_000), "86400000000000")
    XCTAssertEqual(decimal(.min, 4), "-922337203685477.5808")
    XCTAssertEqual(decimal(0, 4), "0.0000")
    XCTAssertEqual(decimal(-1, 4), "-0.0001")
    XCTAssertEqual(printable([0x41, 0x1B, 0x80, 0x20, 0]), "A??")
  }
}
