import FeedSim
import Glibc
import SetInspection
import StageRuntime

/// A generated day's messages, and what they come to when nothing is lost, kept in two files from one run of the same day to the
/// next: it takes longer to generate and compute them than to send them. Only for runs of the same programs, one after the other.
struct KeptResult {
  private static let numbers = 5
  /// The messages are kept where they take no more than this part of what is free.
  private static let share: UInt64 = 8

  let path: String
  var messagesPath: String { path + ".messages" }
  private let key: String

  /// - Parameters:
  ///   - day: all that decides about the messages.
  ///   - rules: all that decides about what becomes of them.
  init(path: String, day: String, rules: String) {
    self.path = path
    key = "\(bulkheadVersion) \(day) \(rules)".filter { $0 != "\n" }
  }

  /// Nil of a file that is not there, of another day, or damaged.
  func read() -> ExpectedResult? {
    guard let lines = readText(path)?.split(separator: "\n", omittingEmptySubsequences: false),
      lines.count == 3, lines[0] == key, lines[2].isEmpty
    else { return nil }
    let numbers = lines[1].split(separator: " ").compactMap { UInt64($0) }
    guard numbers.count == Self.numbers else { return nil }
    return ExpectedResult(
      streamDigest: numbers[0], bookDigest: numbers[1], events: numbers[2], messages: numbers[3],
      rejects: numbers[4])
  }

  /// Whether the day's messages are there: they are written in front of their result.
  var hasMessages: Bool { read() != nil && access(messagesPath, R_OK) == 0 }

  /// Keeps the messages, where there is room; it is not said when there is none.
  func write(_ messages: borrowing MessageStore) {
    unlink(path)
    var room = statvfs()
    let folder = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
    guard statvfs(folder.isEmpty ? "." : folder, &room) == 0,
      UInt64(messages.byteCount) / UInt64(room.f_frsize) < UInt64(room.f_bavail) / Self.share,
      (try? messages.write(to: messagesPath)) != nil
    else {
      unlink(messagesPath)
      return
    }
  }

  func write(_ result: ExpectedResult) {
    let numbers = [
      result.streamDigest, result.bookDigest, result.events, result.messages, result.rejects,
    ]
    _ = writeWholeFile(path, "\(key)\n\(numbers.map { String($0) }.joined(separator: " "))\n")
  }
}

extension ExpectedResult {
  init(streamDigest: UInt64, bookDigest: UInt64, events: UInt64, messages: UInt64, rejects: UInt64) {
    self.streamDigest = streamDigest
    self.bookDigest = bookDigest
    self.events = events
    self.messages = messages
    self.rejects = rejects
  }
}
