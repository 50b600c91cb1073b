import CLinux
import Glibc
import SetInspection
import StageRuntime

extension Command {
  static let top = Command(
    name: "top", group: .see,
    summary: "watch a set full-screen: processes, rings, lines, gaps, clients, events",
    description: [
      "Keys: 1 to 6 or tab for the panes, `/` to filter, `s` to sort by the next column, `p` to freeze, `?` for help, `q` "
        + "to quit. Columns that do not fit the terminal are left out, the least wanted first. The verdict stands "
        + "above everything. One set: the one that runs, or --name; it may stop and come back.",
      "Wants a terminal; elsewhere `bulkhead stat` and `bulkhead status` say the same.",
    ],
    options: [
      .from, .name, .runDirectory,
      Option("--interval", .seconds("SECONDS", 0.05...3_600), "time between two pictures (1)"),
      .raw, .utc, .local, .color,
    ],
    exitCodes: [
      .init(ExitCode.success, "ended as asked"), .notRunning, .usage,
      .init(ExitCode.unavailable, "there is no terminal"),
    ],
    examples: [
      .init("top", "what a set does, at a glance"), .init("top --interval 0.2 --name demo", "more often"),
    ]
  ) { arguments in
    topCommand(
      SetOptions(name: arguments), interval: arguments.nanoseconds("--interval") ?? 1_000_000_000,
      arguments.presentation)
  }
}

private func topCommand(_ options: SetOptions, interval: UInt64, _ show: Presentation) -> Int32 {
  let set: SetDirectory
  switch options.onlySet() {
  case .failure(let failure):
    narrate("bulkhead top: \(failure.line)")
    return failure.code
  case .success(let found): set = found
  }
  guard let terminal = Terminal() else {
    narrate(
      "bulkhead top: standard input and output must be a terminal; see `bulkhead stat`, `bulkhead status`")
    return ExitCode.unavailable
  }
  bulkhead_install_stop_handler()
  signal(SIGHUP, SIG_IGN)
  terminal.enter()
  defer { terminal.leave() }
  var screen = TopScreen()
  var earlier = SetReading(set)
  var now = earlier
  var isFirst = true
  var due: UInt64 = 0
  while terminal.isOpen, !bulkhead_stop_requested() {
    let instant = bulkhead_monotonic_nanoseconds()
    if instant >= due, !screen.isFrozen {
      // A set that was made anew has new files.
      let sample = SetReading(SetDirectory(instance: set.instance, path: set.path) ?? set)
      (earlier, now) = (isFirst ? sample : now, sample)
      // The first rates come soon.
      due = instant &+ (isFirst ? min(interval, 250_000_000) : interval)
      isFirst = false
    }
    let size = terminal.size
    terminal.draw(
      screen.picture(now, since: earlier, columns: size.columns, rows: size.rows, show: show))
    let wait = screen.isFrozen ? interval : due > instant ? due - instant : 0
    for key in terminal.keys(within: wait) {
      switch screen.take(key) {
      case .redraw: break
      case .quit: return ExitCode.success
      case .suspend: terminal.suspend()
      }
    }
  }
  return ExitCode.success
}
