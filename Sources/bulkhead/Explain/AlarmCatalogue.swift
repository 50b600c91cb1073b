import HostChecks
import PublishWire
import Runbooks
import ShmRing
import StageRecords
import SetInspection
import StageRuntime
import Supervision
import SystemLog
import Topology

/// Everything that the product can say and that has a runbook, by the runbook's file. Taken from the types that say it, so that
/// a new one without a runbook fails a test.
enum AlarmCatalogue {
  static var all: [(family: String, names: [String])] {
    [
      ("events", SupervisionEvent.allCases.map(\.name)), ("liveness", liveness), ("deaths", deaths),
      ("stream", stream),
      ("rings", rings), ("clients", CloseCode.allCases.map(\.name)),
      ("codes", exitCodes + TopologyDiagnostic.codes),
      ("host", HostCheckName.allCases.map(\.rawValue)),
      ("log", log),
    ]
  }

  /// Kinds of the log that no other family has.
  private static var log: [String] {
    let others: Set = ["log", Runbooks.alerts]
    let known = Set(
      Runbooks.shipped.all.filter { !others.contains($0.family) }.flatMap(\.names).map(Runbooks.key))
    let alerts = Set(
      Runbooks.shipped.all.filter { $0.family == Runbooks.alerts }.flatMap(\.names).map(Runbooks.key))
    var names: [String] = []
    for event in LogEvent.allCases where event.entry.identifier != nil {
      let name = event.entry.runbook
      let key = Runbooks.key(name)
      if !known.contains(key), !alerts.contains(key), !names.contains(name) { names.append(name) }
    }
    return names
  }

  private static var liveness: [String] {
    [LivenessTier.mark, .alarm, .fence].map(\.name)
      + (1...UInt8.max).compactMap(LivenessMeasure.init(rawValue:)).map { "no \($0.name)" }
      + StallCause.allCases.map(\.name)
  }

  /// By code: the texts of some have a number in them.
  private static var deaths: [String] {
    (1...UInt8.max).compactMap { ExitCause(code: $0, number: 1) }.map(name)
  }

  /// The name of its runbook.
  static func name(of cause: ExitCause) -> String {
    switch cause {
    case .permanent: "permanent"
    case .failed: "ended with a code"
    case .trap: "trap"
    case .aborted: "aborted"
    case .killed: "killed"
    case .signalled: "ended by signal"
    case .requested, .unknown: "\(cause)"
    case .fenced: "fenced"
    case .outOfMemory: "out of memory"
    }
  }

  private static var stream: [String] {
    StreamTrust.allCases.map(\.name) + SafetyAction.allCases.map(\.name)
      + [SetStatus.Verdict.degraded, .down].map(\.rawValue)
      + GapReason.allCases.map(\.name)
      // What `bulkhead status` and `bulkhead gaps` say behind their verdicts.
      + [
        "gap open", "unjournaled", "books differ", "lines disagree", "line down", "kernel drops",
        "quarantine",
        "sweep violation",
      ]
  }

  private static var rings: [String] {
    let examples: [RingError] = [
      .geometry(""), .system(operation: "", path: "", errno: 0), .missing(path: ""), .notARing(path: ""),
      .layoutVersion(path: "", found: 0, expected: 0), .header(path: "", field: "", found: 0, expected: ""),
      .configuration(path: "", found: 0, expected: 0), .byteOrder(path: ""), .retired(path: ""),
      .placement(path: "", wanted: "", found: ""), .allowance(path: "", needed: 0, available: 0, limit: ""),
      .takeoverRunning(path: ""), .producerAlive(path: "", pid: 0),
    ]
    return examples.map(\.runbook)
  }

  /// One table says what codes mean; each of them but success has a runbook.
  private static var exitCodes: [String] {
    Command.ExitMeaning.all.map(\.code).filter { $0 != ExitCode.success }.map { "exit \($0)" }
  }
}

extension RingError {
  /// The name of its runbook.
  var runbook: String {
    switch self {
    case .geometry: "ring-geometry"
    case .system: "ring-system"
    case .missing: "ring-missing"
    case .notARing: "ring-not-a-ring"
    case .layoutVersion: "ring-layout-version"
    case .header: "ring-header"
    case .configuration: "ring-configuration"
    case .byteOrder: "ring-byte-order"
    case .retired: "ring-retired"
    case .placement: "ring-placement"
    case .allowance: "ring-allowance"
    case .takeoverRunning: "ring-takeover-running"
    case .producerAlive: "ring-producer-alive"
    }
  }
}
