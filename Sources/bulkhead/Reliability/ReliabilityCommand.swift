import Drills
import Glibc
import Reliability
import SetInspection
import StageRuntime
import Topology

/// `bulkhead reliability`: the arithmetic of the set's parts.
func reliabilityCommand(_ arguments: CommandArguments) throws(ToolUsageError) -> Int32 {
  let options = try ReliabilityOptions(arguments)
  let topology = DaemonArguments.loadTopology(path: options.topologyPath, overrides: options.overrides)
  let record = DrilledRepairs(options)
  if let problem = record.problem {
    narrate("bulkhead reliability: \(problem)")
    return ExitCode.noInput
  }
  let parts = try ReliabilityParts(topology, options: options, record: record)
  let report = try ReliabilityReport(parts, options: options, record: record, configuration: topology.hash)
  if options.json { print(report.json) } else { for line in report.lines { print(line) } }
  return ExitCode.success
}

/// Repair times as a drill record tells them: of each component the 99th percentile from the kill to READY.
struct DrilledRepairs {
  static let defaultPath = ".build/drills.json"
  private(set) var seconds: [String: (p99: Double, kills: Int)] = [:]
  private(set) var path: String?
  private(set) var problem: String?

  init(_ options: ReliabilityOptions) {
    let isAsked = options.drills != nil
    let path = options.drills ?? Self.defaultPath
    guard isAsked || access(path, R_OK) == 0 else { return }
    guard let text = readText(path), let json = JSONValue(text), json["schema"]?.string == DrillRecord.schema
    else {
      problem = "\(path): not a record of `bulkhead drill run --record`"
      return
    }
    self.path = path
    var times: [String: [UInt64]] = [:]
    for drill in json["drills"]?.elements ?? [] {
      for round in drill["rounds"]?.elements ?? [] {
        for kill in round["kills"]?.elements ?? [] {
          guard let component = kill["component"]?.string, let time = kill["recover"]?.unsigned, time > 0
          else {
            continue
          }
          times[component, default: []].append(time)
        }
      }
    }
    for (component, values) in times {
      guard let found = Percentiles(values) else { continue }
      seconds[component] = (Double(found.p99) / 1e9, found.count)
    }
  }
}

/// The parts of a set, each with its times and where they are from.
struct ReliabilityParts {
  struct Part {
    let name: String
    let betweenFailures: Double
    let toRepair: Double
    let betweenFailuresFrom: String
    let toRepairFrom: String
  }

  let parts: [Part]
  let structure: Structure

  /// What is taken where nobody says better.
  private static let defaults: [String: (betweenFailures: Double, toRepair: Double)] = [
    "host": (ServiceTime.yearSeconds, 600), "line": (7 * 86_400, 60), "stage": (30 * 86_400, 1),
    // Left down: until somebody comes.
    "halted": (30 * 86_400, 900),
  ]

  init(_ topology: Topology, options: ReliabilityOptions, record: DrilledRepairs) throws(ToolUsageError) {
    var parts: [Part] = []
    var known: Set<String> = ["host", "line", "stage"]
    func add(_ name: String, _ kind: String, _ fallback: String) -> Structure {
      known.insert(name)
      let base = Self.defaults[fallback] ?? (1, 1)
      let between = options.betweenFailures[name] ?? options.betweenFailures[kind]
      var repair = options.toRepair[name] ?? options.toRepair[kind]
      var repairFrom = repair == nil ? "assumed" : "given"
      if repair == nil, fallback == "stage", let drilled = record.seconds[name] {
        repair = drilled.p99
        repairFrom = "p99 of \(drilled.kills) kills"
      }
      parts.append(
        Part(
          name: name, betweenFailures: between ?? base.betweenFailures, toRepair: repair ?? base.toRepair,
          betweenFailuresFrom: between == nil ? "assumed" : "given", toRepairFrom: repairFrom))
      return .element(parts.count - 1)
    }
    var series = [add("host", "host", "host")]
    var branches: [Structure] = []
    // Those beside the stream: nobody who reads it waits for them.
    // A standby takes bookd's place, if bookd is replaced at all: it is beside it, not behind it.
    let standby = topology.standbyStage.flatMap(topology.stage(named:)).flatMap { standby in
      topology.stage(named: Topology.bookStage)?.restart == .halt ? nil : standby
    }
    for stage in topology.stages
    where stage.program != "taped" && stage.program != "viewd" && stage.name != topology.standbyStage {
      let element = add(stage.name, "stage", stage.restart == .halt ? "halted" : "stage")
      if let line = stage.line {
        branches.append(.series([add("line@\(line)", "line", "line"), element]))
      } else if stage.name == Topology.bookStage, let standby {
        series.append(
          .parallel([element, add(standby.name, "stage", standby.restart == .halt ? "halted" : "stage")]))
      } else {
        series.append(element)
      }
    }
    if !branches.isEmpty { series.insert(.parallel(branches), at: 1) }
    for name in Set(options.betweenFailures.keys).union(options.toRepair.keys) where !known.contains(name) {
      throw ToolUsageError(line: "no part `\(name)`; there are \(known.sorted().joined(separator: ", "))")
    }
    self.parts = parts
    structure = .series(series)
  }
}
