/// One missing range as merged writes it down: sixteen words on the recovery page. Instants are nanoseconds of
/// CLOCK_MONOTONIC; 0 = never. A range that is filled in pieces leaves one record for each.
public struct GapRecord: Equatable, Sendable {
  /// Words of a record; the first is left to its page.
  public static let words = 16

  /// Finished ranges are numbered from 1 on, over all incarnations of merged; 0 for an open one.
  public var number: UInt64 = 0
  public var first: UInt64 = 0
  /// Inclusive.
  public var last: UInt64 = 0
  public var detectedAt: UInt64 = 0
  public var firstRequestAt: UInt64 = 0
  public var lastRequestAt: UInt64 = 0
  /// 0 while it is open.
  public var finishedAt: UInt64 = 0
  /// Requests that covered part of it.
  public var requests: UInt64 = 0
  /// The rung of the ladder it is on, or that ended it: a raw value of ``GapRung``.
  public var rung: UInt64 = 0
  /// 0 = open; a ``GapReason`` for one that was lost; from 16 on who filled it: line A, line B, retransmission, snapshot.
  public var outcome: UInt64 = 0
  /// Of an open range: messages of it that have come so far, by who brought them.
  public var filledByLineA: UInt64 = 0
  public var filledByLineB: UInt64 = 0
  public var filledByRetransmission: UInt64 = 0
  /// The incarnation of merged that wrote it.
  public var epoch: UInt64 = 0

  public init() {}

  /// Messages in the range.
  public var count: UInt64 { last &- first &+ 1 }
  public var isOpen: Bool { outcome == 0 }
  public var isLost: Bool { outcome > 0 && outcome < 16 }

  /// How it ended, in the words of every text and JSON output.
  public var outcomeName: String {
    switch outcome {
    case 0: "open"
    case 16: "filled by line A"
    case 17: "filled by line B"
    case 18: "filled by retransmission"
    case 19: "replaced by snapshot"
    default: "lost: " + (UInt8(exactly: outcome).flatMap(GapReason.init(rawValue:))?.name ?? "unknown reason")
    }
  }

  public var rungName: String {
    UInt8(exactly: rung).flatMap(GapRung.init(rawValue:))?.name ?? "unknown"
  }

  /// From the words after the first, which are its fields in the order above; any words are a record.
  public init(payload: [UInt64]) {
    guard payload.count == Self.words - 1 else { return }
    number = payload[0]
    first = payload[1]
    last = payload[2]
    detectedAt = payload[3]
    firstRequestAt = payload[4]
    lastRequestAt = payload[5]
    finishedAt = payload[6]
    requests = payload[7]
    rung = payload[8]
    outcome = payload[9]
    filledByLineA = payload[10]
    filledByLineB = payload[11]
    filledByRetransmission = payload[12]
    epoch = payload[13]
  }
}

/// The rungs of the refill ladder, in their order.
public enum GapRung: UInt8, Sendable, CaseIterable {
  case otherLine = 0
  case retention = 1
  case tape = 2
  case retransmission = 3
  case snapshot = 4

  /// The name used in every text and JSON output.
  public var name: String {
    switch self {
    case .otherLine: "other line"
    case .retention: "retention"
    case .tape: "tape"
    case .retransmission: "retransmission"
    case .snapshot: "snapshot"
    }
  }
}

/// A message that the lines carried with different bytes.
public struct DisagreementEntry: Equatable, Sendable {
  /// Bytes of each payload that are kept.
  public static let payloadBytes = 96
  public var sequence: UInt64
  /// 0: line A's copy was refused, 1: line B's, 2: one of the retransmission service.
  public var refusedSource: UInt64
  public var kept: [UInt8]
  public var refused: [UInt8]
  /// How long the messages were.
  public var keptLength: UInt64
  public var refusedLength: UInt64

  public init(
    sequence: UInt64, refusedSource: UInt64, kept: [UInt8], refused: [UInt8], keptLength: UInt64,
    refusedLength: UInt64
  ) {
    self.sequence = sequence
    self.refusedSource = refusedSource
    self.kept = Array(kept.prefix(Self.payloadBytes))
    self.refused = Array(refused.prefix(Self.payloadBytes))
    self.keptLength = keptLength
    self.refusedLength = refusedLength
  }
}
