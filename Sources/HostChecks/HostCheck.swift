/// One finding about a host: what is, what should be, why, and what exactly to do.
public struct HostCheck: Sendable, Equatable {
  public enum Level: String, Sendable {
    case required
    case recommended
  }

  public enum Status: String, Sendable {
    case ok
    case bad
    /// It could not be read. Never counts as a failure.
    case unknown
    /// Nothing in the topology, or in the machine, that it could be about.
    case notApplicable = "not applicable"
  }

  public let name: HostCheckName
  public var level: Level
  public var status: Status
  public var got: String
  public var want: String
  public var fix: HostFix = .none
  /// With it the set cannot work at all: refused even where the preflight only recommends.
  public var isFatal = false

  public var why: String { name.why }
  public var isFailure: Bool { status == .bad && level == .required }
  public var isWarning: Bool { status == .bad && level == .recommended }

  init(
    _ name: HostCheckName, _ level: Level, _ status: Status, got: String, want: String, fix: HostFix = .none,
    isFatal: Bool = false
  ) {
    self.name = name
    self.level = level
    self.status = status
    self.got = got
    self.want = want
    self.fix = fix
    self.isFatal = isFatal
  }

  /// In one line: for a refusal.
  public var line: String {
    "host check `\(name.rawValue)`: is \(got), wants \(want)\(fix.isNone ? "" : "; fix: \(fix)")"
  }
}

/// What is to be done about a finding.
public enum HostFix: Sendable, Equatable, CustomStringConvertible {
  case none
  /// Values for files of /proc and /sys, in this order: what `host init` can do, and `host fini` undo.
  case write([HostWrite])
  /// A command for whoever administers the host.
  case command(String)
  /// An argument of the kernel, from the next boot on.
  case kernelArgument(String)
  /// A line of the topology.
  case topology(String)

  public var isNone: Bool { self == .none }

  public var description: String {
    switch self {
    case .none: ""
    case .write(let writes): writes.map(\.command).joined(separator: "; ")
    case .command(let text): text
    case .kernelArgument(let text): "boot with \(text)"
    case .topology(let text): "topology: \(text)"
    }
  }
}

/// A value for a file of /proc or /sys.
public struct HostWrite: Sendable, Equatable {
  public let path: String
  public let value: String

  public init(path: String, value: String) {
    self.path = path
    self.value = value
  }

  public var command: String { "echo \(value) > \(path)" }
}

/// Every check, in the order of the report.
public enum HostCheckName: String, Sendable, CaseIterable {
  case cores
  case cpuIsolation = "cpu-isolation"
  case nohzFull = "nohz-full"
  case rcuCallbacks = "rcu-nocbs"
  case smt
  case interruptAffinity = "irq-affinity"
  case interruptBalancing = "irqbalance"
  case workqueues
  case governor
  case idleStates = "cstates"
  case interruptWatchdog = "nmi-watchdog"
  case realTimeBandwidth = "rt-throttle"
  case realTimePriority = "rt-priority"
  case numa
  case memoryGroup = "memory-group"
  case sharedMemory = "shm-size"
  case swap
  case transparentHugePages = "thp"
  case hugePages = "hugepages"
  case lockedMemory = "locked-memory"
  case descriptors
  case receiveBuffer = "receive-buffer"
  case networkBacklog = "netdev-backlog"
  case networkBudget = "netdev-budget"
  case groupMemberships = "multicast-memberships"
  case reversePathFilter = "rp-filter"
  case cardRings = "nic-rings"
  case cardCoalescing = "nic-coalescing"
  case cardOffloads = "nic-offloads"
  case clockSource = "clock-source"
  case clockSynchronisation = "clock-sync"
  case timeNamespace = "time-namespace"
  case tapeRoom = "tape-room"

  /// Why it matters, in a sentence.
  public var why: String {
    switch self {
    case .cores: "a stage that may not run on its core does not start"
    case .cpuIsolation:
      "the scheduler puts other processes on a core that is not isolated, and the stage waits for them"
    case .nohzFull: "the tick interrupts a stage several hundred times a second"
    case .rcuCallbacks: "the kernel runs its deferred work on the stage's core"
    case .smt: "two hardware threads share one core's execution units and caches"
    case .interruptAffinity: "an interrupt's handler runs in place of the stage"
    case .interruptBalancing: "irqbalance moves interrupts onto cores from which they were taken"
    case .workqueues: "the kernel's unbound work runs on the stage's core"
    case .governor: "a core that clocks down takes its time to clock up again"
    case .idleStates: "a core in deep sleep takes tens of microseconds to answer an interrupt"
    case .interruptWatchdog: "the watchdog interrupts each core periodically and takes a performance counter"
    case .realTimeBandwidth:
      "a real-time stage that spins is stopped for the rest of each period: 50 ms a second by default"
    case .realTimePriority:
      "without its priority a process waits for ordinary ones, and a supervisor looks late"
    case .numa: "memory or a card of another node costs each access a hop"
    case .memoryGroup: "a process that takes more than its memory group has is killed by the kernel"
    case .sharedMemory: "the rings are files there, and are allocated in full before the start"
    case .swap: "a page that was swapped out stops a stage for as long as the disk takes"
    case .transparentHugePages: "the kernel stops a process to gather its pages when it likes"
    case .hugePages: "a ring that must have pages of 2 MB cannot be made without them"
    case .lockedMemory:
      "memory that cannot be locked can be taken away, and lock_memory refuses to start then"
    case .descriptors: "pubd needs one descriptor for each client"
    case .receiveBuffer: "what comes while a receiver restarts waits in its socket's buffer, or is lost"
    case .networkBacklog: "packets beyond the backlog are dropped before any socket sees them"
    case .networkBudget: "packets that one round of softirq leaves in the card wait for the next round"
    case .groupMemberships: "a socket that may not join its groups does not hear its line"
    case .reversePathFilter:
      "a strict filter drops multicast whose sender is not reached through that interface"
    case .cardRings: "a burst longer than the card's ring is lost in the card"
    case .cardCoalescing: "a card that holds its interrupts back delays every packet by that long"
    case .cardOffloads: "segments that are merged on the way arrive late, and as others than were sent"
    case .clockSource: "every stamp is a system call when the processor's own counter is not used"
    case .clockSynchronisation:
      "stamps of a clock that nobody disciplines cannot be compared with another host's"
    case .timeNamespace: "clocks of another time namespace make every age wrong"
    case .tapeRoom: "a tape on a full disk is not recorded"
    }
  }
}

/// All findings about a host.
public struct HostVerdict: Sendable {
  public let checks: [HostCheck]

  public init(checks: [HostCheck]) { self.checks = checks }

  public var failures: [HostCheck] { checks.filter(\.isFailure) }
  public var warnings: [HostCheck] { checks.filter(\.isWarning) }
  /// Failures with which no set should be started, whatever the preflight says.
  public var fatal: [HostCheck] { checks.filter { $0.isFatal && $0.isFailure } }

  /// "33 checks: 30 ok, 1 required failed, 2 recommended".
  public var summary: String {
    let good = checks.count { $0.status == .ok }
    let unknown = checks.count { $0.status == .unknown }
    let none = checks.count { $0.status == .notApplicable }
    return
      "\(checks.count) checks: \(good) ok, \(failures.count) required failed, \(warnings.count) recommended failed, "
      + "\(unknown) unknown, \(none) not applicable"
  }
}
