import Foundation
import XCTest

/// Real processes in their sandboxes. That no loop is refused anything is a part of every `expectCorrect`.
final class SandboxTests: XCTestCase {
  private static let day = [
    "--generate", "300000", "--instruments", "500", "--seed", "21", "--rate", "40000",
  ]

  /// What the kernel says of a process: filter, privileges, capabilities of its main thread.
  private func confinement(_ pid: pid_t) throws -> [String: String] {
    let text = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
    var found: [String: String] = [:]
    for line in text.split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 1)
      guard parts.count == 2, ["Seccomp", "NoNewPrivs", "CapEff", "CapPrm"].contains(parts[0]) else {
        continue
      }
      found[String(parts[0])] = parts[1].trimmingCharacters(in: .whitespaces)
    }
    return found
  }

  /// Every process of a set, the recorder and its threads included, and their successors; and the day comes out.
  func testEveryProcessIsConfinedAndTheDayComesOut() throws {
    let disk = NSTemporaryDirectory() + "sandbox-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: disk) }
    let run = try SetRun(
      Self.day + ["--impair", "A:loss=1%;B:loss=1%"],
      settings: ["tape.enabled=true", "tape.directory=\(disk)", "tape.snapshot_interval=1s"])
    var status = try run.waitForMessages(10_000)
    for round in 0..<2 {
      for stage in status.stages {
        let found = try confinement(stage.pid)
        XCTAssertEqual(found["Seccomp"], "2", "\(stage.name) in round \(round): \(found)")
        XCTAssertEqual(found["NoNewPrivs"], "1", stage.name)
        XCTAssertEqual(found["CapEff"].flatMap { UInt64($0, radix: 16) }, 0, stage.name)
        XCTAssertEqual(found["CapPrm"].flatMap { UInt64($0, radix: 16) }, 0, stage.name)
        for thread in try FileManager.default.contentsOfDirectory(atPath: "/proc/\(stage.pid)/task") {
          let own = try confinement(pid_t(thread) ?? 0)
          XCTAssertEqual(own["Seccomp"], "2", "thread \(thread) of \(stage.name)")
          XCTAssertEqual(own["CapEff"].flatMap { UInt64($0, radix: 16) }, 0, "thread of \(stage.name)")
        }
      }
      let supervisor = try confinement(status.watchdogd.pid)
      XCTAssertEqual(supervisor["Seccomp"], "2", "watchdogd in round \(round): \(supervisor)")
      guard round == 0 else { break }
      let old = status.pids
      for name in ["rxd@a", "merged", "bookd", "pubd", "taped", "watchdogd"] {
        try run.crash(name, of: status)
      }
      status = try run.waitForStatus("successors of all") { status in
        status.watchdogd.alive
          && status.stages.allSatisfy {
            $0.alive && $0.state == "READY" && ($0.name == "rxd@b" || $0.pid != old[$0.name])
          }
      }
    }
    let finished = try run.finish()
    finished.expectCorrect()
  }

  func testWithoutASandboxNothingIsGivenUp() throws {
    let run = try SetRun(Self.day, settings: ["host.sandbox=off"])
    let status = try run.waitForMessages(10_000)
    for stage in status.stages { XCTAssertEqual(try confinement(stage.pid)["Seccomp"], "0", stage.name) }
    try run.finish().expectCorrect()
  }

  /// A call that the sandbox does not allow ends the process there, and the cause of its death has its name.
  func testADeadlySandboxNamesTheCall() throws {
    let standIn = try StandIn("2:forbidden")
    let run = try SetRun(Self.day, settings: ["host.sandbox=kill"], programsIn: standIn.folder)
    try run.crash("bookd", of: try run.waitForMessages(10_000))
    let finished = try run.finish()
    XCTAssertEqual(finished.report.verdict, "correct", finished.transcript)
    XCTAssertEqual(finished.report.restarts["bookd"], 2, finished.transcript)
    XCTAssertTrue(
      finished.errors.contains("bookd trap (signal 31): its sandbox does not allow socket (41)"),
      finished.transcript)
  }

  /// Or it fails, and the process goes on; the count and the call are on its page.
  func testARefusedCallIsCountedAndNamed() throws {
    let standIn = try StandIn("2:forbidden")
    let run = try SetRun(Self.day, programsIn: standIn.folder)
    try run.crash("bookd", of: try run.waitForMessages(10_000))
    let page = URL(fileURLWithPath: "/dev/shm/bulkhead/\(run.instance)/bookd.control")
    let counted = try waitUntil(seconds: 60, "a refusal", context: { run.process.transcript }) {
      let bytes = try Data(contentsOf: page)
      let words = (0..<3).map { index in
        bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 0x980 + 8 * index, as: UInt64.self) }
      }
      return words[0] > 0 ? words : nil
    }
    XCTAssertEqual(counted, [1, 41, 41], "count, newest, first: socket is 41")
    XCTAssertTrue(
      run.process.errors.contains("bookd: its sandbox does not allow the system call socket (41): refused"),
      run.process.transcript)
    XCTAssertTrue(run.process.errors.contains("standin: -1, errno 1"), run.process.transcript)
    run.process.signal(SIGTERM)
    _ = try run.process.waitForEnd(seconds: 60)
  }
}
