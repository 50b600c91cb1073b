/// The last rung: a full image of the state instead of the messages that led to it.
@frozen
@usableFromInline
struct SnapshotRung {
  @usableFromInline var gate: RungGate
  @usableFromInline var isInFlight = false
  @usableFromInline var dueAt: UInt64 = 0
  /// Attempts for the range at the head that were not answered.
  @usableFromInline var attempts: UInt32 = 0
  /// The last number of that range when the image was last asked for: an image has to reach beyond it.
  @usableFromInline var last: UInt64 = 0

  init(_ settings: RungSettings) { gate = RungGate(settings) }
}

/// What to do with an image, as ``LineArbiter/snapshotArrived(next:now:)`` decides it.
@frozen
public enum SnapshotVerdict: Equatable, Sendable {
  /// It stands for the messages `first...last`: publish it in their place, then drain
  /// ``LineArbiter/nextDeliverable()``. The arbiter has already advanced.
  case use(first: UInt64, last: UInt64)
  /// It ends in front of, or inside, the range that it was wanted for.
  case tooOld
  /// It ends further ahead than is believable, or behind the announced end of the session.
  case tooNew
  /// Nobody waits for one.
  case notRequested
}

extension LineArbiter {
  /// The venue's image has come, whole, as it is after every message below `next`. With a venue that says "as of N":
  /// `next` is N + 1 if N is in the image.
  public mutating func snapshotArrived(next: UInt64, now: UInt64) -> SnapshotVerdict {
    guard snapshot.isInFlight else { return .notRequested }
    guard gaps.count > 0, gaps.entries[0].first == expected else {
      // The lines brought the range meanwhile.
      snapshot.isInFlight = false
      noteOutcome(.snapshot, failed: false, now)
      return .notRequested
    }
    // Nor does an image contain what comes behind the end of its session.
    if next > known && next &- known > settings.farAhead || announcedEnd != 0 && next > announcedEnd {
      snapshotFailed(now: now)
      return .tooNew
    }
    guard next > snapshot.last else {
      snapshotFailed(now: now)
      return .tooOld
    }
    snapshot.isInFlight = false
    snapshot.attempts = 0
    noteOutcome(.snapshot, failed: false, now)
    let first = expected
    replace(below: next, now: now)
    return .use(first: first, last: next &- 1)
  }

  /// The image cannot be had, or came damaged. It is asked for again as long as attempts are left.
  public mutating func snapshotFailed(now: UInt64) {
    guard snapshot.isInFlight else { return }
    snapshot.isInFlight = false
    noteOutcome(.snapshot, failed: true, now)
    requests.planIsStale = true
  }

  /// Whether an image is on its way for a range that is still missing.
  public var isSnapshotWanted: Bool {
    snapshot.isInFlight && gaps.count > 0 && gaps.entries[0].first == expected
  }

  /// The image that was asked for is not needed any more, or not as it was asked for: the lines brought the range, or its
  /// beginning. It was not asked for in vain: the attempt does not count.
  public mutating func snapshotNotNeeded() {
    if snapshot.isInFlight && snapshot.attempts > 0 { snapshot.attempts &-= 1 }
    snapshot.isInFlight = false
    requests.planIsStale = true
  }

  /// The stage reads its lines' retained packets again from an earlier position on: what they show next is their first
  /// sign, and no line has gone back. Until then a line is as alive as it was.
  public mutating func readLinesAgain() {
    watch.forgetArrivals()
    for source in 0..<2 {
      if lines[source].nextSequence != 0 { rewoundLines |= 1 << UInt8(source) }
      lines[source].nextSequence = 0
      lines[source].rewoundPackets = 0
      watch.marks[source].sequence = 0
    }
    requests.planIsStale = true
  }

  /// An image stands for everything below `next`.
  private mutating func replace(below next: UInt64, now: UInt64) {
    while gaps.count > 0, gaps.entries[0].first < next {
      let gap = gaps.entries[0]
      let last = min(gap.last, next &- 1)
      var missing = last &- gap.first &+ 1
      if gap.isCoarse {
        // Only numbers of the window are ever held, however far the range reaches.
        var sequence = gap.first
        while sequence <= last, sequence &- expected < settings.window {
          if isHeld(sequence) { missing &-= 1 }
          sequence &+= 1
        }
      }
      tally.filledBySnapshot &+= missing
      let objective = snapshot.gate.settings.objectiveNanoseconds
      if objective != 0 && now > later(gap.detectedAt, by: objective) {
        snapshot.gate.statistics.objectiveMissed &+= 1
      }
      gaps.giveUpFront(through: last, now: now, outcome: .filledBySnapshot)
    }
    var sequence = expected
    while held.count > 0, sequence < next, sequence &- expected < settings.window {
      if held.contains(sequence) {
        held.release(sequence)
        tally.heldDiscarded &+= 1
      }
      sequence &+= 1
    }
    expected = next
    known = max(known, next)
    requests.planIsStale = true
  }
}
