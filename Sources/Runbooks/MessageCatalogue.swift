import SystemLog

/// The messages of the log as a catalogue of the system's journal (`journalctl -x`): for each kind what its runbook says.
public enum MessageCatalogue {
  private static let width = 78

  /// The text of a catalogue file, without a header. Kinds are in the order of their table.
  public static func text(_ runbooks: Runbooks = .shipped) -> String {
    LogEvent.allCases.compactMap { entry(of: $0, runbooks) }.joined(separator: "\n")
  }

  /// One entry; nil for what has no identifier.
  static func entry(of event: LogEvent, _ runbooks: Runbooks) -> String? {
    let kind = event.entry
    guard let identifier = kind.identifier else { return nil }
    var text = "-- \(identifier)\nSubject: \(capitalized(kind.subject))\nDefined-By: Bulkhead\n"
    text += "Documentation: man:bulkhead(1)\n\n"
    var lines = ["Set @BULKHEAD_INSTANCE@, component @BULKHEAD_COMPONENT@."]
    if let runbook = runbooks.named(kind.runbook).first {
      lines += body(of: runbook)
    }
    if let row = kind.failureMode { lines.append("Failure mode: \(row).") }
    lines.append("The same and more, offline: bulkhead explain \(kind.runbook)")
    for line in lines { text += wrapped(line).map { $0 + "\n" }.joined() }
    return text
  }

  private static func body(of runbook: Runbook) -> [String] {
    let fields = ["Means", "By itself", "Look", "Do"].compactMap { name in
      runbook.field(name).map { name == "Means" ? $0 : "\(name): \($0)" }
    }
    if !fields.isEmpty { return fields.map(plain) }
    // An alert's: paragraphs below headings.
    var lines: [String] = []
    var isWanted = false
    for line in runbook.lines {
      if line.hasPrefix("## ") {
        isWanted = ["## Meaning", "## Mitigation"].contains(line)
        continue
      }
      if isWanted, !line.isEmpty { lines.append(plain(line)) }
    }
    return lines
  }

  /// Without marks of Markdown, and without what the journal would replace or take for the end of the entry.
  private static func plain(_ text: String) -> String {
    String(text.filter { $0 != "`" && $0 != "@" && $0 != "*" })
  }

  private static func capitalized(_ text: String) -> String { text.prefix(1).uppercased() + text.dropFirst() }

  /// Lines of at most ``width`` characters; none begins with what a catalogue takes for a comment or for a new entry.
  private static func wrapped(_ text: String) -> [String] {
    var lines: [String] = []
    var line = ""
    for word in text.split(separator: " ") {
      if !line.isEmpty, line.count + 1 + word.count > width {
        lines.append(line)
        line = ""
      }
      line += line.isEmpty ? word : " " + word
    }
    if !line.isEmpty { lines.append(line) }
    return lines.map { line in
      line.hasPrefix("#") || line.hasPrefix(";") || line.hasPrefix("-- ") ? "  " + line : line
    }
  }
}
