import XCTest

@testable import LineArbiter

private typealias Request = StageHarness.Request

/// Hold 100; lines die at once. Timeout 1,000, backoff 500, two attempts, no interval, ten messages each.
private func online() -> ArbiterConfiguration {
  var configuration = ArbiterConfiguration()
  configuration.windowMessages = 1_024
  configuration.heldBytes = 256 << 10
  configuration.holdNanoseconds = 100
  configuration.lineSilenceNanoseconds = 0
  configuration.farAheadMessages = 1 << 20
  configuration.corroborateEnd = false
  configuration.retransmission.timeoutNanoseconds = 1_000
  configuration.retransmission.backoffNanoseconds = 500
  configuration.retransmission.attempts = 2
  configuration.retransmission.intervalNanoseconds = 0
  configuration.requestMessages = 10
  configuration.requestsInFlight = 4
  return configuration
}

/// The limits of a rung, and what comes after the last one.
final class LadderTests: XCTestCase {
  // MARK: Budget

  func testABudgetBoundsTheRequestsOfEachPeriod() {
    var configuration = online()
    configuration.requestsInFlight = 64
    configuration.retransmission.budgetRequests = 3
    configuration.retransmission.budgetNanoseconds = 200
    let stage = StageHarness(configuration)
    stage.receive(.lineA, 81, 1, now: 0)
    stage.run(through: 999)
    XCTAssertEqual(stage.requests.map(\.at), [100, 100, 100, 300, 300, 300, 500, 500])
    XCTAssertEqual(stage.requests.map(\.first), [1, 11, 21, 31, 41, 51, 61, 71])
    XCTAssertGreaterThan(stage.arbiter.statistics(of: RecoveryRung.retransmission).waitedForBudget, 0)
  }

  func testARetryPaysFromTheSameBudget() {
    var configuration = online()
    configuration.retransmission.budgetRequests = 1
    configuration.retransmission.budgetNanoseconds = 3_000
    let stage = StageHarness(configuration)
    stage.receive(.lineA, 2, 1, now: 0)
    stage.run(through: 10_000)
    XCTAssertEqual(stage.requests.map(\.at), [100, 3_100])
  }

  // MARK: Breaker

  /// A range that an open breaker refused is asked for when the breaker lets a probe through, however long the lines
  /// are still waited for.
  func testARefusedRangeIsProbedAsSoonAsTheBreakerAllows() {
    var configuration = breaking(window: 1)
    configuration.lineSilenceNanoseconds = 1_000_000
    configuration.lineWaitNanoseconds = 100
    let stage = StageHarness(configuration)
    stage.receive(.lineA, 2, 1, now: 0)
    stage.run(through: 40_000)
    XCTAssertEqual(stage.requests.map(\.at), [100, 31_100])
  }

  /// The time that the rest of an answer is given is not cut short by a breaker that ends in it.
  func testABreakerDoesNotHastenTheRestOfAnAnswer() {
    var configuration = breaking(window: 1)
    configuration.lineSilenceNanoseconds = 1_000_000
    configuration.lineWaitNanoseconds = 100
    configuration.partialAnswerNanoseconds = 500
    let stage = StageHarness(configuration)
    stage.receive(.lineA, 11, 1, now: 0)
    stage.run(through: 31_000)  // overdue at 1,100: open until 31,100
    stage.receive(.retransmission, 1, 3, now: 31_000)
    stage.run(from: 31_000, through: 32_000)
    XCTAssertEqual(stage.requests.map(\.at), [100, 31_500])
  }

  private func breaking(window: Int = 4, percent: UInt64 = 75) -> ArbiterConfiguration {
    var configuration = online()
    configuration.retransmission.breakerPercent = percent
    configuration.retransmission.breakerWindow = window
    configuration.retransmission.breakerOpenNanoseconds = 30_000
    configuration.retransmission.breakerProbes = 3
    return configuration
  }

  func testTheBreakerOpensAtItsShareOfTheWindow() {
    var breaker = CircuitBreaker(breaking(window: 10, percent: 50).retransmission)
    for outcome in 0..<9 { outcome < 5 ? breaker.noteSuccess() : breaker.noteFailure(100) }
    XCTAssertEqual(breaker.state, .closed, "nine outcomes are no window")
    breaker.noteFailure(101)
    XCTAssertEqual(breaker.state, .open)
    XCTAssertEqual(breaker.openUntil, 30_101)

    var healthy = CircuitBreaker(breaking(window: 10, percent: 50).retransmission)
    for outcome in 0..<1_000 { outcome % 5 < 3 ? healthy.noteSuccess() : healthy.noteFailure(100) }
    XCTAssertEqual(healthy.state, .closed, "40 % never open it")
    var none = CircuitBreaker(RungSettings(isEnabled: true))
    for _ in 0..<1_000 { none.noteFailure(100) }
    XCTAssertEqual(none.state, .closed)
  }

  func testTheBreakerProbesAndClosesAfterSoManySuccesses() {
    var breaker = CircuitBreaker(breaking().retransmission)
    for _ in 0..<4 { breaker.noteFailure(100) }
    XCTAssertTrue(breaker.isOpen(30_099))
    breaker.noteSuccess()  // a late answer
    XCTAssertTrue(breaker.isOpen(30_099))
    XCTAssertFalse(breaker.isOpen(30_100))
    XCTAssertTrue(breaker.isProbing(30_100))
    breaker.noteRequest()
    XCTAssertEqual(breaker.state, .halfOpen)
    breaker.noteSuccess()
    breaker.noteSuccess()
    breaker.noteFailure(40_000)
    XCTAssertTrue(breaker.isOpen(69_999), "one failure opens it anew")
    breaker.noteRequest()
    for _ in 0..<3 { breaker.noteSuccess() }
    XCTAssertEqual(breaker.state, .closed)
    XCTAssertEqual(breaker.opened, 2)
    for _ in 0..<3 { breaker.noteFailure(80_000) }
    XCTAssertEqual(breaker.state, .closed, "the window starts again")
  }

  func testAnOpenBreakerSendsRangesPastTheServiceAndProbesOneAtATime() {
    var configuration = breaking()
    configuration.retransmission.attempts = 1
    let stage = StageHarness(configuration)
    stage.receive(.lineA, 61, 1, now: 0)  // six requests of ten
    stage.run(through: 2_000)
    XCTAssertEqual(stage.requests.map(\.first), [1, 11, 21, 31], "four unanswered ones open it")
    stage.run(from: 2_000, through: 10_000)
    XCTAssertEqual(
      stage.output.prefix(5),
      [
        .gap(1, 10, .retransmissionExhausted), .gap(11, 20, .retransmissionExhausted),
        .gap(21, 30, .retransmissionExhausted), .gap(31, 40, .retransmissionExhausted),
        .gap(41, 60, .retransmissionUnavailable),
      ])
    XCTAssertEqual(stage.arbiter.breaker(of: .retransmission)?.state, .open)
    // Still open: not one request, and nobody waits for one.
    stage.receive(.lineA, 72, 1, now: 20_000)
    stage.run(from: 20_000, through: 20_100)
    XCTAssertEqual(stage.output.last, .message(72, messageBytes(72)))
    XCTAssertEqual(stage.requests.count, 4)
    // Half open: one at a time.
    let opened = stage.arbiter.breaker(of: .retransmission)?.openUntil ?? 0
    XCTAssertEqual(opened, 31_100)
    stage.receive(.lineA, 103, 1, now: opened)
    var answered = 4
    var now = opened + 100
    while answered < 7, now < opened + 5_000 {
      stage.resolve(now: now)
      XCTAssertLessThanOrEqual(stage.requests.count, answered + 1, "probes at \(now)")
      now += 10
      for request in stage.requests[answered...] {
        stage.receive(.retransmission, request.first, Int(request.count), now: now)
      }
      answered = stage.requests.count
    }
    stage.resolve(now: now)
    XCTAssertEqual(stage.arbiter.breaker(of: .retransmission)?.state, .closed)
    XCTAssertEqual(stage.output.last, .message(103, messageBytes(103)))
    stage.assertSound()
    var states: [ArbiterEvent] = []
    while let event = stage.arbiter.nextEvent() { states.append(event) }
    XCTAssertEqual(
      states,
      [.breaker(rung: .retransmission, state: .open), .breaker(rung: .retransmission, state: .closed)])
  }

  func testAnObjectiveThatIsMissedIsCountedOnceARange() {
    var configuration = online()
    configuration.lineObjectiveNanoseconds = 50
    configuration.retransmission.objectiveNanoseconds = 300
    let stage = StageHarness(configuration)
    stage.receive(.lineA, 6, 1, now: 0)
    stage.receive(.lineB, 1, 2, now: 51)
    stage.run(from: 51, through: 100)
    stage.receive(.retransmission, 3, 3, now: 300)
    XCTAssertEqual(stage.arbiter.counters.lineObjectiveMissed, 1)
    XCTAssertEqual(stage.arbiter.statistics(of: RecoveryRung.retransmission).objectiveMissed, 0)
    stage.receive(.lineA, 10, 1, now: 1_000)
    stage.receive(.lineB, 9, 1, now: 1_050)
    stage.resolve(now: 1_150)
    stage.receive(.retransmission, 7, 2, now: 1_301)
    XCTAssertEqual(stage.arbiter.counters.lineObjectiveMissed, 1)
    XCTAssertEqual(stage.arbiter.statistics(of: RecoveryRung.retransmission).objectiveMissed, 1)
    stage.assertOutput(1, 10)
  }

  // MARK: Policy

  func testHaltDeclaresTheLossAndLetsNothingBehindItOut() {
    var configuration = online()
    configuration.retransmission.isEnabled = false
    configuration.unrecoverable = .halt
    let stage = StageHarness(configuration)
    stage.receive(.lineA, 1, 5, now: 0)
    stage.receive(.lineA, 8, 5, now: 0)
    XCTAssertEqual(stage.resolve(now: 100), .idle)
    XCTAssertTrue(stage.arbiter.isHalted)
    stage.receive(.lineB, 8, 20, now: 200)
    XCTAssertEqual(stage.verdicts.last, .ignore(.halted))
    stage.receive(.lineB, 8, 20, now: 200)
    stage.arbiter.heartbeat(source: .lineA, nextExpected: 90, now: 300)
    XCTAssertEqual(stage.resolve(now: 10_000), .idle)
    XCTAssertEqual(stage.output.suffix(2), [.message(5, messageBytes(5)), .gap(6, 7, .retransmissionOff)])
    XCTAssertEqual(stage.arbiter.rejections(.halted), 3)
  }

  private func imaging() -> ArbiterConfiguration {
    var configuration = online()
    configuration.unrecoverable = .snapshot
    configuration.snapshot = RungSettings(isEnabled: true)
    configuration.snapshot.timeoutNanoseconds = 10_000
    configuration.snapshot.backoffNanoseconds = 1_000
    configuration.snapshot.attempts = 2
    configuration.snapshot.intervalNanoseconds = 500
    return configuration
  }

  func testASnapshotTakesThePlaceOfWhatRetransmissionDoesNotHave() {
    let stage = StageHarness(imaging())
    stage.receive(.lineA, 1, 5, now: 0)
    stage.receive(.lineA, 11, 5, now: 0)
    stage.receive(.lineA, 21, 5, now: 0)
    stage.run(through: 5_000)
    XCTAssertEqual(stage.requests.map(\.first), [6, 16, 6, 16], "the ladder's order")
    XCTAssertEqual(stage.snapshotRequests, [.init(6, 10, 2_600)])
    XCTAssertEqual(stage.arbiter.rung(of: stage.arbiter.openGap(0)!, now: 5_000), .snapshot)
    XCTAssertEqual(stage.image(next: 10, now: 5_000), .tooOld, "10 itself is not in it")
    stage.run(from: 5_000, through: 6_000)
    XCTAssertEqual(stage.snapshotRequests.last, .init(6, 10, 5_000))
    XCTAssertEqual(stage.image(next: 24, now: 7_000), .use(first: 6, last: 23))
    XCTAssertEqual(
      stage.output.suffix(4),
      [
        .message(5, messageBytes(5)), .image(6, 23), .message(24, messageBytes(24)),
        .message(25, messageBytes(25)),
      ])
    XCTAssertEqual(stage.image(next: 40, now: 7_001), .notRequested)
    XCTAssertEqual(stage.resolve(now: 8_000), .idle)
    XCTAssertEqual(stage.arbiter.counters.filledBySnapshot, 10)
    XCTAssertEqual(stage.arbiter.counters.heldDiscarded, 8)
    XCTAssertEqual(stage.arbiter.counters.givenUp, 0)
    stage.receive(.lineA, 26, 2, now: 8_000)
    XCTAssertEqual(stage.arbiter.nextSequence, 28)
    stage.assertSound()
  }

  /// What there is no room for while the image is on its way makes the range longer: it may end behind the image, which
  /// is of use all the same. The lines are read again then.
  func testAnImageIsJudgedByWhatWasMissingWhenItWasAskedFor() {
    let stage = StageHarness(imaging())
    stage.receive(.lineA, 1, 5, now: 0)
    stage.receive(.lineA, 100_011, 5, now: 0)
    stage.receive(.lineB, 100_011, 5, now: 0)
    stage.run(through: 3_000)
    XCTAssertEqual(stage.snapshotRequests.map(\.first), [6])
    XCTAssertTrue(stage.arbiter.isSnapshotWanted)
    stage.receive(.lineA, 100_016, 5, now: 3_000)
    stage.receive(.lineA, 100_021, 5, now: 3_000)
    XCTAssertEqual(stage.image(next: 100_018, now: 3_100), .use(first: 6, last: 100_017))
    XCTAssertFalse(stage.arbiter.isSnapshotWanted)
    XCTAssertEqual(stage.arbiter.openGap(0)?.first, 100_018)
    stage.arbiter.readLinesAgain()
    stage.arbiter.setReadingRetention(.lineA, true)
    for first in stride(from: UInt64(100_011), through: 100_021, by: 5) {
      stage.receive(.lineA, first, 5, now: 3_200)
    }
    stage.arbiter.setReadingRetention(.lineA, false)
    XCTAssertEqual(stage.arbiter.nextSequence, 100_026)
    XCTAssertEqual(stage.arbiter.statistics(of: .lineA).sequenceResets, 0)
    XCTAssertEqual(stage.resolve(now: 3_300), .idle)
  }

  func testAnImageBeyondWhatIsKnownMovesTheStream() {
    let stage = StageHarness(imaging())
    stage.receive(.lineA, 11, 5, now: 0)
    stage.run(through: 5_000)
    XCTAssertEqual(stage.image(next: 16 + 1 << 20 + 1, now: 5_000), .tooNew)
    stage.run(from: 5_000, through: 5_500)
    XCTAssertEqual(stage.image(next: 100, now: 6_000), .use(first: 1, last: 99))
    stage.receive(.lineA, 98, 5, now: 6_001)
    XCTAssertEqual(stage.verdicts.last, .deliver(skip: 2))
    stage.assertSound()
  }

  func testASnapshotThatNeverComesLeavesTheLossDeclared() {
    let stage = StageHarness(imaging())
    stage.receive(.lineA, 6, 1, now: 0)
    stage.run(through: 100_000)
    // 10,000 for the first attempt, 11,000 for the second.
    XCTAssertEqual(stage.snapshotRequests.map(\.at), [2_600, 12_600])
    XCTAssertEqual(stage.output, [.gap(1, 5, .snapshotUnavailable), .message(6, messageBytes(6))])
    XCTAssertEqual(stage.arbiter.statistics(of: RecoveryRung.snapshot).failures, 2)
    XCTAssertEqual(stage.image(next: 50, now: 100_000), .notRequested)
    // The next range has its attempts again.
    stage.receive(.lineA, 9, 1, now: 200_000)
    stage.run(from: 200_000, through: 203_000)
    XCTAssertEqual(stage.snapshotRequests.count, 3)
    stage.assertSound()
  }

  func testALineThatFillsWhileTheImageIsOnItsWay() {
    let stage = StageHarness(imaging())
    stage.receive(.lineA, 6, 1, now: 0)
    stage.run(through: 3_000)
    XCTAssertEqual(stage.snapshotRequests.count, 1)
    stage.receive(.lineB, 1, 5, now: 3_100)
    XCTAssertEqual(stage.image(next: 7, now: 3_200), .notRequested)
    stage.assertOutput(1, 6)
  }

  /// What was asked for begins elsewhere now: it is asked for anew, and the first time does not count.
  func testALineThatBringsTheBeginningWhileTheImageIsOnItsWay() {
    var configuration = imaging()
    configuration.snapshot.attempts = 1
    let stage = StageHarness(configuration)
    stage.receive(.lineA, 6, 1, now: 0)
    stage.run(through: 3_000)
    XCTAssertEqual(stage.snapshotRequests, [.init(1, 5, 2_600)])
    stage.receive(.lineB, 1, 2, now: 3_100)
    XCTAssertEqual(stage.arbiter.nextSequence, 3)
    stage.arbiter.snapshotNotNeeded()
    stage.run(from: 3_100, through: 10_000)
    XCTAssertEqual(stage.snapshotRequests.map(\.first), [1, 3])
    XCTAssertEqual(stage.arbiter.statistics(of: RecoveryRung.snapshot).failures, 0)
    XCTAssertEqual(stage.image(next: 6, now: 10_000), .use(first: 3, last: 5))
    stage.assertSound()
  }

  /// After an image the lines are read again. A line that has nothing to be read again is as alive as it was.
  func testALineWithNothingToBeReadAgainIsWaitedFor() {
    var configuration = imaging()
    configuration.lineSilenceNanoseconds = 4_000
    let stage = StageHarness(configuration)
    stage.receive(.lineB, 1, 1, now: 0)
    stage.receive(.lineA, 11, 1, now: 0)
    stage.run(through: 7_000)
    XCTAssertEqual(stage.snapshotRequests.count, 1)
    // Line B speaks again, and is behind the image when that comes.
    stage.receive(.lineB, 12, 1, now: 7_000)
    stage.receive(.lineA, 30, 1, now: 7_000)
    XCTAssertEqual(stage.image(next: 13, now: 7_010), .use(first: 2, last: 12))
    stage.arbiter.readLinesAgain()
    stage.run(from: 7_010, through: 10_900)
    XCTAssertEqual(stage.snapshotRequests.count, 1, "\(stage.output)")
    stage.receive(.lineB, 13, 17, now: 10_950)
    XCTAssertEqual(stage.output.last, .message(30, messageBytes(30)))
    stage.assertSound()
  }

  func testNoImageContainsWhatLiesBehindTheEndOfItsSession() {
    let stage = StageHarness(imaging())
    stage.receive(.lineA, 6, 1, now: 0)
    stage.arbiter.endOfSession(source: .lineA, nextExpected: 7, now: 1)
    stage.arbiter.endOfSession(source: .lineB, nextExpected: 7, now: 2)
    stage.run(through: 3_000)
    XCTAssertEqual(stage.image(next: 8, now: 3_000), .tooNew)
    stage.run(from: 3_000, through: 4_000)
    XCTAssertEqual(stage.image(next: 7, now: 4_000), .use(first: 1, last: 6))
    XCTAssertTrue(stage.arbiter.isComplete)
  }

  /// A range that is asked for in pieces: when there is no image for its first one, there is none for the others.
  func testAnImageIsTriedForOnceForAWholeRange() {
    var configuration = imaging()
    configuration.requestMessages = 2
    let stage = StageHarness(configuration)
    stage.receive(.lineA, 7, 1, now: 0)
    stage.run(through: 100_000)
    XCTAssertEqual(stage.snapshotRequests.count, 2, "two attempts for 1...6")
    XCTAssertEqual(stage.arbiter.counters.givenUp, 6)
    XCTAssertEqual(stage.output.last, .message(7, messageBytes(7)))
  }

  func testTheEndOfASessionLeavesNoImageToWaitFor() {
    let stage = StageHarness(imaging())
    stage.receive(.lineA, 6, 1, now: 0)
    stage.run(through: 3_000)
    stage.arbiter.abandonOpenGaps()
    XCTAssertEqual(stage.resolve(now: 3_001), .idle)
    XCTAssertEqual(stage.output.first, .gap(1, 5, .sessionOver))
    XCTAssertEqual(stage.image(next: 7, now: 3_200), .notRequested)
  }
}
