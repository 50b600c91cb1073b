/// A scenario and how far it is explored in the minute that a test may take.
struct ScenarioPlan {
  let scenario: Scenario
  let budget: Budget
}

enum Scenarios {
  private static func budget(_ preemptions: Int, _ stale: Int, _ crashes: Int = 0, _ delays: Int = 0)
    -> Budget
  {
    Budget(preemptions: preemptions, staleLoads: stale, crashes: crashes, delayedStores: delays)
  }

  private static let fiveSingles = [[16], [16], [16], [16], [16]]

  static let all: [ScenarioPlan] = [
    // A record alone, then a batch of two: one release for both.
    ScenarioPlan(
      scenario: Scenario(name: "publish", parts: [.producer(batches: [[16], [16, 16]]), .reader("r")]),
      budget: budget(2, 1)),
    // Segments of four cells: a pad within a batch, and one that begins a batch.
    ScenarioPlan(
      scenario: Scenario(
        name: "pad", cells: 32, maximumRecordBytes: 248, prefill: [[136]],
        parts: [.producer(batches: [[72, 72], [136]]), .reader("r")]),
      budget: budget(1, 1)),
    // The reader stands at the oldest record, and the producer is about to take it.
    ScenarioPlan(
      scenario: Scenario(
        name: "lap", prefill: [[16], [16], [16]], readersHaveReadPrefill: false,
        parts: [.producer(batches: [[16, 16], [16]]), .reader("r")]),
      budget: budget(2, 1)),
    // The same with segments of two cells: the claim stands further ahead of what is overwritten.
    ScenarioPlan(
      scenario: Scenario(
        name: "lap, segments", cells: 8, maximumRecordBytes: 120, prefill: Array(repeating: [16], count: 7),
        readersHaveReadPrefill: false, parts: [.producer(batches: [[16, 16], [16]]), .reader("r")]),
      budget: budget(1, 1)),
    // A lapped reader lands in the midst of a batch, behind the pad whose stamp released it.
    ScenarioPlan(
      scenario: Scenario(
        name: "lap into a batch", cells: 16, maximumRecordBytes: 248, prefill: [[136]],
        readersHaveReadPrefill: false,
        parts: [.producer(batches: [[248], [16], [248]]), .reader("r")]),
      budget: budget(1, 1)),
    // Records of two cells whose second cell looks like a stamp of the next lap; the reader follows closely.
    ScenarioPlan(
      scenario: Scenario(
        name: "forged stamps", cells: 16, maximumRecordBytes: 248,
        prefill: [[72], [72], [72], [72], [72], [72], [72], [72]],
        forges: true, parts: [.producer(batches: [[16], [16]]), .reader("r")]),
      budget: budget(2, 1)),
    // Killed anywhere; the successor goes on.
    ScenarioPlan(
      scenario: Scenario(
        name: "crash", prefill: fiveSingles,
        parts: [
          .producer(batches: [[16, 16]], mayCrash: true), .producer(after: 0, batches: [[16]]),
          .reader("r"),
        ], crashes: 1),
      budget: budget(1, 0, 1, 1)),
    // The same, with a reader so far behind that what the dead producer had claimed matters.
    ScenarioPlan(
      scenario: Scenario(
        name: "crash, lap", prefill: [[16], [16], [16]], readersHaveReadPrefill: false,
        parts: [
          .producer(batches: [[16, 16]], mayCrash: true), .producer(after: 0, batches: []), .reader("r"),
        ], crashes: 1),
      budget: budget(1, 0, 1, 1)),
    // Successors are killed as well, in the midst of attaching too.
    ScenarioPlan(
      scenario: Scenario(
        name: "crashes", prefill: fiveSingles,
        parts: [
          .producer(batches: [[16]], mayCrash: true), .producer(after: 0, batches: [[16]], mayCrash: true),
          .producer(after: 1, batches: [[16]]), .reader("r"),
        ], crashes: 2),
      budget: budget(0, 0, 2, 1)),
    // Killed with a pad in the open batch.
    ScenarioPlan(
      scenario: Scenario(
        name: "crash, pad", cells: 32, maximumRecordBytes: 248, prefill: [[136]],
        parts: [
          .producer(batches: [[72, 72]], mayCrash: true), .producer(after: 0, batches: [[136]]),
          .reader("r"),
        ], crashes: 1),
      budget: budget(0, 1, 1, 1)),
    ScenarioPlan(
      scenario: Scenario(
        name: "park", parts: [.producer(batches: [[16], [16]]), .reader("r", parks: true)]),
      budget: budget(2, 1)),
    ScenarioPlan(
      scenario: Scenario(
        name: "two park",
        parts: [.producer(batches: [[16], [16]]), .reader("r", parks: true), .reader("s", parks: true)]),
      budget: budget(1, 1)),
    // Killed around a reader's sleep; the successor has nothing of its own to say.
    ScenarioPlan(
      scenario: Scenario(
        name: "park, crash",
        parts: [
          .producer(batches: [[16]], mayCrash: true), .producer(after: 0, batches: []),
          .reader("r", parks: true),
        ], crashes: 1),
      budget: budget(1, 1, 1, 1)),
    // A reader is killed and comes back, while the producer may stand anywhere.
    ScenarioPlan(
      scenario: Scenario(
        name: "reader returns", prefill: fiveSingles,
        parts: [.producer(batches: [[16], [16]]), .reader("r", mayCrash: true), .reader("r", after: 1)],
        crashes: 1),
      budget: budget(1, 0, 1, 1)),
    // It comes back behind the retention.
    ScenarioPlan(
      scenario: Scenario(
        name: "reader returns late", prefill: fiveSingles, readersHaveReadPrefill: false,
        parts: [.producer(batches: [[16]]), .reader("r")]),
      budget: budget(2, 1)),
    // Reader and producer are killed in one run.
    ScenarioPlan(
      scenario: Scenario(
        name: "both die", prefill: fiveSingles,
        parts: [
          .producer(batches: [[16]], mayCrash: true), .producer(after: 0, batches: [[16]]),
          .reader("r", mayCrash: true), .reader("r", after: 2, parks: true),
        ], crashes: 2),
      budget: budget(0, 0, 2, 1)),
    // The producer is given up for dead and is not: it may stop and go on anywhere.
    ScenarioPlan(
      scenario: Scenario(
        name: "zombie", prefill: [[16], [16], [16]],
        parts: [
          .producer(batches: [[16], [16]]), .takeOver(batches: [[16]]), .reader("r"),
        ]),
      budget: budget(2, 0)),
    // A reader is behind, and the zombie laps it, or would.
    ScenarioPlan(
      scenario: Scenario(
        name: "zombie, lap", prefill: [[16], [16], [16], [16]], readersHaveReadPrefill: false,
        parts: [.producer(batches: [[16, 16], [16]]), .takeOver(batches: [[16]]), .reader("r")]),
      budget: budget(1, 1)),
    ScenarioPlan(
      scenario: Scenario(
        name: "zombie, in place", prefill: [[16], [16], [16]],
        parts: [
          .producer(batches: [[16, 16], [16]]), .takeOver(batches: [[16]]), .reader("r", way: .inPlace),
        ]),
      budget: budget(1, 1)),
    // The reader sleeps on the old file's word, or is about to.
    ScenarioPlan(
      scenario: Scenario(
        name: "zombie, park", prefill: [[16]],
        parts: [.producer(batches: [[16]]), .takeOver(batches: [[16]]), .reader("r", parks: true)]),
      budget: budget(1, 1)),
    // The one who takes over is killed while it does; the next one takes over what is there.
    ScenarioPlan(
      scenario: Scenario(
        name: "take-over, crash", prefill: [[16], [16], [16]],
        parts: [
          .producer(batches: [[16], [16]]), .takeOver(batches: [[16]], mayCrash: true),
          .takeOver(after: 1, batches: [[16]]), .reader("r", way: .patrols),
        ], crashes: 1),
      budget: budget(0, 0, 1, 1)),
    // Two take over at the same time: one of them has only been believed dead.
    ScenarioPlan(
      scenario: Scenario(
        name: "two take over", prefill: [[16], [16], [16]],
        parts: [.takeOver(batches: [[16]]), .takeOver(batches: [[16]]), .reader("r")]),
      budget: budget(1, 1)),
    // Read where it lies: accepted as a whole, or not at all.
    ScenarioPlan(
      scenario: Scenario(
        name: "in place", prefill: [[16], [16], [16]], readersHaveReadPrefill: false,
        parts: [.producer(batches: [[16, 16], [16]]), .reader("r", way: .inPlace)]),
      budget: budget(2, 1)),
    // A look at the ring's health, at any moment, finds a healthy ring healthy.
    ScenarioPlan(
      scenario: Scenario(
        name: "patrol", prefill: [[16], [16], [16]], readersHaveReadPrefill: false,
        parts: [.producer(batches: [[16, 16], [16]]), .reader("r", way: .patrols)]),
      budget: budget(2, 1)),
    ScenarioPlan(
      scenario: Scenario(
        name: "patrol, crash", prefill: fiveSingles,
        parts: [
          .producer(batches: [[16, 16]], mayCrash: true), .producer(after: 0, batches: [[16]]),
          .reader("r", way: .patrols),
        ], crashes: 1),
      budget: budget(1, 0, 1, 1)),
    // The gate refuses until the reader has come far enough, and opens then.
    ScenarioPlan(
      scenario: Scenario(
        name: "gate", isGated: true, prefill: [[16], [16]], readersHaveReadPrefill: false,
        parts: [.producer(batches: fiveSingles), .reader("r")]),
      budget: budget(1, 1)),
    ScenarioPlan(
      scenario: Scenario(
        name: "gate, park", isGated: true, prefill: [[16], [16]], readersHaveReadPrefill: false,
        parts: [
          .producer(batches: [[16], [16], [16]]), .reader("r", parks: true), .reader("s", way: .inPlace),
        ]),
      budget: budget(1, 0)),
    // The supervisor lets go of a reader that is alive: it finds out, comes back, and counts again.
    ScenarioPlan(
      scenario: Scenario(
        name: "gate, detach", isGated: true, prefill: [[16], [16], [16]], readersHaveReadPrefill: false,
        parts: [.producer(batches: fiveSingles), .reader("r"), .supervisor(detaches: "r")]),
      budget: budget(1, 0)),
    // A reader is killed, and its successor of the same name comes back; nothing is lost, for nobody let go of it.
    ScenarioPlan(
      scenario: Scenario(
        name: "gate, reader returns", isGated: true, prefill: [[16], [16], [16]],
        readersHaveReadPrefill: false,
        parts: [
          .producer(batches: fiveSingles), .reader("r", mayCrash: true), .reader("r", after: 1),
        ], crashes: 1),
      budget: budget(0, 0, 1, 1)),
    // The producer's successor is bound by the same readers.
    ScenarioPlan(
      scenario: Scenario(
        name: "gate, crash", isGated: true, prefill: [[16], [16], [16]], readersHaveReadPrefill: false,
        parts: [
          .producer(batches: [[16], [16]], mayCrash: true),
          .producer(after: 0, batches: [[16], [16], [16]]), .reader("r"),
        ], crashes: 1),
      budget: budget(1, 0, 1, 1)),
  ]

  /// A larger scenario, a function of its seed: up to three incarnations of the producer, records of any length, up to two
  /// readers that may be killed and come back.
  static func random(seed: UInt64) -> Scenario {
    var generator = Generator(state: seed)
    let (cells, limit, batchCells) = [(4, 56, 2), (8, 120, 1), (16, 248, 2), (32, 248, 10)][
      generator.below(4)]
    func batches(_ most: Int) -> [[Int]] {
      (0..<generator.below(most + 1)).map { _ in
        var batch: [Int] = []
        var room = batchCells
        repeat {
          // A record alone always fits; several have to leave room for pads.
          let mostWords = batch.isEmpty ? limit / 8 : min(limit / 8, room * 8 - 1)
          let words = generator.below(2) == 0 ? 2 : 2 + generator.below(mostWords - 1)
          batch.append(words * 8)
          room -= (words + 8) / 8
        } while room > 0 && batch.count < 4 && generator.below(2) == 0
        return batch
      }
    }
    var scenario = Scenario(name: "random \(seed)", cells: cells, maximumRecordBytes: limit, parts: [])
    scenario.forges = generator.below(2) == 0
    scenario.prefill = batches(12)
    scenario.readersHaveReadPrefill = generator.below(3) > 0
    let incarnations = 1 + generator.below(3)
    for incarnation in 0..<incarnations {
      scenario.parts.append(
        .producer(
          after: incarnation > 0 ? incarnation - 1 : nil, batches: batches(4),
          mayCrash: incarnation + 1 < incarnations))
    }
    for name in ["r", "s"].prefix(1 + generator.below(2)) {
      let parks = generator.below(2) == 0
      if generator.below(2) == 0 {
        scenario.parts.append(.reader(name, parks: parks))
      } else {
        scenario.parts.append(.reader(name, parks: parks, mayCrash: true))
        scenario.parts.append(
          .reader(name, after: scenario.parts.count - 1, parks: generator.below(2) == 0))
      }
    }
    scenario.crashes = generator.below(4)
    return scenario
  }
}
