import LatencyHistogram
import SetInspection
import StageRecords
import StageRuntime
import Topology

/// The result of a run: the verdict, and everything that it rests on.
struct RunReport {
  enum Verdict: String {
    /// Everything that was sent came out, and every digest is the expected one.
    case correct
    /// Something is missing, and the stream says exactly what.
    case incomplete
    /// The set was run without a source.
    case stopped
    /// Something is missing or different and the stream did not say so, or the run did not end.
    case wrong
  }

  struct Line {
    let name: String
    let packets, bytes, kernelDrops, duplicates, missing: UInt64
  }

  struct Latency {
    let stage: String
    let count, p50, p99, p999, p9999, maximum: UInt64
  }

  let verdict: Verdict
  let reasons: [String]
  private let instance, configuration, exitReason, venueJSON: String
  private let expected: ExpectedResult?
  private let lines: [Line]
  private let latencies: [Latency]
  private let restarts: [(name: String, count: UInt64)]
  private let gaps, restartGaps: [DeclaredGap]
  private let counts: [(key: String, value: UInt64)]
  private let streamDigest, bookDigest, publishDigest: UInt64
  /// Milliseconds of processor time of each process, from its start.
  private let processorTimes: [(name: String, milliseconds: UInt64)]
  private let messagesSent, messagesApplied, wallNanoseconds: UInt64
  /// From the first event that the reader saw to the end of the session.
  private let flowNanoseconds: UInt64

  var exitCode: Int32 {
    switch verdict {
    case .correct: ExitCode.success
    // A set without a source is meant to be stopped; a day that was cut short is not good.
    case .stopped: reasons.isEmpty ? ExitCode.success : ExitCode.failure
    case .incomplete: ExitCode.failure
    case .wrong: ExitCode.invariantBroken
    }
  }

  init(
    session: RunSession, view: SetView, auditor: borrowing Auditor, stages: [SetView.StageStatus],
    expected: ExpectedResult?, venueOutput: String, wallNanoseconds: UInt64,
    flowNanoseconds: UInt64, processorTimes: [(name: String, milliseconds: UInt64)], supervisorStatus: Int32
  ) {
    instance = session.topology.host.instance
    configuration = session.topology.hash
    exitReason = session.exitReason
    self.expected = expected
    self.wallNanoseconds = wallNanoseconds
    self.flowNanoseconds = flowNanoseconds
    self.processorTimes = processorTimes
    venueJSON = venueOutput.split(separator: "\n").last { $0.hasPrefix("{") }.map(String.init) ?? "null"
    lines = zip(session.topology.channel.lines, [MergeCounter.duplicatePacketsA, .duplicatePacketsB]).map {
      line, duplicates in
      let receiver = "rxd@\(line.name)"
      return Line(
        name: line.name, packets: view.value(receiver, ReceiverCounter.packets),
        bytes: view.value(receiver, ReceiverCounter.bytes),
        kernelDrops: view.value(receiver, ReceiverCounter.kernelDrops),
        duplicates: view.value("merged", duplicates),
        missing: view.value("merged", line.name == "a" ? MergeCounter.missingOnA : .missingOnB))
    }
    latencies = Self.latencies(view, auditor)
    restarts = stages.map { ($0.name, $0.restarts) }
    gaps = auditor.gaps
    restartGaps = auditor.restartGaps
    streamDigest = auditor.streamDigest
    bookDigest = view.value("bookd", BookCounter.bookDigest)
    publishDigest = view.value("pubd", PublishCounter.bookDigest)
    messagesSent = integer("messages", in: venueJSON) ?? expected?.messages ?? 0
    let lost = auditor.gaps.reduce(0) { $0 &+ ($1.last &- $1.first &+ 1) }
    messagesApplied = auditor.endOfSession.map { $0 &- 1 &- lost } ?? auditor.newestSequence
    let ringLaps =
      view.value("merged", MergeCounter.inputLaps) + view.value("bookd", BookCounter.inputLaps)
      + view.value("pubd", PublishCounter.inputLaps) + auditor.laps
    var counts: [(key: String, value: UInt64)] = [
      ("messagesLost", lost), ("eventsPublished", auditor.events), ("ringLaps", ringLaps),
      ("identityViolations", auditor.identityViolations),
      ("outOfOrderInput", view.value("bookd", BookCounter.outOfOrderInput)),
      ("duplicateMessages", view.value("merged", MergeCounter.duplicateMessages)),
      ("foreignSessionPackets", view.value("merged", MergeCounter.foreignSessionPackets)),
      ("malformedPackets", view.value("merged", MergeCounter.malformedPackets)),
      ("gapsDetected", view.value("merged", MergeCounter.gapsDetected)),
      ("gapsFilledByLine", view.value("merged", MergeCounter.gapsFilledByLine)),
      ("gapsFilledByRetransmission", view.value("merged", MergeCounter.gapsFilledByRetransmission)),
      ("messagesFilledByLine", view.value("merged", MergeCounter.messagesFilledByLine)),
      ("messagesFilledByRetransmission", view.value("merged", MergeCounter.messagesFilledByRetransmission)),
      ("gapsUnrecoverable", UInt64(auditor.gaps.count)),
      ("retransmissionRequests", view.value("merged", MergeCounter.requestsSent)),
      ("rejects", view.value("bookd", BookCounter.rejects)),
      ("unknownReferences", view.value("bookd", BookCounter.unknownReferences)),
      ("liveOrders", view.value("bookd", BookCounter.liveOrders)),
      ("instruments", view.value("bookd", BookCounter.instruments)),
      ("staleInstruments", view.value("bookd", BookCounter.staleInstruments)),
      ("messagesReplayed", view.value("bookd", BookCounter.messagesReplayed)),
      ("replicaMismatches", view.value("pubd", PublishCounter.replicaMismatches)),
    ]
    if auditor.firstSequence > 1 { counts.append(("continuedAt", auditor.firstSequence)) }
    if session.topology.tape != nil {
      counts += [
        ("tapeWrittenSequence", view.value("taped", TapeCounter.writtenSequence)),
        ("tapeDurableSequence", view.value("taped", TapeCounter.durableSequence)),
        ("tapeBytes", view.value("taped", TapeCounter.tapeBytes)),
        ("tapeUnjournaledEpisodes", view.value("taped", TapeCounter.unjournaledEpisodes)),
        ("tapeHoles", view.value("taped", TapeCounter.holes)),
        ("tapeMessagesInHoles", view.value("taped", TapeCounter.messagesInHoles)),
        ("shadowSequence", view.value("taped", TapeCounter.shadowSequence)),
        ("shadowProbesCompared", view.value("taped", TapeCounter.probesCompared)),
        ("shadowProbesSkipped", view.value("taped", TapeCounter.probesSkipped)),
        ("shadowBooksDiffer", view.value("taped", TapeCounter.booksDiffer)),
        ("snapshotsWritten", view.value("taped", TapeCounter.snapshotsWritten)),
        ("snapshotSequence", view.value("taped", TapeCounter.snapshotSequence)),
        ("tapeLongestSynchronization", view.value("taped", TapeCounter.longestSynchronization)),
      ]
    }
    (verdict, reasons) = Self.judge(
      session: session, view: view, auditor: auditor, expected: expected, ringLaps: ringLaps,
      supervisorStatus: supervisorStatus)
    self.counts = counts
  }

  private static func latencies(_ view: SetView, _ auditor: borrowing Auditor) -> [Latency] {
    func of(_ name: String, _ histogram: LatencyHistogram) -> Latency {
      Latency(
        stage: name, count: histogram.count, p50: histogram.value(at: 0.5), p99: histogram.value(at: 0.99),
        p999: histogram.value(at: 0.999), p9999: histogram.value(at: 0.9999), maximum: histogram.maximum)
    }
    var result: [Latency] = []
    view.forEachLatency { name, page in result.append(of(name, page.latency)) }
    result.append(of("reader", auditor.control.latency))
    return result
  }

  /// Weighs the evidence. What the stream itself declares makes a run incomplete; what it did not declare, wrong.
  private static func judge(
    session: RunSession, view: SetView, auditor: borrowing Auditor, expected: ExpectedResult?,
    ringLaps: UInt64,
    supervisorStatus: Int32
  ) -> (Verdict, [String]) {
    if case .none = session.options.source { return (.stopped, []) }
    if session.wasStopped { return (.stopped, ["before the end of the session"]) }
    var wrong: [String] = []
    var missing = declaredLoss(auditor)
    if auditor.endOfSession == nil {
      let reason = "no end of session: \(session.exitReason)"
      // A stage that halted after it had declared what it lost did as it was told.
      if session.hasHalted, !missing.isEmpty { missing.append(reason) } else { wrong.append(reason) }
    }
    if auditor.identityViolations > 0 {
      wrong.append("\(auditor.identityViolations) events out of order, repeated or missing")
    }
    let repeated = view.value("bookd", BookCounter.outOfOrderInput)
    if repeated > 0 { wrong.append("bookd refused \(repeated) records that the merged stream repeated") }
    if auditor.laps > 0 {
      wrong.append("the auditor was lapped \(auditor.laps) times: nothing to compare")
    } else if auditor.endOfSession != nil, let expected {
      compare(view, auditor, expected, wrong: &wrong, missing: &missing)
    } else if session.options.verify, auditor.endOfSession != nil {
      missing.append("the expected result could not be computed: nothing is verified")
    }
    if view.value("taped", TapeCounter.booksDiffer) == 1 {
      wrong.append("bookd's books differ from those of the tape (`bulkhead status` names the instrument)")
    }
    missing += missingOnTape(session, view, auditor)
    let disagreements = view.value("merged", MergeCounter.lineDisagreements)
    if disagreements > 0 { wrong.append("the lines disagreed about \(disagreements) messages") }
    if ringLaps > auditor.laps { missing.append("\(ringLaps) ring laps") }
    if supervisorStatus != 0 { missing.append("the set stopped with code \(supervisorStatus)") }
    if !wrong.isEmpty { return (.wrong, wrong + missing) }
    return missing.isEmpty ? (.correct, []) : (.incomplete, missing)
  }

  /// What is not on the tape, if there is one.
  private static func missingOnTape(
    _ session: RunSession, _ view: SetView, _ auditor: borrowing Auditor
  ) -> [String] {
    guard session.topology.tape != nil else { return [] }
    var missing: [String] = []
    let holes = view.value("taped", TapeCounter.holes)
    if holes > 0 {
      missing.append(
        "the tape has \(holes) holes of \(view.value("taped", TapeCounter.messagesInHoles)) messages")
    }
    let durable = view.value("taped", TapeCounter.durableSequence)
    if let end = auditor.endOfSession, durable &+ 1 < end {
      missing.append("sequences \(durable &+ 1)...\(end &- 1) are not safe on the tape")
    }
    return missing
  }

  /// What the stream says of itself that it lacks.
  private static func declaredLoss(_ auditor: borrowing Auditor) -> [String] {
    var missing: [String] = []
    for gap in auditor.gaps.prefix(20) {
      let reason = GapReason(rawValue: gap.reason)?.name ?? "unknown reason"
      missing.append("sequences \(gap.first)...\(gap.last) lost: \(reason)")
    }
    if auditor.gaps.count > 20 { missing.append("… and \(auditor.gaps.count - 20) more gaps") }
    for gap in auditor.restartGaps {
      missing.append("a restarted bookd could not rebuild the state of sequences \(gap.first)...\(gap.last)")
    }
    let isRestored =
      auditor.restartGaps.isEmpty && auditor.channelStaleSince == nil
      && auditor.gaps.contains { $0.reason == GapReason.replacedBySnapshot.rawValue }
    if !missing.isEmpty {
      missing.append(
        isRestored
          ? "the venue's images have made the books exact again" : "the books concerned are marked stale")
    }
    return missing
  }

  /// Digests against the reference. After a restart that declared lost state there is nothing to compare with.
  private static func compare(
    _ view: SetView, _ auditor: borrowing Auditor, _ expected: ExpectedResult, wrong: inout [String],
    missing: inout [String]
  ) {
    guard auditor.restartGaps.isEmpty else { return }
    if auditor.streamDigest != expected.streamDigest || auditor.events != expected.events {
      wrong.append(
        "stream digest \(hexadecimal(auditor.streamDigest)) of \(auditor.events) events, expected \(hexadecimal(expected.streamDigest)) of \(expected.events)"
      )
    }
    let book = view.value("bookd", BookCounter.bookDigest)
    if book != expected.bookDigest {
      wrong.append("bookd's book digest \(hexadecimal(book)), expected \(hexadecimal(expected.bookDigest))")
    }
    let replica = view.value("pubd", PublishCounter.bookDigest)
    if view.value("pubd", PublishCounter.replicaMismatches) == 0,
      view.value("pubd", PublishCounter.replicaWhole) == 0
    {
      missing.append("pubd's replica is incomplete: it was started or lapped after the ring had gone on")
    } else if replica != expected.bookDigest {
      wrong.append("pubd's book digest \(hexadecimal(replica)), expected \(hexadecimal(expected.bookDigest))")
    }
  }

  func print(json: Bool) {
    for line in text { Swift.print(line) }
    if json { Swift.print(jsonText) }
  }

  /// Messages a second through the whole flow.
  private var rate: UInt64 { messagesApplied * 1_000_000_000 / max(1, flowNanoseconds) }

  private var verdictLine: String {
    switch verdict {
    case .correct:
      var comparison = expected == nil ? "" : "; stream and books equal the offline reference"
      let stale = counts.first { $0.key == "staleInstruments" }?.value ?? 0
      if stale > 0 { comparison += "; the venue's own messages leave \(grouped(stale)) instruments stale" }
      return
        "CORRECT: \(grouped(messagesApplied)) messages in \(duration(flowNanoseconds)) (\(grouped(rate))/s), nothing lost\(comparison)"
    case .incomplete:
      return "INCOMPLETE: \(grouped(messagesApplied)) of \(grouped(messagesSent)) messages applied"
    case .stopped: return "STOPPED: \(exitReason)"
    case .wrong: return "WRONG: \(reasons.first ?? exitReason)"
    }
  }

  private var text: [String] {
    var result: [String] = []
    result.append(
      "line   packets      bytes          kernel drops  duplicate packets  messages missing on it")
    for line in lines {
      result.append(
        column(line.name, 7) + column(grouped(line.packets), 13) + column(grouped(line.bytes), 15)
          + column(grouped(line.kernelDrops), 14) + column(grouped(line.duplicates), 19)
          + grouped(line.missing))
    }
    result.append("")
    result.append("receive stamp to    batches      p50          p99          p99.9        p99.99       max")
    for latency in latencies where latency.count > 0 {
      result.append(
        column(latency.stage, 20) + column(grouped(latency.count), 13) + column(duration(latency.p50), 13)
          + column(duration(latency.p99), 13) + column(duration(latency.p999), 13)
          + column(duration(latency.p9999), 13) + duration(latency.maximum))
    }
    result.append("")
    for (key, value) in counts where value > 0 { result.append(column(key, 30) + grouped(value)) }
    let times = processorTimes.map { "\($0.name) \($0.milliseconds) ms" }
    result.append(column("processor time", 30) + times.joined(separator: ", "))
    for restart in restarts where restart.count > 0 {
      result.append(column("restarts of \(restart.name)", 30) + grouped(restart.count))
    }
    result.append(column("streamDigest", 30) + hexadecimal(streamDigest))
    result.append(column("bookDigest", 30) + hexadecimal(bookDigest))
    result.append("")
    for reason in reasons { result.append("  " + reason) }
    result.append(verdictLine)
    return result
  }

  private var jsonText: String {
    JSONReport(schema: "run", instance: instance, configurationHash: configuration).text { json in
      json.field("verdict", verdict.rawValue)
      json.array("reasons") { json in for reason in reasons { json.element(reason) } }
      json.field("exitReason", exitReason)
      json.field("exitCode", Int(exitCode))
      json.field("messagesSent", messagesSent)
      json.field("messagesApplied", messagesApplied)
      for (key, value) in counts { json.field(key, value) }
      json.field("streamDigest", hexadecimal(streamDigest))
      json.field("bookDigest", hexadecimal(bookDigest))
      json.field("publishBookDigest", hexadecimal(publishDigest))
      if let expected {
        json.object("expected") { json in
          json.field("streamDigest", hexadecimal(expected.streamDigest))
          json.field("bookDigest", hexadecimal(expected.bookDigest))
          json.field("events", expected.events)
          json.field("messages", expected.messages)
        }
      }
      json.array("lines") { json in
        for line in lines {
          json.object { json in
            json.field("name", line.name)
            json.field("packets", line.packets)
            json.field("bytes", line.bytes)
            json.field("kernelDrops", line.kernelDrops)
            json.field("duplicatePackets", line.duplicates)
            json.field("missingMessages", line.missing)
          }
        }
      }
      writeGaps("gaps", gaps, &json)
      writeGaps("restartGaps", restartGaps, &json)
      json.object("restarts") { json in for restart in restarts { json.field(restart.name, restart.count) } }
      json.array("latency") { json in
        for latency in latencies {
          json.object { json in
            json.field("stage", latency.stage)
            json.field("batches", latency.count)
            json.field("p50", latency.p50)
            json.field("p99", latency.p99)
            json.field("p999", latency.p999)
            json.field("p9999", latency.p9999)
            json.field("max", latency.maximum)
          }
        }
      }
      json.object("processorMilliseconds") { json in
        for time in processorTimes { json.field(time.name, time.milliseconds) }
      }
      json.field("wallSeconds", Double(wallNanoseconds) / 1e9)
      json.field("flowSeconds", Double(flowNanoseconds) / 1e9)
      json.field("messagesPerSecond", rate)
      json.raw("venue", venueJSON)
    }
  }

  private func writeGaps(_ key: String, _ gaps: [DeclaredGap], _ json: inout JSONText) {
    json.array(key) { json in
      for gap in gaps {
        json.object { json in
          json.field("first", gap.first)
          json.field("last", gap.last)
          json.field("reason", GapReason(rawValue: gap.reason)?.name ?? "unknown")
        }
      }
    }
  }
}
