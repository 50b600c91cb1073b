import SetInspection
import ShmRing
import StageRecords
import StageRuntime

/// A sample of a set as metrics. Names and labels are documented in docs/VIEW.md.
public enum SetMetrics {
  typealias Labels = [(name: String, value: String)]

  /// What viewd knows of itself.
  public struct Server: Sendable {
    public var connections: UInt64 = 0
    public var requests: UInt64 = 0
    public var refused: UInt64 = 0
    public var frames: UInt64 = 0
    public init() {}
  }

  /// Fixed facts of the set, from its configuration.
  public struct Facts: Sendable {
    public var version = ""
    public var channel = ""
    /// Bytes free where the tape is written; nil without a tape.
    public var diskFreeBytes: UInt64?
    /// What the kernel says of the host's clock; nil when it does not tell this process.
    public var clock: Clock?
    /// The cards on which lines come, with what they count; none on a host that does not say.
    public var cards: [Card] = []
    public init(version: String, channel: String) {
      self.version = version
      self.channel = channel
    }
  }

  public struct Clock: Sendable {
    public let isSynchronized: Bool
    /// Its largest possible error, ns.
    public let maximumError: UInt64
    public init(isSynchronized: Bool, maximumError: UInt64) {
      self.isSynchronized = isSynchronized
      self.maximumError = maximumError
    }
  }

  /// A network card and the line that comes on it.
  public struct Card: Sendable {
    public let line: String
    public let interface: String
    /// Frames that were lost before a socket could have them, by what the kernel calls it.
    public var drops: [(kind: String, count: UInt64)]
    public init(line: String, interface: String, drops: [(kind: String, count: UInt64)] = []) {
      self.line = line
      self.interface = interface
      self.drops = drops
    }
  }

  /// The compiler's version, as far as it tells.
  static var swiftVersion: String {
    #if swift(>=6.5)
      "6.5 or later"
    #elseif swift(>=6.4)
      "6.4"
    #else
      "6.3"
    #endif
  }

  /// Every family, in the order in which they are shown.
  public static func families(_ sample: SetSample, _ facts: Facts, _ server: Server) -> [MetricFamily] {
    var families: [MetricFamily] = []
    families += general(sample, facts)
    families += processes(sample)
    families += lines(sample, facts)
    families += gaps(sample, facts)
    families += rings(sample)
    families += books(sample)
    families += latencies(sample)
    families += clients(sample)
    if sample.view.names.contains("taped") { families += journal(sample, facts) }
    families += view(sample, server)
    return families
  }

  static func one(
    _ name: String, _ kind: MetricFamily.Kind, _ help: String, _ value: MetricValue, _ labels: Labels = []
  ) -> MetricFamily {
    var family = MetricFamily(name, kind, help)
    family.add(value, labels)
    return family
  }

  static func several(
    _ name: String, _ kind: MetricFamily.Kind, _ help: String, _ samples: [(MetricValue, Labels)]
  ) -> MetricFamily {
    var family = MetricFamily(name, kind, help)
    for (value, labels) in samples { family.add(value, labels) }
    return family
  }

  /// A histogram of durations that were counted by powers of two: bucket n is 2^(n-1) ..< 2^n ns, the last one everything beyond. Every
  /// second bound from a microsecond to some minutes is shown.
  /// - Parameter sum: of all durations, ns.
  static func durations(
    _ name: String, _ help: String, _ counts: [UInt64], sum: UInt64, _ labels: Labels
  ) -> MetricFamily {
    var family = MetricFamily(name, .histogram, help)
    let shown = stride(from: 10, to: counts.count - 1, by: 2)
    var seen: UInt64 = 0
    var next = 0
    for bucket in shown {
      while next <= bucket {
        seen &+= counts[next]
        next += 1
      }
      family.add(
        suffix: "_bucket", .count(seen), labels + [("le", MetricValue.nanoseconds(1 << UInt64(bucket)).text)])
    }
    let all = counts.reduce(0, &+)
    family.add(suffix: "_bucket", .count(all), labels + [("le", "+Inf")])
    family.add(suffix: "_sum", .nanoseconds(sum), labels)
    family.add(suffix: "_count", .count(all), labels)
    return family
  }

  // MARK: The set

  private static func general(_ sample: SetSample, _ facts: Facts) -> [MetricFamily] {
    let verdicts: [SetStatus.Verdict] = [.live, .degraded, .stale, .down]
    let trust = sample.status.trust?.record
    return [
      one(
        "bulkhead_build", .info, "What runs here.", .count(1),
        [
          ("version", facts.version), ("swift", swiftVersion), ("set", sample.instance),
          ("config_hash", hexadecimal(sample.configurationHash)),
        ]),
      several(
        "bulkhead_verdict", .gauge, "1 for the verdict that bulkhead status gives, 0 for the others.",
        verdicts.map { (.flag($0 == sample.status.verdict), [("verdict", $0.rawValue.lowercased())]) }),
      one(
        "bulkhead_stream_trustworthy", .gauge, "Whether what is published may be believed, as /readyz says.",
        .flag(sample.isTrustworthy)),
      one(
        "bulkhead_stream_trust_changes", .counter,
        "Times that the supervisor took its trust in the stream back, or gave it again.",
        .count(trust?.changes ?? 0)),
      several(
        "bulkhead_epoch", .gauge, "The stream's epoch, as clients of pubd are told it.",
        sample.streamEpoch.map { [(.count(UInt64($0)), [])] } ?? []),
      several(
        "bulkhead_clock_synchronized", .gauge,
        "1 while the kernel says that the host's clock is synchronised.",
        facts.clock.map { [(.flag($0.isSynchronized), [])] } ?? []),
      several(
        "bulkhead_clock_max_error_seconds", .gauge,
        "The largest error of that clock, as the kernel estimates it.",
        facts.clock.map { [(.nanoseconds($0.maximumError), [])] } ?? []),
    ] + actions(sample)
  }

  private static func actions(_ sample: SetSample) -> [MetricFamily] {
    guard let armed = sample.status.trust, !armed.actions.isEmpty else { return [] }
    func each(_ value: (ArmedAction) -> MetricValue) -> [(MetricValue, Labels)] {
      armed.actions.indices.map { index in
        let action = armed.actions[index]
        let labels: Labels = [
          ("action", armed.targets[index]?.name ?? action.action.name), ("process", action.component),
          ("when", action.trigger == .alarm ? "alarm" : "down"),
        ]
        return (value(action), labels)
      }
    }
    return [
      several(
        "bulkhead_action_armed", .gauge,
        "Whether the safety action would be done now: 0 when an operator took it out, or its session does not stand.",
        each { .flag($0.readiness == .armed || $0.readiness == .standing) }),
      several(
        "bulkhead_action_disarmed", .gauge, "1 for a safety action that an operator took out.",
        each { .flag($0.readiness == .disarmed) }),
      several("bulkhead_action_firings", .counter, "Times that it was fired.", each { .count($0.firings) }),
    ]
  }

  // MARK: Processes

  private static let states: [StageState] = [
    .initializing, .warming, .catchingUp, .ready, .draining, .halted, .failed, .drained,
  ]

  private static func processes(_ sample: SetSample) -> [MetricFamily] {
    let all = sample.processes
    func labels(_ process: SetSample.Process) -> Labels { [("process", process.name)] }
    let running = all.compactMap { process in process.figures.map { (process, $0) } }
    let tick = 1_000_000_000 / clockTicksPerSecond
    return [
      several(
        "bulkhead_process_up", .gauge, "Whether the process runs; the core is the one on which it ran last.",
        all.map { process in
          let core = process.figures.map { String($0.processor) } ?? ""
          return (.flag(process.isAlive), labels(process) + [("core", core)])
        }),
      several(
        "bulkhead_process_start_time_seconds", .gauge, "When the present incarnation began, since 1970.",
        all.filter { $0.startTime > 0 }.map { (.nanoseconds($0.startTime), labels($0)) }),
      several(
        "bulkhead_process_heartbeat_age_seconds", .gauge, "How long ago its loop last came round.",
        all.map { (.nanoseconds($0.beatAge), labels($0)) }),
      several(
        "bulkhead_process_restarts", .counter,
        "Times that a successor was started, by how the predecessor ended.",
        all.flatMap { process in
          process.restartReasons.map { (.count($0.count), labels(process) + [("reason", $0.reason)]) }
        }),
      several(
        "bulkhead_loop_duration_max_seconds", .gauge,
        "The longest that a round of its loop took, of the present incarnation since it was READY.",
        all.map { (.nanoseconds($0.longestBeatGap), labels($0)) }),
      several(
        "bulkhead_process_state", .gauge, "1 for the state that the process says it is in, 0 for the others.",
        all.flatMap { process in
          states.map { (.flag(process.state == $0), labels(process) + [("state", $0.name)]) }
        }),
      several(
        "bulkhead_process_cpu_seconds", .counter, "Processor time of the present incarnation.",
        running.flatMap { process, figures in
          [
            (.nanoseconds(figures.userTicks &* tick), labels(process) + [("mode", "user")]),
            (.nanoseconds(figures.systemTicks &* tick), labels(process) + [("mode", "system")]),
          ]
        }),
      several(
        "bulkhead_process_resident_bytes", .gauge,
        "Memory of the process that is there, shared rings included.",
        running.map { (.count($1.residentPages &* 4_096), labels($0)) }),
      several(
        "bulkhead_process_context_switches", .counter, "Of the main thread of the present incarnation.",
        running.flatMap { process, figures in
          [
            (.count(figures.voluntarySwitches), labels(process) + [("kind", "voluntary")]),
            (.count(figures.involuntarySwitches), labels(process) + [("kind", "involuntary")]),
          ]
        }),
      several(
        "bulkhead_process_page_faults", .counter, "Of the present incarnation.",
        running.flatMap { process, figures in
          [
            (.count(figures.minorFaults), labels(process) + [("kind", "minor")]),
            (.count(figures.majorFaults), labels(process) + [("kind", "major")]),
          ]
        }),
      several(
        "bulkhead_process_applied_sequence", .gauge,
        "The last number of the venue's stream that the process has handled in full.",
        all.filter { $0.appliedSequence > 0 }.map { (.count($0.appliedSequence), labels($0)) }),
      several(
        "bulkhead_process_degraded", .gauge, "1 for a stage that is slow against what is usual of it.",
        sample.status.stages.map { (.flag($0.isDegraded), [("process", $0.name)]) }),
      several(
        "bulkhead_process_usual_latency_seconds", .gauge,
        "The usual 99th percentile of the stage's latency, against which it is judged.",
        sample.status.stages.filter { $0.usualLatency > 0 }.map {
          (.nanoseconds($0.usualLatency), [("process", $0.name)])
        }),
      several(
        "bulkhead_process_neighbour", .gauge,
        "1 for a stage whose core is taken by somebody who is not of the set.",
        sample.status.stages.map { stage in
          let core = stage.neighbourCore.map { String($0) } ?? ""
          return (.flag(stage.neighbourCore != nil), [("process", stage.name), ("core", core)])
        }),
      several(
        "bulkhead_work_shed", .gauge, "1 for optional work that is given up because the set is overloaded.",
        OptionalWork.all.map { (.flag(sample.view.shed.contains($0.work)), [("work", $0.name)]) }),
      one(
        "bulkhead_supervisor_alarms", .counter, "Alarms of the liveness ladder.",
        .count(sample.view.supervisorValue(.alarms))),
      one(
        "bulkhead_supervisor_fences", .counter, "Processes that were ended because they no longer answered.",
        .count(sample.view.supervisorValue(.fences))),
    ]
  }

  // MARK: Lines and gaps

  private static func lines(_ sample: SetSample, _ facts: Facts) -> [MetricFamily] {
    let lines = sample.status.lines
    func labels(_ line: LineStatus) -> Labels { [("channel", facts.channel), ("line", line.name)] }
    func received(_ counter: ReceiverCounter) -> [(MetricValue, Labels)] {
      lines.map { (.count(sample.view.value("rxd@\($0.name)", counter)), labels($0)) }
    }
    func each(_ value: (LineStatus) -> UInt64) -> [(MetricValue, Labels)] {
      lines.map { (.count(value($0)), labels($0)) }
    }
    var lead = MetricFamily(
      "bulkhead_line_lead_seconds", .summary,
      "Of the messages that both lines carried and this one first: how far it was ahead; a power of two.")
    for (line, other) in zip(lines, lines.reversed()) {
      lead.add(.nanoseconds(other.lagMedian), labels(line) + [("quantile", "0.5")])
      lead.add(.nanoseconds(other.lagHigh), labels(line) + [("quantile", "0.99")])
    }
    return [
      several("bulkhead_line_packets", .counter, "Datagrams received.", received(.packets)),
      several("bulkhead_line_bytes", .counter, "Bytes of these.", received(.bytes)),
      several(
        "bulkhead_line_kernel_drops", .counter,
        "Datagrams that the kernel dropped: the socket's buffer was full.",
        received(.kernelDrops)),
      several(
        "bulkhead_line_duplicates", .counter, "Messages that had come already.", each(\.duplicateMessages)),
      several(
        "bulkhead_line_late", .counter, "Messages that came when they had been given up already.",
        lines.map {
          let counter = $0.name == "a" ? MergeCounter.lateMessagesA : .lateMessagesB
          return (.count(sample.view.value("merged", counter)), labels($0))
        }),
      several(
        "bulkhead_line_nic_drops", .counter,
        "Frames that the line's card lost before a socket could have them, as the kernel counts; of all that the card receives.",
        facts.cards.flatMap { card in
          card.drops.map {
            (
              .count($0.count),
              [
                ("channel", facts.channel), ("line", card.line), ("interface", card.interface),
                ("kind", $0.kind),
              ]
            )
          }
        }),
      several("bulkhead_line_missing", .counter, "Messages that the line did not bring.", each(\.missed)),
      several(
        "bulkhead_line_missing_alone", .counter, "Messages that this line did not bring and the other did.",
        each(\.missedAlone)),
      several("bulkhead_line_downs", .counter, "Times that the line went down.", each(\.downs)),
      several(
        "bulkhead_line_up", .gauge, "Whether the line is heard and not far behind.",
        lines.map { (.flag($0.isUp), labels($0)) }),
      several(
        "bulkhead_line_last_packet_age_seconds", .gauge, "How long ago the line's last packet came.",
        lines.compactMap { line in line.lastPacketAge.map { (.nanoseconds($0), labels(line)) } }),
      lead,
    ]
  }

  private static func gaps(_ sample: SetSample, _ facts: Facts) -> [MetricFamily] {
    let channel: Labels = [("channel", facts.channel)]
    let totals = Dictionary(uniqueKeysWithValues: sample.gaps.tallies.map { ($0.tally, $0.value) })
    func total(_ tally: RecoveryTally) -> MetricValue { .count(totals[tally] ?? 0) }
    func merge(_ counter: MergeCounter) -> MetricValue { .count(sample.view.value("merged", counter)) }
    let oldest = sample.gaps.open.map { sample.gaps.age($0) }.max() ?? 0
    let lost = (1...8).reduce(UInt64(0)) { sum, reason in
      sum &+ (RecoveryTally(rawValue: RecoveryTally.lostFirst.rawValue + reason).flatMap { totals[$0] } ?? 0)
    }
    let open = UInt64(sample.gaps.open.count) &+ sample.gaps.openBeyondTable
    return [
      one("bulkhead_gaps_detected", .counter, "Missing ranges.", total(.rangesDetected), channel),
      several(
        "bulkhead_gaps_filled", .counter, "Missing ranges that were filled, by who completed them.",
        [
          (merge(.gapsFilledByLine), channel + [("source", "line")]),
          (merge(.gapsFilledByRetransmission), channel + [("source", "retransmission")]),
          (total(.imagesUsed), channel + [("source", "snapshot")]),
        ]),
      durations(
        "bulkhead_recovery_duration_seconds",
        "From the detection of a missing range until it was filled. Bounds are powers of two.",
        sample.gaps.recoveries, sum: sample.gaps.recoverySum, channel),
      one("bulkhead_gaps_unrecovered", .counter, "Ranges that nobody had any more.", .count(lost), channel),
      one("bulkhead_gap_messages", .counter, "Messages in missing ranges.", total(.messagesMissing), channel),
      several(
        "bulkhead_gap_messages_filled", .counter, "Messages that were missing, by who brought them.",
        [
          (total(.filledByLineA), channel + [("source", "line_a")]),
          (total(.filledByLineB), channel + [("source", "line_b")]),
          (total(.filledByRetransmission), channel + [("source", "retransmission")]),
          (total(.replacedBySnapshot), channel + [("source", "snapshot")]),
        ]),
      one(
        "bulkhead_gap_messages_lost", .counter, "Messages that nobody had any more.", total(.messagesLost),
        channel),
      one("bulkhead_gap_open", .gauge, "Ranges that are missing now.", .count(open), channel),
      one(
        "bulkhead_gap_open_seconds", .gauge, "How long the oldest of them has been missing.",
        .nanoseconds(oldest), channel),
      one(
        "bulkhead_retransmission_requests", .counter, "Requests for missing messages.", total(.requests),
        channel),
      one(
        "bulkhead_retransmission_unanswered", .counter, "Requests that nothing came of.", total(.unanswered),
        channel),
      one(
        "bulkhead_retransmission_breaker_open", .gauge,
        "1 while nothing is requested because too little was answered.",
        .flag((totals[.breakerState] ?? 0) == 1), channel),
      one(
        "bulkhead_line_disagreements", .counter, "Messages that the lines carried with different bytes.",
        .count(sample.gaps.disagreementCount), channel),
    ]
  }

  // MARK: Rings

  private static func rings(_ sample: SetSample) -> [MetricFamily] {
    let rings = sample.rings.rings.filter { $0.name != InstanceFiles.statusRing }
    func labels(_ ring: RingsReport.Ring) -> Labels { [("ring", ring.name)] }
    func readers(_ value: (RingsReport.Reader) -> MetricValue?) -> [(MetricValue, Labels)] {
      rings.flatMap { ring in
        ring.readers.filter { $0.state != .never }.compactMap { reader in
          value(reader).map { ($0, labels(ring) + [("reader", reader.name)]) }
        }
      }
    }
    return [
      several(
        "bulkhead_ring_capacity_slots", .gauge, "Size, in cells of 64 bytes.",
        rings.map { (.count($0.words.cells), labels($0)) }),
      several(
        "bulkhead_ring_records", .counter, "Records published.",
        rings.map { (.count($0.words.records), labels($0)) }),
      several(
        "bulkhead_ring_depth_slots", .gauge, "How far a reader is behind, in cells.",
        readers { $0.lag.map(MetricValue.count) }),
      several(
        "bulkhead_ring_depth_ratio", .gauge,
        "How far a reader is behind, as a part of what is retained: at 1 it loses records.",
        readers { reader in
          reader.lag.map { lag in
            let product = min(lag, UInt64.max / 1_000_000).multipliedReportingOverflow(by: 1_000_000)
            return .millionths(product.partialValue / max(1, reader.retention))
          }
        }),
      several(
        "bulkhead_ring_high_water_ratio", .gauge,
        "How far the slowest reader of the ring was ever behind, as a part of the ring.",
        rings.map { ring in
          let most = ring.readers.filter { $0.state != .never }.map(\.words.highWater).max() ?? 0
          return (
            .millionths(min(most, UInt64.max / 1_000_000) &* 1_000_000 / max(1, ring.words.cells)),
            labels(ring)
          )
        }),
      several(
        "bulkhead_ring_overruns", .counter, "Times that a reader was lapped.",
        readers { .count($0.words.laps) }),
      several(
        "bulkhead_ring_lost_slots", .counter, "Cells that a reader lost by being lapped.",
        readers { .count($0.words.lostCells) }),
    ]
  }
}
