/// What an operator may ask of a supervisor.
public enum ControlVerb: UInt8, Sendable, CaseIterable {
  /// Start a stage that is down.
  case start = 1
  /// End a stage in order, by force after a while; it stays down.
  case stop = 2
  /// The same, but never by force.
  case drain = 3
  /// End a stage in order and start its successor at once.
  case restart = 4
  case maintenanceOn = 5
  case maintenanceOff = 6
  /// A safety action may be fired again; what a firing by hand left standing is taken back.
  case arm = 7
  /// A safety action is not fired, whatever fails.
  case disarm = 8
  /// Fire a safety action now.
  case fire = 9
  /// Write a snapshot now.
  case snapshot = 32
  /// How much a component writes to its log; the argument is a ``LogWish``.
  case logLevel = 33
  /// Have another build take a component's place, through its standby.
  case upgrade = 34
  /// Back to the build before.
  case rollBack = 35

  public var name: String {
    switch self {
    case .start: "start"
    case .stop: "stop"
    case .drain: "drain"
    case .restart: "restart"
    case .maintenanceOn: "maintenance on"
    case .maintenanceOff: "maintenance off"
    case .arm: "arm"
    case .disarm: "disarm"
    case .fire: "fire"
    case .snapshot: "snapshot"
    case .logLevel: "loglevel"
    case .upgrade: "upgrade"
    case .rollBack: "rollback"
    }
  }

  /// Whether it is asked of a stage; otherwise of the set.
  public var isOfStage: Bool {
    switch self {
    case .start, .stop, .drain, .restart, .snapshot, .logLevel, .upgrade, .rollBack: true
    case .maintenanceOn, .maintenanceOff, .arm, .disarm, .fire: false
    }
  }

  /// Whether it is asked of a safety action.
  public var isOfAction: Bool {
    switch self {
    case .arm, .disarm, .fire: true
    case .start, .stop, .drain, .restart, .maintenanceOn, .maintenanceOff, .snapshot, .logLevel, .upgrade,
      .rollBack:
      false
    }
  }
}

/// How much a component is to write to its log, and for how long: the argument of a request.
public struct LogWish: Equatable, Sendable {
  /// A priority of syslog(3), 3...7; 0 for the usual one.
  public var level: UInt8
  /// Until somebody wants something else: 0.
  public var seconds: UInt32

  public init(level: UInt8, seconds: UInt32) {
    self.level = level
    self.seconds = seconds
  }

  public var argument: UInt64 { UInt64(level) | UInt64(seconds) << 8 }

  /// Nil for an argument that says none.
  public init?(argument: UInt64) {
    level = UInt8(truncatingIfNeeded: argument)
    guard level == 0 || (3...7).contains(level), let seconds = UInt32(exactly: argument >> 8) else {
      return nil
    }
    self.seconds = seconds
  }

  var words: String {
    let name = level == 0 ? "as usual" : ["error", "warning", "notice", "info", "debug"][Int(level) - 3]
    return name + (seconds == 0 || level == 0 ? "" : " for \(seconds) s")
  }
}

/// One request, as it goes to a supervisor: a record of fixed length.
///
/// ```
/// 0  magic u32 │ 4 version u16 │ 6 verb u8 │ 7 flags u8: 1 = say only what would be done
/// 8  epoch u64 │ 16 component[24] │ 40 reason[152] │ 192 argument u64, as the verb says │ 200 action[24]
/// 224 folder[256] │ 480 count u64; texts are padded with zeros
/// ```
public struct ControlRequest: Equatable, Sendable {
  public static let bytes = 488
  static let magic: UInt32 = 0x5145_5242  // "BREQ"
  static let version: UInt16 = 4
  static let nameBytes = 24
  public static let folderBytes = 256
  public static let reasonBytes = 152

  public var verb: ControlVerb
  public var isDryRun = false
  /// The incarnation that is meant: of the component, or of the supervisor itself.
  public var epoch: UInt64
  /// Of a request about an action: the stage for whose failure it is armed; empty: any.
  public var component: String
  public var reason: String
  /// What the verb is about, besides; 0 for most.
  public var argument: UInt64
  /// The action that is meant: of an `[[action]]` its name.
  public var action: String
  /// Of an upgrade: where the new build lies, how many equal books are wanted of it; the argument is the digest of the snapshot that was
  /// verified before, 0 without one.
  public var folder = ""
  public var count: UInt64 = 0

  public init(
    _ verb: ControlVerb, component: String = "", action: String = "", epoch: UInt64, reason: String = "",
    argument: UInt64 = 0
  ) {
    self.verb = verb
    self.argument = argument
    self.component = component
    self.action = action
    self.epoch = epoch
    self.reason = reason
  }

  public var encoded: [UInt8] {
    var bytes = [UInt8](repeating: 0, count: Self.bytes)
    bytes.withUnsafeMutableBytes { base in
      base.storeBytes(of: Self.magic, as: UInt32.self)
      base.storeBytes(of: Self.version, toByteOffset: 4, as: UInt16.self)
      base[6] = verb.rawValue
      base[7] = isDryRun ? 1 : 0
      base.storeBytes(of: epoch, toByteOffset: 8, as: UInt64.self)
      FixedText.store(component, in: base, at: 16, count: Self.nameBytes)
      FixedText.store(reason, in: base, at: 40, count: Self.reasonBytes)
      base.storeBytes(of: argument, toByteOffset: 192, as: UInt64.self)
      FixedText.store(action, in: base, at: 200, count: Self.nameBytes)
      FixedText.store(folder, in: base, at: 224, count: Self.folderBytes)
      base.storeBytes(of: count, toByteOffset: 480, as: UInt64.self)
    }
    return bytes
  }

  /// Nil for bytes that are no request, or one of another version.
  public init?(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count == Self.bytes, bytes.loadUnaligned(as: UInt32.self) == Self.magic,
      bytes.loadUnaligned(fromByteOffset: 4, as: UInt16.self) == Self.version,
      let verb = ControlVerb(rawValue: bytes[6]), bytes[7] <= 1
    else { return nil }
    self.verb = verb
    isDryRun = bytes[7] == 1
    epoch = bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
    component = FixedText.load(bytes, at: 16, count: Self.nameBytes)
    reason = FixedText.load(bytes, at: 40, count: Self.reasonBytes)
    argument = bytes.loadUnaligned(fromByteOffset: 192, as: UInt64.self)
    action = FixedText.load(bytes, at: 200, count: Self.nameBytes)
    folder = FixedText.load(bytes, at: 224, count: Self.folderBytes)
    count = bytes.loadUnaligned(fromByteOffset: 480, as: UInt64.self)
  }
}

/// What the supervisor says to a request.
///
/// ```
/// 0  magic u32 │ 4 version u16 │ 6 outcome u8 │ 8 epoch u64 │ 16 pid i32 │ 20 bytes of the message u16 │ 24 text[232]
/// 256 a message: what an action sends, or sent
/// ```
public struct ControlAnswer: Equatable, Sendable {
  public enum Outcome: UInt8, Sendable {
    /// It is being done; or would be.
    case accepted = 1
    /// It is so already.
    case nothingToDo = 2
    case refused = 3
    /// The incarnation that was named is not the one that runs.
    case epochMoved = 4
    /// The peer may not ask.
    case notPermitted = 5
  }

  public static let bytes = 256
  /// The longest message that an action has.
  public static let messageBytes = 2_048
  static let magic: UInt32 = 0x534E_4142  // "BANS"
  private static let textBytes = 232

  public var outcome: Outcome
  /// Of the component, as the supervisor knows them.
  public var epoch: UInt64
  public var pid: Int32
  public var text: String
  /// What an action would send, or has sent, byte by byte; empty for one that sends nothing.
  public var message: [UInt8] = []

  public init(_ outcome: Outcome, _ text: String, epoch: UInt64 = 0, pid: Int32 = 0) {
    self.outcome = outcome
    self.epoch = epoch
    self.pid = pid
    self.text = text
  }

  public var encoded: [UInt8] {
    var bytes = [UInt8](repeating: 0, count: Self.bytes)
    bytes.withUnsafeMutableBytes { base in
      base.storeBytes(of: Self.magic, as: UInt32.self)
      base.storeBytes(of: ControlRequest.version, toByteOffset: 4, as: UInt16.self)
      base[6] = outcome.rawValue
      base.storeBytes(of: epoch, toByteOffset: 8, as: UInt64.self)
      base.storeBytes(of: pid, toByteOffset: 16, as: Int32.self)
      base.storeBytes(
        of: UInt16(min(message.count, Self.messageBytes)), toByteOffset: 20, as: UInt16.self)
      FixedText.store(text, in: base, at: 24, count: Self.textBytes)
    }
    return bytes + message.prefix(Self.messageBytes)
  }

  public init?(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count >= Self.bytes, bytes.loadUnaligned(as: UInt32.self) == Self.magic,
      bytes.loadUnaligned(fromByteOffset: 4, as: UInt16.self) == ControlRequest.version,
      bytes.count == Self.bytes + Int(bytes.loadUnaligned(fromByteOffset: 20, as: UInt16.self)),
      let outcome = Outcome(rawValue: bytes[6])
    else { return nil }
    self.outcome = outcome
    epoch = bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
    pid = bytes.loadUnaligned(fromByteOffset: 16, as: Int32.self)
    text = FixedText.load(bytes, at: 24, count: Self.textBytes)
    message = Array(bytes[Self.bytes...])
  }
}

/// A text in a field of fixed length, padded with zeros. Control characters become spaces: what an operator types is shown on
/// others' terminals.
enum FixedText {
  static func store(_ text: String, in base: UnsafeMutableRawBufferPointer, at offset: Int, count: Int) {
    for (index, byte) in text.utf8.prefix(count).enumerated() {
      base[offset + index] = byte < 0x20 ? 0x20 : byte
    }
  }

  static func load(_ bytes: UnsafeRawBufferPointer, at offset: Int, count: Int) -> String {
    let text = String(decoding: bytes[offset..<offset + count].prefix { $0 != 0 }, as: UTF8.self)
    return String(
      String.UnicodeScalarView(
        text.unicodeScalars.map { $0.value < 0x20 || (0x7F..<0xA0).contains($0.value) ? " " : $0 }))
  }
}
