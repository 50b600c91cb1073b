import Glibc
public import Topology

/// The arguments that every daemon takes.
public struct DaemonArguments {
  public var topologyPath: String?
  public var component: String?
  public var overrides: [(keyPath: String, value: String)] = []
  public var checkOnly = false
  /// The hash that the configuration must have: what the unit was rendered from.
  public var expectedConfiguration: String?
  /// The stages are units of systemd, not children.
  public var usesSystemd = false

  static let options = [
    "--topology", "--component", "--set", "--check-config", "--expect-configuration", "--systemd", "--help",
    "--version",
  ]

  /// Reads the arguments; ends the process on `--help`, `--version` and usage errors.
  public static func parse(program: String, arguments: [String]) -> DaemonArguments {
    var result = DaemonArguments()
    var index = 0
    func usageError(_ text: String) -> Never {
      fail("\(program): \(text)\ntry `\(program) --help`", code: ExitCode.usage)
    }
    func value(of option: String) -> String {
      index += 1
      guard index < arguments.count else { usageError("\(option) wants a value") }
      return arguments[index]
    }
    while index < arguments.count {
      let argument = arguments[index]
      switch argument {
      case "--topology": result.topologyPath = value(of: argument)
      case "--component": result.component = value(of: argument)
      case "--set": result.overrides.append(parseOverride(value(of: argument), usageError))
      case "--check-config": result.checkOnly = true
      case "--expect-configuration": result.expectedConfiguration = value(of: argument)
      case "--systemd" where program == "watchdogd": result.usesSystemd = true
      case "--version":
        print("\(program) \(bulkheadVersion)")
        exit(ExitCode.success)
      case "--help", "-h":
        print(
          """
          usage: \(program) [--topology FILE] --component NAME [--set KEY=VALUE]... [--check-config]
          Started by watchdogd. Without --topology the embedded default is used.
            --check-config  check the configuration and end (0 accepted, 78 not)
            --expect-configuration HASH  refuse any other configuration (units: what they were rendered from)\(
              program == "watchdogd" ? "\n  --systemd  the stages are units of systemd: ask it through its bus" : "")
          """)
        exit(ExitCode.success)
      default: usageError("unknown argument `\(argument)`")
      }
      index += 1
    }
    return result
  }

  /// Splits `KEY=VALUE`.
  public static func parseOverride(
    _ text: String, _ usageError: (String) -> Never
  ) -> (keyPath: String, value: String) {
    guard let equals = text.firstIndex(of: "="), equals != text.startIndex else {
      usageError("--set \(text): wants KEY=VALUE, for instance --set host.instance=test")
    }
    return (String(text[..<equals]), String(text[text.index(after: equals)...]))
  }

  /// Loads the topology, or prints every error and ends with 78.
  public func loadTopology() -> Topology {
    let topology = Self.loadTopology(path: topologyPath, overrides: overrides)
    if let expectedConfiguration, expectedConfiguration != topology.hash {
      fail(
        "configuration \(topology.hash) is not \(expectedConfiguration), from which this unit was rendered: `bulkhead units install`, then `systemctl daemon-reload`",
        code: ExitCode.configuration)
    }
    return topology
  }

  /// Reads the file at `path`, or the embedded default when it is nil.
  public static func readTopology(
    path: String?, overrides: [(keyPath: String, value: String)]
  ) -> Result<Topology, TopologyError> {
    let cores = OnlineCores.current()
    if let path { return Topology.load(path: path, onlineCores: cores, overrides: overrides) }
    do throws(TopologyError) {
      return .success(
        try Topology.parse(
          text: Topology.embeddedDefaultText, fileName: "embedded topology.toml", onlineCores: cores,
          overrides: overrides))
    } catch {
      return .failure(error)
    }
  }

  /// The same; ends the process with every error when it is not accepted.
  public static func loadTopology(path: String?, overrides: [(keyPath: String, value: String)]) -> Topology {
    switch readTopology(path: path, overrides: overrides) {
    case .success(let topology): return topology
    case .failure(let error):
      narrate(String(error.rendered.dropLast()))
      exit(ExitCode.configuration)
    }
  }
}

/// The version of every program of this package.
public let bulkheadVersion = "0.1.0"
