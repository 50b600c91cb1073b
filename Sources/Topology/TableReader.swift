/// One setting as it was read: its value, and the place to point at when it is wrong.
struct Setting<Value> {
  /// The value; a harmless one if the setting is not valid.
  var value: Value
  /// The value's place, or the header of its table if the file leaves it out.
  var span: SourceSpan
  /// Whether further checks may use the value. If not, that was reported.
  var isValid = true
  /// Whether the file has it.
  var isGiven = true
}

/// Reads one table key by key, reports what is wrong with each value, and in the end the keys that
/// nobody asked for.
final class TableReader {
  let document: TomlDocument
  let log: DiagnosticLog
  /// The table's node; `nil` if the file leaves the table out.
  let table: Int?
  /// How messages call it, for instance `[[ring]] "rx_a"`; empty for the top level.
  let title: String
  /// The place of its header.
  let header: SourceSpan
  private var known: [String] = []
  /// Required keys and tables that are not there, and what to add.
  private var missing: [(key: String, message: String, label: String)] = []
  /// After ``finish()``: keys that unknown ones probably stand for.
  private(set) var misspelt: Set<String> = []

  /// The title and a colon, to begin a message with; nothing for the top level.
  private var prefix: String { title.isEmpty ? "" : title + ": " }

  private var place: String { title.isEmpty ? "at the top level" : "in \(title)" }

  init(_ document: TomlDocument, _ log: DiagnosticLog, table: Int?, title: String, header: SourceSpan? = nil)
  {
    self.document = document
    self.log = log
    self.table = table
    self.title = title
    self.header = header ?? table.map { document.nodes[$0].span } ?? .start
  }

  // MARK: Values

  /// A whole number in `range`. Required if there is no default.
  func integer(
    _ key: String, in range: ClosedRange<Int>, default value: Int? = nil, example: Int = 1
  ) -> Setting<Int> {
    setting(key, default: value, fallback: range.lowerBound, example: "\(example)") { node in
      guard let number = wholeNumber(node, key) else { return nil }
      return inRange(number, key, node, range)
    }
  }

  /// A power of two in `range`.
  func powerOfTwo(_ key: String, in range: ClosedRange<Int>, default value: Int) -> Setting<Int> {
    setting(key, default: value, fallback: value, example: "") { node in
      guard let given = wholeNumber(node, key), let number = inRange(given, key, node, range) else {
        return nil
      }
      if number.nonzeroBitCount == 1 { return number }
      let below = 1 << (Int.bitWidth - 1 - number.leadingZeroBitCount)
      let valid = [below, below << 1].filter(range.contains).map(String.init)
      log.report(
        .notPowerOfTwo, at: node.span, "\(prefix)\(key) = \(number) is not a power of two",
        label: "nearest valid: \(valid.joined(separator: ", "))")
      return nil
    }
  }

  /// `true` or `false`.
  func boolean(_ key: String, default value: Bool) -> Setting<Bool> {
    setting(key, default: value, fallback: value, example: "") { node in
      if node.kind == .boolean { return node.integer != 0 }
      let word = node.text.lowercased()
      let label = word == "true" || word == "false" ? "write it without quotes: \(word)" : ""
      wrongType(key, "true or false", node, label: label)
      return nil
    }
  }

  /// Any text that `isLegal` accepts; `rule` says which those are.
  func string(
    _ key: String, default value: String? = nil, example: String, rule: String,
    isLegal: (String) -> Bool
  ) -> Setting<String> {
    setting(key, default: value, fallback: value ?? "", example: "\"\(example)\"") { node in
      guard let text = text(node, key, example: example) else { return nil }
      if isLegal(text) { return text }
      log.report(.badName, at: node.span, "\(prefix)\(key) = \(quoted(text)) is not allowed", label: rule)
      return nil
    }
  }

  /// Any text; what it may be is checked elsewhere.
  func anyString(_ key: String, example: String, otherwise label: String = "") -> Setting<String> {
    setting(key, default: nil, fallback: "", example: "\"\(example)\"") { node in
      text(node, key, example: example, otherwise: label)
    }
  }

  /// One of the words of an enumeration.
  func word<Word>(_ key: String, default value: Word) -> Setting<Word>
  where Word: RawRepresentable & CaseIterable, Word.RawValue == String {
    let words = Word.allCases.map(\.rawValue)
    return setting(key, default: value, fallback: value, example: "") { node in
      guard let text = text(node, key, example: value.rawValue) else { return nil }
      if let word = Word(rawValue: text) { return word }
      log.report(
        .badWord, at: node.span, "\(prefix)\(key) = \(quoted(text)) is not a known value",
        label: suggestionLabel(for: text, amongValues: words))
      return nil
    }
  }

  /// A list of strings that may be empty.
  func names(
    _ key: String, default value: [String], example other: String = "mark_stale"
  ) -> Setting<[Setting<String>]> {
    let fallback = value.map { Setting(value: $0, span: header, isGiven: false) }
    return setting(key, default: fallback, fallback: fallback, example: "") { node in
      let example = quoted(value.first ?? other)
      guard node.kind == .array else {
        wrongType(key, "a list of strings", node, label: "for instance \(key) = [\(example)]")
        return nil
      }
      return node.children.compactMap { index in
        let child = document.nodes[index]
        return text(child, key, example: value.first ?? other).map {
          Setting(value: $0, span: child.span)
        }
      }
    }
  }

  /// A list that the table does not have.
  func none<Value>() -> Setting<[Value]> { Setting(value: [], span: header, isGiven: false) }

  /// A duration, more than zero and at most 24 hours, in nanoseconds.
  func duration(_ key: String, default value: UInt64) -> Setting<UInt64> {
    let family = UnitFamily.durations
    return setting(key, default: value, fallback: value, example: "") { node in
      let example = node.kind == .integer ? nil : family.format(value)
      guard let text = text(node, key, example: example ?? family.format(value)) else { return nil }
      switch family.parse(text) {
      case .value(let nanoseconds):
        let longest: UInt64 = 24 * 3_600_000_000_000
        if nanoseconds <= longest { return nanoseconds }
        outOfRange(key, quoted(text), node, "at most \"24h\"", nearest: "\"24h\"")
      case .notPositive:
        log.report(
          .durationNotPositive, at: node.span, "\(prefix)\(key) = \(quoted(text)) is not more than zero",
          label: "default: \"\(family.format(value))\"")
      case .malformed(let suggestion):
        let label = suggestion.map { "did you mean \"\($0)\"?" }
        log.report(
          .badDuration, at: node.span, "\(prefix)\(key) = \(quoted(text)) is not a duration",
          label: label
            ?? "a whole number and a unit (ns, us, ms, s, m, h), for instance \"\(family.format(value))\"")
      }
      return nil
    }
  }

  /// A size in `range` bytes.
  func size(_ key: String, in range: ClosedRange<UInt64>, default value: UInt64) -> Setting<Int> {
    let family = UnitFamily.sizes
    return setting(key, default: Int(value), fallback: Int(value), example: "") { node in
      guard let text = text(node, key, example: family.format(value)) else { return nil }
      let bytes: UInt64
      switch family.parse(text) {
      case .value(let size): bytes = size
      case .notPositive: bytes = 0
      case .malformed(let suggestion):
        let label = suggestion.map { "did you mean \"\($0)\"?" }
        log.report(
          .badSize, at: node.span, "\(prefix)\(key) = \(quoted(text)) is not a size",
          label: label
            ?? "a whole number and a unit (B, KiB, MiB, GiB, TiB), for instance \"\(family.format(value))\"")
        return nil
      }
      if range.contains(bytes) { return Int(bytes) }
      let nearest = bytes < range.lowerBound ? range.lowerBound : range.upperBound
      let bounds = "\"\(family.format(range.lowerBound))\"...\"\(family.format(range.upperBound))\""
      outOfRange(key, quoted(text), node, bounds, nearest: "\"\(family.format(nearest))\"")
      return nil
    }
  }

  /// An IPv4 address; `code` is that of a text that is none.
  func address(
    _ key: String, default value: IPv4Address? = nil, isRequired: Bool = true, example: String,
    otherwise code: DiagnosticCode = .badAddress
  ) -> Setting<IPv4Address> {
    let zero = IPv4Address(value: 0)
    return setting(
      key, default: isRequired ? value : value ?? zero, fallback: zero, example: "\"\(example)\""
    ) {
      node in
      guard let text = text(node, key, example: example) else { return nil }
      if let address = IPv4Address(text) { return address }
      log.report(
        code, at: node.span, "\(prefix)\(key) = \(quoted(text)) is not an IPv4 address",
        label: addressLabel(text, code, example))
      return nil
    }
  }

  /// A list; `element` reads one of its values. Not valid if one of them is not, but holds the others.
  func list<Value>(
    _ key: String, of what: String, example: String, element: (TomlNode) -> Value?
  ) -> Setting<[Setting<Value>]> {
    var count = 0
    var setting = setting(key, default: nil, fallback: [], example: example) { node -> [Setting<Value>]? in
      guard node.kind == .array else {
        wrongType(key, "a list of \(what)", node, label: "for instance \(key) = \(example)")
        return nil
      }
      if node.children.isEmpty {
        log.report(
          .badList, at: node.span, "\(prefix)\(key) is empty", label: "for instance \(key) = \(example)")
        return nil
      }
      count = node.children.count
      return node.children.compactMap { index in
        let child = document.nodes[index]
        return element(child).map { Setting(value: $0, span: child.span) }
      }
    }
    if setting.value.count != count { setting.isValid = false }
    return setting
  }

  // MARK: Tables

  /// A table within this one; absent tables read as their defaults.
  func subtable(_ key: String, title: String, isRequired: Bool = false) -> TableReader {
    known.append(key)
    guard let index = find(key) else {
      if isRequired, table != nil {
        missing.append((key, "required table \(title) is missing", "add \(title)"))
      }
      return TableReader(document, log, table: nil, title: title, header: header)
    }
    let node = document.nodes[index]
    if node.kind != .table {
      if !node.isReported { wrongType(key, "a table", node, label: "write \(title)") }
      return TableReader(document, log, table: nil, title: title, header: node.span)
    }
    return TableReader(document, log, table: index, title: title)
  }

  /// The tables of a list of tables, each with its `name` in its title.
  func subtables(_ key: String, title: String) -> [TableReader] {
    known.append(key)
    guard let index = find(key) else { return [] }
    let node = document.nodes[index]
    var tables = document.tables(in: index)
    if node.kind == .table {
      log.report(
        .wrongType, at: node.span, "`\(key)` must be a list of tables, found one table",
        label: "write \(title)")
      tables = [index]
    } else if tables.count != node.children.count || node.kind != .array {
      if !node.isReported { wrongType(key, "a list of tables", node, label: "write \(title)") }
    }
    return tables.map { table in
      let name = document.child("name", of: table).map { document.nodes[$0] }
      let suffix = name?.kind == .string ? " " + quoted(name?.text ?? "") : ""
      return TableReader(document, log, table: table, title: title + suffix)
    }
  }

  /// Whether the file has this key.
  func has(_ key: String) -> Bool { find(key) != nil }

  /// Reports the keys that nobody asked for, and the required ones that are not there.
  func finish() {
    guard let table else { return }
    for index in document.nodes[table].children {
      let node = document.nodes[index]
      if known.contains(node.key) { continue }
      var label = suggestionLabel(for: node.key, amongKeys: known)
      let meant = nearest(to: node.key, among: known)
      if let meant, !has(meant) {
        misspelt.insert(meant)
      } else if let home = KeyHomes.table(of: node.key) {
        label = "`\(node.key)` is a key of \(home)"
      }
      log.report(.unknownKey, at: node.keySpan, "unknown key `\(shown(node.key))` \(place)", label: label)
    }
    // A misspelt key is one mistake, not two.
    for absent in missing where document.isComplete && !misspelt.contains(absent.key) {
      log.report(.missingKey, at: header, absent.message, label: absent.label)
    }
  }

  /// Whether tables of this name are absent for no other reason that was reported.
  func lacks(_ key: String) -> Bool { document.isComplete && !has(key) && !misspelt.contains(key) }

  // MARK: Parts

  private func find(_ key: String) -> Int? {
    table.flatMap { document.child(key, of: $0) }
  }

  private func setting<Value>(
    _ key: String, default value: Value?, fallback: Value, example: String, read: (TomlNode) -> Value?
  ) -> Setting<Value> {
    known.append(key)
    guard let index = find(key) else {
      if let value { return Setting(value: value, span: header, isGiven: false) }
      // A table that is absent as a whole was reported as such.
      if table != nil {
        missing.append((key, "required key `\(key)` is missing \(place)", "add \(key) = \(example)"))
      }
      return Setting(value: fallback, span: header, isValid: false, isGiven: false)
    }
    let node = document.nodes[index]
    guard !node.isReported, let value = read(node) else {
      return Setting(value: fallback, span: node.span, isValid: false)
    }
    return Setting(value: value, span: node.span)
  }

  private func wholeNumber(_ node: TomlNode, _ key: String) -> Int? {
    if node.kind == .integer { return Int(node.integer) }
    let label = node.kind == .string && Int(node.text) != nil ? "write it without quotes: \(node.text)" : ""
    wrongType(key, "an integer", node, label: label)
    return nil
  }

  private func inRange(_ number: Int, _ key: String, _ node: TomlNode, _ range: ClosedRange<Int>) -> Int? {
    if range.contains(number) { return number }
    let nearest = number < range.lowerBound ? range.lowerBound : range.upperBound
    outOfRange(key, "\(number)", node, "\(range.lowerBound)...\(range.upperBound)", nearest: "\(nearest)")
    return nil
  }

  private func outOfRange(_ key: String, _ given: String, _ node: TomlNode, _ range: String, nearest: String)
  {
    log.report(
      .outOfRange, at: node.span, "\(prefix)\(key) = \(given) is out of range (\(range))",
      label: "nearest valid: \(nearest)")
  }

  /// The text of a string; of an override also that of another value, which needs no quotes there.
  func text(_ node: TomlNode, _ key: String, example: String, otherwise: String = "") -> String? {
    if node.kind == .string { return node.text }
    if let written = node.overrideText { return written }
    let label = node.kind == .integer ? "write it in quotes, for instance \"\(example)\"" : otherwise
    wrongType(key, "a string", node, label: label)
    return nil
  }

  func wrongType(_ key: String, _ expected: String, _ node: TomlNode, label: String) {
    log.report(
      .wrongType, at: node.span, "\(prefix)`\(key)` must be \(expected), found \(node.kind.name)",
      label: label)
  }

  private func addressLabel(_ text: String, _ code: DiagnosticCode, _ example: String) -> String {
    if code == .interfaceNotAddress, text.contains(where: \.isLetter) {
      return "give the interface's address, not its name, for instance \"\(example)\""
    }
    if text.contains(":") { return "IPv6 is not supported; for instance \"\(example)\"" }
    return "four numbers 0...255, for instance \"\(example)\""
  }
}
