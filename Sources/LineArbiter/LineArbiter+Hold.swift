/// How long a missing range is left to the lines.
///
/// A line is *past* a range once it has shown any number above it: in a packet, or by an announcement. It is *alive*
/// while it was heard within the silence time. A living line that is not past the range will bring it, or pass it:
/// until then nothing is given up. When it passes the range without it, the range may still come out of order on the
/// same line, for the hold time. So the lines are done with a range at the latest of, over both lines:
///
/// - the line is past it: the hold time after it passed. The line that revealed the range passed it at that instant.
///   A line that had brought messages which could not be kept is done with them at once.
/// - the line is not past it: the silence time after its last sign, for it counts as dead from then on; and at the
///   latest the silence time after it last came forward (or after the detection, if that was later). A line that only
///   repeats heartbeats of a lower number is stuck: it would be waited for for ever.
/// - the line was never heard in this session: the silence time after the first sign of any line, since it may only be starting.
/// - the line's retained packets are still being read: not before that has ended.
///
/// Each sign of a line moves its instants, so this is asked again when the instant has come. A line that jumps ahead
/// has passed everything below; one that jumps by a packet which nobody believes has not.
extension LineArbiter {
  /// When the lines are done with a range, as far as is known now: before it, the range is not given up.
  @_noLocks
  public func linesDoneAt(_ gap: OpenGap, now: UInt64) -> UInt64 {
    // What is retained is read as fast as it can be: its order is that of the lines, its pace is not.
    if retentionReaders != 0 { return .max &- 1 }
    return max(
      gap.lineADoneAt != .max ? gap.lineADoneAt : waitedForUntil(0, gap),
      gap.lineBDoneAt != .max ? gap.lineBDoneAt : waitedForUntil(1, gap))
  }

  /// When a range may be asked for: when the lines are done with it, and at the latest the line wait after its
  /// detection, for a request does no harm; but never while retained packets are being read.
  @_noLocks
  func requestAt(_ gap: OpenGap, now: UInt64) -> UInt64 {
    if retentionReaders != 0 { return .max }
    return min(linesDoneAt(gap, now: now), later(gap.detectedAt, by: settings.lineWait))
  }

  @inline(__always) @_noLocks
  private func waitedForUntil(_ index: Int, _ gap: OpenGap) -> UInt64 {
    let line = lines + index
    // Of this session: what a line showed before does not make it late.
    guard line.pointee.nextSequence != 0 || rewoundLines & 1 << UInt8(index) != 0 else {
      return later(firstSignAt, by: settings.lineSilence)
    }
    let cameForward = max(line.pointee.lastAdvanceAt, gap.lastDetectedAt)
    return later(min(line.pointee.lastPacketAt, cameForward), by: settings.lineSilence)
  }

  /// A line has come forward: it is past the ranges below its next number.
  @inline(__always) @_noLocks
  mutating func markPassed(_ source: Source, now: UInt64) {
    if gaps.count > 0 && gaps.entries[0].last < lines[source.index].nextSequence {
      passGaps(source, now)
    }
  }

  @inline(never) @_noLocks
  private mutating func passGaps(_ source: Source, _ now: UInt64) {
    let next = lines[source.index].nextSequence
    let doneAt = later(now, by: settings.hold)
    // Those that it is past are the lowest; the ones that are marked already are lower still.
    var index = gaps.firstIndex(endingAtOrAfter: next) &- 1
    while index >= 0 {
      if source.index == 0 {
        if gaps.entries[index].lineADoneAt != .max { return }
        gaps.entries[index].lineADoneAt = doneAt
      } else {
        if gaps.entries[index].lineBDoneAt != .max { return }
        gaps.entries[index].lineBDoneAt = doneAt
      }
      requests.planIsStale = true
      index &-= 1
    }
  }

  /// While a line's retained packets are being read (after a restart), its clock stands still: nothing is asked for
  /// and nothing given up, for the range may be in what is retained. Call it with true before the first packet and with
  /// false when the line's input was found empty.
  public mutating func setReadingRetention(_ source: Source, _ isReading: Bool) {
    guard source.isLine else { return }
    let bit: UInt8 = 1 << UInt8(source.index)
    if isReading { retentionReaders |= bit } else { retentionReaders &= ~bit }
    requests.planIsStale = true
  }

  /// On which rung of the ladder a missing range is now.
  public func rung(of gap: OpenGap, now: UInt64) -> RecoveryRung {
    if retentionReaders != 0 { return .retention }
    if gap.first == expected, snapshot.isInFlight { return .snapshot }
    return gap.requests > 0 && settings.retransmission ? .retransmission : .otherLine
  }
}
