import CProcessor
import Synchronization

/// The cells of a mapped ring and how positions fall on them: what producer and consumer need at each step, apart
/// from where they are. Fixed from the attach on, whatever becomes of the header.
@frozen
@usableFromInline
struct RingCells {
  @usableFromInline let data: UnsafeMutableRawPointer
  @usableFromInline let cellMask: UInt64
  @usableFromInline let lapShift: UInt64
  @usableFromInline let segmentCells: UInt64
  /// A reader that is further behind `claimed` than this may ask for the cells ahead of it: their segment is full.
  @usableFromInline let settledDistance: UInt64

  init(base: UnsafeMutableRawPointer, geometry: RingGeometry) {
    data = base + RingLayout.headerBytes
    cellMask = UInt64(geometry.cellCount - 1)
    lapShift = UInt64(geometry.cellCount.trailingZeroBitCount)
    segmentCells = UInt64(geometry.segmentCells)
    settledDistance = UInt64(geometry.segmentCells) + Self.prefetchDistance
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

  /// The position two laps behind `position`.
  @inlinable @inline(__always)
  func twoLapsBehind(_ position: UInt64) -> UInt64 { position &+ (cellMask &+ 1) &* 2 }

  /// Whether `claimed` lies where it must while the cell at `position` is whole: position < claimed <= position +
  /// cells. The lower bound costs nothing and catches a word that was set back.
  @inlinable @inline(__always)
  func holds(_ position: UInt64, claimed: UInt64) -> Bool { claimed &- position &- 1 <= cellMask }

  // At a fixed distance in front of the cells, so that the loops need no pointers to them.
  @inlinable @inline(__always)
  var claimedWord: SharedWord {
    SharedWord(data - (RingLayout.headerBytes - RingLayout.claimedOffset))
  }
  @inlinable @inline(__always)
  var retiredWord: SharedWord {
    SharedWord(data - (RingLayout.headerBytes - RingLayout.retiredOffset))
  }

  /// True as long as the cell at `position` has not been claimed for a later lap, and the file was not retired.
  @inlinable @inline(__always)
  func isRetained(_ position: UInt64) -> Bool {
    holds(position, claimed: claimedNow())
  }

  /// The claim, after everything that was read so far.
  @inlinable @inline(__always)
  func claimedNow() -> UInt64 {
    // Everything read so far is read before the claim is (sync point with `WriteState.claim`, `RingProducer.takeOver`).
    atomicMemoryFence(ordering: .acquiring)
    // All ones, the mark of a retired file, hold no position.
    return claimedWord.loadRelaxed() | retiredWord.loadRelaxed()
  }

  // MARK: Ahead of the loops

  /// How far ahead of their position producer and reader ask for cells: a line that the other core has written or read
  /// takes longer to come than a processor sees ahead in these loops, and its own prefetcher does not write ahead.
  @inlinable @inline(__always)
  static var prefetchDistance: UInt64 { 16 }

  /// Asks for a cell that will be read soon. Only where the producer has been: a line that it is about to write would be
  /// taken from it, and both would wait.
  @inlinable @inline(__always)
  func prefetchToRead(behind position: UInt64) {
    bulkhead_prefetch_to_read(cell(position &+ Self.prefetchDistance))
  }

  /// Asks for a cell that will be written soon. Nothing changes in it, so it need not be claimed.
  @inlinable @inline(__always)
  func prefetchToWrite(behind position: UInt64) {
    bulkhead_prefetch(cell(position &+ Self.prefetchDistance))
  }

  /// The oldest position that is whole under that claim.
  func oldest(claimed: UInt64) -> UInt64 { claimed > cellMask &+ 1 ? claimed &- (cellMask &+ 1) : 0 }

  /// The oldest position that is still whole: always a record's start.
  func oldestRetained() -> UInt64 {
    // Sync point with `WriteState.claim`: everything in front of the claim is visible, later stamps of a batch too.
    oldest(claimed: claimedWord.loadAcquiring())
  }

  // MARK: Live words

  /// How often the live words are read before they count as contradicting each other.
  static let settleAttempts = 1024

  /// Reads the live words until they agree with one another and with a reader at `position`: published < claimed <=
  /// published + cells, claimed at a segment's end and ahead of the reader, a stamp below published. Words caught in
  /// the midst of a change agree a moment later; words that never do are damaged.
  @usableFromInline
  func settledClaim(published word: SharedWord, reader position: UInt64) -> SettledClaim {
    var field = RingField.claimed
    for _ in 0..<Self.settleAttempts {
      let before = word.loadAcquiring()
      let claimed = claimedWord.loadAcquiring()
      let after = word.loadAcquiring()
      let retired = retiredWord.loadAcquiring()
      if retired != 0 { return .halted(retired == RingLayout.retiredMark ? .retired : .damaged(.retired)) }
      guard before < claimed, claimed <= after || claimed &- after <= cellMask &+ 1 else {
        field = before > 1 << 60 ? .published : .claimed
        continue
      }
      guard claimed & (segmentCells &- 1) == 0, claimed > position else {
        field = .claimed
        continue
      }
      if holds(position, claimed: claimed), before > position,
        !Stamp.matches(stamp(position).loadRelaxed(), lap: lap(position)), isRetained(position)
      {
        field = .stamp
        continue
      }
      return .claimed(claimed)
    }
    return .halted(.damaged(field))
  }
}

/// What ``RingCells/settledClaim(published:reader:)`` found.
@frozen
@usableFromInline
enum SettledClaim {
  case claimed(UInt64)
  case halted(RingHalt)
}
