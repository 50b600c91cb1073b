import StageRuntime
import SystemLog

/// Books for instruments in quarantine, beside the stream, which goes on.
///
/// An image says the books as they were behind some message. What the stream has said of them since the login is noted, and put
/// behind the image's orders: so each book stands on the ring as of the message in front of it, in a piece, and every reader of
/// the ring comes to the same. It is taken by whoever has the instrument in quarantine there, and by nobody else.
extension MergeStage {
  /// Messages of an image that are taken in one turn.
  private static let recoveryMessagesPerTurn = 512

  /// Off the hot path: a few times a second.
  mutating func lookForWish(_ now: UInt64) {
    // To clear the table of a million orders at once would hold the stream up when the next image is fetched.
    if !isNoting, !isFetching { snapshot?.tidy() }
    guard !isHalted, !isNoting, !isFetching, arbiter.openGapCount == 0, !output.hasEnded, !arbiter.isComplete,
      let session = output.session, snapshot != nil
    else { return }
    let wish = RecoveryWish(on: bookPage)
    guard !wish.instruments.isEmpty,
      recovery.begin(
        wish.instruments, made: bookPage.value(BookCounter.recoveriesMade), next: arbiter.nextSequence,
        now: now)
    else { return }
    isNoting = true
    judgedBehind = nil
    recoveryImages &+= 1
    control.flight.note(.imageWanted, arbiter.nextSequence, UInt64(wish.instruments.count))
    narrate(
      "merged: fetching an image for \(wish.instruments.count) instruments in quarantine", as: .imageWanted)
    snapshot?.begin(session: Self.login(session), from: arbiter.nextSequence, now: now)
    writeRecoveries()
  }

  /// A message that was put on the ring while an image is on its way.
  @inline(never)
  mutating func note(_ sequence: UInt64, _ message: UnsafeRawBufferPointer, stamp: UInt64) {
    heard(stamp)
    if recovery.imageNext == nil { snapshot?.note(sequence, message) }
    recovery.note(sequence, message)
  }

  /// Goes on with the image, or with the books that it brought: one in a turn, so that the stream does not wait for all of them.
  /// Returns how much there was to do.
  mutating func recoverInstruments(_ now: UInt64) -> Int {
    if let reason = recovery.failure(now: now) {
      endRecovery(reason, now)
      return 1
    }
    if recovery.imageNext != nil { return tell(now) }
    var taken = 0
    while taken < Self.recoveryMessagesPerTurn {
      switch imageStep(now) {
      case .message(let message):
        recovery.keep(message)
        taken += 1
      case .complete(let next):
        if !recovery.complete(next: next) { endRecovery("the image is older than its login", now) }
        return taken + 1
      case .failed(let reason):
        contradictedImages = snapshot?.countContradicted() ?? 0
        endRecovery(reason, now)
        return taken + 1
      case .whole, .nothing: taken += 1
      case .idle: return taken
      }
    }
    return taken
  }

  private mutating func tell(_ now: UInt64) -> Int {
    guard let instrument = recovery.take(next: arbiter.nextSequence) else {
      if recovery.isDone { endRecovery(nil, now) }
      return 0
    }
    output.beginRecovery(instrument: instrument)
    var place = InstrumentRecovery.Place()
    while let found = recovery.nextMessage(of: instrument, &place) {
      output.putRecovery(sequence: found.sequence, message: found.message)
    }
    output.endRecovery(instrument: instrument)
    recoveriesTold &+= 1
    if recovery.isDone { endRecovery(nil, now) }
    return 1
  }

  /// Nothing is wished for any more, or nothing comes of it.
  mutating func endRecovery(_ reason: String?, _ now: UInt64) {
    isNoting = false
    judgedBehind = nil
    snapshot?.stop()
    recovery.end(hasFailed: reason != nil, now: now)
    if let reason {
      recoveryFailures &+= 1
      narrate("merged: no books for instruments in quarantine: \(reason)", as: .imageMissing)
    }
    writeRecoveries()
  }

  func writeRecoveries() {
    control.setTotal(MergeCounter.recoveryImages, recoveryImages, since: base)
    control.setTotal(MergeCounter.recoveryFailures, recoveryFailures, since: base)
    control.setTotal(MergeCounter.recoveriesTold, recoveriesTold, since: base)
  }
}
