import Foundation
import XCTest

/// Channels are sets of their own, side by side on a host (docs/decisions/0020): what one of them goes through is nothing to
/// the other.
final class ChannelTests: XCTestCase {
  private static let messages: UInt64 = 120_000
  private static let hole = "A:hole=20000x500;B:hole=20000x500"

  private struct Gaps: Decodable {
    struct Open: Decodable { let rung: String }
    struct Report: Decodable { let open: [Open] }
    let sets: [Report]
  }

  private func isFetchingAnImage(_ set: SetRun) throws -> Bool {
    let command = try ProcessHandle.run("bulkhead", ["gaps", "--open", "--json", "--name", set.instance])
    let report = try? JSONDecoder().decode(Gaps.self, from: Data(command.output.utf8)).sets.first
    return report?.open.contains { $0.rung == "snapshot" } ?? false
  }

  /// The service of channel 1 answers its first logins with a long silence: its stream waits for an image, while that of
  /// channel 2 goes on.
  func testOneChannelRecoversWhileTheOtherGoesOn() throws {
    let day = ["--generate", "\(Self.messages)", "--instruments", "300", "--rate", "20000"]
    let first = try SetRun(
      day + [
        "--seed", "11", "--impair", Self.hole, "--retransmission", "off", "--fault",
        "glimpse:stall=100x3s,times=1",
      ],
      settings: [
        "channel.name=one", "channel.number=1", "channel.arbitration.unrecoverable=snapshot",
        "channel.snapshot.enabled=true", "channel.snapshot.timeout=20s",
      ])
    let second = try SetRun(
      day + ["--seed", "12", "--impair", "A:loss=1%;B:loss=1%"],
      settings: ["channel.name=two", "channel.number=2"])
    _ = try first.waitForStatus("an image is on its way") { $0.gapsOpen > 0 }
    _ = try waitUntil(seconds: 60, "an image is on its way") { try isFetchingAnImage(first) ? true : nil }
    // While it is: the other channel's stream comes forward, twice.
    var applied: [UInt64] = []
    for _ in 0..<2 {
      let before = applied.last ?? 0
      let status = try second.waitForStatus("channel 2 comes forward") {
        $0.messagesApplied > before || $0.messagesApplied >= Self.messages
      }
      applied.append(status.messagesApplied)
    }
    let isStillFetching = try isFetchingAnImage(first)
    let one = try first.finish()
    let two = try second.finish()
    XCTAssertTrue(isStillFetching && applied[0] < applied[1], "\(applied) while it was on its way")
    two.expectCorrect()
    one.expect(one.report.verdict, "incomplete", "verdict")
    // How many images it takes depends on how far the venue is when it is asked.
    one.expect(Set(one.report.gaps.map(\.reason)), ["replaced by snapshot"], "images")
    one.expect(one.report.staleInstruments, 0, "stale instruments")
    one.expectOrdered()
    one.expectDigests()
    one.expect(one.report.streamDigest != two.report.streamDigest, "two days")
  }
}
