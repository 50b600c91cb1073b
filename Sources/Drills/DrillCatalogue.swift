/// One drill: what is done to a running set, and what has to hold.
public struct Drill: Sendable {
  public enum Method: Sendable, Equatable {
    /// Nothing is done: what holds without a fault, and the yardstick for the others.
    case baseline
    /// SIGKILL for all of `victims` within a millisecond, again and again, each time after the set has recovered.
    case kill(victims: [String])
    /// SIGKILL for everybody at once, and the set's memory is removed; then it is brought up again, with its tape.
    case wholeSet
    /// SIGSTOP for each of the stages and times, one after the other; SIGCONT when it is over.
    case pauses(stages: [String], milliseconds: [UInt32], times: Int)
    /// SIGKILL and short stops for whoever comes, also while others recover.
    case chaos
    /// Writers and readers of tiny rings, killed at full rate by a program of their own.
    case tornRecords
    /// Every program kills itself at every numbered place that it comes to: in a test build only.
    case failpoints
    /// At half of the rate that the machine has, SIGKILL for somebody every two seconds, as long as asked; all but one, who is
    /// another in each round.
    case soak
    /// Nothing is done, as long as asked, while somebody asks for the metrics ten times a second.
    case quiet
    /// Nothing is done but that more is sent than the set can take, in steps.
    case overload
    /// What one drill alone does.
    case scripted
    /// A bookd that lives and does not work, in the place of a dead one, in each of its kinds.
    case livelock
    /// Every stage is stopped at once, and every safety action fires.
    case actions

    var isOfPauses: Bool {
      if case .pauses = self { return true }
      return false
    }

    /// Whether it goes on as long as asked.
    public var isTimed: Bool { self == .chaos || self == .soak || self == .quiet }
  }

  /// Whether processes are stopped by plan, and the supervisor's ladder is judged.
  public var stopsByPlan: Bool { method.isOfPauses }

  /// Whether the set has the short ladder by which tiers are judged.
  public var hasShortLadder: Bool { stopsByPlan || method == .livelock || method == .actions }

  /// An upper limit for the 99th percentile of a duration.
  public struct Limit: Sendable, Equatable {
    public let metric: KillMetric
    public let milliseconds: UInt64
  }

  /// "D-02".
  public let id: String
  public let title: String
  /// The failure modes that it rehearses.
  public let failureModes: [String]
  public let method: Method
  public let limits: [Limit]
  /// What the lines do to packets meanwhile, as `--impair` of `bulkhead run` takes it; nil for clean lines.
  public let impairment: String?
  /// How long it goes on, and how long a round's day is, when nobody says otherwise; nil for what holds for all.
  public let seconds: UInt64?
  public let messages: UInt64?

  /// Whether the set has a standby beside bookd.
  public let hasStandby: Bool

  init(
    id: String, title: String, failureModes: [String], method: Method, limits: [Limit] = [],
    impairment: String? = nil, seconds: UInt64? = nil, messages: UInt64? = nil,
    hasStandby: Bool = false
  ) {
    self.id = id
    self.title = title
    self.failureModes = failureModes
    self.method = method
    self.limits = limits
    self.impairment = impairment
    self.seconds = seconds
    self.messages = messages
    self.hasStandby = hasStandby
  }

  /// Every drill that there is, in the order of their numbers.
  public static let catalogue: [Drill] = [
    Drill(
      id: "D-00", title: "Baseline, no fault", failureModes: [], method: .baseline, limits: [],
      impairment: nil),
    Drill(
      id: "D-01", title: "Kill one receiver", failureModes: ["FM-020", "FM-135", "FM-602"],
      method: .kill(victims: ["rxd@a"]),
      limits: [Limit(metric: .detect, milliseconds: 5), Limit(metric: .restart, milliseconds: 50)],
      impairment: nil),
    Drill(
      id: "D-02", title: "Kill the merger, with gaps open", failureModes: ["FM-020", "FM-135", "FM-602"],
      method: .kill(victims: ["merged"]),
      limits: [Limit(metric: .detect, milliseconds: 5), Limit(metric: .recover, milliseconds: 150)],
      impairment: "A:loss=2%,reorder=1%;B:loss=2%,reorder=1%"),
    Drill(
      id: "D-03", title: "Kill the book", failureModes: ["FM-020", "FM-135", "FM-602"],
      method: .kill(victims: ["bookd"]),
      limits: [
        Limit(metric: .detect, milliseconds: 5), Limit(metric: .stale, milliseconds: 10),
        Limit(metric: .recover, milliseconds: 500),
      ],
      impairment: nil),
    Drill(
      id: "D-03S", title: "Kill the book, with a standby", failureModes: ["FM-020", "FM-135", "FM-602"],
      method: .kill(victims: ["bookd"]),
      limits: [
        Limit(metric: .detect, milliseconds: 5), Limit(metric: .recover, milliseconds: 50),
        Limit(metric: .flow, milliseconds: 50),
      ], impairment: nil, hasStandby: true),
    Drill(
      id: "D-04", title: "Kill the publisher", failureModes: ["FM-020", "FM-135"],
      method: .kill(victims: ["pubd"]),
      limits: [Limit(metric: .detect, milliseconds: 5), Limit(metric: .recover, milliseconds: 1_000)],
      impairment: nil),
    Drill(
      id: "D-05", title: "Kill the supervisor", failureModes: ["FM-609"],
      method: .kill(victims: ["watchdogd"]), limits: [Limit(metric: .recover, milliseconds: 500)],
      impairment: nil),
    Drill(
      id: "D-06", title: "Kill supervisor and book together", failureModes: ["FM-020", "FM-609"],
      method: .kill(victims: ["watchdogd", "bookd"]),
      limits: [
        Limit(metric: .stale, milliseconds: 100), Limit(metric: .recover, milliseconds: 1_500),
      ],
      impairment: nil),
    Drill(
      id: "D-07", title: "Kill everything, lose the memory",
      failureModes: ["FM-101", "FM-109", "FM-324", "FM-482"],
      method: .wholeSet, limits: [Limit(metric: .recover, milliseconds: 5_000)],
      impairment: "A:loss=1%;B:loss=1%"),
    Drill(
      id: "D-08", title: "Stop each stage for 5 to 1,500 ms", failureModes: ["FM-020", "FM-021", "FM-309"],
      method: .pauses(
        stages: ["rxd@a", "rxd@b", "merged", "bookd", "pubd"],
        milliseconds: [5, 9, 15, 150, 195, 300, 900, 1_500],
        times: 1), limits: [], impairment: nil),
    Drill(
      id: "D-09", title: "A writer that is stopped past its fence, and wakes up",
      failureModes: ["FM-020", "FM-602"],
      method: .pauses(stages: ["merged"], milliseconds: [1_500], times: 20), limits: [], impairment: nil),
    Drill(
      id: "D-09S", title: "A book that is stopped past its fence, and wakes up beside a standby",
      failureModes: ["FM-020", "FM-602"],
      method: .pauses(stages: ["bookd"], milliseconds: [1_500], times: 20), limits: [], impairment: nil,
      hasStandby: true),
    Drill(
      id: "D-10", title: "A stage that beats and takes nothing, and one that fakes that too",
      failureModes: ["FM-021", "FM-121", "FM-219", "FM-335", "FM-612"], method: .livelock, limits: [],
      impairment: nil),
    Drill(
      id: "D-11", title: "Crash loops: budgets, permanent ends, windows",
      failureModes: ["FM-036", "FM-337", "FM-614", "FM-629"], method: .scripted, messages: 600_000),
    Drill(
      id: "D-12", title: "Kill at every step", failureModes: ["FM-020", "FM-023", "FM-602", "FM-609"],
      method: .failpoints, limits: [], impairment: nil),
    Drill(
      id: "D-13", title: "Torn-record storm on tiny rings", failureModes: ["FM-023", "FM-024", "FM-602"],
      method: .tornRecords, limits: [], impairment: nil),
    Drill(
      id: "D-34K", title: "Kill the recorder", failureModes: ["FM-106", "FM-602"],
      method: .kill(victims: ["taped"]),
      limits: [Limit(metric: .detect, milliseconds: 5), Limit(metric: .recover, milliseconds: 1_000)],
      impairment: nil),
    Drill(
      id: "D-39", title: "Every safety action while every stage is stopped",
      failureModes: ["FM-022", "FM-035", "FM-056", "FM-226", "FM-279", "FM-280"], method: .actions,
      limits: [],
      impairment: nil),
    Drill(
      id: "D-45", title: "Seeded chaos: kills and stops of everything",
      failureModes: ["FM-020", "FM-135", "FM-602", "FM-609"],
      method: .chaos, limits: [], impairment: "A:loss=1%,dup=1%,reorder=1%;B:loss=1%,reorder=1%"),
    Drill(
      id: "D-36", title: "Graceful stop, and start again from the tape",
      failureModes: ["FM-328", "FM-637"], method: .scripted, messages: 1_000_000),
    Drill(
      id: "D-37", title: "Upgrade and rollback: another layout, a wrong book, a good build",
      failureModes: ["FM-048", "FM-325", "FM-329", "FM-608"], method: .scripted, messages: 900_000,
      hasStandby: true),
    Drill(
      id: "D-44", title: "Soak: half rate, and somebody dies every two seconds",
      failureModes: ["FM-006", "FM-028", "FM-032", "FM-115", "FM-255", "FM-448", "FM-452"], method: .soak,
      limits: [], impairment: nil, seconds: 3_600, messages: 12_000_000),
    Drill(
      id: "D-44L", title: "Soak with leaks of one process, each of which must be found",
      failureModes: ["FM-006", "FM-255"], method: .scripted, seconds: 60, messages: 12_000_000),
    Drill(
      id: "D-46", title: "False-alarm budget: no fault, metrics asked for ten times a second",
      failureModes: ["FM-270", "FM-271", "FM-277", "FM-340", "FM-343"], method: .quiet, limits: [],
      impairment: nil, seconds: 3_600, messages: 30_000_000),
    Drill(
      id: "D-47", title: "Overload ladder: more is sent than can be taken, step by step",
      failureModes: ["FM-019", "FM-055", "FM-118", "FM-124", "FM-477", "FM-514"], method: .overload,
      messages: 3_000_000),
  ]

  public static func named(_ id: String) -> Drill? { catalogue.first { $0.id == id.uppercased() } }

  /// Those whose death is part of the drill; nil when anybody may be hit.
  public var victims: [String]? {
    switch method {
    case .baseline, .tornRecords: []
    // The standby is another process behind each of them.
    case .kill(let victims): hasStandby ? victims + ["standby"] : victims
    case .quiet, .overload: []
    case .chaos, .wholeSet, .pauses, .failpoints, .soak, .scripted, .livelock, .actions: nil
    }
  }

  /// Whether the supervisor dies with others, so that nobody is there who could say that the stream is stale but its publisher.
  public var leavesMarkToPublisher: Bool {
    if case .kill(let victims) = method {
      return victims.count > 1 && victims.contains("watchdogd")
    }
    return false
  }

  /// Whether single processes die, each time after the set has recovered.
  public var isOfKills: Bool {
    if case .kill = method { return true }
    return false
  }

  /// Whether the set records a tape, which is compared with the stream.
  public var hasTape: Bool {
    switch method {
    case .wholeSet, .soak: true
    case .kill(let victims): victims.contains("taped")
    case .baseline, .chaos, .tornRecords, .pauses, .failpoints, .quiet, .overload, .scripted, .livelock,
      .actions:
      false
    }
  }

  /// Kills that a round of one day leaves room for.
  public var killsPerRound: Int {
    switch method {
    case .baseline, .tornRecords, .pauses, .failpoints, .quiet, .overload, .soak, .scripted, .livelock,
      .actions:
      0
    // Whoever runs the set replaces a dead supervisor.
    case .kill(let victims): victims.contains("watchdogd") ? 10 : 20
    case .wholeSet: 1
    case .chaos: 40
    }
  }
}
