import CLinux
import Drills
import Glibc
import StageRecords
import StageRuntime
import Supervision

/// Crash loops (D-11): a book stage that ends at its next one, two, three, four starts; one whose end is permanent; a budget that
/// begins anew once its window is over, and one that outlives the supervisors.
extension DrillRunner {
  private static let standIn = "standin"
  private static let limit = 3
  /// The drill's own budget for the window that ends, and the window.
  private static let shortLimit = 2
  private static let shortWindowSeconds = 4
  private static let settleMicroseconds: UInt32 = 300_000

  func runCrashLoops() -> DrillResult {
    guard ProgramFolder.has(Self.standIn) else {
      return DrillResult(
        rounds: [],
        findings: [
          .skipped(
            "restarts", "as many as the budget allows", because: "no \(Self.standIn): a part of the tests")
        ])
    }
    var rounds: [DrillRound] = []
    func add(_ round: DrillRound) {
      rounds.append(round)
      narrate(
        "\(drill.id) round \(rounds.count): \(round.problem ?? round.findings.map(\.found).joined(separator: "; "))"
      )
    }
    // The kill itself costs one restart; each start that ends at once another.
    for ends in 0...4 where !bulkhead_stop_requested() {
      let plan = (0..<ends).map { "\($0 + 2):exit=1" }.joined(separator: ",")
      add(crash(rounds.count, plan, restarts: min(ends + 1, Self.limit), endsDown: ends >= Self.limit))
    }
    if !bulkhead_stop_requested() {
      add(crash(rounds.count, "2:exit=78", restarts: 1, endsDown: true, code: "permanent"))
      add(
        crash(rounds.count, "*:exit=1", restarts: Self.limit, endsDown: true, code: "bound", supervisors: 2))
      add(clear(rounds.count))
    }
    return DrillResult(rounds: rounds)
  }

  /// A day in which bookd is killed once, and its successors do as planned.
  /// - Parameter supervisors: so many are killed as well while they restart it, each with a wait between two restarts.
  private func crash(
    _ number: Int, _ plan: String, restarts: Int, endsDown: Bool, code: String = "restarts",
    supervisors: Int = 0
  ) -> DrillRound {
    var round = DrillRound(number: number)
    round.touched = ["bookd", "watchdogd"]
    do throws(DrillFailure) {
      guard let folder = ProgramFolder(replacing: "bookd", by: .file(Self.standIn)) else {
        throw DrillFailure("cannot make a folder of programs")
      }
      setenv("BULKHEAD_STANDIN", plan, 1)
      setenv("BULKHEAD_STANDIN_COUNT", "\(folder.path)/count", 1)
      defer {
        unsetenv("BULKHEAD_STANDIN")
        unsetenv("BULKHEAD_STANDIN_COUNT")
      }
      let backoff = supervisors > 0 ? ["stage.bookd.restart_backoff=300ms"] : []
      let set = try DrilledSet(
        place: DrillPlace(round: number), round: number, options: options, drill: drill, settings: backoff,
        arguments: Self.steadyPace, programs: folder.path, hasEndlessBudgets: false)
      set.scripted = ["bookd"]
      wait(for: firstBlow, in: set)
      round.before = set.footprints()
      let epoch = set.epoch("bookd")
      set.strike(set.pid("bookd"))
      for _ in 0..<supervisors {
        let before = set.events.count
        try awaitEvent("another start of bookd", in: set) {
          set.events.dropFirst(before).contains { $0.event == .started && $0.component == "bookd" }
        }
        let supervisor = set.epoch("watchdogd")
        set.strike(set.pid("watchdogd"))
        try awaitEvent("another watchdogd", in: set) { set.isReady("watchdogd", after: supervisor) }
      }
      try awaitEvent("what follows the crash loop", in: set) {
        set.events.contains { $0.event == .leftDown && $0.component == "bookd" }
          || (!endsDown && set.isReady("bookd", after: epoch))
      }
      usleep(Self.settleMicroseconds)
      set.readEvents()
      let starts = (readText("\(folder.path)/count") ?? "").utf8.count
      let isDown = set.events.contains { $0.event == .leftDown && $0.component == "bookd" }
      let words = "\(plan.isEmpty ? "no end" : plan): \(starts - 1) restarts\(isDown ? ", left down" : "")"
      round.findings = [
        DrillFinding(
          code, Self.texts[code] ?? "", found: words, holds: starts == restarts + 1 && isDown == endsDown)
      ]
      round.findings += Self.others(
        of: set, but: "bookd", before: round.before, alsoSupervisor: supervisors > 0)
      round.after = set.footprints()
      if endsDown {
        round.findings.append(Self.haltFinding(set))
        round.hasWholeDay = false
        set.stop()
      } else {
        round.outcome = try set.outcome()
      }
    } catch {
      round.problem = error.words
    }
    return round
  }

  private static let texts = [
    "restarts": "as many as the budget allows, then down", "permanent": "a permanent end is not tried again",
    "bound": "never more, whoever supervises",
  ]

  /// What the supervisor says to everybody of a stage that is left down.
  private static func haltFinding(_ set: DrilledSet) -> DrillFinding {
    let isTold = set.events.contains {
      $0.event == .action && $0.tier == ActionResult.done.rawValue
        && $0.component == "bookd" && $0.remark == SafetyAction.haltStream.name
    }
    return DrillFinding(
      "halted", "left down: recorded, the stream halted", found: isTold ? "told" : "not told", holds: isTold)
  }

  /// The others: the same process, alive.
  static func others(
    of set: DrilledSet, but victim: String, before: [ProcessFootprint], alsoSupervisor: Bool = false
  ) -> [DrillFinding] {
    let wrong = before.filter { $0.name != victim && !(alsoSupervisor && $0.name == "watchdogd") }.filter {
      set.pid($0.name) != $0.pid || Glibc.kill($0.pid, 0) != 0
    }
    return [
      DrillFinding(
        "others", "nobody else dies", found: wrong.isEmpty ? "\(before.count - 1) untouched" : wrong[0].name,
        holds: wrong.isEmpty)
    ]
  }

  /// A budget of two in four seconds: two deaths, the window, two more; then a third at once is one too many.
  private func clear(_ number: Int) -> DrillRound {
    var round = DrillRound(number: number)
    round.touched = ["pubd"]
    round.hasWholeDay = false
    do throws(DrillFailure) {
      let set = try DrilledSet(
        place: DrillPlace(round: number), round: number, options: options, drill: drill,
        settings: [
          "stage.pubd.restart_limit=\(Self.shortLimit)",
          "stage.pubd.restart_window=\(Self.shortWindowSeconds)s",
        ], arguments: ["--rate", String(max(1_000, options.messages / 60))], hasEndlessBudgets: false)
      func crash() throws(DrillFailure) {
        let epoch = set.epoch("pubd")
        set.strike(set.pid("pubd"))
        try awaitEvent("pubd", in: set) {
          set.isReady("pubd", after: epoch)
            || set.events.contains { $0.event == .leftDown && $0.component == "pubd" }
        }
      }
      func isDown() -> Bool { set.events.contains { $0.event == .leftDown && $0.component == "pubd" } }
      for _ in 0..<Self.shortLimit { try crash() }
      usleep(UInt32(Self.shortWindowSeconds) * 1_000_000 + 500_000)
      for _ in 0..<Self.shortLimit { try crash() }
      let survived = !isDown()
      set.strike(set.pid("pubd"))
      try awaitEvent("pubd is left down", in: set) { isDown() }
      let starts = set.events.filter { $0.event == .started && $0.component == "pubd" }.count
      round.findings = [
        DrillFinding(
          "clears", "the count clears with its window, and not before",
          found: "\(starts - 1) restarts, \(survived ? "then left down" : "left down too soon")",
          holds: survived && starts == 2 * Self.shortLimit + 1)
      ]
      set.stop()
    } catch {
      round.problem = error.words
    }
    return round
  }

  // MARK: What scripts share

  /// Slow enough that a day lasts as long as a script.
  static let steadyPace = ["--rate", "60000"]

  func wait(for messages: UInt64, in set: DrilledSet) {
    while set.messagesApplied < messages, !set.hasEnded, !bulkhead_stop_requested() { usleep(500) }
  }

  /// Reads what the supervisor tells until something holds.
  func awaitEvent(
    _ what: String, in set: DrilledSet, seconds: UInt64 = 30, _ holds: () -> Bool
  ) throws(DrillFailure) {
    let deadline = bulkhead_monotonic_nanoseconds() + seconds * 1_000_000_000
    while true {
      set.readEvents()
      if holds() { return }
      guard !set.hasEnded else { throw DrillFailure("\(what): the run has ended") }
      guard bulkhead_monotonic_nanoseconds() < deadline else {
        throw DrillFailure("\(what): not within \(seconds) s")
      }
      usleep(1_000)
    }
  }
}
