import Foundation
import Glibc
import XCTest

/// Drill D-33: set-ups that cannot work are refused before anything is made, each with the exact key or check and exit code
/// 78, and without a trace in a set that runs beside them. Drill D-28: so is real-time spinning under bandwidth control.
final class RefusalTests: XCTestCase {
  /// One broken set-up.
  private struct Broken {
    /// KEY=VALUE, on top of the place.
    var settings: [String] = []
    /// Files of /proc and /sys that this host is made of; nil for the real one.
    var host: [String: String]?
    /// What the refusal must name.
    let words: [String]
    /// Changes the embedded default's text.
    var edit: ((String) -> String)?
    /// Arguments behind all others.
    var arguments: [String] = []

    init(_ settings: [String], _ words: [String], host: [String: String]? = nil) {
      self.settings = settings
      self.words = words
      self.host = host
    }

    init(arguments: [String], _ words: [String]) {
      self.arguments = arguments
      self.words = words
    }

    init(_ words: [String], edit: @escaping (String) -> String) {
      self.words = words
      self.edit = edit
    }
  }

  private static let required = "host.preflight=required"
  private static let limits = "proc/self/limits"

  private var broken: [Broken] {
    return [
      // Names and structure.
      Broken(["host.instance=UPPER"], ["E016", "instance", "UPPER"]),
      Broken(["host.run_directory=relative"], ["E016", "run_directory"]),
      Broken(["ring.merged.cels=1024"], ["cels", "did you mean `cells`"]),
      Broken(["ring.none.cells=1024"], ["none", "merged"]),
      Broken(["nowhere.key=1"], ["nowhere"]),
      Broken(["E002", "unknown key `colour`"]) { "colour = 1\n" + $0 },
      Broken(["E005", "schema"]) { "schema = 1\n" + $0 },
      Broken(["E020", "schema 2"]) { $0.replacingOccurrences(of: "schema = 1", with: "schema = 2") },
      Broken(["E001"]) { $0.replacingOccurrences(of: "number = 1\n", with: "number = \n") },
      Broken(["E003", "instance"]) { $0.replacingOccurrences(of: "instance = \"demo\"\n", with: "") },
      Broken(["E040", "pubd"]) { $0.replacingOccurrences(of: "name = \"pubd\"", with: "name = \"webd\"") },
      Broken(["E021", "a set runs exactly one channel, the file has 2", "another host.instance"]) {
        $0 + "\n[[channel]]\nname = \"two\"\nnumber = 2\n"
      },
      // Another configuration than was meant: no file, and units of an earlier one.
      Broken(
        arguments: ["--topology", "/nonexistent/topology.toml"], ["E006", "/nonexistent/topology.toml"]),
      Broken(
        arguments: ["--expect-configuration", "0123456789abcdef"],
        ["is not 0123456789abcdef", "bulkhead units install"]),
      // Ways to receive that are not in this version.
      Broken(["channel.line.a.backend=af_xdp"], ["backend"]),
      Broken(["E002", "backend"]) {
        $0.replacingOccurrences(of: "number = 1\n", with: "number = 1\nbackend = [\"kernel\", \"af_xdp\"]\n")
      },
      // Capacities.
      Broken(["ring.merged.cells=65535"], ["E017", "65536"]),
      Broken(["ring.merged.cells=5"], ["E010", "1024"]),
      Broken(["channel.arbitration.window_messages=100"], ["E017", "window_messages"]),
      Broken(["host.memory_limit=64MiB"], ["E060", "memory_limit"]),
      Broken(["capacity.orders=0"], ["E010", "orders"]),
      Broken(["publish.clients=5000"], ["E010", "clients"]),
      // Cores.
      Broken(["host.cores=[0,999]"], ["E045", "999"]),
      Broken(["stage.bookd.core=7"], ["E044", "bookd"]),
      Broken(["stage.pubd.idle=spin"], ["E047", "pubd"]),
      Broken(["stage.rxd@a.idle=spin", "stage.rxd@a.core=0"], ["E046", "rxd@a"]),
      // Addresses and ports.
      Broken(["channel.line.a.group=10.0.0.1"], ["E050", "10.0.0.1"]),
      Broken(["channel.line.a.port=70000"], ["E010", "port"]),
      Broken(
        [
          "channel.line.b.group=239.1.2.3", "channel.line.a.group=239.1.2.3",
          "channel.line.a.port=27000", "channel.line.b.port=27000",
        ], ["E052"]),
      Broken(["publish.port=26999", "channel.retransmission.port=26999"], ["E053", "26999"]),
      Broken(["channel.retransmission.address=239.1.1.1"], ["E055"]),
      // Policies that contradict each other, or are not in this version.
      Broken(["ring.book.policy=gated"], ["E022"]),
      Broken(["channel.arbitration.unrecoverable=snapshot"], ["E024"]),
      Broken(["stage.merged.restart=restart"], ["E062", "merged"]),
      Broken(["channel.arbitration.hold=2s"], ["E063", "hold"]),
      Broken(["stage.pubd.on_alarm=[\"mark_stale\"]"], ["E065", "pubd"]),
      Broken(["tape.enabled=true", "tape.directory=/dev/shm/bulkhead/tape"], ["E066"]),
      // The host.
      Broken(
        ["host.lock_memory=true"], ["`locked-memory`", "limit 64 KiB", "CAP_IPC_LOCK"],
        host: [Self.limits: "Max locked memory         65536   65536  bytes\n"]),
      Broken(
        ["publish.clients=1000", "publish.client_queue=64KiB"], ["`descriptors`", "1128 for 1000 clients"],
        host: [Self.limits: "Max open files            256   256  files\n"]),
      Broken(
        [], ["`memory-group`", "memory.max"],
        host: [
          "proc/self/cgroup": "0::/small\n", "sys/fs/cgroup/small/memory.max": "100000000\n",
          "sys/fs/cgroup/small/memory.current": "0\n",
        ]),
      Broken(
        ["host.run_directory=/dev/shm/bulkhead"], ["`shm-size`", "16 MiB free"],
        host: ["bulkhead/system-facts": "room 16777216 writable /dev/shm/bulkhead\n"]),
      Broken(
        ["host.numa_node=3"], ["`numa`", "node 3"], host: ["sys/devices/system/node/node0/cpulist": "0-1\n"]),
      Broken(
        [], ["`time-namespace`", "monotonic"], host: ["proc/self/timens_offsets": "monotonic 86400 0\n"]),
      Broken(
        [], ["`multicast-memberships`"], host: ["proc/sys/net/ipv4/igmp_max_memberships": "1\n"]),
      // D-28: without `required`, too, since the stage would be stopped 50 ms in each second.
      Broken(
        Self.trap, ["`rt-throttle`", "50 ms in each period", "rxd@a", "sched_rt_runtime_us"],
        host: [
          "proc/sys/kernel/sched_rt_runtime_us": "950000\n",
          "proc/sys/kernel/sched_rt_period_us": "1000000\n",
        ]),
      Broken(
        [Self.required, "stage.bookd.realtime_priority=50"], ["`rt-priority`", "limit 0", "LimitRTPRIO=50"],
        host: [Self.limits: "Max realtime priority     0                    0\n"]),
      Broken(
        [Self.required, "ring.merged.huge_pages=true"], ["`hugepages`", "denied", "shmem_enabled"],
        host: ["sys/kernel/mm/transparent_hugepage/shmem_enabled": "never [deny]\n"]),
      Broken(
        [Self.required, "tape.enabled=true"], ["`tape-room`", "1 MiB free", "tape.retention"],
        host: ["bulkhead/system-facts": "room 1048576 writable /var/lib/bulkhead\n"]),
      Broken(
        [Self.required, "channel.line.a.receive_buffer_required=true"], ["`receive-buffer`", "rmem_max"],
        host: ["proc/sys/net/core/rmem_max": "212992\n"]),
    ]
  }

  private static let trap = [
    "stage.rxd@a.idle=spin", "stage.rxd@a.core=0", "stage.rxd@a.realtime_priority=50", "stage.rxd@b.core=1",
    "stage.merged.core=1", "stage.bookd.core=1",
  ]

  override func setUpWithError() throws { try Binaries.require() }

  func testEveryBrokenSetUpIsRefusedAndTheRunningSetGoesOn() throws {
    XCTAssertGreaterThanOrEqual(broken.count, 30)
    let running = try SetRun(
      ["--generate", "400000", "--instruments", "200", "--seed", "33", "--rate", "20000"])
    let before = try running.waitForMessages(2_000)
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "refusals-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let shipped = try String(
      contentsOf: Binaries.packageRoot.appendingPathComponent("topology.toml"), encoding: .utf8)
    var walls: [Double] = []
    for (number, set) in broken.enumerated() {
      walls.append(try refuse(set, number, shipped: shipped, in: folder.appendingPathComponent("\(number)")))
    }
    // By the clock on the wall, too: of most of them, since the machine may be busy with something else during one.
    walls.sort()
    XCTAssertLessThan(
      walls[walls.count / 2], 1, "seconds of half of the refusals; the longest: \(walls.suffix(3))")
    try refuseAStageOfAnotherConfiguration(running)
    // The set beside them: the same processes, no restart, and all of its messages.
    let after = try XCTUnwrap(running.status())
    XCTAssertEqual(after.pids, before.pids)
    XCTAssertEqual(after.watchdogd.pid, before.watchdogd.pid)
    let finished = try running.finish()
    finished.expectCorrect()
    finished.expect(finished.report.restarts.values.reduce(0, +), 0, "restarts")
  }

  /// A stage that comes to a set with another configuration than the set was made for touches nothing of it.
  private func refuseAStageOfAnotherConfiguration(_ running: SetRun) throws {
    var command = [Binaries.path("bookd"), "--component", "bookd"]
    for setting in running.place.overrides + SetRun.smallRings + ["capacity.orders=131072"] {
      command += ["--set", setting]
    }
    let process = try ProcessHandle(command)
    XCTAssertEqual(try process.waitForEnd(seconds: 60), .exit(78), process.transcript)
    for word in ["bookd: configuration", "which the set \"\(running.instance)\" was made for"] {
      XCTAssertTrue(process.errors.contains(word), process.transcript)
    }
  }

  /// - Returns: how long it took, s.
  private func refuse(_ set: Broken, _ number: Int, shipped: String, in folder: URL) throws -> Double {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let place = SetRun.Place.next()
    let file = folder.appendingPathComponent("topology.toml")
    try (set.edit?(shipped) ?? shipped).write(to: file, atomically: false, encoding: .utf8)
    var command = [Binaries.path("watchdogd"), "--topology", file.path]
    // A text that is broken is refused as it is; what overrides say of it would only be more.
    if set.edit == nil { for setting in place.overrides + set.settings { command += ["--set", setting] } }
    if let host = set.host {
      for (path, text) in host {
        let target = folder.appendingPathComponent("host/\(path)")
        try FileManager.default.createDirectory(
          at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
        try text.write(to: target, atomically: false, encoding: .utf8)
      }
      command = ["/usr/bin/env", "BULKHEAD_HOST_ROOT=\(folder.path)/host"] + command
    }
    command += set.arguments
    let start = Self.childrenSeconds()
    let begun = ProcessInfo.processInfo.systemUptime
    let process = try ProcessHandle(command)
    let ending = try process.waitForEnd(seconds: 60)
    let wall = ProcessInfo.processInfo.systemUptime - begun
    let context = "broken set-up \(number)\(process.transcript)"
    XCTAssertEqual(ending, .exit(78), context)
    for word in set.words { XCTAssertTrue(process.errors.contains(word), "no \"\(word)\": \(context)") }
    // Of its own processor time: the machine may be busy with something else.
    XCTAssertLessThan(Self.childrenSeconds() - start, 1, context)
    XCTAssertFalse(FileManager.default.fileExists(atPath: place.directory), "files left: \(context)")
    unlink(place.directory + ".lock")
    return wall
  }

  /// Processor time of children that have ended. Those of the running set are not this process's to wait for until it ends.
  private static func childrenSeconds() -> Double {
    var usage = rusage()
    getrusage(__rusage_who_t(truncatingIfNeeded: RUSAGE_CHILDREN.rawValue), &usage)
    func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
    return seconds(usage.ru_utime) + seconds(usage.ru_stime)
  }

  /// Forced: with the preflight off the same host is not looked at, and the set starts.
  func testTheSameHostIsNotRefusedWithThePreflightOff() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("forced-\(UUID().uuidString)")
    let offsets = folder.appendingPathComponent("proc/self/timens_offsets")
    try FileManager.default.createDirectory(
      at: offsets.deletingLastPathComponent(), withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try "monotonic 86400 0\n".write(to: offsets, atomically: false, encoding: .utf8)
    let run = try SetRun(
      [], settings: ["host.preflight=off"], wrapper: ["/usr/bin/env", "BULKHEAD_HOST_ROOT=\(folder.path)"])
    _ = try run.waitForStatus("a live set") { $0.verdict == "LIVE" && $0.stages.count == 5 }
    run.process.signal(SIGTERM)
    XCTAssertEqual(try run.finish().ending, .exit(0))
  }
}
