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
    guard gaps.count > 0, !isHalted else { return rest(until: .max) }
    let headIsMissing = gaps.entries[0].first == expected
    if isAbandoning {
      guard headIsMissing else { return rest(until: .max) }
      return giveUpHead(through: .max, reason: .sessionOver, now: now)
    }
    let lag = known &- expected
    if headIsMissing && settings.maximumLag != 0 && lag > settings.maximumLag {
      return giveUpHead(
        through: known &- settings.window &- 1, reason: .windowExceeded, now: now)
    }

    var limit = UInt64.max
    if settings.retransmission { refreshRequests(now) }
    if headIsMissing, let (last, reason) = messagesEnd(now) {
      // Nobody will be asked for it any more. The lines may still bring it.
      limit = linesDoneAt(gaps.entries[0], now: now)
      if now >= limit {
        switch concede(through: last, reason: reason, now: now) {
        case .act(let action): return action
        case .wait(let until): limit = until
        }
      }
    }
    return settings.retransmission ? request(now, limit: limit) : rest(until: limit)
  }

  /// The head cannot be had as messages by asking: how far that goes, and why. Nil if it can, or may.
  @inline(__always)
  private mutating func messagesEnd(_ now: UInt64) -> (last: UInt64, reason: GiveUpReason)? {
    guard settings.retransmission else { return (.max, .retransmissionOff) }
    if let head = requests.index(of: expected) {
      switch requests.entries[head].state {
      case .exhausted: return (requests.entries[head].last, .retransmissionExhausted)
      case .refused: return (requests.entries[head].last, .retransmissionUnavailable)
      case .due where requests.entries[head].dueAt <= now && retransmissionGate.breaker.isOpen(now):
        requests.entries[head].state = .refused
        retransmissionGate.statistics.refusedByBreaker &+= 1
        return (requests.entries[head].last, .retransmissionUnavailable)
      case .inFlight, .due, .parked: return nil
      }
    }
    // Not asked for yet, and it cannot be.
    if retransmissionGate.breaker.isOpen(now), now >= requestAt(gaps.entries[0], now: now) {
      return (requests.firstAbove(expected) &- 1, .retransmissionUnavailable)
    }
    return nil
  }

  private enum Concession {
    case act(Action)
    case wait(UInt64)
  }

  /// No message source has `expected...last` any more: what the channel's policy says.
  @inline(__always)
  private mutating func concede(through last: UInt64, reason: GiveUpReason, now: UInt64) -> Concession {
    switch settings.policy {
    case .stale: return .act(giveUpHead(through: last, reason: reason, now: now))
    case .halt:
      guard
        case .giveUp(let first, let last, let reason) = giveUpHead(through: last, reason: reason, now: now)
      else { return .wait(.max) }
      isHalted = true
      isEnding = true
      return .act(.halt(first: first, last: last, reason: reason))
    case .snapshot: return askForSnapshot(through: last, now: now)
    }
  }

  @inline(__always)
  private mutating func askForSnapshot(through last: UInt64, now: UInt64) -> Concession {
    if expected > snapshot.last { snapshot.attempts = 0 }
    if snapshot.isInFlight {
      if now < snapshot.dueAt { return .wait(snapshot.dueAt) }
      snapshot.isInFlight = false
      noteOutcome(.snapshot, failed: true, now)
    }
    if snapshot.attempts < UInt32(truncatingIfNeeded: snapshot.gate.settings.attempts) {
      switch snapshot.gate.admission(now, inFlight: 0) {
      case .at(let instant): return .wait(instant)
      case .now:
        snapshot.gate.noteRequest(now, isRetry: snapshot.attempts > 0)
        snapshot.dueAt = snapshot.gate.dueAt(now, attempt: snapshot.attempts)
        snapshot.attempts &+= 1
        snapshot.isInFlight = true
        // As it is now: while the image is on its way, messages that there is no room for make the range longer.
        snapshot.last = gaps.entries[0].last
        requests.planIsStale = true
        return .act(.requestSnapshot(first: expected, last: min(last, snapshot.last)))
      case .refused: snapshot.gate.statistics.refusedByBreaker &+= 1
      }
    }
    // Its attempts are over for the whole range, of which this may be a part: the stream has waited once.
    return .act(giveUpHead(through: last, reason: .snapshotUnavailable, now: now))
  }

  /// An outcome for the breaker of a service; its change is an event.
  @_noLocks
  mutating func noteOutcome(_ rung: RecoveryRung, failed: Bool, _ now: UInt64) {
    if case .snapshot = rung {
      let before = snapshot.gate.breaker.state
      if failed { snapshot.gate.noteFailure(now) } else { snapshot.gate.noteSuccess() }
      noteBreaker(rung, before, snapshot.gate.breaker.state)
    } else {
      let before = retransmissionGate.breaker.state
      if failed { retransmissionGate.noteFailure(now) } else { retransmissionGate.noteSuccess() }
      noteBreaker(rung, before, retransmissionGate.breaker.state)
    }
  }

  @inline(__always)
  private mutating func noteBreaker(
    _ rung: RecoveryRung, _ before: CircuitBreaker.State, _ after: CircuitBreaker.State
  ) {
    switch (before, after) {
    case (.closed, .closed), (.open, .open), (.halfOpen, .halfOpen): break
    default: events.add(.breaker(rung: rung, state: after))
    }
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
      if case .refused = entry.pointee.state, !retransmissionGate.breaker.isOpen(now) {
        entry.pointee.state = .due
        entry.pointee.dueAt = now
      }
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
        noteOutcome(.retransmission, failed: true, now)
        entry.pointee.state = entry.pointee.attempts >= settings.attempts ? .exhausted : .due
      }
      index &+= 1
    }
  }

  /// Makes the lowest request that may be made now, or says when the next one might.
  @inline(__always)
  private mutating func request(_ now: UInt64, limit: UInt64) -> Action {
    var next = limit
    var repeated = -1
    var index = 0
    while index < requests.count {
      let entry = requests.entries[index]
      switch entry.state {
      case .inFlight: next = min(next, entry.dueAt)
      case .due where entry.dueAt > now: next = min(next, entry.dueAt)
      case .due:
        if repeated < 0 || entry.first < requests.entries[repeated].first { repeated = index }
      case .refused:
        if retransmissionGate.breaker.isOpen(now) { next = min(next, retransmissionGate.breaker.openUntil) }
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
    switch retransmissionGate.admission(now, inFlight: requests.inFlightCount()) {
    case .now: break
    case .at(let instant): return rest(until: min(next, instant))
    case .refused: return rest(until: min(next, retransmissionGate.breaker.openUntil))
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
    entry.pointee.dueAt = retransmissionGate.dueAt(now, attempt: entry.pointee.attempts)
    retransmissionGate.noteRequest(now, isRetry: entry.pointee.attempts > 0)
    entry.pointee.attempts &+= 1
    entry.pointee.state = .inFlight
    requests.planIsStale = true
    tally.requests &+= 1
    let first = entry.pointee.first
    let last = entry.pointee.last
    var gap = gaps.firstIndex(endingAtOrAfter: first)
    while gap < gaps.count && gaps.entries[gap].first <= last {
      gaps.entries[gap].requests &+= 1
      if gaps.entries[gap].firstRequestAt == 0 { gaps.entries[gap].firstRequestAt = now }
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
      let requestAt = requestAt(gap, now: now)
      if now < requestAt {
        next = min(next, requestAt)
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
      guard following.first == last &+ 1, now == .max || requestAt(following, now: now) <= now,
        !following.isCoarse
      else {
        return last
      }
    }
  }

  /// Slots are only those of the window: a number beyond it is never held.
  @inline(__always)
  func isHeld(_ sequence: UInt64) -> Bool {
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
