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

  public init(_ code: Code, _ message: String, id: Int64? = nil, field: String? = nil, nearest: String? = nil)
  {
    self.code = code
    self.message = message
    self.id = id
    self.field = field
    self.nearest = nearest
  }
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
    /// Whether the state comes first.
    public var snapshot: Bool

    public init(id: Int64, symbols: Symbols, channels: EventChannels, snapshot: Bool) {
      self.id = id
      self.symbols = symbols
      self.channels = channels
      self.snapshot = snapshot
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
      try object.refuseFields(except: ["op", "id", "symbols", "channels", "start"])
      return .subscribe(
        Subscribe(
          id: object.id ?? 0, symbols: try symbols(object), channels: try channels(object),
          snapshot: try start(object)))
    case "unsubscribe":
      try object.refuseFields(except: ["op", "id", "sub"])
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

  private static func start(_ object: RequestObject) throws(ControlError) -> Bool {
    switch try object.string("start") {
    case "live": return false
    case "snapshot": return true
    case let other:
      throw object.error(
        .unknownStart, "unknown start \"\(shortened(other))\"", field: "start",
        nearest: nearestName(to: other, among: ["live", "snapshot"]))
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

/// A JSON value of a request; borrowed from its document.
private struct RequestValue {
  let json: UnsafeMutablePointer<json_t>

  var string: String? {
    guard json.pointee.type == JSON_STRING, let text = json_string_value(json) else { return nil }
    let bytes = UnsafeRawBufferPointer(start: text, count: json_string_length(json))
    return String(decoding: bytes, as: UTF8.self)
  }

  var integer: Int64? { json.pointee.type == JSON_INTEGER ? Int64(json_integer_value(json)) : nil }

  var arrayCount: Int? { json.pointee.type == JSON_ARRAY ? json_array_size(json) : nil }

  func element(_ index: Int) -> RequestValue? { json_array_get(json, index).map(RequestValue.init) }
}

/// The JSON object of a request, with the errors that its fields can lead to.
private struct RequestObject {
  private let json: UnsafeMutablePointer<json_t>
  var id: Int64?

  init(_ json: UnsafeMutablePointer<json_t>) { self.json = json }

  func error(
    _ code: ControlError.Code, _ message: String, field: String? = nil, nearest: String? = nil
  ) -> ControlError {
    ControlError(code, message, id: id, field: field, nearest: nearest)
  }

  func value(_ name: String) throws(ControlError) -> RequestValue {
    guard let value = json_object_get(json, name) else {
      // The likeliest cause of a missing field is a misspelt one.
      try refuseFields(except: ["op", "id", "symbols", "channels", "start", "sub"])
      throw error(.missingField, "\"\(name)\" is missing", field: name)
    }
    return RequestValue(json: value)
  }

  func string(_ name: String) throws(ControlError) -> String {
    guard let text = try value(name).string else {
      throw error(.wrongType, "\"\(name)\" is a string", field: name)
    }
    return text
  }

  func integer(_ name: String, range: ClosedRange<Int64>) throws(ControlError) -> Int64 {
    guard let number = try value(name).integer, range.contains(number) else {
      throw error(
        .wrongType, "\"\(name)\" is an integer from \(range.lowerBound) to \(range.upperBound)", field: name)
    }
    return number
  }

  func refuseFields(except known: [String]) throws(ControlError) {
    var iterator = json_object_iter(json)
    while let current = iterator {
      if let key = json_object_iter_key(current) {
        let name = String(cString: key)
        guard known.contains(name) else {
          let nearest = nearestName(to: name, among: known)
          let hint = nearest.map { ", nearest known field \"\($0)\"" } ?? ""
          throw error(
            .unknownField, "unknown field \"\(shortened(name))\"\(hint)", field: shortened(name),
            nearest: nearest)
        }
      }
      iterator = json_object_iter_next(json, current)
    }
  }
}

/// At most 32 characters of a client's text, for the reply.
func shortened(_ text: String) -> String { text.count <= 32 ? text : String(text.prefix(31)) + "…" }

/// The name with the fewest edits to `text`, the first among equals; nil when more than half of it is wrong.
func nearestName(to text: String, among names: [String]) -> String? {
  let wanted = Array(text.utf8.prefix(32))
  var best: (name: String, edits: Int)?
  for name in names {
    let edits = editDistance(wanted, Array(name.utf8))
    if edits < best?.edits ?? .max { best = (name, edits) }
  }
  guard let best, best.edits * 2 <= max(wanted.count, best.name.utf8.count) else { return nil }
  return best.name
}

/// Insertions, deletions and replacements that lead from one text to the other.
private func editDistance(_ from: [UInt8], _ to: [UInt8]) -> Int {
  var row = Array(0...to.count)
  for (line, byte) in from.enumerated() {
    var diagonal = row[0]
    row[0] = line + 1
    for column in 0..<to.count {
      let replaced = diagonal + (byte == to[column] ? 0 : 1)
      diagonal = row[column + 1]
      row[column + 1] = min(replaced, row[column] + 1, diagonal + 1)
    }
  }
  return row[to.count]
}
