import SetInspection
import StageRuntime
import ViewPages

extension Command {
  static let metrics = Command(
    name: "metrics", group: .decide, summary: "print a set's metrics, as viewd does",
    description: [
      "The families of viewd's /metrics (docs/VIEW.md), from the set's files: without viewd, and of a dead set too. What only "
        + "viewd knows, of its own connections, of the host's clock and cards and of the tape's disk, is left out. One set: the one that runs, or --name."
    ],
    options: [
      .from, .name, .runDirectory,
      Option("--format", .choice(["prometheus", "openmetrics"]), "prometheus is the default"),
    ],
    exitCodes: [
      .init(ExitCode.success, "printed"), .notRunning, .init(ExitCode.cannotTell, "its pages cannot be read"),
      .usage,
    ],
    examples: [
      .init("metrics --name demo > /var/lib/node_exporter/bulkhead.prom", "for a collector of text files")
    ]
  ) { arguments in
    MetricsCommand(
      options: SetOptions(name: arguments),
      format: arguments.value("--format") == "openmetrics" ? .openMetrics : .prometheus, output: .standard()
    ).run()
  }
}

struct MetricsCommand {
  let options: SetOptions
  let format: MetricsText.Format
  let output: LineOutput
  var say: (String) -> Void = narrate

  func run() -> Int32 {
    switch options.onlySet() {
    case .failure(let failure):
      say("bulkhead metrics: \(failure.line)")
      return failure.code
    case .success(let set):
      guard let watch = SetWatch(instance: set.instance, path: set.path) else {
        say("bulkhead metrics: the control pages of \"\(set.instance)\" cannot be read")
        return ExitCode.cannotTell
      }
      let families = SetMetrics.families(
        watch.sample(), SetMetrics.Facts(version: bulkheadVersion, channel: ""), SetMetrics.Server()
      ).filter { !$0.name.hasPrefix("bulkhead_view_") }
      var text = String(decoding: MetricsText.render(families, as: format), as: UTF8.self)
      if text.last == "\n" { text.removeLast() }
      output.line(text)
      output.flush()
      return ExitCode.success
    }
  }
}
