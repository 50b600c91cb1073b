import BookBuilder
import FeedSim
import FeedWire
import OrderBook
import StageRecords
import StreamDigest
import XCTest

/// A state written, read back and carried on: the same stream, the same books, the same bytes.
final class BookImageTests: XCTestCase {
  typealias Step = ImageSteps.Step

  /// Random lives with wrong messages, gaps, definitions, halts and full tables.
  func testRandomDaysGoOnIdenticallyFromRandomPositions() throws {
    for seed in 71...73 as ClosedRange<UInt64> {
      var day = RandomDayTests.Day(seed: seed, instruments: 40, wrongEvery: 40)
      var generator = SeededGenerator(seed: seed)
      var steps: [Step] = []
      for sequence in 1...6_000 as ClosedRange<UInt64> {
        let locate = UInt16.random(in: 1...40, using: &generator)
        switch Int.random(in: 0..<300, using: &generator) {
        case 0 where sequence > 4_000: steps.append(.gap)
        case 1: steps.append(.message(TestMessage.directory(locate: locate, symbol: "S\(locate)")))
        case 2: steps.append(.message(ImageSteps.halt(locate, "H", &generator)))
        case 3: steps.append(.message(ImageSteps.halt(locate, "h", &generator)))
        default: steps.append(.message(day.next()))
        }
      }
      try check(
        steps, seed: seed, capacity: BookCapacity(orders: 250, levels: 200, instruments: 38), positions: 8)
    }
  }

  /// A generated day with every message type.
  func testAGeneratedDayGoesOnIdenticallyFromRandomPositions() throws {
    var steps: [Step] = []
    var day = try DayGenerator(
      DayConfiguration(seed: 5, messages: 60_000, instruments: 60, plateau: 2_000, mix: .nasdaq))
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 128, alignment: 8)
    defer { bytes.deallocate() }
    while let base = bytes.baseAddress, let count = day.next(into: base) {
      steps.append(.message(Array(bytes[0..<count])))
    }
    try check(
      steps, seed: 5, capacity: BookCapacity(orders: 5_000, levels: 5_000, instruments: 100), positions: 8)
  }

  /// One run to the end, which leaves images and, for each, the digest of what came behind it; then every image
  /// restored and carried to the end.
  private func check(_ steps: [Step], seed: UInt64, capacity: BookCapacity, positions: Int) throws {
    var generator = SeededGenerator(seed: seed &+ 1_000)
    let marks = Set(
      [0, steps.count] + (0..<positions).map { _ in Int.random(in: 0..<steps.count, using: &generator) })
    var run = ImageSteps(BookBuilder(capacity: capacity, channel: 9))
    var images: [(step: Int, bytes: [UInt8], rest: RestDigest)] = []
    for (index, step) in steps.enumerated() {
      if marks.contains(index) { images.append((index, run.image(), RestDigest())) }
      run.take(step)
      for image in images { image.rest.digest.update(run.batch) }
    }
    images.append((steps.count, run.image(), RestDigest()))
    let end = run.image()
    for image in images {
      let text = "seed \(seed), image before step \(image.step)"
      var other = try ImageSteps.restored(image.bytes, capacity)
      XCTAssertEqual(other.image(), image.bytes, "\(text): written again")
      XCTAssertNil(other.builder.books.checkInvariants(), text)
      var digest = StreamDigest()
      for step in steps[image.step...] {
        other.take(step)
        digest.update(other.batch)
      }
      XCTAssertEqual(digest.value, image.rest.digest.value, "\(text): stream digest")
      XCTAssertEqual(digest.eventCount, image.rest.digest.eventCount, text)
      XCTAssertEqual(
        other.builder.books.contentDigest(), run.builder.books.contentDigest(), "\(text): book digest")
      XCTAssertEqual(other.image(), end, "\(text): the image at the end")
      let counters = run.builder.counters
      XCTAssertEqual(other.builder.counters.rejected, counters.rejected, text)
      XCTAssertEqual(other.builder.counters.events, counters.events, text)
      XCTAssertEqual(other.builder.instruments.definedCount, run.builder.instruments.definedCount, text)
      for instrument in 0..<UInt32(80) {
        XCTAssertEqual(
          other.builder.instruments.definition(instrument), run.builder.instruments.definition(instrument))
        XCTAssertEqual(
          other.builder.instruments.tradingStatus(instrument),
          run.builder.instruments.tradingStatus(instrument))
        XCTAssertEqual(
          other.builder.instruments.trustReason(instrument), run.builder.instruments.trustReason(instrument))
      }
    }
  }

  func testTheSummarySaysWhatTheStateIs() throws {
    var run = ImageSteps(BookBuilder(capacity: ImageSteps.capacity, channel: 9))
    let empty = try summary(run.image())
    XCTAssertNil(empty.position.newestEvent)
    XCTAssertEqual(empty.position.nextSequence, 1)
    XCTAssertEqual([empty.instruments, empty.levels, empty.orders], [0, 0, 0])
    run.take(.message(TestMessage.directory(locate: 7, symbol: "AAPL")))
    run.take(.message(TestMessage.add(1, locate: 7)))
    run.take(.message(TestMessage.add(2, locate: 7)))
    run.take(.message([]))
    let image = try summary(run.image())
    XCTAssertEqual(image.position.session.text, "DAY 1")
    XCTAssertEqual(image.position.nextSequence, 5)
    // The second add: order, level, best prices. The empty message made none.
    XCTAssertEqual(image.position.newestEvent, EventIdentity(sequence: 3, index: 2))
    XCTAssertEqual(image.channel, 9)
    XCTAssertEqual([image.instruments, image.levels, image.orders], [1, 1, 2])
    XCTAssertEqual(image.bookDigest, run.builder.books.contentDigest())
  }

  /// Equal states have equal images, whatever the way there, and whatever the capacity.
  func testAnImageDependsOnTheStateAlone() {
    let adds = (1...12 as ClosedRange<UInt64>).map { reference in
      TestMessage.add(
        reference, locate: UInt16(reference % 3 + 1), side: reference % 2 == 0 ? "B" : "S",
        price: UInt32(10_000 + reference / 6))
    }
    var one = ImageSteps(BookBuilder(capacity: ImageSteps.capacity, channel: 9))
    for add in adds { one.take(.message(add)) }
    var other = ImageSteps(
      BookBuilder(capacity: BookCapacity(orders: 64, levels: 64, instruments: 4), channel: 9))
    // Instruments one after the other; within each level the order of arrival stays.
    for locate in [3, 1, 2] as [UInt8] {
      for add in adds where add[2] == locate { other.take(.message(add)) }
    }
    other.position = one.position
    XCTAssertEqual(one.image(), other.image())
    other.take(.message(TestMessage.cancel(12, locate: 1, shares: 1)))
    other.position = one.position
    XCTAssertNotEqual(one.image(), other.image())
  }

  func testPiecesOfAnySizeAndASinkThatFails() {
    struct Full: Error, Equatable {}
    var run = ImageSteps(BookBuilder(capacity: ImageSteps.capacity, channel: 9))
    for reference in 1...50 as ClosedRange<UInt64> {
      run.take(.message(TestMessage.add(reference, locate: 2, price: UInt32(reference))))
    }
    let image = run.image()
    XCTAssertEqual(run.builder.imageBytes, image.count)
    for bytes in [8, 9, 24, 4_096, 1 << 20] {
      let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes, alignment: 8)
      defer { chunk.deallocate() }
      var written: [UInt8] = []
      run.builder.writeImage(at: run.position, through: chunk) { piece in
        XCTAssertLessThanOrEqual(piece.count, bytes)
        written += piece
      }
      XCTAssertEqual(written, image, "pieces of \(bytes)")
    }
    let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 64, alignment: 8)
    defer { chunk.deallocate() }
    var pieces = 0
    XCTAssertThrowsError(
      try run.builder.writeImage(at: run.position, through: chunk) { _ throws(Full) in
        pieces += 1
        if pieces == 3 { throw Full() }
      }
    ) { XCTAssertEqual($0 as? Full, Full()) }
    XCTAssertEqual(pieces, 3)
  }

  private func summary(_ image: [UInt8]) throws -> BookImageSummary {
    try ImageSteps.summary(image)
  }
}

/// The digest of the events behind an image.
private final class RestDigest {
  var digest = StreamDigest()
}

/// A builder, and where in its stream it is.
struct ImageSteps: ~Copyable {
  enum Step {
    case message([UInt8])
    /// Two numbers are lost.
    case gap
  }

  static let capacity = BookCapacity(orders: 1_000, levels: 1_000, instruments: 100)
  var builder: BookBuilder
  var batch = EventBatch()
  var position = BookPosition(session: MoldUDP64Session("DAY 1") ?? MoldUDP64Session(leading: 1, trailing: 1))

  init(_ builder: consuming BookBuilder) { self.builder = builder }

  static func restored(_ image: [UInt8], _ capacity: BookCapacity) throws(BookImageError) -> ImageSteps {
    let position = try summary(image).position
    var steps = ImageSteps(try restore(image, capacity))
    steps.position = position
    return steps
  }

  /// From an odd address: no alignment is promised.
  private static func moved(_ image: [UInt8]) -> UnsafeMutableRawBufferPointer {
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: image.count + 1, alignment: 8)
    UnsafeMutableRawBufferPointer(rebasing: bytes[1...]).copyBytes(from: image)
    return bytes
  }

  static func restore(_ image: [UInt8], _ capacity: BookCapacity) throws(BookImageError) -> BookBuilder {
    let bytes = moved(image)
    defer { bytes.deallocate() }
    return try BookBuilder.restored(from: UnsafeRawBufferPointer(rebasing: bytes[1...]), capacity: capacity)
  }

  static func summary(_ image: [UInt8]) throws(BookImageError) -> BookImageSummary {
    let bytes = moved(image)
    defer { bytes.deallocate() }
    return try BookImage.summary(of: UnsafeRawBufferPointer(rebasing: bytes[1...]))
  }

  mutating func take(_ step: Step) {
    let sequence = position.nextSequence
    switch step {
    case .message(let message):
      message.withUnsafeBytes {
        builder.apply(sequence: sequence, receiveTime: 5, message: $0, into: &batch)
      }
      position.advance(to: sequence + 1, events: batch)
    case .gap:
      builder.gap(first: sequence, last: sequence + 1, reason: 2, receiveTime: 5, into: &batch)
      position.advance(to: sequence + 2, events: batch)
    }
  }

  func image() -> [UInt8] {
    let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 1_000, alignment: 8)
    defer { chunk.deallocate() }
    var image: [UInt8] = []
    builder.writeImage(at: position, through: chunk) { image += $0 }
    return image
  }

  /// A trading action or an operational halt.
  static func halt(_ locate: UInt16, _ type: Character, _ generator: inout SeededGenerator) -> [UInt8] {
    var message = MessageBytes(type, locate: locate)
    message.put("S\(locate)", width: 8)
    if type == "H" {
      message.put(String("HPQT".randomElement(using: &generator) ?? "H"), width: 1)
      message.put(" LUDP", width: 5)
    } else {
      message.put(String("QBX".randomElement(using: &generator) ?? "Q"), width: 1)
      message.put(Bool.random(using: &generator) ? "H" : "T", width: 1)
    }
    return message.bytes
  }
}
