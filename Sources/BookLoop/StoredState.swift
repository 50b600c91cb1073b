import BookBuilder
import BookSettings
import StageRuntime
import Tape
import TapeShadow
import Topology

/// What the recorder has laid by: the state that a successor starts from, and the messages behind it. With them a rebuild
/// takes as long as the time since the last snapshot, and does not need what the rings have overwritten, or never had.
struct StoredState: ~Copyable {
  /// The books behind a whole message.
  private var builder: BookBuilder
  /// The first message that is not part of them.
  let nextSequence: UInt64
  /// Where the tape lies.
  let files: SystemTapeFiles
  /// Whose messages they are.
  let session: TapeSession

  consuming func intoBuilder() -> BookBuilder { builder }

  init(
    _ book: consuming ShadowBook, files: SystemTapeFiles, session: TapeSession, onNewRings: Bool
  ) {
    self.session = session
    nextSequence = book.position.nextSequence
    self.files = files
    builder = onNewRings ? book.intoBuilderOfNewRings() : book.intoBuilder()
  }

  /// Where such states come from.
  struct Source {
    private let files: SystemTapeFiles
    private let directory: String
    private let recorder: String
    private let component: String
    private let channel: UInt8
    private let rules: BookRules
    private let hasSnapshots: Bool

    /// Nil without a tape.
    init?(_ process: borrowing StageProcess) {
      let topology = process.topology
      guard let tapeDirectory = topology.tapeDirectory, let recorder = topology.tapeStage else {
        return nil
      }
      files = SystemTapeFiles(directory: tapeDirectory)
      directory = process.directory
      component = process.component
      channel = topology.channel.number
      hasSnapshots = topology.tape?.shadow == true
      self.recorder = recorder
      rules = topology.bookRules
    }

    /// The newest state of these rings' stream that is not ahead of what is out; nil when there is none that can be used.
    /// What is not what it should be is named and passed over.
    /// - Parameters:
    ///   - publishedThrough: events up to and including this message are out. A later state could not make those in between
    ///     again.
    ///   - passedOver: messages that are not applied.
    func find(publishedThrough: UInt64, passingOver passedOver: [UInt64]) -> StoredState? {
      guard publishedThrough > 0, hasSnapshots,
        let page = try? ControlPage.attach(directory: directory, component: recorder, access: .readOnly),
        let recording = recording(), let leg = recording.legs.last,
        // The run was numbered anew with the rings, so what it recorded is these rings' stream.
        leg.run == page.value(TapeCounter.run)
      else { return nil }
      let latest = min(publishedThrough + 1, passedOver.first ?? .max)
      let newest = try? SnapshotStore(files: files).list().last {
        recording.holds($0) && $0.nextSequence <= latest
      }
      // Without a snapshot only what is older than the rings is read here; the rest follows as from any state.
      guard newest != nil || leg.first > 1 || !passedOver.isEmpty else { return nil }
      return restore(
        recording, before: newest.map(\.nextSequence) ?? leg.first, passingOver: passedOver, onNewRings: false
      ) { _ in }
    }

    /// The state in front of the message with which these rings' stream begins: nothing was said on them yet.
    /// - Parameter pulse: called every few milliseconds with the number that is due.
    func restore(
      before end: UInt64, passingOver passedOver: [UInt64], pulse: (UInt64) -> Void
    ) -> StoredState? {
      guard let recording = recording() else { return nil }
      return restore(recording, before: end, passingOver: passedOver, onNewRings: true, pulse: pulse)
    }

    private func recording() -> SessionRecording? {
      do throws(TapeFileError) {
        guard let found = try SessionRecording.newest(files), found.channel == channel else { return nil }
        return found
      } catch {
        narrate("\(component): the tape cannot be read: \(error)", as: .tapeDamaged)
        return nil
      }
    }

    private func restore(
      _ recording: SessionRecording, before end: UInt64, passingOver passedOver: [UInt64],
      onNewRings: Bool, pulse: (UInt64) -> Void
    ) -> StoredState? {
      let found = StoredBooks.restore(
        recording, files: files, before: end, passingOver: passedOver, rules: rules,
        says: { narrate("\(component): \($0)") }, pulse: pulse)
      guard let found else { return nil }
      return StoredState(found, files: files, session: recording.session, onNewRings: onNewRings)
    }
  }
}
