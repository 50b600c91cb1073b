import BookBuilder
import FeedWire
import OrderBook
import StageRecords
import XCTest

/// Books that the stream brings for instruments in quarantine: the orders of an image that is older than the stream, and what the
/// stream has said since.
final class RecoveryTests: XCTestCase {
  /// One instrument's book on its way: as of `image`, told behind a later message.
  private struct Pending {
    let instrument: UInt32
    let image: UInt64
    let due: UInt64
    let orders: [[UInt8]]
  }

  private static func orders(_ books: borrowing OrderBooks, _ instrument: UInt32) -> [[UInt8]] {
    var orders: [[UInt8]] = []
    books.forEachOrder(instrument: instrument) { order, _ in
      orders.append(
        TestMessage.add(
          order.reference, locate: UInt16(instrument), side: order.side == .bid ? "B" : "S",
          shares: UInt32(order.quantity), price: UInt32(order.price)))
    }
    return orders
  }

  private static func locate(_ message: [UInt8]) -> UInt32 { UInt32(message[1]) << 8 | UInt32(message[2]) }

  /// A recovery as the stream says it: messages with number 0 are the image's.
  private func load(
    _ loader: inout RecoveryLoader, next: UInt64, instrument: UInt32,
    _ messages: [(sequence: UInt64, bytes: [UInt8])]
  ) {
    loader.begin(next: next, instrument: UInt64(instrument))
    for (sequence, bytes) in messages {
      bytes.withUnsafeBytes { loader.add(next: next, sequence: sequence, $0) }
    }
  }

  /// Random days with wrong messages, or in tables that are too small, beside a builder that has room for everything and loses no
  /// book: recovered books are its books at that message, and stay so; the replica follows; a table that is full stays so for the
  /// instrument, and nothing of the attempt is left.
  func testBooksOfTheStreamAreExact() {
    for (seed, orders, wrongEvery) in [(1, 4_000, 150), (2, 4_000, 40), (3, 230, 0), (4, 200, 300)] {
      let note = "seed \(seed)"
      var day = RandomDayTests.Day(seed: UInt64(seed), instruments: 9, wrongEvery: 0)
      let capacity = BookCapacity(orders: orders, levels: 4_000, instruments: 10)
      var run = ReplicatedBuilder(capacity: capacity)
      run.builder = BookBuilder(capacity: capacity, channel: 3, policy: .quarantine)
      var whole = BookBuilder(
        capacity: BookCapacity(orders: 4_000, levels: 4_000, instruments: 10), channel: 3)
      var loader = RecoveryLoader()
      var events = EventBatch(capacityCells: RecoveryLoader.eventCells)
      var messages: [[UInt8]] = [[]]
      var pending: [Pending] = []
      var (made, full) = (0, 0)
      for sequence in 1...6_000 as ClosedRange<UInt64> {
        // An order that nobody has: no book is other for it.
        let message =
          wrongEvery > 0 && sequence % UInt64(wrongEvery) == 0
          ? TestMessage.delete(7, locate: UInt16(1 + sequence / UInt64(wrongEvery) % 9)) : day.next()
        messages.append(message)
        run.apply(sequence, message)
        _ = whole.applied(sequence, message)
        for instrument in 1...9 as ClosedRange<UInt32>
        where sequence % 7 == 0 && run.builder.instruments.isQuarantined(instrument)
          && !pending.contains(where: { $0.instrument == instrument })
        {
          pending.append(
            Pending(
              instrument: instrument, image: sequence, due: sequence + sequence % 60,
              orders: Self.orders(whole.books, instrument)))
        }
        for one in pending where one.due <= sequence {
          let since = (one.image + 1..<max(sequence, one.image) + 1).map { ($0, messages[Int($0)]) }
            .filter { Self.locate($0.1) == one.instrument }
          // A wrong message in between is refused with all of it.
          let isWrong = wrongEvery > 0 && since.contains { $0.0 % UInt64(wrongEvery) == 0 }
          load(
            &loader, next: sequence + 1, instrument: one.instrument,
            one.orders.map { (0, $0) } + since.map { (sequence: $0.0, bytes: $0.1) })
          let refusal = run.builder.recover(
            &loader, next: sequence + 1, instrument: UInt64(one.instrument),
            count: UInt64(one.orders.count + since.count), receiveTime: 0, into: &events)
          if let refusal {
            XCTAssertEqual(events.eventCount, 0, note)
            XCTAssertTrue(run.builder.instruments.isQuarantined(one.instrument), note)
            XCTAssertEqual(Self.orders(run.builder.books, one.instrument), [], note)
            if case .order(_, .ordersFull) = refusal {
              full += 1
            } else {
              XCTAssertTrue(isWrong, "\(note), sequence \(sequence): \(refusal)")
            }
          } else {
            made += 1
            XCTAssertEqual(
              Self.orders(run.builder.books, one.instrument), Self.orders(whole.books, one.instrument),
              "\(note), sequence \(sequence)")
            XCTAssertEqual(run.builder.instruments.trustState(one.instrument), .live, note)
            run.forward(events, sequence)
          }
        }
        pending.removeAll { $0.due <= sequence }
        if sequence % 500 == 0 {
          for instrument in 1...9 as ClosedRange<UInt32>
          where !run.builder.instruments.isQuarantined(instrument) {
            XCTAssertEqual(
              Self.orders(run.builder.books, instrument), Self.orders(whole.books, instrument),
              "\(note), instrument \(instrument) behind \(sequence)")
          }
          XCTAssertEqual(run.difference(), nil, "\(note), sequence \(sequence)")
          XCTAssertNil(run.builder.books.checkInvariants(), note)
        }
      }
      XCTAssertGreaterThan(made, 3, note)
      if orders < 4_000 { XCTAssertGreaterThan(full, 0, note) }
    }
  }

  /// What is not a whole recovery of one instrument in quarantine changes nothing, wherever it is broken off.
  func testWhatIsNotWholeChangesNothing() {
    var builder = BookBuilder(
      capacity: BookCapacity(orders: 100, levels: 100, instruments: 10), channel: 4, policy: .quarantine,
      takesImages: true)
    var loader = RecoveryLoader()
    var events = EventBatch(capacityCells: RecoveryLoader.eventCells)
    let add = TestMessage.add(5, locate: 1)
    func recover(
      _ messages: [(sequence: UInt64, bytes: [UInt8])], next: UInt64 = 3, instrument: UInt32 = 1,
      count: Int? = nil, endNext: UInt64 = 3, endInstrument: UInt64 = 1
    ) -> RecoveryRefusal? {
      load(&loader, next: next, instrument: instrument, messages)
      return builder.recover(
        &loader, next: endNext, instrument: endInstrument, count: UInt64(count ?? messages.count),
        receiveTime: 0, into: &events)
    }
    _ = builder.applied(1, TestMessage.add(1, locate: 2))
    XCTAssertEqual(recover([(0, add)]), .notQuarantined)
    _ = builder.applied(2, TestMessage.delete(9, locate: 1))
    XCTAssertEqual(builder.instruments.quarantinedCount, 1)
    let content = builder.books.contentDigest()
    var trade = MessageBytes("B", locate: 1)
    trade.put(UInt64(77))
    let wrong: [(String, RecoveryRefusal?)] = [
      ("count", recover([(0, add)], count: 2)),
      ("number", recover([(0, add)], endNext: 4)),
      ("instrument at the end", recover([(0, add)], endInstrument: 2)),
      ("another instrument's order", recover([(0, add), (0, TestMessage.add(6, locate: 2))])),
      ("a deletion in the image", recover([(0, add), (0, TestMessage.delete(5, locate: 1))])),
      ("no message about an order", recover([(0, add), (3, trade.bytes)])),
      ("a short message", recover([(0, Array(add.dropLast()))])),
      ("an empty message", recover([(0, [])])),
      ("no instrument", recover([(0, add)], instrument: 0, endInstrument: 0)),
    ]
    for (what, refusal) in wrong { XCTAssertEqual(refusal, .notWhole, what) }
    XCTAssertEqual(recover([(0, add), (0, add)]), .order(1, .duplicateReference))
    XCTAssertEqual(recover([(0, add), (2, TestMessage.delete(6, locate: 1))]), .order(1, .unknownReference))
    XCTAssertEqual(recover([(0, TestMessage.add(5, locate: 1, side: "Q"))]), .message(0))
    // While everything is in doubt, and behind the notice of that, nothing can be said.
    builder.suspect(first: 3, last: 3, receiveTime: 0, into: &events)
    XCTAssertEqual(recover([(0, add)]), .outOfPlace)
    builder.trustAgain(next: 3, receiveTime: 0, into: &events)
    XCTAssertEqual(recover([(0, add)]), .outOfPlace)
    XCTAssertEqual(builder.books.contentDigest(), content)
    XCTAssertTrue(builder.instruments.isQuarantined(1))
    XCTAssertNil(builder.books.checkInvariants())
    _ = builder.applied(3, TestMessage.add(2, locate: 2))
    // Two behind one message: their indices go on.
    _ = builder.applied(4, TestMessage.delete(9, locate: 3))
    XCTAssertNil(recover([(0, add)], next: 5, endNext: 5))
    XCTAssertEqual(events.events().map(\.header.index), [0x8000, 0x8001, 0x8002, 0x8003])
    XCTAssertEqual(Set(events.events().map(\.header.sequence)), [4])
    XCTAssertNil(recover([], next: 5, instrument: 3, endNext: 5, endInstrument: 3))
    XCTAssertEqual(events.events().map(\.header.index), [0x8004])
    XCTAssertEqual(events.events().map(\.kind), [.trust])
    XCTAssertEqual(builder.instruments.staleCount, 0)
  }

  /// Books that were written and read back behind a notice are the same as those that go on: no recovery can stand there, but one can
  /// behind the next event.
  func testBooksThatWereReadBackKnowOfTheNotice() throws {
    var builder = BookBuilder(
      capacity: BookCapacity(orders: 100, levels: 100, instruments: 10), channel: 4, policy: .quarantine,
      takesImages: true)
    var events = EventBatch()
    _ = builder.applied(1, TestMessage.delete(9, locate: 1))
    builder.suspect(first: 2, last: 2, receiveTime: 0, into: &events)
    builder.trustAgain(next: 2, receiveTime: 0, into: &events)
    let position = BookPosition(
      session: MoldUDP64Session(leading: 0, trailing: 0), nextSequence: 2,
      newestEvent: EventIdentity(sequence: 1, index: 0))
    var image: [UInt8] = []
    let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 12, alignment: 8)
    defer { chunk.deallocate() }
    builder.writeImage(at: position, through: chunk) { image += $0 }
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: image.count, alignment: 8)
    defer { bytes.deallocate() }
    bytes.copyBytes(from: image)
    var restored = try BookBuilder.restored(from: UnsafeRawBufferPointer(bytes), rules: builder.rules)
    XCTAssertNil(builder.recoveryPlace)
    XCTAssertNil(restored.recoveryPlace)
    _ = restored.applied(2, TestMessage.add(1, locate: 2))
    XCTAssertEqual(restored.recoveryPlace, EventIdentity(sequence: 2, index: 0x8000))
  }

  /// More orders than there are indices for: the instrument stays where it is.
  func testABookThatCannotBeToldStaysInQuarantine() {
    var builder = BookBuilder(
      capacity: BookCapacity(orders: 40_000, levels: 100, instruments: 10), channel: 4, policy: .quarantine)
    var loader = RecoveryLoader()
    var events = EventBatch(capacityCells: RecoveryLoader.eventCells)
    _ = builder.applied(1, TestMessage.delete(9, locate: 1))
    for (count, isTold) in [(32_509, false), (32_508, true)] {
      load(
        &loader, next: 2, instrument: 1,
        (1...count).map { (0, TestMessage.add(UInt64($0), locate: 1, price: 10)) })
      let refusal = builder.recover(
        &loader, next: 2, instrument: 1, count: UInt64(count), receiveTime: 0, into: &events)
      XCTAssertEqual(refusal == nil, isTold, "\(count): \(String(describing: refusal))")
      XCTAssertEqual(builder.books.orderCount, isTold ? count : 0)
    }
  }
}
