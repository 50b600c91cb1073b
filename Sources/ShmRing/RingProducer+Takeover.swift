import CLinux
import Glibc
import Synchronization

// What happens when the ring is not, or may not be, this producer's alone (FM-601, FM-621).

extension RingProducer {
  /// Takes the place of a producer whose death cannot be confirmed: the ring's file is retired, and the stream goes on in
  /// a new file of the same path, under the next epoch, exactly behind the last record that any reader can have accepted.
  /// Whatever the old producer stores if it wakes up lies in memory that nobody believes. Readers find
  /// ``RingHalt/retired`` and go on with ``RingConsumer/follow()``.
  ///
  /// A take-over that died half-way is taken over again; beside one that lives, ``RingError/takeoverRunning(path:)``. The usual way is ``attach(path:readers:configurationHash:)``
  /// after a confirmed death; this one copies the ring (about a second per 4 GB).
  /// - Throws: ``RingError``
  public static func takeOver(
    path: String, readers: [String], configurationHash: UInt64, placement: MemoryPlacement = MemoryPlacement()
  ) throws(RingError) -> RingProducer {
    // One at a time, until the new file is in its place: one that was stopped on the way and woke up later would put its own
    // file in the place of its successor's. The kernel lets go of the lock of one that died.
    let lock = try TakeoverLock(ring: path)
    defer { lock.release() }
    let old = try SharedFile.open(
      path: path, access: .readWrite, minimumBytes: RingLayout.headerBytes, populate: true)
    let identity = try streamIdentity(of: old, configurationHash)
    let header = RingHeader(old.base)
    try checkPositions(header, identity.geometry, path: path)
    SharedWord(old.base + RingLayout.retiredOffset).storeReleasing(RingLayout.retiredMark)
    // From here on no reader accepts anything of the old file. What one accepted before is in it and is copied now.
    if bulkhead_membarrier() != 0 { atomicMemoryFence(ordering: .sequentiallyConsistent) }
    let next = path + ".next"
    let file = try SharedFile.create(path: next, byteCount: identity.geometry.fileBytes, placement: placement)
    copy(from: old, to: file, identity)
    guard rename(next, path) == 0 else {
      let code = errno
      unlink(next)
      throw .system(operation: "rename to", path: path, errno: code)
    }
    let producer = try RingProducer(file: file.renamed(to: path), identity: identity, readers: readers)
    // Those who sleep on the old file's word, or looked before the retirement and are about to: for these it has to change.
    // Nobody reads it any more, for the path names another file.
    let word = RingHeader(old.base).published
    word.storeReleasing(word.loadRelaxed() ^ 0x8000_0000)
    _ = bulkhead_futex_wake(old.base + RingLayout.publishedOffset, Int32.max)
    return producer
  }

  /// Copies what is retained, and the words of the header that a successor continues from. The old producer may still
  /// write where it had claimed, and stand in the midst of one more claim: so the copy is checked as a reader checks its own,
  /// by a look at the claim behind it. None of what such a producer writes is copied as visible.
  private static func copy(
    from old: borrowing SharedFile, to file: borrowing SharedFile, _ identity: RingIdentity
  ) {
    let from = RingCells(base: old.base, geometry: identity.geometry)
    let to = RingCells(base: file.base, geometry: identity.geometry)
    let oldHeader = RingHeader(old.base)
    let header = RingHeader(file.base)
    // Before the frontier is looked for: an old producer that wakes up now publishes, then says how far its input was
    // read. Taken the other way round, the new file would claim input as read whose records it does not have.
    for index in 0..<RingLayout.inputPositionCount {
      let offset = RingLayout.inputPositionOffset + 8 * index
      SharedWord(file.base + offset).storeRelaxed(SharedWord(old.base + offset).loadAcquiring())
    }
    let frontier = findFrontier(from: oldHeader.published.loadAcquiring(), cells: from)
    var position = from.oldest(claimed: lastClaim(of: oldHeader, from, frontier: frontier))
    while position < frontier {
      let end = min(from.segmentEnd(position), frontier)
      SharedPayload.copyAcross(
        to: to.cell(position), from: from.cell(position),
        byteCount: Int(end - position) * RingLayout.cellBytes)
      position = end
    }
    // Everything is copied before the claim is read (sync point with `WriteState.claim`).
    atomicMemoryFence(ordering: .acquiring)
    let claimed = lastClaim(of: oldHeader, from, frontier: frontier)
    header.epoch.storeRelaxed(oldHeader.epoch.loadRelaxed())
    header.records.storeRelaxed(oldHeader.records.loadRelaxed())
    header.batches.storeRelaxed(oldHeader.batches.loadRelaxed())
    // From the moment on that the path names this file, it has a living producer.
    header.producerPid.storeRelaxed(UInt64(getpid()))
    header.producerStartTime.storeRelaxed(bulkhead_process_start_time(getpid()))
    header.published.storeRelaxed(frontier)
    header.claimed.storeRelaxed(claimed)
    identity.write(to: file.base, fileBytes: identity.geometry.fileBytes)
  }

  /// How far the old producer has claimed. Never further than leaves the newest record whole, whatever the word says.
  private static func lastClaim(of header: RingHeader, _ cells: RingCells, frontier: UInt64) -> UInt64 {
    let whole = ~(cells.segmentCells - 1)
    let limit = (frontier + cells.cellMask + 1 - cells.segmentCells) & whole
    return max(min(header.claimed.loadAcquiring() & whole, limit), cells.segmentEnd(frontier))
  }

  private mutating func becomeHalted(_ reason: RingHalt) {
    let diversion = Diversion(scratch: scratch.base, 1, ground)
    haltFound = reason
    header = diversion.header
    cells = diversion.cells
    state = WriteState(frontier: 0, claimed: diversion.made.claimed)
  }

  /// Looks whether the header still is as this producer left it, and stops publishing when it is not: another
  /// incarnation took over, or something wrote over it. For once every few milliseconds; the claim of each segment
  /// notices the same of the claimed word by itself.
  public mutating func checkHealth() -> RingHalt? {
    if let halt { return halt }
    guard let found = damage() else { return nil }
    becomeHalted(found)
    return found
  }

  private func damage() -> RingHalt? {
    let claimed = header.claimed.loadAcquiring()
    let retired = cells.retiredWord.loadAcquiring()
    if retired != 0 { return retired == RingLayout.retiredMark ? .retired : .damaged(.retired) }
    if claimed != state.claimed { return .damaged(.claimed) }
    if header.published.loadRelaxed() != state.batchStart { return .damaged(.published) }
    if header.epoch.loadRelaxed() != epoch { return .damaged(.epoch) }
    if let field = identity.changedField(at: file.base) { return .damaged(field) }
    return nil
  }
}

/// Held while a ring is taken over: an empty file beside it, that only the producer's own user can open.
private struct TakeoverLock {
  private let descriptor: Int32

  init(ring: String) throws(RingError) {
    let path = ring + ".takeover"
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw .system(operation: "create", path: path, errno: errno) }
    #if RING_INTERLEAVING
      if Interleaving.model?.ignoresLocks ?? false { return }
    #endif
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      let code = errno
      close(descriptor)
      if code == EWOULDBLOCK { throw .takeoverRunning(path: ring) }
      throw .system(operation: "lock", path: path, errno: code)
    }
  }

  func release() { close(descriptor) }
}

/// Where a producer goes on writing that has lost its ring: memory of its own, so that its loop may run on to where it
/// looks at ``RingProducer/halt``. All values, so that the producer itself can stay in registers.
@frozen
@usableFromInline
struct Diversion {
  @usableFromInline let halt: RingHalt
  @usableFromInline let header: RingHeader
  @usableFromInline let cells: RingCells
  /// Room for the record that was asked for.
  @usableFromInline let made: WriteState.Ready

  /// - Parameter ground: the ring's, whose claimed word is not the producer's last claim. From here on the scratch's.
  @usableFromInline
  init(scratch: UnsafeMutableRawPointer, _ count: UInt64, _ ground: UnsafeMutablePointer<Ground>) {
    let lost = ground.pointee.cells
    let segmentCells = lost.segmentCells
    halt = lost.retiredWord.loadAcquiring() == RingLayout.retiredMark ? .retired : .damaged(.claimed)
    header = RingHeader(scratch)
    cells = RingCells(
      base: scratch,
      geometry: RingGeometry(uncheckedCellCount: 4 * Int(segmentCells), segmentCells: Int(segmentCells)))
    cells.claimedWord.storeRelaxed(segmentCells)
    ground.pointee = Ground(cells: cells, gate: nil, isScratch: true)
    made = WriteState.madeReady(
      count, position: 0, batchStart: 0, claimed: segmentCells, batchStamp: 0, ground)
  }
}
