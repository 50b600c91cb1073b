import LineArbiter
import Topology

extension ArbiterConfiguration {
  /// The topology's channel as the arbiter wants it.
  init(_ channel: Topology.Channel) {
    self.init()
    let arbitration = channel.arbitration
    windowMessages = arbitration.windowMessages
    heldBytes = arbitration.windowMessages * 128
    holdNanoseconds = arbitration.holdNanoseconds
    lineWaitNanoseconds = arbitration.lineWaitNanoseconds
    lineSilenceNanoseconds = arbitration.silenceNanoseconds
    lineLagNanoseconds = arbitration.lagNanoseconds
    lineObjectiveNanoseconds = arbitration.objectiveNanoseconds
    farAheadMessages = UInt64(arbitration.farAheadMessages)
    historyMessages = arbitration.historyMessages
    switch arbitration.unrecoverable {
    case .stale: unrecoverable = .stale
    case .halt: unrecoverable = .halt
    case .snapshot: unrecoverable = .snapshot
    }
    if let service = channel.snapshot {
      snapshot.isEnabled = true
      snapshot.timeoutNanoseconds = service.timeoutNanoseconds
      snapshot.backoffNanoseconds = service.backoffNanoseconds
      snapshot.attempts = service.attempts
      snapshot.intervalNanoseconds = service.minimumIntervalNanoseconds
      snapshot.breakerPercent = UInt64(service.breakerPercent)
      snapshot.breakerWindow = service.breakerWindow
      snapshot.breakerOpenNanoseconds = service.breakerOpenNanoseconds
      snapshot.breakerProbes = service.breakerProbes
      snapshot.objectiveNanoseconds = service.objectiveNanoseconds
    }
    guard let service = channel.retransmission else {
      retransmission.isEnabled = false
      return
    }
    retransmission.timeoutNanoseconds = service.timeoutNanoseconds
    retransmission.backoffNanoseconds = service.backoffNanoseconds
    retransmission.attempts = service.attempts
    retransmission.intervalNanoseconds = service.minimumIntervalNanoseconds
    retransmission.budgetRequests = UInt64(service.budget)
    retransmission.budgetNanoseconds = service.budgetPeriodNanoseconds
    retransmission.breakerPercent = UInt64(service.breakerPercent)
    retransmission.breakerWindow = service.breakerWindow
    retransmission.breakerOpenNanoseconds = service.breakerOpenNanoseconds
    retransmission.breakerProbes = service.breakerProbes
    retransmission.objectiveNanoseconds = service.objectiveNanoseconds
    requestMessages = service.maximumMessages
  }
}
