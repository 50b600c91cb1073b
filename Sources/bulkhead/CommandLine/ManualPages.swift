import StageRuntime

/// Manual pages in the language of scdoc, made from the descriptions: `bulkhead.1` and one page a command.
enum ManualPages {
  struct Page {
    /// For instance "bulkhead-tap.1.scd".
    let file: String
    let text: String
  }

  static func all(_ commands: [Command]) -> [Page] {
    let shown = commands.filter { !$0.isHidden && $0.plain == nil }
    return [Page(file: "bulkhead.1.scd", text: overview(shown))]
      + shown.map { Page(file: "bulkhead-\($0.name).1.scd", text: page(of: $0)) }
  }

  static func page(of command: Command) -> String {
    var text = preamble("bulkhead-\(command.name)")
    text += "# NAME\n\nbulkhead-\(command.name) - \(escaped(command.summary))\n\n# SYNOPSIS\n\n"
    text += command.synopsis.map(escaped).joined(separator: "++\n") + "\n\n# DESCRIPTION\n\n"
    text += escaped(HelpText.sentence(command.summary)) + "\n"
    for paragraph in command.description { text += "\n" + escaped(paragraph) + "\n" }
    if !command.actions.isEmpty {
      text += section("ACTIONS", command.actions.map { ("*\(escaped($0.name))*", $0.meaning) })
    }
    let operands = HelpText.distinct(command.actions.flatMap(\.operands) + command.operands)
    if !operands.isEmpty {
      text += section("OPERANDS", operands.map { (emphasized($0.kind.placeholder), $0.meaning) })
    }
    text += section(
      "OPTIONS",
      command.options.map { option in
        let value = option.kind.map { " " + emphasized($0.placeholder) } ?? ""
        return (
          "*\(escaped(option.name))*" + value, option.meaning + (option.isRepeatable ? " (repeatable)" : "")
        )
      } + [("*--help*", "show help")])
    let variables = command.options.compactMap { option in
      option.environment.map { ("*\(escaped($0))*", "as \(option.name)") }
    }
    if !variables.isEmpty { text += section("ENVIRONMENT", variables) }
    if !command.examples.isEmpty {
      text += "\n# EXAMPLES\n"
      for example in command.examples {
        text +=
          "\n" + escaped(HelpText.sentence(example.meaning)) + "\n\n```\n$ bulkhead \(example.line)\n```\n"
      }
    }
    text += section("EXIT STATUS", command.exitCodes.map { ("*\($0.code)*", $0.meaning) })
    return text + "\n# SEE ALSO\n\n*bulkhead*(1)\n"
  }

  static func overview(_ commands: [Command]) -> String {
    var text = preamble("bulkhead")
    text += "# NAME\n\nbulkhead - the operator's command of a market-data feed handler\n\n"
    text += "# SYNOPSIS\n\nbulkhead _COMMAND_ [argument]...\n\n# DESCRIPTION\n\n"
    text +=
      "A set is found by its files, without a configuration; commands that only look work on a set that is dead too. "
      + "Standard output is data, standard error is narration.\n"
    for group in Command.Group.allCases {
      let members = commands.filter { $0.group == group }
      if members.isEmpty { continue }
      text += section(group.rawValue.uppercased(), members.map { ("*bulkhead-\($0.name)*(1)", $0.summary) })
    }
    text += section(
      "ENVIRONMENT",
      [
        ("*BULKHEAD\\_NAME*", "the set, where --name is not given"),
        ("*BULKHEAD\\_RUN\\_DIRECTORY*", "where sets keep their files, where --run-directory is not given"),
        ("*NO\\_COLOR*", "no colour unless --color always says so"),
      ])
    text += section("EXIT STATUS", Command.ExitMeaning.all.map { ("*\($0.code)*", $0.meaning) })
    return text
  }

  private static func preamble(_ name: String) -> String {
    "\(name)(1) \"bulkhead \(bulkheadVersion)\" \"Bulkhead\"\n\n"
  }

  private static func section(_ title: String, _ rows: [(term: String, meaning: String)]) -> String {
    var text = "\n# \(title)\n"
    for row in rows { text += "\n\(row.term)\n\t\(escaped(row.meaning))\n" }
    return text
  }

  private static func emphasized(_ text: String) -> String { "_\(escaped(text))_" }

  /// Characters that mean something to scdoc, made to mean themselves.
  static func escaped(_ text: String) -> String {
    var result = ""
    for character in text {
      switch character {
      case "*", "_", "\\", "`", "#", "<", ">", "|", "[", "]", "~": result += "\\" + String(character)
      case "\n": result += " "
      default: result.append(character)
      }
    }
    // Two plus signs end a line there.
    return result.contains("++")
      ? result.split(separator: "+", omittingEmptySubsequences: false).joined(separator: "\\+") : result
  }
}
