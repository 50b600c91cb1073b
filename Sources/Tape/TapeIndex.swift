/// One segment as the directory shows it.
public struct SegmentSummary: Equatable, Sendable {
  public let ordinal: UInt64
  public let bytes: UInt64
  /// Nil when it cannot be read: then `damage` says why.
  public let header: SegmentHeader?
  public let damage: TapeDamage?
  /// What stands at its end, if that is a seal. (Only looked at, not checked against what is in front of it.)
  public let seal: TapeSeal?

  public var name: String { TapeLayout.fileName(ordinal: ordinal) }
}

/// The segments of a directory, oldest first, told from their names and headers alone.
public struct TapeIndex: Equatable, Sendable {
  public let segments: [SegmentSummary]

  /// Ordinals of the segments of a directory, ascending.
  public static func ordinals<Files: TapeFiles>(_ files: Files) throws(TapeFileError) -> [UInt64] {
    try files.list().compactMap { TapeLayout.ordinal(fileName: $0) }.sorted()
  }

  /// - Throws: when the directory cannot be read. What is wrong with a segment stands in its summary.
  public init<Files: TapeFiles>(_ files: Files) throws(TapeFileError) {
    var found: [SegmentSummary] = []
    for ordinal in try Self.ordinals(files) { found.append(Self.summary(files, ordinal)) }
    segments = found
  }

  private static func summary<Files: TapeFiles>(_ files: Files, _ ordinal: UInt64) -> SegmentSummary {
    let name = TapeLayout.fileName(ordinal: ordinal)
    var size: UInt64 = 0
    do throws(TapeFileError) {
      let file = try files.openForReading(name)
      defer { files.close(file) }
      size = try files.size(file, name)
      let bytes = try files.bytes(file, name, at: 0, count: TapeLayout.headerBytes)
      let found: Result<SegmentHeader, HeaderDamage> = bytes.withUnsafeBytes { buffer in
        guard buffer.count == TapeLayout.headerBytes, let base = buffer.baseAddress else {
          return .failure(.tooShort(bytes: UInt64(buffer.count)))
        }
        do throws(HeaderDamage) { return .success(try SegmentHeader(from: base)) } catch {
          return .failure(error)
        }
      }
      guard case .success(let header) = found else {
        if case .failure(let damage) = found {
          return SegmentSummary(
            ordinal: ordinal, bytes: size, header: nil, damage: .header(ordinal: ordinal, damage), seal: nil)
        }
        return SegmentSummary(ordinal: ordinal, bytes: size, header: nil, damage: nil, seal: nil)
      }
      let damage: TapeDamage? =
        header.ordinal == ordinal ? nil : .misnamed(ordinal: ordinal, found: header.ordinal)
      return SegmentSummary(
        ordinal: ordinal, bytes: size, header: header, damage: damage,
        seal: try seal(files, file, name, size))
    } catch {
      return SegmentSummary(
        ordinal: ordinal, bytes: size, header: nil, damage: .unreadable(ordinal: ordinal, error), seal: nil)
    }
  }

  /// The seal at a file's end, if there is one.
  private static func seal<Files: TapeFiles>(
    _ files: Files, _ file: Int32, _ name: String, _ size: UInt64
  ) throws(TapeFileError) -> TapeSeal? {
    let bytes = TapeLayout.sealFrameBytes
    guard size >= UInt64(TapeLayout.headerBytes + bytes) else { return nil }
    let last = try files.bytes(file, name, at: size - UInt64(bytes), count: bytes)
    return last.withUnsafeBytes { buffer in
      guard buffer.count == bytes, let base = buffer.baseAddress,
        base.load(fromByteOffset: 14, as: UInt8.self) == TapeLayout.Kind.seal,
        base.loadUnaligned(fromByteOffset: 12, as: UInt16.self) == UInt16(TapeLayout.sealBytes),
        base.loadUnaligned(fromByteOffset: 8, as: UInt32.self) == TapeLayout.checksum(base, bytes: bytes)
      else { return nil }
      return TapeSeal(payload: UnsafeRawBufferPointer(rebasing: buffer[TapeLayout.frameHeaderBytes...]))
    }
  }
}
