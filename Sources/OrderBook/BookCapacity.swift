/// How much ``OrderBooks`` can hold. Memory is mapped and touched once from these numbers and never grows;
/// what does not fit is a ``BookRejection``.
public struct BookCapacity: Sendable, Equatable {
  /// Live orders over all instruments, 1...``ordersMax``.
  public var orders: Int
  /// Live price levels over all instruments and both sides, 1...``levelsMax``.
  public var levels: Int
  /// Instrument numbers 0..<instruments can have a book, 1...``instrumentsMax``.
  public var instruments: Int

  public static let ordersMax = 1 << 26
  public static let levelsMax = 1 << 28
  public static let instrumentsMax = 1 << 20

  public init(orders: Int = 2_000_000, levels: Int = 600_000, instruments: Int = 65_536) {
    self.orders = orders
    self.levels = levels
    self.instruments = instruments
  }

  /// What is wrong with these numbers, for a user; nil when ``OrderBooks`` accepts them.
  public var problem: String? {
    if !(1...Self.ordersMax).contains(orders) { return "orders must be 1...\(Self.ordersMax), not \(orders)" }
    if !(1...Self.levelsMax).contains(levels) { return "levels must be 1...\(Self.levelsMax), not \(levels)" }
    if !(1...Self.instrumentsMax).contains(instruments) {
      return "instruments must be 1...\(Self.instrumentsMax), not \(instruments)"
    }
    return nil
  }

  /// Bytes that ``OrderBooks`` maps for these numbers (which must have no ``problem``).
  public var memoryBytes: Int {
    OrderTable.memoryBytes(orders: orders)
      + LevelStore.memoryBytes(levels: levels, instruments: instruments)
  }
}
