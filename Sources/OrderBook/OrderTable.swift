import CProcessor

/// One order as it lies in memory: a cache line of its own.
///
/// ```
/// offset  size  field
///      0     8  reference
///      8     8  quantity   what is left; 0 = the slot is free
///     16     8  price
///     24     4  previous   slot of the order before it in its level's queue, or none
///     28     4  next       slot of the order behind it, or none; in a free slot how far behind the slot after
///                          it the next free one lies, so that memory full of zeros is a list of free slots
///     32     4  side       number of its book side: instrument * 2 + side
///     36     4  guess      its level's index in the side's array when it came: only levels behind that one
///                          change it, so it is right or nearly so most of the time
///     40     4  nextInCrowd  slot of the next order in its chain of the ``CrowdTable``
///     44    20  zero
/// ```
@usableFromInline @frozen
struct OrderEntry {
  @usableFromInline var reference: UInt64
  @usableFromInline var quantity: UInt64
  @usableFromInline var price: Int64
  @usableFromInline var previous: UInt32
  @usableFromInline var next: UInt32
  @usableFromInline var side: UInt32
  @usableFromInline var guess: UInt32
  @usableFromInline var nextInCrowd: UInt32
  @usableFromInline var zero: UInt32
  @usableFromInline var zeros: (UInt64, UInt64)
}

/// Orders by reference: a pool of entries that never move, and the ``ReferenceIndex`` that finds them.
///
/// A slot that becomes free is the next one to be taken: most orders die young, so most adds write to memory that is
/// in the cache. Slot 0 is nobody's. It stands for "none" and takes the stores that would otherwise need a branch.
@usableFromInline @frozen
struct OrderTable {
  /// The slot number that means no order.
  @inlinable static var none: UInt32 { @_noLocks get { 0 } }

  @usableFromInline let entries: UnsafeMutablePointer<OrderEntry>
  @usableFromInline let index: ReferenceIndex
  @usableFromInline var firstFree: UInt32 = 1
  @usableFromInline let slotCount: Int
  @usableFromInline let capacity: Int
  @usableFromInline var liveCount = 0

  /// Slot 0, and one for the order that a replace adds before the old one goes.
  static func slotCount(orders: Int) -> Int { orders + 2 }

  static func memoryBytes(orders: Int) -> Int {
    MemoryPieces.bytes(OrderEntry.self, slotCount(orders: orders))
      + ReferenceIndex.memoryBytes(orders: orders)
  }

  init(orders: Int, _ pieces: inout MemoryPieces) {
    precondition(MemoryLayout<OrderEntry>.stride == 64)
    slotCount = Self.slotCount(orders: orders)
    entries = pieces.take(OrderEntry.self, slotCount)
    index = ReferenceIndex(orders: orders, entries, &pieces)
    capacity = orders
  }

  /// The free slot behind a free one; the number of slots behind the last.
  @inlinable @inline(__always) @_noLocks
  func freeSlot(behind slot: UInt32) -> UInt32 { slot &+ 1 &+ entries[Int(slot)].next }

  /// The entry in a slot; slot numbers come from this table.
  @inlinable @inline(__always) @_noLocks
  subscript(slot: UInt32) -> UnsafeMutablePointer<OrderEntry> {
    assert(Int(slot) < slotCount, "order slot out of range")
    return entries + Int(slot)
  }

  /// The slot of a live order, or ``none``.
  @inlinable @inline(__always) @_noLocks
  func find(_ reference: UInt64) -> UInt32 {
    let word = index.word(reference)
    let slot = word & ReferenceIndex.slotMask
    if entries[Int(slot)].reference == reference && slot != Self.none { return slot }
    if word &>> ReferenceIndex.crowdShift == 0 { return Self.none }
    return CrowdTable.find(reference, in: index.crowd)
  }

  /// Takes a slot. The caller has seen room and fills the entry.
  @inlinable @inline(__always) @_noLocks
  mutating func take() -> UInt32 {
    let slot = firstFree
    precondition(Int(slot) < slotCount, "order table overfilled")
    let next = freeSlot(behind: slot)
    firstFree = next
    bulkhead_prefetch_to_read(entries + Int(next))
    return slot
  }

  /// Gives a slot back.
  @inlinable @inline(__always) @_noLocks
  mutating func free(_ slot: UInt32) {
    entries[Int(slot)].quantity = 0
    entries[Int(slot)].next = firstFree &- (slot &+ 1)
    firstFree = slot
  }

  /// What is wrong with slots and index, or nil. Slow. `queued`: the slots that are in queues.
  func checkInvariants(queued: [UInt32]) -> String? {
    var isTaken = [Bool](repeating: false, count: slotCount)
    for slot in queued {
      if slot == Self.none || Int(slot) >= slotCount { return "a queue holds slot \(slot), which is none" }
      if isTaken[Int(slot)] { return "slot \(slot) is in two queues" }
      isTaken[Int(slot)] = true
      if find(entries[Int(slot)].reference) != slot {
        return "order \(entries[Int(slot)].reference) cannot be found"
      }
    }
    if queued.count != liveCount { return "\(queued.count) orders are in queues, \(liveCount) counted" }
    var free = 0
    var slot = firstFree
    while Int(slot) != slotCount {
      if slot == Self.none || Int(slot) > slotCount || isTaken[Int(slot)] {
        return "slot \(slot) is free and taken"
      }
      isTaken[Int(slot)] = true
      free += 1
      slot = freeSlot(behind: slot)
    }
    if free + queued.count + 1 != slotCount {
      return "\(slotCount) slots, \(free) free, \(queued.count) in queues"
    }
    return index.checkInvariants(liveCount: liveCount) { entries[Int($0)].reference }
  }
}
