import CLinux
import ShmRing
import StageRecords
import StageRuntime

/// What the supervisor of a set says about its stream, and what it has armed; nil for a set without the table.
struct TrustStatus {
  let record: TrustRecord?
  let actions: [ArmedAction]

  init?(directory: String) {
    guard let view = try? TrustView.attach(directory: directory, configurationHash: nil) else { return nil }
    record = view.record
    actions = view.armedActions
  }

  /// Why the stream may not be believed; nil when the supervisor has nothing against it.
  var reason: String? {
    guard let record, record.state != .live else { return nil }
    let now = bulkhead_monotonic_nanoseconds()
    let ago = duration(now > record.since ? now - record.since : 0)
    if record.state == .halted { return "the stream is halted: \(record.component) is down since \(ago)" }
    return "every book: \(record.component) failed \(ago) ago, and the stream has not caught up yet"
  }

  /// A line for each armed action.
  var text: [String] {
    guard !actions.isEmpty else { return [] }
    return ["ARMED        OF       WHEN               FIRED  TOOK"]
      + actions.map { action in
        column(action.action.name, 13) + column(action.component, 9) + column(action.trigger.name, 19)
          + column(grouped(action.firings), 7) + (action.firings > 0 ? duration(action.duration) : "")
      }
  }

  func write(to json: inout JSONText) {
    json.object("trust") { json in
      json.field("state", record?.state.name ?? "unknown")
      if let record {
        json.field("component", record.component)
        json.field("sinceMonotonic", record.since)
        json.field("changes", record.changes)
      }
    }
    json.array("actions") { json in
      for action in actions {
        json.object { json in
          json.field("action", action.action.name)
          json.field("component", action.component)
          json.field("trigger", action.trigger.name)
          json.field("firings", action.firings)
          json.field("lastFiredMonotonic", action.lastFired)
          json.field("durationNanoseconds", action.duration)
        }
      }
    }
  }
}
