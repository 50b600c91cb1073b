import BookBuilder
import OrderBook
import PublishWire
import StageRecords

/// The publisher's own books, rebuilt from the events that it publishes, as the source of snapshots.
///
/// Give it every event of the book ring, in order, beside ``PublishServer/publish(kind:event:)``.
final class ReplicaSnapshotSource: SnapshotSource {
  /// The books behind the last event.
  private(set) var replica: BookReplica
  /// False once ``giveUpBooks()`` was called and there are no others yet.
  private(set) var hasBooks = true
  /// Set once the replica has read its way to the present; until then no snapshot is given.
  var isCaughtUp = false

  private var numbers: [UInt64: UInt32] = [:]
  /// 24-byte definition bodies and 8-byte trading states, by instrument; zero = none.
  private let definitions: UnsafeMutableRawPointer
  private let tradingStates: UnsafeMutableRawPointer
  private let lastSequences: UnsafeMutablePointer<UInt64>
  private let capacity = InstrumentTable.capacity
  private var limit: UInt32 = 1

  /// Maps the books' memory; traps when it cannot be had (see BookReplica).
  init(capacity: BookCapacity, touch: MemoryTouch = .atOnce) {
    replica = BookReplica(capacity: capacity, touch: touch)
    definitions = .allocate(byteCount: self.capacity * 24, alignment: 8)
    definitions.initializeMemory(as: UInt8.self, repeating: 0, count: self.capacity * 24)
    tradingStates = .allocate(byteCount: self.capacity * 8, alignment: 8)
    tradingStates.initializeMemory(as: UInt8.self, repeating: 0, count: self.capacity * 8)
    lastSequences = .allocate(capacity: self.capacity)
    lastSequences.initialize(repeating: 0, count: self.capacity)
    numbers.reserveCapacity(16_384)
  }

  deinit {
    definitions.deallocate()
    tradingStates.deallocate()
    lastSequences.deallocate()
  }

  /// Applies one event: its kind and its header and body.
  @discardableResult
  func apply(kind: UInt8, event: UnsafeRawBufferPointer) -> ReplicaOutcome {
    let outcome = replica.apply(kind: kind, event: event)
    guard case .applied = outcome, let base = event.baseAddress else { return outcome }
    // An applied event has a header, a place for its instrument and the body of its kind.
    let header = BookEventHeader(from: base)
    let instrument = header.instrument
    if instrument >= limit { limit = instrument + 1 }
    if Int(instrument) < capacity { lastSequences[Int(instrument)] = header.sequence }
    switch BookEventKind(rawValue: kind) {
    case .definition: define(instrument, base + BookEventHeader.bytes)
    case .tradingState:
      (tradingStates + Int(instrument) * 8).copyMemory(from: base + BookEventHeader.bytes, byteCount: 8)
    default: break
    }
    return outcome
  }

  /// Takes the next piece of memory that was not needed yet. False when all is there.
  func touchMemory() -> Bool { replica.touchMemory() }

  /// Drops the books, whose memory is needed for others: see ``restore(from:at:)``.
  func giveUpBooks() {
    replica = BookReplica(capacity: BookCapacity(orders: 1, levels: 1, instruments: 1))
    hasBooks = false
  }

  /// Books before the first event. Those that were there are dropped first.
  func beginAnew(capacity: BookCapacity) {
    giveUpBooks()
    replica = BookReplica(capacity: capacity)
    hasBooks = true
  }

  /// Goes on from books that earlier events have made. Which one was an instrument's newest is not known then.
  /// - Parameter newest: message of the newest of them that is of this ring; 0: they are of an earlier one.
  func restore(from builder: consuming BookBuilder, at position: BookPosition, newest: UInt64 = 0) {
    replica = BookReplica(continuing: builder, at: position)
    hasBooks = true
    for number in 1..<UInt32(min(capacity, InstrumentTable.capacity)) {
      let status = replica.instruments.tradingStatus(number)
      if status.state != 0 {
        // As of the newest trading action.
        let place = tradingStates + Int(number) * 8
        place.storeBytes(of: UInt8(ascii: "H"), as: UInt8.self)
        place.storeBytes(of: status.state, toByteOffset: 1, as: UInt8.self)
        place.storeBytes(of: status.reason, toByteOffset: 4, as: UInt32.self)
      }
      if let definition = replica.instruments.definition(number) {
        withUnsafeTemporaryAllocation(byteCount: 24, alignment: 8) { body in
          guard let base = body.baseAddress else { return }
          base.storeBytes(of: definition.symbol, as: UInt64.self)
          base.storeBytes(of: definition.details.littleEndian, toByteOffset: 8, as: UInt64.self)
          base.storeBytes(of: definition.moreDetails.littleEndian, toByteOffset: 16, as: UInt64.self)
          define(number, UnsafeRawPointer(base))
        }
      }
      if exists(number) {
        limit = number + 1
        lastSequences[Int(number)] = newest
      }
    }
  }

  private func exists(_ number: UInt32) -> Bool {
    replica.instruments.symbolField(number) != nil || orderCount(instrument: number) > 0
  }

  private func define(_ instrument: UInt32, _ body: UnsafeRawPointer) {
    let place = definitions + Int(instrument) * 24
    let old = place.load(as: UInt64.self)
    let symbol = body.loadUnaligned(as: UInt64.self)
    if old != symbol, numbers[old] == instrument { numbers[old] = nil }
    numbers[symbol] = instrument
    place.copyMemory(from: body, byteCount: 24)
  }

  // MARK: SnapshotSource

  var isReady: Bool { isCaughtUp && replica.isMessageComplete }
  var instrumentLimit: UInt32 { limit }
  func instrument(symbol: UInt64) -> UInt32? { numbers[symbol] }

  func lastSequence(instrument: UInt32) -> UInt64 {
    Int(instrument) < capacity ? lastSequences[Int(instrument)] : 0
  }

  func orderCount(instrument: UInt32) -> Int {
    replica.books.orderCount(instrument: instrument, side: .bid)
      + replica.books.orderCount(instrument: instrument, side: .ask)
  }

  func exists(instrument: UInt32) -> Bool {
    guard instrument < limit else { return false }
    return replica.instruments.symbolField(instrument) != nil || orderCount(instrument: instrument) > 0
  }

  func definition(instrument: UInt32, into body: UnsafeMutableRawPointer) -> Bool {
    copy(definitions, 24, instrument, body)
  }

  func tradingState(instrument: UInt32, into body: UnsafeMutableRawPointer) -> Bool {
    copy(tradingStates, 8, instrument, body)
  }

  private func copy(
    _ table: UnsafeMutableRawPointer, _ bytes: Int, _ instrument: UInt32, _ body: UnsafeMutableRawPointer
  ) -> Bool {
    guard instrument < limit, Int(instrument) < capacity else { return false }
    let place = table + Int(instrument) * bytes
    // Both bodies start with a byte that is never zero: a symbol's first letter, a source letter.
    guard place.load(as: UInt8.self) != 0 else { return false }
    body.copyMemory(from: place, byteCount: bytes)
    return true
  }

  /// A replica that met an event which did not fit may differ from the books that made the events: its
  /// snapshots say stale from then on.
  func trust(instrument: UInt32) -> (state: UInt8, reason: UInt8) {
    let state = replica.instruments.trustState(instrument)
    if state == .live, replica.mismatchCount > 0 {
      return (TrustState.stale.rawValue, TrustReason.gap.rawValue)
    }
    return (state.rawValue, replica.instruments.trustReason(instrument).rawValue)
  }

  func forEachOrder(instrument: UInt32, _ body: (SnapshotOrder) -> Void) {
    replica.books.forEachOrder(instrument: instrument) { order, _ in
      body(
        SnapshotOrder(
          isSell: order.side == .ask, price: order.price, quantity: order.quantity, reference: order.reference
        ))
    }
  }
}
