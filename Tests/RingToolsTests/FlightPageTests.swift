import Foundation
import XCTest

@testable import ShmRing
@testable import StageRuntime

/// The pages on which a process leaves its last steps, and its supervisor its deaths.
final class FlightPageTests: XCTestCase {
  private func control(_ fixture: ToolFixture, _ component: String = "bookd") throws -> ControlPageBox {
    try ControlPage.create(directory: fixture.directory, component: component, configurationHash: 1)
    try FlightPage.create(directory: fixture.directory, component: component)
    return try ControlPageBox(fixture.directory, component)
  }

  final class ControlPageBox {
    let page: ControlPage
    init(_ directory: String, _ component: String) throws {
      page = try ControlPage.attach(directory: directory, component: component, access: .readWrite)
    }
  }

  private func flight(_ fixture: ToolFixture) throws -> FlightPage {
    try FlightPage.attach(directory: fixture.directory, component: "bookd", access: .readOnly)
  }

  /// docs/MEMORY_LAYOUT.md, word by word.
  func testTheLayoutIsTheDocumentedOne() throws {
    let fixture = try ToolFixture()
    let box = try control(fixture)
    let recorder = box.page.flight
    for _ in 0..<10 { box.page.beginIncarnation() }
    for number in 1...70 as ClosedRange<UInt64> {
      recorder.step(.applied, count: number, 1_000 + number, 2_000 + number, at: 5_000 + number)
    }
    recorder.doing(.applying, 77)
    recorder.step(.synchronized, 3, 4, at: 99, lane: .disk)
    recorder.noteExit("no room", code: 78)
    let bytes = try XCTUnwrap(fixture.contents()["bookd.flight"])
    func word(_ offset: Int) -> UInt64 {
      bytes.subdata(in: offset..<offset + 8).withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
    }
    XCTAssertEqual(bytes.count, 0x1000 + 8 * 0x3000)
    XCTAssertEqual(word(0), 0x5448_474C_4B4C_4231)
    XCTAssertEqual([word(8), word(0x10), word(0x18)], [1, 8, 0x3000])
    XCTAssertEqual(String(decoding: bytes[0x30..<0x35], as: UTF8.self), "bookd")
    let slot = 0x1000 + 2 * 0x3000
    XCTAssertEqual(word(slot), 10, "epoch 10 lies in slot 2")
    XCTAssertEqual(word(slot + 8), UInt64(getpid()))
    XCTAssertEqual(word(slot + 0xC0), 79, "1 + exit code")
    XCTAssertEqual(word(slot + 0xC8), 7)
    XCTAssertEqual(String(decoding: bytes[slot + 0x100..<slot + 0x107], as: UTF8.self), "no room")
    XCTAssertEqual(word(slot + 0x440), 70, "steps of lane 1")
    XCTAssertEqual(word(slot + 0x448), 53 << 48 | 77, "what lane 1 was doing")
    // Step 69, the seventieth, lies where the sixth was.
    let step = slot + 0x1000 + 0x800 + 5 * 32
    XCTAssertEqual(
      [word(step), word(step + 8), word(step + 16), word(step + 24)], [5_070, 52 << 48 | 70, 1_070, 2_070])
    XCTAssertEqual(word(slot + 0x480), 1, "steps of lane 2")
    XCTAssertEqual(word(slot + 0x1000 + 2 * 0x800), 99)
  }

  /// Steps outlive the successor's start, and nothing of it gets among them; eight incarnations are kept.
  func testEachIncarnationKeepsItsOwnSteps() throws {
    let fixture = try ToolFixture()
    let box = try control(fixture)
    for epoch in 1...11 as ClosedRange<UInt64> {
      box.page.beginIncarnation()
      box.page.setState(.ready)
      for turn in 0..<epoch { box.page.flight.step(.applied, count: turn, epoch, turn, at: turn) }
    }
    let page = try flight(fixture)
    XCTAssertEqual(page.epochs, Array(4...11))
    XCTAssertNil(page.record(of: 3), "its slot is epoch 11's")
    XCTAssertNil(page.record(of: 0))
    XCTAssertNil(page.record(of: 12))
    for epoch in page.epochs {
      let record = try XCTUnwrap(page.record(of: epoch))
      XCTAssertEqual(record.pid, getpid())
      let once = record.steps.filter { $0.lane == .milestones }.map(\.words)
      XCTAssertEqual(once, ["began as process \(getpid()), epoch \(epoch)", "state READY"])
      let turns = record.steps.filter { $0.lane == .loop }
      XCTAssertEqual(turns.map(\.second), Array(0..<epoch), "epoch \(epoch)")
      XCTAssertTrue(turns.allSatisfy { $0.first == epoch && $0.code == FlightStep.applied.rawValue })
      XCTAssertEqual(record.stepCounts, [2, epoch, 0, 0])
    }
  }

  /// The process dies while it writes a step over its oldest one: what is shown is whole.
  func testAStepThatIsHalfWrittenIsNotShown() throws {
    let fixture = try ToolFixture()
    let box = try control(fixture)
    box.page.beginIncarnation()
    for turn in 0..<100 as Range<UInt64> { box.page.flight.step(.applied, count: 1, turn, turn, at: turn) }
    // The words of step 100 come before the count that shows it.
    let place = 0x1000 + 0x3000 + 0x1000 + 0x800 + (100 % 64) * 32
    try fixture.scribble(0xDEAD, "bookd.flight", at: place)
    try fixture.scribble(0xDEAD, "bookd.flight", at: place + 16)
    let turns = try XCTUnwrap(try flight(fixture).record(of: 1)).steps.filter { $0.lane == .loop }
    XCTAssertEqual(turns.map(\.first), Array(37..<100))
    XCTAssertEqual(turns.map(\.number), Array(37..<100))
  }

  /// Lanes are told together in the order of time; within a lane the order is that of writing.
  func testLanesAreToldInTheOrderOfTime() throws {
    let fixture = try ToolFixture()
    let box = try control(fixture)
    box.page.beginIncarnation()
    let recorder = box.page.flight
    recorder.step(.chunkWritten, count: 1, at: 20, lane: .disk)
    recorder.step(.recorded, count: 2, at: 10)
    recorder.step(.recorded, count: 3, at: 30)
    let steps = try XCTUnwrap(try flight(fixture).record(of: 1)).steps.filter { $0.lane != .milestones }
    XCTAssertEqual(steps.map(\.count), [2, 1, 3])
  }

  /// A set without the page, or with a damaged one: nothing is recorded, and everything else works.
  func testWithoutAPageNothingIsRecorded() throws {
    let fixture = try ToolFixture()
    try ControlPage.create(directory: fixture.directory, component: "bookd", configurationHash: 1)
    let without = try ControlPageBox(fixture.directory, "bookd")
    XCTAssertFalse(without.page.flight.isRecording)
    without.page.beginIncarnation()
    without.page.flight.doing(.asleep)
    without.page.flight.step(.applied, at: 1)
    XCTAssertEqual(without.page.epoch, 1)
    try FlightPage.create(directory: fixture.directory, component: "bookd")
    try fixture.scribble(1, "bookd.flight", at: 0)
    XCTAssertFalse(try ControlPageBox(fixture.directory, "bookd").page.flight.isRecording)
    // Nobody but the owner records.
    try FlightPage.create(directory: fixture.directory, component: "bookd")
    let reader = try ControlPage.attach(directory: fixture.directory, component: "bookd", access: .readOnly)
    XCTAssertFalse(reader.flight.isRecording)
  }

  /// Numbers of steps stand in files: no two are one, and each says something.
  func testEveryStepHasItsNumberAndItsWords() {
    XCTAssertEqual(Set(FlightStep.allCases.map(\.rawValue)).count, FlightStep.allCases.count)
    for step in FlightStep.allCases {
      let words = FlightStep.words(step.rawValue, count: 1, 2, 3)
      XCTAssertFalse(words.hasPrefix("step "), "\(step) has no words: \(words)")
    }
    XCTAssertEqual(FlightStep.words(9_999, count: 1, 2, 3), "step 9999: 1, 2, 3")
  }

  // MARK: Deaths

  private func death(_ epoch: UInt64) -> DeathRecord {
    var death = DeathRecord()
    (death.epoch, death.pid, death.instant) = (epoch, Int32(40 + epoch), 1_000 * epoch)
    (death.cause, death.causeNumber, death.supervisorEpoch) = (4, -7, 2)
    (death.state, death.beats, death.beatTime, death.began) = (3, 9, 990 * epoch, 500 * epoch)
    (death.ready, death.longestBeatGap, death.appliedSequence, death.backlog) = (600, 5, 123_456, 8)
    death.rings = [
      RingStand(ring: "merged", isReader: true, position: 10, published: 30),
      RingStand(ring: "book", isReader: false, position: 99, published: 99),
    ]
    return death
  }

  func testTheLastDeathsAreKept() throws {
    let fixture = try ToolFixture()
    try DeathPage.create(directory: fixture.directory, component: "bookd")
    let page = try DeathPage.attach(directory: fixture.directory, component: "bookd", access: .readWrite)
    XCTAssertEqual(page.deaths(), [])
    for epoch in 1...11 as ClosedRange<UInt64> { page.add(death(epoch)) }
    XCTAssertEqual(page.count, 11)
    let wanted = (4...11 as ClosedRange<UInt64>).map { epoch in
      var death = death(epoch)
      death.number = epoch - 1
      return death
    }
    XCTAssertEqual(page.deaths(), wanted)
    let bytes = try XCTUnwrap(fixture.contents()["bookd.deaths"])
    func word(_ offset: Int) -> UInt64 {
      bytes.subdata(in: offset..<offset + 8).withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
    }
    XCTAssertEqual(bytes.count, 0x2000)
    XCTAssertEqual([word(0), word(8), word(0x10)], [0x5348_5444_4B4C_4231, 1, 11])
    // Number 10, the eleventh.
    let slot = 0x200 + 2 * 0x200
    XCTAssertEqual((0..<6).map { word(slot + 8 * $0) }, [11, 11, 51, 11_000, 4 << 32 | 0xFFFF_FFF9, 2])
    XCTAssertEqual((0..<8).map { word(slot + 0x40 + 8 * $0) }, [3, 9, 10_890, 5_500, 600, 5, 123_456, 8])
    XCTAssertEqual((0..<3).map { word(slot + 0x80 + 8 * $0) }, [1, 10, 30])
    XCTAssertEqual(String(decoding: bytes[slot + 0x98..<slot + 0x9E], as: UTF8.self), "merged")
    XCTAssertEqual((0..<3).map { word(slot + 0xC0 + 8 * $0) }, [2, 99, 99])
    XCTAssertEqual(word(slot + 0x100), 0)
  }

  /// A supervisor that dies while it writes leaves no half of a death.
  func testADeathThatIsHalfWrittenIsNotShown() throws {
    let fixture = try ToolFixture()
    try DeathPage.create(directory: fixture.directory, component: "bookd")
    let page = try DeathPage.attach(directory: fixture.directory, component: "bookd", access: .readWrite)
    page.add(death(1))
    page.add(death(2))
    try fixture.scribble(0, "bookd.deaths", at: 0x400)
    XCTAssertEqual(page.deaths().map(\.epoch), [1])
    page.add(death(3))
    XCTAssertEqual(page.deaths().map(\.epoch), [1, 3])
  }
}
