import XCTest

@testable import ShmRing

/// Gated streams: the producer is refused, not the reader lapped; the supervisor lets go of the dead (FM-020, FM-611).
final class GatedRingTests: XCTestCase {
  private let buffer = scratchBuffer()
  override func tearDown() { buffer.deallocate() }

  /// Publishes numbered records until the ring refuses; the next number.
  private func fill(_ producer: inout RingProducer, from first: UInt64, bytes: Int = 8) -> UInt64 {
    var number = first
    while let payload = producer.tryReserve(bytes: bytes) {
      fillNumbered(payload, number, bytes: bytes)
      producer.commit(kind: 1, bytes: bytes)
      producer.publish()
      number += 1
      if number - first > 10_000 { XCTFail("never refused"); break }
    }
    return number
  }

  private func drain(_ consumer: inout RingConsumer) -> [UInt64] {
    var numbers: [UInt64] = []
    while case .record(_, let bytes) = consumer.poll(into: buffer) {
      numbers.append(numberOf(buffer, bytes: bytes) ?? .max)
    }
    consumer.reportPosition()
    return numbers
  }

  /// At every size: refused exactly when going on would overwrite what the slowest has not read, and nothing is lost.
  func testRefusesAndLosesNothing() throws {
    for (cells, bytes) in [(4, 8), (16, 56), (64, 100), (256, 200)] {
      let fixture = try RingFixture(
        cells: cells, maximumRecordBytes: max(56, bytes), kind: .gatedStream, readers: ["fast", "slow"])
      var producer = try fixture.producer()
      var fast = try fixture.consumer("fast")
      var slow = try fixture.consumer("slow")
      var next: UInt64 = 0
      var seenFast: [UInt64] = []
      var seenSlow: [UInt64] = []
      for round in 0..<50 {
        next = fill(&producer, from: next, bytes: bytes)
        XCTAssertNil(producer.tryReserve(bytes: bytes))
        seenFast += drain(&fast)
        // The fast one alone changes nothing: the slow one holds the gate.
        XCTAssertNil(producer.tryReserve(bytes: bytes), "cells \(cells) round \(round)")
        seenSlow += drain(&slow)
      }
      next = fill(&producer, from: next, bytes: bytes)
      seenFast += drain(&fast)
      seenSlow += drain(&slow)
      XCTAssertEqual(seenFast, Array(0..<next), "cells \(cells)")
      XCTAssertEqual(seenSlow, Array(0..<next), "cells \(cells)")
      XCTAssertGreaterThan(next, UInt64(cells), "cells \(cells): it went round")
      XCTAssertEqual(slow.cursor.lapCount, 0)
    }
  }

  /// Refused in the midst of a reservation: the padding's segment was granted, the one behind it was not. The producer
  /// remembers what it claimed, and goes on as soon as the reader does. At every place of both.
  func testRefusedBehindPadding() throws {
    for (cells, limit) in [(8, 120), (16, 200), (256, 200)] {
      for seed in 0..<UInt64(40) {
        let fixture = try RingFixture(cells: cells, maximumRecordBytes: limit, kind: .gatedStream)
        var producer = try fixture.producer()
        var reader = try fixture.consumer()
        var random = SeededGenerator(state: seed)
        let bytes = (0..<200).map { _ in 8 * Int.random(in: 1...limit / 8, using: &random) }
        var read: [UInt64] = []
        for number in bytes.indices {
          while true {
            if let payload = producer.tryReserve(bytes: bytes[number]) {
              fillNumbered(payload, UInt64(number), bytes: bytes[number])
              break
            }
            guard case .record(_, let length) = reader.poll(into: buffer) else {
              return XCTFail("refused with nothing to read: cells \(cells) seed \(seed) record \(number)")
            }
            read.append(numberOf(buffer, bytes: length) ?? .max)
            reader.reportPosition()
          }
          producer.commit(kind: 1, bytes: bytes[number])
          producer.publish()
          guard producer.halt == nil, producer.checkHealth() == nil else {
            return XCTFail("halted: cells \(cells) seed \(seed) record \(number)")
          }
        }
        XCTAssertEqual(read + drain(&reader), Array(0..<UInt64(bytes.count)), "cells \(cells) seed \(seed)")
      }
    }
  }

  /// Refused in the midst of a batch, the producer publishes what it has: the padding that it had put behind that is not
  /// there. After laps of records of one cell, whose frontiers need no look.
  func testPaddingOfARefusedRecordIsNotPublished() throws {
    var refusals = 0
    for place in 0..<UInt64(2) {
      for lag in 0..<UInt64(13) {
        let fixture = try RingFixture(cells: 16, maximumRecordBytes: 120, kind: .gatedStream)
        var producer = try fixture.producer()
        var reader = try fixture.consumer()
        var number: UInt64 = 0
        func commit(_ producer: inout RingProducer) throws {
          fillNumbered(try XCTUnwrap(producer.tryReserve(bytes: 8)), number, bytes: 8)
          producer.commit(kind: 1, bytes: 8)
          number += 1
        }
        for _ in 0..<100 + place {
          try commit(&producer)
          producer.publish()
          XCTAssertEqual(drain(&reader), [number - 1])
        }
        let first = number
        for _ in 0..<lag { try commit(&producer); producer.publish() }
        guard producer.tryReserve(bytes: 8) != nil else { continue }
        try commit(&producer)
        if producer.tryReserve(bytes: 120) != nil { continue }
        refusals += 1
        producer.publish()
        let label = "place \(place) lag \(lag)"
        XCTAssertEqual(drain(&reader), Array(first..<number), label)
        XCTAssertEqual(reader.nextPosition, producer.nextPosition, "\(label): nothing behind them")
        try commit(&producer)
        producer.publish()
        XCTAssertEqual(drain(&reader), [number - 1], label)
      }
    }
    XCTAssertGreaterThan(refusals, 2)
  }

  /// A ring of so many cells takes at least its cells less two segments in records of one cell before it refuses.
  func testUsesNearlyAllOfTheRing() throws {
    for cells in [4, 64, 1024] {
      let fixture = try RingFixture(cells: cells, kind: .gatedStream)
      var producer = try fixture.producer()
      let segment = max(1, cells / 64)
      XCTAssertGreaterThanOrEqual(Int(fill(&producer, from: 0)), cells - 2 * segment, "\(cells)")
    }
  }

  /// A dead reader is detached and the producer goes on; its successor comes back where the cursor stands, and is
  /// told exactly what it lost.
  func testDetachedReaderReturnsWithExactLoss() throws {
    let fixture = try RingFixture(cells: 64, kind: .gatedStream, readers: ["dead", "alive"])
    var producer = try fixture.producer()
    var alive = try fixture.consumer("alive")
    let supervisor = try RingGate.attach(ring: fixture.path, access: .readWrite)
    var next: UInt64
    do {
      var dead = try fixture.consumer("dead")
      next = fill(&producer, from: 0)
      for _ in 0..<10 { _ = dead.poll(into: buffer) }
      dead.reportPosition()
    }
    XCTAssertEqual(drain(&alive), Array(0..<next))
    next = fill(&producer, from: next)
    _ = drain(&alive)
    XCTAssertNil(producer.tryReserve(bytes: 8), "the dead one holds the gate")
    XCTAssertTrue(supervisor.detach(reader: "dead"))
    XCTAssertFalse(supervisor.detach(reader: "nobody"))
    for _ in 0..<20 {
      let before = next
      next = fill(&producer, from: next)
      XCTAssertGreaterThan(next, before)
      XCTAssertEqual(drain(&alive), Array(before..<next))
    }
    var returned = try fixture.consumer("dead")
    XCTAssertFalse(returned.isDetached)
    guard case .lapped(let from, let to) = returned.poll(into: buffer) else { return XCTFail("not told") }
    XCTAssertEqual(from, 10)
    XCTAssertEqual(
      drain(&returned), Array(to..<next), "records of one cell: position and number are the same")
    // It counts again.
    let before = next
    next = fill(&producer, from: next)
    _ = drain(&alive)
    XCTAssertNil(producer.tryReserve(bytes: 8))
    XCTAssertEqual(drain(&returned), Array(before..<next))
    XCTAssertNotNil(producer.tryReserve(bytes: 8))
  }

  /// A reader that was detached while it was stopped finds out, and rejoins by its own decision.
  func testDetachedWhileStopped() throws {
    let fixture = try RingFixture(cells: 16, kind: .gatedStream)
    var producer = try fixture.producer()
    var reader = try fixture.consumer()
    let supervisor = try RingGate.attach(ring: fixture.path, access: .readWrite)
    var next = fill(&producer, from: 0)
    XCTAssertFalse(reader.isDetached)
    XCTAssertTrue(supervisor.detach(reader: "reader"))
    for _ in 0..<100 {
      _ = producer.tryReserve(bytes: 8)
      producer.commit(kind: 1, bytes: 8)
      producer.publish()
    }
    next += 100
    XCTAssertTrue(reader.isDetached)
    guard case .lapped(let from, let to) = reader.poll(into: buffer) else { return XCTFail("not told") }
    XCTAssertEqual(from, 0)
    XCTAssertGreaterThan(to, 0)
    reader.rejoin()
    XCTAssertFalse(reader.isDetached)
    _ = fill(&producer, from: next)
    XCTAssertNil(producer.tryReserve(bytes: 8), "it counts again")
  }

  /// Whatever a wild reader writes into its cursor page: the producer believes no position that it cannot have.
  func testGarbageInACursorPageFreesNothing() throws {
    for garbage in [UInt64.max, 1 << 63, 1 << 40, 20, 0] {
      let fixture = try RingFixture(cells: 16, kind: .gatedStream)
      var producer = try fixture.producer()
      var reader = try fixture.consumer()
      var next = fill(&producer, from: 0)
      _ = drain(&reader)
      let before = next
      next = fill(&producer, from: next)
      let page = try CursorPage.attach(
        path: CursorPage.path(ring: fixture.path, reader: "reader"), access: .readWrite)
      page.position.storeRelaxed(garbage == 20 ? producer.nextPosition + 1 : garbage)
      XCTAssertNil(producer.tryReserve(bytes: 8), "\(garbage)")
      page.generation.storeRelaxed(1)
      XCTAssertEqual(drain(&reader), Array(before..<next), "\(garbage): nothing was overwritten")
      XCTAssertNotNil(producer.tryReserve(bytes: 8), "\(garbage): a good position is believed again")
    }
  }

  /// Wherever the slowest reader stands: refused at the first claim that would reach what it has not read, and not before.
  func testCapacityIsExact() throws {
    for (cells, segment) in [(4, UInt64(1)), (16, 2), (64, 4)] {
      for place in 0..<UInt64(2 * cells) {
        let fixture = try RingFixture(
          cells: cells, maximumRecordBytes: Int(segment) * 64 - 8, kind: .gatedStream)
        var producer = try fixture.producer()
        var reader = try fixture.consumer()
        for number in 0..<place {
          _ = try XCTUnwrap(producer.tryReserve(bytes: 8))
          producer.commit(kind: 1, bytes: 8)
          producer.publish()
          XCTAssertEqual(drain(&reader).count, 1, "\(number)")
        }
        // Claims end with a segment, and one cell behind the record is claimed with it.
        let limit = (place + UInt64(cells)) / segment * segment
        XCTAssertEqual(fill(&producer, from: place), limit - 1, "cells \(cells) place \(place)")
      }
    }
  }

  /// Positions that no reader can have are counted and change nothing: beyond what is published, also within the open
  /// batch; and behind what the reader said before, which would hold the producer for nothing.
  func testImpossiblePositionsAreCounted() throws {
    let fixture = try RingFixture(cells: 16, kind: .gatedStream)
    var producer = try fixture.producer()
    var reader = try fixture.consumer()
    func refused() -> UInt64 { producer.gate?.pointee.refusedPositions ?? .max }
    let next = fill(&producer, from: 0)
    XCTAssertEqual(drain(&reader).count, Int(next))
    // From here on its position is known to the producer.
    _ = try XCTUnwrap(producer.tryReserve(bytes: 8))
    producer.commit(kind: 1, bytes: 8)
    XCTAssertEqual(refused(), 0)
    let page = try CursorPage.attach(
      path: CursorPage.path(ring: fixture.path, reader: "reader"), access: .readWrite)
    page.position.storeRelaxed(producer.nextPosition)
    _ = producer.tryReserve(bytes: 8)
    producer.commit(kind: 1, bytes: 8)
    XCTAssertEqual(refused(), 1, "a position in the open batch")
    producer.publish()
    page.position.storeRelaxed(next - 5)
    XCTAssertEqual(
      fill(&producer, from: next + 2), next + 15, "it said before that it had read all up to \(next)")
    XCTAssertGreaterThan(refused(), 1)
  }

  /// A reader that was detached and comes back to read the retention again counts from there: nothing of it is overwritten.
  func testReturnsAtAnEarlierPosition() throws {
    for isNew in [true, false] {
      let fixture = try RingFixture(cells: 16, kind: .gatedStream)
      var producer = try fixture.producer()
      var reader = try fixture.consumer()
      let supervisor = try RingGate.attach(ring: fixture.path, access: .readWrite)
      var next: UInt64 = 0
      for _ in 0..<5 {
        next = fill(&producer, from: next)
        _ = drain(&reader)
      }
      fillNumbered(try XCTUnwrap(producer.tryReserve(bytes: 8)), next, bytes: 8)
      producer.commit(kind: 1, bytes: 8)
      producer.publish()
      next += 1
      XCTAssertTrue(supervisor.detach(reader: "reader"))
      if isNew {
        reader = try fixture.consumer(start: .oldest)
      } else {
        reader.rewindToOldest()
        reader.rejoin()
      }
      let start = reader.nextPosition
      XCTAssertLessThan(start, next - 10)
      XCTAssertEqual(fill(&producer, from: next), next, "it holds the gate where it stands")
      XCTAssertEqual(drain(&reader), Array(start..<next), "new: \(isNew)")
    }
  }

  /// The successor of a dead producer is bound by the same readers.
  func testSuccessorOfTheProducerIsRefusedToo() throws {
    let fixture = try RingFixture(cells: 16, kind: .gatedStream)
    var reader = try fixture.consumer()
    var next: UInt64
    do {
      var producer = try fixture.producer()
      next = fill(&producer, from: 0)
    }
    var successor = try fixture.producer()
    XCTAssertNil(successor.tryReserve(bytes: 8))
    XCTAssertEqual(drain(&reader), Array(0..<next))
    let before = next
    next = fill(&successor, from: next)
    XCTAssertEqual(drain(&reader), Array(before..<next))
  }

  func testRefusesAnUndeclaredReaderByName() throws {
    let fixture = try RingFixture(cells: 16, kind: .gatedStream)
    try CursorPage.create(path: CursorPage.path(ring: fixture.path, reader: "stranger"))
    XCTAssertThrowsError(try { _ = try fixture.consumer("stranger") }()) { error in
      XCTAssertTrue("\(error)".contains("stranger"), "\(error)")
    }
  }
}
