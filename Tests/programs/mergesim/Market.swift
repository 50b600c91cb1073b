/// What the simulated venue's messages do to orders, and the GLIMPSE image of any instant: written byte by byte from the
/// specifications, without the product's own writers.
enum Market {
  /// A message, and what it does.
  struct Message {
    var bytes: [UInt8]
    var added: UInt64?
    var removed: UInt64?
    /// Of an added order: what an image says of it.
    var side: UInt8 = 0
    var locate = 0
    var shares: UInt32 = 0
    var price: UInt32 = 0
  }

  static let sessions = 4
  static let messages = 512
  private static let locates = 3
  /// By session, then by number; number 0 is not one.
  private static let days: [[Message]] = (0..<sessions).map(day)

  /// The message, for the numbers of which a day is made.
  static func message(_ session: Int, _ number: UInt64) -> [UInt8]? {
    guard days.indices.contains(session), number > 0, number <= UInt64(messages) else { return nil }
    return days[session][Int(number)].bytes
  }

  private static func day(_ session: Int) -> [Message] {
    var all = [Message(bytes: [])]
    var live: [Message] = []
    for number in 1...UInt64(messages) {
      let mixed = Dice.mix(number &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(session))
      let reference = UInt64(session) * 1_000_000 + number
      var message = Message(bytes: [])
      switch (mixed & 15, mixed >> 40 & 15) {
      case (0, _): break
      case (_, 0..<5):
        message.added = reference
        message.side = mixed >> 4 & 1 == 0 ? 0x42 : 0x53
        message.locate = 1 + Int(mixed >> 8 & 0xFF) % locates
        message.shares = 1 + UInt32(mixed >> 16 & 0xFF)
        message.price = 10_000 + UInt32(mixed >> 24 & 0xFFF)
        message.bytes = order(message, number)
        live.append(message)
      case (_, 5..<8) where !live.isEmpty:
        let gone = live.remove(at: Int(mixed >> 8 & 0xFFFF) % live.count)
        message.removed = gone.added
        message.bytes = head("D", gone.locate, number) + big(gone.added ?? 0, 8)
      case (_, 8..<10) where !live.isEmpty:
        let gone = live.remove(at: Int(mixed >> 8 & 0xFFFF) % live.count)
        message = gone
        message.removed = gone.added
        message.added = reference
        message.shares = 1 + UInt32(mixed >> 32 & 0xFF)
        message.bytes =
          head("U", gone.locate, number) + big(gone.added ?? 0, 8) + big(reference, 8)
          + big(UInt64(message.shares), 4) + big(UInt64(message.price), 4)
        live.append(message)
      default:
        // No message of any type.
        let length = 8 + Int((mixed >> 8) % 34)
        message.bytes = (0..<length).map {
          UInt8(truncatingIfNeeded: mixed >> UInt64($0 % 8 * 8)) &+ UInt8($0)
        }
        message.bytes[0] |= 0x80
      }
      all.append(message)
    }
    return all
  }

  /// The messages of an image of everything below `next`, without its end.
  static func image(_ session: Int, below next: UInt64) -> [[UInt8]] {
    guard days.indices.contains(session) else { return [] }
    var live: [(number: UInt64, message: Message)] = []
    for number in 1..<max(1, min(next, UInt64(messages) + 1)) {
      let message = days[session][Int(number)]
      if let removed = message.removed { live.removeAll { $0.message.added == removed } }
      if message.added != nil { live.append((number, message)) }
    }
    var image = [head("S", 0, 1) + [0x51]]
    for locate in 1...locates {
      image.append(
        head("R", locate, 1) + stock(locate) + [0x51, 0x4E] + big(100, 4) + Array("NC  PNN1N".utf8)
          + big(0, 4)
          + [0x4E])
      image.append(head("H", locate, 1) + stock(locate) + Array("T     ".utf8))
    }
    for (number, message) in live { image.append(order(message, number)) }
    return image
  }

  static func endOfSnapshot(_ number: UInt64) -> [UInt8] { [0x47] + text(String(number), 20) }

  private static func order(_ message: Message, _ number: UInt64) -> [UInt8] {
    head("A", message.locate, number) + big(message.added ?? 0, 8) + [message.side]
      + big(UInt64(message.shares), 4) + stock(message.locate) + big(UInt64(message.price), 4)
  }

  private static func head(_ type: Character, _ locate: Int, _ time: UInt64) -> [UInt8] {
    Array(String(type).utf8) + big(UInt64(locate), 2) + [0, 0] + big(time, 6)
  }

  private static func stock(_ locate: Int) -> [UInt8] { Array("STOCK\(locate)  ".utf8) }

  static func big(_ value: UInt64, _ bytes: Int) -> [UInt8] {
    (0..<bytes).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * (bytes - 1 - $0))) }
  }

  /// On the right of so many places.
  static func text(_ text: String, _ places: Int) -> [UInt8] {
    Array(repeating: 0x20, count: max(0, places - text.utf8.count)) + Array(text.utf8)
  }
}
