import Foundation
import XCTest

@testable import SetInspection
@testable import ShmRing
@testable import StageRecords
@testable import StageRuntime
@testable import Supervision
@testable import bulkhead

/// What the commands print and how they end, as processes of their own: text against golden files, JSON against the schemas that
/// are shipped. `BULKHEAD_BLESS=1` writes the golden files anew, for review.
final class CommandOutputTests: XCTestCase {
  /// The reports that a command prints as JSON, where they are not one of the command's own name. The names of their schemas.
  static let schemas: [String: [String]] = [
    "drill": ["drill.list", "drill.result", "drills"], "explain": ["runbooks"],
    "host": ["host", "jitter", "host.changes"], "ps": ["ps", "clean"],
    "loglevel": ["asked"], "start": ["asked"], "stop": ["asked"], "restart": ["asked"], "drain": ["asked"],
    "maint": ["asked"], "arm": ["action"], "disarm": ["action"], "fire": ["action"],
    "is-live": ["answer"], "is-ready": ["answer"], "wait": ["answer"],
    "tape": ["tape.ls", "tape.verify", "tape.cat"],
  ]

  static var schemaFolder: URL {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../docs/schemas")
      .standardized
  }

  /// A command with JSON has a schema for it. For a new one: docs/schemas/bulkhead.NAME.schema.json, or a line above.
  func testEveryCommandWithJSONHasASchema() throws {
    let files = Set(try FileManager.default.contentsOfDirectory(atPath: Self.schemaFolder.path))
    var wanted: Set<String> = []
    for command in CommandTable.commands where !command.isHidden {
      let hasJSON =
        command.option("--json") != nil
        || command.option("--format").map { option in
          if case .choice(let words) = option.kind { return words.contains("json") && command.group != .data }
          return false
        } ?? false
      guard hasJSON else { continue }
      for name in Self.schemas[command.name] ?? [command.name] {
        let file = "bulkhead.\(name).schema.json"
        wanted.insert(file)
        XCTAssertTrue(
          files.contains(file), "`bulkhead \(command.name)` prints JSON: docs/schemas/\(file) is missing")
      }
    }
    XCTAssertEqual(files.subtracting(wanted), [], "schemas of nothing")
  }

  /// Every schema begins with the same head, and admits no field of which it says nothing.
  func testSchemasAreClosedAndBeginAlike() throws {
    // What another program says, as it says it.
    let open = ["run/venue"]
    func look(_ value: Any, _ place: String) {
      if let list = value as? [Any] { return list.forEach { look($0, place) } }
      guard let object = value as? [String: Any] else { return }
      let types = object["type"] as? [String] ?? [object["type"] as? String ?? ""]
      if types.contains("object"), !open.contains(place) {
        let others = object["additionalProperties"]
        XCTAssertTrue(
          others as? Bool == false || (others as? [String: Any])?.isEmpty == false,
          "\(place): an object that admits anything")
        if let required = object["required"] as? [String] {
          let known = Set((object["properties"] as? [String: Any] ?? [:]).keys)
          XCTAssertEqual(Set(required).subtracting(known), [], "\(place): required and not described")
        }
      }
      for (key, child) in object where !["if", "then", "else"].contains(key) {
        let isName = ["properties", "items", "additionalProperties"].contains(key)
        look(child, isName ? place : "\(place)/\(key)")
      }
    }
    for file in try FileManager.default.contentsOfDirectory(atPath: Self.schemaFolder.path).sorted() {
      let name = file.dropFirst("bulkhead.".count).dropLast(".schema.json".count)
      let data = try Data(contentsOf: Self.schemaFolder.appendingPathComponent(file))
      let schema = try XCTUnwrap(try JSONSerialization.jsonObject(with: data) as? [String: Any], file)
      let required = try XCTUnwrap(schema["required"] as? [String], file)
      XCTAssertEqual(required.prefix(4), ["schema", "version", "timeNanoseconds", "host"], file)
      let properties = try XCTUnwrap(schema["properties"] as? [String: Any], file)
      XCTAssertEqual((properties["schema"] as? [String: Any])?["const"] as? String, "bulkhead.\(name)")
      // Of which set: of all in it, of the one, or of none.
      let sets = (properties["sets"] as? [String: Any])?["items"] as? [String: Any]
      let fields = sets?["properties"] as? [String: Any] ?? properties
      if fields["instance"] != nil {
        XCTAssertNotNil(fields["configurationHash"], "\(file): an instance without its configuration")
      }
      if let sets { XCTAssertTrue((sets["required"] as? [String])?.contains("instance") ?? false, file) }
      look(schema, String(name))
    }
  }

  // MARK: Processes

  func run(
    _ arguments: [String], program: String = "bulkhead"
  ) throws -> (code: Int32, output: String, errors: String) {
    let process = Process()
    // Beside these tests.
    process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
      .deletingLastPathComponent().appendingPathComponent(program)
    process.arguments = arguments
    process.environment = ["PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/"]
    process.currentDirectoryURL = FileManager.default.temporaryDirectory
    let (output, errors) = (Pipe(), Pipe())
    (process.standardOutput, process.standardError) = (output, errors)
    process.standardInput = FileHandle.nullDevice
    try process.run()
    // What is said beside the output is short.
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    let said = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return (process.terminationStatus, text, said)
  }

  /// What differs from run to run made equal: the set's place, process numbers, times, ages. Columns as wide as they happen to be
  /// become two spaces.
  func normalized(_ text: String, _ set: SyntheticSet) -> String {
    var text = text.replacingOccurrences(of: set.runDirectory, with: "RUN")
    text = text.replacingOccurrences(of: String(getpid()), with: "PID")
    for (pattern, word) in [
      (#"[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]+"#, "TIME"), (#"\b[0-9]+(\.[0-9]+)? ?(ns|µs|us|ms|s)\b"#, "SPAN"),
      (#"\b[0-9]+(d[0-9]{2}h|h[0-9]{2}m|m[0-9]{2}s)\b"#, "SPAN"), (#"PID [0-9]+"#, "PID N"),
      (#" {2,}"#, "  "),
    ] {
      text = text.replacingOccurrences(of: pattern, with: word, options: .regularExpression)
    }
    return text
  }

  func filledSet() throws -> SyntheticSet {
    let set = try SyntheticSet()
    set.fill()
    var alarm = SupervisionRecord(.alarm, component: "merged", instant: 7_000_000_000)
    alarm.tier = LivenessTier.alarm.rawValue
    alarm.code = Int32(LivenessMeasure.progress.rawValue)
    alarm.cause = StallCause.livelocked.rawValue
    var death = SupervisionRecord(.died, component: "bookd", instant: 5_000_000_000)
    (death.cause, death.code, death.epoch) = (ExitCause.killed.code, ExitCause.killed.number, 1)
    try set.note(death, alarm)
    // However long the tests take: beats of a moment that is to come have no age.
    for name in SyntheticSet.stageNames + [InstanceFiles.supervisor] {
      set.page(name) { $0.word(0xD0).storeRelaxed(1 << 62) }
    }
    return set
  }

  /// Every command that looks at sets: text, JSON, exit code.
  func testCommandsOnASet() throws {
    let set = try filledSet()
    var documents: [String] = []
    let cases: [(arguments: [String], code: Int32, json: Bool)] = [
      (["ps"], 0, true), (["ps", "-o", "process,state,restarts,log", "--sort", "process"], 0, false),
      (["status"], 0, true), (["rings"], 0, true), (["gaps"], 0, true), (["lat"], 0, true),
      (["clients"], 0, true),
      (["errors"], 1, true), (["events"], 0, true), (["postmortem"], 0, true), (["tap", "status"], 0, true),
      (["is-live"], 0, false), (["is-ready"], 0, false), (["wait", "--timeout", "0"], 0, false),
      (["loglevel", "bookd", "debug"], 3, false), (["snapshot"], 3, false),
      (["restart", "bookd", "--yes"], 3, false),
      (["maint", "off", "--yes"], 3, false),
    ]
    for (arguments, code, json) in cases {
      let place = ["--run-directory", set.runDirectory]
      let text = try run(arguments + place)
      let name = arguments.map { $0.replacingOccurrences(of: ",", with: "-") }.joined(separator: ".")
        .replacingOccurrences(of: "--", with: "")
      XCTAssertEqual(text.code, code, "\(arguments): \(text)")
      try expectGolden(
        normalized(text.output, set)
          + (text.errors.isEmpty ? "" : "-- said:\n" + normalized(text.errors, set)),
        "command.\(name).txt")
      guard json else { continue }
      let machine = try run(arguments + place + ["--json"])
      XCTAssertEqual(machine.code, code, "\(arguments): \(machine)")
      documents += machine.output.split(separator: "\n").map(String.init)
    }
    for format in ["json"] {
      let check = try run(["check", "--format", format, "--run-directory", set.runDirectory])
      XCTAssertEqual(check.code, 0, check.output)
      documents.append(check.output.trimmingCharacters(in: .newlines))
    }
    try validateReports(documents)
  }

  /// What knows of no set.
  func testCommandsWithoutASet() throws {
    let set = try SyntheticSet()
    let nowhere = ["--run-directory", set.runDirectory, "--name", "nobody"]
    for (verb, code) in [
      ("ps", 0), ("status", 3), ("stat", 3), ("rings", 3), ("gaps", 3), ("lat", 3), ("clients", 3),
      ("errors", 3),
      ("events", 3), ("postmortem", 3), ("is-live", 3), ("is-ready", 3), ("metrics", 3), ("doctor", 3),
      ("bundle", 3),
      ("check", 2), ("stop", 3), ("snapshot", 3),
    ] as [(String, Int32)] {
      XCTAssertEqual(try run([verb] + nowhere).code, code, verb)
    }
    for arguments in [["tap", "book"], ["restart", "bookd", "--yes"], ["loglevel", "bookd", "info"]] {
      XCTAssertEqual(try run(arguments + nowhere).code, 3, arguments[0])
    }
    for arguments in [
      ["ps", "--fields", "pdi"], ["ps", "--yes"], ["ps", "--sort", "x"], ["loglevel", "bookd", "loud"],
      ["loglevel"],
      ["explain"], ["host"], ["units"], ["drill"], ["tap"], ["maint"],
    ] {
      XCTAssertEqual(try run(arguments).code, 64, arguments.joined(separator: " "))
    }
    XCTAssertEqual(try run(["reliability", "--topology", "/nonexistent"]).code, 78)
    XCTAssertEqual(try run(["explain", "no such thing"]).code, 1)
    XCTAssertEqual(try run(["man", "--out", "/nonexistent"]).code, 73)
    // A stage of a set that is not there.
    let stage = ["--component", "bookd", "--set", "host.instance=none-\(getpid())"]
    XCTAssertEqual(try run(stage, program: "bookd").code, 69)
  }

  /// Commands whose answer is the same on every host.
  func testCommandsThatNeedNoSet() throws {
    let set = try SyntheticSet()
    var documents: [String] = []
    for arguments in [
      ["drill", "list"], ["reliability"], ["explain", "died"],
      ["explain", "2f6d0c3a8b5e4d2f9a417c60d3be8151"], ["version"],
      ["units", "diff", "--root", "/nonexistent"],
    ] {
      let text = try run(arguments)
      let code: Int32 = arguments[0] == "units" ? 1 : 0
      XCTAssertEqual(text.code, code, "\(arguments): \(text)")
      if arguments == ["drill", "list"] {
        // Drills are added all the time.
        let lines = text.output.split(separator: "\n")
        XCTAssertGreaterThan(lines.count, 10)
        for line in lines { XCTAssertNotNil(line.wholeMatch(of: /D-[0-9]{2}[A-Z]?  .+/), String(line)) }
      } else if arguments != ["version"] {
        let name = arguments.filter { !$0.hasPrefix("-") && !$0.hasPrefix("/") }.joined(separator: ".")
        // The processors of this machine are in the default topology's placement, and so in its hash.
        let plain = text.output.replacingOccurrences(
          of: #"[0-9a-f]{16}"#, with: "HASH", options: .regularExpression)
        try expectGolden(plain, "command.\(name).txt")
      }
      let machine = try run(arguments + ["--json"])
      XCTAssertEqual(machine.code, code, "\(arguments): \(machine)")
      documents += machine.output.split(separator: "\n").map(String.init)
    }
    for arguments in [
      ["explain", "--list", "--json"], ["units", "render", "--json"], ["host", "check", "--json"],
      ["host", "report", "--json"], ["doctor", "--json", "--run-directory", set.runDirectory],
    ] {
      let machine = try run(arguments)
      XCTAssertTrue([0, 1].contains(machine.code), "\(arguments): \(machine)")
      documents.append(machine.output.trimmingCharacters(in: .newlines))
    }
    // A second on the first core that this process may use.
    let allowed = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
      .firstMatch(of: /Cpus_allowed_list:\s*([0-9]+)/)
    let core = String(try XCTUnwrap(allowed).1)
    let jitter = try run(["host", "jitter", "--cpu", core, "--json"])
    XCTAssertEqual(jitter.code, 0, jitter.errors)
    documents.append(jitter.output.trimmingCharacters(in: .newlines))
    // A host's text: a line a check under its headings, and the same verdict as the exit code.
    let host = try run(["host", "check"])
    let lines = host.output.split(separator: "\n")
    XCTAssertTrue(try XCTUnwrap(lines.first).hasPrefix("LEVEL"), host.output)
    XCTAssertGreaterThan(lines.count, 15)
    XCTAssertEqual(
      host.code, lines.contains { $0.hasPrefix("req") && $0.contains("BAD") } ? 1 : 0, host.output)
    try validateReports(documents)
  }

  // MARK: Choosing

  func testColumnsOrderAndLength() throws {
    var table = RowTable([.init("name"), .init("count"), .init("note", isExtra: true)])
    table.rows = [("b", 9), ("a", 10), ("c", nil), ("d", 10)].map { name, count in
      [.init(name), count.map { .init("\($0)", Double($0)) } ?? .init("-"), .init("of \(name)")]
    }
    func lines(_ change: (inout TableChoice) -> Void) -> [String] {
      var choice = TableChoice()
      change(&choice)
      return table.lines(choice)
    }
    XCTAssertEqual(lines { _ in }, ["NAME  COUNT", "b     9", "a     10", "c     -", "d     10"])
    XCTAssertEqual(
      lines { $0.sort = "count" }.dropFirst().map { $0.prefix(1) }, ["a", "d", "b", "c"],
      "none is last, equal stays")
    XCTAssertEqual(
      lines {
        $0.sort = "count"
        $0.isReversed = true
      }.dropFirst().map { $0.prefix(1) }, ["b", "a", "d", "c"])
    XCTAssertEqual(
      lines {
        $0.fields = ["note", "name"]
        $0.sort = "name"
        $0.top = 2
        $0.hasHeadings = false
      }, ["of a  a", "of b  b"])
    let arguments = try CommandArguments(["-o", "pid,Process", "--sort=pid", "--top", "3"], of: .ps) { _ in
      nil
    }
    let choice = try TableChoice(arguments, of: ProcessesCommand.columns)
    XCTAssertEqual(choice.fields, ["pid", "process"])
    XCTAssertEqual(choice.top, 3)
    XCTAssertThrowsError(
      try TableChoice(CommandArguments(["-o", "proces"], of: .ps) { _ in nil }, of: ProcessesCommand.columns)
    ) { XCTAssertTrue("\($0)".contains("did you mean process?"), "\($0)") }
  }

  /// What dead sets left behind goes; what runs, or is held by a lock, stays.
  func testCleaning() throws {
    let dead = try SyntheticSet(instance: "dead")
    let live = try SyntheticSet(instance: "live", in: dead.runDirectory)
    let held = try SyntheticSet(instance: "held", in: dead.runDirectory)
    for set in [dead, held] {
      for name in SyntheticSet.stageNames + [InstanceFiles.supervisor] { try set.end(name) }
    }
    let lock = open("\(dead.runDirectory)/held.lock", O_RDWR | O_CREAT, 0o644)
    defer { close(lock) }
    XCTAssertEqual(flock(lock, LOCK_EX), 0)
    let place = ["--run-directory", dead.runDirectory]
    let dry = try run(["ps", "--clean", "--dry-run"] + place)
    XCTAssertEqual(dry.code, 0, dry.errors)
    XCTAssertEqual(dry.output.split(separator: "\n").count, 2, dry.output)
    XCTAssertEqual(try run(["ps", "--clean"] + place).code, 64, "nobody can be asked")
    XCTAssertTrue(FileManager.default.fileExists(atPath: dead.directory))
    let done = try run(["ps", "--clean", "--yes"] + place)
    XCTAssertEqual(done.code, 1, "one is held: \(done)")
    XCTAssertTrue(done.errors.contains("a watchdogd holds its lock"), done.errors)
    XCTAssertFalse(FileManager.default.fileExists(atPath: dead.directory))
    XCTAssertTrue(FileManager.default.fileExists(atPath: held.directory))
    XCTAssertTrue(FileManager.default.fileExists(atPath: live.directory))
  }
}

/// - Parameter documents: each of a line; its field `schema` says by what it is judged.
func validateReports(_ documents: [String], file: StaticString = #filePath, line: UInt = #line) throws {
  let python = ProcessInfo.processInfo.environment["BULKHEAD_PYTHON"] ?? "/usr/bin/python3"
  let here = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
  let schemas = here.appendingPathComponent("../../docs/schemas").standardized.path
  let input = NSTemporaryDirectory() + "bulkhead-reports-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
  try documents.joined(separator: "\n").write(toFile: input, atomically: true, encoding: .utf8)
  defer { try? FileManager.default.removeItem(atPath: input) }
  let process = Process()
  process.executableURL = URL(fileURLWithPath: python)
  process.arguments = [here.appendingPathComponent("validate_reports.py").path, schemas, input]
  let pipe = Pipe()
  process.standardOutput = pipe
  process.standardError = pipe
  try process.run()
  let said = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
  process.waitUntilExit()
  if process.terminationStatus == 77 {
    throw XCTSkip("python3-jsonschema is not installed: scripts/bootstrap")
  }
  XCTAssertEqual(process.terminationStatus, 0, said, file: file, line: line)
  XCTAssertEqual(said, "\(documents.count) reports match\n", file: file, line: line)
}
