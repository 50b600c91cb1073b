import Glibc
import StageRuntime
import Supervision
import Topology

/// `bulkhead config check | show`: what a configuration file says, or everything that is wrong with it.
func configCommand(_ arguments: [String]) -> Int32 {
  let help = """
    usage: bulkhead config check [FILE] [--set KEY=VALUE]...   check; exit 0 accepted, 78 not
           bulkhead config show [FILE] [--set KEY=VALUE]...    print the resolved configuration and its hash
           bulkhead config default                             print the embedded default with its comments
    """
  guard let verb = arguments.first, ["check", "show", "default", "--help", "-h"].contains(verb) else {
    narrate("bulkhead config: wants check, show or default\n\(help)")
    return ExitCode.usage
  }
  if verb == "--help" || verb == "-h" {
    print(help)
    return ExitCode.success
  }
  if verb == "default" {
    print(Topology.embeddedDefaultText, terminator: "")
    return ExitCode.success
  }
  var path: String?
  var overrides: [(keyPath: String, value: String)] = []
  var index = 1
  while index < arguments.count {
    let argument = arguments[index]
    if argument == "--set", index + 1 < arguments.count {
      index += 1
      overrides.append(
        DaemonArguments.parseOverride(arguments[index]) {
          fail("bulkhead config: \($0)", code: ExitCode.usage)
        })
    } else if argument.hasPrefix("-") || path != nil {
      narrate("bulkhead config: unexpected argument `\(argument)`\n\(help)")
      return ExitCode.usage
    } else {
      path = argument
    }
    index += 1
  }
  let topology = DaemonArguments.loadTopology(path: path, overrides: overrides)
  for warning in topology.warnings { narrate(warning.rendered) }
  if verb == "show" { print(topology.canonicalText) }
  if verb == "check" { for line in restartBound(topology) { print(line) } }
  print("configuration \(topology.hash) accepted")
  return ExitCode.success
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
