import Glibc
import ShmRing

/// The writer's process: continues behind what its predecessor published, at full rate, until it is told to stop, is
/// killed, or finds that another one took over.
struct WriterRole: ~Copyable {
  private let plan: RingPlan
  private let ledger: Ledger
  private let geometry: RingGeometry
  private var producer: RingProducer
  private var walk: Walk
  private var random: SeededGenerator
  private let kind: UInt8

  init(plan: RingPlan, files: RingFiles, takesOver: Bool, seed: UInt64) throws(RingError) {
    let ledger = try Ledger(path: files.ledger)
    let geometry = try plan.geometry()
    let readers = [RingPlan.reader]
    let hash = RingPlan.configuration
    let producer =
      takesOver
      ? try RingProducer.takeOver(path: files.ring, readers: readers, configurationHash: hash)
      : try RingProducer.attach(path: files.ring, readers: readers, configurationHash: hash)
    // Not from the writers' own: one that was replaced, and does not know it yet, goes on with it.
    let before = ledger.reader.stableWords
    walk = plan.walk(geometry, number: before.number, position: before.position)
    kind = TortureScript.kind(epoch: producer.epoch)
    random = SeededGenerator(state: seed)
    self.plan = plan
    self.ledger = ledger
    self.geometry = geometry
    self.producer = producer
  }

  /// Finds its place. Throws when that is not where the predecessor ended.
  mutating func findPlace() throws(Violation) {
    guard walk.advance(to: producer.nextPosition) else {
      throw .positions(
        "successor at \(producer.nextPosition), where record \(walk.number) cannot start (\(walk.position))")
    }
    try checkNewestRecord()
    ledger.setFirstNumber(walk.number, epoch: producer.epoch)
    checkpoint()
  }

  /// The tail of the ring, from which a successor learns how far its predecessor came.
  private mutating func checkNewestRecord() throws(Violation) {
    guard walk.number > 0 else { return }
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: 70_000, alignment: 64)
    defer { buffer.deallocate() }
    let newest = walk.number - 1
    guard let found = producer.copyNewestRecord(into: buffer) else {
      throw .missing(expected: newest, found: walk.number)
    }
    let first = TortureScript.firstWord(of: newest, kind: found.kind)
    guard found.bytes == TortureScript.length(of: newest, limit: walk.limit),
      TortureScript.isFilled(buffer, first: first, bytes: found.bytes)
    else { throw .torn(number: newest, position: walk.position) }
  }

  private func checkpoint() {
    ledger.writer.replace(with: .init(number: walk.number, position: walk.position))
  }

  /// Writes until it is told to stop. `spawn` is what ``Ledger/writerRuns`` says from the first batch on.
  /// - Returns: false when another incarnation took over.
  mutating func run(spawn: UInt64) throws -> Bool {
    var batches: UInt64 = 0
    while ledger.stop.loadRelaxed() == 0 {
      writeBatch()
      if let halt = producer.halt {
        guard halt == .retired else { throw Violation.positions("writer: \(halt)") }
        return false
      }
      batches &+= 1
      if batches == 1 { ledger.writerRuns.storeReleasing(spawn) }
      if batches & 63 == 0 {
        checkpoint()
        if batches & 4095 == 0, let halt = producer.checkHealth() {
          guard halt == .retired else { throw Violation.positions("writer: \(halt)") }
          return false
        }
      }
    }
    checkpoint()
    ledger.finalNumber.storeReleasing(walk.number + 1)
    return true
  }

  /// One batch of a random number of records, as many as fit.
  private mutating func writeBatch() {
    let start = producer.nextPosition
    let room = UInt64(geometry.cellCount - geometry.segmentCells)
    var left = 1 + Int(random.next() % UInt64(plan.batch))
    let before = walk
    while left > 0, walk.claim &- start <= room {
      let bytes = walk.length
      guard let payload = place(bytes: bytes) else { break }
      let first = TortureScript.firstWord(of: walk.number, kind: kind)
      for _ in 0..<plan.scribbles {
        TortureScript.fill(payload, first: first ^ TortureScript.poisonMark, bytes: bytes)
        scribbleBarrier()
      }
      TortureScript.fill(payload, first: first, bytes: bytes)
      producer.commit(kind: kind, bytes: bytes)
      walk.advance()
      left -= 1
    }
    producer.publish()
    // What was committed after the ring was lost went nowhere.
    if producer.halt != nil { walk = before }
  }

  /// Room for the next record. On a gated ring it waits for the reader, with the batch open: a reader needs nothing of
  /// it to come on.
  @inline(__always)
  private mutating func place(bytes: Int) -> UnsafeMutableRawPointer? {
    if plan.mode == .overwriting { return producer.reserve(bytes: bytes) }
    if let payload = producer.tryReserve(bytes: bytes) { return payload }
    if !producer.hasOpenBatch { ledger.writerWaits.storeReleasing(1) }
    defer { ledger.writerWaits.storeReleasing(0) }
    while true {
      if let payload = producer.tryReserve(bytes: bytes) { return payload }
      if producer.halt != nil || ledger.stop.loadRelaxed() != 0 { return nil }
      sched_yield()
    }
  }
}

/// Keeps the compiler from leaving out stores that are overwritten at once.
@inline(never)
@_optimize(none)
func scribbleBarrier() {}
