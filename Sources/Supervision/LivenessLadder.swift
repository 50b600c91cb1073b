/// Tells a component that works from one that does not, from what is seen of it scan by scan. Knows no processes and no
/// clock.
///
/// ```
/// ladder.begin(after: epoch)                         // a process was started (or `adopt`: taken over)
/// each millisecond:
///   let step = clock.step(to: now)                   // one WatchClock for all
///   if let change = ladder.scan(reading, step: step) { … }
/// ladder.end()                                       // its death is confirmed
/// ```
///
/// - A beat, and progress, count only from the incarnation that was begun. Whatever a predecessor or a stranger writes
///   counts for nothing: the ages go on.
/// - The oldest of what is missing decides. Progress is owed only while input waits, output only for input that was taken, a
///   canary's number only behind the claim that it was taken.
/// - Each scan climbs one tier at most, so that what belongs to a lower tier happens before what belongs to a higher one.
/// - It comes down only to `clear`, after everything was well for twice as long as the mark takes; never from `fence`.
public struct LivenessLadder: Sendable {
  public let thresholds: LivenessThresholds
  /// Between the start of a process and its READY.
  public let startThresholds: LivenessThresholds
  /// Progress after which output is owed; nil when none ever is.
  public let progressThatOwesOutput: UInt64?

  public private(set) var tier = LivenessTier.clear
  /// A process is there to be watched.
  public private(set) var isWatching = false
  /// The incarnation that counts, once it has shown itself.
  public private(set) var epoch: UInt64?

  private var earlierEpoch: UInt64 = 0
  private var wasReady = false
  private var beats: UInt64 = 0
  private var progress: UInt64 = 0
  private var output: UInt64 = 0
  private var progressAtOutput: UInt64 = 0
  private var ages = Ages()
  private var calm: UInt64 = 0

  /// Nanoseconds of watched time for which each of them has been missing.
  private struct Ages: Sendable {
    var beat: UInt64 = 0
    var progress: UInt64 = 0
    var output: UInt64 = 0
    var start: UInt64 = 0
    var canary: UInt64 = 0
  }

  public init(
    thresholds: LivenessThresholds, startThresholds: LivenessThresholds, progressThatOwesOutput: UInt64? = nil
  ) {
    self.thresholds = thresholds
    self.startThresholds = startThresholds
    self.progressThatOwesOutput = progressThatOwesOutput
  }

  /// A READY process of ours is below the alarm.
  public var isWell: Bool { isWatching && epoch != nil && wasReady && tier < .alarm }

  /// A process was started; the page still says `epoch`, which is its predecessor's.
  public mutating func begin(after epoch: UInt64) {
    self = LivenessLadder(
      thresholds: thresholds, startThresholds: startThresholds,
      progressThatOwesOutput: progressThatOwesOutput)
    earlierEpoch = epoch
    isWatching = true
  }

  /// A running process was taken over: the incarnation that the page shows is the one that counts.
  public mutating func adopt(_ reading: LivenessReading) {
    begin(after: reading.epoch)
    take(reading)
  }

  /// The process is dead, or is not to be watched any more.
  public mutating func end() { isWatching = false }

  /// Takes the fence back: the component is as old as at its alarm, and has the time from there to the fence once more.
  public mutating func postponeFence() {
    guard tier == .fence else { return }
    tier = .alarm
    ages.beat = min(ages.beat, thresholds.alarm)
    ages.progress = min(ages.progress, thresholds.alarm)
    ages.output = min(ages.output, thresholds.alarm)
    ages.canary = min(ages.canary, thresholds.alarm)
    ages.start = min(ages.start, startThresholds.alarm)
  }

  /// One look.
  /// - Parameter step: watched time since the last one, ns.
  /// - Returns: a step on the ladder, if one was made.
  public mutating func scan(_ reading: LivenessReading, step: UInt64) -> LadderChange? {
    guard isWatching else { return nil }
    if epoch == nil, reading.epoch > earlierEpoch {
      take(reading)
    } else {
      age(reading, isOurs: epoch == reading.epoch, step)
    }
    let worst = worst()
    if worst.tier > tier {
      tier = tier.next
      calm = 0
      return LadderChange(tier: tier, highest: tier, missing: worst.missing, age: worst.age)
    }
    guard tier != .clear, tier != .fence else { return nil }
    calm = worst.tier == .clear ? calm &+ step : 0
    guard calm >= 2 &* thresholds.mark else { return nil }
    let highest = tier
    tier = .clear
    calm = 0
    return LadderChange(tier: .clear, highest: highest, missing: worst.missing, age: 0)
  }

  /// The first look at the incarnation that counts.
  private mutating func take(_ reading: LivenessReading) {
    epoch = reading.epoch
    beats = reading.beats
    progress = reading.progress
    output = reading.output
    progressAtOutput = reading.progress
    wasReady = reading.isReady
    ages = Ages()
  }

  private mutating func age(_ reading: LivenessReading, isOurs: Bool, _ step: UInt64) {
    guard isOurs else {
      // Nothing of ours is seen.
      if wasReady { ages.beat &+= step } else { ages.start &+= step }
      return
    }
    let hasBeaten = reading.beats != beats
    let hasMoved = reading.progress != progress
    beats = reading.beats
    progress = reading.progress
    guard reading.isReady || wasReady || reading.isHalted else {
      // A beat is not enough: a start that goes round in circles beats as well.
      ages.start = hasMoved ? 0 : ages.start &+ step
      return
    }
    if !wasReady {
      wasReady = true
      ages = Ages()
      output = reading.output
      progressAtOutput = reading.progress
      return
    }
    ages.beat = hasBeaten ? 0 : ages.beat &+ step
    ages.canary = reading.owesCanary && !reading.isHalted ? ages.canary &+ step : 0
    ages.progress = hasMoved || reading.backlog == 0 || reading.isHalted ? 0 : ages.progress &+ step
    if reading.output != output || reading.isHalted {
      output = reading.output
      progressAtOutput = reading.progress
      ages.output = 0
    } else if let owing = progressThatOwesOutput, reading.progress &- progressAtOutput >= owing {
      ages.output &+= step
    }
  }

  private func worst() -> (tier: LivenessTier, missing: LivenessMeasure, age: UInt64) {
    guard wasReady else { return (startThresholds.tier(ages.start), .start, ages.start) }
    var missing = LivenessMeasure.beat
    var oldest = ages.beat
    if ages.progress > oldest { (missing, oldest) = (.progress, ages.progress) }
    if ages.output > oldest { (missing, oldest) = (.output, ages.output) }
    if ages.canary > oldest { (missing, oldest) = (.canary, ages.canary) }
    return (thresholds.tier(oldest), missing, oldest)
  }
}
