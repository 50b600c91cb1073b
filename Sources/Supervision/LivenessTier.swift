/// How far up the ladder a component is. The raw value is the tier of a status record.
public enum LivenessTier: UInt8, Sendable, Comparable, CaseIterable {
  case clear = 0
  /// It is late; noted, nothing else.
  case mark = 1
  /// It does not work: operators and readers are told.
  case alarm = 2
  /// It is taken for dead: it is ended, and replaced.
  case fence = 3

  public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }

  public var name: String {
    switch self {
    case .clear: "clear"
    case .mark: "mark"
    case .alarm: "alarm"
    case .fence: "fence"
    }
  }

  var next: LivenessTier { LivenessTier(rawValue: rawValue &+ 1) ?? .fence }
}

/// The ages at which a component climbs, in nanoseconds of watched time: mark < alarm < fence.
public struct LivenessThresholds: Sendable, Equatable {
  public let mark: UInt64
  public let alarm: UInt64
  public let fence: UInt64

  public init(mark: UInt64, alarm: UInt64, fence: UInt64) {
    self.mark = mark
    self.alarm = alarm
    self.fence = fence
  }

  /// While a component starts, nothing but its own progress says that it will be ready: it has `limit` from one sign of
  /// progress to the next, and is marked and reported at a quarter and at half of it.
  public static func starting(limit: UInt64) -> LivenessThresholds {
    LivenessThresholds(mark: limit / 4, alarm: limit / 2, fence: limit)
  }

  func tier(_ age: UInt64) -> LivenessTier {
    if age >= fence { return .fence }
    if age >= alarm { return .alarm }
    return age >= mark ? .mark : .clear
  }
}

/// What a component failed to show.
public enum LivenessMeasure: UInt8, Sendable {
  /// Its loop does not come round.
  case beat = 1
  /// Its loop comes round, there is input, and none of it is taken.
  case progress = 2
  /// It says that it takes its input, and nothing comes of it.
  case output = 3
  /// It was started and is not READY, and shows no progress towards it.
  case start = 4
  /// It says that it takes its input, and what it hands on does not show it.
  case canary = 5

  public var name: String {
    switch self {
    case .beat: "beat"
    case .progress: "progress"
    case .output: "output"
    case .start: "start"
    case .canary: "canary"
    }
  }
}

/// What one look at a component found.
public struct LivenessReading: Sendable, Equatable {
  /// The incarnation that wrote its page.
  public var epoch: UInt64
  public var beats: UInt64
  /// Any number that changes when input is taken.
  public var progress: UInt64
  /// Input that waits, in any unit; 0 for none.
  public var backlog: UInt64
  /// Any number that changes when something is handed on.
  public var output: UInt64
  /// It has said READY (or what comes after).
  public var isReady: Bool
  /// It has stopped taking input and says so: it beats, but owes no progress.
  public var isHalted: Bool
  /// A ``Canary`` has asked for something that it says it took, and it has not come out.
  public var owesCanary = false

  public init(
    epoch: UInt64, beats: UInt64, progress: UInt64, backlog: UInt64, output: UInt64 = 0, isReady: Bool = true,
    isHalted: Bool = false
  ) {
    self.epoch = epoch
    self.beats = beats
    self.progress = progress
    self.backlog = backlog
    self.output = output
    self.isReady = isReady
    self.isHalted = isHalted
  }
}

/// A step on the ladder.
public struct LadderChange: Sendable, Equatable {
  /// `clear` when everything is well again.
  public let tier: LivenessTier
  /// The highest tier since it was clear last; with `clear`, where it came down from.
  public let highest: LivenessTier
  /// What is missing for longest, of those that reached the tier.
  public let missing: LivenessMeasure
  /// For how long, in nanoseconds of watched time.
  public let age: UInt64
}
