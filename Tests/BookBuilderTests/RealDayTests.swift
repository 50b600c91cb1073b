import BookBuilder
import Foundation
import OrderBook
import StageRecords
import XCTest

/// Real messages against books that somebody else built from them.
final class RealDayTests: XCTestCase {
  /// One symbol's whole day: after the last message of each of 3,359 venue sequence numbers, ten levels of
  /// both sides with sizes and order counts are those of the third party's book.
  func testEveryRowOfTheThirdPartysBookAgrees() throws {
    let messages = try testDataMessages("arl_20250717.itch")
    let sequences = try rows("arl_20250717.seq.csv").map { UInt64($0[1]) ?? 0 }
    let expected = try rows("arl_20250717.expected_mbp10.csv")
    XCTAssertEqual(sequences.count, messages.count)
    XCTAssertEqual(expected.count, 3_359)
    var wanted: [UInt64: [String]] = [:]
    for row in expected { wanted[UInt64(row[0]) ?? 0] = Array(row[1...]) }
    var replicated = ReplicatedBuilder(
      capacity: BookCapacity(orders: 10_000, levels: 5_000, instruments: 65_536))
    var compared = 0
    for (index, message) in messages.enumerated() {
      replicated.apply(UInt64(index) + 1, message)
      let isLastOfSequence = index + 1 == messages.count || sequences[index + 1] != sequences[index]
      guard isLastOfSequence, let row = wanted.removeValue(forKey: sequences[index]) else { continue }
      let instrument = try XCTUnwrap(replicated.builder.instruments.instrument(symbol: "ARL"))
      let got = columns(replicated.builder.books, instrument)
      if got != row { return XCTFail("venue sequence \(sequences[index]), message \(index): \(got)") }
      compared += 1
    }
    XCTAssertEqual(compared, 3_359)
    XCTAssertEqual(wanted.count, 0, "rows for which no message came")
    XCTAssertEqual(replicated.builder.counters.applied, UInt64(messages.count))
    XCTAssertNil(replicated.difference())
  }

  /// Sampled messages: 117 of them name orders whose adds are not in the sample.
  func testUnknownReferencesOfASampleAreCounted() throws {
    let messages = try testDataMessages("bx_20191230_sampled.itch")
    XCTAssertEqual(messages.count, 12_012)
    var replicated = ReplicatedBuilder(
      capacity: BookCapacity(orders: 20_000, levels: 20_000, instruments: 65_536))
    var named: Set<UInt32> = []
    for (index, message) in messages.enumerated() {
      let before = replicated.builder.counters.rejected
      replicated.apply(UInt64(index) + 1, message)
      if replicated.builder.counters.rejected != before {
        named.insert(UInt32(message[1]) << 8 | UInt32(message[2]))
      }
    }
    let counters = replicated.builder.counters
    XCTAssertEqual(counters.rejected(.unknownReference), 117)
    XCTAssertEqual(counters.rejected, 117)
    XCTAssertEqual(counters.applied, 12_012 - 117)
    XCTAssertEqual(replicated.builder.instruments.staleCount, named.count)
    XCTAssertEqual(replicated.builder.instruments.trustState(0), .live)
    for instrument in named {
      XCTAssertEqual(replicated.builder.instruments.trustReason(instrument), .unknownReference)
    }
    XCTAssertNil(replicated.difference())
  }

  func testOpeningOfARealDayDefinesItsInstruments() throws {
    let messages = try testDataMessages("nasdaq_open_1000.itch")
    var replicated = ReplicatedBuilder()
    for (index, message) in messages.enumerated() { replicated.apply(UInt64(index) + 1, message) }
    XCTAssertEqual(replicated.builder.counters.applied, 1_000)
    XCTAssertEqual(replicated.builder.counters.events, 1_000)
    XCTAssertEqual(replicated.builder.instruments.definedCount, 993)
    XCTAssertNil(replicated.difference())
  }

  private func rows(_ name: String) throws -> [[String]] {
    let path = "../shared/data/itch/\(name)"
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
      throw XCTSkip("\(path) is not there")
    }
    return text.split(separator: "\n").dropFirst().map { line in
      line.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }
  }

  /// Ten levels in the file's column order: bid price, size, count, ask price, size, count, best first.
  private func columns(_ books: borrowing OrderBooks, _ instrument: UInt32) -> [String] {
    var columns: [String] = []
    for depth in 0..<10 {
      for side in BookSide.allCases {
        let level =
          books.level(instrument: instrument, side: side, depth: depth)
          ?? BookLevel(price: 0, size: 0, orders: 0)
        columns += ["\(level.price)", "\(level.size)", "\(level.orders)"]
      }
    }
    return columns
  }
}
