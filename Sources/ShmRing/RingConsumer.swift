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
  /// Where the reader of this name last said it was. If that is gone, the first poll says what was lost.
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
  @usableFromInline let data: UnsafeMutableRawPointer
  @usableFromInline let cellMask: UInt64
  @usableFromInline let lapShift: UInt64
  @usableFromInline let segmentCells: UInt64
  @usableFromInline let recordBytesLimit: Int
  @usableFromInline var position: UInt64
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
    data = file.base + RingLayout.headerBytes
    cellMask = UInt64(identity.geometry.cellCount - 1)
    lapShift = UInt64(identity.geometry.cellCount.trailingZeroBitCount)
    segmentCells = UInt64(identity.geometry.segmentCells)
    recordBytesLimit = identity.geometry.maximumRecordBytes
    name = identity.name
    position = 0
    self.file = file
    self.cursor = cursor
    // A reader that died asleep must not cost the producer a wake for each batch.
    self.cursor.sleeping.storeRelaxed(0)
  }

  private mutating func start(_ start: RingStart) {
    let oldest = oldestRetained
    let published = header.published.loadAcquiring()
    switch start {
    case .oldest: position = min(oldest, published)
    case .newest: position = published
    case .cursor:
      let reported = cursor.reportedPosition
      // Behind the retention it stays where it is: the first poll then declares the exact loss.
      let isKnown = reported <= published || reported <= visibleEnd(from: published)
      position = isKnown ? reported : min(oldest, published)
    }
    reportPosition()
  }

  /// Behind the newest record that can be seen. A record is visible a moment before `published` says so, and stays in
  /// that state when its producer died within the moment; a reader may have taken it and reported so.
  private func visibleEnd(from published: UInt64) -> UInt64 {
    let end = RingProducer.findFrontier(
      from: published, data: data, cellMask: cellMask, lapShift: lapShift, segmentCells: segmentCells)
    // Overwritten during the walk, it ended early; but then the word has moved on.
    return max(end, header.published.loadAcquiring())
  }

  /// The oldest position that is still whole: always a record's start.
  public var oldestRetained: UInt64 {
    // Sync point with `RingProducer.claim`: everything in front of the claim is visible, later stamps of a batch too.
    let claimed = header.claimed.loadAcquiring()
    return claimed > cellMask &+ 1 ? claimed &- (cellMask &+ 1) : 0
  }

  /// Cells published by the producer so far.
  public var publishedPosition: UInt64 { header.published.loadAcquiring() }
  /// Next position that will be read.
  @inlinable public var nextPosition: UInt64 { position }
  /// The producer's incarnation.
  public var producerEpoch: UInt64 { header.epoch.loadAcquiring() }
  /// Longest payload that ``poll(into:)`` can deliver; its buffer must hold that much, rounded up to a cell.
  public var maximumRecordBytes: Int { recordBytesLimit }

  /// Copies the next record, if there is one, and moves on behind it. The copy is checked after it was made,
  /// so what is returned was never overwritten in between.
  /// - Parameter buffer: at least ``maximumRecordBytes`` + 56 writable bytes.
  @inlinable @inline(__always)
  public mutating func poll(into buffer: UnsafeMutableRawPointer) -> RingPoll {
    while true {
      let here = data + Int(truncatingIfNeeded: position & cellMask) &* RingLayout.cellBytes
      // Sync point with `RingProducer.publish`.
      let stamp = SharedWord(here).loadAcquiring()
      guard Stamp.matches(stamp, lap: position >> lapShift) else { return whyNothing() }
      let kind = Stamp.kind(stamp)
      if kind == Stamp.padKind {
        // A stamp that was never one (this reader was lapped) must not move the reader.
        guard isStillThere() else { return whyNothing() }
        position = (position / segmentCells &+ 1) &* segmentCells
        continue
      }
      let bytes = Stamp.length(stamp)
      let room = (Int(truncatingIfNeeded: segmentCells &- (position & (segmentCells &- 1)))) &* 64 &- 8
      guard bytes <= room else { return whyNothing() }
      if bytes <= 56 {
        // The common case as seven plain words: no call.
        SharedPayload.copyOut(to: buffer, from: here + RingLayout.stampBytes, byteCount: 56)
      } else {
        SharedPayload.copyOut(to: buffer, from: here + RingLayout.stampBytes, byteCount: bytes)
      }
      guard isStillThere() else { return whyNothing() }
      position = position &+ UInt64(truncatingIfNeeded: Stamp.cells(length: bytes))
      return .record(kind: kind, bytes: bytes)
    }
  }

  /// Whether the next record is there, without taking it.
  @inlinable @inline(__always)
  public var hasNext: Bool {
    let here = data + Int(truncatingIfNeeded: position & cellMask) &* RingLayout.cellBytes
    return Stamp.matches(SharedWord(here).loadAcquiring(), lap: position >> lapShift) || !isStillThere()
  }

  /// True as long as the cell at `position` has not been claimed for a later lap.
  @inlinable @inline(__always)
  func isStillThere() -> Bool {
    // Everything read so far is read before the claim is (sync point with `RingProducer.claim`).
    atomicMemoryFence(ordering: .acquiring)
    return position &+ cellMask &+ 1 >= header.claimed.loadRelaxed()
  }

  @usableFromInline
  mutating func whyNothing() -> RingPoll {
    guard !isStillThere() else { return .empty }
    let from = position
    // `claimed` is stored before its fence: what lies at the oldest position is ordered by `published`.
    _ = header.published.loadAcquiring()
    position = oldestRetained
    cursor.laps.addAsOnlyWriter(1)
    cursor.lostCells.addAsOnlyWriter(position &- from)
    reportPosition()
    return .lapped(from: from, to: position)
  }

  /// Tells the cursor page how far this reader is. A successor of the same name starts there.
  @inlinable @inline(__always)
  public func reportPosition() { cursor.position.storeReleasing(position) }

  /// Moves to the oldest retained record, to read the ring's retention again.
  public mutating func rewindToOldest() {
    position = min(oldestRetained, header.published.loadAcquiring())
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
