import CJansson
import Glibc

/// What the hello says about the publisher, beyond protocol and schema.
public struct HelloFields: Sendable, Equatable {
  /// Name of the host or service.
  public var server: String
  /// Name of the Bulkhead instance.
  public var instance: String
  /// Channel number of the topology.
  public var channel: UInt8
  /// Incarnation of the stream.
  public var epoch: UInt32
  /// Hash of the configuration in force, as text.
  public var configurationHash: String
  /// The venue's session that sequence numbers belong to; empty before it is known.
  public var session: String

  public init(
    server: String, instance: String, channel: UInt8, epoch: UInt32, configurationHash: String,
    session: String = ""
  ) {
    self.server = server
    self.instance = instance
    self.channel = channel
    self.epoch = epoch
    self.configurationHash = configurationHash
    self.session = session
  }
}

/// A text frame of the publisher. Sequence numbers above 2^63 - 1 are written as 2^63 - 1.
public enum ControlMessage: Sendable, Equatable {
  case hello(HelloFields, heartbeatMilliseconds: Int, maximumSubscriptions: Int)
  /// - firstSequence: every matching event from it on is delivered.
  /// - retainedFrom: the oldest cursor that would be taken now; nil when none would.
  /// - resolved: instrument numbers of the symbols asked for; empty for "*".
  case subscribed(
    id: Int64, subscription: UInt32, firstSequence: UInt64, retainedFrom: UInt64?,
    resolved: [(String, UInt32)],
    unresolved: [String]
  )
  /// A symbol that was unresolved has been defined.
  case resolved(subscription: UInt32, symbol: String, instrument: UInt32)
  case unsubscribed(id: Int64, subscription: UInt32)
  /// The snapshots of a subscription are complete; everything from here on is live.
  /// - records, digest: entries of all of them, and the digest of those (docs/DIGESTS.md).
  case caughtUp(
    subscription: UInt32, instruments: UInt64, orders: UInt64, sequence: UInt64, records: UInt64,
    digest: String)
  /// A subscription that began at a cursor has reached the present.
  /// - from: the cursor.
  /// - records, digest: all entries of its replay frames, and their digest.
  case replayed(subscription: UInt32, from: UInt64, sequence: UInt64, records: UInt64, digest: String)
  /// The queue is half full; see ``SlowPolicy/warn``.
  case slow(subscription: UInt32, queued: Int, capacity: Int)
  /// Events that were left out; see ``SlowPolicy/skip``.
  case skipped(subscription: UInt32, first: UInt64, last: UInt64, events: UInt64)
  case error(ControlError, subscription: UInt32?)
  case shutdown

  /// Every `type` of a message.
  static let types = PublishSchema.messages.map(\.name)

  public static func == (left: ControlMessage, right: ControlMessage) -> Bool { left.json == right.json }

  /// The message as compact JSON; fields in the order of docs/PUBLISH_PROTOCOL.md.
  public var json: String {
    var object = JSONObject()
    switch self {
    case .hello(let fields, let heartbeat, let subscriptions):
      Self.fill(&object, hello: fields, heartbeat, subscriptions)
    case .subscribed(let id, let subscription, let first, let retained, let resolved, let unresolved):
      object.set("type", "subscribed")
      object.set("id", id)
      object.set("sub", Int64(subscription))
      object.set("first_seq", Int64(clamping: first))
      if let retained { object.set("retained_from", Int64(clamping: retained)) }
      var instruments = JSONObject()
      for (symbol, instrument) in resolved { instruments.set(symbol, Int64(instrument)) }
      object.set("instruments", instruments)
      object.set("unresolved", unresolved)
    case .resolved(let subscription, let symbol, let instrument):
      object.set("type", "resolved")
      object.set("sub", Int64(subscription))
      object.set("symbol", symbol)
      object.set("instrument", Int64(instrument))
    case .unsubscribed(let id, let subscription):
      object.set("type", "unsubscribed")
      object.set("id", id)
      object.set("sub", Int64(subscription))
    case .caughtUp(let subscription, let instruments, let orders, let sequence, let records, let digest):
      object.set("type", "caught_up")
      object.set("sub", Int64(subscription))
      object.set("instruments", Int64(clamping: instruments))
      object.set("orders", Int64(clamping: orders))
      object.set("seq", Int64(clamping: sequence))
      object.set("records", Int64(clamping: records))
      object.set("xxh64", digest)
    case .replayed(let subscription, let from, let sequence, let records, let digest):
      object.set("type", "caught_up")
      object.set("sub", Int64(subscription))
      object.set("from", Int64(clamping: from))
      object.set("seq", Int64(clamping: sequence))
      object.set("records", Int64(clamping: records))
      object.set("xxh64", digest)
    case .slow(let subscription, let queued, let capacity):
      object.set("type", "slow")
      object.set("sub", Int64(subscription))
      object.set("queued", Int64(queued))
      object.set("capacity", Int64(capacity))
    case .skipped(let subscription, let first, let last, let events):
      object.set("type", "skipped")
      object.set("sub", Int64(subscription))
      object.set("first_seq", Int64(clamping: first))
      object.set("last_seq", Int64(clamping: last))
      object.set("events", Int64(clamping: events))
    case .error(let error, let subscription): Self.fill(&object, error: error, subscription)
    case .shutdown: object.set("type", "shutdown")
    }
    return object.text
  }

  private static func fill(
    _ object: inout JSONObject, hello fields: HelloFields, _ heartbeat: Int, _ subscriptions: Int
  ) {
    var schema = JSONObject()
    schema.set("id", Int64(PublishSchema.identifier))
    schema.set("version", Int64(FrameHeader.currentSchemaVersion))
    schema.set("hash", PublishSchema.hash)
    object.set("type", "hello")
    object.set("proto", Int64(PublishSchema.protocolVersion))
    object.set("schema", schema)
    object.set("server", fields.server)
    object.set("instance", fields.instance)
    object.set("channel", Int64(fields.channel))
    object.set("epoch", "\(fields.epoch)")
    object.set("session", fields.session)
    object.set("config_hash", fields.configurationHash)
    object.set("heartbeat_ms", Int64(heartbeat))
    object.set("channels", EventChannels.named.map(\.name))
    object.set("max_subscriptions", Int64(subscriptions))
    object.set("on_slow", SlowPolicy.allCases.map(\.rawValue))
    var limits = JSONObject()
    limits.set("request_bytes", Int64(ControlRequest.maximumBytes))
    limits.set("symbols", Int64(ControlRequest.maximumSymbols))
    limits.set("requests_per_second", Int64(RequestBudget.perSecond))
    limits.set("request_burst", Int64(RequestBudget.burst))
    object.set("limits", limits)
  }

  private static func fill(_ object: inout JSONObject, error: ControlError, _ subscription: UInt32?) {
    object.set("type", "error")
    if let id = error.id { object.set("id", id) }
    if let subscription { object.set("sub", Int64(subscription)) }
    object.set("code", error.code.rawValue)
    object.set("msg", error.message)
    if let field = error.field { object.set("field", field) }
    if let nearest = error.nearest { object.set("nearest", nearest) }
    switch error.bound {
    case .oldest(let epoch, let sequence): object.set("oldest", cursor(epoch, sequence))
    case .newest(let epoch, let sequence): object.set("newest", cursor(epoch, sequence))
    case nil: break
    }
    object.set("help", error.help)
  }

  private static func cursor(_ epoch: UInt32, _ sequence: UInt64) -> JSONObject {
    var object = JSONObject()
    object.set("epoch", "\(epoch)")
    object.set("seq", Int64(clamping: sequence))
    return object
  }
}

/// A JSON object being written; it owns the document.
private struct JSONObject: ~Copyable {
  private let json = json_object()

  deinit { json_decref(json) }

  mutating func set(_ name: String, _ value: Int64) { put(name, json_integer(json_int_t(value))) }
  mutating func set(_ name: String, _ value: String) { put(name, json_string(value)) }
  mutating func set(_ name: String, _ value: borrowing JSONObject) { put(name, json_incref(value.json)) }
  mutating func set(_ name: String, _ values: [String]) {
    let array = json_array()
    for value in values { json_array_append_new(array, json_string(value)) }
    put(name, array)
  }

  private func put(_ name: String, _ value: UnsafeMutablePointer<json_t>?) {
    _ = json_object_set_new(json, name, value)
  }

  var text: String {
    guard let text = json_dumps(json, Int(JSON_COMPACT)) else { return "{}" }
    defer { free(text) }
    return String(cString: text)
  }
}
