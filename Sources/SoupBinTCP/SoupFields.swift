/// The name of a session: ten characters. Padding on either side does not count.
@frozen
public struct SoupSession: Sendable, Equatable, Hashable {
  /// Bytes 0...7 and 8...9 in the wire's form (padded on the left), the first byte most significant.
  let leading: UInt64
  let trailing: UInt16

  /// Asks for whatever session is current.
  public static var current: SoupSession {
    @_noLocks get { SoupSession(leading: 0x2020_2020_2020_2020, trailing: 0x2020) }
  }

  @_noLocks
  init(leading: UInt64, trailing: UInt16) {
    self.leading = leading
    self.trailing = trailing
  }

  /// Reads ``SoupFraming/sessionBytes`` bytes, padded with spaces on either side; `source` needs no alignment.
  @_noLocks
  public init(from source: UnsafeRawPointer) {
    var leading = UInt64(bigEndian: source.loadUnaligned(as: UInt64.self))
    var trailing = UInt16(bigEndian: source.loadUnaligned(fromByteOffset: 8, as: UInt16.self))
    var shifts = 0
    while trailing & 0xFF == 0x20 && shifts < SoupFraming.sessionBytes {
      trailing = trailing &>> 8 | UInt16(truncatingIfNeeded: leading & 0xFF) &<< 8
      leading = leading &>> 8 | 0x20 &<< 56
      shifts &+= 1
    }
    self.init(leading: leading, trailing: trailing)
  }

  /// A session from text: at most 10 printable ASCII characters. `nil` for anything else.
  public init?(_ text: String) {
    let characters = Array(text.utf8)
    guard characters.count <= SoupFraming.sessionBytes,
      characters.allSatisfy({ $0 >= 0x20 && $0 < 0x7F })
    else { return nil }
    let bytes = characters + [UInt8](repeating: 0x20, count: SoupFraming.sessionBytes - characters.count)
    var session = SoupSession.current
    bytes.withUnsafeBytes { buffer in
      if let base = buffer.baseAddress { session = SoupSession(from: base) }
    }
    self = session
  }

  @_noLocks
  public static func == (left: Self, right: Self) -> Bool {
    left.leading == right.leading && left.trailing == right.trailing
  }

  /// Whether this names no session in particular.
  public var isCurrent: Bool { @_noLocks get { self == .current } }

  /// Writes ``SoupFraming/sessionBytes`` bytes, padded on the left; `target` needs no alignment.
  @_noLocks
  public func write(to target: UnsafeMutableRawPointer) {
    target.storeBytes(of: leading.bigEndian, as: UInt64.self)
    target.storeBytes(of: trailing.bigEndian, toByteOffset: 8, as: UInt16.self)
  }

  /// The name without padding; bytes that are not printable shown as `?`. Not for hot code.
  public var text: String {
    var bytes: [UInt8] = []
    for shift in stride(from: 56, through: 0, by: -8) {
      bytes.append(UInt8(truncatingIfNeeded: leading >> UInt64(shift)))
    }
    bytes.append(UInt8(truncatingIfNeeded: trailing >> 8))
    bytes.append(UInt8(truncatingIfNeeded: trailing))
    let padding = bytes.prefix { $0 == 0x20 }.count
    return String(
      decoding: bytes.dropFirst(padding).map { $0 >= 0x20 && $0 < 0x7F ? $0 : 0x3F }, as: UTF8.self)
  }
}

/// User name and password, padded on the right. Letters compare without regard to case, as the protocol has it.
@frozen
public struct SoupCredentials: Sendable, Equatable {
  // As numbers, the first byte most significant; the user name's two lowest bytes are 0.
  let username: UInt64
  let passwordLeading: UInt64
  let passwordTrailing: UInt16

  /// Up to 6 and up to 10 printable ASCII characters; both may be empty. `nil` for anything else.
  public init?(username: String, password: String) {
    func packed(_ text: String, _ width: Int) -> [UInt8]? {
      let bytes = Array(text.utf8)
      guard bytes.count <= width, bytes.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) else { return nil }
      return bytes + [UInt8](repeating: 0x20, count: width - bytes.count)
    }
    guard let name = packed(username, SoupFraming.usernameBytes),
      let word = packed(password, SoupFraming.passwordBytes)
    else { return nil }
    self.username = name.reduce(0) { $0 << 8 | UInt64($1) } << 16
    passwordLeading = word[..<8].reduce(0) { $0 << 8 | UInt64($1) }
    passwordTrailing = word[8...].reduce(0) { $0 << 8 | UInt16($1) }
  }

  /// Reads 16 bytes as they lie in a login request; `source` needs no alignment.
  @_noLocks
  init(from source: UnsafeRawPointer) {
    let name = UInt64(bigEndian: source.loadUnaligned(as: UInt64.self))
    username = name & ~0xFFFF
    passwordLeading = UInt64(
      bigEndian: source.loadUnaligned(fromByteOffset: SoupFraming.usernameBytes, as: UInt64.self))
    passwordTrailing = UInt16(
      bigEndian: source.loadUnaligned(fromByteOffset: SoupFraming.usernameBytes &+ 8, as: UInt16.self))
  }

  /// Writes 16 bytes; `target` needs no alignment.
  @_noLocks
  func write(to target: UnsafeMutableRawPointer) {
    // The password overwrites the two bytes that the name does not have.
    target.storeBytes(of: username.bigEndian, as: UInt64.self)
    target.storeBytes(
      of: passwordLeading.bigEndian, toByteOffset: SoupFraming.usernameBytes, as: UInt64.self)
    target.storeBytes(
      of: passwordTrailing.bigEndian, toByteOffset: SoupFraming.usernameBytes &+ 8, as: UInt16.self)
  }

  @_noLocks
  public static func == (left: Self, right: Self) -> Bool {
    folded(left.username) == folded(right.username)
      && folded(left.passwordLeading) == folded(right.passwordLeading)
      && folded(UInt64(left.passwordTrailing)) == folded(UInt64(right.passwordTrailing))
  }

  /// Every small letter among the eight bytes made a capital.
  @_noLocks
  private static func folded(_ word: UInt64) -> UInt64 {
    var result: UInt64 = 0
    var shift: UInt64 = 0
    while shift < 64 {
      let byte = (word &>> shift) & 0xFF
      result |= (byte >= 0x61 && byte <= 0x7A ? byte &- 0x20 : byte) &<< shift
      shift &+= 8
    }
    return result
  }
}

/// A number as twenty ASCII characters.
public enum SoupNumber {
  /// The number in twenty characters: digits with any padding of spaces in front and behind, and zeros in front.
  /// `nil` when there is no digit, anything else among them, or more than 2^64 - 1.
  /// - Parameter source: ``SoupFraming/numberBytes`` readable bytes; needs no alignment
  @_noLocks
  public static func parse(_ source: UnsafeRawPointer) -> UInt64? {
    var index = 0
    while index < SoupFraming.numberBytes && source.load(fromByteOffset: index, as: UInt8.self) == 0x20 {
      index &+= 1
    }
    let firstDigit = index
    var value: UInt64 = 0
    while index < SoupFraming.numberBytes {
      let byte = source.load(fromByteOffset: index, as: UInt8.self)
      guard byte >= 0x30 && byte <= 0x39 else { break }
      let (tenfold, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = tenfold.addingReportingOverflow(UInt64(byte &- 0x30))
      if overflow || carry { return nil }
      value = sum
      index &+= 1
    }
    if index == firstDigit { return nil }
    while index < SoupFraming.numberBytes {
      if source.load(fromByteOffset: index, as: UInt8.self) != 0x20 { return nil }
      index &+= 1
    }
    return value
  }

  /// Writes the number right-justified, padded with spaces.
  /// - Parameter target: ``SoupFraming/numberBytes`` writable bytes
  @_noLocks
  public static func write(_ number: UInt64, to target: UnsafeMutableRawPointer) {
    var left = number
    var index = SoupFraming.numberBytes &- 1
    while index >= 0 {
      let isDigit = left > 0 || index == SoupFraming.numberBytes &- 1
      let byte: UInt8 = isDigit ? 0x30 &+ UInt8(truncatingIfNeeded: left % 10) : 0x20
      target.storeBytes(of: byte, toByteOffset: index, as: UInt8.self)
      left /= 10
      index &-= 1
    }
  }
}
