/// Whose turn it is to have the past made from the tape, which one thread does for one reader at a time.
///
/// Who has waited longest comes next, as long as he still asks. A turn lasts until its reader needs no more; while somebody
/// waits it ends sooner, and its reader, who is told nothing and asks on, waits for another one: who does not come to take
/// anything, or lets the thread wait, must not hold up those who read faster.
struct ReplayTurns {
  /// When a turn ends while somebody waits, ns.
  struct Limits {
    /// Its reader has not asked for so long.
    var absence: UInt64 = 1_000_000_000
    /// So long after its reader took the first piece, if the thread has mostly waited for it: see ``FeedPace``.
    var slowTurn: UInt64 = 2_000_000_000
    /// So long after that in any case.
    var turn: UInt64 = 10_000_000_000
  }

  let limits: Limits
  private(set) var holder: UInt64?
  private var holderAsked: UInt64 = 0
  private var holderTook: UInt64?
  /// Who waits, the next one first, and when each asked last.
  private var queue: [UInt64] = []
  private var asked: [UInt64: UInt64] = [:]

  init(limits: Limits = Limits()) { self.limits = limits }

  /// A reader wants the next piece.
  /// - Parameters:
  ///   - now: ns; never less than in a call before.
  ///   - holderIsSlow: whether the thread has mostly waited for the one whose turn it is.
  /// - Returns: whether it is the reader's turn, maybe from now on; ``holder`` is then the reader.
  mutating func ask(_ reader: UInt64, now: UInt64, holderIsSlow: @autoclosure () -> Bool) -> Bool {
    if reader == holder {
      holderAsked = now
      return true
    }
    if asked.updateValue(now, forKey: reader) == nil { queue.append(reader) }
    // Who stands in front and does not ask goes behind the others. (The reader itself has just asked.)
    while let first = queue.first, now &- (asked[first] ?? 0) > limits.absence / 4 {
      queue.append(queue.removeFirst())
    }
    guard queue.first == reader, holder == nil || isOver(now, holderIsSlow()) else { return false }
    queue.removeFirst()
    asked[reader] = nil
    holder = reader
    holderAsked = now
    holderTook = nil
    return true
  }

  private func isOver(_ now: UInt64, _ isSlow: Bool) -> Bool {
    if now &- holderAsked > limits.absence { return true }
    guard let holderTook else { return false }
    return now &- holderTook > (isSlow ? limits.slowTurn : limits.turn)
  }

  /// A reader was given something.
  mutating func took(_ reader: UInt64, now: UInt64) {
    if reader == holder, holderTook == nil { holderTook = now }
  }

  /// A reader needs no more of the tape for now.
  mutating func leave(_ reader: UInt64) {
    if reader == holder { holder = nil }
    if asked.removeValue(forKey: reader) != nil { queue.removeAll { $0 == reader } }
  }
}

/// How much of a turn the thread that makes the events has waited for the one who takes them. A moment in which all the room is
/// taken says nothing: whoever reads in large bites leaves such moments all the time.
struct FeedPace {
  /// When the first piece was made, ns.
  private var began: UInt64?
  private var waited: UInt64 = 0
  private var waitsSince: UInt64?

  /// A piece is made. Instants never fall.
  mutating func begin(now: UInt64) { began = began ?? now }

  /// There is nothing to do until something is taken.
  mutating func wait(now: UInt64) { waitsSince = waitsSince ?? now }

  mutating func goOn(now: UInt64) {
    waited &+= since(waitsSince, now)
    waitsSince = nil
  }

  /// More than half of the time since the first piece was waiting.
  func isSlow(now: UInt64) -> Bool {
    let all = since(began, now)
    return all > 0 && waited &+ since(waitsSince, now) > all / 2
  }

  private func since(_ instant: UInt64?, _ now: UInt64) -> UInt64 {
    instant.map { now > $0 ? now - $0 : 0 } ?? 0
  }
}
