import Foundation
import Glibc
import XCTest

/// What processes tell a service manager, heard by a socket in its place (D-49).
final class ServiceNotificationTests: XCTestCase {
  /// A stage on the files of a set that is over, started as a service manager would.
  private func startStage(
    _ component: String, program: String, of run: SetRun, settings: [String] = []
  ) throws -> ProcessHandle {
    var command = [program, "--component", component]
    for setting in run.place.overrides + SetRun.smallRings + settings { command += ["--set", setting] }
    return try ProcessHandle(command)
  }

  /// A set that has run to its end and left its files.
  private func finishedSet(settings: [String] = []) throws -> SetRun {
    let run = try SetRun(["--generate", "20000", "--seed", "3", "--keep"], settings: settings)
    try run.finish().expectCorrect()
    return run
  }

  /// Every stage: READY once, keep-alives from its loop no more often than asked and well within the limit, STOPPING when it is told
  /// to end.
  func testEveryStageSpeaks() throws {
    let tape = FileManager.default.temporaryDirectory.appendingPathComponent("notify-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: tape, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: tape) }
    let settings = [
      "tape.enabled=true", "tape.directory=\(tape.path)", "view.enabled=true", "view.port=0",
      "standby.enabled=true",
    ]
    let run = try finishedSet(settings: settings)
    for (component, name) in [
      ("rxd@a", "rxd"), ("merged", "merged"), ("bookd", "bookd"), ("pubd", "pubd"), ("taped", "taped"),
      ("viewd", "viewd"), ("standby", "bookd"),
    ] {
      let manager = try FakeManager()
      // Microseconds: a keep-alive is due each 100 ms.
      let stage = try manager.whileSpeaking(["WATCHDOG_USEC": "400000"]) {
        try startStage(component, program: Binaries.path(name), of: run, settings: settings)
      }
      let heard = try manager.hear(until: "ten keep-alives of \(component)\(stage.transcript)") {
        $0.filter { $0.text == "WATCHDOG=1" }.count >= 10
      }
      XCTAssertEqual(
        heard.filter { $0.text.contains("READY=1") }.map(\.text), ["READY=1\nSTATUS=READY"], component)
      let ready = try XCTUnwrap(heard.firstIndex { $0.text.contains("READY=1") })
      XCTAssertTrue(heard[..<ready].allSatisfy { $0.text != "WATCHDOG=1" }, "\(component): \(heard)")
      XCTAssertEqual(Set(heard.map(\.pid)), [stage.pid], component)
      // A quarter of the limit apart at least, by the kernel's clock; scheduling can make it more, never less.
      let instants = heard.filter { $0.text == "WATCHDOG=1" }.map(\.instant)
      for (earlier, later) in zip(instants, instants.dropFirst()) {
        XCTAssertGreaterThan(later - earlier, 0.09, "\(component): \(heard)")
      }
      // And half of it at most: of most, so that one that waited for its core is forgiven.
      let apart = zip(instants, instants.dropFirst()).map { $1 - $0 }.sorted()
      XCTAssertLessThanOrEqual(apart[apart.count / 2], 0.2, "\(component): \(heard)")
      stage.signal(SIGTERM)
      XCTAssertEqual(try stage.waitForEnd(seconds: 30), .exit(0), stage.transcript)
      let all = manager.heard()
      XCTAssertTrue(all.contains { $0.text == "STOPPING=1\nSTATUS=DRAINING" }, "\(component): \(all)")
      XCTAssertEqual(all.last?.text, "STATUS=DRAINED", "\(component): \(all)")
    }
  }

  /// A loop that is stuck is silent, and so the manager's watchdog would end it: no thread keeps its process alive.
  func testAStuckLoopSendsNoKeepAlive() throws {
    let run = try finishedSet()
    let standIn = try StandIn("1:stuck")
    let manager = try FakeManager()
    let stage = try manager.whileSpeaking(["WATCHDOG_USEC": "100000"]) {
      try startStage("bookd", program: "\(standIn.folder)/bookd", of: run)
    }
    try manager.hear(until: "READY\(stage.transcript)") { $0.contains { $0.text.hasPrefix("READY=1") } }
    // Twenty times what a keep-alive would take.
    usleep(500_000)
    XCTAssertEqual(manager.heard().filter { $0.text == "WATCHDOG=1" }.count, 0)
    stage.signal(SIGTERM)
    _ = try stage.waitForEnd(seconds: 30)
  }

  /// Another process's watchdog (WATCHDOG_PID) is not this one's.
  func testKeepAlivesAreOnlyForWhomTheyAreWanted() throws {
    let run = try finishedSet()
    let manager = try FakeManager()
    let stage = try manager.whileSpeaking(["WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"]) {
      try startStage("rxd@a", program: Binaries.path("rxd"), of: run)
    }
    try manager.hear(until: "READY\(stage.transcript)") { $0.contains { $0.text.hasPrefix("READY=1") } }
    usleep(300_000)
    stage.signal(SIGTERM)
    _ = try stage.waitForEnd(seconds: 30)
    XCTAssertEqual(manager.heard().filter { $0.text == "WATCHDOG=1" }.count, 0)
  }

  /// watchdogd speaks for itself once the whole set is READY, and none of its children speaks in its name.
  func testTheSupervisorSpeaksForItselfAlone() throws {
    let manager = try FakeManager()
    // Few words: what is not read meanwhile waits in a queue of ten.
    let run = try manager.whileSpeaking(["WATCHDOG_USEC": "8000000"]) {
      try SetRun(["--generate", "200000", "--seed", "3", "--rate", "50000"])
    }
    try manager.hear(until: "a keep-alive\(run.process.transcript)") {
      $0.contains { $0.text == "WATCHDOG=1" }
    }
    try run.finish().expectCorrect()
    let heard = manager.heard()
    XCTAssertEqual(Set(heard.map(\.pid)).count, 1, "\(heard)")
    XCTAssertEqual(heard.filter { $0.text == "READY=1\nSTATUS=READY" }.count, 1, "\(heard)")
    XCTAssertTrue(heard.contains { $0.text == "WATCHDOG=1" }, "\(heard)")
    XCTAssertTrue(heard.contains { $0.text == "STOPPING=1\nSTATUS=DRAINING" }, "\(heard)")
  }
}

/// The socket of a service manager that only listens.
final class FakeManager {
  struct Word: CustomStringConvertible {
    let text: String
    let pid: pid_t
    /// When the kernel took it, in seconds.
    let instant: Double
    var description: String { "\(pid): \(text.replacingOccurrences(of: "\n", with: " "))" }
  }

  private let descriptor: Int32
  private let path: String
  private var words: [Word] = []

  init() throws {
    path = NSTemporaryDirectory() + "notify-\(getpid())-\(UUID().uuidString.prefix(8))"
    descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
    var name = sockaddr_un()
    name.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: Array(path.utf8.prefix($0.count - 1))) }
    let bound = withUnsafePointer(to: &name) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard bound == 0 else { throw ProcessFailure(description: "cannot bind \(path): \(errno)") }
    var on: Int32 = 1
    for option in [SO_PASSCRED, SO_TIMESTAMP] {
      setsockopt(descriptor, SOL_SOCKET, option, &on, socklen_t(MemoryLayout<Int32>.size))
    }
  }

  deinit {
    close(descriptor)
    unlink(path)
  }

  /// Runs `body` in the environment of a service of this manager.
  func whileSpeaking<Result>(_ more: [String: String], _ body: () throws -> Result) rethrows -> Result {
    let variables = more.merging(["NOTIFY_SOCKET": path]) { $1 }
    for (name, value) in variables { setenv(name, value, 1) }
    defer { for name in variables.keys { unsetenv(name) } }
    return try body()
  }

  /// All that was said so far.
  func heard() -> [Word] {
    while let word = next() { words.append(word) }
    return words
  }

  @discardableResult
  func hear(until what: String, _ isEnough: ([Word]) -> Bool) throws -> [Word] {
    try waitUntil(seconds: 60, what, context: { "; heard \(self.words)" }) {
      let all = heard()
      return isEnough(all) ? all : nil
    }
  }

  private func next() -> Word? {
    var bytes = [UInt8](repeating: 0, count: 512)
    var control = [UInt8](repeating: 0, count: 256)
    return bytes.withUnsafeMutableBytes { bytes in
      control.withUnsafeMutableBytes { control in
        var vector = iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
        return withUnsafeMutablePointer(to: &vector) { vector -> Word? in
          var message = msghdr()
          message.msg_iov = vector
          message.msg_iovlen = 1
          message.msg_control = control.baseAddress
          message.msg_controllen = control.count
          let count = recvmsg(descriptor, &message, 0)
          guard count >= 0 else { return nil }
          let (pid, instant) = Self.read(UnsafeRawBufferPointer(rebasing: control[..<message.msg_controllen]))
          return Word(
            text: String(decoding: UnsafeRawBufferPointer(rebasing: bytes[..<count]), as: UTF8.self),
            pid: pid,
            instant: instant)
        }
      }
    }
  }

  /// Sender and stamp from the message's control data: headers of 16 bytes, each padded to 8.
  private static func read(_ control: UnsafeRawBufferPointer) -> (pid_t, Double) {
    var offset = 0
    var pid: pid_t = 0
    var instant = 0.0
    while offset + 16 <= control.count {
      let length = control.loadUnaligned(fromByteOffset: offset, as: Int.self)
      let kind = control.loadUnaligned(fromByteOffset: offset + 12, as: Int32.self)
      guard length >= 16, offset + length <= control.count else { break }
      if kind == 2 { pid = control.loadUnaligned(fromByteOffset: offset + 16, as: Int32.self) }
      if kind == SO_TIMESTAMP {
        let seconds = control.loadUnaligned(fromByteOffset: offset + 16, as: Int.self)
        let microseconds = control.loadUnaligned(fromByteOffset: offset + 24, as: Int.self)
        instant = Double(seconds) + Double(microseconds) / 1e6
      }
      offset += (length + 7) & ~7
    }
    return (pid, instant)
  }
}
