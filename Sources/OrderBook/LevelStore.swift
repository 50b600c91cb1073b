/// One price level but its price, an element of its side's sorted array.
///
/// ```
/// offset  size  field
///      0     8  size    sum of its orders' quantities
///      8     4  orders  live orders, never 0
///     12     4  tail    order slot of the newest in the queue
/// ```
@usableFromInline @frozen
struct LevelEntry {
  @usableFromInline var size: UInt64
  @usableFromInline var orders: UInt32
  @usableFromInline var tail: UInt32

  @inlinable @inline(__always) @_noLocks
  init(size: UInt64, orders: UInt32, tail: UInt32) {
    self.size = size
    self.orders = orders
    self.tail = tail
  }
}

/// A side's sorted array: keys ascending towards the best (a bid's price, an ask's complement), and the levels
/// that belong to them. Apart, so that a search touches eight keys with one cache line.
@usableFromInline @frozen
struct LevelArray {
  @usableFromInline let keys: UnsafeMutablePointer<Int64>
  @usableFromInline let levels: UnsafeMutablePointer<LevelEntry>

  @inlinable @inline(__always) @_noLocks
  init(keys: UnsafeMutablePointer<Int64>, levels: UnsafeMutablePointer<LevelEntry>) {
    self.keys = keys
    self.levels = levels
  }
}

/// One side of one instrument's book; the two sides of an instrument share a cache line, and the best prices
/// are read from it alone.
///
/// ```
/// offset  size  field
///      0     8  bestPrice  price of its best level; 0 when it has none
///      8     8  bestSize   size of its best level; 0 when it has none
///     16     4  levels     live levels = elements of its sorted array
///     20     4  firstUnit  where its sorted array lies in the array pool
///     24     4  units      size of that array: a power of two, 0 = it has none yet
///     28     4  isClosed   of a bid side: 1 while its instrument's orders are not kept; else 0
/// ```
@usableFromInline @frozen
struct SideEntry {
  @usableFromInline var bestPrice: Int64
  @usableFromInline var bestSize: UInt64
  @usableFromInline var levels: UInt32
  @usableFromInline var firstUnit: UInt32
  @usableFromInline var units: UInt32
  @usableFromInline var isClosed: UInt32
}

/// All price levels: per book side a sorted array of them, the best one last, so that joining, leaving and
/// reading there moves next to nothing.
///
/// Room runs out when, and only when, the number of live levels reaches the capacity: whether a level fits
/// is a function of the books' content, and the way there does not matter.
@usableFromInline @frozen
struct LevelStore {
  @usableFromInline let sides: UnsafeMutablePointer<SideEntry>
  @usableFromInline var arrays: SortedArrayPool
  @usableFromInline let capacity: Int
  @usableFromInline let sideCount: Int
  @usableFromInline var liveCount = 0
  var compactionCount: Int { arrays.compactionCount }

  static func memoryBytes(levels: Int, instruments: Int) -> Int {
    MemoryPieces.bytes(SideEntry.self, instruments * 2)
      + SortedArrayPool.memoryBytes(levels: levels, sides: instruments * 2)
  }

  init(levels: Int, instruments: Int, _ pieces: inout MemoryPieces) {
    precondition(MemoryLayout<LevelEntry>.stride == 16 && MemoryLayout<SideEntry>.stride == 32)
    capacity = levels
    sideCount = instruments * 2
    sides = pieces.take(SideEntry.self, instruments * 2)
    arrays = SortedArrayPool(levels: levels, sides: instruments * 2, &pieces)
  }

  /// A book side: instrument * 2 + side.
  @inlinable @inline(__always) @_noLocks
  func side(_ number: UInt32) -> UnsafeMutablePointer<SideEntry> {
    assert(Int(number) < sideCount, "book side out of range")
    return sides + Int(number)
  }

  /// The number of an instrument's side.
  @inlinable @inline(__always) @_noLocks
  static func sideNumber(_ instrument: UInt32, _ side: BookSide) -> UInt32 {
    instrument &* 2 &+ side.half
  }

  /// From price to key and back.
  @inlinable @inline(__always) @_noLocks
  static func key(_ price: Int64, side: UInt32) -> Int64 { price ^ (0 &- Int64(side & 1)) }

  /// A side's sorted array; its first `levels` elements mean something.
  @inlinable @inline(__always) @_noLocks
  func array(_ side: UnsafeMutablePointer<SideEntry>) -> LevelArray {
    arrays.array(side)
  }

  /// The first index whose key is not below `key`, looked for from the best level on, where most searches end.
  @inlinable @inline(__always) @_noLocks
  static func lowerBound(_ keys: UnsafePointer<Int64>, count: Int, key: Int64) -> Int {
    var index = count
    let near = max(0, count &- 12)
    while index > near {
      if keys[index &- 1] < key { return index }
      index &-= 1
    }
    if index > 0 { return lowerBoundFar(keys, count: index, key: key) }
    return index
  }

  /// How many of the last eight keys are not below `key`.
  @inlinable @inline(__always) @_noLocks
  static func notBelow(_ keys: UnsafePointer<Int64>, count: Int, key: Int64) -> Int {
    guard count >= 8 else {
      var sum = 0
      while sum < count, keys[count &- 1 &- sum] >= key { sum &+= 1 }
      return sum
    }
    let best = keys + (count &- 8)
    var sum = oneIf(best[0] >= key)
    sum &+= oneIf(best[1] >= key)
    sum &+= oneIf(best[2] >= key)
    sum &+= oneIf(best[3] >= key)
    sum &+= oneIf(best[4] >= key)
    sum &+= oneIf(best[5] >= key)
    sum &+= oneIf(best[6] >= key)
    sum &+= oneIf(best[7] >= key)
    return sum
  }

  /// As ``lowerBound(_:count:key:)``, deep in a book: two windows of eight, each a cache line of keys, then doubling
  /// steps downwards and halving.
  @usableFromInline @inline(never) @_noLocks
  static func lowerBoundFar(_ keys: UnsafePointer<Int64>, count: Int, key: Int64) -> Int {
    var count = count &- notBelow(keys, count: count, key: key)
    if count == 0 || keys[count &- 1] < key { return count }
    count &-= notBelow(keys, count: count, key: key)
    if count == 0 || keys[count &- 1] < key { return count }
    // Doubling steps downwards, then halving without a branch that could be mispredicted.
    var step = 8
    var high = count
    while step < high, keys[high &- step] >= key {
      high &-= step
      step &*= 2
    }
    var low = step < high ? high &- step : 0
    var length = high &- low
    while length > 1 {
      let half = length &>> 1
      low &+= half & (0 &- oneIf(keys[low &+ half &- 1] < key))
      length &-= half
    }
    low &+= length & oneIf(keys[low] < key)
    return low
  }

  /// The index of a level that is there.
  @inlinable @inline(__always) @_noLocks
  static func index(of key: Int64, _ keys: UnsafePointer<Int64>, count: Int) -> Int {
    let index = lowerBound(keys, count: count, key: key)
    assert(index < count && keys[index] == key, "a live order's level is not there")
    return index
  }

  /// The level at a price, or nil.
  func find(side number: UInt32, price: Int64) -> (key: Int64, level: LevelEntry)? {
    let side = side(number)
    let count = Int(side.pointee.levels)
    if count == 0 { return nil }
    let array = array(side)
    let key = Self.key(price, side: number)
    let index = Self.lowerBound(array.keys, count: count, key: key)
    return index < count && array.keys[index] == key ? (key, array.levels[index]) : nil
  }

  /// The level at a distance from the best one (0 = the best), or nil.
  func level(side number: UInt32, depth: Int) -> (key: Int64, level: LevelEntry)? {
    let side = side(number)
    let count = Int(side.pointee.levels)
    guard depth >= 0, depth < count else { return nil }
    let index = count - 1 - depth
    return (array(side).keys[index], array(side).levels[index])
  }

  /// Makes a level at an index that ``lowerBound(_:count:key:)`` gave. The caller has seen room.
  @inlinable @inline(__always) @_noLocks
  mutating func insert(_ key: Int64, _ level: LevelEntry, at index: Int, side number: UInt32) {
    precondition(liveCount < capacity, "level store overfilled")
    arrays.insert(key, level, at: index, number, sides)
    liveCount &+= 1
  }

  /// Removes the level at an index.
  @inlinable @inline(__always) @_noLocks
  mutating func remove(at index: Int, side number: UInt32) {
    arrays.remove(at: index, side(number))
    liveCount &-= 1
  }

  /// Copies what a side's last level says to where the best prices are read.
  @inlinable @inline(__always) @_noLocks
  func refreshBest(side number: UInt32) {
    let side = side(number)
    let count = Int(side.pointee.levels)
    if count == 0 {
      side.pointee.bestPrice = 0
      side.pointee.bestSize = 0
    } else {
      let array = array(side)
      side.pointee.bestPrice = Self.key(array.keys[count &- 1], side: number)
      side.pointee.bestSize = array.levels[count &- 1].size
    }
  }

  /// What is wrong with the sorted arrays and their order, or nil. Slow.
  func checkInvariants() -> String? {
    var total = 0
    for number in 0..<UInt32(sideCount) {
      let side = side(number)
      let count = Int(side.pointee.levels)
      total += count
      if count > Int(side.pointee.units) * SortedArrayPool.unitEntries {
        return "side \(number): \(count) levels exceed its array"
      }
      for index in 0..<count where index > 0 {
        if array(side).keys[index - 1] >= array(side).keys[index] {
          return "side \(number): array not ascending at \(index)"
        }
      }
      let best = level(side: number, depth: 0)
      if side.pointee.bestPrice != best.map({ Self.key($0.key, side: number) }) ?? 0 {
        return "side \(number): cached best price is wrong"
      }
      if side.pointee.bestSize != best?.level.size ?? 0 { return "side \(number): cached best size is wrong" }
    }
    if total != liveCount { return "\(total) levels in the arrays, \(liveCount) counted" }
    return arrays.checkInvariants(sides, sideCount: sideCount)
  }
}
