import CLinux
import Glibc
import SetInspection
import ShmRing
import StageRuntime

extension Command {
  static let status = Command(
    name: "status", group: .see, summary: "show the running sets, verdict first",
    description: [
      "Needs no configuration: a set is found by the control pages in its directory. LIVE: every stage is READY and every "
        + "book is trusted. DEGRADED: something wants a look. STALE: books may be wrong. DOWN: nothing runs."
    ],
    options: Option.ofSets + [
      Option(
        "--watch", .seconds("SECONDS", 0.1...86_400),
        "show again and again, until nothing runs; with --json one object a line")
    ] + Option.ofNumbers,
    exitCodes: [
      .init(ExitCode.success, "every stage is READY and trusted"),
      .init(ExitCode.failure, "something is not"),
      .init(ExitCode.notRunning, "no such set runs"), .unreadable, .usage,
    ],
    examples: [.init("status", "how is it?"), .init("status --json --name demo", "the same for a program")]
  ) { arguments in
    let (options, show) = (SetOptions(arguments), arguments.presentation)
    guard let interval = arguments.nanoseconds("--watch") else { return statusCommand(options, show).code }
    return watchStatus(options, show, every: interval)
  }
}

/// Looks again and again, until nothing runs that can be looked at; the code is that of the last look.
private func watchStatus(_ options: SetOptions, _ show: Presentation, every interval: UInt64) -> Int32 {
  bulkhead_install_stop_handler()
  while true {
    let (code, runs) = statusCommand(options, show)
    if !options.json { print("") }
    fflush(nil)
    if !runs || bulkhead_stop_requested() { return code }
    pause(nanoseconds: interval)
    if bulkhead_stop_requested() { return code }
  }
}

/// One look.
/// - Returns: what it comes to, and whether any set runs; one that cannot be read is not known to.
private func statusCommand(_ options: SetOptions, _ show: Presentation) -> (code: Int32, runs: Bool) {
  let (name, runDirectory, json) = (options.name, options.runDirectory, options.json)
  let sets = SetStatus.discover(runDirectory: runDirectory, name: name)
  guard !sets.isEmpty else {
    if json { print(JSONReport(schema: "status").text { $0.array("sets") { _ in } }) }
    let unreadable = SetStatus.unreadable(runDirectory: runDirectory, name: name)
    for set in unreadable { narrate("cannot be read: \(set.text)") }
    if !unreadable.isEmpty { return (ExitCode.cannotTell, false) }
    narrate(
      name.map { "no set \"\($0)\" in \(runDirectory)" } ?? "no set runs here (looked in \(runDirectory))")
    return (ExitCode.notRunning, false)
  }
  if json {
    print(
      JSONReport(schema: "status").text { text in
        text.array("sets") { text in for set in sets { set.write(to: &text) } }
      })
  } else {
    for set in sets { for line in set.text(show) { print(line) } }
  }
  // A directory that a dead set left behind says nothing about those that run.
  let running = sets.filter { $0.verdict != .down }
  // What is bad is bad whatever cannot be read; what seems good may not be.
  let isKnownBad = running.contains(where: \.isKnownBad)
  // The answer as a whole, in front of what is said beside it.
  fflush(nil)
  let unreadable = SetStatus.unreadable(runDirectory: runDirectory, name: name)
  for set in unreadable { narrate("cannot be read: \(set.text)") }
  if !unreadable.isEmpty, !isKnownBad { return (ExitCode.cannotTell, !running.isEmpty) }
  if running.isEmpty { return (ExitCode.notRunning, false) }
  return (isKnownBad ? ExitCode.failure : ExitCode.success, true)
}

extension SetStatus {
  func text(_ show: Presentation = Presentation()) -> [String] {
    var lines = [show.verdict("\(verdict.rawValue)  \(instance): \(reason)")]
    lines.append(
      "configuration \(configuration)  watchdogd \(supervisor.isAlive ? "process \(supervisor.pid)" : "dead")"
    )
    lines.append("")
    lines.append("PROCESS  PID      STATE        EPOCH  BEAT         RESTARTS  SEQUENCE")
    for stage in stages {
      lines.append(
        column(stage.name, 9) + column(String(stage.pid), 9)
          + column(stage.isAlive ? stage.state.name : "dead", 13)
          + column(String(stage.epoch), 7) + column(show.span(stage.beatAge), 13)
          + column(String(stage.restarts), 10)
          + show.count(stage.appliedSequence))
    }
    for stage in stages {
      if stage.isDegraded {
        lines.append(column(stage.name, 9) + "DEGRADED: slow, usual p99 \(show.span(stage.usualLatency))")
      }
      if let core = stage.neighbourCore {
        lines.append(column(stage.name, 9) + "has a neighbour on core \(core)")
      }
    }
    if !shed.isEmpty { lines.append("given up while overloaded: \(shed.joined(separator: ", "))") }
    lines.append("")
    lines.append("LINE  STATE  PACKETS/S   MESSAGES/S  LAST PACKET  LATER BY p50, p99     MISSED ALONE  DOWN")
    for line in self.lines {
      lines.append(
        column(line.name, 6) + column(line.isUp ? "UP" : "DOWN", 7) + column(show.count(line.packetRate), 12)
          + column(show.count(line.messageRate), 12)
          + column(line.lastPacketAge.map(show.span) ?? "never", 13)
          + column("\(show.span(line.lagMedian)), \(show.span(line.lagHigh))", 22)
          + column(show.count(line.missedAlone), 14) + show.count(line.downs))
    }
    lines.append("")
    if let trust { lines += trust.text + [""] }
    if let upgradeText { lines += [upgradeText, ""] }
    for (key, value) in counts where value > 0 { lines.append(column(key, 24) + show.count(value)) }
    return lines
  }
}
