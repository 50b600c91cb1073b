/// Finding a place in the retention without reading all of it.
extension RingConsumer {
  /// Moves to the beginning of the last segment whose first record is before what is wanted, in a ring whose records are in
  /// order; to the oldest record when none is. A segment begins with a record, so a search among their beginnings reads a
  /// few records, where a walk would read millions.
  /// - Parameters:
  ///   - buffer: as for ``poll(into:)``.
  ///   - isBefore: whether a record (kind, bytes in `buffer`) comes before what is wanted, and what is wanted behind it.
  public mutating func seek(
    into buffer: UnsafeMutableRawPointer, _ isBefore: (_ kind: UInt8, _ bytes: Int) -> Bool
  ) {
    rewindToOldest()
    let segment = ground.pointee.segmentCells
    var low = nextPosition
    var high = publishedPosition
    while true {
      // The segment's start that halves what is left.
      let middle = (low &+ (high &- min(low, high)) / 2) & ~(segment &- 1)
      let candidate = middle > low ? middle : (low | (segment &- 1)) &+ 1
      guard candidate < high, resume(at: candidate) else { break }
      switch poll(into: buffer) {
      case .record(let kind, let bytes):
        if isBefore(kind, bytes) { low = candidate } else { high = candidate }
      case .empty: high = candidate
      case .lapped:
        // What was the oldest is gone.
        low = nextPosition
      case .halted:
        // Whoever reads on says what is wrong.
        rewindToOldest()
        return
      }
    }
    if !resume(at: low) { rewindToOldest() }
  }
}
