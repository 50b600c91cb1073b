import CLinux
import Drills
import Glibc
import SetInspection
import StageRuntime

/// The verdict on one drill, in words and as a record that can be replayed.
struct DrillReport {
  let drill: Drill
  let options: DrillOptions
  let rounds: [DrillRound]
  let judgement: DrillJudgement
  var tables: [DrillTable] = []
  /// When the machine stood still; nil where nobody looked.
  var standstill: MachineStandstill?
  let startedAt, endedAt: UInt64

  private var kills: [KillMeasurement] { rounds.flatMap(\.kills) }

  var lines: [String] {
    let seconds = (endedAt &- startedAt) / 1_000_000_000
    var lines = [
      "\(drill.id)  \(drill.title): \(kills.count) kills in \(rounds.count) rounds, \(seconds) s, seed \(options.seed)\(standstill.map { "; \($0.words)" } ?? "")"
    ]
    for criterion in judgement.criteria {
      lines.append(
        "  " + column(criterion.code, 9) + column(criterion.text, 52) + column(criterion.found, 34)
          + criterion.verdict.rawValue)
    }
    for table in tables { lines += Self.lines(of: table) }
    for metric in KillMetric.allCases {
      guard let found = judgement.percentiles[metric] else { continue }
      lines.append(
        "  " + column(metric.rawValue, 11)
          + "p50 \(duration(found.p50))   p99 \(duration(found.p99))   max \(duration(found.maximum))   of \(found.count)"
      )
    }
    for failure in rounds.flatMap(\.livelocks) {
      let after = failure.alarmAfter.map { duration($0) } ?? "never"
      lines.append(
        "  \(failure.kind.rawValue): alarm \(after) after READY, no \(failure.missing) for \(duration(failure.age)): \(failure.cause)"
      )
    }
    for round in rounds
    where round.problem != nil || (round.hasWholeDay && round.outcome.verdict != "correct") {
      lines.append("  round \(round.number + 1): \(round.problem ?? round.outcome.verdict)")
      lines += round.outcome.reasons.prefix(5).map { "    " + $0 }
    }
    let verdict = judgement.passed ? "PASS" : judgement.wasRun ? "FAIL" : "SKIP"
    lines.append("\(verdict)  \(drill.id)")
    return lines
  }

  private static func lines(of table: DrillTable) -> [String] {
    let rows = [table.columns] + table.rows
    let widths = table.columns.indices.map { index in
      (rows.map { index < $0.count ? $0[index].count : 0 }.max() ?? 0) + 2
    }
    return ["  \(table.title)"]
      + rows.map { row in "    " + zip(row, widths).map { column($0, $1) }.joined() }
  }

  /// The fields of its object.
  func write(to json: inout JSONText) {
    json.field("id", drill.id)
    json.field("title", drill.title)
    json.array("failureModes") { json in for mode in drill.failureModes { json.element(mode) } }
    json.field("passed", judgement.passed)
    json.field("startedAt", startedAt)
    json.field("endedAt", endedAt)
    if let standstill { json.object("machine", standstill.write) }
    json.array("criteria") { json in
      for criterion in judgement.criteria {
        json.object { json in
          json.field("code", criterion.code)
          json.field("text", criterion.text)
          json.field("found", criterion.found)
          json.field("verdict", criterion.verdict.rawValue)
        }
      }
    }
    json.object("nanoseconds") { json in
      for metric in KillMetric.allCases {
        guard let found = judgement.percentiles[metric] else { continue }
        json.object(metric.rawValue) { json in
          json.field("count", found.count)
          json.field("p50", found.p50)
          json.field("p99", found.p99)
          json.field("max", found.maximum)
        }
      }
    }
    json.array("tables") { json in
      for table in tables {
        json.object { json in
          json.field("title", table.title)
          json.array("rows") { json in
            for row in table.rows {
              json.object { json in
                for (name, value) in zip(table.columns, row) { json.field(name, value) }
              }
            }
          }
        }
      }
    }
    json.array("rounds") { json in for round in rounds { write(round, to: &json) } }
  }

  private func write(_ round: DrillRound, to json: inout JSONText) {
    json.object { json in
      json.field("number", round.number)
      json.field("verdict", round.problem ?? round.outcome.verdict)
      json.array("reasons") { json in for reason in round.outcome.reasons { json.element(reason) } }
      json.field("messages", round.outcome.messagesSent)
      json.field("liveOrders", round.liveOrders)
      json.field("stops", round.pauses)
      if let usual = round.usual {
        json.object("usual") { json in
          json.field("lagCellsAtMost", usual.lagLimit)
          json.object("latencyNanosecondsAtMost") { json in
            for (stage, limit) in zip(usual.stages, usual.latencyLimits) { json.field(stage, limit) }
          }
        }
      }
      if let identity = round.outcome.identity {
        json.field("configurationHash", ProgramIdentity.hexadecimal(identity.configurationHash))
        json.object("programs") { json in
          for (name, digest) in identity.programs.sorted(by: { $0.key < $1.key }) {
            json.field(name, digest)
          }
        }
      }
      if !round.outcome.hops.isEmpty {
        json.array("hops") { json in
          for hop in round.outcome.hops {
            json.object { json in
              json.field("name", hop.name)
              json.field("unit", hop.unit)
              json.field("in", hop.put)
              json.field("out", hop.taken)
              json.field("dropped", hop.dropped)
            }
          }
        }
      }
      if let frames = round.outcome.frames {
        json.object("frames") { json in
          json.field("accepted", frames.frames)
          json.field("entries", frames.entries)
          json.field("bookChecksums", frames.checksums)
          json.field("connections", frames.connections)
          json.field("partial", frames.partial)
          json.field("sessionEnded", frames.hasEnded)
          json.array("refusals") { json in for refusal in frames.refusals { json.element(refusal) } }
        }
      }
      if !round.livelocks.isEmpty {
        json.array("livelocks") { json in
          for failure in round.livelocks {
            json.object { json in
              json.field("kind", failure.kind.rawValue)
              if let after = failure.alarmAfter { json.field("alarmAfterNanoseconds", after) }
              json.field("ageNanoseconds", failure.age)
              json.field("missing", failure.missing)
              json.field("cause", failure.cause)
            }
          }
        }
      }
      if !round.actions.isEmpty {
        json.array("actions") { json in
          for (number, repetition) in round.actions.enumerated() {
            for firing in repetition.firings {
              json.object { json in
                json.field("repetition", number)
                json.field("component", firing.component)
                json.field("action", firing.name)
                json.field("cause", firing.cause)
                json.field("result", firing.result)
                json.field("durationNanoseconds", firing.duration)
                json.field("pageFaults", firing.faults)
                if let calls = firing.allocations { json.field("allocatorCalls", calls) }
              }
            }
          }
        }
      }
      json.array("kills") { json in
        for kill in round.kills {
          json.object { json in
            json.field("component", kill.component)
            json.field("killedAt", kill.killedAt)
            json.field("cause", kill.cause)
            if !kill.bystanderGaps.isEmpty {
              json.object("bystanderBeatNanoseconds") { json in
                for (name, gap) in kill.bystanderGaps.sorted(by: { $0.key < $1.key }) {
                  json.field(name, gap.longest)
                }
              }
              json.object("bystanderOwnNanoseconds") { json in
                for (name, gap) in kill.bystanderGaps.sorted(by: { $0.key < $1.key }) {
                  json.field(name, gap.own)
                }
              }
            }
            if let load = kill.loadReturn { json.field("load", load.words) }
            for metric in KillMetric.allCases {
              if let found = kill.nanoseconds[metric] { json.field(metric.rawValue, found) }
            }
          }
        }
      }
    }
  }
}

/// Everything that one `bulkhead drill run` found.
struct DrillRecord {
  static let schema = "drills"

  let options: DrillOptions
  let reports: [DrillReport]
  /// The programs beside this one, when the drills began.
  let programs: [(name: String, digest: String)]

  var text: String {
    JSONReport(schema: Self.schema).text { json in
      json.field("build", bulkheadVersion)
      json.field("toolchain", ProgramIdentity.toolchain)
      json.object("programs") { json in
        for (name, digest) in programs { json.field(name, digest) }
      }
      json.field("machine", Self.machine())
      json.field("processors", Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
      // What a replay needs.
      json.field("seed", options.seed)
      if let kills = options.kills { json.field("kills", kills) }
      if let messages = options.givenMessages { json.field("messages", messages) }
      if let seconds = options.givenSeconds { json.field("seconds", seconds) }
      if let liveOrders = options.liveOrders { json.field("liveOrders", liveOrders) }
      if let rate = options.rate { json.field("rate", rate) }
      json.field("judgesTimes", options.judgesTimes)
      json.array("overrides") { json in for override in options.overrides { json.element(override) } }
      json.array("drills") { json in for report in reports { json.object(nil, report.write) } }
    }
  }

  /// System, release and architecture.
  private static func machine() -> String {
    var name = utsname()
    guard uname(&name) == 0 else { return "unknown" }
    func text<Field>(_ field: Field) -> String {
      withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
    return "\(text(name.sysname)) \(text(name.release)) \(text(name.machine))"
  }

  /// The options of a record, for the same drills again.
  static func options(recordedAt path: String) -> DrillOptions? {
    guard let text = readText(path), let json = JSONValue(text),
      json["schema"]?.string == "bulkhead.\(schema)"
    else {
      return nil
    }
    var options = DrillOptions()
    let ids = json["drills"]?.elements.compactMap { $0["id"]?.string } ?? []
    guard !ids.isEmpty, ids.allSatisfy({ Drill.named($0) != nil }) else { return nil }
    options.action = .run(ids)
    options.seed = json["seed"]?.unsigned ?? options.seed
    options.kills = json["kills"]?.unsigned.flatMap { Int(exactly: $0) }
    options.givenMessages = json["messages"]?.unsigned
    options.givenSeconds = json["seconds"]?.unsigned
    options.liveOrders = json["liveOrders"]?.unsigned.flatMap { Int(exactly: $0) }
    options.rate = json["rate"]?.unsigned
    options.overrides = json["overrides"]?.elements.compactMap(\.string) ?? []
    return options
  }
}
