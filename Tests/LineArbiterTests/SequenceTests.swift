import StageRecords
import XCTest

@testable import LineArbiter

final class SequenceTests: XCTestCase {
  func testInOrderPacketsAreDeliveredAtOnce() {
    var arbiter = LineArbiter(configuration: ArbiterConfiguration())
    XCTAssertEqual(arbiter.receive(source: .lineA, first: 1, count: 3, now: 1), .deliver(skip: 0))
    XCTAssertEqual(arbiter.receive(source: .lineB, first: 1, count: 3, now: 2), .duplicate)
    XCTAssertEqual(arbiter.receive(source: .lineB, first: 4, count: 1, now: 3), .deliver(skip: 0))
    XCTAssertEqual(arbiter.nextSequence, 5)
  }

  /// The stage stores a reason as it is in its gap records.
  func testGiveUpReasonsAreThoseOfTheRecords() {
    XCTAssertEqual(GiveUpReason.retransmissionOff.rawValue, GapReason.retransmissionOff.rawValue)
    XCTAssertEqual(GiveUpReason.retransmissionExhausted.rawValue, GapReason.retransmissionExhausted.rawValue)
    XCTAssertEqual(GiveUpReason.windowExceeded.rawValue, GapReason.windowExceeded.rawValue)
  }
}
