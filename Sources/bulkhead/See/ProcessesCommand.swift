import Glibc
import SetInspection
import ShmRing
import StageRuntime
import SystemLog

extension Command {
  static let ps = Command(
    name: "ps", group: .see, summary: "list the processes of every set on this host",
    description: [
      "A line a process. STATE is what the process says of itself; `dead` for one that does not run, `never` for one that "
        + "has not begun yet. EPOCH is its incarnation, BEAT the time since its loop came round last, ARMED how many safety "
        + "actions there are for its failure (1/2 when an operator has disarmed one of two), LOG how much it writes to its log "
        + "(`bulkhead loglevel`).",
      "With --clean it removes what dead sets have left behind: directories of which no process runs and whose lock nobody holds. What "
        + "it did is written to the system's journal.",
    ],
    options: Option.ofSets + TableChoice.options(ProcessesCommand.columns) + Option.ofNumbers + [
      Option("--clean", "remove the files of sets that are dead; of all, or of --name"),
      Option("--dry-run", "with --clean: say what would be removed"),
      Option("--yes", "with --clean: do not ask; wanted where standard input is no terminal"),
    ],
    exitCodes: [
      .init(ExitCode.success, "shown, even when there are none; removed"),
      .init(ExitCode.failure, "with --clean: not removed"), .unreadable, .usage,
    ],
    examples: [
      .init("ps", "what runs here?"), .init("ps -o process,pid,log --no-headers --raw", "to be read by awk"),
      .init("ps --sort restarts --top 3", "who was restarted most"),
      .init("ps --clean --dry-run", "what have dead sets left behind?"),
    ]
  ) { arguments throws(ToolUsageError) in
    let choice = try TableChoice(arguments, of: ProcessesCommand.columns)
    let options = SetOptions(arguments)
    if arguments.has("--clean") { return try Cleaning(options, arguments).run() }
    for option in ["--dry-run", "--yes"] where arguments.has(option) {
      throw ToolUsageError(line: "\(option) goes with --clean")
    }
    return ProcessesCommand(
      options: options, choice: choice, show: arguments.presentation, output: .standard()
    ).run()
  }
}

struct ProcessesCommand {
  static let columns: [RowTable.Column] = [
    .init("instance"), .init("process"), .init("pid"), .init("state"), .init("epoch"), .init("uptime"),
    .init("beat"), .init("restarts"), .init("armed"), .init("configuration"), .init("log", isExtra: true),
    .init("sequence", isExtra: true), .init("backlog", isExtra: true),
    .init("slow", isExtra: true), .init("neighbour", isExtra: true),
  ]

  let options: SetOptions
  var choice = TableChoice()
  let show: Presentation
  let output: LineOutput

  func run() -> Int32 {
    let sets = options.samples()
    if options.json {
      output.line(JSONReport(schema: "ps").text(sets, write))
    } else {
      for line in lines(sets) { output.line(line) }
    }
    output.flush()
    return options.withUnreadable(ExitCode.success, pagesOf: sets)
  }

  func lines(_ sets: [SetReading]) -> [String] {
    var table = RowTable(Self.columns)
    for set in sets {
      for component in set.components {
        let isAlive = component.isAlive
        table.rows.append([
          .init(set.instance), .init(component.name),
          .init(component.pid > 0 ? String(component.pid) : "-", Double(component.pid)),
          .init(component.stateName),
          .init(String(component.epoch), component.epoch),
          isAlive
            ? .init(show.isRaw ? String(component.uptime) : age(component.uptime), component.uptime)
            : .init("-"),
          isAlive ? .init(show.span(component.beatAge).replacingSpaces, component.beatAge) : .init("-"),
          .init(show.count(component.restarts), component.restarts),
          .init(armed(component.name, set)),
          .init(hexadecimal(component.configurationHash)),
          .init(component.logLevel.name),
          .init(show.count(component.appliedSequence), component.appliedSequence),
          .init(show.count(component.backlog), component.backlog),
          .init(component.isDegraded ? "DEGRADED" : "-"),
          .init(component.neighbourCore.map { "core:\($0)" } ?? "-"),
        ])
      }
    }
    return table.lines(choice)
  }

  /// Of the safety actions for its failure: how many, and how many of them are armed if that is another number.
  private func armed(_ name: String, _ set: SetReading) -> String {
    let (all, disarmed) = set.armed(for: name)
    return all == 0 ? "-" : disarmed == 0 ? "\(all)" : "\(all - disarmed)/\(all)"
  }

  private func write(_ set: SetReading, to json: inout JSONText) {
    json.array("processes") { json in
      for component in set.components {
        json.object { json in
          json.field("name", component.name)
          json.field("pid", Int(component.pid))
          json.field("alive", component.isAlive)
          json.field("state", component.state.name)
          json.field("epoch", component.epoch)
          json.field("uptimeNanoseconds", component.isAlive ? component.uptime : 0)
          json.field("beatAgeNanoseconds", component.beatAge)
          json.field("restarts", component.restarts)
          let armed = set.armed(for: component.name)
          json.field("actions", armed.all)
          json.field("actionsDisarmed", armed.disarmed)
          json.field("configurationHash", hexadecimal(component.configurationHash))
          json.field("logLevel", component.logLevel.name)
          json.field("degraded", component.isDegraded)
          if let core = component.neighbourCore { json.field("neighbourCore", core) }
        }
      }
    }
  }
}

/// `bulkhead ps --clean`: what dead sets have left behind.
struct Cleaning {
  let options: SetOptions
  let isDryRun: Bool
  let isConfirmed: Bool
  var say: (String) -> Void = narrate

  init(_ options: SetOptions, _ arguments: CommandArguments) throws(ToolUsageError) {
    self.options = options
    isDryRun = arguments.has("--dry-run")
    isConfirmed = arguments.has("--yes")
    if arguments.isKept { throw ToolUsageError(line: "--clean removes nothing that --from leads to") }
  }

  func run() throws(ToolUsageError) -> Int32 {
    // Whose pages cannot all be read may live.
    let all = options.samples()
    let dead = all.filter { !$0.isAlive && !$0.rings.isAlive && $0.unreadable.isEmpty }
    let isUnread = !options.unreadable.isEmpty || all.contains { !$0.unreadable.isEmpty }
    var outcomes: [(set: SetReading, outcome: String, problem: String?)] = []
    for set in dead {
      let what = "\(set.directory) (\(set.instance), watchdogd epoch \(set.supervisor?.epoch ?? 0))"
      if isDryRun {
        outcomes.append((set, "would be removed", nil))
        if !options.json { print("would be removed: \(what)") }
        continue
      }
      guard try isAgreed(what) else {
        outcomes.append((set, "kept", nil))
        continue
      }
      let problem = removed(set)
      outcomes.append((set, problem == nil ? "removed" : "failed", problem))
      if let problem {
        say("bulkhead ps: \(set.directory): \(problem)")
      } else if !options.json {
        print("removed \(set.directory)")
      }
    }
    if options.json {
      print(report(outcomes))
    } else if dead.isEmpty, !isUnread {
      print("no dead set has left anything behind")
    }
    let isDone = outcomes.allSatisfy { $0.outcome == "removed" || $0.outcome == "would be removed" }
    return options.withUnreadable(isDone ? ExitCode.success : ExitCode.failure, say, pagesOf: all)
  }

  private func isAgreed(_ what: String) throws(ToolUsageError) -> Bool {
    if isConfirmed { return true }
    guard let confirm = ActingCommand.terminalConfirmation else {
      throw ToolUsageError(line: "--clean: --yes is wanted where nobody can be asked")
    }
    return confirm("remove \(what)?")
  }

  private func report(_ outcomes: [(set: SetReading, outcome: String, problem: String?)]) -> String {
    JSONReport(schema: "clean").text { json in
      json.array("sets") { json in
        for entry in outcomes {
          json.object { json in
            json.field("instance", entry.set.instance)
            if let status = entry.set.status { json.field("configurationHash", status.configuration) }
            json.field("directory", entry.set.directory)
            json.field("outcome", entry.outcome)
            if let problem = entry.problem { json.field("problem", problem) }
          }
        }
      }
    }
  }

  /// Removes it, and writes that down; what went wrong.
  private func removed(_ set: SetReading) -> String? {
    let problem = remove(set)
    ProcessLog.audit(
      instance: set.instance, verb: "ps --clean",
      text: "\(set.directory): \(problem ?? "removed")", outcome: problem == nil ? "done" : "refused",
      epoch: set.supervisor?.epoch ?? 0)
    return problem
  }

  /// What kept it from being removed. The lock is held meanwhile: a set of this name cannot start.
  private func remove(_ set: SetReading) -> String? {
    let lock = "\(options.runDirectory)/\(set.instance).lock"
    let descriptor = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { return "its lock cannot be opened: \(String(cString: strerror(errno)))" }
    defer { close(descriptor) }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { return "a watchdogd holds its lock" }
    // Between the look and the lock a set may have come and gone; one that has come is another by its files.
    guard let again = SetDirectory(instance: set.instance, path: set.directory),
      !again.components().contains(where: { $0.isAlive })
    else { return "it has changed meanwhile" }
    InstanceFiles.remove(directory: set.directory, runDirectory: options.runDirectory)
    return access(set.directory, F_OK) == 0 ? "not everything could be removed" : nil
  }
}

extension String {
  /// "3.4 ms" → "3.4ms": one word of a table.
  var replacingSpaces: String { String(filter { $0 != " " }) }
}
