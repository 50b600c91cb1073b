/// Everything off the usual path: rejections, overlaps, holes, early messages, answers.
extension LineArbiter {
  /// All that ``receive(source:first:count:now:)`` does not decide inline.
  @usableFromInline @inline(never) @_noLocks
  mutating func receiveUnusual(
    _ source: Source, _ first: UInt64, _ count: UInt16, _ now: UInt64, _ stamp: UInt64
  ) -> Verdict {
    if isHalted { return reject(.halted, messages: count) }
    if count == 0 {
      heartbeat(source: source, nextExpected: first, now: now)
      return .ignore(.empty)
    }
    let (end, overflow) = first.addingReportingOverflow(UInt64(count))
    if let reason = rejection(first, reaching: end, overflow: overflow) {
      return reject(reason, messages: count)
    }
    let line = lines + source.index
    if !source.isLine { return receiveAnswer(line, first, end, now) }
    if isFarAhead(first),
      !isCorroborated(source, first: first, end: end, isAnnouncement: false, now: now)
    {
      return reject(.farAhead, messages: count)
    }

    note(line, source, first: first, end: end, count: count, now: now, stamp: stamp)
    // Before it opens a range of its own: those that a line is past are the lowest.
    markPassed(source, now: now)
    if end <= expected {
      line.pointee.packetsBehind &+= 1
      line.pointee.messagesBehind &+= UInt64(count)
      countOld(source, first, end)
      return .duplicate
    }
    if end > known {
      line.pointee.packetsFirst &+= 1
    } else {
      line.pointee.packetsBehind &+= 1
    }
    if announcedEnd != 0 && end > announcedEnd {
      // Data beyond an announced end that is not reached yet: the data are right.
      announcedEnd = end
      tally.endMoved &+= 1
    }
    if first <= expected && expected == known {
      let skip = expected &- first
      countOld(source, first, expected)
      tally.delivered &+= end &- expected
      expected = end
      known = end
      return .deliver(skip: Int(truncatingIfNeeded: skip))
    }
    if first > known { openGap(through: first &- 1, source, now: now, certain: false) }
    if first > expected && first &- expected >= settings.window {
      if end > known { openGap(through: end &- 1, source, now: now, certain: true) }
      tally.beyondWindow &+= UInt64(count)
      rejectionCounts[IgnoreReason.beyondWindow.index] &+= 1
      return .ignore(.beyondWindow)
    }
    return examine(source, first, end, now)
  }

  /// Decides one message of a packet whose verdict was ``Verdict/examine``. Call it for each message of the
  /// packet, in order, before anything else is received.
  /// - Parameters:
  ///   - sequence: its number.
  ///   - bytes: the message; copied if it is held. More than 65,535 bytes cannot be held.
  ///   - stamp: travels with a held message.
  @_noLocks
  public mutating func accept(
    sequence: UInt64, bytes: UnsafeRawBufferPointer, stamp: UInt64
  ) -> Acceptance {
    guard sequence >= examinedFirst, sequence < examinedEnd,
      examinedSource.isLine || requests.index(of: sequence) != nil
    else {
      tally.notRequested &+= 1
      return .notRequested
    }
    if sequence < expected {
      countOld(examinedSource, sequence, sequence &+ 1)
      compare(source: examinedSource, sequence: sequence, bytes: bytes)
      return .duplicate
    }
    if sequence &- expected >= settings.window {
      if sequence >= known { openGap(through: sequence, examinedSource, now: examinedAt, certain: true) }
      tally.beyondWindow &+= 1
      return .beyondWindow
    }
    if held.contains(sequence) {
      tally.duplicatesHeld &+= 1
      let kept = held.bytes(sequence)
      if !equal(kept, bytes) {
        noteDisagreement(examinedSource, sequence, kept: kept, keptLength: kept.count, refused: bytes)
      }
      return .duplicate
    }
    if sequence == expected {
      if sequence == known { known = sequence &+ 1 } else { fill(sequence) }
      expected = sequence &+ 1
      tally.delivered &+= 1
      if history.isOn { history.record(sequence, bytes) }
      return .deliver
    }
    return hold(sequence, bytes, stamp)
  }

  @inline(__always)
  private mutating func hold(
    _ sequence: UInt64, _ bytes: UnsafeRawBufferPointer, _ stamp: UInt64
  ) -> Acceptance {
    guard held.store(sequence, bytes, stamp: stamp) else {
      if sequence >= known { openGap(through: sequence, examinedSource, now: examinedAt, certain: true) }
      if !examinedSource.isLine { requests.park(from: sequence) }
      tally.notHeld &+= 1
      return .notHeld
    }
    if sequence < known {
      fill(sequence)
    } else {
      if sequence > known {
        openGap(through: sequence &- 1, examinedSource, now: examinedAt, certain: false)
      }
      known = sequence &+ 1
    }
    tally.heldTotal &+= 1
    tally.heldPeak = max(tally.heldPeak, UInt64(held.count))
    return .held
  }

  /// The next message is held: takes it out and advances.
  @usableFromInline @_noLocks
  mutating func takeHeld() -> HeldMessage {
    let sequence = expected
    let message = HeldMessage(
      sequence: sequence, stamp: held.entry(sequence).load(as: UInt64.self), bytes: held.bytes(sequence))
    held.release(sequence)
    expected = sequence &+ 1
    tally.heldDelivered &+= 1
    if gaps.count > 0 { gaps.trim(below: expected) }
    if history.isOn { history.record(sequence, message.bytes) }
    return message
  }

  /// A line says that `nextExpected` will be its next number.
  @_noLocks
  public mutating func heartbeat(source: Source, nextExpected: UInt64, now: UInt64) {
    _ = noteAnnouncement(source, nextExpected, now)
  }

  /// A line says that the session is over and `nextExpected` is one past its last number. Repeating it is
  /// harmless; if announcements differ, the highest holds, unless the session is complete already.
  @_noLocks
  public mutating func endOfSession(source: Source, nextExpected: UInt64, now: UInt64) {
    guard noteAnnouncement(source, nextExpected, now) else { return }
    guard isEndCorroborated(source, nextExpected, now: now) else {
      rejectionCounts[IgnoreReason.unsupportedEnd.index] &+= 1
      return
    }
    // An end below what is known to exist cannot be right: the known messages are.
    let end = max(nextExpected, known)
    if end != nextExpected || (announcedEnd != 0 && end != announcedEnd) { tally.endMoved &+= 1 }
    announcedEnd = max(announcedEnd, end)
    isEnding = true
  }

  /// - Returns: false if it was ignored.
  @_noLocks
  private mutating func noteAnnouncement(_ source: Source, _ nextExpected: UInt64, _ now: UInt64) -> Bool {
    if !source.isLine {
      lines[source.index].lastPacketAt = now
      lines[source.index].heartbeats &+= 1
      return false
    }
    if let reason = isHalted ? .halted : rejection(nextExpected, reaching: nextExpected, overflow: false) {
      _ = reject(reason, messages: 0)
      return false
    }
    if isFarAhead(nextExpected),
      !isCorroborated(source, first: nextExpected, end: nextExpected, isAnnouncement: true, now: now)
    {
      _ = reject(.farAhead, messages: 0)
      return false
    }
    let line = lines + source.index
    line.pointee.lastPacketAt = now
    line.pointee.heartbeats &+= 1
    if nextExpected > line.pointee.nextSequence {
      noteDiscontinuity(line, source, first: nextExpected, end: nextExpected, now: now)
    }
    markPassed(source, now: now)
    if nextExpected > known { openGap(through: nextExpected &- 1, source, now: now, certain: false) }
    if announcedEnd != 0 && nextExpected > announcedEnd {
      announcedEnd = nextExpected
      tally.endMoved &+= 1
    }
    return true
  }

  // MARK: Parts

  /// Why a number cannot be believed, if so.
  @inline(__always)
  private func rejection(_ first: UInt64, reaching end: UInt64, overflow: Bool) -> IgnoreReason? {
    if first == 0 { return .sequenceZero }
    if overflow { return .overflow }
    if isComplete && end > announcedEnd { return .afterEnd }
    return nil
  }

  /// Whether one packet alone is not believed that the stream is there.
  @inline(__always)
  private func isFarAhead(_ first: UInt64) -> Bool {
    first > known && first &- known > settings.farAhead
  }

  @inline(__always)
  private mutating func reject(_ reason: IgnoreReason, messages: UInt16) -> Verdict {
    rejectionCounts[reason.index] &+= 1
    tally.rejectedPackets &+= 1
    tally.rejectedMessages &+= UInt64(messages)
    return .ignore(reason)
  }

  /// An answer is used only where it covers a request that is outstanding: ``accept(sequence:bytes:stamp:)``
  /// sees to that message by message.
  @inline(__always)
  private mutating func receiveAnswer(
    _ line: UnsafeMutablePointer<LineStatistics>, _ first: UInt64, _ end: UInt64, _ now: UInt64
  ) -> Verdict {
    line.pointee.lastPacketAt = now
    line.pointee.packets &+= 1
    line.pointee.messages &+= end &- first
    line.pointee.nextSequence = max(line.pointee.nextSequence, end)
    var (isWanted, answered) = requests.noteAnswer(first: first, last: end &- 1, now: now)
    while answered > 0 {
      noteOutcome(.retransmission, failed: false, now)
      answered &-= 1
    }
    guard isWanted else {
      tally.notRequested &+= end &- first
      rejectionCounts[IgnoreReason.notRequested.index] &+= 1
      return .ignore(.notRequested)
    }
    return examine(.retransmission, first, end, now)
  }

  @inline(__always)
  private mutating func examine(_ source: Source, _ first: UInt64, _ end: UInt64, _ now: UInt64) -> Verdict {
    examinedSource = source
    examinedAt = now
    examinedFirst = first
    examinedEnd = end
    return .examine
  }

  /// Everything from the highest known number to `last` exists and is missing, as `source` has shown. `certain`: the
  /// source will not bring it by itself, for it was here and could not be kept.
  @_noLocks
  private mutating func openGap(through last: UInt64, _ source: Source, now: UInt64, certain: Bool) {
    let first = known
    let doneAt = certain ? now : later(now, by: settings.hold)
    // An answer that could not be kept is no sign of the lines.
    let gap = OpenGap(
      first: first, last: last, detectedAt: now, lineADoneAt: source.index == 0 ? doneAt : .max,
      lineBDoneAt: source.index == 1 ? doneAt : .max)
    if gaps.append(gap, now: now) { tally.gaps &+= 1 }
    tally.missing &+= last &- first &+ 1
    known = last &+ 1
    requests.planIsStale = true
  }

  /// A missing message is here, from the source that is being examined.
  @inline(__always)
  private mutating func fill(_ sequence: UInt64) {
    guard let (detectedAt, isNewRange) = gaps.fill(sequence, by: examinedSource, now: examinedAt) else {
      return
    }
    requests.planIsStale = true
    // What is left of the range may end in front of this message now.
    if examinedSource.isLine { markPassed(examinedSource, now: examinedAt) }
    if isNewRange && examinedAt > detectedAt { noteObjective(examinedAt &- detectedAt) }
    if examinedAt > detectedAt { tally.slowestFill = max(tally.slowestFill, examinedAt &- detectedAt) }
    switch examinedSource {
    case .lineA:
      tally.filledByLineA &+= 1
      if lines[1].nextSequence > sequence { lines[1].missedAlone &+= 1 }
    case .lineB:
      tally.filledByLineB &+= 1
      if lines[0].nextSequence > sequence { lines[0].missedAlone &+= 1 }
    case .retransmission:
      tally.filledByRetransmission &+= 1
    }
  }

  /// A range was filled so long after its detection.
  @inline(__always)
  private mutating func noteObjective(_ nanoseconds: UInt64) {
    if examinedSource.isLine {
      if settings.lineObjective != 0 && nanoseconds > settings.lineObjective {
        tally.lineObjectiveMissed &+= 1
      }
    } else {
      let objective = retransmissionGate.settings.objectiveNanoseconds
      if objective != 0 && nanoseconds > objective { retransmissionGate.statistics.objectiveMissed &+= 1 }
    }
  }

  /// Messages below the next number: duplicates, or late if their number was given up.
  @_noLocks
  private mutating func countOld(_ source: Source, _ first: UInt64, _ end: UInt64) {
    if first > mayHaveLateUntil {
      tally.duplicates &+= end &- first
      return
    }
    var sequence = first
    while sequence < end {
      if sequence <= mayHaveLateUntil && gaps.wasGivenUp(sequence) {
        tally.late &+= 1
        if source.isLine { lines[source.index].messagesLate &+= 1 }
      } else {
        tally.duplicates &+= 1
      }
      sequence &+= 1
    }
  }

  /// The packet does not start where the line's last one ended.
  @usableFromInline @inline(never) @_noLocks
  mutating func noteDiscontinuity(
    _ line: UnsafeMutablePointer<LineStatistics>, _ source: Source, first: UInt64, end: UInt64, now: UInt64
  ) {
    let own = line.pointee.nextSequence
    if end > own { line.pointee.lastAdvanceAt = now }
    if own == 0 {
      // The line's first sign: what came before it was not missed by it.
      if lines[0].nextSequence | lines[1].nextSequence == 0 { firstSignAt = now }
      line.pointee.nextSequence = end
    } else if first < own {
      line.pointee.packetsOutOfOrder &+= 1
      line.pointee.nextSequence = max(own, end)
      if own &- first > settings.window { noteRewind(line, source, first: first, end: end) }
    } else {
      line.pointee.holes &+= 1
      line.pointee.missedMessages &+= first &- own
      // The stream may have advanced over this very packet already: `first` bounds what others brought.
      let delivered = min(first, expected)
      if delivered > own { line.pointee.missedAlone &+= delivered &- own }
      line.pointee.nextSequence = end
    }
  }

  /// A packet that lies further back than any reordering. One alone is a late copy. Several that follow one another
  /// from low numbers on are a line that has begun again: within a session no message gets a new number, so they
  /// remain copies of old ones, but somebody should know.
  @inline(__always)
  private mutating func noteRewind(
    _ line: UnsafeMutablePointer<LineStatistics>, _ source: Source, first: UInt64, end: UInt64
  ) {
    line.pointee.rewoundPackets = first == line.pointee.rewoundNext ? line.pointee.rewoundPackets &+ 1 : 1
    line.pointee.rewoundNext = end
    if line.pointee.rewoundPackets == 3 {
      line.pointee.sequenceResets &+= 1
      events.add(.sequenceReset(source: source, sequence: first, was: line.pointee.nextSequence))
    }
  }

  @usableFromInline @inline(never) @_noLocks
  mutating func noteDisagreement(
    _ source: Source, _ sequence: UInt64, kept: UnsafeRawBufferPointer, keptLength: Int,
    refused: UnsafeRawBufferPointer
  ) {
    tally.disagreements &+= 1
    let disagreement = LineDisagreement(sequence: sequence, source: source)
    lastDisagreement = disagreement
    disagreements.add(sequence, source, kept: kept, keptLength: keptLength, refused: refused)
    events.add(.disagreement(disagreement))
  }

  @inline(__always)
  private func equal(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
    guard left.count == right.count else { return false }
    guard let leftBase = left.baseAddress, let rightBase = right.baseAddress else { return true }
    var offset = 0
    while offset &+ 8 <= left.count {
      if leftBase.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        != rightBase.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
      {
        return false
      }
      offset &+= 8
    }
    while offset < left.count {
      if leftBase.load(fromByteOffset: offset, as: UInt8.self)
        != rightBase.load(fromByteOffset: offset, as: UInt8.self)
      {
        return false
      }
      offset &+= 1
    }
    return true
  }
}
