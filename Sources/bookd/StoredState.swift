import BookBuilder
import OrderBook
import StageRuntime
import Tape
import Topology

/// What the recorder has laid by of this run: the state that a successor starts from, and the messages behind it. With
/// them a rebuild takes as long as the time since the last snapshot, and does not need what the rings have overwritten.
struct StoredState: ~Copyable {
  /// The books behind a whole message.
  var builder: BookBuilder
  /// The first message that is not part of them.
  let nextSequence: UInt64
  /// Where the tape lies.
  let files: SystemTapeFiles

  /// The newest snapshot of this run that is not ahead of what is out; nil when there is none that can be used. A snapshot
  /// that is not what it should be is named and passed over.
  /// - Parameter publishedThrough: events up to and including this message are out. A later state could not make those in
  ///   between again.
  static func find(
    _ process: borrowing StageProcess, publishedThrough: UInt64, capacity: BookCapacity, policy: ErrorPolicy
  ) -> StoredState? {
    let topology = process.topology
    guard publishedThrough > 0, let tape = topology.tape, tape.shadow, let recorder = topology.tapeStage,
      // The recorder's books follow neither another policy nor the venue's images.
      policy == .alarm, topology.channel.arbitration.unrecoverable != .snapshot,
      let page = try? ControlPage.attach(
        directory: process.directory, component: recorder, access: .readOnly)
    else { return nil }
    // Made anew with the rings, so a snapshot of this run belongs to these rings' stream.
    let run = page.value(TapeCounter.run)
    let files = SystemTapeFiles(directory: "\(tape.directory)/\(topology.host.instance)")
    let store = SnapshotStore(files: files)
    for name in ((try? store.list()) ?? []).reversed()
    where name.run == run && name.nextSequence <= publishedThrough + 1 {
      do {
        let bytes = try store.read(name)
        let builder = try bytes.withUnsafeBytes {
          (bytes) -> Result<BuilderBox, BookImageError> in
          do throws(BookImageError) {
            let summary = try BookImage.summary(of: bytes)
            guard summary.position.nextSequence == name.nextSequence,
              summary.channel == topology.channel.number
            else { return .success(BuilderBox(nil)) }
            return .success(
              BuilderBox(try BookBuilder.restored(from: bytes, capacity: capacity, policy: policy)))
          } catch {
            return .failure(error)
          }
        }.get().take()
        guard let builder else {
          narrate("\(process.component): snapshot \(name.fileName) is another position's: not used")
          continue
        }
        narrate("\(process.component): books of sequence \(name.nextSequence - 1) from \(name.fileName)")
        return StoredState(builder: builder, nextSequence: name.nextSequence, files: files)
      } catch {
        narrate("\(process.component): snapshot \(name.fileName) is not used: \(error)")
      }
    }
    return nil
  }

  consuming func intoBuilder() -> BookBuilder { builder }

  /// A builder on its way out of a closure, which cannot return what cannot be copied in a `Result`.
  private final class BuilderBox {
    private var builder: BookBuilder?
    init(_ builder: consuming BookBuilder?) { self.builder = builder }
    func take() -> BookBuilder? { builder.take() }
  }
}
