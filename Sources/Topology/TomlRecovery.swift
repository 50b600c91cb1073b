// The parser stops at its first error. An error that is confined to one line does not hide the rest of
// the file: the line is reported, taken out, and the text is parsed again.

/// A text's document as far as it can be had.
struct TomlRecovery {
  private var lines: [[UInt8]]
  private let log: DiagnosticLog
  /// Lines whose value was replaced because it is no TOML.
  private var replaced: Set<Int> = []
  /// Lines that were taken out.
  private var removed: Set<Int> = []
  /// Whether the keys of all lines are known.
  private var isComplete = true

  /// The document of `text`; `nil` if what is wrong with it leaves its structure unclear. Everything
  /// that was wrong is in `log`.
  static func parse(_ text: String, log: DiagnosticLog) -> TomlDocument? {
    let bytes = Array(text.utf8)
    switch TomlDocument.parse(bytes) {
    case .success(let document):
      return document
    case .failure(let error):
      var recovery = TomlRecovery(bytes, log: log)
      return recovery.recover(from: error)
    }
  }

  private init(_ bytes: [UInt8], log: DiagnosticLog) {
    lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map { Array($0) }
    self.log = log
  }

  private mutating func recover(from first: TomlSyntaxError) -> TomlDocument? {
    var error = first
    // Each round takes out a line. More rounds than anyone would read the errors of.
    for _ in 0..<50 {
      guard handle(error) else { return nil }
      switch TomlDocument.parse(Array(lines.joined(separator: [UInt8(ascii: "\n")]))) {
      case .success(var document):
        for index in document.nodes.indices where replaced.contains(document.nodes[index].keySpan.line) {
          document.nodes[index].isReported = true
        }
        document.isComplete = isComplete
        return document
      case .failure(let next):
        error = next
      }
    }
    return nil
  }

  /// Reports the error and takes its line out; false if that would leave the rest unclear.
  private mutating func handle(_ error: TomlSyntaxError) -> Bool {
    let number = error.line
    guard lines.indices.contains(number - 1), !removed.contains(number) else {
      report(error)
      return false
    }
    let key = keyOfAssignment(number)
    if error.isRedefinition, let key {
      if !replaced.contains(number) { reportDuplicate(key.name, key.span) }
      // The rest of a value of several lines would be read as something else.
      if standsAlone(number) { return false }
      lines[number - 1] = []
      removed.insert(number)
      return true
    }
    // A replaced value cannot be wrong, so that the error is elsewhere and merely shows here.
    if replaced.contains(number) { return false }
    if let opening = openingOfList(error), opening < number {
      let isNext = lines[opening..<(number - 1)].allSatisfy { normalized($0).isEmpty }
      reportOpenList(opening, error)
      return isNext && replaceValue(opening)
    }
    report(error)
    guard standsAlone(number) else { return false }
    if replaceValue(number) { return true }
    guard error.context == " in key-value pair" else { return false }
    lines[number - 1] = []
    removed.insert(number)
    isComplete = false
    return true
  }

  /// Puts a harmless value into a line that starts with a key.
  private mutating func replaceValue(_ number: Int) -> Bool {
    guard let key = keyOfAssignment(number) else { return false }
    lines[number - 1] = Array("\(key.name)=0".utf8)
    replaced.insert(number)
    return true
  }

  /// The line in which the list starts that the error is in.
  private func openingOfList(_ error: TomlSyntaxError) -> Int? {
    guard error.context == " in array" else { return nil }
    return (1...error.line).last { keyOfAssignment($0) != nil && lines[$0 - 1].contains(UInt8(ascii: "[")) }
  }

  /// The bare key in front of the `=` of a line that starts with one.
  private func keyOfAssignment(_ number: Int) -> (name: String, span: SourceSpan)? {
    let line = lines[number - 1]
    let start = line.prefix { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }.count
    let name = line[start...].prefix(while: isBareKeyCharacter)
    let rest = line[(start + name.count)...].drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
    guard !name.isEmpty, rest.first == UInt8(ascii: "=") else { return nil }
    let column = start + 1
    let span = SourceSpan(line: number, column: column, endLine: number, endColumn: column + name.count)
    return (String(decoding: name, as: UTF8.self), span)
  }

  /// Whether the line is wrong by itself, and not only where it stands (say, after an open list).
  private func standsAlone(_ number: Int) -> Bool {
    if case .failure = TomlDocument.parse(lines[number - 1]) { return true }
    return false
  }

  private func report(_ error: TomlSyntaxError) {
    let line = lines.indices.contains(error.line - 1) ? lines[error.line - 1] : []
    let scalars = Array(String(decoding: line, as: UTF8.self).unicodeScalars)
    var start = min(error.column - 1, scalars.count)
    var end = start + 1
    // Underline the whole word, not the character at which the parser gave up.
    if start < scalars.count, isWordScalar(scalars[start]) {
      while start > 0, isWordScalar(scalars[start - 1]) { start -= 1 }
      while end < scalars.count, isWordScalar(scalars[end]) { end += 1 }
    }
    let span = SourceSpan(
      line: error.line, column: start + 1, endLine: error.line, endColumn: end + 1)
    if error.isRedefinition {
      log.report(
        .duplicateKey, at: headerSpan(error, scalars), error.reason, label: firstDefinition(error.line))
    } else {
      let word = String(
        String.UnicodeScalarView(scalars[min(start, scalars.count)..<min(end, scalars.count)]))
      let reason = isOpenString(error) ? "the string is not closed" : error.reason
      log.report(.syntax, at: span, "invalid TOML\(error.context): \(reason)", label: hint(error, word))
    }
  }

  private func isOpenString(_ error: TomlSyntaxError) -> Bool {
    error.context == " in string" && error.reason.hasPrefix("unescaped control characters")
  }

  private func reportOpenList(_ opening: Int, _ error: TomlSyntaxError) {
    let scalars = Array(String(decoding: lines[opening - 1], as: UTF8.self).unicodeScalars)
    let start = scalars.firstIndex(of: "[") ?? 0
    let end = scalars.prefix { $0 != "#" }.reversed().drop { $0.value <= 0x20 }.count
    let span = SourceSpan(line: opening, column: start + 1, endLine: opening, endColumn: max(start, end) + 1)
    log.report(
      .syntax, at: span, "invalid TOML in array: the list goes wrong in line \(error.line): \(error.reason)",
      label: "a closing `]` or a comma is missing")
  }

  private func headerSpan(_ error: TomlSyntaxError, _ scalars: [Unicode.Scalar]) -> SourceSpan {
    let header = scalars.prefix { $0 != "#" && $0 != "\r" }.reversed().drop { $0 == " " || $0 == "\t" }.count
    return SourceSpan(
      line: error.line, column: error.column, endLine: error.line,
      endColumn: max(error.column + 1, header + 1))
  }

  /// Names the line that already has this header.
  private func firstDefinition(_ number: Int) -> String {
    let header = normalized(lines[number - 1])
    guard !header.isEmpty,
      let first = lines.prefix(number - 1).firstIndex(where: { normalized($0) == header })
    else { return "" }
    return "first defined in line \(first + 1)"
  }

  private func normalized(_ line: [UInt8]) -> [UInt8] {
    line.prefix { $0 != UInt8(ascii: "#") }.filter { $0 > UInt8(ascii: " ") }
  }

  private func hint(_ error: TomlSyntaxError, _ word: String) -> String {
    if isOpenString(error) { return "a closing quote is missing" }
    if error.context == " in array" { return "a closing `]` or a comma is missing" }
    if error.reason.hasPrefix("expected ']'") { return "a closing `]` is missing" }
    let isValue = error.context.hasSuffix("value") || error.context.hasSuffix("integer")
    if isValue, Int64(word) == nil, !word.isEmpty, word.unicodeScalars.allSatisfy(isWordScalar) {
      return "a text needs quotes: \"\(word)\""
    }
    return ""
  }

  private func reportDuplicate(_ key: String, _ span: SourceSpan) {
    // The table is still open: the nearest key of this name above is in it.
    let first = (1..<span.line).last { keyOfAssignment($0)?.name == key }
    log.report(
      .duplicateKey, at: span, "`\(key)` is set twice", label: first.map { "first set in line \($0)" } ?? "")
  }
}

extension TomlSyntaxError {
  /// A key or table that the text has already.
  fileprivate var isRedefinition: Bool { reason.hasPrefix("cannot redefine existing") }

  private static let prefix = "Error while parsing "

  /// " in " and the element that was being read; empty if the parser does not say.
  fileprivate var context: String {
    guard message.hasPrefix(Self.prefix), let colon = message.firstIndex(of: ":") else { return "" }
    return " in " + shown(String(message[..<colon].dropFirst(Self.prefix.count)))
  }

  /// The message without the element that was being read.
  fileprivate var reason: String {
    guard message.hasPrefix(Self.prefix), let colon = message.firstIndex(of: ":") else {
      return shown(message, limit: 256)
    }
    return shown(String(message[colon...].dropFirst(2)), limit: 256)
  }
}

private func isBareKeyCharacter(_ byte: UInt8) -> Bool {
  switch byte {
  case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
    true
  default: false
  }
}

private func isWordScalar(_ scalar: Unicode.Scalar) -> Bool {
  scalar.isASCII
    && (isBareKeyCharacter(UInt8(scalar.value)) || scalar == "." || scalar == "+" || scalar == ":")
}
