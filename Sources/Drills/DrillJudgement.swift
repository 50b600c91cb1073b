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
    /// Deaths, fences and components left down that the drill has no part in, and records of the supervisor that were overwritten
    /// before anybody read them.
    public var surprises: [String] = []
    /// Requests to the retransmission service.
    public var requests: UInt64 = 0
    /// The first message of the stream's that is not of an earlier set's; nil of a stream that begins with the day.
    public var continuedAt: UInt64?
    /// Processes that were there when the set had ended.
    public var survivors: [String] = []
    /// The tape is whole, and has each message once; nil without a tape.
    public var tapeIsExact: Bool?
    /// Of an independent reader of what was published; nil without one.
    public var frames: FrameChecks?
    /// Of the set; nil of one that was never READY.
    public var identity: SetIdentity?
    /// What went into each hop of the flow and came out of it.
    public var hops: [FlowHop] = []

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
  /// Of a drill of kills: what was usual before the first; nil when the day was too short to know.
  public var usual: UsualLoad?
  /// Of a baseline: how old beats were.
  public var beats = BeatBaseline()
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
  public var passed: Bool { wasRun && !criteria.contains { $0.verdict == .fail } }
  /// Whether anything was looked at: not where the machine, or the build, has not what the drill takes.
  public var wasRun: Bool { criteria.contains { $0.verdict != .notJudged && $0.code != "run" } }

  /// - Parameters:
  ///   - killsWanted: fewer are a failure of the drill.
  ///   - judgesTimes: whether durations count; on a machine that is busy with other things they say nothing.
  ///   - findings: of all rounds together, beside those of each.
  ///   - baseline: how old beats are without a fault, on this machine at this time; nil when nobody looked.
  public init(
    _ drill: Drill, _ allRounds: [DrillRound], killsWanted: Int, judgesTimes: Bool,
    findings: [DrillFinding] = [], baseline: BeatBaseline? = nil
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
    if drill.hasTape || rounds.contains(where: { $0.outcome.tapeIsExact != nil }) {
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
    if let gaps = Self.judgeGaps(drill, kills, baseline, judgesTimes: judgesTimes) { criteria.append(gaps) }
    if let frames = Self.judgeFrames(drill, rounds) { criteria.append(frames) }
    criteria += Self.judgeCauses(kills)
    let surprises = rounds.flatMap(\.outcome.surprises)
    criteria.append(
      DrillCriterion(
        code: "deaths", text: "nobody ends, is fenced or left down unasked",
        found: surprises.first.map { "\(surprises.count), first: \($0)" } ?? "none",
        // On a short ladder, who gets no processor is fenced for that.
        verdict: surprises.isEmpty ? .pass : drill.hasShortLadder && !judgesTimes ? .notJudged : .fail))
    let conserved = rounds.allSatisfy {
      $0.outcome.messagesSent > 0
        && $0.outcome.messagesSent == $0.outcome.messagesApplied + $0.outcome.messagesLost
    }
    judge("C10", "sent = applied + declared lost", "\(sum(\.messagesSent)) sent", conserved)
    criteria += Self.judge(
      rounds.compactMap { FlowHop.finding($0.outcome.hops) }, judgesTimes: judgesTimes)
    if let back = Self.judgeReturns(kills, judgesTimes: judgesTimes) { criteria.append(back) }
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

  /// For so long after a supervisor's death the others' causes may be as its successor found them, in nanoseconds.
  static let unwatchedNanoseconds: UInt64 = 10_000_000_000

  /// C11. With the supervisor dead as well, nobody was there to read the cause; but the death is recorded. Who had not begun when it
  /// died ends by itself, perhaps before the blow.
  private static func judgeCauses(_ kills: [KillMeasurement]) -> [DrillCriterion] {
    guard !kills.isEmpty else { return [] }
    let supervisors = kills.filter { $0.component == "watchdogd" }
    func isUnwatched(_ kill: KillMeasurement) -> Bool {
      supervisors.contains {
        let (early, late) = (min($0.killedAt, kill.killedAt), max($0.killedAt, kill.killedAt))
        return $0.round == kill.round && late - early < unwatchedNanoseconds
      }
    }
    let judged = kills.filter(\.isCauseJudged)
    let unread = judged.filter {
      $0.cause != "killed (SIGKILL)"
        && !(["ended, cause unknown", "ended with code 1"].contains($0.cause) && isUnwatched($0))
    }
    return [
      DrillCriterion(
        code: "C11", text: "every death is recorded with its cause",
        found: unread.first.map { "\(unread.count) not, first: \($0.component): \($0.cause)" }
          ?? "\(judged.count) of \(kills.count)",
        verdict: judged.isEmpty ? .notJudged : unread.isEmpty ? .pass : .fail)
    ]
  }

  /// One line for each code: what fails stands for all, and what fails wherever it is measured before what is a matter of times.
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
      guard
        let shown = wrong.first(where: { !$0.isOfTimes }) ?? wrong.first
          ?? all.last(where: { $0.skipped == nil }) ?? all.first
      else { return nil }
      let verdict: DrillCriterion.Verdict =
        skipped.count == all.count || (shown.isOfTimes && !judgesTimes)
        ? .notJudged : wrong.isEmpty ? .pass : .fail
      let found =
        all.count > 1 && !wrong.isEmpty ? "\(wrong.count) of \(all.count): \(shown.found)" : shown.found
      return DrillCriterion(code: code, text: shown.text, found: found, verdict: verdict)
    }
  }

  /// C12. Nil where nobody looks. What was cut by the next blow or the day's end says nothing, so that a stage that never comes back
  /// would not be seen; hence a quarter of all kills has to have been seen to the end.
  private static func judgeReturns(_ kills: [KillMeasurement], judgesTimes: Bool) -> DrillCriterion? {
    let all = kills.compactMap(\.loadReturn)
    guard !all.isEmpty else { return nil }
    let back = all.count { $0 == .back }
    let late = all.compactMap { result -> String? in
      if case .late(let what) = result { return what }
      return nil
    }
    let unknown = all.count { $0 == .noUsual }
    let cut = all.count - back - late.count - unknown
    let holds = late.isEmpty && back * 4 >= all.count
    return DrillCriterion(
      code: "C12", text: "lag, p99 back within 10 % of before, 5 s from READY",
      found: late.first.map { "\(late.count) late: \($0)" }
        ?? "\(back) back, \(cut) cut short, \(unknown) unknown",
      verdict: !judgesTimes ? .notJudged : holds ? .pass : .fail)
  }

  /// C8, against what is usual of each bystander without a fault. What the whole machine's standstill had of a time between two beats
  /// is not the set's.
  private static func judgeGaps(
    _ drill: Drill, _ kills: [KillMeasurement], _ baseline: BeatBaseline?, judgesTimes: Bool
  ) -> DrillCriterion? {
    guard drill.isOfKills, !kills.isEmpty else { return nil }
    let compared = kills.flatMap { kill in
      kill.bystanderGaps.sorted { $0.key < $1.key }.compactMap { name, gap in
        baseline?.limit(of: name).map { (name: name, gap: gap, limit: $0) }
      }
    }
    func excess(_ gap: UInt64, _ limit: UInt64) -> Int64 { Int64(clamping: gap) - Int64(clamping: limit) }
    let beyond = compared.count { $0.gap.own > $0.limit }
    let standing = compared.filter { $0.gap.longest > $0.limit && $0.gap.own <= $0.limit }
    // The first of those that are as near.
    let nearest = compared.reduce(nil as (name: String, gap: BystanderGap, limit: UInt64)?) { nearest, next in
      guard let nearest else { return next }
      return excess(next.gap.own, next.limit) > excess(nearest.gap.own, nearest.limit) ? next : nearest
    }
    let ofMachine =
      standing.map(\.gap.longest).max().map {
        ", \(standing.count) by the machine's standstill (\($0 / 1_000_000).\($0 / 100_000 % 10) ms at most)"
      } ?? ""
    return DrillCriterion(
      code: "C8 gap", text: "bystanders' beats: baseline p99.9 + 5 ms at most",
      found: nearest.map {
        "\(beyond) of \(compared.count) beyond\(ofMachine), nearest \($0.name) \($0.gap.own / 1_000) of \($0.limit / 1_000) µs"
      } ?? "no baseline",
      verdict: !judgesTimes || baseline == nil ? .notJudged : !compared.isEmpty && beyond == 0 ? .pass : .fail
    )
  }

  /// C3. Where pubd may die, it may die in the midst of a message, which its reader has to give to nobody.
  private static func judgeFrames(_ drill: Drill, _ rounds: [DrillRound]) -> DrillCriterion? {
    let all = rounds.compactMap(\.outcome.frames)
    guard !all.isEmpty else { return nil }
    let frames = all.reduce(0) { $0 + $1.frames }
    let checksums = all.reduce(0) { $0 + $1.checksums }
    let partial = all.reduce(0) { $0 + $1.partial }
    let refusals = all.flatMap(\.refusals)
    let mayBreak = drill.victims?.contains("pubd") ?? true
    return DrillCriterion(
      code: "C3", text: "frames that an independent reader refuses, or gets in part",
      found: refusals.first.map { "\(refusals.count) of \(frames): \($0)" }
        ?? "0, \(partial) in part, of \(frames); \(checksums) books",
      verdict: refusals.isEmpty && (partial == 0 || mayBreak) && frames > 0 ? .pass : .fail)
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
