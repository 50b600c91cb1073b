import Reliability
import SetInspection
import StageRuntime

/// What `bulkhead reliability` was asked for.
struct ReliabilityOptions {
  var topologyPath: String?
  var overrides: [(keyPath: String, value: String)] = []
  var drills: String?
  /// Seconds, by element.
  var betweenFailures: [String: Double] = [:]
  var toRepair: [String: Double] = [:]
  var commonCausePercent = 5.0
  var switchSeconds = 1.0
  var json = false

  init(_ arguments: CommandArguments) throws(ToolUsageError) {
    topologyPath = arguments.value("--topology")
    overrides = try topologyOverrides(arguments.values("--set"))
    drills = arguments.value("--drills")
    betweenFailures = try Self.times(arguments, "--mtbf")
    toRepair = try Self.times(arguments, "--mttr")
    commonCausePercent = Double(arguments.number("--common-cause") ?? 5)
    json = arguments.has("--json")
    if let text = arguments.value("--switch") {
      guard let seconds = ServiceTime.seconds(text) else {
        throw ToolUsageError(line: "--switch \(text): wants a time, for instance 1s")
      }
      switchSeconds = seconds
    }
  }

  private static func times(
    _ arguments: CommandArguments, _ option: String
  ) throws(ToolUsageError) -> [String: Double] {
    var times: [String: Double] = [:]
    for text in arguments.values(option) {
      guard let equals = text.firstIndex(of: "="), equals != text.startIndex,
        let seconds = ServiceTime.seconds(String(text[text.index(after: equals)...])), seconds > 0
      else {
        throw ToolUsageError(line: "\(option) \(text): wants NAME=TIME, for instance host=1y or merged=300ms")
      }
      times[String(text[..<equals])] = seconds
    }
    return times
  }
}

extension Command {
  static let reliability = Command(
    name: "reliability", group: .prove,
    summary: "compute how available the stream is, and what would help most",
    description: [
      "Availability, cut sets and importance, computed over every state of the topology's parts: from the repair times of a "
        + "drill record and from assumptions. Each figure says which it is; what it all rests on is printed with it."
    ],
    options: [
      .json, Option("--topology", .file("FILE"), "the set; without it the embedded default"), .set,
      Option(
        "--drills", .file("FILE"),
        "a record of drill run --record (\(DrilledRepairs.defaultPath), if it is there)"),
      Option(
        "--mtbf", .text("NAME=TIME"),
        "mean time between failures of host, line, line@a, stage, or one stage: 30d, 1y",
        isRepeatable: true),
      Option(
        "--mttr", .text("NAME=TIME"), "mean time to repair of the same: 600s, 300ms", isRepeatable: true),
      Option(
        "--common-cause", .number("PERCENT", 0...100), "of two hosts: what share of failures hits both (5)"),
      Option("--switch", .text("TIME"), "of two hosts: how long a switch takes (1s)"),
    ],
    exitCodes: [
      .init(ExitCode.success, "computed"), .usage, .init(ExitCode.noInput, "the record cannot be read"),
      .init(ExitCode.configuration, "the topology is not accepted"),
    ],
    examples: [
      .init("reliability --drills drills.json", "with the repair times that the drills measured"),
      .init("reliability --mtbf host=2y --mttr host=15min", "with another host"),
    ]
  ) { arguments throws(ToolUsageError) in try reliabilityCommand(arguments) }
}
