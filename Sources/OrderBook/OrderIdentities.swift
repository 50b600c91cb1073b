/// What tells one order from another where the venue gives it no number: Eurex's EOBI names an order by its instrument,
/// side, price and the nanosecond at which it got its place in the queue.
@frozen
public struct OrderIdentity: Sendable, Hashable {
  public var instrument: UInt32
  public var side: BookSide
  public var price: Int64
  /// The venue's stamp; unique within the level.
  public var priority: UInt64

  @inlinable
  public init(instrument: UInt32, side: BookSide, price: Int64, priority: UInt64) {
    self.instrument = instrument
    self.side = side
    self.price = price
    self.priority = priority
  }
}

/// Gives such orders references of their own, by which ``OrderBooks`` knows them: the layer between the books and a venue
/// whose orders have other names than a number. References count upward from 1 and are never used again, so live ones
/// are dense, which is what the books find fastest. Fixed memory, mapped and touched once; works for any identities, in
/// time that is short on average. Not thread-safe.
///
/// An ordinary hash table with linear probing, at most half full; a removal closes its gap, so nothing is left behind.
public struct OrderIdentities: ~Copyable {
  /// A place of the table. `place` is the instrument's side number + 1; 0 = free.
  private struct Entry {
    var priority: UInt64
    var price: Int64
    var place: UInt64
    var reference: UInt64
  }

  /// Live orders that there is room for.
  public let capacity: Int
  public private(set) var count = 0
  private var newest: UInt64 = 0
  private let memory: FixedMemory
  private let entries: UnsafeMutablePointer<Entry>
  private let mask: Int

  /// Maps and touches 64 to 128 bytes an order; traps when the kernel refuses them: call it once, at start.
  /// - Parameter capacity: 1...``BookCapacity/ordersMax``; more or less traps.
  public init(capacity: Int) {
    precondition((1...BookCapacity.ordersMax).contains(capacity), "identities for \(capacity) orders")
    self.capacity = capacity
    var places = 64
    while places < capacity * 2 { places *= 2 }
    mask = places - 1
    let bytes = MemoryPieces.bytes(Entry.self, places)
    memory = FixedMemory(bytes: bytes)
    var pieces = MemoryPieces(memory, bytes: bytes)
    entries = pieces.take(Entry.self, places)
  }

  /// The reference of a live order, or nil.
  @_noLocks
  public func reference(of identity: OrderIdentity) -> UInt64? {
    let place = find(identity)
    return entries[place].place == 0 ? nil : entries[place].reference
  }

  /// Gives a new order a reference.
  /// - Returns: the reference; ``BookRejection/duplicateReference`` when such an order is live, or
  ///   ``BookRejection/ordersFull``.
  @_noLocks
  public mutating func insert(_ identity: OrderIdentity) -> Result<UInt64, BookRejection> {
    let place = find(identity)
    if entries[place].place != 0 { return .failure(.duplicateReference) }
    if count >= capacity { return .failure(.ordersFull) }
    newest &+= 1
    count &+= 1
    entries[place] = Entry(
      priority: identity.priority, price: identity.price, place: Self.place(identity), reference: newest)
    return .success(newest)
  }

  /// Forgets an order that is gone. Returns the reference that it had, or nil when it is not live.
  @_noLocks
  public mutating func remove(_ identity: OrderIdentity) -> UInt64? {
    var gap = find(identity)
    guard entries[gap].place != 0 else { return nil }
    let reference = entries[gap].reference
    count &-= 1
    // Whoever was pushed beyond the gap moves up into it.
    var next = (gap &+ 1) & mask
    while entries[next].place != 0 {
      let home = home(entries[next].place, entries[next].price, entries[next].priority)
      if (next &- home) & mask >= (next &- gap) & mask {
        entries[gap] = entries[next]
        gap = next
      }
      next = (next &+ 1) & mask
    }
    entries[gap].place = 0
    return reference
  }

  /// Forgets every order of an instrument (EOBI's mass delete, a quarantine). Linear in the table.
  public mutating func removeAll(instrument: UInt32) {
    var place = 0
    while place <= mask {
      let entry = entries[place]
      guard entry.place != 0, (entry.place &- 1) &>> 1 == UInt64(instrument) else {
        place += 1
        continue
      }
      // What moves up into this place is looked at next.
      _ = remove(
        OrderIdentity(
          instrument: instrument, side: BookSide(half: UInt8(truncatingIfNeeded: entry.place &- 1)),
          price: entry.price, priority: entry.priority))
    }
  }

  @_noLocks
  private static func place(_ identity: OrderIdentity) -> UInt64 {
    UInt64(identity.instrument) &* 2 &+ UInt64(identity.side.half) &+ 1
  }

  @_noLocks
  private func home(_ place: UInt64, _ price: Int64, _ priority: UInt64) -> Int {
    var mixed = priority &* 0x9E37_79B9_7F4A_7C15
    mixed = (mixed ^ (mixed &>> 32) ^ UInt64(bitPattern: price)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed &>> 29) ^ place) &* 0x94D0_49BB_1331_11EB
    return Int(truncatingIfNeeded: mixed &>> 20) & mask
  }

  /// Where the identity is, or the free place where it would be.
  @_noLocks
  private func find(_ identity: OrderIdentity) -> Int {
    let wanted = Self.place(identity)
    var place = home(wanted, identity.price, identity.priority)
    while entries[place].place != 0 {
      let entry = entries[place]
      if entry.priority == identity.priority && entry.price == identity.price && entry.place == wanted {
        break
      }
      place = (place &+ 1) & mask
    }
    return place
  }
}
