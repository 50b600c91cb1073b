import FeedWire
import OrderBook
import StageRecords

/// The messages that change a book. Each returns why it was refused, or nil.
extension BookBuilder {
  @inline(__always)
  mutating func addOrder<Events: EventSink & ~Copyable>(
    _ message: ITCH50.AddOrder, _ event: BookEventHeader, into events: inout Events
  ) -> MessageRejection? {
    // B or S, told apart without a branch: it would be mispredicted every other time.
    let letter = message.side
    let half = letter & 1
    guard event.instrument != 0, letter == 0x42 &+ half &* 0x11 else { return .impossibleField }
    let side = BookSide(half: half)
    let price = Int64(message.price)
    let outcome = books.add(
      instrument: event.instrument, side: side, reference: message.reference, price: price,
      quantity: UInt64(message.shares))
    switch outcome {
    case .rejected(let rejection): return MessageRejection(rejection)
    case .changed(let change):
      guard Events.isKept else { return skip(2, change.bestChanged, event, in: &events) }
      var event = event
      event.flags |= Self.flag(side)
      events.appendOrderAdd(
        event, reference: message.reference, price: price, quantity: change.quantity)
      events.appendLevel(event, change.level)
      if change.bestChanged { appendBestPrices(event, into: &events) }
      return nil
    }
  }

  @inline(__always)
  mutating func deleteOrder<Events: EventSink & ~Copyable>(
    _ message: ITCH50.OrderDelete, _ event: BookEventHeader, into events: inout Events
  ) -> MessageRejection? {
    guard event.instrument != 0 else { return .impossibleField }
    switch books.delete(instrument: event.instrument, reference: message.reference) {
    case .rejected(let rejection):
      return refuse(rejection, reference: message.reference, event, into: &events)
    case .changed(let change):
      guard Events.isKept else { return skip(2, change.bestChanged, event, in: &events) }
      var event = event
      event.flags |= Self.flag(change.side)
      events.appendOrderDelete(
        event, reference: message.reference, price: change.level.price, quantity: change.quantity)
      events.appendLevel(event, change.level)
      if change.bestChanged { appendBestPrices(event, into: &events) }
      return nil
    }
  }

  @inline(__always)
  mutating func cancelOrder<Events: EventSink & ~Copyable>(
    _ message: ITCH50.OrderCancel, _ event: BookEventHeader, into events: inout Events
  ) -> MessageRejection? {
    guard event.instrument != 0 else { return .impossibleField }
    let outcome = books.reduce(
      instrument: event.instrument, reference: message.reference, by: UInt64(message.shares))
    switch outcome {
    case .rejected(let rejection):
      return refuse(rejection, reference: message.reference, event, into: &events)
    case .changed(let change):
      guard Events.isKept else { return skip(2, change.bestChanged, event, in: &events) }
      var event = event
      event.flags |= Self.flag(change.side)
      events.appendOrderReduce(
        event, reference: message.reference, remaining: change.remaining, reducedBy: change.quantity)
      events.appendLevel(event, change.level)
      if change.bestChanged { appendBestPrices(event, into: &events) }
      return nil
    }
  }

  @inline(__always)
  mutating func executeOrder<Events: EventSink & ~Copyable>(
    _ message: ITCH50.OrderExecuted, _ event: BookEventHeader, into events: inout Events
  ) -> MessageRejection? {
    execute(
      message.reference, shares: message.shares, price: nil, match: message.match, event, into: &events)
  }

  @inline(__always)
  mutating func executeOrder<Events: EventSink & ~Copyable>(
    _ message: ITCH50.OrderExecutedWithPrice, _ event: BookEventHeader, into events: inout Events
  ) -> MessageRejection? {
    var event = event
    if message.printable == 0x4E { event.flags |= EventFlags.nonPrintable }
    return execute(
      message.reference, shares: message.shares, price: Int64(message.price), match: message.match, event,
      into: &events)
  }

  /// - Parameter price: the execution price, or nil when it is the order's own.
  @inline(__always)
  private mutating func execute<Events: EventSink & ~Copyable>(
    _ reference: UInt64, shares: UInt32, price: Int64?, match: UInt64, _ event: BookEventHeader,
    into events: inout Events
  ) -> MessageRejection? {
    guard event.instrument != 0 else { return .impossibleField }
    let outcome = books.execute(
      instrument: event.instrument, reference: reference, quantity: UInt64(shares))
    switch outcome {
    case .rejected(let rejection):
      return refuse(rejection, reference: reference, event, into: &events)
    case .changed(let change):
      guard Events.isKept else { return skip(2, change.bestChanged, event, in: &events) }
      var event = event
      event.flags |= Self.flag(change.side)
      events.appendOrderExecute(
        event, reference: reference, price: price ?? change.level.price, executed: change.quantity,
        remaining: change.remaining, match: match)
      event.flags &= ~EventFlags.nonPrintable
      events.appendLevel(event, change.level)
      if change.bestChanged { appendBestPrices(event, into: &events) }
      return nil
    }
  }

  @inline(__always)
  mutating func replaceOrder<Events: EventSink & ~Copyable>(
    _ message: ITCH50.OrderReplace, _ event: BookEventHeader, into events: inout Events
  ) -> MessageRejection? {
    guard event.instrument != 0 else { return .impossibleField }
    let reference = message.originalReference
    let quantity = UInt64(message.shares)
    let price = Int64(message.price)
    let outcome = books.replace(
      instrument: event.instrument, reference: reference, with: message.newReference, price: price,
      quantity: quantity)
    switch outcome {
    case .rejected(let rejection): return refuse(rejection, reference: reference, event, into: &events)
    case .replaced(let replacement):
      guard Events.isKept else {
        let count = replacement.oldLevel.price != price ? 4 : 3
        return skip(count, replacement.bestChanged, event, in: &events)
      }
      var event = event
      event.flags |= Self.flag(replacement.side) | EventFlags.replace
      events.appendOrderDelete(
        event, reference: reference, price: replacement.oldLevel.price, quantity: replacement.oldQuantity)
      events.appendOrderAdd(event, reference: message.newReference, price: price, quantity: quantity)
      event.flags &= ~EventFlags.replace
      if replacement.oldLevel.price != price { events.appendLevel(event, replacement.oldLevel) }
      events.appendLevel(event, replacement.newLevel)
      if replacement.bestChanged { appendBestPrices(event, into: &events) }
      return nil
    }
  }

  // MARK: - Pieces

  @inline(__always)
  private static func flag(_ side: BookSide) -> UInt8 {
    switch side {
    case .bid: 0
    case .ask: EventFlags.sell
    }
  }

  @inline(__always)
  private mutating func appendBestPrices<Events: EventSink & ~Copyable>(
    _ event: BookEventHeader, into events: inout Events
  ) {
    var event = event
    event.flags &= ~EventFlags.sell
    let best = books.bestPrices(instrument: event.instrument)
    countCrossed(best)
    events.appendBestPrices(event, best)
  }

  /// Counts the events that a change causes, where nobody wants them.
  @inline(__always)
  private mutating func skip<Events: EventSink & ~Copyable>(
    _ count: Int, _ bestChanged: Bool, _ event: BookEventHeader, in events: inout Events
  ) -> MessageRejection? {
    // Without a branch: whether the best prices change cannot be predicted.
    let changed: UInt64 = bestChanged ? 1 : 0
    events.skip(count &+ Int(changed))
    // Bid and ask that meet can be predicted: they hardly ever do.
    let best = books.bestPrices(instrument: event.instrument)
    let isMet = best.bidPrice >= best.askPrice
    if Self.all(isMet, bestChanged, best.bidSize != 0, best.askSize != 0) { countCrossed(best) }
    return nil
  }

  /// All four, without a branch in between.
  @inline(__always)
  private static func all(_ first: Bool, _ second: Bool, _ third: Bool, _ fourth: Bool) -> Bool {
    func bit(_ condition: Bool) -> UInt8 { unsafeBitCast(condition, to: UInt8.self) }
    return bit(first) & bit(second) & bit(third) & bit(fourth) != 0
  }

  @inline(never)
  private mutating func countCrossed(_ best: BestPrices) {
    if best.isCrossed { counters.crossed &+= 1 }
    if best.isLocked { counters.locked &+= 1 }
  }

  /// A message that named another instrument than its order: either the reference or the locate is wrong, so
  /// neither book can be believed. The order's is made stale here, the message's by the caller.
  private mutating func refuse<Events: EventSink & ~Copyable>(
    _ rejection: BookRejection, reference: UInt64, _ event: BookEventHeader, into events: inout Events
  ) -> MessageRejection {
    if rejection == .wrongInstrument, let instrument = books.instrument(reference: reference) {
      markStale(instrument, .wrongInstrument, event, into: &events)
    }
    return MessageRejection(rejection)
  }
}
