import FeedWire
import OrderBook
import StageRecords

/// The messages that change no book.
extension BookBuilder {
  mutating func define<Events: EventSink & ~Copyable>(
    _ message: ITCH50.StockDirectory, _ event: BookEventHeader, into events: inout Events
  ) -> MessageRejection? {
    guard event.instrument != 0 else { return .impossibleField }
    states.note(0x52, message.base)
    let body = events.append(.definition, event, bodyBytes: 24)
    body.storeBytes(of: message.stock, toByteOffset: 0, as: UInt64.self)
    body.storeBytes(of: message.roundLot.littleEndian, toByteOffset: 8, as: UInt32.self)
    body.storeBytes(of: message.marketCategory, toByteOffset: 12, as: UInt8.self)
    body.storeBytes(of: message.financialStatus, toByteOffset: 13, as: UInt8.self)
    body.storeBytes(of: message.issueClass, toByteOffset: 14, as: UInt8.self)
    body.storeBytes(of: message.authenticity, toByteOffset: 15, as: UInt8.self)
    body.storeBytes(of: message.luldTier, toByteOffset: 16, as: UInt8.self)
    body.storeBytes(of: message.etpFlag, toByteOffset: 17, as: UInt8.self)
    for zero in 18..<24 { body.storeBytes(of: 0, toByteOffset: zero, as: UInt8.self) }
    instruments.define(event.instrument, InstrumentDefinition(body: body))
    return nil
  }

  /// - Parameter base: a whole message of type `type`, which changes no book and defines nothing.
  mutating func report<Events: EventSink & ~Copyable>(
    _ type: UInt8, _ base: UnsafeRawPointer, _ event: BookEventHeader, into events: inout Events
  ) {
    states.note(type, base)
    var event = event
    switch type {
    case 0x50:  // P
      let trade = ITCH50.Trade(base: base)
      if trade.side == 0x53 { event.flags |= EventFlags.sell }
      events.appendTrade(
        event, price: Int64(trade.price), quantity: UInt64(trade.shares), match: trade.match, type: type)
    case 0x51:  // Q
      let cross = ITCH50.CrossTrade(base: base)
      events.appendTrade(
        event, price: Int64(cross.price), quantity: cross.shares, match: cross.match,
        type: cross.crossType)
    case 0x42:  // B
      events.appendTradeBroken(event, match: ITCH50.BrokenTrade(base: base).match)
    case 0x48:  // H
      let action = ITCH50.StockTradingAction(base: base)
      instruments.note(event.instrument, source: type, state: action.state, market: 0, reason: action.reason)
      events.appendTradingState(
        event, source: type, state: action.state, market: 0, reason: action.reason)
    case 0x68:  // h
      let halt = ITCH50.OperationalHalt(base: base)
      instruments.note(event.instrument, source: type, state: halt.action, market: halt.market, reason: 0)
      events.appendTradingState(event, source: type, state: halt.action, market: halt.market, reason: 0)
    default:
      let bytes = ITCH50.expectedLength(type) - ITCH50.headerBytes
      let body = events.append(.notice, event, bodyBytes: 8 + bytes)
      body.storeBytes(of: type, as: UInt8.self)
      (body + 8).copyMemory(from: base + ITCH50.headerBytes, byteCount: bytes)
    }
  }
}
