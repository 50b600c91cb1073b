import Foundation
import Glibc
import XCTest

/// A second bookd beside the first one: silent, and in its place with the very next event when that dies.
final class StandbyTests: XCTestCase {
  private static let day = [
    "--generate", "300000", "--instruments", "500", "--seed", "23", "--rate", "60000", "--keep",
  ]
  private static let limits = ["bookd", "standby"].map { "stage.\($0).restart_limit=1000" }
  private static let standby = ["standby.enabled=true"] + limits

  private func start(_ settings: [String] = [], _ arguments: [String] = []) throws -> (SetRun, SetStatus) {
    let run = try SetRun(Self.day + arguments, settings: Self.standby + settings)
    return (run, try run.waitForMessages(20_000))
  }

  /// Kills bookd; the standby is bookd from then on, and another one stands by.
  private func killBook(_ run: SetRun, _ before: SetStatus) throws -> SetStatus {
    let standby = try XCTUnwrap(before.stage("standby"))
    let book = try XCTUnwrap(before.stage("bookd"))
    try run.crash("bookd", of: before)
    let after = try run.waitForStatus("another standby") {
      $0.stages.allSatisfy { $0.alive && $0.state == "READY" } && $0.stage("standby")?.pid != standby.pid
        && $0.stage("bookd")?.pid != book.pid
    }
    XCTAssertEqual(after.stage("bookd")?.pid, standby.pid, "who took the place\(run.process.transcript)")
    XCTAssertEqual(after.stage("bookd")?.epoch, book.epoch + 1, "bookd's epoch\(run.process.transcript)")
    return after
  }

  /// One after the other, with both lines losing packets: each death is another process's turn, and the stream is exact.
  func testTheStandbyTakesThePlaceAgainAndAgain() throws {
    var (run, status) = try start([], ["--impair", "A:loss=2%,dup=1%;B:loss=2%,reorder=2%"])
    let first = status
    for _ in 0..<3 { status = try killBook(run, status) }
    let finished = try run.finish()
    finished.expectCorrect()
    finished.expect(finished.report.restarts["bookd"], 3, "restarts")
    finished.expect(finished.errors.components(separatedBy: "took the place of process").count, 4, "said")
    // A rebuild would replay the day; the standby had applied all but the last turns of it.
    finished.expect(finished.report.messagesReplayed < 20_000, "replayed \(finished.report.messagesReplayed)")
    let events = try run.events()
    for name in ["rxd@a", "rxd@b", "merged", "pubd"] {
      XCTAssertEqual(
        events.filter { $0.component == name && $0.event == "started" }.map(\.pid), [first.stage(name)?.pid],
        "\(name) was not touched")
    }
  }

  /// The standby is no part of the stream: its death is nobody's alarm, and bookd's own successor comes without one.
  func testAStandbyMayDie() throws {
    let (run, before) = try start()
    try run.crash("standby", of: before)
    let after = try run.waitForStatus("another standby") {
      $0.stage("standby")?.state == "READY" && $0.stage("standby")?.pid != before.stage("standby")?.pid
    }
    XCTAssertEqual(after.stage("bookd")?.pid, before.stage("bookd")?.pid)
    XCTAssertEqual(after.trust.changes, before.trust.changes, "the stream was marked")
    _ = try killBook(run, after)
    try run.finish().expectCorrect()
  }

  /// Both at once: there is nobody to take the place, and bookd is rebuilt as without a standby.
  func testBothDieTogether() throws {
    let (run, before) = try start()
    try run.crash("standby", of: before)
    try run.crash("bookd", of: before)
    let after = try run.waitForStatus("two other processes") {
      $0.stages.allSatisfy { $0.alive && $0.state == "READY" }
        && $0.stage("bookd")?.pid != before.stage("bookd")?.pid
        && $0.stage("standby")?.pid != before.stage("standby")?.pid
    }
    XCTAssertNotEqual(after.stage("bookd")?.pid, before.stage("standby")?.pid)
    try run.finish().expectCorrect()
  }

  /// The supervisor dies with bookd: its successor gives the order, or completes it.
  func testTheSupervisorDiesAsWell() throws {
    let (run, before) = try start()
    try run.crash("bookd", of: before)
    try run.crash("watchdogd", of: before)
    _ = try run.waitForStatus("everybody") {
      $0.watchdogd.alive && $0.watchdogd.pid != before.watchdogd.pid
        && $0.stages.allSatisfy { $0.alive && $0.state == "READY" }
        && $0.stage("bookd")?.pid != before.stage("bookd")?.pid
        && Set($0.pids.values).count == $0.stages.count
    }
    try run.finish().expectCorrect()
  }

  /// A bookd that is stopped for longer than its fence and told to go on: it is dead by then, the standby is in its place, and
  /// nothing of it is in the stream (D-09). The standby, which follows it, is not taken for stopped.
  func testAStoppedBookIsReplacedAndNeverWritesAgain() throws {
    let ladder = ["bookd", "standby"].flatMap { stage in
      ["mark=150ms", "alarm=400ms", "fence=1s"].map { "stage.\(stage).ladder.\($0)" }
    }
    let (run, before) = try start(ladder)
    let book = try XCTUnwrap(before.stage("bookd"))
    kill(book.pid, SIGSTOP)
    let events = try run.waitForEvents("the fence") { $0.contains { $0.event == "fenced" } }
    kill(book.pid, SIGCONT)
    let after = try run.waitForStatus("the standby in its place") {
      $0.stage("bookd")?.pid == before.stage("standby")?.pid && $0.stage("bookd")?.state == "READY"
    }
    XCTAssertEqual(after.stage("bookd")?.epoch, book.epoch + 1)
    XCTAssertEqual(
      events.filter { $0.component == "standby" && $0.event == "alarm" }.map(\.brief), [],
      "alarms of the standby")
    try run.finish().expectCorrect()
  }

  /// Books that are not those of the stream do not go on: what bookd's table says of best prices is looked at before the first
  /// event, and a rebuild follows.
  func testAStandbyThatDiffersDoesNotTakeThePlace() throws {
    let (run, before) = try start(["stage.bookd.ladder.fence=1h", "stage.standby.ladder.fence=1h"])
    let book = try XCTUnwrap(before.stage("bookd"))
    kill(book.pid, SIGSTOP)
    // An instrument's bid price, as of an early message, in the table that the stopped process writes.
    let file = try XCTUnwrap(FileHandle(forUpdatingAtPath: "\(run.place.directory)/best_prices.table"))
    let entry = UInt64(4096 + 64 * 7)
    try file.seek(toOffset: entry + 8)
    file.write(withUnsafeBytes(of: UInt64(12_345)) { Data($0) })
    try file.close()
    try run.crash("bookd", of: before)
    let after = try run.waitForStatus("a rebuilt bookd") {
      $0.stages.allSatisfy { $0.alive && $0.state == "READY" }
        && ![book.pid, before.stage("standby")?.pid].contains($0.stage("bookd")?.pid)
    }
    XCTAssertEqual(after.stage("bookd")?.epoch, book.epoch + 2)
    let finished = try run.finish()
    finished.expectCorrect()
    finished.expect(
      finished.errors.contains("the standby's book of instrument 7 is not that of the stream"), "said")
  }
}
