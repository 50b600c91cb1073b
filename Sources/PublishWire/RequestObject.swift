import CJansson

/// A JSON value of a request; borrowed from its document.
struct RequestValue {
  let json: UnsafeMutablePointer<json_t>

  var string: String? {
    guard json.pointee.type == JSON_STRING, let text = json_string_value(json) else { return nil }
    let bytes = UnsafeRawBufferPointer(start: text, count: json_string_length(json))
    return String(decoding: bytes, as: UTF8.self)
  }

  var integer: Int64? { json.pointee.type == JSON_INTEGER ? Int64(json_integer_value(json)) : nil }

  var arrayCount: Int? { json.pointee.type == JSON_ARRAY ? json_array_size(json) : nil }

  func element(_ index: Int) -> RequestValue? { json_array_get(json, index).map(RequestValue.init) }

  /// The value as an object whose errors name its fields with `path` in front of them.
  func object(id: Int64?, in path: String) -> RequestObject? {
    json.pointee.type == JSON_OBJECT ? RequestObject(json, id: id, path: path) : nil
  }
}

/// The JSON object of a request, with the errors that its fields can lead to.
struct RequestObject {
  static let subscribeFields = PublishSchema.names(of: "subscribe", in: PublishSchema.requests)
  static let unsubscribeFields = PublishSchema.names(of: "unsubscribe", in: PublishSchema.requests)
  static let cursorFields = PublishSchema.names(of: "cursor", in: PublishSchema.controlObjects)

  private let json: UnsafeMutablePointer<json_t>
  var id: Int64?
  /// The field that this object is the value of; nil for the request itself.
  private let path: String?

  init(_ json: UnsafeMutablePointer<json_t>, id: Int64? = nil, path: String? = nil) {
    self.json = json
    self.id = id
    self.path = path
  }

  private func full(_ name: String) -> String { path.map { "\($0).\(name)" } ?? name }

  func error(
    _ code: ControlError.Code, _ message: String, field: String? = nil, nearest: String? = nil
  ) -> ControlError {
    ControlError(code, message, id: id, field: field, nearest: nearest)
  }

  func has(_ name: String) -> Bool { json_object_get(json, name) != nil }

  func value(_ name: String) throws(ControlError) -> RequestValue {
    guard let value = json_object_get(json, name) else {
      // The likeliest cause of a missing field is a misspelt one.
      try refuseFields(except: path == nil ? Self.subscribeFields + ["sub"] : Self.cursorFields)
      throw error(.missingField, "\"\(full(name))\" is missing", field: full(name))
    }
    return RequestValue(json: value)
  }

  func string(_ name: String) throws(ControlError) -> String {
    guard let text = try value(name).string else {
      throw error(.wrongType, "\"\(full(name))\" is a string", field: full(name))
    }
    return text
  }

  func integer(_ name: String, range: ClosedRange<Int64>) throws(ControlError) -> Int64 {
    guard let number = try value(name).integer, range.contains(number) else {
      throw error(
        .wrongType, "\"\(full(name))\" is an integer from \(range.lowerBound) to \(range.upperBound)",
        field: full(name))
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
            .unknownField, "unknown field \"\(shortened(full(name)))\"\(hint)", field: shortened(full(name)),
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
