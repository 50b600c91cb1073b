import Drills
import FeedSim
import StageRuntime

/// What `bulkhead drill` was asked for.
struct DrillOptions {
  enum Action: Equatable {
    case list
    case run([String])
    case replay(path: String)
  }

  var action = Action.list
  /// Kills of each drill; nil for 200.
  var kills: Int?
  var seed: UInt64 = 1
  /// Messages of a round's day.
  var messages: UInt64 = 1_500_000
  /// Orders that are live from each day's first blow to its last; nil for as many as come of the flow.
  var liveOrders: Int?
  /// Messages of a day in front of its flow: there are no blows yet.
  var openingMessages: UInt64 { UInt64(liveOrders.map(DayConfiguration.openingOrders(for:)) ?? 0) }
  /// For how long a drill goes on that counts no kills.
  var seconds: UInt64 = 180
  /// The same as somebody asked for them; else a drill's own figures hold.
  var givenMessages: UInt64? { didSet { messages = givenMessages ?? messages } }
  var givenSeconds: UInt64? { didSet { seconds = givenSeconds ?? seconds } }
  /// Messages a second of a soak; nil for half of what the machine takes at that moment.
  var rate: UInt64?
  var jsonPath: String?
  var json = false
  var judgesTimes = true
  var overrides: [String] = []

  init(_ arguments: CommandArguments) throws(ToolUsageError) {
    switch arguments.action {
    case "run":
      var ids: [String] = []
      for word in arguments.operands {
        guard let drill = Drill.named(word) else {
          let nearest = nearestName(word, among: Drill.catalogue.map(\.id)).map { "; did you mean \($0)?" }
          throw ToolUsageError(line: "unknown drill `\(word)`\(nearest ?? "")")
        }
        ids.append(drill.id)
      }
      action = .run(ids)
    case "replay": action = .replay(path: arguments.operands.first ?? "")
    default: action = .list
    }
    kills = arguments.number("--kills").map(Int.init(clamping:))
    seed = arguments.number("--seed") ?? seed
    givenMessages = arguments.number("--messages")
    givenSeconds = arguments.number("--seconds")
    messages = givenMessages ?? messages
    seconds = givenSeconds ?? seconds
    liveOrders = arguments.number("--live-orders").map(Int.init(clamping:))
    rate = arguments.number("--rate")
    jsonPath = arguments.value("--record")
    json = arguments.has("--json")
    judgesTimes = !arguments.has("--no-times")
    overrides = arguments.values("--set")
  }

  init() {}

  /// With the drill's own figures where nobody gave others.
  func fitted(to drill: Drill) -> DrillOptions {
    var result = self
    result.messages = (givenMessages ?? drill.messages ?? messages) + openingMessages
    result.seconds = givenSeconds ?? drill.seconds ?? seconds
    return result
  }
}

extension Command {
  static let drill = Command(
    name: "drill", group: .prove,
    summary: "kill and stop processes of a set under load, and judge what came out",
    description: [
      "Runs a real set under full load, does something to it, and judges what its readers saw. Every event is read by a "
        + "reader of the drill's own, and the books are compared with those of the same messages without the pipeline."
    ],
    actions: [
      Action("list", "the drills that there are"),
      Action(
        "run", "run drills, one after the other",
        operands: [Operand(.drill, "a drill's number, as in D-02", isRepeatable: true)]),
      Action(
        "replay", "run the drills of a record again, with the same seed",
        operands: [Operand(.file("RECORD"), "what --record wrote")]),
    ],
    options: [
      Option("--kills", .number("N", 1...100_000), "kills of each drill (200)"),
      Option("--seed", .number("S", 1...(1 << 40)), "seed of the days, the moments and the victims (1)"),
      Option(
        "--messages", .number("N", 1...100_000_000),
        "messages of a round; a drill runs as many rounds as its kills need (1500000; D-44 12 and D-46 30 million)"
      ),
      Option(
        "--live-orders", .number("N", 1...40_000_000),
        "live orders that a day begins with, in front of its messages, and keeps (as many as come of its messages)"
      ),
      Option(
        "--seconds", .number("N", 1...1_000_000),
        "how long a drill goes on that counts no kills (180; D-44 and D-46 3600)"),
      Option(
        "--rate", .number("N", 1...1_000_000_000),
        "messages a second of D-44 (half of what the set takes when the drill begins)"),
      Option(
        "--no-times", "report durations but do not judge them: for a machine that is busy with other things"),
      .set, Option("--json", "results as JSON lines on standard output"),
      Option("--record", .file("FILE"), "write the whole record there"),
    ],
    exitCodes: [
      .init(ExitCode.success, "every criterion holds"), .init(ExitCode.failure, "one does not"), .usage,
      .init(ExitCode.malformedInput, "the file is no record of drills"),
      .init(ExitCode.unavailable, "a set could not be started, or the record not written"),
    ],
    examples: [
      .init("drill run D-02 --kills 20", "kill the merger under full load"),
      .init("drill replay drills.json", "the same again"),
    ]
  ) { arguments throws(ToolUsageError) in drillCommand(try DrillOptions(arguments)) }
}
