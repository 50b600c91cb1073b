import Foundation
import XCTest

/// `bulkhead explain`, as somebody who types it sees it. That the commands of runbooks exist: OperatorTests.
final class RunbookTests: XCTestCase {
  override func setUpWithError() throws { try Binaries.require() }

  func testAnUnknownNameGetsTheNearest() throws {
    let unknown = try ProcessHandle.run("bulkhead", ["explain", "irq-afinity"])
    XCTAssertEqual(unknown.ending, .exit(1), unknown.transcript)
    XCTAssertTrue(unknown.errors.contains("`irq-affinity`"), unknown.transcript)
    let known = try ProcessHandle.run("bulkhead", ["explain", "exit", "78"])
    XCTAssertEqual(known.ending, .exit(0), known.transcript)
    XCTAssertTrue(known.output.contains("bulkhead config check"), known.transcript)
  }
}
