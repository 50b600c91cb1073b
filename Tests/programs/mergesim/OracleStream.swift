/// A SoupBinTCP session with a GLIMPSE image in it, as the oracle reads it: from the specifications, over arrays, and
/// from whatever bytes were received. What is wrong with it is not told apart: it fails.
struct OracleStream {
  enum Item: Equatable {
    case message([UInt8])
    /// The image is whole: it contains everything below.
    case end(next: UInt64)
    case failure
  }

  private let session: [UInt8]
  private let rules: ImageRules
  /// When the connection came to stand, and what was last received.
  private(set) var stoodAt: UInt64?
  private(set) var receivedAt: UInt64 = 0
  private(set) var isLoggedIn = false
  private var bytes: [UInt8] = []
  private var at = 0
  private var isOver = false
  private var isClosed = false
  private(set) var items: [Item] = []
  // Of the image.
  private var orders: Set<[UInt8]> = []
  private var symbols: [Int: [UInt8]] = [:]
  private var listed: Set<Int> = []
  private var used: Set<Int> = []

  init(session: [UInt8], rules: ImageRules) {
    self.session = session
    self.rules = rules
  }

  mutating func stands(_ now: UInt64) { (stoodAt, receivedAt) = (now, now) }

  mutating func take() -> Item? { items.isEmpty ? nil : items.removeFirst() }

  /// Orders of the image so far.
  func has(_ reference: [UInt8]) -> Bool { orders.contains(reference) }

  mutating func receive(_ more: [UInt8], _ now: UInt64) {
    guard !isOver else { return }
    bytes += more
    receivedAt = now
    read()
  }

  /// The peer sends nothing more: what is here is all.
  mutating func close() {
    isClosed = true
    read()
  }

  private mutating func fail() {
    items.append(.failure)
    isOver = true
  }

  private mutating func read() {
    while !isOver {
      guard bytes.count - at >= 2 else { break }
      let length = Int(bytes[at]) << 8 | Int(bytes[at + 1])
      if length == 0 || length > 4_097 { return fail() }
      guard bytes.count - at >= 2 + length else { break }
      let packet = Array(bytes[at + 2..<at + 2 + length])
      at += 2 + length
      packetComes(packet[0], Array(packet.dropFirst()))
    }
    if !isOver, isClosed { fail() }
  }

  private mutating func packetComes(_ type: UInt8, _ payload: [UInt8]) {
    switch Character(UnicodeScalar(type)) {
    case "H": if !payload.isEmpty { fail() }
    case "+": break
    case "A":
      guard !isLoggedIn, payload.count == 30, Self.number(payload[10...]) == 1,
        Self.trimmed(payload[..<10]) == Self.trimmed(session[...])
      else { return fail() }
      isLoggedIn = true
    case "S": if isLoggedIn { message(payload) } else { fail() }
    case "U": if !isLoggedIn { fail() }
    default: fail()
    }
  }

  private static func trimmed(_ text: ArraySlice<UInt8>) -> [UInt8] {
    guard let first = text.firstIndex(where: { $0 != 0x20 }), let last = text.lastIndex(where: { $0 != 0x20 })
    else { return [] }
    return Array(text[first...last])
  }

  /// Digits with spaces on either side.
  static func number(_ text: ArraySlice<UInt8>) -> UInt64? {
    let digits = trimmed(text)
    guard !digits.isEmpty, digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    return UInt64(String(decoding: digits, as: UTF8.self))
  }

  // MARK: The image

  private static func value(_ bytes: ArraySlice<UInt8>) -> Int { bytes.reduce(0) { $0 << 8 | Int($1) } }

  private mutating func message(_ message: [UInt8]) {
    guard let type = message.first.map({ Character(UnicodeScalar($0)) }) else { return fail() }
    if type == "G" { return end(message) }
    let lengths: [Character: Int] = ["S": 12, "R": 39, "H": 25, "Y": 20, "h": 21, "N": 20, "A": 36, "F": 40]
    guard lengths[type] == message.count else { return fail() }
    if type != "S" {
      let locate = Self.value(message[1..<3])
      let isOrder = type == "A" || type == "F"
      let symbol = Array(isOrder ? message[24..<32] : message[11..<19])
      // A symbol of zeros is none.
      let known = symbols[locate] ?? symbol
      guard locate != 0, known == symbol || known.allSatisfy({ $0 == 0 }) else { return fail() }
      symbols[locate] = symbol
      if type == "R" { listed.insert(locate) } else { used.insert(locate) }
      if isOrder {
        guard message[19] == 0x42 || message[19] == 0x53, Self.value(message[20..<24]) > 0,
          orders.count < rules.orders, orders.insert(Array(message[11..<19])).inserted
        else { return fail() }
      }
    }
    items.append(.message(message))
  }

  private mutating func end(_ message: [UInt8]) {
    guard message.count == 21, let number = Self.number(message[1...]), used.isSubset(of: listed) else {
      return fail()
    }
    if rules.endIsLast ? number == .max : number == 0 { return fail() }
    items.append(.end(next: rules.endIsLast ? number + 1 : number))
    isOver = true
  }
}
