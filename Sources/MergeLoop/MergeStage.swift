import CLinux
import CProbes
import Failpoints
import FeedWire
import Glibc
import LineArbiter
import ShmRing
import SoupBinTCP
import StageRecords
public import StageRuntime
import Topology

/// Drives the ``LineArbiter``: takes packets from the receivers' rings and the retransmission socket, and puts what
/// the arbiter releases on the merged ring. The decisions are the arbiter's; bytes, clock and sockets are here.
///
/// A successor finds in the tail of its own ring how far its predecessor came, and reads the receivers' rings
/// again from their oldest record: what was out already arrives as a duplicate.
public struct MergeStage: ~Copyable {
  /// Packets taken from one line before the other is looked at.
  private static let packetsPerTurn = 16
  /// Messages after which an open batch is published even within a turn.
  private static let batchMessages = 128
  private static let idleNanoseconds: Int64 = 50_000_000
  /// How long to sleep at most while answers of the retransmission service may come.
  private static let answerNanoseconds: Int64 = 200_000
  private static let receiveBufferBytes = 65_536 + 64

  /// Time between two reports while there is something to do, and between two looks at the lines.
  static let reportNanoseconds: UInt64 = 50_000_000
  static let lookNanoseconds: UInt64 = 1_000_000

  let control: ControlPage
  let page: RecoveryPage
  private var lineA: RingConsumer
  private var lineB: RingConsumer
  var output: MergedOutput
  var arbiter: LineArbiter
  private(set) var retransmission: RetransmissionClient
  /// Nil without a snapshot service.
  var snapshot: SnapshotClient?
  var isFetching = false
  /// A whole image is judged once the lines are read up to here, and since when it waits for that, as CLOCK_MONOTONIC and as a receive
  /// stamp (ns); nil when there is none.
  var judgedBehind: (a: UInt64, b: UInt64, since: UInt64, stamp: UInt64)?
  /// The newest receive stamp of what a line said ahead of the stream, or beside it: a heartbeat. Followed where images replace what is lost.
  private(set) var lineSpokeAt: UInt64 = 0
  /// Whether messages ahead of the stream are kept as witnesses of images.
  private let keepsWitnesses: Bool
  /// A line that says nothing for so long while an image waits to be judged is not waited for any longer.
  let witnessPatience: UInt64
  /// Images that the lines contradicted.
  var contradictedImages: UInt64 = 0
  /// Where the lines' rings were read when the image was asked for.
  private var rewindA: UInt64 = 0
  private var rewindB: UInt64 = 0
  /// Room for two records.
  private let buffer: UnsafeMutableRawPointer
  private var blocks = BlockIndex()
  private let idleStrategy: IdleStrategy
  private var patrol = RingPatrol()
  private(set) var malformed: UInt64 = 0
  private(set) var heartbeats: UInt64 = 0
  private(set) var inputLaps: UInt64 = 0
  private(set) var foreignSessions: UInt64 = 0
  private let startedAt: UInt64
  private let silenceNanoseconds: UInt64
  /// Books for bookd's instruments in quarantine.
  var recovery: InstrumentRecovery
  let recoversInstruments: Bool
  /// Whether what is published is noted for them.
  var isNoting = false
  var recoveryImages: UInt64 = 0
  var recoveryFailures: UInt64 = 0
  var recoveriesTold: UInt64 = 0
  /// bookd's page: what it wishes for.
  let bookPage: ControlPage
  private(set) var isHalted = false
  /// Counters as the predecessor left them.
  let base: CounterBase
  private var nextAction: UInt64 = 0
  private var nextReport: UInt64 = 0
  private var nextLook: UInt64 = 0
  /// Tallies as the predecessor left them.
  let tallyBase: TallyBase
  /// What has been written down so far.
  var reported = MergeReported()
  let narrator = makeNarrator()
  /// Positions up to which the lines' rings hold what a predecessor may have read already.
  private var retainedA: UInt64
  private var retainedB: UInt64
  private var isReadingA = true
  private var isReadingB = true
  /// The first number that this incarnation has to deliver, and whether it is still on its way there.
  private let resumedAt: UInt64
  private var isCatchingUp: Bool
  /// Where a stream begins whose rings are new.
  private var origin = TapeOrigin()

  /// Attaches to the rings and pages of the set, and continues where the ring `merged` ends.
  public init(process: borrowing StageProcess) {
    let topology = process.topology
    do {
      control = try ControlPage.attach(
        directory: process.directory, component: process.component, access: .readWrite)
      bookPage = try ControlPage.attach(
        directory: process.directory, component: Topology.bookStage, access: .readOnly)
      page = try RecoveryPage.attach(directory: process.directory, access: .readWrite)
    } catch {
      fail("\(process.component): \(error)", code: ExitCode.unavailable)
    }
    base = control.counterBase()
    tallyBase = TallyBase(page)
    output = MergedOutput(producer: process.producer("merged"))
    lineA = process.consumer("rx_a", start: .oldest)
    lineB = process.consumer("rx_b", start: .oldest)
    retainedA = lineA.publishedPosition
    retainedB = lineB.publishedPosition
    startedAt = bulkhead_monotonic_nanoseconds()
    page.setClockOffset(bulkhead_realtime_nanoseconds() &- startedAt)
    silenceNanoseconds = topology.channel.arbitration.silenceNanoseconds
    let configuration = ArbiterConfiguration(topology.channel)
    if let problem = configuration.problem() {
      fail("\(process.component): arbitration settings: \(problem)", code: ExitCode.configuration)
    }
    recoversInstruments = topology.recoversInstruments
    keepsWitnesses = configuration.unrecoverable == .snapshot && topology.channel.snapshot != nil
    witnessPatience = (topology.channel.snapshot?.timeoutNanoseconds ?? 0) / 2
    recovery = InstrumentRecovery(recoversInstruments ? topology.channel.snapshot : nil)
    failpoint(71)  // attached everywhere, before the own ring's end is looked for
    let resumed = output.resume()
    failpoint(72)  // it is found
    arbiter = LineArbiter(configuration: configuration, firstSequence: resumed.next)
    resumedAt = resumed.next
    isHalted = configuration.unrecoverable == .halt && output.endsWithGap
    isCatchingUp = resumed.next > 1
    if let session = resumed.session { arbiter.adopt(session: session) }
    if output.hasEnded { arbiter.conclude() }
    arbiter.setReadingRetention(.lineA, true)
    arbiter.setReadingRetention(.lineB, true)
    control.flight.note(.resumed, resumed.next)
    reported.finishedBase = page.finishedCount
    if resumed.next > 1 {
      narrate("\(process.component): continuing at sequence \(resumed.next), found on its own ring")
    }
    retransmission = RetransmissionClient(topology.channel.retransmission, component: process.component)
    snapshot = SnapshotClient(
      configuration.unrecoverable == .snapshot || topology.recoversInstruments
        ? topology.channel.snapshot : nil,
      // Where tables are full the venue has more orders than they hold.
      orders: min(1 << 28, topology.capacity.orders / 4 * (recoversInstruments ? 5 : 4) + 4),
      component: process.component)
    buffer = UnsafeMutableRawPointer.allocate(byteCount: 2 * Self.receiveBufferBytes, alignment: 64)
    buffer.initializeMemory(as: UInt8.self, repeating: 0, count: 2 * Self.receiveBufferBytes)
    idleStrategy = process.idleStrategy
    if resumed.session == nil { origin = TapeOrigin(process: process) }
    narrator.start(topology: topology)
  }

  /// Runs until asked to stop, then takes what the receivers have left behind.
  public mutating func run() {
    switch idleStrategy {
    case .spin: run(SpinWait())
    case .yield: run(YieldWait())
    case .park: run(ParkWait())
    }
  }

  private mutating func run(_ strategy: some RingWait) {
    var wait = strategy
    control.setState(isHalted ? .halted : .ready)
    control.beat()
    Sandbox.enter("merged")
    while true {
      if !isHalted, turn() {
        wait.reset()
        continue
      }
      housekeep()
      if bulkhead_stop_requested() { break }
      patrolRings(bulkhead_monotonic_nanoseconds())
      if wait.idle() == .park { park() }
    }
    control.setState(.draining)
    while !isHalted, turn() {}
    housekeep()
    narrator.tellAll()
  }

  /// The next number of the stream.
  public var nextSequence: UInt64 { arbiter.nextSequence }
  /// Times that a receiver's ring was overwritten before it was read, and messages lost for good.
  public var inputLapCount: UInt64 { inputLaps }
  public var lostMessageCount: UInt64 { arbiter.counters.givenUp }

  /// Takes what is there from both lines and the retransmission socket. False when there was nothing.
  public mutating func turn() -> Bool {
    let now = bulkhead_monotonic_nanoseconds()
    let flight = control.flight
    if isCatchingUp, arbiter.nextSequence != resumedAt { isCatchingUp = false }
    flight.doing(.readingLineA)
    var packets = take(.lineA, now)
    flight.doing(.readingLineB)
    packets += take(.lineB, now)
    flight.doing(.readingAnswers)
    packets += takeAnswers(now)
    flight.doing(.resolving)
    if isReadingA || isReadingB { leaveRetention() }
    if isFetching { packets += fetch(now) }
    if isNoting { packets += recoverInstruments(now) }
    if packets > 0 || now >= nextAction { resolve(now) }
    if now >= nextLook {
      nextLook = now &+ Self.lookNanoseconds
      arbiter.observeLines(now: now)
    }
    if arbiter.finishedGapCount != reported.finished { reportFinishedGaps() }
    if now >= nextReport { report(now) }
    guard packets > 0 else { return false }
    lineA.reportPosition()
    lineB.reportPosition()
    patrolRings(now)
    publishEndIfComplete()
    output.publishBatch()
    control.setAppliedSequence(arbiter.nextSequence &- 1)
    let stamp = output.newestStamp
    let clock = bulkhead_realtime_nanoseconds()
    if stamp != 0, clock > stamp { control.latency.record(clock - stamp) }
    flight.step(
      .merged, count: UInt64(packets), arbiter.nextSequence, UInt64(arbiter.openGapCount), at: control.beat())
    return true
  }

  mutating func endFetching() {
    isFetching = false
    judgedBehind = nil
    snapshot?.stop()
  }

  /// A whole image is to be judged by all that the lines' rings hold at this moment.
  mutating func judgeBehindLines(_ now: UInt64) {
    judgedBehind = (lineA.publishedPosition, lineB.publishedPosition, now, bulkhead_realtime_nanoseconds())
  }

  /// Whether that is read.
  var areLinesRead: Bool {
    guard let judgedBehind else { return true }
    return lineA.nextPosition >= judgedBehind.a && lineB.nextPosition >= judgedBehind.b
  }

  mutating func noteRingPositions() {
    rewindA = lineA.nextPosition
    rewindB = lineB.nextPosition
  }

  /// Reads the lines again from ``noteRingPositions()`` on: what there was no room for is there.
  mutating func readLinesAgain() {
    (retainedA, retainedB) = (lineA.nextPosition, lineB.nextPosition)
    lineA.rewind(to: rewindA)
    lineB.rewind(to: rewindB)
    (isReadingA, isReadingB) = (true, true)
    arbiter.readLinesAgain()
    arbiter.setReadingRetention(.lineA, true)
    arbiter.setReadingRetention(.lineB, true)
  }

  /// What the datagram that was indexed last says ahead of the stream.
  @inline(never)
  private mutating func noteWitnesses(_ base: UnsafeRawPointer, _ first: UInt64, stamp: UInt64) {
    heard(stamp)
    for block in 0..<blocks.count {
      snapshot?.note(first &+ UInt64(block), blocks.message(block, of: base))
    }
  }

  @inline(never)
  private mutating func noteWitness(_ sequence: UInt64, _ message: UnsafeRawBufferPointer, stamp: UInt64) {
    heard(stamp)
    snapshot?.note(sequence, message)
  }

  /// A line has said something at that instant which an image that is waited for may have to be judged by.
  mutating func heard(_ stamp: UInt64) { lineSpokeAt = max(lineSpokeAt, stamp) }

  /// A line's retention is read once its ring is read up to where it stood at the start, or when an image was used. What
  /// had to wait for that is looked at now, also when nothing else has come.
  private mutating func leaveRetention() {
    failpoint(73)  // a turn in the receivers' retention
    if isReadingA, lineA.nextPosition >= retainedA {
      isReadingA = false
      nextAction = 0
      arbiter.setReadingRetention(.lineA, false)
      if !isReadingB { control.flight.note(.retentionRead, arbiter.nextSequence) }
    }
    if isReadingB, lineB.nextPosition >= retainedB {
      isReadingB = false
      nextAction = 0
      arbiter.setReadingRetention(.lineB, false)
      if !isReadingA { control.flight.note(.retentionRead, arbiter.nextSequence) }
    }
  }

  /// Inlined once for each line, so that the line is known to the compiler in all that follows.
  ///
  /// A packet is handled when the one behind it was copied as well: read at once, its copy would still be on its way
  /// to the cache in pieces of other sizes than it is read in, and each first look at it would wait for that.
  @inline(__always)
  private mutating func take(_ source: Source, _ now: UInt64) -> Int {
    var packets = 0
    var target = buffer
    var waiting = buffer + Self.receiveBufferBytes
    var waitingBytes = -1
    while packets < Self.packetsPerTurn {
      let poll = source == .lineA ? lineA.poll(into: target) : lineB.poll(into: target)
      switch poll {
      case .record(_, let bytes) where bytes >= PacketRecord.headerBytes:
        if waitingBytes >= 0 { handle(waiting, waitingBytes, source, now) }
        swap(&target, &waiting)
        waitingBytes = bytes
        packets &+= 1
        continue
      case .record:
        malformed &+= 1
        continue
      case .lapped(let from, let to):
        bulkhead_probe_ring_lapped(from, to)
        // A successor starts at the oldest records, which go while it reads. Only what was still to come counts.
        if !isCatchingUp { inputLaps &+= 1 }
        continue
      case .halted(let halt):
        source == .lineA
          ? lineA.continueOrEnd(after: halt, component: "merged")
          : lineB.continueOrEnd(after: halt, component: "merged")
        continue
      case .empty: break
      }
      break
    }
    if waitingBytes >= 0 { handle(waiting, waitingBytes, source, now) }
    return packets
  }

  private mutating func patrolRings(_ now: UInt64) {
    guard patrol.isDue(now) else { return }
    lineA.patrol(component: "merged")
    lineB.patrol(component: "merged")
    // It stood still, and the receivers went on without it: it counts again from here.
    if lineA.isDetached { lineA.rejoin() }
    if lineB.isDetached { lineB.rejoin() }
    output.patrol()
  }

  /// A record of a receiver's ring: stamp and datagram.
  @inline(__always)
  private mutating func handle(
    _ record: UnsafeMutableRawPointer, _ bytes: Int, _ source: Source, _ now: UInt64
  ) {
    let datagram = UnsafeRawBufferPointer(
      start: record + PacketRecord.headerBytes, count: bytes &- PacketRecord.headerBytes)
    let stamp = record.load(as: UInt64.self)
    if !handleMessages(datagram, source, stamp: stamp, now) {
      handleUnusual(datagram, source, stamp: stamp, now)
    }
  }

  private mutating func takeAnswers(_ now: UInt64) -> Int {
    guard arbiter.openGapCount > 0 || retransmission.mayHaveAnswers else { return 0 }
    var packets = 0
    while packets < Self.packetsPerTurn, let bytes = retransmission.receive(into: buffer) {
      handleUnusual(
        UnsafeRawBufferPointer(start: buffer, count: bytes), .retransmission,
        stamp: bulkhead_realtime_nanoseconds(), now)
      packets += 1
    }
    return packets
  }

  /// Messages of the current session: what nearly every datagram is. False for any other, and for a malformed one;
  /// nothing was done with it then.
  @inline(__always)
  private mutating func handleMessages(
    _ datagram: UnsafeRawBufferPointer, _ source: Source, stamp: UInt64, _ now: UInt64
  ) -> Bool {
    guard datagram.count >= MoldUDP64.headerBytes, let base = datagram.baseAddress,
      arbiter.isCurrentSession(base)
    else { return false }
    let count = UInt16(
      bigEndian: base.loadUnaligned(fromByteOffset: MoldUDP64.countOffset, as: UInt16.self))
    let first = UInt64(
      bigEndian: base.loadUnaligned(fromByteOffset: MoldUDP64.sequenceOffset, as: UInt64.self))
    guard count != MoldUDP64.heartbeatCount, count != MoldUDP64.endOfSessionCount, first != 0,
      first <= UInt64.max &- UInt64(count)
    else { return false }
    if count > 1 {
      guard blocks.index(datagram, count: Int(count)) else { return false }
      deliver(base, first, count, source, stamp: stamp, now)
      return true
    }
    let blockAt = MoldUDP64.headerBytes
    let messageAt = blockAt &+ MoldUDP64.blockLengthBytes
    guard datagram.count >= messageAt else { return false }
    let length = Int(UInt16(bigEndian: base.loadUnaligned(fromByteOffset: blockAt, as: UInt16.self)))
    guard messageAt &+ length == datagram.count else { return false }
    let message = UnsafeRawBufferPointer(start: base + messageAt, count: length)
    switch arbiter.receive(source: source, first: first, count: 1, now: now, stamp: stamp) {
    case .deliver:
      put(first, message, stamp)
      arbiter.remember(sequence: first, bytes: message)
    case .duplicate: arbiter.compare(source: source, sequence: first, bytes: message)
    case .examine:
      examine(first, message, stamp)
      if keepsWitnesses, source != .retransmission { noteWitness(first, message, stamp: stamp) }
    case .ignore(.beyondWindow): if keepsWitnesses { noteWitness(first, message, stamp: stamp) }
    case .ignore: break
    }
    return true
  }

  @inline(never)
  private mutating func examine(_ sequence: UInt64, _ message: UnsafeRawBufferPointer, _ stamp: UInt64) {
    if arbiter.accept(sequence: sequence, bytes: message, stamp: stamp) == .deliver {
      put(sequence, message, stamp)
      drainHeld()
    }
  }

  /// Any datagram: session, then heartbeat, end, or messages.
  @inline(never)
  private mutating func handleUnusual(
    _ datagram: UnsafeRawBufferPointer, _ source: Source, stamp: UInt64, _ now: UInt64
  ) {
    guard case .packet(let packet) = MoldUDP64Packet.parse(datagram), let base = datagram.baseAddress else {
      malformed += 1
      return
    }
    let identifier = SessionIdentifier(from: base)
    switch arbiter.session(source: source, identifier: identifier) {
    case .same: break
    case .first:
      let first = origin.firstSequence(of: identifier)
      if first > 1 { arbiter.begin(session: identifier, firstSequence: first) }
      control.flight.note(.sessionBegan, arbiter.nextSequence)
      output.publishSessionStart(identifier, first: arbiter.nextSequence)
      arbiter.adopt(session: identifier)
    case .foreign: return
    case .changed
    where !mayChangeSession(now)
      || !arbiter.isSupported(
        session: identifier, source: source, first: packet.sequence, end: packet.nextSequence, now: now):
      foreignSessions += 1
      return
    case .changed:
      arbiter.abandonOpenGaps()
      resolve(now)
      if isFetching { endFetching() }
      if isNoting { endRecovery("the session ends", now) }
      snapshot?.forgetSession()
      output.publishEndOfSession(next: arbiter.nextSequence)
      control.flight.note(.sessionBegan, 1)
      output.publishSessionStart(identifier, first: 1)
      arbiter.begin(session: identifier, firstSequence: 1)
    }
    switch packet.kind {
    case .heartbeat:
      heartbeats += 1
      if source != .retransmission { heard(stamp) }
      arbiter.heartbeat(source: source, nextExpected: packet.sequence, now: now)
    case .endOfSession:
      if source != .retransmission { heard(stamp) }
      arbiter.endOfSession(source: source, nextExpected: packet.sequence, now: now)
    case .data: _ = handleMessages(datagram, source, stamp: stamp, now)
    }
  }

  /// Whether a packet of a new session may end the current one: when that is over, or when neither line has carried it
  /// for the time of a line's silence. Even then one datagram alone does not: a second one has to support it.
  private func mayChangeSession(_ now: UInt64) -> Bool {
    if arbiter.isComplete { return true }
    guard now &- startedAt > silenceNanoseconds else { return false }
    let states = arbiter.lineStates(now: now)
    return !states.lineAIsUp && !states.lineBIsUp
  }

  /// The messages that ``blocks`` has found in the datagram at `base`.
  private mutating func deliver(
    _ base: UnsafeRawPointer, _ first: UInt64, _ count: UInt16, _ source: Source, stamp: UInt64, _ now: UInt64
  ) {
    var block = 0
    let end = Int(count)
    switch arbiter.receive(source: source, first: first, count: count, now: now, stamp: stamp) {
    case .deliver(let skip):
      while block < skip {
        arbiter.compare(
          source: source, sequence: first &+ UInt64(block), bytes: blocks.message(block, of: base))
        block &+= 1
      }
      while block < end {
        let message = blocks.message(block, of: base)
        put(first &+ UInt64(block), message, stamp)
        arbiter.remember(sequence: first &+ UInt64(block), bytes: message)
        block &+= 1
      }
    case .examine:
      while block < end {
        examine(first &+ UInt64(block), blocks.message(block, of: base), stamp)
        block &+= 1
      }
      if keepsWitnesses, source != .retransmission { noteWitnesses(base, first, stamp: stamp) }
    case .duplicate:
      guard arbiter.keepsHistory else { return }
      while block < end {
        arbiter.compare(
          source: source, sequence: first &+ UInt64(block), bytes: blocks.message(block, of: base))
        block &+= 1
      }
    // The lines show where they are with what there is no room for, but not with what is not believed.
    case .ignore(.beyondWindow): if keepsWitnesses { noteWitnesses(base, first, stamp: stamp) }
    case .ignore: break
    }
  }

  @inline(__always)
  private mutating func put(_ sequence: UInt64, _ message: UnsafeRawBufferPointer, _ stamp: UInt64) {
    output.put(sequence: sequence, message: message, stamp: stamp)
    if isNoting { note(sequence, message, stamp: stamp) }
    if output.openMessages >= Self.batchMessages { output.publishBatch() }
  }

  mutating func drainHeld() {
    while let held = arbiter.nextDeliverable() { put(held.sequence, held.bytes, held.stamp) }
  }

  /// Does what the arbiter wants done about missing ranges.
  private mutating func resolve(_ now: UInt64) {
    while true {
      switch arbiter.poll(now: now) {
      case .request(let first, let count):
        bulkhead_probe_gap_requested(first, UInt64(count), now)
        retransmission.request(session: output.session, first: first, count: count)
      case .giveUp(let first, let last, let reason):
        control.flight.note(.gap, first, last)
        bulkhead_probe_gap_lost(first, last, UInt64(reason.rawValue))
        output.publishGap(first: first, last: last, reason: reason.rawValue)
        if isNoting { endRecovery("messages are lost", now) }
        drainHeld()
      case .halt(let first, let last, let reason):
        bulkhead_probe_gap_lost(first, last, UInt64(reason.rawValue))
        output.publishGap(first: first, last: last, reason: reason.rawValue)
        return halt(first: first, last: last)
      case .requestSnapshot(let first, let last): beginImage(first: first, last: last, now)
      case .wait(let until):
        nextAction = until
        output.publishBatch()
        return
      case .idle:
        nextAction = .max
        output.publishBatch()
        return
      }
    }
  }

  /// The channel's policy for a lost range is to stop: nothing behind the gap goes out.
  private mutating func halt(first: UInt64, last: UInt64) {
    isHalted = true
    control.flight.note(.gap, first, last)
    control.setState(.halted)
    narrate(
      "merged: sequences \(first)...\(last) are lost; halted, as channel.arbitration.unrecoverable says",
      as: .rangeLost, [(.firstSequence, String(first)), (.lastSequence, String(last))])
  }

  // MARK: Waiting

  private mutating func park() {
    lineA.reportPosition()
    lineB.reportPosition()
    control.flight.doing(.asleep)
    guard let wordA = lineA.prepareToPark() else { return }
    guard let wordB = lineB.prepareToPark() else {
      lineA.finishPark()
      return
    }
    let now = bulkhead_monotonic_nanoseconds()
    var limit = arbiter.openGapCount > 0 ? Self.answerNanoseconds : Self.idleNanoseconds
    if nextAction != .max { limit = min(limit, nextAction > now ? Int64(nextAction - now) : 1) }
    withUnsafeTemporaryAllocation(of: UnsafeRawPointer?.self, capacity: 2) { words in
      withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 2) { expected in
        words[0] = lineA.parkWord
        words[1] = lineB.parkWord
        expected[0] = wordA
        expected[1] = wordB
        _ = bulkhead_futex_wait_any(words.baseAddress, expected.baseAddress, 2, limit)
      }
    }
    lineA.finishPark()
    lineB.finishPark()
  }

  /// Nothing to do: positions, the batch, and the counts.
  private mutating func housekeep() {
    lineA.reportPosition()
    lineB.reportPosition()
    publishEndIfComplete()
    output.publishBatch()
    control.setAppliedSequence(arbiter.nextSequence &- 1)
    report(bulkhead_monotonic_nanoseconds())
  }

  /// Nothing follows the gap of a halted channel.
  private mutating func publishEndIfComplete() {
    guard arbiter.isComplete, !isHalted, !output.hasEnded else { return }
    if isNoting { endRecovery("the session ends", bulkhead_monotonic_nanoseconds()) }
    control.flight.note(.sessionEnded, arbiter.nextSequence)
    failpoint(75)  // about to end the session
    output.publishEndOfSession(next: arbiter.nextSequence)
  }

  private mutating func report(_ now: UInt64) {
    nextReport = now &+ Self.reportNanoseconds
    if recoversInstruments { lookForWish(now) }
    writeReport(now)
    writeTallies()
    control.beat()
  }
}
