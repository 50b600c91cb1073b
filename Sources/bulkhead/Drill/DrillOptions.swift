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
  /// For how long chaos goes on, in seconds.
  var seconds: UInt64 = 180
  var jsonPath: String?
  var json = false
  var judgesTimes = true
  var overrides: [String] = []

  static let usage = """
    usage: bulkhead drill list [--json]
           bulkhead drill run ID... [option]...
           bulkhead drill replay RECORD
    Runs a real set under full load, does something to it, and judges what its readers saw. Every event is read by a
    reader of the drill's own, and the books are compared with those of the same messages without the pipeline.

      --kills N      kills of each drill (200)
      --seed S       seed of the days, the moments and the victims (1)
      --messages N   messages of a round; a drill runs as many rounds as its kills need (1500000)
      --seconds N    how long a drill goes on that counts no kills (180)
      --no-times     report durations but do not judge them: for a machine that is busy with other things
      --set KEY=VALUE  override a key of the topology (repeatable)
      --json         results as JSON lines on standard output
      --record FILE  write the whole record there; `replay` runs the same drills again with the same seed
    Exit: 0 every criterion holds, 1 one does not, 69 a set could not be started.
    """

  static func parse(_ arguments: [String]) throws(ToolUsageError) -> DrillOptions {
    var options = DrillOptions()
    var rest = arguments[...]
    guard let verb = rest.popFirst() else { throw ToolUsageError(line: "wants list, run or replay") }
    switch verb {
    case "list": options.action = .list
    case "run": options.action = .run([])
    case "replay":
      guard let path = rest.popFirst() else { throw ToolUsageError(line: "replay wants a record's path") }
      options.action = .replay(path: path)
    default: throw ToolUsageError(line: "unknown action `\(verb)`: wants list, run or replay")
    }
    var ids: [String] = []
    while let argument = rest.first {
      switch argument {
      case "--kills": options.kills = Int(try number(&rest, atMost: 100_000))
      case "--seed": options.seed = try number(&rest, atMost: 1 << 40)
      case "--messages": options.messages = try number(&rest, atMost: 100_000_000)
      case "--seconds": options.seconds = try number(&rest, atMost: 1_000_000)
      case "--record": options.jsonPath = try ToolUsageError.value(&rest)
      case "--set": options.overrides.append(try ToolUsageError.value(&rest))
      case "--json":
        rest.removeFirst()
        options.json = true
      case "--no-times":
        rest.removeFirst()
        options.judgesTimes = false
      default:
        guard case .run = options.action, !argument.hasPrefix("-") else {
          throw ToolUsageError(line: "unknown argument `\(argument)`")
        }
        rest.removeFirst()
        guard let drill = Drill.named(argument) else {
          let nearest = nearestName(argument, among: Drill.catalogue.map(\.id)).map {
            "; did you mean \($0)?"
          }
          throw ToolUsageError(line: "unknown drill `\(argument)`\(nearest ?? "")")
        }
        ids.append(drill.id)
      }
    }
    if case .run = options.action {
      guard !ids.isEmpty else {
        throw ToolUsageError(line: "run wants the numbers of drills; `bulkhead drill list` shows them")
      }
      options.action = .run(ids)
    }
    return options
  }

  private static func number(
    _ rest: inout ArraySlice<String>, atMost limit: UInt64
  ) throws(ToolUsageError) -> UInt64 {
    let option = rest.first ?? ""
    let text = try ToolUsageError.value(&rest)
    guard let number = UInt64(text), (1...limit).contains(number) else {
      throw ToolUsageError(line: "\(option) \(text): wants a whole number from 1 to \(limit)")
    }
    return number
  }
}
