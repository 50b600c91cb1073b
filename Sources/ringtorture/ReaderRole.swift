import CLinux
import Glibc
import ShmRing

/// The reader's process: takes records one by one and in place, in random turns, checks every byte, position, loss and
/// incarnation, and reports where it is.
struct ReaderRole: ~Copyable {
  private let plan: RingPlan
  private let files: RingFiles
  private let ledger: Ledger
  private var consumer: RingConsumer
  private var check: StreamCheck
  private let page: CursorObserver
  /// Where the predecessor said that it was.
  private let reported: UInt64
  private var random: SeededGenerator
  // As long as the process.
  private let buffer = UnsafeMutableRawPointer.allocate(byteCount: 70_000, alignment: 64)
  /// The newest incarnation that the reader was told of.
  private var toldEpoch: UInt64
  /// Incarnation of the last record, and that record.
  private var checkedEpoch: UInt64
  private var lastNumber: UInt64?

  init(plan: RingPlan, files: RingFiles, seed: UInt64) throws(RingError) {
    let ledger = try Ledger(path: files.ledger)
    let page = try CursorObserver.attach(ring: files.ring, reader: RingPlan.reader)
    let geometry = try plan.geometry()
    let reported = page.words.position
    let consumer = try RingConsumer.attach(
      path: files.ring, reader: RingPlan.reader, start: .cursor, configurationHash: RingPlan.configuration)
    let before = ledger.reader.words
    self.plan = plan
    self.files = files
    self.ledger = ledger
    self.page = page
    self.reported = reported
    toldEpoch = consumer.producerEpoch
    checkedEpoch = before.epoch
    lastNumber = before.lastAccepted > 0 ? before.lastAccepted - 1 : nil
    random = SeededGenerator(state: seed)
    check = StreamCheck(
      walk: plan.walk(geometry, number: before.number, position: before.position), epoch: before.epoch)
    check.accepted = before.accepted
    check.lost = before.lost
    check.credited = before.credited
    self.consumer = consumer
  }

  /// Finds its place. Throws when that is not where its predecessor reported to be.
  mutating func findPlace() throws(Violation) {
    guard consumer.nextPosition == reported else {
      throw .positions("back at \(consumer.nextPosition), had reported \(reported)")
    }
    let before = ledger.reader.words
    if let violation = check.returned(at: reported) { throw violation }
    // Beyond what goes unreported only a loss can lead, and the page counts it before the reader moves.
    let moved = reported - before.position
    let declared = page.words.lostCells &- before.lostCells
    let turns = Self.turnRecords * Self.turnsToReport * 2
    guard moved <= declared &+ UInt64(turns) * check.walk.segmentCells else {
      throw .positions("back \(moved) cells ahead, \(declared) declared lost")
    }
    checkpoint()
  }

  private static let turnRecords = 64
  /// So many turns at most go by without a report.
  private static let turnsToReport = 4

  private func checkpoint() {
    let words = page.words
    ledger.reader.replace(
      with: .init(
        number: check.walk.number, position: check.walk.position, accepted: check.accepted, lost: check.lost,
        credited: check.credited, epoch: check.epoch, lastAccepted: lastNumber.map { $0 + 1 } ?? 0,
        lostCells: words.lostCells))
    ledger.accepted.storeRelaxed(check.accepted)
  }

  /// Reads until the last writer has ended and everything is read.
  mutating func run(spawn: UInt64) throws {
    var turns: UInt64 = 0
    var unreported = 0
    while true {
      let bits = random.next()
      let count = 1 + Int((bits >> 8) % UInt64(Self.turnRecords))
      let isIdle = bits & 1 == 0 ? try pollTurn(count) : try batchTurn(count)
      // What is counted is always reported too; not every turn is.
      unreported += 1
      if bits & 6 != 0 || isIdle || unreported == Self.turnsToReport {
        consumer.reportPosition()
        checkpoint()
        unreported = 0
      }
      turns &+= 1
      if turns == 1 { ledger.readerRuns.storeReleasing(spawn) }
      if plan.mode == .detaching, consumer.isDetached { consumer.rejoin() }
      if isIdle {
        if try isOver() { return }
        wait(bits >> 3)
      } else if plan.stalls, bits >> 54 == 0 {
        usleep(UInt32(bits >> 20 & 0xFFF))
      }
    }
  }

  private mutating func pollTurn(_ count: Int) throws -> Bool {
    for _ in 0..<count {
      switch consumer.poll(into: buffer) {
      case .record(let kind, let bytes):
        if let violation = check.record(kind: kind, payload: buffer, bytes: bytes) { throw violation }
        if let violation = check.stands(at: consumer.nextPosition) { throw violation }
        let number = check.walk.number &- 1
        if check.epoch != checkedEpoch { try newEpoch(check.epoch, number: number) }
        lastNumber = number
      case .empty: return true
      case .lapped(let from, let to): try lapped(from: from, to: to)
      case .halted(let halt): try halted(halt)
      }
    }
    return false
  }

  /// The same in place: what was checked counts only if the batch was whole.
  private mutating func batchTurn(_ count: Int) throws -> Bool {
    var batch = consumer.openBatch()
    var trial = check
    var violation: Violation?
    var epochs: [(epoch: UInt64, number: UInt64)] = []
    var taken = 0
    while taken < count, violation == nil, let record = batch.next() {
      let epoch = trial.epoch
      // A record without payload would have no address; there is none.
      guard let payload = record.payload.baseAddress else { break }
      violation = trial.record(kind: record.kind, payload: payload, bytes: record.payload.count)
      if violation == nil { violation = trial.stands(at: batch.end) }
      if trial.epoch != epoch { epochs.append((trial.epoch, trial.walk.number - 1)) }
      taken += 1
    }
    switch consumer.accept(batch) {
    case .whole(let records):
      if let violation { throw violation }
      guard records == taken else { throw Violation.positions("batch of \(records), \(taken) were read") }
      for change in epochs {
        if change.number > check.walk.number { lastNumber = change.number - 1 }
        try newEpoch(change.epoch, number: change.number)
      }
      check = trial
      if records > 0 { lastNumber = check.walk.number - 1 }
      return records == 0
    case .lapped(let from, let to): try lapped(from: from, to: to)
    case .halted(let halt): try halted(halt)
    }
    return false
  }

  /// The first record of another incarnation: it was announced, it exists, and the one before had ended.
  private mutating func newEpoch(_ epoch: UInt64, number: UInt64) throws {
    if let told = consumer.takeEpochChange() { toldEpoch = told }
    guard epoch <= toldEpoch else {
      throw Violation.epoch("record \(number) of epoch \(epoch), the reader was told of \(toldEpoch)")
    }
    guard let first = ledger.firstNumber(epoch: epoch), first <= number else {
      throw Violation.epoch("record \(number) cannot be of epoch \(epoch)")
    }
    try checkEnd(of: checkedEpoch, before: epoch)
    checkedEpoch = epoch
  }

  /// Nothing of incarnation `epoch` may have been accepted from where a later one began.
  private func checkEnd(of epoch: UInt64, before later: UInt64) throws {
    guard let lastNumber, epoch < later else { return }
    for next in (epoch + 1)...later {
      guard let first = ledger.firstNumber(epoch: next), first <= lastNumber else { continue }
      throw Violation.epoch(
        "record \(lastNumber) of epoch \(epoch), although epoch \(next) began at \(first)")
    }
  }

  private mutating func lapped(from: UInt64, to: UInt64) throws {
    guard plan.mode != .gated else {
      throw Violation.positions("lapped from \(from) to \(to) on a gated ring")
    }
    if let violation = check.lapped(from: from, to: to) { throw violation }
    checkpoint()
  }

  private mutating func halted(_ halt: RingHalt) throws {
    guard halt == .retired else { throw Violation.positions("reader at \(consumer.nextPosition): \(halt)") }
    while try !consumer.follow() { usleep(20) }
  }

  private mutating func isOver() throws -> Bool {
    if let halt = consumer.checkHealth() {
      try halted(halt)
      return false
    }
    let final = ledger.finalNumber.loadAcquiring()
    guard final != 0, !consumer.hasNext, consumer.nextPosition == consumer.publishedPosition else {
      return false
    }
    guard check.walk.number == final - 1 else {
      throw Violation.missing(expected: check.walk.number, found: final - 1)
    }
    if consumer.producerEpoch > check.epoch {
      try checkEnd(of: check.epoch, before: consumer.producerEpoch)
    }
    return true
  }

  private func wait(_ bits: UInt64) {
    // Seldom asleep: a woken reader takes the processor from its writer, which is then killed where it woke it.
    switch bits & 15 {
    case 0: consumer.park(nanoseconds: 1_000_000)
    case 1...7: for _ in 0..<100 { bulkhead_spin_hint() }
    default: sched_yield()
    }
  }
}
