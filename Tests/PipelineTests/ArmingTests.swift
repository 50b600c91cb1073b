import Foundation
import XCTest

/// What operators do with safety actions: take them out, fire them by hand, have them back.
final class ArmingTests: XCTestCase {
  private static let day = [
    "--generate", "4000000", "--instruments", "200", "--seed", "45", "--rate", "20000",
  ]
  private static let ladder = [
    "stage.merged.ladder.mark=500ms", "stage.merged.ladder.alarm=1500ms", "stage.merged.ladder.fence=1h",
  ]

  private func ask(_ run: SetRun, _ arguments: String...) throws -> ProcessHandle {
    try ProcessHandle.run("bulkhead", arguments + ["--name", run.instance])
  }

  private func topology(_ actions: String) throws -> String {
    let text = try ProcessHandle.run("bulkhead", ["config", "default"]).output
    let path = NSTemporaryDirectory() + "bulkhead-arming-\(getpid())-\(UInt32.random(in: 0 ... .max)).toml"
    try (text + actions).write(toFile: path, atomically: true, encoding: .utf8)
    addTeardownBlock { try? FileManager.default.removeItem(atPath: path) }
    return path
  }

  private static func tell(_ port: UInt16) -> String {
    """

    [[action]]
    name = "tell"
    kind = "datagram"
    address = "127.0.0.1"
    port = \(port)
    payload = "halt, now"

    """
  }

  private static func cancel(_ port: UInt16) -> String {
    """
    [[action]]
    name = "cancel-all"
    kind = "mass_cancel"
    address = "127.0.0.1"
    port = \(port)
    sender = "BULKHEAD"
    target = "VENUE"
    heartbeat = "1s"
    fields = ["1=ACCOUNT"]
    """
  }

  private func readiness(_ status: SetStatus, _ name: String) -> String? {
    status.actions.first { $0.name == name || $0.action == name }?.readiness
  }

  /// Disarmed, it is not fired, and that is said; another watchdogd leaves it so; armed, it is fired at the next failure.
  func testADisarmedActionIsNotFired() throws {
    let listener = DatagramListener()
    let path = try topology(Self.tell(listener.port))
    let run = try SetRun(
      Self.day + ["--topology", path],
      settings: Self.ladder + [#"stage.merged.on_alarm=["mark_stale", "tell"]"#])
    let before = try run.waitForMessages(2_000)
    let out = try ask(run, "disarm", "tell", "--yes", "--reason", "venue test")
    XCTAssertEqual(out.ending, .exit(0), out.transcript)
    let disarmed = try XCTUnwrap(run.status())
    XCTAssertEqual(readiness(disarmed, "tell"), "disarmed")
    XCTAssertEqual(disarmed.verdict, "DEGRADED")
    XCTAssertTrue(disarmed.reason.contains("merged:tell"), disarmed.reason)
    let processes = try ask(run, "ps")
    XCTAssertTrue(processes.output.contains(" 2/3 "), processes.output)
    try run.crash("watchdogd", of: before)
    let second = try run.waitForStatus("another watchdogd") {
      $0.watchdogd.alive && $0.watchdogd.pid != before.watchdogd.pid
    }
    XCTAssertEqual(readiness(second, "tell"), "disarmed", "another watchdogd leaves it out")
    let pid = try XCTUnwrap(second.stage("merged")?.pid)
    defer { kill(pid, SIGCONT) }
    kill(pid, SIGSTOP)
    let withheld = try run.waitForEvents("it was due") { $0.contains { $0.result == "disarmed" } }
    let record = try XCTUnwrap(withheld.first { $0.result == "disarmed" })
    XCTAssertEqual([record.component, record.action, record.cause], ["merged", "tell", "alarm"])
    XCTAssertEqual(listener.take(), [])
    kill(pid, SIGCONT)
    try run.waitForEvents("merged works again") { $0.contains { $0.brief.hasPrefix("merged cleared") } }
    let back = try ask(run, "arm", "merged:tell", "--yes")
    XCTAssertEqual(back.ending, .exit(0), back.transcript)
    kill(pid, SIGSTOP)
    try run.waitForEvents("it is fired") { $0.contains { $0.action == "tell" && $0.result == "done" } }
    XCTAssertEqual(listener.take(), ["halt, now"])
    kill(pid, SIGCONT)
    XCTAssertEqual(
      try run.events().filter { $0.event == "requested" }.map { "\($0.component) \($0.reason ?? "")" },
      ["tell venue test", "tell "])
    run.process.signal(SIGTERM)
    let finished = try run.finish()
    finished.expect(finished.errors.contains("merged:tell is due (alarm), and not fired"), "it is in the log")
    finished.expectOrdered()
  }

  /// What a dry run shows is what is sent; a dry run sends nothing, and neither does what is refused.
  func testFiringByHandSendsWhatTheDryRunShows() throws {
    let venue = FIXVenue()
    defer { venue.close() }
    let listener = DatagramListener()
    let path = try topology(Self.tell(listener.port) + Self.cancel(venue.port))
    let run = try SetRun(
      ["--topology", path],
      settings: [
        #"stage.merged.on_alarm=["mark_stale", "cancel-all", "tell"]"#,
        #"stage.bookd.on_alarm=["mark_stale", "cancel-all"]"#,
      ])
    _ = try run.waitForStatus("a session") { status in
      status.stages.count == 5 && status.actions.contains { $0.name == "cancel-all" && $0.logons == 1 }
        && status.verdict == "LIVE"
    }
    let shown = try ask(run, "fire", "tell", "--dry-run", "--json")
    XCTAssertEqual(shown.ending, .exit(0), shown.transcript)
    XCTAssertTrue(shown.output.contains("68 61 6c 74 2c 20 6e 6f 77"), shown.output)
    let fields = try ask(run, "fire", "cancel-all", "--dry-run")
    XCTAssertEqual(fields.ending, .exit(0), fields.transcript)
    for part in ["would be done", "530   MassCancelRequestType 7", "1     Account", "ACCOUNT", "0000  38 3d"]
    {
      XCTAssertTrue(fields.output.contains(part), "\(part): \(fields.output)")
    }
    for (arguments, code, words) in [
      (["cancel-al", "--yes"], Int32(64), "did you mean `cancel-all`?"),
      (["cancel-all"], 64, "--yes is wanted"), (["cancel-all", "--yes", "--epoch", "9"], 1, "is at epoch 1"),
      (["mark_stale", "--yes"], 1, "which one? merged:mark_stale, bookd:mark_stale"),
    ] {
      let refused = try ProcessHandle.run("bulkhead", ["fire"] + arguments + ["--name", run.instance])
      XCTAssertEqual(refused.ending, .exit(code), refused.transcript)
      XCTAssertTrue(refused.errors.contains(words), refused.transcript)
    }
    XCTAssertEqual(listener.take(), [])
    XCTAssertEqual(venue.messages("q").count, 0)
    let told = try ask(run, "fire", "tell", "--yes")
    XCTAssertEqual(told.ending, .exit(0), told.transcript)
    XCTAssertTrue(told.output.contains("merged:tell: fired in"), told.transcript)
    XCTAssertEqual(listener.take(), ["halt, now"])
    let sent = try ask(run, "fire", "bookd:cancel-all", "--yes", "--reason", "by hand")
    XCTAssertEqual(sent.ending, .exit(0), sent.transcript)
    _ = try run.waitForStatus("the venue's word") { status in
      status.actions.contains {
        $0.name == "cancel-all" && $0.component == "bookd" && $0.outcome == "confirmed"
      }
    }
    XCTAssertEqual(venue.messages("q").map { $0.value("1") }, ["ACCOUNT"])
    XCTAssert(venue.messages.allSatisfy(\.isWellFormed), "\(venue.messages)")
    let fired = try run.events().filter { $0.event == "action" }
    XCTAssertEqual(
      fired.map { "\($0.component) \($0.action ?? "") \($0.cause ?? "") \($0.result ?? "")" },
      ["merged tell operator done", "bookd cancel-all operator done"])
    // By hand or not: for a failure it is fired all the same.
    XCTAssertEqual(try run.status()?.actions.first { $0.name == "tell" }?.readiness, "armed")
    run.process.signal(SIGTERM)
    XCTAssertEqual(try run.finish().ending, .exit(0))
  }

  /// A mark, and an end of the stream, by hand stand until they are taken back, also under another watchdogd.
  func testAMarkByHandStandsUntilItIsTakenBack() throws {
    let run = try SetRun([])
    let before = try run.waitForStatus("a live set") { $0.verdict == "LIVE" && $0.stages.count == 5 }
    let marked = try ask(run, "fire", "merged:mark_stale", "--yes")
    XCTAssertEqual(marked.ending, .exit(0), marked.transcript)
    let stale = try XCTUnwrap(run.status())
    XCTAssertEqual([stale.verdict, stale.trust.state], ["STALE", "stale"])
    XCTAssertTrue(stale.reason.contains("an operator marked the stream"), stale.reason)
    try run.crash("watchdogd", of: before)
    try run.waitForEvents("another watchdogd") { $0.filter { $0.event == "supervisor started" }.count == 2 }
    // It answers: so it has decided about every stage.
    _ = try waitUntil(seconds: 60, "an answer") { () -> ProcessHandle? in
      let asked = try ask(run, "arm", "merged:mark_stale", "--yes", "--dry-run")
      return asked.ending == .exit(0) ? asked : nil
    }
    usleep(100_000)
    XCTAssertEqual(try run.status()?.trust.state, "stale", "nobody has taken it back")
    let armed = try ask(run, "arm", "merged:mark_stale", "--yes")
    XCTAssertEqual(armed.ending, .exit(0), armed.transcript)
    _ = try run.waitForStatus("trust") { $0.trust.state == "live" && $0.verdict == "LIVE" }
    let halted = try ask(run, "fire", "merged:halt_stream", "--yes")
    XCTAssertEqual(halted.ending, .exit(0), halted.transcript)
    XCTAssertEqual(try run.status()?.trust.state, "halted")
    let back = try ask(run, "arm", "merged:halt_stream", "--yes")
    XCTAssertEqual(back.ending, .exit(0), back.transcript)
    _ = try run.waitForStatus("trust again") { $0.trust.state == "live" && $0.verdict == "LIVE" }
    run.process.signal(SIGTERM)
    XCTAssertEqual(try run.finish().ending, .exit(0))
  }
}
