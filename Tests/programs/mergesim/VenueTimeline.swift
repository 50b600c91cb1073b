/// Cuts the venue's sessions into packets, line by line, and does to them what networks do.
struct VenueTimeline {
  private let scenario: Scenario
  private var dice: Dice
  private var inputs: [Input] = []
  private(set) var sentAt: [[UInt64]] = []
  /// Numbers that both lines lose together.
  private var commonLosses: [ClosedRange<UInt64>] = []
  /// High bits of a sequence number are flipped once at most: two such packets might support one another.
  private var hasFlippedHigh = false
  private var heartbeatEvery: Int
  private var spacing: Int

  init(_ scenario: Scenario, _ dice: Dice) {
    self.scenario = scenario
    self.dice = dice
    spacing = self.dice.one(of: 1, 4, 20)
    let silence = Int(scenario.rules.silence)
    heartbeatEvery = self.dice.one(of: silence / 3, silence / 3, silence / 3, silence * 2) + 1
  }

  mutating func build() -> [Input] {
    var start = 0
    for (number, count) in scenario.sessions.enumerated() {
      start = session(number, count, from: start)
      // The next session follows at once, after a while, or the next morning.
      start += dice.one(of: 0, 50, 2_000, 100_000)
    }
    forge(until: start)
    crash(until: start)
    for _ in 0..<dice.below(6) { add(dice.below(start + 1), .look) }
    return inputs.enumerated().sorted { ($0.element.at, $0.offset) < ($1.element.at, $1.offset) }
      .map(\.element)
  }

  private mutating func add(_ at: Int, _ kind: Input.Kind) {
    let delay = dice.chance(80) ? 0 : dice.one(of: 1, 10, 100, 400)
    inputs.append(Input(at: UInt64(max(0, at)), delay: UInt64(delay), kind: kind))
  }

  /// - Returns: when the session is over.
  private mutating func session(_ number: Int, _ count: Int, from start: Int) -> Int {
    commonLosses = []
    if count > 0 {
      for _ in 0..<dice.one(of: 0, 0, 1, 3) {
        let first = UInt64(1 + dice.below(count))
        commonLosses.append(first...first + UInt64(dice.one(of: 0, 1, 5, 40)))
      }
    }
    // When each message is sent: mostly a steady flow, sometimes a pause.
    var times: [Int] = []
    var at = start
    let pauses = dice.one(of: 0, 0, 2, 5)
    for _ in 0..<count {
      at += spacing
      if dice.chance(pauses) { at += heartbeatEvery * (1 + dice.below(3)) }
      times.append(at)
    }
    sentAt.append(times.map { UInt64($0) })
    let announcesEnd = dice.chance(90)
    let tail = 4 + dice.below(10)
    for line in 0..<2 { send(number, times, line, from: start, announcesEnd: announcesEnd, tail: tail) }
    return at + tail * heartbeatEvery
  }

  private mutating func send(
    _ number: Int, _ times: [Int], _ line: Origin, from start: Int, announcesEnd: Bool, tail: Int
  ) {
    let plan = scenario.lines[line]
    let session = Datagrams.sessionName(number)
    var sent = 0
    var burst = 0
    var lastAt = start
    while sent < times.count {
      let count = min(1 + dice.below(plan.packetMessages), times.count - sent)
      let first = UInt64(sent + 1)
      let share = sent * 100 / times.count
      sent += count
      let at = times[sent - 1]
      // Quiet before it: heartbeats.
      while lastAt + heartbeatEvery < at {
        lastAt += heartbeatEvery
        if !plan.cut.contains(share) {
          deliver(line, Datagrams.heartbeat(session, first), lastAt + plan.delay, "heartbeat \(first)")
        }
      }
      lastAt = at
      if share >= plan.stuckFrom { continue }
      if burst == 0, dice.chance(plan.burst) { burst = plan.burstPackets }
      if burst > 0 { burst -= 1 }
      let last = first + UInt64(count) - 1
      let isCommon = commonLosses.contains { $0.overlaps(first...last) }
      if burst > 0 || plan.cut.contains(share) || dice.chance(plan.loss) || isCommon && dice.chance(90) {
        continue
      }
      let messages = (first...last).map { Datagrams.message(number, $0) }
      deliver(line, Datagrams.data(session, first, messages), at + plan.delay, "\(first)...\(last)")
    }
    let next = UInt64(times.count + 1)
    if plan.stuckFrom <= 100 {
      // Alive, but it does not come forward.
      let stuck = UInt64(max(1, times.count * plan.stuckFrom / 100))
      for beat in 0..<tail + 8 {
        let at = (times.last ?? start) + beat * heartbeatEvery / 2
        deliver(line, Datagrams.heartbeat(session, stuck), at, "heartbeat \(stuck)")
      }
      return
    }
    if plan.cut.upperBound > 100 || plan.loss == 100 && dice.chance(50) { return }
    for beat in 1...tail {
      let at = (times.last ?? start) + plan.delay + beat * heartbeatEvery
      if announcesEnd && beat > 1 {
        deliver(line, Datagrams.endOfSession(session, next), at, "end \(next)")
      } else {
        deliver(line, Datagrams.heartbeat(session, next), at, "heartbeat \(next)")
      }
    }
  }

  /// One packet of a line on its way: late, twice, cut short or damaged.
  private mutating func deliver(_ line: Origin, _ datagram: [UInt8], _ at: Int, _ note: String) {
    let plan = scenario.lines[line]
    for _ in 0..<(dice.chance(plan.duplicate) ? 2 : 1) {
      var bytes = datagram
      var note = note
      if dice.chance(plan.truncate) {
        bytes.removeLast(1 + dice.below(bytes.count))
        note += " truncated"
      }
      if dice.chance(plan.flip), !bytes.isEmpty {
        var bit = dice.below(bytes.count * 8)
        // Bytes 10...15 are the high ones of the number.
        if (10...15).contains(bit / 8) {
          if hasFlippedHigh { bit = 20 * 8 % (bytes.count * 8) }
          hasFlippedHigh = true
        }
        bytes[bit / 8] ^= UInt8(1 << (bit % 8))
        note += " with bit \(bit) flipped"
      }
      var when = at + dice.below(plan.jitter)
      if dice.chance(plan.reorder) { when += dice.below(plan.reorderBy) }
      add(when, .datagram(line: line, bytes, note: note))
    }
  }

  // MARK: What the venue never sent

  private mutating func forge(until end: Int) {
    guard dice.chance(35) else { return }
    for _ in 0..<1 + dice.below(5) {
      let at = dice.below(end + 1)
      let line = dice.below(2)
      let number = dice.below(scenario.sessions.count)
      let session = Datagrams.sessionName(number)
      let beyond = UInt64(scenario.sessions[number]) + scenario.rules.farAhead
      let far = beyond + 1 + UInt64(dice.below(400))
      let junk = (0..<1 + dice.below(4)).map { _ in [UInt8](repeating: 0xEE, count: dice.below(30)) }
      func put(
        _ forged: inout VenueTimeline, _ bytes: [UInt8], _ note: String, _ later: Int = 0, _ on: Int? = nil
      ) {
        forged.add(at + later, .datagram(line: on ?? line, bytes, note: "forged: " + note))
      }
      switch dice.below(11) {
      case 0: put(&self, Datagrams.data(session, far, junk), "far \(far)")
      case 1: put(&self, Datagrams.heartbeat(session, far), "far heartbeat \(far)")
      case 2: put(&self, Datagrams.endOfSession(session, far), "far end \(far)")
      case 3:
        let near = UInt64(1 + dice.below(scenario.sessions[number] + 20))
        put(&self, Datagrams.data(session, near, junk), "data \(near)")
      case 4:
        let near = UInt64(1 + dice.below(scenario.sessions[number] + 20))
        put(&self, Datagrams.endOfSession(session, near), "end \(near)")
      case 5: put(&self, Datagrams.data(Datagrams.sessionName(7), 1, junk), "other session")
      case 6: put(&self, Datagrams.endOfSession(Datagrams.sessionName(8), 9), "end of another session")
      case 7:
        put(&self, Datagrams.data(session, dice.one(of: 0, .max, .max - 1), junk), "impossible number")
      case 8: put(&self, (0..<dice.below(60)).map { _ in UInt8(dice.below(256)) }, "noise")
      case 9:
        // The line begins again, within its session.
        var first: UInt64 = 1
        for packet in 0..<4 where first + 3 < UInt64(scenario.sessions[number]) {
          let messages = (first..<first + 3).map { Datagrams.message(number, $0) }
          put(&self, Datagrams.data(session, first, messages), "again \(first)", packet)
          first += 3
        }
      default:
        // Two that support one another: believed.
        let other = dice.chance(50) ? line : 1 - line
        put(&self, Datagrams.data(session, far, junk), "far \(far), pair")
        let second = far + UInt64(junk.count)
        put(&self, Datagrams.data(session, second, junk), "far \(second), pair", 1 + dice.below(30), other)
      }
    }
  }

  private mutating func crash(until end: Int) {
    guard dice.chance(40) else { return }
    for _ in 0..<1 + dice.below(4) {
      let down = UInt64(dice.one(of: 0, 10, 300, 10_000))
      add(dice.below(end + 1), .crash(steps: dice.below(30), down: down))
    }
  }
}
