import StageRecords
import XCTest

@testable import PublishLoop
@testable import PublishWire

/// What is decided for many clients at once: who is shown a batch, and whose frame is shared.
final class FanOutTests: XCTestCase {
  private func batch(_ messages: [[FakeEvent]]) -> MessageBatch {
    var batch = MessageBatch()
    for message in messages {
      for event in message { event.bytes.withUnsafeBytes { _ = batch.append(kind: event.kind, event: $0) } }
      batch.endMessage()
    }
    return batch
  }

  private func stream(_ request: String, _ market: FakeMarket) -> SubscriberStream {
    let stream = SubscriberStream(
      limits: SubscriberLimits(queueBytes: 256 << 10, instruments: 1024), epoch: 5)
    Array(request.utf8).withUnsafeBytes {
      stream.request($0, source: market, StreamState(sequence: market.sequence, session: "S"))
    }
    return stream
  }

  private static let everything =
    #"{"op":"subscribe","id":1,"symbols":"*","channels":["orders","levels","bbo","trades","status","defs"],"start":"live"}"#

  func testTheIndexNamesEveryoneWhoWantsAnInstrumentOnce() {
    var generator = SeededGenerator(seed: 21)
    let market = FakeMarket(seed: 21)
    for instrument in UInt32(1)...40 { _ = market.define(instrument) }
    var index = InterestIndex(instruments: 1024)
    for round in 0..<50 {
      let wants = (0..<Int.random(in: 0...30, using: &generator)).map { _ in
        (0..<Int.random(in: 0...5, using: &generator)).map { _ in UInt32.random(in: 1...40, using: &generator)
        }
      }
      index.rebuild(subscribers: wants.count) { number, want in wants[number].forEach(want) }
      let messages = (0..<Int.random(in: 1...9, using: &generator)).map { _ in
        market.step((0..<3).map { _ in UInt32.random(in: 1...40, using: &generator) })
      }
      let concerned = Set(messages.joined().map(\.instrument))
      var named: [Int] = []
      let held = batch(messages)
      index.forEachConcerned(held) { number, places in
        named.append(number)
        var found: [UInt32] = []
        var offsets: [Int] = []
        places?.forEach {
          offsets.append($0)
          found.append(MessageBatch.instrument(held.entries, $0))
        }
        XCTAssertEqual(offsets, Set(offsets).sorted(), "each entry once, in order: round \(round)")
        XCTAssertEqual(
          found, messages.joined().map(\.instrument).filter { wants[number].contains($0) }, "round \(round)")
      }
      XCTAssertEqual(
        named.sorted(), wants.indices.filter { !concerned.isDisjoint(with: wants[$0]) }, "round \(round)")
    }
    // What concerns the channel concerns everybody, those that want nothing else included; numbers out of range nobody.
    index.rebuild(subscribers: 3) { number, want in if number == 1 { want(5_000_000) } }
    var named: [Int] = []
    let end = batch([market.endSession()])
    index.forEachConcerned(end) { number, places in
      XCTAssertNil(places)
      named.append(number)
    }
    XCTAssertEqual(named.sorted(), [0, 1, 2])
    named = []
    let beyond = batch([
      [FakeEvent(kind: 6, bytes: EventBytes.make(sequence: 1, instrument: 5_000_000, body: [1, 2, 3]))]
    ])
    index.forEachConcerned(beyond) { number, _ in named.append(number) }
    XCTAssertEqual(named, [])
  }

  func testInterestIsOfSingleInstrumentsOnlyWhileNothingElseCanConcernAClient() {
    let market = FakeMarket(seed: 22)
    for instrument in UInt32(1)...9 { _ = market.define(instrument) }
    func interest(_ stream: SubscriberStream) -> [UInt32]? {
      var found: [UInt32] = []
      return stream.forEachInterest({ found.append($0) }) ? found.sorted() : nil
    }
    func request(_ symbols: String, _ start: String = "live") -> String {
      #"{"op":"subscribe","id":1,"symbols":\#(symbols),"channels":["bbo"],"start":"\#(start)"}"#
    }
    let two = stream(request(#"["SYM3","SYM7"]"#), market)
    XCTAssertEqual(interest(two), [3, 7])
    XCTAssertTrue(two.takeInterestChange())
    XCTAssertFalse(two.takeInterestChange())
    XCTAssertFalse(two.hasWork)
    XCTAssertNil(interest(stream(request(#""*""#), market)))
    XCTAssertNil(interest(stream(request(#"["SYM3","NONE"]"#), market)), "a definition may concern it")
    let snapshot = stream(request(#"["SYM4"]"#, "snapshot"), market)
    XCTAssertNil(interest(snapshot), "its snapshot is still to be taken")
    XCTAssertTrue(snapshot.hasWork)
    snapshot.takeSnapshots(source: market, sequence: market.sequence)
    XCTAssertEqual(interest(snapshot), [4])
    XCTAssertFalse(snapshot.hasWork)
  }

  func testASharedFrameIsTheFrameThatTheQueueWouldHaveHeld() {
    let market = FakeMarket(seed: 23)
    for instrument in UInt32(1)...4 { _ = market.define(instrument) }
    let shared = stream(Self.everything, market)
    let queued = stream(Self.everything, market)
    var one = StreamReader()
    var other = StreamReader()
    let header = UnsafeMutableRawPointer.allocate(byteCount: FrameHeader.bytes, alignment: 8)
    defer { header.deallocate() }
    one.read(shared)
    other.read(queued)
    var given = 0
    for round in 0..<60 {
      let held = batch((0..<5).map { _ in market.step([1, 2, 3, 4]) })
      queued.append(held)
      // Every third round something waits, and the frame goes into the queue behind it.
      if round % 3 == 0 { shared.heartbeat(sequence: 0, serverTime: 1, input: .live) }
      if shared.takeShared(held, header: header) {
        given += 1
        shared.putBack(header: header, entries: held.entries)
      } else {
        shared.append(held)
      }
      one.read(shared)
      other.read(queued)
    }
    XCTAssertEqual(given, 40)
    XCTAssertEqual(one.violations, [])
    XCTAssertEqual(one.live, other.live)
    XCTAssertEqual(one.chain, other.chain)
    XCTAssertEqual(shared.eventsQueued, queued.eventsQueued)
  }

  /// What is filtered by the entries' places is what is filtered by looking at all of them.
  func testAClientOfSymbolsGetsTheSameByTheIndex() {
    var generator = SeededGenerator(seed: 25)
    let market = FakeMarket(seed: 25)
    for instrument in UInt32(1)...20 { _ = market.define(instrument) }
    let requests = (0..<12).map { _ in
      let symbols = (0..<3).map { _ in "\"SYM\(Int.random(in: 1...20, using: &generator))\"" }.joined(
        separator: ",")
      let channels = [#""orders""#, #""bbo","levels""#, #""trades""#].randomElement(using: &generator) ?? ""
      return #"{"op":"subscribe","id":1,"symbols":[\#(symbols)],"channels":[\#(channels)],"start":"live"}"#
    }
    let one = requests.map { stream($0, market) }
    let other = requests.map { stream($0, market) }
    var index = InterestIndex(instruments: 1024)
    index.rebuild(subscribers: one.count) { number, want in _ = one[number].forEachInterest(want) }
    for round in 0..<40 {
      let held = batch(
        (0..<8).map { _ in market.step((1...20).map(UInt32.init)) }
          + (round == 20 ? [market.endSession()] : []))
      index.forEachConcerned(held) { number, places in
        if let places { one[number].append(held, at: places) } else { one[number].append(held) }
      }
      for stream in other { stream.append(held) }
    }
    var events = 0
    for (left, right) in zip(one, other) {
      var readers = (StreamReader(), StreamReader())
      readers.0.read(left)
      readers.1.read(right)
      XCTAssertEqual(readers.0.live, readers.1.live)
      XCTAssertEqual(readers.0.violations + readers.1.violations, [])
      XCTAssertEqual(readers.0.chain, readers.1.chain)
      events += readers.0.live.count
    }
    XCTAssertGreaterThan(events, 300)
  }

  func testNobodyElseTakesTheSharedFrame() {
    let market = FakeMarket(seed: 24)
    for instrument in UInt32(1)...4 { _ = market.define(instrument) }
    let held = batch([market.step([1])])
    let header = UnsafeMutableRawPointer.allocate(byteCount: FrameHeader.bytes, alignment: 8)
    defer { header.deallocate() }
    for request in [
      #"{"op":"subscribe","id":1,"symbols":"*","channels":["orders"],"start":"live"}"#,
      #"{"op":"subscribe","id":1,"symbols":["SYM1"],"channels":["orders","levels","bbo","trades","status","defs"],"start":"live"}"#,
    ] {
      let stream = stream(request, market)
      stream.queue.removeAll()
      XCTAssertFalse(stream.takeShared(held, header: header), request)
    }
    let waiting = stream(Self.everything, market)
    XCTAssertFalse(waiting.takeShared(held, header: header), "its answer waits")
    waiting.queue.removeAll()
    let nothing = MessageBatch()
    XCTAssertFalse(waiting.takeShared(nothing, header: header))
    XCTAssertTrue(waiting.takeShared(held, header: header))
  }

  func testTheHeaderOfAWebSocketFrame() {
    withUnsafeTemporaryAllocation(byteCount: 16, alignment: 16) { room in
      guard let base = room.baseAddress else { return XCTFail("no room") }
      func header(_ kind: OutboundQueue.Kind, _ bytes: Int) -> [UInt8] {
        let length = WebSocketHeader.write(kind, bytes: bytes, before: base + 8)
        return Array(UnsafeRawBufferPointer(start: base + 8 - length, count: length))
      }
      XCTAssertEqual(header(.text, 0), [0x81, 0])
      XCTAssertEqual(header(.binary, 125), [0x82, 125])
      XCTAssertEqual(header(.binary, 126), [0x82, 126, 0, 126])
      XCTAssertEqual(header(.text, 65_535), [0x81, 126, 0xFF, 0xFF])
    }
  }
}
