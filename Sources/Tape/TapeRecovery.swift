import Failpoints

/// What a recorder finds when it comes back to its tape.
public struct TapeOpening: Sendable {
  /// Where the tape ends; nil when there is none. All of it is on the disk.
  public var tail: TapeTail?
  /// The segments before the open one.
  public var closed: [(ordinal: UInt64, bytes: UInt64)] = []
  /// Bytes behind the last whole record that were cut off.
  public var cutBytes: UInt64 = 0
  /// Whether whole records lay behind what was cut, so that more is wrong than a record that was being written. What was
  /// cut is kept beside the segment, as `….damaged`.
  public var wasDamaged = false
  /// What was wrong, in words.
  public var findings: [String] = []
}

/// Makes a tape fit to be continued: cuts off what was being written when the recorder died, and closes what another run
/// left open. Each step can be repeated, should this process die as well.
public enum TapeRecovery {
  /// - Parameters:
  ///   - plan: of the run that will be recorded.
  ///   - now: ns since 1970.
  public static func open<Files: TapeFiles>(
    files: Files, plan: SegmentPlan, now: UInt64
  ) throws(TapeFileError) -> TapeOpening {
    var opening = TapeOpening()
    let names = try files.list()
    if names.contains("next.segment") { try files.remove("next.segment") }
    var ordinals = try TapeIndex.ordinals(files)
    while let newest = ordinals.popLast() {
      guard let tail = try reopen(files, newest, &opening) else { continue }
      opening.tail = tail
      break
    }
    for ordinal in ordinals { opening.closed.append((ordinal, try size(files, ordinal))) }
    // The number of a segment that was put aside is not given again.
    if let tail = opening.tail, tail.run != plan.run, !tail.isSealed {
      opening.tail = try close(files, tail, plan, now)
    }
    if let tail = opening.tail, tail.isSealed { opening.closed.append((tail.ordinal, tail.offset)) }
    return opening
  }

  private static func size<Files: TapeFiles>(_ files: Files, _ ordinal: UInt64) throws(TapeFileError)
    -> UInt64
  {
    let name = TapeLayout.fileName(ordinal: ordinal)
    let file = try files.openForReading(name)
    defer { files.close(file) }
    return try files.size(file, name)
  }

  /// Reads the newest segment to its last whole record and cuts off the rest. Nil when it is none: then it was put aside.
  private static func reopen<Files: TapeFiles>(
    _ files: Files, _ ordinal: UInt64, _ opening: inout TapeOpening
  ) throws(TapeFileError) -> TapeTail? {
    let name = TapeLayout.fileName(ordinal: ordinal)
    let scan: SegmentScan<Files>
    do throws(TapeDamage) {
      scan = try SegmentScan(files: files, ordinal: ordinal, isNewest: true)
    } catch {
      if case .unreadable(_, let failure) = error { throw failure }
      opening.findings.append("\(error); put aside as \(name).damaged")
      opening.wasDamaged = true
      try files.rename(name, to: name + ".damaged")
      try files.synchronizeDirectory()
      return nil
    }
    var tail = scan.tail
    var damage: TapeDamage?
    do throws(TapeDamage) {
      while try scan.next() != nil { tail = scan.tail }
      tail = scan.tail
    } catch {
      if case .unreadable(_, let failure) = error { throw failure }
      damage = error
    }
    if damage == nil, tail.isSealed {
      return tail
    }
    tail.isSealed = false
    let file = try files.openForWriting(name)
    defer { files.close(file) }
    let bytes = try files.size(file, name)
    if bytes > tail.offset {
      opening.cutBytes = bytes - tail.offset
      if let damage {
        opening.wasDamaged = true
        opening.findings.append("\(damage); cut there, the rest is kept as \(name).damaged")
        try keep(files, file, name, from: tail.offset, to: bytes)
      }
      failpoint(66)  // the tape's end is found, the rest not cut off
      try files.truncate(file, name, to: tail.offset)
    }
    failpoint(67)  // cut off, not synchronised
    // What is there may be in the memory of this machine only.
    try files.synchronize(file, name)
    return tail
  }

  /// Copies what is about to be cut off into a file of its own.
  private static func keep<Files: TapeFiles>(
    _ files: Files, _ file: Int32, _ name: String, from start: UInt64, to end: UInt64
  ) throws(TapeFileError) {
    let aside = name + ".damaged"
    let copy = try files.create(aside)
    defer { files.close(copy) }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    defer { buffer.deallocate() }
    var offset = start
    while offset < end {
      let count = try files.read(file, name, into: buffer, at: offset)
      if count == 0 { break }
      var done = 0
      while done < count {
        done += try files.write(
          copy, aside, UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[done..<count]),
          at: offset - start + UInt64(done))
      }
      offset += UInt64(count)
    }
    try files.synchronize(copy, aside)
  }

  /// Seals what another run left open.
  private static func close<Files: TapeFiles>(
    _ files: Files, _ tail: TapeTail, _ plan: SegmentPlan, _ now: UInt64
  ) throws(TapeFileError) -> TapeTail? {
    var former = plan
    former.run = tail.run
    var encoder = TapeEncoder(plan: former, tail: tail)
    encoder.now = now
    encoder.open(TapeChunk(capacity: TapeChunk.capacityMinimum))
    encoder.seal(.closedBySuccessor)
    guard let chunk = encoder.close() else { return tail }
    var appender = TapeAppender(
      files: files, segmentBytes: plan.segmentBytes, retention: TapeRetention(bytes: 0, segments: 0),
      tail: tail,
      closed: [])
    try appender.append(chunk)
    return appender.durable
  }
}
