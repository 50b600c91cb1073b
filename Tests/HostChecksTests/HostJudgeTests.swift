import ShmRing
import Topology
import XCTest

@testable import HostChecks

/// Each check beside a host that is as it should be, and one that is not.
final class HostJudgeTests: XCTestCase {
  func testAHostAsItShouldBeHasNothingToDo() throws {
    let verdict = HostJudge.judge(try HostTree().facts(), needs: .isolated)
    let wrong = verdict.checks.filter { $0.status == .bad || $0.status == .unknown }
    XCTAssertEqual(wrong.map(\.line), [])
    XCTAssertEqual(verdict.checks.count, HostCheckName.allCases.count)
    XCTAssertGreaterThan(verdict.checks.count { $0.status == .ok }, 28)
  }

  private struct Fault {
    let check: HostCheckName
    let level: HostCheck.Level
    /// What the finding, its wish or its fix must name.
    let words: [String]
    var isFatal = false
    var needs: (inout HostNeeds) -> Void = { _ in }
    var host: (HostTree) throws -> Void = { _ in }
  }

  private var faults: [Fault] {
    let cpu = "sys/devices/system/cpu"
    return [
      Fault(check: .cores, level: .required, words: ["7", "host.cores"], isFatal: true) {
        $0.cores = [2, 7]
      },
      Fault(
        check: .cores, level: .required, words: ["2-3", "affinity", "taskset"], isFatal: true,
        host: { try $0.write("proc/self/status", "CapEff:\t0\nCpus_allowed_list:\t0-1\n") }),
      Fault(
        check: .cpuIsolation, level: .required, words: ["none", "isolcpus=managed_irq,domain,2-3"],
        host: { try $0.write("\(cpu)/isolated", "\n") }),
      // One of two is not enough.
      Fault(
        check: .cpuIsolation, level: .required, words: ["is 2,", "2-3 isolated"],
        host: { try $0.write("\(cpu)/isolated", "2\n") }),
      Fault(
        check: .nohzFull, level: .recommended, words: ["nohz_full=2-3"],
        host: {
          try $0.write("\(cpu)/nohz_full", " (null)\n")
          try $0.write("proc/cmdline", "rcu_nocbs=2-3\n")
        }),
      Fault(
        check: .rcuCallbacks, level: .recommended, words: ["rcu_nocbs=2-3"],
        host: {
          try $0.write("\(cpu)/nohz_full", "2\n")
          try $0.write("proc/cmdline", "quiet rcu_nocbs=1\n")
        }),
      Fault(
        check: .smt, level: .required, words: ["2 and 3 are threads of one core"],
        host: {
          for core in 2...3 { try $0.write("\(cpu)/cpu\(core)/topology/thread_siblings_list", "2-3\n") }
        }),
      Fault(
        check: .smt, level: .recommended,
        words: ["siblings 0 are online", "/sys/devices/system/cpu/cpu0/online"],
        host: { try $0.write("\(cpu)/cpu2/topology/thread_siblings_list", "0,2\n") }),
      Fault(
        check: .interruptAffinity, level: .required,
        words: ["24 (eth0-rx-0)", "echo 0-1 > /proc/irq/24/smp_affinity_list"],
        host: { try $0.write("proc/irq/24/effective_affinity_list", "2\n") }),
      Fault(
        check: .interruptAffinity, level: .required, words: ["no core is left"],
        needs: {
          $0.cores = [0, 1, 2, 3]
          $0.stages = (0...3).map { (core: Int) in HostNeeds.Stage(name: "s\(core)", core: core) }
        }),
      Fault(
        check: .interruptBalancing, level: .recommended, words: ["irqbalance runs", "BANNED_CPULIST=2-3"],
        host: { try $0.write("run/irqbalance/sock", "") }),
      Fault(
        check: .workqueues, level: .recommended,
        words: ["0-3", "echo 3 > /sys/devices/virtual/workqueue/cpumask"],
        host: { try $0.write("sys/devices/virtual/workqueue/cpumask", "f\n") }),
      Fault(
        check: .governor, level: .required, words: ["powersave", "cpu3/cpufreq/scaling_governor"],
        host: { try $0.write("\(cpu)/cpu3/cpufreq/scaling_governor", "powersave\n") }),
      Fault(
        check: .idleStates, level: .recommended, words: ["C6 (133 us)", "cpu2/cpuidle/state1/disable"],
        host: { try $0.write("\(cpu)/cpu2/cpuidle/state1/disable", "0\n") }),
      Fault(
        check: .interruptWatchdog, level: .recommended, words: ["echo 0 > /proc/sys/kernel/nmi_watchdog"],
        host: { try $0.write("proc/sys/kernel/nmi_watchdog", "1\n") }),
      Fault(
        check: .realTimeBandwidth, level: .required,
        words: ["950000", "50 ms", "merged spins", "echo -1 > /proc/sys/kernel/sched_rt_runtime_us"],
        isFatal: true,
        needs: { $0.stages[0] = HostNeeds.Stage(name: "merged", core: 2, spins: true, realTimePriority: 50) }),
      Fault(
        check: .realTimePriority, level: .recommended, words: ["limit 0", "LimitRTPRIO=40"],
        host: { try $0.write("proc/self/limits", "Max realtime priority     0                    0\n") }),
      Fault(
        check: .realTimePriority, level: .required, words: ["limit 0", "LimitRTPRIO=60"],
        needs: { $0.stages[0] = HostNeeds.Stage(name: "merged", core: 2, realTimePriority: 60) },
        host: { try $0.write("proc/self/limits", "Max realtime priority     0                    0\n") }),
      Fault(
        check: .numa, level: .required, words: ["node 5", "host.numa_node = 0"], isFatal: true,
        needs: { $0.numaNode = 5 }),
      Fault(
        check: .numa, level: .recommended, words: ["eth0 on node 1", "host.numa_node = 0"],
        host: {
          try $0.write("sys/devices/system/node/node1/cpulist", "4-7\n")
          try $0.write("sys/class/net/eth0/device/numa_node", "1\n")
        }),
      Fault(
        check: .memoryGroup, level: .required, words: ["953.67 MiB left", "memory.max"], isFatal: true,
        host: {
          try $0.write("proc/self/cgroup", "0::/set\n")
          try $0.write("sys/fs/cgroup/set/memory.max", "1000000000\n")
          try $0.write("sys/fs/cgroup/set/memory.current", "0\n")
        }),
      Fault(
        check: .memoryGroup, level: .required, words: ["1.86 GiB left"],
        host: {
          try $0.write("proc/self/cgroup", "0::/set\n")
          try $0.write("sys/fs/cgroup/set/memory.max", "2000000000\n")
          try $0.write("sys/fs/cgroup/set/memory.current", "0\n")
        }),
      Fault(
        check: .sharedMemory, level: .required, words: ["64 MiB free", "mount -o remount,size=2g"],
        isFatal: true,
        host: { try $0.systemFact("room", "room 67108864 writable /dev/shm/bulkhead") }),
      Fault(
        check: .sharedMemory, level: .required, words: ["cannot be written", "host.run_directory"],
        isFatal: true,
        host: { try $0.systemFact("room", "room 17179869184 closed /dev/shm/bulkhead") }),
      Fault(
        check: .swap, level: .recommended, words: ["/dev/vda2", "swapoff"],
        host: { try $0.write("proc/swaps", "Filename Type\n/dev/vda2 partition 1 0 -2\n") }),
      Fault(
        check: .swap, level: .required, words: ["/dev/vda2"], needs: { $0.locksMemory = false },
        host: { try $0.write("proc/swaps", "Filename Type\n/dev/vda2 partition 1 0 -2\n") }),
      Fault(
        check: .transparentHugePages, level: .required, words: ["always", "echo madvise > /sys/kernel/mm"],
        host: { try $0.write("sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n") }),
      Fault(
        check: .hugePages, level: .required, words: ["denied", "echo advise > "],
        host: { try $0.write("sys/kernel/mm/transparent_hugepage/shmem_enabled", "never [deny]\n") }),
      Fault(
        check: .hugePages, level: .required, words: ["128 MiB of memory available"],
        host: { try $0.write("proc/meminfo", "MemAvailable:   131072 kB\n") }),
      Fault(
        check: .lockedMemory, level: .required, words: ["limit 8 MiB", "CAP_IPC_LOCK"], isFatal: true,
        host: { try $0.write("proc/self/limits", "Max locked memory         8388608   8388608  bytes\n") }),
      Fault(
        check: .descriptors, level: .required, words: ["1024", "4224 for 4096 clients", "LimitNOFILE=4224"],
        isFatal: true, needs: { $0.clients = 4096 },
        host: { try $0.write("proc/self/limits", "Max open files            1024    4096  files\n") }),
      Fault(
        check: .receiveBuffer, level: .required, words: ["rmem_max = 212992", "echo 8388608 > "],
        host: { try $0.write("proc/sys/net/core/rmem_max", "212992\n") }),
      Fault(
        check: .networkBacklog, level: .recommended, words: ["1000", "echo 30000 > "],
        host: { try $0.write("proc/sys/net/core/netdev_max_backlog", "1000\n") }),
      Fault(
        check: .networkBudget, level: .recommended, words: ["300", "echo 600 > "],
        host: { try $0.write("proc/sys/net/core/netdev_budget", "300\n") }),
      Fault(
        check: .groupMemberships, level: .required, words: ["1", "2 or more"], isFatal: true,
        host: { try $0.write("proc/sys/net/ipv4/igmp_max_memberships", "1\n") }),
      Fault(
        check: .reversePathFilter, level: .recommended, words: ["eth0: 1", "conf/eth0/rp_filter"],
        host: { try $0.write("proc/sys/net/ipv4/conf/all/rp_filter", "1\n") }),
      Fault(
        check: .cardRings, level: .recommended, words: ["256 of 4096", "ethtool -G eth0 rx 4096"],
        host: { try $0.systemFact("ring", "ring eth0 256 4096") }),
      Fault(
        check: .cardCoalescing, level: .recommended,
        words: ["8 us, adaptive", "ethtool -C eth0 adaptive-rx off rx-usecs 0"],
        host: { try $0.systemFact("coalescing", "coalescing eth0 8 1") }),
      Fault(
        check: .cardOffloads, level: .recommended, words: ["gro on", "ethtool -K eth0 lro off gro off"],
        host: { try $0.systemFact("gro", "gro eth0 1") }),
      Fault(
        check: .clockSource, level: .required, words: ["hpet", "echo tsc > "],
        host: { try $0.write("sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet\n") }),
      Fault(
        check: .clockSynchronisation, level: .recommended, words: ["nobody", "chronyd"],
        host: { try $0.systemFact("clock", "clock free 500000000") }),
      Fault(
        check: .timeNamespace, level: .required, words: ["monotonic is off by 3600000000000 ns"],
        isFatal: true,
        host: { try $0.write("proc/self/timens_offsets", "monotonic 3600 0\n") }),
      Fault(
        check: .tapeRoom, level: .required, words: ["1 GiB free", "tape.retention"],
        host: {
          try $0.systemFact("room", "room 17179869184 writable /dev/shm/bulkhead")
          try $0.systemFact("zzz", "room 1073741824 writable /var/lib/bulkhead")
        }),
    ]
  }

  /// Every fault is found by its check, at its level, with what is wrong and what to do; and by no other check.
  func testEveryFaultIsFoundByItsCheck() throws {
    for fault in faults {
      let tree = try HostTree()
      var needs = HostNeeds.isolated
      fault.needs(&needs)
      try fault.host(tree)
      let verdict = HostJudge.judge(tree.facts(), needs: needs)
      let found = try XCTUnwrap(verdict.checks.first { $0.name == fault.check })
      XCTAssertEqual(found.status, .bad, found.line)
      XCTAssertEqual(found.level, fault.level, found.line)
      XCTAssertEqual(found.isFatal, fault.isFatal, found.line)
      for word in fault.words { XCTAssertTrue(found.line.contains(word), "no `\(word)` in \(found.line)") }
      XCTAssertFalse(found.fix.isNone, found.line)
    }
    XCTAssertEqual(Set(faults.map(\.check)).count, HostCheckName.allCases.count, "a check without a fault")
  }

  /// A shared set on a small machine: isolation is not its business, and nothing of it is required.
  func testASharedSetRequiresLittle() throws {
    let tree = try HostTree()
    try tree.write("sys/devices/system/cpu/isolated", "\n")
    try tree.write("proc/irq/24/effective_affinity_list", "2\n")
    try tree.write("proc/sys/net/core/rmem_max", "212992\n")
    try tree.write("sys/devices/system/cpu/cpu3/cpufreq/scaling_governor", "powersave\n")
    var needs = HostNeeds.isolated
    needs.isIsolated = false
    let verdict = HostJudge.judge(tree.facts(), needs: needs)
    XCTAssertEqual(verdict.failures.map(\.line), [])
    let warned = Set(verdict.warnings.map(\.name))
    XCTAssertEqual(warned, [.governor, .receiveBuffer])
    XCTAssertEqual(verdict.checks.first { $0.name == .cpuIsolation }?.status, .notApplicable)
  }

  /// A container that hides everything: nothing is known, and nothing fails.
  func testAnEmptyTreeIsUnknownNotBad() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("empty-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let verdict = HostJudge.judge(HostFactsReader(root: folder.path).read(), needs: .isolated)
    let wrong = verdict.checks.filter { $0.status == .bad && $0.name != .hugePages }
    XCTAssertEqual(wrong.map(\.line), [])
  }

  /// CAP_SYS_NICE, CAP_IPC_LOCK and CAP_NET_ADMIN lift the limits.
  func testCapabilitiesLiftLimits() throws {
    let tree = try HostTree()
    try tree.write("proc/self/limits", "Max locked memory         65536     65536  bytes\n")
    try tree.write("proc/sys/net/core/rmem_max", "4096\n")
    try tree.write("proc/self/status", "CapEff:\t0000000000805000\nCpus_allowed_list:\t0-3\n")
    let verdict = HostJudge.judge(tree.facts(), needs: .isolated)
    for name in [HostCheckName.lockedMemory, .receiveBuffer, .realTimePriority] {
      XCTAssertEqual(verdict.checks.first { $0.name == name }?.status, .ok, "\(name)")
    }
  }

  /// What preflight says and does: nothing, a word for what is required, or a refusal; and a refusal in any case for what
  /// cannot work.
  func testThePreflightsThreeModes() throws {
    let tree = try HostTree()
    try tree.write("sys/devices/system/cpu/isolated", "\n")
    try tree.write("proc/sys/kernel/nmi_watchdog", "1\n")
    let plain = HostJudge.judge(tree.facts(), needs: .isolated)
    XCTAssertEqual(HostPreflight.decide(plain, mode: .off).lines, [])
    XCTAssertFalse(HostPreflight.decide(plain, mode: .recommended).refuses)
    XCTAssertEqual(HostPreflight.decide(plain, mode: .recommended).lines.count, 1)
    XCTAssertTrue(HostPreflight.decide(plain, mode: .required).refuses)
    var needs = HostNeeds.isolated
    needs.stages[0] = HostNeeds.Stage(name: "merged", core: 2, spins: true, realTimePriority: 50)
    let trap = HostJudge.judge(try HostTree().facts(), needs: needs)
    XCTAssertTrue(HostPreflight.decide(trap, mode: .recommended).refuses)
    XCTAssertFalse(HostPreflight.decide(trap, mode: .off).refuses)
  }

  func testCoreLists() {
    XCTAssertEqual(CoreList.parse("0-3,8\n"), [0, 1, 2, 3, 8])
    XCTAssertEqual(CoreList.parse("\n"), [])
    for bad in ["3-1", "a", "1,,2", "-1", "1-2-3", "70000"] { XCTAssertNil(CoreList.parse(bad), bad) }
    XCTAssertEqual(CoreList.text([8, 1, 0, 2]), "0-2,8")
    XCTAssertEqual(CoreList.parseMask("1,00000003\n"), [0, 1, 32])
    XCTAssertEqual(CoreList.mask([0, 1, 32]), "1,00000003")
    XCTAssertNil(CoreList.parseMask("xyz"))
  }

  /// Files that hold anything at all: nothing breaks.
  func testHostileFiles() throws {
    let texts = ["", "\n\n", "999999999999999999999", "-", "[", "] [", "\u{0}", "0-99999999", "a b c d e f"]
    for text in texts {
      let tree = try HostTree()
      for path in [
        "sys/devices/system/cpu/online", "sys/devices/system/cpu/isolated", "proc/swaps", "proc/meminfo",
        "proc/self/limits", "proc/self/status", "proc/interrupts", "proc/irq/24/smp_affinity_list",
        "sys/kernel/mm/transparent_hugepage/enabled", "proc/self/timens_offsets", "bulkhead/system-facts",
        "sys/devices/virtual/workqueue/cpumask", "proc/sys/kernel/sched_rt_runtime_us", "proc/self/cgroup",
      ] { try tree.write(path, text) }
      XCTAssertEqual(
        HostJudge.judge(tree.facts(), needs: .isolated).checks.count, HostCheckName.allCases.count)
    }
  }
}
