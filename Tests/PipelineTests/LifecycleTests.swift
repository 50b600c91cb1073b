import Foundation
import XCTest

/// Starting, looking at and stopping a set.
final class LifecycleTests: XCTestCase {
  private static let day = [
    "--generate", "2000000", "--instruments", "500", "--seed", "41", "--rate", "50000",
  ]

  func testASignalStopsTheSetInOrder() throws {
    for signal in [SIGTERM, SIGINT] {
      let run = try SetRun(Self.day)
      let status = try run.waitForMessages(5_000)
      let processes =
        Set(status.stages.map(\.pid) + [status.watchdogd.pid]).union(
          ProcessTable.children(of: run.process.pid))
      // Five stages, the supervisor and the venue.
      XCTAssertEqual(processes.count, 7, "processes\(run.process.transcript)")
      run.process.signal(signal)
      let finished = try run.finish()
      for pid in processes {
        finished.expect(!ProcessTable.isRunning(pid), "process \(pid) has ended")
      }
      finished.expect(!run.directoryExists, "no files are left")
      finished.expect(finished.report.exitReason, "stopped by signal", "reason of the end")
      finished.expect(finished.ending != .exit(0), "a day that was cut short is not good")
      if case .signal = finished.ending { finished.expect(false, "it ended by itself") }
      finished.expect(finished.errors.contains("watchdogd: stopped"), "watchdogd's last word")
      finished.expect(!finished.errors.contains("killed"), "every stage stopped by itself")
      // What came out until then is whole.
      finished.expect(finished.report.messagesApplied >= 5_000, "messages applied")
      finished.expect(finished.report.gaps, [], "gaps")
      finished.expectOrdered()
    }
  }

  /// Without a source, a set runs until it is stopped, and that is good.
  func testASetWithoutASourceIsStopped() throws {
    let run = try SetRun([])
    _ = try run.waitForStatus("a live set") { $0.verdict == "LIVE" && $0.stages.count == 5 }
    run.process.signal(SIGTERM)
    let finished = try run.finish()
    finished.expect(finished.ending, .exit(0), "exit code")
    finished.expect(finished.report.verdict, "stopped", "verdict")
    finished.expect(!run.directoryExists, "no files are left")
  }

  func testAnInstanceRunsOnce() throws {
    let first = try SetRun([])
    let before = try first.waitForStatus("a live set") { $0.verdict == "LIVE" && $0.stages.count == 5 }
    let second = try ProcessHandle.run(
      "bulkhead", Array(first.process.arguments.dropFirst()) + ["--generate", "60000"])
    XCTAssertEqual(second.ending, .exit(1), second.transcript)
    for words in ["already run", first.instance, "\(before.watchdogd.pid)"] {
      XCTAssertTrue(second.errors.contains(words), "no \"\(words)\" in\(second.transcript)")
    }
    let after = try XCTUnwrap(first.status(), "the first set is gone\(second.transcript)")
    XCTAssertEqual(after.verdict, "LIVE", second.transcript)
    XCTAssertEqual(after.pids, before.pids, second.transcript)
    XCTAssertEqual(after.watchdogd.pid, before.watchdogd.pid, second.transcript)
    XCTAssertTrue(first.directoryExists, second.transcript)
    first.process.signal(SIGTERM)
    try first.finish().expect(first.process.ending, .exit(0), "exit code of the first")
  }

  /// Two sets beside each other have nothing in common.
  func testTwoInstancesDoNotMeet() throws {
    let day = ["--generate", "60000", "--instruments", "100"]
    let runs = try [SetRun(day + ["--seed", "1"]), SetRun(day + ["--seed", "2"])]
    let finished = try runs.map { try $0.finish() }
    for run in finished { run.expectCorrect() }
    XCTAssertNotEqual(finished[0].report.streamDigest, finished[1].report.streamDigest)
  }

  // MARK: status

  func testStatusOfALiveSet() throws {
    let run = try SetRun(Self.day)
    let status = try run.waitForMessages(2_000)
    XCTAssertEqual(status.verdict, "LIVE", "\(status)")
    XCTAssertEqual(status.instance, run.instance)
    XCTAssertEqual(status.stages.map(\.name), ["rxd@a", "rxd@b", "merged", "bookd", "pubd"])
    XCTAssertTrue(status.watchdogd.alive)
    XCTAssertGreaterThan(status.publishPort, 0, "the port that the kernel chose")
    XCTAssertEqual(Set(status.stages.map(\.pid)).count, 5)
    let command = try ProcessHandle.run("bulkhead", ["status", "--name", run.instance])
    XCTAssertEqual(command.ending, .exit(0), command.transcript)
    XCTAssertTrue(command.output.hasPrefix("LIVE  \(run.instance)"), "verdict first\(command.transcript)")
    // The later look shows progress.
    let later = try run.waitForMessages(status.messagesApplied + 1)
    XCTAssertEqual(later.configurationHash, status.configurationHash)
  }

  func testStatusOfNoSet() throws {
    try Binaries.require()
    let command = try ProcessHandle.run(
      "bulkhead", ["status", "--json", "--name", "pipeline-none-\(getpid())"])
    XCTAssertEqual(command.ending, .exit(3), command.transcript)
    let list = try JSONDecoder().decode(StatusList.self, from: Data(command.output.utf8))
    XCTAssertEqual(list.schema, "bulkhead.status")
    XCTAssertTrue(list.sets.isEmpty)
    XCTAssertTrue(command.errors.contains("pipeline-none-"), command.transcript)
  }
}
