import XCTest

@testable import ShmRing

/// Reading in place: a span of records without a copy, accepted only when it was whole.
final class RingBatchTests: XCTestCase {
  private let buffer = scratchBuffer()
  override func tearDown() { buffer.deallocate() }

  /// The same records as `poll` gives, at every mixture of lengths.
  func testSameRecordsAsPolling() throws {
    for seed in 1...20 {
      var random = SeededGenerator(state: UInt64(seed))
      let fixture = try RingFixture(cells: 256, maximumRecordBytes: 300, readers: ["copying", "in-place"])
      var producer = try fixture.producer()
      var copying = try fixture.consumer("copying")
      var inPlace = try fixture.consumer("in-place")
      var number: UInt64 = 0
      for _ in 0..<200 {
        for _ in 0..<Int.random(in: 0...8, using: &random) {
          producer.commitNumbered(number, bytes: 8 * Int.random(in: 1...37, using: &random))
          number += 1
        }
        producer.publish()
        var expected: [UInt64] = []
        while case .record(_, let bytes) = copying.poll(into: buffer) {
          expected.append(numberOf(buffer, bytes: bytes) ?? .max)
        }
        var found: [UInt64] = []
        var batch = inPlace.openBatch()
        while let record = batch.next() {
          buffer.copyMemory(from: record.payload.baseAddress!, byteCount: record.payload.count)
          found.append(numberOf(buffer, bytes: record.payload.count) ?? .max)
        }
        XCTAssertEqual(inPlace.accept(batch), .whole(records: expected.count), "seed \(seed)")
        XCTAssertEqual(found, expected, "seed \(seed)")
        XCTAssertEqual(inPlace.nextPosition, copying.nextPosition, "seed \(seed)")
      }
    }
  }

  /// A batch whose first cell is overwritten while it is read is refused, with the exact loss from its start on; one
  /// cell less and it stands. At every offset of the lap.
  func testOverwrittenBatchIsRefused() throws {
    for ahead in 0..<130 {
      let fixture = try RingFixture(cells: 64)  // segments of one cell
      var producer = try fixture.producer()
      var consumer = try fixture.consumer()
      for number in 0..<UInt64(20) { producer.commitNumbered(number, bytes: 8); producer.publish() }
      for _ in 0..<10 { _ = consumer.poll(into: buffer) }
      var batch = consumer.openBatch()
      for _ in 0..<5 { XCTAssertNotNil(batch.next()) }
      for number in 0..<UInt64(ahead) { producer.commitNumbered(20 + number, bytes: 8); producer.publish() }
      // Published 20 + ahead, claimed one more; the batch starts at 10.
      let isWhole = 20 + ahead + 1 <= 10 + 64
      XCTAssertEqual(consumer.isWhole(batch), isWhole, "ahead \(ahead)")
      if isWhole {
        XCTAssertEqual(consumer.accept(batch), .whole(records: 5), "ahead \(ahead)")
        XCTAssertEqual(consumer.nextPosition, 15)
      } else {
        let oldest = UInt64(20 + ahead + 1 - 64)
        XCTAssertEqual(consumer.accept(batch), .lapped(from: 10, to: oldest), "ahead \(ahead)")
        XCTAssertEqual(consumer.nextPosition, oldest)
      }
    }
  }

  /// A reader may stop anywhere in a batch, and go on there.
  func testAcceptsAPart() throws {
    let fixture = try RingFixture(cells: 64)
    var producer = try fixture.producer()
    var consumer = try fixture.consumer()
    for number in 0..<UInt64(9) { producer.commitNumbered(number, bytes: 8) }
    producer.publish()
    var seen: [UInt64] = []
    while seen.count < 9 {
      var batch = consumer.openBatch()
      for _ in 0..<2 {
        guard let record = batch.next() else { break }
        buffer.copyMemory(from: record.payload.baseAddress!, byteCount: record.payload.count)
        seen.append(numberOf(buffer, bytes: record.payload.count) ?? .max)
      }
      _ = consumer.accept(batch)
    }
    XCTAssertEqual(seen, Array(0..<9))
  }

  /// A published stamp that none can be: the batch ends there, within the mapping, and is not accepted.
  func testDamagedStampsEndABatch() throws {
    let stamps: [(name: String, kind: UInt8, bytes: Int)] = [
      ("payload beyond its segment", 1, 57), ("payload beyond the ring", 1, 65_535),
      ("padding at a segment's start", Stamp.padKind, 0),
    ]
    for damage in stamps {
      let fixture = try RingFixture(cells: 64)  // segments of one cell
      var producer = try fixture.producer()
      var consumer = try fixture.consumer()
      for number in 0..<UInt64(20) { producer.commitNumbered(number, bytes: 8); producer.publish() }
      let stamp = producer.cells.stamp(7)
      let before = stamp.loadRelaxed()
      stamp.storeRelaxed(Stamp.make(lap: 0, kind: damage.kind, length: damage.bytes))
      var batch = consumer.openBatch()
      for _ in 0..<7 { XCTAssertEqual(batch.next()?.payload.count, 8, damage.name) }
      XCTAssertNil(batch.next(), damage.name)
      XCTAssertEqual(consumer.accept(batch), .halted(.damaged(.stamp)), damage.name)
      XCTAssertEqual(consumer.nextPosition, 0, damage.name)
      XCTAssertEqual(
        consumer.poll(into: buffer), .record(kind: 1, bytes: 8), "the whole ones can be had one by one")
      stamp.storeRelaxed(before)
      var again = consumer.openBatch()
      var count = 0
      while again.next() != nil { count += 1 }
      XCTAssertEqual(consumer.accept(again), .whole(records: 19), damage.name)
      XCTAssertEqual(count, 19)
    }
  }

  /// The loss of a refused batch starts where the batch did, and a batch without records is whole.
  func testEmptyBatchIsWhole() throws {
    let fixture = try RingFixture(cells: 64)
    var producer = try fixture.producer()
    var consumer = try fixture.consumer()
    var batch = consumer.openBatch()
    XCTAssertNil(batch.next())
    XCTAssertEqual(consumer.accept(batch), .whole(records: 0))
    producer.commitNumbered(0, bytes: 8)
    producer.publish()
    XCTAssertEqual(consumer.nextPosition, 0)
    XCTAssertEqual(consumer.poll(into: buffer), .record(kind: 1, bytes: 8))
  }
}
