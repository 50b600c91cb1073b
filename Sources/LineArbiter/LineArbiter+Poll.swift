/// What to ask for, when, and when to stop asking.
///
/// ```
///            hold time over                 timeout, attempts left
///  missing ─────────────────► in flight ◄───────────────────────────► due
///     │                        │   │  ▲                                │
///     │ retransmission off:    │   │  └─ prompt, attempts from 0 ──────┤ part answered (parked while
///     │                        │   │                                   │ there is no room to hold it)
///     │ hold time over         │   │ timeout, no attempt left          │
///     ▼                        │   ▼                                   │
///  given up ◄── at the head ───┼─ exhausted (a late answer still fills)│
///                              ▼                                       ▼
///                            filled ◄──────────────────────────────────┘ (any source, at any time)
/// ```
///
/// A request covers one run of missing numbers and owns it until the run is filled or given up: numbers of an
/// owned run are not asked for again but by the run's own retries. Runs get requests from the head of the
/// stream on. Only the head is ever given up, since gap records leave in order.
extension LineArbiter {
  /// What to do now. Call it until it returns ``Action/wait(until:)`` or ``Action/idle``.
  @inlinable @inline(__always) @_noLocks
  public mutating func poll(now: UInt64) -> Action {
    if expected == known { return .idle }
    if !requests.planIsStale && now < requests.planHoldsUntil {
      return requests.planHoldsUntil == .max ? .idle : .wait(until: requests.planHoldsUntil)
    }
    return plan(now)
  }

  @usableFromInline @inline(never) @_noLocks
  mutating func plan(_ now: UInt64) -> Action {
    guard gaps.count > 0 else { return rest(until: .max) }
    let headIsMissing = gaps.entries[0].first == expected
    if isAbandoning || !settings.retransmission {
      guard headIsMissing else { return rest(until: .max) }
      let eligibleAt = gaps.entries[0].eligibleAt
      if !isAbandoning && now < eligibleAt { return rest(until: eligibleAt) }
      return giveUpHead(
        through: .max, reason: isAbandoning ? .retransmissionExhausted : .retransmissionOff, now: now)
    }
    let lag = known &- expected
    if headIsMissing && settings.maximumLag != 0 && lag > settings.maximumLag {
      return giveUpHead(
        through: known &- settings.window &- 1, reason: .windowExceeded, now: now)
    }

    refreshRequests(now)
    if headIsMissing, let head = requests.index(of: expected),
      case .exhausted = requests.entries[head].state
    {
      return giveUpHead(through: requests.entries[head].last, reason: .retransmissionExhausted, now: now)
    }
    return request(now)
  }

  /// Drops requests that have nothing missing left, and applies answers and timeouts to the others.
  @inline(__always)
  private mutating func refreshRequests(_ now: UInt64) {
    var index = 0
    while index < requests.count {
      let entry = requests.entries + index
      guard let first = firstMissing(from: entry.pointee.first, through: entry.pointee.last) else {
        requests.remove(index)
        continue
      }
      let isAnswered = entry.pointee.isAnswered
      entry.pointee.isAnswered = false
      if case .parked = entry.pointee.state {
        if first == expected || held.isHalfEmpty {
          entry.pointee.attempts = 0
          entry.pointee.state = .due
          entry.pointee.dueAt = now
        }
      } else if isAnswered {
        entry.pointee.attempts = 0
        entry.pointee.state = .due
        entry.pointee.dueAt = later(entry.pointee.answeredAt, by: settings.partialAnswer)
      }
      if case .inFlight = entry.pointee.state, now >= entry.pointee.dueAt {
        tally.timeouts &+= 1
        entry.pointee.state = entry.pointee.attempts >= settings.attempts ? .exhausted : .due
      }
      index &+= 1
    }
  }

  /// Makes the lowest request that may be made now, or says when the next one might.
  @inline(__always)
  private mutating func request(_ now: UInt64) -> Action {
    var next = UInt64.max
    var repeated = -1
    var index = 0
    while index < requests.count {
      let entry = requests.entries[index]
      switch entry.state {
      case .inFlight: next = min(next, entry.dueAt)
      case .due where entry.dueAt > now: next = min(next, entry.dueAt)
      case .due:
        if repeated < 0 || entry.first < requests.entries[repeated].first { repeated = index }
      case .parked, .exhausted: break
      }
      index &+= 1
    }
    let fresh = firstUnrequested(now, &next)
    var useFresh = false
    if let fresh, hasRoom(for: fresh.first) {
      useFresh = repeated < 0 || fresh.first < requests.entries[repeated].first
    }
    guard useFresh || repeated >= 0 else { return rest(until: next) }
    if requests.hasRequested {
      let earliest = later(requests.lastRequestAt, by: settings.interval)
      if now < earliest { return rest(until: min(next, earliest)) }
    }
    if useFresh, let fresh {
      requests.entries[requests.count] = OutstandingRequest(first: fresh.first, last: fresh.last)
      requests.count &+= 1
      return send(requests.count &- 1, now)
    }
    return send(repeated, now)
  }

  @inline(__always)
  private mutating func send(_ index: Int, _ now: UInt64) -> Action {
    let entry = requests.entries + index
    // Lines may have filled some of it since: what lies behind the first run gets a request of its own.
    entry.pointee.first =
      firstMissing(from: entry.pointee.first, through: entry.pointee.last) ?? entry.pointee.first
    entry.pointee.last = min(entry.pointee.last, runEnd(entry.pointee.first))
    if entry.pointee.attempts > 0 { tally.retries &+= 1 }
    entry.pointee.dueAt = later(
      now, by: settings.timeout &+ settings.backoff &* UInt64(entry.pointee.attempts))
    entry.pointee.attempts &+= 1
    entry.pointee.state = .inFlight
    requests.lastRequestAt = now
    requests.hasRequested = true
    requests.planIsStale = true
    tally.requests &+= 1
    let first = entry.pointee.first
    let last = entry.pointee.last
    var gap = gaps.firstIndex(endingAtOrAfter: first)
    while gap < gaps.count && gaps.entries[gap].first <= last {
      gaps.entries[gap].requests &+= 1
      gaps.entries[gap].lastRequestAt = now
      gap &+= 1
    }
    return .request(first: first, count: UInt16(truncatingIfNeeded: last &- first &+ 1))
  }

  /// The lowest run that is missing, ripe, inside the window and in no request. `next` is lowered to
  /// when one ripens.
  @inline(__always)
  private func firstUnrequested(_ now: UInt64, _ next: inout UInt64) -> (first: UInt64, last: UInt64)? {
    var index = 0
    while index < gaps.count {
      let gap = gaps.entries[index]
      index &+= 1
      if gap.first &- expected >= settings.window { return nil }
      if now < gap.eligibleAt {
        next = min(next, gap.eligibleAt)
        continue
      }
      var from = gap.first
      while let first = firstMissing(from: from, through: gap.last) {
        if first &- expected >= settings.window { return nil }
        if let owner = requests.index(of: first) {
          if requests.entries[owner].last >= gap.last { break }
          from = requests.entries[owner].last &+ 1
          continue
        }
        let most = min(settings.requestMessages, settings.window &- (first &- expected))
        var last = runEnd(first, now: now)
        last = last &- first >= most ? first &+ most &- 1 : last
        return (first, min(last, requests.firstAbove(first) &- 1))
      }
    }
    return nil
  }

  /// One place in the table is kept for the head of the stream. Those behind it may be ripe before it (they
  /// came and could not be held), and they are given up only after it: they must never keep it waiting.
  @inline(__always)
  private func hasRoom(for first: UInt64) -> Bool {
    if requests.count &+ 1 < requests.capacity { return true }
    guard requests.count < requests.capacity,
      let head = firstMissing(from: expected, through: .max)
    else { return false }
    return head == first || requests.index(of: head) != nil
  }

  /// The first number of `first...last` that is missing.
  @_noLocks
  private func firstMissing(from first: UInt64, through last: UInt64) -> UInt64? {
    var index = gaps.firstIndex(endingAtOrAfter: first)
    while index < gaps.count && gaps.entries[index].first <= last {
      let gap = gaps.entries[index]
      var sequence = max(first, gap.first)
      if !gap.isCoarse { return sequence }
      while sequence <= min(last, gap.last) {
        if !isHeld(sequence) { return sequence }
        sequence &+= 1
      }
      index &+= 1
    }
    return nil
  }

  /// The last number of the run of missing ones that starts at `first`, over ranges that touch. With
  /// `now`, only over ranges that are ripe by then.
  @_noLocks
  private func runEnd(_ first: UInt64, now: UInt64 = .max) -> UInt64 {
    var index = gaps.firstIndex(endingAtOrAfter: first)
    guard index < gaps.count else { return first }
    var last = first
    while true {
      let gap = gaps.entries[index]
      if gap.isCoarse {
        // Behind the window nothing is held, and the range may reach as far as a forged number said.
        let scanEnd = min(gap.last, later(expected, by: settings.window))
        while last < scanEnd {
          if isHeld(last &+ 1) { return last }
          last &+= 1
        }
      }
      last = gap.last
      index &+= 1
      guard index < gaps.count else { return last }
      let following = gaps.entries[index]
      guard following.first == last &+ 1, following.eligibleAt <= now, !following.isCoarse else {
        return last
      }
    }
  }

  /// Slots are only those of the window: a number beyond it is never held.
  @inline(__always)
  private func isHeld(_ sequence: UInt64) -> Bool {
    sequence &- expected < settings.window && held.contains(sequence)
  }

  /// Gives up the missing numbers from the head on: at most through `limit`, and at most the first range.
  @_noLocks
  mutating func giveUpHead(through limit: UInt64, reason: GiveUpReason, now: UInt64) -> Action {
    let gap = gaps.entries[0]
    var last = min(limit, gap.last)
    if gap.isCoarse {
      var sequence = gap.first
      let scanEnd = min(last, later(expected, by: settings.window))
      while sequence < scanEnd && !isHeld(sequence &+ 1) { sequence &+= 1 }
      if sequence < scanEnd { last = sequence }
    }
    gaps.giveUpFront(through: last, now: now, outcome: GapOutcome(reason))
    tally.givenUp &+= last &- gap.first &+ 1
    expected = last &+ 1
    mayHaveLateUntil = last
    requests.planIsStale = true
    return .giveUp(first: gap.first, last: last, reason: reason)
  }

  /// Nothing to do before `instant` unless something changes.
  @inline(__always)
  private mutating func rest(until instant: UInt64) -> Action {
    requests.planIsStale = false
    requests.planHoldsUntil = instant
    return instant == .max ? .idle : .wait(until: instant)
  }
}
