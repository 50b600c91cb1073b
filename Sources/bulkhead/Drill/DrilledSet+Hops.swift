import Drills
import ShmRing
import StageRuntime

/// What went into each hop of the flow and came out of it, from what an ended set has left: rings, cursors, pages (C10).
extension DrilledSet {
  /// Cells of rings are exact whoever died: positions belong to the ring. What a process counts itself is compared where it was nobody's
  /// second incarnation, whose predecessor may have died between a deed and its count.
  func hops(_ outcome: DrillRound.Outcome, venue: JSONValue?) -> [FlowHop] {
    func lived(_ names: String...) -> Bool { names.allSatisfy { page($0)?.page.epoch == 1 } }
    func count<Counter: StageCounter>(_ name: String, _ counter: Counter) -> UInt64 {
      page(name)?.page.value(counter) ?? 0
    }
    var hops: [FlowHop] = []
    for (line, stage) in [("A", "rxd@a"), ("B", "rxd@b")] {
      guard lived(stage), let sent = venue?["lines"]?[line],
        let datagrams = sent["datagrams"]?.unsigned, let heartbeats = sent["heartbeats"]?.unsigned,
        let ends = sent["endOfSession"]?.unsigned
      else { continue }
      hops.append(
        FlowHop(
          "venue to \(stage)", "datagrams", put: datagrams + heartbeats + ends,
          taken: count(stage, ReceiverCounter.packets),
          dropped: count(stage, ReceiverCounter.kernelDrops)
            + count(stage, ReceiverCounter.oversized)
            + count(stage, ReceiverCounter.refused)))
    }
    hops += [
      ringHop("rx_a", from: "rxd@a", to: "merged"), ringHop("rx_b", from: "rxd@b", to: "merged"),
      ringHop("merged", from: "merged", to: "bookd"), ringHop("book", from: "bookd", to: "pubd"),
      ringHop("merged", from: "merged", to: "taped"),
    ].compactMap { $0 }
    // From the day's beginning, and where no reader was lapped: what a lap holds, only its cells say.
    guard outcome.continuedAt == nil, outcome.ringLaps == 0 else { return hops }
    if lived("merged") {
      hops.append(
        FlowHop(
          "lines to merged", "messages", put: outcome.messagesSent,
          taken: count("merged", MergeCounter.messagesPublished),
          dropped: count("merged", MergeCounter.messagesLost)))
    }
    if lived("merged", "bookd") {
      hops.append(
        FlowHop(
          "merged to bookd", "messages", put: count("merged", MergeCounter.messagesPublished),
          taken: count("bookd", BookCounter.messagesApplied)))
    }
    if lived("bookd", "pubd") {
      hops.append(
        FlowHop(
          "bookd to pubd", "events", put: count("bookd", BookCounter.eventsPublished),
          taken: count("pubd", PublishCounter.eventsRead)))
    }
    return hops
  }

  /// What was published on a ring, and how far its reader came; nil of a ring that the set does not have, and beside a standby, of which
  /// another reader takes bookd's place.
  private func ringHop(_ ring: String, from writer: String, to reader: String) -> FlowHop? {
    guard everybody.contains(reader), reader != "bookd" || !everybody.contains("standby") else {
      return nil
    }
    let path = "\(place.directory)/\(ring).ring"
    do throws(RingError) {
      let published = try RingObserver.attach(path: path).publishedPosition
      let words = try CursorObserver.attach(ring: path, reader: reader).words
      let read = words.position > words.lostCells ? words.position - words.lostCells : 0
      return FlowHop(
        "\(writer) to \(reader)", "cells", put: published, taken: read, dropped: words.lostCells)
    } catch {
      return nil
    }
  }
}
