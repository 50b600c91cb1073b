/// How long the processes of a set went without a beat while nothing was done to it: what a drill's bystanders are measured by (C8).
public struct BeatBaseline: Sendable, Equatable {
  /// What a bystander may add to it, on a virtual machine whose cores are shared.
  public static let allowanceNanoseconds: UInt64 = 5_000_000
  /// Fewer looks have no 99.9th percentile.
  public static let fewestLooks = 1_000

  /// Ages of beats, as they were looked at, of each process.
  private var ages: [String: [UInt64]] = [:]

  public init() {}

  /// Takes one age in nanoseconds. Looks that are a millisecond apart meet a gap of 20 ms twenty times: the 99.9th percentile of ages
  /// is what one looks at for a thousandth of the time.
  public mutating func record(_ name: String, age: UInt64) { ages[name, default: []].append(age) }

  public mutating func add(_ other: BeatBaseline) { ages.merge(other.ages) { $0 + $1 } }

  public var looks: Int { ages.values.map(\.count).max() ?? 0 }

  /// The age that one look in a thousand exceeds at most; nil with too few looks.
  public func usual(of name: String) -> UInt64? {
    guard let ages = ages[name]?.sorted(), ages.count >= Self.fewestLooks else { return nil }
    return ages.ranked(999)
  }

  /// The longest that a bystander may go without a beat.
  public func limit(of name: String) -> UInt64? { usual(of: name).map { $0 &+ Self.allowanceNanoseconds } }
}

/// The longest time between two beats of a bystander.
public struct BystanderGap: Sendable, Equatable {
  /// Nanoseconds, as they passed.
  public let longest: UInt64
  /// The longest of what is left of each when the time is taken off for which the whole machine stood still.
  public let own: UInt64

  public init(longest: UInt64, own: UInt64) {
    self.longest = longest
    self.own = min(own, longest)
  }
}

/// The times between two beats of one process within a stretch of time. The page keeps the longest of its life, exactly; when
/// that did not grow in the stretch, the oldest beat that somebody saw there stands for it, which is a little less.
public struct BeatGap: Sendable, Equatable {
  /// A time between two beats: how long, and from when to when it may have ended.
  private struct Seen: Sendable, Equatable { let length, earliest, latest: UInt64 }

  /// Shorter ones are within everybody's limit.
  private static let shortest = BeatBaseline.allowanceNanoseconds

  private let epoch: UInt64
  private let longestBefore: UInt64
  private var longestOnPage: UInt64
  private var lookedAt: UInt64
  /// The newest beat, and how old it was when it was last looked at.
  private var beat: UInt64 = 0
  private var age: UInt64 = 0
  private var oldest: UInt64 = 0
  private var seen: [Seen] = []

  /// - Parameters:
  ///   - longest: of the life so far, in nanoseconds, when the stretch begins.
  ///   - instant: when that is.
  public init(epoch: UInt64, longest: UInt64, at instant: UInt64) {
    self.epoch = epoch
    longestBefore = longest
    longestOnPage = longest
    lookedAt = instant
  }

  /// Takes a look: the instants of the newest beat and of the look, and the longest of the life then.
  public mutating func look(beat newest: UInt64, longest: UInt64, at now: UInt64) {
    if longest > longestOnPage {
      longestOnPage = longest
      // It had not ended at the last look, and had not begun before the beat that was the newest then.
      let earliest = max(lookedAt, beat > 0 ? beat &+ longest : 0)
      seen.append(Seen(length: longest, earliest: min(earliest, now), latest: now))
    }
    if newest != beat { close() }
    beat = newest
    age = now > newest ? now - newest : 0
    oldest = max(oldest, age)
    lookedAt = now
  }

  /// The newest beat is the newest no more, or nobody looks any further.
  private mutating func close() {
    if age >= Self.shortest { seen.append(Seen(length: age, earliest: beat &+ age, latest: beat &+ age)) }
    age = 0
  }

  /// Where to look for standstills: from the beginning of what was seen to the last look.
  public var stretch: Stretch {
    let starts = seen.map { $0.earliest > $0.length ? $0.earliest - $0.length : 0 }
    return Stretch(from: min(starts.min() ?? lookedAt, age >= Self.shortest ? beat : lookedAt), to: lookedAt)
  }

  /// What the stretch had; nil of a process that is another one by now. No more looks come.
  public mutating func longest(epoch: UInt64, without stalls: MachineStalls) -> BystanderGap? {
    guard epoch == self.epoch else { return nil }
    close()
    let longest = longestOnPage > longestBefore ? longestOnPage : oldest
    // Each by itself: behind a long one that was the machine's may hide a shorter one that was not.
    let own = seen.map { gap in
      gap.length - min(gap.length, stalls.most(of: gap.length, endingFrom: gap.earliest, to: gap.latest))
    }
    return BystanderGap(longest: longest, own: max(own.max() ?? 0, min(longest, Self.shortest)))
  }
}
