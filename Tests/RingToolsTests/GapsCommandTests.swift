import XCTest

@testable import StageRecords
@testable import StageRuntime
@testable import bulkhead

/// `bulkhead gaps` on pages that a stage wrote, and on pages that somebody damaged.
final class GapsCommandTests: XCTestCase {
  private static let clockOffset: UInt64 = 1_700_000_000_000_000_000

  private func gaps(
    _ fixture: ToolFixture, _ arguments: String...
  ) throws -> (text: String, said: [String], code: Int32) {
    let options = try GapsOptions.parse(arguments + ["--run-directory", fixture.runDirectory])
    let sink = Sink()
    var said: [String] = []
    let code = GapsCommand(options: options, output: sink.output, say: { said.append($0) }).run()
    return (sink.text, said, code)
  }

  private func record(
    _ number: UInt64, _ range: ClosedRange<UInt64>, outcome: UInt64, requests: UInt64 = 0
  ) -> GapRecord {
    var record = GapRecord()
    record.number = number
    (record.first, record.last) = (range.lowerBound, range.upperBound)
    record.detectedAt = 1_000_000
    if requests > 0 { (record.firstRequestAt, record.lastRequestAt) = (3_000_000, 4_000_000) }
    record.finishedAt = outcome == 0 ? 0 : 6_000_000
    record.requests = requests
    record.rung = requests > 0 ? 3 : 0
    record.outcome = outcome
    record.epoch = 7
    return record
  }

  private func makePage(_ fixture: ToolFixture) throws {
    try fixture.makeRing("merged")
    try RecoveryPage.create(directory: fixture.directory)
  }

  private func page(_ fixture: ToolFixture) throws -> RecoveryPage {
    let page = try RecoveryPage.attach(directory: fixture.directory, access: .readWrite)
    page.setClockOffset(Self.clockOffset)
    return page
  }

  func testNothingMissingIsGood() throws {
    let fixture = try ToolFixture()
    try makePage(fixture)
    let page = try page(fixture)
    page.putFinished(record(1, 5...9, outcome: 16))
    page.putFinished(record(2, 11...11, outcome: 18, requests: 1))
    let (text, _, code) = try gaps(fixture)
    XCTAssertEqual(code, 0)
    XCTAssertTrue(
      text.hasPrefix("OK  demo: nothing is missing; 2 ranges have ended; merged does not run\n"), text)
    XCTAssertTrue(text.contains("5...9"), text)
    XCTAssertTrue(text.contains("filled by line A"), text)
    XCTAssertTrue(text.contains("filled by retransmission"), text)
    XCTAssertTrue(text.contains("22:13:20.001"), "the time of the day of 1,700,000,000.001 s: \(text)")
  }

  func testOpenAndLostRangesAsJSON() throws {
    let fixture = try ToolFixture()
    try makePage(fixture)
    try fixture.makeControlPage("merged", isAlive: false)
    let page = try page(fixture)
    page.putFinished(record(1, 5...9, outcome: 2, requests: 3))
    page.putOpen(count: 2, at: 9_000_000) { record(0, $0 == 0 ? 20...29 : 40...40, outcome: 0, requests: 1) }
    let (text, _, code) = try gaps(fixture, "--json")
    XCTAssertEqual(code, 1)
    let sets = try XCTUnwrap(try parseJSON(text)["sets"] as? [[String: Any]])
    let open = try XCTUnwrap(sets.first?["open"] as? [[String: Any]])
    XCTAssertEqual(open.map { $0["first"] as? Int }, [20, 40])
    XCTAssertEqual(open.map { $0["rung"] as? String }, ["retransmission", "retransmission"])
    XCTAssertEqual(open.first?["ageNanoseconds"] as? Int, 8_000_000, "until the dead stage last wrote")
    let ended = try XCTUnwrap(sets.first?["ended"] as? [[String: Any]])
    XCTAssertEqual(ended.first?["outcome"] as? String, "lost: retransmission exhausted")
    XCTAssertEqual(ended.first?["detectedAt"] as? UInt64, Self.clockOffset + 1_000_000)
    XCTAssertEqual(ended.first?["requests"] as? Int, 3)

    let (openOnly, _, openCode) = try gaps(fixture, "--open")
    XCTAssertEqual(openCode, 1)
    XCTAssertTrue(openOnly.hasPrefix("OPEN  demo: 2 open, 1 lost;"), openOnly)
    XCTAssertFalse(openOnly.contains("5...9"), openOnly)
  }

  func testTheTableKeepsTheLastThousandAndTheNewestMayGrow() throws {
    let fixture = try ToolFixture()
    try makePage(fixture)
    let page = try page(fixture)
    for number in UInt64(1)...1_100 {
      page.putFinished(record(number, number * 10...number * 10, outcome: 17))
    }
    page.putFinished(record(1_100, 11_000...11_004, outcome: 17))
    let finished = page.finishedGaps()
    XCTAssertEqual(finished.count, 1_024)
    XCTAssertEqual(finished.first?.number, 77)
    XCTAssertEqual(finished.last, record(1_100, 11_000...11_004, outcome: 17))
    XCTAssertEqual(page.finishedCount, 1_100)
    page.putOpen(count: 300, at: 1) { record(0, UInt64($0) * 2...UInt64($0) * 2, outcome: 0) }
    XCTAssertEqual(page.openGaps()?.count, 256)
    XCTAssertEqual(page.openBeyondTable, 44)
  }

  func testBothPayloadsOfADisagreementAreShown() throws {
    let fixture = try ToolFixture()
    try makePage(fixture)
    let page = try page(fixture)
    let entries = (0..<20).map { index in
      DisagreementEntry(
        sequence: UInt64(index), refusedSource: 1, kept: [UInt8](repeating: UInt8(index), count: index * 7),
        refused: [0xAB, UInt8(index)], keptLength: UInt64(index * 7), refusedLength: 2)
    }
    for entry in entries { page.addDisagreement(entry) }
    XCTAssertEqual(page.disagreements(), Array(entries.suffix(16)))
    let (text, _, code) = try gaps(fixture)
    XCTAssertEqual(code, 1)
    XCTAssertTrue(text.hasPrefix("DISAGREE  demo: 20 disagreements; 0 ranges have ended"), text)
    XCTAssertTrue(text.contains("line B          0404040404"), text)
    XCTAssertTrue(text.contains("ab04"), text)
  }

  func testWhatIsNotThereIsSaid() throws {
    let fixture = try ToolFixture()
    XCTAssertEqual(try gaps(fixture).code, 3)
    XCTAssertEqual(try gaps(fixture, "--name", "other").said, ["no set \"other\" in \(fixture.runDirectory)"])
    try fixture.makeRing("merged")
    let (text, _, code) = try gaps(fixture)
    XCTAssertEqual(code, 4)
    XCTAssertTrue(text.hasPrefix("UNKNOWN  demo: "), text)
    XCTAssertThrowsError(try GapsOptions.parse(["--opne"]))
  }

  /// Whatever is in the file, the tool ends, without a trap.
  func testDamagedPagesDoNoHarm() throws {
    let fixture = try ToolFixture()
    try makePage(fixture)
    var random = SeededGenerator(state: 4)
    for round in 0..<200 {
      do {
        let page = try page(fixture)
        page.putFinished(record(UInt64(round + 1), 5...9, outcome: 2))
        page.putOpen(count: 3, at: 9) { record(0, UInt64($0)...UInt64($0), outcome: 0) }
      }
      for _ in 0..<40 {
        let offset = Int.random(in: 2..<RecoveryPage.bytes / 8, using: &random) * 8
        let value: UInt64 = [0, 1, .max, 1 << 63, random.next()].randomElement(using: &random) ?? 0
        try fixture.scribble(value, "merged.recovery", at: offset)
      }
      // The words at the head of the page above all.
      try fixture.scribble(random.next(), "merged.recovery", at: [0x18, 0x20, 0x28, 0x40][round % 4])
      let (text, _, code) = try gaps(fixture, round % 2 == 0 ? "--json" : "--open")
      XCTAssertTrue([0, 1, 4].contains(code), "round \(round)")
      XCTAssertFalse(text.isEmpty)
      try RecoveryPage.create(directory: fixture.directory)
    }
  }

  func testTalliesAreInTheJSON() throws {
    let fixture = try ToolFixture()
    try makePage(fixture)
    let page = try page(fixture)
    for tally in RecoveryTally.allCases { page.setTally(tally, UInt64(tally.rawValue) + 1) }
    let (text, _, _) = try gaps(fixture, "--json")
    let object = try parseJSON(text)
    let set = try XCTUnwrap((object["sets"] as? [[String: Any]])?.first)
    let totals = try XCTUnwrap(set["totals"] as? [String: Any])
    let states = try XCTUnwrap(set["states"] as? [String: Any])
    XCTAssertEqual(totals["rangesDetected"] as? UInt64, 1)
    XCTAssertEqual(
      totals["lostSnapshotUnavailable"] as? UInt64,
      UInt64(RecoveryTally.lostFirst.rawValue) + UInt64(GapReason.snapshotUnavailable.rawValue) + 1)
    XCTAssertEqual(states["breakerState"] as? UInt64, UInt64(RecoveryTally.breakerState.rawValue) + 1)
    XCTAssertEqual(
      states["lineADownAt"] as? UInt64, UInt64(RecoveryTally.lineADownAt.rawValue) + 1 + Self.clockOffset)
    XCTAssertEqual(
      totals.count + states.count + 1, RecoveryTally.allCases.count, "all but the mark of a place")
    XCTAssertLessThanOrEqual(RecoveryTally.allCases.count, (0x1000 - 0x600) / 8)
  }
}
