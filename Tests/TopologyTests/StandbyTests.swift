import Topology
import XCTest

/// `[standby]`: a second bookd, if wanted.
final class StandbyTests: XCTestCase {
  private func parse(
    _ overrides: [(keyPath: String, value: String)], _ text: String = Topology.embeddedDefaultText
  ) throws -> Topology {
    try Topology.parse(text: text, fileName: "topology.toml", onlineCores: [0, 1], overrides: overrides)
  }

  func testAStandbyIsABookdThatReadsMerged() throws {
    let with = try parse([("standby.enabled", "true"), ("stage.standby.core", "0")])
    let stage = try XCTUnwrap(with.stage(named: "standby"))
    XCTAssertEqual(with.standbyStage, "standby")
    XCTAssertEqual(stage.program, "bookd")
    XCTAssertEqual(stage.restart, .rebuild)
    XCTAssertEqual(stage.core, 0)
    XCTAssertNil(stage.line)
    XCTAssertNil(with.ring(writtenBy: "standby"))
    XCTAssertEqual(with.ring(named: "merged")?.readers, ["bookd", "standby"])
    // In the flow's order: it is started behind bookd.
    XCTAssertEqual(with.stages.map(\.name), ["rxd@a", "rxd@b", "merged", "bookd", "standby", "pubd"])
    XCTAssertEqual(with.stage(named: "bookd")?.program, "bookd")
  }

  /// Without one, what the file says of it is as if it did not.
  func testWithoutOneNothingOfItIsLeft() throws {
    let without = try parse([])
    XCTAssertNil(without.standbyStage)
    XCTAssertEqual(without.ring(named: "merged")?.readers, ["bookd"])
    XCTAssertEqual(try parse([("stage.standby.restart_limit", "7")]).hash, without.hash)
    XCTAssertNotEqual(try parse([("standby.enabled", "true")]).hash, without.hash)
  }

  /// Who wants one has to have its stage, and to let it read.
  func testAStandbyNeedsItsStageAndItsRing() throws {
    let text = Topology.embeddedDefaultText
    let unread = text.replacingOccurrences(
      of: "\"bookd\", \"standby\", \"taped\"]", with: "\"bookd\", \"taped\"]")
    XCTAssertNotEqual(unread, text)
    XCTAssertNoThrow(try parse([], unread))
    XCTAssertThrowsError(try parse([("standby.enabled", "true")], unread)) {
      XCTAssertTrue("\($0)".contains("is not read by \"standby\""), "\($0)")
    }
    let unstaged = text.replacingOccurrences(of: "name = \"standby\"\nidle", with: "name = \"viewd\"\nidle")
      .replacingOccurrences(
        of: "[[stage]]\nname = \"viewd\"\nidle = \"park\"\nrestart = \"restart\"", with: "")
    XCTAssertNoThrow(try parse([("stage.viewd.restart", "restart")], unstaged))
    XCTAssertThrowsError(
      try parse([("standby.enabled", "true"), ("stage.viewd.restart", "restart")], unstaged)
    ) { XCTAssertTrue("\($0)".contains("\"standby\" is missing"), "\($0)") }
  }
}
