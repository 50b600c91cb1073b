import SoupBinTCP

/// Nasdaq GLIMPSE 5.0: the state of a TotalView-ITCH 5.0 feed at one instant, as ITCH messages over
/// SoupBinTCP. Every message is one sequenced packet; the image ends with a message of its own:
///
/// ```
/// offset  size  field
///      0     1  type       G
///      1    20  sequence   ASCII number, padded: where the live feed stood when the image was taken
/// ```
public enum Glimpse {
  /// Letter and bytes of the end of snapshot.
  public static var endOfSnapshotType: UInt8 { @_noLocks get { 0x47 } }
  public static var endOfSnapshotBytes: Int { @_noLocks get { 21 } }

  /// Writes an end of snapshot.
  /// - Parameter target: ``endOfSnapshotBytes`` writable bytes; needs no alignment
  public static func writeEndOfSnapshot(sequence: UInt64, to target: UnsafeMutableRawPointer) {
    target.storeBytes(of: endOfSnapshotType, as: UInt8.self)
    SoupNumber.write(sequence, to: target + 1)
  }
}

/// What the number in an end of snapshot means. The public documents do not say which; Nasdaq's clients take it
/// for ``firstNotContained``. See ``GlimpseBoundary`` for how the stream itself shows it.
@frozen
public enum GlimpseConvention: UInt8, Sendable, CaseIterable {
  /// The first live message whose effect the image does not contain.
  case firstNotContained = 0
  /// The last live message whose effect the image contains.
  case lastContained = 1

  /// The name used in configuration and output.
  public var name: String {
    switch self {
    case .firstNotContained: "next"
    case .lastContained: "last"
    }
  }
}

/// Which part of an image a message belongs to.
@frozen
public enum GlimpseSection: UInt8, Sendable, CaseIterable {
  /// `S`: what the market as a whole is doing.
  case systemEvent = 0
  /// `R`: an instrument.
  case directory = 1
  /// `H`, `Y`, `h`, `N`: an instrument's state.
  case state = 2
  /// `A`, `F`: a displayed order. Their order is the queue's order within each price.
  case order = 3

  var position: Int { @_noLocks get { Int(rawValue) } }
}

/// Why an image was refused. The raw value is stable and can index a counter.
@frozen
public enum GlimpseRefusal: UInt8, Error, Sendable, CaseIterable {
  /// A message without bytes.
  case emptyMessage = 0
  /// Neither ITCH 5.0 nor GLIMPSE has a message with this letter.
  case unknownType = 1
  /// A message whose type has another length.
  case wrongLength = 2
  /// An ITCH message that tells of a change: an image has only states.
  case notPartOfAnImage = 3
  /// The image does not start at the session's first message: what precedes it was never seen.
  case notFromTheStart = 4
  /// A message is missing or came twice between two others.
  case sequenceBroken = 5
  /// Sections came in another order than system event, directory, states, orders. Only when the strict order
  /// is configured.
  case sectionOutOfOrder = 6
  /// An instrument's message or an order with locate code 0.
  case locateZero = 7
  /// A locate code stands for two symbols.
  case symbolDisagrees = 8
  /// At the end: orders or states of a locate code that the directory does not have.
  case instrumentUnknown = 9
  /// An order's side is neither `B` nor `S`.
  case sideInvalid = 10
  /// An order without shares.
  case orderWithoutShares = 11
  /// Two orders have the same reference.
  case duplicateOrder = 12
  /// More orders than the decoder was made for.
  case tooManyOrders = 13
  /// The number in the end of snapshot is not one, or 0, or beyond what can be continued from.
  case endMalformed = 14
  /// Something follows the end of snapshot.
  case afterEnd = 15
  /// The session or the connection ended before the end of snapshot.
  case endedEarly = 16

  var index: Int { @_noLocks get { Int(rawValue) } }

  /// The name used in every text and JSON output.
  public var name: String {
    switch self {
    case .emptyMessage: "empty message"
    case .unknownType: "unknown type"
    case .wrongLength: "wrong length"
    case .notPartOfAnImage: "not part of an image"
    case .notFromTheStart: "not from the start"
    case .sequenceBroken: "sequence broken"
    case .sectionOutOfOrder: "section out of order"
    case .locateZero: "locate zero"
    case .symbolDisagrees: "symbol disagrees"
    case .instrumentUnknown: "instrument unknown"
    case .sideInvalid: "side invalid"
    case .orderWithoutShares: "order without shares"
    case .duplicateOrder: "duplicate order"
    case .tooManyOrders: "too many orders"
    case .endMalformed: "end malformed"
    case .afterEnd: "after the end"
    case .endedEarly: "ended early"
    }
  }
}

/// A complete image.
@frozen
public struct GlimpseEnd: Equatable, Sendable {
  /// The number as it was sent.
  public var snapshotSequence: UInt64
  /// The first live message to apply on top of the image.
  public var continueFrom: UInt64
  public var systemEvents: UInt64
  public var instruments: UInt64
  public var states: UInt64
  public var orders: UInt64

  init(
    snapshotSequence: UInt64, continueFrom: UInt64, systemEvents: UInt64, instruments: UInt64, states: UInt64,
    orders: UInt64
  ) {
    self.snapshotSequence = snapshotSequence
    self.continueFrom = continueFrom
    self.systemEvents = systemEvents
    self.instruments = instruments
    self.states = states
    self.orders = orders
  }

  /// How this image fits to live messages that were kept from `keptFrom` on, without a hole up to the one before
  /// `nextLive`.
  public func joining(keptFrom: UInt64, nextLive: UInt64) -> GlimpseJoin {
    if continueFrom < keptFrom { return .tooOld(missing: continueFrom...(keptFrom &- 1)) }
    if continueFrom > nextLive { return .ahead(by: continueFrom &- nextLive) }
    return .joined(applyFrom: continueFrom)
  }
}

/// Whether an image and the live messages that were kept meet.
@frozen
public enum GlimpseJoin: Equatable, Sendable {
  /// Drop what was kept below this number, apply the rest.
  case joined(applyFrom: UInt64)
  /// The image ends before what was kept begins: these messages are in neither. Ask for a new image, or for
  /// the messages.
  case tooOld(missing: ClosedRange<UInt64>)
  /// The image ends after the newest live message by so many: wait for the lines to get there. When they do
  /// not, or the distance cannot be believed, the number is wrong.
  case ahead(by: UInt64)
}

/// What an image's messages become.
@frozen
public enum GlimpseStep: Equatable, Sendable {
  /// Apply the message to the state that is being built. Nothing of that state may be shown before
  /// ``complete(_:)``.
  case deliver(GlimpseSection)
  /// The image is whole.
  case complete(GlimpseEnd)
  /// The image must not be used, nor anything that was delivered from it. Every later message is answered so
  /// until `begin`.
  case refused(GlimpseRefusal)
}
