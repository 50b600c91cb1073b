import CJansson

/// A request that was not carried out. The connection stays open.
public struct ControlError: Error, Equatable, Sendable {
  /// What a program can act on; the raw value is the `code` on the wire.
  public enum Code: String, Sendable, CaseIterable {
    case notJSON = "not_json"
    case tooDeep = "too_deep"
    case notAnObject = "not_an_object"
    case missingField = "missing_field"
    case unknownField = "unknown_field"
    case wrongType = "wrong_type"
    case unknownOperation = "unknown_op"
    case unknownChannel = "unknown_channel"
    case unknownStart = "unknown_start"
    case badSymbol = "bad_symbol"
    case tooManySymbols = "too_many_symbols"
    case tooManySubscriptions = "too_many_subscriptions"
    case unknownSubscription = "unknown_subscription"
    case snapshotUnavailable = "snapshot_unavailable"
    case snapshotTooLarge = "snapshot_too_large"
    case instrumentOutOfRange = "instrument_out_of_range"
    case unknownPolicy = "unknown_on_slow"
    case illegalPolicy = "illegal_on_slow"
    case illegalChecksum = "illegal_checksum"
    case badCursor = "bad_cursor"
    case outdatedCursor = "outdated_cursor"
    case futureCursor = "future_cursor"
    case wrongSession = "wrong_session"
    case replayUnavailable = "replay_unavailable"
  }

  public var code: Code
  /// One sentence for a person.
  public var message: String
  /// The request's id, once it could be read.
  public var id: Int64?
  /// The field concerned.
  public var field: String?
  /// The known name nearest to an unknown one.
  public var nearest: String?
  /// The cursor that would have been taken: the oldest one, or the newest.
  public var bound: Bound?

  /// A cursor beyond which none is taken.
  public enum Bound: Equatable, Sendable {
    case oldest(epoch: UInt32, sequence: UInt64)
    case newest(epoch: UInt32, sequence: UInt64)
  }

  public init(
    _ code: Code, _ message: String, id: Int64? = nil, field: String? = nil, nearest: String? = nil,
    bound: Bound? = nil
  ) {
    self.code = code
    self.message = message
    self.id = id
    self.field = field
    self.nearest = nearest
    self.bound = bound
  }

  /// Where the code is explained.
  public var help: String { PublishSchema.helpPrefix + code.rawValue }
}

/// What a client asks for.
public enum ControlRequest: Equatable, Sendable {
  case subscribe(Subscribe)
  case unsubscribe(id: Int64, subscription: UInt32)

  /// Which instruments.
  public enum Symbols: Equatable, Sendable {
    /// Every instrument, the ones defined later included.
    case all
    /// Packed symbols (``PackedSymbol``), at least one, each once, in the order of the request.
    case listed([UInt64])
  }

  public struct Subscribe: Equatable, Sendable {
    public var id: Int64
    public var symbols: Symbols
    public var channels: EventChannels
    public var start: Start
    public var onSlow: SlowPolicy
    /// Whether checksums of the books come with snapshots and heartbeats.
    public var checksum: Bool

    public init(
      id: Int64, symbols: Symbols, channels: EventChannels, start: Start, onSlow: SlowPolicy = .disconnect,
      checksum: Bool = false
    ) {
      self.id = id
      self.symbols = symbols
      self.channels = channels
      self.start = start
      self.onSlow = onSlow
      self.checksum = checksum
    }
  }

  /// Where a subscription begins.
  public enum Start: Equatable, Sendable {
    /// With the next message.
    case live
    /// With the state.
    case snapshot
    /// Behind a place of the past.
    case cursor(Cursor)
  }

  /// How far a client has come.
  public struct Cursor: Equatable, Sendable {
    /// Incarnation of the stream that the client read.
    public var epoch: UInt32
    public var place: StreamPlace
    /// The venue's session; nil when the client does not say.
    public var session: String?

    public init(epoch: UInt32, place: StreamPlace, session: String? = nil) {
      self.epoch = epoch
      self.place = place
      self.session = session
    }
  }

  /// The longest request, in bytes; a longer one closes the connection.
  public static let maximumBytes = 65_536
  /// Nested arrays and objects that a request may have.
  public static let maximumDepth = 4
  /// Symbols of one request.
  public static let maximumSymbols = 2048

  /// Reads one request. Every byte string leads to a request or to a typed error.
  public init(parsing text: UnsafeRawBufferPointer) throws(ControlError) {
    let depth = Self.depth(of: text)
    guard depth <= Self.maximumDepth else {
      throw ControlError(.tooDeep, "a request nests at most \(Self.maximumDepth) levels")
    }
    var failure = json_error_t()
    // An embedded NUL is refused by the parser, as are duplicate names and text that is not UTF-8.
    let flags = Int(JSON_REJECT_DUPLICATES)
    guard
      let root = json_loadb(
        text.baseAddress?.assumingMemoryBound(to: CChar.self), text.count, flags, &failure)
    else {
      throw ControlError(
        .notJSON, "not JSON, line \(max(failure.line, 1)) column \(max(failure.column, 0))")
    }
    defer { json_decref(root) }
    guard root.pointee.type == JSON_OBJECT else {
      throw ControlError(.notAnObject, "a request is a JSON object")
    }
    self = try Self.request(RequestObject(root))
  }

  private static func request(_ object: RequestObject) throws(ControlError) -> ControlRequest {
    var object = object
    object.id = try object.integer("id", range: 0...Int64(1) << 53)
    let operation = try object.string("op")
    switch operation {
    case "subscribe":
      try object.refuseFields(except: RequestObject.subscribeFields)
      let channels = try channels(object)
      return .subscribe(
        Subscribe(
          id: object.id ?? 0, symbols: try symbols(object), channels: channels, start: try start(object),
          onSlow: try onSlow(object, channels), checksum: try checksum(object, channels)))
    case "unsubscribe":
      try object.refuseFields(except: RequestObject.unsubscribeFields)
      let number = try object.integer("sub", range: 0...Int64(UInt32.max))
      return .unsubscribe(id: object.id ?? 0, subscription: UInt32(truncatingIfNeeded: number))
    default:
      throw object.error(
        .unknownOperation, "unknown op \"\(shortened(operation))\"", field: "op",
        nearest: nearestName(to: operation, among: ["subscribe", "unsubscribe"]))
    }
  }

  private static func symbols(_ object: RequestObject) throws(ControlError) -> Symbols {
    let value = try object.value("symbols")
    if let text = value.string {
      guard text == "*" else {
        throw object.error(.wrongType, "\"symbols\" is \"*\" or an array of strings", field: "symbols")
      }
      return .all
    }
    guard let count = value.arrayCount else {
      throw object.error(.wrongType, "\"symbols\" is \"*\" or an array of strings", field: "symbols")
    }
    guard count <= maximumSymbols else {
      throw object.error(
        .tooManySymbols, "\(count) symbols in one request, at most \(maximumSymbols)", field: "symbols")
    }
    guard count > 0 else { throw object.error(.badSymbol, "\"symbols\" is empty", field: "symbols") }
    var listed: [UInt64] = []
    var seen: Set<UInt64> = []
    for index in 0..<count {
      guard let text = value.element(index)?.string else {
        throw object.error(.wrongType, "\"symbols\" is \"*\" or an array of strings", field: "symbols")
      }
      guard let packed = PackedSymbol.pack(Array(text.utf8)) else {
        throw object.error(
          .badSymbol, "\"\(shortened(text))\" is not a symbol of 1 to 8 printable ASCII characters",
          field: "symbols")
      }
      if seen.insert(packed).inserted { listed.append(packed) }
    }
    return .listed(listed)
  }

  private static func channels(_ object: RequestObject) throws(ControlError) -> EventChannels {
    let value = try object.value("channels")
    guard let count = value.arrayCount, count > 0 else {
      throw object.error(.wrongType, "\"channels\" is an array with at least one string", field: "channels")
    }
    var channels: EventChannels = []
    for index in 0..<count {
      guard let text = value.element(index)?.string else {
        throw object.error(.wrongType, "\"channels\" is an array with at least one string", field: "channels")
      }
      guard let known = EventChannels.named.first(where: { $0.name == text }) else {
        throw object.error(
          .unknownChannel, "unknown channel \"\(shortened(text))\"", field: "channels",
          nearest: nearestName(to: text, among: EventChannels.named.map(\.name)))
      }
      channels.insert(known.channel)
    }
    return channels
  }

  private static func start(_ object: RequestObject) throws(ControlError) -> Start {
    let value = try object.value("start")
    if let cursor = value.object(id: object.id, in: "start") { return .cursor(try self.cursor(cursor)) }
    switch value.string {
    case "live": return .live
    case "snapshot": return .snapshot
    case let other?:
      throw object.error(
        .unknownStart, "unknown start \"\(shortened(other))\"", field: "start",
        nearest: nearestName(to: other, among: ["live", "snapshot"]))
    case nil:
      throw object.error(
        .wrongType, "\"start\" is \"live\", \"snapshot\" or a cursor {\"epoch\", \"seq\"}", field: "start")
    }
  }

  private static func cursor(_ object: RequestObject) throws(ControlError) -> Cursor {
    try object.refuseFields(except: RequestObject.cursorFields)
    // As in the hello, or as a number.
    let written = try object.value("epoch")
    guard
      let epoch = written.string.flatMap({ UInt32($0) }) ?? written.integer.flatMap({ UInt32(exactly: $0) })
    else { throw object.error(.badCursor, "\"epoch\" is the hello's", field: "start.epoch") }
    let sequence = try object.integer("seq", range: 0...Int64.max)
    var place = StreamPlace(sequence: UInt64(sequence))
    if object.has("index") {
      place.index = UInt16(truncatingIfNeeded: try object.integer("index", range: 0...65_535))
    }
    return Cursor(
      epoch: epoch, place: place, session: object.has("session") ? try object.string("session") : nil)
  }

  private static func onSlow(
    _ object: RequestObject, _ channels: EventChannels
  ) throws(ControlError) -> SlowPolicy {
    guard object.has("on_slow") else { return .disconnect }
    let text = try object.string("on_slow")
    guard let policy = SlowPolicy(rawValue: text) else {
      throw object.error(
        .unknownPolicy, "unknown on_slow \"\(shortened(text))\"", field: "on_slow",
        nearest: nearestName(to: text, among: SlowPolicy.allCases.map(\.rawValue)))
    }
    guard policy.isLegal(for: channels) else {
      let legal = EventChannels.named.filter { policy.droppable.contains($0.channel) }.map(\.name)
      throw object.error(
        .illegalPolicy,
        "\(text) wants a subscription of \(legal.joined(separator: " or ")), and beside it of status and defs alone",
        field: "on_slow")
    }
    return policy
  }

  private static func checksum(
    _ object: RequestObject, _ channels: EventChannels
  ) throws(ControlError) -> Bool {
    guard object.has("checksum") else { return false }
    switch try object.string("checksum") {
    case "off": return false
    case "heartbeat":
      guard !channels.isDisjoint(with: [.orders, .levels]) else {
        throw object.error(
          .illegalChecksum, "a checksum is of levels: subscribe to orders or levels", field: "checksum")
      }
      return true
    case let other:
      throw object.error(
        .wrongType, "\"checksum\" is \"off\" or \"heartbeat\"", field: "checksum",
        nearest: nearestName(to: other, among: ["off", "heartbeat"]))
    }
  }

  /// The deepest nesting of brackets outside strings, known before anything recursive runs.
  static func depth(of text: UnsafeRawBufferPointer) -> Int {
    var depth = 0
    var deepest = 0
    var inString = false
    var escaped = false
    for byte in text {
      if inString {
        if escaped {
          escaped = false
        } else if byte == UInt8(ascii: "\\") {
          escaped = true
        } else if byte == UInt8(ascii: "\"") {
          inString = false
        }
        continue
      }
      switch byte {
      case UInt8(ascii: "\""): inString = true
      case UInt8(ascii: "{"), UInt8(ascii: "["):
        depth += 1
        deepest = max(deepest, depth)
      case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
      default: break
      }
    }
    return deepest
  }
}
