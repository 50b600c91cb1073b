/// What a second host would bring: as if everything were independent, with causes that both have in common, and with the time
/// that switching takes. The last two decide; so all three are always given together.
public struct PairOfHosts: Sendable, Equatable {
  /// Share of time with neither, when nothing is common and switching takes none.
  public let independent: Double
  /// With so much of each host's failures common to both (the beta-factor model).
  public let withCommonCause: Double
  /// Of switching alone: the primary's failures times the time that a switch takes.
  public let switching: Double

  /// - Parameters:
  ///   - unavailability: one host's share of time that it does not work.
  ///   - failureRate: its failures in a second.
  ///   - commonCause: the share of failures that hit both, 0...1.
  ///   - switchSeconds: how long readers are without a source when the primary fails.
  public init(unavailability: Double, failureRate: Double, commonCause: Double, switchSeconds: Double) {
    independent = unavailability * unavailability
    let own = (1 - commonCause) * unavailability
    let common = commonCause * unavailability
    withCommonCause = common + (1 - common) * own * own
    switching = failureRate * switchSeconds
  }
}

/// Years, and what a share of one is.
public enum ServiceTime {
  /// 365.25 days.
  public static let yearSeconds = 31_557_600.0
  /// 252 days of six and a half hours: the sessions of a year.
  public static let sessionYearSeconds = 252 * 6.5 * 3_600

  /// Seconds of a year that an availability leaves for not working.
  public static func budget(_ availability: Double) -> Double { (1 - availability) * yearSeconds }

  /// Seconds from a text like `30d`, `1y`, `600s`, `1.5h`, `300ms`, `5min`; nil for what is none.
  public static func seconds(_ text: String) -> Double? {
    let digits = text.prefix { "0123456789.".contains($0) }
    guard let value = Double(digits), value.isFinite, value >= 0 else { return nil }
    let factor: Double
    switch text.dropFirst(digits.count) {
    case "ms": factor = 0.001
    case "s": factor = 1
    case "min": factor = 60
    case "h": factor = 3_600
    case "d": factor = 86_400
    case "y": factor = yearSeconds
    default: return nil
    }
    return value * factor
  }
}
