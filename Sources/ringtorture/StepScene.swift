import Glibc
import ShmRing

/// A small ring in a known state, in which another process is killed in the midst of one operation, and the proof
/// afterwards that nobody is the worse for it. Everything but that operation happens in the torturer's own process.
final class StepScene {
  let plan: RingPlan
  let files: RingFiles
  /// Behind the last record that was published before the operation.
  private(set) var walk: Walk
  private let operation: StepOperation
  private var reader: RingConsumer
  private var check: StreamCheck
  private let buffer = UnsafeMutableRawPointer.allocate(byteCount: 70_000, alignment: 64)

  init(_ operation: StepOperation, mode: RingPlan.Mode, round: Int, directory: String) throws {
    self.operation = operation
    plan = RingPlan(mode: mode, cells: 8, recordBytes: 120)
    files = RingFiles(directory: directory)
    let geometry = try plan.geometry()
    mkdir(directory, 0o755)
    try RingProducer.create(
      path: files.ring, name: "steps", kind: plan.kind, geometry: geometry, readers: [RingPlan.reader],
      configurationHash: RingPlan.configuration)
    walk = plan.walk(geometry)
    check = StreamCheck(walk: walk, epoch: 0)
    reader = try Self.attachReader(files)
    if operation == .store {
      try ConflatedTable.create(
        path: files.table, name: "steps", entries: 4, configurationHash: RingPlan.configuration)
      try storeValue(1)
    }
    try setUp(round)
  }

  deinit {
    files.remove()
    buffer.deallocate()
  }

  var arguments: [String] {
    ["step", operation.rawValue, files.directory, "\(walk.number)", "\(walk.position)"] + plan.arguments
  }

  private static func attachReader(_ files: RingFiles) throws(RingError) -> RingConsumer {
    try RingConsumer.attach(
      path: files.ring, reader: RingPlan.reader, start: .cursor, configurationHash: RingPlan.configuration)
  }

  private static func attachProducer(_ files: RingFiles, takesOver: Bool = false) throws(RingError)
    -> RingProducer
  {
    let hash = RingPlan.configuration
    return takesOver
      ? try RingProducer.takeOver(path: files.ring, readers: [RingPlan.reader], configurationHash: hash)
      : try RingProducer.attach(path: files.ring, readers: [RingPlan.reader], configurationHash: hash)
  }

  // MARK: Before

  private func setUp(_ round: Int) throws {
    var producer = try Self.attachProducer(files)
    // So many that the operation meets each place of a lap, round after round.
    for _ in 0..<7 + round {
      try write(&producer)
      try drain()
    }
    let file = try SharedFile.open(path: files.ring, access: .readWrite, minimumBytes: RingLayout.headerBytes)
    func word(_ offset: Int) -> SharedWord { SharedWord(file.base + offset) }
    switch operation {
    case .publish:
      // A sleeper, whom the batch wakes.
      _ = reader.prepareToPark()
    case .attach, .takeOver:
      // The predecessor died in the midst of a batch, or between its stamp and what follows.
      let published = word(RingLayout.publishedOffset)
      let before = published.loadRelaxed()
      try write(&producer)
      if round % 2 == 0 { published.storeRelaxed(before) } else { try drain() }
      let torn = walk
      for _ in 0..<walk.batch(most: 2, cells: plan.cells) { commit(&producer, &walk) }
      walk = torn
    case .poll: for _ in 0..<2 { try write(&producer) }
    case .lap: for _ in 0..<20 { try write(&producer) }
    case .rejoin:
      let gate = try RingGate.attach(ring: files.ring, access: .readWrite)
      _ = gate.detach(reader: RingPlan.reader)
    // It died asleep.
    case .readerAttach: _ = reader.prepareToPark()
    case .detach, .park, .store: break
    }
    // As if its producer had died: the next one is another process.
    word(RingLayout.producerPidOffset).storeRelaxed(0)
  }

  private func commit(_ producer: inout RingProducer, _ walk: inout Walk) {
    let bytes = walk.length
    let kind = TortureScript.kind(epoch: producer.epoch)
    guard let payload = producer.tryReserve(bytes: bytes) else { return }
    TortureScript.fill(payload, first: TortureScript.firstWord(of: walk.number, kind: kind), bytes: bytes)
    producer.commit(kind: kind, bytes: bytes)
    walk.advance()
  }

  private func write(_ producer: inout RingProducer) throws {
    let before = walk
    commit(&producer, &walk)
    guard walk != before else { throw TortureFailure.failed("refused at record \(walk.number)") }
    producer.publish()
    if let halt = producer.halt { throw TortureFailure.failed("halted: \(halt)") }
  }

  private func storeValue(_ number: UInt64) throws {
    let table = try TableWriter.attach(path: files.table, configurationHash: RingPlan.configuration)
    TortureScript.fill(buffer, first: number, bytes: ConflatedTable.valueBytes)
    guard table.store(key: 1, value: buffer) else { throw TortureFailure.failed("not stored") }
  }

  // MARK: After

  /// Reads all there is and checks it.
  private func drain() throws {
    while true {
      switch reader.poll(into: buffer) {
      case .record(let kind, let bytes):
        if let violation = check.record(kind: kind, payload: buffer, bytes: bytes) { throw violation }
        if let violation = check.stands(at: reader.nextPosition) { throw violation }
      case .lapped(let from, let to):
        guard plan.mode == .overwriting else { throw Violation.positions("lapped on a gated ring") }
        if let violation = check.lapped(from: from, to: to) { throw violation }
      case .empty:
        reader.reportPosition()
        return
      case .halted(.retired):
        guard try reader.follow() else { return }
      case .halted(let halt): throw Violation.positions("reader: \(halt)")
      }
    }
  }

  /// The process is dead: everybody else goes on, and nothing is torn, repeated or missing.
  func verify() throws {
    if operation == .store { return try verifyTable() }
    if operation.isReaders { try returnReader() }
    let told = reader.producerEpoch
    // What is visible now stays so, whoever comes.
    try drain()
    let seen = check.walk
    let batch = walk.batch(most: StepOperation.records, cells: plan.cells)
    let published = operation == .publish ? UInt64(batch) : 0
    var successor = try Self.attachProducer(files, takesOver: isRetired())
    let before = walk
    guard walk.advance(to: successor.nextPosition) else {
      throw Violation.positions("successor at \(successor.nextPosition), no record ends there")
    }
    // All of a batch or nothing.
    guard walk.number == before.number || walk.number == before.number + published else {
      throw Violation.positions("\(walk.number - before.number) records of a batch of \(published)")
    }
    try drain()
    // A retired file shows nothing more until there is a new one.
    guard check.walk.number == walk.number, seen.number == walk.number || operation == .takeOver else {
      throw Violation.missing(expected: check.walk.number, found: walk.number)
    }
    try checkNewest(&successor)
    guard let epoch = reader.takeEpochChange(), epoch == successor.epoch,
      epoch > told || operation == .takeOver
    else { throw Violation.epoch("the reader was not told of epoch \(successor.epoch)") }
    for _ in 0..<20 {
      try write(&successor)
      try drain()
      guard check.walk == walk else {
        throw Violation.missing(expected: check.walk.number, found: walk.number)
      }
    }
    if let halt = successor.checkHealth() { throw TortureFailure.failed("successor: \(halt)") }
    if let halt = reader.checkHealth() { throw TortureFailure.failed("reader: \(halt)") }
  }

  /// Whether a take-over died half-way.
  private func isRetired() -> Bool {
    guard operation == .takeOver else { return false }
    do {
      _ = try Self.attachProducer(files)
      return false
    } catch {
      return error == .retired(path: files.ring)
    }
  }

  private func checkNewest(_ producer: inout RingProducer) throws {
    guard let found = producer.copyNewestRecord(into: buffer) else {
      throw Violation.missing(expected: walk.number - 1, found: walk.number)
    }
    let first = TortureScript.firstWord(of: walk.number - 1, kind: found.kind)
    guard found.bytes == TortureScript.length(of: walk.number - 1, limit: walk.limit),
      TortureScript.isFilled(buffer, first: first, bytes: found.bytes)
    else { throw Violation.torn(number: walk.number - 1, position: walk.position) }
  }

  /// The reader's successor comes back where its page says.
  private func returnReader() throws {
    let reported = try CursorObserver.attach(ring: files.ring, reader: RingPlan.reader).words.position
    reader = try Self.attachReader(files)
    guard reader.nextPosition == reported else {
      throw Violation.positions("back at \(reader.nextPosition), had reported \(reported)")
    }
    if let violation = check.returned(at: reported) { throw violation }
    if reader.isDetached { throw Violation.positions("still detached") }
  }

  private func verifyTable() throws {
    let table = try TableReader.attach(path: files.table, configurationHash: RingPlan.configuration)
    func value() -> UInt64? {
      guard table.load(key: 1, into: buffer) == .value else { return nil }
      let first = buffer.load(as: UInt64.self)
      let isWhole = TortureScript.isFilled(buffer, first: first, bytes: ConflatedTable.valueBytes)
      return isWhole ? first : .max
    }
    // Whole or nothing; a successor's store makes it whole.
    let found = value() ?? 1
    guard found == 1 || found == walk.number else {
      throw Violation.torn(number: walk.number, position: 0)
    }
    try storeValue(77)
    guard value() == 77 else { throw Violation.missing(expected: 77, found: 0) }
  }
}
