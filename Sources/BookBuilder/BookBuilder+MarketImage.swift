import FeedWire
import OrderBook
import StageRecords

/// Recovery by an image: what it changes becomes events, as if a few messages had said it.
///
/// ```
/// builder.suspect(first:last:…)                          // an image is being fetched: the books are in doubt
/// image.begin(first:); image.add(…) …
/// if builder.beginImage(&image, first:, last:, count:) {
///   while let sequence = builder.nextImageEvents(&image, …, into: &events) { publish(events) }
/// }
/// ```
extension BookBuilder {
  /// Makes the channel stale because the messages from `first` on are missing and an image is being fetched; `last` is
  /// the last one known to be missing. No event if it is stale already.
  public mutating func suspect(
    first: UInt64, last: UInt64, receiveTime: UInt64, into events: inout EventBatch
  ) {
    events.removeAll()
    guard !instruments.isStale(0) else { return }
    isSuspected = true
    noticeSequence = newestEventSequence
    instruments.setTrust(0, reason: TrustReason.gap.rawValue)
    let event = BookEventHeader(
      sequence: first &- 1, venueTime: 0, receiveTime: receiveTime, instrument: 0, channel: channel,
      flags: EventFlags.stale)
    events.appendTrust(event, state: .stale, reason: .gap, first: first, last: max(first, last))
    events.closeMessage()
  }

  /// Nothing was lost after all: the channel is what it was before ``suspect(first:last:receiveTime:into:)``. The event
  /// says so of the channel alone: an instrument that was stale by itself still is.
  public mutating func trustAgain(next: UInt64, receiveTime: UInt64, into events: inout EventBatch) {
    events.removeAll()
    guard isSuspected else { return }
    isSuspected = false
    noticeSequence = newestEventSequence
    instruments.setChannelLive()
    let event = BookEventHeader(
      sequence: next &- 1, venueTime: 0, receiveTime: receiveTime, instrument: 0, channel: channel)
    events.appendTrust(event, state: .live, reason: .none, first: next, last: next, isChannelOnly: true)
    events.closeMessage()
  }

  /// Starts to apply an image in the place of the messages `first`...`last`.
  ///
  /// Its changes are those orders of the books that it has not, then what it has and the books have not, or otherwise,
  /// in its order. A lost message explains at most two (a replacement), so two are told under each number of the range;
  /// more, evenly, if the books knew less than they should have.
  /// - Returns: false, and nothing has changed, if the image is not whole or changes more than ``MarketImageLoader`` allows.
  public mutating func beginImage(
    _ image: inout MarketImageLoader, first: UInt64, last: UInt64, count: UInt64
  ) -> Bool {
    guard last >= first, last < .max, image.close(first: first, count: count) else { return false }
    image.goneCount = 0
    var instrument: UInt32 = 0
    while let found = books.nextInstrument(from: instrument) {
      collectGone(found, &image)
      instrument = found &+ 1
    }
    var changes = image.goneCount
    var offset = 0
    while offset < image.usedBytes {
      let base = UnsafeRawPointer(image.arena) + offset
      if isNews(base) { changes &+= 1 }
      offset &+= ITCH50.expectedLength(base.load(as: UInt8.self))
    }
    let numbers = last &- first &+ 1
    let needed = (UInt64(changes) &+ numbers &- 1) / numbers
    guard needed <= UInt64(MarketImageLoader.changesPerNumberLimit) else { return false }
    image.changesPerNumber = max(2, Int(needed))
    image.nextGone = 0
    image.nextOffset = 0
    image.first = first
    image.last = last
    image.number = first
    image.isDone = false
    image.rejectedBefore = counters.rejectedOtherwise
    return true
  }

  private func collectGone(_ instrument: UInt32, _ image: inout MarketImageLoader) {
    // Out of the structure: a closure cannot keep what is borrowed.
    let references = image.references
    let gone = image.gone
    let limit = image.goneLimit
    var count = image.goneCount
    books.forEachOrder(instrument: instrument) { order, _ in
      if count < limit, !references.contains(order.reference) {
        gone[count] = order.reference
        count &+= 1
      }
    }
    image.goneCount = count
  }

  /// The events of the image's next number.
  /// - Returns: the number, or nil when there are no more
  public mutating func nextImageEvents(
    _ image: inout MarketImageLoader, receiveTime: UInt64, into events: inout EventBatch
  ) -> UInt64? {
    guard !image.isDone else { return nil }
    let sequence = image.number
    events.removeAll()
    let applied = counters.applied
    defer {
      counters.applied = applied
      if events.eventCount > 0 { newestEventSequence = sequence }
    }
    if sequence == image.first {
      gap(
        first: image.first, last: image.last, reason: GapReason.replacedBySnapshot.rawValue,
        receiveTime: receiveTime, into: &events)
      liftQuarantines(image.first, image.last, receiveTime, &image, &events)
    }
    var changes = 0
    while changes < image.changesPerNumber, applyNextChange(sequence, receiveTime, &image, &events) {
      changes &+= 1
    }
    if sequence == image.last {
      image.isDone = true
      declareWhole(&image, receiveTime, &events)
    } else {
      // Numbers that nothing is left for are passed over, but not the last one.
      image.number = changes == image.changesPerNumber ? sequence &+ 1 : image.last
    }
    return sequence
  }

  /// An instrument in quarantine is stale like all others from here on: the image fills its empty book.
  private mutating func liftQuarantines(
    _ first: UInt64, _ last: UInt64, _ receiveTime: UInt64, _ image: inout MarketImageLoader,
    _ events: inout EventBatch
  ) {
    guard instruments.quarantinedCount > 0 else { return }
    for instrument in 1..<UInt32(InstrumentTable.capacity) where instruments.isQuarantined(instrument) {
      let reason =
        TrustReason(
          rawValue: instruments.ownTrust(instrument) & ~InstrumentTable.quarantineBit) ?? .capacity
      setTrust(instrument, reason)
      let event = BookEventHeader(
        sequence: first, venueTime: 0, receiveTime: receiveTime, instrument: instrument, channel: channel,
        flags: EventFlags.stale)
      image.scratch.removeAll()
      image.scratch.appendTrust(event, state: .stale, reason: reason, first: first, last: last)
      image.scratch.closeMessage()
      if !events.append(contentsOf: image.scratch) { counters.countRejection(.unknownType) }
      counters.events &+= 1
    }
  }

  /// Every book is what the venue says, unless a change could not be made: where that was for want of room, the instruments that
  /// had none are in quarantine, and said to be behind the channel's turning live, which stands for all.
  private mutating func declareWhole(
    _ image: inout MarketImageLoader, _ receiveTime: UInt64, _ events: inout EventBatch
  ) {
    guard counters.rejectedOtherwise == image.rejectedBefore else { return }
    var left: [UInt32] = []
    if instruments.quarantinedCount > 0 {
      left = (1..<UInt32(InstrumentTable.capacity)).filter { instruments.isQuarantined($0) }
    }
    guard events.cellCount + 1 + left.count <= events.cellCapacity else { return }
    instruments.setTrust(0, reason: TrustReason.none.rawValue)
    var event = BookEventHeader(
      sequence: image.last, venueTime: 0, receiveTime: receiveTime, instrument: 0, channel: channel)
    image.scratch.removeAll()
    image.scratch.appendTrust(event, state: .live, reason: .none, first: image.first, last: image.last)
    image.scratch.closeMessage()
    if events.append(contentsOf: image.scratch) { counters.events &+= 1 }
    event.flags = EventFlags.stale
    for instrument in left {
      setTrust(instrument, .capacity, isQuarantined: true)
      event.instrument = instrument
      image.scratch.removeAll()
      image.scratch.appendTrust(
        event, state: .stale, reason: .capacity, isQuarantined: true, first: image.first, last: image.last)
      image.scratch.closeMessage()
      if events.append(contentsOf: image.scratch) { counters.events &+= 1 }
    }
  }

  /// Whether an image's message changes anything.
  private func isNews(_ base: UnsafeRawPointer) -> Bool {
    let type = base.load(as: UInt8.self)
    guard ITCH50.addsOrder(type) else { return !states.isKnown(type, base) }
    let add = ITCH50.AddOrder(base: base)
    guard let order = books.order(reference: add.reference) else { return true }
    return !isSame(order, add, ITCH50.Header(base: base).locate) || order.quantity != UInt64(add.shares)
  }

  private func isSame(_ order: BookOrder, _ add: ITCH50.AddOrder, _ locate: UInt16) -> Bool {
    let isBuy = add.side == 0x42
    return order.instrument == UInt32(locate) && order.price == Int64(add.price)
      && (order.side == .bid) == isBuy
  }

  /// - Returns: false when there is no further change
  private mutating func applyNextChange(
    _ sequence: UInt64, _ receiveTime: UInt64, _ image: inout MarketImageLoader, _ events: inout EventBatch
  ) -> Bool {
    if image.nextGone < image.goneCount {
      let reference = image.gone[image.nextGone]
      image.nextGone &+= 1
      remove(reference, sequence, receiveTime, &image, &events)
      return true
    }
    while image.nextOffset < image.usedBytes {
      let base = UnsafeRawPointer(image.arena) + image.nextOffset
      let type = base.load(as: UInt8.self)
      let length = ITCH50.expectedLength(type)
      image.nextOffset &+= length
      guard isNews(base) else { continue }
      if ITCH50.addsOrder(type) {
        let add = ITCH50.AddOrder(base: base)
        if let order = books.order(reference: add.reference) {
          if isSame(order, add, ITCH50.Header(base: base).locate), order.quantity > UInt64(add.shares) {
            reduce(order, to: UInt64(add.shares), sequence, receiveTime, &image, &events)
            return true
          }
          remove(add.reference, sequence, receiveTime, &image, &events)
        }
      }
      take(UnsafeRawBufferPointer(start: base, count: length), sequence, receiveTime, &image, &events)
      return true
    }
    return false
  }

  private mutating func remove(
    _ reference: UInt64, _ sequence: UInt64, _ receiveTime: UInt64, _ image: inout MarketImageLoader,
    _ events: inout EventBatch
  ) {
    guard let order = books.order(reference: reference) else { return }
    makeUp(0x44, order, image.message)
    take(UnsafeRawBufferPointer(start: image.message, count: 19), sequence, receiveTime, &image, &events)
  }

  private mutating func reduce(
    _ order: BookOrder, to shares: UInt64, _ sequence: UInt64, _ receiveTime: UInt64,
    _ image: inout MarketImageLoader, _ events: inout EventBatch
  ) {
    makeUp(0x58, order, image.message)
    image.message.storeBytes(
      of: UInt32(truncatingIfNeeded: order.quantity &- shares).bigEndian, toByteOffset: 19, as: UInt32.self)
    take(UnsafeRawBufferPointer(start: image.message, count: 23), sequence, receiveTime, &image, &events)
  }

  /// An order delete or cancel without a time, up to the reference.
  private func makeUp(_ type: UInt8, _ order: BookOrder, _ message: UnsafeMutableRawPointer) {
    message.initializeMemory(as: UInt8.self, repeating: 0, count: 32)
    message.storeBytes(of: type, as: UInt8.self)
    message.storeBytes(
      of: UInt16(truncatingIfNeeded: order.instrument).bigEndian, toByteOffset: 1, as: UInt16.self)
    message.storeBytes(of: order.reference.bigEndian, toByteOffset: 11, as: UInt64.self)
  }

  private mutating func take(
    _ message: UnsafeRawBufferPointer, _ sequence: UInt64, _ receiveTime: UInt64,
    _ image: inout MarketImageLoader, _ events: inout EventBatch
  ) {
    apply(sequence: sequence, receiveTime: receiveTime, message: message, into: &image.scratch)
    // What does not fit is counted as a change that could not be made.
    if !events.append(contentsOf: image.scratch) { counters.countRejection(.unknownType) }
  }
}
