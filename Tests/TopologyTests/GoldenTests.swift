import Foundation
import XCTest

@testable import Topology

/// Broken topologies, each with the exact text that its user sees.
///
/// `Fixtures/NAME.toml` must be refused with `Fixtures/NAME.expected`; `accepted-*.toml` must be accepted.
/// The machine of all of them has cores 0 to 3. Comment lines `# --set path=value` at the head are
/// overrides. `BULKHEAD_WRITE_EXPECTED=1` writes the expectations anew, for review with `git diff`.
final class GoldenTests: XCTestCase {
  static let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appendingPathComponent("Fixtures")

  private func fixtures() throws -> [URL] {
    try FileManager.default.contentsOfDirectory(at: Self.directory, includingPropertiesForKeys: nil)
      .filter { $0.pathExtension == "toml" }
      .sorted { $0.lastPathComponent < $1.lastPathComponent }
  }

  static func parse(_ file: URL) throws -> Result<Topology, TopologyError> {
    let text = String(decoding: try Data(contentsOf: file), as: UTF8.self)
    let marker = "# --set "
    let overrides = text.split(separator: "\n").prefix { $0.hasPrefix(marker) }.map { line in
      let setting = line.dropFirst(marker.count)
      let path = setting.prefix { $0 != "=" }
      return (keyPath: String(path), value: String(setting.dropFirst(path.count + 1)))
    }
    do throws(TopologyError) {
      return .success(
        try Topology.parse(
          text: text, fileName: file.lastPathComponent, onlineCores: [0, 1, 2, 3], overrides: overrides))
    } catch {
      return .failure(error)
    }
  }

  func testEveryBrokenTopologyIsRefusedWithItsExactText() throws {
    let broken = try fixtures().filter { !$0.lastPathComponent.hasPrefix("accepted-") }
    XCTAssertGreaterThanOrEqual(broken.count, 60)
    for file in broken {
      guard case .failure(let error) = try Self.parse(file) else {
        XCTFail("\(file.lastPathComponent) was accepted")
        continue
      }
      let expectation = file.deletingPathExtension().appendingPathExtension("expected")
      if ProcessInfo.processInfo.environment["BULKHEAD_WRITE_EXPECTED"] == "1" {
        try Data(error.rendered.utf8).write(to: expectation)
      }
      let expected = String(decoding: (try? Data(contentsOf: expectation)) ?? Data(), as: UTF8.self)
      XCTAssertEqual(error.rendered, expected, file.lastPathComponent)
    }
  }

  func testGoodTopologiesAreAccepted() throws {
    for file in try fixtures().filter({ $0.lastPathComponent.hasPrefix("accepted-") }) {
      if case .failure(let error) = try Self.parse(file) {
        XCTFail("\(file.lastPathComponent):\n\(error.rendered)")
      }
    }
  }

  func testDiagnosticsAreSortedAndTheirPlacesLieInTheText() throws {
    for file in try fixtures() {
      guard case .failure(let error) = try Self.parse(file) else { continue }
      let text = String(decoding: try Data(contentsOf: file), as: UTF8.self)
      let lines = text.utf8.count { $0 == UInt8(ascii: "\n") } + 1
      var last = (0, 0, 0)
      for diagnostic in error.diagnostics {
        let isFile = diagnostic.fileName == file.lastPathComponent
        let place = (isFile ? 0 : 1, diagnostic.line, diagnostic.column)
        XCTAssertTrue(last <= place, "\(file.lastPathComponent): \(last) before \(place)")
        last = place
        if isFile { XCTAssertTrue((1...lines).contains(diagnostic.line), file.lastPathComponent) }
        XCTAssertTrue(diagnostic.rendered.contains("^"), diagnostic.rendered)
      }
    }
  }

  func testEveryCodeHasAFixtureAndAnEntryInTheReference() throws {
    var seen: Set<String> = ["E006", "W001"]  // these have tests of their own
    for file in try fixtures() {
      if case .failure(let error) = try Self.parse(file) { seen.formUnion(error.diagnostics.map(\.code)) }
    }
    let root = Self.directory.deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let reference = try String(contentsOf: root.appendingPathComponent("docs/TOPOLOGY.md"), encoding: .utf8)
    for code in DiagnosticCode.allCases {
      XCTAssertTrue(seen.contains(code.rawValue), "no fixture shows \(code.rawValue) (\(code))")
      XCTAssertTrue(reference.contains("| \(code.rawValue) |"), "docs/TOPOLOGY.md lacks \(code.rawValue)")
    }
  }
}
