import CLinux
import Drills
import Glibc
import StageRecords
import StageRuntime
import Supervision

extension DrillRunner {
  /// After a stop, until everything that follows from it has been written down: longer than the ladder takes to be clear again.
  private static let settleMicroseconds: UInt32 = 400_000

  /// Days in which stages are stopped, as many as the plan needs.
  func runPauses() -> [DrillRound] {
    var schedule = DrillSchedule(drill: drill, seed: options.seed, round: 0)
    var plan = schedule.pauses().prefix(killsWanted)
    var rounds: [DrillRound] = []
    while !plan.isEmpty, !bulkhead_stop_requested() {
      let round = performPauses(number: rounds.count, &plan)
      rounds.append(round)
      narrate(
        "\(drill.id) round \(rounds.count): \(rounds.reduce(0) { $0 + $1.stops.count }) stops, \(plan.count) to go, \(round.problem ?? round.outcome.verdict)"
      )
      if round.problem != nil { break }
      if round.stops.isEmpty {
        rounds[rounds.count - 1].problem = "no stop fell into the day: it is too short"
        break
      }
    }
    return rounds
  }

  private func performPauses(
    number: Int, _ plan: inout ArraySlice<(stage: String, microseconds: UInt32)>
  ) -> DrillRound {
    var round = DrillRound(number: number)
    do throws(DrillFailure) {
      let set = try DrilledSet(
        place: DrillPlace(round: number), round: number, options: options, drill: drill)
      while set.messagesApplied < firstBlow, !set.hasEnded { usleep(500) }
      while let next = plan.first, !bulkhead_stop_requested() {
        guard set.messagesApplied < options.messages * Self.lastShare / 100, !set.hasEnded else { break }
        plan.removeFirst()
        if let stop = try stop(next.stage, next.microseconds, in: set, round: number) {
          round.stops.append(stop)
          round.pauses += 1
        }
      }
      try awaitEverybody(in: set)
      round.outcome = try set.outcome()
    } catch {
      round.problem = error.words
    }
    return round
  }

  /// Stops a stage, lets it go on, and reads what the supervisor made of it.
  private func stop(
    _ name: String, _ microseconds: UInt32, in set: DrilledSet, round: Int
  ) throws(DrillFailure) -> PauseMeasurement? {
    set.readEvents()
    let before = set.events.count
    let pid = set.pid(name)
    let epoch = set.epoch(name)
    let standby = set.epoch("standby")
    let began = bulkhead_monotonic_nanoseconds()
    guard set.strike(pid, SIGSTOP) else { return nil }
    usleep(microseconds)
    // A process that was ended meanwhile does not wake up; its number is nobody's yet, or a stranger's that runs anyway.
    Glibc.kill(pid, SIGCONT)
    var measurement = PauseMeasurement(
      component: name, round: round, heldFor: bulkhead_monotonic_nanoseconds() - began)
    usleep(Self.settleMicroseconds)
    set.readEvents()
    let records = set.events[before...].filter { $0.component == name }
    var died: UInt64?
    for record in records where record.instant >= began {
      switch record.event {
      case .alarm:
        guard record.pid == pid, let tier = LivenessTier(rawValue: record.tier) else { continue }
        measurement.fired[tier.name] = record.instant - began
        // At the mark there is nothing to compare with yet; once it goes on, the cause is another one.
        if tier > .mark, record.instant - began < measurement.heldFor {
          measurement.causes.append(StallCause(rawValue: record.cause)?.name ?? "no cause")
        }
      case .died where record.pid == pid: died = record.instant
      case .started:
        measurement.successorFollowedDeath =
          (died.map { $0 <= record.instant } ?? false) && measurement.successorFollowedDeath != false
      default: continue
      }
    }
    if died != nil {
      let deadline = bulkhead_monotonic_nanoseconds() + Self.recoveryNanoseconds
      while !set.isReady(name, after: epoch) || (drill.hasStandby && !set.hasStandby(after: standby)),
        !set.hasEnded
      {
        guard bulkhead_monotonic_nanoseconds() < deadline else {
          throw DrillFailure("\(name) not READY again after 30 s")
        }
        usleep(1_000)
      }
    }
    return measurement
  }
}
