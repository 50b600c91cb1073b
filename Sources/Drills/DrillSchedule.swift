import FeedSim

/// When and whom a drill hits: a pure function of its seed, so that a record replays the same schedule. (What the
/// set does at those moments is the machine's affair.)
public struct DrillSchedule: Sendable {
  public enum Blow: Sendable, Equatable {
    /// SIGKILL for all of them at once.
    case kill([String])
    /// SIGSTOP, and SIGCONT after so many microseconds.
    case pause(String, microseconds: UInt32)
  }

  private var generator: SplitMix64
  private let drill: Drill

  public init(drill: Drill, seed: UInt64, round: Int) {
    self.drill = drill
    generator = SplitMix64(
      state: seed &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(round) &* 0xD1B5_4A32_D192_ED03 &+ 1)
  }

  /// Seed of the generated day of a round.
  public static func daySeed(seed: UInt64, round: Int) -> UInt64 { seed &* 1_000 &+ UInt64(round) &+ 1 }

  /// How long to wait, in microseconds, and what to do then.
  public mutating func next() -> (waitMicroseconds: UInt32, blow: Blow) {
    switch drill.method {
    case .baseline, .tornRecords, .wholeSet, .pauses, .failpoints, .quiet, .overload, .scripted, .livelock,
      .actions:
      return (1_000_000, .kill([]))
    case .soak: return (2_000_000, .kill([]))
    case .kill(let victims): return (UInt32(1_000 + random(below: 40_000)), .kill(victims))
    case .chaos:
      let everybody = ["rxd@a", "rxd@b", "merged", "bookd", "pubd", "watchdogd"]
      let first = everybody[Int(random(below: UInt64(everybody.count)))]
      // One in three follows at once, while the set is still busy with the blow before.
      let wait = random(below: 3) == 0 ? random(below: 3_000) : 5_000 + random(below: 60_000)
      switch random(below: 4) {
      case 0 where first != "watchdogd":
        // Shorter than an alarm: a stop that must change nothing.
        return (UInt32(wait), .pause(first, microseconds: UInt32(2_000 + random(below: 60_000))))
      case 1:
        let second = everybody[Int(random(below: UInt64(everybody.count)))]
        return (UInt32(wait), .kill(first == second ? [first] : [first, second]))
      default: return (UInt32(wait), .kill([first]))
      }
    }
  }

  /// Whom a soak kills next, of those who can be hit.
  public mutating func victim(among names: [String]) -> String? {
    names.isEmpty ? nil : names[Int(random(below: UInt64(names.count)))]
  }

  /// Whom a soak spares in a round, so that everybody's life is a whole day long now and then.
  public static func spared(of everybody: [String], round: Int) -> String {
    everybody[round % everybody.count]
  }

  /// Whom a drill of pauses stops, for how long and in which order.
  public mutating func pauses() -> [(stage: String, microseconds: UInt32)] {
    guard case .pauses(let stages, let milliseconds, let times) = drill.method else { return [] }
    var plan: [(stage: String, microseconds: UInt32)] = []
    for _ in 0..<times {
      for stage in stages { for time in milliseconds { plan.append((stage, time * 1_000)) } }
    }
    for last in plan.indices.reversed() { plan.swapAt(last, Int(random(below: UInt64(last) + 1))) }
    return plan
  }

  /// How much of the day is over when everything is lost, in per cent.
  public mutating func shareBeforeLoss() -> UInt64 { 15 + random(below: 50) }

  private mutating func random(below bound: UInt64) -> UInt64 { generator.next() % bound }
}
