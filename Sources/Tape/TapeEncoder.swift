public import StageRecords

/// Turns the records of the merged ring into the bytes of a tape, segment by segment. Pure: bytes in, bytes out; the
/// chunks come from the caller and go back to it.
///
/// ```swift
/// encoder.open(chunk)                                        // an empty one
/// if encoder.put(kind: …, payload: …, ringPosition: …) == .chunkFull { encoder.close(); write(chunk); … again }
/// encoder.close()                                            // hands the chunk over as far as it is filled
/// ```
public struct TapeEncoder: ~Copyable {
  @usableFromInline let plan: SegmentPlan
  /// Where the next frame goes.
  @usableFromInline var write: UnsafeMutableRawPointer
  /// Bytes that may still go into this chunk and this segment, a seal's left out.
  @usableFromInline var room = 0
  @usableFromInline var chain: UInt64
  @usableFromInline var frames: UInt64
  public private(set) var ordinal: UInt64
  /// The sequence number that is due.
  @usableFromInline var due: UInt64
  @usableFromInline var position: UInt64
  public private(set) var session: TapeSession
  /// Whether a segment is open: its header is on the tape, its seal is not.
  private var isOpen: Bool
  private var chunk: TapeChunk?
  private var chunkStart: UInt64
  /// The hole that comes before the next record.
  private var pendingHole: (from: UInt64, to: UInt64, reason: HoleReason)?
  /// Holes that were marked, sequence numbers that are known to be lost in them, and the newest one.
  public private(set) var holes: UInt64 = 0
  public private(set) var messagesInHoles: UInt64 = 0
  public private(set) var lastHole: TapeHole?
  /// For the headers and seals to come, ns since 1970.
  public var now: UInt64 = 0

  /// A tape that begins, or goes on behind `tail` in the same run.
  public init(plan: SegmentPlan, tail: TapeTail?) {
    self.plan = plan
    write = UnsafeMutableRawPointer(bitPattern: 8)!
    chain = tail?.chain ?? 0
    frames = tail?.frames ?? 0
    ordinal = tail?.ordinal ?? 0
    due = 1
    position = 0
    session = .none
    isOpen = false
    chunkStart = tail?.offset ?? 0
    guard let tail, tail.run == plan.run else { return }
    due = tail.nextSequence
    position = tail.ringPosition
    session = tail.session
    isOpen = !tail.isSealed
  }

  /// The sequence number that is due.
  @inlinable public var nextSequence: UInt64 { due }
  /// The ring position behind the last record.
  @inlinable public var ringPosition: UInt64 { position }
  /// Bytes in the open chunk.
  public var openBytes: Int { chunk.map { Int(bitPattern: write) - Int(bitPattern: $0.base) } ?? 0 }

  /// Takes an empty chunk to fill.
  public mutating func open(_ chunk: TapeChunk) {
    precondition(self.chunk == nil, "one chunk at a time")
    chunk.clear()
    self.chunk = chunk
    chunk.ordinal = ordinal
    chunk.offset = chunkStart
    write = chunk.base
    setRoom(chunk)
  }

  private mutating func setRoom(_ chunk: TapeChunk) {
    guard isOpen else {
      room = 0
      return
    }
    let used = Int(bitPattern: write) - Int(bitPattern: chunk.base)
    let segment = Int64(plan.segmentBytes) - Int64(chunk.offset) - Int64(used)
    room = min(chunk.capacity - used, Int(segment)) - TapeLayout.sealFrameBytes
  }

  /// Hands back the chunk with what is in it; nil when there is none or nothing is.
  public mutating func close() -> TapeChunk? {
    guard let chunk, openBytes > 0 else { return nil }
    chunk.count = openBytes
    chunk.tail = tail(offset: chunk.offset + UInt64(chunk.count))
    chunkStart = chunk.offset + UInt64(chunk.count)
    self.chunk = nil
    room = 0
    return chunk
  }

  /// Gives back the open chunk as it is. What is in it is void, and so is this encoder.
  public mutating func abandon() -> TapeChunk? {
    defer { chunk = nil }
    room = 0
    return chunk
  }

  /// Where the tape ends behind the last record.
  private func tail(offset: UInt64) -> TapeTail {
    TapeTail(
      ordinal: ordinal, offset: offset, chain: chain, frames: frames, run: plan.run, ringPosition: position,
      nextSequence: due, session: session, isSealed: !isOpen)
  }

  /// Puts a record of the merged ring on the tape.
  /// - Parameters:
  ///   - payload: at most ``TapeLayout/payloadBytesLimit`` bytes.
  ///   - ringPosition: where the ring's next record is looked for, in cells.
  @inlinable @inline(__always)
  public mutating func put(kind: UInt8, payload: UnsafeRawBufferPointer, ringPosition: UInt64) -> TapePut {
    guard kind == MergedRecord.Kind.message, payload.count >= MergedRecord.messageHeaderBytes,
      let base = payload.baseAddress, base.loadUnaligned(as: UInt64.self) == due
    else { return putUnusual(kind, payload, ringPosition) }
    let bytes = TapeLayout.frameBytes(payload: payload.count)
    guard bytes <= room else { return putUnusual(kind, payload, ringPosition) }
    frame(kind, payload, bytes, ringPosition)
    due &+= 1
    return .done
  }

  /// Writes one frame; there is room for it.
  @inlinable @inline(__always)
  mutating func frame(_ kind: UInt8, _ payload: UnsafeRawBufferPointer, _ bytes: Int, _ ringPosition: UInt64)
  {
    // The padding, and with it the last word of a short payload.
    write.storeBytes(of: 0, toByteOffset: bytes &- 8, as: UInt64.self)
    write.storeBytes(
      of: UInt32(truncatingIfNeeded: payload.count) | UInt32(kind) << 16, toByteOffset: 12, as: UInt32.self)
    write.storeBytes(of: ringPosition, toByteOffset: 16, as: UInt64.self)
    if let source = payload.baseAddress {
      (write + TapeLayout.frameHeaderBytes).copyMemory(from: source, byteCount: payload.count)
    }
    chain = TapeLayout.chain(after: chain, write, bytes: bytes)
    write.storeBytes(of: chain, as: UInt64.self)
    write.storeBytes(of: TapeLayout.checksum(write, bytes: bytes), toByteOffset: 8, as: UInt32.self)
    write += bytes
    room &-= bytes
    frames &+= 1
    position = ringPosition
  }

  /// Everything but a message in its turn that fits.
  @usableFromInline
  mutating func putUnusual(_ kind: UInt8, _ payload: UnsafeRawBufferPointer, _ ringPosition: UInt64)
    -> TapePut
  {
    guard chunk != nil else { return .chunkFull }
    let record = UnsafeRawBufferPointer(rebasing: payload.prefix(TapeLayout.payloadBytesLimit))
    // A record and what goes in front of it need not be in one segment, so each is put by itself.
    if kind == MergedRecord.Kind.sessionStart, payload.count >= MergedRecord.sessionBytes,
      let base = payload.baseAddress
    {
      let identifier = TapeSession(from: base + 8)
      // A segment holds one session. One that has just been begun, without any, can take this one up.
      if isOpen, session != .none, session != identifier {
        seal(.full)
        return .chunkFull
      }
      session = identifier
    }
    if let hole = pendingHole {
      let last = Self.firstNumber(kind, record).map { $0 == 0 ? .max : $0 &- 1 } ?? due &- 1
      let lost = TapeHole(
        first: due, last: last, cellsFrom: hole.from, cellsTo: hole.to, reason: hole.reason)
      guard put(lost) == .done else { return .chunkFull }
      pendingHole = nil
      holes &+= 1
      messagesInHoles &+= lost.count ?? 0
      lastHole = lost
    }
    guard makeRoom(TapeLayout.frameBytes(payload: record.count)) else { return .chunkFull }
    frame(kind, record, TapeLayout.frameBytes(payload: record.count), ringPosition)
    due = Self.numberAfter(kind, record) ?? due
    return .done
  }

  /// The reader of the ring was lapped: cells from ..< to are not on the tape, and a mark says so before the next record.
  public mutating func noteLap(from: UInt64, to: UInt64, reason: HoleReason) {
    // One mark for laps that follow each other.
    pendingHole = (pendingHole?.from ?? from, to, pendingHole.map { $0.reason } ?? reason)
  }

  /// Whether a loss is yet to be marked.
  public var hasPendingHole: Bool { pendingHole != nil }

  private mutating func put(_ hole: TapeHole) -> TapePut {
    let bytes = TapeLayout.frameBytes(payload: TapeLayout.holeBytes)
    guard makeRoom(bytes) else { return .chunkFull }
    withUnsafeTemporaryAllocation(byteCount: TapeLayout.holeBytes, alignment: 8) { buffer in
      guard let base = buffer.baseAddress else { return }
      hole.write(to: base)
      frame(TapeLayout.Kind.hole, UnsafeRawBufferPointer(buffer), bytes, hole.cellsTo)
    }
    if hole.last != .max, hole.last >= hole.first { due = hole.last &+ 1 }
    return .done
  }

  /// The number with which a record's range begins; nil for a record of another kind, 0 for a session's start.
  private static func firstNumber(_ kind: UInt8, _ record: UnsafeRawBufferPointer) -> UInt64? {
    guard record.count >= 16, let base = record.baseAddress else { return nil }
    switch kind {
    case MergedRecord.Kind.message, MergedRecord.Kind.gap, MergedRecord.Kind.endOfSession,
      MergedRecord.Kind.imageStart, MergedRecord.Kind.image, MergedRecord.Kind.imageEnd,
      MergedRecord.Kind.recoveryStart, MergedRecord.Kind.recovery, MergedRecord.Kind.recoveryEnd:
      return base.loadUnaligned(as: UInt64.self)
    case MergedRecord.Kind.sessionStart: return 0
    default: return nil
    }
  }

  /// The number that follows a record's.
  static func numberAfter(_ kind: UInt8, _ record: UnsafeRawBufferPointer) -> UInt64? {
    guard record.count >= 16, let base = record.baseAddress else { return nil }
    let first = base.loadUnaligned(as: UInt64.self)
    switch kind {
    case MergedRecord.Kind.message: return first &+ 1
    // An image takes no number before its end: then it stands for all of its range.
    case MergedRecord.Kind.gap, MergedRecord.Kind.imageEnd:
      return base.loadUnaligned(fromByteOffset: 8, as: UInt64.self) &+ 1
    case MergedRecord.Kind.sessionStart, MergedRecord.Kind.endOfSession: return first
    case TapeLayout.Kind.hole:
      let last = base.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
      return last != .max && last >= first ? last &+ 1 : nil
    default: return nil
    }
  }

  /// Sees to a segment with room for so many bytes. False when the chunk has to be written first.
  private mutating func makeRoom(_ bytes: Int) -> Bool {
    guard let chunk else { return false }
    if isOpen {
      if bytes <= room { return true }
      let segment = Int64(plan.segmentBytes) - Int64(chunk.offset) - Int64(openBytes)
      // Is it the segment that is full, or the chunk?
      if segment - Int64(TapeLayout.sealFrameBytes) < Int64(bytes), frames > 0 { _ = seal(.full) }
      return false
    }
    guard openBytes == 0 else { return false }
    begin(chunk)
    return bytes <= room
  }

  private mutating func begin(_ chunk: TapeChunk) {
    ordinal &+= 1
    let header = SegmentHeader(
      ordinal: ordinal, configurationHash: plan.configurationHash, run: plan.run, predecessorChain: chain,
      firstSequence: due, ringPosition: position, createdAt: now, session: session, channel: plan.channel,
      build: plan.build)
    chunk.ordinal = ordinal
    chunk.offset = 0
    chunk.beginsSegment = true
    chain = header.write(to: write)
    write += TapeLayout.headerBytes
    frames = 0
    isOpen = true
    setRoom(chunk)
  }

  /// Closes the open segment: its last frame goes into the open chunk. False without either.
  @discardableResult
  public mutating func seal(_ reason: SealReason) -> Bool {
    guard isOpen, let chunk else { return false }
    let bytes = TapeLayout.sealFrameBytes
    let seal = TapeSeal(frames: frames, nextSequence: due, reason: reason, sealedAt: now)
    withUnsafeTemporaryAllocation(byteCount: TapeLayout.sealBytes, alignment: 8) { buffer in
      guard let base = buffer.baseAddress else { return }
      seal.write(to: base)
      frame(TapeLayout.Kind.seal, UnsafeRawBufferPointer(buffer), bytes, position)
    }
    chunk.endsSegment = true
    isOpen = false
    room = 0
    return true
  }
}
