import BookBuilder
import OrderBook
import StageRecords
import XCTest

/// Whatever the bytes are, nothing traps and nothing is lost count of.
final class HostileInputTests: XCTestCase {
  /// A million messages in tiny books: random bytes, right types with random fields, lengths off by one. The
  /// few references, prices and instruments make them meet.
  func testAMillionHostileMessagesNeverTrap() {
    let types: [UInt8] = Array("SRHYLVWKJhAFECXDUPQBINO".utf8)
    let lengths = [
      12, 39, 25, 20, 26, 35, 12, 28, 35, 21, 36, 40, 31, 36, 23, 19, 35, 44, 40, 19, 50, 20, 48,
    ]
    var generator = SeededGenerator(seed: 31)
    var builder = BookBuilder(
      capacity: BookCapacity(orders: 100, levels: 90, instruments: 40), channel: 1)
    var batch = EventBatch()
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 64, alignment: 8)
    defer { bytes.deallocate() }
    let total: UInt64 = 1_000_000
    for sequence in 0..<total {
      for word in 0..<8 { bytes.storeBytes(of: generator.next(), toByteOffset: word * 8, as: UInt64.self) }
      let shape = generator.next()
      var count = Int(shape % 64)
      if shape >> 32 & 15 != 0 {
        let type = shape >> 40 & 1 == 0 ? 10 + Int(shape >> 48) % 7 : Int(shape >> 48) % types.count
        bytes[0] = types[type]
        count = lengths[type] - (shape >> 36 & 63 == 0 ? 1 : 0)
        bytes[1] = 0
        bytes[2] &= 63  // a few instruments, 0 and out of range included
        for index in 11..<18 { bytes[index] = 0 }  // few references
        if types[type] == 0x55 { for index in 19..<26 { bytes[index] = 0 } }
        if bytes[19] & 7 != 0, types[type] == 0x41 || types[type] == 0x46 {
          bytes[19] = bytes[19] & 1 == 0 ? 0x42 : 0x53
          if shape >> 60 != 0 { for index in 32..<36 { bytes[index] &= 1 } }  // few prices
        }
        if types[type] == 0x45 || types[type] == 0x58 { for index in 19..<22 { bytes[index] = 0 } }
      }
      let message = UnsafeRawBufferPointer(rebasing: bytes[0..<count])
      builder.apply(sequence: sequence, receiveTime: 0, message: message, into: &batch)
      if sequence % 50_000 == 0, let problem = builder.books.checkInvariants() {
        return XCTFail("seed 31, message \(sequence): \(problem)")
      }
    }
    let counters = builder.counters
    XCTAssertEqual(counters.applied + counters.rejected + counters.withheld, total)
    for reason in MessageRejection.allCases {
      XCTAssertGreaterThan(counters.rejected(reason), 0, "\(reason.name) never happened")
    }
    XCTAssertGreaterThan(counters.applied, total / 4)
    XCTAssertNil(builder.books.checkInvariants())
  }

  /// Events with bits flipped, cut off, repeated, left out or made up: typed outcomes only, and the books
  /// stay sound.
  func testReplicaSurvivesDamagedEvents() {
    var generator = SeededGenerator(seed: 41)
    var seen: Set<String> = []
    for round in 0..<200 as Range<UInt64> {
      var day = RandomDayTests.Day(seed: 1_000 + round, instruments: 10, wrongEvery: 100)
      var builder = BookBuilder(
        capacity: BookCapacity(orders: 500, levels: 500, instruments: 64), channel: 3)
      var replica = BookReplica(capacity: BookCapacity(orders: 150, levels: 80, instruments: 64))
      for sequence in 1...300 as ClosedRange<UInt64> {
        for event in builder.applied(sequence, day.next()) {
          var header = event.header
          var bytes = withUnsafeBytes(of: &header) { Array($0) } + event.body
          var kind = event.kind.rawValue
          switch generator.next() % 48 {
          case 0: bytes[Int(generator.next() % UInt64(bytes.count))] ^= 1 << UInt8(generator.next() % 8)
          case 1: bytes.removeLast(Int(generator.next() % UInt64(bytes.count)) + 1)
          case 2: kind = UInt8(truncatingIfNeeded: generator.next())
          case 3: for index in 32..<bytes.count { bytes[index] = UInt8(truncatingIfNeeded: generator.next()) }
          case 4: continue
          case 5: seen.insert(apply(&replica, kind, bytes))
          case 6: bytes[32] = UInt8(truncatingIfNeeded: generator.next()) & 0x7C  // another order
          default: break
          }
          seen.insert(apply(&replica, kind, bytes))
        }
      }
      if let problem = replica.books.checkInvariants() { return XCTFail("round \(round): \(problem)") }
    }
    for outcome in [
      "applied", "malformed event", "repeated or out of order", "incomplete message", "trust differs",
      "order differs", "level differs", "best prices differ", "instrument out of range", "other channel",
      "refused: unknown reference", "refused: duplicate reference", "refused: wrong instrument",
      "refused: levels full", "refused: instrument out of range",
    ] {
      XCTAssertTrue(seen.contains(outcome), "\(outcome) never happened: \(seen.sorted())")
    }
  }

  private func apply(_ replica: inout BookReplica, _ kind: UInt8, _ bytes: [UInt8]) -> String {
    bytes.withUnsafeBytes { buffer in
      switch replica.apply(kind: kind, event: buffer) {
      case .applied: "applied"
      case .mismatch(let mismatch): mismatch.name
      }
    }
  }

  /// One lost event is noticed at the next one.
  func testReplicaNoticesAMissingAndARepeatedEvent() {
    var builder = BookBuilder(capacity: BookCapacity(orders: 10, levels: 10, instruments: 10), channel: 3)
    let events = builder.applied(1, TestMessage.add(1)) + builder.applied(2, TestMessage.add(2))
    func feed(_ picked: [Int]) -> [String] {
      var replica = BookReplica(capacity: BookCapacity(orders: 10, levels: 10, instruments: 10))
      return picked.map { index in
        var header = events[index].header
        let bytes = withUnsafeBytes(of: &header) { Array($0) } + events[index].body
        return apply(&replica, events[index].kind.rawValue, bytes)
      }
    }
    XCTAssertEqual(feed([0, 1, 2, 3, 4, 5]), [String](repeating: "applied", count: 6))
    XCTAssertEqual(feed([0, 2]), ["applied", "incomplete message"])
    XCTAssertEqual(feed([0, 1, 3]), ["applied", "applied", "incomplete message"])
    XCTAssertEqual(feed([0, 1, 2, 2]), ["applied", "applied", "applied", "repeated or out of order"])
    XCTAssertEqual(feed([0, 1, 2, 4]), ["applied", "applied", "applied", "incomplete message"])
    XCTAssertEqual(feed([3, 4, 5, 0])[3], "repeated or out of order")
  }
}
