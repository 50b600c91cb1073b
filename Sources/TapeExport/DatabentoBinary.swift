/// One record of DBN's schema `mbo`: 56 bytes, little-endian.
///
/// ```
/// offset  size  field
///      0     1  length        of the record in words of 4 bytes: 14
///      1     1  rtype         0xA0
///      2     2  publisher
///      4     4  instrument
///      8     8  eventTime     ns since 1970
///     16     8  order         0 = none
///     24     8  price         1/1_000_000_000; all ones but the sign = none
///     32     4  size
///     36     1  flags
///     37     1  channel
///     38     1  action
///     39     1  side
///     40     8  receiveTime   ns since 1970
///     48     4  sending delta 0: not known
///     52     4  sequence
/// ```
public struct DatabentoOrderRecord: Equatable, Sendable {
  public enum Action: UInt8, Sendable {
    case add = 0x41  // A
    /// Takes `size` away from an order.
    case cancel = 0x43  // C
    /// What the aggressor traded; changes no book.
    case trade = 0x54  // T
    /// What the resting order traded; changes no book, the cancel behind it does.
    case fill = 0x46  // F
    /// The instrument's book is empty from here on.
    case clear = 0x52  // R
  }

  public enum Side: UInt8, Sendable {
    case bid = 0x42  // B
    case ask = 0x41  // A
    case none = 0x4E  // N

    public var opposite: Side {
      switch self {
      case .bid: .ask
      case .ask: .bid
      case .none: .none
      }
    }
  }

  public enum Flag {
    /// The last record of its message for this instrument.
    public static let last: UInt8 = 0x80
    /// Part of an image of the book.
    public static let snapshot: UInt8 = 0x20
    public static let badReceiveTime: UInt8 = 0x08
    /// Messages were lost before it.
    public static let maybeBadBook: UInt8 = 0x04
  }

  public static let bytes = 56
  public static let noPrice = Int64.max

  public var instrument: UInt32
  /// ns since 1970.
  public var eventTime: UInt64
  /// 0 = none.
  public var order: UInt64
  /// 1/1,000,000,000; ``noPrice`` = none.
  public var price: Int64
  public var size: UInt32
  /// ``Flag``.
  public var flags: UInt8
  public var action: Action
  public var side: Side
  /// ns since 1970.
  public var receiveTime: UInt64
  public var sequence: UInt32

  public init(
    instrument: UInt32, eventTime: UInt64, order: UInt64, price: Int64, size: UInt32, flags: UInt8,
    action: Action,
    side: Side, receiveTime: UInt64, sequence: UInt32
  ) {
    self.instrument = instrument
    self.eventTime = eventTime
    self.order = order
    self.price = price
    self.size = size
    self.flags = flags
    self.action = action
    self.side = side
    self.receiveTime = receiveTime
    self.sequence = sequence
  }

  /// Appends the record's ``bytes``.
  public func append(to output: inout [UInt8], publisher: UInt16, channel: UInt8) {
    output.append(UInt8(Self.bytes / 4))
    output.append(0xA0)
    output.append(littleEndian: publisher)
    output.append(littleEndian: instrument)
    output.append(littleEndian: eventTime)
    output.append(littleEndian: order)
    output.append(littleEndian: price)
    output.append(littleEndian: size)
    output.append(flags)
    output.append(channel)
    output.append(action.rawValue)
    output.append(side.rawValue)
    output.append(littleEndian: receiveTime)
    output.append(littleEndian: Int32(0))
    output.append(littleEndian: sequence)
  }
}

/// What stands at the beginning of a DBN file of version 2: what it holds, and which symbol is which instrument.
public struct DatabentoMetadata: Equatable, Sendable {
  public struct Mapping: Equatable, Sendable {
    /// Up to ``DatabentoMetadata/symbolBytes`` - 1 of ASCII; what is longer is cut off.
    public var symbol: String
    public var instrument: UInt32

    public init(symbol: String, instrument: UInt32) {
      self.symbol = symbol
      self.instrument = instrument
    }
  }

  /// Bytes of every symbol, zeros behind it.
  public static let symbolBytes = 71
  private static let nanosecondsOfDay: UInt64 = 86_400_000_000_000

  /// Up to 16 bytes of ASCII.
  public var dataset: String
  /// Receive times: of the first record, and behind the last one. ns since 1970.
  public var start: UInt64
  public var end: UInt64
  public var mappings: [Mapping]

  public init(dataset: String, start: UInt64, end: UInt64, mappings: [Mapping]) {
    self.dataset = dataset
    self.start = start
    self.end = end
    self.mappings = mappings
  }

  /// The file's first bytes; records follow at once. A mapping is true on all days from `start` to `end`, UTC.
  public func encoded() -> [UInt8] {
    var body: [UInt8] = []
    body.append(text: dataset, bytes: 16)
    body.append(littleEndian: UInt16(0))  // the schema: mbo
    body.append(littleEndian: start)
    body.append(littleEndian: end)
    body.append(littleEndian: UInt64(0))  // no limit of records
    body.append(1)  // symbols as they come in: the venue's
    body.append(0)  // … and in the records: instruments' numbers
    body.append(0)  // no sending times behind the records
    body.append(littleEndian: UInt16(Self.symbolBytes))
    body.append(contentsOf: [UInt8](repeating: 0, count: 53))
    body.append(littleEndian: UInt32(0))  // no definition of the schema
    body.append(littleEndian: UInt32(truncatingIfNeeded: mappings.count))
    for mapping in mappings { body.append(text: mapping.symbol, bytes: Self.symbolBytes) }
    body.append(littleEndian: UInt32(0))  // no symbol is known for some days only …
    body.append(littleEndian: UInt32(0))  // … or not at all
    body.append(littleEndian: UInt32(truncatingIfNeeded: mappings.count))
    let first = Self.date(start / Self.nanosecondsOfDay)
    let behind = Self.date((max(end, 1) - 1) / Self.nanosecondsOfDay + 1)
    for mapping in mappings {
      body.append(text: mapping.symbol, bytes: Self.symbolBytes)
      body.append(littleEndian: UInt32(1))  // intervals
      body.append(littleEndian: first)
      body.append(littleEndian: behind)
      body.append(text: String(mapping.instrument), bytes: Self.symbolBytes)
    }
    var output: [UInt8] = [0x44, 0x42, 0x4E, 2]  // DBN, version 2
    output.append(littleEndian: UInt32(truncatingIfNeeded: body.count))
    return output + body
  }

  /// A day, counted from 1970-01-01, as the number YYYYMMDD of the Gregorian calendar.
  static func date(_ day: UInt64) -> UInt32 {
    // Counted from 0000-03-01, a year ends with its leap day, and 400 years have 146,097 days.
    let shifted = min(day, 2_000_000) + 719_468
    let era = shifted / 146_097
    let dayOfEra = shifted % 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let dayOfMonth = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    let year = era * 400 + yearOfEra + (month <= 2 ? 1 : 0)
    return UInt32(truncatingIfNeeded: year * 10_000 + month * 100 + dayOfMonth)
  }
}

extension [UInt8] {
  mutating func append(littleEndian value: some FixedWidthInteger) {
    Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
  }

  /// A field of `bytes` bytes: ASCII, at least one zero behind it (but a text that fills the field has none).
  mutating func append(text: String, bytes: Int) {
    let kept = text.utf8.prefix(bytes)
    append(contentsOf: kept)
    append(contentsOf: [UInt8](repeating: 0, count: bytes - kept.count))
  }
}
