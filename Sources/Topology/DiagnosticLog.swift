/// A place in the file or in an override. Lines and columns count from 1, columns in Unicode scalars; the
/// end is one past the last column.
struct SourceSpan: Equatable {
  /// Which text the place is in; files come first in the order of diagnostics.
  enum Origin: Int {
    case file
    case override
  }

  var origin = Origin.file
  var line: Int
  var column: Int
  var endLine: Int
  var endColumn: Int

  /// The start of the file.
  static let start = SourceSpan(line: 1, column: 1, endLine: 1, endColumn: 2)
}

/// The texts that diagnostics quote.
struct SourceTexts {
  let fileName: String
  let text: String
  /// One line for each override: `keyPath=value`.
  let overrides: [String]

  func name(of origin: SourceSpan.Origin) -> String {
    origin == .file ? fileName : "--set"
  }

  /// The lines of a text without their line breaks.
  func lines(of origin: SourceSpan.Origin) -> [String] {
    if origin == .override { return overrides }
    var bytes = text.utf8[...]
    let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]
    if bytes.starts(with: byteOrderMark) { bytes.removeFirst(3) }
    return bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map { line in
      String(decoding: line.last == UInt8(ascii: "\r") ? line.dropLast() : line, as: UTF8.self)
    }
  }
}

/// Collects what is wrong, in any order, and renders it by line.
final class DiagnosticLog {
  private struct Entry {
    let code: DiagnosticCode
    let span: SourceSpan
    let message: String
    let label: String
    let notes: [String]
  }

  private var entries: [Entry] = []

  /// Whether the configuration must be refused.
  private(set) var hasErrors = false

  /// Adds a finding.
  /// - Parameters:
  ///   - message: what is wrong, in one line.
  ///   - label: stands behind the underline: the nearest thing that would be right.
  ///   - notes: further lines.
  func report(
    _ code: DiagnosticCode, at span: SourceSpan, _ message: String, label: String = "", notes: [String] = []
  ) {
    entries.append(Entry(code: code, span: span, message: message, label: label, notes: notes))
    if code.severity == .error { hasErrors = true }
  }

  /// Everything, sorted by origin, line, column and code.
  func diagnostics(_ sources: SourceTexts) -> [TopologyDiagnostic] {
    let sorted = entries.enumerated().sorted { left, right in
      let (a, b) = (left.element, right.element)
      let leftKey = (a.span.origin.rawValue, a.span.line, a.span.column, a.code.rawValue, left.offset)
      let rightKey = (b.span.origin.rawValue, b.span.line, b.span.column, b.code.rawValue, right.offset)
      return leftKey < rightKey
    }
    if sorted.isEmpty { return [] }
    let lines = [sources.lines(of: .file), sources.lines(of: .override)]
    return sorted.map { entry in
      let span = entry.element.span
      let ofOrigin = lines[span.origin.rawValue]
      let line = ofOrigin.indices.contains(span.line - 1) ? ofOrigin[span.line - 1] : ""
      return Self.render(entry.element, fileName: sources.name(of: span.origin), line: line)
    }
  }

  private static func render(_ entry: Entry, fileName: String, line: String) -> TopologyDiagnostic {
    let span = entry.span
    let severity = entry.code.severity
    let head = "\(severity.rawValue)[\(entry.code.rawValue)]: \(entry.message)"
    var lines = ["\(fileName):\(span.line):\(span.column): \(head)"]
    lines += excerpt(line, span, entry.label)
    lines += entry.notes.map { "      = \($0)" }
    return TopologyDiagnostic(
      code: entry.code.rawValue, severity: severity, fileName: fileName, line: span.line,
      column: span.column, message: entry.message, rendered: lines.joined(separator: "\n"))
  }

  /// The source line and the underline below it.
  private static func excerpt(_ source: String, _ span: SourceSpan, _ label: String) -> [String] {
    var scalars = source.unicodeScalars.map(printable)
    let start = min(span.column - 1, scalars.count)
    var end = span.endLine == span.line ? min(span.endColumn - 1, scalars.count) : scalars.count
    if span.endLine != span.line {
      while end > start, scalars[end - 1] == " " || scalars[end - 1] == "\t" { end -= 1 }
    }
    var offset = 0
    // A line that is far too long for a terminal is cut to a window around the place.
    if scalars.count > 160 {
      offset = max(0, start - 40)
      scalars = Array(scalars[offset..<min(offset + 120, scalars.count)])
    }
    let visibleStart = start - offset
    let width = max(1, min(end - offset, scalars.count) - visibleStart)
    var text = String.UnicodeScalarView()
    text.append(contentsOf: scalars)
    var underline = String.UnicodeScalarView()
    // Tabs stay tabs, so that the underline keeps its place whatever their width is.
    underline.append(contentsOf: scalars.prefix(visibleStart).map { $0 == "\t" ? "\t" : " " })
    underline.append(contentsOf: repeatElement("^", count: width))
    let number = String(span.line)
    let padding = String(repeating: " ", count: max(0, 5 - number.count))
    let gutter = String(repeating: " ", count: max(5, number.count))
    return [
      "\(padding)\(number) | \(String(text))",
      "\(gutter) | \(String(underline))\(label.isEmpty ? "" : " " + label)",
    ]
  }
}

/// The scalar, or a replacement if a terminal would act on it or reorder text because of it.
private func printable(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
  switch scalar.value {
  case 0x09: scalar
  case 0..<0x20, 0x7F..<0xA0, 0x200E...0x200F, 0x2028...0x202E, 0x2066...0x2069: "\u{FFFD}"
  default: scalar
  }
}

/// A text from the file for use in a message: in quotes, printable, and cut if it is long.
func quoted(_ text: String) -> String {
  "\"\(shown(text))\""
}

/// A text from the file for use in a message: printable, and cut if it is long.
func shown(_ text: String, limit: Int = 64) -> String {
  var view = String.UnicodeScalarView()
  view.append(contentsOf: text.unicodeScalars.prefix(limit).map { $0 == "\t" ? " " : printable($0) })
  return text.unicodeScalars.count > limit ? String(view) + "…" : String(view)
}
