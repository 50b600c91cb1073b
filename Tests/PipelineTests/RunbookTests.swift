import Foundation
import XCTest

/// Every command that a runbook tells to run is one, and has the options and words that it is told with.
final class RunbookTests: XCTestCase {
  private struct Listing: Decodable { let runbooks: [Entry] }
  private struct Entry: Decodable {
    let names: [String]
    let means, byItself, look, `do`, tested: String
  }

  override func setUpWithError() throws { try Binaries.require() }

  func testEveryCommandAndOptionExists() throws {
    let listing = try ProcessHandle.run("bulkhead", ["explain", "--list", "--json"])
    XCTAssertEqual(listing.ending, .exit(0), listing.transcript)
    let entries = try JSONDecoder().decode(Listing.self, from: Data(listing.output.utf8)).runbooks
    let general = try ProcessHandle.run("bulkhead", ["--help"]).output
    let verbs = Set(
      general.split(separator: "\n").filter { $0.hasPrefix("  ") }
        .compactMap { $0.split(separator: " ").first.map(String.init) })
    let checks = Set(entries.flatMap(\.names))
    var helps: [String: String] = [:]
    var commands = 0
    for entry in entries {
      for text in [entry.means, entry.byItself, entry.look, entry.do] {
        for command in Self.quoted(text) where command.hasPrefix("bulkhead ") {
          commands += 1
          let words = command.split(separator: " ").dropFirst().map(String.init)
          let place = "\(entry.names[0]): `\(command)`"
          guard let verb = words.first else { continue }
          if verb.hasPrefix("--") {
            let ending = try ProcessHandle.run("bulkhead", [verb]).ending
            XCTAssertEqual(ending, .exit(0), place)
            continue
          }
          guard verbs.contains(verb) else {
            XCTFail("no such command: \(place)")
            continue
          }
          if helps[verb] == nil { helps[verb] = try ProcessHandle.run("bulkhead", [verb, "--help"]).output }
          check(words.dropFirst(), of: verb, help: helps[verb] ?? "", checks: checks, place)
        }
      }
    }
    XCTAssertGreaterThan(commands, 150)
  }

  /// Options and words in small letters are in the command's help; names of runbooks are names; words in capitals stand for
  /// something else.
  private func check(
    _ words: ArraySlice<String>, of verb: String, help: String, checks: Set<String>, _ place: String
  ) {
    let known = Set(help.split { !($0.isLetter || $0.isNumber || $0 == "-") }.map(String.init))
    var isValue = false
    for word in words {
      defer { isValue = word.hasPrefix("--") }
      if word.hasPrefix("--") {
        XCTAssertTrue(known.contains(word), "no option \(word): \(place)")
      } else if !isValue, word == word.lowercased(), word.first?.isLetter == true {
        let isName = verb == "explain" || verb == "host" && checks.contains(word)
        XCTAssertTrue(isName || known.contains(word), "no `\(word)`: \(place)")
      }
    }
    if verb == "explain" {
      let name = words.joined(separator: " ")
      XCTAssertTrue(name == "NAME" || checks.contains(name), "nothing is called `\(name)`: \(place)")
    }
  }

  func testAnUnknownNameGetsTheNearest() throws {
    let unknown = try ProcessHandle.run("bulkhead", ["explain", "irq-afinity"])
    XCTAssertEqual(unknown.ending, .exit(1), unknown.transcript)
    XCTAssertTrue(unknown.errors.contains("`irq-affinity`"), unknown.transcript)
    let known = try ProcessHandle.run("bulkhead", ["explain", "exit", "78"])
    XCTAssertEqual(known.ending, .exit(0), known.transcript)
    XCTAssertTrue(known.output.contains("bulkhead config check"), known.transcript)
  }

  private static func quoted(_ text: String) -> [String] {
    text.split(separator: "`", omittingEmptySubsequences: false).enumerated().filter { $0.offset % 2 == 1 }
      .map { String($0.element) }
  }
}
