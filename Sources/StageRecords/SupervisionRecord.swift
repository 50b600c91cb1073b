/// What the supervisor did, or saw of a component. The raw value is the record's kind on the `status` ring.
public enum SupervisionEvent: UInt8, Sendable, CaseIterable {
  /// A supervisor is in charge: its own process and epoch.
  case supervisorStarted = 1
  /// A process that an earlier supervisor had started was taken over.
  case adopted = 2
  /// A process was started.
  case started = 3
  /// An incarnation said READY; the instant is its own.
  case ready = 4
  /// A death was confirmed, with its cause; `value` is the message that the process had at hand, 0 for none.
  case died = 5
  /// A component stays down.
  case leftDown = 6
  /// A tier of the liveness ladder was reached (`tier`), with the cause as it was read then; `value` is the age in
  /// nanoseconds of what is missing.
  case alarm = 7
  /// The component beats and progresses again; `tier` is the highest that it had reached.
  case cleared = 8
  /// The supervisor ended a process that no longer answered, and its death is confirmed; `value` is the time from the
  /// signal to the confirmation in nanoseconds.
  case fenced = 9
  /// A safety action was due; `value` is its number (``SafetyAction``), `tier` an ``ActionResult``, `cause` an
  /// ``ActionCause``, `code` how long it took from the decision to the last store, in nanoseconds; the remark is its name.
  case action = 10
  /// The set is being stopped.
  case stopping = 11
  case stopped = 12
  /// The stream may be believed again: the component was the last that had to catch up.
  case trusted = 13
  /// A process has begun to die: the kernel says so long before the death can be confirmed.
  case dying = 14
  /// A session that is held open for a safety action was logged on (`value` 1) or ended (`value` 0, `code` why); the
  /// component is the action's name.
  case session = 15
  /// The other side of a session says what became of a safety action: `value` is an ``ArmedAction/Outcome``; the component
  /// is the action's name.
  case answered = 16
  /// A message killed the component twice and will be passed over: `value` is its number.
  case quarantined = 17
  /// An operator asked for something: `value` is the verb and, times 256, what came of it, `code` the user and `pid` the process
  /// that asked, `epoch` the incarnation that was meant; the remark is the reason.
  case requested = 20
  /// A stage stays down because an operator wants it down.
  case held = 21
  /// Maintenance began (`value` 1) or ended (`value` 0); the remark is the reason.
  case maintenance = 22
  /// The wall clock was set: its stamps are suspect until ``clockSteady``. `value` is by how many nanoseconds, `code` 1 for
  /// forward and -1 for back.
  case clockStepped = 28
  /// The wall clock has run evenly for a while; `value` is how often it had been set.
  case clockSteady = 29
  /// A process grows towards the limit of its control group: `value` is by how many bytes a second, `code` in how many seconds it
  /// comes there.
  case memoryGrows = 30
  /// Somebody who is not of the set takes the core from a component: `code` is the core, `value` for how many nanoseconds of the last
  /// second it waited; the remark is what others have of the core.
  case neighbour = 40
  /// It has its core again: `code` is the core, `value` how many seconds it was so.
  case neighbourGone = 41
  /// A component is slow against what it was: `value` is the 99th percentile of the last second, ns; `tier` 0 when it begins, 2 when it
  /// goes on; the remark is what is usual.
  case latencyDegraded = 42
  /// It is no longer: `value` is the 99th percentile of the last second, ns.
  case latencyRestored = 43
  /// Optional work is given up because the set is overloaded (the component is whose work it is, the remark which), or taken up again;
  /// `value` is how many steps of the declared order are given up now.
  case workShed = 44
  case workResumed = 45
  /// Another build is to take the component's place, or does, or is refused: `code` is an ``UpgradeStep``, `epoch` the component's
  /// incarnation, `value` the digest of the snapshot that was verified before, 0 without one; the remark says what was found.
  case upgrade = 46

  public var name: String {
    switch self {
    case .supervisorStarted: "supervisor started"
    case .adopted: "adopted"
    case .started: "started"
    case .ready: "ready"
    case .died: "died"
    case .dying: "dying"
    case .quarantined: "input quarantined"
    case .requested: "requested"
    case .held: "held"
    case .maintenance: "maintenance"
    case .clockStepped: "clock set"
    case .clockSteady: "clock steady"
    case .memoryGrows: "memory grows"
    case .neighbour: "neighbour"
    case .neighbourGone: "neighbour gone"
    case .latencyDegraded: "latency degraded"
    case .latencyRestored: "latency restored"
    case .workShed: "work shed"
    case .workResumed: "work resumed"
    case .upgrade: "upgrade"
    case .leftDown: "left down"
    case .alarm: "alarm"
    case .cleared: "cleared"
    case .fenced: "fenced"
    case .action: "action"
    case .stopping: "stopping"
    case .stopped: "stopped"
    case .trusted: "trusted"
    case .session: "session"
    case .answered: "answered"
    }
  }
}

/// How far an upgrade is. The raw value is the code of its record.
public enum UpgradeStep: Int32, Sendable, CaseIterable {
  /// A standby of the new build is started, and compared.
  case proving = 1
  /// It takes the component's place.
  case moving = 2
  case done = 3
  /// Nothing has changed.
  case refused = 4
  /// Back to the build before.
  case returning = 5
  case rolledBack = 6

  public var name: String {
    switch self {
    case .proving: "proving"
    case .moving: "moving"
    case .done: "done"
    case .refused: "refused"
    case .returning: "returning"
    case .rolledBack: "rolled back"
    }
  }
}

/// What came of a safety action that was due. The raw value is the tier of its record.
public enum ActionResult: UInt8, Sendable, CaseIterable {
  case done = 0
  /// It could not be done: no session, or the system refused.
  case failed = 1
  /// An operator had taken it out.
  case disarmed = 2

  public var name: String {
    switch self {
    case .done: "done"
    case .failed: "failed"
    case .disarmed: "disarmed"
    }
  }
}

/// One record of the `status` ring, which the supervisor writes and which passes through none of the processes that it
/// tells of.
///
/// ```
/// 0  instant (CLOCK_MONOTONIC, ns) │ 8 epoch │ 16 value │ 24 pid i32 │ 28 code i32 │ 32 event u8 │ 33 tier u8 │ 34 cause u8 │ 36 faults u32
/// 40 component name[24], padded with zeros │ 64 remark: the rest of the record, if it is longer
/// ```
public struct SupervisionRecord: Equatable, Sendable {
  public static let bytes = 64
  public static let nameBytes = 24
  /// A record with the longest remark.
  public static let bytesWithRemark = bytes + 160

  /// When it happened: CLOCK_MONOTONIC, nanoseconds.
  public var instant: UInt64
  public var event: SupervisionEvent
  /// The component's incarnation, where it is known; 0 otherwise.
  public var epoch: UInt64 = 0
  /// As the event says.
  public var value: UInt64 = 0
  public var pid: Int32 = 0
  /// Whether ``code`` is a core.
  public var isOfCore: Bool { event == .neighbour || event == .neighbourGone }
  /// Exit code or signal of a death; of an alarm, what is missing: 1 beat, 2 progress, 3 output, 4 start, 5 canary.
  public var code: Int32 = 0
  /// 1 mark, 2 alarm, 3 fence.
  public var tier: UInt8 = 0
  /// A code of the supervision's causes: of a death below 32, of an alarm from 32 on; 0 for none.
  public var cause: UInt8 = 0
  /// Of an action: page faults of the supervisor's thread while it was fired.
  public var faults: UInt32 = 0
  /// At most ``nameBytes`` bytes are kept.
  public var component: String
  /// What a person said about it, or the name of an action; mostly nothing. As much as the ring's records have room for is kept.
  public var remark = ""

  public init(_ event: SupervisionEvent, component: String, instant: UInt64) {
    self.event = event
    self.component = component
    self.instant = instant
  }

  /// Bytes that the record fills, in a ring whose records have `limit` at most.
  public func byteCount(limit: Int) -> Int {
    max(Self.bytes, min(Self.bytes + remark.utf8.count, limit, Self.bytesWithRemark))
  }

  /// Writes the record with its remark to so many bytes, as ``byteCount(limit:)`` says.
  public func write(to base: UnsafeMutableRawPointer, count: Int) {
    write(to: base)
    for (index, byte) in remark.utf8.prefix(max(0, count - Self.bytes)).enumerated() {
      base.storeBytes(of: byte, toByteOffset: Self.bytes + index, as: UInt8.self)
    }
  }

  /// Writes the record without its remark to ``bytes`` bytes.
  public func write(to base: UnsafeMutableRawPointer) {
    base.initializeMemory(as: UInt8.self, repeating: 0, count: Self.bytes)
    base.storeBytes(of: instant, as: UInt64.self)
    base.storeBytes(of: epoch, toByteOffset: 8, as: UInt64.self)
    base.storeBytes(of: value, toByteOffset: 16, as: UInt64.self)
    base.storeBytes(of: pid, toByteOffset: 24, as: Int32.self)
    base.storeBytes(of: code, toByteOffset: 28, as: Int32.self)
    base.storeBytes(of: event.rawValue, toByteOffset: 32, as: UInt8.self)
    base.storeBytes(of: tier, toByteOffset: 33, as: UInt8.self)
    base.storeBytes(of: cause, toByteOffset: 34, as: UInt8.self)
    base.storeBytes(of: faults, toByteOffset: 36, as: UInt32.self)
    for (index, byte) in component.utf8.prefix(Self.nameBytes).enumerated() {
      base.storeBytes(of: byte, toByteOffset: 40 + index, as: UInt8.self)
    }
  }

  /// Reads a record; nil for bytes that are none.
  public init?(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count >= Self.bytes,
      let event = SupervisionEvent(rawValue: bytes.load(fromByteOffset: 32, as: UInt8.self))
    else { return nil }
    self.event = event
    instant = bytes.loadUnaligned(as: UInt64.self)
    epoch = bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
    value = bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self)
    pid = bytes.loadUnaligned(fromByteOffset: 24, as: Int32.self)
    code = bytes.loadUnaligned(fromByteOffset: 28, as: Int32.self)
    tier = bytes.load(fromByteOffset: 33, as: UInt8.self)
    cause = bytes.load(fromByteOffset: 34, as: UInt8.self)
    faults = bytes.loadUnaligned(fromByteOffset: 36, as: UInt32.self)
    component = String(
      decoding: bytes[40..<40 + Self.nameBytes].prefix { $0 != 0 }, as: UTF8.self)
    remark = String(decoding: bytes[Self.bytes...], as: UTF8.self)
  }
}
