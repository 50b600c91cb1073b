import FeedWire
import Glimpse
import LineArbiter
import SoupBinTCP

extension ArbiterConfiguration {
  init(_ rules: Rules) {
    self.init()
    windowMessages = rules.window
    heldBytes = rules.heldBytes
    holdNanoseconds = rules.hold
    lineWaitNanoseconds = rules.lineWait
    lineSilenceNanoseconds = rules.silence
    farAheadMessages = rules.farAhead
    corroborateEnd = rules.corroborateEnd
    historyMessages = rules.history
    maximumLagMessages = rules.maximumLag
    switch rules.policy {
    case .stale: unrecoverable = .stale
    case .halt: unrecoverable = .halt
    case .snapshot: unrecoverable = .snapshot
    }
    snapshot.isEnabled = rules.policy == .snapshot
    snapshot.timeoutNanoseconds = rules.image.timeout
    snapshot.backoffNanoseconds = rules.image.backoff
    snapshot.attempts = rules.image.attempts
    snapshot.intervalNanoseconds = rules.image.interval
    snapshot.breakerPercent = UInt64(rules.image.breakerPercent)
    snapshot.breakerWindow = rules.image.breakerWindow
    snapshot.breakerOpenNanoseconds = rules.image.breakerOpen
    snapshot.breakerProbes = rules.image.breakerProbes
    gapTableEntries = rules.gapTableEntries
    retransmission.isEnabled = rules.asks
    retransmission.timeoutNanoseconds = rules.timeout
    retransmission.backoffNanoseconds = rules.backoff
    retransmission.attempts = rules.attempts
    retransmission.intervalNanoseconds = rules.interval
    retransmission.budgetRequests = UInt64(rules.budget)
    retransmission.budgetNanoseconds = rules.budgetPeriod
    retransmission.breakerPercent = UInt64(rules.breakerPercent)
    retransmission.breakerWindow = rules.breakerWindow
    retransmission.breakerOpenNanoseconds = rules.breakerOpen
    retransmission.breakerProbes = rules.breakerProbes
    requestMessages = rules.requestMessages
    requestsInFlight = rules.requestsInFlight
    partialAnswerNanoseconds = rules.partialAnswer
  }
}

extension StageView {
  init(_ arbiter: borrowing LineArbiter) {
    let counters = arbiter.counters
    next = arbiter.nextSequence
    known = arbiter.highestSequence
    end = arbiter.endSequence
    held = arbiter.heldCount
    received = Source.allCases.reduce(0) { $0 + arbiter.statistics(of: $1).messages }
    rejected = counters.rejectedMessages
    old = counters.duplicates + counters.late + counters.duplicatesHeld + counters.notRequested
    beyond = counters.beyondWindow
    noRoom = counters.notHeld
    used = counters.delivered + counters.heldTotal
    out = counters.delivered + counters.heldDelivered
    lost = counters.givenUp
    replaced = counters.filledBySnapshot
    missing = counters.missing
    filled = counters.filledByLineA + counters.filledByLineB + counters.filledByRetransmission
    disagreements = counters.disagreements
    requests = counters.requests
  }
}

/// One incarnation of merged: drives the arbiter through the calls that `MergeStage` makes, in its order, between the
/// host's rings in virtual time. It can die at any step.
final class SimulatedStage {
  private static let packetsPerTurn = 16
  private static let batchMessages = 128

  var arbiter: LineArbiter
  let rules: Rules
  let host: Host
  private let oracle: Oracle?
  var judge: Oracle? { oracle?.isOutOfReach == true ? nil : oracle }
  /// Requests that have left, for the service.
  private(set) var requests: [(session: [UInt8], first: UInt64, count: Int)] = []
  private(set) var nextAction: UInt64 = 0
  private(set) var isHalted: Bool
  private(set) var isDead = false
  /// Steps until it dies; nil = it does not.
  var fuse: Int?

  private let startedAt: UInt64
  private(set) var session: [UInt8]?
  private var hasEnded = false
  private var positions: [Int]
  private var retainedUntil: [Int]
  /// Where the rings were read when an image was asked for.
  private var rewindTo: [Int] = []
  /// An image is being fetched, for the place of the numbers from this one on.
  var isFetching = false
  var imageFirst: UInt64 = 0
  var imageMessages = 0
  var wanted: [UInt8] = []
  /// Nil without images.
  var fetch: GlimpseFetch?
  var connection: SimulatedConnection?
  private var isReading = [true, true]
  private var hasAsked = false
  /// Committed, not yet published.
  private var batch: [Record] = []
  /// Of the packet or action that is being handled, for the oracle.
  var produced: [Record] = []
  private var refusedForRoom: [UInt64] = []
  private var notRequested: [UInt64] = []
  private(set) var malformed = 0
  private var nextLook: UInt64 = 0

  init(_ rules: Rules, _ host: Host, oracle: Oracle?, now: UInt64) {
    self.rules = rules
    self.host = host
    self.oracle = oracle
    fetch = Self.fetch(rules)
    startedAt = now
    var next: UInt64 = 1
    isHalted = false
    switch host.tail {
    case nil: break
    case .message(let number, _, _): next = number + 1
    case .gap(_, let last, _):
      next = last + 1
      isHalted = rules.haltsOnLoss
    case .sessionStart(let name, let first):
      next = first
      session = name
    case .endOfSession(let name, let number):
      next = number
      session = name
      hasEnded = true
    case .imageStart, .image: next = host.imageFirst
    case .imageEnd(_, let last, _): next = last + 1
    }
    if host.tail != nil && session == nil { session = host.sessionWords }
    arbiter = LineArbiter(configuration: ArbiterConfiguration(rules), firstSequence: next)
    if let session { arbiter.adopt(session: Self.identifier(session)) }
    if hasEnded { arbiter.conclude() }
    arbiter.setReadingRetention(.lineA, true)
    arbiter.setReadingRetention(.lineB, true)
    positions = host.rings.map(\.oldest)
    retainedUntil = host.rings.map(\.end)
    host.answers = []
    judge?.begin(session: session, next: next, hasEnded: hasEnded, isHalted: isHalted, now: now)
  }

  private static func identifier(_ bytes: [UInt8]) -> SessionIdentifier {
    bytes.withUnsafeBytes { SessionIdentifier(from: $0.baseAddress!) }
  }

  // MARK: The loop

  /// One pass over all inputs. False when there was nothing.
  func turn(_ now: UInt64) -> Bool {
    guard !isHalted, step() else { return false }
    let packets = take(0, now) + take(1, now) + takeAnswers(now)
    for line in 0..<2 where isReading[line] && positions[line] >= retainedUntil[line] {
      isReading[line] = false
      nextAction = 0
      arbiter.setReadingRetention(line == 0 ? .lineA : .lineB, false)
      judge?.retentionIsRead(line)
    }
    let fetched = isFetching ? fetchImage(now) : 0
    if packets + fetched > 0 || now >= nextAction { resolve(now) }
    if now >= nextLook {
      nextLook = now + 1_000
      arbiter.observeLines(now: now)
      while arbiter.nextEvent() != nil {}
    }
    publishEndIfComplete()
    publishBatch()
    if !isDead, let oracle = judge { oracle.turnEnds(StageView(arbiter), now) }
    return packets + fetched > 0 && !isDead
  }

  private func take(_ line: Origin, _ now: UInt64) -> Int {
    var packets = 0
    while packets < Self.packetsPerTurn, positions[line] < host.rings[line].end, step() {
      positions[line] = max(positions[line], host.rings[line].oldest)
      let record = host.rings[line][positions[line]]
      positions[line] += 1
      packets += 1
      handle(record.bytes, line, record.stamp, now)
    }
    return packets
  }

  private func takeAnswers(_ now: UInt64) -> Int {
    guard arbiter.openGapCount > 0 || hasAsked else { return 0 }
    var packets = 0
    while packets < Self.packetsPerTurn, packets < host.answers.count, step() {
      let answer = host.answers[packets]
      packets += 1
      handle(answer.bytes, service, answer.stamp, now)
    }
    host.answers.removeFirst(packets)
    return packets
  }

  // MARK: Packets

  private func handle(_ datagram: [UInt8], _ origin: Origin, _ stamp: UInt64, _ now: UInt64) {
    produced.removeAll(keepingCapacity: true)
    refusedForRoom.removeAll(keepingCapacity: true)
    notRequested.removeAll(keepingCapacity: true)
    judge?.packetComes(datagram, origin, stamp: stamp, now: now)
    datagram.withUnsafeBytes { handle($0, Source(rawValue: UInt8(origin))!, stamp, now) }
    judge?.packetHandled(
      produced, refusedForRoom: refusedForRoom, notRequested: notRequested, isCutShort: isDead)
  }

  private func handle(_ datagram: UnsafeRawBufferPointer, _ source: Source, _ stamp: UInt64, _ now: UInt64) {
    guard case .packet(let packet) = MoldUDP64Packet.parse(datagram), let base = datagram.baseAddress else {
      malformed += 1
      return
    }
    let identifier = SessionIdentifier(from: base)
    let name = Array(datagram.prefix(SessionIdentifier.byteCount))
    switch arbiter.session(source: source, identifier: identifier) {
    case .same: break
    case .first:
      begin(name, first: arbiter.nextSequence)
      arbiter.adopt(session: identifier)
    case .foreign: return
    case .changed where !mayChangeSession(now): return
    case .changed
    where !arbiter.isSupported(
      session: identifier, source: source, first: packet.sequence, end: packet.nextSequence, now: now):
      return
    case .changed:
      arbiter.abandonOpenGaps()
      resolve(now)
      publishEnd()
      endFetching()
      fetch?.forgetSession()
      begin(name, first: 1)
      arbiter.begin(session: identifier, firstSequence: 1)
    }
    guard !isDead else { return }
    switch packet.kind {
    case .heartbeat: arbiter.heartbeat(source: source, nextExpected: packet.sequence, now: now)
    case .endOfSession: arbiter.endOfSession(source: source, nextExpected: packet.sequence, now: now)
    case .data(let count): deliver(packet, count, source, stamp, now)
    }
  }

  private func mayChangeSession(_ now: UInt64) -> Bool {
    if arbiter.isComplete { return true }
    guard now - startedAt > rules.silence else { return false }
    let states = arbiter.lineStates(now: now)
    return !states.lineAIsUp && !states.lineBIsUp
  }

  private func deliver(
    _ packet: MoldUDP64Packet, _ count: Int, _ source: Source, _ stamp: UInt64, _ now: UInt64
  ) {
    var blocks = packet.blocks
    var number = packet.sequence
    var isWitness = false
    defer { if isWitness, source != .retransmission { noteWitnesses(packet) } }
    switch arbiter.receive(
      source: source, first: number, count: UInt16(count), now: now, stamp: stamp)
    {
    case .deliver(let skip):
      var block = 0
      while let message = blocks.next() {
        if block < skip {
          arbiter.compare(source: source, sequence: number, bytes: message)
        } else {
          put(number, message, stamp)
          arbiter.remember(sequence: number, bytes: message)
        }
        block += 1
        number += 1
      }
    case .examine:
      isWitness = true
      while let message = blocks.next() {
        switch arbiter.accept(sequence: number, bytes: message, stamp: stamp) {
        case .deliver:
          put(number, message, stamp)
          drainHeld()
        case .notHeld: refusedForRoom.append(number)
        case .notRequested: notRequested.append(number)
        default: break
        }
        number += 1
      }
    case .duplicate:
      guard arbiter.keepsHistory else { return }
      while let message = blocks.next() {
        arbiter.compare(source: source, sequence: number, bytes: message)
        number += 1
      }
    case .ignore(.beyondWindow): isWitness = true
    case .ignore(.notRequested): notRequested += (0..<UInt64(count)).map { number + $0 }
    case .ignore: break
    }
  }

  func drainHeld() {
    while let held = arbiter.nextDeliverable() { put(held.sequence, held.bytes, held.stamp) }
  }

  // MARK: What is missing

  private func resolve(_ now: UInt64) {
    judge?.resolveBegins(now, rangesWereJoined: arbiter.counters.gapTableOverflows > 0)
    while step() {
      produced.removeAll(keepingCapacity: true)
      let action = arbiter.poll(now: now)
      judge?.imageFailures(arbiter.statistics(of: .snapshot).failures, now)
      switch action {
      case .request(let first, let count):
        if let session { requests.append((session, first, Int(count))) }
        hasAsked = true
        judge?.requested(first, Int(count), now)
      case .giveUp(let first, let last, let reason):
        commit(.gap(first, last, reason: reason.rawValue))
        publishBatch()
        drainHeld()
        judge?.gaveUp(first, last, reason.rawValue, halted: false, produced, isCutShort: isDead, now)
        produced.removeAll(keepingCapacity: true)
      case .halt(let first, let last, let reason):
        commit(.gap(first, last, reason: reason.rawValue))
        publishBatch()
        isHalted = true
        judge?.gaveUp(first, last, reason.rawValue, halted: true, produced, isCutShort: isDead, now)
        return
      case .requestSnapshot(let first, let last): beginImage(first, last, now)
      case .wait(let until):
        if until <= now { judge?.object("told to wait until \(until) at \(now)") }
        nextAction = max(until, now + 1)
        return publishBatch()
      case .idle:
        nextAction = .max
        return publishBatch()
      }
    }
  }

  /// The requests that have left since the last time.
  func takeRequests() -> [(session: [UInt8], first: UInt64, count: Int)] {
    defer { requests.removeAll() }
    return requests
  }

  func noteRingPositions() { rewindTo = positions }

  func readLinesAgain() {
    retainedUntil = positions
    for line in 0..<2 { positions[line] = max(rewindTo[line], host.rings[line].oldest) }
    isReading = [true, true]
    arbiter.readLinesAgain()
    arbiter.setReadingRetention(.lineA, true)
    arbiter.setReadingRetention(.lineB, true)
  }

  /// Something is still to be read.
  var hasInput: Bool {
    positions[0] < host.rings[0].end || positions[1] < host.rings[1].end
      || (!host.answers.isEmpty && (arbiter.openGapCount > 0 || hasAsked))
  }

  // MARK: Output

  /// False once the stage is dead.
  func step() -> Bool {
    if let left = fuse {
      if left <= 0 { isDead = true }
      fuse = left - 1
    }
    return !isDead
  }

  private func put(_ number: UInt64, _ message: UnsafeRawBufferPointer, _ stamp: UInt64) {
    commit(.message(number, Array(message), stamp: stamp))
    if batch.count >= Self.batchMessages { publishBatch() }
  }

  func commit(_ record: Record) {
    guard step() else { return }
    batch.append(record)
    produced.append(record)
  }

  func publishBatch() {
    guard !batch.isEmpty, step() else { return }
    for record in batch { host.publish(record) }
    batch.removeAll(keepingCapacity: true)
  }

  private func begin(_ name: [UInt8], first: UInt64) {
    guard step() else { return }
    host.sessionWords = name
    session = name
    hasEnded = false
    commit(.sessionStart(name, first: first))
    publishBatch()
  }

  private func publishEnd() {
    guard !hasEnded, let session, !isDead else { return }
    hasEnded = true
    commit(.endOfSession(session, next: arbiter.nextSequence))
    publishBatch()
  }

  private func publishEndIfComplete() {
    guard arbiter.isComplete, !hasEnded, !isHalted, !isDead else { return }
    produced.removeAll(keepingCapacity: true)
    publishEnd()
    judge?.ended(produced, isCutShort: isDead)
  }
}
