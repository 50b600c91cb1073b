import FeedWire
import OrderBook
import StageRecords

/// An image of a ``BookBuilder``: all that later events and digests depend on, and the position that it belongs to. Equal
/// states at equal positions have equal bytes, whatever their history and capacity; an image is the only one of its state.
///
/// All integers little-endian. Each section ends in the XXH64 (seed 0) of its bytes before.
///
/// ```
/// header       offset  size  field
///                   0     8  "BHBKIMAG"
///                   8     4  version, 2
///                  12     4  bytes of the header, 128
///                  16     8  bytes of the image
///                  24    10  session
///                  34     1  channel
///                  35     1  1 = there is a newest event
///                  36     2  the newest event's index
///                  38     1  bit 0 = the channel is stale for an image that is being fetched; bit 1 = what is on
///                            each instrument's board is kept (the books take images); bit 2 = behind the newest event
///                            something was said that is no part of the stream: no recovery can stand there
///                  39     1  zero
///                  40     8  next sequence number: the first message that is not part of the state
///                  48     8  the newest event's sequence number
///                  56     8  records in the section of instruments
///                  64     8  live levels
///                  72     8  live orders
///                  80    40  zero
///                 120     8  XXH64
/// counters          0   144  applied, lost, gaps, events, crossed, locked, withheld, then rejections by MessageRejection, from 0
///                 144     8  XXH64
/// instruments  each instrument of which anything is known, ascending, 40 bytes, 72 with bit 1:
///                   0     4  number
///                   4     1  own TrustReason, + 128 in quarantine; 0 = live
///                   5     3  zero
///                   8    24  InstrumentDefinition
///                  32     8  TradingStatus
///                  40    32  with bit 1: what each kind of statement last said, as eight hashes of 4 bytes
///              and 8  XXH64
/// books        instruments ascending; of each the bids from the worst price to the best, then the asks from the worst to
///              the best; of each level
///                   0     4  instrument
///                   4     4  side       0 bid, 1 ask
///                   8     8  price      signed
///                  16     8  orders     not 0
///              and its orders in queue order
///                   0     8  reference
///                   8     8  quantity   not 0
///              and 8  the book digest (``OrderBooks/contentDigest()``), and 8  XXH64
/// ```
public enum BookImage {
  /// The version that is written. Images of other versions are refused.
  public static let version: UInt32 = 2
  /// Bytes of the header; so many tell of what an image is.
  public static let headerBytes = 128

  static let magic: UInt64 = 0x4741_4D49_4B42_4842  // "BHBKIMAG"
  static let countersBytes = BookCounters.wordCount * 8 + 8
  static let instrumentBytes = 40
  /// More of each instrument where statements are kept.
  static let statementBytes = 32
  static let levelBytes = 24
  static let orderBytes = 16
  static let digestBytes = 8
}

/// Where in a channel's stream a state lies: behind a whole message.
public struct BookPosition: Sendable, Equatable {
  /// The venue's session, in which sequence numbers are unique.
  public var session: MoldUDP64Session
  /// The first message that is not part of the state.
  public var nextSequence: UInt64
  /// The newest event that the state's messages made; nil when they made none.
  public var newestEvent: EventIdentity?

  public init(session: MoldUDP64Session, nextSequence: UInt64 = 1, newestEvent: EventIdentity? = nil) {
    self.session = session
    self.nextSequence = nextSequence
    self.newestEvent = newestEvent
  }

  /// Goes on behind a message or a gap.
  /// - Parameters:
  ///   - nextSequence: the number behind it.
  ///   - events: what the builder made of it.
  public mutating func advance(to nextSequence: UInt64, events: borrowing EventBatch) {
    self.nextSequence = nextSequence
    if let newest = events.lastHeader {
      newestEvent = EventIdentity(sequence: newest.sequence, index: newest.index)
    }
  }
}

/// What the header of a checked image says, and the digest of its books.
public struct BookImageSummary: Sendable, Equatable {
  public var position: BookPosition
  /// The channel number of the builder.
  public var channel: UInt8
  /// Whether the builder was one that takes the venue's images.
  public var takesImages: Bool
  /// Instruments of which anything is known.
  public var instruments: UInt64
  /// Live price levels, what ``BookCapacity/levels`` must hold at least.
  public var levels: UInt64
  /// Live orders, what ``BookCapacity/orders`` must hold at least.
  public var orders: UInt64
  /// ``OrderBooks/contentDigest()`` of the books.
  public var bookDigest: UInt64
}

/// A part of an image.
public enum BookImageSection: String, Sendable, CaseIterable {
  case header, counters, instruments, books
}

/// Why bytes are not restored.
public enum BookImageError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The bytes do not begin as an image does.
  case notAnImage
  /// An image of another version than ``BookImage/version``.
  case unsupportedVersion(UInt32)
  /// Bytes are missing at the end.
  case truncated(expected: UInt64, actual: UInt64)
  /// Bytes follow the image.
  case trailingBytes(expected: UInt64, actual: UInt64)
  /// A section's bytes are not those that were written.
  case damaged(BookImageSection)
  /// A section's checksum is right, but no state is like this.
  case impossible(BookImageSection)
  /// Books that take the venue's images were asked for, and the image is of books that take none.
  case withoutStatements
  /// The books were to be made for fewer orders, levels or instruments than the image holds.
  case capacityTooSmall(BookImageNeed, needed: UInt64, capacity: UInt64)

  public var description: String {
    switch self {
    case .notAnImage: "not a book image"
    case .unsupportedVersion(let version):
      "a book image of version \(version); this program reads version \(BookImage.version)"
    case .truncated(let expected, let actual): "cut off: \(actual) of \(expected) bytes"
    case .trailingBytes(let expected, let actual): "\(actual) bytes, where the image ends after \(expected)"
    case .damaged(let section): "the section of \(section.rawValue) is damaged (checksum)"
    case .impossible(let section): "the section of \(section.rawValue) says what cannot be"
    case .withoutStatements: "it is of books that take no images of the venue"
    case .capacityTooSmall(let need, let needed, let capacity):
      "it needs room for \(needed) \(need.rawValue), there is room for \(capacity)"
    }
  }
}

/// What an image needs room for.
public enum BookImageNeed: String, Sendable, CaseIterable {
  case orders, levels, instruments
}
