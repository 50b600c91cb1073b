import Reliability
import Topology
import XCTest

@testable import bulkhead

/// How a set's parts hang together.
final class ReliabilityPartsTests: XCTestCase {
  /// Each part works half of the time.
  private func availability(_ overrides: [(keyPath: String, value: String)]) throws -> (Double, [String]) {
    let topology = try Topology.parse(
      text: Topology.embeddedDefaultText, fileName: "topology.toml", onlineCores: [0, 1], overrides: overrides
    )
    let halves = ["host", "line", "stage"].flatMap { ["--mtbf", "\($0)=1s", "--mttr", "\($0)=1s"] }
    let options = try ReliabilityOptions(
      CommandArguments(halves + ["--drills", "/nonexistent"], of: .reliability) { _ in nil })
    let parts = try ReliabilityParts(topology, options: options, record: DrilledRepairs(options))
    let elements = parts.parts.map {
      Element(name: $0.name, timeBetweenFailures: $0.betweenFailures, timeToRepair: $0.toRepair)
    }
    return (try System(elements: elements, structure: parts.structure).availability, parts.parts.map(\.name))
  }

  /// A standby takes bookd's place: the stream falls when neither works, and never by the standby alone.
  func testAStandbyStandsBesideBookd() throws {
    // Host; two branches of a line and a receiver; merged, bookd, pubd.
    XCTAssertEqual(try availability([]).0, 0.5 * 0.4375 * 0.5 * 0.5 * 0.5, accuracy: 1e-15)
    let (with, names) = try availability([("standby.enabled", "true")])
    XCTAssertEqual(with, 0.5 * 0.4375 * 0.5 * 0.75 * 0.5, accuracy: 1e-15)
    XCTAssertEqual(with, 0.041015625, accuracy: 1e-15)
    XCTAssertEqual(names.filter { $0 == "standby" }.count, 1)
    // Where nobody is to take the place, it stands empty.
    let halted = try availability([("standby.enabled", "true"), ("stage.bookd.restart", "halt")])
    XCTAssertEqual(halted.0, 0.5 * 0.4375 * 0.5 * 0.5 * 0.5, accuracy: 1e-15)
    XCTAssertFalse(halted.1.contains("standby"))
  }
}
