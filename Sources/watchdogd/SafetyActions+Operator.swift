import StageRecords
import StageRuntime
import Supervision
import Topology

/// What operators do with safety actions: between firings, where time does not matter.
extension SafetyActions {
  /// It was fired by hand, and what it did stands.
  func isStanding(_ index: Int) -> Bool { slots[index].readiness == SafetyNumber.standing }

  /// Every armed action, in the table's order.
  func requested(_ topology: Topology) -> [RequestedAction] {
    (0..<slotCount).map { index in
      let slot = slots[index]
      let state: RequestedAction.State =
        switch ArmedAction.Readiness(rawValue: slot.readiness) {
        case .disarmed: .disarmed
        case .noSession: .noSession
        case .standing: .standing
        case .armed, nil: .armed
        }
      return RequestedAction(
        name: slot.name(in: topology), component: slot.component(in: topology), isMessage: slot.message >= 0,
        state: state)
    }
  }

  /// Takes an action out.
  mutating func disarm(_ index: Int) {
    slots[index].readiness = SafetyNumber.disarmed
    slots[index].isOwed = false
    showReadiness(index)
  }

  /// Puts an action back in; what a firing by hand did to a line is taken back. The stream's mark is the caller's.
  mutating func arm(_ index: Int, socket: Int32) {
    if isStanding(index), slots[index].action == SafetyNumber.cutLine, !slots[index].isSpent {
      _ = setLine(index, isJoined: true, socket)
    }
    // The failure for which it was withheld may still come to its next tier.
    if slots[index].isWithheld {
      slots[index].isWithheld = false
      slots[index].isSpent = false
    }
    slots[index].readiness = ArmedAction.Readiness.armed.rawValue
    showReadiness(index)
  }

  /// Whether an operator's mark stands on the stream.
  var holdsStreamByHand: Bool { (0..<slotCount).contains { isStanding($0) && slots[$0].isOfStream } }

  /// The stream is halted no more: it is stale until it has been shown to be well.
  mutating func unhalt(component: String, now: UInt64) {
    changes &+= 1
    state = .stale
    var record = TrustRecord(.stale, action: .haltStream, component: component)
    record.since = now
    record.changes = changes
    record.supervisorEpoch = supervisorEpoch
    record.write(to: scratch)
    _ = table.store(key: TrustRecord.key, value: scratch)
  }

  /// The bytes that it would send now; none for one that sends nothing.
  func message(_ index: Int) -> [UInt8] {
    slots[index].message < 0 ? [] : senders[slots[index].message].preview()
  }

  /// What it does, to whom.
  func effect(_ index: Int, _ topology: Topology) -> String {
    let slot = slots[index]
    if slot.message >= 0 {
      let message = topology.messages[slot.message]
      let bytes = senders[slot.message].preview().count
      return "\(bytes) bytes to \(message.address):\(message.port) (\(senders[slot.message].action.name))"
    }
    let component = slot.component(in: topology)
    switch SafetyAction(rawValue: slot.action) {
    case .markStale: return "every reader learns that the stream may be out of date, by \(component)"
    case .haltStream: return "every reader learns that the stream has ended here, by \(component)"
    case .cutLine: return "the line of \(component) is left, and no datagram comes on it"
    case .publishGap:
      return "every reader learns from which message on the stream is missing, by \(component)"
    case .detachReader: return "the receivers wait for \(component) no longer, until it reads again"
    default: return ""
    }
  }
}

extension ArmedSlot {
  /// Of an `[[action]]` its name.
  func name(in topology: Topology) -> String {
    message >= 0 ? topology.messages[message].name : SafetyAction(rawValue: action)?.name ?? ""
  }

  /// The stage for whose failure it is armed.
  func component(in topology: Topology) -> String {
    stage < topology.stages.count ? topology.stages[stage].name : ArmedAction.lines
  }
}
