import CLinux
import Glibc
import ShmRing

/// Gathers the facts of a host from /proc and /sys below `root`, and from the kernel where `root` is `/`. Another root is a
/// copy of such a tree: of a bundle, of a test, or a container's view of its host. Reads, and changes nothing.
public final class HostFactsReader {
  /// Where a copy keeps what only system calls tell: lines of ``SystemFacts``.
  public static let systemFactsPath = "/bulkhead/system-facts"
  private static let largestFile = 1 << 20

  private let root: String
  /// Every file that was read, with its path below the root: what a bundle keeps.
  public private(set) var files: [(path: String, bytes: [UInt8])] = []

  /// - Parameter root: `/`, or a directory without a slash at its end.
  public init(root: String = "/") { self.root = root == "/" ? "" : root }

  var isLive: Bool { root.isEmpty }

  /// - Parameter directories: whose file systems' room is wanted.
  public func read(rooms directories: [String] = [], ownFiles: String? = nil) -> HostFacts {
    var facts = HostFacts()
    files = []
    facts.kernelRelease = line("/proc/sys/kernel/osrelease")
    facts.kernelArguments = (text("/proc/cmdline") ?? "").split(whereSeparator: { $0 == " " || $0 == "\n" })
      .map(String.init)
    readProcessors(&facts)
    readInterrupts(&facts)
    readMemory(&facts)
    readLimits(&facts)
    readNetwork(&facts)
    readClocks(&facts)
    let system =
      isLive
      ? SystemFacts.gather(rooms: directories, ownFiles: ownFiles, interfaces: facts.interfaces.map(\.name))
      : SystemFacts(text: text(Self.systemFactsPath) ?? "")
    system.complete(&facts)
    if isLive { files.append((Self.systemFactsPath, Array(system.text.utf8))) }
    return facts
  }

  // MARK: Parts

  private func readProcessors(_ facts: inout HostFacts) {
    let place = "/sys/devices/system/cpu"
    facts.online = line("\(place)/online").flatMap(CoreList.parse)
    facts.isolated = text("\(place)/isolated").flatMap(CoreList.parse)
    facts.withoutTick = text("\(place)/nohz_full").flatMap(CoreList.parse)
    for core in (facts.online ?? []).sorted() {
      let directory = "\(place)/cpu\(core)"
      if let siblings = line("\(directory)/topology/thread_siblings_list").flatMap(CoreList.parse) {
        facts.siblings[core] = siblings
      }
      facts.governors[core] = line("\(directory)/cpufreq/scaling_governor")
      var states: [HostFacts.IdleState] = []
      for entry in entries("\(directory)/cpuidle") where entry.hasPrefix("state") {
        let state = "\(directory)/cpuidle/\(entry)"
        guard let index = Int(entry.dropFirst(5)), let latency = number("\(state)/latency") else { continue }
        states.append(
          HostFacts.IdleState(
            index: index, name: line("\(state)/name") ?? entry, latency: latency,
            isDisabled: number("\(state)/disable") ?? 0 != 0))
      }
      if !states.isEmpty { facts.idleStates[core] = states.sorted { $0.index < $1.index } }
    }
    for entry in entries("/sys/devices/system/node") where entry.hasPrefix("node") {
      if let node = Int(entry.dropFirst(4)),
        let cores = text("/sys/devices/system/node/\(entry)/cpulist").flatMap(CoreList.parse)
      {
        facts.nodes[node] = cores
      }
    }
    facts.workqueueCores = line("/sys/devices/virtual/workqueue/cpumask").flatMap(CoreList.parseMask)
    facts.interruptWatchdog = number("/proc/sys/kernel/nmi_watchdog")
    facts.realTimeRuntime = number("/proc/sys/kernel/sched_rt_runtime_us")
    facts.realTimePeriod = number("/proc/sys/kernel/sched_rt_period_us")
  }

  private func readInterrupts(_ facts: inout HostFacts) {
    var names: [Int: String] = [:]
    for row in (text("/proc/interrupts") ?? "").split(separator: "\n") {
      let words = row.split(separator: " ", omittingEmptySubsequences: true)
      guard let first = words.first, first.hasSuffix(":"), let number = Int(first.dropLast()), words.count > 2
      else { continue }
      names[number] = String(words[words.count - 1])
    }
    for entry in entries("/proc/irq") {
      guard let number = Int(entry) else { continue }
      // What is asked for and what is done differ for lines that the kernel manages itself.
      let effective = line("/proc/irq/\(entry)/effective_affinity_list").flatMap(CoreList.parse) ?? []
      let asked = line("/proc/irq/\(entry)/smp_affinity_list").flatMap(CoreList.parse) ?? []
      let cores = effective.isEmpty ? asked : effective
      if cores.isEmpty || names[number] == nil { continue }
      facts.interrupts.append(HostFacts.Interrupt(number: number, name: names[number] ?? "", cores: cores))
    }
    facts.interrupts.sort { $0.number < $1.number }
    facts.defaultInterruptCores = line("/proc/irq/default_smp_affinity").flatMap(CoreList.parseMask)
    facts.balancesInterrupts = exists("/run/irqbalance") || exists("/run/irqbalance.pid")
  }

  private func readMemory(_ facts: inout HostFacts) {
    for row in (text("/proc/meminfo") ?? "").split(separator: "\n") where row.hasPrefix("MemAvailable:") {
      let words = row.split(separator: " ")
      if words.count >= 2, let kibibytes = UInt64(words[1]), kibibytes < 1 << 50 {
        facts.availableMemory = kibibytes << 10
      }
    }
    facts.swaps = text("/proc/swaps").map { text in
      text.split(separator: "\n").dropFirst().compactMap { $0.split(separator: " ").first.map(String.init) }
    }
    facts.transparentHugePages = chosen("/sys/kernel/mm/transparent_hugepage/enabled")
    facts.sharedHugePages = chosen("/sys/kernel/mm/transparent_hugepage/shmem_enabled")
    facts.allowance = MemoryAllowance.tightest { [unowned self] in text($0) }
  }

  private func readLimits(_ facts: inout HostFacts) {
    for row in (text("/proc/self/limits") ?? "").split(separator: "\n") {
      func limit(_ title: String) -> UInt64? {
        guard row.hasPrefix(title), let soft = row.dropFirst(title.count).split(separator: " ").first else {
          return nil
        }
        return soft == "unlimited" ? .max : UInt64(soft)
      }
      if let value = limit("Max locked memory") { facts.lockedMemoryLimit = value }
      if let value = limit("Max open files") { facts.descriptorLimit = value }
      if let value = limit("Max realtime priority") { facts.realTimePriorityLimit = value }
    }
    for row in (text("/proc/self/status") ?? "").split(separator: "\n") {
      if row.hasPrefix("CapEff:") { facts.capabilities = UInt64(row.dropFirst(7).trimmed, radix: 16) }
      if row.hasPrefix("Cpus_allowed_list:") { facts.allowed = CoreList.parse(row.dropFirst(18).trimmed) }
    }
  }

  private func readNetwork(_ facts: inout HostFacts) {
    facts.largestReceiveBuffer = number("/proc/sys/net/core/rmem_max")
    facts.backlog = number("/proc/sys/net/core/netdev_max_backlog")
    facts.budget = number("/proc/sys/net/core/netdev_budget")
    facts.groupMemberships = number("/proc/sys/net/ipv4/igmp_max_memberships")
    let everywhere = number("/proc/sys/net/ipv4/conf/all/rp_filter")
    for name in entries("/sys/class/net").sorted() {
      var card = HostFacts.Interface(name: name)
      // ARPHRD_LOOPBACK.
      card.isLoopback = number("/sys/class/net/\(name)/type") == 772
      card.numaNode = number("/sys/class/net/\(name)/device/numa_node")
      if let own = number("/proc/sys/net/ipv4/conf/\(name)/rp_filter") {
        // The kernel takes the larger of the two; loose counts as larger.
        card.reversePathFilter = max(own, everywhere ?? 0)
      }
      facts.interfaces.append(card)
    }
  }

  private func readClocks(_ facts: inout HostFacts) {
    facts.clockSource = line("/sys/devices/system/clocksource/clocksource0/current_clocksource")
    for row in (text("/proc/self/timens_offsets") ?? "").split(separator: "\n") {
      let words = row.split(separator: " ")
      guard words.count == 3, let seconds = Int64(words[1]), let rest = Int64(words[2]) else { continue }
      facts.clockOffsets[String(words[0])] =
        seconds.multipliedReportingOverflow(by: 1_000_000_000).partialValue &+ rest
    }
  }

  // MARK: Files

  /// A small file as text; nil when it cannot be read.
  func text(_ path: String) -> String? {
    let descriptor = open(root + path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16_384)
    while bytes.count < Self.largestFile {
      let count = Glibc.read(descriptor, &chunk, chunk.count)
      if count < 0 { return nil }
      if count == 0 { break }
      bytes += chunk.prefix(count)
    }
    files.append((path, bytes))
    return String(decoding: bytes, as: UTF8.self)
  }

  private func line(_ path: String) -> String? {
    guard let first = text(path)?.split(separator: "\n").first?.trimmed, !first.isEmpty else { return nil }
    return first
  }

  private func number(_ path: String) -> Int? { line(path).flatMap { Int($0) } }

  /// The word in brackets: `always [madvise] never`.
  private func chosen(_ path: String) -> String? {
    guard let line = line(path), let start = line.firstIndex(of: "["), let end = line.firstIndex(of: "]"),
      start < end
    else { return nil }
    return String(line[line.index(after: start)..<end])
  }

  private func exists(_ path: String) -> Bool { access(root + path, F_OK) == 0 }

  private func entries(_ path: String) -> [String] {
    guard let handle = opendir(root + path) else { return [] }
    defer { closedir(handle) }
    var names: [String] = []
    while let entry = readdir(handle) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if !name.hasPrefix(".") { names.append(name) }
    }
    return names.sorted()
  }
}
