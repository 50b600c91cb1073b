import Foundation
import XCTest

@testable import SetInspection
@testable import ShmRing
@testable import StageRecords
@testable import StageRuntime
@testable import Supervision
import Topology
@testable import bulkhead

/// `--from`: dead sets wherever they lie, and support bundles.
final class KeptSetsTests: XCTestCase {
  override func tearDown() { SetClock.kept = nil }

  /// Commands that look take `--from`; those that act do not.
  func testWhoTakesIt() {
    for command in CommandTable.commands where command.plain == nil && !command.isHidden {
      let looks =
        command.option("--run-directory") != nil && [.see, .decide, .help].contains(command.group)
        && !["wait", "bundle"].contains(command.name)
      let takes = command.option("--from")?.meaning == Command.Option.from.meaning || command.name == "tap"
      XCTAssertEqual(takes, looks, command.name)
    }
  }

  private func deadSet(_ instance: String = "gone") throws -> SyntheticSet {
    let set = try SyntheticSet(instance: instance)
    set.fill()
    for name in SyntheticSet.stageNames + [InstanceFiles.supervisor] { try set.end(name) }
    return set
  }

  /// A set's own directory, and one with sets in it, without a run directory or a name.
  func testADirectoryIsFoundWhereverItLies() throws {
    let set = try deadSet()
    for place in [set.directory, set.directory + "/", set.runDirectory] {
      for (verb, code) in [
        ("ps", 0), ("status", 3), ("rings", 0), ("gaps", 0), ("lat", 0), ("clients", 1), ("errors", 1),
        ("events", 0),
        ("postmortem", 0), ("metrics", 0), ("check", 2), ("stat", 0),
      ] as [(String, Int32)] {
        let found = CommandTable.dispatch([verb, "--from", place])
        XCTAssertTrue(found == code || (verb == "rings" && found <= 1), "\(verb) --from \(place): \(found)")
        XCTAssertEqual(CommandTable.dispatch(["--from", place, verb]), found, "in front of \(verb)")
      }
      XCTAssertEqual(CommandTable.dispatch(["tap", "status", "--from", place, "--from", "oldest"]), 0)
      XCTAssertEqual(CommandTable.dispatch(["tap", "status", "--from", place]), 0)
    }
    XCTAssertEqual(CommandTable.dispatch(["ps", "--from", "/nonexistent"]), 66)
    XCTAssertEqual(CommandTable.dispatch(["ps", "--from", "/usr"]), 65)
    XCTAssertEqual(CommandTable.dispatch(["ps", "--clean", "--yes", "--from", set.runDirectory]), 64)
    XCTAssertTrue(FileManager.default.fileExists(atPath: set.directory))
  }

  /// A set that runs is not taken for dead where it lies, and is in a bundle; times are those of the bundle.
  func testABundleIsReadByItsOwnClock() throws {
    let set = try SyntheticSet()
    set.fill()
    let folder = NSTemporaryDirectory() + "bulkhead-kept-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try FileManager.default.createDirectory(atPath: folder + "/sets", withIntermediateDirectories: true)
    try FileManager.default.copyItem(atPath: set.directory, toPath: folder + "/sets/demo")
    try "{\"schema\":\"bulkhead.bundle\",\"monotonic\":5000000000,\"realTime\":1700000000000000000}".write(
      toFile: folder + "/manifest.json", atomically: true, encoding: .utf8)
    let kept = try KeptSets.open(folder).get()
    let found = try XCTUnwrap(SetDirectory.discover(runDirectory: kept.runDirectory, name: nil).first)
    XCTAssertEqual(found.instance, "demo")
    let reading = SetReading(found)
    XCTAssertFalse(reading.isAlive, "this process has the number, and is not the one")
    XCTAssertEqual(
      reading.components.map(\.pid), Array(repeating: getpid(), count: 6), "the number is still shown")
    XCTAssertEqual(StatusReader.timeOfDay(4_000_000_000), 1_699_999_999_000_000_000)
    XCTAssertEqual(reading.realTime, 1_700_000_000_000_000_000)
    // What was kept is not changed by looking at it.
    SetClock.kept = nil
    let original = try XCTUnwrap(SetDirectory(instance: "demo", path: folder + "/sets/demo"))
    XCTAssertTrue(SetReading(original).isAlive)
    XCTAssertTrue(try set.sample().isAlive)
  }

  /// What is nobody's business is in no bundle, asked for or not: whatever key of whatever table it is the value of.
  func testNoSecretOfTheConfigurationIsInABundle() throws {
    let fixture = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../TopologyTests/Fixtures/accepted-actions.toml").standardized
    let text = try String(contentsOf: fixture, encoding: .utf8)
      .replacingOccurrences(of: "username = \"u\"", with: "username = \"secret-1\"")
      .replacingOccurrences(of: "password = \"p\\\"w\"", with: "password = \"secret=2.x\"")
      .replacingOccurrences(
        of: "fields = [\"1=ACCOUNT\"", with: "fields = [\"1=ACCOUNT\", \"554=secret-5\", '925=x\"secret-6'"
      )
      .replacingOccurrences(
        of: "[channel.retransmission]",
        with: """
          [channel.snapshot]
          enabled = true
          address = "127.0.0.1"
          port = 26480
          username = "secre3"
          password = "secret4"

          [channel.retransmission]
          """)
    let topology = try Topology.parse(
      text: text, fileName: "secrets.toml", onlineCores: [0, 1], overrides: [])
    XCTAssertEqual(
      topology.canonicalText.components(separatedBy: "secre").count, 7, topology.canonicalText)
    let shown = Redaction.withoutSecrets(topology.canonicalText)
    XCTAssertFalse(shown.contains("secre"), shown)
    for kept in ["action.cancel-all.sender = \"BULKHEAD\"", "host.instance = \"t\""] {
      XCTAssertTrue(shown.contains(kept), "no \(kept) in\n\(shown)")
    }
    XCTAssertEqual(
      shown.split(separator: "\n").count, topology.canonicalText.split(separator: "\n").count)
  }

  private func run(_ arguments: [String], in folder: String) throws -> (code: Int32, output: String) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
      .deletingLastPathComponent().appendingPathComponent("bulkhead")
    process.arguments = arguments
    process.environment = ["PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TMPDIR": folder]
    process.currentDirectoryURL = URL(fileURLWithPath: folder)
    let output = Pipe()
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    process.standardInput = FileHandle.nullDevice
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return (process.terminationStatus, text)
  }

  private func withFolder(_ body: (String) throws -> Void) throws {
    let folder = NSTemporaryDirectory() + "bulkhead-kept-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try body(folder)
  }

  /// What a command said when the bundle was made it says by its exit code, too, in the form that is asked for.
  func testABundleKeepsExitCodes() throws {
    let set = try SyntheticSet()
    set.fill()
    for name in SyntheticSet.stageNames + [InstanceFiles.supervisor] {
      set.page(name) { $0.word(0xD0).storeRelaxed(1 << 62) }
    }
    set.page("pubd") { $0.setState(.catchingUp) }
    try withFolder { folder in
      let file = "\(folder)/kept.tar"
      let place = ["--run-directory", set.runDirectory]
      XCTAssertEqual(try run(["bundle", file] + place, in: folder).code, 0)
      for (arguments, code) in [
        (["status"], 1), (["ps"], 0), (["errors"], 1), (["check"], 1), (["is-live"], 0), (["is-ready"], 1),
        (["check", "--format", "prometheus"], 1), (["check", "--format", "text"], 1), (["metrics"], 0),
        (["check", "--format", "json"], 1), (["doctor"], 1),
      ] as [([String], Int32)] {
        let now = try run(arguments + place, in: folder)
        let kept = try run(arguments + ["--from", file], in: folder)
        XCTAssertEqual(now.code, code, "\(arguments): \(now)")
        XCTAssertEqual(kept.code, code, "\(arguments) --from: \(kept)")
        XCTAssertEqual(
          kept.output.prefix(9), now.output.prefix(9), "\(arguments): \(kept)")
        let other = try run(arguments + ["--from", file, "--name", "nobody"], in: folder)
        XCTAssertNotEqual(other.output, kept.output + " ", "\(arguments)")
        XCTAssertEqual(
          other.code, arguments[0] == "check" ? 2 : arguments[0] == "ps" ? 0 : 3, "\(arguments): \(other)")
        XCTAssertEqual(
          try run(arguments + ["--from", file, "--name", "demo"], in: folder).output, kept.output,
          "\(arguments)")
      }
    }
  }

  /// What a command says beside its JSON is no part of it.
  func testKeptJSONIsJSON() throws {
    let set = try SyntheticSet()
    set.fill()
    truncate("\(set.directory)/pubd.control", 100)
    try withFolder { folder in
      let file = "\(folder)/kept.tar"
      XCTAssertEqual(try run(["bundle", file, "--run-directory", set.runDirectory], in: folder).code, 0)
      for verb in ["status", "ps", "clients"] {
        let kept = try run([verb, "--from", file, "--json"], in: folder)
        XCTAssertEqual(kept.code, 4, "\(verb): \(kept)")
        XCTAssertNoThrow(try JSONSerialization.jsonObject(with: Data(kept.output.utf8)), "\(verb): \(kept)")
      }
    }
  }

  /// What is redacted is so in the pages, too.
  func testNoAddressIsInAPageOfARedactedBundle() throws {
    let set = try SyntheticSet()
    set.fill()
    try ConflatedTable.create(
      path: InstanceFiles.trustTablePath(directory: set.directory), name: "trust",
      entries: ArmedAction.tableEntries, configurationHash: SyntheticSet.configurationHash)
    let table = try TableWriter.attach(
      path: InstanceFiles.trustTablePath(directory: set.directory),
      configurationHash: SyntheticSet.configurationHash)
    func store(_ key: Int, _ write: (UnsafeMutableRawPointer) -> Void) {
      withUnsafeTemporaryAllocation(byteCount: ConflatedTable.valueBytes, alignment: 8) { value in
        guard let base = value.baseAddress else { return }
        base.initializeMemory(as: UInt8.self, repeating: 0, count: ConflatedTable.valueBytes)
        write(base)
        _ = table.store(key: key, value: UnsafeRawPointer(base))
      }
    }
    var target = ActionTarget(name: "cancel-all", address: 0xC633_6417, port: 9_878)
    target.logons = 3
    store(TrustRecord.key) { TrustRecord(.stale, component: "bookd").write(to: $0) }
    store(ArmedAction.firstKey) { ArmedAction(.massCancel, .alarm, component: "merged").write(to: $0) }
    store(ArmedAction.firstTargetKey) { target.write(to: $0) }
    // As they lie in memory.
    let secrets = [UInt32(0xC633_6417), 0x0A00_0409].map { Data(withUnsafeBytes(of: $0) { Array($0) }) }
    try withFolder { folder in
      for isRedacted in [false, true] {
        let file = "\(folder)/kept-\(isRedacted).tar"
        let made = try run(
          ["bundle", file, "--run-directory", set.runDirectory] + (isRedacted ? ["--redact"] : []),
          in: folder)
        XCTAssertEqual(made.code, 0, "\(made)")
        let bytes = try Data(contentsOf: URL(fileURLWithPath: file))
        for secret in secrets {
          XCTAssertEqual(bytes.range(of: secret) == nil, isRedacted, "\(Array(secret))")
        }
        // From the pages: nothing was printed so.
        let status = try run(["status", "--from", file, "--raw", "--json"], in: folder)
        XCTAssertEqual(status.output.contains("198.51.100.23:9878"), !isRedacted, status.output)
        // What became of the action is still there.
        XCTAssertTrue(status.output.contains("\"name\":\"cancel-all\""), status.output)
        XCTAssertTrue(status.output.contains("\"logons\":3"), status.output)
      }
    }
  }

  /// The average over a dead set's life, from its first beginning to its last beat.
  func testRatesOfALife() throws {
    let set = try deadSet()
    for name in SyntheticSet.stageNames + [InstanceFiles.supervisor] {
      set.page(name) {
        $0.word(0xE0).storeRelaxed(10_000_000_000)
        $0.word(0xD0).storeRelaxed(30_000_000_000)
      }
    }
    set.page("rxd@a") { $0.word(0xE0).storeRelaxed(9_000_000_000) }
    set.page("bookd") { $0.word(0xD0).storeRelaxed(34_000_000_000) }
    let (before, end) = try set.sample(monotonic: 900_000_000_000).life
    XCTAssertEqual(end.monotonic, 34_000_000_000)
    XCTAssertEqual(before.monotonic, 9_000_000_000)
    XCTAssertEqual(end.realTime, 45_296_789_000_000 &- 866_000_000_000)
    let rates = SetRates(end, since: before)
    XCTAssertEqual(rates.merged, 80_000)
    XCTAssertEqual(rates.events, 200_000)
    XCTAssertEqual(rates.latency?.count, 1_000)
  }
}
