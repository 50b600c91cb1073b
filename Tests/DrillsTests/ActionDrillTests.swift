import XCTest

@testable import Drills

/// What the drills of livelocks (D-10) and of safety actions (D-39) let pass.
final class ActionDrillTests: XCTestCase {
  private func failed(_ criteria: [DrillCriterion]) -> Set<String> {
    Set(criteria.filter { $0.verdict == .fail }.map(\.code))
  }

  private func livelock(
    _ kind: LivelockMeasurement.Kind, _ change: (inout LivelockMeasurement) -> Void = { _ in }
  ) -> LivelockMeasurement {
    var measurement = LivelockMeasurement(kind: kind, round: 0)
    measurement.alarmAfter = kind == .livelock ? 240_000_000 : 1_200_000_000
    measurement.age = 201_000_000
    measurement.missing = kind.missing
    measurement.cause = kind.cause
    measurement.wasReplaced = true
    change(&measurement)
    return measurement
  }

  private func judge(
    _ found: [LivelockMeasurement], wanted: Int = 2, times: Bool = true
  ) -> Set<String> {
    failed(DrillJudgement.judgeLivelocks(found, wanted: wanted, judgesTimes: times))
  }

  func testLivelocksAreFoundInTimeWithTheirCauseAndReplaced() {
    let good = [livelock(.livelock), livelock(.faking)]
    XCTAssertEqual(judge(good), [])
    XCTAssertEqual(judge(good, wanted: 3), ["failures"])
    XCTAssertEqual(judge([livelock(.livelock) { $0.age = 206_000_000 }, good[1]]), ["progress"])
    XCTAssertEqual(judge([livelock(.livelock) { $0.age = 199_000_000 }, good[1]]), ["progress"])
    XCTAssertEqual(judge([good[0], livelock(.faking) { $0.alarmAfter = 3_500_000_001 }]), ["canary"])
    XCTAssertEqual(
      judge([good[0], livelock(.faking) { $0.alarmAfter = 3_500_000_001 }], times: false), [])
    XCTAssertEqual(judge([good[0], livelock(.faking) { $0.alarmAfter = nil }], times: false), ["canary"])
    XCTAssertEqual(judge([good[0], livelock(.faking) { $0.missing = "output" }]), ["C11"])
    XCTAssertEqual(judge([livelock(.livelock) { $0.wasReplaced = false }, good[1]]), ["fence"])
    XCTAssertEqual(judge([good[0], good[0]]), ["C11", "canary"], "a kind that was never tried")
  }

  private func firing(
    _ expected: String, allocations: (String) -> UInt64?,
    _ change: (String) -> (result: String, duration: UInt64, faults: UInt64, whole: Bool)
  ) -> ActionMeasurement {
    let parts = expected.split(separator: " ").map(String.init)
    let made = change(parts[1])
    return ActionMeasurement(
      name: parts[1], component: parts[0], cause: parts[2], result: made.result, duration: made.duration,
      faults: made.faults, allocations: allocations(parts[1]), isComplete: made.whole)
  }

  private func repetition(
    _ change: (String) -> (result: String, duration: UInt64, faults: UInt64, whole: Bool) = { _ in
      ("done", 20_000, 0, true)
    }
  ) -> ActionRepetition { repetition(allocations: { _ in nil }, change) }

  private func repetition(
    allocations: (String) -> UInt64?,
    _ change: (String) -> (result: String, duration: UInt64, faults: UInt64, whole: Bool) = { _ in
      ("done", 20_000, 0, true)
    }
  ) -> ActionRepetition {
    var repetition = ActionRepetition()
    repetition.firings = ActionRepetition.expected.map { firing($0, allocations: allocations, change) }
    (repetition.datagrams, repetition.massCancels) = (1, 1)
    return repetition
  }

  private func judge(_ found: [ActionRepetition], wanted: Int = 1, times: Bool = true) -> Set<String> {
    failed(
      DrillJudgement.judgeActions(
        found, expected: ActionRepetition.expected, wanted: wanted, judgesTimes: times))
  }

  func testActionsFireOnceEachOnTheWireWithinAMillisecond() {
    XCTAssertEqual(judge([repetition()]), [])
    XCTAssertEqual(judge([repetition()], wanted: 2), ["stops"])
    XCTAssertEqual(judge([repetition { ("done", $0 == "tell" ? 1_000_001 : 9, 0, true) }]), ["1 ms"])
    XCTAssertEqual(judge([repetition { ("done", $0 == "tell" ? 1_000_001 : 9, 0, true) }], times: false), [])
    XCTAssertEqual(judge([repetition { ($0 == "tell" ? "failed" : "done", 9, 0, true) }]), ["done"])
    XCTAssertEqual(judge([repetition { ("done", 9, $0 == "tell" ? 1 : 0, true) }]), ["faults"])
    XCTAssertEqual(judge([repetition { ("done", 9, 0, $0 != "tell") }]), ["log"])
    var silent = repetition()
    silent.datagrams = 0
    XCTAssertEqual(judge([silent]), ["wire"])
    var twice = repetition()
    twice.firings.append(twice.firings[0])
    XCTAssertEqual(judge([repetition(), twice], wanted: 2), ["actions"])
    var once = repetition()
    once.firings.removeLast()
    XCTAssertEqual(judge([once]), ["actions"])
  }

  /// Where calls of the allocator were counted there may be none in any firing, and what was planted has to be found.
  func testAFiringAllocatesNothing() {
    var planted = repetition(allocations: { ["tell", "cancel-all"].contains($0) ? 2 : 0 })
    planted.isPlanted = true
    let good = repetition(allocations: { _ in 0 })
    XCTAssertEqual(judge([planted, good]), [])
    XCTAssertEqual(judge([planted]), ["stops", "allocator"], "the planted stop is none of those wanted")
    XCTAssertEqual(judge([good]), ["planted"], "nothing shows that anything would be found")
    XCTAssertEqual(judge([planted, repetition(allocations: { $0 == "mark_stale" ? 1 : 0 })]), ["allocator"])
    XCTAssertEqual(judge([planted, repetition(allocations: { $0 == "tell" ? nil : 0 })]), ["allocator"])
    var missed = repetition(allocations: { $0 == "tell" ? 2 : 0 })
    missed.isPlanted = true
    XCTAssertEqual(judge([missed, good]), ["planted"], "one that was not found")
    let uncounted = DrillJudgement.judgeActions(
      [repetition()], expected: ActionRepetition.expected, wanted: 1, judgesTimes: true)
    XCTAssertEqual(uncounted.first { $0.code == "allocator" }?.verdict, .notJudged)
  }

  func testCallsAreCountedFromTheDecisionToTheEnd() {
    let calls: [UInt64] = [99, 100, 150, 160, 161, 1 << 63]
    XCTAssertEqual(ActionMeasurement.count(calls, from: 100, for: 60), 3)
    XCTAssertEqual(ActionMeasurement.count(calls, from: 162, for: 60), 0)
    XCTAssertEqual(ActionMeasurement.count(calls, from: .max, for: .max), 0)
    XCTAssertEqual(ActionMeasurement.count([], from: 0, for: .max), 0)
  }
}
