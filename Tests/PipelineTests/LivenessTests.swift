import Foundation
import XCTest

/// Stages that live and do not work: stopped, hanging, going round in circles. What fires is judged, and in which order;
/// when, only `make drill-pauses` judges.
final class LivenessTests: XCTestCase {
  private static let day = [
    "--generate", "300000", "--instruments", "500", "--seed", "21", "--rate", "60000", "--keep",
  ]

  private static func ladder(
    _ stage: String, mark: String = "150ms", alarm: String = "500ms", fence: String, start: String = "20s"
  ) -> [String] {
    ["mark=\(mark)", "alarm=\(alarm)", "fence=\(fence)", "start=\(start)"].map {
      "stage.\(stage).ladder.\($0)"
    }
  }

  /// The alarms and what followed them, of one stage. What readers are told meanwhile is StreamTrustTests' matter.
  private func brief(_ events: [SetEvent], of stage: String) -> [String] {
    events.filter { $0.component == stage && !["action", "trusted"].contains($0.event) }.map(\.brief)
  }

  private func start(_ settings: [String], _ standIn: StandIn? = nil) throws -> (SetRun, SetStatus) {
    let run = try SetRun(Self.day, settings: settings, programsIn: standIn?.folder)
    return (run, try run.waitForMessages(10_000))
  }

  // MARK: Pauses (D-08)

  /// A stage that is stopped is marked, then reported, with the cause; one that comes back is not killed.
  func testAStoppedStageClimbsTierByTier() throws {
    for stage in ["rxd@a", "merged", "bookd", "pubd"] {
      let (run, before) = try start(Self.ladder(stage, fence: "1h"))
      let pid = try XCTUnwrap(before.stage(stage)?.pid)
      kill(pid, SIGSTOP)
      defer { kill(pid, SIGCONT) }
      try run.waitForEvents("an alarm of \(stage)") { $0.contains { $0.tier == "alarm" } }
      kill(pid, SIGCONT)
      let events = try run.waitForEvents("\(stage) works again") { $0.contains { $0.event == "cleared" } }
      XCTAssertEqual(
        brief(events, of: stage),
        [
          "\(stage) started", "\(stage) ready", "\(stage) alarm mark beat", "\(stage) alarm alarm beat",
          "\(stage) cleared alarm",
        ], "\(events)")
      XCTAssertEqual(
        events.filter { $0.event == "alarm" }.map(\.cause), ["stopped", "stopped"], "\(events)")
      let ages = events.filter { $0.event == "alarm" }.map { ($0.value ?? 0) / 1_000_000 }
      XCTAssertTrue(ages.count == 2 && ages[0] >= 150 && ages[1] >= 500, "\(events)")
      let finished = try run.finish()
      finished.expectCorrect()
      finished.expect(finished.report.restarts.values.reduce(0, +), 0, "restarts")
    }
  }

  /// Pauses below the mark, of every stage, leave no trace.
  func testShortPausesFireNothing() throws {
    let stages = ["rxd@a", "rxd@b", "merged", "bookd", "pubd"]
    let (run, before) = try start(
      stages.flatMap { Self.ladder($0, mark: "2s", alarm: "4s", fence: "1h") })
    var random = SeededBytes(seed: 4)
    var longest = 0.0
    for _ in 0..<40 {
      guard let pid = before.stages.randomElement(using: &random)?.pid else { continue }
      let began = Date()
      kill(pid, SIGSTOP)
      usleep(UInt32(random.next() % 40_000))
      kill(pid, SIGCONT)
      longest = max(longest, Date().timeIntervalSince(began))
    }
    let finished = try run.finish()
    finished.expectCorrect()
    // A machine that took this test from its core in the middle of a pause has made it longer than it was meant.
    guard longest < 1 else { throw XCTSkip("a pause took \(longest) s: nothing can be said") }
    XCTAssertEqual(try run.events().filter { $0.tier != nil }.map(\.brief), [], finished.transcript)
    finished.expect(finished.report.restarts.values.reduce(0, +), 0, "restarts")
  }

  // MARK: The zombie (D-09)

  /// A writer that is stopped past the fence is dead before its successor starts, and is not waked again.
  func testAStoppedWriterIsReplacedAndNeverWritesAgain() throws {
    for stage in ["merged", "bookd"] {
      let (run, before) = try start(Self.ladder(stage, fence: "1s"))
      let old = try XCTUnwrap(before.stage(stage))
      kill(old.pid, SIGSTOP)
      let events = try run.waitForEvents("a successor of \(stage)") { events in
        events.filter { $0.component == stage && $0.event == "ready" }.count == 2
      }
      // Whoever wakes it now finds nobody.
      let revived = kill(old.pid, SIGCONT)
      XCTAssertFalse(
        revived == 0 && ProcessTable.isRunning(old.pid), "\(stage) lives on\(run.process.transcript)")
      XCTAssertEqual(
        brief(events, of: stage),
        [
          "\(stage) started", "\(stage) ready", "\(stage) alarm mark beat", "\(stage) alarm alarm beat",
          "\(stage) alarm fence beat", "\(stage) dying", "\(stage) fenced", "\(stage) died",
          "\(stage) started", "\(stage) ready",
        ], "\(events)")
      let death = try XCTUnwrap(events.first { $0.event == "died" })
      let successor = try XCTUnwrap(events.last { $0.event == "started" && $0.component == stage })
      XCTAssertEqual(death.pid, old.pid)
      XCTAssertGreaterThanOrEqual(
        successor.monotonic, death.monotonic, "a successor before the death\(events)")
      let finished = try run.finish()
      finished.expectCorrect()
      finished.expect(finished.report.restarts[stage], 1, "restarts of \(stage)")
      finished.expect(try run.status()?.stage(stage)?.epoch, old.epoch + 1, "epoch of \(stage)")
    }
  }

  /// A supervisor that took the set over fences what it did not start.
  func testAStoppedStageIsFencedByAnotherSupervisor() throws {
    let (run, before) = try start(Self.ladder("merged", fence: "1s"))
    let pid = try XCTUnwrap(before.stage("merged")?.pid)
    try run.crash("watchdogd", of: before)
    kill(pid, SIGSTOP)
    try run.waitForEvents("a successor of merged") { events in
      events.contains { $0.brief == "merged adopted" } && events.contains { $0.brief == "merged fenced" }
    }
    let finished = try run.finish()
    finished.expectCorrect()
    finished.expect(finished.report.restarts["merged"], 1, "restarts of merged")
  }

  /// A process that the dead supervisor was about to start has its lock until it runs its own program: the successor waits for that, and
  /// does not take the set for another's.
  func testALockThatOutlivesItsSupervisorIsWaitedFor() throws {
    let (run, before) = try start([])
    // Nobody may take the lock before the test does.
    run.process.signal(SIGSTOP)
    try run.crash("watchdogd", of: before)
    let lock = open("\(run.place.directory).lock", O_RDWR | O_CLOEXEC)
    XCTAssertGreaterThanOrEqual(lock, 0)
    XCTAssertEqual(flock(lock, LOCK_EX), 0)
    run.process.signal(SIGCONT)
    usleep(300_000)
    close(lock)
    try run.waitForEvents("another watchdogd") { $0.filter { $0.event == "supervisor started" }.count == 2 }
    // Each stage was found as it was: no death is told of.
    XCTAssertEqual(try run.events().filter { $0.event == "died" }.count, 0)
    try run.finish().expectCorrect()
  }

  // MARK: Livelock (D-10)

  /// It beats and takes none of its input: its beats do not save it.
  func testAStageThatBeatsAndTakesNothingIsReplaced() throws {
    try expectFence(of: "livelock", missing: "progress", cause: "livelocked: beats, takes no input")
  }

  /// It even takes its input: what does not come out gives it away.
  func testAStageThatTakesItsInputAndHandsNothingOnIsReplaced() throws {
    try expectFence(of: "barren", missing: "output", cause: "takes input, hands nothing on")
  }

  /// A second start that never becomes READY is ended like one that hangs later, and counts.
  func testAStartThatHangsIsReplaced() throws {
    for kind in ["hang", "circle"] { try expectFence(of: kind, missing: "start", cause: "asleep") }
  }

  private func expectFence(of kind: String, missing: String, cause: String) throws {
    let standIn = try StandIn("2:\(kind)")
    let (run, before) = try start(
      Self.ladder("bookd", mark: "100ms", alarm: "300ms", fence: "1s", start: "2s"), standIn)
    try run.crash("bookd", of: before)
    let events = try run.waitForEvents("a third bookd") { events in
      events.filter { $0.brief == "bookd ready" && ($0.pid ?? 0) > 0 }.count >= 2
        && events.filter { $0.brief == "bookd started" }.count == 3
    }
    let climbed = events.filter { $0.component == "bookd" && $0.event == "alarm" }
    XCTAssertEqual(climbed.map(\.tier), ["mark", "alarm", "fence"], "\(kind): \(events)")
    XCTAssertEqual(climbed.map(\.missing), [missing, missing, missing], "\(kind): \(events)")
    XCTAssertEqual(climbed.dropFirst().map(\.cause), [cause, cause], "\(kind): \(events)")
    let finished = try run.finish()
    finished.expectCorrect()
    finished.expect(finished.report.restarts["bookd"], 2, "restarts of bookd: the fence counts")
    finished.expect(standIn.starts, 3, "starts of bookd")
  }

  // MARK: Crash loops (D-11)

  /// Two starts that end at once cost two restarts, and the third goes on as if nothing had happened.
  func testACrashLoopWithinTheBudgetIsSurvived() throws {
    let standIn = try StandIn("2:exit=1,3:exit=70")
    let (run, before) = try start(["stage.bookd.restart_backoff=20ms"], standIn)
    try run.crash("bookd", of: before)
    let finished = try run.finish()
    finished.expectCorrect()
    finished.expect(finished.report.restarts["bookd"], 3, "restarts of bookd")
    finished.expect(standIn.starts, 4, "starts of bookd")
  }

  /// Never more than the budget; then it stays down, and the others stay up.
  func testACrashLoopEndsWithTheBudget() throws {
    try expectDown(after: 3, plan: "*:exit=1", settings: [])
    try expectDown(after: 1, plan: "*:exit=1", settings: ["stage.bookd.restart_limit=1"])
    // A wrong configuration is not tried again, whatever the budget.
    try expectDown(after: 1, plan: "2:exit=78", settings: [])
  }

  /// - Parameter restarts: how often bookd is started again before it is left down.
  private func expectDown(after restarts: Int, plan: String, settings: [String]) throws {
    let standIn = try StandIn(plan)
    let (run, before) = try start(settings, standIn)
    try run.crash("bookd", of: before)
    let events = try run.waitForEvents("bookd is left down") { $0.contains { $0.event == "left down" } }
    XCTAssertEqual(events.filter { $0.brief == "bookd started" }.count, restarts + 1, "\(plan): \(events)")
    let status = try XCTUnwrap(run.status())
    XCTAssertEqual(status.stage("bookd")?.alive, false, "\(status)")
    for (name, pid) in before.pids where name != "bookd" {
      XCTAssertEqual(status.stage(name)?.pid, pid, "\(name) goes on\(run.process.transcript)")
      XCTAssertEqual(status.stage(name)?.alive, true, "\(name) goes on\(run.process.transcript)")
    }
    run.process.signal(SIGTERM)
    let finished = try run.finish()
    finished.expect(standIn.starts, restarts + 1, "starts of bookd")
  }

  /// A start that has not taken its page when its supervisor dies is nobody's: it ends by itself, and the next supervisor's goes on.
  func testAStartThatHasNoPageYetEndsWithItsSupervisor() throws {
    let standIn = try StandIn("2:orphan")
    let (run, before) = try start([], standIn)
    try run.crash("bookd", of: before)
    try run.waitForEvents("a second start of bookd") { events in
      events.filter { $0.brief == "bookd started" }.count == 2
    }
    try run.crash("watchdogd", of: before)
    let finished = try run.finish()
    finished.expectCorrect()
    finished.expect(standIn.starts, 3, "starts of bookd")
    finished.expect(
      finished.errors.contains("bookd: its supervisor died before it had begun"), "the orphan's last word")
  }

  /// The budget is the set's, not the supervisor's: it does not begin anew with another watchdogd.
  func testBudgetsDoNotMultiplyByTheDeathsOfSupervisors() throws {
    let (run, before) = try start(["stage.pubd.restart_limit=2"])
    var status = before
    func crashPublisher() throws {
      let old = status.stage("pubd")
      try run.crash("pubd", of: status)
      status = try run.waitForStatus("another pubd") { status in
        status.stage("pubd").map { $0.alive && $0.pid != old?.pid && $0.state == "READY" } ?? false
      }
    }
    try crashPublisher()
    try run.crash("watchdogd", of: status)
    status = try run.waitForStatus("another watchdogd") {
      $0.watchdogd.alive && $0.watchdogd.pid != before.watchdogd.pid
    }
    try crashPublisher()
    try run.crash("pubd", of: status)
    let events = try run.waitForEvents("pubd is left down") { $0.contains { $0.event == "left down" } }
    XCTAssertEqual(events.filter { $0.brief == "pubd started" }.count, 3, "\(events)")
    // And a third one leaves it down.
    try run.crash("watchdogd", of: status)
    try run.waitForEvents("a third watchdogd") { $0.filter { $0.event == "supervisor started" }.count == 3 }
    run.process.signal(SIGTERM)
    let finished = try run.finish()
    finished.expect(finished.errors.contains("pubd was left down by an earlier watchdogd"), "it stays down")
    XCTAssertEqual(
      try run.events().filter { $0.brief == "pubd started" }.count, 3, "starts of pubd\(finished.transcript)")
  }
}
