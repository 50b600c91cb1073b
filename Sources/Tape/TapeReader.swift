import StageRecords

/// Where to begin to read a tape.
public enum TapeStart: Equatable, Sendable {
  /// At the oldest segment that is kept.
  case oldest
  /// At the beginning of the newest run.
  case newestRun
  /// At the record of the newest run that holds this sequence number, or the next one there is.
  case sequence(UInt64)
  /// At the beginning of a segment.
  case segment(UInt64)
}

/// Reads a tape from any place to its end, across segments, checking everything that can be checked.
///
/// ```swift
/// var reader = try TapeReader(files: SystemTapeFiles(directory: path), start: .sequence(1_000_000))
/// while let record = try reader.next() { … }       // throws the damage that it meets; called again, it goes on behind it
/// ```
public struct TapeReader<Files: TapeFiles>: ~Copyable {
  private let files: Files
  private var ordinals: ArraySlice<UInt64>
  private var scan: SegmentScan<Files>?
  /// The last segment that was opened, read or not, and the chain at its end; nil when that is not known.
  private var previous: (ordinal: UInt64, chain: UInt64?)?
  /// Damage that was found while a segment was opened; the segment itself is read after it was thrown.
  private var pending: [TapeDamage] = []
  /// Records before it are passed over.
  private var skipBelow: UInt64 = 0

  /// - Throws: when the directory cannot be read.
  public init(files: Files, start: TapeStart) throws(TapeFileError) {
    self.files = files
    let index = try TapeIndex(files)
    let all = index.segments
    var first = 0
    let newestRun = all.last { $0.header != nil }?.header?.run
    let runStart = (all.lastIndex { $0.header != nil && $0.header?.run != newestRun } ?? -1) + 1
    switch start {
    case .oldest: break
    case .newestRun: first = min(runStart, max(0, all.count - 1))
    case .segment(let ordinal): first = all.firstIndex { $0.ordinal >= ordinal } ?? all.count
    case .sequence(let sequence):
      // A session that began anew within the run lowers the numbers: the last segment that starts low enough.
      let candidates = all.indices.dropFirst(min(runStart, all.count))
      first =
        candidates.last { all[$0].header.map { $0.firstSequence <= sequence } ?? false } ?? candidates.first
        ?? all.count
      first = Self.beginning(of: sequence, from: first, all, downTo: runStart)
      skipBelow = sequence
    }
    ordinals = all.map(\.ordinal)[first...]
  }

  /// What the segment being read says of itself.
  public var header: SegmentHeader? { scan?.header }
  /// The sequence number that is due behind what was read.
  public private(set) var nextSequence: UInt64 = 1
  /// The session of what was read last.
  public private(set) var session: TapeSession = .none
  /// How the segment that was read to its end last ended.
  public private(set) var lastEnd: SegmentEnd?
  /// Where what was read ends.
  public private(set) var tail: TapeTail?

  /// The next record; nil at the end of the tape as it is now.
  public mutating func next() throws(TapeDamage) -> TapeRecord? {
    while true {
      if !pending.isEmpty { throw pending.removeFirst() }
      guard let scan else {
        guard let ordinal = ordinals.popFirst() else { return nil }
        open(ordinal)
        continue
      }
      defer { note(scan) }
      if let found = try scan.next() {
        if skipBelow > 0 {
          note(scan)
          guard isWanted(found) else { continue }
          skipBelow = 0
        }
        return found
      }
      lastEnd = scan.end
      if ordinals.isEmpty { return nil }
      if case .sealed = scan.end {
        previous = (scan.header.ordinal, scan.chain)
      } else {
        previous = (scan.header.ordinal, nil)
      }
      self.scan = nil
    }
  }

  /// Back to the segment in which a number's first record may lie: an image has many that take no number, and segments that
  /// begin among them begin with its number.
  static func beginning(
    of sequence: UInt64, from place: Int, _ all: [SegmentSummary], downTo first: Int
  ) -> Int {
    var place = place
    while place > first, place < all.count, let header = all[place].header,
      header.firstSequence == sequence, all[place - 1].header?.session == header.session
    {
      place -= 1
    }
    return place
  }

  private func isWanted(_ record: TapeRecord) -> Bool {
    // A range that reaches the number is wanted as a whole, and so is what stands in front of it without a number of its own: the
    // beginning of an image, the end of the session.
    switch record.kind {
    case MergedRecord.Kind.message, MergedRecord.Kind.gap, MergedRecord.Kind.imageEnd,
      MergedRecord.Kind.sessionStart:
      nextSequence > skipBelow
    default: nextSequence >= skipBelow
    }
  }

  private mutating func note(_ scan: SegmentScan<Files>) {
    nextSequence = scan.nextSequence
    session = scan.session
    tail = scan.tail
  }

  private mutating func open(_ ordinal: UInt64) {
    if let previous, ordinal > previous.ordinal &+ 1 {
      pending.append(.missingSegments(first: previous.ordinal &+ 1, last: ordinal &- 1))
    }
    let before = previous
    previous = (ordinal, nil)
    do throws(TapeDamage) {
      let opened = try SegmentScan(files: files, ordinal: ordinal, isNewest: ordinals.isEmpty)
      if let before, before.ordinal &+ 1 == ordinal, let chain = before.chain,
        opened.header.predecessorChain != chain
      {
        pending.append(.foreign(ordinal: ordinal))
      }
      note(opened)
      scan = opened
    } catch {
      pending.append(error)
    }
  }

  /// Looks for what has come onto the tape since ``next()`` returned nil. True when it is worth another try.
  public mutating func refresh() throws(TapeDamage) -> Bool {
    var isOpen = true
    if case .sealed = scan?.end { isOpen = false }
    // As long as the segment is open, nothing else comes.
    if let scan, isOpen { return try scan.refresh() }
    let last = previousOrdinal
    do throws(TapeFileError) {
      let found = try TapeIndex.ordinals(files)
      if let last { ordinals = found.filter { $0 > last }[...] } else { ordinals = found[...] }
    } catch {
      throw .unreadable(ordinal: last ?? 0, error)
    }
    return !ordinals.isEmpty
  }

  private var previousOrdinal: UInt64? { header?.ordinal ?? previous?.ordinal }
}
