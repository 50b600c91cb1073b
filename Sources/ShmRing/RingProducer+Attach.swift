import CLinux
import Failpoints
import Glibc
import Synchronization

extension RingProducer {
  /// Makes a new ring file and the cursor page of each reader.
  /// - Parameters:
  ///   - kind: an overwriting or a gated stream; a table is made by ``ConflatedTable``.
  ///   - readers: names of the readers. Those of a gated ring count from the beginning, there at most ``RingGate/readersLimit``.
  public static func create(
    path: String, name: String, kind: RingKind = .overwritingStream, geometry: RingGeometry,
    readers: [String],
    configurationHash: UInt64, placement: MemoryPlacement = MemoryPlacement()
  ) throws(RingError) {
    precondition(kind != .table, "a table is made by ConflatedTable.create")
    let file = try SharedFile.create(path: path, byteCount: geometry.fileBytes, placement: placement)
    for reader in readers { try CursorPage.create(path: CursorPage.path(ring: path, reader: reader)) }
    if kind == .gatedStream { try RingGate.create(path: RingGate.path(ring: path), readers: readers) }
    // An empty ring's first segment counts as claimed, as after every attach.
    SharedWord(file.base + RingLayout.claimedOffset).storeRelaxed(UInt64(geometry.segmentCells))
    let identity = RingIdentity(
      kind: kind, geometry: geometry, configurationHash: configurationHash, name: name)
    identity.write(to: file.base, fileBytes: geometry.fileBytes)
  }

  /// Attaches as the producer of an existing ring: raises the epoch and continues exactly behind the last record
  /// that is visible. What a predecessor had half-written is overwritten.
  /// - Parameters:
  ///   - readers: names of the readers whose pages the producer watches for sleepers; each page must exist. On a gated
  ///     ring the readers of its gate page are meant, whatever is given.
  ///   - configurationHash: must equal the ring's.
  /// - Throws: ``RingError``; ``RingError/producerAlive(path:pid:)`` when another living process produces.
  public static func attach(
    path: String, readers: [String], configurationHash: UInt64
  ) throws(RingError) -> RingProducer {
    let file = try SharedFile.open(
      path: path, access: .readWrite, minimumBytes: RingLayout.headerBytes, populate: true)
    return try attach(file: file, readers: readers, configurationHash: configurationHash, confirmedDead: 0)
  }

  /// - Parameter confirmedDead: a process whose death was confirmed although the system still shows it; 0: none.
  static func attach(
    file: consuming SharedFile, readers: [String], configurationHash: UInt64, confirmedDead: Int32
  ) throws(RingError) -> RingProducer {
    let path = file.path
    let identity = try streamIdentity(of: file, configurationHash)
    let header = RingHeader(file.base)
    try checkPositions(header, identity.geometry, path: path)
    let retired = SharedWord(file.base + RingLayout.retiredOffset).loadAcquiring()
    guard retired == 0 else {
      throw retired == RingLayout.retiredMark
        ? .retired(path: path) : .header(path: path, field: "retired", found: retired, expected: "0")
    }
    let pid = Int32(truncatingIfNeeded: header.producerPid.loadRelaxed())
    if pid > 0, pid != getpid(), pid != confirmedDead {
      // The start time tells a living producer from a stranger who got its number (FM-609).
      let start = bulkhead_process_start_time(pid)
      if start != 0, start == header.producerStartTime.loadRelaxed(), kill(pid, 0) == 0 {
        throw .producerAlive(path: path, pid: pid)
      }
    }
    return try RingProducer(file: file, identity: identity, readers: readers)
  }

  /// A producer of no ring: what it commits lies in memory of its own, which nobody reads.
  public static func detached(maximumRecordBytes: Int) throws(RingError) -> RingProducer {
    var cells = 4
    while cells / 4 * RingLayout.cellBytes < maximumRecordBytes + RingLayout.stampBytes { cells *= 2 }
    let geometry = try RingGeometry(cellCount: cells, maximumRecordBytes: maximumRecordBytes)
    let file = try SharedFile.anonymous(byteCount: geometry.fileBytes)
    SharedWord(file.base + RingLayout.claimedOffset).storeRelaxed(UInt64(geometry.segmentCells))
    let identity = RingIdentity(
      kind: .overwritingStream, geometry: geometry, configurationHash: 0, name: "detached")
    identity.write(to: file.base, fileBytes: geometry.fileBytes)
    return try RingProducer(file: file, identity: identity, readers: [])
  }

  static func streamIdentity(
    of file: borrowing SharedFile, _ configurationHash: UInt64
  ) throws(RingError) -> RingIdentity {
    let identity = try RingIdentity.read(from: file, expectedConfiguration: configurationHash)
    guard identity.kind != .table else {
      throw .header(
        path: file.path, field: "kind", found: UInt64(identity.kind.rawValue), expected: "1 or 2 (a stream)")
    }
    return identity
  }

  /// Refuses positions that no producer can have left: they are what a successor computes with.
  static func checkPositions(
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

  /// Continues behind the last visible record of `file`, under the next epoch.
  init(file: consuming SharedFile, identity: RingIdentity, readers: [String]) throws(RingError) {
    let path = file.path
    var gateFile: RingGate?
    var names = readers
    if identity.kind == .gatedStream {
      let page = try RingGate.attach(ring: path, access: .readOnly)
      names = page.readers
      gateFile = consume page
    }
    let header = RingHeader(file.base)
    let geometry = identity.geometry
    let cells = RingCells(base: file.base, geometry: geometry)
    // Lets a parking reader put the barrier on its own side (see RingConsumer.prepareToPark). Before anything is
    // published here.
    _ = bulkhead_membarrier_register()
    // The epoch first, so that whoever retires the file behind this raises it beyond this one.
    let raised = header.epoch.loadRelaxed() &+ 1
    header.epoch.storeReleasing(raised)
    failpoint(31)  // the epoch is raised, the producer is the old one
    let published = header.published.loadAcquiring()
    let frontier = Self.findFrontier(from: published, cells: cells)
    let claimed = max(cells.segmentEnd(frontier), header.claimed.loadRelaxed())
    // This process may itself have been stopped here, given up for dead, and replaced.
    guard cells.retiredWord.loadAcquiring() == 0 else { throw .retired(path: path) }
    let pages = try Self.cursorPages(ring: path, readers: names)
    let sleepers = UnsafeMutablePointer<SharedWord>.allocate(capacity: max(1, names.count))
    for index in names.indices { sleepers[index] = pages[index].sleeping }
    scratch = try SharedFile.anonymous(
      byteCount: RingLayout.headerBytes + 4 * geometry.segmentCells * RingLayout.cellBytes)
    epoch = raised
    self.identity = identity
    self.header = header
    self.cells = cells
    maximumRecordBytes = geometry.maximumRecordBytes
    state = WriteState(frontier: frontier, claimed: claimed)
    self.sleepers = sleepers
    wokenSleeps = UnsafeMutablePointer<UInt64>.allocate(capacity: max(1, names.count))
    wokenSleeps.initialize(repeating: 0, count: max(1, names.count))
    sleeperCount = names.count
    readerFiles = pages
    if let page = gateFile {
      let oldest = cells.oldest(claimed: claimed)
      let view = UnsafeMutablePointer<GateView>.allocate(capacity: 1)
      view.initialize(to: GateView(page, pages, oldest: oldest))
      gate = view
      self.gateFile = consume page
    } else {
      gate = nil
      self.gateFile = nil
    }
    ground = .allocate(capacity: 1)
    ground.initialize(to: Ground(cells: cells, gate: gate, isScratch: false))
    // What a predecessor left half-written is gone after a lap, and what lay behind its padding after another.
    state.lookUntil = cells.twoLapsBehind(max(frontier, claimed))
    state.records = header.records.loadRelaxed()
    state.batches = header.batches.loadRelaxed()
    header.producerPid.storeRelaxed(UInt64(getpid()))
    header.producerStartTime.storeRelaxed(bulkhead_process_start_time(getpid()))
    header.claimed.storeReleasing(claimed)
    atomicMemoryFence(ordering: .releasing)
    failpoint(32)  // the producer is new, the frontier is not clear
    cells.stamp(frontier).storeReleasing(0)
    failpoint(33)  // the frontier is clear, the position may be behind it
    // Not the same value again: a take-over may have changed the word meanwhile, for those who are about to sleep on it.
    if frontier != published { header.published.storeReleasing(frontier) }
    self.file = file
    // A predecessor that died between a stamp and the wake-ups left readers asleep over its last batch.
    wakeSleepers()
  }

  /// The cursor pages of those readers, in that order, mapped read-only.
  static func cursorPages(
    ring path: String, readers: [String]
  ) throws(RingError) -> UnsafeMutablePointer<CursorPage> {
    let pages = UnsafeMutablePointer<CursorPage>.allocate(capacity: max(1, readers.count))
    for (index, reader) in readers.enumerated() {
      do throws(RingError) {
        let page = try CursorPage.attach(path: CursorPage.path(ring: path, reader: reader), access: .readOnly)
        (pages + index).initialize(to: page)
      } catch {
        for made in 0..<index { (pages + made).deinitialize(count: 1) }
        pages.deallocate()
        throw error
      }
    }
    return pages
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
}

extension GateView {
  /// The readers of a gate page, in its order; `pages` are their cursor pages.
  init(_ page: borrowing RingGate, _ pages: UnsafeMutablePointer<CursorPage>, oldest: UInt64) {
    var readers: [Reader] = []
    for slot in page.readers.indices {
      let detached = page.detachedGeneration(slot: slot)
      readers.append(
        Reader(
          detached: detached, generation: pages[slot].generation, position: pages[slot].position,
          knownDetached: detached.loadRelaxed(), believed: oldest))
    }
    self.init(readers: readers)
  }
}
