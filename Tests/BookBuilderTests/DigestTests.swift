import BookBuilder
import Foundation
import OrderBook
import StageRecords
import StreamDigest
import XCTest

final class DigestTests: XCTestCase {
  private func event(
    _ kind: BookEventKind = .trade, sequence: UInt64 = 1, receiveTime: UInt64 = 2, body: [UInt8] = [1, 2, 3]
  ) -> (kind: UInt8, bytes: [UInt8]) {
    var header = BookEventHeader(
      sequence: sequence, venueTime: 0x1122, receiveTime: receiveTime, instrument: 0x33445566, index: 7,
      channel: 8, flags: 9)
    return (kind.rawValue, withUnsafeBytes(of: &header) { Array($0) } + body)
  }

  private func digest(_ events: [(kind: UInt8, bytes: [UInt8])]) -> UInt64 {
    var digest = StreamDigest()
    for event in events {
      let isTaken = event.bytes.withUnsafeBytes { digest.update(kind: event.kind, event: $0) }
      XCTAssertTrue(isTaken)
    }
    XCTAssertEqual(digest.eventCount, UInt64(events.count))
    return digest.value
  }

  func testCanonicalEncodingIsTheDocumentedOne() {
    let (kind, bytes) = event()
    var encoding = [UInt8](repeating: 0xEE, count: bytes.count)
    bytes.withUnsafeBytes { source in
      encoding.withUnsafeMutableBytes { target in
        guard let base = target.baseAddress else { return }
        CanonicalEvent.write(kind: kind, event: source, to: base)
      }
    }
    XCTAssertEqual(
      encoding,
      [1, 0, 0, 0, 0, 0, 0, 0] + [0x22, 0x11, 0, 0, 0, 0, 0, 0] + [8, 0, 3, 0, 0, 0, 0, 0]
        + [0x66, 0x55, 0x44, 0x33, 7, 0, 8, 9] + [1, 2, 3])
  }

  func testDigestSeesEverythingButTheReceiveTime() {
    let base = digest([event()])
    XCTAssertEqual(base, digest([event(receiveTime: .max)]))
    XCTAssertNotEqual(base, digest([event(.notice)]))
    XCTAssertNotEqual(base, digest([event(sequence: 2)]))
    XCTAssertNotEqual(base, digest([event(body: [1, 2, 4])]))
    XCTAssertNotEqual(base, digest([event(), event()]))
    let (kind, bytes) = event()
    for index in bytes.indices where !(16..<24).contains(index) {
      var changed = bytes
      changed[index] ^= 0x80
      XCTAssertNotEqual(base, digest([(kind, changed)]), "byte \(index)")
    }
  }

  /// Known values of XXH64, and the same value however the stream is cut and whenever it is looked at.
  func testByteDigestIsXXH64() {
    XCTAssertEqual(ByteDigest().value, 0xEF46_DB37_51D8_E999)
    XCTAssertEqual(StreamDigest().value, 0xEF46_DB37_51D8_E999)
    var abc = ByteDigest()
    abc.update(UnsafeRawBufferPointer(start: nil, count: 0))
    Array("abc".utf8).withUnsafeBytes { abc.update($0) }
    XCTAssertEqual(abc.value, 0x44BC_2CF5_AD77_0999)
    let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
    var whole = ByteDigest()
    bytes.withUnsafeBytes { whole.update($0) }
    var pieces = ByteDigest()
    var offset = 0
    for step in 0... {
      let count = min(step % 700, bytes.count - offset)
      bytes.withUnsafeBytes {
        pieces.reserve(count).copyMemory(from: $0.baseAddress! + offset, byteCount: count)
      }
      offset += count
      if step % 50 == 0 { _ = pieces.value }
      if offset == bytes.count { break }
    }
    XCTAssertEqual(pieces.value, whole.value)
  }

  func testBytesThatAreNoEventAreRefused() {
    var digest = StreamDigest()
    let (kind, bytes) = event()
    for count in [0, 1, 31] {
      bytes.withUnsafeBytes {
        XCTAssertFalse(digest.update(kind: kind, event: UnsafeRawBufferPointer(rebasing: $0[..<count])))
      }
    }
    let long = [UInt8](repeating: 0, count: CanonicalEvent.bytesMax + 1)
    long.withUnsafeBytes { XCTAssertFalse(digest.update(kind: kind, event: $0)) }
    XCTAssertEqual(digest.eventCount, 0)
    XCTAssertEqual(digest.value, StreamDigest().value)
    long.withUnsafeBytes {
      XCTAssertTrue(digest.update(kind: kind, event: UnsafeRawBufferPointer(rebasing: $0.dropLast())))
    }
  }

  /// Equal content by another way has an equal digest; another queue order has not.
  func testBookDigestDependsOnContentAndQueueOrderOnly() {
    typealias Order = (instrument: UInt32, side: BookSide, reference: UInt64, price: Int64, quantity: UInt64)
    let orders: [Order] = [
      (1, .bid, 10, 100, 5), (1, .bid, 11, 99, 6), (1, .ask, 12, 103, 7), (1, .ask, 13, 101, 8),
      (4, .bid, 14, -5, 9), (4, .ask, 15, .max, 10),
    ]
    func digest(_ orders: [Order], detour: Bool) -> UInt64 {
      var books = OrderBooks(capacity: BookCapacity(orders: 20, levels: 20, instruments: 8))
      for order in orders {
        let more = detour ? order.quantity + 3 : order.quantity
        XCTAssertTrue(
          books.add(
            instrument: order.instrument, side: order.side, reference: order.reference, price: order.price,
            quantity: more
          ).isDone)
        if detour {
          XCTAssertTrue(books.reduce(instrument: order.instrument, reference: order.reference, by: 3).isDone)
          let passing = order.reference + 100
          XCTAssertTrue(
            books.add(instrument: 2, side: .ask, reference: passing, price: 1, quantity: 1).isDone)
          XCTAssertTrue(books.delete(instrument: 2, reference: passing).isDone)
        }
      }
      return books.contentDigest()
    }
    let wanted = digest(orders, detour: false)
    XCTAssertEqual(digest(orders.reversed(), detour: true), wanted)
    XCTAssertEqual(
      digest([orders[3], orders[5], orders[0], orders[4], orders[2], orders[1]], detour: true), wanted)
    let behind: Order = (1, .bid, 20, 100, 1)
    let twoInFront = [orders[0], behind]
    XCTAssertNotEqual(digest(twoInFront, detour: false), digest(twoInFront.reversed(), detour: false))
    XCTAssertEqual(digest([], detour: false), 0xEF46_DB37_51D8_E999)
  }

  /// The documented recomputation by somebody else's code, from nothing but the canonical events.
  func testPythonRecomputesBothDigests() throws {
    var replicated = ReplicatedBuilder()
    var day = RandomDayTests.Day(seed: 51, instruments: 12, wrongEvery: 60)
    var encodings = Data()
    for sequence in 1...3_000 as ClosedRange<UInt64> {
      replicated.apply(sequence, day.next())
      replicated.batch.forEach { kind, event in
        var encoding = [UInt8](repeating: 0, count: event.count)
        encoding.withUnsafeMutableBytes {
          CanonicalEvent.write(kind: kind, event: event, to: $0.baseAddress!)
        }
        encodings.append(contentsOf: encoding)
      }
    }
    let path = NSTemporaryDirectory() + "bulkhead-digest-\(getpid()).events"
    try encodings.write(to: URL(fileURLWithPath: path))
    defer { try? FileManager.default.removeItem(atPath: path) }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["python3", "scripts/recompute-digest.py", path]
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    if process.terminationStatus == 69 { throw XCTSkip("no XXH64 for Python and no xxhsum") }
    if process.terminationStatus == 127 { throw XCTSkip("no python3") }
    func hex(_ value: UInt64) -> String {
      let digits = String(value, radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }
    XCTAssertEqual(
      text,
      """
      events \(replicated.digest.eventCount)
      stream \(hex(replicated.digest.value))
      book \(hex(replicated.builder.books.contentDigest()))

      """)
    XCTAssertGreaterThan(replicated.builder.books.orderCount, 100)
  }
}

extension BookOutcome {
  var isDone: Bool { if case .changed = self { true } else { false } }
}
