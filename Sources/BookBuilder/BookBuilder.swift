import FeedWire
import OrderBook
import StageRecords

/// Turns one channel's sequenced ITCH 5.0 messages into order books and book events.
///
/// The events are a pure function of the calls and their arguments (`receiveTime` is copied into the events
/// and decides nothing). Which events a message makes is listed in docs/DIGESTS.md. A message that cannot be
/// applied is counted, leaves the books unchanged and makes its instrument stale, or the whole channel when
/// the instrument cannot be known; what becomes of a stale instrument is the ``ErrorPolicy``. Allocates only in `init`,
/// takes no lock (checked by the compiler in release builds, where it sees across modules), reads no clock. Not thread-safe.
public struct BookBuilder: ~Copyable {
  /// The books as of the last call.
  public internal(set) var books: OrderBooks
  /// Symbols and trust states as of the last call.
  public internal(set) var instruments = InstrumentTable()
  public internal(set) var counters = BookCounters()
  /// The channel number in every event.
  public let channel: UInt8
  /// What becomes of an instrument about which something wrong was said.
  public let policy: ErrorPolicy
  /// The first message that could not be applied; under ``ErrorPolicy/failFast`` nothing after it is believed.
  public internal(set) var failure: BuilderFailure?
  /// Where bodies of events go that nobody wants.
  private let scratch = UnsafeMutableRawPointer.allocate(byteCount: NoEvents.bodyBytesMax, alignment: 8)
  /// What ``prefetch(_:)`` remembers from its first pass to its second.
  let notes = UnsafeMutablePointer<PrefetchNote>.allocate(capacity: BookBuilder.prefetchCount)
  let states: StateMemory
  /// The channel is stale for no other reason than an image that is being fetched. Readers know it from a notice, which
  /// is no part of the stream: what is lost afterwards makes the stream stale as if there had been none.
  public internal(set) var isSuspected = false
  /// The message, gap or image that made the newest event; 0 before the first one.
  public internal(set) var newestEventSequence: UInt64 = 0
  /// The newest recovery, and behind which event's number something was said that is not part of the stream: nothing else
  /// can be said there any more.
  var newestRecovery: EventIdentity?
  var noticeSequence: UInt64?
  var endsWithNotice: Bool { noticeSequence == newestEventSequence }

  /// Maps and touches the books' memory; traps when it cannot be had (see ``OrderBooks/init(capacity:)``).
  /// - Parameters:
  ///   - policy: what becomes of an instrument about which something wrong was said
  ///   - takesImages: whether ``beginImage(_:first:last:count:)`` is used; takes 2 MB
  ///   - touch: when the kernel clears the memory
  public init(
    capacity: BookCapacity, channel: UInt8, policy: ErrorPolicy = .alarm, takesImages: Bool = false,
    touch: MemoryTouch = .atOnce
  ) {
    books = OrderBooks(capacity: capacity, touch: touch)
    states = StateMemory(isOn: takesImages)
    self.channel = channel
    self.policy = policy
  }

  deinit {
    scratch.deallocate()
    notes.deallocate()
  }

  /// As ``OrderBooks/touchMemory()``.
  public mutating func touchMemory() -> Bool { books.touchMemory() }

  /// Applies one venue message. `events` is cleared first and then holds what the message caused; it stays
  /// empty when the message has no bytes, or was rejected and its instrument was stale already.
  /// - Parameters:
  ///   - sequence: venue sequence number, the events' identity.
  ///   - receiveTime: copied into the events, ns since the Unix epoch.
  ///   - message: any bytes.
  #if !DEBUG
    @_noLocks
  #endif
  public mutating func apply(
    sequence: UInt64, receiveTime: UInt64, message: UnsafeRawBufferPointer, into events: inout EventBatch
  ) {
    take(sequence, receiveTime, message, &events)
  }

  /// Applies one venue message as ``apply(sequence:receiveTime:message:into:)`` does, without composing its
  /// events, which are only counted: for rebuilding books whose events are out already.
  #if !DEBUG
    @_noLocks
  #endif
  public mutating func replay(sequence: UInt64, message: UnsafeRawBufferPointer) {
    var events = NoEvents(body: scratch)
    take(sequence, 0, message, &events)
  }

  @inline(__always)
  private mutating func take<Events: EventSink & ~Copyable>(
    _ sequence: UInt64, _ receiveTime: UInt64, _ message: UnsafeRawBufferPointer, _ events: inout Events
  ) {
    events.removeAll()
    var event = BookEventHeader(
      sequence: sequence, venueTime: 0, receiveTime: receiveTime, instrument: 0, channel: channel)
    guard let base = message.baseAddress, message.count > 0 else {
      // A block without bytes is legal: it takes a number and says nothing.
      counters.applied &+= 1
      return
    }
    let type = base.load(as: UInt8.self)
    let expected = ITCH50.expectedLength(type)
    guard expected == message.count else {
      return reject(expected == 0 ? .unknownType : .wrongLength, event, into: &events)
    }
    let header = ITCH50.Header(base: base)
    event.instrument = UInt32(header.locate)
    if books.isClosed(instrument: event.instrument), ITCH50.isAboutOrders(type) {
      return withhold()
    }
    if Events.isKept {
      event.venueTime = header.timestamp
      event.flags = instruments.isStale(event.instrument) ? EventFlags.stale : 0
    }
    let rejection = dispatch(type, base, event, into: &events)
    if let rejection { return reject(rejection, event, into: &events) }
    counters.applied &+= 1
    close(sequence, &events)
  }

  /// Applies the loss of the messages `first`...`last`: a gap event and, while the channel was live, its
  /// turning stale. The events' identity is `first`; their venue time is 0.
  /// - Parameter reason: raw value of a GapReason.
  #if !DEBUG
    @_noLocks
  #endif
  public mutating func gap(
    first: UInt64, last: UInt64, reason: UInt8, receiveTime: UInt64, into events: inout EventBatch
  ) {
    events.removeAll()
    let last = last < first ? first : last
    counters.gaps &+= 1
    counters.lost &+= last &- first &+ 1
    let wasStale = instruments.isStale(0) && !isSuspected
    isSuspected = false
    if !wasStale { instruments.setTrust(0, reason: TrustReason.gap.rawValue) }
    let event = BookEventHeader(
      sequence: first, venueTime: 0, receiveTime: receiveTime, instrument: 0, channel: channel,
      flags: EventFlags.stale)
    events.appendGap(event, first: first, last: last, reason: reason)
    if !wasStale { events.appendTrust(event, state: .stale, reason: .gap, first: first, last: last) }
    close(first, &events)
  }

  /// Passes over a message that is not to be applied, whatever is in it: a gap of one. It concerns the instrument that the
  /// message names, where that is one of the venue's orders or reports about a defined instrument; otherwise the channel.
  /// - Parameter reason: raw value of a GapReason.
  public mutating func passOver(
    sequence: UInt64, message: UnsafeRawBufferPointer, reason: UInt8, receiveTime: UInt64,
    into events: inout EventBatch
  ) {
    let instrument = instrumentNamed(in: message)
    guard instrument != 0 else {
      return gap(first: sequence, last: sequence, reason: reason, receiveTime: receiveTime, into: &events)
    }
    events.removeAll()
    counters.gaps &+= 1
    counters.lost &+= 1
    let wasStale = instruments.isStale(instrument)
    if !wasStale { instruments.setTrust(instrument, reason: TrustReason.gap.rawValue) }
    let event = BookEventHeader(
      sequence: sequence, venueTime: 0, receiveTime: receiveTime, instrument: instrument, channel: channel,
      flags: EventFlags.stale)
    events.appendGap(event, first: sequence, last: sequence, reason: reason)
    if !wasStale { events.appendTrust(event, state: .stale, reason: .gap, first: sequence, last: sequence) }
    close(sequence, &events)
  }

  /// 0 when the message does not say it, or cannot be believed.
  private func instrumentNamed(in message: UnsafeRawBufferPointer) -> UInt32 {
    guard let base = message.baseAddress, message.count >= ITCH50.headerBytes,
      ITCH50.expectedLength(base.load(as: UInt8.self)) == message.count
    else { return 0 }
    let instrument = UInt32(ITCH50.Header(base: base).locate)
    return instruments.definition(instrument) == nil ? 0 : instrument
  }

  /// Applies the end of the session. The event's identity is `next`, one past the last sequence number.
  #if !DEBUG
    @_noLocks
  #endif
  public mutating func endOfSession(next: UInt64, receiveTime: UInt64, into events: inout EventBatch) {
    events.removeAll()
    let event = BookEventHeader(
      sequence: next, venueTime: 0, receiveTime: receiveTime, instrument: 0, channel: channel,
      flags: instruments.isStale(0) ? EventFlags.stale : 0)
    events.appendEndOfSession(event, applied: counters.applied, lost: counters.lost)
    close(next, &events)
  }

  /// Most frequent types first.
  @inline(__always)
  private mutating func dispatch<Events: EventSink & ~Copyable>(
    _ type: UInt8, _ base: UnsafeRawPointer, _ event: BookEventHeader, into events: inout Events
  ) -> MessageRejection? {
    switch type {
    case 0x41, 0x46: return addOrder(ITCH50.AddOrder(base: base), event, into: &events)
    case 0x44: return deleteOrder(ITCH50.OrderDelete(base: base), event, into: &events)
    case 0x55: return replaceOrder(ITCH50.OrderReplace(base: base), event, into: &events)
    case 0x45: return executeOrder(ITCH50.OrderExecuted(base: base), event, into: &events)
    case 0x58: return cancelOrder(ITCH50.OrderCancel(base: base), event, into: &events)
    case 0x43: return executeOrder(ITCH50.OrderExecutedWithPrice(base: base), event, into: &events)
    case 0x52: return define(ITCH50.StockDirectory(base: base), event, into: &events)
    default:
      report(type, base, event, into: &events)
      return nil
    }
  }

  @inline(__always)
  private mutating func close<Events: EventSink & ~Copyable>(_ sequence: UInt64, _ events: inout Events) {
    events.closeMessage()
    let count = events.eventCount
    counters.events &+= UInt64(truncatingIfNeeded: count)
    newestEventSequence = count > 0 ? sequence : newestEventSequence
  }

  /// Counts a message that was not applied and makes stale what it concerned.
  private mutating func reject<Events: EventSink & ~Copyable>(
    _ rejection: MessageRejection, _ event: BookEventHeader, into events: inout Events
  ) {
    counters.countRejection(rejection)
    if failure == nil {
      failure = BuilderFailure(sequence: event.sequence, instrument: event.instrument, reason: rejection)
    }
    markStale(event.instrument, rejection, event, into: &events)
    close(event.sequence, &events)
  }

  /// A message about orders of an instrument in quarantine: its book is not kept.
  @inline(never)
  private mutating func withhold() { counters.withheld &+= 1 }

  /// Sets an instrument's own trust, and whether messages about its orders are withheld: the two never part.
  mutating func setTrust(_ instrument: UInt32, _ reason: TrustReason, isQuarantined: Bool = false) {
    instruments.setTrust(instrument, reason: reason.rawValue, isQuarantined: isQuarantined)
    books.setClosed(isQuarantined, instrument: instrument)
  }

  /// Makes an instrument (0 = the channel) stale, with a trust event, unless it or the channel is already. A full table
  /// or the policy quarantines it instead: then its book is given up, so that what it held is room for the others. A wrong
  /// message while the channel is stale quarantines nothing: what is missing explains it.
  mutating func markStale<Events: EventSink & ~Copyable>(
    _ instrument: UInt32, _ rejection: MessageRejection, _ event: BookEventHeader,
    into events: inout Events
  ) {
    let reason = rejection.trustReason
    let isQuarantined =
      instrument != 0 && (reason == .capacity || (policy == .quarantine && !instruments.isStale(0)))
    guard isQuarantined ? !instruments.isQuarantined(instrument) : !instruments.isStale(instrument) else {
      return
    }
    setTrust(instrument, reason, isQuarantined: isQuarantined)
    if isQuarantined { books.removeAll(instrument: instrument) }
    var event = event
    event.instrument = instrument
    event.flags = EventFlags.stale
    events.appendTrust(
      event, state: .stale, reason: reason, isQuarantined: isQuarantined, first: event.sequence,
      last: event.sequence)
  }
}
