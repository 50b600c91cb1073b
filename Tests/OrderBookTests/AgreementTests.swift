import OrderBook
import XCTest

/// The books against ``NaiveBooks``: equal outcomes and equal content after every operation of seeded
/// random lives of orders, 340,000 in all. A failure names scenario, seed and operation.
final class AgreementTests: XCTestCase {
  struct Scenario {
    var name: String
    var seed: UInt64
    var operations: Int
    var capacity = BookCapacity(orders: 4_000, levels: 3_000, instruments: 8)
    var instruments: UInt32 = 4
    /// About so many orders live.
    var liveTarget: Int
    /// Percent of the operations on live orders that are replaces, and that are reductions.
    var replacePercent = 15
    var reducePercent = 20
    var price: (inout SeededGenerator, BookSide) -> Int64
    var quantity: (inout SeededGenerator) -> UInt64 = { UInt64.random(in: 1...1_000, using: &$0) }
  }

  func testMixedLife() {
    run(
      Scenario(
        name: "mixed", seed: 1, operations: 120_000, liveTarget: 120,
        price: { generator, side in
          let distance = Int64.random(in: 1...25, using: &generator)
          return 100_000 + (side == .bid ? -distance : distance) * 100
        }))
  }

  func testAllAtOnePrice() {
    run(
      Scenario(
        name: "one price", seed: 2, operations: 30_000, instruments: 1, liveTarget: 60,
        price: { _, _ in 10_000 }))
  }

  func testDeepBooks() {
    run(
      Scenario(
        name: "deep", seed: 3, operations: 30_000, instruments: 1, liveTarget: 900, reducePercent: 5,
        price: { generator, _ in Int64.random(in: 1...1_000_000, using: &generator) }))
  }

  func testReplaceChains() {
    run(
      Scenario(
        name: "replace chains", seed: 4, operations: 60_000, instruments: 2, liveTarget: 30,
        replacePercent: 90, reducePercent: 5,
        price: { generator, _ in Int64.random(in: 990...1_010, using: &generator) }))
  }

  func testFarPricesAndHugeQuantities() {
    let prices: [Int64] = [.min, .min + 1, -1, 0, 1, .max - 1, .max]
    let quantities: [UInt64] = [1, 2, 1 << 32, 1 << 62, 1 << 63, .max - 1, .max]
    run(
      Scenario(
        name: "far prices", seed: 5, operations: 40_000, instruments: 3, liveTarget: 40,
        price: { generator, _ in prices.randomElement(using: &generator) ?? 0 },
        quantity: { generator in quantities.randomElement(using: &generator) ?? 1 }))
  }

  func testFullTables() {
    run(
      Scenario(
        name: "full tables", seed: 6, operations: 60_000,
        capacity: BookCapacity(orders: 40, levels: 24, instruments: 3), instruments: 3, liveTarget: 60,
        replacePercent: 40,
        price: { generator, _ in Int64.random(in: 1...20, using: &generator) }))
  }

  // MARK: - Driver

  private func run(_ scenario: Scenario) {
    var generator = SeededGenerator(seed: scenario.seed)
    var books = OrderBooks(capacity: scenario.capacity)
    var naive = NaiveBooks(capacity: scenario.capacity)
    var live: [UInt64] = []
    var nextReference: UInt64 = 0  // 0 is a reference like any other
    for operation in 0..<scenario.operations {
      let isLast = operation == scenario.operations - 1
      let touched = step(scenario, &generator, &books, &naive, &live, &nextReference)
      var problem = touched.problem ?? difference(books, naive, touched)
      if problem == nil, operation % 500 == 0 || isLast {
        problem = books.checkInvariants() ?? fullDifference(books, naive, scenario)
      }
      if let problem {
        return XCTFail(
          "\(scenario.name), seed \(scenario.seed), operation \(operation): \(problem)\n\(touched.text)")
      }
    }
    XCTAssertGreaterThan(naive.orders.count, 0, scenario.name)
  }

  private struct Touched {
    var instrument: UInt32
    var references: [UInt64]
    var prices: [Int64]
    var text: String
    var problem: String?
  }

  private func step(
    _ scenario: Scenario, _ generator: inout SeededGenerator, _ books: inout OrderBooks,
    _ naive: inout NaiveBooks, _ live: inout [UInt64], _ nextReference: inout UInt64
  ) -> Touched {
    let isAdd = live.isEmpty || Int.random(in: 0..<scenario.liveTarget * 2, using: &generator) >= live.count
    let isWrong = Int.random(in: 0..<20, using: &generator) == 0
    let side: BookSide = Bool.random(using: &generator) ? .bid : .ask
    let price = scenario.price(&generator, side)
    let quantity =
      isWrong && Bool.random(using: &generator) ? 0 : scenario.quantity(&generator)
    if isAdd {
      nextReference += UInt64.random(in: 1...9, using: &generator)
      let wrongInstrument = UInt32.random(in: 0...UInt32.max, using: &generator)
      let instrument =
        isWrong && Bool.random(using: &generator)
        ? wrongInstrument : UInt32.random(in: 0..<scenario.instruments, using: &generator)
      let reference =
        isWrong ? live.randomElement(using: &generator) ?? nextReference : nextReference
      let text = "add \(instrument) \(side) \(reference) \(price) \(quantity)"
      let got = books.add(
        instrument: instrument, side: side, reference: reference, price: price, quantity: quantity)
      let wanted = naive.add(
        instrument: instrument, side: side, reference: reference, price: price, quantity: quantity)
      if case .changed = wanted { live.append(reference) }
      return Touched(
        instrument: instrument, references: [reference], prices: [price], text: text,
        problem: got == wanted ? nil : "\(got) instead of \(wanted)")
    }
    let index = Int.random(in: 0..<live.count, using: &generator)
    var reference = live[index]
    let order = naive.orders[reference]
    var instrument = order?.instrument ?? 0
    if isWrong {
      switch Int.random(in: 0..<3, using: &generator) {
      case 0: reference = nextReference + 1
      case 1: instrument = UInt32.random(in: 0...UInt32.max, using: &generator)
      default: break
      }
    }
    let choice = Int.random(in: 0..<100, using: &generator)
    if choice < scenario.replacePercent {
      nextReference += UInt64.random(in: 1...9, using: &generator)
      let newReference = isWrong ? live.randomElement(using: &generator) ?? reference : nextReference
      let newPrice = Int.random(in: 0..<4, using: &generator) == 0 ? order?.price ?? price : price
      let text = "replace \(instrument) \(reference) by \(newReference) \(newPrice) \(quantity)"
      let got = books.replace(
        instrument: instrument, reference: reference, with: newReference, price: newPrice,
        quantity: quantity)
      let wanted = naive.replace(
        instrument: instrument, reference: reference, with: newReference, price: newPrice,
        quantity: quantity)
      if case .replaced = wanted { live[index] = newReference }
      return Touched(
        instrument: instrument, references: [reference, newReference],
        prices: [newPrice, order?.price ?? newPrice], text: text,
        problem: got == wanted ? nil : "\(got) instead of \(wanted)")
    }
    let text: String
    let got: BookOutcome
    let wanted: BookOutcome
    if choice < scenario.replacePercent + scenario.reducePercent {
      let left = order?.quantity ?? 1
      let part = isWrong ? left &+ 1 : UInt64.random(in: 1...left, using: &generator)
      text = "reduce \(instrument) \(reference) by \(part)"
      got =
        Bool.random(using: &generator)
        ? books.reduce(instrument: instrument, reference: reference, by: part)
        : books.execute(instrument: instrument, reference: reference, quantity: part)
      wanted = naive.reduce(instrument: instrument, reference: reference, by: part)
    } else {
      text = "delete \(instrument) \(reference)"
      got = books.delete(instrument: instrument, reference: reference)
      wanted = naive.delete(instrument: instrument, reference: reference)
    }
    if case .changed(let change) = wanted, change.remaining == 0 {
      live[index] = live[live.count - 1]
      live.removeLast()
    }
    return Touched(
      instrument: instrument, references: [reference], prices: [order?.price ?? 0], text: text,
      problem: got == wanted ? nil : "\(got) instead of \(wanted)")
  }

  // MARK: - Comparison

  /// Everything near what an operation touched.
  private func difference(
    _ books: borrowing OrderBooks, _ naive: NaiveBooks, _ touched: Touched
  ) -> String? {
    if books.orderCount != naive.orders.count {
      return "\(books.orderCount) orders instead of \(naive.orders.count)"
    }
    for reference in touched.references {
      let got = books.order(reference: reference)
      let wanted = naive.orders[reference]
      if got != wanted {
        return "order \(reference): \(String(describing: got)) instead of \(String(describing: wanted))"
      }
    }
    guard touched.instrument < naive.capacity.instruments else { return nil }
    let best = books.bestPrices(instrument: touched.instrument)
    if best != naive.bestPrices(touched.instrument) {
      return "\(best) instead of \(naive.bestPrices(touched.instrument))"
    }
    for side in BookSide.allCases {
      let key = NaiveBooks.Side(instrument: touched.instrument, side: side)
      if let problem = difference(books, naive, key, limit: 5) { return problem }
      for price in touched.prices {
        var queue: [BookOrder] = []
        books.forEachOrder(instrument: touched.instrument, side: side, price: price) { queue.append($0) }
        if queue != naive.queue(key, price) { return "queue at \(price) differs" }
      }
    }
    return nil
  }

  private func difference(
    _ books: borrowing OrderBooks, _ naive: NaiveBooks, _ side: NaiveBooks.Side, limit: Int
  ) -> String? {
    var got: [BookLevel] = []
    books.forEachLevel(instrument: side.instrument, side: side.side, limit: limit) { got.append($0) }
    let wanted = naive.depth(side, limit: limit)
    return got == wanted ? nil : "\(side): \(got) instead of \(wanted)"
  }

  /// All books, all levels, all queues, by the canonical walk.
  private func fullDifference(
    _ books: borrowing OrderBooks, _ naive: NaiveBooks, _ scenario: Scenario
  ) -> String? {
    if books.levelCount != naive.levelCount { return "\(books.levelCount) levels, not \(naive.levelCount)" }
    var next = books.nextInstrument(from: 0)
    for instrument in 0..<UInt32(scenario.capacity.instruments) {
      var wanted: [BookOrder] = []
      var positions: [UInt64] = []
      for side in BookSide.allCases {
        let key = NaiveBooks.Side(instrument: instrument, side: side)
        let levels = naive.depth(key, limit: .max)
        if books.levelCount(instrument: instrument, side: side) != levels.count { return "level count" }
        if let problem = difference(books, naive, key, limit: .max) { return problem }
        for level in levels {
          let queue = naive.queue(key, level.price)
          wanted += queue
          positions += queue.indices.map { UInt64($0) }
        }
        let count = levels.reduce(0) { $0 + Int($1.orders) }
        if books.orderCount(instrument: instrument, side: side) != count { return "order count" }
      }
      if wanted.isEmpty != (next != instrument) { return "canonical walk visits \(String(describing: next))" }
      if !wanted.isEmpty { next = books.nextInstrument(from: instrument + 1) }
      var got: [BookOrder] = []
      var gotPositions: [UInt64] = []
      books.forEachOrder(instrument: instrument) {
        got.append($0)
        gotPositions.append($1)
      }
      if got != wanted || gotPositions != positions { return "canonical walk of \(instrument) differs" }
    }
    return nil
  }
}
