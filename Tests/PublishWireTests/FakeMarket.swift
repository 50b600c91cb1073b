import StageRecords

@testable import PublishWire

/// A generator of numbers with a seed, the same on every machine.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

  mutating func next() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state &* 0x2545_F491_4F6C_DD1D
  }
}

/// Builds the bytes of events: header and body.
enum EventBytes {
  static func make(
    sequence: UInt64, instrument: UInt32, flags: UInt8 = 0, index: UInt16 = 0, body: [UInt64]
  ) -> [UInt8] {
    let header = BookEventHeader(
      sequence: sequence, venueTime: sequence &* 1000, receiveTime: 7, instrument: instrument, index: index,
      channel: 3, flags: flags)
    var bytes = withUnsafeBytes(of: header) { Array($0) }
    for word in body { withUnsafeBytes(of: word.littleEndian) { bytes += Array($0) } }
    return bytes
  }
}

/// One event of a fake venue message.
struct FakeEvent: Equatable {
  var kind: UInt8
  var bytes: [UInt8]
  var sequence: UInt64 { bytes.withUnsafeBytes { $0.loadUnaligned(as: BookEventHeader.self).sequence } }
  var instrument: UInt32 { bytes.withUnsafeBytes { $0.loadUnaligned(as: BookEventHeader.self).instrument } }
}

/// A seeded market: makes venue messages as events, and holds the books that stand behind them.
final class FakeMarket: SnapshotSource {
  struct Book: Equatable {
    var symbol: UInt64?
    var bids: [Int64: [SnapshotOrder]] = [:]
    var asks: [Int64: [SnapshotOrder]] = [:]
    var trust: UInt8 = 0
  }

  var isReady = true
  private(set) var books: [UInt32: Book] = [:]
  private(set) var sequence: UInt64 = 0
  private var generator: SeededGenerator
  private var live: [(instrument: UInt32, isSell: Bool, price: Int64, reference: UInt64)] = []
  private var nextReference: UInt64 = 1
  private var lastSequences: [UInt32: UInt64] = [:]

  init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

  static func symbol(_ instrument: UInt32) -> String { "SYM\(instrument)" }

  /// A definition message.
  func define(_ instrument: UInt32) -> [FakeEvent] {
    sequence += 1
    let symbol = PackedSymbol.pack(Self.symbol(instrument).utf8)
    books[instrument, default: Book()].symbol = symbol
    return [
      event(.definition, instrument, 0, [symbol ?? 0, 100, 0])
    ]
  }

  /// A message that closes the session.
  func endSession() -> [FakeEvent] {
    sequence += 1
    return [event(.endOfSession, 0, 0, [sequence, 0])]
  }

  /// A random message for one of `instruments`: an add, a reduction, an execution, a deletion, a replacement,
  /// or a change of trust; with level and best price events of no meaning beside them.
  func step(_ instruments: [UInt32]) -> [FakeEvent] {
    sequence += 1
    let choice = Int.random(in: 0..<100, using: &generator)
    if choice < 2, let instrument = instruments.randomElement(using: &generator) {
      let state = UInt8.random(in: 0...1, using: &generator)
      books[instrument, default: Book()].trust = state
      return [event(.trust, instrument, 0, [UInt64(state) | UInt64(state) << 8, 1, 2])]
    }
    if choice < 55 || live.isEmpty, let instrument = instruments.randomElement(using: &generator) {
      return add(instrument, flags: 0, index: 0)
    }
    let index = Int.random(in: 0..<live.count, using: &generator)
    let order = live[index]
    let quantity = self.quantity(order)
    switch choice {
    case 55..<70 where quantity > 1: return [take(index, .random(in: 1..<quantity, using: &generator), nil)]
    case 70..<80:
      let taken = UInt64.random(in: 1...quantity, using: &generator)
      return [take(index, taken, 77), event(.level, order.instrument, 0, [1, 2, 3], index: 1)]
    case 80..<88:
      let gone = delete(index, flags: EventFlags.replace)
      return [gone] + add(order.instrument, flags: EventFlags.replace, index: 1)
    default:
      return [delete(index, flags: 0), event(.bestPrices, order.instrument, 0, [1, 2, 3, 4], index: 1)]
    }
  }

  private func add(_ instrument: UInt32, flags: UInt8, index: UInt16) -> [FakeEvent] {
    let isSell = Bool.random(using: &generator)
    let price = Int64.random(in: -3...3, using: &generator) + (isSell ? 100 : 90)
    let order = SnapshotOrder(
      isSell: isSell, price: price, quantity: .random(in: 1...500, using: &generator),
      reference: nextReference)
    nextReference += 1
    live.append((instrument, isSell, price, order.reference))
    change(instrument, isSell, price) { $0.append(order) }
    let side = isSell ? EventFlags.sell : 0
    return [
      event(
        .orderAdd, instrument, flags | side, [order.reference, UInt64(bitPattern: price), order.quantity],
        index: index),
      event(.level, instrument, side, [UInt64(bitPattern: price), 1, 1], index: index + 1),
    ]
  }

  private func take(_ index: Int, _ taken: UInt64, _ match: UInt64?) -> FakeEvent {
    let order = live[index]
    let left = quantity(order) - taken
    change(order.instrument, order.isSell, order.price) { queue in
      guard let place = queue.firstIndex(where: { $0.reference == order.reference }) else { return }
      queue[place].quantity = left
      if left == 0 { queue.remove(at: place) }
    }
    if left == 0 { live.remove(at: index) }
    if let match {
      return event(
        .orderExecute, order.instrument, order.isSell ? EventFlags.sell : 0,
        [order.reference, UInt64(bitPattern: order.price), taken, left, match])
    }
    return event(
      .orderReduce, order.instrument, order.isSell ? EventFlags.sell : 0, [order.reference, left, taken])
  }

  private func delete(_ index: Int, flags: UInt8) -> FakeEvent {
    let order = live.remove(at: index)
    let left = quantity(order)
    change(order.instrument, order.isSell, order.price) { $0.removeAll { $0.reference == order.reference } }
    return event(
      .orderDelete, order.instrument, flags | (order.isSell ? EventFlags.sell : 0),
      [order.reference, UInt64(bitPattern: order.price), left])
  }

  private func quantity(_ order: (instrument: UInt32, isSell: Bool, price: Int64, reference: UInt64))
    -> UInt64
  {
    let book = books[order.instrument]
    let queue = order.isSell ? book?.asks[order.price] : book?.bids[order.price]
    return queue?.first { $0.reference == order.reference }?.quantity ?? 0
  }

  private func change(
    _ instrument: UInt32, _ isSell: Bool, _ price: Int64, _ body: (inout [SnapshotOrder]) -> Void
  ) {
    var book = books[instrument] ?? Book()
    var queue = (isSell ? book.asks[price] : book.bids[price]) ?? []
    body(&queue)
    if isSell {
      book.asks[price] = queue.isEmpty ? nil : queue
    } else {
      book.bids[price] = queue.isEmpty ? nil : queue
    }
    books[instrument] = book
  }

  private func event(
    _ kind: BookEventKind, _ instrument: UInt32, _ flags: UInt8, _ body: [UInt64], index: UInt16 = 0
  ) -> FakeEvent {
    lastSequences[instrument] = sequence
    return FakeEvent(
      kind: kind.rawValue,
      bytes: EventBytes.make(
        sequence: sequence, instrument: instrument, flags: flags, index: index, body: body))
  }

  // MARK: SnapshotSource

  var instrumentLimit: UInt32 { (books.keys.max() ?? 0) + 1 }
  func exists(instrument: UInt32) -> Bool { books[instrument] != nil }
  func instrument(symbol: UInt64) -> UInt32? { books.first { $0.value.symbol == symbol }?.key }
  func lastSequence(instrument: UInt32) -> UInt64 { lastSequences[instrument] ?? 0 }
  func orderCount(instrument: UInt32) -> Int { orders(instrument).count }
  func trust(instrument: UInt32) -> (state: UInt8, reason: UInt8) {
    let state = books[instrument]?.trust ?? 0
    return (state, state)
  }
  func definition(instrument: UInt32, into body: UnsafeMutableRawPointer) -> Bool {
    guard let symbol = books[instrument]?.symbol else { return false }
    body.storeBytes(of: symbol.littleEndian, as: UInt64.self)
    body.storeBytes(of: 100, toByteOffset: 8, as: UInt64.self)
    return true
  }
  func tradingState(instrument: UInt32, into body: UnsafeMutableRawPointer) -> Bool { false }
  func forEachOrder(instrument: UInt32, _ body: (SnapshotOrder) -> Void) {
    for order in orders(instrument) { body(order) }
  }

  /// Live orders in canonical order.
  func orders(_ instrument: UInt32) -> [SnapshotOrder] {
    guard let book = books[instrument] else { return [] }
    return book.bids.keys.sorted(by: >).flatMap { book.bids[$0] ?? [] }
      + book.asks.keys.sorted().flatMap { book.asks[$0] ?? [] }
  }

  /// Instruments ascending, each with its orders in canonical order.
  func allOrders() -> [(instrument: UInt32, orders: [SnapshotOrder])] {
    books.keys.sorted().map { ($0, orders($0)) }.filter { !$0.1.isEmpty }
  }
}
