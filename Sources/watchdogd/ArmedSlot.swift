import StageRecords
import Topology

/// An armed action in the terms in which it is fired: numbers in memory that lies ready, no name and no reference.
struct ArmedSlot {
  /// Of the topology's stages.
  let stage: Int
  let trigger: UInt8
  let action: UInt8
  /// The message that it sends, of the topology's; -1 for none.
  let message: Int
  /// The line that it cuts: group, interface and source (0 = any), in host order.
  let group: UInt32
  let interface: UInt32
  let source: UInt32

  /// Raw values of ArmedAction's Readiness and Outcome.
  var readiness: UInt8 = 0
  var outcome: UInt8 = 0
  var firings: UInt64 = 0
  var lastFired: UInt64 = 0
  var duration: UInt64 = 0
  /// Fired for the failure that still stands: a stage that reaches the alarm and then dies has failed once.
  var isSpent = false
  /// Fired, and not sent because there was no session.
  var isOwed = false
  /// Due, and not fired because it is disarmed.
  var isWithheld = false
  /// Fired or withheld, and not written down yet.
  var isNews = false
  /// Of that: when it was decided (CLOCK_MONOTONIC, ns), the raw value of its ActionCause, and its outcome; 0: withheld.
  var decidedAt: UInt64 = 0
  var cause: UInt8 = 0
  var result: UInt8 = 0

  /// What it does is to say something of the stream, which only a worse word replaces.
  var isOfStream: Bool {
    @_noLocks get {
      action == SafetyNumber.markStale || action == SafetyNumber.haltStream
        || action == SafetyNumber.publishGap
    }
  }

  /// All that the topology arms, in its order.
  static func all(of topology: Topology) -> [ArmedSlot] {
    var slots: [ArmedSlot] = []
    for (index, stage) in topology.stages.enumerated() {
      for (trigger, actions) in [(ArmedAction.Trigger.alarm, stage.onAlarm), (.down, stage.onDown)] {
        for action in actions { slots.append(ArmedSlot(action, trigger, index, stage, topology)) }
      }
    }
    // The lines stand behind the stages: their silence marks the stream if a failure of what reads them would.
    if topology.stage(named: "merged")?.onAlarm.contains(.markStale) ?? false {
      slots.append(ArmedSlot(linesOf: topology))
    }
    return slots
  }

  private init(linesOf topology: Topology) {
    stage = topology.stages.count
    trigger = ArmedAction.Trigger.alarm.rawValue
    action = SafetyAction.markStale.rawValue
    message = -1
    group = 0
    interface = 0
    source = 0
  }

  private init(
    _ action: Topology.Stage.Action, _ trigger: ArmedAction.Trigger, _ index: Int, _ stage: Topology.Stage,
    _ topology: Topology
  ) {
    self.stage = index
    self.trigger = trigger.rawValue
    var message: Int?
    var line: Topology.Line?
    let kind: SafetyAction
    switch action {
    case .markStale: kind = .markStale
    case .haltStream: kind = .haltStream
    case .publishGap: kind = .publishGap
    case .detachReader: kind = .detachReader
    case .cutLine:
      kind = .cutLine
      line = stage.line.flatMap { topology.channel.line(named: $0) }
    case .message(let name):
      message = topology.messages.firstIndex { $0.name == name }
      if let message, case .massCancel = topology.messages[message].content {
        kind = .massCancel
      } else {
        kind = .datagram
      }
    }
    self.action = kind.rawValue
    self.message = message ?? -1
    group = line?.group.value ?? 0
    interface = line?.interface.value ?? 0
    source = line?.source?.value ?? 0
  }
}
