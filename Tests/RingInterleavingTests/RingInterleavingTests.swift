import XCTest

/// Every order of the ring's shared loads and stores, within bounds: see docs/RING_PROOF.md. Built only with
/// `-Xswiftc -DRING_INTERLEAVING` (`make test-interleavings`), which puts a model in the place of memory.
///
/// A failure prints the steps of the run and the one command that makes the same run again.
final class RingInterleavingTests: XCTestCase {
  private let pool = ThreadPool()
  private let environment = ProcessInfo.processInfo.environment

  private func number(_ name: String, _ standard: Int) -> Int {
    environment["RING_INTERLEAVING_" + name].flatMap(Int.init) ?? standard
  }

  /// `make explore-interleavings DEPTH=… STALE=…`: so many more of each than in the minute's test.
  private func deepened(_ budget: Budget) -> Budget {
    budget
      + Budget(preemptions: number("DEPTH", 0), staleLoads: number("STALE", 0), crashes: 0, delayedStores: 0)
  }

  private struct Plan {
    let name: String
    let budget: Budget
    let runner: () throws -> any Runner
  }

  private func plans() -> [Plan] {
    let streams = Scenarios.all.map { plan in
      Plan(name: plan.scenario.name, budget: deepened(plan.budget)) { [pool] in
        try ScenarioRunner(plan.scenario, pool: pool)
      }
    }
    let tables = TableRunner.scenarios.enumerated().map { crashes, name in
      Plan(name: name, budget: deepened(TableRunner.budget(crashes: crashes))) { [pool] in
        try TableRunner(crashes: crashes, pool: pool)
      }
    }
    return streams + tables
  }

  /// The protocol as it is: no order within the bounds is wrong.
  func testEveryOrderWithinBounds() throws {
    let total = Explorer.Report()
    let begin = Date()
    for plan in plans() where environment["RING_INTERLEAVING_ONLY"].map(plan.name.contains) ?? true {
      let explorer = Explorer(try plan.runner())
      let start = Date()
      let report = explorer.explore(plan.budget)
      say(plan.name, report, since: start)
      total.runs += report.runs
      total.steps += report.steps
      total.longest = max(total.longest, report.longest)
      if let finding = report.finding { reportFailure(finding, explorer, plan.name) }
    }
    say("all", total, since: begin)
  }

  /// Larger scenarios, each in some seeded orders.
  func testSeededOrders() throws {
    let first = UInt64(number("SEED", 1))
    let scenarios = UInt64(number("SCENARIOS", 200))
    let total = Explorer.Report()
    let start = Date()
    for seed in first..<first + scenarios {
      let explorer = Explorer(try ScenarioRunner(Scenarios.random(seed: seed), pool: pool))
      let report = explorer.sample(seed: seed, count: 100)
      total.runs += report.runs
      total.steps += report.steps
      total.longest = max(total.longest, report.longest)
      if let finding = report.finding {
        reportFailure(finding, explorer, "random \(seed)")
        break
      }
    }
    say("seeded, scenarios \(first)…\(first + scenarios - 1)", total, since: start)
  }

  /// Each mistake that could be made is found: what this test cannot see, it would not see in the protocol either.
  func testSeededDefectsAreFound() throws {
    for defect in SeededDefect.allCases {
      for name in defect.foundBy {
        let plan = try XCTUnwrap(plans().first { $0.name == name })
        let report = Explorer(try plan.runner(), defect: defect).explore(plan.budget)
        guard let finding = report.finding else {
          XCTFail("\(defect.rawValue) was not found in \(report.runs) runs of \(plan.name)")
          continue
        }
        print("defect \(defect.rawValue): \(plan.name), run \(report.runs): \(finding.text)")
      }
    }
  }

  /// RING_INTERLEAVING_REPLAY='scenario/defect or none/choices' makes one run again and tells its steps.
  func testReplay() throws {
    guard let wanted = environment["RING_INTERLEAVING_REPLAY"] else { return }
    let parts = wanted.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 3 else { return XCTFail("wants scenario/defect/choices") }
    let runner: any Runner
    if parts[0].hasPrefix("random "), let seed = UInt64(parts[0].dropFirst(7)) {
      runner = try ScenarioRunner(Scenarios.random(seed: seed), pool: pool)
    } else {
      runner = try XCTUnwrap(plans().first { $0.name == parts[0] }, "no such scenario").runner()
    }
    let explorer = Explorer(runner, defect: SeededDefect(rawValue: parts[1]))
    let (finding, steps) = explorer.story(of: Self.choices(parts[2]))
    print(steps.joined(separator: "\n"))
    if let finding { XCTFail(finding.text) }
  }

  // MARK: Telling

  private func say(_ name: String, _ report: Explorer.Report, since start: Date) {
    let seconds = String(format: "%.1f s", Date().timeIntervalSince(start))
    print(
      "\(name): \(report.runs) runs, \(report.steps) accesses, up to \(report.longest) choices each, \(seconds)"
    )
  }

  private func reportFailure(_ finding: Finding, _ explorer: Explorer, _ name: String) {
    let steps = explorer.story(of: finding.choices).steps
    print(steps.suffix(80).joined(separator: "\n"))
    XCTFail(
      """
      \(name): \(finding.text)
      replay: RING_INTERLEAVING_REPLAY='\(name)/none/\(Self.text(finding.choices))' make test-interleavings
      """)
  }

  /// Choices other than the default, as place:option.
  private static func text(_ choices: [Int]) -> String {
    choices.enumerated().filter { $0.element > 0 }.map { "\($0.offset):\($0.element)" }.joined(
      separator: ",")
  }

  private static func choices(_ text: String) -> [Int] {
    var choices: [Int] = []
    for pair in text.split(separator: ",") {
      let numbers = pair.split(separator: ":").compactMap { Int($0) }
      guard numbers.count == 2 else { continue }
      choices += Array(repeating: 0, count: max(0, numbers[0] + 1 - choices.count))
      choices[numbers[0]] = numbers[1]
    }
    return choices
  }
}
