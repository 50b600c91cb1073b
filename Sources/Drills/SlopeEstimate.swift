/// How fast a quantity grows over time, pooled over groups that may each have a level of their own: incarnations of a process, or
/// days of a drill.
public struct SlopeEstimate: Sendable, Equatable {
  public struct Sample: Sendable, Equatable {
    public let seconds: Double
    public let value: Double
    public init(seconds: Double, value: Double) {
      self.seconds = seconds
      self.value = value
    }
  }

  /// Units a second.
  public let perSecond: Double
  public let standardError: Double
  public let samples: Int
  public let groups: Int

  /// Least squares with a level for each group. The error is the larger of the ordinary one and one that lets samples of a group
  /// depend on each other, since what a process holds goes in steps.
  /// - Returns: nil when no group extends over any time.
  public init?(_ groups: [[Sample]]) {
    let usable = groups.filter { $0.count >= 3 }
    var moments = Moments()
    var parts: [(samples: [Sample], meanSeconds: Double, meanValue: Double)] = []
    for group in usable {
      let count = Double(group.count)
      let meanSeconds = group.reduce(0) { $0 + $1.seconds } / count
      let meanValue = group.reduce(0) { $0 + $1.value } / count
      for sample in group {
        let time = sample.seconds - meanSeconds
        moments.spread += time * time
        moments.product += time * (sample.value - meanValue)
      }
      moments.count += group.count
      parts.append((group, meanSeconds, meanValue))
    }
    guard moments.spread > 0, moments.count > usable.count + 1 else { return nil }
    let slope = moments.product / moments.spread
    var squares = 0.0
    var clustered = 0.0
    for part in parts {
      var sum = 0.0
      for sample in part.samples {
        let time = sample.seconds - part.meanSeconds
        let rest = sample.value - part.meanValue - slope * time
        squares += rest * rest
        sum += time * rest
      }
      clustered += sum * sum
    }
    let ordinary = (squares / Double(moments.count - usable.count - 1) / moments.spread).squareRoot()
    perSecond = slope
    standardError = max(ordinary, clustered.squareRoot() / moments.spread)
    samples = moments.count
    self.groups = usable.count
  }

  private struct Moments {
    var spread = 0.0
    var product = 0.0
    var count = 0
  }

  /// Fewer samples than that, half a minute of looks, tell nothing of a slope.
  static let fewest = 120

  /// What it grows by at least, as far as the samples tell: three standard errors below the estimate; 0 when that is no growth.
  /// Few groups know little of how far they differ from each other: with them it is up to ten errors.
  public var surelyPerSecond: Double {
    let errors = groups == 1 ? 3 : 3 + 7 / Double(groups - 1)
    return max(0, perSecond - errors * standardError)
  }
}

/// What a soak looks at.
public enum SoakQuantity: String, Sendable, CaseIterable {
  /// Memory of a process that nobody shares, in bytes.
  case memory
  case descriptors
  case mappings
  /// Bytes and files in the set's directory of shared memory.
  case sharedBytes = "shared memory"
  case sharedFiles = "shared files"

  /// The growth a second that counts as none: a tenth of what a process may have (1 GiB, 1,024 descriptors), or the set, in a day.
  public var floorPerSecond: Double {
    switch self {
    case .memory, .sharedBytes: 1_243
    case .descriptors, .mappings, .sharedFiles: 0.001_2
    }
  }
}

/// One look at one process, or at the set (component ""), at one moment.
public struct SoakSample: Sendable, Equatable {
  public let component: String
  public let quantity: SoakQuantity
  public let round: Int
  public let epoch: UInt64
  /// Since the set of the round was READY.
  public let seconds: Double
  public let value: Double

  public init(
    component: String, quantity: SoakQuantity, round: Int, epoch: UInt64, seconds: Double, value: Double
  ) {
    self.component = component
    self.quantity = quantity
    self.round = round
    self.epoch = epoch
    self.seconds = seconds
    self.value = value
  }
}

/// What came of a soak: slopes within the lives of processes, and from incarnation to incarnation.
public struct SoakJudgement: Sendable {
  public struct Line: Sendable, Equatable {
    public let component: String
    public let quantity: SoakQuantity
    /// While one incarnation lives; nil when none lived long enough to tell.
    public let withinLives: SlopeEstimate?
    /// Of what each incarnation begins with, while the set grows older; nil with fewer than three a round.
    public let acrossLives: SlopeEstimate?
    public let highest: Double

    /// The slopes of which there were looks enough to tell growth from noise.
    private var sound: [SlopeEstimate] {
      [(withinLives, SlopeEstimate.fewest), (acrossLives, SoakJudgement.fewestLives)].compactMap {
        estimate, fewest in
        estimate.flatMap { $0.samples >= fewest ? $0 : nil }
      }
    }

    public var tells: Bool { !sound.isEmpty }
    public var leaks: Bool { sound.contains { $0.surelyPerSecond > quantity.floorPerSecond } }
  }

  /// So many incarnations tell whether each begins with more than the one before.
  static let fewestLives = 6

  public let lines: [Line]
  public var leaks: [Line] { lines.filter(\.leaks) }
  /// Whether anything could have been found.
  public var tells: Bool { lines.contains(where: \.tells) }

  private struct Key: Hashable {
    let component: String
    let quantity: SoakQuantity
  }

  private struct Life: Hashable {
    let round: Int
    let epoch: UInt64
  }

  public init(_ samples: [SoakSample]) {
    var order: [Key] = []
    var series: [Key: [Life: [SlopeEstimate.Sample]]] = [:]
    for sample in samples {
      let key = Key(component: sample.component, quantity: sample.quantity)
      if series[key] == nil { order.append(key) }
      let life = Life(round: sample.round, epoch: sample.epoch)
      series[key, default: [:]][life, default: []].append(
        .init(seconds: sample.seconds, value: sample.value))
    }
    lines = order.map { key in
      let lives = series[key] ?? [:]
      let ordered = lives.sorted { ($0.key.round, $0.key.epoch) < ($1.key.round, $1.key.epoch) }
      // The first that is seen of each life, by round.
      let beginnings = Dictionary(grouping: ordered, by: \.key.round).sorted { $0.key < $1.key }.map {
        $0.value.compactMap { $0.value.first }
      }
      return Line(
        component: key.component, quantity: key.quantity,
        withinLives: SlopeEstimate(ordered.map(\.value)), acrossLives: SlopeEstimate(beginnings),
        highest: lives.values.joined().map(\.value).max() ?? 0)
    }
  }
}
