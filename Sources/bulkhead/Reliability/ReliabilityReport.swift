import Reliability
import SetInspection
import StageRuntime
import Topology

/// What was computed, in words and as JSON.
struct ReliabilityReport {
  private let parts: [ReliabilityParts.Part]
  private let system: System
  private let pair: PairOfHosts
  private let options: ReliabilityOptions
  private let record: DrilledRepairs
  private let configuration: String

  init(
    _ parts: ReliabilityParts, options: ReliabilityOptions, record: DrilledRepairs, configuration: String
  ) throws(ToolUsageError) {
    self.parts = parts.parts
    self.options = options
    self.record = record
    self.configuration = configuration
    do throws(ReliabilityError) {
      system = try System(
        elements: parts.parts.map {
          Element(name: $0.name, timeBetweenFailures: $0.betweenFailures, timeToRepair: $0.toRepair)
        }, structure: parts.structure)
    } catch {
      throw ToolUsageError(line: "\(error)")
    }
    pair = PairOfHosts(
      unavailability: system.unavailability, failureRate: system.failureRate,
      commonCause: options.commonCausePercent / 100, switchSeconds: options.switchSeconds)
  }

  private static func year(_ unavailability: Double) -> Double { unavailability * ServiceTime.yearSeconds }
  private static func session(_ unavailability: Double) -> Double {
    unavailability * ServiceTime.sessionYearSeconds
  }

  /// A positive number with so many decimals.
  static func decimals(_ value: Double, _ count: Int) -> String {
    guard value.isFinite, value >= 0, value < 1e12 else { return "\(value)" }
    var scale = 1.0
    for _ in 0..<count { scale *= 10 }
    let scaled = UInt64((value * scale).rounded())
    let whole = scaled / UInt64(scale)
    if count == 0 { return grouped(whole) }
    let fraction = String(scaled % UInt64(scale))
    return grouped(whole) + "." + String(repeating: "0", count: count - fraction.utf8.count) + fraction
  }

  private static func time(_ seconds: Double) -> String {
    switch seconds {
    case ..<1: decimals(seconds * 1_000, 1) + " ms"
    case ..<600: decimals(seconds, seconds < 10 ? 2 : 0) + " s"
    case ..<86_400: decimals(seconds / 60, 0) + " min"
    default: decimals(seconds / 86_400, 1) + " d"
    }
  }

  private var cutSets: [[Int]] { system.minimalCutSets(size: 2) }

  private func probability(_ set: [Int]) -> Double {
    set.reduce(1) { $0 * system.elements[$1].unavailability }
  }

  var lines: [String] {
    let down = system.unavailability
    var lines = [
      "availability \(Self.decimals(system.availability, 8)): \(Self.decimals(Self.year(down), 2)) s a year without a stream"
        + " (\(Self.decimals(Self.session(down), 2)) s in the 1,638 session hours)",
      "the stream fails \(Self.decimals(Self.year(system.failureRate), 1)) times a year, most of them for as long as a restart",
      "", "PART      MTBF        FROM      MTTR        FROM                IF PERFECT (s/year)  IMPORTANCE",
    ]
    for (index, part) in parts.enumerated() {
      lines.append(
        column(part.name, 10) + column(Self.time(part.betweenFailures), 12)
          + column(part.betweenFailuresFrom, 10)
          + column(Self.time(part.toRepair), 12) + column(part.toRepairFrom, 20)
          + column(Self.decimals(Self.year(system.gain(ifPerfect: [index])), 2), 21)
          + Self.decimals(system.importance(of: index), 6))
    }
    lines += ["", "the stream falls with"]
    for set in cutSets.sorted(by: { probability($0) > probability($1) }) {
      let names = set.map { parts[$0].name }.joined(separator: " and ")
      lines.append("  " + column(names, 24) + "\(Self.decimals(Self.year(probability(set)), 4)) s/year")
    }
    lines += ["", "with a second host, s/year"] + pairLines + ["", "budgets, in switches of 30 s"]
    for (name, share) in [("99.99 %", 0.9999), ("99.999 %", 0.99999)] {
      let budget = ServiceTime.budget(share)
      lines.append(
        "  " + column(name, 10)
          + "\(Self.decimals(budget, 1)) s a year: \(Self.decimals(budget / 30, 1)) switches")
    }
    return lines + [""] + assumptions
  }

  private var pairLines: [String] {
    [
      "  as if nothing were common      \(Self.decimals(Self.year(pair.independent), 3))",
      "  \(Self.decimals(options.commonCausePercent, 0)) % of failures common        \(Self.decimals(Self.year(pair.withCommonCause), 1))",
      "  and for switching, beside that \(Self.decimals(Self.year(pair.switching), 1)), at \(Self.time(options.switchSeconds)) each",
    ]
  }

  private var assumptions: [String] {
    var lines = ["what this rests on"]
    if let path = record.path {
      let kills = record.seconds.values.reduce(0) { $0 + $1.kills }
      lines.append(
        "  repair times of \(record.seconds.count) components from \(path), \(kills) kills; kills are not all failures"
      )
    } else {
      lines.append(
        "  no drill record: every repair time is assumed (`bulkhead drill run --record FILE`, then --drills FILE)"
      )
    }
    lines += [
      "  every time between failures is assumed unless it says \"given\"; nothing here is a promise",
      "  failures are independent of each other, of the time of day, and of load; a part is as it was after its repair",
      "  watchdogd counts as there: its death stops nothing, and matters only when a stage dies before it is replaced",
      "  wrong data is not in it: that is prevented, not averaged",
    ]
    if parts.contains(where: { $0.name == Topology.standbyStage }) {
      lines.append(
        "  a standby is in bookd's place at once when bookd dies: the moment of the take-over is not in it")
    }
    return lines
  }

  var json: String {
    JSONReport(schema: "reliability", configurationHash: configuration).text { json in
      json.raw("availability", "\(system.availability)")
      json.raw("unavailability", "\(system.unavailability)")
      json.raw("secondsAYear", "\(Self.year(system.unavailability))")
      json.raw("secondsInSessionsAYear", "\(Self.session(system.unavailability))")
      json.raw("failuresAYear", "\(Self.year(system.failureRate))")
      json.array("parts") { json in
        for (index, part) in parts.enumerated() {
          json.object { json in
            json.field("name", part.name)
            json.raw("mtbfSeconds", "\(part.betweenFailures)")
            json.field("mtbfFrom", part.betweenFailuresFrom)
            json.raw("mttrSeconds", "\(part.toRepair)")
            json.field("mttrFrom", part.toRepairFrom)
            json.raw("secondsAYearIfPerfect", "\(Self.year(system.gain(ifPerfect: [index])))")
            json.raw("importance", "\(system.importance(of: index))")
          }
        }
      }
      json.array("cutSets") { json in
        for set in cutSets {
          json.object { json in
            json.array("parts") { json in for index in set { json.element(parts[index].name) } }
            json.raw("secondsAYear", "\(Self.year(probability(set)))")
          }
        }
      }
      json.object("twoHosts") { json in
        json.raw("independentSecondsAYear", "\(Self.year(pair.independent))")
        json.raw("commonCausePercent", "\(options.commonCausePercent)")
        json.raw("commonCauseSecondsAYear", "\(Self.year(pair.withCommonCause))")
        json.raw("switchSeconds", "\(options.switchSeconds)")
        json.raw("switchingSecondsAYear", "\(Self.year(pair.switching))")
      }
      json.array("restsOn") { json in
        for line in assumptions.dropFirst() { json.element(line.dropPrefixBlanks) }
      }
      if let path = record.path { json.field("drillRecord", path) }
    }
  }
}

extension String {
  fileprivate var dropPrefixBlanks: String { String(drop { $0 == " " }) }
}
