import BookSettings
import CLinux
import Glibc
import OrderBook
import ShmRing
import StageRecords
import StageRuntime
import Tape
import Topology

/// Drives the recorder: takes the merged stream from its ring, turns it into a tape, and hands that to a thread which
/// alone waits for the disk.
///
/// Nothing is thrown away here. While the disk is slow, full or broken, this stage stops reading, and the ring itself is
/// the buffer; only what the ring overwrites meanwhile is lost, and is marked on the tape with its exact range. A
/// successor reads on where the tape ends. The producer never waits and is never asked to wake this stage: it looks.
public struct TapeStage: ~Copyable {
  /// Records between two looks at the clock and the writer.
  private static let recordsPerTurn = 512
  /// How long it sleeps when there is nothing to do.
  private static let idleNanoseconds: UInt64 = 1_000_000
  private static let reportNanoseconds: UInt64 = 20_000_000
  private static let chunkBytes = 512 << 10
  private static let chunkCount = 16
  /// A chunk that is not full is handed over when it is that old.
  private static let gatherNanoseconds: UInt64 = 2_000_000
  private static let stopNanoseconds: UInt64 = 5_000_000_000
  /// When its own books have to be at the end of the tape then, from the beginning of the end: before watchdogd loses its
  /// patience, which it does after 10 s.
  private static let shadowNanoseconds: UInt64 = 8_000_000_000

  private let control: ControlPage
  private let merged: ControlPage
  private var input: RingConsumer
  private var encoder: TapeEncoder
  private let writer: TapeWriter<SystemTapeFiles>
  /// Its own books; nil when they are not wanted.
  private let shadow: ShadowThread?
  private let settings: Topology.Tape
  private let plan: SegmentPlan
  private let buffer: UnsafeMutableRawPointer
  private let idleStrategy: IdleStrategy
  private var patrol = RingPatrol()
  private let base: CounterBase

  /// Whether the encoder holds an open chunk, and when it was opened.
  private var hasChunk = false
  private var chunkOpenedAt: UInt64 = 0
  /// A record that was polled and does not fit the chunk before: kind and bytes in `buffer`.
  private var pending: (kind: UInt8, bytes: Int)?
  private var records: UInt64 = 0
  private var inputLaps: UInt64 = 0
  private var lapsSeen: UInt64 = 0
  private var nextReport: UInt64 = 0
  private var lag: JournalLag
  private var status = TapeWriterStatus()
  /// What was cut off or damaged at the start: then what the ring does not hold any more was lost by that.
  private let startedDamaged: Bool
  private var journal: JournalState
  private var isBacklogged = false

  /// Opens the tape and goes on where it ends. With a disk in trouble it keeps trying, as `on_trouble` says.
  public init(process: borrowing StageProcess) {
    guard let settings = process.topology.tape, let directory = process.topology.tapeDirectory else {
      fail("\(process.component): tape.enabled is false", code: ExitCode.configuration)
    }
    self.settings = settings
    do {
      control = try ControlPage.attach(
        directory: process.directory, component: process.component, access: .readWrite)
      merged = try ControlPage.attach(directory: process.directory, component: "merged", access: .readOnly)
    } catch {
      fail("\(process.component): \(error)", code: ExitCode.unavailable)
    }
    base = control.counterBase()
    let durableUntil = control.value(TapeCounter.durableUntil)
    lag = JournalLag(since: durableUntil == 0 ? nil : durableUntil)
    control.setState(.warming)
    // The pages are made anew with the rings, so this number lives exactly as long as they do.
    if control.value(TapeCounter.run) == 0 {
      control.set(TapeCounter.run, max(1, bulkhead_realtime_nanoseconds()))
    }
    plan = SegmentPlan(
      segmentBytes: UInt64(settings.segmentBytes), configurationHash: process.configurationHash,
      run: control.value(TapeCounter.run), channel: process.topology.channel.number, build: bulkheadVersion)
    journal = JournalState(component: process.component, halts: settings.onTrouble == .halt)
    let files = SystemTapeFiles(directory: directory)
    let opening = Self.open(files, plan, control, merged, &journal)
    for finding in opening.findings { narrate("\(process.component): \(finding)") }
    if opening.cutBytes > 0, !opening.wasDamaged {
      narrate("\(process.component): cut \(opening.cutBytes) bytes of a record that was being written")
    }
    control.flight.note(
      .tapeOpened, (opening.tail?.run == plan.run ? opening.tail?.nextSequence : nil) ?? 1, opening.cutBytes)
    control.set(TapeCounter.backlogged, 0)
    startedDamaged = opening.wasDamaged
    control.set(TapeCounter.cutBytes, opening.cutBytes)
    encoder = TapeEncoder(plan: plan, tail: opening.tail)
    input = process.consumer("merged", start: .oldest)
    let bytes = input.maximumRecordBytes + 64
    buffer = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
    buffer.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
    let appender = TapeAppender(
      files: files, segmentBytes: plan.segmentBytes,
      retention: TapeRetention(
        bytes: UInt64(settings.retentionBytes), segments: UInt64(settings.retentionSegments)),
      tail: opening.tail, closed: opening.closed)
    writer = TapeWriter(
      appender: appender, chunks: (0..<Self.chunkCount).map { _ in TapeChunk(capacity: Self.chunkBytes) },
      policy: SynchronizationPolicy(
        intervalNanoseconds: settings.syncIntervalNanoseconds, bytes: UInt64(settings.syncBytes)),
      flight: control.flight, now: { bulkhead_monotonic_nanoseconds() })
    idleStrategy = process.idleStrategy
    shadow =
      settings.shadow
      ? ShadowThread(
        settings: ShadowThread.Settings(
          rules: process.topology.bookRules,
          channel: process.topology.channel.number, run: plan.run,
          snapshotInterval: settings.snapshotIntervalNanoseconds, snapshotsKept: settings.snapshotsKept,
          component: process.component, tablePath: ProbeTable.path(directory: process.directory),
          poisonPath: PoisonTable.path(directory: process.directory),
          configurationHash: process.configurationHash, flight: control.flight,
          instructions: InstructionTable.Reader(topology: process.topology, component: process.component),
          answered: control.value(TapeCounter.snapshotAnswered)), files: files) : nil
    seek(to: opening.tail, component: process.component)
    // A thread keeps what it began with.
    Sandbox.dropCapabilities()
    var result = writer.start()
    if result == 0, let shadow { result = shadow.start() }
    if result != 0 {
      fail(
        "\(process.component): cannot start a thread: \(String(cString: strerror(result)))",
        code: ExitCode.unavailable)
    }
  }

  /// Tries until the disk lets it. The set does not wait for that: it is READY, and says that nothing is recorded.
  private static func open(
    _ files: SystemTapeFiles, _ plan: SegmentPlan, _ control: borrowing ControlPage,
    _ merged: borrowing ControlPage, _ journal: inout JournalState
  ) -> TapeOpening {
    var isLocked = false
    while true {
      do throws(TapeFileError) {
        try files.makeDirectory()
        // Held once it is got, also while the rest is tried again.
        if !isLocked { try files.lock() }
        isLocked = true
        return try TapeRecovery.open(files: files, plan: plan, now: bulkhead_realtime_nanoseconds())
      } catch {
        // Where the tape ends is not known yet; the predecessor's word for it is on the page.
        let due = control.value(TapeCounter.durableSequence) &+ 1
        journal.update(
          trouble: "\(error)", readPosition: 0, durablePosition: 0, firstAtRisk: due,
          newest: merged.appliedSequence, control)
        control.set(TapeCounter.lastError, UInt64(error.code))
        control.add(TapeCounter.fileErrors)
        control.set(TapeCounter.backlogged, 1)
        control.setState(.ready)
        control.beat()
        if bulkhead_stop_requested() { exit(ExitCode.failure) }
        usleep(25_000)
      }
    }
  }

  /// Reads on behind what is on the tape; at the ring's oldest record when nothing of this run is.
  private mutating func seek(to tail: TapeTail?, component: String) {
    guard let tail, tail.run == plan.run else { return input.rewindToOldest() }
    if !input.resume(at: tail.ringPosition) {
      fail(
        "\(component): the tape is at cell \(tail.ringPosition) of the merged ring, which has not come so far: not its tape",
        code: ExitCode.invariantBroken)
    }
  }

  /// Runs until asked to stop, then records what is still on the merged ring.
  public mutating func run() {
    switch idleStrategy {
    case .spin: run(SpinWait())
    case .yield: run(YieldWait())
    case .park: run(ParkWait())
    }
  }

  private mutating func run(_ strategy: some RingWait) {
    var wait = strategy
    control.setState(.ready)
    control.beat()
    Sandbox.enter("taped")
    while true {
      if turn() {
        wait.reset()
        continue
      }
      housekeep()
      if bulkhead_stop_requested() { break }
      // Not the ring's own sleep: the producer would have to wake this stage for each batch.
      if isBacklogged || wait.idle() == .park {
        control.flight.doing(isBacklogged ? .waitingForDisk : .asleep)
        Self.sleep()
      }
    }
    drain()
  }

  private static func sleep() {
    var time = timespec(tv_sec: 0, tv_nsec: Int(idleNanoseconds))
    nanosleep(&time, nil)
  }

  /// Records what comes, up to a turn's worth. False when there was nothing, or no room for it.
  private mutating func turn() -> Bool {
    if case .some(let tail) = writer.takeRewind() { goBack(to: tail) }
    control.flight.doing(.readingMerged, input.nextPosition)
    var count = 0
    while count < Self.recordsPerTurn {
      if let (kind, bytes) = pending {
        guard put(kind, bytes) else { break }
        pending = nil
        count &+= 1
      }
      switch input.poll(into: buffer) {
      case .record(let kind, let bytes):
        if put(kind, bytes) {
          count &+= 1
        } else {
          pending = (kind, bytes)
        }
      case .lapped(let from, let to):
        inputLaps &+= 1
        encoder.noteLap(
          from: from, to: to, reason: journal.isAtRisk ? .diskTrouble : startedDamaged ? .damage : .lapped)
      case .halted(let halt): input.continueOrEnd(after: halt, component: "taped")
      case .empty:
        handOver(isIdle: true)
        finishTurn(count)
        return count > 0
      }
      if pending != nil, isBacklogged { break }
    }
    handOver(isIdle: false)
    finishTurn(count)
    return count > 0
  }

  /// Puts a record from the buffer on the tape; false when no chunk is free.
  @inline(__always)
  private mutating func put(_ kind: UInt8, _ bytes: Int) -> Bool {
    let payload = UnsafeRawBufferPointer(start: buffer, count: bytes)
    if hasChunk {
      if case .done = encoder.put(kind: kind, payload: payload, ringPosition: input.nextPosition) {
        records &+= 1
        return true
      }
    }
    return putIntoNewChunk(kind, payload)
  }

  @inline(never)
  private mutating func putIntoNewChunk(_ kind: UInt8, _ payload: UnsafeRawBufferPointer) -> Bool {
    // The first may only close a segment, the second begin one.
    for _ in 0..<4 {
      if hasChunk {
        if let full = encoder.close() {
          hasChunk = false
          writer.submit(full)
        }
      }
      if !hasChunk {
        guard let chunk = writer.takeChunk() else {
          isBacklogged = true
          return false
        }
        isBacklogged = false
        encoder.now = bulkhead_realtime_nanoseconds()
        encoder.open(chunk)
        hasChunk = true
        chunkOpenedAt = bulkhead_monotonic_nanoseconds()
      }
      if case .done = encoder.put(kind: kind, payload: payload, ringPosition: input.nextPosition) {
        records &+= 1
        return true
      }
    }
    return false
  }

  /// Hands the open chunk over when the writer has nothing to do, or it is old enough.
  private mutating func handOver(isIdle: Bool) {
    guard hasChunk, encoder.openBytes > 0 else { return }
    let age = bulkhead_monotonic_nanoseconds() &- chunkOpenedAt
    guard age >= Self.gatherNanoseconds, isIdle || age >= 10 &* Self.gatherNanoseconds else { return }
    guard let chunk = encoder.close() else { return }
    hasChunk = false
    writer.submit(chunk)
  }

  /// The disk has lost what was not durable: the same records again, from the ring.
  private mutating func goBack(to tail: TapeTail?) {
    narrate(
      "taped: what was written behind sequence \((tail?.nextSequence ?? 1) &- 1) cannot be relied upon; writing it again from the ring",
      as: .unjournaled)
    control.flight.note(.wentBack, tail?.nextSequence ?? 1)
    if hasChunk { if let chunk = encoder.abandon() { writer.giveBack(chunk) } }
    hasChunk = false
    pending = nil
    encoder = TapeEncoder(plan: plan, tail: tail)
    seek(to: tail, component: "taped")
  }

  private mutating func finishTurn(_ count: Int) {
    input.reportPosition()
    let now = bulkhead_monotonic_nanoseconds()
    if patrol.isDue(now) { input.patrol(component: "taped") }
    control.beat()
    if count > 0 {
      control.flight.step(
        .recorded, count: UInt64(count), input.nextPosition, UInt64(status.waiting), at: now)
    }
    if now >= nextReport { report(now) }
  }

  private mutating func housekeep() {
    handOver(isIdle: true)
    finishTurn(0)
  }

  /// Copies what there is to say to the control page, and judges how the disk is.
  private mutating func report(_ now: UInt64) {
    nextReport = now &+ Self.reportNanoseconds
    status = writer.status
    let durable = (status.durable?.run == plan.run ? status.durable?.nextSequence : nil) ?? 1
    let written = (status.written?.run == plan.run ? status.written?.nextSequence : nil) ?? 1
    let newest = merged.appliedSequence
    var trouble = status.trouble.map { "\($0)" }
    if trouble == nil, status.busySince != 0, now > status.busySince,
      now - status.busySince > settings.stallNanoseconds
    {
      trouble = "the disk has not answered for \((now - status.busySince) / 1_000_000) ms"
      if !journal.isAtRisk { control.add(TapeCounter.stalls) }
    }
    if trouble == nil, inputLaps != lapsSeen { trouble = "the ring overwrote what had not been recorded" }
    lapsSeen = inputLaps
    let durablePosition = status.durable?.run == plan.run ? status.durable?.ringPosition ?? 0 : 0
    journal.update(
      trouble: trouble, readPosition: input.nextPosition, durablePosition: durablePosition,
      firstAtRisk: durable, newest: max(newest, written &- 1), control)
    control.set(TapeCounter.backlogged, isBacklogged ? 1 : 0)
    control.setTotal(TapeCounter.recordsWritten, records, since: base)
    control.set(TapeCounter.writtenSequence, written &- 1)
    control.set(TapeCounter.durableSequence, durable &- 1)
    control.setAppliedSequence(written &- 1)
    control.setBacklog(input.publishedPosition &- min(input.publishedPosition, input.nextPosition))
    control.set(TapeCounter.tapeBytes, status.tapeBytes)
    control.set(TapeCounter.ordinal, status.written?.ordinal ?? 0)
    control.setTotal(TapeCounter.segmentsRemoved, status.segmentsRemoved, since: base)
    control.setTotal(TapeCounter.holes, encoder.holes, since: base)
    control.setTotal(TapeCounter.messagesInHoles, encoder.messagesInHoles, since: base)
    if let hole = encoder.lastHole {
      control.set(TapeCounter.holeFirst, hole.first)
      control.set(TapeCounter.holeLast, hole.last)
    }
    control.setTotal(TapeCounter.inputLaps, inputLaps, since: base)
    control.setTotal(TapeCounter.fileErrors, status.fileErrors, since: base)
    if let trouble = status.trouble { control.set(TapeCounter.lastError, UInt64(trouble.code)) }
    control.setTotal(TapeCounter.synchronizations, status.synchronizations, since: base)
    control.set(TapeCounter.longestSynchronization, status.longestSynchronization)
    control.setTotal(
      TapeCounter.synchronizationNanoseconds, status.synchronizationNanoseconds, since: base)
    for (bucket, count) in status.synchronizationCounts.enumerated() {
      control.setTotal(TapeCounter.firstSynchronizationBucket, plus: bucket, count, since: base)
    }
    control.setTotal(TapeCounter.bytesWritten, status.bytesWritten, since: base)
    let newestMessage = max(newest, written &- 1)
    control.set(
      TapeCounter.durableUntil, now &- lag.take(newest: newestMessage, durable: durable &- 1, now: now))
    if let shadow { report(shadow.status) }
  }

  private func report(_ shadow: ShadowStatus) {
    control.set(TapeCounter.shadowWhole, shadow.isWhole ? 1 : 0)
    control.set(TapeCounter.shadowSequence, shadow.nextSequence &- 1)
    control.setTotal(TapeCounter.probesCompared, shadow.compared, since: base)
    control.setTotal(TapeCounter.probesSkipped, shadow.skipped, since: base)
    control.setTotal(TapeCounter.probesDiffered, shadow.differences, since: base)
    if let difference = shadow.difference, control.value(TapeCounter.booksDiffer) == 0 {
      control.set(TapeCounter.differenceSequence, difference.ours.sequence)
      control.set(TapeCounter.differenceInstrument, UInt64(difference.ours.instrument))
      control.set(TapeCounter.booksDiffer, 1)
    }
    control.setTotal(TapeCounter.snapshotsWritten, shadow.snapshotsWritten, since: base)
    control.setTotal(TapeCounter.snapshotFailures, shadow.snapshotFailures, since: base)
    control.setTotal(TapeCounter.snapshotsPutOff, shadow.snapshotsPutOff, since: base)
    if shadow.snapshotsWritten > 0 {
      control.set(TapeCounter.snapshotSequence, shadow.snapshotSequence)
      control.set(TapeCounter.snapshotAt, shadow.snapshotAt)
    }
    if let answered = shadow.answered {
      control.set(TapeCounter.snapshotOutcome, answered.outcome.rawValue)
      control.set(TapeCounter.snapshotThrough, answered.through)
      control.set(TapeCounter.snapshotDigest, answered.digest)
      control.set(TapeCounter.snapshotBytes, UInt64(answered.bytes))
      // Last: whoever waits looks at this one. Releasing, so that what it stands for is there.
      control.counter(TapeCounter.snapshotAnswered.rawValue).storeReleasing(answered.number)
    }
  }

  /// The end, as asked: everything that is on the ring goes to the disk, and the segment is closed.
  private mutating func drain() {
    control.setState(.draining)
    let began = bulkhead_monotonic_nanoseconds()
    let deadline = began &+ Self.stopNanoseconds
    while bulkhead_monotonic_nanoseconds() < deadline {
      if !turn(), !isBacklogged, pending == nil { break }
      if isBacklogged { Self.sleep() }
    }
    if !hasChunk, let chunk = writer.takeChunk() {
      encoder.now = bulkhead_realtime_nanoseconds()
      encoder.open(chunk)
      hasChunk = true
    }
    if hasChunk {
      encoder.seal(.ended)
      if let chunk = encoder.close() { writer.submit(chunk) }
    }
    let isWhole = writer.stop(deadline: deadline)
    if let shadow {
      // What did not come onto the tape is nothing to wait for.
      let written = writer.status.written
      let end = (written?.run == plan.run ? written?.nextSequence : nil) ?? 1
      _ = shadow.stop(end: end, deadline: began &+ Self.shadowNanoseconds)
      let reached = shadow.status
      if reached.isWhole, reached.nextSequence < end {
        narrate(
          "taped: own books came to sequence \(reached.nextSequence &- 1) of \(end &- 1) before the end"
        )
      }
    }
    report(bulkhead_monotonic_nanoseconds())
    if !isWhole {
      narrate(
        "taped: ended with sequences from \(control.value(TapeCounter.durableSequence) &+ 1) on not on the disk for certain",
        as: .unjournaled)
    }
  }
}
