import LineArbiter

// The input drives an arbiter as a stage would: each operation is a letter and its numbers. What the venue says under a
// number is a function of session and number, except where the input asks for a copy that differs.

/// An arbiter, and what must be true of everything that leaves it.
private struct Driver: ~Copyable {
  var arbiter: LineArbiter
  var next: UInt64
  var now: UInt64 = 1
  var offered: UInt64 = 0
  var session: UInt8 = 0
  var requested: [(first: UInt64, count: UInt16)] = []
  /// What has named a new session since the current one began.
  var namings: [(session: UInt8, line: UInt8, end: UInt64, at: UInt64)] = []
  let bytes: UnsafeMutableRawBufferPointer

  init(_ configuration: ArbiterConfiguration, first: UInt64) {
    arbiter = LineArbiter(configuration: configuration, firstSequence: first)
    next = first
    bytes = .allocate(byteCount: 256, alignment: 8)
  }

  deinit { bytes.deallocate() }

  static func identifier(_ session: UInt8) -> SessionIdentifier {
    withUnsafeTemporaryAllocation(byteCount: SessionIdentifier.byteCount, alignment: 8) { buffer in
      for index in buffer.indices { buffer[index] = UInt8(index) &+ session }
      return SessionIdentifier(from: UnsafeRawPointer(buffer.baseAddress.unsafelyUnwrapped))
    }
  }

  /// What the venue says under a number, from 0 to 47 bytes.
  func message(_ sequence: UInt64, changed: Bool) -> UnsafeRawBufferPointer {
    let mixed = (sequence &+ UInt64(session)) &* 0x9E37_79B9_7F4A_7C15
    let length = Int(mixed >> 58) % 48
    for index in 0..<length { bytes[index] = UInt8(truncatingIfNeeded: mixed >> UInt64(index & 31)) }
    if changed && length > 0 { bytes[0] ^= 0x55 }
    return UnsafeRawBufferPointer(rebasing: bytes[..<length])
  }

  mutating func publish(_ sequence: UInt64) {
    require(sequence == next, "the stream is gapless and in order", (sequence, next))
    next &+= 1
  }

  mutating func drainHeld() {
    while let held = arbiter.nextDeliverable() {
      let expected = message(held.sequence, changed: held.stamp == 1)
      require(held.bytes.elementsEqual(expected), "held bytes are the message's", (held.sequence, held.stamp))
      publish(held.sequence)
    }
  }

  mutating func receive(_ source: Source, first: UInt64, count: UInt16, changed: Bool) {
    let before = arbiter.counters.rejectedMessages
    let verdict = arbiter.receive(source: source, first: first, count: count, now: now)
    // Messages of rejected packets are counted apart.
    if arbiter.counters.rejectedMessages == before { offered &+= UInt64(count) }
    switch verdict {
    case .deliver(let skip):
      require(skip < Int(count), "a delivery delivers")
      for index in skip..<Int(count) {
        publish(first &+ UInt64(index))
        if arbiter.keepsHistory {
          arbiter.remember(
            sequence: first &+ UInt64(index), bytes: message(first &+ UInt64(index), changed: changed))
        }
      }
    case .duplicate, .ignore: break
    case .examine:
      for index in 0..<UInt64(count) {
        let sequence = first &+ index
        let message = message(sequence, changed: changed)
        if arbiter.accept(sequence: sequence, bytes: message, stamp: changed ? 1 : 0) == .deliver {
          publish(sequence)
          drainHeld()
        }
      }
    }
  }

  /// Everything that is due now.
  mutating func poll() {
    var turns = 0
    while true {
      turns += 1
      require(turns < 100_000, "polling comes to an end")
      switch arbiter.poll(now: now) {
      case .request(let first, let count):
        require(count > 0 && first >= next, "what is asked for is wanted", (first, next))
        requested.append((first, count))
        if requested.count > 16 { requested.removeFirst() }
      case .giveUp(let first, let last, _):
        require(first == next && last >= first, "a loss starts at the head", (first, next))
        next = last &+ 1
        drainHeld()
      case .halt(let first, let last, _):
        require(first == next && last >= first, "a loss starts at the head", (first, next))
        next = last &+ 1
      case .requestSnapshot(let first, let last):
        require(first == next && last >= first, "an image is wanted for the head", (first, next))
      case .wait(let until):
        require(until > now, "a wait is for later", (until, now))
        return
      case .idle: return
      }
    }
  }

  /// An image of everything below `end` has come, asked for or not.
  mutating func image(_ end: UInt64) {
    let announced = arbiter.endSequence
    let wasWanted = arbiter.isSnapshotWanted
    guard case .use(let first, let last) = arbiter.snapshotArrived(next: end, now: now) else { return }
    require(wasWanted, "only an image that is wanted is used")
    require(first == next && last >= first && last == end &- 1, "an image starts at the head", (first, last))
    require(announced == 0 || end <= announced, "no image reaches beyond the session", (end, announced))
    next = end
    drainHeld()
    arbiter.readLinesAgain()
    for line in [Source.lineA, .lineB] { arbiter.setReadingRetention(line, true) }
  }

  /// A packet names another session than the current one. One of these alone ends nothing.
  mutating func nameSession(_ name: UInt8, _ source: Source, first: UInt64, end: UInt64) {
    let identifier = Self.identifier(name)
    switch arbiter.session(source: source, identifier: identifier) {
    case .same, .foreign: return
    case .first: violated("a session was adopted")
    case .changed: break
    }
    let isNamed = namings.contains {
      $0.session == name && ($0.line != source.rawValue || now > $0.at || end > first && first >= $0.end)
    }
    namings.append((name, source.rawValue, end, now))
    guard arbiter.isSupported(session: identifier, source: source, first: first, end: end, now: now) else {
      return
    }
    require(isNamed, "a second packet supports a new session", (first, end))
    arbiter.abandonOpenGaps()
    poll()
    arbiter.begin(session: identifier, firstSequence: 1)
    requested.removeAll()
    namings.removeAll()
    session &+= 1
    next = 1
  }

  mutating func checkAccounts() {
    let counters = arbiter.counters
    require(arbiter.nextSequence == next, "both know the next number", (arbiter.nextSequence, next))
    require(arbiter.highestSequence >= next, "the next number is not beyond the highest")
    let used = counters.delivered &+ counters.duplicates &+ counters.late &+ counters.duplicatesHeld
    let kept = counters.heldTotal &+ counters.notHeld &+ counters.beyondWindow &+ counters.notRequested
    require(offered == used &+ kept, "every message is counted once", (offered, used &+ kept))
    require(
      counters.heldTotal == counters.heldDelivered &+ counters.heldDiscarded &+ UInt64(arbiter.heldCount),
      "held messages are counted")
    var rejected: UInt64 = 0
    for reason in [IgnoreReason.sequenceZero, .overflow, .farAhead, .afterEnd, .halted] {
      rejected &+= arbiter.rejections(reason)
    }
    require(
      rejected == counters.rejectedPackets, "every reject has a reason", (rejected, counters.rejectedPackets))
    var last = next
    for index in 0..<arbiter.openGapCount {
      guard let gap = arbiter.openGap(index) else { violated("an open gap can be read") }
      require(gap.first <= gap.last && gap.first >= last, "gaps ascend", (gap.first, last))
      last = gap.last
    }
  }
}

private func configuration(_ flags: UInt8) -> ArbiterConfiguration {
  var configuration = ArbiterConfiguration()
  configuration.windowMessages = flags & 1 != 0 ? 64 : 256
  configuration.heldBytes = flags & 2 != 0 ? 4_096 : 65_536
  configuration.gapTableEntries = flags & 4 != 0 ? 4 : 32
  configuration.retransmission.isEnabled = flags & 8 != 0
  configuration.retransmission.attempts = 2
  configuration.retransmission.breakerPercent = flags & 16 != 0 ? 50 : 0
  configuration.retransmission.breakerWindow = 4
  configuration.snapshot = RungSettings(isEnabled: true)
  configuration.unrecoverable = [.stale, .snapshot, .stale, .halt][Int(flags >> 5 & 3)]
  configuration.requestsInFlight = flags & 16 != 0 ? 1 : 4
  configuration.requestMessages = flags & 32 != 0 ? 7 : 40
  configuration.historyMessages = flags & 64 != 0 ? 64 : 0
  configuration.maximumLagMessages = flags & 128 != 0 ? 256 : 0
  return configuration
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzLineArbiter(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  var input = FuzzInput(UnsafeRawBufferPointer(start: data, count: size))
  let flags = input.byte()
  let starts: [UInt64] = [1, 1, 1_000_000, .max - 300]
  var driver = Driver(configuration(flags), first: starts[Int(input.byte() & 3)])
  driver.arbiter.adopt(session: Driver.identifier(0))
  while !input.isAtEnd {
    let operation = input.byte()
    let source: Source = [.lineA, .lineB, .lineA, .retransmission][Int(operation >> 6)]
    switch operation & 15 {
    case 0, 1, 2, 3:  // Near the next number, before or after it.
      let ahead = UInt64(bitPattern: Int64(Int8(bitPattern: input.byte())))
      driver.receive(
        source, first: driver.next &+ ahead, count: UInt16(input.byte() & 31), changed: operation & 16 != 0)
    case 4:  // Anywhere.
      driver.receive(source, first: input.number(8), count: UInt16(input.number(2)) & 0x1FF, changed: false)
    case 5:  // Further ahead.
      driver.receive(
        source, first: driver.next &+ input.number(3), count: UInt16(input.byte() & 31), changed: false)
    case 6:
      driver.arbiter.heartbeat(source: source, nextExpected: driver.next &+ input.number(1), now: driver.now)
    case 7: driver.arbiter.heartbeat(source: source, nextExpected: input.number(8), now: driver.now)
    case 8:
      driver.arbiter.endOfSession(
        source: source, nextExpected: driver.next &+ input.number(2), now: driver.now)
    case 9, 10:  // An answer to something that was asked, perhaps not all of it.
      guard let wanted = driver.requested.last else { break }
      driver.requested.removeLast()
      let skip = UInt64(input.byte() & 7)
      driver.receive(
        .retransmission, first: wanted.first &+ skip, count: wanted.count &+ UInt16(input.byte() & 3),
        changed: operation & 16 != 0)
    case 11: driver.now &+= input.number(4)
    case 12: driver.now &+= input.number(2)
    case 14 where operation & 32 != 0: driver.arbiter.snapshotFailed(now: driver.now)
    case 14 where operation & 16 != 0: driver.arbiter.snapshotNotNeeded()
    case 14: driver.image(driver.next &+ input.number(2))
    case 15:
      driver.arbiter.observeLines(now: driver.now)
      while driver.arbiter.nextEvent() != nil {}
      if operation & 16 != 0 {
        driver.arbiter.setReadingRetention(source, operation & 32 != 0)
      }
    case 13:
      let name = input.byte() & 3
      let first = operation & 16 != 0 ? input.number(8) : input.number(1)
      let count = UInt64(input.byte() & 15)
      driver.nameSession(name, source, first: first, end: first > .max - count ? first : first + count)
    default: driver.poll()
    }
    driver.drainHeld()
    driver.checkAccounts()
  }
  driver.poll()
  driver.checkAccounts()
  return 0
}
