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
    XCTAssertFalse(recovery.begin([], next: 1, now: 0), "nobody wishes for anything")
    XCTAssertTrue(recovery.begin([5], next: 1, now: 10))
    XCTAssertFalse(recovery.begin([5], next: 1, now: 11), "one is on its way")
    XCTAssertFalse(recovery.begin([6], next: 9, now: 100_000), "another wish waits for it")
    // Failures.
    var now: UInt64 = 10
    for factor in [1, 2, 4, 8, 16, 16] as [UInt64] {
      recovery.end(hasFailed: true, now: now)
      XCTAssertFalse(recovery.begin([5], next: 1, now: now + factor * Self.interval - 1), "behind \(factor)")
      now += factor * Self.interval
      XCTAssertTrue(recovery.begin([5], next: 1, now: now), "behind \(factor)")
    }
    // An answer of which all of them had nothing counts as a failure, once it shows.
    recovery.end(hasFailed: false, now: now)
    now += Self.interval
    XCTAssertFalse(recovery.begin([5], next: 1, now: now))
    now += (InstrumentRecovery.longestFactor - 1) * Self.interval
    XCTAssertTrue(recovery.begin([5, 6], next: 1, now: now))
    // One that helped: the next is an interval away.
    recovery.end(hasFailed: false, now: now)
    XCTAssertFalse(recovery.begin([6], next: 1, now: now + Self.interval - 1))
    XCTAssertTrue(recovery.begin([6], next: 1, now: now + Self.interval))
    recovery.end(hasFailed: true, now: now)
    XCTAssertTrue(recovery.begin([6], next: 1, now: now + Self.interval), "the count began anew")
  }

  /// The image's orders of an instrument, then what the stream said since, from the image's number on.
  func testABookIsTheImageAndWhatCameSince() {
    var recovery = make()
    XCTAssertTrue(recovery.begin([300, 7], next: 100, now: 0))
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
    XCTAssertTrue(recovery.begin([7], next: 100, now: 0))
    XCTAssertFalse(recovery.complete(next: 99), "older than what was noted")
    XCTAssertTrue(recovery.complete(next: 110))
    XCTAssertNil(recovery.take(next: 109), "ahead of the stream")
    note(&recovery, 109, message("D", 7, 1))
    XCTAssertNil(recovery.failure(now: Self.timeout - 1))
    XCTAssertEqual(recovery.failure(now: Self.timeout), "its number is ahead of the lines")
    XCTAssertEqual(recovery.take(next: 110), 7)
    XCTAssertEqual(told(recovery, 7), [], "the image has it")
    recovery.end(hasFailed: true, now: 0)
    XCTAssertTrue(recovery.begin([7], next: 200, now: Self.interval))
    XCTAssertEqual(recovery.failure(now: Self.interval + Self.timeout), "it did not come in time")
    XCTAssertNil(recovery.imageNext, "nothing of the last one is left")
  }

  /// What there is no room for is a failure, and the next wish is for fewer.
  func testRoomIsBounded() {
    var recovery = make()
    let wish = (1...32).map { UInt16($0) }
    XCTAssertTrue(recovery.begin(wish, next: 1, now: 0))
    XCTAssertEqual(recovery.wish, wish)
    var kept = 0
    while recovery.failure(now: 0) == nil, kept < 1_000_000 {
      keep(&recovery, message("A", 3, 0))
      kept += 1
    }
    XCTAssertGreaterThan(kept, 100_000)
    XCTAssertNotNil(recovery.failure(now: 0))
    recovery.end(hasFailed: true, now: 0)
    XCTAssertTrue(recovery.begin(wish, next: 1, now: Self.interval))
    XCTAssertEqual(recovery.wish, Array(wish.prefix(16)))
    keep(&recovery, message("A", 17, 0))
    XCTAssertEqual(told(recovery, 17), [], "it is not in the wish")
  }
}
