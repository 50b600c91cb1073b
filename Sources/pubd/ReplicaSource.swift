import BookBuilder
import OrderBook
import PublishWire
import StageRecords

/// The books as pubd knows them, rebuilt from the events of the book ring; what snapshots are made from.
final class ReplicaSource: SnapshotSource {
  private var replica: BookReplica
  /// Bodies of the last definition (24 bytes) and trading state (8 bytes) of each instrument, with a flag each.
  private let definitions: UnsafeMutableRawPointer
  private let tradingStates: UnsafeMutableRawPointer
  private let known: UnsafeMutablePointer<UInt8>
  private static let definitionBytes = 24
  private static let tradingStateBytes = 8
  private static let hasDefinition: UInt8 = 1
  private static let hasTradingState: UInt8 = 2

  /// True while the replica has seen every event of the session.
  var isReady: Bool
  private(set) var instrumentLimit: UInt32 = 0

  /// - Parameter isComplete: the events to come start with the session's first.
  init(capacity: BookCapacity, isComplete: Bool) {
    replica = BookReplica(capacity: capacity)
    isReady = isComplete
    let count = InstrumentTable.capacity
    definitions = .allocate(byteCount: count * Self.definitionBytes, alignment: 8)
    tradingStates = .allocate(byteCount: count * Self.tradingStateBytes, alignment: 8)
    known = .allocate(capacity: count)
    definitions.initializeMemory(as: UInt8.self, repeating: 0, count: count * Self.definitionBytes)
    tradingStates.initializeMemory(as: UInt8.self, repeating: 0, count: count * Self.tradingStateBytes)
    known.initialize(repeating: 0, count: count)
  }

  deinit {
    definitions.deallocate()
    tradingStates.deallocate()
    known.deallocate()
  }

  var mismatches: UInt64 { replica.mismatchCount }
  var liveOrders: UInt64 { UInt64(replica.books.orderCount) }
  func contentDigest() -> UInt64 { replica.books.contentDigest() }

  /// Applies one event. A replica that contradicts the events is not a source of snapshots any more.
  @inline(__always)
  func apply(kind: UInt8, event: UnsafeRawBufferPointer) {
    if case .mismatch = replica.apply(kind: kind, event: event) { isReady = false }
    if kind == BookEventKind.definition.rawValue || kind == BookEventKind.tradingState.rawValue {
      keep(kind: kind, event: event)
    }
  }

  private func keep(kind: UInt8, event: UnsafeRawBufferPointer) {
    guard let base = event.baseAddress, event.count >= BookEventHeader.bytes else { return }
    let instrument = BookEventHeader(from: base).instrument
    guard Int(instrument) < InstrumentTable.capacity else { return }
    let body = base + BookEventHeader.bytes
    let bodyBytes = event.count - BookEventHeader.bytes
    if kind == BookEventKind.definition.rawValue, bodyBytes >= Self.definitionBytes {
      (definitions + Int(instrument) * Self.definitionBytes).copyMemory(from: body, byteCount: Self.definitionBytes)
      known[Int(instrument)] |= Self.hasDefinition
    } else if kind == BookEventKind.tradingState.rawValue, bodyBytes >= Self.tradingStateBytes {
      (tradingStates + Int(instrument) * Self.tradingStateBytes).copyMemory(
        from: body, byteCount: Self.tradingStateBytes)
      known[Int(instrument)] |= Self.hasTradingState
    }
    instrumentLimit = max(instrumentLimit, instrument + 1)
  }

  func instrument(symbol: UInt64) -> UInt32? {
    replica.instruments.instrument(symbol: PackedSymbol.text(symbol))
  }

  func orderCount(instrument: UInt32) -> Int {
    replica.books.orderCount(instrument: instrument, side: .bid)
      + replica.books.orderCount(instrument: instrument, side: .ask)
  }

  func exists(instrument: UInt32) -> Bool {
    Int(instrument) < InstrumentTable.capacity
      && (known[Int(instrument)] != 0 || orderCount(instrument: instrument) > 0)
  }

  func definition(instrument: UInt32, into body: UnsafeMutableRawPointer) -> Bool {
    guard Int(instrument) < InstrumentTable.capacity, known[Int(instrument)] & Self.hasDefinition != 0 else {
      return false
    }
    body.copyMemory(from: definitions + Int(instrument) * Self.definitionBytes, byteCount: Self.definitionBytes)
    return true
  }

  func tradingState(instrument: UInt32, into body: UnsafeMutableRawPointer) -> Bool {
    guard Int(instrument) < InstrumentTable.capacity, known[Int(instrument)] & Self.hasTradingState != 0 else {
      return false
    }
    body.copyMemory(
      from: tradingStates + Int(instrument) * Self.tradingStateBytes, byteCount: Self.tradingStateBytes)
    return true
  }

  func trust(instrument: UInt32) -> (state: UInt8, reason: UInt8) {
    (
      replica.instruments.trustState(instrument).rawValue, replica.instruments.trustReason(instrument).rawValue
    )
  }

  func forEachOrder(instrument: UInt32, _ body: (SnapshotOrder) -> Void) {
    replica.books.forEachOrder(instrument: instrument) { order, _ in
      body(
        SnapshotOrder(
          isSell: order.side == .ask, price: order.price, quantity: order.quantity, reference: order.reference))
    }
  }
}
