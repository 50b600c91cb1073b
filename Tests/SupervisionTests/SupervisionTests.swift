import Supervision
import XCTest

final class SupervisionTests: XCTestCase {
  func testBudgetSlides() {
    var budget = RestartBudget(limit: 3, windowNanoseconds: 60)
    XCTAssertTrue(budget.allowsRestart(now: 0))
    XCTAssertTrue(budget.allowsRestart(now: 10))
    XCTAssertTrue(budget.allowsRestart(now: 20))
    XCTAssertFalse(budget.allowsRestart(now: 59))
    XCTAssertTrue(budget.allowsRestart(now: 60), "the restart at 0 no longer counts")
    XCTAssertFalse(budget.allowsRestart(now: 69))
    XCTAssertTrue(budget.allowsRestart(now: 70))
  }

  func testPermanentCausesAreNeverRetried() {
    for code in [64, 78] as [Int32] {
      var component = ComponentSupervision(
        neverRestarts: false, budget: RestartBudget(limit: 3, windowNanoseconds: 60))
      guard case .halt = component.died(ExitCause(exitCode: code, signal: 0), now: 0) else {
        return XCTFail("code \(code) was retried")
      }
      XCTAssertTrue(component.budget.restarts.isEmpty)
    }
  }

  func testDeathsAreRestartedUpToTheLimit() {
    var component = ComponentSupervision(
      neverRestarts: false, budget: RestartBudget(limit: 2, windowNanoseconds: 1_000_000_000))
    XCTAssertEqual(component.died(.killed, now: 1), .restart(after: 0))
    XCTAssertEqual(component.died(.trap(signal: 4), now: 2), .restart(after: 0))
    XCTAssertEqual(component.died(.killed, now: 3), .halt(reason: "2 restarts within 1 s are used up"))
    var never = ComponentSupervision(
      neverRestarts: true, budget: RestartBudget(limit: 2, windowNanoseconds: 1))
    XCTAssertEqual(never.died(.killed, now: 1), .halt(reason: "restart policy is halt"))
  }

  func testCausesAreToldApart() {
    XCTAssertEqual(ExitCause(exitCode: 0, signal: 0), .requested)
    XCTAssertEqual(ExitCause(exitCode: 1, signal: 0), .failed(code: 1))
    XCTAssertEqual(ExitCause(exitCode: nil, signal: 4), .trap(signal: 4))
    XCTAssertEqual(ExitCause(exitCode: nil, signal: 5), .trap(signal: 5))
    XCTAssertEqual(ExitCause(exitCode: nil, signal: 6), .aborted)
    XCTAssertEqual(ExitCause(exitCode: nil, signal: 9), .killed)
    for signal in [7, 8, 11, 31] as [Int32] {
      XCTAssertEqual(ExitCause(exitCode: nil, signal: signal), .trap(signal: signal))
    }
    XCTAssertEqual(ExitCause(exitCode: nil, signal: 15), .signalled(signal: 15))
    XCTAssertEqual(ExitCause(exitCode: nil, signal: 0), .unknown)
  }

  /// The same SIGKILL, from three hands; the same SIGSEGV, from two.
  func testASignalIsToldByItsSender() {
    var evidence = DeathEvidence(signal: 9)
    XCTAssertEqual(ExitCause(evidence), .killed)
    evidence.wasShortOfMemory = true
    XCTAssertEqual(ExitCause(evidence), .outOfMemory)
    evidence.wasFenced = true
    XCTAssertEqual(ExitCause(evidence), .fenced)
    var fault = DeathEvidence(signal: 11)
    fault.recordedSignal = DeathEvidence.RecordedSignal(signal: 11, isFromOutside: false)
    XCTAssertEqual(ExitCause(fault), .trap(signal: 11))
    fault.recordedSignal = DeathEvidence.RecordedSignal(signal: 11, isFromOutside: true)
    XCTAssertEqual(ExitCause(fault), .signalled(signal: 11))
    fault.recordedSignal = DeathEvidence.RecordedSignal(signal: 6, isFromOutside: true)
    XCTAssertEqual(ExitCause(fault), .trap(signal: 11), "what was written down is of another signal")
    // A fence that came too late to end it.
    var exited = DeathEvidence(exitCode: 70)
    exited.wasFenced = true
    XCTAssertEqual(ExitCause(exited), .failed(code: 70))
  }

  /// Of a process that was not ours to wait for, what it wrote down itself.
  func testADeathThatIsNotOursIsToldByWhatItLeft() {
    var evidence = DeathEvidence()
    evidence.hadDrained = true
    XCTAssertEqual(ExitCause(evidence), .requested)
    evidence.recordedExit = 78
    XCTAssertEqual(ExitCause(evidence), .permanent(code: 78))
    evidence.recordedSignal = DeathEvidence.RecordedSignal(signal: 4, isFromOutside: false)
    XCTAssertEqual(ExitCause(evidence), .trap(signal: 4))
    evidence.wasFenced = true
    XCTAssertEqual(ExitCause(evidence), .fenced)
  }

  func testCausesSurviveTheirBytes() {
    let causes: [ExitCause] = [
      .requested, .permanent(code: 78), .failed(code: 70), .trap(signal: 4), .aborted, .killed,
      .signalled(signal: 15), .unknown, .fenced, .outOfMemory,
    ]
    for cause in causes { XCTAssertEqual(ExitCause(code: cause.code, number: cause.number), cause) }
    XCTAssertEqual(Set(causes.map(\.code)).count, causes.count)
    XCTAssertEqual(Set(causes.map(\.name)).count, causes.count)
    XCTAssertNil(ExitCause(code: 0, number: 0))
    XCTAssertNil(ExitCause(code: 32, number: 0), "from 32 on they are those of alarms")
  }

  /// The kernel's kills are counted for a group, not for a process: each accounts for one death.
  func testMemoryKillsAccountForOneDeathEach() {
    var memory = MemoryKills()
    memory.begin(group: "a", kills: 5)
    memory.begin(group: "a", kills: 6)
    XCTAssertTrue(memory.claim(group: "a", kills: 6), "a later start does not hide a kill before it")
    XCTAssertFalse(memory.claim(group: "a", kills: 6), "it has been accounted for")
    XCTAssertTrue(memory.claim(group: "a", kills: 8))
    XCTAssertTrue(memory.claim(group: "a", kills: 8))
    XCTAssertFalse(memory.claim(group: "a", kills: 8))
    XCTAssertFalse(memory.claim(group: "a", kills: 0), "made anew")
    XCTAssertTrue(memory.claim(group: "a", kills: 1))
    XCTAssertFalse(memory.claim(group: "b", kills: 9), "what it counted before is not known")
    let texts = [
      "low 0\nhigh 0\nmax 3\noom 2\noom_kill 2\noom_group_kill 0\n": 2,
      "oom_kill_disable 0\nunder_oom 0\noom_kill 7\n": 7, "nr_free_pages 5\noom_kill 4\n": 4,
    ]
    for (text, kills) in texts { XCTAssertEqual(MemoryKills.kills(in: Array(text.utf8)), UInt64(kills)) }
    XCTAssertNil(MemoryKills.kills(in: Array("oom_kill_disable 0\noom_kill x\n".utf8)))
  }

  /// What an earlier supervisor granted counts on: budgets do not multiply by the deaths of supervisors.
  func testABudgetIsHandedOn() {
    var budget = RestartBudget(limit: 3, windowNanoseconds: 60, earlier: [10, 50])
    XCTAssertTrue(budget.allowsRestart(now: 55))
    XCTAssertFalse(budget.allowsRestart(now: 56))
    XCTAssertTrue(budget.allowsRestart(now: 70), "the restart at 10 no longer counts")
    XCTAssertFalse(budget.allowsRestart(now: 109))
  }

  func testWhatIsDownStaysDown() {
    var component = ComponentSupervision(
      neverRestarts: false, budget: RestartBudget(limit: 1, windowNanoseconds: 10))
    XCTAssertFalse(component.isDown)
    _ = component.died(.permanent(code: 78), now: 0)
    XCTAssertTrue(component.isDown)
  }

  func testEachRestartWaitsLonger() {
    for seed in 0..<200 as Range<UInt64> {
      var backoff = RestartBackoff(first: 1_000, seed: seed)
      var delays: [UInt64] = []
      for attempt in 1...14 {
        let plain = UInt64(1_000) * min(1 << UInt64(min(attempt - 1, 10)), 1_000)
        let delay = backoff.delay(attempt: attempt)
        delays.append(delay)
        XCTAssertTrue((plain * 3 / 4...plain * 5 / 4).contains(delay), "seed \(seed): \(delays)")
      }
    }
    var jitter: Set<UInt64> = []
    for seed in 0..<50 as Range<UInt64> {
      var backoff = RestartBackoff(first: 1_000_000, seed: seed)
      jitter.insert(backoff.delay(attempt: 1))
    }
    XCTAssertGreaterThan(jitter.count, 40, "those that died together start apart")
    var none = RestartBackoff(first: 0, seed: 9)
    XCTAssertEqual(none.delay(attempt: 5), 0)
    var huge = RestartBackoff(first: .max, seed: 9)
    XCTAssertGreaterThan(huge.delay(attempt: .max), 0)
    XCTAssertGreaterThan(huge.delay(attempt: .min), 0)
  }

  func testTheBoundCountsShorterWindowsAsOftenAsTheyFit() {
    func component(_ limit: Int, _ window: UInt64) -> RestartBound.Component {
      RestartBound.Component(name: "x", limit: limit, windowNanoseconds: window)
    }
    let same = RestartBound.total([component(3, 60), component(3, 60), component(0, 600)])
    XCTAssertEqual(same.restarts, 6)
    XCTAssertEqual(same.windowNanoseconds, 60, "who is never restarted sets no window")
    XCTAssertEqual(RestartBound.total([component(3, 60), component(2, 25)]).restarts, 3 + 2 * 3)
    XCTAssertEqual(RestartBound.total([]).restarts, 0)
  }

  /// The bound, tried: a component that dies as often as it may, over windows laid anywhere.
  func testTheBoundIsNeverExceeded() {
    let component = RestartBound.Component(name: "x", limit: 3, windowNanoseconds: 25)
    let other = RestartBound.Component(name: "y", limit: 1, windowNanoseconds: 60)
    let bound = RestartBound.total([component, other])
    var budget = RestartBudget(limit: 3, windowNanoseconds: 25)
    var second = RestartBudget(limit: 1, windowNanoseconds: 60)
    var granted: [UInt64] = []
    for now in 0..<1_000 as Range<UInt64> {
      if budget.allowsRestart(now: now) { granted.append(now) }
      if second.allowsRestart(now: now) { granted.append(now) }
    }
    for start in 0..<900 as Range<UInt64> {
      let count = granted.count { $0 >= start && $0 < start + bound.windowNanoseconds }
      XCTAssertLessThanOrEqual(count, bound.restarts, "from \(start)")
    }
  }
}
