import Foundation
import XCTest

@testable import ShmRing
@testable import StageRuntime

/// What others read of a process on its page.
final class ControlPageTests: XCTestCase {
  /// The kernel marks the page when its holder ends, without the holder's help.
  func testADeathIsMarkedByTheKernel() throws {
    let fixture = try ToolFixture()
    try ControlPage.create(directory: fixture.directory, component: "bookd", configurationHash: 1)
    let seen = try ControlPage.attach(directory: fixture.directory, component: "bookd", access: .readOnly)
    let writer = try Box(fixture.directory)
    for _ in 0..<2 {
      // A thread stands for a process: to the kernel the end of either is the same.
      let holds = DispatchSemaphore(value: 0)
      let mayEnd = DispatchSemaphore(value: 0)
      let holder = Thread {
        XCTAssertTrue(writer.page.holdLife())
        holds.signal()
        mayEnd.wait()
      }
      holder.start()
      holds.wait()
      XCTAssertFalse(seen.isDying, "a predecessor's mark is gone once there is a successor")
      mayEnd.signal()
      let deadline = Date() + 20
      while !seen.isDying, Date() < deadline { usleep(1_000) }
      XCTAssertTrue(seen.isDying)
    }
  }

  /// A page that stays mapped longer than its holder lives.
  private final class Box: @unchecked Sendable {
    let page: ControlPage
    init(_ directory: String) throws {
      page = try ControlPage.attach(directory: directory, component: "bookd", access: .readWrite)
    }
  }

  func testTimesAreThoseOfThePresentIncarnation() throws {
    let fixture = try ToolFixture()
    try ControlPage.create(directory: fixture.directory, component: "bookd", configurationHash: 1)
    let page = try ControlPage.attach(directory: fixture.directory, component: "bookd", access: .readWrite)
    page.beginIncarnation()
    XCTAssertEqual(page.readyTime, 0)
    page.setState(.ready)
    let ready = page.readyTime
    XCTAssertGreaterThanOrEqual(ready, page.beganTime)
    XCTAssertGreaterThan(page.beganTime, 0)
    usleep(2_000)
    page.beat()
    XCTAssertGreaterThanOrEqual(page.longestBeatGap, 2_000_000)
    page.setState(.draining)
    page.setState(.ready)
    XCTAssertEqual(page.readyTime, ready, "the first READY counts")
    page.beginIncarnation()
    XCTAssertEqual(page.readyTime, 0)
    XCTAssertEqual(page.longestBeatGap, 0)
    XCTAssertGreaterThan(page.beganTime, ready)
  }
}
