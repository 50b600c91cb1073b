import Foundation
import XCTest

/// The static probes of the built programs are those that docs/PROBES.md lists, with as many arguments.
final class ProbeTests: XCTestCase {
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()

  /// Probes by program, each with its number of arguments, as the table has them.
  private func documented() throws -> [String: [String: Int]] {
    let text = try String(contentsOf: Self.root.appendingPathComponent("docs/PROBES.md"), encoding: .utf8)
    var found: [String: [String: Int]] = [:]
    for line in text.split(separator: "\n") where line.hasPrefix("| ") && line.contains("`") {
      let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
      guard cells.count == 4 else { continue }
      let name = cells[1].trimmingCharacters(in: CharacterSet(charactersIn: "`"))
      for program in cells[0].components(separatedBy: ", ") {
        found[program, default: [:]][name] = arguments(cells[3])
      }
    }
    return found
  }

  /// Arguments are set off by semicolons; a comma in front of an "and" or a noun joins two of one kind.
  private func arguments(_ cell: String) -> Int {
    cell.components(separatedBy: "; ").reduce(0) { count, part in
      let joins =
        part.contains("first, last") || part.contains("positions between") || part.hasPrefix("address")
      return count + (joins ? 2 : 1)
    }
  }

  private func notes(_ program: URL) throws -> [String: Set<Int>] {
    let process = Process()
    let output = Pipe()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["readelf", "--notes", program.path]
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    var found: [String: Set<Int>] = [:]
    var name: String?
    var isOurs = false
    for line in text.split(separator: "\n") {
      let words = line.split(separator: " ")
      switch words.first {
      case "Provider:": isOurs = words.last == "bulkhead"
      case "Name:" where isOurs: name = words.last.map(String.init)
      case "Arguments:" where isOurs:
        if let name { found[name, default: []].insert(words.count - 1) }
      default: break
      }
    }
    return found
  }

  func testTheBuiltProgramsHaveTheDocumentedProbes() throws {
    guard let folder = ProcessInfo.processInfo.environment["BULKHEAD_BIN"] else {
      throw XCTSkip("BULKHEAD_BIN names no folder of programs")
    }
    let documented = try documented()
    XCTAssertEqual(Set(documented.keys), ["rxd", "merged", "bookd", "pubd"])
    for (program, probes) in documented {
      let found = try notes(URL(fileURLWithPath: folder).appendingPathComponent(program))
      XCTAssertEqual(
        found, probes.mapValues { [$0] },
        "\(program): probes and their numbers of arguments, found and documented")
    }
  }
}
