import CLinux
import Glibc
import SoupBinTCP

/// Where a SoupBinTCP service listens: an IPv4 address and a port, in host byte order.
@frozen
public struct SoupEndpoint: Equatable, Sendable {
  public var address: UInt32
  public var port: UInt16

  public init(address: UInt32, port: UInt16) {
    self.address = address
    self.port = port
  }
}

/// What became of a step of a ``SoupConnection``. Bytes are valid until its next mutating call.
@frozen
public enum SoupStep {
  /// Nothing to do before this instant, or until the socket has something (``SoupConnection/descriptor``).
  case wait(until: UInt64)
  /// What the session says. Step again.
  case event(SoupClientEvent)
  /// The connection is closed, told once. After ``SoupClientEvent/failed(_:)``, ``SoupClientEvent/rejected(_:)``
  /// and an end of session there is no further word.
  case closed(SoupClosing)
}

/// Why there is no connection.
@frozen
public enum SoupClosing: Equatable, Sendable {
  /// It never came to stand.
  case cannotConnect(errno: Int32)
  /// It did not come to stand in time.
  case connectTimeout
  /// The system reported an error while it stood.
  case lost(errno: Int32)
}

/// A client's connection to a SoupBinTCP service, for the loop of a stage: each step is a bounded number of
/// system calls that never wait, and takes no memory.
///
/// ```
/// connection.open(endpoint, session: .current, sequence: 1, now: now)
/// each turn of the loop, at most so many times:
///   switch connection.step(now: now) {
///   case .wait(let until): …                             // done for this turn
///   case .event(let event): …
///   case .closed(let why): …                              // back off, then open again
///   }
/// ```
///
/// The socket is closed by itself after a failure, a rejection, and when the server closes it after the end of the
/// session; ``isOpen`` tells.
public struct SoupConnection: ~Copyable {
  private enum Stage {
    case closed, connecting, standing
  }

  // Not public: to read a noncopyable member from another module takes memory.
  private var session: SoupClientSession
  /// The socket, to wait on; -1 = none.
  public private(set) var descriptor: Int32 = -1
  private var stage = Stage.closed
  private var wantedSession = SoupSession.current
  private var wantedSequence: UInt64 = 1
  private var connectBy: UInt64 = 0
  private let connectTimeout: UInt64
  private var closing: SoupClosing?

  /// Connections begun, and those that came to stand.
  public private(set) var attempts: UInt64 = 0
  public private(set) var connected: UInt64 = 0

  /// - Parameters:
  ///   - configuration: its ``SoupConfiguration/problem()`` must be nil; the time for the login is also that for the
  ///     connection to come to stand.
  public init(_ configuration: SoupConfiguration, credentials: SoupCredentials) {
    session = SoupClientSession(configuration, credentials: credentials)
    connectTimeout = configuration.loginTimeoutNanoseconds
  }

  deinit { if descriptor >= 0 { Glibc.close(descriptor) } }

  public var isOpen: Bool { descriptor >= 0 }
  /// Where the session stands, and the number of its next sequenced message.
  public var phase: SoupClientSession.Phase { session.phase }
  public var nextSequence: UInt64 { session.nextSequence }
  /// When bytes were last received, or the connection came to stand.
  public var lastReceivedAt: UInt64 { session.lastReceivedAt }
  /// What went over all connections, and those given up for a reason.
  public var counters: SoupCounters { session.counters }
  public func failures(_ failure: SoupFailure) -> UInt64 { session.failures(failure) }

  /// Begins to connect; whatever was open is closed without a word. ``step(now:)`` tells how it goes.
  /// - Parameters:
  ///   - wanted: `.current`, or the only session that is good enough
  ///   - sequence: the first message wanted, from 1; 0 = from the most recent one on
  public mutating func open(
    _ endpoint: SoupEndpoint, session wanted: SoupSession, sequence: UInt64, now: UInt64
  ) {
    close()
    attempts &+= 1
    wantedSession = wanted
    wantedSequence = sequence
    let (by, overflow) = now.addingReportingOverflow(connectTimeout)
    connectBy = overflow ? .max : by
    let result = bulkhead_open_tcp_client(endpoint.address, endpoint.port)
    guard result >= 0 else {
      closing = .cannotConnect(errno: -result)
      return
    }
    descriptor = result
    stage = .connecting
  }

  /// Closes the connection without an event.
  public mutating func close() {
    session.abandon()
    hangUp()
    closing = nil
  }

  /// Queues an unsequenced message; see ``SoupClientSession/send(unsequenced:)``.
  public mutating func send(unsequenced message: UnsafeRawBufferPointer) -> Bool {
    session.send(unsequenced: message)
  }

  /// Queues a logout request.
  public mutating func logout() -> Bool { session.logout() }

  /// Moves on: at most one receive, one send and one event.
  /// - Parameter now: the same monotonic clock as in `open`, nanoseconds
  public mutating func step(now: UInt64) -> SoupStep {
    if let closing {
      self.closing = nil
      return .closed(closing)
    }
    switch stage {
    case .closed: return .wait(until: .max)
    case .connecting:
      let result = bulkhead_tcp_connected(descriptor)
      if result == 0 {
        if now < connectBy { return .wait(until: connectBy) }
        hangUp()
        return .closed(.connectTimeout)
      }
      guard result > 0 else {
        hangUp()
        return .closed(.cannotConnect(errno: -result))
      }
      stage = .standing
      connected &+= 1
      session.begin(session: wantedSession, sequence: wantedSequence, now: now)
    case .standing: break
    }
    // What was received before goes first: the buffer is small, and reading on would only fill it.
    if let event = nextEvent() { return .event(event) }
    let received = receive(now)
    let wakeAt = session.tick(now: now)
    if let event = nextEvent() { return .event(event) }
    if case .lost(let number) = received { return lose(number) }
    // The server has closed, and there is nothing left to tell.
    if case .ended = received, session.phase == .ended {
      hangUp()
      return .wait(until: .max)
    }
    if let number = sendPending(now) { return lose(number) }
    if case .some = received { return .wait(until: now) }
    return .wait(until: wakeAt)
  }

  private enum Received {
    case some, none, ended
    case lost(Int32)
  }

  private mutating func receive(_ now: UInt64) -> Received {
    let room = session.writableInput()
    guard room.count > 0 else { return .some }
    let count = bulkhead_tcp_receive(descriptor, room.baseAddress, UInt(room.count))
    if count > 0 {
      session.committed(count, now: now)
      return .some
    }
    if count == 0 {
      session.peerClosed()
      return .ended
    }
    let number = Int32(truncatingIfNeeded: -count)
    return number == EAGAIN || number == EINTR ? .none : .lost(number)
  }

  /// - Returns: the error, if the connection is lost
  private mutating func sendPending(_ now: UInt64) -> Int32? {
    let pending = session.pendingOutput
    guard pending.count > 0 else { return nil }
    let count = bulkhead_tcp_send(descriptor, pending.baseAddress, UInt(pending.count))
    if count >= 0 {
      session.sent(count, now: now)
      return nil
    }
    let number = Int32(truncatingIfNeeded: -count)
    return number == EAGAIN || number == EINTR ? nil : number
  }

  /// The session's next event; after the last one of a connection the socket is closed.
  private mutating func nextEvent() -> SoupClientEvent? {
    let event = session.next()
    switch event {
    case .idle: return nil
    case .failed, .rejected: hangUp()
    default: break
    }
    return event
  }

  private mutating func lose(_ number: Int32) -> SoupStep {
    let hasEnded = session.phase == .ended
    session.abandon()
    hangUp()
    return hasEnded ? .wait(until: .max) : .closed(.lost(errno: number))
  }

  private mutating func hangUp() {
    if descriptor >= 0 { Glibc.close(descriptor) }
    descriptor = -1
    stage = .closed
  }
}
