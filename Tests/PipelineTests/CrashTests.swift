import Foundation
import XCTest

/// A stage dies by SIGKILL in the middle of a day: it is replaced, the others do not notice, and nobody sees an event
/// lost, repeated or different.
final class CrashTests: XCTestCase {
  /// Slow enough that a stage dies well within the day.
  private static let day = [
    "--generate", "300000", "--instruments", "500", "--seed", "21", "--rate", "120000", "--keep",
  ]
  private static let noise = ["--impair", "A:loss=2%,dup=1%,reorder=2%;B:loss=2%,reorder=2%"]
  private static let stages = ["rxd@a", "rxd@b", "merged", "bookd", "pubd"]

  func testReceiverA() throws { try expectRecovery(from: ["rxd@a"]) }
  func testReceiverB() throws { try expectRecovery(from: ["rxd@b"]) }
  func testMerge() throws { try expectRecovery(from: ["merged"]) }
  func testMergeAmidLoss() throws { try expectRecovery(from: ["merged"], Self.noise) }
  func testBook() throws { try expectRecovery(from: ["bookd"]) }
  func testPublish() throws { try expectRecovery(from: ["pubd"]) }

  /// One after the other, each while its neighbours have hardly recovered.
  func testEveryStageInTurnAmidLoss() throws {
    try expectRecovery(from: ["pubd", "bookd", "merged", "rxd@b", "rxd@a"], Self.noise)
  }

  /// Both neighbours of a ring at once.
  func testMergeAndBookTogether() throws {
    try expectRecovery(from: ["merged", "bookd"], atOnce: true)
  }

  /// Stages die at random moments as fast as they come back, also while they recover.
  func testAStormOfDeathsAmidLoss() throws {
    let limits = Self.stages.map { "stage.\($0).restart_limit=1000" }
    let run = try SetRun(Self.day + Self.noise, settings: limits)
    var status = try run.waitForMessages(20_000)
    var random = SeededBytes(seed: 2_025)
    var deaths = 0
    // Pauses of random length put the deaths at random places; nothing is waited for.
    while status.messagesApplied < 250_000, deaths < 40, run.process.pollEnding() == nil {
      let victim = status.stages.randomElement(using: &random)
      if let victim, victim.alive, kill(victim.pid, SIGKILL) == 0 { deaths += 1 }
      usleep(UInt32(random.next() % 60_000))
      status = try run.status() ?? status
    }
    let finished = try run.finish()
    finished.expectCorrect()
    finished.expect(deaths > 3, "deaths: \(deaths)")
    finished.expect(finished.report.restarts.values.reduce(0, +) > 3, "restarts")
  }

  /// A stage that hangs is not shown as well, and what it missed meanwhile is not lost.
  func testAStageThatHangsIsSeen() throws {
    let (run, before) = try start()
    let pid = try XCTUnwrap(before.stage("bookd")?.pid)
    kill(pid, SIGSTOP)
    defer { kill(pid, SIGCONT) }
    let hanging = try run.waitForStatus("a set that is not well") { $0.verdict != "LIVE" }
    XCTAssertTrue(hanging.reason.contains("bookd"), "reason: \(hanging.reason)\(run.process.transcript)")
    kill(pid, SIGCONT)
    try run.finish().expectCorrect()
  }

  /// Nobody is left, and the rings are: a watchdogd that comes soon goes on with them, and what the receivers' sockets held is asked for
  /// again. No tape.
  func testEverybodyAtOnce() throws {
    let (run, before) = try start()
    for pid in [before.watchdogd.pid] + before.stages.map(\.pid) {
      XCTAssertEqual(kill(pid, SIGKILL), 0)
    }
    let finished = try run.finish()
    finished.expectCorrect()
    let restarts = ["rxd@a": 1, "rxd@b": 1, "merged": 1, "bookd": 1, "pubd": 1] as [String: UInt64]
    finished.expect(finished.report.restarts, counts(restarts), "restarts")
    // Of nobody, or of some whose death the system had yet to carry out.
    finished.expect(finished.errors.contains("watchdogd: took over "), "that the set is taken over is told")
  }

  /// The supervisor is expendable: `bulkhead run` starts another, which takes the running stages over.
  func testSupervisor() throws {
    let (run, before) = try start()
    try run.crash("watchdogd", of: before)
    let after = try run.waitForStatus("another watchdogd") {
      $0.watchdogd.alive && $0.watchdogd.pid != before.watchdogd.pid
    }
    XCTAssertEqual(after.pids, before.pids, "stages after the supervisor's death\(run.process.transcript)")
    let finished = try run.finish()
    finished.expectCorrect()
    finished.expect(finished.report.restarts, counts([:]), "restarts")
    finished.expect(try run.status()?.pids, before.pids, "processes at the end")
    for (name, pid) in before.pids {
      finished.expect(finished.errors.contains("\(name) (\(pid))"), "adoption of \(name) is told")
    }
  }

  /// The successor of a supervisor does everything that its predecessor did.
  func testAStageAfterItsSupervisor() throws {
    let (run, before) = try start()
    try run.crash("watchdogd", of: before)
    let between = try run.waitForStatus("another watchdogd") {
      $0.verdict == "LIVE" && $0.watchdogd.pid != before.watchdogd.pid
    }
    try run.crash("merged", of: between)
    let finished = try run.finish()
    finished.expectCorrect()
    finished.expect(finished.report.restarts, counts(["merged": 1]), "restarts")
  }

  /// The merged ring no longer reaches back to the first message: the books cannot be rebuilt, and that is said before
  /// anything else.
  func testStateThatCannotBeRebuiltIsDeclared() throws {
    let (run, before) = try start(["--window", "2048"], settings: ["ring.merged.cells=16384"])
    try run.crash("bookd", of: before)
    // The supervisor marks the stream at once; what stays stale is what the successor declares.
    let after = try run.waitForStatus("stale books") { $0.staleInstruments > 0 }
    XCTAssertEqual(after.verdict, "STALE", run.process.transcript)
    let finished = try run.finish()
    let report = finished.report
    finished.expect(finished.ending, .exit(1), "exit code")
    finished.expect(report.verdict, "incomplete", "verdict")
    finished.expect(report.restartGaps.count, 1, "ranges whose state was lost")
    for gap in report.restartGaps {
      finished.expect(gap.first, 1, "where the lost state begins")
      // The ring holds a cell and more for each message.
      finished.expect(gap.last < before.messagesApplied + 100_000, "where the lost state ends")
      finished.expect(gap.count > before.messagesApplied - 16_384, "messages of the lost state")
      finished.expect(gap.reason, "restart without state", "reason")
    }
    finished.expect(report.gaps, [], "gaps in the stream itself")
    finished.expect(report.messagesApplied, report.messagesSent, "messages applied")
    finished.expect(report.staleInstruments > 0, "books are stale")
    finished.expect(report.reasons.contains { $0.contains("marked stale") }, "stale said")
    finished.expect(report.identityViolations, 0, "identity violations")
    finished.expect(report.outOfOrderInput, 0, "records out of order")
    finished.expect(report.restarts, counts(["bookd": 1]), "restarts")
  }

  /// A stage that used up its restarts stays down, and a run that can never end says so instead of waiting.
  func testAStageThatIsLeftDownEndsTheRun() throws {
    let (run, before) = try start(settings: ["stage.bookd.restart=halt"])
    try run.crash("bookd", of: before)
    let finished = try run.finish()
    finished.expect(finished.ending != .exit(0), "exit code")
    finished.expect(finished.report.reasons.contains { $0.contains("bookd") }, "the stage is named")
  }

  // MARK: -

  /// Starts a day and waits until it is under way.
  private func start(_ options: [String] = [], settings: [String] = []) throws -> (SetRun, SetStatus) {
    let run = try SetRun(Self.day + options, settings: settings)
    let status = try run.waitForMessages(40_000)
    return (run, status)
  }

  private func counts(_ restarted: [String: UInt64]) -> [String: UInt64] {
    Dictionary(uniqueKeysWithValues: Self.stages.map { ($0, restarted[$0] ?? 0) })
  }

  /// Kills the stages, one by one or all at once, and expects a run as if nothing had happened.
  private func expectRecovery(
    from victims: [String], _ options: [String] = [], atOnce: Bool = false, file: StaticString = #filePath,
    line: UInt = #line
  ) throws {
    let (run, before) = try start(options)
    for name in victims {
      try run.crash(name, of: before)
      guard !atOnce else { continue }
      // A successor that is READY, before the next one dies.
      _ = try run.waitForStatus("a successor of \(name)") { status in
        status.stage(name).map { $0.pid != before.pids[name] && $0.alive && $0.state == "READY" } ?? false
      }
    }
    let finished = try run.finish()
    finished.expectCorrect(file: file, line: line)
    let restarted = counts(Dictionary(uniqueKeysWithValues: victims.map { ($0, 1) }))
    finished.expect(finished.report.restarts, restarted, "restarts", file: file, line: line)
    // The pages are kept: they tell who ran at the end.
    let after = try XCTUnwrap(run.status(), "no pages left\(finished.transcript)", file: file, line: line)
    for name in Self.stages {
      let stage = try XCTUnwrap(after.stage(name), file: file, line: line)
      if victims.contains(name) {
        finished.expect(stage.pid != before.pids[name], "another \(name)", file: file, line: line)
        finished.expect(stage.epoch, 2, "epoch of \(name)", file: file, line: line)
        let words = "watchdogd: \(name) killed (SIGKILL); restarted as process \(stage.pid)"
        finished.expect(
          finished.errors.contains(words), "words of watchdogd on \(name)", file: file, line: line)
      } else {
        finished.expect(stage.pid, before.pids[name], "the same \(name)", file: file, line: line)
        finished.expect(stage.epoch, 1, "epoch of \(name)", file: file, line: line)
      }
    }
    finished.expect(after.watchdogd.pid, before.watchdogd.pid, "the same watchdogd", file: file, line: line)
  }
}
