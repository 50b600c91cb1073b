import XCTest

@testable import SystemLog

final class ThrottleTests: XCTestCase {
  private static let second: UInt64 = 1_000_000_000

  func testSoManyOfAKindInAWindowAndTheRestIsCounted() {
    var throttle = LogThrottle(limit: 3, windowNanoseconds: 10 * Self.second)
    for _ in 0..<3 { XCTAssertEqual(throttle.admit(.died, now: 100), 0) }
    for _ in 0..<5 { XCTAssertNil(throttle.admit(.died, now: 5 * Self.second)) }
    // Another kind has its own.
    XCTAssertEqual(throttle.admit(.alarm, now: 5 * Self.second), 0)
    XCTAssertEqual(throttle.admit(.died, now: 100 + 10 * Self.second), 5)
    XCTAssertEqual(throttle.admit(.died, now: 101 + 10 * Self.second), 0, "told once")
  }

  /// A flood about one component does not hide the first line about another.
  func testEachComponentHasItsOwn() {
    var throttle = LogThrottle(limit: 50, windowNanoseconds: 10 * Self.second)
    for _ in 0..<60 { _ = throttle.admit(.alarm, of: "merged", now: 1) }
    XCTAssertEqual(throttle.admit(.alarm, of: "bookd", now: 2), 0)
    XCTAssertEqual(throttle.admit(.alarm, now: 2), 0, "about nobody in particular")
    XCTAssertEqual(
      throttle.takeSuppressed(now: 11 * Self.second),
      [LogThrottle.Suppressed(event: .alarm, component: "merged", count: 10)])
    // However many names come, what is kept of them is bounded.
    for name in 0..<1_000 { _ = throttle.admit(.died, of: "component \(name)", now: 12 * Self.second) }
    XCTAssertEqual(throttle.admit(.died, of: "component 3", now: 12 * Self.second), 0, "known by then")
    XCTAssertNil(throttle.admit(.died, of: "component 999", now: 12 * Self.second), "one of many")
  }

  func testWhatNothingFollowsIsTakenWhenItsWindowIsOver() {
    var throttle = LogThrottle(limit: 1, windowNanoseconds: Self.second)
    XCTAssertEqual(throttle.admit(.alarm, now: 1), 0)
    XCTAssertNil(throttle.admit(.alarm, now: 2))
    XCTAssertTrue(throttle.takeSuppressed(now: Self.second).isEmpty, "the window is not over")
    let taken = throttle.takeSuppressed(now: 1 + Self.second)
    XCTAssertEqual(taken.map(\.event), [.alarm])
    XCTAssertEqual(taken.map(\.count), [1])
    XCTAssertTrue(throttle.takeSuppressed(now: 5 * Self.second).isEmpty, "told once")
    XCTAssertEqual(throttle.admit(.alarm, now: 5 * Self.second), 0)
  }

  func testAnAuditIsNeverPassedOverAndAClockThatGoesBackEndsNoWindow() {
    var throttle = LogThrottle(limit: 1, windowNanoseconds: Self.second)
    for now in 0..<100 { XCTAssertEqual(throttle.admit(.requested, now: UInt64(now)), 0) }
    XCTAssertEqual(throttle.admit(.fenced, now: 100 * Self.second), 0)
    XCTAssertNil(throttle.admit(.fenced, now: 5))
    XCTAssertNil(throttle.admit(.fenced, now: 0))
    XCTAssertEqual(throttle.admit(.fenced, now: 101 * Self.second), 2)
  }

  /// Whatever comes in whatever order: every line is written, or counted in something that is.
  func testNothingIsLostFromTheCount() {
    for seed in UInt64(1)...200 {
      var state = seed
      func random(_ bound: UInt64) -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return (state >> 33) % bound
      }
      var throttle = LogThrottle(limit: 1 + random(4), windowNanoseconds: 1 + random(50))
      var (now, asked, written, told) = (UInt64(0), UInt64(0), UInt64(0), UInt64(0))
      for _ in 0..<500 {
        now += random(30)
        let event = LogEvent.allCases[Int(random(UInt64(LogEvent.allCases.count)))]
        asked += 1
        let name = ["", "merged", "bookd"][Int(random(3))]
        if let before = throttle.admit(event, of: name, now: now) {
          (written, told) = (written + 1, told + before)
        }
        if random(10) == 0 { told += throttle.takeSuppressed(now: now).reduce(0) { $0 + $1.count } }
      }
      told += throttle.takeSuppressed(now: now + 1_000).reduce(0) { $0 + $1.count }
      XCTAssertEqual(asked, written + told, "seed \(seed)")
    }
  }
}
