/// Received bytes that are not used up yet, in fixed memory, and the messages that they make.
struct FIXInput: ~Copyable {
  static let capacity = 16_384
  /// What stands in front of every message's body length.
  private static let prefix = Array("8=FIX.4.4\u{1}9=".utf8)
  /// `10=ccc|`
  private static let trailerBytes = 7

  enum Front {
    /// Not all of it is here yet.
    case incomplete
    /// The fields between the body length and the checksum. They stay where they are until ``drop(_:)``.
    case message(UnsafeRawBufferPointer, bytes: Int)
    /// What lies here is no message; the next may begin behind these bytes.
    case garbled(bytes: Int)
    /// A message that does not fit here, or another version of the protocol.
    case impossible
  }

  private let base: UnsafeMutablePointer<UInt8>
  private var start = 0
  private var end = 0

  init() {
    base = .allocate(capacity: Self.capacity)
    base.initialize(repeating: 0, count: Self.capacity)
  }

  deinit { base.deallocate() }

  mutating func clear() {
    start = 0
    end = 0
  }

  /// Room for more bytes; not empty while no whole message waits.
  mutating func writable() -> UnsafeMutableRawBufferPointer {
    if start > 0 {
      base.update(from: base + start, count: end - start)
      end -= start
      start = 0
    }
    return UnsafeMutableRawBufferPointer(start: base + end, count: Self.capacity - end)
  }

  mutating func wrote(_ count: Int) { end = min(end + max(0, count), Self.capacity) }
  mutating func drop(_ count: Int) { start = min(start + count, end) }

  /// What lies at the front.
  func front() -> Front {
    let count = end - start
    let front = base + start
    for index in 0..<min(count, Self.prefix.count) where front[index] != Self.prefix[index] {
      // A message of another version cannot be skipped into the next one by its length.
      return index < 2 ? .garbled(bytes: distanceToNext()) : .impossible
    }
    guard count > Self.prefix.count else { return .incomplete }
    var at = Self.prefix.count
    var length = 0
    while at < count, front[at] != FIXText.separator {
      let digit = Int(front[at]) - 0x30
      guard 0..<10 ~= digit, length < 100_000 else { return .garbled(bytes: distanceToNext()) }
      length = length * 10 + digit
      at += 1
    }
    guard at < count else { return at < Self.prefix.count + 8 ? .incomplete : .impossible }
    at += 1
    let whole = at + length + Self.trailerBytes
    if whole > Self.capacity { return .impossible }
    guard count >= whole else { return .incomplete }
    let trailer = front + at + length
    guard length > 0, trailer[-1] == FIXText.separator, trailer[0] == 0x31, trailer[1] == 0x30,
      trailer[2] == 0x3D, trailer[6] == FIXText.separator,
      let told = FIXText.number(UnsafeRawBufferPointer(start: trailer + 3, count: 3)),
      told == UInt64(FIXText.sum(front, at + length))
    else { return .garbled(bytes: distanceToNext()) }
    return .message(UnsafeRawBufferPointer(start: front + at, count: length), bytes: whole)
  }

  /// Bytes up to the next place where a message may begin (`8=`), at least one.
  private func distanceToNext() -> Int {
    var at = start + 1
    while at + 1 < end {
      if base[at] == 0x38, base[at + 1] == 0x3D, base[at - 1] == FIXText.separator { return at - start }
      at += 1
    }
    return max(1, end - start)
  }
}

/// The fields of one received message that a session acts on.
struct FIXMessage {
  var type: UInt8 = 0
  var sequence: UInt64 = 0
  var isPossibleDuplicate = false
  var resetsSequence = false
  var isGapFill = false
  var sender = UnsafeRawBufferPointer(start: nil, count: 0)
  var target = UnsafeRawBufferPointer(start: nil, count: 0)
  var testRequest = UnsafeRawBufferPointer(start: nil, count: 0)
  var text = UnsafeRawBufferPointer(start: nil, count: 0)
  var beginSequence: UInt64?
  var newSequence: UInt64?
  var referenceSequence: UInt64?
  var massCancelResponse: UInt8?

  /// Reads the fields; nil when one that every message has is missing or malformed.
  init?(_ fields: UnsafeRawBufferPointer) {
    var at = 0
    while at < fields.count {
      guard let equals = Self.index(of: 0x3D, fields, from: at),
        let stop = Self.index(of: FIXText.separator, fields, from: equals + 1),
        let tag = FIXText.number(UnsafeRawBufferPointer(rebasing: fields[at..<equals]))
      else { return nil }
      let value = UnsafeRawBufferPointer(rebasing: fields[equals + 1..<stop])
      // The type comes first, and none is longer than two characters; those of two are nothing to a session.
      if at == 0 {
        guard tag == 35, value.count > 0 else { return nil }
        type = value.count == 1 ? value[0] : 0
      } else if !take(tag, value) {
        return nil
      }
      at = stop + 1
    }
    guard sequence > 0, sender.count > 0, target.count > 0 else { return nil }
  }

  /// False for a value that cannot be.
  private mutating func take(_ tag: UInt64, _ value: UnsafeRawBufferPointer) -> Bool {
    switch tag {
    case 34:
      guard let number = FIXText.number(value) else { return false }
      sequence = number
    case 7:
      guard let number = FIXText.number(value) else { return false }
      beginSequence = number
    case 36:
      guard let number = FIXText.number(value) else { return false }
      newSequence = number
    case 45: referenceSequence = FIXText.number(value)
    case 43: isPossibleDuplicate = Self.isYes(value)
    case 123: isGapFill = Self.isYes(value)
    case 141: resetsSequence = Self.isYes(value)
    case 49: sender = value
    case 56: target = value
    case 58: text = value
    case 112: testRequest = value
    case 531: massCancelResponse = value.count == 1 ? value[0] : nil
    default: break
    }
    return true
  }

  private static func isYes(_ value: UnsafeRawBufferPointer) -> Bool { value.count == 1 && value[0] == 0x59 }

  private static func index(of byte: UInt8, _ fields: UnsafeRawBufferPointer, from start: Int) -> Int? {
    var at = start
    while at < fields.count {
      if fields[at] == byte { return at }
      at += 1
    }
    return nil
  }
}
