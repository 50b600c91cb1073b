/// From an order's reference to its slot.
///
/// Venues hand out references counting upward, so live ones are dense: the low bits of a reference are its
/// place in a window of words, eight times as many as orders may live. Nasdaq counts for each of four
/// matching partitions by itself and tells them apart by the lowest two bits; those go to the top of the
/// place, so that orders that arrive together in one partition lie together in memory.
///
/// A word holds the slot of one live order. Whoever finds its word taken by an older live order goes to an
/// ordinary hash table; the word counts those, so that a search without a match is over at once where there
/// are none. Any set of references works, the sparse and the hostile included, in memory that is fixed.
///
/// ```
/// bits of a word   0...26  slot, 0 = none
///                      27  the order's side
///                 28...31  live orders of this place in the hash table; 15 = so many or more, for ever
/// ```
@usableFromInline @frozen
struct ReferenceIndex {
  @inlinable static var slotMask: UInt32 { @_noLocks get { 0x07FF_FFFF } }
  @inlinable static var sideShift: UInt32 { @_noLocks get { 27 } }
  @inlinable static var crowdShift: UInt32 { @_noLocks get { 28 } }
  @inlinable static var crowdMax: UInt32 { @_noLocks get { 15 } }

  @usableFromInline let words: UnsafeMutablePointer<UInt32>
  @usableFromInline let quarterMask: UInt64
  @usableFromInline let quarterShift: UInt64
  /// Behind a pointer: nobody who has no use for it shall copy it about.
  @usableFromInline let crowd: UnsafeMutablePointer<CrowdTable>

  private static func wordCount(orders: Int) -> Int {
    var words = 1 << 10
    while words < orders * 8 { words *= 2 }
    return words
  }

  static func memoryBytes(orders: Int) -> Int {
    MemoryPieces.bytes(UInt32.self, wordCount(orders: orders))
      + MemoryPieces.bytes(CrowdTable.self, 1) + CrowdTable.memoryBytes(orders: orders)
  }

  init(orders: Int, _ entries: UnsafeMutablePointer<OrderEntry>, _ pieces: inout MemoryPieces) {
    let count = Self.wordCount(orders: orders)
    words = pieces.take(UInt32.self, count)
    quarterMask = UInt64(count / 4 - 1)
    quarterShift = UInt64((count / 4).trailingZeroBitCount)
    crowd = pieces.take(CrowdTable.self, 1)
    crowd.pointee = CrowdTable(orders: orders, entries, &pieces)
  }

  @inlinable @inline(__always) @_noLocks
  func place(_ reference: UInt64) -> UnsafeMutablePointer<UInt32> {
    let place = (reference &>> 2) & quarterMask | (reference & 3) &<< quarterShift
    return words + Int(truncatingIfNeeded: place)
  }

  @inlinable @inline(__always) @_noLocks
  func word(_ reference: UInt64) -> UInt32 { place(reference).pointee }

  /// Enters a reference that is not there.
  @inlinable @inline(__always) @_noLocks
  func insert(_ reference: UInt64, slot: UInt32, side: UInt32) {
    let place = place(reference)
    if place.pointee & Self.slotMask == 0 {
      place.pointee |= slot | (side & 1) &<< Self.sideShift
    } else {
      Self.insertCrowded(reference, slot: slot, place, crowd)
    }
  }

  /// Removes a reference that is there with this slot.
  @inlinable @inline(__always) @_noLocks
  func remove(_ reference: UInt64, slot: UInt32) {
    let place = place(reference)
    if place.pointee & Self.slotMask == slot {
      place.pointee &= ~(Self.slotMask | 1 &<< Self.sideShift)
    } else {
      Self.removeCrowded(reference, slot: slot, place, crowd)
    }
  }

  @usableFromInline @inline(never) @_noLocks
  static func insertCrowded(
    _ reference: UInt64, slot: UInt32, _ place: UnsafeMutablePointer<UInt32>,
    _ crowd: UnsafeMutablePointer<CrowdTable>
  ) {
    if place.pointee &>> crowdShift < crowdMax { place.pointee &+= 1 &<< crowdShift }
    crowd.pointee.insert(reference, slot: slot)
  }

  @usableFromInline @inline(never) @_noLocks
  static func removeCrowded(
    _ reference: UInt64, slot: UInt32, _ place: UnsafeMutablePointer<UInt32>,
    _ crowd: UnsafeMutablePointer<CrowdTable>
  ) {
    crowd.pointee.remove(reference, slot: slot)
    if place.pointee &>> crowdShift < crowdMax { place.pointee &-= 1 &<< crowdShift }
  }

  /// What is wrong, or nil. Slow.
  func checkInvariants(liveCount: Int, reference: (UInt32) -> UInt64) -> String? {
    var direct = 0
    var crowded = [Int: UInt32]()
    crowd.pointee.forEach { crowded[self.place($0) - words, default: 0] += 1 }
    for place in 0..<Int(quarterMask + 1) * 4 {
      let word = words[place]
      let slot = word & Self.slotMask
      if slot != 0 {
        direct += 1
        if self.place(reference(slot)) != words + place { return "index word \(place) holds a strange order" }
      }
      let counted = word >> Self.crowdShift
      let there = crowded[place] ?? 0
      if counted < Self.crowdMax, counted != there {
        return "index word \(place) counts \(counted) orders elsewhere, there are \(there)"
      }
    }
    if direct + crowd.pointee.liveCount != liveCount {
      return "\(direct) orders in the index and \(crowd.pointee.liveCount) beside it, \(liveCount) live"
    }
    return crowd.pointee.checkInvariants()
  }
}

/// The orders whose place in the index was taken: an ordinary hash table, chained through the orders' entries.
@usableFromInline @frozen
struct CrowdTable {
  /// Per hash: the slot of the first order, 0 = none. Each entry says which one follows.
  @usableFromInline let heads: UnsafeMutablePointer<UInt32>
  @usableFromInline let entries: UnsafeMutablePointer<OrderEntry>
  @usableFromInline let headCount: Int
  @usableFromInline let hashShift: UInt64
  @usableFromInline var liveCount = 0

  /// A power of two, not below the orders: also when every order is here, chains are short.
  private static func headCount(orders: Int) -> Int {
    var count = 32
    while count < orders { count *= 2 }
    return count
  }

  static func memoryBytes(orders: Int) -> Int { MemoryPieces.bytes(UInt32.self, headCount(orders: orders)) }

  init(orders: Int, _ entries: UnsafeMutablePointer<OrderEntry>, _ pieces: inout MemoryPieces) {
    headCount = Self.headCount(orders: orders)
    heads = pieces.take(UInt32.self, headCount)
    self.entries = entries
    hashShift = UInt64(64 - headCount.trailingZeroBitCount)
  }

  /// The head of the chain that a reference belongs to.
  private func head(_ reference: UInt64) -> UnsafeMutablePointer<UInt32> {
    heads + Int(truncatingIfNeeded: (reference &* 0x9E37_79B9_7F4A_7C15) &>> hashShift)
  }

  /// The slot of a reference, 0 when it is not here.
  @usableFromInline @inline(never) @_noLocks
  static func find(_ reference: UInt64, in table: UnsafePointer<CrowdTable>) -> UInt32 {
    var slot = table.pointee.head(reference).pointee
    while slot != 0, table.pointee.entries[Int(slot)].reference != reference {
      slot = table.pointee.entries[Int(slot)].nextInCrowd
    }
    return slot
  }

  @_noLocks
  mutating func insert(_ reference: UInt64, slot: UInt32) {
    let head = head(reference)
    entries[Int(slot)].nextInCrowd = head.pointee
    head.pointee = slot
    liveCount &+= 1
  }

  @_noLocks
  mutating func remove(_ reference: UInt64, slot: UInt32) {
    let head = head(reference)
    liveCount &-= 1
    if head.pointee == slot {
      head.pointee = entries[Int(slot)].nextInCrowd
      return
    }
    var before = head.pointee
    while entries[Int(before)].nextInCrowd != slot {
      precondition(before != 0, "removing an order that is not in the crowd table")
      before = entries[Int(before)].nextInCrowd
    }
    entries[Int(before)].nextInCrowd = entries[Int(slot)].nextInCrowd
  }

  func forEach(_ body: (UInt64) -> Void) {
    for head in 0..<headCount {
      var slot = heads[head]
      while slot != 0 {
        body(entries[Int(slot)].reference)
        slot = entries[Int(slot)].nextInCrowd
      }
    }
  }

  /// What is wrong with the chains, or nil. Slow.
  func checkInvariants() -> String? {
    var live = 0
    for number in 0..<headCount {
      var slot = heads[number]
      while slot != 0 {
        live += 1
        if live > liveCount { return "more orders are in the crowd table than the \(liveCount) counted" }
        let reference = entries[Int(slot)].reference
        if head(reference) != heads + number { return "order \(reference) is in a wrong chain" }
        slot = entries[Int(slot)].nextInCrowd
      }
    }
    return live == liveCount ? nil : "\(live) orders are in the crowd table, \(liveCount) counted"
  }
}
