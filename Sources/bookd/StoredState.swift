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
    guard publishedThrough > 0, topology.tape?.shadow == true, let directory = topology.tapeDirectory,
      let recorder = topology.tapeStage,
      // The recorder's books follow neither another policy nor the venue's images.
      policy == .alarm, topology.channel.arbitration.unrecoverable != .snapshot,
      let page = try? ControlPage.attach(
        directory: process.directory, component: recorder, access: .readOnly)
    else { return nil }
    let files = SystemTapeFiles(directory: directory)
    var found: BookBuilder?
    do throws(TapeFileError) {
      // The run was numbered anew with the rings, so a snapshot of it belongs to these rings' stream.
      let (taken, refused) = try SnapshotStore(files: files).newest(
        run: page.value(TapeCounter.run), through: publishedThrough + 1
      ) { name, bytes in
        do throws(BookImageError) {
          let summary = try BookImage.summary(of: bytes)
          guard summary.position.nextSequence == name.nextSequence, summary.channel == topology.channel.number
          else { return "it belongs to another position" }
          found = try BookBuilder.restored(from: bytes, capacity: capacity, policy: policy)
          return nil
        } catch {
          return "\(error)"
        }
      }
      for (name, problem) in refused {
        narrate("\(process.component): snapshot \(name.fileName) is not used: \(problem)")
      }
      guard let taken, let builder = found.take() else { return nil }
      narrate("\(process.component): books of sequence \(taken.nextSequence - 1) from \(taken.fileName)")
      return StoredState(builder: builder, nextSequence: taken.nextSequence, files: files)
    } catch {
      narrate("\(process.component): no snapshot can be read: \(error)")
      return nil
    }
  }

  consuming func intoBuilder() -> BookBuilder { builder }
}
