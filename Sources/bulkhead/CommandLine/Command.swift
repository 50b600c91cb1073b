import SetInspection
import StageRuntime

/// One command of `bulkhead`, described once: the parser, the help, the manual pages and the completion of every shell
/// come from this.
struct Command: Sendable {
  /// What a command is for, in the order in which help lists them.
  enum Group: String, CaseIterable, Sendable {
    case see = "look at sets, running or dead"
    case decide = "answer scripts by exit code"
    case act = "bring up, change and stop sets"
    case configure = "configuration and host"
    case data = "files and clients"
    case prove = "prove it"
    case help = "help"
  }

  let name: String
  let group: Group
  /// What it does, in a few words that start with a verb.
  let summary: String
  /// Paragraphs.
  let description: [String]
  /// Words of which the first argument is one; empty for a command that has none.
  let actions: [Action]
  /// What is given without a name; of a command with actions, each action has its own.
  let operands: [Operand]
  let options: [Option]
  let exitCodes: [ExitMeaning]
  let examples: [Example]
  /// Not shown in help.
  let isHidden: Bool
  /// Runs the command; an error thrown is one of usage.
  let run: @Sendable (CommandArguments) throws(ToolUsageError) -> Int32
  /// Set instead of all the above for a command that reads its own arguments.
  let plain: (@Sendable ([String]) -> Int32)?

  init(
    name: String, group: Group, summary: String, description: [String] = [], actions: [Action] = [],
    operands: [Operand] = [], options: [Option] = [], exitCodes: [ExitMeaning], examples: [Example] = [],
    isHidden: Bool = false, run: @escaping @Sendable (CommandArguments) throws(ToolUsageError) -> Int32
  ) {
    self.name = name
    self.group = group
    self.summary = summary
    self.description = description
    self.actions = actions
    self.operands = operands
    self.options = options
    self.exitCodes = exitCodes
    self.examples = examples
    self.isHidden = isHidden
    self.run = run
    plain = nil
  }

  /// A command that reads its own arguments, and answers `--help` itself.
  init(name: String, summary: String, run: @escaping @Sendable ([String]) -> Int32) {
    self.name = name
    group = .data
    self.summary = summary
    description = []
    actions = []
    operands = []
    options = []
    exitCodes = []
    examples = []
    isHidden = false
    self.run = { _ in ExitCode.usage }
    plain = run
  }

  /// A word that says what the command is to do.
  struct Action: Sendable {
    let name: String
    let meaning: String
    let operands: [Operand]

    init(_ name: String, _ meaning: String, operands: [Operand] = []) {
      self.name = name
      self.meaning = meaning
      self.operands = operands
    }
  }

  /// An argument without a name.
  struct Operand: Sendable {
    let kind: ValueKind
    let meaning: String
    let isOptional: Bool
    let isRepeatable: Bool

    init(_ kind: ValueKind, _ meaning: String, isOptional: Bool = false, isRepeatable: Bool = false) {
      self.kind = kind
      self.meaning = meaning
      self.isOptional = isOptional
      self.isRepeatable = isRepeatable
    }

    /// As a synopsis shows it: `FILE`, `[FILE]`, `ID...`.
    var synopsis: String {
      let word = kind.placeholder + (isRepeatable ? "..." : "")
      return isOptional ? "[\(word)]" : word
    }
  }

  /// An option: a flag without a `kind`, otherwise with a value.
  struct Option: Sendable {
    let name: String
    let kind: ValueKind?
    let meaning: String
    let isRepeatable: Bool
    /// A variable of the environment that gives the value when the option does not.
    let environment: String?

    /// A flag.
    init(_ name: String, _ meaning: String) {
      self.name = name
      kind = nil
      self.meaning = meaning
      isRepeatable = false
      environment = nil
    }

    init(
      _ name: String, _ kind: ValueKind, _ meaning: String, isRepeatable: Bool = false,
      environment: String? = nil
    ) {
      self.name = name
      self.kind = kind
      self.meaning = meaning
      self.isRepeatable = isRepeatable
      self.environment = environment
    }

    /// As help shows it: `--count N`.
    var synopsis: String { kind.map { "\(name) \($0.placeholder)" } ?? name }
  }

  /// What a value is: how it is checked, and what a shell may offer for it.
  enum ValueKind: Sendable {
    case text(String)
    case number(String, ClosedRange<UInt64>)
    /// Seconds, with decimals.
    case seconds(String, ClosedRange<Double>)
    case choice([String])
    case file(String)
    case directory(String)
    /// Names that are known only when they are asked for.
    case instance, process, ring, drill, command, topic, safetyAction

    var placeholder: String {
      switch self {
      case .text(let name), .number(let name, _), .seconds(let name, _), .file(let name),
        .directory(let name):
        name
      case .choice(let words): words.joined(separator: "|")
      case .instance: "INSTANCE"
      case .process: "PROCESS"
      case .ring: "RING"
      case .drill: "ID"
      case .command: "COMMAND"
      case .topic: "TOPIC"
      case .safetyAction: "ACTION"
      }
    }
  }

  struct ExitMeaning: Sendable {
    let code: Int32
    let meaning: String

    init(_ code: Int32, _ meaning: String) {
      self.code = code
      self.meaning = meaning
    }
  }

  struct Example: Sendable {
    /// The arguments behind `bulkhead`.
    let line: String
    let meaning: String

    init(_ line: String, _ meaning: String) {
      self.line = line
      self.meaning = meaning
    }
  }

  func action(_ name: String) -> Action? { actions.first { $0.name == name } }

  func option(_ name: String) -> Option? { options.first { $0.name == name } }

  /// The lines of a synopsis, each from `bulkhead` on.
  var synopsis: [String] {
    let options = options.isEmpty ? "" : " [option]..."
    func line(_ words: [String]) -> String { (["bulkhead", name] + words).joined(separator: " ") + options }
    guard !actions.isEmpty else { return [line(operands.map(\.synopsis))] }
    return actions.map { line([$0.name] + $0.operands.map(\.synopsis)) }
  }
}

/// Options that mean the same wherever they are.
extension Command.Option {
  static let json = Command.Option("--json", "print JSON, for programs")
  static let name = Command.Option(
    "--name", .instance, "the set of this name; otherwise every set that is found, or the only one",
    environment: "BULKHEAD_NAME")
  static let runDirectory = Command.Option(
    "--run-directory", .directory("DIR"),
    "where sets keep their files (\(SetDirectory.defaultRunDirectory))", environment: "BULKHEAD_RUN_DIRECTORY"
  )
  static let color = Command.Option(
    "--color", .choice(["auto", "always", "never"]),
    "colour of verdicts: auto (default) is on a terminal, without NO_COLOR and unless TERM is dumb")
  static let raw = Command.Option("--raw", "whole numbers without separators, times in nanoseconds")
  static let utc = Command.Option("--utc", "times of the day in UTC (default)")
  static let local = Command.Option("--local", "times of the day of this host's zone")
  static let set = Command.Option(
    "--set", .text("KEY=VALUE"), "override a key of the topology, for instance host.instance=test",
    isRepeatable: true)

  static let from = Command.Option(
    "--from", .file("PLACE"),
    "a set's directory or one that holds some, wherever it lies, or a support bundle (`bulkhead bundle`)")

  /// What every command on sets takes.
  static let ofSets: [Command.Option] = [.from, .name, .runDirectory, .json]
  /// What shows numbers takes.
  static let ofNumbers: [Command.Option] = [.raw, .color]
  /// What shows times of the day takes.
  static let ofTimes: [Command.Option] = [.raw, .utc, .local, .color]
}

extension Command.ExitMeaning {
  static let notRunning = Command.ExitMeaning(ExitCode.notRunning, "there is no such set")
  static let unreadable = Command.ExitMeaning(
    ExitCode.cannotTell, "a set, or a page of it, is there and cannot be read")
  static let usage = Command.ExitMeaning(ExitCode.usage, "the arguments are wrong")

  /// What codes mean wherever they are: one table for the whole command.
  static let all: [Command.ExitMeaning] = [
    .init(ExitCode.success, "done; healthy; yes"),
    .init(ExitCode.failure, "it failed; something is not good; no"),
    .init(ExitCode.notRunning, "what was asked about does not run, or is not there"),
    .init(ExitCode.cannotTell, "it cannot be told: no permission, another layout, no answer"),
    .init(ExitCode.usage, "the arguments are wrong"),
    .init(ExitCode.malformedInput, "a file is not what it should be"),
    .init(ExitCode.noInput, "a file cannot be read"),
    .init(ExitCode.unavailable, "something that is needed is not available"),
    .init(ExitCode.invariantBroken, "an invariant is broken: wrong data"),
    .init(ExitCode.cannotCreate, "a file cannot be written"),
    .init(ExitCode.inputOutput, "reading or writing failed"),
    .init(ExitCode.configuration, "the configuration is not accepted"),
  ]
}
