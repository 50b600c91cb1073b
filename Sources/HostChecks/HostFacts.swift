public import ShmRing

/// What a host is like, as far as it could be read. Nil, or nothing, where a file is missing: a container hides some, a
/// virtual machine has no others, and neither is a fault.
public struct HostFacts: Sendable {
  /// One interrupt line and where it may run.
  public struct Interrupt: Sendable, Equatable {
    public let number: Int
    /// The device's, for instance `eth0-rx-0`; empty where the kernel names none.
    public let name: String
    /// Where the kernel delivers it.
    public let cores: Set<Int>
  }

  /// A state in which an idle core sleeps.
  public struct IdleState: Sendable, Equatable {
    public let index: Int
    public let name: String
    /// Microseconds until the core works again.
    public let latency: Int
    public let isDisabled: Bool
  }

  /// A network interface. What only the driver knows is nil where it does not say.
  public struct Interface: Sendable, Equatable {
    public let name: String
    /// IPv4 addresses in dots.
    public var addresses: [String] = []
    public var isLoopback = false
    public var numaNode: Int?
    /// Reverse-path filter: 0 off, 1 strict, 2 loose; the stricter of the interface's and that of all.
    public var reversePathFilter: Int?
    /// Descriptors of the receive ring, and the most that the card has.
    public var receiveRing: Int?
    public var receiveRingMaximum: Int?
    /// Microseconds that a card holds an interrupt back.
    public var coalescing: Int?
    public var isCoalescingAdaptive: Bool?
    /// Segments are merged by the card (LRO), or by the kernel (GRO).
    public var mergesInCard: Bool?
    public var mergesInKernel: Bool?

    public init(name: String) { self.name = name }
  }

  /// What `directory`'s file system still has room for.
  public struct Room: Sendable, Equatable {
    public let directory: String
    public let bytes: UInt64
    public let isWritable: Bool

    public init(directory: String, bytes: UInt64, isWritable: Bool) {
      self.directory = directory
      self.bytes = bytes
      self.isWritable = isWritable
    }
  }

  public var kernelRelease: String?
  public var kernelArguments: [String] = []

  // Processors.
  public var online: Set<Int>?
  /// Where this process may run: its affinity, within its cpuset.
  public var allowed: Set<Int>?
  public var isolated: Set<Int>?
  public var withoutTick: Set<Int>?
  /// Each core's hardware threads, itself among them.
  public var siblings: [Int: Set<Int>] = [:]
  public var governors: [Int: String] = [:]
  public var idleStates: [Int: [IdleState]] = [:]
  public var interrupts: [Interrupt] = []
  public var defaultInterruptCores: Set<Int>?
  public var balancesInterrupts = false
  public var workqueueCores: Set<Int>?
  public var interruptWatchdog: Int?
  /// Cores of each NUMA node.
  public var nodes: [Int: Set<Int>] = [:]

  // Real time.
  /// Microseconds of each period; -1 for no limit.
  public var realTimeRuntime: Int?
  public var realTimePeriod: Int?

  // Memory.
  public var availableMemory: UInt64?
  public var swaps: [String]?
  public var transparentHugePages: String?
  public var sharedHugePages: String?
  public var allowance: MemoryAllowance?
  public var rooms: [Room] = []

  // Limits of this process, and what it may do.
  /// Bytes; `.max` for no limit.
  public var lockedMemoryLimit: UInt64?
  public var descriptorLimit: UInt64?
  public var realTimePriorityLimit: UInt64?
  public var capabilities: UInt64?

  // Network.
  public var largestReceiveBuffer: Int?
  public var backlog: Int?
  public var budget: Int?
  public var groupMemberships: Int?
  public var interfaces: [Interface] = []

  // Clocks.
  public var clockSource: String?
  public var isClockSynchronised: Bool?
  /// As the kernel last estimated it, ns.
  public var clockError: Int64?
  /// Offsets of this process's time namespace, seconds and nanoseconds together in ns.
  public var clockOffsets: [String: Int64] = [:]

  public init() {}

  /// Bits of `CapEff`.
  public enum Capability: Int, Sendable {
    case netAdmin = 12
    case ipcLock = 14
    case sysNice = 23
    case sysResource = 24
  }

  public func has(_ capability: Capability) -> Bool {
    (capabilities ?? 0) >> UInt64(capability.rawValue) & 1 == 1
  }

  public func interface(holding address: String) -> Interface? {
    interfaces.first { $0.addresses.contains(address) }
  }

  public func room(in directory: String) -> Room? { rooms.first { $0.directory == directory } }
}
