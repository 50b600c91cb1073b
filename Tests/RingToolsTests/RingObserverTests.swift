import Foundation
import XCTest

@testable import ShmRing
@testable import bulkhead

final class RingObserverTests: XCTestCase {
  private func buffer(_ ring: borrowing RingObserver) -> UnsafeMutableRawPointer {
    .allocate(byteCount: ring.bufferBytes, alignment: 64)
  }

  /// Random records; a reader and an observer see the same ones, the same laps, to the end.
  func testSeesWhatAReaderSees() throws {
    for seed in 1...5 as ClosedRange<UInt64> {
      var random = SeededGenerator(state: seed)
      let fixture = try ToolFixture()
      try fixture.makeRing("book", cells: 256, maximumRecordBytes: 200, readers: ["reader"])
      var producer = try fixture.producer("book")
      var consumer = try fixture.consumer("book", "reader", start: .oldest)
      var observer = try RingObserver.attach(path: fixture.path("book"))
      let left = buffer(observer)
      let right = buffer(observer)
      defer { left.deallocate(); right.deallocate() }
      for _ in 0..<200 {
        for _ in 0..<Int.random(in: 0...60, using: &random) {
          let fill = UInt8.random(in: 0...255, using: &random)
          let bytes = [UInt8](repeating: fill, count: Int.random(in: 0...200, using: &random))
          producer.put(UInt8.random(in: 1...254, using: &random), bytes)
        }
        for _ in 0..<Int.random(in: 0...60, using: &random) {
          let before = consumer.nextPosition
          let expected = consumer.poll(into: left)
          XCTAssertEqual(observer.poll(into: right), expected, "seed \(seed)")
          XCTAssertEqual(observer.nextPosition, consumer.nextPosition, "seed \(seed)")
          if case .record(_, let bytes) = expected {
            XCTAssertEqual(memcmp(left, right, bytes), 0, "seed \(seed)")
            XCTAssertGreaterThanOrEqual(observer.recordPosition, before, "seed \(seed)")
          }
        }
      }
    }
  }

  /// Looking changes no byte of any file, and the mappings could not.
  func testWritesNothing() throws {
    let fixture = try ToolFixture()
    try fixture.makeRing("book", cells: 64, readers: ["reader", "other"])
    try fillAndLetGo(fixture)
    try ConflatedTable.create(
      path: "\(fixture.directory)/best_prices.table", name: "best_prices", entries: 16, configurationHash: 1)
    let before = try fixture.contents()
    var observer = try RingObserver.attach(path: fixture.path("book"))
    let cursor = try CursorObserver.attach(ring: fixture.path("book"), reader: "reader")
    let file = try XCTUnwrap(FileHandle(forReadingAtPath: "/proc/self/maps"))
    let maps = String(decoding: try XCTUnwrap(file.readToEnd()), as: UTF8.self).split(separator: "\n")
    // Ring and cursor page, nothing else.
    let mappings = maps.filter { $0.contains(fixture.directory) }
    XCTAssertEqual(mappings.count, 2, "\(mappings)")
    XCTAssertTrue(mappings.allSatisfy { $0.contains(" r--s ") }, "\(mappings)")
    let memory = buffer(observer)
    defer { memory.deallocate() }
    // Lapped at position 0, which a reader would note on its page.
    XCTAssertEqual(observer.poll(into: memory), .lapped(from: 0, to: 137))
    XCTAssertEqual(cursor.words.laps, 0)
    _ = try fixture.rings()
    _ = try fixture.tap("book")
    _ = try fixture.tap("book", "--from", "newest", "--json")
    XCTAssertEqual(try fixture.contents(), before)
  }

  private func fillAndLetGo(_ fixture: ToolFixture) throws {
    var producer = try fixture.producer("book")
    producer.putCells(200)
    _ = try fixture.consumer("book", "reader")
  }

  /// Every position of a ring with records of many lengths: the next record's start, or the exact loss.
  func testMovesToRecordBoundaries() throws {
    for seed in 1...10 as ClosedRange<UInt64> {
      var random = SeededGenerator(state: seed)
      let fixture = try ToolFixture()
      try fixture.makeRing("book", cells: 64, maximumRecordBytes: 500)
      var producer = try fixture.producer("book")
      var starts: [UInt64] = []
      for _ in 0..<60 {
        let bytes = Int.random(in: 0...500, using: &random)
        producer.put(1, [UInt8](repeating: 0xFF, count: bytes))
        starts.append(producer.nextPosition - UInt64((bytes + 71) / 64))
      }
      var observer = try RingObserver.attach(path: fixture.path("book"))
      let oldest = observer.oldestRetained
      let end = producer.nextPosition
      XCTAssertEqual(observer.frontier(), end)
      XCTAssertTrue(starts.contains(oldest), "seed \(seed)")
      for target in 0...end {
        let expected = starts.first { $0 >= target } ?? end
        let move = observer.move(to: target)
        if target < oldest {
          XCTAssertEqual(move, .lapped(from: target, to: oldest), "seed \(seed)")
        } else {
          XCTAssertEqual(move, .at(expected), "seed \(seed), position \(target)")
        }
        let memory = buffer(observer)
        defer { memory.deallocate() }
        if expected < end {
          guard case .record = observer.poll(into: memory) else { return XCTFail("seed \(seed): \(target)") }
          XCTAssertEqual(observer.recordPosition, max(oldest, expected), "seed \(seed)")
        }
      }
      XCTAssertEqual(observer.move(to: end + 1), .beyondNewest(end))
      XCTAssertEqual(observer.move(to: .max), .beyondNewest(end))
    }
  }

  /// A producer that died between a batch's first stamp and the published word.
  func testFrontierBeyondThePublishedWord() throws {
    let fixture = try ToolFixture()
    try fixture.makeRing("book")
    var producer = try fixture.producer("book")
    producer.putCells(10)
    try fixture.scribble(7, "book.ring", at: RingLayout.publishedOffset)
    let observer = try RingObserver.attach(path: fixture.path("book"))
    XCTAssertEqual(try observer.words().published, 7)
    XCTAssertEqual(observer.frontier(), 10)
    XCTAssertEqual(try fixture.tap("book").lines.count, 10)
    try fixture.scribble(
      UInt64(try ToolFixture.endedProcess()), "book.ring", at: RingLayout.producerPidOffset)
    let text = try fixture.rings().text
    XCTAssertTrue(text.contains("3 more cells are visible"), text)
  }

  /// From whichever record the published word names, the end is found, over the padding between segments.
  func testFrontierIsFoundOverPadding() throws {
    let fixture = try ToolFixture()
    try fixture.makeRing("book", cells: 64, maximumRecordBytes: 500)
    var producer = try fixture.producer("book")
    var starts: [UInt64] = []
    for _ in 0..<30 {
      producer.put(1, [UInt8](repeating: 0xFF, count: 300))
      starts.append(producer.nextPosition - 5)
    }
    // Five of a segment's eight cells are used, three are padding.
    XCTAssertEqual(starts.prefix(3), [0, 8, 16])
    let observer = try RingObserver.attach(path: fixture.path("book"))
    for start in starts where start >= observer.oldestRetained {
      try fixture.scribble(start, "book.ring", at: RingLayout.publishedOffset)
      XCTAssertEqual(observer.frontier(), producer.nextPosition, "\(start)")
    }
  }

  func testReadersAreFoundByFileName() throws {
    let fixture = try ToolFixture()
    try fixture.makeRing("book", readers: ["pubd", "audit", "x@y-1"])
    try fixture.makeRing("bookie", readers: ["other"])
    for file in ["book..cursor", "book.a.b.cursor", "book.cursor", "book.pubd.cursor.old"] {
      try Data().write(to: URL(fileURLWithPath: "\(fixture.directory)/\(file)"))
    }
    XCTAssertEqual(RingObserver.readers(ofRing: fixture.path("book")), ["audit", "pubd", "x@y-1"])
    XCTAssertEqual(RingObserver.readers(ofRing: fixture.path("none")), [])
    XCTAssertEqual(RingObserver.readers(ofRing: "/nowhere/book.ring"), [])
  }

  func testTellsAnotherFileOfTheSameName() throws {
    let fixture = try ToolFixture()
    try fixture.makeRing("book")
    let observer = try RingObserver.attach(path: fixture.path("book"))
    XCTAssertTrue(observer.isCurrentFile)
    try fixture.makeRing("book")
    XCTAssertFalse(observer.isCurrentFile)
    unlink(fixture.path("book"))
    XCTAssertFalse(observer.isCurrentFile)
  }

  /// Positions that no producer can have written.
  func testContradictingPositionsAreRefused() throws {
    let fixture = try ToolFixture()
    try fixture.makeRing("book")
    var producer = try fixture.producer("book")
    producer.putCells(10)
    let observer = try RingObserver.attach(path: fixture.path("book"))
    let claimed = try observer.words().claimed
    for (offset, word) in [
      (RingLayout.publishedOffset, claimed + 1), (RingLayout.publishedOffset, UInt64.max),
      (RingLayout.claimedOffset, 9), (RingLayout.claimedOffset, 75), (RingLayout.claimedOffset, UInt64.max),
    ] {
      try fixture.scribble(word, "book.ring", at: offset)
      XCTAssertThrowsError(try observerWords(fixture)) {
        XCTAssertTrue("\($0)".contains("`claimed position`"))
      }
      XCTAssertEqual(try fixture.rings().code, 4)
      XCTAssertEqual(try fixture.tap("book").code, 4)
      try fixture.scribble(10, "book.ring", at: RingLayout.publishedOffset)
      try fixture.scribble(claimed, "book.ring", at: RingLayout.claimedOffset)
    }
    XCTAssertEqual(try fixture.rings().code, 0)
  }

  private func observerWords(_ fixture: ToolFixture) throws {
    _ = try RingObserver.attach(path: fixture.path("book")).words()
  }

  /// A segment size whose multiple does not fit a word was a trap once.
  func testHugeSegmentIsRefused() throws {
    for shift in 60...63 {
      let fixture = try ToolFixture()
      try fixture.makeRing("book")
      try fixture.scribble(1 << shift, "book.ring", at: RingLayout.segmentCellsOffset)
      let result = try fixture.tap("book")
      XCTAssertEqual(result.code, 4)
      XCTAssertTrue(result.said[0].contains("`segment cells`"), "\(result.said)")
    }
  }
}
