import XCTest

@testable import Drills

/// Whether lag and latency are back after a kill (C12).
final class LoadReturnTests: XCTestCase {
  private static let step: UInt64 = 5_000_000

  /// One stage, or bookd and pubd.
  private func window(
    _ lag: UInt64, _ bookd: UInt64, turns: UInt64 = 100, pubd: UInt64? = nil
  ) -> LoadWindow {
    LoadWindow(
      lag: lag,
      latencies: [.init(stage: "bookd", nanoseconds: bookd, turns: turns)]
        + (pubd.map { [.init(stage: "pubd", nanoseconds: $0, turns: 100)] } ?? []))
  }

  /// Lags of 1 to 40 cells, latencies of 1,000 to 40,000 ns: 95 % are at most 38.
  private func usual() -> UsualLoad { UsualLoad((1...40).reversed().map { window($0, $0 * 1_000) })! }

  /// Feeds one window after the other, from READY on.
  private func watch(_ windows: [LoadWindow], readyAt: UInt64 = 1_000) -> LoadReturnWatch {
    var watch = LoadReturnWatch(usual: usual(), readyAt: readyAt)
    for (index, window) in windows.enumerated() {
      watch.take(window, endingAt: readyAt + UInt64(index + 1) * Self.step)
    }
    return watch
  }

  func testWhatIsUsual() {
    XCTAssertEqual(usual().lagLimit, 38 + 3)
    XCTAssertEqual(usual().latencyLimits, [38_000 + 3_800])
    // A percentile of a few turns is none: neither a window of them, nor too few windows, make anything usual.
    XCTAssertNil(UsualLoad((1...19).map { window($0, $0) }))
    XCTAssertNil(UsualLoad((1...40).map { window($0, $0, turns: $0 < 22 ? 4 : 5) }))
    XCTAssertNotNil(UsualLoad((1...40).map { window($0, $0, turns: $0 < 21 ? 4 : 5) }))
    // One outlier in twenty is not usual; the pages may hold anything.
    XCTAssertEqual(UsualLoad((1...20).map { window($0 == 7 ? .max : 10, $0 == 9 ? .max : 10) })?.lagLimit, 11)
    XCTAssertEqual(UsualLoad((1...20).map { _ in window(.max, .max) })?.lagLimit, .max)
    // Each stage has its own.
    XCTAssertEqual(UsualLoad((1...20).map { _ in window(1, 10, pubd: 20) })?.latencyLimits, [11, 22])
  }

  /// It is back with the first of three good windows in a row, and not before.
  func testItIsBackWithThreeGoodWindows() {
    let good = window(41, 41_800)
    XCTAssertEqual(watch([good, good, good]).settledAfter, Self.step)
    XCTAssertEqual(watch([good, good, good]).result, .back)
    XCTAssertNil(watch([good, good]).result)
    for bad in [window(42, 100), window(1, 41_801), window(42, 0, turns: 0)] {
      XCTAssertNil(watch([good, good, bad, good, good]).result, "\(bad)")
      XCTAssertEqual(watch([good, bad, good, good, good]).settledAfter, 3 * Self.step, "\(bad)")
    }
    // One that hardly turns is not back by that.
    let idle = window(0, 0, turns: 4)
    XCTAssertNil(watch([idle, idle, idle, idle]).result)
    XCTAssertEqual(watch([good, idle, good, good]).settledAfter, Self.step)
    XCTAssertNil(watch([good, idle, good]).result)
  }

  /// All of them in the same window: those behind a stage that is back may still be on their way.
  func testEverybodyHasToBeBack() {
    let usual = UsualLoad((1...20).map { _ in window(1, 10, pubd: 20) })
    var watch = LoadReturnWatch(usual: usual, readyAt: 0)
    for step in 1...9 {
      watch.take(
        window(1, step == 4 ? 12 : 11, pubd: step < 6 ? 23 : 22), endingAt: UInt64(step) * Self.step)
      XCTAssertEqual(watch.result, step < 8 ? nil : .back, "\(step)")
    }
    XCTAssertEqual(watch.settledAfter, 6 * Self.step)
    // Without anything usual there is nothing to come back to.
    XCTAssertEqual(LoadReturnWatch(usual: nil, readyAt: 0).result, .noUsual)
  }

  func testFiveSecondsAreTheLimit() {
    let slow = window(1, 50_000)
    let windows = [LoadWindow](repeating: slow, count: 1_000)
    XCTAssertNil(watch(windows).result)
    let tooSlow = LoadReturn.late("bookd p99 50 µs, usual up to 41 µs")
    XCTAssertEqual(watch(windows + [slow]).result, tooSlow)
    XCTAssertEqual(watch(windows + [window(77, 1)]).result, .late("77 cells behind, usual up to 41"))
    XCTAssertNil(watch(windows + [slow]).settledAfter)
    // The judgement stands, whatever comes later.
    let good = window(1, 1)
    XCTAssertEqual(watch(windows + [slow, good, good, good]).result, tooSlow)
  }

  // MARK: The criterion

  private func judge(_ results: [LoadReturn?], times: Bool = true) -> DrillCriterion? {
    var round = DrillRound(number: 0)
    round.kills = results.map { result in
      var kill = KillMeasurement(component: "bookd", round: 0, killedAt: 1)
      if let result { kill.set(result, settledAfter: result == .back ? 7 : nil) }
      return kill
    }
    let judgement = DrillJudgement(
      Drill.named("D-03")!, [round], killsWanted: 1, judgesTimes: times)
    XCTAssertEqual(judgement.percentiles[.settle]?.count ?? 0, results.count { $0 == .back })
    return judgement.criteria.first { $0.code == "C12" }
  }

  func testReturnsAreJudged() {
    XCTAssertEqual(judge([.back, .back])?.verdict, .pass)
    XCTAssertEqual(judge([.back, .late("bookd")])?.verdict, .fail)
    XCTAssertEqual(judge([.back, .late("bookd")], times: false)?.verdict, .notJudged)
    // What is cut short proves nothing; if nearly all is, nothing is proven.
    XCTAssertEqual(judge([.back, .cut, .cut, .noUsual])?.verdict, .pass)
    XCTAssertEqual(judge([.back, .cut, .cut, .noUsual, .cut])?.verdict, .fail)
    XCTAssertEqual(judge([.cut])?.verdict, .fail)
    XCTAssertNil(judge([nil]))
    // A kill that nobody looked at is no kill that is back.
    XCTAssertEqual(judge([.back, nil, nil, nil, nil])?.found, "1 back, 0 cut short, 0 unknown")
  }
}
