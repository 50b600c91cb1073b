import StageRecords

/// A place behind an event of the stream: everything up to and including it is known.
public struct StreamPlace: Sendable, Hashable, Comparable {
  /// Venue sequence number; 0: nothing is known.
  public var sequence: UInt64
  /// Index of the event in its message.
  public var index: UInt16

  /// The last index that a message's own events can have; what the book stage adds behind them comes later.
  public static let wholeMessage: UInt16 = BookEventHeader.recoveryIndex - 1

  public init(sequence: UInt64, index: UInt16 = Self.wholeMessage) {
    self.sequence = sequence
    self.index = index
  }

  public static func < (left: StreamPlace, right: StreamPlace) -> Bool {
    (left.sequence, left.index) < (right.sequence, right.index)
  }
}

/// What of the stream was published before, and can be had again.
public protocol HistorySource: AnyObject {
  /// The oldest message behind which everything can be had; nil when nothing can.
  var oldest: UInt64? { get }

  /// Whether ``oldest`` is the last word. While it is not, a cursor in front of it is given a reader that waits until it is.
  var isReachKnown: Bool { get }

  /// A reader of everything behind a place; nil when it is not to be had, or when as many readers as allowed are
  /// open.
  func reader(after place: StreamPlace) -> (any HistoryReader)?
}

extension HistorySource {
  public var isReachKnown: Bool { true }
}

/// Reads the stream from a place in the past up to the present.
public protocol HistoryReader: AnyObject {
  /// Hands out the next events in order, up to about `bytes` of them.
  /// - Parameter body: gets the kind, and header and body; valid during the call.
  func read(bytes: Int, _ body: (UInt8, UnsafeRawBufferPointer) -> Void) -> HistoryStep
}

/// How far a ``HistoryReader`` has come.
public enum HistoryStep: Equatable, Sendable {
  /// There is more.
  case more
  /// There will be more, but not now.
  case waiting
  /// Everything that was published has been handed out.
  case present
  /// The next events are not to be had any more.
  case lost
  /// Nobody could find out in time whether they are to be had.
  case unknown
}
