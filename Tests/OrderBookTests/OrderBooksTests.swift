import Foundation
import OrderBook
import XCTest

final class OrderBooksTests: XCTestCase {
  func testFullOrderTableRefusesAndChangesNothing() {
    var books = OrderBooks(capacity: BookCapacity(orders: 3, levels: 10, instruments: 1))
    for reference in 1...3 as ClosedRange<UInt64> {
      XCTAssertTrue(books.add(instrument: 0, side: .bid, reference: reference, price: 10, quantity: 5).isDone)
    }
    XCTAssertEqual(
      books.add(instrument: 0, side: .ask, reference: 4, price: 11, quantity: 5), .rejected(.ordersFull))
    XCTAssertEqual(books.orderCount, 3)
    XCTAssertEqual(books.levelCount, 1)
    XCTAssertNil(books.order(reference: 4))
    XCTAssertNil(books.checkInvariants())
    // A replace needs no room of its own, and a removal makes room.
    XCTAssertTrue(books.replace(instrument: 0, reference: 1, with: 5, price: 10, quantity: 1).isDone)
    XCTAssertTrue(books.delete(instrument: 0, reference: 2).isDone)
    XCTAssertTrue(books.add(instrument: 0, side: .ask, reference: 4, price: 11, quantity: 5).isDone)
    XCTAssertNil(books.checkInvariants())
  }

  /// A successor's memory: hardly any at first, all of it in the end, and what is in it stays.
  func testMemoryThatIsTakenAsNeeded() {
    let capacity = BookCapacity(orders: 1 << 20, levels: 1 << 16, instruments: 64)
    let before = Self.residentBytes()
    var books = OrderBooks(capacity: capacity, touch: .asNeeded)
    XCTAssertLessThan(Self.residentBytes() - before, capacity.memoryBytes / 4, "it was all taken at once")
    for reference in 1...500 as ClosedRange<UInt64> {
      XCTAssertTrue(
        books.add(
          instrument: UInt32(reference % 64), side: .bid, reference: reference &* 0x9E37_79B9_7F4A_7C15,
          price: Int64(reference % 7), quantity: reference
        ).isDone)
    }
    var steps = 1
    while books.touchMemory() { steps += 1 }
    let pieces = (capacity.memoryBytes + (2 << 20) - 1) / (2 << 20)
    XCTAssertEqual(steps, pieces - 1, "the first was taken at once")
    XCTAssertFalse(books.touchMemory())
    XCTAssertGreaterThan(Self.residentBytes() - before, capacity.memoryBytes * 9 / 10)
    for reference in 1...500 as ClosedRange<UInt64> {
      XCTAssertEqual(books.order(reference: reference &* 0x9E37_79B9_7F4A_7C15)?.quantity, reference)
    }
    XCTAssertNil(books.checkInvariants())
  }

  func testMemoryThatIsTakenAtOnce() {
    let capacity = BookCapacity(orders: 1 << 20, levels: 1 << 16, instruments: 64)
    let before = Self.residentBytes()
    var books = OrderBooks(capacity: capacity)
    XCTAssertGreaterThan(Self.residentBytes() - before, capacity.memoryBytes * 9 / 10)
    XCTAssertFalse(books.touchMemory())
  }

  private static func residentBytes() -> Int {
    let words = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?.split(separator: " ")
    return Int(words?[1] ?? "").map { $0 * 4096 } ?? 0
  }

  func testFullLevelsRefuseAndChangeNothing() {
    var books = OrderBooks(capacity: BookCapacity(orders: 10, levels: 2, instruments: 2))
    XCTAssertTrue(books.add(instrument: 0, side: .bid, reference: 1, price: 10, quantity: 5).isDone)
    XCTAssertTrue(books.add(instrument: 0, side: .bid, reference: 2, price: 10, quantity: 5).isDone)
    XCTAssertTrue(books.add(instrument: 1, side: .ask, reference: 3, price: 12, quantity: 5).isDone)
    XCTAssertEqual(
      books.add(instrument: 0, side: .bid, reference: 4, price: 11, quantity: 5), .rejected(.levelsFull))
    XCTAssertEqual(
      books.replace(instrument: 0, reference: 1, with: 5, price: 9, quantity: 5), .rejected(.levelsFull))
    XCTAssertEqual(books.order(reference: 1)?.price, 10)
    XCTAssertNil(books.order(reference: 5))
    // Alone in its level, an order may take the level with it.
    XCTAssertTrue(books.replace(instrument: 1, reference: 3, with: 6, price: 13, quantity: 5).isDone)
    XCTAssertEqual(books.levelCount, 2)
    XCTAssertNil(books.checkInvariants())
  }

  func testInstrumentOutOfRange() {
    var books = OrderBooks(capacity: BookCapacity(orders: 10, levels: 2, instruments: 2))
    for instrument: UInt32 in [2, 1 << 31, .max] {
      XCTAssertEqual(
        books.add(instrument: instrument, side: .ask, reference: 1, price: 1, quantity: 1),
        .rejected(.instrumentOutOfRange))
      XCTAssertEqual(books.bestPrices(instrument: instrument).bidSize, 0)
      XCTAssertNil(books.bestLevel(instrument: instrument, side: .bid))
      XCTAssertNil(books.level(instrument: instrument, side: .bid, price: 1))
      XCTAssertEqual(books.orderCount(instrument: instrument, side: .ask), 0)
      books.forEachOrder(instrument: instrument) { _, _ in XCTFail("an order of no instrument") }
      XCTAssertEqual(books.delete(instrument: instrument, reference: 1), .rejected(.unknownReference))
    }
    XCTAssertNil(books.level(instrument: 0, side: .bid, depth: -1))
    XCTAssertNil(books.level(instrument: 0, side: .bid, depth: .max))
  }

  /// A level's size never wraps; within one level a replace counts only what stays.
  func testSizesDoNotWrap() {
    var books = OrderBooks(capacity: BookCapacity(orders: 10, levels: 10, instruments: 1))
    XCTAssertTrue(books.add(instrument: 0, side: .bid, reference: 1, price: 10, quantity: .max).isDone)
    XCTAssertEqual(
      books.add(instrument: 0, side: .bid, reference: 2, price: 10, quantity: 1),
      .rejected(.quantityOutOfRange))
    XCTAssertTrue(books.replace(instrument: 0, reference: 1, with: 3, price: 10, quantity: .max).isDone)
    XCTAssertEqual(books.bestLevel(instrument: 0, side: .bid)?.size, .max)
    XCTAssertTrue(books.add(instrument: 0, side: .bid, reference: 4, price: 9, quantity: 1).isDone)
    XCTAssertEqual(
      books.replace(instrument: 0, reference: 4, with: 5, price: 10, quantity: 1),
      .rejected(.quantityOutOfRange))
    XCTAssertEqual(books.order(reference: 4)?.price, 9)
    XCTAssertNil(books.checkInvariants())
  }

  func testReplaceWithinItsLevelReportsTheBestPricesOnlyWhenTheyChange() {
    var books = OrderBooks(capacity: BookCapacity(orders: 10, levels: 10, instruments: 1))
    XCTAssertTrue(books.add(instrument: 0, side: .bid, reference: 1, price: 10, quantity: 5).isDone)
    guard
      case .replaced(let same) = books.replace(
        instrument: 0, reference: 1, with: 2, price: 10, quantity: 5)
    else { return XCTFail("refused") }
    XCTAssertFalse(same.bestChanged)
    XCTAssertEqual(same.newLevel, BookLevel(price: 10, size: 5, orders: 1))
    XCTAssertEqual(same.oldLevel, same.newLevel)
    guard
      case .replaced(let less) = books.replace(
        instrument: 0, reference: 2, with: 3, price: 10, quantity: 4)
    else { return XCTFail("refused") }
    XCTAssertTrue(less.bestChanged)
  }

  /// Sides that grow and shrink out of step leave holes that no large array fits in. A level is refused only
  /// when as many live as the capacity says, so the pool must be compacted: and it was.
  func testFragmentedLevelArraysAreCompacted() {
    let capacity = BookCapacity(orders: 5_000, levels: 2_000, instruments: 64)
    var books = OrderBooks(capacity: capacity)
    var generator = SeededGenerator(seed: 11)
    var reference: UInt64 = 0
    var live: [(instrument: UInt32, reference: UInt64)] = []
    for round in 0..<400 {
      let instrument = UInt32.random(in: 0..<64, using: &generator)
      let room = capacity.levels - books.levelCount
      for price in 0..<Int64.random(in: 1...Int64(max(1, min(room, 300))), using: &generator) {
        reference += 1
        let outcome = books.add(
          instrument: instrument, side: round % 2 == 0 ? .bid : .ask, reference: reference,
          price: price * 7 + Int64(round), quantity: 1)
        let isFull = outcome == .rejected(.levelsFull) && books.levelCount == capacity.levels
        XCTAssertTrue(outcome.isDone || isFull, "round \(round): \(outcome)")
        if outcome.isDone { live.append((instrument, reference)) }
      }
      live.shuffle(using: &generator)
      let leaving = Int.random(in: 0...live.count, using: &generator) * (round % 3) / 2
      for order in live.suffix(leaving) {
        XCTAssertTrue(books.delete(instrument: order.instrument, reference: order.reference).isDone)
      }
      live.removeLast(leaving)
      if let problem = books.checkInvariants() { return XCTFail("seed 11, round \(round): \(problem)") }
    }
    XCTAssertGreaterThan(books.compactionCount, 0)
  }

  /// A hundred thousand short lives in a small table: searches for references that are not there still end and
  /// the probe counts stay exact.
  func testOrderTableStaysExactUnderChurn() {
    var books = OrderBooks(capacity: BookCapacity(orders: 84, levels: 4, instruments: 1))
    var generator = SeededGenerator(seed: 12)
    var live: [UInt64] = []
    for round in 0..<100_000 {
      if live.count < 84, live.isEmpty || Bool.random(using: &generator) {
        let reference = UInt64.random(in: 0..<1_000, using: &generator)
        let outcome = books.add(instrument: 0, side: .bid, reference: reference, price: 1, quantity: 1)
        XCTAssertEqual(outcome.isDone, !live.contains(reference), "seed 12, round \(round)")
        if outcome.isDone { live.append(reference) }
      } else {
        let reference = live.remove(at: Int.random(in: 0..<live.count, using: &generator))
        XCTAssertTrue(books.delete(instrument: 0, reference: reference).isDone, "seed 12, round \(round)")
      }
      if round % 1_000 == 0, let problem = books.checkInvariants() {
        return XCTFail("round \(round): \(problem)")
      }
    }
  }

  /// One price, a full table, orders that die at the head, in the middle and at the tail: the queue stays in order and
  /// every slot comes back.
  func testQueuesStayInOrderUnderChurn() {
    var books = OrderBooks(capacity: BookCapacity(orders: 50, levels: 4, instruments: 1))
    var generator = SeededGenerator(seed: 13)
    var live: [UInt64] = []
    for round in 0..<60_000 as Range<UInt64> {
      if live.count == 50 || (live.count > 1 && Int.random(in: 0..<3, using: &generator) == 0) {
        // Mostly the oldest, now and then one from the middle, seldom the newest.
        let place = [0, 0, 0, live.count / 2, live.count - 1].randomElement(using: &generator) ?? 0
        XCTAssertTrue(books.delete(instrument: 0, reference: live.remove(at: place)).isDone, "round \(round)")
      }
      XCTAssertTrue(books.add(instrument: 0, side: .ask, reference: round, price: 7, quantity: 1).isDone)
      live.append(round)
      guard round % 500 == 0 else { continue }
      var queue: [UInt64] = []
      books.forEachOrder(instrument: 0, side: .ask, price: 7) { queue.append($0.reference) }
      if let problem = books.checkInvariants() { return XCTFail("seed 13, round \(round): \(problem)") }
      guard queue == live else { return XCTFail("seed 13, round \(round): \(queue) instead of \(live)") }
    }
  }

  /// References that all belong to one place of the index, as a hostile or sparse numbering may: every one is found,
  /// nothing else is, and a full table is full at the same number of orders.
  func testReferencesThatShareOnePlaceOfTheIndex() {
    let capacity = BookCapacity(orders: 300, levels: 4, instruments: 1)
    var books = OrderBooks(capacity: capacity)
    var generator = SeededGenerator(seed: 14)
    var live: [UInt64] = []
    for round in 0..<40_000 {
      let reference = UInt64.random(in: 0..<600, using: &generator) << 40
      if Bool.random(using: &generator) || live.isEmpty {
        let wanted: BookRejection? =
          live.contains(reference) ? .duplicateReference : live.count == 300 ? .ordersFull : nil
        let outcome = books.add(instrument: 0, side: .bid, reference: reference, price: 1, quantity: 1)
        if let wanted {
          XCTAssertEqual(outcome, .rejected(wanted), "seed 14, round \(round)")
        } else {
          XCTAssertTrue(outcome.isDone, "seed 14, round \(round): \(outcome)")
          live.append(reference)
        }
      } else {
        let gone = live.remove(at: Int.random(in: 0..<live.count, using: &generator))
        XCTAssertTrue(books.delete(instrument: 0, reference: gone).isDone, "seed 14, round \(round)")
        XCTAssertNil(books.order(reference: gone), "seed 14, round \(round)")
      }
      if round % 1_000 == 0, let problem = books.checkInvariants() {
        return XCTFail("seed 14, round \(round): \(problem)")
      }
    }
    for reference in live { XCTAssertEqual(books.order(reference: reference)?.reference, reference) }
  }

  /// After the start no operation touches a page for the first time. (That none allocates is checked by the compiler,
  /// and counted by `make bench-book`.)
  func testOperationsTouchNoNewPage() {
    var books = OrderBooks(capacity: BookCapacity(orders: 20_000, levels: 8_000, instruments: 64))
    var faults = 0
    // The first pass is for the stack and the code; those pages are not the books'.
    for pass in 0..<2 as Range<UInt64> {
      let faultsBefore = Self.faults()
      for number in 0..<60_000 as Range<UInt64> {
        let reference = number &* 7 &+ pass &* 1_000_000
        let instrument = UInt32(truncatingIfNeeded: number % 64)
        _ = books.add(
          instrument: instrument, side: .bid, reference: reference, price: Int64(number % 97), quantity: 10)
        if number > 10_000 {
          let old = reference &- 70_000
          let holder = UInt32(truncatingIfNeeded: (number &- 10_000) % 64)
          _ = books.reduce(instrument: holder, reference: old, by: 3)
          _ = books.replace(
            instrument: holder, reference: old, with: old &+ 1, price: Int64(number % 89), quantity: 5)
          _ = books.delete(instrument: holder, reference: old &+ 1)
        }
      }
      faults = Self.faults() - faultsBefore
    }
    XCTAssertGreaterThan(books.orderCount, 5_000)
    XCTAssertEqual(faults, 0)
  }

  /// Page faults of this thread.
  private static func faults() -> Int {
    var usage = rusage()
    getrusage(__rusage_who_t(1), &usage)  // RUSAGE_THREAD
    return usage.ru_minflt + usage.ru_majflt
  }

  func testCapacityProblemsAreNamed() {
    XCTAssertNil(BookCapacity().problem)
    XCTAssertEqual(
      BookCapacity(orders: 0).problem, "orders must be 1...\(BookCapacity.ordersMax), not 0")
    XCTAssertNotNil(BookCapacity(levels: -1).problem)
    XCTAssertNotNil(BookCapacity(instruments: 1 << 25).problem)
    XCTAssertGreaterThan(BookCapacity().memoryBytes, 2_000_000 * 32)
  }
}

extension BookOutcome {
  var isDone: Bool { if case .changed = self { true } else { false } }
}

extension ReplaceOutcome {
  var isDone: Bool { if case .replaced = self { true } else { false } }
}
