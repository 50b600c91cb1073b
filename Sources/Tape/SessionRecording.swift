import StageRecords

/// Where the newest session of a tape lies, and how far it goes. Several runs may have recorded it, one after the other: a
/// set that lost its rings takes the stream up where its tape ends, and records on as another run.
public struct SessionRecording: Equatable, Sendable {
  /// What one run has of the session.
  public struct Leg: Equatable, Sendable {
    public let run: UInt64
    /// Ordinals, oldest first; at least one.
    public let segments: [UInt64]
    /// The number with which it begins.
    public let first: UInt64
    /// The number that is due behind it. What the run has beyond that was taken back by the next one.
    public let end: UInt64
  }

  public let session: TapeSession
  public let channel: UInt8
  /// Oldest first; at least one, each beginning where the one before ends.
  public let legs: [Leg]
  /// The end of the session is on the tape.
  public let hasEnded: Bool

  /// Whether the tape reaches back to the session's first message.
  public var isWhole: Bool { legs[0].first == 1 }
  /// The number that is due behind the tape, if all of it is right.
  public var next: UInt64 { legs[legs.count - 1].end }

  /// Whether a snapshot is one of this session as these legs tell it. One that is ahead of its run's tape, or of the place
  /// at which the next run took the stream up, is of a stream that was not continued.
  public func holds(_ snapshot: SnapshotName) -> Bool {
    legs.contains {
      $0.run == snapshot.run && $0.first <= snapshot.nextSequence && snapshot.nextSequence <= $0.end
    }
  }

  /// The newest session of a tape; nil when there is none, or its end cannot be read.
  public static func newest<Files: TapeFiles>(_ files: Files) throws(TapeFileError) -> SessionRecording? {
    var rest = try TapeIndex(files).segments.filter { $0.header != nil }[...]
    var legs: [Leg] = []
    var newest: Stretch?
    runs: while let run = rest.last?.header?.run {
      let start = rest.lastIndex { $0.header?.run != run }.map { $0 + 1 } ?? rest.startIndex
      let segments = rest[start...]
      rest = rest[..<start]
      let stretch: Stretch
      switch Stretch.look(files, segments) {
      // A run that has recorded nothing is no break in the session. Its recorder may just begin: one look has to do.
      case .nothing: continue
      case .unreadable: break runs
      case .stretch(let found): stretch = found
      }
      if let newest {
        guard stretch.session == newest.session, let first = legs.first?.first, stretch.next >= first,
          stretch.first < first
        else { break runs }
        legs.insert(Leg(run: run, segments: stretch.segments, first: stretch.first, end: first), at: 0)
      } else {
        newest = stretch
        legs = [Leg(run: run, segments: stretch.segments, first: stretch.first, end: stretch.next)]
      }
      if stretch.first == 1 { break runs }
    }
    guard let newest else { return nil }
    return SessionRecording(
      session: newest.session, channel: newest.channel, legs: legs, hasEnded: newest.hasEnded)
  }

  /// Reads the session from a number on, as far as everything is in its turn.
  /// - Parameter start: where it begins, for instance the number behind a snapshot.
  /// - Returns: the number that is due where it ends, whether the session ends there, and what was in the way if anything was.
  public func follow<Files: TapeFiles>(
    _ files: Files, from start: UInt64
  ) -> (next: UInt64, hasEnded: Bool, problem: String?) {
    var due = start
    do throws(TapeDamage) {
      var reader = try SessionReader(files: files, recording: self, from: start)
      while let record = try reader.next() {
        guard let base = record.payload.baseAddress, record.payload.count >= 16 else {
          return (due, false, "a record of \(record.payload.count) bytes at \(record.place)")
        }
        let first = base.loadUnaligned(as: UInt64.self)
        switch record.kind {
        case MergedRecord.Kind.message, MergedRecord.Kind.gap:
          guard first == due else { return (due, false, "sequence \(first) follows where \(due) is due") }
          due = TapeEncoder.numberAfter(record.kind, record.payload) ?? due
        case MergedRecord.Kind.imageStart, MergedRecord.Kind.image, MergedRecord.Kind.imageEnd:
          // Below: one that was given up when its messages came.
          guard first <= due else {
            return (due, false, "an image for sequence \(first) where \(due) is due")
          }
          if first == due { due = TapeEncoder.numberAfter(record.kind, record.payload) ?? due }
        case MergedRecord.Kind.recoveryStart, MergedRecord.Kind.recovery, MergedRecord.Kind.recoveryEnd:
          guard first <= due else {
            return (due, false, "a recovery before sequence \(first) where \(due) is due")
          }
        case MergedRecord.Kind.endOfSession: return (due, first == due, nil)
        case MergedRecord.Kind.sessionStart: break
        default: return (due, false, "no message behind sequence \(due &- 1): \(record.place)")
        }
      }
      return (due, false, nil)
    } catch {
      return (due, false, "\(error)")
    }
  }
}

/// The segments of one run that hold the session with which it ends.
private struct Stretch {
  let segments: [UInt64]
  let session: TapeSession
  let channel: UInt8
  let first: UInt64
  let next: UInt64
  let hasEnded: Bool

  /// What a run has of the session with which it ends.
  enum Look {
    case stretch(Stretch)
    /// No record.
    case nothing
    /// It cannot be read, or does not say of which session it is.
    case unreadable
  }

  /// - Parameter run: segments of one run, oldest first; all have headers.
  static func look<Files: TapeFiles>(_ files: Files, _ run: ArraySlice<SegmentSummary>) -> Look {
    guard let last = run.last, let header = last.header,
      let scan = try? SegmentScan(files: files, ordinal: last.ordinal, isNewest: true)
    else { return .unreadable }
    var ends = false
    // To the first thing that is not right: there a recorder that comes back would go on.
    do throws(TapeDamage) {
      while let record = try scan.next() { ends = record.kind == MergedRecord.Kind.endOfSession }
    } catch {
      if case .unreadable = error { return .unreadable }
    }
    // Where nothing is behind it, a header alone says nothing: the session's first number comes with its first record.
    if scan.frames == 0, isEmpty(files, run.dropLast()) { return .nothing }
    guard scan.session != .none, let stretch = Stretch(files, run, scan, header.channel, ends) else {
      return .unreadable
    }
    return .stretch(stretch)
  }

  private init?<Files: TapeFiles>(
    _ files: Files, _ run: ArraySlice<SegmentSummary>, _ scan: SegmentScan<Files>, _ channel: UInt8,
    _ ends: Bool
  ) {
    session = scan.session
    self.channel = channel
    next = scan.nextSequence
    hasEnded = ends
    // The first segment of a run is begun before its session is known.
    var own = run.suffix(
      from: run.lastIndex { $0.header?.session != scan.session }.map { $0 + 1 } ?? run.startIndex)
    var first = own.first?.header?.firstSequence
    if own.startIndex > run.startIndex, own.startIndex - 1 == run.startIndex,
      let number = Self.start(of: session, files, run[run.startIndex].ordinal)
    {
      own = run
      first = number
    } else if let oldest = own.first, let number = Self.start(of: session, files, oldest.ordinal) {
      first = number
    }
    guard let first, !own.isEmpty else { return nil }
    self.first = first
    segments = own.map(\.ordinal)
  }

  /// The number with which a session begins, where that is the first thing in a segment.
  private static func start<Files: TapeFiles>(
    of session: TapeSession, _ files: Files, _ ordinal: UInt64
  ) -> UInt64? {
    guard let scan = try? SegmentScan(files: files, ordinal: ordinal, isNewest: true),
      let record = try? scan.next(), record.kind == MergedRecord.Kind.sessionStart, scan.session == session
    else { return nil }
    return scan.nextSequence
  }

  static func isEmpty<Files: TapeFiles>(_ files: Files, _ run: ArraySlice<SegmentSummary>) -> Bool {
    run.allSatisfy { segment in
      guard let scan = try? SegmentScan(files: files, ordinal: segment.ordinal, isNewest: true) else {
        return false
      }
      return (try? scan.next()) == nil && scan.frames == 0
    }
  }
}

/// Reads a session from any of its numbers to its end on the tape, over all runs that recorded it.
public struct SessionReader<Files: TapeFiles>: ~Copyable {
  private let files: Files
  private let session: TapeSession
  private var leg: SessionRecording.Leg
  private var rest: ArraySlice<SessionRecording.Leg>
  private var reader: TapeReader<Files>
  private let start: UInt64

  /// - Throws: when the directory cannot be read.
  public init(files: Files, recording: SessionRecording, from start: UInt64) throws(TapeDamage) {
    self.files = files
    self.start = start
    session = recording.session
    var legs = recording.legs[...]
    while legs.count > 1, let first = legs.first, first.end <= start { legs.removeFirst() }
    leg = legs.removeFirst()
    rest = legs
    reader = try Self.reader(files, leg, from: start)
  }

  private static func reader(
    _ files: Files, _ leg: SessionRecording.Leg, from start: UInt64
  ) throws(TapeDamage) -> TapeReader<Files> {
    do throws(TapeFileError) {
      let numbers = Dictionary(
        try TapeIndex(files).segments.map { ($0.ordinal, $0.header?.firstSequence ?? .max) },
        uniquingKeysWith: { first, _ in first })
      // A segment that begins with the number may begin in the midst of an image that takes its place.
      let from = leg.segments.dropFirst().last { (numbers[$0] ?? .max) < start } ?? leg.segments[0]
      return try TapeReader(files: files, start: .segment(from))
    } catch {
      throw .unreadable(ordinal: leg.segments[0], error)
    }
  }

  /// The number that is due behind what was read.
  public var nextSequence: UInt64 { reader.nextSequence }

  /// The next record whose number is not below the first one that was asked for; nil at the end.
  public mutating func next() throws(TapeDamage) -> TapeRecord? {
    while true {
      let found: TapeRecord?
      do throws(TapeDamage) { found = try reader.next() } catch {
        // What is wrong in front of the start does not matter here.
        if case .unreadable = error { throw error }
        guard reader.nextSequence < start else { throw error }
        continue
      }
      guard let record = found, reader.header?.run == leg.run, reader.session == session,
        rest.isEmpty || reader.nextSequence <= leg.end
      else {
        guard let following = rest.popFirst() else { return nil }
        leg = following
        reader = try Self.reader(files, leg, from: leg.first)
        continue
      }
      let isStart = record.kind == MergedRecord.Kind.sessionStart
      guard isStart || reader.nextSequence > start || isBeyond(record) else { continue }
      return record
    }
  }

  /// The end of the session, and an image up to its end, stand at a number that they do not take.
  private func isBeyond(_ record: TapeRecord) -> Bool {
    switch record.kind {
    case MergedRecord.Kind.message, MergedRecord.Kind.gap, MergedRecord.Kind.imageEnd, TapeLayout.Kind.hole:
      false
    default: reader.nextSequence >= start
    }
  }
}

/// Where a set that has lost its rings takes its stream up again.
public struct TapeResumption: Equatable, Sendable {
  /// The session of which that is true. In any other the stream begins at 1.
  public let session: TapeSession
  /// The first message that the tape does not have.
  public let next: UInt64
  /// What was found behind it, if it is not just the tape's end.
  public let problem: String?

  /// The end of what can be relied upon of a tape's newest session: from its newest snapshot on, or from its first message,
  /// every record is there and right. Nil when there is no such session, when it is over, or when neither a snapshot nor the
  /// tape has its beginning, so that no books could be made from it.
  public static func find<Files: TapeFiles>(
    _ files: Files, channel: UInt8
  ) throws(TapeFileError) -> TapeResumption? {
    guard let recording = try SessionRecording.newest(files), recording.channel == channel,
      !recording.hasEnded
    else { return nil }
    let snapshot = try SnapshotStore(files: files).list().last { recording.holds($0) }
    guard let start = snapshot?.nextSequence ?? (recording.isWhole ? 1 : nil) else { return nil }
    let found = recording.follow(files, from: start)
    guard !found.hasEnded, found.next > 1 else { return nil }
    return TapeResumption(session: recording.session, next: found.next, problem: found.problem)
  }
}
