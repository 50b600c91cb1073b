/// Block of ``FrameTemplate/snapshotBegin``.
///
/// ```
/// offset  size  field
///      0     4  subscription
///      4     4  instrument
///      8     8  orders        live orders that follow; 0 where the subscription did not ask for orders
///     16     8  lastSequence  message of the instrument's newest event of any kind; 0 = none, or not said
/// ```
public struct SnapshotBegin: Sendable, Equatable {
  public var subscription: UInt32
  public var instrument: UInt32
  public var orders: UInt64
  public var lastSequence: UInt64
  static let bytes = 24
  /// What the first publishers of protocol 1 sent.
  static let bytesMin = 16

  public init(subscription: UInt32, instrument: UInt32, orders: UInt64, lastSequence: UInt64 = 0) {
    self.subscription = subscription
    self.instrument = instrument
    self.orders = orders
    self.lastSequence = lastSequence
  }

  init(from source: UnsafeRawPointer, length: Int) {
    subscription = UInt32(littleEndian: source.loadUnaligned(as: UInt32.self))
    instrument = UInt32(littleEndian: source.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
    orders = UInt64(littleEndian: source.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    lastSequence =
      length < Self.bytes
      ? 0 : UInt64(littleEndian: source.loadUnaligned(fromByteOffset: 16, as: UInt64.self))
  }

  func write(to target: UnsafeMutableRawPointer) {
    target.storeBytes(of: subscription.littleEndian, as: UInt32.self)
    target.storeBytes(of: instrument.littleEndian, toByteOffset: 4, as: UInt32.self)
    target.storeBytes(of: orders.littleEndian, toByteOffset: 8, as: UInt64.self)
    target.storeBytes(of: lastSequence.littleEndian, toByteOffset: 16, as: UInt64.self)
  }
}

/// Block of ``FrameTemplate/snapshotEnd``: what was sent, so that the client can count.
///
/// ```
/// offset  size  field
///      0     4  subscription
///      4     4  instrument
///      8     8  orders        live orders that were sent
///     16     8  entries       entries of every kind that were sent since snapshotBegin
/// ```
public struct SnapshotEnd: Sendable, Equatable {
  public var subscription: UInt32
  public var instrument: UInt32
  public var orders: UInt64
  public var entries: UInt64
  static let bytes = 24

  public init(subscription: UInt32, instrument: UInt32, orders: UInt64, entries: UInt64) {
    self.subscription = subscription
    self.instrument = instrument
    self.orders = orders
    self.entries = entries
  }

  init(from source: UnsafeRawPointer) {
    let begin = SnapshotBegin(from: source, length: SnapshotBegin.bytesMin)
    self.init(
      subscription: begin.subscription, instrument: begin.instrument, orders: begin.orders,
      entries: UInt64(littleEndian: source.loadUnaligned(fromByteOffset: 16, as: UInt64.self)))
  }

  func write(to target: UnsafeMutableRawPointer) {
    SnapshotBegin(subscription: subscription, instrument: instrument, orders: orders).write(to: target)
    target.storeBytes(of: entries.littleEndian, toByteOffset: 16, as: UInt64.self)
  }
}

/// Block of ``FrameTemplate/heartbeat``.
///
/// ```
/// offset  size  field
///      0     8  serverTime    ns since the Unix epoch, when the heartbeat was made
///      8     1  input         InputState
///      9     7  zero
/// ```
public struct Heartbeat: Sendable, Equatable {
  public var serverTime: UInt64
  public var input: UInt8
  static let bytes = 16

  public init(serverTime: UInt64, input: UInt8) {
    self.serverTime = serverTime
    self.input = input
  }

  init(from source: UnsafeRawPointer) {
    serverTime = UInt64(littleEndian: source.loadUnaligned(as: UInt64.self))
    input = source.load(fromByteOffset: 8, as: UInt8.self)
  }

  func write(to target: UnsafeMutableRawPointer) {
    target.storeBytes(of: serverTime.littleEndian, as: UInt64.self)
    target.storeBytes(of: UInt64(input).littleEndian, toByteOffset: 8, as: UInt64.self)
  }
}

/// Block of ``FrameTemplate/status``, sent when the state of the publisher's input changes.
///
/// ```
/// offset  size  field
///      0     1  input         InputState
///      1     7  zero
///      8     8  serverTime    ns since the Unix epoch
///     16     4  scope         the instrument concerned; 0 = the whole channel, the only scope so far
///     20     4  zero
///     24     8  first         newest message when the state began that is in force or, with live, has ended
///     32     8  last          with live: newest message when that state ended; otherwise 0
/// ```
public struct InputStatus: Sendable, Equatable {
  public var input: UInt8
  public var serverTime: UInt64
  public var scope: UInt32
  public var first: UInt64
  public var last: UInt64
  static let bytes = 40
  /// What the first publishers of protocol 1 sent: everything behind it reads as 0.
  static let bytesMin = 16

  public init(input: UInt8, serverTime: UInt64, scope: UInt32 = 0, first: UInt64 = 0, last: UInt64 = 0) {
    self.input = input
    self.serverTime = serverTime
    self.scope = scope
    self.first = first
    self.last = last
  }

  init(from source: UnsafeRawPointer, length: Int) {
    input = source.load(as: UInt8.self)
    serverTime = UInt64(littleEndian: source.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    scope = 0
    first = 0
    last = 0
    guard length >= Self.bytes else { return }
    scope = UInt32(littleEndian: source.loadUnaligned(fromByteOffset: 16, as: UInt32.self))
    first = UInt64(littleEndian: source.loadUnaligned(fromByteOffset: 24, as: UInt64.self))
    last = UInt64(littleEndian: source.loadUnaligned(fromByteOffset: 32, as: UInt64.self))
  }

  func write(to target: UnsafeMutableRawPointer) {
    target.storeBytes(of: UInt64(input).littleEndian, as: UInt64.self)
    target.storeBytes(of: serverTime.littleEndian, toByteOffset: 8, as: UInt64.self)
    target.storeBytes(of: UInt64(scope).littleEndian, toByteOffset: 16, as: UInt64.self)
    target.storeBytes(of: first.littleEndian, toByteOffset: 24, as: UInt64.self)
    target.storeBytes(of: last.littleEndian, toByteOffset: 32, as: UInt64.self)
  }
}

/// Block of ``FrameTemplate/replay``.
///
/// ```
/// offset  size  field
///      0     4  subscription
///      4     4  zero
///      8     8  after         `through` of this subscription's replay frame before; its cursor in the first
///     16     8  through       message of the last entry: everything in front of this message has come
/// ```
public struct ReplayBlock: Sendable, Equatable {
  public var subscription: UInt32
  public var after: UInt64
  public var through: UInt64
  static let bytes = 24
  static let throughOffset = 16

  public init(subscription: UInt32, after: UInt64, through: UInt64) {
    self.subscription = subscription
    self.after = after
    self.through = through
  }

  init(from source: UnsafeRawPointer) {
    subscription = UInt32(littleEndian: source.loadUnaligned(as: UInt32.self))
    after = UInt64(littleEndian: source.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    through = UInt64(littleEndian: source.loadUnaligned(fromByteOffset: 16, as: UInt64.self))
  }

  func write(to target: UnsafeMutableRawPointer) {
    target.storeBytes(of: UInt64(subscription).littleEndian, as: UInt64.self)
    target.storeBytes(of: after.littleEndian, toByteOffset: 8, as: UInt64.self)
    target.storeBytes(of: through.littleEndian, toByteOffset: Self.throughOffset, as: UInt64.self)
  }
}

/// Block of ``FrameTemplate/checksum``: CRC-32C over the best ``levelsMax`` bid levels from the best down, then the
/// best ask levels from the best up; for each the price (i64) and the size (u64), little-endian.
///
/// ```
/// offset  size  field
///      0     4  subscription
///      4     4  instrument
///      8     4  crc32c
///     12     2  bids          levels of each side that it covers
///     14     2  asks
/// ```
public struct BookChecksum: Sendable, Equatable {
  public var subscription: UInt32
  public var instrument: UInt32
  public var crc32c: UInt32
  public var bids: UInt16
  public var asks: UInt16
  static let bytes = 16
  /// Levels of one side that are covered at most.
  public static let levelsMax = 10

  public init(subscription: UInt32, instrument: UInt32, crc32c: UInt32, bids: UInt16, asks: UInt16) {
    self.subscription = subscription
    self.instrument = instrument
    self.crc32c = crc32c
    self.bids = bids
    self.asks = asks
  }

  init(from source: UnsafeRawPointer) {
    subscription = UInt32(littleEndian: source.loadUnaligned(as: UInt32.self))
    instrument = UInt32(littleEndian: source.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
    crc32c = UInt32(littleEndian: source.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
    bids = UInt16(littleEndian: source.loadUnaligned(fromByteOffset: 12, as: UInt16.self))
    asks = UInt16(littleEndian: source.loadUnaligned(fromByteOffset: 14, as: UInt16.self))
  }

  func write(to target: UnsafeMutableRawPointer) {
    target.storeBytes(of: subscription.littleEndian, as: UInt32.self)
    target.storeBytes(of: instrument.littleEndian, toByteOffset: 4, as: UInt32.self)
    target.storeBytes(of: crc32c.littleEndian, toByteOffset: 8, as: UInt32.self)
    target.storeBytes(of: bids.littleEndian, toByteOffset: 12, as: UInt16.self)
    target.storeBytes(of: asks.littleEndian, toByteOffset: 14, as: UInt16.self)
  }
}

/// What the publisher knows about the stage in front of it. Trust in a book needs `live` here and a trust
/// event that does not say stale.
public enum InputState: UInt8, Sendable, CaseIterable {
  /// The book stage runs and the stream is up to date.
  case live = 0
  /// The book stage is silent, dead or being replaced: books may be out of date.
  case stale = 1
  /// The publisher is reading its way up to the present.
  case catchingUp = 2
  /// A stage of the stream is down and will not come back: nothing follows.
  case halted = 3

  /// The name used in every text and JSON output.
  public var name: String {
    switch self {
    case .live: "live"
    case .stale: "stale"
    case .catchingUp: "catching up"
    case .halted: "halted"
    }
  }
}
