import FeedWire
import XCTest

/// A datagram of the given fields, written without the code under test.
func datagram(
  session: String = "000010059B", sequence: UInt64, count: UInt16, blocks: [[UInt8]] = [],
  trailing: [UInt8] = []
) -> [UInt8] {
  var bytes = Array(session.utf8)
  for shift in stride(from: 56, through: 0, by: -8) {
    bytes.append(UInt8(truncatingIfNeeded: sequence >> UInt64(shift)))
  }
  bytes += [UInt8(count >> 8), UInt8(count & 0xFF)]
  for block in blocks { bytes += [UInt8(block.count >> 8), UInt8(block.count & 0xFF)] + block }
  return bytes + trailing
}

enum Outcome: Equatable {
  case packet(sequence: UInt64, kind: MoldUDP64Kind, next: UInt64, messages: [[UInt8]])
  case malformed(MoldUDP64Malformed)
}

/// Parses a copy whose address is odd, so that an aligned load would trap.
func outcome(_ bytes: [UInt8]) -> Outcome {
  ([0] + bytes).withUnsafeBytes { shifted in
    switch MoldUDP64Packet.parse(UnsafeRawBufferPointer(rebasing: shifted[1...])) {
    case .malformed(let reason): return .malformed(reason)
    case .packet(let packet):
      var blocks = packet.blocks
      var messages: [[UInt8]] = []
      while let message = blocks.next() { messages.append(Array(message)) }
      return .packet(
        sequence: packet.sequence, kind: packet.kind, next: packet.nextSequence, messages: messages)
    }
  }
}

final class MoldUDP64PacketTests: XCTestCase {
  func testDataPacketWithAnEmptyBlockInside() {
    let blocks: [[UInt8]] = [[1, 2, 3], [], [4]]
    XCTAssertEqual(
      outcome(datagram(sequence: 7, count: 3, blocks: blocks)),
      .packet(sequence: 7, kind: .data(count: 3), next: 10, messages: blocks))
  }

  func testHeartbeatAndEndOfSessionConsumeNothing() {
    XCTAssertEqual(
      outcome(datagram(sequence: 9, count: 0)),
      .packet(sequence: 9, kind: .heartbeat, next: 9, messages: []))
    XCTAssertEqual(
      outcome(datagram(sequence: 9, count: 0xFFFF)),
      .packet(sequence: 9, kind: .endOfSession, next: 9, messages: []))
  }

  func testEveryTruncationIsRefused() {
    let whole = datagram(sequence: 1, count: 3, blocks: [[1, 2, 3], [], [4, 5]])
    for length in 0..<whole.count {
      let expected: MoldUDP64Malformed = length < 20 ? .tooShort : .blockBeyondDatagram
      XCTAssertEqual(outcome(Array(whole[..<length])), .malformed(expected), "cut to \(length)")
    }
    guard case .malformed(.tooShort) = MoldUDP64Packet.parse(.init(start: nil, count: 0)) else {
      return XCTFail("a datagram without bytes was accepted")
    }
  }

  func testTrailingBytesAreRefused() {
    XCTAssertEqual(
      outcome(datagram(sequence: 1, count: 1, blocks: [[1]], trailing: [0])), .malformed(.trailingBytes))
    XCTAssertEqual(outcome(datagram(sequence: 1, count: 0, trailing: [0])), .malformed(.trailingBytes))
    XCTAssertEqual(outcome(datagram(sequence: 1, count: 0xFFFF, trailing: [0])), .malformed(.trailingBytes))
  }

  func testCountBeyondTheBlocksIsRefused() {
    XCTAssertEqual(
      outcome(datagram(sequence: 1, count: 0xFFFE, blocks: [[1]])), .malformed(.blockBeyondDatagram))
    XCTAssertEqual(
      outcome(datagram(sequence: 1, count: 1, trailing: [0xFF, 0xFF, 1])), .malformed(.blockBeyondDatagram))
  }

  func testSequenceBounds() {
    XCTAssertEqual(outcome(datagram(sequence: 0, count: 0)), .malformed(.sequenceZero))
    XCTAssertEqual(
      outcome(datagram(sequence: .max, count: 1, blocks: [[]])), .malformed(.sequenceOverflow))
    XCTAssertEqual(
      outcome(datagram(sequence: .max - 1, count: 1, blocks: [[]])),
      .packet(sequence: .max - 1, kind: .data(count: 1), next: .max, messages: [[]]))
    XCTAssertEqual(
      outcome(datagram(sequence: .max, count: 0xFFFF)),
      .packet(sequence: .max, kind: .endOfSession, next: .max, messages: []))
  }

  func testSkipPassesOverMessages() {
    let bytes = datagram(sequence: 1, count: 3, blocks: [[1], [2], [3]])
    bytes.withUnsafeBytes {
      guard case .packet(let packet) = MoldUDP64Packet.parse($0) else { return XCTFail("refused") }
      var blocks = packet.blocks
      blocks.skip(2)
      XCTAssertEqual(blocks.next().map(Array.init), [3])
      XCTAssertNil(blocks.next())
      blocks.skip(5)
      XCTAssertNil(blocks.next())
    }
  }

  /// Seeded garbage around plausible headers: what parses must account for every byte.
  func testGarbageNeverParsesWithBytesUnaccountedFor() {
    var state: UInt64 = 0x5EED
    func random() -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return state >> 33
    }
    var accepted = 0
    for round in 0..<20_000 {
      var bytes = (0..<Int(20 + random() % 40)).map { _ in UInt8(truncatingIfNeeded: random()) }
      bytes[18] = 0
      bytes[19] = UInt8(random() % 4)
      var position = 20
      while position + 1 < bytes.count {
        bytes[position] = random() % 50 == 0 ? 1 : 0
        bytes[position + 1] = UInt8(random() % 12)
        position += 2 + Int(bytes[position + 1])
      }
      if random() % 3 == 0 { bytes.removeLast(Int(random() % 3)) }
      guard case .packet(_, let kind, _, let messages) = outcome(bytes) else { continue }
      accepted += 1
      let total = messages.reduce(20) { $0 + 2 + $1.count }
      XCTAssertEqual(total, bytes.count, "round \(round): \(bytes)")
      if case .data(let count) = kind { XCTAssertEqual(count, messages.count, "round \(round): \(bytes)") }
    }
    XCTAssertGreaterThan(accepted, 200, "the garbage is not plausible enough to test anything")
  }
}

final class MoldUDP64WriterTests: XCTestCase {
  private func written(_ bytes: Int, _ body: (UnsafeMutableRawPointer) -> Void) -> [UInt8] {
    var buffer = [UInt8](repeating: 0xAA, count: bytes + 1)
    buffer.withUnsafeMutableBytes { body($0.baseAddress! + 1) }
    return Array(buffer[1...])
  }

  func testHeaders() throws {
    let session = try XCTUnwrap(MoldUDP64Session("000010059B"))
    XCTAssertEqual(
      written(20) {
        MoldUDP64.writeHeader(session: session, sequence: 0x0102_0304_0506_0708, count: 38, to: $0)
      },
      datagram(sequence: 0x0102_0304_0506_0708, count: 38))
    XCTAssertEqual(
      written(20) { MoldUDP64.writeHeartbeat(session: session, nextSequence: 5, to: $0) },
      datagram(sequence: 5, count: 0))
    XCTAssertEqual(
      written(20) { MoldUDP64.writeEndOfSession(session: session, nextSequence: 5, to: $0) },
      datagram(sequence: 5, count: 0xFFFF))
  }

  func testRequestRoundTripAndRefusals() throws {
    let session = try XCTUnwrap(MoldUDP64Session("ABC"))
    let request = MoldUDP64Request(session: session, sequence: 77, count: 300)
    let bytes = written(20) { request.write(to: $0) }
    XCTAssertEqual(bytes, datagram(session: "ABC       ", sequence: 77, count: 300))
    func parsed(_ bytes: [UInt8]) -> MoldUDP64Request? {
      bytes.withUnsafeBytes { MoldUDP64Request(parsing: $0) }
    }
    XCTAssertEqual(parsed(bytes), request)
    XCTAssertNil(parsed(Array(bytes.dropLast())))
    XCTAssertNil(parsed(bytes + [0]))
    XCTAssertNil(parsed([]))
    XCTAssertNil(parsed(datagram(sequence: 0, count: 1)))
    XCTAssertNil(parsed(datagram(sequence: 1, count: 0)))
    XCTAssertNil(parsed(datagram(sequence: .max, count: 1)))
  }

  func testSessionText() {
    XCTAssertEqual(MoldUDP64Session("ABC")?.text, "ABC")
    XCTAssertEqual(MoldUDP64Session("0123456789")?.text, "0123456789")
    XCTAssertNil(MoldUDP64Session(""))
    XCTAssertNil(MoldUDP64Session("01234567890"))
    XCTAssertNil(MoldUDP64Session("é"))
    XCTAssertEqual(MoldUDP64Session(leading: 0x4142_0001_0203_04FF, trailing: 0).text, "AB??????")
  }
}
