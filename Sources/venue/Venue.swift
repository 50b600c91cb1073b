import CLinux
import FeedSim
import FeedWire
import Glibc

/// The simulated exchange: one loop that sends both lines, answers requests, keeps idle lines alive, and
/// waits where its receivers ask it to. Decisions are FeedSim's; this is the wiring.
final class Venue {
  private let options: VenueOptions
  private let store: MessageStore
  private let session: MoldUDP64Session
  private let lines: [LineSender]
  private let server: RetransmissionServer?
  private let services: RecoveryServices?
  private let followed: [FollowedPage]
  private let status: StatusPage?
  private let termination: Int32
  private var pacer: RatePacer
  private var window: FollowWindow
  private var lastRefresh: UInt64 = 0
  private var isTerminated = false
  private var waited: [pollfd] = []
  private let startedAt: UInt64
  private var allSentAt: UInt64?

  /// Messages that a line sends before the other has its turn: about one batch of full packets.
  private static let roundMessages = 2_432
  /// Nanoseconds of sleep while the receivers are waited for.
  private static let windowNap: UInt64 = 75_000
  /// Nanoseconds of waiting after which packets no longer wait to be overtaken.
  private static let overtakePatience: UInt64 = 200_000

  init(_ options: VenueOptions, _ store: consuming MessageStore) throws {
    self.options = options
    session = options.session ?? Self.defaultSession(options)
    // Before any page is made or socket opened, so that an early signal ends the run in order.
    termination = venue_termination_descriptor()
    guard termination >= 0 else { throw SystemError("cannot wait for signals", -termination) }
    followed = try options.follow.map { try FollowedPage(path: $0) }
    let windowMessages = options.window ?? (options.windowPackets == nil ? 65_536 : UInt64.max)
    // A packet never holds more than a millisecond of the rate, nor more than the window.
    let perPacket = max(1, min(options.rate.map { $0 / 1_000 } ?? .max, windowMessages, 0xFFFE))
    var lines: [LineSender] = []
    for setup in Self.setups(options) {
      lines.append(
        try LineSender(
          setup, session: session, maximumMessages: Int(perPacket), windowPackets: options.windowPackets))
    }
    self.lines = lines
    let session = session
    server = try options.retransmit.map { try RetransmissionServer($0, session: session, options: options) }
    services = try RecoveryServices(options, session: session)
    status = try options.status.map { try StatusPage(path: $0) }
    self.store = store
    startedAt = monotonicNow()
    pacer = RatePacer(rate: options.rate, at: startedAt)
    window = FollowWindow(pages: options.follow.count, messages: windowMessages, at: startedAt)
  }

  deinit { close(termination) }

  private static func setups(_ options: VenueOptions) -> [LineSender.Setup] {
    var setups: [LineSender.Setup] = []
    if options.sendsA {
      setups.append(
        LineSender.Setup(
          name: "A", line: options.lineA, policy: .full, plan: options.impairment.a,
          seed: SplitMix64.mix(options.impairmentSeed &+ 0xA)))
    }
    if options.sendsB {
      setups.append(
        LineSender.Setup(
          name: "B", line: options.lineB, policy: .varied(seed: options.seed), plan: options.impairment.b,
          seed: SplitMix64.mix(options.impairmentSeed &+ 0xB)))
    }
    return setups
  }

  /// Ten digits that follow from the seed, so that another day is another session.
  private static func defaultSession(_ options: VenueOptions) -> MoldUDP64Session {
    var number = SplitMix64.mix(options.seed &+ 1) % 10_000_000_000
    var digits: [UInt8] = []
    for _ in 0..<MoldUDP64.sessionBytes {
      digits.insert(0x30 + UInt8(number % 10), at: 0)
      number /= 10
    }
    return digits.withUnsafeBytes { bytes in
      bytes.baseAddress.map { MoldUDP64Session(from: $0) } ?? MoldUDP64Session(leading: 0, trailing: 0)
    }
  }

  /// The last sequence number that has left on any line.
  private var lastSent: UInt64 { UInt64(lines.map(\.offered).max() ?? 0) }

  /// Sends the session to its end; returns early after SIGTERM or SIGINT.
  func run() throws {
    while !isTerminated {
      let now = monotonicNow()
      serve(now)
      var signal = [pollfd(fd: termination, events: Int16(POLLIN), revents: 0)]
      if venue_wait_any(&signal, 1, 0) > 0 { isTerminated = true }
      if try !sendRound(now) { break }
    }
    guard !isTerminated else { return }
    allSentAt = monotonicNow()
    status?.set(.allSent)
    try repeatEnd(for: options.endRepeat)
    guard !isTerminated else { return }
    status?.set(.over)
    try repeatEnd(for: options.linger)
  }

  /// One turn for each line. Returns false once everything has been sent.
  private func sendRound(_ now: UInt64) throws -> Bool {
    let before = lastSent
    readPages(sent: before, now: now)
    let permitted = min(pacer.permitted(at: now, sent: before), window.permitted)
    let handled = window.lowestHandled
    let slowest = lines.map(\.offered).min() ?? 0
    let target = min(slowest + Self.roundMessages, store.count)
    var blocked: UInt64?
    var paced: UInt64?
    var offered = false
    for line in lines {
      let from = line.offered
      let stop = try line.advance(to: target, permitted: permitted, handled: handled, store: store, now: now)
      offered = offered || line.offered != from
      switch stop {
      case .reached, .noneLeft: break
      case .windowClosed(let wanted): blocked = min(blocked ?? .max, wanted)
      case .notPermitted(let wanted):
        if wanted > window.permitted {
          blocked = min(blocked ?? .max, wanted - window.messages)
        } else {
          paced = min(paced ?? .max, wanted)
        }
      }
    }
    status?.set(lastSent: lastSent)
    if offered {
      window.wasOpen(at: now)
      return true
    }
    return try idle(blockedUntil: blocked, pacedTo: paced, now)
  }

  /// Nothing could be offered: let go what is held back, keep the lines alive, sleep. Returns false when
  /// nothing is left to do.
  ///
  /// - Parameters:
  ///   - wanted: what the followed processes must have handled before more can be sent, if waited for
  ///   - paced: the message that the rate does not let out yet, if that is what is missing
  private func idle(blockedUntil wanted: UInt64?, pacedTo paced: UInt64?, _ now: UInt64) throws -> Bool {
    let isDone = lines.allSatisfy { $0.offered == store.count }
    if let wanted { window.waits(for: wanted, at: now) } else { window.wasOpen(at: now) }
    var wakeAt = wanted == nil ? UInt64.max : now + Self.windowNap
    for line in lines {
      let silence = now > line.lastSentAt ? now - line.lastSentAt : 0
      if isDone || silence >= options.heartbeat || (wanted != nil && silence >= Self.overtakePatience) {
        try line.flush(store: store, now: now)
      }
      // A heartbeat must not announce what the line still holds back.
      if line.impairment.heldCount == 0 && !isDone {
        if silence >= options.heartbeat { try line.sendHeartbeat(now: now) }
      }
      wakeAt = min(wakeAt, max(line.lastSentAt, now) + options.heartbeat)
      if let due = line.impairment.nextDue { wakeAt = min(wakeAt, due) }
    }
    if isDone && lines.allSatisfy({ $0.impairment.heldCount == 0 }) { return false }
    if let paced { wakeAt = min(wakeAt, pacer.time(for: paced)) }
    sleep(until: wakeAt, now)
    return true
  }

  private func readPages(sent: UInt64, now: UInt64) {
    guard !followed.isEmpty else { return }
    for (index, page) in followed.enumerated() {
      window.report(page.handled, page: index, sent: sent, at: now)
    }
    // Somebody may have been replaced by a successor with a new page.
    guard now - lastRefresh > 100_000_000 else { return }
    lastRefresh = now
    for page in followed { page.refresh() }
  }

  private func repeatEnd(for duration: UInt64) throws {
    let from = monotonicNow()
    var next = from
    while !isTerminated {
      let now = monotonicNow()
      guard now - from < duration else { return }
      serve(now)
      if now >= next {
        for line in lines { try line.sendEndOfSession(now: now) }
        next = now + options.heartbeat
      }
      sleep(until: min(next, from + duration), now)
    }
  }

  /// One turn of everything that answers.
  private func serve(_ now: UInt64) {
    server?.serve(store: store, sent: lastSent, now: now)
    services?.serve(store: store, sent: lastSent, isOver: allSentAt != nil, now: now)
  }

  /// Sleeps until a request or a signal comes, or the time does.
  private func sleep(until time: UInt64, _ now: UInt64) {
    var wakeAt = min(time, server?.nextDue ?? .max)
    waited.removeAll(keepingCapacity: true)
    waited.append(pollfd(fd: termination, events: Int16(POLLIN), revents: 0))
    if let server { waited.append(pollfd(fd: server.descriptor, events: Int16(POLLIN), revents: 0)) }
    if let services {
      wakeAt = min(
        wakeAt, services.wait(for: &waited, sent: lastSent, isOver: allSentAt != nil, now: now))
    }
    let nap = wakeAt > now ? min(wakeAt - now, 1_000_000_000) : 0
    guard venue_wait_any(&waited, UInt32(waited.count), nap) > 0 else { return }
    if waited[0].revents != 0 { isTerminated = true }
  }

  /// One line of JSON: what was sent, dropped, asked and answered.
  var summary: String {
    let now = monotonicNow()
    let lineTexts = lines.map { line in
      let counters = line.impairment.counters
      return "\"\(line.name)\":{\"packets\":\(counters.offered),\"datagrams\":\(line.datagrams)"
        + ",\"dropped\":\(counters.dropped),\"droppedInBursts\":\(counters.droppedInBursts)"
        + ",\"droppedInHoles\":\(counters.droppedInHoles),\"droppedByCut\":\(counters.droppedByCut)"
        + ",\"cutAt\":\(line.impairment.cutAt),\"cutUntil\":\(line.impairment.cutUntil)"
        + ",\"duplicated\":\(counters.duplicated),\"reordered\":\(counters.reordered)"
        + ",\"late\":\(counters.late),\"heartbeats\":\(line.heartbeats)"
        + ",\"endOfSession\":\(line.endOfSessions),\"retries\":\(line.retries)}"
    }
    return "{\"session\":\"\(Self.escaped(session.text))\",\"messages\":\(store.count),\"sent\":\(lastSent)"
      + ",\"complete\":\(allSentAt != nil),\"lines\":{\(lineTexts.joined(separator: ","))}"
      + ",\"retransmission\":{\"requests\":\(server?.requests ?? 0),\"answers\":\(server?.answers ?? 0)"
      + ",\"messages\":\(server?.messages ?? 0),\"dropped\":\(server?.dropped ?? 0)"
      + ",\"ignored\":\(server?.ignored ?? 0)},\"services\":\(services?.summary ?? "{}"),\"paceTimeouts\":\(window.timeouts)"
      + ",\"sendSeconds\":\(Self.seconds((allSentAt ?? now) - startedAt))"
      + ",\"wallSeconds\":\(Self.seconds(now - startedAt))}"
  }

  private static func escaped(_ text: String) -> String {
    text.reduce(into: "") { result, character in
      if character == "\"" || character == "\\" { result.append("\\") }
      result.append(character)
    }
  }

  private static func seconds(_ nanoseconds: UInt64) -> String {
    let micros = String(nanoseconds / 1_000 % 1_000_000)
    return "\(nanoseconds / 1_000_000_000).\(String(repeating: "0", count: 6 - micros.utf8.count))\(micros)"
  }
}
