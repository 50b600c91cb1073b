import CLinux
import StageRecords
import StageRuntime
import Supervision
import Topology

/// Silence of every line: no stage has failed, and yet nobody knows what the market does.
extension Supervisor {
  /// How long the lines must look silent here, on top of merged's own silence: its page may be a moment old.
  private static let confirmationNanoseconds: UInt64 = 50_000_000

  /// What holds the stream stale for it: behind the stages.
  var linesHolder: Int { components.count }

  /// Looks at what merged says of its lines, and marks the stream, or lets it go.
  func watchLines(_ now: UInt64) {
    guard actions.marksStale(linesHolder) else { return }
    guard let merged = components.first(where: { $0.name == "merged" }) else { return }
    if holds.isHeld(by: linesHolder) {
      guard !linesAreSilent(merged) else { return }
      actions.settle(stage: linesHolder, socket: -1)
      lift(linesHolder, isWell: true, position: 0, frontier: 0, now: now)
      return
    }
    guard linesAreSilent(merged) else {
      silentSince = 0
      return
    }
    if silentSince == 0 { silentSince = now }
    guard now - silentSince >= Self.confirmationNanoseconds else { return }
    silentSince = 0
    fire(linesHolder, .alarm, .silence, now)
    _ = holds.fail(linesHolder)
    narrate(
      "watchdogd: no line has said anything for longer than `silence`: the stream is marked stale",
      as: .streamStale)
  }

  /// Every line was heard once and is silent now, in the middle of a session; and nothing waits that merged has not seen. A
  /// merged that does not run knows nothing of its lines.
  private func linesAreSilent(_ merged: SupervisedComponent) -> Bool {
    let page = merged.watch
    guard merged.isReady, !merged.isDying, page.ladder.isWell,
      page.value(MergeCounter.lineAUp) == 0, page.value(MergeCounter.lineBUp) == 0,
      page.value(MergeCounter.lineALastPacket) != 0 || page.value(MergeCounter.lineBLastPacket) != 0,
      page.inputPosition == page.inputFrontier,
      components.first(where: { $0.name == "bookd" })?.watch.value(BookCounter.sessionEnded) == 0
    else { return false }
    return components.allSatisfy { component in
      guard component.stage.line != nil, let socket = component.sockets.first else { return true }
      return bulkhead_next_datagram_bytes(socket) <= 0
    }
  }
}
