import BookBuilder
import CLinux
import Glibc
import OrderBook
import ShmRing
import StageRecords
import StageRuntime
import SystemLog
import Tape
import TapeShadow

/// How the recorder's own books are, as of one moment.
struct ShadowStatus {
  var isWhole = false
  var nextSequence: UInt64 = 1
  var compared: UInt64 = 0
  var skipped: UInt64 = 0
  var differences: UInt64 = 0
  var difference: BookDifference?
  var snapshotsWritten: UInt64 = 0
  var snapshotFailures: UInt64 = 0
  var snapshotSequence: UInt64 = 0
  var snapshotAt: UInt64 = 0
  var snapshotsPutOff: UInt64 = 0
  /// The last one that was asked for.
  var answered: (number: UInt64, outcome: SnapshotAnswer, through: UInt64, digest: UInt64, bytes: Int)?
}

/// Keeps books from the tape on a thread of low priority: reads what the writer has written, as any reader of the tape
/// does, compares with bookd's probes, and writes snapshots. Nothing waits for it.
final class ShadowThread: @unchecked Sendable {
  struct Settings {
    let rules: BookRules
    let channel: UInt8
    let run: UInt64
    let snapshotInterval: UInt64
    let snapshotsKept: Int
    let component: String
    let tablePath: String
    let poisonPath: String
    let configurationHash: UInt64
    let flight: FlightRecorder
    /// What operators want; nil where nothing can be asked for.
    let instructions: InstructionTable.Reader?
    /// Requests that an earlier incarnation has dealt with.
    let answered: UInt64
  }

  /// Records between two looks at the clock and the probes.
  private static let recordsPerTurn = 4_096
  private static let idleMicroseconds: UInt32 = 2_000
  private static let niceness: Int32 = 5
  private static let intervalsPutOff: UInt64 = 10

  private let settings: Settings
  private let files: SystemTapeFiles
  private let monitor = Monitor()
  private var state = ShadowStatus()
  /// Where the tape ends for good; nil while it goes on.
  private var end: UInt64?
  private var deadline: UInt64 = 0
  private var hasStopped = false
  // Of the thread alone.
  /// The snapshot that was put off last, by when it was due.
  private var lastPutOff: UInt64 = 0
  private var answered: UInt64
  private var lastBytes = 0

  init(settings: Settings, files: SystemTapeFiles) {
    self.settings = settings
    self.files = files
    answered = settings.answered
  }

  func start() -> Int32 { StageThread.start { self.run() } }

  var status: ShadowStatus { monitor.locked { state } }

  /// The tape ends before this number: reads up to there, writes a last snapshot, and ends.
  /// - Returns: whether it has by `deadline`.
  func stop(end: UInt64, deadline: UInt64) -> Bool {
    monitor.locked {
      self.end = end
      self.deadline = deadline
      while !hasStopped, bulkhead_monotonic_nanoseconds() < deadline {
        monitor.wait(until: min(deadline, bulkhead_monotonic_nanoseconds() &+ 20_000_000))
      }
      return hasStopped
    }
  }

  private var isStopping: Bool { monitor.locked { end != nil } }

  // MARK: The thread

  private func run() {
    _ = bulkhead_lower_thread_priority(Self.niceness)
    follow()
    monitor.locked {
      hasStopped = true
      monitor.signal()
    }
  }

  private func say(_ text: String, as event: LogEvent = .remark, _ fields: [(LogField, String)] = []) {
    narrate("\(settings.component): \(text)", as: event, fields)
  }

  /// The books to begin with: of the newest snapshot of this run that is right, or empty ones.
  /// - Parameter poison: messages that are passed over. A snapshot behind one may have been made with it.
  private func beginning(_ poison: [UInt64]) -> ShadowBook {
    var found: ShadowBook?
    do throws(TapeFileError) {
      let (taken, refused) = try SnapshotStore(files: files).newest(
        run: settings.run, through: poison.min() ?? .max
      ) { _, bytes in
        do throws(BookImageError) {
          found = try ShadowBook(image: bytes, rules: settings.rules)
          return nil
        } catch {
          return "\(error)"
        }
      }
      for (name, problem) in refused { say("a snapshot is not used: \(name.fileName): \(problem)") }
      if let taken { say("own books from the snapshot before sequence \(taken.nextSequence)") }
    } catch {
      say("no snapshot can be read: \(error)", as: .tapeDamaged)
    }
    switch consume found {
    case .some(let book): return book
    case .none: return ShadowBook(rules: settings.rules, channel: settings.channel)
    }
  }

  /// Waits until the tape has a segment of this run; nil when it is over before.
  private func reader(from sequence: UInt64) -> TapeReader<SystemTapeFiles>? {
    while true {
      if let index = try? TapeIndex(files),
        let first = index.segments.first(where: { $0.header?.run == settings.run })
      {
        let start = sequence > 1 ? TapeStart.sequence(sequence) : .segment(first.ordinal)
        if let reader = try? TapeReader(files: files, start: start) { return reader }
      }
      if isStopping { return nil }
      usleep(10 * Self.idleMicroseconds)
    }
  }

  private func follow() {
    do throws(RingError) {
      let probes = try TableReader.attach(
        path: settings.tablePath, configurationHash: settings.configurationHash)
      let verdicts = try TableReader.attach(
        path: settings.poisonPath, configurationHash: settings.configurationHash)
      while follow(probes, verdicts) {}
    } catch {
      say("own books are not compared: \(error)")
    }
  }

  /// Keeps one set of books, to the end. True when they have to be made anew.
  private func follow(_ table: borrowing TableReader, _ verdicts: borrowing TableReader) -> Bool {
    let poison = verdicts.poison.map(\.sequence)
    var book = beginning(poison)
    guard passOver(verdicts, &book), var reader = reader(from: book.position.nextSequence) else {
      return false
    }
    var comparison = ProbeComparison(capacity: ProbeTable.entries)
    var nextSnapshot = bulkhead_monotonic_nanoseconds() &+ settings.snapshotInterval
    var snapshotAt: UInt64 = book.position.nextSequence
    while true {
      guard passOver(verdicts, &book) else { return true }
      settings.flight.doing(.readingTape, lane: .shadow)
      let count = turn(&reader, &book, &comparison, poison)
      if count > 0 {
        settings.flight.step(
          .shadowTurn, count: UInt64(count), book.position.nextSequence, at: bulkhead_monotonic_nanoseconds(),
          lane: .shadow)
      }
      guard compare(&comparison, table, verdicts, &book) else { return true }
      publish(book, comparison)
      let now = bulkhead_monotonic_nanoseconds()
      let stop = monitor.locked { end.map { (end: $0, deadline: deadline) } }
      if let stop,
        book.position.nextSequence >= stop.end || now >= stop.deadline || book.blindness != nil
      {
        // bookd stopped before: what it had to say is there.
        _ = compare(&comparison, table, verdicts, &book)
        if book.blindness == nil, book.position.nextSequence != snapshotAt, now < stop.deadline {
          write(book)
        }
        publish(book, comparison)
        return false
      }
      if let wanted = settings.instructions?.record?.snapshotsWanted, wanted > answered {
        // One for all that were asked for meanwhile.
        answer(wanted, book)
        snapshotAt = book.position.nextSequence
      }
      if now >= nextSnapshot, !putsOff(nextSnapshot, now) {
        nextSnapshot = now &+ settings.snapshotInterval
        if book.blindness == nil, book.position.nextSequence != snapshotAt {
          write(book)
          snapshotAt = book.position.nextSequence
        }
      }
      if count == 0 {
        settings.flight.doing(.asleep, lane: .shadow)
        usleep(Self.idleMicroseconds)
        _ = try? reader.refresh()
      }
    }
  }

  /// Whether a snapshot that is due waits for the end of an overload. Not for ever: a restart reads the tape from the last one on.
  private func putsOff(_ due: UInt64, _ now: UInt64) -> Bool {
    guard settings.instructions?.shed.contains(.snapshots) == true else { return false }
    let mayWait = settings.snapshotInterval.multipliedReportingOverflow(by: Self.intervalsPutOff)
    guard mayWait.overflow || now &- due < mayWait.partialValue else { return false }
    if due != lastPutOff { monitor.locked { state.snapshotsPutOff &+= 1 } }
    lastPutOff = due
    return true
  }

  /// Takes what is on the tape, up to a turn's worth.
  private func turn(
    _ reader: inout TapeReader<SystemTapeFiles>, _ book: inout ShadowBook,
    _ comparison: inout ProbeComparison,
    _ poison: [UInt64]
  ) -> Int {
    let wasBlind = book.blindness != nil
    var count = 0
    do throws(TapeDamage) {
      while count < Self.recordsPerTurn, let record = try reader.next() {
        count += 1
        if let first = Self.resumption(record, book) { restore(before: first, poison, &book) }
        if let probe = book.take(record) { comparison.add(probe) }
      }
    } catch {
      count += 1
      switch error {
      case .missingSegments, .unreadable:
        // Nothing is wrong with the tape: these books are so late that its retention has overtaken them.
        book.blind("what they were to read next is not kept any more: \(error)")
      default:
        say("S1: the tape is damaged: \(error)", as: .tapeDamaged)
        book.blind("the tape is damaged")
      }
    }
    if let reason = book.blindness, !wasBlind { say("own books say nothing any more: \(reason)") }
    return count
  }

  /// The number with which the run's stream begins, when it takes up a session that the books know nothing of yet.
  private static func resumption(_ record: TapeRecord, _ book: borrowing ShadowBook) -> UInt64? {
    guard record.kind == MergedRecord.Kind.sessionStart, book.position.nextSequence == 1,
      record.payload.count >= MergedRecord.sessionBytes, let base = record.payload.baseAddress
    else { return nil }
    let first = base.loadUnaligned(as: UInt64.self)
    return first > 1 ? first : nil
  }

  /// The books that the runs before have left, so that these go on from them as bookd's do.
  private func restore(before first: UInt64, _ poison: [UInt64], _ book: inout ShadowBook) {
    guard let recording = try? SessionRecording.newest(files) else { return }
    let none = ShadowBook(rules: settings.rules.withoutRoom, channel: settings.channel)
    // The memory of the empty ones goes first.
    book = none
    let found = StoredBooks.restore(
      recording, files: files, before: first, passingOver: poison, rules: settings.rules,
      says: { say("own books: \($0)") }, pulse: { _ in })
    switch consume found {
    case .some(var stored):
      stored.dropSuspicion()
      book = stored
    case .none:
      book = ShadowBook(rules: settings.rules, channel: settings.channel)
    }
  }

  /// What the supervisor has decided to be passed over: false when one of the messages is in the books already.
  private func passOver(_ verdicts: borrowing TableReader, _ book: inout ShadowBook) -> Bool {
    guard verdicts.poison(key: 0) != nil else { return true }
    for record in verdicts.poison where !book.passOver(record.sequence) {
      say("own books are made anew: bookd passed over sequence \(record.sequence)")
      return false
    }
    return true
  }

  /// - Returns: false when a difference is explained by a message that is passed over, and in these books.
  private func compare(
    _ comparison: inout ProbeComparison, _ table: borrowing TableReader, _ verdicts: borrowing TableReader,
    _ book: inout ShadowBook
  ) -> Bool {
    var advanced = comparison
    let found = advanced.advance { sequence in
      table.probe(at: sequence, interval: BookProbe.interval).map {
        OtherProbe(
          BookProbe(
            sequence: $0.sequence, instrument: UInt32(truncatingIfNeeded: $0.instrument), digest: $0.digest),
          isWhole: $0.isWhole)
      }
    }
    if found != nil, !passOver(verdicts, &book) { return false }
    comparison = advanced
    guard let found else { return true }
    say(
      "S1: bookd's books differ from those of the tape: instrument \(found.ours.instrument) behind sequence \(found.ours.sequence) (equal behind \(comparison.agreedThrough))",
      as: .booksDiffer,
      [
        (.instrument, String(found.ours.instrument)), (.firstSequence, String(found.ours.sequence)),
      ])
    return true
  }

  /// A snapshot that was asked for, and what came of it.
  private func answer(_ number: UInt64, _ book: borrowing ShadowBook) {
    answered = number
    var outcome = SnapshotAnswer.noBooks
    if book.blindness == nil { outcome = write(book) ? .verified : .failed }
    if outcome == .verified {
      say(
        "snapshot through sequence \(book.position.nextSequence &- 1), as asked", as: .snapshotWritten,
        [(.lastSequence, String(book.position.nextSequence &- 1))])
    }
    let digest = outcome == .verified ? book.contentDigest : 0
    let bytes = outcome == .verified ? lastBytes : 0
    monitor.locked {
      state.answered = (number, outcome, book.position.nextSequence &- 1, digest, bytes)
    }
  }

  @discardableResult
  private func write(_ book: borrowing ShadowBook) -> Bool {
    let name = SnapshotName(run: settings.run, nextSequence: book.position.nextSequence)
    settings.flight.doing(.writingSnapshot, name.nextSequence, lane: .shadow)
    let image = book.image()
    do throws(SnapshotFailure) {
      try image.withUnsafeBytes { (bytes) -> Result<Void, SnapshotFailure> in
        do throws(SnapshotFailure) {
          try SnapshotStore(files: files).write(name, bytes, keep: settings.snapshotsKept) {
            book.difference(from: $0)
          }
          return .success(())
        } catch {
          return .failure(error)
        }
      }.get()
      settings.flight.step(
        .snapshotWritten, name.nextSequence, at: bulkhead_monotonic_nanoseconds(), lane: .shadow)
      monitor.locked {
        state.snapshotsWritten &+= 1
        state.snapshotSequence = name.nextSequence
        state.snapshotAt = bulkhead_monotonic_nanoseconds()
      }
      lastBytes = image.count
      return true
    } catch {
      settings.flight.step(
        .snapshotFailed, name.nextSequence, at: bulkhead_monotonic_nanoseconds(), lane: .shadow)
      monitor.locked { state.snapshotFailures &+= 1 }
      say("no snapshot before sequence \(name.nextSequence): \(error)", as: .snapshotFailed)
      return false
    }
  }

  private func publish(_ book: borrowing ShadowBook, _ comparison: ProbeComparison) {
    let isWhole = book.blindness == nil
    let next = book.position.nextSequence
    monitor.locked {
      state.isWhole = isWhole
      state.nextSequence = next
      state.compared = comparison.compared
      state.differences = comparison.differences
      state.skipped = comparison.skipped
      state.difference = comparison.firstDifference
    }
  }
}
