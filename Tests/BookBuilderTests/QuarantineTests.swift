import BookBuilder
import OrderBook
import StageRecords
import XCTest

/// Instruments whose books are given up and come back, and what the others see of it: nothing.
final class QuarantineTests: XCTestCase {
  private func makeBuilder(orders: Int = 100, policy: ErrorPolicy) -> BookBuilder {
    BookBuilder(
      capacity: BookCapacity(orders: orders, levels: 100, instruments: 10), channel: 4, policy: policy)
  }

  func testAFullTableQuarantinesWhateverThePolicy() {
    for policy in ErrorPolicy.allCases {
      var builder = makeBuilder(orders: 2, policy: policy)
      _ = builder.applied(1, TestMessage.add(1, locate: 1))
      _ = builder.applied(2, TestMessage.add(2, locate: 2))
      let events = builder.applied(3, TestMessage.add(3, locate: 1))
      XCTAssertEqual(events.map(\.kind), [.trust])
      XCTAssertEqual(events[0].header.flags, EventFlags.stale | EventFlags.last)
      XCTAssertEqual(
        Array(events[0].body[0..<8]),
        [TrustState.stale.rawValue, TrustReason.capacity.rawValue, 1, 0, 0, 0, 0, 0])
      XCTAssertTrue(builder.instruments.isQuarantined(1))
      XCTAssertEqual(builder.instruments.trustReason(1), .capacity)
      XCTAssertEqual(builder.instruments.quarantinedCount, 1)
      // Its room is the others'.
      XCTAssertEqual(builder.books.orderCount, 1)
      XCTAssertEqual(builder.applied(4, TestMessage.add(4, locate: 2)).count, 3)
      // Its orders are nobody's: withheld, not rejected, and no event.
      XCTAssertEqual(builder.applied(5, TestMessage.delete(1, locate: 1)), [])
      XCTAssertEqual(builder.applied(6, TestMessage.add(5, locate: 1)), [])
      XCTAssertEqual(builder.counters.withheld, 2)
      XCTAssertEqual(builder.counters.rejected, 1)
      // What does not depend on its book goes on, flagged.
      var trade = MessageBytes("B", locate: 1)
      trade.put(UInt64(77))
      let broken = builder.applied(7, trade.bytes)
      XCTAssertEqual(broken.map(\.kind), [.tradeBroken])
      XCTAssertEqual(broken[0].header.flags, EventFlags.stale | EventFlags.last)
      XCTAssertNil(builder.books.checkInvariants())
    }
  }

  func testThePolicyDecidesAboutWrongMessages() {
    for policy in ErrorPolicy.allCases {
      var builder = makeBuilder(policy: policy)
      _ = builder.applied(1, TestMessage.add(1, locate: 1))
      _ = builder.applied(2, TestMessage.add(2, locate: 2))
      XCTAssertNil(builder.failure)
      let events = builder.applied(3, TestMessage.delete(2, locate: 1))
      XCTAssertEqual(events.map(\.kind), [.trust, .trust])
      XCTAssertEqual(events.map(\.header.instrument), [2, 1])
      XCTAssertEqual(events.map { $0.body[2] }, policy == .quarantine ? [1, 1] : [0, 0])
      XCTAssertEqual(builder.books.orderCount, policy == .quarantine ? 0 : 2)
      XCTAssertEqual(
        builder.failure, BuilderFailure(sequence: 3, instrument: 1, reason: .wrongInstrument))
      _ = builder.applied(4, TestMessage.delete(9, locate: 3))
      XCTAssertEqual(builder.failure?.sequence, 3, "the first one stays")
    }
  }

  /// What is missing explains wrong messages; a full table is still one.
  func testUnderAStaleChannelOnlyAFullTableQuarantines() {
    var builder = makeBuilder(orders: 2, policy: .quarantine)
    var batch = EventBatch()
    _ = builder.applied(1, TestMessage.add(1, locate: 1))
    builder.gap(first: 2, last: 3, reason: 2, receiveTime: 0, into: &batch)
    XCTAssertEqual(builder.applied(4, TestMessage.delete(9, locate: 1)), [])
    XCTAssertFalse(builder.instruments.isQuarantined(1))
    XCTAssertEqual(builder.books.orderCount, 1)
    _ = builder.applied(5, TestMessage.add(2, locate: 1))
    let events = builder.applied(6, TestMessage.add(3, locate: 1))
    XCTAssertEqual(events.map(\.kind), [.trust])
    XCTAssertTrue(builder.instruments.isQuarantined(1))
    XCTAssertEqual(builder.books.orderCount, 0)
  }

  func testRefusedRecoveriesChangeNothing() {
    var builder = makeBuilder(orders: 3, policy: .quarantine)
    var batch = EventBatch(capacityCells: 16)
    _ = builder.applied(1, TestMessage.add(1, locate: 2))
    func order(_ reference: UInt64, instrument: UInt32 = 1, price: Int64 = 5) -> BookOrder {
      BookOrder(reference: reference, instrument: instrument, side: .bid, price: price, quantity: 1)
    }
    func recover(_ orders: [BookOrder], _ batch: inout EventBatch) -> RecoveryRefusal? {
      orders.withUnsafeBufferPointer {
        builder.recover(instrument: 1, orders: $0, behind: 2, receiveTime: 0, into: &batch)
      }
    }
    XCTAssertEqual(recover([], &batch), .notQuarantined)
    _ = builder.applied(2, TestMessage.delete(9, locate: 1))
    let content = builder.books.contentDigest()
    XCTAssertEqual(recover([order(5), order(6, instrument: 2)], &batch), .otherInstrument(1))
    XCTAssertEqual(recover([order(5), order(1)], &batch), .order(1, .duplicateReference))
    XCTAssertEqual(recover([order(5), order(6), order(7)], &batch), .order(2, .ordersFull))
    var small = EventBatch(capacityCells: 5)
    XCTAssertEqual(recover([order(5), order(6, price: 6)], &small), .tooManyOrders(limit: 2))
    XCTAssertEqual(batch.eventCount + small.eventCount, 0)
    XCTAssertTrue(builder.instruments.isQuarantined(1))
    XCTAssertEqual(builder.books.contentDigest(), content)
    XCTAssertNil(builder.books.checkInvariants())
    XCTAssertNil(recover([order(5), order(6)], &batch))
    XCTAssertEqual(batch.events().map(\.kind), [.orderAdd, .orderAdd, .level, .bestPrices, .trust])
    XCTAssertEqual(batch.events().map(\.header.index), [0x8000, 0x8001, 0x8002, 0x8003, 0x8004])
    XCTAssertEqual(builder.instruments.trustState(1), .live)
  }

  /// Random days in tables that are too small, beside a builder with room for everything: whatever is live equals its book
  /// there, after every batch of messages; quarantined instruments come back with the book that it has; the replica follows.
  func testLiveBooksAreExactAndQuarantinedOnesComeBack() {
    var recoveries = 0
    for seed in 81...83 as ClosedRange<UInt64> {
      var day = RandomDayTests.Day(seed: seed, instruments: 12, wrongEvery: 0)
      var small = ReplicatedBuilder(capacity: BookCapacity(orders: 260, levels: 230, instruments: 13))
      var whole = BookBuilder(
        capacity: BookCapacity(orders: 4_000, levels: 4_000, instruments: 13), channel: 3)
      var large = EventBatch(capacityCells: 4_000)
      for sequence in 1...8_000 as ClosedRange<UInt64> {
        let message = day.next()
        small.apply(sequence, message)
        _ = whole.applied(sequence, message)
        guard sequence % 200 == 0 else { continue }
        for instrument in 1...12 as ClosedRange<UInt32> {
          var orders: [BookOrder] = []
          var held: [BookOrder] = []
          whole.books.forEachOrder(instrument: instrument) { order, _ in orders.append(order) }
          small.builder.books.forEachOrder(instrument: instrument) { order, _ in held.append(order) }
          let isQuarantined = small.builder.instruments.isQuarantined(instrument)
          if held != (isQuarantined ? [] : orders) {
            return XCTFail("seed \(seed), sequence \(sequence): the book of \(instrument) differs")
          }
          guard isQuarantined else { continue }
          let newest = small.replica.lastIdentity
          // Behind the newest event, or behind the recovery that is there already.
          let index = max(BookEventHeader.recoveryIndex, (newest?.index ?? 0) + 1)
          let behind = newest?.sequence ?? sequence
          let refusal = orders.withUnsafeBufferPointer {
            small.builder.recover(
              instrument: instrument, orders: $0, behind: behind, index: index, receiveTime: 0, into: &large)
          }
          guard refusal == nil else { continue }
          recoveries += 1
          small.forward(large, behind)
        }
        if let difference = small.difference() {
          return XCTFail("seed \(seed), sequence \(sequence): \(difference)")
        }
      }
      XCTAssertGreaterThan(small.builder.counters.withheld, 100, "seed \(seed)")
      XCTAssertEqual(small.builder.counters.rejected(.unknownReference), 0, "seed \(seed)")
    }
    XCTAssertGreaterThan(recoveries, 10)
  }
}
