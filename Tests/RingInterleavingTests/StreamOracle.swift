@testable import ShmRing

/// Knows what every incarnation of the producer meant to write, and judges what readers and successors find. It is
/// told by the actors themselves, not through shared memory, so no order of accesses can deceive it. Incarnations may
/// overlap: one that was given up for dead goes on while its successor stands in a new file already.
final class StreamOracle {
  struct Record {
    let number: UInt64
    let kind: UInt8
    let bytes: Int
    /// Where the pad in front of it starts, if there is one.
    let padAt: UInt64?
    let position: UInt64
    let end: UInt64
    let batch: Int
    let epoch: UInt64
  }
  struct Batch {
    let start: UInt64
    var end: UInt64
    let epoch: UInt64
    var publishBegun = false
    /// The call has returned, or a successor found it.
    var isPublished = false
    /// The call has returned before anybody began to take over: no successor may forget it.
    var isCertain = false
    var wasSeen = false
    /// A successor went on in front of it.
    var isForgotten = false
  }
  /// One incarnation of the producer, and its open batch.
  final class Incarnation {
    let epoch: UInt64
    fileprivate var open: Int?
    init(epoch: UInt64) { self.epoch = epoch }
  }

  private var records: [UInt64: Record] = [:]
  private var batches: [Batch] = []
  private var numbers: UInt64 = 0
  private var isBeingTakenOver = false
  private(set) var epoch: UInt64 = 0
  private var epochs: Set<UInt64> = []
  private var successions: [UInt64] = [0]
  /// Per reader: the next position, as its events say.
  private(set) var readers: [String: UInt64] = [:]
  /// Readers of a gated ring that the supervisor has let go of at some time.
  private var detached: Set<String> = []
  let forges: Bool
  let isGated: Bool
  let cells: Int

  init(cells: Int, forges: Bool, isGated: Bool) {
    self.cells = cells
    self.forges = forges
    self.isGated = isGated
  }

  init(copying other: StreamOracle) {
    records = other.records
    batches = other.batches
    numbers = other.numbers
    epoch = other.epoch
    epochs = other.epochs
    successions = other.successions
    readers = other.readers
    forges = other.forges
    isGated = other.isGated
    cells = other.cells
  }

  /// Behind the newest record that is certainly part of the stream.
  var frontier: UInt64 {
    max(successions.last ?? 0, batches.filter { $0.isPublished && !$0.isForgotten }.map(\.end).max() ?? 0)
  }

  private func newest(before end: UInt64) -> Record? {
    records.values.filter { $0.end <= end && !batches[$0.batch].isForgotten }.max { $0.end < $1.end }
  }

  // MARK: The producer's side

  /// A producer has attached or taken over; when it began, the stream certainly went to `certain`. Answers what is wrong
  /// with where it stands and what it found: the newest record, and how far its predecessor said that its input was read.
  func attached(
    at start: UInt64, epoch: UInt64, newest found: (number: UInt64, bytes: Int)?, input: UInt64,
    certain: UInt64
  ) -> (incarnation: Incarnation, problem: String?) {
    let incarnation = Incarnation(epoch: epoch)
    guard epochs.insert(epoch).inserted else { return (incarnation, "a second producer of epoch \(epoch)") }
    // It was replaced before it came as far as this; nothing that it does matters.
    guard epoch > self.epoch else { return (incarnation, nil) }
    self.epoch = epoch
    guard start >= certain else {
      return (incarnation, "successor at \(start), the stream went to \(certain) already")
    }
    var end = successions.last ?? 0
    for index in batches.indices where !batches[index].isForgotten {
      let batch = batches[index]
      let story =
        "the batch \(batch.start)..<\(batch.end) was "
        + (batch.wasSeen ? "read" : batch.publishBegun ? "being published" : "not published")
      // (A batch that was begun at `start` may be empty still.)
      if batch.end <= start, batch.start < start {
        guard batch.publishBegun else {
          return (incarnation, "successor at \(start), but \(story)")
        }
        batches[index].isPublished = true
        end = max(end, batch.end)
      } else {
        guard batch.start >= start, !batch.wasSeen else {
          return (incarnation, "successor at \(start), but \(story)")
        }
        batches[index].isForgotten = true
      }
    }
    successions.append(start)
    isBeingTakenOver = false
    guard start == end else { return (incarnation, "successor at \(start), the stream ends at \(end)") }
    let expected = newest(before: start)
    guard found?.number == expected?.number, found?.bytes == expected?.bytes else {
      return (incarnation, "newest record found: \(found as Any), is: \(expected as Any)")
    }
    guard input <= expected?.number ?? 0 else {
      return (
        incarnation,
        "input was read to \(input), says the ring, but its newest record is \(expected?.number ?? 0)"
      )
    }
    return (incarnation, nil)
  }

  /// Somebody begins to attach or to take over. Answers how far the stream certainly goes.
  func succession(takesOver: Bool) -> UInt64 {
    if takesOver { isBeingTakenOver = true }
    return max(
      successions.last ?? 0, batches.filter { $0.isCertain && !$0.isForgotten }.map(\.end).max() ?? 0)
  }

  func beginBatch(_ incarnation: Incarnation, at position: UInt64) {
    incarnation.open = batches.count
    batches.append(Batch(start: position, end: position, epoch: incarnation.epoch))
    // A batch begun by one who was replaced and does not know it yet is none of the stream's.
    batches[batches.count - 1].isForgotten = incarnation.epoch < epoch
  }

  /// A number that no other record has. Numbers rise within the stream.
  func nextNumber() -> UInt64 {
    numbers += 1
    return numbers
  }

  func committed(
    _ incarnation: Incarnation, number: UInt64, kind: UInt8, bytes: Int, padAt: UInt64?, at position: UInt64
  ) {
    guard let open = incarnation.open else { return }
    let end = position + UInt64(Stamp.cells(length: bytes))
    records[number] = Record(
      number: number, kind: kind, bytes: bytes, padAt: padAt, position: position, end: end, batch: open,
      epoch: incarnation.epoch)
    batches[open].end = end
  }

  func publishing(_ incarnation: Incarnation) {
    if let open = incarnation.open { batches[open].publishBegun = true }
  }

  func published(_ incarnation: Incarnation) {
    if let open = incarnation.open {
      batches[open].isPublished = true
      batches[open].isCertain = !isBeingTakenOver && incarnation.epoch == epoch
    }
    incarnation.open = nil
  }

  /// The open batch went nowhere: its producer has found that the ring is not its own any more.
  func diverted(_ incarnation: Incarnation) {
    if let open = incarnation.open { batches[open].isForgotten = true }
    incarnation.open = nil
  }

  // MARK: The reader's side

  /// A reader has attached at `position`; `expected` is what its cursor page said.
  func readerAttached(_ reader: String, at position: UInt64, expected: UInt64) -> String? {
    readers[reader] = position
    return position == expected
      ? nil : "reader \(reader) came back at \(position), its cursor said \(expected)"
  }

  func detached(_ reader: String) { detached.insert(reader) }

  /// A reader that stood at `before` took a record and now stands at `after`. Answers what is wrong.
  func accepted(
    _ reader: String, before: UInt64, after: UInt64?, kind: UInt8, bytes: Int, payload: UnsafeRawPointer,
    epoch: UInt64
  ) -> String? {
    let number = Self.number(of: payload)
    guard let record = records[number] else {
      return "reader \(reader) took a record at \(before), torn or where none is: first word is no record's"
    }
    guard before == record.position || before == record.padAt else {
      return "reader \(reader) took a record at \(before) that was put at \(record.position)"
    }
    guard batches[record.batch].publishBegun else {
      return "reader \(reader) took record \(number) at \(record.position), which was never published"
    }
    guard !batches[record.batch].isForgotten else {
      return "reader \(reader) took record \(number) of epoch \(record.epoch), whose producer was replaced"
    }
    guard record.kind == kind, record.bytes == bytes, after == nil || after == record.end else {
      return "reader \(reader) took (kind \(kind), \(bytes) bytes, to \(after ?? 0)) for \(record)"
    }
    for offset in stride(from: 0, to: bytes, by: 8) {
      let word = payload.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
      guard word == self.word(of: number, offset: offset, at: record.position) else {
        return
          "reader \(reader) took a torn record at \(record.position): byte \(offset) is not of record \(number)"
      }
    }
    guard epoch >= record.epoch else {
      return "reader \(reader) took a record of epoch \(record.epoch) in epoch \(epoch)"
    }
    batches[record.batch].wasSeen = true
    readers[reader] = record.end
    return nil
  }

  /// A reader that stood at `before` was told of a loss. Answers what is wrong.
  func lapped(_ reader: String, before: UInt64, from: UInt64, to: UInt64, claimed: UInt64) -> String? {
    guard !isGated || detached.contains(reader) else {
      return "reader \(reader), which counts, lost \(from)..<\(to) on a gated ring"
    }
    // A pad that it stepped over is no loss.
    let isBehindPad = records.values.contains { $0.padAt == before && $0.position == from }
    guard from == before || isBehindPad, to > from else {
      return "reader \(reader) at \(before) was told that \(from)..<\(to) is lost"
    }
    guard to + UInt64(cells) <= claimed else {
      return "reader \(reader) was told that \(from)..<\(to) is lost; only \(claimed) is claimed"
    }
    let isBoundary =
      to == frontier || batches.contains { $0.start == to }
      || records.values.contains { $0.position == to || $0.padAt == to }
    guard isBoundary else { return "reader \(reader) was sent to \(to), where no record starts" }
    readers[reader] = to
    return nil
  }

  /// All have ended: a reader that lived must have come to the end.
  func judgeEnd(of reader: String) -> String? {
    readers[reader] == frontier
      ? nil : "reader \(reader) ended at \(readers[reader] ?? 0), the stream at \(frontier)"
  }

  /// Readers are asleep and nobody is left to wake them.
  func judgeSleep(of reader: String) -> String? {
    (readers[reader] ?? 0) >= frontier
      ? nil
      : "lost wake-up: reader \(reader) sleeps at \(readers[reader] ?? 0), the stream goes to \(frontier)"
  }

  // MARK: Payloads

  /// The payload word at `offset` of a record. The first word of a record's continuation cells may look exactly like
  /// the stamp that the cell would carry one lap later.
  func word(of number: UInt64, offset: Int, at position: UInt64) -> UInt64 {
    if forges, (offset + RingLayout.stampBytes) % RingLayout.cellBytes == 0 {
      let cell = position + UInt64((offset + RingLayout.stampBytes) / RingLayout.cellBytes)
      return Stamp.make(lap: cell / UInt64(cells) + 1, kind: 9, length: 8)
    }
    return number &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(offset) &+ 1
  }

  /// The number is in the first word, unless that is a forged one; records of the scenarios have two words at least.
  static func number(of payload: UnsafeRawPointer) -> UInt64 {
    (payload.load(as: UInt64.self) &- 1) &* 0xF1DE_83E1_9937_733D
  }
}
