import CLinux
public import Failpoints
import Glibc
import Synchronization

/// What a poll found.
@frozen
public enum RingPoll: Equatable, Sendable {
  /// Nothing new.
  case empty
  /// A record was copied whole: its kind and its payload length in bytes.
  case record(kind: UInt8, bytes: Int)
  /// The producer overwrote what this reader had not read: cells `from ..< to` are lost to it. The next poll
  /// reads at `to`, a record boundary, the oldest that was retained.
  case lapped(from: UInt64, to: UInt64)
  /// Nothing more comes out of this ring.
  case halted(RingHalt)
}

/// Where a new reader starts.
public enum RingStart: Sendable {
  /// Where the reader of this name last said it was; at the oldest record if that is gone.
  case cursor
  /// At the oldest record that is retained.
  case oldest
  /// Behind the newest record.
  case newest
}

/// One reader of a stream ring: read-only on the ring, writing only its own cursor page.
///
/// ```swift
/// switch consumer.poll(into: buffer) {
/// case .record(let kind, let bytes): …             // buffer[0..<bytes] is a whole record
/// case .lapped(let from, let to): …                // exact loss
/// case .empty: consumer.reportPosition(); …        // wait
/// case .halted(.retired): try consumer.follow()    // on in the producer's new file, without a seam
/// case .halted(let damage): …                      // end: the ring has to be made anew
/// }
/// ```
@frozen
public struct RingConsumer: ~Copyable {
  @usableFromInline var file: SharedFile
  var identity: RingIdentity
  @usableFromInline var header: RingHeader
  @usableFromInline var cursor: CursorPage
  @usableFromInline var cells: RingCells
  /// The same cells for calls: a struct of this size goes to a call by its address.
  @usableFromInline let ground: UnsafeMutablePointer<RingCells>
  @usableFromInline let recordBytesLimit: Int
  @usableFromInline var state: ReadState
  /// The gate's word for this reader, on a gated ring.
  let gateFile: RingGate?
  private let gateSlot: Int
  private var knownEpoch: UInt64
  public let name: String

  /// Attaches as the reader `reader`. On a gated ring it counts from here on, also if it was detached.
  /// - Parameters:
  ///   - configurationHash: must equal the ring's; nil accepts any.
  /// - Throws: ``RingError``
  public static func attach(
    path: String, reader: String, start: RingStart, configurationHash: UInt64?,
    layoutVersion: UInt32 = RingLayout.version
  ) throws(RingError) -> RingConsumer {
    let file = try SharedFile.open(
      path: path, access: .readOnly, minimumBytes: RingLayout.headerBytes, populate: true)
    let identity = try RingIdentity.read(
      from: file, expectedConfiguration: configurationHash, layoutVersion: layoutVersion)
    guard identity.kind != .table else {
      throw .header(
        path: path, field: "kind", found: UInt64(identity.kind.rawValue), expected: "1 or 2 (a stream)")
    }
    let cursor = try CursorPage.attach(path: CursorPage.path(ring: path, reader: reader), access: .readWrite)
    var gate: RingGate?
    var slot = 0
    if identity.kind == .gatedStream {
      let page = try RingGate.attach(ring: path, access: .readOnly)
      guard let found = page.readers.firstIndex(of: reader) else {
        throw .missing(path: "\(RingGate.path(ring: path)), reader \(reader)")
      }
      slot = found
      gate = consume page
    }
    var consumer = RingConsumer(file: file, cursor: cursor, identity: identity, gate: gate, gateSlot: slot)
    consumer.start(start)
    // A retired file's words say nothing certain once another file stands in its place.
    while consumer.isRetired, try consumer.follow() { consumer.start(start) }
    consumer.reportPosition()
    consumer.rejoin()
    // Registered too, so that the barrier in `prepareToPark` reaches a reader that is itself a producer.
    _ = bulkhead_membarrier_register()
    return consumer
  }

  init(
    file: consuming SharedFile, cursor: consuming CursorPage, identity: RingIdentity,
    gate: consuming RingGate? = nil, gateSlot: Int = 0
  ) {
    self.identity = identity
    header = RingHeader(file.base)
    cells = RingCells(base: file.base, geometry: identity.geometry)
    ground = .allocate(capacity: 1)
    ground.initialize(to: cells)
    recordBytesLimit = identity.geometry.maximumRecordBytes
    name = identity.name
    state = ReadState(position: 0)
    gateFile = gate
    self.gateSlot = gateSlot
    knownEpoch = header.epoch.loadAcquiring()
    self.file = file
    self.cursor = cursor
    // A reader that died asleep must not cost the producer a wake for each batch.
    self.cursor.sleeping.storeRelaxed(0)
  }

  deinit { ground.deallocate() }

  private mutating func start(_ start: RingStart) {
    let oldest = oldestRetained
    let published = header.published.loadAcquiring()
    switch start {
    case .oldest: state.position = min(oldest, published)
    case .newest: state.position = published
    case .cursor:
      let reported = cursor.reportedPosition
      // Behind the retention it stays where it is: the first poll then declares the exact loss.
      let isKnown = reported <= published || reported <= visibleEnd(from: published)
      state.position = isKnown ? reported : min(oldest, published)
    }
  }

  private var isRetired: Bool { cells.retiredWord.loadAcquiring() == RingLayout.retiredMark }

  /// Behind the newest record that can be seen. A record is visible a moment before `published` says so, and stays in
  /// that state when its producer died within the moment; a reader may have taken it and reported so.
  private func visibleEnd(from published: UInt64) -> UInt64 {
    // Overwritten during the walk, it ended early; but then the word has moved on.
    max(RingProducer.findFrontier(from: published, cells: cells), header.published.loadAcquiring())
  }

  /// The oldest position that is still whole: always a record's start.
  public var oldestRetained: UInt64 {
    cells.oldestRetained()
  }

  /// The ring's file.
  public var path: String { file.path }
  /// Cells published by the producer so far.
  public var publishedPosition: UInt64 { header.published.loadAcquiring() }
  /// Next position that will be read.
  @inlinable public var nextPosition: UInt64 { state.position }
  /// The producer's incarnation.
  public var producerEpoch: UInt64 { header.epoch.loadAcquiring() }
  /// A word of the producer's own beside the ring (``RingProducer/setInputPosition(_:_:)``); 0 where it stored none.
  /// - Parameter index: 0...3.
  public func producerWord(_ index: Int) -> UInt64 {
    precondition((0..<RingLayout.inputPositionCount).contains(index))
    return SharedWord(file.base + RingLayout.inputPositionOffset + 8 * index).loadAcquiring()
  }
  /// Longest payload that ``poll(into:)`` can deliver; its buffer must hold that much, rounded up to a cell.
  public var maximumRecordBytes: Int { recordBytesLimit }

  /// Copies the next record, if there is one, and moves on behind it. The copy is checked after it was made,
  /// so what is returned was never overwritten in between.
  /// - Parameter buffer: at least ``maximumRecordBytes`` + 56 writable bytes.
  #if !DEBUG
    @_noLocks
  #endif
  @inlinable @inline(__always)
  public mutating func poll(into buffer: UnsafeMutableRawPointer) -> RingPoll {
    let position = state.position
    let here = cells.cell(position)
    // Sync point with `RingProducer.publish`.
    let rest = SharedWord(here).loadAcquiring() ^ Stamp.lapField(cells.lap(position))
    let bytes = Stamp.length(rest)
    if Stamp.isRecord(rest), bytes <= Stamp.oneCellBytes {
      // The common case: no call, and the next position does not wait for the length to be loaded, so the
      // processor is already fetching the next records.
      SharedPayload.copyOut(
        to: buffer, from: here + RingLayout.stampBytes, byteCount: Stamp.oneCellBytes)
      let claimed = cells.claimedNow()
      guard cells.holds(position, claimed: claimed) else { return notRetained() }
      if claimed &- position > cells.settledDistance { cells.prefetchToRead(behind: position) }
      state.position = position &+ 1
      return .record(kind: Stamp.kind(rest), bytes: bytes)
    }
    guard Stamp.isPresent(rest) else { return cells.isRetained(position) ? .empty : notRetained() }
    // On a copy, and with the cells behind a pointer: what has its address taken does not stay in registers.
    var moved = state
    let poll = moved.pollLong(into: buffer, ground)
    state = moved
    if case .lapped = poll { return notRetained() }
    return poll
  }

  /// Whether there is more to poll than ``RingPoll/empty``: a record, a loss or a halt.
  @inlinable @inline(__always)
  public var hasNext: Bool {
    let rest = cells.stamp(state.position).loadAcquiring() ^ Stamp.lapField(cells.lap(state.position))
    return Stamp.isPresent(rest) || !isStillThere()
  }

  /// True as long as the cell at the reader's position has not been claimed for a later lap.
  @inlinable @inline(__always)
  func isStillThere() -> Bool { cells.isRetained(state.position) }

  /// The claim does not hold this reader's position: moves to the oldest retained record and says what was lost, or finds
  /// that the ring has come to its end.
  @inlinable @inline(__always)
  mutating func notRetained() -> RingPoll {
    // Values in, values out, as in the producer.
    let poll = Self.why(
      state.position, ground, published: header.published, cursor.laps, cursor.lostCells)
    if case .lapped(_, let to) = poll {
      state.position = to
      reportPosition()
    }
    return poll
  }

  @usableFromInline
  static func why(
    _ position: UInt64, _ ground: UnsafePointer<RingCells>, published: SharedWord, _ laps: SharedWord,
    _ lostCells: SharedWord
  ) -> RingPoll {
    let cells = ground.pointee
    // Its last loads are of `published`, so what lies at the oldest position is ordered by that.
    switch cells.settledClaim(published: published, reader: position) {
    case .halted(let halt): return .halted(halt)
    case .claimed(let claimed):
      guard !cells.holds(position, claimed: claimed) else { return .empty }
      let to = cells.oldest(claimed: claimed)
      laps.addAsOnlyWriter(1)
      lostCells.addAsOnlyWriter(to &- position)
      return .lapped(from: position, to: to)
    }
  }

  /// Tells the cursor page how far this reader is. A successor of the same name starts there.
  #if !DEBUG
    @_noLocks
  #endif
  @inlinable @inline(__always)
  public func reportPosition() {
    failpoint(21)  // read, and the cursor does not say so
    cursor.position.storeReleasing(state.position)
    failpoint(22)  // the cursor says so, the high water does not
    // To the end of the producer's segment: a word that is at hand, where the published one would have to be fetched.
    let behind = min(cells.claimedWord.loadRelaxed() &- state.position, cells.cellMask &+ 1)
    if behind > cursor.highWater.loadRelaxed() { cursor.highWater.storeRelaxed(behind) }
  }

  /// Moves to the oldest retained record, to read the ring's retention again.
  public mutating func rewindToOldest() {
    state.position = min(oldestRetained, header.published.loadAcquiring())
  }

  /// Moves back to a position at which this reader has been, to read from there again. If it is not retained any more,
  /// the next poll says what is lost.
  public mutating func rewind(to position: UInt64) {
    precondition(position <= state.position, "a reader goes back only to where it has been")
    state.position = position
  }

  /// Takes the place of another reader of the same ring, which is dead, and stays where it is: from here on this reader writes
  /// that one's cursor page, and no more its own.
  /// - Throws: ``RingError``; then nothing has changed.
  public mutating func become(reader: String) throws(RingError) {
    precondition(identity.kind == .overwritingStream, "a gated ring counts its readers by name")
    let page = try CursorPage.attach(path: CursorPage.path(ring: path, reader: reader), access: .readWrite)
    cursor = page
    // The dead one may have died asleep.
    cursor.sleeping.storeRelaxed(0)
    reportPosition()
  }

  /// Reads on at a position where a reader of this ring once stood: behind a record that it had taken, as
  /// ``nextPosition`` said then. Behind the retention, the next poll declares the exact loss.
  /// - Returns: false when the ring has not come that far: the position is another ring's, and nothing has changed.
  public mutating func resume(at position: UInt64) -> Bool {
    let published = header.published.loadAcquiring()
    guard position <= published || position <= visibleEnd(from: published) else { return false }
    state.position = position
    return true
  }

  // MARK: Health, epochs, generations

  /// Looks whether the ring still makes sense from where this reader stands. For once every few milliseconds, above all
  /// while nothing comes: what ``poll(into:)`` reads by itself is checked there.
  public func checkHealth() -> RingHalt? {
    if case .halted(let halt) = cells.settledClaim(published: header.published, reader: state.position) {
      return halt
    }
    if header.epoch.loadAcquiring() < knownEpoch { return .damaged(.epoch) }
    return identity.changedField(at: file.base).map { .damaged($0) }
  }

  /// The producer's incarnation, if it is another than when this was last asked (or attached). No later than with the
  /// first record of a new incarnation; records of the old one may still follow.
  public mutating func takeEpochChange() -> UInt64? {
    let epoch = header.epoch.loadAcquiring()
    guard epoch != knownEpoch else { return nil }
    knownEpoch = epoch
    return epoch
  }

  /// After ``RingHalt/retired``: goes on in the file that has taken this one's place, at the same position.
  /// - Returns: false as long as there is no other file: try again.
  /// - Throws: ``RingError``, also when the new file is not this ring's successor.
  public mutating func follow() throws(RingError) -> Bool {
    let path = file.path
    let next = try SharedFile.open(
      path: path, access: .readOnly, minimumBytes: RingLayout.headerBytes, populate: true)
    guard next.fileNumber != file.fileNumber else { return false }
    let found = try RingIdentity.read(from: next, expectedConfiguration: identity.configurationHash)
    guard found == identity else {
      throw .header(
        path: path, field: "geometry", found: UInt64(found.geometry.cellCount),
        expected: "\(identity.geometry.cellCount) cells, as before the take-over")
    }
    header = RingHeader(next.base)
    cells = RingCells(base: next.base, geometry: found.geometry)
    ground.pointee = cells
    file = next
    return true
  }

  /// Whether the supervisor has detached this reader from its gated ring: the producer does not wait for it any more.
  public var isDetached: Bool {
    switch gateFile {
    case .some(let gate):
      gate.detachedGeneration(slot: gateSlot).loadAcquiring() &+ 1 != cursor.generation.loadRelaxed()
    case .none: false
    }
  }

  /// Counts again on a gated ring, from where this reader stands. What the producer overwrote before it noticed, the next
  /// poll declares.
  public func rejoin() {
    switch gateFile {
    case .some(let gate):
      reportPosition()
      let detached = gate.detachedGeneration(slot: gateSlot).loadAcquiring()
      if cursor.generation.loadRelaxed() != detached &+ 1 { cursor.generation.storeReleasing(detached &+ 1) }
    case .none: break
    }
  }

  // MARK: Parking

  /// First half of a sleep: announces it, so that from here on the producer wakes this reader. Returns the value
  /// of the futex word to wait on, or nil when a record came in meanwhile (the announcement is withdrawn).
  ///
  /// The announcement carries the published position that this reader has seen. The producer stores
  /// `published`, then loads `sleeping`, without a fence between; the barrier that keeps the two in order is this
  /// reader's membarrier, which the kernel runs on the producer's core. So either the producer sees the
  /// announcement, or this reader sees the record.
  public func prepareToPark() -> UInt32? {
    let word = UInt32(truncatingIfNeeded: header.published.loadAcquiring())
    let ticket = (cursor.lastTicket.loadRelaxed() &+ 1) & 0xFFFF_FFFF
    cursor.lastTicket.storeRelaxed(ticket)
    cursor.sleeping.storeReleasing(max(ticket, 1) << 32 | UInt64(word))
    if bulkhead_membarrier() != 0 { atomicMemoryFence(ordering: .sequentiallyConsistent) }
    if hasNext {
      cursor.sleeping.storeReleasing(0)
      return nil
    }
    return word
  }

  /// Withdraws the announcement after a sleep.
  public func finishPark() { cursor.sleeping.storeReleasing(0) }

  /// The futex word of the ring: the low half of the published position.
  public var parkWord: UnsafeRawPointer { UnsafeRawPointer(file.base + RingLayout.publishedOffset) }

  /// Sleeps until a record comes in, at most `nanoseconds`. Returns at once when one is there.
  public func park(nanoseconds: Int64) {
    reportPosition()
    guard let word = prepareToPark() else { return }
    _ = bulkhead_futex_wait(parkWord, word, nanoseconds)
    finishPark()
  }
}

/// Where a reader is.
@frozen
@usableFromInline
struct ReadState {
  /// Next position that will be read.
  @usableFromInline var position: UInt64
  /// Length of the last record of several cells, and its cells.
  var usualBytes = 0
  var usualCells: UInt64 = 1

  init(position: UInt64) { self.position = position }

  /// Padding and records of several cells. The range in `.lapped` is not filled in.
  @usableFromInline
  mutating func pollLong(
    into buffer: UnsafeMutableRawPointer, _ ground: UnsafePointer<RingCells>
  ) -> RingPoll {
    let cells = ground.pointee
    let lapped = RingPoll.lapped(from: 0, to: 0)
    while true {
      let here = cells.cell(position)
      let rest = SharedWord(here).loadAcquiring() ^ Stamp.lapField(cells.lap(position))
      guard Stamp.isPresent(rest) else { return cells.isRetained(position) ? .empty : lapped }
      let segmentEnd = cells.segmentEnd(position)
      if Stamp.kind(rest) == Stamp.padKind {
        // A stamp that was never one (this reader was lapped) must not move the reader.
        guard cells.isRetained(position) else { return lapped }
        // Padding fills the rest of a segment, so it never starts one; and so this loop ends.
        guard position & (cells.segmentCells &- 1) != 0 else { return .halted(.damaged(.stamp)) }
        position = segmentEnd
        continue
      }
      let bytes = Stamp.length(rest)
      let room =
        Int(truncatingIfNeeded: segmentEnd &- position) &* RingLayout.cellBytes &- RingLayout.stampBytes
      guard bytes <= room else {
        return cells.isRetained(position) ? .halted(.damaged(.stamp)) : lapped
      }
      SharedPayload.copyOut(to: buffer, from: here + RingLayout.stampBytes, byteCount: bytes)
      guard cells.isRetained(position) else { return lapped }
      if bytes != usualBytes { becomeUsual(bytes: bytes) }
      position &+= usualCells
      return .record(kind: Stamp.kind(rest), bytes: bytes)
    }
  }

  /// Remembers a record length, so that among equal ones the next position comes from a register and a
  /// predicted branch, not from the stamp that is still on its way from the other core.
  @inline(never)
  private mutating func becomeUsual(bytes: Int) {
    usualBytes = bytes
    usualCells = UInt64(truncatingIfNeeded: Stamp.cells(length: bytes))
  }
}
