import Foundation
import Glibc
import XCTest

/// What real processes leave behind when they die, each of another cause.
final class PostmortemTests: XCTestCase {
  private static let day = [
    "--generate", "200000", "--instruments", "200", "--seed", "5", "--rate", "60000", "--keep",
  ]

  /// A line of `bulkhead postmortem --json`.
  private struct Postmortem: Decodable {
    struct Ring: Decodable {
      let ring, role: String
      let position, published: UInt64
    }
    struct Signal: Decodable {
      let signal, code, sender: Int32
      let instruction: UInt64
    }
    struct Exit: Decodable {
      let code: Int32
      let reason: String
    }
    struct Step: Decodable {
      let instant: UInt64
      let words: String
    }
    let component, cause, causeText: String
    let epoch: UInt64
    let pid: pid_t
    let seenBySupervisor: Bool
    let began, died, lived, beatTime, appliedSequence: UInt64?
    let state: String?
    let rings: [Ring]?
    let signal: Signal?
    let exit: Exit?
    let doing: [String]?
    let steps: [Step]?
  }

  private func postmortem(_ run: SetRun, _ arguments: String...) throws -> [Postmortem] {
    let command = try ProcessHandle.run(
      "bulkhead", ["postmortem", "--json", "--name", run.instance] + arguments)
    return try command.output.split(separator: "\n").map {
      try JSONDecoder().decode(Postmortem.self, from: Data($0.utf8))
    }
  }

  private func start(_ settings: [String] = [], _ standIn: StandIn? = nil) throws -> (SetRun, SetStatus) {
    let run = try SetRun(Self.day, settings: settings, programsIn: standIn?.folder)
    return (run, try run.waitForMessages(10_000))
  }

  /// SIGKILL in the midst of the day: who did it, how far the stage was, and what it did last; still there when the set
  /// is not.
  func testAKilledStageIsToldInFull() throws {
    let (run, before) = try start()
    for name in ["bookd", "merged", "pubd", "rxd@a"] {
      let victim = try XCTUnwrap(before.stage(name))
      try run.crash(name, of: before)
      try run.waitForEvents("\(name) again") { events in
        events.filter { $0.brief == "\(name) ready" }.count == 2
      }
      let found = try XCTUnwrap(try postmortem(run, name).first)
      XCTAssertEqual(found.component, name)
      XCTAssertEqual([UInt64(found.pid), found.epoch], [UInt64(victim.pid), 1], name)
      XCTAssertEqual(found.causeText, "killed (SIGKILL)", name)
      XCTAssertEqual(found.state, "READY", name)
      XCTAssertTrue(found.seenBySupervisor, name)
      let died = try XCTUnwrap(found.died, name)
      XCTAssertGreaterThan(died, try XCTUnwrap(found.beatTime, name))
      let steps = try XCTUnwrap(found.steps, name)
      XCTAssertGreaterThan(steps.count, 4, name)
      XCTAssertTrue(steps.allSatisfy { $0.instant <= died && $0.instant >= found.began ?? .max }, name)
      XCTAssertFalse(try XCTUnwrap(found.rings, name).isEmpty)
      XCTAssertTrue(found.rings?.allSatisfy { $0.position <= $0.published } ?? false, "\(name): \(found)")
      if name != "rxd@a" { XCTAssertGreaterThan(found.appliedSequence ?? 0, 10_000, name) }
    }
    let finished = try run.finish()
    finished.expectCorrect()
    // The set is dead: the first incarnations are told as before, the last ones ended as they were asked.
    let first = try XCTUnwrap(try postmortem(run, "bookd", "--epoch", "1").first)
    XCTAssertEqual(first.causeText, "killed (SIGKILL)")
    let last = try postmortem(run)
    XCTAssertEqual(
      Set(last.map(\.component)), ["rxd@a", "rxd@b", "merged", "bookd", "pubd", "watchdogd"])
    XCTAssertEqual(Set(last.map(\.cause)), ["requested"], "\(last)")
  }

  /// A trap, and the same signal from somebody else.
  func testATrapIsToldFromASentSignal() throws {
    let standIn = try StandIn("2:trap")
    let (run, before) = try start([], standIn)
    let pid = try XCTUnwrap(before.stage("bookd")?.pid)
    kill(pid, SIGILL)
    try run.waitForEvents("a third bookd") { events in
      events.filter { $0.brief == "bookd ready" }.count >= 2
        && events.filter { $0.brief == "bookd died" }.count == 2
    }
    let sent = try XCTUnwrap(try postmortem(run, "bookd", "--epoch", "1").first)
    XCTAssertEqual(sent.causeText, "ended by signal 4")
    XCTAssertEqual(sent.signal?.sender, getpid())
    let trap = try XCTUnwrap(try postmortem(run, "bookd", "--epoch", "2").first)
    XCTAssertEqual(trap.cause, "trap", "\(trap)")
    XCTAssertEqual(trap.signal?.code ?? 0 > 0, true, "\(trap)")
    XCTAssertNotEqual(trap.signal?.instruction, 0)
    XCTAssertEqual(trap.doing, ["applying messages from sequence 4242 on"])
    try run.finish().expectCorrect()
  }

  /// Our own fence, a wrong configuration, and a reason that the process gave.
  func testAFenceAndAConfigurationAreToldApart() throws {
    let ladder = ["mark=100ms", "alarm=300ms", "fence=1s"].map { "stage.bookd.ladder.\($0)" }
    let standIn = try StandIn("2:livelock,3:exit=78")
    let (run, before) = try start(ladder, standIn)
    try run.crash("bookd", of: before)
    try run.waitForEvents("bookd is left down") { $0.contains { $0.brief == "bookd left down" } }
    let fenced = try XCTUnwrap(try postmortem(run, "bookd", "--epoch", "2").first)
    XCTAssertEqual(fenced.causeText, "ended by our own fence (SIGKILL)")
    XCTAssertEqual(
      try run.events().filter { $0.event == "died" && $0.component == "bookd" }.map(\.cause),
      [
        "killed (SIGKILL)", "ended by our own fence (SIGKILL)", "ended with code 78: permanent, not retried",
      ])
    run.process.signal(SIGTERM)
    _ = try run.finish()
  }
}
