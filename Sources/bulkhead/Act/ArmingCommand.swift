import CLinux
import Glibc
import SetInspection
import StageRecords
import StageRuntime
import Supervision

/// One request about a safety action: named, confirmed, asked for, and what came of it told.
struct ArmingCommand {
  let verb: ControlVerb
  /// As it was given: `ACTION` or `STAGE:ACTION`.
  let operand: String
  let options: SetOptions
  let given: RequestArguments
  var say: (String) -> Void = narrate
  /// Asks a person; nil where there is none.
  var confirm: ((String) -> Bool)? = ActingCommand.terminalConfirmation

  init(_ verb: ControlVerb, _ arguments: CommandArguments) throws(ToolUsageError) {
    self.verb = verb
    operand = arguments.operands.first ?? ""
    options = SetOptions(arguments)
    given = try RequestArguments(arguments)
  }

  /// Stage ("" for any) and name of what was given.
  var target: (stage: String, action: String) {
    let parts = operand.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    return parts.count == 2 ? (String(parts[0]), String(parts[1])) : ("", operand)
  }

  func run() throws(ToolUsageError) -> Int32 {
    let set: SetDirectory
    let supervisor: SetReading.Component
    switch try SupervisorRequest.findSet(options) {
    case .failure(let failure):
      say("bulkhead \(verb.name): \(failure.line)")
      return failure.code
    case .success(let found): (set, supervisor) = (found.directory, found.supervisor)
    }
    try checkName(set)
    // The table is watchdogd's: its incarnation is the one that is meant.
    let request = given.request(
      verb, component: target.stage, action: target.action, current: supervisor.epoch)
    let subject =
      "\(operand) of \(set.instance) (watchdogd process \(supervisor.pid), epoch \(request.epoch))"
    guard try given.isAgreed("\(verb.name) \(subject)", confirm) else {
      say("bulkhead \(verb.name): not done")
      return ExitCode.failure
    }
    switch SupervisorRequest.send(request, directory: set.path) {
    case .failure(let failure):
      say("bulkhead \(verb.name): \(failure.line)")
      return failure.code
    case .success(let answer): return tell(answer, set)
    }
  }

  /// Refuses a name that nothing armed has, with the nearest one that something has.
  private func checkName(_ set: SetDirectory) throws(ToolUsageError) {
    guard let armed = TrustStatus(directory: set.path), !armed.actions.isEmpty else {
      throw ToolUsageError(line: "\"\(set.instance)\" has no safety actions")
    }
    let addresses = armed.actions.indices.map(armed.address)
    let names = addresses.map { String($0[$0.index(after: $0.firstIndex(of: ":") ?? $0.startIndex)...]) }
    guard !addresses.contains(operand), !names.contains(operand) else { return }
    let candidates = unique(target.stage.isEmpty ? names : addresses)
    let nearest =
      BookOptions.nearest(to: operand, among: candidates, count: 1).first.map { "; did you mean `\($0)`?" }
      ?? ""
    throw ToolUsageError(
      line:
        "\"\(set.instance)\" has no action `\(operand)`\(nearest) There are: \(unique(addresses).joined(separator: ", "))"
    )
  }

  private func unique(_ names: [String]) -> [String] {
    var seen: Set<String> = []
    return names.filter { seen.insert($0).inserted }
  }

  func tell(_ answer: ControlAnswer, _ set: SetDirectory) -> Int32 {
    if options.json {
      print(report(answer, set))
    } else if let refusal = answer.refusal {
      say("bulkhead \(verb.name): \(refusal)")
    } else if answer.outcome == .accepted {
      print(given.words(of: answer))
      for line in MessageText.lines(answer.message) { print(line) }
    } else {
      print(answer.text)
    }
    return answer.exitCode
  }

  func report(_ answer: ControlAnswer, _ set: SetDirectory) -> String {
    JSONReport(schema: "action", of: set).text { json in
      json.field("verb", verb.name)
      json.field("action", operand)
      json.field("dryRun", given.isDryRun)
      json.field("outcome", "\(answer.outcome)")
      json.field("text", answer.text)
      guard !answer.message.isEmpty else { return }
      json.object("message") { json in
        json.field("bytes", MessageText.hexadecimal(answer.message[...]))
        json.array("fields") { json in
          for field in MessageText.fields(answer.message) {
            json.object { json in
              json.field("tag", field.tag)
              json.field("name", field.name)
              json.field("value", field.value)
            }
          }
        }
      }
    }
  }
}

extension Command {
  private static let safetyAction = Operand(
    .safetyAction, "a safety action, as `bulkhead status` names it; STAGE:ACTION for that of one stage alone")

  private static let ofArming: [Option] =
    [.json, .name, .runDirectory] + ofRequests + [
      confirmed,
      Option(
        "--epoch", .number("N", 0...UInt64.max),
        "the incarnation of watchdogd that is meant, as `bulkhead ps` shows it; refused if it is another by then"
      ),
    ]

  static let arm = Command(
    name: "arm", group: .act, summary: "arm a safety action again, and take back what was fired by hand",
    description: [
      "One that was disarmed is fired again when its stage fails. What a firing by hand left standing is taken back: a "
        + "line is joined again, and a mark on the stream is lifted as soon as every stage has shown that it is well.",
      writtenDown,
    ],
    operands: [safetyAction], options: ofArming, exitCodes: actingCodes,
    examples: [.init("arm cancel-all --yes", "have it back, for every stage")]
  ) { arguments throws(ToolUsageError) in try ArmingCommand(.arm, arguments).run() }

  static let disarm = Command(
    name: "disarm", group: .act, summary: "take a safety action out: whatever fails, it is not fired",
    description: [
      "It is said whenever it was due. Outlives watchdogd, not the set; `bulkhead status` is DEGRADED meanwhile.",
      writtenDown,
    ],
    operands: [safetyAction], options: ofArming, exitCodes: actingCodes,
    examples: [
      .init("disarm bookd:cancel-all --reason 'venue test' --yes", "for the failure of one stage alone")
    ]
  ) { arguments throws(ToolUsageError) in try ArmingCommand(.disarm, arguments).run() }

  static let fire = Command(
    name: "fire", group: .act, summary: "fire a safety action now",
    description: [
      "The same prepared message, on the same way, as when a stage fails. A message is sent once. Everything else stands "
        + "until `bulkhead arm`. With --dry-run nothing is sent: what would be is shown byte by byte and, of a FIX "
        + "message, field by field.",
      writtenDown,
    ],
    operands: [safetyAction], options: ofArming, exitCodes: actingCodes,
    examples: [
      .init("fire cancel-all --dry-run", "what would be sent, byte by byte?"),
      .init("fire merged:mark_stale --reason 'wrong prices' --yes", "warn every reader, until `arm`"),
    ]
  ) { arguments throws(ToolUsageError) in try ArmingCommand(.fire, arguments).run() }
}
