/// What a snapshot of one instrument is made from: books that stand exactly behind the last event that was
/// published. Called only between two venue messages.
public protocol SnapshotSource {
  /// Whether the books are complete. While they are not, a request for a snapshot is refused: it is never
  /// turned into a live-only subscription.
  var isReady: Bool { get }

  /// One past the highest instrument number that was ever defined or used.
  var instrumentLimit: UInt32 { get }

  /// The number of an instrument, or nil for an unknown symbol.
  /// - Parameter symbol: eight ASCII bytes, space padded, first character in the lowest byte.
  func instrument(symbol: UInt64) -> UInt32?

  /// Message of the newest event of an instrument, of any kind, or a later one if that is not known; 0 = none.
  func lastSequence(instrument: UInt32) -> UInt64

  /// Live orders of an instrument; 0 for an unknown one.
  func orderCount(instrument: UInt32) -> Int

  /// Whether anything is known of the instrument: it was defined or has a book.
  func exists(instrument: UInt32) -> Bool

  /// Writes the 24-byte body of the instrument's definition event; false (and nothing written) without one.
  func definition(instrument: UInt32, into body: UnsafeMutableRawPointer) -> Bool

  /// Writes the 8-byte body of the last trading state event; false (and nothing written) without one.
  func tradingState(instrument: UInt32, into body: UnsafeMutableRawPointer) -> Bool

  /// State and reason of the instrument's book, the whole channel's included (TrustState, TrustReason).
  func trust(instrument: UInt32) -> (state: UInt8, reason: UInt8)

  /// Calls `body` for each live order: bids from the best price down, then asks from the best price up, and
  /// within a price in queue order.
  func forEachOrder(instrument: UInt32, _ body: (SnapshotOrder) -> Void)
}

/// One live order of a snapshot.
public struct SnapshotOrder: Sendable, Equatable {
  public var isSell: Bool
  /// Signed, in the venue's price units.
  public var price: Int64
  public var quantity: UInt64
  /// The venue's order reference.
  public var reference: UInt64

  @inlinable
  public init(isSell: Bool, price: Int64, quantity: UInt64, reference: UInt64) {
    self.isSell = isSell
    self.price = price
    self.quantity = quantity
    self.reference = reference
  }
}

/// A symbol as book events carry it: eight ASCII bytes, space padded, first character in the lowest byte.
public enum PackedSymbol {
  /// Packs 1...8 printable ASCII characters without spaces; nil for anything else.
  public static func pack(_ symbol: some Collection<UInt8>) -> UInt64? {
    guard (1...8).contains(symbol.count) else { return nil }
    var packed: UInt64 = 0x2020_2020_2020_2020
    var shift: UInt64 = 0
    for character in symbol {
      guard (0x21...0x7E).contains(character) else { return nil }
      packed = packed & ~(0xFF &<< shift) | UInt64(character) &<< shift
      shift &+= 8
    }
    return packed
  }

  /// The text without its padding; a byte that is not printable ASCII reads as `?`.
  public static func text(_ packed: UInt64) -> String {
    var characters = (0..<8).map { UInt8(truncatingIfNeeded: packed &>> (UInt64($0) &* 8)) }
    while characters.last == 0x20 { characters.removeLast() }
    return String(
      decoding: characters.map { (0x20...0x7E).contains($0) ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
  }
}
