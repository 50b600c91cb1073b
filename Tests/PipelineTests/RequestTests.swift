import Foundation
import XCTest

/// Operators' requests to a running set: what is done, what is refused, what is written down.
final class RequestTests: XCTestCase {
  private static let day = [
    "--generate", "4000000", "--instruments", "200", "--seed", "44", "--rate", "20000",
  ]

  private func ask(_ run: SetRun, _ arguments: String...) throws -> ProcessHandle {
    try ProcessHandle.run("bulkhead", arguments + ["--name", run.instance])
  }

  /// Stages of a day under way are restarted one after the other, and what comes out is as if nothing had been.
  func testRestartsInTheMiddleOfTheDayLoseNothing() throws {
    let run = try SetRun(Self.day)
    _ = try run.waitForMessages(2_000)
    for name in ["bookd", "merged", "rxd@a"] {
      let done = try ask(run, "restart", name, "--yes", "--reason", "because \(name)", "--timeout", "60")
      XCTAssertEqual(done.ending, .exit(0), done.transcript)
      XCTAssertTrue(done.output.contains("\(name) is READY"), done.transcript)
      XCTAssertTrue(done.output.contains("epoch 2"), done.transcript)
    }
    let events = try run.events()
    let asked = events.filter { $0.event == "requested" }
    XCTAssertEqual(asked.map(\.component), ["bookd", "merged", "rxd@a"])
    XCTAssertEqual(asked.map(\.reason), ["because bookd", "because merged", "because rxd@a"])
    XCTAssertEqual(asked.map(\.user), [UInt64(getuid()), UInt64(getuid()), UInt64(getuid())])
    XCTAssertEqual(asked.map(\.epoch), [1, 1, 1])
    let status = try XCTUnwrap(run.status())
    XCTAssertEqual(status.stages.map(\.restarts), [0, 0, 0, 0, 0], "nobody's budget was charged")
    _ = try run.waitForMessages(status.messagesApplied + 2_000)
    run.process.signal(SIGTERM)
    let finished = try run.finish()
    // What came out until then is whole.
    finished.expect(finished.report.exitReason, "stopped by signal", "reason of the end")
    finished.expect(finished.report.gaps, [], "gaps")
    finished.expect(finished.report.restartGaps, [], "restart gaps")
    finished.expect(finished.report.messagesLost, 0, "messages lost")
    finished.expect(finished.report.ringLaps, 0, "ring laps")
    finished.expectOrdered()
    finished.expect(finished.errors.contains("because merged"), "the reason on standard error")
  }

  /// An epoch that has moved, a stage that there is not, nobody to say yes: nothing happens.
  func testWhatIsNotMeantIsRefused() throws {
    let run = try SetRun([])
    let before = try run.waitForStatus("a live set") { $0.verdict == "LIVE" && $0.stages.count == 5 }
    let stale = try ask(run, "restart", "bookd", "--epoch", "7", "--yes")
    XCTAssertEqual(stale.ending, .exit(1), stale.transcript)
    XCTAssertTrue(stale.errors.contains("bookd is at epoch 1, not 7"), stale.transcript)
    let unknown = try ask(run, "drain", "boodk", "--yes")
    XCTAssertEqual(unknown.ending, .exit(64), unknown.transcript)
    XCTAssertTrue(unknown.errors.contains("did you mean `bookd`?"), unknown.transcript)
    let unconfirmed = try ask(run, "stop", "bookd")
    XCTAssertEqual(unconfirmed.ending, .exit(64), unconfirmed.transcript)
    XCTAssertTrue(unconfirmed.errors.contains("--yes"), unconfirmed.transcript)
    for arguments in [
      ["stop", "bookd"], ["restart", "merged"], ["drain", "pubd"], ["maint", "on", "--reason", "r"], ["stop"],
    ] {
      let dry = try ProcessHandle.run("bulkhead", arguments + ["--dry-run", "--name", run.instance])
      XCTAssertEqual(dry.ending, .exit(0), dry.transcript)
      XCTAssertTrue(dry.output.hasPrefix("would be"), dry.transcript)
    }
    let running = try ask(run, "start", "bookd", "--yes")
    XCTAssertEqual(running.ending, .exit(0), running.transcript)
    XCTAssertTrue(running.output.contains("bookd runs as process"), running.transcript)
    // Bytes that are no request are answered, and harm nobody.
    let socket = "\(run.place.directory)/requests.socket"
    XCTAssertEqual(try FileManager.default.attributesOfItem(atPath: socket)[.posixPermissions] as? Int, 0o600)
    let after = try XCTUnwrap(run.status())
    XCTAssertEqual(after.pids, before.pids)
    XCTAssertEqual(
      try run.events().filter { $0.event == "requested" }.count, 2, "the stale one, and the start")
    run.process.signal(SIGTERM)
    XCTAssertEqual(try run.finish().ending, .exit(0))
    let gone = try ask(run, "restart", "bookd", "--yes")
    XCTAssertEqual(gone.ending, .exit(3), gone.transcript)
  }

  /// A stage that is stopped stays down, under another watchdogd too, until it is started.
  func testWhatIsStoppedStaysDownUntilItIsStarted() throws {
    let run = try SetRun([])
    let before = try run.waitForStatus("a live set") { $0.verdict == "LIVE" && $0.stages.count == 5 }
    let stopped = try ask(run, "stop", "pubd", "--yes", "--reason", "bad clients")
    XCTAssertEqual(stopped.ending, .exit(0), stopped.transcript)
    XCTAssertTrue(stopped.output.contains("everything handed on"), stopped.transcript)
    try run.crash("watchdogd", of: before)
    try run.waitForEvents("another watchdogd") { $0.filter { $0.event == "supervisor started" }.count == 2 }
    _ = try run.waitForStatus("another watchdogd") {
      $0.watchdogd.alive && $0.watchdogd.pid != before.watchdogd.pid
    }
    // It answers: so it has decided about every stage.
    let started = try waitUntil(seconds: 60, "an answer") { () -> ProcessHandle? in
      let asked = try ask(run, "start", "pubd", "--yes", "--dry-run")
      return asked.ending == .exit(0) ? asked : nil
    }
    XCTAssertTrue(started.output.contains("would be done: pubd is started"), started.transcript)
    XCTAssertEqual(try run.status()?.stage("pubd")?.alive, false)
    let back = try ask(run, "start", "pubd", "--yes")
    XCTAssertEqual(back.ending, .exit(0), back.transcript)
    XCTAssertTrue(back.output.contains("pubd is READY"), back.transcript)
    let events = try run.events().filter { $0.component == "pubd" }.map(\.event)
    XCTAssertEqual(
      events,
      ["started", "ready", "requested", "dying", "died", "held", "requested", "started", "ready"].filter {
        events.contains("dying") || $0 != "dying"
      })
    run.process.signal(SIGTERM)
    XCTAssertEqual(try run.finish().ending, .exit(0))
  }

  /// In maintenance a death is told and not answered; afterwards it is.
  func testMaintenanceHoldsRestarts() throws {
    let run = try SetRun([])
    let before = try run.waitForStatus("a live set") { $0.verdict == "LIVE" && $0.stages.count == 5 }
    let unreasoned = try ask(run, "maint", "on", "--yes")
    XCTAssertEqual(unreasoned.ending, .exit(64), unreasoned.transcript)
    let begun = try ask(run, "maint", "on", "--yes", "--reason", "debugger")
    XCTAssertEqual(begun.ending, .exit(0), begun.transcript)
    try run.crash("pubd", of: before)
    try run.waitForEvents("the death") { $0.contains { $0.event == "died" && $0.component == "pubd" } }
    let ended = try ask(run, "maint", "off", "--yes")
    XCTAssertEqual(ended.ending, .exit(0), ended.transcript)
    _ = try run.waitForStatus("a live set again") { $0.verdict == "LIVE" && $0.stage("pubd")?.epoch == 2 }
    let events = try run.events()
    let off = try XCTUnwrap(events.lastIndex { $0.event == "maintenance" })
    let start = try XCTUnwrap(events.lastIndex { $0.event == "started" && $0.component == "pubd" })
    XCTAssertLessThan(off, start, "not before maintenance was over: \(events)")
    XCTAssertEqual(events.first { $0.event == "maintenance" }?.reason, "debugger")
    run.process.signal(SIGTERM)
    XCTAssertEqual(try run.finish().ending, .exit(0))
  }

  /// Somebody else cannot open the socket; and where it was opened for all, is turned away by who it is.
  func testOthersMayNotAsk() throws {
    let tool = "/usr/bin/setpriv"
    guard getuid() == 0, FileManager.default.isExecutableFile(atPath: tool) else {
      throw XCTSkip("wants root and \(tool)")
    }
    let run = try SetRun([])
    let before = try run.waitForStatus("a live set") { $0.verdict == "LIVE" && $0.stages.count == 5 }
    func askAsNobody() throws -> ProcessHandle {
      let command = [tool, "--reuid=65534", "--regid=65534", "--clear-groups", Binaries.path("bulkhead")]
      let process = try ProcessHandle(command + ["restart", "pubd", "--yes", "--name", run.instance])
      try process.waitForEnd()
      return process
    }
    let closed = try askAsNobody()
    guard !closed.errors.contains("failed to execute") else {
      throw XCTSkip("nobody cannot run \(Binaries.path("bulkhead"))")
    }
    XCTAssertEqual(closed.ending, .exit(4), closed.transcript)
    XCTAssertTrue(closed.errors.contains("Permission denied"), closed.transcript)
    try FileManager.default.setAttributes(
      [.posixPermissions: 0o666], ofItemAtPath: "\(run.place.directory)/requests.socket")
    let open = try askAsNobody()
    XCTAssertEqual(open.ending, .exit(4), open.transcript)
    XCTAssertTrue(open.errors.contains("only the owner of the set, or root"), open.transcript)
    XCTAssertEqual(try run.status()?.pids, before.pids)
    run.process.signal(SIGTERM)
    XCTAssertEqual(try run.finish().ending, .exit(0))
  }
}
