import BookBuilder
import FeedSim
import FeedWire
import Foundation
import OrderBook
import StageRecords
import XCTest

@testable import ShmRing
@testable import bulkhead

/// A generated day on the three kinds of ring, written as the stages write it.
struct SimulatedRings {
  static let messages = 4_000
  static let stamp: UInt64 = 1_700_000_000_000_000_000
  let fixture: ToolFixture
  private(set) var store: [[UInt8]] = []
  private(set) var packets: [(first: Int, count: Int, bytes: Int)] = []
  private(set) var events: [(kind: UInt8, bytes: [UInt8])] = []

  init(seed: UInt64) throws {
    fixture = try ToolFixture()
    let day = DayConfiguration(seed: seed, messages: UInt64(Self.messages), instruments: 8, plateau: 1_000)
    let store = try MessageStore(generating: DayGenerator(day))
    try fixture.makeRing("rx_a", cells: 16_384, maximumRecordBytes: 2_000)
    try fixture.makeRing("merged", cells: 16_384, maximumRecordBytes: 2_048)
    try fixture.makeRing("book", cells: 65_536, maximumRecordBytes: 2_048)
    try writePackets(store)
    var merged = try fixture.producer("merged")
    merged.put(
      MergedRecord.Kind.sessionStart, words(1) + Array("SESSION-1 ".utf8) + [UInt8](repeating: 0, count: 6))
    var builder = BookBuilder(
      capacity: BookCapacity(orders: 10_000, levels: 10_000, instruments: 16), channel: 3)
    var batch = EventBatch()
    for index in 0..<store.count {
      let message = Array(store.message(at: index))
      self.store.append(message)
      let sequence = UInt64(index) + 1
      merged.put(MergedRecord.Kind.message, words(sequence, Self.stamp + sequence) + message)
      store.message(at: index).withMemoryRebound(to: UInt8.self) {
        builder.apply(
          sequence: sequence, receiveTime: Self.stamp + sequence, message: UnsafeRawBufferPointer($0),
          into: &batch)
      }
      collect(batch)
    }
    let next = UInt64(store.count) + 1
    merged.put(
      MergedRecord.Kind.endOfSession, words(next) + Array("SESSION-1 ".utf8) + [UInt8](repeating: 0, count: 6)
    )
    builder.endOfSession(next: next, receiveTime: Self.stamp, into: &batch)
    collect(batch)
    var book = try fixture.producer("book")
    for event in events { book.put(event.kind, event.bytes) }
  }

  private mutating func collect(_ batch: borrowing EventBatch) {
    var collected: [(kind: UInt8, bytes: [UInt8])] = []
    batch.forEach { kind, event in collected.append((kind, Array(event))) }
    events += collected
  }

  private mutating func writePackets(_ store: borrowing MessageStore) throws {
    var producer = try fixture.producer("rx_a")
    var packetizer = Packetizer(policy: .full)
    let session = try XCTUnwrap(MoldUDP64Session("SESSION-1"))
    while let packet = packetizer.peek(store) {
      packetizer.advance()
      var datagram = [UInt8](repeating: 0, count: MoldUDP64.headerBytes)
      datagram.withUnsafeMutableBytes {
        MoldUDP64.writeHeader(
          session: session, sequence: UInt64(packet.first) + 1, count: UInt16(packet.count),
          to: $0.baseAddress!)
      }
      datagram += Array(store.blocks(from: packet.first, count: packet.count))
      packets.append((packet.first, packet.count, datagram.count))
      producer.put(PacketRecord.kind, words(Self.stamp) + datagram)
    }
    var heartbeat = [UInt8](repeating: 0, count: MoldUDP64.headerBytes)
    heartbeat.withUnsafeMutableBytes {
      MoldUDP64.writeHeartbeat(session: session, nextSequence: UInt64(store.count) + 1, to: $0.baseAddress!)
    }
    producer.put(PacketRecord.kind, words(0) + heartbeat)
  }
}

final class TapCommandTests: XCTestCase {
  // MARK: Real records

  func testPackets() throws {
    let day = try SimulatedRings(seed: 5)
    let result = try day.fixture.tap("rx_a")
    XCTAssertEqual(result.code, 0)
    XCTAssertEqual(result.lines.count, day.packets.count + 1)
    var position = 0
    for (packet, line) in zip(day.packets, result.lines) {
      let fields = line.split(separator: " ")
      XCTAssertGreaterThanOrEqual(Int(fields[0]) ?? -1, position)
      position = (Int(fields[0]) ?? 0) + (packet.bytes + 8 + 71) / 64
      XCTAssertEqual(
        fields.dropFirst().joined(separator: " "),
        "data receiveTime=2023-11-14T22:13:20.000000000Z session=SESSION-1 sequence=\(packet.first + 1) "
          + "count=\(packet.count) next=\(packet.first + packet.count + 1) bytes=\(packet.bytes)")
    }
    XCTAssertEqual(
      result.lines.last?.split(separator: " ").dropFirst().joined(separator: " "),
      "heartbeat receiveTime=none session=SESSION-1 sequence=4001 count=0 next=4001 bytes=20")
  }

  /// Every message of the day, with the fields that a second decoder reads from its bytes.
  func testMergedMessages() throws {
    let day = try SimulatedRings(seed: 6)
    let result = try day.fixture.tap("merged", "--json", "--hex")
    XCTAssertEqual(result.code, 0)
    XCTAssertEqual(result.lines.count, day.store.count + 2)
    var types: Set<UInt8> = []
    for (index, line) in result.lines.dropFirst().dropLast().enumerated() {
      let message = day.store[index]
      let object = try parseJSON(line)
      types.insert(message[0])
      XCTAssertEqual(object["schema"] as? String, "bulkhead.tap")
      XCTAssertEqual(object["ring"] as? String, "merged")
      XCTAssertEqual(object["kind"] as? String, "message")
      XCTAssertEqual(object["sequence"] as? Int, index + 1)
      XCTAssertEqual(object["receiveTime"] as? UInt64, SimulatedRings.stamp + UInt64(index) + 1)
      XCTAssertEqual(object["type"] as? String, String(Character(Unicode.Scalar(message[0]))))
      XCTAssertEqual(object["instrument"] as? Int, Int(message[1]) << 8 | Int(message[2]))
      XCTAssertEqual(object["venueTime"] as? Int, message[5..<11].reduce(0) { $0 << 8 | Int($1) })
      XCTAssertNil(object["malformed"])
      let hex = try XCTUnwrap(object["hex"] as? String)
      XCTAssertTrue(hex.hasSuffix(message.map { String(format: "%02x", $0) }.joined()), line)
      func number(_ range: Range<Int>) -> Int { message[range].reduce(0) { $0 << 8 | Int($1) } }
      switch message[0] {
      case UInt8(ascii: "A"), UInt8(ascii: "F"):
        XCTAssertEqual(object["reference"] as? Int, number(11..<19))
        XCTAssertEqual(object["shares"] as? Int, number(20..<24))
        XCTAssertEqual(object["price"] as? Int, number(32..<36))
        XCTAssertEqual(
          object["stock"] as? String,
          String(decoding: message[24..<32], as: UTF8.self).trimmingCharacters(in: .whitespaces))
      case UInt8(ascii: "U"):
        XCTAssertEqual(object["newReference"] as? Int, number(19..<27))
        XCTAssertEqual(object["price"] as? Int, number(31..<35))
      case UInt8(ascii: "E"), UInt8(ascii: "X"): XCTAssertEqual(object["shares"] as? Int, number(19..<23))
      default: break
      }
    }
    XCTAssertGreaterThan(types.count, 15)
    XCTAssertEqual(try parseJSON(result.lines[0])["session"] as? String, "SESSION-1")
    XCTAssertEqual(try parseJSON(result.lines[result.lines.count - 1])["next"] as? Int, 4001)
  }

  /// Every event of the day: identity and body, against the words that the book builder wrote.
  func testEvents() throws {
    let day = try SimulatedRings(seed: 7)
    let result = try day.fixture.tap("book", "--json")
    XCTAssertEqual(result.lines.count, day.events.count)
    var kinds: Set<UInt8> = []
    for (event, line) in zip(day.events, result.lines) {
      let object = try parseJSON(line)
      kinds.insert(event.kind)
      let header = event.bytes.withUnsafeBytes { BookEventHeader(from: $0.baseAddress!) }
      func word(_ offset: Int) -> UInt64 {
        event.bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 32 + offset, as: UInt64.self) }
      }
      XCTAssertEqual(object["kind"] as? String, BookEventKind(rawValue: event.kind).map { "\($0)" })
      XCTAssertEqual(object["channel"] as? Int, 3)
      XCTAssertEqual(object["sequence"] as? UInt64, header.sequence)
      XCTAssertEqual(object["index"] as? UInt16, header.index)
      XCTAssertEqual(object["instrument"] as? UInt32, header.instrument)
      XCTAssertEqual(object["venueTime"] as? UInt64, header.venueTime)
      let flags = try XCTUnwrap(object["flags"] as? [String])
      XCTAssertEqual(flags.contains("last"), header.flags & EventFlags.last != 0)
      let expected: [String: Int]
      switch BookEventKind(rawValue: event.kind) {
      case .orderAdd, .orderDelete:
        expected = ["reference": 0, "price": 8, "quantity": 16]
        XCTAssertEqual(object["side"] as? String, header.flags & EventFlags.sell != 0 ? "sell" : "buy")
      case .orderReduce: expected = ["reference": 0, "remaining": 8, "reducedBy": 16]
      case .orderExecute:
        expected = ["reference": 0, "price": 8, "executed": 16, "remaining": 24, "match": 32]
      case .level: expected = ["price": 0, "size": 8, "orders": 16]
      case .bestPrices: expected = ["bidPrice": 0, "bidSize": 8, "askPrice": 16, "askSize": 24]
      case .trade: expected = ["price": 0, "quantity": 8, "match": 16]
      case .tradeBroken: expected = ["match": 0]
      case .endOfSession: expected = ["applied": 0, "lost": 8]
      default: expected = [:]
      }
      for (name, offset) in expected {
        XCTAssertEqual(object[name] as? UInt64, word(offset), "\(name): \(line)")
      }
      XCTAssertNil(object["malformed"], line)
    }
    XCTAssertGreaterThanOrEqual(kinds.count, 10, "\(kinds)")
  }

  // MARK: Where to start, what to show

  func testStartAndCount() throws {
    let fixture = try ToolFixture()
    try fixture.makeRing("other", cells: 64)
    var producer = try fixture.producer("other")
    producer.putCells(100)
    func positions(_ lines: [String]) -> [Int] { lines.compactMap { Int($0.split(separator: " ")[0]) } }
    XCTAssertEqual(positions(try fixture.tap("other").lines), Array(37..<100))
    XCTAssertEqual(
      positions(try fixture.tap("other", "--from", "oldest", "--count", "3").lines), [37, 38, 39])
    XCTAssertEqual(positions(try fixture.tap("other", "--from", "newest").lines), [99])
    XCTAssertEqual(
      positions(try fixture.tap("other", "--from", "newest", "--count", "5").lines), Array(95..<100))
    XCTAssertEqual(
      positions(try fixture.tap("other", "--from", "newest", "--count", "500").lines), Array(37..<100))
    XCTAssertEqual(positions(try fixture.tap("other", "--from", "98").lines), [98, 99])
    XCTAssertEqual(positions(try fixture.tap("other", "--from", "100").lines), [])
    XCTAssertEqual(
      try fixture.tap("other", "--from", "12", "--count", "1").lines,
      [
        "37 lapped from=12 to=37 cells=25", "37 unknown recordKind=1 bytes=9 hex=7265636f7264203337",
      ])
    let lap = try parseJSON(try fixture.tap("other", "--from", "12", "--json", "--count", "1").lines[0])
    XCTAssertEqual(lap["kind"] as? String, "lapped")
    XCTAssertEqual([lap["from"], lap["to"], lap["cells"]].map { $0 as? Int }, [12, 37, 25])
    let beyond = try fixture.tap("other", "--from", "101")
    XCTAssertEqual(beyond.code, 1)
    XCTAssertEqual(beyond.said, ["position 101 is not written yet; the newest record ends at 100"])
    XCTAssertEqual(positions(try fixture.tap(fixture.path("other"), "--count", "1").lines), [37])
  }

  func testKinds() throws {
    let day = try SimulatedRings(seed: 8)
    let adds = try day.fixture.tap("book", "--kind", "orderAdd").lines
    XCTAssertEqual(adds.count, day.events.filter { $0.kind == BookEventKind.orderAdd.rawValue }.count)
    XCTAssertTrue(adds.allSatisfy { $0.contains(" orderAdd ") })
    let last = try day.fixture.tap("book", "--kind", "orderAdd", "--from", "newest", "--count", "7").lines
    XCTAssertEqual(last, adds.suffix(7))
    let both = try day.fixture.tap("merged", "--kind", "D", "--kind", "orderReplace").lines.count
    XCTAssertEqual(both, day.store.filter { $0[0] == UInt8(ascii: "D") || $0[0] == UInt8(ascii: "U") }.count)
    XCTAssertGreaterThan(both, 0)
    XCTAssertEqual(try day.fixture.tap("rx_a", "--kind", "heartbeat").lines.count, 1)
    let unknown = try day.fixture.tap("book", "--kind", "orderad")
    XCTAssertEqual(unknown.code, 64)
    XCTAssertTrue(unknown.said[0].contains("orderAdd"), "\(unknown.said)")
  }

  /// A follower shows what comes, in order and once, and ends when the set's files go.
  func testFollow() throws {
    let fixture = try ToolFixture()
    try fixture.makeRing("other", cells: 4096)
    let started = try fixture.producer("other").epoch
    XCTAssertEqual(started, 1)
    let finished = DispatchSemaphore(value: 0)
    let writer = Thread {
      do {
        var producer = try fixture.producer("other")
        for number in 0..<3000 { producer.put(7, words(UInt64(number))) }
        unlink(fixture.path("other"))
        // A follower that does not notice is stopped, so that this fails instead of hanging.
        if finished.wait(timeout: .now() + 60) == .timedOut { kill(getpid(), SIGTERM) }
      } catch { XCTFail("\(error)") }
    }
    let sink = Sink()
    var session = TapSession(
      ring: try RingObserver.attach(path: fixture.path("other")),
      options: try TapOptions.parse(["other", "--follow", "--from", "oldest"]), output: sink.output)
    writer.start()
    let failure = session.run { _ in }
    finished.signal()
    XCTAssertEqual(failure, TapFailure(code: 3, line: "\(fixture.path("other")) was removed or made anew"))
    XCTAssertEqual(sink.lines.count, 3000)
    for (number, line) in sink.lines.enumerated() {
      let hex = words(UInt64(number)).map { String(format: "%02x", $0) }.joined()
      XCTAssertEqual(line, "\(number) unknown recordKind=7 bytes=8 hex=\(hex)")
    }
  }

  /// A follower that is slower than the producer says exactly what it missed: what it shows and what it lost are
  /// together every cell.
  func testFollowedLapsAreExact() throws {
    let fixture = try ToolFixture()
    try fixture.makeRing("other", cells: 64)
    var producer = try fixture.producer("other")
    let options = try TapOptions.parse(["other", "--follow", "--from", "oldest", "--count", "1000"])
    var text = ""
    var random = SeededGenerator(state: 11)
    let output = LineOutput { bytes in
      text += String(decoding: bytes, as: UTF8.self)
      return true
    }
    var session = TapSession(
      ring: try RingObserver.attach(path: fixture.path("other")), options: options, output: output)
    producer.putCells(10)
    var next = 0
    while session.shown < 1000 {
      _ = session.step()
      if Int.random(in: 0..<4, using: &random) == 0 {
        producer.putCells(Int.random(in: 0...90, using: &random))
      }
    }
    output.flush()
    var laps = 0
    for line in text.split(separator: "\n") {
      let fields = line.split(separator: " ")
      if fields[1] == "lapped" {
        laps += 1
        XCTAssertEqual(fields[2], "from=\(next)")
        next = Int(fields[3].dropFirst(3)) ?? -1
      } else {
        XCTAssertEqual(Int(fields[0]), next)
        next += 1
      }
    }
    XCTAssertGreaterThan(laps, 10)
  }

  // MARK: Refusals

  func testAnotherLayoutVersionIsRefusedByBoth() throws {
    let fixture = try ToolFixture()
    try fixture.makeRing("book")
    try fixture.scribble([2, 0, 0, 0], "book.ring", at: RingLayout.versionOffset)
    let result = try fixture.tap("book")
    XCTAssertEqual(result.code, 4)
    XCTAssertTrue(result.said[0].contains("layout version 2, this program reads version 1"), "\(result.said)")
  }

  func testDamagedHeadersAreRefusedByField() throws {
    let damages: [(offset: Int, bytes: [UInt8], says: String)] = [
      (RingLayout.magicOffset, [0], "not a ring"), (RingLayout.kindOffset, [3, 0, 0, 0], "`kind` is 3"),
      (RingLayout.kindOffset, [9, 0, 0, 0], "`kind` is 9"),
      (RingLayout.byteOrderOffset, [1, 2, 3, 4], "`byte order`"),
      (RingLayout.cellBytesOffset, [128, 0, 0, 0], "`cell bytes` is 128"),
      (RingLayout.cellCountOffset, [0, 0, 0, 0], "`cells` is 0"),
      (RingLayout.cellCountOffset, [255, 255, 255, 255, 255, 255, 255, 255], "`cells`"),
      (RingLayout.segmentCellsOffset, [3], "`segment cells` is 3"),
      (RingLayout.segmentCellsOffset, [0, 0, 0, 0, 0, 0, 0, 0x80], "`segment cells`"),
      (RingLayout.dataOffsetOffset, [1], "`data offset`"), (RingLayout.fileBytesOffset, [1], "`file bytes`"),
      (RingLayout.claimedOffset, [200, 1], "`claimed position`"),
    ]
    for damage in damages {
      let fixture = try ToolFixture()
      try fixture.makeRing("book")
      try fixture.scribble(damage.bytes, "book.ring", at: damage.offset)
      let result = try fixture.tap("book")
      XCTAssertEqual(result.code, 4, "\(damage)")
      XCTAssertTrue(result.said[0].contains(damage.says), "\(damage): \(result.said)")
      XCTAssertEqual(result.lines, [])
    }
  }

  /// A hole in what is published is said, and not taken for the end.
  func testDamagedRecordIsSaid() throws {
    let fixture = try ToolFixture()
    try fixture.makeRing("other")
    var producer = try fixture.producer("other")
    producer.putCells(10)
    try fixture.scribble(0, "other.ring", at: RingLayout.headerBytes + 4 * 64)
    let result = try fixture.tap("other")
    XCTAssertEqual(result.code, 4)
    XCTAssertEqual(result.lines.count, 4)
    XCTAssertEqual(
      result.said, ["no record at position 4, though 10 is published: the ring is damaged there"])
  }

  func testSetsAndRingsAreFound() throws {
    let fixture = try ToolFixture()
    XCTAssertEqual(try fixture.tap("book").code, 3)
    try fixture.makeRing("book")
    XCTAssertEqual(try fixture.tap("book").code, 0)
    XCTAssertEqual(try fixture.tap("book", "--name", "demo").code, 0)
    XCTAssertEqual(try fixture.tap("book", "--name", "other").code, 3)
    let unknown = try fixture.tap("boook")
    XCTAssertEqual(unknown.code, 3)
    XCTAssertEqual(unknown.said, ["no ring \"boook\"; there are: book"])
    XCTAssertEqual(try fixture.tap("\(fixture.directory)/none.ring").code, 3)
    try FileManager.default.createDirectory(
      atPath: "\(fixture.runDirectory)/second", withIntermediateDirectories: true)
    try FileManager.default.copyItem(
      atPath: fixture.path("book"), toPath: "\(fixture.runDirectory)/second/book.ring")
    let two = try fixture.tap("book")
    XCTAssertEqual(two.code, 64)
    XCTAssertEqual(two.said, ["several sets have a ring \"book\": --name one of demo, second"])
    XCTAssertEqual(try fixture.tap("book", "--name", "second").code, 0)
  }

  func testArguments() throws {
    let wrong: [[String]] = [
      [], ["a", "b"], ["--from"], ["a", "--from", "x"], ["a", "--from", "-1"], ["a", "--count", "0"],
      ["a", "--count", "x"], ["a", "--kind"], ["a", "-x"], ["a", "--follow=1"],
    ]
    for arguments in wrong { XCTAssertEqual(CommandTable.dispatch(["tap"] + arguments), 64, "\(arguments)") }
    let all = try TapOptions.parse([
      "book", "--from", "12", "--count", "4", "--follow", "--hex", "--json", "--kind", "a", "--kind", "b",
    ])
    XCTAssertEqual(all.start, .position(12))
    XCTAssertEqual(all.count, 4)
    XCTAssertTrue(all.follow && all.hex && all.set.json)
    XCTAssertEqual(all.kinds, ["a", "b"])
  }
}
