import CLinux
import Glibc
import Supervision

/// Reads what /proc and the control group say about a process. A few system calls: for the moments of an alarm, not for
/// each scan.
enum ProcessProbe {
  static func sample(_ pid: pid_t) -> ProcessSample {
    let group = ProcessSample.processorGroup(read("/proc/\(pid)/cgroup"))
    return ProcessSample(
      stat: read("/proc/\(pid)/stat"), schedstat: read("/proc/\(pid)/schedstat"),
      cpuStat: group.map(statistics) ?? [], instant: bulkhead_monotonic_nanoseconds())
  }

  /// cpu.stat of a control group, wherever the hierarchy is mounted.
  private static func statistics(_ group: (path: String, isVersion2: Bool)) -> [UInt8] {
    let roots = group.isVersion2 ? ["", "/unified"] : ["/cpu", "/cpu,cpuacct"]
    for root in roots {
      let text = read("/sys/fs/cgroup\(root)\(group.path)/cpu.stat")
      if !text.isEmpty { return text }
    }
    return []
  }

  /// The first 4 KiB of a file; nothing when it cannot be read.
  private static func read(_ path: String) -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return [] }
    defer { close(descriptor) }
    return [UInt8](unsafeUninitializedCapacity: 4_096) { buffer, count in
      count = max(0, Glibc.read(descriptor, buffer.baseAddress, 4_096))
    }
  }
}
