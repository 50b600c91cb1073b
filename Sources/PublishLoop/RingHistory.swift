import CLinux
import PublishWire
import ShmRing
import StageRecords
import StageRuntime

/// What the book ring still holds of the stream, found by sequence number. Notes every now and then at which position a
/// message begins, as the stage reads; a reader starts at the note before its place.
final class RingHistory: HistorySource {
  /// Where a message begins.
  struct Note {
    var first: StreamPlace
    var position: UInt64
  }

  private let path: String
  // Touched for every event; one thread, and what events are handed to does not come back here.
  @exclusivity(unchecked) private var observer: RingObserver?
  private let buffer: UnsafeMutableRawPointer
  private let bufferBytes: Int
  /// Notes in order, the oldest at ``head``.
  private var notes: [Note]
  private var head = 0
  private var count = 0
  private let spacing: UInt64
  private var nextNote: UInt64 = 0
  /// The number with which the ring's stream begins; 0 or 1: with the session.
  var origin: UInt64 = 0
  /// What reaches back further; nil without a recorder.
  var tape: TapeHistory?
  /// Where the stage stands: everything in front of it has been published.
  @exclusivity(unchecked) var presentPosition: UInt64 = 0

  private static let capacity = 8192

  /// - Parameters:
  ///   - path: of the ring file.
  ///   - cells: the ring's size.
  ///   - recordBytes: its longest record.
  init(path: String, cells: Int, recordBytes: Int) {
    self.path = path
    spacing = UInt64(max(64, cells / (Self.capacity / 2)))
    notes = [Note](repeating: Note(first: StreamPlace(sequence: 0), position: 0), count: Self.capacity)
    bufferBytes = recordBytes + 64
    buffer = .allocate(byteCount: bufferBytes, alignment: 64)
    attach()
  }

  deinit { buffer.deallocate() }

  private func attach() {
    observer = nil
    guard let found = try? RingObserver.attach(path: path), found.bufferBytes <= bufferBytes else { return }
    observer = consume found
  }

  /// A message begins.
  /// - Parameter position: the ring's, as it was before its first event was read.
  @inline(__always)
  func note(_ header: BookEventHeader, at position: UInt64) {
    if position >= nextNote { add(header, position) }
  }

  @inline(never)
  private func add(_ header: BookEventHeader, _ position: UInt64) {
    nextNote = position &+ spacing
    if count == Self.capacity {
      head = (head + 1) % Self.capacity
      count -= 1
    }
    notes[(head + count) % Self.capacity] = Note(
      first: StreamPlace(sequence: header.sequence, index: header.index), position: position)
    count += 1
  }

  /// Notes where the ring's segments begin, for a stage that does not read them all. A segment begins with a record, and
  /// there are few.
  /// Where there are notes of what the ring still holds, that is enough.
  func noteRetained() {
    dropOld()
    guard count == 0, let segment = observer?.identity.geometry.segmentCells,
      let end = observer?.publishedPosition
    else { return }
    var position = observer?.oldestRetained ?? end
    while position < end {
      observer?.seek(to: position)
      if case .record(_, let bytes) = observer?.poll(into: buffer), bytes >= BookEventHeader.bytes {
        note(BookEventHeader(from: buffer), at: position)
      }
      position = (position | (UInt64(segment) &- 1)) &+ 1
    }
  }

  /// Drops the notes of what the ring does not hold any more.
  private func dropOld() {
    guard let oldest = observer?.oldestRetained else {
      count = 0
      return
    }
    while count > 0, notes[head].position < oldest {
      head = (head + 1) % Self.capacity
      count -= 1
    }
  }

  var oldest: UInt64? {
    let onRing = oldestOnRing
    guard let onTape = tape?.oldest(now: bulkhead_monotonic_nanoseconds()) else { return onRing }
    return min(onTape, onRing ?? onTape)
  }

  /// The oldest message behind which the ring has everything, as far as was noted; nil when nothing was.
  var oldestOnRing: UInt64? {
    dropOld()
    guard count > 0 else { return nil }
    let note = notes[head]
    if note.position == 0 { return origin > 0 ? origin - 1 : 0 }
    return note.first.index == 0 ? note.first.sequence &- 1 : note.first.sequence
  }

  func reader(after place: StreamPlace) -> (any HistoryReader)? {
    if let tape { return DeepHistoryReader(ring: self, tape: tape, after: place) }
    return position(for: place).map { RingHistoryReader(self, position: $0, after: place) }
  }

  /// Where to begin to read what comes behind a place; nil when the ring does not hold all of it.
  func position(for place: StreamPlace) -> UInt64? {
    guard let oldest = oldestOnRing, place.sequence >= oldest else { return nil }
    // The last note whose message is not behind the place.
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      if notes[(head + middle) % Self.capacity].first <= place { low = middle + 1 } else { high = middle }
    }
    return notes[(head + max(0, low - 1)) % Self.capacity].position
  }

  /// Hands out events from a position on, those up to `after` left out.
  func read(
    from position: inout UInt64, after: inout StreamPlace, bytes: Int,
    _ body: (UInt8, UnsafeRawBufferPointer) -> Void
  ) -> HistoryStep {
    guard observer != nil else { return .lost }
    observer?.seek(to: position)
    var left = bytes
    while left > 0 {
      // Not what the stage itself has yet to read: that comes live.
      guard position < presentPosition else { return .present }
      switch observer?.poll(into: buffer) {
      case .record(let kind, let count):
        position = observer?.nextPosition ?? position
        left -= count
        guard count >= BookEventHeader.bytes else { continue }
        let header = BookEventHeader(from: buffer)
        let place = StreamPlace(sequence: header.sequence, index: header.index)
        guard after < place else { continue }
        after = place
        body(kind, UnsafeRawBufferPointer(start: buffer, count: count))
      case .empty: return .waiting
      case .halted:
        // Another file has taken the ring's place, with the same positions.
        attach()
        return observer == nil ? .lost : .waiting
      case .lapped, nil: return .lost
      }
    }
    return .more
  }
}

/// Reads the ring's retention from a place up to where the stage stands.
final class RingHistoryReader: HistoryReader {
  private let history: RingHistory
  private var position: UInt64
  private var after: StreamPlace

  init(_ history: RingHistory, position: UInt64, after: StreamPlace) {
    self.history = history
    self.position = position
    self.after = after
  }

  func read(bytes: Int, _ body: (UInt8, UnsafeRawBufferPointer) -> Void) -> HistoryStep {
    history.read(from: &position, after: &after, bytes: bytes, body)
  }
}
