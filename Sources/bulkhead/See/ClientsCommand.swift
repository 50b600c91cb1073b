import SetInspection
import StageRuntime

extension Command {
  static let clients = Command(
    name: "clients", group: .see, summary: "show what pubd's clients did: connected, refused, evicted",
    description: [
      "Counts of the set's life; pubd keeps no page about each of them. Readers of the rings on this host are shown by "
        + "`bulkhead rings`."
    ],
    options: Option.ofSets + Option.ofNumbers,
    exitCodes: [
      .init(ExitCode.success, "shown"), .init(ExitCode.failure, "pubd of a set does not run, or it has none"),
      .notRunning, .usage,
    ],
    examples: [.init("clients", "who is connected, and who was thrown out")]
  ) { arguments in
    ClientsCommand(options: SetOptions(arguments), show: arguments.presentation, output: .standard()).run()
  }
}

struct ClientsCommand {
  let options: SetOptions
  let show: Presentation
  let output: LineOutput

  func run() -> Int32 {
    let sets = options.samples()
    if options.json {
      let text = JSONReport(schema: "clients").text(sets) { set, json in
        guard let publisher = set.component("pubd") else { return }
        json.object("publisher") { json in
          json.field("alive", publisher.isAlive)
          json.field("state", publisher.state.name)
          for (name, _, counter) in Self.counts { json.field(name, publisher.value(counter)) }
        }
      }
      output.line(text)
    } else if !sets.isEmpty {
      var rows = [["INSTANCE", "PUBD"] + Self.counts.map(\.heading)]
      for set in sets {
        let publisher = set.component("pubd")
        rows.append(
          [set.instance, publisher?.stateName ?? "none"]
            + Self.counts.map { entry in
              guard let publisher else { return "-" }
              let value = publisher.value(entry.counter)
              return entry.counter == .port ? String(value) : show.count(value)
            })
      }
      for line in aligned(rows) { output.line(line) }
    }
    output.flush()
    guard !sets.isEmpty else {
      narrate(options.absence)
      return ExitCode.notRunning
    }
    return sets.allSatisfy { $0.component("pubd")?.isAlive == true } ? ExitCode.success : ExitCode.failure
  }

  private static let counts: [(name: String, heading: String, counter: PublishCounter)] = [
    ("port", "PORT", .port), ("connected", "CONNECTED", .clients), ("accepted", "ACCEPTED", .clientsAccepted),
    ("refused", "REFUSED", .clientsRefused), ("evicted", "EVICTED", .clientsEvicted),
    ("framesSent", "FRAMES", .framesSent), ("bytesSent", "BYTES", .bytesSent),
    ("snapshotsServed", "SNAPSHOTS", .snapshotsServed),
  ]
}
