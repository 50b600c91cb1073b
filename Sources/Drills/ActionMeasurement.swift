/// One firing of a safety action, as the supervisor wrote it down (D-39).
public struct ActionMeasurement: Sendable, Equatable {
  /// The `[[action]]`'s name, or the action's own.
  public let name: String
  public let component: String
  public let cause: String
  public let result: String
  /// From the decision to the last store, or to the return of the call that hands the message to the kernel; on loopback the
  /// other side has it then. ns
  public let duration: UInt64
  /// Page faults of the supervisor's thread meanwhile.
  public let faults: UInt64
  /// Calls of the allocator by the supervisor's main thread meanwhile; nil where nobody counted them.
  public let allocations: UInt64?
  /// The record has process, incarnation and instant.
  public let isComplete: Bool

  public init(
    name: String, component: String, cause: String, result: String, duration: UInt64, faults: UInt64,
    allocations: UInt64? = nil, isComplete: Bool
  ) {
    self.name = name
    self.component = component
    self.cause = cause
    self.result = result
    self.duration = duration
    self.faults = faults
    self.allocations = allocations
    self.isComplete = isComplete
  }

  /// How many calls fell between the decision and the end of the firing.
  /// - Parameters:
  ///   - calls: instants of calls of the same thread; CLOCK_MONOTONIC, ns
  ///   - decision: likewise
  ///   - duration: ns
  public static func count(_ calls: [UInt64], from decision: UInt64, for duration: UInt64) -> UInt64 {
    UInt64(calls.count { $0 >= decision && $0 - decision <= duration })
  }
}

/// What one repetition of the drill of safety actions found: everybody is stopped, and everything fires.
public struct ActionRepetition: Sendable, Equatable {
  public var firings: [ActionMeasurement] = []
  /// What came to the other sides meanwhile.
  public var datagrams = 0
  public var massCancels = 0
  /// Whatever sent a message allocated there, for the drill to find.
  public var isPlanted = false

  public init() {}

  /// What is armed, and must fire when everybody is stopped, as stage, action and cause; the last by hand.
  public static let expected = [
    "rxd@a cut_line alarm", "merged publish_gap alarm", "merged mark_stale alarm",
    "merged detach_reader alarm",
    "merged tell alarm", "bookd cancel-all alarm", "merged halt_stream operator",
  ]
  /// Those that send something.
  static let sent = ["tell", "cancel-all"]
}

extension DrillJudgement {
  static let wireNanoseconds: UInt64 = 1_000_000

  /// Criteria of the drill of safety actions.
  /// - Parameter expected: what each repetition must fire, once each: `component name cause`.
  static func judgeActions(
    _ found: [ActionRepetition], expected: [String], wanted: Int, judgesTimes: Bool
  ) -> [DrillCriterion] {
    func judge(_ code: String, _ text: String, _ words: String, _ holds: Bool) -> DrillCriterion {
      DrillCriterion(code: code, text: text, found: words, verdict: holds ? .pass : .fail)
    }
    let firings = found.flatMap(\.firings)
    let stops = found.count { !$0.isPlanted }
    let odd = found.map { repetition in
      let fired = repetition.firings.map { "\($0.component) \($0.name) \($0.cause)" }.sorted()
      return fired == expected.sorted() ? nil : fired.joined(separator: ", ")
    }.compactMap(\.self)
    let undone = firings.filter { $0.result != "done" }
    let partial = firings.filter { !$0.isComplete }
    let datagrams = found.reduce(0) { $0 + $1.datagrams }
    let cancels = found.reduce(0) { $0 + $1.massCancels }
    let faults = firings.reduce(0) { $0 + $1.faults }
    var criteria = [
      judge("stops", "as many as were planned", "\(stops) of \(wanted)", stops >= wanted),
      judge(
        "actions", "each fires once while everybody is stopped",
        odd.first.map { "\(odd.count) not: \($0)" } ?? "\(firings.count) firings",
        odd.isEmpty && !found.isEmpty),
      judge(
        "log", "one complete entry for each",
        partial.first.map { "\(partial.count) not: \($0.name)" } ?? "all",
        partial.isEmpty && !firings.isEmpty),
      judge(
        "done", "each was done", undone.first.map { "\(undone.count) not: \($0.name)" } ?? "all",
        undone.isEmpty),
      judge(
        "wire", "one datagram and one mass cancel each time",
        "\(datagrams) and \(cancels) of \(found.count)",
        found.allSatisfy { $0.datagrams == 1 && $0.massCancels == 1 }),
      judge("faults", "no page fault in any", "\(faults)", faults == 0),
    ]
    criteria += judgeAllocations(found)
    for name in Array(Set(firings.map(\.name))).sorted() {
      let own = Percentiles(firings.filter { $0.name == name }.map(\.duration))
      guard let own else { continue }
      let holds = own.maximum <= wireNanoseconds
      criteria.append(
        DrillCriterion(
          code: "1 ms", text: "\(name): from the decision to the wire",
          found: "p50 \(own.p50), p99 \(own.p99), max \(own.maximum) ns",
          verdict: !judgesTimes ? .notJudged : holds ? .pass : .fail))
    }
    return criteria
  }

  /// Nothing is allocated in any firing; and what was planted in those that send something is found.
  private static func judgeAllocations(_ found: [ActionRepetition]) -> [DrillCriterion] {
    let firings = found.filter { !$0.isPlanted }.flatMap(\.firings)
    let text = "no call of the allocator in any"
    guard found.contains(where: { $0.firings.contains { $0.allocations != nil } }) else {
      return [
        DrillCriterion(
          code: "allocator", text: text, found: "nobody counted: no libdrillcalls.so, a part of the tests",
          verdict: .notJudged)
      ]
    }
    let counted = firings.compactMap(\.allocations)
    let worst = firings.filter { $0.allocations != 0 }
    let planted = found.filter(\.isPlanted)
    let isFound = planted.allSatisfy { repetition in
      ActionRepetition.sent.allSatisfy { name in
        repetition.firings.contains { $0.name == name && ($0.allocations ?? 0) > 0 }
      }
    }
    return [
      DrillCriterion(
        code: "allocator", text: text,
        found: worst.first.map {
          "\(worst.count) not: \($0.name) \($0.allocations.map { "\($0) calls" } ?? "not counted")"
        } ?? "0 in \(counted.count) firings", verdict: worst.isEmpty && !counted.isEmpty ? .pass : .fail),
      DrillCriterion(
        code: "planted", text: "an allocation in front of the wire is found",
        found: isFound ? "\(planted.count) of \(planted.count)" : "not found",
        verdict: isFound && !planted.isEmpty ? .pass : .fail),
    ]
  }
}
