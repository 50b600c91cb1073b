import XCTest

@testable import ShmRing

/// A producer that was given up for dead and is not (FM-601, FM-621, D-09): nothing that it stores afterwards is accepted.
final class TakeoverTests: XCTestCase {
  private let buffer = scratchBuffer()
  override func tearDown() { buffer.deallocate() }

  private func drain(_ consumer: inout RingConsumer) throws -> [UInt64] {
    var numbers: [UInt64] = []
    while true {
      switch consumer.poll(into: buffer) {
      case .record(_, let bytes): numbers.append(numberOf(buffer, bytes: bytes) ?? .max)
      case .halted(.retired): guard try consumer.follow() else { return numbers }
      case .lapped, .halted, .empty: return numbers
      }
    }
  }

  private func takeOver(_ fixture: RingFixture) throws -> RingProducer {
    try RingProducer.takeOver(
      path: fixture.path, readers: fixture.readers, configurationHash: RingFixture.configurationHash)
  }

  /// At every point of a lap, with a batch open or not: the zombie wakes up, goes on for several rings' worth, and no
  /// reader sees any of it; what was published before comes exactly once.
  func testZombiePublishesNothing() throws {
    for (cells, bytes) in [(4, 8), (16, 56), (64, 200)] {
      for before in 0..<UInt64(2 * cells) {
        let fixture = try RingFixture(cells: cells, maximumRecordBytes: max(bytes, 56))
        var zombie = try fixture.producer()
        var early = try fixture.consumer()
        var seen: [UInt64] = []
        for number in 0..<before {
          zombie.commitNumbered(number, bytes: bytes)
          zombie.publish()
          if case .record(_, let bytes) = early.poll(into: buffer) {
            seen.append(numberOf(buffer, bytes: bytes) ?? .max)
          }
        }
        if before % 3 == 1 { zombie.commitNumbered(0xDEAD, bytes: bytes) }
        var successor = try takeOver(fixture)
        XCTAssertEqual(successor.epoch, 2)
        XCTAssertNil(successor.halt)
        let label = "cells \(cells) before \(before)"
        for _ in 0..<4 * cells {
          zombie.commitNumbered(0xBAD, bytes: bytes)
          zombie.publish()
          XCTAssertEqual(try drain(&early), [], label)
        }
        XCTAssertEqual(zombie.halt, .retired, label)
        for number in before..<before + 3 {
          successor.commitNumbered(number, bytes: bytes)
          successor.publish()
          zombie.commitNumbered(0xBAD, bytes: bytes)
          zombie.publish()
          seen += try drain(&early)
        }
        XCTAssertEqual(seen, Array(0..<before + 3), label)
        XCTAssertEqual(early.takeEpochChange(), 2, label)
        XCTAssertNil(early.takeEpochChange(), label)
      }
    }
  }

  /// On a gated ring the zombie's readers have gone: whether it is refused for ever or not, it learns that it was replaced.
  func testZombieOnAGatedRingFindsOut() throws {
    for before in 0..<UInt64(20) {
      let fixture = try RingFixture(cells: 8, maximumRecordBytes: 120, kind: .gatedStream)
      var zombie = try fixture.producer()
      var reader = try fixture.consumer()
      var next: UInt64 = 0
      func produce(_ producer: inout RingProducer) -> Bool {
        guard let payload = producer.tryReserve(bytes: 8) else { return false }
        fillNumbered(payload, next, bytes: 8)
        producer.commit(kind: 1, bytes: 8)
        producer.publish()
        next += 1
        return true
      }
      for number in 0..<before {
        XCTAssertTrue(produce(&zombie))
        XCTAssertEqual(try drain(&reader), [number])
        reader.reportPosition()
      }
      while next < before + 100, produce(&zombie) {}
      XCTAssertLessThan(next, before + 100, "never refused")
      var successor = try takeOver(fixture)
      XCTAssertEqual(try drain(&reader), Array(before..<next), "before \(before)")
      reader.reportPosition()
      for number in next..<next + 20 {
        fillNumbered(try XCTUnwrap(successor.tryReserve(bytes: 8)), number, bytes: 8)
        successor.commit(kind: 1, bytes: 8)
        successor.publish()
        XCTAssertEqual(try drain(&reader), [number], "before \(before)")
        reader.reportPosition()
      }
      var tries = 0
      while zombie.halt == nil, tries < 20 {
        tries += 1
        guard zombie.tryReserve(bytes: 8) != nil else { continue }
        zombie.commit(kind: 1, bytes: 8)
        zombie.publish()
      }
      XCTAssertEqual(zombie.halt, .retired, "before \(before)")
    }
  }

  /// What is retained at the take-over can be read from the new file, byte for byte, also by a reader that comes later.
  func testRetentionSurvives() throws {
    let fixture = try RingFixture(cells: 64, maximumRecordBytes: 200)
    var old = try fixture.producer()
    var follower = try fixture.consumer(start: .oldest)
    for number in 0..<UInt64(100) {
      old.commitNumbered(number, bytes: Int(number % 25) * 8 + 8); old.publish()
    }
    old.setInputPosition(2, 77)
    let oldest = follower.oldestRetained
    let published = follower.publishedPosition
    let successor = try takeOver(fixture)
    XCTAssertEqual(successor.nextPosition, published)
    XCTAssertEqual(successor.inputPosition(2), 77)
    var late = try fixture.consumer(start: .oldest)
    XCTAssertEqual(late.nextPosition, oldest)
    let numbers = try drain(&late)
    XCTAssertEqual(numbers.last, 99)
    XCTAssertEqual(numbers, Array((100 - UInt64(numbers.count))..<100))
    // The follower was lapped long before; it goes on in the new file at the same oldest position.
    XCTAssertEqual(follower.poll(into: buffer), .halted(.retired))
    XCTAssertTrue(try follower.follow())
    XCTAssertEqual(follower.poll(into: buffer), .lapped(from: 0, to: oldest))
    XCTAssertEqual(try drain(&follower), numbers)
  }

  /// Stopped between a record's stamp and the published word: a reader may have taken the record, so the successor keeps it.
  func testKeepsWhatReadersMayHaveSeen() throws {
    for unpublished in 1...3 as ClosedRange<UInt64> {
      let fixture = try RingFixture(cells: 16)
      var zombie = try fixture.producer()
      var reader = try fixture.consumer()
      for number in 0..<UInt64(30) {
        zombie.commitNumbered(number, bytes: 8)
        zombie.publish()
        XCTAssertEqual(try drain(&reader), [number])
      }
      let published = zombie.header.published
      let before = published.loadRelaxed()
      for number in 30..<30 + unpublished { zombie.commitNumbered(number, bytes: 8) }
      zombie.publish()
      published.storeRelaxed(before)  // as if it had never come so far
      XCTAssertEqual(try drain(&reader), Array(30..<30 + unpublished))
      var successor = try takeOver(fixture)
      XCTAssertEqual(successor.nextPosition, 30 + unpublished)
      XCTAssertEqual(RingHeader(successor.file.base).records.loadRelaxed(), 30 + unpublished)
      XCTAssertEqual(RingHeader(successor.file.base).batches.loadRelaxed(), 31)
      successor.commitNumbered(30 + unpublished, bytes: 8)
      successor.publish()
      XCTAssertEqual(try drain(&reader), [30 + unpublished], "neither again nor missing")
    }
  }

  /// A claim that the old producer cannot have made, within what its header lets pass: the successor believes none that
  /// would cost it the newest record, and its ring is in order.
  func testImpossibleClaimIsNotBelieved() throws {
    for garbage in [0, 30, 62, 62 + 32] as [UInt64] {
      let fixture = try RingFixture(cells: 16, maximumRecordBytes: 120)  // segments of two cells
      var zombie = try fixture.producer()
      var reader = try fixture.consumer()
      for number in 0..<UInt64(62) {
        zombie.commitNumbered(number, bytes: 8)
        zombie.publish()
        XCTAssertEqual(try drain(&reader), [number])
      }
      zombie.header.claimed.storeRelaxed(garbage)
      var successor = try takeOver(fixture)
      XCTAssertEqual(successor.nextPosition, 62, "claimed \(garbage)")
      XCTAssertEqual(successor.copyNewestRecord(into: buffer)?.bytes, 8, "claimed \(garbage)")
      XCTAssertEqual(numberOf(buffer, bytes: 8), 61, "claimed \(garbage)")
      for number in 62..<UInt64(100) {
        successor.commitNumbered(number, bytes: 8)
        successor.publish()
        XCTAssertEqual(try drain(&reader), [number], "claimed \(garbage)")
      }
      XCTAssertNil(successor.checkHealth())
      XCTAssertNil(reader.checkHealth())
    }
  }

  /// What has taken the place of a retired file is the same ring, or is refused.
  func testFollowsOnlyItsOwnRing() throws {
    let fixture = try RingFixture(cells: 16)
    var reader = try fixture.consumer()
    let wild = try SharedFile.open(
      path: fixture.path, access: .readWrite, minimumBytes: RingLayout.headerBytes)
    SharedWord(wild.base + RingLayout.retiredOffset).storeRelaxed(RingLayout.retiredMark)
    XCTAssertEqual(reader.poll(into: buffer), .halted(.retired))
    for (cells, name, says) in [(32, "test", "geometry"), (16, "other", "geometry")] {
      try RingProducer.create(
        path: fixture.path, name: name, geometry: RingGeometry(cellCount: cells, maximumRecordBytes: 56),
        readers: [], configurationHash: RingFixture.configurationHash)
      XCTAssertThrowsError(try reader.follow()) { XCTAssertTrue("\($0)".contains(says), "\($0)") }
    }
    XCTAssertEqual(reader.poll(into: buffer), .halted(.retired), "it stays where it was")
  }

  /// The successor finds the newest record, from which it learns how far its predecessor came, however long the batch was
  /// that the predecessor had open; and what was retained still is.
  func testNewestRecordSurvivesTheLongestOpenBatch() throws {
    for (cells, limit, kind) in [
      (4, 56, RingKind.overwritingStream), (4, 56, .gatedStream), (64, 500, .gatedStream),
    ] {
      for before in 1..<UInt64(2 * cells) {
        let fixture = try RingFixture(cells: cells, maximumRecordBytes: limit, kind: kind)
        var zombie = try fixture.producer()
        var reader = try fixture.consumer()
        for number in 0..<before {
          fillNumbered(try XCTUnwrap(zombie.tryReserve(bytes: 56)), number, bytes: 56)
          zombie.commit(kind: 1, bytes: 56)
          zombie.publish()
          XCTAssertEqual(try drain(&reader), [number])
          reader.reportPosition()
        }
        // As many segments as a batch may cover, the frontier's included.
        let room = UInt64(cells) - zombie.cells.segmentCells
        while zombie.cells.segmentEnd(zombie.nextPosition + 1) - before <= room {
          fillNumbered(try XCTUnwrap(zombie.tryReserve(bytes: 56)), 0xDEAD, bytes: 56)
          zombie.commit(kind: 1, bytes: 56)
        }
        let label = "cells \(cells) \(kind) before \(before)"
        let oldest = zombie.cells.oldest(claimed: zombie.state.claimed)
        let successor = try takeOver(fixture)
        XCTAssertEqual(successor.nextPosition, before, label)
        XCTAssertEqual(successor.copyNewestRecord(into: buffer)?.bytes, 56, label)
        XCTAssertEqual(numberOf(buffer, bytes: 56), before - 1, label)
        let late = try fixture.consumer(start: .oldest)
        XCTAssertEqual(late.nextPosition, min(oldest, before), label)
      }
    }
  }

  /// A take-over that died between the retirement and the new file: the ring cannot be attached by mistake, and the next
  /// take-over loses nothing.
  func testTakeoverOfATakeover() throws {
    let fixture = try RingFixture(cells: 16)
    var zombie = try fixture.producer()
    for number in 0..<UInt64(37) { zombie.commitNumbered(number, bytes: 8); zombie.publish() }
    let file = try SharedFile.open(path: fixture.path, access: .readWrite, minimumBytes: 4096)
    SharedWord(file.base + RingLayout.retiredOffset).storeRelaxed(RingLayout.retiredMark)
    XCTAssertThrowsError(try { _ = try fixture.producer() }()) {
      XCTAssertEqual($0 as? RingError, .retired(path: fixture.path))
    }
    var waiting = try fixture.consumer(start: .cursor)
    XCTAssertEqual(waiting.poll(into: buffer), .halted(.retired))
    XCTAssertFalse(try waiting.follow(), "no other file yet")
    var successor = try takeOver(fixture)
    successor.commitNumbered(37, bytes: 8)
    successor.publish()
    var late = try fixture.consumer(start: .oldest)
    let numbers = try drain(&late)
    XCTAssertEqual(numbers, Array((38 - UInt64(numbers.count))...37))
  }

  /// A successor that was stopped while it attached, and replaced: it learns so, and does not take the retirement back.
  func testAttachThatWasOvertakenByATakeover() throws {
    let fixture = try RingFixture(cells: 16)
    do {
      var dead = try fixture.producer()
      dead.commitNumbered(0, bytes: 8)
      dead.publish()
    }
    let file = try SharedFile.open(path: fixture.path, access: .readWrite, minimumBytes: 4096)
    let identity = try RingIdentity.read(from: file, expectedConfiguration: nil)
    let retired = SharedWord(file.base + RingLayout.retiredOffset)
    let mapped = try SharedFile.open(path: fixture.path, access: .readWrite, minimumBytes: 4096)
    let successor = try takeOver(fixture)
    do {
      _ = try RingProducer(file: mapped, identity: identity, readers: fixture.readers)
      XCTFail("attached to a retired file")
    } catch {
      XCTAssertEqual(error, .retired(path: fixture.path))
    }
    XCTAssertEqual(retired.loadRelaxed(), RingLayout.retiredMark)
    XCTAssertNil(successor.halt)
  }

  /// Two at the same time: one of them was stopped on the way, and its file must not come in the place of the other's.
  func testOneTakeoverAtATime() throws {
    let fixture = try RingFixture(cells: 16)
    do {
      var dead = try fixture.producer()
      dead.commitNumbered(0, bytes: 8)
      dead.publish()
    }
    let stopped = open("\(fixture.path).takeover", O_RDWR | O_CREAT, 0o600)
    XCTAssertEqual(flock(stopped, LOCK_EX | LOCK_NB), 0)
    XCTAssertThrowsError(try { _ = try takeOver(fixture) }()) {
      XCTAssertEqual($0 as? RingError, .takeoverRunning(path: fixture.path))
    }
    close(stopped)
    XCTAssertEqual(try takeOver(fixture).nextPosition, 1)
    XCTAssertEqual(try takeOver(fixture).nextPosition, 1, "the lock is given back")
  }

  /// A reader that has looked for the last time before the retirement and begins to sleep after it: the word has changed.
  func testWhoIsAboutToSleepDoesNot() throws {
    let fixture = try RingFixture(cells: 16)
    var zombie = try fixture.producer()
    zombie.commitNumbered(0, bytes: 8)
    zombie.publish()
    let reader = try fixture.consumer(start: .newest)
    let word = try XCTUnwrap(reader.prepareToPark())
    let successor = try takeOver(fixture)
    XCTAssertNotEqual(UInt32(truncatingIfNeeded: reader.publishedPosition), word)
    // Nor does the old producer set it back.
    zombie.publish()
    for _ in 0..<20 {
      zombie.commitNumbered(0xBAD, bytes: 8)
      zombie.publish()
      XCTAssertNotEqual(UInt32(truncatingIfNeeded: reader.publishedPosition), word)
    }
    XCTAssertNil(successor.halt)
  }

  /// A reader asleep on the old file is woken, and one about to sleep does not.
  func testSleeperIsWoken() throws {
    let fixture = try RingFixture(cells: 16)
    var zombie = try fixture.producer()
    zombie.commitNumbered(0, bytes: 8)
    zombie.publish()
    var reader = try fixture.consumer(start: .newest)
    let path = fixture.path
    let woken = DispatchSemaphore(value: 0)
    let asleep = DispatchSemaphore(value: 0)
    let readers = fixture.readers
    Thread.detachNewThread {
      // Takes over while the reader sleeps; waits for its announcement, which precedes the sleep.
      asleep.wait()
      let page = try! CursorPage.attach(
        path: CursorPage.path(ring: path, reader: "reader"), access: .readOnly)
      while page.sleeping.loadRelaxed() == 0 { usleep(100) }
      _ = try! RingProducer.takeOver(
        path: path, readers: readers, configurationHash: RingFixture.configurationHash)
      woken.signal()
    }
    asleep.signal()
    // Twenty minutes: only the wake-up ends it.
    reader.park(nanoseconds: 1_200_000_000_000)
    woken.wait()
    XCTAssertEqual(reader.poll(into: buffer), .halted(.retired))
    XCTAssertTrue(try reader.follow())
    XCTAssertEqual(reader.poll(into: buffer), .empty)
    XCTAssertNil(reader.checkHealth())
  }
}
