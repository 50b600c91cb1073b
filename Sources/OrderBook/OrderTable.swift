/// One live order as it lies in memory.
///
/// ```
/// offset  size  field
///      0     8  reference
///      8     8  quantity   what is left; 0 = the slot is free
///     16     4  previous   slot of the order before it in its level's queue, or none
///     20     4  next       slot of the order behind it, or none
///     24     4  level      number of its level: price, side and instrument are there
///     28     4  passed     live orders that found this slot taken on the way from their home slot;
///                          belongs to the slot, not to the order
/// ```
struct OrderEntry {
  var reference: UInt64
  var quantity: UInt64
  var previous: UInt32
  var next: UInt32
  var level: UInt32
  var passed: UInt32
}

/// Live orders by reference: open addressing with linear probing, two entries to a cache line.
///
/// Entries never move, so a slot number serves as the link of the level queues. What makes removal possible
/// without tombstones is a count per slot of the live orders that had to probe past it: a search stops at
/// the first slot that nobody passed.
struct OrderTable: ~Copyable {
  static let entryBytes = MemoryLayout<OrderEntry>.stride
  /// The slot number that means no order.
  static var none: UInt32 { @_noLocks get { UInt32.max } }

  /// A run is so many references, as a power of two.
  private static var runBits: UInt64 { 5 }

  private let memory: FixedMemory
  private let entries: UnsafeMutablePointer<OrderEntry>
  private let mask: Int
  private let hashShift: UInt64
  let capacity: Int
  private(set) var liveCount = 0

  /// Slots for `orders` live orders: a power of two, at most two thirds full.
  static func slotCount(orders: Int) -> Int {
    var slots = 1 << Int(runBits)
    while slots < orders + orders / 2 + 2 { slots *= 2 }
    return slots
  }

  init(orders: Int) {
    precondition(MemoryLayout<OrderEntry>.stride == 32)
    let slots = Self.slotCount(orders: orders)
    memory = FixedMemory(bytes: slots * Self.entryBytes)
    entries = memory.base.bindMemory(to: OrderEntry.self, capacity: slots)
    mask = slots - 1
    hashShift = UInt64(64 - slots.trailingZeroBitCount) + Self.runBits
    capacity = orders
  }

  /// The entry in a slot. Slot numbers come from this table; the check keeps a bug from reaching elsewhere.
  @inline(__always)
  @_noLocks
  subscript(slot: UInt32) -> UnsafeMutablePointer<OrderEntry> {
    precondition(Int(slot) <= mask, "order slot out of range")
    return entries + Int(slot)
  }

  var slotCount: Int { mask + 1 }

  /// Scatters runs of references, not references: orders that arrive together stay together in memory, and
  /// most orders die young. A venue hands out references counting upward, Nasdaq one count for each of four
  /// matching partitions, told apart by the lowest two bits: those go to the top, so that a run is of one
  /// partition.
  @inline(__always)
  private func home(_ reference: UInt64) -> Int {
    let rotated = reference &>> 2 | reference &<< 62
    let run = ((rotated &>> Self.runBits) &* 0x9E37_79B9_7F4A_7C15) &>> hashShift
    let slot = (run &<< Self.runBits) | (rotated & ((1 &<< Self.runBits) - 1))
    return Int(truncatingIfNeeded: slot) & mask
  }

  /// The slot of a live order, or ``none``. At most one round: a hostile sequence of adds and deletes could
  /// leave every slot passed by some order.
  @inline(__always)
  @_noLocks
  func find(_ reference: UInt64) -> UInt32 {
    var slot = home(reference)
    var slotsLeft = mask &+ 1
    while slotsLeft > 0 {
      slotsLeft &-= 1
      let entry = entries + slot
      if entry.pointee.reference == reference && entry.pointee.quantity != 0 {
        return UInt32(truncatingIfNeeded: slot)
      }
      if entry.pointee.passed == 0 { return Self.none }
      slot = (slot &+ 1) & mask
    }
    return Self.none
  }

  /// Takes a slot for a reference that ``find(_:)`` did not find and sets its reference and quantity.
  /// The caller has seen room; one order beyond the capacity fits while a replace is under way.
  @inline(__always)
  @_noLocks
  mutating func insert(_ reference: UInt64, quantity: UInt64) -> UInt32 {
    precondition(liveCount <= capacity && quantity != 0, "order table overfilled")
    var slot = home(reference)
    while entries[slot].quantity != 0 {
      entries[slot].passed &+= 1
      slot = (slot &+ 1) & mask
    }
    entries[slot].reference = reference
    entries[slot].quantity = quantity
    liveCount &+= 1
    return UInt32(truncatingIfNeeded: slot)
  }

  /// Frees the slot of a live order.
  @inline(__always)
  @_noLocks
  mutating func remove(_ slot: UInt32) {
    let entry = self[slot]
    precondition(entry.pointee.quantity != 0, "removing a free order slot")
    var passed = home(entry.pointee.reference)
    while passed != Int(slot) {
      entries[passed].passed &-= 1
      passed = (passed &+ 1) & mask
    }
    entry.pointee.quantity = 0
    liveCount &-= 1
  }

  /// What is wrong with the probe counts, or nil. Slow.
  func checkInvariants() -> String? {
    var expected = [UInt32](repeating: 0, count: mask + 1)
    var live = 0
    for slot in 0...mask where entries[slot].quantity != 0 {
      live += 1
      var passed = home(entries[slot].reference)
      while passed != slot {
        expected[passed] += 1
        passed = (passed + 1) & mask
      }
    }
    if live != liveCount { return "\(live) order slots are taken, \(liveCount) counted" }
    for slot in 0...mask where entries[slot].passed != expected[slot] {
      return "slot \(slot): \(expected[slot]) orders probed past it, \(entries[slot].passed) counted"
    }
    return nil
  }
}
