/// Writes and reads of FIX's text in memory that is there already: nothing here allocates.
enum FIXText {
  static var separator: UInt8 { @_noLocks get { 0x01 } }
  /// `YYYYMMDD-HH:MM:SS.sss`, a UTCTimestamp with milliseconds.
  static var timestampBytes: Int { @_noLocks get { 21 } }

  /// Writes a number with leading zeros, `digits` characters; what does not fit loses its upper digits.
  @_noLocks
  static func writeNumber(_ number: UInt64, digits: Int, to target: UnsafeMutablePointer<UInt8>) {
    var rest = number
    var index = digits
    while index > 0 {
      index &-= 1
      target[index] = 0x30 &+ UInt8(truncatingIfNeeded: rest % 10)
      rest /= 10
    }
  }

  /// Writes the ``timestampBytes`` characters of an instant.
  /// - Parameter wall: nanoseconds since the Unix epoch
  @_noLocks
  static func writeTimestamp(_ wall: UInt64, to target: UnsafeMutablePointer<UInt8>) {
    let milliseconds = wall / 1_000_000
    let day = milliseconds / 86_400_000
    let inDay = milliseconds % 86_400_000
    // Days to a date of the Gregorian calendar, by eras of 400 years that begin with March.
    let shifted = day &+ 719_468
    let era = shifted / 146_097
    let dayOfEra = shifted % 146_097
    let yearOfEra = (dayOfEra &- dayOfEra / 1_460 &+ dayOfEra / 36_524 &- dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra &- (365 &* yearOfEra &+ yearOfEra / 4 &- yearOfEra / 100)
    let marchMonth = (5 &* dayOfYear &+ 2) / 153
    let dayOfMonth = dayOfYear &- (153 &* marchMonth &+ 2) / 5 &+ 1
    let month = marchMonth < 10 ? marchMonth &+ 3 : marchMonth &- 9
    let year = yearOfEra &+ era &* 400 &+ (month <= 2 ? 1 : 0)
    writeNumber(year, digits: 4, to: target)
    writeNumber(month, digits: 2, to: target + 4)
    writeNumber(dayOfMonth, digits: 2, to: target + 6)
    target[8] = 0x2D
    writeNumber(inDay / 3_600_000, digits: 2, to: target + 9)
    target[11] = 0x3A
    writeNumber(inDay / 60_000 % 60, digits: 2, to: target + 12)
    target[14] = 0x3A
    writeNumber(inDay / 1_000 % 60, digits: 2, to: target + 15)
    target[17] = 0x2E
    writeNumber(inDay % 1_000, digits: 3, to: target + 18)
  }

  /// The sum of bytes that a checksum is taken of.
  @_noLocks
  static func sum(_ base: UnsafePointer<UInt8>, _ count: Int) -> UInt8 {
    var sum: UInt8 = 0
    var index = 0
    while index < count {
      sum &+= base[index]
      index &+= 1
    }
    return sum
  }

  /// A number of digits alone, at most nineteen; nil for anything else.
  @_noLocks
  static func number(_ bytes: UnsafeRawBufferPointer) -> UInt64? {
    guard bytes.count > 0, bytes.count <= 19 else { return nil }
    var value: UInt64 = 0
    var index = 0
    while index < bytes.count {
      let digit = bytes[index] &- 0x30
      guard digit < 10 else { return nil }
      value = value &* 10 &+ UInt64(digit)
      index &+= 1
    }
    return value
  }

  /// Whether a value can stand in a field: not empty, printable ASCII.
  static func isValue(_ text: String) -> Bool {
    !text.isEmpty && text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F }
  }
}

/// A message under way to its buffer: fields are appended, then the header's length and the checksum are put around them.
struct FIXComposer: ~Copyable {
  static let capacity = 1_024
  private let body: UnsafeMutablePointer<UInt8>
  private(set) var count = 0
  /// A field did not fit; the message cannot be sent.
  private(set) var isOverfull = false

  init() {
    body = .allocate(capacity: Self.capacity)
    body.initialize(repeating: 0, count: Self.capacity)
  }

  deinit { body.deallocate() }

  mutating func begin() {
    count = 0
    isOverfull = false
  }

  mutating func append(_ tag: Int, _ text: String) {
    var text = text
    text.withUTF8 { append(tag, UnsafeRawBufferPointer($0)) }
  }

  mutating func append(_ tag: Int, _ number: UInt64) {
    append(tag, String(number))
  }

  mutating func appendTimestamp(_ tag: Int, _ wall: UInt64) {
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: FIXText.timestampBytes) { stamp in
      guard let base = stamp.baseAddress else { return }
      FIXText.writeTimestamp(wall, to: base)
      append(tag, UnsafeRawBufferPointer(stamp))
    }
  }

  mutating func append(_ tag: Int, _ value: UnsafeRawBufferPointer) {
    let tag = String(tag)
    guard count + tag.utf8.count + value.count + 2 <= Self.capacity else {
      isOverfull = true
      return
    }
    for byte in tag.utf8 { put(byte) }
    put(0x3D)
    for byte in value { put(byte) }
    put(FIXText.separator)
  }

  private mutating func put(_ byte: UInt8) {
    body[count] = byte
    count += 1
  }

  /// The whole message: `8=FIX.4.4|9=…|`, the fields, `10=…|`.
  func message() -> [UInt8] {
    var bytes = Array("8=FIX.4.4\u{1}9=\(count)\u{1}".utf8)
    bytes.append(contentsOf: UnsafeBufferPointer(start: body, count: count))
    let sum = bytes.reduce(UInt8(0)) { $0 &+ $1 }
    let digits = String(sum)
    bytes.append(contentsOf: "10=\(String(repeating: "0", count: 3 - digits.count))\(digits)\u{1}".utf8)
    return bytes
  }
}
