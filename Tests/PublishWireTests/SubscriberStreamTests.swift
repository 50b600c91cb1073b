import StageRecords
import XCTest

@testable import PublishWire

final class SubscriberStreamTests: XCTestCase {
  private func request(_ stream: SubscriberStream, _ market: FakeMarket, _ text: String) {
    Array(text.utf8).withUnsafeBytes {
      stream.request($0, source: market, StreamState(sequence: market.sequence))
    }
  }

  private func subscribe(
    _ stream: SubscriberStream, _ market: FakeMarket, _ symbols: String,
    _ channels: String = #""orders","defs""#, start: String = "snapshot", id: Int = 1
  ) {
    request(
      stream, market,
      #"{"op":"subscribe","id":\#(id),"symbols":\#(symbols),"channels":[\#(channels)],"start":"\#(start)"}"#)
  }

  private func feed(_ message: [FakeEvent], _ streams: SubscriberStream..., batch: inout MessageBatch) {
    for event in message {
      event.bytes.withUnsafeBytes { XCTAssertTrue(batch.append(kind: event.kind, event: $0)) }
    }
    for stream in streams { stream.append(batch) }
    batch.removeAll()
  }

  /// Live orders of an instrument after a snapshot and its continuation.
  private func book(_ events: [FakeEvent]) -> [SnapshotOrder] {
    var orders: [UInt64: SnapshotOrder] = [:]
    var arrival: [UInt64: Int] = [:]
    for (place, event) in events.enumerated() {
      event.bytes.withUnsafeBytes { bytes in
        let header = bytes.loadUnaligned(as: BookEventHeader.self)
        func word(_ offset: Int) -> UInt64 {
          bytes.loadUnaligned(fromByteOffset: 32 + offset, as: UInt64.self)
        }
        switch BookEventKind(rawValue: event.kind) {
        case .orderAdd:
          XCTAssertNil(orders[word(0)], "added twice")
          orders[word(0)] = SnapshotOrder(
            isSell: header.flags & EventFlags.sell != 0, price: Int64(bitPattern: word(8)),
            quantity: word(16), reference: word(0))
          arrival[word(0)] = place
        case .orderReduce: orders[word(0)]?.quantity = word(8)
        case .orderExecute: orders[word(0)]?.quantity = word(24)
        case .orderDelete: orders[word(0)]?.quantity = 0
        default: return
        }
        if orders[word(0)]?.quantity == 0 { orders[word(0)] = nil }
      }
    }
    return orders.values.sorted { left, right in
      if left.isSell != right.isSell { return !left.isSell }
      if left.price != right.price { return left.isSell == (left.price < right.price) }
      return arrival[left.reference, default: 0] < arrival[right.reference, default: 0]
    }
  }

  /// Random joins, reads and filters: every subscription sees its snapshot and then every later event that
  /// matches, once, in order; and the book that it builds is the market's.
  func testSnapshotAndContinuationAreExact() {
    for seed in UInt64(1)...60 {
      var generator = SeededGenerator(seed: seed)
      let market = FakeMarket(seed: seed &* 31)
      let instruments = (1...UInt32.random(in: 2...12, using: &generator)).map { $0 * 7 }
      let stream = SubscriberStream(
        limits: SubscriberLimits(queueBytes: 256 << 10, frameBytes: 4096), epoch: 1)
      var reader = StreamReader()
      var batch = MessageBatch()
      var history: [FakeEvent] = []
      let wanted: Set<UInt32>
      let everything = Bool.random(using: &generator)
      wanted = everything ? Set(instruments) : Set(instruments.shuffled(using: &generator).prefix(3))
      let joinAt = Int.random(in: 0..<600, using: &generator)
      for instrument in instruments { history += market.define(instrument) }
      for step in 0..<2000 {
        if step == joinAt {
          let names = wanted.map { "\"\(FakeMarket.symbol($0))\"" }.joined(separator: ",")
          subscribe(stream, market, everything ? "\"*\"" : "[\(names)]")
        }
        let message = market.step(instruments)
        feed(message, stream, batch: &batch)
        history += message
        // A small budget takes one instrument at a time, so that events come between the snapshots.
        if step % 3 == 0 { stream.takeSnapshots(source: market, sequence: market.sequence, budget: 1) }
        if Int.random(in: 0..<9, using: &generator) == 0 {
          reader.read(stream, limit: Int.random(in: 1...40, using: &generator))
        }
        if step % 97 == 0 {
          stream.heartbeat(sequence: market.sequence, serverTime: 1, input: .live)
        }
      }
      reader.read(stream)
      XCTAssertFalse(stream.overflowed, "seed \(seed)")
      XCTAssertEqual(reader.violations, [], "seed \(seed)")
      XCTAssertEqual(Set(reader.snapshots.map(\.instrument)), wanted, "seed \(seed)")
      XCTAssertEqual(reader.snapshots.count, wanted.count, "seed \(seed)")
      for snapshot in reader.snapshots {
        let live = reader.live.filter { $0.instrument == snapshot.instrument }
        let kinds: Set<UInt8> = [1, 2, 3, 4, 5, 12]
        let expected = history.filter {
          $0.instrument == snapshot.instrument && $0.sequence > snapshot.sequence && kinds.contains($0.kind)
        }
        XCTAssertEqual(live, expected, "seed \(seed) instrument \(snapshot.instrument)")
        XCTAssertEqual(
          book(snapshot.events + live), market.orders(snapshot.instrument),
          "seed \(seed) instrument \(snapshot.instrument)")
      }
      XCTAssertTrue(reader.texts.last?.hasPrefix(#"{"type":"caught_up""#) == true, "seed \(seed)")
    }
  }

  func testChannelsFilterAndTrustAlwaysComes() {
    let market = FakeMarket(seed: 9)
    let stream = SubscriberStream(limits: SubscriberLimits(), epoch: 1)
    var batch = MessageBatch()
    _ = market.define(3)
    _ = market.define(4)
    subscribe(stream, market, #"["SYM3"]"#, #""trades""#, start: "live")
    var history: [FakeEvent] = []
    for _ in 0..<500 {
      let message = market.step([3, 4])
      history += message
      feed(message, stream, batch: &batch)
    }
    let end = market.endSession()
    feed(end, stream, batch: &batch)
    var reader = StreamReader()
    reader.read(stream)
    XCTAssertEqual(reader.violations, [])
    XCTAssertEqual(
      reader.live, history.filter { $0.instrument == 3 && [5, 8, 9, 12].contains($0.kind) } + end)
    XCTAssertTrue(reader.live.contains { $0.kind == 5 } && reader.live.contains { $0.kind == 12 })
  }

  func testLevelsAndBestPricesOfASnapshot() throws {
    let market = FakeMarket(seed: 5)
    _ = market.define(8)
    for _ in 0..<300 { _ = market.step([8]) }
    let stream = SubscriberStream(limits: SubscriberLimits(), epoch: 1)
    subscribe(stream, market, #"["SYM8"]"#, #""levels","bbo""#)
    stream.takeSnapshots(source: market, sequence: market.sequence)
    var reader = StreamReader()
    reader.read(stream)
    XCTAssertEqual(reader.violations, [])
    let events = try XCTUnwrap(reader.snapshots.first).events
    XCTAssertFalse(events.contains { $0.kind == 2 })
    func words(_ event: FakeEvent) -> [UInt64] {
      event.bytes.withUnsafeBytes { bytes in
        stride(from: 32, to: bytes.count, by: 8).map {
          bytes.loadUnaligned(fromByteOffset: $0, as: UInt64.self)
        }
      }
    }
    let book = try XCTUnwrap(market.books[8])
    let bids = book.bids.sorted { $0.key > $1.key }
    let asks = book.asks.sorted { $0.key < $1.key }
    let expected = (bids + asks).map { price, queue in
      [UInt64(bitPattern: price), queue.reduce(0) { $0 + $1.quantity }, UInt64(queue.count)]
    }
    XCTAssertGreaterThan(expected.count, 6)
    XCTAssertEqual(events.filter { $0.kind == 6 }.map(words), expected)
    let best = try XCTUnwrap(events.last { $0.kind == 7 })
    XCTAssertEqual(
      words(best), [expected[0][0], expected[0][1], expected[bids.count][0], expected[bids.count][1]])
  }

  func testUnknownSymbolJoinsWhenItIsDefined() {
    for start in ["live", "snapshot"] {
      let market = FakeMarket(seed: 2)
      let stream = SubscriberStream(limits: SubscriberLimits(), epoch: 1)
      var batch = MessageBatch()
      feed(market.define(1), stream, batch: &batch)
      subscribe(stream, market, #"["SYM2"]"#, start: start)
      var history: [FakeEvent] = []
      for step in 0..<200 {
        let message = step == 50 ? market.define(2) : market.step(step < 50 ? [1] : [1, 2])
        if step >= 50 { history += message }
        feed(message, stream, batch: &batch)
        stream.takeSnapshots(source: market, sequence: market.sequence)
      }
      var reader = StreamReader()
      reader.read(stream)
      XCTAssertEqual(reader.violations, [], start)
      let cut = reader.snapshots.first?.sequence ?? 0
      let kinds: Set<UInt8> = [1, 2, 3, 4, 5, 12]
      XCTAssertEqual(
        reader.live, history.filter { $0.instrument == 2 && $0.sequence > cut && kinds.contains($0.kind) },
        start)
      XCTAssertTrue(reader.texts.contains(#"{"type":"resolved","sub":1,"symbol":"SYM2","instrument":2}"#))
      XCTAssertEqual(book((reader.snapshots.first?.events ?? []) + reader.live), market.orders(2), start)
    }
  }

  func testTwoSubscriptionsShareOneChainAndUnsubscribeEndsOne() {
    let market = FakeMarket(seed: 77)
    let stream = SubscriberStream(limits: SubscriberLimits(), epoch: 1)
    var batch = MessageBatch()
    for instrument in UInt32(1)...4 { _ = market.define(instrument) }
    subscribe(stream, market, #"["SYM1","SYM2"]"#, id: 1)
    subscribe(stream, market, "\"*\"", #""trades""#, start: "live", id: 2)
    stream.takeSnapshots(source: market, sequence: market.sequence)
    var history: [FakeEvent] = []
    for _ in 0..<300 {
      let message = market.step([1, 2, 3, 4])
      history += message
      feed(message, stream, batch: &batch)
    }
    let cut = market.sequence
    request(stream, market, #"{"op":"unsubscribe","id":3,"sub":1}"#)
    request(stream, market, #"{"op":"unsubscribe","id":4,"sub":9}"#)
    for _ in 0..<300 {
      let message = market.step([1, 2, 3, 4])
      history += message
      feed(message, stream, batch: &batch)
    }
    var reader = StreamReader()
    reader.read(stream)
    XCTAssertEqual(reader.violations, [])
    let orders: Set<UInt8> = [1, 2, 3, 4]
    let trades: Set<UInt8> = [5, 8, 9, 12]
    XCTAssertEqual(
      reader.live,
      history.filter {
        trades.contains($0.kind)
          || orders.contains($0.kind) && $0.instrument <= 2 && $0.sequence <= cut
      })
    XCTAssertTrue(reader.texts.contains(#"{"type":"unsubscribed","id":3,"sub":1}"#))
    XCTAssertTrue(
      reader.texts.contains(
        #"{"type":"error","id":4,"code":"unknown_subscription","msg":"there is no subscription 9","field":"sub","help":"docs/PUBLISH_PROTOCOL.md#unknown_subscription"}"#
      ))
    XCTAssertEqual(stream.requestErrors, 1)
  }

  func testRefusals() {
    let market = FakeMarket(seed: 4)
    for instrument in UInt32(1)...2 { _ = market.define(instrument) }
    while market.orderCount(instrument: 1) < 700 { _ = market.step([1]) }
    let limits = SubscriberLimits(queueBytes: 65_536, frameBytes: 4096, instruments: 2, subscriptions: 2)
    let stream = SubscriberStream(limits: limits, epoch: 1)
    var reader = StreamReader()
    func lastCode(_ note: String) -> String {
      reader.read(stream)
      let text = reader.texts.last ?? ""
      let parts = text.split(separator: "\"")
      guard let place = parts.firstIndex(of: "code"), place + 2 < parts.count else { return text }
      return String(parts[place + 2])
    }
    subscribe(stream, market, #"["SYM1"]"#)
    XCTAssertEqual(lastCode("too large"), "snapshot_too_large")
    subscribe(stream, market, #"["SYM2"]"#)
    XCTAssertEqual(lastCode("number"), "instrument_out_of_range")
    market.isReady = false
    subscribe(stream, market, #"["SYM3"]"#)
    XCTAssertEqual(lastCode("not ready"), "snapshot_unavailable")
    XCTAssertEqual(stream.subscriptionCount, 0)
    market.isReady = true
    // "*" meets the large book on its way: the subscription ends, the connection does not.
    subscribe(stream, market, "\"*\"")
    XCTAssertEqual(stream.subscriptionCount, 1)
    stream.takeSnapshots(source: market, sequence: market.sequence)
    XCTAssertEqual(lastCode("walk"), "snapshot_too_large")
    XCTAssertEqual(stream.subscriptionCount, 0)
    for id in 1...3 { subscribe(stream, market, #"["SYM3"]"#, start: "live", id: id) }
    XCTAssertEqual(lastCode("third"), "too_many_subscriptions")
    XCTAssertEqual(stream.requestErrors, 5)
    XCTAssertEqual(reader.violations, [])
  }

  func testAFullQueueIsSaidAndNeverHidden() {
    let market = FakeMarket(seed: 6)
    _ = market.define(1)
    let stream = SubscriberStream(limits: SubscriberLimits(queueBytes: 65_536, frameBytes: 4096), epoch: 1)
    var batch = MessageBatch()
    subscribe(stream, market, "\"*\"", start: "live")
    var before = 0
    while !stream.overflowed, before < 10_000 {
      feed(market.step([1]), stream, batch: &batch)
      before += 1
    }
    XCTAssertTrue(stream.overflowed)
    XCTAssertLessThanOrEqual(stream.queue.used, 65_536)
    let used = stream.queue.used
    for _ in 0..<100 { feed(market.step([1]), stream, batch: &batch) }
    XCTAssertEqual(stream.queue.used, used, "nothing follows a hole")
  }

  func testLimitsSetOneByOneAreBroughtIntoRange() {
    var limits = SubscriberLimits()
    limits.queueBytes = 1
    limits.frameBytes = 1 << 30
    limits.instruments = -5
    let stream = SubscriberStream(limits: limits, epoch: 1)
    XCTAssertEqual(stream.queue.capacity, 65_536)
    XCTAssertEqual(stream.limits.frameBytes, 16_384)
    XCTAssertEqual(stream.limits.instruments, 1)
  }

  func testAMessageLongerThanAFrameIsCutAndMarked() {
    let stream = SubscriberStream(limits: SubscriberLimits(queueBytes: 256 << 10, frameBytes: 4096), epoch: 1)
    let market = FakeMarket(seed: 6)
    _ = market.define(1)
    subscribe(stream, market, "\"*\"", #""status""#, start: "live")
    var batch = MessageBatch()
    var message: [FakeEvent] = []
    for index in UInt16(0)..<4 {
      let body = [UInt64](repeating: UInt64(index), count: 300)
      message.append(
        FakeEvent(kind: 11, bytes: EventBytes.make(sequence: 5, instrument: 0, index: index, body: body)))
    }
    feed(message, stream, batch: &batch)
    var flags: [UInt16] = []
    var counted = StreamReader()
    while let (kind, payload, count) = stream.queue.first() {
      let bytes = UnsafeRawBufferPointer(start: payload, count: count)
      if kind == .binary, let frame = try? DecodedFrame(bytes) {
        flags.append(frame.header.flags)
        frame.forEach { counted.live.append(FakeEvent(kind: $0.kind, bytes: Array($0.event))) }
      }
      stream.queue.removeFirst(bytes: count)
    }
    XCTAssertEqual(flags, [1, 1, 1, 0])
    XCTAssertEqual(counted.live, message)
  }

  /// The end of a quarantine brings the whole book in one message: the largest that can be told goes through a batch and a
  /// client's queue as the others do, and only to those who want the instrument.
  func testTheLargestBookThatCanBeToldIsPassedOn() {
    var batch = MessageBatch()
    var message: [FakeEvent] = []
    for index in UInt16(0x8000)..<0xFEFE {
      message.append(
        FakeEvent(
          kind: 2,
          bytes: EventBytes.make(sequence: 5, instrument: 1, index: index, body: [UInt64(index), 1, 1])))
    }
    for event in message {
      let isIn = event.bytes.withUnsafeBytes { batch.append(kind: event.kind, event: $0) }
      guard isIn else { return XCTFail("it does not fit the batch") }
    }
    let market = FakeMarket(seed: 6)
    _ = market.define(1)
    _ = market.define(2)
    for (symbol, expected) in [("\"*\"", message), (#"["SYM1"]"#, message), (#"["SYM2"]"#, [])] {
      let stream = SubscriberStream(
        limits: SubscriberLimits(queueBytes: 4 << 20, frameBytes: 16_384), epoch: 1)
      subscribe(stream, market, symbol, #""orders""#, start: "live")
      stream.append(batch)
      XCTAssertFalse(stream.overflowed, symbol)
      var flags: [UInt16] = []
      var taken: [FakeEvent] = []
      while let (kind, payload, count) = stream.queue.first() {
        let bytes = UnsafeRawBufferPointer(start: payload, count: count)
        if kind == .binary, let frame = try? DecodedFrame(bytes) {
          flags.append(frame.header.flags)
          frame.forEach { taken.append(FakeEvent(kind: $0.kind, bytes: Array($0.event))) }
        }
        stream.queue.removeFirst(bytes: count)
      }
      XCTAssertTrue(taken == expected, "\(symbol): \(taken.count) events of \(expected.count)")
      XCTAssertEqual(flags.last, expected.isEmpty ? nil : 0, symbol)
      XCTAssertTrue(flags.dropLast().allSatisfy { $0 == FrameFlags.messageContinues }, symbol)
      XCTAssertLessThan(flags.count, 140, "frames are full")
    }
  }
}
