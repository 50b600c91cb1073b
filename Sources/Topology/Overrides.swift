// Settings from the command line. Each is put into the parsed document where a line of the file would
// have put it, with a place of its own, so that it is checked like everything else.

/// Puts overrides into a document.
struct Overrides {
  private var document: TomlDocument
  private let log: DiagnosticLog

  /// Tables of which there are several; a path names one by its `name`.
  private static let namedTables = ["ring", "stage", "line", "action"]

  /// How an override is quoted in diagnostics: on one line.
  static func sourceLine(_ override: (keyPath: String, value: String)) -> String {
    "\(override.keyPath)=\(override.value)"
  }

  /// `document` with all `overrides`, the last of a key winning.
  static func apply(
    _ overrides: [(keyPath: String, value: String)], to document: TomlDocument, log: DiagnosticLog
  ) -> TomlDocument {
    var work = Overrides(document: document, log: log)
    for (index, override) in overrides.enumerated() {
      work.apply(override, number: index + 1)
    }
    return work.document
  }

  private mutating func apply(_ override: (keyPath: String, value: String), number: Int) {
    let path = override.keyPath.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    let pathWidth = override.keyPath.unicodeScalars.count
    let whole = SourceSpan(
      origin: .override, line: number, column: 1, endLine: number, endColumn: pathWidth + 1)
    guard path.count <= 8, path.allSatisfy({ !$0.isEmpty }), !override.value.utf8.contains(10) else {
      log.report(
        .badOverride, at: whole, "\(quoted(override.keyPath)) is not the path of a key",
        label: "for instance host.instance=demo or ring.merged.cells=65536")
      return
    }
    // The table that the last part of the path is a key of.
    var table = 0
    var column = 1
    var index = 0
    while index < path.count - 1 {
      let span = SourceSpan(
        origin: .override, line: number, column: column, endLine: number,
        endColumn: column + path[index].unicodeScalars.count)
      column = span.endColumn + 1
      index += 1
      switch step(path[index - 1], from: table, span) {
      case .table(let next): table = next
      case .failed: return
      case .list(let list):
        // The last part must be left over as the key.
        guard index < path.count - 1 else {
          let what = path[index - 1]
          log.report(
            .badOverride, at: whole, "\(quoted(override.keyPath)) names no key",
            label: "the form is \(what).NAME.KEY")
          return
        }
        let nameSpan = SourceSpan(
          origin: .override, line: number, column: column, endLine: number,
          endColumn: column + path[index].unicodeScalars.count)
        guard let next = element(path[index], of: list, called: path[index - 1], nameSpan) else { return }
        column = nameSpan.endColumn + 1
        index += 1
        table = next
      }
    }
    let keySpan = SourceSpan(
      origin: .override, line: number, column: column, endLine: number, endColumn: pathWidth + 1)
    set(path[path.count - 1], of: table, to: override.value, keySpan)
  }

  private enum Step {
    case table(Int)
    /// Several tables; the path goes on with a name.
    case list(Int)
    case failed
  }

  /// Goes from a table to the one below that `part` names, made if the file leaves it out.
  private mutating func step(_ part: String, from table: Int, _ span: SourceSpan) -> Step {
    let isNamed = Self.namedTables.contains(part)
    guard let index = document.child(part, of: table) else {
      if isNamed || part == "channel" {
        let label = part == "line" ? "the form is channel.line.NAME.KEY" : "the file has no [[\(part)]]"
        log.report(.badOverride, at: span, "there is no `\(part)` here to set a key of", label: label)
        return .failed
      }
      return .table(append(TomlNode(kind: .table, key: part, keySpan: span, span: span), to: table))
    }
    switch document.nodes[index].kind {
    case .table: return .table(index)
    case .array where isNamed: return .list(index)
    case .array:
      // The one channel.
      if let first = document.tables(in: index).first { return .table(first) }
      fallthrough
    default:
      if !document.nodes[index].isReported {
        log.report(.badOverride, at: span, "`\(shown(part))` is not a table: it has no keys to set")
      }
      return .failed
    }
  }

  /// The table named `name` among several.
  private func element(_ name: String, of list: Int, called what: String, _ span: SourceSpan) -> Int? {
    var names: [String] = []
    for table in document.tables(in: list) {
      guard let child = document.child("name", of: table) else { continue }
      if document.nodes[child].text == name { return table }
      names.append(document.nodes[child].text)
    }
    log.report(
      .badOverride, at: span, "there is no \(what) named \(quoted(name))",
      label: suggestionLabel(for: name, amongValues: names))
    return nil
  }

  private mutating func set(_ key: String, of table: Int, to value: String, _ keySpan: SourceSpan) {
    let valueColumn = keySpan.endColumn + 1
    var node = TomlNode(kind: .string, key: key, keySpan: keySpan, text: value)
    node.span = SourceSpan(
      origin: .override, line: keySpan.line, column: valueColumn, endLine: keySpan.line,
      endColumn: valueColumn + value.unicodeScalars.count)
    node.overrideText = value
    // Read it as TOML, `v=` placed so that columns agree with the override's; what is no TOML is a text.
    let padding = String(repeating: " ", count: max(0, valueColumn - 3))
    if case .success(let parsed) = TomlDocument.parse(Array("\(padding)v=\(value)".utf8)),
      let root = parsed.child("v", of: 0), parsed.nodes[0].children.count == 1
    {
      node = copy(root, of: parsed, line: keySpan.line)
      node.key = key
      node.keySpan = keySpan
      node.overrideText = node.kind == .string ? nil : value
    }
    let kept = document.nodes[table].children.filter { document.nodes[$0].key != key }
    document.nodes[table].children = kept
    append(node, to: table)
  }

  /// A node of another document with everything below it.
  private mutating func copy(_ index: Int, of other: TomlDocument, line: Int) -> TomlNode {
    var node = other.nodes[index]
    for span in [\TomlNode.span, \TomlNode.keySpan] {
      node[keyPath: span].origin = .override
      node[keyPath: span].line = line
      node[keyPath: span].endLine = line
    }
    let children = node.children
    node.children = []
    for child in children {
      let copied = copy(child, of: other, line: line)
      document.nodes.append(copied)
      node.children.append(document.nodes.count - 1)
    }
    return node
  }

  @discardableResult
  private mutating func append(_ node: TomlNode, to table: Int) -> Int {
    document.nodes.append(node)
    document.nodes[table].children.append(document.nodes.count - 1)
    return document.nodes.count - 1
  }
}
