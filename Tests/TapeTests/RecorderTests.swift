import Glibc
import StageRecords
import XCTest

@testable import Tape

/// The recorder's files through deaths, full disks and losses of power.
final class RecorderTests: XCTestCase {
  private let stream = TestStream(seed: 11, messages: 60)

  private func reference(perSegment: Int) throws -> MemoryTapeFiles {
    let files = MemoryTapeFiles()
    var recorder = try TestRecorder(files, stream)
    try recorder.record(perSegment: perSegment)
    return files
  }

  private func expectSame(_ files: MemoryTapeFiles, _ wanted: MemoryTapeFiles, _ remark: String) {
    XCTAssertEqual(files.names.keys.sorted(), wanted.names.keys.sorted(), remark)
    for name in wanted.names.keys {
      XCTAssertEqual(files.node(name), wanted.node(name), "\(name), \(remark)")
    }
  }

  /// The newest segment cut at every length, as a death in the midst of a write leaves it: what is half there is cut off, and
  /// the continued tape is, byte for byte, the one that was never interrupted.
  func testATornTailIsCutAndContinuedExactly() throws {
    let whole = try reference(perSegment: 25)
    let newest = TapeLayout.fileName(ordinal: 3)
    let bytes = whole.node(newest)
    XCTAssertGreaterThan(bytes.count, 500)
    for length in TapeLayout.headerBytes...bytes.count {
      let files = whole.copy()
      files.put(newest, Array(bytes.prefix(length)))
      let opening = try TapeRecovery.open(files: files, plan: TestRecorder.plan(), now: 1)
      XCTAssertFalse(opening.wasDamaged, "cut at \(length)")
      let tail = try XCTUnwrap(opening.tail)
      XCTAssertEqual(opening.cutBytes, UInt64(length) - tail.offset, "cut at \(length)")
      XCTAssertEqual(UInt64(files.node(newest).count), tail.offset, "cut at \(length)")
      var recorder = try TestRecorder(files, stream)
      try recorder.record(perSegment: 25)
      expectSame(files, whole, "cut at \(length)")
    }
  }

  /// A bit that flipped among what was said to be durable: it is kept aside, and what the ring still holds is written again.
  func testADamagedTailIsKeptAsideAndWrittenAgain() throws {
    let whole = try reference(perSegment: 25)
    let newest = TapeLayout.fileName(ordinal: 3)
    var bytes = whole.node(newest)
    let original = bytes
    bytes[TapeLayout.headerBytes + 100] ^= 4
    let files = whole.copy()
    files.put(newest, bytes)
    let opening = try TapeRecovery.open(files: files, plan: TestRecorder.plan(), now: 1)
    XCTAssertTrue(opening.wasDamaged)
    XCTAssertEqual(opening.findings.count, 1)
    let kept = files.node(newest + ".damaged")
    XCTAssertEqual(UInt64(kept.count), opening.cutBytes)
    XCTAssertEqual(Array(bytes.suffix(kept.count)), kept)
    var recorder = try TestRecorder(files, stream)
    try recorder.record(perSegment: 25)
    XCTAssertEqual(files.node(newest), original)
  }

  /// A newest segment without a header is put aside, and its number is given again.
  func testASegmentWithoutHeaderIsPutAside() throws {
    let files = try reference(perSegment: 25)
    let whole = files.copy()
    let newest = TapeLayout.fileName(ordinal: 3)
    files.put(newest, Array(repeating: 0, count: 700))
    var recorder = try TestRecorder(files, stream)
    try recorder.record(perSegment: 25)
    XCTAssertEqual(files.node(newest), whole.node(newest))
    XCTAssertEqual(files.node(newest + ".damaged").count, 700)
    XCTAssertEqual(try Reading(files).damage, [])
  }

  /// The recorder dies before each of its file operations in turn, and its successor before each of its own.
  func testADeathAtEveryStep() throws {
    let whole = try reference(perSegment: 17)
    struct Death: Error {}
    var steps = 0
    // How many steps a run without a death takes.
    do {
      let files = MemoryTapeFiles()
      var recorder = try TestRecorder(files, stream)
      try recorder.record(perSegment: 17)
      steps = files.operations
    }
    XCTAssertGreaterThan(steps, 60)
    for first in 1...steps {
      for second in [first, 3, 9, 1_000] {
        let files = MemoryTapeFiles()
        for death in [first, second] {
          let start = files.operations
          files.fault = { number, _ in number - start >= death ? .fail(EINTR) : nil }
          do {
            var recorder = try TestRecorder(files, stream)
            try recorder.record(perSegment: 17)
          } catch {}
        }
        files.fault = { _, _ in nil }
        var recorder = try TestRecorder(files, stream)
        try recorder.record(perSegment: 17)
        expectSame(files, whole, "deaths before steps \(first) and \(second)")
      }
    }
  }

  /// Power is lost after each operation: what was called durable is there, whatever else is.
  func testDurableNeverPassesTheTruth() throws {
    for limit in 1...120 {
      let files = MemoryTapeFiles()
      files.fault = { number, _ in number > limit ? .fail(EIO) : nil }
      var claimed: TapeTail?
      do {
        var recorder = try TestRecorder(files, stream)
        while recorder.next < stream.records.count {
          try? recorder.record(
            upTo: min(recorder.next + 3, stream.records.count), each: 2, perSegment: 17,
            synchronizes: recorder.next % 2 == 0)
          claimed = recorder.appender.durable
          if files.operations > limit { break }
        }
      } catch {}
      for keep in [0, 1, 40, 10_000] {
        let left = files.afterPowerLoss { min($0, keep) }
        let opening = try TapeRecovery.open(files: left, plan: TestRecorder.plan(), now: 1)
        guard let claimed else { continue }
        let found = try XCTUnwrap(opening.tail, "limit \(limit), keep \(keep)")
        XCTAssertGreaterThanOrEqual(found.ringPosition, claimed.ringPosition, "limit \(limit), keep \(keep)")
        let reading = try Reading(left)
        XCTAssertEqual(reading.damage, [], "limit \(limit), keep \(keep)")
        XCTAssertEqual(reading.records, Array(stream.records.prefix(reading.records.count)))
      }
    }
  }

  /// What a successor finds in the files may be in the machine's memory only: it is made durable before it counts as such.
  func testWhatASuccessorFindsIsMadeDurable() throws {
    let files = MemoryTapeFiles()
    var recorder = try TestRecorder(files, stream)
    try recorder.record(upTo: 30, perSegment: 13, synchronizes: false)
    let opening = try TapeRecovery.open(files: files, plan: recorder.plan, now: 1)
    XCTAssertEqual(opening.tail?.ringPosition, stream.records[29].ringPosition)
    let reading = try Reading(files.afterPowerLoss { _ in 0 })
    XCTAssertEqual(reading.damage, [])
    XCTAssertEqual(reading.records, Array(stream.records.prefix(30)))
  }

  /// Writes that fail, or take a part only: the same chunk again goes on where it was.
  func testAFullDiskIsWaitedFor() throws {
    let whole = try reference(perSegment: 17)
    for code in [ENOSPC, EIO, EDQUOT] {
      let files = MemoryTapeFiles()
      var recorder = try TestRecorder(files, stream)
      let faults = FaultPlan(seed: UInt64(code))
      files.fault = { _, operation in
        // A synchronisation that fails is another matter.
        if operation == "synchronize" { return nil }
        switch faults.next() % 8 {
        case 0, 1: return .fail(code)
        case 2, 3: return operation == "write" ? .short(100) : nil
        default: return nil
        }
      }
      while recorder.next < stream.records.count {
        recorder.encoder.open(TapeChunk(capacity: TapeChunk.capacityMinimum))
        let record = stream.records[recorder.next]
        let put = record.payload.withUnsafeBytes {
          recorder.encoder.put(kind: record.kind, payload: $0, ringPosition: record.ringPosition)
        }
        if case .done = put {
          recorder.next += 1
          if recorder.next % 17 == 0 { recorder.encoder.seal(.full) }
        }
        guard let chunk = recorder.encoder.close() else { continue }
        var attempts = 0
        while attempts < 500 {
          attempts += 1
          do throws(TapeFileError) {
            try recorder.appender.append(chunk)
            break
          } catch {}
        }
        XCTAssertLessThan(attempts, 500)
      }
      expectSame(files, whole, "errno \(code)")
    }
  }

  /// An fdatasync that fails leaves nothing certain behind the last that went well: that is written again.
  func testAFailedSynchronisationIsNotBelieved() throws {
    let whole = try reference(perSegment: 1_000)
    let files = MemoryTapeFiles()
    var recorder = try TestRecorder(files, stream)
    try recorder.record(upTo: 20)
    let durable = recorder.appender.durable
    XCTAssertNotNil(durable)
    try recorder.record(upTo: 40, synchronizes: false)
    files.fault = { _, operation in operation == "synchronize" ? .fail(EIO) : nil }
    XCTAssertThrowsError(try recorder.appender.synchronize())
    XCTAssertTrue(recorder.appender.isGroundLost)
    XCTAssertEqual(recorder.appender.durable, durable)
    files.fault = { _, _ in nil }
    let tail = try recorder.appender.cutBack()
    XCTAssertEqual(tail, durable)
    recorder.encoder = TapeEncoder(plan: recorder.plan, tail: tail)
    recorder.seek(tail)
    XCTAssertEqual(recorder.next, 20)
    try recorder.record()
    expectSame(files, whole, "after the failure")
  }

  /// Somebody removes the open segment: the tape goes on in the next one.
  func testARemovedSegmentIsNoticed() throws {
    let files = MemoryTapeFiles()
    var recorder = try TestRecorder(files, stream)
    try recorder.record(upTo: 20)
    files.drop(TapeLayout.fileName(ordinal: 1))
    try recorder.record(upTo: 30, synchronizes: false)
    XCTAssertThrowsError(try recorder.appender.synchronize())
    let tail = try recorder.appender.cutBack()
    recorder.encoder = TapeEncoder(plan: recorder.plan, tail: tail)
    recorder.seek(tail)
    try recorder.record()
    let reading = try Reading(files)
    XCTAssertEqual(reading.damage, [])
    XCTAssertEqual(reading.records, Array(stream.records.dropFirst(20)))
    XCTAssertEqual(reading.places.first?.ordinal, 2)
  }

  func testRetention() throws {
    for retention in [
      TapeRetention(bytes: 0, segments: 3), TapeRetention(bytes: 1 << 20 | 1_500, segments: 0),
    ] {
      let files = MemoryTapeFiles()
      var recorder = try TestRecorder(files, stream, retention: retention)
      try recorder.record(perSegment: 9)
      let index = try TapeIndex(files)
      XCTAssertLessThanOrEqual(index.segments.count, 3)
      XCTAssertEqual(
        recorder.appender.removed, try XCTUnwrap(index.segments.first).ordinal - 1, "\(retention)")
      let reading = try Reading(files)
      XCTAssertEqual(reading.damage, [])
      XCTAssertEqual(reading.records, Array(stream.records.suffix(reading.records.count)))
    }
  }

  /// Numbers that follow from a seed.
  private final class FaultPlan: @unchecked Sendable {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    func next() -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return state >> 33
    }
  }

  // MARK: Runs, sessions, holes

  /// Another life of the set's rings: what the one before left open is closed, and the tape goes on.
  func testAnotherRunFollows() throws {
    let files = MemoryTapeFiles()
    var first = try TestRecorder(files, stream)
    try first.record(upTo: 30)
    let second = TestStream(seed: 12, messages: 20)
    var recorder = try TestRecorder(files, second, plan: TestRecorder.plan(run: 8))
    try recorder.record()
    let reading = try Reading(files)
    XCTAssertEqual(reading.damage, [])
    XCTAssertEqual(reading.records, Array(stream.records.prefix(30)) + second.records)
    let index = try TapeIndex(files)
    XCTAssertEqual(index.segments.map { $0.header?.run }, [7, 8])
    XCTAssertEqual(index.segments.first?.seal?.reason, SealReason.closedBySuccessor.rawValue)
    XCTAssertEqual(try Reading(files, start: .newestRun).records, second.records)
    // A number that both runs have is looked for in the newest.
    XCTAssertEqual(try Reading(files, start: .sequence(2)).places.first?.ordinal, 2)
  }

  /// What the ring overwrote is marked with its exact range, in front of the next record.
  func testAHoleIsMarked() throws {
    let files = MemoryTapeFiles()
    var recorder = try TestRecorder(files, stream)
    try recorder.record(upTo: 10)
    let before = stream.records[9]
    let resumed = 25
    let due = before.payload.withUnsafeBytes { TapeEncoder.numberAfter(before.kind, $0) ?? 0 }
    let next = stream.records[resumed].payload.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
    recorder.encoder.noteLap(from: before.ringPosition, to: before.ringPosition + 5, reason: .diskTrouble)
    let at = stream.records[resumed - 1].ringPosition
    recorder.encoder.noteLap(from: before.ringPosition + 5, to: at, reason: .lapped)
    recorder.next = resumed
    try recorder.record()
    let reading = try Reading(files)
    XCTAssertEqual(reading.damage, [])
    let hole = reading.records[10]
    XCTAssertEqual(hole.kind, TapeLayout.Kind.hole)
    let found = hole.payload.withUnsafeBytes { TapeHole(payload: $0) }
    XCTAssertEqual(
      found,
      TapeHole(first: due, last: next - 1, cellsFrom: before.ringPosition, cellsTo: at, reason: .diskTrouble))
    XCTAssertEqual(
      reading.records.filter { $0.kind != TapeLayout.Kind.hole },
      Array(stream.records.prefix(10)) + Array(stream.records.dropFirst(resumed)))
  }

  /// A session that began while nothing was recorded: all to the end of the one before is lost.
  func testAHoleToTheEndOfASession() throws {
    let two = TestStream(seed: 13, messages: 20, sessions: 2)
    let begin = try XCTUnwrap(two.records.lastIndex { $0.kind == MergedRecord.Kind.sessionStart })
    let files = MemoryTapeFiles()
    var recorder = try TestRecorder(files, two)
    try recorder.record(upTo: 5)
    recorder.encoder.noteLap(from: 5, to: 10, reason: .lapped)
    recorder.next = begin
    try recorder.record()
    let holes = try Reading(files).records.filter { $0.kind == TapeLayout.Kind.hole }
    XCTAssertEqual(holes.count, 1)
    let hole = try XCTUnwrap(holes.first).payload.withUnsafeBytes { TapeHole(payload: $0) }
    XCTAssertEqual(hole?.last, .max)
    XCTAssertNil(hole?.count)
  }

  /// A reader of a tape that is being written sees what has come.
  func testFollowing() throws {
    let files = MemoryTapeFiles()
    var recorder = try TestRecorder(files, stream)
    try recorder.record(upTo: 10)
    var reader = try TapeReader(files: files, start: .oldest)
    var seen = 0
    while try reader.next() != nil { seen += 1 }
    XCTAssertEqual(seen, 10)
    XCTAssertFalse(try reader.refresh())
    try recorder.record(perSegment: 13)
    while try reader.refresh() { while try reader.next() != nil { seen += 1 } }
    XCTAssertEqual(seen, stream.records.count)
  }
}
