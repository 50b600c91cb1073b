import BookBuilder
import Foundation
import OrderBook
import StageRecords
import StreamDigest
import XCTest

/// Encodes ITCH messages field by field, big-endian.
struct MessageBytes {
  private(set) var bytes: [UInt8] = []

  init(_ type: Character, locate: UInt16, timestamp: UInt64 = 1) {
    bytes.append(type.asciiValue ?? 0)
    put(locate)
    put(UInt16(0))
    bytes += withUnsafeBytes(of: timestamp.bigEndian) { Array($0[2...]) }
  }

  mutating func put(_ value: some FixedWidthInteger) {
    withUnsafeBytes(of: value.bigEndian) { bytes += $0 }
  }
  mutating func put(_ text: String, width: Int) {
    bytes += Array(text.utf8) + [UInt8](repeating: 0x20, count: width - text.utf8.count)
  }
}

enum TestMessage {
  static func add(
    _ reference: UInt64, locate: UInt16 = 1, side: Character = "B", shares: UInt32 = 100,
    price: UInt32 = 10_000, timestamp: UInt64 = 1, attributed: Bool = false
  ) -> [UInt8] {
    var message = MessageBytes(attributed ? "F" : "A", locate: locate, timestamp: timestamp)
    message.put(reference)
    message.put(String(side), width: 1)
    message.put(shares)
    message.put("T\(locate)", width: 8)
    message.put(price)
    if attributed { message.put("FIRM", width: 4) }
    return message.bytes
  }

  static func execute(_ reference: UInt64, locate: UInt16 = 1, shares: UInt32, match: UInt64 = 7) -> [UInt8] {
    var message = MessageBytes("E", locate: locate)
    message.put(reference)
    message.put(shares)
    message.put(match)
    return message.bytes
  }

  static func executeAtPrice(
    _ reference: UInt64, locate: UInt16 = 1, shares: UInt32, price: UInt32, printable: Character
  ) -> [UInt8] {
    var message = MessageBytes("C", locate: locate)
    message.put(reference)
    message.put(shares)
    message.put(UInt64(8))
    message.put(String(printable), width: 1)
    message.put(price)
    return message.bytes
  }

  static func cancel(_ reference: UInt64, locate: UInt16 = 1, shares: UInt32) -> [UInt8] {
    var message = MessageBytes("X", locate: locate)
    message.put(reference)
    message.put(shares)
    return message.bytes
  }

  static func delete(_ reference: UInt64, locate: UInt16 = 1) -> [UInt8] {
    var message = MessageBytes("D", locate: locate)
    message.put(reference)
    return message.bytes
  }

  static func replace(
    _ reference: UInt64, with newReference: UInt64, locate: UInt16 = 1, shares: UInt32, price: UInt32
  ) -> [UInt8] {
    var message = MessageBytes("U", locate: locate)
    message.put(reference)
    message.put(newReference)
    message.put(shares)
    message.put(price)
    return message.bytes
  }

  static func directory(locate: UInt16, symbol: String) -> [UInt8] {
    var message = MessageBytes("R", locate: locate)
    message.put(symbol, width: 8)
    message.put("Q", width: 1)
    message.put("N", width: 1)
    message.put(UInt32(100))
    message.put("NCZ P", width: 6)
    message.put("N1N", width: 3)
    message.put(UInt32(0))
    message.put("N", width: 1)
    return message.bytes + [UInt8](repeating: 0x4E, count: 39 - message.bytes.count)
  }
}

/// An event taken out of a batch.
struct TestEvent: Equatable {
  var kind: BookEventKind
  var header: BookEventHeader
  var body: [UInt8]

  /// The little-endian word at a body offset.
  func word(_ offset: Int) -> UInt64 {
    body[offset..<offset + 8].reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }
}

extension EventBatch {
  borrowing func events() -> [TestEvent] {
    var events: [TestEvent] = []
    forEach { kind, event in
      guard let kind = BookEventKind(rawValue: kind), let base = event.baseAddress else { return }
      events.append(
        TestEvent(
          kind: kind, header: BookEventHeader(from: base), body: Array(event[BookEventHeader.bytes...])))
    }
    return events
  }
}

extension BookBuilder {
  /// Applies bytes and returns the events.
  mutating func applied(_ sequence: UInt64, _ message: [UInt8], receiveTime: UInt64 = 5) -> [TestEvent] {
    var batch = EventBatch()
    message.withUnsafeBytes {
      apply(sequence: sequence, receiveTime: receiveTime, message: $0, into: &batch)
    }
    return batch.events()
  }
}

/// A file of messages behind two length bytes each, from the optional test data.
func testDataMessages(_ name: String) throws -> [[UInt8]] {
  let path = "../shared/data/itch/\(name)"
  guard let file = FileManager.default.contents(atPath: path) else { throw XCTSkip("\(path) is not there") }
  let bytes = [UInt8](file)
  var messages: [[UInt8]] = []
  var offset = 0
  while offset + 2 <= bytes.count {
    let end = offset + 2 + Int(bytes[offset]) << 8 + Int(bytes[offset + 1])
    guard end <= bytes.count else { break }
    messages.append(Array(bytes[offset + 2..<end]))
    offset = end
  }
  XCTAssertEqual(offset, bytes.count, "\(path) is cut off")
  return messages
}

/// SplitMix64: the same numbers from the same seed everywhere.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}

/// A builder, a replica fed with every event of it, and the digest of its stream.
struct ReplicatedBuilder: ~Copyable {
  var builder: BookBuilder
  var replica: BookReplica
  var digest = StreamDigest()
  var batch = EventBatch()
  /// What the replica did not accept, in words; empty = it agrees.
  var mismatches: [String] = []

  init(capacity: BookCapacity = BookCapacity(orders: 20_000, levels: 20_000, instruments: 2_000)) {
    builder = BookBuilder(capacity: capacity, channel: 3)
    replica = BookReplica(capacity: capacity)
  }

  mutating func apply(_ sequence: UInt64, _ message: [UInt8]) {
    message.withUnsafeBytes {
      builder.apply(sequence: sequence, receiveTime: sequence &* 3, message: $0, into: &batch)
    }
    forward(sequence)
  }

  mutating func gap(_ first: UInt64, _ last: UInt64) {
    builder.gap(first: first, last: last, reason: 2, receiveTime: 0, into: &batch)
    forward(first)
  }

  mutating func forward(_ sequence: UInt64) {
    Self.forward(batch, sequence, &digest, &replica, &mismatches)
  }

  mutating func forward(_ batch: borrowing EventBatch, _ sequence: UInt64) {
    Self.forward(batch, sequence, &digest, &replica, &mismatches)
  }

  private static func forward(
    _ batch: borrowing EventBatch, _ sequence: UInt64, _ digest: inout StreamDigest,
    _ replica: inout BookReplica, _ mismatches: inout [String]
  ) {
    digest.update(batch)
    var found: [String] = []
    withUnsafeMutablePointer(to: &replica) { replica in
      batch.forEach { kind, event in
        if case .mismatch(let mismatch) = replica.pointee.apply(kind: kind, event: event) {
          found.append("sequence \(sequence), kind \(kind): \(mismatch.name)")
        }
      }
    }
    mismatches += found
  }

  /// Where replica and builder differ, or nil.
  func difference() -> String? {
    if let first = mismatches.first { return "\(mismatches.count) mismatches, the first at \(first)" }
    if replica.books.contentDigest() != builder.books.contentDigest() { return "content digests differ" }
    if replica.eventCount != builder.counters.events { return "event counts differ" }
    if replica.instruments.definedCount != builder.instruments.definedCount { return "definitions differ" }
    for instrument in 0..<UInt32(InstrumentTable.capacity) {
      if replica.instruments.definition(instrument) != builder.instruments.definition(instrument) {
        return "definition of \(instrument) differs"
      }
      if replica.instruments.tradingStatus(instrument) != builder.instruments.tradingStatus(instrument) {
        return "trading status of \(instrument) differs"
      }
      if replica.instruments.trustReason(instrument) != builder.instruments.trustReason(instrument) {
        return "trust of \(instrument) differs"
      }
    }
    return builder.books.checkInvariants() ?? replica.books.checkInvariants()
  }
}
