import OrderBook
import XCTest

final class CapacityWatermarkTests: XCTestCase {
  /// Each use of a table of 1,000, upwards and downwards again, and the marks that hold there.
  func testMarksAreReachedAtOnceAndLeftFivePointsBelow() {
    var watermark = CapacityWatermark()
    for used in 0...1_000 {
      let before = watermark.mark
      let expected = used >= 950 ? 95 : used >= 850 ? 85 : used >= 700 ? 70 : 0
      XCTAssertEqual(watermark.update(used: used, capacity: 1_000), expected != before, "\(used)")
      XCTAssertEqual(watermark.mark, expected, "\(used)")
    }
    for used in (0...1_000).reversed() {
      _ = watermark.update(used: used, capacity: 1_000)
      XCTAssertEqual(watermark.mark, used > 900 ? 95 : used > 800 ? 85 : used > 650 ? 70 : 0, "\(used)")
    }
    XCTAssertEqual(watermark.highest, 95)
  }

  func testTheEdgeRaisesOneAlarm() {
    var watermark = CapacityWatermark()
    var changes = 0
    for round in 0..<100 where watermark.update(used: 84 + round % 2, capacity: 100) { changes += 1 }
    XCTAssertEqual(changes, 2)  // 70 at once, then 85 for good
    XCTAssertEqual(watermark.mark, 85)
    // From anywhere to anywhere.
    XCTAssertTrue(watermark.update(used: 0, capacity: 100))
    XCTAssertEqual(watermark.mark, 0)
    XCTAssertTrue(watermark.update(used: 1, capacity: 1))
    XCTAssertEqual(watermark.mark, 95)
  }
}
