import StageRecords
import XCTest

@testable import LineArbiter

private func offline() -> ArbiterConfiguration {
  var configuration = ArbiterConfiguration()
  configuration.retransmission.isEnabled = false
  configuration.windowMessages = 64
  configuration.heldBytes = 64 << 10
  configuration.holdNanoseconds = 100
  // Lines die at once, so that only the hold time counts; HoldTests have the rest.
  configuration.lineSilenceNanoseconds = 0
  configuration.farAheadMessages = 1 << 40
  configuration.corroborateEnd = false
  configuration.gapTableEntries = 16
  return configuration
}

/// What is delivered, held, repeated and refused.
final class SequenceTests: XCTestCase {
  func testInOrderPacketsAreDeliveredAtOnce() {
    let stage = StageHarness(offline())
    stage.receive(.lineA, 1, 3)
    stage.receive(.lineA, 4, 1)
    stage.receive(.lineB, 5, 20)
    XCTAssertEqual(stage.verdicts, [.deliver(skip: 0), .deliver(skip: 0), .deliver(skip: 0)])
    XCTAssertEqual(stage.arbiter.nextSequence, 25)
    XCTAssertEqual(stage.resolve(now: 1_000_000), .idle)
    stage.assertOutput(1, 24)
  }

  func testTheSecondLineIsAllDuplicates() {
    let stage = StageHarness(offline())
    for packet in 0..<10 {
      stage.receive(.lineA, UInt64(1 + packet * 5), 5)
      stage.receive(.lineB, UInt64(1 + packet * 5), 5)
    }
    stage.assertOutput(1, 50)
    XCTAssertEqual(stage.arbiter.counters.duplicates, 50)
    XCTAssertEqual(stage.arbiter.statistics(of: .lineA).packetsFirst, 10)
    XCTAssertEqual(stage.arbiter.statistics(of: .lineB).packetsBehind, 10)
  }

  func testAnOverlapDeliversOnlyItsNewTail() {
    let stage = StageHarness(offline())
    stage.receive(.lineA, 1, 10)
    stage.receive(.lineB, 8, 6)
    XCTAssertEqual(stage.verdicts.last, .deliver(skip: 3))
    stage.assertOutput(1, 13)
    XCTAssertEqual(stage.arbiter.counters.duplicates, 3)
  }

  func testLinesThatAreCutDifferently() {
    let stage = StageHarness(offline())
    var nextA: UInt64 = 1
    var nextB: UInt64 = 1
    while nextA <= 200 || nextB <= 200 {
      if nextA <= 200 {
        stage.receive(.lineA, nextA, 7)
        nextA += 7
      }
      if nextB <= 200 {
        stage.receive(.lineB, nextB, 5)
        nextB += 5
      }
    }
    stage.assertOutput(1, 203)
  }

  func testLineACutWhileLineBGoesOn() {
    let stage = StageHarness(offline())
    stage.receive(.lineA, 1, 5)
    for first in stride(from: UInt64(1), through: 96, by: 5) { stage.receive(.lineB, first, 5) }
    stage.receive(.lineA, 96, 5)
    stage.receive(.lineA, 101, 5)
    stage.assertOutput(1, 105)
    XCTAssertEqual(stage.arbiter.openGapCount, 0)
    let line = stage.arbiter.statistics(of: .lineA)
    XCTAssertEqual([line.holes, line.missedMessages, line.missedAlone], [1, 90, 90])
  }

  func testReorderingInsideTheWindow() {
    let stage = StageHarness(offline())
    for first in [1, 11, 6, 21, 26, 16] as [UInt64] { stage.receive(.lineA, first, 5, now: 50) }
    stage.assertOutput(1, 30)
    XCTAssertEqual(stage.arbiter.counters.heldDelivered, 15)
    XCTAssertEqual(stage.arbiter.counters.heldPeak, 10)
    XCTAssertEqual(stage.arbiter.statistics(of: .lineA).packetsOutOfOrder, 2)
    XCTAssertEqual(stage.resolve(now: 10_000), .idle)
  }

  func testAPacketAcrossAHeldOneDeliversEachMessageOnce() {
    let stage = StageHarness(offline())
    stage.receive(.lineA, 4, 2)
    stage.receive(.lineB, 2, 6)
    XCTAssertEqual(stage.acceptances, [.held, .held, .duplicate, .duplicate, .held, .held])
    stage.receive(.lineB, 1, 9)
    stage.assertOutput(1, 9)
    XCTAssertEqual(stage.arbiter.counters.delivered, 3)
    XCTAssertEqual(stage.arbiter.counters.duplicatesHeld, 2)
  }

  func testACopyOfAHeldMessageThatIsDueButNotDrainedYet() {
    let stage = StageHarness(offline())
    stage.receive(.lineA, 2, 3, now: 1)
    XCTAssertEqual(
      stage.arbiter.poll(now: 101), .giveUp(first: 1, last: 1, reason: .retransmissionOff))
    stage.receive(.lineB, 2, 2, now: 102)
    XCTAssertEqual(stage.acceptances, [.duplicate, .duplicate])
    XCTAssertEqual(stage.output, [])
    stage.drain()
    XCTAssertEqual(stage.output, (2...4).map { .message($0, messageBytes($0)) })
    stage.assertSound()
  }

  func testWhatComesAfterItWasGivenUpIsLateAndNotDelivered() {
    let stage = StageHarness(offline())
    stage.receive(.lineA, 1, 5, now: 10)
    stage.receive(.lineA, 11, 5, now: 20)
    stage.run(from: 20, through: 200)
    stage.receive(.lineB, 6, 5, now: 300)
    stage.receive(.lineB, 4, 8, now: 310)
    stage.assertOutput(1, 15, gaps: [6...10])
    XCTAssertEqual(stage.arbiter.counters.late, 10)
    XCTAssertEqual(stage.arbiter.statistics(of: .lineA).messagesLate, 0)
    XCTAssertEqual(stage.arbiter.statistics(of: .lineB).messagesLate, 10)
    XCTAssertEqual(stage.arbiter.counters.duplicates, 3)
  }

  func testCountZeroIsAHeartbeat() {
    let stage = StageHarness(offline())
    stage.receive(.lineA, 1, 0)
    stage.receive(.lineA, 4, 0, now: 7)
    XCTAssertEqual(stage.verdicts, [.ignore(.empty), .ignore(.empty)])
    XCTAssertEqual(stage.arbiter.highestSequence, 4)
    XCTAssertEqual(stage.arbiter.openGap(0)?.first, 1)
    XCTAssertEqual(stage.arbiter.openGap(0)?.last, 3)
    stage.assertSound()
  }

  func testImpossibleRangesAreRejectedAndChangeNothing() {
    let stage = StageHarness(offline(), firstSequence: 100)
    stage.arbiter.heartbeat(source: .lineA, nextExpected: 0, now: 1)
    stage.arbiter.heartbeat(source: .lineA, nextExpected: .max, now: 1)
    stage.arbiter.endOfSession(source: .lineA, nextExpected: 0, now: 1)
    stage.arbiter.endOfSession(source: .lineA, nextExpected: 102 + 1 << 40, now: 1)
    XCTAssertEqual(
      stage.arbiter.receive(source: .lineA, first: 0, count: 5, now: 1), .ignore(.sequenceZero))
    XCTAssertEqual(
      stage.arbiter.receive(source: .lineB, first: .max - 3, count: 5, now: 1), .ignore(.overflow))
    XCTAssertEqual(
      stage.arbiter.receive(source: .lineB, first: .max, count: .max, now: 1), .ignore(.overflow))
    XCTAssertEqual(
      stage.arbiter.receive(source: .lineA, first: 101 + 1 << 40, count: 1, now: 1), .ignore(.farAhead))
    XCTAssertEqual(
      stage.arbiter.receive(source: .retransmission, first: 1 << 63, count: 1, now: 1), .ignore(.notRequested)
    )
    XCTAssertEqual(stage.arbiter.highestSequence, 100)
    XCTAssertEqual(stage.arbiter.rejections(.sequenceZero), 3)
    XCTAssertEqual(stage.arbiter.rejections(.overflow), 2)
    XCTAssertEqual(stage.arbiter.rejections(.farAhead), 3)
    XCTAssertEqual(stage.arbiter.counters.rejectedPackets, 8)
    stage.receive(.lineA, 100, 5)
    stage.assertOutput(100, 104)
  }

  func testNumbersAroundTwoToTheSixtyThreeAndAtTheEnd() {
    for first in [(1 << 63) - 10, UInt64.max - 30] as [UInt64] {
      let stage = StageHarness(offline(), firstSequence: first)
      stage.receive(.lineA, first, 5, now: 1)
      stage.receive(.lineA, first + 10, 5, now: 2)
      stage.receive(.lineB, first + 3, 7, now: 3)
      stage.receive(.lineB, first + 18, 2, now: 4)
      stage.arbiter.endOfSession(source: .lineB, nextExpected: first + 25, now: 5)
      stage.run(from: 5, through: .max)
      stage.assertOutput(
        first, first + 24, gaps: [first + 15...first + 17, first + 20...first + 24], "from \(first)")
      XCTAssertTrue(stage.arbiter.isComplete)
    }
  }

  func testTheLastSequenceNumberOfAll() {
    let stage = StageHarness(offline(), firstSequence: .max - 4)
    stage.receive(.lineA, .max - 4, 4)
    XCTAssertEqual(stage.arbiter.nextSequence, .max)
    XCTAssertEqual(stage.arbiter.receive(source: .lineA, first: .max, count: 1, now: 1), .ignore(.overflow))
    stage.assertOutput(.max - 4, .max - 1)
  }

  func testRestartContinuesAtTheGivenNumber() {
    let stage = StageHarness(offline(), firstSequence: 41)
    stage.receive(.lineA, 31, 10)
    stage.receive(.lineB, 36, 10)
    stage.assertOutput(41, 45)
  }

  func testMessagesBeyondTheWindowAreMissingAndNotHeld() {
    let stage = StageHarness(offline())
    stage.receive(.lineA, 2, 60, now: 1)
    stage.receive(.lineA, 62, 10, now: 2)
    XCTAssertEqual(
      stage.acceptances, Array(repeating: .held, count: 3) + Array(repeating: .beyondWindow, count: 7))
    stage.receive(.lineA, 72, 5, now: 3)
    XCTAssertEqual(stage.verdicts.last, .ignore(.beyondWindow))
    stage.assertSound()
    XCTAssertEqual(stage.arbiter.openGapCount, 2)
    XCTAssertEqual(stage.arbiter.openGap(1)?.first, 65)
    XCTAssertEqual(stage.arbiter.openGap(1)?.last, 76)
    XCTAssertEqual(stage.arbiter.counters.beyondWindow, 12)
    // The other line, a little behind, has them all.
    stage.receive(.lineB, 1, 40, now: 4)
    stage.receive(.lineB, 41, 40, now: 5)
    stage.assertOutput(1, 80)
    XCTAssertEqual(stage.arbiter.openGapCount, 0)
  }

  func testFullMemoryForHeldMessagesIsADeclaredOutcome() {
    var configuration = offline()
    configuration.heldBytes = 4_096
    let stage = StageHarness(configuration)
    let large = [UInt8](repeating: 7, count: 1_000)
    // 1,008 with its header and rounding is 1,024: four fit.
    for sequence in 2...8 { stage.receive(.lineA, UInt64(sequence), [large], now: 1) }
    XCTAssertEqual(stage.arbiter.heldCount, 4)
    XCTAssertEqual(stage.arbiter.counters.notHeld, 3)
    XCTAssertEqual(stage.arbiter.openGap(1)?.first, 6)
    XCTAssertEqual(stage.arbiter.openGap(1)?.last, 8)
    stage.assertSound()
    stage.receive(.lineB, 1, 1, now: 2)
    XCTAssertEqual(stage.arbiter.nextSequence, 6)
    for sequence in 6...8 { stage.receive(.lineB, UInt64(sequence), [large], now: 3) }
    XCTAssertEqual(stage.arbiter.nextSequence, 9)
    stage.assertSound()
  }

  func testTheByteRingServesAnyOrderOfRelease() {
    var generator = Seeded(5)
    for round in 0..<200 {
      var ring = HeldMessages(windowMessages: 64, bytes: 4_096)
      var kept: [UInt64: [UInt8]] = [:]
      for _ in 0..<400 {
        if generator.chance(55) {
          let sequence = UInt64(generator.below(64))
          guard !ring.contains(sequence) else { continue }
          let bytes = (0..<generator.below(700)).map { _ in UInt8(generator.below(256)) }
          let isStored = bytes.withUnsafeBytes { ring.store(sequence, $0, stamp: sequence) }
          XCTAssertTrue(isStored || !kept.isEmpty, "round \(round): an empty ring refused")
          if isStored { kept[sequence] = bytes }
        } else if let sequence = kept.keys.sorted().first(where: { _ in generator.chance(40) }) {
          XCTAssertEqual(Array(ring.bytes(sequence)), kept[sequence], "round \(round)")
          ring.release(sequence)
          kept[sequence] = nil
        }
        XCTAssertEqual(ring.count, kept.count)
      }
      for (sequence, bytes) in kept {
        XCTAssertEqual(Array(ring.bytes(sequence)), bytes, "round \(round)")
        ring.release(sequence)
      }
      XCTAssertEqual(ring.used, 0, "round \(round)")
    }
  }

  func testDisagreementsOnHeldMessages() {
    let stage = StageHarness(offline())
    stage.receive(.lineA, 2, [[1, 2, 3]], now: 1)
    stage.receive(.lineB, 2, [[1, 2, 3]], now: 2)
    XCTAssertEqual(stage.arbiter.counters.disagreements, 0)
    stage.receive(.lineB, 2, [[1, 2, 4]], now: 2)
    stage.receive(.lineB, 2, [[1, 2]], now: 2)
    XCTAssertEqual(stage.arbiter.counters.disagreements, 2)
    XCTAssertEqual(stage.arbiter.lastDisagreement, LineDisagreement(sequence: 2, source: .lineB))
    stage.receive(.lineA, 1, 1, now: 3)
    XCTAssertEqual(stage.output.last, .message(2, [1, 2, 3]), "the first copy is kept")
  }

  func testDisagreementsOnDeliveredMessages() {
    for history in [0, 16] {
      var configuration = offline()
      configuration.historyMessages = history
      let stage = StageHarness(configuration)
      stage.receive(.lineA, 1, 10)
      stage.receive(.lineA, 12, 2)
      stage.receive(.lineB, 1, 14)  // copies of 1...10 (examined), 11 direct, 12 and 13 held, 14 new
      stage.receive(.lineA, 14, 3)  // one to skip, two new
      XCTAssertEqual(stage.arbiter.counters.disagreements, 0)
      for sequence in 1...16 {
        stage.receive(.lineB, UInt64(sequence), [messageBytes(UInt64(sequence)) + [9]], now: 1)
      }
      XCTAssertEqual(stage.arbiter.counters.disagreements, history == 0 ? 0 : 16)
      stage.receive(.lineA, 17, 5)
      stage.receive(.lineB, 3, [[1]], now: 1)
      XCTAssertEqual(stage.arbiter.counters.disagreements, history == 0 ? 0 : 16, "3 is forgotten")
      stage.receive(.lineB, 20, [messageBytes(20) + [1], messageBytes(21), messageBytes(22)], now: 1)
      XCTAssertEqual(stage.arbiter.counters.disagreements, history == 0 ? 0 : 17, "a skipped copy")
      stage.assertOutput(1, 22)
    }
  }

  func testHashesOfNearMessagesDiffer() {
    var seen: Set<UInt64> = []
    var inputs = 0
    for length in 0...40 {
      for position in 0..<max(length, 1) {
        for value in [0, 1, 128, 255] as [UInt8] {
          var bytes = [UInt8](repeating: 0, count: length)
          if length > 0 { bytes[position] = value }
          if value == 0 && position > 0 || length == 0 && value > 0 { continue }
          seen.insert(bytes.withUnsafeBytes { DuplicateHistory.hash($0) })
          inputs += 1
        }
      }
    }
    XCTAssertEqual(seen.count, inputs)
  }

  func testLineStates() {
    var configuration = offline()
    configuration.lineSilenceNanoseconds = 1_000
    let stage = StageHarness(configuration)
    XCTAssertEqual(stage.arbiter.lineStates(now: 5), LineStates(lineAIsUp: false, lineBIsUp: false))
    stage.receive(.lineA, 1, 1, now: 100)
    stage.arbiter.heartbeat(source: .lineB, nextExpected: 2, now: 600)
    XCTAssertEqual(stage.arbiter.lineStates(now: 1_100), LineStates(lineAIsUp: true, lineBIsUp: true))
    XCTAssertEqual(stage.arbiter.lineStates(now: 1_101), LineStates(lineAIsUp: false, lineBIsUp: true))
    XCTAssertEqual(stage.arbiter.lineStates(now: 1_601), LineStates(lineAIsUp: false, lineBIsUp: false))
    stage.receive(.lineA, 1, 1, now: 1_700)
    XCTAssertEqual(stage.arbiter.lineStates(now: 1_000), LineStates(lineAIsUp: true, lineBIsUp: true))
  }

  func testConfigurationsOutOfRangeAreNamed() {
    func problem(_ change: (inout ArbiterConfiguration) -> Void) -> ArbiterConfigurationError? {
      var configuration = ArbiterConfiguration()
      change(&configuration)
      return configuration.problem()
    }
    XCTAssertNil(problem { _ in })
    XCTAssertEqual(problem { $0.windowMessages = 100 }, .windowMessages)
    XCTAssertEqual(problem { $0.windowMessages = 1 << 23 }, .windowMessages)
    XCTAssertEqual(problem { $0.windowMessages = -64 }, .windowMessages)
    XCTAssertEqual(problem { $0.heldBytes = 0 }, .heldBytes)
    XCTAssertEqual(problem { $0.gapTableEntries = 3 }, .gapTableEntries)
    XCTAssertEqual(problem { $0.retransmission.timeoutNanoseconds = 0 }, .retransmission)
    XCTAssertEqual(problem { $0.retransmission.timeoutNanoseconds = .max }, .retransmission)
    XCTAssertEqual(problem { $0.retransmission.backoffNanoseconds = .max }, .retransmission)
    XCTAssertEqual(problem { $0.retransmission.attempts = 0 }, .retransmission)
    XCTAssertEqual(problem { $0.snapshot.breakerWindow = 65 }, .snapshot)
    XCTAssertEqual(problem { $0.unrecoverable = .snapshot }, .unrecoverable)
    XCTAssertEqual(problem { $0.requestMessages = 65_535 }, .requestMessages)
    XCTAssertEqual(problem { $0.requestsInFlight = 65 }, .requestsInFlight)
    XCTAssertEqual(problem { $0.maximumLagMessages = 1 }, .maximumLagMessages)
    XCTAssertEqual(problem { $0.farAheadMessages = 0 }, .farAheadMessages)
    XCTAssertEqual(problem { $0.historyMessages = 3 }, .historyMessages)
  }

  /// The stage stores a reason as it is in its gap records.
  func testGiveUpReasonsAreThoseOfTheRecords() {
    for reason in GiveUpReason.allCases {
      let record = GapReason(rawValue: reason.rawValue)
      XCTAssertEqual(record.map { "\($0)" }, "\(reason)")
    }
  }
}
