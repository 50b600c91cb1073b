import XCTest

@testable import Drills

/// The overload ladder: which limit came first, and whether anything was lost that nobody declared.
final class OverloadTests: XCTestCase {
  private func step(
    _ wanted: UInt64, sent: UInt64? = nil, out: UInt64? = nil,
    _ change: (inout DrillRound.Outcome) -> Void = { _ in }
  ) -> OverloadStep {
    var outcome = DrillRound.Outcome()
    outcome.verdict = "correct"
    outcome.messagesSent = wanted
    outcome.messagesApplied = wanted
    outcome.digestsEqual = true
    outcome.sendNanoseconds = UInt64(1e9 * Double(wanted) / Double(max(1, sent ?? wanted)))
    outcome.flowNanoseconds = UInt64(1e9 * Double(wanted) / Double(max(1, out ?? sent ?? wanted)))
    change(&outcome)
    return OverloadStep(wanted: wanted, outcome: outcome)
  }

  func testTheFirstLimitIsNamed() {
    XCTAssertNil(step(1_000).limit)
    XCTAssertEqual(step(1_000, sent: 800).limit, .venue)
    XCTAssertEqual(step(1_000, out: 800).limit, .backlog)
    XCTAssertEqual(step(1_000) { $0.ringLaps = 1 }.limit, .rings)
    XCTAssertEqual(step(1_000, sent: 800) { $0.messagesLost = 1 }.limit, .retransmission)
    // What comes first in the flow is what came first.
    XCTAssertEqual(
      step(1_000) {
        $0.kernelDrops = 1
        $0.ringLaps = 1
        $0.messagesLost = 5
      }.limit, .sockets)
  }

  func testWhatIsNotCorrectIsNoThroughput() {
    XCTAssertEqual(step(1_000).correct, 1_000)
    XCTAssertEqual(step(1_000) { $0.digestsEqual = false }.correct, 0)
    XCTAssertTrue(step(1_000).isConserved)
    XCTAssertFalse(step(1_000) { $0.messagesApplied = 999 }.isConserved)
    XCTAssertTrue(
      step(1_000) {
        $0.messagesApplied = 990
        $0.messagesLost = 10
      }.isConserved)
    XCTAssertFalse(step(0).isConserved)
  }

  func testTheLadderGoesOnToTwiceItsLimit() {
    var ladder = OverloadLadder()
    ladder.add(step(1_000))
    XCTAssertFalse(ladder.isComplete)
    ladder.add(step(1_500) { $0.kernelDrops = 3 })
    XCTAssertFalse(ladder.isComplete)
    ladder.add(step(2_000) { $0.kernelDrops = 3 })
    XCTAssertFalse(ladder.isComplete)
    ladder.add(step(3_000) { $0.kernelDrops = 9 })
    XCTAssertTrue(ladder.isComplete)
    XCTAssertTrue(ladder.hasFoundLimit)
    XCTAssertEqual(ladder.first?.wanted, 1_500)
    XCTAssertEqual(OverloadLadder.shares, OverloadLadder.shares.sorted())
  }

  /// A drill that sends more than can be taken lets a declared loss pass, and no other.
  func testADeclaredLossPassesInTheLadderAlone() {
    func failed(_ id: String, _ change: (inout DrillRound) -> Void) -> Set<String> {
      var round = DrillRound(number: 0)
      round.outcome.verdict = "incomplete"
      round.outcome.messagesSent = 100
      round.outcome.messagesApplied = 90
      round.outcome.messagesLost = 10
      round.outcome.gaps = 1
      round.outcome.digestsEqual = true
      round.outcome.kernelDrops = 4
      round.before = [
        ProcessFootprint(name: "bookd", pid: 4, epoch: 1, descriptors: 3, mappings: 9, longestBeatGap: 1)
      ]
      round.after = round.before
      change(&round)
      let judgement = DrillJudgement(Drill.named(id)!, [round], killsWanted: 0, judgesTimes: true)
      return Set(judgement.criteria.filter { $0.verdict == .fail }.map(\.code))
    }
    XCTAssertEqual(failed("D-47") { _ in }, [])
    XCTAssertEqual(failed("D-47") { $0.outcome.messagesApplied = 89 }, ["C1", "C10"])
    XCTAssertEqual(failed("D-47") { $0.outcome.digestsEqual = false }, ["C5"])
    XCTAssertEqual(failed("D-47") { $0.outcome.restarts = ["bookd": 1] }, ["C9"])
    XCTAssertEqual(failed("D-00") { _ in }, ["C1", "C6", "C9"])
  }
}
