import Foundation
import Glibc
import XCTest

/// The kernel ends a process for want of memory: a SIGKILL like any other, told apart by what the kernel counts for the control
/// group.
final class OutOfMemoryTests: XCTestCase {
  private static let day = [
    "--generate", "300000", "--instruments", "500", "--seed", "27", "--rate", "40000", "--keep",
  ]

  /// A control group for memory below this process's own, which counts and limits what is in it.
  private final class MemoryGroup {
    let path: String
    private let isVersion2: Bool

    init() throws {
      let own = try String(contentsOfFile: "/proc/self/cgroup", encoding: .utf8).split(separator: "\n")
      let name = "bulkhead-test-\(getpid())"
      if let line = own.first(where: { $0.contains(":memory:") }) {
        isVersion2 = false
        path = "/sys/fs/cgroup/memory\(line.split(separator: ":").last ?? "")/\(name)"
      } else if let line = own.first(where: { $0.hasPrefix("0::") }) {
        isVersion2 = true
        path = "/sys/fs/cgroup\(line.dropFirst(3))/\(name)"
      } else {
        throw XCTSkip("no control group for memory")
      }
      guard mkdir(path, 0o755) == 0 else {
        throw XCTSkip("cannot make \(path): \(String(cString: strerror(errno)))")
      }
      guard access("\(path)/\(limitFile)", W_OK) == 0 else {
        rmdir(path)
        throw XCTSkip("\(path) does not limit memory: its controller is not delegated")
      }
    }

    /// Once nothing is in it; the kernel takes a moment for the last process.
    func remove() {
      for _ in 0..<200 {
        if rmdir(path) == 0 { return }
        usleep(10_000)
      }
    }

    private var limitFile: String { isVersion2 ? "memory.max" : "memory.limit_in_bytes" }

    /// Starts what follows within the group.
    var wrapper: [String] { ["/bin/sh", "-c", "echo $$ > \(path)/cgroup.procs && exec \"$@\"", "sh"] }

    private func number(_ file: String) throws -> UInt64 {
      let text = try String(contentsOfFile: "\(path)/\(file)", encoding: .utf8)
      return try XCTUnwrap(UInt64(text.trimmingCharacters(in: .whitespacesAndNewlines)), text)
    }

    func limit(toMoreThanNow bytes: UInt64) throws {
      let used = try number(isVersion2 ? "memory.current" : "memory.usage_in_bytes")
      try "\(used + bytes)".write(toFile: "\(path)/\(limitFile)", atomically: false, encoding: .utf8)
    }

    func lift() throws {
      try (isVersion2 ? "max" : "-1").write(
        toFile: "\(path)/\(limitFile)", atomically: false, encoding: .utf8)
    }
  }

  /// Takes memory of the group piece by piece until the victim is gone, or it has taken far more than there is.
  private static let hog = """
    import os, sys, time
    pieces = []
    for _ in range(64):
        pieces.append(bytearray(b"x") * (4 << 20))
        time.sleep(0.02)
        try: state = open("/proc/%s/stat" % sys.argv[1]).read().rsplit(")", 1)[1].split()[0]
        except OSError: state = "X"
        if state in "ZX": break
    """

  func testAKillForWantOfMemoryIsTold() throws {
    let group = try MemoryGroup()
    defer { group.remove() }
    // The set is gone when this returns, however it does.
    try killForWantOfMemory(in: group)
  }

  private func killForWantOfMemory(in group: MemoryGroup) throws {
    let run = try SetRun(Self.day, wrapper: group.wrapper)
    let before = try run.waitForMessages(10_000)
    let victim = try XCTUnwrap(before.stage("pubd")?.pid)
    // Whom the kernel is to miss least.
    try "1000".write(toFile: "/proc/\(victim)/oom_score_adj", atomically: false, encoding: .utf8)
    try group.limit(toMoreThanNow: 48 << 20)
    let python = ProcessInfo.processInfo.environment["BULKHEAD_PYTHON"] ?? "/usr/bin/python3"
    let hog = try ProcessHandle(group.wrapper + [python, "-c", Self.hog, "\(victim)"])
    let events = try run.waitForEvents("a death") { $0.contains { $0.event == "died" } }
    try group.lift()
    try hog.waitForEnd()
    let deaths = events.filter { $0.event == "died" }
    XCTAssertEqual(deaths.map(\.component), ["pubd"], "\(events)")
    XCTAssertEqual(deaths.map(\.cause), ["killed by the kernel: out of memory"], "\(events)")
    // Somebody else's SIGKILL, in a group that has counted one, is still somebody else's.
    let after = try run.waitForStatus("another pubd") {
      $0.stage("pubd")?.state == "READY" && $0.stage("pubd")?.pid != victim
    }
    try run.crash("pubd", of: after)
    let later = try run.waitForEvents("another death") { $0.filter { $0.event == "died" }.count == 2 }
    XCTAssertEqual(later.last { $0.event == "died" }?.cause, "killed (SIGKILL)", "\(later)")
    try run.finish().expectCorrect()
  }
}
