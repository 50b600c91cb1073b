import Supervision
import XCTest

final class SupervisionTests: XCTestCase {
  func testBudgetSlides() {
    var budget = RestartBudget(limit: 3, windowNanoseconds: 60)
    XCTAssertTrue(budget.allowsRestart(now: 0))
    XCTAssertTrue(budget.allowsRestart(now: 10))
    XCTAssertTrue(budget.allowsRestart(now: 20))
    XCTAssertFalse(budget.allowsRestart(now: 59))
    XCTAssertTrue(budget.allowsRestart(now: 60), "the restart at 0 no longer counts")
    XCTAssertFalse(budget.allowsRestart(now: 69))
    XCTAssertTrue(budget.allowsRestart(now: 70))
  }

  func testPermanentCausesAreNeverRetried() {
    for code in [64, 78] as [Int32] {
      var component = ComponentSupervision(
        neverRestarts: false, budget: RestartBudget(limit: 3, windowNanoseconds: 60))
      guard case .halt = component.died(ExitCause(exitCode: code, signal: 0), now: 0) else {
        return XCTFail("code \(code) was retried")
      }
      XCTAssertTrue(component.budget.restarts.isEmpty)
    }
  }

  func testDeathsAreRestartedUpToTheLimit() {
    var component = ComponentSupervision(
      neverRestarts: false, budget: RestartBudget(limit: 2, windowNanoseconds: 1_000_000_000))
    XCTAssertEqual(component.died(.killed, now: 1), .restart)
    XCTAssertEqual(component.died(.trap(signal: 4), now: 2), .restart)
    XCTAssertEqual(component.died(.killed, now: 3), .halt(reason: "2 restarts within 1 s are used up"))
    var never = ComponentSupervision(
      neverRestarts: true, budget: RestartBudget(limit: 2, windowNanoseconds: 1))
    XCTAssertEqual(never.died(.killed, now: 1), .halt(reason: "restart policy is halt"))
  }

  func testCausesAreToldApart() {
    XCTAssertEqual(ExitCause(exitCode: 0, signal: 0), .requested)
    XCTAssertEqual(ExitCause(exitCode: 1, signal: 0), .failed(code: 1))
    XCTAssertEqual(ExitCause(exitCode: nil, signal: 4), .trap(signal: 4))
    XCTAssertEqual(ExitCause(exitCode: nil, signal: 5), .trap(signal: 5))
    XCTAssertEqual(ExitCause(exitCode: nil, signal: 6), .aborted)
    XCTAssertEqual(ExitCause(exitCode: nil, signal: 9), .killed)
    XCTAssertEqual(ExitCause(exitCode: nil, signal: 11), .signalled(signal: 11))
    XCTAssertEqual(ExitCause(exitCode: nil, signal: 0), .unknown)
  }
}
