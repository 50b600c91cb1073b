import XCTest

@testable import Supervision

/// Whose fault a wait is: that of somebody else on the core, or the set's own.
final class NeighbourWatchTests: XCTestCase {
  private static let second: UInt64 = 1_000_000_000

  /// One second: what others have of the core, what the stage waits, thousandths both; the core.
  private struct Second {
    var others: UInt64
    var waits: UInt64
    var core = 1
  }

  /// The seconds at which something was told.
  private func changes(_ seconds: [Second]) -> [(second: Int, change: NeighbourWatch.Change)] {
    var watch = NeighbourWatch()
    var delay: UInt64 = 0
    var told: [(Int, NeighbourWatch.Change)] = []
    for (index, second) in ([Second(others: 0, waits: 0)] + seconds).enumerated() {
      delay += second.waits * Self.second / 1_000
      let sample = ProcessSample(
        state: UInt8(ascii: "S"), processorTime: UInt64(index) * 1_000, runDelay: delay,
        slices: UInt64(index) * 100, instant: UInt64(index + 1) * Self.second, processor: second.core)
      let windows = [0, 1, 2].map {
        CoreWindow(
          core: $0, busy: second.others, stolen: 0, others: $0 == second.core ? second.others : 0)
      }
      if let change = watch.take(sample, windows) { told.append((index, change)) }
    }
    return told
  }

  private func repeated(_ count: Int, _ second: Second) -> [Second] { Array(repeating: second, count: count) }

  func testAnEpisodeIsToldOnceWithItsCoreAndOnceWhenItIsOver() {
    let hog = Second(others: 800, waits: 300, core: 2)
    let told = changes(
      repeated(4, Second(others: 50, waits: 5, core: 2)) + repeated(20, hog)
        + repeated(10, Second(others: 50, waits: 5, core: 2)))
    XCTAssertEqual(told.map(\.second), [7, 27])
    XCTAssertEqual(
      told.first?.change,
      .began(
        core: 2, waited: 300_000_000, others: CoreWindow(core: 2, busy: 800, stolen: 0, others: 800)))
    XCTAssertEqual(told.last?.change, .ended(core: 2, windows: 23))
  }

  func testItTakesBothANeighbourAndAWaitOrNearlyTheWholeCore() {
    XCTAssertEqual(changes(repeated(20, Second(others: 500, waits: 50))).count, 1)
    // Others have much, and are in nobody's way.
    XCTAssertEqual(changes(repeated(20, Second(others: 690, waits: 49))).count, 0)
    // It waits for other stages of the set.
    XCTAssertEqual(changes(repeated(20, Second(others: 490, waits: 900))).count, 0)
    XCTAssertEqual(changes(repeated(20, Second(others: 700, waits: 0))).count, 1)
  }

  func testWhatComesAndGoesIsNeitherBegunNorEnded() {
    let calm = Second(others: 0, waits: 0)
    let hog = Second(others: 900, waits: 500)
    XCTAssertEqual(changes((0..<30).map { $0 % 3 == 2 ? calm : hog }).count, 0)
    // Begun; two calm seconds, or a middling one, do not end it.
    let middling = Second(others: 590, waits: 30)
    XCTAssertEqual(
      changes(repeated(3, hog) + (0..<30).map { $0 % 3 == 2 ? hog : calm } + repeated(30, middling)).count,
      1)
  }

  func testAWaitThatIsNotOverCounts() {
    let earlier = ProcessSample(
      state: UInt8(ascii: "S"), processorTime: 5, runDelay: 7, slices: 3, instant: Self.second)
    var now = earlier
    now.state = UInt8(ascii: "R")
    now.instant = 2 * Self.second
    XCTAssertEqual(NeighbourWatch.waited(from: earlier, to: now), Self.second)
    // It sleeps: nothing was given, and nothing wanted.
    now.state = UInt8(ascii: "S")
    XCTAssertEqual(NeighbourWatch.waited(from: earlier, to: now), 0)
    // The end of a long wait is the kernel's to tell: a window holds no more than itself.
    now.runDelay = 7 + 3 * Self.second
    XCTAssertEqual(NeighbourWatch.waited(from: earlier, to: now), Self.second)
  }

  /// Another process begins its counts anew: they say nothing about the second in which it came.
  func testASuccessorsCountsAreItsOwn() {
    var watch = NeighbourWatch()
    func look(_ second: UInt64, delay: UInt64) -> NeighbourWatch.Change? {
      watch.take(
        ProcessSample(
          state: UInt8(ascii: "S"), runDelay: delay, instant: second * Self.second, processor: 0),
        [CoreWindow(core: 0, busy: 600, stolen: 0, others: 600)])
    }
    for second in 1...4 { XCTAssertNil(look(UInt64(second), delay: 0)) }
    watch.begin()
    XCTAssertNil(look(5, delay: 900_000_000))
    XCTAssertNil(look(6, delay: 900_000_000))
    XCTAssertNil(watch.core)
  }

  func testASupervisorThatTakesOverTellsOnlyTheEnd() {
    var watch = NeighbourWatch(core: 3)
    var told: [NeighbourWatch.Change] = []
    for second in 1...8 {
      let others: UInt64 = second < 4 ? 900 : 0
      if let change = watch.take(
        ProcessSample(
          state: UInt8(ascii: "S"), slices: UInt64(second), instant: UInt64(second) * Self.second,
          processor: 3), [CoreWindow(core: 3, busy: others, stolen: 0, others: others)])
      {
        told.append(change)
      }
    }
    XCTAssertEqual(told, [.ended(core: 3, windows: 5)])
  }
}

/// What of a core is the set's own.
final class CoreLoadsTests: XCTestCase {
  private static func stat(_ cores: [[UInt64]]) -> [UInt8] {
    var text = "cpu  9 9 9 9 9 9 9 9 0 0\n"
    for (index, core) in cores.enumerated() {
      text += "cpu\(index) " + core.map(String.init).joined(separator: " ") + " 0 0\n"
    }
    return Array((text + "intr 12345 0 0\nctxt 99\n").utf8)
  }

  func testTheCoresAreReadAndTheirSumIsNot() {
    let times = CoreTimes.all(in: Self.stat([[1, 2, 3, 100, 50, 4, 5, 6], [10, 0, 0, 0, 0, 0, 0, 0]]))
    XCTAssertEqual(
      times,
      [
        CoreTimes(core: 0, busy: 15, stolen: 6, total: 171),
        CoreTimes(core: 1, busy: 10, stolen: 0, total: 10),
      ])
    for text in ["", "cpu0 1 2\n", "cpux 1 2 3 4 5 6 7 8\n", "cpu-1 1 2 3 4 5 6 7 8\n", "\u{0}\n"] {
      XCTAssertEqual(CoreTimes.all(in: Array(text.utf8)), [], text)
    }
  }

  func testTheSetsOwnTimeIsTakenOffTheCoreOnWhichItRan() {
    var loads = CoreLoads()
    func process(_ pid: Int32, _ core: Int, _ ticks: UInt64) -> CoreLoads.Process {
      .init(pid: pid, core: core, ticks: ticks)
    }
    func cores(_ busy: UInt64, _ stolen: UInt64, _ total: UInt64) -> [CoreTimes] {
      [
        CoreTimes(core: 0, busy: busy, stolen: stolen, total: total),
        CoreTimes(core: 1, busy: 0, stolen: 0, total: total),
      ]
    }
    XCTAssertEqual(
      loads.take(cores: cores(0, 0, 1_000), processes: [process(7, 0, 50), process(6, 1, 40)]), [])
    let found = loads.take(
      cores: cores(80, 10, 1_100),
      // One that was not there before is nobody's measure yet.
      processes: [process(7, 0, 70), process(8, 0, 5_000), process(9, 1, 3), process(6, 1, 70)])
    XCTAssertEqual(
      found,
      [
        CoreWindow(core: 0, busy: 900, stolen: 100, others: 700),
        CoreWindow(core: 1, busy: 0, stolen: 0, others: 0),
      ])
    // Counts that go back, and more ticks than there were: nothing below zero, nothing above one.
    XCTAssertEqual(
      loads.take(cores: cores(0, 0, 1_200), processes: [process(7, 0, 9_000)]).map(\.others), [0, 0])
    XCTAssertEqual(
      loads.take(cores: cores(.max, 3, 1_300), processes: []).map(\.busy), [1_000, 0])
  }

  func testAProcessIsReadWithItsCore() {
    let fields = (4...52).map { $0 == 14 ? "120" : $0 == 15 ? "30" : $0 == 39 ? "3" : "0" }
    let stat = Array(("42 (a) b) R " + fields.joined(separator: " ") + "\n").utf8)
    let sample = ProcessSample(stat: stat, schedstat: Array("5 6 7\n".utf8), cpuStat: [], instant: 9)
    XCTAssertEqual(sample.processor, 3)
    XCTAssertEqual(sample.ticks, 150)
    XCTAssertFalse(sample.isRealTime)
    let cut = ProcessSample(stat: Array("42 (a) R 1 2 3\n".utf8), schedstat: [], cpuStat: [], instant: 9)
    XCTAssertEqual(cut.processor, -1)
    XCTAssertEqual(cut.ticks, 0)
  }
}
