/// An IPv4 address.
public struct IPv4Address: Hashable, Sendable, CustomStringConvertible {
  /// The address in host byte order: 127.0.0.1 is `0x7F00_0001`.
  public let value: UInt32

  /// An address from its number in host byte order.
  public init(value: UInt32) {
    self.value = value
  }

  /// Reads four decimal numbers 0...255 joined by dots, without leading zeros (which other readers
  /// take for octal) and without anything around them; `nil` for every other text.
  public init?(_ text: String) {
    let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard parts.count == 4 else { return nil }
    var value: UInt32 = 0
    for part in parts {
      guard (1...3).contains(part.count), part.count == 1 || part.first != UInt8(ascii: "0") else {
        return nil
      }
      var octet: UInt32 = 0
      for digit in part {
        guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
        octet = octet * 10 + UInt32(digit - UInt8(ascii: "0"))
      }
      guard octet <= 255 else { return nil }
      value = value << 8 | octet
    }
    self.value = value
  }

  /// Whether the address is a multicast group: 224.0.0.0 to 239.255.255.255.
  public var isMulticast: Bool { value >> 28 == 0xE }

  /// Whether the address is 0.0.0.0.
  public var isUnspecified: Bool { value == 0 }

  /// Whether the address can belong to one host: neither multicast, reserved nor 0.0.0.0.
  public var isUnicast: Bool { !isUnspecified && value >> 28 < 0xE }

  /// Four decimal numbers joined by dots.
  public var description: String {
    "\(value >> 24).\(value >> 16 & 255).\(value >> 8 & 255).\(value & 255)"
  }
}
