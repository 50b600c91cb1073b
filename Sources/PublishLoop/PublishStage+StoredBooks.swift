import BookBuilder
import CLinux
import PublishWire
import ShmRing
import StageRecords
import StageRuntime
import Tape
import TapeShadow

/// Books for a publisher whose ring no longer holds the stream from its beginning, or holds so much of it that reading all of it would
/// take long: those of the newest snapshot, brought up to date from the tape, joined to the ring behind the very event that they end
/// with.
extension PublishStage {
  /// With more cells than these on the ring, books from the tape are there sooner.
  private static let longRing: UInt64 = 1 << 20
  /// The ring goes on while books are made; one that has gone on beyond them asks for newer ones.
  private static let attempts = 3
  /// Behind each time: a publisher that is passed by again and again is not to do nothing else.
  private static let restNanoseconds: UInt64 = 1_000_000_000
  private static let eventsPerBeat = 8_192

  /// Takes the books from the tape where that is of use, before the ring is read. Where it comes to nothing, the ring is read from its
  /// oldest record.
  func takeUpStoredBooks() {
    guard hasSnapshots else { return }
    if isReplicaWhole {
      // Not those of a recorder that has found its books to differ from bookd's, where the ring itself has everything.
      guard input.publishedPosition > Self.longRing, origin == 0, recorderAgrees else { return }
      if haveStoredBooks() { return }
      if !source.hasBooks { source.beginAnew(capacity: rules.capacity) }
      input.rewindToOldest()
      // It may have moved on from the first event meanwhile.
      isReplicaWhole = input.nextPosition == 0
    } else {
      noteOrigin()
      if haveStoredBooks() { return }
      narrate(
        "pubd: the book ring no longer holds the first event, nor what goes on from the tape's books; snapshots are refused",
        as: .stateLost)
      input.rewindToOldest()
    }
  }

  /// The same for one that was passed by: then, when nobody is connected any more, and from time to time while nobody is: it takes as
  /// long as reading the tape behind the snapshot does, and a client would see neither a gap nor a repetition in what is passed
  /// here.
  func takeUpStoredBooksAgain() {
    guard !isReplicaWhole, hasSnapshots, recorderAgrees, !server.hasOpenSessions,
      bulkhead_monotonic_nanoseconds() >= nextAttempt
    else { return }
    let position = input.nextPosition
    if haveStoredBooks() {
      source.isCaughtUp = true
      if control.value(PublishCounter.sessionEnded) == 1 { endSession() }
    } else if !input.resume(at: position) {
      input.rewindToOldest()
    }
  }

  /// Whether the books are there, and the ring is to be read from what goes on from them.
  private func haveStoredBooks() -> Bool {
    defer { nextAttempt = bulkhead_monotonic_nanoseconds() + Self.restNanoseconds }
    let state = control.state
    control.setState(.catchingUp)
    defer { control.setState(state) }
    let stood = input.nextPosition
    history.noteRetained()
    for _ in 0..<Self.attempts {
      guard recorderIsNear, let newest = newestWholeMessage() else { return false }
      source.giveUpBooks()
      guard
        let found = storedBooks(before: newest &+ 1, run: recorder?.page.value(TapeCounter.run)),
        let joint = found.position.newestEvent
      else { return false }
      let position = found.position
      source.restore(from: found.intoBuilder(), at: position, newest: joint.sequence)
      guard let passed = join(behind: joint, handedOut: stood) else {
        source.giveUpBooks()
        continue
      }
      isReplicaWhole = true
      if passed > 0 { finishTurn(passed) }
      narrate("pubd: the books are those behind sequence \(joint.sequence), from the tape")
      return true
    }
    return false
  }

  /// Whether the tape reaches what the ring still holds.
  private var recorderIsNear: Bool {
    guard let recorder, let oldest = history.oldestOnRing else { return false }
    return recorder.page.value(TapeCounter.writtenSequence) > oldest
  }

  /// Whether the recorder has found its own books equal to bookd's, as often as it has looked.
  private var recorderAgrees: Bool { recorder.map { $0.page.value(TapeCounter.booksDiffer) == 0 } ?? false }

  /// The newest message of which the ring holds the last event; nil when it holds none.
  private func newestWholeMessage() -> UInt64? {
    let end = input.publishedPosition
    input.seek(into: buffer) { _, _ in true }
    var newest: UInt64?
    while input.nextPosition < end {
      switch input.poll(into: buffer) {
      case .record(_, let bytes) where bytes >= BookEventHeader.bytes:
        let header = BookEventHeader(from: buffer)
        if header.flags & EventFlags.last != 0 { newest = header.sequence }
      case .record, .lapped: continue
      case .halted(let halt): input.continueOrEnd(after: halt, component: "pubd")
      case .empty: return newest
      }
    }
    return newest
  }

  /// Goes to the event behind `joint`, which must itself be on the ring: only then do the books and the ring tell the same stream, and
  /// only then is nothing between them.
  /// - Parameter stood: events in front of this position have been handed out, those behind it have not.
  /// - Returns: events that were handed out here; nil when the two cannot be joined.
  private func join(behind joint: EventIdentity, handedOut stood: UInt64) -> Int? {
    let buffer = buffer
    input.seek(into: buffer) { _, bytes in
      bytes >= BookEventHeader.bytes && EventIdentity(BookEventHeader(from: buffer)) <= joint
    }
    var isThere = false
    var (count, passed) = (0, 0)
    while true {
      let position = input.nextPosition
      // Behind the joint, and everything that clients have had is in the books.
      if isThere, position >= stood { return passed }
      switch input.poll(into: buffer) {
      case .record(let kind, let bytes):
        guard bytes >= BookEventHeader.bytes else { continue }
        let event = UnsafeRawBufferPointer(start: buffer, count: bytes)
        let identity = EventIdentity(BookEventHeader(from: buffer))
        if identity > joint {
          guard isThere, case .applied = source.apply(kind: kind, event: event) else { return nil }
        }
        isThere = isThere || identity == joint
        if position >= stood {
          _ = pass(kind, event)
          passed += 1
        }
        count += 1
        if count % Self.eventsPerBeat == 0 { control.beat() }
      case .lapped: return nil
      case .halted(let halt): input.continueOrEnd(after: halt, component: "pubd")
      case .empty: return isThere ? passed : nil
      }
    }
  }
}

extension EventIdentity {
  fileprivate init(_ header: BookEventHeader) { self.init(sequence: header.sequence, index: header.index) }
}
