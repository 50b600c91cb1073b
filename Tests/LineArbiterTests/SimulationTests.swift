import XCTest

@testable import LineArbiter

/// Random lines, responders and configurations against the oracle. A failure prints the seed and all that
/// followed from it; `ARBITER_SEED=n` runs that seed alone, `ARBITER_SEEDS=n` runs seeds 1...n.
final class SimulationTests: XCTestCase {
  func testRandomLinesAgainstTheOracle() {
    let environment = ProcessInfo.processInfo.environment
    let single = environment["ARBITER_SEED"].flatMap(UInt64.init)
    let count = environment["ARBITER_SEEDS"].flatMap(UInt64.init) ?? 2_000
    var lossy = 0
    var clean = 0
    var reached = ArbiterCounters()
    for seed in single.map({ $0...$0 }) ?? 1...count {
      var simulation = LineSimulation(seed: seed)
      let summary = simulation.summary
      let isReliable = simulation.isReliable && simulation.configuration.maximumLagMessages == 0
      let (problems, lost, stage) = simulation.run()
      if !problems.isEmpty {
        XCTFail("\(summary)\n\(problems.prefix(5).joined(separator: "\n"))")
        return
      }
      let careless = isReliable ? lost.filter { !simulation.isEvicted($0) } : []
      if !careless.isEmpty {
        XCTFail("\(summary)\nlost \(careless.prefix(20)), which the responder had")
        return
      }
      if lost.isEmpty { clean += 1 } else { lossy += 1 }
      reached.add(stage.arbiter.counters)
    }
    guard single == nil else { return }
    // The scenarios must go everywhere, or their passing says little.
    XCTAssertGreaterThan(clean, Int(count) / 5)
    XCTAssertGreaterThan(lossy, Int(count) / 20)
    for (name, value) in reached.list { XCTAssertGreaterThan(value, 0, "no run had any \(name)") }
  }
}

extension ArbiterCounters {
  mutating func add(_ other: ArbiterCounters) {
    duplicates += other.duplicates
    late += other.late
    duplicatesHeld += other.duplicatesHeld
    heldDelivered += other.heldDelivered
    notHeld += other.notHeld
    beyondWindow += other.beyondWindow
    notRequested += other.notRequested
    filledByLineA += other.filledByLineA
    filledByLineB += other.filledByLineB
    filledByRetransmission += other.filledByRetransmission
    givenUp += other.givenUp
    gapTableOverflows += other.gapTableOverflows
    retries += other.retries
    timeouts += other.timeouts
  }

  var list: [(String, UInt64)] {
    [
      ("duplicates", duplicates), ("late", late), ("duplicatesHeld", duplicatesHeld),
      ("heldDelivered", heldDelivered), ("notHeld", notHeld), ("beyondWindow", beyondWindow),
      ("notRequested", notRequested), ("filledByLineA", filledByLineA), ("filledByLineB", filledByLineB),
      ("filledByRetransmission", filledByRetransmission), ("givenUp", givenUp),
      ("gapTableOverflows", gapTableOverflows), ("retries", retries), ("timeouts", timeouts),
    ]
  }
}
