import CLinux
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
/// }
/// ```
@frozen
public struct RingConsumer: ~Copyable {
  @usableFromInline let file: SharedFile
  @usableFromInline let header: RingHeader
  @usableFromInline let cursor: CursorPage
  @usableFromInline let cells: RingCells
  @usableFromInline let recordBytesLimit: Int
  @usableFromInline var state: ReadState
  public let name: String

  /// Attaches as the reader `reader`.
  /// - Parameters:
  ///   - configurationHash: must equal the ring's; nil accepts any.
  /// - Throws: ``RingError``
  public static func attach(
    path: String, reader: String, start: RingStart, configurationHash: UInt64?
  ) throws(RingError) -> RingConsumer {
    let file = try SharedFile.open(
      path: path, access: .readOnly, minimumBytes: RingLayout.headerBytes, populate: true)
    let identity = try RingIdentity.read(from: file, expectedConfiguration: configurationHash)
    guard identity.kind == .overwritingStream else {
      throw .header(path: path, field: "kind", found: UInt64(identity.kind.rawValue), expected: "1 (stream)")
    }
    let cursor = try CursorPage.attach(path: CursorPage.path(ring: path, reader: reader), access: .readWrite)
    var consumer = RingConsumer(file: file, cursor: cursor, identity: identity)
    consumer.start(start)
    // Registered too, so that the barrier in `prepareToPark` reaches a reader that is itself a producer.
    _ = bulkhead_membarrier_register()
    return consumer
  }

  init(file: consuming SharedFile, cursor: consuming CursorPage, identity: RingIdentity) {
    header = RingHeader(file.base)
    cells = RingCells(base: file.base, geometry: identity.geometry)
    recordBytesLimit = identity.geometry.maximumRecordBytes
    name = identity.name
    state = ReadState(position: 0)
    self.file = file
    self.cursor = cursor
    // A reader that died asleep must not cost the producer a wake for each batch.
    self.cursor.sleeping.storeRelaxed(0)
  }

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
    reportPosition()
  }

  /// Behind the newest record that can be seen. A record is visible a moment before `published` says so, and stays in
  /// that state when its producer died within the moment; a reader may have taken it and reported so.
  private func visibleEnd(from published: UInt64) -> UInt64 {
    // Overwritten during the walk, it ended early; but then the word has moved on.
    max(RingProducer.findFrontier(from: published, cells: cells), header.published.loadAcquiring())
  }

  /// The oldest position that is still whole: always a record's start.
  public var oldestRetained: UInt64 { cells.oldestRetained() }

  /// Cells published by the producer so far.
  public var publishedPosition: UInt64 { header.published.loadAcquiring() }
  /// Next position that will be read.
  @inlinable public var nextPosition: UInt64 { state.position }
  /// The producer's incarnation.
  public var producerEpoch: UInt64 { header.epoch.loadAcquiring() }
  /// Longest payload that ``poll(into:)`` can deliver; its buffer must hold that much, rounded up to a cell.
  public var maximumRecordBytes: Int { recordBytesLimit }

  /// Copies the next record, if there is one, and moves on behind it. The copy is checked after it was made,
  /// so what is returned was never overwritten in between.
  /// - Parameter buffer: at least ``maximumRecordBytes`` + 56 writable bytes.
  @inlinable @inline(__always)
  public mutating func poll(into buffer: UnsafeMutableRawPointer) -> RingPoll {
    let position = state.position
    let here = cells.cell(position)
    // Sync point with `RingProducer.publish`.
    let rest = SharedWord(here).loadAcquiring() ^ Stamp.lapField(cells.lap(position))
    if Stamp.isRecord(rest), Stamp.length(rest) <= Stamp.oneCellBytes {
      // The common case: no call, and the next position does not wait for the length to be loaded, so the
      // processor is already fetching the next records.
      SharedPayload.copyOut(
        to: buffer, from: here + RingLayout.stampBytes, byteCount: Stamp.oneCellBytes)
      guard cells.isRetained(position) else { return lapped() }
      state.position = position &+ 1
      return .record(kind: Stamp.kind(rest), bytes: Stamp.length(rest))
    }
    guard Stamp.isPresent(rest) else { return cells.isRetained(position) ? .empty : lapped() }
    // On a copy: a state whose address is never taken stays in registers.
    var moved = state
    let poll = moved.pollLong(into: buffer, cells)
    state = moved
    if case .lapped = poll { return lapped() }
    return poll
  }

  /// Whether the next record is there, without taking it.
  @inlinable @inline(__always)
  public var hasNext: Bool {
    let rest = cells.stamp(state.position).loadAcquiring() ^ Stamp.lapField(cells.lap(state.position))
    return Stamp.isPresent(rest) || !isStillThere()
  }

  /// True as long as the cell at the reader's position has not been claimed for a later lap.
  @inlinable @inline(__always)
  func isStillThere() -> Bool { cells.isRetained(state.position) }

  /// Moves to the oldest retained record and says what was lost.
  @inlinable @inline(__always)
  mutating func lapped() -> RingPoll {
    let from = state.position
    // `claimed` is stored before its fence: what lies at the oldest position is ordered by `published`.
    _ = header.published.loadAcquiring()
    let to = Self.noteLap(from: from, cells, laps: cursor.laps, lostCells: cursor.lostCells)
    state.position = to
    reportPosition()
    return .lapped(from: from, to: to)
  }

  @usableFromInline
  static func noteLap(
    from: UInt64, _ cells: RingCells, laps: SharedWord, lostCells: SharedWord
  ) -> UInt64 {
    let to = cells.oldestRetained()
    laps.addAsOnlyWriter(1)
    lostCells.addAsOnlyWriter(to &- from)
    return to
  }

  /// Tells the cursor page how far this reader is. A successor of the same name starts there.
  @inlinable @inline(__always)
  public func reportPosition() { cursor.position.storeReleasing(state.position) }

  /// Moves to the oldest retained record, to read the ring's retention again.
  public mutating func rewindToOldest() {
    state.position = min(oldestRetained, header.published.loadAcquiring())
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
  mutating func pollLong(into buffer: UnsafeMutableRawPointer, _ cells: RingCells) -> RingPoll {
    let lapped = RingPoll.lapped(from: 0, to: 0)
    while true {
      let here = cells.cell(position)
      let rest = SharedWord(here).loadAcquiring() ^ Stamp.lapField(cells.lap(position))
      guard Stamp.isPresent(rest) else { return cells.isRetained(position) ? .empty : lapped }
      let segmentEnd = cells.segmentEnd(position)
      if Stamp.kind(rest) == Stamp.padKind {
        // A stamp that was never one (this reader was lapped) must not move the reader.
        guard cells.isRetained(position) else { return lapped }
        position = segmentEnd
        continue
      }
      let bytes = Stamp.length(rest)
      let room =
        Int(truncatingIfNeeded: segmentEnd &- position) &* RingLayout.cellBytes &- RingLayout.stampBytes
      guard bytes <= room else { return cells.isRetained(position) ? .empty : lapped }
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
