import XCTest

@testable import SetInspection
@testable import ShmRing
@testable import StageRecords
@testable import StageRuntime
@testable import Supervision
@testable import bulkhead

/// What `top` shows and what its keys do, without a terminal.
final class TopScreenTests: XCTestCase {
  private let show = Presentation()
  /// Behind everything that this host's clock says.
  private let instant: UInt64 = 900_000_000_000_000_000

  private func filledSet() throws -> SyntheticSet {
    let set = try SyntheticSet()
    set.fill()
    for name in SyntheticSet.stageNames + [InstanceFiles.supervisor] {
      set.page(name) { $0.word(0xD0).storeRelaxed(instant - 1_500_000) }
    }
    set.page("merged") {
      $0.set(MergeCounter.packetRateA, 98_100)
      $0.set(MergeCounter.messageRateA, 1_000_000)
      $0.set(MergeCounter.lineALagMedian, 2_048)
    }
    return set
  }

  /// A second between two samples.
  private func samples(_ set: SyntheticSet, _ change: () -> Void = {}) throws -> (
    now: SetReading, earlier: SetReading
  ) {
    let earlier = try set.sample(monotonic: instant - 1_000_000_000)
    change()
    return (try set.sample(monotonic: instant), earlier)
  }

  private func picture(
    _ screen: inout TopScreen, _ samples: (now: SetReading, earlier: SetReading), _ columns: Int,
    rows: Int = 24
  ) -> [String] {
    screen.picture(samples.now, since: samples.earlier, columns: columns, rows: rows, show: show)
      .map {
        $0.replacingOccurrences(of: "\u{1B}[7m", with: "").replacingOccurrences(of: "\u{1B}[0m", with: "")
      }
  }

  func testPanesAtTwoWidths() throws {
    let set = try filledSet()
    // Something in every pane.
    var gap = GapRecord()
    (gap.first, gap.last, gap.detectedAt) = (2_000, 2_811, instant - 3_000_000_000)
    (gap.requests, gap.rung) = (2, 3)
    let page = try RecoveryPage.attach(directory: set.directory, access: .readWrite)
    page.putOpen(count: 1, at: instant) { _ in gap }
    var death = SupervisionRecord(.died, component: "bookd", instant: instant - 2_000_000_000)
    (death.cause, death.code, death.epoch) = (ExitCause.killed.code, ExitCause.killed.number, 1)
    try set.note(death)
    let both = try samples(set) { set.page("pubd") { $0.set(PublishCounter.framesSent, 223_456) } }
    for columns in [80, 200] {
      for (index, pane) in TopPane.Name.allCases.enumerated() {
        var screen = TopScreen()
        _ = screen.take(.character(Character("\(index + 1)")))
        XCTAssertEqual(screen.pane, pane)
        let lines = picture(&screen, both, columns)
        XCTAssertEqual(lines.count, 24, pane.rawValue)
        for line in lines { XCTAssertLessThanOrEqual(line.count, columns, line) }
        XCTAssertTrue(lines[0].hasPrefix("LIVE  demo"), lines[0])
        XCTAssertTrue(lines[0].hasSuffix("12:34:56.7"), lines[0])
        XCTAssertEqual(lines[0].count, columns)
        XCTAssertTrue(lines[2].contains("[\(index + 1) \(pane.rawValue)]"), lines[2])
        var text = lines.joined(separator: "\n") + "\n"
        if ![.rings, .lines, .clients].contains(pane) {
          // The number of this process is in it, as wide as it happens to be.
          text = text.replacingOccurrences(of: String(getpid()), with: "PID")
            .replacingOccurrences(of: #" {2,}"#, with: "  ", options: .regularExpression)
            .replacingOccurrences(
              of: #"[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]+"#, with: "TIME", options: .regularExpression
            )
            .replacingOccurrences(of: #"[0-9]+d[0-9]{2}h"#, with: "SPAN", options: .regularExpression)
            .replacingOccurrences(of: #" +\n"#, with: "\n", options: .regularExpression)
          // Where room is short, it also decides which columns there are.
          if pane == .processes, columns == 80 { continue }
        }
        try expectGolden(text, "top.\(pane.rawValue).\(columns).txt")
      }
    }
    // What is wanted most stays, the rest comes with room.
    var screen = TopScreen()
    let narrow = picture(&screen, both, 80)[3]
    let wide = picture(&screen, both, 200)[3]
    for heading in ["PROCESS", "PID", "STATE", "BEAT", "RESTARTS"] {
      XCTAssertTrue(narrow.contains(heading), narrow)
    }
    XCTAssertFalse(narrow.contains("MAX"), narrow)
    for heading in ["SEQUENCE", "BACKLOG", "P99.9", "MAX"] { XCTAssertTrue(wide.contains(heading), wide) }
    // A terminal of any size gets a picture of that size.
    for (columns, rows) in [(20, 1), (1, 5), (40, 3), (500, 200), (80, 6)] {
      for pane in 1...6 {
        _ = screen.take(.character(Character("\(pane)")))
        let lines = picture(&screen, both, columns, rows: rows)
        XCTAssertEqual(lines.count, rows)
        for line in lines { XCTAssertLessThanOrEqual(line.count, max(20, columns), line) }
      }
    }
  }

  func testKeysMoveFilterSortAndFreeze() throws {
    let set = try filledSet()
    let both = try samples(set)
    var screen = TopScreen()
    XCTAssertEqual(screen.take(.tab), .redraw)
    XCTAssertEqual(screen.pane, .rings)
    _ = screen.take(.backTab)
    _ = screen.take(.backTab)
    XCTAssertEqual(screen.pane, .events)
    _ = screen.take(.character("1"))
    // A filter shows only what holds it, whatever the case, and `q` is a letter while it is typed.
    _ = screen.take(.character("/"))
    for key in "RXDq" { XCTAssertEqual(screen.take(.character(key)), .redraw) }
    _ = screen.take(.backspace)
    XCTAssertEqual(screen.filter, "RXD")
    _ = screen.take(.enter)
    XCTAssertEqual(
      picture(&screen, both, 120).filter { $0.hasPrefix("rxd@") || $0.hasPrefix("merged") }.count, 2)
    _ = screen.take(.escape)
    XCTAssertEqual(
      picture(&screen, both, 120).filter { $0.hasPrefix("rxd@") || $0.hasPrefix("merged") }.count, 3)
    // By name, which is a word: it rises. By sequence number: it falls.
    _ = screen.take(.character("s"))
    func order() -> [String] {
      picture(&screen, both, 200).dropFirst(4).compactMap { $0.split(separator: " ").first.map(String.init) }
        .filter { (SyntheticSet.stageNames + ["watchdogd"]).contains($0) }
    }
    XCTAssertEqual(order(), ["bookd", "merged", "pubd", "rxd@a", "rxd@b", "watchdogd"])
    for _ in 0..<7 { _ = screen.take(.character("s")) }
    XCTAssertEqual(order(), ["bookd", "rxd@a", "rxd@b", "merged", "pubd", "watchdogd"])
    XCTAssertTrue(picture(&screen, both, 200)[3].contains("SEQUENCE*"))
    for _ in 0..<6 { _ = screen.take(.character("s")) }
    XCTAssertEqual(order(), ["rxd@a", "rxd@b", "merged", "bookd", "pubd", "watchdogd"])
    _ = screen.take(.character("p"))
    XCTAssertTrue(screen.isFrozen)
    XCTAssertTrue(picture(&screen, both, 80)[0].contains("FROZEN"))
    _ = screen.take(.character("?"))
    XCTAssertTrue(picture(&screen, both, 80).contains { $0.hasPrefix("s               sort") })
    _ = screen.take(.character("x"))
    XCTAssertFalse(screen.isHelp)
    XCTAssertEqual(screen.take(.character("q")), .quit)
    XCTAssertEqual(screen.take(.interrupt), .quit)
    XCTAssertEqual(screen.take(.suspend), .suspend)
  }

  /// More events than lines: the newest first, older ones below.
  func testLongTablesScroll() throws {
    let set = try filledSet()
    for number in 1...20 {
      var record = SupervisionRecord(.started, component: "bookd", instant: UInt64(number) * 1_000_000)
      record.epoch = UInt64(number)
      try set.note(record)
    }
    let both = try samples(set)
    var screen = TopScreen()
    _ = screen.take(.character("6"))
    func epochs() -> [Int] {
      picture(&screen, both, 100, rows: 10).dropFirst(4).compactMap { line in
        line.split(separator: " ").compactMap { Int($0) }.last
      }
    }
    let first = epochs()
    XCTAssertEqual(first.first, 20)
    XCTAssertEqual(first.count, 4)
    _ = screen.take(.down)
    XCTAssertEqual(epochs().first, 19)
    _ = screen.take(.pageDown)
    XCTAssertEqual(epochs().first, 15)
    for _ in 0..<20 { _ = screen.take(.pageDown) }
    XCTAssertEqual(epochs(), [4, 3, 2, 1])
    for _ in 0..<20 { _ = screen.take(.pageUp) }
    XCTAssertEqual(epochs(), first)
  }

  func testKeysOfBytesInAnyPieces() {
    let bytes: [UInt8] =
      Array("a\u{1B}[A\u{1B}[6~\u{1B}[Z\r\u{7F}\u{03}\t".utf8) + [0xC3, 0xA9] + Array("\u{1B}[1;5Cz".utf8)
    let expected: [TerminalKey] = [
      .character("a"), .up, .pageDown, .backTab, .enter, .backspace, .interrupt, .tab, .character("z"),
    ]
    for piece in 1...bytes.count {
      var decoder = KeyDecoder()
      var keys: [TerminalKey] = []
      for start in stride(from: 0, to: bytes.count, by: piece) {
        keys += decoder.take(bytes[start..<min(start + piece, bytes.count)])
      }
      XCTAssertEqual(keys, expected, "in pieces of \(piece)")
      XCTAssertEqual(decoder.flush(), [])
    }
    var decoder = KeyDecoder()
    XCTAssertEqual(decoder.take([0x1B]), [])
    XCTAssertEqual(decoder.flush(), [.escape])
    XCTAssertEqual(decoder.take([0x1B, 0x71]), [.escape, .character("q")])
    // A sequence without end is thrown away, and what follows it is heard.
    _ = decoder.take([0x1B, 0x5B] + [UInt8](repeating: 0x31, count: 40))
    XCTAssertEqual(decoder.take([0x71]), [.character("q")])
  }

  // MARK: In a terminal

  /// The program itself in a pseudo-terminal, read by a terminal emulator.
  func testInATerminal() throws {
    let set = try filledSet()
    try set.note(
      SupervisionRecord(.started, component: "bookd", instant: 1),
      SupervisionRecord(.died, component: "merged", instant: 2))
    for columns in [80, 200] {
      let result = try session(
        set, columns,
        [
          ["", "PROCESS"], ["2", "[2 rings]"], ["6", "COMPONENT"], ["/died\r", "showing /died"],
          ["\u{1B}", "started"],
          ["?", "sort by the next column"], ["?", "COMPONENT"], ["p", "FROZEN"], ["p", "freeze"],
          ["1", "[1 processes]"],
          ["resize 60 20", "[1 processes]"], ["q", ""],
        ])
      XCTAssertEqual(result.code, 0, "\(result)")
      XCTAssertTrue(result.isRestored, "\(result)")
      XCTAssertTrue(result.screens[0][0].hasPrefix("LIVE  demo: every stage READY"), "\(result.screens[0])")
      XCTAssertEqual(
        result.screens[0].contains { $0.contains("P99.9") && $0.contains("MAX") }, columns == 200)
      XCTAssertFalse(result.screens[3].contains { $0.contains("started") }, "\(result.screens[3])")
      XCTAssertEqual(result.screens[10].map(\.count).max(), 60)
    }
  }

  func testTheTerminalIsGivenBackHoweverItEnds() throws {
    let set = try filledSet()
    for (ending, code) in [("\u{03}", Int32(0)), ("signal 15", 0), ("signal 11", -11), ("signal 4", -4)] {
      let result = try session(set, 80, [["", "PROCESS"], [ending, ""]])
      XCTAssertEqual(result.code, code, "\(ending.debugDescription): \(result)")
      XCTAssertTrue(result.isRestored, "\(ending.debugDescription): \(result)")
    }
    XCTAssertEqual(
      CommandTable.dispatch(["top", "--name", "nobody", "--run-directory", set.runDirectory]), 3)
  }

  private struct Session: Decodable {
    let screens: [[String]]
    let code: Int32
    let isRestored: Bool
    let problem: String?
  }

  private func session(_ set: SyntheticSet, _ columns: Int, _ steps: [[String]]) throws -> Session {
    let here = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    // Beside the tests, where the build put it.
    let program = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
      .appendingPathComponent("bulkhead").path
    guard FileManager.default.isExecutableFile(atPath: program) else {
      throw XCTSkip("\(program) is not built")
    }
    let process = Process()
    process.executableURL = URL(
      fileURLWithPath: ProcessInfo.processInfo.environment["BULKHEAD_PYTHON"] ?? "/usr/bin/python3")
    let text = String(decoding: try JSONEncoder().encode(steps), as: UTF8.self)
    process.arguments = [
      here.appendingPathComponent("terminal_session.py").path, "\(columns)", "30", text, program, "top",
      "--run-directory", set.runDirectory, "--interval", "0.1",
    ]
    let pipe = Pipe()
    process.standardOutput = pipe
    try process.run()
    let data = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    if process.terminationStatus == 77 { throw XCTSkip("python3-pyte is not installed: scripts/bootstrap") }
    let session = try JSONDecoder().decode(Session.self, from: data)
    if let problem = session.problem { XCTFail(problem) }
    return session
  }
}
