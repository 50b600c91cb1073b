import OrderBook
import StageRecords

/// What becomes of an instrument about which the venue said something that cannot be: an unknown or a duplicate
/// reference, more than an order has left, another instrument than the order's, an impossible field. Whatever the policy, the
/// message is counted by its reason, changes no book, and the instrument is stale before its next event. A full table
/// always quarantines: a book that lacks an order is worth nothing, and its room lets the others go on exactly.
public enum ErrorPolicy: UInt8, Sendable, CaseIterable {
  /// Its events go on, flagged stale.
  case alarm = 0
  /// Its book is given up; no event of its book follows until ``BookBuilder/recover(instrument:orders:behind:index:receiveTime:into:)``.
  /// What does not depend on the book (trades, trading states, definitions) goes on, flagged stale.
  case quarantine = 1
  /// As ``alarm``, and the driver of the builder ends at its ``BookBuilder/failure``. For tests.
  case failFast = 2
}

/// The message that ended a fail-fast run.
public struct BuilderFailure: Sendable, Equatable, Error, CustomStringConvertible {
  public var sequence: UInt64
  /// The message's instrument; 0 = none could be known.
  public var instrument: UInt32
  public var reason: MessageRejection

  public init(sequence: UInt64, instrument: UInt32, reason: MessageRejection) {
    self.sequence = sequence
    self.instrument = instrument
    self.reason = reason
  }

  public var description: String { "sequence \(sequence), instrument \(instrument): \(reason.name)" }
}

/// Why a quarantine was not ended. The instrument is as before.
public enum RecoveryRefusal: Error, Sendable, Equatable {
  case notQuarantined
  /// It is not whole, not about one instrument, or longer than there is room for.
  case notWhole
  /// Something was said behind the newest message that nothing can follow: it has to wait for the next one.
  case outOfPlace
  /// The message at this place changes an order as it cannot be.
  case message(Int)
  /// More events than identities behind one message, or than the batch has cells for.
  case tooManyOrders(limit: Int)
  /// The order at this place of the list cannot be added.
  case order(Int, BookRejection)
  /// The order at this place of the list is of another instrument.
  case otherInstrument(Int)
}

extension BookBuilder {
  /// Ends an instrument's quarantine with its book as it is behind the newest message, which the caller has from elsewhere (the
  /// venue's snapshot, a recorder's books). The events say the book order by order, then its levels, its best prices, and that
  /// it is live again.
  /// - Parameters:
  ///   - orders: canonical order: bids, then asks, each level's in queue order.
  ///   - sequence: the newest message that was applied.
  ///   - index: the first event's: ``BookEventHeader/recoveryIndex``, or behind the recovery before this one.
  ///   - events: a batch with three cells more than orders and levels; cleared first.
  public mutating func recover(
    instrument: UInt32, orders: UnsafeBufferPointer<BookOrder>, behind sequence: UInt64,
    index: UInt16 = BookEventHeader.recoveryIndex, receiveTime: UInt64,
    into events: inout EventBatch
  ) -> RecoveryRefusal? {
    events.removeAll()
    guard instruments.isQuarantined(instrument) else { return .notQuarantined }
    for (place, order) in orders.enumerated() {
      var refusal: RecoveryRefusal?
      if order.instrument != instrument { refusal = .otherInstrument(place) }
      if refusal == nil {
        let outcome = books.add(
          instrument: instrument, side: order.side, reference: order.reference, price: order.price,
          quantity: order.quantity)
        if case .rejected(let rejection) = outcome { refusal = .order(place, rejection) }
      }
      guard let refusal else { continue }
      books.removeAll(instrument: instrument)
      return refusal
    }
    let header = BookEventHeader(
      sequence: sequence, venueTime: 0, receiveTime: receiveTime, instrument: instrument, index: index,
      channel: channel, flags: EventFlags.stale)
    return release(header, orders, into: &events)
  }

  /// Ends the quarantine of an instrument whose book holds these orders by now, or empties it again.
  mutating func release(
    _ header: BookEventHeader, _ orders: UnsafeBufferPointer<BookOrder>, into events: inout EventBatch
  ) -> RecoveryRefusal? {
    let instrument = header.instrument
    let levelCount = BookSide.allCases.reduce(0) { $0 + books.levelCount(instrument: instrument, side: $1) }
    let identities = Int(BookEventHeader.restartNoticeIndex) - Int(header.index)
    let limit = min(events.cellCapacity, identities) - 3
    guard orders.count + levelCount <= limit else {
      books.removeAll(instrument: instrument)
      return .tooManyOrders(limit: limit)
    }
    announce(header, orders, into: &events)
    newestRecovery = EventIdentity(
      sequence: header.sequence, index: header.index &+ UInt16(truncatingIfNeeded: events.eventCount) &- 1)
    return nil
  }

  private mutating func announce(
    _ header: BookEventHeader, _ orders: UnsafeBufferPointer<BookOrder>, into events: inout EventBatch
  ) {
    func sided(_ side: BookSide) -> BookEventHeader {
      var event = header
      if side == .ask { event.flags |= EventFlags.sell }
      return event
    }
    for order in orders {
      events.appendOrderAdd(
        sided(order.side), reference: order.reference, price: order.price, quantity: order.quantity)
    }
    for side in BookSide.allCases {
      var depth = 0
      while let level = books.level(instrument: header.instrument, side: side, depth: depth) {
        events.appendLevel(sided(side), level)
        depth += 1
      }
    }
    if !orders.isEmpty { events.appendBestPrices(header, books.bestPrices(instrument: header.instrument)) }
    setTrust(header.instrument, .none)
    var live = header
    live.flags = instruments.isStale(0) ? EventFlags.stale : 0
    events.appendTrust(live, state: .live, reason: .none, first: header.sequence, last: header.sequence)
    events.closeMessage()
    events.number(from: header.index)
    counters.events &+= UInt64(events.eventCount)
  }
}
