import CLinux
import ShmRing
import StageRecords
import StageRuntime
import Topology

/// The safety actions of the topology, encoded at the start. Firing one is a few stores into the table `trust`, or one system
/// call with a message that is whole already: it waits for nothing and passes through no stage, and the compiler proves that it
/// neither allocates nor locks.
struct SafetyActions: ~Copyable {
  private let table: TableWriter
  private let slots: UnsafeMutablePointer<ArmedSlot>
  private let slotCount: Int
  private let senders: UnsafeMutablePointer<MessageSender>
  private let senderCount: Int
  /// For each slot its record of the table, and the stream's record that it would put there, both whole but for what a firing
  /// patches.
  private let records: UnsafeMutableRawPointer
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
    let all = ArmedSlot.all(of: topology)
    slotCount = all.count
    slots = .allocate(capacity: max(1, all.count))
    slots.initialize(from: all, count: all.count)
    senderCount = topology.messages.count
    senders = .allocate(capacity: max(1, senderCount))
    let run = UInt32(truncatingIfNeeded: bulkhead_realtime_nanoseconds() / 1_000_000_000 &+ supervisorEpoch)
    for (index, message) in topology.messages.enumerated() {
      (senders + index).initialize(to: MessageSender(message, run: run))
    }
    records = .allocate(byteCount: max(1, all.count) * ArmedAction.bytes, alignment: 8)
    images = .allocate(byteCount: max(1, all.count) * TrustRecord.bytes, alignment: 8)
    scratch = .allocate(byteCount: ArmedAction.bytes, alignment: 8)
    scratch.initializeMemory(as: UInt8.self, repeating: 0, count: ArmedAction.bytes)
    let earlier =
      table.copyOwnValue(key: TrustRecord.key, into: scratch)
      ? TrustRecord(UnsafeRawBufferPointer(start: scratch, count: TrustRecord.bytes)) : nil
    state = earlier?.state ?? .live
    changes = earlier?.changes ?? 0
    for index in 0..<slotCount {
      let stage = slots[index].stage
      encode(
        index, component: stage < topology.stages.count ? topology.stages[stage].name : ArmedAction.lines)
    }
    for index in 0..<slotCount where slots[index].message >= 0 {
      showTarget(index, topology.messages[slots[index].message])
    }
  }

  deinit {
    senders.deinitialize(count: senderCount)
    senders.deallocate()
    slots.deallocate()
    records.deallocate()
    images.deallocate()
    scratch.deallocate()
  }

  /// Encodes an action, and keeps what an earlier supervisor counted of it.
  private mutating func encode(_ index: Int, component: String) {
    let slot = slots + index
    guard let action = SafetyAction(rawValue: slot.pointee.action),
      let trigger = ArmedAction.Trigger(rawValue: slot.pointee.trigger)
    else { return }
    if table.copyOwnValue(key: ArmedAction.firstKey + index, into: scratch),
      let earlier = ArmedAction(UnsafeRawBufferPointer(start: scratch, count: ArmedAction.bytes)),
      earlier.component == component, earlier.action == action, earlier.trigger == trigger
    {
      slot.pointee.firings = earlier.firings
      slot.pointee.lastFired = earlier.lastFired
      slot.pointee.duration = earlier.duration
      slot.pointee.outcome = earlier.outcome.rawValue
      // What an operator took out stays out.
      if earlier.readiness == .disarmed { slot.pointee.readiness = earlier.readiness.rawValue }
    }
    ArmedAction(action, trigger, component: component).write(to: records + index * ArmedAction.bytes)
    TrustRecord(action == .haltStream ? .halted : .stale, action: action, component: component)
      .write(to: images + index * TrustRecord.bytes)
    showReadiness(index)
  }

  private func showTarget(_ index: Int, _ message: Topology.PreparedMessage) {
    let key = ArmedAction.firstTargetKey + index
    var target = ActionTarget(name: message.name, address: message.address.value, port: message.port)
    if table.copyOwnValue(key: key, into: scratch),
      let earlier = ActionTarget(UnsafeRawBufferPointer(start: scratch, count: ActionTarget.bytes)),
      earlier.name == target.name
    {
      target.logons = earlier.logons
    }
    target.write(to: scratch)
    _ = table.store(key: key, value: scratch)
  }

  /// Whether a stage's failure marks the stream.
  func marksStale(_ stage: Int) -> Bool {
    (0..<slotCount).contains {
      slots[$0].stage == stage && slots[$0].action == SafetyAction.markStale.rawValue
        && slots[$0].trigger == ArmedAction.Trigger.alarm.rawValue
    }
  }

  // MARK: - Firing

  /// Fires what is armed for this; ``takeNews(_:)`` then tells what that was.
  /// - Parameters:
  ///   - trigger: raw value of an ArmedAction.Trigger
  ///   - decision: when it was decided: CLOCK_MONOTONIC, ns
  ///   - socket: the stage's line, if it has one; -1 otherwise
  #if !DEBUG
    @_noLocks
  #endif
  mutating func fire(stage: Int, trigger: UInt8, decision: UInt64, socket: Int32) {
    var index = 0
    while index < slotCount {
      let slot = slots + index
      if slot.pointee.stage == stage, slot.pointee.trigger == trigger, slot.pointee.readiness != 1 {
        switch slot.pointee.action {
        case 1: if setStream(index, .stale, decision) { finish(index, isDone: true, decision) }
        case 2: if setStream(index, .halted, decision) { finish(index, isDone: true, decision) }
        case 3:
          if !slot.pointee.isSpent {
            finish(index, isDone: setLine(index, isJoined: false, socket), decision)
          }
        default:
          if !slot.pointee.isSpent, slot.pointee.message >= 0 {
            let isSent = senders[slot.pointee.message].send(now: decision)
            slot.pointee.isOwed = !isSent
            finish(index, isDone: isSent, decision)
          }
        }
      }
      index &+= 1
    }
  }

  /// Puts the stream's record into the table, unless what stands there says as much: what is halted is not made stale again,
  /// and what is stale already keeps its beginning.
  #if !DEBUG
    @_noLocks
  #endif
  private mutating func setStream(_ index: Int, _ wanted: StreamTrust, _ decision: UInt64) -> Bool {
    let isWorse =
      switch state {
      case .live: true
      case .stale: wanted == .halted
      case .halted: false
      }
    guard isWorse else { return false }
    let image = images + index &* 56
    changes &+= 1
    TrustRecord.patch(image, since: decision, changes: changes, supervisorEpoch: supervisorEpoch)
    _ = table.store(key: 0, value: image)
    state = wanted
    return true
  }

  #if !DEBUG
    @_noLocks
  #endif
  private func setLine(_ index: Int, isJoined: Bool, _ socket: Int32) -> Bool {
    guard socket >= 0 else { return false }
    let slot = slots + index
    return bulkhead_set_multicast_membership(
      socket, isJoined, slot.pointee.group, slot.pointee.interface, slot.pointee.source) == 0
  }

  #if !DEBUG
    @_noLocks
  #endif
  private func finish(_ index: Int, isDone: Bool, _ decision: UInt64) {
    let slot = slots + index
    slot.pointee.outcome = isDone ? 1 : 2
    slot.pointee.isSpent = true
    slot.pointee.isNews = true
    slot.pointee.firings &+= 1
    slot.pointee.lastFired = decision
    slot.pointee.duration = bulkhead_monotonic_nanoseconds() &- decision
    show(index)
  }

  #if !DEBUG
    @_noLocks
  #endif
  private func show(_ index: Int) {
    let slot = slots + index
    let record = records + index &* 56
    ArmedAction.patch(
      record, readiness: slot.pointee.readiness, outcome: slot.pointee.outcome, firings: slot.pointee.firings,
      lastFired: slot.pointee.lastFired, duration: slot.pointee.duration)
    _ = table.store(key: 1 &+ index, value: record)
  }

  // MARK: - Between firings

  /// Calls `body` with everything that was fired since the last call.
  mutating func takeNews(_ body: (ArmedSlot) -> Void) {
    for index in 0..<slotCount where slots[index].isNews {
      slots[index].isNews = false
      body(slots[index])
    }
  }

  /// A stage works again, or its successor does: what was fired for its failure may be fired for the next one, and its line
  /// is joined again.
  mutating func settle(stage: Int, socket: Int32) {
    for index in 0..<slotCount where slots[index].stage == stage && slots[index].isSpent {
      if slots[index].action == SafetyAction.cutLine.rawValue { _ = setLine(index, isJoined: true, socket) }
      slots[index].isSpent = false
      slots[index].isOwed = false
    }
  }

  /// Joins a line that an earlier supervisor may have cut.
  mutating func rejoin(stage: Int, socket: Int32) {
    for index in 0..<slotCount
    where slots[index].stage == stage && slots[index].action == SafetyAction.cutLine.rawValue {
      _ = setLine(index, isJoined: true, socket)
    }
  }

  /// Keeps the sessions, and sends what is owed. Calls `onChange` with a message's name and what became of its session or of
  /// what it carried.
  mutating func keep(now: UInt64, onChange: (String, MessageSender.Change) -> Void) {
    for sender in 0..<senderCount {
      guard let change = senders[sender].keep(now: now) else { continue }
      for index in 0..<slotCount where slots[index].message == sender {
        switch change {
        case .loggedOn:
          countLogon(index)
          if slots[index].isOwed, slots[index].readiness != 1, senders[sender].send(now: now) {
            slots[index].isOwed = false
            finish(index, isDone: true, now)
          }
        case .ended: break
        case .answered(let outcome): if slots[index].outcome == 1 { slots[index].outcome = outcome.rawValue }
        }
        showReadiness(index)
      }
      onChange(senders[sender].name, change)
    }
  }

  private func showReadiness(_ index: Int) {
    let slot = slots + index
    if slot.pointee.readiness != ArmedAction.Readiness.disarmed.rawValue {
      let isReady = slot.pointee.message < 0 || senders[slot.pointee.message].isReady
      slot.pointee.readiness = (isReady ? ArmedAction.Readiness.armed : .noSession).rawValue
    }
    show(index)
  }

  private func countLogon(_ index: Int) {
    let key = ArmedAction.firstTargetKey + index
    guard table.copyOwnValue(key: key, into: scratch),
      var target = ActionTarget(UnsafeRawBufferPointer(start: scratch, count: ActionTarget.bytes))
    else { return }
    target.logons &+= 1
    target.write(to: scratch)
    _ = table.store(key: key, value: scratch)
  }

  /// The set is being stopped: the sessions are ended properly.
  mutating func endSessions(now: UInt64) {
    for sender in 0..<senderCount { senders[sender].end(now: now) }
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
