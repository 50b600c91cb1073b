import StageRecords
import XCTest

@testable import Tape

/// A record of the merged ring as these tests make and find it.
struct TestRecord: Equatable, CustomStringConvertible {
  var kind: UInt8
  var payload: [UInt8]
  var ringPosition: UInt64

  var description: String { "kind \(kind), \(payload.count) bytes, behind \(ringPosition)" }

  static func words(_ values: UInt64...) -> [UInt8] {
    values.flatMap { value in (0..<8).map { UInt8(truncatingIfNeeded: value >> (UInt64($0) * 8)) } }
  }
}

/// A stream as merged would put it on its ring: sessions, messages of many lengths, gaps.
struct TestStream {
  var records: [TestRecord] = []

  /// - Parameter seed: every length and byte follows from it.
  init(seed: UInt64, messages: Int, sessions: Int = 1, longest: Int = 60) {
    var state = seed
    func random() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var z = state
      z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      return z ^ (z >> 31)
    }
    var position: UInt64 = 0
    func add(_ kind: UInt8, _ payload: [UInt8]) {
      position += UInt64((payload.count + 8 + 63) / 64)
      records.append(TestRecord(kind: kind, payload: payload, ringPosition: position))
    }
    for session in 0..<sessions {
      let identifier = Array("SESSION00\(session)".utf8) + [0, 0, 0, 0, 0, 0]
      add(MergedRecord.Kind.sessionStart, TestRecord.words(1) + identifier)
      var sequence: UInt64 = 1
      for _ in 0..<messages {
        if random() % 16 == 0 {
          let last = sequence + random() % 3
          add(MergedRecord.Kind.gap, TestRecord.words(sequence, last, 1))
          sequence = last + 1
        } else {
          let length = Int(random() % UInt64(longest + 1))
          let bytes = (0..<length).map { _ in UInt8(truncatingIfNeeded: random()) }
          add(MergedRecord.Kind.message, TestRecord.words(sequence, random()) + bytes)
          sequence += 1
        }
      }
      add(MergedRecord.Kind.endOfSession, TestRecord.words(sequence) + identifier)
    }
  }
}

/// A recorder without threads: each step can be made to fail.
struct TestRecorder: ~Copyable {
  var encoder: TapeEncoder
  var appender: TapeAppender<MemoryTapeFiles>
  var next = 0
  let stream: TestStream
  let plan: SegmentPlan

  static func plan(run: UInt64 = 7, segmentBytes: UInt64 = 1 << 20) -> SegmentPlan {
    SegmentPlan(segmentBytes: segmentBytes, configurationHash: 0xC0FFEE, run: run, channel: 1, build: "test")
  }

  /// Opens the tape as it is and goes on where it ends.
  init(
    _ files: MemoryTapeFiles, _ stream: TestStream, plan: SegmentPlan = TestRecorder.plan(),
    retention: TapeRetention = TapeRetention(bytes: 0, segments: 0)
  ) throws {
    let opening = try TapeRecovery.open(files: files, plan: plan, now: 1)
    encoder = TapeEncoder(plan: plan, tail: opening.tail)
    encoder.now = 1
    appender = TapeAppender(
      files: files, segmentBytes: plan.segmentBytes, retention: retention, tail: opening.tail,
      closed: opening.closed)
    self.stream = stream
    self.plan = plan
    seek(opening.tail?.run == plan.run ? opening.tail : nil)
  }

  mutating func seek(_ tail: TapeTail?) {
    let position = tail?.ringPosition ?? 0
    next = stream.records.firstIndex { $0.ringPosition > position } ?? stream.records.count
  }

  /// Puts records into chunks of `each` records and writes them; a segment ends after `perSegment` records.
  mutating func record(
    upTo end: Int? = nil, each: Int = 4, perSegment: Int = .max, synchronizes: Bool = true
  ) throws {
    let end = end ?? stream.records.count
    while next < end {
      encoder.open(TapeChunk(capacity: TapeChunk.capacityMinimum))
      var count = 0
      while next < end, count < each {
        let record = stream.records[next]
        let put = record.payload.withUnsafeBytes {
          encoder.put(kind: record.kind, payload: $0, ringPosition: record.ringPosition)
        }
        guard case .done = put else { break }
        next += 1
        count += 1
        if next % perSegment == 0 {
          encoder.seal(.full)
          break
        }
      }
      if let chunk = encoder.close() { try appender.append(chunk) }
      if synchronizes { try appender.synchronize() }
    }
  }

  mutating func end() throws {
    encoder.open(TapeChunk(capacity: TapeChunk.capacityMinimum))
    encoder.seal(.ended)
    if let chunk = encoder.close() { try appender.append(chunk) }
  }
}

/// All that is found on a tape: records, and damage with the number of records in front of it.
struct Reading {
  var records: [TestRecord] = []
  var places: [TapePlace] = []
  var damage: [TapeDamage] = []
  var end: SegmentEnd?

  init(_ files: MemoryTapeFiles, start: TapeStart = .oldest) throws {
    var reader = try TapeReader(files: files, start: start)
    while true {
      do throws(TapeDamage) {
        guard let record = try reader.next() else { break }
        records.append(
          TestRecord(kind: record.kind, payload: Array(record.payload), ringPosition: record.ringPosition))
        places.append(record.place)
      } catch {
        damage.append(error)
        if damage.count > 10_000 { throw error }
      }
    }
    end = reader.lastEnd
  }
}
