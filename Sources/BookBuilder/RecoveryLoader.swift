import FeedWire
import OrderBook
import StageRecords

/// Keeps what the merged stream says for the recovery of one instrument until it is whole (`MergedRecord`). All memory is taken
/// in `init`. Not thread-safe.
public struct RecoveryLoader: ~Copyable {
  /// Events that a recovery can have at most: as many as there are indices for them.
  public static let eventCells = Int(BookEventHeader.restartNoticeIndex - BookEventHeader.recoveryIndex)
  /// Room for the orders of the largest book that can be told, and for some ten thousand messages behind the image.
  private static let arenaBytes = 4 << 20

  fileprivate let arena: UnsafeMutableRawPointer
  private let roomBytes: Int
  fileprivate private(set) var usedBytes = 0
  fileprivate let orders: UnsafeMutablePointer<BookOrder>
  fileprivate let orderRoom: Int
  private var next: UInt64 = 0
  fileprivate private(set) var instrument: UInt32 = 0
  private var count: UInt64 = 0
  private var isOpen = false

  /// - Parameter isUsed: false: there are no recoveries, and hardly any memory is taken
  public init(isUsed: Bool = true) {
    roomBytes = isUsed ? Self.arenaBytes : 8
    orderRoom = isUsed ? Self.eventCells : 1
    arena = .allocate(byteCount: roomBytes, alignment: 64)
    arena.initializeMemory(as: UInt8.self, repeating: 0, count: roomBytes)
    orders = .allocate(capacity: orderRoom)
    orders.initialize(
      repeating: BookOrder(reference: 0, instrument: 0, side: .bid, price: 0, quantity: 0), count: orderRoom)
  }

  deinit {
    arena.deallocate()
    orders.deallocate()
  }

  /// A recovery begins. What there was of another one is void.
  public mutating func begin(next: UInt64, instrument: UInt64) {
    usedBytes = 0
    count = 0
    self.next = next
    self.instrument = UInt32(truncatingIfNeeded: instrument)
    isOpen = instrument > 0 && instrument < UInt64(InstrumentTable.capacity)
  }

  /// What has begun is void.
  public mutating func abandon() { isOpen = false }

  /// One message. One that is about anything else than the instrument's orders, or without room, makes the recovery void.
  public mutating func add(next: UInt64, sequence: UInt64, _ message: UnsafeRawBufferPointer) {
    guard isOpen else { return }
    isOpen = false
    guard next == self.next, let base = message.baseAddress, message.count <= roomBytes - usedBytes,
      let type = message.first, ITCH50.expectedLength(type) == message.count,
      ITCH50.isAboutOrders(type), sequence > 0 || ITCH50.addsOrder(type),
      UInt32(ITCH50.Header(base: base).locate) == instrument
    else { return }
    (arena + usedBytes).copyMemory(from: base, byteCount: message.count)
    usedBytes += message.count
    count &+= 1
    isOpen = true
  }

  /// Whether the recovery is here with all its `count` messages. It is not taken up again.
  fileprivate mutating func close(next: UInt64, instrument: UInt64, count: UInt64) -> Bool {
    defer { isOpen = false }
    return isOpen && next == self.next && instrument == UInt64(self.instrument) && count == self.count
  }
}

extension BookBuilder {
  /// Where the first event of a recovery would stand: behind the newest event of the stream, and behind the recoveries there; nil
  /// where nothing can.
  public var recoveryPlace: EventIdentity? {
    guard newestEventSequence > 0, !isSuspected, !endsWithNotice else { return nil }
    guard let newestRecovery, newestRecovery.sequence == newestEventSequence else {
      return EventIdentity(sequence: newestEventSequence, index: BookEventHeader.recoveryIndex)
    }
    return EventIdentity(sequence: newestEventSequence, index: newestRecovery.index &+ 1)
  }

  /// Ends an instrument's quarantine with the book that a recovery in the stream says, behind the newest event. The events are
  /// those of ``recover(instrument:orders:behind:index:receiveTime:into:)``.
  /// - Parameters:
  ///   - next, instrument, count: what the recovery's end says.
  ///   - events: of ``RecoveryLoader/eventCells`` cells; cleared first.
  /// - Returns: why it is as before, and there are no events; nil when it is live.
  public mutating func recover(
    _ loader: inout RecoveryLoader, next: UInt64, instrument: UInt64, count: UInt64, receiveTime: UInt64,
    into events: inout EventBatch
  ) -> RecoveryRefusal? {
    events.removeAll()
    guard loader.close(next: next, instrument: instrument, count: count) else { return .notWhole }
    let instrument = loader.instrument
    guard instruments.isQuarantined(instrument) else { return .notQuarantined }
    guard let place = recoveryPlace else { return .outOfPlace }
    var offset = 0
    var number = 0
    while offset < loader.usedBytes {
      let base = UnsafeRawPointer(loader.arena) + offset
      if let refusal = retell(base, instrument, number) {
        books.removeAll(instrument: instrument)
        return refusal
      }
      offset &+= ITCH50.expectedLength(base.load(as: UInt8.self))
      number &+= 1
    }
    // Out of the structure: a closure cannot keep what is borrowed.
    let orders = loader.orders
    let room = loader.orderRoom
    var total = 0
    books.forEachOrder(instrument: instrument) { order, _ in
      if total < room { orders[total] = order }
      total += 1
    }
    guard total <= room else {
      books.removeAll(instrument: instrument)
      return .tooManyOrders(limit: room)
    }
    let header = BookEventHeader(
      sequence: place.sequence, venueTime: 0, receiveTime: receiveTime, instrument: instrument,
      index: place.index, channel: channel, flags: EventFlags.stale)
    return release(header, UnsafeBufferPointer(start: orders, count: total), into: &events)
  }

  /// What one message says of the book that is being made; nothing is told of it yet.
  private mutating func retell(
    _ base: UnsafeRawPointer, _ instrument: UInt32, _ number: Int
  ) -> RecoveryRefusal? {
    let outcome: BookOutcome
    switch base.load(as: UInt8.self) {
    case 0x41, 0x46:
      let add = ITCH50.AddOrder(base: base)
      guard add.side == 0x42 || add.side == 0x53 else { return .message(number) }
      outcome = books.add(
        instrument: instrument, side: add.side == 0x42 ? .bid : .ask, reference: add.reference,
        price: Int64(add.price), quantity: UInt64(add.shares))
    case 0x44:
      outcome = books.delete(instrument: instrument, reference: ITCH50.OrderDelete(base: base).reference)
    case 0x58:
      let cancel = ITCH50.OrderCancel(base: base)
      outcome = books.reduce(
        instrument: instrument, reference: cancel.reference, by: UInt64(cancel.shares))
    case 0x45, 0x43:  // Reference and shares lie in the same places.
      let execution = ITCH50.OrderExecuted(base: base)
      outcome = books.execute(
        instrument: instrument, reference: execution.reference, quantity: UInt64(execution.shares))
    default:
      let replace = ITCH50.OrderReplace(base: base)
      switch books.replace(
        instrument: instrument, reference: replace.originalReference, with: replace.newReference,
        price: Int64(replace.price), quantity: UInt64(replace.shares))
      {
      case .replaced: return nil
      case .rejected(let rejection): return .order(number, rejection)
      }
    }
    guard case .rejected(let rejection) = outcome else { return nil }
    return .order(number, rejection)
  }
}
