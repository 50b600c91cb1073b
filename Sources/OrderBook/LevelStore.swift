/// One price level as it lies in memory.
///
/// ```
/// offset  size  field
///      0     8  price
///      8     8  size      sum of its orders' quantities
///     16     4  orders    live orders; 0 = the record is free
///     20     4  head      order slot of the first in the queue; in a free record the next free one
///     24     4  tail      order slot of the last in the queue
///     28     4  side      number of its book side: instrument * 2 + side
/// ```
struct LevelEntry {
  var price: Int64
  var size: UInt64
  var orders: UInt32
  var head: UInt32
  var tail: UInt32
  var side: UInt32
}

/// One side of one instrument's book; the two sides of an instrument share a cache line.
///
/// ```
/// offset  size  field
///      0     8  bestPrice  price of its best level; 0 when it has none
///      8     4  bestLevel  number of its best level, or none
///     12     4  levels     live levels = entries in its sorted array
///     16     4  orders     live orders
///     20     4  firstUnit  where its sorted array lies in the array pool
///     24     4  units      size of that array: a power of two, 0 = it has none yet
///     28     4  zero
/// ```
struct SideEntry {
  var bestPrice: Int64
  var bestLevel: UInt32
  var levels: UInt32
  var orders: UInt32
  var firstUnit: UInt32
  var units: UInt32
  var zero: UInt32
}

/// An element of a sorted array: key ascending, so that the best level is the last one and joining,
/// leaving and reading there moves next to nothing. A bid's key is its price, an ask's the complement.
struct SortedLevel {
  var key: Int64
  var level: UInt32
  var zero: UInt32
}

/// All price levels: their records (which never move), and per book side a sorted array of them.
///
/// Room runs out when, and only when, the number of live levels reaches the capacity: whether a level fits
/// is a function of the books' content, and the way there does not matter.
struct LevelStore: ~Copyable {
  /// The level number that means no level.
  static var none: UInt32 { @_noLocks get { UInt32.max } }

  private let memory: FixedMemory
  private let records: UnsafeMutablePointer<LevelEntry>
  private let sides: UnsafeMutablePointer<SideEntry>
  private var arrays: SortedArrayPool
  private var firstFree: UInt32
  let capacity: Int
  let sideCount: Int
  private(set) var liveCount = 0
  var compactionCount: Int { arrays.compactionCount }

  /// One record beyond the capacity: a replace makes the new level before the old one goes.
  private static func recordsBytes(_ levels: Int) -> Int {
    ((levels + 1) * MemoryLayout<LevelEntry>.stride + 63) / 64 * 64
  }

  static func memoryBytes(levels: Int, instruments: Int) -> Int {
    recordsBytes(levels) + instruments * 2 * MemoryLayout<SideEntry>.stride
      + SortedArrayPool.memoryBytes(levels: levels + 1, sides: instruments * 2)
  }

  init(levels: Int, instruments: Int) {
    precondition(MemoryLayout<LevelEntry>.stride == 32 && MemoryLayout<SideEntry>.stride == 32)
    capacity = levels
    sideCount = instruments * 2
    memory = FixedMemory(
      bytes: Self.recordsBytes(levels) + instruments * 2 * MemoryLayout<SideEntry>.stride)
    records = memory.base.bindMemory(to: LevelEntry.self, capacity: levels + 1)
    sides = (memory.base + Self.recordsBytes(levels))
      .bindMemory(to: SideEntry.self, capacity: instruments * 2)
    arrays = SortedArrayPool(levels: levels + 1, sides: instruments * 2)
    for level in 0...levels {
      records[level].head = level == levels ? Self.none : UInt32(truncatingIfNeeded: level + 1)
    }
    for side in 0..<sideCount { sides[side].bestLevel = Self.none }
    firstFree = 0
  }

  /// The record of a level. The check keeps a bug from reaching elsewhere.
  @inline(__always)
  @_noLocks
  subscript(level: UInt32) -> UnsafeMutablePointer<LevelEntry> {
    precondition(Int(level) <= capacity, "level number out of range")
    return records + Int(level)
  }

  /// A book side: instrument * 2 + side.
  @inline(__always)
  @_noLocks
  func side(_ number: UInt32) -> UnsafeMutablePointer<SideEntry> {
    precondition(Int(number) < sideCount, "book side out of range")
    return sides + Int(number)
  }

  /// The number of an instrument's side.
  @inline(__always)
  @_noLocks
  static func sideNumber(_ instrument: UInt32, _ side: BookSide) -> UInt32 {
    switch side {
    case .bid: instrument &* 2
    case .ask: instrument &* 2 &+ 1
    }
  }

  @inline(__always)
  @_noLocks
  static func key(_ price: Int64, side: UInt32) -> Int64 { side & 1 == 0 ? price : ~price }

  /// Where a price belongs in a side's sorted array, and the level that is there already, or ``none``.
  @inline(__always)
  @_noLocks
  func position(side number: UInt32, price: Int64) -> (index: Int, level: UInt32) {
    let side = side(number)
    if side.pointee.bestLevel == Self.none { return (0, Self.none) }
    let count = Int(side.pointee.levels)
    if side.pointee.bestPrice == price { return (count - 1, side.pointee.bestLevel) }
    let array = arrays.array(side)
    let index = Self.lowerBound(array, count: count, key: Self.key(price, side: number))
    if index < count, array[index].key == Self.key(price, side: number) { return (index, array[index].level) }
    return (index, Self.none)
  }

  /// The first index whose key is not below `key`. Most searches end near the best level.
  @inline(__always)
  private static func lowerBound(_ array: UnsafePointer<SortedLevel>, count: Int, key: Int64) -> Int {
    var index = count
    let near = max(0, count &- 8)
    while index > near {
      if array[index &- 1].key < key { return index }
      index &-= 1
    }
    var low = 0
    while low < index {
      let middle = (low &+ index) &>> 1
      if array[middle].key < key { low = middle &+ 1 } else { index = middle }
    }
    return low
  }

  /// Makes an empty level (no orders yet) at an index that ``position(side:price:)`` gave.
  @_noLocks
  mutating func insert(side number: UInt32, price: Int64, index: Int) -> UInt32 {
    precondition(liveCount <= capacity && firstFree != Self.none, "level store overfilled")
    let side = side(number)
    let level = firstFree
    let record = self[level]
    firstFree = record.pointee.head
    record.pointee = LevelEntry(
      price: price, size: 0, orders: 0, head: OrderTable.none, tail: OrderTable.none, side: number)
    arrays.insert(
      SortedLevel(key: Self.key(price, side: number), level: level, zero: 0), at: index, number, sides)
    side.pointee.levels &+= 1
    if index &+ 1 == Int(side.pointee.levels) {
      side.pointee.bestLevel = level
      side.pointee.bestPrice = price
    }
    liveCount &+= 1
    return level
  }

  /// Removes a level that has no orders left.
  @_noLocks
  mutating func remove(_ level: UInt32) {
    let record = self[level]
    let number = record.pointee.side
    let side = side(number)
    let (index, found) = position(side: number, price: record.pointee.price)
    precondition(found == level, "level is not in its side's array")
    arrays.remove(at: index, side)
    side.pointee.levels &-= 1
    if level == side.pointee.bestLevel {
      let count = Int(side.pointee.levels)
      let best = count == 0 ? Self.none : arrays.array(side)[count &- 1].level
      side.pointee.bestLevel = best
      side.pointee.bestPrice = best == Self.none ? 0 : self[best].pointee.price
    }
    record.pointee.orders = 0
    record.pointee.head = firstFree
    firstFree = level
    liveCount &-= 1
  }

  /// The level at a distance from the best one (0 = the best), or ``none``.
  @inline(__always)
  @_noLocks
  func level(side number: UInt32, depth: Int) -> UInt32 {
    let side = side(number)
    let count = Int(side.pointee.levels)
    guard depth >= 0, depth < count else { return Self.none }
    return arrays.array(side)[count &- 1 &- depth].level
  }

  /// What is wrong with the sorted arrays, their order and the free records, or nil. Slow.
  func checkInvariants() -> String? {
    var total = 0
    for number in 0..<UInt32(sideCount) {
      let side = side(number)
      let count = Int(side.pointee.levels)
      total += count
      if count > Int(side.pointee.units) * SortedArrayPool.unitEntries {
        return "side \(number): \(count) levels exceed its array"
      }
      for index in 0..<count {
        let element = arrays.array(side)[index]
        let record = self[element.level].pointee
        if record.side != number { return "side \(number): level at \(index) belongs to side \(record.side)" }
        if element.key != Self.key(record.price, side: number) {
          return "side \(number): key at \(index) is not that of price \(record.price)"
        }
        if index > 0, arrays.array(side)[index - 1].key >= element.key {
          return "side \(number): array not ascending at \(index)"
        }
      }
      let best = count == 0 ? Self.none : arrays.array(side)[count - 1].level
      if side.pointee.bestLevel != best { return "side \(number): cached best level is not the last one" }
      if side.pointee.bestPrice != (best == Self.none ? 0 : self[best].pointee.price) {
        return "side \(number): cached best price is wrong"
      }
    }
    if total != liveCount { return "\(total) levels in the arrays, \(liveCount) counted" }
    var free = 0
    var level = firstFree
    while level != Self.none, free <= capacity + 1 {
      free += 1
      level = self[level].pointee.head
    }
    if free + liveCount != capacity + 1 { return "\(free) free and \(liveCount) live level records" }
    return arrays.checkInvariants(sides, sideCount: sideCount)
  }
}
