import CLinux
import ShmRing
import StageRecords
import StageRuntime
import Topology

/// The safety actions of the topology, encoded at the start. Firing one is a few stores into the table `trust`, or one system
/// call with a message that is whole already: it waits for nothing and passes through no stage, and the compiler proves that it
/// neither allocates nor locks.
struct SafetyActions: ~Copyable {
  let table: TableWriter
  let slots: UnsafeMutablePointer<ArmedSlot>
  let slotCount: Int
  let senders: UnsafeMutablePointer<MessageSender>
  private let senderCount: Int
  /// For each slot its record of the table, and the stream's record that it would put there, both whole but for what a firing
  /// patches.
  private let records: UnsafeMutableRawPointer
  private let images: UnsafeMutableRawPointer
  let scratch: UnsafeMutableRawPointer
  /// The book stage's page, and in it the last message that readers can have.
  private let book: ControlPage
  private let applied: SharedWord
  /// A gap is published and not over.
  var hasOpenGap = false
  /// Words of the gates of each slot's stage, two for each slot; the mappings that they lie in.
  private let gateWords: UnsafeMutablePointer<SharedWord>
  private let gateCounts: UnsafeMutablePointer<Int>
  private let gates: GateMappings
  let supervisorEpoch: UInt64
  var state: StreamTrust
  var changes: UInt64

  /// Attaches to the table, and shows there what is armed. What an earlier supervisor said stands until it is known better.
  init(topology: Topology, configurationHash: UInt64, supervisorEpoch: UInt64) throws(RingError) {
    // Everything that may fail comes first.
    let directory = topology.host.directory
    let attached = try TableWriter.attach(
      path: InstanceFiles.trustTablePath(directory: directory), configurationHash: configurationHash)
    let page = try ControlPage.attach(directory: directory, component: "bookd", access: .readOnly)
    let all = ArmedSlot.all(of: topology)
    let gates = GateMappings()
    var words: [[SharedWord]] = []
    for slot in all {
      var own: [SharedWord] = []
      if slot.action == SafetyAction.detachReader.rawValue {
        let reader = topology.stages[slot.stage].name
        for ring in topology.rings where ring.policy == .gated && ring.readers.contains(reader) {
          if let word = try gates.attach("\(directory)/\(ring.name).ring", reader: reader) {
            own.append(word)
          }
        }
      }
      words.append(Array(own.prefix(2)))
    }
    applied = page.appliedSequenceWord
    table = attached
    book = page
    self.gates = gates
    gateWords = .allocate(capacity: max(1, all.count) * 2)
    gateCounts = .allocate(capacity: max(1, all.count))
    gateCounts.initialize(repeating: 0, count: max(1, all.count))
    for (index, own) in words.enumerated() {
      for (place, word) in own.enumerated() { (gateWords + index * 2 + place).initialize(to: word) }
      gateCounts[index] = own.count
    }
    self.supervisorEpoch = supervisorEpoch
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
    hasOpenGap =
      table.copyOwnValue(key: GapNotice.key, into: scratch)
      && GapNotice(UnsafeRawBufferPointer(start: scratch, count: GapNotice.bytes))?.isOpen ?? false
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
    gateWords.deallocate()
    gateCounts.deallocate()
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
      // What an operator took out stays out; what one fired stands.
      if earlier.readiness == .disarmed || earlier.readiness == .standing {
        slot.pointee.readiness = earlier.readiness.rawValue
      }
    }
    ArmedAction(action, trigger, component: component).write(to: records + index * ArmedAction.bytes)
    let image = images + index * TrustRecord.bytes
    if action == .publishGap {
      GapNotice(component: component).write(to: image)
    } else {
      TrustRecord(action == .haltStream ? .halted : .stale, action: action, component: component)
        .write(to: image)
    }
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
  ///   - cause: raw value of an ActionCause
  ///   - decision: when it was decided: CLOCK_MONOTONIC, ns
  ///   - socket: the stage's line, if it has one; -1 otherwise
  #if !DEBUG
    @_noLocks
  #endif
  mutating func fire(stage: Int, trigger: UInt8, cause: UInt8, decision: UInt64, socket: Int32) {
    var index = 0
    while index < slotCount {
      let slot = slots + index
      if slot.pointee.stage == stage, slot.pointee.trigger == trigger {
        if slot.pointee.readiness == SafetyNumber.disarmed {
          withhold(index, cause, decision)
        } else if slot.pointee.isOfStream || !slot.pointee.isSpent {
          let result = perform(index, cause, decision, socket)
          if result != 0 {
            slot.pointee.isSpent = true
            slot.pointee.isOwed = slot.pointee.message >= 0 && result == SafetyNumber.failed
            finish(index, result, cause, decision)
          }
        }
      }
      index &+= 1
    }
  }

  /// Fires one action because an operator wants it. What it does, other than to send a message, stands until ``arm(_:now:socket:)``;
  /// for a failure it is fired all the same.
  /// - Returns: raw value of an ArmedAction.Outcome
  #if !DEBUG
    @_noLocks
  #endif
  mutating func fireByHand(_ index: Int, decision: UInt64, socket: Int32) -> UInt8 {
    guard index >= 0, index < slotCount else { return SafetyNumber.failed }
    var result = perform(index, SafetyNumber.byHand, decision, socket)
    // The stream is as bad as that already: it will stay so.
    if result == 0 { result = SafetyNumber.done }
    let slot = slots + index
    if slot.pointee.message < 0, slot.pointee.action != SafetyNumber.detachReader, result == SafetyNumber.done
    {
      slot.pointee.readiness = SafetyNumber.standing
    }
    finish(index, result, SafetyNumber.byHand, decision)
    return result
  }

  /// Does it.
  /// - Returns: raw value of an ArmedAction.Outcome; 0 when there was nothing to be done
  #if !DEBUG
    @_noLocks
  #endif
  private mutating func perform(
    _ index: Int, _ cause: UInt8, _ decision: UInt64, _ socket: Int32
  ) -> UInt8 {
    let slot = slots + index
    let action = slot.pointee.action
    if action == SafetyNumber.markStale {
      return setStream(index, .stale, cause, decision) ? SafetyNumber.done : 0
    }
    if action == SafetyNumber.haltStream {
      return setStream(index, .halted, cause, decision) ? SafetyNumber.done : 0
    }
    if action == SafetyNumber.cutLine {
      return setLine(index, isJoined: false, socket) ? SafetyNumber.done : SafetyNumber.failed
    }
    if action == SafetyNumber.publishGap { return publishGap(index, cause, decision) ? SafetyNumber.done : 0 }
    if action == SafetyNumber.detachReader {
      return detach(index) ? SafetyNumber.done : SafetyNumber.failed
    }
    guard slot.pointee.message >= 0 else { return SafetyNumber.failed }
    return senders[slot.pointee.message].send(now: decision) ? SafetyNumber.done : SafetyNumber.failed
  }

  /// It is due, and disarmed: said once for a failure.
  #if !DEBUG
    @_noLocks
  #endif
  private func withhold(_ index: Int, _ cause: UInt8, _ decision: UInt64) {
    let slot = slots + index
    guard !slot.pointee.isSpent else { return }
    slot.pointee.isSpent = true
    slot.pointee.isWithheld = true
    tell(index, 0, cause, decision)
  }

  #if !DEBUG
    @_noLocks
  #endif
  private func tell(_ index: Int, _ result: UInt8, _ cause: UInt8, _ decision: UInt64) {
    let slot = slots + index
    slot.pointee.isNews = true
    slot.pointee.decidedAt = decision
    slot.pointee.cause = cause
    slot.pointee.result = result
  }

  /// Puts the stream's record into the table, unless what stands there says as much: what is halted is not made stale again,
  /// and what is stale already keeps its beginning.
  #if !DEBUG
    @_noLocks
  #endif
  private mutating func setStream(
    _ index: Int, _ wanted: StreamTrust, _ cause: UInt8, _ decision: UInt64
  ) -> Bool {
    let isWorse =
      switch state {
      case .live: true
      case .stale: wanted == .halted
      case .halted: false
      }
    guard isWorse else { return false }
    let image = images + index &* SafetyNumber.valueBytes
    changes &+= 1
    TrustRecord.patch(
      image, cause: cause, since: decision, changes: changes, supervisorEpoch: supervisorEpoch)
    _ = table.store(key: SafetyNumber.streamKey, value: image)
    state = wanted
    return true
  }

  /// Says from which message on the stream is missing: the one behind the last that the book stage has applied. A gap that is
  /// open already begins in front of it.
  #if !DEBUG
    @_noLocks
  #endif
  private mutating func publishGap(_ index: Int, _ cause: UInt8, _ decision: UInt64) -> Bool {
    guard !hasOpenGap else { return false }
    let image = images + index &* SafetyNumber.valueBytes
    GapNotice.patch(image, cause: cause, first: applied.loadRelaxed() &+ 1, since: decision)
    _ = table.store(key: SafetyNumber.gapKey, value: image)
    hasOpenGap = true
    return true
  }

  /// From here on the receivers go on without the stage, until it counts itself in again.
  #if !DEBUG
    @_noLocks
  #endif
  private func detach(_ index: Int) -> Bool {
    let count = gateCounts[index]
    var gate = 0
    while gate < count {
      gateWords[index &* 2 &+ gate].addAsOnlyWriter(1)
      gate &+= 1
    }
    return count > 0
  }

  #if !DEBUG
    @_noLocks
  #endif
  func setLine(_ index: Int, isJoined: Bool, _ socket: Int32) -> Bool {
    guard socket >= 0 else { return false }
    let slot = slots + index
    return bulkhead_set_multicast_membership(
      socket, isJoined, slot.pointee.group, slot.pointee.interface, slot.pointee.source) == 0
  }

  #if !DEBUG
    @_noLocks
  #endif
  private func finish(_ index: Int, _ result: UInt8, _ cause: UInt8, _ decision: UInt64) {
    let slot = slots + index
    slot.pointee.outcome = result
    slot.pointee.firings &+= 1
    slot.pointee.lastFired = decision
    slot.pointee.duration = bulkhead_monotonic_nanoseconds() &- decision
    tell(index, result, cause, decision)
    show(index)
  }

  #if !DEBUG
    @_noLocks
  #endif
  private func show(_ index: Int) {
    let slot = slots + index
    let record = records + index &* SafetyNumber.valueBytes
    ArmedAction.patch(
      record, readiness: slot.pointee.readiness, outcome: slot.pointee.outcome, firings: slot.pointee.firings,
      lastFired: slot.pointee.lastFired, duration: slot.pointee.duration)
    _ = table.store(key: SafetyNumber.firstActionKey &+ index, value: record)
  }

  // MARK: - Between firings

  var hasNews: Bool { (0..<slotCount).contains { slots[$0].isNews } }

  /// Calls `body` with everything that was fired, or withheld, since the last call.
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
      if slots[index].action == SafetyAction.cutLine.rawValue, !slots[index].isWithheld, !isStanding(index) {
        _ = setLine(index, isJoined: true, socket)
      }
      slots[index].isSpent = false
      slots[index].isOwed = false
      slots[index].isWithheld = false
    }
  }

  /// Joins a line that an earlier supervisor may have cut.
  mutating func rejoin(stage: Int, socket: Int32) {
    for index in 0..<slotCount
    where slots[index].stage == stage && slots[index].action == SafetyAction.cutLine.rawValue
      && !isStanding(index)
    {
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
          if slots[index].isOwed, slots[index].readiness != SafetyNumber.disarmed,
            senders[sender].send(now: now)
          {
            slots[index].isOwed = false
            finish(index, SafetyNumber.done, ActionCause.owed.rawValue, now)
          }
        case .ended: break
        case .answered(let outcome):
          if slots[index].outcome == SafetyNumber.done { slots[index].outcome = outcome.rawValue }
        }
        showReadiness(index)
      }
      onChange(senders[sender].name, change)
    }
  }

  func showReadiness(_ index: Int) {
    let slot = slots + index
    if slot.pointee.readiness != SafetyNumber.disarmed, slot.pointee.readiness != SafetyNumber.standing {
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
    closeGap()
  }

  /// The published gap is over: what has come until now is its end.
  mutating func closeGap() {
    guard hasOpenGap, table.copyOwnValue(key: GapNotice.key, into: scratch),
      var gap = GapNotice(UnsafeRawBufferPointer(start: scratch, count: GapNotice.bytes))
    else { return }
    gap.isOpen = false
    gap.last = max(applied.loadRelaxed(), gap.first &- 1)
    gap.write(to: scratch)
    _ = table.store(key: GapNotice.key, value: scratch)
    hasOpenGap = false
  }
}

/// The gates' mappings, which outlive the words that lie in them.
private final class GateMappings {
  private var first: RingGate?
  private var second: RingGate?

  /// The word that detaches a reader from the ring at `path`; at most two rings.
  func attach(_ path: String, reader: String) throws(RingError) -> SharedWord? {
    let gate = try RingGate.attach(ring: path, access: .readWrite)
    let word = gate.detachWord(reader: reader)
    if first == nil { first = consume gate } else { second = consume gate }
    return word
  }
}
