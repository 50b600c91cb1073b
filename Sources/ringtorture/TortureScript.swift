/// What the torture writes: length, content and place of every record follow from its number, so that a reader knows
/// at each moment which record has to come next, down to the last byte, and what a loss took from it.
enum TortureScript {
  private static let numberFactor: UInt64 = 0x9E37_79B9_7F4A_7C15
  private static let numberInverse: UInt64 = 0xF1DE_83E1_9937_733D
  private static let wordFactor: UInt64 = 0xBF58_476D_1CE4_E5B9
  /// Set in what a writer scribbles before the true content.
  static let poisonMark: UInt64 = 0x5555_5555_5555_5555

  /// Payload bytes of the record: 1...`limit`, mostly at most 120.
  @inline(__always)
  static func length(of number: UInt64, limit: Int) -> Int {
    var mixed = (number &+ 1) &* 0xD134_2543_DE82_EF95
    mixed ^= mixed >> 29
    mixed &*= 0x94D0_49BB_1331_11EB
    let range = mixed & 15 == 0 ? limit : min(limit, 120)
    return 1 &+ Int(truncatingIfNeeded: ((mixed >> 32) &* UInt64(truncatingIfNeeded: range)) >> 32)
  }

  /// The record kind of an incarnation's records: 1...254.
  static func kind(epoch: UInt64) -> UInt8 { UInt8(1 + epoch % 254) }

  /// The first word of the record's payload. Invertible, so that a wrong record says which one it is.
  @inline(__always)
  static func firstWord(of number: UInt64, kind: UInt8) -> UInt64 {
    (number << 8 | UInt64(kind)) &* numberFactor
  }

  /// The number whose first word this would be.
  static func number(firstWord: UInt64) -> UInt64 { (firstWord &* numberInverse) >> 8 }

  /// Fills a payload.
  @inline(__always)
  static func fill(_ payload: UnsafeMutableRawPointer, first: UInt64, bytes: Int) {
    var word = first
    var offset = 0
    while offset &+ 8 <= bytes {
      payload.storeBytes(of: word, toByteOffset: offset, as: UInt64.self)
      word &+= wordFactor
      offset &+= 8
    }
    while offset < bytes {
      payload.storeBytes(of: UInt8(truncatingIfNeeded: word), toByteOffset: offset, as: UInt8.self)
      word >>= 8
      offset &+= 1
    }
  }

  /// Whether the payload is what ``fill(_:first:bytes:)`` writes.
  @inline(__always)
  static func isFilled(_ payload: UnsafeRawPointer, first: UInt64, bytes: Int) -> Bool {
    var word = first
    var offset = 0
    var difference: UInt64 = 0
    while offset &+ 8 <= bytes {
      difference |= payload.loadUnaligned(fromByteOffset: offset, as: UInt64.self) ^ word
      word &+= wordFactor
      offset &+= 8
    }
    while offset < bytes {
      let byte = payload.load(fromByteOffset: offset, as: UInt8.self)
      difference |= UInt64(byte ^ UInt8(truncatingIfNeeded: word))
      word >>= 8
      offset &+= 1
    }
    return difference == 0
  }
}

/// A place in the stream: `number` is the next record, `position` the end of the one before, in cells. Where a record
/// lies follows from those before it: never across the end of a segment.
struct Walk: Equatable {
  var number: UInt64
  var position: UInt64
  let segmentCells: UInt64
  let limit: Int

  init(number: UInt64 = 0, position: UInt64 = 0, segmentCells: Int, limit: Int) {
    self.number = number
    self.position = position
    self.segmentCells = UInt64(segmentCells)
    self.limit = limit
  }

  var length: Int { TortureScript.length(of: number, limit: limit) }

  private var cells: UInt64 { UInt64(truncatingIfNeeded: (length &+ 71) >> 6) }

  @inline(__always)
  func segmentEnd(_ position: UInt64) -> UInt64 { (position | (segmentCells &- 1)) &+ 1 }

  /// Where the next record starts: here, or in the next segment.
  var start: UInt64 { start(cells: cells) }

  @inline(__always)
  private func start(cells: UInt64) -> UInt64 {
    let end = segmentEnd(position)
    return position &+ cells > end ? end : position
  }

  /// Behind the next record.
  @inline(__always)
  mutating func advance() {
    let cells = cells
    position = start(cells: cells) &+ cells
    number &+= 1
  }

  /// Behind the records up to `target`, which has to be an end or a start of one. False when it is neither.
  mutating func advance(to target: UInt64) -> Bool {
    while position < target {
      if start == target {
        position = target
        return true
      }
      advance()
    }
    return position == target
  }

  /// How many of the next `most` records fit into one batch of a ring of so many cells.
  func batch(most: Int, cells: Int) -> Int {
    var end = self
    var count = 0
    while count < most, end.claim &- position <= UInt64(cells) &- segmentCells {
      end.advance()
      count += 1
    }
    return count
  }

  /// The claim that the next record leads to: to the end of the segment of the cell behind it.
  var claim: UInt64 {
    let cells = cells
    return segmentEnd(start(cells: cells) &+ cells)
  }
}

/// A small seeded generator, so that a run can be repeated as far as the scheduler lets it.
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state = state &+ 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  /// Nanoseconds from 128 ns to 2 ms, each magnitude as likely as another.
  mutating func delay() -> UInt64 {
    let magnitude = UInt64.random(in: 7...20, using: &self)
    return UInt64.random(in: (1 << magnitude)..<(2 << magnitude), using: &self)
  }
}
