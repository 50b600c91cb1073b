import XCTest

@testable import Drills

/// When a machine stood still: only what every core had, and never what a process or the kernel did on one.
final class MachineStallsTests: XCTestCase {
  private func stretches(_ ends: (UInt64, UInt64)...) -> [Stretch] {
    ends.map { Stretch(from: $0.0, to: $0.1) }
  }

  func testOnlyWhatEveryCoreHadCounts() {
    XCTAssertEqual(
      MachineStalls(cores: [
        stretches((10, 20), (30, 40), (50, 60)), stretches((5, 12), (18, 35), (39, 55), (70, 80)),
      ]).stretches, stretches((10, 12), (18, 20), (30, 35), (39, 40), (50, 55)))
    XCTAssertEqual(MachineStalls(cores: [stretches((10, 20)), []]).total, 0)
    XCTAssertEqual(MachineStalls(cores: [stretches((10, 20)), stretches((20, 30))]).stretches, [])
    let three = MachineStalls(cores: [
      stretches((0, 100)), stretches((10, 90)), stretches((20, 30), (40, 95)),
    ])
    XCTAssertEqual(three.stretches, stretches((20, 30), (40, 90)))
    XCTAssertEqual(three.total, 60)
    XCTAssertEqual(three.longest, 50)
    XCTAssertEqual(MachineStalls(cores: []).total, 0)
  }

  /// The interrupt came in time and its thread did not, since the machine was held back in between: all cores go on at one instant.
  /// Two that are held up by what runs on them do not.
  func testCoresThatGoOnAtOneInstantStoodStillTogether() {
    let ms: UInt64 = 1_000_000
    let cut = [stretches((10 * ms, 10 * ms + 6_000)), stretches((10 * ms, 43 * ms))]
    func stalls(_ first: UInt64, _ second: UInt64) -> [Stretch] {
      let wakings = [stretches((10 * ms, first)), stretches((10 * ms, second))]
      return MachineStalls(cores: cut, wakings: wakings).stretches
    }
    XCTAssertEqual(stalls(43 * ms + 400_000, 43 * ms), stretches((10 * ms, 43 * ms)))
    XCTAssertEqual(stalls(43 * ms + 600_000, 43 * ms), stretches((10 * ms, 10 * ms + 6_000)))
    let apart = [stretches((1 * ms, 5 * ms)), stretches((2 * ms, 4 * ms), (7 * ms, 9 * ms))]
    XCTAssertEqual(MachineStalls(cores: [[], []], wakings: apart).total, 0)
  }

  func testWithinAStretch() {
    let stalls = MachineStalls(cores: [stretches((10, 20), (30, 40))])
    XCTAssertEqual(stalls.within(Stretch(from: 15, to: 35)), 10)
    XCTAssertEqual(stalls.within(Stretch(from: 20, to: 30)), 0)
    XCTAssertEqual(stalls.within(Stretch(from: 0, to: 100)), 20)
  }

  /// Against every end that there is, one after the other.
  func testTheMostThatAStretchOfALengthMayHave() {
    let stalls = MachineStalls(cores: [stretches((10, 20), (25, 28), (60, 90))])
    for length in [1, 7, 12, 18, 40, 200] as [UInt64] {
      for (earliest, latest) in [(0, 120), (15, 15), (22, 27), (26, 50), (95, 130)] as [(UInt64, UInt64)] {
        let expected = (earliest...latest).map {
          stalls.within(Stretch(from: $0 > length ? $0 - length : 0, to: $0))
        }.max()
        XCTAssertEqual(
          stalls.most(of: length, endingFrom: earliest, to: latest), expected,
          "length \(length), ends \(earliest) to \(latest)")
      }
    }
  }

  func testACoreThatWokeLate() {
    let ms: UInt64 = 1_000_000
    var watch = CoreWatch()
    // What the thread had waited before it was looked at is nothing of this.
    watch.take(due: 1 * ms, woke: 3 * ms, delay: 700 * ms)
    watch.take(due: 4 * ms, woke: 4 * ms + 999_999, delay: 700 * ms)
    XCTAssertEqual(watch.stretches, stretches((1 * ms, 3 * ms)))
    // It waited for its core at the end: that was a process, or a kernel that does not give way.
    watch.take(due: 10 * ms, woke: 40 * ms, delay: 710 * ms)
    XCTAssertEqual(watch.stretches.last, Stretch(from: 10 * ms, to: 30 * ms))
    XCTAssertEqual(watch.wakings.last, Stretch(from: 10 * ms, to: 40 * ms))
    watch.take(due: 50 * ms, woke: 60 * ms, delay: 720 * ms)
    XCTAssertEqual(watch.stretches.count, 2)
    XCTAssertEqual(CoreWatch.due(after: 5 * ms), 6 * ms)
    XCTAssertEqual(CoreWatch.due(after: 5 * ms + 1), 6 * ms)
  }

  func testAWatchThatIsFullSaysSo() {
    var watch = CoreWatch()
    for number in 1...UInt64(CoreWatch.capacity) {
      watch.take(due: number * 10_000_000, woke: number * 10_000_000 + 1_000_000, delay: 0)
    }
    XCTAssertFalse(watch.isFull)
    watch.take(due: 1, woke: 1_000_001, delay: 0)
    XCTAssertTrue(watch.isFull)
    XCTAssertEqual(watch.stretches.count, CoreWatch.capacity)
  }
}
