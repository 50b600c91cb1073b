import SetInspection
import ShmRing
import StageRecords
import StageRuntime
import Supervision
import SystemLog

extension Command {
  static let loglevel = Command(
    name: "loglevel", group: .act, summary: "change how much a component writes to its log",
    description: [
      "From the next line on, without a restart: lines that are less urgent than LEVEL are not written. `info` is the usual "
        + "level, `debug` adds states and steps, `usual` takes an earlier wish back. It outlives the component and watchdogd, "
        + "not the set. Requests of operators are written whatever the level is. `bulkhead ps -o process,log` shows it.",
      writtenDown,
    ],
    operands: [
      Operand(.process, "a component of the set, as `bulkhead ps` names it"),
      Operand(.choice(LogLevel.allCases.map(\.name) + ["usual"]), "the least urgent level that is written"),
    ],
    options: ofAsking + [
      Option(
        "--for", .seconds("SECONDS", 1...604_800), "the usual level is back after so long; otherwise it stays"
      )
    ],
    exitCodes: actingCodes,
    examples: [
      .init("loglevel bookd debug --for 600", "ten minutes of details"),
      .init("loglevel bookd usual", "no more of them"),
    ]
  ) { arguments throws(ToolUsageError) in
    let level = arguments.operands.last.flatMap(LogLevel.init(name:))
    let seconds = UInt32(clamping: (arguments.nanoseconds("--for") ?? 0) / 1_000_000_000)
    let wish = LogWish(level: level?.rawValue ?? 0, seconds: level == nil ? 0 : seconds)
    return try AskingCommand(.logLevel, component: arguments.operands.first ?? "", arguments, wish.argument)
      .run {
        _, _ in ExitCode.success
      }
  }

  /// What a command takes that asks watchdogd for something that ends nothing.
  static let ofAsking: [Option] =
    [
      .name, .runDirectory, .json, epochThatIsMeant,
    ] + ofRequests
}

/// Something that is asked of watchdogd and ends nothing: nobody has to confirm it.
struct AskingCommand {
  let verb: ControlVerb
  let component: String
  let options: SetOptions
  let given: RequestArguments
  let argument: UInt64
  var say: (String) -> Void = narrate

  init(
    _ verb: ControlVerb, component: String, _ arguments: CommandArguments, _ argument: UInt64 = 0
  ) throws(ToolUsageError) {
    self.verb = verb
    self.component = component
    options = SetOptions(arguments)
    given = try RequestArguments(arguments)
    self.argument = argument
  }

  /// - Parameter follow: what to do once it is accepted, with the set and its page as it was before.
  func run(
    follow: (SetDirectory, SetReading.Component) -> Int32
  ) throws(ToolUsageError) -> Int32 {
    let set: SetDirectory
    let before: SetReading
    switch try SupervisorRequest.findSet(options) {
    case .failure(let failure):
      say("bulkhead \(verb.name): \(failure.line)")
      return failure.code
    case .success(let found): (set, before) = (found.directory, found.reading)
    }
    guard let target = before.component(component) else {
      let names = before.components.map(\.name)
      let nearest =
        BookOptions.nearest(to: component, among: names, count: 1).first
        .map { "; did you mean `\($0)`?" } ?? ""
      throw ToolUsageError(
        line: "\"\(set.instance)\" has no component `\(component)`\(nearest) There are: "
          + names.joined(separator: ", "))
    }
    let request = given.request(verb, component: component, current: target.epoch, argument: argument)
    switch SupervisorRequest.send(request, directory: set.path) {
    case .failure(let failure):
      say("bulkhead \(verb.name): \(failure.line)")
      return failure.code
    case .success(let answer):
      let goesOn = answer.refusal == nil && verb != .logLevel && !given.isDryRun
      if options.json {
        // Of what goes on, the end is told.
        if !goesOn { print(AskedReport(set, verb, component: component, given).text(answer)) }
      } else if let refusal = answer.refusal {
        say("bulkhead \(verb.name): \(refusal)")
      } else {
        print(given.words(of: answer))
      }
      if answer.refusal != nil { return answer.exitCode }
      return given.isDryRun ? ExitCode.success : follow(set, target)
    }
  }
}
