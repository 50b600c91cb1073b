/// One record where it lies in the ring.
@frozen
public struct RingRecord {
  public let kind: UInt8
  /// The payload in shared memory. On an overwriting ring it may change under the reader's eyes: nothing that was
  /// derived from it counts until ``RingConsumer/accept(_:)`` has said that the batch was whole.
  public let payload: UnsafeRawBufferPointer

  @inlinable @inline(__always)
  init(kind: UInt8, payload: UnsafeRawBufferPointer) {
    self.kind = kind
    self.payload = payload
  }
}

/// The records that lie ahead of a reader, in place and without a copy.
///
/// ```swift
/// var batch = consumer.openBatch()
/// while let record = batch.next() { … }            // read, and change nothing that cannot be undone
/// switch consumer.accept(batch) {                  // now the reader has moved on
/// case .whole(let records): …                      // all of them were whole from beginning to end
/// case .lapped(let from, let to): …                // discard; cells from ..< to are lost, the batch's included
/// case .halted(let why): …
/// }
/// ```
@frozen
public struct RingBatch {
  @usableFromInline let cells: RingCells
  /// Where the batch starts, in cells.
  public let start: UInt64
  /// Where its next record starts.
  @inlinable public var end: UInt64 { position }
  @usableFromInline var position: UInt64
  /// Up to here the cells ahead are in full segments.
  @usableFromInline let settledEnd: UInt64
  /// Records that ``next()`` has returned.
  @usableFromInline var count = 0
  /// A stamp lay there that is none while the batch was whole.
  @usableFromInline var isDamaged = false

  @inlinable @inline(__always)
  init(cells: RingCells, start: UInt64) {
    self.cells = cells
    self.start = start
    position = start
    let claimed = cells.claimedWord.loadRelaxed()
    settledEnd = claimed > cells.settledDistance ? claimed &- cells.settledDistance : 0
  }

  /// The next visible record; nil when there is none. It lies within the mapping, whatever the ring holds.
  #if !DEBUG
    @_noLocks
  #endif
  @inlinable @inline(__always)
  public mutating func next() -> RingRecord? {
    while true {
      let here = cells.cell(position)
      // Sync point with `RingProducer.publish`.
      let rest = SharedWord(here).loadAcquiring() ^ Stamp.lapField(cells.lap(position))
      if Stamp.isRecord(rest), Stamp.length(rest) <= Stamp.oneCellBytes {
        if position < settledEnd { cells.prefetchToRead(behind: position) }
        position &+= 1
        count &+= 1
        return RingRecord(
          kind: Stamp.kind(rest),
          payload: UnsafeRawBufferPointer(start: here + RingLayout.stampBytes, count: Stamp.length(rest)))
      }
      guard Stamp.isPresent(rest) else { return nil }
      let segmentEnd = cells.segmentEnd(position)
      if Stamp.kind(rest) == Stamp.padKind {
        // Padding never starts a segment, so this loop ends.
        guard position & (cells.segmentCells &- 1) != 0 else { return stopDamaged() }
        position = segmentEnd
        continue
      }
      let bytes = Stamp.length(rest)
      let room =
        Int(truncatingIfNeeded: segmentEnd &- position) &* RingLayout.cellBytes &- RingLayout.stampBytes
      guard bytes <= room else { return stopDamaged() }
      position &+= UInt64(truncatingIfNeeded: Stamp.cells(length: bytes))
      count &+= 1
      return RingRecord(
        kind: Stamp.kind(rest),
        payload: UnsafeRawBufferPointer(start: here + RingLayout.stampBytes, count: bytes))
    }
  }

  @inlinable @inline(__always)
  mutating func stopDamaged() -> RingRecord? {
    isDamaged = true
    return nil
  }
}

/// What became of a batch.
@frozen
public enum RingBatchOutcome: Equatable, Sendable {
  /// Every record that it returned was whole while it was read.
  case whole(records: Int)
  /// The producer overwrote some of it: what was derived from it is to be discarded. Cells `from ..< to` are lost to this
  /// reader, from the batch's start on.
  case lapped(from: UInt64, to: UInt64)
  /// As for a batch that was lapped, and the ring has come to its end.
  case halted(RingHalt)
}

extension RingConsumer {
  /// The records from here on. Nothing is taken until ``accept(_:)``.
  @inlinable @inline(__always)
  public func openBatch() -> RingBatch { RingBatch(cells: cells, start: state.position) }

  /// Whether all that the batch has returned so far is whole still. One load; for a long batch, now and then.
  @inlinable @inline(__always)
  public func isWhole(_ batch: RingBatch) -> Bool { cells.isRetained(batch.start) }

  /// Moves on behind the batch's last record, if the batch was whole to the end.
  /// - Parameter batch: from ``openBatch()`` of this reader, with nothing polled in between.
  #if !DEBUG
    @_noLocks
  #endif
  @inlinable @inline(__always)
  public mutating func accept(_ batch: RingBatch) -> RingBatchOutcome {
    guard isWhole(batch), !batch.isDamaged else { return refuse(batch) }
    state.position = batch.position
    return .whole(records: batch.count)
  }

  @usableFromInline
  mutating func refuse(_ batch: RingBatch) -> RingBatchOutcome {
    switch notRetained() {
    case .halted(let halt): .halted(halt)
    case .lapped(let from, let to): .lapped(from: from, to: to)
    // Nothing is wrong with the claim: it is the stamps.
    case .empty, .record: .halted(.damaged(.stamp))
    }
  }
}
