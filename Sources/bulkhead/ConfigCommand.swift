import Glibc
import SetInspection
import StageRuntime
import Supervision
import Topology

extension Command {
  static let config = Command(
    name: "config", group: .configure, summary: "check and show a configuration",
    description: ["Every error is told at once, with its line and the nearest name that would be valid."],
    actions: [
      Action("check", "say whether it is accepted, and what restarts it can come to", operands: [configFile]),
      Action("show", "print the resolved configuration and its hash", operands: [configFile]),
      Action("default", "print the embedded default with its comments"),
    ],
    options: [.set, .json],
    exitCodes: [
      .init(ExitCode.success, "accepted"), .usage, .init(ExitCode.noInput, "the file cannot be read"),
      .init(ExitCode.configuration, "not accepted"),
    ],
    examples: [
      .init("config check my-topology.toml", "everything that is wrong with a file"),
      .init(
        "config check my-topology.toml --json", "the same for an editor: a line, a column and a code each"),
      .init("config default > my-topology.toml", "a file to begin with"),
    ]
  ) { arguments throws(ToolUsageError) in try configCommand(arguments) }

  private static let configFile = Operand(
    .file("FILE"), "a topology; without it the embedded default", isOptional: true)
}

private func configCommand(_ arguments: CommandArguments) throws(ToolUsageError) -> Int32 {
  let verb = arguments.action
  let overrides = try topologyOverrides(arguments.values("--set"))
  if arguments.has("--json") { return printConfiguration(verb, arguments.operands.first, overrides) }
  if verb == "default" {
    print(Topology.embeddedDefaultText, terminator: "")
    return ExitCode.success
  }
  let topology = DaemonArguments.loadTopology(path: arguments.operands.first, overrides: overrides)
  for warning in topology.warnings { narrate(warning.rendered) }
  if verb == "show" { print(topology.canonicalText) }
  if verb == "check" { for line in restartBound(topology) { print(line) } }
  print("configuration \(topology.hash) accepted")
  return ExitCode.success
}

private func printConfiguration(
  _ verb: String, _ path: String?, _ overrides: [(keyPath: String, value: String)]
) -> Int32 {
  func write(_ diagnostics: [TopologyDiagnostic], to json: inout JSONText) {
    json.array("diagnostics") { json in
      for diagnostic in diagnostics {
        json.object { json in
          json.field("code", diagnostic.code)
          json.field("severity", diagnostic.severity.rawValue)
          json.field("file", diagnostic.fileName)
          json.field("line", diagnostic.line)
          json.field("column", diagnostic.column)
          json.field("message", diagnostic.message)
        }
      }
    }
  }
  switch DaemonArguments.readTopology(path: path, overrides: overrides) {
  case .failure(let error):
    print(
      JSONReport(schema: "config").text { json in
        json.field("action", verb)
        json.field("accepted", false)
        write(error.diagnostics, to: &json)
      })
    return ExitCode.configuration
  case .success(let topology):
    let head = JSONReport(
      schema: "config", instance: topology.host.instance, configurationHash: topology.hash)
    print(
      head.text { json in
        json.field("action", verb)
        json.field("accepted", true)
        write(topology.warnings, to: &json)
        switch verb {
        case "check":
          json.array("restarts") { json in for line in restartBound(topology) { json.element(line) } }
        case "show":
          json.object("settings") { json in
            for line in topology.canonicalText.split(separator: "\n") {
              guard let equals = line.firstRange(of: " = ") else { continue }
              json.field(String(line[..<equals.lowerBound]), String(line[equals.upperBound...]))
            }
          }
        default: json.field("text", Topology.embeddedDefaultText)
        }
      })
    return ExitCode.success
  }
}

/// How many restarts the configuration can come to. watchdogd's own deaths do not multiply it: its successor goes on
/// counting.
func restartBound(_ topology: Topology) -> [String] {
  let components = topology.stages.map { stage in
    RestartBound.Component(
      name: stage.name, limit: stage.restart == .halt ? 0 : stage.restartLimit,
      windowNanoseconds: stage.restartWindowNanoseconds)
  }
  var kinds: [(text: String, names: [String])] = []
  for component in components {
    let text =
      component.limit == 0 ? "never" : "at most \(component.limit) in \(seconds(component.windowNanoseconds))"
    if let index = kinds.firstIndex(where: { $0.text == text }) {
      kinds[index].names.append(component.name)
    } else {
      kinds.append((text, [component.name]))
    }
  }
  let bound = RestartBound.total(components)
  var lines = kinds.map {
    "restarts of \($0.names.joined(separator: ", ")): \($0.text)\($0.names.count > 1 ? " each" : "")"
  }
  if bound.restarts > 0 {
    lines.append("restarts of the set: at most \(bound.restarts) in \(seconds(bound.windowNanoseconds))")
  }
  return lines
}

private func seconds(_ nanoseconds: UInt64) -> String {
  nanoseconds % 1_000_000_000 == 0
    ? "\(nanoseconds / 1_000_000_000) s" : "\(nanoseconds / 1_000_000) ms"
}
