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

  private func metrics(_ sample: SetSample) -> [String: String] {
    let families = SetMetrics.families(
      sample, SetMetrics.Facts(version: "1", channel: "itch"), SetMetrics.Server())
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
      "bulkhead_process_restarts_total{process=\"merged\"}": "4",
      "bulkhead_process_degraded{process=\"merged\"}": "1",
      "bulkhead_process_degraded{process=\"bookd\"}": "0",
      "bulkhead_process_usual_latency_seconds{process=\"merged\"}": "0.0015",
      "bulkhead_process_neighbour{process=\"merged\",core=\"0\"}": "1",
      "bulkhead_process_neighbour{process=\"bookd\",core=\"\"}": "0",
      "bulkhead_work_shed{work=\"view\"}": "0", "bulkhead_work_shed{work=\"snapshots\"}": "1",
      "bulkhead_process_restarts_total{process=\"bookd\"}": "0",
      "bulkhead_process_state{process=\"pubd\",state=\"READY\"}": "1",
      "bulkhead_process_state{process=\"pubd\",state=\"HALTED\"}": "0",
      "bulkhead_ring_capacity_slots{ring=\"merged\"}": "64", "bulkhead_verdict{verdict=\"down\"}": "0",
    ]
    for (series, value) in expected { XCTAssertEqual(values[series], value, series) }
    XCTAssertNil(values["bulkhead_journal_bytes"], "there is no tape")
    XCTAssertNotNil(values["bulkhead_process_page_faults_total{process=\"merged\",kind=\"minor\"}"])
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
