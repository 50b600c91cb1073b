import Foundation
import Runbooks
import XCTest

@testable import bulkhead

/// Every alarm has a runbook, every runbook an alarm, and each says all that a runbook is to say.
final class ExplainTests: XCTestCase {
  private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  func testEveryAlarmHasARunbookAndEveryRunbookAnAlarm() {
    for (family, names) in AlarmCatalogue.all {
      let sections = Runbooks.shipped.all.filter { $0.family == family }
      let documented = sections.flatMap(\.names).map(Runbooks.key)
      let raised = Set(names.map(Runbooks.key))
      XCTAssertEqual(Set(documented).symmetricDifference(raised), [], "docs/runbooks/\(family).md")
      XCTAssertEqual(documented.count, Set(documented).count, "a name twice in \(family).md")
    }
    XCTAssertEqual(
      Set(Runbooks.shipped.all.map(\.family)), Set(AlarmCatalogue.all.map(\.family) + [Runbooks.alerts]))
    XCTAssertGreaterThan(Runbooks.shipped.names.count, 150)
  }

  /// A file for each rule, found by the rule's name and by its own.
  func testEveryAlertHasARunbook() throws {
    let rules = try String(
      contentsOf: root.appendingPathComponent("deploy/prometheus/alerts.yml"), encoding: .utf8)
    let alerts = rules.split(separator: "\n").compactMap { line -> String? in
      guard let range = line.range(of: "- alert: ") else { return nil }
      return String(line[range.upperBound...])
    }
    XCTAssertGreaterThan(alerts.count, 10)
    XCTAssertEqual(
      Set(Runbooks.shipped.all.filter { $0.family == Runbooks.alerts }.map { $0.names[0] }), Set(alerts))
    XCTAssertEqual(Runbooks.shipped.named("BulkheadLineDown").first?.names.last, "line-down")
  }

  private let sections = Runbooks.shipped.all.filter { $0.family != Runbooks.alerts }

  func testEverySectionSaysEverything() {
    for runbook in sections {
      let found = runbook.lines.filter { $0.hasPrefix("**") }.compactMap { line in
        line.dropFirst(2).split(separator: "*").first.map(String.init)
      }
      XCTAssertEqual(found, Runbook.fields, runbook.names[0])
      for field in Runbook.fields {
        XCTAssertGreaterThan((runbook.field(field) ?? "").count, 5, "\(runbook.names[0]): \(field)")
      }
    }
  }

  /// A test that a runbook names in backquotes is there; a drill has its number.
  func testWhatIsNamedAsItsTestExists() throws {
    var sources = ""
    let tests = root.appendingPathComponent("Tests")
    let files = FileManager.default.enumerator(atPath: tests.path)
    while let file = files?.nextObject() as? String {
      if file.hasSuffix(".swift") {
        sources += try String(contentsOf: tests.appendingPathComponent(file), encoding: .utf8)
      }
    }
    let folders = Set(try FileManager.default.contentsOfDirectory(atPath: tests.path))
    for runbook in sections {
      let text = try XCTUnwrap(runbook.field("Tested"))
      for name in Self.quoted(text) where !name.hasPrefix("make ") {
        let words = name.split(separator: ".").map(String.init)
        let isThere =
          folders.contains(words[0])
          || sources.contains("class \(words[0])")
            && (words.count == 1 || sources.contains("func \(words[1])("))
        XCTAssertTrue(isThere, "\(runbook.names[0]): no test `\(name)`")
      }
    }
  }

  func testNamesAreFoundAsTheProductSaysThem() {
    let runbooks = Runbooks.shipped
    XCTAssertEqual(runbooks.named("left down").map(\.family), ["events"])
    XCTAssertEqual(runbooks.named("starved: it could run, and others did").map(\.family), ["liveness"])
    XCTAssertEqual(runbooks.named("UNJOURNALED").map(\.family).sorted(), ["alerts", "stream"])
    XCTAssertEqual(runbooks.named("e017").map(\.family), ["codes"])
    XCTAssertEqual(runbooks.named("exit-78").map(\.family), ["codes"])
    XCTAssertEqual(runbooks.named("stopped").map(\.family), ["events", "liveness"])
    XCTAssertEqual(runbooks.named("").count, 0)
    XCTAssertEqual(runbooks.nearest(to: "unjornaled", limit: 1).map(Runbooks.key), ["unjournaled"])
    XCTAssertEqual(runbooks.nearest(to: "irqaffinity", limit: 1), ["irq-affinity"])
    XCTAssertTrue(
      runbooks.nearest(to: "retransmission", limit: 5).contains { $0.hasPrefix("retransmission ") })
    XCTAssertEqual(runbooks.nearest(to: "::", limit: 5), [])
  }

  /// The compiled text is that of the files.
  func testTheEmbeddedTextIsThatOfTheFiles() throws {
    for family in Set(sections.map(\.family)) {
      let file = root.appendingPathComponent("docs/runbooks/\(family).md")
      let text = try String(contentsOf: file, encoding: .utf8)
      let names = text.split(separator: "\n").filter { $0.hasPrefix("## ") }.map { Self.quoted(String($0)) }
      XCTAssertEqual(
        Runbooks.shipped.all.filter { $0.family == family }.map(\.names), names,
        "run scripts/embed-runbooks")
    }
  }

  private static func quoted(_ text: String) -> [String] {
    text.split(separator: "`", omittingEmptySubsequences: false).enumerated().filter { $0.offset % 2 == 1 }
      .map { String($0.element) }
  }
}
