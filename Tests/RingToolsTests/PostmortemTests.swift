import Foundation
import SetInspection
import XCTest

@testable import ShmRing
@testable import StageRuntime
@testable import Supervision
@testable import bulkhead

/// `bulkhead postmortem` on pages as a set's processes leave them, and on what is none.
final class PostmortemTests: XCTestCase {
  private func postmortem(
    _ fixture: ToolFixture, _ arguments: String...
  ) throws -> (lines: [String], said: [String], code: Int32) {
    let options = try PostmortemOptions.parse(arguments + ["--run-directory", fixture.runDirectory])
    let sink = Sink()
    var said: [String] = []
    let code = PostmortemCommand(
      options: options, output: sink.output, clockOffset: 36_000_000_000_000, say: { said.append($0) }
    ).run()
    return (sink.text.split(separator: "\n").map(String.init), said, code)
  }

  /// A book stage whose first incarnation died in a trap, and whose second lives (or not).
  private func fixture(isAlive: Bool = true) throws -> ToolFixture {
    let fixture = try ToolFixture()
    try fixture.makeRing("merged", readers: ["bookd"])
    try fixture.makeRing("book")
    for component in ["bookd", "merged"] {
      try FlightPage.create(directory: fixture.directory, component: component)
      try DeathPage.create(directory: fixture.directory, component: component)
      try ControlPage.create(
        directory: fixture.directory, component: component,
        configurationHash: ToolFixture.configurationHash)
    }
    let page = try ControlPage.attach(directory: fixture.directory, component: "bookd", access: .readWrite)
    page.beginIncarnation()
    let slot = 0x1000 + 0x3000
    // As another process, at other instants.
    try fixture.scribble(4_711, "bookd.flight", at: slot + 8)
    try fixture.scribble(1_000_000_000, "bookd.flight", at: slot + 0x18)
    let recorder = page.flight
    try fixture.scribble(0, "bookd.flight", at: slot + 0x400)
    recorder.step(.state, StageState.ready.rawValue, at: 1_200_000_000, lane: .milestones)
    recorder.step(.applied, count: 16, 5_001, 6_000, at: 2_999_000_000)
    recorder.step(.applied, count: 3, 5_004, 6_003, at: 2_999_800_000)
    recorder.doing(.applying, 5_004)
    for (index, word) in [4, 2, 0x4321, 0x4321, 0, 2_999_900_000].enumerated() {
      try fixture.scribble(UInt64(word), "bookd.flight", at: slot + 0x40 + 8 * index)
    }
    let deaths = try DeathPage.attach(
      directory: fixture.directory, component: "bookd", access: .readWrite)
    var death = DeathRecord()
    (death.epoch, death.pid, death.instant) = (1, 4_711, 3_000_000_000)
    (death.cause, death.causeNumber) = (ExitCause.trap(signal: 4).code, 4)
    (death.state, death.beats, death.beatTime) = (StageState.ready.rawValue, 1_234, 2_999_800_000)
    (death.began, death.ready, death.longestBeatGap) = (1_000_000_000, 1_200_000_000, 3_500_000)
    (death.appliedSequence, death.backlog) = (5_003, 0)
    death.rings = [
      RingStand(ring: "merged", isReader: true, position: 6_003, published: 7_100),
      RingStand(ring: "book", isReader: false, position: 15_000, published: 15_000),
    ]
    deaths.add(death)
    page.beginIncarnation()
    if !isAlive { page.word(0x10).storeRelaxed(UInt64(try ToolFixture.endedProcess())) }
    return fixture
  }

  private static let wanted = [
    "bookd of \"demo\", epoch 1, process 4711: trap (signal 4)",
    "  cause     SIGILL at instruction 0x4321",
    "  lived     2.00 s, from 10:00:01.000000, READY after 200.00 ms, dead at 10:00:03.000000",
    "  beats     1,234 in all epochs, the last 200.00 µs before, longest gap 3.50 ms",
    "  state     READY, applied sequence 5,003",
    "  ring      read merged up to cell 6,003 of 7,100: 1,097 behind",
    "  ring      wrote book up to cell 15,000",
    "  was       applying messages from sequence 5004 on",
    "  last 3 of 3 steps, before its death was confirmed:",
    "    -1.80 s       state READY",
    "    -1.00 ms      applied 16 messages; next sequence 5001, merged ring at 6000",
    "    -200.00 µs    applied 3 messages; next sequence 5004, merged ring at 6003",
  ]

  func testADeathInFull() throws {
    let fixture = try fixture()
    for arguments in [["bookd"], ["demo", "bookd"]] {
      let options = try PostmortemOptions.parse(arguments + ["--run-directory", fixture.runDirectory])
      let sink = Sink()
      let command = PostmortemCommand(
        options: options, output: sink.output, clockOffset: 36_000_000_000_000, say: { XCTFail($0) })
      XCTAssertEqual(command.run(), 0)
      XCTAssertEqual(sink.lines, Self.wanted, "\(arguments)")
    }
    XCTAssertEqual(try postmortem(fixture, "bookd", "--epoch", "1").lines, Self.wanted)
    XCTAssertEqual(
      try postmortem(fixture, "bookd", "--steps", "1").lines.suffix(2),
      [
        "  last 1 of 3 steps, before its death was confirmed:",
        "    -200.00 µs    applied 3 messages; next sequence 5004, merged ring at 6003",
      ])
  }

  func testADeathAsJSON() throws {
    let fixture = try fixture()
    let lines = try postmortem(fixture, "bookd", "--json", "--steps", "1").lines
    XCTAssertTrue(lines[0].hasPrefix("{\"schema\":\"bulkhead.postmortem\",\"version\":1,"), lines[0])
    XCTAssertEqual(
      lines.map { line in
        String(line[(line.firstRange(of: "\"instance\"")?.lowerBound ?? line.startIndex)...])
      },
      [
        "\"instance\":\"demo\",\"configurationHash\":\"c0ffee0012345678\",\"component\":\"bookd\",\"epoch\":1,\"pid\":4711,\"cause\":\"trap\","
          + "\"causeText\":\"trap (signal 4)\",\"causeNumber\":4,\"seenBySupervisor\":true,"
          + "\"began\":1000000000,\"died\":3000000000,\"lived\":2000000000,\"state\":\"READY\","
          + "\"ready\":1200000000,\"beats\":1234,\"beatTime\":2999800000,\"longestBeatGap\":3500000,"
          + "\"appliedSequence\":5003,\"backlog\":0,\"rings\":[{\"ring\":\"merged\",\"role\":\"reader\","
          + "\"position\":6003,\"published\":7100},{\"ring\":\"book\",\"role\":\"writer\",\"position\":15000,"
          + "\"published\":15000}],\"signal\":{\"signal\":4,\"code\":2,\"address\":17185,"
          + "\"instruction\":17185,\"sender\":0,\"instant\":2999900000},"
          + "\"doing\":[\"applying messages from sequence 5004 on\"],\"steps\":[{\"instant\":2999800000,"
          + "\"lane\":1,\"code\":52,\"count\":3,\"first\":5004,\"second\":6003,"
          + "\"words\":\"applied 3 messages; next sequence 5004, merged ring at 6003\"}]}"
      ])
  }

  /// Without a component: one line for each that has died, nothing of those that live.
  func testTheLastDeathOfEach() throws {
    let fixture = try fixture()
    let (lines, _, code) = try postmortem(fixture, "demo")
    XCTAssertEqual(code, 0)
    XCTAssertEqual(lines, ["bookd       epoch 1    10:00:03.000000  trap (signal 4) after 2.00 s"])
    XCTAssertEqual(try postmortem(fixture).lines, lines, "the only set need not be named")
  }

  /// A dead set: of the last incarnation there is the page alone, and nobody who saw it die.
  func testADeathThatNobodySaw() throws {
    let fixture = try fixture(isAlive: false)
    let page = try ControlPage.attach(directory: fixture.directory, component: "bookd", access: .readOnly)
    try fixture.scribble(UInt64(page.pid), "bookd.flight", at: 0x1000 + 2 * 0x3000 + 8)
    let (lines, _, code) = try postmortem(fixture, "bookd")
    XCTAssertEqual(code, 0)
    XCTAssertEqual(
      lines.first, "bookd of \"demo\", epoch 2, process \(page.pid): ended, cause unknown")
    XCTAssertTrue(lines.contains { $0.hasSuffix(", never READY, died unseen") }, "\(lines)")
    XCTAssertTrue(lines.contains("  ring      read merged up to cell 0 of 0: 0 behind"), "\(lines)")
    XCTAssertTrue(lines.contains("  last 1 of 1 steps, before its last sign of life:"), "\(lines)")
    XCTAssertEqual(try postmortem(fixture, "bookd", "--epoch", "1").lines, Self.wanted)
    // What it wrote down before it ended itself is its cause then.
    let slot = 0x1000 + 2 * 0x3000
    try fixture.scribble(79, "bookd.flight", at: slot + 0xC0)
    try fixture.scribble(9, "bookd.flight", at: slot + 0xC8)
    try fixture.scribble(Array("no \u{1B}[31m!".utf8), "bookd.flight", at: slot + 0x100)
    let said = try postmortem(fixture, "bookd").lines
    XCTAssertEqual(
      said.first,
      "bookd of \"demo\", epoch 2, process \(page.pid): ended with code 78: permanent, not retried")
    XCTAssertTrue(said.contains("  said      \"no  [31m!\", code 78"), "\(said)")
  }

  func testWhatIsNotKnown() throws {
    let fixture = try fixture()
    let absent = try postmortem(fixture, "absent", "bookd")
    XCTAssertEqual(absent.code, 3)
    XCTAssertEqual(absent.said, ["no set \"absent\" in \(fixture.runDirectory)"])
    let component = try postmortem(fixture, "demo", "nobody")
    XCTAssertEqual(component.code, 4)
    XCTAssertTrue(try XCTUnwrap(component.said.first).hasSuffix("has no component \"nobody\": bookd, merged"))
    let alive = try postmortem(fixture, "merged")
    XCTAssertEqual(alive.code, 4)
    XCTAssertEqual(alive.said, ["bulkhead postmortem: no process of merged has died"])
    let epoch = try postmortem(fixture, "bookd", "--epoch", "2")
    XCTAssertEqual(epoch.code, 4, "it lives")
    XCTAssertEqual(
      epoch.said, ["bulkhead postmortem: nothing is known of a death of bookd, epoch 2; known: 1"])
    for arguments in [["a", "b", "c"], ["--epoch"], ["--epoch", "0"], ["--steps", "x"], ["--wrong"]] {
      XCTAssertThrowsError(try PostmortemOptions.parse(arguments), "\(arguments)")
    }
  }

  /// Whatever lies in the pages: the tool goes on, and prints whole lines.
  func testGarbageInThePages() throws {
    let fixture = try fixture(isAlive: false)
    let whole = try fixture.contents()
    for seed in 0..<300 as Range<UInt64> {
      var random = SeededGenerator(state: seed)
      for file in ["bookd.flight", "bookd.deaths", "bookd.control"] {
        var bytes = Array(try XCTUnwrap(whole[file]))
        for _ in 0..<Int.random(in: 1...200, using: &random) {
          // Often where the words are that others are found by; the magic and the version stay, or it is no page.
          let end = Bool.random(using: &random) ? bytes.count - 8 : 0x1800
          let offset = Int.random(in: 2..<end / 8, using: &random) * 8
          let value: UInt64
          switch Int.random(in: 0..<4, using: &random) {
          case 0: value = .max
          case 1: value = random.next()
          case 2: value = UInt64.random(in: 0...80, using: &random)
          default: value = 1 << UInt64.random(in: 0...63, using: &random)
          }
          for byte in 0..<8 { bytes[offset + byte] = UInt8(truncatingIfNeeded: value >> (8 * byte)) }
        }
        try Data(bytes).write(to: URL(fileURLWithPath: "\(fixture.directory)/\(file)"))
      }
      let epoch = String(UInt64.random(in: 1...10, using: &random))
      for arguments in [["bookd"], ["bookd", "--epoch", epoch], ["demo"]] {
        for json in [[], ["--json"]] {
          let options = try PostmortemOptions.parse(
            arguments + json + ["--run-directory", fixture.runDirectory])
          let sink = Sink()
          _ = PostmortemCommand(options: options, output: sink.output, say: { _ in }).run()
          for line in sink.text.split(separator: "\n") {
            XCTAssertTrue(
              line.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F }, "seed \(seed): \(line)"
            )
            if !json.isEmpty { XCTAssertNoThrow(try parseJSON(String(line)), "seed \(seed)") }
          }
        }
      }
    }
  }
}
