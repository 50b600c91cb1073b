import SetInspection
import ShmRing
import StageRuntime

extension Command {
  static let check = Command(
    name: "check", group: .decide, summary: "judge a set for a monitoring system",
    description: [
      "processes: critical when one does not run or watchdogd is dead, warning when one is not READY. lines: warning when "
        + "one is down, critical when both are. rings: the lag of the slowest reader, in percent of the retention (70, "
        + "95). gaps: open ones (1, 100); critical when something was lost or the lines disagreed. trust: critical "
        + "when books may be wrong. clients: evicted since pubd began (1, never).",
      "Every set that is found is judged, or the one named; none at all is critical, one that cannot be read unknown.",
    ],
    operands: [
      Operand(
        .choice(SetCheck.Area.allCases.map(\.rawValue) + ["all"]), "what is judged (all)", isOptional: true)
    ],
    options: [
      .from, .name, .runDirectory,
      Option("--format", .choice(["nagios", "json", "prometheus", "text"]), "nagios is the default"),
      Option("--warn", .number("N", 0...UInt64.max), "rings, gaps, clients: warning from this value on"),
      Option("--critical", .number("N", 0...UInt64.max), "rings, gaps, clients: critical from this value on"),
    ],
    exitCodes: [
      .init(0, "OK"), .init(1, "WARNING"), .init(2, "CRITICAL"), .init(3, "UNKNOWN"), .usage,
    ],
    examples: [
      .init("check --name demo", "everything, for a plug-in of Nagios"),
      .init("check rings --warn 50 --critical 90 --format json", "one thing, with other thresholds"),
    ]
  ) { arguments throws(ToolUsageError) in try CheckCommand(arguments, output: .standard()).run() }
}

/// What a monitoring system is told about one thing.
struct SetCheck {
  enum Area: String, CaseIterable {
    case processes, lines, rings, gaps, trust, clients

    /// Whether a value of it is compared with thresholds, and with which.
    var thresholds: (warn: UInt64, critical: UInt64?)? {
      switch self {
      case .rings: (70, 95)
      case .gaps: (1, 100)
      case .clients: (1, nil)
      default: nil
      }
    }
  }

  enum Level: Int, Comparable {
    case ok, warning, critical, unknown

    static func < (left: Level, right: Level) -> Bool { left.weight < right.weight }
    /// Critical is worse than unknown.
    private var weight: Int { [0, 1, 3, 2][rawValue] }
    var name: String { ["OK", "WARNING", "CRITICAL", "UNKNOWN"][rawValue] }
  }

  let instance: String
  let area: Area
  var level: Level
  var text: String
  /// Measured, with its unit.
  var value: Double
  var unit = ""
  var warn: UInt64?
  var critical: UInt64?

  init(_ area: Area, of set: SetReading, warn: UInt64? = nil, critical: UInt64? = nil) {
    instance = set.instance
    self.area = area
    level = .ok
    text = ""
    value = 0
    if let thresholds = area.thresholds {
      self.warn = warn ?? thresholds.warn
      self.critical = critical ?? thresholds.critical
    }
    guard !set.components.isEmpty else {
      (level, text) = (.unknown, "no control page can be read")
      return
    }
    switch area {
    case .processes: judgeProcesses(set)
    case .lines: judgeLines(set)
    case .rings: judgeRings(set)
    case .gaps: judgeGaps(set)
    case .trust: judgeTrust(set)
    case .clients: judgeClients(set)
    }
  }

  /// Of a set that cannot be looked into.
  init(_ set: SetDirectory.Unreadable) {
    instance = set.instance
    area = .processes
    level = .unknown
    text = "cannot be read: \(set.text)"
    value = 0
  }

  private mutating func judgeProcesses(_ set: SetReading) {
    let dead = set.components.filter { !$0.isAlive }
    let unready = set.stages.filter { $0.isAlive && !$0.isReady }
    value = Double(set.components.count - dead.count)
    if !dead.isEmpty {
      (level, text) = (.critical, dead.map { "\($0.name) \($0.stateName)" }.joined(separator: ", "))
    } else if !set.unreadable.isEmpty {
      (level, text) = (
        .unknown, "cannot be read: \(set.unreadable.map(\.text).joined(separator: ", "))"
      )
    } else if !unready.isEmpty {
      (level, text) = (.warning, unready.map { "\($0.name) \($0.state.name)" }.joined(separator: ", "))
    } else {
      text = "\(set.components.count) run, every stage READY"
    }
  }

  private mutating func judgeLines(_ set: SetReading) {
    guard let status = set.status, set.component("merged")?.isAlive == true else {
      (level, text) = (.unknown, "merged does not run")
      return
    }
    let down = status.lines.filter { !$0.isUp }
    value = Double(status.lines.count - down.count)
    text = down.isEmpty ? "both up" : down.map { "line \($0.name) down" }.joined(separator: ", ")
    level = down.isEmpty ? .ok : down.count < status.lines.count ? .warning : .critical
  }

  private mutating func judgeRings(_ set: SetReading) {
    value = set.highestLag
    unit = "%"
    text = set.rings.reason
    compare()
    if set.rings.verdict == .unknown { level = max(level, .unknown) }
    if set.rings.verdict == .lapped { level = .critical }
  }

  private mutating func judgeGaps(_ set: SetReading) {
    let open = set.value("merged", MergeCounter.gapsOpen)
    let lost = set.value("merged", MergeCounter.gapsUnrecoverable)
    let disagreements = set.value("merged", MergeCounter.lineDisagreements)
    value = Double(open)
    var parts = ["\(grouped(open)) open"]
    if lost > 0 { parts.append("\(grouped(lost)) lost for good") }
    if disagreements > 0 { parts.append("the lines disagreed about \(grouped(disagreements)) messages") }
    text = parts.joined(separator: ", ")
    compare()
    if lost > 0 || disagreements > 0 { level = .critical }
  }

  private mutating func judgeTrust(_ set: SetReading) {
    guard let status = set.status else {
      (level, text) = (.unknown, "no control page can be read")
      return
    }
    text = status.reason
    switch status.verdict {
    case .live: value = 1
    case .degraded: (value, level) = (1, .warning)
    case .stale, .down: level = .critical
    }
  }

  private mutating func judgeClients(_ set: SetReading) {
    guard let publisher = set.component("pubd") else {
      (level, text) = (.unknown, "the set has no pubd")
      return
    }
    let evicted = publisher.value(PublishCounter.clientsEvicted)
    value = Double(evicted)
    text = "\(grouped(publisher.value(PublishCounter.clients))) connected, \(grouped(evicted)) evicted"
    compare()
    if !publisher.isAlive { (level, text) = (.critical, "pubd does not run") }
  }

  private mutating func compare() {
    if let critical, value >= Double(critical) {
      level = .critical
    } else if let warn, value >= Double(warn) {
      level = .warning
    }
  }
}

struct CheckCommand {
  let options: SetOptions
  let areas: [SetCheck.Area]
  let format: String
  let warn: UInt64?
  let critical: UInt64?
  let output: LineOutput

  init(_ arguments: CommandArguments, output: LineOutput) throws(ToolUsageError) {
    options = SetOptions(name: arguments)
    areas =
      arguments.operands.first.flatMap(SetCheck.Area.init(rawValue:)).map { [$0] } ?? SetCheck.Area.allCases
    format = arguments.value("--format") ?? "nagios"
    warn = arguments.number("--warn")
    critical = arguments.number("--critical")
    self.output = output
    if warn != nil || critical != nil, areas.count > 1 || areas.first?.thresholds == nil {
      throw ToolUsageError(line: "--warn and --critical need one of rings, gaps, clients")
    }
  }

  func run() -> Int32 {
    let sets = options.samples()
    let checks =
      sets.flatMap { set in areas.map { SetCheck($0, of: set, warn: warn, critical: critical) } }
      + options.unreadable.map { SetCheck($0) }
    let level = checks.map(\.level).max() ?? .critical
    switch format {
    case "json": output.line(json(sets, checks, level))
    case "prometheus": for line in prometheus(checks) { output.line(line) }
    case "text":
      output.line("\(level.name)  " + (checks.isEmpty ? options.absence : summary(checks)))
      let rows = checks.map { [$0.level.name, $0.instance, $0.area.rawValue, $0.text] }
      for line in aligned(rows) { output.line(line) }
    default: output.line(nagios(checks, level))
    }
    output.flush()
    return Int32(level.rawValue)
  }

  /// The worst of it, in words.
  private func summary(_ checks: [SetCheck]) -> String {
    let bad = checks.filter { $0.level != .ok }.sorted { $0.level > $1.level }
    if bad.isEmpty {
      return checks.count == 1
        ? "\(checks[0].instance) \(checks[0].area.rawValue): \(checks[0].text)"
        : "\(Set(checks.map(\.instance)).sorted().joined(separator: ", ")): \(checks.count) checks good"
    }
    return bad.map { "\($0.instance) \($0.area.rawValue): \($0.text)" }.joined(separator: "; ")
  }

  /// One line: verdict, words, and behind a bar what was measured, as value;warn;critical.
  private func nagios(_ checks: [SetCheck], _ level: SetCheck.Level) -> String {
    let words = checks.isEmpty ? options.absence : summary(checks)
    let hasManySets = Set(checks.map(\.instance)).count > 1
    let data = checks.map { check in
      let name = hasManySets ? "\(check.instance)_\(check.area.rawValue)" : check.area.rawValue
      let limits = [check.warn, check.critical].map { $0.map(String.init) ?? "" }.joined(separator: ";")
      return "'\(name)'=\(Self.number(check.value))\(check.unit);\(limits)"
    }
    let text = "BULKHEAD \(level.name) - " + String(words.filter { $0 != "|" })
    return data.isEmpty ? text : text + " | " + data.joined(separator: " ")
  }

  private func json(_ sets: [SetReading], _ checks: [SetCheck], _ level: SetCheck.Level) -> String {
    JSONReport(schema: "check").text { json in
      json.field("level", level.name)
      json.array("checks") { json in
        for check in checks {
          json.object { json in
            json.field("instance", check.instance)
            if let status = sets.first(where: { $0.instance == check.instance })?.status {
              json.field("configurationHash", status.configuration)
            }
            json.field("area", check.area.rawValue)
            json.field("level", check.level.name)
            json.field("text", check.text)
            json.field("value", check.value)
            if let warn = check.warn { json.field("warn", warn) }
            if let critical = check.critical { json.field("critical", critical) }
          }
        }
      }
    }
  }

  private func prometheus(_ checks: [SetCheck]) -> [String] {
    func label(_ text: String) -> String {
      text.reduce(into: "") { $0 += $1 == "\"" || $1 == "\\" ? "\\\($1)" : $1 == "\n" ? "\\n" : "\($1)" }
    }
    func labels(_ check: SetCheck) -> String {
      "{instance_name=\"\(label(check.instance))\",area=\"\(check.area.rawValue)\"}"
    }
    return [
      "# HELP bulkhead_check_level What bulkhead check says: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.",
      "# TYPE bulkhead_check_level gauge",
    ] + checks.map { "bulkhead_check_level\(labels($0)) \($0.level.rawValue)" } + [
      "# HELP bulkhead_check_value What was measured.", "# TYPE bulkhead_check_value gauge",
    ] + checks.map { "bulkhead_check_value\(labels($0)) \(Self.number($0.value))" }
  }

  /// Without decimals where there are none.
  private static func number(_ value: Double) -> String {
    UInt64(exactly: value).map(String.init) ?? tenths(value)
  }
}
