import CLinux
import Drills
import Glibc
import StageRuntime
import Supervision

extension DrillRunner {
  /// Messages behind the loss that are on no line again: they have to be asked for.
  private static let unsentMessages: UInt64 = 20_000

  /// A day in which everybody dies at once and all shared memory is gone. What is brought up then has a tape, a venue that
  /// knows its day, and lines that speak again some thousands of messages later.
  func performLoss(number: Int) -> DrillRound {
    var round = DrillRound(number: number)
    var schedule = DrillSchedule(drill: drill, seed: options.seed, round: number)
    let goal = options.messages * schedule.shareBeforeLoss() / 100
    let tape = DrillTape(round: number)
    do throws(DrillFailure) {
      let place = DrillPlace(round: number)
      let first = try DrilledSet(
        place: place, round: number, options: options, drill: drill, tape: tape)
      while first.messagesApplied < goal, !first.hasEnded { usleep(500) }
      guard !first.hasEnded else { throw DrillFailure("the day was over before everything was lost") }
      let reached = first.messagesApplied
      var loss = KillMeasurement(
        component: "everybody", round: number, killedAt: bulkhead_monotonic_nanoseconds())
      // Nobody is left to write it down.
      loss.isCauseJudged = false
      let recorded = first.loseEverything()
      // The drill's own look at the tape is no part of the set's way back.
      let looked = bulkhead_monotonic_nanoseconds()
      let next = try tape.nextSequence(of: place.instance)
      let begun = loss.killedAt + (bulkhead_monotonic_nanoseconds() - looked)
      let second = try DrilledSet(
        place: place, round: number, options: options, drill: drill, tape: tape,
        linesFrom: min(reached + Self.unsentMessages, options.messages * 9 / 10), readsFrames: true)
      let deadline = begun + Self.recoveryNanoseconds
      while !(second.isReady("bookd", after: 0) && second.messagesApplied >= recorded), !second.hasEnded {
        guard bulkhead_monotonic_nanoseconds() < deadline else {
          throw DrillFailure("the books of sequence \(recorded) are not there again after 30 s")
        }
        usleep(200)
      }
      loss.set(.recover, from: begun, to: bulkhead_monotonic_nanoseconds())
      round.kills = [loss]
      round.outcome = try second.outcome()
      round.findings = [Self.origin(round.outcome, next)]
    } catch {
      round.problem = error.words
    }
    return round
  }

  /// Where a set's stream begins whose predecessor's shared memory is gone: behind its tape, with the very next message.
  static func origin(_ outcome: DrillRound.Outcome, _ next: UInt64) -> DrillFinding {
    DrillFinding(
      "origin", "the stream goes on with the message behind the tape",
      found: "\(outcome.continuedAt ?? 1), tape to \(next &- 1)", holds: outcome.continuedAt == next)
  }
}
