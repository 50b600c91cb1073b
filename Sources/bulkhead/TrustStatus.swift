import SetInspection
import StageRecords

extension TrustStatus {
  /// A line for each armed action.
  var text: [String] {
    guard !actions.isEmpty else { return [] }
    return ["ARMED        OF       WHEN                STATE       FIRED  TOOK         LAST       TO"]
      + zip(actions, targets).map { action, target in
        let took = action.firings > 0 ? duration(action.duration) : "-"
        let line =
          column(target?.name ?? action.action.name, 13) + column(action.component, 9)
          + column(action.component == ArmedAction.lines ? "when all are silent" : action.trigger.name, 20)
          + column(action.readiness.name, 12)
          + column(grouped(action.firings), 7) + column(took, 13) + column(action.outcome.name, 11)
        guard let target else { return String(line.trimmingSuffix { $0 == " " }) }
        return line + "\(action.action.name) \(target.place)"
      }
  }
}

extension String {
  /// Without what the end has of this.
  fileprivate func trimmingSuffix(_ isTrimmed: (Character) -> Bool) -> Substring {
    var rest = self[...]
    while let last = rest.last, isTrimmed(last) { rest.removeLast() }
    return rest
  }
}
