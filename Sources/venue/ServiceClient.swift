import CLinux
import FeedSim
import Glibc
import SoupBinTCP

/// A complete image, shared by the clients that get it.
final class SharedImage {
  let store: MessageStore
  init(_ store: consuming MessageStore) { self.store = store }
}

/// One client of a SoupBinTCP service.
final class ServiceClient {
  /// What the client is waiting for.
  enum Stage {
    case login
    /// An image that is not begun before this client logged in.
    case image
    case messages
    /// What is queued is still sent, then the connection is closed.
    case leaving
    /// Nothing is sent any more, on purpose.
    case stalled(until: UInt64)
    case closed
  }

  let descriptor: Int32
  private(set) var session: SoupServerSession
  var stage = Stage.login
  /// Index of the next message to send; what it is an index into is `image`, or the day.
  var position = 0
  var image: SharedImage?
  /// What goes wrong with this client; all off until it logs in.
  var fault = ServiceFault()
  private var messagesSent = 0
  private var leavingSince: UInt64 = 0
  private var hasClosedWriting = false

  private(set) var messages: UInt64 = 0
  private(set) var bytes: UInt64 = 0
  private(set) var faults: UInt64 = 0

  /// Bytes that one client gets in a turn.
  private static let turnBytes = 65_536
  /// Nanoseconds that a client has to take its leave.
  private static let leave: UInt64 = 2_000_000_000

  init(descriptor: Int32, now: UInt64) {
    self.descriptor = descriptor
    var configuration = SoupConfiguration()
    configuration.inputBytes = 16_384
    configuration.outputBytes = Self.turnBytes
    configuration.loginTimeoutNanoseconds = 30_000_000_000
    session = SoupServerSession(configuration)
    session.begin(now: now)
  }

  deinit { close(descriptor) }

  var isClosed: Bool { if case .closed = stage { true } else { false } }

  /// Takes what the client sent.
  /// - Returns: its login, if that is what it sent
  func receive(now: UInt64) -> SoupLogin? {
    let room = session.writableInput()
    if room.count > 0 {
      let count = bulkhead_tcp_receive(descriptor, room.baseAddress, UInt(room.count))
      if count > 0 {
        session.committed(count, now: now)
      } else if count == 0 {
        session.peerClosed()
      } else if count != -Int(EAGAIN) && count != -Int(EINTR) {
        stage = .closed
        return nil
      }
    }
    _ = session.tick(now: now)
    while true {
      switch session.next() {
      case .idle: return nil
      case .login(let login): return login
      case .logout, .failed:
        stage = .closed
        return nil
      case .unsequenced, .debug: break
      }
    }
  }

  func accept(_ identifier: SoupSession, sequence: UInt64) {
    _ = session.accept(session: identifier, sequence: sequence)
  }

  func reject(_ reason: SoupRejectReason, now: UInt64) {
    _ = session.reject(reason)
    leave(now)
  }

  /// Does not answer the login.
  func ignore() {
    faults += 1
    stage = .stalled(until: .max)
  }

  func countFault() { faults += 1 }

  func leave(_ now: UInt64) {
    stage = .leaving
    leavingSince = now
  }

  /// Queues messages from ``position`` up to `end` and sends what the socket takes, a bounded number of bytes.
  func send(_ store: borrowing MessageStore, upTo end: Int, random: inout SeededRandom, now: UInt64) {
    if case .stalled(let until) = stage {
      guard now >= until else { return }
      stage = .messages
    }
    if case .messages = stage { fill(store, upTo: end, &random, now) }
    flush(now)
    if case .leaving = stage { takeLeave(now) }
  }

  private func fill(
    _ store: borrowing MessageStore, upTo end: Int, _ random: inout SeededRandom, _ now: UInt64
  ) {
    while position < end {
      if fault.stallAfter == messagesSent {
        fault.stallAfter = nil
        faults += 1
        let (until, overflow) = now.addingReportingOverflow(fault.stallFor)
        stage = .stalled(until: overflow ? .max : until)
        return
      }
      if fault.garbageAfter == messagesSent {
        fault.garbageAfter = nil
        faults += 1
        sendGarbage(&random)
      }
      let message = store.message(at: position)
      if fault.cutAfter == messagesSent {
        faults += 1
        sendHalf(message)
        leave(now)
        return
      }
      guard session.send(sequenced: message) else { return }
      position += 1
      messagesSent += 1
      messages += 1
    }
  }

  private func sendGarbage(_ random: inout SeededRandom) {
    let words = (0..<8).map { _ in random.next() }
    words.withUnsafeBytes { _ = session.send(raw: $0) }
  }

  /// The first half of a message's packet.
  private func sendHalf(_ message: UnsafeRawBufferPointer) {
    let length = UInt16(message.count + 1)
    var packet = [UInt8(length >> 8), UInt8(length & 0xFF), SoupFraming.PacketType.sequencedData.rawValue]
    packet += message.prefix(message.count / 2)
    packet.withUnsafeBytes { _ = session.send(raw: $0) }
  }

  private func flush(_ now: UInt64) {
    let pending = session.pendingOutput
    guard pending.count > 0 else { return }
    let count = bulkhead_tcp_send(descriptor, pending.baseAddress, UInt(pending.count))
    if count >= 0 {
      session.sent(count, now: now)
      bytes += UInt64(count)
    } else if count != -Int(EAGAIN) && count != -Int(EINTR) {
      stage = .closed
    }
  }

  /// Everything is sent: closes this direction, so that the client gets it all, and waits for it to do the same.
  private func takeLeave(_ now: UInt64) {
    if session.pendingOutput.count == 0 && !hasClosedWriting {
      hasClosedWriting = true
      shutdown(descriptor, Int32(SHUT_WR))
    }
    if now - leavingSince > Self.leave { stage = .closed }
  }

  /// Says that the day is over.
  func endSession(now: UInt64) {
    if session.endSession() { leave(now) }
  }

  /// What to wait for on the socket: input always, room for output when there is something to send.
  func events(upTo end: Int) -> Int16 {
    let wants: Bool
    switch stage {
    case .messages: wants = session.pendingOutput.count > 0 || position < end
    // Room that is not going to be used would wake the venue at once, again and again.
    case .stalled: wants = false
    default: wants = session.pendingOutput.count > 0
    }
    return Int16(POLLIN) | (wants ? Int16(POLLOUT) : 0)
  }

  /// When to look again even if the socket has nothing.
  func wakeAt(now: UInt64) -> UInt64 {
    switch stage {
    case .stalled(let until): until
    case .leaving: now + 100_000_000
    default: now + 250_000_000
    }
  }
}
