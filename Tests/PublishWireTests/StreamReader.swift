import StageRecords

@testable import PublishWire

/// What a client makes of a stream, by docs/PUBLISH_PROTOCOL.md alone.
struct StreamReader {
  var chain: UInt64 = 0
  var violations: [String] = []
  /// Live events in order; snapshots by instrument: sequence and entries.
  var live: [FakeEvent] = []
  var snapshots: [(instrument: UInt32, sequence: UInt64, events: [FakeEvent], at: Int)] = []
  var texts: [String] = []
  /// Replayed events in order, by subscription, and how far each has come.
  var replayed: [UInt32: [FakeEvent]] = [:]
  var replayedThrough: [UInt32: UInt64] = [:]
  var checksums: [BookChecksum] = []
  var begins: [SnapshotBegin] = []
  private var open: (begin: SnapshotBegin, sequence: UInt64, events: [FakeEvent])?

  mutating func read(_ stream: SubscriberStream, limit: Int = .max) {
    var left = limit
    while left > 0, let (kind, payload, count) = stream.queue.first() {
      let bytes = UnsafeRawBufferPointer(start: payload, count: count)
      if kind == .text { texts.append(String(decoding: bytes, as: UTF8.self)) } else { read(bytes) }
      stream.queue.removeFirst(bytes: count)
      left -= 1
    }
  }

  private mutating func read(_ bytes: UnsafeRawBufferPointer) {
    guard let frame = try? DecodedFrame(bytes) else { return violations.append("frame that does not decode") }
    if frame.header.previousSequence != chain {
      violations.append("previous \(frame.header.previousSequence) after \(chain)")
    }
    chain = frame.header.sequence
    var events: [FakeEvent] = []
    frame.forEach { entry in
      events.append(FakeEvent(kind: entry.kind, bytes: Array(entry.event)))
    }
    switch frame.block {
    case .events:
      for event in events
      where event.sequence > chain || event.sequence < frame.header.previousSequence {
        violations.append("event \(event.sequence) in frame up to \(chain)")
      }
      if frame.header.flags == 0, events.last?.sequence != chain { violations.append("frame ends early") }
      live += events
    case .snapshotBegin(let begin):
      begins.append(begin)
      open = (begin, chain, [])
    case .snapshotOrders: open?.events += events
    case .snapshotEnd(let end):
      guard let open else { return violations.append("end without begin") }
      if UInt64(open.events.count) != end.entries || open.begin.instrument != end.instrument
        || open.sequence != chain || open.begin.orders != end.orders
      {
        violations.append("snapshot of \(end.instrument) is not what it says")
      }
      snapshots.append((end.instrument, chain, open.events, live.count))
      self.open = nil
    case .heartbeat, .status: break
    case .replay(let replay):
      if let before = replayedThrough[replay.subscription], before != replay.after {
        violations.append("replay after \(replay.after) behind \(before)")
      }
      if events.last?.sequence != replay.through || events.contains(where: { $0.sequence < replay.after }) {
        violations.append("replay through \(replay.through) holds others")
      }
      replayedThrough[replay.subscription] = replay.through
      replayed[replay.subscription, default: []] += events
    case .checksum(let checksum): checksums.append(checksum)
    case .unknown(let template): violations.append("template \(template)")
    }
  }
}
