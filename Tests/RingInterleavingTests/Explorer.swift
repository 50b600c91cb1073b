/// Can run a scenario again and again, each time in the order that a chooser decides.
protocol Runner: AnyObject {
  var engine: InterleavingEngine { get }
  /// Runs once; nil when nothing was wrong.
  func run(_ chooser: Chooser, defect: SeededDefect?, logging: Bool) -> Finding?
}

/// Runs a scenario in many orders.
final class Explorer {
  final class Report {
    var runs = 0
    /// Accesses of all runs at which another actor could have had its turn.
    var steps = 0
    /// Most places in one run where it could have gone another way.
    var longest = 0
    var finding: Finding?
  }
  let runner: any Runner
  let defect: SeededDefect?

  init(_ runner: any Runner, defect: SeededDefect? = nil) {
    self.runner = runner
    self.defect = defect
  }

  /// Every run within `budget`, depth first, up to the first finding.
  func explore(_ budget: Budget) -> Report {
    let report = Report()
    var list: [Int]? = []
    while let prefix = list {
      let chooser = Chooser(list: prefix)
      run(chooser, report)
      if report.finding != nil { return report }
      list = Chooser.successor(of: chooser.trace, within: budget)
    }
    return report
  }

  /// `count` seeded runs, up to the first finding.
  func sample(seed: UInt64, count: Int) -> Report {
    let report = Report()
    for run in 0..<UInt64(count) where report.finding == nil {
      self.run(Chooser(seed: seed << 32 | run), report)
    }
    return report
  }

  private func run(_ chooser: Chooser, _ report: Report) {
    report.finding = runner.run(chooser, defect: defect, logging: false)
    report.runs += 1
    report.steps += runner.engine.steps
    report.longest = max(report.longest, chooser.trace.count)
  }

  /// What happened in the run that `choices` make, and what was wrong with it.
  func story(of choices: [Int]) -> (finding: Finding?, steps: [String]) {
    let finding = runner.run(Chooser(list: choices), defect: defect, logging: true)
    let steps = (runner.engine.log ?? []).filter { !$0.contains(" count ") }
    return (finding, steps)
  }
}
