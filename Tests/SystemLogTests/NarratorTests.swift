import StageRuntime
import Synchronization
import XCTest

/// Notes of a loop become words on another thread.
final class NarratorTests: XCTestCase {
  /// What was said, by whichever thread.
  private final class Said: Sendable {
    private let numbers = Mutex<[UInt64]>([])
    var all: [UInt64] { numbers.withLock { $0 } }
    func add(_ number: UInt64) { numbers.withLock { $0.append(number) } }
  }

  func testEachNoteIsSaidOnceInOrder() {
    let said = Said()
    let narrator = Narrator<UInt64>(component: "test", capacity: 8) { said.add($0) }
    narrator.tellAll()
    XCTAssertEqual(said.all, [])
    for number in 0..<20 as Range<UInt64> {
      narrator.add(number)
      if number % 3 == 2 { narrator.tellAll() }
    }
    narrator.tellAll()
    narrator.tellAll()
    XCTAssertEqual(said.all, Array(0..<20))
  }

  func testWhatHasNoRoomIsLeftOutAndTheRestIsWhole() {
    let said = Said()
    let narrator = Narrator<UInt64>(component: "test", capacity: 4) { said.add($0) }
    for number in 0..<6 as Range<UInt64> { narrator.add(number) }
    narrator.tellAll()
    narrator.add(6)
    narrator.tellAll()
    XCTAssertEqual(said.all, [0, 1, 2, 3, 6], "4 and 5 came when four waited")
  }

  /// A loop that notes as fast as it can and two threads that say: nothing twice, nothing out of order, nothing made up.
  func testTwoThreadsSayWhatOneNotes() throws {
    let said = Said()
    let narrator = Narrator<UInt64>(component: "test", capacity: 64) { said.add($0) }
    let stops = Atomic<Bool>(false)
    let count: UInt64 = 20_000
    DispatchQueue.concurrentPerform(iterations: 3) { role in
      guard role > 0 else {
        for number in 0..<count { narrator.add(number) }
        stops.store(true, ordering: .releasing)
        return
      }
      while !stops.load(ordering: .acquiring) { narrator.tellAll() }
    }
    narrator.tellAll()
    let all = said.all
    XCTAssertEqual(all.first, 0)
    XCTAssertTrue(zip(all, all.dropFirst()).allSatisfy { $0 < $1 }, "\(all.count) of \(count) said")
    XCTAssertTrue(all.allSatisfy { $0 < count })
  }
}
