import XCTest

@testable import TapeLoop

/// How far, in time, the disk is behind the stream.
final class JournalLagTests: XCTestCase {
  private let millisecond: UInt64 = 1_000_000

  func testNothingWaits() {
    var lag = JournalLag()
    XCTAssertEqual(lag.take(newest: 0, durable: 0, now: 5), 0)
    XCTAssertEqual(lag.take(newest: 9, durable: 9, now: 6), 0)
  }

  /// The age is that of the oldest message that waits, not of the newest.
  func testTheOldestCounts() {
    var lag = JournalLag()
    XCTAssertEqual(lag.take(newest: 10, durable: 0, now: 100 * millisecond), 0)
    XCTAssertEqual(lag.take(newest: 20, durable: 0, now: 120 * millisecond), 20 * millisecond)
    XCTAssertEqual(
      lag.take(newest: 30, durable: 5, now: 150 * millisecond), 50 * millisecond, "10 still waits")
    XCTAssertEqual(
      lag.take(newest: 30, durable: 10, now: 160 * millisecond), 40 * millisecond, "20 came at 120")
    XCTAssertEqual(lag.take(newest: 30, durable: 30, now: 170 * millisecond), 0)
    XCTAssertEqual(lag.take(newest: 31, durable: 30, now: 500 * millisecond), 0, "it has just come")
  }

  /// A recorder that dies again and again before the disk has what came: the lag does not begin anew with each of them.
  func testASuccessorGoesOnWithThePredecessorsLag() {
    var until: UInt64 = 0
    for life in UInt64(0)...4 {
      var lag = JournalLag(since: until == 0 ? nil : until)
      let now = (100 + 1000 * life) * millisecond
      let said = lag.take(newest: 10 * (life + 1), durable: 0, now: now)
      XCTAssertEqual(said, 1000 * life * millisecond, "life \(life)")
      until = now - said
    }
    var lag = JournalLag(since: until)
    XCTAssertEqual(lag.take(newest: 60, durable: 60, now: 9000 * millisecond), 0, "the disk has it all")
    XCTAssertEqual(lag.take(newest: 61, durable: 60, now: 9010 * millisecond), 0, "it has just come")
    XCTAssertEqual(lag.take(newest: 61, durable: 60, now: 9020 * millisecond), 10 * millisecond)
  }

  /// A disk that stands for an hour: the lag is right to the end, and too little by one distance of two marks at most when it works again.
  func testADiskThatStandsForLong() {
    var lag = JournalLag()
    let step = 10 * millisecond
    let steps: UInt64 = 360_000
    var said: UInt64 = 0
    for number in 1...steps { said = lag.take(newest: number, durable: 0, now: number * step) }
    XCTAssertEqual(said, (steps - 1) * step)
    // The disk takes one message after the other: what is said never falls behind by more than the marks are apart.
    let now = steps * step
    let apart = steps * step / UInt64(JournalLag.marksMax / 4)
    for durable in stride(from: UInt64(1_000), to: steps, by: 7_919) {
      let due = now - (durable + 1) * step
      let said = lag.take(newest: steps, durable: durable, now: now)
      XCTAssertLessThanOrEqual(said, due)
      XCTAssertLessThanOrEqual(due - said, apart, "durable \(durable)")
    }
  }
}
