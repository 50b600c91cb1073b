import FeedWire
import StageRecords

/// Keeps the messages of an image of the market until it is whole, and what its application needs. All memory is taken
/// in `init`. Not thread-safe.
public struct MarketImageLoader: ~Copyable {
  /// Most changes under one number; see ``BookBuilder/beginImage(_:first:last:)``.
  public static let changesPerNumberLimit = 1_000
  /// Cells that the events of one number can need.
  public static let eventCells = 8_192

  let arena: UnsafeMutableRawPointer
  private let arenaBytes: Int
  private(set) var usedBytes = 0
  private var messageCount: UInt64 = 0
  private var firstNumber: UInt64 = 0
  private var isOpen = false
  private(set) var references: ImageReferences
  private var orders = 0
  private let orderLimit: Int
  /// References of orders that the books have and the image has not.
  let gone: UnsafeMutablePointer<UInt64>
  let goneLimit: Int

  // Where its application stands.
  var goneCount = 0
  var nextGone = 0
  var nextOffset = 0
  var first: UInt64 = 0
  var last: UInt64 = 0
  var number: UInt64 = 0
  var changesPerNumber = 2
  var isDone = true
  var rejectedBefore: UInt64 = 0
  var scratch = EventBatch()
  /// Room for a message that is made up.
  let message: UnsafeMutableRawPointer

  /// - Parameters:
  ///   - orders: orders that an image can have, and the books; 0 = there are no images
  ///   - instruments: instruments that it can have
  public init(orders: Int, instruments: Int) {
    orderLimit = orders
    goneLimit = orders
    // An order, attributed or not, and up to eight messages for each instrument.
    arenaBytes = orders == 0 ? 8 : orders * 40 + instruments * 256 + 64
    arena = .allocate(byteCount: arenaBytes, alignment: 64)
    arena.initializeMemory(as: UInt8.self, repeating: 0, count: arenaBytes)
    references = ImageReferences(capacity: orders)
    gone = .allocate(capacity: max(1, orders))
    gone.initialize(repeating: 0, count: max(1, orders))
    message = .allocate(byteCount: 64, alignment: 8)
    message.initializeMemory(as: UInt8.self, repeating: 0, count: 64)
  }

  deinit {
    arena.deallocate()
    references.slots.deallocate()
    gone.deallocate()
    message.deallocate()
  }

  /// An image for the place of the messages from `first` on begins. What there was of another one is void.
  public mutating func begin(first: UInt64) {
    usedBytes = 0
    messageCount = 0
    firstNumber = first
    isOpen = true
    if orders > 0 { references.removeAll() }
    orders = 0
  }

  /// Another record than one of the image has come: the image is void.
  public mutating func abandon() { isOpen = false }

  /// One message of the image. One that is out of turn, none that states something, or without room makes it void.
  public mutating func add(first: UInt64, number: UInt64, _ message: UnsafeRawBufferPointer) {
    guard isOpen else { return }
    isOpen = false
    guard first == firstNumber, number == messageCount &+ 1, let base = message.baseAddress,
      message.count <= arenaBytes - usedBytes, Self.isState(message)
    else { return }
    let type = base.load(as: UInt8.self)
    if ITCH50.addsOrder(type) {
      guard orders < orderLimit, references.insert(ITCH50.AddOrder(base: base).reference) else { return }
      orders &+= 1
    }
    (arena + usedBytes).copyMemory(from: base, byteCount: message.count)
    usedBytes &+= message.count
    messageCount = number
    isOpen = true
  }

  /// Whether the image that takes the place of the messages from `first` on is here with all its `count` messages.
  /// It is not taken up again.
  mutating func close(first: UInt64, count: UInt64) -> Bool {
    defer { isOpen = false }
    return isOpen && first == firstNumber && count == messageCount
  }

  /// S R H Y h N A F, of the right length.
  private static func isState(_ message: UnsafeRawBufferPointer) -> Bool {
    guard let type = message.first, ITCH50.expectedLength(type) == message.count else { return false }
    return ITCH50.addsOrder(type) || StateMemory.isState(type)
  }
}

/// References of orders: open addressing, at most half full. A copy is the same table.
struct ImageReferences {
  let slots: UnsafeMutablePointer<UInt64>
  private let slotCount: Int
  /// 0 marks a free slot, so the reference 0 is kept here.
  private var hasZero = false

  init(capacity: Int) {
    var slotCount = 2
    while slotCount < 2 * capacity { slotCount *= 2 }
    self.slotCount = slotCount
    slots = .allocate(capacity: slotCount)
    slots.initialize(repeating: 0, count: slotCount)
  }

  mutating func removeAll() {
    slots.update(repeating: 0, count: slotCount)
    hasZero = false
  }

  func contains(_ reference: UInt64) -> Bool {
    reference == 0 ? hasZero : slots[place(of: reference)] == reference
  }

  /// False if it is there already.
  mutating func insert(_ reference: UInt64) -> Bool {
    if contains(reference) { return false }
    if reference == 0 { hasZero = true } else { slots[place(of: reference)] = reference }
    return true
  }

  /// Where it lies, or would.
  private func place(of reference: UInt64) -> Int {
    let mask = slotCount &- 1
    let shift = UInt64(64 &- slotCount.trailingZeroBitCount)
    var slot = Int(truncatingIfNeeded: (reference &* 0x9E37_79B9_7F4A_7C15) &>> shift) & mask
    while slots[slot] != 0, slots[slot] != reference { slot = (slot &+ 1) & mask }
    return slot
  }
}

/// What the last message of each kind said of each instrument, as a hash without its time: an image repeats most of it,
/// and what it repeats is no news.
struct StateMemory: ~Copyable {
  static let kinds = 8
  /// Of each instrument one for each kind; 0 = nothing was said.
  private let hashes: UnsafeMutablePointer<UInt32>
  let isOn: Bool

  init(isOn: Bool) {
    self.isOn = isOn
    let count = isOn ? InstrumentTable.capacity * Self.kinds : 1
    hashes = .allocate(capacity: count)
    hashes.initialize(repeating: 0, count: count)
  }

  deinit { hashes.deallocate() }

  /// S R H Y h N
  static func isState(_ type: UInt8) -> Bool {
    switch type {
    case 0x53, 0x52, 0x48, 0x59, 0x68, 0x4E: true
    default: false
    }
  }

  /// Notes what a whole message of one of these types says.
  @inline(__always)
  func note(_ type: UInt8, _ base: UnsafeRawPointer) {
    if isOn, Self.isState(type) { hashes[place(type, base)] = hash(type, base) }
  }

  /// Whether the message says what the last one of its kind said.
  func isKnown(_ type: UInt8, _ base: UnsafeRawPointer) -> Bool {
    isOn && hashes[place(type, base)] == hash(type, base)
  }

  /// Whether anything was said about an instrument.
  func isKnown(_ instrument: UInt32) -> Bool {
    let first = Int(instrument) &* Self.kinds
    return isOn && (first..<first + Self.kinds).contains { hashes[$0] != 0 }
  }

  /// An instrument's hashes, two in each word; none where they are not kept.
  func words(_ instrument: UInt32) -> [UInt64] {
    guard isOn else { return [] }
    let first = Int(instrument) &* Self.kinds
    return stride(from: first, to: first + Self.kinds, by: 2).map {
      UInt64(hashes[$0]) | UInt64(hashes[$0 + 1]) << 32
    }
  }

  /// Takes one of an instrument's words back.
  func restore(_ instrument: UInt32, word index: Int, _ word: UInt64) {
    let first = Int(instrument) &* Self.kinds &+ 2 &* index
    hashes[first] = UInt32(truncatingIfNeeded: word)
    hashes[first + 1] = UInt32(truncatingIfNeeded: word >> 32)
  }

  private func place(_ type: UInt8, _ base: UnsafeRawPointer) -> Int {
    let kind =
      switch type {
      case 0x53: 0
      case 0x52: 1
      case 0x48: 2
      case 0x59: 3
      case 0x4E: 4
      default:
        switch ITCH50.OperationalHalt(base: base).market {
        case 0x51: 5
        case 0x42: 6
        default: 7
        }
      }
    return Int(ITCH50.Header(base: base).locate) &* Self.kinds &+ kind
  }

  /// Of all but tracking number and time. Never 0.
  private func hash(_ type: UInt8, _ base: UnsafeRawPointer) -> UInt32 {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    var offset = 0
    while offset < ITCH50.expectedLength(type) {
      if offset < 3 || offset >= ITCH50.headerBytes {
        hash = (hash ^ UInt64(base.load(fromByteOffset: offset, as: UInt8.self))) &* 0x0000_0100_0000_01B3
      }
      offset &+= 1
    }
    return UInt32(truncatingIfNeeded: hash ^ hash &>> 32) | 1
  }
}
