import ShmRing
import StageRecords
import StageRuntime

/// What the supervisor of a set says about its stream, and what it has armed; nil for a set without the table.
public struct TrustStatus {
  public let record: TrustRecord?
  public let actions: [ArmedAction]
  /// The message of each action that sends one.
  public let targets: [ActionTarget?]

  public init?(directory: String) {
    guard let view = try? TrustView.attach(directory: directory, configurationHash: nil) else { return nil }
    record = view.record
    actions = view.armedActions
    targets = actions.indices.map { view.target(ofAction: $0) }
  }

  /// Why the stream may not be believed; nil when the supervisor has nothing against it.
  public var reason: String? {
    guard let record, record.state != .live else { return nil }
    let now = SetClock.monotonic
    let ago = duration(now > record.since ? now - record.since : 0)
    if record.state == .halted { return "the stream is halted: \(record.component) is down since \(ago)" }
    if record.component == ArmedAction.lines {
      return "every book: every line fell silent \(ago) ago; nobody knows what the market does"
    }
    return "every book: \(record.component) failed \(ago) ago, and the stream has not caught up yet"
  }

  public func write(to json: inout JSONText) {
    json.object("trust") { json in
      json.field("state", record?.state.name ?? "unknown")
      if let record {
        json.field("component", record.component)
        json.field("sinceMonotonic", record.since)
        json.field("changes", record.changes)
      }
    }
    json.array("actions") { json in
      for (action, target) in zip(actions, targets) {
        json.object { json in
          json.field("action", action.action.name)
          if let target { target.write(to: &json) }
          json.field("component", action.component)
          json.field("trigger", action.trigger.name)
          json.field("readiness", action.readiness.name)
          json.field("outcome", action.outcome.name)
          json.field("firings", action.firings)
          json.field("lastFiredMonotonic", action.lastFired)
          json.field("durationNanoseconds", action.duration)
        }
      }
    }
  }
}

extension ActionTarget {
  /// Where it goes.
  public var place: String {
    let bytes = [24, 16, 8, 0].map { String(address >> $0 & 0xFF) }
    return "\(bytes.joined(separator: ".")):\(port)"
  }

  func write(to json: inout JSONText) {
    json.field("name", name)
    json.field("target", place)
    json.field("logons", logons)
  }
}
