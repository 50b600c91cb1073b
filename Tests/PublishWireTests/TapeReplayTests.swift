import BookBuilder
import FeedSim
import Foundation
import Glibc
import OrderBook
import StageRecords
import TapeShadow
import XCTest

@testable import PublishLoop
@testable import PublishWire
@testable import Tape

/// The past from a real tape, without a ring: everything comes from the thread that reads the files.
final class TapeReplayTests: XCTestCase {
  private static let rules = BookRules(
    capacity: BookCapacity(orders: 1 << 14, levels: 1 << 13, instruments: 64))
  private static let run: UInt64 = 7
  private var folder = ""

  override func setUpWithError() throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("bulkhead-\(UUID())").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  }

  override func tearDown() { try? FileManager.default.removeItem(atPath: folder) }

  private func words(_ values: UInt64...) -> [UInt8] {
    values.flatMap { value in (0..<8).map { UInt8(truncatingIfNeeded: value >> (UInt64($0) * 8)) } }
  }

  /// Writes a day to the tape, in several segments, and returns the events that it makes.
  private func record(messages: UInt64, seed: UInt64) throws -> [FakeEvent] {
    let day = try MessageStore(
      generating: DayGenerator(DayConfiguration(seed: seed, messages: messages, instruments: 20)))
    let session = Array("SESSION001".utf8) + [0, 0, 0, 0, 0, 0]
    var records: [(kind: UInt8, payload: [UInt8])] = [
      (MergedRecord.Kind.sessionStart, words(1) + session)
    ]
    for index in 0..<day.count {
      records.append(
        (MergedRecord.Kind.message, words(UInt64(index) + 1, 77) + Array(day.message(at: index))))
    }
    let files = SystemTapeFiles(directory: folder)
    let plan = SegmentPlan(
      segmentBytes: 1 << 18, configurationHash: 1, run: Self.run, channel: 1, build: "test")
    var encoder = TapeEncoder(plan: plan, tail: nil)
    var appender = TapeAppender(
      files: files, segmentBytes: plan.segmentBytes, retention: TapeRetention(bytes: 0, segments: 0),
      tail: nil, closed: [])
    var book = ShadowBook(rules: Self.rules, channel: 1)
    var events: [FakeEvent] = []
    var next = 0
    while next < records.count {
      encoder.open(TapeChunk(capacity: TapeChunk.capacityMinimum))
      filling: while next < records.count {
        let record = records[next]
        let isTaken = record.payload.withUnsafeBytes { payload -> Bool in
          guard case .done = encoder.put(kind: record.kind, payload: payload, ringPosition: UInt64(next + 1))
          else { return false }
          _ = book.take(
            TapeRecord(
              kind: record.kind, payload: payload, place: TapePlace(ordinal: 1, offset: 256), ringPosition: 0)
          ) { batch in batch.forEach { events.append(FakeEvent(kind: $0, bytes: Array($1))) } }
          return true
        }
        guard isTaken else { break filling }
        next += 1
      }
      if let chunk = encoder.close() { try appender.append(chunk) }
      try appender.synchronize()
    }
    XCTAssertNil(book.blindness)
    return events
  }

  private final class Run: @unchecked Sendable {
    private let lock = NSLock()
    private var value: UInt64
    init(_ value: UInt64) { self.value = value }
    var number: UInt64 {
      get { lock.withLock { value } }
      set { lock.withLock { value = newValue } }
    }
  }

  /// What pubd would hand its clients, with a ring that holds nothing.
  private func history(
    _ run: Run, limits: ReplayTurns.Limits = ReplayTurns.Limits(), patience: UInt64 = 600_000_000_000
  ) -> RingHistory {
    let history = RingHistory(path: "\(folder)/no.ring", cells: 1024, recordBytes: 256)
    history.tape = TapeHistory(
      directory: folder, rules: Self.rules, channel: 1, limits: limits, patience: patience,
      run: { run.number })
    return history
  }

  /// One that reads a piece at a time, of a size of its own.
  private final class Client {
    let reader: any HistoryReader
    let bytes: Int
    var events: [FakeEvent] = []
    var end: HistoryStep?

    init(_ reader: any HistoryReader, bytes: Int) {
      self.reader = reader
      self.bytes = bytes
    }

    /// False when there was nothing for it.
    func read() -> Bool {
      let step = reader.read(bytes: bytes) { events.append(FakeEvent(kind: $0, bytes: Array($1))) }
      if step != .more, step != .waiting { end = step }
      return step != .waiting
    }
  }

  /// Reads in turn until all have come to an end; what each of them waits for must come, however long it takes.
  private func readToTheEnd(_ clients: [Client]) {
    let limit = Date(timeIntervalSinceNow: 120)
    while clients.contains(where: { $0.end == nil }), Date() < limit {
      var isIdle = true
      for client in clients where client.end == nil { if client.read() { isIdle = false } }
      if isIdle { usleep(200) }
    }
  }

  /// Four clients, each behind a cursor of its own and at a pace of its own, with turns so short that each has many: nobody is left out,
  /// nothing is missing and nothing comes twice.
  func testFourReplaysAtOnceAreExact() throws {
    let events = try record(messages: 6_000, seed: 31)
    XCTAssertGreaterThan(events.count, 6_000)
    let history = history(
      Run(Self.run),
      limits: ReplayTurns.Limits(absence: 1_000_000_000, slowTurn: 1_000_000, turn: 5_000_000))
    let places: [StreamPlace] = [
      StreamPlace(sequence: 0), StreamPlace(sequence: 1), StreamPlace(sequence: 1_500, index: 0),
      StreamPlace(sequence: 4_321),
    ]
    var clients: [Client] = []
    for (index, place) in places.enumerated() {
      clients.append(
        Client(try XCTUnwrap(history.reader(after: place)), bytes: [65_536, 30_000, 100_000, 17_000][index]))
    }
    readToTheEnd(clients)
    for (client, place) in zip(clients, places) {
      // The end of the tape, which no ring goes on from.
      XCTAssertEqual(client.end, .lost, "behind \(place)")
      let due = events.filter { place < $0.place }
      XCTAssertTrue(client.events == due, "behind \(place): \(client.events.count) of \(due.count) events")
    }
  }

  /// The recorder has yet to say which run is this set's: nobody is refused, and nobody is served something else.
  func testACursorWaitsUntilTheReachIsKnown() throws {
    let events = try record(messages: 500, seed: 32)
    let run = Run(0)
    let history = history(run)
    XCTAssertFalse(history.isReachKnown)
    XCTAssertNil(history.oldest)
    let client = Client(try XCTUnwrap(history.reader(after: StreamPlace(sequence: 100))), bytes: 65_536)
    for _ in 0..<100 { XCTAssertFalse(client.read()) }
    XCTAssertNil(client.end)
    run.number = Self.run
    readToTheEnd([client])
    XCTAssertTrue(history.isReachKnown)
    XCTAssertEqual(history.oldest, 0)
    XCTAssertTrue(client.events == events.filter { StreamPlace(sequence: 100) < $0.place })
  }

  /// What is known at last is the answer: the tape begins behind the cursor.
  func testACursorThatTheTapeDoesNotReachIsLostOnceThatIsKnown() throws {
    _ = try record(messages: 6_000, seed: 33)
    let segments = try FileManager.default.contentsOfDirectory(atPath: folder).filter {
      $0.hasSuffix(".segment")
    }
    XCTAssertGreaterThan(segments.count, 1)
    // As retention does.
    try FileManager.default.removeItem(atPath: "\(folder)/\(try XCTUnwrap(segments.min()))")
    let run = Run(0)
    let history = history(run)
    let client = Client(try XCTUnwrap(history.reader(after: StreamPlace(sequence: 500))), bytes: 65_536)
    XCTAssertFalse(client.read())
    run.number = Self.run
    readToTheEnd([client])
    XCTAssertEqual(client.end, .lost)
    XCTAssertEqual(client.events.count, 0)
    XCTAssertTrue(history.isReachKnown)
    XCTAssertNil(history.oldest)
  }

  func testAReaderDoesNotWaitForEver() throws {
    let history = history(Run(0), patience: 0)
    let client = Client(try XCTUnwrap(history.reader(after: StreamPlace(sequence: 5))), bytes: 65_536)
    _ = client.read()
    XCTAssertEqual(client.end, .unknown)
  }
}
