import XCTest

@testable import Drills

/// The judge of the drills: it has to see every kind of failure.
final class DrillsTests: XCTestCase {
  private let merger = Drill.named("D-02")!

  // MARK: A drill that holds

  private func footprints(_ change: (String) -> (pid: Int32, epoch: UInt64) = { _ in (10, 1) })
    -> [ProcessFootprint]
  {
    ["rxd@a", "rxd@b", "merged", "bookd", "pubd", "watchdogd"].map {
      let (pid, epoch) = change($0)
      return ProcessFootprint(
        name: $0, pid: pid, epoch: epoch, descriptors: 9, mappings: 40, longestBeatGap: 30_000_000)
    }
  }

  private func kill(detect: UInt64 = 400_000, recover: UInt64 = 20_000_000) -> KillMeasurement {
    var kill = KillMeasurement(component: "merged", round: 0, killedAt: 1_000)
    kill.set(.detect, from: 1_000, to: 1_000 + detect)
    kill.set(.restart, from: 1_000 + detect, to: 1_000 + detect + 2_000_000)
    kill.set(.recover, from: 1_000, to: 1_000 + recover)
    kill.cause = "killed (SIGKILL)"
    return kill
  }

  private func round() -> DrillRound {
    var round = DrillRound(number: 0)
    round.kills = [kill(), kill()]
    round.before = footprints()
    round.after = footprints { $0 == "merged" ? (77, 3) : (10, 1) }
    round.outcome.verdict = "correct"
    round.outcome.messagesSent = 500
    round.outcome.messagesApplied = 500
    round.outcome.digestsEqual = true
    round.outcome.restarts = ["merged": 2]
    return round
  }

  private func judge(
    _ drill: Drill? = nil, wanted: Int = 2, times: Bool = true,
    _ change: (inout DrillRound) -> Void = { _ in }
  ) -> DrillJudgement {
    var round = round()
    change(&round)
    return DrillJudgement(drill ?? merger, [round], killsWanted: wanted, judgesTimes: times)
  }

  private func failed(_ judgement: DrillJudgement) -> Set<String> {
    Set(judgement.criteria.filter { $0.verdict == .fail }.map(\.code))
  }

  func testADrillThatHolds() {
    let judgement = judge()
    XCTAssertEqual(failed(judgement), [])
    XCTAssertTrue(judgement.passed)
    let judged = Set(judgement.criteria.map(\.code))
    XCTAssertTrue(
      judged.isSuperset(of: [
        "run", "kills", "C1", "C2", "C4", "C5", "C6", "C7", "C8", "C9", "C10", "C11", "C14", "detect",
        "recover",
      ]), "\(judged)")
  }

  // MARK: Pauses

  private func stop(
    _ milliseconds: UInt64, _ fired: [String: UInt64] = [:], causes: [String] = [], follows: Bool? = nil
  ) -> PauseMeasurement {
    var stop = PauseMeasurement(component: "merged", round: 0, heldFor: milliseconds * 1_000_000)
    stop.fired = fired.mapValues { $0 * 1_000_000 }
    stop.causes = causes
    stop.successorFollowedDeath = follows
    return stop
  }

  /// Each way in which the supervisor can be wrong about a stop fails the criterion that is made for it, and no other.
  func testPausesAreJudged() {
    let drill = Drill.named("D-09")!
    let stopped = ["stopped", "stopped"]
    let all: [String: UInt64] = ["mark": 61, "alarm": 201, "fence": 1_001]
    let cases: [(String, Set<String>, PauseMeasurement)] = [
      ("short", [], stop(5)), ("marked", [], stop(150, ["mark": 62])),
      ("fenced", [], stop(1_500, all, causes: stopped, follows: true)),
      ("an idle beat before the stop", [], stop(20, ["mark": 15])),
      ("a mark out of nothing", ["tiers", "instant"], stop(5, ["mark": 5])),
      ("no alarm", ["tiers"], stop(300, ["mark": 61])),
      ("late", ["instant"], stop(150, ["mark": 66])),
      ("early", ["instant"], stop(900, ["mark": 61, "alarm": 148], causes: ["stopped"])),
      ("another cause", ["C11"], stop(300, ["mark": 61, "alarm": 201], causes: ["livelocked"])),
      ("not replaced", ["fence"], stop(1_500, all, causes: stopped)),
      ("replaced too soon", ["fence"], stop(1_500, all, causes: stopped, follows: false)),
      ("replaced for nothing", ["fence"], stop(150, ["mark": 62], follows: true)),
    ]
    for (name, codes, stop) in cases {
      let judgement = judge(drill, wanted: 1) {
        $0.kills = []
        $0.stops = [stop]
      }
      XCTAssertEqual(failed(judgement), codes, name)
    }
    XCTAssertEqual(
      failed(
        judge(drill, wanted: 2) {
          $0.kills = []
          $0.stops = [self.stop(5)]
        }), ["stops"])
    // Another order for another seed, and each pair as often as the plan says.
    var first = DrillSchedule(drill: Drill.named("D-08")!, seed: 1, round: 0)
    var second = DrillSchedule(drill: Drill.named("D-08")!, seed: 2, round: 0)
    let plans = [first.pauses(), second.pauses()].map { $0.map { "\($0.stage) \($0.microseconds)" } }
    XCTAssertNotEqual(plans[0], plans[1])
    XCTAssertEqual(plans[0].sorted(), plans[1].sorted())
    XCTAssertEqual(Set(plans[0]).count, 40)
  }

  /// Whoever ends, is fenced or left down without the drill's doing fails it, also where anybody may be hit; on a short ladder only
  /// where times are judged.
  func testWhatTheDrillHasNoPartInIsSeen() {
    func verdict(_ id: String, times: Bool = true) -> DrillCriterion.Verdict? {
      judge(Drill.named(id)!, wanted: 0, times: times) {
        $0.kills = []
        $0.outcome.surprises = ["bookd trap (SIGILL)"]
      }.criteria.first { $0.code == "deaths" }?.verdict
    }
    for id in ["D-00", "D-03", "D-44", "D-45", "D-46"] {
      XCTAssertEqual(verdict(id), .fail, id)
      XCTAssertEqual(verdict(id, times: false), .fail, id)
    }
    XCTAssertEqual(verdict("D-08"), .fail)
    XCTAssertEqual(verdict("D-08", times: false), .notJudged)
    XCTAssertEqual(judge().criteria.first { $0.code == "deaths" }?.verdict, .pass)
  }

  /// A cause that nobody could read is none that was read, and "unknown" is only believed beside a supervisor's death.
  func testCausesThatNobodyCouldRead() {
    let drill = Drill.named("D-45")!
    func causes(_ kills: [(String, UInt64, String?)]) -> DrillCriterion.Verdict? {
      judge(drill, wanted: 0) {
        $0.kills = kills.map { name, at, cause in
          var kill = KillMeasurement(component: name, round: 0, killedAt: at, pid: 7)
          kill.isCauseJudged = cause != nil
          kill.cause = cause ?? ""
          return kill
        }
      }.criteria.first { $0.code == "C11" }?.verdict
    }
    let second: UInt64 = 1_000_000_000
    XCTAssertEqual(causes([("watchdogd", second, nil)]), .notJudged)
    XCTAssertEqual(causes([("bookd", second, "killed (SIGKILL)")]), .pass)
    XCTAssertEqual(causes([("bookd", second, "")]), .fail)
    XCTAssertEqual(causes([("bookd", second, "ended, cause unknown")]), .fail)
    XCTAssertEqual(
      causes([("bookd", second, "ended, cause unknown"), ("watchdogd", 3 * second, nil)]), .pass)
    XCTAssertEqual(
      causes([("bookd", second, "ended, cause unknown"), ("watchdogd", 30 * second, nil)]), .fail)
    XCTAssertEqual(causes([("bookd", second, ""), ("watchdogd", second, nil)]), .fail)
  }

  /// A drill of which nothing was looked at has not passed.
  func testADrillThatWasNotRunHasNotPassed() {
    let skipped = DrillJudgement(
      Drill.named("D-11")!, [], killsWanted: 0, judgesTimes: true,
      findings: [.skipped("restarts", "as many as the budget allows", because: "no stand-in")])
    XCTAssertFalse(skipped.wasRun)
    XCTAssertFalse(skipped.passed)
    XCTAssertTrue(judge().wasRun)
  }

  /// A drill with a tape judges it, and one without does not.
  func testTheTapeIsJudged() {
    let loss = Drill.named("D-07")!
    func tape(_ exact: Bool?) -> Set<String> {
      failed(judge(loss, wanted: 1, times: false) { $0.outcome.tapeIsExact = exact })
    }
    XCTAssertEqual(tape(true), [])
    XCTAssertEqual(tape(false), ["tape"])
    XCTAssertEqual(tape(nil), ["tape"])
    XCTAssertFalse(judge().criteria.contains { $0.code == "tape" })
    // One that was made along the way counts as well.
    XCTAssertEqual(
      failed(
        judge(Drill.named("D-37")!, wanted: 0) {
          $0.kills = []
          $0.outcome.tapeIsExact = false
        }), ["tape"])
  }

  /// A finding of one round fails its line, one of times only where times count, one that was skipped never.
  func testFindingsAreJudged() {
    let drill = Drill.named("D-46")!
    func verdicts(_ findings: [DrillFinding], times: Bool = true) -> [String: DrillCriterion.Verdict] {
      let judgement = judge(drill, wanted: 0, times: times) {
        $0.kills = []
        $0.after = $0.before
        $0.outcome.restarts = [:]
        $0.findings = findings
      }
      return Dictionary(uniqueKeysWithValues: judgement.criteria.map { ($0.code, $0.verdict) })
    }
    func finding(_ holds: Bool, times: Bool = false) -> DrillFinding {
      DrillFinding("x", "holds", found: "", holds: holds, isOfTimes: times)
    }
    XCTAssertEqual(verdicts([finding(true), finding(true)])["x"], .pass)
    XCTAssertEqual(verdicts([finding(true), finding(false)])["x"], .fail)
    XCTAssertEqual(verdicts([finding(false, times: true)])["x"], .fail)
    XCTAssertEqual(verdicts([finding(false, times: true)], times: false)["x"], .notJudged)
    XCTAssertEqual(verdicts([.skipped("x", "holds", because: "no such thing here")])["x"], .notJudged)
    XCTAssertEqual(verdicts([.skipped("x", "holds", because: "no"), finding(false)])["x"], .fail)
    // What fails wherever it is measured does not hide behind what is a matter of times.
    XCTAssertEqual(verdicts([finding(false, times: true), finding(false)], times: false)["x"], .fail)
    // A day that a drill ends before its end says nothing of the stream, but what was found in it counts.
    let cut = judge(drill, wanted: 0) {
      $0.hasWholeDay = false
      $0.outcome.verdict = "stopped"
      $0.findings = [finding(false)]
    }
    XCTAssertEqual(failed(cut), ["x"])
    XCTAssertFalse(cut.criteria.contains { $0.code == "C1" })
  }

  /// watchdogd's share of a core is that of all windows together; one that was not looked at fails.
  func testTheSupervisorsBudgetIsJudged() {
    func finding(_ windows: [(before: UInt64?, after: UInt64?, elapsed: UInt64)]) -> DrillFinding {
      var budget = SupervisorBudget()
      for window in windows { budget.add(from: window.before, to: window.after, in: window.elapsed) }
      return budget.finding
    }
    let second: UInt64 = 1_000_000_000
    let exact = finding([(5, 5 + 30_000_000, second), (7, 7 + 10_000_000, second)])
    XCTAssertTrue(exact.holds, exact.found)
    XCTAssertEqual(exact.found, "40 ms in 2 s, 2.00 %")
    XCTAssertEqual(exact.text, "watchdogd takes at most 2.00 % of a core")
    XCTAssertTrue(exact.isOfTimes)
    let beyond = finding([(0, 20_000_001, second)])
    XCTAssertFalse(beyond.holds)
    XCTAssertEqual(beyond.found, "20 ms in 1 s, 2.01 %", "what is beyond does not look as if it were not")
    XCTAssertFalse(finding([]).holds)
    XCTAssertFalse(finding([(nil, 1, second)]).holds)
    XCTAssertFalse(finding([(0, 1, second), (0, nil, second)]).holds)
    XCTAssertFalse(finding([(0, 1, second), (2, 1, second)]).holds, "another process")
    XCTAssertFalse(finding([(0, 0, 0)]).holds)
  }

  // MARK: Each failure fails its criterion

  func testEachFailureIsSeen() {
    let failures: [(String, Set<String>, (inout DrillRound) -> Void)] = [
      ("the round did not end", ["run"], { $0.problem = "stuck" }),
      ("too few kills", ["kills"], { $0.kills.removeLast() }),
      ("a lost message", ["C1", "C10"], { $0.outcome.messagesApplied = 499 }),
      ("a wrong verdict", ["C1"], { $0.outcome.verdict = "incomplete" }),
      (
        "a declared loss", ["C1"],
        {
          $0.outcome.messagesLost = 1
          $0.outcome.messagesApplied = 499
        }
      ),
      ("a process that stays", ["rest"], { $0.outcome.survivors = ["taped (7)"] }),
      ("a repeated record", ["C2"], { $0.outcome.repeatedRecords = 1 }),
      ("a refused event", ["C2"], { $0.outcome.replicaMismatches = 1 }),
      ("an event out of order", ["C2", "C4"], { $0.outcome.identityViolations = 1 }),
      ("another digest", ["C5"], { $0.outcome.digestsEqual = false }),
      ("a gap", ["C6"], { $0.outcome.gaps = 1 }),
      ("state that was lost", ["C6"], { $0.outcome.restartGaps = 1 }),
      (
        "nothing was sent", ["C10"],
        {
          $0.outcome.messagesSent = 0
          $0.outcome.messagesApplied = 0
        }
      ),
      (
        "a bystander's successor", ["C7"],
        { round in
          round.after = self.footprints { $0 == "bookd" ? (11, 2) : $0 == "merged" ? (77, 3) : (10, 1) }
        }
      ),
      ("a bystander that is gone", ["C7"], { round in round.after.removeAll { $0.name == "pubd" } }),
      (
        "a bystander that hung", ["C8"],
        { round in
          round.after[0] = ProcessFootprint(
            name: "rxd@a", pid: 10, epoch: 1, descriptors: 9, mappings: 40, longestBeatGap: 100_000_000)
        }
      ),
      ("a lap", ["C9"], { $0.outcome.ringLaps = 1 }),
      ("a drop in the kernel", ["C9"], { $0.outcome.kernelDrops = 1 }),
      ("a bystander's restart", ["C9"], { $0.outcome.restarts["pubd"] = 1 }),
      ("another cause", ["C11"], { $0.kills[1].cause = "trap (signal 4)" }),
      ("a death that nobody recorded", ["C11"], { $0.kills[1].cause = "" }),
      ("an unread cause under a living supervisor", ["C11"], { $0.kills[1].cause = "ended, cause unknown" }),
      (
        "a leaked descriptor", ["C14"],
        { round in
          round.after[1] = ProcessFootprint(
            name: "rxd@b", pid: 10, epoch: 1, descriptors: 10, mappings: 40, longestBeatGap: 0)
        }
      ),
      (
        "nobody left to compare", ["C14"],
        { round in
          round.after = round.after.map {
            ProcessFootprint(
              name: $0.name, pid: $0.pid, epoch: $0.epoch, descriptors: 0, mappings: 0, longestBeatGap: 0)
          }
        }
      ),
      ("a late detection", ["detect"], { $0.kills[1] = self.kill(detect: 5_000_001) }),
      (
        "a recovery that was never seen", ["recover"],
        { round in
          var blind = KillMeasurement(component: "merged", round: 0, killedAt: 5)
          blind.set(.detect, from: 5, to: 9)
          blind.cause = "killed (SIGKILL)"
          round.kills[1] = blind
        }
      ),
    ]
    for (name, codes, change) in failures {
      let judgement = judge(nil, change)
      XCTAssertEqual(failed(judgement), codes, name)
      XCTAssertFalse(judgement.passed, name)
    }
  }

  /// The victim itself may change, and a supervisor that died read no cause.
  func testVictimsMayChange() {
    let both = Drill.named("D-06")!
    let judgement = judge(both) { round in
      round.kills = [self.kill()]
      round.kills[0].cause = "ended, cause unknown"
      round.after = self.footprints { ["bookd", "watchdogd"].contains($0) ? (99, 2) : (10, 1) }
      round.outcome.restarts = ["bookd": 1]
      round.kills.append(self.kill())
      // Each time somebody told the clients; nobody tells them of the supervisor.
      for index in 0..<2 { round.kills[index].set(.stale, from: 1_000, to: 60_000_000) }
      var supervisor = KillMeasurement(component: "watchdogd", round: 0, killedAt: 1_000)
      supervisor.set(.recover, from: 1_000, to: 20_000_000)
      supervisor.isCauseJudged = false
      round.kills.append(supervisor)
    }
    XCTAssertEqual(failed(judgement), [])
    let untold = judge(both) { round in
      round.kills[0].set(.stale, from: 1_000, to: 60_000_000)
      round.after = self.footprints { ["bookd", "watchdogd"].contains($0) ? (99, 2) : (10, 1) }
    }
    XCTAssertTrue(failed(untold).contains("stale"), "one of two was never told")
    XCTAssertTrue(both.leavesMarkToPublisher)
    XCTAssertEqual(Drill.catalogue.filter(\.leavesMarkToPublisher).map(\.id), ["D-06"])
  }

  /// What a client was told, from the moment of a blow on.
  func testInputStates() {
    var states = InputStates()
    XCTAssertNil(states.stale(since: 0))
    states.take(0, at: 10)
    states.take(1, at: 20)
    states.take(2, at: 30)
    states.take(0, at: 40)
    states.take(0, at: 50)
    states.take(3, at: 60)
    XCTAssertEqual(states.stale(since: 12), 20)
    XCTAssertEqual(states.stale(since: 35), 35, "it was stale already")
    XCTAssertEqual(states.stale(since: 45), 60)
    var live = InputStates()
    live.take(0, at: 10)
    XCTAssertNil(live.stale(since: 12))
  }

  /// C10: the hop that does not balance is named, whichever way it is wrong.
  func testHopsThatDoNotBalance() {
    let good = [
      FlowHop("venue to rxd@a", "datagrams", put: 1_000, taken: 990, dropped: 10),
      FlowHop("rxd@a to merged", "cells", put: 1_024, taken: 1_024),
    ]
    func found(_ hops: [FlowHop]) -> DrillCriterion? {
      judge { $0.outcome.hops = hops }.criteria.first { $0.code == "C10 hops" }
    }
    XCTAssertEqual(found(good)?.verdict, .pass)
    XCTAssertEqual(found(good)?.found, "2 hops balance")
    XCTAssertNil(found([]))
    let missing = found(
      good + [FlowHop("merged to bookd", "cells", put: 64, taken: 60, dropped: 3)])
    XCTAssertEqual(missing?.verdict, .fail)
    XCTAssertEqual(missing?.found, "merged to bookd: 64 cells in, 60 out, 3 counted as dropped")
    let invented = [FlowHop("bookd to pubd", "events", put: 7, taken: 8)]
    XCTAssertEqual(
      found(invented + [FlowHop("x to y", "cells", put: 1, taken: 1, dropped: 1)])?.found,
      "bookd to pubd: 7 events in, 8 out, 0 counted as dropped, and 1 more")
    // It is no matter of times.
    XCTAssertEqual(
      judge(times: false) { $0.outcome.hops = invented }.criteria.first { $0.code == "C10 hops" }?
        .verdict,
      .fail)
  }

  func testTimesAreReportedWhereTheyAreNotJudged() {
    let judgement = judge(times: false) { round in
      round.kills[1] = self.kill(detect: 90_000_000)
      round.after[0] = ProcessFootprint(
        name: "rxd@a", pid: 10, epoch: 1, descriptors: 9, mappings: 40, longestBeatGap: 400_000_000)
    }
    XCTAssertEqual(failed(judgement), [])
    XCTAssertEqual(judgement.criteria.first { $0.code == "detect" }?.verdict, .notJudged)
    XCTAssertEqual(judgement.percentiles[.detect]?.maximum, 90_000_000)
  }

  /// A day that is over before anybody can be looked at says nothing on a busy machine, and fails where times are judged.
  func testADayThatIsOverLeavesNobodyToCompare() {
    func verdict(times: Bool, descriptors: Int) -> DrillCriterion.Verdict? {
      let judgement = judge(times: times) { round in
        round.after = round.after.enumerated().map { index, process in
          ProcessFootprint(
            name: process.name, pid: process.pid, epoch: process.epoch,
            descriptors: index == 0 ? descriptors : 0, mappings: 40, longestBeatGap: 0)
        }
      }
      return judgement.criteria.first { $0.code == "C14" }?.verdict
    }
    XCTAssertEqual(verdict(times: true, descriptors: 0), .fail)
    XCTAssertEqual(verdict(times: false, descriptors: 0), .notJudged)
    XCTAssertEqual(verdict(times: false, descriptors: 9), .pass)
    XCTAssertEqual(verdict(times: false, descriptors: 10), .fail)
  }

  // MARK: Schedules and figures

  func testAScheduleIsItsSeed() {
    let chaos = Drill.named("D-45")!
    func blows(_ seed: UInt64, _ round: Int) -> [String] {
      var schedule = DrillSchedule(drill: chaos, seed: seed, round: round)
      return (0..<200).map { _ in "\(schedule.next())" }
    }
    XCTAssertEqual(blows(3, 1), blows(3, 1))
    XCTAssertNotEqual(blows(3, 1), blows(3, 2))
    XCTAssertNotEqual(blows(3, 1), blows(4, 1))
    let all = blows(1, 0).joined()
    for name in ["rxd@a", "rxd@b", "merged", "bookd", "pubd", "watchdogd", "pause"] {
      XCTAssertTrue(all.contains(name), name)
    }
    // A supervisor that is stopped is no drill of chaos: whoever runs it does not look for that.
    XCTAssertFalse(all.contains("pause(\"watchdogd\""))
  }

  func testPercentiles() {
    XCTAssertNil(Percentiles([]))
    let hundred = Percentiles((1...100).reversed().map(UInt64.init))
    XCTAssertEqual(hundred?.p50, 50)
    XCTAssertEqual(hundred?.p99, 99)
    XCTAssertEqual(hundred?.maximum, 100)
    XCTAssertEqual(Percentiles([7])?.p99, 7)
    // Of two hundred kills the 99th percentile is the third worst from the top, not the worst.
    XCTAssertEqual(Percentiles((1...200).map(UInt64.init))?.p99, 198)
  }

  func testEveryDrillIsKnownByItsNumber() {
    XCTAssertEqual(Set(Drill.catalogue.map(\.id)).count, Drill.catalogue.count)
    // Another process stands by after each kill: no bystander.
    XCTAssertEqual(Drill.named("D-03S")?.victims, ["bookd", "standby"])
    XCTAssertEqual(Drill.named("D-03")?.victims, ["bookd"])
    for drill in Drill.catalogue { XCTAssertEqual(Drill.named(drill.id.lowercased())?.id, drill.id) }
    XCTAssertNil(Drill.named("D-99"))
  }
}
