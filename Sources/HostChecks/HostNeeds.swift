public import Topology

/// What a topology asks of its host.
public struct HostNeeds: Sendable {
  public struct Stage: Sendable, Equatable {
    public let name: String
    public let core: Int?
    public let spins: Bool
    /// SCHED_FIFO; 0 for none.
    public let realTimePriority: Int

    public init(name: String, core: Int?, spins: Bool = false, realTimePriority: Int = 0) {
      self.name = name
      self.core = core
      self.spins = spins
      self.realTimePriority = realTimePriority
    }
  }

  public struct Line: Sendable, Equatable {
    public let name: String
    public let interface: String
    public let receiveBufferBytes: Int
    public let isBufferRequired: Bool

    public init(name: String, interface: String, receiveBufferBytes: Int, isBufferRequired: Bool) {
      self.name = name
      self.interface = interface
      self.receiveBufferBytes = receiveBufferBytes
      self.isBufferRequired = isBufferRequired
    }
  }

  /// The priority that watchdogd asks for.
  public static let supervisorPriority = 40

  public var isIsolated = false
  public var cores: [Int] = []
  public var stages: [Stage] = []
  public var locksMemory = false
  public var numaNode: Int?
  /// All that the set will take, and what of it lies in the run directory.
  public var memoryBytes: UInt64 = 0
  public var sharedBytes: UInt64 = 0
  public var runDirectory = "/dev/shm/bulkhead"
  public var instanceDirectory = "/dev/shm/bulkhead/demo"
  /// Rings that must have pages of 2 MB, with their bytes.
  public var hugeRings: [(name: String, bytes: UInt64)] = []
  public var clients = 0
  public var lines: [Line] = []
  public var tapeDirectory: String?
  public var tapeBytes: UInt64 = 0

  public init() {}

  public init(_ topology: Topology) {
    isIsolated = topology.host.profile == .isolated
    cores = topology.host.cores
    stages = topology.stages.map {
      Stage(name: $0.name, core: $0.core, spins: $0.idle == .spin, realTimePriority: $0.realTimePriority)
    }
    locksMemory = topology.host.lockMemory
    numaNode = topology.host.numaNode
    memoryBytes = topology.memory.reduce(0) { $0 + UInt64(max(0, $1.bytes)) }
    sharedBytes = topology.rings.reduce(0) { $0 + UInt64(max(0, $1.dataBytes)) + 8_192 }
    sharedBytes += UInt64(topology.capacity.instruments) * 256 + (8 << 20)
    runDirectory = topology.host.runDirectory
    instanceDirectory = topology.host.directory
    hugeRings = topology.rings.filter(\.hugePages).map { ($0.name, UInt64(max(0, $0.dataBytes))) }
    clients = topology.publish.clients
    lines = topology.channel.lines.map {
      Line(
        name: $0.name, interface: "\($0.interface)", receiveBufferBytes: $0.receiveBufferBytes,
        isBufferRequired: $0.receiveBufferRequired)
    }
    tapeDirectory = topology.tape?.directory
    tapeBytes = UInt64(max(0, topology.tape?.retentionBytes ?? 0))
  }

  /// Cores that belong to one stage.
  public var hotCores: Set<Int> { Set(stages.compactMap(\.core)) }

  /// The stage that is pinned to a core.
  public func stage(on core: Int) -> String? { stages.first { $0.core == core }?.name }

  /// Cores of the machine on which nothing of the set is pinned.
  func housekeeping(of online: Set<Int>) -> Set<Int> {
    let rest = online.subtracting(hotCores)
    return rest.isEmpty ? online : rest
  }
}
