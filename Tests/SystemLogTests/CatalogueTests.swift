import Foundation
import SystemLog
import XCTest

@testable import Runbooks

/// The catalogue for `journalctl -x`, from the same texts as `bulkhead explain`.
final class CatalogueTests: XCTestCase {
  func testEveryKindHasARunbookAndAnEntryWithItsText() throws {
    let text = MessageCatalogue.text()
    let entries = text.components(separatedBy: "\n-- ")
    XCTAssertEqual(entries.count, LogEvent.allCases.filter { $0.entry.identifier != nil }.count)
    for event in LogEvent.allCases {
      guard let identifier = event.entry.identifier else { continue }
      let runbook = Runbooks.shipped.named(event.entry.runbook)
      XCTAssertFalse(runbook.isEmpty, "\(event): no runbook `\(event.entry.runbook)`")
      let entry = try XCTUnwrap(entries.first { $0.contains(identifier) }, "\(event)")
      let flat = entry.split(whereSeparator: { $0 == "\n" || $0 == " " }).joined(separator: " ")
      if let means = runbook.first?.field("Means") {
        let start = means.filter { $0 != "`" && $0 != "@" && $0 != "*" }.prefix(60)
        XCTAssertTrue(flat.contains(start), "\(event): \(start)")
      } else {
        XCTAssertGreaterThan(flat.count, 400, "\(event): nothing of its alert's runbook")
      }
      XCTAssertTrue(flat.contains("bulkhead explain \(event.entry.runbook)"), "\(event)")
    }
  }

  /// As systemd reads it: a comment's sign or a new entry's at the beginning of a line would swallow the text.
  func testLinesAreThoseOfACatalogue() {
    var isHead = false
    for line in MessageCatalogue.text().split(separator: "\n", omittingEmptySubsequences: false) {
      if line.hasPrefix("-- ") {
        XCTAssertNotNil(line.wholeMatch(of: /-- [0-9a-f]{32}/), String(line))
        isHead = true
      } else if isHead {
        if line.isEmpty { isHead = false } else { XCTAssertTrue(line.contains(": "), String(line)) }
      } else {
        XCTAssertFalse(line.hasPrefix("#") || line.hasPrefix(";"), String(line))
        XCTAssertLessThan(line.count, 110, String(line))
      }
    }
  }

  /// The document has the table as it is.
  func testTheDocumentHasEveryKind() throws {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../../docs/LOGGING.md").standardized
    let rows = try String(contentsOf: file, encoding: .utf8).split(separator: "\n").filter {
      $0.hasPrefix("| `")
    }
    let wanted = LogEvent.allCases.compactMap { event -> String? in
      let kind = event.entry
      return kind.identifier.map {
        "| `\($0)` | \(kind.level.name) | \(kind.subject) | `\(kind.runbook)` | \(kind.failureMode ?? "") |"
      }
    }
    XCTAssertEqual(rows.map(String.init), wanted)
  }

  /// systemd's own judgement, where there is one.
  func testSystemdTakesIt() throws {
    let program = "/usr/bin/journalctl"
    guard FileManager.default.isExecutableFile(atPath: program) else { throw XCTSkip("no \(program)") }
    let root = NSTemporaryDirectory() + "bulkhead-catalogue-\(getpid())"
    defer { try? FileManager.default.removeItem(atPath: root) }
    for folder in ["usr/lib/systemd/catalog", "var/lib/systemd/catalog", "etc"] {
      try FileManager.default.createDirectory(atPath: "\(root)/\(folder)", withIntermediateDirectories: true)
    }
    try MessageCatalogue.text().write(
      toFile: "\(root)/usr/lib/systemd/catalog/bulkhead.catalog", atomically: true, encoding: .utf8)
    let (code, text) = try run(program, ["--root=\(root)", "--update-catalog"])
    if code != 0 { throw XCTSkip("journalctl --root does not work here: \(text)") }
    XCTAssertEqual(text, "", "systemd has something against it")
    let (_, listed) = try run(program, ["--root=\(root)", "--list-catalog"])
    for event in LogEvent.allCases {
      guard let identifier = event.entry.identifier else { continue }
      XCTAssertTrue(listed.contains(identifier), "\(event) is not in \(listed)")
    }
  }

  private func run(_ program: String, _ arguments: [String]) throws -> (Int32, String) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments
    process.environment = ["LC_ALL": "C.UTF-8"]
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = pipe
    try process.run()
    let data = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: data, as: UTF8.self))
  }
}
