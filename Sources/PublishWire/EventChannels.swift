import StageRecords

/// The parts of the stream that a client can ask for, as a bit set.
public struct EventChannels: OptionSet, Sendable, Hashable {
  public let rawValue: UInt8
  @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// Adds, reductions, deletions and executions of single orders.
  public static let orders = EventChannels(rawValue: 0x01)
  /// The size of a price level after each change.
  public static let levels = EventChannels(rawValue: 0x02)
  /// Best bid and offer after each change.
  public static let bbo = EventChannels(rawValue: 0x04)
  /// Executions of displayed orders, trades against hidden ones, crosses, broken trades.
  public static let trades = EventChannels(rawValue: 0x08)
  /// Trading states and venue notices.
  public static let status = EventChannels(rawValue: 0x10)
  /// Instrument definitions.
  public static let defs = EventChannels(rawValue: 0x20)

  /// Trust, gaps and the end of the session: delivered to every subscription of the instrument.
  public static let always = EventChannels(rawValue: 0x80)

  /// Every channel there is, and what always comes.
  static let everything: UInt8 = named.reduce(always) { $0.union($1.channel) }.rawValue

  /// Names in requests and in the hello, in the order of the bits.
  public static let named: [(name: String, channel: EventChannels)] = [
    ("orders", .orders), ("levels", .levels), ("bbo", .bbo), ("trades", .trades), ("status", .status),
    ("defs", .defs),
  ]

  /// The channels that carry events of a kind; none for an unknown kind.
  @inlinable @inline(__always)
  public static func carrying(_ kind: UInt8) -> EventChannels {
    switch kind {
    case 1: .defs
    case 2, 3, 4: .orders
    case 5: [.orders, .trades]
    case 6: .levels
    case 7: .bbo
    case 8, 9: .trades
    case 10, 11: .status
    case 12, 13, 14: .always
    default: []
    }
  }
}
