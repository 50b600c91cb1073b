import XCTest

@testable import LineArbiter

/// A small seeded generator (SplitMix64), so that a seed is all that a failure needs.
struct Seeded: RandomNumberGenerator {
  private var state: UInt64

  init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 0x1234_5678 }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  mutating func below(_ bound: Int) -> Int { bound <= 1 ? 0 : Int(next() % UInt64(bound)) }
  mutating func chance(_ percent: Int) -> Bool { below(100) < percent }
}

/// The bytes of a message: a function of its number alone, of length 0...70.
func messageBytes(_ sequence: UInt64) -> [UInt8] {
  var mixed = (sequence ^ 0x5851_F42D) &* 0x9E37_79B9_7F4A_7C15
  mixed ^= mixed >> 29
  let length = Int(mixed % 71)
  return (0..<length).map { UInt8(truncatingIfNeeded: mixed >> UInt64($0 % 8 * 8)) &+ UInt8($0) }
}

/// The stage's loop as the documentation of `LineArbiter` gives it, around lists instead of rings.
final class StageHarness {
  enum Output: Equatable {
    case message(UInt64, [UInt8])
    case gap(UInt64, UInt64, GiveUpReason)
    /// An image in the place of messages.
    case image(UInt64, UInt64)
  }

  struct Request: Equatable {
    var first: UInt64
    var count: UInt16
    var at: UInt64
  }

  var arbiter: LineArbiter
  private(set) var output: [Output] = []
  private(set) var requests: [Request] = []

  struct SnapshotRequest: Equatable {
    var first: UInt64
    var last: UInt64
    var at: UInt64
    init(_ first: UInt64, _ last: UInt64, _ at: UInt64) {
      (self.first, self.last, self.at) = (first, last, at)
    }
  }

  private(set) var snapshotRequests: [SnapshotRequest] = []
  /// What each call of `receive` decided, newest last.
  private(set) var verdicts: [Verdict] = []
  private(set) var acceptances: [Acceptance] = []
  /// Handed over by `accept` and refused for want of room.
  private(set) var refused: Set<UInt64> = []
  var comparesCopies = false

  init(_ configuration: ArbiterConfiguration, firstSequence: UInt64 = 1) {
    arbiter = LineArbiter(configuration: configuration, firstSequence: firstSequence)
  }

  /// Messages with numbers `first ..< first + count` and their right bytes.
  func receive(_ source: Source, _ first: UInt64, _ count: Int, now: UInt64 = 0) {
    receive(source, first, (0..<count).map { messageBytes(first &+ UInt64($0)) }, now: now)
  }

  func receive(_ source: Source, _ first: UInt64, _ messages: [[UInt8]], now: UInt64) {
    let verdict = arbiter.receive(source: source, first: first, count: UInt16(messages.count), now: now)
    verdicts.append(verdict)
    acceptances = []
    switch verdict {
    case .deliver(let skip):
      for (index, message) in messages.enumerated() {
        let sequence = first + UInt64(index)
        if index < skip {
          compare(source, sequence, message)
          continue
        }
        output.append(.message(sequence, message))
        if arbiter.keepsHistory {
          message.withUnsafeBytes { arbiter.remember(sequence: sequence, bytes: $0) }
        }
      }
    case .duplicate:
      for (index, message) in messages.enumerated() { compare(source, first + UInt64(index), message) }
    case .examine:
      for (index, message) in messages.enumerated() {
        let sequence = first + UInt64(index)
        let acceptance = message.withUnsafeBytes {
          arbiter.accept(sequence: sequence, bytes: $0, stamp: sequence &* 3)
        }
        acceptances.append(acceptance)
        if acceptance == .notHeld || acceptance == .beyondWindow { refused.insert(sequence) }
        guard acceptance == .deliver else { continue }
        output.append(.message(sequence, message))
        drain()
      }
    case .ignore(.beyondWindow):
      for index in messages.indices { refused.insert(first + UInt64(index)) }
    case .ignore: break
    }
  }

  private func compare(_ source: Source, _ sequence: UInt64, _ message: [UInt8]) {
    guard arbiter.keepsHistory else { return }
    message.withUnsafeBytes { _ = arbiter.compare(source: source, sequence: sequence, bytes: $0) }
  }

  /// The venue's image as it is after every message below `next`.
  @discardableResult
  func image(next: UInt64, now: UInt64) -> SnapshotVerdict {
    let verdict = arbiter.snapshotArrived(next: next, now: now)
    if case .use(let first, let last) = verdict {
      output.append(.image(first, last))
      drain()
    }
    return verdict
  }

  func drain() {
    while let held = arbiter.nextDeliverable() {
      XCTAssertEqual(held.stamp, held.sequence &* 3, "stamp of \(held.sequence)")
      output.append(.message(held.sequence, Array(held.bytes)))
    }
  }

  /// Polls until there is nothing to do, and returns that last action.
  @discardableResult
  func resolve(now: UInt64) -> Action {
    while true {
      let action = arbiter.poll(now: now)
      switch action {
      case .request(let first, let count): requests.append(Request(first: first, count: count, at: now))
      case .giveUp(let first, let last, let reason):
        output.append(.gap(first, last, reason))
        drain()
      case .halt(let first, let last, let reason): output.append(.gap(first, last, reason))
      case .requestSnapshot(let first, let last): snapshotRequests.append(SnapshotRequest(first, last, now))
      case .wait, .idle: return action
      }
    }
  }

  /// Polls whenever the arbiter asks for it, up to and including the instant `end`.
  func run(from start: UInt64 = 0, through end: UInt64) {
    var now = start
    while now <= end {
      guard case .wait(let until) = resolve(now: now), until > now else { return }
      now = until
    }
  }

  /// Asserts that the output is every number from `first` to `last` once, in order, with the right bytes,
  /// apart from `gaps`.
  func assertOutput(
    _ first: UInt64, _ last: UInt64, gaps: [ClosedRange<UInt64>] = [], _ note: String = "",
    file: StaticString = #filePath, line: UInt = #line
  ) {
    var expected: [Output] = []
    var next = first
    var gap = gaps.makeIterator()
    var upcoming = gap.next()
    while next <= last {
      if let range = upcoming, range.lowerBound == next {
        expected.append(.gap(range.lowerBound, range.upperBound, .retransmissionOff))
        next = range.upperBound + 1
        upcoming = gap.next()
      } else {
        expected.append(.message(next, messageBytes(next)))
        next += 1
      }
    }
    let got = output.map { entry -> Output in
      if case .gap(let first, let last, _) = entry { return .gap(first, last, .retransmissionOff) }
      return entry
    }
    if got != expected {
      XCTFail(
        "\(note) output is \(Self.summary(output)), not \(Self.summary(expected))", file: file, line: line)
    }
    assertSound(note, file: file, line: line)
  }

  private static func summary(_ output: [Output]) -> String {
    output.prefix(60).map { entry in
      switch entry {
      case .message(let sequence, let bytes):
        bytes == messageBytes(sequence) ? "\(sequence)" : "\(sequence)(wrong bytes)"
      case .gap(let first, let last, _): "gap \(first)-\(last)"
      case .image(let first, let last): "image \(first)-\(last)"
      }
    }.joined(separator: " ")
  }

  func assertSound(_ note: String = "", file: StaticString = #filePath, line: UInt = #line) {
    if let problem = arbiter.brokenInvariant() { XCTFail("\(note) \(problem)", file: file, line: line) }
  }
}

extension LineArbiter {
  /// The first invariant that does not hold; nil = sound. Recounts everything.
  func brokenInvariant() -> String? {
    let sources = Source.allCases.map { statistics(of: $0).messages }.reduce(0, +)
    let outcomes =
      counters.delivered + counters.duplicates + counters.late + counters.duplicatesHeld
      + counters.heldTotal + counters.notHeld + counters.beyondWindow + counters.notRequested
    if sources != outcomes { return "received \(sources) messages, accounted for \(outcomes)" }
    let held = UInt64(heldCount)
    if counters.heldTotal != counters.heldDelivered + counters.heldDiscarded + held {
      return "held \(counters.heldTotal) in all, \(held) now: \(counters)"
    }
    if nextSequence > highestSequence { return "next \(nextSequence) > known \(highestSequence)" }
    return brokenTable() ?? brokenWindow()
  }

  private func brokenTable() -> String? {
    var previous = nextSequence
    for index in 0..<openGapCount {
      guard let gap = openGap(index) else { return "no gap \(index)" }
      if gap.first > gap.last { return "gap \(gap.first)-\(gap.last)" }
      if gap.first < previous { return "gap \(gap.first)-\(gap.last) is not after \(previous)" }
      if gap.last >= highestSequence { return "gap \(gap.first)-\(gap.last) above \(highestSequence)" }
      previous = gap.last + 1
    }
    let filled =
      counters.filledByLineA + counters.filledByLineB + counters.filledByRetransmission
      + counters.filledBySnapshot
    var missing: UInt64 = 0
    for index in 0..<openGapCount {
      guard let gap = openGap(index) else { return "no gap \(index)" }
      missing += gap.last - gap.first + 1
      if gap.isCoarse { missing -= UInt64((gap.first...gap.last).filter { holds($0) }.count) }
    }
    if counters.missing != filled + counters.givenUp + missing {
      return "missing \(counters.missing) ≠ filled \(filled) + lost \(counters.givenUp) + open \(missing)"
    }
    return nil
  }

  private func brokenWindow() -> String? {
    var counted = 0
    var sequence = nextSequence
    while sequence < highestSequence, sequence - nextSequence < settings.window {
      let isMissing = (0..<openGapCount).contains {
        let gap = openGap($0)!
        return gap.first <= sequence && sequence <= gap.last && !(gap.isCoarse && holds(sequence))
      }
      if holds(sequence) == isMissing {
        return "\(sequence) is \(isMissing ? "held and missing" : "neither held nor missing")"
      }
      if holds(sequence) { counted += 1 }
      sequence += 1
    }
    if counted != heldCount { return "\(counted) messages are held, not \(heldCount)" }
    return nil
  }

  func holds(_ sequence: UInt64) -> Bool {
    sequence - nextSequence < settings.window && held.contains(sequence)
  }
}
