import Foundation
import XCTest

/// Processes in the sandbox of each program: what they are refused, and how.
final class SandboxedProcessTests: XCTestCase {
  private var folder = URL(fileURLWithPath: "/")

  override func setUpWithError() throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("sandboxed-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  override func tearDown() { try? FileManager.default.removeItem(at: folder) }

  private func attempt(_ program: String, _ mode: String, _ call: String) throws -> (
    output: String, errors: String, ending: String
  ) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
      .deletingLastPathComponent().appendingPathComponent("sandboxed")
    process.arguments = [program, mode, call, folder.path]
    let (output, errors) = (Pipe(), Pipe())
    process.standardOutput = output
    process.standardError = errors
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    let said = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    let how = process.terminationReason == .exit ? "exit" : "signal"
    return (text.trimmingCharacters(in: .newlines), said, "\(how) \(process.terminationStatus)")
  }

  /// What a program's loop has no need of fails, is counted, and is named; the process goes on.
  func testEachProgramIsRefusedWhatItDoesNotNeed() throws {
    let attempts = [
      ("execve", "execve"), ("ptrace", "ptrace"), ("socket", "socket"), ("create", "openat"),
      ("code", "mmap"),
      ("kill", "kill"),
    ]
    let needed = [
      "merged": ["socket"], "taped": ["create"], "watchdogd": ["socket", "kill"], "rxd": [],
      "bookd": ["create"],
      "pubd": [], "viewd": [],
    ]
    for (program, needs) in needed {
      for (attempt, call) in attempts {
        let result = try self.attempt(program, "refuse", attempt)
        XCTAssertEqual(result.ending, "exit 0", "\(program) \(attempt): \(result)")
        if needs.contains(attempt) {
          XCTAssertTrue(result.output.hasPrefix("ok 0 0 "), "\(program) \(attempt): \(result)")
        } else {
          XCTAssertEqual(result.output, "-1 EPERM 1 \(call)", "\(program) \(attempt): \(result)")
          XCTAssertTrue(
            result.errors.hasPrefix("\(program): its sandbox does not allow the system call \(call) ("),
            result.errors)
        }
      }
      XCTAssertTrue(try attempt(program, "refuse", "look").output.hasPrefix("ok 0 0 "), program)
    }
  }

  /// Or it ends by SIGSYS at that call.
  func testADeadlySandboxEndsTheProcess() throws {
    let result = try attempt("bookd", "kill", "socket")
    XCTAssertEqual(result.ending, "signal \(SIGSYS)", "\(result)")
    XCTAssertTrue(result.errors.contains("does not allow the system call socket"), result.errors)
    XCTAssertEqual(try attempt("bookd", "kill", "look").ending, "exit 0")
  }

  func testWithoutASandboxNothingIsRefused() throws {
    XCTAssertTrue(try attempt("bookd", "off", "socket").output.hasPrefix("ok 0 0 "))
  }
}
