import CLinux
import LineArbiter
import SoupBinTCP
import StageRuntime

/// The last rung: an image of the market in the place of messages that nobody has any more.
///
/// From the request on, what the image brings goes onto the ring as it comes; it counts once its end is there. The
/// receivers' rings keep what the lines carry meanwhile, however much there is no room for in the window: when the image
/// has taken its place they are read again from where they were read when it was asked for. The login comes after that
/// instant, and the image is no older than the login: so nothing is missing between the two.
extension MergeStage {
  /// So many messages behind the number of an image the lines are to have brought before it is judged: a number that is too low is
  /// contradicted by what lies behind it alone, and TCP may be ahead of the lines. Where there are not so many, a line is to have said
  /// something so long after the image's end: what it sent before that has come or is lost.
  private static let witnessedBehind: UInt64 = 256
  private static let witnessNanoseconds: UInt64 = 20_000_000
  /// Messages of an image that are taken in one turn.
  private static let imageMessagesPerTurn = 512

  mutating func beginImage(first: UInt64, last: UInt64, _ now: UInt64) {
    guard snapshot != nil, let session = output.session else {
      arbiter.snapshotFailed(now: now)
      return
    }
    if !isFetching {
      narrate(
        "merged: sequences \(first)...\(last) cannot be had as messages; fetching an image", as: .imageWanted,
        [(.firstSequence, String(first)), (.lastSequence, String(last))])
    }
    if isNoting { endRecovery("an image of everything is fetched", now) }
    isFetching = true
    judgedBehind = nil
    control.flight.note(.imageWanted, first, last)
    noteRingPositions()
    output.publishImageStart(first: first, last: last)
    snapshot?.begin(session: Self.login(session), from: first, now: now)
  }

  static func login(_ session: SessionIdentifier) -> SoupSession {
    withUnsafeTemporaryAllocation(byteCount: 16, alignment: 8) { bytes in
      session.store(to: bytes.baseAddress!)
      return SoupSession(from: bytes.baseAddress!)
    }
  }

  /// Goes on with the image. Returns how much there was to do.
  mutating func fetch(_ now: UInt64) -> Int {
    // What is on the ring counts for the number that it was begun for.
    guard arbiter.isSnapshotWanted, arbiter.nextSequence == output.imageFirst else {
      // The lines have brought the range after all, or its beginning (then it is asked for anew), or the time is over and
      // the arbiter goes on by itself.
      if arbiter.openGapCount == 0 || arbiter.nextSequence != output.imageFirst {
        arbiter.snapshotNotNeeded()
        endFetching()
        return 1
      }
      return 0
    }
    var taken = 0
    while taken < Self.imageMessagesPerTurn {
      switch imageStep(now) {
      case .message(let message):
        output.putImage(message: message)
        taken += 1
      case .complete(let next):
        use(next, now)
        return taken + 1
      case .failed(let reason):
        narrate("merged: no image: \(reason)", as: .imageMissing)
        contradictedImages = snapshot?.countContradicted() ?? 0
        arbiter.snapshotFailed(now: now)
        control.flight.note(.imageFailed)
        return taken + 1
      case .whole, .nothing: taken += 1
      case .idle: return taken
      }
    }
    return taken
  }

  /// The next of the image. A whole one is judged when all is read that the lines had carried by its end, and all that it says it
  /// contains: TCP may be ahead of them. Nothing is believed that they never come to; the time for an image ends that wait.
  mutating func imageStep(_ now: UInt64) -> SnapshotClient.Step {
    guard let judgedBehind else {
      let step = snapshot?.step(now: now) ?? .idle
      if case .whole = step { judgeBehindLines(now) }
      return step
    }
    // Beside the stream its witnesses are the messages that were published: what waits behind a gap has not spoken yet.
    let reached = isNoting ? arbiter.nextSequence : arbiter.highestSequence
    guard areLinesRead, snapshot?.isAhead(of: reached) == false else { return .idle }
    let isWitnessed = snapshot?.isAhead(of: reached &- min(reached, Self.witnessedBehind)) == false
    let isOver =
      lineSpokeAt >= judgedBehind.stamp &+ Self.witnessNanoseconds
      || now &- judgedBehind.since >= witnessPatience
    guard isWitnessed || isOver else { return .idle }
    self.judgedBehind = nil
    return snapshot?.judge() ?? .idle
  }

  private mutating func use(_ next: UInt64, _ now: UInt64) {
    switch arbiter.snapshotArrived(next: next, now: now) {
    case .use(let first, let last):
      output.publishImageEnd(first: first, last: last)
      control.flight.note(.imageTaken, first, last)
      narrate(
        "merged: an image stands for sequences \(first)...\(last)", as: .imageWanted,
        [(.firstSequence, String(first)), (.lastSequence, String(last))])
      endFetching()
      readLinesAgain()
      drainHeld()
    case .tooOld:
      narrate("merged: the image goes on from \(next), before the end of what is missing", as: .imageMissing)
    case .tooNew:
      narrate("merged: the image goes on from \(next), further ahead than is believed", as: .imageMissing)
    case .notRequested: endFetching()
    }
  }
}
