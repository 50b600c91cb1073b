import CLinux
import ShmRing
import StageRecords
import StageRuntime
import Topology

/// The safety actions of the topology, encoded at the start. Firing one is a few stores into the table `trust`: it allocates
/// nothing, calls nothing, and passes through no stage.
struct SafetyActions: ~Copyable {
  private struct Armed {
    var record: ArmedAction
    let stage: Int
  }

  private let table: TableWriter
  private var armed: [Armed] = []
  /// For each armed action the stream's record, encoded but for the three words that are known only then.
  private let images: UnsafeMutableRawPointer
  private let scratch: UnsafeMutableRawPointer
  private let supervisorEpoch: UInt64
  private(set) var state: StreamTrust
  private var changes: UInt64

  /// Attaches to the table, and shows there what is armed. What an earlier supervisor said stands until it is known better.
  init(topology: Topology, configurationHash: UInt64, supervisorEpoch: UInt64) throws(RingError) {
    table = try TableWriter.attach(
      path: InstanceFiles.trustTablePath(directory: topology.host.directory),
      configurationHash: configurationHash)
    self.supervisorEpoch = supervisorEpoch
    scratch = .allocate(byteCount: ArmedAction.bytes, alignment: 8)
    scratch.initializeMemory(as: UInt8.self, repeating: 0, count: ArmedAction.bytes)
    for (index, stage) in topology.stages.enumerated() {
      for action in stage.onAlarm {
        armed.append(
          Armed(record: ArmedAction(action.safetyAction, .alarm, component: stage.name), stage: index))
      }
      for action in stage.onDown {
        armed.append(
          Armed(record: ArmedAction(action.safetyAction, .down, component: stage.name), stage: index))
      }
    }
    images = .allocate(byteCount: max(1, armed.count) * TrustRecord.bytes, alignment: 8)
    let earlier =
      table.copyOwnValue(key: TrustRecord.key, into: scratch)
      ? TrustRecord(UnsafeRawBufferPointer(start: scratch, count: TrustRecord.bytes)) : nil
    state = earlier?.state ?? .live
    changes = earlier?.changes ?? 0
    for index in armed.indices { arm(index) }
  }

  deinit {
    images.deallocate()
    scratch.deallocate()
  }

  /// Encodes an action, and keeps the count of its firings under an earlier supervisor.
  private mutating func arm(_ index: Int) {
    let key = ArmedAction.firstKey + index
    if table.copyOwnValue(key: key, into: scratch),
      let earlier = ArmedAction(UnsafeRawBufferPointer(start: scratch, count: ArmedAction.bytes)),
      earlier.component == armed[index].record.component
    {
      armed[index].record.firings = earlier.firings
      armed[index].record.lastFired = earlier.lastFired
      armed[index].record.duration = earlier.duration
    }
    let record = armed[index].record
    let state: StreamTrust = record.action == .haltStream ? .halted : .stale
    TrustRecord(state, action: record.action, component: record.component)
      .write(to: images + index * TrustRecord.bytes)
    record.write(to: scratch)
    _ = table.store(key: key, value: scratch)
  }

  /// Whether a stage's failure marks the stream.
  func marksStale(_ stage: Int) -> Bool {
    armed.contains { $0.stage == stage && $0.record.action == .markStale && $0.record.trigger == .alarm }
  }

  /// Fires what is armed for this. Calls `onFired` with each action and its duration, from `decision` (CLOCK_MONOTONIC, ns) on,
  /// once it is done.
  mutating func fire(
    stage: Int, _ trigger: ArmedAction.Trigger, decision: UInt64, onFired: (SafetyAction, UInt64) -> Void
  ) {
    for index in armed.indices where armed[index].stage == stage && armed[index].record.trigger == trigger {
      let image = images + index * TrustRecord.bytes
      let action = armed[index].record.action
      let wanted: StreamTrust = action == .haltStream ? .halted : .stale
      // What is halted is not made stale again, and what is stale already keeps its beginning.
      guard wanted.rawValue > state.rawValue else { continue }
      changes &+= 1
      TrustRecord.patch(image, since: decision, changes: changes, supervisorEpoch: supervisorEpoch)
      _ = table.store(key: TrustRecord.key, value: image)
      state = wanted
      let duration = bulkhead_monotonic_nanoseconds() &- decision
      armed[index].record.firings &+= 1
      armed[index].record.lastFired = decision
      armed[index].record.duration = duration
      armed[index].record.write(to: scratch)
      _ = table.store(key: ArmedAction.firstKey + index, value: scratch)
      onFired(action, duration)
    }
  }

  /// The stream may be believed again.
  mutating func lift(_ now: UInt64) {
    changes &+= 1
    state = .live
    var record = TrustRecord(.live)
    record.since = now
    record.changes = changes
    record.supervisorEpoch = supervisorEpoch
    record.write(to: scratch)
    _ = table.store(key: TrustRecord.key, value: scratch)
  }
}

extension Topology.Stage.Action {
  fileprivate var safetyAction: SafetyAction {
    switch self {
    case .markStale: .markStale
    case .haltStream: .haltStream
    }
  }
}
