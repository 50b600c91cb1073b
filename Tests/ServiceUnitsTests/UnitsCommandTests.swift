import Foundation
import XCTest

/// `bulkhead units` as a process: what systemd itself says of the units, and what an installation leaves on a disk.
final class UnitsCommandTests: XCTestCase {
  private var folder = URL(fileURLWithPath: "/")

  override func setUpWithError() throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("units-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    for program in ["rxd", "merged", "bookd", "pubd", "taped", "viewd", "watchdogd"] {
      try FileManager.default.createSymbolicLink(
        atPath: folder.appendingPathComponent(program).path, withDestinationPath: "/bin/true")
    }
  }

  override func tearDown() { try? FileManager.default.removeItem(at: folder) }

  private func units(_ arguments: [String], _ settings: [(String, String)] = []) throws -> (
    code: Int32, text: String
  ) {
    let process = Process()
    // Beside these tests.
    process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
      .deletingLastPathComponent().appendingPathComponent("bulkhead")
    process.arguments =
      ["units"] + arguments + ["--programs", folder.path] + settings.flatMap { ["--set", "\($0.0)=\($0.1)"] }
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = pipe
    try process.run()
    let data = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: data, as: UTF8.self))
  }

  /// systemd-analyze verify without a word, and an exposure of at most 3.0 for every service (D-49).
  func testSystemdAcceptsEveryUnit() throws {
    guard FileManager.default.isExecutableFile(atPath: "/usr/bin/systemd-analyze") else {
      throw XCTSkip("no /usr/bin/systemd-analyze: apt install systemd")
    }
    let cores = ProcessInfo.processInfo.activeProcessorCount
    let isolated = RenderTests.everything.filter {
      !$0.0.hasSuffix(".core") && !$0.0.hasPrefix("host.cores") && !$0.0.hasSuffix("idle")
        && !$0.0.hasSuffix("profile")
    }
    for settings in [[], isolated] {
      let result = try units(["verify"], settings)
      XCTAssertEqual(result.code, 0, "on \(cores) cores: \(result.text)")
      XCTAssertTrue(result.text.contains("no warning"), result.text)
    }
    // And it can refuse: a program that is not there.
    try FileManager.default.removeItem(at: folder.appendingPathComponent("merged"))
    let result = try units(["verify"])
    XCTAssertEqual(result.code, 1, result.text)
    XCTAssertTrue(result.text.contains("merged"), result.text)
  }

  func testInstallationsSayWhatTheyDoAndDoNoMore() throws {
    let root = folder.appendingPathComponent("root").path
    func installed() -> Int {
      (try? FileManager.default.subpathsOfDirectory(atPath: root).filter {
        $0.contains(".") && !$0.hasSuffix(".d")
      }.count) ?? 0
    }

    let plan = try units(["install", "--root", root, "--dry-run"])
    XCTAssertEqual(plan.code, 0, plan.text)
    XCTAssertTrue(plan.text.contains("create /etc/systemd/system/bulkhead-demo.target"), plan.text)
    XCTAssertEqual(installed(), 0, "a dry run")

    let unasked = try units(["install", "--root", root])
    XCTAssertEqual(unasked.code, 1, unasked.text)
    XCTAssertEqual(installed(), 0, "without --yes, and without a terminal")

    let done = try units(["install", "--root", root, "--yes"])
    XCTAssertEqual(done.code, 0, done.text)
    XCTAssertEqual(installed(), 14)
    XCTAssertEqual(try units(["diff", "--root", root]).code, 0)

    let changed = [("stage.bookd.core", "0")]
    let difference = try units(["diff", "--root", root], changed)
    XCTAssertEqual(difference.code, 1, difference.text)
    XCTAssertTrue(difference.text.contains("- CPUAffinity=1\n  + CPUAffinity=0"), difference.text)

    let foreign = "\(root)/etc/systemd/system/bulkhead-demo-bookd.service"
    try "[Service]\n".write(toFile: foreign, atomically: true, encoding: .utf8)
    let refused = try units(["install", "--root", root, "--yes"], changed)
    XCTAssertEqual(refused.code, 1, refused.text)
    XCTAssertTrue(
      refused.text.contains("refuse /etc/systemd/system/bulkhead-demo-bookd.service"), refused.text)
    XCTAssertEqual(try String(contentsOfFile: foreign, encoding: .utf8), "[Service]\n")
    XCTAssertEqual(
      try units(["diff", "--root", root]).code, 1, "nothing else was changed, but this file differs")
    try FileManager.default.removeItem(atPath: foreign)
    XCTAssertEqual(try units(["install", "--root", root, "--yes"], changed).code, 0)
    XCTAssertEqual(try units(["diff", "--root", root], changed).code, 0)
  }
}
