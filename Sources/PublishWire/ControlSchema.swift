/// What control messages consist of, for docs/publish-schema.json. What is parsed asks here which fields there are; what is
/// written is held against it by a test.
extension PublishSchema {
  /// One field of a JSON object.
  struct ControlField {
    var name: String
    /// What may stand there: `string`, `integer`, `[string]`, `{integer}` (any names, integers), or the name of one of
    /// ``controlObjects``.
    var types: [String]
    /// May be missing.
    var isOptional = false
    /// The texts that may stand there; empty: any.
    var values: [String] = []
    /// The greatest integer (the least is 0, or `least`); nil: 2^63 - 1.
    var most: Int64?
    var least: Int64 = 0

    init(
      _ name: String, _ types: String..., optional: Bool = false, values: [String] = [], least: Int64 = 0,
      most: Int64? = nil
    ) {
      self.name = name
      self.types = types
      isOptional = optional
      self.values = values
      self.least = least
      self.most = most
    }

    var json: String {
      func list(_ texts: [String]) -> String { "[" + texts.map { "\"\($0)\"" }.joined(separator: ",") + "]" }
      var text = "{\"name\":\"\(name)\",\"types\":\(list(types))"
      if isOptional { text += ",\"optional\":true" }
      if !values.isEmpty { text += ",\"values\":\(list(values))" }
      if types.contains("integer") { text += ",\"min\":\(least),\"max\":\(most ?? .max)" }
      return text + "}"
    }
  }

  /// Fields of a kind of message or object.
  struct ControlLayout {
    var name: String
    var fields: [ControlField]

    init(_ name: String, _ fields: [ControlField]) {
      self.name = name
      self.fields = fields
    }

    func json(_ key: String) -> String {
      "{\"\(key)\":\"\(name)\",\"fields\":[\(fields.map(\.json).joined(separator: ","))]}"
    }
  }

  private static let largestID = Int64(1) << 53
  private static let id = ControlField("id", "integer", most: largestID)
  private static let sub = ControlField("sub", "integer", most: Int64(UInt32.max))
  private static let digest = ControlField("xxh64", "string")

  /// A client's requests, by `op`.
  static let requests = [
    ControlLayout(
      "subscribe",
      [
        ControlField("op", "string", values: ["subscribe"]), id,
        // "*", or a list.
        ControlField("symbols", "string", "[string]"),
        ControlField("channels", "[string]", values: EventChannels.named.map(\.name)),
        ControlField("start", "string", "cursor", values: ["live", "snapshot"]),
        ControlField("on_slow", "string", optional: true, values: SlowPolicy.allCases.map(\.rawValue)),
        ControlField("checksum", "string", optional: true, values: ["off", "heartbeat"]),
      ]),
    ControlLayout("unsubscribe", [ControlField("op", "string", values: ["unsubscribe"]), id, sub]),
  ]

  /// The server's messages, by `type`; those that begin at a snapshot and at a cursor share one.
  static let messages = [
    ControlLayout(
      "hello",
      [
        ControlField("proto", "integer"), ControlField("schema", "schema"), ControlField("server", "string"),
        ControlField("instance", "string"), ControlField("channel", "integer", most: 255),
        ControlField("epoch", "string"), ControlField("session", "string"),
        ControlField("config_hash", "string"), ControlField("heartbeat_ms", "integer"),
        ControlField("channels", "[string]"), ControlField("max_subscriptions", "integer"),
        ControlField("on_slow", "[string]"), ControlField("limits", "limits"),
      ]),
    ControlLayout(
      "subscribed",
      [
        id, sub, ControlField("first_seq", "integer"),
        ControlField("retained_from", "integer", optional: true), ControlField("instruments", "{integer}"),
        ControlField("unresolved", "[string]"),
      ]),
    ControlLayout(
      "resolved",
      [
        sub, ControlField("symbol", "string"), ControlField("instrument", "integer", most: Int64(UInt32.max)),
      ]),
    ControlLayout("unsubscribed", [id, sub]),
    ControlLayout(
      "caught_up",
      [
        sub, ControlField("instruments", "integer", optional: true),
        ControlField("orders", "integer", optional: true), ControlField("from", "integer", optional: true),
        ControlField("seq", "integer"), ControlField("records", "integer"), digest,
      ]),
    ControlLayout("slow", [sub, ControlField("queued", "integer"), ControlField("capacity", "integer")]),
    ControlLayout(
      "skipped",
      [
        sub, ControlField("first_seq", "integer"), ControlField("last_seq", "integer"),
        ControlField("events", "integer"),
      ]),
    ControlLayout(
      "error",
      [
        ControlField("id", "integer", optional: true, most: largestID),
        ControlField("sub", "integer", optional: true, most: Int64(UInt32.max)),
        ControlField("code", "string", values: ControlError.Code.allCases.map(\.rawValue)),
        ControlField("msg", "string"), ControlField("field", "string", optional: true),
        ControlField("nearest", "string", optional: true), ControlField("oldest", "place", optional: true),
        ControlField("newest", "place", optional: true), ControlField("help", "string"),
      ]),
    ControlLayout("shutdown", []),
  ]

  /// Objects within those.
  static let controlObjects = [
    // The epoch as in the hello, or as a number.
    ControlLayout(
      "cursor",
      [
        ControlField("epoch", "string", "integer", most: Int64(UInt32.max)), ControlField("seq", "integer"),
        ControlField("index", "integer", optional: true, most: 65_535),
        ControlField("session", "string", optional: true),
      ]),
    ControlLayout("place", [ControlField("epoch", "string"), ControlField("seq", "integer")]),
    ControlLayout(
      "schema",
      [ControlField("id", "integer"), ControlField("version", "integer"), ControlField("hash", "string")]),
    ControlLayout(
      "limits",
      [
        ControlField("request_bytes", "integer"), ControlField("symbols", "integer"),
        ControlField("requests_per_second", "integer"), ControlField("request_burst", "integer"),
      ]),
  ]

  /// Names of the fields of a request or object.
  static func names(of layout: String, in layouts: [ControlLayout]) -> [String] {
    layouts.first { $0.name == layout }?.fields.map(\.name) ?? []
  }

  /// The lines of the schema.
  static var controlLines: [String] {
    func lines(_ name: String, _ key: String, _ layouts: [ControlLayout]) -> String {
      "\"\(name)\":[\n    " + layouts.map { $0.json(key) }.joined(separator: ",\n    ") + "\n  ]"
    }
    // Every message has a `type` in front, every request its `op` among the fields.
    return [
      lines("requests", "op", requests), lines("messages", "type", messages),
      lines("objects", "name", controlObjects),
    ]
  }
}
