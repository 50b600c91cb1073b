import BookBuilder
import Glibc
import PublishWire
import StageRecords
import StageRuntime
import Tape
import TapeShadow

/// What the book ring holds no more, made again from the recorder's tape. The tape is the merged stream: books are filled
/// from the newest snapshot in front of the place, or from the run's beginning, and the events behind the place are those
/// that bookd made. A thread of lower priority does it, one replay at a time; the others wait for their turn.
final class TapeHistory {
  let files: SystemTapeFiles
  let rules: BookRules
  let channel: UInt8
  /// Which run of the recorder is this set's.
  private let run: () -> UInt64
  private let worker = TapeWorker()
  fileprivate var feed: TapeFeed?
  private var oldestFound: UInt64?
  private var nextLook: UInt64 = 0
  private static let lookNanoseconds: UInt64 = 2_000_000_000

  init(directory: String, rules: BookRules, channel: UInt8, run: @escaping () -> UInt64) {
    files = SystemTapeFiles(directory: directory)
    self.rules = rules
    self.channel = channel
    self.run = run
  }

  /// The oldest message behind which the tape has everything; nil when it has nothing. Looked up every few seconds.
  func oldest(now: UInt64) -> UInt64? {
    guard now >= nextLook else { return oldestFound }
    nextLook = now &+ Self.lookNanoseconds
    oldestFound = find()
    return oldestFound
  }

  private func find() -> UInt64? {
    do throws(TapeFileError) {
      let number = run()
      let first = try TapeIndex(files).segments.first { $0.header?.run == number }?.header?.firstSequence
      guard let first else { return nil }
      if first <= 1 { return 0 }
      return try SnapshotStore(files: files).list().first { $0.run == number && $0.nextSequence >= first }
        .map { $0.nextSequence }
    } catch {
      return nil
    }
  }

  /// Begins to make the events behind a place, unless another replay is under way.
  fileprivate func begin(after place: StreamPlace) -> TapeFeed? {
    guard feed == nil, worker.isRunning else { return nil }
    let feed = TapeFeed(
      files: files, run: run(), rules: rules, channel: channel, after: place)
    worker.take(feed)
    self.feed = feed
    return feed
  }

  fileprivate func end(_ feed: TapeFeed) {
    feed.stop()
    if self.feed === feed { self.feed = nil }
  }
}

/// Reads the tape while the ring does not reach back far enough, then the ring.
final class DeepHistoryReader: HistoryReader {
  private let ring: RingHistory
  private let tape: TapeHistory
  private var after: StreamPlace
  private var position: UInt64?
  private var feed: TapeFeed?

  init(ring: RingHistory, tape: TapeHistory, after: StreamPlace) {
    self.ring = ring
    self.tape = tape
    self.after = after
  }

  deinit { if let feed { tape.end(feed) } }

  func read(bytes: Int, _ body: (UInt8, UnsafeRawBufferPointer) -> Void) -> HistoryStep {
    if var place = position {
      let step = ring.read(from: &place, after: &after, bytes: bytes, body)
      position = step == .lost ? nil : place
      // Lapped: the tape has what the ring has overwritten.
      return step == .lost ? .waiting : step
    }
    if let place = ring.position(for: after) {
      // What the thread has ready lies behind as well, in the ring.
      leaveTape()
      position = place
      return .more
    }
    guard let feed = feed ?? tape.begin(after: after) else { return .waiting }
    self.feed = feed
    let taken = feed.take(bytes: bytes) { kind, event in
      guard let base = event.baseAddress else { return }
      let header = BookEventHeader(from: base)
      let place = StreamPlace(sequence: header.sequence, index: header.index)
      guard self.after < place else { return }
      self.after = place
      body(kind, event)
    }
    if taken { return .more }
    guard feed.isOver else { return .waiting }
    leaveTape()
    // Its end lies within what the ring retains, or a hole was met.
    return ring.position(for: after) == nil ? .lost : .more
  }

  private func leaveTape() {
    if let feed { tape.end(feed) }
    feed = nil
  }
}

/// The one thread that makes events from the tape. It is started while the process may still start threads (docs/SANDBOX.md),
/// and sleeps while nobody asks for the past.
private final class TapeWorker: @unchecked Sendable {
  private let monitor = Monitor()
  // Under the monitor.
  private var job: TapeFeed?
  private var hasBegun = false
  /// Whether there is a thread. Without one, nobody gets the past from the tape.
  private(set) var isRunning = false

  /// Lives as long as the process: so does the thread.
  init() {
    guard StageThread.start({ [self] in main() }) == 0 else { return }
    isRunning = true
    monitor.locked { while !hasBegun { monitor.wait() } }
  }

  /// What is to be made next. One that waits and has not been begun is forgotten: nobody takes from it any more.
  func take(_ feed: TapeFeed) {
    monitor.locked {
      job = feed
      monitor.signal()
    }
  }

  private func main() -> Never {
    // Capabilities are a thread's own: those of this one do not go with the others'.
    Sandbox.dropCapabilities()
    // Behind what must keep up with the venue; further behind, a loaded machine would leave it standing.
    _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 5)
    monitor.locked {
      hasBegun = true
      monitor.signal()
    }
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
    monitor.locked { hasEnded = true }
  }

  /// Fills books up to the place, and makes the events behind it; nil, or why it had to end before the tape did.
  private func make() -> String? {
    do throws(TapeFileError) {
      var book = try beginning()
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
      while ready.count >= Self.piecesMax, !isStopped { monitor.wait() }
      if !isStopped { ready.append(piece) }
    }
    piece = []
    piece.reserveCapacity(Self.pieceBytes + 65_536)
  }
}
