import XCTest

@testable import Drills

/// Slopes of a soak: what grows has to be found beneath noise, steps and restarts, and what does not must not be.
final class SoakTests: XCTestCase {
  private struct Noise {
    var state: UInt64
    /// -1 ..< 1.
    mutating func next() -> Double {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Double(state >> 33) / Double(1 << 30) - 1
    }
  }

  /// An hour of a component that dies every 20 seconds, looked at each quarter of a second.
  private func samples(
    _ quantity: SoakQuantity, seed: UInt64 = 7,
    _ value: (_ age: Double, _ seconds: Double, _ life: Int) -> Double,
    noise: Double = 0
  ) -> [SoakSample] {
    var noises = Noise(state: seed)
    var samples: [SoakSample] = []
    for round in 0..<10 {
      for life in 0..<6 {
        for look in 0..<80 {
          let age = Double(look) * 0.25
          let seconds = Double(life) * 20 + age
          samples.append(
            SoakSample(
              component: "bookd", quantity: quantity, round: round, epoch: UInt64(life), seconds: seconds,
              value: value(age, seconds, life) + noises.next() * noise))
        }
      }
    }
    return samples
  }

  private func leaks(_ samples: [SoakSample]) -> [String] {
    SoakJudgement(samples).leaks.map { "\($0.component) \($0.quantity.rawValue)" }
  }

  func testWhatStandsStillIsNoLeak() {
    XCTAssertEqual(leaks(samples(.descriptors) { _, _, _ in 12 }), [])
    for seed in UInt64(1)...20 {
      XCTAssertEqual(leaks(samples(.memory, seed: seed, { _, _, _ in 4e7 }, noise: 1e6)), [], "seed \(seed)")
    }
    // A level of its own for each life, without any direction.
    XCTAssertEqual(leaks(samples(.memory) { _, _, life in life % 2 == 0 ? 4e7 : 6e7 }), [])
    // What shrinks does not grow.
    XCTAssertEqual(leaks(samples(.memory) { age, _, _ in 4e7 - age * 1e5 }), [])
  }

  func testALeakWithinLivesIsFoundThoughEachBeginsAnew() {
    XCTAssertEqual(leaks(samples(.memory, { age, _, _ in 4e7 + age * 40_000 }, noise: 1e5)), ["bookd memory"])
    // A descriptor every eight seconds.
    XCTAssertEqual(
      leaks(samples(.descriptors) { age, _, _ in 12 + (age / 8).rounded(.down) }), ["bookd descriptors"])
  }

  func testALeakFromOneToTheNextIsFound() {
    let found = SoakJudgement(samples(.sharedFiles) { _, _, life in 40 + Double(life) })
    XCTAssertEqual(found.leaks.count, 1)
    XCTAssertEqual(found.leaks.first?.withinLives?.perSecond, 0)
    XCTAssertEqual(found.leaks.first?.acrossLives?.perSecond ?? 0, 0.05, accuracy: 1e-9)
  }

  func testTheEstimateIsTheLineAndItsErrorLetsNeighboursDependOnEachOther() throws {
    let line = (0..<50).map { SlopeEstimate.Sample(seconds: Double($0), value: 3 + 2 * Double($0)) }
    let exact = try XCTUnwrap(SlopeEstimate([line]))
    XCTAssertEqual(exact.perSecond, 2, accuracy: 1e-12)
    XCTAssertEqual(exact.standardError, 0, accuracy: 1e-9)
    // Ten lives, each drifting its own way by as much: no common direction, and the error says so.
    let drifts = (0..<10).map { life in
      (0..<50).map {
        SlopeEstimate.Sample(seconds: Double($0), value: Double($0) * (life % 2 == 0 ? 1 : -1) * 1.2)
      }
    }
    let none = try XCTUnwrap(SlopeEstimate(drifts))
    XCTAssertEqual(none.perSecond, 0, accuracy: 1e-9)
    XCTAssertGreaterThan(none.standardError, 0.3)
    XCTAssertNil(SlopeEstimate([]))
    XCTAssertNil(
      SlopeEstimate([[.init(seconds: 1, value: 1), .init(seconds: 1, value: 2), .init(seconds: 1, value: 3)]])
    )
  }

  func testEverybodyIsSparedInTurnAndTheVictimsFollowFromTheSeed() {
    let everybody = ["a", "b", "c"]
    XCTAssertEqual((0..<4).map { DrillSchedule.spared(of: everybody, round: $0) }, ["a", "b", "c", "a"])
    func victims(_ seed: UInt64) -> [String?] {
      var schedule = DrillSchedule(drill: Drill.named("D-44")!, seed: seed, round: 0)
      return (0..<30).map { _ in schedule.victim(among: everybody) }
    }
    XCTAssertEqual(victims(1), victims(1))
    XCTAssertNotEqual(victims(1), victims(2))
    XCTAssertEqual(Set(victims(1)).count, 3)
  }

  func testHistogramsHaveAClassForEachAge() {
    var histogram = GapHistogram()
    for milliseconds in [0, 1, 60, 99, 100, 5_000] { histogram.record(UInt64(milliseconds) * 1_000_000) }
    XCTAssertEqual(histogram.counts, [1, 1, 0, 0, 0, 0, 2, 1, 0, 0, 1])
    XCTAssertEqual(histogram.longest, 5_000_000_000)
    XCTAssertEqual(GapHistogram.columns.count, histogram.counts.count)
  }
}
