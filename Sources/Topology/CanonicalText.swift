import CXXHash

/// The resolved configuration as text: what the hash is taken of. `docs/TOPOLOGY.md` defines it.
struct CanonicalText {
  private var lines: [String] = []

  /// The lines in the order of their bytes, each ended by a newline.
  var text: String {
    lines.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }.map { $0 + "\n" }.joined()
  }

  init(
    host: Topology.Host, channel: Topology.Channel, rings: [Topology.Ring], stages: [Topology.Stage],
    messages: [Topology.PreparedMessage], capacity: Topology.Capacity, publish: Topology.Publish,
    tape: Topology.Tape?, view: Topology.View?, overload: Topology.Overload
  ) {
    lines.append("schema = 1")
    add("host", host)
    add("channel.\(channel.name)", channel)
    rings.forEach { add("ring.\($0.name)", $0) }
    stages.forEach { add("stage.\($0.name)", $0) }
    messages.forEach { add("action.\($0.name)", $0) }
    add("capacity.instruments", capacity.instruments)
    add("capacity.orders", capacity.orders)
    add("capacity.levels", capacity.levels)
    add("capacity.on_error", capacity.onError.rawValue)
    add("publish.listen", publish.listen)
    add("publish.port", Int(publish.port))
    add("publish.clients", publish.clients)
    add("publish.client_queue", bytes: publish.clientQueueBytes)
    add("publish.heartbeat", publish.heartbeatNanoseconds)
    if let certificate = publish.certificate {
      add("publish.tls_certificate", certificate.chain)
      add("publish.tls_key", certificate.key)
    }
    if let file = publish.tokensFile { add("publish.tokens", file) }
    if let path = publish.socketPath { add("publish.socket", path) }
    // Sets without these read as they did before there were any.
    if publish.clientsPerAddress > 0 { add("publish.clients_per_address", publish.clientsPerAddress) }
    if !publish.origins.isEmpty { add("publish.origins", publish.origins.joined(separator: " ")) }
    add("tape.enabled", tape != nil)
    if let tape { add("tape", tape) }
    // A set without a view reads as it did before there were views.
    if let view {
      add("view.enabled", true)
      add("view.listen", view.listen)
      add("view.port", Int(view.port))
      add("view.clients", view.clients)
    }
    add(overload, lastCore: host.cores.last ?? 0)
  }

  /// XXH64 with seed 0, as 16 lower-case hexadecimal digits.
  static func hash(_ text: String) -> String {
    let bytes = Array(text.utf8)
    let digits = String(XXH64(bytes, bytes.count, 0), radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  // MARK: Tables

  private mutating func add(_ path: String, _ host: Topology.Host) {
    add("\(path).instance", host.instance)
    add("\(path).run_directory", host.runDirectory)
    lines.append("\(path).cores = [\(host.cores.map(String.init).joined(separator: ", "))]")
    add("\(path).profile", host.profile.rawValue)
    add("\(path).memory_limit", bytes: host.memoryLimitBytes)
    add("\(path).lock_memory", host.lockMemory)
    add("\(path).numa_node", host.numaNode ?? -1)
    add("\(path).preflight", host.preflight.rawValue)
    add("\(path).sandbox", host.sandbox.rawValue)
  }

  private mutating func add(_ path: String, _ tape: Topology.Tape) {
    add("\(path).directory", tape.directory)
    add("\(path).segment", bytes: tape.segmentBytes)
    add("\(path).retention", bytes: tape.retentionBytes)
    add("\(path).retention_segments", tape.retentionSegments)
    add("\(path).sync_interval", tape.syncIntervalNanoseconds)
    add("\(path).sync_bytes", bytes: tape.syncBytes)
    add("\(path).stall", tape.stallNanoseconds)
    add("\(path).on_trouble", tape.onTrouble.rawValue)
    add("\(path).shadow", tape.shadow)
    add("\(path).snapshot_interval", tape.snapshotIntervalNanoseconds)
    add("\(path).snapshots_kept", tape.snapshotsKept)
  }

  private mutating func add(_ path: String, _ channel: Topology.Channel) {
    add("\(path).number", Int(channel.number))
    add("\(path).protocol", channel.feedProtocol.rawValue)
    for line in channel.lines {
      let linePath = "\(path).line.\(line.name)"
      add("\(linePath).group", line.group)
      add("\(linePath).port", Int(line.port))
      add("\(linePath).interface", line.interface)
      if let source = line.source { add("\(linePath).source", source) }
      add("\(linePath).receive_buffer", bytes: line.receiveBufferBytes)
      add("\(linePath).receive_buffer_required", line.receiveBufferRequired)
    }
    let arbitration = channel.arbitration
    add("\(path).arbitration.window_messages", arbitration.windowMessages)
    add("\(path).arbitration.hold", arbitration.holdNanoseconds)
    add("\(path).arbitration.line_wait", arbitration.lineWaitNanoseconds)
    add("\(path).arbitration.silence", arbitration.silenceNanoseconds)
    add("\(path).arbitration.lag", arbitration.lagNanoseconds)
    add("\(path).arbitration.objective", arbitration.objectiveNanoseconds)
    add("\(path).arbitration.far_ahead_messages", arbitration.farAheadMessages)
    add("\(path).arbitration.compare_lines", arbitration.historyMessages > 0)
    if arbitration.historyMessages > 0 {
      add("\(path).arbitration.history_messages", arbitration.historyMessages)
    }
    add("\(path).arbitration.unrecoverable", arbitration.unrecoverable.rawValue)
    add("\(path).retransmission.enabled", channel.retransmission != nil)
    if let service = channel.retransmission { add(path, service) }
    if let service = channel.snapshot { add(path, service) }
  }

  private mutating func add(_ path: String, _ service: Topology.Retransmission) {
    add("\(path).retransmission.address", service.address)
    add("\(path).retransmission.port", Int(service.port))
    add("\(path).retransmission.timeout", service.timeoutNanoseconds)
    add("\(path).retransmission.attempts", service.attempts)
    add("\(path).retransmission.backoff", service.backoffNanoseconds)
    add("\(path).retransmission.minimum_interval", service.minimumIntervalNanoseconds)
    add("\(path).retransmission.maximum_messages", service.maximumMessages)
    add("\(path).retransmission.budget", service.budget)
    add("\(path).retransmission.budget_period", service.budgetPeriodNanoseconds)
    add("\(path).retransmission.breaker_percent", service.breakerPercent)
    add("\(path).retransmission.breaker_window", service.breakerWindow)
    add("\(path).retransmission.breaker_open", service.breakerOpenNanoseconds)
    add("\(path).retransmission.breaker_probes", service.breakerProbes)
    add("\(path).retransmission.objective", service.objectiveNanoseconds)
  }

  private mutating func add(_ path: String, _ service: Topology.Snapshot) {
    add("\(path).snapshot.address", service.address)
    add("\(path).snapshot.port", Int(service.port))
    add("\(path).snapshot.username", service.username)
    add("\(path).snapshot.password", service.password)
    add("\(path).snapshot.end", service.endIsLast ? "last" : "next")
    add("\(path).snapshot.timeout", service.timeoutNanoseconds)
    add("\(path).snapshot.attempts", service.attempts)
    add("\(path).snapshot.backoff", service.backoffNanoseconds)
    add("\(path).snapshot.minimum_interval", service.minimumIntervalNanoseconds)
    add("\(path).snapshot.breaker_percent", service.breakerPercent)
    add("\(path).snapshot.breaker_window", service.breakerWindow)
    add("\(path).snapshot.breaker_open", service.breakerOpenNanoseconds)
    add("\(path).snapshot.breaker_probes", service.breakerProbes)
    add("\(path).snapshot.objective", service.objectiveNanoseconds)
    add("\(path).snapshot.recover_quarantined", service.recoversQuarantined)
    add("\(path).snapshot.recovery_interval", service.recoveryIntervalNanoseconds)
  }

  private mutating func add(_ path: String, _ ring: Topology.Ring) {
    add("\(path).kind", ring.kind.rawValue)
    add("\(path).policy", ring.policy.rawValue)
    add("\(path).cells", ring.cells)
    add("\(path).writer", ring.writer)
    lines.append("\(path).readers = [\(ring.readers.map { "\"\($0)\"" }.joined(separator: ", "))]")
    add("\(path).huge_pages", ring.hugePages)
  }

  private mutating func add(_ path: String, _ stage: Topology.Stage) {
    if let core = stage.core { add("\(path).core", core) }
    add("\(path).idle", stage.idle.rawValue)
    add("\(path).realtime_priority", stage.realTimePriority)
    add("\(path).restart", stage.restart.rawValue)
    add("\(path).restart_limit", stage.restartLimit)
    add("\(path).restart_window", stage.restartWindowNanoseconds)
    if stage.restartBackoffNanoseconds > 0 { add("\(path).restart_backoff", stage.restartBackoffNanoseconds) }
    add("\(path).ladder.mark", stage.ladder.markNanoseconds)
    add("\(path).ladder.alarm", stage.ladder.alarmNanoseconds)
    add("\(path).ladder.fence", stage.ladder.fenceNanoseconds)
    add("\(path).ladder.start", stage.ladder.startNanoseconds)
    add("\(path).on_alarm", stage.onAlarm)
    add("\(path).on_down", stage.onDown)
  }

  private mutating func add(_ path: String, _ message: Topology.PreparedMessage) {
    add("\(path).address", message.address)
    add("\(path).port", Int(message.port))
    switch message.content {
    case .datagram(let payload):
      add("\(path).kind", "datagram")
      add("\(path).payload", payload)
    case .massCancel(let session):
      add("\(path).kind", "mass_cancel")
      add("\(path).sender", session.sender)
      add("\(path).target", session.target)
      add("\(path).username", session.username)
      add("\(path).password", session.password)
      add("\(path).heartbeat", UInt64(session.heartbeatSeconds) * 1_000_000_000)
      lines.append("\(path).fields = [\(session.fields.map { "\"\($0)\"" }.joined(separator: ", "))]")
    }
  }

  /// What is not as usual: a set that says nothing of it reads as it did before there was this table.
  private mutating func add(_ overload: Topology.Overload, lastCore: Int) {
    let usual = Topology.Overload.usual
    if overload.latencyFactor != usual.latencyFactor {
      add("overload.latency_factor", overload.latencyFactor)
    }
    if overload.latencyLeastNanoseconds != usual.latencyLeastNanoseconds {
      add("overload.latency_least", overload.latencyLeastNanoseconds)
    }
    if overload.controlCore != lastCore { add("overload.control_core", overload.controlCore) }
    if overload.busyPercent != usual.busyPercent { add("overload.busy_percent", overload.busyPercent) }
    if overload.shed != usual.shed {
      lines.append("overload.shed = [\(overload.shed.map { "\"\($0.rawValue)\"" }.joined(separator: ", "))]")
    }
  }

  // MARK: Values

  private mutating func add(_ path: String, _ number: Int) { lines.append("\(path) = \(number)") }

  private mutating func add(_ path: String, _ flag: Bool) { lines.append("\(path) = \(flag)") }

  private mutating func add(_ path: String, _ actions: [Topology.Stage.Action]) {
    lines.append("\(path) = [\(actions.map { "\"\($0.name)\"" }.joined(separator: ", "))]")
  }

  private mutating func add(_ path: String, bytes: Int) { lines.append("\(path) = \"\(bytes)B\"") }

  private mutating func add(_ path: String, _ nanoseconds: UInt64) {
    lines.append("\(path) = \"\(nanoseconds)ns\"")
  }

  private mutating func add(_ path: String, _ address: IPv4Address) {
    lines.append("\(path) = \"\(address)\"")
  }

  private mutating func add(_ path: String, _ text: String) {
    var escaped = ""
    for character in text.unicodeScalars {
      if character == "\"" || character == "\\" { escaped += "\\" }
      escaped.unicodeScalars.append(character)
    }
    lines.append("\(path) = \"\(escaped)\"")
  }
}
