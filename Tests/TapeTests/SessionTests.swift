import Glibc
import StageRecords
import XCTest

@testable import Tape

extension TestStream {
  /// The messages `first`...`last` of a session, as a run has them that took it up there.
  init(
    session: String = "SESSION000", from first: UInt64, through last: UInt64, mark: UInt8, ends: Bool = false
  ) {
    self.init(seed: 0, messages: 0, sessions: 0)
    let identifier = Array(session.utf8) + [0, 0, 0, 0, 0, 0]
    var position: UInt64 = 1
    records = [
      TestRecord(
        kind: MergedRecord.Kind.sessionStart, payload: TestRecord.words(first) + identifier, ringPosition: 1)
    ]
    for sequence in first...last {
      position += 1
      let payload = TestRecord.words(sequence, 7) + [mark, UInt8(truncatingIfNeeded: sequence)]
      records.append(
        TestRecord(kind: MergedRecord.Kind.message, payload: payload, ringPosition: position))
    }
    if ends {
      let payload = TestRecord.words(last + 1) + identifier
      records.append(
        TestRecord(kind: MergedRecord.Kind.endOfSession, payload: payload, ringPosition: position + 1))
    }
  }
}

/// A session that several runs recorded one after the other, and where a set without rings takes it up.
final class SessionTests: XCTestCase {
  private func record(_ files: MemoryTapeFiles, _ run: UInt64, _ stream: TestStream) throws {
    var recorder = try TestRecorder(files, stream, plan: TestRecorder.plan(run: run))
    try recorder.record(perSegment: 40)
  }

  /// Sequence numbers from `start` on, and the run that each was read from.
  private func read(_ files: MemoryTapeFiles, from start: UInt64) throws -> [(UInt64, UInt8)] {
    let recording = try XCTUnwrap(SessionRecording.newest(files))
    var reader = try SessionReader(files: files, recording: recording, from: start)
    var found: [(UInt64, UInt8)] = []
    while let record = try reader.next() {
      guard record.kind == MergedRecord.Kind.message else { continue }
      found.append((record.payload.loadUnaligned(as: UInt64.self), record.payload[16]))
    }
    return found
  }

  private func resumption(_ files: MemoryTapeFiles) throws -> TapeResumption? {
    try TapeResumption.find(files, channel: 1)
  }

  /// Three runs, the second of which took the stream up in front of the first one's end: each number once, from the run whose
  /// stream it was.
  func testASessionOverThreeRuns() throws {
    let files = MemoryTapeFiles()
    try record(files, 7, TestStream(from: 1, through: 100, mark: 1))
    try record(files, 8, TestStream(from: 81, through: 150, mark: 2))
    try record(files, 9, TestStream(from: 151, through: 230, mark: 3))
    let recording = try XCTUnwrap(SessionRecording.newest(files))
    XCTAssertEqual(recording.legs.map(\.run), [7, 8, 9])
    XCTAssertEqual(recording.legs.map(\.first), [1, 81, 151])
    XCTAssertEqual(recording.legs.map(\.end), [81, 151, 231])
    XCTAssertTrue(recording.isWhole)
    for start in [1, 40, 80, 81, 82, 150, 151, 200, 230] as [UInt64] {
      let found = try read(files, from: start)
      XCTAssertEqual(found.map(\.0), Array(start...230), "from \(start)")
      let runs = (start...230).map { $0 < 81 ? UInt8(1) : $0 < 151 ? 2 : 3 }
      XCTAssertEqual(found.map(\.1), runs, "from \(start)")
    }
    // What the first run had beyond the place where the second went on is of a stream that was not continued.
    XCTAssertTrue(recording.holds(SnapshotName(run: 7, nextSequence: 81)))
    XCTAssertFalse(recording.holds(SnapshotName(run: 7, nextSequence: 82)))
    XCTAssertTrue(recording.holds(SnapshotName(run: 8, nextSequence: 151)))
    XCTAssertFalse(recording.holds(SnapshotName(run: 9, nextSequence: 150)))
    XCTAssertEqual(try resumption(files)?.next, 231)
  }

  /// A set that was brought up and saw nothing of its session is no break; another session is, and so is a run that begins
  /// behind the one before.
  func testWhatTheLegsAre() throws {
    let files = MemoryTapeFiles()
    try record(files, 7, TestStream(from: 1, through: 50, mark: 1))
    var header = TestStream(from: 1, through: 1, mark: 9)
    header.records = []
    try record(files, 8, header)
    try record(files, 9, TestStream(from: 51, through: 60, mark: 2))
    XCTAssertEqual(try SessionRecording.newest(files)?.legs.map(\.run), [7, 9])
    try record(files, 10, TestStream(from: 70, through: 75, mark: 3))
    let behind = try XCTUnwrap(SessionRecording.newest(files))
    XCTAssertEqual(behind.legs.map(\.run), [10])
    XCTAssertFalse(behind.isWhole)
    XCTAssertNil(try resumption(files), "no snapshot, and no beginning")
    files.put(SnapshotName(run: 10, nextSequence: 72).fileName, [])
    XCTAssertEqual(try resumption(files)?.next, 76)
    try record(files, 11, TestStream(session: "SESSION001", from: 1, through: 5, mark: 4))
    let other = try XCTUnwrap(SessionRecording.newest(files))
    XCTAssertEqual(other.legs.map(\.run), [11])
    XCTAssertEqual(other.session, TapeSession(from: Array("SESSION001".utf8)))
    XCTAssertEqual(try resumption(files)?.next, 6)
  }

  /// A session that is over is not taken up, nor another channel's, nor nothing.
  func testNothingToTakeUp() throws {
    let files = MemoryTapeFiles()
    XCTAssertNil(try resumption(files))
    try record(files, 7, TestStream(from: 1, through: 50, mark: 1, ends: true))
    XCTAssertEqual(try SessionRecording.newest(files)?.hasEnded, true)
    XCTAssertNil(try resumption(files))
    let running = MemoryTapeFiles()
    try record(running, 7, TestStream(from: 1, through: 50, mark: 1))
    XCTAssertNotNil(try resumption(running))
    XCTAssertNil(try TapeResumption.find(running, channel: 2))
  }

  /// Each bit of a record in the midst: the stream is taken up there, or behind the snapshot that lies behind it, and never
  /// behind anything that is not right.
  func testDamage() throws {
    let whole = MemoryTapeFiles()
    try record(whole, 7, TestStream(from: 1, through: 100, mark: 1))
    let name = TapeLayout.fileName(ordinal: 2)
    let clean = whole.node(name)
    let frame = TapeLayout.frameBytes(payload: 18)
    // The segment's records are 40, 41, …
    let place = TapeLayout.headerBytes + 10 * frame
    for byte in 0..<frame {
      let files = whole.copy()
      var bytes = clean
      bytes[place + byte] ^= 0x10
      files.put(name, bytes)
      let found = try XCTUnwrap(resumption(files), "byte \(byte)")
      XCTAssertEqual(found.next, 50, "byte \(byte)")
      XCTAssertNotNil(found.problem, "byte \(byte)")
      files.put(SnapshotName(run: 7, nextSequence: 60).fileName, [])
      XCTAssertEqual(try resumption(files)?.next, 101, "byte \(byte), with a snapshot behind it")
    }
  }

  /// A hole: what lies behind it was never recorded, and no books can be made across it.
  func testAHole() throws {
    let files = MemoryTapeFiles()
    let stream = TestStream(from: 1, through: 100, mark: 1)
    var recorder = try TestRecorder(files, stream)
    try recorder.record(upTo: 31)
    recorder.next = 51
    recorder.encoder.noteLap(from: 31, to: 51, reason: .lapped)
    try recorder.record()
    let found = try XCTUnwrap(resumption(files))
    XCTAssertEqual(found.next, 31)
    XCTAssertNotNil(found.problem)
    files.put(SnapshotName(run: 7, nextSequence: 70).fileName, [])
    XCTAssertEqual(try resumption(files)?.next, 101)
  }

  /// Cut at every length, as deaths leave it: the last whole record is the end.
  func testATornTail() throws {
    let whole = MemoryTapeFiles()
    try record(whole, 7, TestStream(from: 1, through: 30, mark: 1))
    let name = TapeLayout.fileName(ordinal: 1)
    let bytes = whole.node(name)
    let start = TapeLayout.headerBytes + TapeLayout.frameBytes(payload: MergedRecord.sessionBytes)
    let frame = TapeLayout.frameBytes(payload: 18)
    for length in TapeLayout.headerBytes...bytes.count {
      let files = whole.copy()
      files.put(name, Array(bytes.prefix(length)))
      let messages = max(0, length - start) / frame
      let found = try resumption(files)
      XCTAssertEqual(found?.next ?? 1, UInt64(messages) + 1, "cut at \(length)")
      XCTAssertNil(found?.problem, "cut at \(length)")
    }
  }

  /// The next run's recorder begins while others look what there is to go on from: at whatever moment its first records come, the
  /// run before is found.
  func testARunThatBeginsMeanwhile() throws {
    let before = MemoryTapeFiles()
    try record(before, 7, TestStream(from: 1, through: 100, mark: 1))
    let after = before.copy()
    try record(after, 8, TestStream(from: 101, through: 110, mark: 2))
    let name = try XCTUnwrap(after.names.keys.max())
    XCTAssertNil(before.names[name])
    for beginning in [0, 100, TapeLayout.headerBytes] {
      var operation = 0
      var wasEarly = true
      while wasEarly {
        operation += 1
        let files = before.copy()
        files.put(name, Array(after.node(name).prefix(beginning)))
        let node = try XCTUnwrap(files.names[name])
        wasEarly = false
        files.fault = { number, _ in
          if number == operation {
            node.bytes = after.node(name)
            wasEarly = true
          }
          return nil
        }
        let found = try SessionRecording.newest(files)
        let note = "after \(beginning) bytes, before operation \(operation)"
        let runs = found?.legs.map(\.run) ?? []
        XCTAssertTrue(runs == [7] || runs == [7, 8], "\(note): \(runs)")
        XCTAssertEqual(found?.legs.first?.end, 101, note)
        XCTAssertEqual(found?.isWhole, true, note)
      }
      XCTAssertGreaterThan(operation, 10, "operations were counted")
    }
  }

  // MARK: Images of the venue

  /// Messages 1 to 10, an image in the place of 11 to 20, messages 21 to 30, the session's end.
  private func streamWithImage() -> TestStream {
    var stream = TestStream(from: 1, through: 10, mark: 1)
    func add(_ kind: UInt8, _ payload: [UInt8]) {
      let position = stream.records[stream.records.count - 1].ringPosition + 1
      stream.records.append(TestRecord(kind: kind, payload: payload, ringPosition: position))
    }
    add(MergedRecord.Kind.imageStart, TestRecord.words(11, 15))
    for number in 1...3 as ClosedRange<UInt64> {
      add(MergedRecord.Kind.image, TestRecord.words(11, number) + [0x41])
    }
    add(MergedRecord.Kind.imageEnd, TestRecord.words(11, 20, 3))
    for sequence in 21...30 as ClosedRange<UInt64> {
      add(MergedRecord.Kind.message, TestRecord.words(sequence, 7) + [1, UInt8(sequence)])
    }
    return stream
  }

  /// Whoever goes on at the number with which an image begins gets all of it: its first records take no number.
  func testAnImageIsReadFromItsBeginning() throws {
    for perSegment in 1...16 {
      let files = MemoryTapeFiles()
      var recorder = try TestRecorder(files, streamWithImage())
      try recorder.record(each: 2, perSegment: perSegment)
      let note = "\(perSegment) records in a segment"
      let kinds = try Reading(files, start: .sequence(11)).records.map(\.kind)
      let image = [
        MergedRecord.Kind.imageStart, MergedRecord.Kind.image, MergedRecord.Kind.image,
        MergedRecord.Kind.image, MergedRecord.Kind.imageEnd,
      ]
      XCTAssertEqual(Array(kinds.prefix(6)), image + [MergedRecord.Kind.message], note)
      XCTAssertEqual(kinds.count, 15, note)
      let recording = try XCTUnwrap(SessionRecording.newest(files))
      var reader = try SessionReader(files: files, recording: recording, from: 11)
      var found: [UInt8] = []
      while let record = try reader.next() {
        if record.kind != MergedRecord.Kind.sessionStart { found.append(record.kind) }
      }
      XCTAssertEqual(found, kinds, note)
      XCTAssertEqual(try Reading(files, start: .sequence(10)).records.first?.payload[0], 10, note)
      XCTAssertEqual(try Reading(files, start: .sequence(21)).records.first?.payload[0], 21, note)
    }
  }

  /// A stream is taken up behind an image as behind messages; one that was not whole stands for nothing.
  func testTakingUpBehindAnImage() throws {
    let stream = streamWithImage()
    for count in 12...stream.records.count {
      let files = MemoryTapeFiles()
      var recorder = try TestRecorder(files, stream)
      try recorder.record(upTo: count)
      let next: UInt64 = count < 16 ? 11 : 21 + UInt64(count - 16)
      let found = try XCTUnwrap(resumption(files), "\(count) records")
      XCTAssertEqual(found.next, next, "\(count) records")
      XCTAssertNil(found.problem, "\(count) records")
    }
  }

  /// The end of the session is found by whoever has everything in front of it.
  func testTheEndIsReadFromItsOwnNumber() throws {
    let files = MemoryTapeFiles()
    try record(files, 7, TestStream(from: 1, through: 50, mark: 1, ends: true))
    let kinds = try Reading(files, start: .sequence(51)).records.map(\.kind)
    XCTAssertEqual(kinds, [MergedRecord.Kind.endOfSession])
  }
}
