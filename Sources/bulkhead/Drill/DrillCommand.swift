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
      var text = JSONText()
      text.object { text in
        text.field("id", drill.id)
        text.field("title", drill.title)
        text.array("failureModes") { text in for mode in drill.failureModes { text.element(mode) } }
      }
      print(text.text)
    } else {
      let limits = drill.limits.map { "\($0.metric.rawValue) ≤ \($0.milliseconds) ms" }
      print("\(drill.id)  \(drill.title)\(limits.isEmpty ? "" : " (p99: \(limits.joined(separator: ", ")))")")
    }
  }
  return ExitCode.success
}

private func runDrills(_ ids: [String], _ options: DrillOptions) -> Int32 {
  bulkhead_install_stop_handler()
  var reports: [DrillReport] = []
  var passed = true
  for drill in ids.compactMap(Drill.named) where !bulkhead_stop_requested() {
    if case .tornRecords = drill.method {
      passed = runTornRecords(drill, options) && passed
      continue
    }
    if case .failpoints = drill.method {
      passed = runFailpoints(drill, options) && passed
      continue
    }
    let runner = DrillRunner(drill: drill, options: options.fitted(to: drill))
    let startedAt = bulkhead_monotonic_nanoseconds()
    let result = runner.run()
    let report = DrillReport(
      drill: drill, options: options, rounds: result.rounds,
      judgement: DrillJudgement(
        drill, result.rounds, killsWanted: runner.killsWanted, judgesTimes: options.judgesTimes,
        findings: result.findings), tables: result.tables,
      startedAt: startedAt, endedAt: bulkhead_monotonic_nanoseconds())
    reports.append(report)
    passed = passed && report.judgement.passed
    if options.json {
      var json = JSONText()
      report.write(to: &json)
      print(json.text)
    } else {
      for line in report.lines { print(line) }
    }
    fflush(nil)
  }
  if let path = options.jsonPath,
    !writeWholeFile(path, DrillRecord(options: options, reports: reports).text + "\n")
  {
    narrate("bulkhead drill: cannot write \(path): \(String(cString: strerror(errno)))")
    return ExitCode.unavailable
  }
  return passed && !bulkhead_stop_requested() ? ExitCode.success : ExitCode.failure
}

/// Every program at every place that it comes to, in a test build.
private func runFailpoints(_ drill: Drill, _ options: DrillOptions) -> Bool {
  #if BULKHEAD_FAILPOINTS
    let runner = FailpointDrill(drill, options)
    let startedAt = bulkhead_monotonic_nanoseconds()
    let rounds = runner.run()
    let report = DrillReport(
      drill: drill, options: options, rounds: rounds,
      judgement: DrillJudgement(drill, rounds, killsWanted: runner.deathsWanted, judgesTimes: false),
      startedAt: startedAt, endedAt: bulkhead_monotonic_nanoseconds())
    for line in runner.coverage + report.lines { print(line) }
    fflush(nil)
    return report.judgement.passed
  #else
    narrate(
      "bulkhead drill: \(drill.id) takes programs that can be made to die at every step: a test build of the package"
    )
    return false
  #endif
}

/// The storm has a program of its own, which judges itself.
private func runTornRecords(_ drill: Drill, _ options: DrillOptions) -> Bool {
  let kills = String(options.kills ?? 200)
  let program = ChildProcess(
    program: "ringtorture",
    arguments: ["--writer-kills", kills, "--reader-kills", kills, "--seed", String(options.seed)])
  guard program.tryStart() else { return false }
  let passed = program.waitForEnd(seconds: 3_600) == 0
  print("\(passed ? "PASS" : "FAIL")  \(drill.id)")
  return passed
}
