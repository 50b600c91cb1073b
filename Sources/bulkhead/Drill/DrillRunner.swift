import CLinux
import Drills
import Glibc
import StageRecords
import StageRuntime
import Supervision

/// What came of a drill.
struct DrillResult {
  var rounds: [DrillRound]
  /// What holds of all rounds together.
  var findings: [DrillFinding] = []
  var tables: [DrillTable] = []
}

/// Runs one drill: rounds of a set under load, blows at the moments of the schedule, and what they did.
struct DrillRunner {
  static let recoveryNanoseconds: UInt64 = 30_000_000_000
  /// Blows begin when the day is under way and end before its end, so that each meets full load.
  static let firstShare: UInt64 = 3
  static let lastShare: UInt64 = 85

  let drill: Drill
  let options: DrillOptions
  /// Kills that are wanted; 0 for a drill that counts none.
  let killsWanted: Int

  init(drill: Drill, options: DrillOptions) {
    self.drill = drill
    self.options = options
    switch drill.method {
    case .kill: killsWanted = options.kills ?? 200
    // A round each.
    case .wholeSet: killsWanted = min(options.kills ?? 20, 50)
    // Stops that are wanted: all that are planned.
    case .pauses: killsWanted = options.kills ?? .max
    // Failing incarnations; stops of everybody.
    case .livelock: killsWanted = options.kills ?? 6
    case .actions: killsWanted = options.kills ?? 20
    case .baseline, .chaos, .tornRecords, .failpoints, .soak, .quiet, .overload, .scripted: killsWanted = 0
    }
  }

  func run() -> DrillResult {
    switch drill.method {
    case .pauses: DrillResult(rounds: runPauses())
    case .livelock: DrillResult(rounds: runLivelocks())
    case .actions: DrillResult(rounds: runActions())
    case .soak: runSoak()
    case .quiet: runQuiet()
    case .overload: runOverload()
    case .scripted: runScript()
    default: DrillResult(rounds: runBlows())
    }
  }

  /// What one drill alone does.
  private func runScript() -> DrillResult {
    switch drill.id {
    case "D-11": return runCrashLoops()
    case "D-36": return runStops()
    case "D-37": return runUpgrades()
    case "D-44L": return runLeaks()
    default: preconditionFailure("\(drill.id) has no script")
    }
  }

  private func runBlows() -> [DrillRound] {
    var rounds: [DrillRound] = []
    let deadline = bulkhead_monotonic_nanoseconds() + options.seconds * 1_000_000_000
    var kills = 0
    while !bulkhead_stop_requested() {
      let round =
        drill.method == .wholeSet
        ? performLoss(number: rounds.count)
        : perform(number: rounds.count, killsWanted: min(drill.killsPerRound, wanted(after: kills)))
      rounds.append(round)
      kills += round.kills.count
      narrate(
        "\(drill.id) round \(rounds.count): \(kills)\(killsWanted > 0 ? " of \(killsWanted)" : "") kills, \(round.pauses) stops, \(round.liveOrders) live orders at the first, \(round.problem ?? round.outcome.verdict)"
      )
      if round.problem != nil { break }
      if case .chaos = drill.method {
        if bulkhead_monotonic_nanoseconds() > deadline { break }
      } else if kills >= killsWanted {
        break
      } else if round.kills.isEmpty {
        // A day too short for a blow would go on for ever.
        rounds[rounds.count - 1].problem = "no blow fell into the day: it is too short"
        break
      }
    }
    return rounds
  }

  /// The message behind which the blows begin.
  var firstBlow: UInt64 {
    let opening = min(options.openingMessages, options.messages)
    return opening + (options.messages - opening) * Self.firstShare / 100
  }

  private func wanted(after kills: Int) -> Int { killsWanted > 0 ? killsWanted - kills : Int.max }

  private func perform(number: Int, killsWanted: Int) -> DrillRound {
    var round = DrillRound(number: number)
    do throws(DrillFailure) {
      let tape = drill.hasTape ? DrillTape(round: number) : nil
      let set = try DrilledSet(
        place: DrillPlace(round: number), round: number, options: options, drill: drill, tape: tape)
      while set.messagesApplied < firstBlow, !set.hasEnded { usleep(500) }
      round.before = set.footprints()
      round.liveOrders = set.liveOrders
      var schedule = DrillSchedule(drill: drill, seed: options.seed, round: number)
      while drill.killsPerRound > 0, round.kills.count < killsWanted, !bulkhead_stop_requested() {
        let (wait, blow) = schedule.next()
        usleep(wait)
        guard set.messagesApplied < options.messages * Self.lastShare / 100, !set.hasEnded else { break }
        switch blow {
        case .kill(let victims):
          let standby = set.epoch("standby")
          round.kills += try kill(victims, in: set, round: number)
          guard drill.hasStandby else { continue }
          // The day may be over when the next standby is there.
          round.after = set.footprints()
          try awaitStandby(in: set, after: standby)
        case .pause(let victim, let microseconds):
          pause(victim, microseconds, in: set)
          round.pauses += 1
        }
      }
      try awaitEverybody(in: set)
      round.after = set.footprints().map { last in
        guard last.descriptors == 0, let before = round.after.first(where: { $0.name == last.name }) else {
          return last
        }
        return last.holding(what: before)
      }
      round.outcome = try set.outcome()
    } catch {
      round.problem = error.words
    }
    return round
  }

  /// Stops a process for a moment. Its successor, if it dies meanwhile, has another number.
  private func pause(_ name: String, _ microseconds: UInt32, in set: DrilledSet) {
    let pid = set.pid(name)
    guard pid > 0, Glibc.kill(pid, SIGSTOP) == 0 else { return }
    usleep(microseconds)
    Glibc.kill(pid, SIGCONT)
  }

  /// Somebody who was hit, until it is known what followed.
  struct Victim {
    let name: String
    let pid: pid_t
    let epoch: UInt64
    let outputPosition: UInt64?
    var measurement: KillMeasurement
  }

  /// Kills them and, unless this is chaos, waits until all are READY again.
  private func kill(
    _ names: [String], in set: DrilledSet, round: Int
  ) throws(DrillFailure) -> [KillMeasurement] {
    set.readEvents()
    let eventsBefore = set.events.count
    var victims: [Victim] = []
    for name in names {
      let pid = set.pid(name)
      let epoch = set.epoch(name)
      let position = set.outputPosition(name)
      let now = bulkhead_monotonic_nanoseconds()
      // One that is down already, or about to be replaced, is nobody's victim.
      guard pid > 0, Glibc.kill(pid, SIGKILL) == 0 else { continue }
      victims.append(
        Victim(
          name: name, pid: pid, epoch: epoch, outputPosition: position,
          measurement: KillMeasurement(component: name, round: round, killedAt: now)))
    }
    guard drill.method != .chaos else {
      return victims.map {
        var measurement = $0.measurement
        // In chaos a death may come in the middle of another one's recovery: causes are judged by the kind drills.
        measurement.cause = "\(ExitCause.killed)"
        return measurement
      }
    }
    let deadline = bulkhead_monotonic_nanoseconds() + Self.recoveryNanoseconds
    while !victims.allSatisfy({ hasRecovered($0, in: set) && isWrittenDown($0, in: set, since: eventsBefore) }
    ) {
      for index in victims.indices { watch(&victims[index], in: set) }
      set.readEvents()
      guard bulkhead_monotonic_nanoseconds() < deadline else {
        throw DrillFailure("\(names.joined(separator: " and ")) not READY again after 30 s")
      }
      usleep(100)
    }
    return victims.map { conclude($0, in: set, since: eventsBefore) }
  }

  /// The next blow is to find a standby.
  private func awaitStandby(in set: DrilledSet, after epoch: UInt64) throws(DrillFailure) {
    let deadline = bulkhead_monotonic_nanoseconds() + Self.recoveryNanoseconds
    while !set.hasStandby(after: epoch), !set.hasEnded, set.messagesApplied < options.messages {
      guard bulkhead_monotonic_nanoseconds() < deadline else { throw DrillFailure("no standby after 30 s") }
      usleep(500)
    }
  }

  /// A standby has its place before the system has taken the dead process down, and says how it ended.
  private func isWrittenDown(_ victim: Victim, in set: DrilledSet, since index: Int) -> Bool {
    !drill.hasStandby || set.hasEnded
      || set.events[index...].contains { $0.pid == victim.pid && $0.event == .died }
  }

  private func hasRecovered(_ victim: Victim, in set: DrilledSet) -> Bool {
    guard set.isReady(victim.name, after: victim.epoch) else { return false }
    return victim.outputPosition == nil || victim.measurement.nanoseconds[.flow] != nil || set.hasEnded
      || set.messagesApplied >= options.messages
  }

  /// Takes down what can only be seen while it happens.
  private func watch(_ victim: inout Victim, in set: DrilledSet) {
    guard let before = victim.outputPosition, victim.measurement.nanoseconds[.flow] == nil,
      set.epoch(victim.name) > victim.epoch, let now = set.outputPosition(victim.name), now > before
    else { return }
    victim.measurement.set(.flow, from: victim.measurement.killedAt, to: bulkhead_monotonic_nanoseconds())
  }

  /// What the successor's page and the supervisor's record say.
  func conclude(_ victim: Victim, in set: DrilledSet, since index: Int) -> KillMeasurement {
    var measurement = victim.measurement
    let box = set.page(victim.name)
    measurement.set(.recover, from: measurement.killedAt, to: box?.page.readyTime ?? 0)
    set.readEvents()
    if victim.name == InstanceFiles.supervisor {
      // Its death is seen by whoever runs it, who keeps no record of it.
      measurement.cause = "\(ExitCause.killed)"
      return measurement
    }
    let own = set.events[index...].filter { $0.pid == victim.pid }
    if let first = own.first(where: { $0.event == .dying || $0.event == .died }) {
      measurement.set(.detect, from: measurement.killedAt, to: first.instant)
    }
    if let death = own.first(where: { $0.event == .died }) {
      measurement.set(.restart, from: death.instant, to: box?.page.beganTime ?? 0)
      measurement.cause = ExitCause(code: death.cause, number: death.code).map { "\($0)" } ?? "no cause"
    }
    return measurement
  }

  /// After the last blow: everybody READY, in whatever incarnation.
  func awaitEverybody(in set: DrilledSet) throws(DrillFailure) {
    let deadline = bulkhead_monotonic_nanoseconds() + Self.recoveryNanoseconds
    while !set.everybody.allSatisfy({ set.isReady($0, after: 0) }) {
      if set.hasEnded { return }
      guard bulkhead_monotonic_nanoseconds() < deadline else {
        let down = set.everybody.filter { !set.isReady($0, after: 0) }
        throw DrillFailure("not READY again after 30 s: \(down.joined(separator: ", "))")
      }
      usleep(1_000)
    }
  }
}
