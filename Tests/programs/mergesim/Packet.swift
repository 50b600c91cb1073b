/// A datagram as the oracle reads it: MoldUDP64 framing once more, over an array.
struct Packet {
  enum Kind { case data, heartbeat, endOfSession }

  let kind: Kind
  let first: UInt64
  private(set) var messages: [[UInt8]] = []

  /// Nil if the datagram is not exactly one packet.
  init?(_ bytes: [UInt8]) {
    guard bytes.count >= 20 else { return nil }
    var number: UInt64 = 0
    for byte in bytes[10..<18] { number = number << 8 | UInt64(byte) }
    let count = Int(bytes[18]) << 8 | Int(bytes[19])
    guard number > 0 else { return nil }
    first = number
    if count == 0 || count == 0xFFFF {
      guard bytes.count == 20 else { return nil }
      kind = count == 0 ? .heartbeat : .endOfSession
      return
    }
    guard UInt64.max - number >= UInt64(count) else { return nil }
    kind = .data
    var at = 20
    for _ in 0..<count {
      guard at + 2 <= bytes.count else { return nil }
      let length = Int(bytes[at]) << 8 | Int(bytes[at + 1])
      guard at + 2 + length <= bytes.count else { return nil }
      messages.append(Array(bytes[at + 2..<at + 2 + length]))
      at += 2 + length
    }
    guard at == bytes.count else { return nil }
  }
}
