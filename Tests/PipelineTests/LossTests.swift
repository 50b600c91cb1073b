import Foundation
import XCTest

/// What cannot be recovered is declared: where, how much, and that the books may be wrong.
final class LossTests: XCTestCase {
  private static let day = [
    "--generate", "120000", "--instruments", "300", "--seed", "11", "--impair", "A:loss=3%;B:loss=3%",
    "--retransmission", "off",
  ]

  /// The gaps of the stream are exactly the messages that were on neither line, as a third receiver heard them.
  func testEveryHoleIsDeclaredExactly() throws {
    let place = SetRun.Place.next()
    try Binaries.require()
    let lineA = try LineListener(group: place.groupA, port: place.portA)
    let lineB = try LineListener(group: place.groupB, port: place.portB)
    // With the default times: a line that is behind, for want of a core say, is waited for. The rate keeps a line from
    // being stopped right behind the other, when the venue waits for a hole to be given up.
    let run = try SetRun(Self.day + ["--rate", "100000"], at: place).finish()
    var lost = IndexSet(integersIn: 1...Int(run.report.messagesSent))
    for listener in [lineA, lineB] { lost.subtract(listener.stop().sequences) }
    try XCTSkipUnless(
      lineA.systemDrops == 0 && lineB.systemDrops == 0, "this test's own sockets lost datagrams")

    expectDeclaredLoss(run)
    run.expect(lost.rangeView.count > 1, "more than one hole: \(lost.rangeView.count)")
    let holes = lost.rangeView.map { "\($0.lowerBound)...\($0.upperBound - 1)" }
    run.expect(run.report.gaps.map { "\($0.first)...\($0.last)" }, holes, "gaps and holes")
  }

  /// With the default hold time, a line that is late can cost more than was lost. That is declared as well.
  func testTheBooksOfAnIncompleteStreamAreExactUpToItsGaps() throws {
    let run = try SetRun(Self.day).finish()
    expectDeclaredLoss(run)
  }

  /// A service that answers nothing is asked, and given up.
  func testAServiceThatLosesEveryAnswerIsGivenUp() throws {
    let options = Array(Self.day.dropLast(2)) + ["--retransmit-loss", "100%"]
    let settings = [
      "channel.retransmission.attempts=2", "channel.retransmission.timeout=2ms",
      "channel.retransmission.backoff=1ms",
    ]
    let run = try SetRun(options, settings: settings).finish()
    expectDeclaredLoss(run, reason: "retransmission exhausted")
    run.expect(run.report.retransmissionRequests > 0, "messages were requested")
    run.expect(run.report.venue?.retransmission.answers, 0, "answers")
  }

  private func expectDeclaredLoss(
    _ run: FinishedRun, reason: String = "retransmission off", file: StaticString = #filePath,
    line: UInt = #line
  ) {
    let report = run.report
    run.expect(run.ending, .exit(1), "exit code", file: file, line: line)
    run.expect(report.exitCode, 1, "exit code in the result", file: file, line: line)
    run.expect(report.verdict, "incomplete", "verdict", file: file, line: line)
    run.expect(!report.gaps.isEmpty, "gaps", file: file, line: line)
    run.expect(report.gapsUnrecoverable, UInt64(report.gaps.count), "gaps counted", file: file, line: line)
    var next: UInt64 = 1
    for gap in report.gaps {
      run.expect(gap.first >= next && gap.last >= gap.first, "gap \(gap) in order", file: file, line: line)
      run.expect(gap.reason, reason, "reason of gap \(gap)", file: file, line: line)
      next = gap.last + 1
    }
    run.expect(next <= report.messagesSent + 1, "gaps within what was sent", file: file, line: line)
    let lost = report.gaps.reduce(0) { $0 + $1.count }
    run.expect(lost, report.messagesSent - report.messagesApplied, "messages in gaps", file: file, line: line)
    run.expect(report.messagesLost, lost, "messages counted as lost", file: file, line: line)
    run.expect(report.staleInstruments > 0, "books are stale", file: file, line: line)
    run.expect(report.reasons.contains { $0.contains("marked stale") }, "stale said", file: file, line: line)
    run.expect(report.ringLaps, 0, "ring laps", file: file, line: line)
    run.expect(report.restartGaps, [], "restart gaps", file: file, line: line)
    run.expectOrdered(file: file, line: line)
    run.expectDigests(file: file, line: line)
  }
}
