import BookBuilder
import Foundation
import OrderBook
import StageRecords
import XCTest

@testable import PublishLoop
@testable import PublishWire

/// Epochs of the stream, and who gets the past from the tape.
final class DeepHistoryTests: XCTestCase {
  // MARK: Epochs

  /// Milliseconds since 1970, of which 32 bits were told, began anew in 2026-11 and in 2027-01.
  func testEpochsRiseOverTheBoundariesOfTheOldCount() {
    let wrap: UInt64 = 1_000_000 << 32
    var before: UInt32 = 0
    for boundary in [418 * wrap, 419 * wrap, 420 * wrap, 500 * wrap] {
      for offset in [-86_400_000_000_000, -1_000_000_000, 0, 1_000_000_000, 86_400_000_000_000] {
        let life = UInt64(Int64(boundary) + Int64(offset))
        let epoch = StreamOrigin.epoch(life: life, producerEpoch: 3)
        XCTAssertGreaterThan(epoch, before, "life \(life)")
        XCTAssertLessThan(epoch, StreamOrigin.epoch(life: life, producerEpoch: 4), "life \(life)")
        before = epoch
      }
    }
    // 2039-08-12 is the last day.
    XCTAssertGreaterThan(StreamOrigin.epoch(life: 2_196_547_200_000_000_000, producerEpoch: 9), before)
    XCTAssertEqual(StreamOrigin.epoch(life: 0, producerEpoch: 2), 2)
    // A clock that was never set traps nothing.
    XCTAssertGreaterThan(StreamOrigin.epoch(life: 1, producerEpoch: 0), 1)
  }

  // MARK: Turns

  private let second: UInt64 = 1_000_000_000

  func testAReaderThatNobodyWaitsForKeepsItsTurn() {
    var turns = ReplayTurns()
    XCTAssertTrue(turns.ask(1, now: 0, holderIsSlow: true))
    turns.took(1, now: 0)
    XCTAssertTrue(turns.ask(1, now: 3600 * second, holderIsSlow: true))
    turns.leave(1)
    XCTAssertNil(turns.holder)
    XCTAssertTrue(turns.ask(2, now: 3601 * second, holderIsSlow: false))
  }

  /// A reader that takes a piece every three seconds, one that always lets the thread wait, and one that takes all there is: the
  /// turn goes on after the limit for each, when somebody waits.
  func testATurnEndsWhileSomebodyWaits() {
    let limits = ReplayTurns.Limits()
    for (kind, isSlow, asks, over) in [
      ("absent", false, false, limits.absence), ("slow", true, true, limits.slowTurn),
      ("fast", false, true, limits.turn),
    ] {
      var turns = ReplayTurns(limits: limits)
      XCTAssertTrue(turns.ask(1, now: 0, holderIsSlow: isSlow))
      turns.took(1, now: 0)
      var now: UInt64 = 0
      var taken: UInt64?
      while taken == nil, now < 60 * second {
        now += second / 10
        if turns.ask(2, now: now, holderIsSlow: isSlow) { taken = now }
        if taken == nil, asks { XCTAssertTrue(turns.ask(1, now: now, holderIsSlow: isSlow), kind) }
      }
      XCTAssertEqual(taken, over + second / 10, kind)
      // The first one comes back in its turn.
      XCTAssertFalse(turns.ask(1, now: now, holderIsSlow: false), kind)
      turns.leave(2)
      XCTAssertTrue(turns.ask(1, now: now, holderIsSlow: false), kind)
    }
  }

  /// Filling the books may take long: the time counts from the first piece on.
  func testATurnThatHasGivenNothingYetGoesOn() {
    var turns = ReplayTurns()
    XCTAssertTrue(turns.ask(1, now: 0, holderIsSlow: false))
    for step in 1...600 {
      XCTAssertTrue(turns.ask(1, now: UInt64(step) * second / 10, holderIsSlow: false))
      XCTAssertFalse(turns.ask(2, now: UInt64(step) * second / 10, holderIsSlow: false))
    }
  }

  func testWhoHasWaitedLongestIsNextAndWhoDoesNotAskHoldsUpNobody() {
    var turns = ReplayTurns()
    XCTAssertTrue(turns.ask(1, now: 0, holderIsSlow: false))
    for reader in UInt64(2)...5 { XCTAssertFalse(turns.ask(reader, now: 0, holderIsSlow: false)) }
    turns.leave(1)
    // 2 has gone, 3 comes in a moment, 4 and 5 are there.
    turns.leave(2)
    XCTAssertFalse(turns.ask(4, now: second / 10, holderIsSlow: false), "3 is before it")
    let now = 3 * second / 10
    XCTAssertFalse(turns.ask(5, now: now, holderIsSlow: false), "3 stays away, and 4 has asked a moment ago")
    XCTAssertTrue(turns.ask(4, now: now, holderIsSlow: false))
    XCTAssertFalse(turns.ask(3, now: now, holderIsSlow: false), "it had its chance")
  }

  /// Four clients that take all there is, in bites, so that now and then as much is ready as may be, and one that reads
  /// slowly, over a tape before which books have to be filled for three seconds each turn.
  func testFourFastReplaysAndASlowOneAllComeToTheirEnd() {
    struct Reader {
      let period: UInt64
      let bite: Int
      var left: Int
      var taken: UInt64 = 0
      var longestWait: UInt64 = 0
    }
    let limits = ReplayTurns.Limits()
    let millisecond: UInt64 = 1_000_000
    let fill = 3_000 * millisecond
    var turns = ReplayTurns(limits: limits)
    // One piece is made each 4 ms, up to 8 wait.
    var readers = (0..<4).map { Reader(period: UInt64(40 + $0), bite: 8, left: 5_000) }
    readers.append(Reader(period: 500, bite: 1, left: 60))
    var feed = (owner: -1, pace: FeedPace(), ready: 0, made: 0, workedUntil: UInt64(0), took: UInt64?.none)
    var lengths: [Int: [UInt64]] = [:]
    var now: UInt64 = 0
    while readers.contains(where: { $0.left > 0 }), now < 2_000 * second {
      now += millisecond
      // The thread.
      if feed.owner >= 0, now >= feed.workedUntil, feed.made < readers[feed.owner].left {
        if feed.ready == 8 {
          feed.pace.wait(now: now)
        } else {
          feed.pace.goOn(now: now)
          feed.pace.begin(now: now)
          feed.ready += 1
          feed.made += 1
          feed.workedUntil = now + 4 * millisecond
        }
      }
      for index in readers.indices where readers[index].left > 0 {
        let number = UInt64(index + 1)
        // Whose queue is empty asks all the time; whose turn it is when its client has taken something.
        let period = turns.holder == number ? readers[index].period : 5
        guard now / millisecond % period == 0 else { continue }
        guard turns.ask(number, now: now, holderIsSlow: feed.pace.isSlow(now: now)) else { continue }
        if feed.owner != index {
          if feed.owner >= 0, let took = feed.took { lengths[feed.owner, default: []].append(now - took) }
          feed = (index, FeedPace(), 0, 0, now + fill, nil)
        }
        let taken = min(readers[index].bite, feed.ready)
        guard taken > 0 else { continue }
        feed.pace.goOn(now: now)
        feed.ready -= taken
        feed.made -= taken
        feed.took = feed.took ?? now
        turns.took(number, now: now)
        readers[index].left -= taken
        readers[index].longestWait = max(readers[index].longestWait, now - readers[index].taken)
        readers[index].taken = now
        if readers[index].left == 0 {
          turns.leave(number)
          feed.owner = -1
        }
      }
    }
    XCTAssertEqual(readers.map(\.left), [0, 0, 0, 0, 0], "at \(now / second) s")
    // Nobody waits for longer than the others' turns.
    let round = 4 * (limits.turn + fill) + limits.slowTurn + fill + 2 * second
    for reader in readers { XCTAssertLessThan(reader.longestWait, round) }
    for index in 0..<4 {
      for length in lengths[index] ?? [] {
        XCTAssertGreaterThanOrEqual(length, limits.turn, "a turn of \(index) ended early")
      }
    }
    for length in lengths[4] ?? [] { XCTAssertLessThan(length, limits.slowTurn + second) }
    XCTAssertGreaterThan(lengths[4]?.count ?? 0, 1)
    XCTAssertGreaterThan(lengths[0]?.count ?? 0, 0)
  }

  // MARK: The disk

  /// A tape on a disk that does not answer: opening a named pipe waits for ever, as a segment on it would.
  func testADiskThatHangsDoesNotHoldUpWhoAsks() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("bulkhead-\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let pipe = folder.appendingPathComponent("tape-0000000001.segment").path
    XCTAssertEqual(mkfifo(pipe, 0o600), 0)
    let answered = expectation(description: "the question is answered")
    let thread = Thread {
      let tape = TapeHistory(
        directory: folder.path,
        rules: BookRules(capacity: BookCapacity(orders: 64, levels: 64, instruments: 8)),
        channel: 1, run: { 7 })
      XCTAssertNil(tape.oldest(now: 0))
      XCTAssertNil(tape.oldest(now: 60_000_000_000))
      XCTAssertFalse(tape.isReachKnown, "nobody has seen the disk yet")
      answered.fulfill()
    }
    thread.start()
    let result = XCTWaiter.wait(for: [answered], timeout: 60)
    // Whoever hangs there is let go.
    let end = open(pipe, O_RDWR | O_NONBLOCK)
    XCTAssertEqual(result, .completed, "nobody but a thread may wait for the disk")
    if end >= 0 { close(end) }
  }
}
