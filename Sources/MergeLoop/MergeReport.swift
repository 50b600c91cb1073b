import CProbes
import LineArbiter
import StageRecords
import StageRuntime
import SystemLog

/// What the stage has written down so far.
struct MergeReported {
  /// Finished ranges of earlier incarnations, and of this one: those written so far.
  var finishedBase: UInt64 = 0
  var finished: UInt64 = 0
  /// Ranges that left the arbiter's memory before they were written down.
  var finishedUnseen: UInt64 = 0
  var disagreements: UInt64 = 0
  /// How many ranges a line or the retransmission service filled.
  var filledByLine: UInt64 = 0
  var filledByRetransmission: UInt64 = 0
  /// When the rates were last taken, and from what.
  var ratesAt: UInt64 = 0
  var packets: (UInt64, UInt64) = (0, 0)
  var messages: (UInt64, UInt64) = (0, 0)
  /// Events narrated, and when the last one was.
  var narratedAt: UInt64 = 0
}

/// What the stage knows, for others: counters on its control page, ranges on the recovery page.
extension MergeStage {
  /// Rates are over about this time.
  private static let rateNanoseconds: UInt64 = 1_000_000_000

  mutating func writeReport(_ now: UInt64) {
    arbiter.observeLines(now: now)
    takeEvents(now)
    let counters = arbiter.counters
    control.setBacklog(arbiter.highestSequence &- arbiter.nextSequence)
    writeLines(now)
    writeGaps(counters)
    control.setTotal(
      MergeCounter.packetsRetransmitted, arbiter.statistics(of: .retransmission).packets, since: base)
    control.setTotal(
      MergeCounter.duplicateMessages, counters.duplicates &+ counters.duplicatesHeld, since: base)
    control.setTotal(MergeCounter.messagesPublished, output.messages, since: base)
    control.setTotal(MergeCounter.heartbeats, heartbeats, since: base)
    control.setTotal(MergeCounter.malformedPackets, malformed, since: base)
    control.setTotal(MergeCounter.lineDisagreements, counters.disagreements, since: base)
    control.setTotal(MergeCounter.inputLaps, inputLaps, since: base)
    control.setTotal(MergeCounter.farAheadClaims, counters.farAheadClaims, since: base)
    control.setTotal(MergeCounter.jumpsBelieved, counters.jumps, since: base)
    control.setTotal(
      MergeCounter.endsUnsupported, arbiter.rejections(.unsupportedEnd), since: base)
    control.setTotal(MergeCounter.packetsRejected, counters.rejectedPackets, since: base)
    page.putOpen(count: arbiter.openGapCount, at: now) { openRecord($0, now) }
    for line in 0..<2 {
      for bucket in 0..<LineArbiter.lagBuckets {
        page.setLag(
          line: line, bucket: bucket, arbiter.lagCount(of: line == 0 ? .lineA : .lineB, bucket: bucket))
      }
    }
  }

  private mutating func writeLines(_ now: UInt64) {
    let a = arbiter.statistics(of: .lineA)
    let b = arbiter.statistics(of: .lineB)
    let viewA = arbiter.lineView(of: .lineA, now: now)
    let viewB = arbiter.lineView(of: .lineB, now: now)
    control.setTotal(MergeCounter.packetsA, a.packets, since: base)
    control.setTotal(MergeCounter.packetsB, b.packets, since: base)
    control.setTotal(MergeCounter.duplicatePacketsA, a.packetsBehind, since: base)
    control.setTotal(MergeCounter.duplicatePacketsB, b.packetsBehind, since: base)
    control.setTotal(MergeCounter.duplicateMessagesA, a.messagesBehind, since: base)
    control.setTotal(MergeCounter.duplicateMessagesB, b.messagesBehind, since: base)
    control.setTotal(MergeCounter.missingOnA, a.missedMessages, since: base)
    control.setTotal(MergeCounter.missingOnB, b.missedMessages, since: base)
    control.setTotal(MergeCounter.missingOnAAlone, a.missedAlone, since: base)
    control.setTotal(MergeCounter.missingOnBAlone, b.missedAlone, since: base)
    control.setTotal(MergeCounter.lateMessagesA, a.messagesLate, since: base)
    control.setTotal(MergeCounter.lateMessagesB, b.messagesLate, since: base)
    control.setTotal(MergeCounter.holesOnA, a.holes, since: base)
    control.setTotal(MergeCounter.holesOnB, b.holes, since: base)
    control.setTotal(MergeCounter.sequenceResets, a.sequenceResets &+ b.sequenceResets, since: base)
    control.setTotal(
      MergeCounter.foreignSessionPackets, a.foreignSession &+ b.foreignSession &+ foreignSessions, since: base
    )
    control.set(MergeCounter.lineAUp, viewA.isUp ? 1 : 0)
    control.set(MergeCounter.lineBUp, viewB.isUp ? 1 : 0)
    control.setTotal(MergeCounter.lineADowns, viewA.downs, since: base)
    control.setTotal(MergeCounter.lineBDowns, viewB.downs, since: base)
    control.set(MergeCounter.lineALastPacket, a.lastPacketAt)
    control.set(MergeCounter.lineBLastPacket, b.lastPacketAt)
    control.set(MergeCounter.lineALagMedian, lag(.lineA, share: 50))
    control.set(MergeCounter.lineBLagMedian, lag(.lineB, share: 50))
    control.set(MergeCounter.lineALagHigh, lag(.lineA, share: 99))
    control.set(MergeCounter.lineBLagHigh, lag(.lineB, share: 99))
    guard now &- reported.ratesAt >= Self.rateNanoseconds else { return }
    let seconds = Double(now &- reported.ratesAt) / 1e9
    func rate(_ count: UInt64, _ before: UInt64) -> UInt64 {
      reported.ratesAt == 0 ? 0 : UInt64(Double(count &- before) / seconds)
    }
    control.set(MergeCounter.packetRateA, rate(a.packets, reported.packets.0))
    control.set(MergeCounter.packetRateB, rate(b.packets, reported.packets.1))
    control.set(MergeCounter.messageRateA, rate(a.messages, reported.messages.0))
    control.set(MergeCounter.messageRateB, rate(b.messages, reported.messages.1))
    reported.packets = (a.packets, b.packets)
    reported.messages = (a.messages, b.messages)
    reported.ratesAt = now
  }

  private func writeGaps(_ counters: ArbiterCounters) {
    let rung = arbiter.statistics(of: RecoveryRung.retransmission)
    control.setTotal(MergeCounter.gapsDetected, counters.gaps, since: base)
    control.set(MergeCounter.gapsOpen, UInt64(arbiter.openGapCount))
    control.setTotal(MergeCounter.gapsFilledByLine, reported.filledByLine, since: base)
    control.setTotal(MergeCounter.gapsFilledByRetransmission, reported.filledByRetransmission, since: base)
    control.setTotal(
      MergeCounter.messagesFilledByLine, counters.filledByLineA &+ counters.filledByLineB, since: base)
    control.setTotal(
      MergeCounter.messagesFilledByRetransmission, counters.filledByRetransmission, since: base)
    control.setTotal(MergeCounter.gapsUnrecoverable, output.gaps, since: base)
    control.setTotal(MergeCounter.messagesLost, counters.givenUp, since: base)
    control.setTotal(MergeCounter.requestsSent, counters.requests, since: base)
    control.setTotal(MergeCounter.requestsRetried, counters.retries, since: base)
    control.setTotal(MergeCounter.requestsUnanswered, counters.timeouts, since: base)
    control.setTotal(MergeCounter.requestSendErrors, retransmission.sendErrors, since: base)
    control.setTotal(MergeCounter.objectiveMissedByLine, counters.lineObjectiveMissed, since: base)
    control.setTotal(MergeCounter.objectiveMissedByRetransmission, rung.objectiveMissed, since: base)
    control.setTotal(MergeCounter.refusedByBreaker, rung.refusedByBreaker, since: base)
    if let breaker = arbiter.breaker(of: .retransmission) {
      control.set(MergeCounter.breakerState, UInt64(breaker.state.rawValue))
      control.setTotal(MergeCounter.breakerOpened, breaker.opened, since: base)
    }
  }

  /// Writes down the ranges that have ended since the last time. The arbiter keeps the last 256; the newest of them
  /// may still have grown.
  mutating func reportFinishedGaps() {
    let total = arbiter.finishedGapCount
    var number = reported.finished > 0 ? reported.finished &- 1 : 0
    while number < total {
      if let gap = arbiter.finishedGap(number) {
        if number >= reported.finished {
          switch gap.outcome {
          case .filledByLineA, .filledByLineB: reported.filledByLine &+= 1
          case .filledByRetransmission: reported.filledByRetransmission &+= 1
          default: break
          }
          if !gap.outcome.isLoss {
            page.addRecovery(nanoseconds: gap.finishedAt &- gap.detectedAt)
            bulkhead_probe_gap_filled(
              gap.first, gap.last, UInt64(gap.outcome.rawValue), gap.finishedAt &- gap.detectedAt)
          }
        }
        var record = GapRecord()
        record.number = reported.finishedBase &+ number &+ 1
        (record.first, record.last) = (gap.first, gap.last)
        record.detectedAt = gap.detectedAt
        record.firstRequestAt = gap.firstRequestAt
        record.lastRequestAt = gap.lastRequestAt
        record.finishedAt = gap.finishedAt
        record.requests = UInt64(gap.requests)
        record.outcome = UInt64(gap.outcome.rawValue)
        record.rung = UInt64(Self.rung(of: gap).rawValue)
        record.epoch = control.epoch
        page.putFinished(record)
      } else {
        reported.finishedUnseen &+= 1
      }
      number &+= 1
    }
    reported.finished = total
  }

  /// The rung that ended a range, or on which it was lost.
  private static func rung(of gap: FinishedGap) -> RecoveryRung {
    switch gap.outcome {
    case .filledByLineA, .filledByLineB: .otherLine
    case .filledByRetransmission: .retransmission
    case .filledBySnapshot, .snapshotUnavailable: .snapshot
    default: gap.requests > 0 ? .retransmission : .otherLine
    }
  }

  private func openRecord(_ index: Int, _ now: UInt64) -> GapRecord {
    var record = GapRecord()
    guard let gap = arbiter.openGap(index) else { return record }
    (record.first, record.last) = (gap.first, gap.last)
    record.detectedAt = gap.detectedAt
    record.firstRequestAt = gap.firstRequestAt
    record.lastRequestAt = gap.lastRequestAt
    record.requests = UInt64(gap.requests)
    record.rung = UInt64(arbiter.rung(of: gap, now: now).rawValue)
    record.filledByLineA = UInt64(gap.filledByLineA)
    record.filledByLineB = UInt64(gap.filledByLineB)
    record.filledByRetransmission = UInt64(gap.filledByRetransmission)
    record.epoch = control.epoch
    return record
  }

  /// The upper bound of the bucket below which a share of a line's lags lies, ns; 0 without any.
  private func lag(_ line: Source, share: UInt64) -> UInt64 {
    var total: UInt64 = 0
    for bucket in 0..<LineArbiter.lagBuckets { total &+= arbiter.lagCount(of: line, bucket: bucket) }
    var seen: UInt64 = 0
    for bucket in 0..<LineArbiter.lagBuckets where total > 0 {
      seen &+= arbiter.lagCount(of: line, bucket: bucket)
      if seen &* 100 >= total &* share { return bucket == 0 ? 0 : 1 << UInt64(bucket) }
    }
    return 0
  }

  // MARK: Events

  /// Keeps the payloads of disagreements, and has the log told what an operator should see, once a second at
  /// most: everything is counted in any case.
  private mutating func takeEvents(_ now: UInt64) {
    while reported.disagreements < arbiter.disagreementCount {
      _ = arbiter.disagreement(reported.disagreements) { found in
        page.addDisagreement(
          sequence: found.sequence, refusedSource: UInt64(found.refusedSource.rawValue), kept: found.kept,
          refused: found.refused, keptLength: UInt64(found.keptLength),
          refusedLength: UInt64(found.refusedLength))
      }
      reported.disagreements &+= 1
    }
    while let event = arbiter.nextEvent() {
      noteTransition(event, now)
      guard now &- reported.narratedAt > 1_000_000_000, Self.isWorthALine(event) else { continue }
      reported.narratedAt = now
      narrator.add(event)
    }
  }

  /// Says what this loop notes, on another thread: this one allocates nothing.
  static func makeNarrator() -> Narrator<ArbiterEvent> {
    Narrator(component: "merged") { event in narrate("merged: \(sentence(event))", as: kind(event)) }
  }

  private static func isWorthALine(_ event: ArbiterEvent) -> Bool {
    switch event {
    case .lineDown, .lineUp: false
    default: true
    }
  }

  private static func kind(_ event: ArbiterEvent) -> LogEvent {
    switch event {
    case .disagreement: .linesDisagree
    case .breaker: .breakerChanged
    default: .streamJump
    }
  }

  private static func sentence(_ event: ArbiterEvent) -> String {
    switch event {
    case .disagreement(let disagreement):
      "the lines disagree about message \(disagreement.sequence); the copy that came first is kept, both are in `bulkhead gaps`"
    case .jumpBelieved(let from, let to): "the stream jumps from \(from) to \(to), as two packets say"
    case .farAheadClaim(let source, let sequence, let known):
      "line \(source == .lineA ? "a" : "b") says \(sequence) where \(known) was expected; not believed without a second packet"
    case .sequenceReset(let source, let sequence, let was):
      "line \(source == .lineA ? "a" : "b") has begun again at \(sequence) within the session; it was at \(was)"
    case .breaker(let rung, let state): "the circuit breaker of \(rung.name) is \(state.name)"
    case .lineDown(let source, _): "line \(source == .lineA ? "a" : "b") is down"
    case .lineUp(let source, _): "line \(source == .lineA ? "a" : "b") is back"
    }
  }
}
