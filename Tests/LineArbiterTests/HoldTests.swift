import XCTest

@testable import LineArbiter

/// Hold 100, silence 5,000; claims and ends need a second packet.
private func patient(retransmission: Bool = false) -> ArbiterConfiguration {
  var configuration = ArbiterConfiguration()
  configuration.windowMessages = 1_024
  configuration.heldBytes = 256 << 10
  configuration.holdNanoseconds = 100
  configuration.lineWaitNanoseconds = 2_000
  configuration.lineSilenceNanoseconds = 5_000
  configuration.retransmission.isEnabled = retransmission
  configuration.retransmission.timeoutNanoseconds = 50
  configuration.retransmission.attempts = 1
  configuration.retransmission.intervalNanoseconds = 0
  return configuration
}

/// How long a range is left to the lines.
final class HoldTests: XCTestCase {
  /// The defect of the old rule: the slower line's copy came after the hold time, and the range had been given up.
  func testALineThatIsBehindIsWaitedForHoweverLate() {
    let stage = StageHarness(patient())
    stage.receive(.lineB, 1, 2, now: 990)
    stage.receive(.lineA, 1, 10, now: 1_000)
    stage.receive(.lineA, 16, 5, now: 1_000)
    // Line B comes 4,000 later each, forty hold times.
    XCTAssertEqual(stage.resolve(now: 4_000), .wait(until: 5_990), "silent since 990 it would be dead then")
    stage.receive(.lineB, 3, 8, now: 4_900)
    stage.resolve(now: 6_000)
    XCTAssertEqual(stage.output.count, 10, "nothing given up")
    stage.receive(.lineB, 11, 5, now: 6_100)
    stage.assertOutput(1, 20)
  }

  func testALineThatPassesTheRangeHasTheHoldTimeFromThen() {
    let stage = StageHarness(patient())
    stage.receive(.lineA, 1, 10, now: 1_000)
    stage.receive(.lineB, 1, 10, now: 1_000)
    stage.receive(.lineA, 16, 5, now: 1_000)
    stage.receive(.lineB, 16, 5, now: 3_000)
    XCTAssertEqual(stage.resolve(now: 3_099), .wait(until: 3_100))
    stage.receive(.lineB, 13, 1, now: 3_099)  // out of order on line B itself
    XCTAssertEqual(stage.resolve(now: 3_099), .wait(until: 3_100))
    stage.resolve(now: 3_100)
    stage.assertOutput(1, 20, gaps: [11...12, 14...15])
  }

  func testAnAnnouncementPassesTheRangeAsAPacketDoes() {
    let stage = StageHarness(patient())
    for source in [Source.lineA, .lineB] { stage.receive(source, 1, 10, now: 1_000) }
    stage.receive(.lineA, 16, 5, now: 1_000)
    stage.arbiter.heartbeat(source: .lineB, nextExpected: 16, now: 1_500)
    XCTAssertEqual(stage.resolve(now: 1_500), .wait(until: 1_600))
    stage.resolve(now: 1_600)
    stage.assertOutput(1, 20, gaps: [11...15])
  }

  func testAMessageInTheMiddlePassesTheFrontOfTheRange() {
    let stage = StageHarness(patient())
    for source in [Source.lineA, .lineB] { stage.receive(source, 1, 10, now: 1_000) }
    stage.receive(.lineB, 21, 1, now: 1_000)
    stage.receive(.lineA, 15, 1, now: 2_000)
    XCTAssertEqual(stage.resolve(now: 2_000), .wait(until: 2_100))
    stage.resolve(now: 2_100)
    XCTAssertEqual(stage.output.last, .message(15, messageBytes(15)))
    XCTAssertEqual(stage.resolve(now: 2_100), .wait(until: 7_000), "line A may bring what is behind it")
    stage.receive(.lineA, 16, 6, now: 6_900)
    stage.assertOutput(1, 21, gaps: [11...14])
  }

  func testAnAnnouncementInsideTheRangeDoesNotPassIt() {
    let stage = StageHarness(patient())
    for source in [Source.lineA, .lineB] { stage.receive(source, 1, 10, now: 1_000) }
    stage.receive(.lineA, 16, 5, now: 1_000)
    stage.arbiter.heartbeat(source: .lineB, nextExpected: 15, now: 1_500)
    XCTAssertEqual(stage.resolve(now: 1_700), .wait(until: 6_500))
  }

  func testADeadLineIsWaitedForUntilItCountsAsDead() {
    let stage = StageHarness(patient())
    for source in [Source.lineA, .lineB] { stage.receive(source, 1, 10, now: 1_000) }
    for sequence in stride(from: UInt64(16), to: 40, by: 1) {
      stage.receive(.lineA, sequence, 1, now: 1_000 + sequence * 100)
    }
    XCTAssertEqual(stage.resolve(now: 5_999), .wait(until: 6_000))
    stage.resolve(now: 6_000)
    stage.assertOutput(1, 39, gaps: [11...15])
  }

  /// It lives, says the same number for ever, and the range is above it.
  func testALineThatIsStuckIsNotWaitedForForEver() {
    let stage = StageHarness(patient())
    for source in [Source.lineA, .lineB] { stage.receive(source, 1, 10, now: 1_000) }
    stage.receive(.lineA, 16, 5, now: 2_000)
    for now in stride(from: UInt64(2_000), through: 9_000, by: 500) {
      stage.arbiter.heartbeat(source: .lineB, nextExpected: 11, now: now)
      stage.resolve(now: now)
      XCTAssertEqual(stage.output.count == 10, now < 7_000, "at \(now)")
    }
    stage.assertOutput(1, 20, gaps: [11...15])
  }

  func testALineThatWasNeverHeardMayOnlyBeStarting() {
    let stage = StageHarness(patient())
    stage.receive(.lineA, 1, 10, now: 1_000)
    stage.receive(.lineA, 16, 5, now: 1_200)
    XCTAssertEqual(stage.resolve(now: 1_300), .wait(until: 6_000))
    stage.receive(.lineB, 1, 15, now: 5_000)
    stage.assertOutput(1, 20)
  }

  /// What it showed of the last session, however long ago, says nothing about this one.
  func testALineThatIsNotInTheNewSessionYetMayOnlyBeStarting() {
    let stage = StageHarness(patient())
    let next = Array("TUESDAY   ".utf8).withUnsafeBytes { SessionIdentifier(from: $0.baseAddress!) }
    for source in [Source.lineA, .lineB] { stage.receive(source, 1, 10, now: 1_000) }
    stage.arbiter.begin(session: next)
    stage.receive(.lineA, 6, 5, now: 900_000)
    XCTAssertEqual(stage.resolve(now: 900_200), .wait(until: 905_000))
    stage.receive(.lineB, 1, 5, now: 904_000)
    XCTAssertEqual(stage.output.suffix(10), (1...10).map { .message($0, messageBytes($0)) })
  }

  /// What could not be kept does not come again on that line; the other one may have it.
  func testWhatALineBroughtInVainIsLeftToTheOtherOneOnly() {
    var configuration = patient()
    configuration.windowMessages = 64
    let stage = StageHarness(configuration)
    for source in [Source.lineA, .lineB] { stage.receive(source, 1, 1, now: 1_000) }
    stage.receive(.lineA, 3, 70, now: 1_000)  // from 66 on they do not fit
    XCTAssertEqual(stage.arbiter.counters.beyondWindow, 7)
    stage.receive(.lineB, 2, 71, now: 5_500)
    stage.assertOutput(1, 72)
  }

  func testARequestLeavesBeforeTheLinesAreDoneAndNothingIsGivenUpBeforeIt() {
    let stage = StageHarness(patient(retransmission: true))
    for source in [Source.lineA, .lineB] { stage.receive(source, 1, 10, now: 1_000) }
    stage.receive(.lineA, 16, 5, now: 1_000)
    XCTAssertEqual(stage.resolve(now: 2_999), .wait(until: 3_000))
    stage.resolve(now: 3_000)
    XCTAssertEqual(stage.requests, [.init(first: 11, count: 5, at: 3_000)], "after the line wait")
    // Its one attempt goes unanswered; line B is alive all the time.
    for now in stride(from: UInt64(3_050), through: 5_900, by: 50) {
      stage.resolve(now: now)
      XCTAssertEqual(stage.output.count, 10, "given up at \(now)")
    }
    stage.receive(.lineB, 11, 5, now: 5_950)
    stage.assertOutput(1, 20)
    XCTAssertEqual(stage.arbiter.finishedGap(0)?.outcome, .filledByLineB)
    XCTAssertEqual(stage.arbiter.finishedGap(0)?.requests, 1)
  }

  func testNothingIsAskedForOrGivenUpWhileRetainedPacketsAreRead() {
    for isOnline in [false, true] {
      let stage = StageHarness(patient(retransmission: isOnline), firstSequence: 11)
      stage.arbiter.setReadingRetention(.lineA, true)
      stage.arbiter.setReadingRetention(.lineB, true)
      stage.receive(.lineA, 16, 5, now: 1_000)
      stage.arbiter.setReadingRetention(.lineA, false)
      stage.resolve(now: 100_000)
      XCTAssertEqual(stage.output, [])
      XCTAssertEqual(stage.requests, [])
      XCTAssertEqual(stage.arbiter.rung(of: stage.arbiter.openGap(0)!, now: 100_000), .retention)
      stage.receive(.lineB, 5, 12, now: 100_000)
      stage.arbiter.setReadingRetention(.lineB, false)
      stage.assertOutput(11, 20, "online \(isOnline)")
    }
  }

  /// The other line has passed the range as well; it may still lie behind in what is retained.
  func testARangeThatBothLinesPassedIsNotGivenUpWhileRetainedPacketsAreRead() {
    let stage = StageHarness(patient(), firstSequence: 11)
    stage.arbiter.setReadingRetention(.lineA, true)
    stage.arbiter.setReadingRetention(.lineB, true)
    stage.receive(.lineA, 16, 5, now: 1_000)
    stage.receive(.lineB, 16, 5, now: 1_000)
    stage.arbiter.setReadingRetention(.lineB, false)
    stage.resolve(now: 100_000)
    XCTAssertEqual(stage.output, [])
    stage.receive(.lineA, 11, 5, now: 100_000)
    stage.arbiter.setReadingRetention(.lineA, false)
    stage.resolve(now: 100_000)
    stage.assertOutput(11, 20)
  }

  /// One forged number on one line: the true messages still come, in order, from both.
  func testAForgedNumberWithinTheBoundDoesNotLoseWhatIsStillToCome() {
    let stage = StageHarness(patient())
    var now: UInt64 = 1_000
    stage.receive(.lineA, 1, 10, now: now)
    stage.receive(.lineB, 1, 10, now: now)
    stage.arbiter.heartbeat(source: .lineA, nextExpected: 200, now: now)
    for first in stride(from: UInt64(11), to: 200, by: 3) {
      now += 1_000
      stage.receive(.lineA, first, 3, now: now)
      stage.receive(.lineB, first, 3, now: now + 50)
      stage.resolve(now: now + 60)
    }
    stage.assertOutput(1, 199)
  }
}

/// What one packet alone is not believed about.
final class EvidenceTests: XCTestCase {
  private func wary() -> ArbiterConfiguration {
    var configuration = patient()
    configuration.farAheadMessages = 100
    return configuration
  }

  private func started() -> StageHarness {
    let stage = StageHarness(wary())
    for source in [Source.lineA, .lineB] { stage.receive(source, 1, 10, now: 1_000) }
    return stage
  }

  func testOneFarPacketChangesNothing() {
    let stage = started()
    stage.receive(.lineA, 111, 5, now: 1_100)
    XCTAssertEqual(stage.verdicts.last, .examine, "within the bound")
    stage.receive(.lineB, 11, 105, now: 1_110)
    stage.receive(.lineA, 217, 5, now: 1_200)
    XCTAssertEqual(stage.verdicts.last, .ignore(.farAhead), "one more than the bound")
    XCTAssertEqual(stage.arbiter.highestSequence, 116)
    stage.receive(.lineA, 217, 5, now: 1_300)
    stage.receive(.lineA, 217, 5, now: 9_000)
    XCTAssertEqual(stage.verdicts.last, .ignore(.farAhead), "a copy of the datagram is no second packet")
    XCTAssertEqual(stage.arbiter.counters.farAheadClaims, 1)
    XCTAssertEqual(stage.arbiter.rejections(.farAhead), 3)
    XCTAssertEqual(stage.arbiter.statistics(of: .lineA).nextSequence, 116)
    stage.assertOutput(1, 115)
  }

  func testTheOtherLineSupportsAJump() {
    let stage = started()
    stage.receive(.lineA, 500, 5, now: 1_100)
    stage.receive(.lineB, 503, 5, now: 1_150)
    XCTAssertEqual(stage.arbiter.counters.jumps, 1)
    XCTAssertEqual(stage.arbiter.highestSequence, 508)
    stage.receive(.lineA, 505, 5, now: 1_160)
    stage.receive(.lineA, 11, 492, now: 1_170)
    stage.assertOutput(1, 509)
    XCTAssertEqual(stage.arbiter.nextEvent(), .farAheadClaim(source: .lineA, sequence: 500, known: 11))
    XCTAssertEqual(stage.arbiter.nextEvent(), .jumpBelieved(from: 11, to: 503))
  }

  /// As many packets as one likes, of both lines, announcements and messages: no day has such numbers.
  func testAnIncredibleJumpIsNeverBelieved() {
    let stage = started()
    for now in [1_100, 9_000, 90_000] as [UInt64] {
      for source in [Source.lineA, .lineB] {
        stage.receive(source, 11 + 1 << 44, 5, now: now)
        stage.receive(source, 16 + 1 << 44, 5, now: now + 10)
        stage.receive(source, .max - 1, 0, now: now + 20)
        stage.arbiter.endOfSession(source: source, nextExpected: .max - 1, now: now + 30)
      }
    }
    XCTAssertEqual(stage.arbiter.highestSequence, 11)
    XCTAssertEqual(stage.arbiter.counters.farAheadClaims, 0)
    XCTAssertEqual(stage.arbiter.rejections(.farAhead), 24)
    stage.receive(.lineA, 10 + 1 << 44, 5, now: 91_000)
    stage.receive(.lineB, 10 + 1 << 44, 5, now: 91_000)
    XCTAssertEqual(stage.arbiter.counters.jumps, 1, "one less is a matter of evidence")
    stage.receive(.lineA, 11, 3, now: 92_000)
    stage.assertOutput(1, 13)
  }

  func testTheOtherLineFarAwaySupportsNothing() {
    let stage = started()
    stage.receive(.lineA, 500, 5, now: 1_100)
    stage.receive(.lineB, 1_000, 5, now: 1_150)
    XCTAssertEqual(stage.verdicts.last, .ignore(.farAhead))
    XCTAssertEqual(stage.arbiter.highestSequence, 11)
  }

  func testTheSameLineGoingOnSupportsAJump() {
    let stage = started()
    stage.receive(.lineA, 500, 5, now: 1_100)
    stage.receive(.lineA, 505, 5, now: 1_110)
    XCTAssertEqual(stage.verdicts.last, .examine)
    XCTAssertEqual(stage.arbiter.highestSequence, 510)
  }

  func testALineThatGoesOnWhereItWasContradictsItsClaim() {
    let stage = started()
    stage.receive(.lineA, 500, 5, now: 1_100)
    stage.receive(.lineA, 11, 5, now: 1_110)
    stage.receive(.lineA, 505, 5, now: 1_120)
    XCTAssertEqual(stage.verdicts.last, .ignore(.farAhead), "the first one has been contradicted")
    stage.receive(.lineA, 16, 5, now: 1_130)
    stage.receive(.lineB, 503, 5, now: 1_140)
    XCTAssertEqual(stage.verdicts.last, .ignore(.farAhead), "and so has the second")
    stage.assertOutput(1, 20)
  }

  func testAFarHeartbeatIsBelievedWhenItIsRepeatedLater() {
    let stage = started()
    stage.arbiter.heartbeat(source: .lineA, nextExpected: 500, now: 1_100)
    stage.arbiter.heartbeat(source: .lineA, nextExpected: 500, now: 1_150)
    XCTAssertEqual(stage.arbiter.highestSequence, 11, "within the hold time it may be a copy")
    stage.arbiter.heartbeat(source: .lineA, nextExpected: 500, now: 1_200)
    XCTAssertEqual(stage.arbiter.highestSequence, 500)
    XCTAssertEqual(stage.arbiter.rejections(.farAhead), 2)
  }

  func testAClaimDoesNotStandForEver() {
    let stage = started()
    stage.receive(.lineA, 500, 5, now: 1_100)
    stage.receive(.lineB, 503, 5, now: 1_101 + 4 * 5_000)
    XCTAssertEqual(stage.arbiter.highestSequence, 11)
  }

  func testOneEndOfSessionEndsNothing() {
    let stage = started()
    stage.arbiter.endOfSession(source: .lineA, nextExpected: 11, now: 1_100)
    stage.arbiter.endOfSession(source: .lineA, nextExpected: 11, now: 1_199)
    XCTAssertFalse(stage.arbiter.isComplete, "within the hold time it may be a copy")
    XCTAssertEqual(stage.arbiter.rejections(.unsupportedEnd), 2)
    stage.receive(.lineB, 11, 5, now: 1_300)
    stage.receive(.lineA, 11, 5, now: 1_300)
    stage.arbiter.endOfSession(source: .lineA, nextExpected: 11, now: 1_400)
    XCTAssertEqual(stage.arbiter.endSequence, 0, "the line has gone on since")
    stage.assertOutput(1, 15)
  }

  func testAnEndIsBelievedFromTheOtherLineOrLater() {
    let both = started()
    both.arbiter.endOfSession(source: .lineA, nextExpected: 11, now: 1_100)
    both.arbiter.endOfSession(source: .lineB, nextExpected: 12, now: 1_100)
    XCTAssertEqual(both.arbiter.endSequence, 0, "they differ")
    both.arbiter.endOfSession(source: .lineA, nextExpected: 12, now: 1_101)
    XCTAssertEqual(both.arbiter.endSequence, 12)

    let alone = started()
    alone.arbiter.endOfSession(source: .lineA, nextExpected: 11, now: 1_100)
    alone.arbiter.endOfSession(source: .lineA, nextExpected: 11, now: 1_200)
    XCTAssertTrue(alone.arbiter.isComplete)
  }

  func testALineThatBeginsAgainIsAnEventAndRepeatsNothing() {
    let stage = StageHarness(wary())
    var next: UInt64 = 1
    while next <= 3_000 {
      stage.receive(.lineA, next, 50, now: next)
      next += 50
    }
    stage.receive(.lineA, 1_001, 50, now: 4_000)  // a very late packet
    stage.receive(.lineA, 1, 50, now: 4_001)
    stage.receive(.lineA, 51, 50, now: 4_002)
    XCTAssertEqual(stage.arbiter.statistics(of: .lineA).sequenceResets, 0)
    stage.receive(.lineA, 101, 50, now: 4_003)
    stage.receive(.lineA, 151, 50, now: 4_004)
    XCTAssertEqual(stage.arbiter.statistics(of: .lineA).sequenceResets, 1)
    XCTAssertEqual(stage.arbiter.nextEvent(), .sequenceReset(source: .lineA, sequence: 101, was: 3_001))
    XCTAssertNil(stage.arbiter.nextEvent())
    stage.assertOutput(1, 3_000)
  }

  func testBothPayloadsOfADisagreementAreKept() {
    var configuration = wary()
    configuration.historyMessages = 64
    let stage = StageHarness(configuration)
    let short = [UInt8](repeating: 1, count: 3)
    let usual = [UInt8]((0..<40))
    let whole = [UInt8]((0..<54))
    let long = [UInt8]((0..<200))
    for (index, kept) in [short, usual, whole, long, []].enumerated() {
      let sequence = UInt64(index + 1)
      var other = kept
      if other.isEmpty { other = [9] } else { other[other.count - 1] ^= 1 }
      stage.receive(.lineA, sequence, [kept], now: 1)
      stage.receive(.lineB, sequence, [kept], now: 2)
      XCTAssertEqual(stage.arbiter.disagreementCount, UInt64(index), "\(kept.count) bytes agree")
      stage.receive(.lineB, sequence, [other], now: 2)
      let record = stage.arbiter.disagreement(UInt64(index))
      XCTAssertEqual(record?.sequence, sequence)
      XCTAssertEqual(record?.refusedSource, .lineB)
      XCTAssertEqual(record?.kept, kept.count <= 54 ? kept : Array(kept.prefix(46)))
      XCTAssertEqual(record?.refused, Array(other.prefix(96)))
      XCTAssertEqual(record?.keptLength, kept.count)
      XCTAssertEqual(record?.refusedLength, other.count)
      XCTAssertEqual(
        stage.arbiter.nextEvent(), .disagreement(LineDisagreement(sequence: sequence, source: .lineB)))
    }
    // Of a message that waits: the one that waits is kept.
    stage.receive(.lineA, 10, [usual], now: 3)
    stage.receive(.lineB, 10, [whole], now: 3)
    XCTAssertEqual(stage.arbiter.disagreement(5)?.kept, usual)
    XCTAssertEqual(stage.arbiter.disagreement(5)?.refused, whole)
    XCTAssertNil(stage.arbiter.disagreement(6))
  }

  func testEmptyMessagesHaveTheirNumbers() {
    let stage = StageHarness(wary())
    stage.receive(.lineA, 1, [[], [1], []], now: 1)
    stage.receive(.lineA, 6, [[], []], now: 1)
    stage.receive(.lineB, 1, [[], [1], [], [], [5], [], []], now: 1)
    XCTAssertEqual(
      stage.output,
      [1, 2, 3, 4, 5, 6, 7].map { .message($0, $0 == 2 ? [1] : $0 == 5 ? [5] : []) })
    XCTAssertEqual(stage.arbiter.counters.disagreements, 0)
    stage.assertSound()
  }

  // MARK: The lines as they are seen

  func testALineThatFallsBehindIsDownBeforeItIsSilent() {
    var configuration = wary()
    configuration.lineLagNanoseconds = 300
    let stage = StageHarness(configuration)
    func isUp(_ now: UInt64) -> [Bool] {
      stage.arbiter.observeLines(now: now)
      return [Source.lineA, .lineB].map { stage.arbiter.lineView(of: $0, now: now).isUp }
    }
    XCTAssertEqual(isUp(900), [false, false])
    for source in [Source.lineA, .lineB] { stage.receive(source, 1, 10, now: 1_000) }
    XCTAssertEqual(isUp(1_000), [true, true])
    for step in UInt64(0)..<5 {
      stage.receive(.lineB, 11 + step, 1, now: 1_100 + step * 100)
      XCTAssertEqual(isUp(1_100 + step * 100), [step < 4, true], "step \(step)")
    }
    XCTAssertEqual(stage.arbiter.lineView(of: .lineA, now: 1_500).lastPacketAge, 500)
    stage.receive(.lineA, 15, 1, now: 1_600)
    XCTAssertEqual(isUp(1_600), [true, true])
    XCTAssertEqual(isUp(6_600), [true, false], "silence")
    XCTAssertEqual(isUp(6_601), [false, false])
    XCTAssertEqual(stage.arbiter.lineView(of: .lineA, now: 7_000).downs, 2)
    var events: [ArbiterEvent] = []
    while let event = stage.arbiter.nextEvent() { events.append(event) }
    XCTAssertEqual(
      events,
      [
        .lineUp(source: .lineA, at: 1_000), .lineUp(source: .lineB, at: 1_000),
        .lineDown(source: .lineA, at: 1_500), .lineUp(source: .lineA, at: 1_600),
        .lineDown(source: .lineB, at: 6_600), .lineDown(source: .lineA, at: 6_601),
      ])
  }

  func testTheLagIsThatOfTheStamps() {
    let stage = StageHarness(wary())
    for first in stride(from: UInt64(1), to: 64 * 10, by: 64) {
      // Line A is read first, but line B's packet had come 3 µs before.
      _ = stage.arbiter.receive(source: .lineA, first: first, count: 64, now: first, stamp: 13_000 + first)
      _ = stage.arbiter.receive(source: .lineB, first: first, count: 64, now: first, stamp: 10_000 + first)
      // The same again says nothing.
      _ = stage.arbiter.receive(source: .lineB, first: first, count: 64, now: first, stamp: 99_000 + first)
    }
    XCTAssertEqual(stage.arbiter.lagHistogram(of: .lineA)[12], 10, "2,048 ..< 4,096 ns")
    XCTAssertEqual(stage.arbiter.lagHistogram(of: .lineA).reduce(0, +), 10)
    XCTAssertEqual(stage.arbiter.lagHistogram(of: .lineB).reduce(0, +), 0)
    XCTAssertEqual(stage.arbiter.statistics(of: .lineB).messagesBehind, 1_280)
  }
}
