/// What watchdogd takes of the processor beside a load, against its budget (docs/SUPERVISION.md).
public struct SupervisorBudget: Sendable, Equatable {
  /// Hundredths of a per cent of one core.
  public static let share: UInt64 = 2_00

  /// On a processor, and as long as that was looked at; ns.
  public private(set) var processor: UInt64 = 0
  public private(set) var elapsed: UInt64 = 0
  /// Windows in which the process was another at the end, or could not be looked at.
  public private(set) var unknown = 0

  public init() {}

  /// One window: processor time of the same process at its beginning and at its end; nil where it could not be read.
  public mutating func add(from before: UInt64?, to after: UInt64?, in nanoseconds: UInt64) {
    guard let before, let after, after >= before, nanoseconds > 0 else {
      unknown += 1
      return
    }
    processor &+= after - before
    elapsed &+= nanoseconds
  }

  /// Whether it holds; what could not be looked at does not.
  public var finding: DrillFinding {
    let taken = elapsed == 0 ? 0 : Double(processor) / Double(elapsed) * 10_000
    let hundredths = UInt64(taken.rounded(.up))
    let words = "\(processor / 1_000_000) ms in \(elapsed / 1_000_000_000) s, \(Self.percent(hundredths))"
    return DrillFinding(
      "budget", "watchdogd takes at most \(Self.percent(Self.share)) of a core",
      found: elapsed == 0 || unknown > 0 ? "\(unknown) windows not looked at" : words,
      holds: elapsed > 0 && unknown == 0 && taken <= Double(Self.share), isOfTimes: true)
  }

  private static func percent(_ hundredths: UInt64) -> String {
    let rest = hundredths % 100
    return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest) %"
  }
}
