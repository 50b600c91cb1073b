/// A message of one type, read in place. The bytes belong to the caller and must outlive the view.
public protocol ITCH50View {
  /// Where the message starts.
  var base: UnsafeRawPointer { get }
  /// The type that this view reads.
  static var messageType: ITCH50.MessageType { get }
  /// Reads from `base` without a check: ``ITCH50/validate(_:)`` has accepted the bytes and the type is the
  /// view's.
  init(base: UnsafeRawPointer)
}

extension ITCH50View {
  /// A view of bytes that are one message of this type; nil for anything else.
  @inlinable
  public init?(_ bytes: UnsafeRawBufferPointer) {
    guard let base = bytes.baseAddress, bytes.count > 0,
      base.load(as: UInt8.self) == Self.messageType.rawValue,
      bytes.count == ITCH50.expectedLength(Self.messageType.rawValue)
    else { return nil }
    self.init(base: base)
  }

  /// The fields that every message starts with.
  @inlinable public var header: ITCH50.Header { ITCH50.Header(base: base) }
}

extension ITCH50 {
  /// The first 11 bytes of every message.
  @frozen
  public struct Header {
    public let base: UnsafeRawPointer
    @inlinable public init(base: UnsafeRawPointer) { self.base = base }

    /// The letter of the message type.
    @inlinable public var type: UInt8 { ITCH50.uint8(base, 0) }

    /// The instrument's number today, from 1; 0 = the message concerns no single instrument.
    @inlinable public var locate: UInt16 { ITCH50.uint16(base, 1) }

    /// The venue's own tracking number.
    @inlinable public var tracking: UInt16 { ITCH50.uint16(base, 3) }

    /// Nanoseconds since midnight, 48 bits.
    @inlinable public var timestamp: UInt64 { ITCH50.uint48(base, 5) }
  }

  // MARK: - Orders and trades

  /// `A`: A new order; also the first 36 bytes of an attributed one.
  @frozen
  public struct AddOrder: ITCH50View {
    public let base: UnsafeRawPointer
    @inlinable public static var messageType: MessageType { .addOrder }
    @inlinable public init(base: UnsafeRawPointer) { self.base = base }

    /// Order reference, unique for the day.
    @inlinable public var reference: UInt64 { ITCH50.uint64(base, 11) }

    /// `B` / `S`.
    @inlinable public var side: UInt8 { ITCH50.uint8(base, 19) }

    /// Displayed shares.
    @inlinable public var shares: UInt32 { ITCH50.uint32(base, 20) }

    /// Symbol.
    @inlinable public var stock: UInt64 { ITCH50.alpha8(base, 24) }

    /// Display price. In 1/10000.
    @inlinable public var price: UInt32 { ITCH50.uint32(base, 32) }
  }

  /// `F`: A new order with the participant's name.
  @frozen
  public struct AddOrderAttributed: ITCH50View {
    public let base: UnsafeRawPointer
    @inlinable public static var messageType: MessageType { .addOrderAttributed }
    @inlinable public init(base: UnsafeRawPointer) { self.base = base }

    /// Order reference, unique for the day.
    @inlinable public var reference: UInt64 { ITCH50.uint64(base, 11) }

    /// `B` / `S`.
    @inlinable public var side: UInt8 { ITCH50.uint8(base, 19) }

    /// Displayed shares.
    @inlinable public var shares: UInt32 { ITCH50.uint32(base, 20) }

    /// Symbol.
    @inlinable public var stock: UInt64 { ITCH50.alpha8(base, 24) }

    /// Display price. In 1/10000.
    @inlinable public var price: UInt32 { ITCH50.uint32(base, 32) }

    /// Participant, four letters as they lie in memory.
    @inlinable public var attribution: UInt32 { ITCH50.alpha4(base, 36) }
  }

  /// `E`: Shares of an order executed at its display price.
  @frozen
  public struct OrderExecuted: ITCH50View {
    public let base: UnsafeRawPointer
    @inlinable public static var messageType: MessageType { .orderExecuted }
    @inlinable public init(base: UnsafeRawPointer) { self.base = base }

    /// The resting order.
    @inlinable public var reference: UInt64 { ITCH50.uint64(base, 11) }

    /// Executed shares.
    @inlinable public var shares: UInt32 { ITCH50.uint32(base, 19) }

    /// Match number, unique for the day.
    @inlinable public var match: UInt64 { ITCH50.uint64(base, 23) }
  }

  /// `C`: Shares of an order executed at another price than its display price.
  @frozen
  public struct OrderExecutedWithPrice: ITCH50View {
    public let base: UnsafeRawPointer
    @inlinable public static var messageType: MessageType { .orderExecutedWithPrice }
    @inlinable public init(base: UnsafeRawPointer) { self.base = base }

    /// The resting order.
    @inlinable public var reference: UInt64 { ITCH50.uint64(base, 11) }

    /// Executed shares.
    @inlinable public var shares: UInt32 { ITCH50.uint32(base, 19) }

    /// Match number, unique for the day.
    @inlinable public var match: UInt64 { ITCH50.uint64(base, 23) }

    /// `Y`, or `N`: not to be counted as volume.
    @inlinable public var printable: UInt8 { ITCH50.uint8(base, 31) }

    /// Execution price. In 1/10000.
    @inlinable public var price: UInt32 { ITCH50.uint32(base, 32) }
  }

  /// `X`: Shares of an order cancelled.
  @frozen
  public struct OrderCancel: ITCH50View {
    public let base: UnsafeRawPointer
    @inlinable public static var messageType: MessageType { .orderCancel }
    @inlinable public init(base: UnsafeRawPointer) { self.base = base }

    /// The order.
    @inlinable public var reference: UInt64 { ITCH50.uint64(base, 11) }

    /// Shares REMOVED, not those remaining.
    @inlinable public var shares: UInt32 { ITCH50.uint32(base, 19) }
  }

  /// `D`: An order removed.
  @frozen
  public struct OrderDelete: ITCH50View {
    public let base: UnsafeRawPointer
    @inlinable public static var messageType: MessageType { .orderDelete }
    @inlinable public init(base: UnsafeRawPointer) { self.base = base }

    /// The order.
    @inlinable public var reference: UInt64 { ITCH50.uint64(base, 11) }
  }

  /// `U`: An order replaced by a new one, which has lost its priority.
  @frozen
  public struct OrderReplace: ITCH50View {
    public let base: UnsafeRawPointer
    @inlinable public static var messageType: MessageType { .orderReplace }
    @inlinable public init(base: UnsafeRawPointer) { self.base = base }

    /// The order that goes.
    @inlinable public var originalReference: UInt64 { ITCH50.uint64(base, 11) }

    /// The order that comes; side and stock are the original's.
    @inlinable public var newReference: UInt64 { ITCH50.uint64(base, 19) }

    /// Displayed shares of the new order.
    @inlinable public var shares: UInt32 { ITCH50.uint32(base, 27) }

    /// Display price of the new order. In 1/10000.
    @inlinable public var price: UInt32 { ITCH50.uint32(base, 31) }
  }

  /// `P`: A trade against a hidden order; no effect on the book.
  @frozen
  public struct Trade: ITCH50View {
    public let base: UnsafeRawPointer
    @inlinable public static var messageType: MessageType { .trade }
    @inlinable public init(base: UnsafeRawPointer) { self.base = base }

    /// Always 0 today.
    @inlinable public var reference: UInt64 { ITCH50.uint64(base, 11) }

    /// Always `B` today.
    @inlinable public var side: UInt8 { ITCH50.uint8(base, 19) }

    /// Shares.
    @inlinable public var shares: UInt32 { ITCH50.uint32(base, 20) }

    /// Symbol.
    @inlinable public var stock: UInt64 { ITCH50.alpha8(base, 24) }

    /// Price. In 1/10000.
    @inlinable public var price: UInt32 { ITCH50.uint32(base, 32) }

    /// Match number, unique for the day.
    @inlinable public var match: UInt64 { ITCH50.uint64(base, 36) }
  }

  /// `Q`: The print of an auction; no effect on the book.
  @frozen
  public struct CrossTrade: ITCH50View {
    public let base: UnsafeRawPointer
    @inlinable public static var messageType: MessageType { .crossTrade }
    @inlinable public init(base: UnsafeRawPointer) { self.base = base }

    /// Shares, may be 0.
    @inlinable public var shares: UInt64 { ITCH50.uint64(base, 11) }

    /// Symbol.
    @inlinable public var stock: UInt64 { ITCH50.alpha8(base, 19) }

    /// Price. In 1/10000.
    @inlinable public var price: UInt32 { ITCH50.uint32(base, 27) }

    /// Match number, unique for the day.
    @inlinable public var match: UInt64 { ITCH50.uint64(base, 31) }

    /// `O` opening, `C` closing, `H` halt or offering, `A` extended close.
    @inlinable public var crossType: UInt8 { ITCH50.uint8(base, 39) }
  }

  /// `B`: A trade that is void; no effect on the book.
  @frozen
  public struct BrokenTrade: ITCH50View {
    public let base: UnsafeRawPointer
    @inlinable public static var messageType: MessageType { .brokenTrade }
    @inlinable public init(base: UnsafeRawPointer) { self.base = base }

    /// Match number of the trade.
    @inlinable public var match: UInt64 { ITCH50.uint64(base, 11) }
  }
}
