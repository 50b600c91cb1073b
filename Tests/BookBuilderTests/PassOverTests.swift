import BookBuilder
import FeedSim
import FeedWire
import OrderBook
import StageRecords
import XCTest

/// A message that is passed over is a gap of one, about as little as can be; and a replica may begin where a builder stands.
final class PassOverTests: XCTestCase {
  private static let capacity = BookCapacity(orders: 20_000, levels: 20_000, instruments: 64)

  private func day(_ seed: UInt64) throws -> MessageStore {
    try MessageStore(
      generating: DayGenerator(DayConfiguration(seed: seed, messages: 12_000, instruments: 40)))
  }

  /// Messages of every type, one after the other: the books stay as they are, the gap stands under the instrument that the
  /// message names, and no other one turns stale.
  func testOneInstrumentAlone() throws {
    let store = try day(9)
    var types: Set<UInt8> = []
    var builder = BookBuilder(capacity: Self.capacity, channel: 1)
    var batch = EventBatch()
    for index in 0..<store.count {
      let message = store.message(at: index)
      let sequence = UInt64(index) + 1
      let type = try XCTUnwrap(message.first)
      let locate = UInt32(message[1]) << 8 | UInt32(message[2])
      // Behind the first thousand every instrument is defined.
      guard index > 1_000, !types.contains(type), locate != 0,
        builder.instruments.trustState(locate) == .live
      else {
        builder.apply(sequence: sequence, receiveTime: 0, message: message, into: &batch)
        continue
      }
      types.insert(type)
      let books = builder.books.contentDigest()
      let lost = builder.counters.lost
      builder.passOver(
        sequence: sequence, message: message, reason: GapReason.poisonedInput.rawValue, receiveTime: 0,
        into: &batch)
      let remark = "type \(type), instrument \(locate)"
      XCTAssertEqual(builder.books.contentDigest(), books, remark)
      XCTAssertEqual(builder.counters.lost, lost + 1, remark)
      let events = batch.events()
      XCTAssertEqual(events.map(\.kind), [.gap, .trust], remark)
      XCTAssertEqual(events.map(\.header.instrument), [locate, locate], remark)
      XCTAssertEqual(events.map(\.header.sequence), [sequence, sequence], remark)
      XCTAssertEqual([0, 8, 16].map { events[0].word($0) }, [sequence, sequence, 10], remark)
      XCTAssertEqual(builder.instruments.trustState(locate), .stale, remark)
      XCTAssertEqual(builder.instruments.trustState(0), .live, remark)
    }
    XCTAssertGreaterThan(types.count, 4, "\(types)")
  }

  /// Bytes that are no message, or name an instrument that nobody has defined: the channel.
  func testWhatNamesNothing() throws {
    let bytes: [[UInt8]] = [
      [], [0x41], Array(repeating: 0xFF, count: 36), TestMessage.add(1, locate: 63),
      TestMessage.add(1, locate: 1) + [0],
    ]
    for message in bytes {
      var builder = BookBuilder(capacity: Self.capacity, channel: 1)
      _ = builder.applied(1, TestMessage.directory(locate: 1, symbol: "A"))
      var batch = EventBatch()
      message.withUnsafeBytes {
        builder.passOver(sequence: 2, message: $0, reason: 10, receiveTime: 0, into: &batch)
      }
      XCTAssertEqual(batch.events().map(\.header.instrument), [0, 0], "\(message)")
      XCTAssertEqual(builder.instruments.trustState(1), .stale, "\(message)")
    }
  }

  /// A replica that begins at any place of a day, from the builder's image there, takes every event behind it, and ends with
  /// the same books; with messages passed over before and after.
  func testAReplicaGoesOn() throws {
    let store = try day(10)
    let poison: Set<UInt64> = [2_000, 5_000, 9_000]
    for start in [1, 1_500, 4_999, 5_000, 8_000] as [UInt64] {
      var builder = BookBuilder(capacity: Self.capacity, channel: 1)
      var position = BookPosition(session: MoldUDP64Session(leading: 0, trailing: 0))
      var replica: BookReplica?
      var batch = EventBatch()
      for index in 0..<store.count {
        let sequence = UInt64(index) + 1
        if sequence == start {
          var image: [UInt8] = []
          let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 8)
          defer { chunk.deallocate() }
          builder.writeImage(at: position, through: chunk) { image.append(contentsOf: $0) }
          try image.withUnsafeBytes { bytes in
            let other = try BookBuilder.restored(from: bytes, capacity: Self.capacity)
            replica = BookReplica(continuing: other, at: position)
          }
        }
        let message = store.message(at: index)
        if poison.contains(sequence) {
          builder.passOver(sequence: sequence, message: message, reason: 10, receiveTime: 0, into: &batch)
        } else {
          builder.apply(sequence: sequence, receiveTime: 0, message: message, into: &batch)
        }
        position.advance(to: sequence + 1, events: batch)
        batch.forEach { kind, event in _ = replica?.apply(kind: kind, event: event) }
      }
      builder.endOfSession(next: UInt64(store.count) + 1, receiveTime: 0, into: &batch)
      batch.forEach { kind, event in _ = replica?.apply(kind: kind, event: event) }
      XCTAssertEqual(replica?.mismatchCount, 0, "from \(start)")
      XCTAssertEqual(replica?.books.contentDigest(), builder.books.contentDigest(), "from \(start)")
      XCTAssertEqual(replica?.lost, 3, "from \(start)")
    }
  }
}
