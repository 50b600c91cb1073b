import OrderBook
import StageRecords

/// The books, symbols and trust states of a channel, rebuilt from nothing but its book events. It checks
/// what it applies: every identity follows the one before it, every level and best-prices event is what the
/// replica's own book says. Any bytes may be given to it; what does not fit is a ``ReplicaMismatch``, never
/// a trap. Allocates only in `init`. Not thread-safe.
///
/// A replica that saw every event from the first on, with a capacity not below the builder's, has equal
/// ``OrderBooks/contentDigest()``, symbols and trust states.
public struct BookReplica: ~Copyable {
  /// The books as of the last event.
  public internal(set) var books: OrderBooks
  /// Symbols and trust states as of the last event.
  public internal(set) var instruments = InstrumentTable()
  /// The newest event's identity; nil before the first.
  public internal(set) var lastIdentity: EventIdentity?
  /// Whether the newest event was the last of its venue message: only then are the books between messages.
  public internal(set) var isMessageComplete = true
  /// The channel of the events; nil before the first.
  public internal(set) var channel: UInt8?
  /// Events applied.
  public internal(set) var eventCount: UInt64 = 0
  /// Events that did not fit.
  public internal(set) var mismatchCount: UInt64 = 0
  /// Messages inside gap events.
  public internal(set) var lost: UInt64 = 0

  /// Maps and touches the books' memory; traps when it cannot be had (see ``OrderBooks/init(capacity:)``).
  public init(capacity: BookCapacity, touch: MemoryTouch = .atOnce) {
    books = OrderBooks(capacity: capacity, touch: touch)
  }

  /// As ``OrderBooks/touchMemory()``.
  public mutating func touchMemory() -> Bool { books.touchMemory() }

  /// Applies one event: its kind and its header and body.
  ///
  /// An event that does not fit changes no book. A malformed, foreign or repeated event is passed over
  /// altogether; any other one's identity is taken, so that one damaged event makes one mismatch and the
  /// events behind it are judged by themselves.
  public mutating func apply(kind: UInt8, event: UnsafeRawBufferPointer) -> ReplicaOutcome {
    guard let mismatch = take(kind, event) else {
      eventCount &+= 1
      return .applied
    }
    mismatchCount &+= 1
    return .mismatch(mismatch)
  }

  private mutating func take(_ kind: UInt8, _ event: UnsafeRawBufferPointer) -> ReplicaMismatch? {
    guard let base = event.baseAddress, event.count >= BookEventHeader.bytes,
      let kind = BookEventKind(rawValue: kind),
      Self.isBodyLength(event.count - BookEventHeader.bytes, of: kind)
    else { return .malformedEvent }
    let header = BookEventHeader(from: base)
    let body = EventBody(base: base + BookEventHeader.bytes)
    if let channel, channel != header.channel {
      return .otherChannel(expected: channel, actual: header.channel)
    }
    let identity = EventIdentity(sequence: header.sequence, index: header.index)
    if let lastIdentity, identity <= lastIdentity { return .repeated }
    let isNext = follows(identity)
    channel = header.channel
    lastIdentity = identity
    isMessageComplete = header.flags & EventFlags.last != 0
    guard isNext else { return .incompleteMessage }
    guard Int(header.instrument) < InstrumentTable.capacity else { return .instrumentOutOfRange }
    return content(kind, header, body)
  }

  /// Whether an identity, which is behind the last one, is the next: within the message while it is not
  /// complete, else the start of a later one. Numbers are left out where messages made no events.
  private func follows(_ identity: EventIdentity) -> Bool {
    guard let lastIdentity else { return identity.index == 0 }
    // Before the first message there may have been notices alone, under number 0.
    if isMessageComplete, identity.sequence == 0, lastIdentity.sequence == 0 { return true }
    if isMessageComplete, identity.index >= BookEventHeader.recoveryIndex {
      return identity.sequence == lastIdentity.sequence
    }
    if isMessageComplete { return identity.sequence > lastIdentity.sequence && identity.index == 0 }
    return identity.sequence == lastIdentity.sequence && identity.index == lastIdentity.index &+ 1
  }

  private mutating func content(
    _ kind: BookEventKind, _ header: BookEventHeader, _ body: EventBody
  ) -> ReplicaMismatch? {
    let isFlagged = header.flags & EventFlags.stale != 0
    switch kind {
    case .trust: return trust(header, body, isFlagged)
    case .gap: return gap(body, isFlagged)
    default: break
    }
    if isFlagged != instruments.isStale(header.instrument) { return .trustDiffers }
    switch kind {
    case .definition: instruments.define(header.instrument, InstrumentDefinition(body: body.base))
    case .orderAdd, .orderReduce, .orderDelete, .orderExecute: return order(kind, header, body)
    case .level: return level(header, body)
    case .bestPrices: return bestPrices(header, body)
    case .endOfSession: if body.uint64(8) != lost { return .countsDiffer }
    case .tradingState:
      instruments.note(
        header.instrument, source: body.uint8(0), state: body.uint8(1), market: body.uint8(2),
        reason: body.base.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
    case .trade, .tradeBroken, .notice, .trust, .gap: break
    }
    return nil
  }

  private mutating func trust(
    _ header: BookEventHeader, _ body: EventBody, _ isFlagged: Bool
  ) -> ReplicaMismatch? {
    guard let state = TrustState(rawValue: body.uint8(0)), let reason = TrustReason(rawValue: body.uint8(1)),
      (state == .live) == (reason == .none),
      body.uint8(2) <= ((state == .live) == (header.instrument == 0) ? 1 : 0)
    else { return .malformedEvent }
    if header.instrument == 0, state == .live, body.uint8(2) == 1 {
      if isFlagged { return .trustDiffers }
      instruments.setChannelLive()
      return nil
    }
    let isQuarantined = body.uint8(2) == 1
    let isStale = state == .stale || (header.instrument != 0 && instruments.isStale(0))
    if isFlagged != isStale { return .trustDiffers }
    instruments.setTrust(header.instrument, reason: reason.rawValue, isQuarantined: isQuarantined)
    if isQuarantined { books.removeAll(instrument: header.instrument) }
    return nil
  }

  /// A gap is flagged although its trust event only follows: the channel is stale from the gap on.
  private mutating func gap(_ body: EventBody, _ isFlagged: Bool) -> ReplicaMismatch? {
    let first = body.uint64(0)
    let last = body.uint64(8)
    if first > last { return .malformedEvent }
    if !isFlagged { return .trustDiffers }
    lost &+= last &- first &+ 1
    return nil
  }
}

/// A body's fields, read in place; ``BookReplica/isBodyLength(_:of:)`` has accepted its length.
struct EventBody {
  let base: UnsafeRawPointer

  func uint8(_ offset: Int) -> UInt8 { base.load(fromByteOffset: offset, as: UInt8.self) }
  func uint32(_ offset: Int) -> UInt32 {
    UInt32(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
  }
  func uint64(_ offset: Int) -> UInt64 {
    UInt64(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }
  func int64(_ offset: Int) -> Int64 { Int64(bitPattern: uint64(offset)) }
}
