import Foundation
import Glibc
import XCTest

/// The whole set is killed and its rings are gone. What is left is the tape: the next set takes the stream up where it ends,
/// and its books are those of the whole day (D-07).
final class ColdStartTests: XCTestCase {
  private static let day = [
    "--generate", "180000", "--instruments", "500", "--seed", "31", "--rate", "90000",
  ]

  /// A tape's folder, and a set that was killed in the midst of its day.
  private final class DeadSet {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent(
      "bulkhead-cold-\(UUID().uuidString)"
    ).path
    let place = SetRun.Place.next()
    /// Kept, since its end would take what it finds of the instance with it.
    private var runs: [SetRun] = []
    /// Beside those of the tape.
    private let rules: [String]

    init(rules: [String] = []) { self.rules = rules }

    deinit {
      runs.removeAll()
      try? FileManager.default.removeItem(atPath: path)
    }

    var settings: [String] {
      ["tape.enabled=true", "tape.directory=\(path)", "tape.segment=2MiB", "tape.snapshot_interval=300ms"]
        + rules
    }
    var tape: String { "\(path)/\(place.instance)" }

    /// The snapshots that are written to their end.
    var snapshots: [String] {
      (try? FileManager.default.contentsOfDirectory(atPath: tape))?.filter {
        $0.hasPrefix("book-") && $0.hasSuffix(".image")
      } ?? []
    }

    /// Runs the day until so many messages are on the tape, kills everybody at once, and removes the memory.
    /// - Parameter withSnapshot: not before there is a snapshot.
    func die(
      at messages: UInt64, _ arguments: [String] = ColdStartTests.day, withSnapshot: Bool = false
    ) throws {
      let run = try SetRun(arguments, settings: settings, at: place)
      runs.append(run)
      _ = try run.waitForStatus("\(messages) messages on the tape") {
        ($0.tapeWrittenSequence ?? 0) >= messages && (!withSnapshot || !self.snapshots.isEmpty)
      }
      kill(run.process.pid, SIGSTOP)
      var victims = ProcessTable.processes(naming: place.instance)
      XCTAssertGreaterThanOrEqual(victims.count, 9, "run, watchdogd, six stages and the venue")
      while !victims.isEmpty {
        for pid in victims { kill(pid, SIGKILL) }
        // The children of the run are reaped by whoever inherits them.
        _ = run.process.pollEnding()
        usleep(2_000)
        victims = ProcessTable.processes(naming: place.instance).filter { ProcessTable.isRunning($0) }
      }
      try FileManager.default.removeItem(atPath: place.directory)
    }

    func live(_ arguments: [String]) throws -> SetRun {
      let run = try SetRun(arguments, settings: settings, at: place)
      runs.append(run)
      return run
    }

    /// Numbers that are on no line: each of them has to come from somewhere else.
    static func hole(_ first: UInt64, _ count: UInt64) -> [String] {
      ["--impair", "A:hole=\(first)x\(count);B:hole=\(first)x\(count)"]
    }
  }

  /// What the run says of where it went on.
  private func continuedAt(_ run: FinishedRun) throws -> UInt64 {
    let line = run.errors.split(separator: "\n").first { $0.hasPrefix("merged: continuing at sequence ") }
    let number = line?.split(separator: " ").dropFirst(4).first?.dropLast()
    return try XCTUnwrap(number.flatMap { UInt64($0) }, "no continuation\(run.transcript)")
  }

  /// Nothing that the tape has is on a line again: what came while nobody was there is asked for, and the day is exact. Twice,
  /// so that the second time the tape is of two runs.
  func testTheStreamGoesOnWhereTheTapeEnds() throws {
    let set = DeadSet()
    try set.die(at: 40_000)
    try set.die(at: 90_000, Self.day + DeadSet.hole(1, 40_000))
    let run = try set.live(Self.day + DeadSet.hole(1, 110_000))
    let finished = try run.finish()
    finished.expectCorrect()
    let start = try continuedAt(finished)
    finished.expect(start > 90_000, "from the end of the second run: \(start)")
    finished.expect(
      finished.errors.contains("bookd: the books are those behind sequence \(start - 1)"), "bookd")
    finished.expect(
      finished.errors.contains("pubd: the books are those behind sequence \(start - 1)"), "pubd")
    finished.expect(finished.report.shadowBooksDiffer, 0, "books that differ")
  }

  /// What the venue does not have any more is an explicit gap, and the books are marked.
  func testWhatCannotBeRecoveredIsAGap() throws {
    let set = DeadSet()
    try set.die(at: 40_000)
    let run = try set.live(
      Self.day + DeadSet.hole(1, 110_000) + ["--retransmission", "off"])
    let finished = try run.finish()
    let start = try continuedAt(finished)
    finished.expect(finished.report.verdict, "incomplete", "verdict")
    // In pieces, as the lines' heartbeats told of it, without a hole or an overlap.
    var due = start
    for gap in finished.report.gaps {
      finished.expect(gap.first, due, "the next gap")
      due = gap.last + 1
    }
    finished.expect(due > 109_000 && due < 120_000, "gaps up to where the lines speak again: \(due)")
    finished.expect(finished.report.staleInstruments > 0, "stale instruments")
    finished.expectOrdered()
    finished.expectDigests()
  }

  /// Without a snapshot that is right, the tape is played from its beginning.
  func testDamagedSnapshots() throws {
    let set = DeadSet()
    try set.die(at: 40_000, withSnapshot: true)
    var spoilt = 0
    for name in set.snapshots {
      var bytes = try Data(contentsOf: URL(fileURLWithPath: "\(set.tape)/\(name)"))
      bytes[bytes.count / 2] ^= 1
      try bytes.write(to: URL(fileURLWithPath: "\(set.tape)/\(name)"))
      spoilt += 1
    }
    XCTAssertGreaterThan(spoilt, 0)
    let finished = try set.live(Self.day).finish()
    finished.expectCorrect()
    finished.expect(finished.errors.contains(".image is not used"), "said")
  }

  /// A tape of another session has nothing to do with today's.
  func testAnotherSession() throws {
    let set = DeadSet()
    try set.die(at: 40_000)
    let other = ["--generate", "50000", "--instruments", "500", "--seed", "32"]
    let finished = try set.live(other).finish()
    finished.expectCorrect()
    finished.expect(finished.errors.contains("another session than the tape"), "said")
  }

  /// Under the policy that gives a book up at the first wrong message.
  func testQuarantine() throws {
    let set = DeadSet(rules: ["capacity.on_error=quarantine"])
    try set.die(at: 40_000)
    let finished = try set.live(Self.day + DeadSet.hole(1, 60_000)).finish()
    finished.expectCorrect()
    finished.expect(try continuedAt(finished) > 40_000, "from the tape")
    finished.expect(finished.report.shadowBooksDiffer, 0, "books that differ")
  }

  /// What came while nobody was there is replaced by the venue's image, which the recorder's books follow; and a bookd that
  /// dies behind it goes on from them.
  func testTheVenuesImage() throws {
    let set = DeadSet(rules: [
      "channel.arbitration.unrecoverable=snapshot", "channel.snapshot.enabled=true",
      "channel.snapshot.minimum_interval=5ms",
    ])
    try set.die(at: 40_000)
    let run = try set.live(Self.day + DeadSet.hole(1, 70_000) + ["--retransmission", "off"])
    let status = try run.waitForStatus("behind the image") { ($0.tapeWrittenSequence ?? 0) > 100_000 }
    let bookd = try XCTUnwrap(status.pids["bookd"])
    kill(bookd, SIGKILL)
    let finished = try run.finish()
    let start = try continuedAt(finished)
    finished.expect(start > 40_000, "from the end of the tape: \(start)")
    finished.expect(finished.report.verdict, "incomplete", "verdict")
    finished.expect(Set(finished.report.gaps.map(\.reason)), ["replaced by snapshot"], "reasons")
    finished.expect(finished.report.gaps.first?.first, start, "the first gap")
    finished.expect(finished.report.staleInstruments, 0, "stale instruments")
    finished.expect(finished.report.shadowBooksDiffer, 0, "books that differ")
    finished.expectOrdered()
    finished.expectDigests()
  }
}
