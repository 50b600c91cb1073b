import CLinux
import Foundation
import XCTest

@testable import ShmRing

final class StreamRingTests: XCTestCase {
  private let buffer = scratchBuffer()
  override func tearDown() { buffer.deallocate() }

  func testNumberInverse() {
    XCTAssertEqual((0x9E37_79B9_7F4A_7C15 as UInt64) &* 0xF1DE_83E1_9937_733D, 1)
  }

  func testRecordsComeOutAsTheyWentIn() throws {
    let fixture = try RingFixture(cells: 1024, maximumRecordBytes: 1000)
    var producer = try fixture.producer()
    var consumer = try fixture.consumer()
    XCTAssertEqual(consumer.poll(into: buffer), .empty)
    for length in [0, 1, 8, 55, 56, 57, 120, 121, 1000] {
      let payload = producer.reserve(bytes: length)
      for index in 0..<length {
        payload.storeBytes(of: UInt8(index & 0xFF), toByteOffset: index, as: UInt8.self)
      }
      producer.commit(kind: 7, bytes: length)
      XCTAssertEqual(consumer.poll(into: buffer), .empty, "visible before publish")
      producer.publish()
      XCTAssertEqual(consumer.poll(into: buffer), .record(kind: 7, bytes: length))
      for index in 0..<length {
        XCTAssertEqual(buffer.load(fromByteOffset: index, as: UInt8.self), UInt8(index & 0xFF))
      }
      XCTAssertEqual(consumer.poll(into: buffer), .empty)
    }
  }

  /// Many laps of mixed lengths, in batches: nothing lost, repeated, reordered, and padding never shows.
  func testManyLapsInBatches() throws {
    for cells in [4, 16, 1024] {
      let fixture = try RingFixture(cells: cells, maximumRecordBytes: cells >= 1024 ? 900 : 56)
      var producer = try fixture.producer()
      var consumer = try fixture.consumer()
      var random = SeededGenerator(state: 42)
      var written: UInt64 = 0
      var read: UInt64 = 0
      let limit = producer.recordBytesLimit
      while written < 20_000 {
        let batch = cells == 4 ? 1 : Int.random(in: 1...3, using: &random)
        for _ in 0..<batch {
          producer.commitNumbered(written, bytes: 8 * Int.random(in: 1...(limit / 8), using: &random))
          written += 1
        }
        producer.publish()
        while case .record(_, let bytes) = consumer.poll(into: buffer) {
          XCTAssertEqual(numberOf(buffer, bytes: bytes), read, "cells \(cells)")
          read += 1
        }
        XCTAssertEqual(read, written, "cells \(cells)")
      }
    }
  }

  /// A lapped reader learns exactly which cells it lost and goes on at the oldest retained record.
  func testLapIsExact() throws {
    let fixture = try RingFixture(cells: 64)
    var producer = try fixture.producer()
    var consumer = try fixture.consumer()
    for number in 0..<200 as Range<UInt64> {
      producer.commitNumbered(number, bytes: 56)
      producer.publish()
    }
    // One cell a record, segments of one cell: record 199 is the newest, its successor's cell is claimed.
    guard case .lapped(let from, let to) = consumer.poll(into: buffer) else { return XCTFail("not lapped") }
    XCTAssertEqual(from, 0)
    XCTAssertEqual(to, 201 - 64)
    for number in to..<200 {
      XCTAssertEqual(consumer.poll(into: buffer), .record(kind: 1, bytes: 56))
      XCTAssertEqual(numberOf(buffer, bytes: 56), number)
    }
    XCTAssertEqual(consumer.poll(into: buffer), .empty)
    XCTAssertEqual(consumer.cursor.lapCount, 1)
    XCTAssertEqual(consumer.cursor.lostCellCount, to)
  }

  /// The last record that may still be read, and the first that may not.
  func testLapBoundary() throws {
    let fixture = try RingFixture(cells: 64)
    var producer = try fixture.producer()
    for number in 0..<63 as Range<UInt64> {
      producer.commitNumbered(number, bytes: 8)
      producer.publish()
    }
    var consumer = try fixture.consumer()
    var other = try fixture.consumer(start: .oldest)
    XCTAssertEqual(consumer.poll(into: buffer), .record(kind: 1, bytes: 8), "63 of 64 cells: all there")
    producer.commitNumbered(63, bytes: 8)
    producer.publish()  // claims cell 64 = cell 0 for the frontier
    XCTAssertEqual(other.poll(into: buffer), .lapped(from: 0, to: 1))
    XCTAssertEqual(consumer.poll(into: buffer), .record(kind: 1, bytes: 8))
    XCTAssertEqual(numberOf(buffer, bytes: 8), 1)
  }

  /// A record that is being overwritten while it is copied is never handed out.
  func testClaimDuringCopyIsSeen() throws {
    let fixture = try RingFixture(cells: 64)
    var producer = try fixture.producer()
    var consumer = try fixture.consumer()
    for number in 0..<63 as Range<UInt64> { producer.commitNumbered(number, bytes: 8); producer.publish() }
    XCTAssertTrue(consumer.isStillThere())
    // The producer claims the reader's cell and stops right there: the stamp is still the old, valid one.
    _ = producer.reserve(bytes: 8)
    XCTAssertFalse(consumer.isStillThere())
    XCTAssertEqual(consumer.poll(into: buffer), .lapped(from: 0, to: 1))
  }

  /// Payload that looks exactly like the stamp which the frontier would carry is not taken for a record.
  func testPayloadThatLooksLikeAStampIsNeverARecord() throws {
    let fixture = try RingFixture(cells: 64, maximumRecordBytes: 1000)
    var producer = try fixture.producer()
    var consumer = try fixture.consumer()
    // Long records whose words are all valid stamps of the next lap at every cell.
    for round in 0..<40 as Range<UInt64> {
      let payload = producer.reserve(bytes: 440)
      let lap = producer.nextPosition >> 6
      for offset in stride(from: 0, to: 440, by: 8) {
        let forged = Stamp.make(lap: lap + 1, kind: 1, length: 8)
        payload.storeBytes(of: forged, toByteOffset: offset, as: UInt64.self)
      }
      producer.commit(kind: 2, bytes: 440)
      producer.publish()
      XCTAssertEqual(consumer.poll(into: buffer), .record(kind: 2, bytes: 440), "round \(round)")
      XCTAssertEqual(consumer.poll(into: buffer), .empty, "round \(round): forged record")
      let short = producer.reserve(bytes: 8)
      short.storeBytes(of: round, as: UInt64.self)
      producer.commit(kind: 3, bytes: 8)
      producer.publish()
      XCTAssertEqual(consumer.poll(into: buffer), .record(kind: 3, bytes: 8), "round \(round)")
      XCTAssertEqual(consumer.poll(into: buffer), .empty, "round \(round): forged record behind a short one")
    }
  }

  /// Room that was reserved, written and not committed lies at the next record's place: none of it is taken for a record.
  func testReservedAndNotCommittedIsNeverARecord() throws {
    let fixture = try RingFixture(cells: 64, maximumRecordBytes: 1000)
    var producer = try fixture.producer()
    var consumer = try fixture.consumer()
    for round in 0..<1000 as Range<UInt64> {
      // Hundreds of laps of records of one cell, whose frontiers need no look.
      let isLong = round % 200 == 199
      let payload = producer.reserve(bytes: isLong ? 440 : 8)
      if isLong {
        let forged = Stamp.make(lap: producer.nextPosition >> 6, kind: 1, length: 8)
        for offset in stride(from: 0, to: 440, by: 8) {
          payload.storeBytes(of: forged, toByteOffset: offset, as: UInt64.self)
        }
      }
      fillNumbered(payload, round, bytes: 8)
      producer.commit(kind: 2, bytes: 8)
      producer.publish()
      XCTAssertEqual(consumer.poll(into: buffer), .record(kind: 2, bytes: 8), "round \(round)")
      XCTAssertEqual(numberOf(buffer, bytes: 8), round)
      XCTAssertEqual(consumer.poll(into: buffer), .empty, "round \(round): forged record")
    }
  }

  /// Also after laps of records of one cell, whose frontiers need no look.
  func testAbandonedBatchLeavesNoTrace() throws {
    for laps in 0..<4 {
      let fixture = try RingFixture(cells: 64)
      var producer = try fixture.producer()
      var consumer = try fixture.consumer()
      for number in 0..<UInt64(1 + 64 * laps) {
        producer.commitNumbered(number, bytes: 16)
        producer.publish()
        XCTAssertEqual(consumer.poll(into: buffer), .record(kind: 1, bytes: 16))
      }
      let before = producer.nextPosition
      producer.commitNumbered(0xDEAD, bytes: 16)
      producer.commitNumbered(0xDEAD, bytes: 16)
      producer.abandonBatch()
      XCTAssertEqual(producer.nextPosition, before)
      producer.commitNumbered(4, bytes: 16)
      producer.publish()
      XCTAssertEqual(producer.header.records.loadRelaxed(), before + 1, "laps \(laps)")
      XCTAssertEqual(consumer.poll(into: buffer), .record(kind: 1, bytes: 16))
      XCTAssertEqual(numberOf(buffer, bytes: 16), 4)
      XCTAssertEqual(consumer.poll(into: buffer), .empty, "laps \(laps)")
    }
  }

  /// A batch that had moved on into the next segment, or the next lap, and was abandoned: what follows is laid out as
  /// if it had never been.
  func testAbandonedBatchBeyondASegmentLeavesNoTrace() throws {
    for start in 0..<140 {
      let fixture = try RingFixture(cells: 64, maximumRecordBytes: 200)  // segments of 4 cells
      var producer = try fixture.producer()
      var consumer = try fixture.consumer()
      for number in 0..<UInt64(start) {
        producer.commitNumbered(number, bytes: 8)
        producer.publish()
        XCTAssertEqual(consumer.poll(into: buffer), .record(kind: 1, bytes: 8), "start \(start)")
      }
      producer.commitNumbered(0xDEAD, bytes: 200)
      producer.commitNumbered(0xDEAD, bytes: 8)
      producer.abandonBatch()
      for (number, bytes) in [(1, 104), (2, 8), (3, 200)] as [(UInt64, Int)] {
        producer.commitNumbered(number, bytes: bytes)
        producer.publish()
        XCTAssertEqual(consumer.poll(into: buffer), .record(kind: 1, bytes: bytes), "start \(start)")
        XCTAssertEqual(numberOf(buffer, bytes: bytes), number, "start \(start)")
      }
      XCTAssertEqual(consumer.poll(into: buffer), .empty, "start \(start)")
    }
  }

  /// The producer dies with a batch half-written, at every length of it; its successor continues exactly.
  func testSuccessorContinuesBehindATornBatch() throws {
    let fixture = try RingFixture(cells: 256, maximumRecordBytes: 200)
    var consumer = try fixture.consumer()
    var random = SeededGenerator(state: 7)
    var expected: UInt64 = 0
    for round in 1...200 {
      var producer = try fixture.producer()
      XCTAssertEqual(producer.epoch, UInt64(round))
      for _ in 0..<Int.random(in: 0...6, using: &random) {
        producer.commitNumbered(expected, bytes: 8 * Int.random(in: 1...25, using: &random))
        producer.publish()
        expected += 1
      }
      // A torn batch: records stamped behind the missing first stamp, then the last reserved and half-filled.
      for _ in 0..<Int.random(in: 0...4, using: &random) {
        producer.commitNumbered(0xDEAD, bytes: 8 * Int.random(in: 1...25, using: &random))
      }
      producer.reserve(bytes: 96).storeBytes(of: 0xDEAD, as: UInt64.self)
      var read: [UInt64] = []
      while case .record(_, let bytes) = consumer.poll(into: buffer) {
        read.append(try XCTUnwrap(numberOf(buffer, bytes: bytes)))
      }
      if let last = read.last { XCTAssertEqual(last, expected - 1) }
      XCTAssertFalse(read.contains(0xDEAD))
      XCTAssertEqual(consumer.producerEpoch, UInt64(round))
    }
    XCTAssertEqual(consumer.cursor.lapCount, 0)
  }

  /// Killed between the first stamp and the published word: the record is out, so the successor keeps it.
  func testSuccessorKeepsWhatReadersMayHaveSeen() throws {
    let fixture = try RingFixture(cells: 64)
    do {
      var producer = try fixture.producer()
      producer.commitNumbered(1, bytes: 16)
      producer.publish()
      producer.commitNumbered(2, bytes: 16)
      producer.publish()
      producer.header.published.storeRelaxed(0)  // as if it had never come so far
    }
    var successor = try fixture.producer()
    let newest = scratchBuffer()
    defer { newest.deallocate() }
    let record = successor.copyNewestRecord(into: newest)
    XCTAssertEqual(record?.bytes, 16)
    XCTAssertEqual(numberOf(newest, bytes: 16), 2)
    successor.commitNumbered(3, bytes: 16)
    successor.publish()
    var consumer = try fixture.consumer(start: .oldest)
    for number in 1...3 as ClosedRange<UInt64> {
      XCTAssertEqual(consumer.poll(into: buffer), .record(kind: 1, bytes: 16))
      XCTAssertEqual(numberOf(buffer, bytes: 16), number)
    }
    XCTAssertEqual(consumer.poll(into: buffer), .empty)
  }

  /// The longest batch that a producer may leave torn does not take the newest record with it: from that record a
  /// successor knows how far its predecessor came.
  func testNewestRecordSurvivesTheLongestTornBatch() throws {
    for (cells, limit) in [(4, 56), (16, 56), (64, 200)] as [(UInt64, Int)] {
      for before in 1...2 * cells {
        let fixture = try RingFixture(cells: Int(cells), maximumRecordBytes: limit)
        var producer = try fixture.producer()
        let segment = producer.cells.segmentCells
        for number in 0..<before { producer.commitNumbered(number, bytes: 56); producer.publish() }
        let start = producer.nextPosition
        // What a further record would claim, rounded up to whole segments.
        while (producer.nextPosition + 2 + segment - 1) / segment * segment - start <= cells - segment {
          producer.commitNumbered(0xDEAD, bytes: 56)
        }
        XCTAssertGreaterThan(producer.nextPosition, start)
        // All that `publish` stores before the batch's first stamp.
        SharedWord(producer.cells.cell(producer.nextPosition)).storeRelaxed(0)
        let successor = try fixture.producer()
        XCTAssertEqual(successor.nextPosition, start)
        XCTAssertEqual(
          successor.copyNewestRecord(into: buffer)?.bytes, 56, "\(cells) cells, \(before) records")
        XCTAssertEqual(numberOf(buffer, bytes: 56), before - 1)
      }
    }
  }

  func testReaderComesBackAtItsCursor() throws {
    let fixture = try RingFixture(cells: 64)
    var producer = try fixture.producer()
    for number in 0..<10 as Range<UInt64> { producer.commitNumbered(number, bytes: 8) }
    producer.publish()
    do {
      var consumer = try fixture.consumer()
      for _ in 0..<4 { _ = consumer.poll(into: buffer) }
      consumer.reportPosition()
      _ = consumer.poll(into: buffer)  // read, but not reported: comes again
    }
    var successor = try fixture.consumer()
    XCTAssertEqual(successor.poll(into: buffer), .record(kind: 1, bytes: 8))
    XCTAssertEqual(numberOf(buffer, bytes: 8), 4)
  }

  /// What went by while no reader of that name lived is lost to it, and declared like any other loss.
  func testReaderThatComesBackTooLateLearnsWhatItLost() throws {
    let fixture = try RingFixture(cells: 64)
    var producer = try fixture.producer()
    for number in 0..<10 as Range<UInt64> { producer.commitNumbered(number, bytes: 8) }
    producer.publish()
    do {
      var consumer = try fixture.consumer()
      for _ in 0..<4 { _ = consumer.poll(into: buffer) }
      consumer.reportPosition()
    }
    for number in 10..<100 as Range<UInt64> { producer.commitNumbered(number, bytes: 8); producer.publish() }
    var successor = try fixture.consumer()
    XCTAssertEqual(successor.poll(into: buffer), .lapped(from: 4, to: 101 - 64))
    XCTAssertEqual(successor.cursor.lostCellCount, 101 - 64 - 4)
    XCTAssertEqual(successor.poll(into: buffer), .record(kind: 1, bytes: 8))
    XCTAssertEqual(numberOf(buffer, bytes: 8), 101 - 64)
  }

  /// The producer died between a record's stamp and the published word; the reader that took the record comes back.
  func testReaderComesBackBehindARecordThatPublishedDoesNotCount() throws {
    let fixture = try RingFixture(cells: 64)
    var producer = try fixture.producer()
    for number in 0..<3 as Range<UInt64> { producer.commitNumbered(number, bytes: 8) }
    producer.publish()
    do {
      var consumer = try fixture.consumer()
      for _ in 0..<3 { XCTAssertEqual(consumer.poll(into: buffer), .record(kind: 1, bytes: 8)) }
      consumer.reportPosition()
      producer.header.published.storeRelaxed(0)  // as if it had never come so far
    }
    var successor = try fixture.consumer()
    XCTAssertEqual(successor.nextPosition, 3, "what was taken already comes again")
    XCTAssertEqual(successor.poll(into: buffer), .empty)
  }

  func testCursorBeyondTheStreamIsNotBelieved() throws {
    let fixture = try RingFixture(cells: 64)
    var producer = try fixture.producer()
    producer.commitNumbered(0, bytes: 8)
    producer.publish()
    do {
      let consumer = try fixture.consumer()
      consumer.cursor.position.storeRelaxed(1 << 60)
    }
    var successor = try fixture.consumer()
    XCTAssertEqual(successor.poll(into: buffer), .record(kind: 1, bytes: 8))
  }

  func testNewestRecordIsFoundAfterManyLaps() throws {
    let fixture = try RingFixture(cells: 256, maximumRecordBytes: 200)
    var producer = try fixture.producer()
    XCTAssertNil(producer.copyNewestRecord(into: buffer))
    var random = SeededGenerator(state: 99)
    for number in 0..<3000 as Range<UInt64> {
      let bytes = 8 * Int.random(in: 1...25, using: &random)
      producer.commitNumbered(number, bytes: bytes)
      producer.publish()
      XCTAssertEqual(producer.copyNewestRecord(into: buffer)?.bytes, bytes)
      XCTAssertEqual(numberOf(buffer, bytes: bytes), number)
    }
  }

  /// A writer thread at full speed over tiny rings, a reader that checks every record: none torn, and what is
  /// read plus what is declared lost is what was written.
  func testRacingReaderSeesNoTornRecord() throws {
    for (cells, limit) in [(4, 56), (16, 56), (256, 200)] {
      let fixture = try RingFixture(cells: cells, maximumRecordBytes: limit)
      let total: UInt64 = 300_000
      let done = DispatchSemaphore(value: 0)
      let path = fixture.path
      Thread.detachNewThread {
        var producer = try! RingProducer.attach(
          path: path, readers: ["reader"], configurationHash: RingFixture.configurationHash)
        var random = SeededGenerator(state: 5)
        for number in 0..<total {
          let bytes = limit <= 56 ? 56 : 8 * Int.random(in: 1...25, using: &random)
          producer.commitNumbered(number, bytes: bytes)
          producer.publish()
        }
        done.signal()
      }
      var consumer = try fixture.consumer()
      var last: UInt64?
      var torn = 0
      var reversed = 0
      reading: while last != total - 1 {
        switch consumer.poll(into: buffer) {
        case .record(_, let bytes):
          guard let number = numberOf(buffer, bytes: bytes) else { torn += 1; continue }
          if let last, number <= last { reversed += 1 }
          last = number
        case .halted(let halt): XCTFail("\(halt)")
        case .lapped, .empty: continue
        }
      }
      done.wait()
      XCTAssertEqual(torn, 0, "cells \(cells)")
      XCTAssertEqual(reversed, 0, "cells \(cells)")
    }
  }

  /// The producer died after its last stamp and before it woke anybody: its successor does it, without a record of
  /// its own.
  func testSuccessorWakesReaderThatItsPredecessorLeftAsleep() throws {
    let fixture = try RingFixture(cells: 64)
    let path = fixture.path
    var consumer = try fixture.consumer()
    let word = try XCTUnwrap(consumer.prepareToPark())
    do {
      // A producer that knows no readers wakes none: as if killed just before.
      var producer = try RingProducer.attach(
        path: path, readers: [], configurationHash: RingFixture.configurationHash)
      producer.commitNumbered(1, bytes: 16)
      producer.publish()
      producer.header.published.storeRelaxed(0)  // … or already before it stored that
    }
    let asleep = DispatchSemaphore(value: 0)
    let done = DispatchSemaphore(value: 0)
    let pointer = UInt(bitPattern: consumer.parkWord)
    nonisolated(unsafe) var result: Int32 = 1
    Thread.detachNewThread {
      asleep.signal()
      result = CLinux.bulkhead_futex_wait(UnsafeRawPointer(bitPattern: pointer), word, 20_000_000_000)
      done.signal()
    }
    asleep.wait()
    // Until the thread sleeps: the value of the word has not changed, so it must.
    usleep(50_000)
    _ = try fixture.producer()
    done.wait()
    XCTAssertNotEqual(result, -ETIMEDOUT)
    consumer.finishPark()
    XCTAssertEqual(consumer.poll(into: buffer), .record(kind: 1, bytes: 16))
  }

  /// A parked reader is woken by a record, and never sleeps over one that came before it slept.
  func testParkedReaderIsWoken() throws {
    let fixture = try RingFixture(cells: 1024)
    let path = fixture.path
    let total: UInt64 = 20_000
    let done = DispatchSemaphore(value: 0)
    Thread.detachNewThread {
      var producer = try! RingProducer.attach(
        path: path, readers: ["reader"], configurationHash: RingFixture.configurationHash)
      var random = SeededGenerator(state: 3)
      for number in 0..<total {
        producer.commitNumbered(number, bytes: 16)
        producer.publish()
        if number % 64 == 63 { usleep(UInt32.random(in: 0...30, using: &random)) }
      }
      done.signal()
    }
    var consumer = try fixture.consumer()
    var expected: UInt64 = 0
    var longestSleeps = 0
    while expected < total {
      switch consumer.poll(into: buffer) {
      case .record(_, let bytes):
        let number = try XCTUnwrap(numberOf(buffer, bytes: bytes))
        XCTAssertGreaterThanOrEqual(number, expected)
        expected = number + 1
      case .halted(let halt): XCTFail("\(halt)")
      case .lapped: continue
      case .empty:
        let before = DispatchTime.now().uptimeNanoseconds
        consumer.park(nanoseconds: 2_000_000_000)
        // A sleep that ran into its limit although records were still to come is a lost wake-up.
        if DispatchTime.now().uptimeNanoseconds - before > 1_900_000_000 { longestSleeps += 1 }
      }
    }
    done.wait()
    XCTAssertEqual(longestSleeps, 0)
  }
}
