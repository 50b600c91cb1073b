import CLinux
import Drills
import Glibc
import StageRuntime

/// The overload ladder (D-47): days that are sent at a rate, whether anybody keeps up or not, step by step to the first limit and to
/// twice as much.
extension DrillRunner {
  private static let stepNanoseconds: UInt64 = 2_500_000_000
  private static let fewestMessages: UInt64 = 200_000

  func runOverload() -> DrillResult {
    var rounds: [DrillRound] = []
    var ladder = OverloadLadder()
    do throws(DrillFailure) {
      let full = try fullRate()
      narrate("\(drill.id): \(full) messages a second when the venue waits")
      for share in OverloadLadder.shares where !ladder.isComplete && !bulkhead_stop_requested() {
        let rate = max(1_000, full * share / 1_000)
        let round = performStep(number: rounds.count, rate: rate)
        rounds.append(round)
        guard round.problem == nil else { break }
        let step = OverloadStep(wanted: rate, outcome: round.outcome)
        ladder.add(step)
        narrate(
          "\(drill.id) \(rate)/s: sent \(step.sent)/s, out \(step.correct)/s, \(round.outcome.messagesLost) declared lost, \(step.limit?.rawValue ?? "borne")"
        )
      }
    } catch {
      var round = DrillRound(number: rounds.count)
      round.problem = error.words
      rounds.append(round)
    }
    let inexact = ladder.steps.filter { !$0.isConserved || !$0.outcome.digestsEqual }
    return DrillResult(
      rounds: rounds,
      findings: [
        DrillFinding(
          "ladder", "to the first limit, and twice as far",
          found: ladder.first.map { "first: \($0.limit?.rawValue ?? "") at \($0.wanted)/s" }
            ?? "no limit found",
          holds: ladder.isComplete,
          skipped: ladder.isComplete && !ladder.hasFoundLimit
            ? "the venue cannot send more than the set takes" : nil),
        DrillFinding(
          "steps", "in = out + declared, and exact, at every step",
          found: inexact.first.map { "\(inexact.count) not, first at \($0.wanted)/s" }
            ?? "\(ladder.steps.count)",
          holds: inexact.isEmpty && !ladder.steps.isEmpty),
      ], tables: [Self.table(ladder)])
  }

  private func performStep(number: Int, rate: UInt64) -> DrillRound {
    var round = DrillRound(number: number)
    var day = options
    day.messages = min(
      options.messages, max(Self.fewestMessages, rate * Self.stepNanoseconds / 1_000_000_000))
    do throws(DrillFailure) {
      let set = try DrilledSet(
        place: DrillPlace(round: number), round: number, options: day, drill: drill,
        arguments: ["--rate", String(rate), "--open-loop"])
      round.before = set.footprints()
      while set.messagesApplied < day.messages * Self.lastShare / 100, !set.hasEnded { usleep(1_000) }
      round.after = set.footprints()
      round.outcome = try set.outcome()
    } catch {
      round.problem = error.words
    }
    return round
  }

  private static func table(_ ladder: OverloadLadder) -> DrillTable {
    DrillTable(
      "messages a second, step by step",
      columns: [
        "wanted", "sent", "out, correct", "messages in", "out", "declared lost", "kernel drops", "laps",
        "repeated", "limit",
      ],
      rows: ladder.steps.map {
        [
          String($0.wanted), String($0.sent), String($0.correct), String($0.outcome.messagesSent),
          String($0.outcome.messagesApplied), String($0.outcome.messagesLost), String($0.outcome.kernelDrops),
          String($0.outcome.ringLaps), String($0.outcome.retransmitted), $0.limit?.rawValue ?? "-",
        ]
      })
  }
}
