/// What was asked for and what became of it: the ranges that are with the service, and the limits.
struct Asking {
  struct Range {
    var first: UInt64
    var last: UInt64
    /// Requests since the last answer.
    var attempts = 0
    var isInFlight = false
    /// When the answer is overdue, or when it may be asked for again.
    var dueAt: UInt64 = 0
    var isExhausted = false
    var isAnswered = false
    var answeredAt: UInt64 = 0

    func contains(_ number: UInt64) -> Bool { first <= number && number <= last }
  }

  enum Breaker { case closed, open(until: UInt64), probing(successes: Int) }

  let rules: Rules
  var ranges: [Range] = []
  /// Every number of the session that was ever asked for.
  var asked: Set<UInt64> = []
  /// Answers did not fit into memory: which part is with the service is not followed any more.
  var isLoose = false
  var lastAt: UInt64?
  var periodEndsAt: UInt64 = 0
  var usedInPeriod = 0
  var breaker = Breaker.closed
  /// For the record of what was reached.
  var opened = 0
  var closed = 0
  var retries = 0
  /// True = failure, the newest last.
  var outcomes: [Bool] = []

  init(_ rules: Rules) { self.rules = rules }

  func owner(of number: UInt64) -> Int? { ranges.firstIndex { $0.contains(number) } }
  var inFlight: Int { ranges.lazy.filter(\.isInFlight).count }

  func isOpen(_ now: UInt64) -> Bool {
    if case .open(let until) = breaker { return now < until }
    return false
  }

  /// Why no request may leave now; nil if one may.
  func obstacle(_ now: UInt64) -> String? {
    switch breaker {
    case .closed: break
    case _ where isLoose: break
    case .open(let until):
      if now < until { return "the breaker is open until \(until)" }
      if inFlight > 0 { return "a probe is on its way" }
    case .probing: if inFlight > 0 { return "a probe is on its way" }
    }
    if let lastAt, now < lastAt + rules.interval { return "the last one left at \(lastAt)" }
    if rules.budget > 0, now < periodEndsAt, usedInPeriod >= rules.budget {
      return "the budget is spent until \(periodEndsAt)"
    }
    return nil
  }

  mutating func leave(_ now: UInt64) {
    if case .open = breaker { breaker = .probing(successes: 0) }
    lastAt = now
    guard rules.budget > 0 else { return }
    if now >= periodEndsAt { (periodEndsAt, usedInPeriod) = (now + rules.budgetPeriod, 0) }
    usedInPeriod += 1
  }

  mutating func succeed() {
    switch breaker {
    case .closed: outcomes.append(false)
    case .open: break
    case .probing(let successes):
      breaker = .probing(successes: successes + 1)
      guard successes + 1 >= rules.breakerProbes else { return }
      (breaker, outcomes) = (.closed, [])
      closed += 1
    }
  }

  mutating func fail(_ now: UInt64) {
    switch breaker {
    case .open: break
    case .probing: (breaker, outcomes) = (.open(until: now + rules.breakerOpen), [])
    case .closed:
      outcomes.append(true)
      let recent = outcomes.suffix(rules.breakerWindow)
      guard rules.breakerPercent > 0, recent.count == rules.breakerWindow else { return }
      if recent.lazy.filter({ $0 }).count * 100 >= rules.breakerPercent * rules.breakerWindow {
        (breaker, outcomes) = (.open(until: now + rules.breakerOpen), [])
        opened += 1
      }
    }
  }
}

extension Oracle {
  private func firstMissing(_ range: Asking.Range) -> UInt64? {
    var number = max(range.first, next)
    while number <= range.last {
      if isMissing(number) { return number }
      number += 1
    }
    return nil
  }

  /// Timeouts and answers take effect when the stage looks.
  private func refresh() {
    guard next < known, !isChanging else { return }
    // What lags too far behind is given up first: its requests have no outcome then.
    if rules.maximumLag > 0, isMissing(next), known - next > rules.maximumLag { return }
    asking.ranges.removeAll { firstMissing($0) == nil }
    for index in asking.ranges.indices {
      let range = asking.ranges[index]
      if range.isAnswered {
        asking.ranges[index].isAnswered = false
        asking.ranges[index].attempts = 0
        asking.ranges[index].isInFlight = false
        asking.ranges[index].isExhausted = false
        asking.ranges[index].dueAt = range.answeredAt + rules.partialAnswer
      } else if range.isInFlight, now >= range.dueAt {
        asking.fail(now)
        asking.ranges[index].isInFlight = false
        asking.ranges[index].isExhausted = range.attempts >= rules.attempts
        asking.ranges[index].dueAt = now
      }
    }
  }

  /// An answer: used where it was asked for.
  func answer(_ packet: Packet, _ notRequested: [UInt64]) {
    guard packet.kind == .data else { return }
    let behind = packet.first + UInt64(packet.messages.count)
    if isHalted || isComplete && behind > end {
      tally.rejected += packet.messages.count
      return
    }
    tally.received += packet.messages.count
    for index in asking.ranges.indices
    where asking.ranges[index].first < behind && packet.first <= asking.ranges[index].last {
      if asking.ranges[index].isInFlight, !asking.ranges[index].isAnswered { asking.succeed() }
      asking.ranges[index].isAnswered = true
      asking.ranges[index].answeredAt = now
    }
    for (index, message) in packet.messages.enumerated() {
      let number = packet.first + UInt64(index)
      let isOwned =
        asking.isLoose
        ? asking.asked.contains(number) && !notRequested.contains(number) : asking.owner(of: number) != nil
      guard isOwned else {
        tally.old += 1
        continue
      }
      if number < next || self[number]?.bytes != nil {
        tally.old += 1
        if let kept = self[number]?.bytes, kept != message { tally.possibleDisagreements += 1 }
      } else if refusedAnswers.contains(number) {
        tally.noRoom += 1
        judgeRefusal(message)
        asking.isLoose = true
      } else {
        store(number, message)
      }
    }
  }

  func resolveBegins(_ now: UInt64, rangesWereJoined: Bool) {
    self.now = now
    if rangesWereJoined && !isCoarse { judgeJoin() }
    refresh()
  }

  /// A request has left.
  func requested(_ first: UInt64, _ count: Int, _ now: UInt64) {
    let note = "request for \(count) from \(first)"
    explain?("  \(now): \(note)")
    tally.requests += 1
    guard rules.asks else { return object("\(note), though asking is off") }
    if isHalted || isChanging { object("\(note), though the session is given up") }
    guard count >= 1, count <= rules.requestMessages else { return object("\(note): wrong count") }
    let last = first + UInt64(count) - 1
    for number in first...last where !isMissing(number) {
      return object("\(note): \(number) is not missing (next \(next), known \(known))")
    }
    if last - next >= rules.window { object("\(note): beyond the window, which begins at \(next)") }
    if let obstacle = asking.obstacle(now) { object("\(note), though \(obstacle)") }
    if !asking.isLoose { judgeOwner(first, last, note) }
    asking.leave(now)
    asking.asked.formUnion(first...last)
    if asking.isLoose { return }
    let owner = asking.owner(of: first)
    var range = owner.map { asking.ranges[$0] } ?? Asking.Range(first: first, last: last)
    (range.first, range.last) = (first, last)
    range.isInFlight = true
    range.dueAt = now + rules.timeout + UInt64(range.attempts) * rules.backoff
    range.attempts += 1
    if owner != nil { asking.retries += 1 }
    if let owner { asking.ranges[owner] = range } else { asking.ranges.append(range) }
    refresh()
  }

  private func judgeOwner(_ first: UInt64, _ last: UInt64, _ note: String) {
    let owner = asking.owner(of: first)
    if let owner {
      let range = asking.ranges[owner]
      if range.isInFlight { object("\(note): it is on its way since an earlier request") }
      if range.isExhausted { object("\(note): no attempt is left") }
      if now < range.dueAt { object("\(note): not before \(range.dueAt)") }
      if last > range.last { object("\(note): more than was asked for at first") }
    }
    for number in first...last {
      if let other = asking.owner(of: number), other != owner {
        object("\(note): \(number) was asked for before, in another request")
      }
      if owner == nil, !isCoarse, askableAtEarliest(number) > now {
        object("\(note): \(number) is left to the lines until \(askableAtEarliest(number))")
      }
    }
    // The fewest requests: it goes on as far as it may.
    if isCoarse || last + 1 - first == UInt64(rules.requestMessages) { return }
    let following = last + 1
    if isMissing(following), following - next < rules.window {
      if let owner {
        if asking.ranges[owner].last > last { object("\(note) ends early, at \(last)") }
      } else if asking.owner(of: following) == nil, askableAtLatest(following) <= now {
        object("\(note) could have had \(following) as well")
      }
    }
    if isMissing(next), next < first, mustBeAskedFor(next) {
      object("\(note), though \(next) is more urgent")
    }
  }

  private func askableAtLatest(_ number: UInt64) -> UInt64 {
    if lines[0].isReadingRetention || lines[1].isReadingRetention { return .max }
    return min(
      linesDoneAtLatest(run(around: number)), numbers[Int(number - base)].revealedAt + rules.lineWait)
  }

  /// The number is due for a request, limits aside.
  private func mustBeAskedFor(_ number: UInt64) -> Bool {
    if let owner = asking.owner(of: number) {
      let range = asking.ranges[owner]
      return !range.isInFlight && !range.isExhausted && range.dueAt <= now
    }
    return askableAtLatest(number) <= now
  }

  /// A range was declared lost. `produced` begins with its record; what waited behind it follows.
  func gaveUp(
    _ first: UInt64, _ last: UInt64, _ reason: UInt8, halted: Bool, _ produced: [Record], isCutShort: Bool,
    _ now: UInt64
  ) {
    let note = "\(first)...\(last) given up for reason \(reason)"
    explain?("  \(now): \(note)")
    if isHalted { object("\(note), though the channel is halted") }
    guard first == next, last >= first, last < known else {
      return object("\(note): next is \(next), known \(known)")
    }
    for number in first...last where !isMissing(number) { object("\(note): \(number) is here") }
    if !isChanging && reason != 3 {
      for number in first...last where now < linesDoneAtEarliest(number) {
        object("\(note): \(number) is left to the lines until \(linesDoneAtEarliest(number))")
        break
      }
    }
    judge(reason, first, last, note)
    if halted != (rules.haltsOnLoss && reason != 8 && reason != 3) { object("\(note): halted is \(halted)") }
    for number in first...last { numbers[Int(number - base)].wasGivenUp = true }
    tally.lost += Int(last - first) + 1
    lastGivenUp = last
    next = last + 1
    expected = [.gap(first, last, reason: reason)]
    if halted { isHalted = true } else { drain(into: &expected) }
    compare(produced, isCutShort)
    refresh()
  }

  private func judge(_ reason: UInt8, _ first: UInt64, _ last: UInt64, _ note: String) {
    let isUnowned = asking.owner(of: first) == nil
    switch reason {
    case 1: if rules.asks { object("\(note), though it could be asked for") }
    case 2:
      if !rules.asks { object("\(note), though asking is off") }
      for number in first...last where !asking.isLoose {
        guard let owner = asking.owner(of: number), asking.ranges[owner].isExhausted else {
          return object("\(note): \(number) can still be asked for")
        }
      }
    case 3:
      if rules.maximumLag == 0 || known - first <= rules.maximumLag { object("\(note): it does not lag") }
      if last + UInt64(rules.window) + 1 > known { object("\(note): more than had to be") }
    case 6:
      if !asking.isOpen(now), !asking.isLoose { object("\(note), though the breaker is not open") }
      if !asking.isLoose, let owner = asking.owner(of: first) {
        let range = asking.ranges[owner]
        if range.isInFlight || range.isExhausted { object("\(note): its request is not over") }
      } else if isUnowned, !asking.isLoose {
        for number in first...last where asking.owner(of: number) != nil {
          object("\(note): \(number) is asked for")
        }
      }
    case 7: judgeImageLoss(note)
    case 8: if !isChanging { object("\(note), though the session goes on") }
    default: object("\(note): there is no such reason here")
    }
    if rules.policy == .snapshot && (reason == 1 || reason == 2 || reason == 6) {
      object("\(note), though there may be an image")
    }
    if isChanging && reason != 8 { object("\(note), though the session is over") }
  }

  /// After a turn: whatever had to happen by now has happened.
  func checkOverdue() {
    if isComplete && !hasEnded && !isHalted { object("the session is over at \(end), and it was not said") }
    guard next < known, !isHalted else { return }
    if rules.maximumLag > 0, isMissing(next), known - next > rules.maximumLag {
      object("\(next) is missing, \(known - next) behind, and was not given up")
    }
    if isCoarse { return }
    guard isMissing(next) else { return object("\(next) is here and did not come out") }
    let head = run(around: next)
    let linesDoneAt = linesDoneAtLatest(head)
    guard rules.asks else {
      if linesDoneAt <= now, isImageDue() {
        object("\(next) is not given up, though the lines are done since \(linesDoneAt)")
      }
      return
    }
    if asking.isLoose { return }
    refresh()
    let obstacle = asking.obstacle(now)
    if let owner = asking.owner(of: next) {
      if asking.ranges[owner].isExhausted, linesDoneAt <= now, isImageDue() {
        return object(
          "\(next) is not given up, though asking is over and the lines are done since \(linesDoneAt)")
      }
    }
    if asking.isOpen(now), mustBeAskedFor(next), linesDoneAt <= now, isImageDue() {
      return object("\(next) is not given up, though the breaker is open")
    }
    guard obstacle == nil else { return }
    for range in asking.ranges where !range.isInFlight && !range.isExhausted && range.dueAt <= now {
      return object("\(range.first)...\(range.last) is not asked for again, due at \(range.dueAt)")
    }
    if mustBeAskedFor(next) { return object("\(next) is not asked for") }
    if asking.ranges.count + 1 < rules.requestsInFlight {
      var number = next
      while number < known, number - next < rules.window {
        if isMissing(number), asking.owner(of: number) == nil, mustBeAskedFor(number) {
          return object("\(number) is not asked for, though there is room")
        }
        number += 1
      }
    }
  }
}
