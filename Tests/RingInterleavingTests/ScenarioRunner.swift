import Foundation
import Glibc

@testable import ShmRing

/// A scenario with its files, ready to be run again and again: runs store nothing in the files themselves.
final class ScenarioRunner: Runner {
  static let configurationHash: UInt64 = 0xC0FF_EE00_1234_5678
  let scenario: Scenario
  let engine: InterleavingEngine
  private let directory: String
  private let path: String
  /// Another name of the ring's first file, for a take-over puts its own in its place.
  private let origin: String
  private let before: StreamOracle
  private let buffers: [UnsafeMutableRawPointer]

  init(_ scenario: Scenario, pool: ThreadPool) throws {
    self.scenario = scenario
    directory = "/dev/shm/bulkhead-interleaving-\(Glibc.getpid())-\(UInt32.random(in: 0...UInt32.max))"
    path = "\(directory)/ring.ring"
    origin = "\(directory)/origin"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    let geometry = try RingGeometry(
      cellCount: scenario.cells, maximumRecordBytes: scenario.maximumRecordBytes)
    try RingProducer.create(
      path: path, name: scenario.name, kind: scenario.isGated ? .gatedStream : .overwritingStream,
      geometry: geometry, readers: scenario.readers, configurationHash: Self.configurationHash)
    precondition(link(path, origin) == 0)
    engine = InterleavingEngine(pool: pool)
    engine.ringCells = scenario.cells
    engine.segmentCells = UInt64(geometry.segmentCells)
    engine.wordsOfCells = scenario.wordsOfCells
    engine.readersReturn = scenario.readersReturn
    engine.isGated = scenario.isGated
    engine.isTakenOver = scenario.isTakenOver
    engine.register(.ring(0), path: path, byteCount: geometry.fileBytes)
    for reader in scenario.readers {
      engine.register(
        .cursor, path: CursorPage.path(ring: path, reader: reader), byteCount: CursorPage.bytes)
    }
    if scenario.isGated {
      engine.register(.gate, path: RingGate.path(ring: path), byteCount: RingGate.bytes)
    }
    before = StreamOracle(cells: scenario.cells, forges: scenario.forges, isGated: scenario.isGated)
    buffers = scenario.parts.map { _ in UnsafeMutableRawPointer.allocate(byteCount: 8192, alignment: 64) }
    try prefill()
  }

  deinit {
    for buffer in buffers { buffer.deallocate() }
    try? FileManager.default.removeItem(atPath: directory)
  }

  private func prefill() throws {
    guard !scenario.prefill.isEmpty else { return }
    var producer = try RingProducer.attach(
      path: path, readers: [], configurationHash: Self.configurationHash)
    let (incarnation, _) = before.attached(
      at: 0, epoch: producer.epoch, newest: nil, input: 0, certain: 0)
    for batch in scenario.prefill { publish(batch, &producer, incarnation, before, actor: nil) }
    for reader in scenario.readers where scenario.readersHaveReadPrefill {
      let consumer = try RingConsumer.attach(
        path: path, reader: reader, start: .newest, configurationHash: nil)
      consumer.reportPosition()
    }
  }

  func run(_ chooser: Chooser, defect: SeededDefect?, logging: Bool) -> Finding? {
    if engine.generations > 0 {
      unlink(path)
      precondition(link(origin, path) == 0)
    }
    let oracle = StreamOracle(copying: before)
    engine.defect = defect
    engine.log = logging ? [] : nil
    var actors: [Actor] = []
    var bodies: [() -> Void] = []
    func add(_ name: String, isProducer: Bool = false, mayCrash: Bool = false, after: Int?) -> Actor {
      let actor = Actor(
        index: actors.count, name: "\(name)\(actors.count)", isProducer: isProducer, mayCrash: mayCrash)
      if let after { actor.state = .waiting(for: after) }
      actors.append(actor)
      return actor
    }
    for part in scenario.parts {
      switch part {
      case .producer(let after, let batches, let mayCrash):
        let actor = add("producer", isProducer: true, mayCrash: mayCrash, after: after)
        bodies.append { [self] in produce(batches, takesOver: false, actor, oracle) }
      case .takeOver(let after, let batches, let mayCrash):
        let actor = add("takeover", isProducer: true, mayCrash: mayCrash, after: after)
        bodies.append { [self] in produce(batches, takesOver: true, actor, oracle) }
      case .reader(let name, let after, let parks, let mayCrash, let way):
        let actor = add("reader", mayCrash: mayCrash, after: after)
        bodies.append { [self] in read(name, parks: parks, way, actor, oracle) }
      case .supervisor(let reader, let after):
        let actor = add("supervisor", after: after)
        bodies.append { [self] in detach(reader, actor, oracle) }
      }
    }
    engine.whenQuiescent = { [scenario] parked in
      for index in parked {
        guard case .reader(let name, _, _, _, _) = scenario.parts[index] else { continue }
        if let problem = oracle.judgeSleep(of: name) { return problem }
      }
      return nil
    }
    engine.run(actors, crashes: scenario.crashes, chooser: chooser, bodies: bodies)
    guard let text = engine.failure else { return nil }
    return Finding(text: text, choices: chooser.list, steps: engine.steps)
  }

  private func check(_ problem: String?) {
    if let problem { engine.fail(problem) }
  }

  // MARK: Producers

  private func produce(_ batches: [[Int]], takesOver: Bool, _ actor: Actor, _ oracle: StreamOracle) {
    let certain = oracle.succession(takesOver: takesOver)
    actor.isAttaching = true
    do {
      var producer =
        takesOver
        ? try RingProducer.takeOver(
          path: path, readers: scenario.readers, configurationHash: Self.configurationHash)
        : try RingProducer.attach(
          path: path, readers: scenario.readers, configurationHash: Self.configurationHash)
      actor.isAttaching = false
      engine.returned()
      let buffer = buffers[actor.index]
      let newest = producer.copyNewestRecord(into: buffer)
      let input = producer.inputPosition(0)
      guard !actor.isGhost else { return }
      engine.note("attached at \(producer.nextPosition), epoch \(producer.epoch)")
      let number = newest.map { (number: StreamOracle.number(of: buffer), bytes: $0.bytes) }
      let (incarnation, problem) = oracle.attached(
        at: producer.nextPosition, epoch: producer.epoch, newest: number, input: input, certain: certain)
      check(problem)
      for batch in batches where !actor.isGhost && engine.failure == nil {
        guard publish(batch, &producer, incarnation, oracle, actor: actor) else { break }
      }
    } catch {
      guard !actor.isGhost else { return }
      actor.isAttaching = false
      // Whoever attaches while another takes over, or takes over while another does, is refused.
      engine.note("refused: \(error)")
      if !scenario.isTakenOver { engine.fail("the ring could not be attached: \(error)") }
    }
  }

  /// False when the ring is not this producer's any more.
  @discardableResult
  private func publish(
    _ batch: [Int], _ producer: inout RingProducer, _ incarnation: StreamOracle.Incarnation,
    _ oracle: StreamOracle, actor: Actor?
  ) -> Bool {
    func lives() -> Bool { !(actor?.isGhost ?? false) }
    oracle.beginBatch(incarnation, at: producer.nextPosition)
    var newest: UInt64 = 0
    for bytes in batch {
      let before = producer.nextPosition
      guard let payload = reserve(bytes, &producer, actor: actor) else { break }
      let position = producer.nextPosition
      if lives(), producer.halt != nil {
        oracle.diverted(incarnation)
        return goOnHalted(&producer, payload)
      }
      let number = oracle.nextNumber()
      newest = number
      let kind = UInt8(1 + number % 7)
      for offset in stride(from: 0, to: bytes, by: 8) {
        SharedWord(payload + offset).storeRelaxed(oracle.word(of: number, offset: offset, at: position))
      }
      if engine.defect == .firstStampNotHeldBack, actor != nil, !producer.hasOpenBatch {
        let stamp = Stamp.make(lap: producer.cells.lap(position), kind: kind, length: bytes)
        SharedWord(payload - 8).storeRelaxed(stamp)
      }
      producer.commit(kind: kind, bytes: bytes)
      if lives() {
        oracle.committed(
          incarnation, number: number, kind: kind, bytes: bytes, padAt: before == position ? nil : before,
          at: position)
      }
    }
    if lives() {
      engine.note("publishes to \(producer.nextPosition)")
      oracle.publishing(incarnation)
    }
    producer.publish()
    if lives() {
      if actor != nil { engine.returned() }
      oracle.published(incarnation)
      if newest > 0 { producer.setInputPosition(0, newest) }
    }
    return true
  }

  private func reserve(_ bytes: Int, _ producer: inout RingProducer, actor: Actor?)
    -> UnsafeMutableRawPointer?
  {
    guard scenario.isGated else { return producer.reserve(bytes: bytes) }
    while true {
      if let payload = producer.tryReserve(bytes: bytes) { return payload }
      if actor?.isGhost ?? false { return nil }
      engine.note("refused by the gate at \(producer.nextPosition)")
      // With a batch open that nobody can read yet, to wait would be to wait for ever.
      precondition(!producer.hasOpenBatch, "scenarios of gated rings use batches of one")
      guard engine.waitForChange() else {
        if engine.failure == nil, !(actor?.isGhost ?? false) {
          engine.fail("the gate stays closed though everything was read")
        }
        return nil
      }
    }
  }

  /// Two more records by one who has lost the ring: they go nowhere, and nothing traps.
  private func goOnHalted(_ producer: inout RingProducer, _ payload: UnsafeMutableRawPointer) -> Bool {
    engine.note("halted: \(producer.halt?.description ?? "")")
    if producer.halt != .retired || !scenario.isTakenOver {
      engine.fail("a producer halted: \(producer.halt?.description ?? "")")
    }
    var payload = payload
    for _ in 0..<2 {
      SharedWord(payload).storeRelaxed(0xBAD)
      producer.commit(kind: 1, bytes: 8)
      producer.publish()
      payload = producer.reserve(bytes: 8)
    }
    return false
  }

  // MARK: Readers

  private func read(
    _ name: String, parks: Bool, _ way: Scenario.ReadingWay, _ actor: Actor, _ oracle: StreamOracle
  ) {
    let cursorPath = CursorPage.path(ring: path, reader: name)
    let reported = engine.newest(file: cursorPath, offset: CursorPage.positionOffset)
    actor.isAttaching = true
    guard
      var consumer = try? RingConsumer.attach(
        path: path, reader: name, start: .cursor, configurationHash: Self.configurationHash)
    else { return engine.fail("the ring could not be attached by \(name)") }
    actor.isAttaching = false
    if !actor.isGhost {
      engine.note("attached at \(consumer.nextPosition)")
      let expected = reported ?? consumer.cursor.position.unmodelledValue
      check(oracle.readerAttached(name, at: consumer.nextPosition, expected: expected))
    }
    var sinceReport = 0
    while !actor.isGhost, engine.failure == nil {
      let isLastLook = engine.isFinal
      if consumer.isDetached {
        engine.note("rejoins")
        consumer.rejoin()
      }
      let found = way == .inPlace ? takeInPlace(&consumer, actor, oracle) : take(&consumer, actor, oracle)
      guard !actor.isGhost else { return }
      switch found {
      case .records:
        sinceReport += 1
        if sinceReport == 2 {
          consumer.reportPosition()
          sinceReport = 0
        }
      case .lapped: break
      case .empty:
        if way == .patrols, let halt = consumer.checkHealth(), halt != .retired, !actor.isGhost {
          engine.fail("reader \(name) finds a healthy ring \(halt)")
        }
        if isLastLook { return check(actor.isGhost ? nil : oracle.judgeEnd(of: name)) }
        if parks { consumer.park(nanoseconds: 1_000_000_000) } else { rest(consumer) }
      case .retired:
        do {
          if try consumer.follow() {
            engine.note("follows")
          } else if isLastLook {
            return check(actor.isGhost ? nil : "no file has taken the place of the retired one")
          } else {
            rest(consumer)
          }
        } catch {
          if !actor.isGhost { engine.fail("reader \(name) cannot follow: \(error)") }
        }
      }
    }
  }

  private enum Found {
    case records
    case lapped
    case empty
    case retired
  }

  private func take(_ consumer: inout RingConsumer, _ actor: Actor, _ oracle: StreamOracle) -> Found {
    let buffer = buffers[actor.index]
    let before = consumer.nextPosition
    actor.position = before
    let poll = consumer.poll(into: buffer)
    guard !actor.isGhost else { return .empty }
    switch poll {
    case .record(let kind, let bytes):
      engine.note("took \(bytes) bytes at \(before)")
      let epoch = consumer.producerEpoch
      guard !actor.isGhost else { return .empty }
      check(
        oracle.accepted(
          consumer.cursorName, before: before, after: consumer.nextPosition, kind: kind, bytes: bytes,
          payload: buffer, epoch: epoch))
      return .records
    case .lapped(let from, let to): return lapped(consumer, before, from, to, oracle)
    case .empty: return .empty
    case .halted(let halt): return halted(consumer, halt)
    }
  }

  /// Up to three records in one batch, each read where it lies before the batch is accepted.
  private func takeInPlace(_ consumer: inout RingConsumer, _ actor: Actor, _ oracle: StreamOracle) -> Found {
    struct Taken {
      let before: UInt64
      let after: UInt64
      let kind: UInt8
      let bytes: Int
    }
    let slot = 2048
    var taken: [Taken] = []
    var batch = consumer.openBatch()
    actor.position = batch.start
    while taken.count < 3 {
      let before = batch.end
      guard let record = batch.next() else { break }
      let target = buffers[actor.index] + slot * taken.count
      for offset in stride(from: 0, to: record.payload.count, by: 8) {
        let place = UnsafeMutableRawPointer(mutating: record.payload.baseAddress.unsafelyUnwrapped + offset)
        target.storeBytes(of: SharedWord(place).loadRelaxed(), toByteOffset: offset, as: UInt64.self)
      }
      taken.append(
        Taken(before: before, after: batch.end, kind: record.kind, bytes: record.payload.count))
    }
    let before = consumer.nextPosition
    let outcome = consumer.accept(batch)
    guard !actor.isGhost else { return .empty }
    switch outcome {
    case .whole(let count):
      if count != taken.count { engine.fail("\(count) records accepted, \(taken.count) read") }
      engine.note("accepted \(count) records from \(before) to \(consumer.nextPosition)")
      let epoch = consumer.producerEpoch
      guard !actor.isGhost else { return .empty }
      for (index, record) in taken.enumerated() {
        check(
          oracle.accepted(
            consumer.cursorName, before: record.before, after: record.after, kind: record.kind,
            bytes: record.bytes, payload: buffers[actor.index] + slot * index, epoch: epoch))
      }
      return count == 0 ? .empty : .records
    case .lapped(let from, let to): return lapped(consumer, before, from, to, oracle)
    case .halted(let halt): return halted(consumer, halt)
    }
  }

  private func lapped(
    _ consumer: borrowing RingConsumer, _ before: UInt64, _ from: UInt64, _ to: UInt64,
    _ oracle: StreamOracle
  ) -> Found {
    engine.note("lapped \(from)..<\(to)")
    let claimed = engine.newest(at: consumer.cells.claimedWord.pointer) ?? 0
    check(oracle.lapped(consumer.cursorName, before: before, from: from, to: to, claimed: claimed))
    return .lapped
  }

  private func halted(_ consumer: borrowing RingConsumer, _ halt: RingHalt) -> Found {
    engine.note("halted: \(halt)")
    if halt != .retired || !scenario.isTakenOver {
      engine.fail("reader \(consumer.cursorName) finds a healthy ring \(halt)")
    }
    return .retired
  }

  private func rest(_ consumer: borrowing RingConsumer) {
    consumer.reportPosition()
    _ = engine.waitForChange()
  }

  // MARK: The supervisor

  private func detach(_ reader: String, _ actor: Actor, _ oracle: StreamOracle) {
    guard let gate = try? RingGate.attach(ring: path, access: .readWrite) else {
      return engine.fail("the gate could not be attached")
    }
    oracle.detached(reader)
    engine.note("detaches \(reader)")
    if !gate.detach(reader: reader), !actor.isGhost { engine.fail("no reader \(reader)") }
  }
}

extension SharedWord {
  /// The word as it stands in the file, whatever the model holds.
  var unmodelledValue: UInt64 { pointer.pointee.load(ordering: .relaxed) }
}

extension RingConsumer {
  /// The reader's name, from the name of its cursor page: "ring.NAME.cursor".
  var cursorName: String {
    String(cursor.file.path.split(separator: "/").last?.split(separator: ".").dropFirst().first ?? "")
  }
}
