import Glibc
import StageRuntime

/// Every command of `bulkhead`. Each is described where it is written (`extension Command`); `bulkhead help` lists them by
/// group, in this order.
enum CommandTable {
  static var commands: [Command] {
    [
      .ps, .status, .top, .stat, .rings, .gaps, .lat, .clients, .errors, .events, .postmortem, .tap,
      .check, .isLive, .isReady, .wait, .metrics,
      .run, .stop, .start, .restart, .drain, .maint, .upgrade, .snapshot, .loglevel, .arm, .disarm, .fire,
      .config, .host, .units,
      .tape, .book, .watch,
      .drill, .reliability,
      .help, .doctor, .explain, .bundle, .cheat, .completion, .man, .version, .candidates,
    ]
  }

  static func named(_ name: String) -> Command? { commands.first { $0.name == name } }

  /// Runs what the arguments of the process say.
  /// - Returns: the exit code.
  static func dispatch(_ arguments: [String]) -> Int32 {
    do throws(ToolUsageError) {
      let (name, rest) = try sharedOptionsBehind(arguments)
      switch name {
      case nil:
        narrate(HelpText.of(commands))
        return ExitCode.usage
      case "--help", "-h":
        print(HelpText.of(commands))
        return ExitCode.success
      case "--version": return dispatch(["version"])
      case let name?:
        guard let command = named(name) else {
          let nearest = nearestCommand(name).map { "; did you mean `\($0)`?" } ?? ""
          throw ToolUsageError(line: "unknown command `\(name)`\(nearest)")
        }
        return run(command, rest)
      }
    } catch {
      narrate("bulkhead: \(error.line)\ntry `bulkhead --help`")
      return ExitCode.usage
    }
  }

  private static func run(_ command: Command, _ arguments: [String]) -> Int32 {
    if let plain = command.plain { return plain(arguments) }
    if arguments.prefix(while: { $0 != "--" }).contains(where: { $0 == "--help" || $0 == "-h" }) {
      print(HelpText.of(command))
      return ExitCode.success
    }
    do throws(ToolUsageError) {
      let arguments = try CommandArguments(arguments, of: command)
      if let place = arguments.keptPlace { return try runFrom(place, arguments) }
      return try command.run(arguments)
    } catch {
      narrate("bulkhead \(command.name): \(error.line)\ntry `bulkhead \(command.name) --help`")
      return ExitCode.usage
    }
  }

  /// Options that mean the same everywhere may stand in front of the command too.
  static let shared: [Command.Option] = [
    .from, .name, .runDirectory, .json, .color, .raw, .utc, .local,
  ]

  private static func sharedOptionsBehind(
    _ arguments: [String]
  ) throws(ToolUsageError) -> (name: String?, rest: [String]) {
    var rest = arguments[...]
    var moved: [String] = []
    while let word = rest.popFirst() {
      if !word.hasPrefix("-") || ["--help", "-h", "--version"].contains(word) {
        return (word, inserted(moved, into: rest))
      }
      let name = String(word.prefix { $0 != "=" })
      guard let option = shared.first(where: { $0.name == name }) else {
        throw ToolUsageError(line: "unknown option `\(name)` in front of the command")
      }
      moved.append(word)
      if option.kind != nil, name == word {
        guard let value = rest.popFirst() else { throw ToolUsageError(line: "\(name) needs a value") }
        moved.append(value)
      }
    }
    return (nil, moved)
  }

  /// Before a `--`, behind which there are no options.
  private static func inserted(_ options: [String], into rest: ArraySlice<String>) -> [String] {
    guard let end = rest.firstIndex(of: "--") else { return Array(rest) + options }
    return Array(rest[..<end]) + options + Array(rest[end...])
  }

  private static func nearestCommand(_ name: String) -> String? {
    BookOptions.nearest(to: name, among: commands.filter { !$0.isHidden }.map(\.name), count: 1).first
  }
}

/// Ends the process, with everything printed.
func exitWith(_ code: Int32) -> Never {
  fflush(nil)
  exit(code)
}
