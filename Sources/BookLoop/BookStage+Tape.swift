import BookBuilder
import CLinux
import Failpoints
import OrderBook
import StageRecords
import StageRuntime
import Tape

/// The way from a snapshot to what the merged ring still holds.
extension BookStage {
  /// Records between two beats: some milliseconds.
  private static let recordsPerBeat = 8_192

  /// Applies what the tape holds behind the restored state, as far as the merged ring no longer does. The ring goes on
  /// meanwhile, so this is repeated until the two meet, or the tape ends first.
  mutating func readTape() {
    guard let tape else { return }
    let restored = nextExpected
    while let first = firstOnRing(), first >= nextExpected {
      let before = nextExpected
      do throws(TapeFileError) {
        var reader = try TapeReader(files: tape, start: .sequence(nextExpected))
        read(&reader, before: first)
      } catch {
        narrate("bookd: the tape cannot be read: \(error)", as: .tapeDamaged)
        break
      }
      if nextExpected == before { break }
    }
    knownBefore = nextExpected
    passOverKnown()
    control.flight.note(.tapeRead, restored, nextExpected)
    narrate("bookd: sequences \(restored)...\(nextExpected - 1) from the tape, the rest from the merged ring")
  }

  /// The stream of these rings begins within its session: the set was brought up anew and goes on where a tape ends. The
  /// books are made from what is stored; what they lack then is the first thing that is published.
  mutating func resumeSession(at first: UInt64) {
    control.setState(.catchingUp)
    let rules = builder.rules
    let channel = builder.channel
    if let storage {
      // The memory of the empty books goes before that of the others is asked for.
      builder = BookBuilder(rules: rules.withoutRoom, channel: channel)
      let stored = storage.restore(before: first, passingOver: poison.sequences) { due in
        control.setAppliedSequence(due &- 1)
        control.beat()
      }
      switch consume stored {
      case .some(let state):
        nextExpected = state.nextSequence
        builder = state.intoBuilder()
      case .none: builder = BookBuilder(rules: rules, channel: channel)
      }
    }
    knownBefore = nextExpected
    // A successor finds it said, and prices that are newer.
    if publishedThrough == 0 { output.begin(at: nextExpected, builder) }
    if nextExpected < first {
      narrate(
        "bookd: sequences \(nextExpected)...\(first - 1) cannot be had from the tape: lost", as: .stateLost,
        [(.firstSequence, String(nextExpected)), (.lastSequence, String(first - 1))])
      declareUnstored(before: first)
    } else {
      narrate("bookd: the books are those behind sequence \(first - 1)")
    }
    control.setAppliedSequence(nextExpected &- 1)
    control.beat()
    if hasCaughtUp { control.setState(.ready) }
  }

  /// What the books should know and do not.
  private mutating func declareUnstored(before first: UInt64) {
    let lost = nextExpected
    nextExpected = first
    builder.gap(
      first: lost, last: first - 1, reason: GapReason.restartWithoutState.rawValue, receiveTime: 0,
      into: &events)
    put(lost)
  }

  /// Applies records of the tape up to a sequence number, to the tape's end, or to the first thing on it that is not right.
  private mutating func read(_ reader: inout TapeReader<SystemTapeFiles>, before end: UInt64) {
    var count = 0
    while true {
      let record: TapeRecord?
      do throws(TapeDamage) { record = try reader.next() } catch {
        return narrate("bookd: damage on the tape: \(error)", as: .tapeDamaged)
      }
      guard let record, let payload = record.payload.baseAddress, record.payload.count <= recordRoom,
        record.kind != TapeLayout.Kind.hole
      else { return }
      // A recovery stands in front of the message that is due: the ring may hold that one, and not the recovery, or its end only.
      guard nextExpected < end || Self.isRecovery(record.kind) else { return }
      buffer.copyMemory(from: payload, byteCount: record.payload.count)
      take(record.kind, record.payload.count, buffer)
      count += 1
      if count % Self.recordsPerBeat == 0 {
        control.flight.doing(.readingTape, nextExpected)
        failpoint(82)  // in the midst of the tape
        control.setAppliedSequence(nextExpected &- 1)
        control.beat()
      }
    }
  }

  private static func isRecovery(_ kind: UInt8) -> Bool {
    switch kind {
    case MergedRecord.Kind.recoveryStart, MergedRecord.Kind.recovery, MergedRecord.Kind.recoveryEnd: true
    default: false
    }
  }

  /// Goes on in the merged ring near what is due: all that lies before it is known, and there may be millions of it.
  private mutating func passOverKnown() {
    let (due, buffer) = (nextExpected, buffer)
    input.seek(into: buffer) { _, bytes in bytes >= 8 && buffer.load(as: UInt64.self) < due }
    // What is left of it lies within a segment. It is no progress, and must not look like some.
    while true {
      let position = input.nextPosition
      guard case .record(_, let bytes) = input.poll(into: buffer) else { return }
      guard bytes >= 8, buffer.load(as: UInt64.self) < due else { return input.rewind(to: position) }
    }
  }

  /// The number with which the oldest record on the merged ring begins; nil when it holds none.
  private mutating func firstOnRing() -> UInt64? {
    while true {
      let position = input.nextPosition
      switch input.poll(into: buffer) {
      case .record(_, let bytes) where bytes >= 8:
        input.rewind(to: position)
        return buffer.load(as: UInt64.self)
      case .record: continue
      case .lapped: continue
      case .halted(let halt): input.continueOrEnd(after: halt, component: "bookd")
      case .empty: return nil
      }
    }
  }
}
