import Foundation
import XCTest

@testable import SetInspection
@testable import ShmRing
@testable import StageRuntime
@testable import bulkhead

/// What commands say of a set that they may not read, or cannot: not that there is none.
final class UnreadableSetsTests: XCTestCase {
  /// What a set would be looked at with: verb, and the code that says "cannot tell".
  private static let looking: [(arguments: [String], code: Int32)] = [
    (["status"], 4), (["ps"], 4), (["stat", "--count", "1"], 4), (["rings"], 4), (["gaps"], 4), (["lat"], 4),
    (["clients"], 4), (["errors"], 4), (["events"], 4), (["postmortem"], 4), (["metrics"], 4),
    (["doctor"], 4), (["is-live"], 4), (["is-ready"], 4), (["check"], 3), (["tap", "book"], 4),
    (["bundle"], 4), (["wait", "--timeout", "0"], 4), (["wait", "--gone", "--timeout", "0"], 4),
    (["stop", "--yes"], 4), (["snapshot"], 4), (["restart", "bookd", "--yes"], 4),
  ]

  private func run(_ arguments: [String]) throws -> (code: Int32, output: String, errors: String) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
      .deletingLastPathComponent().appendingPathComponent("bulkhead")
    process.arguments = arguments
    process.environment = ["PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/"]
    process.currentDirectoryURL = FileManager.default.temporaryDirectory
    let (output, errors) = (Pipe(), Pipe())
    (process.standardOutput, process.standardError) = (output, errors)
    process.standardInput = FileHandle.nullDevice
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    let said = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return (process.terminationStatus, text, said)
  }

  /// A set whose directory nobody can look into, root neither: a link that leads to itself.
  private func closedSet() throws -> SyntheticSet {
    let set = try SyntheticSet()
    try FileManager.default.removeItem(atPath: set.directory)
    try FileManager.default.createSymbolicLink(atPath: set.directory, withDestinationPath: set.directory)
    return set
  }

  /// However long the tests take: beats of a moment that is to come have no age.
  private func keepBeating(_ set: SyntheticSet) {
    set.fill()
    for name in SyntheticSet.stageNames + [InstanceFiles.supervisor] {
      set.page(name) { $0.word(0xD0).storeRelaxed(1 << 62) }
    }
  }

  func testASetThatCannotBeLookedIntoIsNotTakenForNone() throws {
    let set = try closedSet()
    for (arguments, code) in Self.looking {
      // Which set is to be stopped is always said, and a host without sets has something to be told of, too.
      let isNamed = ["stop", "doctor"].contains(arguments[0])
      for name in isNamed ? [["--name", set.instance]] : [["--name", set.instance], []] {
        let place = ["--run-directory", set.runDirectory] + name
        let answer = try run(arguments + place)
        XCTAssertEqual(answer.code, code, "\(arguments) \(name): \(answer)")
        XCTAssertTrue(
          (answer.output + answer.errors).contains("symbolic links"), "\(arguments) \(name): \(answer)")
      }
    }
    // Another name is another set, and there is none; nor is a file beside the sets one.
    let lock = "\(set.runDirectory)/other.lock"
    XCTAssertTrue(FileManager.default.createFile(atPath: lock, contents: nil))
    for verb in ["status", "lat", "is-live", "rings"] {
      XCTAssertEqual(
        try run([verb, "--run-directory", set.runDirectory, "--name", "nobody"]).code, 3, verb)
    }
  }

  /// The others are shown, and the one is not forgotten.
  func testTheOthersAreShown() throws {
    let closed = try closedSet()
    let open = try SyntheticSet(instance: "open", in: closed.runDirectory)
    keepBeating(open)
    let place = ["--run-directory", closed.runDirectory]
    for verb in ["status", "ps", "lat", "clients", "gaps"] {
      let answer = try run([verb] + place)
      XCTAssertEqual(answer.code, 4, "\(verb): \(answer)")
      XCTAssertTrue(answer.output.contains("open"), "\(verb): \(answer)")
      XCTAssertTrue(answer.errors.contains("symbolic links"), "\(verb): \(answer)")
      XCTAssertEqual(try run([verb, "--name", "open"] + place).code, 0, verb)
    }
    let check = try run(["check"] + place)
    XCTAssertEqual(check.code, 3, "\(check)")
    XCTAssertTrue(check.output.hasPrefix("BULKHEAD UNKNOWN - demo"), "\(check)")
    // Only one can be meant by somebody who may ask only one.
    XCTAssertEqual(try run(["is-live"] + place).code, 0)
  }

  /// One page that is cut short, or of another build: what runs is shown, and nobody says that it is well, or gone.
  func testAPageThatCannotBeReadIsSaid() throws {
    for isTruncated in [true, false] {
      let set = try SyntheticSet()
      keepBeating(set)
      let page = "\(set.directory)/pubd.control"
      if isTruncated {
        truncate(page, 100)
      } else {
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: page))
        // The version, behind the magic number.
        try file.seek(toOffset: 8)
        try file.write(contentsOf: Data([0x7F, 0, 0, 0]))
        try file.close()
      }
      let place = ["--run-directory", set.runDirectory, "--name", set.instance]
      let status = try run(["status"] + place)
      XCTAssertEqual(status.code, 4, "\(status)")
      XCTAssertTrue(status.output.hasPrefix("DEGRADED  demo: "), "\(status)")
      XCTAssertTrue(status.output.contains("pubd.control"), "\(status)")
      XCTAssertTrue(status.output.contains("bookd"), "\(status)")
      // Restarts and what else lies in the order of the stages are those of the right ones.
      for (verb, code) in [
        ("is-live", 4), ("is-ready", 4), ("ps", 4), ("check", 3), ("clients", 4), ("lat", 4),
      ] as [(String, Int32)] {
        let answer = try run([verb] + place)
        XCTAssertEqual(answer.code, code, "\(verb): \(answer)")
        XCTAssertTrue((answer.output + answer.errors).contains("pubd"), "\(verb): \(answer)")
      }
      let stop = try run(["stop", "--dry-run"] + place)
      XCTAssertEqual(stop.code, 0, "\(stop)")
      // The others are dead: whether this one is cannot be said.
      for name in ["rxd@a", "rxd@b", "merged", "bookd", "watchdogd"] { try set.end(name) }
      XCTAssertEqual(try run(["wait", "--gone", "--timeout", "0"] + place).code, 4)
      XCTAssertEqual(try run(["is-live"] + place).code, 1, "somebody is dead, whoever lives besides")
    }
  }
}
