import XCTest

@testable import Supervision

/// What is slow is told against what is usual, once when it begins, and once when it is over.
final class LatencyWatchTests: XCTestCase {
  private static let millisecond: UInt64 = 1_000_000

  /// Takes a window of a hundred samples for each percentile, and says at which something was told.
  private func changes(
    _ watch: inout LatencyWatch, _ percentiles: [UInt64], count: UInt64 = 100
  ) -> [Int: LatencyWatch.Change] {
    var told: [Int: LatencyWatch.Change] = [:]
    for (index, percentile) in percentiles.enumerated() {
      if let change = watch.take(percentile: percentile, count: count) { told[index] = change }
    }
    return told
  }

  private func learned(_ usual: UInt64 = 2 * LatencyWatchTests.millisecond) -> LatencyWatch {
    LatencyWatch(factor: 10, least: Self.millisecond, baseline: usual)
  }

  func testTheBaselineIsTheMedianOfTheFirstWindowsWithEnoughInThem() {
    var watch = LatencyWatch(factor: 10, least: 1)
    XCTAssertEqual(changes(&watch, [900, 900, 900], count: 49), [:])
    // Two of them are far off: a start, a disturbance.
    XCTAssertEqual(
      changes(&watch, [50, 9_000_000, 40, 60, 45, 55, 5_000_000, 50, 48]), [:])
    XCTAssertEqual(watch.baseline, 0)
    XCTAssertEqual(watch.limit, 0)
    XCTAssertEqual(changes(&watch, [52]), [0: .learned])
    XCTAssertEqual(watch.baseline, 52)
    XCTAssertEqual(watch.limit, 520)
    // It stands.
    XCTAssertEqual(changes(&watch, Array(repeating: 500, count: 40)), [:])
    XCTAssertEqual(watch.baseline, 52)
  }

  func testOverTenTimesForThreeWindowsIsDegradedOnce() {
    var watch = learned()
    let limit = 20 * Self.millisecond
    XCTAssertEqual(changes(&watch, Array(repeating: limit, count: 20)), [:])
    XCTAssertEqual(changes(&watch, [limit + 1, limit + 1, limit, limit + 1, limit + 1]), [:])
    XCTAssertEqual(
      changes(&watch, [limit, limit + 1, limit + 2, limit + 3, limit + 4]), [3: .degraded(limit + 3)])
    XCTAssertTrue(watch.isDegraded)
  }

  func testItIsRestoredWellBelowTheLimitOnly() {
    var watch = learned()
    let high = 30 * Self.millisecond
    let middling = 11 * Self.millisecond
    let well = 10 * Self.millisecond
    XCTAssertEqual(changes(&watch, [high, high, high]), [2: .degraded(high)])
    XCTAssertEqual(changes(&watch, Array(repeating: middling, count: 100)), [:])
    XCTAssertEqual(changes(&watch, [well, well, high, well, well, middling]), [:])
    XCTAssertEqual(changes(&watch, [well, well, well, well]), [2: .restored(well)])
    XCTAssertFalse(watch.isDegraded)
    // Another episode is another one.
    XCTAssertEqual(changes(&watch, [high, high, high]), [2: .degraded(high)])
  }

  func testAnEpisodeThatLastsIsAnAlarmOnce() {
    var watch = learned()
    let told = changes(&watch, Array(repeating: 30 * Self.millisecond, count: 200))
    XCTAssertEqual(told, [2: .degraded(30 * Self.millisecond), 29: .lasting(30 * Self.millisecond)])
  }

  /// Ten times next to nothing is next to nothing: the scheduler alone takes that.
  func testThereIsALeastThatIsTold() {
    var watch = learned(20_000)
    XCTAssertEqual(watch.limit, Self.millisecond)
    XCTAssertEqual(changes(&watch, Array(repeating: Self.millisecond, count: 20)), [:])
    XCTAssertEqual(changes(&watch, Array(repeating: Self.millisecond + 1, count: 3)).count, 1)
    XCTAssertEqual(LatencyWatch(factor: 10, least: 1, baseline: .max).limit, .max)
  }

  /// A stage that is not let run has nothing to show: that is not well, for a while.
  func testSilenceEndsAnEpisodeOnlyAfterAWhile() {
    var watch = learned()
    let high = 30 * Self.millisecond
    XCTAssertEqual(changes(&watch, [high, high, high]).count, 1)
    XCTAssertEqual(changes(&watch, Array(repeating: 0, count: 9), count: 10), [:])
    XCTAssertEqual(changes(&watch, [high]), [:])
    XCTAssertEqual(changes(&watch, Array(repeating: 0, count: 30), count: 0), [9: .restored(0)])
  }

  /// Of another incarnation, or of another hour: not of the same episode.
  func testSlowWindowsAroundASilenceAreNoneInARow() {
    var watch = learned()
    let high = 30 * Self.millisecond
    XCTAssertEqual(changes(&watch, [high, high]), [:])
    XCTAssertEqual(changes(&watch, [0], count: 0), [:])
    XCTAssertEqual(changes(&watch, [high, high]), [:])
    XCTAssertEqual(changes(&watch, [high]), [0: .degraded(high)])
  }

  func testASupervisorThatTakesOverGoesOn() {
    var watch = LatencyWatch(factor: 10, least: 1, baseline: 100, isDegraded: true)
    XCTAssertEqual(changes(&watch, [2_000, 2_000, 2_000, 2_000]), [:])
    XCTAssertEqual(changes(&watch, [100, 100, 100]), [2: .restored(100)])
    // Without a baseline nothing can have been said.
    XCTAssertFalse(LatencyWatch(factor: 10, least: 1, isDegraded: true).isDegraded)
  }
}

/// Optional work goes in the declared order, and comes back in the reverse one.
final class LoadSheddingTests: XCTestCase {
  private func changes(
    _ shedding: inout LoadShedding, _ loads: [LoadShedding.Load]
  ) -> [Int: LoadShedding.Change] {
    var told: [Int: LoadShedding.Change] = [:]
    for (index, load) in loads.enumerated() {
      if let change = shedding.take(load) { told[index] = change }
    }
    return told
  }

  private func times(_ count: Int, _ load: LoadShedding.Load) -> [LoadShedding.Load] {
    Array(repeating: load, count: count)
  }

  func testStepsGoInOrderAndComeBackInReverse() {
    var shedding = LoadShedding(count: 2)
    XCTAssertEqual(changes(&shedding, times(20, .over)), [2: .shed(0), 5: .shed(1)])
    XCTAssertEqual(changes(&shedding, times(20, .between)), [:])
    XCTAssertEqual(changes(&shedding, times(20, .calm)), [4: .restored(1), 9: .restored(0)])
    XCTAssertEqual(changes(&shedding, times(20, .calm)), [:])
  }

  func testWhatComesAndGoesMovesNothing() {
    var shedding = LoadShedding(count: 2)
    XCTAssertEqual(changes(&shedding, (0..<60).map { $0 % 3 == 2 ? .between : .over }), [:])
    XCTAssertEqual(changes(&shedding, times(3, .over)), [2: .shed(0)])
    XCTAssertEqual(changes(&shedding, (0..<60).map { $0 % 5 == 4 ? .between : .calm }), [:])
    XCTAssertEqual(shedding.level, 1)
  }

  func testNothingIsShedWhereNothingIsDeclared() {
    var shedding = LoadShedding(count: 0, level: 3)
    XCTAssertEqual(shedding.level, 0)
    XCTAssertEqual(changes(&shedding, times(10, .over) + times(10, .calm)), [:])
  }

  func testASupervisorThatTakesOverGoesOnWhereTheOtherWas() {
    var shedding = LoadShedding(count: 2, level: 1)
    XCTAssertEqual(changes(&shedding, times(5, .calm)), [4: .restored(0)])
  }

  func testWhatIsOverAndWhatIsCalm() {
    func load(_ busy: UInt64?, _ isDegraded: Bool = false) -> LoadShedding.Load {
      LoadShedding.Load(busy: busy, limit: 800, isDegraded: isDegraded)
    }
    XCTAssertEqual(load(801), .over)
    XCTAssertEqual(load(800), .between)
    XCTAssertEqual(load(600), .between)
    XCTAssertEqual(load(599), .calm)
    XCTAssertEqual(load(0, true), .over)
    XCTAssertEqual(load(nil), .calm)
  }
}
