/// Lets messages out at a constant rate.
///
/// Numbers are sequence numbers: "permitted" is the last one that may be sent. Time that was lost (the
/// receivers were waited for) is not caught up with: at most 10 ms worth of messages leave at once.
public struct RatePacer: Sendable {
  /// Messages per second, at least 1; `nil` = no limit.
  public let rate: UInt64?
  private var baseTime: UInt64
  private var baseSequence: UInt64 = 0

  /// - Parameters:
  ///   - rate: messages per second, 1...1_000_000_000; `nil` = no limit
  ///   - now: nanoseconds on the clock that later calls use
  public init(rate: UInt64?, at now: UInt64) {
    self.rate = rate.map { min(max($0, 1), 1_000_000_000) }
    baseTime = now
  }

  /// Messages that may leave at once after a wait.
  private func burst(_ rate: UInt64) -> UInt64 { max(rate / 100, 64) }

  /// The last message that may be sent at `now`, when `sent` was the last one sent.
  public mutating func permitted(at now: UInt64, sent: UInt64) -> UInt64 {
    guard let rate else { return .max }
    let elapsed = now > baseTime ? now - baseTime : 0
    let (high, low) = elapsed.multipliedFullWidth(by: rate)
    // At most 10^9 a second, so the quotient is at most `elapsed`.
    let due = (1_000_000_000 as UInt64).dividingFullWidth((high, low)).quotient
    let permitted = baseSequence &+ due
    guard permitted > sent &+ burst(rate) else { return permitted }
    baseTime = now
    baseSequence = sent &+ burst(rate)
    return baseSequence
  }

  /// When `sequence` may be sent.
  public func time(for sequence: UInt64) -> UInt64 {
    guard let rate, sequence > baseSequence else { return baseTime }
    let (high, low) = (sequence - baseSequence).multipliedFullWidth(by: 1_000_000_000)
    guard high < rate else { return .max }
    return baseTime &+ rate.dividingFullWidth((high, low)).quotient &+ 1
  }
}

/// Keeps the venue from running away from processes that report the last message that they have handled.
///
/// Message s may be sent while s <= (lowest report) + window. A process that does not move for
/// ``stallLimit`` while it is waited for is left behind, counted, and followed again once it moves.
public struct FollowWindow: Sendable {
  private struct Page {
    var handled: UInt64 = 0
    var movedAt: UInt64
    var isFollowed = true
  }

  /// Messages that may be unhandled.
  public let messages: UInt64
  /// Nanoseconds.
  public let stallLimit: UInt64
  /// How often a process was left behind.
  public private(set) var timeouts: UInt64 = 0
  private var pages: [Page]

  /// - Parameters:
  ///   - pages: processes that are followed; with 0 nothing is ever held back
  ///   - messages: the window, at least 1
  public init(pages: Int, messages: UInt64, stallLimit: UInt64 = 2_000_000_000, at now: UInt64) {
    self.messages = max(messages, 1)
    self.stallLimit = stallLimit
    self.pages = Array(repeating: Page(movedAt: now), count: pages)
  }

  /// Takes what page number `index` says. A number that was never sent is another session's, and counts as 0.
  public mutating func report(_ handled: UInt64, page index: Int, sent: UInt64, at now: UInt64) {
    let handled = handled <= sent ? handled : 0
    guard handled != pages[index].handled else { return }
    pages[index] = Page(handled: handled, movedAt: now)
  }

  /// The lowest report of the processes that are followed; `UInt64.max` when none is.
  public var lowestHandled: UInt64 {
    var lowest = UInt64.max
    for page in pages where page.isFollowed { lowest = min(lowest, page.handled) }
    return lowest
  }

  /// The last message that may be sent.
  public var permitted: UInt64 {
    let (sum, overflow) = lowestHandled.addingReportingOverflow(messages)
    return overflow ? .max : sum
  }

  /// To be called when the venue did not have to wait: time in which nothing is asked of a process does not
  /// count against it.
  public mutating func wasOpen(at now: UInt64) {
    for index in pages.indices { pages[index].movedAt = now }
  }

  /// To be called while the venue waits for a report of at least `wanted`: leaves behind who does not move.
  public mutating func waits(for wanted: UInt64, at now: UInt64) {
    for index in pages.indices where pages[index].isFollowed && pages[index].handled < wanted {
      guard now > pages[index].movedAt, now - pages[index].movedAt >= stallLimit else { continue }
      pages[index].isFollowed = false
      timeouts &+= 1
    }
  }

  /// Whether page number `index` is followed.
  public func isFollowed(page index: Int) -> Bool { pages[index].isFollowed }
}

/// Bounds the packets of one line whose messages have not all been handled.
public struct PacketWindow: Sendable {
  private var ends: [UInt64]
  private var head = 0
  /// Packets in flight.
  public private(set) var count = 0

  /// - Parameter packets: the window, at least 1
  public init(packets: Int) { ends = Array(repeating: 0, count: max(packets, 1)) }

  /// Whether one more packet may be sent, when every message up to `handled` has been handled.
  public mutating func hasRoom(handled: UInt64) -> Bool {
    while count > 0, ends[head] <= handled {
      head = head + 1 == ends.count ? 0 : head + 1
      count -= 1
    }
    return count < ends.count
  }

  /// The sequence number that must be handled before there is room.
  public var oldestEnd: UInt64 { count > 0 ? ends[head] : 0 }

  /// Records a packet whose last message has the number `end`. There must be room.
  public mutating func add(end: UInt64) {
    precondition(count < ends.count)
    ends[(head + count) % ends.count] = end
    count += 1
  }
}
