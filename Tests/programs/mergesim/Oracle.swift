/// What must come out, computed from nothing but what was handed to the stage and when: the rules of
/// docs/RECOVERY.md once more, over plain arrays, one sequence number at a time. Shares no code with the arbiter and
/// does not import it. Whatever the rules leave open (the time of a declaration, within bounds) is judged, and
/// everything else must be met exactly.
final class Oracle {
  /// What is known of one sequence number in this incarnation and session.
  struct Number {
    /// When it was first known to exist.
    var revealedAt: UInt64 = 0
    /// The same of the oldest and newest number that it may share a range with.
    var oldestAt: UInt64 = 0
    var newestAt: UInt64 = 0
    /// The first copy.
    var bytes: [UInt8]?
    var stamp: UInt64 = 0
    /// The packets that revealed it and brought it, and per line the one that passed it, by their order.
    var revealedBy = 0
    var broughtBy = 0
    var passedBy = (0, 0)
    /// Per line: when it had shown a higher number, and whether it brought this one when there was no room.
    var passedAt: (UInt64, UInt64) = (.max, .max)
    var refusedFrom = (false, false)
    var wasGivenUp = false
  }

  struct Line {
    /// One past the highest number that it has shown in this session; 0 = none.
    var next: UInt64 = 0
    /// In this session, and in any since the start of the stage.
    var heardAt: UInt64?
    var everHeardAt: UInt64?
    var advancedAt: UInt64 = 0
    /// Signs that were believed.
    var believed = 0
    /// Instants of signs that bore on the missing ranges.
    var signs: [(at: UInt64, packet: Int)] = []
    var isReadingRetention = true
    /// What it showed of this session is read again.
    var isRewound = false
  }

  let rules: Rules
  var problems: [String] = []
  var explain: ((String) -> Void)?

  var session: [UInt8]?
  var earlierSessions: [[UInt8]] = []
  var startedAt: UInt64 = 0
  var hasEnded = false
  var isHalted = false
  /// The next number that has to come out, one past the highest that exists, and the announced end (0 = none).
  var next: UInt64 = 1
  var known: UInt64 = 1
  var end: UInt64 = 0
  /// The highest number that was given up: old data from there down are looked at, and so a sign of their line.
  var lastGivenUp: UInt64 = 0
  /// From number `base` on.
  var base: UInt64 = 1
  var numbers: [Number] = []
  var lines = [Line(), Line()]
  var firstSignAt: UInt64?
  /// A session that one packet has named.
  var newSession: (name: [UInt8], line: Int, behind: UInt64, madeAt: UInt64)?
  var claims = Claims()
  var asking: Asking
  var imaging: Imaging
  /// Images that have failed in this incarnation, as the oracle knows.
  var imageFailuresSeen = 0
  /// The packet that is being handled.
  var packet: Packet?
  var packetSession: [UInt8] = []
  var packetOrigin = 0
  var packetStamp: UInt64 = 0
  var packetNumber = 0
  var now: UInt64 = 0
  var isChanging = false
  /// Messages that wait, in the order in which they came: what their memory looks like follows from it.
  var held: [(number: UInt64, units: Int)] = []
  var heldCount = 0
  /// Ranges were joined for want of places: from then on only what holds for joined ones is required.
  var isCoarse = false
  var tally = OracleTally()
  var expected: [Record] = []
  /// Two damaged or forged packets agreed on a number so far ahead that there is no array for it. It is believed, as the
  /// rules say, and nothing is judged from there on.
  private(set) var isOutOfReach = false
  private static let reach: UInt64 = 1 << 20
  /// Of an answer: messages that were refused for want of room.
  var refusedAnswers: [UInt64] = []

  init(_ rules: Rules) {
    self.rules = rules
    asking = Asking(rules)
    imaging = Imaging(rules)
  }

  func object(_ problem: String) {
    if problems.count < 20, !isOutOfReach { problems.append("at \(now): \(problem)") }
  }

  /// A stage starts.
  func begin(session: [UInt8]?, next: UInt64, hasEnded: Bool, isHalted: Bool, now: UInt64) {
    self.session = session
    self.hasEnded = hasEnded
    self.isHalted = isHalted
    self.now = now
    earlierSessions = []
    startedAt = now
    lines = [Line(), Line()]
    asking = Asking(rules)
    imaging = Imaging(rules)
    imageFailuresSeen = 0
    isCoarse = false
    tally = OracleTally()
    packet = nil
    isChanging = false
    beginNumbers(next)
    if hasEnded { end = next }
    lines[0].isReadingRetention = true
    lines[1].isReadingRetention = true
  }

  private func beginNumbers(_ first: UInt64) {
    (next, known, base, end) = (first, first, first, 0)
    lastGivenUp = 0
    newSession = nil
    numbers.removeAll(keepingCapacity: true)
    claims = Claims()
    asking.ranges.removeAll()
    asking.asked.removeAll()
    (imaging.isInFlight, imaging.attempts, imaging.last) = (false, 0, 0)
    imaging.stream = nil
    imaging.witnesses = []
    held.removeAll(keepingCapacity: true)
    heldCount = 0
    firstSignAt = nil
    for line in 0..<2 {
      lines[line].next = 0
      lines[line].heardAt = nil
      lines[line].isRewound = false
      lines[line].signs.removeAll(keepingCapacity: true)
    }
  }

  func retentionIsRead(_ line: Int) { lines[line].isReadingRetention = false }

  var isComplete: Bool { end != 0 && next >= end }

  subscript(_ number: UInt64) -> Number? {
    number >= base && number < known ? numbers[Int(number - base)] : nil
  }

  func isMissing(_ number: UInt64) -> Bool {
    number >= next && number < known && numbers[Int(number - base)].bytes == nil
  }

  // MARK: Packets

  func packetComes(_ datagram: [UInt8], _ origin: Int, stamp: UInt64, now: UInt64) {
    self.now = now
    packet = Packet(datagram)
    packetSession = Array(datagram.prefix(10))
    packetOrigin = origin
    packetStamp = stamp
    packetNumber += 1
    isChanging = false
    expected.removeAll(keepingCapacity: true)
    guard packet != nil, let session, packetSession != session else { return }
    if origin == service || earlierSessions.suffix(8).contains(packetSession) {
      packet = nil
    } else if mayChange(), isSessionSupported() {
      isChanging = true
    } else {
      packet = nil
    }
  }

  /// A new session is believed with a second packet: of the other line, of the same one behind the first, or later.
  private func isSessionSupported() -> Bool {
    guard let packet else { return false }
    let behind = packet.first + UInt64(packet.kind == .data ? packet.messages.count : 0)
    if let claim = newSession, claim.name == packetSession, now <= claim.madeAt + 4 * rules.silence {
      if claim.line != packetOrigin { return true }
      let distance = packet.first >= claim.behind ? packet.first - claim.behind : .max
      if behind > packet.first, distance <= rules.farAhead { return true }
      return now > claim.madeAt && now >= claim.madeAt + rules.hold
    }
    newSession = (packetSession, packetOrigin, behind, now)
    return false
  }

  /// One stray datagram must not end a session: it is over, or neither line has carried it for the silence.
  private func mayChange() -> Bool {
    if isComplete { return true }
    guard now - startedAt > rules.silence else { return false }
    return lines.allSatisfy { line in line.everHeardAt.map { now - $0 > rules.silence } ?? true }
  }

  /// The stage is done with the packet and has put out `produced` of it.
  func packetHandled(
    _ produced: [Record], refusedForRoom: [UInt64], notRequested: [UInt64], isCutShort: Bool
  ) {
    expected.removeAll(keepingCapacity: true)
    defer {
      packet = nil
      isChanging = false
    }
    if let packet {
      if isChanging {
        if isCutShort && produced.isEmpty { return }
        changeSession()
      } else if session == nil {
        guard packetOrigin != service else { return compare(produced, isCutShort) }
        expected.append(.sessionStart(packetSession, first: next))
        session = packetSession
      }
      refusedAnswers = refusedForRoom
      if packetOrigin == service { answer(packet, notRequested) } else { sign(packet, refusedForRoom) }
    }
    compare(produced, isCutShort)
  }

  func compare(_ produced: [Record], _ isCutShort: Bool) {
    if produced == expected || isCutShort && produced.elementsEqual(expected.prefix(produced.count)) {
      return
    }
    let at = zip(produced, expected).prefix { $0 == $1 }.count
    object(
      "output \(at + 1) of this step is \(at < produced.count ? produced[at].text : "nothing")"
        + " where \(at < expected.count ? expected[at].text : "nothing") has to come")
  }

  private func changeSession() {
    if next != known { object("the session changed while \(next)..<\(known) was not out") }
    if let session {
      if !hasEnded { expected.append(.endOfSession(session, next: next)) }
      earlierSessions.append(session)
    }
    expected.append(.sessionStart(packetSession, first: 1))
    session = packetSession
    hasEnded = false
    beginNumbers(1)
  }

  /// A packet of a line.
  private func sign(_ packet: Packet, _ refused: [UInt64]) {
    let line = packetOrigin
    if isHalted {
      if packet.kind == .data { tally.rejected += packet.messages.count }
      return
    }
    let first = packet.first
    let behind = packet.kind == .data ? first + UInt64(packet.messages.count) : first
    if isComplete && behind > end || !isBelieved(line, first, behind, packet.kind != .data) {
      if packet.kind == .data { tally.rejected += packet.messages.count }
      return
    }
    if behind > known && behind - known > Self.reach {
      isOutOfReach = true
      return
    }
    hear(line, behind, bearsOnRanges: packet.kind != .data || behind > next || first <= lastGivenUp)
    switch packet.kind {
    case .heartbeat, .endOfSession:
      reveal(below: first, by: line)
      if end != 0 && first > end { end = first }
      if packet.kind == .endOfSession, isEndBelieved(line, first) { end = max(end, first, known) }
    case .data:
      tally.received += packet.messages.count
      if behind > next { witness(first, packet.messages) }
      reveal(below: first, by: line)
      for (index, message) in packet.messages.enumerated() {
        take(first + UInt64(index), message, line, refused)
      }
      if end != 0 && behind > end { end = behind }
    }
  }

  private func hear(_ line: Int, _ behind: UInt64, bearsOnRanges: Bool) {
    if lines[0].next | lines[1].next == 0 { firstSignAt = now }
    lines[line].heardAt = now
    lines[line].everHeardAt = now
    lines[line].believed += 1
    if behind > lines[line].next {
      let from = max(lines[line].next, base)
      lines[line].next = behind
      lines[line].advancedAt = now
      var number = from
      while number < min(behind, known) {
        pass(number, line)
        number += 1
      }
    }
    if bearsOnRanges { lines[line].signs.append((now, packetNumber)) }
  }

  private func pass(_ number: UInt64, _ line: Int) {
    let index = Int(number - base)
    if line == 0, numbers[index].passedAt.0 == .max {
      numbers[index].passedAt.0 = now
      numbers[index].passedBy.0 = packetNumber
    } else if line == 1, numbers[index].passedAt.1 == .max {
      numbers[index].passedAt.1 = now
      numbers[index].passedBy.1 = packetNumber
    }
  }

  /// Everything below `first` exists, as the line has shown.
  private func reveal(below first: UInt64, by line: Int) {
    guard first > known else { return }
    let from = known
    var isJoined = from > next && isMissing(from - 1)
    while known < first {
      var number = Number()
      number.revealedAt = now
      number.revealedBy = packetNumber
      number.newestAt = now
      number.oldestAt = isJoined ? numbers[numbers.count - 1].oldestAt : now
      isJoined = true
      numbers.append(number)
      known += 1
      pass(known - 1, line)
    }
    // The ranges in front may have grown by these.
    var number = from
    while number > next, isMissing(number - 1) {
      number -= 1
      if numbers[Int(number - base)].newestAt == now { break }
      numbers[Int(number - base)].newestAt = now
    }
  }

  /// One message of a line, in the order of its packet.
  private func take(_ number: UInt64, _ message: [UInt8], _ line: Int, _ refused: [UInt64]) {
    if number < next {
      tally.old += 1
      return compareCopy(number, message)
    }
    if number == known { reveal(below: number + 1, by: line) }
    let index = Int(number - base)
    if number - next >= rules.window {
      tally.beyond += 1
      refuse(index, line)
    } else if numbers[index].bytes != nil {
      tally.old += 1
      if numbers[index].bytes! != message { tally.disagreements += 1 }
    } else if refused.contains(number) {
      tally.noRoom += 1
      judgeRefusal(message)
      refuse(index, line)
    } else {
      store(number, message)
    }
  }

  private func refuse(_ index: Int, _ line: Int) {
    if line == 0 { numbers[index].refusedFrom.0 = true } else { numbers[index].refusedFrom.1 = true }
  }

  /// A message that is used: it comes out now, or waits for those in front of it.
  func store(_ number: UInt64, _ message: [UInt8]) {
    let index = Int(number - base)
    numbers[index].bytes = message
    numbers[index].stamp = packetStamp
    numbers[index].broughtBy = packetNumber
    tally.used += 1
    if number == next {
      drain(into: &expected)
    } else {
      held.append((number, units(message)))
      heldCount += 1
    }
  }

  func drain(into records: inout [Record]) {
    while next < known, let bytes = numbers[Int(next - base)].bytes {
      records.append(.message(next, bytes, stamp: numbers[Int(next - base)].stamp))
      tally.out += 1
      next += 1
    }
    trimHeld()
  }

  // MARK: Copies

  /// A copy of a message that came out before.
  func compareCopy(_ number: UInt64, _ message: [UInt8]) {
    guard rules.history > 0, let kept = self[number], let bytes = kept.bytes, bytes != message else { return }
    var later = number + UInt64(rules.history)
    while later < next {
      if self[later]?.bytes != nil { return }
      later += UInt64(rules.history)
    }
    tally.disagreements += 1
  }

  // MARK: Room

  private func units(_ message: [UInt8]) -> Int { 1 + (message.count + 15) / 16 }

  private func trimHeld() {
    var gone = 0
    while gone < held.count, held[gone].number < next { gone += 1 }
    if gone > 0 { held.removeFirst(gone) }
  }

  /// Whether there can have been no room: an entry keeps its memory until all that came before it are gone.
  func judgeRefusal(_ message: [UInt8]) {
    let used = held.reduce(0) { $0 + $1.units }
    let longest = 2 * (1 + 260 / 16)
    if used + units(message) + longest <= rules.heldBytes / 16 {
      object("a message was refused for want of room when \(used) of \(rules.heldBytes / 16) units were used")
    }
  }
}

/// What became of everything, as the oracle counts it.
struct OracleTally {
  var received = 0
  var rejected = 0
  var old = 0
  var beyond = 0
  var noRoom = 0
  var used = 0
  var out = 0
  var lost = 0
  /// Missing and waiting messages in whose place an image came.
  var replaced = 0
  var discarded = 0
  var disagreements = 0
  /// Disagreements that may have been seen or not: copies in answers that nobody waited for any more.
  var possibleDisagreements = 0
  var requests = 0
}
