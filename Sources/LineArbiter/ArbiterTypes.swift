/// Where a range of messages came from. Raw values index per-source memory.
@frozen
public enum Source: UInt8, Sendable, CaseIterable {
  case lineA = 0
  case lineB = 1
  /// An answer of the venue's retransmission service.
  case retransmission = 2

  /// The raw value as an index. (Debug builds do not see a derived `rawValue` of another file when they check
  /// that a function does not allocate; nor is a derived `==` more than a generic call there.)
  @inlinable var index: Int {
    @_noLocks get { Int(rawValue) }
  }

  /// Whether this is one of the lines.
  @inlinable var isLine: Bool {
    @_noLocks get { rawValue < 2 }
  }
}

/// What to do with a packet, as ``LineArbiter/receive(source:first:count:now:)`` decides it.
@frozen
public enum Verdict: Equatable, Sendable {
  /// Message `skip` of the packet and all after it are the next of the stream: publish them, in order. The
  /// `skip` messages in front of them were delivered before. The arbiter has already advanced.
  case deliver(skip: Int)
  /// Every message of the packet was delivered (or given up) before.
  case duplicate
  /// New, old and early messages may be mixed: hand each one to
  /// ``LineArbiter/accept(sequence:bytes:stamp:)``, in order.
  case examine
  /// Nothing of the packet is to be used; it has been counted under the reason.
  case ignore(IgnoreReason)
}

/// Why a whole packet, heartbeat or end of session was not used.
@frozen
public enum IgnoreReason: UInt8, Sendable, CaseIterable {
  /// Count 0: taken as a heartbeat.
  case empty = 0
  /// Sequence numbers start at 1.
  case sequenceZero = 1
  /// `first + count` does not fit 64 bits.
  case overflow = 2
  /// Further ahead than ``ArbiterConfiguration/farAheadMessages``, and no other packet supports it.
  case farAhead = 3
  /// Reaches beyond the announced end of a session that is complete.
  case afterEnd = 4
  /// Every message lies beyond the reorder window; they count as missing and will be asked for.
  case beyondWindow = 5
  /// An answer that nobody waits for: outside of every outstanding request.
  case notRequested = 6
  /// The channel is halted after a loss.
  case halted = 7
  /// An end of session that no other packet supports yet.
  case unsupportedEnd = 8

  @inlinable var index: Int {
    @_noLocks get { Int(rawValue) }
  }

  /// The name used in every text and JSON output.
  public var name: String {
    switch self {
    case .empty: "empty"
    case .sequenceZero: "sequence zero"
    case .overflow: "sequence overflow"
    case .farAhead: "far ahead"
    case .afterEnd: "after end of session"
    case .beyondWindow: "beyond window"
    case .notRequested: "not requested"
    case .halted: "halted"
    case .unsupportedEnd: "unsupported end of session"
    }
  }
}

/// What became of one message of an examined packet.
@frozen
public enum Acceptance: UInt8, Sendable {
  /// It is the next of the stream: publish it now, then drain ``LineArbiter/nextDeliverable()``.
  case deliver
  /// Copied and kept until the hole in front of it is closed.
  case held
  /// Delivered, given up or held before.
  case duplicate
  /// Too far ahead for the window: counts as missing, will be asked for.
  case beyondWindow
  /// Inside the window, but the memory for held messages is full: counts as missing, will be asked for.
  case notHeld
  /// Part of an answer that was not asked for.
  case notRequested
}

/// What the stage has to do next, as ``LineArbiter/poll(now:)`` decides it.
@frozen
public enum Action: Equatable, Sendable {
  /// Ask the retransmission service for `count` messages from `first` on. Counted as sent at this instant;
  /// a request that cannot be sent is simply not answered.
  case request(first: UInt64, count: UInt16)
  /// `first...last` is lost for good: publish a gap record, then drain ``LineArbiter/nextDeliverable()``.
  /// The arbiter has already advanced. `first` is always the next number of the stream.
  case giveUp(first: UInt64, last: UInt64, reason: GiveUpReason)
  /// `first...last` is lost for good, and the channel's policy is to stop: publish a gap record, and nothing after it.
  case halt(first: UInt64, last: UInt64, reason: GiveUpReason)
  /// Ask the venue for its full image, for the sake of `first...last`, the head of the stream. Then call
  /// ``LineArbiter/snapshotArrived(next:now:)`` or ``LineArbiter/snapshotFailed(now:)``. Until then, new messages
  /// are held as long as there is room.
  case requestSnapshot(first: UInt64, last: UInt64)
  /// Nothing now; poll again at this instant, or after the next packet.
  case wait(until: UInt64)
  /// Nothing is missing that could be worked on.
  case idle
}

/// Why a range was given up. The raw values are those of the gap record on the ring `merged`.
@frozen
public enum GiveUpReason: UInt8, Sendable, CaseIterable {
  /// Neither line carried it, and retransmission is off.
  case retransmissionOff = 1
  /// Every allowed request for it went unanswered.
  case retransmissionExhausted = 2
  /// The stream ran further ahead than ``ArbiterConfiguration/maximumLagMessages``.
  case windowExceeded = 3
  /// The circuit breaker keeps requests away from the service.
  case retransmissionUnavailable = 6
  /// There was no image either.
  case snapshotUnavailable = 7
  /// Its session is over, and its retransmission with it.
  case sessionOver = 8
}

/// How a missing range ended.
@frozen
public enum GapOutcome: UInt8, Sendable, CaseIterable {
  case retransmissionOff = 1
  case retransmissionExhausted = 2
  case windowExceeded = 3
  case retransmissionUnavailable = 6
  case snapshotUnavailable = 7
  case sessionOver = 8
  case filledByLineA = 16
  case filledByLineB = 17
  case filledByRetransmission = 18
  /// A full image took its place.
  case filledBySnapshot = 19

  @usableFromInline @_noLocks
  init(filledBy source: Source) {
    switch source {
    case .lineA: self = .filledByLineA
    case .lineB: self = .filledByLineB
    case .retransmission: self = .filledByRetransmission
    }
  }

  @usableFromInline @_noLocks
  init(_ reason: GiveUpReason) {
    switch reason {
    case .retransmissionOff: self = .retransmissionOff
    case .retransmissionExhausted: self = .retransmissionExhausted
    case .windowExceeded: self = .windowExceeded
    case .retransmissionUnavailable: self = .retransmissionUnavailable
    case .snapshotUnavailable: self = .snapshotUnavailable
    case .sessionOver: self = .sessionOver
    }
  }

  @inlinable var index: Int {
    @_noLocks get { Int(rawValue) }
  }

  /// The range never came.
  public var isLoss: Bool {
    @_noLocks get { rawValue < GapOutcome.filledByLineA.rawValue }
  }

  /// The name used in every text and JSON output.
  public var name: String {
    switch self {
    case .retransmissionOff: "lost: retransmission off"
    case .retransmissionExhausted: "lost: retransmission exhausted"
    case .windowExceeded: "lost: window exceeded"
    case .retransmissionUnavailable: "lost: retransmission unavailable"
    case .snapshotUnavailable: "lost: snapshot unavailable"
    case .sessionOver: "lost: session over"
    case .filledByLineA: "filled by line A"
    case .filledByLineB: "filled by line B"
    case .filledByRetransmission: "filled by retransmission"
    case .filledBySnapshot: "replaced by snapshot"
    }
  }
}

/// The ten bytes that name a session.
@frozen
public struct SessionIdentifier: Equatable, Sendable {
  @usableFromInline let front: UInt64
  @usableFromInline let back: UInt16

  /// Bytes of an identifier.
  public static let byteCount = 10

  /// Reads ten bytes; no alignment needed.
  @inlinable @inline(__always)
  public init(from source: UnsafeRawPointer) {
    front = source.loadUnaligned(as: UInt64.self)
    back = source.loadUnaligned(fromByteOffset: 8, as: UInt16.self)
  }

  @inlinable @inline(__always) @_noLocks
  public static func == (left: Self, right: Self) -> Bool {
    left.front == right.front && left.back == right.back
  }

  /// Writes the ten bytes.
  @inlinable
  public func store(to target: UnsafeMutableRawPointer) {
    target.storeBytes(of: front, as: UInt64.self)
    target.storeBytes(of: back, toByteOffset: 8, as: UInt16.self)
  }
}

/// Whether a packet's session is the one that is being arbitrated.
@frozen
public enum SessionVerdict: UInt8, Sendable {
  /// The current session: go on with the packet.
  case same
  /// No session is known yet: call ``LineArbiter/adopt(session:)``, then go on with the packet.
  case first
  /// A session never seen before, on a line: conclude the current one, call
  /// ``LineArbiter/begin(session:firstSequence:)``, then go on with the packet. Repeated until that is done.
  case changed
  /// An earlier session, or an answer from another one. Counted; do not use the packet.
  case foreign
}

/// A range of sequence numbers that are missing, for display.
@frozen
public struct OpenGap: Equatable, Sendable {
  /// First missing sequence number.
  public var first: UInt64
  /// Last missing sequence number, inclusive.
  public var last: UInt64
  /// When the range was found missing (the oldest instant, if ranges were joined), in the caller's ns.
  public var detectedAt: UInt64
  /// When its last number was found missing.
  public var lastDetectedAt: UInt64
  /// When each line is done with it, the hold time after it passed it; `.max` = it has not passed it yet.
  public var lineADoneAt: UInt64
  public var lineBDoneAt: UInt64
  /// When a request first and last covered part of it; 0 = never.
  public var firstRequestAt: UInt64
  public var lastRequestAt: UInt64
  /// Requests that covered part of it.
  public var requests: UInt32
  /// Messages that belonged to this range and have arrived since, by source.
  public var filledByLineA: UInt32
  public var filledByLineB: UInt32
  public var filledByRetransmission: UInt32
  /// The gap table was full: some messages of the range are held already. Never given up with the rest.
  public var isCoarse: Bool

  @usableFromInline @_noLocks
  init(first: UInt64, last: UInt64, detectedAt: UInt64, lineADoneAt: UInt64, lineBDoneAt: UInt64) {
    self.first = first
    self.last = last
    self.detectedAt = detectedAt
    lastDetectedAt = detectedAt
    self.lineADoneAt = lineADoneAt
    self.lineBDoneAt = lineBDoneAt
    firstRequestAt = 0
    lastRequestAt = 0
    requests = 0
    filledByLineA = 0
    filledByLineB = 0
    filledByRetransmission = 0
    isCoarse = false
  }
}

/// A missing range that has ended. Each sequence number that was ever missing is in exactly one of these.
@frozen
public struct FinishedGap: Equatable, Sendable {
  public var first: UInt64
  /// Inclusive.
  public var last: UInt64
  public var detectedAt: UInt64
  /// When its last message arrived, or when it was given up.
  public var finishedAt: UInt64
  /// Requests that covered part of it, and when the first and the last of them were made; 0 = never.
  public var requests: UInt32
  public var firstRequestAt: UInt64
  public var lastRequestAt: UInt64
  public var outcome: GapOutcome

  @usableFromInline @_noLocks
  init(
    first: UInt64, last: UInt64, detectedAt: UInt64, finishedAt: UInt64, requests: UInt32,
    firstRequestAt: UInt64 = 0, lastRequestAt: UInt64 = 0, outcome: GapOutcome
  ) {
    self.firstRequestAt = firstRequestAt
    self.lastRequestAt = lastRequestAt
    self.first = first
    self.last = last
    self.detectedAt = detectedAt
    self.finishedAt = finishedAt
    self.requests = requests
    self.outcome = outcome
  }
}

/// A message that came twice with different bytes. The copy that came first was kept.
@frozen
public struct LineDisagreement: Equatable, Sendable, BitwiseCopyable {
  public var sequence: UInt64
  /// Who brought the copy that was not used.
  public var source: Source

  @usableFromInline @_noLocks
  init(sequence: UInt64, source: Source) {
    self.sequence = sequence
    self.source = source
  }
}

/// A message that waited for the hole in front of it to close.
@frozen
public struct HeldMessage {
  public let sequence: UInt64
  /// What was given to ``LineArbiter/accept(sequence:bytes:stamp:)`` with it.
  public let stamp: UInt64
  /// Valid until the next call of a mutating member of the arbiter.
  public let bytes: UnsafeRawBufferPointer

  @usableFromInline @_noLocks
  init(sequence: UInt64, stamp: UInt64, bytes: UnsafeRawBufferPointer) {
    self.sequence = sequence
    self.stamp = stamp
    self.bytes = bytes
  }
}

/// Whether a line is heard.
@frozen
public struct LineStates: Equatable, Sendable {
  public var lineAIsUp: Bool
  public var lineBIsUp: Bool
}
