import CLinux
import LatencyHistogram
import SetInspection
import StageRuntime

extension Command {
  static let lat = Command(
    name: "lat", group: .see, summary: "show how long messages take to each stage's output",
    description: [
      "From the kernel's receive stamp to the output of each stage, one sample for each batch, since the set was made or, "
        + "with --interval, from now on. Percentiles are the upper bounds of buckets that are at most 1/32 wide; the "
        + "maximum is exact. A stage that keeps no such times shows `-`."
    ],
    options: Option.ofSets + [
      Option("--stage", .process, "only this stage"),
      Option("--interval", .seconds("SECONDS", 0.01...86_400), "of the samples of so long, from now on"),
    ] + TableChoice.options(LatencyCommand.columns) + Option.ofNumbers,
    exitCodes: [
      .init(ExitCode.success, "shown"), .init(ExitCode.failure, "no set has such a stage"), .notRunning,
      .unreadable, .usage,
    ],
    examples: [
      .init("lat", "since the sets were made"),
      .init("lat --interval 10 --stage bookd", "bookd's next ten seconds"),
    ]
  ) { arguments throws(ToolUsageError) in
    let choice = try TableChoice(arguments, of: LatencyCommand.columns)
    return LatencyCommand(
      options: SetOptions(arguments), stage: arguments.value("--stage"),
      interval: arguments.nanoseconds("--interval"), show: arguments.presentation, output: .standard(),
      choice: choice
    ).run()
  }
}

struct LatencyCommand {
  static let quantiles: [(name: String, heading: String, value: Double)] = [
    ("p50", "P50", 0.5), ("p90", "P90", 0.9), ("p99", "P99", 0.99), ("p999", "P99.9", 0.999),
    ("p9999", "P99.99", 0.9999),
  ]

  let options: SetOptions
  let stage: String?
  let interval: UInt64?
  let show: Presentation
  let output: LineOutput
  var choice = TableChoice()
  static let columns: [RowTable.Column] =
    [.init("instance"), .init("stage"), .init("samples")]
    + quantiles.map { .init($0.name, heading: $0.heading) }
    + [.init("max")]

  func run() -> Int32 {
    var sets = options.samples()
    var earlier: [SetReading] = []
    if let interval, !sets.isEmpty {
      earlier = sets
      pause(nanoseconds: interval)
      sets = options.samples()
    }
    guard !sets.isEmpty else { return options.absenceCode() }
    let rows = sets.map { set in (set, latencies(set, earlier.first { $0.instance == set.instance })) }
    if let stage, rows.allSatisfy({ $0.1.isEmpty }) {
      let names = Set(sets.flatMap { $0.stages.map(\.name) }).sorted().joined(separator: ", ")
      narrate("bulkhead lat: no stage `\(stage)`; there are: \(names)")
      return ExitCode.failure
    }
    if options.json {
      let text = JSONReport(schema: "lat").text(sets) { set, json in
        json.array("stages") { json in
          for row in rows where row.0.instance == set.instance {
            for latency in row.1 { Self.write(latency, to: &json) }
          }
        }
      }
      output.line(text)
    } else {
      var table = RowTable(Self.columns)
      for (set, latencies) in rows {
        for latency in latencies {
          let times = Self.quantiles.map { latency.sample.value(at: $0.value) } + [latency.sample.maximum]
          table.rows.append(
            [
              .init(set.instance), .init(latency.name),
              .init(show.count(latency.sample.count), latency.sample.count),
            ]
              + times.map {
                latency.sample.count == 0 ? .init("-") : .init(show.span($0).replacingSpaces, $0)
              })
        }
      }
      for line in table.lines(choice) { output.line(line) }
    }
    output.flush()
    return options.withUnreadable(ExitCode.success, pagesOf: sets)
  }

  private func latencies(_ set: SetReading, _ earlier: SetReading?) -> [(
    name: String, sample: HistogramSample
  )] {
    set.stages.filter { stage == nil || $0.name == stage }.map { component in
      (
        component.name,
        earlier?.component(component.name).map { component.latency.since($0.latency) } ?? component.latency
      )
    }
  }

  private static func write(_ latency: (name: String, sample: HistogramSample), to json: inout JSONText) {
    json.object { json in
      json.field("name", latency.name)
      json.field("samples", latency.sample.count)
      for quantile in quantiles {
        json.field("\(quantile.name)Nanoseconds", latency.sample.value(at: quantile.value))
      }
      json.field("maximumNanoseconds", latency.sample.maximum)
    }
  }
}
