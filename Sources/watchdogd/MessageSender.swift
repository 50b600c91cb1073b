import CLinux
import FIXSession
import Glibc
import StageRecords
import Topology

/// One prepared message and the way that it takes: a datagram's socket, or a FIX session that is kept logged on. Everything that
/// sending needs is there before it is needed; ``send(now:)`` allocates nothing and waits for nothing.
struct MessageSender: ~Copyable {
  /// What ``keep(now:)`` has to tell.
  enum Change: Equatable {
    case loggedOn
    case ended(FIXEnd?)
    case answered(ArmedAction.Outcome)
  }

  /// How often a session is looked after, and how long a lost one waits before it is tried again.
  private static let lookNanoseconds: UInt64 = 5_000_000
  private static let firstRetryNanoseconds: UInt64 = 200_000_000
  private static let longestRetryNanoseconds: UInt64 = 10_000_000_000

  let name: String
  let action: SafetyAction
  private let address: UInt32
  private let port: UInt16
  private var socket: Int32 = -1
  private let payload: UnsafeMutableRawBufferPointer
  /// Of a mass cancel; in memory of its own, so that a datagram does not carry one.
  private let session: UnsafeMutablePointer<FIXSession>?
  private var isConnected = false
  private var nextLook: UInt64 = 0
  private var retryNanoseconds = firstRetryNanoseconds

  /// - Parameter run: tells this process's requests from those of others
  init(_ message: Topology.PreparedMessage, run: UInt32) {
    name = message.name
    address = message.address.value
    port = message.port
    switch message.content {
    case .datagram(let text):
      action = .datagram
      let bytes = Array(text.utf8)
      payload = .allocate(byteCount: max(1, bytes.count), alignment: 1)
      payload.copyBytes(from: bytes)
      session = nil
      socket = bulkhead_open_udp_client(address, port)
    case .massCancel(let parties):
      action = .massCancel
      payload = .allocate(byteCount: 1, alignment: 1)
      let session = UnsafeMutablePointer<FIXSession>.allocate(capacity: 1)
      session.initialize(
        to: FIXSession(
          FIXIdentity(
            sender: parties.sender, target: parties.target, username: parties.username,
            password: parties.password, heartbeatSeconds: parties.heartbeatSeconds),
          run: run, fields: parties.fields))
      self.session = session
    }
  }

  deinit {
    if socket >= 0 { close(socket) }
    session?.deinitialize(count: 1)
    session?.deallocate()
    payload.deallocate()
  }

  /// Whether it could be sent now.
  var isReady: Bool { session.map { $0.pointee.state == .active } ?? (socket >= 0) }

  /// Sends it: one system call.
  /// - Parameter now: CLOCK_MONOTONIC, ns
  /// - Returns: whether the kernel took it, or all of it waits in the session's buffer behind what the kernel did not take
  #if !DEBUG
    @_noLocks
  #endif
  mutating func send(now: UInt64) -> Bool {
    guard let session else {
      guard socket >= 0 else { return false }
      return bulkhead_tcp_send(socket, payload.baseAddress, UInt(payload.count)) == payload.count
    }
    guard session.pointee.fire(now: now, wall: bulkhead_realtime_nanoseconds()) else { return false }
    flush()
    return true
  }

  /// What would be sent now.
  func preview() -> [UInt8] {
    session?.pointee.previewBytes(wall: bulkhead_realtime_nanoseconds()) ?? Array(payload)
  }

  #if !DEBUG
    @_noLocks
  #endif
  private mutating func flush() {
    guard let output = session?.pointee.output, output.count > 0 else { return }
    let sent = bulkhead_tcp_send(socket, output.baseAddress, UInt(output.count))
    if sent > 0 { session?.pointee.sent(Int(sent)) }
  }

  // MARK: - Between firings

  /// Keeps the session: connects, logs on, answers. A few system calls every few milliseconds; nothing for a datagram.
  mutating func keep(now: UInt64) -> Change? {
    guard let session, now >= nextLook else { return nil }
    nextLook = now &+ Self.lookNanoseconds
    guard socket >= 0 else {
      socket = bulkhead_open_tcp_client(address, port)
      if socket < 0 { postpone(now) }
      return nil
    }
    guard isConnected else { return awaitConnection(now) }
    let wall = bulkhead_realtime_nanoseconds()
    var isClosed = false
    let room = session.pointee.writable()
    if room.count > 0 {
      let count = bulkhead_tcp_receive(socket, room.baseAddress, UInt(room.count))
      if count > 0 { session.pointee.received(Int(count)) }
      isClosed = count == 0 || (count < 0 && count != -Int(EAGAIN) && count != -Int(EINTR))
    }
    let event = session.pointee.step(now: now, wall: wall)
    flush()
    switch event {
    case .loggedOn:
      retryNanoseconds = Self.firstRetryNanoseconds
      nextLook = now
      return .loggedOn
    case .massCancelReported(let response):
      nextLook = now
      return .answered(response == 0x30 ? .refused : .confirmed)
    case .massCancelRejected:
      nextLook = now
      return .answered(.refused)
    case .ended(let end): return drop(now, .ended(end))
    case nil: return isClosed ? drop(now, .ended(nil)) : nil
    }
  }

  private mutating func awaitConnection(_ now: UInt64) -> Change? {
    let result = bulkhead_tcp_connected(socket)
    if result == 0 { return nil }
    if result < 0 {
      Glibc.close(socket)
      socket = -1
      postpone(now)
      return nil
    }
    isConnected = true
    session?.pointee.begin(now: now, wall: bulkhead_realtime_nanoseconds())
    flush()
    return nil
  }

  private mutating func drop(_ now: UInt64, _ change: Change) -> Change? {
    let wasConnected = isConnected
    Glibc.close(socket)
    socket = -1
    isConnected = false
    session?.pointee.close()
    postpone(now)
    return wasConnected ? change : nil
  }

  private mutating func postpone(_ now: UInt64) {
    nextLook = now &+ retryNanoseconds
    retryNanoseconds = min(retryNanoseconds * 2, Self.longestRetryNanoseconds)
  }

  /// Says goodbye; the answer is not waited for.
  mutating func end(now: UInt64) {
    session?.pointee.logOut(now: now, wall: bulkhead_realtime_nanoseconds())
    if isConnected { flush() }
  }
}
