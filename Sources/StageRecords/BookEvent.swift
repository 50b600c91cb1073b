/// What a book event says. The raw value is the ring record kind on the ring `book`, and the first byte
/// of the event's canonical encoding (docs/DIGESTS.md).
///
/// Bodies follow the 32-byte ``BookEventHeader``; all integers little-endian; prices are signed, in the
/// venue's price units (ITCH: 1/10000); quantities unsigned.
///
/// ```
/// kind            body (offset within the body)                                           bytes
/// definition      0 symbol[8] ASCII space padded | 8 u32 roundLot | 12 u8 marketCategory
///                 | 13 u8 financialStatus | 14 u8 issueClass | 15 u8 authenticity            24
///                 | 16 u8 luldTier | 17 u8 etpFlag | 18 u8[6] zero
/// orderAdd        0 u64 reference | 8 i64 price | 16 u64 quantity                              24
/// orderReduce     0 u64 reference | 8 u64 remaining | 16 u64 reducedBy                         24
/// orderDelete     0 u64 reference | 8 i64 price | 16 u64 quantity that was left                24
/// orderExecute    0 u64 reference | 8 i64 execution price | 16 u64 executed | 24 u64 remaining
///                 | 32 u64 match number                                                        40
/// level           0 i64 price | 8 u64 size after (0 = level gone) | 16 u32 orders after | 20 u32 0  24
/// bestPrices      0 i64 bid price | 8 u64 bid size | 16 i64 ask price | 24 u64 ask size       32
///                 (an empty side has price 0 and size 0)
/// trade           0 i64 price | 8 u64 quantity | 16 u64 match number | 24 u8 tradeType         32
///                 | 25 u8 printable (0/1) | 26 u8[6] zero
///                 tradeType: 'P' hidden-order trade, or the ITCH cross type 'O' 'C' 'H' 'A' …
/// tradeBroken     0 u64 match number                                                           8
/// tradingState    0 u8 source: 'H' trading action, 'h' operational halt | 1 u8 state            8
///                 (ITCH letter) | 2 u8 market ('h') or 0 | 3 u8 zero | 4 u8[4] reason
/// notice          0... the venue message without its 11-byte header, unchanged; which one is    8+n
///                 told by body byte 0 (ITCH type letter), bytes 1...7 zero, message from 8 on
/// trust           0 u8 TrustState | 1 u8 reason | 2 u8 1 = quarantined: its book is empty from 24
///                 here on, and no event of it follows until a trust event says live
///                 | 3 u8[5] zero | 8 u64 first | 16 u64 last
///                 (instrument 0 = every instrument of the channel, also for live; live with 2 u8 = 1: the
///                 channel's own mark alone)
/// gap             0 u64 first | 8 u64 last | 16 u64 GapReason                                  24
/// endOfSession    0 u64 messages applied | 8 u64 messages lost                                 16
/// ```
public enum BookEventKind: UInt8, Sendable, CaseIterable {
  case definition = 1
  case orderAdd = 2
  case orderReduce = 3
  case orderDelete = 4
  case orderExecute = 5
  case level = 6
  case bestPrices = 7
  case trade = 8
  case tradeBroken = 9
  case tradingState = 10
  case notice = 11
  case trust = 12
  case gap = 13
  case endOfSession = 14
}

/// Whether a book can be believed.
public enum TrustState: UInt8, Sendable, CaseIterable {
  /// The book is exact as of the last event.
  case live = 0
  /// The book may be wrong: do not trade on it.
  case stale = 1
}

/// Why a book is stale.
public enum TrustReason: UInt8, Sendable, CaseIterable {
  case none = 0
  /// A range of venue messages is lost for good; any instrument may be concerned.
  case gap = 1
  /// A message named an order reference that this book does not hold.
  case unknownReference = 2
  /// An add carried a reference that is already live.
  case duplicateReference = 3
  /// An execution or cancel took more than was left.
  case quantityExceeded = 4
  /// A message named another instrument than the order that it refers to.
  case wrongInstrument = 5
  /// A fixed capacity is full (orders, levels or instruments).
  case capacity = 6
  /// A message has an unknown type, a wrong length or an impossible field.
  case malformedMessage = 7

  /// The name used in every text and JSON output.
  public var name: String {
    switch self {
    case .none: "none"
    case .gap: "gap"
    case .unknownReference: "unknown reference"
    case .duplicateReference: "duplicate reference"
    case .quantityExceeded: "quantity exceeded"
    case .wrongInstrument: "wrong instrument"
    case .capacity: "capacity"
    case .malformedMessage: "malformed message"
    }
  }
}

/// The 32 bytes in front of every book event's body.
///
/// ```
/// offset  size  field
///      0     8  sequence     venue sequence number of the message that caused the event
///      8     8  venueTime    the venue's stamp (ITCH: ns since midnight)
///     16     8  receiveTime  stamp of the packet, ns since the Unix epoch; NOT part of the digest
///     24     4  instrument   venue instrument number (ITCH: stock locate); 0 = the whole channel
///     28     2  index        position among the events of this message, from 0
///     30     1  channel      channel number of the topology
///     31     1  flags        EventFlags
/// ```
/// (channel, sequence, index) is the event's identity.
public struct BookEventHeader: Sendable, Equatable {
  public var sequence: UInt64
  public var venueTime: UInt64
  public var receiveTime: UInt64
  public var instrument: UInt32
  public var index: UInt16
  public var channel: UInt8
  public var flags: UInt8

  public static let bytes = 32
  public static let sequenceOffset = 0
  public static let venueTimeOffset = 8
  public static let receiveTimeOffset = 16
  public static let instrumentOffset = 24
  public static let indexOffset = 28
  public static let channelOffset = 30
  public static let flagsOffset = 31

  /// Index of the first event of a restart notice: what a restarted book stage has to say (its state is incomplete)
  /// comes behind every event of the newest message that was out, under that message's sequence number.
  public static let restartNoticeIndex: UInt16 = 0xFF00

  /// Index of the first event that ends an instrument's quarantine: its book, then its trust, behind every event of the
  /// newest message, under that message's sequence number.
  public static let recoveryIndex: UInt16 = 0x8000
  /// Index of the notice that an image is being fetched, behind every event of the newest message that was out. Events
  /// from ``restartNoticeIndex`` on are no part of the stream that the venue's messages make, nor of its digest.
  public static let imageNoticeIndex: UInt16 = 0xFF80

  @inlinable
  public init(
    sequence: UInt64, venueTime: UInt64, receiveTime: UInt64, instrument: UInt32, index: UInt16 = 0,
    channel: UInt8 = 0, flags: UInt8 = 0
  ) {
    self.sequence = sequence
    self.venueTime = venueTime
    self.receiveTime = receiveTime
    self.instrument = instrument
    self.index = index
    self.channel = channel
    self.flags = flags
  }

  /// Reads a header; `source` needs no alignment and must have ``bytes`` readable bytes.
  @inlinable @inline(__always)
  public init(from source: UnsafeRawPointer) {
    self = source.loadUnaligned(as: BookEventHeader.self)
  }
}

/// Bits of ``BookEventHeader/flags``.
public enum EventFlags {
  /// Set on the sell side; clear on the buy side. Meaningless where the event has no side.
  public static let sell: UInt8 = 0x01
  /// The last event of its venue message.
  public static let last: UInt8 = 0x02
  /// The instrument's book is not trusted at this event (see ``BookEventKind/trust``).
  public static let stale: UInt8 = 0x04
  /// The delete and the add that together replace an order (ITCH `U`).
  public static let replace: UInt8 = 0x08
  /// An execution that the venue marks as not printable.
  public static let nonPrintable: UInt8 = 0x10
}
