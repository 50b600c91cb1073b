import CLinux
public import Failpoints
import Glibc
import Synchronization

/// The one writer of a stream ring.
///
/// ```swift
/// var producer = try RingProducer.attach(path: path, readers: ["merged"], configurationHash: hash)
/// let payload = producer.reserve(bytes: 24)       // write 24 bytes there
/// producer.commit(kind: 1, bytes: 24)             // in place, not yet visible
/// producer.publish()                              // the whole batch becomes visible at once
/// ```
///
/// Memory order: payload and later stamps of a batch are plain or relaxed stores; the batch's first stamp is a
/// release store and makes all of it visible (sync point with ``RingConsumer/poll(into:)``). `published` follows.
/// A producer killed anywhere leaves either the whole batch or nothing of it: its first stamp is the last
/// to be written.
///
/// A producer that was stopped, given up for dead and replaced (``takeOver(path:readers:configurationHash:)``) finds that out
/// at its next claim and sets ``halt``; nothing that it stored since is accepted by any reader.
///
/// `@_noLocks` (which includes `@_noAllocation`) is proven by the optimiser, so debug builds, whose modules are emitted before
/// anything was inlined, leave it out.
@frozen
public struct RingProducer: ~Copyable {
  @usableFromInline let file: SharedFile
  /// Where everything goes once the ring is not this producer's any more: memory that nobody reads.
  @usableFromInline let scratch: SharedFile
  let identity: RingIdentity
  @usableFromInline var header: RingHeader
  @usableFromInline var cells: RingCells
  @usableFromInline let maximumRecordBytes: Int
  @usableFromInline var state: WriteState
  /// Why this producer publishes nothing any more, or nil. What it commits meanwhile goes nowhere.
  public var halt: RingHalt? { haltFound }
  @usableFromInline var haltFound: RingHalt?
  /// This incarnation; raised by each attach.
  public let epoch: UInt64
  /// Per reader: its `sleeping` word, and the sleep that was last ended.
  @usableFromInline let sleepers: UnsafeMutablePointer<SharedWord>
  @usableFromInline let wokenSleeps: UnsafeMutablePointer<UInt64>
  @usableFromInline let sleeperCount: Int
  let readerFiles: UnsafeMutablePointer<CursorPage>
  let gateFile: RingGate?
  /// Nil on an overwriting ring.
  let gate: UnsafeMutablePointer<GateView>?
  /// What ``WriteState/madeReady(_:position:batchStart:claimed:batchStamp:_:)`` needs. Behind a pointer, because a struct of
  /// this size goes to a call by its address: the compiler would write it to the stack for each record.
  @usableFromInline let ground: UnsafeMutablePointer<Ground>

  deinit {
    for index in 0..<sleeperCount { (readerFiles + index).deinitialize(count: 1) }
    readerFiles.deallocate()
    sleepers.deallocate()
    wokenSleeps.deallocate()
    gate?.pointee.deallocate()
    gate?.deallocate()
    ground.deallocate()
  }

  /// The ring's file.
  public var path: String { file.path }
  /// Longest payload that ``reserve(bytes:)`` accepts.
  public var recordBytesLimit: Int { maximumRecordBytes }
  /// Where the next record will start, in cells.
  @inlinable public var nextPosition: UInt64 { state.position }
  /// Whether records were committed that are not published yet.
  @inlinable public var hasOpenBatch: Bool { state.batchStart != state.position }
  /// Whether the open batch has become so long that it should be published: a batch must fit its ring.
  @inlinable public var batchIsLong: Bool {
    state.position &- state.batchStart >= (cells.cellMask &+ 1) &>> 3
  }

  /// Makes room for one record and returns where its payload goes: `bytes` writable bytes, up to the end of
  /// the last cell. Claims what is about to be overwritten. The open batch, rounded up to whole segments, may cover
  /// the ring less one segment; more is a programming error, and so is any use on a gated ring.
  /// - Parameter bytes: 0...``recordBytesLimit``; more is a programming error.
  #if !DEBUG
    @_noLocks
  #endif
  @inlinable @inline(__always)
  public mutating func reserve(bytes: Int) -> UnsafeMutableRawPointer {
    // Folds away for a length that the compiler knows; `makeReady` looks at the rest.
    precondition(UInt(bitPattern: bytes) <= 0xFFFF, "record longer than 65,535 bytes")
    let count = UInt64(truncatingIfNeeded: Stamp.cells(length: bytes))
    if state.position &+ count > state.readyEnd {
      let made = WriteState.madeReady(
        count, position: state.position, batchStart: state.batchStart, claimed: state.claimed,
        batchStamp: state.batchStamp, ground)
      precondition(made.outcome != .refused, "a gated ring may refuse: use tryReserve")
      adopt(made, count)
    }
    if count != 1 { state.lookUntil = cells.twoLapsBehind(state.position &+ count) }
    return cells.cell(state.position) + RingLayout.stampBytes
  }

  /// ``reserve(bytes:)`` for a gated ring: nil when a reader that counts has not yet read what lies there. Nothing has
  /// changed then; the caller takes the action that was declared for this ring, or tries again later.
  #if !DEBUG
    @_noLocks
  #endif
  @inlinable @inline(__always)
  public mutating func tryReserve(bytes: Int) -> UnsafeMutableRawPointer? {
    precondition(UInt(bitPattern: bytes) <= 0xFFFF, "record longer than 65,535 bytes")
    let count = UInt64(truncatingIfNeeded: Stamp.cells(length: bytes))
    if state.position &+ count > state.readyEnd {
      let made = WriteState.madeReady(
        count, position: state.position, batchStart: state.batchStart, claimed: state.claimed,
        batchStamp: state.batchStamp, ground)
      if made.outcome == .refused {
        // The padding in front may have been granted its segment, and stand at the frontier now.
        state.claimed = made.claimed
        state.lookUntil = cells.twoLapsBehind(state.position)
        return nil
      }
      adopt(made, count)
    }
    if count != 1 { state.lookUntil = cells.twoLapsBehind(state.position &+ count) }
    return cells.cell(state.position) + RingLayout.stampBytes
  }

  /// Takes over what ``WriteState/madeReady(_:position:batchStart:claimed:batchStamp:_:)`` found. (Values in, values
  /// out: a state whose address is never taken stays in registers.)
  @inlinable @inline(__always)
  mutating func adopt(_ found: WriteState.Ready, _ count: UInt64) {
    var made = found
    if found.outcome == .lost {
      let diversion = Diversion(
        scratch: scratch.base, count, ground)
      haltFound = diversion.halt
      header = diversion.header
      cells = diversion.cells
      state.batchStart = 0
      made = diversion.made
    }
    state.position = made.position
    state.readyEnd = made.readyEnd
    state.claimed = made.claimed
    state.batchStamp = made.batchStamp
    state.lapBits = Stamp.lapField(cells.lap(state.position))
  }

  /// Completes the record that was reserved last: it joins the open batch.
  /// - Parameters:
  ///   - kind: 1...254, the record's kind.
  ///   - bytes: payload bytes, at most what was reserved.
  #if !DEBUG
    @_noLocks
  #endif
  @inlinable @inline(__always)
  public mutating func commit(kind: UInt8, bytes: Int) {
    state.stamp(state.lapBits | Stamp.rest(kind: kind, length: bytes), cells)
    state.position &+= UInt64(truncatingIfNeeded: Stamp.cells(length: bytes))
    state.records &+= 1
    cells.prefetchToWrite(behind: state.position)
  }

  /// Makes every committed record visible with one release store, then wakes readers that sleep.
  #if !DEBUG
    @_noLocks
  #endif
  @inlinable @inline(__always)
  public mutating func publish() {
    guard state.batchStart != state.position else { return }
    failpoint(11)  // payloads are there, no stamp
    if state.position <= state.lookUntil { clearFrontier() }
    failpoint(12)  // the frontier is clear, no stamp
    cells.stamp(state.batchStart).storeReleasing(state.batchStamp)
    failpoint(13)  // visible, and the position does not say so
    state.batchStart = state.position
    header.published.storeReleasing(state.position)
    failpoint(14)  // published, and nobody is woken
    // Counts of this producer's own, so that no publication waits for the load of the one before.
    state.batches &+= 1
    header.records.storeRelaxed(state.records)
    header.batches.storeRelaxed(state.batches)
    wakeSleepers()
  }

  /// Forgets the committed, unpublished records: as if they had never been written.
  public mutating func abandonBatch() {
    state.lookUntil = cells.twoLapsBehind(state.position)
    state.abandonBatch()
    state.records = header.records.loadRelaxed()
  }

  /// Stores a word of the producer's own beside the ring, for instance how far its input was read.
  public func setInputPosition(_ index: Int, _ value: UInt64) {
    precondition((0..<RingLayout.inputPositionCount).contains(index))
    SharedWord(file.base + RingLayout.inputPositionOffset + 8 * index).storeReleasing(value)
  }

  /// The word that ``setInputPosition(_:_:)`` stored, perhaps in an earlier incarnation.
  public func inputPosition(_ index: Int) -> UInt64 {
    precondition((0..<RingLayout.inputPositionCount).contains(index))
    return SharedWord(file.base + RingLayout.inputPositionOffset + 8 * index).loadAcquiring()
  }

  /// Sees to it that nothing at the frontier looks like a record of this lap: old payload could, or what a dead producer
  /// left. Nearly always nothing does, and then the line is only read: to write it would take it from the readers' caches,
  /// and every reader would wait for that before it sees the batch. Where this producer never reserved more than a cell
  /// during the last two laps, a cell's first word is a stamp of an earlier lap, and there is no need to look.
  @inlinable @inline(__always)
  func clearFrontier() {
    let frontier = cells.stamp(state.position)
    if Stamp.matches(frontier.loadRelaxed(), lap: cells.lap(state.position)) { frontier.storeRelaxed(0) }
  }

  /// Wakes each reader that sleeps on an older published position than the present one. A reader that went to
  /// sleep on the present one has seen everything and is left alone.
  @inlinable @inline(__always)
  func wakeSleepers() {
    var index = 0
    while index < sleeperCount {
      let sleep = sleepers[index].loadRelaxed()
      if sleep != 0 { Self.wake(sleep, &wokenSleeps[index], state.position, header.published) }
      index &+= 1
    }
  }

  /// Ends a sleep, once: unless it was announced on the present position, of which it missed nothing. The sleeper waits
  /// for the word to differ from a value that it has left already: it is woken, or, if it has yet to wait, finds the word
  /// changed. (Takes words and not the producer, which the compiler would copy for the call.)
  // A system call, made only when somebody sleeps: the one thing in these loops that the compiler cannot look into.
  @_semantics("no_performance_analysis")
  @usableFromInline
  static func wake(_ sleep: UInt64, _ woken: inout UInt64, _ position: UInt64, _ published: SharedWord) {
    guard UInt32(truncatingIfNeeded: sleep) != UInt32(truncatingIfNeeded: position), sleep != woken else {
      return
    }
    woken = sleep
    _ = bulkhead_futex_wake(published.pointer, Int32.max)
  }
}

extension RingProducer {
  /// Copies the newest visible record, if the ring holds one: what a successor needs to know how far its
  /// predecessor came.
  /// - Parameter buffer: at least ``recordBytesLimit`` + 56 writable bytes.
  /// - Returns: the record's kind and payload length.
  public func copyNewestRecord(into buffer: UnsafeMutableRawPointer) -> (kind: UInt8, bytes: Int)? {
    let end = state.batchStart
    guard end > 0 else { return nil }
    // A segment's start is a record's start, and a segment is never all padding.
    var walk = (end - 1) & ~(cells.segmentCells - 1)
    var newest: (kind: UInt8, bytes: Int)?
    while walk < end {
      let here = cells.cell(walk)
      let stamp = SharedWord(here).loadAcquiring()
      guard Stamp.matches(stamp, lap: cells.lap(walk)) else { break }
      if Stamp.kind(stamp) == Stamp.padKind { break }
      let bytes = min(Stamp.length(stamp), maximumRecordBytes)
      SharedPayload.copyOut(to: buffer, from: here + RingLayout.stampBytes, byteCount: bytes)
      newest = (Stamp.kind(stamp), bytes)
      walk += UInt64(Stamp.cells(length: bytes))
    }
    return newest
  }
}

/// Where a producer's records go.
@frozen
@usableFromInline
struct Ground {
  @usableFromInline var cells: RingCells
  /// Nil on an overwriting ring.
  @usableFromInline let gate: UnsafeMutablePointer<GateView>?
  /// Memory that nobody reads, so that a batch of any length may go round in it.
  let isScratch: Bool
}

/// Where a producer is.
@frozen
@usableFromInline
struct WriteState {
  /// Where the next record starts.
  @usableFromInline var position: UInt64
  /// Records that end here or before need no look at segments and claims. 0 when that is not known.
  @usableFromInline var readyEnd: UInt64 = 0
  /// The lap field of stamps up to there.
  @usableFromInline var lapBits: UInt64 = 0
  /// Up to here the frontier is looked at before a batch is published.
  @usableFromInline var lookUntil: UInt64 = 0
  /// Where the open batch starts; equal to `position` when none is open.
  @usableFromInline var batchStart: UInt64
  /// The first stamp of the open batch, kept back until it is published.
  @usableFromInline var batchStamp: UInt64 = 0
  /// Records that were committed and batches that were published since the ring was made.
  @usableFromInline var records: UInt64 = 0
  @usableFromInline var batches: UInt64 = 0
  /// Copy of the ring's claimed word.
  @usableFromInline var claimed: UInt64

  init(frontier: UInt64, claimed: UInt64) {
    position = frontier
    batchStart = frontier
    self.claimed = claimed
  }

  /// Puts a stamp at the current position, or keeps it back when it is the batch's first.
  @inlinable @inline(__always)
  mutating func stamp(_ value: UInt64, _ cells: RingCells) {
    if batchStart == position {
      // Nothing at the frontier looks like a record, so nothing of the batch can be seen before `publish`.
      batchStamp = value
    } else {
      cells.stamp(position).storeRelaxed(value)
    }
  }

  /// What ``madeReady(_:position:batchStart:claimed:batchStamp:_:)`` found.
  @frozen
  @usableFromInline
  enum Outcome {
    case ready
    /// A reader that counts has not come far enough.
    case refused
    /// The claimed word is not what this producer left there.
    case lost
  }

  @frozen
  @usableFromInline
  struct Ready {
    @usableFromInline let outcome: Outcome
    @usableFromInline let position: UInt64
    @usableFromInline let readyEnd: UInt64
    @usableFromInline let claimed: UInt64
    @usableFromInline let batchStamp: UInt64
  }

  /// Makes a record of so many cells fit at `position`: inside one segment, and claimed with one cell more, because
  /// the frontier behind it may have to be cleared before the record shows.
  @usableFromInline
  static func madeReady(
    _ count: UInt64, position: UInt64, batchStart: UInt64, claimed: UInt64, batchStamp: UInt64,
    _ ground: UnsafeMutablePointer<Ground>
  ) -> Ready {
    let cells = ground.pointee.cells
    precondition(count <= cells.segmentCells, "record longer than the ring's segments")
    var state = WriteState(frontier: position, claimed: claimed)
    state.batchStart = batchStart
    state.batchStamp = batchStamp
    var outcome = Outcome.ready
    var segmentEnd = cells.segmentEnd(position)
    if position &+ count > segmentEnd {
      if position &+ 2 > claimed { outcome = state.claim(upTo: position &+ 2, ground) }
      if outcome == .ready {
        state.stamp(Stamp.make(lap: cells.lap(position), kind: Stamp.padKind, length: 0), cells)
        state.position = segmentEnd
        segmentEnd &+= cells.segmentCells
      }
    }
    let end = state.position &+ count &+ 1
    if outcome == .ready, end > state.claimed { outcome = state.claim(upTo: end, ground) }
    // Refused behind the padding: where the batch stands is as before, and the padding is put there again.
    if outcome == .refused { state.position = position }
    return Ready(
      outcome: outcome, position: state.position, readyEnd: min(segmentEnd, state.claimed &- 1),
      claimed: state.claimed, batchStamp: state.batchStamp)
  }

  /// Moves `claimed` past `end`, to a segment's end, before anything there is overwritten.
  private mutating func claim(
    upTo end: UInt64, _ ground: UnsafeMutablePointer<Ground>
  ) -> Outcome {
    let cells = ground.pointee.cells
    let next = cells.segmentEnd(end &- 1)
    // The segment in front of the batch stays whole: a successor reads the newest record there, however the batch ends.
    // One record alone always fits: at most three segments of at least four.
    precondition(
      ground.pointee.isScratch || next &- batchStart <= cells.cellMask &+ 1 &- cells.segmentCells,
      "a batch longer than its ring less a segment")
    // Another incarnation, or a wild store: this is the one place where the producer looks, once a segment. Before it asks
    // its readers: those of a producer that was replaced are at positions of another file, and may refuse it for ever.
    guard cells.claimedWord.loadRelaxed() == claimed, cells.retiredWord.loadRelaxed() == 0 else {
      return .lost
    }
    if let gate = ground.pointee.gate {
      let slowest = gate.pointee.slowest(published: batchStart, oldest: cells.oldest(claimed: claimed))
      if cells.oldest(claimed: next) > slowest { return .refused }
    }
    failpoint(15)  // about to claim
    claimed = next
    // With release order, because a lapped reader goes where the claim sends it: into the midst of a batch whose
    // first stamp it never acquires (sync point with `RingCells.oldestRetained`).
    cells.claimedWord.storeReleasing(next)
    // Whoever sees a byte that is stored after this fence also sees the claim (sync point with `isRetained`).
    atomicMemoryFence(ordering: .releasing)
    failpoint(16)  // claimed, nothing overwritten
    return .ready
  }

  mutating func abandonBatch() {
    position = batchStart
    // The position may have moved back into an earlier segment.
    readyEnd = 0
  }
}
