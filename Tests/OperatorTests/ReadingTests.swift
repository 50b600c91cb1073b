import Foundation
import XCTest

@testable import SetInspection
@testable import ShmRing
@testable import StageRecords
@testable import StageRuntime
@testable import Supervision
import ViewPages
@testable import bulkhead

/// The commands that look, on a set that this process wrote: texts, JSON, schemas, exit codes.
final class ReadingTests: XCTestCase {
  private let show = Presentation()

  private func death(_ component: String, _ cause: ExitCause, at instant: UInt64) -> SupervisionRecord {
    var record = SupervisionRecord(.died, component: component, instant: instant)
    record.cause = cause.code
    record.code = cause.number
    return record
  }

  // MARK: Texts

  func testProcesses() throws {
    let set = try SyntheticSet()
    set.fill()
    try set.end("bookd")
    set.page("pubd") { $0.setState(.catchingUp) }
    set.page("merged") {
      $0.word(0xE0).storeRelaxed(1_000_000_000)
      $0.word(0xD0).storeRelaxed(100_000_000_000_000)
    }
    // 100,000 s after boot: whatever else the pages say lies before or behind it.
    let sample = try set.sample(monotonic: 100_000_002_500_000)
    let lines = ProcessesCommand(
      options: set.options, show: show, output: Printed().output
    )
    .lines([sample])
    XCTAssertEqual(lines.count, 7)
    XCTAssertEqual(
      lines[0].split(separator: " ").map(String.init),
      [
        "INSTANCE", "PROCESS", "PID", "STATE", "EPOCH", "UPTIME", "BEAT", "RESTARTS", "ARMED",
        "CONFIGURATION",
      ])
    XCTAssertEqual(
      lines[3].split(separator: " ").map(String.init),
      ["demo", "merged", "\(getpid())", "READY", "1", "1d03h", "2.50ms", "0", "-", "c0ffee0012345678"])
    let dead = lines[4].split(separator: " ").map(String.init)
    XCTAssertEqual([dead[1], dead[3], dead[5], dead[6]], ["bookd", "dead", "-", "-"])
    XCTAssertTrue(lines[5].contains("CATCHING_UP"))
    // Every line's columns begin at the same place.
    let place = lines[0].distance(
      from: lines[0].startIndex, to: try XCTUnwrap(lines[0].range(of: "STATE")).lowerBound)
    for line in lines { XCTAssertNotEqual(Array(line)[place], " ", line) }
  }

  func testLatencies() throws {
    let set = try SyntheticSet()
    set.fill()
    let printed = Printed()
    let code = LatencyCommand(
      options: set.options, stage: nil, interval: nil, show: show, output: printed.output
    ).run()
    XCTAssertEqual(code, 0)
    try expectGolden(printed.text, "lat.txt")
    let one = Printed()
    XCTAssertEqual(
      LatencyCommand(options: set.options, stage: "bookd", interval: nil, show: show, output: one.output)
        .run(), 0)
    XCTAssertEqual(one.text.split(separator: "\n").count, 2)
    XCTAssertEqual(
      LatencyCommand(options: set.options, stage: "nobody", interval: nil, show: show, output: one.output)
        .run(), 1)
  }

  func testClients() throws {
    let set = try SyntheticSet()
    set.fill()
    let printed = Printed()
    XCTAssertEqual(ClientsCommand(options: set.options, show: show, output: printed.output).run(), 0)
    try expectGolden(printed.text, "clients.txt")
    try set.end("pubd")
    XCTAssertEqual(ClientsCommand(options: set.options, show: show, output: Printed().output).run(), 1)
  }

  /// Deaths of one kind are one line with the first and the last time; what was asked for is no error.
  func testErrors() throws {
    let set = try SyntheticSet()
    XCTAssertEqual(ErrorsCommand(options: set.options, show: show, output: Printed().output).run(), 0)
    set.fill()
    var alarm = SupervisionRecord(.alarm, component: "merged", instant: 7_000_000_000)
    alarm.tier = LivenessTier.alarm.rawValue
    alarm.code = Int32(LivenessMeasure.progress.rawValue)
    alarm.cause = StallCause.livelocked.rawValue
    var mark = alarm
    mark.tier = LivenessTier.mark.rawValue
    try set.note(
      death("bookd", .killed, at: 5_000_000_000), death("bookd", .killed, at: 9_000_000_000),
      death("bookd", .requested, at: 9_500_000_000), death("pubd", .failed(code: 70), at: 6_000_000_000),
      alarm, mark)
    let entries = ErrorsCommand.entries(of: try set.sample())
    XCTAssertEqual(
      entries.map { "\($0.component) \($0.count) \($0.error)" },
      [
        "bookd 2 died: killed (SIGKILL)", "pubd 1 died: \(ExitCause.failed(code: 70))",
        "merged 1 alarm: no progress, \(StallCause.livelocked.name)",
        "rxd@b 7 datagrams dropped by the kernel: the socket's buffer was full",
        "bookd 3 messages about unknown orders",
      ])
    XCTAssertEqual((entries[0].last ?? 0) - (entries[0].first ?? 0), 4_000_000_000, accuracy: 1_000_000)
    XCTAssertNil(entries[3].first)
    let printed = Printed()
    XCTAssertEqual(ErrorsCommand(options: set.options, show: show, output: printed.output).run(), 1)
    XCTAssertEqual(printed.text.split(separator: "\n").count, 6)
  }

  /// Rates are differences; what was counted before, and what an earlier process counted more of, is none.
  func testRates() throws {
    let set = try SyntheticSet()
    set.fill()
    let earlier = try set.sample(monotonic: 1_000_000_000)
    set.page("rxd@a") { $0.set(ReceiverCounter.packets, 3_000) }
    set.page("rxd@b") { $0.set(ReceiverCounter.kernelDrops, 9) }
    set.page("merged") {
      $0.set(MergeCounter.messagesPublished, 2_424_800)
      $0.set(MergeCounter.gapsDetected, 14)
      $0.set(MergeCounter.gapsOpen, 1)
    }
    set.page("bookd") {
      $0.set(BookCounter.eventsPublished, 4_000_000)
      for _ in 0..<100 { $0.latency.record(5_000) }
    }
    set.page("pubd") { $0.set(PublishCounter.framesSent, 123_456 + 30_000_000) }
    let rates = SetRates(try set.sample(monotonic: 3_000_000_000), since: earlier)
    XCTAssertEqual(rates.packets, 1_000)
    XCTAssertEqual(rates.merged, 212_400)
    XCTAssertEqual(rates.events, 0)
    XCTAssertEqual(rates.frames, 15_000_000)
    XCTAssertEqual(rates.kernelDrops, 2)
    let command = StatCommand(
      options: set.options, interval: 1, count: 1, hasHeadings: true, show: show, output: Printed().output)
    let text = [
      StatCommand.line(StatCommand.headings), StatCommand.line(command.cells(rates, at: 45_296_789_000_000)),
    ]
    try expectGolden(text.joined(separator: "\n") + "\n", "stat.txt")
  }

  func testChecks() throws {
    let set = try SyntheticSet()
    set.fill()
    func check(_ area: SetCheck.Area) throws -> SetCheck.Level { SetCheck(area, of: try set.sample()).level }
    for area in SetCheck.Area.allCases { XCTAssertEqual(try check(area), .ok, area.rawValue) }
    set.page("pubd") { $0.setState(.catchingUp) }
    XCTAssertEqual(try check(.processes), .warning)
    XCTAssertEqual(try check(.trust), .warning)
    try set.end("pubd")
    XCTAssertEqual(try check(.processes), .critical)
    XCTAssertEqual(try check(.clients), .critical)
    set.page("merged") { $0.set(MergeCounter.lineBUp, 0) }
    XCTAssertEqual(try check(.lines), .warning)
    set.page("merged") { $0.set(MergeCounter.lineAUp, 0) }
    XCTAssertEqual(try check(.lines), .critical)
    set.page("merged") { $0.set(MergeCounter.gapsOpen, 1) }
    XCTAssertEqual(try check(.gaps), .warning)
    set.page("merged") { $0.set(MergeCounter.gapsUnrecoverable, 1) }
    XCTAssertEqual(try check(.gaps), .critical)
    set.page("bookd") { $0.set(BookCounter.channelStale, 1) }
    XCTAssertEqual(try check(.trust), .critical)
    // The cursor of a reader that takes nothing.
    var producer = try RingProducer.attach(
      path: "\(set.directory)/merged.ring", readers: ["bookd"],
      configurationHash: SyntheticSet.configurationHash)
    _ = try RingConsumer.attach(
      path: "\(set.directory)/merged.ring", reader: "bookd", start: .cursor,
      configurationHash: SyntheticSet.configurationHash)
    let retention =
      try set.sample().rings.rings.first { $0.name == "merged" }.map { Int($0.words.retention) } ?? 0
    XCTAssertGreaterThan(retention, 20)
    for number in 0..<(retention * 8 / 10) {
      producer.reserve(bytes: 8).storeBytes(of: UInt64(number), as: UInt64.self)
      producer.commit(kind: 1, bytes: 8)
      producer.publish()
    }
    XCTAssertEqual(try check(.rings), .warning)
    XCTAssertEqual(SetCheck(.rings, of: try set.sample(), warn: 20, critical: 60).level, .critical)
    XCTAssertEqual(SetCheck(.rings, of: try set.sample(), warn: 90, critical: 95).level, .ok)
  }

  func testCheckFormats() throws {
    let set = try SyntheticSet()
    set.fill()
    set.page("merged") { $0.set(MergeCounter.gapsOpen, 3) }
    func run(_ arguments: String...) throws -> (text: String, code: Int32) {
      let all = arguments + ["--run-directory", set.runDirectory]
      let printed = Printed()
      let parsed = try CommandArguments(all, of: .check) { _ in nil }
      let code = try CheckCommand(parsed, output: printed.output).run()
      return (printed.text, code)
    }
    let nagios = try run()
    XCTAssertEqual(nagios.code, 1)
    try expectGolden(nagios.text, "check.nagios.txt")
    try expectGolden(try run("--format", "prometheus").text, "check.prometheus.txt")
    try expectGolden(try run("--format", "text").text, "check.text.txt")
    XCTAssertEqual(try run("gaps", "--warn", "5", "--critical", "9").code, 0)
    XCTAssertEqual(try run("gaps", "--warn", "1", "--critical", "3").code, 2)
    XCTAssertEqual(
      try run("processes").text, "BULKHEAD OK - demo processes: 6 run, every stage READY | 'processes'=6;;\n")
    XCTAssertEqual(try run("--name", "nobody").code, 2)
    XCTAssertThrowsError(try run("--warn", "5"))
    XCTAssertThrowsError(try run("lines", "--warn", "5"))
  }

  // MARK: Exit codes

  func testReadinessByExitCode() throws {
    let set = try SyntheticSet()
    func run(_ arguments: String...) -> Int32 {
      CommandTable.dispatch(arguments + ["--run-directory", set.runDirectory])
    }
    XCTAssertEqual([run("is-live"), run("is-ready"), run("wait", "--timeout", "0")], [0, 0, 0])
    XCTAssertEqual(run("wait", "--gone", "--timeout", "0"), 1)
    set.page("bookd") { $0.setState(.catchingUp) }
    XCTAssertEqual([run("is-live"), run("is-ready"), run("wait", "--timeout", "0")], [0, 1, 1])
    XCTAssertEqual(run("wait", "--live", "--timeout", "0"), 0)
    set.page("bookd") {
      $0.setState(.ready); $0.set(BookCounter.channelStale, 1)
    }
    XCTAssertEqual([run("is-live"), run("is-ready")], [0, 1], "books that may be wrong are not READY")
    set.page("bookd") { $0.set(BookCounter.channelStale, 0) }
    try set.end(InstanceFiles.supervisor)
    XCTAssertEqual([run("is-live"), run("is-ready")], [1, 1])
    for name in SyntheticSet.stageNames { try set.end(name) }
    XCTAssertEqual([run("is-live"), run("is-ready")], [3, 3])
    XCTAssertEqual(run("wait", "--gone", "--timeout", "0"), 0)
    XCTAssertEqual(run("wait", "--gone", "--live"), 64)
    XCTAssertEqual([run("is-live", "--name", "nobody"), run("lat", "--name", "nobody")], [3, 3])
    XCTAssertEqual([run("stat", "--count", "1"), run("ps"), run("clients"), run("errors")], [3, 0, 1, 0])
  }

  /// The families of viewd, of a set whose processes have ended too; nothing of viewd's own.
  func testMetrics() throws {
    let set = try SyntheticSet()
    set.fill()
    for name in SyntheticSet.stageNames { try set.end(name) }
    for format in [MetricsText.Format.prometheus, .openMetrics] {
      let printed = Printed()
      XCTAssertEqual(MetricsCommand(options: set.options, format: format, output: printed.output).run(), 0)
      let lines = printed.text.split(separator: "\n").map(String.init)
      XCTAssertTrue(
        lines.contains { $0.hasPrefix("bulkhead_process_up") && $0.hasSuffix(" 0") }, printed.text)
      XCTAssertTrue(
        lines.contains {
          $0.hasPrefix("bulkhead_line_kernel_drops") && $0.contains("line=\"b\"") && $0.hasSuffix(" 7")
        }, "its drops: \(printed.text)")
      XCTAssertFalse(printed.text.contains("bulkhead_view_"), "viewd's own")
      XCTAssertEqual(lines.last == "# EOF", format == .openMetrics)
      // A sample is a name, labels, and one value.
      for line in lines where !line.hasPrefix("#") {
        XCTAssertNotNil(line.wholeMatch(of: /bulkhead_[a-z0-9_]+(\{.*\})? [-+0-9.eEInfNa]+/), line)
      }
    }
    XCTAssertEqual(CommandTable.dispatch(["metrics", "--name", "x", "--run-directory", set.runDirectory]), 3)
  }

  /// Two that run: the user is told which there are. One that runs beside a dead one is meant.
  func testSeveralSetsAreNamed() throws {
    let set = try SyntheticSet(instance: "left")
    let other = try SyntheticSet(instance: "right", in: set.runDirectory)
    let options = SetOptions(runDirectory: set.runDirectory)
    guard case .failure(let failure) = options.onlySet() else { return XCTFail("ambiguous") }
    XCTAssertEqual(failure.line, "several sets: name one with --name: left, right")
    XCTAssertEqual(failure.code, 64)
    XCTAssertEqual(CommandTable.dispatch(["is-live", "--run-directory", set.runDirectory]), 64)
    for name in SyntheticSet.stageNames + [InstanceFiles.supervisor] { try other.end(name) }
    guard case .success(let found) = options.onlySet() else { return XCTFail("only one runs") }
    XCTAssertEqual(found.instance, "left")
  }

  /// A page that is no page, or of another version, takes nothing else down.
  func testDamagedPagesAreLeftOut() throws {
    let set = try SyntheticSet()
    set.fill()
    set.page("bookd") { $0.word(0).storeRelaxed(0x1234) }
    let sample = try set.sample()
    XCTAssertNil(sample.component("bookd"))
    XCTAssertNotNil(sample.component("merged"))
    for command in ["ps", "lat", "clients", "errors"] {
      XCTAssertLessThan(CommandTable.dispatch([command, "--run-directory", set.runDirectory]), 64, command)
    }
    // A histogram full of nonsense.
    set.page("merged") { page in
      for word in 0..<1_900 {
        page.word(ControlPage.histogramOffset + word * 8).storeRelaxed(.max - UInt64(word))
      }
    }
    // Of bookd nothing can be told.
    XCTAssertEqual(CommandTable.dispatch(["lat", "--raw", "--run-directory", set.runDirectory]), 4)
  }

  // MARK: JSON

  /// Fields by name, then every byte; bytes that are no FIX message have no fields.
  func testMessagesAreShownByteByByte() {
    let message = Array("8=FIX.4.4\u{1}35=q\u{1}9999=x=y\u{1}".utf8)
    XCTAssertEqual(
      MessageText.lines(message),
      [
        "  8     BeginString           FIX.4.4", "  35    MsgType               q",
        "  9999                        x=y", "",
        "  0000  38 3d 46 49 58 2e 34 2e 34 01 33 35 3d 71 01 39   8=FIX.4.4.35=q.9",
        "  0010  39 39 39 3d 78 3d 79 01                           999=x=y.",
      ])
    XCTAssertEqual(
      MessageText.lines(Array("halt\u{0}".utf8)),
      ["  0000  68 61 6c 74 00                                    halt."])
    XCTAssertEqual(MessageText.lines([]), [])
  }

  /// Every report in JSON, on a set that has everything, is what its schema says, and what it was.
  func testReportsMatchTheirSchemas() throws {
    let set = try SyntheticSet()
    set.fill()
    var withheld = SupervisionRecord(.action, component: "merged", instant: 6_000_000_000)
    withheld.tier = ActionResult.disarmed.rawValue
    withheld.cause = ActionCause.alarm.rawValue
    withheld.value = UInt64(SafetyAction.datagram.rawValue)
    try set.note(death("bookd", .killed, at: 5_000_000_000), withheld)
    let printed = Printed()
    let output = printed.output
    _ = ProcessesCommand(options: set.jsonOptions, show: show, output: output).run()
    _ = LatencyCommand(options: set.jsonOptions, stage: nil, interval: nil, show: show, output: output).run()
    _ = ClientsCommand(options: set.jsonOptions, show: show, output: output).run()
    _ = ErrorsCommand(options: set.jsonOptions, show: show, output: output).run()
    let check = ["--format", "json", "--run-directory", set.runDirectory]
    _ = try CheckCommand(CommandArguments(check, of: .check) { _ in nil }, output: output).run()
    _ = StatCommand(
      options: set.jsonOptions, interval: 1_000_000, count: 1, hasHeadings: false, show: show, output: output
    ).run()
    var events = EventsOptions(try CommandArguments([], of: .events) { _ in nil })
    var gaps = GapsOptions(try CommandArguments([], of: .gaps) { _ in nil })
    var rings = RingsOptions(try CommandArguments([], of: .rings) { _ in nil })
    (events.set, gaps.set, rings.set) = (set.jsonOptions, set.jsonOptions, set.jsonOptions)
    _ = GapsCommand(options: gaps, output: output).run()
    _ = RingsCommand(options: rings, output: output).run()
    var documents = printed.text.split(separator: "\n").map(String.init)
    documents.append(
      JSONReport(schema: "status").text { json in
        json.array("sets") { json in (try? set.sample())?.status?.write(to: &json) }
      })
    XCTAssertEqual(documents.count, 9)
    for document in documents {
      let name = try XCTUnwrap(
        (JSONSerialization.jsonObject(with: Data(document.utf8)) as? [String: Any])?["schema"] as? String)
      if !["bulkhead.stat", "bulkhead.rings", "bulkhead.gaps", "bulkhead.status"].contains(name) {
        try expectGolden(try redacted(document), "\(name.dropFirst(9)).json")
      }
    }
    let lines = Printed()
    _ = EventsCommand(options: events, output: lines.output).run()
    XCTAssertTrue(lines.text.contains(#""cause":"alarm""#) && lines.text.contains(#""result":"disarmed""#))
    var dryRun = ControlAnswer(.accepted, "merged:cancel-all is fired")
    dryRun.message = Array("8=FIX.4.4\u{1}9=5\u{1}35=q\u{1}10=000\u{1}".utf8)
    let firing = try ArmingCommand(
      .fire, try CommandArguments(["cancel-all", "--dry-run", "--json"], of: .fire) { _ in nil })
    let directory = try XCTUnwrap(SetDirectory(instance: set.instance, path: set.directory))
    documents += [firing.report(dryRun, directory), firing.report(ControlAnswer(.refused, "no"), directory)]
    try validateReports(documents + lines.text.split(separator: "\n").map(String.init))
  }
}
