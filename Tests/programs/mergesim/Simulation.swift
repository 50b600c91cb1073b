/// One scenario, played in virtual time, with everything that the seed did not write down beforehand: the stage's turns,
/// its deaths, and the answers of the service.
struct Simulation {
  private enum Event {
    case answer([UInt8], incarnation: Int, note: String)
    case restart
  }

  let scenario: Scenario
  /// Inputs of the timeline that take part; nil = all.
  var kept: Set<Int>?
  var trace: ((String) -> Void)?

  struct Outcome {
    var problems: [String] = []
    var messages = 0
    var lost = 0
    var requests = 0
    var restarts = 0
    var events = 0
    var packets = 0
    var imagesAsked = 0
    var imagesUsed = 0
    /// The oracle could not follow it to its end.
    var isOutOfReach = false
    /// Runs that went to the corners: named, so that one that none reaches shows.
    var reached: [String: Int] = [:]
  }

  init(_ scenario: Scenario, kept: Set<Int>? = nil) {
    self.scenario = scenario
    self.kept = kept
  }

  func run() -> Outcome {
    var outcome = Outcome()
    let host = Host(retained: scenario.retained, haltsOnLoss: scenario.rules.haltsOnLoss)
    let oracle = Oracle(scenario.rules)
    oracle.explain = trace
    host.images = ImageService(scenario)
    if scenario.images.isHonest {
      host.client.truth = { name, next in
        scenario.sessions.indices.first { Datagrams.sessionName($0) == name }.map {
          Market.image($0, below: next)
        }
          ?? []
      }
    }
    var retransmission = RetransmissionService(scenario)
    var stage: SimulatedStage? = SimulatedStage(scenario.rules, host, oracle: oracle, now: 0)
    var incarnation = 0
    var events = Schedule<Event>()
    var position = 0
    var turnAt: UInt64? = 0
    var downFor: UInt64 = 0
    var now: UInt64 = 0
    var shown = 0

    func show() {
      guard let trace else { return }
      for record in host.client.records[shown...] { trace("  \(now): out: \(record.text)") }
      shown = host.client.records.count
    }
    func want(_ instant: UInt64) { turnAt = min(turnAt ?? .max, instant) }

    while oracle.problems.isEmpty && host.client.problems.isEmpty && !oracle.isOutOfReach
      && outcome.events < 300_000
    {
      while position < scenario.timeline.count, let kept, !kept.contains(position) { position += 1 }
      let input = position < scenario.timeline.count ? scenario.timeline[position].at : .max
      let event = events.nextAt ?? .max
      let turn = stage == nil ? .max : (turnAt ?? .max)
      let earliest = min(input, event, turn)
      guard earliest != .max else { break }
      now = max(now, earliest)
      outcome.events += 1
      if input == earliest {
        let entry = scenario.timeline[position]
        position += 1
        switch entry.kind {
        case .datagram(let line, let bytes, let note):
          trace?("\(now): [\(position - 1)] line \(line == 0 ? "a" : "b") \(note)")
          host.rings[line].put(now, bytes)
          outcome.packets += 1
        case .crash(let steps, let down):
          guard let stage, stage.fuse == nil else { continue }
          trace?("\(now): [\(position - 1)] merged dies in \(steps) steps, for \(down)")
          stage.fuse = steps
          downFor = down
        case .look: trace?("\(now): [\(position - 1)] looks")
        }
        want(now + entry.delay)
      } else if event == earliest, let event = events.take() {
        switch event {
        case .answer(let bytes, let asker, let note):
          guard asker == incarnation, stage != nil else { continue }
          trace?("\(now): \(note)")
          host.answers.append((now, bytes))
          want(now)
        case .restart:
          trace?("\(now): merged starts again")
          incarnation += 1
          outcome.restarts += 1
          stage = SimulatedStage(scenario.rules, host, oracle: oracle, now: now)
          want(now)
        }
      } else if let running = stage {
        turnAt = nil
        var turns = 0
        while running.turn(now), turns < 10_000 { turns += 1 }
        show()
        for request in running.takeRequests() {
          let answers = retransmission.answer(
            session: request.session, first: request.first, count: request.count, now: now)
          for answer in answers {
            events.put(
              .answer(answer.bytes, incarnation: incarnation, note: answer.note), at: now + answer.delay)
          }
        }
        if running.isDead {
          trace?("\(now): merged is dead")
          stage = nil
          Self.add(oracle, to: &outcome)
          events.put(.restart, at: now + downFor)
        } else if !running.isHalted {
          if running.nextAction != .max { want(running.nextAction) }
          if let wake = running.imageWake(now) { want(wake) }
        }
      }
    }
    if outcome.events >= 300_000 { oracle.object("does not come to rest") }
    if oracle.problems.isEmpty && !oracle.isOutOfReach { oracle.rest() }
    outcome.isOutOfReach = oracle.isOutOfReach
    show()
    outcome.problems = oracle.problems + host.client.problems
    outcome.messages = host.client.messages
    Self.add(oracle, to: &outcome)
    return outcome
  }

  /// What an incarnation did.
  private static func add(_ oracle: Oracle, to outcome: inout Outcome) {
    outcome.lost += oracle.tally.lost
    outcome.requests += oracle.tally.requests
    outcome.imagesAsked += oracle.imaging.asked
    outcome.imagesUsed += oracle.imaging.used
    let reached: [(String, Bool)] = [
      ("ranges joined", oracle.isCoarse), ("no room for an answer", oracle.asking.isLoose),
      ("no room", oracle.tally.noRoom > 0), ("beyond the window", oracle.tally.beyond > 0),
      ("disagreement", oracle.tally.disagreements > 0), ("rejected", oracle.tally.rejected > 0),
      ("halted", oracle.isHalted), ("session changed", !oracle.earlierSessions.isEmpty),
      ("breaker opened", oracle.asking.opened > 0), ("breaker closed again", oracle.asking.closed > 0),
      ("jump believed", oracle.claims.believed > 0), ("loss", oracle.tally.lost > 0),
      ("retry", oracle.asking.retries > 0), ("nothing lost", oracle.tally.lost == 0),
      ("image used", oracle.imaging.used > 0), ("image contradicted", oracle.imaging.contradicted > 0),
      ("image withdrawn", oracle.imaging.withdrawn > 0), ("image overdue", oracle.imaging.timedOut > 0),
      ("image out of range", oracle.imaging.outOfRange > 0),
      ("image's breaker opened", oracle.imaging.gate.opened > 0),
      ("messages that waited replaced", oracle.tally.discarded > 0),
    ]
    for (name, isReached) in reached { outcome.reached[name, default: 0] += isReached ? 1 : 0 }
  }
}

/// What is to happen, by instant, then in the order of its planning: a binary heap.
struct Schedule<Event> {
  private var entries: [(at: UInt64, order: Int, event: Event)] = []
  private var planned = 0

  var nextAt: UInt64? { entries.first?.at }

  private func precedes(_ left: Int, _ right: Int) -> Bool {
    (entries[left].at, entries[left].order) < (entries[right].at, entries[right].order)
  }

  mutating func put(_ event: Event, at instant: UInt64) {
    entries.append((instant, planned, event))
    planned += 1
    var child = entries.count - 1
    while child > 0, precedes(child, (child - 1) / 2) {
      entries.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  mutating func take() -> Event? {
    guard let top = entries.first else { return nil }
    let last = entries.removeLast()
    guard !entries.isEmpty else { return top.event }
    entries[0] = last
    var parent = 0
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < entries.count && precedes(child, least) {
        least = child
      }
      if least == parent { return top.event }
      entries.swapAt(parent, least)
      parent = least
    }
  }
}
