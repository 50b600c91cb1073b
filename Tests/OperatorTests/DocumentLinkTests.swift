import Foundation
import XCTest

/// What documents refer to is there.
final class DocumentLinkTests: XCTestCase {
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appendingPathComponent("../..").standardized

  /// Targets of `[text](target)` outside of code, without what stands behind a `#`.
  static func links(in text: String) -> [String] {
    var isCode = false
    var found: [String] = []
    for line in text.split(separator: "\n") {
      if line.hasPrefix("```") { isCode.toggle() }
      if isCode { continue }
      for match in line.matches(of: /\]\(([^)\s]+)\)/) {
        let target = String(match.1.prefix { $0 != "#" })
        if !target.isEmpty, !target.contains("://"), !target.hasPrefix("mailto:") { found.append(target) }
      }
    }
    return found
  }

  func testEveryRelativeLinkLeadsSomewhere() throws {
    var count = 0
    let files = FileManager.default.enumerator(atPath: Self.root.path)
    while let file = files?.nextObject() as? String {
      let name = file.split(separator: "/").last ?? ""
      if name.hasPrefix(".") || name == "node_modules" { files?.skipDescendants() }
      guard file.hasSuffix(".md") else { continue }
      let place = Self.root.appendingPathComponent(file)
      for link in Self.links(in: try String(contentsOf: place, encoding: .utf8)) {
        count += 1
        let target = place.deletingLastPathComponent().appendingPathComponent(link).standardized
        XCTAssertTrue(FileManager.default.fileExists(atPath: target.path), "\(file) leads to \(link)")
      }
    }
    XCTAssertGreaterThan(count, 100)
    XCTAssertEqual(
      Self.links(in: "a [b](c/d.md#e) and [f](https://g), [h](#i)\n```\n[j](k)\n```"), ["c/d.md"])
  }
}
