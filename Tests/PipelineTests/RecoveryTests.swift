import FeedSim
import Foundation
import Glibc
import XCTest

/// Instruments that the venue's own messages or a full table put into quarantine come back by an image beside the stream, which
/// goes on; at the end every book is that of the day.
final class RecoveryTests: XCTestCase {
  private static let messages = 120_000
  private static let instruments = 60
  private static let policy = [
    "capacity.on_error=quarantine", "channel.snapshot.enabled=true",
    "channel.snapshot.recovery_interval=20ms",
  ]

  /// A day in which an order is deleted that nobody has, of five instruments, every so often.
  private func day(in folder: URL) throws -> String {
    let store = try MessageStore(
      generating: DayGenerator(
        DayConfiguration(seed: 21, messages: UInt64(Self.messages), instruments: Self.instruments)))
    var bytes: [UInt8] = []
    for index in 0..<store.count {
      let message = store.message(at: index)
      bytes += [UInt8(message.count >> 8), UInt8(message.count & 255)] + message
      if index >= 20_000, index <= 60_000, index % 8_000 == 0 {
        let locate = UInt8(1 + index / 8_000 % 5)
        bytes += [0, 19, 0x44, 0, locate, 0, 0] + [UInt8](repeating: 0, count: 6)
        bytes += [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, locate]
      }
    }
    let file = folder.appendingPathComponent("day.itch")
    try Data(bytes).write(to: file)
    return file.path
  }

  private func makeFolder() throws -> URL {
    try Binaries.require()
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "bulkhead-recovery-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    addTeardownBlock { try? FileManager.default.removeItem(at: folder) }
    return folder
  }

  private func tape(_ folder: URL) -> [String] {
    [
      "tape.enabled=true", "tape.directory=\(folder.path)", "tape.segment=2MiB",
      "tape.snapshot_interval=200ms",
    ]
  }

  /// What a run with recoveries has to come to: every book is that of the day, nothing is stale, and nothing differs on the tape.
  private func expectHealed(
    _ run: FinishedRun, _ digest: String, file: StaticString = #filePath, line: UInt = #line
  ) {
    run.expectCorrect(file: file, line: line)
    run.expect(run.report.staleInstruments, 0, "stale instruments at the end", file: file, line: line)
    run.expect(run.report.bookDigest, digest, "the books of the day", file: file, line: line)
    run.expect(run.report.publishBookDigest, digest, "pubd's books", file: file, line: line)
    run.expect(run.report.shadowBooksDiffer, 0, "books that differ from the tape's", file: file, line: line)
    run.expect(
      (run.report.venue?.services?.glimpse?.images ?? 0) > 0, "images were fetched", file: file, line: line)
  }

  /// The books of the day, from a run that keeps every book and marks it.
  private func wholeDay(_ file: String) throws -> String {
    let whole = try SetRun(["--replay", file]).finish()
    whole.expectCorrect()
    whole.expect(whole.report.staleInstruments, 5, "without a recovery they stay stale")
    return whole.report.bookDigest
  }

  /// The quarantine begins and ends, as status says; the stream goes on, and the tape of it is whole.
  func testWrongMessagesCostAnInstrumentItsBookForAWhile() throws {
    let folder = try makeFolder()
    let file = try day(in: folder)
    let digest = try wholeDay(file)
    // The first image takes a while: long enough to be seen.
    let set = try SetRun(
      ["--replay", file, "--rate", "20000", "--fault", "glimpse:stall=5x1500ms,times=1", "--keep"],
      settings: Self.policy + tape(folder) + ["channel.snapshot.timeout=10s"])
    _ = try set.waitForStatus("an instrument is in quarantine") { $0.quarantinedInstruments > 0 }
    _ = try set.waitForStatus("none is") { $0.quarantinedInstruments == 0 && $0.recoveriesMade > 0 }
    let run = try set.finish()
    expectHealed(run, digest)
    run.expect(run.report.rejects, 5, "wrong messages")
    let verification = try ProcessHandle.run(
      "bulkhead", ["tape", "verify", folder.path, "--name", set.instance])
    XCTAssertEqual(verification.ending, .exit(0), verification.transcript)
  }

  /// merged and bookd die while instruments are in quarantine and books on their way.
  func testDeathsWhileABookIsOnItsWay() throws {
    let folder = try makeFolder()
    let file = try day(in: folder)
    let digest = try wholeDay(file)
    let set = try SetRun(
      ["--replay", file, "--rate", "15000", "--fault", "glimpse:stall=5x400ms,times=6"],
      settings: Self.policy + tape(folder) + [
        "stage.merged.restart_limit=30", "stage.bookd.restart_limit=30", "channel.snapshot.timeout=10s",
      ])
    for victim in ["merged", "bookd", "merged", "bookd"] {
      let before = try set.waitForStatus("an instrument is in quarantine") {
        $0.quarantinedInstruments > 0 && $0.stage(victim)?.alive == true
      }
      try set.crash(victim, of: before)
      let epoch = before.stage(victim)?.epoch ?? 0
      _ = try set.waitForStatus("a new \(victim)") { ($0.stage(victim)?.epoch ?? 0) > epoch }
    }
    let run = try set.finish()
    expectHealed(run, digest)
    run.expect(run.report.restarts["merged"], 2, "restarts of merged")
    run.expect(run.report.restarts["bookd"], 2, "restarts of bookd")
  }

  /// A table that is too small for the day's busiest time: whoever had no room has a book again in the quiet time behind it.
  func testAFullTable() throws {
    let folder = try makeFolder()
    let store = try MessageStore(
      generating: DayGenerator(DayConfiguration(seed: 3, messages: 60_000, instruments: 40)))
    var bytes: [UInt8] = []
    for index in 0..<store.count {
      let message = store.message(at: index)
      bytes += [UInt8(message.count >> 8), UInt8(message.count & 255)] + message
    }
    // Broken trades, which no book knows of: some seconds of them.
    for _ in 0..<60_000 { bytes += [0, 19, 0x42, 0, 1] + [UInt8](repeating: 0, count: 16) }
    let file = folder.appendingPathComponent("full.itch")
    try Data(bytes).write(to: file)
    let whole = try SetRun(["--replay", file.path]).finish()
    whole.expectCorrect()
    // At most 3,565 orders live at once, 3,244 at the end.
    let run = try SetRun(
      ["--replay", file.path, "--rate", "20000"],
      settings: Self.policy + tape(folder) + ["capacity.orders=3400"]
    ).finish()
    expectHealed(run, whole.report.bookDigest)
    run.expect(run.report.rejects > 0, "the table was full")
  }
}
