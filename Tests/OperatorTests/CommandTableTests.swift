import StageRuntime
import XCTest

@testable import bulkhead

/// The parser, and that what is said of the commands agrees with what they take.
final class CommandTableTests: XCTestCase {
  private static let sample = Command(
    name: "sample", group: .see, summary: "show a sample of [something] `odd`",
    description: ["It is *odd*, with_underscores and C++ and #hash.", "A second paragraph."],
    operands: [
      Command.Operand(.ring, "a ring"),
      Command.Operand(.file("FILE"), "files", isOptional: true, isRepeatable: true),
    ],
    options: [
      .name, .json, Command.Option("--count", .number("N", 1...10), "so many"),
      Command.Option("--wait", .seconds("SECONDS", 0.5...2), "so long: [at most]"),
      Command.Option("--format", .choice(["text", "json"]), "it's this way"),
      Command.Option("--kind", .text("NAME"), "only those", isRepeatable: true), .utc, .local, .raw, .color,
    ],
    exitCodes: [.init(0, "good"), .usage],
    examples: [.init("sample book --count 3", "three of `book`")]
  ) { _ in 0 }

  private static let withActions = Command(
    name: "acting", group: .act, summary: "act",
    actions: [
      Command.Action("list", "what there is"),
      Command.Action("run", "run some", operands: [Command.Operand(.drill, "which", isRepeatable: true)]),
    ],
    options: [Command.Option("--kills", .number("N", 1...5), "kills")], exitCodes: [.init(0, "good"), .usage]
  ) { _ in 0 }

  private func parse(
    _ arguments: String..., of command: Command = sample, environment: [String: String] = [:]
  ) throws -> CommandArguments {
    try CommandArguments(arguments, of: command) { environment[$0] }
  }

  private func refusal(
    _ arguments: String..., of command: Command = sample, environment: [String: String] = [:]
  ) -> String? {
    do {
      _ = try CommandArguments(arguments, of: command) { environment[$0] }
      return nil
    } catch { return error.line }
  }

  func testWhatIsGivenIsFound() throws {
    let parsed = try parse(
      "book", "--count=3", "--kind", "a", "x", "--kind", "b", "--json", "--wait", "1.5", "--", "--y", "-")
    XCTAssertEqual(parsed.operands, ["book", "x", "--y", "-"])
    XCTAssertEqual(parsed.number("--count"), 3)
    XCTAssertEqual(parsed.values("--kind"), ["a", "b"])
    XCTAssertEqual(parsed.value("--kind"), "b")
    XCTAssertEqual(parsed.nanoseconds("--wait"), 1_500_000_000)
    XCTAssertTrue(parsed.has("--json"))
    XCTAssertNil(parsed.value("--format"))
    XCTAssertEqual(try parse("list", of: Self.withActions).action, "list")
    XCTAssertEqual(try parse("run", "D-01", "D-02", of: Self.withActions).operands, ["D-01", "D-02"])
  }

  func testRefusalsSayWhatWouldDo() {
    XCTAssertEqual(refusal("book", "--cuont", "3"), "unknown option `--cuont`; did you mean --count?")
    XCTAssertEqual(refusal("book", "--json=yes"), "--json takes no value")
    XCTAssertEqual(refusal("book", "--count"), "--count needs a value: --count N")
    XCTAssertEqual(refusal("book", "--count", "11"), "--count needs a whole number from 1 to 10, not '11'")
    XCTAssertEqual(refusal("book", "--count", "-1"), "--count needs a whole number from 1 to 10, not '-1'")
    XCTAssertEqual(refusal("book", "--wait", "nan"), "--wait needs seconds from 0.5 to 2.0, not 'nan'")
    XCTAssertEqual(
      refusal("book", "--format", "jsn"), "--format needs one of text, json, not 'jsn'; did you mean json?")
    XCTAssertEqual(refusal("book", "--name="), "--name needs a value that is not empty")
    XCTAssertEqual(refusal(), "RING is wanted: a ring")
    XCTAssertEqual(refusal(of: Self.withActions), "wants list or run")
    XCTAssertEqual(refusal("rnu", of: Self.withActions), "unknown action `rnu`: wants list or run")
    XCTAssertEqual(refusal("run", of: Self.withActions), "run: ID is wanted: which")
    XCTAssertEqual(refusal("list", "x", of: Self.withActions), "list: unexpected argument `x`")
  }

  func testTheEnvironmentGivesWhatIsNotGiven() throws {
    let environment = ["BULKHEAD_NAME": "demo"]
    XCTAssertEqual(try parse("book", environment: environment).value("--name"), "demo")
    XCTAssertEqual(try parse("book", "--name", "other", environment: environment).value("--name"), "other")
    XCTAssertNil(try parse("book").value("--name"))
  }

  func testTheLastZoneCounts() throws {
    XCTAssertTrue(try parse("book", "--utc", "--local").presentation.isLocal)
    XCTAssertFalse(try parse("book", "--local", "--utc").presentation.isLocal)
    XCTAssertTrue(try parse("book", "--color", "always").presentation.isColored)
    // Tests have no terminal there.
    XCTAssertFalse(try parse("book", "--color", "never").presentation.isColored)
  }

  func testPresentation() {
    var show = Presentation()
    XCTAssertEqual(show.count(1_234_567), "1,234,567")
    XCTAssertEqual(show.span(3_412), "3.41 µs")
    XCTAssertEqual(show.time(45_296_000_000_123, decimals: 3), "12:34:56.000")
    XCTAssertEqual(show.verdict("STALE  demo: why"), "STALE  demo: why")
    show.isColored = true
    XCTAssertEqual(show.verdict("STALE  demo: why"), "\u{1B}[31mSTALE\u{1B}[0m  demo: why")
    XCTAssertEqual(show.verdict("other words"), "other words")
    show.isRaw = true
    XCTAssertEqual(show.count(1_234_567), "1234567")
    XCTAssertEqual(show.span(3_412), "3412")
    XCTAssertEqual(show.time(45_296_000_000_123, decimals: 3), "45296000000123")
  }

  // MARK: The whole table

  func testNamesAndOptionsAreWhole() {
    let commands = CommandTable.commands
    XCTAssertEqual(Set(commands.map(\.name)).count, commands.count, "a name twice")
    for command in commands where command.plain == nil {
      XCTAssertLessThanOrEqual(command.name.count, 13, "\(command.name) does not fit its column of help")
      XCTAssertEqual(Set(command.options.map(\.name)).count, command.options.count, "\(command.name)")
      XCTAssertTrue(command.exitCodes.contains { $0.code == 64 }, "\(command.name) says nothing of code 64")
      XCTAssertEqual(
        command.exitCodes.map(\.code), command.exitCodes.map(\.code).sorted(),
        "\(command.name): codes in order")
      for meaning in command.exitCodes {
        XCTAssertTrue(
          Command.ExitMeaning.all.contains { $0.code == meaning.code } || meaning.code == 2,
          "\(command.name): \(meaning.code) is no code of ours")
      }
      for option in command.options {
        XCTAssertTrue(option.name.hasPrefix("--"), "\(command.name) \(option.name)")
        XCTAssertFalse(
          option.meaning.isEmpty || option.meaning.hasSuffix("."), "\(command.name) \(option.name)")
      }
      XCTAssertNotEqual(command.summary.first?.isUppercase, true, command.name)
      XCTAssertFalse(command.summary.hasSuffix("."), command.name)
    }
  }

  /// Commands without JSON, and why.
  private static let withoutJSON = [
    "top": "a screen for a person", "watch": "a screen for a person", "metrics": "has a format of its own",
    "check": "has --format json", "help": "text for a person", "cheat": "text for a person",
    "completion": "a shell's script", "man": "a manual page", "candidates": "words for a shell",
  ]

  func testEveryCommandSpeaksJSON() {
    for command in CommandTable.commands {
      let hasJSON = command.option("--json") != nil
      XCTAssertEqual(hasJSON, Self.withoutJSON[command.name] == nil, "\(command.name): --json")
    }
    XCTAssertEqual(
      Set(Self.withoutJSON.keys).subtracting(CommandTable.commands.map(\.name)), [], "reasons for nothing")
  }

  /// What an example shows is accepted, and names a command that there is.
  func testEveryExampleIsAccepted() throws {
    for command in CommandTable.commands {
      for example in command.examples {
        let line = example.line.prefix { $0 != "|" && $0 != ">" }
        var words: [String] = []
        var isQuoted = false
        var word = ""
        for character in line {
          if character == "'" {
            isQuoted.toggle()
          } else if character == " ", !isQuoted {
            if !word.isEmpty { words.append(word) }
            word = ""
          } else {
            word.append(character)
          }
        }
        if !word.isEmpty { words.append(word) }
        XCTAssertEqual(words.first, command.name, example.line)
        XCTAssertNoThrow(
          try CommandArguments(Array(words.dropFirst()), of: command) { _ in nil }, example.line)
      }
    }
  }

  func testExitCodesOfUsage() {
    XCTAssertEqual(CommandTable.dispatch([]), 64)
    XCTAssertEqual(CommandTable.dispatch(["stauts"]), 64)
    XCTAssertEqual(CommandTable.dispatch(["--naem", "x", "status"]), 64)
    XCTAssertEqual(CommandTable.dispatch(["--help"]), 0)
    for command in CommandTable.commands where command.plain == nil {
      XCTAssertEqual(CommandTable.dispatch([command.name, "--no-such-option"]), 64, command.name)
      XCTAssertEqual(CommandTable.dispatch([command.name, "--help"]), 0, command.name)
    }
  }

  /// Shared options may stand in front; they go to the command.
  func testOptionsInFrontOfTheCommand() {
    let nowhere = "/dev/shm/no-such-directory-\(getpid())"
    XCTAssertEqual(CommandTable.dispatch(["--run-directory", nowhere, "status"]), 3)
    XCTAssertEqual(CommandTable.dispatch(["--run-directory=\(nowhere)", "--json", "status"]), 3)
    // `book` has no sets to choose from.
    XCTAssertEqual(CommandTable.dispatch(["--run-directory", nowhere, "book", "x"]), 64)
  }

  /// Help, manual page and every shell's completion name each option.
  func testEveryOptionIsEverywhere() {
    let commands = CommandTable.commands.filter { !$0.isHidden && $0.plain == nil }
    let scripts = ShellCompletion.shells.compactMap { ShellCompletion.script($0, commands) }
    XCTAssertEqual(scripts.count, 3)
    let overview = ManualPages.overview(commands)
    for command in commands {
      let help = HelpText.of(command)
      let page = ManualPages.page(of: command)
      XCTAssertTrue(overview.contains("*bulkhead-\(command.name)*(1)"), command.name)
      for option in command.options {
        XCTAssertTrue(help.contains("  \(option.synopsis)"), "\(command.name) \(option.name) in help")
        XCTAssertTrue(
          page.contains("*\(ManualPages.escaped(option.name))*"), "\(command.name) \(option.name) in man")
        XCTAssertTrue(scripts[0].contains(option.name), "\(command.name) \(option.name) in bash")
        XCTAssertTrue(scripts[1].contains("\(option.name)["), "\(command.name) \(option.name) in zsh")
        let fish = "__bulkhead_at 1+ \(command.name)' -l \(option.name.dropFirst(2)) "
        XCTAssertTrue(scripts[2].contains(fish), "\(command.name) \(option.name) in fish")
      }
    }
  }

  // MARK: Golden texts, of two small commands

  func testGoldenTexts() throws {
    let commands = [Self.sample, Self.withActions]
    try expectGolden(HelpText.of(Self.sample), "sample.help.txt")
    try expectGolden(HelpText.of(Self.withActions), "acting.help.txt")
    try expectGolden(ManualPages.page(of: Self.sample), "sample.1.scd")
    for shell in ShellCompletion.shells {
      try expectGolden(try XCTUnwrap(ShellCompletion.script(shell, commands)), "completion.\(shell)")
    }
  }
}

/// Compares with a file beside the tests; BULKHEAD_BLESS=1 writes it anew.
func expectGolden(_ text: String, _ name: String, file: StaticString = #filePath, line: UInt = #line) throws {
  let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
    "Golden/\(name)")
  if ProcessInfo.processInfo.environment["BULKHEAD_BLESS"] == "1" {
    try Data(text.utf8).write(to: url)
    return
  }
  let wanted = (try? String(contentsOf: url, encoding: .utf8)) ?? ""
  if text != wanted {
    let pairs = zip(
      text.split(separator: "\n", omittingEmptySubsequences: false),
      wanted.split(separator: "\n", omittingEmptySubsequences: false))
    let first = pairs.first { $0 != $1 }
    XCTFail(
      "\(name) differs; first line: \(first?.0 ?? "(length)"), wanted: \(first?.1 ?? "(length)"); BULKHEAD_BLESS=1 accepts",
      file: file, line: line)
  }
}
