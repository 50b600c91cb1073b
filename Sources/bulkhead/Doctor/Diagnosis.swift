import SetInspection
import HostChecks
import Runbooks
import StageRecords
import Supervision

/// What was seen of a set and its host, as plain values: what the diagnosis is made of.
struct Symptoms {
  /// 16 hexadecimal digits; nil where no page can be read.
  var configurationHash: String?

  struct Stage {
    var name: String
    var isAlive = true
    var state = "READY"
    /// The program on the disk is another than the one that runs.
    var isReplaced = false
  }

  struct Alarm: Equatable {
    var component: String
    var tier: LivenessTier
    var cause: StallCause
    var count = 1
  }

  struct Death: Equatable {
    var component: String
    var cause: ExitCause
    var count = 1
  }

  var instance = ""
  /// As `bulkhead status` says it.
  var verdict = SetStatus.Verdict.live
  var reason = ""
  var supervisorIsAlive = true
  var stages: [Stage] = []
  /// Files that this build cannot read, with the reason and its runbook's name.
  var unreadable: [(file: String, reason: String, runbook: String)] = []
  var leftDown: [String] = []
  var deaths: [Death] = []
  var alarms: [Alarm] = []
  /// The last word on it: the set was stopped in order.
  var wasStopped = false
  var gapsOpen: UInt64 = 0
  var gapsLost = 0
  /// Why the last of them were lost.
  var lossReasons: [String] = []
  var disagreements: UInt64 = 0
  var linesDown: [String] = []
  var kernelDrops: UInt64 = 0
  var quarantined: UInt64 = 0
  var sweepViolations: UInt64 = 0
  var isUnjournaled = false
  var booksDiffer = false
  /// Readers over 85 % of a ring's retention, or lapped.
  var slowReaders: [(reader: String, ring: String, note: String)] = []
}

/// One thing to know or to do, with the commands that lead further.
struct Finding: Equatable {
  enum Urgency: Int, Comparable {
    /// The stream is wrong, stale or gone.
    case now
    /// It works, and something is lost or about to be.
    case soon
    /// It costs nothing yet.
    case later

    static func < (left: Urgency, right: Urgency) -> Bool { left.rawValue < right.rawValue }

    var name: String {
      switch self {
      case .now: "NOW"
      case .soon: "SOON"
      case .later: "LATER"
      }
    }
  }

  let urgency: Urgency
  let text: String
  /// Names of runbooks.
  let explain: [String]
  let next: [String]
}

/// Says in order what to do next. Pure: symptoms in, findings out.
enum Diagnosis {
  static func findings(_ set: Symptoms) -> [Finding] {
    let name = "--name \(set.instance)"
    var found: [Finding] = []
    func add(_ urgency: Finding.Urgency, _ text: String, _ explain: [String], _ next: String...) {
      found.append(Finding(urgency: urgency, text: text, explain: explain, next: next))
    }
    for file in set.unreadable {
      add(.now, "\(file.file) cannot be read: \(file.reason)", [file.runbook], "bulkhead rings \(name)")
    }
    if set.booksDiffer {
      add(.now, "bookd's books differ from those of the tape", ["books differ"], "bulkhead status \(name)")
    }
    if set.sweepViolations > 0 {
      add(
        .now, "bookd's books contradict themselves in \(set.sweepViolations) places", ["sweep violation"],
        "bulkhead bundle \(name)")
    }
    if set.verdict == .down {
      add(
        set.wasStopped ? .later : .now,
        set.wasStopped ? "the set was stopped; its files are kept" : "no stage runs: \(set.reason)",
        ["down"], "bulkhead events \(name)", "bulkhead bundle \(name)")
    }
    for component in set.leftDown {
      add(.now, "\(component) is left down: no successor will come", ["left down"], "bulkhead events \(name)")
    }
    if set.verdict == .stale {
      add(
        .now, "the stream is stale: \(set.reason)", ["stale"], "bulkhead status \(name)",
        "bulkhead gaps \(name)")
    }
    if set.verdict != .down {
      for stage in set.stages where !stage.isAlive && !set.leftDown.contains(stage.name) {
        add(
          .now, "\(stage.name) is dead; the supervisor replaces it, if it lives", ["died"],
          "bulkhead events \(name)")
      }
      for stage in set.stages where stage.isAlive && stage.state != "READY" {
        add(.soon, "\(stage.name) is \(stage.state), not READY", ["no start"], "bulkhead rings \(name)")
      }
      if !set.supervisorIsAlive {
        add(
          .now, "watchdogd is dead: nothing would be restarted", ["supervisor started"],
          "bulkhead events \(name)")
      }
    }
    judgeStream(set, name, add)
    judgeHistory(set, name, add)
    for stage in set.stages where stage.isAlive && stage.isReplaced {
      add(
        .later,
        "\(stage.name) runs a program that was replaced on the disk since: a successor would be another build",
        ["ring-layout-version"], "bulkhead stop \(name)")
    }
    // Equals keep their order: causes before what follows from them.
    return found.enumerated().sorted { ($0.element.urgency, $0.offset) < ($1.element.urgency, $1.offset) }
      .map(\.element)
  }

  private typealias Add = (Finding.Urgency, String, [String], String...) -> Void

  private static func judgeStream(_ set: Symptoms, _ name: String, _ add: Add) {
    if set.gapsLost > 0 {
      let reasons = Array(Set(set.lossReasons)).sorted()
      add(
        .soon,
        "\(set.gapsLost) ranges are lost\(reasons.isEmpty ? "" : ": \(reasons.joined(separator: ", "))")",
        reasons.isEmpty ? ["gap open"] : reasons, "bulkhead gaps \(name)")
    }
    if set.gapsOpen > 0 {
      add(
        .soon, "\(set.gapsOpen) ranges are missing and being asked for", ["gap open"],
        "bulkhead gaps --open \(name)")
    }
    if set.disagreements > 0 {
      add(
        .soon, "the lines disagreed about \(set.disagreements) messages", ["lines disagree"],
        "bulkhead gaps \(name)")
    }
    for line in set.linesDown where set.verdict != .down {
      add(.soon, "line \(line) is down: there is no redundancy", ["line down"], "bulkhead status \(name)")
    }
    if set.isUnjournaled {
      add(
        .soon, "part of the stream is not safely on the disk", ["unjournaled"], "bulkhead tape verify \(name)"
      )
    }
    if set.quarantined > 0 {
      add(
        .soon, "\(set.quarantined) instruments are in quarantine", ["quarantine"], "bulkhead status \(name)")
    }
    for slow in set.slowReaders {
      add(
        .soon, "\(slow.reader) on \(slow.ring): \(slow.note) of what the ring retains", ["ring overrun"],
        "bulkhead rings \(name)")
    }
    if set.kernelDrops > 0 {
      add(
        .later, "the kernel has dropped \(set.kernelDrops) datagrams", ["kernel drops"],
        "bulkhead host check receive-buffer netdev-backlog nic-rings")
    }
  }

  private static func judgeHistory(_ set: Symptoms, _ name: String, _ add: Add) {
    for death in set.deaths where !set.wasStopped || death.cause != .requested {
      let often = death.count == 1 ? "once" : "\(death.count) times"
      add(
        death.count > 2 ? .soon : .later, "\(death.component) has died \(often), last: \(death.cause)",
        [AlarmCatalogue.name(of: death.cause)], "bulkhead events \(name)")
    }
    for alarm in set.alarms {
      let often = alarm.count == 1 ? "" : ", \(alarm.count) times"
      let next = alarm.cause.isOfTheHost ? "bulkhead host check" : "bulkhead events \(name)"
      add(
        .later, "\(alarm.component) reached the \(alarm.tier.name)\(often): \(alarm.cause.name)",
        [alarm.cause.name],
        next)
    }
  }

  /// Of the host: what a set would be refused for, then what would be better.
  static func findings(_ host: HostVerdict) -> [Finding] {
    (host.failures + host.warnings).map { check in
      Finding(
        urgency: check.isFailure ? .soon : .later,
        text: "host: \(check.name.rawValue) is \(check.got), wants \(check.want)",
        explain: [check.name.rawValue],
        next: check.fix.isNone ? [] : ["\(check.fix)"])
    }
  }
}
