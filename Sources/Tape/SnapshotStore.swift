import Failpoints

/// A snapshot in a tape's directory.
public struct SnapshotName: Equatable, Sendable {
  public let run: UInt64
  /// The first sequence number that is not part of it.
  public let nextSequence: UInt64

  public init(run: UInt64, nextSequence: UInt64) {
    self.run = run
    self.nextSequence = nextSequence
  }

  /// "book-<run, 16 hexadecimal digits>-<sequence, 20 digits>.image".
  public var fileName: String {
    let run = String(self.run, radix: 16)
    let sequence = String(nextSequence)
    return "book-" + String(repeating: "0", count: 16 - run.count) + run + "-"
      + String(repeating: "0", count: 20 - sequence.count) + sequence + ".image"
  }

  /// Nil for a file of another kind.
  public init?(fileName: String) {
    let parts = fileName.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count == 3, parts[0] == "book", parts[2].hasSuffix(".image"),
      let run = UInt64(parts[1], radix: 16), let sequence = UInt64(parts[2].dropLast(6))
    else { return nil }
    self.init(run: run, nextSequence: sequence)
    guard self.fileName == fileName else { return nil }
  }
}

/// Why a snapshot does not count.
public enum SnapshotFailure: Error, Equatable, Sendable, CustomStringConvertible {
  case file(TapeFileError)
  /// What was read back is not what was written.
  case readBack(String)

  public var description: String {
    switch self {
    case .file(let error): "\(error)"
    case .readBack(let reason): "read back: \(reason)"
    }
  }
}

/// The snapshots beside a tape. One counts only when it has been read back from its file and found right.
public struct SnapshotStore<Files: TapeFiles>: Sendable {
  public let files: Files
  static var temporaryName: String { "next.image" }

  public init(files: Files) { self.files = files }

  /// Oldest first within a run; the runs in the order of their beginning.
  public func list() throws(TapeFileError) -> [SnapshotName] {
    try files.list().compactMap { SnapshotName(fileName: $0) }
      .sorted { ($0.run, $0.nextSequence) < ($1.run, $1.nextSequence) }
  }

  /// Writes a snapshot, synchronises it, reads it back and has it checked; only then does it get its name. Then removes all
  /// but the newest `keep`.
  /// - Parameter check: nil when the bytes are a right image; otherwise what is wrong.
  public func write(
    _ name: SnapshotName, _ bytes: UnsafeRawBufferPointer, keep: Int,
    check: (UnsafeRawBufferPointer) -> String?
  ) throws(SnapshotFailure) {
    failpoint(61)  // about to write a snapshot
    do throws(TapeFileError) { try put(bytes) } catch { throw .file(error) }
    failpoint(62)  // written, not verified
    let found = try readBack(Self.temporaryName)
    if let problem = found.withUnsafeBytes({ check($0) }) {
      try? files.remove(Self.temporaryName)
      throw .readBack(problem)
    }
    failpoint(63)  // verified, without a name
    do throws(TapeFileError) {
      try files.rename(Self.temporaryName, to: name.fileName)
      failpoint(64)  // it has its name, the directory is not synchronised
      try files.synchronizeDirectory()
    } catch {
      throw .file(error)
    }
    // One too many is no failure of the new one.
    for old in ((try? list()) ?? []).dropLast(max(1, keep)) { try? files.remove(old.fileName) }
  }

  /// The bytes of a snapshot, unchecked.
  public func read(_ name: SnapshotName) throws(SnapshotFailure) -> [UInt8] { try readBack(name.fileName) }

  private func put(_ bytes: UnsafeRawBufferPointer) throws(TapeFileError) {
    let file = try files.create(Self.temporaryName)
    defer { files.close(file) }
    var done = 0
    while done < bytes.count {
      let rest = UnsafeRawBufferPointer(rebasing: bytes.dropFirst(done))
      done += try files.write(file, Self.temporaryName, rest, at: UInt64(done))
    }
    try files.synchronize(file, Self.temporaryName)
  }

  private func readBack(_ name: String) throws(SnapshotFailure) -> [UInt8] {
    do throws(TapeFileError) {
      let file = try files.openForReading(name)
      defer { files.close(file) }
      return try files.bytes(file, name, at: 0, count: Int(clamping: try files.size(file, name)))
    } catch {
      throw .file(error)
    }
  }

  /// The newest snapshot of a run that `use` takes; older ones are tried when it refuses one.
  /// - Parameters:
  ///   - latest: the highest ``SnapshotName/nextSequence`` that is of use.
  ///   - use: nil when it takes the bytes; otherwise what is wrong with them.
  /// - Returns: the name of the one that was taken, and what was wrong with those that were not.
  public func newest(
    run: UInt64, through latest: UInt64 = .max, use: (SnapshotName, UnsafeRawBufferPointer) -> String?
  ) throws(TapeFileError) -> (taken: SnapshotName?, refused: [(name: SnapshotName, problem: String)]) {
    var refused: [(name: SnapshotName, problem: String)] = []
    for name in try list().reversed() where name.run == run && name.nextSequence <= latest {
      do throws(SnapshotFailure) {
        let bytes = try readBack(name.fileName)
        if let problem = bytes.withUnsafeBytes({ use(name, $0) }) {
          refused.append((name, problem))
          continue
        }
        return (name, refused)
      } catch {
        refused.append((name, "\(error)"))
      }
    }
    return (nil, refused)
  }
}
