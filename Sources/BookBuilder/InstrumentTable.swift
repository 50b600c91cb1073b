import FeedWire
import StageRecords

/// Per instrument number: its symbol and whether its book can be believed. Instrument 0 stands for the
/// whole channel: when it is stale, every instrument is. Fixed memory, made once. Not thread-safe.
public struct InstrumentTable: ~Copyable {
  /// Instrument numbers 0..<capacity exist: all that a stock locate can be.
  public static let capacity = 65_536

  private let symbols: UnsafeMutablePointer<UInt64>
  /// Raw value of the TrustReason; 0 = live.
  private let reasons: UnsafeMutablePointer<UInt8>
  /// Instruments with a symbol.
  public private(set) var definedCount = 0

  init() {
    symbols = .allocate(capacity: Self.capacity)
    symbols.initialize(repeating: 0, count: Self.capacity)
    reasons = .allocate(capacity: Self.capacity)
    reasons.initialize(repeating: 0, count: Self.capacity)
  }

  deinit {
    symbols.deallocate()
    reasons.deallocate()
  }

  /// The symbol as it lies in the venue's messages (8 bytes, space padded), or nil while there was no
  /// definition.
  public func symbolField(_ instrument: UInt32) -> UInt64? {
    guard Int(instrument) < Self.capacity, symbols[Int(instrument)] != 0 else { return nil }
    return symbols[Int(instrument)]
  }

  /// The symbol as text, or nil while there was no definition.
  public func symbol(_ instrument: UInt32) -> String? {
    symbolField(instrument).map { ITCH50.text($0) }
  }

  /// The lowest instrument number with this symbol (without padding), or nil. Linear.
  public func instrument(symbol: String) -> UInt32? {
    guard let field = ITCH50.field(symbol) else { return nil }
    for instrument in 0..<Self.capacity where symbols[instrument] == field { return UInt32(instrument) }
    return nil
  }

  /// Whether the instrument's book can be believed: neither it nor the channel is stale.
  public func trustState(_ instrument: UInt32) -> TrustState { isStale(instrument) ? .stale : .live }

  /// Why it is stale: the channel's reason when the channel is, else the instrument's own; `none` when live.
  public func trustReason(_ instrument: UInt32) -> TrustReason {
    let own = Int(instrument) < Self.capacity ? reasons[Int(instrument)] : 0
    return TrustReason(rawValue: reasons[0] != 0 ? reasons[0] : own) ?? .none
  }

  /// Instruments that are stale themselves, the channel (0) included.
  public var staleCount: Int {
    var count = 0
    for instrument in 0..<Self.capacity where reasons[instrument] != 0 { count += 1 }
    return count
  }

  func isStale(_ instrument: UInt32) -> Bool {
    reasons[0] != 0 || (Int(instrument) < Self.capacity && reasons[Int(instrument)] != 0)
  }

  /// - Parameter reason: raw value of a TrustReason; 0 makes the instrument live.
  mutating func setTrust(_ instrument: UInt32, reason: UInt8) {
    guard Int(instrument) < Self.capacity else { return }
    reasons[Int(instrument)] = reason
  }

  mutating func define(_ instrument: UInt32, symbolField: UInt64) {
    guard Int(instrument) < Self.capacity else { return }
    if symbols[Int(instrument)] == 0 && symbolField != 0 { definedCount &+= 1 }
    symbols[Int(instrument)] = symbolField
  }
}
