import CLinux
import Glibc
import ShmRing

/// What a stepped process does between its two stops: one operation of the ring's protocol.
enum StepOperation: String, CaseIterable {
  /// A batch of records, with whatever claims and padding they need, and the wake-up of a reader that sleeps.
  case publish
  /// The successor of a producer that died in the midst of a batch.
  case attach
  /// The same when the death is not confirmed.
  case takeOver
  /// The supervisor lets go of a reader.
  case detach
  /// A reader takes records and reports.
  case poll
  /// A reader that was lapped.
  case lap
  /// A reader goes to sleep and wakes up.
  case park
  /// The successor of a reader.
  case readerAttach
  /// A detached reader returns.
  case rejoin
  /// A value of a conflated table.
  case store

  var isGatedOnly: Bool { self == .detach || self == .rejoin }
  var isOverwritingOnly: Bool { self == .lap || self == .store }
  var isReaders: Bool { [.poll, .lap, .park, .readerAttach, .rejoin].contains(self) }
  /// Records of the batch of ``publish``, and of those of ``poll``.
  static let records = 3
}

/// The stepped process: `step OPERATION DIRECTORY NUMBER POSITION PLAN…`.
enum StepRole {
  static func run(_ arguments: [String]) -> Int32? {
    guard arguments.count > 5, arguments[0] == "step", let operation = StepOperation(rawValue: arguments[1]),
      let number = UInt64(arguments[3]), let position = UInt64(arguments[4]),
      let plan = RingPlan(arguments: arguments.dropFirst(5))
    else { return nil }
    let files = RingFiles(directory: arguments[2])
    guard bulkhead_trace_me() == 0 else { return 69 }
    do {
      let walk = plan.walk(try plan.geometry(), number: number, position: position)
      switch operation {
      case .publish, .attach, .takeOver: try produce(operation, files, walk, cells: plan.cells)
      case .detach:
        let gate = try RingGate.attach(ring: files.ring, access: .readWrite)
        between { _ = gate.detach(reader: RingPlan.reader) }
      case .poll, .lap, .park, .readerAttach, .rejoin: try consume(operation, files)
      case .store:
        let table = try TableWriter.attach(path: files.table, configurationHash: RingPlan.configuration)
        let value = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 8)
        TortureScript.fill(value, first: number, bytes: ConflatedTable.valueBytes)
        between { _ = table.store(key: 1, value: value) }
      }
      return 0
    } catch {
      complain("\(operation): \(error)")
      return Role.violationExit
    }
  }

  /// The steps of `body` are counted: it lies between two stops.
  private static func between(_ body: () throws -> Void) rethrows {
    raise(SIGSTOP)
    try body()
    raise(SIGSTOP)
  }

  private static func produce(
    _ operation: StepOperation, _ files: RingFiles, _ start: Walk, cells: Int
  ) throws {
    let readers = [RingPlan.reader]
    let hash = RingPlan.configuration
    switch operation {
    case .attach:
      try between { _ = try RingProducer.attach(path: files.ring, readers: readers, configurationHash: hash) }
    case .takeOver:
      try between {
        _ = try RingProducer.takeOver(path: files.ring, readers: readers, configurationHash: hash)
      }
    default:
      var producer = try RingProducer.attach(path: files.ring, readers: readers, configurationHash: hash)
      var walk = start
      let kind = TortureScript.kind(epoch: producer.epoch)
      raise(SIGSTOP)
      for _ in 0..<start.batch(most: StepOperation.records, cells: cells) {
        let bytes = walk.length
        guard let payload = producer.tryReserve(bytes: bytes) else { break }
        TortureScript.fill(payload, first: TortureScript.firstWord(of: walk.number, kind: kind), bytes: bytes)
        producer.commit(kind: kind, bytes: bytes)
        walk.advance()
      }
      producer.publish()
      raise(SIGSTOP)
    }
  }

  private static func consume(_ operation: StepOperation, _ files: RingFiles) throws {
    func attach() throws(RingError) -> RingConsumer {
      try RingConsumer.attach(
        path: files.ring, reader: RingPlan.reader, start: .cursor, configurationHash: RingPlan.configuration)
    }
    if operation == .readerAttach {
      try between { _ = try attach() }
      return
    }
    // A detached reader is one again with its attach.
    if operation == .rejoin {
      try between { _ = try attach() }
      return
    }
    var consumer = try attach()
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: 70_000, alignment: 64)
    if operation == .park {
      while case .record = consumer.poll(into: buffer) {}
    }
    raise(SIGSTOP)
    switch operation {
    case .park: consumer.park(nanoseconds: 1000)
    default:
      for _ in 0..<StepOperation.records { _ = consumer.poll(into: buffer) }
      consumer.reportPosition()
    }
    raise(SIGSTOP)
  }
}
