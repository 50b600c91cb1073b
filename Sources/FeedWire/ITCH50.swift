/// Nasdaq TotalView-ITCH 5.0: which messages there are and whether bytes are one.
///
/// Everything is big-endian and unaligned. Prices of four bytes count 1/10000, prices of eight bytes
/// 1/100000000; times are nanoseconds since midnight of the venue; texts are ASCII, left-justified and
/// padded with spaces. The views in ITCH50Messages.swift read fields in place.
public enum ITCH50 {
  /// Bytes of the header that every message starts with.
  public static let headerBytes = 11
  /// Bytes of the longest message (``MessageType/netOrderImbalance``).
  public static let messageBytesMax = 50

  /// Message types by their letter.
  @frozen
  public enum MessageType: UInt8, Sendable, CaseIterable {
    case systemEvent = 0x53  // S
    case stockDirectory = 0x52  // R
    case stockTradingAction = 0x48  // H
    case shortSaleRestriction = 0x59  // Y
    case marketParticipantPosition = 0x4C  // L
    case marketWideBreakerLevels = 0x56  // V
    case marketWideBreakerStatus = 0x57  // W
    case quotingPeriodUpdate = 0x4B  // K
    case auctionCollar = 0x4A  // J
    case operationalHalt = 0x68  // h
    case addOrder = 0x41  // A
    case addOrderAttributed = 0x46  // F
    case orderExecuted = 0x45  // E
    case orderExecutedWithPrice = 0x43  // C
    case orderCancel = 0x58  // X
    case orderDelete = 0x44  // D
    case orderReplace = 0x55  // U
    case trade = 0x50  // P
    case crossTrade = 0x51  // Q
    case brokenTrade = 0x42  // B
    case netOrderImbalance = 0x49  // I
    case retailInterest = 0x4E  // N
    case directListing = 0x4F  // O
  }

  /// Whether a message of this type adds an order: A, F.
  @inlinable
  public static func addsOrder(_ type: UInt8) -> Bool { type == 0x41 || type == 0x46 }

  /// Whether a message of this type adds, changes or removes an order: A, F, D, U, E, X, C.
  @inlinable
  public static func isAboutOrders(_ type: UInt8) -> Bool {
    switch type {
    case 0x41, 0x46, 0x44, 0x55, 0x45, 0x58, 0x43: true
    default: false
    }
  }

  /// Bytes of a message of this type; 0 when ITCH 5.0 has no such type.
  @inlinable
  public static func expectedLength(_ type: UInt8) -> Int {
    switch type {
    case 0x41: 36  // A
    case 0x44: 19  // D
    case 0x55: 35  // U
    case 0x45: 31  // E
    case 0x58: 23  // X
    case 0x46: 40  // F
    case 0x43: 36  // C
    case 0x50: 44  // P
    case 0x49: 50  // I
    case 0x53: 12  // S
    case 0x52: 39  // R
    case 0x48: 25  // H
    case 0x59: 20  // Y
    case 0x4C: 26  // L
    case 0x56: 35  // V
    case 0x57: 12  // W
    case 0x4B: 28  // K
    case 0x4A: 35  // J
    case 0x68: 21  // h
    case 0x51: 40  // Q
    case 0x42: 19  // B
    case 0x4E: 20  // N
    case 0x4F: 48  // O
    default: 0
    }
  }

  /// Whether bytes are one message: nil when they are, else why not. Field values are not looked at.
  @inlinable
  public static func validate(_ bytes: UnsafeRawBufferPointer) -> ITCH50Malformed? {
    guard let base = bytes.baseAddress, bytes.count > 0 else { return .empty }
    let type = base.load(as: UInt8.self)
    let expected = expectedLength(type)
    if expected == bytes.count { return nil }
    return expected == 0
      ? .unknownType(type) : .wrongLength(type: type, expected: expected, actual: bytes.count)
  }

  /// The text of an eight-byte field as a view returned it, without the padding. Bytes outside printable
  /// ASCII become `?`.
  public static func text(_ field: UInt64) -> String {
    var text = ""
    withUnsafeBytes(of: field) { bytes in
      for byte in bytes {
        text.unicodeScalars.append((0x20...0x7E).contains(byte) ? Unicode.Scalar(byte) : "?")
      }
    }
    while text.last == " " { text.removeLast() }
    return text
  }

  /// A text as an eight-byte field, padded with spaces; nil when it is longer or not printable ASCII.
  public static func field(_ text: some StringProtocol) -> UInt64? {
    guard text.utf8.count <= 8, text.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) else { return nil }
    var field: UInt64 = 0
    withUnsafeMutableBytes(of: &field) { bytes in
      for index in bytes.indices { bytes[index] = 0x20 }
      for (index, byte) in text.utf8.enumerated() { bytes[index] = byte }
    }
    return field
  }

  // MARK: - Loads; the caller vouches for the range

  @inlinable @inline(__always)
  static func uint8(_ base: UnsafeRawPointer, _ offset: Int) -> UInt8 {
    base.load(fromByteOffset: offset, as: UInt8.self)
  }

  @inlinable @inline(__always)
  static func uint16(_ base: UnsafeRawPointer, _ offset: Int) -> UInt16 {
    UInt16(bigEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
  }

  @inlinable @inline(__always)
  static func uint32(_ base: UnsafeRawPointer, _ offset: Int) -> UInt32 {
    UInt32(bigEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
  }

  /// Six bytes, read as two and four so that nothing beyond them is touched.
  @inlinable @inline(__always)
  static func uint48(_ base: UnsafeRawPointer, _ offset: Int) -> UInt64 {
    UInt64(uint16(base, offset)) &<< 32 | UInt64(uint32(base, offset &+ 2))
  }

  @inlinable @inline(__always)
  static func uint64(_ base: UnsafeRawPointer, _ offset: Int) -> UInt64 {
    UInt64(bigEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }

  /// Eight bytes as they lie in memory.
  @inlinable @inline(__always)
  static func alpha8(_ base: UnsafeRawPointer, _ offset: Int) -> UInt64 {
    base.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
  }

  /// Four bytes as they lie in memory.
  @inlinable @inline(__always)
  static func alpha4(_ base: UnsafeRawPointer, _ offset: Int) -> UInt32 {
    base.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
  }
}

/// Why bytes are not an ITCH 5.0 message.
public enum ITCH50Malformed: Error, Sendable, Equatable, CustomStringConvertible {
  /// There are no bytes.
  case empty
  /// ITCH 5.0 has no message with this first byte.
  case unknownType(UInt8)
  /// A message of this type has another length, in bytes.
  case wrongLength(type: UInt8, expected: Int, actual: Int)

  public var description: String {
    switch self {
    case .empty: "the message is empty"
    case .unknownType(let type): "no message type \(Self.letter(type))"
    case .wrongLength(let type, let expected, let actual):
      "a message of type \(Self.letter(type)) has \(expected) bytes, not \(actual)"
    }
  }

  private static func letter(_ type: UInt8) -> String {
    let code = String(type, radix: 16)
    return (0x21...0x7E).contains(type) ? "'\(Character(Unicode.Scalar(type)))'" : "0x\(code)"
  }
}
