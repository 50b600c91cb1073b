/// Who speaks on a FIX session, and to whom.
public struct FIXIdentity: Equatable, Sendable {
  /// SenderCompID (49), 1...32 printable characters.
  public let sender: String
  /// TargetCompID (56), 1...32 printable characters.
  public let target: String
  /// Username (553) and Password (554) of the logon; empty: not sent.
  public let username: String
  public let password: String
  /// HeartBtInt (108), seconds.
  public let heartbeatSeconds: Int

  public init(
    sender: String, target: String, username: String = "", password: String = "", heartbeatSeconds: Int
  ) {
    self.sender = sender
    self.target = target
    self.username = username
    self.password = password
    self.heartbeatSeconds = heartbeatSeconds
  }
}

/// Why a session is over.
public enum FIXEnd: UInt8, Sendable, CaseIterable {
  /// The logon was not answered in time, or answered by a logout.
  case logonRefused = 1
  case logonTimeout = 2
  /// The other side logged out.
  case loggedOut = 3
  /// Nothing was heard for 2.4 heartbeats, a test request notwithstanding.
  case silence = 4
  /// Bytes that are no FIX 4.4, or a message longer than 16 KiB.
  case malformed = 5
  /// A message of somebody else, or to somebody else.
  case wrongIdentity = 6
  /// A message number below the one expected that is no repetition.
  case sequenceTooLow = 7
  /// The other side takes nothing: 16 KiB wait to be sent.
  case outputFull = 8

  public var name: String {
    switch self {
    case .logonRefused: "logon refused"
    case .logonTimeout: "logon timeout"
    case .loggedOut: "logged out"
    case .silence: "silence"
    case .malformed: "malformed message"
    case .wrongIdentity: "wrong identity"
    case .sequenceTooLow: "sequence too low"
    case .outputFull: "output full"
    }
  }
}

/// What a step of a session brought about.
public enum FIXEvent: Equatable, Sendable {
  /// The session can be used.
  case loggedOn
  /// The other side says what became of a mass cancel request: `response` is tag 531, 0x30 for a refusal.
  case massCancelReported(response: UInt8)
  /// The other side refused a mass cancel request as a message.
  case massCancelRejected
  /// The session is over; the connection is to be closed once the output is sent.
  case ended(FIXEnd)
}

/// The initiator's side of a FIX 4.4 session that is held open for one message: logs on, keeps the heartbeats, answers what a
/// session must answer, and has an OrderMassCancelRequest prepared. Knows no socket and no clock.
///
/// Sequence numbers begin anew with each logon (ResetSeqNumFlag). What is asked for again is filled as a gap: a mass cancel
/// of a moment that is over must not be sent at another. Memory is taken once; ``fire(now:wall:)`` allocates nothing.
///
/// ```
/// session.begin(now:wall:)                      // connected
/// send(session.output); session.sent(count)     // whenever the socket takes some
/// session.received(read(into: session.writable()))
/// while let event = session.step(now:wall:) { … }
/// ```
public struct FIXSession: ~Copyable {
  public enum State: UInt8, Sendable {
    case closed = 0
    case loggingOn = 1
    case active = 2
    case loggingOut = 3
  }

  private static let logonTimeout: UInt64 = 10_000_000_000
  private static let outputCapacity = 16_384

  public let identity: FIXIdentity
  public private(set) var state: State = .closed
  /// Mass cancel requests sent, over all logons.
  public private(set) var requests: UInt64 = 0
  private let prepared: PreparedMassCancel
  private var composer = FIXComposer()
  private var input = FIXInput()
  private let outgoing: UnsafeMutablePointer<UInt8>
  private var outgoingStart = 0
  private var outgoingEnd = 0
  private var nextOut: UInt64 = 1
  private var nextIn: UInt64 = 1
  /// Where the last request lies in the numbers of this logon.
  private var lastRequest: UInt64 = 0
  private var lastSent: UInt64 = 0
  private var lastHeard: UInt64 = 0
  private var testRequested = false
  private var resendRequested = false
  private var end: FIXEnd?

  /// - Parameters:
  ///   - run: see ``PreparedMassCancel``
  ///   - fields: further fields of the request, each `tag=value`, in their order
  public init(_ identity: FIXIdentity, run: UInt32, fields: [String] = []) {
    self.identity = identity
    prepared = PreparedMassCancel(identity, run: run, fields: fields)
    outgoing = .allocate(capacity: Self.outputCapacity)
    outgoing.initialize(repeating: 0, count: Self.outputCapacity)
  }

  deinit { outgoing.deallocate() }

  private var interval: UInt64 { UInt64(identity.heartbeatSeconds) * 1_000_000_000 }

  // MARK: - The connection

  /// The connection is there: logs on.
  /// - Parameters:
  ///   - now: CLOCK_MONOTONIC, ns
  ///   - wall: since the Unix epoch, ns
  public mutating func begin(now: UInt64, wall: UInt64) {
    state = .loggingOn
    input.clear()
    outgoingStart = 0
    outgoingEnd = 0
    nextOut = 1
    nextIn = 1
    lastRequest = 0
    lastHeard = now
    testRequested = false
    resendRequested = false
    end = nil
    start("A", wall)
    composer.append(98, 0)
    composer.append(108, UInt64(identity.heartbeatSeconds))
    composer.append(141, "Y")
    if !identity.username.isEmpty { composer.append(553, identity.username) }
    if !identity.password.isEmpty { composer.append(554, identity.password) }
    finish(now)
  }

  /// The connection is gone.
  public mutating func close() {
    state = .closed
    outgoingStart = 0
    outgoingEnd = 0
  }

  /// Room for received bytes.
  public mutating func writable() -> UnsafeMutableRawBufferPointer { input.writable() }

  /// `count` bytes were received into ``writable()``.
  public mutating func received(_ count: Int) { input.wrote(count) }

  /// What waits to be sent.
  public var output: UnsafeRawBufferPointer {
    @_noLocks get {
      UnsafeRawBufferPointer(start: outgoing + outgoingStart, count: outgoingEnd &- outgoingStart)
    }
  }

  /// `count` bytes of ``output`` were sent.
  @_noLocks
  public mutating func sent(_ count: Int) {
    outgoingStart &+= count
    if outgoingStart >= outgoingEnd {
      outgoingStart = 0
      outgoingEnd = 0
    }
  }

  // MARK: - What it is held open for

  /// Puts the mass cancel request of this moment behind what waits to be sent.
  /// - Returns: false, and nothing has changed, when the session is not logged on or takes nothing
  @_noLocks
  public mutating func fire(now: UInt64, wall: UInt64) -> Bool {
    guard state == .active, outgoingEnd &+ prepared.count <= Self.outputCapacity else { return false }
    requests &+= 1
    let message = prepared.patch(sequence: nextOut, counter: requests, wall: wall)
    guard let base = message.baseAddress else { return false }
    UnsafeMutableRawPointer(outgoing + outgoingEnd).copyMemory(from: base, byteCount: message.count)
    outgoingEnd &+= message.count
    lastRequest = nextOut
    nextOut &+= 1
    lastSent = now
    return true
  }

  /// What ``fire(now:wall:)`` would send now, as text with `|` between its fields.
  public func preview(wall: UInt64) -> String {
    String(decoding: previewBytes(wall: wall).map { $0 == FIXText.separator ? 0x7C : $0 }, as: UTF8.self)
  }

  /// What ``fire(now:wall:)`` would send now, byte by byte.
  public func previewBytes(wall: UInt64) -> [UInt8] {
    Array(prepared.patch(sequence: nextOut, counter: requests &+ 1, wall: wall))
  }

  /// Asks for the end of the session; it is over when the other side agrees, or two seconds later.
  public mutating func logOut(now: UInt64, wall: UInt64) {
    guard state == .active else { return }
    start("5", wall)
    finish(now)
    state = .loggingOut
    lastHeard = now
  }

  // MARK: - Steps

  /// Takes one received message, or does what is due. Call until it returns nil and no whole message waits.
  public mutating func step(now: UInt64, wall: UInt64) -> FIXEvent? {
    guard state != .closed else { return nil }
    while end == nil {
      switch input.front() {
      case .incomplete:
        keepTime(now, wall)
        return finished()
      case .garbled(let bytes): input.drop(bytes)
      case .impossible: end = .malformed
      case .message(let fields, let bytes):
        lastHeard = now
        testRequested = false
        let event = FIXMessage(fields).map { take($0, now, wall) } ?? nil
        input.drop(bytes)
        if let event { return event }
      }
    }
    return finished()
  }

  private mutating func finished() -> FIXEvent? {
    guard let end else { return nil }
    self.end = nil
    state = .closed
    return .ended(end)
  }

  private mutating func keepTime(_ now: UInt64, _ wall: UInt64) {
    let silent = now &- lastHeard
    switch state {
    case .closed: break
    case .loggingOn: if silent > Self.logonTimeout { end = .logonTimeout }
    case .loggingOut: if silent > 2_000_000_000 { end = .loggedOut }
    case .active:
      if silent > interval * 12 / 5 {
        end = .silence
      } else if silent > interval * 6 / 5, !testRequested {
        testRequested = true
        start("1", wall)
        composer.append(112, "ALIVE")
        finish(now)
      }
      if now &- lastSent >= interval {
        start("0", wall)
        finish(now)
      }
    }
  }

  private mutating func take(_ message: FIXMessage, _ now: UInt64, _ wall: UInt64) -> FIXEvent? {
    guard message.sender.elementsEqual(identity.target.utf8),
      message.target.elementsEqual(identity.sender.utf8)
    else {
      refuse("CompID problem", now, wall)
      end = .wrongIdentity
      return nil
    }
    if state == .loggingOn { return takeLogonAnswer(message, now, wall) }
    if message.type == UInt8(ascii: "4"), !message.isGapFill {
      // The other side declares what its next number is; its own number says nothing.
      nextIn = max(nextIn, message.newSequence ?? nextIn)
      resendRequested = false
      return nil
    }
    if message.sequence > nextIn {
      askAgain(now, wall)
      // Those two are answered whatever is missing in front of them.
      if message.type == UInt8(ascii: "2") { fillGap(message, now, wall) }
      if message.type == UInt8(ascii: "5") { takeLogout(now, wall) }
      return nil
    }
    if message.sequence < nextIn {
      guard !message.isPossibleDuplicate else { return nil }
      refuse("MsgSeqNum too low, expecting \(nextIn) but received \(message.sequence)", now, wall)
      end = .sequenceTooLow
      return nil
    }
    nextIn += 1
    return act(on: message, now, wall)
  }

  private mutating func act(on message: FIXMessage, _ now: UInt64, _ wall: UInt64) -> FIXEvent? {
    switch message.type {
    case UInt8(ascii: "1"):
      start("0", wall)
      if message.testRequest.count > 0, message.testRequest.count <= 128 {
        composer.append(112, message.testRequest)
      }
      finish(now)
    case UInt8(ascii: "2"): fillGap(message, now, wall)
    case UInt8(ascii: "4"):
      nextIn = max(nextIn, message.newSequence ?? nextIn)
      resendRequested = false
    case UInt8(ascii: "5"): takeLogout(now, wall)
    case UInt8(ascii: "r"): return .massCancelReported(response: message.massCancelResponse ?? 0x30)
    case UInt8(ascii: "3"), UInt8(ascii: "j"):
      if lastRequest != 0, message.referenceSequence == lastRequest { return .massCancelRejected }
    default: break
    }
    return nil
  }

  private mutating func takeLogonAnswer(_ message: FIXMessage, _ now: UInt64, _ wall: UInt64) -> FIXEvent? {
    guard message.type == UInt8(ascii: "A") else {
      end = .logonRefused
      return nil
    }
    state = .active
    if message.sequence > nextIn {
      askAgain(now, wall)
    } else {
      nextIn = message.sequence + 1
    }
    return .loggedOn
  }

  private mutating func takeLogout(_ now: UInt64, _ wall: UInt64) {
    if state == .active {
      start("5", wall)
      finish(now)
    }
    end = .loggedOut
  }

  /// Everything from the next expected number on, once.
  private mutating func askAgain(_ now: UInt64, _ wall: UInt64) {
    guard !resendRequested else { return }
    resendRequested = true
    start("2", wall)
    composer.append(7, nextIn)
    composer.append(16, 0)
    finish(now)
  }

  /// The other side asks for messages again: nothing of ours is worth repeating.
  private mutating func fillGap(_ message: FIXMessage, _ now: UInt64, _ wall: UInt64) {
    guard let begin = message.beginSequence, begin >= 1, begin < nextOut else { return }
    composer.begin()
    composer.append(35, "4")
    composer.append(49, identity.sender)
    composer.append(56, identity.target)
    composer.append(34, begin)
    composer.append(43, "Y")
    composer.appendTimestamp(52, wall)
    composer.appendTimestamp(122, wall)
    composer.append(123, "Y")
    composer.append(36, nextOut)
    enqueue(now)
  }

  private mutating func refuse(_ text: String, _ now: UInt64, _ wall: UInt64) {
    start("5", wall)
    composer.append(58, text)
    finish(now)
  }

  // MARK: - Messages out

  private mutating func start(_ type: String, _ wall: UInt64) {
    composer.begin()
    composer.append(35, type)
    composer.append(49, identity.sender)
    composer.append(56, identity.target)
    composer.append(34, nextOut)
    composer.appendTimestamp(52, wall)
  }

  private mutating func finish(_ now: UInt64) {
    enqueue(now)
    nextOut += 1
  }

  private mutating func enqueue(_ now: UInt64) {
    let message = composer.message()
    guard !composer.isOverfull, outgoingEnd + message.count <= Self.outputCapacity else {
      end = .outputFull
      return
    }
    message.withUnsafeBytes { bytes in
      guard let base = bytes.baseAddress else { return }
      UnsafeMutableRawPointer(outgoing + outgoingEnd).copyMemory(from: base, byteCount: bytes.count)
    }
    outgoingEnd += message.count
    lastSent = now
  }
}
