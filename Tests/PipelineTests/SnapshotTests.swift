import Foundation
import Glibc
import XCTest

/// The last rung: what nobody has as messages any more is replaced by the venue's image, and everything behind it is
/// exact again: the events are those that the same day and images make in one process, the books those of the whole day.
final class SnapshotTests: XCTestCase {
  private static let messages = 120_000
  private static let source = ["--generate", "\(messages)", "--instruments", "300", "--seed", "11"]
  /// Some twenty packets of it are on neither line.
  private static let day = source + ["--rate", "100000", "--impair", "A:loss=3%;B:loss=3%"]
  private static let policy = [
    "channel.arbitration.unrecoverable=snapshot", "channel.snapshot.enabled=true",
    "channel.snapshot.minimum_interval=5ms",
  ]

  /// The digest of the books of the whole day.
  private func wholeDay() throws -> String {
    let run = try SetRun(Self.source).finish()
    run.expectCorrect()
    return run.report.bookDigest
  }

  private func expectReplaced(
    _ run: FinishedRun, _ digest: String, file: StaticString = #filePath, line: UInt = #line
  ) {
    let report = run.report
    run.expect(run.ending, .exit(1), "exit code", file: file, line: line)
    run.expect(report.verdict, "incomplete", "verdict", file: file, line: line)
    run.expect(Set(report.gaps.map(\.reason)), ["replaced by snapshot"], "reasons", file: file, line: line)
    run.expect(report.bookDigest, digest, "the books are those of the whole day", file: file, line: line)
    run.expect(report.staleInstruments, 0, "stale instruments", file: file, line: line)
    run.expect(report.rejects, 0, "rejected messages", file: file, line: line)
    let replaced = report.gaps.reduce(0) { $0 + $1.count }
    run.expect(replaced, report.messagesSent - report.messagesApplied, "messages", file: file, line: line)
    run.expect(
      report.reasons.last, "the venue's images have made the books exact again", "said", file: file,
      line: line)
    run.expectOrdered(file: file, line: line)
    run.expectDigests(file: file, line: line)
  }

  func testWithoutRetransmission() throws {
    let run = try SetRun(Self.day + ["--retransmission", "off"], settings: Self.policy).finish()
    expectReplaced(run, try wholeDay())
    run.expect(run.report.venue?.services?.glimpse?.images, UInt64(run.report.gaps.count), "images")
  }

  /// Requests come first; what lies beyond the service's retention is replaced.
  func testBeyondTheRetentionOfRetransmission() throws {
    let settings = Self.policy + ["channel.retransmission.attempts=2", "channel.retransmission.timeout=2ms"]
    let run = try SetRun(Self.day + ["--retransmit-retention", "1"], settings: settings).finish()
    expectReplaced(run, try wholeDay())
    run.expect(run.report.retransmissionRequests > 0, "messages were requested")
  }

  /// Whatever the service does wrong at first, nothing wrong comes of it.
  func testAServiceThatFailsAtFirst() throws {
    let digest = try wholeDay()
    for fault in [
      "refuse=A", "refuse=S", "stall=login", "stall=900", "cut=900", "garbage=900", "skip=10", "lie=+60",
      "lie=-60",
    ] {
      let settings = Self.policy + ["channel.snapshot.timeout=300ms", "channel.snapshot.backoff=1ms"]
      let run = try SetRun(
        Self.day + ["--retransmission", "off", "--fault", "glimpse:\(fault),times=1"], settings: settings
      ).finish()
      expectReplaced(run, digest)
      run.expect(run.report.venue?.services?.glimpse?.faults, 1, fault)
    }
  }

  /// The image comes before what the lines had carried when it was made: it waits for them, and they contradict it.
  func testALieAboutWhatTheLinesHaveYetToBring() throws {
    let run = try SetRun(
      Self.source + [
        "--rate", "100000", "--impair", "A:loss=3%,delay=30ms;B:loss=3%,delay=30ms", "--retransmission",
        "off",
        "--fault", "glimpse:lie=+60,times=1",
      ], settings: Self.policy + ["channel.snapshot.timeout=300ms", "channel.snapshot.backoff=1ms"]
    ).finish()
    expectReplaced(run, try wholeDay())
    run.expect(run.errors.contains("of the lines contradicts the image's number"), "the lie was found")
  }

  /// Without any image the range is lost, said so, and the stream goes on.
  func testAServiceThatAlwaysRefuses() throws {
    let run = try SetRun(
      Self.day + ["--retransmission", "off", "--fault", "glimpse:refuse=A"],
      settings: Self.policy + ["channel.snapshot.attempts=2"]
    ).finish()
    run.expect(run.report.verdict, "incomplete", "verdict")
    run.expect(Set(run.report.gaps.map(\.reason)), ["snapshot unavailable"], "reasons")
    run.expect(run.report.staleInstruments > 0, "books are stale")
    run.expectOrdered()
    run.expectDigests()
    // The breaker opens: not every range is asked for.
    run.expect((run.report.venue?.services?.glimpse?.logins ?? 0) >= 2, "it was asked")
  }

  /// merged and bookd die while an image is on its way, and behind it.
  func testDeathsWhileAnImageIsOnItsWay() throws {
    let set = try SetRun(
      Self.day + ["--retransmission", "off", "--fault", "glimpse:stall=900x500ms,times=4"],
      settings: Self.policy + ["stage.merged.restart_limit=30", "stage.bookd.restart_limit=30"])
    for victim in ["merged", "bookd", "merged"] {
      let before = try set.waitForStatus("a gap is open") {
        $0.gapsOpen > 0 && $0.stage(victim)?.alive == true
      }
      try set.crash(victim, of: before)
      let epoch = before.stage(victim)?.epoch ?? 0
      _ = try set.waitForStatus("a new \(victim)") { ($0.stage(victim)?.epoch ?? 0) > epoch }
    }
    let run = try set.finish()
    expectReplaced(run, try wholeDay())
    run.expect(run.report.restarts["merged"], 2, "restarts of merged")
    run.expect(run.report.restarts["bookd"], 1, "restarts of bookd")
  }

  /// A set that is started in the middle of the day has the books of the day at its end.
  func testALateStart() throws {
    try Binaries.require()
    let place = SetRun.Place.next()
    let status = FileManager.default.temporaryDirectory.appendingPathComponent("bulkhead-\(place.instance)")
      .path
    defer { try? FileManager.default.removeItem(atPath: status) }
    let venue = try ProcessHandle(
      [Binaries.path("venue")] + Self.source + [
        "--rate", "30000", "--linger", "120s", "--status", status,
        "--line", "A=\(place.groupA):\(place.portA)@127.0.0.1", "--line",
        "B=\(place.groupB):\(place.portB)@127.0.0.1",
        "--retransmit", "127.0.0.1:\(place.portRetransmission)", "--retransmit-retention", "2000",
        "--glimpse", "127.0.0.1:\(place.portSnapshot)",
      ])
    defer { venue.signal(SIGTERM) }
    func sent() -> UInt64 {
      guard let page = FileManager.default.contents(atPath: status), page.count >= 136 else { return 0 }
      return page[128..<136].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
    _ = try waitUntil(seconds: 60, "20,000 messages are sent") { sent() > 20_000 ? true : nil }
    let settings = Self.policy + ["channel.retransmission.attempts=2"]
    let set = try SetRun([], settings: settings, at: place)
    _ = try set.waitForStatus("the day is over") {
      ($0.stage("pubd")?.appliedSequence ?? 0) >= UInt64(Self.messages)
    }
    // The end of the session, and with it the digest, follows at once.
    usleep(300_000)
    set.process.signal(SIGTERM)
    let run = try set.finish()
    run.expect(run.report.gaps.map(\.reason), ["replaced by snapshot"], "one image")
    run.expect(run.report.gaps.first?.first, 1, "from the first message on")
    run.expect((run.report.gaps.first?.last ?? 0) > 20_000, "to the present")
    run.expect(run.report.staleInstruments, 0, "stale instruments")
    run.expectOrdered()
    let digest = try wholeDay()
    run.expect(run.report.bookDigest, digest, "bookd's books")
    run.expect(run.report.publishBookDigest, digest, "pubd's books")
  }
}
