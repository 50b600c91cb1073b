public import BookBuilder
import FeedWire
public import Tape

/// Books from what a recorder has laid by: the newest snapshot that is right, and the tape behind it.
public enum StoredBooks {
  /// Records between two pulses: some milliseconds.
  private static let recordsPerPulse = 8_192

  /// The books of a session as they were in front of a message, or as near to it as the tape goes.
  /// - Parameters:
  ///   - end: the first message that is not to be part of them.
  ///   - passedOver: messages that are not applied, beside those that were written down for the session. No snapshot behind
  ///     one of them is used: it may have been made with it.
  ///   - says: what was used, and what was not and why.
  ///   - pulse: called every few milliseconds with the number that is due.
  /// - Returns: nil when there is no right snapshot and the tape does not begin with the session.
  public static func restore<Files: TapeFiles>(
    _ recording: SessionRecording, files: Files, before end: UInt64,
    passingOver passedOver: [UInt64] = [], rules: BookRules, says: (String) -> Void,
    pulse: (UInt64) -> Void
  ) -> ShadowBook? {
    let poison = passedOver + PoisonStore(files: files).sequences(of: recording.session)
    let latest = min(end, poison.min() ?? end)
    guard var book = beginning(recording, files, before: latest, rules, says) else { return nil }
    for sequence in poison { book.passOver(sequence) }
    var count = 0
    do throws(TapeDamage) {
      var reader = try SessionReader(files: files, recording: recording, from: book.position.nextSequence)
      while book.position.nextSequence < end, book.blindness == nil, let record = try reader.next() {
        _ = book.take(record)
        count += 1
        if count % recordsPerPulse == 0 { pulse(book.position.nextSequence) }
      }
    } catch {
      says("damage on the tape: \(error)")
    }
    if let blindness = book.blindness { says("the tape cannot be followed: \(blindness)") }
    return book
  }

  private static func beginning<Files: TapeFiles>(
    _ recording: SessionRecording, _ files: Files, before end: UInt64, _ rules: BookRules,
    _ says: (String) -> Void
  ) -> ShadowBook? {
    let store = SnapshotStore(files: files)
    let names = ((try? store.list()) ?? []).filter { recording.holds($0) && $0.nextSequence <= end }
    for name in names.reversed() {
      do throws(SnapshotFailure) {
        let bytes = try store.read(name)
        switch bytes.withUnsafeBytes({ restored($0, name, recording, rules) }) {
        case .failure(let problem): says("snapshot \(name.fileName) is not used: \(problem.words)")
        case .success(let box):
          if let book = box.take() {
            says("books of sequence \(name.nextSequence - 1) from \(name.fileName)")
            return book
          }
        }
      } catch {
        says("snapshot \(name.fileName) is not used: \(error)")
      }
    }
    return recording.isWhole ? ShadowBook(rules: rules, channel: recording.channel) : nil
  }

  private struct Problem: Error { let words: String }

  /// Carries books through a `Result`, which holds copyable values only.
  private final class Box {
    private var book: ShadowBook?
    init(_ book: consuming ShadowBook) { self.book = consume book }
    func take() -> ShadowBook? { book.take() }
  }

  private static func restored(
    _ bytes: UnsafeRawBufferPointer, _ name: SnapshotName, _ recording: SessionRecording,
    _ rules: BookRules
  ) -> Result<Box, Problem> {
    do throws(BookImageError) {
      let summary = try BookImage.summary(of: bytes)
      var session: [UInt8] = Array(repeating: 0, count: 16)
      session.withUnsafeMutableBytes { summary.position.session.write(to: $0.baseAddress!) }
      let isOfSession = session.withUnsafeBytes { TapeSession(from: $0.baseAddress!) == recording.session }
      guard summary.position.nextSequence == name.nextSequence, summary.channel == recording.channel,
        isOfSession
      else { return .failure(Problem(words: "it belongs to another position")) }
      return .success(Box(try ShadowBook(image: bytes, rules: rules)))
    } catch {
      return .failure(Problem(words: "\(error)"))
    }
  }
}
