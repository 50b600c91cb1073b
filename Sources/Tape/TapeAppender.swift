import Failpoints
import Glibc

/// How long segments are kept.
public struct TapeRetention: Equatable, Sendable {
  /// Bytes of all segments together; 0: as many as there are.
  public var bytes: UInt64
  /// Segments; 0: as many as there are.
  public var segments: UInt64

  public init(bytes: UInt64, segments: UInt64) {
    self.bytes = bytes
    self.segments = segments
  }
}

/// Brings chunks to the disk, in their order. What failed can be tried again with the same chunk: it goes on where it was.
public struct TapeAppender<Files: TapeFiles>: ~Copyable {
  public let files: Files
  private let segmentBytes: UInt64
  private let retention: TapeRetention
  private var file: Int32 = -1
  private var name = ""
  private var ordinal: UInt64 = 0
  /// Where the tape ends that is in the files, and the part of it that is on the disk for certain.
  public private(set) var written: TapeTail?
  public private(set) var durable: TapeTail?
  /// Bytes in the open segment that `durable` does not cover.
  public private(set) var unsynchronizedBytes: UInt64 = 0
  /// The segments on disk that are closed: ordinal and size.
  private var closed: [(ordinal: UInt64, bytes: UInt64)]
  /// Segments that retention has removed.
  public private(set) var removed: UInt64 = 0

  /// - Parameters:
  ///   - tail: where the tape on disk ends; nil for none. All of it counts as durable: see ``TapeRecovery``.
  ///   - closed: the segments before the open one.
  public init(
    files: Files, segmentBytes: UInt64, retention: TapeRetention, tail: TapeTail?,
    closed: [(ordinal: UInt64, bytes: UInt64)]
  ) {
    self.files = files
    self.segmentBytes = segmentBytes
    self.retention = retention
    self.closed = closed
    written = tail
    durable = tail
  }

  deinit { if file >= 0 { files.close(file) } }

  /// Bytes of all segments.
  public var tapeBytes: UInt64 {
    closed.reduce(0) { $0 &+ $1.bytes } &+ (file >= 0 ? written?.offset ?? 0 : 0)
  }

  /// Writes a chunk. When it ends its segment, that is on the disk afterwards.
  public mutating func append(_ chunk: TapeChunk) throws(TapeFileError) {
    if chunk.beginsSegment, chunk.done == 0 {
      try make(chunk)
      chunk.done = TapeLayout.headerBytes
    }
    if file < 0 || ordinal != chunk.ordinal { try reopen(chunk.ordinal) }
    while chunk.done < chunk.count {
      failpoint(51)  // about to write records
      let rest = UnsafeRawBufferPointer(rebasing: chunk.bytes.dropFirst(chunk.done))
      let count = try files.write(file, name, rest, at: chunk.offset &+ UInt64(chunk.done))
      chunk.done += count
      unsynchronizedBytes &+= UInt64(count)
    }
    failpoint(52)  // written, and nobody knows
    written = chunk.tail
    if chunk.endsSegment {
      try synchronize()
      failpoint(56)  // a segment is whole and not closed
      // What was reserved and not used goes back.
      try? files.truncate(file, name, to: written?.offset ?? segmentBytes)
      files.protect(file)
      files.close(file)
      file = -1
      closed.append((chunk.ordinal, written?.offset ?? 0))
      applyRetention()
    }
  }

  /// Brings what is written to the disk. After an error that is ``isGroundLost`` it is not known what is there.
  public mutating func synchronize() throws(TapeFileError) {
    guard file >= 0, durable != written else { return }
    guard files.isPresent(file) else {
      isGroundLost = true
      isRemoved = true
      throw TapeFileError(operation: "find", name: "\(files.directory)/\(name)", code: ENOENT)
    }
    failpoint(53)  // about to synchronise
    do {
      try files.synchronize(file, name)
    } catch {
      // The kernel reports it once and forgets which pages it was: nothing since the last success can be relied upon.
      isGroundLost = true
      throw error
    }
    failpoint(54)  // durable, and nobody knows
    durable = written
    unsynchronizedBytes = 0
  }

  /// What lies behind ``durable`` cannot be relied upon: it has to be written again, after ``cutBack()``.
  public private(set) var isGroundLost = false
  /// The open segment was removed by somebody.
  public private(set) var isRemoved = false

  /// Takes back what is not durable.
  /// - Returns: where to go on. A sealed tail when the open segment is gone: another follows.
  public mutating func cutBack() throws(TapeFileError) -> TapeTail? {
    guard isGroundLost else { return durable }
    if isRemoved {
      if file >= 0 { files.close(file) }
      file = -1
      durable?.isSealed = true
    } else if let durable, file >= 0, durable.ordinal == ordinal {
      try files.truncate(file, name, to: durable.offset)
    }
    written = durable
    unsynchronizedBytes = 0
    isGroundLost = false
    isRemoved = false
    return durable
  }

  /// Makes the file of a new segment: a name that it gets only when its header is on the disk.
  private mutating func make(_ chunk: TapeChunk) throws(TapeFileError) {
    if file >= 0 { files.close(file) }
    file = -1
    let final = TapeLayout.fileName(ordinal: chunk.ordinal)
    let temporary = "next.segment"
    let new = try files.create(temporary)
    var isKept = false
    defer { if !isKept { files.close(new) } }
    do {
      try files.reserve(new, temporary, bytes: segmentBytes)
      var done = 0
      while done < TapeLayout.headerBytes {
        done += try files.write(
          new, temporary, UnsafeRawBufferPointer(rebasing: chunk.bytes[done..<TapeLayout.headerBytes]),
          at: UInt64(done))
      }
      try files.synchronize(new, temporary)
      failpoint(57)  // a segment is made and has no name
      try files.rename(temporary, to: final)
      failpoint(58)  // it has its name, the directory is not synchronised
    } catch {
      try? files.remove(temporary)
      throw error
    }
    isKept = true
    file = new
    name = final
    ordinal = chunk.ordinal
    try files.synchronizeDirectory()
    applyRetention()
  }

  private mutating func reopen(_ ordinal: UInt64) throws(TapeFileError) {
    if file >= 0 { files.close(file) }
    file = -1
    name = TapeLayout.fileName(ordinal: ordinal)
    file = try files.openForWriting(name)
    self.ordinal = ordinal
  }

  /// Removes the oldest closed segments until the rest is allowed. One that cannot be removed stays, and is tried again.
  private mutating func applyRetention() {
    while let oldest = closed.first {
      let count = UInt64(closed.count) + (file >= 0 ? 1 : 0)
      let bytes = closed.reduce(0) { $0 &+ $1.bytes } &+ (file >= 0 ? segmentBytes : 0)
      let isTooMuch =
        (retention.bytes > 0 && bytes > retention.bytes)
        || (retention.segments > 0 && count > retention.segments)
      guard isTooMuch else { return }
      do throws(TapeFileError) { try files.remove(TapeLayout.fileName(ordinal: oldest.ordinal)) } catch {
        guard error.code == ENOENT else { return }
      }
      failpoint(59)  // retention has removed a segment
      closed.removeFirst()
      removed &+= 1
    }
  }
}
