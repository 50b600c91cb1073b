/// What the stage says of itself.
struct StageView {
  var next: UInt64
  var known: UInt64
  var end: UInt64
  var held: Int
  var received: UInt64
  var rejected: UInt64
  var old: UInt64
  var beyond: UInt64
  var noRoom: UInt64
  var used: UInt64
  var out: UInt64
  var lost: UInt64
  var replaced: UInt64
  var missing: UInt64
  var filled: UInt64
  var disagreements: UInt64
  var requests: UInt64
}

/// What went in came out, or was counted.
extension Oracle {
  func turnEnds(_ view: StageView, _ now: UInt64) {
    self.now = now
    if view.next != next || view.known != known || view.end != end {
      object(
        "the stage is at \(view.next)..<\(view.known), end \(view.end); it is \(next)..<\(known), end \(end)")
    }
    func equal(_ name: String, _ said: UInt64, _ counted: Int) {
      if said != UInt64(counted) { object("\(name): the stage counts \(said), it is \(counted)") }
    }
    equal("received", view.received, tally.received)
    equal("rejected", view.rejected, tally.rejected)
    equal("repeated, late or not asked for", view.old, tally.old)
    equal("beyond the window", view.beyond, tally.beyond)
    equal("without room", view.noRoom, tally.noRoom)
    equal("used", view.used, tally.used)
    equal("out", view.out, tally.out)
    equal("lost", view.lost, tally.lost)
    equal("replaced by images", view.replaced, tally.replaced)
    equal("held", UInt64(view.held), tally.used - tally.out - tally.discarded)
    equal("requests", view.requests, tally.requests)
    if view.disagreements < UInt64(tally.disagreements)
      || view.disagreements > UInt64(tally.disagreements + tally.possibleDisagreements)
    {
      object("disagreements: the stage counts \(view.disagreements), it is \(tally.disagreements)")
    }
    if tally.received != tally.old + tally.beyond + tally.noRoom + tally.used {
      object("the accounts are wrong")
    }
    checkOverdue()
  }

  /// The end of the session was published.
  func ended(_ produced: [Record], isCutShort: Bool) {
    if !isComplete || isHalted { object("the session was ended at \(next), and is not over") }
    expected = session.map { [.endOfSession($0, next: next)] } ?? []
    hasEnded = true
    compare(produced, isCutShort)
  }

  /// Ranges were joined: that takes more of them than there are places.
  func judgeJoin() {
    isCoarse = true
    var ranges = 0
    var number = next
    while number < known {
      if isMissing(number) {
        let state = numbers[Int(number - base)]
        if !isMissing(number - 1) || numbers[Int(number - base) - 1].revealedAt != state.revealedAt
          || numbers[Int(number - base) - 1].refusedFrom != state.refusedFrom
        {
          ranges += 1
        }
      }
      number += 1
    }
    // A packet, or a turn of them, may have filled some since.
    if ranges + 2 + 16 * 40 < rules.gapTableEntries { object("ranges were joined when there were \(ranges)") }
  }

  /// Nothing comes any more, and all times have passed.
  func rest() {
    if isHalted { return }
    if next != known { object("at rest with \(next)..<\(known) not out") }
  }
}
