import CLinux
import Glibc

/// A read-only view of a stream ring for tools: what its header says, who reads it, and what is in it. It has no
/// cursor page, so neither the producer nor another reader can tell that it is there, and nobody waits for it. Works
/// the same on the ring of a dead set.
///
/// ```swift
/// var ring = try RingObserver.attach(path: "/dev/shm/bulkhead/demo/book.ring")
/// let words = try ring.words()                                  // positions, producer, counts
/// for reader in RingObserver.readers(ofRing: ring.path) { … }   // names; see CursorObserver
/// ring.moveToOldest()
/// while case .record(let kind, let bytes) = ring.poll(into: buffer) { … }
/// ```
public struct RingObserver: ~Copyable {
  /// What never changes: kind, geometry, configuration, name.
  public let identity: RingIdentity
  public let path: String
  /// Where the record that ``poll(into:)`` returned last starts, in cells.
  public private(set) var recordPosition: UInt64 = 0
  private let fileNumber: UInt64
  /// A reader like any other, but for its cursor page, which lies in memory of this process alone: so the validated
  /// copy is the readers' own.
  private var reader: RingConsumer

  /// Maps the ring read-only; nothing of it is touched that is not looked at.
  /// - Throws: ``RingError``: a file of another layout is refused by both versions, a damaged header by its field.
  public static func attach(path: String) throws(RingError) -> RingObserver {
    let file = try SharedFile.open(path: path, access: .readOnly, minimumBytes: RingLayout.headerBytes)
    let identity = try RingIdentity.read(from: file, expectedConfiguration: nil)
    guard identity.kind != .table else {
      throw .header(
        path: path, field: "kind", found: UInt64(identity.kind.rawValue), expected: "1 or 2 (a stream)")
    }
    let cursor = CursorPage(file: try SharedFile.anonymous(byteCount: CursorPage.bytes))
    return RingObserver(
      identity: identity, path: path, fileNumber: Self.fileNumber(path),
      reader: RingConsumer(file: file, cursor: cursor, identity: identity))
  }

  private init(
    identity: RingIdentity, path: String, fileNumber: UInt64, reader: consuming RingConsumer
  ) {
    self.identity = identity
    self.path = path
    self.fileNumber = fileNumber
    self.reader = reader
  }

  // MARK: The header

  /// The words of the header that change, as they were within one short moment.
  /// - Throws: ``RingError/header(path:field:found:expected:)`` when the positions contradict each other, which no
  ///   producer ever lets them do.
  public func words() throws(RingError) -> RingWords {
    let header = reader.header
    let cells = UInt64(identity.geometry.cellCount)
    var published: UInt64 = 0
    var claimed: UInt64 = 0
    // The producer goes on between two loads; that it moves the pair apart each time is not to be expected.
    for _ in 0..<64 {
      published = header.published.loadAcquiring()
      claimed = header.claimed.loadAcquiring()
      guard claimed < published || claimed &- published > cells else {
        return RingWords(
          published: published, claimed: claimed, cells: cells, epoch: header.epoch.loadAcquiring(),
          producerPid: Int32(truncatingIfNeeded: header.producerPid.loadRelaxed()),
          producerStartTime: header.producerStartTime.loadRelaxed(), records: header.records.loadRelaxed(),
          batches: header.batches.loadRelaxed())
      }
    }
    throw .header(
      path: path, field: "claimed position", found: claimed,
      expected: "\(published) (the published position) to \(published &+ cells)")
  }

  /// The published word alone, unchecked: for those who look often and need no more than that it moves.
  public var publishedPosition: UInt64 { reader.header.published.loadAcquiring() }

  /// A word of the producer's own beside the ring (``RingProducer/setInputPosition(_:_:)``); 0 where it stored none.
  /// - Parameter index: 0...3.
  public func producerWord(_ index: Int) -> UInt64 { reader.producerWord(index) }

  /// The end of what is visible. A dead producer may have left the published word behind it; a batch shows
  /// with its first stamp, and the word follows.
  public func frontier() -> UInt64 {
    RingProducer.findFrontier(from: reader.header.published.loadAcquiring(), cells: reader.cells)
  }

  /// False once the path names another file: the set was made anew, or removed.
  public var isCurrentFile: Bool { Self.fileNumber(path) == fileNumber && fileNumber != 0 }

  /// Which file the path names now; 0 when it names none. Another number: another set's.
  public static func fileNumber(_ path: String) -> UInt64 {
    var status = stat()
    return stat(path, &status) == 0 ? UInt64(status.st_ino) : 0
  }

  /// The readers that have a cursor page beside the ring at `path`, sorted by name.
  public static func readers(ofRing path: String) -> [String] {
    let slash = path.lastIndex(of: "/")
    let directory = slash.map { String(path[..<$0]) } ?? "."
    let probe = CursorPage.path(
      ring: slash.map { String(path[path.index(after: $0)...]) } ?? path, reader: "")
    // "book..cursor": the name stands between the two dots.
    let prefix = probe.dropLast(".cursor".count)
    guard let handle = opendir(directory) else { return [] }
    defer { closedir(handle) }
    var names: [String] = []
    while let entry = readdir(handle) {
      let file = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      guard file.hasPrefix(prefix), file.hasSuffix(".cursor") else { continue }
      let name = file.dropFirst(prefix.count).dropLast(".cursor".count)
      if !name.isEmpty, !name.contains(".") { names.append(String(name)) }
    }
    return names.sorted()
  }

  // MARK: The records

  /// Longest payload that ``poll(into:)`` can deliver.
  public var maximumRecordBytes: Int { reader.maximumRecordBytes }
  /// Bytes of a buffer for ``poll(into:)``.
  public var bufferBytes: Int { reader.maximumRecordBytes + 64 }
  /// Next position that will be read.
  public var nextPosition: UInt64 { reader.nextPosition }
  /// The oldest position that is retained, a record's start.
  public var oldestRetained: UInt64 { reader.oldestRetained }
  /// The producer's incarnation.
  public var producerEpoch: UInt64 { reader.producerEpoch }

  /// Copies the next record, checked before and after as ``RingConsumer/poll(into:)`` does.
  /// - Parameter buffer: at least ``bufferBytes`` writable bytes.
  public mutating func poll(into buffer: UnsafeMutableRawPointer) -> RingPoll {
    let found = reader.poll(into: buffer)
    if case .record(_, let bytes) = found {
      recordPosition = reader.state.position &- UInt64(Stamp.cells(length: bytes))
    }
    return found
  }

  /// Reads on at the oldest retained record.
  public mutating func moveToOldest() { reader.rewindToOldest() }

  /// Reads on behind the newest visible record.
  public mutating func moveToNewest() { reader.state.position = frontier() }

  /// Reads on at a position where a reader of this ring once stood. Behind the retention, the next poll declares the exact
  /// loss.
  public mutating func seek(to position: UInt64) { reader.state.position = position }

  /// Reads on at the first record that starts at or behind `target`.
  /// - Returns: where that is.
  public mutating func move(to target: UInt64) -> RingMove {
    let oldest = oldestRetained
    let frontier = frontier()
    guard target <= frontier else { return .beyondNewest(frontier) }
    guard target >= oldest else {
      reader.state.position = min(oldest, frontier)
      return .lapped(from: target, to: reader.state.position)
    }
    // A segment's start is a record's start; from there on the records themselves say where the next one is.
    reader.state.position = target & ~(reader.cells.segmentCells - 1)
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: bufferBytes, alignment: 64)
    defer { buffer.deallocate() }
    while true {
      switch poll(into: buffer) {
      case .record:
        // Told by the record and not by the end of the one before: padding may lie between the two.
        guard recordPosition >= target else { continue }
        reader.state.position = recordPosition
        return .at(recordPosition)
      case .lapped(_, let to): return .lapped(from: target, to: to)
      case .empty, .halted: return .at(reader.state.position)
      }
    }
  }
}

/// Where ``RingObserver/move(to:)`` came to.
public enum RingMove: Equatable, Sendable {
  /// At this record.
  case at(UInt64)
  /// Cells `from ..< to` are retained no more; at `to`.
  case lapped(from: UInt64, to: UInt64)
  /// Nowhere: the position lies behind the newest record, which ends here.
  case beyondNewest(UInt64)
}

/// What a ring's header says at one moment. Positions are in cells.
public struct RingWords: Sendable, Equatable {
  public let published: UInt64
  public let claimed: UInt64
  /// Cells of the ring.
  public let cells: UInt64
  public let epoch: UInt64
  /// 0 before the first producer came.
  public let producerPid: Int32
  public let producerStartTime: UInt64
  public let records: UInt64
  public let batches: UInt64

  /// The oldest position that is retained.
  public var oldest: UInt64 { min(claimed > cells ? claimed - cells : 0, published) }
  /// How far behind the published position a reader is whose record is overwritten next: the ring, less what the
  /// producer has claimed ahead.
  public var retention: UInt64 { cells - min(cells, claimed &- published) }

  public var isProducerAlive: Bool {
    RingObserver.isAlive(pid: producerPid, startTime: producerStartTime)
  }
}

extension RingObserver {
  /// Whether the process still runs that had this number and started at that time (clock ticks since boot): a
  /// stranger who got the number later did not.
  static func isAlive(pid: Int32, startTime: UInt64) -> Bool {
    pid > 0 && startTime != 0 && bulkhead_process_start_time(pid) == startTime
  }
}

/// A read-only view of a reader's cursor page.
public struct CursorObserver: ~Copyable {
  private let page: CursorPage

  /// - Parameter ring: path of the ring file.
  public static func attach(ring: String, reader: String) throws(RingError) -> CursorObserver {
    CursorObserver(
      page: try CursorPage.attach(path: CursorPage.path(ring: ring, reader: reader), access: .readOnly))
  }

  private init(page: consuming CursorPage) { self.page = page }

  /// What the page says. The reader may write anything there; nothing is checked.
  public var words: CursorWords {
    CursorWords(
      readerPid: page.readerPid, position: page.position.loadAcquiring(), laps: page.lapCount,
      lostCells: page.lostCellCount, highWater: page.highWaterCells,
      isSleeping: page.sleeping.loadRelaxed() != 0)
  }
}

/// What a cursor page says at one moment.
public struct CursorWords: Sendable, Equatable {
  /// 0 before the first reader of this name came.
  public let readerPid: Int32
  /// In cells, as the reader last said.
  public let position: UInt64
  public let laps: UInt64
  public let lostCells: UInt64
  /// The most cells that the reader was behind when it reported, rounded up to the end of the producer's segment.
  public let highWater: UInt64
  public let isSleeping: Bool
}

extension SharedFile {
  /// Memory of this process alone in the place of a file.
  static func anonymous(byteCount: Int) throws(RingError) -> SharedFile {
    let memory = mmap(nil, byteCount, PROT_READ | PROT_WRITE, Int32(MAP_PRIVATE | MAP_ANONYMOUS), -1, 0)
    guard let memory, memory != MAP_FAILED else {
      throw .system(operation: "map", path: "anonymous memory", errno: errno)
    }
    #if RING_INTERLEAVING
      Interleaving.model?.mapped(memory, byteCount: byteCount, path: "anonymous memory", fileNumber: 0)
    #endif
    return SharedFile(base: memory, byteCount: byteCount, path: "anonymous memory")
  }
}
