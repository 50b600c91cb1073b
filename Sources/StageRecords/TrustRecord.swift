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

  public var name: String {
    switch self {
    case .markStale: "mark_stale"
    case .haltStream: "halt_stream"
    }
  }
}

/// The value under key 0 of the table `trust`: written by the supervisor alone, so it passes through none of the stages of
/// which it tells.
///
/// ```
/// 0  state u8 │ 1 trigger u8 (SafetyAction; 0 for none) │ 8 since (CLOCK_MONOTONIC, ns) │ 16 changes u64
/// 24 component name[24]: the stage by which it is so, the latest that was added │ 48 epoch of the supervisor
/// ```
public struct TrustRecord: Equatable, Sendable {
  public static let key = 0
  public static let bytes = 56
  static let stateOffset = 0
  static let actionOffset = 1
  static let sinceOffset = 8
  static let changesOffset = 16
  static let nameOffset = 24
  static let nameBytes = 24
  static let supervisorOffset = 48

  public var state: StreamTrust
  public var action: SafetyAction?
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
    Self.patch(base, since: since, changes: changes, supervisorEpoch: supervisorEpoch)
  }

  /// Sets in an encoded record what is known only when it is fired: three stores.
  public static func patch(
    _ base: UnsafeMutableRawPointer, since: UInt64, changes: UInt64, supervisorEpoch: UInt64
  ) {
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
    since = bytes.loadUnaligned(fromByteOffset: Self.sinceOffset, as: UInt64.self)
    changes = bytes.loadUnaligned(fromByteOffset: Self.changesOffset, as: UInt64.self)
    supervisorEpoch = bytes.loadUnaligned(fromByteOffset: Self.supervisorOffset, as: UInt64.self)
    component = String(
      decoding: bytes[Self.nameOffset..<Self.nameOffset + Self.nameBytes].prefix { $0 != 0 }, as: UTF8.self)
  }
}

/// An armed action: the values under keys 1… of the table `trust`, in the topology's order.
///
/// ```
/// 0  action u8 │ 1 trigger u8 │ 8 times fired │ 16 fired last (CLOCK_MONOTONIC, ns) │ 24 component name[24]
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

  public static let firstKey = 1
  /// Entries of the table, the stream's own among them.
  public static let tableEntries = 64
  public static let bytes = 56

  public var action: SafetyAction
  public var trigger: Trigger
  public var component: String
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
    base.storeBytes(of: firings, toByteOffset: 8, as: UInt64.self)
    base.storeBytes(of: lastFired, toByteOffset: 16, as: UInt64.self)
    for (index, byte) in component.utf8.prefix(24).enumerated() {
      base.storeBytes(of: byte, toByteOffset: 24 + index, as: UInt8.self)
    }
    base.storeBytes(of: duration, toByteOffset: 48, as: UInt64.self)
  }

  /// Reads a record; nil for bytes that are none.
  public init?(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count >= Self.bytes, let action = SafetyAction(rawValue: bytes[0]),
      let trigger = Trigger(rawValue: bytes[1])
    else { return nil }
    self.action = action
    self.trigger = trigger
    firings = bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
    lastFired = bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self)
    component = String(decoding: bytes[24..<48].prefix { $0 != 0 }, as: UTF8.self)
    duration = bytes.loadUnaligned(fromByteOffset: 48, as: UInt64.self)
  }
}
