import SetInspection

extension TrustStatus {
  /// A line for each armed action.
  var text: [String] {
    guard !actions.isEmpty else { return [] }
    return ["ARMED        OF       WHEN               FIRED  TOOK"]
      + actions.map { action in
        column(action.action.name, 13) + column(action.component, 9) + column(action.trigger.name, 19)
          + column(grouped(action.firings), 7) + (action.firings > 0 ? duration(action.duration) : "")
      }
  }
}
