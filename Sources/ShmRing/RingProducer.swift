import CLinux
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
@frozen
public struct RingProducer: ~Copyable {
  @usableFromInline let file: SharedFile
  @usableFromInline let header: RingHeader
  @usableFromInline let cells: RingCells
  @usableFromInline let maximumRecordBytes: Int
  @usableFromInline var state: WriteState
  /// This incarnation; raised by each attach.
  public let epoch: UInt64
  /// Per reader: its `sleeping` word, and the sleep that was last ended.
  @usableFromInline let sleepers: UnsafeMutablePointer<SharedWord>
  @usableFromInline let wokenSleeps: UnsafeMutablePointer<UInt64>
  @usableFromInline let sleeperCount: Int
  private let readerFiles: UnsafeMutablePointer<CursorPage>
  private let readerFileCount: Int

  /// Attaches as the producer of an existing ring: raises the epoch and continues exactly behind the last record
  /// that is visible. What a predecessor had half-written is overwritten.
  /// - Parameters:
  ///   - readers: names of the readers whose pages the producer watches for sleepers; each page must exist.
  ///   - configurationHash: must equal the ring's.
  /// - Throws: ``RingError``; ``RingError/producerAlive(path:pid:)`` when another living process produces.
  public static func attach(
    path: String, readers: [String], configurationHash: UInt64
  ) throws(RingError) -> RingProducer {
    let file = try SharedFile.open(
      path: path, access: .readWrite, minimumBytes: RingLayout.headerBytes, populate: true)
    let identity = try RingIdentity.read(from: file, expectedConfiguration: configurationHash)
    guard identity.kind == .overwritingStream else {
      throw .header(path: path, field: "kind", found: UInt64(identity.kind.rawValue), expected: "1 (stream)")
    }
    let header = RingHeader(file.base)
    try checkPositions(header, identity.geometry, path: path)
    let pid = Int32(truncatingIfNeeded: header.producerPid.loadRelaxed())
    if pid > 0, pid != getpid() {
      // The start time tells a living producer from a stranger who got its number (FM-609).
      let start = bulkhead_process_start_time(pid)
      if start != 0, start == header.producerStartTime.loadRelaxed(), kill(pid, 0) == 0 {
        throw .producerAlive(path: path, pid: pid)
      }
    }
    let pages = UnsafeMutablePointer<CursorPage>.allocate(capacity: max(1, readers.count))
    let sleepers = UnsafeMutablePointer<SharedWord>.allocate(capacity: max(1, readers.count))
    for (index, reader) in readers.enumerated() {
      let page = try CursorPage.attach(path: CursorPage.path(ring: path, reader: reader), access: .readOnly)
      sleepers[index] = page.sleeping
      (pages + index).initialize(to: page)
    }
    return RingProducer(
      file: file, header: header, geometry: identity.geometry, sleepers: sleepers,
      sleeperCount: readers.count, readerFiles: pages)
  }

  /// Refuses positions that no producer can have left: they are what a successor computes with.
  private static func checkPositions(
    _ header: RingHeader, _ geometry: RingGeometry, path: String
  ) throws(RingError) {
    let published = header.published.loadAcquiring()
    guard published <= 1 << 56 else {
      throw .header(path: path, field: "published", found: published, expected: "at most 2^56")
    }
    let claimed = header.claimed.loadRelaxed()
    // A batch that was never published may reach up to a whole ring beyond the published word, rounded up.
    guard claimed % UInt64(geometry.segmentCells) == 0, claimed <= published + 2 * UInt64(geometry.cellCount)
    else {
      throw .header(
        path: path, field: "claimed", found: claimed,
        expected: "a multiple of \(geometry.segmentCells) not far beyond published, \(published)")
    }
  }

  private init(
    file: consuming SharedFile, header: RingHeader, geometry: RingGeometry,
    sleepers: UnsafeMutablePointer<SharedWord>, sleeperCount: Int,
    readerFiles: UnsafeMutablePointer<CursorPage>
  ) {
    let cells = RingCells(base: file.base, geometry: geometry)
    let frontier = Self.findFrontier(from: header.published.loadAcquiring(), cells: cells)
    // Both words are kept inside what a producer can have written, so that a damaged header cannot widen a claim.
    let claimed = max(cells.segmentEnd(frontier), header.claimed.loadRelaxed())
    self.header = header
    self.cells = cells
    maximumRecordBytes = geometry.maximumRecordBytes
    state = WriteState(frontier: frontier, claimed: claimed)
    self.sleepers = sleepers
    wokenSleeps = UnsafeMutablePointer<UInt64>.allocate(capacity: max(1, sleeperCount))
    wokenSleeps.initialize(repeating: 0, count: max(1, sleeperCount))
    self.sleeperCount = sleeperCount
    self.readerFiles = readerFiles
    readerFileCount = sleeperCount
    epoch = header.epoch.loadRelaxed() &+ 1
    // Lets a parking reader put the barrier on its own side (see RingConsumer.prepareToPark). Before anything is
    // published here.
    _ = bulkhead_membarrier_register()
    header.producerPid.storeRelaxed(UInt64(getpid()))
    header.producerStartTime.storeRelaxed(bulkhead_process_start_time(getpid()))
    header.claimed.storeReleasing(claimed)
    atomicMemoryFence(ordering: .releasing)
    cells.stamp(frontier).storeReleasing(0)
    header.published.storeReleasing(frontier)
    header.epoch.storeReleasing(epoch)
    self.file = file
    // A predecessor that died between a stamp and the wake-ups left readers asleep over its last batch.
    wakeSleepers()
  }

  deinit {
    for index in 0..<readerFileCount { (readerFiles + index).deinitialize(count: 1) }
    readerFiles.deallocate()
    sleepers.deallocate()
    wokenSleeps.deallocate()
  }

  /// Walks the visible records from `start`, a record boundary, to the first that is not.
  static func findFrontier(from start: UInt64, cells: RingCells) -> UInt64 {
    var position = start
    // At most one ring's worth can lie ahead of the published word; the bound also ends a walk over garbage.
    let limit = start &+ cells.cellMask
    while position < limit {
      let stamp = cells.stamp(position).loadAcquiring()
      guard Stamp.matches(stamp, lap: cells.lap(position)) else { return position }
      if Stamp.kind(stamp) == Stamp.padKind {
        position = cells.segmentEnd(position)
      } else {
        position &+= UInt64(truncatingIfNeeded: Stamp.cells(length: Stamp.length(stamp)))
      }
    }
    return position
  }

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
  /// the ring less one segment; more is a programming error.
  /// - Parameter bytes: 0...``recordBytesLimit``; more is a programming error.
  @inlinable @inline(__always)
  public mutating func reserve(bytes: Int) -> UnsafeMutableRawPointer {
    // Folds away for a length that the compiler knows; `makeReady` looks at the rest.
    precondition(UInt(bitPattern: bytes) <= 0xFFFF, "record longer than 65,535 bytes")
    let count = UInt64(truncatingIfNeeded: Stamp.cells(length: bytes))
    if state.position &+ count > state.readyEnd {
      // Values in, values out: a state whose address is never taken stays in registers.
      (state.position, state.readyEnd, state.claimed, state.batchStamp) = WriteState.madeReady(
        count, position: state.position, batchStart: state.batchStart, claimed: state.claimed,
        batchStamp: state.batchStamp, cells)
      state.lapBits = Stamp.lapField(cells.lap(state.position))
    }
    return cells.cell(state.position) + RingLayout.stampBytes
  }

  /// Completes the record that was reserved last: it joins the open batch.
  /// - Parameters:
  ///   - kind: 1...254, the record's kind.
  ///   - bytes: payload bytes, at most what was reserved.
  @inlinable @inline(__always)
  public mutating func commit(kind: UInt8, bytes: Int) {
    state.stamp(state.lapBits | Stamp.rest(kind: kind, length: bytes), cells)
    state.position &+= UInt64(truncatingIfNeeded: Stamp.cells(length: bytes))
    state.batchRecords &+= 1
  }

  /// Makes every committed record visible with one release store, then wakes readers that sleep.
  @inlinable @inline(__always)
  public mutating func publish() {
    guard state.batchStart != state.position else { return }
    clearFrontier()
    cells.stamp(state.batchStart).storeReleasing(state.batchStamp)
    state.batchStart = state.position
    header.published.storeReleasing(state.position)
    header.records.addAsOnlyWriter(state.batchRecords)
    header.batches.addAsOnlyWriter(1)
    state.batchRecords = 0
    wakeSleepers()
  }

  /// Forgets the committed, unpublished records: as if they had never been written.
  public mutating func abandonBatch() { state.abandonBatch() }

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

  /// Sees to it that nothing at the frontier looks like a record of this lap. Nearly always nothing does, and then
  /// the line is only read: to write it would take it from the readers' caches, and every reader would wait for that
  /// before it sees the batch.
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
      if sleep != 0, UInt32(truncatingIfNeeded: sleep) != UInt32(truncatingIfNeeded: state.position),
        sleep != wokenSleeps[index]
      {
        wokenSleeps[index] = sleep
        Self.wake(header.published)
      }
      index &+= 1
    }
  }

  /// Ends the sleeps on the futex word, each once. The sleeper waits for the word to differ from a value that it has
  /// left already: it is woken, or, if it has yet to wait, finds the word changed. (Takes the word and not the producer,
  /// which the compiler would copy for the call, each time that it publishes.)
  @usableFromInline
  static func wake(_ published: SharedWord) {
    _ = bulkhead_futex_wake(published.pointer, Int32.max)
  }
}

extension RingProducer {
  /// Makes a new ring file and the cursor page of each reader.
  public static func create(
    path: String, name: String, geometry: RingGeometry, readers: [String], configurationHash: UInt64,
    lockMemory: Bool = false
  ) throws(RingError) {
    let file = try SharedFile.create(path: path, byteCount: geometry.fileBytes, lock: lockMemory)
    for reader in readers { try CursorPage.create(path: CursorPage.path(ring: path, reader: reader)) }
    // An empty ring's first segment counts as claimed, as after every attach.
    SharedWord(file.base + RingLayout.claimedOffset).storeRelaxed(UInt64(geometry.segmentCells))
    let identity = RingIdentity(
      kind: .overwritingStream, geometry: geometry, configurationHash: configurationHash, name: name)
    identity.write(to: file.base, fileBytes: geometry.fileBytes)
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
  /// Where the open batch starts; equal to `position` when none is open.
  @usableFromInline var batchStart: UInt64
  /// The first stamp of the open batch, kept back until it is published.
  @usableFromInline var batchStamp: UInt64 = 0
  @usableFromInline var batchRecords: UInt64 = 0
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

  /// Makes a record of so many cells fit at `position`: inside one segment, and claimed with one cell more, because
  /// the frontier behind it may have to be cleared before the record shows.
  @usableFromInline
  static func madeReady(
    _ count: UInt64, position: UInt64, batchStart: UInt64, claimed: UInt64, batchStamp: UInt64,
    _ cells: RingCells
  ) -> (position: UInt64, readyEnd: UInt64, claimed: UInt64, batchStamp: UInt64) {
    precondition(count <= cells.segmentCells, "record longer than the ring's segments")
    var state = WriteState(frontier: position, claimed: claimed)
    state.batchStart = batchStart
    state.batchStamp = batchStamp
    var segmentEnd = cells.segmentEnd(position)
    if position &+ count > segmentEnd {
      if position &+ 2 > claimed { state.claim(upTo: position &+ 2, cells) }
      state.stamp(Stamp.make(lap: cells.lap(position), kind: Stamp.padKind, length: 0), cells)
      state.position = segmentEnd
      segmentEnd &+= cells.segmentCells
    }
    let end = state.position &+ count &+ 1
    if end > state.claimed { state.claim(upTo: end, cells) }
    return (state.position, min(segmentEnd, state.claimed &- 1), state.claimed, state.batchStamp)
  }

  /// Moves `claimed` past `end`, to a segment's end, before anything there is overwritten.
  private mutating func claim(upTo end: UInt64, _ cells: RingCells) {
    claimed = cells.segmentEnd(end &- 1)
    // The segment in front of the batch stays whole: a successor reads the newest record there, however the batch ends.
    // One record alone always fits: at most three segments of at least four.
    precondition(
      claimed &- batchStart <= cells.cellMask &+ 1 &- cells.segmentCells,
      "a batch longer than its ring less a segment")
    // With release order, because a lapped reader goes where the claim sends it: into the midst of a batch whose
    // first stamp it never acquires (sync point with `RingCells.oldestRetained`).
    cells.claimedWord.storeReleasing(claimed)
    // Whoever sees a byte that is stored after this fence also sees the claim (sync point with `isRetained`).
    atomicMemoryFence(ordering: .releasing)
  }

  mutating func abandonBatch() {
    position = batchStart
    batchRecords = 0
    // The position may have moved back into an earlier segment.
    readyEnd = 0
  }
}
