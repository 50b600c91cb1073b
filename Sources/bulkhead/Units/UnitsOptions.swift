import Glibc
import Runbooks
import ServiceUnits
import StageRuntime
import Topology

extension Command {
  static let units = Command(
    name: "units", group: .configure, summary: "render, verify and install a set as units of systemd",
    description: [
      "One service a component, a socket a line, a target, a slice, users, directories, the right to manage them, and a "
        + "catalogue of the log's messages for `journalctl -x`.",
      "Nothing is started or reloaded: what does that is printed. A file that bulkhead did not render is never touched.",
    ],
    actions: [
      Action("render", "print the files, or write them below --out", operands: [unitsFile]),
      Action(
        "verify", "let systemd-analyze judge them: no warning, and an exposure of at most 3.0",
        operands: [unitsFile]),
      Action("diff", "compare what is installed with what would be", operands: [unitsFile]),
      Action("install", "put them in their places", operands: [unitsFile]),
    ],
    options: [
      .set, .json,
      Option(
        "--configuration", .file("PATH"),
        "where FILE lies on the host that runs the set (where it lies here)"),
      Option(
        "--programs", .directory("DIR"), "where the programs lie on that host (/usr/lib/bulkhead)"),
      Option("--out", .directory("DIR"), "render: where to write them"),
      Option("--root", .directory("DIR"), "diff, install: the root of that host's file system (/)"),
      Option("--dry-run", "install: print what would be done"),
      Option("--yes", "install: do not ask"),
      Option("--overwrite-edits", "install: replace rendered files that were edited by hand, too"),
    ],
    exitCodes: [
      .init(ExitCode.success, "good, installed, or nothing differs"),
      .init(ExitCode.failure, "something differs, is judged bad, or was refused"), .usage,
      .init(ExitCode.unavailable, "systemd-analyze is missing"),
      .init(ExitCode.configuration, "the configuration is not accepted"),
    ],
    examples: [
      .init("units verify my-topology.toml", "what systemd says of the units of a file"),
      .init("units install /etc/bulkhead/ny4.toml --dry-run", "what an installation would do"),
    ]
  ) { arguments throws(ToolUsageError) in try unitsCommand(arguments) }

  private static let unitsFile = Operand(
    .file("FILE"), "a topology; without it the embedded default", isOptional: true)
}

/// A set as units of systemd.
struct RenderedSet {
  let instance: String
  let configurationHash: String
  let files: [RenderedFile]
}

/// Where the set is to run, as the arguments say.
struct UnitsOptions {
  let file: String?
  let configuration: String?
  let programs: String?
  let out: String?
  let root: String
  let overrides: [(keyPath: String, value: String)]
  let isDryRun: Bool
  let json: Bool
  let isAgreed: Bool
  let overwritesEdits: Bool

  init(_ arguments: CommandArguments) throws(ToolUsageError) {
    file = arguments.operands.first
    configuration = arguments.value("--configuration")
    programs = arguments.value("--programs")
    out = arguments.value("--out")
    root = arguments.value("--root") ?? "/"
    overrides = try topologyOverrides(arguments.values("--set"))
    isDryRun = arguments.has("--dry-run")
    json = arguments.has("--json")
    isAgreed = arguments.has("--yes")
    overwritesEdits = arguments.has("--overwrite-edits")
    for path in [configuration, programs, file] where path?.contains("\n") == true {
      throw ToolUsageError(line: "a path with a line break cannot be written into a unit")
    }
  }

  /// The set, rendered. Ends the process when the configuration is not accepted.
  func render() -> RenderedSet {
    let topology = DaemonArguments.loadTopology(path: file, overrides: overrides)
    var places = UnitRenderer.Places(
      configuration: configuration ?? file.flatMap(Self.absolute)
        ?? "/etc/bulkhead/\(topology.host.instance).toml")
    places.overrides = overrides
    if let programs { places.programs = Self.absolute(programs) ?? programs }
    return RenderedSet(
      instance: topology.host.instance, configurationHash: topology.hash,
      files: UnitRenderer(topology: topology, places: places).files(catalogue: MessageCatalogue.text()))
  }

  private static func absolute(_ path: String) -> String? {
    guard let found = realpath(path, nil) else { return path.hasPrefix("/") ? path : nil }
    defer { free(found) }
    return String(cString: found)
  }
}
