import Foundation
import StageRecords
import XCTest

@testable import PublishWire

/// docs/publish-schema.json and docs/publish-golden.txt are what other people's clients are made from and tested with.
/// `BULKHEAD_WRITE_GOLDEN=1` writes them anew; within protocol 1 a change of them may only add.
final class GoldenTests: XCTestCase {
  private static let docs = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("docs")

  private func compare(_ text: String, with name: String) throws {
    let file = Self.docs.appendingPathComponent(name)
    if ProcessInfo.processInfo.environment["BULKHEAD_WRITE_GOLDEN"] != nil {
      try text.write(to: file, atomically: true, encoding: .utf8)
    }
    let committed = try String(contentsOf: file, encoding: .utf8).split(
      separator: "\n", omittingEmptySubsequences: false)
    let made = text.split(separator: "\n", omittingEmptySubsequences: false)
    for (line, pair) in zip(committed, made).enumerated() where pair.0 != pair.1 {
      return XCTFail("\(name):\(line + 1): committed \(pair.0), made \(pair.1)")
    }
    XCTAssertEqual(committed.count, made.count, name)
  }

  func testTheSchemaIsTheCommittedOne() throws {
    try compare(PublishSchema.json, with: "publish-schema.json")
    let object = try XCTUnwrap(
      try JSONSerialization.jsonObject(with: Data(PublishSchema.json.utf8)) as? [String: Any])
    XCTAssertEqual((object["schema"] as? [String: Any])?["hash"] as? String, PublishSchema.hash)
    XCTAssertEqual((object["templates"] as? [[String: Any]])?.count, FrameTemplate.allCases.count)
    XCTAssertEqual((object["kinds"] as? [[String: Any]])?.count, BookEventKind.allCases.count)
  }

  /// Every code has the place in the document that the error's help names.
  func testEveryErrorIsExplained() throws {
    let text = try String(
      contentsOf: Self.docs.appendingPathComponent("PUBLISH_PROTOCOL.md"), encoding: .utf8)
    for code in ControlError.Code.allCases {
      XCTAssertTrue(text.contains("<a id=\"\(code.rawValue)\"></a>"), code.rawValue)
    }
    for code in CloseCode.allCases {
      XCTAssertTrue(text.contains("| \(code.rawValue) | `\(code.name)` |"), "close code \(code.rawValue)")
    }
    for type in ControlMessage.types { XCTAssertTrue(text.contains("{\"type\":\"\(type)\""), type) }
  }

  func testFramesAreTheCommittedOnes() throws {
    let lines = Self.messages().map { kind, bytes in
      kind == .text
        ? "text   " + String(decoding: bytes, as: UTF8.self)
        : "binary " + bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
    try compare(lines.joined(separator: "\n") + "\n", with: "publish-golden.txt")
  }

  /// A client that knows the first publishers' layouts and the rules of docs/PUBLISH_PROTOCOL.md, and nothing that was
  /// added since, follows the chain and gets every event out of what is sent today, and out of what may yet be added.
  func testAnOldClientReadsThem() throws {
    var old = OldClient()
    var expected: [[UInt8]] = []
    for (kind, bytes) in Self.messages() where kind == .binary {
      try old.read(bytes)
      try bytes.withUnsafeBytes { raw in
        let frame = try DecodedFrame(raw)
        // Replays it has not asked for, and would skip.
        if frame.header.template <= 6 { frame.forEach { expected.append(Array($0.event)) } }
      }
    }
    XCTAssertEqual(old.events, expected)
    XCTAssertGreaterThan(expected.count, 10)
    XCTAssertEqual(old.snapshots, 2)
    var later = OldClient()
    for (kind, bytes) in Self.messages() where kind == .binary { try later.read(Self.grown(bytes)) }
    XCTAssertEqual(later.events.map { Array($0.prefix(56)) }, expected.map { Array($0.prefix(56)) })
    XCTAssertEqual(later.snapshots, 2)
  }

  /// The frame as a later publisher of protocol 1 may send it: eight bytes more of block, of each body, and an entry of
  /// an unknown kind in front.
  private static func grown(_ bytes: [UInt8]) -> [UInt8] {
    var frame = Array(bytes[..<32])
    let block = Int(bytes[2]) | Int(bytes[3]) << 8
    let count = Int(bytes[14]) | Int(bytes[15]) << 8
    frame[2] = UInt8((block + 8) & 0xFF)
    frame[3] = UInt8((block + 8) >> 8)
    frame += bytes[32..<32 + block] + [UInt8](repeating: 0xEE, count: 8)
    if count > 0 {
      frame[14] = UInt8((count + 1) & 0xFF)
      frame[15] = UInt8((count + 1) >> 8)
      // The unknown event belongs to the frame's message.
      frame += [40, 0, 200, 0, 0, 0, 0, 0] + bytes[16..<24] + [UInt8](repeating: 0, count: 32)
    }
    var at = 32 + block
    for _ in 0..<count {
      let length = Int(bytes[at]) | Int(bytes[at + 1]) << 8
      let padded = (8 + length + 7) & ~7
      var entry = Array(bytes[at..<at + 8 + length]) + [UInt8](repeating: 0xEE, count: 8)
      entry[0] = UInt8((length + 8) & 0xFF)
      entry[1] = UInt8((length + 8) >> 8)
      frame += entry + [UInt8](repeating: 0, count: padded - 8 - length)
      at += padded
    }
    return frame
  }

  /// One connection's messages, made from numbers alone: every control message, every template, every kind of event.
  private static func messages() -> [(kind: OutboundQueue.Kind, bytes: [UInt8])] {
    let market = FakeMarket(seed: 1)
    let history = FakeHistory()
    let stream = SubscriberStream(limits: SubscriberLimits(), epoch: 41)
    var batch = MessageBatch()
    func feed(_ message: [FakeEvent]) {
      for event in message { event.bytes.withUnsafeBytes { _ = batch.append(kind: event.kind, event: $0) } }
      stream.append(batch)
      batch.removeAll()
      history.append(message)
    }
    func request(_ text: String) {
      Array(text.utf8).withUnsafeBytes {
        stream.request(
          $0, source: market, StreamState(sequence: market.sequence, session: "S0001", history: history))
      }
    }
    stream.send(
      .hello(
        HelloFields(
          server: "md01", instance: "demo", channel: 3, epoch: 41, configurationHash: "9f3e12aa",
          session: "S0001"),
        heartbeatMilliseconds: 1000, maximumSubscriptions: 16))
    stream.status(
      sequence: 0, InputStatus(input: InputState.stale.rawValue, serverTime: 1_700_000_000_000_000_000))
    feed(market.define(1))
    feed(market.define(2))
    for _ in 0..<12 { feed(market.step([1, 2])) }
    request(
      #"{"op":"subscribe","id":1,"symbols":["SYM1","NONE"],"channels":["orders","levels","bbo","trades","status","defs"],"start":"snapshot","checksum":"heartbeat"}"#
    )
    stream.takeSnapshots(source: market, sequence: market.sequence)
    for _ in 0..<6 { feed(market.step([1, 2])) }
    // Kinds that the market does not make.
    for kind: BookEventKind in [.trade, .tradeBroken, .tradingState, .notice, .gap] {
      let words = PublishSchema.bodyBytes(kind) / 8
      feed([
        FakeEvent(
          kind: kind.rawValue,
          bytes: EventBytes.make(
            sequence: market.sequence, instrument: kind == .gap || kind == .notice ? 0 : 1,
            index: 10 + UInt16(kind.rawValue), body: (1...UInt64(words)).map { $0 }))
      ])
    }
    stream.status(
      sequence: market.sequence,
      InputStatus(input: 0, serverTime: 1_700_000_001_000_000_000, first: 0, last: market.sequence))
    stream.takeChecksums(source: market, sequence: market.sequence)
    stream.heartbeat(sequence: market.sequence, serverTime: 1_700_000_002_000_000_000, input: .live)
    request(
      #"{"op":"subscribe","id":2,"symbols":["SYM2"],"channels":["orders"],"start":{"epoch":"41","seq":10}}"#)
    _ = stream.takeReplays(sequence: market.sequence, history: history, budget: 1 << 20)
    request(#"{"op":"subscribe","id":3,"symbols":"*","channels":["bbo"],"start":{"epoch":"41","seq":99}}"#)
    request(#"{"op":"subscribe","id":4,"symbol":"*","channels":["bbo"],"start":"live"}"#)
    request(#"{"op":"unsubscribe","id":5,"sub":2}"#)
    stream.send(.resolved(subscription: 1, symbol: "NONE", instrument: 7))
    stream.send(.slow(subscription: 1, queued: 2_097_184, capacity: 4_194_304))
    stream.send(.skipped(subscription: 1, first: 20, last: 25, events: 9))
    request(
      #"{"op":"subscribe","id":6,"symbols":["SYM2"],"channels":["levels","bbo"],"start":"snapshot","on_slow":"conflate"}"#
    )
    stream.takeSnapshots(source: market, sequence: market.sequence)
    feed(market.endSession())
    stream.send(.shutdown)
    var messages: [(kind: OutboundQueue.Kind, bytes: [UInt8])] = []
    while let (kind, payload, count) = stream.queue.first() {
      messages.append((kind, Array(UnsafeRawBufferPointer(start: payload, count: count))))
      stream.queue.removeFirst(bytes: count)
    }
    return messages
  }
}

/// The schema's control messages against what is written and parsed.
extension GoldenTests {
  private typealias Field = PublishSchema.ControlField

  private func faults(
    _ object: [String: Any], _ fields: [Field], _ path: String, _ seen: inout Set<String>
  ) -> [String] {
    var found: [String] = []
    for name in object.keys where !fields.contains(where: { $0.name == name }) {
      found.append("\(path).\(name) is not in the schema")
    }
    for field in fields {
      let place = "\(path).\(field.name)"
      guard let value = object[field.name] else {
        if !field.isOptional { found.append("\(place) is missing") }
        continue
      }
      seen.insert(place)
      let fits = field.types.contains { type in
        switch type {
        case "string": (value as? String).map { field.values.isEmpty || field.values.contains($0) } ?? false
        case "integer":
          (value as? NSNumber).map { (field.least...(field.most ?? .max)).contains($0.int64Value) } ?? false
        case "[string]": value is [String]
        case "{integer}": (value as? [String: Any])?.values.allSatisfy { $0 is NSNumber } ?? false
        default: value is [String: Any]
        }
      }
      if !fits { found.append("\(place) is not \(field.types): \(value)") }
      if let layout = PublishSchema.controlObjects.first(where: { field.types.contains($0.name) }),
        let inner = value as? [String: Any]
      {
        found += faults(inner, layout.fields, place, &seen)
      }
    }
    return found
  }

  /// Every message that is written is as the schema says, and every field of the schema is written in some message.
  func testTheSchemaTellsTheServersMessages() throws {
    var seen: Set<String> = []
    var texts = Self.messages().filter { $0.kind == .text }.map { String(decoding: $0.bytes, as: UTF8.self) }
    for bound in [ControlError.Bound.oldest(epoch: 1, sequence: 2), .newest(epoch: 1, sequence: 2)] {
      texts.append(
        ControlMessage.error(
          ControlError(.badCursor, "m", id: 3, field: "f", nearest: "n", bound: bound), subscription: 4
        ).json)
    }
    for text in texts {
      let object = try XCTUnwrap(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
      let type = try XCTUnwrap(object["type"] as? String)
      let layout = try XCTUnwrap(PublishSchema.messages.first { $0.name == type }, type)
      let wrong = faults(object.filter { $0.key != "type" }, layout.fields, type, &seen)
      XCTAssertEqual(wrong, [], text)
    }
    for layout in PublishSchema.messages {
      for field in layout.fields {
        XCTAssertTrue(
          seen.contains("\(layout.name).\(field.name)"), "\(layout.name).\(field.name) never comes")
      }
    }
  }

  /// Requests with and without each field, with other types in it, and at its bounds: what is taken is what the schema says.
  func testTheSchemaTellsTheRequests() throws {
    let samples: [String: [String: Any]] = [
      "subscribe": [
        "op": "subscribe", "id": 1, "symbols": ["A"], "channels": ["bbo"], "start": "live", "on_slow": "skip",
        "checksum": "off",
      ],
      "unsubscribe": ["op": "unsubscribe", "id": 1, "sub": 2],
      "cursor": ["epoch": "4", "seq": 9, "index": 3, "session": "S"],
    ]
    func isTaken(_ layout: String, _ object: [String: Any]) throws -> Bool {
      var request = object
      if layout == "cursor" {
        request = samples["subscribe"] ?? [:]
        request["start"] = object
      }
      return try JSONSerialization.data(withJSONObject: request).withUnsafeBytes { bytes -> Bool in
        do throws(ControlError) {
          _ = try ControlRequest(parsing: bytes)
          return true
        } catch {
          return false
        }
      }
    }
    let cursor = try XCTUnwrap(PublishSchema.controlObjects.first { $0.name == "cursor" })
    for layout in PublishSchema.requests + [cursor] {
      let sample = try XCTUnwrap(samples[layout.name])
      XCTAssertEqual(Set(sample.keys), Set(layout.fields.map(\.name)), layout.name)
      XCTAssertTrue(try isTaken(layout.name, sample), layout.name)
      for field in layout.fields {
        let place = "\(layout.name).\(field.name)"
        func with(_ value: Any?) -> [String: Any] {
          var changed = sample
          changed[field.name] = value
          return changed
        }
        XCTAssertEqual(try isTaken(layout.name, with(nil)), field.isOptional, "\(place) left out")
        for (type, value) in [("{}", [:]), ("true", true), ("null", NSNull()), ("1.5", 1.5)]
          as [(String, Any)]
        {
          XCTAssertFalse(try isTaken(layout.name, with(value)), "\(place) as \(type)")
        }
        XCTAssertEqual(try isTaken(layout.name, with(field.least)), field.types.contains("integer"), place)
        guard field.types.contains("integer") else {
          // "*" for symbols; the epoch's text is tried above.
          for value in field.values where field.types.contains("string") && field.name != "on_slow" {
            guard value != "heartbeat" else { continue }
            XCTAssertTrue(try isTaken(layout.name, with(value)), "\(place) as \(value)")
          }
          continue
        }
        let most = field.most ?? .max
        XCTAssertTrue(try isTaken(layout.name, with(most)), "\(place) at \(most)")
        if most < .max { XCTAssertFalse(try isTaken(layout.name, with(most + 1)), "\(place) at \(most + 1)") }
        XCTAssertFalse(try isTaken(layout.name, with(-1)), "\(place) at -1")
      }
    }
  }
}

/// Reads by the rules and the table of the first version of docs/PUBLISH_PROTOCOL.md; shares no code with the product.
private struct OldClient {
  struct Wrong: Error { var text: String }
  private var chain: UInt64 = 0
  private(set) var events: [[UInt8]] = []
  private(set) var snapshots = 0

  mutating func read(_ frame: [UInt8]) throws {
    func number(_ offset: Int, _ count: Int) -> UInt64 {
      (0..<count).reduce(0) { $0 | UInt64(frame[offset + $1]) << UInt64($1 * 8) }
    }
    guard frame.count >= 32, number(0, 2) == 0x4B42, number(6, 2) >= 1 else { throw Wrong(text: "header") }
    guard number(24, 8) == chain else { throw Wrong(text: "chain: \(number(24, 8)) behind \(chain)") }
    chain = number(16, 8)
    let template = number(4, 2)
    let blocks: [UInt64: Int] = [1: 0, 2: 16, 3: 0, 4: 24, 5: 16, 6: 16]
    guard let known = blocks[template] else { return }
    guard number(2, 2) >= known else { throw Wrong(text: "block of \(template)") }
    if template == 4 { snapshots += 1 }
    let bodies: [UInt8: Int] = [
      1: 24, 2: 24, 3: 24, 4: 24, 5: 40, 6: 24, 7: 32, 8: 32, 9: 8, 10: 8, 11: 8, 12: 24, 13: 24, 14: 16,
    ]
    var at = 32 + Int(number(2, 2))
    for _ in 0..<number(14, 2) {
      let length = Int(number(at, 2))
      if let body = bodies[frame[at + 2]] {
        guard length >= 32 + body else { throw Wrong(text: "body of \(frame[at + 2])") }
        events.append(Array(frame[at + 8..<at + 8 + 32 + body]))
      }
      at += (8 + length + 7) & ~7
    }
    guard at == frame.count else { throw Wrong(text: "\(frame.count - at) bytes behind the last entry") }
  }
}
