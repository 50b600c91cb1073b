/// The memory of the sorted level arrays: units of one cache line (four elements), arrays of a power of two
/// units. An array doubles when full and gives its upper half back at a quarter.
///
/// So an array of n levels has at most n units (or one, when it is empty), also while it grows, and a pool
/// of `levels + sides` units always has room in total. Freed arrays are kept by size and split; when no
/// free piece is large enough, the pool is compacted, after which the room lies in one piece. Compaction is
/// linear in the pool and needs a day of unlucky sizes, but it is bounded and allocates nothing.
struct SortedArrayPool: ~Copyable {
  /// Elements of a unit.
  static let unitEntries = 4
  private static let unitBytes = unitEntries * MemoryLayout<SortedLevel>.stride
  private static let none = UInt32.max
  private static let sizeClasses = 32

  private let memory: FixedMemory
  private let elements: UnsafeMutablePointer<SortedLevel>
  /// Per unit: book side + 1 where a side's array starts, else 0.
  private let owners: UnsafeMutablePointer<UInt32>
  /// Per size class: first unit of the first free piece; the next one's number lies in its first element.
  private let freePieces: UnsafeMutablePointer<UInt32>
  private let unitCount: Int
  /// Units from here on were never handed out since the last compaction.
  private var untouched = 0
  private(set) var compactionCount = 0

  private static func unitCount(levels: Int, sides: Int) -> Int { levels + sides }

  static func memoryBytes(levels: Int, sides: Int) -> Int {
    unitCount(levels: levels, sides: sides) * (unitBytes + 4) + sizeClasses * 4
  }

  init(levels: Int, sides: Int) {
    unitCount = Self.unitCount(levels: levels, sides: sides)
    memory = FixedMemory(bytes: Self.memoryBytes(levels: levels, sides: sides))
    elements = memory.base.bindMemory(to: SortedLevel.self, capacity: unitCount * Self.unitEntries)
    owners = (memory.base + unitCount * Self.unitBytes).bindMemory(to: UInt32.self, capacity: unitCount)
    freePieces = (memory.base + unitCount * (Self.unitBytes + 4))
      .bindMemory(to: UInt32.self, capacity: Self.sizeClasses)
    for sizeClass in 0..<Self.sizeClasses { freePieces[sizeClass] = Self.none }
  }

  @inline(__always)
  private func unit(_ number: UInt32) -> UnsafeMutablePointer<SortedLevel> {
    precondition(Int(number) < unitCount, "array unit out of range")
    return elements + Int(number) &* Self.unitEntries
  }

  /// A side's array; only its first `levels` elements mean anything. The side must have one.
  @inline(__always)
  @_noLocks
  func array(_ side: UnsafeMutablePointer<SideEntry>) -> UnsafeMutablePointer<SortedLevel> {
    unit(side.pointee.firstUnit)
  }

  /// Opens a place at `index`, growing the array when it is full. The caller counts the level afterwards.
  @inline(__always)
  @_noLocks
  mutating func insert(
    _ element: SortedLevel, at index: Int, _ number: UInt32, _ sides: UnsafeMutablePointer<SideEntry>
  ) {
    let side = sides + Int(number)
    let count = Int(side.pointee.levels)
    precondition(index >= 0 && index <= count, "array index out of range")
    if count == Int(side.pointee.units) &* Self.unitEntries { grow(number, sides) }
    let array = array(side)
    var place = count
    while place > index {
      array[place] = array[place &- 1]
      place &-= 1
    }
    array[index] = element
  }

  /// Closes the place at `index`, halving the array at a quarter. The caller counts the level afterwards.
  @inline(__always)
  @_noLocks
  mutating func remove(at index: Int, _ side: UnsafeMutablePointer<SideEntry>) {
    let last = Int(side.pointee.levels) &- 1
    precondition(index >= 0 && index <= last, "array index out of range")
    let array = array(side)
    var place = index
    while place < last {
      array[place] = array[place &+ 1]
      place &+= 1
    }
    // `last` elements stay. At exactly a quarter the lower half is again half empty.
    if side.pointee.units > 1 && last <= Int(side.pointee.units) {
      side.pointee.units /= 2
      free(side.pointee.firstUnit &+ side.pointee.units, units: side.pointee.units)
    }
  }

  private mutating func grow(_ number: UInt32, _ sides: UnsafeMutablePointer<SideEntry>) {
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
    memory.base.advanced(by: to * Self.unitBytes)
      .copyMemory(from: memory.base + from * Self.unitBytes, byteCount: units * Self.unitBytes)
  }

  @inline(__always)
  private func sizeClass(_ units: UInt32) -> Int { units.trailingZeroBitCount }

  private mutating func free(_ first: UInt32, units: UInt32) {
    unit(first).pointee.key = Int64(freePieces[sizeClass(units)])
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
    freePieces[sizeClass] = UInt32(truncatingIfNeeded: unit(piece).pointee.key)
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
        piece = UInt32(truncatingIfNeeded: unit(piece).pointee.key)
      }
    }
    for unit in 0..<untouched where !covered[unit] { return "unit \(unit) is lost" }
    return nil
  }
}
