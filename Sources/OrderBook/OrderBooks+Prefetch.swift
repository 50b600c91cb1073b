import CProcessor

/// What the first hint for an operation leaves for the second.
@frozen
public struct PrefetchNote {
  @usableFromInline var word: UnsafeMutablePointer<UInt32>
  @usableFromInline var sides: UnsafeMutablePointer<SideEntry>

  @inlinable @inline(__always) @_noLocks
  init(word: UnsafeMutablePointer<UInt32>, sides: UnsafeMutablePointer<SideEntry>) {
    self.word = word
    self.sides = sides
  }
}

/// Hints. They change nothing but time: what an operation will need is brought nearer, so that the misses of
/// several operations overlap instead of following one another. Any arguments are allowed.
extension OrderBooks {
  /// First hint for an operation: asks for the instrument's line and the order's word in the index.
  @inlinable @inline(__always) @_noLocks
  public func prefetch(instrument: UInt32, reference: UInt64) -> PrefetchNote {
    let word = orders.index.place(reference)
    bulkhead_prefetch_to_read(word)
    let isKnown = oneIf(Int(instrument) < capacity.instruments)
    let sides = levels.sides + 2 &* (Int(instrument) & (0 &- isKnown))
    bulkhead_prefetch_to_read(sides)
    return PrefetchNote(word: word, sides: sides)
  }

  /// Second hint, when the first has had its effect: asks for the order and the best levels of its side. A
  /// note is good as long as the books live.
  /// - Parameter side: the side, in case that the order is new.
  @inlinable @inline(__always) @_noLocks
  public func prefetch(_ note: PrefetchNote, side: BookSide) {
    let word = note.word.pointee
    let slot = word & ReferenceIndex.slotMask
    bulkhead_prefetch_to_read(orders.entries + Int(slot))
    let known = (word &>> ReferenceIndex.sideShift) & 1
    let entry = note.sides + Int(pick(slot == OrderTable.none, side.half, known))
    let array = levels.array(entry)
    let count = Int(entry.pointee.levels)
    bulkhead_prefetch_to_read(array.keys + (count &- 1))
    bulkhead_prefetch_to_read(array.keys + (count &- 8))
    bulkhead_prefetch_to_read(array.levels + (count &- 1))
    bulkhead_prefetch_to_read(array.levels + (count &- 5))
  }
}
