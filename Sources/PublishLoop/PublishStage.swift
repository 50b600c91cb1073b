import BookBuilder
import BookSettings
import CLinux
import CProbes
import Failpoints
import Glibc
import OrderBook
import PublishWire
import ShmRing
import StageRecords
public import StageRuntime
import Tape
import TapeShadow
import Topology

/// Drives the ``PublishServer``: reads the book ring, keeps a replica of the books from the events alone (for
/// snapshots, and as a second opinion on bookd's books), hands every event to the server between two turns of its
/// sockets.
public final class PublishStage {
  /// Events between two looks at the sockets.
  private static let eventsPerTurn = 1024
  private static let idleNanoseconds: Int64 = 20_000_000
  /// With clients connected, how long their requests may wait while the ring is quiet.
  private static let idleWithClientsNanoseconds: Int64 = 1_000_000
  private static let reportNanoseconds: UInt64 = 50_000_000

  let control: ControlPage
  /// The book stage's page: its beat tells a quiet market from a dead stage.
  private let book: ControlPage
  private let bookSilenceNanoseconds: UInt64
  /// The viewer's page, which alone knows its port; nil when that is configured, or there is none.
  private let view: PageBox?
  /// What the supervisor says of the stream.
  private let trust: TrustView
  /// The book stage's page, as it was looked at last.
  private var bookLooksLive = true
  var input: RingConsumer
  let server: PublishServer
  let source: ReplicaSnapshotSource
  /// Memory that was left for when clients are served.
  private var memoryPace: MemoryPace
  /// Where the tape lies that has what the ring's stream goes on from; nil without one.
  let rules: BookRules
  let tapeDirectory: String?
  /// The recorder lays books by.
  let hasSnapshots: Bool
  /// The recorder's page; nil without one.
  let recorder: PageBox?
  /// When stored books may be asked for again (CLOCK_MONOTONIC, ns).
  var nextAttempt: UInt64 = 0
  /// The number with which the ring's stream begins, once the books in front of it were looked for.
  private(set) var origin: UInt64 = 0
  let history: RingHistory
  /// The next event begins a message, which lies at this position.
  private var messageStart: UInt64?
  /// The newest incarnation of the book stage, until the clients' server knows of it; and whether it lost its state.
  private var newEpoch: UInt64?
  private var stateWasLost = false
  /// The replica saw the session's first event and every one since, or goes on from books that did, and agrees with all of them.
  var isReplicaWhole: Bool
  let buffer: UnsafeMutableRawPointer
  private let idleStrategy: IdleStrategy
  private var patrol = RingPatrol()
  private var newest: BookEventHeader?
  private var eventsRead: UInt64 = 0
  private var inputLaps: UInt64 = 0
  private var sessionEnded = false
  private var nextReport: UInt64 = 0
  private let clientReport: ClientReport?
  private var toldClientsMax: Int?
  private var toldSession: (UInt64, UInt64) = (0, 0)

  public init(process: borrowing StageProcess) {
    let topology = process.topology
    do {
      control = try ControlPage.attach(
        directory: process.directory, component: process.component, access: .readWrite)
      book = try ControlPage.attach(directory: process.directory, component: "bookd", access: .readOnly)
      trust = try TrustView.attach(
        directory: process.directory, configurationHash: process.configurationHash)
    } catch {
      fail("\(process.component): \(error)", code: ExitCode.unavailable)
    }
    // Whose port the kernel chooses is known once it runs.
    view = topology.view?.port == 0 ? PageBox(directory: process.directory, component: "viewd") : nil
    bookSilenceNanoseconds =
      topology.stage(named: "bookd")?.ladder.alarmNanoseconds ?? 1_000_000_000
    control.setState(.warming)
    // From the oldest event: the replica is complete only if it saw the first, or goes on from stored books.
    input = process.consumer("book", start: .oldest)
    isReplicaWhole = input.nextPosition == 0
    rules = topology.bookRules
    tapeDirectory = topology.tapeDirectory
    hasSnapshots = topology.tape?.shadow == true && topology.tapeDirectory != nil
    recorder = topology.tapeStage.flatMap { PageBox(directory: process.directory, component: $0) }
    // Locked memory is there when it is mapped.
    let isAwaited = control.epoch > 1 && !topology.host.lockMemory
    source = ReplicaSnapshotSource(capacity: rules.capacity, touch: isAwaited ? .asNeeded : .atOnce)
    memoryPace = MemoryPace(isLater: isAwaited)
    buffer = UnsafeMutableRawPointer.allocate(byteCount: input.maximumRecordBytes + 64, alignment: 64)
    buffer.initializeMemory(as: UInt8.self, repeating: 0, count: input.maximumRecordBytes + 64)
    idleStrategy = process.idleStrategy
    history = RingHistory(
      path: input.path, cells: topology.ring(named: "book")?.cells ?? 1 << 20,
      recordBytes: input.maximumRecordBytes)
    var configuration = PublishConfiguration(
      hello: HelloFields(
        server: LocalHost.name, instance: topology.host.instance, channel: topology.channel.number,
        epoch: StreamOrigin.epoch(
          life: input.producerWord(StreamOrigin.lifeWord), producerEpoch: input.producerEpoch),
        configurationHash: topology.hash))
    configuration.beginning.epoch = StreamOrigin.epoch(
      life: input.producerWord(StreamOrigin.lifeWord), producerEpoch: 0)
    configuration.listen = topology.publish.listen.description
    configuration.port = Int(topology.publish.port)
    configuration.maximumClients = topology.publish.clients
    configuration.clientsPerAddress = topology.publish.clientsPerAddress
    configuration.origins = topology.publish.origins
    configuration.viewPort = Int(topology.view?.port ?? 0)
    configuration.limits.queueBytes = topology.publish.clientQueueBytes
    configuration.heartbeatNanoseconds = topology.publish.heartbeatNanoseconds
    configuration.certificate = topology.publish.certificate.map { ($0.chain, $0.key) }
    configuration.tokensFile = topology.publish.tokensFile
    configuration.socketPath = topology.publish.socketPath
    do throws(PublishServerError) {
      server = try PublishServer(configuration: configuration, snapshotSource: source)
    } catch {
      fail("\(process.component): \(Self.describe(error, configuration))", code: Self.exitCode(error))
    }
    server.history = history
    history.tape = Self.tape(process, recorder)
    clientReport = ClientReport(directory: process.directory, configurationHash: process.configurationHash)
    tellClientsMax(of: configuration.maximumClients)
    control.set(PublishCounter.port, UInt64(server.port))
    control.flight.note(.listening, UInt64(server.port))
    control.set(PublishCounter.sessionEnded, 0)
    if !isReplicaWhole, !hasSnapshots {
      narrate(
        "\(process.component): the book ring no longer holds the first event; snapshots are refused",
        as: .stateLost)
    }
  }

  /// Says when descriptors leave room for fewer clients than are configured, and when that is another number.
  private func tellClientsMax(of wanted: Int) {
    guard server.clientsMax != toldClientsMax ?? wanted else { return }
    toldClientsMax = server.clientsMax
    narrate(
      "pubd: RLIMIT_NOFILE leaves descriptors for \(server.clientsMax) of \(wanted) clients",
      as: .hostFallsShort)
  }

  /// The recorder's tape.
  private static func tape(_ process: borrowing StageProcess, _ recorder: PageBox?) -> TapeHistory? {
    let topology = process.topology
    guard let directory = topology.tapeDirectory, let recorder else { return nil }
    return TapeHistory(
      directory: directory, rules: topology.bookRules,
      channel: topology.channel.number, run: { recorder.page.value(TapeCounter.run) })
  }

  private static func describe(_ error: PublishServerError, _ configuration: PublishConfiguration) -> String {
    switch error {
    case .cannotListen(let address, let port): "cannot listen on \(address):\(port): is the port taken?"
    case .badPort(let port): "port \(port) is none"
    case .badCertificate(let problem):
      "publish.tls_certificate \(configuration.certificate?.chain ?? ""): \(problem)"
    case .badTokens(let problem): "publish.tokens \(problem)"
    case .cannotListenLocally(let path): "cannot listen on \(path): is its folder there and writable?"
    }
  }

  private static func exitCode(_ error: PublishServerError) -> Int32 {
    switch error {
    case .cannotListen, .cannotListenLocally: ExitCode.unavailable
    case .badPort, .badCertificate, .badTokens: ExitCode.configuration
    }
  }

  /// Runs until asked to stop, then reads what is still on the ring and takes leave of the clients.
  public func run() {
    switch idleStrategy {
    case .spin: run(SpinWait())
    case .yield: run(YieldWait())
    case .park: run(ParkWait())
    }
  }

  private func run(_ strategy: some RingWait) {
    var wait = strategy
    control.setState(.catchingUp)
    failpoint(91)  // attached, nothing read
    lookForOrigin()
    takeUpStoredBooks()
    history.origin = origin
    while turn() > 0 { failpoint(92) }  // a turn of catching up
    source.isCaughtUp = isReplicaWhole
    failpoint(93)  // caught up, not READY
    server.settleDescriptors()
    control.setState(.ready)
    Sandbox.enter("pubd")
    failpoint(94)  // READY, nobody served
    while true {
      let events = turn()
      if !memoryPace.isOver { takeMemory() }
      control.flight.doing(.servingClients)
      tellInputState()
      server.service(timeoutMilliseconds: 0, inputWaits: events >= Self.eventsPerTurn)
      report()
      if events > 0 {
        wait.reset()
        continue
      }
      if bulkhead_stop_requested() { break }
      if wait.idle() == .park {
        let limit = min(
          Self.idleNanoseconds,
          Int64(clamping: server.restNanoseconds(UInt64(Self.idleWithClientsNanoseconds))))
        control.flight.doing(.asleep)
        input.park(nanoseconds: limit)
      }
    }
    control.setState(.draining)
    while turn() > 0 { server.service(timeoutMilliseconds: 0) }
    server.shutdown()
    nextReport = 0
    report()
  }

  private func takeMemory() {
    let now = bulkhead_monotonic_nanoseconds()
    if memoryPace.isDue(now) { memoryPace.took(hasMore: source.touchMemory(), now) }
  }

  /// Reads up to a turn's worth of events, and on to the end of a venue message. Returns how many there were.
  private func turn() -> Int {
    var count = 0
    var betweenMessages = true
    control.flight.doing(.readingEvents)
    reading: while count < Self.eventsPerTurn || !betweenMessages {
      if betweenMessages { messageStart = input.nextPosition }
      switch input.poll(into: buffer) {
      case .record(let kind, let bytes):
        // The word is there before the first event is.
        if eventsRead == 0 { lookForOrigin() }
        betweenMessages = take(kind, UnsafeRawBufferPointer(start: buffer, count: bytes))
        count += 1
      case .lapped(let from, let to):
        bulkhead_probe_ring_lapped(from, to)
        inputLaps += 1
        distrustReplica()
        control.flight.note(.clientsDropped)
        server.disconnectAll(.continuityLost)
        takeUpStoredBooksAgain()
      case .halted(let halt): input.continueOrEnd(after: halt, component: "pubd")
      case .empty:
        // A message's events become visible at once, so the ring never ends within one.
        break reading
      }
    }
    if count > 0 { finishTurn(count) }
    if patrol.isDue(bulkhead_monotonic_nanoseconds()) { input.patrol(component: "pubd") }
    return count
  }

  func finishTurn(_ count: Int) {
    guard let newest else { return }
    control.setAppliedSequence(newest.sequence)
    control.set(PublishCounter.eventsRead, eventsRead)
    input.reportPosition()
    history.presentPosition = input.nextPosition
    followEpoch()
    let now = bulkhead_realtime_nanoseconds()
    if newest.receiveTime != 0, now > newest.receiveTime { control.latency.record(now - newest.receiveTime) }
    control.flight.step(
      .published, count: UInt64(count), newest.sequence, input.nextPosition, at: control.beat())
    if sessionEnded { endSession() }
  }

  /// One event. Returns true when it was the last of its message.
  @inline(__always)
  private func take(_ kind: UInt8, _ event: UnsafeRawBufferPointer) -> Bool {
    if case .mismatch = source.apply(kind: kind, event: event) { distrustReplica() }
    return pass(kind, event)
  }

  /// Hands on an event that is in the books. Returns true when it was the last of its message.
  @inline(__always)
  func pass(_ kind: UInt8, _ event: UnsafeRawBufferPointer) -> Bool {
    server.publish(kind: kind, event: event)
    eventsRead &+= 1
    guard let base = event.baseAddress, event.count >= BookEventHeader.bytes else { return true }
    let header = BookEventHeader(from: base)
    newest = header
    if let start = messageStart {
      history.note(header, at: start)
      messageStart = nil
    }
    if kind == BookEventKind.gap.rawValue, event.count >= BookEventHeader.bytes + 24,
      event.loadUnaligned(fromByteOffset: BookEventHeader.bytes + 16, as: UInt64.self)
        == UInt64(GapReason.restartWithoutState.rawValue)
    {
      stateWasLost = true
    }
    if kind == BookEventKind.endOfSession.rawValue { sessionEnded = true }
    guard header.flags & EventFlags.last != 0 else { return false }
    server.endOfMessage()
    return true
  }

  /// When the ring's stream goes on from books that were made on other rings, takes those from the tape. Whoever was connected
  /// was shown empty ones.
  private func lookForOrigin() {
    let first = input.producerWord(StreamOrigin.firstSequenceWord)
    guard first > 1, origin == 0, isReplicaWhole else { return }
    noteOrigin()
    let state = control.state
    control.setState(.catchingUp)
    server.disconnectAll(.continuityLost)
    source.giveUpBooks()
    if restoreReplica(before: first) {
      control.setAppliedSequence(first &- 1)
      narrate("pubd: the books are those behind sequence \(first - 1)")
    } else {
      distrustReplica()
      narrate(
        "pubd: the books in front of sequence \(first) cannot be had; snapshots are refused", as: .stateLost)
    }
    control.setState(state)
  }

  /// Remembers with which number the ring's stream begins, where that is not the session's first.
  func noteOrigin() {
    let first = input.producerWord(StreamOrigin.firstSequenceWord)
    guard first > 1, origin == 0 else { return }
    origin = first
    server.setFirstSequence(first)
  }

  private func restoreReplica(before first: UInt64) -> Bool {
    guard let found = storedBooks(before: first), found.position.nextSequence == first else { return false }
    let position = found.position
    source.restore(from: found.intoBuilderOfNewRings(), at: position)
    return true
  }

  /// The recorder's books in front of a message, or as near to it as the tape goes.
  /// - Parameter run: of the recorder, that the tape has to end with; nil: any. It is numbered anew with the rings, so what it recorded
  ///   is these rings' stream.
  func storedBooks(before end: UInt64, run: UInt64? = nil) -> ShadowBook? {
    guard let tapeDirectory else { return nil }
    let files = SystemTapeFiles(directory: tapeDirectory)
    guard let recording = try? SessionRecording.newest(files), run == nil || recording.legs.last?.run == run
    else { return nil }
    return StoredBooks.restore(
      recording, files: files, before: end, rules: rules, says: { narrate("pubd: \($0)") },
      pulse: { _ in control.beat() })
  }

  /// Another incarnation of the book stage continues the stream under another number. Where it could not, clients begin
  /// anew, from a cursor if they like.
  private func followEpoch() {
    if let epoch = input.takeEpochChange() { newEpoch = epoch }
    guard stateWasLost || newEpoch != nil else { return }
    let life = input.producerWord(StreamOrigin.lifeWord)
    server.setFirstEpoch(StreamOrigin.epoch(life: life, producerEpoch: 0))
    let epoch = StreamOrigin.epoch(life: life, producerEpoch: newEpoch ?? input.producerEpoch)
    bulkhead_probe_epoch_change(UInt64(epoch), stateWasLost ? 1 : 0)
    if stateWasLost { server.beginEpoch(epoch) } else { server.continueEpoch(epoch) }
    newEpoch = nil
    stateWasLost = false
  }

  /// From here on no snapshot is given: a request is refused rather than served from books that may be wrong.
  private func distrustReplica() {
    if isReplicaWhole { control.flight.note(.replicaDistrusted) }
    isReplicaWhole = false
    source.isCaughtUp = false
  }

  /// The session is over: the digest of the replica goes to the control page.
  func endSession() {
    sessionEnded = false
    nextReport = 0
    report()
    control.set(PublishCounter.bookDigest, source.replica.books.contentDigest())
    control.set(PublishCounter.sessionEnded, 1)
  }

  /// Whether the book stage runs and beats. A restarted one that continues the stream exactly changes nothing for
  /// the clients but this state, while it lasts; they keep their sessions.
  private func bookIsLive(_ now: UInt64) -> Bool {
    switch book.state {
    case .ready, .draining, .drained: break
    default: return false
    }
    let beat = book.beatTime
    return (now <= beat || now - beat < bookSilenceNanoseconds) && (book.state != .ready || book.isAlive)
  }

  /// Tells the clients as soon as the supervisor, or the book stage's own page, says that the stream is not to be believed.
  /// Either is enough: neither passes through the other.
  private func tellInputState() {
    switch trust.state {
    case .halted: server.setInputState(.halted)
    case .stale: server.setInputState(.stale)
    case .live, nil: server.setInputState(bookLooksLive && !trust.hasOpenGap ? .live : .stale)
    }
  }

  /// Copies the counts to the control page, a few times a second.
  /// Another session is told to clients. A look only, as long as it is the same.
  private func noteSession() {
    let session = (book.value(BookCounter.sessionLeading), book.value(BookCounter.sessionTrailing))
    guard session != toldSession else { return }
    toldSession = session
    server.setSession(sessionText(session.0, session.1))
  }

  private func report() {
    let now = bulkhead_monotonic_nanoseconds()
    guard now >= nextReport else { return }
    nextReport = now + Self.reportNanoseconds
    input.reportPosition()
    bookLooksLive = bookIsLive(now)
    noteSession()
    tellInputState()
    if let view { server.setViewPort(Int(truncatingIfNeeded: view.page.value(ViewCounter.port))) }
    if eventsRead == 0 { lookForOrigin() }
    takeUpStoredBooksAgain()
    control.set(PublishCounter.replicaWhole, isReplicaWhole ? 1 : 0)
    let statistics = server.statistics
    control.set(PublishCounter.eventsRead, eventsRead)
    control.set(PublishCounter.clients, UInt64(statistics.clients))
    control.set(PublishCounter.clientsAccepted, statistics.accepted)
    control.set(
      PublishCounter.clientsRefused,
      statistics.refusedFull + statistics.refusedRequest + statistics.refusedToken + statistics.refusedSockets
    )
    control.set(
      PublishCounter.clientsEvicted,
      statistics.evictedSlow + statistics.evictedIdle + statistics.evictedProtocol + statistics.evictedToken)
    control.set(PublishCounter.evictedSlow, statistics.evictedSlow)
    control.set(PublishCounter.evictedIdle, statistics.evictedIdle)
    control.set(PublishCounter.evictedProtocol, statistics.evictedProtocol)
    control.set(PublishCounter.evictedToken, statistics.evictedToken)
    control.set(PublishCounter.refusedFull, statistics.refusedFull)
    control.set(PublishCounter.refusedRequest, statistics.refusedRequest)
    control.set(PublishCounter.refusedToken, statistics.refusedToken)
    control.set(PublishCounter.refusedSockets, statistics.refusedSockets)
    control.set(PublishCounter.clientsMax, UInt64(server.clientsMax))
    tellClientsMax(of: server.configuration.maximumClients)
    control.set(PublishCounter.eventsReplayed, statistics.eventsReplayed)
    control.set(PublishCounter.eventsShed, statistics.eventsShed)
    control.set(PublishCounter.certificateReloads, statistics.certificateReloads)
    control.set(PublishCounter.deepestQueueBytes, UInt64(statistics.deepestQueueBytes))
    control.set(PublishCounter.framesSent, statistics.framesSent)
    control.set(PublishCounter.bytesSent, statistics.bytesSent)
    control.set(PublishCounter.snapshotsServed, statistics.snapshotsTaken)
    control.set(PublishCounter.inputLaps, inputLaps)
    control.set(PublishCounter.replicaMismatches, source.replica.mismatchCount)
    control.set(PublishCounter.liveOrders, UInt64(source.replica.books.orderCount))
    if let clientReport { server.report(to: clientReport, now: now) }
    control.beat()
  }
}

/// The venue's session as the book stage keeps it in two words: ten ASCII characters, space padded.
private func sessionText(_ leading: UInt64, _ trailing: UInt64) -> String {
  var bytes = (0..<8).map { UInt8(truncatingIfNeeded: leading &>> (UInt64($0) &* 8)) }
  bytes += (0..<2).map { UInt8(truncatingIfNeeded: trailing &>> (UInt64($0) &* 8)) }
  let text = bytes.drop { $0 == 0x20 }.filter { (0x21...0x7E).contains($0) }
  return String(decoding: text, as: UTF8.self)
}

/// A page that a closure can hold, and another thread read: its words are read one by one.
final class PageBox: @unchecked Sendable {
  let page: ControlPage
  init(_ page: consuming ControlPage) { self.page = page }

  /// Nil when there is none.
  convenience init?(directory: String, component: String) {
    guard
      let page = try? ControlPage.attach(directory: directory, component: component, access: .readOnly)
    else { return nil }
    self.init(page)
  }
}
