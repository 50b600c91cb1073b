/// What the supervisor made of a stage that lives and does not work (D-10). Instants are nanoseconds of CLOCK_MONOTONIC.
public struct LivelockMeasurement: Sendable, Equatable {
  /// How the stage fails.
  public enum Kind: String, Sendable, CaseIterable {
    /// It beats, and takes none of its input.
    case livelock
    /// It beats and takes its input, and nothing comes of it.
    case faking

    /// What the alarm must find missing, and the cause that it must give.
    public var missing: String { self == .livelock ? "progress" : "canary" }
    public var cause: String {
      self == .livelock
        ? "livelocked: beats, takes no input" : "fakes progress: what it took does not come out"
    }
  }

  /// Faked progress must have been found by then: a challenge comes each second, and the alarm's age is to be reached.
  static let canaryNanoseconds: UInt64 = 3_500_000_000
  /// What the progress tier may be late by.
  static let toleranceNanoseconds: UInt64 = 5_000_000

  public let kind: Kind
  public let round: Int
  /// From READY of the failing incarnation to its alarm; nil when there was none.
  public var alarmAfter: UInt64?
  /// For how long the ladder had missed something by then.
  public var age: UInt64 = 0
  public var missing = ""
  public var cause = ""
  /// It was fenced, and its successor, a working one, is READY.
  public var wasReplaced = false

  public init(kind: Kind, round: Int) {
    self.kind = kind
    self.round = round
  }
}

extension DrillJudgement {
  /// Criteria of the drill of stages that live and do not work.
  static func judgeLivelocks(
    _ found: [LivelockMeasurement], wanted: Int, judgesTimes: Bool
  ) -> [DrillCriterion] {
    func judge(
      _ code: String, _ text: String, _ words: String, _ holds: Bool, counts: Bool = true
    ) -> DrillCriterion {
      DrillCriterion(
        code: code, text: text, found: words, verdict: !counts ? .notJudged : holds ? .pass : .fail)
    }
    var criteria = [
      judge("failures", "as many as were planned", "\(found.count) of \(wanted)", found.count >= wanted)
    ]
    for kind in LivelockMeasurement.Kind.allCases {
      let own = found.filter { $0.kind == kind }
      let wrong = own.filter { $0.missing != kind.missing || $0.cause != kind.cause }
      criteria.append(
        judge(
          "C11", "\(kind.rawValue): the alarm says: no \(kind.missing), \(kind.cause)",
          wrong.first.map { "\(wrong.count) not: no \($0.missing), \($0.cause)" } ?? "\(own.count)",
          wrong.isEmpty && !own.isEmpty))
    }
    let alarm = PauseMeasurement.tiers.first { $0.name == "alarm" }?.nanoseconds ?? 0
    let locked = found.filter { $0.kind == .livelock }
    let ages = Percentiles(locked.map(\.age))
    criteria.append(
      judge(
        "progress", "the alarm within 5 ms of its age, \(alarm / 1_000_000) ms",
        ages.map { "\(alarm / 1_000_000) ms + \(($0.maximum &- alarm) / 1_000) us at most" } ?? "never seen",
        !locked.isEmpty
          && locked.allSatisfy {
            $0.age >= alarm && $0.age <= alarm + LivelockMeasurement.toleranceNanoseconds
          },
        counts: judgesTimes || locked.isEmpty))
    let faked = found.filter { $0.kind == .faking }
    let seen = faked.compactMap(\.alarmAfter)
    let slowest = Percentiles(seen)
    criteria.append(
      judge(
        "canary", "faked progress is found within 3.5 s",
        slowest.map { "p50 \($0.p50 / 1_000_000), max \($0.maximum / 1_000_000) ms of \($0.count)" }
          ?? "never seen",
        !faked.isEmpty && seen.count == faked.count
          && seen.allSatisfy { $0 <= LivelockMeasurement.canaryNanoseconds },
        counts: judgesTimes || seen.count < faked.count || faked.isEmpty))
    let left = found.filter { !$0.wasReplaced }.count
    criteria.append(judge("fence", "each is ended and replaced", "\(left) not", left == 0))
    return criteria
  }
}
