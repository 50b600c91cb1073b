import SetInspection
import Drills
import ShmRing
import Glibc
import StageRuntime

/// The commands that are made from the table itself.
extension Command {
  static let help = Command(
    name: "help", group: .help, summary: "list the commands, or explain one",
    operands: [Operand(.command, "the command to explain", isOptional: true)],
    exitCodes: [.init(ExitCode.success, "shown"), .usage],
    examples: [.init("help tap", "explain `tap`")]
  ) { arguments throws(ToolUsageError) in
    guard let name = arguments.operands.first else { return CommandTable.dispatch(["--help"]) }
    return CommandTable.dispatch([name, "--help"])
  }

  static let cheat = Command(
    name: "cheat", group: .help, summary: "show examples, of all commands or of one",
    operands: [Operand(.topic, "a command", isOptional: true)],
    exitCodes: [.init(ExitCode.success, "shown"), .init(ExitCode.failure, "there is no such topic"), .usage],
    examples: [.init("cheat tape", "examples of `tape`")]
  ) { arguments in
    let topic = arguments.operands.first
    let lines = CheatSheet.lines(CommandTable.commands, topic: topic)
    guard !lines.isEmpty else {
      narrate(
        "bulkhead cheat: nothing about `\(topic ?? "")`; there is: \(CheatSheet.topics(CommandTable.commands).joined(separator: ", "))"
      )
      return ExitCode.failure
    }
    for line in lines { print(line) }
    return ExitCode.success
  }

  static let completion = Command(
    name: "completion", group: .help, summary: "print the completion script of a shell",
    description: [
      "The script asks this program for the names of sets, processes and rings that there are at the moment."
    ],
    operands: [Operand(.choice(ShellCompletion.shells), "the shell")],
    exitCodes: [.init(ExitCode.success, "printed"), .usage],
    examples: [
      .init("completion bash > /usr/share/bash-completion/completions/bulkhead", "install it for bash"),
      .init("completion zsh > /usr/share/zsh/vendor-completions/_bulkhead", "install it for zsh"),
      .init("completion fish > /usr/share/fish/vendor_completions.d/bulkhead.fish", "install it for fish"),
    ]
  ) { arguments in
    print(ShellCompletion.script(arguments.operands.first ?? "", CommandTable.commands) ?? "", terminator: "")
    return ExitCode.success
  }

  static let man = Command(
    name: "man", group: .help, summary: "print manual pages in the language of scdoc",
    description: ["`make man` renders them into .build/man."],
    operands: [Operand(.command, "the command; without it the page of the whole", isOptional: true)],
    options: [Option("--out", .directory("DIR"), "write every page there, as NAME.1.scd")],
    exitCodes: [
      .init(ExitCode.success, "printed"), .init(ExitCode.failure, "there is no such page"), .usage,
      .init(ExitCode.cannotCreate, "a page cannot be written"),
    ],
    examples: [
      .init("man tap | scdoc | man -l -", "read a page without installing it"),
      .init("man --out pages", "write all pages"),
    ]
  ) { arguments in
    let pages = ManualPages.all(CommandTable.commands)
    if let directory = arguments.value("--out") {
      for page in pages where !writeWholeFile("\(directory)/\(page.file)", page.text) {
        narrate("bulkhead man: cannot write \(directory)/\(page.file): \(String(cString: strerror(errno)))")
        return ExitCode.cannotCreate
      }
      return ExitCode.success
    }
    let wanted = arguments.operands.first.map { "bulkhead-\($0).1.scd" } ?? "bulkhead.1.scd"
    guard let page = pages.first(where: { $0.file == wanted }) else {
      narrate("bulkhead man: there is no page of `\(arguments.operands.first ?? "")`")
      return ExitCode.failure
    }
    print(page.text, terminator: "")
    return ExitCode.success
  }

  static let version = Command(
    name: "version", group: .help, summary: "print the version of this program and of what it reads",
    options: [.json], exitCodes: [.init(ExitCode.success, "printed"), .usage]
  ) { arguments in
    if arguments.has("--json") {
      print(
        JSONReport(schema: "version").text { json in
          json.field("build", bulkheadVersion)
          json.field("controlPageVersion", ControlPage.version)
        })
    } else {
      print("bulkhead \(bulkheadVersion)")
    }
    return ExitCode.success
  }

  /// What completion scripts ask.
  static let candidates = Command(
    name: "candidates", group: .help, summary: "print names for the completion of a shell",
    operands: [
      Operand(
        .choice(["instances", "processes", "rings", "drills", "commands", "topics", "actions"]),
        "names of what")
    ],
    options: [.runDirectory], exitCodes: [.init(ExitCode.success, "printed"), .usage], isHidden: true
  ) { arguments in
    let directory = arguments.value("--run-directory") ?? SetDirectory.defaultRunDirectory
    var sets: [SetDirectory] { SetDirectory.discover(runDirectory: directory, name: nil) }
    let shown = CommandTable.commands.filter { !$0.isHidden }
    let names: [String] =
      switch arguments.operands.first {
      case "instances": sets.map(\.instance)
      case "processes": Array(Set(sets.flatMap { $0.components().map(\.name) })).sorted()
      case "rings": Array(Set(sets.flatMap(\.rings))).sorted()
      case "drills": Drill.catalogue.map(\.id)
      case "actions":
        Array(
          Set(
            sets.compactMap { TrustStatus(directory: $0.path) }.flatMap { armed in
              armed.actions.indices.flatMap { index in
                [armed.address(index), armed.targets[index]?.name ?? armed.actions[index].action.name]
              }
            })
        ).sorted()
      case "topics": CheatSheet.topics(shown)
      default: shown.map(\.name)
      }
    for name in names { print(name) }
    return ExitCode.success
  }
}

/// The examples of all commands.
enum CheatSheet {
  static func topics(_ commands: [Command]) -> [String] {
    commands.filter { !$0.examples.isEmpty && !$0.isHidden }.map(\.name)
  }

  /// - Parameter topic: a command; nil for all. Without examples there are no lines.
  static func lines(_ commands: [Command], topic: String?) -> [String] {
    var lines: [String] = []
    for command in commands where !command.examples.isEmpty && (topic == nil || topic == command.name) {
      if !lines.isEmpty { lines.append("") }
      for example in command.examples {
        lines.append("# \(example.meaning)")
        lines.append("bulkhead \(example.line)")
      }
    }
    return lines
  }
}

/// Writes a file anew; false, with errno, when that fails.
func writeWholeFile(_ path: String, _ text: String) -> Bool {
  let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
  guard descriptor >= 0 else { return false }
  defer { close(descriptor) }
  var bytes = Array(text.utf8)[...]
  while !bytes.isEmpty {
    let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
    if count < 0, errno == EINTR { continue }
    guard count > 0 else { return false }
    bytes = bytes.dropFirst(count)
  }
  return true
}
