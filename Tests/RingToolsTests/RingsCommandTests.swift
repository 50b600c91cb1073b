import Foundation
import XCTest

@testable import SetInspection
@testable import ShmRing
@testable import bulkhead

final class RingsCommandTests: XCTestCase {
  private func read(_ consumer: inout RingConsumer, _ records: Int) {
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: 4096 + 64, alignment: 64)
    defer { buffer.deallocate() }
    for _ in 0..<records {
      guard case .record = consumer.poll(into: buffer) else { return XCTFail("no record") }
    }
    consumer.reportPosition()
  }

  /// A set as a crash leaves it: a ring whose writer lives, one whose writer died, readers of every sort.
  private func makeSet() throws -> ToolFixture {
    let fixture = try ToolFixture()
    try fixture.makeControlPage("rxd@a", isAlive: true)
    try fixture.makeControlPage("merged", isAlive: false)
    try fixture.makeRing("rx_a", readers: ["merged"])
    try fixture.makeRing("book", readers: ["audit", "pubd", "slow", "late"])
    var producer = try fixture.producer("book")
    var audit = try fixture.consumer("book", "audit")
    var slow = try fixture.consumer("book", "slow")
    producer.putCells(30)
    read(&slow, 30)
    producer.putCells(20)
    read(&audit, 50)
    producer.putCells(50)
    slow.reportPosition()
    var pubd = try fixture.consumer("book", "pubd", start: .newest)
    read(&pubd, 0)
    XCTAssertNotNil(pubd.prepareToPark())
    try fixture.scribble(UInt64(try ToolFixture.endedProcess()), "book.audit.cursor", at: 0x10)
    var receiver = try fixture.producer("rx_a")
    receiver.putCells(5)
    _ = try fixture.consumer("rx_a", "merged")
    try ConflatedTable.create(
      path: "\(fixture.directory)/best_prices.table", name: "best_prices", entries: 16, configurationHash: 1)
    for (entry, version) in [(3, 2), (5, 8), (9, 3)] as [(Int, UInt64)] {
      try fixture.scribble(version, "best_prices.table", at: 4096 + entry * 64)
    }
    try fixture.scribble(
      UInt64(try ToolFixture.endedProcess()), "book.ring", at: RingLayout.producerPidOffset)
    return fixture
  }

  /// Process numbers and rates replaced, columns two spaces apart.
  private func normalised(_ text: String) -> String {
    text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
      let cells = line.replacingOccurrences(of: "  +", with: "\t", options: .regularExpression)
        .split(separator: "\t").map(String.init)
      return cells.enumerated().map { index, cell in
        index == 2 && Int(cell) != nil && cells.count > 6 ? "PID" : cell
      }.joined(separator: "  ")
    }.joined(separator: "\n")
  }

  func testText() throws {
    let fixture = try makeSet()
    let result = try fixture.rings()
    XCTAssertEqual(
      normalised(result.text),
      """
      LAPPED  demo: slow on book was lapped: it is losing records

      RING  WRITER  PID  STATE  EPOCH  CELLS  SEGMENT  RECORD  PUBLISHED  OLDEST  FILL%  RECORDS  BATCHES  RECORDS/S  NOTE
      rx_a  rxd@a  PID  alive  1  64  1  56  5  0  7.8  5  5  0
      book  n/a  PID  dead  1  64  1  56  100  37  98.4  100  100  0

      RING  READER  PID  STATE  POSITION  LAG  LAG%  HIGH-WATER  LAPS  LOST  SLEEPS  NOTE
      rx_a  merged  PID  dead  0  5  7.9  6  0  0  no  slowest
      book  audit  PID  dead  50  50  79.3  1  0  0  no  over 70 %
      book  late  -  never  -  n/a  n/a  0  0  0  no
      book  pubd  PID  alive?  100  0  0.0  1  0  0  yes
      book  slow  PID  alive?  30  70  111.1  64  0  0  no  LAPPED, slowest

      TABLE  ENTRIES  USED  BUSY
      best_prices  16  3  1

      """)
    XCTAssertEqual(result.code, 1)
  }

  func testJSON() throws {
    let fixture = try makeSet()
    let result = try fixture.rings("--json", "--name", "demo")
    XCTAssertEqual(result.code, 1)
    XCTAssertEqual(result.text.filter { $0 == "\n" }.count, 1)
    let object = try parseJSON(result.text)
    XCTAssertEqual(object["schema"] as? String, "bulkhead.rings")
    XCTAssertEqual(object["version"] as? Int, 1)
    let set = try XCTUnwrap((object["sets"] as? [[String: Any]])?.first)
    XCTAssertEqual(set["instance"] as? String, "demo")
    XCTAssertEqual(set["verdict"] as? String, "LAPPED")
    XCTAssertEqual(set["alive"] as? Bool, true)
    let rings = try XCTUnwrap(set["rings"] as? [[String: Any]])
    XCTAssertEqual(rings.map { $0["name"] as? String }, ["rx_a", "book"])
    var book = rings[1]
    let writer = try XCTUnwrap(book.removeValue(forKey: "writer") as? [String: Any])
    XCTAssertEqual(writer["component"] as? NSNull, NSNull())
    XCTAssertEqual(writer["state"] as? String, "dead")
    XCTAssertEqual(writer["epoch"] as? Int, 1)
    let readers = try XCTUnwrap(book.removeValue(forKey: "readers") as? [[String: Any]])
    XCTAssertEqual(
      book as NSDictionary,
      [
        "name": "book", "kind": "overwriting stream", "configurationHash": "c0ffee0012345678", "cells": 64,
        "segmentCells": 1, "recordBytesLimit": 56, "publishedPosition": 100, "visiblePosition": 100,
        "claimedPosition": 101, "oldestPosition": 37, "retainedCells": 63, "fillPercent": 98.437,
        "retentionCells": 63, "recordsPublished": 100, "batchesPublished": 100, "recordsPerSecond": 0.0,
        "slowestReader": "slow",
      ] as NSDictionary)
    XCTAssertEqual(
      readers[3] as NSDictionary,
      [
        "name": "slow", "pid": Int(getpid()), "state": "alive?", "position": 30, "lagCells": 70,
        "lagPercentOfRetention": 111.111, "highWaterLagCells": 64, "laps": 0, "lostCells": 0,
        "sleeping": false, "note": "LAPPED", "slowest": true,
      ] as NSDictionary)
    XCTAssertEqual(readers[1]["lagCells"] as? NSNull, NSNull())
    XCTAssertEqual(readers[2]["sleeping"] as? Bool, true)
    let tables = try XCTUnwrap(set["tables"] as? [[String: Any]])
    XCTAssertEqual(
      tables as NSArray,
      [["name": "best_prices", "entries": 16, "usedEntries": 3, "busyEntries": 1]] as NSArray)
  }

  func testLevels() {
    let expected: [(UInt64, RingsReport.Level)] = [
      (0, .ok), (700, .ok), (701, .over70), (850, .over70), (851, .over85), (950, .over85), (951, .over95),
      (1000, .over95), (1001, .lapped), (.max, .lapped),
    ]
    for (lag, level) in expected {
      XCTAssertEqual(RingsReport.Level(lag: lag, retention: 1000), level, "\(lag)")
    }
    XCTAssertEqual(RingsReport.Level(lag: 0, retention: 0), .ok)
    let codes: [RingsReport.Verdict: Int32] = [
      .ok: 0, .slow: 0, .close: 1, .critical: 1, .lapped: 1, .unknown: 4,
    ]
    for (verdict, code) in codes { XCTAssertEqual(verdict.exitCode, code) }
  }

  /// The tool says LAPPED of exactly those readers that find out at their next poll.
  func testLappedIsWhatTheReaderWillFind() throws {
    for (cells, record, seed) in [(64, 56, 1), (256, 56, 2), (256, 1000, 3), (1024, 300, 4)]
      as [(Int, Int, UInt64)]
    {
      var random = SeededGenerator(state: seed)
      let fixture = try ToolFixture()
      let names = (0..<60).map { "reader\($0)" }
      try fixture.makeRing("book", cells: cells, maximumRecordBytes: record, readers: names)
      var producer = try fixture.producer("book")
      for name in names {
        _ = try fixture.consumer("book", name, start: .newest)
        // Together some times the ring.
        for _
          in 0..<Int.random(in: 0...max(1, 8 * cells * 64 / (record / 2 + 72) / names.count), using: &random)
        {
          producer.put(1, [UInt8](repeating: 1, count: Int.random(in: 0...record, using: &random)))
        }
      }
      let ring = try XCTUnwrap(fixture.report().rings.first)
      let buffer = UnsafeMutableRawPointer.allocate(byteCount: 70_000, alignment: 64)
      defer { buffer.deallocate() }
      var lapped = 0
      for reader in ring.readers {
        var consumer = try fixture.consumer("book", reader.name)
        // A reader that starts anew leaves out what is lost; one that goes on finds it.
        consumer.state.position = reader.words.position
        let poll = consumer.poll(into: buffer)
        var finds = false
        if case .lapped = poll { finds = true }
        XCTAssertEqual(reader.level == .lapped, finds, "seed \(seed), \(reader.name): \(poll)")
        lapped += finds ? 1 : 0
      }
      XCTAssertTrue((5...55).contains(lapped), "seed \(seed) tests nothing: \(lapped) of 60 are lapped")
    }
  }

  /// Two samples: a rate, and a reader that was lapped in between though it has caught up again.
  func testWhatTwoSamplesTell() throws {
    let fixture = try ToolFixture()
    try fixture.makeRing("book", readers: ["reader", "old"])
    var producer = try fixture.producer("book")
    var consumer = try fixture.consumer("book", "reader")
    try fixture.scribble(3, "book.old.cursor", at: 0x48)
    let before = try fixture.report()
    producer.putCells(100)
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: 4096, alignment: 64)
    defer { buffer.deallocate() }
    XCTAssertEqual(consumer.poll(into: buffer), .lapped(from: 0, to: 37))
    read(&consumer, 63)
    var now = try fixture.report()
    XCTAssertEqual(now.verdict, .ok)
    XCTAssertEqual(
      now.reason,
      "every reader has read everything; lapped before: old on book 3 times, reader on book 1 time")
    now.compare(with: before)
    XCTAssertEqual(now.verdict, .lapped)
    XCTAssertTrue(now.reason.hasPrefix("reader on book was lapped"), now.reason)
    XCTAssertTrue(now.reason.contains("lapped before: old on book 3 times"), now.reason)
    let seconds = Double(now.time - before.time) / 1e9
    XCTAssertEqual(try XCTUnwrap(now.rings[0].rate) * seconds, 100, accuracy: 1e-6)
    XCTAssertNil(before.rings[0].rate)
    // A ring that was made anew counts from the start.
    var older = before
    older.compare(with: now)
    XCTAssertNil(older.rings[0].rate)
  }

  func testVerdicts() throws {
    let fixture = try ToolFixture()
    try fixture.makeRing("book", cells: 1024, readers: ["reader"])
    var producer = try fixture.producer("book")
    _ = try fixture.consumer("book", "reader", start: .oldest)
    // The retention is the ring less the segment of 16 cells that the producer has claimed.
    for (records, verdict, code) in [
      (600, "OK", 0), (200, "SLOW", 0), (100, "CLOSE", 1), (90, "CRITICAL", 1), (40, "LAPPED", 1),
    ] as [(Int, String, Int32)] {
      producer.putCells(records)
      let result = try fixture.rings()
      XCTAssertTrue(result.text.hasPrefix(verdict + "  demo: "), "\(verdict): \(result.text)")
      XCTAssertEqual(result.code, code, verdict)
    }
  }

  func testUnreadableFilesAreNamed() throws {
    let damages: [(file: String, offset: Int, word: UInt64, says: String)] = [
      ("book.ring", RingLayout.versionOffset, 1 << 32 | 9, "layout version 9, this program reads version 1"),
      ("book.ring", RingLayout.cellBytesOffset, 128, "`cell bytes`"),
      ("book.ring", RingLayout.dataOffsetOffset, 77, "`data offset` is 77"),
      ("book.ring", RingLayout.magicOffset, 0, "not a ring"),
      ("book.ring", RingLayout.claimedOffset, .max, "`claimed position`"),
      ("book.reader.cursor", 8, 5, "layout version 5, this program reads version 1"),
      ("book.reader.cursor", 0, 5, "not a ring"),
      ("book.reader.cursor", 0x40, 1 << 40, "position is 1099511627776"),
      (
        "best_prices.table", RingLayout.versionOffset, 3 << 32 | 7,
        "layout version 7, this program reads version 1"
      ),
    ]
    for damage in damages {
      let fixture = try ToolFixture()
      try fixture.makeRing("book", readers: ["reader"])
      try fixture.makeRing("merged", readers: ["bookd"])
      var producer = try fixture.producer("book")
      producer.putCells(3)
      _ = try fixture.consumer("book", "reader")
      try ConflatedTable.create(
        path: "\(fixture.directory)/best_prices.table", name: "best_prices", entries: 16, configurationHash: 1
      )
      XCTAssertEqual(try fixture.rings().code, 0)
      try fixture.scribble(damage.word, damage.file, at: damage.offset)
      let result = try fixture.rings()
      XCTAssertEqual(result.code, 4, "\(damage)")
      XCTAssertTrue(result.text.hasPrefix("UNKNOWN  demo: "), "\(damage): \(result.text)")
      XCTAssertTrue(result.text.contains("unreadable  \(damage.file): "), "\(damage): \(result.text)")
      XCTAssertTrue(result.text.contains(damage.says), "\(damage): \(result.text)")
      // What can be read is shown nevertheless.
      XCTAssertTrue(result.text.contains("\nmerged  n/a "), "\(damage): \(result.text)")
    }
  }

  func testSetsAreFoundByDirectory() throws {
    let fixture = try ToolFixture()
    XCTAssertEqual(try fixture.rings().code, 3)
    XCTAssertTrue(try fixture.rings("--json").text.hasSuffix(",\"sets\":[]}\n"))
    try fixture.makeRing("book")
    XCTAssertEqual(try fixture.rings().code, 0)
    XCTAssertEqual(try fixture.rings("--name", "demo").code, 0)
    XCTAssertEqual(try fixture.rings("--name", "other").code, 3)
    XCTAssertEqual(try fixture.rings("--name", "../\(fixture.instance)").code, 3)
    XCTAssertEqual(CommandTable.dispatch(["rings", "--run-directory", "/nowhere"]), 3)
  }

  /// The exit code is the worst set's, whichever comes first.
  func testSeveralSets() throws {
    let fixture = try ToolFixture()
    try fixture.makeRing("book", readers: ["reader"])
    for (instance, version) in [("aaa", 1), ("zzz", 9)] as [(String, UInt8)] {
      let directory = "\(fixture.runDirectory)/\(instance)"
      try FileManager.default.copyItem(atPath: fixture.directory, toPath: directory)
      try fixture.scribble([version], "../\(instance)/book.ring", at: RingLayout.versionOffset)
    }
    let result = try fixture.rings()
    let verdicts = result.text.split(separator: "\n").filter {
      $0.contains(": ") && !$0.hasPrefix("unreadable")
    }
    XCTAssertEqual(
      verdicts.map { $0.prefix { $0 != ":" } }, ["OK  aaa", "OK  demo", "UNKNOWN  zzz"], result.text)
    XCTAssertEqual(result.code, 4)
    XCTAssertEqual(try fixture.rings("--name", "aaa").code, 0)
  }

  func testArguments() throws {
    let wrong: [[String]] = [
      ["x"], ["--name"], ["--watch"], ["--watch", "0"], ["--watch", "nan"], ["--watch", "-1"],
      ["--watch", "1e30"],
      ["--run-directory"], ["--Json"],
    ]
    for arguments in wrong {
      XCTAssertEqual(CommandTable.dispatch(["rings"] + arguments), 64, "\(arguments)")
    }
    let options = try RingsOptions.parse(["--watch", "0.5", "--json", "--name", "a"])
    XCTAssertEqual(options.interval, 500_000_000)
    XCTAssertEqual(options.set, SetOptions(name: "a", json: true))
  }
}
