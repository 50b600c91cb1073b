import XCTest

@testable import Drills

/// What a kill may do to those who are not hit, and to those who read: C8 against a baseline, and C3.
final class BystanderTests: XCTestCase {
  /// A thousand looks a process of 1 to 1,000 µs.
  private func baseline(_ names: [String] = ["merged", "pubd"], looks: UInt64 = 1_000) -> BeatBaseline {
    var baseline = BeatBaseline()
    for name in names { for age in 1...looks { baseline.record(name, age: age * 1_000) } }
    return baseline
  }

  func testWhatIsUsualIsExceededByOneInAThousand() {
    XCTAssertEqual(baseline().usual(of: "pubd"), 999_000)
    XCTAssertEqual(baseline().limit(of: "pubd"), 5_999_000)
    XCTAssertNil(baseline(looks: 999).usual(of: "pubd"))
    XCTAssertNil(baseline().usual(of: "bookd"))
    var two = baseline(looks: 500)
    two.add(baseline(looks: 500))
    XCTAssertEqual(two.usual(of: "pubd"), 500_000)
    XCTAssertEqual(two.looks, 1_000)
  }

  private let nothing = MachineStalls(cores: [])
  private let ms: UInt64 = 1_000_000

  private func stalls(_ stretches: (UInt64, UInt64)...) -> MachineStalls {
    MachineStalls(cores: [stretches.map { Stretch(from: $0.0 * ms, to: $0.1 * ms) }])
  }

  /// The page knows the longest of a life; it says something of a stretch only where it grew there.
  func testTheLongestOfAStretch() {
    var gap = BeatGap(epoch: 3, longest: 40, at: 100)
    gap.look(beat: 100, longest: 40, at: 112)
    gap.look(beat: 110, longest: 40, at: 119)
    var unchanged = gap
    XCTAssertEqual(unchanged.longest(epoch: 3, without: nothing), BystanderGap(longest: 12, own: 12))
    gap.look(beat: 120, longest: 41, at: 121)
    XCTAssertNil(gap.longest(epoch: 4, without: nothing))
    XCTAssertEqual(gap.longest(epoch: 3, without: nothing), BystanderGap(longest: 41, own: 41))
  }

  /// A beat at 100 ms, the next at 130 ms, of which the page tells; looks at 120 and 131 ms.
  private func seenGap() -> BeatGap {
    var gap = BeatGap(epoch: 1, longest: 0, at: 100 * ms)
    gap.look(beat: 100 * ms, longest: 0, at: 120 * ms)
    gap.look(beat: 130 * ms, longest: 30 * ms, at: 131 * ms)
    return gap
  }

  private func own(_ gap: BeatGap, _ stalls: MachineStalls) -> UInt64? {
    var gap = gap
    guard let found = gap.longest(epoch: 1, without: stalls) else { return nil }
    XCTAssertEqual(found.longest, 30 * ms, "the time that passed stays what it was")
    return found.own / ms
  }

  func testTheMachinesStandstillIsNotTheBystanders() {
    XCTAssertEqual(own(seenGap(), nothing), 30)
    XCTAssertEqual(own(seenGap(), stalls((100, 124))), 6)
    // Parts of one before and of one behind it.
    XCTAssertEqual(own(seenGap(), stalls((90, 105), (110, 115))), 20)
    XCTAssertEqual(own(seenGap(), stalls((20, 90))), 30)
    XCTAssertEqual(own(seenGap(), stalls((135, 160))), 30)
    XCTAssertEqual(own(seenGap(), stalls((50, 160))), 5, "what everybody may have is not taken off")
  }

  /// The longest is the machine's; behind it is a shorter one that is not.
  func testEachGapIsWeighedByItself() {
    var gap = seenGap()
    gap.look(beat: 200 * ms, longest: 30 * ms, at: 220 * ms)
    gap.look(beat: 221 * ms, longest: 30 * ms, at: 222 * ms)
    XCTAssertEqual(own(gap, stalls((100, 130))), 20)
    XCTAssertEqual(BeatGap(epoch: 1, longest: 0, at: 7 * ms).stretch.nanoseconds, 0)
    // And the newest beat of all, which nobody followed.
    var open = seenGap()
    open.look(beat: 200 * ms, longest: 30 * ms, at: 217 * ms)
    XCTAssertEqual(own(open, stalls((100, 130))), 17)
    XCTAssertEqual(open.stretch, Stretch(from: 100 * ms, to: 217 * ms))
  }

  private func judge(
    _ id: String = "D-03", gaps: [[String: UInt64]] = [[:]], machine: UInt64 = 0,
    baseline: BeatBaseline? = nil,
    frames: [FrameChecks?] = [nil], times: Bool = true
  ) -> [String: DrillCriterion] {
    let rounds = frames.enumerated().map { number, checks in
      var round = DrillRound(number: number)
      if number == 0 {
        round.kills = gaps.map {
          var kill = KillMeasurement(component: "bookd", round: 0, killedAt: 1)
          kill.bystanderGaps = $0.mapValues { BystanderGap(longest: $0 + machine, own: $0) }
          return kill
        }
      }
      round.outcome.frames = checks
      return round
    }
    let judgement = DrillJudgement(
      Drill.named(id)!, rounds, killsWanted: 1, judgesTimes: times, baseline: baseline)
    return Dictionary(uniqueKeysWithValues: judgement.criteria.map { ($0.code, $0) })
  }

  func testGapsAreJudgedAgainstTheBaseline() {
    let good: [String: UInt64] = ["merged": 5_999_000, "pubd": 1]
    let bad: [String: UInt64] = ["merged": 1, "pubd": 5_999_001]
    XCTAssertEqual(judge(gaps: [good, good], baseline: baseline())["C8 gap"]?.verdict, .pass)
    let failed = judge(gaps: [good, bad], baseline: baseline())["C8 gap"]
    XCTAssertEqual(failed?.verdict, .fail)
    XCTAssertEqual(failed?.found, "1 of 4 beyond, nearest pubd 5999 of 5999 µs")
    XCTAssertEqual(judge(gaps: [bad], baseline: baseline(), times: false)["C8 gap"]?.verdict, .notJudged)
    XCTAssertEqual(judge(gaps: [bad])["C8 gap"]?.verdict, .notJudged)
    // A baseline that nobody of them is in, and bystanders that nobody looked at, prove nothing.
    XCTAssertEqual(judge(gaps: [good], baseline: baseline(["taped"]))["C8 gap"]?.verdict, .fail)
    XCTAssertEqual(judge(gaps: [[:]], baseline: baseline())["C8 gap"]?.verdict, .fail)
    XCTAssertNil(judge("D-00", gaps: [], baseline: baseline())["C8 gap"])
  }

  func testStandstillsAreTold() {
    let gaps: [String: UInt64] = ["merged": 2_000_000, "pubd": 1]
    let found = judge(gaps: [gaps], machine: 4_500_000, baseline: baseline())["C8 gap"]
    XCTAssertEqual(found?.verdict, .pass)
    XCTAssertEqual(
      found?.found,
      "0 of 2 beyond, 1 by the machine's standstill (6.5 ms at most), nearest merged 2000 of 5999 µs")
    let both = judge(gaps: [["merged": 6_000_000]], machine: 4_500_000, baseline: baseline())["C8 gap"]
    XCTAssertEqual(both?.verdict, .fail)
    XCTAssertEqual(both?.found, "1 of 1 beyond, nearest merged 6000 of 5999 µs")
  }

  func testFramesAreJudged() {
    func checks(_ frames: UInt64, refusals: [String] = [], partial: UInt64 = 0) -> FrameChecks {
      var checks = FrameChecks()
      checks.frames = frames
      checks.refusals = refusals
      checks.partial = partial
      return checks
    }
    XCTAssertEqual(judge(frames: [checks(9), checks(0)])["C3"]?.verdict, .pass)
    XCTAssertEqual(judge(frames: [checks(9), checks(9, refusals: ["magic 7"])])["C3"]?.verdict, .fail)
    XCTAssertEqual(
      judge(frames: [checks(9, refusals: ["magic 7"])], times: false)["C3"]?.verdict, .fail)
    // Only where the publisher dies may a message break off.
    XCTAssertEqual(judge(frames: [checks(9, partial: 1)])["C3"]?.verdict, .fail)
    XCTAssertEqual(judge("D-04", frames: [checks(9, partial: 1)])["C3"]?.verdict, .pass)
    // A reader to whom nothing came has proven nothing.
    XCTAssertEqual(judge(frames: [checks(0), nil])["C3"]?.verdict, .fail)
    XCTAssertNil(judge(frames: [nil])["C3"])
  }
}
