import HostChecks
import SetInspection
import StageRuntime
import Topology

extension Command {
  static let doctor = Command(
    name: "doctor", group: .help, summary: "look at everything, and say in order what to do next",
    description: [
      "Looks at the files of the sets, their supervisors' events, gaps and rings, and at this host. NOW: the stream is wrong, "
        + "stale or gone; SOON: something is lost or about to be; LATER: it costs nothing yet. Changes nothing."
    ],
    options: Option.ofSets + [
      Option("--topology", .file("FILE"), "what the host is judged by; without it the embedded default"),
      .set,
    ],
    exitCodes: [
      .init(ExitCode.success, "nothing is to be done now or soon"), .init(ExitCode.failure, "something is"),
      .notRunning, .unreadable, .usage, .init(ExitCode.configuration, "the topology is not accepted"),
    ],
    examples: [.init("doctor --name demo", "what is the matter with it")]
  ) { arguments throws(ToolUsageError) in try doctorCommand(arguments) }
}

private func doctorCommand(_ arguments: CommandArguments) throws(ToolUsageError) -> Int32 {
  let options = SetOptions(arguments)
  let path = arguments.value("--topology")
  let overrides = try topologyOverrides(arguments.values("--set"))
  let sets = SetDirectory.discover(runDirectory: options.runDirectory, name: options.name)
  if options.name != nil, sets.isEmpty { return options.absenceCode() }
  let report = DoctorReport(
    sets: sets.map { Symptoms(instance: $0.instance, runDirectory: options.runDirectory) },
    // Sets that were kept may be another host's.
    host: arguments.isKept
      ? nil : HostPreflight(DaemonArguments.loadTopology(path: path, overrides: overrides)).verdict)
  if options.json { print(report.json) } else { for line in report.lines { print(line) } }
  return options.withUnreadable(report.isWell ? ExitCode.success : ExitCode.failure)
}

/// All findings, told.
struct DoctorReport {
  let sets: [(instance: String, configurationHash: String?, verdict: String, findings: [Finding])]
  let host: [Finding]
  private let hostSummary: String?

  init(sets: [Symptoms], host: HostVerdict?) {
    self.sets = sets.map {
      ($0.instance, $0.configurationHash, "\($0.verdict.rawValue): \($0.reason)", Diagnosis.findings($0))
    }
    self.host = host.map { Diagnosis.findings($0) } ?? []
    hostSummary = host?.summary
  }

  /// Nothing to do now or soon.
  var isWell: Bool { (sets.flatMap(\.findings) + host).allSatisfy { $0.urgency == .later } }

  var lines: [String] {
    var lines: [String] = []
    var number = 0
    func tell(_ findings: [Finding]) {
      for finding in findings {
        number += 1
        lines.append("\(column("\(number).", 4))\(column(finding.urgency.name, 6))\(finding.text)")
        for step in finding.next { lines.append("          next: \(step)") }
        for name in finding.explain { lines.append("          bulkhead explain \(name)") }
      }
    }
    if sets.isEmpty { lines.append("no set here") }
    for set in sets {
      lines.append("\(set.instance)  \(set.verdict)")
      if set.findings.isEmpty { lines.append("    nothing to do") }
      tell(set.findings)
      lines.append("")
    }
    if let hostSummary {
      lines.append("host  \(hostSummary)")
      tell(host)
    }
    return lines
  }

  var json: String {
    func write(_ findings: [Finding], _ json: inout JSONText) {
      json.array("findings") { json in
        for finding in findings {
          json.object { json in
            json.field("urgency", finding.urgency.name)
            json.field("text", finding.text)
            json.array("next") { json in for step in finding.next { json.element(step) } }
            json.array("explain") { json in for name in finding.explain { json.element(name) } }
          }
        }
      }
    }
    // The findings of the host were called `host` once, which is its name everywhere else.
    return JSONReport(schema: "doctor", version: 2).text { json in
      json.field("well", isWell)
      json.array("sets") { json in
        for set in sets {
          json.object { json in
            json.field("instance", set.instance)
            if let hash = set.configurationHash { json.field("configurationHash", hash) }
            json.field("verdict", set.verdict)
            write(set.findings, &json)
          }
        }
      }
      json.object("thisHost") { json in write(host, &json) }
    }
  }
}
