import Foundation
import HostChecks

/// A tree of /proc and /sys files in a temporary folder: a host of our own making.
final class HostTree {
  let folder: URL

  /// Four cores; 2 and 3 are isolated; everything is as an isolated set wants it.
  init() throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "bulkhead-host-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    for (path, text) in Self.good { try write(path, text) }
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  func write(_ path: String, _ text: String) throws {
    let file = folder.appendingPathComponent(path)
    try FileManager.default.createDirectory(
      at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try text.write(to: file, atomically: false, encoding: .utf8)
  }

  func remove(_ path: String) throws {
    try FileManager.default.removeItem(at: folder.appendingPathComponent(path))
  }

  func text(_ path: String) throws -> String {
    try String(contentsOf: folder.appendingPathComponent(path), encoding: .utf8)
  }

  func facts() -> HostFacts { HostFactsReader(root: folder.path).read() }

  /// Replaces one line of the system facts, found by its first words.
  func systemFact(_ start: String, _ line: String?) throws {
    let path = "bulkhead/system-facts"
    var lines = try text(path).split(separator: "\n").map(String.init).filter { !$0.hasPrefix(start) }
    if let line { lines.append(line) }
    try write(path, lines.joined(separator: "\n") + "\n")
  }

  private static let good: [String: String] = {
    var files = [
      "proc/sys/kernel/osrelease": "6.1.0-13-amd64\n",
      "proc/cmdline": "root=/dev/vda1 isolcpus=2-3 nohz_full=2-3 rcu_nocbs=2-3\n",
      "proc/interrupts": """
               CPU0       CPU1       CPU2       CPU3
       24:          3          0          0          0  PCI-MSIX-0000:00:05.0   0-edge      eth0-rx-0
       25:          0          3          0          0  PCI-MSIX-0000:00:05.0   1-edge      eth0-tx-0
      NMI:          0          0          0          0   Non-maskable interrupts

      """,
      "proc/irq/default_smp_affinity": "3\n",
      "proc/irq/24/smp_affinity_list": "0-1\n", "proc/irq/24/effective_affinity_list": "0\n",
      "proc/irq/25/smp_affinity_list": "0-1\n", "proc/irq/25/effective_affinity_list": "1\n",
      "proc/meminfo": "MemTotal:       24684096 kB\nMemAvailable:   16777216 kB\n",
      "proc/swaps": "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n",
      "proc/self/limits": """
      Limit                     Soft Limit           Hard Limit           Units
      Max open files            20000                20000                files
      Max locked memory         unlimited            unlimited            bytes
      Max realtime priority     99                   99

      """,
      "proc/self/status": "Name:\ttest\nCapEff:\t0000000000000000\nCpus_allowed_list:\t0-3\n",
      "proc/self/cgroup": "0::/\n",
      "proc/self/timens_offsets": "monotonic           0         0\nboottime            0         0\n",
      "proc/sys/kernel/nmi_watchdog": "0\n", "proc/sys/kernel/sched_rt_runtime_us": "950000\n",
      "proc/sys/kernel/sched_rt_period_us": "1000000\n", "proc/sys/net/core/rmem_max": "67108864\n",
      "proc/sys/net/core/netdev_max_backlog": "30000\n", "proc/sys/net/core/netdev_budget": "600\n",
      "proc/sys/net/ipv4/igmp_max_memberships": "20\n", "proc/sys/net/ipv4/conf/all/rp_filter": "0\n",
      "proc/sys/net/ipv4/conf/eth0/rp_filter": "0\n",
      "sys/devices/system/cpu/online": "0-3\n", "sys/devices/system/cpu/isolated": "2-3\n",
      "sys/devices/system/cpu/nohz_full": "2-3\n", "sys/devices/virtual/workqueue/cpumask": "3\n",
      "sys/devices/system/node/node0/cpulist": "0-3\n",
      "sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc\n",
      "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
      "sys/kernel/mm/transparent_hugepage/shmem_enabled": "always within_size advise [never] deny force\n",
      "sys/class/net/eth0/type": "1\n", "sys/class/net/eth0/device/numa_node": "0\n",
      "sys/class/net/lo/type": "772\n",
      "bulkhead/system-facts": """
      address lo 127.0.0.1
      address eth0 10.0.0.5
      ring eth0 4096 4096
      coalescing eth0 0 0
      lro eth0 0
      gro eth0 0
      clock synchronised 12000
      room 17179869184 writable /dev/shm/bulkhead
      room 17179869184 writable /var/lib/bulkhead

      """,
    ]
    for core in 0...3 {
      files["sys/devices/system/cpu/cpu\(core)/topology/thread_siblings_list"] = "\(core)\n"
      files["sys/devices/system/cpu/cpu\(core)/cpufreq/scaling_governor"] = "performance\n"
      files["sys/devices/system/cpu/cpu\(core)/cpuidle/state0/name"] = "POLL\n"
      files["sys/devices/system/cpu/cpu\(core)/cpuidle/state0/latency"] = "0\n"
      files["sys/devices/system/cpu/cpu\(core)/cpuidle/state1/name"] = "C6\n"
      files["sys/devices/system/cpu/cpu\(core)/cpuidle/state1/latency"] = "133\n"
      files["sys/devices/system/cpu/cpu\(core)/cpuidle/state1/disable"] = "1\n"
    }
    return files
  }()
}

extension HostNeeds {
  /// Two stages on the isolated cores, lines on eth0, and something of everything.
  static var isolated: HostNeeds {
    var needs = HostNeeds()
    needs.isIsolated = true
    needs.cores = [1, 2, 3]
    needs.stages = [
      Stage(name: "merged", core: 2, spins: true), Stage(name: "bookd", core: 3, spins: true),
      Stage(name: "pubd", core: nil),
    ]
    needs.locksMemory = true
    needs.memoryBytes = 4 << 30
    needs.sharedBytes = 1 << 30
    needs.hugeRings = [("merged", 256 << 20)]
    needs.clients = 64
    needs.lines = ["a", "b"].map {
      Line(name: $0, interface: "10.0.0.5", receiveBufferBytes: 8 << 20, isBufferRequired: false)
    }
    needs.tapeDirectory = "/var/lib/bulkhead"
    needs.tapeBytes = 4 << 30
    return needs
  }
}
