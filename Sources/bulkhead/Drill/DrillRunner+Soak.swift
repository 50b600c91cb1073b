import CLinux
import Drills
import Glibc
import SetInspection
import StageRuntime
import Supervision

/// The soak (D-44): days at half rate, somebody dying every two seconds, and what everybody holds meanwhile.
extension DrillRunner {
  private static let lookMicroseconds: UInt32 = 250_000
  /// Days that come in turn: what each has to come to is computed once.
  static let daysInTurn = 3
  /// A successor that is READY has yet to touch what it will need from then on.
  private static let settlingNanoseconds: UInt64 = 4_000_000_000
  /// What a death's cause is waited for.
  fileprivate static let causeNanoseconds: UInt64 = 5_000_000_000
  private static let shadowLag: UInt64 = 50_000
  /// A short day at full rate, from which half of it is taken.
  private static let trialMessages: UInt64 = 2_000_000
  private static let fewestMessages: UInt64 = 400_000
  /// A book ring that has a day's events: pubd's replica begins with the first.
  private static func settings(messages: UInt64) -> [String] {
    func cells(_ wanted: UInt64) -> UInt64 {
      var cells: UInt64 = 1 << 20
      while cells < wanted, cells < 1 << 28 { cells *= 2 }
      return cells
    }
    // No more books than a generated day has: a successor touches all of it before it settles.
    return [
      "ring.book.cells=\(cells(messages * 5 / 2))", "ring.merged.cells=\(1 << 22)", "capacity.orders=1048576",
      "capacity.levels=262144",
    ]
  }

  func runSoak() -> DrillResult {
    do throws(DrillFailure) {
      let rate = try soakRate()
      let (rounds, samples) = soak(rate: rate)
      return DrillResult(
        rounds: rounds, findings: Self.findings(samples, rounds, rate: rate),
        tables: [Self.table(SoakJudgement(samples))])
    } catch {
      var round = DrillRound(number: 0)
      round.problem = error.words
      return DrillResult(rounds: [round])
    }
  }

  private func soakRate() throws(DrillFailure) -> UInt64 {
    if let rate = options.rate { return rate }
    let rate = try fullRate() / 2
    narrate("\(drill.id): half of the full rate is \(rate) messages a second")
    return rate
  }

  /// Rounds until the time is over, or something grows.
  private func soak(rate: UInt64) -> ([DrillRound], [SoakSample]) {
    DrilledSet.forgetDays()
    defer { DrilledSet.forgetDays() }
    var rounds: [DrillRound] = []
    var samples: [SoakSample] = []
    let deadline = bulkhead_monotonic_nanoseconds() + options.seconds * 1_000_000_000
    while !bulkhead_stop_requested() {
      let now = bulkhead_monotonic_nanoseconds()
      guard now < deadline else { break }
      let left = (deadline - now) / 1_000_000 * rate / 1_000
      guard left >= Self.fewestMessages || rounds.isEmpty else { break }
      let messages = min(options.messages, max(left, Self.fewestMessages))
      let round = performSoak(number: rounds.count, messages: messages, rate: rate, &samples)
      rounds.append(round)
      let leaks = SoakJudgement(samples).leaks.map { "\($0.component) \($0.quantity.rawValue)" }
      narrate(
        "\(drill.id) round \(rounds.count): \(rounds.reduce(0) { $0 + $1.kills.count }) kills, \(round.problem ?? round.outcome.verdict)\(leaks.isEmpty ? "" : ", grows: " + leaks.joined(separator: ", "))"
      )
      if round.problem != nil || !leaks.isEmpty { break }
    }
    return (rounds, samples)
  }

  /// What leaks in D-44L: a program, a library's order to it, what has to be found, and how much a process may have of it.
  private static let leaks: [(component: String, order: String, quantity: SoakQuantity, capacity: Double)] = [
    ("bookd", "bookd:memory=40000", .memory, 1_073_741_824),
    ("watchdogd", "watchdogd:descriptors=1", .descriptors, 1_024),
  ]

  /// The soak with leaks of its own making (D-44L): each must be found, before a tenth of what there is has leaked.
  func runLeaks() -> DrillResult {
    let library = "\(ChildProcess.programDirectory)/libdrillleak.so"
    let text = "leaks are found before a tenth is gone"
    guard access(library, R_OK) == 0 else {
      return DrillResult(
        rounds: [], findings: [.skipped("leaks", text, because: "no \(library): a part of the tests")])
    }
    var result = DrillResult(rounds: [])
    setenv("LD_PRELOAD", library, 1)
    defer {
      unsetenv("LD_PRELOAD")
      unsetenv("BULKHEAD_LEAK")
    }
    for leak in Self.leaks where !bulkhead_stop_requested() {
      setenv("BULKHEAD_LEAK", leak.order, 1)
      // A rate that every machine bears: it is not the load that is drilled.
      let (rounds, samples) = soak(rate: options.rate ?? 100_000)
      result.rounds += rounds
      let judgement = SoakJudgement(samples)
      let own = judgement.leaks.first { $0.component == leak.component && $0.quantity == leak.quantity }
      let others = judgement.leaks.filter { $0.component != leak.component }
      let series = samples.filter { $0.component == leak.component && $0.quantity == leak.quantity }.map(
        \.value)
      let leaked = (series.max() ?? 0) - (series.min() ?? 0)
      result.findings += [
        DrillFinding(
          "leaks", text,
          found: own == nil
            ? "\(leak.order): not found"
            : "\(leak.order): found at \(Self.words(leaked * 100 / leak.capacity)) %",
          holds: own != nil && leaked < leak.capacity / 10),
        DrillFinding(
          "others", "nobody else is taken to leak",
          found: others.first.map { "\($0.component) \($0.quantity.rawValue)" } ?? "nobody",
          holds: others.isEmpty),
      ]
      result.tables.append(Self.table(judgement))
    }
    return result
  }

  /// Messages a second that a set takes at the moment, from a part of a day.
  func fullRate() throws(DrillFailure) -> UInt64 {
    var trial = options
    trial.messages = min(options.messages, Self.trialMessages)
    let set = try DrilledSet(place: DrillPlace(round: 0), round: 0, options: trial, drill: drill)
    func wait(for messages: UInt64) {
      while set.messagesApplied < messages, !set.hasEnded, !bulkhead_stop_requested() { usleep(200) }
    }
    wait(for: trial.messages / 10)
    let from = (bulkhead_monotonic_nanoseconds(), set.messagesApplied)
    wait(for: trial.messages * 8 / 10)
    let to = (bulkhead_monotonic_nanoseconds(), set.messagesApplied)
    let outcome = try set.outcome()
    guard outcome.verdict == "correct", to.1 > from.1, to.0 > from.0 else {
      throw DrillFailure("the day at full rate is \(outcome.verdict): no rate to take half of")
    }
    return UInt64(Double(to.1 - from.1) / Double(to.0 - from.0) * 1e9)
  }

  private func performSoak(
    number: Int, messages: UInt64, rate: UInt64, _ samples: inout [SoakSample]
  ) -> DrillRound {
    var round = DrillRound(number: number)
    var day = options
    day.messages = messages
    let tape = DrillTape(round: number)
    do throws(DrillFailure) {
      let set = try DrilledSet(
        place: DrillPlace(round: number), round: number, options: day, drill: drill, tape: tape,
        settings: Self.settings(messages: messages), arguments: ["--rate", String(rate)],
        day: number % Self.daysInTurn, readsFrames: true)
      var schedule = DrillSchedule(drill: drill, seed: options.seed, round: number)
      let spared = DrillSchedule.spared(of: set.everybody, round: number)
      let began = bulkhead_monotonic_nanoseconds()
      var hits = SoakHits(runner: self, set: set, round: number)
      var nextBlow = began + UInt64(schedule.next().waitMicroseconds) * 1_000
      while !set.hasEnded, set.messagesApplied < messages * 95 / 100, !bulkhead_stop_requested() {
        usleep(Self.lookMicroseconds)
        let now = bulkhead_monotonic_nanoseconds()
        set.readEvents()
        Self.look(at: set, round: number, seconds: Double(now - began) / 1e9, &samples)
        hits.look()
        guard now >= nextBlow else { continue }
        nextBlow += UInt64(schedule.next().waitMicroseconds) * 1_000
        let ready = set.everybody.filter { $0 != spared && set.isReady($0, after: 0) && !hits.isDown($0) }
        if let victim = schedule.victim(among: ready) { hits.kill(victim) }
      }
      try awaitEverybody(in: set)
      // The newest deaths may still have to be told of.
      let patience = bulkhead_monotonic_nanoseconds() + Self.causeNanoseconds
      while hits.open > 0, bulkhead_monotonic_nanoseconds() <= patience {
        usleep(10_000)
        hits.look()
      }
      round.kills = hits.concluded
      round.pauses = 0
      round.outcome = try set.outcome()
      if hits.open > 0 { round.problem = "\(hits.open) deaths without a successor that is READY" }
    } catch {
      round.problem = error.words
    }
    return round
  }

  private static func look(
    at set: DrilledSet, round: Int, seconds: Double, _ samples: inout [SoakSample]
  ) {
    func take(
      _ component: String, _ epoch: UInt64, _ quantity: SoakQuantity, _ value: Double
    ) {
      samples.append(
        SoakSample(
          component: component, quantity: quantity, round: round, epoch: epoch, seconds: seconds, value: value
        ))
    }
    let processes =
      set.everybody.filter { hasSettled($0, in: set) }.map { ($0, set.pid($0), set.epoch($0)) } + [
        ("run", set.runner, 1)
      ]
    for (name, pid, epoch) in processes {
      guard let holdings = DrilledSet.holdings(of: pid), name == "run" || set.pid(name) == pid else {
        continue
      }
      take(name, epoch, .memory, Double(holdings.memory))
      take(name, epoch, .descriptors, Double(holdings.descriptors))
      take(name, epoch, .mappings, Double(holdings.mappings))
    }
    let shared = set.sharedMemory()
    take("set", 1, .sharedBytes, Double(shared.bytes))
    take("set", 1, .sharedFiles, Double(shared.files))
  }

  private static func hasSettled(_ name: String, in set: DrilledSet) -> Bool {
    guard set.isReady(name, after: 0), let ready = set.page(name)?.page.readyTime else { return false }
    if name == "taped", let box = set.page(name) {
      // Its own books are behind its tape at first, and touch their memory while they catch up.
      guard
        box.page.value(TapeCounter.shadowSequence) + shadowLag >= box.page.value(TapeCounter.writtenSequence)
      else { return false }
    }
    let now = bulkhead_monotonic_nanoseconds()
    return now > ready && now - ready > settlingNanoseconds
  }

  private static func findings(
    _ samples: [SoakSample], _ rounds: [DrillRound], rate: UInt64
  ) -> [DrillFinding] {
    let judgement = SoakJudgement(samples)
    let leaks = judgement.leaks
    let shown = leaks.first.map { line in
      let found = [line.withinLives, line.acrossLives].compactMap { $0 }.max {
        $0.surelyPerSecond < $1.surelyPerSecond
      }
      let perMinute = (found?.perSecond ?? 0) * 60
      return "\(leaks.count) grow, first: \(line.component) \(line.quantity.rawValue) \(words(perMinute))/min"
    }
    let rests = DrilledSet.leftovers()
    let kills = rounds.reduce(0) { $0 + $1.kills.count }
    let flow = rounds.reduce(0) { $0 + $1.outcome.flowNanoseconds }
    return [
      DrillFinding(
        "slopes", "nobody's memory, descriptors, mappings grow",
        found: shown ?? "\(judgement.lines.count) series, \(samples.count) looks",
        holds: leaks.isEmpty && !samples.isEmpty,
        skipped: leaks.isEmpty && !judgement.tells ? "too short to tell a slope" : nil),
      DrillFinding(
        "files", "nothing of a round is left in /dev/shm",
        found: rests.first.map { "\(rests.count) left: \($0)" } ?? "nothing", holds: rests.isEmpty),
      DrillFinding(
        "blows", "a kill every two seconds",
        found: "\(kills) kills in \(flow / 1_000_000_000) s, \(rate) messages/s",
        // Four fifths: nobody is hit while everybody but the spared one is down.
        holds: kills > 0 && UInt64(kills) >= flow / 2_500_000_000, isOfTimes: kills > 0),
    ]
  }

  /// With three digits behind the point.
  private static func words(_ value: Double) -> String {
    guard value.isFinite, abs(value) < 1e15 else { return "-" }
    let thousandths = Int((abs(value) * 1_000).rounded())
    let sign = value < 0 && thousandths > 0 ? "-" : ""
    return sign
      + (abs(value) >= 1_000
        ? String(thousandths / 1_000)
        : "\(thousandths / 1_000)." + String(1_000 + thousandths % 1_000).dropFirst())
  }

  private static func table(_ judgement: SoakJudgement) -> DrillTable {
    func slope(_ estimate: SlopeEstimate?) -> String {
      guard let estimate else { return "-" }
      return "\(words(estimate.perSecond * 60)) ± \(words(estimate.standardError * 180))"
    }
    return DrillTable(
      "growth a minute, with three standard errors (memory in bytes)",
      columns: ["of", "what", "while one lives", "from one to the next", "lives", "looks", "highest"],
      rows: judgement.lines.map {
        [
          $0.component, $0.quantity.rawValue, slope($0.withinLives), slope($0.acrossLives),
          String($0.withinLives?.groups ?? 0), String($0.withinLives?.samples ?? 0), String(Int($0.highest)),
        ]
      })
  }
}

/// Deaths that a soak caused, and what followed of each, while others follow.
private struct SoakHits {
  private let runner: DrillRunner
  private let set: DrilledSet
  private let round: Int
  private var down: [(victim: DrillRunner.Victim, eventsBefore: Int)] = []
  private(set) var concluded: [KillMeasurement] = []
  var open: Int { down.count }

  init(runner: DrillRunner, set: DrilledSet, round: Int) {
    self.runner = runner
    self.set = set
    self.round = round
  }

  func isDown(_ name: String) -> Bool { down.contains { $0.victim.name == name } }

  mutating func kill(_ name: String) {
    let pid = set.pid(name)
    let epoch = set.epoch(name)
    let before = set.events.count
    let now = bulkhead_monotonic_nanoseconds()
    guard set.strike(pid) else { return }
    down.append(
      (
        DrillRunner.Victim(
          name: name, pid: pid, epoch: epoch, outputPosition: nil,
          measurement: KillMeasurement(component: name, round: round, killedAt: now, pid: pid)), before
      ))
  }

  /// Takes down who is READY again.
  mutating func look() {
    for index in down.indices.reversed() {
      let (victim, before) = down[index]
      guard set.hasBeenReady(victim.name, after: victim.epoch) else { continue }
      let measurement = runner.conclude(victim, in: set, since: before)
      // The successor may be READY before its predecessor's death is on the ring as far as it was read.
      if measurement.cause.isEmpty, !set.hasEnded,
        bulkhead_monotonic_nanoseconds() - victim.measurement.killedAt < DrillRunner.causeNanoseconds
      {
        continue
      }
      concluded.append(measurement)
      down.remove(at: index)
    }
  }
}
