import CLinux
import Drills
import Foundation
import XCTest

@testable import SetInspection
@testable import StageRecords
@testable import StageRuntime
@testable import Supervision
@testable import bulkhead

/// Answers requests as a watchdogd would that agrees with everything that it is asked.
private final class AgreeingSupervisor: @unchecked Sendable {
  private let listener: Int32
  private let thread: Thread
  private let ended = DispatchSemaphore(value: 0)

  init(directory: String) throws {
    let listener = bulkhead_open_request_listener(directory, InstanceFiles.requestSocket)
    guard listener >= 0 else { throw POSIXError(.EIO) }
    self.listener = listener
    thread = Thread { [ended] in
      while !Thread.current.isCancelled {
        var wait = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
        guard poll(&wait, 1, 20) > 0 else { continue }
        var (user, process) = (UInt32(0), Int32(0))
        let connection = bulkhead_accept_request(listener, &user, &process)
        guard connection >= 0 else { continue }
        Self.serve(connection)
        close(connection)
      }
      ended.signal()
    }
    thread.start()
  }

  private static func serve(_ connection: Int32) {
    var wait = pollfd(fd: connection, events: Int16(POLLIN), revents: 0)
    guard poll(&wait, 1, 10_000) > 0 else { return }
    var bytes = [UInt8](repeating: 0, count: ControlRequest.bytes + 1)
    let count = bytes.withUnsafeMutableBytes {
      bulkhead_tcp_receive(connection, $0.baseAddress, UInt($0.count))
    }
    guard count > 0,
      let request = bytes.withUnsafeBytes({ ControlRequest(UnsafeRawBufferPointer(rebasing: $0[..<count])) })
    else { return }
    let subject = request.component.isEmpty ? "the set" : request.component
    let answer = ControlAnswer(.accepted, "\(request.verb.name) \(subject), epoch \(request.epoch)")
    _ = answer.encoded.withUnsafeBytes { bulkhead_tcp_send(connection, $0.baseAddress, UInt($0.count)) }
  }

  func stop() {
    thread.cancel()
    ended.wait()
    close(listener)
  }
}

extension CommandOutputTests {
  /// Commands without a golden text, and why.
  private static let withoutGolden = [
    "run": "a report of a run: PipelineTests judge it", "drill": "drills are added all the time",
    "bundle": "an archive: BundleTests open it", "tape": "TapeTests judge what it prints of a tape",
  ]

  /// Goldens are found by their names: `command.NAME.…` or `NAME.…`. Those that say nothing do not count.
  func testEveryCommandHasAGolden() throws {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Golden")
    let files = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { name in
      let size = try FileManager.default.attributesOfItem(
        atPath: folder.appendingPathComponent(name).path)[.size]
      return (size as? Int ?? 0) > 0
    }
    for command in CommandTable.commands {
      let name = command.name
      let has = files.contains { $0.hasPrefix("command.\(name).") || $0.hasPrefix("\(name).") }
      XCTAssertEqual(has, Self.withoutGolden[name] == nil, "\(name): a golden of its output")
    }
    XCTAssertEqual(
      Set(Self.withoutGolden.keys).subtracting(CommandTable.commands.map(\.name)), [], "reasons for nothing")
  }

  /// A set to which everything has happened that the reading commands tell of.
  private func troubledSet() throws -> SyntheticSet {
    let set = try filledSet()
    let page = try RecoveryPage.attach(directory: set.directory, access: .readWrite)
    func gap(_ number: UInt64, _ range: ClosedRange<UInt64>, outcome: UInt64) -> GapRecord {
      var record = GapRecord()
      (record.number, record.first, record.last) = (number, range.lowerBound, range.upperBound)
      (record.detectedAt, record.firstRequestAt, record.lastRequestAt) = (1_000_000, 3_000_000, 4_000_000)
      record.finishedAt = outcome == 0 ? 0 : 6_000_000
      (record.requests, record.rung, record.outcome, record.epoch) = (2, 3, outcome, 1)
      return record
    }
    page.putFinished(gap(1, 5...9, outcome: 16))
    page.putFinished(gap(2, 100...1_099, outcome: 1))
    page.putOpen(count: 1, at: 7_000_000) { _ in gap(0, 2_000...2_811, outcome: 0) }
    page.addDisagreement(
      DisagreementEntry(
        sequence: 77, refusedSource: 1, kept: [1, 2, 3, 4], refused: [1, 2, 3, 5], keptLength: 4,
        refusedLength: 4))
    set.page("merged") {
      $0.set(MergeCounter.gapsOpen, 1)
      $0.set(MergeCounter.gapsUnrecoverable, 1)
      $0.set(MergeCounter.lineBUp, 0)
    }
    set.page("bookd") { $0.set(BookCounter.staleInstruments, 4) }
    // bookd's first incarnation ended in a trap.
    try DeathPage.create(directory: set.directory, component: "bookd")
    var death = DeathRecord()
    (death.epoch, death.pid, death.instant) = (1, 4_711, 3_000_000_000)
    (death.cause, death.causeNumber) = (ExitCause.trap(signal: 4).code, 4)
    (death.state, death.beats, death.beatTime) = (StageState.ready.rawValue, 1_234, 2_999_800_000)
    (death.began, death.ready, death.longestBeatGap) = (1_000_000_000, 1_200_000_000, 3_500_000)
    (death.appliedSequence, death.backlog) = (5_003, 0)
    death.rings = [
      RingStand(ring: "merged", isReader: true, position: 6_003, published: 7_100),
      RingStand(ring: "book", isReader: false, position: 15_000, published: 15_000),
    ]
    let deaths = try DeathPage.attach(directory: set.directory, component: "bookd", access: .readWrite)
    deaths.add(death)
    set.page("bookd") {
      $0.beginIncarnation()
      $0.setState(.ready)
      $0.word(0xD0).storeRelaxed(1 << 62)
    }
    return set
  }

  /// Compares what a command says with its golden; returns its JSON, too.
  private func judge(
    _ arguments: [String], _ place: [String], code: Int32, named name: String? = nil, json: Bool = true,
    _ set: SyntheticSet
  ) throws -> [String] {
    let text = try run(arguments + place)
    XCTAssertEqual(text.code, code, "\(arguments): \(text)")
    let words = arguments.map {
      $0.replacingOccurrences(of: "--", with: "").replacingOccurrences(of: " ", with: "-")
    }
    try expectGolden(
      normalized(text.output, set)
        + (text.errors.isEmpty ? "" : "-- said:\n" + normalized(text.errors, set)),
      "command.\(name ?? words.joined(separator: ".")).txt")
    guard json else { return [] }
    let machine = try run(arguments + place + ["--json"])
    XCTAssertEqual(machine.code, code, "\(arguments): \(machine)")
    let lines = machine.output.split(separator: "\n").map(String.init)
    XCTAssertFalse(lines.isEmpty, "\(arguments) --json: \(machine)")
    return lines
  }

  /// What reads, of a set that has a past.
  func testReadingATroubledSet() throws {
    let set = try troubledSet()
    let place = ["--run-directory", set.runDirectory]
    var documents: [String] = []
    for (arguments, code) in [
      (["status"], 1), (["gaps"], 1), (["gaps", "--open"], 1), (["postmortem"], 0),
      (["postmortem", "bookd"], 0), (["errors"], 1), (["events"], 0), (["ps"], 0),
    ] as [([String], Int32)] {
      let name =
        "\(arguments[0]).troubled" + arguments.dropFirst().map { "." + $0.filter { $0 != "-" } }.joined()
      documents += try judge(arguments, place, code: code, named: name, set)
    }
    for format in ["text", "nagios", "prometheus"] {
      _ = try judge(
        ["check", "--format", format], place, code: 2, named: "check.troubled.\(format)", json: false, set)
    }
    // What was kept may be another host's: this one is left out.
    documents += try judge(
      ["doctor", "--from", set.runDirectory], [], code: 1, named: "doctor.troubled", set)
    // Those that say nothing say why not.
    try set.end("pubd")
    for arguments in [["is-live"], ["is-ready"], ["wait", "--timeout", "0"]] {
      documents += try judge(arguments, place, code: 1, named: "\(arguments[0]).dead", set)
    }
    let metrics = try run(["metrics"] + place)
    XCTAssertEqual(metrics.code, 0, metrics.errors)
    let samples = metrics.output.split(separator: "\n").map { line in
      // The core on which a process ran last is this machine's.
      line.hasPrefix("#")
        ? String(line)
        : line.split(separator: " ").dropLast().joined(separator: " ").replacing(
          /core="[0-9]*"/, with: "core=\"N\"")
          + " V"
    }
    try expectGolden(normalized(samples.joined(separator: "\n") + "\n", set), "command.metrics.txt")
    try validateReports(documents)
  }

  /// What acts, on a set whose watchdogd agrees.
  func testActingOnASet() throws {
    let set = try filledSet()
    for name in ["taped"] {
      try ControlPage.create(
        directory: set.directory, component: name, configurationHash: SyntheticSet.configurationHash)
      set.page(name) {
        $0.beginIncarnation()
        $0.setState(.ready)
      }
    }
    let supervisor = try AgreeingSupervisor(directory: set.directory)
    defer { supervisor.stop() }
    let place = ["--run-directory", set.runDirectory]
    var documents: [String] = []
    for arguments in [
      ["start", "bookd", "--dry-run"], ["stop", "bookd", "--yes", "--timeout", "0"],
      ["restart", "bookd", "--reason", "new build", "--yes", "--timeout", "0"],
      ["drain", "pubd", "--epoch", "1", "--yes", "--timeout", "0"],
      ["maint", "on", "--reason", "debugger", "--yes"], ["maint", "off", "--yes"],
      ["loglevel", "bookd", "debug", "--for", "600"], ["snapshot", "--dry-run"],
      ["upgrade", "bookd", "--rollback", "--dry-run"],
    ] {
      documents += try judge(
        arguments, place, code: 0, named: "\(arguments[0]).agreed\(arguments[1] == "on" ? ".on" : "")", set)
    }
    // The whole set; this process is its watchdogd, and must not be signalled.
    documents += try judge(
      ["stop", "--name", set.instance, "--dry-run"], place, code: 0, named: "stop.set.dry-run", set)
    // What was accepted and has not come true is a failure that a program can read.
    documents += try judge(
      ["drain", "pubd", "--yes", "--timeout", "0.05"], place, code: 1, named: "drain.late", set)
    for verb in ["arm", "disarm", "fire"] {
      _ = try judge([verb, "cancel-all", "--yes"], place, code: 64, named: "\(verb).none", json: false, set)
    }
    _ = try judge(["candidates", "processes"], place, code: 0, json: false, set)
    try validateReports(documents)
  }

  /// What dead sets left behind, for a program.
  func testCleaningInJSON() throws {
    let set = try SyntheticSet(instance: "dead")
    for name in SyntheticSet.stageNames + [InstanceFiles.supervisor] { try set.end(name) }
    let place = ["--run-directory", set.runDirectory]
    let documents = try judge(["ps", "--clean", "--dry-run"], place, code: 0, set)
    let done = try run(["ps", "--clean", "--yes", "--json"] + place)
    XCTAssertEqual(done.code, 0, done.errors)
    XCTAssertTrue(done.output.contains("\"outcome\":\"removed\""), done.output)
    XCTAssertFalse(FileManager.default.fileExists(atPath: set.directory))
    try validateReports(documents + [done.output.trimmingCharacters(in: .newlines)])
  }

  /// What needs no set: help, configuration, host, books.
  func testCommandsOfFilesAndOfThisHost() throws {
    let set = try SyntheticSet()
    let folder = set.directory
    var documents: [String] = []
    for (arguments, code) in [(["help"], 0), (["cheat"], 0), (["version"], 0)] as [([String], Int32)] {
      _ = try judge(arguments, [], code: code, json: false, set)
    }
    // The processors of this machine are in the default topology's placement, and so in its hash.
    let hash = #"[0-9a-f]{16}"#
    let accepted = try run(["config", "check"])
    XCTAssertEqual(accepted.code, 0, accepted.errors)
    try expectGolden(
      accepted.output.replacingOccurrences(of: hash, with: "HASH", options: .regularExpression),
      "command.config.check.txt")
    try "[host]\ninstanc = \"x\"\n".write(toFile: "\(folder)/bad.toml", atomically: true, encoding: .utf8)
    documents += try judge(
      ["config", "check", "\(folder)/bad.toml"], [], code: 78, named: "config.check.bad", set)
    for action in ["check", "show", "default"] {
      let machine = try run(["config", action, "--json"])
      XCTAssertEqual(machine.code, 0, machine.errors)
      documents.append(machine.output.trimmingCharacters(in: .newlines))
    }
    try FileManager.default.createDirectory(atPath: "\(folder)/root", withIntermediateDirectories: true)
    for action in ["init", "fini"] {
      documents += try judge(
        ["host", action, "--root", "\(folder)/root", "--journal", "\(folder)/journal", "--print-only"]
          + (action == "init" ? ["shm-size"] : []), [], code: 0, named: "host.\(action)", set)
    }
    let install = ["units", "install", "--root", "\(folder)/root", "--dry-run", "--json"]
    let installed = try run(install)
    XCTAssertEqual(installed.code, 0, installed.errors)
    documents.append(installed.output.trimmingCharacters(in: .newlines))
    let day = "\(folder)/day.itch"
    try Data(Self.smallDay).write(to: URL(fileURLWithPath: day))
    documents += try judge(["book", day, "--symbol", "TEST"], [], code: 0, named: "book", set)
    // Nobody listens there.
    _ = try judge(
      ["watch", "TEST", "--url", "ws://127.0.0.1:1/v1/stream"], [], code: 3, named: "watch", json: false, set
    )
    try validateReports(documents)
  }

  /// A directory entry and four orders of the symbol TEST, as a file of ITCH 5.0 has them: each behind its length.
  private static var smallDay: [UInt8] {
    func number(_ value: UInt64, _ bytes: Int) -> [UInt8] {
      (0..<bytes).reversed().map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }
    }
    func message(_ type: Character, locate: UInt64, at time: UInt64, _ body: [UInt8]) -> [UInt8] {
      let bytes = [type.asciiValue ?? 0] + number(locate, 2) + number(0, 2) + number(time, 6) + body
      return number(UInt64(bytes.count), 2) + bytes
    }
    let stock = Array("TEST    ".utf8)
    var file = message("S", locate: 0, at: 1, Array("O".utf8))
    file += message(
      "R", locate: 1, at: 2,
      stock + Array("Q".utf8) + Array("N".utf8) + number(100, 4) + Array("NC".utf8) + Array("Z ".utf8)
        + Array("PNN".utf8) + Array("1".utf8) + Array("N".utf8) + number(0, 4) + Array("N".utf8))
    for (index, (side, shares, price)) in [
      ("B", 100, 100_000), ("B", 300, 99_900), ("S", 200, 100_100), ("S", 50, 100_200),
    ].enumerated() {
      file += message(
        "A", locate: 1, at: 10 + UInt64(index),
        number(UInt64(index) + 1, 8) + Array(side.utf8) + number(UInt64(shares), 4) + stock
          + number(UInt64(price), 4))
    }
    return file
  }

  /// The record of drills that have everything that a record can have, without the hours that they take.
  func testRecordsOfDrillsMatchTheirSchemas() throws {
    let drill = try XCTUnwrap(Drill.catalogue.first)
    var round = DrillRound(number: 0)
    (round.outcome.verdict, round.outcome.reasons, round.liveOrders, round.pauses) = (
      "correct", ["none"], 7, 2
    )
    var kill = KillMeasurement(component: "bookd", round: 0, killedAt: 5)
    for metric in KillMetric.allCases { kill.set(metric, from: 1, to: 2) }
    kill.cause = "killed (SIGKILL)"
    kill.bystanderGaps = ["merged": BystanderGap(longest: 9, own: 8)]
    round.kills = [kill]
    round.livelocks = LivelockMeasurement.Kind.allCases.map { LivelockMeasurement(kind: $0, round: 0) }
    var repetition = ActionRepetition()
    repetition.firings = [
      ActionMeasurement(
        name: "cancel-all", component: "bookd", cause: "died", result: "done", duration: 9, faults: 0,
        allocations: 3, isComplete: true)
    ]
    round.actions = [repetition]
    round.outcome.identity = SetIdentity(
      configurationHash: 0xAB,
      programs: ["bookd": "0123456789abcdef", "watchdogd": "00000000000000ff"])
    round.outcome.hops = [FlowHop("merged to bookd", "cells", put: 5, taken: 4, dropped: 1)]
    let options = DrillOptions()
    let report = DrillReport(
      drill: drill, options: options, rounds: [round],
      judgement: DrillJudgement(drill, [round], killsWanted: 1, judgesTimes: true),
      tables: [DrillTable("a table", columns: ["name", "value"], rows: [["a", "1"], ["b", "2"]])],
      standstill: MachineStandstill(
        stalls: MachineStalls(cores: [[Stretch(from: 3, to: 5)]]), problem: nil),
      startedAt: 1, endedAt: 2)
    var unknown = report
    unknown.standstill = MachineStandstill(stalls: MachineStalls(cores: []), problem: "no real-time priority")
    let record = DrillRecord(
      options: options, reports: [report, unknown], programs: [("bookd", "0123456789abcdef")]
    ).text
    try validateReports([
      JSONReport(schema: "drill.result").text(report.write),
      JSONReport(schema: "drill.result").text(unknown.write), record,
    ])
    // What a replay and a reader of the record need (C13).
    let json = try XCTUnwrap(JSONValue(record))
    XCTAssertNotNil(json["seed"]?.unsigned)
    XCTAssertEqual(json["programs"]?["bookd"]?.string, "0123456789abcdef")
    XCTAssertEqual(json["toolchain"]?.string?.hasPrefix("Swift 6."), true)
    XCTAssertEqual(json["machine"]?.string?.hasPrefix("Linux "), true, "the kernel")
    let written = try XCTUnwrap(json["drills"]?.elements.first)
    XCTAssertEqual(written["startedAt"]?.unsigned, 1)
    XCTAssertTrue(written["criteria"]?.elements.allSatisfy { $0["verdict"]?.string != nil } == true)
    let day = try XCTUnwrap(written["rounds"]?.elements.first)
    XCTAssertEqual(day["configurationHash"]?.string, "00000000000000ab")
    XCTAssertEqual(day["programs"]?["watchdogd"]?.string, "00000000000000ff")
    XCTAssertEqual(day["kills"]?.elements.first?["killedAt"]?.unsigned, 5)
  }

  /// One bit of a program is another build; the same bytes elsewhere are not.
  func testProgramsAreKnownByTheirBytes() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    // Longer than what is read at once.
    var bytes = Data((0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7 >> 3) })
    func identity(_ name: String) throws -> String? {
      let file = folder.appendingPathComponent(name)
      try bytes.write(to: file)
      return ProgramIdentity.of(file.path)
    }
    let first = try identity("first")
    XCTAssertEqual(first?.count, 16)
    XCTAssertEqual(try identity("second"), first)
    bytes[2_900_000] ^= 1
    XCTAssertNotEqual(try identity("third"), first)
    XCTAssertNil(ProgramIdentity.of(folder.path + "/none"))
    let running = ProgramIdentity.of("/proc/\(getpid())/exe")
    XCTAssertEqual(running, ProgramIdentity.of("/proc/self/exe"))
    XCTAssertNotNil(running)
  }

  /// What everybody sees first, whole: every help text and manual page, and the three completion scripts.
  func testGoldensOfTheWholeTable() throws {
    let commands = CommandTable.commands
    var help = HelpText.of(commands) + "\n"
    for command in commands { help += "\n==> \(command.name)\n" + HelpText.of(command) + "\n" }
    try expectGolden(help, "help.all.txt")
    let pages = ManualPages.all(commands).map { "==> \($0.file)\n\($0.text)\n" }
    try expectGolden(pages.joined(), "man.all.txt")
    for shell in ShellCompletion.shells {
      try expectGolden(try XCTUnwrap(ShellCompletion.script(shell, commands)), "completion.all.\(shell)")
    }
  }
}
