import FeedSim
import Glimpse
import XCTest

final class GlimpseDecoderTests: XCTestCase {
  private let header = ITCHHeader(locate: 3, tracking: 9, timestamp: 77)
  private let stock = ITCHText.eight("ABCD")

  private func message(_ write: (UnsafeMutableRawPointer) -> Int) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: ITCHMessageWriter.maximumBytes)
    let count = bytes.withUnsafeMutableBytes { write($0.baseAddress!) }
    return Array(bytes[..<count])
  }
  private func directory(_ locate: UInt16 = 3, _ symbol: String = "ABCD") -> [UInt8] {
    message {
      ITCHMessageWriter.stockDirectory(
        ITCHHeader(locate: locate, timestamp: 1), ITCHStockDirectory(stock: ITCHText.eight(symbol)), to: $0)
    }
  }
  private func order(
    _ reference: UInt64, side: Character = "B", shares: UInt32 = 100, locate: UInt16 = 3,
    symbol: String = "ABCD"
  ) -> [UInt8] {
    message {
      ITCHMessageWriter.addOrder(
        ITCHHeader(locate: locate, timestamp: 1), reference: reference, side: side.asciiValue!,
        shares: shares,
        stock: ITCHText.eight(symbol), price: 10_000, to: $0)
    }
  }
  private func end(_ number: String) -> [UInt8] {
    Array(("G" + String(repeating: " ", count: 20 - number.count) + number).utf8)
  }
  private var action: [UInt8] {
    message { ITCHMessageWriter.tradingAction(header, stock: stock, state: 0x54, reason: 0, to: $0) }
  }
  private var system: [UInt8] {
    message { ITCHMessageWriter.systemEvent(header, event: 0x51, to: $0) }
  }

  func testEndOfSnapshotIsTheSpecifiedBytes() {
    let bytes = message {
      Glimpse.writeEndOfSnapshot(sequence: 14_757_701, to: $0)
      return Glimpse.endOfSnapshotBytes
    }
    XCTAssertEqual(bytes, Array("G            14757701".utf8))
  }

  func testAnImageIsDeliveredAndSaysWhereTheStreamGoesOn() {
    for (convention, from) in [(GlimpseConvention.firstNotContained, 500), (.lastContained, 501)] {
      var decoder = makeDecoder {
        $0.convention = convention
        $0.requiresSectionOrder = true
      }
      let steps = decode([system, directory(), action, order(1), order(2), end("500")], &decoder)
      XCTAssertEqual(
        steps.dropLast(),
        [.deliver(.systemEvent), .deliver(.directory), .deliver(.state), .deliver(.order), .deliver(.order)])
      guard case .complete(let end) = steps.last else { return XCTFail("\(steps)") }
      XCTAssertEqual(end.snapshotSequence, 500)
      XCTAssertEqual(end.continueFrom, UInt64(from))
      XCTAssertEqual([end.systemEvents, end.instruments, end.states, end.orders], [1, 1, 1, 2])
      XCTAssertEqual(decoder.ended(), .complete(end), "the session may end after the image")
      XCTAssertEqual([decoder.begun, decoder.completed, decoder.refused], [1, 1, 0])
    }
  }

  func testAnyOrderOfSectionsUnlessConfigured() {
    let images = [order(1), action, directory(), system, end("1")]
    var decoder = makeDecoder()
    guard case .complete = decode(images, &decoder).last else { return XCTFail("refused") }
    var strict = makeDecoder { $0.requiresSectionOrder = true }
    XCTAssertEqual(decode(images, &strict).last, .refused(.sectionOutOfOrder))
  }

  func testEveryRefusal() {
    let replace = message {
      ITCHMessageWriter.orderReplace(header, reference: 1, newReference: 2, shares: 1, price: 1, to: $0)
    }
    let cases: [(GlimpseRefusal, [[UInt8]])] = [
      (.emptyMessage, [[]]),
      (.unknownType, [[0x7A, 1, 2]]),
      (.wrongLength, [Array(system.dropLast())]),
      (.wrongLength, [system, end("5") + [0x20]]),
      (.notPartOfAnImage, [directory(), order(1), replace]),
      (.locateZero, [directory(0)]),
      (.locateZero, [order(1, locate: 0)]),
      (.symbolDisagrees, [directory(), directory(3, "EFGH")]),
      (.symbolDisagrees, [directory(), order(1, symbol: "EFGH")]),
      (.instrumentUnknown, [directory(), order(1, locate: 4, symbol: "EFGH"), end("5")]),
      (.instrumentUnknown, [action, end("5")]),
      (.sideInvalid, [directory(), order(1, side: "X")]),
      (.orderWithoutShares, [directory(), order(1, shares: 0)]),
      (.duplicateOrder, [directory(), order(1), order(2), order(1)]),
      (.duplicateOrder, [directory(), order(0), order(0)]),
      (.tooManyOrders, [directory(), order(1), order(2), order(3), order(4)]),
      (.endMalformed, [end("")]),
      (.endMalformed, [end("0")]),
      (.endMalformed, [end("1.5")]),
      (.endMalformed, [end("18446744073709551616")]),
      (.afterEnd, [end("5"), system]),
      (.afterEnd, [end("5"), end("5")]),
    ]
    for (index, (reason, messages)) in cases.enumerated() {
      var decoder = makeDecoder { $0.maximumOrders = 3 }
      let steps = decode(messages + [directory(9, "LATE")], &decoder)
      XCTAssertEqual(steps.suffix(2), [.refused(reason), .refused(reason)], "case \(index)")
      XCTAssertEqual(decoder.refusals(reason), 1, "case \(index)")
      XCTAssertEqual(GlimpseRefusal.allCases.reduce(0) { $0 + decoder.refusals($1) }, decoder.refused)
      XCTAssertEqual(decoder.messagesDelivered + decoder.messagesRefused, UInt64(messages.count) + 1)
      // The next image is judged on its own.
      guard case .complete = decode([directory(), order(1), end("5")], &decoder).last else {
        return XCTFail("case \(index): an image after a refused one")
      }
    }
    XCTAssertEqual(Set(cases.map(\.0)).count, GlimpseRefusal.allCases.count - 4, "tested elsewhere: four")
  }

  func testNumbersOfTheSession() {
    var decoder = makeDecoder()
    decoder.begin()
    XCTAssertEqual(system.withUnsafeBytes { decoder.take(sequence: 2, $0) }, .refused(.notFromTheStart))
    decoder.begin()
    XCTAssertEqual(system.withUnsafeBytes { decoder.take(sequence: 1, $0) }, .deliver(.systemEvent))
    XCTAssertEqual(system.withUnsafeBytes { decoder.take(sequence: 3, $0) }, .refused(.sequenceBroken))
    decoder.begin()
    XCTAssertEqual(decoder.ended(), .refused(.endedEarly))
    XCTAssertEqual([decoder.messagesDelivered, decoder.messagesRefused, decoder.refused], [1, 2, 3])
  }

  func testJoining() {
    var decoder = makeDecoder()
    guard case .complete(let end) = decode([end("100")], &decoder).last else { return XCTFail("refused") }
    XCTAssertEqual(end.joining(keptFrom: 100, nextLive: 200), .joined(applyFrom: 100))
    XCTAssertEqual(end.joining(keptFrom: 1, nextLive: 100), .joined(applyFrom: 100))
    XCTAssertEqual(end.joining(keptFrom: 101, nextLive: 200), .tooOld(missing: 100...100))
    XCTAssertEqual(end.joining(keptFrom: 150, nextLive: 200), .tooOld(missing: 100...149))
    XCTAssertEqual(end.joining(keptFrom: 90, nextLive: 99), .ahead(by: 1))
  }
}
