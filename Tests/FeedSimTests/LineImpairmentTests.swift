import FeedSim
import XCTest

final class LineImpairmentTests: XCTestCase {
  private func plan(_ text: String) throws -> LineImpairmentPlan {
    try ImpairmentPlans(parsing: "A:" + text).a
  }

  /// Sends packets 0..<count, one every microsecond, and returns what left, with the time.
  private func run(
    _ text: String, seed: UInt64 = 1, count: Int
  ) throws -> (left: [(packet: Int, time: UInt64)], counters: LineImpairmentCounters) {
    var line = LineImpairment(try plan(text), seed: seed)
    var left: [(Int, UInt64)] = []
    var due: [PacketRange] = []
    func collect(_ now: UInt64) {
      left += due.map { ($0.first, now) }
      due.removeAll()
    }
    var now: UInt64 = 0
    for packet in 0..<count {
      now = UInt64(packet) * 1_000
      line.offer(PacketRange(first: packet, count: 1), at: now, into: &due)
      collect(now)
    }
    line.flush(at: now, into: &due)
    collect(now)
    while let time = line.nextDue {
      line.release(at: time, into: &due)
      collect(time)
    }
    XCTAssertEqual(line.heldCount, 0)
    let counters = line.counters
    XCTAssertEqual(counters.offered, UInt64(count))
    XCTAssertEqual(counters.sent, UInt64(left.count))
    XCTAssertEqual(counters.offered, counters.dropped + counters.sent - counters.duplicated, text)
    return (left, counters)
  }

  func testACleanLinePassesEverything() throws {
    let (left, counters) = try run("loss=0%", count: 1_000)
    XCTAssertEqual(left.map(\.packet), Array(0..<1_000))
    XCTAssertEqual(counters.sent, 1_000)
  }

  func testRatesAreNearTheNominal() throws {
    let count = 200_000
    let loss = try run("loss=2%", count: count).counters
    XCTAssertEqual(Double(loss.droppedByLoss) / Double(count), 0.02, accuracy: 0.001)
    let twice = try run("dup=1%", count: count).counters
    XCTAssertEqual(Double(twice.duplicated) / Double(count), 0.01, accuracy: 0.001)
    let order = try run("reorder=3%", count: count).counters
    XCTAssertEqual(Double(order.reordered) / Double(count), 0.03, accuracy: 0.0015)
    let burst = try run("burst=0.1%x20", count: count).counters
    XCTAssertEqual(Double(burst.droppedInBursts) / Double(count), 0.02, accuracy: 0.004)
    let late = try run("late=1%x5ms", count: count).counters
    XCTAssertEqual(Double(late.late) / Double(count), 0.01, accuracy: 0.001)
    XCTAssertEqual(try run("loss=100%", count: 100).left.count, 0)
  }

  func testTheSameSeedDoesTheSame() throws {
    let text = "loss=5%,dup=5%,reorder=5%,burst=1%x3,delay=10us,late=1%x50us"
    let first = try run(text, seed: 9, count: 5_000)
    let second = try run(text, seed: 9, count: 5_000)
    let other = try run(text, seed: 10, count: 5_000)
    XCTAssertEqual(first.left.map(\.packet), second.left.map(\.packet))
    XCTAssertEqual(first.left.map(\.time), second.left.map(\.time))
    XCTAssertNotEqual(first.left.map(\.packet), other.left.map(\.packet))
  }

  func testBurstsDropInARow() throws {
    let kept = Set(try run("burst=0.5%x7", count: 20_000).left.map(\.packet))
    var run = 0
    var runs: [Int] = []
    for packet in 0..<20_000 {
      if kept.contains(packet) {
        if run > 0 { runs.append(run) }
        run = 0
      } else {
        run += 1
      }
    }
    XCTAssertGreaterThan(runs.count, 50)
    XCTAssertTrue(runs.allSatisfy { $0 % 7 == 0 }, "\(runs)")
  }

  func testDuplicatesFollowEachOther() throws {
    let left = try run("dup=10%", count: 1_000).left.map(\.packet)
    XCTAssertEqual(left, left.sorted())
    XCTAssertEqual(Set(left).count, 1_000)
    XCTAssertGreaterThan(left.count, 1_050)
  }

  func testAReorderedPacketIsOvertakenByAFew() throws {
    let left = try run("reorder=2%x5", count: 20_000).left.map(\.packet)
    XCTAssertEqual(left.sorted(), Array(0..<20_000))
    var moved = 0
    for (position, packet) in left.enumerated() where left[..<position].contains(where: { $0 > packet }) {
      moved += 1
      // Overtaken by 1...5 successors, some of which may be held back themselves.
      XCTAssertLessThanOrEqual(position - packet, 5, "packet \(packet)")
      if moved > 200 { break }
    }
    XCTAssertGreaterThan(moved, 200)
  }

  func testDelayKeepsTheOrderAndLateDoesNot() throws {
    let delayed = try run("delay=250us", count: 1_000).left
    XCTAssertEqual(delayed.map(\.packet), Array(0..<1_000))
    for (packet, time) in delayed { XCTAssertGreaterThanOrEqual(time, UInt64(packet) * 1_000 + 250_000) }
    let late = try run("late=10%x50us", count: 1_000).left
    XCTAssertEqual(late.map(\.packet).sorted(), Array(0..<1_000))
    XCTAssertNotEqual(late.map(\.packet), Array(0..<1_000))
    for (packet, time) in late where time > UInt64(packet) * 1_000 {
      XCTAssertGreaterThanOrEqual(time, UInt64(packet) * 1_000 + 50_000)
    }
  }

  func testALatePacketHoldsUpNoOther() throws {
    let (left, counters) = try run("delay=250us,late=10%x1ms", count: 2_000)
    let waits = left.map { $0.time - UInt64($0.packet) * 1_000 }
    XCTAssertEqual(waits.filter { $0 == 1_250_000 }.count, Int(counters.late))
    XCTAssertEqual(waits.filter { $0 == 250_000 }.count, 2_000 - Int(counters.late))
    XCTAssertEqual(left.map(\.time), left.map(\.time).sorted())
  }

  func testFlushLetsGoWhatWaitsToBeOvertakenButNotWhatWaitsForTime() throws {
    var line = LineImpairment(try plan("reorder=100%"), seed: 1)
    var due: [PacketRange] = []
    line.offer(PacketRange(first: 0, count: 1), at: 0, into: &due)
    XCTAssertEqual(due, [])
    line.flush(at: 0, into: &due)
    XCTAssertEqual(due, [PacketRange(first: 0, count: 1)])

    var delayed = LineImpairment(try plan("reorder=100%,delay=1ms"), seed: 1)
    due = []
    delayed.offer(PacketRange(first: 0, count: 1), at: 0, into: &due)
    delayed.flush(at: 10, into: &due)
    XCTAssertEqual(due, [])
    XCTAssertEqual(delayed.nextDue, 1_000_000)
    delayed.release(at: 1_000_000, into: &due)
    XCTAssertEqual(due, [PacketRange(first: 0, count: 1)])
  }

  func testHolesDropExactlyTheirMessages() throws {
    let (left, counters) = try run("hole=101x50+301x1", count: 1_000)
    XCTAssertEqual(Set(0..<1_000).subtracting(left.map(\.packet)), Set(Array(100..<150) + [300]))
    XCTAssertEqual(counters.droppedInHoles, 51)
  }

  /// From a message on nothing leaves, for a time or for ever.
  func testACutIsOverAfterItsTime() throws {
    let (left, counters) = try run("cut=101x50us", count: 1_000)
    XCTAssertEqual(Set(0..<1_000).subtracting(left.map(\.packet)), Set(100..<150))
    XCTAssertEqual(counters.droppedByCut, 50)
    XCTAssertEqual(try run("cut=101", count: 1_000).left.count, 100)
    var line = LineImpairment(try plan("cut=2x1us"), seed: 1)
    var due: [PacketRange] = []
    XCTAssertFalse(line.isCut(at: 5))
    line.offer(PacketRange(first: 0, count: 2), at: 5_000, into: &due)
    XCTAssertEqual([line.isCut(at: 5_999), line.isCut(at: 6_000)], [true, false])
  }

  /// What else happens to the packets is the same with a hole as without.
  func testAHoleMovesNoOtherLoss() throws {
    let without = Set(try run("loss=5%", count: 2_000).left.map(\.packet))
    let with = Set(try run("loss=5%,hole=501x100", count: 2_000).left.map(\.packet))
    XCTAssertEqual(with, without.subtracting(500..<600))
  }

  func testFaultsOfRetransmission() {
    XCTAssertEqual(RetransmitFault(parsing: "flood")?.kind, .flood)
    XCTAssertEqual(RetransmitFault(parsing: "flood")?.times, .max)
    XCTAssertEqual(RetransmitFault(parsing: "hangx20")?.times, 20)
    for text in ["", "hung", "hangx", "hangx0", "hangx-1", "hang x2"] {
      XCTAssertNil(RetransmitFault(parsing: text), text)
    }
    for text in [
      "A:hole=5", "A:hole=0x5", "A:hole=5x0", "A:cut=0", "A:cut=5x", "A:wrong=x",
      "A:hole=99999999999999999999x1",
    ] {
      XCTAssertThrowsError(try ImpairmentPlans(parsing: text), text)
    }
  }
}

final class ImpairmentSyntaxTests: XCTestCase {
  func testTheWholeGrammar() throws {
    let plans = try ImpairmentPlans(
      parsing: "B:delay=1.5ms,late=0.5%x5ms;A:loss=2%,dup=0.0000001%,reorder=3%x16,burst=0.1%x20")
    var a = LineImpairmentPlan()
    a.loss = 20_000_000
    a.duplicate = 1
    a.reorder = 30_000_000
    a.reorderDistance = 16
    a.burst = 1_000_000
    a.burstLength = 20
    var b = LineImpairmentPlan()
    b.delay = 1_500_000
    b.late = 5_000_000
    b.lateBy = 5_000_000
    XCTAssertEqual(plans.a, a)
    XCTAssertEqual(plans.b, b)
    XCTAssertEqual(try ImpairmentPlans(parsing: "A:reorder=1%").a.reorderDistance, 8)
  }

  func testErrorsNameTheTokenThePlaceAndTheNearestKey() {
    let golden: [(String, String)] = [
      ("A:los=2%", "'los' at character 3: unknown key; did you mean 'loss'?"),
      ("A:loss=2%;B:dealy=1ms", "'dealy' at character 13: unknown key; did you mean 'delay'?"),
      ("A:loss", "'loss' at character 3: expected key=value; did you mean 'loss'?"),
      ("A:loss=2", "'2' at character 8: expected a percentage from 0% to 100%, as in 0.5%"),
      ("A:loss=101%", "'101%' at character 8: expected a percentage from 0% to 100%, as in 0.5%"),
      ("A:loss=-1%", "'-1%' at character 8: expected a percentage from 0% to 100%, as in 0.5%"),
      ("A:loss=1.%", "'1.%' at character 8: expected a percentage from 0% to 100%, as in 0.5%"),
      ("A:loss=", "'' at character 8: expected a percentage from 0% to 100%, as in 0.5%"),
      (
        "A:dup=1%,delay=1", "'1' at character 16: expected a duration up to an hour, as in 250us, 1.5ms or 2s"
      ),
      (
        "A:delay=99999s",
        "'99999s' at character 9: expected a duration up to an hour, as in 250us, 1.5ms or 2s"
      ),
      ("A:burst=1%x0", "'0' at character 12: expected a number of packets from 1 to 100000"),
      ("A:reorder=1%xx", "'x' at character 14: expected a number of packets from 1 to 100000"),
      ("A:late=1%x3", "'3' at character 11: expected a duration up to an hour, as in 250us, 1.5ms or 2s"),
      ("C:loss=1%", "'C' at character 1: unknown line; lines are A and B"),
      ("loss=1%", "'loss=1%' at character 1: expected a line and a colon, as in A:loss=1%"),
      ("A:loss=1%;", "'' at character 11: expected a line and a colon, as in A:loss=1%"),
      ("A:loss=1%;A:dup=1%", "'A' at character 11: the line appears twice"),
      ("A:loss=1%,loss=2%", "'loss' at character 11: the key appears twice"),
      (
        "A:loss=99999999999999999999%",
        "'99999999999999999999%' at character 8: expected a percentage from 0% to 100%, as in 0.5%"
      ),
      ("", "'' at character 1: expected a line and a colon, as in A:loss=1%"),
    ]
    for (text, expected) in golden {
      do throws(ImpairmentSyntaxError) {
        _ = try ImpairmentPlans(parsing: text)
        XCTFail("'\(text)' was accepted")
      } catch {
        XCTAssertEqual(error.description, expected, "for '\(text)'")
      }
    }
  }
}
