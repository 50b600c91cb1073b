import OrderBook
import StageRecords

extension BookReplica {
  /// Whether a body of this kind can have so many bytes.
  static func isBodyLength(_ bytes: Int, of kind: BookEventKind) -> Bool {
    switch kind {
    case .definition, .orderAdd, .orderReduce, .orderDelete, .level, .trust, .gap: bytes == 24
    case .orderExecute: bytes == 40
    case .bestPrices, .trade: bytes == 32
    case .tradeBroken, .tradingState: bytes == 8
    case .endOfSession: bytes == 16
    case .notice: bytes >= 8
    }
  }

  /// Applies an event that changes an order. What it says about the order is compared first, so that a
  /// mismatch changes nothing.
  mutating func order(
    _ kind: BookEventKind, _ header: BookEventHeader, _ body: EventBody
  ) -> ReplicaMismatch? {
    let instrument = header.instrument
    let side: BookSide = header.flags & EventFlags.sell == 0 ? .bid : .ask
    let reference = body.uint64(0)
    if kind == .orderAdd {
      let outcome = books.add(
        instrument: instrument, side: side, reference: reference, price: body.int64(8),
        quantity: body.uint64(16))
      return Self.mismatch(outcome)
    }
    guard let order = books.order(reference: reference) else { return .refused(.unknownReference) }
    if order.instrument != instrument { return .refused(.wrongInstrument) }
    if order.side != side { return .orderDiffers }
    switch kind {
    case .orderReduce:
      return reduce(order, by: body.uint64(16), remaining: body.uint64(8))
    case .orderExecute:
      return reduce(order, by: body.uint64(16), remaining: body.uint64(24))
    case .orderDelete:
      if order.price != body.int64(8) || order.quantity != body.uint64(16) { return .orderDiffers }
      return Self.mismatch(books.delete(instrument: instrument, reference: reference))
    default: return .malformedEvent
    }
  }

  private mutating func reduce(
    _ order: BookOrder, by quantity: UInt64, remaining: UInt64
  ) -> ReplicaMismatch? {
    if quantity > order.quantity { return .refused(.quantityExceeded) }
    if order.quantity - quantity != remaining { return .orderDiffers }
    return Self.mismatch(
      books.reduce(instrument: order.instrument, reference: order.reference, by: quantity))
  }

  private static func mismatch(_ outcome: BookOutcome) -> ReplicaMismatch? {
    switch outcome {
    case .changed: nil
    case .rejected(let rejection): .refused(rejection)
    }
  }

  func level(_ header: BookEventHeader, _ body: EventBody) -> ReplicaMismatch? {
    let side: BookSide = header.flags & EventFlags.sell == 0 ? .bid : .ask
    let said = BookLevel(price: body.int64(0), size: body.uint64(8), orders: body.uint32(16))
    let held =
      books.level(instrument: header.instrument, side: side, price: said.price)
      ?? BookLevel(price: said.price, size: 0, orders: 0)
    return said == held ? nil : .levelDiffers
  }

  func bestPrices(_ header: BookEventHeader, _ body: EventBody) -> ReplicaMismatch? {
    let said = BestPrices(
      bidPrice: body.int64(0), bidSize: body.uint64(8), askPrice: body.int64(16), askSize: body.uint64(24))
    return said == books.bestPrices(instrument: header.instrument) ? nil : .bestPricesDiffer
  }
}
