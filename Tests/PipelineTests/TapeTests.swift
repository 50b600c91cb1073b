import Foundation
import Glibc
import XCTest

/// What is on the tape is what was on the merged ring, whoever dies and whatever the disk does; and the stream does not
/// notice.
final class TapeTests: XCTestCase {
  private static let day = [
    "--generate", "300000", "--instruments", "500", "--seed", "31", "--rate", "120000", "--keep",
  ]
  private static let noise = ["--impair", "A:loss=2%,dup=1%,reorder=2%;B:loss=2%,reorder=2%"]

  private struct SnapshotTold: Decodable {
    let throughSequence: UInt64
  }

  /// A directory for tapes that is gone after the test.
  private final class TapeFolder {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent(
      "bulkhead-tape-\(UUID().uuidString)"
    ).path
    init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(atPath: path) }

    var settings: [String] { ["tape.enabled=true", "tape.directory=\(path)", "tape.segment=2MiB"] }
  }

  private struct Verification: Decodable {
    struct Hole: Decodable, Equatable {
      let first, last: UInt64
      let reason: String
    }
    struct Damage: Decodable {
      let text: String
    }
    struct Snapshot: Decodable {
      let nextSequence: UInt64
      let bookDigest: String?
      let problem: String?
    }
    let snapshots: [Snapshot]
    let whole: Bool
    let records, messages, segments, nextSequence: UInt64
    let end: String
    let holes: [Hole]
    let damage: [Damage]
    let streamDigest, bookDigest: String?
  }

  private func verify(_ folder: String, _ run: SetRun) throws -> Verification {
    let command = try ProcessHandle.run(
      "bulkhead", ["tape", "verify", folder, "--name", run.instance, "--json", "--digest"])
    let verification = try JSONDecoder().decode(Verification.self, from: Data(command.output.utf8))
    XCTAssertEqual(command.ending, .exit(verification.whole ? 0 : 1), command.transcript)
    return verification
  }

  /// The whole tape in two processes each: the same digests, which are the live set's, and the same bytes in every format (D-41).
  func testTwoProcessesMakeTheSameOfIt() throws {
    let folder = try TapeFolder()
    let run = try SetRun(
      ["--generate", "60000", "--instruments", "300", "--seed", "44", "--keep"] + Self.noise,
      settings: folder.settings)
    let finished = try run.finish()
    finished.expectCorrect()
    for _ in 1...2 {
      let verified = try verify(folder.path, run)
      XCTAssertEqual(verified.streamDigest, finished.report.streamDigest)
      XCTAssertEqual(verified.bookDigest, finished.report.bookDigest)
    }
    for (format, bytes) in [("jsonl", 6_000_000), ("csv", 4_000_000), ("dbn", 3_000_000)] {
      var exports: [String] = []
      for _ in 1...2 {
        let path = "\(folder.path)/\(exports.count).\(format)"
        let words = [
          Binaries.path("bulkhead"), "tape", "export", folder.path, "--name", run.instance, "--format",
          format,
        ]
        let command = try ProcessHandle(["/bin/sh", "-c", words.joined(separator: " ") + " > \(path)"])
        XCTAssertEqual(try command.waitForEnd(), .exit(0), command.transcript)
        exports.append(path)
      }
      let first = try Data(contentsOf: URL(fileURLWithPath: exports[0]))
      XCTAssertGreaterThan(first.count, bytes, format)
      XCTAssertTrue(first == (try Data(contentsOf: URL(fileURLWithPath: exports[1]))), "\(format) differs")
    }
  }

  // MARK: Books from the tape

  /// A book stage that dies when the merged ring no longer reaches back to the first message goes on from a snapshot and the
  /// tape: nothing is stale, nothing is lost, and the digests are those of an undisturbed day (D-03, D-07's first half).
  func testABookBeyondTheRingsIsRebuiltFromSnapshotAndTape() throws {
    let folder = try TapeFolder()
    // As fast as the recorder records, so that the ring never is too short for it; and no snapshot but the one.
    let run = try SetRun(
      Self.day + Self.noise + ["--window", "2048", "--wait-for", "taped"],
      settings: folder.settings + ["ring.merged.cells=16384", "tape.snapshot_interval=3600s"])
    _ = try run.waitForMessages(5_000)
    let venue = try XCTUnwrap(ProcessTable.venue(sendingTo: run.place.groupA))
    // The day does not go on while this one looks and waits, however long that takes.
    var through: UInt64 = 0
    try whileStopped(venue) {
      let asked = try ProcessHandle.run("bulkhead", ["snapshot", "--json", "--name", run.instance])
      XCTAssertEqual(asked.ending, .exit(0), asked.transcript)
      through = try JSONDecoder().decode(SnapshotTold.self, from: Data(asked.output.utf8)).throughSequence
    }
    for _ in 0..<3 {
      // More than the ring holds lies behind the snapshot.
      let before = try run.waitForMessages(through + 20_000)
      try run.crash("bookd", of: before)
      let old = before.stage("bookd")?.epoch ?? 0
      try whileStopped(venue) {
        _ = try run.waitForStatus("a successor of bookd") { status in
          status.stage("bookd").map { $0.epoch > old && $0.alive && $0.state == "READY" } ?? false
        }
      }
    }
    let finished = try run.finish()
    finished.expectCorrect()
    finished.expect(finished.report.restarts["bookd"], 3, "restarts")
    let words = finished.errors.split(separator: "\n").filter { $0.hasPrefix("bookd: books of sequence ") }
    finished.expect(words.count, 3, "snapshots that were used")
    finished.expect(finished.errors.contains("could not be rebuilt"), false, "state that was lost")
  }

  /// A publisher whose ring no longer reaches back to the first event has its books from the tape, joined to the ring behind the very
  /// event that they end with: its replica is whole again, equal to bookd's at the day's end.
  func testAPublisherBeyondItsRingHasItsBooksFromTheTape() throws {
    let folder = try TapeFolder()
    let run = try SetRun(
      Self.day + Self.noise + ["--window", "2048", "--wait-for", "taped"],
      settings: folder.settings + ["ring.book.cells=65536", "tape.snapshot_interval=500ms"])
    for messages in [80_000, 160_000] as [UInt64] {
      let before = try run.waitForMessages(messages)
      try run.crash("pubd", of: before)
      let old = before.stage("pubd")?.epoch ?? 0
      _ = try run.waitForStatus("a successor of pubd") { status in
        status.stage("pubd").map { $0.epoch > old && $0.alive && $0.state == "READY" } ?? false
      }
    }
    let finished = try run.finish()
    finished.expectCorrect()
    finished.expect(finished.report.restarts["pubd"], 2, "restarts")
    expectBooksFromTheTape(finished, 2)
  }

  /// So has one that the ring has passed by while it stood still: whoever reads what it publishes is told, and it does not have to die.
  func testAPublisherThatTheRingPassedByHasItsBooksFromTheTape() throws {
    let folder = try TapeFolder()
    let run = try SetRun(
      Self.day + ["--window", "2048", "--wait-for", "taped"],
      settings: folder.settings + ["ring.book.cells=131072"])
    let before = try run.waitForMessages(80_000)
    try whileStopped(try XCTUnwrap(before.stage("pubd")?.pid)) {
      _ = try run.waitForMessages(before.messagesApplied + 120_000)
    }
    let finished = try run.finish()
    finished.expect(finished.report.reasons, ["1 ring laps"], "reasons")
    finished.expect(finished.report.replicaMismatches, 0, "events that pubd's replica refused")
    finished.expect(finished.report.publishBookDigest, finished.report.bookDigest, "pubd's digest")
    finished.expect(finished.report.restarts["pubd"], 0, "restarts")
    expectBooksFromTheTape(finished, 1)
  }

  private func expectBooksFromTheTape(
    _ finished: FinishedRun, _ times: Int, file: StaticString = #filePath, line: UInt = #line
  ) {
    let words = finished.errors.split(separator: "\n").filter {
      $0.hasPrefix("pubd: the books are those behind sequence ") && $0.hasSuffix(", from the tape")
    }
    finished.expect(words.count, times, "times that books were had from the tape", file: file, line: line)
    finished.expect(
      finished.errors.contains("snapshots are refused"), false, "a replica that was given up", file: file,
      line: line)
  }

  private func whileStopped(_ process: pid_t, _ body: () throws -> Void) throws {
    XCTAssertEqual(kill(process, SIGSTOP), 0)
    defer { kill(process, SIGCONT) }
    try body()
  }

  /// No snapshot is right: the books are made from the whole tape, and are exact.
  func testDamagedSnapshotsAreNotUsed() throws {
    try damageSnapshots([]) { run, before in
      let old = try XCTUnwrap(before.stage("bookd")?.epoch)
      let after = try run.waitForStatus("a successor") { status in
        status.stage("bookd").map { $0.epoch > old && $0.alive && $0.state == "READY" } ?? false
      }
      XCTAssertEqual(after.staleInstruments, 0)
    } judge: { finished, refused, damaged in
      finished.expect(refused, damaged, "snapshots that were refused by name")
      finished.expect(finished.report.restartGaps.count, 0, "ranges whose state was lost")
      finished.expect(finished.report.bookDigest, finished.report.expected?.bookDigest, "the books")
    }
  }

  /// Nor does the tape begin with the session any more: what could not be rebuilt is declared.
  func testDamagedSnapshotsAndATapeWithoutItsBeginning() throws {
    try damageSnapshots(["tape.segment=1MiB", "tape.retention=2MiB", "tape.retention_segments=2"]) { run, _ in
      let after = try run.waitForStatus("stale books") { $0.staleInstruments > 0 }
      XCTAssertEqual(after.verdict, "STALE")
    } judge: { finished, _, _ in
      finished.expect(finished.report.verdict, "incomplete", "verdict")
      finished.expect(finished.report.restartGaps.count, 1, "ranges whose state was lost")
    }
  }

  /// Kills bookd while all snapshots that there are have a byte changed in the middle.
  private func damageSnapshots(
    _ settings: [String], observe: (SetRun, SetStatus) throws -> Void,
    judge: (_ finished: FinishedRun, _ refused: Int, _ damaged: Int) throws -> Void
  ) throws {
    let folder = try TapeFolder()
    let run = try SetRun(
      Self.day + ["--window", "2048"],
      settings: folder.settings + [
        "ring.merged.cells=16384", "tape.snapshot_interval=200ms", "tape.snapshots_kept=1000",
      ] + settings)
    let directory = "\(folder.path)/\(run.instance)"
    func snapshots() -> [String] {
      let files = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
      // Beside them lies what the recorder is about to write.
      return files.filter { $0.hasPrefix("book-") && $0.hasSuffix(".image") }
    }
    // The thread that makes them has the lowest priority.
    let before = try run.waitForStatus("a snapshot") { $0.messagesApplied > 100_000 && !snapshots().isEmpty }
    // No more of them: the recorder stands still meanwhile.
    let recorder = try XCTUnwrap(before.stage("taped")?.pid)
    kill(recorder, SIGSTOP)
    defer { kill(recorder, SIGCONT) }
    // A successor looks at none of what bookd has not come to, so bookd comes to all of it first.
    let images = snapshots()
    let newest = try XCTUnwrap(images.compactMap { $0.split(separator: "-").last?.prefix(20) }.max())
    _ = try run.waitForMessages(try XCTUnwrap(UInt64(newest)))
    var damaged = 0
    for name in images {
      let url = URL(fileURLWithPath: "\(directory)/\(name)")
      var bytes = try Data(contentsOf: url)
      bytes[bytes.count / 2] ^= 0x10
      try bytes.write(to: url)
      damaged += 1
    }
    XCTAssertGreaterThan(damaged, 0)
    try run.crash("bookd", of: before)
    try observe(run, before)
    kill(recorder, SIGCONT)
    let finished = try run.finish()
    let refused = finished.errors.split(separator: "\n").filter { $0.contains(".image is not used: ") }
    finished.expect(finished.report.identityViolations, 0, "identity violations")
    try judge(finished, refused.count, damaged)
  }

  /// What a shell command prints.
  private func shell(_ text: String) throws -> String {
    let process = try ProcessHandle(["/bin/sh", "-c", text])
    try process.waitForEnd()
    XCTAssertEqual(process.ending, .exit(0), process.transcript)
    return process.output
  }

  /// The records on the tape are, byte for byte, those that the ring still holds, which is all of them.
  private func expectTheRing(
    _ folder: String, _ run: SetRun, _ remark: String, file: StaticString = #filePath, line: UInt = #line
  ) throws {
    let program = Binaries.path("bulkhead")
    // Without the place in the ring and on the tape.
    let ring = try shell("\(program) tap merged --name \(run.instance) --hex | cut -d' ' -f2- | sha256sum")
    let tape = try shell(
      "\(program) tape cat \(folder) --name \(run.instance) --hex | cut -d' ' -f2- | sha256sum")
    XCTAssertEqual(tape, ring, "tape and ring, \(remark)", file: file, line: line)
  }

  /// The recorder's own books have been compared with bookd's, and the last snapshot is of the end of the day.
  private func expectTheShadow(
    _ found: Verification, _ finished: FinishedRun, file: StaticString = #filePath, line: UInt = #line
  ) {
    let report = finished.report
    finished.expect(report.shadowBooksDiffer, 0, "books that differ", file: file, line: line)
    finished.expect(
      found.snapshots.compactMap(\.problem), [], "problems of snapshots", file: file, line: line)
    // Of low priority: on a machine that is short of time it need not come to the end, but says so.
    if finished.errors.contains("taped: own books came to sequence") { return }
    finished.expect((report.shadowProbesCompared ?? 0) > 0, "probes compared", file: file, line: line)
    let last = found.snapshots.last
    finished.expect(
      last?.nextSequence, report.messagesSent + 1, "the last snapshot's place", file: file, line: line)
    finished.expect(last?.bookDigest, report.bookDigest, "the last snapshot's books", file: file, line: line)
  }

  /// Gaps included, and the tape plays into the same events and books.
  func testTheTapeIsTheStream() throws {
    let folder = try TapeFolder()
    let run = try SetRun(Self.day + Self.noise + ["--retransmission", "off"], settings: folder.settings)
    let finished = try run.finish()
    XCTAssertGreaterThan(finished.report.gaps.count, 3, "a day with gaps")
    let found = try verify(folder.path, run)
    XCTAssertTrue(found.whole, "\(found)")
    XCTAssertGreaterThan(found.segments, 5)
    XCTAssertEqual(found.messages, finished.report.messagesApplied)
    XCTAssertEqual(found.streamDigest, finished.report.streamDigest)
    XCTAssertEqual(found.bookDigest, finished.report.bookDigest)
    XCTAssertEqual(finished.report.tapeDurableSequence, finished.report.messagesSent)
    XCTAssertEqual(found.end, "closed (recorder ended)")
    expectTheShadow(found, finished)
    try expectTheRing(folder.path, run, finished.transcript)
    // Two exports, in two processes.
    let program = Binaries.path("bulkhead")
    for format in ["jsonl", "csv"] {
      let export = "\(program) tape export \(folder.path) --format \(format) | sha256sum"
      XCTAssertEqual(try shell(export), try shell(export), format)
    }
  }

  /// Killed as fast as it comes back, at any instruction: nothing twice, nothing missing, no hole.
  func testTheRecorderIsKilledAgainAndAgain() throws {
    let folder = try TapeFolder()
    let limit = ["stage.taped.restart_limit=1000", "tape.snapshot_interval=50ms"]
    let run = try SetRun(Self.day, settings: folder.settings + limit)
    var status = try run.waitForMessages(10_000)
    var random = SeededBytes(seed: 77)
    var deaths = 0
    while status.messagesApplied < 280_000, run.process.pollEnding() == nil {
      if let stage = status.stage("taped"), stage.alive, kill(stage.pid, SIGKILL) == 0 { deaths += 1 }
      usleep(UInt32(random.next() % 25_000))
      status = try run.status() ?? status
    }
    let finished = try run.finish()
    finished.expectCorrect()
    finished.expect(deaths >= 20, "deaths: \(deaths)")
    finished.expect(finished.report.tapeHoles, 0, "holes")
    let found = try verify(folder.path, run)
    XCTAssertTrue(found.whole, "\(found)\(finished.transcript)")
    XCTAssertEqual(found.streamDigest, finished.report.streamDigest)
    expectTheShadow(found, finished)
    try expectTheRing(folder.path, run, "\(deaths) deaths\(finished.transcript)")
    let cuts = finished.errors.components(separatedBy: "bytes of a record that was being written").count - 1
    print("\(deaths) deaths of taped, \(cuts) records cut off half written")
  }

  /// The recorder and the stage in front of it, amid loss.
  func testTheRecorderAndMergeAreKilled() throws {
    let folder = try TapeFolder()
    let limits = ["stage.taped.restart_limit=1000", "stage.merged.restart_limit=1000"]
    let run = try SetRun(Self.day + Self.noise, settings: folder.settings + limits)
    var status = try run.waitForMessages(10_000)
    var random = SeededBytes(seed: 78)
    while status.messagesApplied < 250_000, run.process.pollEnding() == nil {
      let victim = status.stage(random.next() % 2 == 0 ? "taped" : "merged")
      if let victim, victim.alive { kill(victim.pid, SIGKILL) }
      usleep(UInt32(random.next() % 50_000))
      status = try run.status() ?? status
    }
    let finished = try run.finish()
    finished.expectCorrect()
    XCTAssertTrue(try verify(folder.path, run).whole, finished.transcript)
    try expectTheRing(folder.path, run, finished.transcript)
  }

  // MARK: Trouble with the disk

  /// A run whose tape lies on a file system of 4 MiB, in a mount namespace of its own, with most of it taken.
  private func runOnASmallDisk(_ folder: TapeFolder, _ settings: [String]) throws -> SetRun {
    try XCTSkipUnless(geteuid() == 0, "mounting needs root")
    let probe = try ProcessHandle([
      "/usr/bin/unshare", "-m", "/bin/mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder.path,
    ])
    guard try probe.waitForEnd() == .exit(0) else {
      throw XCTSkip("no mount namespaces here\(probe.transcript)")
    }
    // What is on it in the end is copied out of the namespace.
    let script = """
      mount -t tmpfs -o size=4m tmpfs \(folder.path) && head -c 3000000 /dev/zero > \(folder.path)/filler || exit 99
      "$@"; code=$?
      mkdir \(folder.path).kept && cp -r \(folder.path)/. \(folder.path).kept/; exit $code
      """
    return try SetRun(
      Self.day, settings: folder.settings + ["tape.segment=1MiB", "tape.retention=1GiB"] + settings,
      wrapper: ["/usr/bin/unshare", "-m", "/bin/sh", "-c", script, "sh"])
  }

  /// Removes what takes the room, in the namespace of the run.
  private func makeRoom(_ folder: TapeFolder, _ run: SetRun, bytes: Int) throws {
    let watchdog = try XCTUnwrap(run.status()).watchdogd.pid
    let root = "/proc/\(watchdog)/root\(folder.path)"
    // A file system that is larger, as an operator would make it.
    let enter = "nsenter -t \(watchdog) -m mount -o remount,size=\(bytes) \(folder.path)"
    _ = try shell("\(enter) && rm -f \(root)/filler")
  }

  /// A full disk: the stream goes on as if nothing were, and the set says what is not recorded. Room again: the ring held
  /// everything meanwhile, so nothing is missing.
  func testAFullDiskThatIsMadeLarger() throws {
    let folder = try TapeFolder()
    let run = try runOnASmallDisk(folder, [])
    defer { try? FileManager.default.removeItem(atPath: folder.path + ".kept") }
    let troubled = try run.waitForStatus("an unjournaled set") {
      $0.tapeUnjournaled == 1 && $0.messagesApplied > 60_000
    }
    XCTAssertEqual(troubled.verdict, "DEGRADED")
    XCTAssertTrue(troubled.reason.contains("UNJOURNALED"), troubled.reason)
    XCTAssertTrue(troubled.reason.contains("No space left on device"), troubled.reason)
    let from = try XCTUnwrap(troubled.tapeUnjournaledFrom)
    XCTAssertEqual(from, try XCTUnwrap(troubled.tapeDurableSequence) + 1, "the first number at risk")
    XCTAssertGreaterThan(try XCTUnwrap(troubled.tapeUnjournaledThrough), from)
    try makeRoom(folder, run, bytes: 64 << 20)
    let finished = try run.finish()
    finished.expectCorrect()
    finished.expect(finished.report.tapeUnjournaledEpisodes, 1, "episodes")
    finished.expect(finished.report.tapeHoles, 0, "holes")
    finished.expect(finished.errors.contains("journaled again"), "the end of it is told")
    XCTAssertTrue(try verify(folder.path + ".kept", run).whole, finished.transcript)
    try expectTheRing(folder.path + ".kept", run, finished.transcript)
  }

  /// A disk that stays full: the run's own result is as good as without a tape, and says what the tape lacks; what was called
  /// durable is there.
  func testAFullDiskThatStaysFull() throws {
    let folder = try TapeFolder()
    // Waiting for a disk is not hanging, however long it takes.
    let ladder = "stage.taped.ladder={ mark = \"100ms\", alarm = \"500ms\", fence = \"1s\" }"
    let run = try runOnASmallDisk(folder, [ladder])
    defer { try? FileManager.default.removeItem(atPath: folder.path + ".kept") }
    let finished = try run.finish()
    finished.expect(finished.report.restarts["taped"], 0, "restarts of the recorder")
    finished.expect(finished.report.verdict, "incomplete", "verdict")
    finished.expect(finished.report.messagesApplied, finished.report.messagesSent, "messages applied")
    finished.expectOrdered()
    finished.expectDigests()
    let durable = try XCTUnwrap(finished.report.tapeDurableSequence)
    finished.expect(
      finished.report.reasons, ["sequences \(durable + 1)...300000 are not safe on the tape"], "reasons")
    let found = try verify(folder.path + ".kept", run)
    XCTAssertTrue(found.whole, "\(found)")
    XCTAssertGreaterThanOrEqual(found.nextSequence - 1, durable)
  }

  /// The ring overwrites what the full disk keeps from being recorded: a hole with its exact range, and everything around it.
  func testAHoleAfterAFullDisk() throws {
    let folder = try TapeFolder()
    let run = try runOnASmallDisk(folder, ["ring.merged.cells=32768"])
    defer { try? FileManager.default.removeItem(atPath: folder.path + ".kept") }
    _ = try run.waitForStatus("an unjournaled set") {
      $0.tapeUnjournaled == 1 && $0.messagesApplied > 120_000
    }
    try makeRoom(folder, run, bytes: 64 << 20)
    let finished = try run.finish()
    finished.expect(finished.report.verdict, "incomplete", "verdict")
    finished.expect(finished.report.messagesApplied, finished.report.messagesSent, "messages applied")
    finished.expectDigests()
    let found = try verify(folder.path + ".kept", run)
    XCTAssertEqual(found.damage.count, 0)
    XCTAssertEqual(found.holes.count, 1, "\(found.holes)\(finished.transcript)")
    let hole = try XCTUnwrap(found.holes.first)
    XCTAssertEqual(hole.reason, "disk trouble")
    // What is there and what is said to be missing are, together, the day.
    XCTAssertEqual(found.messages + hole.last - hole.first + 1, finished.report.messagesSent)
    XCTAssertEqual(found.nextSequence, finished.report.messagesSent + 1)
    finished.expect(finished.report.tapeMessagesInHoles, hole.last - hole.first + 1, "messages in holes")
  }

  /// The other policy: the set stops, in order, and says why.
  func testAFullDiskThatHaltsTheSet() throws {
    let folder = try TapeFolder()
    let run = try runOnASmallDisk(folder, ["tape.on_trouble=halt"])
    defer { try? FileManager.default.removeItem(atPath: folder.path + ".kept") }
    let finished = try run.finish()
    finished.expect(finished.ending != .exit(0), "exit code")
    finished.expect(finished.errors.contains("UNJOURNALED from sequence"), "the recorder's words")
    finished.expect(
      finished.errors.contains("stopping the set, as tape.on_trouble says"), "watchdogd's words")
    finished.expect(finished.report.messagesApplied < finished.report.messagesSent, "the stream stopped")
    let found = try verify(folder.path + ".kept", run)
    XCTAssertTrue(found.whole, "\(found)")
  }
}
