import StageRecords
import XCTest

@testable import PublishWire

final class FrameTests: XCTestCase {
  private func hex(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  private func bytes(_ hex: String) -> [UInt8] {
    let digits = Array(hex.filter { !$0.isWhitespace })
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(String(digits[$0...$0 + 1]), radix: 16) ?? 0 }
  }

  /// Everything that a stream puts into its queue, as bytes.
  private func drain(_ stream: SubscriberStream) -> [[UInt8]] {
    var messages: [[UInt8]] = []
    while let (_, payload, count) = stream.queue.first() {
      messages.append(Array(UnsafeRawBufferPointer(start: payload, count: count)))
      stream.queue.removeFirst(bytes: count)
    }
    return messages
  }

  private func stream(_ market: FakeMarket, _ channels: String, start: String) -> SubscriberStream {
    let stream = SubscriberStream(limits: SubscriberLimits(), epoch: 0x0102_0304)
    let text = #"{"op":"subscribe","id":1,"symbols":["SYM5"],"channels":[\#(channels)],"start":"\#(start)"}"#
    Array(text.utf8).withUnsafeBytes {
      stream.request($0, source: market, StreamState(sequence: market.sequence))
    }
    return stream
  }

  // The bytes on the wire are a promise to clients in the field: within protocol 1 blocks only grow at their end.

  func testGoldenEventsFrame() throws {
    let market = FakeMarket(seed: 1)
    _ = market.define(5)
    let stream = stream(market, #""orders""#, start: "live")
    _ = drain(stream)
    var batch = MessageBatch()
    for (sequence, reference) in [(UInt64(0x11), UInt64(0xA1)), (0x12, 0xA2)] {
      let event = EventBytes.make(
        sequence: sequence, instrument: 5, flags: 3, index: 0, body: [reference, 1_234_500, 300])
      event.withUnsafeBytes { XCTAssertTrue(batch.append(kind: 2, event: $0)) }
      stream.append(batch)
      batch.removeAll()
    }
    let frames = drain(stream)
    XCTAssertEqual(frames.count, 1)
    XCTAssertEqual(
      hex(frames[0]),
      """
      424b 0000 0100 0100 04030201 0000 0200 1200000000000000 0000000000000000
      3800 02 0000000000 1100000000000000 6842000000000000 0700000000000000 05000000 0000 03 03
      a100000000000000 44d6120000000000 2c01000000000000
      3800 02 0000000000 1200000000000000 5046000000000000 0700000000000000 05000000 0000 03 03
      a200000000000000 44d6120000000000 2c01000000000000
      """.filter { !$0.isWhitespace })
  }

  func testGoldenHeartbeatAndStatusFrames() {
    let stream = SubscriberStream(limits: SubscriberLimits(), epoch: 41)
    stream.heartbeat(sequence: 0x99, serverTime: 0x1122_3344_5566_7788, input: .catchingUp)
    stream.status(
      sequence: 0x9A, InputStatus(input: InputState.stale.rawValue, serverTime: 0x0A, first: 0x55))
    let frames = drain(stream).map(hex)
    XCTAssertEqual(
      frames,
      [
        """
        424b 1000 0500 0100 29000000 0000 0000 9900000000000000 0000000000000000
        8877665544332211 02 00000000000000
        """,
        """
        424b 2800 0600 0100 29000000 0000 0000 9a00000000000000 9900000000000000
        01 00000000000000 0a00000000000000 00000000 00000000 5500000000000000 0000000000000000
        """,
      ].map { $0.filter { !$0.isWhitespace } })
  }

  func testGoldenSnapshotFrames() {
    let market = FakeMarket(seed: 1)
    _ = market.define(5)
    // Seed 1 makes this first message an add; the literal below is the check.
    while market.orderCount(instrument: 5) == 0 { _ = market.step([5]) }
    let stream = stream(market, #""orders","bbo""#, start: "snapshot")
    stream.takeSnapshots(source: market, sequence: market.sequence)
    let frames = drain(stream)
    XCTAssertEqual(frames.count, 5)  // subscribed, begin, orders, end, caught_up
    guard frames.count == 5, let order = market.orders(5).first else { return }
    XCTAssertEqual(
      order, SnapshotOrder(isSell: order.isSell, price: order.price, quantity: order.quantity, reference: 1))
    XCTAssertEqual(
      hex(frames[1]),
      """
      424b 1800 0200 0100 04030201 0000 0000 0200000000000000 0000000000000000
      01000000 05000000 0100000000000000 0200000000000000
      """.filter { !$0.isWhitespace })
    XCTAssertEqual(
      hex(frames[3]),
      """
      424b 1800 0400 0100 04030201 0000 0000 0200000000000000 0200000000000000
      01000000 05000000 0100000000000000 0400000000000000
      """.filter { !$0.isWhitespace })
    let orders = try? frames[2].withUnsafeBytes { bytes in
      var kinds: [UInt8] = []
      try DecodedFrame(bytes).forEach { kinds.append($0.kind) }
      return kinds
    }
    XCTAssertEqual(orders, [1, 12, 2, 7])  // definition, trust, orderAdd, bestPrices
    XCTAssertEqual(
      String(decoding: frames[4], as: UTF8.self),
      #"{"type":"caught_up","sub":1,"instruments":1,"orders":1,"seq":2,"records":4,"xxh64":"e29138ba045cedad"}"#
    )
  }

  func testFramesOfTheFirstPublishersAreStillRead() throws {
    let begin = bytes(
      "424b 1000 0200 0100 04030201 0000 0000 0200000000000000 0000000000000000 01000000 05000000 0100000000000000"
    )
    let status = bytes(
      "424b 1000 0600 0100 29000000 0000 0000 9a00000000000000 9900000000000000 01 00000000000000 0a00000000000000"
    )
    try begin.withUnsafeBytes {
      XCTAssertEqual(
        try DecodedFrame($0).block, .snapshotBegin(SnapshotBegin(subscription: 1, instrument: 5, orders: 1)))
    }
    try status.withUnsafeBytes {
      XCTAssertEqual(try DecodedFrame($0).block, .status(InputStatus(input: 1, serverTime: 10)))
    }
  }

  func testEveryKindTravelsOnSomeChannel() {
    for kind in BookEventKind.allCases {
      XCTAssertFalse(EventChannels.carrying(kind.rawValue).isEmpty, "\(kind)")
    }
    XCTAssertEqual(EventChannels.carrying(BookEventKind.orderExecute.rawValue), [.orders, .trades])
    XCTAssertEqual(EventChannels.carrying(BookEventKind.trust.rawValue), .always)
    XCTAssertEqual(EventChannels.carrying(200), [])
  }

  // MARK: Decoder

  private func decode(_ bytes: [UInt8]) -> Result<FrameHeader, FrameError> {
    bytes.withUnsafeBytes { raw in
      do throws(FrameError) {
        let frame = try DecodedFrame(raw)
        var total = 0
        frame.forEach { total += $0.body.count + Int($0.header.index) }
        return .success(frame.header)
      } catch {
        return .failure(error)
      }
    }
  }

  private var sample: [UInt8] {
    bytes(
      """
      424b 0000 0100 0100 29000000 0000 0100 1100000000000000 1000000000000000
      3800 02 0000000000 1100000000000000 0000000000000000 0000000000000000 05000000 0000 03 03
      a100000000000000 44d6120000000000 2c01000000000000
      """)
  }

  func testDecoderNamesEveryDefect() {
    func changed(_ offset: Int, _ value: UInt8) -> [UInt8] {
      var frame = sample
      frame[offset] = value
      return frame
    }
    XCTAssertNoThrow(try decode(sample).get())
    let cases: [(String, [UInt8], FrameError)] = [
      ("empty", [], .truncatedHeader(bytes: 0)),
      ("31 bytes", Array(sample.prefix(31)), .truncatedHeader(bytes: 31)),
      ("magic", changed(0, 0x41), .wrongMagic(0x4B41)),
      ("version 0", changed(6, 0), .unsupportedSchemaVersion(0)),
      ("block beyond the end", changed(3, 0xFF), .truncatedBlock(declared: 0xFF00, available: 64)),
      ("a heartbeat without block", changed(4, 5), .shortBlock(template: 5, declared: 0, needed: 16)),
      ("one entry too many", changed(14, 2), .truncatedEntry(index: 1)),
      ("no entry", changed(14, 0), .trailingBytes(64)),
      ("entry without header", changed(32, 31), .shortEntry(index: 0, declared: 31)),
      ("entry with a short body", changed(32, 55), .shortBody(index: 0, kind: 2, declared: 55)),
      ("entry beyond the end", changed(33, 1), .truncatedEntry(index: 0)),
      ("last byte missing", Array(sample.dropLast()), .truncatedEntry(index: 0)),
      ("a byte too many", sample + [0], .trailingBytes(1)),
    ]
    for (name, frame, error) in cases {
      XCTAssertEqual(decode(frame), .failure(error), name)
    }
  }

  func testDecoderAcceptsWhatLaterVersionsMayAdd() throws {
    var longerBlock = sample
    longerBlock[2] = 8
    longerBlock.insert(contentsOf: [UInt8](repeating: 9, count: 8), at: 32)
    XCTAssertNoThrow(try decode(longerBlock).get())
    var newTemplate = sample
    newTemplate[4] = 77
    XCTAssertNoThrow(try decode(newTemplate).get())
    var newKind = sample
    newKind[34] = 99
    XCTAssertNoThrow(try decode(newKind).get())
    var laterVersion = sample
    laterVersion[6] = 2
    XCTAssertNoThrow(try decode(laterVersion).get())
  }

  func testMutatedFramesNeverTrap() {
    let seed: UInt64 = 0xF4A3E
    var generator = SeededGenerator(seed: seed)
    var heartbeat = [UInt8](repeating: 0, count: 48)
    heartbeat.withUnsafeMutableBytes { target in
      guard let base = target.baseAddress else { return }
      FrameHeader(template: .heartbeat, blockLength: 16, epoch: 1, sequence: 1, previousSequence: 0).write(
        to: base)
    }
    let samples = [sample, sample.prefix(32) + sample.suffix(64) + sample.suffix(64), heartbeat]
    var accepted = 0
    for _ in 0..<100_000 {
      var frame = samples[Int.random(in: 0..<samples.count, using: &generator)]
      for _ in 0..<Int.random(in: 1...4, using: &generator) where !frame.isEmpty {
        switch Int.random(in: 0..<4, using: &generator) {
        case 0: frame.removeLast(Int.random(in: 0...min(40, frame.count), using: &generator))
        case 1: frame += [UInt8](repeating: .random(in: 0...255, using: &generator), count: 3)
        default:
          let offset = Int.random(in: 0..<min(frame.count, 48), using: &generator)
          frame[offset] = .random(in: 0...255, using: &generator)
        }
      }
      if case .success = decode(frame) { accepted += 1 }
    }
    // Both outcomes must occur, or the mutation is too weak or too strong to mean anything.
    XCTAssertGreaterThan(accepted, 5_000, "seed \(seed)")
    XCTAssertLessThan(accepted, 95_000, "seed \(seed)")
  }

  func testSymbolsPackAndUnpack() {
    XCTAssertEqual(PackedSymbol.pack("AAPL".utf8).map(PackedSymbol.text), "AAPL")
    XCTAssertEqual(PackedSymbol.pack("BRK.A".utf8).map(PackedSymbol.text), "BRK.A")
    XCTAssertEqual(PackedSymbol.pack("ABCDEFGH".utf8).map(PackedSymbol.text), "ABCDEFGH")
    for bad in ["", "ABCDEFGHI", "A B", "Ä", "A\u{7F}"] { XCTAssertNil(PackedSymbol.pack(bad.utf8), bad) }
    XCTAssertEqual(PackedSymbol.text(0x2020_2020_2020_2020), "")
  }
}
