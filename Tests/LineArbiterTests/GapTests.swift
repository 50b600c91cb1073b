import XCTest

@testable import LineArbiter

private typealias Request = StageHarness.Request

/// Hold 100, timeout 1,000, backoff 500, three attempts, 10 between requests, 50 messages each.
private func online() -> ArbiterConfiguration {
  var configuration = ArbiterConfiguration()
  configuration.windowMessages = 1_024
  configuration.heldBytes = 256 << 10
  configuration.holdNanoseconds = 100
  // Lines die at once, so that only the hold time counts; HoldTests have the rest.
  configuration.lineSilenceNanoseconds = 0
  configuration.farAheadMessages = 1 << 40
  configuration.corroborateEnd = false
  configuration.gapTableEntries = 16
  configuration.retransmission.timeoutNanoseconds = 1_000
  configuration.retransmission.backoffNanoseconds = 500
  configuration.retransmission.attempts = 3
  configuration.retransmission.intervalNanoseconds = 10
  configuration.requestMessages = 50
  configuration.requestsInFlight = 4
  return configuration
}

/// How missing ranges are found, asked for, filled and given up.
final class GapTests: XCTestCase {
  func testARangeThatBothLinesLostIsAskedForOnce() {
    let stage = StageHarness(online())
    for source in [Source.lineA, .lineB] {
      stage.receive(source, 1, 10, now: 1_000)
      stage.receive(source, 16, 10, now: 1_010)
    }
    XCTAssertEqual(stage.resolve(now: 1_010), .wait(until: 1_110), "the hold time comes first")
    XCTAssertEqual(stage.resolve(now: 1_110), .wait(until: 2_110))
    XCTAssertEqual(stage.requests, [Request(first: 11, count: 5, at: 1_110)])
    let gap = stage.arbiter.openGap(0)
    XCTAssertEqual(gap?.requests, 1)
    XCTAssertEqual(gap?.lastRequestAt, 1_110)
    stage.receive(.retransmission, 11, 5, now: 1_200)
    XCTAssertEqual(stage.resolve(now: 1_200), .idle)
    stage.assertOutput(1, 25)
    XCTAssertEqual(stage.requests.count, 1)
    XCTAssertEqual(stage.arbiter.finishedGapCount, 1)
    XCTAssertEqual(
      stage.arbiter.finishedGap(0),
      FinishedGap(
        first: 11, last: 15, detectedAt: 1_010, finishedAt: 1_200, requests: 1, firstRequestAt: 1_110,
        lastRequestAt: 1_110, outcome: .filledByRetransmission))
    XCTAssertNil(stage.arbiter.finishedGap(1))
    XCTAssertEqual(stage.arbiter.counters.slowestFill, 190)
  }

  func testALineThatFillsInTimePreventsTheRequest() {
    let stage = StageHarness(online())
    stage.receive(.lineA, 1, 10, now: 1_000)
    stage.receive(.lineA, 16, 10, now: 1_010)
    stage.resolve(now: 1_109)
    stage.receive(.lineB, 1, 25, now: 1_109)
    XCTAssertEqual(stage.resolve(now: 1_110), .idle)
    XCTAssertEqual(stage.requests, [])
    stage.assertOutput(1, 25)
    XCTAssertEqual(stage.arbiter.finishedGap(0)?.outcome, .filledByLineB)
    XCTAssertEqual(stage.arbiter.counters.filledByLineB, 5)
  }

  func testFiveDisjointHolesAreEachAskedForOnce() {
    for inFlight in [1, 4, 8] {
      var configuration = online()
      configuration.requestsInFlight = inFlight
      let stage = StageHarness(configuration)
      let holes: [UInt64] = [11, 31, 51, 71, 91]
      for first in stride(from: UInt64(1), through: 101, by: 10) where !holes.contains(first) {
        stage.receive(.lineA, first, 10, now: 0)
      }
      XCTAssertEqual(stage.arbiter.openGapCount, 5)
      var now: UInt64 = 100
      while stage.arbiter.openGapCount > 0 && now < 900 {
        let asked = stage.requests.count
        stage.resolve(now: now)
        for request in stage.requests[asked...] {
          stage.receive(.retransmission, request.first, Int(request.count), now: now + 5)
        }
        now += 10
      }
      XCTAssertEqual(stage.requests.map(\.first), holes, "\(inFlight) in flight")
      XCTAssertEqual(stage.requests.map(\.count), [10, 10, 10, 10, 10])
      XCTAssertEqual(stage.requests.map(\.at), [100, 110, 120, 130, 140], "never closer than the interval")
      stage.assertOutput(1, 110)
    }
  }

  func testTimeoutsAndBackoffAreExact() {
    let stage = StageHarness(online())
    stage.receive(.lineA, 6, 1, now: 0)
    stage.run(through: 100_000)
    XCTAssertEqual(
      stage.requests,
      [
        Request(first: 1, count: 5, at: 100),  // hold
        Request(first: 1, count: 5, at: 1_100),  // + timeout
        Request(first: 1, count: 5, at: 2_600),  // + timeout + backoff
      ])
    XCTAssertEqual(
      stage.arbiter.finishedGap(0),
      FinishedGap(
        // + timeout + 2 × backoff
        first: 1, last: 5, detectedAt: 0, finishedAt: 4_600, requests: 3, firstRequestAt: 100,
        lastRequestAt: 2_600, outcome: .retransmissionExhausted))
    stage.assertOutput(1, 6, gaps: [1...5])
    XCTAssertEqual(stage.output.first, .gap(1, 5, .retransmissionExhausted))
    XCTAssertEqual(stage.arbiter.counters.timeouts, 3)
    XCTAssertEqual(stage.arbiter.counters.retries, 2)
  }

  func testAWideRangeIsAskedForInParallelPieces() {
    let stage = StageHarness(online())
    stage.receive(.lineA, 231, 1, now: 0)
    stage.run(through: 200)
    XCTAssertEqual(stage.requests.map(\.first), [1, 51, 101, 151])
    XCTAssertEqual(stage.requests.map(\.count), [50, 50, 50, 50])
    stage.receive(.retransmission, 101, 50, now: 200)
    stage.resolve(now: 200)
    XCTAssertEqual(stage.requests.last, Request(first: 201, count: 30, at: 200))
    stage.receive(.retransmission, 201, 30, now: 205)
    stage.receive(.retransmission, 51, 50, now: 206)
    stage.receive(.retransmission, 151, 50, now: 207)
    stage.receive(.retransmission, 1, 50, now: 208)
    XCTAssertEqual(stage.resolve(now: 300), .idle)
    XCTAssertEqual(stage.requests.count, 5)
    stage.assertOutput(1, 231)
  }

  func testOnlyTheHeadIsGivenUpAndInOrder() {
    var configuration = online()
    configuration.requestMessages = 10
    let stage = StageHarness(configuration)
    stage.receive(.lineA, 21, 5, now: 0)
    stage.receive(.lineA, 31, 5, now: 0)
    stage.run(through: 1_500)
    // The middle one alone is answered, at its third attempt.
    stage.receive(.retransmission, 11, 10, now: 4_000)
    stage.run(from: 4_000, through: 100_000)
    stage.assertOutput(1, 35, gaps: [1...10, 26...30])
    XCTAssertEqual(stage.requests.filter { $0.first == 1 }.count, 3)
    XCTAssertEqual(stage.requests.filter { $0.first == 26 }.count, 3)
  }

  func testPartialAnswersAreFollowedAtOnceAndAreNoFailures() {
    var configuration = online()
    configuration.retransmission.attempts = 1
    let stage = StageHarness(configuration)
    stage.receive(.lineA, 41, 1, now: 0)
    var now: UInt64 = 100
    var expected: [Request] = []
    for first in stride(from: UInt64(1), through: 31, by: 10) {
      stage.resolve(now: now)
      expected.append(Request(first: first, count: UInt16(41 - first), at: now))
      stage.receive(.retransmission, first, 10, now: now + 20)
      now += 20
    }
    XCTAssertEqual(stage.resolve(now: now), .idle)
    XCTAssertEqual(stage.requests, expected)
    stage.assertOutput(1, 41)
    XCTAssertEqual(stage.arbiter.counters.timeouts, 0)
    XCTAssertEqual(stage.arbiter.counters.retries, 0)
  }

  func testProgressStartsTheAttemptsAgain() {
    let stage = StageHarness(online())
    stage.receive(.lineA, 11, 1, now: 0)
    stage.run(through: 3_000)
    XCTAssertEqual(stage.requests.count, 3)
    stage.receive(.retransmission, 1, 4, now: 3_000)
    stage.run(from: 3_000, through: 100_000)
    XCTAssertEqual(stage.requests.dropFirst(3).map(\.at), [3_000, 4_000, 5_500])
    XCTAssertEqual(stage.requests.dropFirst(3).map(\.first), [5, 5, 5])
    stage.assertOutput(1, 11, gaps: [5...10])
  }

  func testAnAnswerOfSeveralDatagramsIsWaitedFor() {
    var configuration = online()
    configuration.partialAnswerNanoseconds = 50
    let stage = StageHarness(configuration)
    stage.receive(.lineA, 41, 1, now: 0)
    stage.resolve(now: 100)
    stage.receive(.retransmission, 1, 10, now: 120)
    XCTAssertEqual(stage.resolve(now: 120), .wait(until: 170))
    stage.receive(.retransmission, 11, 10, now: 140)
    XCTAssertEqual(stage.resolve(now: 170), .wait(until: 190))
    stage.resolve(now: 190)
    XCTAssertEqual(stage.requests.last, Request(first: 21, count: 20, at: 190))
  }

  func testALineThatFillsTheMiddleOfARequest() {
    let stage = StageHarness(online())
    stage.receive(.lineA, 31, 1, now: 0)
    stage.resolve(now: 100)
    stage.receive(.lineB, 11, 10, now: 200)
    stage.assertSound()
    XCTAssertEqual(stage.arbiter.openGapCount, 2)
    stage.run(from: 200, through: 1_200)
    XCTAssertEqual(
      stage.requests.dropFirst(),
      [Request(first: 1, count: 10, at: 1_100), Request(first: 21, count: 10, at: 1_110)],
      "the retry asks for no message that is here")
    stage.receive(.retransmission, 1, 30, now: 1_200)
    stage.assertOutput(1, 31)
  }

  func testWrongAnswersAreHarmless() {
    let stage = StageHarness(online())
    let wrong = [UInt8](repeating: 0xEE, count: 9)
    stage.receive(.retransmission, 1, [wrong], now: 0)
    stage.receive(.lineA, 11, 10, now: 0)
    stage.receive(.lineA, 31, 10, now: 0)
    stage.receive(.retransmission, 1, [wrong], now: 50)  // missing, but not asked for yet
    stage.resolve(now: 100)
    XCTAssertEqual(stage.requests.map(\.first), [1])
    stage.receive(.retransmission, 21, [wrong, wrong], now: 101)  // the other hole, not asked for yet
    stage.receive(.retransmission, 41, [wrong, wrong], now: 101)  // not known to exist
    stage.receive(.retransmission, 500, [wrong], now: 101)
    stage.receive(.retransmission, 5_000, [wrong], now: 101)
    stage.receive(.retransmission, 0, [wrong], now: 101)
    stage.receive(.retransmission, .max, [wrong, wrong], now: 101)
    stage.arbiter.heartbeat(source: .retransmission, nextExpected: 9_999, now: 101)
    stage.arbiter.endOfSession(source: .retransmission, nextExpected: 9_999, now: 101)
    XCTAssertEqual(stage.arbiter.highestSequence, 41)
    XCTAssertEqual(stage.arbiter.endSequence, 0)
    XCTAssertEqual(stage.arbiter.counters.notRequested, 8)
    // More than was asked for: only the requested part counts.
    var messages = (1...10).map { messageBytes(UInt64($0)) }
    messages += Array(repeating: wrong, count: 15)
    stage.receive(.retransmission, 1, messages, now: 102)
    XCTAssertEqual(stage.arbiter.counters.notRequested, 23)
    stage.run(from: 102, through: 112)
    stage.receive(.retransmission, 21, 10, now: 120)
    stage.receive(.retransmission, 21, [wrong], now: 121)
    stage.assertOutput(1, 40)
  }

  func testAnAnswerAcrossTwoRequestsFillsOnlyThose() {
    var configuration = online()
    configuration.gapTableEntries = 4
    configuration.requestsInFlight = 2
    let stage = StageHarness(configuration)
    for first in [2, 4, 6] as [UInt64] { stage.receive(.lineA, first, 1, now: 0) }
    stage.run(through: 110)
    XCTAssertEqual(stage.requests.map(\.first), [1, 3])
    stage.receive(.retransmission, 1, 5, now: 120)
    XCTAssertEqual(stage.acceptances, [.deliver, .notRequested, .deliver, .notRequested, .notRequested])
    stage.run(from: 120, through: 130)
    stage.receive(.retransmission, 5, 1, now: 140)
    stage.assertOutput(1, 6)
  }

  func testRetransmissionOffGivesTheExactBoundsUpAfterTheHoldTime() {
    var configuration = online()
    configuration.retransmission.isEnabled = false
    let stage = StageHarness(configuration)
    stage.receive(.lineA, 1, 4, now: 1_000)
    stage.receive(.lineA, 8, 2, now: 1_000)
    stage.receive(.lineB, 12, 1, now: 1_050)
    XCTAssertEqual(stage.resolve(now: 1_099), .wait(until: 1_150), "line B passed it last")
    XCTAssertEqual(stage.resolve(now: 1_149), .wait(until: 1_150))
    XCTAssertEqual(stage.resolve(now: 1_150), .idle)
    stage.assertOutput(1, 12, gaps: [5...7, 10...11])
    XCTAssertEqual(stage.requests, [])
    XCTAssertEqual(stage.output[4], .gap(5, 7, .retransmissionOff))
    XCTAssertEqual(stage.arbiter.counters.givenUp, 5)
    XCTAssertEqual(stage.arbiter.counters.gaps, 2)
  }

  func testTouchingRangesKeepTheirOwnHoldTimes() {
    var configuration = online()
    configuration.retransmission.isEnabled = false
    let stage = StageHarness(configuration)
    stage.arbiter.heartbeat(source: .lineA, nextExpected: 5, now: 1_000)
    stage.arbiter.heartbeat(source: .lineA, nextExpected: 9, now: 1_090)
    stage.run(from: 1_090, through: 1_100)
    XCTAssertEqual(stage.output, [.gap(1, 4, .retransmissionOff)])
    stage.receive(.lineB, 5, 4, now: 1_180)
    stage.assertOutput(1, 8, gaps: [1...4])
  }

  func testTouchingRipeRangesAreAskedForTogether() {
    let stage = StageHarness(online())
    stage.arbiter.heartbeat(source: .lineA, nextExpected: 5, now: 1_000)
    stage.arbiter.heartbeat(source: .lineA, nextExpected: 9, now: 1_050)
    stage.resolve(now: 1_200)
    XCTAssertEqual(stage.requests, [Request(first: 1, count: 8, at: 1_200)])
  }

  func testAHeartbeatRevealsTailLoss() {
    let stage = StageHarness(online())
    stage.receive(.lineA, 1, 10, now: 0)
    stage.arbiter.heartbeat(source: .lineA, nextExpected: 11, now: 10)
    XCTAssertEqual(stage.resolve(now: 1_000), .idle)
    stage.arbiter.heartbeat(source: .lineB, nextExpected: 14, now: 1_000)
    stage.run(from: 1_000, through: 1_100)
    XCTAssertEqual(stage.requests, [Request(first: 11, count: 3, at: 1_100)])
    stage.receive(.retransmission, 11, 3, now: 1_200)
    stage.assertOutput(1, 13)
    stage.arbiter.heartbeat(source: .lineA, nextExpected: 5, now: 1_300)
    XCTAssertEqual(stage.arbiter.highestSequence, 14, "a line that is behind reveals nothing")
  }

  func testTheEndOfASessionWithHoles() {
    let stage = StageHarness(online())
    stage.receive(.lineA, 1, 10, now: 0)
    stage.receive(.lineA, 16, 5, now: 0)
    stage.arbiter.endOfSession(source: .lineA, nextExpected: 26, now: 10)
    XCTAssertFalse(stage.arbiter.isComplete)
    stage.run(through: 120)
    XCTAssertEqual(stage.requests.map(\.first), [11, 21])
    stage.receive(.retransmission, 11, 5, now: 200)
    XCTAssertEqual(stage.arbiter.nextSequence, 21)
    XCTAssertFalse(stage.arbiter.isComplete)
    stage.run(from: 200, through: 100_000)
    XCTAssertTrue(stage.arbiter.isComplete, "what is given up counts as done")
    stage.assertOutput(1, 25, gaps: [21...25])
    stage.arbiter.endOfSession(source: .lineB, nextExpected: 26, now: 100_000)
    XCTAssertEqual(stage.arbiter.counters.endMoved, 0)
    XCTAssertEqual(
      stage.arbiter.receive(source: .lineA, first: 26, count: 1, now: 100_001), .ignore(.afterEnd))
    stage.arbiter.heartbeat(source: .lineA, nextExpected: 27, now: 100_001)
    XCTAssertEqual(stage.arbiter.rejections(.afterEnd), 2)
    stage.assertSound()
  }

  func testDataBeyondAnAnnouncedEndMoveItUntilItIsReached() {
    let stage = StageHarness(online())
    stage.receive(.lineA, 1, 10, now: 0)
    stage.arbiter.endOfSession(source: .lineA, nextExpected: 13, now: 10)
    stage.receive(.lineB, 11, 5, now: 20)
    XCTAssertEqual(stage.arbiter.endSequence, 16)
    XCTAssertTrue(stage.arbiter.isComplete)
    XCTAssertEqual(stage.arbiter.counters.endMoved, 1)
    stage.assertOutput(1, 15)
  }

  func testAnEndBelowWhatIsKnownIsNotBelieved() {
    let stage = StageHarness(online())
    stage.receive(.lineA, 1, 10, now: 0)
    stage.receive(.lineA, 13, 2, now: 0)
    stage.arbiter.endOfSession(source: .lineB, nextExpected: 5, now: 10)
    XCTAssertEqual(stage.arbiter.endSequence, 15)
    XCTAssertFalse(stage.arbiter.isComplete)
    stage.receive(.lineB, 11, 2, now: 20)
    XCTAssertTrue(stage.arbiter.isComplete)
    stage.assertOutput(1, 14)
  }

  func testALateStartIsAGapFromTheFirstNumber() {
    let stage = StageHarness(online())
    stage.receive(.lineA, 121, 10, now: 0)
    XCTAssertEqual(stage.arbiter.statistics(of: .lineA).holes, 0)
    stage.run(through: 130)
    XCTAssertEqual(stage.requests.map(\.first), [1, 51, 101])
    XCTAssertEqual(stage.requests.map(\.count), [50, 50, 20])
    for request in stage.requests {
      stage.receive(.retransmission, request.first, Int(request.count), now: 140)
    }
    stage.assertOutput(1, 130)
  }

  func testWhatWasBeyondTheWindowIsAskedForOnceThereIsRoom() {
    var configuration = online()
    configuration.windowMessages = 64
    let stage = StageHarness(configuration)
    stage.receive(.lineA, 101, 10, now: 0)
    XCTAssertEqual(stage.verdicts, [.ignore(.beyondWindow)])
    stage.run(through: 200)
    XCTAssertEqual(stage.requests.map(\.first), [1, 51], "nothing beyond the window is asked for")
    XCTAssertEqual(stage.requests.map(\.count), [50, 14])
    var now: UInt64 = 200
    while stage.arbiter.nextSequence < 111 && now < 2_000 {
      stage.receive(.retransmission, stage.arbiter.nextSequence, 14, now: now)
      stage.run(from: now, through: now + 20)
      now += 20
    }
    stage.receive(.lineA, 111, 1, now: now)
    stage.assertOutput(1, 111)
  }

  func testALimitOnTheLagGivesUpOnlyWhatIsTooFarBehind() {
    var configuration = online()
    configuration.windowMessages = 64
    configuration.maximumLagMessages = 200
    let stage = StageHarness(configuration)
    stage.receive(.lineA, 200, 1, now: 0)
    stage.resolve(now: 0)
    XCTAssertEqual(stage.output, [])
    stage.receive(.lineA, 201, 1, now: 0)
    stage.resolve(now: 0)
    XCTAssertEqual(stage.output, [.gap(1, 137, .windowExceeded)])
    XCTAssertEqual(stage.arbiter.highestSequence - stage.arbiter.nextSequence, 64)
    stage.assertSound()
  }

  func testAFullGapTableForgetsNothing() {
    for isOnline in [true, false] {
      var configuration = online()
      configuration.gapTableEntries = 4
      configuration.retransmission.isEnabled = isOnline
      let stage = StageHarness(configuration)
      for sequence in stride(from: UInt64(2), through: 80, by: 2) {
        stage.receive(.lineA, sequence, 1, now: 0)
        stage.assertSound("after \(sequence)")
      }
      XCTAssertEqual(stage.arbiter.openGapCount, 4)
      XCTAssertEqual(stage.arbiter.counters.gapTableOverflows, 36)
      stage.receive(.lineB, 21, 1, now: 10)  // inside a coarse range
      stage.receive(.lineB, 21, 1, now: 10)
      stage.assertSound("after a fill")
      var answered = 0
      var now: UInt64 = 0
      while case .wait(let until) = stage.resolve(now: now) {
        for request in stage.requests[answered...] {
          for sequence in request.first..<request.first + UInt64(request.count) {
            XCTAssertFalse(sequence % 2 == 0 || sequence == 21, "\(sequence) is here")
          }
          stage.receive(.retransmission, request.first, Int(request.count), now: now)
        }
        answered = stage.requests.count
        now = max(now + 1, min(until, now + 10))
      }
      let gaps = stride(from: UInt64(1), through: 79, by: 2).filter { $0 != 21 }.map { $0...$0 }
      stage.assertOutput(1, 80, gaps: isOnline ? [] : gaps, "online \(isOnline)")
    }
  }

  /// One forged number makes a range of 2^39 messages; with the table full it is coarse. What is asked for, and what is
  /// given up, must not be looked for number by number.
  func testACoarseRangeMayReachVeryFar() {
    for isOnline in [true, false] {
      var configuration = online()
      configuration.gapTableEntries = 4
      configuration.retransmission.isEnabled = isOnline
      let stage = StageHarness(configuration)
      stage.receive(.lineA, 1 << 39, 1, now: 0)
      for sequence in [3, 5, 7, 9, 11, 12] as [UInt64] { stage.receive(.lineB, sequence, 1, now: 1) }
      XCTAssertTrue((0..<4).contains { stage.arbiter.openGap($0)?.isCoarse == true })
      stage.resolve(now: 1_000_000)
      if isOnline {
        XCTAssertEqual(stage.requests.map(\.first), [1])
      } else {
        XCTAssertEqual(
          stage.output.suffix(2),
          [.gap(13, (1 << 39) - 1, .retransmissionOff), .gap(1 << 39, 1 << 39, .retransmissionOff)])
      }
    }
  }

  func testASplitInAFullTable() {
    var configuration = online()
    configuration.gapTableEntries = 4
    let stage = StageHarness(configuration)
    for first in [11, 21, 31, 41] as [UInt64] { stage.receive(.lineA, first, 2, now: 0) }
    for sequence in [5, 15, 25, 35, 6, 4, 36] as [UInt64] {
      stage.receive(.lineB, sequence, 1, now: 1)
      stage.assertSound("after \(sequence)")
    }
    XCTAssertEqual(stage.arbiter.openGapCount, 4)
    var now: UInt64 = 100
    var answered = 0
    while case .wait = stage.resolve(now: now) {
      for request in stage.requests[answered...] {
        stage.receive(.retransmission, request.first, Int(request.count), now: now)
      }
      answered = stage.requests.count
      now += 10
    }
    stage.assertOutput(1, 42)
    let asked = stage.requests.flatMap { Array($0.first..<$0.first + UInt64($0.count)) }
    XCTAssertEqual(Set(asked).count, asked.count, "nothing is asked for twice")
    XCTAssertTrue(Set(asked).isDisjoint(with: [4, 5, 6, 15, 25, 35, 36]))
  }

  func testAnAnswerThatALineForestalledIsNoFailure() {
    var configuration = online()
    configuration.retransmission.attempts = 1
    let stage = StageHarness(configuration)
    stage.receive(.lineA, 8, 1, now: 0)
    stage.resolve(now: 100)
    stage.receive(.lineB, 1, 3, now: 150)
    XCTAssertEqual(stage.resolve(now: 150), .wait(until: 1_100))
    stage.receive(.retransmission, 1, 2, now: 200)
    stage.resolve(now: 200)
    XCTAssertEqual(stage.requests.last, Request(first: 4, count: 4, at: 200))
    stage.receive(.retransmission, 1, 2, now: 210)
    stage.resolve(now: 210)
    XCTAssertEqual(stage.requests.count, 2, "the same answer again is of no interest")
    stage.receive(.retransmission, 4, 4, now: 300)
    stage.assertOutput(1, 8)
  }

  func testAnswersThatFindNoRoomAreParkedAndNotGivenUp() {
    var configuration = online()
    configuration.heldBytes = 4_096
    configuration.requestMessages = 2
    configuration.retransmission.attempts = 2
    configuration.requestsInFlight = 8
    let stage = StageHarness(configuration)
    let large = [UInt8](repeating: 7, count: 1_000)  // four fit
    stage.receive(.lineA, 7, [large, large, large], now: 0)
    stage.run(through: 130)
    XCTAssertEqual(stage.requests.map(\.first), [1, 3, 5])
    // The answers to those behind the head: one message fits.
    stage.receive(.retransmission, 3, [large, large], now: 130)
    stage.receive(.retransmission, 5, [large, large], now: 130)
    XCTAssertEqual(stage.arbiter.counters.notHeld, 3)
    stage.assertSound()
    stage.run(from: 130, through: 2_000)
    XCTAssertEqual(stage.requests.dropFirst(3).map(\.first), [1], "only the head is asked for again")
    stage.receive(.retransmission, 1, [large, large], now: 2_000)
    XCTAssertEqual(stage.arbiter.nextSequence, 4)
    stage.run(from: 2_000, through: 2_010)
    XCTAssertEqual(stage.requests.dropFirst(4).map(\.first), [4])
    stage.receive(.retransmission, 4, [large], now: 2_011)
    stage.run(from: 2_011, through: 2_020)
    XCTAssertEqual(stage.requests.dropFirst(5).map(\.first), [5])
    stage.receive(.retransmission, 5, [large, large], now: 2_021)
    XCTAssertEqual(stage.arbiter.nextSequence, 10)
    XCTAssertEqual(stage.arbiter.counters.givenUp, 0)
    stage.assertSound()
  }

  func testTheHeadIsNeverKeptWaitingByThoseBehindIt() {
    var configuration = online()
    configuration.requestsInFlight = 1
    configuration.heldBytes = 4_096
    let stage = StageHarness(configuration)
    let large = [UInt8](repeating: 7, count: 1_500)
    stage.receive(.lineA, 2, [large, large, large], now: 0)  // 2 and 3 fit, 4 does not
    stage.receive(.lineA, 6, 1, now: 0)
    stage.resolve(now: 100)
    XCTAssertEqual(stage.requests.map(\.first), [1])
    stage.receive(.retransmission, 1, 1, now: 110)
    stage.resolve(now: 110)
    XCTAssertEqual(stage.requests.map(\.first), [1, 4])
    stage.run(from: 110, through: 100_000)
    XCTAssertEqual(stage.arbiter.nextSequence, 7)
    XCTAssertEqual(stage.output.last, .message(6, messageBytes(6)))
  }

  func testTheLogKeepsTheLast256() {
    var configuration = online()
    configuration.retransmission.isEnabled = false
    configuration.holdNanoseconds = 0
    let stage = StageHarness(configuration)
    for sequence in stride(from: UInt64(2), through: 600, by: 2) {
      stage.receive(.lineA, sequence, 1, now: sequence)
      stage.resolve(now: sequence)
    }
    XCTAssertEqual(stage.arbiter.finishedGapCount, 300)
    XCTAssertNil(stage.arbiter.finishedGap(43))
    XCTAssertEqual(stage.arbiter.finishedGap(44)?.first, 89)
    XCTAssertEqual(stage.arbiter.finishedGap(299)?.first, 599)
    XCTAssertNil(stage.arbiter.finishedGap(300))
  }

  // MARK: Sessions

  private func identifier(_ text: String) -> SessionIdentifier {
    var bytes = Array(text.utf8.prefix(10))
    bytes += Array(repeating: 0x20, count: 10 - bytes.count)
    return bytes.withUnsafeBytes { SessionIdentifier(from: $0.baseAddress!) }
  }

  func testSessionsAreToldApartByAllTenBytes() {
    XCTAssertEqual(identifier("A123456789"), identifier("A123456789"))
    XCTAssertNotEqual(identifier("A123456789"), identifier("A12345678X"))
    XCTAssertNotEqual(identifier("A123456789"), identifier("B123456789"))
    var bytes = [UInt8](repeating: 0, count: 10)
    bytes.withUnsafeMutableBytes { identifier("A123456789").store(to: $0.baseAddress!) }
    XCTAssertEqual(bytes, Array("A123456789".utf8))
  }

  /// One datagram names no session, however often it is copied; a second one that goes on, comes later, or comes on the
  /// other line does.
  func testANewSessionIsBelievedWithASecondPacket() {
    let tuesday = identifier("TUESDAY")
    let forged = identifier("FORGED")
    func claimed(
      _ source: Source, _ first: UInt64, _ count: UInt64, _ now: UInt64, _ name: SessionIdentifier? = nil,
      after: (inout LineArbiter) -> Void
    ) -> Bool {
      var configuration = ArbiterConfiguration()
      configuration.holdNanoseconds = 100
      configuration.lineSilenceNanoseconds = 1_000
      configuration.farAheadMessages = 500
      var arbiter = LineArbiter(configuration: configuration)
      arbiter.adopt(session: identifier("MONDAY"))
      after(&arbiter)
      return arbiter.isSupported(
        session: name ?? tuesday, source: source, first: first, end: first + count, now: now)
    }
    func data(_ arbiter: inout LineArbiter) {
      XCTAssertFalse(arbiter.isSupported(session: tuesday, source: .lineA, first: 1, end: 6, now: 50))
    }
    func heartbeat(_ arbiter: inout LineArbiter) {
      XCTAssertFalse(arbiter.isSupported(session: tuesday, source: .lineA, first: 1, end: 1, now: 50))
    }
    XCTAssertTrue(claimed(.lineB, 1, 5, 50, after: data), "the other line")
    XCTAssertFalse(claimed(.lineA, 1, 5, 50, after: data), "a copy")
    XCTAssertFalse(claimed(.lineA, 1, 5, 149, after: data), "a copy within the hold time")
    XCTAssertTrue(claimed(.lineA, 1, 5, 150, after: data), "again, later")
    XCTAssertTrue(claimed(.lineA, 6, 5, 51, after: data), "what comes behind")
    XCTAssertFalse(claimed(.lineA, 507, 5, 51, after: data), "too far behind")
    XCTAssertFalse(claimed(.lineA, 3, 5, 51, after: data), "cut otherwise")
    XCTAssertTrue(claimed(.lineA, 1, 5, 51, after: heartbeat), "the first data behind a heartbeat")
    XCTAssertFalse(claimed(.lineA, 1, 0, 51, after: heartbeat), "a copy of a heartbeat")
    XCTAssertFalse(claimed(.lineB, 1, 5, 51, forged, after: data), "another session")
    XCTAssertTrue(claimed(.lineB, 1, 5, 4_050, after: data), "as long as the claim stands")
    XCTAssertFalse(claimed(.lineB, 1, 5, 4_051, after: data), "four times the silence")
    XCTAssertFalse(
      claimed(.lineB, 1, 5, 60) { arbiter in
        data(&arbiter)
        arbiter.begin(session: forged)
      }, "a session that began meanwhile")
  }

  func testANewSessionStartsAgainAndTheOldOneIsForeign() {
    let stage = StageHarness(online())
    let monday = identifier("MONDAY")
    let tuesday = identifier("TUESDAY")
    XCTAssertEqual(stage.arbiter.session(source: .retransmission, identifier: monday), .foreign)
    XCTAssertEqual(stage.arbiter.session(source: .lineA, identifier: monday), .first)
    stage.arbiter.adopt(session: monday)
    XCTAssertEqual(stage.arbiter.session(source: .lineB, identifier: monday), .same)
    stage.receive(.lineA, 1, 10, now: 0)
    stage.receive(.lineA, 15, 5, now: 0)
    stage.receive(.lineA, 25, 5, now: 0)
    stage.resolve(now: 100)
    XCTAssertEqual(stage.arbiter.session(source: .retransmission, identifier: tuesday), .foreign)
    XCTAssertEqual(stage.arbiter.session(source: .lineB, identifier: tuesday), .changed)
    XCTAssertEqual(stage.arbiter.session(source: .lineB, identifier: tuesday), .changed, "until acted upon")
    stage.arbiter.abandonOpenGaps()
    XCTAssertEqual(stage.resolve(now: 101), .idle)
    stage.assertOutput(1, 29, gaps: [11...14, 20...24])
    stage.arbiter.begin(session: tuesday)
    XCTAssertEqual(stage.arbiter.nextSequence, 1)
    XCTAssertEqual(stage.arbiter.session(source: .lineA, identifier: monday), .foreign)
    XCTAssertEqual(stage.arbiter.session(source: .lineA, identifier: tuesday), .same)
    XCTAssertEqual(stage.arbiter.statistics(of: .lineA).foreignSession, 1)
    stage.receive(.lineA, 1, 3, now: 200)
    stage.receive(.lineB, 1, 4, now: 200)
    XCTAssertEqual(stage.output.suffix(4), (1...4).map { .message($0, messageBytes($0)) })
    stage.assertSound()
  }

  /// A restart behind the published end: the session is as over as it was for the predecessor.
  func testNothingFollowsTheEndThatAPredecessorPublished() {
    let stage = StageHarness(online(), firstSequence: 41)
    stage.arbiter.adopt(session: identifier("MONDAY"))
    XCTAssertFalse(stage.arbiter.isComplete)
    stage.arbiter.conclude()
    XCTAssertTrue(stage.arbiter.isComplete)
    stage.receive(.lineA, 31, 10, now: 0)
    stage.receive(.lineA, 41, 2, now: 0)
    stage.arbiter.heartbeat(source: .lineB, nextExpected: 45, now: 0)
    XCTAssertEqual(stage.verdicts, [.duplicate, .ignore(.afterEnd)])
    XCTAssertEqual(stage.resolve(now: 1_000), .idle)
    XCTAssertEqual(stage.output, [])
    stage.arbiter.begin(session: identifier("TUESDAY"))
    stage.receive(.lineA, 1, 2, now: 2_000)
    XCTAssertEqual(stage.output, (1...2).map { .message($0, messageBytes($0)) })
  }

  func testANewSessionWithoutConcludingTheOldLosesNoCount() {
    let stage = StageHarness(online())
    stage.receive(.lineA, 5, 5, now: 0)
    stage.receive(.lineA, 15, 5, now: 0)
    stage.arbiter.begin(session: identifier("NEXT"), firstSequence: 3)
    stage.assertSound()
    XCTAssertEqual(stage.arbiter.counters.heldDiscarded, 10)
    XCTAssertEqual(stage.arbiter.counters.givenUp, 9)
    XCTAssertEqual(stage.arbiter.nextSequence, 3)
    stage.receive(.lineA, 3, 5, now: 0)
    XCTAssertEqual(stage.arbiter.nextSequence, 8)
  }
}
