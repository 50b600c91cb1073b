/// What the supervisor made of a process that stood still for a while. Instants are nanoseconds of CLOCK_MONOTONIC.
public struct PauseMeasurement: Sendable, Equatable {
  /// A tier of the liveness ladder, by its name in the supervisor's records, and the age at which it is reached.
  public struct Tier: Sendable, Equatable {
    public let name: String
    public let nanoseconds: UInt64
  }

  /// What the drills of pauses set as thresholds of every stage. An idle stage beats every 50 ms: nothing much below can be told
  /// from that.
  public static let tiers = [
    Tier(name: "mark", nanoseconds: 60_000_000), Tier(name: "alarm", nanoseconds: 200_000_000),
    Tier(name: "fence", nanoseconds: 1_000_000_000),
  ]
  /// How old an idle stage's last beat may be when it is stopped.
  static let idleNanoseconds: UInt64 = 51_000_000
  /// What a tier may be late by.
  static let toleranceNanoseconds: UInt64 = 5_000_000

  public let component: String
  public let round: Int
  /// From the stop to the attempt to let it go on.
  public let heldFor: UInt64
  /// For each tier that fired, how long after the stop.
  public var fired: [String: UInt64] = [:]
  /// The causes of alarm and fence, as the supervisor read them.
  public var causes: [String] = []
  /// A successor was started, and after the death of the stopped one had been confirmed; nil when none was.
  public var successorFollowedDeath: Bool?

  public init(component: String, round: Int, heldFor: UInt64) {
    self.component = component
    self.round = round
    self.heldFor = heldFor
  }

  /// The tier that fired and should not have, or did not and should; nil when all is as it should be.
  public var wrongTier: String? {
    for tier in Self.tiers {
      let didFire = fired[tier.name] != nil
      if didFire, heldFor + Self.idleNanoseconds < tier.nanoseconds { return "\(tier.name) fired" }
      if !didFire, heldFor > tier.nanoseconds + 4 * Self.toleranceNanoseconds {
        return "\(tier.name) did not fire"
      }
    }
    return nil
  }

  /// The tier that fired too early or too late; nil when none did.
  public var mistimedTier: String? {
    for tier in Self.tiers {
      guard let after = fired[tier.name] else { continue }
      if after + Self.idleNanoseconds < tier.nanoseconds
        || after > tier.nanoseconds + Self.toleranceNanoseconds
      {
        return "\(tier.name) after \(after / 1_000) µs"
      }
    }
    return nil
  }

  /// Stopped, and nothing else.
  public var wrongCause: String? { causes.first { $0 != "stopped" } }

  /// A successor without a fence, a fence without a successor, or one that did not wait for the death.
  public var wrongSuccession: String? {
    let wasFenced = fired["fence"] != nil
    switch successorFollowedDeath {
    case nil: return wasFenced ? "fenced and not replaced" : nil
    case true?: return wasFenced ? nil : "replaced without a fence"
    case false?: return "replaced before its death was confirmed"
    }
  }

  var words: String { "\(component), \(heldFor / 1_000_000) ms" }
}

extension DrillJudgement {
  /// Criteria of the drills that stop processes.
  static func judgePauses(
    _ pauses: [PauseMeasurement], wanted: Int, judgesTimes: Bool
  ) -> [DrillCriterion] {
    func judge(
      _ code: String, _ text: String, _ problem: (PauseMeasurement) -> String?, counts: Bool = true
    ) -> DrillCriterion {
      let wrong = pauses.compactMap { pause in problem(pause).map { "\(pause.words): \($0)" } }
      return DrillCriterion(
        code: code, text: text, found: wrong.first.map { "\(wrong.count) not, \($0)" } ?? "\(pauses.count)",
        verdict: !counts ? .notJudged : wrong.isEmpty ? .pass : .fail)
    }
    return [
      DrillCriterion(
        code: "stops", text: "as many as were planned", found: "\(pauses.count) of \(wanted)",
        verdict: pauses.count >= wanted ? .pass : .fail),
      judge(
        "tiers", "a tier fires when the stop outlasts it, else not", { $0.wrongTier }, counts: judgesTimes),
      judge("instant", "each within 5 ms of its age", { $0.mistimedTier }, counts: judgesTimes),
      judge("C11", "alarm and fence say: stopped", { $0.wrongCause }),
      judge("fence", "fenced and replaced, behind the confirmed death", { $0.wrongSuccession }),
    ]
  }
}
