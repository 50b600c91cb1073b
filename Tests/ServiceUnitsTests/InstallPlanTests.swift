import ServiceUnits
import XCTest

/// What an installation does, and above all what it does not touch.
final class InstallPlanTests: XCTestCase {
  private func plan(
    _ wanted: [RenderedFile], over installed: [String: String], overwritesEdits: Bool = false
  ) -> [String] {
    InstallPlan(
      rendered: wanted, instance: "demo", installed: { installed[$0] }, present: Array(installed.keys),
      overwritesEdits: overwritesEdits
    ).steps.map { "\($0.action.rawValue) \($0.path.split(separator: "/").last ?? "")" }
  }

  private func files(_ overrides: [(String, String)] = []) throws -> [RenderedFile] {
    try RenderTests.render(overrides)
  }

  private func tree(_ files: [RenderedFile]) -> [String: String] {
    Dictionary(uniqueKeysWithValues: files.map { ($0.path, $0.text) })
  }

  func testAnEmptyHostGetsEverythingAndAnInstalledOneNothing() throws {
    let wanted = try files()
    XCTAssertTrue(plan(wanted, over: [:]).allSatisfy { $0.hasPrefix("create") })
    XCTAssertTrue(plan(wanted, over: tree(wanted)).allSatisfy { $0.hasPrefix("keep") })
  }

  /// Another configuration: what differs is replaced; a component that is gone takes its unit along.
  func testAChangedConfigurationReplacesAndRemoves() throws {
    let before = try files([("tape.enabled", "true")])
    let steps = plan(try files(), over: tree(before))
    XCTAssertTrue(steps.contains("remove bulkhead-demo-taped.service"), "\(steps)")
    XCTAssertTrue(steps.contains("replace bulkhead-demo-merged.service"), "\(steps)")
    XCTAssertFalse(steps.contains { $0.hasPrefix("refuse") }, "\(steps)")
  }

  /// Files that are somebody else's, or that somebody changed, are refused by name.
  func testForeignAndEditedFilesAreRefused() throws {
    let wanted = try files()
    var installed = tree(try files([("host.memory_limit", "5GiB")]))
    let merged = "etc/systemd/system/bulkhead-demo-merged.service"
    let bookd = "etc/systemd/system/bulkhead-demo-bookd.service"
    let pubd = "etc/systemd/system/bulkhead-demo-pubd.service"
    installed[merged] = "[Service]\nExecStart=/bin/true\n"
    installed[bookd, default: ""] += "Nice=5\n"
    installed[pubd] = try XCTUnwrap(installed[pubd]).replacingOccurrences(
      of: "for set demo", with: "for set other")
    let steps = plan(wanted, over: installed)
    XCTAssertEqual(
      steps.filter { $0.hasPrefix("refuse") },
      ["merged", "bookd", "pubd"].map { "refuse bulkhead-demo-\($0).service" })
    XCTAssertEqual(
      plan(wanted, over: installed, overwritesEdits: true).filter { $0.hasPrefix("refuse") },
      ["merged", "pubd"].map { "refuse bulkhead-demo-\($0).service" })
  }

  /// Units of another set beside ours are not looked at, and neither are those that look like ours and are not.
  func testOtherSetsAreLeftAlone() throws {
    var installed = tree(try files([("host.instance", "other")]))
    installed["etc/systemd/system/bulkhead-demo-extra.service"] = "[Service]\nExecStart=/bin/true\n"
    XCTAssertEqual(Set(plan(try files(), over: installed).map { $0.prefix { $0 != " " } }), ["create"])
  }

  /// The header says what it says, and a text that only resembles one is none.
  func testHeaders() throws {
    let file = try XCTUnwrap(try files().first)
    let (header, body) = try XCTUnwrap(UnitHeader.parse(file.text))
    XCTAssertEqual(header.instance, "demo")
    XCTAssertEqual(header.configurationHash, try RenderTests.topology().hash)
    XCTAssertTrue(body.hasPrefix("[Unit]\n"), body)
    for text in [
      "", "\n\n\n", "# Rendered by `bulkhead units` for set demo",
      "# Rendered by `bulkhead units` for set demo\n# x\n\n\n",
    ] {
      XCTAssertNil(UnitHeader.parse(text), text)
    }
  }

  func testDifferences() {
    XCTAssertEqual(LineDifference.between("a\nb\nc", "a\nc\nd"), ["- b", "+ d"])
    XCTAssertEqual(LineDifference.between("a", "a"), [])
    XCTAssertEqual(LineDifference.between("", "x"), ["- ", "+ x"])
  }
}
