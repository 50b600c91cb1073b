/// What one line (or the retransmission service) brought. Messages are counted when a packet is received.
@frozen
public struct LineStatistics: Equatable, Sendable {
  /// The line's own next sequence number: one past the highest it has shown; 0 = nothing seen yet.
  public var nextSequence: UInt64 = 0
  /// Instant of the last packet, heartbeat or end of session; 0 = none yet.
  public var lastPacketAt: UInt64 = 0
  /// Packets with messages, and the messages in them. Packets that were rejected are not among them.
  public var packets: UInt64 = 0
  public var messages: UInt64 = 0
  public var heartbeats: UInt64 = 0
  /// Packets that brought the stream forward, and packets whose messages had all been seen already.
  public var packetsFirst: UInt64 = 0
  public var packetsBehind: UInt64 = 0
  /// Holes in the line's own numbering, and the messages in them (before any reordering is made good).
  public var holes: UInt64 = 0
  public var missedMessages: UInt64 = 0
  /// Those of the missed messages that the other line had.
  public var missedAlone: UInt64 = 0
  /// Packets that started before the line's own next number: repeated or out of order on the line itself.
  public var packetsOutOfOrder: UInt64 = 0
  /// Packets, heartbeats and ends of session of another session.
  public var foreignSession: UInt64 = 0
  /// Messages of the line that had been delivered or given up before they came.
  public var messagesBehind: UInt64 = 0
  /// Messages of the line that came after they had been given up.
  public var messagesLate: UInt64 = 0
  /// Instant at which the line last came forward: showed a number that it had not shown before.
  public var lastAdvanceAt: UInt64 = 0
  /// Times that the line began again at low numbers within the session.
  public var sequenceResets: UInt64 = 0
  /// Where a run of packets far behind the line's own position goes on, and its packets so far.
  @usableFromInline var rewoundNext: UInt64 = 0
  @usableFromInline var rewoundPackets: UInt64 = 0

  @usableFromInline init() {}
}

/// What became of everything.
///
/// Nothing vanishes. Provided that each message of an examined packet is handed over:
///
/// ```
/// messages of all three sources = delivered + duplicates + late + duplicatesHeld + heldTotal + notHeld
///                                 + beyondWindow + notRequested
/// heldTotal                     = heldDelivered + heldDiscarded + held now
/// missing                       = filled, from four sources + givenUp + missing now
/// ```
/// Messages of rejected packets are counted apart, in `rejectedMessages`.
@frozen
public struct ArbiterCounters: Equatable, Sendable {
  /// Delivered straight from a packet.
  public var delivered: UInt64 = 0
  /// Copies of messages that were delivered before.
  public var duplicates: UInt64 = 0
  /// Messages that came after they had been given up.
  public var late: UInt64 = 0
  /// Copies of messages that are held.
  public var duplicatesHeld: UInt64 = 0
  /// Messages that were copied to wait, those delivered since, and those dropped with their session.
  public var heldTotal: UInt64 = 0
  public var heldDelivered: UInt64 = 0
  public var heldDiscarded: UInt64 = 0
  /// Most messages held at once.
  public var heldPeak: UInt64 = 0
  /// Messages in the window for which there was no memory.
  public var notHeld: UInt64 = 0
  /// Messages beyond the window.
  public var beyondWindow: UInt64 = 0
  /// Messages of answers outside of every outstanding request.
  public var notRequested: UInt64 = 0
  /// Messages, and packets, in rejected packets (all reasons; ``LineArbiter/rejections(_:)`` tells them apart).
  public var rejectedMessages: UInt64 = 0
  public var rejectedPackets: UInt64 = 0

  /// Ranges and messages found missing.
  public var gaps: UInt64 = 0
  public var missing: UInt64 = 0
  public var filledByLineA: UInt64 = 0
  public var filledByLineB: UInt64 = 0
  public var filledByRetransmission: UInt64 = 0
  public var filledBySnapshot: UInt64 = 0
  public var givenUp: UInt64 = 0
  /// Longest time from detection to fill of any message, ns.
  public var slowestFill: UInt64 = 0
  /// Times that the full gap table made ranges coarse.
  public var gapTableOverflows: UInt64 = 0

  /// Requests of retransmission, those among them that repeat an unanswered one, and timeouts.
  public var requests: UInt64 = 0
  public var retries: UInt64 = 0
  public var timeouts: UInt64 = 0
  /// Ranges that a line filled later than its objective.
  public var lineObjectiveMissed: UInt64 = 0

  /// Copies that differed from the first. Delivered ones are compared only with a history.
  public var disagreements: UInt64 = 0
  /// Messages or announcements beyond an announced end of session, which moved it.
  public var endMoved: UInt64 = 0
  /// Numbers further ahead than one packet is believed, jumps that a second one supported, and announced ends that
  /// wait for a second one.
  public var farAheadClaims: UInt64 = 0
  public var jumps: UInt64 = 0
  public var endClaims: UInt64 = 0

  @usableFromInline init() {}
}
