import StageRuntime
import XCTest

/// Memory that a successor left for later: piece by piece, never two in a row, until there is no more.
final class MemoryPaceTests: XCTestCase {
  func testOnePieceAtATimeUntilThereAreNoMore() {
    var pace = MemoryPace(isLater: true)
    var taken: [UInt64] = []
    for now in stride(from: UInt64(7_000_000), through: 60_000_000, by: 1_000_000) where pace.isDue(now) {
      taken.append(now)
      pace.took(hasMore: taken.count < 4, now)
    }
    XCTAssertEqual(taken, [7_000_000, 12_000_000, 17_000_000, 22_000_000])
    XCTAssertTrue(pace.isOver)
  }

  func testNothingIsLeftForLater() {
    let pace = MemoryPace(isLater: false)
    XCTAssertTrue(pace.isOver)
    XCTAssertFalse(pace.isDue(.max))
  }
}
