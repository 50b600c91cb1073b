import FeedWire
import Foundation
import StageRecords
import XCTest

@testable import SetInspection
@testable import ShmRing
@testable import bulkhead

/// Whatever a producer writes, and whatever becomes of its ring's bytes: the tools go on, and what they print is
/// whole lines of printable characters.
final class HostileBytesTests: XCTestCase {
  private func randomRecord(_ random: inout SeededGenerator) -> (kind: UInt8, bytes: [UInt8]) {
    let kind = UInt8.random(in: 1...(Bool.random(using: &random) ? 15 : 254), using: &random)
    let count = Int.random(in: 0...120, using: &random)
    var bytes: [UInt8] = []
    while bytes.count < count {
      switch Int.random(in: 0..<4, using: &random) {
      case 0: bytes += words(UInt64.random(in: 0...20, using: &random))
      case 1: bytes += words(.max)
      case 2: bytes += [UInt8](repeating: UInt8.random(in: 0...255, using: &random), count: 3)
      default: bytes += words(random.next())
      }
    }
    bytes = Array(bytes.prefix(count))
    // Often what is whole on the outside, so that the decoders get past their first look.
    switch Int.random(in: 0..<6, using: &random) {
    case 0:  // a message on the merged ring
      let type = ITCH50.MessageType.allCases.randomElement(using: &random)?.rawValue ?? 0
      let message = (0..<ITCH50.expectedLength(type)).map { _ in UInt8.random(in: 0...255, using: &random) }
      return (1, words(random.next(), random.next()) + [type] + message.dropFirst())
    case 1:  // a packet of one message, or a heartbeat
      let block = bytes.prefix(60)
      let count: [UInt8] = Bool.random(using: &random) ? [0, 1, 0, UInt8(block.count)] + block : [0, 0]
      return (1, words(random.next(), random.next()) + [0xFF, 0x1B] + words(random.next()) + count)
    default: break
    }
    return (kind, bytes)
  }

  private func check(_ line: String, _ message: String) {
    XCTAssertTrue(line.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F }, "\(message): \(line)")
  }

  /// 100,000 records, each on every kind of ring.
  func testRecords() throws {
    let seed: UInt64 = 0xB17E
    var random = SeededGenerator(state: seed)
    var kinds: Set<String> = []
    for number in 0..<25_000 {
      let (kind, bytes) = randomRecord(&random)
      for contents in [RingContents.packets, .merged, .events, .unknown] {
        let record = bytes.withUnsafeBytes { RecordDecoder.decode(contents, kind: kind, $0) }
        kinds.insert(record.kind)
        XCTAssertTrue(contents.kinds.contains(record.kind), record.kind)
        let message = "seed \(seed), record \(number), \(contents)"
        check(record.text, message)
        var json = JSONText()
        json.object { json in record.write(to: &json) }
        check(json.text, message)
        if number % 50 == 0 { _ = try parseJSON(json.text) }
      }
    }
    XCTAssertTrue(kinds.isSuperset(of: BookEventKind.allCases.map { "\($0)" }), "\(kinds)")
    XCTAssertTrue(kinds.isSuperset(of: ["data", "message", "malformed", "unknown"]), "\(kinds)")
  }

  /// The same through real rings and the whole command.
  func testRingsOfRecords() throws {
    let seed: UInt64 = 0xB17F
    var random = SeededGenerator(state: seed)
    for name in ["rx_a", "merged", "book", "strange"] {
      let fixture = try ToolFixture()
      try fixture.makeRing(name, cells: 16_384, maximumRecordBytes: 200)
      var producer = try fixture.producer(name)
      for _ in 0..<5_000 {
        let (kind, bytes) = randomRecord(&random)
        producer.put(kind, bytes)
      }
      for arguments in [[], ["--json"], ["--hex"]] {
        let sink = Sink()
        let options = try TapOptions.parse([name, "--run-directory", fixture.runDirectory] + arguments)
        XCTAssertEqual(TapCommand(options: options, output: sink.output, say: { XCTFail($0) }).run(), 0)
        XCTAssertEqual(sink.lines.count, 5_000, "seed \(seed), \(name), \(arguments)")
        for line in sink.lines { check(line, "seed \(seed), \(name)") }
      }
    }
  }

  /// Random words anywhere in the files of a set: identity, positions, stamps, cursor pages, tables.
  func testScribbledFiles() throws {
    let seed: UInt64 = 0xB180
    var random = SeededGenerator(state: seed)
    let fixture = try ToolFixture()
    try fixture.makeRing("book", cells: 64, maximumRecordBytes: 200, readers: ["reader"])
    var producer = try fixture.producer("book")
    for _ in 0..<100 {
      let (kind, bytes) = randomRecord(&random)
      producer.put(kind, bytes)
    }
    _ = try fixture.consumer("book", "reader")
    try ConflatedTable.create(
      path: "\(fixture.directory)/best_prices.table", name: "best_prices", entries: 16, configurationHash: 1)
    let whole = try fixture.contents()
    var codes: [Int32: Int] = [:]
    for round in 0..<1_500 {
      for _ in 0...Int.random(in: 0...3, using: &random) {
        let file =
          ["book.ring", "book.ring", "book.reader.cursor", "best_prices.table"].randomElement(using: &random)
          ?? ""
        let isHeader = Bool.random(using: &random)
        let size = whole[file]?.count ?? 0
        let offset =
          isHeader
          ? Int.random(in: 0..<50, using: &random) * 8 : Int.random(in: 0..<size / 8, using: &random) * 8
        let old =
          whole[file]?.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: UInt64.self) } ?? 0
        let word =
          [
            random.next(), .max, 0, old &+ 1, old &- 1, old ^ 1 << (random.next() % 64),
            1 << (random.next() % 64),
          ].randomElement(using: &random) ?? 0
        try fixture.scribble(word, file, at: offset)
      }
      // A name may hold anything that the ring's creator wrote; file names are the operator's.
      let report = try fixture.report()
      for line in report.lines { check(line, "seed \(seed), round \(round)") }
      _ = try parseJSON(RingsReport.json([report], realTime: 1))
      for arguments in [
        [], ["--from", "newest", "--count", "9"], ["--from", "\(random.next() % 400)", "--json"],
      ] {
        let sink = Sink()
        let options = try TapOptions.parse(["book", "--run-directory", fixture.runDirectory] + arguments)
        let code = TapCommand(options: options, output: sink.output, say: { _ in }).run()
        codes[code, default: 0] += 1
        for line in sink.lines { check(line, "seed \(seed), round \(round)") }
      }
      for (file, data) in whole { try fixture.scribble(Array(data), file, at: 0) }
    }
    // Both outcomes, or the test would prove little.
    XCTAssertGreaterThan(codes[0] ?? 0, 300, "\(codes)")
    XCTAssertGreaterThan(codes[4] ?? 0, 300, "\(codes)")
  }
}
