import OrderBook

/// Why an event does not fit what a ``BookReplica`` holds. Each means that the stream is damaged or that the
/// replica does not hold what the stream's writer held.
public enum ReplicaMismatch: Error, Sendable, Equatable {
  /// Not a book event: unknown kind, wrong body length or an impossible field.
  case malformedEvent
  /// The event is of another channel than the first one was.
  case otherChannel(expected: UInt8, actual: UInt8)
  /// Its identity is not behind that of the event before it: repeated or out of order.
  case repeated
  /// Events of a venue message are missing: the message before was not complete, or this index is not next.
  case incompleteMessage
  /// The instrument has no place here.
  case instrumentOutOfRange
  /// Its stale flag is not the trust state that the events so far left.
  case trustDiffers
  /// The book refused it.
  case refused(BookRejection)
  /// The order's price, quantity or side is another than the event says.
  case orderDiffers
  /// The level is another than the event says.
  case levelDiffers
  /// The best prices are others than the event says.
  case bestPricesDiffer
  /// The counts at the end of the session do not add up to those before.
  case countsDiffer

  /// The name used in every text and JSON output.
  public var name: String {
    switch self {
    case .malformedEvent: "malformed event"
    case .otherChannel: "other channel"
    case .repeated: "repeated or out of order"
    case .incompleteMessage: "incomplete message"
    case .instrumentOutOfRange: "instrument out of range"
    case .trustDiffers: "trust differs"
    case .refused(let rejection): "refused: \(MessageRejection(rejection).name)"
    case .orderDiffers: "order differs"
    case .levelDiffers: "level differs"
    case .bestPricesDiffer: "best prices differ"
    case .countsDiffer: "counts differ"
    }
  }
}

/// What applying an event to a ``BookReplica`` came to.
public enum ReplicaOutcome: Sendable, Equatable {
  case applied
  /// The books are as before the event.
  case mismatch(ReplicaMismatch)
}

/// The identity of an event within its channel.
public struct EventIdentity: Sendable, Equatable, Comparable {
  /// Venue sequence number.
  public var sequence: UInt64
  /// Position among the events of that message.
  public var index: UInt16

  public init(sequence: UInt64, index: UInt16) {
    self.sequence = sequence
    self.index = index
  }

  public static func < (left: Self, right: Self) -> Bool {
    left.sequence != right.sequence ? left.sequence < right.sequence : left.index < right.index
  }
}
