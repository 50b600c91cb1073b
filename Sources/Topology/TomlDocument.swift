import CTomlParser

/// One value of a document.
struct TomlNode {
  enum Kind: UInt32 {
    case table = 1
    case array
    case string
    case integer
    case float
    case boolean
    case time

    /// With its article, for messages.
    var name: String {
      switch self {
      case .table: "a table"
      case .array: "a list"
      case .string: "a string"
      case .integer: "an integer"
      case .float: "a decimal number"
      case .boolean: "true or false"
      case .time: "a date or time"
      }
    }
  }

  var kind: Kind
  /// Empty for the root and for elements of a list.
  var key = ""
  var keySpan = SourceSpan.start
  /// The value; of a table its header.
  var span = SourceSpan.start
  /// Of a string.
  var text = ""
  /// Of an integer; 0 or 1 of a boolean.
  var integer: Int64 = 0
  /// Indices of the nodes in this table or list.
  var children: [Int] = []
  /// What is wrong with this value was already reported.
  var isReported = false
  /// An override as it was written: a string needs no quotes there.
  var overrideText: String?
}

/// A parsed text: node 0 is the root table.
struct TomlDocument {
  var nodes: [TomlNode]
  /// Whether the text was read as a whole. If not, what seems to be missing may be in the rest.
  var isComplete = true

  /// The child of `table` with this key.
  func child(_ key: String, of table: Int) -> Int? {
    nodes[table].children.first { nodes[$0].key == key }
  }

  /// The tables in a list; empty if it is another thing.
  func tables(in list: Int) -> [Int] {
    nodes[list].children.filter { nodes[$0].kind == .table }
  }
}

/// Why a text is not TOML.
struct TomlSyntaxError: Error {
  /// What the parser says.
  let message: String
  let line: Int
  let column: Int
}

extension TomlDocument {
  /// Parses bytes of UTF-8.
  static func parse(_ bytes: [UInt8]) -> Result<TomlDocument, TomlSyntaxError> {
    let parsed = bytes.withUnsafeBytes { buffer in
      // An empty array may have no address.
      bulkhead_toml_parse(buffer.baseAddress?.assumingMemoryBound(to: CChar.self), buffer.count)
    }
    guard let parsed else {
      return .failure(TomlSyntaxError(message: "out of memory", line: 1, column: 1))
    }
    defer { bulkhead_toml_free(parsed) }
    if let error = bulkhead_toml_error(parsed) {
      let region = bulkhead_toml_error_region(parsed)
      return .failure(
        TomlSyntaxError(
          message: String(cString: error), line: max(1, Int(region.line)), column: max(1, Int(region.column)))
      )
    }
    let flat = UnsafeBufferPointer(
      start: bulkhead_toml_nodes(parsed), count: bulkhead_toml_node_count(parsed))
    var nodes: [TomlNode] = []
    nodes.reserveCapacity(flat.count)
    for (index, node) in flat.enumerated() {
      nodes.append(
        TomlNode(
          kind: TomlNode.Kind(rawValue: node.kind) ?? .time, key: string(node.key, node.key_length),
          keySpan: span(node.key_region), span: span(node.value_region),
          text: string(node.text, node.text_length), integer: node.integer))
      let parent = Int(node.parent)
      if nodes.indices.contains(parent), parent < index { nodes[parent].children.append(index) }
    }
    if nodes.isEmpty { nodes.append(TomlNode(kind: .table)) }
    nodes[0].span = .start
    return .success(TomlDocument(nodes: nodes))
  }

  private static func string(_ start: UnsafePointer<CChar>?, _ count: Int) -> String {
    guard let start else { return "" }
    return String(decoding: UnsafeRawBufferPointer(start: start, count: count), as: UTF8.self)
  }

  private static func span(_ region: bulkhead_toml_region) -> SourceSpan {
    SourceSpan(
      line: max(1, Int(region.line)), column: max(1, Int(region.column)),
      endLine: Int(region.end_line), endColumn: Int(region.end_column))
  }
}
