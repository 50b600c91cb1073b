/// A message that was passed over, in a file of its own beside the tape.
public struct PoisonName: Equatable, Sendable {
  public let session: TapeSession
  public let sequence: UInt64

  public init(session: TapeSession, sequence: UInt64) {
    self.session = session
    self.sequence = sequence
  }

  /// "poison-<session, 20 hexadecimal digits>-<sequence, 20 digits>.txt".
  public var fileName: String {
    let session = session.bytes.map(Self.hexadecimal).joined()
    let digits = String(sequence)
    return "poison-\(session)-" + String(repeating: "0", count: 20 - digits.count) + digits + ".txt"
  }

  static func hexadecimal(_ byte: UInt8) -> String {
    (byte < 16 ? "0" : "") + String(byte, radix: 16)
  }

  /// Nil for a file of another kind.
  public init?(fileName: String) {
    let parts = fileName.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count == 3, parts[0] == "poison", parts[1].utf8.count == 20, parts[2].hasSuffix(".txt"),
      let sequence = UInt64(parts[2].dropLast(4))
    else { return nil }
    var bytes: [UInt8] = []
    var rest = parts[1]
    while !rest.isEmpty {
      guard let byte = UInt8(rest.prefix(2), radix: 16) else { return nil }
      bytes.append(byte)
      rest = rest.dropFirst(2)
    }
    self.init(session: bytes.withUnsafeBytes { Self.session($0) }, sequence: sequence)
    guard self.fileName == fileName else { return nil }
  }

  private static func session(_ bytes: UnsafeRawBufferPointer) -> TapeSession {
    guard let base = bytes.baseAddress, bytes.count >= 10 else { return .none }
    return TapeSession(from: base)
  }
}

/// The messages that were passed over. They lie beside the tape, since they stay on it: whoever makes books from it later
/// passes them over as well.
public struct PoisonStore<Files: TapeFiles>: Sendable {
  public let files: Files

  public init(files: Files) { self.files = files }

  /// Sequence numbers of a session that are passed over, ascending; none where the directory cannot be read.
  public func sequences(of session: TapeSession) -> [UInt64] {
    ((try? files.list()) ?? []).compactMap { PoisonName(fileName: $0) }
      .filter { $0.session == session }.map(\.sequence).sorted()
  }

  /// Writes a message down, for whoever wants to know why; once.
  /// - Parameters:
  ///   - facts: what is known about it, a name and a value each.
  ///   - message: its bytes as the venue sent them.
  public func write(
    _ name: PoisonName, facts: [(name: String, value: String)], message: UnsafeRawBufferPointer
  ) throws(TapeFileError) {
    if try files.list().contains(name.fileName) { return }
    var text = "bulkhead poisoned input 1\n"
    for fact in facts { text += "\(fact.name) \(fact.value)\n" }
    text += "message " + message.map { PoisonName.hexadecimal($0) }.joined(separator: " ") + "\n"
    let temporary = "next.poison"
    let file = try files.create(temporary)
    defer { files.close(file) }
    let bytes = Array(text.utf8)
    var done = 0
    while done < bytes.count {
      done += try Self.write(files, file, temporary, bytes, from: done)
    }
    try files.synchronize(file, temporary)
    try files.rename(temporary, to: name.fileName)
    try files.synchronizeDirectory()
  }

  private static func write(
    _ files: Files, _ file: Int32, _ name: String, _ bytes: [UInt8], from start: Int
  ) throws(TapeFileError) -> Int {
    let result = bytes.withUnsafeBytes { all -> Result<Int, TapeFileError> in
      do throws(TapeFileError) {
        return .success(
          try files.write(
            file, name, UnsafeRawBufferPointer(rebasing: all.dropFirst(start)), at: UInt64(start)))
      } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }
}
