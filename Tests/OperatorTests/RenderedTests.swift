import XCTest

@testable import bulkhead

/// Manual pages through scdoc and man, completion through the shells themselves.
final class RenderedTests: XCTestCase {
  private var directory = ""

  override func setUpWithError() throws {
    directory = NSTemporaryDirectory() + "bulkhead-operator-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
  }

  override func tearDown() { try? FileManager.default.removeItem(atPath: directory) }

  /// Runs a program to its end.
  private func run(_ program: String, _ arguments: [String], input: String? = nil) throws -> (
    code: Int32, text: String
  ) {
    let places = ["/usr/bin/\(program)", "/bin/\(program)"]
    guard let path = places.first(where: FileManager.default.isExecutableFile(atPath:)) else {
      throw XCTSkip("\(program) is not installed: scripts/bootstrap")
    }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = arguments
    process.currentDirectoryURL = URL(fileURLWithPath: directory)
    process.environment = ["HOME": directory, "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MANWIDTH": "80"]
    let outputPath = "\(directory)/output-\(UInt32.random(in: 0...UInt32.max))"
    XCTAssertTrue(FileManager.default.createFile(atPath: outputPath, contents: nil))
    let output = try XCTUnwrap(FileHandle(forWritingAtPath: outputPath))
    process.standardOutput = output
    process.standardError = output
    if let input { process.standardInput = try FileHandle(forReadingFrom: URL(fileURLWithPath: input)) }
    try process.run()
    process.waitUntilExit()
    return (process.terminationStatus, try String(contentsOfFile: outputPath, encoding: .utf8))
  }

  func testEveryManualPageRendersWithoutAWarning() throws {
    let pages = ManualPages.all(CommandTable.commands)
    XCTAssertGreaterThan(pages.count, 10)
    for page in pages {
      let source = "\(directory)/\(page.file)"
      try page.text.write(toFile: source, atomically: true, encoding: .utf8)
      let rendered = try run("scdoc", [], input: source)
      XCTAssertEqual(rendered.code, 0, "\(page.file): \(rendered.text)")
      let roff = "\(directory)/\(page.file.dropLast(4))"
      try rendered.text.write(toFile: roff, atomically: true, encoding: .utf8)
    }
    let files = pages.map { "\(directory)/\($0.file.dropLast(4))" }
    let shown = try run("man", ["--warnings", "--local-file", "-P", "cat", "-T", "utf8"] + files)
    XCTAssertEqual(shown.code, 0, shown.text)
    // As man and groff write one; pages may be about warnings.
    XCTAssertFalse(shown.text.contains("warning:"), shown.text)
  }

  /// What escapes is text again when it is rendered.
  func testEscapedTextComesThrough() throws {
    let odd = Command(
      name: "odd", group: .see,
      summary: "show *stars*, _lines_, `ticks`, a\\b, [x] | <y>, C++, 1...2, ~ and # signs",
      options: [Command.Option("--a_b", .choice(["x", "y_z"]), "#1: *all* of it's \"parts\", - too")],
      exitCodes: [.init(0, "good"), .usage]
    ) { _ in 0 }
    let source = "\(directory)/odd.scd"
    try ManualPages.page(of: odd).write(toFile: source, atomically: true, encoding: .utf8)
    let roff = try run("scdoc", [], input: source)
    XCTAssertEqual(roff.code, 0, roff.text)
    try roff.text.write(toFile: "\(directory)/odd.1", atomically: true, encoding: .utf8)
    let text = try run("man", ["--warnings", "--local-file", "-P", "cat", "\(directory)/odd.1"]).text
    let flat = text.split(whereSeparator: { $0 == " " || $0 == "\n" }).joined(separator: " ")
    XCTAssertTrue(
      flat.contains("Show *stars*, _lines_, `ticks`, a\\b, [x] | <y>, C++, 1...2, ~ and # signs."), text)
    XCTAssertTrue(flat.contains("--a_b x|y_z #1: *all* of it's \"parts\", - too"), text)
  }

  /// A command of the table's name that answers `candidates` only.
  private let stub = "bulkhead() { [ \"$1\" = candidates ] && echo \"demo-$2\"; }\n"

  func testBashCompletes() throws {
    let script = try XCTUnwrap(ShellCompletion.script("bash", CommandTable.commands))
    try script.write(toFile: "\(directory)/completion", atomically: true, encoding: .utf8)
    XCTAssertEqual(try run("bash", ["-n", "completion"]).text, "")
    func complete(_ words: String...) throws -> [String] {
      let list = words.map { "'\($0)'" }.joined(separator: " ")
      let program = """
        \(stub). ./completion
        COMP_WORDS=(bulkhead \(list)); COMP_CWORD=\(words.count); _bulkhead; printf '%s\\n' "${COMPREPLY[@]}"
        """
      return try run("bash", ["--norc", "-c", program]).text.split(separator: "\n").map(String.init).sorted()
    }
    XCTAssertEqual(try complete("ta"), ["tap", "tape"])
    XCTAssertEqual(try complete("tape", ""), ["cat", "export", "ls", "verify"])
    XCTAssertEqual(try complete("tape", "ls", "--dig"), ["--digest"])
    XCTAssertEqual(try complete("run", "--retransmission", ""), ["off", "on"])
    XCTAssertEqual(try complete("status", "--name", ""), ["demo-instances"])
    XCTAssertEqual(try complete("tap", "d"), ["demo-rings"])
    XCTAssertEqual(try complete("drill", "run", "de"), ["demo-drills"])
    XCTAssertEqual(try complete("config", "check", "compl"), ["completion"], "files")
    XCTAssertEqual(
      try complete("status", "--run-directory", "compl"), [], "no files where directories are wanted")
    XCTAssertEqual(try complete("no-such-command", ""), [])
    // Behind options that stand in front of the command, and at places behind the first.
    XCTAssertEqual(try complete("--name", ""), ["demo-instances"])
    XCTAssertEqual(try complete("--na"), ["--name"])
    XCTAssertEqual(try complete("--name", "demo", "ta"), ["tap", "tape"])
    XCTAssertEqual(
      try complete("--json", "--name", "=", "demo", "tape", ""), ["cat", "export", "ls", "verify"])
    XCTAssertEqual(try complete("--color", "never", "status", "--na"), ["--name"])
    XCTAssertEqual(try complete("loglevel", "bookd", "de"), ["debug"])
    XCTAssertEqual(try complete("loglevel", "--name", "x", "bookd", "de"), ["debug"])
    XCTAssertEqual(try complete("loglevel", "--name", "x", "d"), ["demo-processes"])
    XCTAssertEqual(try complete("loglevel", "bookd", "debug", ""), [], "there are two")
    XCTAssertEqual(try complete("drill", "run", "D-01", "de"), ["demo-drills"], "more of them")
    XCTAssertEqual(try complete("run", "--retransmission", "=", "o"), ["off", "on"])
  }

  func testFishCompletes() throws {
    let script = try XCTUnwrap(ShellCompletion.script("fish", CommandTable.commands))
    try script.write(toFile: "\(directory)/completion", atomically: true, encoding: .utf8)
    let check = try run("fish", ["--no-config", "--no-execute", "completion"])
    XCTAssertEqual(check.code, 0, check.text)
    XCTAssertEqual(check.text, "")
    func complete(_ line: String) throws -> [String] {
      let program = """
        function bulkhead; test $argv[1] = candidates; and echo demo-$argv[2]; end
        complete -e -c bulkhead; source ./completion; complete -C "bulkhead \(line)"
        """
      return try run("fish", ["--no-config", "-c", program]).text.split(separator: "\n").map {
        String($0.prefix { $0 != "\t" })
      }.sorted()
    }
    XCTAssertEqual(try complete("ta"), ["tap", "tape"])
    XCTAssertTrue(try complete("tape ").contains("verify"))
    XCTAssertEqual(try complete("tape ls --dig"), ["--digest"])
    XCTAssertEqual(try complete("run --retransmission "), ["off", "on"])
    XCTAssertEqual(try complete("status --name "), ["demo-instances"])
    XCTAssertEqual(try complete("tap demo"), ["demo-rings"])
    XCTAssertEqual(try complete("--name demo ta"), ["tap", "tape"])
    XCTAssertEqual(try complete("--name "), ["demo-instances"])
    XCTAssertEqual(try complete("--json --name=demo tape ls --dig"), ["--digest"])
    XCTAssertEqual(try complete("loglevel bookd de"), ["debug"])
    XCTAssertEqual(try complete("loglevel --name x demo"), ["demo-processes"])
    XCTAssertEqual(try complete("loglevel bookd debug de"), [], "there are two")
    XCTAssertEqual(try complete("drill run D-01 demo"), ["demo-drills"], "more of them")
  }

  /// zsh completes only at its own prompt; that it takes the script for what it is, is as far as this goes.
  func testZshTakesTheScript() throws {
    let script = try XCTUnwrap(ShellCompletion.script("zsh", CommandTable.commands))
    try script.write(toFile: "\(directory)/_bulkhead", atomically: true, encoding: .utf8)
    let check = try run("zsh", ["-f", "-n", "_bulkhead"])
    XCTAssertEqual(check.code, 0, check.text)
    XCTAssertEqual(check.text, "")
    let load = try run(
      "zsh",
      [
        "-f", "-c",
        "fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -d $PWD/dump; autoload +X -Uz _bulkhead; "
          + "print -- $_comps[bulkhead]",
      ])
    XCTAssertEqual(load.text, "_bulkhead\n")
  }
}
