import OrderBook
import StageRecords

/// Why a venue message was not applied.
public enum MessageRejection: UInt8, Sendable, CaseIterable {
  case unknownType = 1
  case wrongLength = 2
  /// A side that is neither buy nor sell, no shares, or an order message without an instrument.
  case impossibleField = 3
  case unknownReference = 4
  case duplicateReference = 5
  case quantityExceeded = 6
  case wrongInstrument = 7
  case ordersFull = 8
  case levelsFull = 9
  case instrumentOutOfRange = 10

  init(_ rejection: BookRejection) {
    switch rejection {
    case .unknownReference: self = .unknownReference
    case .duplicateReference: self = .duplicateReference
    case .quantityExceeded: self = .quantityExceeded
    case .quantityOutOfRange: self = .impossibleField
    case .wrongInstrument: self = .wrongInstrument
    case .ordersFull: self = .ordersFull
    case .levelsFull: self = .levelsFull
    case .instrumentOutOfRange: self = .instrumentOutOfRange
    }
  }

  /// What the trust event says about it.
  public var trustReason: TrustReason {
    switch self {
    case .unknownType, .wrongLength, .impossibleField: .malformedMessage
    case .unknownReference: .unknownReference
    case .duplicateReference: .duplicateReference
    case .quantityExceeded: .quantityExceeded
    case .wrongInstrument: .wrongInstrument
    case .ordersFull, .levelsFull, .instrumentOutOfRange: .capacity
    }
  }

  /// The name used in every text and JSON output.
  public var name: String {
    switch self {
    case .unknownType: "unknown type"
    case .wrongLength: "wrong length"
    case .impossibleField: "impossible field"
    case .unknownReference: "unknown reference"
    case .duplicateReference: "duplicate reference"
    case .quantityExceeded: "quantity exceeded"
    case .wrongInstrument: "wrong instrument"
    case .ordersFull: "orders full"
    case .levelsFull: "levels full"
    case .instrumentOutOfRange: "instrument out of range"
    }
  }
}

/// What a ``BookBuilder`` counted since it was made. Every message given to it is applied, rejected or withheld.
public struct BookCounters: Sendable {
  /// Messages that were applied.
  public internal(set) var applied: UInt64 = 0
  /// Messages inside gaps.
  public internal(set) var lost: UInt64 = 0
  /// Gaps.
  public internal(set) var gaps: UInt64 = 0
  /// Events made, of all kinds.
  public internal(set) var events: UInt64 = 0
  /// Changes of the best prices that left the bid above the ask.
  public internal(set) var crossed: UInt64 = 0
  /// Changes of the best prices that left the bid at the ask.
  public internal(set) var locked: UInt64 = 0
  /// Messages about orders of an instrument in quarantine, which were neither applied nor rejected.
  public internal(set) var withheld: UInt64 = 0
  var rejections = InlineArray<11, UInt64>(repeating: 0)

  /// Messages rejected for a reason.
  public func rejected(_ reason: MessageRejection) -> UInt64 { rejections[Int(reason.rawValue)] }

  /// Messages rejected for any reason.
  public var rejected: UInt64 {
    MessageRejection.allCases.reduce(0) { $0 + rejected($1) }
  }

  /// Messages rejected for another reason than a full table.
  var rejectedOtherwise: UInt64 {
    MessageRejection.allCases.reduce(0) { $0 + ($1.trustReason == .capacity ? 0 : rejected($1)) }
  }

  /// All counts as words, in the order of the book image.
  static let wordCount = 18
  func word(_ index: Int) -> UInt64 {
    switch index {
    case 0: applied
    case 1: lost
    case 2: gaps
    case 3: events
    case 4: crossed
    case 5: locked
    case 6: withheld
    default: rejections[index - 7]
    }
  }

  mutating func setWord(_ index: Int, _ value: UInt64) {
    switch index {
    case 0: applied = value
    case 1: lost = value
    case 2: gaps = value
    case 3: events = value
    case 4: crossed = value
    case 5: locked = value
    case 6: withheld = value
    default: rejections[index - 7] = value
    }
  }

  mutating func countRejection(_ reason: MessageRejection) {
    rejections[Int(reason.rawValue)] &+= 1
  }
}
