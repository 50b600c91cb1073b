import FeedWire
import StageRecords

/// Per instrument number: its definition, its trading state and whether its book can be believed. Instrument 0
/// stands for the whole channel: when it is stale, every instrument is. Fixed memory, made once. Not thread-safe.
public struct InstrumentTable: ~Copyable {
  /// Instrument numbers 0..<capacity exist: all that a stock locate can be.
  public static let capacity = 65_536

  private let definitions: UnsafeMutablePointer<InstrumentDefinition>
  private let statuses: UnsafeMutablePointer<TradingStatus>
  /// Raw value of the TrustReason and, above it, ``quarantineBit``; 0 = live. Apart, because every message looks here.
  private let reasons: UnsafeMutablePointer<UInt8>
  /// Instruments with a symbol.
  public private(set) var definedCount = 0

  init() {
    definitions = .allocate(capacity: Self.capacity)
    definitions.initialize(repeating: InstrumentDefinition(), count: Self.capacity)
    statuses = .allocate(capacity: Self.capacity)
    statuses.initialize(repeating: TradingStatus(), count: Self.capacity)
    reasons = .allocate(capacity: Self.capacity)
    reasons.initialize(repeating: 0, count: Self.capacity)
  }

  deinit {
    definitions.deallocate()
    statuses.deallocate()
    reasons.deallocate()
  }

  /// What the venue said about an instrument, or nil while there was no definition.
  public func definition(_ instrument: UInt32) -> InstrumentDefinition? {
    guard Int(instrument) < Self.capacity, definitions[Int(instrument)].symbol != 0 else { return nil }
    return definitions[Int(instrument)]
  }

  /// The symbol as it lies in the venue's messages (8 bytes, space padded), or nil while there was no
  /// definition.
  public func symbolField(_ instrument: UInt32) -> UInt64? { definition(instrument)?.symbol }

  /// The symbol as text, or nil while there was no definition.
  public func symbol(_ instrument: UInt32) -> String? {
    symbolField(instrument).map { ITCH50.text($0) }
  }

  /// The lowest instrument number with this symbol (without padding), or nil. Linear.
  public func instrument(symbol: String) -> UInt32? {
    guard let field = ITCH50.field(symbol) else { return nil }
    for instrument in 0..<Self.capacity where definitions[instrument].symbol == field {
      return UInt32(instrument)
    }
    return nil
  }

  /// What the venue last said about trading in an instrument; an instrument out of range was never heard of.
  public func tradingStatus(_ instrument: UInt32) -> TradingStatus {
    Int(instrument) < Self.capacity ? statuses[Int(instrument)] : TradingStatus()
  }

  /// Whether the instrument's book can be believed: neither it nor the channel is stale.
  public func trustState(_ instrument: UInt32) -> TrustState { isStale(instrument) ? .stale : .live }

  /// Why it is stale: the channel's reason when the channel is, else the instrument's own; `none` when live.
  public func trustReason(_ instrument: UInt32) -> TrustReason {
    TrustReason(rawValue: (reasons[0] != 0 ? reasons[0] : ownTrust(instrument)) & ~Self.quarantineBit)
      ?? .none
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

  /// Set beside the reason of an instrument in quarantine.
  static var quarantineBit: UInt8 { 0x80 }

  /// Whether the instrument is in quarantine: its book is empty, and messages about it are withheld from it.
  public func isQuarantined(_ instrument: UInt32) -> Bool {
    ownTrust(instrument) & Self.quarantineBit != 0
  }

  /// Instruments in quarantine.
  public var quarantinedCount: Int {
    var count = 0
    for instrument in 0..<Self.capacity where reasons[instrument] & Self.quarantineBit != 0 { count += 1 }
    return count
  }

  /// The instrument's own state, whatever the channel's is: raw value of a TrustReason and ``quarantineBit``.
  @inline(__always)
  func ownTrust(_ instrument: UInt32) -> UInt8 {
    Int(instrument) < Self.capacity ? reasons[Int(instrument)] : 0
  }

  /// - Parameter reason: raw value of a TrustReason; 0 makes the instrument live, and instrument 0 all of them.
  mutating func setTrust(_ instrument: UInt32, reason: UInt8, isQuarantined: Bool = false) {
    guard Int(instrument) < Self.capacity else { return }
    if instrument == 0 && reason == 0 { reasons.update(repeating: 0, count: Self.capacity) }
    reasons[Int(instrument)] = reason | (isQuarantined ? Self.quarantineBit : 0)
  }

  /// The channel is live, whatever its instruments are.
  mutating func setChannelLive() { reasons[0] = 0 }

  mutating func define(_ instrument: UInt32, _ definition: InstrumentDefinition) {
    guard Int(instrument) < Self.capacity else { return }
    definedCount &-= definitions[Int(instrument)].symbol != 0 ? 1 : 0
    definedCount &+= definition.symbol != 0 ? 1 : 0
    definitions[Int(instrument)] = definition
  }

  mutating func setStatus(_ instrument: UInt32, _ status: TradingStatus) {
    guard Int(instrument) < Self.capacity else { return }
    statuses[Int(instrument)] = status
  }

  /// Takes the body of a tradingState event: a trading action of the whole market, or an operational halt of one.
  mutating func note(_ instrument: UInt32, source: UInt8, state: UInt8, market: UInt8, reason: UInt32) {
    guard Int(instrument) < Self.capacity else { return }
    if source == 0x48 {  // H
      statuses[Int(instrument)].state = state
      statuses[Int(instrument)].reason = reason
    } else {
      statuses[Int(instrument)].setHalted(state == 0x48, market: market)
    }
  }
}

/// What the venue says about an instrument: the body of its definition event.
@frozen
public struct InstrumentDefinition: Sendable, Equatable {
  /// As it lies in the venue's messages: 8 bytes, space padded. 0 = there was no definition.
  public var symbol: UInt64 = 0
  /// The rest of the body, from its bytes 8 and 16 on, little-endian.
  public var details: UInt64 = 0
  public var moreDetails: UInt64 = 0

  public init() {}

  /// - Parameter body: 24 bytes, of any alignment.
  init(body: UnsafeRawPointer) {
    symbol = body.loadUnaligned(as: UInt64.self)
    details = UInt64(littleEndian: body.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    moreDetails = UInt64(littleEndian: body.loadUnaligned(fromByteOffset: 16, as: UInt64.self))
  }
}

/// What the venue says about trading in an instrument. Eight bytes.
@frozen
public struct TradingStatus: Sendable, Equatable {
  /// The venue's letter (ITCH: H halted, P paused, Q quotation only, T trading); 0 = nothing was said.
  public var state: UInt8 = 0
  /// Markets on which it is halted for operational reasons: bit 0 Nasdaq (Q), 1 BX (B), 2 PSX (X), 3 any other.
  public var haltedMarkets: UInt8 = 0
  public var zero: UInt16 = 0
  /// The reason's four letters as they lie in the message.
  public var reason: UInt32 = 0

  public init() {}

  mutating func setHalted(_ isHalted: Bool, market: UInt8) {
    let bit: UInt8 =
      switch market {
      case 0x51: 1
      case 0x42: 2
      case 0x58: 4
      default: 8
      }
    if isHalted { haltedMarkets |= bit } else { haltedMarkets &= ~bit }
  }
}
