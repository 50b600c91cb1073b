import XCTest

@testable import Glimpse

final class ReferenceSetTests: XCTestCase {
  /// A set that was cleared in pieces of any size, to the end or not, is as a new one when all of it is removed.
  func testClearingInPieces() {
    for (slots, pieces) in [(1, 5), (7, 100), (1 << 20, 1), (100, 0)] {
      let note = "\(pieces) pieces of \(slots)"
      var set = ReferenceSet(capacity: 300)
      for round in 0..<3 as Range<UInt64> {
        for reference in 0..<300 as Range<UInt64> {
          XCTAssertEqual(set.insert(reference &* 7 &+ round), .inserted, "\(note), \(round), \(reference)")
        }
        XCTAssertEqual(set.insert(1_000_000), .full, note)
        var isDone = false
        for _ in 0..<pieces where !isDone { isDone = set.removePiece(slots: slots) }
        if slots * pieces >= 512 { XCTAssertTrue(isDone, note) }
        set.removeAll()
        for reference in 0..<3_000 as Range<UInt64> {
          XCTAssertFalse(set.contains(reference), "\(note), \(round), \(reference)")
        }
      }
    }
  }
}
