import Topology
import XCTest

/// `[overload]`: what counts as overload, and what is given up then.
final class OverloadTests: XCTestCase {
  private func parse(_ overrides: [(keyPath: String, value: String)]) throws -> Topology {
    try Topology.parse(
      text: Topology.embeddedDefaultText, fileName: "topology.toml", onlineCores: [0, 1], overrides: overrides
    )
  }

  private func codes(_ overrides: [(keyPath: String, value: String)]) -> [String] {
    do {
      _ = try parse(overrides)
      return []
    } catch {
      return (error as? TopologyError)?.diagnostics.map(\.code) ?? ["\(error)"]
    }
  }

  func testTheOrderIsThatOfTheFile() throws {
    XCTAssertEqual(try parse([]).overload.shed, [.view])
    XCTAssertEqual(
      try parse([("overload.shed", "[\"snapshots\", \"view\"]")]).overload.shed, [.snapshots, .view])
    XCTAssertEqual(try parse([("overload.shed", "[]")]).overload.shed, [])
  }

  /// Checks are no work that could be given up.
  func testWhatIsNoOptionalWorkIsRefused() {
    XCTAssertEqual(codes([("overload.shed", "[\"sweep\"]")]), ["E015"])
    XCTAssertEqual(codes([("overload.shed", "[\"view\", \"view\"]")]), ["E018"])
    XCTAssertEqual(codes([("overload.control_core", "7")]), ["E044"])
    XCTAssertEqual(codes([("overload.latency_factor", "1")]), ["E010"])
  }

  func testTheControlCoreIsTheLastOneUnlessItIsNamed() throws {
    XCTAssertEqual(try parse([]).overload.controlCore, 1)
    XCTAssertEqual(try parse([("overload.control_core", "0")]).overload.controlCore, 0)
  }

  /// Sets that say nothing of it go on with the files that they have.
  func testWhatIsUsualChangesNoHash() throws {
    let usual = try parse([]).hash
    for value in [
      ("overload.control_core", "1"), ("overload.latency_factor", "10"), ("overload.latency_least", "1000us"),
    ] {
      XCTAssertEqual(try parse([value]).hash, usual, value.0)
    }
    for value in [
      ("overload.control_core", "0"), ("overload.latency_factor", "11"), ("overload.latency_least", "2ms"),
      ("overload.busy_percent", "70"), ("overload.shed", "[]"),
    ] {
      XCTAssertNotEqual(try parse([value]).hash, usual, value.0)
    }
  }
}
