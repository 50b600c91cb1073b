@testable import LineArbiter

/// A venue with two lossy lines and a retransmission responder of some quality, in virtual time, around one
/// stage. Everything follows from the seed.
struct LineSimulation {
  struct Line {
    var delay: Int
    var jitter: Int
    var lossPercent: Int
    var burstPercent: Int
    var burstPackets: Int
    var duplicatePercent: Int
    var packetMessages: Int
    /// Silent between these shares of the stream, in percent.
    var cut: Range<Int>
  }

  enum Event {
    case packet(Source, UInt64, [[UInt8]])
    case heartbeat(Source, UInt64)
    case endOfSession(Source, UInt64)
    case request(StageHarness.Request)
  }

  private struct Scheduled {
    var at: UInt64
    var order: Int
    var event: Event
  }

  let seed: UInt64
  var configuration = ArbiterConfiguration()
  var messages: Int
  var first: UInt64
  var spacing: Int
  var lines: [Line] = []
  /// The responder answers every request in time with some of it, if it has any of it.
  var isReliable: Bool
  var answerDelay: Int
  var answerLossPercent: Int
  var answerMessages: Int
  var evictedPercent: Int
  var strangePercent: Int
  private var generator: Seeded
  private var queue: [Scheduled] = []
  private var scheduled = 0

  init(seed: UInt64) {
    self.seed = seed
    var random = Seeded(seed)
    func one<T>(of values: T...) -> T { values[random.below(values.count)] }
    messages = 20 + random.below(280)
    first = one(of: 1, 1, 1, 977, (1 << 63) - 100)
    spacing = one(of: 1, 3, 10)
    for _ in 0..<2 {
      let cut = random.below(100)
      lines.append(
        Line(
          delay: one(of: 0, 0, 20, 200), jitter: one(of: 0, 0, 10, 100, 400),
          lossPercent: one(of: 0, 2, 10, 30, 100), burstPercent: one(of: 0, 0, 2),
          burstPackets: 1 + random.below(20),
          duplicatePercent: one(of: 0, 5, 40), packetMessages: one(of: 1, 4, 12, 40),
          cut: one(of: 0..<0, 0..<0, cut..<100, 0..<cut, cut..<cut + 10)))
    }
    if random.chance(50) { lines[1].packetMessages = lines[0].packetMessages }
    isReliable = random.chance(40)
    answerDelay = one(of: 1, 10, 100)
    answerLossPercent = isReliable ? 0 : one(of: 0, 10, 50, 100)
    answerMessages = one(of: 1, 5, 20, 1_000)
    evictedPercent = one(of: 0, 0, 5, 50)
    strangePercent = one(of: 0, 10, 40)
    configuration.windowMessages = one(of: 64, 64, 256, 1_024)
    configuration.heldBytes = one(of: 4_096, 8_192, 1 << 16)
    configuration.gapTableEntries = one(of: 4, 5, 8, 64)
    configuration.holdNanoseconds = UInt64(one(of: 0, 10, 100, 500))
    configuration.retransmission.isEnabled = isReliable || random.chance(75)
    configuration.retransmission.timeoutNanoseconds = UInt64(
      isReliable ? 2 * answerDelay + 60 : one(of: 50, 150, 400))
    configuration.retransmission.backoffNanoseconds = UInt64(one(of: 0, 30, 300))
    configuration.retransmission.attempts = one(of: 1, 2, 4)
    configuration.retransmission.intervalNanoseconds = UInt64(one(of: 0, 1, 20))
    configuration.requestMessages = one(of: 1, 8, 64)
    configuration.requestsInFlight = one(of: 1, 2, 4, 8)
    configuration.historyMessages = one(of: 0, 0, 256)
    configuration.lineSilenceNanoseconds =
      configuration.holdNanoseconds + UInt64(one(of: 1, 50, 1_000, 100_000))
    configuration.lineWaitNanoseconds = UInt64(one(of: 0, 100, 2_000))
    configuration.farAheadMessages = UInt64(one(of: 16, 1 << 40, 1 << 40))
    // Claims stand for some silences: announcements may be all that follows.
    if configuration.farAheadMessages == 16 { configuration.lineSilenceNanoseconds += 1_000 }
    configuration.corroborateEnd = random.chance(70)
    configuration.maximumLagMessages = random.chance(5) ? UInt64(configuration.windowMessages) : 0
    generator = random
  }

  var summary: String {
    "seed \(seed): \(messages) messages from \(first), reliable \(isReliable), \(lines), \(configuration)"
  }

  private var end: UInt64 { first + UInt64(messages) }

  // MARK: The venue

  private mutating func schedule(_ event: Event, at instant: UInt64) {
    // A binary heap ordered by (instant, order of scheduling).
    queue.append(Scheduled(at: instant, order: scheduled, event: event))
    scheduled += 1
    var child = queue.count - 1
    while child > 0, precedes(queue[child], queue[(child - 1) / 2]) {
      queue.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  private mutating func takeNext() -> Scheduled? {
    guard let top = queue.first else { return nil }
    let last = queue.removeLast()
    if queue.isEmpty { return top }
    queue[0] = last
    var parent = 0
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < queue.count {
        if precedes(queue[child], queue[least]) { least = child }
      }
      if least == parent { return top }
      queue.swapAt(parent, least)
      parent = least
    }
  }

  private func precedes(_ left: Scheduled, _ right: Scheduled) -> Bool {
    left.at != right.at ? left.at < right.at : left.order < right.order
  }

  private func range(_ from: UInt64, _ count: Int) -> [[UInt8]] {
    (0..<count).map { messageBytes(from + UInt64($0)) }
  }

  private mutating func scheduleLines() {
    for (number, line) in lines.enumerated() {
      let source: Source = number == 0 ? .lineA : .lineB
      var sent = 0
      var burst = 0
      while sent < messages {
        let count = min(1 + generator.below(line.packetMessages), messages - sent)
        let from = first + UInt64(sent)
        sent += count
        let at = UInt64(sent * spacing + line.delay)
        if burst == 0 && generator.chance(line.burstPercent) { burst = line.burstPackets }
        if burst > 0 { burst -= 1 }
        let isCut = line.cut.contains(sent * 100 / messages)
        if burst > 0 || isCut || generator.chance(line.lossPercent) { continue }
        for _ in 0..<(generator.chance(line.duplicatePercent) ? 2 : 1) {
          schedule(.packet(source, from, range(from, count)), at: at + UInt64(generator.below(line.jitter)))
        }
        if generator.chance(3) { schedule(.heartbeat(source, from + UInt64(count)), at: at + 1) }
      }
      // The last sign of a session is repeated until it is heard.
      for repetition in 0..<6 {
        let at = UInt64(messages * spacing + line.delay + 600 * repetition)
        if generator.chance(50) || repetition >= 2 { schedule(.endOfSession(source, end), at: at) }
      }
    }
    for _ in 0..<messages * strangePercent / 100 {
      let at = UInt64(generator.below(messages * spacing + 1_000))
      let from = first + UInt64(generator.below(messages + 50))
      let wrong = Array(repeating: [UInt8](repeating: 0xEE, count: 5), count: 1 + generator.below(10))
      schedule(.packet(.retransmission, from, wrong), at: at)
    }
  }

  /// The responder does not have it.
  func isEvicted(_ sequence: UInt64) -> Bool {
    evictedPercent > 0 && Int((sequence &* 0x9E37_79B9_7F4A_7C15 ^ seed) >> 33) % 100 < evictedPercent
  }

  private mutating func answer(_ request: StageHarness.Request, now: UInt64) {
    var from = request.first
    let end = request.first + UInt64(request.count)
    while from < end, isEvicted(from) { from += 1 }
    var count = 0
    while count < answerMessages, from + UInt64(count) < end, !isEvicted(from + UInt64(count)) { count += 1 }
    if count == 0 || generator.chance(answerLossPercent) { return }
    for _ in 0..<(generator.chance(10) ? 2 : 1) {
      let at = now + UInt64(answerDelay + generator.below(isReliable ? 20 : 200))
      schedule(.packet(.retransmission, from, range(from, count)), at: at)
    }
  }

  // MARK: The run

  /// Runs to the end and returns what the oracle objects to, and the sequence numbers that were lost.
  mutating func run() -> (problems: [String], lost: [UInt64], stage: StageHarness) {
    let stage = StageHarness(configuration, firstSequence: first)
    let oracle = StreamOracle(configuration, first: first, count: messages)
    var outputs = 0
    var requests = 0
    var events = 0
    var wake: UInt64?
    scheduleLines()

    func judge(_ now: UInt64, _ simulation: inout LineSimulation) {
      oracle.hasOverflowed = stage.arbiter.counters.gapTableOverflows > 0
      for output in stage.output[outputs...] { oracle.check(output, now: now) }
      outputs = stage.output.count
      for request in stage.requests[requests...] {
        oracle.check(request)
        simulation.schedule(.request(request), at: now)
      }
      requests = stage.requests.count
    }
    func poll(_ now: UInt64, _ simulation: inout LineSimulation) {
      if case .wait(let until) = stage.resolve(now: now) { wake = until } else { wake = nil }
      judge(now, &simulation)
    }

    while oracle.problems.isEmpty, events < 200_000 {
      if let instant = wake, queue.first.map({ instant <= $0.at }) ?? true {
        poll(instant, &self)
        events += 1
        continue
      }
      guard let entry = takeNext() else { break }
      events += 1
      handle(entry.event, now: entry.at, stage, oracle)
      judge(entry.at, &self)
      // Not after every packet: stages poll once a batch.
      if generator.chance(80) || queue.isEmpty { poll(entry.at, &self) }
      if events % 32 == 0, let broken = stage.arbiter.brokenInvariant() {
        return ([broken], oracle.lost, stage)
      }
    }
    var problems = oracle.problems
    if let broken = stage.arbiter.brokenInvariant() { problems.append(broken) }
    if problems.isEmpty && (oracle.position != end || !stage.arbiter.isComplete) {
      problems.append("ended at \(oracle.position) of \(end), after \(events) events")
    }
    if stage.arbiter.counters.disagreements != 0 { problems.append("disagreements") }
    if UInt64(oracle.lost.count) != stage.arbiter.counters.givenUp { problems.append("lost count") }
    return (problems, oracle.lost, stage)
  }

  private mutating func handle(
    _ event: Event, now: UInt64, _ stage: StageHarness, _ oracle: StreamOracle
  ) {
    switch event {
    case .packet(let source, let from, let list):
      // Strange answers: never of a number that was asked for, since nothing could tell those from right ones.
      if list.first == [0xEE, 0xEE, 0xEE, 0xEE, 0xEE] {
        for index in list.indices where oracle.wasAsked(from + UInt64(index)) { return }
      }
      stage.receive(source, from, list, now: now)
      if source != .retransmission, isBelieved(stage.verdicts.last) {
        oracle.reveal(below: from + UInt64(list.count), by: source, now: now)
      }
      note(source, from, list.count, stage, oracle)
    case .heartbeat(let source, let next):
      let refused = stage.arbiter.counters.rejectedPackets
      stage.arbiter.heartbeat(source: source, nextExpected: next, now: now)
      if stage.arbiter.counters.rejectedPackets == refused {
        oracle.reveal(below: next, by: source, now: now)
      }
    case .endOfSession(let source, let next):
      let refused = stage.arbiter.counters.rejectedPackets
      stage.arbiter.endOfSession(source: source, nextExpected: next, now: now)
      if stage.arbiter.counters.rejectedPackets == refused {
        oracle.reveal(below: next, by: source, now: now)
      }
    case .request(let request): answer(request, now: now)
    }
  }

  private func isBelieved(_ verdict: Verdict?) -> Bool {
    switch verdict {
    case .ignore(.farAhead), .ignore(.afterEnd): false
    default: true
    }
  }

  /// Tells the oracle what was handed over and which of it the arbiter could not use.
  private func note(
    _ source: Source, _ from: UInt64, _ count: Int, _ stage: StageHarness, _ oracle: StreamOracle
  ) {
    for index in 0..<count {
      let isUsed =
        switch stage.verdicts[stage.verdicts.count - 1] {
        case .deliver, .duplicate: true
        case .ignore: false
        case .examine:
          ![.notRequested, .notHeld, .beyondWindow].contains(stage.acceptances[index])
        }
      if !isUsed && source == .retransmission && stage.verdicts.last == .ignore(.notRequested) { continue }
      oracle.arrive(from + UInt64(index), from: source, isUsed: isUsed)
    }
  }
}
