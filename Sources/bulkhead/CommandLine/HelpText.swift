import StageRuntime

/// Help, made from the descriptions.
enum HelpText {
  static let width = 100

  /// Help of one command.
  static func of(_ command: Command) -> String {
    var lines = ["usage: " + (command.synopsis.first ?? "")]
    lines += command.synopsis.dropFirst().map { "       " + $0 }
    lines += ["", sentence(command.summary)]
    for paragraph in command.description { lines += wrapped(paragraph, indent: 0) }
    if !command.actions.isEmpty {
      lines += ["", "ACTIONS"] + table(command.actions.map { ($0.name, $0.meaning) })
    }
    let operands = distinct(command.actions.flatMap(\.operands) + command.operands)
    if !operands.isEmpty {
      lines += ["", "OPERANDS"] + table(operands.map { ($0.kind.placeholder, $0.meaning) })
    }
    lines += ["", "OPTIONS"]
    lines += table(
      command.options.map { option in
        let note = option.isRepeatable ? " (repeatable)" : ""
        return (option.synopsis, option.meaning + note)
      } + [("--help", "show this")])
    let variables = command.options.compactMap { option in
      option.environment.map { ($0, "as \(option.name)") }
    }
    if !variables.isEmpty { lines += ["", "ENVIRONMENT"] + table(variables) }
    if !command.examples.isEmpty {
      lines += ["", "EXAMPLES"]
      for example in command.examples {
        lines.append("  bulkhead \(example.line)")
        lines += wrapped(example.meaning, indent: 6)
      }
    }
    lines += ["", "EXIT"] + table(command.exitCodes.map { (String($0.code), $0.meaning) })
    return lines.joined(separator: "\n")
  }

  /// Help of the whole.
  static func of(_ commands: [Command]) -> String {
    var lines = ["usage: bulkhead COMMAND [argument]..."]
    for group in Command.Group.allCases {
      let members = commands.filter { $0.group == group && !$0.isHidden }
      if members.isEmpty { continue }
      lines += ["", group.rawValue.uppercased()] + table(members.map { ($0.name, $0.summary) }, column: 16)
    }
    lines += [
      "", "`bulkhead COMMAND --help` explains a command, `bulkhead cheat` shows examples.", "", "EXIT",
    ]
    lines += table(Command.ExitMeaning.all.map { (String($0.code), $0.meaning) }, column: 16)
    return lines.joined(separator: "\n")
  }

  static func distinct(_ operands: [Command.Operand]) -> [Command.Operand] {
    var seen: Set<String> = []
    return operands.filter { seen.insert($0.kind.placeholder).inserted }
  }

  /// "show the rings" → "Show the rings."
  static func sentence(_ text: String) -> String { text.prefix(1).uppercased() + text.dropFirst() + "." }

  /// Rows of a term and what it means, the second column aligned; a long term gets a line of its own.
  static func table(_ rows: [(term: String, meaning: String)], column wanted: Int? = nil) -> [String] {
    let indent = wanted ?? min(26, (rows.map(\.term.count).max() ?? 0) + 4)
    var lines: [String] = []
    for row in rows {
      let meaning = wrapped(row.meaning, indent: indent)
      let term = "  " + row.term
      if term.count + 2 > indent {
        lines.append(term)
        lines += meaning
      } else {
        lines.append(column(term, indent) + (meaning.first?.dropFirst(indent) ?? ""))
        lines += meaning.dropFirst()
      }
    }
    return lines
  }

  /// The text in lines of at most ``width`` characters.
  static func wrapped(_ text: String, indent: Int) -> [String] {
    let margin = String(repeating: " ", count: indent)
    var lines: [String] = []
    var line = ""
    for word in text.split(whereSeparator: { $0 == " " || $0 == "\n" }) {
      if !line.isEmpty, indent + line.count + 1 + word.count > width {
        lines.append(margin + line)
        line = ""
      }
      line += (line.isEmpty ? "" : " ") + word
    }
    if !line.isEmpty { lines.append(margin + line) }
    return lines
  }
}
