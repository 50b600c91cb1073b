import CTapeHash
import StageRecords
import XCTest

@testable import Tape

/// What is put on a tape is what is read from it, and every kind of damage is found where it lies.
final class FormatTests: XCTestCase {
  /// RFC 3720, B.4, and both ways of computing it.
  func testChecksumKnownValues() {
    func both(_ bytes: [UInt8], _ wanted: UInt32, line: UInt = #line) {
      bytes.withUnsafeBytes {
        XCTAssertEqual(bulkhead_crc32c(0, $0.baseAddress, $0.count), wanted, line: line)
        XCTAssertEqual(bulkhead_crc32c_portable(0, $0.baseAddress, $0.count), wanted, line: line)
        // In two pieces.
        for cut in 0...$0.count {
          let first = bulkhead_crc32c(0, $0.baseAddress, cut)
          let rest = UnsafeRawBufferPointer(rebasing: $0.dropFirst(cut))
          XCTAssertEqual(
            bulkhead_crc32c(first, rest.baseAddress, rest.count), wanted, "cut at \(cut)", line: line)
        }
      }
    }
    both([UInt8](repeating: 0, count: 32), 0x8A91_36AA)
    both([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43)
    both((0..<32).map { UInt8($0) }, 0x46DD_794E)
    both(Array("123456789".utf8), 0xE306_9283)
  }

  func testRecordsComeBackAcrossSegments() throws {
    let stream = TestStream(seed: 1, messages: 200, sessions: 2)
    let files = MemoryTapeFiles()
    var recorder = try TestRecorder(files, stream)
    try recorder.record(perSegment: 37)
    try recorder.end()
    let reading = try Reading(files)
    XCTAssertEqual(reading.damage, [])
    XCTAssertEqual(reading.records, stream.records)
    guard case .sealed(let seal) = reading.end else {
      return XCTFail("the end: \(String(describing: reading.end))")
    }
    XCTAssertEqual(seal.reason, SealReason.ended.rawValue)
    // A segment never holds two sessions.
    let index = try TapeIndex(files)
    let sessions = index.segments.map { $0.header?.session.bytes.last }
    XCTAssertEqual(Set(sessions), [UInt8(ascii: "0"), UInt8(ascii: "1")])
    XCTAssertEqual(index.segments.map(\.ordinal), (1...UInt64(index.segments.count)).map { $0 })
    XCTAssertTrue(index.segments.allSatisfy { $0.seal != nil })
    XCTAssertEqual(files.openFiles, 0, "files left open")
  }

  func testReadingFromASequenceNumber() throws {
    let stream = TestStream(seed: 2, messages: 300)
    let files = MemoryTapeFiles()
    var recorder = try TestRecorder(files, stream)
    try recorder.record(perSegment: 40)
    for wanted in [UInt64(1), 2, 39, 40, 41, 150, 299] {
      let first = try XCTUnwrap(try Reading(files, start: .sequence(wanted)).records.first)
      // The record that holds the number: the first whose successor is due behind it.
      let expected = stream.records.first { record in
        record.payload.withUnsafeBytes { TapeEncoder.numberAfter(record.kind, $0) ?? 0 } > wanted
      }
      XCTAssertEqual(first, expected, "sequence \(wanted)")
    }
    XCTAssertEqual(try Reading(files, start: .sequence(1_000_000)).records, [])
    let third = try Reading(files, start: .segment(3))
    XCTAssertEqual(third.places.first, TapePlace(ordinal: 3, offset: UInt64(TapeLayout.headerBytes)))
    XCTAssertEqual(third.damage, [])
  }

  /// A record longer than any chunk's or segment's rest, and the longest there is.
  func testSegmentsNeverExceedTheirSize() throws {
    var stream = TestStream(seed: 3, messages: 400, longest: 2_000)
    let longest = TestRecord(
      kind: 9 & 3,
      payload: TestRecord.words(7) + [UInt8](repeating: 5, count: TapeLayout.payloadBytesLimit - 8),
      ringPosition: (stream.records.last?.ringPosition ?? 0) + 1_025)
    stream.records.append(longest)
    let files = MemoryTapeFiles()
    let plan = TestRecorder.plan(segmentBytes: UInt64(SegmentPlan.segmentBytesMinimum))
    var recorder = try TestRecorder(files, stream, plan: plan)
    try recorder.record(each: 1_000)
    try recorder.end()
    let reading = try Reading(files)
    XCTAssertEqual(reading.damage, [])
    XCTAssertEqual(reading.records, stream.records)
    let index = try TapeIndex(files)
    XCTAssertGreaterThan(index.segments.count, 3)
    for segment in index.segments {
      XCTAssertLessThanOrEqual(segment.bytes, plan.segmentBytes, segment.name)
      XCTAssertNotNil(segment.seal)
    }
  }

  // MARK: Damage

  /// Three closed segments of a dozen records each.
  private func closedTape() throws -> (MemoryTapeFiles, TestStream) {
    let stream = TestStream(seed: 4, messages: 30)
    let files = MemoryTapeFiles()
    var recorder = try TestRecorder(files, stream)
    try recorder.record(perSegment: 11)
    try recorder.end()
    return (files, stream)
  }

  /// One flipped bit at every byte of a tape: it is found, in its segment, at its record or the one in front of it; every
  /// record in front of it is there; nothing that is read differs from what was written.
  func testAFlippedBitIsFoundAtEveryByte() throws {
    let (files, stream) = try closedTape()
    let intact = try Reading(files)
    for name in files.names.keys.sorted() {
      let bytes = files.node(name)
      let ordinal = try XCTUnwrap(TapeLayout.ordinal(fileName: name))
      for offset in bytes.indices {
        let damaged = files.copy()
        var changed = bytes
        changed[offset] ^= 1 << UInt8(offset % 8)
        damaged.put(name, changed)
        let reading = try Reading(damaged)
        let remark = "\(name), byte \(offset)"
        let isInSeal = offset >= bytes.count - TapeLayout.sealFrameBytes
        if ordinal == 3, isInSeal {
          // The end of the newest segment could be a record that was being written.
          XCTAssertEqual(reading.end, .torn(bytes: UInt64(TapeLayout.sealFrameBytes)), remark)
          continue
        }
        let first = try XCTUnwrap(reading.damage.first, remark)
        if offset < TapeLayout.headerBytes {
          XCTAssertEqual(first.place.ordinal, ordinal, remark)
          continue
        }
        // The frame that the byte belongs to.
        let place = intact.places.last { $0.ordinal == ordinal && $0.offset <= UInt64(offset) }
        let wanted = isInSeal ? UInt64(bytes.count - TapeLayout.sealFrameBytes) : place?.offset ?? 0
        XCTAssertEqual(first.place, TapePlace(ordinal: ordinal, offset: wanted), "\(remark): \(first)")
        XCTAssertLessThanOrEqual(intact.records.count - reading.records.count, 1, remark)
        expectSubsequence(reading.records, of: stream.records, remark)
      }
    }
  }

  private func expectSubsequence(_ part: [TestRecord], of whole: [TestRecord], _ remark: String) {
    var rest = whole[...]
    for record in part {
      guard let index = rest.firstIndex(of: record) else {
        return XCTFail("\(remark): \(record) was never written")
      }
      rest = rest[(index + 1)...]
    }
  }

  /// Cut off at every length: a segment that is not the newest is damaged there; the newest is torn, and says how much.
  func testACutIsFoundAtEveryLength() throws {
    let (files, _) = try closedTape()
    let intact = try Reading(files)
    for ordinal in [UInt64(2), 3] {
      let name = TapeLayout.fileName(ordinal: ordinal)
      let bytes = files.node(name)
      XCTAssertFalse(bytes.isEmpty)
      for length in 0..<bytes.count {
        let damaged = files.copy()
        damaged.put(name, Array(bytes.prefix(length)))
        let reading = try Reading(damaged)
        let boundary = intact.places.last { $0.ordinal == ordinal && $0.offset <= UInt64(length) }
        let remark = "\(name) cut at \(length)"
        if length < TapeLayout.headerBytes {
          XCTAssertEqual(
            reading.damage.first, .header(ordinal: ordinal, .tooShort(bytes: UInt64(length))), remark)
        } else if ordinal == 2 {
          let place = try XCTUnwrap(reading.damage.first, remark).place
          XCTAssertEqual(place.ordinal, 2, remark)
          XCTAssertLessThanOrEqual(place.offset, UInt64(length), remark)
          XCTAssertGreaterThanOrEqual(place.offset, boundary?.offset ?? 0, remark)
        } else {
          XCTAssertEqual(reading.damage, [], remark)
          switch reading.end {
          case .open: break
          case .torn(let torn):
            XCTAssertGreaterThan(torn, 0, remark)
            XCTAssertLessThan(torn, UInt64(TapeLayout.frameBytes(payload: 100)), remark)
          default: XCTFail("\(remark): \(String(describing: reading.end))")
          }
        }
      }
    }
  }

  /// Whole records removed, exchanged, repeated: each is intact by itself, and only the chain tells.
  func testRemovedExchangedAndRepeatedRecords() throws {
    let (files, stream) = try closedTape()
    let intact = try Reading(files)
    let name = TapeLayout.fileName(ordinal: 2)
    let bytes = files.node(name)
    let places = intact.places.filter { $0.ordinal == 2 }.map { Int($0.offset) }
    let ends = places.dropFirst() + [bytes.count - TapeLayout.sealFrameBytes]
    let frames = zip(places, ends).map { Array(bytes[$0..<$1]) }
    let head = Array(bytes.prefix(TapeLayout.headerBytes))
    let seal = Array(bytes.suffix(TapeLayout.sealFrameBytes))
    func expect(_ order: [Int], brokenAt position: Int, _ what: String, line: UInt = #line) throws {
      let damaged = files.copy()
      damaged.put(name, head + order.flatMap { frames[$0] } + seal)
      let reading = try Reading(damaged)
      let offset = TapeLayout.headerBytes + order.prefix(position).reduce(0) { $0 + frames[$1].count }
      guard case .outOfChain(let place, _) = reading.damage.first else {
        return XCTFail("\(what): \(reading.damage)", line: line)
      }
      XCTAssertEqual(place, TapePlace(ordinal: 2, offset: UInt64(offset)), what, line: line)
    }
    let all = Array(frames.indices)
    for victim in all {
      try expect(all.filter { $0 != victim }, brokenAt: victim, "without record \(victim)")
      var repeated = all
      repeated.insert(victim, at: victim)
      try expect(repeated, brokenAt: victim + 1, "record \(victim) twice")
      if victim + 1 < all.count {
        var exchanged = all
        exchanged.swapAt(victim, victim + 1)
        try expect(exchanged, brokenAt: victim, "records \(victim) and \(victim + 1) exchanged")
      }
    }
    // All of them gone, with their seal: then it is the segment that is too short.
    let emptied = files.copy()
    emptied.put(name, head)
    XCTAssertEqual(
      try Reading(emptied).damage.first,
      .truncated(
        TapePlace(ordinal: 2, offset: 256),
        after: try XCTUnwrap(try TapeIndex(files).segments[1].header).firstSequence))
    _ = stream
  }

  func testMissingExchangedAndForeignSegments() throws {
    let (files, _) = try closedTape()
    let two = TapeLayout.fileName(ordinal: 2)
    let three = TapeLayout.fileName(ordinal: 3)

    let missing = files.copy()
    missing.drop(two)
    XCTAssertEqual(try Reading(missing).damage, [.missingSegments(first: 2, last: 2)])

    let exchanged = files.copy()
    exchanged.put(two, files.node(three))
    exchanged.put(three, files.node(two))
    let damage = try Reading(exchanged).damage
    XCTAssertEqual(
      Array(damage.prefix(2)), [.misnamed(ordinal: 2, found: 3), .misnamed(ordinal: 3, found: 2)])

    // The second segment of another tape, whole by itself.
    let others = MemoryTapeFiles()
    var recorder = try TestRecorder(others, TestStream(seed: 99, messages: 30))
    try recorder.record(perSegment: 11)
    let foreign = files.copy()
    foreign.put(two, others.node(two))
    let found = try Reading(foreign).damage
    XCTAssertTrue(found.contains(.foreign(ordinal: 2)), "\(found)")
    XCTAssertTrue(found.contains(.foreign(ordinal: 3)), "\(found)")

    // Retention removes from the front: no damage.
    let retained = files.copy()
    retained.drop(TapeLayout.fileName(ordinal: 1))
    XCTAssertEqual(try Reading(retained).damage, [])
  }

  /// Bytes of any kind in the place of segments: named, never a trap.
  func testGarbageIsNamed() throws {
    var random = SystemRandomNumberGenerator()
    let seed = random.next()
    var state = seed
    for round in 0..<300 {
      let (files, stream) = try closedTape()
      let name = TapeLayout.fileName(ordinal: UInt64(round % 3) + 1)
      var bytes = files.node(name)
      for _ in 0..<(1 + round % 40) {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        let offset =
          TapeLayout.headerBytes + Int((state >> 33) % UInt64(bytes.count - TapeLayout.headerBytes))
        bytes[offset] = UInt8(truncatingIfNeeded: state >> 20)
      }
      files.put(name, bytes)
      let reading = try Reading(files)
      expectSubsequence(reading.records, of: stream.records, "seed \(seed), round \(round)")
    }
  }
}
