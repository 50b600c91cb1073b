import StageRecords
import XCTest

@testable import PublishWire
@testable import bulkhead
@testable import PublishLoop

final class WatchTests: XCTestCase {
  private func options(_ arguments: String...) throws -> WatchOptions {
    try WatchOptions.parse(arguments)
  }

  func testArguments() throws {
    let defaults = try options("AAPL")
    XCTAssertEqual(defaults.address?.port, 9443)
    XCTAssertEqual(defaults.address?.path, "/v1/stream")
    let all = try options("--url", "ws://md01:81/x", "AAPL", "--depth", "3", "--once", "--plain")
    XCTAssertEqual(all.symbol, "AAPL")
    XCTAssertEqual(all.address?.host, "md01")
    XCTAssertEqual(all.address?.port, 81)
    XCTAssertEqual(all.address?.path, "/x")
    XCTAssertEqual(all.depth, 3)
    XCTAssertTrue(all.once && all.plain)
    let wrong: [[String]] = [
      [], ["AAPL", "MSFT"], ["TOOLONGNAME"], ["--depth", "0", "A"], ["--depth"], ["--url", "http://x", "A"],
      ["--url", "ws://x:0", "A"], ["--url", "ws://", "A"], ["--url", "ws://a:b:c", "A"], ["-x", "A"],
    ]
    for arguments in wrong {
      XCTAssertEqual(CommandTable.dispatch(["watch"] + arguments), 64, "\(arguments)")
    }
  }

  func testNothingAnswers() throws {
    let market = FakeMarket(seed: 1)
    var configuration = PublishConfiguration(
      hello: HelloFields(server: "t", instance: "u", channel: 0, epoch: 1, configurationHash: "0"))
    configuration.port = 0
    let server = try PublishServer(configuration: configuration, snapshotSource: market)
    let port = server.port
    server.shutdown()
    XCTAssertEqual(
      CommandTable.dispatch(["watch", "AAPL", "--once", "--url", "ws://127.0.0.1:\(port)/v1/stream"]), 3)
  }

  /// Server and watching client in one thread: the client's book is the market's.
  func testTheWatchedBookIsTheMarkets() throws {
    let market = FakeMarket(seed: 21)
    var configuration = PublishConfiguration(
      hello: HelloFields(server: "t", instance: "u", channel: 0, epoch: 7, configurationHash: "0"))
    configuration.port = 0
    let server = try PublishServer(configuration: configuration, snapshotSource: market)
    func publish(_ message: [FakeEvent]) {
      for event in message { event.bytes.withUnsafeBytes { server.publish(kind: event.kind, event: $0) } }
      server.endOfMessage()
    }
    for instrument in UInt32(1)...3 { publish(market.define(instrument)) }
    for _ in 0..<500 { publish(market.step([1, 2, 3])) }
    let address = try XCTUnwrap(PublisherAddress("ws://127.0.0.1:\(server.port)/v1/stream"))
    let connection = try XCTUnwrap(WatchConnection(address))
    var book = WatchBook()
    var replies: [ControlReply] = []
    connection.onMessage = { message in
      switch message {
      case .frame(let frame): book.take(frame)
      case .reply(let reply):
        replies.append(reply)
        if case .hello = reply {
          connection.send(
            #"{"op":"subscribe","id":1,"symbols":["SYM2"],"channels":["orders"],"start":"snapshot"}"#)
        }
      case .ended(let reason), .refused(let reason): XCTFail(reason)
      }
    }
    connection.open()
    var asked = false
    for step in 0..<20_000 {
      if step % 2 == 0 { publish(market.step([1, 2, 3])) }
      server.service(timeoutMilliseconds: 0)
      connection.service(milliseconds: 1)
      let caughtUp = replies.count { if case .caughtUp = $0 { true } else { false } }
      // A second snapshot of the same instrument takes the place of the book.
      if caughtUp == 1, !asked {
        asked = true
        connection.send(
          #"{"op":"subscribe","id":2,"symbols":["SYM2"],"channels":["orders"],"start":"snapshot"}"#)
      }
      if step > 2000, caughtUp == 2 { break }
    }
    publish(market.endSession())
    for _ in 0..<1000 where !book.hasEnded {
      server.service(timeoutMilliseconds: 0)
      connection.service(milliseconds: 1)
    }
    XCTAssertTrue(book.hasEnded)
    XCTAssertEqual(book.sequence, market.sequence)
    XCTAssertEqual(book.inconsistencies, 0)
    XCTAssertFalse(book.isBroken)
    XCTAssertEqual(book.bidOrders + book.askOrders, market.orderCount(instrument: 2))
    let expected = try XCTUnwrap(market.books[2])
    func levels(_ side: [Int64: [SnapshotOrder]], _ descending: Bool) -> [WatchBook.Level] {
      side.sorted { descending ? $0.key > $1.key : $0.key < $1.key }.map { price, queue in
        WatchBook.Level(price: price, size: queue.reduce(0) { $0 + $1.quantity }, orders: queue.count)
      }
    }
    XCTAssertEqual(book.levels(isSell: false, depth: 100), levels(expected.bids, true))
    XCTAssertEqual(book.levels(isSell: true, depth: 100), levels(expected.asks, false))
    XCTAssertEqual(replies.first, .hello(server: "t", instance: "u", epoch: "7", heartbeatMilliseconds: 1000))
    XCTAssertTrue(replies.contains(.subscribed(subscription: 1, unresolved: [])))
    connection.onMessage = { _ in }
  }

  /// A message that never ends (its writer is broken) closes sessions; it neither traps nor passes for whole.
  func testAnUnfinishedMessageClosesEverySession() throws {
    let market = FakeMarket(seed: 22)
    var configuration = PublishConfiguration(
      hello: HelloFields(server: "t", instance: "u", channel: 0, epoch: 7, configurationHash: "0"))
    configuration.port = 0
    let server = try PublishServer(configuration: configuration, snapshotSource: market)
    let address = try XCTUnwrap(PublisherAddress("ws://127.0.0.1:\(server.port)/v1/stream"))
    let connection = try XCTUnwrap(WatchConnection(address))
    var ends: [String] = []
    var frames = 0
    connection.onMessage = { message in
      switch message {
      case .frame(let frame): frames += Int(frame.header.count)
      case .reply(.hello):
        connection.send(#"{"op":"subscribe","id":1,"symbols":"*","channels":["orders"],"start":"live"}"#)
      case .reply: break
      case .ended(let reason), .refused(let reason): ends.append(reason)
      }
    }
    connection.open()
    for _ in 0..<2000 where server.statistics.subscribers == 0 {
      server.service(timeoutMilliseconds: 0)
      connection.service(milliseconds: 1)
    }
    XCTAssertEqual(server.statistics.subscribers, 1)
    let order = event(.orderAdd, 1, [1, 1_234_500, 300])
    order.bytes.withUnsafeBytes { server.publish(kind: order.kind, event: $0) }
    for _ in 0..<2000 where ends.isEmpty {
      server.service(timeoutMilliseconds: 0)
      connection.service(milliseconds: 1)
    }
    XCTAssertEqual(ends, ["closed with 4007 continuity_lost"])
    XCTAssertEqual(frames, 0)
    XCTAssertEqual(server.statistics.malformedMessages, 1)
    connection.onMessage = { _ in }
  }

  /// Frames of one subscriber, taken by a book.
  private func watched(_ messages: [[FakeEvent]], market: FakeMarket) -> WatchBook {
    let stream = SubscriberStream(limits: SubscriberLimits(), epoch: 1)
    let text = #"{"op":"subscribe","id":1,"symbols":"*","channels":["orders","trades"],"start":"live"}"#
    Array(text.utf8).withUnsafeBytes { stream.request($0, source: market, StreamState(sequence: 0)) }
    var batch = MessageBatch()
    var book = WatchBook()
    for message in messages {
      for event in message {
        event.bytes.withUnsafeBytes { XCTAssertTrue(batch.append(kind: event.kind, event: $0)) }
      }
      stream.append(batch)
      batch.removeAll()
    }
    while let (kind, payload, count) = stream.queue.first() {
      let bytes = UnsafeRawBufferPointer(start: payload, count: count)
      if kind == .binary, let frame = try? DecodedFrame(bytes) { book.take(frame) }
      stream.queue.removeFirst(bytes: count)
    }
    return book
  }

  private func event(_ kind: BookEventKind, _ sequence: UInt64, _ body: [UInt64], sell: Bool = false)
    -> FakeEvent
  {
    FakeEvent(
      kind: kind.rawValue,
      bytes: EventBytes.make(
        sequence: sequence, instrument: 13, flags: sell ? EventFlags.sell : 0, body: body))
  }

  func testGoldenLadder() {
    let messages = [
      [event(.orderAdd, 1, [1, 1_234_500, 300])], [event(.orderAdd, 2, [2, 1_234_500, 200])],
      [event(.orderAdd, 3, [3, 1_234_400, 50])], [event(.orderAdd, 4, [4, 1_234_600, 700], sell: true)],
      [event(.orderExecute, 5, [1, 1_234_500, 100, 200, 9])],
    ]
    let book = watched(messages, market: FakeMarket(seed: 1))
    let contact = WatchScreen.Contact(symbol: "AAPL", eventAge: 0.25, lostFor: nil, waitingFor: nil)
    XCTAssertEqual(
      WatchScreen.lines(book, contact, depth: 10),
      [
        "AAPL (13)  LIVE  seq 5  last event 0.2 s ago  orders 3 bid, 1 ask  last 123.4500",
        "  orders        size           bid |          ask        size  orders",
        "       2         400      123.4500 |     123.4600         700       1",
        "       1          50      123.4400 |",
      ])
    XCTAssertEqual(WatchScreen.lines(book, contact, depth: 1).count, 3)
  }

  func testStaleAndLostAreLarge() {
    let stale = watched([[event(.trust, 1, [1 | 2 << 8, 1, 1])]], market: FakeMarket(seed: 1))
    XCTAssertEqual(stale.staleReason, "unknown reference")
    var contact = WatchScreen.Contact(symbol: "AAPL", eventAge: nil, lostFor: nil, waitingFor: nil)
    let lines = WatchScreen.lines(stale, contact, depth: 3)
    XCTAssertTrue(lines[0].contains("  STALE  "))
    XCTAssertEqual(lines[1], " ####  #####   ###   #      #####")
    XCTAssertEqual(lines[6], "do not trade on this book: unknown reference")
    let live = watched(
      [[event(.trust, 1, [1 | 2 << 8, 1, 1])], [event(.trust, 2, [0, 0, 0])]], market: FakeMarket(seed: 1))
    XCTAssertNil(live.staleReason)
    contact.lostFor = 3
    XCTAssertTrue(WatchScreen.lines(live, contact, depth: 3)[0].contains("  LOST CONTACT  "))
    // An event that does not fit is never passed over in silence.
    let wrong = watched([[event(.orderDelete, 1, [99, 1, 1])]], market: FakeMarket(seed: 1))
    XCTAssertEqual(wrong.staleReason, "1 events do not fit the book")
  }

  func testABrokenChainIsStale() throws {
    func frame(_ sequence: UInt64, _ previous: UInt64) -> [UInt8] {
      var bytes = [UInt8](repeating: 0, count: FrameHeader.bytes)
      bytes.withUnsafeMutableBytes { target in
        guard let base = target.baseAddress else { return }
        FrameHeader(
          template: .events, blockLength: 0, epoch: 1, sequence: sequence, previousSequence: previous
        ).write(to: base)
      }
      return bytes
    }
    var book = WatchBook()
    for (sequence, previous) in [(UInt64(4), UInt64(0)), (9, 4)] {
      try frame(sequence, previous).withUnsafeBytes { book.take(try DecodedFrame($0)) }
    }
    XCTAssertNil(book.staleReason)
    try frame(12, 10).withUnsafeBytes { book.take(try DecodedFrame($0)) }
    XCTAssertEqual(book.staleReason, "frames are missing")
  }

  func testPrices() {
    XCTAssertEqual(WatchScreen.price(1), "0.0001")
    XCTAssertEqual(WatchScreen.price(-1_234_500), "-123.4500")
    XCTAssertEqual(WatchScreen.price(.min), "-922337203685477.5808")
    XCTAssertEqual(WatchScreen.seconds(-1), "0.0 s")
    XCTAssertEqual(WatchScreen.seconds(.infinity), "0.0 s")
  }
}
