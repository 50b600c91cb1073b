import Foundation
import XCTest

/// What a real set's commands print as JSON is what the shipped schemas say. Commands that need no set, or that can be shown one
/// that a test wrote, are in OperatorTests.
final class ReportSchemaTests: XCTestCase {
  func testReportsOfARealSet() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("reports-\(UUID().uuidString)")
      .path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let run = try SetRun(
      ["--generate", "60000", "--instruments", "100", "--seed", "46", "--keep"],
      settings: ["tape.enabled=true", "tape.directory=\(folder)"])
    let finished = try run.finish()
    finished.expectCorrect()
    let reported = finished.transcript.split(separator: "\n").last {
      $0.hasPrefix("{\"schema\":\"bulkhead.run\"")
    }
    var documents = [String(try XCTUnwrap(reported, finished.transcript))]
    func add(_ arguments: [String], code: Int32 = 0) throws {
      let printed = try ProcessHandle.run("bulkhead", arguments)
      XCTAssertEqual(printed.ending, .exit(code), printed.transcript)
      let lines = printed.output.split(separator: "\n").filter { $0.hasPrefix("{") }
      XCTAssertFalse(lines.isEmpty, printed.transcript)
      documents += lines.map(String.init)
    }
    let tape = "\(folder)/\(run.instance)"
    try add(["tape", "ls", tape, "--json"])
    try add(["tape", "cat", tape, "--json", "--count", "500"])
    try add(["bundle", "--json", "--name", run.instance, "\(folder)/bundle.tar"])
    try add(["tape", "verify", tape, "--json", "--digest"])
    for ring in ["rx_a", "merged", "book", "status"] {
      try add(["tap", ring, "--name", run.instance, "--json", "--count", "200"])
    }
    try add(["postmortem", "--name", run.instance, "--json"])
    try add(["events", "--name", run.instance, "--json"])
    for (verb, code) in [("status", 3), ("rings", 0), ("gaps", 0), ("ps", 0), ("lat", 0)] as [(String, Int32)]
    {
      try add([verb, "--name", run.instance, "--json"], code: code)
    }
    try Self.validate(documents)
  }

  static func validate(_ documents: [String]) throws {
    let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    let input = FileManager.default.temporaryDirectory.appendingPathComponent(
      "documents-\(UUID().uuidString)")
    try documents.joined(separator: "\n").write(to: input, atomically: true, encoding: .utf8)
    defer { try? FileManager.default.removeItem(at: input) }
    let python = ProcessInfo.processInfo.environment["BULKHEAD_PYTHON"] ?? "/usr/bin/python3"
    let checked = try ProcessHandle([
      python, tests.appendingPathComponent("OperatorTests/validate_reports.py").path,
      tests.appendingPathComponent("../docs/schemas").standardized.path, input.path,
    ])
    let ending = try checked.waitForEnd()
    if ending == .exit(77) { throw XCTSkip("python3-jsonschema is not installed: scripts/bootstrap") }
    XCTAssertEqual(ending, .exit(0), checked.transcript)
    XCTAssertTrue(checked.output.contains("\(documents.count) reports match"), checked.transcript)
  }
}
