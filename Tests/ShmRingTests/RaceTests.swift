import Foundation
import XCTest

@testable import ShmRing

/// Threads on one ring, for ThreadSanitizer above all (`make sanitize`): payload is written and read with plain accesses, so
/// each edge of the protocol that orders them is looked at.
final class RaceTests: XCTestCase {
  private let buffer = scratchBuffer()
  override func tearDown() { buffer.deallocate() }

  private static let total: UInt64 = 50_000

  /// On a gated ring a payload is never written while it is read: the stamp's release orders the reader behind the writer, the
  /// position's release the writer behind the reader. In place, and by copy.
  func testGatedRingHasNoRace() throws {
    let seeded = ProcessInfo.processInfo.environment["BULKHEAD_SEEDED_RACE"]
    let isSeeded = seeded == "thread"
    // What AddressSanitizer has to report: an access behind a buffer.
    if seeded == "address" { seedOverrun() }
    for cells in [4, 64] {
      let limit = cells == 4 ? 56 : 200
      let fixture = try RingFixture(
        cells: cells, maximumRecordBytes: limit, kind: .gatedStream, readers: ["reader", "other"])
      let path = fixture.path
      let group = DispatchGroup()
      // One for each reader: so that a defect is a failure and not a test without end.
      let isWritten = [DispatchSemaphore(value: 0), DispatchSemaphore(value: 0)]
      group.enter()
      Thread.detachNewThread {
        var producer = try! RingProducer.attach(
          path: path, readers: [], configurationHash: RingFixture.configurationHash)
        var random = SeededGenerator(state: 5)
        for number in 0..<Self.total {
          let bytes = 8 * Int.random(in: 1...limit / 8, using: &random)
          var found = producer.tryReserve(bytes: bytes)
          while found == nil {
            sched_yield()
            found = producer.tryReserve(bytes: bytes)
          }
          let payload = found!
          for offset in stride(from: 0, to: bytes, by: 8) {
            payload.storeBytes(
              of: number &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(offset), toByteOffset: offset, as: UInt64.self)
          }
          producer.commit(kind: 1, bytes: bytes)
          producer.publish()
          // What ThreadSanitizer has to report: a writer that touches what it has published.
          if isSeeded { payload.storeBytes(of: 0, as: UInt64.self) }
        }
        for semaphore in isWritten { semaphore.signal() }
        group.leave()
      }
      group.enter()
      Thread.detachNewThread {
        var consumer = try! RingConsumer.attach(
          path: path, reader: "other", start: .cursor, configurationHash: RingFixture.configurationHash)
        var count: UInt64 = 0
        var isOver = false
        var sum: UInt64 = 0
        while true {
          var batch = consumer.openBatch()
          while let record = batch.next() {
            count += 1
            for offset in stride(from: 0, to: record.payload.count, by: 8) {
              sum &+= record.payload.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            }
          }
          _ = consumer.accept(batch)
          consumer.reportPosition()
          guard !consumer.hasNext else { continue }
          isOver = isOver || isWritten[0].wait(timeout: .now()) == .success
          if isOver, !consumer.hasNext { break }
          sched_yield()
        }
        XCTAssertNotEqual(sum, 0)
        XCTAssertEqual(count, Self.total, "cells \(cells)")
        group.leave()
      }
      var consumer = try fixture.consumer()
      var expected: UInt64 = 0
      var isOver = false
      reading: while true {
        switch consumer.poll(into: buffer) {
        case .record(_, let bytes):
          if !isSeeded { XCTAssertEqual(numberOf(buffer, bytes: bytes), expected, "cells \(cells)") }
          expected += 1
        case .empty:
          isOver = isOver || isWritten[1].wait(timeout: .now()) == .success
          if isOver, !consumer.hasNext { break reading }
          sched_yield()
        case .lapped(_, let to): XCTFail("cells \(cells) record \(expected): lapped to \(to)")
        case .halted(let halt): return XCTFail("cells \(cells) record \(expected): \(halt)")
        }
        consumer.reportPosition()
      }
      XCTAssertEqual(expected, Self.total, "cells \(cells)")
      group.wait()
    }
  }

  private func seedOverrun() {
    let short = UnsafeMutableRawPointer.allocate(byteCount: 40, alignment: 8)
    defer { short.deallocate() }
    fillNumbered(short, 1, bytes: 48)
    XCTAssertNotNil(numberOf(short, bytes: 48))
  }

  /// A table's reader sees whole values or none, while the writer replaces them.
  func testTableUnderItsWriter() throws {
    let path = "/dev/shm/bulkhead-test-\(getpid())-race-table"
    defer { unlink(path) }
    try ConflatedTable.create(path: path, name: "t", entries: 4, configurationHash: 1)
    let done = DispatchSemaphore(value: 0)
    Thread.detachNewThread {
      let writer = try! TableWriter.attach(path: path, configurationHash: 1)
      let value = scratchBuffer()
      for number in 0..<Self.total {
        fillNumbered(value, number, bytes: 56)
        _ = writer.store(key: Int(number & 3), value: value)
      }
      value.deallocate()
      done.signal()
    }
    let reader = try TableReader.attach(path: path, configurationHash: 1)
    var last = [UInt64](repeating: 0, count: 4)
    while last.min()! < Self.total - 4 {
      for key in 0..<4 where reader.load(key: key, into: buffer) == .value {
        let number = try XCTUnwrap(numberOf(buffer, bytes: 56), "torn")
        XCTAssertGreaterThanOrEqual(number, last[key])
        last[key] = number
      }
    }
    done.wait()
  }
}
