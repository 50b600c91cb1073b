/// The memory of the sorted level arrays: units of four elements, arrays of a power of two
/// units. An array doubles when full and gives its upper half back at a quarter.
///
/// So an array of n levels has at most n units (or one, when it is empty), also while it grows, and a pool
/// of `levels + sides` units always has room in total. Freed arrays are kept by size and split; when no
/// free piece is large enough, the pool is compacted, after which the room lies in one piece. Compaction is
/// linear in the pool and needs a day of unlucky sizes, but it is bounded and allocates nothing.
@usableFromInline @frozen
struct SortedArrayPool {
  /// Elements of a unit.
  @inlinable static var unitEntries: Int { @_noLocks get { 4 } }
  private static var none: UInt32 { @_noLocks get { UInt32.max } }
  private static var sizeClasses: Int { @_noLocks get { 32 } }

  @usableFromInline let keys: UnsafeMutablePointer<Int64>
  @usableFromInline let elements: UnsafeMutablePointer<LevelEntry>
  /// Per unit: book side + 1 where a side's array starts, else 0.
  @usableFromInline let owners: UnsafeMutablePointer<UInt32>
  /// Per size class: first unit of the first free piece; the next one's number lies in its first key.
  @usableFromInline let freePieces: UnsafeMutablePointer<UInt32>
  @usableFromInline let unitCount: Int
  /// Units from here on were never handed out since the last compaction.
  @usableFromInline var untouched = 0
  @usableFromInline var compactionCount = 0

  private static func unitCount(levels: Int, sides: Int) -> Int { levels + sides }

  static func memoryBytes(levels: Int, sides: Int) -> Int {
    MemoryPieces.bytes(Int64.self, unitCount(levels: levels, sides: sides) * unitEntries)
      + MemoryPieces.bytes(LevelEntry.self, unitCount(levels: levels, sides: sides) * unitEntries)
      + MemoryPieces.bytes(UInt32.self, unitCount(levels: levels, sides: sides))
      + MemoryPieces.bytes(UInt32.self, sizeClasses)
  }

  init(levels: Int, sides: Int, _ pieces: inout MemoryPieces) {
    unitCount = Self.unitCount(levels: levels, sides: sides)
    keys = pieces.take(Int64.self, unitCount * Self.unitEntries)
    elements = pieces.take(LevelEntry.self, unitCount * Self.unitEntries)
    owners = pieces.take(UInt32.self, unitCount)
    freePieces = pieces.take(UInt32.self, Self.sizeClasses)
    for sizeClass in 0..<Self.sizeClasses { freePieces[sizeClass] = Self.none }
  }

  /// The first key of a unit.
  @inlinable @inline(__always) @_noLocks
  func unit(_ number: UInt32) -> UnsafeMutablePointer<Int64> {
    assert(Int(number) < unitCount, "array unit out of range")
    return keys + Int(number) &* Self.unitEntries
  }

  /// A side's array; only its first `levels` elements mean anything. Without one: some other array.
  @inlinable @inline(__always) @_noLocks
  func array(_ side: UnsafeMutablePointer<SideEntry>) -> LevelArray {
    let first = Int(side.pointee.firstUnit) &* Self.unitEntries
    return LevelArray(keys: keys + first, levels: elements + first)
  }

  /// Puts an element at `index`, growing the array when it is full, and counts it.
  @inlinable @inline(__always) @_noLocks
  mutating func insert(
    _ key: Int64, _ level: LevelEntry, at index: Int, _ number: UInt32,
    _ sides: UnsafeMutablePointer<SideEntry>
  ) {
    let side = sides + Int(number)
    let count = Int(side.pointee.levels)
    precondition(index >= 0 && index <= count, "array index out of range")
    if count == Int(side.pointee.units) &* Self.unitEntries { grow(number, sides) }
    let array = array(side)
    var place = count
    while place > index {
      array.keys[place] = array.keys[place &- 1]
      array.levels[place] = array.levels[place &- 1]
      place &-= 1
    }
    array.keys[index] = key
    array.levels[index] = level
    side.pointee.levels = UInt32(truncatingIfNeeded: count &+ 1)
  }

  /// Takes the element at `index` out, halving the array at a quarter, and counts it.
  @inlinable @inline(__always) @_noLocks
  mutating func remove(at index: Int, _ side: UnsafeMutablePointer<SideEntry>) {
    let last = Int(side.pointee.levels) &- 1
    precondition(index >= 0 && index <= last, "array index out of range")
    let array = array(side)
    var place = index
    while place < last {
      array.keys[place] = array.keys[place &+ 1]
      array.levels[place] = array.levels[place &+ 1]
      place &+= 1
    }
    side.pointee.levels = UInt32(truncatingIfNeeded: last)
    // At exactly a quarter the lower half is again half empty.
    if last <= Int(side.pointee.units) && side.pointee.units > 1 { shrink(side) }
  }

  @usableFromInline @inline(never) @_noLocks
  mutating func shrink(_ side: UnsafeMutablePointer<SideEntry>) {
    side.pointee.units /= 2
    free(side.pointee.firstUnit &+ side.pointee.units, units: side.pointee.units)
  }

  @usableFromInline @inline(never) @_noLocks
  mutating func grow(_ number: UInt32, _ sides: UnsafeMutablePointer<SideEntry>) {
    let side = sides + Int(number)
    let oldUnits = side.pointee.units
    let newUnits = oldUnits == 0 ? 1 : oldUnits &* 2
    let newFirst = allocate(units: newUnits, sides)
    owners[Int(newFirst)] = number &+ 1
    if oldUnits != 0 {
      // Read only now: a compaction moves the array.
      let oldFirst = side.pointee.firstUnit
      copyUnits(from: Int(oldFirst), to: Int(newFirst), units: Int(oldUnits))
      owners[Int(oldFirst)] = 0
      free(oldFirst, units: oldUnits)
    }
    side.pointee.firstUnit = newFirst
    side.pointee.units = newUnits
  }

  /// The ranges may overlap.
  private func copyUnits(from: Int, to: Int, units: Int) {
    let entries = units * Self.unitEntries
    UnsafeMutableRawPointer(keys + to * Self.unitEntries)
      .copyMemory(from: keys + from * Self.unitEntries, byteCount: entries * MemoryLayout<Int64>.stride)
    UnsafeMutableRawPointer(elements + to * Self.unitEntries)
      .copyMemory(
        from: elements + from * Self.unitEntries, byteCount: entries * MemoryLayout<LevelEntry>.stride)
  }

  @inline(__always)
  private func sizeClass(_ units: UInt32) -> Int { units.trailingZeroBitCount }

  private mutating func free(_ first: UInt32, units: UInt32) {
    unit(first).pointee = Int64(freePieces[sizeClass(units)])
    freePieces[sizeClass(units)] = first
  }

  private mutating func allocate(units: UInt32, _ sides: UnsafeMutablePointer<SideEntry>) -> UInt32 {
    if let piece = takeFree(units: units) ?? takeUntouched(units: units) { return piece }
    compact(sides)
    guard let piece = takeUntouched(units: units) else {
      preconditionFailure("level arrays exceed the pool that is sized for them")
    }
    return piece
  }

  private mutating func takeFree(units: UInt32) -> UInt32? {
    var sizeClass = sizeClass(units)
    while sizeClass < Self.sizeClasses, freePieces[sizeClass] == Self.none { sizeClass += 1 }
    guard sizeClass < Self.sizeClasses else { return nil }
    let piece = freePieces[sizeClass]
    freePieces[sizeClass] = UInt32(truncatingIfNeeded: unit(piece).pointee)
    var pieceUnits = UInt32(1) &<< UInt32(sizeClass)
    while pieceUnits > units {
      pieceUnits /= 2
      free(piece &+ pieceUnits, units: pieceUnits)
    }
    return piece
  }

  private mutating func takeUntouched(units: UInt32) -> UInt32? {
    guard untouched + Int(units) <= unitCount else { return nil }
    let piece = UInt32(truncatingIfNeeded: untouched)
    untouched += Int(units)
    return piece
  }

  /// Moves every array down, in the order in which they lie, and forgets the free pieces between them.
  private mutating func compact(_ sides: UnsafeMutablePointer<SideEntry>) {
    var from = 0
    var to = 0
    while from < untouched {
      let owner = owners[from]
      guard owner != 0 else {
        from += 1
        continue
      }
      let side = sides + Int(owner - 1)
      let units = Int(side.pointee.units)
      if from != to {
        copyUnits(from: from, to: to, units: units)
        owners[from] = 0
        owners[to] = owner
        side.pointee.firstUnit = UInt32(truncatingIfNeeded: to)
      }
      from += units
      to += units
    }
    untouched = to
    for sizeClass in 0..<Self.sizeClasses { freePieces[sizeClass] = Self.none }
    compactionCount += 1
  }

  /// Whether the arrays and the free pieces cover the handed-out units exactly once; else what is wrong.
  func checkInvariants(_ sides: UnsafeMutablePointer<SideEntry>, sideCount: Int) -> String? {
    var covered = [Bool](repeating: false, count: unitCount)
    func cover(_ first: UInt32, _ units: Int, _ what: String) -> String? {
      for unit in Int(first)..<Int(first) + units {
        if unit >= untouched { return "\(what) lies beyond the handed-out units" }
        if covered[unit] { return "\(what) overlaps another piece at unit \(unit)" }
        covered[unit] = true
      }
      return nil
    }
    for number in 0..<sideCount where sides[number].units != 0 {
      let side = sides[number]
      if owners[Int(side.firstUnit)] != UInt32(number + 1) { return "array of side \(number) is not owned" }
      if Int(side.units) > max(1, Int(side.levels)) { return "array of side \(number) is too large" }
      if let problem = cover(side.firstUnit, Int(side.units), "array of side \(number)") { return problem }
    }
    for sizeClass in 0..<Self.sizeClasses {
      var piece = freePieces[sizeClass]
      while piece != Self.none {
        if let problem = cover(piece, 1 << sizeClass, "free piece \(piece)") { return problem }
        piece = UInt32(truncatingIfNeeded: unit(piece).pointee)
      }
    }
    for unit in 0..<untouched where !covered[unit] { return "unit \(unit) is lost" }
    return nil
  }
}
