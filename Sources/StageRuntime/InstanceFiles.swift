import Glibc
import ShmRing
import StageRecords
public import Topology

/// Makes the files of a set: one directory with every ring, cursor page, table and control page, complete and
/// touched before any stage starts.
public enum InstanceFiles {
  /// Control pages that are not a stage's.
  public static let supervisor = "watchdogd"
  public static let auditor = "audit"
  /// The conflated table of best prices and trust per instrument, written by the book stage.
  public static let bestPricesTable = "best_prices"
  /// The ring on which the supervisor tells what it does and sees: see ``StageRecords/SupervisionRecord``.
  public static let statusRing = "status"
  /// The conflated table in which the supervisor says whether the stream may be believed, and which actions are armed: see
  /// ``StageRecords/TrustRecord``.
  public static let trustTable = "trust"
  /// Where operators' requests to the supervisor come in.
  public static let requestSocket = "requests.socket"
  /// In which the supervisor keeps which build a component comes from, and which is to take its place; a text, there from the first upgrade.
  public static let upgradeFile = "upgrade"

  /// What is kept of upgrades; nil before the first.
  public static func upgradeText(directory: String) -> String? {
    let descriptor = open("\(directory)/\(upgradeFile)", O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 4_096)
    let count = read(descriptor, &bytes, bytes.count)
    return count > 0 ? String(decoding: bytes[..<count], as: UTF8.self) : nil
  }

  /// The supervisor's records fill two cells each, four with a remark.
  static let statusCells = 4_096

  /// The longest record on each ring: a datagram of any legal size on the receivers', otherwise a venue message.
  static func maximumRecordBytes(ring: String, cells: Int) -> Int {
    let wanted = ring.hasPrefix("rx_") ? 9_000 + PacketRecord.headerBytes : 2_048
    // A small ring takes shorter records; what does not fit is counted and dropped by the receiver.
    return min(wanted, cells / 4 * 64 - 8)
  }

  /// Creates everything anew under the topology's instance directory.
  /// - Throws: ``ShmRing/RingError`` naming the file, the cause and the remedy.
  public static func create(for topology: Topology, configurationHash: UInt64) throws(RingError) {
    let directory = topology.host.directory
    try makeDirectory(topology.host.runDirectory)
    try makeDirectory(directory)
    // Of a set that is no more: this one's programs are the supervisor's own.
    unlink("\(directory)/\(upgradeFile)")
    for ring in topology.rings where ring.kind == .stream {
      let geometry = try RingGeometry(
        cellCount: ring.cells,
        maximumRecordBytes: maximumRecordBytes(ring: ring.name, cells: ring.cells))
      try RingProducer.create(
        path: "\(directory)/\(ring.name).ring", name: ring.name,
        kind: ring.policy == .gated ? .gatedStream : .overwritingStream, geometry: geometry,
        readers: ring.readers,
        configurationHash: configurationHash, placement: placement(topology, hugePages: ring.hugePages))
    }
    var entries = 4
    while entries < topology.capacity.instruments + 1 { entries *= 2 }
    try ConflatedTable.create(
      path: "\(directory)/\(bestPricesTable).table", name: bestPricesTable, entries: entries,
      configurationHash: configurationHash, placement: placement(topology, hugePages: false))
    try ConflatedTable.create(
      path: trustTablePath(directory: directory), name: trustTable, entries: ArmedAction.tableEntries,
      configurationHash: configurationHash, placement: placement(topology, hugePages: false))
    try ConflatedTable.create(
      path: ProbeTable.path(directory: directory), name: ProbeTable.name, entries: ProbeTable.entries,
      configurationHash: configurationHash, placement: placement(topology, hugePages: false))
    try ConflatedTable.create(
      path: PoisonTable.path(directory: directory), name: PoisonTable.name, entries: PoisonRecord.entries,
      configurationHash: configurationHash, placement: placement(topology, hugePages: false))
    if topology.standbyStage != nil {
      try ConflatedTable.create(
        path: StandbyTable.path(directory: directory), name: StandbyTable.name, entries: StandbyTable.entries,
        configurationHash: configurationHash, placement: placement(topology, hugePages: false))
    }
    try ConflatedTable.create(
      path: InstructionTable.path(directory: directory), name: InstructionTable.name,
      entries: InstructionTable.entries, configurationHash: configurationHash,
      placement: placement(topology, hugePages: false))
    try ConflatedTable.create(
      path: ClientTable.path(directory: directory), name: ClientTable.name,
      entries: ClientTable.entries(clients: topology.publish.clients), configurationHash: configurationHash,
      placement: placement(topology, hugePages: false))
    try RecoveryPage.create(directory: directory)
    try RingProducer.create(
      path: statusRingPath(directory: directory), name: statusRing,
      geometry: RingGeometry(cellCount: statusCells, maximumRecordBytes: SupervisionRecord.bytesWithRemark),
      readers: [], configurationHash: configurationHash, placement: placement(topology, hugePages: false))
    for component in topology.stages.map(\.name) + [supervisor, auditor] {
      try ControlPage.create(
        directory: directory, component: component, configurationHash: configurationHash)
    }
    for component in topology.stages.map(\.name) + [supervisor] {
      try FlightPage.create(directory: directory, component: component)
      try DeathPage.create(directory: directory, component: component)
    }
  }

  /// The files of a set that belong to a stage, and which: what that stage, and nobody else, writes.
  public static func owners(of topology: Topology) -> [(path: String, component: String)] {
    let directory = topology.host.directory
    var owners: [(path: String, component: String)] = []
    for ring in topology.rings {
      let path = "\(directory)/\(ring.name).ring"
      owners.append((path, ring.writer))
      for reader in ring.readers where topology.stage(named: reader) != nil {
        owners.append((CursorPage.path(ring: path, reader: reader), reader))
      }
    }
    for stage in topology.stages {
      owners.append((ControlPage.path(directory: directory, component: stage.name), stage.name))
      owners.append((FlightPage.path(directory: directory, component: stage.name), stage.name))
      switch stage.name {
      case "merged": owners.append((RecoveryPage.path(directory: directory), stage.name))
      case "bookd":
        owners.append(("\(directory)/\(bestPricesTable).table", stage.name))
        owners.append((ProbeTable.path(directory: directory), stage.name))
      default: break
      }
    }
    return owners
  }

  public static func statusRingPath(directory: String) -> String { "\(directory)/\(statusRing).ring" }

  public static func trustTablePath(directory: String) -> String { "\(directory)/\(trustTable).table" }

  private static func placement(_ topology: Topology, hugePages: Bool) -> MemoryPlacement {
    MemoryPlacement(
      isLocked: topology.host.lockMemory, hugePages: hugePages ? .required : .ordinary,
      numaNode: topology.host.numaNode)
  }

  private static func makeDirectory(_ path: String) throws(RingError) {
    if mkdir(path, 0o755) != 0, errno != EEXIST {
      throw .system(operation: "make directory", path: path, errno: errno)
    }
  }

  /// Removes an instance's directory with the files in it. Refuses a path that is not below `runDirectory`.
  public static func remove(directory: String, runDirectory: String) {
    guard directory.hasPrefix(runDirectory + "/"), let handle = opendir(directory) else { return }
    while let entry = readdir(handle) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { unlink("\(directory)/\(name)") }
    }
    closedir(handle)
    rmdir(directory)
  }
}
