/// Whether the set's stream may be believed, as the supervisor says.
public enum StreamTrust: UInt8, Sendable, CaseIterable {
  /// Every stage of the stream works, as far as the supervisor can see.
  case live = 0
  /// A stage of the stream does not work, or its successor has not caught up: what is out may be out of date.
  case stale = 1
  /// A stage of the stream is down, and no successor will come.
  case halted = 2

  public var name: String {
    switch self {
    case .live: "live"
    case .stale: "stale"
    case .halted: "halted"
    }
  }
}

/// What the supervisor does when a stage fails, prepared at the start.
public enum SafetyAction: UInt8, Sendable, CaseIterable {
  case markStale = 1
  case haltStream = 2
  /// A line is left, until its receiver works again.
  case cutLine = 3
  /// A prepared datagram is sent.
  case datagram = 4
  /// A prepared FIX OrderMassCancelRequest is sent on a session that is held open.
  case massCancel = 5
  /// Readers are told from which message on the stream is missing (``GapNotice``).
  case publishGap = 6
  /// The writers of gated rings wait for this reader no longer, until it comes back.
  case detachReader = 7

  public var name: String {
    switch self {
    case .markStale: "mark_stale"
    case .haltStream: "halt_stream"
    case .cutLine: "cut_line"
    case .datagram: "datagram"
    case .massCancel: "mass_cancel"
    case .publishGap: "publish_gap"
    case .detachReader: "detach_reader"
    }
  }
}

/// What made a safety action due. The raw value is the cause in its record on the `status` ring.
public enum ActionCause: UInt8, Sendable, CaseIterable {
  /// The stage reached the alarm.
  case alarm = 1
  /// The stage died.
  case death = 2
  /// The stage is left down.
  case leftDown = 3
  /// Every line fell silent.
  case silence = 4
  /// An operator fired it.
  case byHand = 5
  /// It was due earlier, when its session did not stand.
  case owed = 6

  public var name: String {
    switch self {
    case .alarm: "alarm"
    case .death: "death"
    case .leftDown: "left down"
    case .silence: "silent lines"
    case .byHand: "operator"
    case .owed: "owed: the session is back"
    }
  }
}

/// The value under key 0 of the table `trust`: written by the supervisor alone, so it passes through none of the stages of
/// which it tells.
///
/// ```
/// 0  state u8 │ 1 trigger u8 (SafetyAction; 0 for none) │ 2 cause u8 (ActionCause; 0 unknown) │ 8 since (CLOCK_MONOTONIC, ns) │ 16 changes u64
/// 24 component name[24]: the stage by which it is so, the latest that was added │ 48 epoch of the supervisor
/// ```
public struct TrustRecord: Equatable, Sendable {
  public static let key = 0
  public static let bytes = 56
  static let stateOffset = 0
  static let actionOffset = 1
  static let causeOffset = 2
  static let sinceOffset = 8
  static let changesOffset = 16
  static let nameOffset = 24
  static let nameBytes = 24
  static let supervisorOffset = 48

  public var state: StreamTrust
  public var action: SafetyAction?
  public var cause: ActionCause?
  /// When the state began: CLOCK_MONOTONIC, ns.
  public var since: UInt64 = 0
  /// How often it has changed, under all supervisors of the set.
  public var changes: UInt64 = 0
  public var component: String = ""
  public var supervisorEpoch: UInt64 = 0

  public init(_ state: StreamTrust, action: SafetyAction? = nil, component: String = "") {
    self.state = state
    self.action = action
    self.component = component
  }

  /// Writes the record to ``bytes`` bytes.
  public func write(to base: UnsafeMutableRawPointer) {
    base.initializeMemory(as: UInt8.self, repeating: 0, count: Self.bytes)
    base.storeBytes(of: state.rawValue, toByteOffset: Self.stateOffset, as: UInt8.self)
    base.storeBytes(of: action?.rawValue ?? 0, toByteOffset: Self.actionOffset, as: UInt8.self)
    for (index, byte) in component.utf8.prefix(Self.nameBytes).enumerated() {
      base.storeBytes(of: byte, toByteOffset: Self.nameOffset + index, as: UInt8.self)
    }
    Self.patch(
      base, cause: cause?.rawValue ?? 0, since: since, changes: changes, supervisorEpoch: supervisorEpoch)
  }

  /// Sets in an encoded record what is known only when it is fired: four stores.
  /// - Parameter cause: raw value of an ``ActionCause``
  #if !DEBUG
    @_noLocks
  #endif
  public static func patch(
    _ base: UnsafeMutableRawPointer, cause: UInt8, since: UInt64, changes: UInt64, supervisorEpoch: UInt64
  ) {
    base.storeBytes(of: cause, toByteOffset: causeOffset, as: UInt8.self)
    base.storeBytes(of: since, toByteOffset: sinceOffset, as: UInt64.self)
    base.storeBytes(of: changes, toByteOffset: changesOffset, as: UInt64.self)
    base.storeBytes(of: supervisorEpoch, toByteOffset: supervisorOffset, as: UInt64.self)
  }

  /// Reads a record; nil for bytes that are none.
  public init?(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count >= Self.bytes,
      let state = StreamTrust(rawValue: bytes.load(fromByteOffset: Self.stateOffset, as: UInt8.self))
    else { return nil }
    self.state = state
    action = SafetyAction(rawValue: bytes.load(fromByteOffset: Self.actionOffset, as: UInt8.self))
    cause = ActionCause(rawValue: bytes.load(fromByteOffset: Self.causeOffset, as: UInt8.self))
    since = bytes.loadUnaligned(fromByteOffset: Self.sinceOffset, as: UInt64.self)
    changes = bytes.loadUnaligned(fromByteOffset: Self.changesOffset, as: UInt64.self)
    supervisorEpoch = bytes.loadUnaligned(fromByteOffset: Self.supervisorOffset, as: UInt64.self)
    component = String(
      decoding: bytes[Self.nameOffset..<Self.nameOffset + Self.nameBytes].prefix { $0 != 0 }, as: UTF8.self)
  }
}

/// A gap that the supervisor has published: the value under key 63 of the table `trust`. It passes through none of the stages, so
/// that it is told also when none of them tells anything.
///
/// ```
/// 0  state u8 (0 none yet, 1 open, 2 over) │ 1 cause u8 (ActionCause) │ 8 first u64 │ 16 last u64, 0 while it is open
/// 24 component name[24] │ 48 since (CLOCK_MONOTONIC, ns)
/// ```
public struct GapNotice: Equatable, Sendable {
  public static let key = 63
  public static let bytes = 56

  public var isOpen = true
  public var cause: ActionCause?
  /// The first message that is missing, or late: the one behind the last that the book stage had applied.
  public var first: UInt64 = 0
  /// The last of them, once the stream may be believed again.
  public var last: UInt64 = 0
  /// The stage by whose failure it is so.
  public var component: String
  public var since: UInt64 = 0

  public init(component: String) { self.component = component }

  /// Writes the record to ``bytes`` bytes.
  public func write(to base: UnsafeMutableRawPointer) {
    base.initializeMemory(as: UInt8.self, repeating: 0, count: Self.bytes)
    base.storeBytes(of: isOpen ? 1 : 2, as: UInt8.self)
    base.storeBytes(of: last, toByteOffset: 16, as: UInt64.self)
    for (index, byte) in component.utf8.prefix(24).enumerated() {
      base.storeBytes(of: byte, toByteOffset: 24 + index, as: UInt8.self)
    }
    Self.patch(base, cause: cause?.rawValue ?? 0, first: first, since: since)
  }

  /// Sets in an encoded record what is known only when it is fired: three stores.
  /// - Parameter cause: raw value of an ``ActionCause``
  #if !DEBUG
    @_noLocks
  #endif
  public static func patch(_ base: UnsafeMutableRawPointer, cause: UInt8, first: UInt64, since: UInt64) {
    base.storeBytes(of: cause, toByteOffset: 1, as: UInt8.self)
    base.storeBytes(of: first, toByteOffset: 8, as: UInt64.self)
    base.storeBytes(of: since, toByteOffset: 48, as: UInt64.self)
  }

  /// Reads a record; nil for bytes that are none.
  public init?(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count >= Self.bytes, bytes[0] == 1 || bytes[0] == 2 else { return nil }
    isOpen = bytes[0] == 1
    cause = ActionCause(rawValue: bytes[1])
    first = bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
    last = bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self)
    component = String(decoding: bytes[24..<48].prefix { $0 != 0 }, as: UTF8.self)
    since = bytes.loadUnaligned(fromByteOffset: 48, as: UInt64.self)
  }
}

/// An armed action: the values under keys 1…31 of the table `trust`, in the topology's order.
///
/// ```
/// 0  action u8 │ 1 trigger u8 │ 2 readiness u8 │ 3 outcome u8 │ 8 times fired │ 16 fired last (CLOCK_MONOTONIC, ns) │ 24 component name[24]
/// 48 how long the firing took last, from the decision to the last store, ns
/// ```
public struct ArmedAction: Equatable, Sendable {
  public enum Trigger: UInt8, Sendable, CaseIterable {
    /// The stage reached the alarm, or died.
    case alarm = 1
    /// The stage is left down.
    case down = 2

    public var name: String { self == .alarm ? "on alarm or death" : "when left down" }
  }

  /// Whether it would do its work if it were fired now.
  public enum Readiness: UInt8, Sendable, CaseIterable {
    case armed = 0
    /// An operator took it out.
    case disarmed = 1
    /// Its session is not logged on; it is sent when it is, if the failure still stands then.
    case noSession = 2
    /// An operator fired it, and what it did stands until it is armed again.
    case standing = 3

    public var name: String {
      switch self {
      case .armed: "armed"
      case .disarmed: "disarmed"
      case .noSession: "no session"
      case .standing: "fired by hand"
      }
    }
  }

  /// What became of its last firing.
  public enum Outcome: UInt8, Sendable, CaseIterable {
    case none = 0
    /// Done, or handed to the kernel.
    case done = 1
    /// It could not be done: no session, or the system refused.
    case failed = 2
    /// The other side of the session confirmed it.
    case confirmed = 3
    /// The other side of the session refused it.
    case refused = 4

    public var name: String {
      switch self {
      case .none: "never fired"
      case .done: "done"
      case .failed: "failed"
      case .confirmed: "confirmed"
      case .refused: "refused"
      }
    }
  }

  /// What stands in the place of a component for the silence of every line.
  public static let lines = "lines"

  public static let firstKey = 1
  /// Where the names and addresses of the messages lie (``ActionTarget``), one for each armed action.
  public static let firstTargetKey = 32
  /// Entries of the table, the stream's own among them.
  public static let tableEntries = 64
  public static let bytes = 56

  public var action: SafetyAction
  public var trigger: Trigger
  public var component: String
  public var readiness = Readiness.armed
  public var outcome = Outcome.none
  public var firings: UInt64 = 0
  public var lastFired: UInt64 = 0
  public var duration: UInt64 = 0

  public init(_ action: SafetyAction, _ trigger: Trigger, component: String) {
    self.action = action
    self.trigger = trigger
    self.component = component
  }

  /// Writes the record to ``bytes`` bytes.
  public func write(to base: UnsafeMutableRawPointer) {
    base.initializeMemory(as: UInt8.self, repeating: 0, count: Self.bytes)
    base.storeBytes(of: action.rawValue, as: UInt8.self)
    base.storeBytes(of: trigger.rawValue, toByteOffset: 1, as: UInt8.self)
    base.storeBytes(of: readiness.rawValue, toByteOffset: 2, as: UInt8.self)
    base.storeBytes(of: outcome.rawValue, toByteOffset: 3, as: UInt8.self)
    base.storeBytes(of: firings, toByteOffset: 8, as: UInt64.self)
    base.storeBytes(of: lastFired, toByteOffset: 16, as: UInt64.self)
    for (index, byte) in component.utf8.prefix(24).enumerated() {
      base.storeBytes(of: byte, toByteOffset: 24 + index, as: UInt8.self)
    }
    base.storeBytes(of: duration, toByteOffset: 48, as: UInt64.self)
  }

  /// Sets in an encoded record what changes with a firing.
  /// - Parameters:
  ///   - readiness: raw value of a ``Readiness``
  ///   - outcome: raw value of an ``Outcome``
  #if !DEBUG
    @_noLocks
  #endif
  public static func patch(
    _ base: UnsafeMutableRawPointer, readiness: UInt8, outcome: UInt8, firings: UInt64, lastFired: UInt64,
    duration: UInt64
  ) {
    base.storeBytes(of: readiness, toByteOffset: 2, as: UInt8.self)
    base.storeBytes(of: outcome, toByteOffset: 3, as: UInt8.self)
    base.storeBytes(of: firings, toByteOffset: 8, as: UInt64.self)
    base.storeBytes(of: lastFired, toByteOffset: 16, as: UInt64.self)
    base.storeBytes(of: duration, toByteOffset: 48, as: UInt64.self)
  }

  /// Reads a record; nil for bytes that are none.
  public init?(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count >= Self.bytes, let action = SafetyAction(rawValue: bytes[0]),
      let trigger = Trigger(rawValue: bytes[1])
    else { return nil }
    self.action = action
    self.trigger = trigger
    readiness = Readiness(rawValue: bytes[2]) ?? .armed
    outcome = Outcome(rawValue: bytes[3]) ?? .none
    firings = bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
    lastFired = bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self)
    component = String(decoding: bytes[24..<48].prefix { $0 != 0 }, as: UTF8.self)
    duration = bytes.loadUnaligned(fromByteOffset: 48, as: UInt64.self)
  }
}

/// The message of an armed action: the values under keys 32…62 of the table `trust`, for those that send one.
///
/// ```
/// 0  name[24] │ 24 address u32 │ 28 port u16 │ 32 logons u64
/// ```
public struct ActionTarget: Equatable, Sendable {
  public static let bytes = 56
  /// Address and port.
  public static let addressOffset = 24
  public static let addressBytes = 6

  /// The `[[action]]`'s name, at most 24 bytes.
  public var name: String
  /// IPv4, in host order.
  public var address: UInt32
  public var port: UInt16
  /// How often its session was logged on.
  public var logons: UInt64 = 0

  public init(name: String, address: UInt32, port: UInt16) {
    self.name = name
    self.address = address
    self.port = port
  }

  /// Writes the record to ``bytes`` bytes.
  public func write(to base: UnsafeMutableRawPointer) {
    base.initializeMemory(as: UInt8.self, repeating: 0, count: Self.bytes)
    for (index, byte) in name.utf8.prefix(24).enumerated() {
      base.storeBytes(of: byte, toByteOffset: index, as: UInt8.self)
    }
    base.storeBytes(of: address, toByteOffset: Self.addressOffset, as: UInt32.self)
    base.storeBytes(of: port, toByteOffset: Self.addressOffset + 4, as: UInt16.self)
    base.storeBytes(of: logons, toByteOffset: 32, as: UInt64.self)
  }

  /// Reads a record; nil for bytes that are none.
  public init?(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count >= Self.bytes, bytes[0] != 0 else { return nil }
    name = String(decoding: bytes[0..<24].prefix { $0 != 0 }, as: UTF8.self)
    address = bytes.loadUnaligned(fromByteOffset: 24, as: UInt32.self)
    port = bytes.loadUnaligned(fromByteOffset: 28, as: UInt16.self)
    logons = bytes.loadUnaligned(fromByteOffset: 32, as: UInt64.self)
  }
}
