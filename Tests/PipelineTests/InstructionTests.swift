import Foundation
import XCTest

/// What operators want of a running component: a snapshot, another level of its log.
final class InstructionTests: XCTestCase {
  private struct Snapshot: Decodable {
    let throughSequence, bytes: UInt64
    let bookDigest: String
    let verified: Bool
  }
  private struct Tape: Decodable {
    struct Image: Decodable {
      let nextSequence: UInt64
      let bookDigest: String?
      let problem: String?
    }
    let snapshots: [Image]
  }

  private func ask(_ run: SetRun, _ arguments: String...) throws -> ProcessHandle {
    try ProcessHandle.run("bulkhead", arguments + ["--name", run.instance])
  }

  /// The snapshot that was asked for lies on the disk, with the digest that was told; twice, since one may be luck.
  func testASnapshotIsWrittenWhenItIsAskedFor() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "snapshots-\(UUID().uuidString)"
    ).path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let run = try SetRun(
      ["--generate", "4000000", "--instruments", "200", "--seed", "45", "--rate", "20000"],
      settings: ["tape.enabled=true", "tape.directory=\(folder)", "tape.snapshot_interval=3600s"])
    _ = try run.waitForMessages(2_000)
    var told: [Snapshot] = []
    let dry = try ask(run, "snapshot", "--dry-run")
    XCTAssertEqual(dry.ending, .exit(0), dry.transcript)
    XCTAssertTrue(dry.output.hasPrefix("would be done: "), dry.transcript)
    for _ in 0..<2 {
      let done = try ask(run, "snapshot", "--json", "--reason", "before the upgrade")
      XCTAssertEqual(done.ending, .exit(0), done.transcript)
      told.append(try JSONDecoder().decode(Snapshot.self, from: Data(done.output.utf8)))
      try ReportSchemaTests.validate([done.output.trimmingCharacters(in: .newlines)])
    }
    let text = try ask(run, "snapshot")
    XCTAssertEqual(text.ending, .exit(0), text.transcript)
    XCTAssertTrue(text.output.contains("verified"), text.transcript)
    let listed = try ProcessHandle.run("bulkhead", ["tape", "ls", "\(folder)/\(run.instance)", "--json"])
    let images = try JSONDecoder().decode(Tape.self, from: Data(listed.output.utf8)).snapshots
    for snapshot in told {
      XCTAssertTrue(snapshot.verified)
      let image = try XCTUnwrap(
        images.first { $0.nextSequence == snapshot.throughSequence + 1 }, listed.transcript)
      XCTAssertNil(image.problem)
      XCTAssertEqual(image.bookDigest, snapshot.bookDigest)
    }
    XCTAssertGreaterThan(told[1].throughSequence, told[0].throughSequence, "not the old one again")
    let asked = try run.events().filter { $0.event == "requested" }
    XCTAssertEqual(asked.map(\.component), ["taped", "taped", "taped"], "the dry run is not written down")
    XCTAssertEqual(asked.first?.reason, "before the upgrade")
    run.process.signal(SIGTERM)
    let finished = try run.finish()
    finished.expect(!finished.errors.contains("sandbox does not allow"), "no call is refused")
  }

  func testALevelCountsFromTheNextLineAndIsShown() throws {
    let run = try SetRun([])
    let before = try run.waitForStatus("a live set") { $0.verdict == "LIVE" && $0.stages.count == 5 }
    let none = try ask(run, "snapshot")
    XCTAssertEqual(none.ending, .exit(3), none.transcript)
    XCTAssertTrue(none.errors.contains("no recorder"), none.transcript)
    let unknown = try ask(run, "loglevel", "boodk", "debug")
    XCTAssertEqual(unknown.ending, .exit(64), unknown.transcript)
    XCTAssertTrue(unknown.errors.contains("did you mean `bookd`?"), unknown.transcript)
    let stale = try ask(run, "loglevel", "bookd", "debug", "--epoch", "9")
    XCTAssertEqual(stale.ending, .exit(1), stale.transcript)
    let done = try ask(run, "loglevel", "bookd", "debug", "--reason", "a look")
    XCTAssertEqual(done.ending, .exit(0), done.transcript)
    for component in ["pubd", "watchdogd"] {
      let done = try ask(run, "loglevel", component, "error", "--for", "600")
      XCTAssertEqual(done.ending, .exit(0), done.transcript)
      XCTAssertTrue(done.output.contains("error for 600 s"), done.transcript)
    }
    // It outlives the incarnation that it was asked of.
    try run.crash("bookd", of: before)
    _ = try run.waitForStatus("another bookd") { $0.verdict == "LIVE" && $0.stage("bookd")?.epoch == 2 }
    let shown = try ask(run, "ps", "--json")
    XCTAssertEqual(
      shown.output.components(separatedBy: "\"logLevel\":\"debug\"").count - 1, 1, shown.transcript)
    XCTAssertEqual(
      shown.output.components(separatedBy: "\"logLevel\":\"error\"").count - 1, 2, shown.transcript)
    let asked = try run.events().filter { $0.event == "requested" }
    XCTAssertEqual(asked.map(\.component), ["bookd", "bookd", "pubd", "watchdogd"], "the refused one, too")
    XCTAssertEqual(try ask(run, "loglevel", "watchdogd", "usual").ending, .exit(0))
    run.process.signal(SIGTERM)
    let finished = try run.finish()
    finished.expect(finished.errors.contains("state DRAINED"), "bookd tells its states")
    finished.expect(finished.errors.contains("watchdogd: stopped"), "watchdogd says what it says, again")
    finished.expect(
      !finished.errors.contains("restarted as process"), "a death is a warning, and was not wanted")
    finished.expect(finished.errors.contains("asks: loglevel pubd"), "requests are written in any case")
  }
}
