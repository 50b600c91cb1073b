import Glibc

/// Values of /proc and /sys that were changed, with what was there before: written down before each change, so that all of it
/// can be taken back, also after a crash in between. Lives below /run, which a reboot empties as it does the values.
public struct HostChanges: Sendable, Equatable {
  public struct Entry: Sendable, Equatable {
    public let path: String
    public let before: String
    public let after: String
  }

  public static let defaultPath = "/run/bulkhead/host-changes"
  private static let title = "bulkhead host changes 1"

  public private(set) var entries: [Entry] = []

  public init() {}

  /// Reads the text of ``text``; nil for one that is none.
  public init?(text: String) {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: true)
    guard lines.first.map(String.init) == Self.title else { return nil }
    for line in lines.dropFirst() {
      let fields = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
      // The last line of a writer that died.
      guard fields.count == 4, fields[3] == "." else { continue }
      record(fields[0], before: fields[1], after: fields[2])
    }
  }

  public var text: String {
    Self.title + "\n" + entries.map { "\($0.path)\t\($0.before)\t\($0.after)\t.\n" }.joined()
  }

  /// Notes a change. Of a path that was changed before, what was there first stays.
  public mutating func record(_ path: String, before: String, after: String) {
    let first = entries.first { $0.path == path }?.before ?? before
    entries.removeAll { $0.path == path }
    entries.append(Entry(path: path, before: first, after: after))
  }

  public mutating func forget(_ path: String) { entries.removeAll { $0.path == path } }
}

/// What became of one value.
public struct HostChange: Sendable, Equatable {
  public enum Outcome: Sendable, Equatable {
    case done
    /// It had that value already.
    case already
    /// Somebody else has changed it since: left alone.
    case foreign(found: String)
    case failed(String)
  }

  public let path: String
  public let from: String
  public let to: String
  public let outcome: Outcome

  public var isGood: Bool {
    switch outcome {
    case .done, .already: true
    case .foreign, .failed: false
    }
  }
}

/// Applies the fixes of findings, and takes them back.
public struct HostChanger {
  private let root: String
  private let journal: String

  /// - Parameters:
  ///   - root: as for ``HostFactsReader``.
  ///   - journal: the file of ``HostChanges``, below no root.
  public init(root: String = "/", journal: String = HostChanges.defaultPath) {
    self.root = root == "/" ? "" : root
    self.journal = journal
  }

  /// The changes that are noted; none where there is no file.
  /// - Throws: ``HostChangeError`` for a file that cannot be read, or is none.
  public func noted() throws(HostChangeError) -> HostChanges {
    guard access(journal, F_OK) == 0 else { return HostChanges() }
    guard let text = read(journal) else { throw .unreadable(journal, errno) }
    guard let changes = HostChanges(text: text) else { throw .notANote(journal) }
    return changes
  }

  /// Writes the values, each after its old one was noted on the disk.
  public func apply(_ writes: [HostWrite]) throws(HostChangeError) -> [HostChange] {
    var changes = try noted()
    var results: [HostChange] = []
    for write in writes {
      guard let before = value(write.path) else {
        results.append(
          HostChange(path: write.path, from: "", to: write.value, outcome: .failed(reason())))
        continue
      }
      guard before != write.value else {
        results.append(HostChange(path: write.path, from: before, to: write.value, outcome: .already))
        continue
      }
      let earlier = changes
      changes.record(write.path, before: before, after: write.value)
      try store(changes)
      if set(write.path, write.value) {
        // Some files say it in other words than they were told: masks, lists.
        let now = value(write.path) ?? write.value
        if now != write.value {
          changes.record(write.path, before: before, after: now)
          try store(changes)
        }
        results.append(HostChange(path: write.path, from: before, to: write.value, outcome: .done))
      } else {
        results.append(
          HostChange(path: write.path, from: before, to: write.value, outcome: .failed(reason())))
        changes = earlier
        try store(changes)
      }
    }
    return results
  }

  /// Puts back what was there, last change first. What somebody else changed meanwhile stays, and stays noted, unless `force`.
  public func restore(force: Bool = false) throws(HostChangeError) -> [HostChange] {
    var changes = try noted()
    var results: [HostChange] = []
    for entry in changes.entries.reversed() {
      let now = value(entry.path)
      var outcome = HostChange.Outcome.done
      if now == entry.before {
        outcome = .already
      } else if let now, now != entry.after, !force {
        outcome = .foreign(found: now)
      } else if !set(entry.path, entry.before) {
        outcome = .failed(reason())
      }
      let result = HostChange(path: entry.path, from: now ?? "", to: entry.before, outcome: outcome)
      results.append(result)
      if result.isGood {
        changes.forget(entry.path)
        try store(changes)
      }
    }
    return results
  }

  // MARK: Files

  private func reason() -> String { String(cString: strerror(errno)) }

  /// The value as it would be written: of a choice (`a [b] c`) the chosen word.
  private func value(_ path: String) -> String? {
    guard let text = read(root + path) else { return nil }
    let line = text.split(separator: "\n").first?.trimmed ?? ""
    if let start = line.firstIndex(of: "["), let end = line.firstIndex(of: "]"), start < end {
      return String(line[line.index(after: start)..<end])
    }
    return line
  }

  private func set(_ path: String, _ value: String) -> Bool {
    let descriptor = open(root + path, O_WRONLY | O_TRUNC | O_CLOEXEC)
    guard descriptor >= 0 else { return false }
    let bytes = Array((value + "\n").utf8)
    let count = write(descriptor, bytes, bytes.count)
    let error = errno
    close(descriptor)
    errno = error
    return count == bytes.count
  }

  private func read(_ path: String) -> String? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    let count = Glibc.read(descriptor, &bytes, bytes.count)
    return count < 0 ? nil : String(decoding: bytes.prefix(count), as: UTF8.self)
  }

  /// Replaces the note in one step; removes it when nothing is changed any more.
  private func store(_ changes: HostChanges) throws(HostChangeError) {
    if changes.entries.isEmpty {
      if unlink(journal) != 0, errno != ENOENT { throw .notWritten(journal, errno) }
      return
    }
    if let slash = journal.lastIndex(of: "/") { mkdir(String(journal[..<slash]), 0o755) }
    let temporary = journal + ".new"
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw .notWritten(journal, errno) }
    let bytes = Array(changes.text.utf8)
    let isWritten = write(descriptor, bytes, bytes.count) == bytes.count && fsync(descriptor) == 0
    let error = errno
    close(descriptor)
    guard isWritten, rename(temporary, journal) == 0 else {
      throw .notWritten(journal, isWritten ? errno : error)
    }
  }
}

/// Why changes cannot be noted, or taken back.
public enum HostChangeError: Error, Equatable, CustomStringConvertible {
  case unreadable(String, Int32)
  case notANote(String)
  case notWritten(String, Int32)

  public var description: String {
    switch self {
    case .unreadable(let path, let code): "cannot read \(path): \(String(cString: strerror(code)))"
    case .notANote(let path): "\(path) holds no note of changes; move it away"
    case .notWritten(let path, let code):
      "cannot write \(path): \(String(cString: strerror(code))); nothing is changed that is not noted there"
    }
  }
}
