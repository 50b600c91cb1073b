import FeedSim
import FeedWire
import Glimpse
import XCTest

/// The market after some messages, kept as simply as possible and read straight from the specification's offsets:
/// nothing of it is shared with what it checks.
struct NaiveMarket: Equatable {
  struct Place: Hashable {
    var locate: UInt64
    var side: UInt8
    var price: UInt64
  }
  struct Order: Equatable {
    var place: Place
    var shares: UInt64
    var stock: [UInt8]
    var participant: [UInt8]
  }

  /// References in the order of their priority.
  var queues: [Place: [UInt64]] = [:]
  var orders: [UInt64: Order] = [:]
  var directory: [UInt64: [UInt8]] = [:]
  /// The last message of each kind of state of an instrument; halts by market.
  var states: [String: [UInt8]] = [:]
  var systemEvent: UInt8 = 0

  static func number(_ message: [UInt8], _ offset: Int, _ bytes: Int) -> UInt64 {
    message[offset..<(offset + bytes)].reduce(0) { $0 << 8 | UInt64($1) }
  }

  private mutating func remove(_ reference: UInt64) {
    guard let order = orders.removeValue(forKey: reference) else { return }
    queues[order.place]?.removeAll { $0 == reference }
    if queues[order.place]?.isEmpty == true { queues[order.place] = nil }
  }

  private mutating func add(_ reference: UInt64, _ order: Order) {
    orders[reference] = order
    queues[order.place, default: []].append(reference)
  }

  mutating func apply(_ message: [UInt8]) {
    func number(_ offset: Int, _ bytes: Int) -> UInt64 { Self.number(message, offset, bytes) }
    let locate = number(1, 2)
    switch Character(UnicodeScalar(message[0])) {
    case "A", "F":
      add(
        number(11, 8),
        Order(
          place: Place(locate: locate, side: message[19], price: number(32, 4)), shares: number(20, 4),
          stock: Array(message[24..<32]), participant: Array(message[36...])))
    case "E", "C", "X":
      guard let order = orders[number(11, 8)] else { return }
      if order.shares <= number(19, 4) {
        remove(number(11, 8))
      } else {
        orders[number(11, 8)]?.shares -= number(19, 4)
      }
    case "D": remove(number(11, 8))
    case "U":
      guard var order = orders[number(11, 8)] else { return }
      remove(number(11, 8))
      order.shares = number(27, 4)
      order.place.price = number(31, 4)
      add(number(19, 8), order)
    case "R": directory[locate] = Array(message[11...])
    case "H", "Y", "N": states["\(message[0]) \(locate)"] = Array(message[11...])
    case "h": states["h \(locate) \(message[19])"] = Array(message[11...])
    case "S": systemEvent = message[11]
    default: break
    }
  }
}

/// The messages of an image of the market after the first `count` messages of a day.
func image(
  of store: borrowing MessageStore, through count: Int, convention: GlimpseConvention = .firstNotContained,
  step: Int = .max
) throws -> [[UInt8]] {
  var market = MarketImage()
  while market.through < count { market.advance(to: count, limit: step, store: store) }
  market.beginImage()
  var written = MessageStore()
  while try !market.write(
    to: &written, sequence: market.endSequence(convention), limit: step, store: store)
  {}
  return (0..<written.count).map { Array(written.message(at: $0)) }
}

/// Hands an image to a decoder as the messages 1, 2, 3, … and returns what it said to each.
func decode(_ messages: [[UInt8]], _ decoder: inout GlimpseDecoder) -> [GlimpseStep] {
  decoder.begin()
  return messages.enumerated().map { index, message in
    message.withUnsafeBytes { decoder.take(sequence: UInt64(index) + 1, $0) }
  }
}

func makeDecoder(_ change: (inout GlimpseConfiguration) -> Void = { _ in }) -> GlimpseDecoder {
  var configuration = GlimpseConfiguration()
  configuration.maximumOrders = 100_000
  change(&configuration)
  return GlimpseDecoder(configuration)
}
