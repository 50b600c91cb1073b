import FeedWire

/// Consecutive messages of a session that travel in one datagram.
public struct PacketRange: Sendable, Equatable {
  /// Index of the first message, from 0; its sequence number is one more.
  public var first: Int
  /// Messages, at least 1.
  public var count: Int

  public init(first: Int, count: Int) {
    self.first = first
    self.count = count
  }

  /// Index one past the last message, and the sequence number of the last message.
  public var end: Int { first &+ count }
}

/// How a line cuts the messages into packets.
public enum CutPolicy: Sendable, Equatable {
  /// As many messages as fit.
  case full
  /// A size drawn for each packet: mostly 60 % to 100 % of the payload, one in sixteen a single message.
  case varied(seed: UInt64)
}

/// Cuts a session into MoldUDP64 packets. What one line carries is a pure function of the messages and the
/// policy; the lines' boundaries differ, as nothing on a real feed guarantees that they agree.
public struct Packetizer: Sendable {
  /// The largest UDP payload, header included.
  public let maximumPayload: Int
  /// The most messages in a packet.
  public let maximumMessages: Int
  private var random: SeededRandom?
  /// Index of the first message that is not in a packet yet.
  public private(set) var next = 0
  private var cut: PacketRange?

  /// - Parameters:
  ///   - maximumPayload: bytes; at least ``minimumPayload``, at most 65_507
  ///   - maximumMessages: at least 1
  public init(
    maximumPayload: Int = 1_400, maximumMessages: Int = MoldUDP64.maximumCount, policy: CutPolicy
  ) {
    precondition(maximumPayload >= Self.minimumPayload && maximumPayload <= 65_507)
    precondition(maximumMessages >= 1)
    self.maximumPayload = maximumPayload
    self.maximumMessages = min(maximumMessages, MoldUDP64.maximumCount)
    if case .varied(let seed) = policy { random = SeededRandom(seed: seed, stream: 0xC07) }
  }

  /// The smallest payload that holds every message of a ``MessageStore``.
  public static let minimumPayload =
    MoldUDP64.headerBytes + MoldUDP64.blockLengthBytes + MessageStore.maximumMessageBytes

  /// The packet that comes next, `nil` after the last message. The same until ``advance()`` is called.
  public mutating func peek(_ store: borrowing MessageStore) -> PacketRange? {
    if let cut { return cut }
    guard next < store.count else { return nil }
    var payload = maximumPayload
    var messages = maximumMessages
    if random != nil {
      let roll = random?.next() ?? 0
      if roll & 15 == 0 { messages = 1 }
      payload -= payload * Int(truncatingIfNeeded: (roll >> 32) & 0xFF) * 2 / (5 * 255)
    }
    cut = Self.cut(store, from: next, payload: payload, messages: messages)
    return cut
  }

  /// Goes past the packet that ``peek(_:)`` returned.
  public mutating func advance() {
    guard let cut else { return }
    next = cut.end
    self.cut = nil
  }

  /// As many messages from `first` on as fit into `payload` bytes and `messages`; always at least one.
  ///
  /// - Parameter first: index of a message that `store` has
  public static func cut(
    _ store: borrowing MessageStore, from first: Int, payload: Int, messages: Int
  ) -> PacketRange {
    let limit = store.offset(first) &+ payload &- MoldUDP64.headerBytes
    let lastEnd = first &+ min(max(messages, 1), store.count &- first)
    var end = first &+ 1
    while end < lastEnd, store.offset(end &+ 1) <= limit { end &+= 1 }
    return PacketRange(first: first, count: end &- first)
  }
}
