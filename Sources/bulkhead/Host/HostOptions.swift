import FeedSim
import HostChecks
import SetInspection
import StageRuntime

/// What `bulkhead host` was asked for.
struct HostOptions {
  enum Verb: String, CaseIterable { case check, report, initialize = "init", fini, jitter }

  var verb = Verb.check
  var topologyPath: String?
  var overrides: [(keyPath: String, value: String)] = []
  var json = false
  var root: String?
  var journal: String?
  var printOnly = false
  var all = false
  var force = false
  /// Checks that were named.
  var names: [String] = []
  var cores: String?
  var seconds: UInt64 = 1
  var threshold: UInt64 = 1_000
  var realTimePriority: Int32 = 0

  init(_ arguments: CommandArguments) throws(ToolUsageError) {
    verb = Verb(rawValue: arguments.action) ?? .check
    topologyPath = arguments.value("--topology")
    overrides = try topologyOverrides(arguments.values("--set"))
    json = arguments.has("--json")
    root = arguments.value("--root")
    journal = arguments.value("--journal")
    printOnly = arguments.has("--print-only")
    all = arguments.has("--all")
    force = arguments.has("--force")
    names = arguments.operands
    cores = arguments.value("--cpu")
    seconds = arguments.number("--seconds") ?? 1
    threshold = arguments.number("--threshold") ?? 1_000
    realTimePriority = Int32(clamping: arguments.number("--realtime") ?? 0)
  }
}

extension Command {
  static let host = Command(
    name: "host", group: .configure, summary: "check, prepare and measure this host",
    description: [
      "Judges this host by what the topology needs: each check is required or recommended, by its profile, and says what is, "
        + "what should be, why, and the exact fix. The same is looked at before a set starts (host.preflight).",
      "init writes to /proc and /sys only, and notes what was there before, so that fini can put back exactly that; what needs a "
        + "boot, a command or another topology is printed for you to do. jitter runs on one core after the other.",
    ],
    actions: [
      Action("check", "judge this host", operands: [hostChecks]),
      Action("report", "the same, and what the host is like", operands: [hostChecks]),
      Action("init", "apply what check calls a fix", operands: [hostChecks]),
      Action("fini", "put back what init has changed"),
      Action("jitter", "measure what takes a spinning loop off its core"),
    ],
    options: [
      .json,
      Option("--topology", .file("FILE"), "what the host is judged by; without it the embedded default"),
      .set,
      Option(
        "--root", .directory("DIR"), "read /proc and /sys below this directory: a copy, a container's view"),
      Option("--journal", .file("FILE"), "where init notes what was before (\(HostChanges.defaultPath))"),
      Option("--all", "init: every fix"),
      Option("--print-only", "init and fini: print what would be written, and write nothing"),
      Option("--force", "fini: also what somebody else has changed since"),
      Option("--cpu", .text("LIST"), "jitter: these cores, for instance 2-3; otherwise all"),
      Option("--seconds", .number("N", 1...86_400), "jitter: for so long on each core (1)"),
      Option(
        "--threshold", .number("NS", 100...1_000_000_000), "jitter: what counts as an interruption (1000)"),
      Option("--realtime", .number("PRIORITY", 1...99), "jitter: under SCHED_FIFO with this priority"),
    ],
    exitCodes: [
      .init(ExitCode.success, "nothing that is required fails; all is done"),
      .init(ExitCode.failure, "something that is required fails; something could not be done"),
      .init(ExitCode.cannotTell, "jitter: no such core or priority for this process"), .usage,
      .init(ExitCode.configuration, "the topology is not accepted"),
    ],
    examples: [
      .init("host check --topology my-topology.toml", "what this host lacks for a set"),
      .init("host init irq-affinity --print-only", "which interrupts would be moved, and how"),
      .init("host jitter --cpu 1 --seconds 2", "what interrupts core 1"),
    ]
  ) { arguments throws(ToolUsageError) in try hostCommand(arguments) }

  private static let hostChecks = Operand(
    .text("CHECK"), "a check, as check lists them; otherwise all", isOptional: true, isRepeatable: true)
}
