import Foundation
import XCTest

@testable import SetInspection
@testable import StageRecords
@testable import StageRuntime
@testable import Supervision
@testable import bulkhead

/// What is shown again and again: a line of JSON each time, and nothing that was shown before.
final class FollowingTests: XCTestCase {
  /// A command that goes on, read line by line.
  private final class Follower {
    private let process = Process()
    private let pipe = Pipe()
    private var rest = Data()

    init(_ arguments: [String]) throws {
      process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent().appendingPathComponent("bulkhead")
      process.arguments = arguments
      process.standardOutput = pipe
      process.standardInput = FileHandle.nullDevice
      process.standardError = FileHandle.nullDevice
      try process.run()
    }

    /// The next line, however long it takes; nil at the end.
    func line() -> String? {
      while true {
        if let end = rest.firstIndex(of: 10) {
          let line = String(decoding: rest[..<end], as: UTF8.self)
          rest = Data(rest[rest.index(after: end)...])
          return line
        }
        let more = pipe.fileHandleForReading.availableData
        if more.isEmpty { return nil }
        rest += more
      }
    }

    func interrupt() -> Int32 {
      process.terminate()
      process.waitUntilExit()
      return process.terminationStatus
    }

    func waitForEnd() -> Int32 {
      process.waitUntilExit()
      return process.terminationStatus
    }

    deinit { if process.isRunning { process.terminate() } }
  }

  private func gap(_ number: UInt64, _ range: ClosedRange<UInt64>, outcome: UInt64, at: UInt64) -> GapRecord {
    var record = GapRecord()
    (record.number, record.first, record.last) = (number, range.lowerBound, range.upperBound)
    (record.detectedAt, record.outcome) = (at, outcome)
    record.finishedAt = outcome == 0 ? 0 : at + 1_000_000
    return record
  }

  private func ranges(_ line: String, _ key: String) throws -> [Int] {
    let report = try XCTUnwrap(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    let set = try XCTUnwrap((report["sets"] as? [[String: Any]])?.first)
    return try XCTUnwrap(set[key] as? [[String: Any]], key).compactMap { $0["first"] as? Int }
  }

  func testStatusIsWatchedLineByLine() throws {
    let set = try SyntheticSet()
    for name in SyntheticSet.stageNames + [InstanceFiles.supervisor] {
      set.page(name) { $0.word(0xD0).storeRelaxed(1 << 62) }
    }
    let place = ["--run-directory", set.runDirectory]
    let follower = try Follower(["status", "--watch", "0.1", "--json"] + place)
    let lines = [follower.line(), follower.line(), follower.line()].compactMap { $0 }
    XCTAssertEqual(lines.count, 3)
    XCTAssertTrue(
      lines.allSatisfy { $0.contains("\"verdict\":\"DEGRADED\"") || $0.contains("\"LIVE\"") }, "\(lines)")
    XCTAssertTrue([0, 1].contains(follower.interrupt()))
    try validateReports(lines)
    // Nothing that runs: one look, and the code of that.
    for name in SyntheticSet.stageNames + [InstanceFiles.supervisor] { try set.end(name) }
    let dead = try Follower(["status", "--watch", "0.1", "--json"] + place)
    XCTAssertTrue(try XCTUnwrap(dead.line()).contains("\"verdict\":\"DOWN\""))
    XCTAssertNil(dead.line())
    XCTAssertEqual(dead.waitForEnd(), 3)
  }

  /// What cannot be read is told, and does not keep alive what watches: it ends with the last set that can be.
  func testStatusIsWatchedBesideWhatCannotBeRead() throws {
    let set = try SyntheticSet()
    let place = ["--run-directory", set.runDirectory, "--watch", "0.1"]
    for name in SyntheticSet.stageNames + [InstanceFiles.supervisor] {
      set.page(name) { $0.word(0xD0).storeRelaxed(1 << 62) }
    }
    // A link to itself, which is nobody's to read.
    let loop = "\(set.runDirectory)/unreadable"
    try FileManager.default.createSymbolicLink(atPath: loop, withDestinationPath: loop)
    let live = try Follower(["status"] + place + ["--json"])
    XCTAssertNotNil(live.line())
    XCTAssertNotNil(live.line(), "a set runs")
    _ = live.interrupt()
    for name in SyntheticSet.stageNames + [InstanceFiles.supervisor] { try set.end(name) }
    XCTAssertEqual(try onlyLook(place)?.contains("\"verdict\":\"DOWN\""), true)
    try FileManager.default.removeItem(atPath: set.directory)
    XCTAssertNotNil(try onlyLook(place))
  }

  /// The one line of a watched status that ends after it, with the code for what cannot be read; nil when it goes on.
  private func onlyLook(_ place: [String]) throws -> String? {
    let follower = try Follower(["status"] + place + ["--json"])
    let line = follower.line()
    guard follower.line() == nil else {
      _ = follower.interrupt()
      return nil
    }
    XCTAssertEqual(follower.waitForEnd(), 4)
    return line
  }

  func testGapsAreFollowedWithoutRepetition() throws {
    let set = try SyntheticSet()
    let page = try RecoveryPage.attach(directory: set.directory, access: .readWrite)
    page.putFinished(gap(1, 5...9, outcome: 16, at: 1_000_000))
    let follower = try Follower(["gaps", "--follow", "--json", "--run-directory", set.runDirectory])
    var lines = [try XCTUnwrap(follower.line())]
    XCTAssertEqual(try ranges(lines[0], "ended"), [5])
    page.putOpen(count: 1, at: 3_000_000) { _ in self.gap(0, 20...29, outcome: 0, at: 2_000_000) }
    lines.append(try XCTUnwrap(follower.line()))
    XCTAssertEqual(try ranges(lines[1], "open"), [20])
    XCTAssertEqual(try ranges(lines[1], "ended"), [])
    page.putFinished(gap(2, 20...29, outcome: 17, at: 2_000_000))
    lines.append(try XCTUnwrap(follower.line()))
    XCTAssertEqual(try ranges(lines[2], "open"), [], "shown before")
    XCTAssertEqual(try ranges(lines[2], "ended"), [20])
    // It ends with the set.
    try FileManager.default.removeItem(atPath: set.directory)
    XCTAssertNil(follower.line())
    XCTAssertEqual(follower.waitForEnd(), 0)
    try validateReports(lines)
  }

  func testGapsSinceAreThoseThatAreYoungEnough() throws {
    let set = try SyntheticSet()
    let page = try RecoveryPage.attach(directory: set.directory, access: .readWrite)
    page.putFinished(gap(1, 5...9, outcome: 1, at: 1_000_000_000))
    page.putFinished(gap(2, 50...59, outcome: 16, at: 8_000_000_000))
    page.putOpen(count: 1, at: 9_000_000_000) { _ in self.gap(0, 70...79, outcome: 0, at: 2_000_000_000) }
    let directory = try XCTUnwrap(SetDirectory(instance: set.instance, path: set.directory))
    var report = GapsReport(directory, openOnly: false)
    let whole = report
    report.leaveOut(before: 5_000_000_000)
    XCTAssertEqual(report.finished.map(\.first), [50])
    XCTAssertTrue(report.open.isEmpty)
    XCTAssertEqual(report.exitCode, 0, "what is lost is older")
    XCTAssertEqual(whole.exitCode, 1)
    // By the command: merged is dead, and its past counts from when it wrote last.
    try set.end("merged")
    let printed = Printed()
    let arguments = try CommandArguments(
      ["--since", "4", "--json", "--run-directory", set.runDirectory], of: .gaps
    ) { _ in nil }
    XCTAssertEqual(GapsCommand(options: GapsOptions(arguments), output: printed.output).run(), 0)
    XCTAssertEqual(try ranges(printed.text, "ended"), [50])
  }
}
