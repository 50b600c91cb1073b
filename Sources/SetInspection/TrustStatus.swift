import ShmRing
import StageRecords
import StageRuntime

/// What the supervisor of a set says about its stream, and what it has armed; nil for a set without the table.
public struct TrustStatus {
  public let record: TrustRecord?
  /// The gap that the supervisor published last.
  public let gap: GapNotice?
  public let actions: [ArmedAction]
  /// The message of each action that sends one.
  public let targets: [ActionTarget?]

  public init?(directory: String) {
    guard let view = try? TrustView.attach(directory: directory, configurationHash: nil) else { return nil }
    record = view.record
    gap = view.gap
    actions = view.armedActions
    targets = actions.indices.map { view.target(ofAction: $0) }
  }

  /// Why the stream may not be believed; nil when the supervisor has nothing against it.
  public var reason: String? {
    guard let record else { return nil }
    guard record.state != .live else { return gapReason }
    let now = SetClock.monotonic
    let ago = duration(now > record.since ? now - record.since : 0)
    if record.cause == .byHand {
      return record.state == .halted
        ? "the stream was halted by an operator \(ago) ago (`bulkhead arm` takes it back)"
        : "every book: an operator marked the stream \(ago) ago (`bulkhead arm` takes it back)"
    }
    if record.state == .halted { return "the stream is halted: \(record.component) is down since \(ago)" }
    if record.component == ArmedAction.lines {
      return "every book: every line fell silent \(ago) ago; nobody knows what the market does"
    }
    return "every book: \(record.component) failed \(ago) ago, and the stream has not caught up yet"
  }

  private var gapReason: String? {
    guard let gap, gap.isOpen else { return nil }
    return "messages are missing from sequence \(grouped(gap.first)) on: \(gap.component) failed"
  }

  /// As an operator names the action at `index`: `merged:mark_stale`, `bookd:cancel-all`.
  public func address(_ index: Int) -> String {
    "\(actions[index].component):\(targets[index]?.name ?? actions[index].action.name)"
  }

  /// Actions that an operator took out.
  public var disarmed: [String] {
    actions.indices.filter { actions[$0].readiness == .disarmed }.map(address)
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
    if let gap {
      json.object("publishedGap") { json in
        json.field("open", gap.isOpen)
        json.field("first", gap.first)
        if !gap.isOpen { json.field("last", gap.last) }
        json.field("component", gap.component)
        json.field("cause", gap.cause?.name ?? "unknown")
        json.field("sinceMonotonic", gap.since)
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
