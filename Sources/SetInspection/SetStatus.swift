import Glibc
import ShmRing
import StageRuntime
public import Supervision

/// One set as its control pages show it.
public struct SetStatus {
  public enum Verdict: String {
    case live = "LIVE"
    case degraded = "DEGRADED"
    case stale = "STALE"
    case down = "DOWN"
  }

  public let instance: String
  public private(set) var verdict: Verdict
  public private(set) var reason: String
  /// What is bad is bad whatever cannot be read.
  public private(set) var isKnownBad = false
  public let configuration: String
  public let supervisor: (pid: Int32, isAlive: Bool)
  public let stages: [SetView.StageStatus]
  public let lines: [LineStatus]
  public let counts: [(key: String, value: UInt64)]
  public let trust: TrustStatus?
  /// What is given up because the set is overloaded.
  public let shed: [String]
  /// Another build that is to take bookd's place, or came to that; nil before the first.
  public let upgrade: ProgramUpgrade?
  /// Books of its standby that were compared with bookd's and found equal.
  public let booksCompared: UInt64

  /// Control pages that are there and cannot be read: nothing is known of those processes.
  public let unreadablePages: [SetDirectory.Unreadable]

  /// Every set with control pages below `runDirectory`, sorted by name. Without those whose supervisor's page cannot be read: see
  /// ``unreadable(runDirectory:name:)``.
  public static func discover(runDirectory: String, name: String?) -> [SetStatus] {
    SetDirectory.entries(of: runDirectory).filter { name == nil || $0 == name }.compactMap {
      SetStatus(instance: $0, directory: "\(runDirectory)/\($0)")
    }
  }

  /// Sets of which nothing can be told, or not everything.
  public static func unreadable(runDirectory: String, name: String?) -> [SetDirectory.Unreadable] {
    SetDirectory.unreadable(runDirectory: runDirectory, name: name)
      + SetDirectory.discover(runDirectory: runDirectory, name: name).flatMap { $0.unreadablePages() }
  }

  /// An idle stage beats at least twenty times a second.
  static let beatAgeLimit: UInt64 = 2_000_000_000

  /// Flow order of the components that a set can have.
  public static let flowOrder = ["rxd@a", "rxd@b", "merged", "bookd", "standby", "pubd", "taped", "viewd"]

  public init?(instance: String, directory: String) {
    guard
      let view = try? SetView(directory: directory, readableOf: Self.stageNames(directory: directory))
    else { return nil }
    self.init(
      instance: instance, view: view,
      unreadablePages: SetDirectory(instance: instance, path: directory)?.unreadablePages() ?? [])
  }

  /// The stages that have a control page in a set's directory, in flow order.
  public static func stageNames(directory: String) -> [String] {
    let names = SetDirectory.entries(of: directory).filter { $0.hasSuffix(".control") }.map {
      String($0.dropLast(8))
    }
    return flowOrder.filter { names.contains($0) }
  }

  /// Of a set whose pages are mapped already.
  public init(instance: String, view: SetView, unreadablePages: [SetDirectory.Unreadable] = []) {
    self.instance = instance
    self.unreadablePages = unreadablePages
    configuration = hexadecimal(view.configurationHash)
    trust = TrustStatus(directory: view.directory)
    upgrade = InstanceFiles.upgradeText(directory: view.directory).flatMap(ProgramUpgrade.init(text:))
    booksCompared = view.names.contains("standby") ? view.value("standby", BookCounter.booksCompared) : 0
    supervisor = (view.supervisorPid, view.supervisorAlive)
    stages = view.stages()
    shed = view.shed.names
    lines = [LineStatus(view, isA: true), LineStatus(view, isA: false)]
    let lost = view.value("merged", MergeCounter.gapsUnrecoverable)
    let open = view.value("merged", MergeCounter.gapsOpen)
    var counts: [(key: String, value: UInt64)] = [
      ("messagesApplied", view.value("bookd", BookCounter.messagesApplied)),
      ("eventsPublished", view.value("bookd", BookCounter.eventsPublished)),
      ("liveOrders", view.value("bookd", BookCounter.liveOrders)),
      ("instruments", view.value("bookd", BookCounter.instruments)),
      ("staleInstruments", view.value("bookd", BookCounter.staleInstruments)),
      ("rejects", view.value("bookd", BookCounter.rejects)),
      ("quarantinedInstruments", view.value("bookd", BookCounter.quarantinedInstruments)),
      ("recoveriesMade", view.value("bookd", BookCounter.recoveriesMade)),
      ("recoveriesRefused", view.value("bookd", BookCounter.recoveriesRefused)),
      ("messagesWithheld", view.value("bookd", BookCounter.messagesWithheld)),
      ("ordersWatermark", view.value("bookd", BookCounter.ordersWatermark)),
      ("levelsWatermark", view.value("bookd", BookCounter.levelsWatermark)),
      ("instrumentsWatermark", view.value("bookd", BookCounter.instrumentsWatermark)),
      ("sweepRounds", view.value("bookd", BookCounter.sweepRounds)),
      ("sweepViolations", view.value("bookd", BookCounter.sweepViolations)),
      ("gapsOpen", open), ("gapsUnrecoverable", lost),
      ("foreignSessionPackets", view.value("merged", MergeCounter.foreignSessionPackets)),
      ("malformedPackets", view.value("merged", MergeCounter.malformedPackets)),
      ("retransmissionRequests", view.value("merged", MergeCounter.requestsSent)),
      ("retransmissionBreakerOpened", view.value("merged", MergeCounter.breakerOpened)),
      (
        "gapObjectivesMissed",
        view.value("merged", MergeCounter.objectiveMissedByLine)
          &+ view.value("merged", MergeCounter.objectiveMissedByRetransmission)
      ),
      ("lineDisagreements", view.value("merged", MergeCounter.lineDisagreements)),
      ("farAheadClaims", view.value("merged", MergeCounter.farAheadClaims)),
      ("sequenceResets", view.value("merged", MergeCounter.sequenceResets)),
      ("clients", view.value("pubd", PublishCounter.clients)),
      ("publishPort", view.value("pubd", PublishCounter.port)),
      (
        "kernelDrops",
        view.value("rxd@a", ReceiverCounter.kernelDrops) &+ view.value("rxd@b", ReceiverCounter.kernelDrops)
      ),
    ]
    if view.names.contains("taped") { counts += Self.tapeCounts(view) }
    let notReady = stages.filter { !$0.isAlive || $0.state != .ready }
    let silent = stages.filter { $0.beatAge > Self.beatAgeLimit }
    let unread = unreadablePages.map(\.text).joined(separator: ", ")
    if stages.allSatisfy({ !$0.isAlive }), unread.isEmpty {
      (verdict, reason) = (.down, "no stage runs")
    } else if let distrust = trust?.reason {
      (verdict, reason) = (.stale, distrust)
    } else if view.value("bookd", BookCounter.channelStale) == 1 {
      let rebuilt = view.value("bookd", BookCounter.stateLostMessages)
      let causes = [
        lost > 0 ? "\(lost) gaps could not be filled" : nil,
        rebuilt > 0 ? "a restarted bookd could not rebuild the state of \(grouped(rebuilt)) messages" : nil,
      ].compactMap { $0 }
      (verdict, reason) = (
        .stale,
        "every book: \(causes.isEmpty ? "part of the stream is lost" : causes.joined(separator: ", "))"
      )
    } else if !notReady.isEmpty {
      let list = notReady.map { "\($0.name) \($0.isAlive ? $0.state.name : "dead")" }.joined(separator: ", ")
      (verdict, reason) = (.degraded, list)
    } else if !silent.isEmpty {
      let list = silent.map { "\($0.name) has not beaten for \(duration($0.beatAge))" }.joined(
        separator: ", ")
      (verdict, reason) = (.degraded, list)
    } else if view.value("bookd", BookCounter.outOfOrderInput) > 0 {
      (verdict, reason) = (
        .degraded, "bookd refused \(view.value("bookd", BookCounter.outOfOrderInput)) repeated records"
      )
    } else if view.value("taped", TapeCounter.booksDiffer) == 1 {
      let instrument = view.value("taped", TapeCounter.differenceInstrument)
      let sequence = view.value("taped", TapeCounter.differenceSequence)
      (verdict, reason) = (
        .stale,
        "bookd's books differ from those of the tape: instrument \(instrument) behind sequence \(grouped(sequence))"
      )
    } else if view.value("taped", TapeCounter.unjournaled) == 1 {
      (verdict, reason) = (.degraded, Self.unjournaled(view))
    } else if !supervisor.isAlive {
      (verdict, reason) = (.degraded, "watchdogd is dead: nothing would be restarted")
    } else if let disarmed = trust?.disarmed, !disarmed.isEmpty {
      (verdict, reason) = (
        .degraded, "disarmed by an operator: \(disarmed.joined(separator: ", ")) (`bulkhead arm`)"
      )
    } else if view.value("merged", MergeCounter.lineDisagreements) > 0 {
      (verdict, reason) = (
        .degraded,
        "the lines disagreed about \(view.value("merged", MergeCounter.lineDisagreements)) messages (`bulkhead gaps`)"
      )
    } else if open > 0 {
      (verdict, reason) = (.degraded, "\(open) gaps open")
    } else if view.value("bookd", BookCounter.sweepViolations) > 0 {
      (verdict, reason) = (
        .degraded,
        "bookd's books contradict themselves in \(view.value("bookd", BookCounter.sweepViolations)) places"
      )
    } else if view.value("bookd", BookCounter.staleInstruments) > 0 {
      (verdict, reason) = (
        .degraded,
        "\(view.value("bookd", BookCounter.staleInstruments)) instruments marked stale, "
          + "\(view.value("bookd", BookCounter.quarantinedInstruments)) of them in quarantine"
      )
    } else if let slow = stages.first(where: \.isDegraded) {
      (verdict, reason) = (
        .degraded, "\(slow.name) is slow: far above its usual p99 of \(duration(slow.usualLatency))"
      )
    } else {
      (verdict, reason) = (.live, "every stage READY, every book trusted")
    }
    self.counts = counts
    isKnownBad = verdict == .stale || verdict == .degraded
    guard !unread.isEmpty else { return }
    reason = (verdict == .live ? "" : reason + "; ") + "cannot be read: \(unread)"
    if verdict == .live { verdict = .degraded }
  }

  private static func tapeCounts(_ view: SetView) -> [(key: String, value: UInt64)] {
    [
      ("tapeWrittenSequence", view.value("taped", TapeCounter.writtenSequence)),
      ("tapeDurableSequence", view.value("taped", TapeCounter.durableSequence)),
      ("tapeBytes", view.value("taped", TapeCounter.tapeBytes)),
      ("tapeUnjournaled", view.value("taped", TapeCounter.unjournaled)),
      ("tapeUnjournaledEpisodes", view.value("taped", TapeCounter.unjournaledEpisodes)),
      ("tapeUnjournaledFrom", view.value("taped", TapeCounter.unjournaledFrom)),
      ("tapeUnjournaledThrough", view.value("taped", TapeCounter.unjournaledThrough)),
      ("tapeHoles", view.value("taped", TapeCounter.holes)),
      ("tapeMessagesInHoles", view.value("taped", TapeCounter.messagesInHoles)),
      ("tapeFileErrors", view.value("taped", TapeCounter.fileErrors)),
      ("tapeStalls", view.value("taped", TapeCounter.stalls)),
      ("shadowSequence", view.value("taped", TapeCounter.shadowSequence)),
      ("shadowProbesCompared", view.value("taped", TapeCounter.probesCompared)),
      ("shadowBooksDiffer", view.value("taped", TapeCounter.booksDiffer)),
      ("snapshotsWritten", view.value("taped", TapeCounter.snapshotsWritten)),
      ("snapshotFailures", view.value("taped", TapeCounter.snapshotFailures)),
      ("snapshotSequence", view.value("taped", TapeCounter.snapshotSequence)),
    ]
  }

  private static func unjournaled(_ view: SetView) -> String {
    let from = view.value("taped", TapeCounter.unjournaledFrom)
    let through = view.value("taped", TapeCounter.unjournaledThrough)
    let code = view.value("taped", TapeCounter.lastError)
    let cause =
      view.value("taped", TapeCounter.fileErrors) > 0 && code > 0 && code < 4096
      ? ": \(String(cString: strerror(Int32(code))))" : ""
    return "UNJOURNALED: sequences \(grouped(from))...\(grouped(through)) are not safe on the disk\(cause)"
  }

  /// How far an upgrade is, or what came of the newest one; nil before the first.
  public var upgradeText: String? {
    guard let upgrade else { return nil }
    let state = upgrade.phase == .settled ? upgrade.outcome.rawValue : upgrade.phase.rawValue
    let count =
      upgrade.phase == .proving ? "; \(booksCompared) of \(upgrade.comparisonsWanted) books compared" : ""
    return "upgrade of bookd  \(state): \(upgrade.words)\(count)"
  }

  public func write(to json: inout JSONText) {
    json.object { json in
      json.field("instance", instance)
      json.field("verdict", verdict.rawValue)
      json.field("reason", reason)
      json.field("configurationHash", configuration)
      json.object("watchdogd") { json in
        json.field("pid", Int(supervisor.pid))
        json.field("alive", supervisor.isAlive)
      }
      json.array("stages") { json in
        for stage in stages {
          json.object { json in
            json.field("name", stage.name)
            json.field("pid", Int(stage.pid))
            json.field("alive", stage.isAlive)
            json.field("state", stage.state.name)
            json.field("epoch", stage.epoch)
            json.field("beatAgeNanoseconds", stage.beatAge)
            json.field("restarts", stage.restarts)
            json.field("appliedSequence", stage.appliedSequence)
            json.field("degraded", stage.isDegraded)
            json.field("usualLatencyNanoseconds", stage.usualLatency)
            if let core = stage.neighbourCore { json.field("neighbourCore", core) }
          }
        }
      }
      json.array("shed") { json in for work in shed { json.element(work) } }
      if let trust { trust.write(to: &json) }
      if let upgrade {
        json.object("upgrade") { json in
          json.field("phase", upgrade.phase.rawValue)
          json.field("outcome", upgrade.outcome.rawValue)
          json.field("text", upgrade.words)
          json.field("programs", upgrade.programs)
          json.field("next", upgrade.next)
          json.field("booksCompared", booksCompared)
          json.field("booksWanted", upgrade.comparisonsWanted)
        }
      }
      json.array("lines") { json in for line in lines { line.write(to: &json) } }
      for (key, value) in counts { json.field(key, value) }
    }
  }
}

/// One line as merged last saw it.
public struct LineStatus {
  public let name: String
  public let isUp: Bool
  public let downs: UInt64
  /// Over the last second.
  public let packetRate: UInt64
  public let messageRate: UInt64
  /// ns; nil = never heard.
  public let lastPacketAge: UInt64?
  /// When it was the later line: how much later, not exceeded by half and by 99 % of the messages, ns.
  public let lagMedian: UInt64
  public let lagHigh: UInt64
  public let duplicateMessages: UInt64
  public let holes: UInt64
  public let missed: UInt64
  /// Messages that the other line had.
  public let missedAlone: UInt64

  public init(_ view: SetView, isA: Bool) {
    func value(_ a: MergeCounter, _ b: MergeCounter) -> UInt64 { view.value("merged", isA ? a : b) }
    name = isA ? "a" : "b"
    isUp = value(.lineAUp, .lineBUp) == 1
    downs = value(.lineADowns, .lineBDowns)
    packetRate = value(.packetRateA, .packetRateB)
    messageRate = value(.messageRateA, .messageRateB)
    let last = value(.lineALastPacket, .lineBLastPacket)
    let now = SetClock.monotonic
    lastPacketAge = last == 0 ? nil : now > last ? now - last : 0
    lagMedian = value(.lineALagMedian, .lineBLagMedian)
    lagHigh = value(.lineALagHigh, .lineBLagHigh)
    duplicateMessages = value(.duplicateMessagesA, .duplicateMessagesB)
    holes = value(.holesOnA, .holesOnB)
    missed = value(.missingOnA, .missingOnB)
    missedAlone = value(.missingOnAAlone, .missingOnBAlone)
  }

  public func write(to json: inout JSONText) {
    json.object { json in
      json.field("name", name)
      json.field("up", isUp)
      json.field("downs", downs)
      json.field("packetsPerSecond", packetRate)
      json.field("messagesPerSecond", messageRate)
      if let lastPacketAge { json.field("lastPacketAgeNanoseconds", lastPacketAge) }
      json.field("laterByMedianNanoseconds", lagMedian)
      json.field("laterByP99Nanoseconds", lagHigh)
      json.field("duplicateMessages", duplicateMessages)
      json.field("holes", holes)
      json.field("missedMessages", missed)
      json.field("missedAlone", missedAlone)
    }
  }
}
