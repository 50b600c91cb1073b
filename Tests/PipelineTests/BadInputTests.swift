import Foundation
import XCTest

/// What a user gets wrong is told in a line, with the place and what would be right, before anything is started.
final class BadInputTests: XCTestCase {
  private var folder = URL(fileURLWithPath: "/")

  override func setUpWithError() throws {
    try Binaries.require()
    folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "bulkhead-bad-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  override func tearDown() { try? FileManager.default.removeItem(at: folder) }

  // MARK: Files

  private func write(_ name: String, _ bytes: [UInt8]) throws -> String {
    let file = folder.appendingPathComponent(name)
    try Data(bytes).write(to: file)
    return file.path
  }

  /// Three whole messages of 12 bytes (a system event each): 42 bytes.
  private let messages = [[UInt8]](
    repeating: [0, 12, 0x53] + [UInt8](repeating: 0, count: 10) + [0x4F], count: 3
  )
  .flatMap { $0 }

  func testAFileThatIsCutOff() throws {
    try expectRefusal(
      ["--replay", write("cut.itch", Array(messages.dropLast(5)))], 65, ["cut.itch", "byte 28"])
    try expectRefusal(["--replay", write("odd.itch", messages + [0])], 65, ["odd.itch", "byte 42"])
  }

  func testALengthBeyondTheEnd() throws {
    let bytes = messages + [0x03, 0xE8] + [UInt8](repeating: 0x41, count: 36)
    try expectRefusal(["--replay", write("past.itch", bytes)], 65, ["past.itch", "byte 42"])
  }

  /// A memory control group with no room for the rings (D-19): the kernel would kill a process of it, so the set is refused
  /// before anything is allocated, with what it needs and what there is.
  func testAMemoryControlGroupThatIsTooSmall() throws {
    let first = "/sys/fs/cgroup/memory"
    let isFirst = access("\(first)/memory.limit_in_bytes", F_OK) == 0
    let group = (isFirst ? first : "/sys/fs/cgroup") + "/bulkhead-test-\(getpid())"
    let limit = "\(group)/" + (isFirst ? "memory.limit_in_bytes" : "memory.max")
    guard mkdir(group, 0o755) == 0 else { throw XCTSkip("no permission for a control group") }
    defer { rmdir(group) }
    guard (try? "200000000".write(toFile: limit, atomically: false, encoding: .utf8)) != nil else {
      throw XCTSkip("no permission to limit a control group")
    }
    // The host check is the first to see it; without it, the rings refuse themselves.
    let refusals: [(settings: [String], code: Int32, words: [String])] = [
      ([], 78, ["`memory-group`", "raise \(limit)"]),
      // The merged ring: 4,194,304 cells and a header.
      (
        ["host.preflight=off"], 69,
        ["merged.ring: needs 268439552 bytes", "raise \(limit) or make the rings smaller"]
      ),
    ]
    for refusal in refusals {
      let place = SetRun.Place.next()
      let settings = (place.overrides + refusal.settings).map { "--set \($0)" }.joined(separator: " ")
      let run = "exec '\(Binaries.path("bulkhead"))' run --generate 10000 --quiet \(settings)"
      let process = try ProcessHandle(["/bin/sh", "-c", "echo $$ > \(group)/cgroup.procs; \(run)"])
      let ending = try process.waitForEnd(seconds: 30)
      XCTAssertEqual(ending, .exit(refusal.code), process.transcript)
      for word in refusal.words { XCTAssertTrue(process.errors.contains(word), process.transcript) }
      XCTAssertFalse(FileManager.default.fileExists(atPath: place.directory), "nothing stays behind")
    }
  }

  func testNoMessagesAtAll() throws {
    try expectRefusal(["--replay", write("empty.itch", [])], 65, ["empty.itch", "empty"])
    try expectRefusal(["--replay", folder.path], 65, [folder.path, "not a regular file"])
    try expectRefusal(["--replay", "\(folder.path)/none.itch"], 65...66, ["none.itch", "No such file"])
  }

  func testGarbage() throws {
    // From 0x40 on, no two bytes are a length that a datagram carries.
    var random = SeededBytes(seed: 5)
    let bytes = random.bytes(40_000).map { $0 | 0x40 }
    try expectRefusal(["--replay", write("garbage.itch", bytes)], 65, ["garbage.itch", "byte 0"])
  }

  /// Any bytes behind good lengths are messages: a reader may refuse them, but nothing may break.
  func testGarbageInGoodFrames() throws {
    var random = SeededBytes(seed: 6)
    var bytes: [UInt8] = []
    for _ in 0..<20_000 {
      let length = Int(random.next() % 60)
      var message = random.bytes(length)
      // Half of them begin like a message of some kind.
      if length > 0, random.next() % 2 == 0 {
        message[0] = Array("SRHYLVWKJhAFECXDUPQBINO".utf8)[Int(random.next() % 23)]
      }
      bytes += [0, UInt8(length)] + message
    }
    let run = try SetRun(["--replay", write("noise.itch", bytes)]).finish()
    run.expectCorrect()
    run.expect(run.report.rejects > 10_000, "rejects")
    run.expect(run.report.restarts.values.reduce(0, +), 0, "restarts")
  }

  // MARK: Options and configuration

  func testUnknownOptionsAreNamedWithTheNearest() throws {
    try expectRefusal(["--genrate", "5"], 64, ["--genrate", "--generate"])
    try expectRefusal(
      ["--generate", "5", "--retransmision", "off"], 64, ["--retransmision", "--retransmission"])
    try expectRefusal(["runn"], 64, ["runn", "run"], isRun: false)
  }

  func testBadValuesNameTheirOption() throws {
    try expectRefusal(["--generate", "many"], 64, ["--generate", "many"])
    try expectRefusal(["--generate"], 64, ["--generate"])
    try expectRefusal(["--generate", "5", "--retransmission", "maybe"], 64, ["--retransmission", "maybe"])
    try expectRefusal(["--set", "nonsense"], 64, ["nonsense", "KEY=VALUE"])
    try expectRefusal(["--generate", "5", "--window", "99999999999999999999"], 64, ["--window"])
  }

  /// Options that only the venue reads are checked before the set is started, too.
  func testBadValuesForTheVenue() throws {
    try expectRefusal(["--generate", "5", "--lines", "C"], 64, ["C"])
    try expectRefusal(["--generate", "5", "--rate", "fast"], 64, ["--rate", "fast"])
    try expectRefusal(["--generate", "5", "--impair", "A:los=2%"], 64, ["--impair", "los", "loss"])
    try expectRefusal(["--generate", "5", "--retransmit-loss", "200%"], 64, ["--retransmit-loss", "200%"])
    try expectRefusal(["--generate", "5", "--instruments", "70000"], 64, ["--instruments", "70000"])
  }

  func testTheLargestNumbersAreNoCrash() throws {
    for option in ["--window", "--timeout"] {
      let run = try SetRun(["--generate", "20000", option, "18446744073709551615"])
      let ending = try run.process.waitForEnd()
      XCTAssertTrue([.exit(0), .exit(64)].contains(ending), "\(option)\(run.process.transcript)")
      XCTAssertFalse(run.directoryExists, "files left behind\(run.process.transcript)")
    }
  }

  func testBadConfigurationNamesItsKey() throws {
    try expectRefusal(["--set", "ring.merged.cels=1024"], 78, ["cels", "did you mean `cells`"])
    try expectRefusal(["--set", "ring.merged.cells=5"], 78, ["ring.merged.cells=5", "1024"])
    try expectRefusal(["--set", "ring.none.cells=1024"], 78, ["none", "merged"])
    try expectRefusal(["--set", "host.instance=UPPER"], 78, ["instance", "UPPER"])
    try expectRefusal(["--set", "stage.bookd.idle=sleep"], 78, ["idle", "sleep", "park"])
    try expectRefusal(["--topology", "\(folder.path)/none.toml"], 78, ["none.toml"])
    let file = try write("bad.toml", Array("schema = 1\n[host]\ninstnce = \"x\"\n".utf8))
    try expectRefusal(["--topology", file], 78, ["bad.toml:3", "instnce", "instance"], isPlaced: false)
  }

  /// Expects an end with a short text that holds the words, no output, and no trace of a set.
  private func expectRefusal(
    _ arguments: [String], _ codes: ClosedRange<Int32>, _ words: [String], isRun: Bool = true,
    isPlaced: Bool = true, file: StaticString = #filePath, line: UInt = #line
  ) throws {
    let place = SetRun.Place.next()
    var command = isRun ? ["run", "--quiet"] : []
    if isRun, isPlaced { for setting in place.overrides { command += ["--set", setting] } }
    let process = try ProcessHandle.run("bulkhead", command + arguments)
    let context = process.transcript
    guard case .exit(let code)? = process.ending else { return XCTFail(context, file: file, line: line) }
    XCTAssertTrue(
      codes.contains(code), "exit code \(code), wanted \(codes)\(context)", file: file, line: line)
    for word in words {
      XCTAssertTrue(process.errors.contains(word), "no \"\(word)\" in\(context)", file: file, line: line)
    }
    XCTAssertEqual(process.output, "", "output\(context)", file: file, line: line)
    XCTAssertLessThan(
      process.errors.split(separator: "\n").count, 20, "long\(context)", file: file, line: line)
    XCTAssertFalse(
      FileManager.default.fileExists(atPath: place.directory), "files left\(context)", file: file, line: line)
  }

  private func expectRefusal(
    _ arguments: [String], _ code: Int32, _ words: [String], isRun: Bool = true, isPlaced: Bool = true,
    file: StaticString = #filePath, line: UInt = #line
  ) throws {
    try expectRefusal(
      arguments, code...code, words, isRun: isRun, isPlaced: isPlaced, file: file, line: line)
  }
}

/// Bytes that look random and are the same in each run.
struct SeededBytes: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  mutating func bytes(_ count: Int) -> [UInt8] {
    (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) }
  }
}
