import PublishWire
import StageRecords

/// One instrument's book as a stock client sees it, built from nothing but frames.
struct WatchBook {
  struct Level: Equatable {
    var price: Int64
    var size: UInt64
    var orders: Int
  }

  private struct Order {
    let isSell: Bool
    let price: Int64
    var quantity: UInt64
  }

  private var orders: [UInt64: Order] = [:]
  private var bids: [Int64: Level] = [:]
  private var asks: [Int64: Level] = [:]
  /// Live orders of each side.
  private(set) var bidOrders = 0
  private(set) var askOrders = 0
  /// The venue's instrument number, once any event named it.
  private(set) var instrument: UInt32?
  /// Venue sequence number of the newest event.
  private(set) var sequence: UInt64 = 0
  /// Events applied, snapshots included.
  private(set) var events: UInt64 = 0
  /// Events that named an order that is not here: the book is wrong.
  private(set) var inconsistencies: UInt64 = 0
  /// The chain of frames broke: the book is wrong.
  private(set) var isBroken = false
  private(set) var lastTradePrice: Int64?
  private(set) var hasEnded = false
  /// Why the book, or the whole channel, is stale; nil when it is not.
  private var bookReason: UInt8?
  private var channelReason: UInt8?
  private var input: UInt8 = 0
  private var chain: UInt64 = 0
  private var seenFrame = false

  /// Takes one frame of the connection; false when it is not one that follows.
  mutating func take(_ frame: DecodedFrame) {
    if seenFrame, frame.header.previousSequence != chain { isBroken = true }
    seenFrame = true
    chain = frame.header.sequence
    switch frame.block {
    case .snapshotBegin: clear()
    case .heartbeat(let beat): input = beat.input
    case .status(let status): input = status.input
    case .events, .snapshotOrders, .snapshotEnd, .replay, .checksum, .unknown: break
    }
    frame.forEach { apply($0) }
  }

  private mutating func clear() {
    orders.removeAll(keepingCapacity: true)
    bids.removeAll(keepingCapacity: true)
    asks.removeAll(keepingCapacity: true)
    bidOrders = 0
    askOrders = 0
    inconsistencies = 0
  }

  private mutating func apply(_ entry: DecodedEntry) {
    let header = entry.header
    let body = entry.body
    // The decoder has checked that the body is as long as its kind's.
    func word(_ offset: Int) -> UInt64 {
      UInt64(littleEndian: body.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
    events &+= 1
    sequence = header.sequence
    if header.instrument != 0 { instrument = header.instrument }
    switch BookEventKind(rawValue: entry.kind) {
    case .orderAdd:
      add(
        word(0),
        Order(
          isSell: header.flags & EventFlags.sell != 0, price: Int64(bitPattern: word(8)), quantity: word(16)))
    case .orderReduce: reduce(word(0), to: word(8))
    case .orderExecute:
      lastTradePrice = Int64(bitPattern: word(8))
      reduce(word(0), to: word(24))
    case .orderDelete: reduce(word(0), to: 0)
    case .trade: lastTradePrice = Int64(bitPattern: word(0))
    case .trust:
      let reason = word(0) & 0xFF == UInt64(TrustState.live.rawValue) ? nil : body[1]
      if header.instrument == 0 { channelReason = reason } else { bookReason = reason }
      if header.instrument != 0, body[2] == 1 { removeAll() }
      // A channel that is live again is so with every book.
      if header.instrument == 0, reason == nil, body[2] == 0 { bookReason = nil }
    // The gap of one instrument is followed by its own trust event.
    case .gap where header.instrument == 0: channelReason = channelReason ?? TrustReason.gap.rawValue
    case .gap: bookReason = bookReason ?? TrustReason.gap.rawValue
    case .endOfSession: hasEnded = true
    case .definition, .level, .bestPrices, .tradeBroken, .tradingState, .notice, nil: break
    }
  }

  /// In quarantine a book is empty.
  private mutating func removeAll() {
    orders.removeAll(keepingCapacity: true)
    bids.removeAll(keepingCapacity: true)
    asks.removeAll(keepingCapacity: true)
    bidOrders = 0
    askOrders = 0
  }

  private mutating func add(_ reference: UInt64, _ order: Order) {
    guard orders[reference] == nil else {
      inconsistencies &+= 1
      return
    }
    orders[reference] = order
    change(order, by: order.quantity, orders: 1)
  }

  private mutating func reduce(_ reference: UInt64, to remaining: UInt64) {
    guard let order = orders[reference], remaining <= order.quantity else {
      inconsistencies &+= 1
      return
    }
    change(order, by: 0 &- (order.quantity - remaining), orders: remaining == 0 ? -1 : 0)
    if remaining == 0 { orders[reference] = nil } else { orders[reference]?.quantity = remaining }
  }

  /// - Parameter quantity: added modulo 2^64, so that a reduction is its two's complement.
  private mutating func change(_ order: Order, by quantity: UInt64, orders count: Int) {
    var level =
      (order.isSell ? asks[order.price] : bids[order.price]) ?? Level(price: order.price, size: 0, orders: 0)
    level.size &+= quantity
    level.orders += count
    let left = level.orders > 0 ? level : nil
    if order.isSell {
      asks[order.price] = left
      askOrders += count
    } else {
      bids[order.price] = left
      bidOrders += count
    }
  }

  /// Levels from the best price on, at most `depth`.
  func levels(isSell: Bool, depth: Int) -> [Level] {
    let sorted =
      isSell ? asks.values.sorted { $0.price < $1.price } : bids.values.sorted { $0.price > $1.price }
    return Array(sorted.prefix(max(depth, 0)))
  }

  /// Why the book cannot be believed; nil when it can.
  var staleReason: String? {
    if isBroken { return "frames are missing" }
    if let reason = bookReason ?? channelReason {
      return TrustReason(rawValue: reason)?.name ?? "reason \(reason)"
    }
    if input != InputState.live.rawValue {
      return "publisher's input is \(InputState(rawValue: input)?.name ?? "in state \(input)")"
    }
    if inconsistencies > 0 { return "\(inconsistencies) events do not fit the book" }
    return nil
  }
}
