import OrderBook
import XCTest

/// Orders without a number of their own.
final class OrderIdentitiesTests: XCTestCase {
  /// Random lives beside a dictionary, in a table that is often full and whose stamps often meet.
  func testAgainstADictionary() {
    for seed in 1...4 as ClosedRange<UInt64> {
      var generator = SeededGenerator(seed: seed)
      var identities = OrderIdentities(capacity: 40)
      var naive: [OrderIdentity: UInt64] = [:]
      var newest: UInt64 = 0
      for operation in 0..<40_000 {
        let identity = OrderIdentity(
          instrument: UInt32.random(in: 0...2, using: &generator),
          side: Bool.random(using: &generator) ? .bid : .ask,
          price: [-5, 0, .min, .max].randomElement(using: &generator) ?? 0,
          priority: [0, 1, 7, .max].randomElement(using: &generator) ?? 0)
        let text = "seed \(seed), operation \(operation)"
        switch Int.random(in: 0..<200, using: &generator) {
        case 0:
          identities.removeAll(instrument: identity.instrument)
          naive = naive.filter { $0.key.instrument != identity.instrument }
        case 1..<110:
          let expected: Result<UInt64, BookRejection>
          if naive[identity] != nil {
            expected = .failure(.duplicateReference)
          } else if naive.count == 40 {
            expected = .failure(.ordersFull)
          } else {
            newest += 1
            naive[identity] = newest
            expected = .success(newest)
          }
          XCTAssertEqual(identities.insert(identity), expected, text)
        default: XCTAssertEqual(identities.remove(identity), naive.removeValue(forKey: identity), text)
        }
        XCTAssertEqual(identities.count, naive.count, text)
        XCTAssertEqual(identities.reference(of: identity), naive[identity], text)
        if operation % 500 == 0 {
          for (identity, reference) in naive {
            XCTAssertEqual(identities.reference(of: identity), reference, text)
          }
        }
      }
      XCTAssertGreaterThan(newest, 1_000)
    }
  }

  /// EOBI's book messages over the same books: add, modify with and without its place, executions, delete, mass delete.
  func testALifeInEOBIsTerms() {
    var books = OrderBooks(capacity: BookCapacity(orders: 16, levels: 16, instruments: 4))
    var identities = OrderIdentities(capacity: 16)
    func identity(_ price: Int64, _ priority: UInt64, _ side: BookSide = .bid) -> OrderIdentity {
      OrderIdentity(instrument: 2, side: side, price: price, priority: priority)
    }
    func add(_ order: OrderIdentity, _ quantity: UInt64) {
      guard case .success(let reference) = identities.insert(order) else { return XCTFail("\(order)") }
      let outcome = books.add(
        instrument: 2, side: order.side, reference: reference, price: order.price, quantity: quantity)
      guard case .changed = outcome else { return XCTFail("\(outcome)") }
    }
    func queue(_ price: Int64, _ side: BookSide = .bid) -> [UInt64] {
      var quantities: [UInt64] = []
      books.forEachOrder(instrument: 2, side: side, price: price) { quantities.append($0.quantity) }
      return quantities
    }
    // One stamp at two prices and on two sides: three orders.
    add(identity(100, 5), 10)
    add(identity(101, 5), 20)
    add(identity(100, 5, .ask), 30)
    add(identity(100, 6), 40)
    XCTAssertEqual(queue(100), [10, 40])
    // OrderModify: another place. OrderModifySamePrio: another quantity in its place.
    guard let moved = identities.remove(identity(100, 5)),
      case .success(let new) = identities.insert(identity(100, 9))
    else { return XCTFail("modify") }
    guard
      case .replaced = books.replace(instrument: 2, reference: moved, with: new, price: 100, quantity: 11)
    else { return XCTFail("modify") }
    XCTAssertEqual(queue(100), [40, 11])
    guard let kept = identities.reference(of: identity(100, 6)) else { return XCTFail("same priority") }
    _ = books.reduce(instrument: 2, reference: kept, by: 5)
    XCTAssertEqual(queue(100), [35, 11])
    // PartialOrderExecution, FullOrderExecution.
    _ = books.execute(instrument: 2, reference: new, quantity: 1)
    XCTAssertEqual(queue(100), [35, 10])
    guard let gone = identities.remove(identity(101, 5)) else { return XCTFail("full execution") }
    _ = books.execute(instrument: 2, reference: gone, quantity: 20)
    XCTAssertEqual(books.bestLevel(instrument: 2, side: .bid)?.price, 100)
    // OrderMassDelete.
    books.removeAll(instrument: 2)
    identities.removeAll(instrument: 2)
    XCTAssertEqual(books.orderCount + identities.count, 0)
    XCTAssertNil(books.checkInvariants())
  }
}
