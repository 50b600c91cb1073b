import Glibc
import StageRuntime
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
  print("configuration \(topology.hash) accepted")
  return ExitCode.success
}
