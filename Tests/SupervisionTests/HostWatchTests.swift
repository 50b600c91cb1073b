import XCTest

@testable import Supervision

/// The wall clock may be set at any time: that is told, once, and changes nothing else.
final class WallClockWatchTests: XCTestCase {
  private static let hour: Int64 = 3_600_000_000_000
  private static let start: UInt64 = 1_000_000_000_000

  /// Looks each millisecond for so long, with what the wall clock is off by at each.
  private func changes(
    seconds: Double, reading: UInt64 = 500, _ offset: (_ milliseconds: Int) -> Int64
  ) -> [WallClockWatch.Change] {
    var watch = WallClockWatch()
    return (0..<Int(seconds * 1_000)).compactMap { millisecond in
      let now = Self.start + UInt64(millisecond) * 1_000_000
      let wall = UInt64(bitPattern: 1_700_000_000_000_000_000 + Int64(now) + offset(millisecond))
      return watch.look(before: now, wall: wall, after: now + reading)
    }
  }

  func testAnEvenOrSlewedClockIsBelieved() {
    XCTAssertEqual(changes(seconds: 5) { _ in 0 }, [])
    // 500 ppm, and a step that no reader minds.
    XCTAssertEqual(changes(seconds: 5) { Int64($0) * 500 }, [])
    XCTAssertEqual(changes(seconds: 5) { $0 < 1_000 ? 0 : 90_000_000 }, [])
  }

  func testAStepIsToldAndLiftedWhenAllIsCalm() {
    for step in [Self.hour, -Self.hour] {
      XCTAssertEqual(
        changes(seconds: 15) { $0 < 1_000 ? 0 : step }, [.stepped(nanoseconds: step), .steady(steps: 1)])
    }
    XCTAssertEqual(changes(seconds: 10.9) { $0 < 1_000 ? 0 : Self.hour }, [.stepped(nanoseconds: Self.hour)])
  }

  func testAStrobeIsOneSuspicion() {
    let found = changes(seconds: 20) { $0 < 3_000 ? ($0 / 50 % 2 == 0 ? 0 : Self.hour) : 0 }
    XCTAssertEqual(found, [.stepped(nanoseconds: Self.hour), .steady(steps: 60)])
  }

  /// A look that was interrupted between the clocks says nothing, however long it took.
  func testAnInterruptedLookIsNoStep() {
    XCTAssertEqual(
      changes(seconds: 3, reading: 2_000_000_000) { $0 < 1_000 ? 0 : Self.hour }, [])
  }
}

/// Memory that grows towards a limit is told in time, and what merely comes up is not.
final class MemoryTrendTests: XCTestCase {
  private static let limit: UInt64 = 256 << 20

  /// The seconds at which it was told, and what was said.
  private func told(
    _ seconds: Int, limit: UInt64? = MemoryTrendTests.limit, _ used: (Int) -> UInt64
  ) -> [(second: Int, left: UInt64, perSecond: UInt64)] {
    var trend = MemoryTrend()
    return (0..<seconds).compactMap { second in
      trend.take(used: used(second), left: limit.map { $0 - min($0, used(second)) }).map {
        (second, $0.seconds, $0.perSecond)
      }
    }
  }

  func testALeakToTheLimitWithinAMinuteIsToldTenSecondsBefore() throws {
    for perSecond in [UInt64(4 << 20), 6 << 20, 12 << 20] {
      let found = told(Int(Self.limit / perSecond)) { UInt64($0) * perSecond }
      XCTAssertEqual(found.count, 1, "\(perSecond)")
      let first = try XCTUnwrap(found.first)
      XCTAssertEqual(first.perSecond, perSecond)
      XCTAssertEqual(first.left, Self.limit / perSecond - UInt64(first.second), "\(perSecond)")
    }
    XCTAssertGreaterThanOrEqual(try XCTUnwrap(told(60) { UInt64($0) * (4 << 20) }.first).left, 10)
  }

  func testWhatIsFarAwayComesUpOrStandsStillIsNotTold() {
    // An hour away; no limit; less than anybody would mind.
    XCTAssertTrue(told(60) { UInt64($0) * (70 << 10) }.isEmpty)
    XCTAssertTrue(told(60, limit: nil) { UInt64($0) * (4 << 20) }.isEmpty)
    XCTAssertTrue(told(60, limit: 200_000) { UInt64($0) * 3_000 }.isEmpty)
    XCTAssertTrue(told(60) { _ in 250 << 20 }.isEmpty)
    // Comes up in ten seconds and stands still then; saws.
    XCTAssertTrue(told(60) { UInt64(min($0, 10)) * (20 << 20) }.isEmpty)
    XCTAssertTrue(told(60) { UInt64(200 << 20) + UInt64($0 % 4) * (8 << 20) }.isEmpty)
  }

  func testEachIncarnationIsToldOfAnew() {
    var trend = MemoryTrend()
    func run() -> Int {
      (0..<60).filter {
        trend.take(used: UInt64($0) * (4 << 20), left: Self.limit - UInt64($0) * (4 << 20)) != nil
      }.count
    }
    XCTAssertEqual(run(), 1)
    trend.begin()
    XCTAssertEqual(run(), 1)
  }
}
