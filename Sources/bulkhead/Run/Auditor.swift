import CLinux
import Glibc
import LatencyHistogram
import ShmRing
import StageRecords
import StageRuntime
import StreamDigest
import Topology

/// A gap as the stream declared it.
struct DeclaredGap: Equatable {
  let first: UInt64
  let last: UInt64
  let reason: UInt8
}

/// An instrument whose quarantine ended, and the last message that its book can contain: the one before that of the next event.
/// What comes after the recovery and makes no event changes no book.
struct InstrumentRecovered: Equatable {
  let instrument: UInt32
  var through: UInt64
}

/// Reads the book ring as any client would and checks what the stream promises: every event's identity follows the
/// one before it, message by message, and whatever is lost is declared. Computes the stream digest.
struct Auditor: ~Copyable {
  private static let eventsPerTurn = 4096

  let control: ControlPage
  private var consumer: RingConsumer
  private let buffer: UnsafeMutableRawPointer
  private var digest = StreamDigest()
  private var lastHeader: BookEventHeader?

  private(set) var gaps: [DeclaredGap] = []
  /// Gaps that a restarted book stage declared about its own state.
  private(set) var restartGaps: [DeclaredGap] = []
  /// Instruments that turned stale one by one, with the reason; the channel as a whole counts as instrument 0.
  private(set) var staleMarks: UInt64 = 0
  private(set) var channelStaleSince: UInt64?
  /// Instruments that came out of quarantine by a book in the stream, in order.
  private(set) var recoveries: [InstrumentRecovered] = []
  private(set) var endOfSession: UInt64?
  private(set) var identityViolations: UInt64 = 0
  private(set) var laps: UInt64 = 0
  private(set) var lostCells: UInt64 = 0
  private(set) var newestSequence: UInt64 = 0
  /// The number with which the ring's stream begins: beyond 1 when the set took its session up in the midst.
  private(set) var firstSequence: UInt64 = 1

  /// Attaches to a running set as its built-in reader.
  static func attach(_ topology: Topology) throws(RingError) -> Auditor {
    let hash = UInt64(topology.hash, radix: 16) ?? 0
    let control = try ControlPage.attach(
      directory: topology.host.directory, component: InstanceFiles.auditor, access: .readWrite)
    let consumer = try RingConsumer.attach(
      path: "\(topology.host.directory)/book.ring", reader: InstanceFiles.auditor, start: .oldest,
      configurationHash: hash)
    control.beginIncarnation()
    control.setState(.ready)
    return Auditor(control: control, consumer: consumer)
  }

  private init(control: consuming ControlPage, consumer: consuming RingConsumer) {
    buffer = UnsafeMutableRawPointer.allocate(byteCount: consumer.maximumRecordBytes + 64, alignment: 64)
    buffer.initializeMemory(as: UInt8.self, repeating: 0, count: consumer.maximumRecordBytes + 64)
    self.control = control
    self.consumer = consumer
  }

  deinit { buffer.deallocate() }

  var events: UInt64 { digest.eventCount }
  var streamDigest: UInt64 { digest.value }

  /// Reads what is there, up to a turn's worth. Returns the number of events.
  mutating func turn() -> Int {
    var count = 0
    reading: while count < Self.eventsPerTurn {
      switch consumer.poll(into: buffer) {
      case .record(let kind, let bytes):
        if events == 0 { lookForOrigin() }
        take(kind, UnsafeRawBufferPointer(start: buffer, count: bytes))
        count += 1
      case .lapped(let from, let to):
        laps += 1
        lostCells += to - from
        lastHeader = nil
      case .halted(let halt): consumer.continueOrEnd(after: halt, component: "bulkhead")
      case .empty: break reading
      }
    }
    if events == 0 { lookForOrigin() }
    if count > 0, let header = lastHeader {
      newestSequence = header.sequence
      control.setAppliedSequence(header.sequence)
      let now = bulkhead_realtime_nanoseconds()
      if header.receiveTime != 0, now > header.receiveTime {
        control.latency.record(now - header.receiveTime)
      }
      control.beat()
    }
    return count
  }

  /// Before its first event the ring says whether there were others, which this reader will not see.
  private mutating func lookForOrigin() {
    let first = consumer.producerWord(StreamOrigin.firstSequenceWord)
    guard first > 1, first != firstSequence else { return }
    firstSequence = first
    control.setAppliedSequence(first &- 1)
  }

  /// Sleeps until an event comes, at most that long.
  func park(nanoseconds: Int64) { consumer.park(nanoseconds: nanoseconds) }

  private mutating func take(_ kind: UInt8, _ event: UnsafeRawBufferPointer) {
    guard event.count >= BookEventHeader.bytes, let base = event.baseAddress else {
      identityViolations += 1
      return
    }
    let header = BookEventHeader(from: base)
    // Notices are no part of the stream that the venue's messages make.
    if header.index < BookEventHeader.imageNoticeIndex, header.sequence > 0 {
      digest.update(kind: kind, event: event)
    }
    if let last = lastHeader {
      if !Self.follows(header, last) { identityViolations += 1 }
      if header.sequence != last.sequence, recoveries.last?.through == .max {
        placeRecoveries(header.sequence)
      }
    }
    lastHeader = header
    switch kind {
    case BookEventKind.gap.rawValue where event.count >= BookEventHeader.bytes + 24:
      let body = base + BookEventHeader.bytes
      let gap = DeclaredGap(
        first: body.loadUnaligned(as: UInt64.self),
        last: body.loadUnaligned(fromByteOffset: 8, as: UInt64.self),
        reason: UInt8(truncatingIfNeeded: body.loadUnaligned(fromByteOffset: 16, as: UInt64.self)))
      if header.index >= BookEventHeader.restartNoticeIndex {
        restartGaps.append(gap)
      } else {
        gaps.append(gap)
      }
    case BookEventKind.trust.rawValue where event.count >= BookEventHeader.bytes + 24:
      guard event.load(fromByteOffset: BookEventHeader.bytes, as: UInt8.self) == TrustState.stale.rawValue
      else {
        if header.instrument == 0 { channelStaleSince = nil }
        if header.instrument > 0, header.index >= BookEventHeader.recoveryIndex {
          recoveries.append(InstrumentRecovered(instrument: header.instrument, through: .max))
        }
        break
      }
      staleMarks += 1
      if header.instrument == 0, channelStaleSince == nil { channelStaleSince = header.sequence }
    case BookEventKind.endOfSession.rawValue:
      endOfSession = header.sequence
    default: break
    }
  }

  private mutating func placeRecoveries(_ next: UInt64) {
    for index in recoveries.indices where recoveries[index].through == .max {
      recoveries[index].through = next &- 1
    }
  }

  /// Whether an event's identity may come directly after another's.
  private static func follows(_ header: BookEventHeader, _ last: BookEventHeader) -> Bool {
    if last.flags & EventFlags.last == 0 {
      return header.sequence == last.sequence && header.index == last.index &+ 1
    }
    if header.index >= BookEventHeader.recoveryIndex {
      return header.sequence == last.sequence && header.index > last.index
    }
    return header.sequence > last.sequence && header.index == 0
  }
}
