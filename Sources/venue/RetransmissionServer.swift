import CLinux
import FeedSim
import FeedWire
import Glibc

/// Answers requests for messages that have been sent: one datagram a request, unicast to who asked, with as
/// many of the messages as it holds.
final class RetransmissionServer {
  private struct Answer {
    var dueTime: UInt64
    var address: DatagramAddress
    var packet: PacketRange
    var fault: RetransmitFault.Kind?
  }

  let descriptor: Int32
  private let session: MoldUDP64Session
  private let delay: UInt64
  private let loss: UInt64
  private let retention: UInt64
  private let fault: RetransmitFault
  private static let staleDelay: UInt64 = 300_000_000
  private static let floodCopies = 50
  private var random: SeededRandom
  private let request: UnsafeMutableRawBufferPointer
  private let header: UnsafeMutableRawPointer
  /// In order of their time, since the delay is constant.
  private var waiting: [Answer] = []

  private(set) var requests: UInt64 = 0
  /// Requests of another session, for messages that were never sent, or not requests at all.
  private(set) var ignored: UInt64 = 0
  private(set) var answers: UInt64 = 0
  private(set) var messages: UInt64 = 0
  /// Answers dropped: on purpose, because too many waited, or by the system.
  private(set) var dropped: UInt64 = 0

  private static let waitingLimit = 4_096
  /// Requests taken in one turn, so that a flood of them does not stop the lines.
  private static let turn = 64

  init(_ address: DatagramAddress, session: MoldUDP64Session, options: VenueOptions) throws {
    descriptor = try openRequestReceiver(address)
    self.session = session
    delay = options.retransmitDelay
    loss = options.retransmitLoss
    retention = options.retransmitRetention
    fault = options.retransmitFault
    random = SeededRandom(seed: options.impairmentSeed, stream: 0x4E7)
    request = .allocate(byteCount: 64, alignment: 8)
    header = .allocate(byteCount: MoldUDP64.headerBytes, alignment: 8)
  }

  deinit {
    close(descriptor)
    request.deallocate()
    header.deallocate()
  }

  /// When the next answer is due, `nil` when none waits.
  var nextDue: UInt64? { waiting.first?.dueTime }

  /// Takes requests and sends the answers whose time has come.
  /// - Parameter sent: the last sequence number that may be known outside
  func serve(store: borrowing MessageStore, sent: UInt64, now: UInt64) {
    for _ in 0..<Self.turn {
      var address: UInt32 = 0
      var port: UInt16 = 0
      let length = venue_receive_from(
        descriptor, request.baseAddress, UInt(request.count), &address, &port)
      guard length >= 0 else { break }
      requests &+= 1
      take(
        Int(length), from: DatagramAddress(address: address, port: port), store: store, sent: sent, now: now)
    }
    var done = 0
    while done < waiting.count, waiting[done].dueTime <= now {
      send(waiting[done], store)
      done += 1
    }
    if done > 0 { waiting.removeFirst(done) }
  }

  private func take(
    _ length: Int, from address: DatagramAddress, store: borrowing MessageStore, sent: UInt64, now: UInt64
  ) {
    guard length <= request.count,
      let wanted = MoldUDP64Request(parsing: UnsafeRawBufferPointer(rebasing: request[..<length])),
      wanted.session == session, wanted.sequence <= sent, sent - wanted.sequence < retention
    else {
      ignored &+= 1
      return
    }
    guard !random.chance(partsPerBillion: loss), waiting.count < Self.waitingLimit else {
      dropped &+= 1
      return
    }
    let wrong = requests <= fault.times ? fault.kind : nil
    if wrong == .hang {
      dropped &+= 1
      return
    }
    var first = wanted.sequence
    if wrong == .shift { first = min(first + 1_000, sent) }
    var count = min(UInt64(wanted.count), sent - first + 1)
    if wrong == .drip { count = 1 }
    let packet = Packetizer.cut(
      store, from: Int(first - 1), payload: Packetizer.minimumPayload, messages: Int(count))
    let answer = Answer(
      dueTime: now + delay + (wrong == .stale ? Self.staleDelay : 0), address: address, packet: packet,
      fault: wrong)
    let place = waiting.firstIndex { $0.dueTime > answer.dueTime } ?? waiting.count
    waiting.insert(answer, at: place)
  }

  private func send(_ answer: Answer, _ store: borrowing MessageStore) {
    let packet = answer.packet
    MoldUDP64.writeHeader(
      session: session, sequence: UInt64(packet.first) + 1, count: UInt16(truncatingIfNeeded: packet.count),
      to: header)
    if answer.fault == .foreign { header.storeBytes(of: 0x3F, as: UInt8.self) }
    var blocks = store.blocks(from: packet.first, count: packet.count)
    if answer.fault == .half { blocks = UnsafeRawBufferPointer(rebasing: blocks[..<(blocks.count / 2)]) }
    for _ in 1..<(answer.fault == .flood ? Self.floodCopies : 1) { sendOnce(answer, blocks) }
    guard sendOnce(answer, blocks) else {
      // Nobody waits for this datagram in particular: who still needs it asks again.
      dropped &+= 1
      return
    }
    answers &+= 1
    messages &+= UInt64(packet.count)
  }

  @discardableResult
  private func sendOnce(_ answer: Answer, _ blocks: UnsafeRawBufferPointer) -> Bool {
    var parts = (
      iovec(iov_base: header, iov_len: MoldUDP64.headerBytes),
      iovec(iov_base: UnsafeMutableRawPointer(mutating: blocks.baseAddress), iov_len: blocks.count)
    )
    let status = withUnsafeMutableBytes(of: &parts) {
      venue_send_pair_to(
        descriptor, answer.address.address, answer.address.port,
        $0.baseAddress?.assumingMemoryBound(to: iovec.self))
    }
    return status == 0
  }
}
