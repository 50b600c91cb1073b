import Foundation
import XCTest

@testable import SetInspection
@testable import ShmRing
@testable import StageRuntime
@testable import bulkhead

/// `bulkhead stop` of a whole set: somebody has to agree, and only the incarnation that is meant is asked to end.
final class StopTests: XCTestCase {
  /// A set whose watchdogd is a process that does nothing.
  private func set(_ name: String = "demo") throws -> (set: SyntheticSet, watchdogd: Process) {
    let set = try SyntheticSet(instance: name)
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sleep")
    process.arguments = ["600"]
    try process.run()
    let text = try String(contentsOfFile: "/proc/\(process.processIdentifier)/stat", encoding: .utf8)
    let fields = text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ")
    // Field 22 of proc(5); the name's end is the second.
    let began = try XCTUnwrap(UInt64(fields[20]))
    set.page(InstanceFiles.supervisor) {
      $0.word(0x10).storeRelaxed(UInt64(process.processIdentifier))
      $0.word(0x18).storeRelaxed(began)
    }
    return (set, process)
  }

  private func stop(
    _ set: SyntheticSet, _ arguments: [String], environment: [String: String] = [:]
  ) throws -> (code: Int32, output: String, errors: String) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
      .deletingLastPathComponent().appendingPathComponent("bulkhead")
    process.arguments = ["stop", "--run-directory", set.runDirectory, "--keep"] + arguments
    process.environment = environment.merging(["PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"]) { $1 }
    let (output, errors) = (Pipe(), Pipe())
    (process.standardOutput, process.standardError) = (output, errors)
    process.standardInput = FileHandle.nullDevice
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    let said = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return (process.terminationStatus, text, said)
  }

  func testNobodyAgrees() throws {
    let (set, watchdogd) = try set()
    defer { watchdogd.terminate() }
    let unasked = try stop(set, ["--name", "demo"])
    XCTAssertEqual(unasked.code, 64, "\(unasked)")
    XCTAssertTrue(unasked.errors.contains("--yes is wanted where nobody can be asked"), "\(unasked)")
    // A name that lies in the environment is what somebody looks at, not what they agree to end.
    let inherited = try stop(set, ["--yes"], environment: ["BULKHEAD_NAME": "demo"])
    XCTAssertEqual(inherited.code, 64, "\(inherited)")
    XCTAssertTrue(inherited.errors.contains("--name"), "\(inherited)")
    XCTAssertEqual(try stop(set, ["--yes"]).code, 64)
    XCTAssertTrue(watchdogd.isRunning)
    let dry = try stop(set, ["--dry-run"], environment: ["BULKHEAD_NAME": "demo"])
    XCTAssertEqual(dry.code, 0, "\(dry)")
    XCTAssertTrue(
      dry.output.hasPrefix("would be stopped: demo, watchdogd process \(watchdogd.processIdentifier)"),
      "\(dry)")
    XCTAssertTrue(watchdogd.isRunning)
  }

  /// A dry run says what would come: a refusal, too.
  func testAnotherIncarnationIsRefused() throws {
    let (set, watchdogd) = try set()
    defer { watchdogd.terminate() }
    for more in [["--yes"], ["--dry-run"]] {
      let other = try stop(set, ["--name", "demo", "--epoch", "9"] + more)
      XCTAssertEqual(other.code, 1, "\(more): \(other)")
      XCTAssertTrue(other.errors.contains("is at epoch 1, not 9"), "\(more): \(other)")
    }
    XCTAssertTrue(watchdogd.isRunning)
    let done = try stop(set, ["--name", "demo", "--epoch", "1", "--yes"])
    XCTAssertEqual(done.code, 0, "\(done)")
    XCTAssertEqual(done.output, "stopped demo\n")
    watchdogd.waitUntilExit()
    XCTAssertEqual(watchdogd.terminationReason, .uncaughtSignal)
    XCTAssertEqual(watchdogd.terminationStatus, SIGTERM)
  }

  /// Its number may be another process's by now: that one is left alone.
  func testAnotherProcessOfTheNumberIsLeftAlone() throws {
    let (set, watchdogd) = try set()
    defer { watchdogd.terminate() }
    set.page(InstanceFiles.supervisor) { $0.word(0x18).storeRelaxed(1) }
    let gone = try stop(set, ["--name", "demo", "--yes"])
    XCTAssertEqual(gone.code, 3, "\(gone)")
    XCTAssertTrue(watchdogd.isRunning)
  }
}
