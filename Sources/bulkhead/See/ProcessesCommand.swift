import SetInspection
import ShmRing
import StageRuntime

extension Command {
  static let ps = Command(
    name: "ps", group: .see, summary: "list the processes of every set on this host",
    description: [
      "A line a process. STATE is what the process says of itself; `dead` for one that does not run, `never` for one that "
        + "has not begun yet. EPOCH is its incarnation, BEAT the time since its loop came round last."
    ],
    options: Option.ofSets + [Option("--no-headers", "no line of headings")] + Option.ofNumbers,
    exitCodes: [.init(ExitCode.success, "shown, even when there are none"), .usage],
    examples: [.init("ps", "what runs here?"), .init("ps --no-headers --raw", "the same, to be read by awk")]
  ) { arguments in
    ProcessesCommand(
      options: SetOptions(arguments), hasHeadings: !arguments.has("--no-headers"),
      show: arguments.presentation, output: .standard()
    ).run()
  }
}

struct ProcessesCommand {
  let options: SetOptions
  let hasHeadings: Bool
  let show: Presentation
  let output: LineOutput

  func run() -> Int32 {
    let sets = options.samples()
    if options.json {
      output.line(JSONReport(schema: "ps").text(sets, write))
    } else {
      for line in lines(sets) { output.line(line) }
    }
    output.flush()
    return ExitCode.success
  }

  func lines(_ sets: [SetReading]) -> [String] {
    var rows = [
      ["INSTANCE", "PROCESS", "PID", "STATE", "EPOCH", "UPTIME", "BEAT", "RESTARTS", "CONFIGURATION"]
    ]
    for set in sets {
      for component in set.components {
        let isAlive = component.isAlive
        rows.append([
          set.instance, component.name, component.pid > 0 ? String(component.pid) : "-", component.stateName,
          String(component.epoch),
          isAlive ? show.isRaw ? String(component.uptime) : age(component.uptime) : "-",
          isAlive ? show.span(component.beatAge).replacingSpaces : "-", show.count(component.restarts),
          hexadecimal(component.configurationHash),
        ])
      }
    }
    let lines = aligned(rows)
    return hasHeadings ? lines : Array(lines.dropFirst())
  }

  private func write(_ set: SetReading, to json: inout JSONText) {
    json.array("processes") { json in
      for component in set.components {
        json.object { json in
          json.field("name", component.name)
          json.field("pid", Int(component.pid))
          json.field("alive", component.isAlive)
          json.field("state", component.state.name)
          json.field("epoch", component.epoch)
          json.field("uptimeNanoseconds", component.isAlive ? component.uptime : 0)
          json.field("beatAgeNanoseconds", component.beatAge)
          json.field("restarts", component.restarts)
          json.field("configurationHash", hexadecimal(component.configurationHash))
          json.field("logLevel", component.logLevel.name)
        }
      }
    }
  }
}

extension String {
  /// "3.4 ms" → "3.4ms": one word of a table.
  var replacingSpaces: String { String(filter { $0 != " " }) }
}
