/// The ranges that are missing, ascending and disjoint, and a ring of those that have ended. Fixed memory.
///
/// New ranges are always appended: they lie above every sequence number known before. A range shrinks from
/// its ends and splits in its middle. When the table is full, two neighbours are joined over the messages
/// between them (the pair with the fewest), or a split does not happen: the range is then *coarse*: it covers
/// messages that are held. Nothing that is missing ever leaves the table by being forgotten.
@frozen
@usableFromInline
struct GapTable: ~Copyable {
  /// Ended ranges that are kept for display.
  @usableFromInline static let finishedCapacity = 256

  @usableFromInline let entries: UnsafeMutablePointer<OpenGap>
  @usableFromInline let capacity: Int
  @usableFromInline var count = 0
  @usableFromInline let finished: UnsafeMutablePointer<FinishedGap>
  /// Ended ranges since the start.
  @usableFromInline var finishedTotal: UInt64 = 0
  /// Times that the table was full.
  @usableFromInline var overflows: UInt64 = 0

  init(capacity: Int) {
    self.capacity = capacity
    entries = .allocate(capacity: capacity)
    entries.initialize(
      repeating: OpenGap(first: 0, last: 0, detectedAt: 0, lineADoneAt: 0, lineBDoneAt: 0),
      count: capacity)
    finished = .allocate(capacity: Self.finishedCapacity)
    finished.initialize(
      repeating: FinishedGap(
        first: 0, last: 0, detectedAt: 0, finishedAt: 0, requests: 0, outcome: .filledByLineA),
      count: Self.finishedCapacity)
  }

  @inlinable deinit {
    entries.deallocate()
    finished.deallocate()
  }

  /// The index of the first range whose last number is at or above `sequence`; `count` if there is none.
  @_noLocks
  func firstIndex(endingAtOrAfter sequence: UInt64) -> Int {
    var low = 0
    var high = count
    while low < high {
      let middle = (low &+ high) >> 1
      if entries[middle].last < sequence { low = middle &+ 1 } else { high = middle }
    }
    return low
  }

  /// Adds a range above all others. It joins the last one if both touch and the lines are done with them at the same
  /// instants (those that have passed make no difference any more).
  /// - Returns: whether it is a range of its own.
  @_noLocks
  mutating func append(_ gap: OpenGap, now: UInt64) -> Bool {
    if count > 0 {
      let newest = count &- 1
      if entries[newest].last &+ 1 == gap.first
        && isSame(entries[newest].lineADoneAt, gap.lineADoneAt, now)
        && isSame(entries[newest].lineBDoneAt, gap.lineBDoneAt, now)
      {
        entries[newest].last = gap.last
        entries[newest].lastDetectedAt = gap.lastDetectedAt
        return false
      }
    }
    if count == capacity { joinClosestNeighbours() }
    entries[count] = gap
    count &+= 1
    return true
  }

  @inline(__always)
  private func isSame(_ left: UInt64, _ right: UInt64, _ now: UInt64) -> Bool {
    left == right || (left <= now && right <= now)
  }

  /// Joins the two neighbours with the least between them. The older detection holds for both, and a line is done
  /// with both when it is done with the later one.
  @_noLocks
  private mutating func joinClosestNeighbours() {
    overflows &+= 1
    var best = 0
    var bestDistance = UInt64.max
    var index = 0
    while index &+ 1 < count {
      let distance = entries[index &+ 1].first &- entries[index].last
      if distance < bestDistance {
        best = index
        bestDistance = distance
      }
      index &+= 1
    }
    let right = entries[best &+ 1]
    entries[best].last = right.last
    entries[best].detectedAt = min(entries[best].detectedAt, right.detectedAt)
    entries[best].lastDetectedAt = max(entries[best].lastDetectedAt, right.lastDetectedAt)
    entries[best].lineADoneAt = max(entries[best].lineADoneAt, right.lineADoneAt)
    entries[best].lineBDoneAt = max(entries[best].lineBDoneAt, right.lineBDoneAt)
    if entries[best].firstRequestAt == 0 { entries[best].firstRequestAt = right.firstRequestAt }
    entries[best].lastRequestAt = max(entries[best].lastRequestAt, right.lastRequestAt)
    entries[best].requests = max(entries[best].requests, right.requests)
    entries[best].filledByLineA &+= right.filledByLineA
    entries[best].filledByLineB &+= right.filledByLineB
    entries[best].filledByRetransmission &+= right.filledByRetransmission
    entries[best].isCoarse = entries[best].isCoarse || right.isCoarse || bestDistance > 1
    removeEntry(best &+ 1)
  }

  /// Takes one number out of the range that covers it, as filled by `source`.
  /// - Returns: the instant when it was found missing; nil if no range covers it.
  @_noLocks
  mutating func fill(
    _ sequence: UInt64, by source: Source, now: UInt64
  ) -> (detectedAt: UInt64, isNewRange: Bool)? {
    // The head is by far the commonest.
    let index =
      count > 0 && entries[0].last >= sequence ? 0 : firstIndex(endingAtOrAfter: sequence)
    guard index < count, entries[index].first <= sequence else { return nil }
    switch source {
    case .lineA: entries[index].filledByLineA &+= 1
    case .lineB: entries[index].filledByLineB &+= 1
    case .retransmission: entries[index].filledByRetransmission &+= 1
    }
    let gap = entries[index]
    let finishedBefore = finishedTotal
    finish(first: sequence, last: sequence, of: gap, now: now, outcome: GapOutcome(filledBy: source))
    if gap.first == gap.last {
      removeEntry(index)
    } else if sequence == gap.first {
      entries[index].first = sequence &+ 1
    } else if sequence == gap.last {
      entries[index].last = sequence &- 1
    } else if count == capacity {
      overflows &+= 1
      entries[index].isCoarse = true
    } else {
      move(from: index, to: index &+ 1, count: count &- index)
      count &+= 1
      entries[index].last = sequence &- 1
      entries[index &+ 1].first = sequence &+ 1
      entries[index &+ 1].filledByLineA = 0
      entries[index &+ 1].filledByLineB = 0
      entries[index &+ 1].filledByRetransmission = 0
    }
    return (gap.detectedAt, finishedTotal != finishedBefore)
  }

  /// Takes `first...last`, the front of the first range, out as lost.
  @_noLocks
  mutating func giveUpFront(through last: UInt64, now: UInt64, outcome: GapOutcome) {
    let gap = entries[0]
    finish(first: gap.first, last: last, of: gap, now: now, outcome: outcome)
    if last == gap.last { removeEntry(0) } else { entries[0].first = last &+ 1 }
  }

  /// Drops what lies below `sequence`: only ever messages that a coarse range covered and that were held.
  @_noLocks
  mutating func trim(below sequence: UInt64) {
    while count > 0, entries[0].first < sequence {
      if entries[0].last < sequence { removeEntry(0) } else { entries[0].first = sequence }
    }
  }

  /// Whether `sequence` is in a range that ended as lost and is still in the ring.
  @_noLocks
  func wasGivenUp(_ sequence: UInt64) -> Bool {
    let kept = min(finishedTotal, UInt64(Self.finishedCapacity))
    var index: UInt64 = 1
    while index <= kept {
      let gap = finishedEntry(finishedTotal &- index)
      if gap.outcome.isLoss && gap.first <= sequence && sequence <= gap.last { return true }
      index &+= 1
    }
    return false
  }

  @inline(__always)
  func finishedEntry(_ number: UInt64) -> FinishedGap {
    finished[Int(truncatingIfNeeded: number & UInt64(Self.finishedCapacity - 1))]
  }

  @_noLocks
  private mutating func finish(
    first: UInt64, last: UInt64, of gap: OpenGap, now: UInt64, outcome: GapOutcome
  ) {
    if finishedTotal > 0 {
      let newest = Int(truncatingIfNeeded: (finishedTotal &- 1) & UInt64(Self.finishedCapacity - 1))
      let previous = finished[newest]
      if previous.last &+ 1 == first && previous.outcome.index == outcome.index
        && previous.detectedAt == gap.detectedAt && previous.requests == gap.requests
      {
        finished[newest].last = last
        finished[newest].finishedAt = now
        return
      }
    }
    let next = Int(truncatingIfNeeded: finishedTotal & UInt64(Self.finishedCapacity - 1))
    finished[next] = FinishedGap(
      first: first, last: last, detectedAt: gap.detectedAt, finishedAt: now, requests: gap.requests,
      firstRequestAt: gap.firstRequestAt, lastRequestAt: gap.lastRequestAt, outcome: outcome)
    finishedTotal &+= 1
  }

  @_noLocks
  private mutating func removeEntry(_ index: Int) {
    count &-= 1
    move(from: index &+ 1, to: index, count: count &- index)
  }

  /// Moves entries; source and target may overlap.
  @inline(__always)
  private func move(from source: Int, to target: Int, count: Int) {
    UnsafeMutableRawPointer(entries + target).copyMemory(
      from: entries + source, byteCount: count &* MemoryLayout<OpenGap>.stride)
  }
}
