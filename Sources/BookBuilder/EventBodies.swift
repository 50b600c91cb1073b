import OrderBook
import StageRecords

/// The bodies of book events, as StageRecords lays them out. One function a kind, so that builder and
/// layout can be compared side by side.
extension EventSink where Self: ~Copyable {
  @inline(__always)
  mutating func appendOrderAdd(
    _ header: BookEventHeader, reference: UInt64, price: Int64, quantity: UInt64
  ) {
    let body = append(.orderAdd, header, bodyBytes: 24)
    body.put(reference, at: 0)
    body.put(UInt64(bitPattern: price), at: 8)
    body.put(quantity, at: 16)
  }

  @inline(__always)
  mutating func appendOrderReduce(
    _ header: BookEventHeader, reference: UInt64, remaining: UInt64, reducedBy: UInt64
  ) {
    let body = append(.orderReduce, header, bodyBytes: 24)
    body.put(reference, at: 0)
    body.put(remaining, at: 8)
    body.put(reducedBy, at: 16)
  }

  @inline(__always)
  mutating func appendOrderDelete(
    _ header: BookEventHeader, reference: UInt64, price: Int64, quantity: UInt64
  ) {
    let body = append(.orderDelete, header, bodyBytes: 24)
    body.put(reference, at: 0)
    body.put(UInt64(bitPattern: price), at: 8)
    body.put(quantity, at: 16)
  }

  @inline(__always)
  mutating func appendOrderExecute(
    _ header: BookEventHeader, reference: UInt64, price: Int64, executed: UInt64, remaining: UInt64,
    match: UInt64
  ) {
    let body = append(.orderExecute, header, bodyBytes: 40)
    body.put(reference, at: 0)
    body.put(UInt64(bitPattern: price), at: 8)
    body.put(executed, at: 16)
    body.put(remaining, at: 24)
    body.put(match, at: 32)
  }

  @inline(__always)
  mutating func appendLevel(_ header: BookEventHeader, _ level: BookLevel) {
    let body = append(.level, header, bodyBytes: 24)
    body.put(UInt64(bitPattern: level.price), at: 0)
    body.put(level.size, at: 8)
    body.put(UInt64(level.orders), at: 16)
  }

  @inline(__always)
  mutating func appendBestPrices(_ header: BookEventHeader, _ best: BestPrices) {
    let body = append(.bestPrices, header, bodyBytes: 32)
    body.put(UInt64(bitPattern: best.bidPrice), at: 0)
    body.put(best.bidSize, at: 8)
    body.put(UInt64(bitPattern: best.askPrice), at: 16)
    body.put(best.askSize, at: 24)
  }

  mutating func appendTrade(
    _ header: BookEventHeader, price: Int64, quantity: UInt64, match: UInt64, type: UInt8
  ) {
    let body = append(.trade, header, bodyBytes: 32)
    body.put(UInt64(bitPattern: price), at: 0)
    body.put(quantity, at: 8)
    body.put(match, at: 16)
    body.put(UInt64(type) | 1 << 8, at: 24)  // printable
  }

  mutating func appendTradeBroken(_ header: BookEventHeader, match: UInt64) {
    append(.tradeBroken, header, bodyBytes: 8).put(match, at: 0)
  }

  /// - Parameter reason: four letters as they lie in the message; 0 = none.
  mutating func appendTradingState(
    _ header: BookEventHeader, source: UInt8, state: UInt8, market: UInt8, reason: UInt32
  ) {
    let body = append(.tradingState, header, bodyBytes: 8)
    body.storeBytes(of: source, toByteOffset: 0, as: UInt8.self)
    body.storeBytes(of: state, toByteOffset: 1, as: UInt8.self)
    body.storeBytes(of: market, toByteOffset: 2, as: UInt8.self)
    body.storeBytes(of: reason, toByteOffset: 4, as: UInt32.self)
  }

  mutating func appendTrust(
    _ header: BookEventHeader, state: TrustState, reason: TrustReason, isQuarantined: Bool = false,
    first: UInt64, last: UInt64, isChannelOnly: Bool = false
  ) {
    let body = append(.trust, header, bodyBytes: 24)
    body.put(
      UInt64(state.rawValue) | UInt64(reason.rawValue) << 8 | (isQuarantined || isChannelOnly ? 1 << 16 : 0),
      at: 0)
    body.put(first, at: 8)
    body.put(last, at: 16)
  }

  mutating func appendGap(_ header: BookEventHeader, first: UInt64, last: UInt64, reason: UInt8) {
    let body = append(.gap, header, bodyBytes: 24)
    body.put(first, at: 0)
    body.put(last, at: 8)
    body.put(UInt64(reason), at: 16)
  }

  mutating func appendEndOfSession(_ header: BookEventHeader, applied: UInt64, lost: UInt64) {
    let body = append(.endOfSession, header, bodyBytes: 16)
    body.put(applied, at: 0)
    body.put(lost, at: 8)
  }
}

extension UnsafeMutableRawPointer {
  /// Stores a little-endian word; cells are aligned to 8 bytes and so are the bodies in them.
  @inline(__always)
  func put(_ value: UInt64, at offset: Int) {
    storeBytes(of: value.littleEndian, toByteOffset: offset, as: UInt64.self)
  }
}
