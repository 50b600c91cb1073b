@testable import LineArbiter

/// Judges what a stage does from outside: knows what was handed over, when, and what was asked for, one
/// sequence number at a time, and nothing of how the arbiter works.
final class StreamOracle {
  private struct Knowledge {
    /// When a line first showed that the number exists.
    var revealedAt: UInt64?
    /// Handed over from a line or as a requested answer, and not refused for want of room.
    var arrived = false
    /// Was handed over once and refused: it will not come by itself any more.
    var refused = false
    /// Per line: when it had shown a higher number, and whether it brought this one in vain.
    var passedAt: [UInt64?] = [nil, nil]
    var refusedFrom = [false, false]
    var asked = 0
    var lastAskedAt: UInt64 = 0
    var answeredSince = false
  }

  private let configuration: ArbiterConfiguration
  private let base: UInt64
  private var known: [Knowledge]
  private var next: UInt64
  private var lastRequestAt: UInt64?
  /// The gap table overflowed: a joined range has the older hold time.
  var hasOverflowed = false
  private var requests: [StageHarness.Request] = []
  private(set) var problems: [String] = []
  private(set) var lost: [UInt64] = []

  init(_ configuration: ArbiterConfiguration, first: UInt64, count: Int) {
    self.configuration = configuration
    base = first
    next = first
    known = Array(repeating: Knowledge(), count: count)
  }

  private func index(_ sequence: UInt64) -> Int? {
    sequence >= base && sequence - base < UInt64(known.count) ? Int(sequence - base) : nil
  }

  func wasAsked(_ sequence: UInt64) -> Bool {
    index(sequence).map { known[$0].asked > 0 } ?? false
  }

  private struct Line {
    var next: UInt64 = 0
    var heardAt: UInt64?
    var advancedAt: UInt64 = 0
  }

  private var lines = [Line(), Line()]
  private var firstSignAt: UInt64?

  /// A line has shown that everything below `end` exists.
  func reveal(below end: UInt64, by source: Source, now: UInt64) {
    guard end > base else { return }
    let line = Int(source.rawValue)
    lines[line].heardAt = now
    firstSignAt = firstSignAt ?? now
    if end > lines[line].next {
      lines[line].next = end
      lines[line].advancedAt = now
    }
    var passed = Int(min(end - base, UInt64(known.count))) - 1
    while passed >= 0, known[passed].passedAt[line] == nil {
      known[passed].passedAt[line] = now
      passed -= 1
    }
    var index = Int(min(end - base, UInt64(known.count))) - 1
    while index >= 0, known[index].revealedAt == nil {
      known[index].revealedAt = now
      index -= 1
    }
  }

  /// A message was handed over. `isUsed` is false if the arbiter refused it for want of room, or, of an
  /// answer, said that it was not asked for.
  func arrive(_ sequence: UInt64, from source: Source, isUsed: Bool) {
    guard let index = index(sequence) else { return }
    if source == .retransmission {
      // One answer makes the rest of its request due again.
      let covering = requests.last { $0.first <= sequence && sequence < $0.first + UInt64($0.count) }
      if let request = covering {
        for other in 0..<UInt64(request.count) {
          if let index = self.index(request.first + other) { known[index].answeredSince = true }
        }
      }
    }
    if isUsed {
      known[index].arrived = true
    } else {
      known[index].refused = true
      if source != .retransmission { known[index].refusedFrom[Int(source.rawValue)] = true }
    }
  }

  func check(_ request: StageHarness.Request) {
    let note = "request \(request.first)+\(request.count) at \(request.at)"
    if request.count == 0 || Int(request.count) > configuration.requestMessages {
      problems.append("\(note): count")
    }
    if let last = lastRequestAt, request.at < last + configuration.retransmission.intervalNanoseconds {
      problems.append("\(note): too soon after the one at \(last)")
    }
    lastRequestAt = request.at
    requests.append(request)
    for sequence in request.first..<request.first + UInt64(request.count) {
      guard let index = index(sequence), sequence >= next else {
        problems.append("\(note): \(sequence) is outside of the stream from \(next)")
        continue
      }
      let state = known[index]
      guard let revealedAt = state.revealedAt else {
        problems.append("\(note): \(sequence) is not known to exist")
        continue
      }
      if state.arrived { problems.append("\(note): \(sequence) is here already") }
      let least = min(configuration.holdNanoseconds, configuration.lineWaitNanoseconds)
      if !state.refused && !hasOverflowed && request.at < revealedAt + least {
        problems.append("\(note): \(sequence) is on hold since \(revealedAt)")
      }
      let timeout = configuration.retransmission.timeoutNanoseconds
      if state.asked > 0 && !state.answeredSince && request.at < state.lastAskedAt + timeout {
        problems.append("\(note): \(sequence) is in flight since \(state.lastAskedAt)")
      }
      known[index].asked += 1
      known[index].lastAskedAt = request.at
      known[index].answeredSince = false
    }
  }

  func check(_ output: StageHarness.Output, now: UInt64) {
    switch output {
    case .message(let sequence, let bytes):
      if sequence != next { problems.append("\(sequence) came out instead of \(next)") }
      if bytes != messageBytes(sequence) { problems.append("\(sequence) came out with wrong bytes") }
      next = sequence + 1
    case .image(let first, let last): problems.append("image \(first)-\(last) that nobody sent")
    case .gap(let first, let last, let reason):
      if first != next || last < first { problems.append("gap \(first)-\(last) instead of \(next)") }
      next = last + 1
      guard last >= first, let from = index(first), let to = index(last) else {
        problems.append("gap \(first)-\(last) is outside of the stream")
        return
      }
      for sequence in first...last { check(lostAt: sequence, reason, now: now) }
      lost += Array(known[from...to].indices).map { base + UInt64($0) }
    }
  }

  private func check(lostAt sequence: UInt64, _ reason: GiveUpReason, now: UInt64) {
    let state = known[Int(sequence - base)]
    let note = "\(sequence) given up at \(now)"
    if state.arrived { problems.append("\(note), but it is here") }
    guard let revealedAt = state.revealedAt else {
      problems.append("\(note), but it is not known to exist")
      return
    }
    if reason != .windowExceeded, !hasOverflowed {
      for line in 0...1 where now < waitedFor(line, state, revealedAt) {
        problems.append("\(note), but line \(line) may still bring it: \(lines[line]) \(state)")
      }
    }
    switch reason {
    case .retransmissionOff:
      if configuration.retransmission.isEnabled { problems.append("\(note) though it could be asked for") }
    case .retransmissionUnavailable, .snapshotUnavailable, .sessionOver: problems.append("\(note): \(reason)")
    case .retransmissionExhausted:
      if state.asked < configuration.retransmission.attempts {
        problems.append("\(note) after \(state.asked) requests")
      } else if now < state.lastAskedAt + configuration.retransmission.timeoutNanoseconds {
        problems.append("\(note), asked at \(state.lastAskedAt)")
      }
    case .windowExceeded:
      if configuration.maximumLagMessages == 0 { problems.append("\(note) without a limit") }
    }
  }

  /// Until when a line may still bring a number.
  private func waitedFor(_ number: Int, _ state: Knowledge, _ revealedAt: UInt64) -> UInt64 {
    let line = lines[number]
    if let passedAt = state.passedAt[number] {
      // Brought in vain once, by whichever: a range is no finer than that.
      return state.refusedFrom[number] ? 0 : passedAt + configuration.holdNanoseconds
    }
    guard let heardAt = line.heardAt else { return (firstSignAt ?? 0) + configuration.lineSilenceNanoseconds }
    return min(heardAt, max(line.advancedAt, revealedAt)) + configuration.lineSilenceNanoseconds
  }

  /// The next number that has to come out.
  var position: UInt64 { next }
}
