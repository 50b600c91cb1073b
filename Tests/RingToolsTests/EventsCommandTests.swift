import XCTest

@testable import ShmRing
@testable import StageRecords
@testable import StageRuntime
@testable import Supervision
@testable import bulkhead

/// `bulkhead events` on a status ring as the supervisor writes it, and on what is none.
final class EventsCommandTests: XCTestCase {
  private func events(
    _ fixture: ToolFixture, _ arguments: String...
  ) throws -> (lines: [String], said: [String], code: Int32) {
    let options = try EventsOptions.parse(arguments + ["--run-directory", fixture.runDirectory])
    let sink = Sink()
    var said: [String] = []
    let code = EventsCommand(options: options, output: sink.output, say: { said.append($0) }).run()
    return (sink.text.split(separator: "\n").map(String.init), said, code)
  }

  private func write(_ records: [SupervisionRecord], to producer: inout RingProducer) {
    for record in records {
      record.write(to: producer.reserve(bytes: SupervisionRecord.bytes))
      producer.commit(kind: record.event.rawValue, bytes: SupervisionRecord.bytes)
      producer.publish()
    }
  }

  private func death(of component: String, _ cause: ExitCause, pid: Int32) -> SupervisionRecord {
    var record = SupervisionRecord(.died, component: component, instant: 5_000_000_000)
    record.pid = pid
    record.epoch = 3
    record.cause = cause.code
    record.code = cause.number
    return record
  }

  func testDeathsAreToldWithTheirCauses() throws {
    let fixture = try ToolFixture()
    try fixture.makeRing("status", maximumRecordBytes: SupervisionRecord.bytes)
    var producer = try fixture.producer("status")
    let causes: [ExitCause] = [
      .requested, .permanent(code: 78), .failed(code: 70), .trap(signal: 4), .aborted, .killed,
      .signalled(signal: 11), .unknown, .fenced, .outOfMemory,
    ]
    write(causes.map { death(of: "bookd", $0, pid: 41) }, to: &producer)
    let (lines, _, code) = try events(fixture)
    XCTAssertEqual(code, 0)
    XCTAssertEqual(lines.count, causes.count)
    for (line, cause) in zip(lines, causes) {
      XCTAssertTrue(line.hasSuffix("bookd       died                process 41, epoch 3: \(cause)"), line)
    }
    let json = try events(fixture, "--json").lines
    XCTAssertEqual(json.count, causes.count)
    XCTAssertTrue(
      json[5].contains("\"event\":\"died\",\"component\":\"bookd\",\"pid\":41,\"epoch\":3"), json[5])
    XCTAssertTrue(json[5].contains("\"cause\":\"killed (SIGKILL)\""), json[5])
  }

  /// What the ladder found is told with tier, measure, age and cause.
  func testAlarmsAreToldWithWhatWasMissing() throws {
    let fixture = try ToolFixture()
    try fixture.makeRing("status", maximumRecordBytes: SupervisionRecord.bytes)
    var producer = try fixture.producer("status")
    var alarm = SupervisionRecord(.alarm, component: "merged", instant: 5_000_000_000)
    (alarm.pid, alarm.epoch, alarm.tier, alarm.value) = (41, 3, LivenessTier.alarm.rawValue, 2_000_500_000)
    alarm.code = Int32(LivenessMeasure.progress.rawValue)
    alarm.cause = StallCause.livelocked.rawValue
    var fenced = SupervisionRecord(.fenced, component: "merged", instant: 5_000_000_000)
    fenced.value = 53_999
    var cleared = SupervisionRecord(.cleared, component: "merged", instant: 5_000_000_000)
    cleared.tier = LivenessTier.mark.rawValue
    // Values that are none are left out.
    var odd = alarm
    (odd.tier, odd.code, odd.cause) = (200, -7, 255)
    write([alarm, fenced, cleared, odd], to: &producer)
    let lines = try events(fixture).lines.map { String($0.dropFirst(17)) }
    XCTAssertEqual(
      lines,
      [
        "merged      alarm               process 41, epoch 3: alarm, no progress for 2000 ms, livelocked: beats, takes no input",
        "merged      fenced              : death confirmed after 53 us",
        "merged      cleared             : was at mark",
        "merged      alarm               process 41, epoch 3: clear",
      ])
    let json = try events(fixture, "--json").lines
    XCTAssertTrue(
      json[0].contains(
        "\"tier\":\"alarm\",\"missing\":\"progress\",\"cause\":\"livelocked: beats, takes no input\",\"value\":2000500000"
      ),
      json[0])
    XCTAssertFalse(
      json[3].contains("tier") || json[3].contains("missing") || json[3].contains("cause"), json[3])
  }

  /// The ring keeps the newest; the rest is not passed over in silence.
  func testWhatIsNotRetainedIsSaid() throws {
    let fixture = try ToolFixture()
    try fixture.makeRing("status", cells: 16, maximumRecordBytes: SupervisionRecord.bytes)
    var producer = try fixture.producer("status")
    var records: [SupervisionRecord] = []
    for pid in 1...20 { records.append(death(of: "merged", .killed, pid: Int32(pid))) }
    write(records, to: &producer)
    let lines = try events(fixture).lines
    XCTAssertTrue(try XCTUnwrap(lines.last).contains("process 20,"), "\(lines)")
    XCTAssertEqual(lines.first, "older events are not retained")
    XCTAssertLessThan(lines.count, 10)
    XCTAssertFalse(lines.contains { $0.contains("process 1,") })
    // A program is told too, in a line of its own that no event is taken for.
    let json = try events(fixture, "--json").lines
    XCTAssertEqual(json.count, lines.count)
    XCTAssertTrue(json[0].hasPrefix("{\"schema\":\"bulkhead.events\""), json[0])
    XCTAssertTrue(json[0].hasSuffix("\"event\":\"events lost\"}"), json[0])
    XCTAssertFalse(json.dropFirst().contains { $0.contains("events lost") }, "\(json)")
    XCTAssertFalse(SupervisionEvent.allCases.map(\.name).contains(EventsCommand.lost))
  }

  func testRecordsThatAreNoneArePassedOver() throws {
    let fixture = try ToolFixture()
    try fixture.makeRing("status", maximumRecordBytes: 120)
    var producer = try fixture.producer("status")
    for bytes in [0, 8, 63, 64, 120] {
      producer.reserve(bytes: bytes).initializeMemory(as: UInt8.self, repeating: 0xFF, count: bytes)
      producer.commit(kind: 9, bytes: bytes)
    }
    producer.publish()
    // A name that fills its field has no end mark.
    write([death(of: String(repeating: "n", count: 40), .killed, pid: 7)], to: &producer)
    let (lines, _, code) = try events(fixture)
    XCTAssertEqual(code, 0)
    XCTAssertEqual(lines.count, 1)
    XCTAssertTrue(lines[0].contains(String(repeating: "n", count: 24) + " died"), lines[0])
  }

  func testNoSetAndNoRing() throws {
    let fixture = try ToolFixture()
    let (_, said, code) = try events(fixture, "--name", "absent")
    XCTAssertEqual(code, 3)
    XCTAssertEqual(said, ["no set \"absent\" in \(fixture.runDirectory)"])
    try fixture.makeRing("merged")
    let without = try events(fixture)
    XCTAssertEqual(without.code, 4)
    XCTAssertTrue(try XCTUnwrap(without.said.first).contains("status.ring"), "\(without.said)")
  }

  func testARecordSurvivesItsBytes() throws {
    var record = SupervisionRecord(.alarm, component: "rxd@a", instant: 1 << 62)
    (record.epoch, record.value, record.pid, record.code) = (7, .max, 12, -5)
    (record.tier, record.cause) = (2, 9)
    var bytes = [UInt8](repeating: 0xAA, count: SupervisionRecord.bytes)
    bytes.withUnsafeMutableBytes { record.write(to: $0.baseAddress!) }
    XCTAssertEqual(bytes.withUnsafeBytes { SupervisionRecord($0) }, record)
  }
}
