/// How long a missing number is left to the lines: the bounds within which it may, and must, be given up.
extension Oracle {
  /// Before this instant the number must not be given up.
  func linesDoneAtEarliest(_ number: UInt64) -> UInt64 {
    guard let state = self[number] else { return .max }
    return max(
      earliest(0, state, state.passedAt.0, state.refusedFrom.0),
      earliest(1, state, state.passedAt.1, state.refusedFrom.1))
  }

  private func earliest(_ line: Int, _ state: Number, _ passedAt: UInt64, _ isRefused: Bool) -> UInt64 {
    if lines[line].isReadingRetention { return .max }
    if isRefused { return 0 }
    if passedAt != .max { return passedAt + rules.hold }
    guard let heardAt = lines[line].heardAt else { return (firstSignAt ?? 0) + rules.silence }
    return min(heardAt, max(lines[line].advancedAt, state.revealedAt)) + rules.silence
  }

  /// Before this instant the number must not be asked for.
  func askableAtEarliest(_ number: UInt64) -> UInt64 {
    if lines[0].isReadingRetention || lines[1].isReadingRetention { return .max }
    guard let state = self[number] else { return .max }
    return min(linesDoneAtEarliest(number), state.oldestAt + rules.lineWait)
  }

  /// The run of missing numbers around a missing one.
  func run(around number: UInt64) -> ClosedRange<UInt64> {
    var first = number
    var last = number
    while isMissing(first - 1) { first -= 1 }
    while isMissing(last + 1) { last += 1 }
    return first...last
  }

  /// From this instant on the lines are done with all of the run, whatever ranges it consists of.
  func linesDoneAtLatest(_ run: ClosedRange<UInt64>) -> UInt64 {
    // The packet since which the run ends where it ends.
    var since = 0
    var newestAt: UInt64 = 0
    for number in run {
      let state = numbers[Int(number - base)]
      since = max(since, state.revealedBy)
      newestAt = max(newestAt, state.newestAt)
    }
    if let behind = self[run.upperBound + 1] { since = max(since, behind.broughtBy) }
    return max(
      latest(0, run.upperBound, since: since, newestAt), latest(1, run.upperBound, since: since, newestAt))
  }

  private func latest(_ line: Int, _ last: UInt64, since: Int, _ newestAt: UInt64) -> UInt64 {
    if lines[line].isReadingRetention { return .max }
    guard let heardAt = lines[line].heardAt else { return (firstSignAt ?? now) + rules.silence }
    var bound = min(heardAt, max(lines[line].advancedAt, newestAt)) + rules.silence
    // That it passed a range before it was read again still holds.
    if lines[line].isRewound { bound = max(bound, heardAt + rules.hold) }
    guard lines[line].next > last else { return bound }
    let state = numbers[Int(last - base)]
    if (line == 0 ? state.passedBy.0 : state.passedBy.1) >= since {
      bound = (line == 0 ? state.passedAt.0 : state.passedAt.1) + rules.hold
    } else {
      // It was past before the run was cut down to this: its next sign counts.
      var index = lines[line].signs.count
      while index > 0, lines[line].signs[index - 1].packet >= since { index -= 1 }
      if index < lines[line].signs.count { bound = lines[line].signs[index].at + rules.hold }
    }
    return bound
  }
}
