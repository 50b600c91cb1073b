import XCTest

@testable import Supervision

/// Who only says that it works: challenges, answers, debts, and what the ladder makes of them.
final class CanaryTests: XCTestCase {
  private let second = Canary.periodNanoseconds

  private func posed(number: UInt64 = 100, at position: UInt64 = 50) -> Canary {
    var canary = Canary()
    XCTAssertTrue(canary.wantsChallenge, "the first one at once")
    canary.pose(Canary.Challenge(number: number, position: position, tally: 7))
    return canary
  }

  private func look(
    _ canary: inout Canary, output: UInt64? = 99, claimed: UInt64 = 51, tally: UInt64 = 7,
    excused: Bool = false,
    step: UInt64 = 1_000_000
  ) -> Bool {
    canary.look(output: output, claimed: claimed, tally: tally, isExcused: excused, step: step)
  }

  func testADebtBeginsWithTheClaimAndEndsWithTheNumber() {
    var canary = posed()
    XCTAssertFalse(look(&canary, claimed: 50), "not taken: that is progress's matter")
    XCTAssertTrue(look(&canary), "taken, it says")
    XCTAssertTrue(look(&canary, output: nil), "what could not be read is no answer")
    XCTAssertFalse(look(&canary, output: 100))
    XCTAssertEqual(canary.answered, 1)
    XCTAssertNil(canary.challenge)
    XCTAssertFalse(look(&canary), "nothing is open")
  }

  /// A later number is as good: the one asked about lies in front of it.
  func testALaterNumberAnswersAnEarlierOneDoesNot() {
    var canary = posed()
    XCTAssertTrue(look(&canary, output: 0))
    XCTAssertTrue(look(&canary, output: 99))
    XCTAssertFalse(look(&canary, output: .max))
  }

  func testWhoSaysThatItWaitsOrRefusesOwesNothing() {
    var canary = posed()
    XCTAssertFalse(look(&canary, excused: true))
    XCTAssertTrue(look(&canary), "the wait is over, and the challenge is still open")
    XCTAssertFalse(look(&canary, tally: 8))
    XCTAssertFalse(look(&canary, tally: 8), "it is dropped")
    XCTAssertEqual(canary.answered, 0)
  }

  func testOneChallengeAtATimeAndOneAPeriod() {
    var canary = posed()
    XCTAssertFalse(look(&canary, output: 100, step: second - 1))
    XCTAssertFalse(canary.wantsChallenge)
    _ = look(&canary, step: 1)
    XCTAssertTrue(canary.wantsChallenge)
    canary.skip()
    XCTAssertFalse(canary.wantsChallenge, "nothing to ask about: a period later")
    _ = look(&canary, step: second)
    canary.pose(Canary.Challenge(number: 1, position: 1, tally: 0))
    _ = look(&canary, output: 0, tally: 0, step: 10 * second)
    XCTAssertFalse(canary.wantsChallenge, "one is open")
    canary.reset()
    XCTAssertNil(canary.challenge)
    XCTAssertTrue(canary.wantsChallenge)
  }

  // MARK: On the ladder

  private func ladder() -> LivenessLadder {
    var ladder = LivenessLadder(
      thresholds: LivenessThresholds(mark: 250_000_000, alarm: 2_000_000_000, fence: 10_000_000_000),
      startThresholds: .starting(limit: 20_000_000_000))
    ladder.begin(after: 1)
    return ladder
  }

  /// Beats, progress and output all move, and the alarm comes within 3.5 s of the moment from which it fakes.
  func testFakedProgressReachesTheAlarmWithinThreeAndAHalfSeconds() {
    var ladder = ladder()
    var canary = Canary()
    let step: UInt64 = 1_000_000
    var fakingFor: UInt64 = 0
    var climbed: [LadderChange] = []
    for millisecond in UInt64(0)..<20_000 {
      let input = 1_000 + millisecond
      // It works for a while. Then its cursor goes on, and it hands on the same thing again and again.
      let output = min(input, 3_456)
      if input > output { fakingFor += step }
      if canary.wantsChallenge {
        canary.pose(Canary.Challenge(number: input, position: input, tally: 0))
      }
      var reading = LivenessReading(
        epoch: 2, beats: millisecond + 1, progress: input, backlog: 1, output: millisecond)
      reading.owesCanary = canary.look(
        output: output, claimed: input + 1, tally: 0, isExcused: false, step: step)
      guard let change = ladder.scan(reading, step: step) else { continue }
      climbed.append(change)
      XCTAssertEqual(change.missing, .canary)
      if change.tier == .alarm { XCTAssertLessThanOrEqual(fakingFor, 3_500_000_000) }
    }
    XCTAssertEqual(climbed.map(\.tier), [.mark, .alarm, .fence])
  }

  /// A stage that is late with its output again and again, and hands it on, is never on the ladder.
  func testALateAnswerLeavesNoTrace() {
    var ladder = ladder()
    var canary = Canary()
    for millisecond in UInt64(0)..<20_000 {
      if canary.wantsChallenge {
        canary.pose(Canary.Challenge(number: millisecond, position: millisecond, tally: 0))
      }
      var reading = LivenessReading(epoch: 2, beats: millisecond + 1, progress: millisecond, backlog: 1)
      reading.owesCanary = canary.look(
        output: millisecond < 200 ? nil : millisecond - 200, claimed: millisecond + 1, tally: 0,
        isExcused: false, step: 1_000_000)
      XCTAssertNil(ladder.scan(reading, step: 1_000_000), "at \(millisecond)")
    }
    XCTAssertGreaterThan(canary.answered, 15)
  }

  /// The way down takes twice the mark, as from everything else; a fence that is put off begins at the alarm's age again.
  func testTheLaddersWayDownAndAPostponedFence() {
    var ladder = ladder()
    var beats: UInt64 = 0
    func scan(_ owes: Bool, _ milliseconds: Int) -> [LivenessTier] {
      (0..<milliseconds).compactMap { _ in
        beats += 1
        var reading = LivenessReading(epoch: 2, beats: beats, progress: beats, backlog: 1)
        reading.owesCanary = owes
        return ladder.scan(reading, step: 1_000_000)?.tier
      }
    }
    _ = scan(false, 1)
    XCTAssertEqual(scan(true, 2_100), [.mark, .alarm])
    XCTAssertEqual(scan(false, 200), [])
    XCTAssertEqual(
      scan(true, 251) + scan(false, 490), [], "owing again for a mark's age begins the calm anew")
    XCTAssertEqual(scan(false, 20), [.clear])
    XCTAssertEqual(scan(true, 10_010), [.mark, .alarm, .fence])
    ladder.postponeFence()
    XCTAssertEqual(scan(true, 7_900), [])
    XCTAssertEqual(scan(true, 200), [.fence])
  }

  func testTheCauseSaysSo() {
    let now = ProcessSample(state: UInt8(ascii: "S"), instant: 1)
    XCTAssertEqual(StallCause.classify(earlier: nil, now: now, missing: .canary), .faking)
    XCTAssertFalse(StallCause.faking.isOfTheHost)
  }
}
