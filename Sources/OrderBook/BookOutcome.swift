/// A side of a book.
@frozen
public enum BookSide: UInt8, Sendable, CaseIterable {
  case bid = 0
  case ask = 1

  /// The side with this raw value; only the lowest bit counts.
  @_noLocks
  @inlinable @inline(__always)
  public init(half: UInt8) { self = unsafeBitCast(half & 1, to: BookSide.self) }

  /// The raw value, as a number of a side within its instrument.
  @inlinable @inline(__always)
  var half: UInt32 { @_noLocks get { UInt32(unsafeBitCast(self, to: UInt8.self)) } }
}

/// Why an operation was refused. The books are then exactly as before.
@frozen
public enum BookRejection: UInt8, Sendable, CaseIterable, Error {
  /// No live order has this reference.
  case unknownReference = 0
  /// A live order already has this reference (for a replace: also the replaced order itself).
  case duplicateReference = 1
  /// More was to be taken than the order has left.
  case quantityExceeded = 2
  /// The quantity is 0, or the size of a level would no longer fit 64 bits.
  case quantityOutOfRange = 3
  /// The order lies in the book of another instrument than the operation named.
  case wrongInstrument = 4
  /// ``BookCapacity/orders`` live orders exist.
  case ordersFull = 5
  /// ``BookCapacity/levels`` live levels exist.
  case levelsFull = 6
  /// The instrument number is not below ``BookCapacity/instruments``.
  case instrumentOutOfRange = 7
}

/// One price level: what lies there in total. Price in the venue's units.
@frozen
public struct BookLevel: Sendable, Equatable {
  public var price: Int64
  /// Total quantity; 0 = the level does not exist (any more).
  public var size: UInt64
  /// Live orders at the price.
  public var orders: UInt32

  @_noLocks
  @inlinable
  public init(price: Int64, size: UInt64, orders: UInt32) {
    self.price = price
    self.size = size
    self.orders = orders
  }
}

/// One live order.
@frozen
public struct BookOrder: Sendable, Equatable {
  public var reference: UInt64
  public var instrument: UInt32
  public var side: BookSide
  public var price: Int64
  public var quantity: UInt64

  @inlinable
  public init(reference: UInt64, instrument: UInt32, side: BookSide, price: Int64, quantity: UInt64) {
    self.reference = reference
    self.instrument = instrument
    self.side = side
    self.price = price
    self.quantity = quantity
  }
}

/// The best price and its size on both sides. A side without orders has price 0 and size 0; no side with
/// orders has size 0.
@frozen
public struct BestPrices: Sendable, Equatable {
  public var bidPrice: Int64
  public var bidSize: UInt64
  public var askPrice: Int64
  public var askSize: UInt64

  @_noLocks
  @inlinable
  public init(bidPrice: Int64, bidSize: UInt64, askPrice: Int64, askSize: UInt64) {
    self.bidPrice = bidPrice
    self.bidSize = bidSize
    self.askPrice = askPrice
    self.askSize = askSize
  }

  /// Both sides have orders and the bid is above the ask.
  @inlinable public var isCrossed: Bool { bidPrice > askPrice && bidSize != 0 && askSize != 0 }
  /// Both sides have orders and the bid equals the ask.
  @inlinable public var isLocked: Bool { bidPrice == askPrice && bidSize != 0 && askSize != 0 }
}

/// What an add, reduce, execute or delete did.
@frozen
public struct BookChange: Sendable, Equatable {
  /// The side of the order.
  public var side: BookSide
  /// What the operation added to or took from the order; for a delete, all that was left.
  public var quantity: UInt64
  /// What the order has left; 0 = it is gone.
  public var remaining: UInt64
  /// The order's level afterwards; its price is the order's price.
  public var level: BookLevel
  /// The best price of this side, or the size there, is another than before.
  public var bestChanged: Bool

  @_noLocks
  @inlinable
  public init(side: BookSide, quantity: UInt64, remaining: UInt64, level: BookLevel, bestChanged: Bool) {
    self.side = side
    self.quantity = quantity
    self.remaining = remaining
    self.level = level
    self.bestChanged = bestChanged
  }
}

/// The outcome of an add, reduce, execute or delete.
@frozen
public enum BookOutcome: Sendable, Equatable {
  case changed(BookChange)
  case rejected(BookRejection)
}

/// What a replace did: one order left its level, another joined the tail of the level at the new price.
@frozen
public struct BookReplacement: Sendable, Equatable {
  /// The side, which the new order inherits.
  public var side: BookSide
  /// What the replaced order had left.
  public var oldQuantity: UInt64
  /// The replaced order's level afterwards; its price is that order's price.
  public var oldLevel: BookLevel
  /// The new order's level afterwards; equal to ``oldLevel`` when the price is the same.
  public var newLevel: BookLevel
  /// The best price of this side, or the size there, is another than before.
  public var bestChanged: Bool

  @_noLocks
  @inlinable
  public init(
    side: BookSide, oldQuantity: UInt64, oldLevel: BookLevel, newLevel: BookLevel, bestChanged: Bool
  ) {
    self.side = side
    self.oldQuantity = oldQuantity
    self.oldLevel = oldLevel
    self.newLevel = newLevel
    self.bestChanged = bestChanged
  }
}

/// The outcome of a replace.
@frozen
public enum ReplaceOutcome: Sendable, Equatable {
  case replaced(BookReplacement)
  case rejected(BookRejection)
}
