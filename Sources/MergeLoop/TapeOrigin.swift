import Glibc
import LineArbiter
import StageRuntime
import Tape
import Topology

/// What the tape says about a stream of which the rings know nothing: the set is new, but its session may not be.
struct TapeOrigin {
  private let component: String
  private let resumption: TapeResumption?

  /// Reads the tape's end. A tape that cannot be read is said, and then the stream begins at 1, as without one: the venue is
  /// asked for everything.
  init(process: borrowing StageProcess) {
    component = process.component
    resumption = Self.find(process)
    if let resumption, let problem = resumption.problem {
      narrate(
        "\(component): the tape is right up to sequence \(resumption.next - 1) only: \(problem)",
        as: .tapeDamaged)
    }
  }

  private static func find(_ process: borrowing StageProcess) -> TapeResumption? {
    guard let directory = process.topology.tapeDirectory else { return nil }
    do throws(TapeFileError) {
      return try TapeResumption.find(
        SystemTapeFiles(directory: directory), channel: process.topology.channel.number)
    } catch {
      // No directory: no tape yet.
      if error.code != ENOENT {
        narrate("\(process.component): the tape cannot be read: \(error)", as: .tapeDamaged)
      }
      return nil
    }
  }

  /// None: the rings know how far the stream is.
  init() {
    component = ""
    resumption = nil
  }

  /// The first number of the stream, now that its session is known.
  func firstSequence(of session: SessionIdentifier) -> UInt64 {
    guard let resumption else { return 1 }
    let isSame = withUnsafeTemporaryAllocation(byteCount: 16, alignment: 8) { bytes in
      guard let base = bytes.baseAddress else { return false }
      session.store(to: base)
      return TapeSession(from: base) == resumption.session
    }
    guard isSame else {
      narrate("\(component): the lines carry another session than the tape: a new stream begins")
      return 1
    }
    narrate("\(component): continuing at sequence \(resumption.next), where the tape ends")
    return resumption.next
  }
}
