import CLinux
import FeedSim
import FeedWire
import Glibc

/// One line: cuts the session into packets, impairs them, sends them in batches.
final class LineSender {
  let name: String
  private let descriptor: Int32
  private let session: MoldUDP64Session
  private var packetizer: Packetizer
  private(set) var impairment: LineImpairment
  private var packetWindow: PacketWindow?
  private var due: [PacketRange] = []
  private let headers: UnsafeMutableRawPointer
  /// The one datagram with a wrong byte.
  private let altered: UnsafeMutableRawBufferPointer
  private static let payloadLimit = 65_536
  private let parts: UnsafeMutablePointer<iovec>

  /// When a datagram last left, monotonic nanoseconds.
  private(set) var lastSentAt: UInt64
  private(set) var datagrams: UInt64 = 0
  private(set) var heartbeats: UInt64 = 0
  private(set) var endOfSessions: UInt64 = 0
  /// Calls that the system refused for now (EAGAIN, ENOBUFS, EPERM), and that were made again.
  private(set) var retries: UInt64 = 0

  private static let batch = Int(VENUE_BATCH)
  /// Nanoseconds of refusals in a row after which the line gives up.
  private static let patience: UInt64 = 10_000_000_000

  struct Setup {
    var name: String
    var line: VenueLine
    var policy: CutPolicy
    var plan: LineImpairmentPlan
    var seed: UInt64
  }

  init(
    _ setup: Setup, session: MoldUDP64Session, maximumMessages: Int, windowPackets: Int?
  ) throws {
    name = setup.name
    self.session = session
    descriptor = try openMulticastSender(setup.line)
    packetizer = Packetizer(maximumMessages: maximumMessages, policy: setup.policy)
    impairment = LineImpairment(setup.plan, seed: setup.seed)
    packetWindow = windowPackets.map(PacketWindow.init)
    headers = .allocate(byteCount: Self.batch * MoldUDP64.headerBytes, alignment: 8)
    altered = .allocate(byteCount: Self.payloadLimit, alignment: 8)
    parts = .allocate(capacity: Self.batch * 2)
    due.reserveCapacity(2 * Self.batch)
    lastSentAt = monotonicNow()
  }

  deinit {
    close(descriptor)
    headers.deallocate()
    altered.deallocate()
    parts.deallocate()
  }

  /// Messages that have been offered: sent, dropped or held back. Also the last sequence number of these.
  var offered: Int { packetizer.next }

  /// Why nothing more was offered.
  enum Stop {
    case reached, noneLeft
    /// The message with this number may not be sent yet.
    case notPermitted(UInt64)
    /// The window in packets is closed until this number is handled.
    case windowClosed(UInt64)
  }

  /// Offers packets until one starts at or after message index `target`, and sends what comes out.
  ///
  /// - Parameters:
  ///   - permitted: the last sequence number that may be sent
  ///   - handled: what every followed process has handled
  func advance(
    to target: Int, permitted: UInt64, handled: UInt64, store: borrowing MessageStore, now: UInt64
  ) throws -> Stop {
    var stop = Stop.reached
    while packetizer.next < target {
      guard let packet = packetizer.peek(store) else {
        stop = .noneLeft
        break
      }
      guard UInt64(packet.end) <= permitted else {
        stop = .notPermitted(UInt64(packet.end))
        break
      }
      if packetWindow != nil {
        guard packetWindow?.hasRoom(handled: handled) == true else {
          stop = .windowClosed(packetWindow?.oldestEnd ?? 0)
          break
        }
        packetWindow?.add(end: UInt64(packet.end))
      }
      packetizer.advance()
      impairment.offer(packet, at: now, into: &due)
      if due.count >= Self.batch { try sendDue(store) }
    }
    impairment.release(at: now, into: &due)
    try sendDue(store)
    return stop
  }

  /// Sends packets that wait only to be overtaken: nothing comes that could.
  func flush(store: borrowing MessageStore, now: UInt64) throws {
    impairment.flush(at: now, into: &due)
    try sendDue(store)
  }

  /// Sends a heartbeat that announces the message after the last one that was offered.
  func sendHeartbeat(now: UInt64) throws {
    if impairment.isCut(at: now) {
      lastSentAt = now
      return
    }
    MoldUDP64.writeHeartbeat(session: session, nextSequence: UInt64(offered) + 1, to: headers)
    try sendHeaderOnly(now: now)
    heartbeats &+= 1
  }

  /// Sends an end-of-session packet.
  func sendEndOfSession(now: UInt64) throws {
    if impairment.isCut(at: now) { return }
    MoldUDP64.writeEndOfSession(session: session, nextSequence: UInt64(offered) + 1, to: headers)
    try sendHeaderOnly(now: now)
    endOfSessions &+= 1
  }

  private func sendHeaderOnly(now: UInt64) throws {
    parts[0] = iovec(iov_base: headers, iov_len: MoldUDP64.headerBytes)
    parts[1] = iovec(iov_base: nil, iov_len: 0)
    try send(1)
    lastSentAt = now
  }

  private func sendDue(_ store: borrowing MessageStore) throws {
    guard !due.isEmpty else { return }
    var from = 0
    while from < due.count {
      let count = min(Self.batch, due.count - from)
      for index in 0..<count {
        let packet = due[from + index]
        let header = headers + index * MoldUDP64.headerBytes
        MoldUDP64.writeHeader(
          session: session, sequence: UInt64(packet.first) + 1,
          count: UInt16(truncatingIfNeeded: packet.count), to: header)
        var blocks = store.blocks(from: packet.first, count: packet.count)
        let wrong = impairment.plan.wrong
        if wrong > UInt64(packet.first), wrong <= UInt64(packet.end), blocks.count <= Self.payloadLimit {
          altered.copyMemory(from: blocks)
          let last = store.blocks(from: packet.first, count: Int(wrong) - packet.first).count - 1
          altered[last] ^= 0xFF
          blocks = UnsafeRawBufferPointer(rebasing: altered[..<blocks.count])
        }
        parts[2 * index] = iovec(iov_base: header, iov_len: MoldUDP64.headerBytes)
        parts[2 * index + 1] = iovec(
          iov_base: UnsafeMutableRawPointer(mutating: blocks.baseAddress), iov_len: blocks.count)
      }
      try send(count)
      from += count
    }
    datagrams &+= UInt64(due.count)
    lastSentAt = monotonicNow()
    due.removeAll(keepingCapacity: true)
  }

  /// Sends the first `count` datagrams of `parts`, however often the system wants to be asked.
  private func send(_ count: Int) throws {
    var done = 0
    var refusedSince: UInt64?
    while done < count {
      let sent = venue_send_pairs(descriptor, parts + 2 * done, UInt32(count - done))
      if sent > 0 {
        done += Int(sent)
        refusedSince = nil
        continue
      }
      let number = -sent
      // A datagram socket reports an earlier ICMP error once; the datagram itself was not refused.
      if number == EINTR || number == ECONNREFUSED { continue }
      guard number == EAGAIN || number == ENOBUFS || number == EPERM else {
        throw SystemError("cannot send on line \(name)", number)
      }
      retries &+= 1
      let now = monotonicNow()
      guard now - (refusedSince ?? now) < Self.patience else {
        throw SystemError("line \(name) was refused for \(Self.patience / 1_000_000_000) s", number)
      }
      if refusedSince == nil { refusedSince = now }
      usleep(100)
    }
  }
}
