import FeedWire

/// Makes DBN's `mbo` records of a channel's ITCH 5.0 messages.
///
/// Executions, cancellations and deletions name an order and no more, so it keeps the live orders: side, price and what
/// is left of each. What DBN cannot say is counted, by message type; what should not be, too.
public struct MarketByOrderTranslator {
  /// What an export left out, or had to doubt.
  public struct Counts: Equatable, Sendable {
    public var messages = 0
    public var records = 0
    /// Messages for which there is no `mbo` record, by ITCH type letter. Definitions are in the metadata instead.
    public var notExpressed: [UInt8: Int] = [:]
    /// Executions that are not to be printed: they have a fill and a cancel, but no trade.
    public var notPrintable = 0
    /// Crosses of no shares: no record.
    public var emptyCrosses = 0
    /// Crosses of more shares than a record can hold: no record.
    public var tooLarge = 0
    /// Messages that name an order which is not there: no record.
    public var unknownOrders = 0
    /// Adds of an order that is there already, and orders of which more was taken than was left.
    public var inconsistent = 0
    /// Bytes that are no ITCH 5.0 message: no record.
    public var malformed = 0
    /// Ranges of messages that are not there (gaps, holes, damage): no record, but the flag on all that follow.
    public var losses = 0
    /// Messages whose sequence number has more than the record's 32 bits: the low ones are there.
    public var longSequences = 0

    public init() {}
  }

  private struct Order {
    var instrument: UInt32
    var side: DatabentoOrderRecord.Side
    var price: Int64
    var size: UInt32
  }

  public private(set) var counts = Counts()
  /// The venue's midnight, ns since 1970.
  private let midnight: UInt64
  private var orders: [UInt64: Order] = [:]
  private var instruments: Set<UInt32> = []
  /// False when messages before were lost, or never seen.
  private var isComplete = false
  private var session: [UInt8] = []
  private var nextSequence: UInt64 = 1
  private var newestReceiveTime: UInt64 = 0
  /// The messages so far of the image that is being read. Nil outside one.
  private var image: [[UInt8]]?

  /// - Parameter midnight: the venue's, ns since 1970; event times are counted from it.
  public init(midnight: UInt64) { self.midnight = midnight }

  // MARK: What the tape holds

  /// The messages that follow are a session's, the first of which has this number.
  public mutating func startSession(
    _ name: [UInt8], first: UInt64, into records: inout [DatabentoOrderRecord]
  ) {
    // A merge stage that goes on within the session changes nothing.
    if name == session, first == nextSequence { return }
    image = nil
    session = name
    nextSequence = first
    isComplete = first <= 1
    let start = records.count
    clearBooks(sequence: first, flags: 0, into: &records)
    instruments.removeAll()
    finish(&records, from: start)
  }

  /// Messages are missing here.
  public mutating func lose(through last: UInt64?) {
    image = nil
    counts.losses += 1
    isComplete = false
    if let last, last >= nextSequence { nextSequence = last &+ 1 }
  }

  /// Appends the records of one message.
  public mutating func translate(
    sequence: UInt64, receiveTime: UInt64, _ message: UnsafeRawBufferPointer,
    into records: inout [DatabentoOrderRecord]
  ) {
    image = nil
    counts.messages += 1
    if sequence == 1, nextSequence == 1 { isComplete = true }
    nextSequence = sequence &+ 1
    if sequence > UInt64(UInt32.max) { counts.longSequences += 1 }
    if receiveTime > 0 { newestReceiveTime = receiveTime }
    guard ITCH50.validate(message) == nil, let base = message.baseAddress else {
      counts.malformed += 1
      return
    }
    let start = records.count
    let flags =
      (isComplete ? 0 : DatabentoOrderRecord.Flag.maybeBadBook)
      | (receiveTime > 0 ? 0 : DatabentoOrderRecord.Flag.badReceiveTime)
    let header = ITCH50.Header(base: base)
    let moment = Moment(
      instrument: UInt32(header.locate), eventTime: midnight &+ header.timestamp, flags: flags,
      receiveTime: newestReceiveTime, sequence: UInt32(truncatingIfNeeded: sequence))
    apply(header.type, base, moment, &records)
    finish(&records, from: start)
  }

  // MARK: Images

  /// An image of the venue's state begins.
  public mutating func startImage() { image = [] }

  /// Its next message; the first has the number 1.
  public mutating func addToImage(_ message: UnsafeRawBufferPointer, number: UInt64) {
    guard let held = image else { return }
    guard number == UInt64(held.count) + 1 else {
      image = nil
      return
    }
    image?.append([UInt8](message))
  }

  /// The image is whole, and states what is true behind the message `last`: the books begin anew with it.
  public mutating func endImage(last: UInt64, count: UInt64, into records: inout [DatabentoOrderRecord]) {
    guard let messages = image, UInt64(messages.count) == count else {
      image = nil
      return
    }
    image = nil
    let start = records.count
    let flags = DatabentoOrderRecord.Flag.snapshot
    clearBooks(sequence: last, flags: flags, into: &records)
    for message in messages {
      message.withUnsafeBytes { bytes in
        guard ITCH50.validate(bytes) == nil, let base = bytes.baseAddress else {
          counts.malformed += 1
          return
        }
        let header = ITCH50.Header(base: base)
        let moment = Moment(
          instrument: UInt32(header.locate), eventTime: midnight &+ header.timestamp, flags: flags,
          receiveTime: newestReceiveTime, sequence: UInt32(truncatingIfNeeded: last))
        apply(header.type, base, moment, &records)
      }
    }
    isComplete = true
    nextSequence = last &+ 1
    finish(&records, from: start)
  }

  // MARK: Messages

  /// What the records of one message have in common.
  private struct Moment {
    var instrument: UInt32
    var eventTime: UInt64
    var flags: UInt8
    var receiveTime: UInt64
    var sequence: UInt32

    func record(
      _ action: DatabentoOrderRecord.Action, _ side: DatabentoOrderRecord.Side, order: UInt64, price: Int64,
      size: UInt32
    ) -> DatabentoOrderRecord {
      DatabentoOrderRecord(
        instrument: instrument, eventTime: eventTime, order: order, price: price, size: size, flags: flags,
        action: action, side: side, receiveTime: receiveTime, sequence: sequence)
    }
  }

  /// Of 1/10000.
  private static func price(_ price: UInt32) -> Int64 { Int64(price) * 100_000 }

  private static func side(_ letter: UInt8) -> DatabentoOrderRecord.Side { letter == 0x53 ? .ask : .bid }

  private mutating func apply(
    _ type: UInt8, _ base: UnsafeRawPointer, _ moment: Moment, _ records: inout [DatabentoOrderRecord]
  ) {
    switch ITCH50.MessageType(rawValue: type) {
    case .addOrder, .addOrderAttributed:
      let add = ITCH50.AddOrder(base: base)
      self.add(
        add.reference, Self.side(add.side), price: Self.price(add.price), size: add.shares, moment, &records)
    case .orderExecuted:
      let execution = ITCH50.OrderExecuted(base: base)
      execute(execution.reference, size: execution.shares, price: nil, isPrinted: true, moment, &records)
    case .orderExecutedWithPrice:
      let execution = ITCH50.OrderExecutedWithPrice(base: base)
      execute(
        execution.reference, size: execution.shares, price: Self.price(execution.price),
        isPrinted: execution.printable != 0x4E, moment, &records)
    case .orderCancel:
      let cancel = ITCH50.OrderCancel(base: base)
      take(cancel.reference, size: cancel.shares, moment, &records)
    case .orderDelete:
      take(ITCH50.OrderDelete(base: base).reference, size: nil, moment, &records)
    case .orderReplace:
      let replace = ITCH50.OrderReplace(base: base)
      guard let old = orders[replace.originalReference] else {
        counts.unknownOrders += 1
        return
      }
      take(replace.originalReference, size: nil, moment, &records)
      var moment = moment
      moment.instrument = old.instrument
      add(
        replace.newReference, old.side, price: Self.price(replace.price), size: replace.shares, moment,
        &records)
    case .trade:
      // The resting order is hidden, and its side is no longer told.
      let trade = ITCH50.Trade(base: base)
      records.append(
        moment.record(.trade, .none, order: 0, price: Self.price(trade.price), size: trade.shares))
    case .crossTrade:
      let cross = ITCH50.CrossTrade(base: base)
      guard cross.shares > 0 else {
        counts.emptyCrosses += 1
        return
      }
      guard let size = UInt32(exactly: cross.shares) else {
        counts.tooLarge += 1
        return
      }
      records.append(moment.record(.trade, .none, order: 0, price: Self.price(cross.price), size: size))
    default:
      if type == ITCH50.MessageType.stockDirectory.rawValue { instruments.insert(moment.instrument) }
      counts.notExpressed[type, default: 0] += 1
    }
  }

  private mutating func add(
    _ reference: UInt64, _ side: DatabentoOrderRecord.Side, price: Int64, size: UInt32, _ moment: Moment,
    _ records: inout [DatabentoOrderRecord]
  ) {
    let order = Order(instrument: moment.instrument, side: side, price: price, size: size)
    if orders.updateValue(order, forKey: reference) != nil { counts.inconsistent += 1 }
    instruments.insert(moment.instrument)
    records.append(moment.record(.add, side, order: reference, price: price, size: size))
  }

  /// A cancel of `size`, or of all that is left.
  private mutating func take(
    _ reference: UInt64, size: UInt32?, _ moment: Moment, _ records: inout [DatabentoOrderRecord]
  ) {
    guard let index = orders.index(forKey: reference) else {
      counts.unknownOrders += 1
      return
    }
    let order = orders.values[index]
    let taken = size ?? order.size
    if taken > order.size { counts.inconsistent += 1 }
    if taken >= order.size {
      orders.remove(at: index)
    } else {
      orders.values[index].size = order.size - taken
    }
    var moment = moment
    moment.instrument = order.instrument
    records.append(moment.record(.cancel, order.side, order: reference, price: order.price, size: taken))
  }

  private mutating func execute(
    _ reference: UInt64, size: UInt32, price: Int64?, isPrinted: Bool, _ moment: Moment,
    _ records: inout [DatabentoOrderRecord]
  ) {
    guard let order = orders[reference] else {
      counts.unknownOrders += 1
      return
    }
    let price = price ?? order.price
    var here = moment
    here.instrument = order.instrument
    if isPrinted {
      records.append(here.record(.trade, order.side.opposite, order: 0, price: price, size: size))
    } else {
      counts.notPrintable += 1
    }
    records.append(here.record(.fill, order.side, order: reference, price: price, size: size))
    take(reference, size: size, moment, &records)
  }

  private mutating func clearBooks(
    sequence: UInt64, flags: UInt8, into records: inout [DatabentoOrderRecord]
  ) {
    orders.removeAll()
    for instrument in instruments.sorted() {
      let moment = Moment(
        instrument: instrument, eventTime: newestReceiveTime, flags: flags, receiveTime: newestReceiveTime,
        sequence: UInt32(truncatingIfNeeded: sequence))
      records.append(
        moment.record(.clear, .none, order: 0, price: DatabentoOrderRecord.noPrice, size: 0))
    }
  }

  /// Marks the last record of each instrument.
  private mutating func finish(_ records: inout [DatabentoOrderRecord], from start: Int) {
    counts.records += records.count - start
    var marked: Set<UInt32> = []
    for index in records.indices[start...].reversed() where marked.insert(records[index].instrument).inserted
    {
      records[index].flags |= DatabentoOrderRecord.Flag.last
    }
  }
}

/// Which symbol is which instrument, of the definitions of a stretch of messages.
public struct MarketByOrderMappings {
  public private(set) var mappings: [DatabentoMetadata.Mapping] = []
  /// Definitions that contradict an earlier one (another session's): the earlier one stands.
  public private(set) var conflicts = 0
  private var instruments: [String: UInt32] = [:]
  private var symbols: [UInt32: String] = [:]

  public init() {}

  /// Looks at a message: only definitions matter.
  public mutating func note(_ message: UnsafeRawBufferPointer) {
    guard let definition = ITCH50.StockDirectory(message) else { return }
    let symbol = ITCH50.text(definition.stock)
    let instrument = UInt32(definition.header.locate)
    if instruments[symbol] == instrument, symbols[instrument] == symbol { return }
    guard instruments[symbol] == nil, symbols[instrument] == nil else {
      conflicts += 1
      return
    }
    instruments[symbol] = instrument
    symbols[instrument] = symbol
    mappings.append(DatabentoMetadata.Mapping(symbol: symbol, instrument: instrument))
  }
}
