import BookBuilder
import FeedSim
import FeedWire
import OrderBook
import StageRecords
import StreamDigest
import XCTest

/// An image in the place of lost messages: the books are those of the whole day behind it, whatever was lost.
final class MarketImageTests: XCTestCase {
  private static let capacity = BookCapacity(orders: 20_000, levels: 20_000, instruments: 64)
  private static let messages = 20_000

  private func day(_ seed: UInt64 = 5) throws -> MessageStore {
    try MessageStore(
      generating: DayGenerator(
        DayConfiguration(seed: seed, messages: UInt64(Self.messages), instruments: 40, plateau: 2_000)))
  }

  /// The messages of the image of everything up to `last`.
  private func image(_ last: Int, _ store: borrowing MessageStore) throws -> [[UInt8]] {
    var market = MarketImage()
    market.advance(to: last, store: store)
    market.beginImage()
    var image = MessageStore()
    XCTAssertTrue(try market.write(to: &image, sequence: UInt64(last) + 1, limit: .max, store: store))
    return (0..<(image.count - 1)).map { Array(image.message(at: $0)) }
  }

  /// A builder, a replica of its events, and what was told.
  private struct Run: ~Copyable {
    var builder = BookBuilder(capacity: MarketImageTests.capacity, channel: 1, takesImages: true)
    var replica = BookReplica(capacity: MarketImageTests.capacity)
    var loader = MarketImageLoader(orders: MarketImageTests.capacity.orders, instruments: 64)
    var events = EventBatch()
    var imageEvents = EventBatch(capacityCells: MarketImageLoader.eventCells)
    var mismatches: [ReplicaMismatch] = []
    var sequences: [UInt64] = []
    var digest = StreamDigest()

    mutating func apply(_ range: Range<Int>, _ store: borrowing MessageStore) {
      for index in range {
        builder.apply(
          sequence: UInt64(index) + 1, receiveTime: 0, message: store.message(at: index), into: &events)
        takeEvents()
      }
    }

    /// The events of a batch, out of it: what is borrowed cannot be handed to what it belongs to.
    private static func copies(_ batch: borrowing EventBatch) -> [(kind: UInt8, bytes: [UInt8])] {
      var copies: [(kind: UInt8, bytes: [UInt8])] = []
      batch.forEach { copies.append(($0, Array($1))) }
      return copies
    }

    mutating func takeEvents() { take(Self.copies(events)) }

    private mutating func take(_ copies: [(kind: UInt8, bytes: [UInt8])]) {
      for (kind, bytes) in copies {
        bytes.withUnsafeBytes { event in
          digest.update(kind: kind, event: event)
          if case .mismatch(let mismatch) = replica.apply(kind: kind, event: event) {
            mismatches.append(mismatch)
          }
        }
      }
      guard let last = copies.last else { return }
      sequences.append(last.bytes.withUnsafeBytes { BookEventHeader(from: $0.baseAddress!).sequence })
    }

    mutating func load(_ messages: [[UInt8]], first: UInt64) {
      loader.begin(first: first)
      for (index, message) in messages.enumerated() {
        message.withUnsafeBytes { loader.add(first: first, number: UInt64(index) + 1, $0) }
      }
    }

    mutating func use(first: UInt64, last: UInt64, count: Int) -> Bool {
      guard builder.beginImage(&loader, first: first, last: last, count: UInt64(count)) else { return false }
      while builder.nextImageEvents(&loader, receiveTime: 0, into: &imageEvents) != nil {
        take(Self.copies(imageEvents))
      }
      return true
    }
  }

  private func wholeDay(_ store: borrowing MessageStore) -> UInt64 {
    var run = Run()
    run.apply(0..<store.count, store)
    return run.builder.books.contentDigest()
  }

  func testTheBooksAreExactBehindAnImageOfAnyRange() throws {
    for (seed, first, last) in [
      (5, 1, 9_000), (6, 5_000, 5_000), (7, 5_000, 5_001), (8, 8_000, 15_000), (9, 1, 20_000),
    ] {
      let store = try day(UInt64(seed))
      let messages = try image(last, store)
      var run = Run()
      run.apply(0..<(first - 1), store)
      run.load(messages, first: UInt64(first))
      XCTAssertTrue(run.use(first: UInt64(first), last: UInt64(last), count: messages.count))
      XCTAssertEqual(run.builder.instruments.trustState(0), .live)
      run.apply(last..<store.count, store)
      let note = "seed \(seed), \(first)...\(last)"
      XCTAssertEqual(run.builder.books.contentDigest(), wholeDay(store), note)
      XCTAssertEqual(run.builder.counters.rejected, 0, note)
      XCTAssertEqual(run.mismatches, [], note)
      XCTAssertEqual(run.replica.books.contentDigest(), run.builder.books.contentDigest(), note)
      XCTAssertEqual(run.replica.instruments.trustState(7), .live, note)
      XCTAssertEqual(run.sequences, run.sequences.sorted(), note)
      XCTAssertEqual(run.sequences.count, Set(run.sequences).count, "\(note): one batch under each number")
      let told = run.sequences.filter { (UInt64(first)...UInt64(last)).contains($0) }
      XCTAssertTrue(told.contains(UInt64(first)) && told.contains(UInt64(last)), note)
    }
  }

  /// Nothing that the books know already is told again.
  func testAnImageOfWhatIsKnownChangesNothing() throws {
    let store = try day()
    let messages = try image(10_000, store)
    var run = Run()
    run.apply(0..<9_999, store)
    // The last one is an execution, a trade, or whatever it is: at most it is told twice over.
    run.load(messages, first: 10_000)
    let before = run.builder.counters.events
    XCTAssertTrue(run.use(first: 10_000, last: 10_000, count: messages.count))
    // Gap, stale, live, and what one message can change.
    XCTAssertLessThanOrEqual(run.builder.counters.events - before, 3 + 6)
  }

  /// The same books and image make the same events.
  func testTheEventsAreAFunctionOfBooksAndImage() throws {
    let store = try day()
    let messages = try image(12_000, store)
    var digests: Set<UInt64> = []
    for isSuspected in [false, true] {
      var run = Run()
      run.apply(0..<4_000, store)
      if isSuspected {
        run.builder.suspect(first: 4_001, last: 4_005, receiveTime: 0, into: &run.events)
        XCTAssertEqual(run.builder.instruments.trustState(3), .stale)
      }
      run.load(messages, first: 4_001)
      XCTAssertTrue(run.use(first: 4_001, last: 12_000, count: messages.count))
      digests.insert(run.digest.value)
    }
    XCTAssertEqual(digests.count, 1, "what was said while it was fetched makes no difference")
  }

  /// A builder that lost its books takes more changes under each number.
  func testAnImageHealsBooksThatKnowNothing() throws {
    let store = try day()
    let messages = try image(12_000, store)
    var run = Run()
    run.builder.gap(first: 1, last: 11_990, reason: 5, receiveTime: 0, into: &run.events)
    run.takeEvents()
    run.load(messages, first: 11_991)
    XCTAssertTrue(run.use(first: 11_991, last: 12_000, count: messages.count))
    run.apply(12_000..<store.count, store)
    XCTAssertEqual(run.builder.books.contentDigest(), wholeDay(store))
    XCTAssertEqual(run.mismatches, [])
    XCTAssertEqual(run.builder.instruments.trustState(0), .live)
  }

  func testAnImageThatIsNotWholeIsNotUsed() throws {
    let store = try day()
    let messages = try image(12_000, store)
    func attempt(_ spoil: (inout Run) -> Void) -> Bool {
      var run = Run()
      run.apply(0..<4_000, store)
      run.load(messages, first: 4_001)
      spoil(&run)
      let digest = run.builder.books.contentDigest()
      let isUsed = run.use(first: 4_001, last: 12_000, count: messages.count)
      if !isUsed { XCTAssertEqual(run.builder.books.contentDigest(), digest, "nothing has changed") }
      return isUsed
    }
    XCTAssertTrue(attempt { _ in })
    XCTAssertFalse(attempt { $0.loader.abandon() }, "another record came between")
    XCTAssertFalse(attempt { $0.load(Array(messages.dropLast()), first: 4_001) }, "the end is missing")
    XCTAssertFalse(attempt { $0.load(messages, first: 4_002) }, "for another range")
    XCTAssertFalse(
      attempt { run in
        run.load([], first: 4_001)
        for (index, message) in messages.enumerated() where index != 50 {
          message.withUnsafeBytes { run.loader.add(first: 4_001, number: UInt64(index) + 1, $0) }
        }
      }, "a record was lost")
    XCTAssertFalse(
      attempt { run in
        run.load(messages + [messages[messages.count - 1]], first: 4_001)
      }, "an order came twice")
    XCTAssertFalse(
      attempt { run in
        run.load(messages, first: 4_001)
        [UInt8](repeating: 0x44, count: 19).withUnsafeBytes {
          run.loader.add(first: 4_001, number: UInt64(messages.count) + 1, $0)
        }
      }, "a deletion is no state")
  }

  /// What there is no room for costs the instruments concerned their books; all others are exact, and live.
  func testWhatDoesNotFitIsNotTrusted() throws {
    let store = try day()
    let messages = try image(12_000, store)
    var run = Run()
    run.builder = BookBuilder(
      capacity: BookCapacity(orders: 100, levels: 20_000, instruments: 64), channel: 1, takesImages: true)
    run.load(messages, first: 1)
    XCTAssertTrue(run.use(first: 1, last: 12_000, count: messages.count))
    XCTAssertGreaterThan(run.builder.counters.rejected(.ordersFull), 0)
    XCTAssertEqual(run.builder.instruments.trustState(0), .live)
    var whole = Run()
    whole.apply(0..<12_000, store)
    func orders(_ books: borrowing OrderBooks, _ instrument: UInt32) -> [BookOrder] {
      var orders: [BookOrder] = []
      books.forEachOrder(instrument: instrument) { order, _ in orders.append(order) }
      return orders
    }
    var quarantined = 0
    for instrument in 1..<64 as Range<UInt32> {
      if run.builder.instruments.isQuarantined(instrument) {
        quarantined += 1
        XCTAssertEqual(orders(run.builder.books, instrument), [], "\(instrument)")
        XCTAssertTrue(run.builder.books.isClosed(instrument: instrument), "\(instrument)")
      } else {
        XCTAssertEqual(
          orders(run.builder.books, instrument), orders(whole.builder.books, instrument), "\(instrument)")
        XCTAssertEqual(run.builder.instruments.trustState(instrument), .live, "\(instrument)")
      }
    }
    XCTAssertGreaterThan(quarantined, 10)
    XCTAssertEqual(run.builder.instruments.staleCount, quarantined)
    XCTAssertEqual(run.mismatches, [])
    XCTAssertEqual(run.replica.books.contentDigest(), run.builder.books.contentDigest())
    XCTAssertEqual(run.replica.instruments.staleCount, quarantined)
  }

  /// The lines had the messages after all: the channel is what it was, and so is each instrument.
  func testTrustComesBackWhenNothingWasLost() throws {
    let store = try day()
    var run = Run()
    run.apply(0..<4_000, store)
    TestMessage.delete(999_999_999, locate: 3).withUnsafeBytes {
      run.builder.apply(sequence: 4_001, receiveTime: 0, message: $0, into: &run.events)
    }
    run.takeEvents()
    run.builder.suspect(first: 4_002, last: 4_003, receiveTime: 0, into: &run.events)
    XCTAssertEqual(run.events.eventCount, 1)
    XCTAssertEqual(run.builder.instruments.trustState(5), .stale)
    run.builder.trustAgain(next: 4_002, receiveTime: 0, into: &run.events)
    XCTAssertEqual(run.events.eventCount, 1)
    XCTAssertEqual(run.builder.instruments.trustState(5), .live)
    XCTAssertEqual(run.builder.instruments.trustState(3), .stale, "it is so by itself")
    run.builder.trustAgain(next: 4_002, receiveTime: 0, into: &run.events)
    XCTAssertEqual(run.events.eventCount, 0, "once")
  }

  /// An instrument in quarantine has an empty book; the image fills it.
  func testAnImageEndsAQuarantine() throws {
    let store = try day()
    let messages = try image(12_000, store)
    var run = Run()
    run.builder = BookBuilder(capacity: Self.capacity, channel: 1, policy: .quarantine, takesImages: true)
    run.apply(0..<4_000, store)
    TestMessage.delete(999_999_999, locate: 3).withUnsafeBytes {
      run.builder.apply(sequence: 4_001, receiveTime: 0, message: $0, into: &run.events)
    }
    run.takeEvents()
    XCTAssertTrue(run.builder.instruments.isQuarantined(3))
    run.load(messages, first: 4_002)
    XCTAssertTrue(run.use(first: 4_002, last: 12_000, count: messages.count))
    XCTAssertEqual(run.builder.instruments.trustState(3), .live)
    run.apply(12_000..<store.count, store)
    XCTAssertEqual(run.mismatches, [])
    XCTAssertEqual(run.builder.books.contentDigest(), wholeDay(store))
    XCTAssertEqual(run.replica.books.contentDigest(), run.builder.books.contentDigest())
  }

  // MARK: A state written in the midst of it

  private func written(_ run: borrowing Run) -> [UInt8] {
    var bytes: [UInt8] = []
    let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 8)
    defer { chunk.deallocate() }
    let position = BookPosition(session: MoldUDP64Session(leading: 1, trailing: 1), nextSequence: 4_001)
    run.builder.writeImage(at: position, through: chunk) { bytes.append(contentsOf: $0) }
    return bytes
  }

  private func restore(_ image: [UInt8], takesImages: Bool = true) throws -> Run {
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: image.count, alignment: 8)
    defer { bytes.deallocate() }
    bytes.copyBytes(from: image)
    var run = Run()
    run.builder = try BookBuilder.restored(
      from: UnsafeRawBufferPointer(bytes), capacity: Self.capacity, takesImages: takesImages)
    return run
  }

  /// Books that were written and read back make of an image what the others make of it, and of messages where it is given up:
  /// nothing that was known is told again, and what is in doubt stays so.
  func testAStateThatWasWrittenTakesAnImageAsItWouldHave() throws {
    let store = try day()
    let messages = try image(12_000, store)
    for isSuspected in [false, true] {
      for isGivenUp in [false, true] where isSuspected || !isGivenUp {
        let note = "suspected \(isSuspected), given up \(isGivenUp)"
        var first = Run()
        first.apply(0..<4_000, store)
        if isSuspected {
          first.builder.suspect(first: 4_001, last: 4_005, receiveTime: 0, into: &first.events)
        }
        let bytes = written(first)
        var second = try restore(bytes)
        XCTAssertEqual(second.builder.isSuspected, isSuspected, note)
        XCTAssertEqual(written(second), bytes, note)
        first.digest = StreamDigest()
        func carryOn(_ run: inout Run) {
          if isGivenUp {
            run.builder.trustAgain(next: 4_001, receiveTime: 0, into: &run.events)
            XCTAssertEqual(run.events.eventCount, 1, note)
            run.apply(4_000..<store.count, store)
          } else {
            run.load(messages, first: 4_001)
            XCTAssertTrue(run.use(first: 4_001, last: 12_000, count: messages.count), note)
            run.apply(12_000..<store.count, store)
          }
        }
        carryOn(&first)
        carryOn(&second)
        XCTAssertEqual(second.digest.value, first.digest.value, note)
        XCTAssertEqual(second.builder.books.contentDigest(), wholeDay(store), note)
        XCTAssertEqual(second.builder.instruments.trustState(3), .live, note)
        XCTAssertEqual(written(second), written(first), note)
      }
    }
  }

  /// What was said of the instruments cannot be made up.
  func testAStateWithoutStatementsIsRefused() throws {
    let store = try day()
    var run = Run()
    run.builder = BookBuilder(capacity: Self.capacity, channel: 1)
    run.apply(0..<4_000, store)
    let bytes = written(run)
    XCTAssertThrowsError(written(try restore(bytes))) {
      XCTAssertEqual($0 as? BookImageError, .withoutStatements)
    }
    XCTAssertEqual(written(try restore(bytes, takesImages: false)), bytes)
    // The other way they are left out.
    var other = Run()
    other.apply(0..<4_000, store)
    XCTAssertNotEqual(written(other), bytes)
    XCTAssertEqual(written(try restore(written(other), takesImages: false)), bytes)
  }

  /// An image beside a full table: the instrument that has no room stays in quarantine, said so behind the channel's turning live;
  /// all others are live and exact.
  func testAnImageBesideAFullTable() {
    var builder = BookBuilder(
      capacity: BookCapacity(orders: 3, levels: 20, instruments: 10), channel: 1, takesImages: true)
    var replica = BookReplica(capacity: BookCapacity(orders: 3, levels: 20, instruments: 10))
    var loader = MarketImageLoader(orders: 10, instruments: 10)
    var events = EventBatch(capacityCells: MarketImageLoader.eventCells)
    var batch = EventBatch()
    var mismatches: [ReplicaMismatch] = []
    func follow(_ batch: borrowing EventBatch, _ replica: inout BookReplica) {
      var copies: [(UInt8, [UInt8])] = []
      batch.forEach { copies.append(($0, Array($1))) }
      for (kind, bytes) in copies {
        if case .mismatch(let mismatch) = bytes.withUnsafeBytes({ replica.apply(kind: kind, event: $0) }) {
          mismatches.append(mismatch)
        }
      }
    }
    let orders = [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3)].map {
      TestMessage.add(UInt64($0.0), locate: UInt16($0.1))
    }
    for (index, message) in orders.enumerated() {
      message.withUnsafeBytes {
        builder.apply(sequence: UInt64(index) + 1, receiveTime: 0, message: $0, into: &batch)
      }
      follow(batch, &replica)
    }
    XCTAssertTrue(builder.instruments.isQuarantined(2), "the fourth order has no room")
    loader.begin(first: 6)
    for (index, message) in orders.enumerated() {
      message.withUnsafeBytes { loader.add(first: 6, number: UInt64(index) + 1, $0) }
    }
    XCTAssertTrue(builder.beginImage(&loader, first: 6, last: 7, count: 5))
    while builder.nextImageEvents(&loader, receiveTime: 0, into: &events) != nil { follow(events, &replica) }
    XCTAssertEqual(builder.instruments.trustState(0), .live)
    XCTAssertTrue(builder.instruments.isQuarantined(2))
    XCTAssertTrue(builder.books.isClosed(instrument: 2))
    XCTAssertEqual(builder.instruments.quarantinedCount, 1)
    XCTAssertEqual(builder.books.orderCount, 3)
    XCTAssertEqual(mismatches, [])
    XCTAssertTrue(replica.instruments.isQuarantined(2))
    XCTAssertEqual(replica.instruments.staleCount, 1)
    XCTAssertEqual(replica.books.contentDigest(), builder.books.contentDigest())
  }
}
