// From checked settings to the immutable plan. Nothing here can fail: every value was checked.

extension Topology {
  init(
    host: Host, channel: Channel, rings: [Ring], stages: [Stage], messages: [PreparedMessage],
    capacity: Capacity, publish: Publish, tape: Tape?, view: View?, overload: Overload, memory: [MemoryItem],
    warnings: [TopologyDiagnostic]
  ) {
    self.host = host
    self.channel = channel
    self.rings = rings
    self.stages = stages
    self.messages = messages
    self.capacity = capacity
    self.publish = publish
    self.tape = tape
    self.view = view
    self.overload = overload
    self.memory = memory
    self.warnings = warnings
    canonicalText =
      CanonicalText(
        host: host, channel: channel, rings: rings, stages: stages, messages: messages, capacity: capacity,
        publish: publish, tape: tape, view: view, overload: overload
      ).text
    hash = CanonicalText.hash(canonicalText)
  }
}

extension Topology.Host {
  init(_ settings: HostSettings) {
    instance = settings.instance.value
    runDirectory = settings.runDirectory.value
    cores = settings.cores.value.map(\.value).sorted()
    profile = settings.profile.value
    memoryLimitBytes = settings.memoryLimit.value
    lockMemory = settings.lockMemory.value
    numaNode = settings.numaNode.value < 0 ? nil : settings.numaNode.value
    preflight = settings.preflight.value
    sandbox = settings.sandbox.value
  }
}

extension Topology.Channel {
  init(_ settings: ChannelSettings, lines: [LineSettings]) {
    name = settings.name.value
    number = UInt8(clamping: settings.number.value)
    feedProtocol = settings.feedProtocol.value
    self.lines = lines.map { Topology.Line($0) }
    arbitration = Topology.Arbitration(
      windowMessages: settings.windowMessages.value, holdNanoseconds: settings.hold.value,
      lineWaitNanoseconds: settings.lineWait.value, silenceNanoseconds: settings.silence.value,
      lagNanoseconds: settings.lag.value, objectiveNanoseconds: settings.lineObjective.value,
      farAheadMessages: settings.farAheadMessages.value,
      historyMessages: settings.compareLines.value ? settings.historyMessages.value : 0,
      unrecoverable: settings.unrecoverable.value)
    retransmission = settings.retransmission.flatMap { service in
      service.enabled.value ? Topology.Retransmission(service) : nil
    }
    snapshot = settings.snapshot.flatMap { service in
      service.enabled.value ? Topology.Snapshot(service) : nil
    }
  }
}

extension Topology.Line {
  init(_ settings: LineSettings) {
    name = settings.name.value
    group = settings.group.value
    port = UInt16(clamping: settings.port.value)
    interface = settings.interface.value
    source = settings.source.isGiven ? settings.source.value : nil
    receiveBufferBytes = settings.receiveBuffer.value
    receiveBufferRequired = settings.receiveBufferRequired.value
  }
}

extension Topology.Retransmission {
  init(_ settings: RetransmissionSettings) {
    address = settings.address.value
    port = UInt16(clamping: settings.port.value)
    timeoutNanoseconds = settings.timeout.value
    attempts = settings.attempts.value
    backoffNanoseconds = settings.backoff.value
    minimumIntervalNanoseconds = settings.minimumInterval.value
    maximumMessages = settings.maximumMessages.value
    budget = settings.budget.value
    budgetPeriodNanoseconds = settings.budgetPeriod.value
    breakerPercent = settings.breakerPercent.value
    breakerWindow = settings.breakerWindow.value
    breakerOpenNanoseconds = settings.breakerOpen.value
    breakerProbes = settings.breakerProbes.value
    objectiveNanoseconds = settings.objective.value
  }
}

extension Topology.Snapshot {
  init(_ settings: SnapshotSettings) {
    address = settings.address.value
    port = UInt16(clamping: settings.port.value)
    username = settings.username.value
    password = settings.password.value
    endIsLast = settings.end.value == .last
    timeoutNanoseconds = settings.timeout.value
    attempts = settings.attempts.value
    backoffNanoseconds = settings.backoff.value
    minimumIntervalNanoseconds = settings.minimumInterval.value
    breakerPercent = settings.breakerPercent.value
    breakerWindow = settings.breakerWindow.value
    breakerOpenNanoseconds = settings.breakerOpen.value
    breakerProbes = settings.breakerProbes.value
    objectiveNanoseconds = settings.objective.value
    recoversQuarantined = settings.recoverQuarantined.value
    recoveryIntervalNanoseconds = settings.recoveryInterval.value
  }
}

extension Topology.Ring {
  init(_ settings: RingSettings, of all: Settings) {
    name = settings.name.value
    kind = settings.kind.value
    policy = settings.policy.value
    cells = settings.cells.value
    writer = settings.writer.value
    let given = Set(settings.readers.value.map(\.value))
    readers = StagePlan.readerNames.filter { given.contains($0) && !StagePlan.isLeftOut($0, by: all) }
    hugePages = settings.hugePages.value
  }
}

extension Topology.Stage {
  init(_ settings: StageSettings, allowedCores: [Int]) {
    name = settings.name.value
    core = settings.core.isGiven ? settings.core.value : nil
    self.allowedCores = allowedCores
    idle = settings.idle.value
    realTimePriority = settings.realTimePriority.value
    restart = settings.restart.value
    restartLimit = settings.restartLimit.value
    restartWindowNanoseconds = settings.restartWindow.value
    restartBackoffNanoseconds = settings.restartBackoff.isGiven ? settings.restartBackoff.value : 0
    ladder = Ladder(
      markNanoseconds: settings.mark.value, alarmNanoseconds: settings.alarm.value,
      fenceNanoseconds: settings.fence.value, startNanoseconds: settings.start.value)
    onAlarm = settings.onAlarm.value.map { Action(named: $0.value) }
    onDown = settings.onDown.value.map { Action(named: $0.value) }
  }
}

extension Topology.Publish {
  init(_ settings: PublishSettings) {
    listen = settings.listen.value
    port = UInt16(clamping: settings.port.value)
    clients = settings.clients.value
    clientsPerAddress = settings.clientsPerAddress.value
    origins = settings.origins.value.map(\.value)
    clientQueueBytes = settings.clientQueue.value
    heartbeatNanoseconds = settings.heartbeat.value
    certificate =
      settings.tlsCertificate.value.isEmpty
      ? nil : Certificate(chain: settings.tlsCertificate.value, key: settings.tlsKey.value)
    tokensFile = settings.tokens.value.isEmpty ? nil : settings.tokens.value
    socketPath = settings.socket.value.isEmpty ? nil : settings.socket.value
  }
}

extension Topology.View {
  init(_ settings: ViewSettings) {
    listen = settings.listen.value
    port = UInt16(clamping: settings.port.value)
    clients = settings.clients.value
  }
}

extension Topology.Overload {
  init(_ settings: OverloadSettings, cores: [Int]) {
    latencyFactor = settings.latencyFactor.value
    latencyLeastNanoseconds = settings.latencyLeast.value
    controlCore = settings.controlCore.value < 0 ? cores.last ?? 0 : settings.controlCore.value
    busyPercent = settings.busyPercent.value
    shed = settings.shed.value.compactMap { Work(rawValue: $0.value) }
  }
}

extension Topology.Tape {
  init(_ settings: TapeSettings) {
    directory = settings.directory.value
    segmentBytes = settings.segment.value
    retentionBytes = settings.retention.value
    retentionSegments = settings.retentionSegments.value
    syncIntervalNanoseconds = settings.syncInterval.value
    syncBytes = settings.syncBytes.value
    stallNanoseconds = settings.stall.value
    onTrouble = settings.onTrouble.value
    shadow = settings.shadow.value
    snapshotIntervalNanoseconds = settings.snapshotInterval.value
    snapshotsKept = settings.snapshotsKept.value
  }
}
