import Synchronization

/// The cells of a mapped ring and how positions fall on them: what producer and consumer need at each step, apart
/// from where they are. Fixed from the attach on, whatever becomes of the header.
@frozen
@usableFromInline
struct RingCells {
  @usableFromInline let data: UnsafeMutableRawPointer
  @usableFromInline let claimedWord: SharedWord
  @usableFromInline let cellMask: UInt64
  @usableFromInline let lapShift: UInt64
  @usableFromInline let segmentCells: UInt64

  init(base: UnsafeMutableRawPointer, geometry: RingGeometry) {
    data = base + RingLayout.headerBytes
    claimedWord = SharedWord(base + RingLayout.claimedOffset)
    cellMask = UInt64(geometry.cellCount - 1)
    lapShift = UInt64(geometry.cellCount.trailingZeroBitCount)
    segmentCells = UInt64(geometry.segmentCells)
  }

  /// Address of the cell of a position.
  @inlinable @inline(__always)
  func cell(_ position: UInt64) -> UnsafeMutableRawPointer {
    data + Int(truncatingIfNeeded: position & cellMask) &* RingLayout.cellBytes
  }

  /// The stamp word of a position.
  @inlinable @inline(__always)
  func stamp(_ position: UInt64) -> SharedWord { SharedWord(cell(position)) }

  @inlinable @inline(__always)
  func lap(_ position: UInt64) -> UInt64 { position &>> lapShift }

  /// The position behind the segment that `position` is in.
  @inlinable @inline(__always)
  func segmentEnd(_ position: UInt64) -> UInt64 { (position | (segmentCells &- 1)) &+ 1 }

  /// True as long as the cell at `position` has not been claimed for a later lap.
  @inlinable @inline(__always)
  func isRetained(_ position: UInt64) -> Bool {
    // Everything read so far is read before the claim is (sync point with `WriteState.claim`).
    atomicMemoryFence(ordering: .acquiring)
    return position &+ cellMask &+ 1 >= claimedWord.loadRelaxed()
  }

  /// The oldest position that is still whole: always a record's start.
  func oldestRetained() -> UInt64 {
    // Sync point with `WriteState.claim`: everything in front of the claim is visible, later stamps of a batch too.
    let claimed = claimedWord.loadAcquiring()
    return claimed > cellMask &+ 1 ? claimed &- (cellMask &+ 1) : 0
  }
}
