/// A place on a tape.
public struct TapePlace: Equatable, Sendable, CustomStringConvertible {
  public let ordinal: UInt64
  /// Bytes from the segment's beginning.
  public let offset: UInt64

  public init(ordinal: UInt64, offset: UInt64) {
    self.ordinal = ordinal
    self.offset = offset
  }

  public var fileName: String { TapeLayout.fileName(ordinal: ordinal) }
  public var description: String { "\(fileName) at byte \(offset)" }
}

/// What is wrong with a tape, and where.
public enum TapeDamage: Error, Equatable, Sendable, CustomStringConvertible {
  /// The segment's header cannot be relied upon, and with it nothing behind it.
  case header(ordinal: UInt64, HeaderDamage)
  /// The file holds another segment than its name says.
  case misnamed(ordinal: UInt64, found: UInt64)
  /// Segments between two others are not there.
  case missingSegments(first: UInt64, last: UInt64)
  /// The segment does not continue the one before it: one of the two is another tape's, or was edited.
  case foreign(ordinal: UInt64)
  /// Bytes of a record were changed. `intactFrom` is where the next record that fits lies; nil: there is none.
  case changed(TapePlace, after: UInt64, intactFrom: UInt64?)
  /// A record is whole, but does not follow the one in front of it: some were removed, moved, repeated or exchanged.
  case outOfChain(TapePlace, after: UInt64)
  /// A segment that is not the newest ends without a seal.
  case truncated(TapePlace, after: UInt64)
  /// What the seal counts is not what is there.
  case miscounted(TapePlace)
  /// There are bytes behind the seal.
  case behindSeal(TapePlace)
  /// A file cannot be read.
  case unreadable(ordinal: UInt64, TapeFileError)

  /// A word for it, for JSON.
  public var name: String {
    switch self {
    case .header: "header"
    case .misnamed: "misnamed"
    case .missingSegments: "missingSegments"
    case .foreign: "foreign"
    case .changed: "changed"
    case .outOfChain: "outOfChain"
    case .truncated: "truncated"
    case .miscounted: "miscounted"
    case .behindSeal: "behindSeal"
    case .unreadable: "unreadable"
    }
  }

  /// Where it is; the beginning of a segment when all of that is concerned.
  public var place: TapePlace {
    switch self {
    case .header(let ordinal, _), .misnamed(let ordinal, _), .foreign(let ordinal),
      .unreadable(let ordinal, _):
      TapePlace(ordinal: ordinal, offset: 0)
    case .missingSegments(let first, _): TapePlace(ordinal: first, offset: 0)
    case .changed(let place, _, _), .outOfChain(let place, _), .truncated(let place, _),
      .miscounted(let place),
      .behindSeal(let place):
      place
    }
  }

  public var description: String {
    switch self {
    case .header(let ordinal, let damage): "\(TapeLayout.fileName(ordinal: ordinal)): \(damage)"
    case .misnamed(let ordinal, let found):
      "\(TapeLayout.fileName(ordinal: ordinal)) holds segment \(found): files were renamed or exchanged"
    case .missingSegments(let first, let last):
      first == last ? "segment \(first) is missing" : "segments \(first)...\(last) are missing"
    case .foreign(let ordinal):
      "\(TapeLayout.fileName(ordinal: ordinal)) does not continue the segment before it"
    case .changed(let place, let after, let intact):
      "\(place): a record was changed (the last one before it leaves sequence \(after) due); "
        + (intact.map { "intact again from byte \($0)" } ?? "nothing intact behind it in this segment")
    case .outOfChain(let place, let after):
      "\(place): a record does not follow the one before it (which leaves sequence \(after) due): records were removed, moved or repeated"
    case .truncated(let place, let after):
      "\(place): the segment was cut off (sequence \(after) is due there)"
    case .miscounted(let place): "\(place): the seal does not agree with the records before it"
    case .behindSeal(let place): "\(place): bytes behind the seal"
    case .unreadable(_, let error): "\(error)"
    }
  }
}

/// How a segment ends.
public enum SegmentEnd: Equatable, Sendable {
  case sealed(TapeSeal)
  /// No seal: the recorder writes it still, or was killed. Whole to the last byte.
  case open
  /// No seal, and behind the last whole record some bytes of one that was being written.
  case torn(bytes: UInt64)
}
