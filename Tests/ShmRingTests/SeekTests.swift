import XCTest

@testable import ShmRing

/// A reader finds a place in the retention without reading all of it.
final class SeekTests: XCTestCase {
  func testItLandsBeforeWhatIsWantedAndNotFarBefore() throws {
    let fixture = try RingFixture(cells: 4_096, maximumRecordBytes: 400)
    var producer = try fixture.producer()
    let reader = try fixture.consumer()
    let buffer = scratchBuffer()
    defer { buffer.deallocate() }
    let segment = Int(reader.ground.pointee.segmentCells)
    // Records of one cell to seven, with a publish now and then; three laps, looked at on the way.
    var random = SeededNumbers(state: 11)
    var next: UInt64 = 1
    for round in 0..<60 {
      for _ in 0..<(1 + Int(random.next() % 120)) {
        producer.commitNumbered(next, bytes: 8 + Int(random.next() % 49) * 8)
        next += 1
      }
      producer.publish()
      var walk = try fixture.consumer(start: .oldest)
      var retained: [UInt64] = []
      while case .record(_, let bytes) = walk.poll(into: buffer) {
        retained.append(try XCTUnwrap(numberOf(buffer, bytes: bytes)))
      }
      let oldest = try XCTUnwrap(retained.first)
      let newest = try XCTUnwrap(retained.last)
      XCTAssertEqual(newest, next - 1)
      for wanted in [0, 1, oldest, oldest + 1, (oldest + newest) / 2, newest - 1, newest, newest + 1, .max] {
        var reader = try fixture.consumer(start: .newest)
        reader.seek(into: buffer) { _, bytes in numberOf(buffer, bytes: bytes).map { $0 < wanted } ?? false }
        guard case .record(_, let bytes) = reader.poll(into: buffer) else {
          XCTFail("round \(round), \(wanted) of \(oldest)...\(newest): nothing to read")
          return
        }
        let found = try XCTUnwrap(numberOf(buffer, bytes: bytes))
        let what = "round \(round), \(wanted) of \(oldest)...\(newest): \(found)"
        XCTAssertTrue(found < wanted || found == oldest, what)
        // A segment holds no more records than cells.
        XCTAssertLessThanOrEqual(min(wanted, newest + 1), max(found, oldest) + UInt64(segment), what)
      }
    }
  }

  func testAnEmptyRing() throws {
    let fixture = try RingFixture(cells: 1_024)
    var reader = try fixture.consumer()
    let buffer = scratchBuffer()
    defer { buffer.deallocate() }
    reader.seek(into: buffer) { _, _ in true }
    XCTAssertEqual(reader.nextPosition, 0)
    XCTAssertEqual(reader.poll(into: buffer), .empty)
  }

  private struct SeededNumbers {
    var state: UInt64
    mutating func next() -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return state >> 33
    }
  }
}
