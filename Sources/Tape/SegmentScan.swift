import CTapeHash
import StageRecords

private typealias MergedKind = MergedRecord.Kind

/// A frame on a tape.
public struct TapeRecord {
  /// Kind of the merged ring's record, or one of ``TapeLayout/Kind``.
  public let kind: UInt8
  /// Valid until the next one is read.
  public let payload: UnsafeRawBufferPointer
  public let place: TapePlace
  /// Where the ring's reader stood behind it, in cells.
  public let ringPosition: UInt64
}

/// Reads one segment from beginning to end, checking everything.
final class SegmentScan<Files: TapeFiles> {
  private let files: Files
  private let file: Int32
  private let name: String
  let header: SegmentHeader
  /// Bytes of the file when it was opened; grows with a segment that is being written.
  private(set) var fileBytes: UInt64
  /// Whether a segment without a seal is no damage here.
  private let isNewest: Bool
  private let buffer: UnsafeMutableRawBufferPointer
  /// What the buffer holds: `held` bytes of the file from `bufferStart` on.
  private var bufferStart: UInt64 = 0
  private var held = 0
  private(set) var offset = UInt64(TapeLayout.headerBytes)
  private(set) var chain: UInt64
  private(set) var frames: UInt64 = 0
  private(set) var nextSequence: UInt64
  private(set) var ringPosition: UInt64
  private(set) var session: TapeSession
  /// Set once `next()` has returned nil.
  private(set) var end: SegmentEnd?
  /// The chain is not known behind damage: the next whole frame tells it.
  private var isChainKnown = true
  private var isCountKnown = true

  static var bufferBytes: Int { 1 << 20 }

  /// Opens the segment and checks its header.
  init(files: Files, ordinal: UInt64, isNewest: Bool) throws(TapeDamage) {
    self.files = files
    self.isNewest = isNewest
    name = TapeLayout.fileName(ordinal: ordinal)
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.bufferBytes, alignment: 4096)
    let opened: Int32
    do throws(TapeFileError) { opened = try files.openForReading(name) } catch {
      memory.deallocate()
      throw .unreadable(ordinal: ordinal, error)
    }
    do throws(TapeDamage) {
      fileBytes = try Self.size(files, opened, name, ordinal)
      held = try Self.fill(files, opened, name, memory, 0, ordinal)
      header = try Self.header(memory, held, ordinal)
    } catch {
      files.close(opened)
      memory.deallocate()
      throw error
    }
    file = opened
    buffer = memory
    chain = buffer.baseAddress.map { SegmentHeader.startChain($0) } ?? 0
    nextSequence = header.firstSequence
    ringPosition = header.ringPosition
    session = header.session
  }

  deinit {
    files.close(file)
    buffer.deallocate()
  }

  private static func size(
    _ files: Files, _ file: Int32, _ name: String, _ ordinal: UInt64
  ) throws(TapeDamage) -> UInt64 {
    do throws(TapeFileError) { return try files.size(file, name) } catch {
      throw .unreadable(ordinal: ordinal, error)
    }
  }

  private static func fill(
    _ files: Files, _ file: Int32, _ name: String, _ buffer: UnsafeMutableRawBufferPointer, _ offset: UInt64,
    _ ordinal: UInt64
  ) throws(TapeDamage) -> Int {
    do throws(TapeFileError) { return try files.read(file, name, into: buffer, at: offset) } catch {
      throw .unreadable(ordinal: ordinal, error)
    }
  }

  private static func header(
    _ buffer: UnsafeMutableRawBufferPointer, _ held: Int, _ ordinal: UInt64
  ) throws(TapeDamage) -> SegmentHeader {
    guard held >= TapeLayout.headerBytes, let base = buffer.baseAddress else {
      throw .header(ordinal: ordinal, .tooShort(bytes: UInt64(held)))
    }
    let found: SegmentHeader
    do throws(HeaderDamage) { found = try SegmentHeader(from: base) } catch {
      throw .header(ordinal: ordinal, error)
    }
    guard found.ordinal == ordinal else { throw .misnamed(ordinal: ordinal, found: found.ordinal) }
    return found
  }

  /// Where the tape ends behind what was read.
  var tail: TapeTail {
    var isSealed = false
    if case .sealed = end { isSealed = true }
    return TapeTail(
      ordinal: header.ordinal, offset: offset, chain: chain, frames: frames, run: header.run,
      ringPosition: ringPosition, nextSequence: nextSequence, session: session, isSealed: isSealed)
  }

  /// The bytes from `offset` on, as many as are there up to `count`.
  private func bytes(at offset: UInt64, count: Int) throws(TapeDamage) -> UnsafeRawBufferPointer {
    let wanted = min(count, Int(clamping: fileBytes > offset ? fileBytes - offset : 0))
    if offset < bufferStart || offset &+ UInt64(wanted) > bufferStart &+ UInt64(held) {
      held = try Self.fill(files, file, name, buffer, offset, header.ordinal)
      bufferStart = offset
    }
    let start = Int(offset - bufferStart)
    let end = min(held, start + wanted)
    return UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[start..<max(start, end)])
  }

  private enum Look {
    /// The frame's bytes, checked; only its chain is not.
    case frame(UnsafeRawBufferPointer)
    case nothing
    case broken
  }

  private func look(at offset: UInt64) throws(TapeDamage) -> Look {
    let most = TapeLayout.frameBytes(payload: TapeLayout.payloadBytesLimit)
    var here = try bytes(at: offset, count: TapeLayout.frameHeaderBytes)
    if here.isEmpty { return .nothing }
    guard here.count == TapeLayout.frameHeaderBytes, let head = here.baseAddress else { return .broken }
    let word = head.loadUnaligned(fromByteOffset: 12, as: UInt32.self)
    let length = TapeLayout.frameBytes(payload: Int(word & 0xFFFF))
    guard word >> 24 == 0, TapeLayout.isKnown(kind: UInt8(truncatingIfNeeded: word >> 16)), length <= most
    else {
      return .broken
    }
    here = try bytes(at: offset, count: length)
    guard here.count == length, let base = here.baseAddress,
      base.loadUnaligned(fromByteOffset: 8, as: UInt32.self) == TapeLayout.checksum(base, bytes: length)
    else { return .broken }
    return .frame(here)
  }

  /// The next frame; nil at the end, which ``end`` tells.
  /// - Throws: the damage that lies there. The next call goes on behind it, as far as anything is whole there.
  func next() throws(TapeDamage) -> TapeRecord? {
    guard end == nil else { return nil }
    let here = TapePlace(ordinal: header.ordinal, offset: offset)
    switch try look(at: offset) {
    case .nothing:
      end = .open
      if !isNewest { throw .truncated(here, after: nextSequence) }
      return nil
    case .broken:
      if let intact = try nextIntact(from: offset &+ 8) {
        offset = intact
        isChainKnown = false
        isCountKnown = false
        throw .changed(here, after: nextSequence, intactFrom: intact)
      }
      let rest = fileBytes &- offset
      end = .torn(bytes: rest)
      if !isNewest { throw .changed(here, after: nextSequence, intactFrom: nil) }
      return nil
    case .frame(let frame): return try take(frame, here)
    }
  }

  private func take(_ frame: UnsafeRawBufferPointer, _ here: TapePlace) throws(TapeDamage) -> TapeRecord? {
    guard let base = frame.baseAddress else { return nil }
    let stored = base.loadUnaligned(as: UInt64.self)
    let fits = stored == TapeLayout.chain(after: chain, base, bytes: frame.count)
    if isChainKnown, !fits {
      // Thrown once; the record itself comes with the next call.
      isChainKnown = false
      isCountKnown = false
      throw .outOfChain(here, after: nextSequence)
    }
    isChainKnown = true
    chain = stored
    let kind = base.load(fromByteOffset: 14, as: UInt8.self)
    let length = Int(base.loadUnaligned(fromByteOffset: 12, as: UInt16.self))
    let payload = UnsafeRawBufferPointer(
      rebasing: frame[TapeLayout.frameHeaderBytes..<TapeLayout.frameHeaderBytes + length])
    offset &+= UInt64(frame.count)
    ringPosition = base.loadUnaligned(fromByteOffset: 16, as: UInt64.self)
    if kind == TapeLayout.Kind.seal {
      let behind = TapePlace(ordinal: header.ordinal, offset: offset)
      let seal =
        TapeSeal(payload: payload) ?? TapeSeal(frames: 0, nextSequence: 0, reason: .ended, sealedAt: 0)
      end = .sealed(seal)
      frames &+= 1
      if isCountKnown, seal.frames != frames &- 1 || seal.nextSequence != nextSequence {
        throw .miscounted(here)
      }
      if fileBytes > offset { throw .behindSeal(behind) }
      return nil
    }
    frames &+= 1
    nextSequence = TapeEncoder.numberAfter(kind, payload) ?? nextSequence
    if kind == MergedKind.sessionStart, length >= 18 {
      session = TapeSession(from: base + TapeLayout.frameHeaderBytes + 8)
    }
    return TapeRecord(kind: kind, payload: payload, place: here, ringPosition: ringPosition)
  }

  /// The first place from `start` on at which a whole frame lies.
  private func nextIntact(from start: UInt64) throws(TapeDamage) -> UInt64? {
    var place = start
    while place < fileBytes {
      if case .frame = try look(at: place) { return place }
      place &+= 8
    }
    return nil
  }

  /// For a segment that is being written: takes in what has come since. True when there may be more to read.
  func refresh() throws(TapeDamage) -> Bool {
    let size = try Self.size(files, file, name, header.ordinal)
    switch end {
    case .open where size > fileBytes, .torn where size >= fileBytes:
      fileBytes = size
      held = 0
      end = nil
      return true
    default: return false
    }
  }
}
