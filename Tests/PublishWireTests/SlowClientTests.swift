import StageRecords
import XCTest

@testable import PublishWire

final class SlowClientTests: XCTestCase {
  private let limits = SubscriberLimits(queueBytes: 65_536, frameBytes: 4096)

  private func request(_ stream: SubscriberStream, _ market: FakeMarket, _ fields: String) {
    let text = #"{"op":"subscribe","id":1,"symbols":"*",\#(fields)}"#
    Array(text.utf8).withUnsafeBytes {
      stream.request($0, source: market, StreamState(sequence: market.sequence))
    }
  }

  private func feed(_ message: [FakeEvent], _ stream: SubscriberStream, _ batch: inout MessageBatch) {
    for event in message {
      event.bytes.withUnsafeBytes { XCTAssertTrue(batch.append(kind: event.kind, event: $0)) }
    }
    stream.append(batch)
    batch.removeAll()
  }

  /// A client that reads far too slowly stays, gets every instrument that changed restated, and in the end stands where
  /// the market does; what is never left out has come whole.
  func testAConflatedClientStaysAndConverges() {
    for seed in UInt64(1)...8 {
      var generator = SeededGenerator(seed: seed)
      let market = FakeMarket(seed: seed &* 13)
      let instruments: [UInt32] = [2, 4, 6, 8, 70]
      for instrument in instruments { _ = market.define(instrument) }
      let stream = SubscriberStream(limits: limits, epoch: 1)
      var batch = MessageBatch()
      var reader = StreamReader()
      request(stream, market, #""channels":["levels","bbo"],"start":"snapshot","on_slow":"conflate""#)
      var history: [FakeEvent] = []
      var levels: [UInt64: [UInt32: [SnapshotOrder]]] = [:]
      for step in 0..<6000 {
        let message = market.step(instruments)
        history += message
        for event in message {
          levels[market.sequence, default: [:]][event.instrument] = market.orders(event.instrument)
        }
        feed(message, stream, &batch)
        stream.takeSnapshots(source: market, sequence: market.sequence)
        stream.relieve(source: market, sequence: market.sequence)
        if Int.random(in: 0..<(step < 5000 ? 150 : 40), using: &generator) == 0 {
          reader.read(stream, limit: step < 5000 ? 1 : 8)
        }
      }
      for _ in 0..<50 {
        reader.read(stream)
        stream.relieve(source: market, sequence: market.sequence)
      }
      reader.read(stream)
      XCTAssertFalse(stream.overflowed, "seed \(seed)")
      XCTAssertFalse(stream.isCongested, "seed \(seed)")
      XCTAssertGreaterThan(stream.eventsShed, 500, "seed \(seed): the client was not slow")
      XCTAssertEqual(reader.violations, [], "seed \(seed)")
      for instrument in instruments {
        guard let snapshot = reader.snapshots.last(where: { $0.instrument == instrument }) else {
          XCTFail("seed \(seed): no snapshot of \(instrument)")
          continue
        }
        XCTAssertEqual(
          reader.live.filter { $0.instrument == instrument && $0.sequence > snapshot.sequence },
          history.filter {
            $0.instrument == instrument && $0.sequence > snapshot.sequence && [6, 7, 12].contains($0.kind)
          }, "seed \(seed), instrument \(instrument)")
      }
      // Every snapshot says what the market was then.
      for snapshot in reader.snapshots {
        guard
          let orders = levels[
            market.lastSequence(of: snapshot.instrument, atOrBefore: snapshot.sequence, history)]?[
              snapshot.instrument]
        else { continue }
        var expected: [[UInt64]] = []
        for order in orders {
          let key = [UInt64(bitPattern: order.price), order.isSell ? 1 : 0]
          if expected.last.map({ [$0[0], $0[3]] }) == key, let last = expected.indices.last {
            expected[last][1] += order.quantity
            expected[last][2] += 1
          } else {
            expected.append([key[0], order.quantity, 1, key[1]])
          }
        }
        let told = snapshot.events.filter { $0.kind == 6 }.map { event in
          event.bytes.withUnsafeBytes { bytes in
            (0..<3).map { bytes.loadUnaligned(fromByteOffset: 32 + $0 * 8, as: UInt64.self) }
              + [UInt64(bytes[31] & EventFlags.sell)]
          }
        }
        XCTAssertEqual(
          told, expected, "seed \(seed), instrument \(snapshot.instrument) at \(snapshot.sequence)")
      }
      let trust = history.filter { $0.kind == 12 }
      XCTAssertEqual(reader.live.filter { $0.kind == 12 }, trust, "seed \(seed)")
    }
  }

  /// What is skipped is told: bounds and number; everything else comes.
  func testSkippedEventsAreCountedExactly() {
    let market = FakeMarket(seed: 8)
    let instruments: [UInt32] = [1, 2, 3]
    for instrument in instruments { _ = market.define(instrument) }
    let stream = SubscriberStream(limits: limits, epoch: 1)
    var batch = MessageBatch()
    var reader = StreamReader()
    request(stream, market, #""channels":["trades"],"start":"live","on_slow":"skip""#)
    var history: [FakeEvent] = []
    for _ in 0..<8000 {
      let message = market.step(instruments)
      history += message
      feed(message, stream, &batch)
    }
    XCTAssertFalse(stream.overflowed)
    for _ in 0..<3 {
      reader.read(stream)
      stream.relieve(source: market, sequence: market.sequence)
    }
    for _ in 0..<100 {
      let message = market.step(instruments)
      history += message
      feed(message, stream, &batch)
    }
    reader.read(stream)
    let matching = history.filter { [5, 8, 9, 12].contains($0.kind) }
    let missing = matching.filter { !reader.live.contains($0) }
    XCTAssertGreaterThan(missing.count, 100)
    XCTAssertTrue(missing.allSatisfy { $0.kind == 5 }, "trust is never skipped")
    XCTAssertTrue(
      reader.texts.contains(
        #"{"type":"skipped","sub":1,"first_seq":\#(missing[0].sequence),"last_seq":\#(missing[missing.count - 1].sequence),"events":\#(missing.count)}"#
      ), "\(reader.texts.last ?? "") for \(missing.count)")
    XCTAssertEqual(UInt64(missing.count), stream.eventsShed)
    XCTAssertEqual(reader.violations, [])
  }

  /// What another subscription asks for without a policy is not left out.
  func testAFirmSubscriptionKeepsItsEvents() {
    let market = FakeMarket(seed: 9)
    _ = market.define(1)
    let stream = SubscriberStream(limits: limits, epoch: 1)
    var batch = MessageBatch()
    request(stream, market, #""channels":["trades"],"start":"live","on_slow":"skip""#)
    request(stream, market, #""channels":["trades","orders"],"start":"live""#)
    while !stream.overflowed { feed(market.step([1]), stream, &batch) }
    XCTAssertEqual(stream.eventsShed, 0)
  }

  func testAWarningComesOnceAnEpisode() {
    let market = FakeMarket(seed: 10)
    _ = market.define(1)
    let stream = SubscriberStream(limits: limits, epoch: 1)
    var batch = MessageBatch()
    var reader = StreamReader()
    request(stream, market, #""channels":["orders"],"start":"live","on_slow":"warn""#)
    for _ in 0..<2 {
      while stream.queue.used < 50_000 { feed(market.step([1]), stream, &batch) }
      reader.read(stream)
      stream.relieve(source: market, sequence: market.sequence)
    }
    XCTAssertEqual(reader.texts.filter { $0.hasPrefix(#"{"type":"slow","sub":1,"queued":"#) }.count, 2)
    XCTAssertEqual(stream.eventsShed, 0)
    XCTAssertEqual(reader.violations, [])
  }

  // MARK: Checksums

  func testTheChecksumIsTheKnownOne() {
    let nine = Array("123456789".utf8)
    XCTAssertEqual(nine.withUnsafeBytes { CRC32C.of($0) }, 0xE306_9283)
    let split = nine.withUnsafeBytes {
      CRC32C.of(
        UnsafeRawBufferPointer(rebasing: $0[4...]),
        after: CRC32C.of(UnsafeRawBufferPointer(rebasing: $0[..<4])))
    }
    XCTAssertEqual(split, 0xE306_9283)
  }

  /// Computed again from the orders that a client would hold.
  private func checksum(_ orders: [SnapshotOrder]) -> UInt32 {
    var bytes: [UInt8] = []
    for isSell in [false, true] {
      var levels: [(price: Int64, size: UInt64)] = []
      for order in orders where order.isSell == isSell {
        if levels.last?.price == order.price {
          levels[levels.count - 1].size += order.quantity
        } else {
          levels.append((order.price, order.quantity))
        }
      }
      for level in levels.prefix(10) {
        withUnsafeBytes(of: (level.price.littleEndian, level.size.littleEndian)) { bytes += Array($0) }
      }
    }
    return bytes.withUnsafeBytes { CRC32C.of($0) }
  }

  func testChecksumsComeWithSnapshotsAndInTurnWithHeartbeats() {
    let market = FakeMarket(seed: 11)
    let instruments = (UInt32(1)...200).map { $0 }
    for instrument in instruments { _ = market.define(instrument) }
    for _ in 0..<4000 { _ = market.step(instruments) }
    let stream = SubscriberStream(limits: SubscriberLimits(), epoch: 1)
    request(stream, market, #""channels":["orders"],"start":"snapshot","checksum":"heartbeat""#)
    stream.takeSnapshots(source: market, sequence: market.sequence)
    var reader = StreamReader()
    reader.read(stream)
    let live = instruments.filter { market.trust(instrument: $0).state == 0 }
    XCTAssertEqual(reader.checksums.map(\.instrument), live)
    for found in reader.checksums {
      XCTAssertEqual(
        found.crc32c, checksum(market.orders(found.instrument)), "instrument \(found.instrument)")
    }
    reader.checksums = []
    for _ in 0..<40 {
      stream.takeChecksums(source: market, sequence: market.sequence)
      reader.read(stream)
    }
    XCTAssertEqual(Set(reader.checksums.map(\.instrument)), Set(live), "each has its turn")
    XCTAssertLessThan(reader.checksums.count, 40 * 65)
    XCTAssertEqual(reader.violations, [])
  }
}

extension FakeMarket {
  /// The newest message at or before `sequence` in which an instrument had an event.
  func lastSequence(of instrument: UInt32, atOrBefore sequence: UInt64, _ history: [FakeEvent]) -> UInt64 {
    history.last { $0.instrument == instrument && $0.sequence <= sequence }?.sequence ?? 0
  }
}
