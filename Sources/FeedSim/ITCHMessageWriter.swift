/// The 11 bytes that every ITCH 5.0 message starts with, but for the type letter.
@frozen
public struct ITCHHeader: Sendable {
  /// Stock locate; 0 = not about one stock.
  public var locate: UInt16
  /// Nasdaq's internal tracking number.
  public var tracking: UInt16
  /// Nanoseconds since midnight; 48 bits are sent.
  public var timestamp: UInt64

  @inlinable
  public init(locate: UInt16, tracking: UInt16 = 0, timestamp: UInt64) {
    self.locate = locate
    self.tracking = tracking
    self.timestamp = timestamp
  }
}

/// Text of a fixed width inside a message: ASCII, left-justified, padded with spaces, as a big-endian number.
public enum ITCHText {
  /// Eight characters (a stock symbol); longer text is cut, shorter text padded.
  public static func eight(_ text: String) -> UInt64 {
    var packed: UInt64 = 0
    var left = 8
    for byte in text.utf8.prefix(8) {
      packed = packed << 8 | UInt64(byte)
      left -= 1
    }
    while left > 0 {
      packed = packed << 8 | 0x20
      left -= 1
    }
    return packed
  }

  /// Four characters (a market participant, a reason code); longer text is cut, shorter text padded.
  public static func four(_ text: String) -> UInt32 {
    UInt32(truncatingIfNeeded: eight(String(text.prefix(4))) >> 32)
  }
}

/// The constant descriptive fields of a stock directory message (`R`).
public struct ITCHStockDirectory: Sendable {
  public var stock: UInt64
  public var marketCategory = UInt8(ascii: "Q")
  public var financialStatus = UInt8(ascii: "N")
  public var roundLot: UInt32 = 100
  public var roundLotsOnly = UInt8(ascii: "N")
  public var issueClass = UInt8(ascii: "C")
  public var issueSubType: (UInt8, UInt8) = (UInt8(ascii: "Z"), UInt8(ascii: " "))
  public var authenticity = UInt8(ascii: "P")
  public var shortSaleThreshold = UInt8(ascii: "N")
  public var initialOffering = UInt8(ascii: "N")
  public var limitUpLimitDownTier = UInt8(ascii: "1")
  public var exchangeTraded = UInt8(ascii: "N")
  public var leverage: UInt32 = 0
  public var inverse = UInt8(ascii: "N")

  public init(stock: UInt64) { self.stock = stock }
}

/// Writes every message type of TotalView-ITCH 5.0, big-endian, without a length prefix.
///
/// Each function writes one message at `target`, which must have ``maximumBytes`` writable bytes and needs no
/// alignment, and returns the message's length. Prices are in 1/10000 (in `V` 1/100000000), symbols and other
/// text as packed by ``ITCHText``, letters as ASCII codes.
public enum ITCHMessageWriter {
  /// The longest message (`I`).
  public static let maximumBytes = 50

  @inlinable @inline(__always)
  static func header(_ type: UInt8, _ header: ITCHHeader, _ target: UnsafeMutableRawPointer) {
    target.storeBytes(of: type, as: UInt8.self)
    put16(header.locate, 1, target)
    put16(header.tracking, 3, target)
    put16(UInt16(truncatingIfNeeded: header.timestamp >> 32), 5, target)
    put32(UInt32(truncatingIfNeeded: header.timestamp), 7, target)
  }
  @inlinable @inline(__always)
  static func put8(_ value: UInt8, _ offset: Int, _ target: UnsafeMutableRawPointer) {
    target.storeBytes(of: value, toByteOffset: offset, as: UInt8.self)
  }
  @inlinable @inline(__always)
  static func put16(_ value: UInt16, _ offset: Int, _ target: UnsafeMutableRawPointer) {
    target.storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt16.self)
  }
  @inlinable @inline(__always)
  static func put32(_ value: UInt32, _ offset: Int, _ target: UnsafeMutableRawPointer) {
    target.storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt32.self)
  }
  @inlinable @inline(__always)
  static func put64(_ value: UInt64, _ offset: Int, _ target: UnsafeMutableRawPointer) {
    target.storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt64.self)
  }
}

/// Orders and trades.
extension ITCHMessageWriter {
  /// `A`: an order joins the book. `side` is `B` or `S`.
  @inlinable @inline(__always) @discardableResult
  public static func addOrder(
    _ message: ITCHHeader, reference: UInt64, side: UInt8, shares: UInt32, stock: UInt64, price: UInt32,
    to target: UnsafeMutableRawPointer
  ) -> Int {
    header(UInt8(ascii: "A"), message, target)
    put64(reference, 11, target)
    put8(side, 19, target)
    put32(shares, 20, target)
    put64(stock, 24, target)
    put32(price, 32, target)
    return 36
  }

  /// `F`: as `A`, attributed to a market participant.
  @inlinable @inline(__always) @discardableResult
  public static func addAttributedOrder(
    _ message: ITCHHeader, reference: UInt64, side: UInt8, shares: UInt32, stock: UInt64, price: UInt32,
    participant: UInt32, to target: UnsafeMutableRawPointer
  ) -> Int {
    addOrder(
      message, reference: reference, side: side, shares: shares, stock: stock, price: price, to: target)
    put8(UInt8(ascii: "F"), 0, target)
    put32(participant, 36, target)
    return 40
  }

  /// `E`: part of an order, or all of it, trades at its own price.
  @inlinable @inline(__always) @discardableResult
  public static func orderExecuted(
    _ message: ITCHHeader, reference: UInt64, shares: UInt32, match: UInt64,
    to target: UnsafeMutableRawPointer
  ) -> Int {
    header(UInt8(ascii: "E"), message, target)
    put64(reference, 11, target)
    put32(shares, 19, target)
    put64(match, 23, target)
    return 31
  }

  /// `C`: as `E`, at another price than the order's. `printable` is `Y` or `N`.
  @inlinable @inline(__always) @discardableResult
  public static func orderExecutedWithPrice(
    _ message: ITCHHeader, reference: UInt64, shares: UInt32, match: UInt64, printable: UInt8,
    price: UInt32, to target: UnsafeMutableRawPointer
  ) -> Int {
    orderExecuted(message, reference: reference, shares: shares, match: match, to: target)
    put8(UInt8(ascii: "C"), 0, target)
    put8(printable, 31, target)
    put32(price, 32, target)
    return 36
  }

  /// `X`: `shares` are removed from an order, which stays.
  @inlinable @inline(__always) @discardableResult
  public static func orderCancel(
    _ message: ITCHHeader, reference: UInt64, shares: UInt32, to target: UnsafeMutableRawPointer
  ) -> Int {
    header(UInt8(ascii: "X"), message, target)
    put64(reference, 11, target)
    put32(shares, 19, target)
    return 23
  }

  /// `D`: what is left of an order is removed.
  @inlinable @inline(__always) @discardableResult
  public static func orderDelete(
    _ message: ITCHHeader, reference: UInt64, to target: UnsafeMutableRawPointer
  ) -> Int {
    header(UInt8(ascii: "D"), message, target)
    put64(reference, 11, target)
    return 19
  }

  /// `U`: an order is removed and another one takes its place at the tail of its level.
  @inlinable @inline(__always) @discardableResult
  public static func orderReplace(
    _ message: ITCHHeader, reference: UInt64, newReference: UInt64, shares: UInt32, price: UInt32,
    to target: UnsafeMutableRawPointer
  ) -> Int {
    header(UInt8(ascii: "U"), message, target)
    put64(reference, 11, target)
    put64(newReference, 19, target)
    put32(shares, 27, target)
    put32(price, 31, target)
    return 35
  }

  /// `P`: a trade against hidden liquidity; the book does not change. Reference and side are 0 and `B`.
  @inlinable @inline(__always) @discardableResult
  public static func trade(
    _ message: ITCHHeader, shares: UInt32, stock: UInt64, price: UInt32, match: UInt64,
    to target: UnsafeMutableRawPointer
  ) -> Int {
    addOrder(
      message, reference: 0, side: UInt8(ascii: "B"), shares: shares, stock: stock, price: price, to: target)
    put8(UInt8(ascii: "P"), 0, target)
    put64(match, 36, target)
    return 44
  }

  /// `Q`: a cross; the book does not change, shares may be 0. `crossType` is `O`, `C` or `H`.
  @discardableResult
  public static func crossTrade(
    _ message: ITCHHeader, shares: UInt64, stock: UInt64, price: UInt32, match: UInt64, crossType: UInt8,
    to target: UnsafeMutableRawPointer
  ) -> Int {
    header(UInt8(ascii: "Q"), message, target)
    put64(shares, 11, target)
    put64(stock, 19, target)
    put32(price, 27, target)
    put64(match, 31, target)
    put8(crossType, 39, target)
    return 40
  }

  /// `B`: a trade is broken.
  @discardableResult
  public static func brokenTrade(
    _ message: ITCHHeader, match: UInt64, to target: UnsafeMutableRawPointer
  ) -> Int {
    header(UInt8(ascii: "B"), message, target)
    put64(match, 11, target)
    return 19
  }
}

/// Administration and auctions.
extension ITCHMessageWriter {
  /// `S`: `event` is `O`, `S`, `Q`, `M`, `E` or `C`.
  @discardableResult
  public static func systemEvent(
    _ message: ITCHHeader, event: UInt8, to target: UnsafeMutableRawPointer
  ) -> Int {
    header(UInt8(ascii: "S"), message, target)
    put8(event, 11, target)
    return 12
  }

  /// `R`: an instrument of the day.
  @discardableResult
  public static func stockDirectory(
    _ message: ITCHHeader, _ directory: ITCHStockDirectory, to target: UnsafeMutableRawPointer
  ) -> Int {
    header(UInt8(ascii: "R"), message, target)
    put64(directory.stock, 11, target)
    put8(directory.marketCategory, 19, target)
    put8(directory.financialStatus, 20, target)
    put32(directory.roundLot, 21, target)
    put8(directory.roundLotsOnly, 25, target)
    put8(directory.issueClass, 26, target)
    put8(directory.issueSubType.0, 27, target)
    put8(directory.issueSubType.1, 28, target)
    put8(directory.authenticity, 29, target)
    put8(directory.shortSaleThreshold, 30, target)
    put8(directory.initialOffering, 31, target)
    put8(directory.limitUpLimitDownTier, 32, target)
    put8(directory.exchangeTraded, 33, target)
    put32(directory.leverage, 34, target)
    put8(directory.inverse, 38, target)
    return 39
  }

  /// `H`: `state` is `H`, `P`, `Q` or `T`; `reason` four characters.
  @discardableResult
  public static func tradingAction(
    _ message: ITCHHeader, stock: UInt64, state: UInt8, reason: UInt32, to target: UnsafeMutableRawPointer
  ) -> Int {
    header(UInt8(ascii: "H"), message, target)
    put64(stock, 11, target)
    put8(state, 19, target)
    put8(0x20, 20, target)
    put32(reason, 21, target)
    return 25
  }

  /// `Y`: `action` is `0`, `1` or `2`.
  @discardableResult
  public static func shortSaleRestriction(
    _ message: ITCHHeader, stock: UInt64, action: UInt8, to target: UnsafeMutableRawPointer
  ) -> Int {
    header(UInt8(ascii: "Y"), message, target)
    put64(stock, 11, target)
    put8(action, 19, target)
    return 20
  }

  /// `L`: a market maker's standing in an instrument.
  @discardableResult
  public static func participantPosition(
    _ message: ITCHHeader, participant: UInt32, stock: UInt64, primary: UInt8, mode: UInt8, state: UInt8,
    to target: UnsafeMutableRawPointer
  ) -> Int {
    header(UInt8(ascii: "L"), message, target)
    put32(participant, 11, target)
    put64(stock, 15, target)
    put8(primary, 23, target)
    put8(mode, 24, target)
    put8(state, 25, target)
    return 26
  }

  /// `V`: the three market-wide circuit breaker levels, in 1/100000000.
  @discardableResult
  public static func declineLevels(
    _ message: ITCHHeader, _ level1: UInt64, _ level2: UInt64, _ level3: UInt64,
    to target: UnsafeMutableRawPointer
  ) -> Int {
    header(UInt8(ascii: "V"), message, target)
    put64(level1, 11, target)
    put64(level2, 19, target)
    put64(level3, 27, target)
    return 35
  }

  /// `W`: a circuit breaker level (`1`, `2` or `3`) was breached.
  @discardableResult
  public static func declineBreach(
    _ message: ITCHHeader, level: UInt8, to target: UnsafeMutableRawPointer
  ) -> Int {
    header(UInt8(ascii: "W"), message, target)
    put8(level, 11, target)
    return 12
  }

  /// `K`: `releaseTime` in seconds since midnight; `qualifier` is `A` or `C`.
  @discardableResult
  public static func offeringQuotation(
    _ message: ITCHHeader, stock: UInt64, releaseTime: UInt32, qualifier: UInt8, price: UInt32,
    to target: UnsafeMutableRawPointer
  ) -> Int {
    header(UInt8(ascii: "K"), message, target)
    put64(stock, 11, target)
    put32(releaseTime, 19, target)
    put8(qualifier, 23, target)
    put32(price, 24, target)
    return 28
  }

  /// `J`: the collar of an auction after a pause.
  @discardableResult
  public static func auctionCollar(
    _ message: ITCHHeader, stock: UInt64, reference: UInt32, upper: UInt32, lower: UInt32,
    extensions: UInt32, to target: UnsafeMutableRawPointer
  ) -> Int {
    header(UInt8(ascii: "J"), message, target)
    put64(stock, 11, target)
    put32(reference, 19, target)
    put32(upper, 23, target)
    put32(lower, 27, target)
    put32(extensions, 31, target)
    return 35
  }

  /// `h`: one market halts (`H`) or resumes (`T`) an instrument.
  @discardableResult
  public static func operationalHalt(
    _ message: ITCHHeader, stock: UInt64, market: UInt8, action: UInt8, to target: UnsafeMutableRawPointer
  ) -> Int {
    header(UInt8(ascii: "h"), message, target)
    put64(stock, 11, target)
    put8(market, 19, target)
    put8(action, 20, target)
    return 21
  }

  /// `I`: the imbalance before an auction.
  @discardableResult
  public static func imbalance(
    _ message: ITCHHeader, paired: UInt64, imbalance: UInt64, direction: UInt8, stock: UInt64,
    far: UInt32, near: UInt32, reference: UInt32, crossType: UInt8, variation: UInt8,
    to target: UnsafeMutableRawPointer
  ) -> Int {
    header(UInt8(ascii: "I"), message, target)
    put64(paired, 11, target)
    put64(imbalance, 19, target)
    put8(direction, 27, target)
    put64(stock, 28, target)
    put32(far, 36, target)
    put32(near, 40, target)
    put32(reference, 44, target)
    put8(crossType, 48, target)
    put8(variation, 49, target)
    return 50
  }

  /// `N`: `interest` is `B`, `S`, `A` or `N`.
  @discardableResult
  public static func retailInterest(
    _ message: ITCHHeader, stock: UInt64, interest: UInt8, to target: UnsafeMutableRawPointer
  ) -> Int {
    header(UInt8(ascii: "N"), message, target)
    put64(stock, 11, target)
    put8(interest, 19, target)
    return 20
  }

  /// `O`: a direct listing with capital raise; prices in 1/10000, `nearTime` as the venue sends it.
  @discardableResult
  public static func directListing(
    _ message: ITCHHeader, stock: UInt64, eligible: UInt8, minimum: UInt32, maximum: UInt32,
    near: UInt32, nearTime: UInt64, lowerCollar: UInt32, upperCollar: UInt32,
    to target: UnsafeMutableRawPointer
  ) -> Int {
    header(UInt8(ascii: "O"), message, target)
    put64(stock, 11, target)
    put8(eligible, 19, target)
    put32(minimum, 20, target)
    put32(maximum, 24, target)
    put32(near, 28, target)
    put64(nearTime, 32, target)
    put32(lowerCollar, 40, target)
    put32(upperCollar, 44, target)
    return 48
  }
}
