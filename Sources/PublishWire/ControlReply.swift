import CJansson

/// A text frame of the publisher, as a client reads it.
public enum ControlReply: Equatable, Sendable {
  /// - epoch: as text.
  /// - heartbeatMilliseconds: 0 when the publisher did not say.
  case hello(server: String, instance: String, epoch: String, heartbeatMilliseconds: Int64)
  case subscribed(subscription: Int64, unresolved: [String])
  case caughtUp(subscription: Int64, orders: Int64, sequence: Int64)
  case error(code: String, message: String)
  case shutdown
  /// A type that this version does not know, or knows and needs nothing of.
  case other(String)

  /// Reads one text frame; nil when it is not an object with a `type`, or nests deeper than any of protocol 1.
  public init?(parsing text: UnsafeRawBufferPointer) {
    guard ControlRequest.depth(of: text) <= ControlRequest.maximumDepth else { return nil }
    let bytes = text.baseAddress?.assumingMemoryBound(to: CChar.self)
    guard let root = json_loadb(bytes, text.count, Int(JSON_REJECT_DUPLICATES), nil) else { return nil }
    defer { json_decref(root) }
    func string(_ name: String) -> String {
      json_string_value(json_object_get(root, name)).map { String(cString: $0) } ?? ""
    }
    func integer(_ name: String) -> Int64 { Int64(json_integer_value(json_object_get(root, name))) }
    switch string("type") {
    case "": return nil
    case "hello":
      self = .hello(
        server: string("server"), instance: string("instance"), epoch: string("epoch"),
        heartbeatMilliseconds: integer("heartbeat_ms"))
    case "subscribed":
      let unresolved = json_object_get(root, "unresolved")
      self = .subscribed(
        subscription: integer("sub"),
        unresolved: (0..<json_array_size(unresolved)).compactMap { index in
          json_string_value(json_array_get(unresolved, index)).map { String(cString: $0) }
        })
    case "caught_up":
      self = .caughtUp(
        subscription: integer("sub"), orders: integer("orders"), sequence: integer("seq"))
    case "error": self = .error(code: string("code"), message: string("msg"))
    case "shutdown": self = .shutdown
    case let type: self = .other(type)
    }
  }
}
