import Runbooks
import SetInspection
import StageRuntime
import SystemLog

extension Command {
  static let explain = Command(
    name: "explain", group: .help, summary: "print the runbook of what the product said, offline",
    description: [
      "What an event, a cause, an error code, an exit code, a close code, a host check, an alert or a MESSAGE_ID of the log means, what the product has "
        + "done by itself, what to look at, what to do, and where it is tested. A name is written as the product says it."
    ],
    operands: [
      Operand(.text("NAME"), "one name; its words need no quotes", isOptional: true, isRepeatable: true)
    ],
    options: [.json, Option("--list", "every name that there is")],
    exitCodes: [
      .init(ExitCode.success, "shown"), .init(ExitCode.failure, "no such name; the nearest are listed"),
      .usage,
    ],
    examples: [
      .init("explain left down", "an event of the supervisor"), .init("explain exit 78", "an exit code"),
      .init("explain irq-affinity", "a host check"),
    ]
  ) { arguments throws(ToolUsageError) in try explainCommand(arguments) }
}

private func explainCommand(_ arguments: CommandArguments) throws(ToolUsageError) -> Int32 {
  let json = arguments.has("--json")
  let list = arguments.has("--list")
  let words = arguments.operands
  guard list != !words.isEmpty else { throw ToolUsageError(line: "wants a name, or --list") }
  let runbooks = Runbooks.shipped
  if list {
    listRunbooks(runbooks, json: json)
    return ExitCode.success
  }
  // `exit 78` needs no quotes.
  let name = words.joined(separator: " ")
  // `journalctl` shows identifiers.
  let event = LogEvent.identified(by: name)
  let found = runbooks.named(event?.entry.runbook ?? name)
  if found.isEmpty {
    let near = runbooks.nearest(to: name, limit: 5)
    narrate(
      "bulkhead explain: nothing is called `\(name)`"
        + (near.isEmpty ? "" : "; near it: " + near.map { "`\($0)`" }.joined(separator: ", "))
        + "\n`bulkhead explain --list` lists every name")
    return ExitCode.failure
  }
  if json {
    print(runbooksJSON(found))
  } else {
    for (index, runbook) in found.enumerated() {
      if index > 0 { print("") }
      for line in runbookLines(runbook) { print(line) }
    }
  }
  return ExitCode.success
}

private func runbookLines(_ runbook: Runbook) -> [String] {
  var lines = [runbook.names.joined(separator: ", ") + "  (\(runbook.family))"]
  if runbook.family == Runbooks.alerts { return lines + runbook.lines }
  for field in Runbook.fields {
    guard let text = runbook.field(field) else { continue }
    let words = text.split(separator: " ")
    var line = "  " + column(field + ":", 11)
    for word in words {
      if line.count + 1 + word.count > 100, line.count > 13 {
        lines.append(line)
        line = String(repeating: " ", count: 13)
      }
      line += (line.hasSuffix(" ") ? "" : " ") + word
    }
    lines.append(line)
  }
  return lines
}

private func listRunbooks(_ runbooks: Runbooks, json: Bool) {
  if json { return print(runbooksJSON(runbooks.all)) }
  var family = ""
  for runbook in runbooks.all {
    if runbook.family != family {
      if !family.isEmpty { print("") }
      family = runbook.family
      print(family)
    }
    for name in runbook.names { print("  " + name) }
  }
}

private func runbooksJSON(_ runbooks: [Runbook]) -> String {
  JSONReport(schema: "runbooks").text { json in
    json.array("runbooks") { json in
      for runbook in runbooks {
        json.object { json in
          json.field("family", runbook.family)
          json.array("names") { json in for name in runbook.names { json.element(name) } }
          json.field("means", runbook.field("Means") ?? "")
          json.field("byItself", runbook.field("By itself") ?? "")
          json.field("look", runbook.field("Look") ?? "")
          json.field("do", runbook.field("Do") ?? "")
          json.field("tested", runbook.field("Tested") ?? "")
          json.field("text", runbook.lines.joined(separator: "\n"))
        }
      }
    }
  }
}
