import CLinux
import Drills
import Glibc
import StageRecords
import StageRuntime
import Supervision

/// Graceful stops (D-36): SIGTERM in the midst of a day, while snapshots are written, twice, and with a stage that does not stop. The
/// set comes up again from its tape, and the day ends exact.
extension DrillRunner {
  private enum Stop: String, CaseIterable {
    case load = "under load"
    case snapshot = "while snapshots are written"
    case twice = "asked twice"
    case stuck = "with a stage that does not stop"
  }

  private static let drainMilliseconds: UInt64 = 2_000
  /// What a stage that does not stop is waited for, and some for its death.
  private static let stuckMilliseconds: UInt64 = 11_000
  private static let unsentMessages: UInt64 = 20_000

  func runStops() -> DrillResult {
    var rounds: [DrillRound] = []
    let times = max(1, (options.kills ?? 4) / 4)
    for _ in 0..<times {
      for stop in Stop.allCases where !bulkhead_stop_requested() {
        let round = perform(stop, number: rounds.count)
        rounds.append(round)
        narrate(
          "\(drill.id) round \(rounds.count), \(stop.rawValue): \(round.problem ?? round.findings.map(\.found).joined(separator: "; ")), \(round.outcome.verdict)"
        )
      }
    }
    return DrillResult(rounds: rounds)
  }

  private func perform(_ stop: Stop, number: Int) -> DrillRound {
    var round = DrillRound(number: number)
    var schedule = DrillSchedule(drill: drill, seed: options.seed, round: number)
    let goal = options.messages * schedule.shareBeforeLoss() / 100
    let tape = DrillTape(round: number)
    let place = DrillPlace(round: number)
    do throws(DrillFailure) {
      let first = try DrilledSet(
        place: place, round: number, options: options, drill: drill, tape: tape,
        settings: stop == .snapshot ? ["tape.snapshot_interval=100ms"] : [])
      wait(for: goal, in: first)
      guard !first.hasEnded else { throw DrillFailure("the day was over before the set was stopped") }
      let stages = first.everybody.filter { $0 != InstanceFiles.supervisor }
      if stop == .stuck { first.strike(first.pid("pubd"), SIGSTOP) }
      first.ask(SIGTERM)
      if stop == .twice {
        for _ in 0..<3 {
          usleep(3_000)
          first.ask(SIGTERM)
          Glibc.kill(first.pid(InstanceFiles.supervisor), SIGTERM)
        }
      }
      guard first.waitForEnd(seconds: 40) else { throw DrillFailure("the set does not stop") }
      first.readEvents()
      round.findings = Self.findings(stop, first, stages)
      let left = first.endSurvivors()
      round.findings.append(
        DrillFinding(
          "gone", "nobody is left", found: left.first.map { "\(left.count): \($0)" } ?? "nobody",
          holds: left.isEmpty))
      let reached = first.messagesApplied
      _ = first.loseEverything()
      let next = try tape.nextSequence(of: place.instance)
      let second = try DrilledSet(
        place: place, round: number, options: options, drill: drill, tape: tape,
        linesFrom: min(reached + Self.unsentMessages, options.messages * 9 / 10))
      round.outcome = try second.outcome()
      round.findings.append(Self.origin(round.outcome, next))
    } catch {
      round.problem = error.words
    }
    return round
  }

  private static func findings(
    _ stop: Stop, _ set: DrilledSet, _ stages: [String]
  ) -> [DrillFinding] {
    let began = set.events.last { $0.event == .stopping }?.instant ?? 0
    let ended = set.events.last { $0.event == .stopped }?.instant ?? 0
    let took = ended > began && began > 0 ? (ended - began) / 1_000_000 : .max
    let limit = stop == .stuck ? stuckMilliseconds : drainMilliseconds
    let drained = stages.filter { set.page($0)?.page.state == .drained }
    let undrained = stages.filter { !drained.contains($0) }
    // Each stage's end, in the order of the flow: whoever stops hands on before the next is asked.
    let ends = stages.map { name -> UInt64 in
      guard
        let page = try? DeathPage.attach(
          directory: set.place.directory, component: name, access: .readOnly)
      else { return 0 }
      return page.deaths().last?.instant ?? 0
    }
    let handled = stages.filter { ["merged", "bookd", "pubd", "taped"].contains($0) && drained.contains($0) }
      .map {
        $0 == "taped"
          ? set.page($0)?.page.value(TapeCounter.durableSequence) ?? 0
          : set.page($0)?.page.appliedSequence ?? 0
      }
    let tape = set.page("taped")
    // The number that it goes on with.
    let snapshot = tape?.page.value(TapeCounter.snapshotSequence) ?? 0
    let durable = tape?.page.value(TapeCounter.durableSequence) ?? 0
    return [
      DrillFinding(
        stop == .stuck ? "stuck" : "drain", "stopped within \(limit) ms",
        found: took == .max ? "no end recorded" : "\(took) ms", holds: took <= limit,
        isOfTimes: took != .max),
      DrillFinding(
        "drained", "every stage but one that hangs says that it is done",
        found: undrained.isEmpty ? "\(drained.count)" : undrained.joined(separator: ", "),
        holds: undrained == (stop == .stuck ? ["pubd"] : [])),
      DrillFinding(
        "order", "in the order of the flow", found: ends.contains(0) ? "not recorded" : "\(ends.count) ends",
        holds: ends == ends.sorted() && !ends.contains(0)),
      DrillFinding(
        "handed", "each handed on all that it took",
        found:
          "\(Set(handled).count == 1 ? "to" : "unequal:") \(handled.map(String.init).joined(separator: ", "))",
        holds: Set(handled).count == 1 && (handled.first ?? 0) > 0),
      DrillFinding(
        "snapshot", "a verified snapshot of the last message",
        found: "behind \(snapshot &- 1) of \(durable)",
        // taped's own books are waited for eight seconds: on a busy machine they may not come to the end.
        holds: snapshot == durable &+ 1, isOfTimes: took >= 8_000),
    ]
  }
}
