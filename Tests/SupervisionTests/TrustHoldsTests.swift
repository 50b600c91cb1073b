import Supervision
import XCTest

/// When a stream that was marked stale may be believed again. 0 is merged, 1 is bookd, which reads 0.
final class TrustHoldsTests: XCTestCase {
  private func holds() -> TrustHolds { TrustHolds(successors: [[1], []]) }

  func testItIsStaleUntilTheSuccessorHasReadWhatThereWas() {
    var holds = holds()
    XCTAssertFalse(holds.isStale)
    XCTAssertTrue(holds.fail(1))
    XCTAssertFalse(holds.fail(1), "it was stale already")
    XCTAssertFalse(holds.look(1, isWell: false, position: 500, frontier: 500), "not READY")
    XCTAssertFalse(holds.look(1, isWell: true, position: 500, frontier: 900), "READY, behind")
    // The stream goes on; what counts is what there was when it became READY.
    XCTAssertFalse(holds.look(1, isWell: true, position: 899, frontier: 5_000))
    XCTAssertTrue(holds.isStale)
    XCTAssertTrue(holds.look(1, isWell: true, position: 900, frontier: 6_000))
    XCTAssertFalse(holds.isStale)
    XCTAssertFalse(holds.look(1, isWell: true, position: 900, frontier: 6_000), "told once")
  }

  func testAFailureWhileCatchingUpBeginsAnew() {
    var holds = holds()
    _ = holds.fail(1)
    _ = holds.look(1, isWell: true, position: 0, frontier: 100)
    XCTAssertFalse(holds.look(1, isWell: false, position: 100, frontier: 200))
    XCTAssertFalse(holds.look(1, isWell: true, position: 100, frontier: 300))
    XCTAssertFalse(holds.look(1, isWell: true, position: 299, frontier: 400))
    XCTAssertTrue(holds.look(1, isWell: true, position: 300, frontier: 400))
  }

  /// What merged has just brought, bookd has not read yet.
  func testThoseBehindHoldOn() {
    var holds = holds()
    _ = holds.fail(0)
    XCTAssertFalse(holds.look(1, isWell: true, position: 0, frontier: 10), "it did not hold")
    XCTAssertFalse(holds.look(0, isWell: true, position: 50, frontier: 50))
    XCTAssertTrue(holds.isStale)
    XCTAssertTrue(holds.isHeld(by: 1))
    XCTAssertFalse(holds.look(1, isWell: true, position: 10, frontier: 70))
    XCTAssertTrue(holds.look(1, isWell: true, position: 70, frontier: 90))
  }

  func testTwoHoldsAreTwo() {
    var holds = holds()
    XCTAssertTrue(holds.fail(0))
    XCTAssertFalse(holds.fail(1))
    XCTAssertFalse(holds.look(0, isWell: true, position: 5, frontier: 5))
    XCTAssertFalse(holds.look(1, isWell: false, position: 5, frontier: 5))
    XCTAssertTrue(holds.look(1, isWell: true, position: 5, frontier: 5))
    XCTAssertTrue(holds.fail(0), "and once more")
  }
}
