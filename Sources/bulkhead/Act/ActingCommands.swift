import SetInspection
import StageRuntime
import Supervision

/// The commands that change a running set.
extension Command {
  private static let stage = Operand(.process, "a stage of the set, as `bulkhead ps` names it")

  /// What every command that acts takes.
  static let ofActing: [Option] =
    [
      .name, .runDirectory, .json, epochThatIsMeant,
    ] + ofRequests + [
      confirmed, waits("\(ActingCommand.usualTimeout)"),
    ]

  /// - Parameter usual: seconds where nobody says how many, as the help has them.
  static func waits(_ usual: String) -> Option {
    Option(
      "--timeout", .seconds("SECONDS", 0...86_400),
      "wait for so long until it is done (\(usual)); 0: do not wait")
  }

  static let actingCodes: [ExitMeaning] = [
    .init(ExitCode.success, "done, or would be"), .init(ExitCode.failure, "refused, or not done in time"),
    .init(ExitCode.notRunning, "there is no such set, or its watchdogd does not run"),
    .init(ExitCode.cannotTell, "no permission, or no answer"), .usage,
  ]

  static let writtenDown =
    "Asked of watchdogd, which writes down who asked for what, and why (`bulkhead events`)."

  static let start = Command(
    name: "start", group: .act, summary: "start a stage that is down",
    description: [
      "One that was stopped, or that used up its restarts. Its budget is not charged. To bring up a set: `bulkhead run`, "
        + "or its unit.", writtenDown,
    ],
    operands: [stage], options: ofActing, exitCodes: actingCodes,
    examples: [.init("start bookd --yes", "have bookd back")]
  ) { arguments throws(ToolUsageError) in try ActingCommand(.start, arguments).run() }

  static let restart = Command(
    name: "restart", group: .act, summary: "end a stage in order, and start its successor at once",
    description: [
      "It hands on what it holds and ends, by force after 10 s; the successor continues where it was. Its budget is not "
        + "charged.", writtenDown,
    ],
    operands: [stage], options: ofActing, exitCodes: actingCodes,
    examples: [
      .init("restart pubd --dry-run", "what would happen?"),
      .init("restart merged --epoch 3 --reason 'new build' --yes", "that very incarnation, and no later one"),
    ]
  ) { arguments throws(ToolUsageError) in try ActingCommand(.restart, arguments).run() }

  static let drain = Command(
    name: "drain", group: .act, summary: "end a stage once it has handed on what it holds; it stays down",
    description: ["Like `stop`, but never by force.", writtenDown], operands: [stage], options: ofActing,
    exitCodes: actingCodes, examples: [.init("drain pubd --reason 'moving clients' --yes", "let pubd finish")]
  ) { arguments throws(ToolUsageError) in try ActingCommand(.drain, arguments).run() }

  static let maint = Command(
    name: "maint", group: .act, summary: "begin or end maintenance: nothing is restarted meanwhile",
    description: [
      "In maintenance watchdogd restarts no stage that ends, and ends none that stands still; it goes on to watch, to "
        + "tell, and to mark the stream stale. What ended meanwhile is started when maintenance is over. It outlives "
        + "watchdogd.", writtenDown,
    ],
    actions: [Action("on", "begin; wants --reason"), Action("off", "end")], options: ofActing,
    exitCodes: actingCodes,
    examples: [
      .init("maint on --reason 'debugger on bookd' --yes", "before a debugger stops a stage"),
      .init("maint off --yes", "afterwards"),
    ]
  ) { arguments throws(ToolUsageError) in
    let isOn = arguments.action == "on"
    if isOn, arguments.value("--reason") == nil { throw ToolUsageError(line: "on: --reason TEXT is wanted") }
    return try ActingCommand(isOn ? .maintenanceOn : .maintenanceOff, arguments).run()
  }
}
