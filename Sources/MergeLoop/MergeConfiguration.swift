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
    // The topology refuses "snapshot": there is no client yet.
    unrecoverable = arbitration.unrecoverable == .halt ? .halt : .stale
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
