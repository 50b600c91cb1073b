/// What a client asks for.
@frozen
public struct SoupLogin: Equatable, Sendable {
  public var credentials: SoupCredentials
  /// The session wanted, or `.current`.
  public var session: SoupSession
  /// The first message wanted, from 1; 0 = from the most recent one on.
  public var sequence: UInt64

  @_noLocks
  init(credentials: SoupCredentials, session: SoupSession, sequence: UInt64) {
    self.credentials = credentials
    self.session = session
    self.sequence = sequence
  }
}

/// What a ``SoupServerSession`` has to say. Bytes are valid until its next mutating call.
@frozen
public enum SoupServerEvent {
  /// Nothing more until further bytes or time come.
  case idle
  /// To be answered with `accept` or `reject`.
  case login(SoupLogin)
  case unsequenced(message: UnsafeRawBufferPointer)
  case debug(text: UnsafeRawBufferPointer)
  /// The client wants no more: close the connection.
  case logout
  /// The connection has to be closed; told once.
  case failed(SoupFailure)
}

/// The server's side of SoupBinTCP 3.00, for the simulated venue and for tests. Driven as
/// ``SoupClientSession`` is: bytes and instants in, events and bytes to send out.
public struct SoupServerSession: ~Copyable {
  /// Where the session stands.
  @frozen
  public enum Phase: UInt8, Sendable {
    /// No connection.
    case idle = 0
    case awaitingLogin = 1
    /// The login is to be answered.
    case loginMade = 2
    case established = 3
    /// Refused, logged out or ended: what is queued may still be sent.
    case closing = 4
    case failed = 5

    var isLoggedIn: Bool {
      @_noLocks get {
        switch self {
        case .established: true
        default: false
        }
      }
    }
  }

  private var link: SoupLink
  public private(set) var phase = Phase.idle
  /// The number of the next sequenced message.
  public private(set) var nextSequence: UInt64 = 0

  /// - Parameter configuration: its ``SoupConfiguration/problem()`` must be nil
  public init(_ configuration: SoupConfiguration) { link = SoupLink(configuration) }

  /// A client has connected. Everything of the one before is forgotten but the counters.
  @_noLocks
  public mutating func begin(now: UInt64) {
    link.open(now)
    phase = .awaitingLogin
    nextSequence = 0
  }

  // MARK: Bytes in

  /// Where received bytes go. Empty when the buffer is full of packets that were not taken.
  @_noLocks
  public mutating func writableInput() -> UnsafeMutableRawBufferPointer { link.input.writable() }

  /// `count` bytes were received into ``writableInput()``; more than it holds is a programming error.
  @_noLocks
  public mutating func committed(_ count: Int, now: UInt64) { link.received(count, now) }

  /// Takes as many of the bytes as there is room for, and returns how many.
  @_noLocks
  public mutating func receive(_ bytes: UnsafeRawBufferPointer, now: UInt64) -> Int {
    link.receive(bytes, now)
  }

  /// The client will send nothing more.
  @_noLocks
  public mutating func peerClosed() { link.peerHasClosed = true }

  // MARK: Bytes out

  /// What is to be sent, oldest first; valid until the next mutating call.
  public var pendingOutput: UnsafeRawBufferPointer { @_noLocks get { link.output.pending } }

  /// The first `count` bytes of ``pendingOutput`` were sent; more than there are is a programming error.
  @_noLocks
  public mutating func sent(_ count: Int, now: UInt64) { link.sent(count, now) }

  /// Answers a login: the next sequenced message will have the number `sequence`. False when there is no
  /// login to answer.
  @_noLocks
  public mutating func accept(session: SoupSession, sequence: UInt64) -> Bool {
    guard case .loginMade = phase,
      let target = link.append(0x41, payload: SoupFraming.loginAcceptedBytes)
    else { return false }
    session.write(to: target)
    SoupNumber.write(sequence, to: target + SoupFraming.sessionBytes)
    nextSequence = sequence
    phase = .established
    link.counters.accepted &+= 1
    return true
  }

  /// Refuses a login; close the connection once ``pendingOutput`` is sent.
  @_noLocks
  public mutating func reject(_ reason: SoupRejectReason) -> Bool {
    guard case .loginMade = phase,
      let target = link.append(0x4A, payload: SoupFraming.loginRejectedBytes)
    else { return false }
    switch reason {
    case .notAuthorized:
      target.storeBytes(of: 0x41, as: UInt8.self)
      link.counters.rejectedNotAuthorized &+= 1
    case .sessionNotAvailable:
      target.storeBytes(of: 0x53, as: UInt8.self)
      link.counters.rejectedSessionNotAvailable &+= 1
    }
    phase = .closing
    return true
  }

  /// Queues the next sequenced message. False when nobody is logged in, when it is too long, or without room now.
  @_noLocks
  public mutating func send(sequenced message: UnsafeRawBufferPointer) -> Bool {
    guard phase.isLoggedIn, link.append(0x53, message) else { return false }
    nextSequence &+= 1
    link.counters.sequenced &+= 1
    return true
  }

  /// Queues an unsequenced message. False as for `send(sequenced:)`.
  @_noLocks
  public mutating func send(unsequenced message: UnsafeRawBufferPointer) -> Bool {
    guard phase.isLoggedIn, link.append(0x55, message) else { return false }
    link.counters.unsequenced &+= 1
    return true
  }

  /// Queues text for a human.
  @_noLocks
  public mutating func send(debug text: UnsafeRawBufferPointer) -> Bool { link.append(0x2B, text) }

  /// Queues the end of the session; close the connection once ``pendingOutput`` is sent.
  @_noLocks
  public mutating func endSession() -> Bool {
    guard phase.isLoggedIn, link.append(0x5A, payload: 0) != nil else { return false }
    phase = .closing
    link.counters.endsOfSession &+= 1
    return true
  }

  /// Queues bytes as they are, for a server that is meant to be wrong. False without room now.
  @_noLocks
  public mutating func send(raw bytes: UnsafeRawBufferPointer) -> Bool {
    guard !link.isDown, let target = link.output.append(bytes.count) else { return false }
    if let source = bytes.baseAddress { target.copyMemory(from: source, byteCount: bytes.count) }
    link.counters.bytesQueued &+= UInt64(bytes.count)
    return true
  }

  /// Queues a heartbeat if one is due and fails the connection when the client is silent for too long or does
  /// not log in: take the events afterwards.
  /// - Returns: when to call again at the latest
  @_noLocks
  public mutating func tick(now: UInt64) -> UInt64 {
    let wakeAt = link.tick(now, heartbeatType: 0x48, isLoggedIn: phase.isLoggedIn)
    if case .some = link.untold { phase = .failed }
    return wakeAt
  }

  // MARK: Events out

  /// What happened next. Call until ``SoupServerEvent/idle``. Never traps, whatever was received.
  @_noLocks
  public mutating func next() -> SoupServerEvent {
    if let failure = link.untold {
      link.untold = nil
      phase = .failed
      return .failed(failure)
    }
    while !link.isDown {
      switch link.input.next(maximumPayload: link.maximumPayload) {
      case .incomplete:
        guard link.peerHasClosed else { return .idle }
        if case .closing = phase {
          link.isDown = true
          link.discardInput()
          link.dropOutput()
          return .logout
        }
        return fail(link.input.count > 0 ? .closedInsidePacket : .closedByPeer)
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
  private mutating func fail(_ failure: SoupFailure) -> SoupServerEvent {
    link.fail(failure)
    link.untold = nil
    phase = .failed
    return .failed(failure)
  }

  /// What a whole packet means; nil for a heartbeat.
  @_noLocks
  private mutating func event(_ type: UInt8, _ payload: UnsafeRawBufferPointer) -> SoupServerEvent? {
    switch type {
    case 0x52:  // R
      guard payload.count == 0 else { return fail(.wrongLength) }
      link.counters.heartbeatsReceived &+= 1
      return nil
    case 0x4C:  // L
      guard payload.count == SoupFraming.loginRequestBytes, let base = payload.baseAddress else {
        return fail(.wrongLength)
      }
      guard case .awaitingLogin = phase else { return fail(.unexpectedPacket) }
      guard let sequence = SoupNumber.parse(base + 26) else { return fail(.malformedNumber) }
      phase = .loginMade
      link.counters.logins &+= 1
      return .login(
        SoupLogin(
          credentials: SoupCredentials(from: base), session: SoupSession(from: base + 16), sequence: sequence)
      )
    case 0x4F:  // O
      guard payload.count == 0 else { return fail(.wrongLength) }
      phase = .closing
      return .logout
    case 0x55:  // U
      guard phase.isLoggedIn else { return fail(.unexpectedPacket) }
      link.counters.unsequenced &+= 1
      return .unsequenced(message: payload)
    case 0x2B:  // +
      link.counters.debug &+= 1
      return .debug(text: payload)
    case 0x41, 0x4A, 0x53, 0x48, 0x5A: return fail(.unexpectedPacket)
    default: return fail(.unknownType)
    }
  }

  // MARK: What is going on

  /// Bytes received and not taken yet.
  public var bufferedInput: Int { @_noLocks get { link.input.count } }
  public var counters: SoupCounters { link.counters }
  /// Connections given up for a reason.
  public func failures(_ failure: SoupFailure) -> UInt64 { link.failureCounts[failure.index] }
}
