/// Sessions: numbers mean something only inside one.
extension LineArbiter {
  /// Whether a packet's session is the current one. A session that was current before, and any other
  /// than the current one in an answer, is foreign: the packet is counted here and must not be used.
  @inlinable @inline(__always) @_noLocks
  public mutating func session(source: Source, identifier: SessionIdentifier) -> SessionVerdict {
    if sessions.isKnown && identifier == sessions.current { return .same }
    return otherSession(source, identifier)
  }

  /// Whether the ten bytes at `bytes` are the current session.
  @inlinable @inline(__always) @_noLocks
  public func isCurrentSession(_ bytes: UnsafeRawPointer) -> Bool {
    sessions.isKnown && bytes.loadUnaligned(as: UInt64.self) == sessions.current.front
      && bytes.loadUnaligned(fromByteOffset: 8, as: UInt16.self) == sessions.current.back
  }

  @usableFromInline @inline(never) @_noLocks
  mutating func otherSession(_ source: Source, _ identifier: SessionIdentifier) -> SessionVerdict {
    if !source.isLine || sessions.wasCurrent(identifier) {
      lines[source.index].foreignSession &+= 1
      return .foreign
    }
    return sessions.isKnown ? .changed : .first
  }

  /// Takes the session of the first packet, or after a restart the one that was published. Numbers go on.
  public mutating func adopt(session: SessionIdentifier) {
    sessions.makeCurrent(session)
  }

  /// After a restart behind the published end of the adopted session: ``LineArbiter/isComplete`` at once. Nothing that
  /// claims to follow is taken any more, and a new session may begin.
  public mutating func conclude() {
    announcedEnd = expected
    isEnding = true
  }

  /// Whether a second packet supports the new session that a first one has named: one of the other line, one of the same
  /// line that brings what comes behind the first one, or one of the same line at least the hold time later. A single
  /// datagram, however often it is copied, ends no session. Ask for each packet whose verdict is
  /// ``SessionVerdict/changed``, once the current session may end; the packet of a claim is not to be used.
  /// - Parameters:
  ///   - first: its first number, or what it announces.
  ///   - end: one past its last one; `first` for a heartbeat or an end of session.
  public mutating func isSupported(
    session identifier: SessionIdentifier, source: Source, first: UInt64, end: UInt64, now: UInt64
  ) -> Bool {
    let claim = sessionClaim
    let (span, overflow) = settings.lineSilence.multipliedReportingOverflow(by: 4)
    if claim.isMade, claim.front == identifier.front, claim.back == identifier.back,
      overflow || now <= later(claim.madeAt, by: span)
    {
      if source.index != claim.line { return true }
      if end > first, first >= claim.end, first &- claim.end <= settings.farAhead { return true }
      return now > claim.madeAt && now >= later(claim.madeAt, by: settings.hold)
    }
    sessionClaim = SessionClaim(
      isMade: true, front: identifier.front, back: identifier.back, line: source.index, end: end, madeAt: now)
    return false
  }

  /// From now on every missing range is given up at once by ``poll(now:)``, and nothing is asked for: the
  /// session is over and its retransmission with it. Ends with ``begin(session:firstSequence:)``.
  public mutating func abandonOpenGaps() {
    isAbandoning = true
    snapshot.isInFlight = false
    requests.removeAll()
  }

  /// Starts a new session at `firstSequence`. Poll and drain until ``Action/idle`` after
  /// ``abandonOpenGaps()`` first: what is still missing is closed as lost and what is still held is dropped,
  /// counted but not reported to the stage.
  public mutating func begin(session: SessionIdentifier, firstSequence: UInt64 = 1) {
    precondition(firstSequence > 0, "sequence numbers start at 1")
    sessions.makeCurrent(session)
    sessionClaim.isMade = false
    tally.heldDiscarded &+= UInt64(held.count)
    while gaps.count > 0 { _ = giveUpHead(through: .max, reason: .sessionOver, now: 0) }
    held.removeAll()
    history.removeAll()
    requests.removeAll()
    expected = firstSequence
    known = firstSequence
    announcedEnd = 0
    isEnding = false
    mayHaveLateUntil = 0
    isAbandoning = false
    snapshot.isInFlight = false
    snapshot.attempts = 0
    watch.forgetArrivals()
    for source in 0..<3 { lines[source].nextSequence = 0 }
    rewoundLines = 0
    for source in 0..<2 {
      claims[source] = LineClaim()
      endClaims[source] = LineClaim()
      lines[source].rewoundPackets = 0
      watch.marks[source].sequence = 0
    }
  }
}

/// A new session that one packet has named.
@frozen
@usableFromInline
struct SessionClaim {
  @usableFromInline var isMade = false
  @usableFromInline var front: UInt64 = 0
  @usableFromInline var back: UInt16 = 0
  @usableFromInline var line = 0
  /// One past its last number.
  @usableFromInline var end: UInt64 = 0
  @usableFromInline var madeAt: UInt64 = 0
}

/// The current session and the few before it.
@frozen
@usableFromInline
struct SessionMemory: ~Copyable {
  @usableFromInline static let capacity = 8
  @usableFromInline var current: SessionIdentifier
  @usableFromInline var isKnown = false
  @usableFromInline let previous: UnsafeMutablePointer<SessionIdentifier>
  @usableFromInline var previousTotal = 0

  init() {
    var zeros: (UInt64, UInt16) = (0, 0)
    current = withUnsafeBytes(of: &zeros) { SessionIdentifier(from: $0.baseAddress!) }
    previous = .allocate(capacity: Self.capacity)
    previous.initialize(repeating: current, count: Self.capacity)
  }

  @inlinable deinit { previous.deallocate() }

  @_noLocks
  func wasCurrent(_ identifier: SessionIdentifier) -> Bool {
    var index = 0
    while index < min(previousTotal, Self.capacity) {
      if previous[index] == identifier { return true }
      index &+= 1
    }
    return false
  }

  mutating func makeCurrent(_ identifier: SessionIdentifier) {
    if isKnown && identifier != current {
      previous[previousTotal % Self.capacity] = current
      previousTotal += 1
    }
    current = identifier
    isKnown = true
  }
}
