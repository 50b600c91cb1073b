/// What one packet alone is not believed about: a number further ahead than the bound, or the end of the session.
/// It is kept as a claim until another packet says the same, or the line itself contradicts it.
@frozen
@usableFromInline
struct LineClaim {
  /// One past the highest number that the packet showed; 0 = no claim.
  @usableFromInline var end: UInt64 = 0
  @usableFromInline var madeAt: UInt64 = 0
  /// Believed packets of the line when it was made: one more, and the line has gone on where it was.
  @usableFromInline var believedBefore: UInt64 = 0
  /// A heartbeat or an end of session: it may be said again in the same words.
  @usableFromInline var isAnnouncement = false

  init() {}
}

extension LineArbiter {
  /// How long a claim stands, in times of a line's silence: heartbeats may be all there is to support it.
  private static var claimSilences: UInt64 { 4 }
  /// No evidence makes a jump of so many messages credible: at ten million a second they are twenty days. It bounds the loss that whoever
  /// can send on a line declares while that line itself says nothing.
  private static var incredibleJump: UInt64 { 1 << 44 }

  /// A packet of a line starts further ahead than one packet is believed (`first` is above ``known``). True if another one supports it:
  /// of the other line, within the bound; or of the same line, going on behind the first one. A copy of the same
  /// datagram supports nothing; the same announcement does after the hold time, when it cannot be a copy any more.
  @_noLocks
  mutating func isCorroborated(
    _ source: Source, first: UInt64, end: UInt64, isAnnouncement: Bool, now: UInt64
  ) -> Bool {
    if first &- known >= Self.incredibleJump { return false }
    let own = claims + source.index
    let other = claims + (1 &- source.index)
    if stands(other, lines + (1 &- source.index), now),
      max(other.pointee.end, first) &- min(other.pointee.end, first) <= settings.farAhead
    {
      believeJump(to: first)
      return true
    }
    if stands(own, lines + source.index, now) {
      let claimed = own.pointee.end
      if isAnnouncement && own.pointee.isAnnouncement && first == claimed {
        if now < later(own.pointee.madeAt, by: settings.hold) || now == own.pointee.madeAt { return false }
        believeJump(to: first)
        return true
      }
      if first >= claimed && first &- claimed <= settings.farAhead {
        believeJump(to: first)
        return true
      }
      // Behind the claim's end, and not far: a copy, or the claim's own line out of order.
      if first < claimed && claimed &- first <= settings.farAhead { return false }
    }
    own.pointee.end = end
    own.pointee.madeAt = now
    own.pointee.believedBefore = believed(lines + source.index)
    own.pointee.isAnnouncement = isAnnouncement
    tally.farAheadClaims &+= 1
    events.add(.farAheadClaim(source: source, sequence: first, known: known))
    return false
  }

  /// The end of the session was announced as `end`. True if it may be believed.
  @_noLocks
  mutating func isEndCorroborated(_ source: Source, _ end: UInt64, now: UInt64) -> Bool {
    if !settings.corroborateEnd || end == announcedEnd { return true }
    let own = endClaims + source.index
    let other = endClaims + (1 &- source.index)
    if other.pointee.end == end && lines[1 &- source.index].nextSequence <= end { return true }
    if own.pointee.end == end && lines[source.index].nextSequence <= end {
      return now > own.pointee.madeAt && now >= later(own.pointee.madeAt, by: settings.hold)
    }
    own.pointee.end = end
    own.pointee.madeAt = now
    tally.endClaims &+= 1
    return false
  }

  @inline(__always) @_noLocks
  private func believed(_ line: UnsafeMutablePointer<LineStatistics>) -> UInt64 {
    line.pointee.packets &+ line.pointee.heartbeats
  }

  @inline(__always) @_noLocks
  private func stands(
    _ claim: UnsafeMutablePointer<LineClaim>, _ line: UnsafeMutablePointer<LineStatistics>, _ now: UInt64
  ) -> Bool {
    guard claim.pointee.end != 0, claim.pointee.believedBefore == believed(line) else { return false }
    let (span, overflow) = settings.lineSilence.multipliedReportingOverflow(by: Self.claimSilences)
    return overflow || now <= later(claim.pointee.madeAt, by: span)
  }

  @inline(__always) @_noLocks
  private mutating func believeJump(to first: UInt64) {
    claims[0].end = 0
    claims[1].end = 0
    tally.jumps &+= 1
    events.add(.jumpBelieved(from: known, to: first))
  }
}
