/// A safety action as far as a request about it is concerned.
public struct RequestedAction: Sendable {
  public enum State: Sendable {
    case armed
    /// An operator took it out.
    case disarmed
    /// It sends a message on a session that does not stand.
    case noSession
    /// An operator fired it, and what it did stands until it is armed again.
    case standing
  }

  /// Of an `[[action]]` its name.
  public let name: String
  /// The stage for whose failure it is armed.
  public let component: String
  /// It sends a message, which is the same for whichever stage it is armed.
  public let isMessage: Bool
  public let state: State

  public init(name: String, component: String, isMessage: Bool, state: State) {
    self.name = name
    self.component = component
    self.isMessage = isMessage
    self.state = state
  }

  /// As an operator names exactly this one.
  public var address: String { "\(component):\(name)" }
}

/// What follows from a request about safety actions: nothing is remembered here, the actions' own table does that.
extension OperatorRequests {
  static func act(
    _ request: ControlRequest, _ actions: [RequestedAction]
  ) -> (answer: ControlAnswer, action: Action) {
    let meant = actions.indices.filter {
      actions[$0].name == request.action
        && (request.component.isEmpty || actions[$0].component == request.component)
    }
    guard !meant.isEmpty else {
      let asked = request.component.isEmpty ? request.action : "\(request.component):\(request.action)"
      return (ControlAnswer(.refused, "no action `\(asked)` is armed for any failure"), .none)
    }
    switch request.verb {
    case .arm:
      return change(
        meant.filter { actions[$0].state == .disarmed || actions[$0].state == .standing }, meant, actions,
        "armed", Action.arm)
    case .disarm:
      if let standing = meant.first(where: { actions[$0].state == .standing }) {
        return refused(
          "\(actions[standing].address) was fired by hand and stands: `arm` takes that back first")
      }
      return change(
        meant.filter { actions[$0].state != .disarmed }, meant, actions, "disarmed", Action.disarm)
    default: return fire(meant, actions)
    }
  }

  private static func change(
    _ changing: [Int], _ meant: [Int], _ actions: [RequestedAction], _ word: String,
    _ action: ([Int]) -> Action
  ) -> (answer: ControlAnswer, action: Action) {
    func list(_ indices: [Int]) -> String {
      var seen: Set<String> = []
      return indices.map { actions[$0].address }.filter { seen.insert($0).inserted }.joined(separator: ", ")
    }
    guard !changing.isEmpty else {
      return (ControlAnswer(.nothingToDo, "\(list(meant)): \(word) already"), .none)
    }
    return (ControlAnswer(.accepted, "\(list(changing)): \(word)"), action(changing))
  }

  private static func fire(
    _ meant: [Int], _ actions: [RequestedAction]
  ) -> (answer: ControlAnswer, action: Action) {
    let places = Set(meant.map { actions[$0].component })
    if places.count > 1, !actions[meant[0]].isMessage {
      let names = meant.map { actions[$0].address }.joined(separator: ", ")
      return refused("which one? \(names)")
    }
    // The same message, or the same stage: any of them does the same.
    let able = meant.first { actions[$0].state == .armed }
    guard let index = able ?? meant.first(where: { actions[$0].state != .disarmed }) else {
      return refused("\(actions[meant[0]].address) is disarmed: `arm` it first")
    }
    let target = actions[index]
    switch target.state {
    case .standing:
      return (ControlAnswer(.nothingToDo, "\(target.address) was fired by hand, and stands"), .none)
    case .noSession: return refused("\(target.name): its session is not logged on, nothing can be sent")
    case .armed, .disarmed: return (ControlAnswer(.accepted, "\(target.address) is fired"), .fire(index))
    }
  }

  private static func refused(_ text: String) -> (answer: ControlAnswer, action: Action) {
    (ControlAnswer(.refused, text), .none)
  }
}
