import XCTest

/// The published stream is a function of the venue's messages alone: whatever the lines do, it is the same.
final class OneDigestTests: XCTestCase {
  private static let day = ["--generate", "300000", "--instruments", "500", "--seed", "7"]
  private static let noise = "A:loss=2%,dup=2%,reorder=2%;B:loss=2%,dup=1%,reorder=3%x16"

  func testOneDayHasOneDigestOnEveryWay() throws {
    let clean = try run("both lines", [])
    for line in clean.report.lines { clean.expect(line.packets > 1_000, "packets on line \(line.name)") }
    clean.expect(
      clean.report.venue?.lines["A"]?.packets != clean.report.venue?.lines["B"]?.packets, "one cut")

    let onlyA = try run("line A only", ["--lines", "A"], like: clean)
    onlyA.expect(onlyA.report.lines.last?.packets, 0, "packets on line B")
    let onlyB = try run("line B only", ["--lines", "B"], like: clean)
    onlyB.expect(onlyB.report.lines.first?.packets, 0, "packets on line A")

    let lossy = try run("loss on both", ["--impair", Self.noise], like: clean)
    for name in ["A", "B"] {
      let line = try XCTUnwrap(lossy.report.venue?.lines[name])
      lossy.expect(line.dropped > 0 && line.duplicated > 0 && line.reordered > 0, "noise on line \(name)")
    }
    expectRecovery(lossy)

    let burst = try run("bursts of loss", ["--impair", "A:burst=0.3%x20;B:burst=0.3%x30"], like: clean)
    burst.expect((burst.report.venue?.lines["A"]?.droppedInBursts ?? 0) > 20, "bursts on line A")
    expectRecovery(burst)

    let deaf = try run("lossy service", ["--impair", Self.noise, "--retransmit-loss", "20%"], like: clean)
    expectRecovery(deaf)
    deaf.expect((deaf.report.venue?.retransmission.dropped ?? 0) > 0, "answers were lost")
  }

  /// One line alone has nothing to fill its holes but the retransmission service.
  func testOneLossyLineIsRecoveredByRetransmission() throws {
    let run = try run("lossy line A only", ["--lines", "A", "--impair", "A:loss=2%,reorder=1%"])
    expectRecovery(run)
    run.expect(
      run.report.gapsFilledByLine < run.report.gapsFilledByRetransmission, "filled by the line itself")
  }

  /// Another seed is another day: the digests depend on what is sent at all.
  func testAnotherDayHasAnotherDigest() throws {
    let one = try run("seed 7", ["--generate", "20000"])
    let other = try run("seed 8", ["--generate", "20000", "--seed", "8"])
    XCTAssertNotEqual(one.report.streamDigest, other.report.streamDigest, other.transcript)
    XCTAssertNotEqual(one.report.bookDigest, other.report.bookDigest, other.transcript)
  }

  /// What was kept of a day is taken for that day, and for no other.
  func testAKeptDayIsTakenForThatDayAlone() throws {
    let path = NSTemporaryDirectory() + "bulkhead-kept-\(getpid())"
    defer { for file in [path, path + ".messages"] { try? FileManager.default.removeItem(atPath: file) } }
    let day = ["--generate", "20000", "--expected", path]
    let first = try run("computed", day)
    let kept = try String(contentsOfFile: path, encoding: .utf8)
    XCTAssertTrue(FileManager.default.fileExists(atPath: path + ".messages"))
    _ = try run("kept", day, like: first)
    // A digest that is another in the file is what the run is compared with.
    let lines = kept.split(separator: "\n").map(String.init)
    var numbers = try XCTUnwrap(lines.last).split(separator: " ").map(String.init)
    numbers[0] = "1" + numbers[0].dropFirst(2)
    try "\(lines[0])\n\(numbers.joined(separator: " "))\n".write(
      toFile: path, atomically: true, encoding: .utf8)
    let misled = try SetRun(Self.day + day).finish()
    misled.expect(misled.report.verdict, "wrong", "verdict with another digest")
    // Another day's file, and a damaged one, are not believed.
    let other = try run("another day", day + ["--seed", "8"])
    XCTAssertNotEqual(other.report.streamDigest, first.report.streamDigest, other.transcript)
    try String(kept.dropLast(3)).write(toFile: path, atomically: true, encoding: .utf8)
    _ = try run("damaged", day, like: first)
  }

  /// A later option replaces one of the day's.
  private func run(_ name: String, _ options: [String], like reference: FinishedRun? = nil) throws
    -> FinishedRun
  {
    let run = try SetRun(Self.day + options).finish()
    run.expectCorrect()
    if let reference {
      run.expect(run.report.streamDigest, reference.report.streamDigest, "stream digest with \(name)")
      run.expect(run.report.bookDigest, reference.report.bookDigest, "book digest with \(name)")
      run.expect(
        run.report.publishBookDigest, reference.report.publishBookDigest, "pubd's digest with \(name)")
    }
    return run
  }

  /// The impairment did bite, and what was lost on both lines was asked for.
  private func expectRecovery(_ run: FinishedRun, file: StaticString = #filePath, line: UInt = #line) {
    let dropped = run.report.venue?.lines.values.reduce(0) { $0 + $1.dropped } ?? 0
    run.expect(dropped > 0, "the venue dropped packets", file: file, line: line)
    run.expect(run.report.gapsDetected > 0, "gaps were detected", file: file, line: line)
    run.expect(run.report.retransmissionRequests > 0, "messages were requested", file: file, line: line)
    run.expect(run.report.gapsFilledByRetransmission > 0, "requests filled gaps", file: file, line: line)
    run.expect(
      (run.report.venue?.retransmission.requests ?? 0) > 0, "requests arrived", file: file, line: line)
  }
}
