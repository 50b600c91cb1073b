/// How the simulated retransmission service behaves.
struct ServicePlan {
  var delay = 10
  var jitter = 0
  /// Percent of the requests that are not answered.
  var refuse = 0
  /// Percent that are answered much later.
  var stall = 0
  /// Messages in one datagram of an answer, and datagrams in an answer.
  var datagramMessages = 20
  var datagrams = 1
  /// Percent answered twice, with other messages of the venue, of another session, with wrong bytes, or with nonsense.
  var twice = 0
  var shifted = 0
  var foreign = 0
  var wrong = 0
  var nonsense = 0
  /// Percent of the numbers that it does not have.
  var evicted = 0
  /// How many of the newest messages it has.
  var keeps = Int.max
  /// It answers nothing between these instants.
  var outage: Range<UInt64> = 0..<0

  init() {}

  init(_ dice: inout Dice) {
    delay = dice.one(of: 1, 20, 300)
    datagramMessages = dice.one(of: 1, 5, 20, 1_000)
    datagrams = dice.one(of: 1, 1, 3)
    evicted = dice.one(of: 0, 0, 5, 40)
    if dice.chance(30) {
      let start = UInt64(dice.below(3_000))
      outage = start..<start + UInt64(dice.one(of: 1_000, 20_000, 1_000_000))
    }
    guard dice.chance(60) else { return }
    jitter = dice.one(of: 0, 10, 500)
    refuse = dice.one(of: 0, 10, 50, 100)
    stall = dice.one(of: 0, 0, 20)
    twice = dice.one(of: 0, 20)
    shifted = dice.one(of: 0, 20)
    foreign = dice.one(of: 0, 20)
    wrong = dice.one(of: 0, 0, 10)
    nonsense = dice.one(of: 0, 20)
  }
}

/// The service: a request in, datagrams with their delays out.
struct RetransmissionService {
  let plan: ServicePlan
  let seed: UInt64
  let sessions: [Int]
  private let sentAt: [[UInt64]]
  private var requests: UInt64 = 0

  init(_ scenario: Scenario) {
    plan = scenario.answers
    seed = scenario.seed
    sessions = scenario.sessions
    sentAt = scenario.sentAt
  }

  mutating func answer(
    session: [UInt8], first: UInt64, count: Int, now: UInt64
  ) -> [(delay: UInt64, bytes: [UInt8], note: String)] {
    requests += 1
    var dice = Dice(seed, 0x5E41 &+ requests &* 77)
    guard let number = sessions.indices.first(where: { Datagrams.sessionName($0) == session }),
      !plan.outage.contains(now), !dice.chance(plan.refuse)
    else { return [] }
    var answers: [(delay: UInt64, bytes: [UInt8], note: String)] = []
    var wait = plan.delay
    if dice.chance(plan.stall) { wait += 5_000 }
    func add(_ bytes: [UInt8], _ note: String) {
      answers.append((UInt64(wait + dice.below(plan.jitter)), bytes, note))
    }
    let end = min(first &+ UInt64(count), UInt64(sessions[number]) + 1)
    if dice.chance(plan.nonsense) {
      switch dice.below(5) {
      case 0: add(Datagrams.heartbeat(session, first + 500), "heartbeat of the service")
      case 1: add(Datagrams.endOfSession(session, first), "end of session from the service")
      case 2: add(Datagrams.data(session, first + 5_000, [[1]]), "answer far ahead")
      case 3: add([1, 2, 3], "noise")
      default: add(Datagrams.data(session, .max, [[1]]), "answer at the last number")
      }
    }
    if dice.chance(plan.foreign) {
      add(Datagrams.data(Datagrams.sessionName(5), first, [[2], [3]]), "answer of another session")
    }
    if dice.chance(plan.shifted) {
      let from = first > 4 ? first - UInt64(1 + dice.below(4)) : first + UInt64(dice.below(9))
      let messages = (from..<from + 6).map { Datagrams.message(number, $0) }
      if from + 6 <= UInt64(sessions[number]) {
        add(Datagrams.data(session, from, messages), "shifted \(from)")
      }
    }
    if dice.chance(plan.wrong) {
      add(Datagrams.data(session, first, [[0xEE, 1]]), "wrong bytes for \(first)")
    }
    let oldest = plan.keeps == .max ? 0 : sentAt[number].lazy.filter { $0 <= now }.count - plan.keeps
    func isEvicted(_ number: UInt64) -> Bool { Int64(number) <= Int64(oldest) || self.isEvicted(number) }
    var from = first
    for _ in 0..<plan.datagrams {
      while from < end, isEvicted(from) { from += 1 }
      var until = from
      while until < end, until - from < UInt64(plan.datagramMessages), !isEvicted(until) { until += 1 }
      guard until > from else { break }
      let bytes = Datagrams.data(session, from, (from..<until).map { Datagrams.message(number, $0) })
      for _ in 0..<(dice.chance(plan.twice) ? 2 : 1) { add(bytes, "answer \(from)...\(until - 1)") }
      from = until
    }
    return answers
  }

  private func isEvicted(_ number: UInt64) -> Bool {
    plan.evicted > 0 && Int(Dice.mix(number ^ seed) >> 40) % 100 < plan.evicted
  }
}
