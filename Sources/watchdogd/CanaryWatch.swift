import FeedWire
import ShmRing
import StageRecords
import StageRuntime
import Supervision
import Topology

/// The canary of one stage: draws numbers from the end of what it reads, and looks for them at the end of what it writes. Reads
/// the rings themselves, a few records a second, and leaves no trace in them.
final class CanaryWatch {
  /// How often an open challenge is looked after.
  private static let lookNanoseconds: UInt64 = 10_000_000
  /// What an add-order message (A, F) makes is an event, or makes a book stale, which is one: it is what can be asked for.
  private static let addOrders: [UInt8] = [UInt8(ascii: "A"), UInt8(ascii: "F")]

  private enum Kind { case merge, book }

  private let kind: Kind
  private let inputs: [RingTail]
  private let output: RingTail
  private var canary = Canary()
  private var turn = 0
  /// Of the input that the open challenge was drawn from.
  private var asked = 0
  private var sinceLook: UInt64 = 0
  /// Of a session whose messages were seen to come out: a datagram of another one need not.
  private var provenSession: MoldUDP64Session?

  /// Nil for a stage whose work cannot be seen on rings.
  init?(stage: Topology.Stage, of topology: Topology) throws(RingError) {
    switch stage.program {
    case "merged": kind = .merge
    case "bookd": kind = .book
    default: return nil
    }
    guard let written = topology.ring(writtenBy: stage.name) else { return nil }
    let directory = topology.host.directory
    output = try RingTail(path: "\(directory)/\(written.name).ring", cells: 64)
    var inputs: [RingTail] = []
    for ring in topology.rings where ring.readers.contains(stage.name) {
      inputs.append(try RingTail(path: "\(directory)/\(ring.name).ring", cells: kind == .merge ? 512 : 64))
    }
    self.inputs = inputs
  }

  func reset() { canary.reset() }

  /// One look: whether the stage owes what it says that it took.
  /// - Parameters:
  ///   - cursors: where the stage stands on each of its inputs.
  ///   - isWorking: it is READY, and not halted.
  func look(_ control: borrowing ControlPage, cursors: (Int) -> UInt64, isWorking: Bool, step: UInt64) -> Bool
  {
    guard isWorking else {
      canary.skip()
      return false
    }
    let tally = tally(control)
    if canary.wantsChallenge { draw(tally) }
    sinceLook &+= step
    var newest: UInt64?
    if canary.challenge != nil, sinceLook >= Self.lookNanoseconds {
      sinceLook = 0
      newest = newestOutput()
    }
    return canary.look(
      output: newest, claimed: cursors(asked), tally: tally, isExcused: isExcused(control), step: step)
  }

  /// What the stage says that it refused, or passed over, on purpose.
  private func tally(_ control: borrowing ControlPage) -> UInt64 {
    switch kind {
    case .merge:
      control.value(MergeCounter.foreignSessionPackets) &+ control.value(MergeCounter.malformedPackets)
        &+ control.value(MergeCounter.farAheadClaims) &+ control.value(MergeCounter.sequenceResets)
    case .book:
      control.value(BookCounter.rejects) &+ control.value(BookCounter.messagesWithheld)
    }
  }

  /// merged holds back what comes behind a hole. A book that is stale already makes no event of being made stale.
  private func isExcused(_ control: borrowing ControlPage) -> Bool {
    switch kind {
    case .merge: control.value(MergeCounter.gapsOpen) > 0
    case .book:
      control.value(BookCounter.staleInstruments) > 0 || control.value(BookCounter.channelStale) > 0
        || control.value(BookCounter.quarantinedInstruments) > 0
    }
  }

  private func draw(_ tally: UInt64) {
    guard !inputs.isEmpty else { return canary.skip() }
    turn = (turn + 1) % inputs.count
    asked = turn
    let found = kind == .merge ? drawPacket() : drawMessage()
    guard let found else { return canary.skip() }
    canary.pose(Canary.Challenge(number: found.number, position: found.position, tally: tally))
    sinceLook = Self.lookNanoseconds
  }

  /// The last add-order message at the end of the merged ring.
  private func drawMessage() -> (number: UInt64, position: UInt64)? {
    var found: (number: UInt64, position: UInt64)?
    inputs[turn].walk { kind, bytes, position in
      if kind == MergedRecord.Kind.message, bytes.count > MergedRecord.messageHeaderBytes,
        Self.addOrders.contains(bytes[MergedRecord.messageHeaderBytes])
      {
        found = (bytes.loadUnaligned(as: UInt64.self), position)
      }
    }
    return found
  }

  /// The end of the last datagram at the end of a receiver's ring that continues the one before it, of a session that is known
  /// to come out: nothing that a stranger sends by itself is ever asked for.
  private func drawPacket() -> (number: UInt64, position: UInt64)? {
    var found: (number: UInt64, position: UInt64)?
    var session: MoldUDP64Session?
    var expected: (session: MoldUDP64Session, sequence: UInt64)?
    inputs[turn].walk { kind, bytes, position in
      guard kind == PacketRecord.kind, bytes.count >= PacketRecord.headerBytes + MoldUDP64.headerBytes,
        let base = bytes.baseAddress
      else { return }
      let header = base + PacketRecord.headerBytes
      let own = MoldUDP64Session(from: header)
      let sequence = UInt64(bigEndian: (header + MoldUDP64.sequenceOffset).loadUnaligned(as: UInt64.self))
      let count = UInt16(bigEndian: (header + MoldUDP64.countOffset).loadUnaligned(as: UInt16.self))
      guard count != MoldUDP64.heartbeatCount, count != MoldUDP64.endOfSessionCount, sequence > 0,
        sequence < .max - UInt64(count)
      else { return }
      let next = sequence + UInt64(count)
      if let expected, expected.session == own, expected.sequence == sequence {
        found = (next - 1, position)
        session = own
      }
      expected = (own, next)
    }
    guard let found, let session else { return nil }
    if let newest = newestOutput(), newest >= found.number { provenSession = session }
    return provenSession == session ? found : nil
  }

  /// The newest number in what the stage hands on.
  private func newestOutput() -> UInt64? {
    var newest: UInt64?
    output.walk { recordKind, bytes, _ in
      switch kind {
      case .book:
        if bytes.count >= BookEventHeader.bytes { newest = bytes.loadUnaligned(as: UInt64.self) }
      case .merge:
        switch recordKind {
        case MergedRecord.Kind.message: newest = bytes.loadUnaligned(as: UInt64.self)
        case MergedRecord.Kind.gap, MergedRecord.Kind.imageEnd:
          newest = bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
        default: break
        }
      }
    }
    return newest
  }
}

/// The last records of a ring.
private final class RingTail {
  /// More records than a tail has cannot be walked through in one look.
  private static let recordLimit = 4_096

  private var ring: RingObserver
  private let buffer: UnsafeMutableRawPointer
  private let cells: UInt64

  /// - Parameter cells: how far from the end a walk begins
  init(path: String, cells: UInt64) throws(RingError) {
    let ring = try RingObserver.attach(path: path)
    buffer = .allocate(byteCount: ring.bufferBytes, alignment: 64)
    self.ring = ring
    self.cells = cells
  }

  deinit { buffer.deallocate() }

  /// Calls `body` with kind, bytes and position of each of the last records, the newest last.
  func walk(_ body: (UInt8, UnsafeRawBufferPointer, UInt64) -> Void) {
    let end = ring.frontier()
    let oldest = ring.oldestRetained
    guard case .at = ring.move(to: max(oldest, end > cells ? end - cells : 0)) else { return }
    for _ in 0..<Self.recordLimit {
      guard case .record(let kind, let bytes) = ring.poll(into: buffer) else { return }
      body(kind, UnsafeRawBufferPointer(start: buffer, count: bytes), ring.recordPosition)
    }
  }
}
