import FeedSim
import Glibc
import StageRuntime

/// Every command of `bulkhead`: what it is called, what it does, where it is.
enum CommandTable {
  struct Command {
    let name: String
    let summary: String
    let run: ([String]) -> Int32
  }

  static var commands: [Command] {
    [
      Command(
        name: "run", summary: "bring up a set in the foreground, with a simulated venue if wanted",
        run: runCommand),
      Command(name: "stop", summary: "stop a running set in order", run: stopCommand),
      Command(name: "status", summary: "show the running sets, verdict first", run: statusCommand),
      Command(
        name: "rings", summary: "show who writes and reads each ring, and how far behind", run: ringsCommand),
      Command(
        name: "gaps", summary: "show what was missing, who brought it, and what is lost", run: gapsCommand),
      Command(
        name: "events", summary: "show what the supervisor did and saw: starts, deaths, alarms",
        run: eventsCommand),
      Command(
        name: "drill", summary: "kill and stop processes of a set under load, and judge what came out",
        run: drillCommand),
      Command(name: "tap", summary: "decode the records of a ring, live or of a dead set", run: tapCommand),
      Command(
        name: "tape", summary: "look at what was recorded: list, verify, show, export", run: tapeCommand),
      Command(name: "book", summary: "build books from an ITCH file in one process", run: bookCommand),
      Command(name: "watch", summary: "draw one symbol's ladder, as a client of pubd", run: watchCommand),
      Command(name: "config", summary: "check and show a configuration", run: configCommand),
    ]
  }

  static func dispatch(_ arguments: [String]) -> Int32 {
    guard let name = arguments.first else {
      narrate(help)
      return ExitCode.usage
    }
    switch name {
    case "--help", "-h", "help":
      print(help)
      return ExitCode.success
    case "--version", "version":
      print("bulkhead \(bulkheadVersion)")
      return ExitCode.success
    default: break
    }
    guard let command = commands.first(where: { $0.name == name }) else {
      let nearest = nearestName(name, among: commands.map(\.name)) ?? "run"
      narrate("bulkhead: unknown command `\(name)`; did you mean `\(nearest)`?")
      return ExitCode.usage
    }
    return command.run(Array(arguments.dropFirst()))
  }

  static var help: String {
    var text = "usage: bulkhead COMMAND [argument]...\n"
    for command in commands {
      text += "\n  " + command.name + String(repeating: " ", count: 10 - command.name.count) + command.summary
    }
    return text
      + "\n\n`bulkhead COMMAND --help` explains a command. Exit codes: 0 good, 1 not good, 3 not running, 4 cannot tell,"
      + "\n64 usage, 65 malformed input, 69 unavailable, 70 invariant broken, 78 configuration."
  }
}

func runCommand(_ arguments: [String]) -> Int32 {
  let options = RunOptions.parse(arguments)
  return RunSession(options: options).run()
}

/// Ends the process, with everything printed.
func exitWith(_ code: Int32) -> Never {
  fflush(nil)
  exit(code)
}
