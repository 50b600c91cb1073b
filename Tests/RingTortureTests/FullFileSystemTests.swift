import Foundation
import XCTest

/// Rings in a file system that has no room for them (D-19): an error at the creation, never a SIGBUS later.
final class FullFileSystemTests: XCTestCase {
  func testRingsInOneMebibyte() throws {
    // Beside the test bundle.
    let program = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
      .appendingPathComponent("ringtorture").path
    guard access(program, X_OK) == 0 else { throw XCTSkip("no \(program)") }
    let directory = NSTemporaryDirectory() + "bulkhead-full-\(getpid())"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    guard try run("unshare -m mount -t tmpfs -o size=1m none '\(directory)'").code == 0 else {
      throw XCTSkip("no permission for a mount namespace")
    }
    // A mount of its own, gone with its processes. Small rings fit, the one of 65,536 cells does not.
    let torture =
      "'\(program)' --directory '\(directory)' --writer-kills 10 --reader-kills 10 --takeovers 0 --records 0 --step-rounds 0"
    let (code, text) = try run(
      "unshare -m sh -c \"mount -t tmpfs -o size=1m none '\(directory)' && \(torture); echo code \\$?; ls '\(directory)' | wc -l\""
    )
    XCTAssertEqual(code, 0, text)
    XCTAssertTrue(text.contains("code 70"), text)
    XCTAssertTrue(text.contains("allocate 4198400 bytes for"), text)
    XCTAssertTrue(text.contains("No space left on device; make /dev/shm larger"), text)
    XCTAssertTrue(text.contains("kill overwriting 64 cells"), "small rings fit: \(text)")
    XCTAssertFalse(text.contains("signal("), text)
    XCTAssertTrue(text.hasSuffix("0\n"), "nothing stays behind: \(text)")
  }

  private func run(_ command: String) throws -> (code: Int32, text: String) {
    let process = Process()
    let output = Pipe()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", command]
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return (process.terminationStatus, text)
  }
}
