import StageRecords

/// Turns the state of one instrument into the events that would build it: definition, trading state, trust,
/// then orders in priority order, then levels, then best prices, as far as the channels ask for them.
///
/// Each event carries the snapshot's sequence number, venueTime 0 and receiveTime 0, and counts up `index`
/// (modulo 65536).
struct SnapshotWriter {
  private(set) var orders: UInt64 = 0
  private(set) var entries: UInt64 = 0
  private var header: BookEventHeader
  private let scratch = InlineScratch()

  init(instrument: UInt32, sequence: UInt64) {
    header = BookEventHeader(sequence: sequence, venueTime: 0, receiveTime: 0, instrument: instrument)
  }

  /// Calls `emit` with the kind and the bytes (header + body) of each event.
  mutating func write(
    _ channels: EventChannels, _ source: some SnapshotSource,
    _ emit: (UInt8, UnsafeRawBufferPointer) -> Void
  ) {
    let instrument = header.instrument
    let trust = source.trust(instrument: instrument)
    let stale = trust.state != TrustState.live.rawValue ? EventFlags.stale : 0
    // Definition and trust go first whatever was asked for: a client needs them to read the rest.
    if source.definition(instrument: instrument, into: scratch.body(24)) {
      put(.definition, 24, stale, emit)
    }
    if channels.contains(.status), source.tradingState(instrument: instrument, into: scratch.body(8)) {
      put(.tradingState, 8, stale, emit)
    }
    let body = scratch.body(24)
    body.storeBytes(of: UInt64(trust.state) | UInt64(trust.reason) << 8, as: UInt64.self)
    put(.trust, 24, stale, emit)
    if channels.contains(.orders) {
      source.forEachOrder(instrument: instrument) { order in
        let body = scratch.body(24)
        body.storeBytes(of: order.reference.littleEndian, as: UInt64.self)
        body.storeBytes(of: order.price.littleEndian, toByteOffset: 8, as: Int64.self)
        body.storeBytes(of: order.quantity.littleEndian, toByteOffset: 16, as: UInt64.self)
        put(.orderAdd, 24, stale | (order.isSell ? EventFlags.sell : 0), emit)
        orders &+= 1
      }
    }
    if !channels.isDisjoint(with: [.levels, .bbo]) { writeLevels(channels, source, stale, emit) }
  }

  private mutating func writeLevels(
    _ channels: EventChannels, _ source: some SnapshotSource, _ stale: UInt8,
    _ emit: (UInt8, UnsafeRawBufferPointer) -> Void
  ) {
    var level: Level?
    var bid = Level(isSell: false, price: 0)
    var ask = Level(isSell: true, price: 0)
    var hasBid = false
    var hasAsk = false
    func close(_ level: Level, _ writer: inout SnapshotWriter) {
      if level.isSell, !hasAsk {
        ask = level
        hasAsk = true
      } else if !level.isSell, !hasBid {
        bid = level
        hasBid = true
      }
      if channels.contains(.levels) { writer.putLevel(level, stale, emit) }
    }
    source.forEachOrder(instrument: header.instrument) { order in
      if let open = level, open.isSell != order.isSell || open.price != order.price {
        close(open, &self)
        level = nil
      }
      var current = level ?? Level(isSell: order.isSell, price: order.price)
      current.size &+= order.quantity
      current.orders &+= 1
      level = current
    }
    if let level { close(level, &self) }
    guard channels.contains(.bbo) else { return }
    let body = scratch.body(32)
    body.storeBytes(of: bid.price.littleEndian, as: Int64.self)
    body.storeBytes(of: bid.size.littleEndian, toByteOffset: 8, as: UInt64.self)
    body.storeBytes(of: ask.price.littleEndian, toByteOffset: 16, as: Int64.self)
    body.storeBytes(of: ask.size.littleEndian, toByteOffset: 24, as: UInt64.self)
    put(.bestPrices, 32, stale, emit)
  }

  private mutating func putLevel(
    _ level: Level, _ stale: UInt8, _ emit: (UInt8, UnsafeRawBufferPointer) -> Void
  ) {
    let body = scratch.body(24)
    body.storeBytes(of: level.price.littleEndian, as: Int64.self)
    body.storeBytes(of: level.size.littleEndian, toByteOffset: 8, as: UInt64.self)
    body.storeBytes(of: level.orders.littleEndian, toByteOffset: 16, as: UInt32.self)
    put(.level, 24, stale | (level.isSell ? EventFlags.sell : 0), emit)
  }

  private mutating func put(
    _ kind: BookEventKind, _ bodyBytes: Int, _ flags: UInt8,
    _ emit: (UInt8, UnsafeRawBufferPointer) -> Void
  ) {
    header.flags = flags
    emit(kind.rawValue, scratch.event(header, bodyBytes))
    header.index &+= 1
    entries &+= 1
  }

  private struct Level {
    let isSell: Bool
    let price: Int64
    var size: UInt64 = 0
    var orders: UInt32 = 0
  }
}

/// Memory of one event that is being written.
private final class InlineScratch {
  private let base = UnsafeMutableRawPointer.allocate(byteCount: 96, alignment: 8)
  deinit { base.deallocate() }

  /// The zeroed body, `bytes` (at most 64) long.
  func body(_ bytes: Int) -> UnsafeMutableRawPointer {
    let body = base + BookEventHeader.bytes
    body.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
    return body
  }

  func event(_ header: BookEventHeader, _ bodyBytes: Int) -> UnsafeRawBufferPointer {
    base.storeBytes(of: header, as: BookEventHeader.self)
    return UnsafeRawBufferPointer(start: base, count: BookEventHeader.bytes + bodyBytes)
  }
}
