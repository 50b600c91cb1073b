import Foundation
import XCTest

/// Actions that watchdogd has prepared and does without any stage (drill D-39, FM-022, FM-035).
final class SafetyActionTests: XCTestCase {
  private static let day = [
    "--generate", "300000", "--instruments", "500", "--seed", "23", "--rate", "60000", "--keep",
  ]
  private static let stages = ["rxd@a", "rxd@b", "merged", "bookd", "pubd"]
  /// Everybody soon reaches the alarm, and nobody is ended.
  private static let quick = stages.flatMap {
    ["stage.\($0).ladder.mark=500ms", "stage.\($0).ladder.alarm=1500ms", "stage.\($0).ladder.fence=1h"]
  }

  /// The demonstration's topology with these actions.
  private func topology(_ actions: String) throws -> String {
    let text = try ProcessHandle.run("bulkhead", ["config", "default"]).output
    let path = NSTemporaryDirectory() + "bulkhead-actions-\(getpid())-\(UInt32.random(in: 0 ... .max)).toml"
    try (text + actions).write(toFile: path, atomically: true, encoding: .utf8)
    addTeardownBlock { try? FileManager.default.removeItem(atPath: path) }
    return path
  }

  private func actions(venue: UInt16, listener: UInt16) -> String {
    """

    [[action]]
    name = "cancel-all"
    kind = "mass_cancel"
    address = "127.0.0.1"
    port = \(venue)
    sender = "BULKHEAD"
    target = "VENUE"
    heartbeat = "1s"
    fields = ["1=ACCOUNT"]

    [[action]]
    name = "tell"
    address = "127.0.0.1"
    port = \(listener)
    payload = "halt, now"
    """
  }

  /// Every process of the data path is stopped: the actions are fired all the same, each once, and the set recovers.
  func testActionsAreFiredWhileEveryStageIsStopped() throws {
    let venue = FIXVenue()
    defer { venue.close() }
    let listener = DatagramListener()
    let path = try topology(actions(venue: venue.port, listener: listener.port))
    let run = try SetRun(
      Self.day + ["--topology", path],
      settings: Self.quick + [
        #"stage.rxd@a.on_alarm=["cut_line"]"#, #"stage.merged.on_alarm=["mark_stale", "tell"]"#,
        #"stage.bookd.on_alarm=["cancel-all"]"#,
      ])
    let before = try run.waitForStatus("a session") { status in
      status.messagesApplied > 10_000 && status.actions.contains { $0.name == "cancel-all" && $0.logons == 1 }
    }
    XCTAssertEqual(before.actions.map(\.readiness), Array(repeating: "armed", count: before.actions.count))
    XCTAssertEqual(Set(venue.messages.dropFirst().map(\.type)).subtracting(["0"]), [], "beside the logon")
    XCTAssertEqual(venue.messages.first?.type, "A")
    let pids = try Self.stages.map { try XCTUnwrap(before.stage($0)?.pid) }
    defer { for pid in pids { kill(pid, SIGCONT) } }
    for pid in pids { kill(pid, SIGSTOP) }
    let fired = try run.waitForStatus("all actions") { status in
      status.actions.filter { $0.firings == 1 }.count == 4 && status.trust.state == "stale"
    }
    let outcomes = fired.actions.filter { $0.firings > 0 }.map { "\($0.name ?? $0.action) \($0.component)" }
    XCTAssertEqual(Set(outcomes), ["cut_line rxd@a", "mark_stale merged", "tell merged", "cancel-all bookd"])
    _ = try run.waitForStatus("the venue's word") { status in
      status.actions.contains { $0.name == "cancel-all" && $0.outcome == "confirmed" }
    }
    XCTAssertEqual(listener.take(), ["halt, now"])
    let requests = venue.messages("q")
    XCTAssertEqual(requests.count, 1)
    XCTAssert(venue.messages.allSatisfy(\.isWellFormed), "\(venue.messages)")
    XCTAssertEqual(requests.first?.value("530"), "7")
    XCTAssertEqual(requests.first?.value("1"), "ACCOUNT")
    XCTAssertEqual(
      requests.first?.value("34").flatMap(Int.init),
      venue.messages.filter { $0.instant <= requests[0].instant }.count)
    for pid in pids { kill(pid, SIGCONT) }
    _ = try run.waitForStatus("trust") { $0.trust.state == "live" }
    // Line a is joined again: it brings messages until the end.
    try run.finish().expectCorrect()
    let events = try run.events()
    let written = events.filter { $0.event == "action" }.map(\.component).sorted()
    XCTAssertEqual(written, ["bookd", "merged", "merged", "rxd@a"], "one record for each firing")
    XCTAssertEqual(events.filter { $0.event == "answered" }.map(\.component), ["cancel-all"])
  }

  /// Two failures are two firings; the alarm and the death of one failure are one.
  func testAFailureFiresOnce() throws {
    let listener = DatagramListener()
    let path = try topology(actions(venue: 9, listener: listener.port))
    let run = try SetRun(
      Self.day + ["--topology", path],
      settings: [
        "stage.merged.ladder.mark=500ms", "stage.merged.ladder.alarm=1s", "stage.merged.ladder.fence=2s",
        #"stage.merged.on_alarm=["tell"]"#, #"stage.pubd.on_down=["tell"]"#, "stage.pubd.restart=halt",
      ])
    let before = try run.waitForMessages(10_000)
    XCTAssertEqual(
      before.actions.first { $0.component == "merged" && $0.name == "tell" }?.outcome, "never fired")
    let pid = try XCTUnwrap(before.stage("merged")?.pid)
    kill(pid, SIGSTOP)
    defer { kill(pid, SIGCONT) }
    try run.waitForEvents("a successor") { events in events.filter { $0.brief == "merged ready" }.count == 2 }
    XCTAssertEqual(listener.take(), ["halt, now"], "an alarm, then the fence")
    let second = try run.waitForMessages(10_000)
    try run.crash("merged", of: second)
    try run.waitForEvents("another") { events in events.filter { $0.brief == "merged ready" }.count == 3 }
    XCTAssertEqual(listener.take(), ["halt, now"], "another failure")
    try run.crash("pubd", of: try run.waitForMessages(10_000))
    try run.waitForEvents("pubd left down") { $0.contains { $0.brief == "pubd left down" } }
    XCTAssertEqual(listener.take(), ["halt, now"], "left down")
    run.process.signal(SIGTERM)
    _ = try run.finish()
  }

  /// The venue is not there when the action is due: it is sent as soon as the session stands, if the failure still does.
  func testACancelIsSentWhenTheSessionComesBack() throws {
    var venue: FIXVenue? = FIXVenue(response: "0")
    let port = try XCTUnwrap(venue?.port)
    venue?.close()
    venue = nil
    let path = try topology(actions(venue: port, listener: 9))
    let run = try SetRun(
      Self.day + ["--topology", path],
      settings: [
        "stage.merged.ladder.mark=500ms", "stage.merged.ladder.alarm=1s", "stage.merged.ladder.fence=1h",
        #"stage.merged.on_alarm=["cancel-all"]"#,
      ])
    let before = try run.waitForMessages(10_000)
    let action = try XCTUnwrap(before.actions.first { $0.name == "cancel-all" })
    XCTAssertEqual(action.readiness, "no session")
    let pid = try XCTUnwrap(before.stage("merged")?.pid)
    kill(pid, SIGSTOP)
    defer { kill(pid, SIGCONT) }
    _ = try run.waitForStatus("a failed firing") { status in
      status.actions.contains { $0.name == "cancel-all" && $0.outcome == "failed" }
    }
    let late = FIXVenue(response: "0", port: port)
    defer { late.close() }
    let refused = try run.waitForStatus("the venue's refusal", seconds: 60) { status in
      status.actions.contains { $0.name == "cancel-all" && $0.outcome == "refused" }
    }
    XCTAssertEqual(
      refused.actions.first { $0.name == "cancel-all" }?.firings, 2, "one that failed, one that was sent")
    XCTAssertEqual(late.messages("q").count, 1)
    kill(pid, SIGCONT)
    try run.finish().expectCorrect()
  }
}
