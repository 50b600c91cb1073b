/// Draws instruments with the popularity of a real market: the one of rank r has weight 1 / (r + 10).
///
/// Walker's alias method in integers: one random number and two table reads a draw, and the same draw on
/// every machine. The shift of 10 keeps the first instrument near 1.5 % of the flow of 8_000 instruments,
/// where a pure 1 / r would give it 10 %.
struct ZipfTable: ~Copyable {
  private struct Column {
    /// Share of the column that belongs to its own entry, in 1/2^32.
    var share: UInt32
    var own: UInt32
    var alias: UInt32
  }
  private let columns: UnsafeMutablePointer<Column>
  private let count: Int

  /// - Parameter order: the entry at each rank, most popular first; not empty
  init(order: [UInt32]) {
    precondition(!order.isEmpty)
    count = order.count
    columns = .allocate(capacity: order.count)
    let weights = order.indices.map { (1 << 40) / UInt64($0 + 10) }
    let total = weights.reduce(0, +)
    // In each column `total` parts fit; a rank of weight w brings w * count parts.
    var parts = weights.map { $0 * UInt64(order.count) }
    var small = parts.indices.filter { parts[$0] < total }
    var large = parts.indices.filter { parts[$0] >= total }
    for index in parts.indices {
      columns[index] = Column(share: .max, own: order[index], alias: order[index])
    }
    while let poor = small.popLast(), let rich = large.last {
      columns[poor].share = UInt32(truncatingIfNeeded: min((parts[poor] << 16) / (total >> 16), 0xFFFF_FFFF))
      columns[poor].alias = order[rich]
      parts[rich] -= total - parts[poor]
      if parts[rich] < total {
        large.removeLast()
        small.append(rich)
      }
    }
  }

  deinit { columns.deallocate() }

  /// An entry, drawn by popularity.
  @inline(__always)
  func draw(_ random: inout SeededRandom) -> Int {
    let (index, fraction) = random.next().multipliedFullWidth(by: UInt64(truncatingIfNeeded: count))
    let column = columns[Int(truncatingIfNeeded: index)]
    let mine = UInt32(truncatingIfNeeded: fraction >> 32) < column.share
    return Int(truncatingIfNeeded: mine ? column.own : column.alias)
  }
}
