import FeedWire
import SoupBinTCP

/// Sizes and strictness of a ``GlimpseDecoder``.
public struct GlimpseConfiguration: Equatable, Sendable {
  /// Orders that one image can have: 1...2^28. Takes 12 to 24 bytes each.
  public var maximumOrders = 2_000_000
  public var convention = GlimpseConvention.firstNotContained
  /// Refuse an image whose sections do not come as system event, directory, states, orders. The public documents
  /// do not promise any order.
  public var requiresSectionOrder = false
  /// Refuse an image whose directory lacks an instrument that the image has an order or a state of.
  public var requiresDirectory = true

  public init() {}

  /// Whether every value is in its range.
  public var isValid: Bool { (1...(1 << 28)).contains(maximumOrders) }
}

/// Checks an image message by message and says from which live message the stream continues.
///
/// A pure core: memory is taken in `init` and never after. Not thread-safe.
///
/// ```
/// decoder.begin()                                       // and log in, requesting sequence 1
/// .sequenced(sequence, message):
///   switch decoder.take(sequence: sequence, message) {
///   case .deliver:             apply(message)           // to books that nobody sees yet
///   case .complete(let end):   end.joining(keptFrom:, nextLive:)
///   case .refused(let reason): give up, begin anew
///   }
/// .endOfSession, .failed, …:   decoder.ended()
/// ```
///
/// What it knows of an image: each message is well formed and states something; the numbers are 1, 2, 3, …; one
/// symbol a locate code; no order twice; each order has a side, shares and an instrument.
public struct GlimpseDecoder: ~Copyable {
  private enum State {
    case idle, reading, complete, refused(GlimpseRefusal)
  }

  private let configuration: GlimpseConfiguration
  private var state = State.idle
  private var nextSequence: UInt64 = 1
  private var section = GlimpseSection.systemEvent
  private var end = GlimpseEnd(
    snapshotSequence: 0, continueFrom: 0, systemEvents: 0, instruments: 0, states: 0, orders: 0)
  private var references: ReferenceSet
  private let refusalCounts: UnsafeMutablePointer<UInt64>
  /// By locate code: the symbol, 0 = none yet.
  private let symbols: UnsafeMutablePointer<UInt64>
  /// By locate code: bit 0 = in the directory, bit 1 = used.
  private let marks: UnsafeMutablePointer<UInt8>
  /// Locate codes that are used and not (yet) in the directory.
  private var undirected = 0

  /// Images taken up, completed and refused.
  public private(set) var begun: UInt64 = 0
  public private(set) var completed: UInt64 = 0
  public private(set) var refused: UInt64 = 0
  /// Messages of all images: delivered, and those that were not (the one that was refused, and all after it).
  public private(set) var messagesDelivered: UInt64 = 0
  public private(set) var messagesRefused: UInt64 = 0

  private static let locates = 65_536

  /// - Parameter configuration: must be valid
  public init(_ configuration: GlimpseConfiguration) {
    precondition(configuration.isValid, "look at isValid before using a configuration")
    self.configuration = configuration
    references = ReferenceSet(capacity: configuration.maximumOrders)
    refusalCounts = .allocate(capacity: GlimpseRefusal.allCases.count)
    refusalCounts.initialize(repeating: 0, count: GlimpseRefusal.allCases.count)
    symbols = .allocate(capacity: Self.locates)
    symbols.initialize(repeating: 0, count: Self.locates)
    marks = .allocate(capacity: Self.locates)
    marks.initialize(repeating: 0, count: Self.locates)
  }

  deinit {
    refusalCounts.deallocate()
    symbols.deallocate()
    marks.deallocate()
  }

  /// Starts a new image. Clears the tables, which takes about a millisecond for a million orders.
  public mutating func begin() {
    begun &+= 1
    state = .reading
    nextSequence = 1
    section = .systemEvent
    end = GlimpseEnd(
      snapshotSequence: 0, continueFrom: 0, systemEvents: 0, instruments: 0, states: 0, orders: 0)
    undirected = 0
    references.removeAll()
    symbols.update(repeating: 0, count: Self.locates)
    marks.update(repeating: 0, count: Self.locates)
  }

  /// Clears a piece of the tables of an image that is over: whoever has something to do between two images calls it now and then,
  /// and ``begin()`` takes no time. Nothing is known of that image from then on.
  public mutating func tidy() {
    switch state {
    case .complete, .refused: _ = references.removePiece(slots: Self.slotsPerPiece)
    case .idle, .reading: break
    }
  }

  /// A megabyte.
  private static let slotsPerPiece = 1 << 17

  /// One sequenced message of the image. Never traps, whatever the bytes are.
  /// - Parameter sequence: its number in the GLIMPSE session
  @_noLocks
  public mutating func take(sequence: UInt64, _ message: UnsafeRawBufferPointer) -> GlimpseStep {
    switch state {
    case .idle, .reading: break
    case .complete: return refuse(.afterEnd)
    case .refused(let reason):
      messagesRefused &+= 1
      return .refused(reason)
    }
    guard sequence == nextSequence else {
      return refuse(nextSequence == 1 ? .notFromTheStart : .sequenceBroken)
    }
    nextSequence &+= 1
    guard let base = message.baseAddress, message.count > 0 else { return refuse(.emptyMessage) }
    let type = base.load(as: UInt8.self)
    if type == Glimpse.endOfSnapshotType { return takeEnd(message) }
    let expected = ITCH50.expectedLength(type)
    if expected == 0 { return refuse(.unknownType) }
    if expected != message.count { return refuse(.wrongLength) }
    let reason: GlimpseRefusal?
    switch type {
    case 0x53:  // S
      reason = enter(.systemEvent)
      end.systemEvents &+= 1
    case 0x52:  // R
      reason = enter(.directory) ?? directory(base)
      end.instruments &+= 1
    case 0x48, 0x59, 0x68, 0x4E:  // H Y h N
      reason = enter(.state) ?? use(base, stockAt: 11)
      end.states &+= 1
    case 0x41, 0x46:  // A F
      reason = enter(.order) ?? order(base)
      end.orders &+= 1
    default: reason = .notPartOfAnImage
    }
    if let reason { return refuse(reason) }
    messagesDelivered &+= 1
    return .deliver(section)
  }

  /// The session or the connection is over. An image that is not complete is refused now.
  @_noLocks
  public mutating func ended() -> GlimpseStep {
    switch state {
    case .idle, .reading:
      return refuse(.endedEarly, messages: 0)
    case .complete: return .complete(end)
    case .refused(let reason): return .refused(reason)
    }
  }

  /// Whether the image so far has an order of this reference.
  @_noLocks
  public func hasOrder(_ reference: UInt64) -> Bool { references.contains(reference) }

  /// Images refused for a reason.
  public func refusals(_ reason: GlimpseRefusal) -> UInt64 { refusalCounts[reason.index] }

  // MARK: Parts

  @_noLocks
  private mutating func refuse(_ reason: GlimpseRefusal, messages: UInt64 = 1) -> GlimpseStep {
    refusalCounts[reason.index] &+= 1
    refused &+= 1
    messagesRefused &+= messages
    state = .refused(reason)
    return .refused(reason)
  }

  @_noLocks
  private mutating func enter(_ new: GlimpseSection) -> GlimpseRefusal? {
    if configuration.requiresSectionOrder && new.position < section.position { return .sectionOutOfOrder }
    section = new
    return nil
  }

  /// Notes that a locate code stands for a symbol.
  @_noLocks
  private mutating func name(_ base: UnsafeRawPointer, stockAt offset: Int) -> GlimpseRefusal? {
    let locate = Int(ITCH50.Header(base: base).locate)
    if locate == 0 { return .locateZero }
    let symbol = base.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
    let known = symbols[locate]
    if known != 0 && known != symbol { return .symbolDisagrees }
    symbols[locate] = symbol
    return nil
  }

  @_noLocks
  private mutating func directory(_ base: UnsafeRawPointer) -> GlimpseRefusal? {
    if let reason = name(base, stockAt: 11) { return reason }
    let locate = Int(ITCH50.Header(base: base).locate)
    if marks[locate] == 2 { undirected &-= 1 }
    marks[locate] |= 1
    return nil
  }

  @_noLocks
  private mutating func use(_ base: UnsafeRawPointer, stockAt offset: Int) -> GlimpseRefusal? {
    if let reason = name(base, stockAt: offset) { return reason }
    let locate = Int(ITCH50.Header(base: base).locate)
    if marks[locate] == 0 { undirected &+= 1 }
    marks[locate] |= 2
    return nil
  }

  @_noLocks
  private mutating func order(_ base: UnsafeRawPointer) -> GlimpseRefusal? {
    let order = ITCH50.AddOrder(base: base)
    if order.side != 0x42 && order.side != 0x53 { return .sideInvalid }
    if order.shares == 0 { return .orderWithoutShares }
    if let reason = use(base, stockAt: 24) { return reason }
    switch references.insert(order.reference) {
    case .inserted: return nil
    case .present: return .duplicateOrder
    case .full: return .tooManyOrders
    }
  }

  @_noLocks
  private mutating func takeEnd(_ message: UnsafeRawBufferPointer) -> GlimpseStep {
    guard let base = message.baseAddress, message.count == Glimpse.endOfSnapshotBytes else {
      return refuse(.wrongLength)
    }
    guard let number = SoupNumber.parse(base + 1) else { return refuse(.endMalformed) }
    switch configuration.convention {
    case .firstNotContained:
      guard number > 0 else { return refuse(.endMalformed) }
      end.continueFrom = number
    case .lastContained:
      guard number < UInt64.max else { return refuse(.endMalformed) }
      end.continueFrom = number &+ 1
    }
    if configuration.requiresDirectory && undirected > 0 { return refuse(.instrumentUnknown) }
    end.snapshotSequence = number
    completed &+= 1
    messagesDelivered &+= 1
    state = .complete
    return .complete(end)
  }
}

/// Order references, in fixed memory: open addressing, at most two thirds full.
struct ReferenceSet: ~Copyable {
  enum Insertion {
    case inserted, present, full
  }

  private let slots: UnsafeMutablePointer<UInt64>
  private let slotCount: Int
  private let capacity: Int
  private var count = 0
  /// Slots below it are free again, of a set that is being given up.
  private var cleared = 0
  /// 0 marks a free slot, so the reference 0 is kept here.
  private var hasZero = false

  init(capacity: Int) {
    var slotCount = 16
    while slotCount < capacity + capacity / 2 { slotCount *= 2 }
    self.capacity = capacity
    self.slotCount = slotCount
    slots = .allocate(capacity: slotCount)
    slots.initialize(repeating: 0, count: slotCount)
  }

  deinit { slots.deallocate() }

  mutating func removeAll() {
    _ = removePiece(slots: slotCount)
  }

  /// Goes on to remove everything. What is in the set says nothing any more, and nothing may be inserted, until it is done.
  /// - Returns: whether it is
  mutating func removePiece(slots limit: Int) -> Bool {
    if count > 0 {
      let piece = min(limit, slotCount &- cleared)
      (slots + cleared).update(repeating: 0, count: piece)
      cleared &+= piece
      guard cleared == slotCount else { return false }
    }
    cleared = 0
    count = 0
    hasZero = false
    return true
  }

  @_noLocks
  func contains(_ reference: UInt64) -> Bool {
    if reference == 0 { return hasZero }
    let mask = slotCount &- 1
    let shift = UInt64(64 &- slotCount.trailingZeroBitCount)
    var slot = Int(truncatingIfNeeded: (reference &* 0x9E37_79B9_7F4A_7C15) &>> shift) & mask
    while slots[slot] != 0 {
      if slots[slot] == reference { return true }
      slot = (slot &+ 1) & mask
    }
    return false
  }

  @_noLocks
  mutating func insert(_ reference: UInt64) -> Insertion {
    if reference == 0 {
      if hasZero { return .present }
      if count >= capacity { return .full }
      hasZero = true
      count &+= 1
      return .inserted
    }
    let mask = slotCount &- 1
    let shift = UInt64(64 &- slotCount.trailingZeroBitCount)
    var slot = Int(truncatingIfNeeded: (reference &* 0x9E37_79B9_7F4A_7C15) &>> shift) & mask
    // Ends: at least a third of the slots is free.
    while slots[slot] != 0 {
      if slots[slot] == reference { return .present }
      slot = (slot &+ 1) & mask
    }
    if count >= capacity { return .full }
    slots[slot] = reference
    count &+= 1
    return .inserted
  }
}
