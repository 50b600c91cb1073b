import Foundation
import Glibc
import XCTest

/// One `bulkhead run` with an instance name, multicast groups and ports of its own.
///
/// Multicast on loopback is shared by the whole host, and a foreign session on a line ends the session on it. So
/// groups and ports follow from this process's id and a counter.
final class SetRun {
  let instance: String
  let place: Place
  let process: ProcessHandle
  /// Rings for some hundred thousand messages: created quickly, and they retain the whole session.
  static let smallRings = [
    "ring.merged.cells=524288", "ring.book.cells=2097152", "capacity.orders=262144", "capacity.levels=262144",
  ]

  /// Where a set lives on the network.
  struct Place {
    let instance: String
    let groupA, groupB: String
    let portA, portB, portRetransmission, portSnapshot: UInt16

    /// One that no other test of this host uses.
    static func next() -> Place {
      let number = counter.next()
      let pid = Int(getpid())
      var retransmission = 0
      repeat {
        // Below the range from which the system takes its own ports.
        retransmission = firstPort + (pid * 37 + counter.next() * 4) % 5_996
      } while !isFree(UInt16(retransmission))
      let middle = "\(64 + pid >> 8 & 63).\(pid & 255)"
      return Place(
        instance: "pipeline-\(pid)-\(number)", groupA: "239.\(middle).\(number * 2 & 0xFE)",
        groupB: "239.\(middle).\(number * 2 & 0xFE | 1)", portA: UInt16(retransmission + 1),
        portB: UInt16(retransmission + 2), portRetransmission: UInt16(retransmission),
        portSnapshot: UInt16(retransmission + 3))
    }

    var overrides: [String] {
      [
        "host.instance=\(instance)", "channel.line.a.group=\(groupA)", "channel.line.b.group=\(groupB)",
        "channel.line.a.port=\(portA)", "channel.line.b.port=\(portB)",
        "channel.retransmission.port=\(portRetransmission)", "channel.snapshot.port=\(portSnapshot)",
        "publish.port=0",
      ]
    }

    var directory: String { "/dev/shm/bulkhead/\(instance)" }

    private static let counter = Counter()
    /// Both halves of these tests run at once (scripts/test-pipeline): a port that is free now is not taken by the other one then.
    private static let firstPort =
      ProcessInfo.processInfo.environment["BULKHEAD_TEST_HALF"] == "2" ? 26_000 : 20_000

    private static func isFree(_ port: UInt16) -> Bool {
      let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
      defer { close(descriptor) }
      return withSocketAddress(inet_addr("127.0.0.1"), port) { bind(descriptor, $0, $1) == 0 }
    }
  }

  private final class Counter: @unchecked Sendable {
    private var value = 0
    private let lock = NSLock()
    func next() -> Int {
      lock.lock()
      defer { lock.unlock() }
      value += 1
      return value
    }
  }

  /// Starts a run.
  /// - Parameters:
  ///   - arguments: of `bulkhead run`, besides `--json`, `--quiet` and the place
  ///   - settings: KEY=VALUE for `--set`, after those of the place and ``smallRings``
  ///   - folder: where the programs lie, if not where they were built
  ///   - wrapper: what starts the command that follows it
  init(
    _ arguments: [String], settings: [String] = [], at place: Place = .next(),
    programsIn folder: String? = nil, wrapper: [String] = []
  ) throws {
    try Binaries.require()
    instance = place.instance
    self.place = place
    let program = folder.map { "\($0)/bulkhead" } ?? Binaries.path("bulkhead")
    var command = wrapper + [program, "run", "--json", "--quiet", "--timeout", "90"]
    for setting in place.overrides + Self.smallRings + settings { command += ["--set", setting] }
    process = try ProcessHandle(command + arguments)
  }

  /// Ends what is left: the run, which ends the rest, and then, one by one, processes of this set that are still there.
  deinit {
    if process.pollEnding() == nil {
      process.signal(SIGTERM)
      _ = try? process.waitForEnd(seconds: 30)
      process.signal(SIGKILL)
    }
    for pid in ProcessTable.processes(naming: instance) { kill(pid, SIGKILL) }
    removeFiles()
  }

  var directoryExists: Bool { FileManager.default.fileExists(atPath: place.directory) }

  /// Removes the files of a set that was kept, and the lock beside them, which nothing else removes.
  private func removeFiles() {
    for path in [place.directory, place.directory + ".lock"] {
      try? FileManager.default.removeItem(atPath: path)
    }
  }

  // MARK: While it runs

  /// What `bulkhead status` says; nil when it finds no such set (or one that is only being made).
  func status() throws -> SetStatus? {
    let command = try ProcessHandle.run("bulkhead", ["status", "--json", "--name", instance])
    guard let list = try? JSONDecoder().decode(StatusList.self, from: Data(command.output.utf8)) else {
      return nil
    }
    return list.sets.first
  }

  /// Waits until the set is as wanted. Fails at once when the run ends before it is.
  func waitForStatus(
    _ what: String, seconds: Double = 60, where isWanted: (SetStatus) -> Bool
  ) throws -> SetStatus {
    var last: SetStatus?
    return try waitUntil(
      seconds: seconds, what,
      context: { "; last: \(last.map { "\($0)" } ?? "no set")\(self.process.transcript)" }
    ) {
      let hasEnded = process.pollEnding() != nil
      if let status = try status() {
        last = status
        if isWanted(status) { return status }
      }
      if hasEnded { throw ProcessFailure(description: "the run ended before \(what)\(process.transcript)") }
      return nil
    }
  }

  /// Waits until all stages are READY and bookd has applied this many messages.
  func waitForMessages(_ count: UInt64) throws -> SetStatus {
    try waitForStatus("\(count) messages applied") { status in
      status.messagesApplied >= count && status.stages.count >= 5
        && status.stages.allSatisfy { $0.alive && $0.state == "READY" }
    }
  }

  /// Kills a stage, or `watchdogd`, as a crash would.
  func crash(_ name: String, of status: SetStatus) throws {
    let pid = name == "watchdogd" ? status.watchdogd.pid : status.stage(name)?.pid ?? 0
    guard pid > 0, kill(pid, SIGKILL) == 0 else {
      throw ProcessFailure(description: "cannot kill \(name) (process \(pid))\(process.transcript)")
    }
  }

  /// What the supervisor wrote down so far, oldest first.
  func events() throws -> [SetEvent] {
    let command = try ProcessHandle.run("bulkhead", ["events", "--json", "--name", instance])
    // What else the machine does is no matter of these tests.
    let ofLoad = [
      "neighbour", "neighbour gone", "latency degraded", "latency restored", "work shed", "work resumed",
    ]
    return command.output.split(separator: "\n").compactMap {
      try? JSONDecoder().decode(SetEvent.self, from: Data($0.utf8))
    }
    .filter { !ofLoad.contains($0.event) }
  }

  /// Waits until the supervisor has written down what is wanted.
  @discardableResult
  func waitForEvents(
    _ what: String, seconds: Double = 60, where isWanted: ([SetEvent]) -> Bool
  ) throws -> [SetEvent] {
    var last: [SetEvent] = []
    return try waitUntil(
      seconds: seconds, what, context: { "; events: \(last)\(self.process.transcript)" }
    ) {
      last = try events()
      return isWanted(last) ? last : nil
    }
  }

  // MARK: The end

  /// Waits for the end and reads the result. Fails the test when a process of the set is still there.
  func finish(seconds: Double = 120) throws -> FinishedRun {
    let ending = try process.waitForEnd(seconds: seconds)
    let leftovers = ProcessTable.processes(naming: instance)
    XCTAssertEqual(leftovers, [], "processes left behind by\(process.transcript)")
    guard let line = process.output.split(separator: "\n").last else {
      throw ProcessFailure(description: "no result was printed\(process.transcript)")
    }
    do {
      let report = try JSONDecoder().decode(RunReport.self, from: Data(line.utf8))
      return FinishedRun(
        ending: ending, report: report, errors: process.errors, transcript: process.transcript)
    } catch {
      throw ProcessFailure(
        description: "the last line is not the expected JSON: \(error)\(process.transcript)")
    }
  }
}

/// A run that has ended, and comparisons that show its command and output when they fail.
final class FinishedRun {
  let ending: Ending
  let report: RunReport
  let errors: String
  private let fullTranscript: String
  private var wasShown = false

  init(ending: Ending, report: RunReport, errors: String, transcript: String) {
    self.ending = ending
    self.report = report
    self.errors = errors
    fullTranscript = transcript
  }

  /// The command and what it printed; at length for the first failure only.
  var transcript: String {
    defer { wasShown = true }
    return wasShown ? " (the run is shown above)" : fullTranscript
  }

  func expect<Value: Equatable>(
    _ actual: Value, _ wanted: Value, _ what: String, file: StaticString = #filePath, line: UInt = #line
  ) {
    XCTAssertEqual(actual, wanted, "\(what)\(transcript)", file: file, line: line)
  }

  func expect(_ condition: Bool, _ what: String, file: StaticString = #filePath, line: UInt = #line) {
    XCTAssertTrue(condition, "\(what)\(transcript)", file: file, line: line)
  }

  /// Everything came out, once and in order, and every digest is the expected one.
  func expectCorrect(file: StaticString = #filePath, line: UInt = #line) {
    expect(ending, .exit(0), "exit code", file: file, line: line)
    expect(report.verdict, "correct", "verdict", file: file, line: line)
    expect(report.exitCode, 0, "exit code in the result", file: file, line: line)
    expect(report.reasons, [], "reasons", file: file, line: line)
    expect(report.messagesApplied, report.messagesSent, "messages applied", file: file, line: line)
    expect(report.gaps, [], "gaps", file: file, line: line)
    expect(report.restartGaps, [], "restart gaps", file: file, line: line)
    expect(report.gapsUnrecoverable, 0, "unrecovered gaps", file: file, line: line)
    expect(report.messagesLost, 0, "messages lost", file: file, line: line)
    expect(report.ringLaps, 0, "ring laps", file: file, line: line)
    // Whatever a test does to a set: its loops ask for nothing that their sandboxes do not allow.
    expect(!errors.contains("sandbox does not allow"), "no call is refused", file: file, line: line)
    expectOrdered(file: file, line: line)
    expectDigests(file: file, line: line)
  }

  /// No event is repeated, missing or out of place.
  func expectOrdered(file: StaticString = #filePath, line: UInt = #line) {
    expect(report.identityViolations, 0, "identity violations", file: file, line: line)
    expect(report.outOfOrderInput, 0, "records out of order", file: file, line: line)
    expect(report.replicaMismatches, 0, "events that pubd's replica refused", file: file, line: line)
  }

  /// The stream, bookd's books and pubd's books are what the same messages and gaps come to without the pipeline.
  func expectDigests(file: StaticString = #filePath, line: UInt = #line) {
    expect(report.expected?.streamDigest, report.streamDigest, "stream digest", file: file, line: line)
    expect(report.expected?.events, report.eventsPublished, "events", file: file, line: line)
    expect(report.expected?.bookDigest, report.bookDigest, "bookd's digest", file: file, line: line)
    expect(report.expected?.bookDigest, report.publishBookDigest, "pubd's digest", file: file, line: line)
  }
}

/// Calls `body` with an IPv4 address as the system wants it; `address` in network byte order.
func withSocketAddress<Result>(
  _ address: in_addr_t, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
) -> Result {
  var name = sockaddr_in()
  name.sin_family = sa_family_t(AF_INET)
  name.sin_port = port.bigEndian
  name.sin_addr.s_addr = address
  return withUnsafePointer(to: &name) { pointer in
    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
    }
  }
}
