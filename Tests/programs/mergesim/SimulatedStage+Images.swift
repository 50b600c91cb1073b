import FeedWire
import Glimpse
import LineArbiter
import SoupBinTCP

/// A connection to the image's service, in virtual time: the calls of `SoupConnection`, in its order.
final class SimulatedConnection {
  var session: SoupClientSession
  var stream: ImageStream?
  var isStanding = false
  var connectBy: UInt64 = 0
  var wakeAt: UInt64 = .max

  init(_ rules: ImageRules) {
    var configuration = SoupConfiguration()
    configuration.heartbeatNanoseconds = 1_000_000
    configuration.loginTimeoutNanoseconds = rules.loginTimeout
    configuration.silenceNanoseconds = rules.silence
    session = SoupClientSession(
      configuration, credentials: SoupCredentials(username: "sim", password: "sim")!)
  }

  func close() {
    session.abandon()
    stream = nil
  }
}

/// The last rung, as `MergeStage` and its `SnapshotClient` go about it.
extension SimulatedStage {
  private static let imageMessagesPerTurn = 512

  private enum Step {
    case idle
    case event(GlimpseFetch.Step)
    case unreachable
  }

  func beginImage(_ first: UInt64, _ last: UInt64, _ now: UInt64) {
    guard let session else { return arbiter.snapshotFailed(now: now) }
    isFetching = true
    noteRingPositions()
    produced.removeAll(keepingCapacity: true)
    commit(.imageStart(first, last))
    publishBatch()
    (imageFirst, imageMessages) = (first, 0)
    judge?.imageRequested(
      first, last, through: arbiter.openGap(0)?.last ?? 0, produced, isCutShort: isDead, now)
    guard !isDead else { return }
    if connection == nil { connection = SimulatedConnection(rules.image) }
    fetch?.begin(from: first)
    connection?.close()
    connection?.isStanding = false
    connection?.connectBy = now + rules.image.loginTimeout
    connection?.wakeAt = now
    connection?.stream = host.images?.connect(now)
    wanted = session
  }

  static func fetch(_ rules: Rules) -> GlimpseFetch? {
    guard rules.policy == .snapshot else { return nil }
    var configuration = GlimpseConfiguration()
    configuration.maximumOrders = rules.image.orders
    configuration.convention = rules.image.endIsLast ? .lastContained : .firstNotContained
    return GlimpseFetch(configuration)
  }

  func endFetching() {
    isFetching = false
    connection?.close()
  }

  func noteWitnesses(_ packet: MoldUDP64Packet) {
    var blocks = packet.blocks
    var number = packet.sequence
    while let message = blocks.next() {
      fetch?.note(number, message)
      number += 1
    }
  }

  /// Goes on with the image. Returns how much there was to do.
  func fetchImage(_ now: UInt64) -> Int {
    guard arbiter.isSnapshotWanted, arbiter.nextSequence == imageFirst else {
      if arbiter.openGapCount == 0 || arbiter.nextSequence != imageFirst {
        arbiter.snapshotNotNeeded()
        endFetching()
        judge?.imageWithdrawn(now)
        return 1
      }
      return 0
    }
    var taken = 0
    while taken < Self.imageMessagesPerTurn, step() {
      taken += 1
      switch imageStep(now) {
      case .idle:
        judge?.imageIsIdle(now)
        return taken - 1
      case .unreachable:
        connection?.close()
        judge?.imageRefused(isUnreachable: true, now)
        arbiter.snapshotFailed(now: now)
        return taken
      case .event(.nothing), .event(.whole): break
      case .event(.message(let message)):
        imageMessages += 1
        produced.removeAll(keepingCapacity: true)
        commit(.image(imageMessages, Array(message)))
        judge?.imageMessage(produced, isCutShort: isDead, now)
        if imageMessages % 128 == 0 { publishBatch() }
      case .event(.complete(let next)):
        connection?.close()
        use(next, now)
        return taken
      case .event(.failed):
        connection?.close()
        judge?.imageRefused(isUnreachable: false, now)
        arbiter.snapshotFailed(now: now)
        return taken
      }
    }
    return taken
  }

  private func use(_ next: UInt64, _ now: UInt64) {
    produced.removeAll(keepingCapacity: true)
    switch arbiter.snapshotArrived(next: next, now: now) {
    case .use(let first, let last):
      commit(.imageEnd(first, last, count: imageMessages))
      publishBatch()
      endFetching()
      readLinesAgain()
      drainHeld()
      judge?.imageIsWhole(
        next, .used(first: first, last: last), produced, isCutShort: isDead, now)
    case .tooOld, .tooNew: judge?.imageIsWhole(next, .refused, produced, isCutShort: isDead, now)
    case .notRequested:
      endFetching()
      judge?.imageIsWhole(next, .notWanted, produced, isCutShort: isDead, now)
    }
  }

  /// One receive, one event and one send at most.
  private func imageStep(_ now: UInt64) -> Step {
    guard let standing = connection?.stream?.standing else { return .idle }
    if connection?.isStanding == false {
      switch standing {
      case .at(let instant) where now >= instant:
        connection?.isStanding = true
        connection?.session.begin(
          session: wanted.withUnsafeBytes { SoupSession(from: $0.baseAddress!) }, sequence: 1, now: now)
        judge?.imageConnectionStands(now)
      case .refused(let instant) where now >= instant: return .unreachable
      case _ where now >= connection?.connectBy ?? 0: return .unreachable
      case .at(let instant), .refused(let instant):
        connection?.wakeAt = min(instant, connection?.connectBy ?? 0)
        return .idle
      case .never:
        connection?.wakeAt = connection?.connectBy ?? 0
        return .idle
      }
    }
    if let event = nextEvent() { return .event(event) }
    receive(now)
    let tickAt = connection?.session.tick(now: now) ?? .max
    if let event = nextEvent() { return .event(event) }
    let pending = pendingOutput()
    if !pending.isEmpty, connection?.stream != nil {
      connection?.session.sent(pending.count, now: now)
      host.images?.send(pending, now, &connection!.stream!)
    }
    connection?.wakeAt = min(tickAt, connection?.stream?.nextAt ?? .max)
    return .idle
  }

  private func pendingOutput() -> [UInt8] {
    guard let output = connection?.session.pendingOutput else { return [] }
    return Array(output)
  }

  private func receive(_ now: UInt64) {
    let room = connection?.session.writableInput().count ?? 0
    guard let bytes = connection?.stream?.receive(room, now) else {
      connection?.session.peerClosed()
      judge?.imageBytes(nil, now)
      return
    }
    guard !bytes.isEmpty else { return }
    judge?.imageBytes(bytes, now)
    _ = bytes.withUnsafeBytes { connection?.session.receive($0, now: now) }
  }

  private func nextEvent() -> GlimpseFetch.Step? {
    guard let event = connection?.session.next() else { return nil }
    if case .idle = event { return nil }
    // The lines are read as far as they go whenever the stage looks here.
    let step = fetch?.take(event)
    if case .whole? = step { return fetch?.judge() }
    return step
  }

  /// When to look again for the image's sake.
  func imageWake(_ now: UInt64) -> UInt64? {
    guard isFetching, arbiter.isSnapshotWanted, connection?.stream != nil, let wakeAt = connection?.wakeAt,
      wakeAt != .max
    else { return nil }
    return max(now + 1, wakeAt)
  }
}
