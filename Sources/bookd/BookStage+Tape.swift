import CLinux
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
    while let first = firstOnRing(), first > nextExpected {
      let before = nextExpected
      do throws(TapeFileError) {
        var reader = try TapeReader(files: tape, start: .sequence(nextExpected))
        read(&reader, before: first)
      } catch {
        narrate("bookd: the tape cannot be read: \(error)")
        break
      }
      if nextExpected == before { break }
    }
    knownBefore = nextExpected
    control.flight.note(.tapeRead, restored, nextExpected)
    narrate("bookd: sequences \(restored)...\(nextExpected - 1) from the tape, the rest from the merged ring")
  }

  /// Applies records of the tape up to a sequence number, to the tape's end, or to the first thing on it that is not right.
  private mutating func read(_ reader: inout TapeReader<SystemTapeFiles>, before end: UInt64) {
    var count = 0
    while nextExpected < end {
      let record: TapeRecord?
      do throws(TapeDamage) { record = try reader.next() } catch {
        return narrate("bookd: damage on the tape: \(error)")
      }
      guard let record, let payload = record.payload.baseAddress, record.payload.count <= recordRoom,
        record.kind != TapeLayout.Kind.hole
      else { return }
      buffer.copyMemory(from: payload, byteCount: record.payload.count)
      take(record.kind, record.payload.count, buffer)
      count += 1
      if count % Self.recordsPerBeat == 0 {
        control.flight.doing(.readingTape, nextExpected)
        control.setAppliedSequence(nextExpected &- 1)
        control.beat()
      }
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
