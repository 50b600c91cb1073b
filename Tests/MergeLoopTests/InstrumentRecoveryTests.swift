import XCTest

@testable import MergeLoop

/// When an image is fetched for instruments in quarantine, and what is made of it.
final class InstrumentRecoveryTests: XCTestCase {
  private static let interval: UInt64 = 1_000
  private static let timeout: UInt64 = 300

  private func make() -> InstrumentRecovery {
    InstrumentRecovery(interval: Self.interval, timeout: Self.timeout)
  }

  /// A message of a type, about an instrument, of the right length; its last byte tells it from others.
  private func message(_ type: Character, _ locate: UInt16, _ mark: UInt8) -> [UInt8] {
    let lengths: [Character: Int] = [
      "A": 36, "F": 40, "D": 19, "X": 23, "E": 31, "C": 36, "U": 35, "R": 39, "P": 44,
    ]
    var bytes = [UInt8](repeating: 0, count: lengths[type] ?? 1)
    bytes[0] = type.asciiValue ?? 0
    bytes[1] = UInt8(locate >> 8)
    bytes[2] = UInt8(locate & 255)
    bytes[bytes.count - 1] = mark
    return bytes
  }

  private func keep(_ recovery: inout InstrumentRecovery, _ bytes: [UInt8]) {
    bytes.withUnsafeBytes { recovery.keep($0) }
  }

  private func note(_ recovery: inout InstrumentRecovery, _ sequence: UInt64, _ bytes: [UInt8]) {
    bytes.withUnsafeBytes { recovery.note(sequence, $0) }
  }

  private func told(_ recovery: borrowing InstrumentRecovery, _ instrument: UInt16) -> [String] {
    var place = InstrumentRecovery.Place()
    var told: [String] = []
    while let found = recovery.nextMessage(of: instrument, &place) {
      told.append(
        "\(found.sequence) \(Character(Unicode.Scalar(found.message[0]))) \(found.message.last ?? 0)")
    }
    return told
  }

  /// One wish at a time; an interval between two images, the double behind each that brought nothing, up to 32 times as long; one
  /// that helped somebody starts the count anew.
  func testWishesAreLimited() {
    var recovery = make()
    XCTAssertFalse(recovery.begin([], made: 0, next: 1, now: 0), "nobody wishes for anything")
    XCTAssertTrue(recovery.begin([5], made: 0, next: 1, now: 10))
    XCTAssertFalse(recovery.begin([5], made: 0, next: 1, now: 11), "one is on its way")
    XCTAssertFalse(recovery.begin([6], made: 0, next: 9, now: 100_000), "another wish waits for it")
    // Failures.
    var now: UInt64 = 10
    for factor in [1, 2, 4, 8, 16, 16] as [UInt64] {
      recovery.end(hasFailed: true, now: now)
      XCTAssertFalse(
        recovery.begin([5], made: 0, next: 1, now: now + factor * Self.interval - 1), "behind \(factor)")
      now += factor * Self.interval
      XCTAssertTrue(recovery.begin([5], made: 0, next: 1, now: now), "behind \(factor)")
    }
    // An answer of which nobody had anything counts as a failure, once it shows.
    recovery.end(hasFailed: false, now: now)
    now += Self.interval
    XCTAssertFalse(recovery.begin([5], made: 0, next: 1, now: now))
    now += (InstrumentRecovery.longestFactor - 1) * Self.interval
    XCTAssertTrue(recovery.begin([5, 6], made: 0, next: 1, now: now))
    // One that helped: the next is an interval away.
    recovery.end(hasFailed: false, now: now)
    XCTAssertFalse(recovery.begin([6], made: 1, next: 1, now: now + Self.interval - 1))
    XCTAssertTrue(recovery.begin([6], made: 1, next: 1, now: now + Self.interval))
    recovery.end(hasFailed: true, now: now)
    XCTAssertTrue(recovery.begin([6], made: 1, next: 1, now: now + Self.interval), "the count began anew")
  }

  /// Where more are in quarantine than one wish holds, the next wish is for others: images that help nobody become rare all the same.
  func testManyInQuarantineWaitAsFew() {
    var recovery = make()
    var now: UInt64 = 0
    var images = 0
    var first: UInt16 = 1
    while now < 200 * Self.interval {
      // As bookd wishes: from behind the last one that was dealt with on.
      let wanted = (0..<32).map { 1 + (first + $0 - 1) % 100 }
      if recovery.begin(wanted, made: 7, next: 1, now: now) {
        images += 1
        first = 1 + (first + 31) % 100
        recovery.end(hasFailed: false, now: now)
      }
      now += Self.interval / 2
    }
    XCTAssertLessThan(images, 15, "with every interval they would be 200")
    XCTAssertGreaterThan(images, 5)
  }

  /// One for which there is no room at all does not stand in front of the others, and comes again behind them.
  func testOneThatIsTooLargeWaitsBehindTheOthers() {
    var recovery = make()
    var now: UInt64 = 0
    func begin(_ wanted: [UInt16], _ recovery: inout InstrumentRecovery) -> [UInt16] {
      now += InstrumentRecovery.longestFactor * Self.interval
      XCTAssertTrue(recovery.begin(wanted, made: now, next: 1, now: now))
      return recovery.wish
    }
    func overflow(_ instrument: UInt16, _ recovery: inout InstrumentRecovery) {
      let order = message("A", instrument, 0)
      order.withUnsafeBytes { while recovery.failure(now: now) == nil { recovery.keep($0) } }
      recovery.end(hasFailed: true, now: now)
    }
    XCTAssertEqual(begin([3], &recovery), [3])
    overflow(3, &recovery)
    XCTAssertEqual(begin([3, 4, 5], &recovery), [4, 5])
    recovery.end(hasFailed: false, now: now)
    XCTAssertEqual(begin([3], &recovery), [3])
    recovery.end(hasFailed: false, now: now)
    // Two of them: each has its turn, and whoever comes later as well.
    for expected in [3, 4, 5] as [UInt16] {
      while recovery.limit > 1 {
        let wish = begin([3, 4, 5], &recovery)
        overflow(wish[0], &recovery)
      }
      let wish = begin([3, 4, 5], &recovery)
      XCTAssertEqual(wish, [expected])
      if wish == [5] { recovery.end(hasFailed: false, now: now) } else { overflow(wish[0], &recovery) }
    }
    XCTAssertEqual(recovery.limit, 2, "an answer makes room for more")
  }

  /// The image's orders of an instrument, then what the stream said since, from the image's number on.
  func testABookIsTheImageAndWhatCameSince() {
    var recovery = make()
    XCTAssertTrue(recovery.begin([300, 7], made: 0, next: 100, now: 0))
    note(&recovery, 100, message("A", 7, 1))
    keep(&recovery, message("A", 7, 2))
    keep(&recovery, message("R", 7, 3))
    keep(&recovery, message("F", 300, 4))
    note(&recovery, 101, message("D", 7, 5))
    keep(&recovery, message("D", 7, 6))
    keep(&recovery, message("A", 8, 7))
    note(&recovery, 102, message("U", 7, 8))
    note(&recovery, 103, message("P", 7, 9))
    note(&recovery, 104, [UInt8](message("D", 7, 10).dropLast()))
    XCTAssertNil(recovery.take(next: 105), "not before the image is whole")
    XCTAssertTrue(recovery.complete(next: 102))
    note(&recovery, 105, message("E", 7, 11))
    note(&recovery, 106, message("X", 300, 12))
    XCTAssertEqual(recovery.take(next: 107), 300)
    XCTAssertEqual(told(recovery, 300), ["0 F 4", "106 X 12"])
    // The stream goes on between two books.
    note(&recovery, 107, message("C", 7, 13))
    XCTAssertEqual(recovery.take(next: 108), 7)
    XCTAssertEqual(told(recovery, 7), ["0 A 2", "102 U 8", "105 E 11", "107 C 13"])
    XCTAssertTrue(recovery.isDone)
    XCTAssertNil(recovery.take(next: 108))
    XCTAssertNil(recovery.failure(now: 1_000_000), "it is done")
  }

  func testTheImageHasToMeetTheStream() {
    var recovery = make()
    XCTAssertTrue(recovery.begin([7], made: 0, next: 100, now: 0))
    XCTAssertFalse(recovery.complete(next: 99), "older than what was noted")
    XCTAssertTrue(recovery.complete(next: 110))
    XCTAssertNil(recovery.take(next: 109), "ahead of the stream")
    note(&recovery, 109, message("D", 7, 1))
    XCTAssertNil(recovery.failure(now: Self.timeout - 1))
    XCTAssertEqual(recovery.failure(now: Self.timeout), "its number is ahead of the lines")
    XCTAssertEqual(recovery.take(next: 110), 7)
    XCTAssertEqual(told(recovery, 7), [], "the image has it")
    recovery.end(hasFailed: true, now: 0)
    XCTAssertTrue(recovery.begin([7], made: 0, next: 200, now: Self.interval))
    XCTAssertEqual(recovery.failure(now: Self.interval + Self.timeout), "it did not come in time")
    XCTAssertNil(recovery.imageNext, "nothing of the last one is left")
  }

  /// What there is no room for is a failure, and the next wish is for fewer.
  func testRoomIsBounded() {
    var recovery = make()
    let wish = (1...32).map { UInt16($0) }
    XCTAssertTrue(recovery.begin(wish, made: 0, next: 1, now: 0))
    XCTAssertEqual(recovery.wish, wish)
    var kept = 0
    while recovery.failure(now: 0) == nil, kept < 1_000_000 {
      keep(&recovery, message("A", 3, 0))
      kept += 1
    }
    XCTAssertGreaterThan(kept, 100_000)
    XCTAssertNotNil(recovery.failure(now: 0))
    recovery.end(hasFailed: true, now: 0)
    XCTAssertTrue(recovery.begin(wish, made: 0, next: 1, now: Self.interval))
    XCTAssertEqual(recovery.wish, Array(wish.prefix(16)))
    keep(&recovery, message("A", 17, 0))
    XCTAssertEqual(told(recovery, 17), [], "it is not in the wish")
  }
}
