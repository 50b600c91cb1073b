/// What travels on the ring `merged`: the one gapless stream of a channel, one venue message a record,
/// in venue sequence order. Every sequence number from the first on appears exactly once: in a
/// ``Kind/message`` or inside the range of a ``Kind/gap``.
///
/// ```
/// message         offset 0  u64  sequence        venue sequence number
///                        8  u64  receiveTime     stamp of the packet that supplied it, ns; 0 = none
///                       16  ...  message bytes   0...1_400; an empty message still has its number
/// gap             offset 0  u64  first           first lost sequence number
///                        8  u64  last            last lost sequence number, inclusive
///                       16  u64  reason          a GapReason
/// sessionStart    offset 0  u64  first           first sequence number that will follow
///                        8  10B  session         MoldUDP64 session, ASCII
/// endOfSession    offset 0  u64  next            one past the last sequence number of the session
///                        8  10B  session
/// imageStart      offset 0  u64  first           the first message that an image is being fetched in place of
///                        8  u64  last            the last message known to be missing then, inclusive
/// image           offset 0  u64  first           as in the imageStart before it
///                        8  u64  number          from 1 on, without a hole, within its image
///                       16  ...  message bytes   an ITCH message that states something, as GLIMPSE sends it
/// imageEnd        offset 0  u64  first           the image takes the place of first...last
///                        8  u64  last            the last message whose effect is in it, inclusive
///                       16  u64  count           how many image records it has
/// recoveryStart   offset 0  u64  next            the number that is due; none of these three takes one
///                        8  u64  instrument      whose book follows
/// recovery        offset 0  u64  next            as in the recoveryStart before it
///                        8  u64  sequence        0: of the venue's image; else a message of the stream behind that
///                       16  ...  message bytes   about an order of the instrument
/// recoveryEnd     offset 0  u64  next            as in the recoveryStart before it
///                        8  u64  instrument      as in the recoveryStart before it
///                       16  u64  count           how many recovery records it has
/// ```
/// From an imageStart on every book is in doubt. An image counts only with its imageEnd: one that another record than
/// its own follows is void. Until then none of its numbers is taken.
///
/// A recovery says one instrument's book as it is behind the message before `next`: the orders of an image, then what the
/// stream has said of them since. It counts with its recoveryEnd, which follows without a message in between, and only for an
/// instrument that is in quarantine then.
///
/// A message of at most 40 bytes (every ITCH 5.0 order message) fits one 64-byte cell.
public enum MergedRecord {
  /// Ring record kinds on the merged ring.
  public enum Kind {
    public static let message: UInt8 = 1
    public static let gap: UInt8 = 2
    public static let sessionStart: UInt8 = 3
    public static let endOfSession: UInt8 = 4
    public static let imageStart: UInt8 = 5
    public static let image: UInt8 = 6
    public static let imageEnd: UInt8 = 7
    public static let recoveryStart: UInt8 = 8
    public static let recovery: UInt8 = 9
    public static let recoveryEnd: UInt8 = 10
  }
  /// Bytes in front of the venue message in a ``Kind/message`` record.
  public static let messageHeaderBytes = 16
  /// Payload bytes of a ``Kind/gap`` record.
  public static let gapBytes = 24
  /// Payload bytes of ``Kind/imageStart`` and ``Kind/imageEnd``.
  public static let imageStartBytes = 16
  public static let imageEndBytes = 24
  /// Payload bytes of ``Kind/recoveryStart`` and ``Kind/recoveryEnd``.
  public static let recoveryStartBytes = 16
  public static let recoveryEndBytes = 24
  /// Payload bytes of ``Kind/sessionStart`` and ``Kind/endOfSession``.
  public static let sessionBytes = 24
  /// Bytes of a MoldUDP64 session identifier.
  public static let sessionIdentifierBytes = 10
}

/// Why a range of sequence numbers is lost for good.
public enum GapReason: UInt8, Sendable, CaseIterable {
  /// Neither line carried it and retransmission is switched off.
  case retransmissionOff = 1
  /// Every allowed request went unanswered.
  case retransmissionExhausted = 2
  /// The range is wider than the reorder window and was given up to keep memory bounded.
  case windowExceeded = 3
  /// The reader of this ring was lapped: the range left the retention before it was read.
  case ringOverrun = 4
  /// A successor could not rebuild the state that its predecessor held.
  case restartWithoutState = 5
  /// The circuit breaker keeps requests away from the retransmission service.
  case retransmissionUnavailable = 6
  /// Beyond retransmission, and there was no image of the state either.
  case snapshotUnavailable = 7
  /// Its session is over, and its retransmission with it.
  case sessionOver = 8
  /// The venue's full image took its place: the books are exact again behind it.
  case replacedBySnapshot = 9
  /// It kills the stage that applies it, and was passed over; the message itself is kept in a file.
  case poisonedInput = 10

  /// The name used in every text and JSON output.
  public var name: String {
    switch self {
    case .retransmissionOff: "retransmission off"
    case .retransmissionExhausted: "retransmission exhausted"
    case .windowExceeded: "window exceeded"
    case .ringOverrun: "ring overrun"
    case .restartWithoutState: "restart without state"
    case .retransmissionUnavailable: "retransmission unavailable"
    case .snapshotUnavailable: "snapshot unavailable"
    case .sessionOver: "session over"
    case .replacedBySnapshot: "replaced by snapshot"
    case .poisonedInput: "poisoned input"
    }
  }
}
