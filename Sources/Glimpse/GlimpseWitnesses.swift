import FeedWire

/// The newest messages that the lines have brought ahead of the stream: what they do to orders shows whether an image is
/// from where its number says. They are kept from one image to the next: what an image falsely claims not to contain may
/// have been on the lines before it was asked for.
struct GlimpseWitnesses: ~Copyable {
  private struct Witness {
    var sequence: UInt64 = 0
    /// The order that the message removes, and the one that it adds.
    var removed: UInt64?
    var added: UInt64?
  }

  static let capacity = 4_096
  private let entries: UnsafeMutablePointer<Witness>
  private var total = 0
  /// What lies below is out, and no witness any more: a single damaged message does not speak against every image to come.
  private var floor: UInt64 = 0

  init() {
    entries = .allocate(capacity: Self.capacity)
    entries.initialize(repeating: Witness(), count: Self.capacity)
  }

  deinit { entries.deallocate() }

  mutating func removeAll() { total = 0 }

  /// Those that an image for a range beginning at `first` is judged by: it and what lies behind it.
  mutating func keep(from first: UInt64) { floor = first }

  mutating func note(_ sequence: UInt64, _ message: UnsafeRawBufferPointer) {
    guard let base = message.baseAddress, ITCH50.validate(message) == nil else { return }
    var witness = Witness()
    witness.sequence = sequence
    switch base.load(as: UInt8.self) {
    case 0x41, 0x46: witness.added = ITCH50.AddOrder(base: base).reference
    case 0x44: witness.removed = ITCH50.OrderDelete(base: base).reference
    case 0x55:
      let replace = ITCH50.OrderReplace(base: base)
      witness.removed = replace.originalReference
      witness.added = replace.newReference
    default: return
    }
    entries[total % Self.capacity] = witness
    total &+= 1
  }

  /// The number of a message that an image of everything below `next` cannot agree with. References are unique for a
  /// day, so an image that contains a removal has not the order, and one that has an order contains its addition.
  func contradiction(next: UInt64, _ decoder: borrowing GlimpseDecoder) -> UInt64? {
    for index in 0..<min(total, Self.capacity) {
      let witness = entries[index]
      if witness.sequence < floor { continue }
      if witness.sequence < next {
        if let removed = witness.removed, decoder.hasOrder(removed) { return witness.sequence }
      } else if let added = witness.added, decoder.hasOrder(added) {
        return witness.sequence
      }
    }
    return nil
  }
}
