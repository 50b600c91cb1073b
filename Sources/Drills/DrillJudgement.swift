/// What a process of the set was at one moment.
public struct ProcessFootprint: Sendable, Equatable {
  public let name: String
  public let pid: Int32
  public let epoch: UInt64
  /// Open descriptors and mappings; 0 of a process that has ended.
  public let descriptors, mappings: Int
  /// Its longest time between two beats so far, in nanoseconds.
  public let longestBeatGap: UInt64

  public init(
    name: String, pid: Int32, epoch: UInt64, descriptors: Int, mappings: Int, longestBeatGap: UInt64
  ) {
    self.name = name
    self.pid = pid
    self.epoch = epoch
    self.descriptors = descriptors
    self.mappings = mappings
    self.longestBeatGap = longestBeatGap
  }

  /// This process with the descriptors and mappings of an earlier look, while it was the same process.
  public func holding(what earlier: ProcessFootprint) -> ProcessFootprint {
    guard earlier.pid == pid, earlier.epoch == epoch else { return self }
    return ProcessFootprint(
      name: name, pid: pid, epoch: epoch, descriptors: earlier.descriptors, mappings: earlier.mappings,
      longestBeatGap: longestBeatGap)
  }
}

/// What came of one round: a day from its first to its last message, with so many blows.
public struct DrillRound: Sendable, Equatable {
  /// The result of the run, as it judged itself: every event read by a reader of its own, digests compared with those of
  /// the same messages without the pipeline.
  public struct Outcome: Sendable, Equatable {
    public var verdict = "no result"
    public var reasons: [String] = []
    public var messagesSent: UInt64 = 0
    public var messagesApplied: UInt64 = 0
    public var messagesLost: UInt64 = 0
    public var gaps = 0
    public var restartGaps = 0
    public var identityViolations: UInt64 = 0
    public var repeatedRecords: UInt64 = 0
    public var replicaMismatches: UInt64 = 0
    public var ringLaps: UInt64 = 0
    public var digestsEqual = false
    public var restarts: [String: UInt64] = [:]
    public var kernelDrops: UInt64 = 0
    public var retransmitted: UInt64 = 0
    /// How long the venue sent, and how long the reader saw events, in nanoseconds.
    public var sendNanoseconds: UInt64 = 0
    public var flowNanoseconds: UInt64 = 0
    /// Processes that were there when the set had ended.
    public var survivors: [String] = []
    /// The tape is whole, and has each message once; nil without a tape.
    public var tapeIsExact: Bool?

    public init() {}
  }

  public let number: Int
  /// What holds of this round besides what is judged of every drill.
  public var findings: [DrillFinding] = []
  /// Whether the day came to its end, and the stream is to be judged; not where a drill ends it before.
  public var hasWholeDay = true
  /// Those whose process may be another afterwards, beside the drill's victims.
  public var touched: [String] = []
  public var kills: [KillMeasurement] = []
  /// Live orders before the first kill, as bookd's page had them.
  public var liveOrders: UInt64 = 0
  public var pauses = 0
  /// Of a drill of pauses: each of them.
  public var stops: [PauseMeasurement] = []
  /// Of the drill of stages that live and do not work.
  public var livelocks: [LivelockMeasurement] = []
  /// Of the drill of safety actions.
  public var actions: [ActionRepetition] = []
  public var before: [ProcessFootprint] = []
  public var after: [ProcessFootprint] = []
  public var outcome = Outcome()
  /// What went wrong with the round itself; nil when it ran to its end.
  public var problem: String?

  public init(number: Int) { self.number = number }
}

/// Something that one drill alone looks at.
public struct DrillFinding: Sendable, Equatable {
  /// A short word, as a criterion's code.
  public let code: String
  public let text: String
  public let found: String
  public let holds: Bool
  /// Whether it says nothing on a machine that is busy with other things.
  public let isOfTimes: Bool
  /// Why it could not be looked at here; then it neither holds nor fails.
  public let skipped: String?

  public init(
    _ code: String, _ text: String, found: String, holds: Bool, isOfTimes: Bool = false,
    skipped: String? = nil
  ) {
    self.code = code
    self.text = text
    self.found = found
    self.holds = holds
    self.isOfTimes = isOfTimes
    self.skipped = skipped
  }

  /// What this machine does not have.
  public static func skipped(_ code: String, _ text: String, because reason: String) -> DrillFinding {
    DrillFinding(code, text, found: reason, holds: false, skipped: reason)
  }
}

/// Figures that a drill publishes.
public struct DrillTable: Sendable, Equatable {
  public let title: String
  public let columns: [String]
  public let rows: [[String]]

  public init(_ title: String, columns: [String], rows: [[String]]) {
    self.title = title
    self.columns = columns
    self.rows = rows
  }
}

/// One line of the verdict.
public struct DrillCriterion: Sendable, Equatable {
  public enum Verdict: String, Sendable { case pass = "PASS", fail = "FAIL", notJudged = "not judged" }
  /// "C5" of the common acceptance block, or a metric's name.
  public let code: String
  public let text: String
  public let found: String
  public let verdict: Verdict
}

/// Weighs the rounds of one drill.
public struct DrillJudgement: Sendable {
  /// An alarm's age: no bystander may go so long without a beat.
  static let alarmNanoseconds: UInt64 = 100_000_000

  public let criteria: [DrillCriterion]
  public let percentiles: [KillMetric: Percentiles]
  public var passed: Bool { !criteria.contains { $0.verdict == .fail } }

  /// - Parameters:
  ///   - killsWanted: fewer are a failure of the drill.
  ///   - judgesTimes: whether durations count; on a machine that is busy with other things they say nothing.
  ///   - findings: of all rounds together, beside those of each.
  public init(
    _ drill: Drill, _ allRounds: [DrillRound], killsWanted: Int, judgesTimes: Bool,
    findings: [DrillFinding] = []
  ) {
    let kills = allRounds.flatMap(\.kills)
    var criteria: [DrillCriterion] = []
    func judge(_ code: String, _ text: String, _ found: String, _ holds: Bool) {
      criteria.append(DrillCriterion(code: code, text: text, found: found, verdict: holds ? .pass : .fail))
    }
    func sum(_ value: (DrillRound.Outcome) -> UInt64) -> UInt64 {
      rounds.reduce(0) { $0 + value($1.outcome) }
    }

    let problems = allRounds.compactMap(\.problem)
    judge(
      "run", "every round runs to its end", problems.first ?? "\(allRounds.count) rounds", problems.isEmpty)
    criteria += Self.judge(findings + allRounds.flatMap(\.findings), judgesTimes: judgesTimes)
    // What is said of streams is said of those that came to their end.
    let rounds = allRounds.filter(\.hasWholeDay)
    guard !rounds.isEmpty else {
      self.criteria = criteria
      percentiles = [:]
      return
    }
    if killsWanted > 0, !drill.hasShortLadder {
      judge(
        "kills", "as many as were asked for", "\(kills.count) of \(killsWanted)", kills.count >= killsWanted)
    }
    if case .pauses(let stages, let milliseconds, let times) = drill.method {
      criteria += Self.judgePauses(
        rounds.flatMap(\.stops), wanted: min(killsWanted, stages.count * milliseconds.count * times),
        judgesTimes: judgesTimes)
    }
    if drill.method == .livelock {
      criteria += Self.judgeLivelocks(
        rounds.flatMap(\.livelocks), wanted: killsWanted, judgesTimes: judgesTimes)
    }
    if drill.method == .actions {
      criteria += Self.judgeActions(
        rounds.flatMap(\.actions), expected: ActionRepetition.expected, wanted: killsWanted,
        judgesTimes: judgesTimes)
    }
    // More is sent there than can be taken: what is lost has to be declared, and nothing else is asked.
    let mayLose = drill.method == .overload
    let lost = sum(\.messagesLost)
    let isWhole = rounds.allSatisfy { Self.isWhole($0, mayLose: mayLose) }
    judge(
      "C1", "lost events that no gap declares", mayLose ? "\(lost) declared" : "\(lost) lost",
      (mayLose || lost == 0) && isWhole)
    let violations = sum { $0.identityViolations + $0.repeatedRecords + $0.replicaMismatches }
    judge("C2", "repeated events, at a reader and at the books", "\(violations)", violations == 0)
    judge(
      "C4", "reversals of sequence or index", "\(sum(\.identityViolations))", sum(\.identityViolations) == 0)
    let unequal = rounds.filter { !$0.outcome.digestsEqual }.count
    judge("C5", "stream and book digests equal the reference", "\(unequal) rounds differ", unequal == 0)
    let gaps = rounds.reduce(0) { $0 + $1.outcome.gaps + $1.outcome.restartGaps }
    if !mayLose {
      judge("C6", "declared gaps are what is truly missing: nothing", "\(gaps) gaps", gaps == 0)
    }
    if drill.hasTape {
      let inexact = rounds.filter { $0.outcome.tapeIsExact != true }.count
      judge("tape", "the tape is whole and has each message once", "\(inexact) rounds differ", inexact == 0)
    }
    let survivors = rounds.flatMap(\.outcome.survivors)
    judge(
      "rest", "no process outlives its set", survivors.first.map { "\(survivors.count): \($0)" } ?? "none",
      survivors.isEmpty)
    Self.judgeBystanders(drill, rounds, judge)
    if let holdings = Self.judgeHoldings(drill, rounds, judgesTimes: judgesTimes) {
      criteria.append(holdings)
    }
    if let gap = Self.longestBystanderGap(drill, rounds) {
      let holds = gap < Self.alarmNanoseconds
      criteria.append(
        DrillCriterion(
          code: "C8", text: "no bystander without a beat for 100 ms", found: "longest \(gap / 1_000) µs",
          verdict: !judgesTimes ? .notJudged : holds ? .pass : .fail))
    }
    // With the supervisor dead as well, nobody was there to read the cause; but the death is recorded.
    let isUnwatched = drill.victims?.contains("watchdogd") ?? true
    let unread = kills.filter {
      $0.cause != "killed (SIGKILL)" && !(isUnwatched && $0.cause == "ended, cause unknown")
    }
    if !kills.isEmpty {
      judge(
        "C11", "every death is recorded with its cause",
        unread.first.map { "\(unread.count) not, first: \($0.component): \($0.cause)" } ?? "\(kills.count)",
        unread.isEmpty)
    }
    let conserved = rounds.allSatisfy {
      $0.outcome.messagesSent > 0
        && $0.outcome.messagesSent == $0.outcome.messagesApplied + $0.outcome.messagesLost
    }
    judge("C10", "sent = applied + declared lost", "\(sum(\.messagesSent)) sent", conserved)

    var percentiles: [KillMetric: Percentiles] = [:]
    for metric in KillMetric.allCases {
      percentiles[metric] = Percentiles(kills.compactMap { $0.nanoseconds[metric] })
    }
    for limit in drill.limits {
      let text = "p99 of \(limit.metric.rawValue) at most \(limit.milliseconds) ms"
      guard let found = percentiles[limit.metric] else {
        criteria.append(
          DrillCriterion(code: limit.metric.rawValue, text: text, found: "never seen", verdict: .fail))
        continue
      }
      // The instant of a record that was never seen must not make the rest look good.
      let isComplete = found.count >= kills.filter { Self.applies(limit.metric, to: $0.component) }.count
      let holds = found.p99 <= limit.milliseconds * 1_000_000 && isComplete
      criteria.append(
        DrillCriterion(
          code: limit.metric.rawValue, text: text, found: "\(found.p99 / 1_000) µs of \(found.count)",
          verdict: !judgesTimes && isComplete ? .notJudged : holds ? .pass : .fail))
    }
    self.criteria = criteria
    self.percentiles = percentiles
  }

  /// One line for each code: what fails stands for all.
  private static func judge(_ findings: [DrillFinding], judgesTimes: Bool) -> [DrillCriterion] {
    var order: [String] = []
    var byCode: [String: [DrillFinding]] = [:]
    for finding in findings {
      if byCode[finding.code] == nil { order.append(finding.code) }
      byCode[finding.code, default: []].append(finding)
    }
    return order.compactMap { code in
      let all = byCode[code] ?? []
      let wrong = all.filter { !$0.holds && $0.skipped == nil }
      let skipped = all.filter { $0.skipped != nil }
      guard let shown = wrong.first ?? all.last(where: { $0.skipped == nil }) ?? all.first else { return nil }
      let verdict: DrillCriterion.Verdict =
        skipped.count == all.count || (shown.isOfTimes && !judgesTimes)
        ? .notJudged : wrong.isEmpty ? .pass : .fail
      let found =
        all.count > 1 && !wrong.isEmpty ? "\(wrong.count) of \(all.count): \(shown.found)" : shown.found
      return DrillCriterion(code: code, text: shown.text, found: found, verdict: verdict)
    }
  }

  /// Nobody writes down the supervisor's own death.
  static func applies(_ metric: KillMetric, to component: String) -> Bool {
    component != "watchdogd" || metric == .recover
  }

  private static func isWhole(_ round: DrillRound, mayLose: Bool) -> Bool {
    if mayLose, round.outcome.verdict == "incomplete" {
      return round.outcome.messagesApplied + round.outcome.messagesLost == round.outcome.messagesSent
    }
    return round.outcome.verdict == "correct" && round.outcome.messagesApplied == round.outcome.messagesSent
  }

  /// The longest time between two beats of those that were not hit; nil when anybody may have been.
  private static func longestBystanderGap(_ drill: Drill, _ rounds: [DrillRound]) -> UInt64? {
    guard let victims = drill.victims else { return nil }
    return rounds.flatMap(\.after).filter { !victims.contains($0.name) }.map(\.longestBeatGap).max()
  }

  private static func judgeBystanders(
    _ drill: Drill, _ rounds: [DrillRound], _ judge: (String, String, String, Bool) -> Void
  ) {
    guard let victims = drill.victims else { return }
    var changed: [String] = []
    var restarted: [String] = []
    for round in rounds {
      for process in bystanders(round.before, victims, round) {
        guard let later = round.after.first(where: { $0.name == process.name }) else {
          changed.append("\(process.name) is gone")
          continue
        }
        if later.pid != process.pid || later.epoch != process.epoch { changed.append(process.name) }
      }
      restarted += round.outcome.restarts.filter {
        !victims.contains($0.key) && !round.touched.contains($0.key) && $0.value > 0
      }.map(\.key)
    }
    judge("C7", "bystanders: same process, same epoch", changed.first ?? "unchanged", changed.isEmpty)
    let laps = rounds.reduce(0) { $0 + $1.outcome.ringLaps }
    let drops = rounds.reduce(0) { $0 + $1.outcome.kernelDrops }
    judge(
      "C9", "no gaps, drops or restarts beside the fault",
      "\(laps) laps, \(drops) kernel drops, \(restarted.first ?? "no") restarts",
      (drill.method == .overload || laps == 0 && drops == 0) && restarted.isEmpty)
  }

  private static func bystanders(
    _ processes: [ProcessFootprint], _ victims: [String], _ round: DrillRound
  ) -> [ProcessFootprint] {
    processes.filter { !victims.contains($0.name) && !round.touched.contains($0.name) }
  }

  /// C14. A day may be over with the last recovery; then only pages are left to look at, and how many days end so is a
  /// matter of times.
  private static func judgeHoldings(
    _ drill: Drill, _ rounds: [DrillRound], judgesTimes: Bool
  ) -> DrillCriterion? {
    guard let victims = drill.victims else { return nil }
    var grown: [String] = []
    var compared = 0
    for round in rounds {
      for process in bystanders(round.before, victims, round) where process.descriptors > 0 {
        guard let later = round.after.first(where: { $0.name == process.name }), later.descriptors > 0 else {
          continue
        }
        compared += 1
        if later.descriptors != process.descriptors || later.mappings != process.mappings {
          grown.append(
            "\(process.name): \(process.descriptors) to \(later.descriptors) descriptors, \(process.mappings) to \(later.mappings) mappings"
          )
        }
      }
    }
    let isUnseen = compared == 0 && grown.isEmpty
    return DrillCriterion(
      code: "C14", text: "bystanders' descriptors and mappings as before",
      found: grown.first ?? (isUnseen ? "nobody was left to look at" : "equal, \(compared) compared"),
      verdict: !grown.isEmpty ? .fail : !isUnseen ? .pass : judgesTimes ? .fail : .notJudged)
  }
}
