import SetInspection
import ShmRing
import StageRuntime

extension Command {
  static let clients = Command(
    name: "clients", group: .see,
    summary: "show pubd's clients: who is connected, who is slow, who was thrown out",
    description: [
      "The counts are of the set's life. Then a line for each client, as pubd last saw it: WAITING is what it has not taken "
        + "yet, ROOM what may wait at most, QUIET how long nothing was taken. Readers of the rings on this host are "
        + "shown by `bulkhead rings`."
    ],
    options: Option.ofSets + TableChoice.options(ClientsCommand.columns) + Option.ofNumbers,
    exitCodes: [
      .init(ExitCode.success, "shown"), .init(ExitCode.failure, "pubd of a set does not run, or it has none"),
      .notRunning, .unreadable, .usage,
    ],
    examples: [.init("clients", "who is connected, and who was thrown out")]
  ) { arguments throws(ToolUsageError) in
    let choice = try TableChoice(arguments, of: ClientsCommand.columns)
    return ClientsCommand(
      options: SetOptions(arguments), show: arguments.presentation, output: .standard(), choice: choice
    ).run()
  }
}

struct ClientsCommand {
  let options: SetOptions
  let show: Presentation
  let output: LineOutput
  /// Of the table of clients; the counts above it are always whole, and left out where columns are chosen.
  var choice = TableChoice()
  static let columns: [RowTable.Column] = [
    .init("instance"), .init("client"), .init("state"), .init("connected"), .init("quiet"), .init("waiting"),
    .init("room"), .init("sent"), .init("subscriptions"),
  ]

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
        json.array("clients") { json in
          for client in set.clients {
            json.object { json in
              json.field("address", client.addressText)
              json.field("port", Int(client.port))
              json.field("state", client.state.name)
              json.field("connectedNanoseconds", Self.elapsed(since: client.since, set))
              json.field("quietNanoseconds", Self.elapsed(since: client.lastTaken, set))
              json.field("waitingBytes", client.waitingBytes)
              json.field("capacityBytes", client.capacityBytes)
              json.field("sentBytes", client.sentBytes)
              json.field("subscriptions", client.subscriptions)
            }
          }
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
      if choice.fields == nil {
        for line in aligned(rows) { output.line(line) }
        for line in clientLines(sets) { output.line(line) }
      } else {
        for line in clientLines(sets).dropFirst() { output.line(line) }
      }
    }
    output.flush()
    guard !sets.isEmpty else { return options.absenceCode() }
    let areUp = sets.allSatisfy { $0.component("pubd")?.isAlive ?? !$0.unreadable.isEmpty }
    let code = areUp ? ExitCode.success : ExitCode.failure
    return options.withUnreadable(code, pagesOf: sets)
  }

  /// A line for each client, under headings; none without clients.
  func clientLines(_ sets: [SetReading]) -> [String] {
    var table = RowTable(Self.columns)
    for set in sets {
      for client in set.clients {
        func time(_ since: UInt64) -> RowTable.Cell {
          let nanoseconds = Self.elapsed(since: since, set)
          return .init(show.isRaw ? String(nanoseconds) : age(nanoseconds), nanoseconds)
        }
        func count(_ value: UInt64) -> RowTable.Cell { .init(show.count(value), value) }
        table.rows.append([
          .init(set.instance), .init("\(client.addressText):\(client.port)"), .init(client.state.name),
          time(client.since), time(client.lastTaken), count(client.waitingBytes), count(client.capacityBytes),
          count(client.sentBytes), count(client.subscriptions),
        ])
      }
    }
    return table.rows.isEmpty ? [] : [""] + table.lines(choice)
  }

  private static func elapsed(since instant: UInt64, _ set: SetReading) -> UInt64 {
    instant > 0 && set.monotonic > instant ? set.monotonic - instant : 0
  }

  private static let counts: [(name: String, heading: String, counter: PublishCounter)] = [
    ("port", "PORT", .port), ("connected", "CONNECTED", .clients), ("accepted", "ACCEPTED", .clientsAccepted),
    ("refused", "REFUSED", .clientsRefused), ("evicted", "EVICTED", .clientsEvicted),
    ("framesSent", "FRAMES", .framesSent), ("bytesSent", "BYTES", .bytesSent),
    ("snapshotsServed", "SNAPSHOTS", .snapshotsServed),
  ]
}

extension SetReading {
  /// The sessions of a pubd that runs, in the order in which they came.
  var clients: [ClientTable.Value] {
    guard component("pubd")?.isAlive == true,
      let table = try? TableReader.attach(
        path: ClientTable.path(directory: directory), configurationHash: nil)
    else { return [] }
    return table.clients()
  }
}

extension ClientTable.Value {
  /// "10.0.4.9"; "local" for one whose address is not known, as on a local socket.
  var addressText: String {
    guard address != 0 else { return "local" }
    return [24, 16, 8, 0].map { String(address >> UInt32($0) & 255) }.joined(separator: ".")
  }
}
