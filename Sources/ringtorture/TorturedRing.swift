import CLinux
import Glibc
import ShmRing

/// What was done to rings and what came of it.
struct Tally {
  var records: UInt64 = 0
  var lost: UInt64 = 0
  var writerKills = 0
  var tornKills = 0
  var readerKills = 0
  var takeovers = 0
  var detaches = 0
  var torn: UInt64 = 0
  var repeated: UInt64 = 0
  var missing: UInt64 = 0
  var otherViolations: UInt64 = 0

  static func += (sum: inout Tally, part: Tally) {
    sum.records += part.records
    sum.lost += part.lost
    sum.writerKills += part.writerKills
    sum.tornKills += part.tornKills
    sum.readerKills += part.readerKills
    sum.takeovers += part.takeovers
    sum.detaches += part.detaches
    sum.torn += part.torn
    sum.repeated += part.repeated
    sum.missing += part.missing
    sum.otherViolations += part.otherViolations
  }

  var violations: UInt64 { torn + repeated + missing + otherViolations }
}

/// One ring, its writer and its reader, and the one who torments them.
final class TorturedRing {
  private let plan: RingPlan
  private let files: RingFiles
  private let geometry: RingGeometry
  private let ledger: Ledger
  private var random: SeededGenerator
  private var writer: ChildProcess?
  private var reader: ChildProcess?
  private var spawns: UInt64 = 0
  private(set) var tally = Tally()

  init(plan: RingPlan, directory: String, seed: UInt64) throws {
    self.plan = plan
    files = RingFiles(directory: directory)
    geometry = try plan.geometry()
    random = SeededGenerator(state: seed)
    do {
      ledger = try Self.makeFiles(plan, files, geometry)
    } catch {
      files.remove()
      throw error
    }
  }

  private static func makeFiles(
    _ plan: RingPlan, _ files: RingFiles, _ geometry: RingGeometry
  ) throws(RingError) -> Ledger {
    mkdir(files.directory, 0o755)
    try RingProducer.create(
      path: files.ring, name: "torture", kind: plan.kind, geometry: geometry, readers: [RingPlan.reader],
      configurationHash: RingPlan.configuration)
    try Ledger.create(path: files.ledger)
    return try Ledger(path: files.ledger)
  }

  deinit {
    writer?.end()
    reader?.end()
    files.remove()
  }

  // MARK: Processes

  private func start(_ role: String) throws(TortureFailure) -> ChildProcess {
    spawns += 1
    let seed = String(random.next())
    return try ChildProcess([role, files.directory, "\(spawns)", seed] + plan.arguments, spawn: spawns)
  }

  private func startWriter(takesOver: Bool = false) throws(TortureFailure) {
    writer = try start(takesOver ? "successor" : "writer")
  }

  private func startReader() throws(TortureFailure) { reader = try start("reader") }

  /// Waits until the process does what it is there for.
  private func awaitRunning(_ process: ChildProcess?, _ runs: SharedWord, _ role: String)
    throws(TortureFailure)
  {
    guard let process else { throw .failed("no \(role)") }
    let limit = bulkhead_monotonic_nanoseconds() + 60_000_000_000
    while runs.loadAcquiring() < process.spawn {
      if let end = process.poll() { throw .failed("\(role) \(process.spawn) ended before it ran: \(end)") }
      guard bulkhead_monotonic_nanoseconds() < limit else { throw .failed("\(role) does not run") }
      sched_yield()
    }
  }

  private func awaitBoth() throws(TortureFailure) {
    try awaitRunning(reader, ledger.readerRuns, "reader")
    try awaitRunning(writer, ledger.writerRuns, "writer")
  }

  /// Kills a process that must not have ended by itself.
  private func kill(_ process: ChildProcess?, _ role: String) throws(TortureFailure) {
    guard let process else { throw .failed("no \(role)") }
    process.kill()
    let end = process.reap()
    guard end == .signal(SIGKILL) else { throw .failed("\(role) \(process.spawn) ended by itself: \(end)") }
  }

  // MARK: Torments

  /// Reads until the reader has accepted so many records.
  func read(records: UInt64) throws {
    try startReader()
    try startWriter()
    try awaitBoth()
    while ledger.accepted.loadRelaxed() < records {
      usleep(2000)
      if let end = reader?.poll() { throw TortureFailure.failed("reader ended: \(end)") }
      if let end = writer?.poll() { throw TortureFailure.failed("writer ended: \(end)") }
    }
    try finish()
  }

  /// Kills writers and readers at random moments of their full rate.
  func kill(writers: Int, readers: Int) throws {
    try startReader()
    try startWriter()
    var writersLeft = writers
    var readersLeft = readers
    while writersLeft + readersLeft > 0 {
      try awaitBoth()
      pause(nanoseconds: random.delay())
      if Int.random(in: 0..<(writersLeft + readersLeft), using: &random) < writersLeft {
        writersLeft -= 1
        awaitFullRate()
        try kill(writer, "writer")
        tally.writerKills += 1
        if try isTorn() { tally.tornKills += 1 }
        try startWriter()
      } else {
        readersLeft -= 1
        try kill(reader, "reader")
        tally.readerKills += 1
        // The supervisor lets go of it, and the producer goes on alone.
        if plan.mode == .detaching { try detach(); usleep(200) }
        try startReader()
      }
    }
    try awaitBoth()
    try finish()
  }

  /// A writer that waits for its reader has nothing in hand that could be torn; but it may wait for long.
  private func awaitFullRate() {
    let limit = bulkhead_monotonic_nanoseconds() + 10_000_000
    while ledger.writerWaits.loadAcquiring() != 0, bulkhead_monotonic_nanoseconds() < limit { sched_yield() }
  }

  private func detach() throws {
    let gate = try RingGate.attach(ring: files.ring, access: .readWrite)
    guard gate.detach(reader: RingPlan.reader) else { throw TortureFailure.failed("no reader to detach") }
    tally.detaches += 1
    // With nobody who counts, a living producer cannot be refused: it goes on by more than the ring.
    let words = try RingObserver.attach(path: files.ring)
    let before = try words.words().published
    let limit = bulkhead_monotonic_nanoseconds() + 60_000_000_000
    while try words.words().published < before + 2 * UInt64(plan.cells) {
      guard bulkhead_monotonic_nanoseconds() < limit else {
        throw TortureFailure.failed("the producer stands although its only reader was detached")
      }
      usleep(50)
    }
  }

  /// Stops writers, puts others in their place, some of which are killed in the midst of it, and lets the stopped ones go
  /// on: before, while and after. Kills readers now and then.
  func takeOver(times: Int) throws {
    try startReader()
    try startWriter()
    for _ in 0..<times {
      try awaitBoth()
      pause(nanoseconds: random.delay())
      guard let zombie = writer else { return }
      zombie.stop()
      var failed = Int.random(in: 0..<4, using: &random) == 0 ? 1 : 0
      var wakes = Int.random(in: 0..<3, using: &random)
      while true {
        try startWriter(takesOver: true)
        if wakes == 0 { usleep(UInt32.random(in: 0..<3000, using: &random)); zombie.kill(SIGCONT) }
        wakes -= 1
        guard failed > 0 else { break }
        failed -= 1
        usleep(UInt32.random(in: 500..<4000, using: &random))
        try kill(writer, "successor")
      }
      if Int.random(in: 0..<4, using: &random) == 0 {
        try kill(reader, "reader")
        tally.readerKills += 1
        try startReader()
      }
      try awaitBoth()
      pause(nanoseconds: random.delay())
      zombie.kill(SIGCONT)
      try expectRetired(zombie)
      tally.takeovers += 1
    }
    try finish()
  }

  private func expectRetired(_ zombie: ChildProcess) throws {
    let limit = bulkhead_monotonic_nanoseconds() + 60_000_000_000
    while true {
      if let end = zombie.poll() {
        guard end == .exited(Role.retiredExit) else {
          throw TortureFailure.failed("the writer that was replaced ended so: \(end)")
        }
        return
      }
      guard bulkhead_monotonic_nanoseconds() < limit else {
        zombie.end()
        throw TortureFailure.failed("the writer that was replaced goes on")
      }
      usleep(100)
    }
  }

  /// Lets the writer end, the reader read everything, and adds up.
  private func finish() throws {
    ledger.stop.storeReleasing(1)
    let writerEnd = writer?.reap()
    writer = nil
    guard writerEnd == .exited(0) else {
      throw TortureFailure.failed("writer: \(String(describing: writerEnd))")
    }
    let readerEnd = reader?.reap()
    reader = nil
    guard readerEnd == .exited(0) else {
      throw TortureFailure.failed("reader: \(String(describing: readerEnd))")
    }
    let total = ledger.finalNumber.loadAcquiring() - 1
    let end = ledger.reader.words
    tally.lost = end.lost
    tally.records = end.accepted + end.credited
    guard tally.records + tally.lost == total else {
      throw TortureFailure.failed("\(tally.records) read, \(tally.lost) lost, \(total) written")
    }
    if plan.mode == .gated, tally.lost != 0 {
      throw TortureFailure.failed("\(tally.lost) lost on a gated ring")
    }
  }

  /// What the processes counted, also after a failure.
  func violations() -> Tally {
    var found = tally
    found.torn = ledger.torn.loadRelaxed()
    found.repeated = ledger.repeated.loadRelaxed()
    found.missing = ledger.missing.loadRelaxed()
    found.otherViolations = ledger.otherViolations.loadRelaxed()
    return found
  }

  // MARK: Does it bite?

  /// Whether the dead writer left bytes of a record beyond the end of what is visible.
  private func isTorn() throws -> Bool {
    let ring = try RingObserver.attach(path: files.ring)
    let end = ring.frontier()
    let before = ledger.writer.words
    var walk = plan.walk(geometry, number: before.number, position: before.position)
    guard walk.advance(to: end) else {
      throw TortureFailure.failed(
        "the stream ends at \(end): no record does; \(walk.number) at \(walk.position)")
    }
    let file = try SharedFile.open(
      path: files.ring, access: .readOnly, minimumBytes: geometry.fileBytes)
    let cell = Int(walk.start % UInt64(plan.cells))
    let payload =
      UnsafeRawPointer(file.base) + RingLayout.headerBytes + cell * RingLayout.cellBytes
      + RingLayout.stampBytes
    let kind = TortureScript.kind(epoch: try ring.words().epoch)
    let first = TortureScript.firstWord(of: walk.number, kind: kind)
    let found = payload.load(as: UInt64.self)
    // Of a shorter one, what is there of the first word.
    let bits = min(8, walk.length) * 8
    return [first, first ^ TortureScript.poisonMark].contains { ($0 ^ found) << UInt64(64 - bits) == 0 }
  }
}
