import Foundation
import XCTest

@testable import PublishLoop

/// A stock Python client (Tests/clients/stock_client.py) beside the test.
final class PythonClient {
  let process = Process()
  private let output = Pipe()
  private let errors = Pipe()

  /// Interpreter: `BULKHEAD_PYTHON`, or `python3` from the path.
  static let interpreter = ProcessInfo.processInfo.environment["BULKHEAD_PYTHON"] ?? "python3"

  /// Why no client can run; nil when one can.
  static let reasonToSkip: String? = {
    let probe = Process()
    probe.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    probe.arguments = [interpreter, "-c", "import websockets"]
    probe.standardError = FileHandle.nullDevice
    do { try probe.run() } catch { return "python3 does not start: \(error)" }
    probe.waitUntilExit()
    return probe.terminationStatus == 0
      ? nil : "\(interpreter) has no package 'websockets' (set BULKHEAD_PYTHON to one that has)"
  }()

  init(port: Int, _ arguments: [String]) throws {
    let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("clients/stock_client.py")
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments =
      [Self.interpreter, script.path, "--url", "ws://127.0.0.1:\(port)/v1/stream"] + arguments
    process.standardOutput = output
    process.standardError = errors
    try process.run()
  }

  var isRunning: Bool { process.isRunning }

  /// The line that it printed; call it after it ended.
  func report() throws -> [String: Any] {
    process.waitUntilExit()
    let bytes = output.fileHandleForReading.readDataToEndOfFile()
    let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    let object = try? JSONSerialization.jsonObject(with: bytes)
    return try XCTUnwrap(object as? [String: Any], "the client printed no JSON; its errors: \(text)")
  }
}

extension XCTestCase {
  /// Serves until `done`; fails after a deadline that only a hang can reach.
  func serve(_ server: PublishServer, _ note: String, until done: () -> Bool) {
    let deadline = Date().addingTimeInterval(60)
    while !done() {
      guard Date() < deadline else { return XCTFail("nothing happened: \(note); \(server.statistics)") }
      server.service(timeoutMilliseconds: 5)
    }
  }
}
