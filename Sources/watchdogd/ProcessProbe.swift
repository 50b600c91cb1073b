import CLinux
import Glibc
import Supervision

/// Reads what /proc and the control group say about a process. A few system calls: for the moments of an alarm, not for
/// each scan.
enum ProcessProbe {
  static func sample(_ pid: pid_t) -> ProcessSample {
    let group = ProcessSample.controlGroup(read("/proc/\(pid)/cgroup"), controller: "cpu")
    return ProcessSample(
      stat: read("/proc/\(pid)/stat"), schedstat: read("/proc/\(pid)/schedstat"),
      cpuStat: group.map(statistics) ?? [], instant: bulkhead_monotonic_nanoseconds())
  }

  /// The same without its control group: two small files.
  static func times(_ pid: pid_t) -> ProcessSample {
    ProcessSample(
      stat: read("/proc/\(pid)/stat"), schedstat: read("/proc/\(pid)/schedstat"), cpuStat: [],
      instant: bulkhead_monotonic_nanoseconds())
  }

  /// What the kernel counts of the cores; its other counts, which follow, are left out.
  static func processors() -> [UInt8] { read("/proc/stat", limit: 32_768) }

  /// cpu.stat of a control group, wherever the hierarchy is mounted.
  private static func statistics(_ group: (path: String, isVersion2: Bool)) -> [UInt8] {
    let roots = group.isVersion2 ? ["", "/unified"] : ["/cpu", "/cpu,cpuacct"]
    for root in roots {
      let text = read("/sys/fs/cgroup\(root)\(group.path)/cpu.stat")
      if !text.isEmpty { return text }
    }
    return []
  }

  /// The file in which the kernel counts the processes of this one's control group that it killed for want of memory; the
  /// machine's where the group has none.
  static func memoryKillsFile(_ pid: pid_t) -> String {
    if let group = ProcessSample.controlGroup(read("/proc/\(pid)/cgroup"), controller: "memory") {
      let files =
        group.isVersion2
        ? ["\(group.path)/memory.events", "/unified\(group.path)/memory.events"]
        : ["/memory\(group.path)/memory.oom_control"]
      for file in files where memoryKills("/sys/fs/cgroup" + file) != nil { return "/sys/fs/cgroup" + file }
    }
    return "/proc/vmstat"
  }

  /// Bytes that a process has to itself, and how many its control group may still take; nil without a limit.
  static func memoryRoom(_ pid: pid_t) -> (used: UInt64, left: UInt64?) {
    guard let group = ProcessSample.controlGroup(read("/proc/\(pid)/cgroup"), controller: "memory") else {
      return (0, nil)
    }
    let (limitFile, usageFile) =
      group.isVersion2
      ? ("memory.max", "memory.current") : ("memory.limit_in_bytes", "memory.usage_in_bytes")
    for root in group.isVersion2 ? ["", "/unified"] : ["/memory"] {
      let folder = "/sys/fs/cgroup\(root)\(group.path)/"
      // "max", or nearly all that a number holds: none.
      guard let limit = ProcessSample.number(in: read(folder + limitFile)), limit < 1 << 60,
        let usage = ProcessSample.number(in: read(folder + usageFile))
      else { continue }
      let pages = ProcessSample.privatePages(in: read("/proc/\(pid)/statm"))
      return (pages * UInt64(sysconf(Int32(_SC_PAGESIZE))), limit > usage ? limit - usage : 0)
    }
    return (0, nil)
  }

  /// What it says; nil when it says nothing.
  static func memoryKills(_ file: String) -> UInt64? { MemoryKills.kills(in: read(file, limit: 65_536)) }

  /// The beginning of a file; nothing when it cannot be read.
  private static func read(_ path: String, limit: Int = 4_096) -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return [] }
    defer { close(descriptor) }
    return [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
      count = 0
      while count < limit, let base = buffer.baseAddress {
        let got = Glibc.read(descriptor, base + count, limit - count)
        if got <= 0 { break }
        count += got
      }
    }
  }
}
