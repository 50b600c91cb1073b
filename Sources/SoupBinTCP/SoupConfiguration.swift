/// Sizes and times of a session machine, at either end. Times are nanoseconds on the clock whose instants the
/// caller passes. All memory follows from it and is taken once, in `init`.
public struct SoupConfiguration: Equatable, Sendable {
  /// Time without sending after which a heartbeat is due: 1 ms...1 h.
  public var heartbeatNanoseconds: UInt64 = 1_000_000_000
  /// Time without receiving anything after which a peer that is logged in counts as dead: more than the heartbeat's,
  /// at most 1 h.
  public var silenceNanoseconds: UInt64 = 15_000_000_000
  /// Time for the login's answer (at a server: for the login), from the connection on: 1 ms...1 h.
  public var loginTimeoutNanoseconds: UInt64 = 15_000_000_000
  /// The longest payload that is taken or sent: 46...65,534 bytes. A longer packet fails the connection.
  public var maximumPayload = 4_096
  /// Memory for received bytes: room for at least two of the longest packets, at most 64 MiB.
  public var inputBytes = 65_536
  /// Memory for bytes to be sent: room for at least one of the longest packets, at most 64 MiB.
  public var outputBytes = 16_384

  public init() {}

  /// The first value that is out of its range, or nil. The machines trap unless this is nil: call it on
  /// everything that a user wrote.
  public func problem() -> SoupConfigurationError? {
    let hour: UInt64 = 3_600_000_000_000
    let times: ClosedRange<UInt64> = 1_000_000...hour
    if !times.contains(heartbeatNanoseconds) { return .heartbeatNanoseconds }
    if silenceNanoseconds <= heartbeatNanoseconds || silenceNanoseconds > hour { return .silenceNanoseconds }
    if !times.contains(loginTimeoutNanoseconds) { return .loginTimeoutNanoseconds }
    if !(SoupFraming.loginRequestBytes...SoupFraming.maximumPayload).contains(maximumPayload) {
      return .maximumPayload
    }
    let packet = SoupFraming.headerBytes + maximumPayload
    if inputBytes < 2 * packet || inputBytes > 64 << 20 { return .inputBytes }
    if outputBytes < packet || outputBytes > 64 << 20 { return .outputBytes }
    return nil
  }
}

/// Which value of a ``SoupConfiguration`` is out of the range that its comment gives.
public enum SoupConfigurationError: String, Error, Sendable {
  case heartbeatNanoseconds
  case silenceNanoseconds
  case loginTimeoutNanoseconds
  case maximumPayload
  case inputBytes
  case outputBytes
}

/// What both ends of a connection keep: buffers, timers, counters, and how it failed.
struct SoupLink: ~Copyable {
  var input: SoupInput
  var output: SoupOutput
  var counters = SoupCounters()
  let failureCounts: UnsafeMutablePointer<UInt64>
  let maximumPayload: Int
  let heartbeat: UInt64
  let silence: UInt64
  let loginTimeout: UInt64

  var openedAt: UInt64 = 0
  var lastReceivedAt: UInt64 = 0
  var lastSentAt: UInt64 = 0
  var peerHasClosed = false
  /// Nothing is taken or sent any more.
  var isDown = true
  /// The failure that is still to be told.
  var untold: SoupFailure?

  init(_ configuration: SoupConfiguration) {
    precondition(configuration.problem() == nil, "call problem() on a configuration before using it")
    input = SoupInput(capacity: configuration.inputBytes)
    output = SoupOutput(capacity: configuration.outputBytes)
    failureCounts = .allocate(capacity: SoupFailure.allCases.count)
    failureCounts.initialize(repeating: 0, count: SoupFailure.allCases.count)
    maximumPayload = configuration.maximumPayload
    heartbeat = configuration.heartbeatNanoseconds
    silence = configuration.silenceNanoseconds
    loginTimeout = configuration.loginTimeoutNanoseconds
  }

  deinit { failureCounts.deallocate() }

  /// A new connection: what is left of the one before is dropped.
  @_noLocks
  mutating func open(_ now: UInt64) {
    discardInput()
    dropOutput()
    openedAt = now
    lastReceivedAt = now
    lastSentAt = now
    peerHasClosed = false
    isDown = false
    untold = nil
  }

  @_noLocks
  mutating func fail(_ failure: SoupFailure) {
    counters.failures &+= 1
    failureCounts[failure.index] &+= 1
    untold = failure
    isDown = true
    discardInput()
    dropOutput()
  }

  @_noLocks
  mutating func discardInput() {
    counters.bytesDiscarded &+= UInt64(input.count)
    input.removeAll()
  }

  @_noLocks
  mutating func dropOutput() {
    let count = output.pending.count
    counters.bytesDropped &+= UInt64(count)
    output.remove(count)
  }

  @_noLocks
  mutating func received(_ count: Int, _ now: UInt64) {
    input.commit(count)
    counters.bytesReceived &+= UInt64(count)
    if count > 0 { lastReceivedAt = now }
    if isDown { discardInput() }
  }

  /// Takes as many of the bytes as there is room for, and returns how many.
  @_noLocks
  mutating func receive(_ bytes: UnsafeRawBufferPointer, _ now: UInt64) -> Int {
    let room = input.writable()
    let count = min(room.count, bytes.count)
    if count > 0, let target = room.baseAddress, let source = bytes.baseAddress {
      target.copyMemory(from: source, byteCount: count)
    }
    received(count, now)
    return count
  }

  @_noLocks
  mutating func sent(_ count: Int, _ now: UInt64) {
    output.remove(count)
    counters.bytesSent &+= UInt64(count)
    if count > 0 { lastSentAt = now }
  }

  /// Room for a packet, its header written: where its payload goes. nil: no room now.
  @_noLocks
  mutating func append(_ type: UInt8, payload: Int) -> UnsafeMutableRawPointer? {
    guard !isDown, payload <= maximumPayload,
      let target = output.append(SoupFraming.headerBytes &+ payload)
    else { return nil }
    SoupFraming.writeHeader(type, payload: payload, to: target)
    counters.bytesQueued &+= UInt64(SoupFraming.headerBytes &+ payload)
    return target + SoupFraming.headerBytes
  }

  /// Room for a packet with these bytes. False: no room now.
  @_noLocks
  mutating func append(_ type: UInt8, _ payload: UnsafeRawBufferPointer) -> Bool {
    guard let target = append(type, payload: payload.count) else { return false }
    if let source = payload.baseAddress { target.copyMemory(from: source, byteCount: payload.count) }
    return true
  }

  /// A heartbeat if one is due, and the failure if the peer is silent for too long.
  /// - Returns: when to look again
  @_noLocks
  mutating func tick(_ now: UInt64, heartbeatType: UInt8, isLoggedIn: Bool) -> UInt64 {
    if isDown { return .max }
    if !isLoggedIn {
      if now > openedAt && now &- openedAt >= loginTimeout {
        fail(.loginTimeout)
        return now
      }
      return soupLater(openedAt, by: loginTimeout)
    }
    if now > lastReceivedAt && now &- lastReceivedAt >= silence {
      fail(.silence)
      return now
    }
    let silentAt = soupLater(lastReceivedAt, by: silence)
    // Bytes that wait to be sent say as much as a heartbeat.
    guard output.isEmpty else { return silentAt }
    if now > lastSentAt && now &- lastSentAt >= heartbeat {
      if append(heartbeatType, payload: 0) != nil { counters.heartbeatsSent &+= 1 }
      lastSentAt = now
    }
    return min(silentAt, soupLater(lastSentAt, by: heartbeat))
  }
}

/// An instant later, without wrapping round.
@_noLocks
func soupLater(_ instant: UInt64, by nanoseconds: UInt64) -> UInt64 {
  let (sum, overflow) = instant.addingReportingOverflow(nanoseconds)
  return overflow ? .max : sum
}
