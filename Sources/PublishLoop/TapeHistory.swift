import BookBuilder
import CLinux
import Glibc
import PublishWire
import StageRecords
import StageRuntime
import Tape
import TapeShadow

/// What the book ring holds no more, made again from the recorder's tape. The tape is the merged stream: books are filled
/// from the newest snapshot in front of the place, or from the run's beginning, and the events behind the place are those
/// that bookd made. A thread of lower priority does it, for one reader at a time; ``ReplayTurns`` says for whom. What the disk
/// is asked is asked by threads alone.
final class TapeHistory {
  let files: SystemTapeFiles
  let rules: BookRules
  let channel: UInt8
  /// Which run of the recorder is this set's.
  private let run: @Sendable () -> UInt64
  private let worker = TapeWorker()
  private let reach: TapeReach
  /// A reader waits so long to be told whether the tape has what it asks for, ns.
  fileprivate let patience: UInt64
  private var turns: ReplayTurns
  private var readers: UInt64 = 0
  /// What is made for whoever's turn it is.
  private var feed: (reader: UInt64, feed: TapeFeed)?

  init(
    directory: String, rules: BookRules, channel: UInt8, limits: ReplayTurns.Limits = ReplayTurns.Limits(),
    patience: UInt64 = 5_000_000_000, run: @escaping @Sendable () -> UInt64
  ) {
    files = SystemTapeFiles(directory: directory)
    self.rules = rules
    self.channel = channel
    self.run = run
    self.patience = patience
    turns = ReplayTurns(limits: limits)
    reach = TapeReach(files: files, run: run)
  }

  /// The oldest message behind which the tape has everything; nil when it has nothing. Looked up every few seconds.
  func oldest(now: UInt64) -> UInt64? { reach.oldest(now: now) }

  /// Whether anybody has looked: the disk may not have answered yet, or the recorder not said which run is this set's.
  var isReachKnown: Bool { reach.isKnown }

  /// A number for a reader that may ask.
  fileprivate func newReader() -> UInt64 {
    readers &+= 1
    return readers
  }

  /// What is made of the events behind a place for a reader, once it is its turn: nothing of what it took of a feed before
  /// comes again if it says where it stands.
  fileprivate func feed(for reader: UInt64, after place: StreamPlace) -> TapeFeed? {
    let now = bulkhead_monotonic_nanoseconds()
    guard worker.isRunning, turns.ask(reader, now: now, holderIsSlow: feed?.feed.isSlow(now) ?? false) else {
      return nil
    }
    if let feed, feed.reader == reader { return feed.feed }
    feed?.feed.stop()
    let made = TapeFeed(files: files, run: run(), rules: rules, channel: channel, after: place)
    worker.take(made)
    feed = (reader, made)
    return made
  }

  fileprivate func took(_ reader: UInt64) { turns.took(reader, now: bulkhead_monotonic_nanoseconds()) }

  fileprivate func leave(_ reader: UInt64) {
    turns.leave(reader)
    guard let feed, feed.reader == reader else { return }
    feed.feed.stop()
    self.feed = nil
  }
}

extension RingHistory {
  var isReachKnown: Bool { tape?.isReachKnown ?? true }
}

/// Reads the tape while the ring does not reach back far enough, then the ring.
final class DeepHistoryReader: HistoryReader {
  private let ring: RingHistory
  private let tape: TapeHistory
  private let number: UInt64
  private var after: StreamPlace
  private var position: UInt64?
  /// Whether the tape was known to reach back far enough; and since when it is waited for that.
  private var isWithinReach: Bool
  private var waitsSince: UInt64?

  init(ring: RingHistory, tape: TapeHistory, after: StreamPlace) {
    self.ring = ring
    self.tape = tape
    self.after = after
    isWithinReach = tape.isReachKnown
    // Also behind others of its connection, which are read first.
    waitsSince = isWithinReach ? nil : bulkhead_monotonic_nanoseconds()
    number = tape.newReader()
  }

  deinit { tape.leave(number) }

  func read(bytes: Int, _ body: (UInt8, UnsafeRawBufferPointer) -> Void) -> HistoryStep {
    if var place = position {
      let step = ring.read(from: &place, after: &after, bytes: bytes, body)
      position = step == .lost ? nil : place
      // Lapped: the tape has what the ring has overwritten.
      return step == .lost ? .waiting : step
    }
    if let place = ring.position(for: after) {
      // What the thread has ready lies behind as well, in the ring.
      tape.leave(number)
      position = place
      return .more
    }
    if !isWithinReach, let step = awaitReach() { return step }
    guard let feed = tape.feed(for: number, after: after) else { return .waiting }
    let taken = feed.take(bytes: bytes) { kind, event in
      guard let base = event.baseAddress else { return }
      let header = BookEventHeader(from: base)
      let place = StreamPlace(sequence: header.sequence, index: header.index)
      guard self.after < place else { return }
      self.after = place
      body(kind, event)
    }
    if taken {
      tape.took(number)
      return .more
    }
    guard feed.isOver else { return .waiting }
    tape.leave(number)
    // Its end lies within what the ring retains, or a hole was met.
    return ring.position(for: after) == nil ? .lost : .more
  }
}

extension DeepHistoryReader {
  /// Nil once the tape is known to have what is asked for.
  private func awaitReach() -> HistoryStep? {
    let now = bulkhead_monotonic_nanoseconds()
    guard tape.isReachKnown else {
      let since = waitsSince ?? now
      waitsSince = since
      return now &- since >= tape.patience ? .unknown : .waiting
    }
    guard let oldest = tape.oldest(now: now), after.sequence >= oldest else { return .lost }
    isWithinReach = true
    return nil
  }
}

/// The one thread that makes events from the tape. It is started while the process may still start threads (docs/SANDBOX.md),
/// and sleeps while nobody asks for the past.
private final class TapeWorker: @unchecked Sendable {
  private let monitor = Monitor()
  // Under the monitor.
  private var job: TapeFeed?
  /// Whether there is a thread. Without one, nobody gets the past from the tape.
  private(set) var isRunning = false

  /// Lives as long as the process: so does the thread.
  init() {
    // Behind what must keep up with the venue; further behind, a loaded machine would leave it standing.
    isRunning = StageThread.start(niceness: 5, { [self] in main() }) == 0
  }

  /// What is to be made next. One that waits and has not been begun is forgotten: nobody takes from it any more.
  func take(_ feed: TapeFeed) {
    monitor.locked {
      job = feed
      monitor.signal()
    }
  }

  private func main() -> Never {
    while true {
      let next = monitor.locked { () -> TapeFeed? in
        while job == nil { monitor.wait() }
        defer { job = nil }
        return job
      }
      next?.main()
    }
  }
}

/// What ``TapeWorker`` makes for one reader, and what of it is ready.
final class TapeFeed: @unchecked Sendable {
  /// Bytes of a piece that is handed over, and pieces that may wait.
  private static let pieceBytes = 1 << 18
  private static let piecesMax = 8

  private let files: SystemTapeFiles
  private let run: UInt64
  private let rules: BookRules
  private let channel: UInt8
  private let after: StreamPlace
  private let monitor = Monitor()
  // Under the lock.
  private var ready: [[UInt8]] = []
  private var hasEnded = false
  private var isStopped = false
  private var pace = FeedPace()
  // Of the taking side.
  private var open: [UInt8] = []
  private var offset = 0
  // Of the thread.
  private var piece: [UInt8] = []

  fileprivate init(
    files: SystemTapeFiles, run: UInt64, rules: BookRules, channel: UInt8, after: StreamPlace
  ) {
    self.files = files
    self.run = run
    self.rules = rules
    self.channel = channel
    self.after = after
  }

  /// The thread leaves it soon; what is ready is forgotten with the last reference.
  fileprivate func stop() {
    monitor.locked { isStopped = true }
    monitor.signal()
  }

  /// The thread has mostly waited for its reader.
  fileprivate func isSlow(_ now: UInt64) -> Bool { monitor.locked { pace.isSlow(now: now) } }

  /// Nothing comes any more, and everything was taken.
  fileprivate var isOver: Bool { offset >= open.count && monitor.locked { hasEnded && ready.isEmpty } }

  /// Hands out events, up to about `bytes` of them. False when none is ready.
  fileprivate func take(bytes: Int, _ body: (UInt8, UnsafeRawBufferPointer) -> Void) -> Bool {
    if offset >= open.count {
      offset = 0
      open = monitor.locked { ready.isEmpty ? [] : ready.removeFirst() }
      monitor.signal()
    }
    guard offset < open.count else { return false }
    let end = min(open.count, offset + bytes)
    open.withUnsafeBytes { buffer in
      while offset < end {
        // 0 u32 bytes of the event │ 4 u8 kind │ 8 the event
        let count = Int(buffer.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
        let start = offset + 8
        body(buffer[offset + 4], UnsafeRawBufferPointer(rebasing: buffer[start..<start + count]))
        offset = start + count
      }
    }
    return true
  }

  // MARK: The thread

  fileprivate func main() {
    if let problem = make() { narrateLine("pubd: the tape cannot be replayed: \(problem)") }
    handOver()
    monitor.locked {
      hasEnded = true
      pace.wait(now: bulkhead_monotonic_nanoseconds())
    }
  }

  /// Fills books up to the place, and makes the events behind it; nil, or why it had to end before the tape did.
  private func make() -> String? {
    do throws(TapeFileError) {
      var book = try beginning()
      // Filling the books may have taken longer than the turn.
      guard !monitor.locked({ isStopped }) else { return nil }
      let next = book.position.nextSequence
      var reader = try TapeReader(files: files, start: next == 1 ? .newestRun : .sequence(next))
      return read(&reader, &book)
    } catch {
      return "\(error)"
    }
  }

  /// The books of the newest snapshot in front of the place, or empty ones.
  private func beginning() throws(TapeFileError) -> ShadowBook {
    var poison: [UInt64] = []
    if let recording = try SessionRecording.newest(files) {
      poison = PoisonStore(files: files).sequences(of: recording.session)
    }
    // A snapshot behind a message that bookd passed over may have been made with it, and one directly behind the place's message with
    // a recovery that is to be told.
    let latest = min(after.sequence, poison.min() ?? .max)
    var found: ShadowBook?
    _ = try SnapshotStore(files: files).newest(run: run, through: latest) { name, bytes in
      do throws(BookImageError) {
        let summary = try BookImage.summary(of: bytes)
        guard summary.position.nextSequence == name.nextSequence, summary.channel == channel else {
          return "it belongs to another position"
        }
        found = try ShadowBook(image: bytes, rules: rules)
        return nil
      } catch {
        return "\(error)"
      }
    }
    var book = found.take() ?? ShadowBook(rules: rules, channel: channel)
    for sequence in poison { book.passOver(sequence) }
    return book
  }

  private func read(_ reader: inout TapeReader<SystemTapeFiles>, _ book: inout ShadowBook) -> String? {
    let keep: (borrowing EventBatch) -> Void = { [self] events in
      events.forEach { kind, event in append(kind, event) }
    }
    while true {
      let record: TapeRecord?
      do throws(TapeDamage) { record = try reader.next() } catch { return "\(error)" }
      guard let record else { return nil }
      let isBefore =
        record.kind == MergedRecord.Kind.message && book.position.nextSequence < after.sequence
      _ = book.take(record, events: isBefore ? nil : keep)
      if let blindness = book.blindness { return blindness }
      if piece.count >= Self.pieceBytes { handOver() }
      if monitor.locked({ isStopped }) { return nil }
    }
  }

  private func append(_ kind: UInt8, _ event: UnsafeRawBufferPointer) {
    withUnsafeBytes(of: UInt32(event.count)) { piece.append(contentsOf: $0) }
    piece.append(contentsOf: [kind, 0, 0, 0])
    piece.append(contentsOf: event)
  }

  /// Waits until there is room.
  private func handOver() {
    guard !piece.isEmpty else { return }
    monitor.locked {
      pace.begin(now: bulkhead_monotonic_nanoseconds())
      if ready.count >= Self.piecesMax {
        pace.wait(now: bulkhead_monotonic_nanoseconds())
        while ready.count >= Self.piecesMax, !isStopped { monitor.wait() }
        pace.goOn(now: bulkhead_monotonic_nanoseconds())
      }
      if !isStopped { ready.append(piece) }
    }
    piece = []
    piece.reserveCapacity(Self.pieceBytes + 65_536)
  }
}
