/// What a sweep found wrong.
public enum BookViolation: UInt8, Error, Sendable, CaseIterable, BitwiseCopyable {
  /// A side's prices do not ascend towards the best.
  case levelOrder
  /// The best price or its size is not that of the best level.
  case cachedBest
  /// A level counts other orders than lie in its queue, or none.
  case orderCount
  /// A level's size is not the sum of its orders, or the sum does not fit.
  case levelSize
  /// A link of a queue leads elsewhere than back.
  case queueLinks
  /// An order says that it lies elsewhere, or has nothing left.
  case orderPlace
  /// An order is not found by its reference.
  case lookup

  /// The name used in every text and JSON output.
  public var name: String {
    switch self {
    case .levelOrder: "order of levels"
    case .cachedBest: "cached best prices"
    case .orderCount: "count of orders"
    case .levelSize: "size of a level"
    case .queueLinks: "links of a queue"
    case .orderPlace: "place of an order"
    case .lookup: "lookup by reference"
    }
  }
}

/// Checks the books' invariants a little at a time, round and round, for as long as they live. Each step looks at whole levels
/// as they are at that moment, so that what changes between two steps is never a false alarm. Allocates nothing, changes
/// nothing. Of a queue that is longer than a step's budget only the front is checked, and its sums are not.
public struct BookSweep: Sendable {
  /// Sides of books that were gone through, all in all.
  public private(set) var sides: UInt64 = 0
  public private(set) var levels: UInt64 = 0
  public private(set) var orders: UInt64 = 0
  /// How often all books were gone through.
  public private(set) var rounds: UInt64 = 0
  public private(set) var violations: UInt64 = 0
  /// The first one, and its instrument.
  public private(set) var firstViolation: BookViolation?
  public private(set) var firstInstrument: UInt32 = 0

  private var side: UInt32 = 0
  private var index = 0

  public init() {}

  /// Goes on where the step before ended.
  /// - Parameter budget: orders and empty sides to look at, about; some nanoseconds each, or a cache miss.
  @_noLocks
  public mutating func step(_ books: borrowing OrderBooks, budget: Int) {
    var left = budget
    while left > 0 {
      let count = Int(books.levels.side(side).pointee.levels)
      if index < count {
        left &-= check(books, limit: max(1, budget)) &+ 1
        index &+= 1
        continue
      }
      checkBest(books)
      sides &+= 1
      left &-= 1
      index = 0
      side &+= 1
      if Int(side) >= books.levels.sideCount {
        side = 0
        rounds &+= 1
        return
      }
    }
  }

  @_noLocks
  private mutating func note(_ violation: BookViolation) {
    violations &+= 1
    guard firstViolation == nil else { return }
    firstViolation = violation
    firstInstrument = side &>> 1
  }

  @_noLocks
  private mutating func checkBest(_ books: borrowing OrderBooks) {
    let entry = books.levels.side(side)
    let count = Int(entry.pointee.levels)
    guard count > 0 else {
      if entry.pointee.bestSize != 0 || entry.pointee.bestPrice != 0 { note(.cachedBest) }
      return
    }
    let array = books.levels.array(entry)
    let price = LevelStore.key(array.keys[count &- 1], side: side)
    if price != entry.pointee.bestPrice || array.levels[count &- 1].size != entry.pointee.bestSize {
      note(.cachedBest)
    }
  }

  /// The level at the index, its queue from the newest order back. Returns how many orders it looked at.
  @_noLocks
  private mutating func check(_ books: borrowing OrderBooks, limit: Int) -> Int {
    let array = books.levels.array(books.levels.side(side))
    let key = array.keys[index]
    let level = array.levels[index]
    levels &+= 1
    if index > 0, array.keys[index &- 1] >= key { note(.levelOrder) }
    var size: UInt64 = 0
    var count = 0
    var next = OrderTable.none
    var slot = level.tail
    while slot != OrderTable.none, count < limit, count <= Int(level.orders) {
      guard Int(slot) < books.orders.slotCount else {
        note(.queueLinks)
        return count
      }
      let order = books.orders[slot].pointee
      count &+= 1
      if order.quantity == 0 || order.side != side || LevelStore.key(order.price, side: side) != key {
        note(.orderPlace)
        return count
      }
      if order.next != next { note(.queueLinks) }
      if books.orders.find(order.reference) != slot { note(.lookup) }
      let (sum, overflow) = size.addingReportingOverflow(order.quantity)
      if overflow { note(.levelSize) }
      size = sum
      next = slot
      slot = order.previous
    }
    orders &+= UInt64(count)
    guard slot == OrderTable.none || count > Int(level.orders) else { return count }
    if count != Int(level.orders) || count == 0 { note(.orderCount) }
    if size != level.size { note(.levelSize) }
    return count
  }
}
