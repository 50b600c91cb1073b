/// What a ``SoupClientSession`` has to say. Bytes are valid until its next mutating call.
@frozen
public enum SoupClientEvent {
  /// Nothing more until further bytes or time come.
  case idle
  /// The login was accepted; the first sequenced message will have this number.
  case accepted(session: SoupSession, nextSequence: UInt64)
  /// The login was refused. The connection is of no more use.
  case rejected(SoupRejectReason)
  /// A sequenced message: 0...`maximumPayload` bytes.
  case sequenced(sequence: UInt64, message: UnsafeRawBufferPointer)
  case unsequenced(message: UnsafeRawBufferPointer)
  /// Text for a human; to be ignored.
  case debug(text: UnsafeRawBufferPointer)
  /// The session is over; there is no message with this number or a higher one.
  case endOfSession(nextSequence: UInt64)
  /// The connection has to be closed; told once. ``SoupClientSession/begin(session:sequence:now:)`` starts
  /// anew on another one.
  case failed(SoupFailure)
}

/// The client's side of SoupBinTCP 3.00.
///
/// A pure core: received bytes (at any split) and instants in, events and bytes to send out. No socket, no
/// clock; memory is taken in `init` and never after. Not thread-safe.
///
/// ```
/// client.begin(session: .current, sequence: 1, now: now)          // the TCP connection stands
/// loop:
///   let room = client.writableInput()                             // or: client.receive(bytes, now:)
///   client.committed(recv(socket, room…), now: now)               // client.peerClosed() when that returns 0
///   while true { switch client.next() { case .idle: break loop… case .sequenced(…): … } }
///   let wakeAt = client.tick(now: now)                            // heartbeats, timeouts
///   client.sent(send(socket, client.pendingOutput…), now: now)
/// ```
///
/// Take every event before the next `writableInput()`: what is not taken stays in the buffer, and when that is
/// full there is no room to read into, which is TCP's own back pressure.
public struct SoupClientSession: ~Copyable {
  /// Where the session stands.
  @frozen
  public enum Phase: UInt8, Sendable {
    /// Not begun.
    case idle = 0
    /// Waiting for the login's answer.
    case loggingIn = 1
    case established = 2
    /// The login was refused.
    case rejected = 3
    /// The end of the session was received.
    case ended = 4
    case failed = 5

    /// The peer may not close the connection now.
    var isOpen: Bool {
      @_noLocks get {
        switch self {
        case .loggingIn, .established: true
        default: false
        }
      }
    }
    var isLoggedIn: Bool {
      @_noLocks get {
        switch self {
        case .established, .ended: true
        default: false
        }
      }
    }
  }

  private var link: SoupLink
  private let credentials: SoupCredentials
  public private(set) var phase = Phase.idle
  /// Session asked for, then the one that was accepted.
  public private(set) var session = SoupSession.current
  /// Number asked for, then the number of the next sequenced message.
  public private(set) var nextSequence: UInt64 = 0

  /// - Parameter configuration: its ``SoupConfiguration/problem()`` must be nil
  public init(_ configuration: SoupConfiguration, credentials: SoupCredentials) {
    link = SoupLink(configuration)
    self.credentials = credentials
  }

  /// Logs in on a connection that has just come to stand. Everything of the one before is forgotten but the
  /// counters.
  /// - Parameters:
  ///   - session: `.current`, or the only one that is good enough
  ///   - sequence: the first message wanted, from 1; 0 = from the most recent one on
  @_noLocks
  public mutating func begin(session: SoupSession, sequence: UInt64, now: UInt64) {
    link.open(now)
    self.session = session
    nextSequence = sequence
    phase = .loggingIn
    link.counters.logins &+= 1
    // The output is empty and takes the longest payload, which is not shorter than a login.
    guard let target = link.append(0x4C, payload: SoupFraming.loginRequestBytes) else { return }
    credentials.write(to: target)
    session.write(to: target + 16)
    SoupNumber.write(sequence, to: target + 26)
  }

  // MARK: Bytes in

  /// Where received bytes go. Empty when the buffer is full of packets that were not taken.
  @_noLocks
  public mutating func writableInput() -> UnsafeMutableRawBufferPointer { link.input.writable() }

  /// `count` bytes were received into ``writableInput()``; more than it holds is a programming error.
  @_noLocks
  public mutating func committed(_ count: Int, now: UInt64) { link.received(count, now) }

  /// Takes as many of the bytes as there is room for.
  /// - Returns: how many; the rest has to be offered again once events were taken
  @_noLocks
  public mutating func receive(_ bytes: UnsafeRawBufferPointer, now: UInt64) -> Int {
    link.receive(bytes, now)
  }

  /// The peer will send nothing more. What it sent before is still told, then the failure that this is
  /// unless the session has ended.
  @_noLocks
  public mutating func peerClosed() { link.peerHasClosed = true }

  /// Gives the connection up for a reason that only the caller knows, without an event.
  @_noLocks
  public mutating func abandon() {
    link.isDown = true
    link.untold = nil
    link.discardInput()
    link.dropOutput()
    phase = .idle
  }

  // MARK: Bytes out

  /// What is to be sent, oldest first; valid until the next mutating call.
  public var pendingOutput: UnsafeRawBufferPointer { @_noLocks get { link.output.pending } }

  /// The first `count` bytes of ``pendingOutput`` were sent; more than there are is a programming error.
  @_noLocks
  public mutating func sent(_ count: Int, now: UInt64) { link.sent(count, now) }

  /// Queues an unsequenced message. False when not logged in, when it is too long, or without room now.
  @_noLocks
  public mutating func send(unsequenced message: UnsafeRawBufferPointer) -> Bool {
    guard phase.isLoggedIn else { return false }
    return link.append(0x55, message)
  }

  /// Queues a logout request. False when not logged in or without room now.
  @_noLocks
  public mutating func logout() -> Bool {
    guard phase.isLoggedIn else { return false }
    return link.append(0x4F, payload: 0) != nil
  }

  /// Queues a heartbeat if one is due and fails the connection when the peer is silent for too long: take the
  /// events afterwards.
  /// - Returns: when to call again at the latest
  @_noLocks
  public mutating func tick(now: UInt64) -> UInt64 {
    let wakeAt = link.tick(now, heartbeatType: 0x52, isLoggedIn: phase.isLoggedIn)
    if case .some = link.untold { phase = .failed }
    return wakeAt
  }

  // MARK: Events out

  /// What happened next. Call until ``SoupClientEvent/idle``. Never traps, whatever was received.
  @_noLocks
  public mutating func next() -> SoupClientEvent {
    if let failure = link.untold {
      link.untold = nil
      phase = .failed
      return .failed(failure)
    }
    while !link.isDown {
      switch link.input.next(maximumPayload: link.maximumPayload) {
      case .incomplete:
        guard link.peerHasClosed else { return .idle }
        if phase.isOpen { return fail(link.input.count > 0 ? .closedInsidePacket : .closedByPeer) }
        link.isDown = true
        link.discardInput()
      case .malformed(let failure):
        return fail(failure)
      case .packet(let type, let payload):
        link.counters.bytesUsed &+= UInt64(SoupFraming.headerBytes &+ payload.count)
        if let event = event(type, payload) { return event }
      }
    }
    return .idle
  }

  @_noLocks
  private mutating func fail(_ failure: SoupFailure) -> SoupClientEvent {
    link.fail(failure)
    link.untold = nil
    phase = .failed
    return .failed(failure)
  }

  /// What a whole packet means; nil for a heartbeat.
  @_noLocks
  private mutating func event(_ type: UInt8, _ payload: UnsafeRawBufferPointer) -> SoupClientEvent? {
    switch type {
    case 0x53:  // S
      guard case .established = phase else { return fail(.unexpectedPacket) }
      let sequence = nextSequence
      guard sequence < UInt64.max else { return fail(.sequenceOverflow) }
      nextSequence = sequence &+ 1
      link.counters.sequenced &+= 1
      return .sequenced(sequence: sequence, message: payload)
    case 0x48:  // H
      guard payload.count == 0 else { return fail(.wrongLength) }
      link.counters.heartbeatsReceived &+= 1
      return nil
    case 0x41: return loginAccepted(payload)
    case 0x4A: return loginRejected(payload)
    case 0x5A:  // Z
      guard payload.count == 0 else { return fail(.wrongLength) }
      guard case .established = phase else { return fail(.unexpectedPacket) }
      link.counters.endsOfSession &+= 1
      phase = .ended
      return .endOfSession(nextSequence: nextSequence)
    case 0x55:  // U
      guard case .established = phase else { return fail(.unexpectedPacket) }
      link.counters.unsequenced &+= 1
      return .unsequenced(message: payload)
    case 0x2B:  // +
      link.counters.debug &+= 1
      return .debug(text: payload)
    case 0x4C, 0x52, 0x4F: return fail(.unexpectedPacket)
    default: return fail(.unknownType)
    }
  }

  @_noLocks
  private mutating func loginAccepted(_ payload: UnsafeRawBufferPointer) -> SoupClientEvent {
    guard payload.count == SoupFraming.loginAcceptedBytes, let base = payload.baseAddress else {
      return fail(.wrongLength)
    }
    guard case .loggingIn = phase else { return fail(.unexpectedPacket) }
    guard let sequence = SoupNumber.parse(base + SoupFraming.sessionBytes) else {
      return fail(.malformedNumber)
    }
    let accepted = SoupSession(from: base)
    guard session.isCurrent || accepted == session else { return fail(.wrongSession) }
    // Numbers start at 1. Anything but what was asked for would pass messages off under wrong numbers, or
    // leave some out without a word.
    guard sequence > 0, nextSequence == 0 || sequence == nextSequence else { return fail(.wrongSequence) }
    link.counters.accepted &+= 1
    session = accepted
    nextSequence = sequence
    phase = .established
    return .accepted(session: accepted, nextSequence: sequence)
  }

  @_noLocks
  private mutating func loginRejected(_ payload: UnsafeRawBufferPointer) -> SoupClientEvent {
    guard payload.count == SoupFraming.loginRejectedBytes, let base = payload.baseAddress else {
      return fail(.wrongLength)
    }
    guard case .loggingIn = phase else { return fail(.unexpectedPacket) }
    let reason: SoupRejectReason
    switch base.load(as: UInt8.self) {
    case 0x41:
      reason = .notAuthorized
      link.counters.rejectedNotAuthorized &+= 1
    case 0x53:
      reason = .sessionNotAvailable
      link.counters.rejectedSessionNotAvailable &+= 1
    default: return fail(.unknownRejectReason)
    }
    phase = .rejected
    link.isDown = true
    link.discardInput()
    link.dropOutput()
    return .rejected(reason)
  }

  // MARK: What is going on

  /// Bytes received and not taken yet.
  public var bufferedInput: Int { @_noLocks get { link.input.count } }
  /// When bytes were last received, or the connection began.
  public var lastReceivedAt: UInt64 { @_noLocks get { link.lastReceivedAt } }
  public var counters: SoupCounters { link.counters }
  /// Connections given up for a reason.
  public func failures(_ failure: SoupFailure) -> UInt64 { link.failureCounts[failure.index] }
}
