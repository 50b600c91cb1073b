import CLinux
import Drills
import Glibc
import SetInspection
import StageRuntime

/// `bulkhead drill`: proves on a running set what the design promises.
func drillCommand(_ options: DrillOptions) -> Int32 {
  switch options.action {
  case .list: return listDrills(json: options.json)
  case .run(let ids): return runDrills(ids, options)
  case .replay(let path):
    guard var recorded = DrillRecord.options(recordedAt: path), case .run(let ids) = recorded.action else {
      narrate("bulkhead drill: \(path) is no record of drills")
      return ExitCode.malformedInput
    }
    recorded.json = options.json
    recorded.jsonPath = options.jsonPath
    recorded.judgesTimes = options.judgesTimes
    return runDrills(ids, recorded)
  }
}

private func listDrills(json: Bool) -> Int32 {
  for drill in Drill.catalogue {
    if json {
      print(
        JSONReport(schema: "drill.list").text { text in
          text.field("id", drill.id)
          text.field("title", drill.title)
          text.array("failureModes") { text in for mode in drill.failureModes { text.element(mode) } }
        })
    } else {
      let limits = drill.limits.map { "\($0.metric.rawValue) ≤ \($0.milliseconds) ms" }
      print("\(drill.id)  \(drill.title)\(limits.isEmpty ? "" : " (p99: \(limits.joined(separator: ", ")))")")
    }
  }
  return ExitCode.success
}

private func runDrills(_ ids: [String], _ options: DrillOptions) -> Int32 {
  bulkhead_install_stop_handler()
  let programs = ProgramIdentity.installed()
  var reports: [DrillReport] = []
  var passed = true
  var baseline: BeatBaseline?
  for drill in withBaseline(ids, options).compactMap(Drill.named) where !bulkhead_stop_requested() {
    let report: DrillReport
    switch drill.method {
    case .tornRecords: report = runTornRecords(drill, options)
    case .failpoints:
      guard let found = runFailpoints(drill, options) else {
        passed = false
        continue
      }
      report = found
    default: report = run(drill, options, &baseline)
    }
    reports.append(report)
    passed = passed && report.judgement.passed
    if options.json {
      print(JSONReport(schema: "drill.result").text(report.write))
    } else {
      for line in report.lines { print(line) }
    }
    fflush(nil)
  }
  if let path = options.jsonPath,
    !writeWholeFile(
      path, DrillRecord(options: options, reports: reports, programs: programs).text + "\n")
  {
    narrate("bulkhead drill: cannot write \(path): \(String(cString: strerror(errno)))")
    return ExitCode.unavailable
  }
  return passed && !bulkhead_stop_requested() ? ExitCode.success : ExitCode.failure
}

/// - Parameter baseline: what a drill without a fault has shown, for those that come behind it.
private func run(_ drill: Drill, _ options: DrillOptions, _ baseline: inout BeatBaseline?) -> DrillReport {
  let machine = options.judgesTimes ? MachineWatch() : nil
  let runner = DrillRunner(drill: drill, options: options.fitted(to: drill), machine: machine)
  let startedAt = bulkhead_monotonic_nanoseconds()
  let result = runner.run()
  let endedAt = bulkhead_monotonic_nanoseconds()
  if drill.method == .baseline {
    baseline = result.rounds.reduce(into: BeatBaseline()) { $0.add($1.beats) }
  }
  return DrillReport(
    drill: drill, options: options, rounds: result.rounds,
    judgement: DrillJudgement(
      drill, result.rounds, killsWanted: runner.killsWanted, judgesTimes: options.judgesTimes,
      findings: result.findings, baseline: baseline), tables: result.tables,
    standstill: machine?.end(Stretch(from: startedAt, to: endedAt)), startedAt: startedAt, endedAt: endedAt)
}

/// Bystanders are measured by what is usual without a fault: where that is judged, a drill without a fault comes first.
private func withBaseline(_ ids: [String], _ options: DrillOptions) -> [String] {
  let drills = ids.compactMap(Drill.named)
  guard options.judgesTimes, let first = drills.firstIndex(where: \.isOfKills),
    !drills[..<first].contains(where: { $0.method == .baseline }),
    let baseline = Drill.catalogue.first(where: { $0.method == .baseline })
  else { return ids }
  return [baseline.id] + ids
}

/// Every program at every place that it comes to, in a test build; nil in another.
private func runFailpoints(_ drill: Drill, _ options: DrillOptions) -> DrillReport? {
  #if BULKHEAD_FAILPOINTS
    let runner = FailpointDrill(drill, options)
    let startedAt = bulkhead_monotonic_nanoseconds()
    let rounds = runner.run()
    let report = DrillReport(
      drill: drill, options: options, rounds: rounds,
      judgement: DrillJudgement(drill, rounds, killsWanted: runner.deathsWanted, judgesTimes: false),
      startedAt: startedAt, endedAt: bulkhead_monotonic_nanoseconds())
    if !options.json { for line in runner.coverage { print(line) } }
    return report
  #else
    narrate(
      "bulkhead drill: \(drill.id) takes programs that can be made to die at every step: a test build of the package"
    )
    return nil
  #endif
}

/// The storm has a program of its own, which judges itself.
private func runTornRecords(_ drill: Drill, _ options: DrillOptions) -> DrillReport {
  let kills = options.kills ?? 200
  // As many records as the full form wants, from as many kills on.
  let records = kills >= 1_000 ? ["--records", "1000000000"] : []
  let output = "/var/tmp/bulkhead-drill-\(getpid()).torture"
  defer { unlink(output) }
  let startedAt = bulkhead_monotonic_nanoseconds()
  let program = ChildProcess(
    program: "ringtorture",
    arguments: [
      "--writer-kills", String(kills), "--reader-kills", String(kills), "--seed", String(options.seed),
    ] + records, outputPath: output)
  let code = program.tryStart() ? program.waitForEnd(seconds: 3_600) : -1
  let last = readText(output)?.split(separator: "\n").last.map(String.init) ?? "no \(program.name)"
  let finding = DrillFinding(
    "torture", "no record torn, repeated or missing; most kills tear one", found: last, holds: code == 0)
  return DrillReport(
    drill: drill, options: options, rounds: [],
    judgement: DrillJudgement(
      drill, [], killsWanted: 0, judgesTimes: options.judgesTimes, findings: [finding]),
    startedAt: startedAt, endedAt: bulkhead_monotonic_nanoseconds())
}
