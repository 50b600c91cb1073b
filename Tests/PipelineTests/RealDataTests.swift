import XCTest

/// Recorded days, through the processes.
final class RealDataTests: XCTestCase {
  /// One instrument from its first order to the close.
  func testAWholeDayOfOneInstrument() throws {
    let file = try Binaries.data("itch/arl_20250717.itch")
    let onlyA = try SetRun(["--replay", file, "--lines", "A"]).finish()
    onlyA.expectCorrect()
    onlyA.expect(onlyA.report.messagesSent, 4_336, "messages in the file")
    onlyA.expect(onlyA.report.rejects, 0, "rejects")
    onlyA.expect(onlyA.report.staleInstruments, 0, "stale instruments")

    let noise = "A:loss=10%,dup=5%,reorder=10%;B:loss=10%,reorder=5%"
    let lossy = try SetRun(["--replay", file, "--impair", noise]).finish()
    lossy.expectCorrect()
    lossy.expect(lossy.report.gapsDetected > 0, "gaps were detected")
    lossy.expect(lossy.report.streamDigest, onlyA.report.streamDigest, "stream digest")
    lossy.expect(lossy.report.bookDigest, onlyA.report.bookDigest, "book digest")
  }

  /// A sample with holes of its own: orders are executed that it never added. The stream is complete, so the run is
  /// correct; what does not fit is refused and counted, and the instruments concerned are stale.
  func testASampleThatRefersToOrdersItLacks() throws {
    let file = try Binaries.data("itch/bx_20191230_sampled.itch")
    let run = try SetRun(["--replay", file]).finish()
    run.expectCorrect()
    run.expect(run.report.messagesSent, 12_012, "messages in the file")
    run.expect(run.report.unknownReferences, 117, "unknown references")
    run.expect(run.report.rejects, 117, "rejects")
    run.expect(run.report.staleInstruments > 0, "stale instruments")
  }
}
