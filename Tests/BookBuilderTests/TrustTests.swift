import BookBuilder
import OrderBook
import StageRecords
import XCTest

/// Messages that cannot be applied: counted by reason, books unchanged, the instrument or the channel stale
/// with one trust event a transition.
final class TrustTests: XCTestCase {
  private func makeBuilder(
    orders: Int = 100, levels: Int = 100, instruments: Int = 10
  ) -> BookBuilder {
    BookBuilder(capacity: BookCapacity(orders: orders, levels: levels, instruments: instruments), channel: 4)
  }

  /// Two orders in two books, then a message that must be rejected.
  private func checkRejection(
    _ message: [UInt8], _ reason: MessageRejection, stale: [UInt32], orders: Int = 100, levels: Int = 100,
    instruments: Int = 10, file: StaticString = #filePath, line: UInt = #line
  ) {
    var builder = makeBuilder(orders: orders, levels: levels, instruments: instruments)
    _ = builder.applied(1, TestMessage.add(1, locate: 1, shares: 100))
    _ = builder.applied(2, TestMessage.add(2, locate: 2, side: "S", shares: 100))
    XCTAssertEqual(builder.counters.applied, 2, file: file, line: line)
    let content = builder.books.contentDigest()
    let events = builder.applied(33, message)
    XCTAssertEqual(builder.books.contentDigest(), content, "the books changed", file: file, line: line)
    XCTAssertNil(builder.books.checkInvariants(), file: file, line: line)
    XCTAssertEqual(builder.counters.rejected(reason), 1, "\(reason)", file: file, line: line)
    XCTAssertEqual(builder.counters.rejected, 1, file: file, line: line)
    XCTAssertEqual(events.map(\.kind), stale.map { _ in .trust }, file: file, line: line)
    XCTAssertEqual(events.map(\.header.instrument), stale, file: file, line: line)
    for (index, event) in events.enumerated() {
      let last = index == events.count - 1 ? EventFlags.last : 0
      XCTAssertEqual(event.header.flags, EventFlags.stale | last, file: file, line: line)
      XCTAssertEqual(
        Array(event.body[0..<8]), [TrustState.stale.rawValue, reason.trustReason.rawValue, 0, 0, 0, 0, 0, 0],
        file: file, line: line)
      XCTAssertEqual([8, 16].map { event.word($0) }, [33, 33], file: file, line: line)
    }
    for instrument in 1...3 as ClosedRange<UInt32> {
      let isStale = stale.contains(instrument) || stale.contains(0)
      XCTAssertEqual(
        builder.instruments.trustState(instrument), isStale ? .stale : .live, "\(instrument)", file: file,
        line: line)
    }
    // Again: counted, but the transition is over.
    XCTAssertEqual(builder.applied(34, message), [], file: file, line: line)
    XCTAssertEqual(builder.counters.rejected(reason), 2, file: file, line: line)
    // Events of a stale instrument go on, flagged; those of a live one are not.
    for instrument in [1, 2] as [UInt16] {
      let isStale = stale.contains(UInt32(instrument)) || stale.contains(0)
      let deletes = builder.applied(35, TestMessage.delete(UInt64(instrument), locate: instrument))
      XCTAssertEqual(deletes.count, 3, file: file, line: line)
      for event in deletes {
        XCTAssertEqual(event.header.flags & EventFlags.stale != 0, isStale, file: file, line: line)
      }
    }
  }

  /// A block of length 0 takes a sequence number and changes nothing.
  func testAnEmptyMessageIsApplied() {
    var builder = BookBuilder(capacity: BookCapacity(orders: 16, levels: 16, instruments: 4), channel: 1)
    var batch = EventBatch()
    builder.apply(
      sequence: 1, receiveTime: 0, message: UnsafeRawBufferPointer(start: nil, count: 0), into: &batch)
    XCTAssertEqual(batch.eventCount, 0)
    XCTAssertEqual(builder.counters.applied, 1)
    XCTAssertEqual(builder.counters.rejected, 0)
    XCTAssertEqual(builder.instruments.staleCount, 0)
  }

  func testEveryReasonIsCountedAndContained() {
    checkRejection([0x7A] + [UInt8](repeating: 0, count: 20), .unknownType, stale: [0])
    checkRejection(Array(TestMessage.delete(1).dropLast()), .wrongLength, stale: [0])
    checkRejection(TestMessage.delete(1) + [0], .wrongLength, stale: [0])
    checkRejection(TestMessage.add(3, side: "X"), .impossibleField, stale: [1])
    checkRejection(TestMessage.add(3, shares: 0), .impossibleField, stale: [1])
    checkRejection(TestMessage.add(3, locate: 0), .impossibleField, stale: [0])
    checkRejection(TestMessage.delete(1, locate: 0), .impossibleField, stale: [0])
    checkRejection(TestMessage.cancel(1, shares: 0), .impossibleField, stale: [1])
    checkRejection(TestMessage.execute(1, shares: 0), .impossibleField, stale: [1])
    checkRejection(TestMessage.replace(1, with: 3, shares: 0, price: 1), .impossibleField, stale: [1])
    checkRejection(TestMessage.directory(locate: 0, symbol: "A"), .impossibleField, stale: [0])
    checkRejection(TestMessage.delete(9, locate: 3), .unknownReference, stale: [3])
    checkRejection(TestMessage.cancel(9, shares: 1), .unknownReference, stale: [1])
    checkRejection(TestMessage.execute(9, shares: 1), .unknownReference, stale: [1])
    checkRejection(
      TestMessage.executeAtPrice(9, shares: 1, price: 1, printable: "Y"), .unknownReference, stale: [1])
    checkRejection(TestMessage.replace(9, with: 3, shares: 1, price: 1), .unknownReference, stale: [1])
    checkRejection(TestMessage.add(1), .duplicateReference, stale: [1])
    checkRejection(TestMessage.add(1, locate: 2), .duplicateReference, stale: [2])
    checkRejection(TestMessage.replace(1, with: 2, shares: 1, price: 1), .duplicateReference, stale: [1])
    checkRejection(TestMessage.replace(1, with: 1, shares: 1, price: 1), .duplicateReference, stale: [1])
    checkRejection(TestMessage.cancel(1, shares: 101), .quantityExceeded, stale: [1])
    checkRejection(TestMessage.execute(1, shares: .max), .quantityExceeded, stale: [1])
    checkRejection(TestMessage.delete(1, locate: 2), .wrongInstrument, stale: [1, 2])
    checkRejection(TestMessage.execute(2, locate: 3, shares: 1), .wrongInstrument, stale: [2, 3])
    checkRejection(
      TestMessage.replace(2, with: 3, locate: 1, shares: 1, price: 1), .wrongInstrument, stale: [2, 1])
  }

  /// A full table takes nobody's book but the instrument's.
  func testEveryFullTableIsCountedAndContained() {
    func check(_ message: [UInt8], _ reason: MessageRejection, stale: UInt32, _ capacity: BookCapacity) {
      var builder = BookBuilder(capacity: capacity, channel: 4)
      _ = builder.applied(1, TestMessage.add(1, locate: 1, shares: 100))
      _ = builder.applied(2, TestMessage.add(2, locate: 2, side: "S", shares: 100))
      let events = builder.applied(33, message)
      XCTAssertEqual(events.map(\.kind), [.trust], "\(reason)")
      XCTAssertEqual(events.map(\.header.instrument), [stale], "\(reason)")
      XCTAssertEqual(builder.counters.rejected(reason), 1, "\(reason)")
      XCTAssertEqual(builder.books.order(reference: 1) == nil, stale == 1, "\(reason)")
      XCTAssertEqual(builder.books.order(reference: 2)?.quantity, 100, "\(reason)")
      XCTAssertEqual(builder.instruments.staleCount, 1, "\(reason)")
      XCTAssertNil(builder.books.checkInvariants())
    }
    let room = BookCapacity(orders: 100, levels: 100, instruments: 10)
    var full = room
    full.orders = 2
    check(TestMessage.add(3), .ordersFull, stale: 1, full)
    full = room
    full.levels = 2
    check(TestMessage.add(3, price: 1), .levelsFull, stale: 1, full)
    full = room
    full.instruments = 3
    check(TestMessage.add(3, locate: 3), .instrumentOutOfRange, stale: 3, full)
    check(TestMessage.add(3, locate: .max), .instrumentOutOfRange, stale: 65_535, full)
  }

  func testGapMakesTheChannelStaleOnce() {
    var builder = makeBuilder()
    var batch = EventBatch()
    _ = builder.applied(1, TestMessage.delete(9, locate: 3))
    builder.gap(first: 10, last: 14, reason: 2, receiveTime: 6, into: &batch)
    let events = batch.events()
    XCTAssertEqual(events.map(\.kind), [.gap, .trust])
    XCTAssertEqual(events.map(\.header.sequence), [10, 10])
    XCTAssertEqual(events.map(\.header.instrument), [0, 0])
    XCTAssertEqual(
      events.map(\.header.flags), [EventFlags.stale, EventFlags.stale | EventFlags.last])
    XCTAssertEqual([0, 8, 16].map { events[0].word($0) }, [10, 14, 2])
    XCTAssertEqual(Array(events[1].body[0..<2]), [1, TrustReason.gap.rawValue])
    XCTAssertEqual([8, 16].map { events[1].word($0) }, [10, 14])
    XCTAssertEqual(builder.instruments.trustReason(5), .gap)
    XCTAssertEqual(builder.counters.lost, 5)
    builder.gap(first: 20, last: 20, reason: 3, receiveTime: 6, into: &batch)
    XCTAssertEqual(batch.events().map(\.kind), [.gap])
    XCTAssertEqual(batch.events()[0].header.flags, EventFlags.stale | EventFlags.last)
    XCTAssertEqual(builder.counters.lost, 6)
    XCTAssertEqual(builder.counters.gaps, 2)
    // Under a stale channel nothing turns stale any more.
    XCTAssertEqual(builder.applied(21, TestMessage.delete(9, locate: 4)), [])
    // A range the wrong way round counts as one message and does not trap.
    builder.gap(first: .max, last: 0, reason: 200, receiveTime: 6, into: &batch)
    XCTAssertEqual(builder.counters.lost, 7)
  }

  func testEndOfSessionCarriesTheCounts() {
    var builder = makeBuilder()
    var batch = EventBatch()
    _ = builder.applied(1, TestMessage.add(1))
    _ = builder.applied(2, TestMessage.delete(9))
    builder.gap(first: 3, last: 4, reason: 1, receiveTime: 0, into: &batch)
    builder.endOfSession(next: 5, receiveTime: 0, into: &batch)
    let events = batch.events()
    XCTAssertEqual(events.map(\.kind), [.endOfSession])
    XCTAssertEqual(events[0].header.sequence, 5)
    XCTAssertEqual(events[0].header.flags, EventFlags.stale | EventFlags.last)
    XCTAssertEqual([0, 8].map { events[0].word($0) }, [1, 2])
  }
}
