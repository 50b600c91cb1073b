import Foundation
import XCTest

/// The drills of merging, once each and for exactness alone; times are judged by `make drills-merge`.
final class MergeDrillTests: XCTestCase {
  private static let messages = 120_000

  private struct Gaps: Decodable {
    struct Ended: Decodable {
      let first, last, requests: UInt64
      let state, outcome, rung: String
    }
    struct Report: Decodable {
      let ended: [Ended]
      let totals, states: [String: UInt64]
    }
    let sets: [Report]
  }

  /// A run, and what `bulkhead gaps` says of the set that it left behind.
  private func drill(
    _ impair: String, _ options: [String] = [], settings: [String] = []
  ) throws -> (run: FinishedRun, gaps: Gaps.Report) {
    let set = try SetRun(
      [
        "--generate", "\(Self.messages)", "--instruments", "300", "--seed", "21", "--rate", "100000",
        "--keep",
        "--impair", impair,
      ] + options, settings: settings)
    let run = try set.finish()
    let command = try ProcessHandle.run("bulkhead", ["gaps", "--json", "--name", set.instance])
    let report = try JSONDecoder().decode(Gaps.self, from: Data(command.output.utf8)).sets.first
    return (run, try XCTUnwrap(report, command.transcript))
  }

  /// D-21: line B has everything; line A goes down, and comes back or not.
  func testALineThatIsCut() throws {
    let (run, gaps) = try drill("A:cut=40000x200ms")
    run.expectCorrect()
    run.expect(gaps.totals["requests"], 0, "nothing is asked for")
    run.expect((gaps.totals["lineADowns"] ?? 0) > 0, "line A was down")
    run.expect((gaps.states["lineAUpAt"] ?? 0) > (gaps.states["lineADownAt"] ?? 0), "line A is up again")
    let (last, end) = try drill("A:cut=40000")
    last.expectCorrect()
    last.expect((end.states["lineAUpAt"] ?? 0) < (end.states["lineADownAt"] ?? 0), "line A stays down")
  }

  /// D-22: each message of the holes is sent once.
  func testHolesOnBothLines() throws {
    for holes in ["40000x1000", "20000x200+20500x3+40000x1000+60000x40+90000x500"] {
      let (run, gaps) = try drill(
        "A:hole=\(holes);B:hole=\(holes)", settings: ["channel.retransmission.timeout=5s"])
      run.expectCorrect()
      let service = run.report.venue?.retransmission
      run.expect(gaps.totals["retries"], 0, "retries")
      run.expect(
        service?.messages, gaps.totals["filledByRetransmission"], "messages that were sent, and missing")
      run.expect(service?.requests, service?.answers, "requests and answers")
      let asked = gaps.ended.filter { $0.rung == "retransmission" }
      run.expect(Set(asked.map(\.outcome)), ["filled by retransmission"], "ends of the ranges")
    }
  }

  /// D-25: whatever comes of the first requests, the hole is filled.
  func testABadRetransmissionService() throws {
    let settings = [
      "channel.retransmission.timeout=30ms", "channel.retransmission.backoff=10ms",
      "channel.retransmission.attempts=100", "channel.retransmission.breaker_percent=0",
    ]
    for fault in ["drip", "shiftx2", "foreignx2", "halfx2", "flood", "stalex2"] {
      let (run, gaps) = try drill(
        "A:hole=40000x25;B:hole=40000x25", ["--retransmit-fault", fault], settings: settings)
      run.expectCorrect()
      run.expect((gaps.totals["filledByRetransmission"] ?? 0) >= 25, "\(fault): filled")
      if fault != "drip" && fault != "flood" {
        run.expect((gaps.totals["unanswered"] ?? 0) > 0, "\(fault): it was seen")
      }
    }
  }

  /// D-25: the breaker opens on its threshold, and what waits goes on at once.
  func testTheBreaker() throws {
    let (run, gaps) = try drill(
      "A:hole=20000x20;B:hole=20000x20", ["--retransmit-fault", "hang"],
      settings: [
        "channel.retransmission.timeout=10ms", "channel.retransmission.backoff=1ms",
        "channel.retransmission.attempts=50", "channel.retransmission.breaker_window=10",
      ])
    run.expectOrdered()
    run.expectDigests()
    run.expect(run.report.gaps.map(\.reason), ["retransmission unavailable"], "the hole is lost")
    run.expect(gaps.totals["lostRetransmissionUnavailable"], 1, "by its reason")
    run.expect(gaps.totals["breakerOpened"], 1, "opened")
    run.expect(gaps.totals["unanswered"], 10, "on the tenth failure")
    run.expect(gaps.states["breakerState"], 1, "open")
  }

  /// D-48: the session ends once, and not before its last message is out or declared lost.
  func testTheEndOfASession() throws {
    let hole = "hole=\(Self.messages - 500)x501"
    for impair in [
      "A:loss=0%;B:delay=200ms", "A:loss=0%;B:cut=\(Self.messages - 900)", "A:\(hole);B:\(hole)",
    ] {
      try drill(impair).run.expectCorrect()
    }
    let (run, _) = try drill("A:\(hole);B:\(hole)", ["--retransmission", "off"])
    run.expect(run.report.verdict, "incomplete", "verdict")
    run.expect(run.report.gaps.reduce(0) { $0 + $1.count } >= 501, "the end of the day is declared lost")
    run.expectOrdered()
    run.expectDigests()
  }

  /// A channel that halts on the last range of its session says no end behind the gap, and neither does a successor.
  func testAHaltedChannelStaysSilent() throws {
    let hole = "hole=\(Self.messages - 500)x501"
    let set = try SetRun(
      [
        "--generate", "\(Self.messages)", "--instruments", "300", "--seed", "21", "--rate", "100000",
        "--impair", "A:\(hole);B:\(hole)", "--retransmission", "off",
      ], settings: ["channel.arbitration.unrecoverable=halt"])
    let before = try set.waitForStatus("merged has halted") { $0.stage("merged")?.state == "HALTED" }
    try set.crash("merged", of: before)
    let epoch = before.stage("merged")?.epoch ?? 0
    _ = try set.waitForStatus("its successor has halted as well") {
      guard let merged = $0.stage("merged") else { return false }
      return merged.epoch > epoch && merged.state == "HALTED"
    }
    let run = try set.finish()
    run.expect(run.report.gaps.count, 1, "gaps")
    run.expect(run.report.exitCode != 0, "no good")
    run.expect(run.report.expected == nil, "no end of the session was published")
    run.expect(run.report.identityViolations, 0, "identity violations")
  }
}
