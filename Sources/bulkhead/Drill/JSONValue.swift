import CJansson

/// A JSON document of our own making, read back.
struct JSONValue {
  private let root: OpaqueNode

  /// Keeps the document alive.
  private final class OpaqueNode {
    let node: UnsafeMutablePointer<json_t>
    let owner: OpaqueNode?
    init(_ node: UnsafeMutablePointer<json_t>, owner: OpaqueNode?) {
      self.node = node
      self.owner = owner
    }
    deinit { if owner == nil { json_decref(node) } }
  }

  /// Nil for a text that is not JSON.
  init?(_ text: String) {
    var copy = text
    guard let node = copy.withUTF8({ json_loadb($0.baseAddress, $0.count, 0, nil) }) else { return nil }
    root = OpaqueNode(node, owner: nil)
  }

  private init(_ root: OpaqueNode) { self.root = root }

  subscript(key: String) -> JSONValue? {
    json_object_get(root.node, key).map { JSONValue(OpaqueNode($0, owner: root)) }
  }

  var string: String? { json_string_value(root.node).map { String(cString: $0) } }

  /// Whole numbers; negative ones are none.
  var unsigned: UInt64? { UInt64(exactly: json_integer_value(root.node)) }

  /// Seconds with a point, in nanoseconds; nil of what is no number.
  var nanoseconds: UInt64? {
    let value = json_number_value(root.node)
    return value > 0 && value < 1e9 ? UInt64(value * 1e9) : nil
  }

  var elements: [JSONValue] {
    (0..<json_array_size(root.node)).compactMap { index in
      json_array_get(root.node, index).map { JSONValue(OpaqueNode($0, owner: root)) }
    }
  }

  /// The members of an object, in no particular order.
  var members: [(key: String, value: JSONValue)] {
    var result: [(String, JSONValue)] = []
    var walk = json_object_iter(root.node)
    while let here = walk {
      if let key = json_object_iter_key(here), let value = json_object_iter_value(here) {
        result.append((String(cString: key), JSONValue(OpaqueNode(value, owner: root))))
      }
      walk = json_object_iter_next(root.node, here)
    }
    return result
  }
}
