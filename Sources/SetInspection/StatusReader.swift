import ShmRing
import StageRecords
import StageRuntime
import Supervision

extension SupervisionRecord {
  /// What an alarm found missing.
  public var missing: LivenessMeasure? { UInt8(exactly: code).flatMap(LivenessMeasure.init(rawValue:)) }

  /// How a process ended, in the record of its death.
  public var exitCause: ExitCause? { ExitCause(code: cause, number: code) }

  /// The cause of a death, of an alarm or of an action.
  public var causeText: String? {
    if event == .action { return ActionCause(rawValue: cause)?.name }
    if let exitCause { return "\(exitCause)" }
    return StallCause(rawValue: cause)?.name
  }

  /// What there is to say beside process and epoch.
  public var particulars: String {
    let tier = LivenessTier(rawValue: tier) ?? .clear
    let milliseconds = "\(value / 1_000_000) ms"
    switch event {
    case .died:
      return (causeText.map { ": \($0)" } ?? "") + (value > 0 ? ", with sequence \(value) at hand" : "")
    case .quarantined: return ": sequence \(value) is passed over from now on"
    case .alarm:
      var text = ": \(tier.name)"
      if let missing { text += ", no \(missing.name) for \(milliseconds)" }
      return text + (causeText.map { ", \($0)" } ?? "")
    case .action:
      let kind = UInt8(exactly: value).flatMap(SafetyAction.init(rawValue:))?.name ?? "\(value)"
      let name = remark.isEmpty || remark == kind ? kind : "\(printable(remark.utf8)) (\(kind))"
      let why = causeText.map { " (\($0))" } ?? ""
      switch ActionResult(rawValue: self.tier) {
      case .disarmed: return ": \(name), not fired: disarmed\(why)"
      case .failed: return ": \(name), not done, \(code) ns after the decision\(why)"
      case .done, nil: return ": \(name), \(code) ns after the decision\(why)"
      }
    case .session: return value == 1 ? ": logged on" : ": ended"
    case .answered:
      return UInt8(exactly: value).flatMap(ArmedAction.Outcome.init(rawValue:)).map { ": \($0.name)" } ?? ""
    case .requested:
      let verb = ControlVerb(rawValue: UInt8(truncatingIfNeeded: value))?.name ?? "something"
      let outcome =
        ControlAnswer.Outcome(rawValue: UInt8(truncatingIfNeeded: value >> 8)).map { "\($0)" } ?? "unknown"
      return ": \(verb), \(outcome), by user \(UInt32(bitPattern: code))"
        + (remark.isEmpty ? "" : ": \(printable(remark.utf8))")
    case .maintenance:
      return (value == 1 ? ": on" : ": off") + (remark.isEmpty ? "" : ": \(printable(remark.utf8))")
    case .clockStepped: return ": \(code < 0 ? "back" : "forward") by \(milliseconds)"
    case .clockSteady: return ": after \(value) steps"
    case .memoryGrows: return ": by \(value) bytes/s, at its limit in \(code) s"
    case .neighbour:
      return ": on core \(code), \(printable(remark.utf8)), waited \(milliseconds) of the last second"
    case .latencyDegraded:
      return ": \(tier == .clear ? "" : "lasts, ")p99 \(duration(value)), usual \(printable(remark.utf8))"
    case .latencyRestored: return ": p99 \(duration(value))"
    case .workShed, .workResumed: return ": \(printable(remark.utf8)), \(value) given up now"
    case .neighbourGone: return ": it has core \(code) again, after \(value) s"
    case .upgrade:
      return ": \(UpgradeStep(rawValue: code)?.name ?? "?")"
        + (remark.isEmpty ? "" : ": \(printable(remark.utf8))")
    case .cleared: return ": was at \(tier.name)"
    case .fenced: return ": death confirmed after \(value / 1_000) us"
    default: return ""
    }
  }
}

/// Reads a set's status ring from its oldest record on; leaves no trace in it.
public struct StatusReader: ~Copyable {
  public enum Found {
    case record(SupervisionRecord)
    /// Some were overwritten before they could be read.
    case lost
  }

  private var ring: RingObserver
  private let buffer: UnsafeMutableRawPointer
  /// Whether the ring still holds the set's first event.
  public let reachesBack: Bool

  public init(directory: String) throws(RingError) {
    var ring = try RingObserver.attach(path: InstanceFiles.statusRingPath(directory: directory))
    ring.moveToOldest()
    reachesBack = ring.nextPosition == 0
    buffer = UnsafeMutableRawPointer.allocate(byteCount: ring.bufferBytes, alignment: 64)
    self.ring = ring
  }

  deinit { buffer.deallocate() }

  /// The next event; nil when there is none at the moment. What is no record is passed over.
  public mutating func next() -> Found? {
    while true {
      switch ring.poll(into: buffer) {
      case .record(_, let bytes):
        if let record = SupervisionRecord(UnsafeRawBufferPointer(start: buffer, count: bytes)) {
          return .record(record)
        }
      case .lapped: return .lost
      case .empty, .halted: return nil
      }
    }
  }

  /// Nanoseconds since 1970 of an instant of CLOCK_MONOTONIC.
  public static func timeOfDay(_ instant: UInt64) -> UInt64 {
    SetClock.realTime &- SetClock.monotonic &+ instant
  }
}
