/// Merges two redundant lines, and the answers of a retransmission service, into one gapless stream.
///
/// A pure core: ranges of sequence numbers, message bytes and instants in, decisions out. No socket, no
/// clock, no wire format. Memory is taken in `init` and never after. Not thread-safe.
///
/// Every sequence number from `firstSequence` on leaves exactly once and in order: as a message to publish
/// (from a packet, or held), or inside the range of a ``Action/giveUp(first:last:reason:)``. In between it is
/// in exactly one of three places: *held* (its bytes are kept until the hole in front is closed), *missing*
/// (in the gap table, until filled or given up), or not known to exist yet.
///
/// ```
///   delivered or given up    missing · held · missing · held    unknown
///   ───────────────────────┼──────────────────────────────────┼─────────►
///                     nextSequence                      highestSequence (one past the highest known)
/// ```
///
/// The loop of a stage. `now` is any monotonic clock, ns; `stamp` is anything that should travel with a held
/// message, such as the receive time of its packet.
///
/// ```
/// for each packet of line A, line B or the retransmission socket, as it comes:
///   // The packet's framing was checked: `count` messages are really in it.
///   switch arbiter.session(source: source, identifier: identifier) {
///   case .same:    break
///   case .first:   publish(sessionStart); arbiter.adopt(session: identifier)
///   case .foreign: continue
///   case .changed: if not arbiter.isSupported(session:source:first:end:now:) { continue }
///                  arbiter.abandonOpenGaps(); resolve()        // until .idle: everything old is out
///                  publish(endOfSession, sessionStart)
///                  arbiter.begin(session: identifier, firstSequence: 1)
///   }
///   if heartbeat    { arbiter.heartbeat(source: source, nextExpected: first, now: now); continue }
///   if endOfSession { arbiter.endOfSession(source: source, nextExpected: first, now: now); continue }
///   switch arbiter.receive(source: source, first: first, count: count, now: now) {
///   case .deliver(let skip):
///     for index in skip ..< count {
///       publish(first + index, message[index], stamp)
///       if arbiter.keepsHistory { arbiter.remember(sequence: first + index, bytes: message[index]) }
///     }
///   case .duplicate:
///     if arbiter.keepsHistory {                                  // optional: compare the copies
///       for index in 0 ..< count { arbiter.compare(source:, sequence: first + index, bytes: …) }
///     }
///   case .examine:
///     for index in 0 ..< count {
///       if arbiter.accept(sequence: first + index, bytes: message[index], stamp: stamp) == .deliver {
///         publish(first + index, message[index], stamp)
///         while let held = arbiter.nextDeliverable() { publish(held.sequence, held.bytes, held.stamp) }
///       }
///     }
///   case .ignore: break
///   }
///
/// after each batch of packets, and when the last `.wait(until:)` has passed:
///   func resolve() {
///     while true {
///       switch arbiter.poll(now: now) {
///       case .request(let first, let count): send(request, first, count)
///       case .giveUp(let first, let last, let reason):
///         publish(gap, first, last, reason)
///         while let held = arbiter.nextDeliverable() { publish(held…) }
///       case .wait, .idle: return
///       }
///     }
///   }
///   if arbiter.isComplete { publish(endOfSession, arbiter.nextSequence), once }
/// ```
///
/// With a history, `.deliver(skip)` with `skip > 0` leaves `skip` leading messages to compare as well.
///
/// Which copy wins: the one that came first. A later copy that differs is counted
/// (``ArbiterCounters/disagreements``, ``lastDisagreement``) and not used. Copies of held messages are always
/// compared; copies of delivered ones only with ``ArbiterConfiguration/historyMessages``.
///
/// Restart: `init(configuration:firstSequence:)` with the last published number + 1. What was held is lost and
/// comes again from the lines' rings or from retransmission.
@frozen
public struct LineArbiter: ~Copyable {
  // Behind the read-only properties of similar names.
  @usableFromInline var expected: UInt64
  @usableFromInline var known: UInt64
  @usableFromInline var announcedEnd: UInt64 = 0
  /// Nothing is usual any more: an end was announced, or the channel is halted.
  @usableFromInline var isEnding = false
  /// The channel is halted after a loss.
  public internal(set) var isHalted = false
  /// The highest number that was given up: what comes at or below it may be late.
  @usableFromInline var mayHaveLateUntil: UInt64 = 0
  @usableFromInline var tally = ArbiterCounters()
  @usableFromInline let lines: UnsafeMutablePointer<LineStatistics>

  @usableFromInline var held: HeldMessages
  @usableFromInline var gaps: GapTable
  @usableFromInline var history: DuplicateHistory
  @usableFromInline var requests: RequestTable
  @usableFromInline let settings: Settings
  @usableFromInline var retransmissionGate: RungGate
  @usableFromInline var snapshot: SnapshotRung
  @usableFromInline var watch: LineWatch
  @usableFromInline var events: EventQueue
  @usableFromInline var disagreements: DisagreementLog
  /// Per line: what one packet alone is not believed about.
  @usableFromInline let claims: UnsafeMutablePointer<LineClaim>
  @usableFromInline let endClaims: UnsafeMutablePointer<LineClaim>
  /// When the first sign of any line came.
  @usableFromInline var firstSignAt: UInt64 = 0
  /// Bit 0: line A's retained packets are being read; bit 1: line B's.
  @usableFromInline var retentionReaders: UInt8 = 0
  /// The same bits: what the line showed in this session is read again, and it has shown nothing yet.
  @usableFromInline var rewoundLines: UInt8 = 0

  /// The packet being examined: who brought it, when, and which of its messages may be used.
  @usableFromInline var examinedSource = Source.lineA
  @usableFromInline var examinedAt: UInt64 = 0
  @usableFromInline var examinedFirst: UInt64 = 0
  @usableFromInline var examinedEnd: UInt64 = 0

  /// The last copy that differed; nil = none yet. How many there were: ``ArbiterCounters/disagreements``.
  public internal(set) var lastDisagreement: LineDisagreement?
  @usableFromInline let rejectionCounts: UnsafeMutablePointer<UInt64>
  @usableFromInline var sessions: SessionMemory
  @usableFromInline var sessionClaim: SessionClaim
  @usableFromInline var isAbandoning = false

  /// - Parameters:
  ///   - configuration: its ``ArbiterConfiguration/problem()`` must be nil.
  ///   - firstSequence: the first number to deliver, at least 1; after a restart the last published + 1.
  public init(configuration: ArbiterConfiguration, firstSequence: UInt64 = 1) {
    precondition(configuration.problem() == nil, "call problem() on a configuration before using it")
    precondition(firstSequence > 0, "sequence numbers start at 1")
    expected = firstSequence
    known = firstSequence
    lines = .allocate(capacity: Source.allCases.count)
    lines.initialize(repeating: LineStatistics(), count: Source.allCases.count)
    held = HeldMessages(windowMessages: configuration.windowMessages, bytes: configuration.heldBytes)
    gaps = GapTable(capacity: configuration.gapTableEntries)
    history = DuplicateHistory(messages: configuration.historyMessages)
    requests = RequestTable(capacity: configuration.requestsInFlight)
    settings = Settings(configuration)
    rejectionCounts = .allocate(capacity: IgnoreReason.allCases.count)
    rejectionCounts.initialize(repeating: 0, count: IgnoreReason.allCases.count)
    sessions = SessionMemory()
    sessionClaim = SessionClaim()
    retransmissionGate = RungGate(configuration.retransmission)
    snapshot = SnapshotRung(configuration.snapshot)
    watch = LineWatch()
    events = EventQueue()
    disagreements = DisagreementLog()
    claims = .allocate(capacity: 2)
    claims.initialize(repeating: LineClaim(), count: 2)
    endClaims = .allocate(capacity: 2)
    endClaims.initialize(repeating: LineClaim(), count: 2)
  }

  // Inlinable, as in the parts: the optimizer of Swift 6.3.1 stops with an assertion otherwise.
  @inlinable deinit {
    lines.deallocate()
    rejectionCounts.deallocate()
    claims.deallocate()
    endClaims.deallocate()
  }

  // MARK: Packets

  /// A packet with the messages `first ..< first + count` has arrived.
  /// - Parameters:
  ///   - source: where it came from.
  ///   - first: sequence number of its first message. Any value: impossible ones are rejected and counted.
  ///   - count: messages that are really in it; 0 is taken as a heartbeat.
  ///   - now: the caller's instant, ns.
  ///   - stamp: when it was received, ns on any clock that is the same for both lines: for the lines' lag only.
  ///     0 = `now`.
  @inlinable @inline(__always) @_noLocks
  public mutating func receive(
    source: Source, first: UInt64, count: UInt16, now: UInt64, stamp: UInt64 = 0
  ) -> Verdict {
    let end = first &+ UInt64(count)
    // The usual packet: the next of the stream, and nothing is missing. `end > first` excludes an empty
    // packet and one that overflows.
    if first == expected && first == known && end > first && !isEnding && source.isLine {
      expected = end
      known = end
      tally.delivered &+= UInt64(count)
      let line = lines + source.index
      line.pointee.packetsFirst &+= 1
      note(line, source, first: first, end: end, count: count, now: now, stamp: stamp)
      return .deliver(skip: 0)
    }
    // The usual packet of the line that is behind.
    if end <= expected && end > first && first > mayHaveLateUntil && source.isLine {
      tally.duplicates &+= UInt64(count)
      let line = lines + source.index
      line.pointee.packetsBehind &+= 1
      line.pointee.messagesBehind &+= UInt64(count)
      note(line, source, first: first, end: end, count: count, now: now, stamp: stamp)
      return .duplicate
    }
    return receiveUnusual(source, first, count, now, stamp)
  }

  /// The line's own bookkeeping: what it has shown, and the holes in its own numbering.
  @inlinable @inline(__always) @_noLocks
  mutating func note(
    _ line: UnsafeMutablePointer<LineStatistics>, _ source: Source, first: UInt64, end: UInt64,
    count: UInt16, now: UInt64, stamp: UInt64
  ) {
    line.pointee.lastPacketAt = now
    line.pointee.packets &+= 1
    line.pointee.messages &+= UInt64(count)
    if first != line.pointee.nextSequence {
      noteDiscontinuity(line, source, first: first, end: end, now: now)
    } else {
      line.pointee.nextSequence = end
      line.pointee.lastAdvanceAt = now
    }
    if LineWatch.isSampled(first, end) {
      watch.note(line: source.index, end: end, at: stamp == 0 ? now : stamp)
    }
  }

  /// Yields the next held message if it is the next of the stream, and advances. Call until nil after
  /// each ``Acceptance/deliver`` and each ``Action/giveUp(first:last:reason:)``.
  @inlinable @inline(__always) @_noLocks
  public mutating func nextDeliverable() -> HeldMessage? {
    guard held.count > 0, held.contains(expected) else { return nil }
    return takeHeld()
  }

  // MARK: History

  /// Whether delivered messages are remembered to compare later copies with.
  @inlinable public var keepsHistory: Bool { history.isOn }

  /// Remembers a message of a ``Verdict/deliver(skip:)``, with a history. (Others are remembered by the arbiter.)
  @inlinable @inline(__always) @_noLocks
  public mutating func remember(sequence: UInt64, bytes: UnsafeRawBufferPointer) {
    if history.isOn { history.record(sequence, bytes) }
  }

  /// Compares a copy of a delivered message with the first. A difference is counted and kept in
  /// ``lastDisagreement``. A message that is not remembered any more agrees.
  @inlinable @inline(__always) @_noLocks @discardableResult
  public mutating func compare(source: Source, sequence: UInt64, bytes: UnsafeRawBufferPointer) -> Bool {
    if !history.isOn || history.agrees(sequence, bytes) { return true }
    let kept = history.kept(sequence)
    noteDisagreement(source, sequence, kept: kept.bytes, keptLength: kept.length, refused: bytes)
    return false
  }

  /// The next thing that an operator wants to know of. When nobody asks, the oldest of 64 go.
  public mutating func nextEvent() -> ArbiterEvent? { events.next() }

  /// Disagreements whose payloads were kept since the start. The last 16 can be read.
  @inlinable public var disagreementCount: UInt64 { disagreements.total }

  /// A disagreement with both payloads, by its number from 0 on; nil if it is not there any more, or not yet.
  public func disagreement(_ number: UInt64) -> DisagreementRecord? {
    disagreement(number) { found in
      DisagreementRecord(
        sequence: found.sequence, refusedSource: found.refusedSource, kept: Array(found.kept),
        refused: Array(found.refused), keptLength: found.keptLength, refusedLength: found.refusedLength)
    }
  }

  /// The same, without a copy: the payloads lie in the arbiter's own memory, and only while `body` runs.
  @inline(__always)
  public func disagreement<Result>(_ number: UInt64, _ body: (DisagreementView) -> Result) -> Result? {
    guard number < disagreements.total, disagreements.total &- number <= UInt64(DisagreementLog.capacity)
    else { return nil }
    let record =
      disagreements.memory
      + Int(truncatingIfNeeded: number % UInt64(DisagreementLog.capacity)) * DisagreementLog.recordBytes
    let keptLength = Int(record.load(fromByteOffset: 10, as: UInt16.self))
    let refusedLength = Int(record.load(fromByteOffset: 12, as: UInt16.self))
    let isWhole = record.load(fromByteOffset: 9, as: UInt8.self) == 1
    let keptBytes = min(
      isWhole ? keptLength : DuplicateHistory.cutBytes, keptLength, DisagreementLog.payloadBytes)
    return body(
      DisagreementView(
        sequence: record.load(as: UInt64.self),
        refusedSource: Source(rawValue: record.load(fromByteOffset: 8, as: UInt8.self)) ?? .retransmission,
        kept: UnsafeRawBufferPointer(start: record + 16, count: keptBytes),
        refused: UnsafeRawBufferPointer(
          start: record + 16 + DisagreementLog.payloadBytes,
          count: min(refusedLength, DisagreementLog.payloadBytes)),
        keptLength: keptLength, refusedLength: refusedLength))
  }

  // MARK: What is going on

  /// The next sequence number of the stream: all below are delivered or given up.
  @inlinable public var nextSequence: UInt64 { expected }
  /// One past the highest sequence number that is known to exist. Equal to ``nextSequence`` when nothing
  /// is missing or held.
  @inlinable public var highestSequence: UInt64 { known }
  /// One past the last sequence number of the session, once announced; 0 = not announced.
  @inlinable public var endSequence: UInt64 { announcedEnd }
  /// What became of everything so far.
  public var counters: ArbiterCounters {
    var counters = tally
    counters.gapTableOverflows = gaps.overflows
    return counters
  }

  /// The end of the session was announced, and every message up to it is delivered or given up.
  @inlinable public var isComplete: Bool {
    @_noLocks get { announcedEnd != 0 && expected >= announcedEnd }
  }

  /// Messages that wait for a hole in front of them to close.
  @inlinable public var heldCount: Int { held.count }

  /// Missing ranges, ascending: `openGap(0 ..< openGapCount)`.
  @inlinable public var openGapCount: Int { gaps.count }

  /// One of the missing ranges; nil if there is no such number.
  public func openGap(_ index: Int) -> OpenGap? {
    index >= 0 && index < gaps.count ? gaps.entries[index] : nil
  }

  /// Ranges that have ended since the start. The last 256 can be read.
  @inlinable public var finishedGapCount: UInt64 { gaps.finishedTotal }

  /// An ended range by its number from 0 on; nil if it is not in the ring any more, or not ended yet. The
  /// newest may still grow, while the same source goes on filling the same gap.
  public func finishedGap(_ number: UInt64) -> FinishedGap? {
    guard number < gaps.finishedTotal,
      gaps.finishedTotal - number <= UInt64(GapTable.finishedCapacity)
    else { return nil }
    return gaps.finishedEntry(number)
  }

  /// How a service has done so far; zeros for rungs that are not asked.
  public func statistics(of rung: RecoveryRung) -> RungStatistics {
    switch rung {
    case .retransmission: retransmissionGate.statistics
    case .snapshot: snapshot.gate.statistics
    case .otherLine, .retention, .tape: RungStatistics()
    }
  }

  /// The circuit breaker of a service; nil for rungs that are not asked.
  public func breaker(of rung: RecoveryRung) -> CircuitBreaker? {
    switch rung {
    case .retransmission: retransmissionGate.breaker
    case .snapshot: snapshot.gate.breaker
    case .otherLine, .retention, .tape: nil
    }
  }

  /// What one source brought.
  public func statistics(of source: Source) -> LineStatistics {
    lines[source.index]
  }

  /// Packets, heartbeats and ends of session that were ignored for a reason.
  public func rejections(_ reason: IgnoreReason) -> UInt64 {
    rejectionCounts[reason.index]
  }

  /// Which lines were heard within the configured silence. A line that was never heard is down.
  public func lineStates(now: UInt64) -> LineStates {
    LineStates(lineAIsUp: isUp(.lineA, now), lineBIsUp: isUp(.lineB, now))
  }

  private func isUp(_ source: Source, _ now: UInt64) -> Bool {
    let line = lines[source.index]
    let wasHeard = line.packets != 0 || line.heartbeats != 0
    return wasHeard && (now <= line.lastPacketAt || now - line.lastPacketAt <= settings.lineSilence)
  }
}

/// The configuration as the hot code reads it.
@frozen
@usableFromInline
struct Settings {
  @usableFromInline let window: UInt64
  @usableFromInline let hold: UInt64
  @usableFromInline let lineWait: UInt64
  @usableFromInline let lineLag: UInt64
  @usableFromInline let lineObjective: UInt64
  @usableFromInline let corroborateEnd: Bool
  @usableFromInline let policy: UnrecoverablePolicy
  @usableFromInline let farAhead: UInt64
  @usableFromInline let maximumLag: UInt64
  @usableFromInline let lineSilence: UInt64
  @usableFromInline let retransmission: Bool
  @usableFromInline let attempts: UInt32
  @usableFromInline let requestMessages: UInt64
  @usableFromInline let partialAnswer: UInt64

  init(_ configuration: ArbiterConfiguration) {
    window = UInt64(configuration.windowMessages)
    hold = configuration.holdNanoseconds
    lineWait = configuration.lineWaitNanoseconds
    lineLag = configuration.lineLagNanoseconds
    lineObjective = configuration.lineObjectiveNanoseconds
    corroborateEnd = configuration.corroborateEnd
    policy = configuration.unrecoverable
    farAhead = configuration.farAheadMessages
    maximumLag = configuration.maximumLagMessages
    lineSilence = configuration.lineSilenceNanoseconds
    retransmission = configuration.retransmission.isEnabled
    attempts = UInt32(configuration.retransmission.attempts)
    requestMessages = UInt64(configuration.requestMessages)
    partialAnswer = configuration.partialAnswerNanoseconds
  }
}

/// An instant later, without wrapping round.
@inline(__always) @_noLocks
func later(_ instant: UInt64, by nanoseconds: UInt64) -> UInt64 {
  let (sum, overflow) = instant.addingReportingOverflow(nanoseconds)
  return overflow ? .max : sum
}
