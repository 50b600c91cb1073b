import FeedSim
import Glibc
import HostChecks
import SetInspection
import StageRuntime
import Topology

/// `bulkhead host`: whether this host can carry the set, what to do about it, and what it does to a spinning loop.
func hostCommand(_ arguments: CommandArguments) throws(ToolUsageError) -> Int32 {
  let options = try HostOptions(arguments)
  switch options.verb {
  case .check: return try HostReport(options).check()
  case .report: return try HostReport(options).report()
  case .initialize: return try HostReport(options).initialize()
  case .fini: return finishHost(options)
  case .jitter: return try measureJitter(options)
  }
}

/// The findings about this host, told.
struct HostReport {
  let options: HostOptions
  let preflight: HostPreflight
  let configuration: String
  let instance: String

  init(_ options: HostOptions) throws(ToolUsageError) {
    let known = HostCheckName.allCases.map(\.rawValue)
    for name in options.names where !known.contains(name) {
      let nearest = nearestName(name, among: known)
      throw ToolUsageError(line: "no check `\(name)`" + (nearest.map { "; did you mean `\($0)`?" } ?? ""))
    }
    self.options = options
    let topology = DaemonArguments.loadTopology(path: options.topologyPath, overrides: options.overrides)
    preflight = HostPreflight(topology, root: options.root)
    configuration = topology.hash
    instance = topology.host.instance
  }

  private var verdict: HostVerdict {
    guard !options.names.isEmpty else { return preflight.verdict }
    return HostVerdict(checks: preflight.verdict.checks.filter { options.names.contains($0.name.rawValue) })
  }

  /// The particulars were called `host` once, which is the host's name everywhere else.
  var head: JSONReport {
    JSONReport(schema: "host", version: 2, instance: instance, configurationHash: configuration)
  }

  private var exitCode: Int32 { verdict.failures.isEmpty ? ExitCode.success : ExitCode.failure }

  func check() -> Int32 {
    if options.json {
      print(head.text { Self.write(verdict, to: &$0) })
    } else {
      for line in Self.table(verdict) { print(line) }
    }
    return exitCode
  }

  func report() -> Int32 {
    if options.json {
      print(
        head.text { json in
          json.object("particulars") { json in
            for (key, value) in Self.particulars(preflight.facts) { json.field(key, value) }
          }
          Self.write(verdict, to: &json)
        })
    } else {
      for (key, value) in Self.particulars(preflight.facts) { print(column(key, 20) + value) }
      print("")
      for line in Self.table(verdict) { print(line) }
    }
    return exitCode
  }

  // MARK: Output

  /// One line a finding, what fails with its reason and what to do beneath.
  static func table(_ verdict: HostVerdict) -> [String] {
    var lines = ["LEVEL  STATUS   CHECK                  GOT"]
    for check in verdict.checks where check.status != .notApplicable {
      let level = check.level == .required ? "req" : "rec"
      let status =
        switch check.status {
        case .ok: "ok"
        case .bad: check.isFailure ? "BAD" : "warn"
        case .unknown: "unknown"
        case .notApplicable: "-"
        }
      lines.append(column(level, 7) + column(status, 9) + column(check.name.rawValue, 23) + check.got)
      guard check.status == .bad else { continue }
      lines.append("       want: \(check.want)")
      lines.append("       why:  \(check.why)")
      if !check.fix.isNone { lines.append("       fix:  \(check.fix)") }
    }
    return lines + ["", verdict.summary]
  }

  static func write(_ verdict: HostVerdict, to json: inout JSONText) {
    json.array("checks") { json in
      for check in verdict.checks {
        json.object { json in
          json.field("name", check.name.rawValue)
          json.field("level", check.level.rawValue)
          json.field("status", check.status.rawValue)
          json.field("got", check.got)
          json.field("want", check.want)
          json.field("why", check.why)
          json.field("fix", "\(check.fix)")
          json.field("fatal", check.isFatal)
        }
      }
    }
    json.field("requiredFailed", verdict.failures.count)
    json.field("recommendedFailed", verdict.warnings.count)
    json.field("good", verdict.failures.isEmpty)
  }

  static func particulars(_ facts: HostFacts) -> [(key: String, value: String)] {
    func cores(_ set: Set<Int>?) -> String { set.map { CoreList.text($0) } ?? "unknown" }
    func number(_ value: Int?) -> String { value.map { "\($0)" } ?? "unknown" }
    func limit(_ value: UInt64?) -> String {
      value == .max ? "unlimited" : value.map { "\($0)" } ?? "unknown"
    }
    func mebibytes(_ bytes: UInt64) -> String { "\(bytes >> 20) MiB" }
    var lines: [(key: String, value: String)] = []
    func add(_ key: String, _ value: String) { lines.append((key, value)) }
    add("kernel", facts.kernelRelease ?? "unknown")
    add("arguments", facts.kernelArguments.joined(separator: " "))
    add("cores online", cores(facts.online))
    add("cores allowed", cores(facts.allowed))
    add("cores isolated", cores(facts.isolated))
    add("cores without tick", cores(facts.withoutTick))
    let nodes = facts.nodes.sorted { $0.key < $1.key }.map { "\($0.key): \(CoreList.text($0.value))" }
    add("NUMA nodes", nodes.joined(separator: "; "))
    add("governors", Set(facts.governors.values).sorted().joined(separator: ", "))
    add("interrupts", "\(facts.interrupts.count), default on \(cores(facts.defaultInterruptCores))")
    add("memory available", facts.availableMemory.map(mebibytes) ?? "unknown")
    add("memory group", facts.allowance.map { "\(mebibytes($0.bytes)) left of \($0.limit)" } ?? "no limit")
    add("locked memory", limit(facts.lockedMemoryLimit))
    add("descriptors", limit(facts.descriptorLimit))
    let shared = facts.sharedHugePages ?? "unknown"
    add("huge pages", "\(facts.transparentHugePages ?? "unknown"), shared \(shared)")
    add("real time", "\(number(facts.realTimeRuntime)) of \(number(facts.realTimePeriod)) us")
    add("rmem_max", number(facts.largestReceiveBuffer))
    add("clock source", facts.clockSource ?? "unknown")
    for card in facts.interfaces where !card.addresses.isEmpty {
      add("interface \(card.name)", card.addresses.joined(separator: ", "))
    }
    return lines
  }
}
