import BookBuilder
import BookSettings
import CLinux
import CProbes
import Failpoints
import Glibc
import OrderBook
import ShmRing
import StageRecords
public import StageRuntime
import Tape
import Topology

/// Drives the ``BookBuilder``: takes the merged stream from its ring, publishes the events of one venue message in
/// one piece, keeps the table of best prices.
///
/// A successor rebuilds the books, silent until it has passed the newest event on its own ring: from the newest verified
/// snapshot and the tape behind it where a recorder keeps them, otherwise from the beginning; and from the merged ring. A standby
/// has done that before it is needed (``Standing``). When
/// neither reaches back far enough, the part that is missing is published as a gap and every book is stale: the stream
/// goes on, but says so.
public struct BookStage: ~Copyable {
  /// Messages between two looks at clock and control page.
  private static let messagesPerTurn = 256
  /// Records taken from the ring before the first of them is applied, so that their cache misses overlap.
  private static let batchRecords = BookBuilder.prefetchCount
  /// Fewer are applied at once: the hints would cost more than they save.
  private static let fewRecords = 4
  private static let idleNanoseconds: Int64 = 50_000_000
  private static let reportNanoseconds: UInt64 = 50_000_000

  var control: ControlPage
  var input: RingConsumer
  var output: EventOutput
  var probes: TableWriter
  /// A recorder compares its books with these.
  private let publishesProbes: Bool
  var builder: BookBuilder
  var events = EventBatch()
  /// The image that is on its way, and the events of one of its numbers.
  private var image: MarketImageLoader
  private var imageEvents: EventBatch
  private var imagesApplied: UInt64 = 0
  private var imagesVoid: UInt64 = 0
  /// Books for instruments in quarantine, and the wish for them.
  var recovery: BookRecovery
  /// Room for a batch of records, each from a cell's start.
  let buffer: UnsafeMutableRawPointer
  let recordRoom: Int
  private let kinds: UnsafeMutableBufferPointer<UInt8>
  private let lengths: UnsafeMutableBufferPointer<Int>
  /// The batch's messages, or what lies where they would: only hints are taken from here.
  private let messages: UnsafeMutableBufferPointer<UnsafeRawBufferPointer>
  var idleStrategy: IdleStrategy
  private var patrol = RingPatrol()

  /// Events up to and including this message are on the ring already. 0 after the first start; of a standby, which leaves all
  /// of them to another, the largest number.
  var publishedThrough: UInt64
  /// Memory that was left for when the stream flows again.
  private var memoryPace = MemoryPace(isLater: false)
  /// The newest message that was replayed and has events.
  var silentThrough: UInt64 = 0
  /// Whom this process follows, and whose place it is to take; nil once it has, and for who is no standby.
  var standing: Standing?
  /// The first message that was read of the merged ring, once one was; the books know nothing before it.
  private var firstReplayed: UInt64 = 0
  var replayed: UInt64 = 0
  /// Where the tape lies that a restored state goes on from; nil without one.
  let tape: SystemTapeFiles?
  /// What the merged ring holds before this message is known already, from a snapshot and the tape.
  var knownBefore: UInt64 = 0
  var stateLost: UInt64 = 0
  var nextExpected: UInt64 = 1
  var inputLaps: UInt64 = 0
  var applied: UInt64 = 0
  var newestStamp: UInt64 = 0
  var hasCaughtUp: Bool
  private var nextReport: UInt64 = 0
  private var outOfOrder: UInt64 = 0
  /// What a state is restored from and with, should the stream turn out to have begun before the rings did.
  let storage: StoredState.Source?
  /// Messages that are not applied, because they kill.
  var poison: PoisonedInput
  private let policy: ErrorPolicy
  var health = BookHealth()
  /// A second session has begun on this set, which this version does not follow: everything of it is refused.
  private(set) var isSessionOver = false
  /// Counters as the predecessor left them.
  var base: CounterBase

  /// Attaches to the rings and pages of the set, and prepares what a successor has to make up for.
  /// - Parameter planted: a fault, for tests.
  public init(process: borrowing StageProcess, planted: PlantedFault? = nil) {
    let topology = process.topology
    control = orEnd(process.component) { () throws(RingError) in
      try ControlPage.attach(
        directory: process.directory, component: process.component, access: .readWrite)
    }
    // What follows is asked of constants: a closure over a stage that is not whole yet would end it.
    let isStandby = process.isStandby
    let leader = isStandby ? Standing.attach(process) : nil
    standing = leader
    probes = orEnd(process.component) { () throws(RingError) in
      isStandby
        ? try TableWriter.detached()
        : try TableWriter.attach(
          path: ProbeTable.path(directory: process.directory), configurationHash: process.configurationHash)
    }
    output = EventOutput.attach(process)
    base = control.counterBase()
    publishesProbes = topology.tape?.shadow == true || topology.standbyStage != nil
    control.setState(.warming)
    let rules = topology.bookRules
    policy = rules.policy
    image = MarketImageLoader(
      orders: rules.takesImages ? rules.capacity.orders : 0,
      instruments: rules.takesImages ? rules.capacity.instruments : 0)
    imageEvents = EventBatch(capacityCells: rules.takesImages ? MarketImageLoader.eventCells : 1)
    recovery = BookRecovery(isUsed: topology.recoversInstruments)
    // From the oldest record in any case: what was published already is replayed in silence.
    input = process.consumer("merged", start: .oldest)
    let newest = output.newestSequence
    publishedThrough = isStandby ? .max : newest
    hasCaughtUp = !isStandby && newest == 0
    let known = leader?.appliedSequence ?? newest
    poison = PoisonedInput(process, planted: planted)
    storage = StoredState.Source(process)
    if let stored = storage?.find(publishedThrough: known, passingOver: poison.sequences) {
      control.flight.note(.restored, stored.nextSequence)
      failpoint(81)  // restored from a snapshot
      nextExpected = stored.nextSequence
      knownBefore = stored.nextSequence
      tape = stored.files
      // The ring need not hold its beginning, nor is that read where the tape has it.
      poison.note(stored.session)
      builder = stored.intoBuilder()
    } else {
      tape = nil
      // Locked memory is there when it is mapped.
      let isAwaited = known > 0 && !isStandby && !topology.host.lockMemory
      builder = BookBuilder(
        rules: rules, channel: topology.channel.number, touch: isAwaited ? .asNeeded : .atOnce)
      memoryPace = MemoryPace(isLater: isAwaited)
    }
    recordRoom = (input.maximumRecordBytes + 127) / 64 * 64
    let bytes = recordRoom * Self.batchRecords
    buffer = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
    buffer.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
    kinds = .allocate(capacity: Self.batchRecords)
    kinds.initialize(repeating: 0)
    lengths = .allocate(capacity: Self.batchRecords)
    lengths.initialize(repeating: 0)
    messages = .allocate(capacity: Self.batchRecords)
    messages.initialize(repeating: UnsafeRawBufferPointer(start: nil, count: 0))
    idleStrategy = process.idleStrategy
    control.set(BookCounter.sessionEnded, 0)
    if known > 0 {
      control.flight.note(.rebuilding, known)
      narrate(
        "\(process.component): rebuilding from the merged ring; events are out through sequence \(known)")
    }
    health.narrator.start(topology: topology)
  }

  /// Runs until asked to stop, then applies what is still on the merged ring. A standby follows until its time has come.
  public mutating func run() {
    control.setState(hasCaughtUp ? .ready : .catchingUp)
    control.beat()
    readTape()
    Sandbox.enter("bookd")
    if let standing, !standBy(standing) {
      control.setState(.draining)
      health.narrator.tellAll()
      return
    }
    switch idleStrategy {
    case .spin: run(SpinWait())
    case .yield: run(YieldWait())
    case .park: run(ParkWait())
    }
  }

  /// Everything is handed on, and the process may end.
  public func end() { control.setState(.drained) }

  private mutating func run(_ strategy: some RingWait) {
    var wait = strategy
    while true {
      let isBusy = turn()
      if !memoryPace.isOver, hasCaughtUp { takeMemory() }
      if isBusy {
        wait.reset()
        continue
      }
      // With nothing left to read, a rebuild is as complete as it can be.
      if !hasCaughtUp { finishCatchingUp() }
      // Only here, where there is nothing else to do.
      health.sweep(builder.books)
      housekeep()
      if bulkhead_stop_requested() { break }
      if wait.idle() == .park {
        control.flight.doing(.asleep)
        input.park(nanoseconds: Self.idleNanoseconds)
      }
    }
    control.setState(.draining)
    while turn() {}
    nextReport = 0
    housekeep()
    health.narrator.tellAll()
  }

  /// Applies up to a turn's worth of messages. False when there was none.
  private mutating func turn() -> Bool {
    var count = 0
    control.flight.doing(.readingMerged)
    while count < Self.messagesPerTurn {
      let taken = takeBatch(before: .max)
      count &+= taken
      if taken < Self.batchRecords { break }
    }
    guard count > 0 else { return false }
    finishTurn(count)
    return true
  }

  /// Applies what lies on the ring before a position, up to a turn's worth of messages. Returns how many records there were.
  @inline(never)
  mutating func follow(before limit: UInt64) -> Int {
    var count = 0
    while count < Self.messagesPerTurn {
      let taken = takeBatch(before: limit)
      count &+= taken
      if taken < Self.batchRecords { break }
    }
    return count
  }

  /// Applies what is on the ring before a position, up to a batch. Returns how many records there were.
  @inline(__always)
  private mutating func takeBatch(before limit: UInt64) -> Int {
    var count = 0
    var isMore = true
    while isMore && count < Self.batchRecords && input.nextPosition < limit {
      let place = buffer + count &* recordRoom
      switch input.poll(into: place) {
      case .record(let kind, let bytes):
        kinds[count] = kind
        messages[count] = UnsafeRawBufferPointer(
          start: place + MergedRecord.messageHeaderBytes,
          count: max(0, bytes &- MergedRecord.messageHeaderBytes))
        lengths[count] = bytes
        count &+= 1
      case .lapped(let from, let to):
        bulkhead_probe_ring_lapped(from, to)
        inputLaps += 1
      case .halted(let halt): input.continueOrEnd(after: halt, component: "bookd")
      case .empty: isMore = false
      }
    }
    if count > 0 { control.flight.doing(.applying, nextExpected) }
    if count > Self.fewRecords {
      builder.prefetch(UnsafeBufferPointer(start: messages.baseAddress, count: count))
    }
    for index in 0..<count { take(kinds[index], lengths[index], buffer + index &* recordRoom) }
    control.setInputAtHand(0)
    return count
  }

  private mutating func patrolRings() {
    guard patrol.isDue(bulkhead_monotonic_nanoseconds()) else { return }
    input.patrol(component: "bookd")
    output.patrol()
  }

  @inline(never)
  private mutating func takeMemory() {
    let now = bulkhead_monotonic_nanoseconds()
    if memoryPace.isDue(now) { memoryPace.took(hasMore: builder.touchMemory(), now) }
  }

  private mutating func finishTurn(_ count: Int) {
    if !hasCaughtUp { failpoint(83) }  // a turn of a rebuild
    output.publish()
    input.reportPosition()
    patrolRings()
    if !hasCaughtUp, nextExpected > publishedThrough { finishCatchingUp() }
    control.setAppliedSequence(nextExpected &- 1)
    control.setTotal(BookCounter.messagesApplied, applied, since: base)
    control.setTotal(BookCounter.eventsPublished, output.events, since: base)
    let clock = bulkhead_realtime_nanoseconds()
    if newestStamp != 0, clock > newestStamp, hasCaughtUp { control.latency.record(clock - newestStamp) }
    control.flight.step(
      .applied, count: UInt64(count), nextExpected, input.nextPosition, at: control.beat())
  }

  /// One record of the merged ring.
  @inline(__always)
  mutating func take(_ kind: UInt8, _ bytes: Int, _ record: UnsafeMutableRawPointer) {
    if isSessionOver { return countRefused() }
    if kind == MergedRecord.Kind.sessionStart, bytes >= MergedRecord.sessionBytes { note(session: record) }
    switch kind {
    case MergedRecord.Kind.message where bytes >= MergedRecord.messageHeaderBytes:
      let sequence = record.load(as: UInt64.self)
      control.setInputAtHand(sequence)
      if sequence != nextExpected {
        guard sequence > nextExpected else { return refuse(sequence) }
        declareLoss(before: sequence)
      }
      if builder.isSuspected { trustAgain() }
      newestStamp = record.load(fromByteOffset: 8, as: UInt64.self)
      let message = UnsafeRawBufferPointer(
        start: record + MergedRecord.messageHeaderBytes, count: bytes &- MergedRecord.messageHeaderBytes)
      if sequence >= poison.next, passesOver(sequence, message) { return }
      if sequence > publishedThrough {
        builder.apply(sequence: sequence, receiveTime: newestStamp, message: message, into: &events)
        bulkhead_probe_book_apply(
          sequence, UInt64(message.first ?? 0), UInt64(truncatingIfNeeded: events.eventCount))
        nextExpected = sequence &+ 1
        applied &+= 1
        put(sequence)
      } else {
        let withheld = builder.counters.withheld
        builder.replay(sequence: sequence, message: message)
        nextExpected = sequence &+ 1
        // A block without bytes and a message that is withheld have no events.
        if message.count > 0, builder.counters.withheld == withheld { silentThrough = sequence }
        replayed &+= 1
      }
      if BookProbe.isDue(behind: sequence), publishesProbes, sequence > publishedThrough || standing != nil {
        // What is replayed has been compared, or found to differ, in its time.
        publishProbe(sequence)
      }
      if policy == .failFast, let failure = builder.failure { endAt(failure) }
    case MergedRecord.Kind.gap where bytes >= MergedRecord.gapBytes:
      let first = record.load(as: UInt64.self)
      let last = record.load(fromByteOffset: 8, as: UInt64.self)
      if first != nextExpected {
        guard first > nextExpected else { return refuse(first) }
        declareLoss(before: first)
      }
      builder.gap(
        first: first, last: last,
        reason: UInt8(truncatingIfNeeded: record.load(fromByteOffset: 16, as: UInt64.self)), receiveTime: 0,
        into: &events)
      nextExpected = max(last, first) &+ 1
      put(first)
    case MergedRecord.Kind.imageStart where bytes >= MergedRecord.imageStartBytes:
      suspect(first: record.load(as: UInt64.self), last: record.load(fromByteOffset: 8, as: UInt64.self))
    case MergedRecord.Kind.image where bytes >= MergedRecord.messageHeaderBytes:
      image.add(
        first: record.load(as: UInt64.self), number: record.load(fromByteOffset: 8, as: UInt64.self),
        UnsafeRawBufferPointer(
          start: record + MergedRecord.messageHeaderBytes, count: bytes &- MergedRecord.messageHeaderBytes))
    case MergedRecord.Kind.imageEnd where bytes >= MergedRecord.imageEndBytes:
      replace(
        first: record.load(as: UInt64.self), last: record.load(fromByteOffset: 8, as: UInt64.self),
        count: record.load(fromByteOffset: 16, as: UInt64.self))
    case MergedRecord.Kind.recoveryStart where bytes >= MergedRecord.recoveryStartBytes:
      recovery.loader.begin(
        next: record.load(as: UInt64.self), instrument: record.load(fromByteOffset: 8, as: UInt64.self))
    case MergedRecord.Kind.recovery where bytes >= MergedRecord.messageHeaderBytes:
      takeRecovery(record, bytes)
    case MergedRecord.Kind.recoveryEnd where bytes >= MergedRecord.recoveryEndBytes:
      endRecovery(record)
    case MergedRecord.Kind.endOfSession where bytes >= MergedRecord.sessionBytes:
      let next = record.load(as: UInt64.self)
      if next != nextExpected {
        guard next > nextExpected else { return refuse(next) }
        declareLoss(before: next)
      }
      builder.endOfSession(next: next, receiveTime: newestStamp, into: &events)
      put(next)
      endSession()
    case MergedRecord.Kind.sessionStart where bytes >= MergedRecord.sessionBytes:
      let first = record.load(as: UInt64.self)
      poison.note(TapeSession(from: record + 8))
      if nextExpected == 1, first > 1 { return resumeSession(at: first) }
      // After a merge restart the same session may be announced again, at the number that is due.
      if nextExpected > 1, first < nextExpected, first >= knownBefore { refuseSession() }
    default: break
    }
  }

  /// A run that is to end at the first wrong message: what it made is out, nothing after it will be.
  private mutating func endAt(_ failure: BuilderFailure) -> Never {
    output.publish()
    nextReport = 0
    housekeep()
    health.narrator.tellAll()
    control.setState(.failed)
    fail("bookd: \(failure) (capacity.on_error is fail-fast)", code: ExitCode.malformedInput)
  }

  /// An image is being fetched: every book is in doubt from here on, and its readers are told now.
  private mutating func suspect(first: UInt64, last: UInt64) {
    // Below: one that was given up, or applied before what these books were restored from.
    guard first >= nextExpected else { return }
    if first > nextExpected { declareLoss(before: first) }
    image.begin(first: first)
    builder.suspect(first: first, last: last, receiveTime: 0, into: &events)
    // Behind everything that is out: then it was said. With the newest event it is out if that is a notice.
    guard events.eventCount > 0, nextExpected > publishedThrough, !output.endsWithImageNotice else { return }
    if !hasCaughtUp { finishCatchingUp() }
    output.putImageNotice(events, channel: builder.channel)
    output.publish()
  }

  /// The stream goes on where an image was being fetched: the lines had the messages after all.
  private mutating func trustAgain() {
    image.abandon()
    builder.trustAgain(next: nextExpected, receiveTime: 0, into: &events)
    guard nextExpected > publishedThrough, output.endsWithImageNotice else { return }
    if !hasCaughtUp { finishCatchingUp() }
    output.putImageNotice(events, channel: builder.channel)
    for instrument in 1..<UInt32(InstrumentTable.capacity)
    where builder.instruments.trustState(instrument) == .stale {
      output.markStale(instrument: instrument)
    }
    output.publish()
  }

  /// The image is there: its changes become the events of the numbers that it stands for.
  private mutating func replace(first: UInt64, last: UInt64, count: UInt64) {
    if first != nextExpected {
      guard first > nextExpected else { return refuse(first) }
      declareLoss(before: first)
    }
    nextExpected = max(last, first) &+ 1
    guard builder.beginImage(&image, first: first, last: last, count: count) else {
      imagesVoid &+= 1
      builder.gap(
        first: first, last: last, reason: GapReason.snapshotUnavailable.rawValue, receiveTime: 0,
        into: &events)
      put(first)
      return narrate(
        "bookd: the image for sequences \(first)...\(last) is not whole, or changes too much",
        as: .imageMissing,
        [(.firstSequence, String(first)), (.lastSequence, String(last))])
    }
    imagesApplied &+= 1
    while let sequence = builder.nextImageEvents(&image, receiveTime: 0, into: &imageEvents) {
      guard sequence > publishedThrough else {
        silentThrough = sequence
        continue
      }
      if !hasCaughtUp { finishCatchingUp() }
      output.put(imageEvents)
    }
  }

  /// Publishes the events of a message, or, while a predecessor's are being replayed, drops them.
  @inline(__always)
  mutating func put(_ sequence: UInt64) {
    guard sequence > publishedThrough else {
      replayed &+= 1
      silentThrough = sequence
      return
    }
    // What a restart has to say comes before the first new event.
    if !hasCaughtUp { finishCatchingUp() }
    output.put(events)
  }

  /// One instrument's digest at an agreed position, for the recorder to compare its own books with.
  @inline(never)
  private func publishProbe(_ sequence: UInt64) {
    let probe = builder.probe(sequence: sequence)
    if let standing { return standing.compare(probe) }
    probes.store(
      ProbeTable.Value(
        sequence: sequence, instrument: UInt64(probe.instrument), digest: probe.digest,
        isWhole: stateLost == 0 && inputLaps == 0), interval: BookProbe.interval)
  }

  /// Says on the control page which session this is, for those who number by it.
  @inline(never)
  private func note(session record: UnsafeMutableRawPointer) {
    control.set(BookCounter.sessionLeading, record.load(fromByteOffset: 8, as: UInt64.self))
    control.set(
      BookCounter.sessionTrailing, UInt64(record.load(fromByteOffset: 16, as: UInt16.self)))
  }

  private mutating func refuseSession() {
    isSessionOver = true
    control.setState(.halted)
    narrate(
      "bookd: a second session begins after sequence \(nextExpected - 1); this version follows one: halted",
      as: .inputRefused)
  }

  private mutating func countRefused() {
    outOfOrder += 1
    control.set(BookCounter.outOfOrderInput, outOfOrder)
  }

  /// The merged stream is gapless, so a jump in it means that this reader lost part of it: it was lapped, or it
  /// was started when the ring had gone on. Publishes the range as lost; all books are stale from here on.
  private mutating func declareLoss(before sequence: UInt64) {
    var first = nextExpected
    nextExpected = sequence
    control.flight.note(.inputLost, first, sequence &- 1)
    if first <= publishedThrough {
      // The part whose events are out: only the state is lost. Its place in the stream is past, so it is published
      // behind the newest event, before the first new one.
      stateLost = min(publishedThrough, sequence &- 1)
      builder.gap(
        first: first, last: stateLost, reason: GapReason.restartWithoutState.rawValue, receiveTime: 0,
        into: &events)
      first = stateLost &+ 1
    }
    guard first < sequence else { return }
    if !hasCaughtUp { finishCatchingUp() }
    builder.gap(
      first: first, last: sequence &- 1, reason: GapReason.ringOverrun.rawValue, receiveTime: 0, into: &events
    )
    output.put(events)
  }

  /// A number that was applied already. Merge never repeats one, so this is a broken invariant (or, in this version,
  /// a second session on a running set): the record is not applied, and the count shows on every surface.
  private mutating func refuse(_ sequence: UInt64) {
    guard sequence >= knownBefore else { return }
    if outOfOrder == 0 {
      narrate(
        "bookd: merged stream repeats sequence \(sequence), expected \(nextExpected): not applied",
        as: .inputRefused,
        [(.firstSequence, String(sequence))])
    }
    countRefused()
  }

  /// The rebuild has reached the newest event that was out. From here on events are published again.
  mutating func finishCatchingUp() {
    hasCaughtUp = true
    control.flight.note(.caughtUp, nextExpected, stateLost)
    failpoint(84)  // caught up, not READY
    if stateLost > 0 {
      output.putRestartNotice(channel: builder.channel, lostThrough: stateLost)
      output.publish()
      narrate(
        "bookd: state of sequences 1...\(stateLost) could not be rebuilt; every book is stale",
        as: .stateLost,
        [(.firstSequence, "1"), (.lastSequence, String(stateLost))])
    }
    control.setTotal(BookCounter.messagesReplayed, replayed, since: base)
    control.set(BookCounter.stateLostMessages, stateLost)
    control.setState(.ready)
    failpoint(85)  // READY, the first new event is not out
  }

  /// The session is over: the digest of the final books goes to the control page.
  private mutating func endSession() {
    output.publish()
    control.flight.note(.sessionEnded, nextExpected)
    failpoint(86)  // the session's last event is out, its digest is not
    nextReport = 0
    housekeep()
    control.set(BookCounter.bookDigest, builder.books.contentDigest())
    control.set(BookCounter.sessionEnded, 1)
  }

  /// Copies the counts to the control page, a few times a second; off the busy path.
  mutating func housekeep() {
    input.reportPosition()
    patrolRings()
    control.beat()
    let now = bulkhead_monotonic_nanoseconds()
    guard now >= nextReport else { return }
    nextReport = now + Self.reportNanoseconds
    let counters = builder.counters
    control.setTotal(BookCounter.messagesApplied, applied, since: base)
    control.set(BookCounter.messagesLost, counters.lost)
    control.setTotal(BookCounter.eventsPublished, output.events, since: base)
    control.set(BookCounter.rejects, counters.rejected)
    control.set(BookCounter.unknownReferences, counters.rejected(.unknownReference))
    control.set(BookCounter.duplicateReferences, counters.rejected(.duplicateReference))
    control.set(BookCounter.quantityExceeded, counters.rejected(.quantityExceeded))
    control.set(BookCounter.wrongInstrument, counters.rejected(.wrongInstrument))
    control.set(
      BookCounter.capacityRejects,
      counters.rejected(.ordersFull) + counters.rejected(.levelsFull)
        + counters.rejected(.instrumentOutOfRange))
    control.set(
      BookCounter.malformedMessages,
      counters.rejected(.unknownType) + counters.rejected(.wrongLength)
        + counters.rejected(.impossibleField))
    control.set(BookCounter.liveOrders, UInt64(builder.books.orderCount))
    control.set(BookCounter.liveLevels, UInt64(builder.books.levelCount))
    control.set(BookCounter.instruments, UInt64(builder.instruments.definedCount))
    control.set(BookCounter.staleInstruments, UInt64(builder.instruments.staleCount))
    control.set(BookCounter.channelStale, builder.instruments.trustState(0) == .stale ? 1 : 0)
    reportQuarantine()
    control.set(BookCounter.messagesWithheld, counters.withheld)
    control.set(BookCounter.crossed, counters.crossed)
    control.set(BookCounter.locked, counters.locked)
    health.report(builder, to: control)
    control.set(BookCounter.inputLaps, inputLaps)
    control.setAppliedSequence(nextExpected &- 1)
  }
}
