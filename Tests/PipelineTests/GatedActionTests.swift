import Foundation
import XCTest

/// Actions on readers: a gap that is published past every stage, and a reader that its gated rings wait for no longer.
final class GatedActionTests: XCTestCase {
  private static let day = [
    "--generate", "300000", "--instruments", "500", "--seed", "29", "--rate", "30000", "--keep",
  ]
  private static let ladder = [
    "stage.merged.ladder.mark=500ms", "stage.merged.ladder.alarm=1500ms", "stage.merged.ladder.fence=1h",
  ]

  /// It begins behind the last message that is out, and is over, with its end, once the stream may be believed again.
  func testAGapIsPublishedAndIsOver() throws {
    let run = try SetRun(
      Self.day, settings: Self.ladder + [#"stage.merged.on_alarm=["publish_gap", "mark_stale"]"#])
    let before = try run.waitForMessages(5_000)
    XCTAssertNil(before.publishedGap)
    let pid = try XCTUnwrap(before.stage("merged")?.pid)
    defer { kill(pid, SIGCONT) }
    kill(pid, SIGSTOP)
    let open = try run.waitForStatus("a gap") { $0.publishedGap?.open == true }
    // bookd has long read all that merged had published.
    XCTAssertEqual(open.publishedGap?.first, open.messagesApplied + 1)
    XCTAssertEqual(open.publishedGap?.component, "merged")
    XCTAssertEqual(open.publishedGap?.cause, "alarm")
    XCTAssertEqual(open.verdict, "STALE")
    kill(pid, SIGCONT)
    let over = try run.waitForStatus("its end") { $0.publishedGap?.open == false }
    XCTAssertEqual(over.trust.state, "live")
    XCTAssertEqual(over.publishedGap?.first, open.publishedGap?.first)
    XCTAssertGreaterThan(over.publishedGap?.last ?? 0, open.publishedGap?.first ?? .max)
    try run.finish().expectCorrect()
    let fired = try run.events().filter { $0.event == "action" }
    XCTAssertEqual(
      fired.map { "\($0.action ?? "") \($0.result ?? "")" }, ["publish_gap done", "mark_stale done"])
  }

  private func records(_ run: SetRun) throws -> Int {
    let metrics = try ProcessHandle.run("bulkhead", ["metrics", "--name", run.instance]).output
    let line = metrics.split(separator: "\n").first {
      $0.hasPrefix("bulkhead_ring_records") && $0.contains("ring=\"rx_a\"")
    }
    return line.flatMap { Double($0.split(separator: " ").last ?? "") }.map(Int.init) ?? -1
  }

  /// A receiver is refused while merged stands still, and goes on when merged is detached; merged counts again when it wakes.
  func testAStoppedMergeHoldsGatedReceiversUntilItIsDetached() throws {
    let run = try SetRun(
      Self.day,
      settings: Self.ladder + [
        "ring.rx_a.policy=gated", "ring.rx_b.policy=gated", "ring.rx_a.cells=1024", "ring.rx_b.cells=1024",
        #"stage.merged.on_alarm=["mark_stale"]"#,
      ])
    let before = try run.waitForMessages(5_000)
    let pid = try XCTUnwrap(before.stage("merged")?.pid)
    defer { kill(pid, SIGCONT) }
    kill(pid, SIGSTOP)
    try run.waitForEvents("the alarm") { $0.contains { $0.component == "merged" && $0.tier == "alarm" } }
    let stalled = try records(run)
    usleep(300_000)
    XCTAssertEqual(try records(run), stalled, "a full gated ring takes nothing")
    kill(pid, SIGCONT)
    try run.finish().expectDigests()

    let second = try SetRun(
      Self.day,
      settings: Self.ladder + [
        "ring.rx_a.policy=gated", "ring.rx_b.policy=gated", "ring.rx_a.cells=1024", "ring.rx_b.cells=1024",
        #"stage.merged.on_alarm=["detach_reader", "mark_stale"]"#,
      ])
    let status = try second.waitForMessages(5_000)
    let merged = try XCTUnwrap(status.stage("merged")?.pid)
    defer { kill(merged, SIGCONT) }
    kill(merged, SIGSTOP)
    try second.waitForEvents("the reader is detached") {
      $0.contains { $0.action == "detach_reader" && $0.result == "done" }
    }
    let free = try records(second)
    _ = try waitUntil(seconds: 30, "a receiver that goes on") {
      try records(second) > free + 2_000 ? true : nil
    }
    kill(merged, SIGCONT)
    let finished = try second.finish()
    finished.expectDigests()
    finished.expect(finished.report.messagesLost, 0, "messages lost")
    finished.expect(finished.report.restarts["merged"] ?? 0, 0, "restarts of merged")
  }
}
