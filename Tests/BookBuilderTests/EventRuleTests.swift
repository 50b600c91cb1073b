import BookBuilder
import OrderBook
import StageRecords
import XCTest

/// Which events each message makes, field by field (docs/DIGESTS.md has the table).
final class EventRuleTests: XCTestCase {
  private func makeBuilder(
    orders: Int = 100, levels: Int = 100, instruments: Int = 10
  ) -> BookBuilder {
    BookBuilder(capacity: BookCapacity(orders: orders, levels: levels, instruments: instruments), channel: 4)
  }

  private func check(
    _ events: [TestEvent], _ kinds: [BookEventKind], flags: UInt8 = 0, file: StaticString = #filePath,
    line: UInt = #line
  ) {
    XCTAssertEqual(events.map(\.kind), kinds, file: file, line: line)
    for (index, event) in events.enumerated() {
      XCTAssertEqual(Int(event.header.index), index, file: file, line: line)
      XCTAssertEqual(event.header.channel, 4, file: file, line: line)
      XCTAssertEqual(event.header.receiveTime, 5, file: file, line: line)
      let isLast = event.header.flags & EventFlags.last != 0
      XCTAssertEqual(isLast, index == events.count - 1, "last flag of \(index)", file: file, line: line)
      let hasSide = event.kind != .bestPrices && event.kind != .trust
      XCTAssertEqual(
        event.header.flags & ~EventFlags.last & ~EventFlags.replace & ~EventFlags.nonPrintable,
        hasSide ? flags : flags & ~EventFlags.sell, "flags of \(index)", file: file, line: line)
    }
  }

  func testAddMakesOrderLevelAndBestPrices() {
    var builder = makeBuilder()
    let events = builder.applied(9, TestMessage.add(77, side: "S", shares: 300, price: 12_345, timestamp: 42))
    check(events, [.orderAdd, .level, .bestPrices], flags: EventFlags.sell)
    XCTAssertEqual(events[0].header.sequence, 9)
    XCTAssertEqual(events[0].header.venueTime, 42)
    XCTAssertEqual(events[0].header.instrument, 1)
    XCTAssertEqual([0, 8, 16].map { events[0].word($0) }, [77, 12_345, 300])
    XCTAssertEqual([0, 8, 16].map { events[1].word($0) }, [12_345, 300, 1])
    XCTAssertEqual([0, 8, 16, 24].map { events[2].word($0) }, [0, 0, 12_345, 300])
    // Behind the best: no best prices. An attributed add is an add.
    let behind = builder.applied(10, TestMessage.add(78, side: "S", price: 12_346, attributed: true))
    check(behind, [.orderAdd, .level], flags: EventFlags.sell)
    // At the best: its size changes.
    check(
      builder.applied(11, TestMessage.add(79, side: "S", price: 12_345)), [.orderAdd, .level, .bestPrices],
      flags: EventFlags.sell)
  }

  func testCancelAndDelete() {
    var builder = makeBuilder()
    _ = builder.applied(1, TestMessage.add(1, shares: 100))
    var events = builder.applied(2, TestMessage.cancel(1, shares: 30))
    check(events, [.orderReduce, .level, .bestPrices])
    XCTAssertEqual([0, 8, 16].map { events[0].word($0) }, [1, 70, 30])
    XCTAssertEqual([0, 8, 16].map { events[1].word($0) }, [10_000, 70, 1])
    events = builder.applied(3, TestMessage.cancel(1, shares: 70))
    check(events, [.orderReduce, .level, .bestPrices])
    XCTAssertEqual([0, 8, 16].map { events[0].word($0) }, [1, 0, 70])
    XCTAssertEqual([0, 8, 16].map { events[1].word($0) }, [10_000, 0, 0])
    XCTAssertEqual([0, 8, 16, 24].map { events[2].word($0) }, [0, 0, 0, 0])
    _ = builder.applied(4, TestMessage.add(2, shares: 100))
    events = builder.applied(5, TestMessage.delete(2))
    check(events, [.orderDelete, .level, .bestPrices])
    XCTAssertEqual([0, 8, 16].map { events[0].word($0) }, [2, 10_000, 100])
    XCTAssertEqual(builder.books.orderCount, 0)
  }

  func testExecutions() {
    var builder = makeBuilder()
    _ = builder.applied(1, TestMessage.add(1, side: "S", shares: 100))
    var events = builder.applied(2, TestMessage.execute(1, shares: 40, match: 99))
    check(events, [.orderExecute, .level, .bestPrices], flags: EventFlags.sell)
    XCTAssertEqual([0, 8, 16, 24, 32].map { events[0].word($0) }, [1, 10_000, 40, 60, 99])
    events = builder.applied(
      3, TestMessage.executeAtPrice(1, shares: 10, price: 9_999, printable: "Y"))
    XCTAssertEqual([8, 16, 24, 32].map { events[0].word($0) }, [9_999, 10, 50, 8])
    XCTAssertEqual(events[0].header.flags & EventFlags.nonPrintable, 0)
    events = builder.applied(
      4, TestMessage.executeAtPrice(1, shares: 50, price: 9_998, printable: "N"))
    check(events, [.orderExecute, .level, .bestPrices], flags: EventFlags.sell)
    XCTAssertEqual([8, 16, 24].map { events[0].word($0) }, [9_998, 50, 0])
    XCTAssertEqual(
      events.map { $0.header.flags & EventFlags.nonPrintable }, [EventFlags.nonPrintable, 0, 0])
    XCTAssertEqual(builder.books.orderCount, 0)
  }

  func testReplaceToAnotherLevel() {
    var builder = makeBuilder()
    _ = builder.applied(1, TestMessage.add(1, shares: 100))
    let events = builder.applied(2, TestMessage.replace(1, with: 2, shares: 50, price: 9_000))
    check(events, [.orderDelete, .orderAdd, .level, .level, .bestPrices])
    XCTAssertEqual(
      events.map { $0.header.flags & EventFlags.replace },
      [EventFlags.replace, EventFlags.replace, 0, 0, 0])
    XCTAssertEqual([0, 8, 16].map { events[0].word($0) }, [1, 10_000, 100])
    XCTAssertEqual([0, 8, 16].map { events[1].word($0) }, [2, 9_000, 50])
    XCTAssertEqual([0, 8, 16].map { events[2].word($0) }, [10_000, 0, 0])
    XCTAssertEqual([0, 8, 16].map { events[3].word($0) }, [9_000, 50, 1])
    XCTAssertEqual([0, 8, 16, 24].map { events[4].word($0) }, [9_000, 50, 0, 0])
  }

  func testReplaceWithinItsLevel() {
    var builder = makeBuilder()
    _ = builder.applied(1, TestMessage.add(1, side: "S", shares: 100))
    _ = builder.applied(2, TestMessage.add(2, side: "S", shares: 10))
    let events = builder.applied(3, TestMessage.replace(1, with: 3, shares: 60, price: 10_000))
    check(events, [.orderDelete, .orderAdd, .level, .bestPrices], flags: EventFlags.sell)
    XCTAssertEqual([0, 8, 16].map { events[2].word($0) }, [10_000, 70, 2])
    // Nothing changes but the order's identity and place in the queue.
    check(
      builder.applied(4, TestMessage.replace(2, with: 4, shares: 10, price: 10_000)),
      [.orderDelete, .orderAdd, .level], flags: EventFlags.sell)
    var queue: [UInt64] = []
    builder.books.forEachOrder(instrument: 1, side: .ask, price: 10_000) { queue.append($0.reference) }
    XCTAssertEqual(queue, [3, 4])
  }

  func testDefinitionAndTradingState() {
    var builder = makeBuilder()
    var events = builder.applied(1, TestMessage.directory(locate: 7, symbol: "AAPL"))
    check(events, [.definition])
    XCTAssertEqual(events[0].header.instrument, 7)
    XCTAssertEqual(
      events[0].body,
      Array("AAPL    ".utf8) + [100, 0, 0, 0] + Array("QNCP1N".utf8) + [0, 0, 0, 0, 0, 0])
    XCTAssertEqual(builder.instruments.symbol(7), "AAPL")
    XCTAssertEqual(builder.instruments.instrument(symbol: "AAPL"), 7)
    XCTAssertNil(builder.instruments.instrument(symbol: "AAP"))
    var action = MessageBytes("H", locate: 7)
    action.put("AAPL", width: 8)
    action.put("H T1", width: 6)
    events = builder.applied(2, action.bytes)
    check(events, [.tradingState])
    XCTAssertEqual(events[0].body, Array("HH".utf8) + [0, 0] + Array("T1  ".utf8))
    var halt = MessageBytes("h", locate: 7)
    halt.put("AAPL", width: 8)
    halt.put("BT", width: 2)
    events = builder.applied(3, halt.bytes)
    check(events, [.tradingState])
    XCTAssertEqual(events[0].body, Array("hTB".utf8) + [0, 0, 0, 0, 0])
  }

  /// What was said last stays readable: the state of the whole market, and the markets that are halted.
  func testTradingStatus() {
    var replicated = ReplicatedBuilder()
    func action(_ letters: String) -> [UInt8] {
      var message = MessageBytes("H", locate: 7)
      message.put("AAPL", width: 8)
      message.put(letters, width: 6)
      return message.bytes
    }
    func halt(_ letters: String) -> [UInt8] {
      var message = MessageBytes("h", locate: 7)
      message.put("AAPL", width: 8)
      message.put(letters, width: 2)
      return message.bytes
    }
    XCTAssertEqual(replicated.builder.instruments.tradingStatus(7), TradingStatus())
    replicated.apply(1, action("H T1"))
    replicated.apply(2, halt("QH"))
    replicated.apply(3, halt("XH"))
    var status = replicated.builder.instruments.tradingStatus(7)
    XCTAssertEqual([status.state, status.haltedMarkets], [0x48, 0b101])
    XCTAssertEqual(withUnsafeBytes(of: status.reason) { Array($0) }, Array("T1  ".utf8))
    replicated.apply(4, action("T"))
    replicated.apply(5, halt("QT"))
    status = replicated.builder.instruments.tradingStatus(7)
    XCTAssertEqual([status.state, status.haltedMarkets], [0x54, 0b100])
    XCTAssertEqual(status.reason, 0x2020_2020)
    XCTAssertEqual(replicated.builder.instruments.tradingStatus(6), TradingStatus())
    XCTAssertNil(replicated.difference())
  }

  func testTrades() {
    var builder = makeBuilder()
    var trade = MessageBytes("P", locate: 1)
    trade.put(UInt64(0))
    trade.put("B", width: 1)
    trade.put(UInt32(500))
    trade.put("TEST1", width: 8)
    trade.put(UInt32(123_400))
    trade.put(UInt64(55))
    var events = builder.applied(1, trade.bytes)
    check(events, [.trade])
    XCTAssertEqual([0, 8, 16].map { events[0].word($0) }, [123_400, 500, 55])
    XCTAssertEqual(Array(events[0].body[24...]), [0x50, 1, 0, 0, 0, 0, 0, 0])
    var cross = MessageBytes("Q", locate: 1)
    cross.put(UInt64(1) << 40)
    cross.put("TEST1", width: 8)
    cross.put(UInt32(123_500))
    cross.put(UInt64(56))
    cross.put("O", width: 1)
    events = builder.applied(2, cross.bytes)
    check(events, [.trade])
    XCTAssertEqual([0, 8, 16].map { events[0].word($0) }, [123_500, 1 << 40, 56])
    XCTAssertEqual(events[0].body[24], 0x4F)
    var broken = MessageBytes("B", locate: 1)
    broken.put(UInt64(55))
    events = builder.applied(3, broken.bytes)
    check(events, [.tradeBroken])
    XCTAssertEqual(events[0].word(0), 55)
  }

  /// Every other type is passed on whole, behind its letter.
  func testNoticesCarryTheMessage() {
    let lengths: [Character: Int] = [
      "S": 12, "Y": 20, "L": 26, "V": 35, "W": 12, "K": 28, "J": 35, "I": 50, "N": 20, "O": 48,
    ]
    var builder = makeBuilder()
    for (letter, length) in lengths {
      let head = MessageBytes(letter, locate: 3).bytes
      let rest = (0..<length - 11).map { UInt8($0 + 1) }
      let events = builder.applied(1, head + rest)
      check(events, [.notice])
      XCTAssertEqual(events[0].header.instrument, 3)
      XCTAssertEqual(events[0].body, [letter.asciiValue ?? 0] + [0, 0, 0, 0, 0, 0, 0] + rest, "\(letter)")
    }
    XCTAssertEqual(builder.counters.applied, 10)
  }

  func testCrossedAndLockedAreLegalAndCounted() {
    var builder = makeBuilder()
    _ = builder.applied(1, TestMessage.add(1, side: "B", price: 10_000))
    _ = builder.applied(2, TestMessage.add(2, side: "S", price: 10_000))
    XCTAssertEqual(builder.counters.locked, 1)
    _ = builder.applied(3, TestMessage.add(3, side: "S", price: 9_999))
    XCTAssertEqual(builder.counters.crossed, 1)
    XCTAssertEqual(builder.counters.locked, 1)
    XCTAssertEqual(builder.counters.rejected, 0)
    XCTAssertEqual(builder.instruments.staleCount, 0)
  }
}
