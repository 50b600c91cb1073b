@testable import OrderBook
import XCTest

final class BookSweepTests: XCTestCase {
  private func makeBooks() -> OrderBooks {
    var books = OrderBooks(capacity: BookCapacity(orders: 500, levels: 500, instruments: 6))
    for reference in 1...60 as ClosedRange<UInt64> {
      _ = books.add(
        instrument: UInt32(reference % 3 + 1), side: reference % 2 == 0 ? .bid : .ask, reference: reference,
        price: Int64(reference % 2 == 0 ? 100 : 200) + Int64(reference / 12), quantity: reference)
    }
    return books
  }

  private func sweepOnce(_ books: borrowing OrderBooks) -> BookSweep {
    var sweep = BookSweep()
    while sweep.rounds == 0 { sweep.step(books, budget: 7) }
    return sweep
  }

  /// Steps of any size between changes: everything is looked at, round after round, and nothing is found.
  func testHealthyBooksAreNeverAccused() {
    var books = OrderBooks(capacity: BookCapacity(orders: 500, levels: 500, instruments: 6))
    var generator = SeededGenerator(seed: 17)
    var sweep = BookSweep()
    var live: [UInt64] = []
    for reference in 1...20_000 as ClosedRange<UInt64> {
      let instrument = UInt32.random(in: 0..<6, using: &generator)
      let outcome = books.add(
        instrument: instrument, side: Bool.random(using: &generator) ? .bid : .ask, reference: reference,
        price: Int64.random(in: -8...8, using: &generator), quantity: 5)
      if case .changed = outcome { live.append(reference) }
      if live.count > 300 || (live.count > 3 && Bool.random(using: &generator)) {
        let old = live.remove(at: Int.random(in: 0..<live.count, using: &generator))
        guard let order = books.order(reference: old) else { return XCTFail("order \(old) is gone") }
        _ = books.delete(instrument: order.instrument, reference: old)
      }
      sweep.step(books, budget: Int.random(in: 1...20, using: &generator))
    }
    XCTAssertEqual(sweep.violations, 0, "\(String(describing: sweep.firstViolation))")
    XCTAssertGreaterThan(sweep.rounds, 500)
    XCTAssertGreaterThan(sweep.orders, 50_000)
    XCTAssertEqual(sweep.sides / 12, sweep.rounds)
    let whole = sweepOnce(books)
    XCTAssertEqual(Int(whole.levels), books.levelCount)
    XCTAssertGreaterThan(Int(whole.orders), 0)
  }

  func testEveryContradictionIsFoundWithItsInstrument() {
    func check(_ violation: BookViolation, _ damage: (inout OrderBooks) -> Void) {
      var books = makeBooks()
      XCTAssertEqual(sweepOnce(books).violations, 0)
      damage(&books)
      let sweep = sweepOnce(books)
      XCTAssertEqual(sweep.firstViolation, violation, violation.name)
      XCTAssertEqual(sweep.firstInstrument, 2, violation.name)
      XCTAssertNotNil(books.checkInvariants(), violation.name)
    }
    // Instrument 2's bids: side number 4.
    check(.levelOrder) { books in
      let array = books.levels.array(books.levels.side(4))
      (array.keys[0], array.keys[1]) = (array.keys[1], array.keys[0])
      (array.levels[0], array.levels[1]) = (array.levels[1], array.levels[0])
    }
    check(.cachedBest) { $0.levels.side(4).pointee.bestSize += 1 }
    check(.orderCount) { $0.levels.array($0.levels.side(4)).levels[1].orders += 1 }
    check(.levelSize) { $0.levels.array($0.levels.side(4)).levels[0].size -= 1 }
    check(.queueLinks) { books in
      let tail = books.levels.array(books.levels.side(4)).levels[1].tail
      books.orders[books.orders[tail].pointee.previous].pointee.next = 0
    }
    check(.queueLinks) { $0.levels.array($0.levels.side(4)).levels[1].tail = 5_000_000 }
    check(.orderPlace) { books in
      let tail = books.levels.array(books.levels.side(4)).levels[1].tail
      books.orders[tail].pointee.side = 5
    }
    check(.lookup) { books in
      let tail = books.levels.array(books.levels.side(4)).levels[1].tail
      books.orders[tail].pointee.reference += 1_000
    }
  }

  /// One level of many orders takes a step of its own, not more.
  func testALongQueueIsCutToTheBudget() {
    var books = OrderBooks(capacity: BookCapacity(orders: 500, levels: 5, instruments: 1))
    for reference in 1...400 as ClosedRange<UInt64> {
      _ = books.add(instrument: 0, side: .bid, reference: reference, price: 1, quantity: 1)
    }
    var sweep = BookSweep()
    sweep.step(books, budget: 50)
    XCTAssertEqual(sweep.orders, 50)
    XCTAssertEqual(sweep.violations, 0)
  }
}
