import FeedWire
import Glimpse

/// The state that a day's messages lead to, and the GLIMPSE image of it: which instruments there are, what they
/// are doing, and every displayed order in the order of its priority.
///
/// Derived from the messages alone, in steps as small as the caller wants, so that a venue can do it between two
/// packets. Only goes forward. Not thread-safe.
public struct MarketImage {
  private struct Order {
    /// Messages by index: the one that has side, symbol and participant, and the one that gave the order its place.
    var origin: Int
    var placed: Int
    var reference: UInt64
    var shares: UInt32
    var price: UInt32
    /// Neighbours in the order of placing, or ``none``.
    var previous: Int32
    var next: Int32
  }

  /// Where the writing of an image stands.
  private enum Writing {
    case nothing
    case heads(Int)
    case orders(Int32)
  }

  private static let none: Int32 = -1

  /// Messages applied, and so the sequence number of the last one.
  public private(set) var through = 0
  private var orders: [Order] = []
  private var free: [Int32] = []
  private var slots: [UInt64: Int32] = [:]
  private var oldest = MarketImage.none
  private var newest = MarketImage.none
  /// Index of the last system event, of each directory message in their order, and of the last message for each
  /// kind of state.
  private var systemEvent: Int?
  private var directory: [Int] = []
  private var directoryPlaces: [UInt16: Int] = [:]
  private var states: [UInt32: Int] = [:]
  private var writing = Writing.nothing
  /// What precedes the orders, by message index: made when an image is begun.
  private var heads: [Int] = []

  public init() {}

  /// Displayed orders.
  public var liveOrders: Int { slots.count }

  /// Applies messages until ``through`` is `target`, but at most `limit` of them. An image that is being written is
  /// given up.
  public mutating func advance(to target: Int, limit: Int = .max, store: borrowing MessageStore) {
    guard through < min(target, store.count) else { return }
    writing = .nothing
    var left = limit
    while through < min(target, store.count), left > 0 {
      apply(store.message(at: through), through)
      through += 1
      left -= 1
    }
  }

  /// Starts to write the image of the present state.
  public mutating func beginImage() {
    heads = systemEvent.map { [$0] } ?? []
    heads += directory
    heads += states.sorted { $0.key < $1.key }.map(\.value)
    writing = .heads(0)
  }

  /// Writes up to `limit` messages of the image to `image`, the end of snapshot at last.
  /// - Parameters:
  ///   - sequence: what the end of snapshot says; see ``endSequence(_:)``
  /// - Returns: whether the image is complete
  /// - Throws: ``MessageFileError/outOfMemory(bytes:)``
  public mutating func write(
    to image: inout MessageStore, sequence: UInt64, limit: Int, store: borrowing MessageStore
  ) throws(MessageFileError) -> Bool {
    var left = limit
    while left > 0 {
      left -= 1
      switch writing {
      case .nothing: return true
      case .heads(let index) where index < heads.count:
        try image.append(store.message(at: heads[index]))
        writing = .heads(index + 1)
      case .heads:
        writing = .orders(oldest)
      case .orders(let slot) where slot != Self.none:
        let order = orders[Int(slot)]
        try append(order, to: &image, store)
        writing = .orders(order.next)
      case .orders:
        var end: [UInt8] = Array(repeating: 0, count: Glimpse.endOfSnapshotBytes)
        end.withUnsafeMutableBytes { bytes in
          if let base = bytes.baseAddress { Glimpse.writeEndOfSnapshot(sequence: sequence, to: base) }
        }
        try Self.append(end, to: &image)
        writing = .nothing
        return true
      }
    }
    return false
  }

  /// What the end of snapshot of the present state says by a convention.
  public func endSequence(_ convention: GlimpseConvention) -> UInt64 {
    switch convention {
    case .firstNotContained: UInt64(through) + 1
    case .lastContained: UInt64(through)
    }
  }

  // MARK: Messages

  private mutating func apply(_ message: UnsafeRawBufferPointer, _ index: Int) {
    guard let base = message.baseAddress, ITCH50.validate(message) == nil else { return }
    let locate = ITCH50.Header(base: base).locate
    switch base.load(as: UInt8.self) {
    case 0x41, 0x46:  // A F
      let add = ITCH50.AddOrder(base: base)
      place(add.reference, origin: index, placed: index, shares: add.shares, price: add.price)
    case 0x45, 0x43, 0x58:  // E C X: reference and shares lie in the same places.
      let cancel = ITCH50.OrderCancel(base: base)
      guard let slot = slots[cancel.reference] else { return }
      if cancel.shares < orders[Int(slot)].shares {
        orders[Int(slot)].shares -= cancel.shares
      } else {
        remove(cancel.reference, slot)
      }
    case 0x44:  // D
      let reference = ITCH50.OrderDelete(base: base).reference
      if let slot = slots[reference] { remove(reference, slot) }
    case 0x55:  // U
      let replace = ITCH50.OrderReplace(base: base)
      guard let slot = slots[replace.originalReference] else { return }
      let origin = orders[Int(slot)].origin
      remove(replace.originalReference, slot)
      place(
        replace.newReference, origin: origin, placed: index, shares: replace.shares, price: replace.price)
    case 0x53: systemEvent = index
    case 0x52:  // R
      if let position = directoryPlaces[locate] {
        directory[position] = index
      } else {
        directoryPlaces[locate] = directory.count
        directory.append(index)
      }
    case 0x48: states[Self.stateKey(locate, 0)] = index
    case 0x59: states[Self.stateKey(locate, 1)] = index
    case 0x4E: states[Self.stateKey(locate, 2)] = index
    case 0x68:  // h, for each of the markets
      states[Self.stateKey(locate, 3 + UInt32(ITCH50.OperationalHalt(base: base).market))] = index
    default: break
    }
  }

  private static func stateKey(_ locate: UInt16, _ kind: UInt32) -> UInt32 { UInt32(locate) << 16 | kind }

  // MARK: Orders

  private mutating func place(_ reference: UInt64, origin: Int, placed: Int, shares: UInt32, price: UInt32) {
    guard shares > 0, slots[reference] == nil else { return }
    let order = Order(
      origin: origin, placed: placed, reference: reference, shares: shares, price: price, previous: newest,
      next: Self.none)
    let slot: Int32
    if let reused = free.popLast() {
      slot = reused
      orders[Int(slot)] = order
    } else {
      slot = Int32(orders.count)
      orders.append(order)
    }
    if newest == Self.none { oldest = slot } else { orders[Int(newest)].next = slot }
    newest = slot
    slots[reference] = slot
  }

  private mutating func remove(_ reference: UInt64, _ slot: Int32) {
    let order = orders[Int(slot)]
    if order.previous == Self.none {
      oldest = order.next
    } else {
      orders[Int(order.previous)].next = order.next
    }
    if order.next == Self.none {
      newest = order.previous
    } else {
      orders[Int(order.next)].previous = order.previous
    }
    slots[reference] = nil
    free.append(slot)
  }

  /// The add message of an order as it stands: what was displayed last, at the time of that.
  private func append(
    _ order: Order, to image: inout MessageStore, _ store: borrowing MessageStore
  ) throws(MessageFileError) {
    var bytes = Array(store.message(at: order.origin))
    // Tracking number and time.
    for (offset, byte) in store.message(at: order.placed).enumerated() where (3..<11).contains(offset) {
      bytes[offset] = byte
    }
    bytes.withUnsafeMutableBytes { target in
      target.storeBytes(of: order.reference.bigEndian, toByteOffset: 11, as: UInt64.self)
      target.storeBytes(of: order.shares.bigEndian, toByteOffset: 20, as: UInt32.self)
      target.storeBytes(of: order.price.bigEndian, toByteOffset: 32, as: UInt32.self)
    }
    try Self.append(bytes, to: &image)
  }

  private static func append(_ bytes: [UInt8], to image: inout MessageStore) throws(MessageFileError) {
    // A closure that throws a type of its own does not pass through `withUnsafeBytes` with it.
    var failure: MessageFileError?
    bytes.withUnsafeBytes { buffer in
      do throws(MessageFileError) { try image.append(buffer) } catch { failure = error }
    }
    if let failure { throw failure }
  }
}
