import CLinux
import Drills
import Glibc
import SetInspection
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
  /// For so long a run is stopped at most, while its publisher is to find out by itself that the stream is stale.
  private static let heldNanoseconds: UInt64 = 300_000_000
  /// Looks at everybody's beats, a millisecond apart, that make a baseline.
  private static let baselineLooks = 5_000
  /// Latest share of the day by which it is known what is usual of the set.
  private static let learningShare: UInt64 = 40
  /// The same where no times are judged: a short day is there for its blows.
  private static let shortLearningShare: UInt64 = 12

  let drill: Drill
  let options: DrillOptions
  /// Kills that are wanted; 0 for a drill that counts none.
  let killsWanted: Int
  /// Who knows when the machine stood still; nil where no times are judged.
  let machine: MachineWatch?

  init(drill: Drill, options: DrillOptions, machine: MachineWatch? = nil) {
    self.drill = drill
    self.machine = machine
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
      if drill.method == .baseline {
        // Where times are judged, others are measured by it.
        if !options.judgesTimes || rounds.reduce(0, { $0 + $1.beats.looks }) >= Self.baselineLooks { break }
      } else if case .chaos = drill.method {
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
  var firstBlow: UInt64 { behindOpening(percent: Self.firstShare) }

  /// The message behind which that much of the day is over that comes after its opening.
  private func behindOpening(percent: UInt64) -> UInt64 {
    let opening = min(options.openingMessages, options.messages)
    return opening + (options.messages - opening) * percent / 100
  }

  private func wanted(after kills: Int) -> Int { killsWanted > 0 ? killsWanted - kills : Int.max }

  private func perform(number: Int, killsWanted: Int) -> DrillRound {
    var round = DrillRound(number: number)
    do throws(DrillFailure) {
      let tape = drill.hasTape ? DrillTape(round: number) : nil
      let set = try DrilledSet(
        place: DrillPlace(round: number), round: number, options: options, drill: drill, tape: tape,
        readsFrames: true)
      // A set that is READY and has nothing to do yet is a part of what is usual: who is dead leaves others without work.
      if drill.method == .baseline { round.beats = beats(in: set, before: firstBlow) }
      while set.messagesApplied < firstBlow, !set.hasEnded { usleep(500) }
      round.before = set.steadyFootprints()
      round.liveOrders = set.liveOrders
      let load = SetLoad(set, victims: drill.isOfKills ? drill.victims ?? [] : [])
      let share = options.judgesTimes ? Self.learningShare : Self.shortLearningShare
      load.learn(before: behindOpening(percent: share))
      round.usual = load.usual
      var schedule = DrillSchedule(drill: drill, seed: options.seed, round: number)
      var lastBlow = bulkhead_monotonic_nanoseconds()
      var newest = 0
      while drill.killsPerRound > 0, round.kills.count < killsWanted, !bulkhead_stop_requested() {
        let (wait, blow) = schedule.next()
        watchReturn(of: &round, from: newest, wait: wait, load)
        newest = round.kills.count
        guard set.messagesApplied < options.messages * Self.lastShare / 100, !set.hasEnded else { break }
        switch blow {
        case .kill(let victims):
          let standby = set.epoch("standby")
          if drill.leavesMarkToPublisher { try awaitLive(in: set) }
          // Every second one of both, from the first on, with nobody to bring the supervisor back.
          let isHeld =
            drill.leavesMarkToPublisher && round.kills.count / max(1, victims.count) % 2 == 0
          round.kills += try kill(victims, in: set, round: number, load, holding: isHeld)
          lastBlow = bulkhead_monotonic_nanoseconds()
          guard drill.hasStandby else { continue }
          watchReturn(of: &round, from: newest, wait: 0, load)
          newest = round.kills.count
          // The day may be over when the next standby is there.
          round.after = set.footprints()
          try awaitStandby(in: set, after: standby)
        case .pause(let victim, let microseconds):
          pause(victim, microseconds, in: set)
          lastBlow = bulkhead_monotonic_nanoseconds()
          round.pauses += 1
        }
      }
      watchReturn(of: &round, from: newest, wait: 0, load)
      if drill.method == .baseline {
        round.beats.add(beats(in: set, before: options.messages * Self.lastShare / 100))
      }
      try awaitEverybody(in: set)
      let converged = bulkhead_monotonic_nanoseconds() - lastBlow
      set.awaitReader()
      round.after = set.steadyFootprints().map { last in
        guard last.descriptors == 0, let before = round.after.first(where: { $0.name == last.name }) else {
          return last
        }
        return last.holding(what: before)
      }
      set.readEvents()
      round.findings = bystanderAlarms(set.events)
      round.outcome = try set.outcome()
      if drill.method == .chaos {
        for index in round.kills.indices where round.kills[index].isCauseJudged {
          round.kills[index].cause = set.cause(of: round.kills[index].pid) ?? ""
        }
        round.findings.append(Self.converged(within: converged))
      }
      if drill.method == .kill(victims: ["bookd"]) {
        round.findings.append(
          DrillFinding(
            "requests", "nothing is asked of the venue again", found: "\(round.outcome.requests)",
            holds: round.outcome.requests == 0, isOfTimes: true))
      }
    } catch {
      round.problem = error.words
    }
    return round
  }

  private static let convergenceNanoseconds: UInt64 = 10_000_000_000

  private static func converged(within nanoseconds: UInt64) -> DrillFinding {
    DrillFinding(
      "converge", "everybody READY within 10 s of the last blow", found: duration(nanoseconds),
      holds: nanoseconds <= convergenceNanoseconds, isOfTimes: true)
  }

  /// How old everybody's beats are, looked at each millisecond until the day has come so far.
  private func beats(in set: DrilledSet, before messages: UInt64) -> BeatBaseline {
    var beats = BeatBaseline()
    while set.messagesApplied < messages, !set.hasEnded, !bulkhead_stop_requested() {
      usleep(1_000)
      for name in set.everybody { if let age = set.beatAge(name) { beats.record(name, age: age) } }
    }
    return beats
  }

  /// C8: nobody who was not hit may be told of as not working. That the machine gave its processors to others is a matter of times.
  private func bystanderAlarms(_ events: [SupervisionRecord]) -> [DrillFinding] {
    guard let victims = drill.victims else { return [] }
    let alarms = events.filter {
      $0.event == .alarm && $0.tier >= LivenessTier.alarm.rawValue && !victims.contains($0.component)
    }
    let isOfHost = alarms.allSatisfy { StallCause(rawValue: $0.cause)?.isOfTheHost == true }
    return [
      DrillFinding(
        "C8 S2", "no alarm about a bystander",
        found: alarms.first.map {
          "\(alarms.count), first: \($0.component) \(StallCause(rawValue: $0.cause)?.name ?? "")"
        } ?? "none", holds: alarms.isEmpty, isOfTimes: !alarms.isEmpty && isOfHost)
    ]
  }

  /// Looks whether the set is as it was before the newest blow, at least until the next one is due. After every second blow the
  /// next one waits for it, where times are judged; the others hit a set that still catches up.
  /// - Parameter first: of the newest blow's kills.
  private func watchReturn(of round: inout DrillRound, from first: Int, wait: UInt32, _ load: SetLoad) {
    let dueAt = bulkhead_monotonic_nanoseconds() + UInt64(wait) * 1_000
    let newest = round.kills.indices[first...]
    let readyAt = newest.compactMap { index in
      round.kills[index].nanoseconds[.recover].map { round.kills[index].killedAt + $0 }
    }.max()
    if drill.isOfKills, let readyAt {
      let isAwaited = options.judgesTimes && first / max(1, newest.count) % 2 == 0
      let (result, settledAfter) = load.watch(
        readyAt: readyAt, until: isAwaited ? .max : dueAt, before: options.messages * Self.lastShare / 100)
      for index in newest {
        round.kills[index].set(result, settledAfter: settledAfter)
        round.kills[index].bystanderGaps = load.beats.longest(machine)
      }
    }
    let now = bulkhead_monotonic_nanoseconds()
    if now < dueAt { usleep(UInt32((dueAt - now) / 1_000)) }
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
  /// - Parameter holding: whether the run is stopped until a client of the publisher knows that the stream is stale, at most for
  ///   ``heldNanoseconds``: no supervisor comes meanwhile who could say so.
  private func kill(
    _ names: [String], in set: DrilledSet, round: Int, _ load: SetLoad, holding: Bool
  ) throws(DrillFailure) -> [KillMeasurement] {
    set.readEvents()
    let eventsBefore = set.events.count
    var victims: [Victim] = []
    load.beats.begin(except: names + (drill.victims ?? []))
    if holding { set.ask(SIGSTOP) }
    for name in names {
      let pid = set.pid(name)
      let epoch = set.epoch(name)
      let position = set.outputPosition(name)
      let now = bulkhead_monotonic_nanoseconds()
      // One that is down already, or about to be replaced, is nobody's victim.
      guard set.strike(pid) else { continue }
      victims.append(
        Victim(
          name: name, pid: pid, epoch: epoch, outputPosition: position,
          measurement: KillMeasurement(component: name, round: round, killedAt: now, pid: pid)))
    }
    if holding {
      let began = bulkhead_monotonic_nanoseconds()
      while let killedAt = victims.first?.measurement.killedAt,
        set.toldStale(since: killedAt) == nil,
        bulkhead_monotonic_nanoseconds() - began < Self.heldNanoseconds
      {
        load.beats.look()
        usleep(200)
      }
      set.ask(SIGCONT)
    }
    guard drill.method != .chaos else {
      return victims.map {
        // Its cause is looked up when the day is over: a death may come in the middle of another one's recovery.
        var measurement = $0.measurement
        measurement.isCauseJudged = $0.name != InstanceFiles.supervisor
        return measurement
      }
    }
    let deadline = bulkhead_monotonic_nanoseconds() + Self.recoveryNanoseconds
    while !victims.allSatisfy({ hasRecovered($0, in: set) && isWrittenDown($0, in: set, since: eventsBefore) }
    ) {
      for index in victims.indices { watch(&victims[index], in: set) }
      load.beats.look()
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

  /// Who was told that the stream is stale cannot be told so again; it takes a moment behind READY until it may be believed.
  private func awaitLive(in set: DrilledSet) throws(DrillFailure) {
    let deadline = bulkhead_monotonic_nanoseconds() + Self.recoveryNanoseconds
    while set.toldStale(since: bulkhead_monotonic_nanoseconds()) != nil, !set.hasEnded {
      guard bulkhead_monotonic_nanoseconds() < deadline else {
        throw DrillFailure("the stream is not live again after 30 s")
      }
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
      measurement.isCauseJudged = false
      return measurement
    }
    let own = set.events[index...].filter { $0.pid == victim.pid }
    if let first = own.first(where: { $0.event == .dying || $0.event == .died }) {
      measurement.set(.detect, from: measurement.killedAt, to: first.instant)
    }
    if drill.leavesMarkToPublisher {
      measurement.set(
        .stale, from: measurement.killedAt, to: set.toldStale(since: measurement.killedAt) ?? 0)
    } else if set.wasMarkedStale(at: measurement.killedAt) {
      // Of the death before: nobody has taken the mark back, so nothing is to be marked.
      measurement.set(.stale, from: measurement.killedAt, to: measurement.killedAt)
    } else if let stale = set.events[index...].first(where: {
      DrilledSet.marksStale($0) && $0.component == victim.name
    }) {
      measurement.set(
        .stale, from: measurement.killedAt, to: stale.instant &+ UInt64(clamping: stale.code))
    }
    if let death = own.first(where: { $0.event == .died }) {
      measurement.set(.restart, from: death.instant, to: box?.page.beganTime ?? 0)
      measurement.cause = death.exitCause.map { "\($0)" } ?? "no cause"
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
        throw set.failure("not READY again after 30 s: \(down.joined(separator: ", "))")
      }
      usleep(1_000)
    }
  }
}
