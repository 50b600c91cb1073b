// What the venue says about instruments, participants, auctions and itself; none of it touches a book.

extension ITCH50 {
  /// `S`: System event.
  @frozen
  public struct SystemEvent: ITCH50View {
    public let base: UnsafeRawPointer
    @inlinable public static var messageType: MessageType { .systemEvent }
    @inlinable public init(base: UnsafeRawPointer) { self.base = base }

    /// `O` start of messages, `S` start of system hours, `Q` start of market hours, `M` end of market hours, `E` end of system hours, `C` end of messages.
    @inlinable public var event: UInt8 { ITCH50.uint8(base, 11) }
  }

  /// `R`: Stock directory: which symbol a locate code stands for today.
  @frozen
  public struct StockDirectory: ITCH50View {
    public let base: UnsafeRawPointer
    @inlinable public static var messageType: MessageType { .stockDirectory }
    @inlinable public init(base: UnsafeRawPointer) { self.base = base }

    /// Symbol.
    @inlinable public var stock: UInt64 { ITCH50.alpha8(base, 11) }

    /// Listing market letter.
    @inlinable public var marketCategory: UInt8 { ITCH50.uint8(base, 19) }

    /// Financial status letter.
    @inlinable public var financialStatus: UInt8 { ITCH50.uint8(base, 20) }

    /// Shares in a round lot.
    @inlinable public var roundLot: UInt32 { ITCH50.uint32(base, 21) }

    /// `Y` / `N`.
    @inlinable public var roundLotsOnly: UInt8 { ITCH50.uint8(base, 25) }

    /// Security class letter.
    @inlinable public var issueClass: UInt8 { ITCH50.uint8(base, 26) }

    /// Two letters, the first in the high byte.
    @inlinable public var issueSubType: UInt16 { ITCH50.uint16(base, 27) }

    /// `P` live, `T` test.
    @inlinable public var authenticity: UInt8 { ITCH50.uint8(base, 29) }

    /// `Y` / `N` / space.
    @inlinable public var shortSaleThreshold: UInt8 { ITCH50.uint8(base, 30) }

    /// `Y` / `N` / space.
    @inlinable public var ipoFlag: UInt8 { ITCH50.uint8(base, 31) }

    /// `1` / `2` / space.
    @inlinable public var luldTier: UInt8 { ITCH50.uint8(base, 32) }

    /// `Y` / `N` / space.
    @inlinable public var etpFlag: UInt8 { ITCH50.uint8(base, 33) }

    /// Leverage factor.
    @inlinable public var etpLeverage: UInt32 { ITCH50.uint32(base, 34) }

    /// `Y` / `N`.
    @inlinable public var inverse: UInt8 { ITCH50.uint8(base, 38) }
  }

  /// `H`: Trading state of a stock.
  @frozen
  public struct StockTradingAction: ITCH50View {
    public let base: UnsafeRawPointer
    @inlinable public static var messageType: MessageType { .stockTradingAction }
    @inlinable public init(base: UnsafeRawPointer) { self.base = base }

    /// Symbol.
    @inlinable public var stock: UInt64 { ITCH50.alpha8(base, 11) }

    /// `H` halted, `P` paused, `Q` quotation only, `T` trading.
    @inlinable public var state: UInt8 { ITCH50.uint8(base, 19) }

    /// Reason code, four letters as they lie in memory.
    @inlinable public var reason: UInt32 { ITCH50.alpha4(base, 21) }
  }

  /// `Y`: Short sale price test restriction.
  @frozen
  public struct ShortSaleRestriction: ITCH50View {
    public let base: UnsafeRawPointer
    @inlinable public static var messageType: MessageType { .shortSaleRestriction }
    @inlinable public init(base: UnsafeRawPointer) { self.base = base }

    /// Symbol.
    @inlinable public var stock: UInt64 { ITCH50.alpha8(base, 11) }

    /// `0` none, `1` in effect since today, `2` remains in effect.
    @inlinable public var action: UInt8 { ITCH50.uint8(base, 19) }
  }

  /// `L`: State of a market participant in a stock.
  @frozen
  public struct MarketParticipantPosition: ITCH50View {
    public let base: UnsafeRawPointer
    @inlinable public static var messageType: MessageType { .marketParticipantPosition }
    @inlinable public init(base: UnsafeRawPointer) { self.base = base }

    /// Firm, four letters as they lie in memory.
    @inlinable public var participant: UInt32 { ITCH50.alpha4(base, 11) }

    /// Symbol.
    @inlinable public var stock: UInt64 { ITCH50.alpha8(base, 15) }

    /// `Y` / `N`.
    @inlinable public var primaryMarketMaker: UInt8 { ITCH50.uint8(base, 23) }

    /// `N` `P` `S` `R` `L`.
    @inlinable public var marketMakerMode: UInt8 { ITCH50.uint8(base, 24) }

    /// `A` `E` `W` `S` `D`.
    @inlinable public var state: UInt8 { ITCH50.uint8(base, 25) }
  }

  /// `V`: Decline levels of the market-wide circuit breaker; prices in 1/100000000.
  @frozen
  public struct MarketWideBreakerLevels: ITCH50View {
    public let base: UnsafeRawPointer
    @inlinable public static var messageType: MessageType { .marketWideBreakerLevels }
    @inlinable public init(base: UnsafeRawPointer) { self.base = base }

    /// Level 1 breach value.
    @inlinable public var level1: UInt64 { ITCH50.uint64(base, 11) }

    /// Level 2 breach value.
    @inlinable public var level2: UInt64 { ITCH50.uint64(base, 19) }

    /// Level 3 breach value.
    @inlinable public var level3: UInt64 { ITCH50.uint64(base, 27) }
  }

  /// `W`: A level of the market-wide circuit breaker was breached.
  @frozen
  public struct MarketWideBreakerStatus: ITCH50View {
    public let base: UnsafeRawPointer
    @inlinable public static var messageType: MessageType { .marketWideBreakerStatus }
    @inlinable public init(base: UnsafeRawPointer) { self.base = base }

    /// `1` / `2` / `3`.
    @inlinable public var level: UInt8 { ITCH50.uint8(base, 11) }
  }

  /// `K`: Quotation release of an initial offering.
  @frozen
  public struct QuotingPeriodUpdate: ITCH50View {
    public let base: UnsafeRawPointer
    @inlinable public static var messageType: MessageType { .quotingPeriodUpdate }
    @inlinable public init(base: UnsafeRawPointer) { self.base = base }

    /// Symbol.
    @inlinable public var stock: UInt64 { ITCH50.alpha8(base, 11) }

    /// SECONDS since midnight.
    @inlinable public var releaseTime: UInt32 { ITCH50.uint32(base, 19) }

    /// `A` anticipated, `C` cancelled or postponed.
    @inlinable public var qualifier: UInt8 { ITCH50.uint8(base, 23) }

    /// Offering price. In 1/10000.
    @inlinable public var price: UInt32 { ITCH50.uint32(base, 24) }
  }

  /// `J`: Collar of the auction after a limit-up/limit-down pause.
  @frozen
  public struct AuctionCollar: ITCH50View {
    public let base: UnsafeRawPointer
    @inlinable public static var messageType: MessageType { .auctionCollar }
    @inlinable public init(base: UnsafeRawPointer) { self.base = base }

    /// Symbol.
    @inlinable public var stock: UInt64 { ITCH50.alpha8(base, 11) }

    /// Reference price. In 1/10000.
    @inlinable public var referencePrice: UInt32 { ITCH50.uint32(base, 19) }

    /// Upper collar. In 1/10000.
    @inlinable public var upperPrice: UInt32 { ITCH50.uint32(base, 23) }

    /// Lower collar. In 1/10000.
    @inlinable public var lowerPrice: UInt32 { ITCH50.uint32(base, 27) }

    /// Number of extensions.
    @inlinable public var extensions: UInt32 { ITCH50.uint32(base, 31) }
  }

  /// `h`: Halt of a stock on one market.
  @frozen
  public struct OperationalHalt: ITCH50View {
    public let base: UnsafeRawPointer
    @inlinable public static var messageType: MessageType { .operationalHalt }
    @inlinable public init(base: UnsafeRawPointer) { self.base = base }

    /// Symbol.
    @inlinable public var stock: UInt64 { ITCH50.alpha8(base, 11) }

    /// `Q` Nasdaq, `B` BX, `X` PSX.
    @inlinable public var market: UInt8 { ITCH50.uint8(base, 19) }

    /// `H` halted, `T` resumed.
    @inlinable public var action: UInt8 { ITCH50.uint8(base, 20) }
  }

  /// `I`: Imbalance before an auction.
  @frozen
  public struct NetOrderImbalance: ITCH50View {
    public let base: UnsafeRawPointer
    @inlinable public static var messageType: MessageType { .netOrderImbalance }
    @inlinable public init(base: UnsafeRawPointer) { self.base = base }

    /// Paired shares.
    @inlinable public var pairedShares: UInt64 { ITCH50.uint64(base, 11) }

    /// Unpaired shares.
    @inlinable public var imbalanceShares: UInt64 { ITCH50.uint64(base, 19) }

    /// `B` `S` `N` `O` `P`.
    @inlinable public var direction: UInt8 { ITCH50.uint8(base, 27) }

    /// Symbol.
    @inlinable public var stock: UInt64 { ITCH50.alpha8(base, 28) }

    /// Far clearing price. In 1/10000.
    @inlinable public var farPrice: UInt32 { ITCH50.uint32(base, 36) }

    /// Near clearing price. In 1/10000.
    @inlinable public var nearPrice: UInt32 { ITCH50.uint32(base, 40) }

    /// Current reference price. In 1/10000.
    @inlinable public var referencePrice: UInt32 { ITCH50.uint32(base, 44) }

    /// `O` `C` `H` `A`.
    @inlinable public var crossType: UInt8 { ITCH50.uint8(base, 48) }

    /// Deviation letter.
    @inlinable public var variation: UInt8 { ITCH50.uint8(base, 49) }
  }

  /// `N`: Retail price improvement interest.
  @frozen
  public struct RetailInterest: ITCH50View {
    public let base: UnsafeRawPointer
    @inlinable public static var messageType: MessageType { .retailInterest }
    @inlinable public init(base: UnsafeRawPointer) { self.base = base }

    /// Symbol.
    @inlinable public var stock: UInt64 { ITCH50.alpha8(base, 11) }

    /// `B` `S` `A` `N`.
    @inlinable public var interest: UInt8 { ITCH50.uint8(base, 19) }
  }

  /// `O`: Direct listing with capital raise.
  @frozen
  public struct DirectListing: ITCH50View {
    public let base: UnsafeRawPointer
    @inlinable public static var messageType: MessageType { .directListing }
    @inlinable public init(base: UnsafeRawPointer) { self.base = base }

    /// Symbol.
    @inlinable public var stock: UInt64 { ITCH50.alpha8(base, 11) }

    /// `Y` / `N`.
    @inlinable public var eligible: UInt8 { ITCH50.uint8(base, 19) }

    /// Lowest price of the registration. In 1/10000.
    @inlinable public var minimumPrice: UInt32 { ITCH50.uint32(base, 20) }

    /// Highest price of the registration. In 1/10000.
    @inlinable public var maximumPrice: UInt32 { ITCH50.uint32(base, 24) }

    /// Near execution price. In 1/10000.
    @inlinable public var nearPrice: UInt32 { ITCH50.uint32(base, 28) }

    /// Near execution time.
    @inlinable public var nearTime: UInt64 { ITCH50.uint64(base, 32) }

    /// Lower collar. In 1/10000.
    @inlinable public var lowerPrice: UInt32 { ITCH50.uint32(base, 40) }

    /// Upper collar. In 1/10000.
    @inlinable public var upperPrice: UInt32 { ITCH50.uint32(base, 44) }
  }
}
