import BookBuilder
import FeedSim
import OrderBook
import StageRecords
import StreamDigest

/// One generated day over good lines, bad lines, single lines and through restarts: always the same books and events.
struct DigestRuns {
  struct Digests: Equatable, CustomStringConvertible {
    var events: UInt64
    var stream: UInt64
    var books: UInt64
    private static func hexadecimal(_ value: UInt64) -> String {
      let digits = String(value, radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }

    var description: String {
      "\(events) events, stream \(Self.hexadecimal(stream)), books \(Self.hexadecimal(books))"
    }
  }

  static let messages = 10_000
  private static let step: UInt64 = 1_000
  private let session = Datagrams.sessionName(0)
  /// The day, by number from 1.
  private var day: [[UInt8]] = [[]]

  init() throws {
    let configuration = DayConfiguration(
      seed: 7, messages: UInt64(Self.messages), instruments: 60, plateau: 1_000)
    let store = try MessageStore(generating: try DayGenerator(configuration))
    for index in 0..<store.count { day.append(Array(store.message(at: index))) }
  }

  /// Runs all and prints what differs.
  /// - Returns: how many runs agreed, and how many did not.
  func run() -> (passed: Int, failed: Int) {
    let reference = digest((1..<day.count).map { .message(UInt64($0), day[$0], stamp: 0) })
    print("reference of \(day.count - 1) messages: \(reference)")
    var failed = 0
    func check(
      _ name: String, _ plans: [LineImpairmentPlan?], seed: UInt64, crashes: Int = 0, days: Int = 1
    ) {
      let got = digest(play(plans, seed: seed, crashes: crashes, days: days))
      guard got != reference else { return }
      failed += 1
      print("\(name) FAILED: \(got)")
    }
    check("line A alone", [LineImpairmentPlan(), nil], seed: 1)
    check("line B alone", [nil, LineImpairmentPlan()], seed: 2)
    check("both lines", [LineImpairmentPlan(), LineImpairmentPlan()], seed: 3)
    check("the day twice on both lines", [LineImpairmentPlan(), LineImpairmentPlan()], seed: 4, days: 2)
    for seed in 1...50 as ClosedRange<UInt64> {
      var dice = Dice(seed, 0xD16)
      let plans = (0..<2).map { _ in Self.lossy(&dice) }
      check("lossy seed \(seed)", plans, seed: seed, crashes: Int(seed % 4))
    }
    return (54 - failed, failed)
  }

  private static func lossy(_ dice: inout Dice) -> LineImpairmentPlan {
    var plan = LineImpairmentPlan()
    plan.loss = UInt64(dice.below(10)) * 10_000_000
    plan.burst = UInt64(dice.below(3)) * 2_000_000
    plan.burstLength = 1 + dice.below(10)
    plan.duplicate = UInt64(dice.below(5)) * 10_000_000
    plan.reorder = UInt64(dice.below(5)) * 10_000_000
    plan.delay = UInt64(dice.one(of: 0, 3_000, 40_000))
    plan.late = UInt64(dice.below(3)) * 5_000_000
    plan.lateBy = 30_000
    return plan
  }

  /// The books and events that a client's records make.
  private func digest(_ records: [Record]) -> Digests {
    var builder = BookBuilder(
      capacity: BookCapacity(orders: 50_000, levels: 20_000, instruments: 4_096), channel: 1)
    var digest = StreamDigest()
    var batch = EventBatch()
    for record in records {
      switch record {
      case .message(let number, let bytes, let stamp):
        bytes.withUnsafeBytes {
          builder.apply(sequence: number, receiveTime: stamp, message: $0, into: &batch)
        }
        digest.update(batch)
      case .gap(let first, let last, _):
        builder.gap(first: first, last: last, reason: 1, receiveTime: 0, into: &batch)
        digest.update(batch)
      case .sessionStart, .endOfSession, .imageStart, .image, .imageEnd: break
      }
    }
    return Digests(events: digest.eventCount, stream: digest.value, books: builder.books.contentDigest())
  }

  /// What a client reads when the lines are like that (nil = silent) and the service answers everything.
  /// With `days` above 1 the lines carry the whole day so many times before it ends.
  private func play(_ plans: [LineImpairmentPlan?], seed: UInt64, crashes: Int, days: Int) -> [Record] {
    var rules = Rules()
    rules.window = 16_384
    rules.heldBytes = 4 << 20
    rules.hold = 5_000
    rules.lineWait = 20_000
    rules.silence = 100_000
    rules.farAhead = 100_000
    rules.requestMessages = 60
    rules.timeout = 10_000
    let host = Host(retained: 1_000_000, haltsOnLoss: false)
    var stage = SimulatedStage(rules, host, oracle: nil, now: 0)
    var dice = Dice(seed, 0xC4A5)
    var crashAt = (0..<crashes).map { _ in dice.below(600) }
    var cuts = [Dice(seed, 11), Dice(seed, 12)]
    var impairments = plans.enumerated().map { number, plan in
      plan.map { LineImpairment($0, seed: seed &* 2 &+ UInt64(number)) }
    }
    var next = [0, 0]
    var daysLeft = [days, days]
    var answers: [[UInt8]] = []
    var due: [PacketRange] = []
    var turn = 0
    let last = day.count - 1
    while turn < 3_000 {
      turn += 1
      let now = UInt64(turn) * Self.step
      for line in 0..<2 where impairments[line] != nil {
        due.removeAll(keepingCapacity: true)
        if next[line] < last {
          let count = min(1 + cuts[line].below(35), last - next[line])
          impairments[line]!.offer(PacketRange(first: next[line], count: count), at: now, into: &due)
          next[line] += count
          if next[line] == last {
            daysLeft[line] -= 1
            if daysLeft[line] > 0 { next[line] = 0 }
          }
        } else {
          impairments[line]!.flush(at: now, into: &due)
          if turn % 100 == 0 {
            host.rings[line].put(now, Datagrams.endOfSession(session, UInt64(last + 1)))
          }
        }
        for range in due {
          let bytes = Datagrams.data(
            session, UInt64(range.first + 1), Array(day[range.first + 1...range.first + range.count]))
          host.rings[line].put(now, bytes)
        }
      }
      for answer in answers { host.answers.append((now, answer)) }
      answers.removeAll(keepingCapacity: true)
      if crashAt.contains(turn) {
        crashAt.removeAll { $0 == turn }
        stage.fuse = dice.below(40)
      }
      while stage.turn(now) {}
      for request in stage.takeRequests() {
        let end = min(Int(request.first) + request.count, day.count)
        if Int(request.first) < end {
          answers.append(Datagrams.data(session, request.first, Array(day[Int(request.first)..<end])))
        }
      }
      if stage.isDead { stage = SimulatedStage(rules, host, oracle: nil, now: now + Self.step) }
      if case .endOfSession = host.tail { break }
    }
    return host.client.records
  }
}
