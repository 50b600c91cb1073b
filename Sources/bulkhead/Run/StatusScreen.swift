import CLinux
import Glibc
import SetInspection
import StageRuntime

/// What `bulkhead run` shows while it runs: one line in place on a terminal, a line a second otherwise. Goes to
/// standard error; standard output is for results.
struct StatusScreen {
  private let quiet: Bool
  private let isTerminal: Bool
  private var lastShown: UInt64 = 0
  private var lastSequence: UInt64 = 0
  private var hasLine = false

  init(quiet: Bool) {
    self.quiet = quiet
    let term = getenv("TERM").map { String(cString: $0) } ?? ""
    isTerminal = isatty(2) == 1 && term != "dumb" && !term.isEmpty
  }

  mutating func show(_ view: SetView, _ auditor: borrowing Auditor, now: UInt64) {
    guard !quiet else { return }
    let interval: UInt64 = isTerminal ? 200_000_000 : 1_000_000_000
    guard now - lastShown >= interval else { return }
    let sequence = auditor.newestSequence
    let applied = sequence > lastSequence ? sequence - lastSequence : 0
    let rate = lastShown == 0 ? 0 : applied &* 1_000_000_000 / max(1, now &- lastShown)
    lastShown = now
    lastSequence = sequence
    let down = view.stages().filter { !$0.isAlive || $0.state != .ready }.map {
      "\($0.name) \($0.state.name)"
    }
    let gaps = view.value("merged", MergeCounter.gapsOpen)
    var line = "\(grouped(sequence)) applied · \(grouped(rate))/s · \(grouped(auditor.events)) events"
    line +=
      " · gaps open \(gaps), filled \(view.value("merged", MergeCounter.gapsFilledByLine) + view.value("merged", MergeCounter.gapsFilledByRetransmission))"
    line += ", lost \(view.value("merged", MergeCounter.gapsUnrecoverable))"
    if auditor.channelStaleSince != nil { line += " · STALE" }
    if !down.isEmpty { line += " · " + down.joined(separator: ", ") }
    if isTerminal {
      write("\r\u{1B}[K" + line)
      hasLine = true
    } else {
      write(line + "\n")
    }
  }

  mutating func finish() {
    if hasLine { write("\n") }
    hasLine = false
  }

  private func write(_ text: String) {
    var text = text
    text.withUTF8 { _ = Glibc.write(2, $0.baseAddress, $0.count) }
  }
}
