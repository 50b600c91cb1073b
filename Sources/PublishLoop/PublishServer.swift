import CLinux
import CProbes
import CWebSockets
import Glibc
public import PublishWire
import StageRecords

/// The WebSocket side of `pubd`: sessions, their queues, heartbeats, eviction.
///
/// Everything happens on the caller's thread, in this order:
/// ```
/// for each venue message:   publish (once an event) … endOfMessage
/// between two messages:     service
/// ```
/// Nothing here waits for a client. A client that cannot keep up fills its own queue and is closed.
public final class PublishServer {
  private(set) var configuration: PublishConfiguration
  /// TCP port in use.
  public private(set) var port = 0
  /// What snapshots are made from. It must stand behind the last published event whenever ``service`` runs.
  var snapshotSource: any SnapshotSource
  /// What cursors are served from; like ``snapshotSource`` it stands at the last published event.
  var history: (any HistorySource)?

  private var context: OpaquePointer?
  private let library: PublishLibrary
  /// Who may connect; nil: everybody.
  private var tokens: AccessTokens?
  private var nextFileCheck: UInt64 = 0
  private static let fileCheckNanoseconds: UInt64 = 500_000_000
  /// Descriptors that are open without any client, and those that were left for clients at the last look.
  private var ownDescriptors = 0
  private let descriptorLimit = DescriptorLimit()
  /// The kernel's own default, where the limit cannot be read.
  private static let usualDescriptors = 1_024
  private var freeDescriptors = -1
  private let wakeUp: UnsafeMutablePointer<lws_sorted_usec_list_t>

  private(set) var clients: ContiguousArray<PublishClient> = []
  /// The clients by ``PublishClient/slot``, which stays while one is connected.
  @exclusivity(unchecked) private(set) var slots: ContiguousArray<PublishClient?> = []
  /// Who wants events of single instruments.
  @exclusivity(unchecked) var index = InterestIndex()
  /// Who is shown every message.
  @exclusivity(unchecked) var wide: ContiguousArray<PublishClient> = []
  /// Somebody wants something else since ``renewInterest()``.
  var interestIsStale = false
  /// For whom something waits that has not been tried to send.
  @exclusivity(unchecked) var unsent: ContiguousArray<PublishClient> = []
  /// For whom there is something to do between messages.
  @exclusivity(unchecked) var busy: ContiguousArray<PublishClient> = []
  /// The two lists as they were when their turn came, with room that stays: a copy would be an allocation a turn.
  @exclusivity(unchecked) var sending: ContiguousArray<PublishClient> = []
  @exclusivity(unchecked) private var attended: ContiguousArray<PublishClient> = []
  /// Room for a WebSocket header and a frame's.
  let sharedHeader = UnsafeMutableRawPointer.allocate(
    byteCount: WebSocketHeader.bytesMax + FrameHeader.bytes, alignment: 16)
  /// When the sockets were served last, CLOCK_MONOTONIC ns.
  private(set) var now: UInt64 = 0
  /// Not before that are queues filled and emptied again; the sockets looked at.
  private var nextFlush: UInt64 = 0
  private var nextLook: UInt64 = 0
  /// Filling and emptying queues may take so long without a rest; what it takes longer is rested.
  private static let flushAllowance: UInt64 = 500_000
  /// How many times longer the rest is while input waits, and its limit.
  private static let pressedRest: UInt64 = 9
  private static let restMax: UInt64 = 50_000_000
  /// Looks at the sockets take this part of the time at most when nothing waits for a socket; the longest rest.
  private static let lookShare: UInt64 = 16
  private static let lookRestMax: UInt64 = 5_000_000
  /// Some client has a subscription.
  private var hasSubscribers = false
  // Touched for every event or every client: not checked for overlapping accesses at run time. One thread calls, and what the
  // library calls back goes through the same methods.
  @exclusivity(unchecked) var batch = MessageBatch()
  /// Bytes of entries that fit a frame; most messages take less than so many.
  private let framePayload: Int
  private static let usualMessageBytes = 512
  /// The message under way cannot be framed.
  private var batchFailed = false
  /// Venue sequence number of the last event; of the last whole message.
  private var eventSequence: UInt64 = 0
  private(set) var sequence: UInt64 = 0
  private(set) var inputState = InputState.live
  /// Newest message when that state began.
  private var inputStateSince: UInt64 = 0
  private var inputStatus = InputStatus(input: 0, serverTime: 0)
  /// Clients at one time, as descriptors allow.
  private var admitted = 0
  /// Sockets at one time: those clients', and of handshakes.
  private var admission: Admission<OpaquePointer>
  /// Whose pages may connect.
  private var origins: AllowedOrigins
  @exclusivity(unchecked) var counters = PublishStatistics()
  private var nextHeartbeat: UInt64 = 0
  private var nextScan: UInt64 = 0
  private static let scanNanoseconds: UInt64 = 50_000_000
  /// Bytes that one writable callback gives to a socket before other clients get their turn.
  static let writeBudget = 256 << 10
  /// Bytes of snapshots and of the past that are queued for all clients together between two looks at the sockets.
  private static let replayBudget = 4 << 20
  private var replayBytesLeft = 0
  /// Clients for which a writable callback has been asked.
  private var waiting = 0

  /// Listens at once.
  /// - Parameter snapshotSource: see ``snapshotSource``.
  public init(
    configuration: PublishConfiguration, snapshotSource: any SnapshotSource
  ) throws(PublishServerError) {
    guard (0...65_535).contains(configuration.port) else { throw .badPort(configuration.port) }
    self.configuration = configuration
    self.snapshotSource = snapshotSource
    if let file = configuration.tokensFile {
      do throws(AccessTokensError) { tokens = try AccessTokens(path: file) } catch {
        throw .badTokens(error.reason)
      }
    }
    let limits = configuration.limits
    framePayload =
      SubscriberLimits(queueBytes: limits.queueBytes, frameBytes: limits.frameBytes).frameBytes
      - FrameHeader.bytes
    // What a first client would find made on the spot.
    _ = PublishSchema.hash
    library = PublishLibrary(configuration)
    admission = Admission(
      mostOfAddress: configuration.clientsPerAddress, grace: configuration.handshakeGraceNanoseconds)
    origins = AllowedOrigins(
      listed: configuration.origins, viewPort: configuration.viewPort, hostName: configuration.hello.server)
    wakeUp = UnsafeMutablePointer<lws_sorted_usec_list_t>.allocate(capacity: 1)
    wakeUp.initialize(to: lws_sorted_usec_list_t())
    context = try library.listen(configuration, user: Unmanaged.passUnretained(self).toOpaque())
    port = library.port
    let now = bulkhead_monotonic_nanoseconds()
    nextHeartbeat = now &+ configuration.heartbeatNanoseconds
    nextScan = now
    nextFileCheck = now
    settleDescriptors()
  }

  deinit {
    destroyContext()
    wakeUp.deallocate()
    sharedHeader.deallocate()
  }

  /// Counts the descriptors that are this process's own, once everything is open that it serves from.
  func settleDescriptors() {
    ownDescriptors = max(0, openDescriptors() - counters.sockets)
    limitSockets()
  }

  /// Fits the number of sockets to the descriptors that are left, whenever the limit is another one. The excess is refused
  /// in its handshake, with a reason, as long as there are a few descriptors more than clients; who is connected stays.
  private func limitSockets() {
    let free = max(0, (descriptorLimit.read() ?? Self.usualDescriptors) - ownDescriptors)
    guard free != freeDescriptors else { return }
    freeDescriptors = free
    // What is opened for a moment: a certificate, tokens, a segment of the tape, the connection that is refused.
    let left = max(2, free - min(4, free / 2))
    let handshakes = max(1, min(16, left / 4))
    admitted = min(configuration.maximumClients, left - handshakes)
    admission.most = admitted + handshakes
  }

  /// Clients that can be connected at one time, by configuration and descriptors.
  var clientsMax: Int { admitted }

  private func destroyContext() {
    guard let context else { return }
    self.context = nil
    lws_context_destroy(context)
  }

  // MARK: The stream

  /// Takes one event, in the order of the stream. Costs next to nothing while nobody has subscribed.
  /// - Parameter event: BookEventHeader and body, copied before this returns.
  @inline(__always)
  public func publish(kind: UInt8, event: UnsafeRawBufferPointer) {
    guard event.count >= BookEventHeader.bytes else {
      batchFailed = true
      return
    }
    eventSequence = UInt64(littleEndian: event.loadUnaligned(as: UInt64.self))
    if hasSubscribers { append(kind, event) }
  }

  @inline(never)
  private func append(_ kind: UInt8, _ event: UnsafeRawBufferPointer) {
    guard event.count <= FrameEntry.maximumEventBytes, batch.append(kind: kind, event: event) else {
      batchFailed = true
      return
    }
  }

  /// Ends a venue message. Its events go into the queues of the clients that asked for them with those of others, at the
  /// latest when the sockets are looked at.
  @inline(__always)
  public func endOfMessage() {
    sequence = eventSequence
    if !batch.isEmpty || batchFailed { endMessage() }
  }

  @inline(never)
  private func endMessage() {
    if batchFailed { return loseContinuity() }
    // What does not fit one frame together goes in two pieces, cut between messages.
    if batch.bytes > framePayload { return distribute() }
    batch.endMessage()
    if batch.bytes > framePayload - Self.usualMessageBytes { distribute() }
  }

  /// A message that cannot be passed on whole must not look whole.
  private func loseContinuity() {
    batchFailed = false
    batch.removeAll()
    counters.malformedMessages &+= 1
    disconnectAll(.continuityLost)
  }

  /// Tells every client when the state of the publisher's own input changes.
  func setInputState(_ state: InputState) {
    guard state != inputState else { return }
    if !batch.isOpen { distribute() }
    let isOver = state == .live
    inputStatus = InputStatus(
      input: state.rawValue, serverTime: bulkhead_realtime_nanoseconds(),
      first: isOver ? inputStateSince : sequence, last: isOver ? sequence : 0)
    inputState = state
    inputStateSince = sequence
    for client in clients where client.closing == nil {
      client.stream.status(sequence: sequence, inputStatus)
      attendLater(client)
    }
  }

  /// Closes every session: with ``CloseCode/continuityLost`` after the publisher was lapped. What there is of
  /// an unfinished message is forgotten.
  func disconnectAll(_ code: CloseCode) {
    batch.removeAll()
    for client in clients { close(client, code) }
  }

  /// The stage in front has another incarnation, which continues the stream: sessions go on under the number that their
  /// hello named, new ones are told the new one.
  func continueEpoch(_ epoch: UInt32) { configuration.hello.epoch = epoch }

  /// The stage in front has another incarnation, which could not continue the stream: sessions of the old one are closed.
  func beginEpoch(_ epoch: UInt32) {
    configuration.hello.epoch = epoch
    disconnectAll(.supersededEpoch)
  }

  /// The stream begins with another message than the session.
  func setFirstSequence(_ sequence: UInt64) { configuration.beginning.sequence = sequence }

  /// The first epoch of these rings' life, once their producer has started.
  func setFirstEpoch(_ epoch: UInt32) { configuration.beginning.epoch = epoch }

  /// The port of the operator's page, once it is known; 0: there is none.
  func setViewPort(_ port: Int) { origins.viewPort = port }

  /// The venue's session, once it is known.
  func setSession(_ session: String) { configuration.hello.session = session }

  // MARK: The sockets

  /// Moves bytes: accepts, reads requests, takes snapshots, writes queues, sends heartbeats, closes who must go.
  /// Call it between two messages only: a message that is under way is taken for cut off, and every session is
  /// closed with ``CloseCode/continuityLost``.
  /// - Parameters:
  ///   - timeoutMilliseconds: longest wait for something to do; 0 polls.
  ///   - inputWaits: the caller has more to publish already. Many clients are then sent longer frames less often.
  public func service(timeoutMilliseconds: Int, inputWaits: Bool = false) {
    guard let context else { return }
    if batch.isOpen { loseContinuity() }
    now = bulkhead_monotonic_nanoseconds()
    if now >= nextScan { scan(now) }
    let start = now
    let waits = timeoutMilliseconds > 0
    if waits || now >= nextFlush {
      distribute()
      if !busy.isEmpty { attend() }
      flush()
      now = bulkhead_monotonic_nanoseconds()
      let cost = now &- start
      // Who is behind is not helped by rests.
      let rest = inputWaits ? min(cost &* Self.pressedRest, Self.restMax) : cost &- Self.flushAllowance
      nextFlush = cost > Self.flushAllowance && busy.isEmpty ? now &+ rest : 0
    }
    if waits {
      // The library ignores a positive timeout; a timer of its own ends the wait.
      lws_sul_schedule(context, 0, wakeUp, { _ in }, Int64(min(timeoutMilliseconds, 60_000)) * 1000)
      _ = lws_service(context, 0)
      lws_sul_schedule(context, 0, wakeUp, nil, Int64(LWS_SET_TIMER_USEC_CANCEL))
    } else if waiting > 0 || now >= nextLook {
      lookAtSockets()
      let end = bulkhead_monotonic_nanoseconds()
      nextLook = end &+ min((end &- now) &* Self.lookShare, Self.lookRestMax)
    }
  }

  /// Takes from the sockets what has come, and lets the library write.
  func lookAtSockets() {
    if let context { _ = lws_service(context, -1) }
  }

  /// For how long at most the caller may sleep while its input is quiet, in ns; nil: as long as it likes.
  func restNanoseconds(_ most: UInt64) -> UInt64 {
    guard !clients.isEmpty else { return .max }
    let now = bulkhead_monotonic_nanoseconds()
    if !unsent.isEmpty || !batch.isEmpty { return nextFlush > now ? min(nextFlush - now, most) : 0 }
    return waiting > 0 || !busy.isEmpty ? most : max(most, nextLook > now ? nextLook - now : 0)
  }

  /// What is due for those for whom something is, until there is enough to send: the others come first the next time.
  private func attend() {
    swap(&busy, &attended)
    replayBytesLeft = Self.replayBudget
    var place = 0
    while place < attended.count, replayBytesLeft > 0 {
      let client = attended[place]
      place += 1
      client.isBusy = false
      if !client.isGone { prepare(client) }
    }
    if place < attended.count {
      attended.removeFirst(place)
      attended.append(contentsOf: busy)
      swap(&busy, &attended)
    }
    attended.removeAll(keepingCapacity: true)
  }

  /// What is due for one client between two messages: its snapshots, its eviction, a part of the past.
  private func prepare(_ client: PublishClient) {
    guard client.closing == nil else { return requestWrite(client) }
    let stream = client.stream
    let before = stream.queue.used
    stream.takeSnapshots(source: snapshotSource, sequence: sequence)
    stream.relieve(source: snapshotSource, sequence: sequence)
    let read = stream.takeReplays(sequence: sequence, history: history, budget: replayBytesLeft)
    replayBytesLeft -= max(read, stream.queue.used - before)
    if stream.overflowed { return close(client, .consumerTooSlow) }
    attendLater(client)
  }

  func requestWrite(_ client: PublishClient) {
    guard !client.writeRequested, !client.isGone else { return }
    client.writeRequested = true
    waiting += 1
    _ = lws_callback_on_writable(client.connection)
  }

  /// Deadlines and heartbeats, every ``scanNanoseconds``.
  private func scan(_ now: UInt64) {
    nextScan = now &+ Self.scanNanoseconds
    // A heartbeat tells how far the stream is: what comes before it goes before it.
    distribute()
    if now >= nextFileCheck { checkFiles(now) }
    let beat = now >= nextHeartbeat
    if interestIsStale { renewInterest() }
    if beat { nextHeartbeat = now &+ configuration.heartbeatNanoseconds }
    let time = beat ? bulkhead_realtime_nanoseconds() : 0
    // Cutting a session removes it from `clients`: from the end, so that what is still to come stays where it is.
    var place = clients.count
    while place > 0 {
      place -= 1
      guard place < clients.count else { continue }
      let client = clients[place]
      if client.closing != nil {
        if now >= client.closeDeadline { cut(client) }
        continue
      }
      if client.stream.queue.isEmpty { client.lastProgress = now }
      if now &- client.lastProgress > configuration.stallNanoseconds {
        close(client, .consumerTooSlow)
      } else if !client.stream.everSubscribed, now &- client.since > configuration.subscribeNanoseconds {
        close(client, .badRequest)
      } else if beat {
        client.stream.takeChecksums(source: snapshotSource, sequence: sequence)
        client.stream.heartbeat(sequence: sequence, serverTime: time, input: inputState)
        attendLater(client)
      }
    }
  }

  /// Takes up another certificate, and other tokens; whose token is gone is closed.
  private func checkFiles(_ now: UInt64) {
    nextFileCheck = now &+ Self.fileCheckNanoseconds
    limitSockets()
    if library.reloadCertificate(context) { counters.certificateReloads &+= 1 }
    guard tokens?.reload() == true, let tokens else { return }
    for client in clients where client.closing == nil {
      if let token = client.token, !tokens.holds(token) { close(client, .unauthorized) }
    }
  }

  /// Ends a session: its queue is dropped, the close frame is the next thing that its socket gets.
  private func close(_ client: PublishClient, _ code: CloseCode) {
    guard client.closing == nil else { return }
    client.closing = code
    bulkhead_probe_client_drop(
      UInt64(client.peer.address), UInt64(client.peer.port), UInt64(code.rawValue),
      UInt64(truncatingIfNeeded: client.stream.queue.used), client.sentBytes)
    client.closeDeadline = bulkhead_monotonic_nanoseconds() &+ configuration.closeGraceNanoseconds
    client.stream.queue.removeAll()
    switch code {
    case .consumerTooSlow: counters.evictedSlow &+= 1
    case .badRequest: counters.evictedIdle &+= 1
    case .unsupportedData, .messageTooBig, .tooManyRequests: counters.evictedProtocol &+= 1
    case .unauthorized: counters.evictedToken &+= 1
    case .normal, .goingAway, .supersededEpoch, .continuityLost: break
    }
    updateSubscribers()
    requestWrite(client)
  }

  private func cut(_ client: PublishClient) {
    counters.closedHard &+= 1
    lws_set_timeout(client.connection, pending_timeout(rawValue: 1), LWS_TO_KILL_SYNC)
  }

  private func updateSubscribers() {
    hasSubscribers = clients.contains { $0.closing == nil && $0.stream.subscriptionCount > 0 }
  }

  /// Announces the end, waits up to `milliseconds` for the queues to drain, closes every session.
  public func shutdown(milliseconds: Int = 2000) {
    guard context != nil else { return }
    let deadline = bulkhead_monotonic_nanoseconds() &+ UInt64(max(milliseconds, 0)) &* 1_000_000
    if !batch.isOpen { distribute() }
    for client in clients where client.closing == nil {
      client.stream.send(.shutdown)
      attendLater(client)
    }
    while bulkhead_monotonic_nanoseconds() < deadline, clients.contains(where: { !$0.stream.queue.isEmpty }) {
      service(timeoutMilliseconds: 5)
    }
    disconnectAll(.goingAway)
    while bulkhead_monotonic_nanoseconds() < deadline, !clients.isEmpty { service(timeoutMilliseconds: 5) }
    destroyContext()
  }

  /// Tells who is connected.
  func report(to report: ClientReport, now: UInt64) { report.tell(clients, now: now) }

  /// Established WebSocket sessions now.
  public var clientCount: Int { clients.count }
  /// Somebody is connected and is not being taken leave of.
  var hasOpenSessions: Bool { clients.contains { $0.closing == nil } }

  /// Bytes that wait in the fullest queue.
  public var deepestQueueBytes: Int { clients.reduce(0) { max($0, $1.stream.queue.used) } }

  /// Bytes that wait for each session, in the order in which they connected.
  public var queuedBytes: [Int] { clients.map { $0.stream.queue.used } }

  /// Counters and gauges as of now.
  public var statistics: PublishStatistics {
    var result = counters
    result.clients = clients.count
    for client in clients {
      result.subscribers += client.closing == nil && client.stream.subscriptionCount > 0 ? 1 : 0
      result.deepestQueueBytes = max(result.deepestQueueBytes, client.stream.queue.used)
      result.add(client.stream)
    }
    return result
  }

  // MARK: Callbacks of the library

  fileprivate func established(_ connection: OpaquePointer) -> PublishClient? {
    guard clients.count < admitted else {
      counters.refusedFull &+= 1
      return nil
    }
    admission.established(connection)
    let socket = lws_get_socket_fd(connection)
    setOption(socket, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
    setOption(socket, SOL_SOCKET, SO_SNDBUF, Int32(clamping: configuration.sendBufferBytes))
    let stream = SubscriberStream(limits: configuration.limits, epoch: configuration.hello.epoch)
    stream.send(
      .hello(
        configuration.hello,
        heartbeatMilliseconds: Int(clamping: configuration.heartbeatNanoseconds / 1_000_000),
        maximumSubscriptions: configuration.limits.subscriptions))
    // Who comes while the stream is not to be believed is told so before it can ask for anything.
    if inputState != .live {
      stream.status(sequence: sequence, inputStatus)
    }
    let client = PublishClient(
      connection: connection, socket: socket, stream: stream, peer: ClientReport.peer(of: socket),
      queueBytes: configuration.limits.queueBytes, now: bulkhead_monotonic_nanoseconds())
    client.token = tokens == nil || library.isLocal(connection) ? nil : handshakeToken(connection)
    client.isPlain =
      (configuration.certificate == nil || library.isLocal(connection))
      && lws_get_network_wsi(connection) == connection
    clients.append(client)
    makeRoom()
    if let free = slots.firstIndex(where: { $0 == nil }) {
      client.slot = free
      slots[free] = client
    } else {
      client.slot = slots.count
      slots.append(client)
    }
    counters.accepted &+= 1
    bulkhead_probe_client_open(UInt64(client.peer.address), UInt64(client.peer.port))
    requestWrite(client)
    return client
  }

  /// Room for every client in the lists that messages and heartbeats fill, so that they grow when somebody comes and at no
  /// later turn. Who has gone stays in a list until its next turn.
  private func makeRoom() {
    let room = clients.capacity &* 2
    wide.reserveCapacity(room)
    busy.reserveCapacity(room)
    attended.reserveCapacity(room)
    unsent.reserveCapacity(room)
    sending.reserveCapacity(room)
  }

  fileprivate func closed(_ client: PublishClient) {
    counters.add(client.stream)
    client.isGone = true
    if client.writeRequested { waiting -= 1 }
    clients.removeAll { $0 === client }
    wide.removeAll { $0 === client }
    slots[client.slot] = nil
    updateSubscribers()
  }

  /// Part of a message from a client.
  fileprivate func received(_ client: PublishClient, _ bytes: UnsafeRawBufferPointer) {
    guard client.closing == nil else { return }
    guard lws_frame_is_binary(client.connection) == 0 else { return close(client, .unsupportedData) }
    guard client.request.count + bytes.count <= ControlRequest.maximumBytes else {
      return close(client, .messageTooBig)
    }
    client.request.append(contentsOf: bytes)
    guard lws_is_final_fragment(client.connection) != 0,
      lws_remaining_packet_payload(client.connection) == 0
    else { return }
    guard String(validating: client.request, as: UTF8.self) != nil else {
      return close(client, .unsupportedData)
    }
    guard client.budget.take(at: bulkhead_monotonic_nanoseconds()) else {
      return close(client, .tooManyRequests)
    }
    // The request is of the stream behind what has been published.
    if !batch.isOpen { distribute() }
    let state = StreamState(
      sequence: sequence, session: configuration.hello.session, history: history,
      beginning: configuration.beginning)
    client.request.withUnsafeBytes { client.stream.request($0, source: snapshotSource, state) }
    client.request.removeAll(keepingCapacity: true)
    if client.stream.mustComeAgain { return close(client, .continuityLost) }
    updateSubscribers()
    attendLater(client)
  }

  /// The socket takes bytes. Returns a non-zero value to end the session.
  fileprivate func writable(_ client: PublishClient) -> Int32 {
    if client.writeRequested { waiting -= 1 }
    client.writeRequested = false
    if let code = client.closing {
      var reason = code.name
      reason.withUTF8 {
        lws_close_reason(
          client.connection, lws_close_status(rawValue: UInt32(code.rawValue)),
          UnsafeMutablePointer(mutating: $0.baseAddress), $0.count)
      }
      return -1
    }
    guard write(client) else { return -1 }
    if client.stream.queue.isEmpty { attendLater(client) } else { requestWrite(client) }
    return 0
  }

  /// The client has begun to close: nothing may follow but the library's answer.
  fileprivate func leaves(_ client: PublishClient) { client.isLeaving = true }

  fileprivate func socketOpened(_ connection: OpaquePointer) {
    admission.opened(
      connection, address: ClientReport.peer(of: lws_get_socket_fd(connection)).address,
      now: bulkhead_monotonic_nanoseconds())
    counters.sockets = admission.count
  }

  fileprivate func socketClosed(_ connection: OpaquePointer) {
    admission.closed(connection)
    counters.sockets = admission.count
  }

  /// Decides on a connection before anything of it was read: 0 takes it. The excess is told why, as far as one can who
  /// may not wait.
  fileprivate func admit(socket: Int32) -> Int32 {
    let answer = admission.answer(
      address: ClientReport.peer(of: socket).address, now: bulkhead_monotonic_nanoseconds())
    if answer == .take { return 0 }
    counters.refusedSockets &+= 1
    switch answer {
    case .take: break
    case .takeInPlace(of: let silent): lws_set_timeout(silent, pending_timeout(rawValue: 1), LWS_TO_KILL_SYNC)
    case .refuse(let reason):
      if configuration.certificate == nil { refuseAtOnce(socket, reason) }
      return 1
    }
    return 0
  }

  /// Decides on a WebSocket handshake: 0 goes on, positive was answered with an HTTP status.
  fileprivate func confirmUpgrade(_ connection: OpaquePointer) -> Int32 {
    guard headerText(connection, WSI_TOKEN_GET_URI) == PublishSchema.path else {
      counters.refusedRequest &+= 1
      return refuseUpgrade(connection, "404 Not Found", "the stream is at \(PublishSchema.path)")
    }
    // The library speaks version 13 to whoever asks for another one.
    guard headerText(connection, WSI_TOKEN_VERSION) == "13" else {
      counters.refusedRequest &+= 1
      return refuseUpgrade(
        connection, "426 Upgrade Required", "version 13 of WebSocket is spoken",
        header: "sec-websocket-version: 13")
    }
    let origin =
      lws_hdr_total_length(connection, WSI_TOKEN_ORIGIN) > 0
      ? headerText(connection, WSI_TOKEN_ORIGIN) ?? "too long" : nil
    guard library.isLocal(connection) || origins.allow(origin, host: headerText(connection, WSI_TOKEN_HOST))
    else {
      counters.refusedRequest &+= 1
      return refuseUpgrade(
        connection, "403 Forbidden", "publish.origins does not list the page's origin")
    }
    if let tokens, !library.isLocal(connection) {
      guard let token = handshakeToken(connection), tokens.holds(token) else {
        counters.refusedToken &+= 1
        return refuseUpgrade(
          connection, "401 Unauthorized", "a bearer token is asked for", header: "www-authenticate: Bearer")
      }
    }
    if let offered = headerText(connection, WSI_TOKEN_PROTOCOL) {
      guard SubprotocolOffer(offered).namesStream, offered.utf8.count <= SubprotocolOffer.maximumBytes else {
        counters.refusedRequest &+= 1
        return refuseUpgrade(connection, "400 Bad Request", "subprotocols: \(PublishSchema.subprotocol)")
      }
    }
    guard clients.count < admitted else {
      counters.refusedFull &+= 1
      return refuseUpgrade(
        connection, "503 Service Unavailable", "\(admitted) clients are connected", header: "retry-after: 1")
    }
    return 0
  }
}

extension PublishStatistics {
  /// Adds what one session has counted.
  fileprivate mutating func add(_ stream: SubscriberStream) {
    requestErrors &+= stream.requestErrors
    snapshotsTaken &+= stream.snapshotsTaken
    eventsQueued &+= stream.eventsQueued
    eventsReplayed &+= stream.eventsReplayed
    eventsShed &+= stream.eventsShed
  }
}

/// The library sends a close frame back as it came. One with half a code is answered with what is wrong with it instead, and so is one whose
/// reason is no UTF-8 (RFC 6455, 5.5.1 and 8.1). Returns a non-zero value to end the session.
private func answerClose(_ connection: OpaquePointer, _ payload: UnsafeRawBufferPointer) -> Int32 {
  let code: lws_close_status
  if payload.count == 1 {
    code = LWS_CLOSE_STATUS_PROTOCOL_ERR
  } else if String(validating: payload.dropFirst(2), as: UTF8.self) == nil {
    code = LWS_CLOSE_STATUS_INVALID_PAYLOAD
  } else {
    return 0
  }
  lws_close_reason(connection, code, nil, 0)
  return -1
}

/// The library's one entry into this process: finds server and session, and dispatches.
func publishCallback(
  _ connection: OpaquePointer?, _ reason: lws_callback_reasons, _ user: UnsafeMutableRawPointer?,
  _ input: UnsafeMutableRawPointer?, _ length: Int
) -> Int32 {
  guard let connection, let context = lws_get_context(connection), let pointer = lws_context_user(context)
  else { return 0 }
  let server = Unmanaged<PublishServer>.fromOpaque(pointer).takeUnretainedValue()
  let session = user?.assumingMemoryBound(to: UnsafeMutableRawPointer?.self)
  func client() -> PublishClient? {
    guard let stored = session?.pointee else { return nil }
    return Unmanaged<PublishClient>.fromOpaque(stored).takeUnretainedValue()
  }
  switch reason {
  case LWS_CALLBACK_FILTER_NETWORK_CONNECTION:
    return server.admit(socket: Int32(truncatingIfNeeded: Int(bitPattern: input)))
  case LWS_CALLBACK_SERVER_NEW_CLIENT_INSTANTIATED: server.socketOpened(connection)
  case LWS_CALLBACK_WSI_DESTROY: server.socketClosed(connection)
  case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE: return server.confirmUpgrade(connection)
  case LWS_CALLBACK_HTTP: return answerHTTP(connection, input, length)
  case LWS_CALLBACK_ESTABLISHED:
    guard let session else { return -1 }
    guard let client = server.established(connection) else { return -1 }
    session.pointee = Unmanaged.passUnretained(client).toOpaque()
  case LWS_CALLBACK_CLOSED:
    if let client = client() { server.closed(client) }
    session?.pointee = nil
  case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
    if let client = client() { server.leaves(client) }
    return answerClose(connection, UnsafeRawBufferPointer(start: input, count: input == nil ? 0 : length))
  case LWS_CALLBACK_RECEIVE:
    if let client = client() {
      server.received(client, UnsafeRawBufferPointer(start: input, count: input == nil ? 0 : length))
    }
  case LWS_CALLBACK_SERVER_WRITEABLE:
    if let client = client() { return server.writable(client) }
  default: return lws_callback_http_dummy(connection, reason, user, input, length)
  }
  return 0
}
