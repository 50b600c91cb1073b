import Glibc
import SetInspection
import StageRuntime
import Supervision

/// What `bulkhead postmortem` was asked for.
struct PostmortemOptions: Equatable {
  var set = SetOptions()
  /// As they were given: an instance, a component, or both in that order.
  var names: [String] = []
  var epoch: UInt64?
  /// Steps that are shown of each incarnation.
  var steps = 24
  var show = Presentation()

  init(_ arguments: CommandArguments) {
    set = SetOptions(arguments)
    names = arguments.operands
    epoch = arguments.number("--epoch")
    steps = arguments.number("--steps").map(Int.init(clamping:)) ?? steps
    show = arguments.presentation
  }

  static func parse(_ arguments: [String]) throws(ToolUsageError) -> PostmortemOptions {
    PostmortemOptions(try CommandArguments(arguments, of: .postmortem))
  }
}

extension Command {
  static let postmortem = Command(
    name: "postmortem", group: .see, summary: "show what a dead process was doing, and why it died",
    description: [
      "Why it died, how long it lived, its last beat, its progress, where it stood on its rings, its last steps. Reads "
        + "the set's files only; works on a dead set too, and for the last eight incarnations of each process.",
      "Of a process that is named everything; without one, the last death of each in a line.",
    ],
    operands: [
      Operand(.instance, "the set; may be left out when there is only one", isOptional: true),
      Operand(.process, "one process in full, for instance bookd", isOptional: true),
    ],
    options: Option.ofSets + [
      Option("--epoch", .number("N", 1...UInt64.max), "that incarnation; otherwise the last one that died"),
      Option("--steps", .number("N", 1...256), "steps that are shown (24)"), .raw, .utc, .local,
    ],
    exitCodes: [
      .init(ExitCode.success, "shown"), .notRunning,
      .init(ExitCode.cannotTell, "nothing is known of what was asked for"), .usage,
    ],
    examples: [
      .init("postmortem", "who died last, and why"),
      .init("postmortem demo bookd --epoch 2", "the second bookd of the set demo, in full"),
    ]
  ) { arguments in
    PostmortemCommand(options: PostmortemOptions(arguments), output: .standard()).run()
  }
}

/// The running command.
struct PostmortemCommand {
  let options: PostmortemOptions
  let output: LineOutput
  /// Adds to an instant of CLOCK_MONOTONIC for nanoseconds since 1970.
  var clockOffset: UInt64 = StatusReader.timeOfDay(0)
  var say: (String) -> Void = narrate

  func run() -> Int32 {
    var instance = options.set.name
    var component: String?
    let all = SetDirectory.discover(runDirectory: options.set.runDirectory, name: nil)
    switch options.names.count {
    case 2: (instance, component) = (options.names[0], options.names[1])
    case 1 where instance != nil: component = options.names[0]
    case 1:
      // A name that is a set's is the set's; else it is a component of the only one there is.
      let name = options.names[0]
      if all.contains(where: { $0.instance == name }) || all.count != 1 {
        instance = name
      } else {
        component = name
      }
    default: break
    }
    let sets = instance == nil ? all : all.filter { $0.instance == instance }
    let meant = SetOptions(name: instance, runDirectory: options.set.runDirectory)
    guard !sets.isEmpty else { return meant.absenceCode(say) }
    if component != nil, sets.count > 1 {
      say("bulkhead postmortem: several sets: name one before the component")
      return ExitCode.usage
    }
    var code = ExitCode.success
    for set in sets {
      code = max(code, component.map { show($0, in: set) } ?? list(set))
    }
    output.flush()
    return meant.withUnreadable(code, say)
  }

  /// One component in full.
  private func show(_ component: String, in set: SetDirectory) -> Int32 {
    guard set.components().contains(where: { $0.name == component }) else {
      let names = set.components().map(\.name)
      say(
        "bulkhead postmortem: set \"\(set.instance)\" has no component \"\(component)\": \(names.joined(separator: ", "))"
      )
      return ExitCode.cannotTell
    }
    let known = Postmortem.all(of: component, in: set)
    let found = options.epoch.map { epoch in known.last { $0.epoch == epoch } } ?? known.last
    guard let found else {
      let epochs = known.map { String($0.epoch) }.joined(separator: ", ")
      say(
        options.epoch.map {
          "bulkhead postmortem: nothing is known of a death of \(component), epoch \($0)"
            + (epochs.isEmpty ? "" : "; known: \(epochs)")
        } ?? "bulkhead postmortem: no process of \(component) has died")
      return ExitCode.cannotTell
    }
    let report = PostmortemReport(
      found, of: set, steps: options.steps, show: options.show, clockOffset: clockOffset)
    if options.set.json {
      output.line(report.json)
    } else {
      report.lines.forEach(output.line)
    }
    return ExitCode.success
  }

  /// The last death of each component, in one line.
  private func list(_ set: SetDirectory) -> Int32 {
    var isAny = false
    for component in set.components() where component.name != InstanceFiles.auditor {
      let known = Postmortem.all(of: component.name, in: set)
      let wanted = options.epoch.map { epoch in known.last { $0.epoch == epoch } } ?? known.last
      guard let found = wanted else { continue }
      isAny = true
      let report = PostmortemReport(
        found, of: set, steps: options.steps, show: options.show, clockOffset: clockOffset)
      output.line(options.set.json ? report.json : report.summary)
    }
    if !isAny, !options.set.json { output.line("set \"\(set.instance)\": nobody has died") }
    return ExitCode.success
  }
}
