import CLinux
import Glibc
import SetInspection
import ShmRing
import StageRecords
import StageRuntime
import Supervision

/// What `bulkhead events` was asked for.
struct EventsOptions: Equatable {
  var set = SetOptions()
  var follow = false
  var show = Presentation()

  init(_ arguments: CommandArguments) {
    set = SetOptions(arguments)
    follow = arguments.has("--follow")
    show = arguments.presentation
  }

  static func parse(_ arguments: [String]) throws(ToolUsageError) -> EventsOptions {
    EventsOptions(try CommandArguments(arguments, of: .events))
  }
}

extension Command {
  static let events = Command(
    name: "events", group: .see, summary: "show what the supervisor did and saw: starts, deaths, alarms",
    description: [
      "Oldest first: starts, deaths with their causes, READY, alarms, actions. Reads the set's status ring only; works on "
        + "a dead set too."
    ],
    options: Option.ofSets + [
      Option("--follow", "go on with what comes, until the set is stopped or this command is interrupted")
    ] + Option.ofTimes,
    exitCodes: [
      .init(ExitCode.success, "shown"), .notRunning, .init(ExitCode.cannotTell, "the ring cannot be read"),
      .usage,
    ],
    examples: [
      .init("events --follow", "what the supervisor does, as it does it"),
      .init("events --json --name demo", "an object a line"),
    ]
  ) { arguments in EventsCommand(options: EventsOptions(arguments), output: .standard()).run() }
}

/// The running command.
struct EventsCommand {
  let options: EventsOptions
  let output: LineOutput
  var say: (String) -> Void = narrate

  func run() -> Int32 {
    let sets = SetDirectory.discover(runDirectory: options.set.runDirectory, name: options.set.name)
    guard !sets.isEmpty else { return options.set.absenceCode(say) }
    if options.follow, sets.count > 1 {
      say("bulkhead events: several sets: name one with --name")
      return ExitCode.usage
    }
    var code = ExitCode.success
    for set in sets { code = max(code, show(set)) }
    output.flush()
    return options.set.withUnreadable(code, say)
  }

  private func show(_ set: SetDirectory) -> Int32 {
    do {
      var reader = try StatusReader(directory: set.path)
      if !reader.reachesBack { loss(set) }
      repeat {
        while let found = reader.next() {
          switch found {
          case .record(let record): line(record, set)
          case .lost: loss(set)
          }
        }
        output.flush()
        if options.follow { usleep(20_000) }
      } while options.follow && output.isOpen && !bulkhead_stop_requested()
        && SetDirectory.discover(runDirectory: options.set.runDirectory, name: set.instance).count == 1
      return ExitCode.success
    } catch {
      say("bulkhead events: \(error)")
      return ExitCode.cannotTell
    }
  }

  /// Some were overwritten before they could be read: nobody is to take what comes for everything.
  private func loss(_ set: SetDirectory) {
    output.line(
      options.set.json
        ? JSONReport(schema: "events", of: set).text { $0.field("event", Self.lost) }
        : "older events are not retained")
  }

  /// What stands for events that are no longer there; no event has this name.
  static let lost = "events lost"

  private func line(_ record: SupervisionRecord, _ set: SetDirectory) {
    if options.set.json {
      let text = JSONReport(schema: "events", of: set).text { json in
        json.field("time", StatusReader.timeOfDay(record.instant))
        json.field("monotonic", record.instant)
        json.field("event", record.event.name)
        json.field("component", record.component)
        if record.pid != 0 { json.field("pid", Int(record.pid)) }
        if record.epoch != 0 { json.field("epoch", record.epoch) }
        if record.event == .action {
          json.field("result", ActionResult(rawValue: record.tier)?.name ?? "unknown")
          json.field("durationNanoseconds", Int(record.code))
        } else if let tier = LivenessTier(rawValue: record.tier), tier != .clear {
          json.field("tier", tier.name)
        }
        if record.event == .alarm, let missing = record.missing { json.field("missing", missing.name) }
        if record.isOfCore { json.field("core", Int(record.code)) }
        if let cause = record.causeText { json.field("cause", cause) }
        if record.event == .upgrade, let step = UpgradeStep(rawValue: record.code) {
          json.field("step", step.name)
        }
        if record.value != 0 { json.field("value", record.value) }
        if record.event == .requested { json.field("user", UInt64(UInt32(bitPattern: record.code))) }
        if !record.remark.isEmpty { json.field(record.event == .action ? "action" : "reason", record.remark) }
      }
      output.line(text)
      return
    }
    var text =
      options.show.time(StatusReader.timeOfDay(record.instant), decimals: 6) + "  "
      + column(record.component, 12)
    text += column(record.event.name, 20)
    if record.pid != 0 { text += "process \(record.pid)" }
    if record.epoch != 0 { text += ", epoch \(record.epoch)" }
    text += record.particulars
    output.line(text)
  }
}
