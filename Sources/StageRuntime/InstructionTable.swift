public import ShmRing
public import StageRecords
public import SystemLog
public import Topology

/// The table in which the supervisor tells each component what operators want of it while it runs: see
/// ``StageRecords/InstructionRecord``.
public enum InstructionTable {
  public static let name = "instructions"
  /// A topology has fewer components.
  public static let entries = 64

  public static func path(directory: String) -> String { "\(directory)/\(name).table" }

  /// A component's entry: its place in the topology, the supervisor's behind those of the stages. Nil for an unknown one.
  public static func key(of component: String, in topology: Topology) -> Int? {
    if component == InstanceFiles.supervisor { return topology.stages.count }
    return topology.stages.firstIndex { $0.name == component }
  }

  /// What is wanted of a component, for whoever looks at a set from outside; nil when nothing ever was.
  public static func wanted(of component: String, directory: String) -> InstructionRecord? {
    all(directory: directory).first { $0.component == component }
  }

  /// What is wanted of every component of a set; nothing where the table cannot be read.
  public static func all(directory: String) -> [InstructionRecord] {
    guard let table = try? TableReader.attach(path: path(directory: directory), configurationHash: nil) else {
      return []
    }
    return table.instructions
  }

  /// A component's own entry.
  public final class Reader: @unchecked Sendable {
    private let table: TableReader
    private let key: Int

    /// Nil where the set has no such table, or no such component: then nobody wants anything of it.
    public init?(topology: Topology, component: String) {
      guard let key = InstructionTable.key(of: component, in: topology),
        let table = try? TableReader.attach(
          path: InstructionTable.path(directory: topology.host.directory),
          configurationHash: UInt64(topology.hash, radix: 16) ?? 0)
      else { return nil }
      self.key = key
      self.table = table
    }

    /// What is to be left undone for now.
    public var shed: OptionalWork { record?.shed ?? [] }

    public var record: InstructionRecord? { table.instruction(key: key) }

    /// How much is to be written to the log.
    /// - Parameter now: CLOCK_MONOTONIC, ns.
    public func level(at now: UInt64) -> LogLevel { record?.effectiveLevel(at: now) ?? .usual }
  }
}

extension InstructionRecord {
  /// How much is to be written at an instant (CLOCK_MONOTONIC, ns).
  public func effectiveLevel(at now: UInt64) -> LogLevel {
    guard levelUntil == 0 || now < levelUntil else { return .usual }
    return LogLevel(rawValue: level) ?? .usual
  }
}

extension TableWriter {
  /// Stores what is wanted of the component number `key`.
  public func store(_ instruction: InstructionRecord, key: Int) { store(record: instruction, key: key) }
}

extension TableReader {
  /// What is wanted of the component number `key`; nil when nothing ever was.
  public func instruction(key: Int) -> InstructionRecord? { record(key: key) }

  /// What is wanted of every component of which anything ever was.
  public var instructions: [InstructionRecord] {
    (0..<InstructionTable.entries).compactMap { instruction(key: $0) }
  }
}
