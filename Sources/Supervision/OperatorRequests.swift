/// A stage as far as a request to it is concerned.
public struct RequestedStage: Sendable {
  public let name: String
  public let epoch: UInt64
  /// 0: it does not run.
  public let pid: Int32
  /// It can be asked for a snapshot.
  public let writesSnapshots: Bool
  /// Another build can take its place through a standby.
  public let hasStandby: Bool

  public init(
    name: String, epoch: UInt64, pid: Int32, writesSnapshots: Bool = false, hasStandby: Bool = false
  ) {
    self.name = name
    self.epoch = epoch
    self.pid = pid
    self.writesSnapshots = writesSnapshots
    self.hasStandby = hasStandby
  }
}

/// What operators have asked of a set, and what follows from it. A pure state machine: it is told requests, deaths and
/// instants, and answers; it ends and starts nothing.
public struct OperatorRequests: Sendable {
  /// What the supervisor is to do at once about a request.
  public enum Action: Equatable, Sendable {
    case none
    /// Start the stage; its budget is not charged.
    case start(Int)
    /// Ask the stage to end.
    case end(Int)
    /// Maintenance is over: start these, which died in it.
    case startAll([Int])
    /// Have the stage write a snapshot.
    case snapshot(Int)
    /// Have a component write so much to its log; the supervisor's own number is that behind the stages.
    case log(Int, LogWish)
    /// Have another build take the stage's place, or go back to the one before: ``ProgramUpgrade`` decides.
    case upgrade(Int)
    /// Arm these safety actions, and take back what firings by hand left standing.
    case arm([Int])
    case disarm([Int])
    /// Fire this safety action.
    case fire(Int)
  }

  /// What is to be done about a death.
  public enum DeathOrder: Equatable, Sendable {
    /// What the restart policy says.
    case policy
    /// A successor at once, at nobody's expense.
    case successor
    /// It stays down: that was asked for.
    case held
    /// It stays down until maintenance is over.
    case waiting
  }

  private struct Ending: Sendable {
    let verb: ControlVerb
    /// When it is ended by force (CLOCK_MONOTONIC, ns); nil: never.
    var deadline: UInt64?
  }

  /// How long a stage may take to hand on what it holds before it is ended by force.
  public static let endingNanoseconds: UInt64 = 10_000_000_000

  /// No stage is restarted, and none that stands still is ended.
  public private(set) var isInMaintenance: Bool
  /// Stages that stay down because an operator wants them down.
  public private(set) var held: Set<Int>
  private var waiting: Set<Int> = []
  private var endings: [Int: Ending] = [:]

  /// - Parameters: what an earlier supervisor had been asked, and is still so.
  public init(isInMaintenance: Bool = false, held: Set<Int> = []) {
    self.isInMaintenance = isInMaintenance
    self.held = held
  }

  /// Decides about a request, and remembers it unless it is a dry run.
  /// - Parameters:
  ///   - actions: the safety actions that there are.
  ///   - supervisorEpoch: the supervisor's own incarnation, which requests to the set name.
  ///   - isStopping: the set is being stopped.
  ///   - now: CLOCK_MONOTONIC, ns.
  public mutating func take(
    _ request: ControlRequest, stages: [RequestedStage], actions: [RequestedAction] = [],
    supervisorEpoch: UInt64, isStopping: Bool, now: UInt64
  ) -> (answer: ControlAnswer, action: Action) {
    if isStopping { return (ControlAnswer(.refused, "the set is being stopped"), .none) }
    if request.verb == .logLevel, request.component == Self.supervisor {
      guard request.epoch == supervisorEpoch else {
        return (moved(Self.supervisor, is: supervisorEpoch, named: request.epoch), .none)
      }
      return log(request, stages.count, epoch: supervisorEpoch, pid: 0)
    }
    guard request.verb.isOfStage else {
      guard request.epoch == supervisorEpoch else {
        return (moved("watchdogd", is: supervisorEpoch, named: request.epoch), .none)
      }
      return request.verb.isOfAction ? Self.act(request, actions) : maintain(request)
    }
    guard let index = stages.firstIndex(where: { $0.name == request.component }) else {
      let names = stages.map(\.name).joined(separator: ", ")
      return (ControlAnswer(.refused, "no stage `\(request.component)`; there are: \(names)"), .none)
    }
    let stage = stages[index]
    guard request.epoch == stage.epoch else {
      return (moved(stage.name, is: stage.epoch, named: request.epoch, pid: stage.pid), .none)
    }
    func answer(_ outcome: ControlAnswer.Outcome, _ text: String) -> ControlAnswer {
      ControlAnswer(outcome, text, epoch: stage.epoch, pid: stage.pid)
    }
    if let ending = endings[index], stage.pid > 0 {
      return (answer(.refused, "\(stage.name) is ending already: \(ending.verb.name) was asked for"), .none)
    }
    switch request.verb {
    case .logLevel: return log(request, index, epoch: stage.epoch, pid: stage.pid)
    case .snapshot:
      guard stage.writesSnapshots else {
        return (answer(.refused, "\(stage.name) writes no snapshots"), .none)
      }
      guard stage.pid > 0 else { return (answer(.refused, "\(stage.name) does not run"), .none) }
      return (answer(.accepted, "\(stage.name) is asked for a snapshot"), .snapshot(index))
    case .upgrade, .rollBack:
      guard stage.hasStandby else {
        return (
          answer(.refused, "\(stage.name) has no standby through which another build could take its place"),
          .none
        )
      }
      guard !isInMaintenance else {
        return (answer(.refused, "maintenance is on: nothing is started meanwhile"), .none)
      }
      return (answer(.accepted, ""), .upgrade(index))
    case .start:
      if stage.pid > 0 { return (answer(.nothingToDo, "\(stage.name) runs as process \(stage.pid)"), .none) }
      if !request.isDryRun { forget(index) }
      return (answer(.accepted, "\(stage.name) is started"), .start(index))
    case .restart where stage.pid == 0:
      if !request.isDryRun { forget(index) }
      return (answer(.accepted, "\(stage.name) does not run: it is started"), .start(index))
    case .stop where stage.pid == 0, .drain where stage.pid == 0:
      // Nothing to end, but it may be about to come back.
      if !request.isDryRun { hold(index) }
      return (answer(.nothingToDo, "\(stage.name) does not run, and stays down"), .none)
    default:
      let isForced = request.verb != .drain
      if !request.isDryRun {
        endings[index] = Ending(verb: request.verb, deadline: isForced ? now &+ Self.endingNanoseconds : nil)
      }
      let text =
        "process \(stage.pid) of \(stage.name) hands on what it holds and ends"
        + (isForced ? ", by force after \(Self.endingNanoseconds / 1_000_000_000) s" : "")
        + (request.verb == .restart ? "; a successor starts" : "; it stays down")
      return (answer(.accepted, text), .end(index))
    }
  }

  private static let supervisor = "watchdogd"

  private func log(
    _ request: ControlRequest, _ index: Int, epoch: UInt64, pid: Int32
  ) -> (answer: ControlAnswer, action: Action) {
    guard let wish = LogWish(argument: request.argument) else {
      return (ControlAnswer(.refused, "no level of a log", epoch: epoch, pid: pid), .none)
    }
    return (
      ControlAnswer(.accepted, "\(request.component) writes its log: \(wish.words)", epoch: epoch, pid: pid),
      .log(index, wish)
    )
  }

  private func moved(
    _ name: String, is epoch: UInt64, named: UInt64, pid: Int32 = 0
  ) -> ControlAnswer {
    ControlAnswer(
      .epochMoved, "\(name) is at epoch \(epoch), not \(named): look again", epoch: epoch, pid: pid)
  }

  private mutating func maintain(_ request: ControlRequest) -> (answer: ControlAnswer, action: Action) {
    let isOn = request.verb == .maintenanceOn
    if isOn == isInMaintenance {
      return (ControlAnswer(.nothingToDo, "maintenance is \(isOn ? "on" : "off") already"), .none)
    }
    let returning = isOn ? [] : waiting.sorted()
    if !request.isDryRun {
      isInMaintenance = isOn
      waiting = []
    }
    let text =
      isOn
      ? "maintenance is on: nothing is restarted, and nothing that stands still is ended"
      : "maintenance is off"
        + (returning.isEmpty ? "" : ": \(returning.count) stages that ended in it are started")
    return (ControlAnswer(.accepted, text), returning.isEmpty ? .none : .startAll(returning))
  }

  private mutating func forget(_ index: Int) {
    held.remove(index)
    waiting.remove(index)
    endings[index] = nil
  }

  /// The supervisor itself has a stage end; its successor starts at once, at nobody's expense.
  /// - Parameter deadline: when it is ended by force (CLOCK_MONOTONIC, ns).
  public mutating func replace(_ index: Int, by deadline: UInt64) {
    // An operator's stop or drain stands: it ends as well, and stays down.
    if let ending = endings[index], ending.verb != .restart { return }
    endings[index] = Ending(verb: .restart, deadline: deadline)
  }

  /// Whether a stage has been asked to end, and its death is not confirmed.
  public func isEnding(_ index: Int) -> Bool { endings[index] != nil }

  /// Whether a stage is down because an operator wants that, or is ending for that.
  public func isToStayDown(_ index: Int) -> Bool {
    held.contains(index) || endings[index].map { $0.verb != .restart } ?? false
  }

  private mutating func hold(_ index: Int) {
    forget(index)
    held.insert(index)
  }

  /// A stage that nobody asked for here was started by somebody else: it is wanted.
  public mutating func appeared(_ index: Int) { forget(index) }

  /// Whether what follows a stage's death is the restart policy's affair; changes nothing.
  public func leavesToPolicy(_ index: Int) -> Bool {
    endings[index] == nil && !held.contains(index) && !isInMaintenance
  }

  /// A stage's death is confirmed.
  public mutating func died(_ index: Int) -> DeathOrder {
    if let ending = endings.removeValue(forKey: index) {
      if ending.verb == .restart { return .successor }
      held.insert(index)
      return .held
    }
    if held.contains(index) { return .held }
    guard isInMaintenance else { return .policy }
    waiting.insert(index)
    return .waiting
  }

  /// Stages that were to have ended by now: each is named once.
  public mutating func overdue(_ now: UInt64) -> [Int] {
    guard !endings.isEmpty else { return [] }
    let late = endings.filter { $0.value.deadline.map { now >= $0 } ?? false }.keys.sorted()
    for index in late { endings[index]?.deadline = nil }
    return late
  }
}
