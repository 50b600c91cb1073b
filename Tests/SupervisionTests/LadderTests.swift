import Supervision
import XCTest

/// The ladder and the supervisor's clock, scan by scan, without processes. Ages in milliseconds.
final class LadderTests: XCTestCase {
  private static let millisecond: UInt64 = 1_000_000
  private static let thresholds = LivenessThresholds(
    mark: 10 * millisecond, alarm: 100 * millisecond, fence: 1_000 * millisecond)

  /// A component that is looked at each millisecond.
  private struct Scene {
    var ladder: LivenessLadder
    var reading: LivenessReading
    var milliseconds = 0
    var changes: [String] = []

    init(owing: UInt64? = nil, isReady: Bool = true) {
      ladder = LivenessLadder(
        thresholds: LadderTests.thresholds,
        startThresholds: .starting(limit: 2_000 * LadderTests.millisecond), progressThatOwesOutput: owing)
      reading = LivenessReading(epoch: 5, beats: 1, progress: 0, backlog: 0, isReady: isReady)
      ladder.begin(after: 4)
      look()
      milliseconds = 0
    }

    mutating func look(step: UInt64 = LadderTests.millisecond) {
      milliseconds += 1
      if let change = ladder.scan(reading, step: step) {
        changes.append("\(milliseconds) \(change.tier.name) \(change.missing.name)")
        if change.tier != .clear {
          XCTAssertEqual(change.age / LadderTests.millisecond, age(of: change), "age of \(changes)")
        }
      }
    }

    private func age(of change: LadderChange) -> UInt64 {
      let limits = change.missing == .start ? ladder.startThresholds : ladder.thresholds
      switch change.tier {
      case .mark: return limits.mark / LadderTests.millisecond
      case .alarm: return limits.alarm / LadderTests.millisecond
      default: return limits.fence / LadderTests.millisecond
      }
    }

    /// Looks for that many milliseconds, with `change` before each look.
    mutating func pass(_ count: Int, _ change: (inout LivenessReading) -> Void = { _ in }) {
      for _ in 0..<count {
        change(&reading)
        look()
      }
    }
  }

  func testEachTierComesAtItsAgeAndOnce() {
    var scene = Scene()
    scene.pass(3_000)
    XCTAssertEqual(scene.changes, ["10 mark beat", "100 alarm beat", "1000 fence beat"])
  }

  func testAComponentThatWorksClimbsNothing() {
    var scene = Scene()
    scene.pass(5_000) { reading in
      // A beat each 9 ms, progress that comes late but comes, input all the time.
      if reading.backlog % 9 == 0 { reading.beats += 1 }
      if reading.backlog % 8 == 0 { reading.progress += 1 }
      reading.backlog += 1
    }
    XCTAssertEqual(scene.changes, [])
  }

  func testAPauseBelowATierFiresOnlyTheLower() {
    for (pause, expected) in [(9, []), (60, ["mark"]), (99, ["mark"]), (150, ["mark", "alarm"])] {
      var scene = Scene()
      scene.pass(pause)
      scene.pass(500) { $0.beats += 1 }
      let tiers = scene.changes.map { String($0.split(separator: " ")[1]) }
      XCTAssertEqual(tiers, expected + (expected.isEmpty ? [] : ["clear"]), "pause of \(pause) ms")
    }
  }

  /// What flickers is one alarm, not many.
  func testItClearsOnlyAfterACalm() {
    var scene = Scene()
    scene.pass(150)
    for _ in 0..<20 {
      scene.pass(1) { $0.beats += 1 }
      scene.pass(12)
    }
    XCTAssertEqual(scene.changes, ["10 mark beat", "100 alarm beat"])
    let before = scene.milliseconds
    scene.pass(25) { $0.beats += 1 }
    XCTAssertEqual(scene.changes.last, "\(before + 20) clear beat")
  }

  func testALoopThatBeatsAndTakesNothingClimbsOverProgress() {
    var scene = Scene()
    scene.pass(500) { $0.beats += 1 }
    XCTAssertEqual(scene.changes, [], "no input, no progress owed")
    scene.milliseconds = 0
    scene.pass(1_200) {
      $0.beats += 1
      $0.backlog = 7
    }
    XCTAssertEqual(scene.changes, ["10 mark progress", "100 alarm progress", "1000 fence progress"])
  }

  func testAHaltedComponentOwesNoProgressButBeats() {
    var scene = Scene()
    scene.pass(500) {
      $0.isHalted = true
      $0.backlog = 7
      $0.beats += 1
    }
    XCTAssertEqual(scene.changes, [])
    scene.milliseconds = 0
    scene.pass(120)
    XCTAssertEqual(scene.changes, ["10 mark beat", "100 alarm beat"])
  }

  /// Progress is said, and nothing comes out.
  func testProgressThatYieldsNothingIsCaught() {
    var scene = Scene(owing: 64)
    scene.pass(300) {
      $0.beats += 1
      $0.progress += 1
      if $0.progress % 64 == 63 { $0.output += 1 }
    }
    XCTAssertEqual(scene.changes, [], "one output for 64 steps is what is owed")
    scene.milliseconds = 0
    scene.pass(2_000) {
      $0.beats += 1
      $0.progress += 1
      $0.backlog = 1
    }
    XCTAssertEqual(
      scene.changes.map { $0.split(separator: " ").dropFirst().joined(separator: " ") },
      ["mark output", "alarm output", "fence output"])
  }

  func testBeatsOfAnotherIncarnationCountForNothing() {
    var scene = Scene()
    // A stranger beats on our component's page.
    scene.pass(1_200) {
      $0.epoch = 9
      $0.beats += 1
      $0.progress += 1
    }
    XCTAssertEqual(scene.changes, ["10 mark beat", "100 alarm beat", "1000 fence beat"])
  }

  /// After a start, the predecessor's page, however lively, is not the successor.
  func testAPredecessorsBeatsAreNoStart() {
    var scene = Scene()
    scene.ladder.begin(after: 5)
    scene.pass(2_100) {
      $0.beats += 1
      $0.progress += 1
    }
    XCTAssertEqual(scene.changes, ["500 mark start", "1000 alarm start", "2000 fence start"])
  }

  func testAStartThatHangsIsFencedAndOneThatMovesIsNot() {
    var hanging = Scene(isReady: false)
    hanging.pass(2_100) { $0.beats += 1 }
    XCTAssertEqual(hanging.changes, ["500 mark start", "1000 alarm start", "2000 fence start"])
    var moving = Scene(isReady: false)
    // A rebuild of ten seconds that gets on each 400 ms.
    moving.pass(10_000) { reading in
      reading.backlog += 1
      if reading.backlog % 400 == 0 { reading.progress += 1 }
    }
    XCTAssertEqual(moving.changes, [])
    moving.reading.isReady = true
    moving.pass(5) {
      $0.beats += 1
      $0.progress += 1
    }
    moving.milliseconds = 0
    moving.pass(120)
    XCTAssertEqual(moving.changes, ["10 mark beat", "100 alarm beat"], "READY is held to the ladder itself")
  }

  func testAFenceStandsUntilASuccessorBegins() {
    var scene = Scene()
    scene.pass(1_001)
    scene.changes = []
    scene.pass(500) { $0.beats += 1 }
    XCTAssertEqual(scene.changes, [], "the condemned beats again")
    scene.ladder.end()
    scene.pass(5_000)
    XCTAssertEqual(scene.changes, [], "nobody is there")
    scene.ladder.begin(after: 5)
    scene.reading.epoch = 6
    scene.pass(50) { $0.beats += 1 }
    XCTAssertEqual(scene.changes, [])
    XCTAssertEqual(scene.ladder.tier, .clear)
  }

  func testAFenceThatIsPutOffComesAgain() {
    var scene = Scene()
    scene.pass(1_000)
    scene.ladder.postponeFence()
    scene.changes = []
    scene.pass(1_000)
    XCTAssertEqual(scene.changes, ["1900 fence beat"])
  }

  /// However long a step, no tier is skipped.
  func testTiersAreClimbedOneByOne() {
    var scene = Scene()
    let tiers = (0..<4).compactMap { _ in scene.ladder.scan(scene.reading, step: 5_000_000_000)?.tier }
    XCTAssertEqual(tiers, [.mark, .alarm, .fence])
  }

  // MARK: The supervisor's own time

  func testALongStepCountsForLittle() {
    var clock = WatchClock(longestStep: 20)
    XCTAssertEqual(clock.step(to: 1_000), 0)
    XCTAssertEqual(clock.step(to: 1_003), 3)
    XCTAssertEqual(clock.step(to: 1_003), 0, "it stands still")
    XCTAssertEqual(clock.step(to: 900), 0, "it went back")
    XCTAssertEqual(clock.step(to: 905), 5)
    XCTAssertEqual(clock.step(to: 925), 20)
    XCTAssertEqual(clock.lateScans, 0)
    XCTAssertEqual(clock.step(to: 5_000_000), 20)
    XCTAssertEqual(clock.lateScans, 1)
    XCTAssertEqual(clock.longestGap, 4_999_075)
  }

  /// The machine stood still for an hour, supervisor and all: everybody is as old as before, and shows life next.
  func testAStarvedSupervisorTakesNobodyForDead() {
    var clock = WatchClock(longestStep: 5 * Self.millisecond)
    var scene = Scene()
    var now: UInt64 = 0
    _ = clock.step(to: now)
    for round in 0..<50 {
      now += 3_600_000 * Self.millisecond
      scene.look(step: clock.step(to: now))
      for _ in 0..<4 {
        now += Self.millisecond
        scene.look(step: clock.step(to: now))
      }
      scene.reading.beats += 1
      XCTAssertEqual(scene.changes, [], "round \(round)")
    }
  }
}
