import Foundation
import XCTest

@testable import SetInspection
@testable import ShmRing
@testable import StageRecords
@testable import StageRuntime
@testable import ViewPages

/// A set made of files, as the libraries of a real one make them: what viewd says of it.
final class SetSampleTests: XCTestCase {
  /// Control pages, a ring, the tables and merged's page; every component is this very process.
  private final class Fixture {
    static let hash: UInt64 = 0x1234
    let path = "/dev/shm/bulkhead-view-test-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
    let stages = ["rxd@a", "rxd@b", "merged", "bookd", "pubd"]

    init() throws {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
      for component in stages + ["watchdogd"] {
        try ControlPage.create(directory: path, component: component, configurationHash: Self.hash)
        let page = try page(component)
        page.beginIncarnation()
        page.setState(.ready)
      }
      try RecoveryPage.create(directory: path)
      try RingProducer.create(
        path: "\(path)/merged.ring", name: "merged",
        geometry: RingGeometry(cellCount: 64, maximumRecordBytes: 56), readers: ["bookd"],
        configurationHash: Self.hash)
      try ConflatedTable.create(
        path: ClientTable.path(directory: path), name: ClientTable.name,
        entries: ClientTable.entries(clients: 5),
        configurationHash: Self.hash)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func page(_ component: String) throws -> ControlPage {
      try ControlPage.attach(directory: path, component: component, access: .readWrite)
    }

    func sample() throws -> SetSample { try XCTUnwrap(SetWatch(instance: "t", path: path)).sample() }

    func end(_ component: String) throws {
      let process = Process()
      process.executableURL = URL(fileURLWithPath: "/bin/true")
      try process.run()
      process.waitUntilExit()
      let page = try page(component)
      page.word(0x10).storeRelaxed(UInt64(process.processIdentifier))
      XCTAssertEqual(page.pid, process.processIdentifier)
    }

    func clients() throws -> TableWriter {
      try TableWriter.attach(path: ClientTable.path(directory: path), configurationHash: Fixture.hash)
    }
  }

  private func metrics(
    _ sample: SetSample, _ facts: SetMetrics.Facts = SetMetrics.Facts(version: "1", channel: "itch")
  ) -> [String: String] {
    let families = SetMetrics.families(sample, facts, SetMetrics.Server())
    let text = String(decoding: MetricsText.render(families, as: .prometheus), as: UTF8.self)
    var values: [String: String] = [:]
    for line in text.split(separator: "\n") where !line.hasPrefix("#") {
      let space = line.lastIndex(of: " ")!
      let series = String(line[..<space])
      XCTAssertNil(values[series], "\(series) comes twice")
      values[series] = String(line[line.index(after: space)...])
    }
    return values
  }

  func testCountersBecomeMetrics() throws {
    let fixture = try Fixture()
    try fixture.page("bookd").set(BookCounter.instruments, 10)
    try fixture.page("bookd").set(BookCounter.staleInstruments, 3)
    try fixture.page("bookd").set(BookCounter.quarantinedInstruments, 1)
    try fixture.page("bookd").set(BookCounter.unknownReferences, 7)
    try fixture.page("rxd@b").set(ReceiverCounter.kernelDrops, 5)
    try fixture.page("merged").set(MergeCounter.lineBLagMedian, 2_048)
    // The mapping has to outlive what points into it.
    let publisher = try fixture.page("pubd")
    let supervisor = try fixture.page("watchdogd")
    publisher.latency.record(1_500)
    supervisor.counter(SupervisorCounter.firstRestart.rawValue + 2).storeRelaxed(4)
    // merged is the third.
    supervisor.counter(SupervisorCounter.firstBaseline.rawValue + 2).storeRelaxed(1_500_000)
    supervisor.counter(SupervisorCounter.firstDegraded.rawValue + 2).storeRelaxed(1)
    supervisor.counter(SupervisorCounter.firstNeighbour.rawValue + 2).storeRelaxed(1)
    supervisor.set(SupervisorCounter.shedWork, 2)
    // Three of its four restarts followed a death, one was asked for.
    for (cause, count) in [(6, 2), (4, 1)] {
      let counter = try XCTUnwrap(SupervisorCounter.restartCause(stage: 2, cause: cause))
      supervisor.counter(counter).storeRelaxed(UInt64(count))
    }
    try fixture.page("bookd").set(BookCounter.crossed, 12)
    try fixture.page("merged").set(MergeCounter.lateMessagesB, 8)
    try fixture.page("merged").set(MergeCounter.gapsFilledByLine, 21)
    publisher.set(PublishCounter.clientsRefused, 10)
    publisher.set(PublishCounter.refusedToken, 4)
    publisher.set(PublishCounter.clientsEvicted, 6)
    publisher.set(PublishCounter.evictedSlow, 6)
    publisher.set(PublishCounter.eventsShed, 77)
    let recovery = try RecoveryPage.attach(directory: fixture.path, access: .readWrite)
    for duration in [900, 70_000, 80_000] as [UInt64] { recovery.addRecovery(nanoseconds: duration) }
    XCTAssertEqual(publisher.pid, supervisor.pid)
    let values = metrics(try fixture.sample())
    let expected = [
      "bulkhead_book_instruments{state=\"live\"}": "7", "bulkhead_book_instruments{state=\"stale\"}": "2",
      "bulkhead_book_instruments{state=\"quarantined\"}": "1",
      "bulkhead_book_rejects_total{reason=\"unknown_reference\"}": "7",
      "bulkhead_line_kernel_drops_total{channel=\"itch\",line=\"b\"}": "5",
      // B was the later one: A led.
      "bulkhead_line_lead_seconds{channel=\"itch\",line=\"a\",quantile=\"0.5\"}": "0.000002048",
      "bulkhead_stage_latency_seconds_bucket{stage=\"pubd\",le=\"0.000001\"}": "0",
      "bulkhead_stage_latency_seconds_bucket{stage=\"pubd\",le=\"0.0000025\"}": "1",
      "bulkhead_stage_latency_seconds_count{stage=\"pubd\"}": "1",
      "bulkhead_process_restarts_total{process=\"merged\",reason=\"killed\"}": "2",
      "bulkhead_process_restarts_total{process=\"merged\",reason=\"trap\"}": "1",
      "bulkhead_process_restarts_total{process=\"merged\",reason=\"operator\"}": "1",
      "bulkhead_process_restarts_total{process=\"merged\",reason=\"fenced\"}": "0",
      "bulkhead_process_restarts_total{process=\"watchdogd\",reason=\"unknown\"}": "0",
      "bulkhead_book_crossed_total": "12",
      "bulkhead_line_late_total{channel=\"itch\",line=\"a\"}": "0",
      "bulkhead_line_late_total{channel=\"itch\",line=\"b\"}": "8",
      "bulkhead_gaps_filled_total{channel=\"itch\",source=\"line\"}": "21",
      "bulkhead_clients_refused_total{reason=\"token\"}": "4",
      "bulkhead_clients_refused_total{reason=\"other\"}": "6",
      "bulkhead_client_evictions_total{reason=\"slow\"}": "6",
      "bulkhead_client_evictions_total{reason=\"other\"}": "0",
      "bulkhead_client_events_shed_total": "77",
      // 900 ns are below 2^10 ns, 70 and 80 us below 2^18 and not below 2^16.
      "bulkhead_recovery_duration_seconds_bucket{channel=\"itch\",le=\"0.000001024\"}": "1",
      "bulkhead_recovery_duration_seconds_bucket{channel=\"itch\",le=\"0.000065536\"}": "1",
      "bulkhead_recovery_duration_seconds_bucket{channel=\"itch\",le=\"0.000262144\"}": "3",
      "bulkhead_recovery_duration_seconds_bucket{channel=\"itch\",le=\"+Inf\"}": "3",
      "bulkhead_recovery_duration_seconds_sum{channel=\"itch\"}": "0.0001509",
      "bulkhead_clients{state=\"slow\"}": "0",
      "bulkhead_process_degraded{process=\"merged\"}": "1",
      "bulkhead_process_degraded{process=\"bookd\"}": "0",
      "bulkhead_process_usual_latency_seconds{process=\"merged\"}": "0.0015",
      "bulkhead_process_neighbour{process=\"merged\",core=\"0\"}": "1",
      "bulkhead_process_neighbour{process=\"bookd\",core=\"\"}": "0",
      "bulkhead_work_shed{work=\"view\"}": "0", "bulkhead_work_shed{work=\"snapshots\"}": "1",
      "bulkhead_process_restarts_total{process=\"bookd\",reason=\"killed\"}": "0",
      "bulkhead_process_state{process=\"pubd\",state=\"READY\"}": "1",
      "bulkhead_process_state{process=\"pubd\",state=\"HALTED\"}": "0",
      "bulkhead_ring_capacity_slots{ring=\"merged\"}": "64", "bulkhead_verdict{verdict=\"down\"}": "0",
    ]
    for (series, value) in expected { XCTAssertEqual(values[series], value, series) }
    XCTAssertNil(values["bulkhead_journal_bytes_total"], "there is no tape")
    XCTAssertNil(values["bulkhead_clock_synchronized"], "nobody has asked the kernel")
    XCTAssertNil(values["bulkhead_epoch"], "there is no stream of books yet")
    XCTAssertNotNil(values["bulkhead_process_page_faults_total{process=\"merged\",kind=\"minor\"}"])
  }

  /// What viewd asks the host, and what a recorder counts.
  func testTheHostAndTheTapeBecomeMetrics() throws {
    let fixture = try Fixture()
    try ControlPage.create(directory: fixture.path, component: "taped", configurationHash: Fixture.hash)
    let tape = try fixture.page("taped")
    tape.set(TapeCounter.bytesWritten, 5_000)
    tape.set(TapeCounter.tapeBytes, 3_000)
    tape.set(TapeCounter.probesDiffered, 2)
    tape.set(TapeCounter.synchronizationNanoseconds, 3_000_000)
    // Two of 1 to 2 ms: below 2^21 ns.
    tape.counter(TapeCounter.firstSynchronizationBucket.rawValue + 21).storeRelaxed(2)
    try RingProducer.create(
      path: "\(fixture.path)/book.ring", name: "book",
      geometry: RingGeometry(cellCount: 64, maximumRecordBytes: 56), readers: ["pubd"],
      configurationHash: Fixture.hash)
    let producer = try RingProducer.attach(
      path: "\(fixture.path)/book.ring", readers: ["pubd"], configurationHash: Fixture.hash)
    let life: UInt64 = 1_750_000_000_123_456_789
    producer.setInputPosition(StreamOrigin.lifeWord, life)
    var facts = SetMetrics.Facts(version: "1", channel: "itch")
    facts.clock = SetMetrics.Clock(isSynchronized: false, maximumError: 16_000_000_000)
    facts.cards = [.init(line: "a", interface: "eth1", drops: [("missed_errors", 9)])]
    let values = metrics(try fixture.sample(), facts)
    let epoch = StreamOrigin.epoch(life: life, producerEpoch: producer.epoch)
    let expected = [
      "bulkhead_journal_bytes_total": "5000", "bulkhead_journal_retained_bytes": "3000",
      "bulkhead_book_checksum_mismatch_total": "2",
      "bulkhead_journal_fsync_seconds_bucket{le=\"0.001048576\"}": "0",
      "bulkhead_journal_fsync_seconds_bucket{le=\"0.004194304\"}": "2",
      "bulkhead_journal_fsync_seconds_sum": "0.003", "bulkhead_journal_fsync_seconds_count": "2",
      "bulkhead_epoch": String(epoch),
      "bulkhead_clock_synchronized": "0", "bulkhead_clock_max_error_seconds": "16",
      "bulkhead_line_nic_drops_total{channel=\"itch\",line=\"a\",interface=\"eth1\",kind=\"missed_errors\"}":
        "9",
    ]
    for (series, value) in expected { XCTAssertEqual(values[series], value, series) }
  }

  /// What is not on the disk grows older with every look, whether the recorder lives or not, until it has everything.
  func testTheJournalsLagGrowsWhileNobodyRecords() throws {
    let fixture = try Fixture()
    try ControlPage.create(directory: fixture.path, component: "taped", configurationHash: Fixture.hash)
    let tape = try fixture.page("taped")
    let merged = try fixture.page("merged")
    let name = "bulkhead_journal_lag_seconds"
    tape.beginIncarnation()
    merged.setAppliedSequence(20)
    XCTAssertNil(metrics(try fixture.sample())[name], "the recorder has yet to look")
    let until: UInt64 = 1_000
    tape.set(TapeCounter.durableUntil, until)
    tape.set(TapeCounter.durableSequence, 19)
    try fixture.end("taped")
    for _ in 0..<3 {
      let sample = try fixture.sample()
      let values = metrics(sample)
      XCTAssertEqual(values["bulkhead_process_up{process=\"taped\",core=\"\"}"], "0")
      XCTAssertEqual(values[name], MetricValue.nanoseconds(sample.instant - until).text)
    }
    tape.set(TapeCounter.durableSequence, 20)
    XCTAssertEqual(metrics(try fixture.sample())[name], "0", "nothing waits")
    merged.setAppliedSequence(21)
    tape.set(TapeCounter.durableUntil, .max)
    XCTAssertEqual(metrics(try fixture.sample())[name], "0", "said after this look began")
  }

  /// Only what the stream stands or falls with makes it untrustworthy.
  func testWhenTheStreamMayBeBelieved() throws {
    let fixture = try Fixture()
    XCTAssertTrue(try fixture.sample().isTrustworthy)
    for beside in ["rxd@a", "pubd", "watchdogd"] { try fixture.end(beside) }
    XCTAssertEqual(try fixture.sample().status.verdict, .degraded)
    XCTAssertTrue(try fixture.sample().isTrustworthy, "what is out is right without them")
    try fixture.page("bookd").setState(.catchingUp)
    XCTAssertFalse(try fixture.sample().isTrustworthy)
    try fixture.page("bookd").setState(.ready)
    try fixture.page("bookd").set(BookCounter.channelStale, 1)
    XCTAssertFalse(try fixture.sample().isTrustworthy)
    try fixture.page("bookd").set(BookCounter.channelStale, 0)
    XCTAssertTrue(try fixture.sample().isTrustworthy)
    try fixture.end("merged")
    XCTAssertFalse(try fixture.sample().isTrustworthy)
  }

  // MARK: Clients

  private func client(_ port: UInt16, waiting: UInt64 = 0, taken: UInt64 = 0) -> ClientTable.Value {
    var client = ClientTable.Value()
    client.address = 0x7F00_0001
    client.port = port
    client.state = .subscribed
    client.waitingBytes = waiting
    client.lastTaken = taken
    client.capacityBytes = 4 << 20
    client.sentBytes = 99
    client.subscriptions = 2
    return client
  }

  func testClientsAreReadAsTheyWereWritten() throws {
    let fixture = try Fixture()
    XCTAssertEqual(try fixture.sample().clients, [])
    let table = try fixture.clients()
    XCTAssertEqual(table.entryCount, 8)
    let all = (0..<8).map { client(UInt16($0 + 1), waiting: UInt64($0)) }
    for (key, client) in all.enumerated() { table.store(client, at: key) }
    XCTAssertEqual(try fixture.sample().clients, all)
    // One has gone, and the others moved up.
    for key in 3..<8 { table.store(nil, at: key) }
    table.store(all[7], at: 9)
    XCTAssertEqual(try fixture.sample().clients, Array(all.prefix(3)))
    try fixture.end("pubd")
    XCTAssertEqual(try fixture.sample().clients, [], "a dead pubd has none")
  }

  func testTheSlowestClientComesFirst() {
    let now: UInt64 = 1_000
    let clients = [
      client(1), client(2, waiting: 5, taken: 900), client(3, waiting: 1, taken: 100),
      client(4, waiting: 9, taken: 900), client(5),
    ]
    XCTAssertEqual(PageState.slowestFirst(clients, now).map(\.port), [3, 4, 2, 1, 5])
    let many = (0..<300).map { client(UInt16($0)) }
    XCTAssertEqual(PageState.slowestFirst(many, now).count, PageState.clientsShown)
  }

  // MARK: Frames

  private func object(_ text: String, file: StaticString = #filePath, line: UInt = #line) throws -> [String:
    Any]
  {
    try XCTUnwrap(
      JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any], text, file: file, line: line)
  }

  private func ids(_ frame: [String: Any], _ key: String = "events") -> [Int] {
    (frame[key] as? [[String: Any]])?.compactMap { $0["id"] as? Int } ?? []
  }

  private func event(_ instant: UInt64) -> SupervisionRecord {
    SupervisionRecord(.died, component: "book\"d", instant: instant)
  }

  /// A page is told each event once, whenever it comes and however many frames it skips; a newcomer gets what there is.
  func testEachPageIsToldEverythingOnce() throws {
    let fixture = try Fixture()
    var state = PageState(version: "1", host: "h")
    var early = PageState.Place()
    var late = PageState.Place()
    state.take(event(1), timeOfDay: 0)
    state.take(try fixture.sample())
    let first = try object(state.frame(after: &early))
    XCTAssertEqual(ids(first), [1])
    XCTAssertEqual(first["host"] as? String, "h")
    XCTAssertEqual((first["processes"] as? [Any])?.count, 6)
    XCTAssertNotNil(first["latency"])
    state.take(try fixture.sample())
    let second = try object(state.frame(after: &early))
    XCTAssertNil(second["events"])
    XCTAssertNil(second["latency"], "slow parts come once a second")
    for instant in 2...5 as ClosedRange<UInt64> {
      state.take(event(instant), timeOfDay: 0)
      state.take(try fixture.sample())
    }
    XCTAssertEqual(ids(try object(state.frame(after: &early))), [2, 3, 4, 5])
    XCTAssertNil(try object(state.frame(after: &early))["events"], "told already")
    XCTAssertEqual(ids(try object(state.frame(after: &late))), [1, 2, 3, 4, 5])
    // A flood: of what is new, the newest.
    for instant in 6...400 as ClosedRange<UInt64> { state.take(event(instant), timeOfDay: 0) }
    XCTAssertEqual(ids(try object(state.frame(after: &early))), Array(361...400))
    var newcomer = PageState.Place()
    XCTAssertEqual(ids(try object(state.frame(after: &newcomer))), Array(201...400))
  }

  func testGapsThatHaveEndedAreToldOnce() throws {
    let fixture = try Fixture()
    let page = try RecoveryPage.attach(directory: fixture.path, access: .readWrite)
    var gap = GapRecord()
    gap.first = 100
    gap.last = 119
    gap.detectedAt = 5
    gap.finishedAt = 1_005
    gap.outcome = 17
    var state = PageState(version: "1", host: "h")
    var place = PageState.Place()
    for number in 1...3 as ClosedRange<UInt64> {
      gap.number = number
      page.putFinished(gap)
      state.take(try fixture.sample())
      let ended = try object(state.frame(after: &place))["ended"] as? [[String: Any]]
      XCTAssertEqual(ended?.count, 1)
      XCTAssertEqual(ended?.first?["number"] as? Int, Int(number))
      XCTAssertEqual(ended?.first?["outcome"] as? String, "filled by line B")
      XCTAssertEqual(ended?.first?["took"] as? Int, 1_000)
    }
    state.take(try fixture.sample())
    XCTAssertNil(try object(state.frame(after: &place))["ended"])
  }

  /// The page is whole: what its HTML loads is served, and nothing in it is loaded from elsewhere.
  func testThePageLoadsOnlyItself() throws {
    let paths = Set(PageFile.all.map(\.path))
    for file in PageFile.all {
      XCTAssertFalse(file.text.isEmpty, file.path)
      let pattern = #"(?:src|href|from|import\()\s*=?\s*["']([^"']+)["']"#
      let matches = try NSRegularExpression(pattern: pattern)
        .matches(in: file.text, range: NSRange(file.text.startIndex..., in: file.text))
      for match in matches {
        let target = String(file.text[try XCTUnwrap(Range(match.range(at: 1), in: file.text))])
        // The example at the head of the client names its own file.
        if target.hasPrefix("#") || target == "./bulkhead.js" { continue }
        let isServed =
          paths.contains(target) || ViewRoute(method: "GET", path: target, accept: nil) != .notFound
        XCTAssertTrue(isServed, "\(file.path) loads \(target)")
      }
      for forbidden in ["innerHTML", "eval(", "https://", "document.write"] {
        XCTAssertFalse(file.text.contains(forbidden), "\(file.path) has \(forbidden)")
      }
    }
  }
}
