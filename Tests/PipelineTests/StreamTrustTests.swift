import Foundation
import XCTest

/// The supervisor takes the readers' trust back when a stage of the stream fails, and gives it again when the successor has
/// caught up.
final class StreamTrustTests: XCTestCase {
  private static let day = [
    "--generate", "300000", "--instruments", "500", "--seed", "21", "--rate", "60000", "--keep",
  ]
  /// merged soon reaches the alarm; not so soon that a machine under load takes it there.
  private static let quick = ["stage.merged.ladder.mark=500ms", "stage.merged.ladder.alarm=1500ms"]

  private func start(_ settings: [String] = quick) throws -> (SetRun, SetStatus) {
    let run = try SetRun(Self.day, settings: settings)
    return (run, try run.waitForMessages(10_000))
  }

  /// What a client is told about the stream at this moment.
  private func ladder(_ status: SetStatus) throws -> String {
    try ProcessHandle.run(
      "bulkhead", ["watch", "AAAH", "--once", "--plain", "--url", "ws://127.0.0.1:\(status.publishPort)"]
    ).output
  }

  /// pubd looks at bookd by itself; that merged hangs, it can know from the supervisor alone.
  func testAHangingMergeMakesTheStreamStaleForClientsUntilItIsBack() throws {
    let (run, before) = try start()
    XCTAssertEqual(before.trust.state, "live")
    XCTAssertEqual(
      before.actions.map { "\($0.action) \($0.component) \($0.trigger) \($0.firings)" },
      [
        "mark_stale merged on alarm or death 0", "halt_stream merged when left down 0",
        "mark_stale bookd on alarm or death 0", "halt_stream bookd when left down 0",
        "mark_stale lines on alarm or death 0",
      ])
    let pid = try XCTUnwrap(before.stage("merged")?.pid)
    XCTAssertFalse(try ladder(before).contains("publisher's input"), "before")
    kill(pid, SIGSTOP)
    defer { kill(pid, SIGCONT) }
    let stale = try run.waitForStatus("a stale stream") { $0.trust.state == "stale" }
    XCTAssertEqual(stale.verdict, "STALE", "\(stale)")
    XCTAssertEqual(stale.trust.component, "merged")
    XCTAssertEqual(stale.actions.map(\.firings), [1, 0, 0, 0, 0], "\(stale.actions)")
    let shown = try ladder(stale)
    XCTAssertTrue(shown.contains("publisher's input is stale"), shown)
    kill(pid, SIGCONT)
    let live = try run.waitForStatus("a stream to be believed") { $0.trust.state == "live" }
    XCTAssertEqual(live.trust.changes, before.trust.changes + 2)
    let events = try run.events()
    XCTAssertEqual(
      events.filter { ["action", "trusted"].contains($0.event) }.map(\.brief),
      ["merged action", "bookd trusted"], "bookd has to read what merged brings\(events)")
    // The action comes before the alarm's record: nothing is read about the process first.
    let kinds = events.filter { $0.component == "merged" }.map(\.brief)
    XCTAssertEqual(
      kinds.suffix(4),
      ["merged alarm mark beat", "merged action", "merged alarm alarm beat", "merged cleared alarm"])
    try run.finish().expectCorrect()
  }

  /// A death is enough, and the successor gives the trust back.
  func testADeathMakesTheStreamStaleUntilTheSuccessorHasCaughtUp() throws {
    for stage in ["merged", "bookd"] {
      let (run, before) = try start()
      try run.crash(stage, of: before)
      let events = try run.waitForEvents("trust") { $0.contains { $0.event == "trusted" } }
      let kinds = events.filter { $0.component == stage || $0.event == "trusted" }.map(\.brief)
      XCTAssertEqual(
        kinds,
        [
          "\(stage) started", "\(stage) ready", "\(stage) action", "\(stage) dying", "\(stage) died",
          "\(stage) started", "\(stage) ready", "bookd trusted",
        ], "\(events)")
      let finished = try run.finish()
      finished.expectCorrect()
      finished.expect(try run.status()?.trust.state, "live", "trust at the end")
    }
  }

  /// What stands beside the stream does not touch it.
  func testAReceiverOrAPublisherThatDiesLeavesTheTrustAlone() throws {
    let (run, before) = try start([])
    for stage in ["rxd@a", "pubd"] {
      try run.crash(stage, of: before)
      try run.waitForEvents("a successor of \(stage)") { events in
        events.filter { $0.brief == "\(stage) ready" }.count == 2
      }
    }
    try run.finish().expectCorrect()
    let status = try XCTUnwrap(run.status())
    XCTAssertEqual(status.trust.changes, before.trust.changes, "\(status.trust)")
    XCTAssertEqual(status.actions.map(\.firings), [0, 0, 0, 0, 0])
  }

  func testAStageThatIsLeftDownHaltsTheStream() throws {
    let (run, before) = try start(Self.quick + ["stage.merged.restart=halt"])
    try run.crash("merged", of: before)
    let halted = try run.waitForStatus("a halted stream") { $0.trust.state == "halted" }
    XCTAssertEqual(halted.verdict, "STALE")
    XCTAssertTrue(halted.reason.contains("halted") && halted.reason.contains("merged"), halted.reason)
    XCTAssertEqual(halted.actions.map(\.firings), [1, 1, 0, 0, 0], "\(halted.actions)")
    let shown = try ladder(halted)
    XCTAssertTrue(shown.contains("publisher's input is halted"), shown)
    run.process.signal(SIGTERM)
    _ = try run.finish()
  }

  /// The supervisor dies while the stream is stale: its successor does not take it for live, and lifts it when it may.
  func testADistrustOutlivesTheSupervisor() throws {
    let (run, before) = try start(Self.quick + ["stage.merged.ladder.fence=1h"])
    let pid = try XCTUnwrap(before.stage("merged")?.pid)
    kill(pid, SIGSTOP)
    defer { kill(pid, SIGCONT) }
    let stale = try run.waitForStatus("a stale stream") { $0.trust.state == "stale" }
    try run.crash("watchdogd", of: stale)
    let between = try run.waitForStatus("another watchdogd") {
      $0.watchdogd.alive && $0.watchdogd.pid != before.watchdogd.pid
    }
    XCTAssertEqual(between.trust.state, "stale", "\(between)")
    kill(pid, SIGCONT)
    _ = try run.waitForStatus("a stream to be believed") { $0.trust.state == "live" }
    let finished = try run.finish()
    finished.expectCorrect()
  }

  /// No stage fails, and yet nobody knows what the market does (drill D-24).
  func testTheSilenceOfBothLinesMakesTheStreamStaleUntilTheySpeak() throws {
    let (run, before) = try start([])
    let venue = try XCTUnwrap(ProcessTable.venue(sendingTo: run.place.groupA))
    kill(venue, SIGSTOP)
    defer { kill(venue, SIGCONT) }
    let stale = try run.waitForStatus("a stale stream") { $0.trust.state == "stale" }
    XCTAssertEqual(stale.verdict, "STALE", "\(stale)")
    XCTAssertEqual(stale.trust.component, "lines")
    XCTAssertTrue(stale.reason.contains("silent"), stale.reason)
    XCTAssertTrue(try ladder(stale).contains("publisher's input is stale"))
    kill(venue, SIGCONT)
    let live = try run.waitForStatus("a stream to be believed") { $0.trust.state == "live" }
    XCTAssertEqual(live.trust.changes, before.trust.changes + 2)
    let finished = try run.finish()
    finished.expectCorrect()
    let events = try run.events().filter { ["action", "trusted", "alarm"].contains($0.event) }.map(\.brief)
    XCTAssertEqual(events, ["lines action", "bookd trusted"], "the end of the session is no silence")
  }
}
